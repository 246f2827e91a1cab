// Package avx is the backend in assembly for AVX2 with FMA and for AVX-512. [Levels] returns what the processor has of them; on another
// architecture, or with the build tag noasm, nothing.
//
//	t := plain.New()
//	for _, l := range slices.Backward(avx.Levels()) {
//		l.Fill(t)
//	}
//	y := make([]float32, 2)
//	t.F32.Rows.Norm(y, []float32{3, 5}, 2, 1, 2, []float32{4}, []float32{10})
//	fmt.Println(y)
//
// prints with any of them
//
//	[-10 10]
//
// Both levels have matrix products, convolution, pooling, transpositions and the primitives of strips for float32 and float64, and
// functions over rows and the exponential and its kin for float32. The assembly is generated, for both from one description, by the
// programs in gen.
//
// # Method
//
// The GEMM is that of Goto and of BLIS (Van Zee and van de Geijn, "BLIS: A
// Framework for Rapidly Instantiating BLAS Functionality", ACM TOMS 41(3), 2015):
// loops in Go cut the operands into blocks that stay in cache, and a
// micro-kernel in assembly updates a tile of C held in registers. The
// micro-kernel takes strides, so that an operand is packed only where it is read
// often enough to pay for it.
//
// # Determinism
//
// K is cut into blocks whose bounds depend on K only. Within a block each element
// of C has one accumulator, which starts at zero and takes the products in order
// of k by fused multiply-adds; the sums of the blocks are added to C in order.
// Tiles, edges, packing and threads change none of this: an element has the same
// bits for any number of other rows and columns, for any number of threads,
// whether an operand is transposed, and for AVX2 as for AVX-512. (Not the same
// bits as package plain, which does not fuse everywhere.) NaN and Inf
// propagate as in IEEE 754.
//
// # Contract
//
// That of package backend. One call of assembly covers a
// bounded tile and a bounded block of K, a few microseconds, since a goroutine
// cannot be preempted there.
package avx
