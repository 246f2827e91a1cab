// Package plain is the backend in plain Go, which fills a table whole. It is what the others are tested against, and what runs where
// they have nothing.
//
//	t := plain.New()
//	sums := make([]float32, 2)
//	t.F32.Rows.Reduce[backend.Sum]([]float32{1, 2, 9, 3, 4}, 3, 2, 2, sums)
//	fmt.Println(sums)
//	y := make([]float64, 3)
//	plain.Binary(backend.Max, backend.VS, y, []float64{-1, 2, 5}, []float64{3})
//	fmt.Println(y)
//
// adds up rows that are three elements apart, takes the maximum with a scalar, and prints
//
//	[3 7]
//	[3 3 5]
//
// The loops are functions on slices, generic over the types of elements: Row and Col functions, [Unary], [Binary] and their kind.
// Functions of floats round a float64 result of package math, of relative error 1e-12 or better for exp, tanh and sigmoid of float32,
// so that a float32 result is within 1 ulp.
//
// # Determinism
//
// An element is always computed by the same sequence of operations. Bits may differ between architectures: on some the Go compiler
// fuses x*y+z.
package plain
