package kernels

import (
	"math"

	"github.com/graphrun/graphrun/graph"
	"github.com/graphrun/graphrun/graph/value"
	"github.com/graphrun/graphrun/runtime/kernels/backend"
	"github.com/graphrun/graphrun/runtime/kernels/driver"
	"github.com/graphrun/graphrun/runtime/kernels/level"
)

// reducer is a reduction of a dtype.
type reducer struct {
	op   backend.ReduceOp
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
	case backend.Prod:
		v, least = 1, 1
	case backend.MaxOf:
		v = math.Inf(-1)
	case backend.MinOf:
		v, least = math.Inf(1), greatest
	default:
		least = 0
		if r.op == backend.Mean {
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
	switch r.d {
	case graph.F32:
		level.Table().F32.Rows.Reduce[r.float()](cells[float32](x), ld, rows, n, cells[float32](y))
	case graph.F64:
		level.Table().F64.Rows.Reduce[r.float()](cells[float64](x), ld, rows, n, cells[float64](y))
	default:
		r.intRows(x, ld, rows, n, y)
	}
}

// cols reduces the columns of a matrix of one row or more, whose rows are ld elements apart.
func (r reducer) cols(x []byte, ld, rows, n int, y []byte) {
	switch r.d {
	case graph.F32:
		level.Table().F32.Rows.ReduceCols[r.float()](cells[float32](x), ld, rows, n, cells[float32](y))
	case graph.F64:
		level.Table().F64.Rows.ReduceCols[r.float()](cells[float64](x), ld, rows, n, cells[float64](y))
	default:
		r.intCols(x, ld, rows, n, y)
	}
}

// float returns the reduction that floats go through; a mean is a sum that is divided afterwards.
func (r reducer) float() backend.ReduceOp {
	if r.op == backend.Mean {
		return backend.Sum
	}
	return r.op
}

// intRows is rows for integers, in any order: they wrap.
func (r reducer) intRows(x []byte, ld, rows, n int, y []byte) {
	var words, more [wordsPart]uint64
	for row := range rows {
		lane := x[row*ld*r.size:]
		m := min(n, wordsPart)
		r.load(words[:m], lane)
		for at := m; at < n; at += wordsPart {
			part := more[:min(n-at, wordsPart)]
			r.load(part, lane[at*r.size:])
			r.combine(words[:], part)
		}
		for m > 1 {
			half := (m + 1) / 2
			r.combine(words[:], words[half:m])
			m = half
		}
		r.store(y[row*r.size:], words[:1])
	}
}

// intCols is cols for integers, of at most wordsPart columns.
func (r reducer) intCols(x []byte, ld, rows, n int, y []byte) {
	var words, more [wordsPart]uint64
	r.load(words[:n], x)
	for row := 1; row < rows; row++ {
		r.load(more[:n], x[row*ld*r.size:])
		r.combine(words[:], more[:n])
	}
	r.store(y, words[:n])
}

// ordered reports whether integers are reduced as keys, which have their order, and not as words.
func (r reducer) ordered() bool { return r.op == backend.MaxOf || r.op == backend.MinOf }

func (r reducer) load(words []uint64, x []byte) {
	if r.ordered() {
		loadKeys(words, x, r.d, 1)
	} else {
		loadWords(words, x, r.d, 1)
	}
}

func (r reducer) store(y []byte, words []uint64) {
	if r.ordered() {
		flip(words, r.d)
	}
	storeWords(r.size, y, words)
}

// combine reduces each of some words and the first of others to one.
func (r reducer) combine(words, with []uint64) {
	words = words[:len(with)]
	switch r.op {
	case backend.Prod:
		for i, w := range with {
			words[i] *= w
		}
	case backend.MaxOf:
		for i, w := range with {
			words[i] = max(words[i], w)
		}
	case backend.MinOf:
		for i, w := range with {
			words[i] = min(words[i], w)
		}
	default:
		for i, w := range with {
			words[i] += w
		}
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

func divideFloats[T backend.Float](y []T, n T) {
	for i, v := range y {
		y[i] = v / n
	}
}

func init() {
	ends := func(op backend.ReduceOp) *backend.ReduceOp { return &op }
	for _, row := range []struct {
		name   string
		dtypes graph.DTypeSet
		op     backend.ReduceOp
		end    *backend.ReduceOp // of a fused node
	}{
		{"reduce_mean", stripFloats, backend.Mean, ends(backend.Mean)},
		{"reduce_sum", countables, backend.Sum, ends(backend.Sum)},
		{"reduce_prod", countables, backend.Prod, nil},
		{"reduce_max", countables, backend.MaxOf, ends(backend.MaxOf)},
		{"reduce_min", countables, backend.MinOf, ends(backend.MinOf)},
		{"reduce_any", graph.Bools, backend.MaxOf, nil}, // of bytes that are 0 and 1
		{"reduce_all", graph.Bools, backend.MinOf, nil},
	} {
		register(&Kernel{Op: row.name, DTypes: row.dtypes, Reduce: row.end, Bind: func(s *Spec) (Func, error) {
			d := s.InTypes[0].DType
			return reducer{row.op, d, sizeOf(d)}.bind(s)
		}})
	}
	register(
		&Kernel{Op: "argmax", DTypes: countables, Bind: func(s *Spec) (Func, error) { return bindArg(s, backend.MaxOf) }},
		&Kernel{Op: "argmin", DTypes: countables, Bind: func(s *Spec) (Func, error) { return bindArg(s, backend.MinOf) }},
	)
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
	size, count := product(shape), 1
	for i, a := range axes {
		if a < 0 {
			axes[i] = a + len(shape)
		}
		count *= shape[axes[i]]
	}
	if size == 0 {
		return func(c *Call) error { fill(op.size, c.Out[0].Bytes(), op.none()); return nil }, nil
	}
	var steps []Func
	source := func(c *Call) []byte { return c.In[0].Bytes() }
	stages := driver.Stages(shape, axes, freeAxes(s.Node.Operands()[0].Shape()))
	for i, st := range stages {
		for {
			chunk := rowChunk
			if st.Columns {
				chunk = colChunk
			}
			chunks := backend.CeilDiv(st.R, chunk)
			var to func(c *Call) []byte
			if chunks == 1 && i == len(stages)-1 {
				to = func(c *Call) []byte { return c.Out[0].Bytes() }
			} else {
				s.take(float64(st.Outer*chunks*st.Inner) * float64(op.size))
				parts := newCells(st.Outer*chunks*st.Inner, op.size)
				to = func(*Call) []byte { return parts }
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
	if op.op == backend.Mean && count > 1 {
		steps = append(steps, inRanges(size/count, 1, func(c *Call, _, lo, hi int) {
			op.divide(c.Out[0].Bytes()[lo*op.size:hi*op.size], count)
		}))
	}
	return inTurn(steps...), nil
}

// freeAxes returns whether an axis may have other sizes in other calls: no order of a sum depends on those that stay.
func freeAxes(shape []graph.Dim) func(axis int) bool {
	return func(axis int) bool { return !shape[axis].IsConst() }
}

// step reduces each chunk of a stage.
func (op reducer) step(st driver.Stage, chunk int, from, to func(c *Call) []byte) Func {
	chunks := backend.CeilDiv(st.R, chunk)
	size := st.Outer * st.R * st.Inner
	switch {
	case !st.Columns && chunks == 1:
		return inRanges(st.Outer, 2+st.R/8, func(c *Call, _, lo, hi int) {
			op.rows(from(c)[lo*st.R*op.size:], st.R, hi-lo, st.R, to(c)[lo*op.size:])
		})
	case !st.Columns:
		return inRanges(st.Outer*chunks, chunk/8, func(c *Call, _, lo, hi int) {
			x, y := from(c), to(c)
			for i := lo; i < hi; i++ {
				at := i % chunks * chunk
				op.rows(x[(i/chunks*st.R+at)*op.size:], 0, 1, min(chunk, st.R-at), y[i*op.size:])
			}
		})
	}
	strips := backend.CeilDiv(st.Inner, colStrip)
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
func bindArg(s *Spec, op backend.ReduceOp) (Func, error) {
	shape, d := sizesOf(s.InTypes[0]), s.InTypes[0].DType
	axis, size := axisOf(s, len(shape)), sizeOf(d)
	outer, inner := around(shape, axis)
	n := shape[axis]
	if n == 0 {
		return byReference(s) // which refuses a search among no elements
	}
	return inRanges(outer*inner, n*2, func(c *Call, _, lo, hi int) {
		x, y := c.In[0].Bytes(), elems[int64](c.Out[0])
		for i := lo; i < hi; i++ {
			y[i] = int64(argOf(op, x[(i/inner*n*inner+i%inner)*size:], d, n, inner))
		}
	}), nil
}

// argOf returns the position of the extremum of n elements that are step apart. Of equal elements the first wins, and the first NaN over
// everything.
func argOf(op backend.ReduceOp, x []byte, d graph.DType, n, step int) int {
	var keys [wordsPart]uint64
	best, where := uint64(0), 0
	for at := 0; at < n; at += wordsPart {
		part := keys[:min(n-at, wordsPart)]
		loadKeys(part, x[at*step*sizeOf(d):], d, step)
		for i, key := range part {
			if op == backend.MinOf {
				if key = ^key; d.IsFloat() {
					key-- // that of NaN was 0
				}
			}
			if key > best || at+i == 0 {
				best, where = key, at+i
			}
		}
	}
	return where
}
