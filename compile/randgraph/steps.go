package randgraph

import (
	"math"
	"slices"

	"github.com/graphrun/graphrun/graph"
	"github.com/graphrun/graphrun/ops"
)

// step declares about one node.
func (g *gen) step() {
	if len(g.again) > 0 && g.chance(12) {
		g.add(pick(g.source, g.again...)())
		return
	}
	steps := []func(){
		g.unary, g.unary, g.unary, g.binary, g.binary, g.binary, g.binary, g.matmul, g.matmul, g.reduce, g.reduce, g.rows, g.move, g.move, g.move,
		g.join, g.gather, g.algebra, g.cumulate,
	}
	if !g.o.Special {
		steps = append(steps, g.formula, g.window)
	}
	if !g.o.Special && !g.o.F64 && !g.o.Grad {
		steps = append(steps, g.registered, g.registered)
	}
	if !g.o.F64 && !g.o.Special {
		steps = append(steps, g.compare, g.logic, g.integer, g.cast, g.kinked, g.order, g.compare)
	}
	if !g.callee && !g.o.F64 && !g.o.Special {
		steps = append(steps, g.random)
	}
	steps[g.intn(len(steps))]()
}

// smooth are functions without kinks on a range, with what they may give there.
var smooth = []struct {
	f        func(graph.Value) graph.Value
	in       float64 // the largest magnitude that is taken
	positive bool    // takes positive values only
	out      func(v val) (lo, hi float64)
}{
	{ops.Exp, 3, false, func(v val) (float64, float64) { return math.Exp(v.lo), math.Exp(v.hi) }},
	{ops.Expm1, 3, false, func(v val) (float64, float64) { return math.Expm1(v.lo), math.Expm1(v.hi) }},
	{ops.Log, 100, true, func(v val) (float64, float64) { return math.Log(v.lo), math.Log(v.hi) }},
	{ops.Log1p, 100, true, func(v val) (float64, float64) { return math.Log1p(v.lo), math.Log1p(v.hi) }},
	{ops.Sqrt, 100, true, func(v val) (float64, float64) { return math.Sqrt(v.lo), math.Sqrt(v.hi) }},
	{ops.Rsqrt, 100, true, func(v val) (float64, float64) { return 1 / math.Sqrt(v.hi), 1 / math.Sqrt(v.lo) }},
	{ops.Reciprocal, 100, true, func(v val) (float64, float64) { return 1 / v.hi, 1 / v.lo }},
	{ops.Neg, 1e3, false, func(v val) (float64, float64) { return -v.hi, -v.lo }},
	{ops.Square, 30, false, func(v val) (float64, float64) { return 0, v.size() * v.size() }},
	{ops.Sin, 10, false, within(1)},
	{ops.Cos, 10, false, within(1)},
	{ops.Atan, 100, false, within(1.6)},
	{ops.Asinh, 100, false, within(6)},
	{ops.Sinh, 3, false, within(11)},
	{ops.Cosh, 3, false, within(11)},
	{ops.Tanh, 1e3, false, within(1)},
	{ops.Sigmoid, 1e3, false, func(val) (float64, float64) { return 0, 1 }},
	{ops.Erf, 1e3, false, within(1)},
	{ops.LogSigmoid, 50, false, func(v val) (float64, float64) { return -v.size() - 1, 0 }},
	{ops.SiLU, 50, false, func(v val) (float64, float64) { return -1, max(v.hi, 1) }},
	{ops.Mish, 50, false, func(v val) (float64, float64) { return -1, max(v.hi, 1) }},
	{ops.Tanhshrink, 50, false, func(v val) (float64, float64) { return -v.size(), v.size() }},
	{func(x graph.Value) graph.Value { return ops.GELU(x, "none") }, 50, false, func(v val) (float64, float64) { return -1, max(v.hi, 1) }},
	{func(x graph.Value) graph.Value { return ops.GELU(x, "tanh") }, 50, false, func(v val) (float64, float64) { return -1, max(v.hi, 1) }},
	{func(x graph.Value) graph.Value { return ops.Softplus(x, 1, 20) }, 10, false, func(v val) (float64, float64) { return 0, v.size() + 1 }},
	{func(x graph.Value) graph.Value { return ops.Pow(x, 2) }, 30, false, func(v val) (float64, float64) { return 0, v.size() * v.size() }},
	{func(x graph.Value) graph.Value { return ops.Pow(x, 1.5) }, 30, true, func(v val) (float64, float64) { return 0, v.size() * v.size() }},
}

func within(x float64) func(val) (float64, float64) {
	return func(val) (float64, float64) { return -x, x }
}

func (g *gen) unary() {
	u := smooth[g.intn(len(smooth))]
	v := g.float()
	if v.size() > u.in {
		v = g.squash(v)
	}
	if u.positive {
		v = g.positive(v)
	}
	g.keep(func() val { lo, hi := u.out(v); return val{u.f(v.Value), lo, hi} })
}

// kinked applies functions with kinks and jumps.
func (g *gen) kinked() {
	v := g.float()
	u := pick(g.source, ops.ReLU, ops.Abs, ops.Sign, ops.Floor, ops.Ceil, ops.Round, ops.Trunc, ops.ReLU6, ops.SELU, ops.Hardsigmoid, ops.Hardswish,
		func(x graph.Value) graph.Value { return ops.LeakyReLU(x, 0.1) },
		func(x graph.Value) graph.Value { return ops.ELU(x, 1) },
		func(x graph.Value) graph.Value { return ops.Clamp(x, -0.75, 0.5) },
		func(x graph.Value) graph.Value { return ops.Hardshrink(x, 0.5) })
	r := 2*v.size() + 1
	g.keep(func() val { return val{u(v.Value), -r, r} })
}

// partner returns a second operand for v: of its shape, or of one that broadcasts to it.
func (g *gen) partner(v val, lo, hi float64) val {
	shape := slices.Clone(v.Shape())
	switch g.intn(6) {
	case 0:
		shape = shape[:0]
	case 1:
		shape = shape[g.intn(len(shape)+1):]
	case 2:
		for i := range shape {
			if g.chance(50) {
				shape[i] = graph.Ints(1)[0]
			}
		}
	}
	return g.need(v.DType(), shape, lo, hi)
}

func (g *gen) binary() {
	v := g.float()
	if v.size() > 1e3 {
		v = g.squash(v)
	}
	w := g.partner(v, -10, 10)
	a, b := v, w
	if g.chance(40) {
		a, b = w, v
	}
	switch g.intn(7) {
	case 0, 1:
		g.keep(func() val { return val{ops.Add(a.Value, b.Value), a.lo + b.lo, a.hi + b.hi} })
	case 2:
		g.keep(func() val { return val{ops.Sub(a.Value, b.Value), a.lo - b.hi, a.hi - b.lo} })
	case 3, 4:
		a, b = g.squash(a), g.squash(b)
		r := a.size() * b.size()
		g.keep(func() val { return val{ops.Mul(a.Value, b.Value), -r, r} })
	case 5:
		b = g.positive(b)
		r := a.size() / b.lo
		g.keep(func() val { return val{ops.Div(a.Value, b.Value), -r, r} })
	case 6:
		if g.o.F64 || g.o.Special {
			g.keep(func() val { return val{ops.Atan2(a.Value, g.positive(b).Value), -4, 4} })
			return
		}
		f := pick(g.source, ops.Maximum, ops.Minimum)
		r := max(a.size(), b.size())
		g.keep(func() val { return val{f(a.Value, b.Value), -r, r} })
	}
}

func (g *gen) compare() {
	a := g.float()
	b := g.partner(a, -10, 10)
	// Whether floats are equal turns on their last bits wherever they nearly are, which few moves of an oracle hit exactly.
	f := pick(g.source, ops.Less, ops.LessEqual, ops.Greater, ops.GreaterEqual)
	c := g.add(val{f(a.Value, b.Value), 0, 1})
	if g.chance(60) {
		x, y := g.partner(a, -10, 10), g.partner(a, -10, 10)
		r := max(x.size(), y.size())
		g.keep(func() val { return val{ops.Where(c.Value, x.Value, y.Value), -r, r} })
	}
}

func (g *gen) bool() (val, bool) {
	return g.some(func(v val) bool { return v.DType() == graph.Bool })
}

func (g *gen) logic() {
	c, ok := g.bool()
	if !ok {
		g.compare()
		return
	}
	switch g.intn(4) {
	case 0:
		g.keep(func() val { return val{ops.Not(c.Value), 0, 1} })
	case 1:
		d := g.need(graph.Bool, c.Shape(), 0, 1)
		f := pick(g.source, ops.And, ops.Or, ops.Xor)
		g.keep(func() val { return val{f(c.Value, d.Value), 0, 1} })
	case 2:
		f := pick(g.source, ops.ReduceAny, ops.ReduceAll)
		g.keep(func() val { return val{f(c.Value, g.axes(c), g.chance(50)), 0, 1} })
	case 3:
		dt := g.floatType()
		g.keep(func() val { return val{ops.Cast(c.Value, dt), 0, 1} })
	}
}

func (g *gen) int() val {
	v, ok := g.some(func(v val) bool { return v.DType() == graph.I64 && v.size() < 1e6 })
	if !ok {
		if g.callee {
			return g.constant(graph.I64, graph.Ints(3, 2), -5, 9)
		}
		return g.input(graph.I64, g.shape())
	}
	return v
}

func (g *gen) integer() {
	a := g.int()
	b := g.partner(a, -5, 9)
	switch g.intn(7) {
	case 0:
		g.keep(func() val { return val{ops.Add(a.Value, b.Value), a.lo + b.lo, a.hi + b.hi} })
	case 1:
		g.keep(func() val { return val{ops.Sub(a.Value, b.Value), a.lo - b.hi, a.hi - b.lo} })
	case 2:
		r := a.size() * b.size()
		g.keep(func() val { return val{ops.Mul(a.Value, b.Value), -r, r} })
	case 3:
		f := pick(g.source, ops.FloorDiv, ops.TruncDiv, ops.Remainder, ops.Fmod)
		by := int64(2 + g.intn(5))
		r := a.size() + float64(by)
		g.keep(func() val { return val{f(a.Value, by), -r, r} })
	case 4:
		f := pick(g.source, ops.Maximum, ops.Minimum)
		r := max(a.size(), b.size())
		g.keep(func() val { return val{f(a.Value, b.Value), -r, r} })
	case 5:
		if a.Rank() == 0 {
			return
		}
		f := pick(g.source, ops.ReduceSum, ops.ReduceMax, ops.ReduceMin)
		r := a.size() * maxElements
		g.keep(func() val { return val{f(a.Value, g.axes(a), g.chance(50)), -r, r} })
	case 6:
		f := pick(g.source, ops.Less, ops.Equal, ops.NotEqual)
		g.keep(func() val { return val{f(a.Value, b.Value), 0, 1} })
	}
}

func (g *gen) cast() {
	switch g.intn(4) {
	case 0:
		a := g.int()
		dt := g.floatType()
		if a.size() < 1e3 {
			g.keep(func() val { return val{ops.Cast(a.Value, dt), a.lo, a.hi} })
		}
	case 1:
		v := g.float()
		if v.size() < 1e6 {
			g.keep(func() val { return val{ops.Cast(v.Value, graph.I64), v.lo - 1, v.hi + 1} })
		}
	default:
		v := g.float()
		dt := graph.F32 + graph.F64 - v.DType()
		if g.o.Half {
			dt = g.floatType()
		}
		g.keep(func() val { return val{ops.Cast(v.Value, dt), v.lo, v.hi} })
	}
}

func (g *gen) matmul() {
	a := g.squash(g.floatOf(2))
	r := a.Rank()
	k := a.Shape()[r-1]
	x := a.Value
	if g.chance(25) {
		x, k = ops.T(x), a.Shape()[r-2]
	}
	cols := graph.Ints(pick(g.source, 1, 2, 3, 5, 6, 8, 17))[0]
	shape := []graph.Dim{k, cols}
	turned := g.chance(30)
	if turned {
		shape = []graph.Dim{cols, k}
	}
	if r > 2 && g.chance(40) {
		shape = append(slices.Clone(a.Shape()[:r-2]), shape...)
	}
	if g.chance(10) {
		shape, turned = []graph.Dim{k}, false
	}
	if g.callee && !isConst(shape) {
		return
	}
	b := g.squash(g.need(a.DType(), shape, -3, 3))
	y := b.Value
	if turned {
		y = ops.T(y)
	}
	bound := a.size() * b.size() * float64(elements([]graph.Dim{k}))
	v := g.keep(func() val { return val{ops.MatMul(x, y), -bound, bound} })
	if g.chance(40) { // what becomes an epilogue
		if v.size() > 50 {
			v = g.add(val{ops.Mul(v.Value, 1/bound), -1, 1})
		}
		bias := g.partner(v, -2, 2)
		z := g.add(val{ops.Add(v.Value, bias.Value), -v.size() - 2, v.size() + 2})
		if g.o.F64 || g.o.Special {
			g.add(val{ops.Tanh(z.Value), -1, 1})
		} else {
			g.add(val{ops.ReLU(z.Value), 0, z.size()})
		}
	}
}

// axes picks axes to reduce.
func (g *gen) axes(v val) []int {
	if g.chance(25) {
		return nil
	}
	axes := []int{}
	for i := range v.Rank() {
		if g.chance(50) {
			axes = append(axes, i)
		}
	}
	if len(axes) == 0 && v.Rank() > 0 {
		axes = append(axes, g.intn(v.Rank()))
	}
	return axes
}

func (g *gen) reduce() {
	v := g.squash(g.floatOf(1))
	axes, keep := g.axes(v), g.chance(50)
	n := float64(elements(v.Shape()))
	r := v.size()
	switch g.intn(8) {
	case 0, 1:
		g.keep(func() val { return val{ops.ReduceSum(v.Value, axes, keep), -r * n, r * n} })
	case 2:
		g.keep(func() val { return val{ops.ReduceMean(v.Value, axes, keep), -r, r} })
	case 3, 4:
		if g.o.F64 {
			g.keep(func() val { return val{ops.LogSumExp(v.Value, axes, keep), -r, r + 8} })
			return
		}
		f := pick(g.source, ops.ReduceMax, ops.ReduceMin)
		g.keep(func() val { return val{f(v.Value, axes, keep), v.lo, v.hi} })
	case 5:
		g.keep(func() val { return val{ops.Var(v.Value, axes, 0, keep), 0, r * r} })
	case 6:
		if g.o.Special {
			return
		}
		v := g.positive(v)
		g.keep(func() val { return val{ops.Norm(v.Value, 2, axes, keep), 0.25, v.size() * n} })
	case 7:
		if g.o.F64 || g.o.Special || v.Rank() == 0 {
			return
		}
		f := pick(g.source, ops.ArgMax, ops.ArgMin)
		g.keep(func() val { return val{f(v.Value, g.intn(v.Rank()), keep), 0, 40} })
	}
}

// rows applies what treats each row of a tensor as one.
func (g *gen) rows() {
	v := g.squash(g.floatOf(1))
	axis := v.Rank() - 1
	if g.chance(30) {
		axis = g.intn(v.Rank())
	}
	switch g.intn(4) {
	case 0:
		g.keep(func() val { return val{ops.Softmax(v.Value, axis), 0, 1} })
	case 1:
		g.keep(func() val { return val{ops.LogSoftmax(v.Value, axis), -2*v.size() - 8, 0} })
	case 2:
		last := v.Shape()[v.Rank()-1:]
		if size(last[0]) < 2 {
			return
		}
		var affine []graph.Value
		for range g.intn(3) {
			affine = append(affine, g.need(v.DType(), last, -2, 2).Value)
		}
		g.keep(func() val { return val{ops.LayerNorm(v.Value, 1, 0.01, affine...), -20, 20} })
	case 3:
		g.keep(func() val {
			y, _, _ := ops.Standardize(v.Value, []int{axis}, 0.01)
			return val{y, -10, 10}
		})
	}
}

// move rearranges the elements of any value.
func (g *gen) move() {
	v, ok := g.some(func(v val) bool { return v.Rank() > 0 && elements(v.Shape()) > 0 })
	if !ok {
		return
	}
	x, shape, r := v.Value, v.Shape(), v.Rank()
	axis := g.intn(r)
	emit := func(build func() graph.Value) { g.keep(func() val { return val{build(), v.lo, v.hi} }) }
	switch g.intn(11) {
	case 0:
		perm := make([]int, r)
		for i := range perm {
			perm[i] = i
		}
		for i := range perm {
			j := i + g.intn(r-i)
			perm[i], perm[j] = perm[j], perm[i]
		}
		emit(func() graph.Value { return ops.Transpose(x, perm...) })
	case 1:
		emit(func() graph.Value { return ops.Flatten(x, axis, r-1) })
	case 2:
		emit(func() graph.Value { return ops.Unsqueeze(x, axis) })
	case 3:
		n := size(shape[axis])
		if n < 2 {
			return
		}
		start := g.intn(n - 1)
		end := start + 1 + g.intn(n-start)
		step := 1 + g.intn(2)
		emit(func() graph.Value { return ops.Slice(x, axis, start, end, step) })
	case 4:
		emit(func() graph.Value { return ops.Flip(x, axis) })
	case 5:
		if size(shape[axis]) < 1 {
			return
		}
		i := g.intn(size(shape[axis]))
		emit(func() graph.Value { return ops.At(x, axis, i) })
	case 6:
		low, high := make([]int, r), make([]int, r)
		low[axis], high[axis] = g.intn(2), g.intn(3)
		if v.DType() == graph.Bool {
			emit(func() graph.Value { return ops.Pad(x, low, high, true) })
			return
		}
		g.keep(func() val { return val{ops.Pad(x, low, high, 1), min(v.lo, 1), max(v.hi, 1)} })
	case 7:
		wide := append(graph.Ints(3), shape...)
		if elements(wide) <= maxElements {
			emit(func() graph.Value { return ops.Expand(x, dims(wide)...) })
		}
	case 8:
		if r < 2 || v.DType() == graph.Bool {
			return
		}
		f := pick(g.source, ops.Tril, ops.Triu)
		g.keep(func() val { return val{f(x, g.intn(2)), min(v.lo, 0), max(v.hi, 0)} })
	case 9:
		n := size(shape[axis])
		if n < 2 {
			return
		}
		k := 1 + g.intn(n-1)
		for _, part := range ops.Split(x, axis, k, n-k) {
			g.add(val{part, v.lo, v.hi})
		}
	case 10:
		emit(func() graph.Value { return ops.Reshape(ops.Flatten(x, 0, r-1), dims(shape)...) })
	}
}

// join puts values together.
func (g *gen) join() {
	v, ok := g.some(func(v val) bool {
		return v.Rank() > 0 && elements(v.Shape()) > 0 && elements(v.Shape()) < maxElements/3
	})
	if !ok {
		return
	}
	axis := g.intn(v.Rank())
	w := g.need(v.DType(), v.Shape(), min(v.lo, -5), max(v.hi, 5))
	lo, hi := min(v.lo, w.lo), max(v.hi, w.hi)
	if g.chance(50) {
		g.keep(func() val { return val{ops.Concat(axis, v.Value, w.Value, v.Value), lo, hi} })
		return
	}
	g.keep(func() val { return val{ops.Stack(axis, v.Value, w.Value), lo, hi} })
}

// gather picks by indices.
func (g *gen) gather() {
	v, ok := g.some(func(v val) bool {
		return v.Rank() > 0 && elements(v.Shape()) > 0 && slices.ContainsFunc(v.Shape(), func(d graph.Dim) bool { return size(d) > 1 })
	})
	if !ok {
		return
	}
	axis := slices.IndexFunc(v.Shape(), func(d graph.Dim) bool { return size(d) > 1 })
	n := size(v.Shape()[axis])
	shape := graph.Ints(pick(g.source, 1, 3, 6))
	if !g.callee && g.chance(30) {
		shape = []graph.Dim{symbolN}
	}
	if elements(v.Shape())/n*elements(shape) > maxElements {
		return
	}
	i := g.index(shape, n)
	switch {
	case g.chance(60):
		g.keep(func() val { return val{ops.Gather(v.Value, axis, i.Value), v.lo, v.hi} })
	case v.DType().IsFloat():
		dt := v.DType()
		g.keep(func() val { return val{ops.OneHot(i.Value, n, dt), 0, 1} })
	}
}

// index returns whole numbers below n.
func (g *gen) index(shape []graph.Dim, n int) val {
	return g.need(graph.I64, shape, 0, float64(n-1))
}

// order sorts.
func (g *gen) order() {
	v := g.floatOf(1)
	axis := g.intn(v.Rank())
	if size(v.Shape()[axis]) < 2 {
		return
	}
	values, indices := ops.Sort(v.Value, axis, g.chance(50))
	if g.chance(50) {
		values, indices = ops.TopK(v.Value, 2, axis, g.chance(50))
	}
	g.add(val{values, v.lo, v.hi})
	if g.chance(50) {
		g.add(val{indices, 0, 40})
	}
}

func (g *gen) cumulate() {
	v := g.squash(g.floatOf(1))
	axis := g.intn(v.Rank())
	r := v.size() * float64(elements(v.Shape()))
	if g.chance(70) {
		g.keep(func() val { return val{ops.CumSum(v.Value, axis), -r, r} })
		return
	}
	g.keep(func() val { return val{ops.Shift(v.Value, axis, 1), min(v.lo, 0), max(v.hi, 0)} })
}

// window convolves or pools.
func (g *gen) window() {
	c, h, w := pick(g.source, 1, 2, 3), pick(g.source, 5, 6, 9), pick(g.source, 4, 7)
	x, ok := g.some(func(v val) bool {
		s := v.Shape()
		return v.DType().IsFloat() && v.Rank() == 4 && size(s[1]) > 0 && size(s[2]) > 3 && size(s[3]) > 3
	})
	if !ok {
		batch := symbolN
		if g.callee {
			batch = graph.Ints(2)[0]
		}
		x = g.need(g.floatType(), append([]graph.Dim{batch}, graph.Ints(c, h, w)...), -2, 2)
	}
	x = g.squash(x)
	c = size(x.Shape()[1])
	if g.chance(35) {
		p := ops.PoolParams{Kernel: []int{2, 3}[:2], Strides: []int{pick(g.source, 1, 2), 2}}
		if g.o.F64 || g.chance(50) {
			p.ExcludePad = g.chance(50)
			g.keep(func() val { return val{ops.AvgPool(x.Value, p), -x.size(), x.size()} })
			return
		}
		values, indices := ops.MaxPool(x.Value, p)
		g.add(val{values, x.lo, x.hi})
		if g.chance(20) {
			g.add(val{indices, 0, 200})
		}
		return
	}
	out := pick(g.source, 1, 2, 4)
	k := g.need(x.DType(), graph.Ints(out, c, pick(g.source, 1, 2, 3), pick(g.source, 1, 3)), -1, 1)
	p := ops.ConvParams{Strides: []int{pick(g.source, 1, 1, 2), 1}, Pads: []int{g.intn(2), 1, g.intn(2), 1}}
	r := x.size() * k.size() * float64(c*9)
	y := g.keep(func() val { return val{ops.Conv(x.Value, k.Value, p), -r, r} })
	if g.chance(50) {
		bias := g.need(x.DType(), graph.Ints(out, 1, 1), -1, 1)
		z := g.add(val{ops.Add(y.Value, bias.Value), -r - 1, r + 1})
		if !g.o.F64 {
			g.add(val{ops.ReLU(z.Value), 0, r + 1})
		}
	}
}

// algebra writes what rewrites look for.
func (g *gen) algebra() {
	v := g.float()
	x := v.Value
	switch g.intn(12) {
	case 0:
		g.keep(func() val { return val{ops.Add(x, 0), v.lo, v.hi} })
	case 1:
		g.keep(func() val { return val{ops.Mul(x, 1), v.lo, v.hi} })
	case 2:
		g.keep(func() val { return val{ops.Neg(ops.Neg(x)), v.lo, v.hi} })
	case 3:
		g.keep(func() val { return val{ops.Mul(x, -1), -v.hi, -v.lo} })
	case 4:
		w := g.partner(v, -5, 5)
		g.keep(func() val { return val{ops.Add(x, ops.Neg(w.Value)), v.lo - w.hi, v.hi - w.lo} })
	case 5:
		w := g.partner(v, -5, 5)
		g.keep(func() val { return val{ops.Sub(x, ops.Neg(w.Value)), v.lo + w.lo, v.hi + w.hi} })
	case 6:
		g.keep(func() val { return val{ops.Div(x, 1), v.lo, v.hi} })
	case 7:
		g.keep(func() val { return val{ops.Pow(x, 1), v.lo, v.hi} })
	case 8:
		if v.Rank() > 1 {
			g.keep(func() val { return val{ops.Transpose(ops.Transpose(x)), v.lo, v.hi} })
		}
	case 9:
		w := g.partner(v, -5, 5)
		c := g.f.Scalar(graph.Bool, g.chance(50))
		g.keep(func() val { return val{ops.Where(c, x, w.Value), min(v.lo, w.lo), max(v.hi, w.hi)} })
	case 10:
		g.keep(func() val { return val{ops.Concat(0, ops.Unsqueeze(x, 0)), v.lo, v.hi} })
	case 11: // what is folded
		a, b := g.constant(v.DType(), graph.Ints(3), -2, 2), g.constant(v.DType(), graph.Ints(2, 1), -2, 2)
		g.keep(func() val { return val{ops.Sin(ops.Mul(a.Value, b.Value)), -1, 1} })
	}
}

// formula writes what stabilize replaces.
func (g *gen) formula() {
	v := g.squash(g.floatOf(1))
	x, axis := v.Value, v.Rank()-1
	r := 2*v.size() + 8
	switch g.intn(7) {
	case 0:
		g.keep(func() val {
			e := ops.Exp(x)
			return val{ops.Div(e, ops.ReduceSum(e, []int{axis}, true)), 0, 1}
		})
	case 1:
		g.keep(func() val { return val{ops.Log(ops.Softmax(x, axis)), -r, 0} })
	case 2:
		g.keep(func() val { return val{ops.Log(ops.Sigmoid(x)), -r, 0} })
	case 3:
		g.keep(func() val { return val{ops.Log(ops.Sub(1, ops.Sigmoid(x))), -r, 0} })
	case 4:
		p := g.positive(v)
		g.keep(func() val { return val{ops.Log(ops.Add(1, p.Value)), 0, p.size()} })
	case 5:
		g.keep(func() val { return val{ops.Sub(ops.Exp(x), 1), -1, 60} })
	case 6:
		g.keep(func() val { return val{ops.Log(ops.ReduceSum(ops.Exp(x), []int{axis}, g.chance(50))), -r, r} })
	}
}

// random draws: the key is part of the state.
func (g *gen) random() {
	v := g.float()
	if g.chance(60) {
		g.add(val{ops.Dropout(v.Value, 0.25), 2 * min(v.lo, 0), 2 * max(v.hi, 0)})
		return
	}
	shape := g.constShape()
	g.add(val{ops.RandomNormal(g.f, g.floatType(), 0, 0.2, dims(shape)...), -3, 3})
}
