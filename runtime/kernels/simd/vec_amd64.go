//go:build amd64 && !noasm

package simd

// vecTables returns the primitives of the level in use, nil if it has none.
func vecTables() (f32, f64 *vecTable) {
	switch level {
	case levelAVX512:
		return &vecF32AVX512, &vecF64AVX512
	case levelAVX2:
		return &vecF32AVX2, &vecF64AVX2
	}
	return nil, nil
}
