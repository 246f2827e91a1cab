package compile_test

import (
	"context"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/graphrun/graphrun/compile"
	"github.com/graphrun/graphrun/graph"
	"github.com/graphrun/graphrun/graph/value"
	"github.com/graphrun/graphrun/models/nn"
	"github.com/graphrun/graphrun/models/optim"
	"github.com/graphrun/graphrun/ops"
	"github.com/graphrun/graphrun/runtime"
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

// TestFreezeKeeps leaves variables that are updated, and those whose values are not known.
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
