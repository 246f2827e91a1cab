//go:build amd64 && !noasm

package avx

import (
	"unsafe"

	"github.com/graphrun/graphrun/runtime/kernels/backend"
	"github.com/graphrun/graphrun/runtime/kernels/backend/plain"
)

// rowOperands are what a kernel works on: matrices of rows of n elements, ld apart, of which the first may be written, vectors of n
// elements, and scalars for each row, the last of which may be written. The assembly knows this layout.
type rowOperands struct {
	ld, rows, n int
	matrices    [3]*float32
	vectors     [2]*float32
	scalars     [3]*float32
}

// rowKernel is the number of a kernel for rows.
type rowKernel int

// name returns what both levels call a kernel.
func (k rowKernel) name() string { return rowNames[(k-1)%rowWide+1] }

// run calls the kernel with slices that it checks: it panics unless they hold the operands. It reports false where there are no
// elements, so that plain Go has to say what that comes to. Scalars may be float64 in truth.
func (k rowKernel) run(ld, rows, n int, matrices, scalars [][]float32, vectors ...[]float32) bool {
	if rows <= 0 {
		return false
	}
	o := rowOperands{ld: ld, rows: rows, n: n}
	for i, m := range matrices {
		if n > 0 {
			backend.NeedMatrix(k.name(), "matrix", rows, n, len(m), ld)
			o.matrices[i] = unsafe.SliceData(m)
		}
	}
	for i, s := range scalars {
		backend.Need(k.name(), "what there is one of per row", len(s), rows)
		o.scalars[i] = unsafe.SliceData(s)
	}
	if n <= 0 {
		return false
	}
	for i, v := range vectors {
		backend.NeedMatrix(k.name(), "vector", 1, n, len(v), n)
		o.vectors[i] = unsafe.SliceData(v)
	}
	rowCall(&o, int(k))
	return true
}

// doubles passes scalars in double precision.
func doubles(s []float64) []float32 {
	return unsafe.Slice((*float32)(unsafe.Pointer(unsafe.SliceData(s))), len(s))
}

// reduceRows is a function that makes one scalar of each row. Here and below, what was there does what has no elements. Inlined, the
// closures would be there once for each kernel.
//
//go:noinline
func reduceRows(k rowKernel, was func(x []float32, ld, rows, n int, y []float32)) func(x []float32, ld, rows, n int, y []float32) {
	return func(x []float32, ld, rows, n int, y []float32) {
		if !k.run(ld, rows, n, [][]float32{x}, [][]float32{y}) {
			was(x, ld, rows, n, y)
		}
	}
}

// reduceCols is a function that makes one row of all.
//
//go:noinline
func reduceCols(k rowKernel, was func(x []float32, ld, rows, n int, y []float32)) func(x []float32, ld, rows, n int, y []float32) {
	return func(x []float32, ld, rows, n int, y []float32) {
		if !k.run(ld, rows, n, [][]float32{x}, nil, y) {
			was(x, ld, rows, n, y)
		}
	}
}

// mapRows is a function that makes rows of rows by two scalars.
//
//go:noinline
func mapRows(k rowKernel, was func(y, x []float32, ld, rows, n int, p, q []float32)) func(y, x []float32, ld, rows, n int, p, q []float32) {
	return func(y, x []float32, ld, rows, n int, p, q []float32) {
		if !k.run(ld, rows, n, [][]float32{y, x}, [][]float32{p, q}) {
			was(y, x, ld, rows, n, p, q)
		}
	}
}

// fillRows puts in the functions over rows of a level.
func fillRows(r *backend.Rows[float32], wide bool) {
	kernel := func(number rowKernel) rowKernel {
		if wide {
			number += rowWide
		}
		return number
	}
	was := *r
	r.Top = reduceRows(kernel(rowTop), was.Top)
	r.Reduce[backend.Sum] = reduceRows(kernel(rowSum), was.Reduce[backend.Sum])
	r.Reduce[backend.MinOf] = reduceRows(kernel(rowMin), was.Reduce[backend.MinOf])
	r.Reduce[backend.MaxOf] = reduceRows(kernel(rowMax), was.Reduce[backend.MaxOf])
	r.ReduceCols[backend.Sum] = reduceCols(kernel(colSum), was.ReduceCols[backend.Sum])
	r.ReduceCols[backend.MinOf] = reduceCols(kernel(colMin), was.ReduceCols[backend.MinOf])
	r.ReduceCols[backend.MaxOf] = reduceCols(kernel(colMax), was.ReduceCols[backend.MaxOf])
	r.Exp = mapRows(kernel(rowExp), was.Exp)
	r.Shift = mapRows(kernel(rowShift), was.Shift)
	r.Norm = mapRows(kernel(rowNorm), was.Norm)
	sumExp, scale, sumWide, squares := kernel(rowSumExp), kernel(rowScale), kernel(rowSumWide), kernel(rowSquares)
	r.SumExp = func(x []float32, ld, rows, n int, top []float32, sum []float64) {
		if !sumExp.run(ld, rows, n, [][]float32{x}, [][]float32{top, doubles(sum)}) {
			was.SumExp(x, ld, rows, n, top, sum)
		}
	}
	r.Scale = func(y []float32, ld, rows, n int, scales []float32) {
		if !scale.run(ld, rows, n, [][]float32{y}, [][]float32{scales}) {
			was.Scale(y, ld, rows, n, scales)
		}
	}
	r.SumWide = func(x []float32, ld, rows, n int, sum []float64) {
		if !sumWide.run(ld, rows, n, [][]float32{x}, [][]float32{doubles(sum)}) {
			was.SumWide(x, ld, rows, n, sum)
		}
	}
	r.Squares = func(x []float32, ld, rows, n int, mean, sum []float32) {
		if !squares.run(ld, rows, n, [][]float32{x}, [][]float32{mean, sum}) {
			was.Squares(x, ld, rows, n, mean, sum)
		}
	}
	dot, affine, normGrad := kernel(rowDot), kernel(rowAffine), kernel(rowNormGrad)
	r.Dot = func(x, y []float32, ld, rows, n int, sum []float32) {
		if !dot.run(ld, rows, n, [][]float32{x, y}, [][]float32{sum}) {
			was.Dot(x, y, ld, rows, n, sum)
		}
	}
	r.Affine = func(y, x []float32, ld, rows, n int, mean, scale, weight, bias []float32) {
		if !affine.run(ld, rows, n, [][]float32{y, x}, [][]float32{mean, scale}, weight, bias) {
			was.Affine(y, x, ld, rows, n, mean, scale, weight, bias)
		}
	}
	r.NormGrad = func(dx, dy, y []float32, ld, rows, n int, mean, along, scale []float32) {
		if !normGrad.run(ld, rows, n, [][]float32{dx, dy, y}, [][]float32{mean, along, scale}) {
			was.NormGrad(dx, dy, y, ld, rows, n, mean, along, scale)
		}
	}
}

// transpose32 is a backend.Transpose for elements of 4 bytes.
func transpose32(y []uint32, ldy int, x []uint32, ldx, rows, cols int) {
	if rows < 8 || cols < 8 {
		plain.Transpose(y, ldy, x, ldx, rows, cols)
		return
	}
	backend.NeedMatrix("Transpose32", "x", cols, rows, len(x), ldx)
	backend.NeedMatrix("Transpose32", "y", rows, cols, len(y), ldy)
	transposeBlocks(y, ldy, x, ldx, rows, cols, 8, transposeF32)
}

// transpose64 is a backend.Transpose for elements of 8 bytes.
func transpose64(y []uint64, ldy int, x []uint64, ldx, rows, cols int) {
	if rows < 4 || cols < 4 {
		plain.Transpose(y, ldy, x, ldx, rows, cols)
		return
	}
	backend.NeedMatrix("Transpose64", "x", cols, rows, len(x), ldx)
	backend.NeedMatrix("Transpose64", "y", rows, cols, len(y), ldy)
	transposeBlocks(y, ldy, x, ldx, rows, cols, 4, transposeF64)
}

// transposeBlocks transposes blocks of side elements by the kernel of a number; the last ones overlap those before them.
func transposeBlocks[T any](y []T, ldy int, x []T, ldx, rows, cols, side, kernel int) {
	block := func(k int, src, dst *T) {
		transposeCall(k, unsafe.Pointer(src), ldx, side, unsafe.Pointer(dst), ldy, kernel)
	}
	for c := 0; c < cols; c += side {
		c := min(c, cols-side)
		block(rows&^(side-1), &x[c*ldx], &y[c])
		if rows%side != 0 {
			r := rows - side
			block(side, &x[c*ldx+r], &y[r*ldy+c])
		}
	}
}
