package compile_test

import (
	"math"
	"slices"
	"testing"

	"github.com/graphrun/graphrun/graph"
	"github.com/graphrun/graphrun/ops"
)

// TestGradOfWhatIsRewritten takes gradients by values that rewriting would otherwise bypass, and by constants: each is what it is
// where the value is an input.
func TestGradOfWhatIsRewritten(t *testing.T) {
	number := func(x float64) func(f *graph.Func, _ graph.Value) graph.Value {
		return func(f *graph.Func, _ graph.Value) graph.Value { return f.Scalar(graph.F64, x) }
	}
	exp := func(_ *graph.Func, x graph.Value) graph.Value { return ops.Exp(x) }
	sigmoid := func(_ *graph.Func, x graph.Value) graph.Value { return ops.Sigmoid(x) }
	for name, c := range map[string]struct {
		inner func(f *graph.Func, x graph.Value) graph.Value // the value by which is derived
		outer func(x, v graph.Value) graph.Value             // what is derived
	}{
		"softmax": {exp, func(_, e graph.Value) graph.Value { return ops.Square(ops.Div(e, ops.ReduceSum(e, []int{0}, true))) }},
		"log_softmax": {
			func(_ *graph.Func, x graph.Value) graph.Value { return ops.Softmax(x, 0) },
			func(_, s graph.Value) graph.Value { return ops.Log(s) },
		},
		"log_sigmoid": {sigmoid, func(_, s graph.Value) graph.Value { return ops.Log(s) }},
		"log_one_minus_sigmoid": {
			sigmoid,
			func(_, s graph.Value) graph.Value { return ops.Log(ops.Sub(1.0, s)) },
		},
		"log1p": {
			func(_ *graph.Func, x graph.Value) graph.Value { return ops.Add(x, 1.0) },
			func(_, s graph.Value) graph.Value { return ops.Log(s) },
		},
		"log1p by 1":          {number(1), func(x, one graph.Value) graph.Value { return ops.Log(ops.Add(one, x)) }},
		"softplus":            {exp, func(_, e graph.Value) graph.Value { return ops.Log1p(e) }},
		"softplus, two rules": {exp, func(_, e graph.Value) graph.Value { return ops.Log(ops.Add(e, 1.0)) }},
		"expm1":               {exp, func(_, e graph.Value) graph.Value { return ops.Sub(e, 1.0) }},
		"logsumexp":           {exp, func(_, e graph.Value) graph.Value { return ops.Log(ops.Sum(e)) }},
		"twice": {exp, func(x, e graph.Value) graph.Value {
			return graph.Grad(ops.Log(ops.Sum(ops.Mul(x, ops.Square(e)))), e)[0]
		}},
		"pow":        {number(2.5), func(x, b graph.Value) graph.Value { return ops.Pow(x, b) }},
		"clamp low":  {number(1.1), func(x, low graph.Value) graph.Value { return ops.Clamp(x, low, 2.0) }},
		"clamp high": {number(1.1), func(x, high graph.Value) graph.Value { return ops.Clamp(x, 0.8, high) }},
		"clamp tie":  {number(0.5), func(x, low graph.Value) graph.Value { return ops.Clamp(x, low, 2.0) }},
		"maximum":    {number(1.1), func(x, c graph.Value) graph.Value { return ops.Maximum(x, c) }},
		"where":      {number(1.1), func(x, c graph.Value) graph.Value { return ops.Where(ops.Greater(x, 1.0), x, c) }},
		"div":        {number(3), func(x, c graph.Value) graph.Value { return ops.Div(x, c) }},
	} {
		t.Run(name, func(t *testing.T) {
			m := graph.NewModule("m")
			f := m.Func("f")
			x := f.Input("x", graph.F64, 3)
			v := c.inner(f, x)
			f.Return("v", v)
			f.Return("dv", graph.Grad(ops.Sum(c.outer(x, v)), v)[0])
			g := m.Func("g")
			gx, gv := g.Input("x", graph.F64, 3), g.Input("v", graph.F64, 3)
			if v.Rank() == 0 {
				gv = ops.At(gv, 0, 0)
			}
			g.Return("dv", graph.Grad(ops.Sum(c.outer(gx, gv)), gv)[0])
			feeds := map[string][]float64{"x": {0.5, 1, 1.75}}
			got := run(t, m, "f", feeds)
			for i := range 3 {
				feeds["v"] = append(feeds["v"], got["v"][min(i, len(got["v"])-1)])
			}
			for i, want := range run(t, m, "g", feeds)["dv"] {
				if have := got["dv"][i]; math.Abs(have-want) > 1e-12 {
					t.Errorf("element %d of the gradient is %v, want %v", i, have, want)
				}
			}
		})
	}
}

// TestGradByVariableReadTwice takes a gradient by a variable that a text reads by two nodes: it is by both, as where a callee reads it.
func TestGradByVariableReadTwice(t *testing.T) {
	m, err := graph.Parse("m.graph", []byte(`graphrun 2
module @m

var @w: f64[3] = init(%key: u64[2]) {
  %0 = constant {value=f64[3] [2, 3, 4]} : f64[3]
  return value: %0
}

func @f(%x: f64[3]) {
  %0 = read {var=@w} : f64[3]
  %1 = read {var=@w} : f64[3]
  %2 = mul %0, %1 : f64[3]
  %3 = reduce_sum %2 {axes=[0], keepdims=false} : f64[]
  %4 = grad %3, %1 : f64[3]
  return dw: %4
}
`), graph.ParseOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if got := run(t, m, "f", map[string][]float64{"x": {0, 0, 0}})["dw"]; !slices.Equal(got, []float64{4, 6, 8}) {
		t.Errorf("the gradient is %v, want %v", got, []float64{4, 6, 8})
	}
}
