//go:build !amd64 || noasm

package simd

func vecTables() (f32, f64 *vecTable) { return nil, nil }

func vecOf(vecNumber) Vec { return nil }
