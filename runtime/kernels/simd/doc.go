// Package simd holds matrix kernels in assembly for AVX2 with FMA and for
// AVX-512. Where neither exists (another architecture, an older processor, the
// build tag noasm, GRAPHRUN_CPU=generic) its functions call package portable.
// [Level] says which it is.
//
//	p := portable.NewProduct(simd.MultiplierF32(), portable.Matrices[float32]{M: 2, N: 2, K: 3, Lda: 3, Ldb: 2, Ldc: 2}, nil, nil, nil)
//	a := []float32{1, 2, 3, 4, 5, 6} // 2 x 3
//	b := []float32{1, 0, 0, 1, 1, 1} // 3 x 2
//	c := make([]float32, 4)
//	p.Run(a, b, c, nil)
//	fmt.Println(c)
//
// prints at every level
//
//	[4 5 10 11]
//
// [MultiplierF32] makes matrix products, [ConvF32] convolutions, [PoolF32] pooling; Row and Col functions reduce and
// normalize rows; [UnaryVec] and its kind are the primitives of package strip.
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
// bits as package portable, which does not fuse everywhere.) NaN and Inf
// propagate as in IEEE 754.
//
// # Contract
//
// Slices may be longer than the shape asks for; one that is too short panics
// before any work starts. C must not overlap A or B. One call of assembly covers a
// bounded tile and a bounded block of K, a few microseconds, since a goroutine
// cannot be preempted there.
package simd
