package kernels

import (
	"math"
	"unsafe"

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

// wrapping are the rows of an op that only adds or multiplies: integers wrap alike whatever their sign.
func wrapping(f32, f64, w8, w16, w32, w64 binder) map[graph.DType]binder {
	return map[graph.DType]binder{
		graph.F32: f32, graph.F64: f64,
		graph.I8: w8, graph.I16: w16, graph.I32: w32, graph.I64: w64, graph.U8: w8, graph.U16: w16, graph.U32: w32, graph.U64: w64,
	}
}

// reducer reduces storage of elements of a size: rows of n elements that are neighbours, or columns of a matrix of one row or more,
// whose rows are ld elements apart.
type reducer struct {
	size int
	rows func(x []byte, ld, rows, n int, y []byte)
	cols func(x []byte, ld, rows, n int, y []byte)
	// none fills y with the result over no elements.
	none func(y []byte)
	// divide, where set, divides y by n at last.
	divide func(y []byte, n int)
}

// reducing makes a reducer of functions of elements.
func reducing[T portable.Number](rows, cols func(x []T, ld, rows, n int, y []T), none T) reducer {
	return reducer{
		size: int(unsafe.Sizeof(none)),
		rows: func(x []byte, ld, r, n int, y []byte) { rows(cells[T](x), ld, r, n, cells[T](y)) },
		cols: func(x []byte, ld, r, n int, y []byte) { cols(cells[T](x), ld, r, n, cells[T](y)) },
		none: func(y []byte) { fill(cells[T](y), none) },
	}
}

func fill[T portable.Number](y []T, v T) {
	for i := range y {
		y[i] = v
	}
}

// averaging is a sum that is divided by the number of elements.
func averaging[T portable.Float](sum reducer) reducer {
	sum.none = func(y []byte) { fill(cells[T](y), T(math.NaN())) }
	sum.divide = func(y []byte, n int) {
		y0 := cells[T](y)
		for i, v := range y0 {
			y0[i] = v / T(n)
		}
	}
	return sum
}

func sums[T portable.Number]() reducer {
	return reducing(portable.RowSum[T], portable.ColSum[T], 0)
}

func products[T portable.Number]() reducer {
	return reducing(portable.RowProd[T], portable.ColProd[T], 1)
}

func maxima[T portable.Number](least T) reducer {
	return reducing(portable.RowMax[T], portable.ColMax[T], least)
}

func minima[T portable.Number](greatest T) reducer {
	return reducing(portable.RowMin[T], portable.ColMin[T], greatest)
}

func init() {
	inf := math.Inf(1)
	sum32, sum64 := reducing(simd.RowSum, simd.ColSum, 0), sums[float64]()
	perDType("reduce_mean", nil, map[graph.DType]binder{
		graph.F32: averaging[float32](sum32).bind, graph.F64: averaging[float64](sum64).bind,
	})
	perDType("reduce_sum", nil, wrapping(sum32.bind, sum64.bind,
		sums[uint8]().bind, sums[uint16]().bind, sums[uint32]().bind, sums[uint64]().bind))
	perDType("reduce_prod", nil, wrapping(products[float32]().bind, products[float64]().bind,
		products[uint8]().bind, products[uint16]().bind, products[uint32]().bind, products[uint64]().bind))
	perDType("reduce_max", nil, map[graph.DType]binder{
		graph.F32: reducing(simd.RowMax, simd.ColMax, float32(-inf)).bind, graph.F64: maxima(-inf).bind,
		graph.I8: maxima[int8](math.MinInt8).bind, graph.I16: maxima[int16](math.MinInt16).bind,
		graph.I32: maxima[int32](math.MinInt32).bind, graph.I64: maxima[int64](math.MinInt64).bind,
		graph.U8: maxima[uint8](0).bind, graph.U16: maxima[uint16](0).bind,
		graph.U32: maxima[uint32](0).bind, graph.U64: maxima[uint64](0).bind,
	})
	perDType("reduce_min", nil, map[graph.DType]binder{
		graph.F32: reducing(simd.RowMin, simd.ColMin, float32(inf)).bind, graph.F64: minima(inf).bind,
		graph.I8: minima[int8](math.MaxInt8).bind, graph.I16: minima[int16](math.MaxInt16).bind,
		graph.I32: minima[int32](math.MaxInt32).bind, graph.I64: minima[int64](math.MaxInt64).bind,
		graph.U8: minima[uint8](math.MaxUint8).bind, graph.U16: minima[uint16](math.MaxUint16).bind,
		graph.U32: minima[uint32](math.MaxUint32).bind, graph.U64: minima[uint64](math.MaxUint64).bind,
	})
	// of bytes that are 0 and 1
	perDType("reduce_any", nil, map[graph.DType]binder{graph.Bool: maxima[uint8](0).bind})
	perDType("reduce_all", nil, map[graph.DType]binder{graph.Bool: minima[uint8](1).bind})
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

// bind makes the function of a reduction over the attribute axes.
func (op reducer) bind(s *Spec) (Func, error) {
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
		return func(c *Call) error { op.none(c.Out[0].Bytes()); return nil }, nil
	}
	var steps []Func
	source := func(c *Call) []byte { return c.In[0].Bytes() }
	stages := portable.Stages(shape, axes)
	for i, st := range stages {
		for {
			chunk := rowChunk
			if st.Inner > 1 {
				chunk = colChunk
			}
			chunks := (st.R + chunk - 1) / chunk
			var to func(c *Call) []byte
			if chunks == 1 && i == len(stages)-1 {
				to = func(c *Call) []byte { return c.Out[0].Bytes() }
			} else {
				scratch := newCells(st.Outer*chunks*st.Inner, op.size)
				to = func(*Call) []byte { return scratch }
			}
			steps = append(steps, op.step(st, chunk, source, to))
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
	if op.divide != nil && count > 1 {
		steps = append(steps, inRanges(size/count, 1, func(c *Call, _, lo, hi int) {
			op.divide(c.Out[0].Bytes()[lo*op.size:hi*op.size], count)
		}))
	}
	return inTurn(steps...), nil
}

// step reduces each chunk of a stage.
func (op reducer) step(st portable.Stage, chunk int, from, to func(c *Call) []byte) Func {
	chunks := (st.R + chunk - 1) / chunk
	size := st.Outer * st.R * st.Inner
	switch {
	case st.Inner == 1 && chunks == 1:
		return inRanges(st.Outer, 2+st.R/8, func(c *Call, _, lo, hi int) {
			op.rows(from(c)[lo*st.R*op.size:], st.R, hi-lo, st.R, to(c)[lo*op.size:])
		})
	case st.Inner == 1:
		return inRanges(st.Outer*chunks, chunk/8, func(c *Call, _, lo, hi int) {
			x, y := from(c), to(c)
			for i := lo; i < hi; i++ {
				at := i % chunks * chunk
				op.rows(x[(i/chunks*st.R+at)*op.size:], 0, 1, min(chunk, st.R-at), y[i*op.size:])
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
			op.cols(x[((part/chunks*st.R+row)*st.Inner+col)*op.size:], st.Inner, min(chunk, st.R-row), min(colStrip, st.Inner-col),
				y[(part*st.Inner+col)*op.size:])
		}
	})
}

// arg returns the binder of the search for the position of an extremum along an axis.
func arg[T portable.Number](find func(y []int64, x []T, outer, r, inner int)) binder {
	size := int(unsafe.Sizeof(T(0)))
	return bindArg(size, func(y []int64, x []byte, outer, r, inner int) { find(y, cells[T](x), outer, r, inner) })
}

func bindArg(size int, find func(y []int64, x []byte, outer, r, inner int)) binder {
	return func(s *Spec) (Func, error) {
		shape := sizesOf(s.InTypes[0])
		axis := axisOf(s, len(shape))
		outer, inner := around(shape, axis)
		n := shape[axis]
		return inRanges(outer, n*inner*2, func(c *Call, _, lo, hi int) {
			find(elems[int64](c.Out[0])[lo*inner:], c.In[0].Bytes()[lo*n*inner*size:], hi-lo, n, inner)
		}), nil
	}
}
