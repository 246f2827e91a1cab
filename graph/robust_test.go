package graph_test

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"strings"
	"testing"

	"github.com/graphrun/graphrun/compile"
	"github.com/graphrun/graphrun/graph"
	"github.com/graphrun/graphrun/graph/dim"
	"github.com/graphrun/graphrun/graph/value"
	"github.com/graphrun/graphrun/ops"
	"github.com/graphrun/graphrun/runtime"
)

// runFunc compiles m and runs a function on f32 vectors.
func runFunc(t *testing.T, m *graph.Module, fn string, feeds map[string]value.Value) map[string]value.Value {
	t.Helper()
	prog, err := compile.Compile(m)
	if err != nil {
		t.Fatal(err)
	}
	s, err := runtime.NewSession(prog)
	if err != nil {
		t.Fatal(err)
	}
	out, err := s.Run(context.Background(), fn, feeds)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func vector(x ...float32) *value.Tensor { t, _ := value.FromSlice(x, len(x)); return t }

func half(f *graph.Func, _ graph.Value) graph.Value { return ops.Full(f, graph.F32, 0.5, 2) }

// TestDeclarationsRefused declares what cannot be, each in one statement: one message with its place.
func TestDeclarationsRefused(t *testing.T) {
	other := graph.NewModule("other")
	theirs := other.Func("theirs")
	theirs.Return("y", theirs.Input("x", graph.F32, 2))
	wvar := other.Variable("w", graph.F32, []int{2}, half)
	for name, c := range map[string]struct {
		declare func(m *graph.Module, f *graph.Func)
		want    string
	}{
		"call of nil":             {func(_ *graph.Module, f *graph.Func) { f.Call(nil) }, "call: want a function, have nil"},
		"call of another":         {func(_ *graph.Module, f *graph.Func) { f.Call(theirs, f.Params()[0]) }, "call: @theirs belongs to another module"},
		"read of another":         {func(_ *graph.Module, f *graph.Func) { ops.Neg(wvar.Read(f)) }, "read: @w belongs to another module"},
		"read nowhere":            {func(m *graph.Module, _ *graph.Func) { m.Variable("v", graph.F32, []int{2}, half).Read(nil) }, "read: @v: want a function"},
		"no initializer":          {func(m *graph.Module, f *graph.Func) { ops.Neg(m.Variable("v", graph.F32, []int{2}, nil).Read(f)) }, "variable: @v: want a function that builds the initializer"},
		"variable of no dtype":    {func(m *graph.Module, f *graph.Func) { ops.Neg(m.Variable("v", 0, []int{2}, half).Read(f)) }, "variable: @v: unknown dtype"},
		"negative variable":       {func(m *graph.Module, _ *graph.Func) { m.Variable("v", graph.F32, []int{-2}, half) }, "variable: @v is f32[-2]: axis 0 is negative"},
		"huge variable":           {func(m *graph.Module, _ *graph.Func) { m.Variable("v", graph.F32, []int{1 << 40, 1 << 40}, half) }, "the number of elements is too large"},
		"no type":                 {func(_ *graph.Module, f *graph.Func) { f.InputOf("z", nil) }, "input: %z is nothing: the type is missing"},
		"sequence of nothing":     {func(_ *graph.Module, f *graph.Func) { f.InputOf("z", graph.SequenceType{}) }, "input: %z is seq<nothing>: the type is missing"},
		"map with keys of floats": {func(_ *graph.Module, f *graph.Func) { f.InputOf("z", graph.MapType{Key: graph.F32}) }, "the keys of a map are i64 or string"},
		"huge input":              {func(_ *graph.Module, f *graph.Func) { f.Input("z", graph.F32, 1<<40, "N", 1<<40) }, "the number of elements is too large"},
		"beyond int64":            {func(_ *graph.Module, f *graph.Func) { f.Input("z", graph.F32, dim.Mul(dim.Const(1<<62), dim.Const(4))) }, "axis 0 is too large"},
		"huge result": {func(_ *graph.Module, f *graph.Func) {
			ops.Mul(f.Input("y", graph.F32, 1<<40, 1), f.Input("z", graph.F32, 1, 1<<40))
		}, "mul: the result would be f32[1099511627776,1099511627776]: the number of elements is too large"},
		"attribute of no dtype":   {func(_ *graph.Module, f *graph.Func) { ops.Cast(f.Params()[0], 200) }, `cast: attribute "to": dtype(200) is not a dtype`},
		"region built by nothing": {func(_ *graph.Module, f *graph.Func) { f.Region("r", nil, nil) }, "r: want a function that builds the region"},
		"unfit call": {func(m *graph.Module, f *graph.Func) {
			g := m.Func("g")
			g.Return("y", ops.Add(g.Input("a", graph.F32, "N", "N"), 1))
			f.Call(g, f.Input("z", graph.F32, 2, 3))
		}, "call: operand 0 of @g: want f32[N,N], have f32[2,3]: axis 1: N is 2 here, not 3"},
	} {
		t.Run(name, func(t *testing.T) {
			m := graph.NewModule("m")
			f := m.Func("f")
			f.Return("x", f.Input("x", graph.F32, 2))
			other := len(diagnostics(other.Err()))
			c.declare(m, f)
			ds := diagnostics(m.Err())
			if name == "read of another" && len(ds) == 0 {
				t.Fatal("nothing is reported")
			}
			if len(ds) != 1 || other != 0 || !strings.Contains(ds[0].Error(), c.want) || !strings.HasSuffix(ds[0].Pos.File, "robust_test.go") {
				t.Errorf("have %v\nwant one message: %s", ds, c.want)
			}
		})
	}
}

func diagnostics(err error) graph.Diagnostics {
	var ds graph.Diagnostics
	errors.As(err, &ds)
	return ds
}

// TestSymbolsInAnyOrder gives sizes that follow from types that come later.
func TestSymbolsInAnyOrder(t *testing.T) {
	types := func(texts ...string) []graph.Type {
		out := make([]graph.Type, len(texts))
		for i, s := range texts {
			typ, err := graph.ParseType(s)
			if err != nil {
				t.Fatal(err)
			}
			out[i] = typ
		}
		return out
	}
	for _, c := range []struct {
		want, have []graph.Type
		fault      string
	}{
		{types("f32[N*M]", "f32[N,M]"), types("f32[6]", "f32[2,3]"), ""},
		{types("f32[N*M,N,M]"), types("f32[6,2,3]"), ""},
		{types("f32[N*M,N]"), types("f32[6,2]"), ""},
		{types("f32[floordiv(H,2)]", "f32[H]"), types("f32[2]", "f32[5]"), ""},
		{types("f32[A+B]", "f32[B+C]", "f32[C]"), types("f32[9]", "f32[7]", "f32[4]"), ""},
		{types("f32[N]", "f32[M]"), types("f32[M]", "f32[N]"), ""}, // the names of another function
		{types("f32[N+M]", "f32[N]"), types("f32[M+M]", "f32[M]"), ""},
		{types("f32[N*M,N]"), types("f32[7,2]"), "M*N"},
		{types("f32[N*M]"), types("f32[6]"), "the size M does not follow"},
		{types("f32[2*N]"), types("f32[3]"), "2*N cannot be 3"},
		{types("seq<f32[N]>", "f32[2*N]"), types("seq<f32[3]>", "f32[5]"), "2*N is 6 here, not 5"},
	} {
		_, err := graph.UnifyAll(c.want, c.have, map[string]graph.Dim{})
		if (err == nil) != (c.fault == "") || err != nil && !strings.Contains(err.Error(), c.fault) {
			t.Errorf("%v for %v: %v, want %q", c.have, c.want, err, c.fault)
		}
	}
	m := graph.NewModule("m")
	f := m.Func("f")
	x, y := f.Input("x", graph.F32, "N*M"), f.Input("y", graph.F32, "N", "M")
	f.Return("z", ops.Add(ops.Reshape(x, "N", "M"), y))
	sum := runFunc(t, m, "f", map[string]value.Value{"x": vector(1, 2, 3, 4, 5, 6), "y": mustReshape(vector(0, 0, 0, 0, 0, 1), 2, 3)})["z"]
	if got := fmt.Sprint(sum); got != "f32[2,3] [[1 2 3] [4 5 7]]" {
		t.Error(got)
	}
}

func mustReshape(x *value.Tensor, shape ...int) *value.Tensor { y, _ := x.Reshape(shape...); return y }

// TestCalleeSymbolsInRegions calls a function whose region uses a symbol of the function that no parameter of the region
// has: the caller calls that size by another name.
func TestCalleeSymbolsInRegions(t *testing.T) {
	m := graph.NewModule("m")
	g := m.Func("g")
	a, s := g.Input("a", graph.F32, "K"), g.Input("s", graph.F32)
	y := ops.CustomGrad(
		func(r *graph.Func, x []graph.Value) []graph.Value {
			return []graph.Value{ops.Mul(ops.Full(r, graph.F32, 2.0, "K"), x[0])}
		},
		func(r *graph.Func, _, _, dy []graph.Value) []graph.Value {
			return []graph.Value{ops.Sum(ops.Mul(dy[0], ops.Full(r, graph.F32, 2.0, "K")))}
		}, s)[0]
	g.Return("y", ops.Mul(y, a))
	f := m.Func("f")
	b, c := f.Input("b", graph.F32, "N"), f.Input("c", graph.F32)
	o := f.Call(g, b, c)[0]
	f.Return("o", o)
	f.Return("dc", graph.Grad(ops.Sum(o), c)[0])
	got := fmt.Sprint(runFunc(t, m, "f", map[string]value.Value{"b": vector(1, 2, 3), "c": value.Scalar(float32(3))}))
	if got != "map[dc:f32[] 12 o:f32[3] [6 12 18]]" {
		t.Error(got)
	}
}

// TestUnknownSizes names sizes that data decides where their nodes are not operands.
func TestUnknownSizes(t *testing.T) {
	m := graph.NewModule("m")
	f := m.Func("f")
	f.Return("ones", ops.OnesLike(ops.NonZero(f.Input("x", graph.F32, "N")))) // the places themselves are not needed
	if got := fmt.Sprint(runFunc(t, m, "f", map[string]value.Value{"x": vector(0, 2, 3)})); got != "map[ones:i64[2,1] [[1] [1]]]" {
		t.Error(got)
	}

	m = graph.NewModule("m")
	f = m.Func("f")
	f.Return("y", ops.Full(f, graph.F32, 1.0, "unknown(u,N)"))
	if _, err := compile.Compile(m); err == nil || !strings.Contains(err.Error(), "the unknown size u of the dim unknown(u, N) comes from no node before") {
		t.Errorf("a size from nowhere gives %v", err)
	}

	m = graph.NewModule("m")
	g := m.Func("g")
	gx := g.Input("x", graph.F32, "N")
	g.Return("sum", ops.Sum(ops.Gather(gx, 0, ops.Reshape(ops.NonZero(gx), -1))))
	f = m.Func("f")
	x, y := f.Input("x", graph.F32, "N"), f.Input("y", graph.F32, "N")
	f.Return("x", f.Call(g, x)[0])
	if got := fmt.Sprint(runFunc(t, m, "f", map[string]value.Value{"x": vector(0, 2), "y": vector(1, 1)})); got != "map[x:f32[] 2]" {
		t.Error(got)
	}
	f.Return("y", f.Call(g, y)[0])
	if _, err := compile.Compile(m); err == nil || !strings.Contains(err.Error(), "robust_test.go:") || !strings.Contains(err.Error(), "a function can call it once") {
		t.Errorf("two sizes of one name give %v", err)
	}
}

// TestPlaceInComposite evaluates a composite that fails within: the fault stands where the composite was declared.
func TestPlaceInComposite(t *testing.T) {
	m := graph.NewModule("m")
	f := m.Func("f")
	x := f.Input("x", graph.I64, 2)
	f.Return("y", ops.CustomGrad(
		func(_ *graph.Func, x []graph.Value) []graph.Value { return []graph.Value{ops.FloorDiv(1, x[0])} },
		func(_ *graph.Func, x, _, _ []graph.Value) []graph.Value { return x }, x)[0])
	zero, _ := value.New(graph.I64, 2)
	_, err := (&graph.Interpreter{}).Run(f, []value.Value{zero})
	if err == nil || !strings.HasPrefix(err.Error(), "robust_test.go:") || !strings.Contains(err.Error(), "floor_div: ") {
		t.Errorf("have %v", err)
	}
}

// TestInterpreterMemory evaluates results that no machine holds.
func TestInterpreterMemory(t *testing.T) {
	m := graph.NewModule("m")
	f := m.Func("f")
	f.Return("y", ops.Expand(f.Input("x", graph.F32), "N", 1<<40))
	f.Return("z", f.Input("n", graph.F32, "N"))
	_, err := (&graph.Interpreter{}).Run(f, []value.Value{value.Scalar(float32(1)), vector(1, 2, 3)})
	if err == nil || !strings.HasPrefix(err.Error(), "robust_test.go:") || !strings.Contains(err.Error(), "expand: out of memory: its reference would hold 48.0 TiB, there are ") {
		t.Errorf("have %v", err)
	}
}

// TestInterpreterCounts evaluates functions that make values of 4 MiB in the exact domain, in 256 MiB: what is needed no more does not count, what is
// needed at the end does.
func TestInterpreterCounts(t *testing.T) {
	defer debug.SetMemoryLimit(debug.SetMemoryLimit(256 << 20))
	for _, held := range []bool{false, true} {
		m := graph.NewModule("m")
		f := m.Func("f")
		y := ops.Expand(f.Input("x", graph.F32), 1<<19)
		all := y
		var each []graph.Value
		for range 64 {
			y = ops.Neg(y)
			each = append(each, y)
		}
		if held {
			for _, v := range each {
				all = ops.Add(all, v)
			}
		}
		f.Return("y", ops.Add(all, y))
		if err := m.Err(); err != nil {
			t.Fatal(err)
		}
		_, err := (&graph.Interpreter{}).Run(f, []value.Value{value.Scalar(float32(1))})
		if failed := err != nil && strings.Contains(err.Error(), "neg: out of memory: its reference would hold 1"); failed != held || err != nil && !held {
			t.Errorf("held %v: have %v", held, err)
		}
	}
}
