// Package simd holds matrix kernels in assembly for AVX2 with FMA and for
// AVX-512. Where neither exists (another architecture, an older processor, the
// build tag noasm, GRAPHRUN_CPU=generic) its functions call package portable.
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
// before any work starts. C must not overlap A or B. Scratch comes from free lists:
// in a steady state calls do not allocate. One call of assembly covers a bounded
// tile and a bounded block of K, a few microseconds, since a goroutine cannot be
// preempted there.
package simd

import "github.com/graphrun/graphrun/runtime/kernels/portable"

//go:generate go run -C gen . -out ../gemm_amd64.s -stubs ../gemm_stubs_amd64.go -pkg simd -tables ../gemm_tables_amd64.go

var (
	productsF32 portable.Products[float32]
	productsF64 portable.Products[float64]
)

// GemmF32 computes C = op(A)·op(B), or C += op(A)·op(B) if accumulate, on row-major
// matrices: C is m x n; op(A) is m x k, stored as k x m if transA; op(B) is k x n,
// stored as n x k if transB. Rows as stored are lda, ldb and ldc elements apart.
// With k == 0 the product is zero.
func GemmF32(transA, transB bool, m, n, k int, a []float32, lda int, b []float32, ldb int, c []float32, ldc int, accumulate bool) {
	productsF32.Multiply(MultiplierF32(), portable.Matrices[float32]{
		TransA: transA, TransB: transB, M: m, N: n, K: k, A: a, Lda: lda, B: b, Ldb: ldb, C: c, Ldc: ldc, Accumulate: accumulate,
	})
}

// GemmF64 is GemmF32 for float64.
func GemmF64(transA, transB bool, m, n, k int, a []float64, lda int, b []float64, ldb int, c []float64, ldc int, accumulate bool) {
	productsF64.Multiply(MultiplierF64(), portable.Matrices[float64]{
		TransA: transA, TransB: transB, M: m, N: n, K: k, A: a, Lda: lda, B: b, Ldb: ldb, C: c, Ldc: ldc, Accumulate: accumulate,
	})
}
