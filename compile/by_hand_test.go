package compile_test

import (
	"context"
	"math"
	"testing"

	"github.com/graphrun/graphrun/compile"
	"github.com/graphrun/graphrun/graph"
	"github.com/graphrun/graphrun/graph/value"
	"github.com/graphrun/graphrun/ops"
	"github.com/graphrun/graphrun/runtime"
)

// TestByHand runs formulas that overflow as they are written, with the gradients of their sums. What is wanted is exact, computed
// in f64 from the stable forms; x goes from where the formula underflows to where its exponential is infinite.
func TestByHand(t *testing.T) {
	at := []float64{0, 1000, -1000, 88.8, -104, 1e-3, math.Inf(1), math.Inf(-1)}
	sigmoid := func(x float64) float64 { return 1 / (1 + math.Exp(-x)) }
	slope := func(x float64) float64 { return sigmoid(x) * sigmoid(-x) }
	logCosh := func(x float64) float64 {
		x = math.Abs(x)
		return x + math.Log1p(math.Expm1(-2*x)/2)
	}
	exp := func(x graph.Value) graph.Value { return ops.Exp(x) }
	for _, c := range []struct {
		name  string
		build func(x graph.Value) graph.Value
		y, dy func(x float64) float64
	}{
		{"1/(1+exp(-x))", func(x graph.Value) graph.Value { return ops.Div(1.0, ops.Add(1.0, exp(ops.Neg(x)))) }, sigmoid, slope},
		{"reciprocal(exp(-x)+1)", func(x graph.Value) graph.Value { return ops.Reciprocal(ops.Add(exp(ops.Neg(x)), 1.0)) }, sigmoid, slope},
		{"exp(x)/(1+exp(x))", func(x graph.Value) graph.Value { return ops.Div(exp(x), ops.Add(1.0, exp(x))) }, sigmoid, slope},
		{
			"log(1+exp(x))", func(x graph.Value) graph.Value { return ops.Log(ops.Add(1.0, exp(x))) },
			func(x float64) float64 { return max(x, 0) + math.Log1p(math.Exp(-math.Abs(x))) }, sigmoid,
		},
		{"log(cosh(x))", func(x graph.Value) graph.Value { return ops.Log(ops.Cosh(x)) }, logCosh, math.Tanh},
	} {
		y, dx := runByHand(t, c.build, at, len(at))
		for i, x := range at {
			if want := float64(float32(c.y(x))); y[i] != want && !(math.Abs(y[i]-want) <= 2e-7*max(want, 1e-3)) {
				t.Errorf("%s at %v is %v, want %v", c.name, x, y[i], want)
			}
			if want := c.dy(x); !(math.Abs(dx[i]-want) <= 2e-7) {
				t.Errorf("the gradient of %s at %v is %v, want %v", c.name, x, dx[i], want)
			}
		}
	}
	// Over two axes: two samples of 2x2, the second with places that get nothing.
	at = []float64{1000, 1001, -1000, 999, 3, math.Inf(-1), 2, math.Inf(-1)}
	e, sum := []float64{math.Exp(-1), 1, 0, math.Exp(-2)}, 1+math.Exp(-1)+math.Exp(-2)
	softmax := func(x graph.Value) graph.Value { return ops.Div(exp(x), ops.ReduceSum(exp(x), []int{2, 1}, true)) }
	y, _ := runByHand(t, softmax, at, 2, 2, 2)
	turned, _ := runByHand(t, func(x graph.Value) graph.Value {
		x = ops.Transpose(x, 1, 0, 2)
		return ops.Transpose(ops.Div(exp(x), ops.ReduceSum(exp(x), []int{0, 2}, true)), 1, 0, 2)
	}, at, 2, 2, 2)
	want := []float64{e[0] / sum, e[1] / sum, 0, e[3] / sum, math.E / (1 + math.E), 0, 1 / (1 + math.E), 0}
	log, _ := runByHand(t, func(x graph.Value) graph.Value { return ops.Log(softmax(x)) }, at, 2, 2, 2)
	logs := []float64{-1 - math.Log(sum), -math.Log(sum), -2001 - math.Log(sum), -2 - math.Log(sum), math.Log(want[4]), math.Inf(-1), math.Log(want[6]), math.Inf(-1)}
	for i, w := range want {
		if math.Abs(y[i]-w) > 1e-7 || math.Abs(turned[i]-w) > 1e-7 {
			t.Errorf("softmax over two axes: element %d is %v, want %v", i, y[i], w)
		}
		if log[i] != logs[i] && !(math.Abs(log[i]-logs[i]) <= 1e-6*math.Abs(logs[i])) {
			t.Errorf("log softmax over two axes: element %d is %v, want %v", i, log[i], logs[i])
		}
	}
}

// runByHand returns build's result at x, in f32, and the gradient of its sum.
func runByHand(t *testing.T, build func(x graph.Value) graph.Value, at []float64, shape ...int) (y, dx []float64) {
	t.Helper()
	dims := make([]any, len(shape))
	for i, n := range shape {
		dims[i] = n
	}
	m := graph.NewModule("m")
	f := m.Func("f")
	x := f.Input("x", graph.F32, dims...)
	f.Return("y", build(x))
	f.Return("dx", graph.Grad(ops.Sum(build(x)), x)[0])
	prog, err := compile.Compile(m)
	if err != nil {
		t.Fatal(err)
	}
	sess, err := runtime.NewSession(prog)
	if err != nil {
		t.Fatal(err)
	}
	narrow := make([]float32, len(at))
	for i := range at {
		narrow[i] = float32(at[i])
	}
	in, err := value.FromSlice(narrow, shape...)
	if err != nil {
		t.Fatal(err)
	}
	out, err := sess.Run(context.Background(), "f", map[string]value.Value{"x": in})
	if err != nil {
		t.Fatal(err)
	}
	return out["y"].(*value.Tensor).Float64s(), out["dx"].(*value.Tensor).Float64s()
}
