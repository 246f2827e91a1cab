package runtime_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"

	"github.com/graphrun/graphrun/compile"
	"github.com/graphrun/graphrun/graph"
	"github.com/graphrun/graphrun/graph/value"
	"github.com/graphrun/graphrun/ops"
	"github.com/graphrun/graphrun/runtime"
)

// numbers returns a tensor of a type with the given elements.
func numbers(t testing.TB, typ string, xs ...float64) *value.Tensor {
	t.Helper()
	p, err := graph.ParseType(typ)
	if err != nil {
		t.Fatal(err)
	}
	tt := p.(graph.TensorType)
	shape, _ := tt.ConstShape()
	e, err := value.Convert(&value.Exact{DType: value.F64, Shape: shape, F: xs}, tt.DType)
	if err != nil {
		t.Fatal(err)
	}
	return e.Tensor()
}

// TestRefusedRuns feeds what the types allow and the operations cannot compute: each run ends with the operation's place
// and what is wrong, and leaves the variables alone.
func TestRefusedRuns(t *testing.T) {
	index := func(op func(x, i graph.Value) graph.Value) func(*graph.Func) graph.Value {
		return func(f *graph.Func) graph.Value {
			return op(f.Input("x", graph.F32, "N", 2), f.Input("i", graph.I64, "K"))
		}
	}
	whole := func(op func(a, b graph.Value) graph.Value) func(*graph.Func) graph.Value {
		return func(f *graph.Func) graph.Value {
			return op(f.Input("x", graph.I32, "N"), f.Input("i", graph.I32, "N"))
		}
	}
	rows, zero := numbers(t, "f32[3,2]", 1, 2, 3, 4, 5, 6), numbers(t, "i32[2]", 1, 0)
	for _, c := range []struct {
		name  string
		build func(f *graph.Func) graph.Value
		x, i  value.Value
		want  string
	}{
		{"gather", index(func(x, i graph.Value) graph.Value { return ops.Gather(x, 0, i) }), rows, numbers(t, "i64[2]", 0, 3), "gather: "},
		{"negative index", index(func(x, i graph.Value) graph.Value { return ops.Gather(x, 0, i) }), rows, numbers(t, "i64[2]", -4, 0), "gather: "},
		{"index add", index(func(x, i graph.Value) graph.Value {
			return ops.IndexAdd(x, 0, i, ops.Gather(x, 0, ops.Mul(i, 0)))
		}), rows, numbers(t, "i64[2]", 0, 9), "index_add: "},
		{"one hot size", index(func(x, i graph.Value) graph.Value {
			return ops.Add(ops.MatMul(ops.OneHot(i, "K", graph.F32), x), 0)
		}), rows, numbers(t, "i64[2]", 0, 1), "matmul: inner dimensions differ: "},
		{"division", whole(func(a, b graph.Value) graph.Value { return ops.FloorDiv(a, b) }), zero, zero, "floor_div: "},
		{"truncated division", whole(func(a, b graph.Value) graph.Value { return ops.TruncDiv(a, b) }), zero, zero, ": "},
		{"remainder", whole(func(a, b graph.Value) graph.Value { return ops.Remainder(a, b) }), zero, zero, "remainder: "},
		{"fmod", whole(func(a, b graph.Value) graph.Value { return ops.Fmod(a, b) }), zero, zero, "fmod: "},
		{"size", index(func(x, i graph.Value) graph.Value {
			return ops.Mul(ops.Expand(ops.At(ops.At(x, 0, 0), 0, 0), "K*1099511627776"), 2)
		}), rows, numbers(t, "i64[2]", 0, 1), "out of memory: the result is f32[2199023255552], and the call would hold "},
		{"bytes", index(func(x, i graph.Value) graph.Value {
			return ops.Mul(ops.Expand(ops.At(ops.At(x, 0, 0), 0, 0), "K*35184372088832"), 2)
		}), rows, numbers(t, "i64[2]", 0, 1), "out of memory: the result is f32[70368744177664], and the call would hold "},
		{"elements", index(func(x, i graph.Value) graph.Value {
			return ops.Mul(ops.Expand(ops.At(ops.At(x, 0, 0), 0, 0), "K*4611686018427387903", 4), 2)
		}), rows, numbers(t, "i64[3]", 0, 1, 2), "too large"},
	} {
		t.Run(c.name, func(t *testing.T) {
			m := graph.NewModule("m")
			v := m.Variable("calls", graph.I64, nil, func(f *graph.Func, _ graph.Value) graph.Value { return f.Scalar(graph.I64, 0) })
			f := m.Func("f")
			f.Update(v, ops.Add(v.Read(f), 1))
			f.Return("y", c.build(f))
			s := session(t, compiled(t, m))
			_, err := s.Run(context.Background(), "f", map[string]value.Value{"x": c.x, "i": c.i})
			if err == nil {
				t.Fatal("it runs")
			}
			if msg := err.Error(); !strings.HasPrefix(msg, "run f: robust_test.go:") || !strings.Contains(msg, c.want) || strings.Contains(msg, "BUG") {
				t.Errorf("have %v\nwant the place and %q", err, c.want)
			}
			if got := fmt.Sprint(s.Variable("calls")); got != "i64[] 0" {
				t.Errorf("a failed run has changed the state to %s", got)
			}
		})
	}
}

// TestFeeds gives inputs that are no values, or of other types.
func TestFeeds(t *testing.T) {
	m := graph.NewModule("m")
	f := m.Func("f")
	f.Return("y", ops.Add(f.Input("x", graph.F32, "2*N", "N*M"), ops.Sum(f.Input("k", graph.F32, "M"))))
	s := session(t, compiled(t, m))
	k := vec(t, 1, 2, 3)
	for _, c := range []struct {
		x    value.Value
		want string
	}{
		{nil, "no feed for x (f32[2*N,M*N])"},
		{(*value.Tensor)(nil), "no feed for x (f32[2*N,M*N])"},
		{(*value.Map)(nil), "no feed for x (f32[2*N,M*N])"},
		{&value.Tensor{}, "have invalid[]"},
		{value.None(), "have optional<invalid>"},
		{&value.Map{}, "have map<invalid,invalid>"},
		{value.Token{}, "have token"},
		{numbers(t, "f64[2,3]", 1, 2, 3, 4, 5, 6), "have f64[2,3]"},
		{vec(t, 1), "want f32[2*N,M*N], have f32[1]"},
		{numbers(t, "f32[3,3]", 1, 2, 3, 4, 5, 6, 7, 8, 9), "axis 0: 2*N is 2 here, not 3"},
		{numbers(t, "f32[0,0]"), "want at least 1"},
		{numbers(t, "f32[2,2]", 1, 2, 3, 4), "axis 1: M*N is 3 here, not 2"},
	} {
		_, err := s.Run(context.Background(), "f", map[string]value.Value{"x": c.x, "k": k})
		if err == nil || !strings.HasPrefix(err.Error(), "run f: ") || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%v gives\n %v, want\n %s", c.x, err, c.want)
		}
	}
	if _, err := s.Run(context.Background(), "f", map[string]value.Value{"x": numbers(t, "f32[2,3]", 1, 2, 3, 4, 5, 6), "k": k}); err != nil {
		t.Error(err) // M follows from k, which comes after x
	}
}

// TestEmptyTensors computes on tensors without elements what is defined on them, and refuses the rest.
func TestEmptyTensors(t *testing.T) {
	for name, c := range map[string]struct {
		build func(x graph.Value) graph.Value
		want  string // the result, or part of the message
	}{
		"add":       {func(x graph.Value) graph.Value { return ops.Add(x, 1) }, "f32[2,0,3] []"},
		"sum":       {func(x graph.Value) graph.Value { return ops.Sum(x, 1) }, "f32[2,3] [[0 0 0] [0 0 0]]"},
		"prod":      {func(x graph.Value) graph.Value { return ops.Prod(x) }, "f32[] 1"},
		"max":       {func(x graph.Value) graph.Value { return ops.ReduceMax(x, []int{1}, false) }, "f32[2,3] [[-inf -inf -inf] [-inf -inf -inf]]"},
		"argmax":    {func(x graph.Value) graph.Value { return ops.ArgMax(x, 1, false) }, "argmax: "},
		"softmax":   {func(x graph.Value) graph.Value { return ops.Softmax(x, 1) }, "f32[2,0,3] []"},
		"matmul":    {func(x graph.Value) graph.Value { return ops.MatMul(ops.SwapAxes(x, 1, 2), x) }, "f32[2,3,3] [[[0 0 0] [0 0 0]"},
		"matmul 0":  {func(x graph.Value) graph.Value { return ops.MatMul(x, ops.SwapAxes(x, 1, 2)) }, "f32[2,0,0] []"},
		"transpose": {func(x graph.Value) graph.Value { return ops.Transpose(x, 1, 0, 2) }, "f32[0,2,3] []"},
		"concat":    {func(x graph.Value) graph.Value { return ops.Concat(1, x, x) }, "f32[2,0,3] []"},
		"conv":      {func(x graph.Value) graph.Value { return ops.Conv(x, ops.SwapAxes(x, 1, 0), ops.ConvParams{}) }, "conv: "},
		"sort":      {func(x graph.Value) graph.Value { v, _ := ops.Sort(x, 1, false); return v }, "f32[2,0,3] []"},
		"reshape":   {func(x graph.Value) graph.Value { return ops.Reshape(x, 5, 0) }, "f32[5,0] []"},
		"gather":    {func(x graph.Value) graph.Value { return ops.Gather(x, 1, ops.ArgMax(ops.Sum(x, 1), 1, false)) }, "gather: "},
		"gradient":  {func(x graph.Value) graph.Value { return graph.Grad(ops.Mean(ops.Mul(x, x)), x)[0] }, "f32[2,0,3] []"},
	} {
		t.Run(name, func(t *testing.T) {
			m := graph.NewModule("m")
			f := m.Func("f")
			f.Return("y", c.build(f.Input("x", graph.F32, 2, 0, 3)))
			got := ""
			prog, err := compile.Compile(m)
			if err == nil {
				var out map[string]value.Value
				if out, err = session(t, prog).Run(context.Background(), "f", map[string]value.Value{"x": numbers(t, "f32[2,0,3]")}); err == nil {
					got = out["y"].String()
				}
			}
			if err != nil {
				got = err.Error()
				if !strings.Contains(got, "robust_test.go:") || strings.Contains(got, "BUG") {
					t.Errorf("no place or a fault of graphrun's own: %s", got)
				}
			}
			if !strings.Contains(got, c.want) {
				t.Errorf("have %s, want %s", got, c.want)
			}
		})
	}
}

// TestStorage runs random programs of ops that share storage, pool it and hand it out, against the interpreter: results
// are the caller's own, the variables are nobody else's, and no value is overwritten while it is needed.
func TestStorage(t *testing.T) {
	for seed := range uint64(400) {
		r := rand.New(rand.NewPCG(seed, 0))
		m, f := shuffler(r)
		prog, err := compile.Compile(m)
		if seed%2 == 0 { // composites stay whole
			prog, err = compile.Compile(m, compile.Through("autodiff"))
		}
		if err != nil {
			t.Fatalf("%v\n%s", err, m)
		}
		s := session(t, prog)
		state := map[string]*value.Tensor{}
		for _, v := range m.Variables() {
			state[v.Name()] = s.Variable(v.Name()).Clone()
		}
		ip := &graph.Interpreter{Read: func(name string) (*value.Tensor, error) { return state[name], nil }}
		for range 3 {
			x := numbers(t, "f32[2,2]", r.Float64(), r.Float64(), r.Float64(), r.Float64())
			kept := x.Clone()
			want, err := ip.Run(f, []value.Value{x.Clone()})
			if err != nil {
				t.Fatal(err)
			}
			out, err := s.Run(context.Background(), "f", map[string]value.Value{"x": x})
			if err != nil {
				t.Fatalf("%v\n%s", err, m)
			}
			if !x.Equal(kept) {
				t.Fatalf("seed %d: the feed has changed\n%s", seed, m)
			}
			for i, res := range f.Results() {
				if !value.Equal(out[res.Name], want[i]) {
					t.Fatalf("seed %d: %s is %v, want %v\n%s", seed, res.Name, out[res.Name], want[i], m)
				}
				clear(out[res.Name].(*value.Tensor).Bytes()) // it is the caller's own
			}
			clear(x.Bytes())
			for i, u := range f.Updates() {
				state[u.Var.Name()] = want[len(f.Results())+i].(*value.Tensor).Clone()
			}
			for name, v := range state {
				if !s.Variable(name).Equal(v) {
					t.Fatalf("seed %d: @%s is %v, want %v\n%s", seed, name, s.Variable(name), v, m)
				}
			}
		}
	}
}

// shuffler declares a function f of x: f32[2,2] that moves values about: aliases of one another, of the feed, of constants
// and of variables, some of which become results and next values of variables.
func shuffler(r *rand.Rand) (*graph.Module, *graph.Func) {
	m := graph.NewModule("shuffler")
	var vars []*graph.Variable
	for i := range 3 {
		vars = append(vars, m.Variable(fmt.Sprintf("v%d", i), graph.F32, []int{2, 2}, func(f *graph.Func, _ graph.Value) graph.Value {
			return ops.Full(f, graph.F32, float64(i), 2, 2)
		}))
	}
	f := m.Func("f")
	vals := []graph.Value{f.Input("x", graph.F32, 2, 2), ops.Full(f, graph.F32, 0.5, 2, 2)}
	for _, v := range vars {
		vals = append(vals, v.Read(f))
	}
	one := func() graph.Value { return vals[r.IntN(len(vals))] }
	for range 3 + r.IntN(12) {
		v := one()
		switch r.IntN(8) {
		case 0:
			v = ops.Reshape(ops.Add(ops.Reshape(v, 4), 1), 2, 2)
		case 1:
			v = ops.Reshape(ops.Reshape(v, 4, 1), 2, 2)
		case 2:
			v = ops.Transpose(v, 1, 0)
		case 3:
			v = ops.Sub(v, one())
		case 4:
			v = ops.StopGradient(v)
		case 5:
			v = ops.CustomGrad(
				func(_ *graph.Func, x []graph.Value) []graph.Value { return x },
				func(_ *graph.Func, _, _, dy []graph.Value) []graph.Value { return dy },
				ops.Neg(v), v)[r.IntN(2)]
		case 6:
			v = ops.Concat(0, ops.Split(v, 0, 1, 1)...)
		case 7:
			v = ops.Neg(v)
		}
		vals = append(vals, v)
	}
	for i := range 1 + r.IntN(4) {
		f.Return(fmt.Sprintf("y%d", i), one())
	}
	for _, v := range vars[:r.IntN(4)] {
		f.Update(v, one())
	}
	return m, f
}

// TestPlannedStorage runs random programs that are fused and planned, some for one symbol and some for several, against the
// interpreter: call after call with other sizes, feeds that are one another or a variable, results in tensors of the caller, and
// calls at the same time.
func TestPlannedStorage(t *testing.T) {
	seeds := uint64(120)
	if testing.Short() {
		seeds = 40
	}
	for seed := range seeds {
		r := rand.New(rand.NewPCG(seed, 1))
		width := 3
		if seed%20 == 9 {
			width = 130 + r.IntN(40) // several strips
		}
		two := seed%3 == 0
		m, f, g := mixer(r, width, two)
		s := session(t, compiled(t, m))
		into := map[string]map[string]value.Value{} // by sizes
		for call := range 6 {
			rows := 1 + r.IntN(3)
			if r.IntN(3) == 0 {
				rows = width
			}
			more := rows
			if two {
				more = 1 + r.IntN(3)
			}
			x := samples(t, r, rows, width)
			z := samples(t, r, more, width)
			switch {
			case r.IntN(3) == 0 && more == rows:
				z = x
			case r.IntN(2) == 0 && rows == width:
				x = s.Variable("m0")
			}
			if r.IntN(3) == 0 && more == width {
				z = s.Variable("m0")
			}
			feeds := map[string]value.Value{"x": x, "z": z}
			vars := s.Variables()
			before := map[string]*value.Tensor{"x": x.Clone(), "z": z.Clone()}
			kept := map[string]*value.Tensor{}
			for name, v := range vars {
				kept[name] = v.Clone()
			}
			if r.IntN(2) == 0 { // these are nobody else's, so that they are written in place
				for name, v := range kept {
					if v != x && v != z {
						if err := s.SetVariable(name, v.Clone()); err != nil {
							t.Fatal(err)
						}
					}
				}
			}
			ip := &graph.Interpreter{Read: func(name string) (*value.Tensor, error) { return kept[name].Clone(), nil }}
			oracle, err := ip.Oracle(f, []value.Value{x.Clone(), z.Clone()})
			if err != nil {
				t.Fatal(err)
			}
			// g computes the same and commits nothing; whoever calls it sees the same bits.
			same := make([]map[string]value.Value, 3)
			var wg sync.WaitGroup
			for i := range same {
				wg.Go(func() {
					var err error
					if same[i], err = s.Run(context.Background(), "g", feeds); err != nil {
						t.Error(err)
					}
				})
			}
			wg.Wait()
			results := into[fmt.Sprint(rows, more)]
			if results == nil || call%2 == 0 {
				results, err = s.Run(context.Background(), "f", feeds)
				into[fmt.Sprint(rows, more)] = results
			} else {
				err = s.RunInto(context.Background(), "f", feeds, results)
			}
			if err != nil {
				t.Fatalf("seed %d: %v\n%s", seed, err, m)
			}
			for i, res := range f.Results() {
				if err := oracle.Compare(i, results[res.Name]); err != nil {
					t.Fatalf("seed %d, call %d: %s: %v\n%s", seed, call, res.Name, err, m)
				}
			}
			for _, out := range same {
				for i, res := range g.Results() {
					if !value.Equal(out[res.Name], same[0][res.Name]) {
						t.Fatalf("seed %d, call %d: calls at the same time differ in %s\n%s", seed, call, res.Name, m)
					}
					if err := oracle.Compare(i, out[res.Name]); err != nil {
						t.Fatalf("seed %d, call %d: %s of g: %v\n%s", seed, call, res.Name, err, m)
					}
				}
			}
			updated := map[string]bool{}
			for i, u := range f.Updates() {
				updated[u.Var.Name()] = true
				if err := oracle.Compare(len(f.Results())+i, s.Variable(u.Var.Name())); err != nil {
					t.Fatalf("seed %d, call %d: @%s: %v\n%s", seed, call, u.Var.Name(), err, m)
				}
			}
			for name, v := range vars {
				if !v.Equal(kept[name]) {
					t.Fatalf("seed %d, call %d: @%s has changed under the one who was given it\n%s", seed, call, name, m)
				}
				if !updated[name] && !s.Variable(name).Equal(v) {
					t.Fatalf("seed %d, call %d: @%s has changed without an update\n%s", seed, call, name, m)
				}
			}
			if !x.Equal(before["x"]) || !z.Equal(before["z"]) {
				t.Fatalf("seed %d, call %d: a feed has changed\n%s", seed, call, m)
			}
		}
	}
}

// samples returns a matrix of numbers of at most 1.
func samples(t testing.TB, r *rand.Rand, rows, cols int) *value.Tensor {
	t.Helper()
	xs := make([]float32, rows*cols)
	for i := range xs {
		xs[i] = 2*r.Float32() - 1
	}
	x, err := value.FromSlice(xs, rows, cols)
	if err != nil {
		t.Fatal(err)
	}
	return x
}

// mixer declares a function f of x: f32[N,width] and z, of that type too or of other rows if there are to be two symbols: products,
// broadcasting, reductions, views, some of which become results and next values of variables; and g, which is f without updates.
func mixer(r *rand.Rand, width int, two bool) (m *graph.Module, f, g *graph.Func) {
	m = graph.NewModule("mixer")
	var vars []*graph.Variable
	for _, v := range []struct {
		name  string
		shape []int
	}{{"m0", []int{width, width}}, {"m1", []int{width, width}}, {"v0", []int{width}}, {"v1", []int{width}}, {"flat", []int{width * width}}, {"s", nil}} {
		vars = append(vars, m.Variable(v.name, graph.F32, v.shape, func(f *graph.Func, _ graph.Value) graph.Value {
			dims := make([]any, len(v.shape))
			for i, d := range v.shape {
				dims[i] = d
			}
			return ops.RandomUniform(f, graph.F32, -1, 1, dims...)
		}))
	}
	steps, results, updates := r.Uint64(), 1+r.IntN(4), r.IntN(len(vars)+1)
	order := r.Perm(len(vars))
	build := func(f *graph.Func, commit bool) {
		r := rand.New(rand.NewPCG(steps, 2)) // the same for both functions
		more := "N"
		if two {
			more = "M"
		}
		kinds := map[string][]graph.Value{}
		add := func(kind string, v graph.Value) { kinds[kind] = append(kinds[kind], v) }
		one := func(kind string) graph.Value { return kinds[kind][r.IntN(len(kinds[kind]))] }
		add("x", f.Input("x", graph.F32, "N", width))
		add(more, f.Input("z", graph.F32, more, width))
		if !two {
			add("x", one(more))
		}
		for i, kind := range []string{"mat", "mat", "vec", "vec", "flat", "scalar"} {
			add(kind, vars[i].Read(f))
		}
		add("vec", ops.Full(f, graph.F32, 0.5, width))
		names := []string{"x", "x", more, "mat", "mat", "vec", "flat", "scalar"}
		for range 4 + r.IntN(25) {
			kind := names[r.IntN(len(names))]
			v := one(kind)
			switch rank := v.Rank(); r.IntN(9) {
			case 0:
				v = ops.Tanh(v)
			case 1:
				v = ops.Sub(ops.Mul(v, 0.5), ops.Mul(one(kind), 0.25))
			case 2:
				v = ops.Mul(v, ops.Tanh(one("scalar")))
			case 3:
				if rank == 2 {
					v = ops.Add(ops.Mul(v, 0.5), ops.Mul(one("vec"), 0.5))
				}
			case 4:
				if kind == "mat" {
					v = ops.Add(v, ops.Reshape(one("vec"), width, 1))
				} else if rank == 2 {
					v = ops.Tanh(ops.Add(ops.MatMul(v, one("mat")), one("vec")))
				}
			case 5:
				switch kind {
				case "mat":
					kind, v = "vec", ops.ReduceMean(ops.Mul(v, one("vec")), []int{r.IntN(2)}, false)
				case "vec", "flat":
					kind, v = "scalar", ops.ReduceMax(v, []int{0}, false)
				case "scalar":
				default:
					kind, v = "vec", ops.ReduceMean(v, []int{0}, false)
				}
			case 6:
				switch kind {
				case "mat":
					kind, v = "flat", ops.Reshape(v, width*width)
				case "flat":
					kind, v = "mat", ops.Reshape(v, width, width)
				case "vec":
					v = ops.Reshape(ops.Reshape(v, 1, width), width)
				}
			case 7:
				if kind == "mat" {
					v = ops.Transpose(v, 1, 0)
				}
			case 8:
				v = ops.Neg(v)
			}
			add(kind, v)
		}
		for i := range results {
			f.Return(fmt.Sprintf("y%d", i), one(names[r.IntN(len(names))]))
		}
		if !commit {
			return
		}
		for _, i := range order[:updates] {
			kind := []string{"mat", "mat", "vec", "vec", "flat", "scalar"}[i]
			list := kinds[kind]
			v := list[len(list)-1-r.IntN(min(len(list), 3))] // mostly one that nobody reads
			f.Update(vars[i], v)
		}
	}
	f, g = m.Func("f"), m.Func("g")
	build(f, true)
	build(g, false)
	return m, f, g
}

// TestNoProgram starts sessions of nothing and compiles nothing.
func TestNoProgram(t *testing.T) {
	if _, err := runtime.NewSession(nil); err == nil {
		t.Error("there is a session of no program")
	}
	if _, err := compile.Compile(nil); err == nil {
		t.Error("no module compiles")
	}
}
