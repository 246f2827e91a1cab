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
// before any work starts. C must not overlap A or B. Scratch comes from pools: in
// a steady state calls do not allocate. One call of assembly covers a bounded
// tile and a bounded block of K, a few microseconds, since a goroutine cannot be
// preempted there.
package simd

import (
	"fmt"
	"math/bits"

	"github.com/graphrun/graphrun/runtime/kernels/portable"
)

//go:generate go run -C gen . -out ../gemm_amd64.s -stubs ../gemm_stubs_amd64.go -pkg simd -tables ../gemm_tables_amd64.go

// GemmF32 computes C = op(A)·op(B), or C += op(A)·op(B) if accumulate, on row-major
// matrices: C is m x n; op(A) is m x k, stored as k x m if transA; op(B) is k x n,
// stored as n x k if transB. Rows as stored are lda, ldb and ldc elements apart.
// With k == 0 the product is zero.
func GemmF32(transA, transB bool, m, n, k int, a []float32, lda int, b []float32, ldb int, c []float32, ldc int, accumulate bool) {
	if m <= 0 || n <= 0 {
		return
	}
	k = max(k, 0)
	check("GemmF32", transA, transB, m, n, k, len(a), lda, len(b), ldb, len(c), ldc)
	if !Available() {
		portable.GemmStrided(transA, transB, m, n, k, a, lda, b, ldb, c, ldc, accumulate, nil)
		return
	}
	stateF32.gemm(gemm[float32]{transA, transB, m, n, k, a, lda, b, ldb, c, ldc, accumulate})
}

// GemmF64 is GemmF32 for float64.
func GemmF64(transA, transB bool, m, n, k int, a []float64, lda int, b []float64, ldb int, c []float64, ldc int, accumulate bool) {
	if m <= 0 || n <= 0 {
		return
	}
	k = max(k, 0)
	check("GemmF64", transA, transB, m, n, k, len(a), lda, len(b), ldb, len(c), ldc)
	if !Available() {
		portable.GemmStrided(transA, transB, m, n, k, a, lda, b, ldb, c, ldc, accumulate, nil)
		return
	}
	stateF64.gemm(gemm[float64]{transA, transB, m, n, k, a, lda, b, ldb, c, ldc, accumulate})
}

// gemm is one product: see GemmF32 for the meaning of its fields.
type gemm[T portable.Float] struct {
	transA, transB bool
	m, n, k        int
	a              []T
	lda            int
	b              []T
	ldb            int
	c              []T
	ldc            int
	accumulate     bool
}

// check panics unless all elements that the product touches exist, and rows of C
// are apart.
func check(kernel string, transA, transB bool, m, n, k, a, lda, b, ldb, c, ldc int) {
	matrix(kernel, "c", m, n, c, ldc)
	if m > 1 && ldc < n {
		panic(fmt.Sprintf("simd: %s: ldc is %d, needs %d", kernel, ldc, n))
	}
	if k == 0 {
		return
	}
	if transA {
		matrix(kernel, "a", k, m, a, lda)
	} else {
		matrix(kernel, "a", m, k, a, lda)
	}
	if transB {
		matrix(kernel, "b", n, k, b, ldb)
	} else {
		matrix(kernel, "b", k, n, b, ldb)
	}
}

// matrix panics if a slice of length have does not hold rows x cols elements whose
// rows are ld apart; rows and cols are positive.
func matrix(kernel, name string, rows, cols, have, ld int) {
	if ld < 0 {
		panic(fmt.Sprintf("simd: %s: ld%s is %d", kernel, name, ld))
	}
	over, want := bits.Mul(uint(rows-1), uint(ld))
	want, carry := bits.Add(want, uint(cols), 0)
	if over != 0 || carry != 0 || want > uint(have) {
		panic(fmt.Sprintf("simd: %s: %s has %d elements, needs %d rows of %d, %d apart", kernel, name, have, rows, cols, ld))
	}
}
