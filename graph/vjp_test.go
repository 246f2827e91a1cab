package graph_test

import (
	"math"
	"strings"
	"testing"

	"github.com/graphrun/graphrun/compile"
	"github.com/graphrun/graphrun/compile/optest"
	"github.com/graphrun/graphrun/graph"
	"github.com/graphrun/graphrun/graph/value"
	"github.com/graphrun/graphrun/ops"
)

// vjpSwitch carries as many regions as its attribute says, takes one of them, and is differentiated by the vector-Jacobian
// products of all of them: what a conditional of the language would be.
var vjpSwitch = graph.MustRegister(&graph.Op{
	Name: "vjp_test_switch",
	Doc:  "The results of the region that the index, clamped, says.",
	Args: []graph.Arg{
		{Name: "index", Types: graph.Integers, Doc: "a scalar"},
		{Name: "xs", Types: graph.AnyDType, Variadic: true, Doc: "the operands of all regions"},
	},
	Attrs: []graph.AttrSpec{
		{Name: "branches", Kind: graph.IntAttr, Doc: "the number of regions"},
		{Name: "results", Kind: graph.IntAttr, Doc: "the number of results"},
	},
	NumResults: func(a graph.Attrs, _ int) int { return min(max(a.Int("results"), 0), 1<<10) },
	Regions:    func(a graph.Attrs, _ int) int { return min(max(a.Int("branches"), 1), 1<<10) },
	Infer: func(c *graph.InferCtx) []graph.Type {
		var types []graph.Type
		for i, r := range c.Regions {
			ts, err := graph.InferRegion(r, c.In[1:])
			if err != nil {
				c.Failf("region %d: %v", i, err)
			}
			if i == 0 {
				types = ts
			}
			if len(ts) != c.Int("results") {
				c.Failf("region %d gives %d results, want %d", i, len(ts), c.Int("results"))
			}
			for k, t := range ts {
				if !graph.EqualTypes(t, types[k]) {
					c.Failf("region %d gives %s, region 0 %s", i, t, types[k])
				}
			}
		}
		return types
	},
	Ref: func(c *graph.RefCtx) {
		for i, t := range c.OutTypes {
			if _, known := t.(graph.TensorType).ConstShape(); !known {
				c.Failf("result %d is %s: its size is not known", i, t)
			}
		}
		i := min(max(int(c.In[0].I[0]), 0), len(c.Node.Regions())-1)
		copy(c.Out, c.Region(i, c.In[1:]))
	},
	Grad: func(g *graph.GradCtx) []graph.Value {
		var ys, xs []int
		args := append([]graph.Value(nil), g.In...)
		for i := range g.Out {
			if g.HasDy(i) {
				ys = append(ys, i)
				args = append(args, g.Dy(i))
			}
		}
		dxs := make([]graph.Value, len(g.In))
		for i, x := range g.In[1:] {
			if x.DType().IsFloat() {
				xs = append(xs, i)
			}
		}
		var branches []*graph.Func
		for i := range g.Node.Regions() {
			branches = append(branches, g.RegionVJP(i, ys, xs))
		}
		for i, dx := range vjpCase(g.Func, args, len(xs), branches...) {
			dxs[1+xs[i]] = dx
		}
		return dxs
	},
	Sample: `
		i32[] [0], f64[2,3], f64[3]
		i32[] [1], f64[2,3], f64[3]
		i32[] [2], f64[2,3], f64[3]
	`,
	Build: []func(f *graph.Func, in []graph.Value) []graph.Value{declareSwitch, declareSwitch, declareSwitch},
})

func vjpCase(f *graph.Func, args []graph.Value, results int, branches ...*graph.Func) []graph.Value {
	return f.Emit(graph.LookupOp("vjp_test_switch"), args, graph.Attrs{
		{Name: "branches", Value: int64(len(branches))}, {Name: "results", Value: int64(results)},
	}, branches...)
}

// branches are functions of a matrix x and a vector w. The last one ignores w.
var branches = []func(x, w graph.Value) []graph.Value{
	func(x, w graph.Value) []graph.Value {
		p := ops.Mul(x, w)
		return []graph.Value{ops.Exp(p), ops.ReduceSum(ops.Mul(p, x), []int{1}, false)}
	},
	func(x, w graph.Value) []graph.Value {
		y := ops.Tanh(ops.Add(x, ops.GELU(w, "none"))) // gelu is differentiated by its body
		return []graph.Value{y, ops.ReduceSum(ops.Mul(y, y), []int{1}, false)}
	},
	func(x, _ graph.Value) []graph.Value {
		return []graph.Value{x, ops.ReduceSum(ops.Sin(x), []int{1}, false)}
	},
}

func declareSwitch(f *graph.Func, in []graph.Value) []graph.Value {
	var regions []*graph.Func
	for _, branch := range branches {
		regions = append(regions, f.Region("branch", []graph.Type{in[1].Type(), in[2].Type()}, func(_ *graph.Func, p []graph.Value) []graph.Value {
			return branch(p[0], p[1])
		}))
	}
	return vjpCase(f, in, 2, regions...)
}

// TestOpWithRegions holds an op that carries a varying number of regions, and asks for their vector-Jacobian products, against all
// that an op has to satisfy: the text form, finite differences of first and second order, the compiler.
func TestOpWithRegions(t *testing.T) {
	if err := optest.Check(vjpSwitch); err != nil {
		t.Error(err)
	}
}

// TestRegionVJP holds the derivatives of such a node against those of the nodes that the region stands for, of first and second order.
func TestRegionVJP(t *testing.T) {
	declare := func(branch int, inline bool) *graph.Module {
		m := graph.NewModule("m")
		f := m.Func("f")
		x, w := f.Input("x", graph.F64, "N", 3), f.Input("w", graph.F64, 3)
		var ys []graph.Value
		if inline {
			ys = branches[branch](x, w)
		} else {
			ys = declareSwitch(f, []graph.Value{f.Scalar(graph.I32, branch), x, w})
		}
		loss := ops.Add(ops.ReduceSum(ops.Square(ys[0]), nil, false), ops.ReduceSum(ops.Exp(ys[1]), nil, false))
		dxs := graph.Grad(loss, x, w)
		again := graph.Grad(ops.Add(ops.ReduceSum(ops.Square(dxs[0]), nil, false), ops.ReduceSum(ops.Sin(dxs[1]), nil, false)), x, w)
		for i, name := range []string{"dx", "dw"} {
			f.Return(name, dxs[i])
			f.Return("d"+name, again[i])
		}
		return m
	}
	in := []value.Value{
		must(value.FromSlice([]float64{0.3, -0.2, 0.5, 0.1, 0.7, -0.4}, 2, 3)),
		must(value.FromSlice([]float64{0.2, -0.6, 0.9}, 3)),
	}
	evaluate := func(m *graph.Module, opts ...compile.Option) []value.Value {
		o, err := compile.Optimize(m, opts...)
		if err != nil {
			t.Fatal(err)
		}
		return must(new(graph.Interpreter).Run(o.LookupFunc("f"), in))
	}
	for branch := range branches {
		want := evaluate(declare(branch, true), compile.Through("autodiff"))
		for _, opts := range [][]compile.Option{{compile.Through("autodiff")}, nil} {
			for k, v := range evaluate(declare(branch, false), opts...) {
				a, b := v.(*value.Tensor).Float64s(), want[k].(*value.Tensor).Float64s()
				for i := range a {
					if math.Abs(a[i]-b[i]) > 1e-12*(1+math.Abs(b[i])) {
						t.Errorf("branch %d, result %d: the region gives %v, its nodes give %v", branch, k, a, b)
						break
					}
				}
			}
		}
	}
}

// TestRegionVJPOfWhatHasNone wants what cannot be differentiated in a region named, with its place.
func TestRegionVJPOfWhatHasNone(t *testing.T) {
	m := graph.NewModule("m")
	f := m.Func("f")
	x := f.Input("x", graph.F64)
	r := f.Region("r", []graph.Type{x.Type()}, func(r *graph.Func, in []graph.Value) []graph.Value {
		return []graph.Value{graph.Grad(in[0], in[0])[0]}
	})
	y := vjpCase(f, []graph.Value{f.Scalar(graph.I32, 0), x}, 1, r)[0]
	if _, err := graph.VJP(f, []graph.Value{y}, []graph.Value{x}, []graph.Value{x}); err == nil || !strings.Contains(err.Error(), "vjp_test.go:") ||
		!strings.Contains(err.Error(), "grad has no gradient") {
		t.Errorf("want grad named, have %v", err)
	}
}

func TestVJP(t *testing.T) {
	m := graph.NewModule("m")
	g := m.Func("g")
	g.Return("y", ops.Mul(g.Input("a", graph.F64, 2), 3.0))
	f := m.Func("f")
	x, z := f.Input("x", graph.F64, 2), f.Input("z", graph.F64, 2)
	dy := f.Input("dy", graph.F64, 2)
	y := f.Call(g, ops.Square(x))[0] // 3x², by a call
	s := ops.Sum(ops.Mul(x, y), 0)   // 3(x₁³+x₂³)
	nodes := len(f.Nodes())
	// x is among ys too, y twice, and one has no cotangent.
	dxs, err := graph.VJP(f, []graph.Value{y, s, y, x, z}, []graph.Value{dy, f.Scalar(graph.F64, 2.0), dy, dy, {}}, []graph.Value{x, z})
	if err != nil {
		t.Fatal(err)
	}
	if len(f.Nodes()) == nodes || !graph.EqualTypes(dxs[1].Type(), z.Type()) {
		t.Errorf("want nodes behind the others and zeros of the type of z, have %s", f)
	}
	f.Return("dx", dxs[0])
	f.Return("dz", dxs[1])
	if err := graph.Verify(m); err != nil {
		t.Fatal(err)
	}
	vec := func(a, b float64) value.Value { return must(value.FromSlice([]float64{a, b}, 2)) }
	outs, err := new(graph.Interpreter).Run(f, []value.Value{vec(2, -1), vec(5, 6), vec(0.5, 10)})
	if err != nil {
		t.Fatal(err)
	}
	// 2·6x·dy + 2·9x² + dy
	if have := outs[0].(*value.Tensor).Float64s(); have[0] != 12*2*0.5+18*4+0.5 || have[1] != 12*-1*10+18+10 {
		t.Errorf("dx is %v", have)
	}
	if have := outs[1].(*value.Tensor).Float64s(); have[0] != 0 || have[1] != 0 {
		t.Errorf("dz is %v", have)
	}
}

func TestVJPRefuses(t *testing.T) {
	m := graph.NewModule("m")
	f, other := m.Func("f"), m.Func("other")
	x, k, far := f.Input("x", graph.F64, 2), f.Input("k", graph.I64), other.Input("x", graph.F64, 2)
	y := ops.Exp(x)
	scalar := f.Scalar(graph.F64, 1.0)
	for want, args := range map[string][3][]graph.Value{
		"want as many cotangents":              {{y}, nil, {x}},
		"%x (f64[2]) is not a value of @f":     {{far}, {y}, {x}},
		"is not a value of @f":                 {{y}, {far}, {x}},
		"x 0 is invalid: only floats":          {{y}, {y}, {{}}},
		"x 1 is i64[]: only floats":            {{y}, {y}, {x, k}},
		"cotangent of y 0 is f64[], want f64[": {{y}, {scalar}, {x}},
	} {
		if _, err := graph.VJP(f, args[0], args[1], args[2]); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("want %q, have %v", want, err)
		}
	}
	if _, err := graph.VJP(nil, nil, nil, nil); err == nil || !strings.Contains(err.Error(), "want a function, have nil") {
		t.Errorf("no function: %v", err)
	}
}

// vjpAsks is an op of a region whose gradient rule asks for what the region has not.
var vjpAsks = graph.MustRegister(&graph.Op{
	Name: "vjp_test_asks", Doc: "Identity that a region computes.", NumRegions: 1, Args: []graph.Arg{{Name: "x", Types: graph.Floats, Doc: "a scalar"}}, Results: []string{"y"}, Sample: "f64[]",
	Infer: func(c *graph.InferCtx) []graph.Type { return []graph.Type{c.In[0]} },
	Ref:   func(c *graph.RefCtx) { copy(c.Out, c.Region(0, c.In)) },
	Grad: func(g *graph.GradCtx) []graph.Value {
		g.Func.Emit(g.Node.Op(), g.In, nil, g.RegionVJP(vjpAsked.region, vjpAsked.ys, vjpAsked.xs))
		return []graph.Value{g.Dy(0)}
	},
})

var vjpAsked struct {
	region int
	ys, xs []int
}

// TestRegionVJPRefuses has a gradient rule ask for regions, results and parameters that there are not.
func TestRegionVJPRefuses(t *testing.T) {
	for want, asked := range map[string]struct {
		region int
		ys, xs []int
	}{
		"asks for region 1 of 1":     {1, nil, nil},
		"asks for region -1 of 1":    {-1, nil, nil},
		"asks for result 2 of 1":     {0, []int{0, 2}, nil},
		"asks for parameter -1 of 1": {0, nil, []int{-1}},
		"x 0 is i64[]: only floats":  {0, []int{0}, []int{0}},
	} {
		f := graph.NewModule("m").Func("f")
		dt := graph.F64
		if strings.Contains(want, "i64") {
			dt = graph.I64
		}
		x := f.Input("x", graph.F64)
		r := f.Region("r", []graph.Type{graph.TensorType{DType: dt}}, func(_ *graph.Func, in []graph.Value) []graph.Value { return in })
		y := f.Emit(vjpAsks, []graph.Value{x}, nil, r)[0]
		vjpAsked = asked
		if _, err := graph.VJP(f, []graph.Value{y}, []graph.Value{x}, []graph.Value{x}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("want %q, have %v", want, err)
		}
	}
}

func must[T any](x T, err error) T {
	if err != nil {
		panic(err)
	}
	return x
}
