package graph_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/graphrun/graphrun/compile"
	"github.com/graphrun/graphrun/graph"
	"github.com/graphrun/graphrun/ops"
)

// TestAllFaultsAtOnce declares a model with four unrelated faults and wants all four messages, each with its line.
func TestAllFaultsAtOnce(t *testing.T) {
	m := graph.NewModule("faulty")
	f := m.Func("f")
	x := f.Input("x", graph.F32, "N", 784)
	w := f.Input("w", graph.F32, 512, 256)
	h := ops.MatMul(x, w)               // line 21: inner dimensions
	v := f.Input("v", graph.F32, 3, 4)  // of rank 2
	p := ops.Transpose(v, 2, 0, 1)      // line 23: a permutation of rank 3
	y := f.Input("x", graph.F32, "N")   // line 24: duplicate name
	z := f.Input("z", graph.DType(200)) // line 25: unknown dtype
	// What depends on a faulty value adds nothing.
	sum := ops.Add(ops.ReLU(h), ops.Mul(p, ops.Add(y, z)))
	f.Return("out", sum)

	_, err := compile.Compile(m)
	var ds graph.Diagnostics
	if !errors.As(err, &ds) {
		t.Fatalf("want diagnostics, have %v", err)
	}
	want := []string{
		"build_test.go:21: matmul: inner dimensions differ: a is f32[N,784], b is f32[512,256]",
		"build_test.go:23: transpose: want each axis from 0 to 1 once, have [2 0 1]: x is f32[3,4]",
		"build_test.go:24: input: %x is already the name of a value of @f (declared at build_test.go:19)",
		"build_test.go:25: input: %z: unknown dtype dtype(200)",
	}
	if len(ds) != len(want) {
		t.Fatalf("want %d messages, have %d:\n%v", len(want), len(ds), err)
	}
	for i, d := range ds {
		if !strings.HasPrefix(d.Error(), want[i]) {
			t.Errorf("message %d:\n have %s\n want %s", i, d, want[i])
		}
	}
}

// TestZeroValues passes zero Values and foreign values everywhere a value is taken: nothing panics, and each is
// reported where a function is known to report it on.
func TestZeroValues(t *testing.T) {
	m, other := graph.NewModule("m"), graph.NewModule("other")
	f, g := m.Func("f"), m.Func("g")
	x := f.Input("x", graph.F32, 2, 3)
	y := g.Input("y", graph.F32, 2, 3)
	z := other.Func("h").Input("z", graph.F32, 2, 3)

	var none graph.Value
	_ = none.Named("n")
	_ = ops.Add(none, none)
	f.Return("nothing", none)
	ops.Add(x, none)
	ops.Add(x, y)
	ops.Add(x, z)
	ops.Add(x, struct{}{})
	f.Update(nil, x)
	f.Const(nil)
	graph.Grad(none, none)
	var ds graph.Diagnostics
	if !errors.As(m.Err(), &ds) {
		t.Fatal("nothing is reported")
	}
	for _, d := range ds {
		if !strings.Contains(d.Pos.File, "build_test.go") {
			t.Errorf("%v points at %s", d, d.Pos.File)
		}
	}
	if len(ds) < 7 {
		t.Errorf("want a message for each fault, have %d:\n%v", len(ds), ds)
	}
}

// TestPositions looks at where nodes say they come from: the user's call, through helpers of ops, through gradients.
func TestPositions(t *testing.T) {
	m := graph.NewModule("m")
	f := m.Func("f")
	x := f.Input("x", graph.F64, 3)
	y := ops.ReduceSum(ops.Tanh(x), nil, false) // line 90
	f.Return("dx", graph.Grad(y, x)[0])         // line 91
	o, err := compile.Optimize(m)
	if err != nil {
		t.Fatal(err)
	}
	for _, n := range o.LookupFunc("f").Nodes() {
		if got := n.Pos().String(); got != "build_test.go:90" && got != "build_test.go:91" {
			t.Errorf("%v comes from %s", n, got)
		}
	}
}

// TestClone changes a clone and wants the original unchanged.
func TestClone(t *testing.T) {
	m := graph.NewModule("m")
	v := m.Variable("w", graph.F32, []int{3}, func(f *graph.Func, _ graph.Value) graph.Value {
		return ops.Full(f, graph.F32, 0.5, 3)
	})
	f := m.Func("f")
	x := f.Input("x", graph.F32, "N", 3)
	y := ops.Mul(x, v.Read(f)).Named("y")
	f.Return("y", y)
	f.Update(v, ops.Add(v.Read(f), 1))
	if err := m.Err(); err != nil {
		t.Fatal(err)
	}
	text := m.String()
	c := m.Clone()
	if d := cmp.Diff(text, c.String()); d != "" {
		t.Fatalf("the clone differs:\n%s", d)
	}
	g := c.LookupFunc("f")
	for range 3 {
		g.Return("z", ops.ReLU(g.Results()[0].Value))
	}
	if d := cmp.Diff(text, m.String()); d != "" {
		t.Errorf("a change of the clone changes the original:\n%s", d)
	}
}

// TestCapture builds a region that uses values of the functions around it.
func TestCapture(t *testing.T) {
	m := graph.NewModule("m")
	f := m.Func("f")
	x := f.Input("x", graph.F64, 3)
	scale := f.Input("scale", graph.F64, 3)
	y := ops.CustomGrad(
		func(_ *graph.Func, in []graph.Value) []graph.Value { return []graph.Value{ops.Mul(in[0], scale)} },
		func(_ *graph.Func, _, _, dy []graph.Value) []graph.Value { return []graph.Value{ops.Mul(dy[0], 10.0)} },
		x)
	f.Return("y", y[0])
	f.Return("dx", graph.Grad(ops.ReduceSum(y[0], nil, false), x)[0])
	o, err := compile.Optimize(m)
	if err != nil {
		t.Fatal(err)
	}
	text := o.LookupFunc("f").String()
	if !strings.Contains(text, "mul %x, %scale") || !strings.Contains(text, "[10") {
		t.Errorf("want x*scale forward and 10 backward:\n%s", text)
	}
}

// TestSymbols covers what can be decided only when sizes are known.
func TestSymbols(t *testing.T) {
	m := graph.NewModule("m")
	f := m.Func("f")
	x := f.Input("x", graph.F32, "N", "H")
	f.Return("pairs", ops.Reshape(x, "N", "floordiv(H,2)", 2))
	if err := m.Err(); err != nil {
		t.Fatalf("2*floordiv(H,2) may be H: %v", err)
	}
	a, b := f.Input("a", graph.F32, "N"), f.Input("b", graph.F32, "M")
	ops.Add(a, b)
	if err := m.Err(); err == nil || !strings.Contains(err.Error(), "do not broadcast") {
		t.Errorf("N and M are two sizes: %v", err)
	}
}

// TestSharedFault applies faulty code in three functions, as models do: it is one fault.
func TestSharedFault(t *testing.T) {
	m := graph.NewModule("m")
	for _, name := range []string{"train", "eval", "predict"} {
		f := m.Func(name)
		x := f.Input("x", graph.F32, "N", 3)
		f.Return("y", ops.Add(x, ops.Full(f, graph.F32, 1, 4)))
		f.Return("z", ops.Add(x, ops.Full(f, graph.F32, 1, 5)))
	}
	var ds graph.Diagnostics
	if err := m.Err(); !errors.As(err, &ds) || len(ds) != 2 || ds[0].Pos == ds[1].Pos {
		t.Errorf("want a message for each of two lines, have\n%v", err)
	}
}
