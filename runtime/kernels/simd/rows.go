package simd

import (
	"fmt"
	"math/bits"
	"unsafe"

	"github.com/graphrun/graphrun/runtime/kernels/portable"
)

//go:generate go run -C gen ./rows -out ../rows_amd64.s -stubs ../rows_stubs_amd64.go -pkg simd -tables ../rows_tables.go

// matrix panics if a slice of length have does not hold rows x cols elements, both positive, whose rows are ld apart.
func matrix(kernel, name string, rows, cols, have, ld int) {
	over, want := bits.Mul(uint(rows-1), uint(ld))
	want, carry := bits.Add(want, uint(cols), 0)
	if ld < 0 || over != 0 || carry != 0 || want > uint(have) {
		panic(fmt.Sprintf("simd: %s: %s has %d elements, needs %d rows of %d, %d apart", kernel, name, have, rows, cols, ld))
	}
}

// rowOperands are what a kernel works on: matrices of rows of n elements, ld apart, of which the first may be written, vectors of n
// elements, and scalars for each row, the last of which may be written. The assembly knows this layout.
type rowOperands struct {
	ld, rows, n int
	matrices    [3]*float32
	vectors     [2]*float32
	scalars     [3]*float32
}

// runRows calls a kernel with slices that it checks: it panics unless they hold the operands. It reports false where package portable
// has to do the work: there is no assembly, or there are no elements. Scalars may be float64 in truth.
func runRows(kernel, ld, rows, n int, matrices, scalars [][]float32, vectors ...[]float32) bool {
	if !Available() || rows <= 0 {
		return false
	}
	o := rowOperands{ld: ld, rows: rows, n: n}
	for i, m := range matrices {
		if n > 0 {
			matrix(rowNames[kernel], "matrix", rows, n, len(m), ld)
			o.matrices[i] = unsafe.SliceData(m)
		}
	}
	for i, s := range scalars {
		if len(s) < rows {
			panic(fmt.Sprintf("simd: %s: %d scalars for %d rows", rowNames[kernel], len(s), rows))
		}
		o.scalars[i] = unsafe.SliceData(s)
	}
	if n <= 0 {
		return false
	}
	for i, v := range vectors {
		matrix(rowNames[kernel], "vector", 1, n, len(v), n)
		o.vectors[i] = unsafe.SliceData(v)
	}
	if level == levelAVX512 {
		kernel += rowWide
	}
	rowCall(&o, kernel)
	return true
}

// doubles passes scalars in double precision.
func doubles(s []float64) []float32 {
	return unsafe.Slice((*float32)(unsafe.Pointer(unsafe.SliceData(s))), len(s))
}

// RowTop stores the maximum of each row; NaN counts as nothing or wins.
func RowTop(x []float32, ld, rows, n int, top []float32) {
	if !runRows(rowTop, ld, rows, n, [][]float32{x}, [][]float32{top}) {
		portable.RowTop(x, ld, rows, n, top)
	}
}

// RowExp stores e^(x-top) in y, which may be x, and the sum of each row.
func RowExp(y, x []float32, ld, rows, n int, top, sum []float32) {
	if !runRows(rowExp, ld, rows, n, [][]float32{y, x}, [][]float32{top, sum}) {
		portable.RowExp(y, x, ld, rows, n, top, sum)
	}
}

// RowSumExp stores the sum of e^(x-top) of each row, added up in double precision.
func RowSumExp(x []float32, ld, rows, n int, top []float32, sum []float64) {
	if !runRows(rowSumExp, ld, rows, n, [][]float32{x}, [][]float32{top, doubles(sum)}) {
		portable.RowSumExp(x, ld, rows, n, top, sum)
	}
}

// RowScale stores y*scale in y.
func RowScale(y []float32, ld, rows, n int, scale []float32) {
	if !runRows(rowScale, ld, rows, n, [][]float32{y}, [][]float32{scale}) {
		portable.RowScale(y, ld, rows, n, scale)
	}
}

// RowShift stores x-top-shift in y, which may be x.
func RowShift(y, x []float32, ld, rows, n int, top, shift []float32) {
	if !runRows(rowShift, ld, rows, n, [][]float32{y, x}, [][]float32{top, shift}) {
		portable.RowShift(y, x, ld, rows, n, top, shift)
	}
}

// RowSum stores the sum of each row.
func RowSum(x []float32, ld, rows, n int, sum []float32) {
	if !runRows(rowSum, ld, rows, n, [][]float32{x}, [][]float32{sum}) {
		portable.RowSum(x, ld, rows, n, sum)
	}
}

// RowSumWide stores the sum of each row, added up in double precision.
func RowSumWide(x []float32, ld, rows, n int, sum []float64) {
	if !runRows(rowSumWide, ld, rows, n, [][]float32{x}, [][]float32{doubles(sum)}) {
		portable.RowSumWide(x, ld, rows, n, sum)
	}
}

// RowSquares stores the sum of (x-mean)^2 of each row.
func RowSquares(x []float32, ld, rows, n int, mean, sum []float32) {
	if !runRows(rowSquares, ld, rows, n, [][]float32{x}, [][]float32{mean, sum}) {
		portable.RowSquares(x, ld, rows, n, mean, sum)
	}
}

// RowDot stores the sum of x*y of each row.
func RowDot(x, y []float32, ld, rows, n int, sum []float32) {
	if !runRows(rowDot, ld, rows, n, [][]float32{x, y}, [][]float32{sum}) {
		portable.RowDot(x, y, ld, rows, n, sum)
	}
}

// RowNorm stores (x-mean)*scale in y, which may be x.
func RowNorm(y, x []float32, ld, rows, n int, mean, scale []float32) {
	if !runRows(rowNorm, ld, rows, n, [][]float32{y, x}, [][]float32{mean, scale}) {
		portable.RowNorm(y, x, ld, rows, n, mean, scale)
	}
}

// RowAffine stores (x-mean)*scale*weight + bias in y, which may be x.
func RowAffine(y, x []float32, ld, rows, n int, mean, scale, weight, bias []float32) {
	if !runRows(rowAffine, ld, rows, n, [][]float32{y, x}, [][]float32{mean, scale}, weight, bias) {
		portable.RowAffine(y, x, ld, rows, n, mean, scale, weight, bias)
	}
}

// RowNormGrad stores (dy - mean - y*along)*scale in dx, which may be dy or y.
func RowNormGrad(dx, dy, y []float32, ld, rows, n int, mean, along, scale []float32) {
	if !runRows(rowNormGrad, ld, rows, n, [][]float32{dx, dy, y}, [][]float32{mean, along, scale}) {
		portable.RowNormGrad(dx, dy, y, ld, rows, n, mean, along, scale)
	}
}

// RowMin stores the minimum of each row of at least one element: NaN wins, -0 is below +0.
func RowMin(x []float32, ld, rows, n int, least []float32) {
	if !runRows(rowMin, ld, rows, n, [][]float32{x}, [][]float32{least}) {
		portable.RowMin(x, ld, rows, n, least)
	}
}

// RowMax stores the maximum of each row of at least one element: NaN wins, +0 is above -0.
func RowMax(x []float32, ld, rows, n int, greatest []float32) {
	if !runRows(rowMax, ld, rows, n, [][]float32{x}, [][]float32{greatest}) {
		portable.RowMax(x, ld, rows, n, greatest)
	}
}

// ColSum stores the sum of each column of at least one row, in the order of the rows.
func ColSum(x []float32, ld, rows, n int, y []float32) {
	if !runRows(colSum, ld, rows, n, [][]float32{x}, nil, y) {
		portable.ColSum(x, ld, rows, n, y)
	}
}

// ColMin stores the minimum of each column of at least one row: NaN wins, -0 is below +0.
func ColMin(x []float32, ld, rows, n int, y []float32) {
	if !runRows(colMin, ld, rows, n, [][]float32{x}, nil, y) {
		portable.ColMin(x, ld, rows, n, y)
	}
}

// ColMax stores the maximum of each column of at least one row: NaN wins, +0 is above -0.
func ColMax(x []float32, ld, rows, n int, y []float32) {
	if !runRows(colMax, ld, rows, n, [][]float32{x}, nil, y) {
		portable.ColMax(x, ld, rows, n, y)
	}
}

// Transpose32 is a portable.TransposeFunc for elements of 4 bytes.
func Transpose32(y []uint32, ldy int, x []uint32, ldx, rows, cols int) {
	if !Available() || rows < 8 || cols < 8 {
		portable.TransposePlane(y, ldy, x, ldx, rows, cols)
		return
	}
	matrix("Transpose32", "x", cols, rows, len(x), ldx)
	matrix("Transpose32", "y", rows, cols, len(y), ldy)
	transposeBlocks(y, ldy, x, ldx, rows, cols, 8, transpose32)
}

// Transpose64 is a portable.TransposeFunc for elements of 8 bytes.
func Transpose64(y []uint64, ldy int, x []uint64, ldx, rows, cols int) {
	if !Available() || rows < 4 || cols < 4 {
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
