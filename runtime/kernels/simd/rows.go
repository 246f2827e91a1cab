package simd

import (
	"fmt"
	"math/bits"

	"github.com/graphrun/graphrun/runtime/kernels/portable"
)

//go:generate go run -C gen ./rows -out ../rows_amd64.s -stubs ../rows_stubs_amd64.go -pkg simd -tables ../rows_tables_amd64.go

// matrix panics if a slice of length have does not hold rows x cols elements, both positive, whose rows are ld apart.
func matrix(kernel, name string, rows, cols, have, ld int) {
	over, want := bits.Mul(uint(rows-1), uint(ld))
	want, carry := bits.Add(want, uint(cols), 0)
	if ld < 0 || over != 0 || carry != 0 || want > uint(have) {
		panic(fmt.Sprintf("simd: %s: %s has %d elements, needs %d rows of %d, %d apart", kernel, name, have, rows, cols, ld))
	}
}

// checkRows panics unless matrices of rows of n elements, ld apart, and one scalar per row fit into slices of these lengths. It
// reports whether there is anything to do.
func checkRows(kernel string, ld, rows, n int, matrices, scalars []int) bool {
	if rows <= 0 {
		return false
	}
	for _, l := range matrices {
		if n > 0 {
			matrix(kernel, "matrix", rows, n, l, ld)
		}
	}
	for _, l := range scalars {
		if l < rows {
			panic(fmt.Sprintf("simd: %s: %d scalars for %d rows", kernel, l, rows))
		}
	}
	return n > 0
}

// RowTop stores the maximum of each row; NaN counts as nothing or wins.
func RowTop(x []float32, ld, rows, n int, top []float32) {
	k := rowKernels()
	if k == nil || !checkRows("RowTop", ld, rows, n, []int{len(x)}, []int{len(top)}) {
		portable.RowTop(x, ld, rows, n, top)
		return
	}
	k.rowTop(&x[0], ld, rows, n, &top[0])
}

// RowExp stores e^(x-top) in y, which may be x, and the sum of each row.
func RowExp(y, x []float32, ld, rows, n int, top, sum []float32) {
	k := rowKernels()
	if k == nil || !checkRows("RowExp", ld, rows, n, []int{len(y), len(x)}, []int{len(top), len(sum)}) {
		portable.RowExp(y, x, ld, rows, n, top, sum)
		return
	}
	k.rowExp(&y[0], &x[0], ld, rows, n, &top[0], &sum[0])
}

// RowSumExp stores the sum of e^(x-top) of each row, added up in double precision.
func RowSumExp(x []float32, ld, rows, n int, top []float32, sum []float64) {
	k := rowKernels()
	if k == nil || !checkRows("RowSumExp", ld, rows, n, []int{len(x)}, []int{len(top), len(sum)}) {
		portable.RowSumExp(x, ld, rows, n, top, sum)
		return
	}
	k.rowSumExp(&x[0], ld, rows, n, &top[0], &sum[0])
}

// RowScale stores y*scale in y.
func RowScale(y []float32, ld, rows, n int, scale []float32) {
	k := rowKernels()
	if k == nil || !checkRows("RowScale", ld, rows, n, []int{len(y)}, []int{len(scale)}) {
		portable.RowScale(y, ld, rows, n, scale)
		return
	}
	k.rowScale(&y[0], ld, rows, n, &scale[0])
}

// RowShift stores x-top-shift in y, which may be x.
func RowShift(y, x []float32, ld, rows, n int, top, shift []float32) {
	k := rowKernels()
	if k == nil || !checkRows("RowShift", ld, rows, n, []int{len(y), len(x)}, []int{len(top), len(shift)}) {
		portable.RowShift(y, x, ld, rows, n, top, shift)
		return
	}
	k.rowShift(&y[0], &x[0], ld, rows, n, &top[0], &shift[0])
}

// RowSum stores the sum of each row.
func RowSum(x []float32, ld, rows, n int, sum []float32) {
	k := rowKernels()
	if k == nil || !checkRows("RowSum", ld, rows, n, []int{len(x)}, []int{len(sum)}) {
		portable.RowSum(x, ld, rows, n, sum)
		return
	}
	k.rowSum(&x[0], ld, rows, n, &sum[0])
}

// RowSumWide stores the sum of each row, added up in double precision.
func RowSumWide(x []float32, ld, rows, n int, sum []float64) {
	k := rowKernels()
	if k == nil || !checkRows("RowSumWide", ld, rows, n, []int{len(x)}, []int{len(sum)}) {
		portable.RowSumWide(x, ld, rows, n, sum)
		return
	}
	k.rowSumWide(&x[0], ld, rows, n, &sum[0])
}

// RowSquares stores the sum of (x-mean)^2 of each row.
func RowSquares(x []float32, ld, rows, n int, mean, sum []float32) {
	k := rowKernels()
	if k == nil || !checkRows("RowSquares", ld, rows, n, []int{len(x)}, []int{len(mean), len(sum)}) {
		portable.RowSquares(x, ld, rows, n, mean, sum)
		return
	}
	k.rowSquares(&x[0], ld, rows, n, &mean[0], &sum[0])
}

// RowDot stores the sum of x*y of each row.
func RowDot(x, y []float32, ld, rows, n int, sum []float32) {
	k := rowKernels()
	if k == nil || !checkRows("RowDot", ld, rows, n, []int{len(x), len(y)}, []int{len(sum)}) {
		portable.RowDot(x, y, ld, rows, n, sum)
		return
	}
	k.rowDot(&x[0], &y[0], ld, rows, n, &sum[0])
}

// RowNorm stores (x-mean)*scale in y, which may be x.
func RowNorm(y, x []float32, ld, rows, n int, mean, scale []float32) {
	k := rowKernels()
	if k == nil || !checkRows("RowNorm", ld, rows, n, []int{len(y), len(x)}, []int{len(mean), len(scale)}) {
		portable.RowNorm(y, x, ld, rows, n, mean, scale)
		return
	}
	k.rowNorm(&y[0], &x[0], ld, rows, n, &mean[0], &scale[0])
}

// RowAffine stores (x-mean)*scale*weight + bias in y, which may be x.
func RowAffine(y, x []float32, ld, rows, n int, mean, scale, weight, bias []float32) {
	k := rowKernels()
	if k == nil || !checkRows("RowAffine", ld, rows, n, []int{len(y), len(x)}, []int{len(mean), len(scale)}) {
		portable.RowAffine(y, x, ld, rows, n, mean, scale, weight, bias)
		return
	}
	checkRows("RowAffine", n, 1, n, []int{len(weight), len(bias)}, nil)
	k.rowAffine(&y[0], &x[0], ld, rows, n, &mean[0], &scale[0], &weight[0], &bias[0])
}

// RowNormGrad stores (dy - mean - y*along)*scale in dx, which may be dy or y.
func RowNormGrad(dx, dy, y []float32, ld, rows, n int, mean, along, scale []float32) {
	k := rowKernels()
	if k == nil || !checkRows("RowNormGrad", ld, rows, n, []int{len(dx), len(dy), len(y)}, []int{len(mean), len(along), len(scale)}) {
		portable.RowNormGrad(dx, dy, y, ld, rows, n, mean, along, scale)
		return
	}
	k.rowNormGrad(&dx[0], &dy[0], &y[0], ld, rows, n, &mean[0], &along[0], &scale[0])
}

// RowMin stores the minimum of each row of at least one element: NaN wins, -0 is below +0.
func RowMin(x []float32, ld, rows, n int, least []float32) {
	k := rowKernels()
	if k == nil || !checkRows("RowMin", ld, rows, n, []int{len(x)}, []int{len(least)}) {
		portable.RowMin(x, ld, rows, n, least)
		return
	}
	k.rowMin(&x[0], ld, rows, n, &least[0])
}

// RowMax stores the maximum of each row of at least one element: NaN wins, +0 is above -0.
func RowMax(x []float32, ld, rows, n int, greatest []float32) {
	k := rowKernels()
	if k == nil || !checkRows("RowMax", ld, rows, n, []int{len(x)}, []int{len(greatest)}) {
		portable.RowMax(x, ld, rows, n, greatest)
		return
	}
	k.rowMax(&x[0], ld, rows, n, &greatest[0])
}

// ColSum stores the sum of each column of at least one row, in the order of the rows.
func ColSum(x []float32, ld, rows, n int, y []float32) {
	k := rowKernels()
	if k == nil || !checkRows("ColSum", ld, rows, n, []int{len(x)}, nil) {
		portable.ColSum(x, ld, rows, n, y)
		return
	}
	checkRows("ColSum", n, 1, n, []int{len(y)}, nil)
	k.colSum(&x[0], ld, rows, n, &y[0])
}

// ColMin stores the minimum of each column of at least one row: NaN wins, -0 is below +0.
func ColMin(x []float32, ld, rows, n int, y []float32) {
	k := rowKernels()
	if k == nil || !checkRows("ColMin", ld, rows, n, []int{len(x)}, nil) {
		portable.ColMin(x, ld, rows, n, y)
		return
	}
	checkRows("ColMin", n, 1, n, []int{len(y)}, nil)
	k.colMin(&x[0], ld, rows, n, &y[0])
}

// ColMax stores the maximum of each column of at least one row: NaN wins, +0 is above -0.
func ColMax(x []float32, ld, rows, n int, y []float32) {
	k := rowKernels()
	if k == nil || !checkRows("ColMax", ld, rows, n, []int{len(x)}, nil) {
		portable.ColMax(x, ld, rows, n, y)
		return
	}
	checkRows("ColMax", n, 1, n, []int{len(y)}, nil)
	k.colMax(&x[0], ld, rows, n, &y[0])
}

// Transpose32 is a portable.TransposeFunc for elements of 4 bytes.
func Transpose32(y []uint32, ldy int, x []uint32, ldx, rows, cols int) {
	if rowKernels() == nil || rows < 8 || cols < 8 {
		portable.TransposePlane(y, ldy, x, ldx, rows, cols)
		return
	}
	matrix("Transpose32", "x", cols, rows, len(x), ldx)
	matrix("Transpose32", "y", rows, cols, len(y), ldy)
	transposeBlocks(y, ldy, x, ldx, rows, cols, 8, transpose32)
}

// Transpose64 is a portable.TransposeFunc for elements of 8 bytes.
func Transpose64(y []uint64, ldy int, x []uint64, ldx, rows, cols int) {
	if rowKernels() == nil || rows < 4 || cols < 4 {
		portable.TransposePlane(y, ldy, x, ldx, rows, cols)
		return
	}
	matrix("Transpose64", "x", cols, rows, len(x), ldx)
	matrix("Transpose64", "y", rows, cols, len(y), ldy)
	transposeBlocks(y, ldy, x, ldx, rows, cols, 4, transpose64)
}

// transposeBlocks transposes blocks of side elements; the last ones overlap those before them.
func transposeBlocks[T any](y []T, ldy int, x []T, ldx, rows, cols, side int, block func(k int, src *T, lds int, dst *T, ldd int)) {
	for c := 0; c < cols; c += side {
		c := min(c, cols-side)
		block(rows&^(side-1), &x[c*ldx], ldx, &y[c], ldy)
		if rows%side != 0 {
			r := rows - side
			block(side, &x[c*ldx+r], ldx, &y[r*ldy+c], ldy)
		}
	}
}
