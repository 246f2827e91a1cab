//go:build amd64 && !noasm

package simd

// vecTables returns the primitives of the level in use, nil if it has none.
func vecTables() (f32, f64 *vecTable) {
	if level == levelGeneric {
		return nil, nil
	}
	return &vecF32, &vecF64
}

// vecOf returns a primitive of the level in use.
func vecOf(number vecNumber) Vec {
	kernel := int(number)
	if level == levelAVX512 {
		kernel += vecWide
	}
	return func(n int, y, a, b, c *byte) { vecCall(n, y, a, b, c, kernel) }
}
