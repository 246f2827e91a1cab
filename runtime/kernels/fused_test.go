package kernels_test

import (
	"bytes"
	"fmt"
	"math"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/graphrun/graphrun/graph"
	"github.com/graphrun/graphrun/graph/value"
	"github.com/graphrun/graphrun/ops"
	"github.com/graphrun/graphrun/runtime/kernels"
	"github.com/graphrun/graphrun/runtime/kernels/parallel"
)

// fusedNode puts a region on operands of the given types into a node of op fused.
func fusedNode(t testing.TB, types []graph.TensorType, build func(f *graph.Func, in []graph.Value) []graph.Value) *graph.Node {
	m := graph.NewModule("m")
	f := m.Func("f")
	args := make([]graph.Value, len(types))
	params := make([]graph.Type, len(types))
	for i, tt := range types {
		dims := make([]any, len(tt.Shape))
		for k, d := range tt.Shape {
			dims[k], _ = d.Int()
		}
		args[i] = f.Input(fmt.Sprint("x", i), tt.DType, dims...)
		params[i] = tt
	}
	region := f.Region("fused", params, build)
	outs := f.Emit(graph.LookupOp("fused"), args, graph.Attrs{{Name: "results", Value: int64(len(region.Results()))}}, region)
	if err := m.Err(); err != nil {
		t.Fatalf("%v\n%v", err, f)
	}
	return outs[0].Node()
}

// prepared is a kernel with a call of it.
type prepared struct {
	run  kernels.Func
	call kernels.Call
}

func prepare(t testing.TB, n *graph.Node, in []*value.Tensor) *prepared {
	spec := &kernels.Spec{Attrs: n.Attrs(), Node: n, Regions: n.Regions()}
	p := &prepared{call: kernels.Call{Spec: spec, In: in}}
	for _, x := range in {
		spec.InTypes = append(spec.InTypes, graph.TypeOf(x).(graph.TensorType))
	}
	for _, typ := range n.Types() {
		tt := typ.(graph.TensorType)
		spec.OutTypes = append(spec.OutTypes, tt)
		shape, _ := tt.ConstShape()
		out, err := value.New(tt.DType, shape...)
		if err != nil {
			t.Fatal(err)
		}
		p.call.Out = append(p.call.Out, out)
	}
	var err error
	if p.run, err = kernels.Select(n).Bind(spec); err != nil {
		t.Fatal(err)
	}
	if spec.ByReference() {
		t.Fatalf("the kernel leaves a region to the reference:\n%v", n.Regions()[0])
	}
	return p
}

func (p *prepared) do(t testing.TB) {
	if err := p.run(&p.call); err != nil {
		t.Fatal(err)
	}
}

// expression is a random region: the same for the same seed.
type expression struct {
	seed   uint64
	shape  []int
	dt     graph.DType
	reduce bool
	axes   []int
	types  []graph.TensorType
	exact  bool // no functions that kernels may round otherwise
}

func (e expression) size() int {
	size := 1
	for _, d := range e.shape {
		size *= d
	}
	return size
}

var spaces = [][]int{
	{},
	{1},
	{7},
	{64, 10},
	{5, 1, 3},
	{300},
	{5000},
	{3, 700},
	{1000, 3},
	{130, 130},
	{2, 3, 4, 5},
	{4, 6, 14, 14},
	{2, 5, 28, 28},
	{3, 1, 129},
	{40, 2, 300},
	{70_000},
	{600, 200},
	{0, 3},
	{9, 0},
	{3, 2, 50, 2},
	{2, 2, 2, 2, 2, 2, 2},
	{1, 2500},
	{65, 33, 17},
	{30, 4096},
	{5, 3, 7, 2, 9},
}

func randomExpression(seed uint64) expression {
	r := rand.New(rand.NewPCG(seed, 1))
	e := expression{seed: seed, shape: spaces[r.IntN(len(spaces))], dt: []graph.DType{graph.F32, graph.F32, graph.F64}[r.IntN(3)], exact: r.IntN(2) == 0}
	if e.reduce = len(e.shape) > 0 && e.size() > 0 && r.IntN(3) > 0; e.reduce {
		for a := range e.shape {
			if r.IntN(2) == 0 {
				e.axes = append(e.axes, a)
			}
		}
	}
	for range 1 + r.IntN(5) {
		tt := graph.TensorType{DType: e.dt, Shape: graph.Ints(e.shape...)}
		switch r.IntN(6) {
		case 0:
			tt.DType = graph.Bool
		case 1:
			tt.DType = graph.I64
		}
		if r.IntN(2) == 0 { // broadcast
			tt.Shape = append([]graph.Dim(nil), tt.Shape...)
			for a := range tt.Shape {
				if r.IntN(2) == 0 {
					tt.Shape[a] = graph.Ints(1)[0]
				}
			}
			for len(tt.Shape) > 0 && r.IntN(2) == 0 {
				if n, _ := tt.Shape[0].Int(); n != 1 {
					break
				}
				tt.Shape = tt.Shape[1:]
			}
		}
		e.types = append(e.types, tt)
	}
	return e
}

// build writes the region. If whole, it returns the reduction of absolute values besides.
func (e expression) build(whole bool) func(f *graph.Func, in []graph.Value) []graph.Value {
	return func(f *graph.Func, in []graph.Value) []graph.Value {
		r := rand.New(rand.NewPCG(e.seed, 2))
		dims := make([]any, len(e.shape))
		for i, d := range e.shape {
			dims[i] = d
		}
		full := func(v graph.Value) graph.Value {
			if graph.EqualShapes(v.Shape(), graph.Ints(e.shape...)) {
				return v
			}
			return ops.Expand(v, dims...)
		}
		var floats, bools, ints []graph.Value
		sort := func(v graph.Value) {
			switch v.DType() {
			case graph.Bool:
				bools = append(bools, v)
			case graph.I64:
				ints = append(ints, v)
			default:
				floats = append(floats, v)
			}
		}
		for _, v := range in {
			sort(v)
		}
		var made []graph.Value
		if len(floats) == 0 {
			v := full(ops.Cast(full(in[0]), e.dt))
			floats, made = append(floats, v), append(made, v)
		}
		pick := func(vs []graph.Value) graph.Value { return vs[r.IntN(len(vs))] }
		number := func() ops.Operand {
			if r.IntN(4) == 0 {
				return []float64{0.5, -2, 3, 0, 1.25}[r.IntN(5)]
			}
			return pick(floats)
		}
		for range 1 + r.IntN(12) {
			var v graph.Value
			a := full(pick(floats)) // one operand of the shape makes the result so
			switch k := r.IntN(18); {
			case k < 3:
				v = ops.Add(a, number())
			case k < 5:
				v = ops.Sub(number(), a)
			case k < 8:
				v = ops.Mul(a, number())
			case k == 8:
				v = ops.Div(a, number())
			case k == 9:
				v = ops.Maximum(a, number())
			case k == 10:
				v = ops.ReLU(ops.Neg(a))
			case k == 11:
				v = ops.Square(a)
			case k == 12 && len(bools) > 0:
				v = full(ops.Where(pick(bools), a, number()))
			case k == 13:
				v = ops.Less(a, number())
			case k == 14 && len(bools) > 0:
				v = full(ops.Xor(full(pick(bools)), ops.Not(full(pick(bools)))))
			case k == 15 && len(bools) > 0:
				v = ops.Cast(full(pick(bools)), e.dt)
			case k == 16 && len(ints) > 0:
				v = ops.Equal(full(pick(ints)), full(ops.Add(full(pick(ints)), 1)))
			case k == 17 && len(ints) > 0:
				v = ops.Cast(full(pick(ints)), e.dt)
			default:
				v = ops.Abs(a)
			}
			made = append(made, v)
			sort(v)
		}
		results := []graph.Value{made[len(made)-1]}
		for range r.IntN(3) {
			results = append(results, pick(made))
		}
		if !e.exact {
			results = append(results, []func(graph.Value) graph.Value{ops.Exp, ops.Tanh, ops.Sigmoid, ops.Erf, ops.Log}[r.IntN(5)](full(pick(floats))))
		}
		if e.reduce {
			v := full(pick(floats))
			reduce := []func(graph.Value, []int, bool) graph.Value{ops.ReduceSum, ops.ReduceMean, ops.ReduceMax, ops.ReduceMin}[r.IntN(4)]
			results = append(results, reduce(v, append([]int{}, e.axes...), r.IntN(2) == 0))
			if whole {
				results = append(results, reduce(ops.Abs(v), append([]int{}, e.axes...), false))
			}
		}
		return results
	}
}

func (e expression) operands() []*value.Tensor {
	r := rand.New(rand.NewPCG(e.seed, 3))
	in := make([]*value.Tensor, len(e.types))
	for i, tt := range e.types {
		shape, _ := tt.ConstShape()
		x := value.NewExact(tt.DType, shape)
		for k := range x.F {
			x.F[k] = r.NormFloat64() * 2
			if !e.reduce && r.IntN(20) == 0 {
				x.F[k] = []float64{math.NaN(), math.Inf(1), math.Inf(-1), 0, math.Copysign(0, -1)}[r.IntN(5)]
			}
		}
		for k := range x.I {
			x.I[k] = int64(r.IntN(4))
		}
		for k := range x.B {
			x.B[k] = r.IntN(2) == 0
		}
		t, err := misaligned(x.Tensor())
		if err != nil {
			panic(err)
		}
		in[i] = t
	}
	return in
}

// near compares results with the reference's, whose last, if there is a reduction, is that of the absolute values.
func (e expression) near(n *graph.Node, got []*value.Tensor, want []value.Value) error {
	for i, g := range got {
		w := want[i].(*value.Tensor)
		if !g.DType().IsFloat() {
			if !g.Equal(w) {
				return fmt.Errorf("result %d differs", i)
			}
			continue
		}
		eps := 0x1p-23
		if g.DType() == graph.F64 {
			eps = 0x1p-52
		}
		last := e.reduce && i == len(got)-1
		functions := !e.exact && (i == len(got)-1 && !e.reduce || i == len(got)-2 && e.reduce)
		gs, ws := g.Float64s(), w.Float64s()
		var sums []float64
		if last {
			sums = want[i+1].(*value.Tensor).Float64s()
		}
		for k := range gs {
			bound := 0.0
			switch {
			case last:
				if bound = 64 * eps * sums[k]; g.DType() == graph.F64 { // as exact as the reference, which adds one after the other
					bound = float64(e.size()) * eps * sums[k]
				}
			case functions:
				bound = 4*eps*math.Abs(ws[k]) + 0x1p-147
			}
			if gs[k] == ws[k] || gs[k] != gs[k] && ws[k] != ws[k] || math.Abs(gs[k]-ws[k]) <= bound {
				continue
			}
			return fmt.Errorf("result %d, element %d is %v, want %v", i, k, gs[k], ws[k])
		}
	}
	return nil
}

// TestFused holds random expressions against the interpreter, runs them with several numbers of threads, in place of operands,
// and looks for allocations.
func TestFused(t *testing.T) {
	defer parallel.SetThreads(0)
	count := uint64(600)
	if testing.Short() {
		count = 150
	}
	for seed := range count {
		e := randomExpression(seed)
		n := fusedNode(t, e.types, e.build(false))
		in := e.operands()
		feeds := make([]value.Value, len(in))
		for i, x := range in {
			feeds[i] = x
		}
		want, err := graph.EvalNode(fusedNode(t, e.types, e.build(true)), feeds, nil)
		if err != nil {
			t.Fatal(err)
		}
		parallel.SetThreads(1)
		p := prepare(t, n, in)
		p.do(t)
		fail := func(err any) {
			t.Fatalf("seed %d, shape %v: %v\n%v", seed, e.shape, err, n.Regions()[0])
		}
		if err := e.near(n, p.call.Out, want); err != nil {
			fail(err)
		}
		var first []*value.Tensor
		for _, out := range p.call.Out {
			first = append(first, out.Clone())
		}
		same := func(what string) {
			for i, out := range p.call.Out {
				if !bytes.Equal(out.Bytes(), first[i].Bytes()) {
					fail(fmt.Sprintf("%s: result %d has other bits", what, i))
				}
			}
		}
		for _, threads := range []int{2, 3, 8} {
			parallel.SetThreads(threads)
			for _, out := range p.call.Out {
				clear(out.Bytes())
			}
			p.do(t)
			same(fmt.Sprint(threads, " threads"))
		}
		if seed%16 == 0 {
			for _, threads := range []int{1, 2} {
				parallel.SetThreads(threads)
				if a := testing.AllocsPerRun(3, func() { p.do(t) }); a > 0 {
					fail(fmt.Sprintf("%v allocations", a))
				}
			}
		}
		// In place: each result of the shape takes the storage of an operand, if there is one for it.
		r := rand.New(rand.NewPCG(seed, 4))
		taken := make([]bool, len(in))
		for i, out := range p.call.Out {
			for _, k := range r.Perm(len(in)) {
				x := in[k]
				if !taken[k] && x.DType() == out.DType() && x.Len() == out.Len() && graph.EqualShapes(e.types[k].Shape, graph.Ints(e.shape...)) &&
					!(e.reduce && i == len(p.call.Out)-1) {
					p.call.Out[i], taken[k] = x, true
					break
				}
			}
		}
		p.do(t)
		same("in place")
	}
}

// TestEpilogue holds matrix products and convolutions with an epilogue against the same two kernels one after the other: the bits
// are the same.
func TestEpilogue(t *testing.T) {
	defer parallel.SetThreads(0)
	type producer struct {
		name   string
		in     [][]int
		out    []int
		others [][]int // shapes of further operands
		build  func(in []graph.Value) graph.Value
	}
	matmul := func(in []graph.Value) graph.Value { return ops.MatMul(in[0], in[1]) }
	var cases []producer
	for _, s := range [][3]int{{64, 10, 30}, {1, 10, 5}, {5, 1, 3}, {130, 300, 40}, {64, 256, 20}, {7, 2000, 9}, {300, 127, 8}, {1, 1, 1}, {0, 4, 2}, {70, 600, 400}} {
		m, n, k := s[0], s[1], s[2]
		cases = append(cases, producer{fmt.Sprint("matmul", s), [][]int{{m, k}, {k, n}}, []int{m, n}, [][]int{{n}, {m, 1}, {m, n}, {1, n}, {}}, matmul})
	}
	cases = append(cases,
		producer{"batch", [][]int{{2, 3, 20, 7}, {3, 7, 33}}, []int{2, 3, 20, 33}, [][]int{{33}, {2, 1, 20, 1}, {3, 1, 33}, {1, 20, 33}}, matmul},
		producer{"rows of a batch", [][]int{{4, 50, 7}, {1, 7, 200}}, []int{4, 50, 200}, [][]int{{200}, {50, 1}, {4, 1, 1}, {4, 1, 200}}, matmul},
	)
	for _, size := range []int{6, 30} {
		conv := func(in []graph.Value) graph.Value { return ops.Conv(in[0], in[1], ops.ConvParams{}) }
		o := size - 2
		cases = append(cases, producer{
			fmt.Sprint("conv ", size),
			[][]int{{3, 4, size, size}, {5, 4, 3, 3}},
			[]int{3, 5, o, o},
			[][]int{{5, 1, 1}, {3, 5, o, o}, {1, 1, o, o}, {o, 1}, {3, 1, 1, 1}, {}},
			conv,
		})
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			for seed := range uint64(12) {
				r := rand.New(rand.NewPCG(seed, 7))
				var in []*value.Tensor
				var types []graph.TensorType
				operand := func(dt graph.DType, shape []int) {
					x := value.NewExact(dt, shape)
					for i := range x.F {
						x.F[i] = r.NormFloat64()
					}
					for i := range x.B {
						x.B[i] = r.IntN(2) == 0
					}
					in = append(in, x.Tensor())
					types = append(types, graph.TensorType{DType: dt, Shape: graph.Ints(shape...)})
				}
				dt := []graph.DType{graph.F32, graph.F64}[seed%2]
				operand(dt, c.in[0])
				operand(dt, c.in[1])
				for range r.IntN(4) {
					operand([]graph.DType{dt, dt, graph.Bool}[r.IntN(3)], c.others[r.IntN(len(c.others))])
				}
				after := func(y graph.Value, others []graph.Value) graph.Value {
					for i, x := range others {
						switch {
						case x.DType() == graph.Bool:
							y = ops.Where(x, y, 0.0)
						case i%2 == 0:
							y = ops.ReLU(ops.Add(y, x))
						default:
							y = ops.Sub(ops.Mul(y, x), x)
						}
					}
					return ops.Tanh(y)
				}
				n := fusedNode(t, types, func(_ *graph.Func, p []graph.Value) []graph.Value {
					return []graph.Value{after(c.build(p[:2]), p[2:])}
				})
				if first := n.Regions()[0].Nodes()[0]; kernels.RoleOf(first) != kernels.Begin {
					t.Fatalf("%s takes no epilogue", first.Op().Name)
				}
				parallel.SetThreads(1)
				p := prepare(t, n, in)
				// the same as two kernels
				alone := fusedNode(t, types[:2], func(_ *graph.Func, p []graph.Value) []graph.Value {
					return []graph.Value{c.build(p)}
				}).Regions()[0].Nodes()[0]
				spec := &kernels.Spec{Attrs: alone.Attrs(), Node: alone, InTypes: types[:2], OutTypes: []graph.TensorType{alone.Types()[0].(graph.TensorType)}}
				run, err := kernels.Lookup(alone.Op().Name, []graph.Type{types[0], types[1]}, alone.Attrs()).Bind(spec)
				if err != nil {
					t.Fatal(err)
				}
				product, _ := value.New(dt, c.out...)
				if err := run(&kernels.Call{Spec: spec, In: in[:2], Out: []*value.Tensor{product}}); err != nil {
					t.Fatal(err)
				}
				mapTypes := append([]graph.TensorType{spec.OutTypes[0]}, types[2:]...)
				q := prepare(t, fusedNode(t, mapTypes, func(_ *graph.Func, p []graph.Value) []graph.Value {
					return []graph.Value{after(p[0], p[1:])}
				}), append([]*value.Tensor{product}, in[2:]...))
				q.do(t)
				for _, threads := range []int{1, 2, 3, 8} {
					parallel.SetThreads(threads)
					clear(p.call.Out[0].Bytes())
					p.do(t)
					if !bytes.Equal(p.call.Out[0].Bytes(), q.call.Out[0].Bytes()) {
						t.Fatalf("seed %d, %d threads: other bits\n%v", seed, threads, n.Regions()[0])
					}
				}
				for _, threads := range []int{1, 2} {
					parallel.SetThreads(threads)
					if a := testing.AllocsPerRun(3, func() { p.do(t) }); a > 0 {
						t.Fatalf("seed %d, %d threads: %v allocations", seed, threads, a)
					}
				}
			}
		})
	}
}

// report measures the least time that f takes, on n elements and so many bytes: the machine may be shared.
func report(b *testing.B, n, size int, f func()) {
	best := time.Duration(math.MaxInt64)
	for b.Loop() {
		start := time.Now()
		f()
		best = min(best, time.Since(start))
	}
	b.ReportMetric(float64(best.Nanoseconds())/float64(n), "ns/elem")
	b.ReportMetric(float64(size)/float64(best.Nanoseconds()), "GB/s")
	b.ReportMetric(0, "ns/op")
}

// BenchmarkFused reports the time for an element and the memory traffic, beside a copy.
func BenchmarkFused(b *testing.B) {
	type expr struct {
		name    string
		vectors int // operands of the shape; one more, a scalar, follows
		traffic int // elements read and written
		inPlace int // results that take the place of the first operands
		build   func(f *graph.Func, x []graph.Value) []graph.Value
	}
	for _, n := range []int{1 << 14, 1 << 18, 1 << 22} {
		for _, e := range []expr{
			{"relu", 3, 4, 0, func(_ *graph.Func, x []graph.Value) []graph.Value {
				return []graph.Value{ops.Add(ops.Mul(ops.ReLU(ops.Add(ops.Mul(x[0], x[1]), x[2])), x[0]), x[1])}
			}},
			{"gates", 3, 4, 0, func(_ *graph.Func, x []graph.Value) []graph.Value {
				return []graph.Value{ops.Add(ops.Mul(ops.Tanh(ops.Add(ops.Mul(x[0], x[1]), x[2])), ops.Sigmoid(x[1])), ops.Maximum(x[1], 0.0))}
			}},
			{"adam", 4, 7, 3, func(_ *graph.Func, x []graph.Value) []graph.Value {
				p, m, v, g, rate := x[0], x[1], x[2], x[3], x[4]
				m = ops.Add(ops.Mul(m, 0.9), ops.Mul(g, 0.1))
				v = ops.Add(ops.Mul(v, 0.999), ops.Mul(ops.Square(g), 0.001))
				d := ops.Div(m, ops.Add(ops.Div(ops.Sqrt(v), rate), 1e-8))
				return []graph.Value{ops.Sub(p, ops.Mul(d, rate)), m, v}
			}},
			{"sum", 2, 2, 0, func(_ *graph.Func, x []graph.Value) []graph.Value {
				return []graph.Value{ops.ReduceSum(ops.Square(ops.Sub(x[0], x[1])), []int{0}, false)}
			}},
		} {
			b.Run(fmt.Sprint(e.name, "/", n), func(b *testing.B) {
				var types []graph.TensorType
				var in []*value.Tensor
				for i := range e.vectors + 1 {
					shape := []int{n}
					if i == e.vectors {
						shape = nil
					}
					x := value.NewExact(graph.F32, shape)
					for k := range x.F {
						x.F[k] = 0.5 + float64(k%7)/7
					}
					in = append(in, x.Tensor())
					types = append(types, graph.TensorType{DType: graph.F32, Shape: graph.Ints(shape...)})
				}
				p := prepare(b, fusedNode(b, types, e.build), in)
				for i := range e.inPlace {
					p.call.Out[i] = in[i]
				}
				report(b, n, 4*e.traffic*n, func() { p.do(b) })
			})
		}
		b.Run(fmt.Sprint("copy/", n), func(b *testing.B) {
			x, y := make([]float32, n), make([]float32, n)
			report(b, n, 8*n, func() { copy(y, x) })
		})
	}
}
