package graph_test

import (
	"strings"
	"testing"

	"github.com/graphrun/graphrun/compile"
	"github.com/graphrun/graphrun/graph"
	"github.com/graphrun/graphrun/graph/value"
	"github.com/graphrun/graphrun/ops"
)

// regionKeeper is a composite whose body lets a node carry the region that it is given.
var _ = graph.MustRegister(&graph.Op{
	Name: "region_test_keeper", Doc: "What its region gives, by a node of its body.", NumRegions: 1, Results: []string{"out"},
	Args: []graph.Arg{{Name: "x", Types: graph.Floats}},
	Body: func(b *graph.BodyCtx) []graph.Value {
		return vjpCase(b.Func, []graph.Value{b.Func.Scalar(graph.I32, 0), b.In[0]}, 1, b.Regions...)
	},
	Sample: "f64[2]",
})

// regionMaker is a composite whose body builds a region with a composite in it.
var _ = graph.MustRegister(&graph.Op{
	Name: "region_test_maker", Doc: "What gelu gives, by a region.", Results: []string{"out"},
	Args: []graph.Arg{{Name: "x", Types: graph.Floats}},
	Body: func(b *graph.BodyCtx) []graph.Value {
		r := b.Func.Region("r", []graph.Type{b.In[0].Type()}, func(_ *graph.Func, in []graph.Value) []graph.Value {
			return []graph.Value{ops.GELU(in[0], "none")}
		})
		return vjpCase(b.Func, []graph.Value{b.Func.Scalar(graph.I32, 0), b.In[0]}, 1, r)
	},
	Sample: "f64[2]",
})

// inRegion applies a region of one parameter and one result to x, by the switch of the other tests.
func inRegion(x graph.Value, build func(p graph.Value) graph.Value) graph.Value {
	f := x.Func()
	r := f.Region("r", []graph.Type{x.Type()}, func(_ *graph.Func, in []graph.Value) []graph.Value { return []graph.Value{build(in[0])} })
	return vjpCase(f, []graph.Value{f.Scalar(graph.I32, 0), x}, 1, r)[0]
}

// valid fails unless the verifier accepts m, its copy, and its text.
func valid(t *testing.T, m *graph.Module) {
	t.Helper()
	if err := graph.Verify(m); err != nil {
		t.Fatalf("%v\n%s", err, m)
	}
	if c := m.Clone(); c.String() != m.String() {
		t.Errorf("a copy is another module:\n%s\n%s", c, m)
	}
	again, err := graph.Parse("m.graph", []byte(m.String()), graph.ParseOptions{})
	if err != nil {
		t.Fatalf("%v\n%s", err, m)
	}
	if again.String() != m.String() {
		t.Errorf("the text read back is another module:\n%s\n%s", again, m)
	}
}

// TestNestedRegions declares regions in regions, differentiates them, and compiles them.
func TestNestedRegions(t *testing.T) {
	m := graph.NewModule("m")
	f := m.Func("f")
	x := f.Input("x", graph.F64, "N", 3)
	y := inRegion(x, func(p graph.Value) graph.Value {
		return inRegion(p, func(q graph.Value) graph.Value { return ops.Sin(ops.Mul(q, q)) })
	})
	f.Return("dx", graph.Grad(ops.ReduceSum(y, nil, false), x)[0])
	valid(t, m)
	if err := compile.Check(m, compile.Inputs{}); err != nil {
		t.Error(err)
	}
	o, err := compile.Optimize(m)
	if err != nil {
		t.Fatal(err)
	}
	valid(t, o)
}

// TestOutlineKeepsRegions moves a node that carries a region into another one.
func TestOutlineKeepsRegions(t *testing.T) {
	m := graph.NewModule("m")
	f := m.Func("f")
	x := f.Input("x", graph.F64, "N")
	y := inRegion(x, ops.Exp)
	f.Return("y", y)
	old := y.Node()
	for _, n := range f.TakeNodes() {
		if n != old {
			f.Append(n)
		}
	}
	n := f.Outline(graph.LookupOp("fused"), graph.Attrs{{Name: "results", Value: int64(1)}}, []*graph.Node{old}, old.Operands(), old.Results())
	if err := old.Replace(n.Results()); err != nil {
		t.Fatal(err)
	}
	f.SetResult(0, y.Current())
	f.Forget()
	valid(t, m)
	if have := n.Regions()[0].Nodes()[0].Regions(); len(have) != 1 || have[0] == old.Regions()[0] {
		t.Errorf("want a copy of the region, have %v", have)
	}
}

// TestBodiesMayCarryRegions inlines a body that lets a node carry the composite's region: for the gradient, and once more when the
// composite is decomposed.
func TestBodiesMayCarryRegions(t *testing.T) {
	m := graph.NewModule("m")
	f := m.Func("f")
	x := f.Input("x", graph.F64, 2)
	r := f.Region("r", []graph.Type{x.Type()}, func(_ *graph.Func, in []graph.Value) []graph.Value { return []graph.Value{ops.Exp(in[0])} })
	y := f.Emit(graph.LookupOp("region_test_keeper"), []graph.Value{x}, nil, r)[0]
	f.Return("y", y)
	f.Return("dx", graph.Grad(ops.ReduceSum(y, nil, false), x)[0])
	valid(t, m)
	if err := compile.Check(m, compile.Inputs{}); err != nil {
		t.Error(err)
	}
}

// TestPassesReachNewRegions decomposes a composite whose body builds a region with a composite in it.
func TestPassesReachNewRegions(t *testing.T) {
	m := graph.NewModule("m")
	f := m.Func("f")
	f.Return("y", f.Emit(graph.LookupOp("region_test_maker"), []graph.Value{f.Input("x", graph.F64, 2)}, nil)[0])
	valid(t, m)
	if err := compile.Check(m, compile.Inputs{}); err != nil {
		t.Error(err)
	}
}

// sized declares a function with a size that data decides, which a region in it names and nothing else that the result needs.
func sized() (m *graph.Module, f *graph.Func) {
	m = graph.NewModule("m")
	v := m.Variable("v", graph.I64, nil, func(f *graph.Func, _ graph.Value) graph.Value { return f.Scalar(graph.I64, 0) }, graph.NotTrainable())
	f = m.Func("f")
	x := f.Input("x", graph.F64, "N")
	places := ops.NonZero(x)
	count := places.Shape()[0]
	y := inRegion(f.Scalar(graph.F64, 2.0), func(p graph.Value) graph.Value { return ops.ReduceSum(ops.Expand(p, count), nil, false) })
	f.Return("y", y)
	f.Update(v, ops.ReduceSum(places, nil, false))
	return m, f
}

// TestDropUpdatesKeepsSizesOfRegions drops an update, and with it all that decides a size but for a region that names it.
func TestDropUpdatesKeepsSizesOfRegions(t *testing.T) {
	m, f := sized()
	valid(t, m)
	f.DropUpdates(func(graph.Update) bool { return true })
	valid(t, m)
	outs, err := new(graph.Interpreter).Run(f, []value.Value{must(value.FromSlice([]float64{0, 5, 0, 7, 1}, 5))})
	if err != nil {
		t.Fatal(err)
	}
	if y := outs[0].(*value.Tensor).Float64s()[0]; y != 6 {
		t.Errorf("want three times 2, have %g", y)
	}
}

// TestRegionsNameSizesFromBefore moves what decides a size behind the node in whose region the size is named.
func TestRegionsNameSizesFromBefore(t *testing.T) {
	m, f := sized()
	var nodes, last []*graph.Node
	for _, n := range f.Nodes() {
		switch n.Op().Name {
		case "nonzero", "reduce_sum":
			last = append(last, n)
		default:
			nodes = append(nodes, n)
		}
	}
	f.SetNodes(append(nodes, last...))
	if err := graph.Verify(m); err == nil || !strings.Contains(err.Error(), "verifier rule symbol") {
		t.Errorf("want a fault of the rule on symbols, have %v", err)
	}
}

// TestRegionsKnowSizesFromAround evaluates and types regions that name a symbol which none of their parameters has.
func TestRegionsKnowSizesFromAround(t *testing.T) {
	m := graph.NewModule("m")
	f := m.Func("f")
	x, w := f.Input("x", graph.F64, "N"), f.Input("w", graph.F64, "M")
	n := x.Shape()[0]
	y := inRegion(w, func(p graph.Value) graph.Value {
		return inRegion(p, func(q graph.Value) graph.Value { return ops.Expand(ops.ReduceSum(q, []int{0}, true), n) })
	})
	f.Return("y", ops.Mul(x, y))
	valid(t, m)
	if err := compile.Check(m, compile.Inputs{}); err != nil {
		t.Error(err)
	}
	two := must(value.FromSlice([]float64{3, 4}, 2))
	outs, err := new(graph.Interpreter).Run(f, []value.Value{must(value.FromSlice([]float64{1, 2, 3}, 3)), two})
	if err != nil {
		t.Fatal(err)
	}
	if have := outs[0].(*value.Tensor).Float64s(); have[2] != 21 {
		t.Errorf("y is %v", have)
	}
}

// TestInferRegionReachesNestedRegions types a region on operands of known sizes: a region in it names one of those sizes.
func TestInferRegionReachesNestedRegions(t *testing.T) {
	m := graph.NewModule("m")
	f := m.Func("f")
	x := f.Input("x", graph.F64, "N")
	n := x.Shape()[0]
	y := inRegion(x, func(p graph.Value) graph.Value {
		return inRegion(ops.ReduceSum(p, []int{0}, true), func(q graph.Value) graph.Value { return ops.Expand(q, n) })
	})
	three := graph.TensorType{DType: graph.F64, Shape: graph.Ints(3)}
	types, err := graph.InferRegion(y.Node().Regions()[0], []graph.Type{three})
	if err != nil {
		t.Fatal(err)
	}
	if !graph.EqualTypes(types[0], three) {
		t.Errorf("want %s, have %s", three, types[0])
	}
}

// TestBoundRegionsAreDecided puts sizes into a region that do not satisfy what it demands of them.
func TestBoundRegionsAreDecided(t *testing.T) {
	m := graph.NewModule("m")
	f := m.Func("f")
	x := f.Input("x", graph.F64, "N")
	y := inRegion(x, func(p graph.Value) graph.Value {
		return inRegion(p, func(q graph.Value) graph.Value { return ops.Reshape(q, 2, "floordiv(N,2)") })
	})
	f.Return("y", y)
	valid(t, m)
	for size, sound := range map[int]bool{4: true, 3: false} {
		node := y.Node()
		regions, err := node.BindRegions(map[string]graph.Dim{"N": graph.Ints(size)[0]})
		if err != nil {
			t.Fatal(err)
		}
		in := []graph.Type{node.OperandTypes()[0], graph.TensorType{DType: graph.F64, Shape: graph.Ints(size)}}
		_, err = graph.InferTypes(node.Op(), in, node.Attrs(), regions, m)
		if (err == nil) != sound || !sound && !strings.Contains(err.Error(), "regions_test.go:") {
			t.Errorf("size %d: %v", size, err)
		}
	}
}

// TestRegionsOfCompositesCall calls a function in the region of a composite.
func TestRegionsOfCompositesCall(t *testing.T) {
	m := graph.NewModule("m")
	g := m.Func("g")
	g.Return("y", ops.Exp(g.Input("x", graph.F64, 2)))
	f := m.Func("f")
	x := f.Input("x", graph.F64, 2)
	y := ops.CustomGrad(
		func(r *graph.Func, x []graph.Value) []graph.Value { return r.Call(g, x[0]) },
		func(r *graph.Func, _, y, dy []graph.Value) []graph.Value {
			return []graph.Value{ops.Mul(dy[0], r.Call(g, y[0])[0])}
		},
		x)[0]
	f.Return("y", y)
	f.Return("dx", graph.Grad(ops.ReduceSum(y, nil, false), x)[0])
	valid(t, m)
	if err := compile.Check(m, compile.Inputs{}); err != nil {
		t.Error(err)
	}
	// A call in a region, under a gradient, is differentiated by what it stands for.
	h := m.Func("h")
	z := h.Input("z", graph.F64, 2)
	h.Return("dz", graph.Grad(ops.ReduceSum(inRegion(z, func(p graph.Value) graph.Value { return p.Func().Call(g, p)[0] }), nil, false), z)[0])
	valid(t, m)
	if err := compile.Check(m, compile.Inputs{Func: "h"}); err != nil {
		t.Error(err)
	}
}

// TestEmitCountsRegions declares nodes with too few and too many regions.
func TestEmitCountsRegions(t *testing.T) {
	m := graph.NewModule("m")
	f := m.Func("f")
	x := f.Input("x", graph.F64)
	r := f.Region("r", []graph.Type{x.Type()}, func(_ *graph.Func, in []graph.Value) []graph.Value { return in })
	in := []graph.Value{f.Scalar(graph.I32, 0), x}
	f.Emit(vjpSwitch, in, graph.Attrs{{Name: "branches", Value: int64(2)}, {Name: "results", Value: int64(1)}}, r)
	f.Emit(graph.LookupOp("fused"), in[1:], graph.Attrs{{Name: "results", Value: int64(1)}})
	f.Emit(graph.LookupOp("exp"), in[1:], nil, r)
	err := m.Err()
	for _, want := range []string{"vjp_test_switch: want 2 regions, have 1", "fused: want 1 regions, have 0", "exp: want 0 regions, have 1"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("want %q, have %v", want, err)
		}
	}
}
