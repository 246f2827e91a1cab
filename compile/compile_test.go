package compile_test

import (
	"bytes"
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/graphrun/graphrun/compile"
	"github.com/graphrun/graphrun/graph"
	"github.com/graphrun/graphrun/graph/value"
	"github.com/graphrun/graphrun/ops"
	"github.com/graphrun/graphrun/runtime"
)

// run compiles a module and runs one function on f64 vectors by name.
func run(t *testing.T, m *graph.Module, fn string, feeds map[string][]float64) map[string][]float64 {
	t.Helper()
	prog, err := compile.Compile(m)
	if err != nil {
		t.Fatal(err)
	}
	sess, err := runtime.NewSession(prog)
	if err != nil {
		t.Fatal(err)
	}
	in := map[string]value.Value{}
	for name, x := range feeds {
		v, err := value.FromSlice(x, len(x))
		if err != nil {
			t.Fatal(err)
		}
		in[name] = v
	}
	outs, err := sess.Run(context.Background(), fn, in)
	if err != nil {
		t.Fatal(err)
	}
	got := map[string][]float64{}
	for name, v := range outs {
		got[name] = v.(*value.Tensor).Float64s()
	}
	return got
}

// TestStableGradient differentiates log(softmax(x)) where softmax underflows: taken naively the gradient is NaN.
func TestStableGradient(t *testing.T) {
	m := graph.NewModule("m")
	f := m.Func("f")
	x := f.Input("x", graph.F32, 2)
	y := ops.Slice(ops.Log(ops.Softmax(x, 0)), 0, 0, 1, 1)
	f.Return("dx", graph.Grad(ops.ReduceSum(y, nil, false), x)[0])
	prog, err := compile.Compile(m)
	if err != nil {
		t.Fatal(err)
	}
	sess, _ := runtime.NewSession(prog)
	in, _ := value.FromSlice([]float32{-120, 0}, 2)
	outs, err := sess.Run(context.Background(), "f", map[string]value.Value{"x": in})
	if err != nil {
		t.Fatal(err)
	}
	if got := outs["dx"].(*value.Tensor).Float64s(); got[0] != 1 || got[1] != -1 {
		t.Errorf("the gradient of log(softmax([-120, 0]))[0] is %v, want [1 -1]", got)
	}
}

// TestGradientOfUnused wants zeros for a value that the scalar does not depend on, and gradients with respect to
// values inside the graph.
func TestGradientOfUnused(t *testing.T) {
	m := graph.NewModule("m")
	f := m.Func("f")
	x, z := f.Input("x", graph.F64, "N"), f.Input("z", graph.F64, "M")
	h := ops.Square(x)
	y := ops.ReduceSum(ops.Mul(h, ops.StopGradient(x)), nil, false)
	g := graph.Grad(y, x, z, h, y)
	for i, name := range []string{"dx", "dz", "dh", "dy"} {
		f.Return(name, g[i])
	}
	got := run(t, m, "f", map[string][]float64{"x": {2, 3}, "z": {7, 7, 7}})
	for name, want := range map[string][]float64{"dx": {8, 18}, "dz": {0, 0, 0}, "dh": {2, 3}, "dy": {1}} {
		if !slices.Equal(got[name], want) {
			t.Errorf("%s is %v, want %v", name, got[name], want)
		}
	}
}

// TestHigherOrder differentiates x^5 four times.
func TestHigherOrder(t *testing.T) {
	m := graph.NewModule("m")
	f := m.Func("f")
	x := f.Input("x", graph.F64, 1)
	y := ops.ReduceSum(ops.Pow(x, 5), nil, false)
	for i := range 4 {
		g := graph.Grad(y, x)[0]
		f.Return(fmt.Sprintf("d%d", i+1), g)
		y = ops.ReduceSum(g, nil, false)
	}
	got := run(t, m, "f", map[string][]float64{"x": {2}})
	for i, want := range []float64{80, 160, 240, 240} {
		if name := fmt.Sprintf("d%d", i+1); math.Abs(got[name][0]-want) > 1e-9 {
			t.Errorf("%s of x^5 at 2 is %v, want %v", name, got[name][0], want)
		}
	}
}

// TestGradientThroughCalls differentiates with respect to variables that callees, and their callees, read.
func TestGradientThroughCalls(t *testing.T) {
	m := graph.NewModule("m")
	w := m.Variable("w", graph.F64, []int{2}, func(f *graph.Func, _ graph.Value) graph.Value { return ops.Full(f, graph.F64, 3.0, 2) })
	inner := m.Func("inner")
	inner.Return("y", ops.Square(w.Read(inner)))
	outer := m.Func("outer")
	x := outer.Input("x", graph.F64, 2)
	outer.Return("y", ops.Sum(ops.Mul(outer.Call(inner)[0], x)))
	f := m.Func("f")
	y := f.Call(outer, f.Input("x", graph.F64, 2))[0]
	f.Return("dw", graph.Grad(ops.Add(y, ops.Sum(w.Read(f))), w.Read(f))[0])
	got := run(t, m, "f", map[string][]float64{"x": {10, 20}})["dw"]
	if !slices.Equal(got, []float64{61, 121}) {
		t.Errorf("the gradient of sum(w*w*x + w) at w=3 is %v, want [61 121]", got)
	}
}

// chain declares a model with a bit of everything that passes rewrite.
func chain() *graph.Module {
	m := graph.NewModule("chain")
	double := m.Func("double")
	d := double.Input("x", graph.F64, "M", 3)
	double.Return("y", ops.Add(d, d))
	f := m.Func("f")
	x := f.Input("x", graph.F64, "N", 3)
	w := f.Input("w", graph.F64, 5, 3)
	h := ops.GELU(ops.MatMul(f.Call(double, x)[0], ops.Transpose(w, 1, 0)), "none")
	p := ops.Log(ops.Softmax(ops.Mul(ops.Neg(ops.Neg(h)), 1.0), 1))
	loss := ops.Neg(ops.ReduceMean(p, nil, false))
	f.Return("loss", loss)
	for i, g := range graph.Grad(loss, x, w) {
		f.Return(fmt.Sprintf("d%d", i), g)
	}
	return m
}

// TestPassesKeepMeaning runs the graph after every row of the table, and at every pass limit, and wants the values of
// the first runnable form.
func TestPassesKeepMeaning(t *testing.T) {
	m := chain()
	if err := m.Err(); err != nil {
		t.Fatal(err)
	}
	rng := rand.New(rand.NewPCG(1, 1))
	feed := func(shape ...int) value.Value {
		e := value.NewExact(graph.F64, shape)
		for i := range e.F {
			e.F[i] = rng.NormFloat64()
		}
		return e.Tensor()
	}
	in := []value.Value{feed(4, 3), feed(5, 3)}
	var want []value.Value
	check := func(what string, opts ...compile.Option) {
		t.Helper()
		o, err := compile.Optimize(m, opts...)
		if err != nil {
			t.Fatalf("%s: %v", what, err)
		}
		got, err := (&graph.Interpreter{}).Run(o.LookupFunc("f"), in)
		if err != nil {
			t.Fatalf("%s: %v", what, err)
		}
		if want == nil {
			want = got
		}
		for i := range want {
			if err := value.AllClose(got[i].(*value.Tensor), want[i].(*value.Tensor), 1e-12, 1e-14); err != nil {
				t.Errorf("%s: result %d: %v", what, i, err)
			}
		}
	}
	var names []string
	for _, p := range compile.Passes {
		names = append(names, p.Name)
		if len(names) >= 2 {
			check("through "+strings.Join(names, " "), compile.Through(names...))
		}
	}
	var stats []compile.RowStats
	check("all", compile.Stats(&stats))
	steps := 0
	for _, s := range stats {
		for _, n := range s.Rewrites {
			steps += n
		}
	}
	if steps < 20 {
		t.Errorf("the model is rewritten %d times: too few to show anything", steps)
	}
	for n := range steps + 1 {
		check(fmt.Sprintf("limit %d", n), compile.PassLimit(n))
	}
}

// TestDump prints a module before and after one pass.
func TestDump(t *testing.T) {
	var b bytes.Buffer
	if _, err := compile.Optimize(chain(), compile.Dump(&b, "autodiff")); err != nil {
		t.Fatal(err)
	}
	text := b.String()
	before, after, ok := strings.Cut(text, "// after autodiff")
	if !ok || !strings.Contains(before, "// before autodiff") || !strings.Contains(before, "= grad ") || strings.Contains(after, "= grad ") {
		t.Errorf("the dump is\n%s", text)
	}
	if _, err := compile.Optimize(chain(), compile.Through("nonsense")); err == nil || !strings.Contains(err.Error(), "stabilize") {
		t.Errorf("an unknown pass gives %v", err)
	}
}

// TestRulesAreDocumented wants a name of its own and a law of every rule.
func TestRulesAreDocumented(t *testing.T) {
	for _, rules := range [][]*compile.Rule{compile.StabilizeRules, compile.SimplifyRules, compile.ProductRules} {
		seen := map[string]bool{}
		for _, r := range rules {
			if r.Name == "" || r.Law == "" || seen[r.Name] || graph.LookupOp(r.Op) == nil {
				t.Errorf("rule %q on %q needs a name of its own, a law and an op", r.Name, r.Op)
			}
			seen[r.Name] = true
		}
	}
}
