//go:build amd64 && !noasm

package avx

import (
	"unsafe"

	"github.com/graphrun/graphrun/runtime/kernels/backend"
	"github.com/graphrun/graphrun/runtime/kernels/backend/plain"
)

// quadPool is the engine of pooling: the numbers of kernels for vectors of 32 bytes, and of 16 for short rows.
//
// maximaCall computes rows rows of n vectors, both positive, of maxima of 2x2 cells with a stride of 2 of a plane whose rows
// are w apart, and unless index is nil where they are, if x is cell at. Rows of y and index are ld apart. Of equal cells
// it is the first, and the first NaN. meansCall computes means in the same way.
type quadPool[T backend.Float] struct {
	lanes         int // of the wide ones
	maxima, means [2]int
}

// lanesFor chooses the functions for rows of n: the wide ones, the narrow ones, or with no lanes neither.
func (e *quadPool[T]) lanesFor(n int) (lanes, kind int) {
	switch {
	case n >= e.lanes:
		return e.lanes, 0
	case n >= e.lanes/2:
		return e.lanes / 2, 1
	}
	return 0, 0
}

// Max covers rows by vectors, the last of which may overlap the one before.
func (e *quadPool[T]) Max(y []T, index []int64, x []T, n, w int) {
	lanes, kind := e.lanesFor(n)
	if lanes == 0 {
		new(plain.Pool[T]).Max(y, index, x, n, w)
		return
	}
	var first, last *int64
	end, rows := n-lanes, len(y)/n
	if index != nil {
		first, last = &index[0], &index[end]
	}
	maximaCall(rows, n/lanes, unsafe.Pointer(&x[0]), w, unsafe.Pointer(&y[0]), n, first, 0, e.maxima[kind])
	if n%lanes != 0 {
		maximaCall(rows, 1, unsafe.Pointer(&x[2*end]), w, unsafe.Pointer(&y[end]), n, last, 2*end, e.maxima[kind])
	}
}

// Mean is to means as Max is to maxima.
func (e *quadPool[T]) Mean(y, x []T, n, w int) {
	lanes, kind := e.lanesFor(n)
	if lanes == 0 {
		new(plain.Pool[T]).Mean(y, x, n, w)
		return
	}
	end, rows := n-lanes, len(y)/n
	meansCall(rows, n/lanes, unsafe.Pointer(&x[0]), w, unsafe.Pointer(&y[0]), n, e.means[kind])
	if n%lanes != 0 {
		meansCall(rows, 1, unsafe.Pointer(&x[2*end]), w, unsafe.Pointer(&y[end]), n, e.means[kind])
	}
}
