package kernels

import (
	"math"

	"github.com/graphrun/graphrun/graph"
	"github.com/graphrun/graphrun/runtime/kernels/portable"
	"github.com/graphrun/graphrun/runtime/kernels/simd"
)

// binder makes the function of a row of the table; see Kernel.Bind.
type binder = func(s *Spec) (Func, error)

// perDType adds a row to the table for each dtype of the first operand.
func perDType(op string, match func([]graph.TensorType, graph.Attrs) bool, rows map[graph.DType]binder) {
	for d, bind := range rows {
		register(&Kernel{Op: op, DTypes: graph.DTypes(d), Match: match, Bind: bind})
	}
}

// reducer reduces rows, of n elements that are neighbours, or columns of a matrix of one row or more, whose rows are ld apart.
type reducer[T portable.Number] struct {
	rows func(x []T, ld, rows, n int, y []T)
	cols func(x []T, ld, rows, n int, y []T)
	// none is the result over no elements.
	none T
}

func sums[T portable.Number]() reducer[T] {
	return reducer[T]{portable.RowSum[T], portable.ColSum[T], 0}
}

func products[T portable.Number]() reducer[T] {
	return reducer[T]{portable.RowProd[T], portable.ColProd[T], 1}
}

func maxima[T portable.Number](least T) reducer[T] {
	return reducer[T]{portable.RowMax[T], portable.ColMax[T], least}
}

func minima[T portable.Number](greatest T) reducer[T] {
	return reducer[T]{portable.RowMin[T], portable.ColMin[T], greatest}
}

func init() {
	inf, nan := math.Inf(1), math.NaN()
	sum32 := reducer[float32]{simd.RowSum, simd.ColSum, 0}
	perDType("reduce_mean", nil, map[graph.DType]binder{
		graph.F32: reduction(reducer[float32]{sum32.rows, sum32.cols, float32(nan)}, true),
		graph.F64: reduction(reducer[float64]{portable.RowSum[float64], portable.ColSum[float64], nan}, true),
	})
	perDType("reduce_sum", nil, map[graph.DType]binder{
		graph.F32: reduction(sum32, false), graph.F64: reduction(sums[float64](), false),
		graph.I8: reduction(sums[int8](), false), graph.I16: reduction(sums[int16](), false),
		graph.I32: reduction(sums[int32](), false), graph.I64: reduction(sums[int64](), false),
		graph.U8: reduction(sums[uint8](), false), graph.U16: reduction(sums[uint16](), false),
		graph.U32: reduction(sums[uint32](), false), graph.U64: reduction(sums[uint64](), false),
	})
	perDType("reduce_prod", nil, map[graph.DType]binder{
		graph.F32: reduction(products[float32](), false), graph.F64: reduction(products[float64](), false),
		graph.I8: reduction(products[int8](), false), graph.I16: reduction(products[int16](), false),
		graph.I32: reduction(products[int32](), false), graph.I64: reduction(products[int64](), false),
		graph.U8: reduction(products[uint8](), false), graph.U16: reduction(products[uint16](), false),
		graph.U32: reduction(products[uint32](), false), graph.U64: reduction(products[uint64](), false),
	})
	perDType("reduce_max", nil, map[graph.DType]binder{
		graph.F32: reduction(reducer[float32]{simd.RowMax, simd.ColMax, float32(-inf)}, false), graph.F64: reduction(maxima(-inf), false),
		graph.I8: reduction(maxima[int8](math.MinInt8), false), graph.I16: reduction(maxima[int16](math.MinInt16), false),
		graph.I32: reduction(maxima[int32](math.MinInt32), false), graph.I64: reduction(maxima[int64](math.MinInt64), false),
		graph.U8: reduction(maxima[uint8](0), false), graph.U16: reduction(maxima[uint16](0), false),
		graph.U32: reduction(maxima[uint32](0), false), graph.U64: reduction(maxima[uint64](0), false),
	})
	perDType("reduce_min", nil, map[graph.DType]binder{
		graph.F32: reduction(reducer[float32]{simd.RowMin, simd.ColMin, float32(inf)}, false), graph.F64: reduction(minima(inf), false),
		graph.I8: reduction(minima[int8](math.MaxInt8), false), graph.I16: reduction(minima[int16](math.MaxInt16), false),
		graph.I32: reduction(minima[int32](math.MaxInt32), false), graph.I64: reduction(minima[int64](math.MaxInt64), false),
		graph.U8: reduction(minima[uint8](math.MaxUint8), false), graph.U16: reduction(minima[uint16](math.MaxUint16), false),
		graph.U32: reduction(minima[uint32](math.MaxUint32), false), graph.U64: reduction(minima[uint64](math.MaxUint64), false),
	})
	// of bytes that are 0 and 1
	perDType("reduce_any", nil, map[graph.DType]binder{graph.Bool: reduction(maxima[uint8](0), false)})
	perDType("reduce_all", nil, map[graph.DType]binder{graph.Bool: reduction(minima[uint8](1), false)})
	perDType("argmax", someLanes, map[graph.DType]binder{
		graph.F32: arg(portable.ArgMax[float32]), graph.F64: arg(portable.ArgMax[float64]),
		graph.I8: arg(portable.ArgMax[int8]), graph.I16: arg(portable.ArgMax[int16]),
		graph.I32: arg(portable.ArgMax[int32]), graph.I64: arg(portable.ArgMax[int64]),
		graph.U8: arg(portable.ArgMax[uint8]), graph.U16: arg(portable.ArgMax[uint16]),
		graph.U32: arg(portable.ArgMax[uint32]), graph.U64: arg(portable.ArgMax[uint64]),
	})
	perDType("argmin", someLanes, map[graph.DType]binder{
		graph.F32: arg(portable.ArgMin[float32]), graph.F64: arg(portable.ArgMin[float64]),
		graph.I8: arg(portable.ArgMin[int8]), graph.I16: arg(portable.ArgMin[int16]),
		graph.I32: arg(portable.ArgMin[int32]), graph.I64: arg(portable.ArgMin[int64]),
		graph.U8: arg(portable.ArgMin[uint8]), graph.U16: arg(portable.ArgMin[uint16]),
		graph.U32: arg(portable.ArgMin[uint32]), graph.U64: arg(portable.ArgMin[uint64]),
	})
}

// someLanes leaves a search along an axis of no elements to the reference, which refuses it.
func someLanes(in []graph.TensorType, attrs graph.Attrs) bool {
	axis := attrs.Int("axis")
	if axis < 0 {
		axis += in[0].Rank()
	}
	n, ok := in[0].Shape[axis].Int()
	return !ok || n > 0
}

const (
	// rowChunk elements of a row, and colChunk rows of a column, are reduced at once. Longer ones are cut into chunks whose results
	// are reduced in the same way, so that the order of operations depends on the shape only, and the error of a sum grows with the
	// logarithm of its length.
	rowChunk = 1 << 12
	colChunk = 1 << 7
	// colStrip columns are reduced at once.
	colStrip = 1 << 8
)

// reduction returns the binder of a reduction over the attribute axes; mean divides by the number of elements.
func reduction[T portable.Number](op reducer[T], mean bool) binder {
	return func(s *Spec) (Func, error) {
		shape := sizesOf(s.InTypes[0])
		axes := append([]int(nil), s.Ints("axes")...)
		size, count := 1, 1
		for i, a := range axes {
			if a < 0 {
				axes[i] = a + len(shape)
			}
			count *= shape[axes[i]]
		}
		for _, d := range shape {
			size *= d
		}
		if size == 0 {
			return func(c *Call) error {
				y := elems[T](c.Out[0])
				for i := range y {
					y[i] = op.none
				}
				return nil
			}, nil
		}
		var steps []Func
		source := func(c *Call) []T { return elems[T](c.In[0]) }
		stages := portable.Stages(shape, axes)
		for i, st := range stages {
			for {
				chunk := rowChunk
				if st.Inner > 1 {
					chunk = colChunk
				}
				chunks := (st.R + chunk - 1) / chunk
				var to func(c *Call) []T
				if chunks == 1 && i == len(stages)-1 {
					to = func(c *Call) []T { return elems[T](c.Out[0]) }
				} else {
					scratch := make([]T, st.Outer*chunks*st.Inner)
					to = func(*Call) []T { return scratch }
				}
				steps = append(steps, reduceStep(op, st, chunk, source, to))
				source = to
				if chunks == 1 {
					break
				}
				st.R = chunks
			}
		}
		if len(steps) == 0 {
			return func(c *Call) error { copy(c.Out[0].Bytes(), c.In[0].Bytes()); return nil }, nil
		}
		if mean && count > 1 {
			steps = append(steps, inRanges(size/count, 1, func(c *Call, _, lo, hi int) {
				n := T(count)
				for i, v := range elems[T](c.Out[0])[lo:hi] {
					elems[T](c.Out[0])[lo+i] = v / n
				}
			}))
		}
		return inTurn(steps...), nil
	}
}

// reduceStep reduces each chunk of a stage.
func reduceStep[T portable.Number](op reducer[T], st portable.Stage, chunk int, from, to func(c *Call) []T) Func {
	chunks := (st.R + chunk - 1) / chunk
	size := st.Outer * st.R * st.Inner
	switch {
	case st.Inner == 1 && chunks == 1:
		return inRanges(st.Outer, 2+st.R/8, func(c *Call, _, lo, hi int) {
			op.rows(from(c)[lo*st.R:], st.R, hi-lo, st.R, to(c)[lo:])
		})
	case st.Inner == 1:
		return inRanges(st.Outer*chunks, chunk/8, func(c *Call, _, lo, hi int) {
			x, y := from(c), to(c)
			for i := lo; i < hi; i++ {
				at := i % chunks * chunk
				op.rows(x[i/chunks*st.R+at:], 0, 1, min(chunk, st.R-at), y[i:])
			}
		})
	}
	strips := (st.Inner + colStrip - 1) / colStrip
	parts := st.Outer * chunks * strips
	return inRanges(parts, max(1, size/parts/8), func(c *Call, _, lo, hi int) {
		x, y := from(c), to(c)
		for i := lo; i < hi; i++ {
			col := i % strips * colStrip
			part := i / strips // of outer and chunks
			row := part % chunks * chunk
			op.cols(x[(part/chunks*st.R+row)*st.Inner+col:], st.Inner, min(chunk, st.R-row), min(colStrip, st.Inner-col), y[part*st.Inner+col:])
		}
	})
}

// arg returns the binder of the search for the position of an extremum along an axis.
func arg[T portable.Number](find func(y []int64, x []T, outer, r, inner int)) binder {
	return func(s *Spec) (Func, error) {
		shape := sizesOf(s.InTypes[0])
		axis := axisOf(s, len(shape))
		outer, inner := around(shape, axis)
		n := shape[axis]
		return inRanges(outer, n*inner*2, func(c *Call, _, lo, hi int) {
			find(elems[int64](c.Out[0])[lo*inner:], elems[T](c.In[0])[lo*n*inner:], hi-lo, n, inner)
		}), nil
	}
}
