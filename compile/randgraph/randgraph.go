package randgraph

import (
	"errors"
	"fmt"
	"hash/fnv"
	"math"
	"math/rand/v2"
	"slices"

	"github.com/graphrun/graphrun/graph"
	"github.com/graphrun/graphrun/graph/value"
	"github.com/graphrun/graphrun/ops"
)

// Options choose among kinds of graphs.
type Options struct {
	// Steps is how many steps of declaration are made, about one node each; 0 lets the bytes decide.
	Steps int
	// F64 makes all floats f64 and leaves out what has kinks and jumps, so that gradients can be held against differences.
	F64 bool
	// Half makes floats f16 and bf16, and some f32.
	Half bool
	// Grad adds a scalar loss, its gradients and updates of the variables by them.
	Grad bool
	// Special draws NaN, infinities and zeros of both signs among the feeds, and leaves out what is replaced by a formula that
	// treats these otherwise.
	Special bool
}

// Graph is a random module and what to run it on.
type Graph struct {
	Module *graph.Module
	// Func is the function to run, which takes Inputs. With gradients, result "loss" is a scalar, and result "d.x" the
	// gradient of it with respect to input x, or to variable x.
	Func   string
	Inputs []Input
	// Wrt names the inputs and the variables that the loss is differentiated with respect to.
	Wrt []string

	seed    uint64
	special bool
}

// Input is an input and the range of its values, which are whole in integers.
type Input struct {
	Name   string
	Type   graph.TensorType
	Lo, Hi float64

	spread bool // all elements differ
}

// Seeded returns the graph of a seed.
func Seeded(seed uint64, o Options) *Graph {
	return build(&source{rng: rand.New(rand.NewPCG(seed, 0x9a3f))}, seed, o)
}

// FromBytes returns the graph that a fuzzer's bytes decide; when they are used up, what follows is a function of all of them.
func FromBytes(data []byte, o Options) *Graph {
	h := fnv.New64()
	h.Write(data)
	return build(&source{data: data, rng: rand.New(rand.NewPCG(h.Sum64(), 0x9a3f))}, h.Sum64(), o)
}

// Sizes are what the symbols stand for when N is n.
func Sizes(n int) map[string]graph.Dim {
	return map[string]graph.Dim{"N": graph.Ints(n)[0], "M": graph.Ints(1 + n%3)[0]}
}

// ErrNegative is the error of Feeds for an n that gives an input a negative size.
var ErrNegative = errors.New("an input has a negative size")

// Feeds draws values for the inputs when N is n; they differ from n to n.
func (g *Graph) Feeds(n int) (map[string]value.Value, error) {
	rng := rand.New(rand.NewPCG(g.seed, uint64(n)))
	feeds := map[string]value.Value{}
	for _, in := range g.Inputs {
		t, err := graph.SubstType(in.Type, Sizes(n))
		if err != nil {
			return nil, err
		}
		shape, _ := t.(graph.TensorType).ConstShape()
		if slices.ContainsFunc(shape, func(n int) bool { return n < 0 }) {
			return nil, ErrNegative
		}
		e, err := value.TryExact(in.Type.DType, shape)
		if err != nil {
			return nil, err
		}
		slots := rng.Perm(len(e.F))
		for i := range e.F {
			if e.F[i] = in.Lo + (in.Hi-in.Lo)*rng.Float64(); in.spread {
				e.F[i] = in.Lo + (in.Hi-in.Lo)*(float64(slots[i])+0.5)/float64(len(slots))
			}
			if g.special && rng.IntN(8) == 0 {
				e.F[i] = []float64{math.NaN(), math.Inf(1), math.Inf(-1), 0, math.Copysign(0, -1)}[rng.IntN(5)]
			}
		}
		for i := range e.I {
			e.I[i] = int64(in.Lo) + int64(upTo(rng, in.Hi-in.Lo))
		}
		for i := range e.U {
			e.U[i] = uint64(in.Lo) + upTo(rng, in.Hi-in.Lo)
		}
		for i := range e.B {
			e.B[i] = rng.IntN(2) == 1
		}
		feeds[in.Name] = e.Tensor()
	}
	return feeds, nil
}

// upTo returns a whole number from 0 to the given one, of which all of 64 bits are the most.
func upTo(rng *rand.Rand, most float64) uint64 {
	if most >= 1<<63 {
		return rng.Uint64()
	}
	return rng.Uint64N(uint64(most) + 1)
}

// source decides: by bytes as long as there are any.
type source struct {
	data []byte
	rng  *rand.Rand
}

func (s *source) intn(n int) int {
	if n <= 1 {
		return 0
	}
	if len(s.data) > 0 {
		b := s.data[0]
		s.data = s.data[1:]
		return int(b) % n
	}
	return s.rng.IntN(n)
}

func (s *source) chance(percent int) bool { return s.intn(100) < percent }

func pick[T any](s *source, xs ...T) T { return xs[s.intn(len(xs))] }

// val is a value with the interval that its elements lie in.
type val struct {
	graph.Value
	lo, hi float64
}

func (v val) size() float64 { return max(math.Abs(v.lo), math.Abs(v.hi)) }

type gen struct {
	*source
	o      Options
	out    *Graph
	m      *graph.Module
	f      *graph.Func
	vals   []val
	again  []func() val
	outs   []graph.Value // of other dtypes than steps take: results alone
	odd    bool          // sizes are whatever there is
	callee bool
}

const (
	// maxElements bounds a tensor for N up to maxN: references are slow.
	maxElements = 1200
	maxN        = 8
)

func build(s *source, seed uint64, o Options) *Graph {
	m := graph.NewModule("random")
	g := &gen{source: s, o: o, m: m, out: &Graph{Module: m, Func: "f", seed: seed, special: o.Special}}
	g.odd = !o.Special && !o.F64 && g.chance(30)
	var callee *graph.Func
	if !o.Special && g.chance(30) {
		callee = g.buildCallee()
	}
	g.f = m.Func("f")
	for range 2 + g.intn(2) {
		g.input(g.floatType(), g.shape())
	}
	if g.chance(40) {
		g.input(graph.I64, g.shape())
	}
	if g.chance(30) {
		g.input(graph.Bool, g.shape())
	}
	for range g.intn(3) {
		g.variable(g.floatType(), g.constShape())
	}
	steps := o.Steps
	if steps == 0 {
		steps = 4 + g.intn(16)
	}
	for range steps {
		if callee != nil && g.chance(10) {
			g.call(callee)
			continue
		}
		g.step()
	}
	g.finish()
	return g.out
}

// buildCallee declares a function of one or two operands.
func (g *gen) buildCallee() *graph.Func {
	c := &gen{source: g.source, o: g.o, m: g.m, out: &Graph{Module: g.m}, callee: true}
	c.f = g.m.Func("callee")
	for range 1 + g.intn(2) {
		c.input(c.floatType(), c.shape())
	}
	for range 2 + g.intn(3) {
		c.step()
	}
	for i := range min(1+g.intn(2), len(c.vals)) {
		c.f.Return(fmt.Sprintf("y%d", i), c.vals[len(c.vals)-1-i].Value)
	}
	return c.f
}

func (g *gen) call(callee *graph.Func) {
	once := slices.ContainsFunc(callee.Nodes(), func(n *graph.Node) bool { return slices.ContainsFunc(n.Types(), graph.HasUnknown) })
	if once && slices.ContainsFunc(g.f.Nodes(), func(n *graph.Node) bool { return n.Callee() == callee }) {
		return // a second call would have another size of the same name
	}
	var args []graph.Value
	for _, p := range callee.Params() {
		args = append(args, g.need(p.DType(), p.Shape(), -1.5, 1.5).Value)
	}
	for _, v := range g.f.Call(callee, args...) {
		if v.DType().IsFloat() {
			g.add(val{ops.Tanh(v), -1, 1})
		}
	}
}

// finish declares results, a loss, gradients and updates.
func (g *gen) finish() {
	for i, y := range g.outs {
		g.f.Return(fmt.Sprintf("z%d", i), y)
	}
	for _, in := range g.out.Inputs { // sizes that do not follow from where they stand
		if slices.ContainsFunc(in.Type.Shape, func(d graph.Dim) bool { return len(d.Symbols()) > 0 && !d.Equal(symbolN) }) {
			g.out.Inputs = append(g.out.Inputs, Input{Name: "sizes", Type: sizesType, Lo: -1, Hi: 1})
			g.f.InputOf("sizes", sizesType)
			break
		}
	}
	var floats []val
	for i := len(g.vals) - 1; i >= 0; i-- {
		v := g.vals[i]
		if len(g.f.Results()) < 6 && (len(g.f.Results()) == len(g.outs) || g.chance(40)) {
			g.f.Return(fmt.Sprintf("y%d", len(g.f.Results())), v.Value)
		}
		if v.DType().IsFloat() && !v.Is("param") && len(floats) < 3 {
			floats = append(floats, v)
		}
	}
	reads := map[string]val{}
	for _, v := range g.m.Variables() {
		if v.Trainable() {
			reads[v.Name()] = val{v.Read(g.f), -2, 2}
		}
	}
	if g.o.Grad && len(floats) > 0 {
		g.grads(floats, reads)
		return
	}
	for _, v := range g.m.Variables() {
		x, ok := reads[v.Name()]
		switch {
		case !ok || g.chance(30):
		case g.chance(50):
			g.f.Update(v, ops.Mul(x.Value, 0.5))
		default:
			y := g.need(v.Type().DType, v.Type().Shape, -1, 1)
			g.f.Update(v, ops.Add(ops.Mul(x.Value, 0.75), y.Value))
		}
	}
}

func (g *gen) grads(floats []val, reads map[string]val) {
	var loss graph.Value
	for _, v := range floats {
		term := ops.ReduceMean(g.squash(v).Value, nil, false)
		if loss.Valid() {
			term = ops.Add(loss, ops.Mul(term, 0.75))
		}
		loss = term
	}
	g.f.Return("loss", loss)
	var wrt []graph.Value
	for _, in := range g.out.Inputs {
		if in.Type.DType.IsFloat() {
			x, _ := g.f.Lookup(in.Name)
			wrt, g.out.Wrt = append(wrt, x), append(g.out.Wrt, in.Name)
		}
	}
	for _, v := range g.m.Variables() {
		if x, ok := reads[v.Name()]; ok {
			wrt, g.out.Wrt = append(wrt, x.Value), append(g.out.Wrt, v.Name())
		}
	}
	if len(wrt) == 0 {
		return
	}
	for i, d := range graph.Grad(loss, wrt...) {
		g.f.Return("d."+g.out.Wrt[i], d)
		if v := g.m.LookupVariable(g.out.Wrt[i]); v != nil {
			g.f.Update(v, ops.Sub(wrt[i], ops.Mul(d, 0.1)))
		}
	}
}

func (g *gen) floatType() graph.DType {
	if g.o.F64 {
		return graph.F64
	}
	if g.o.Half {
		return pick(g.source, graph.F16, graph.F16, graph.BF16, graph.F32)
	}
	return pick(g.source, graph.F32, graph.F32, graph.F32, graph.F64)
}

// constShape returns sizes that all differ, of up to 4 axes.
func (g *gen) constShape() []graph.Dim {
	if g.chance(15) { // long enough for whole vectors and what is left of them
		return graph.Ints(pick(g.source, 9, 17, 33), pick(g.source, 8, 11, 19))
	}
	sizes := []int{2, 3, 4, 5, 7}
	shape := []graph.Dim{}
	for range pick(g.source, 0, 1, 2, 2, 2, 3, 3, 4) {
		i := g.intn(len(sizes))
		shape = append(shape, graph.Ints(sizes[i])[0])
		sizes = slices.Delete(sizes, i, i+1)
	}
	return shape
}

func (g *gen) shape() []graph.Dim {
	s := g.constShape()
	if len(s) > 0 && g.chance(50) {
		s[0] = symbolN
	}
	for i := range s {
		if g.odd && !g.callee && g.chance(40) {
			s[i] = g.anySize()
		}
	}
	return s
}

var sizesType, _ = graph.Tensor(graph.F32, "N", "M")

var symbolN = func() graph.Dim { s, _ := graph.Shape("N"); return s[0] }()

func elements(shape []graph.Dim) int {
	n := 1
	for _, d := range shape {
		k, ok := d.Int()
		if !ok {
			if e, err := graph.SubstShape([]graph.Dim{d}, Sizes(maxN)); err == nil {
				k, _ = e[0].Int()
			}
		}
		n *= int(k)
	}
	return n
}

func dims(shape []graph.Dim) []any {
	out := make([]any, len(shape))
	for i, d := range shape {
		out[i] = d
	}
	return out
}

// size returns a constant size, 0 for a symbolic one.
func size(d graph.Dim) int {
	n, _ := d.Int()
	return int(n)
}

func (g *gen) add(v val) val {
	if v.OK() && elements(v.Shape()) > maxElements {
		return v // may be a result of nothing
	}
	g.vals = append(g.vals, v)
	return v
}

// keep adds what build computes, and lets it be computed again later.
func (g *gen) keep(build func() val) val {
	v := g.add(build())
	if g.chance(30) {
		g.again = append(g.again, build)
	}
	return v
}

func (g *gen) input(dt graph.DType, shape []graph.Dim) val {
	in := Input{Name: fmt.Sprintf("x%d", len(g.out.Inputs)), Type: graph.TensorType{DType: dt, Shape: shape}, Lo: -2, Hi: 2}
	switch {
	case dt == graph.I64:
		in.Lo, in.Hi = -5, 9
	case dt.IsFloat() && g.chance(20):
		in.Lo, in.Hi = 0.25, 3
	}
	g.out.Inputs = append(g.out.Inputs, in)
	v := val{g.f.InputOf(in.Name, in.Type), in.Lo, in.Hi}
	g.vals = append(g.vals, v) // of whatever size, so that there is a value
	return v
}

func (g *gen) variable(dt graph.DType, shape []graph.Dim) val {
	sizes := make([]int, len(shape))
	for i, d := range shape {
		sizes[i] = size(d)
	}
	v := g.m.Variable(fmt.Sprintf("w%d", len(g.m.Variables())), dt, sizes, func(f *graph.Func, _ graph.Value) graph.Value {
		return ops.RandomUniform(f, dt, -1, 1, dims(shape)...)
	})
	return g.add(val{v.Read(g.f), -2, 2})
}

// constant declares a constant of a constant shape.
func (g *gen) constant(dt graph.DType, shape []graph.Dim, lo, hi float64) val {
	sizes := make([]int, len(shape))
	for i, d := range shape {
		sizes[i] = size(d)
	}
	e := value.NewExact(dt, sizes)
	for i := range e.F {
		e.F[i] = lo + (hi-lo)*float64(1+(g.intn(200)+i*37)%200)/202
	}
	for i := range e.I {
		e.I[i] = int64(lo) + int64(g.intn(int(hi-lo)+1))
	}
	for i := range e.B {
		e.B[i] = g.intn(2) == 1
	}
	return g.add(val{g.f.Const(e.Tensor()), lo, hi})
}

func isConst(shape []graph.Dim) bool {
	return !slices.ContainsFunc(shape, func(d graph.Dim) bool { return !d.IsConst() })
}

// need returns a value of a type, an existing one where there is one within the bounds.
func (g *gen) need(dt graph.DType, shape []graph.Dim, lo, hi float64) val {
	var fit []val
	for _, v := range g.vals {
		if v.DType() == dt && graph.EqualShapes(v.Shape(), shape) && v.lo >= lo && v.hi <= hi {
			fit = append(fit, v)
		}
	}
	if len(fit) > 0 && g.chance(85) {
		return pick(g.source, fit...)
	}
	switch {
	case isConst(shape) && !g.callee && dt.IsFloat() && lo <= -2 && hi >= 2 && g.chance(30):
		return g.variable(dt, shape)
	case isConst(shape) && g.chance(50):
		return g.constant(dt, shape, lo, hi)
	case g.callee && isConst(shape):
		return g.constant(dt, shape, lo, hi)
	case g.callee: // calls bring no further operands: stretch a constant
		one := g.constant(dt, make([]graph.Dim, 0), lo, hi)
		return g.add(val{ops.Expand(one.Value, dims(shape)...), lo, hi})
	case dt == graph.Bool:
		x := g.input(dt, shape)
		return x
	}
	name := fmt.Sprintf("x%d", len(g.out.Inputs))
	in := Input{Name: name, Type: graph.TensorType{DType: dt, Shape: shape}, Lo: lo, Hi: hi}
	g.out.Inputs = append(g.out.Inputs, in)
	return g.add(val{g.f.InputOf(name, in.Type), lo, hi})
}

// some returns an existing value that is wanted, the later ones rather; ok is false if there is none.
func (g *gen) some(wanted func(v val) bool) (v val, ok bool) {
	var fit []val
	for _, v := range g.vals {
		if wanted(v) {
			fit = append(fit, v)
		}
	}
	if len(fit) == 0 {
		return val{}, false
	}
	if g.chance(50) {
		fit = fit[max(0, len(fit)-3):]
	}
	return pick(g.source, fit...), true
}

func (g *gen) float() val {
	v, ok := g.some(func(v val) bool { return v.DType().IsFloat() })
	if !ok {
		return g.input(g.floatType(), g.shape())
	}
	return v
}

// floatOf returns a float value of at least so many axes.
func (g *gen) floatOf(rank int) val {
	v, ok := g.some(func(v val) bool { return v.DType().IsFloat() && v.Rank() >= rank && elements(v.Shape()) > 0 })
	if !ok {
		shape := graph.Ints(2, 3, 4, 5)[:max(rank, 1)]
		if g.chance(50) && !g.callee {
			shape[0] = symbolN
		}
		return g.need(g.floatType(), shape, -2, 2)
	}
	return v
}

// squash brings a value into [-1, 1] unless it is small.
func (g *gen) squash(v val) val {
	if v.size() <= 4 {
		return v
	}
	return g.add(val{ops.Tanh(v.Value), -1, 1})
}

// positive returns a value that is at least 0.25 of one that need not be.
func (g *gen) positive(v val) val {
	if v.lo >= 0.25 && v.hi <= 100 {
		return v
	}
	v = g.squash(v)
	return g.add(val{ops.Add(ops.Square(v.Value), 0.5), 0.5, v.size()*v.size() + 0.5})
}
