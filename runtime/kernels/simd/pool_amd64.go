//go:build amd64 && !noasm

package simd

import "github.com/graphrun/graphrun/runtime/kernels/portable"

// maximaFunc computes rows rows of n vectors, both positive, of maxima of 2x2 cells with a stride of 2 of a plane whose rows
// are w apart, and unless index is nil where they are, if x is cell at. Rows of y and index are ld apart. Of equal cells
// it is the first, and the first NaN.
type maximaFunc[T portable.Float] func(rows, n int, x *T, w int, y *T, ld int, index *int64, at int)

// meansFunc computes rows rows of n vectors, both positive, of means of 2x2 cells in the same way.
type meansFunc[T portable.Float] func(rows, n int, x *T, w int, y *T, ld int)

// quadPool is the engine of pooling: functions for vectors of 32 bytes, and of 16 for short rows.
type quadPool[T portable.Float] struct {
	lanes  int // of the wide ones
	maxima [2]maximaFunc[T]
	means  [2]meansFunc[T]
}

var (
	quadsF32 = quadPool[float32]{8, [2]maximaFunc[float32]{maxima8F32, maxima4F32}, [2]meansFunc[float32]{means8F32, means4F32}}
	quadsF64 = quadPool[float64]{4, [2]maximaFunc[float64]{maxima4F64, maxima2F64}, [2]meansFunc[float64]{means4F64, means2F64}}
)

func poolF32() portable.PoolEngine[float32] { return &quadsF32 }
func poolF64() portable.PoolEngine[float64] { return &quadsF64 }

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
		portable.PlainPool[T]{}.Max(y, index, x, n, w)
		return
	}
	var first, last *int64
	end, rows := n-lanes, len(y)/n
	if index != nil {
		first, last = &index[0], &index[end]
	}
	e.maxima[kind](rows, n/lanes, &x[0], w, &y[0], n, first, 0)
	if n%lanes != 0 {
		e.maxima[kind](rows, 1, &x[2*end], w, &y[end], n, last, 2*end)
	}
}

// Mean is to means as Max is to maxima.
func (e *quadPool[T]) Mean(y, x []T, n, w int) {
	lanes, kind := e.lanesFor(n)
	if lanes == 0 {
		portable.PlainPool[T]{}.Mean(y, x, n, w)
		return
	}
	end, rows := n-lanes, len(y)/n
	e.means[kind](rows, n/lanes, &x[0], w, &y[0], n)
	if n%lanes != 0 {
		e.means[kind](rows, 1, &x[2*end], w, &y[end], n)
	}
}
