// Package kernels is the table of fast implementations of ops: which op, on which dtypes, by which Go code. An op that has
// no row here is computed by its reference, slower but right.
//
// A [Kernel] is a row. [Lookup] finds the row for an op by its operands' types and its attributes; a program asks once
// for each set of sizes, and Kernel.Bind then makes a [Func], which computes a [Call] without allocating.
//
//	k := kernels.Lookup(op, []graph.Type{x}, graph.Attrs{{Name: "axis", Value: int64(1)}})
//	fmt.Println(op, x, k != nil)
//
// prints for two ops and three dtypes
//
//	cumsum f32[N,8] true
//	softmax f32[N,8] true
//	cumsum i64[N,8] true
//	softmax i64[N,8] false
//	cumsum f16[N,8] false
//	softmax f16[N,8] false
//
// that is: softmax has a kernel for floats, but not for halves; `graphrun inspect` lists what a model computes without one.
//
// The packages below do the work and know nothing of graphs: driver holds what runs on every machine, such as the blocks of a
// convolution, strip the same for fused element-wise expressions, and parallel shares work among threads. The loops that they run come
// from the table of package backend, which plain fills in Go and avx in assembly; level chooses. A row binds one of them to an op.
package kernels
