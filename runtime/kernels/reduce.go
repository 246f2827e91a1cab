package kernels

import (
	"math"

	"github.com/graphrun/graphrun/graph"
	"github.com/graphrun/graphrun/runtime/kernels/portable"
	"github.com/graphrun/graphrun/runtime/kernels/simd"
	"github.com/graphrun/graphrun/runtime/value"
)

// binder makes the function of a row of the table; see Kernel.Bind.
type binder = func(s *Spec) (Func, error)

// perDType adds a row to the table for each dtype of the first operand.
func perDType(op string, match func([]graph.TensorType, graph.Attrs) bool, rows map[graph.DType]binder) {
	for d, bind := range rows {
		register(&Kernel{Op: op, DTypes: graph.DTypes(d), Match: match, Bind: bind})
	}
}

// reduceOp names a reduction.
type reduceOp uint8

const (
	sumOf reduceOp = iota
	meanOf
	prodOf
	maxOf
	minOf
)

// reducer is a reduction of a dtype.
type reducer struct {
	op   reduceOp
	d    graph.DType
	size int
}

// none returns what fills the result of a reduction over no elements.
func (r reducer) none() uint64 {
	var v float64
	least, greatest := uint64(0), ^uint64(0)
	if r.d.IsInteger() && r.d.Domain() == value.Ints {
		least = 1 << (r.d.Bits() - 1)
		greatest = least - 1
	}
	switch r.op {
	case prodOf:
		v, least = 1, 1
	case maxOf:
		v = math.Inf(-1)
	case minOf:
		v, least = math.Inf(1), greatest
	default:
		least = 0
		if r.op == meanOf {
			v = math.NaN()
		}
	}
	switch r.d {
	case graph.F32:
		return uint64(math.Float32bits(float32(v)))
	case graph.F64:
		return math.Float64bits(v)
	case graph.Bool:
		return least & 1
	}
	return least
}

// rows reduces rows of n elements, which are neighbours.
func (r reducer) rows(x []byte, ld, rows, n int, y []byte) {
	switch d := r.d; {
	case d == graph.F32 && r.op <= meanOf:
		simd.RowSum(cells[float32](x), ld, rows, n, cells[float32](y))
	case d == graph.F32 && r.op == maxOf:
		simd.RowMax(cells[float32](x), ld, rows, n, cells[float32](y))
	case d == graph.F32 && r.op == minOf:
		simd.RowMin(cells[float32](x), ld, rows, n, cells[float32](y))
	case d == graph.F32:
		reduceRows[float32](r.op, x, ld, rows, n, y)
	case d == graph.F64:
		reduceRows[float64](r.op, x, ld, rows, n, y)
	case d == graph.I8:
		reduceRows[int8](r.op, x, ld, rows, n, y)
	case d == graph.I16:
		reduceRows[int16](r.op, x, ld, rows, n, y)
	case d == graph.I32:
		reduceRows[int32](r.op, x, ld, rows, n, y)
	case d == graph.I64:
		reduceRows[int64](r.op, x, ld, rows, n, y)
	case d == graph.U16:
		reduceRows[uint16](r.op, x, ld, rows, n, y)
	case d == graph.U32:
		reduceRows[uint32](r.op, x, ld, rows, n, y)
	case d == graph.U64:
		reduceRows[uint64](r.op, x, ld, rows, n, y)
	default:
		reduceRows[uint8](r.op, x, ld, rows, n, y)
	}
}

func reduceRows[T portable.Number](op reduceOp, xb []byte, ld, rows, n int, yb []byte) {
	x, y := cells[T](xb), cells[T](yb)
	switch op {
	case sumOf, meanOf:
		portable.RowSum(x, ld, rows, n, y)
	case prodOf:
		portable.RowProd(x, ld, rows, n, y)
	case maxOf:
		portable.RowMax(x, ld, rows, n, y)
	default:
		portable.RowMin(x, ld, rows, n, y)
	}
}

// cols reduces the columns of a matrix of one row or more, whose rows are ld elements apart.
func (r reducer) cols(x []byte, ld, rows, n int, y []byte) {
	switch d := r.d; {
	case d == graph.F32 && r.op <= meanOf:
		simd.ColSum(cells[float32](x), ld, rows, n, cells[float32](y))
	case d == graph.F32 && r.op == maxOf:
		simd.ColMax(cells[float32](x), ld, rows, n, cells[float32](y))
	case d == graph.F32 && r.op == minOf:
		simd.ColMin(cells[float32](x), ld, rows, n, cells[float32](y))
	case d == graph.F32:
		reduceCols[float32](r.op, x, ld, rows, n, y)
	case d == graph.F64:
		reduceCols[float64](r.op, x, ld, rows, n, y)
	case d == graph.I8:
		reduceCols[int8](r.op, x, ld, rows, n, y)
	case d == graph.I16:
		reduceCols[int16](r.op, x, ld, rows, n, y)
	case d == graph.I32:
		reduceCols[int32](r.op, x, ld, rows, n, y)
	case d == graph.I64:
		reduceCols[int64](r.op, x, ld, rows, n, y)
	case d == graph.U16:
		reduceCols[uint16](r.op, x, ld, rows, n, y)
	case d == graph.U32:
		reduceCols[uint32](r.op, x, ld, rows, n, y)
	case d == graph.U64:
		reduceCols[uint64](r.op, x, ld, rows, n, y)
	default:
		reduceCols[uint8](r.op, x, ld, rows, n, y)
	}
}

func reduceCols[T portable.Number](op reduceOp, xb []byte, ld, rows, n int, yb []byte) {
	x, y := cells[T](xb), cells[T](yb)
	switch op {
	case sumOf, meanOf:
		portable.ColSum(x, ld, rows, n, y)
	case prodOf:
		portable.ColProd(x, ld, rows, n, y)
	case maxOf:
		portable.ColMax(x, ld, rows, n, y)
	default:
		portable.ColMin(x, ld, rows, n, y)
	}
}

// divide divides floats by n.
func (r reducer) divide(y []byte, n int) {
	if r.d == graph.F32 {
		divideFloats(cells[float32](y), float32(n))
	} else {
		divideFloats(cells[float64](y), float64(n))
	}
}

func divideFloats[T portable.Float](y []T, n T) {
	for i, v := range y {
		y[i] = v / n
	}
}

func init() {
	for _, row := range []struct {
		name   string
		dtypes graph.DTypeSet
		op     reduceOp
	}{
		{"reduce_mean", stripFloats, meanOf},
		{"reduce_sum", countables, sumOf},
		{"reduce_prod", countables, prodOf},
		{"reduce_max", countables, maxOf},
		{"reduce_min", countables, minOf},
		{"reduce_any", graph.Bools, maxOf}, // of bytes that are 0 and 1
		{"reduce_all", graph.Bools, minOf},
	} {
		register(&Kernel{Op: row.name, DTypes: row.dtypes, Bind: func(s *Spec) (Func, error) {
			d := s.InTypes[0].DType
			return reducer{row.op, d, sizeOf(d)}.bind(s)
		}})
	}
	register(&Kernel{Op: "argmax", DTypes: countables, Match: someLanes, Bind: func(s *Spec) (Func, error) { return bindArg(s, maxOf) }})
	register(&Kernel{Op: "argmin", DTypes: countables, Match: someLanes, Bind: func(s *Spec) (Func, error) { return bindArg(s, minOf) }})
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
		return func(c *Call) error { fill(op.size, c.Out[0].Bytes(), op.none()); return nil }, nil
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
	if op.op == meanOf && count > 1 {
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

// bindArg searches the position of an extremum along an axis.
func bindArg(s *Spec, op reduceOp) (Func, error) {
	shape, d := sizesOf(s.InTypes[0]), s.InTypes[0].DType
	axis, size := axisOf(s, len(shape)), sizeOf(d)
	outer, inner := around(shape, axis)
	n := shape[axis]
	return inRanges(outer, n*inner*2, func(c *Call, _, lo, hi int) {
		y, x, outer := elems[int64](c.Out[0])[lo*inner:], c.In[0].Bytes()[lo*n*inner*size:], hi-lo
		switch d {
		case graph.F32:
			argOf[float32](op, y, x, outer, n, inner)
		case graph.F64:
			argOf[float64](op, y, x, outer, n, inner)
		case graph.I8:
			argOf[int8](op, y, x, outer, n, inner)
		case graph.I16:
			argOf[int16](op, y, x, outer, n, inner)
		case graph.I32:
			argOf[int32](op, y, x, outer, n, inner)
		case graph.I64:
			argOf[int64](op, y, x, outer, n, inner)
		case graph.U8:
			argOf[uint8](op, y, x, outer, n, inner)
		case graph.U16:
			argOf[uint16](op, y, x, outer, n, inner)
		case graph.U32:
			argOf[uint32](op, y, x, outer, n, inner)
		default:
			argOf[uint64](op, y, x, outer, n, inner)
		}
	}), nil
}

func argOf[T portable.Number](op reduceOp, y []int64, x []byte, outer, n, inner int) {
	if op == maxOf {
		portable.ArgMax(y, cells[T](x), outer, n, inner)
	} else {
		portable.ArgMin(y, cells[T](x), outer, n, inner)
	}
}
