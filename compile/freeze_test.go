package compile_test

import (
	"context"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/graphrun/graphrun/compile"
	"github.com/graphrun/graphrun/graph"
	"github.com/graphrun/graphrun/graph/value"
	"github.com/graphrun/graphrun/models/nn"
	"github.com/graphrun/graphrun/models/optim"
	"github.com/graphrun/graphrun/ops"
	"github.com/graphrun/graphrun/runtime"
	"github.com/graphrun/graphrun/runtime/program"
)

// normalized is a small network with normalizations, and weights for it that are nothing like the first ones.
func normalized(t *testing.T) (*graph.Module, map[string]*value.Tensor) {
	t.Helper()
	m := graph.NewModule("m")
	f := m.Func("predict")
	net := nn.Sequential(
		nn.Conv2d(3, 32, 3, nn.Padding(1)), nn.BatchNorm2d(32), nn.ReLU(), nn.Conv2d(32, 32, 3, nn.NoBias()), nn.BatchNorm2d(32), nn.ReLU(),
		nn.Flatten(), nn.Linear(32*6*6, 64), nn.BatchNorm1d(64), nn.ReLU(), nn.Linear(64, 5))
	f.Return("y", net.Apply(f.Input("x", graph.F32, "N", 3, 8, 8)))
	prog, err := compile.Compile(m)
	if err != nil {
		t.Fatal(err)
	}
	s, err := runtime.NewSession(prog, runtime.Seed(3))
	if err != nil {
		t.Fatal(err)
	}
	weights := s.Variables()
	rng := rand.New(rand.NewPCG(1, 2))
	for name, w := range weights {
		if strings.Contains(name, "running_") || w.Rank() == 1 {
			e := w.Exact()
			for i := range e.F {
				e.F[i] = 0.5 + rng.Float64()
			}
			weights[name] = e.Tensor()
		}
	}
	return m, weights
}

func draw(t *testing.T, shape ...int) *value.Tensor {
	t.Helper()
	x, err := value.New(graph.F32, shape...)
	if err != nil {
		t.Fatal(err)
	}
	rng := rand.New(rand.NewPCG(7, uint64(x.Len())))
	e := x.Exact()
	for i := range e.F {
		e.F[i] = rng.NormFloat64()
	}
	return e.Tensor()
}

// TestFreeze compiles a network with and without its weights: the frozen one gives the same up to rounding by fewer instructions, has no variables, and
// packs its weights once for all sessions.
func TestFreeze(t *testing.T) {
	m, weights := normalized(t)
	plain, err := compile.Compile(m)
	if err != nil {
		t.Fatal(err)
	}
	frozen, err := compile.Compile(m, compile.Freeze(weights))
	if err != nil {
		t.Fatal(err)
	}
	if len(frozen.Variables) > 0 || len(m.Variables()) == 0 {
		t.Errorf("%d variables are left, and the module has %d", len(frozen.Variables), len(m.Variables()))
	}
	if n := frozen.Funcs["predict"].Steps(); n != 4 {
		t.Errorf("four layers are %d instructions", n)
	}
	packs := frozen.Packs.Len()
	if packs != 3 { // the last layer is small
		t.Errorf("%d of the weights are packed, want 3", packs)
	}
	a, err := runtime.NewSession(plain, runtime.Weights(weights))
	if err != nil {
		t.Fatal(err)
	}
	for _, batch := range []int{1, 2, 17} {
		b, err := runtime.NewSession(frozen)
		if err != nil {
			t.Fatal(err)
		}
		feeds := map[string]value.Value{"x": draw(t, batch, 3, 8, 8)}
		want, err := a.Run(context.Background(), "predict", feeds)
		if err != nil {
			t.Fatal(err)
		}
		got, err := b.Run(context.Background(), "predict", feeds)
		if err != nil {
			t.Fatal(err)
		}
		if err := value.AllClose(got["y"].(*value.Tensor), want["y"].(*value.Tensor), 1e-4, 1e-4); err != nil {
			t.Errorf("batch %d: %v", batch, err)
		}
	}
	if n := frozen.Packs.Len(); n != packs {
		t.Errorf("sessions of one program pack weights anew: %d, then %d", packs, n)
	}
	if err := compile.Check(m, compile.Inputs{}, compile.Freeze(weights)); err != nil {
		t.Error(err)
	}
}

// TestFreezeShares freezes a network that several functions apply: what is made of its weights is there once, and packed once.
func TestFreezeShares(t *testing.T) {
	m, weights := normalized(t)
	m = m.Clone()
	again := m.Func("again")
	x := again.Input("x", graph.F32, "N", 3, 8, 8)
	again.Return("y", ops.Sigmoid(again.Splice(m.LookupFunc("predict"), []graph.Value{x})[0]))
	prog, err := compile.Compile(m, compile.Freeze(weights))
	if err != nil {
		t.Fatal(err)
	}
	large := map[*value.Tensor]bool{}
	for _, f := range prog.Funcs {
		for _, s := range f.Slots {
			if s.Place == program.Constant && s.Const.Len() > 64 {
				large[s.Const] = true
			}
		}
	}
	if len(large) != 4 || prog.Packs.Len() != 3 { // the last layer is small
		t.Errorf("four layers in two functions have %d constants, of which %d are packed", len(large), prog.Packs.Len())
	}
}

// TestFreezeKeeps leaves variables that are updated, which start from the given values, and those whose values are not known.
func TestFreezeKeeps(t *testing.T) {
	m := graph.NewModule("m")
	net := nn.Sequential(nn.Linear(4, 3), nn.ReLU(), nn.Linear(3, 2))
	f, step := m.Func("predict"), m.Func("train")
	f.Return("y", net.Apply(f.Input("x", graph.F32, "N", 4)))
	optim.SGD(0.1).Minimize(nn.CrossEntropy(net.Apply(step.Input("x", graph.F32, "N", 4)), step.Input("label", graph.I64, "N")))
	all := map[string]*value.Tensor{}
	for _, v := range m.Variables() {
		if v.Type().DType == graph.F32 {
			shape, _ := v.Type().ConstShape()
			all[v.Name()] = draw(t, shape...)
		}
	}
	prog, err := compile.Compile(m, compile.Freeze(all))
	if err != nil {
		t.Fatal(err)
	}
	if len(prog.Variables) != len(m.Variables()) {
		t.Errorf("%d of %d variables are left, all of which are trained", len(prog.Variables), len(m.Variables()))
	}
	zeros, err := value.New(graph.F32, 2)
	if err != nil {
		t.Fatal(err)
	}
	for name, opts := range map[string][]runtime.Option{"frozen": nil, "given": {runtime.Weights(map[string]*value.Tensor{"2.bias": zeros})}} {
		s, err := runtime.NewSession(prog, opts...)
		if err != nil {
			t.Fatal(err)
		}
		for v, want := range all {
			if name == "given" && v == "2.bias" {
				want = zeros
			}
			if got := s.Variable(v); !value.Equal(got, want) {
				t.Errorf("%s: @%s starts from %v, want %v", name, v, got, want)
			}
		}
	}
	shape := all["2.weight"]
	all["2.weight"] = draw(t, 3, 2)
	if _, err := compile.Compile(m, compile.Freeze(all)); err == nil || !strings.Contains(err.Error(), "freeze: @2.weight is f32[2,3], the tensor is f32[3,2]") {
		t.Errorf("a tensor of another shape, of a variable that is updated: %v", err)
	}
	all["2.weight"] = shape
	if _, err := compile.Compile(m, compile.Freeze(map[string]*value.Tensor{"nobody": all["0.weight"]})); err == nil ||
		!strings.Contains(err.Error(), "freeze: @nobody is not a variable of the module") {
		t.Errorf("an unknown name: %v", err)
	}
	if err := m.RemoveFunc(step); err != nil {
		t.Fatal(err)
	}
	delete(all, "0.bias")
	prog, err = compile.Compile(m, compile.Freeze(all))
	if err != nil {
		t.Fatal(err)
	}
	if len(prog.Variables) != 2 || prog.Variables[0].Name != "0.bias" || prog.Variables[1].Name != "lr" {
		t.Errorf("the variables left are %v, want those of unknown values", prog.Variables)
	}
	all["0.weight"] = draw(t, 4, 3)
	if _, err := compile.Compile(m, compile.Freeze(all)); err == nil || !strings.Contains(err.Error(), "@0.weight is f32[3,4], the tensor is f32[4,3]") {
		t.Errorf("a tensor of another shape: %v", err)
	}
}

// TestFreezeKeepsRange freezes weights and factors whose products no weight can hold, though results can: they stay apart. So does a factor
// that weights cannot take, with the shift before it.
func TestFreezeKeepsRange(t *testing.T) {
	fill := func(dt graph.DType, x float64, shape ...int) *value.Tensor {
		v, err := value.New(dt, shape...)
		if err != nil {
			t.Fatal(err)
		}
		e := v.Exact()
		for i := range e.F {
			e.F[i] = x
		}
		return e.Tensor()
	}
	inf := math.Inf(1)
	for _, c := range []struct {
		dt         graph.DType
		x, w, b, s float64
	}{
		{graph.F16, 1.0 / 512, 512, 0, 512},
		{graph.F16, 4096, 0x1p-12, 0, 0x1p-14},
		{graph.F16, 1, 1, 0, inf},
		{graph.F16, 1, -512, 2048, 512},
		{graph.BF16, 1e-20, 1e20, 0, 1e20},
		{graph.BF16, 1e30, 1e-30, 0, 1e-30},
		{graph.F32, 1e-20, 1e20, 0, 1e20},
		{graph.F32, 1e30, 1e-30, 0, 1e-30},
		{graph.F32, 1, 1, 0, inf},
		{graph.F32, 1, -1e30, 4e30, 1e30},
		{graph.F64, 1e-200, 1e200, 0, 1e200},
		{graph.F64, 1e200, 1e-200, 0, 1e-200},
		{graph.F64, 1, -1e200, 4e200, 1e200},
	} {
		m := graph.NewModule("m")
		f := m.Func("f")
		y := ops.MatMul(f.Input("x", c.dt, "N", 4), f.Const(fill(c.dt, c.w, 4, 3)))
		if c.b != 0 {
			y = ops.Add(y, f.Const(fill(c.dt, c.b, 3)))
		}
		f.Return("y", ops.Mul(y, f.Const(fill(c.dt, c.s, 3))))
		x := fill(c.dt, c.x, 2, 4)
		want, err := (&graph.Interpreter{}).Run(f, []value.Value{x})
		if err != nil {
			t.Fatal(err)
		}
		prog, err := compile.Compile(m)
		if err != nil {
			t.Fatal(err)
		}
		s, err := runtime.NewSession(prog)
		if err != nil {
			t.Fatal(err)
		}
		got, err := s.Run(context.Background(), "f", map[string]value.Value{"x": x})
		if err != nil {
			t.Fatal(err)
		}
		if err := value.AllClose(got["y"].(*value.Tensor), want[0].(*value.Tensor), 0.02, 0); err != nil {
			t.Errorf("%s: (%v*%v + %v) * %v: %v", c.dt, c.x, c.w, c.b, c.s, err)
		}
	}
	m := graph.NewModule("m")
	f := m.Func("f")
	y := ops.Conv(f.Input("x", graph.F32, "N", 3, 8, 8), f.Const(draw(t, 4, 3, 3, 3)), ops.ConvParams{Pads: []int{1, 1, 1, 1}})
	f.Return("y", ops.Mul(ops.Add(y, f.Const(draw(t, 4, 1, 1))), f.Const(draw(t, 8, 8))))
	z := ops.Conv(f.Input("z", graph.F32, "N", 3, 8, 8), f.Const(draw(t, 4, 3, 3, 3)), ops.ConvParams{Pads: []int{1, 1, 1, 1}})
	f.Return("z", ops.Sub(ops.Add(z, f.Const(draw(t, 4, 1, 1))), f.Const(draw(t, 8, 8))))
	f.Return("u", ops.Mul(ops.Add(ops.Mul(z, 2.0), f.Const(draw(t, 8, 8))), f.Const(draw(t, 4, 1, 1))))
	prog, err := compile.Compile(m)
	if err != nil {
		t.Fatal(err)
	}
	for i := range prog.Funcs["f"].Instrs {
		if n := prog.Funcs["f"].Instrs[i].Node; !slices.ContainsFunc(n.Operands(), func(v graph.Value) bool { return !v.Is("constant") }) {
			t.Errorf("a %s of constants is left to every call", n.Op().Name)
		}
	}
}

// TestFoldByKernel folds a product that takes the reference long: it is the one that a program computes, to the bit.
func TestFoldByKernel(t *testing.T) {
	const n = 256
	m := graph.NewModule("m")
	f, g := m.Func("constant"), m.Func("input")
	w := draw(t, n, n)
	f.Return("y", ops.MatMul(f.Const(w), f.Const(w)))
	x := g.Input("w", graph.F32, n, n)
	g.Return("y", ops.MatMul(x, x))
	prog, err := compile.Compile(m)
	if err != nil {
		t.Fatal(err)
	}
	if steps := prog.Funcs["constant"].Steps(); steps != 0 {
		t.Errorf("a product of constants is %d instructions", steps)
	}
	s, err := runtime.NewSession(prog)
	if err != nil {
		t.Fatal(err)
	}
	got, err := s.Run(context.Background(), "constant", nil)
	if err != nil {
		t.Fatal(err)
	}
	want, err := s.Run(context.Background(), "input", map[string]value.Value{"w": w})
	if err != nil {
		t.Fatal(err)
	}
	if !value.Equal(got["y"], want["y"]) {
		t.Error("the folded product differs from the one computed")
	}
}

// TestFreezeRanges freezes products whose factors, or sums with what is added before, leave the range of the dtype: results stay what they are.
func TestFreezeRanges(t *testing.T) {
	type variables = map[string][]float64
	for name, c := range map[string]struct {
		typ  string
		x    []float64
		vars variables // of (x·w + b)·s + c
		want []float64
	}{
		"products overflow":             {"f16", []float64{1. / 1024, 0}, variables{"w": {512, 0, 0, 512}, "s": {256, 256}}, []float64{128, 0}},
		"products lose digits":          {"f16", []float64{1024, 1024}, variables{"w": {0x1.8p-12, 0, 0, 1}, "s": {0x1.8p-12, 1}}, []float64{0x9p-16, 1024}},
		"products vanish":               {"f32", []float64{1e30, 1}, variables{"w": {1e-30, 0, 0, 1}, "s": {1e-30, 1}}, []float64{1e-30, 1}},
		"one weight may vanish":         {"f32", []float64{1, 1}, variables{"w": {1e-30, 0, 1, 1}, "s": {1e-30, 1}}, []float64{1e-30, 1}},
		"shifts overflow":               {"f16", []float64{-300, 0}, variables{"w": {200, 0, 0, 1}, "b": {60000, 1}, "s": {2, 2}}, []float64{0, 2}},
		"sums of shifts overflow":       {"f16", []float64{-250, 0}, variables{"w": {200, 0, 0, 1}, "b": {50000, 1}, "c": {50000, 1}}, []float64{50000, 2}},
		"infinite factors":              {"f32", []float64{5, 1}, variables{"w": {1, 0, 0, 1}, "s": {math.Inf(1), 1}}, []float64{math.Inf(1), 1}},
		"infinite factor of sums":       {"f32", []float64{5, 1}, variables{"w": {1, 0, 0, 1}, "b": {-1, 0}, "s": {math.Inf(1), 1}}, []float64{math.Inf(1), 1}},
		"infinite weights":              {"f32", []float64{5, 1}, variables{"w": {math.Inf(1), 0, 2, 1}, "s": {2, 2}}, []float64{math.Inf(1), 2}},
		"a weight that is not a number": {"f32", []float64{5, 1}, variables{"w": {math.NaN(), 0, 2, 1}, "s": {2, 2}}, []float64{math.NaN(), 2}},
	} {
		dt, err := value.ParseDType(c.typ)
		if err != nil {
			t.Fatal(err)
		}
		m, weights := graph.NewModule("m"), map[string]*value.Tensor{}
		f := m.Func("predict")
		y := f.Input("x", dt, "N", 2)
		for _, v := range []string{"w", "b", "s", "c"} {
			if c.vars[v] == nil {
				continue
			}
			shape := []int{2, 2}[:len(c.vars[v])/2]
			weights[v] = (&value.Exact{DType: dt, Shape: shape, F: c.vars[v]}).Tensor()
			r := m.Variable(v, dt, shape, func(f *graph.Func, _ graph.Value) graph.Value { return f.Const(weights[v]) }).Read(f)
			switch v {
			case "w":
				y = ops.MatMul(y, r)
			case "s":
				y = ops.Mul(y, r)
			default:
				y = ops.Add(y, r)
			}
		}
		f.Return("y", y)
		feeds := map[string]value.Value{"x": (&value.Exact{DType: dt, Shape: []int{1, 2}, F: c.x}).Tensor()}
		want := (&value.Exact{DType: dt, Shape: []int{1, 2}, F: c.want}).Tensor()
		for _, opts := range [][]compile.Option{nil, {compile.Freeze(weights)}} {
			prog, err := compile.Compile(m, opts...)
			if err != nil {
				t.Fatal(err)
			}
			s, err := runtime.NewSession(prog)
			if err != nil {
				t.Fatal(err)
			}
			got, err := s.Run(context.Background(), "predict", feeds)
			if err != nil {
				t.Fatal(err)
			}
			if err := value.AllClose(got["y"].(*value.Tensor), want, 1e-6, 0); err != nil {
				t.Errorf("%s, with %d options: %v", name, len(opts), err)
			}
		}
	}
}

// TestFreezeKeepsGradients takes a gradient by a variable that a callee reads too: it stays what it is when the variable is frozen.
func TestFreezeKeepsGradients(t *testing.T) {
	m := graph.NewModule("m")
	w := m.Variable("w", graph.F64, []int{3}, func(f *graph.Func, _ graph.Value) graph.Value { return ops.Full(f, graph.F64, 0, 3) })
	g := m.Func("g")
	g.Return("y", ops.Mul(g.Input("x", graph.F64, 3), w.Read(g)))
	f := m.Func("f")
	y := f.Call(g, f.Input("x", graph.F64, 3))[0]
	f.Return("dw", graph.Grad(ops.Sum(ops.Mul(y, w.Read(f))), w.Read(f))[0])
	x, err := value.FromSlice([]float64{1, 2, 3}, 3)
	if err != nil {
		t.Fatal(err)
	}
	weights := map[string]*value.Tensor{"w": x}
	for name, opts := range map[string][]compile.Option{"as it is": nil, "frozen": {compile.Freeze(weights)}} {
		prog, err := compile.Compile(m, opts...)
		if err != nil {
			t.Fatal(err)
		}
		s, err := runtime.NewSession(prog)
		if opts == nil {
			s, err = runtime.NewSession(prog, runtime.Weights(weights))
		}
		if err != nil {
			t.Fatal(err)
		}
		outs, err := s.Run(context.Background(), "f", map[string]value.Value{"x": x})
		if err != nil {
			t.Fatal(err)
		}
		for i, want := range []float64{2, 8, 18} {
			if got := outs["dw"].(*value.Tensor).Float64s()[i]; got != want {
				t.Errorf("%s: the gradient by w[%d] is %v, want %v", name, i, got, want)
			}
		}
	}
}
