//go:build amd64 && !noasm

package simd

import "github.com/graphrun/graphrun/runtime/kernels/portable"

// maximaFunc computes n vectors, n > 0, of maxima of 2x2 cells with a stride of 2 from two rows of cells and, unless index
// is nil, where they are, if r0 is cell at and r1 w cells behind it. Of equal ones it is the first, and the first NaN.
type maximaFunc[T portable.Float] func(n int, r0, r1, y *T, index *int64, at, w int)

// meansFunc computes n vectors, n > 0, of means of 2x2 cells with a stride of 2.
type meansFunc[T portable.Float] func(n int, r0, r1, y *T)

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

// Max covers a row by vectors, the last of which may overlap the one before.
func (e *quadPool[T]) Max(y []T, index []int64, r0, r1 []T, at, w int) {
	lanes, f := e.lanes, e.maxima[0]
	if len(y) < lanes {
		lanes, f = lanes/2, e.maxima[1]
	}
	if len(y) < lanes {
		portable.PlainPool[T]{}.Max(y, index, r0, r1, at, w)
		return
	}
	var first, last *int64
	end := len(y) - lanes
	if index != nil {
		first, last = &index[0], &index[end]
	}
	f(len(y)/lanes, &r0[0], &r1[0], &y[0], first, at, w)
	if len(y)%lanes != 0 {
		f(1, &r0[2*end], &r1[2*end], &y[end], last, at+2*end, w)
	}
}

// Mean is to means as Max is to maxima.
func (e *quadPool[T]) Mean(y []T, r0, r1 []T) {
	lanes, f := e.lanes, e.means[0]
	if len(y) < lanes {
		lanes, f = lanes/2, e.means[1]
	}
	if len(y) < lanes {
		portable.PlainPool[T]{}.Mean(y, r0, r1)
		return
	}
	f(len(y)/lanes, &r0[0], &r1[0], &y[0])
	if end := len(y) - lanes; len(y)%lanes != 0 {
		f(1, &r0[2*end], &r1[2*end], &y[end])
	}
}
