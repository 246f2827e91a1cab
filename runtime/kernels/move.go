package kernels

import (
	"math"

	"github.com/graphrun/graphrun/graph"
	"github.com/graphrun/graphrun/graph/value"
	"github.com/graphrun/graphrun/runtime/kernels/driver"
)

// wide are the dtypes whose elements take whole bytes.
var wide = func() (s graph.DTypeSet) {
	for _, d := range value.DTypes() {
		if d.Bits() >= 8 {
			s |= graph.DTypes(d)
		}
	}
	return s
}()

func init() {
	register(
		&Kernel{Op: "reshape", DTypes: graph.AnyDType, Alias: true},
		&Kernel{Op: "expand", DTypes: wide, Bind: bindExpand, Element: itself},
		&Kernel{Op: "stop_gradient", DTypes: wide, Bind: bindCopy, Element: itself},
	)
	for op, bind := range map[string]func(s *Spec) (Func, error){
		"transpose": bindTranspose, "slice": bindSlice, "slice_grad": bindSliceGrad,
		"concat": bindConcat, "split": bindSplit, "pad": bindPad, "shift": bindShift, "pad_mode": bindPadMode,
		"tril": bindTriangle(func(row, diagonal int) (int, int) { return 0, row + diagonal + 1 }),
		"triu": bindTriangle(func(row, diagonal int) (int, int) { return row + diagonal, math.MaxInt }),
	} {
		register(&Kernel{Op: op, DTypes: wide, Bind: bind})
	}
}

// move is a copy of elements of an operand to a result; the operand zeros is a single zero.
type move struct {
	*driver.Move
	in, out int
}

const zeros = -1

// moves collects the moves of a kernel. Those of one kernel write different elements, so that their order is free.
type moves struct {
	list []move
	err  error
}

func (m *moves) add(in, out int, dims, to, from []int, toAt, fromAt int) {
	p, err := driver.PlanMove(dims, to, from, toAt, fromAt)
	if err != nil {
		m.err = err
		return
	}
	if p.Size() > 0 {
		m.list = append(m.list, move{p, in, out})
	}
}

// addOutside adds what puts the one element of an operand into all places of a shape outside of the box from lo up to hi.
func (m *moves) addOutside(in int, shape, lo, hi []int) {
	to, from := stridesOf(shape), make([]int, len(shape))
	dims, at := append([]int(nil), shape...), 0
	for a, n := range shape {
		dims[a] = lo[a]
		m.add(in, 0, dims, to, from, at, 0)
		dims[a] = n - hi[a]
		m.add(in, 0, dims, to, from, at+hi[a]*to[a], 0)
		dims[a] = hi[a] - lo[a]
		at += lo[a] * to[a]
	}
}

// bind returns the Func that does all moves. Where a plan cannot be made, the reference does.
func (m *moves) bind(s *Spec) (Func, error) {
	if m.err != nil {
		return byReference(s)
	}
	return moveAll(m.list, sizeOf(s.OutTypes[0].DType)), nil
}

func moveAll(list []move, size int) Func {
	const grain = 1 << 15 // bytes
	type part struct {
		move
		lo, hi int
	}
	var parts []part
	work := 0
	for _, m := range list {
		work += m.Size() * size / 4
		step := max(1, grain/max(1, m.Size()*size/m.Units()))
		for lo := 0; lo < m.Units(); lo += step {
			parts = append(parts, part{m, lo, min(lo+step, m.Units())})
		}
	}
	zero := newCells(1, size)
	return inChunks(len(parts), work, func(c *Call, _, i int) {
		p := &parts[i]
		x := zero
		if p.in != zeros {
			x = c.In[p.in].Bytes()
		}
		moveUnits(size, p.Move, c.Out[p.out].Bytes(), x, p.lo, p.hi)
	})
}

// sizesOf returns the constant sizes of a bound type.
// Not inlined: 1.0 kB of the service.
//
//go:noinline
func sizesOf(t graph.TensorType) []int {
	sizes, _ := t.ConstShape()
	return sizes
}

// stridesOf returns row-major strides of a shape, in elements.
// Not inlined: 2.6 kB of the service.
//
//go:noinline
func stridesOf(shape []int) []int {
	s := make([]int, len(shape))
	n := 1
	for i := len(shape) - 1; i >= 0; i-- {
		s[i] = n
		n *= shape[i]
	}
	return s
}

// axisOf returns an attribute that names an axis of a rank, counted from the first.
// Not inlined: 0.9 kB of the service.
//
//go:noinline
func axisOf(s *Spec, rank int) int {
	axis := s.Int("axis")
	if axis < 0 {
		axis += rank
	}
	return axis
}

// around returns the products of the sizes before and behind an axis.
//
//go:noinline
func around(shape []int, axis int) (outer, inner int) {
	return product(shape[:axis]), product(shape[axis+1:])
}

func bindTranspose(s *Spec) (Func, error) {
	x, y := sizesOf(s.InTypes[0]), sizesOf(s.OutTypes[0])
	own, from := stridesOf(x), make([]int, len(y))
	for i, p := range s.Ints("perm") {
		from[i] = own[p]
	}
	var m moves
	m.add(0, 0, y, stridesOf(y), from, 0, 0)
	return m.bind(s)
}

func bindExpand(s *Spec) (Func, error) {
	x, y := sizesOf(s.InTypes[0]), sizesOf(s.OutTypes[0])
	own, from := stridesOf(x), make([]int, len(y))
	for i, d := range x {
		if d != 1 {
			from[len(y)-len(x)+i] = own[i]
		}
	}
	var m moves
	m.add(0, 0, y, stridesOf(y), from, 0, 0)
	return m.bind(s)
}

// bindCopy leaves the elements where they are if the result has the operand's storage.
func bindCopy(*Spec) (Func, error) {
	return func(c *Call) error { takeOver(c); return nil }, nil
}

// sliced returns where a slice of a tensor starts and the strides with which it goes on.
func sliced(s *Spec, shape []int) (at int, strides []int) {
	strides = stridesOf(shape)
	steps := s.Ints("steps")
	for i, start := range s.Sizes("starts") {
		at += start * strides[i]
		strides[i] *= steps[i]
	}
	return at, strides
}

func bindSlice(s *Spec) (Func, error) {
	y := sizesOf(s.OutTypes[0])
	at, from := sliced(s, sizesOf(s.InTypes[0]))
	var m moves
	m.add(0, 0, y, stridesOf(y), from, 0, at)
	return m.bind(s)
}

// bindSliceGrad zeroes what lies round the slice, and all of it first where the slice has gaps.
func bindSliceGrad(s *Spec) (Func, error) {
	dy, dx := sizesOf(s.InTypes[0]), sizesOf(s.OutTypes[0])
	at, to := sliced(s, dx)
	var clear, m moves
	lo, hi := make([]int, len(dx)), make([]int, len(dx))
	starts, gaps := s.Sizes("starts"), false
	for i, step := range s.Ints("steps") {
		lo[i], hi[i] = starts[i], starts[i]+dy[i]
		if step < 0 {
			lo[i], hi[i] = starts[i]+1-dy[i], starts[i]+1
		}
		gaps = gaps || step != 1 && step != -1 && dy[i] > 1
	}
	m.add(0, 0, dy, to, stridesOf(dy), at, 0)
	if !gaps {
		m.addOutside(zeros, dx, lo, hi)
		return m.bind(s)
	}
	clear.add(zeros, 0, dx, stridesOf(dx), make([]int, len(dx)), 0, 0)
	first, err := clear.bind(s)
	if err != nil {
		return nil, err
	}
	second, err := m.bind(s)
	if err != nil {
		return nil, err
	}
	return inTurn(first, second), nil
}

func bindConcat(s *Spec) (Func, error) {
	y := sizesOf(s.OutTypes[0])
	axis, to, at := axisOf(s, len(y)), stridesOf(y), 0
	var m moves
	for i, t := range s.InTypes {
		x := sizesOf(t)
		m.add(i, 0, x, to, stridesOf(x), at*to[axis], 0)
		at += x[axis]
	}
	return m.bind(s)
}

func bindSplit(s *Spec) (Func, error) {
	x := sizesOf(s.InTypes[0])
	axis, from, at := axisOf(s, len(x)), stridesOf(x), 0
	var m moves
	for i, t := range s.OutTypes {
		y := sizesOf(t)
		m.add(0, i, y, stridesOf(y), from, 0, at*from[axis])
		at += y[axis]
	}
	return m.bind(s)
}

func bindPad(s *Spec) (Func, error) {
	x, y := sizesOf(s.InTypes[0]), sizesOf(s.OutTypes[0])
	own, to := stridesOf(x), stridesOf(y)
	dims, lo, hi := make([]int, len(x)), make([]int, len(x)), make([]int, len(x))
	toAt, fromAt := 0, 0
	for i, low := range s.Sizes("low") {
		lo[i] = min(max(0, low), y[i])
		hi[i] = max(lo[i], min(y[i], low+x[i]))
		dims[i] = hi[i] - lo[i]
		toAt += lo[i] * to[i]
		fromAt += (lo[i] - low) * own[i]
	}
	var m moves
	m.add(0, 0, dims, to, own, toAt, fromAt)
	m.addOutside(1, y, lo, hi)
	return m.bind(s)
}

func bindShift(s *Spec) (Func, error) {
	x := sizesOf(s.InTypes[0])
	axis, strides := axisOf(s, len(x)), stridesOf(x)
	by := min(max(s.Int("by"), -x[axis]), x[axis])
	lo, hi := make([]int, len(x)), append([]int(nil), x...)
	lo[axis], hi[axis] = max(by, 0), x[axis]+min(by, 0)
	dims := append([]int(nil), x...)
	dims[axis] = hi[axis] - lo[axis]
	var m moves
	m.add(0, 0, dims, strides, strides, lo[axis]*strides[axis], max(-by, 0)*strides[axis])
	m.addOutside(zeros, x, lo, hi)
	return m.bind(s)
}

// bindTriangle keeps in each row of a matrix the columns from and up to what keep says.
func bindTriangle(keep func(row, diagonal int) (from, to int)) func(s *Spec) (Func, error) {
	return func(s *Spec) (Func, error) {
		shape, size := sizesOf(s.InTypes[0]), sizeOf(s.OutTypes[0].DType)
		rows, n := shape[len(shape)-2], shape[len(shape)-1]
		outer, _ := around(shape, len(shape)-1)
		diagonal := min(max(s.Int("diagonal"), -rows-n), rows+n)
		return inRanges(outer, n, func(c *Call, _, lo, hi int) {
			x, y := c.In[0].Bytes(), c.Out[0].Bytes()
			for r := lo; r < hi; r++ {
				from, to := keep(r%rows, diagonal)
				from, to = min(max(from, 0), n)*size, min(max(to, 0), n)*size
				row, out := x[r*n*size:(r+1)*n*size], y[r*n*size:(r+1)*n*size]
				clear(out[:from])
				copy(out[from:to], row[from:])
				clear(out[to:])
			}
		}), nil
	}
}

// padSource returns which of n elements stands at position i of an axis that is padded in a mode.
func padSource(mode string, i, n int) int {
	switch mode {
	case "wrap":
		return ((i % n) + n) % n
	case "reflect":
		if n == 1 {
			return 0
		}
		period := 2 * (n - 1)
		i = ((i % period) + period) % period
		return min(i, period-i)
	}
	return max(0, min(i, n-1))
}

// padTables returns by axis the offsets in x, of shape, of what stands at the positions of the padded axis.
func padTables(s *Spec, shape, padded []int) [][]int {
	strides, low, mode := stridesOf(shape), s.Sizes("low"), s.Str("mode")
	tables := make([][]int, len(shape))
	for a, n := range padded {
		tables[a] = scratch[int](s, n)
		for j := range n {
			if shape[a] > 0 {
				tables[a][j] = padSource(mode, j-low[a], shape[a]) * strides[a]
			}
		}
	}
	return tables
}

// offsetOf returns the sum of what the tables of all axes but the last say for row r.
func offsetOf(tables [][]int, r int) (at int) {
	for a := len(tables) - 2; a >= 0; a-- {
		at += tables[a][r%len(tables[a])]
		r /= len(tables[a])
	}
	return at
}

func bindPadMode(s *Spec) (Func, error) {
	y, size := sizesOf(s.OutTypes[0]), sizeOf(s.OutTypes[0].DType)
	if len(y) == 0 {
		return func(c *Call) error { copy(c.Out[0].Bytes(), c.In[0].Bytes()); return nil }, nil
	}
	tables := padTables(s, sizesOf(s.InTypes[0]), y)
	rows, n := rowShape(y)
	last := tables[len(y)-1]
	return inRanges(rows, n, func(c *Call, _, lo, hi int) {
		x, y := c.In[0].Bytes(), c.Out[0].Bytes()
		for r := lo; r < hi; r++ {
			pick(size, y[r*n*size:], x[offsetOf(tables, r)*size:], last, 1, 0)
		}
	}), nil
}
