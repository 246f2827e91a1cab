//go:build amd64 && !noasm

package simd

// vecTables returns the primitives of the level in use, nil if it has none.
func vecTables() (f32, f64 *vecTable) {
	if level == levelGeneric {
		return nil, nil
	}
	return &vecF32, &vecF64
}

// vecOf returns a primitive of the level in use. Inlined, its closures would be there once for each type and kind.
//
//go:noinline
func vecOf(number vecNumber) Vec {
	kernel := max(int(number), -int(number))
	if level == levelAVX512 {
		kernel += vecWide
	}
	if number < 0 {
		return func(n int, y, a, b, c *byte) { vecCall(n, y, b, a, c, kernel) }
	}
	return func(n int, y, a, b, c *byte) { vecCall(n, y, a, b, c, kernel) }
}
