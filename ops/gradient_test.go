package ops_test

import (
	"math"
	"strings"
	"testing"

	"github.com/graphrun/graphrun/compile"
	"github.com/graphrun/graphrun/graph"
	"github.com/graphrun/graphrun/graph/value"
	"github.com/graphrun/graphrun/ops"
)

// gradientOf differentiates the sum of build's result at x, declared with the dims, and returns the gradient's elements.
func gradientOf(t *testing.T, build func(x graph.Value) graph.Value, x *value.Tensor, dims ...any) []float64 {
	t.Helper()
	m := graph.NewModule("m")
	f := m.Func("f")
	in := f.Input("x", graph.F64, dims...)
	f.Return("dx", graph.Grad(ops.Sum(build(in)), in)[0])
	prepared, err := compile.Optimize(m, compile.Through("autodiff"))
	if err != nil {
		t.Fatal(err)
	}
	outs, err := (&graph.Interpreter{}).Run(prepared.LookupFunc("f"), []value.Value{x})
	if err != nil {
		t.Fatal(err)
	}
	return outs[0].(*value.Tensor).Float64s()
}

func f64s(t *testing.T, data []float64, shape ...int) *value.Tensor {
	t.Helper()
	x, err := value.FromSlice(data, shape...)
	if err != nil {
		t.Fatal(err)
	}
	return x
}

// TestSymbolicSizes checks that gradients which divide by a size do so when it is known at run time only.
func TestSymbolicSizes(t *testing.T) {
	x := f64s(t, []float64{1, -2, 3.5, 0.25, 2, -1}, 3, 2)
	for name, build := range map[string]func(x graph.Value) graph.Value{
		"mean": func(x graph.Value) graph.Value { return ops.Square(ops.Mean(x)) },
		"var":  func(x graph.Value) graph.Value { return ops.Var(x, []int{0}, 1, false) },
		"std":  func(x graph.Value) graph.Value { return ops.Std(x, nil, 0, true) },
		"prod": func(x graph.Value) graph.Value { return ops.Prod(x, 0) },
		"amax": func(x graph.Value) graph.Value { return ops.ReduceMax(x, []int{0}, false) },
	} {
		want := gradientOf(t, build, x, 3, 2)
		for _, dims := range [][]any{{"N", 2}, {"N", "M"}} {
			got := gradientOf(t, build, x, dims...)
			for i := range want {
				if got[i] != want[i] {
					t.Errorf("%s with %v: element %d is %v, want %v", name, dims, i, got[i], want[i])
				}
			}
		}
	}
}

// TestKinks holds the gradients at kinks, poles and ends of the range of numbers against those of PyTorch 2.15's autograd in f64, where these
// are finite: of torch.linalg.vector_norm(x, p) and so on. At a point so small that torch.atan2 squares it to 0, b/(a*a+b*b) is exact.
func TestKinks(t *testing.T) {
	inf, nan := math.Inf(1), math.NaN()
	norm := func(p float64) func(x graph.Value) graph.Value {
		return func(x graph.Value) graph.Value { return ops.Norm(x, p, []int{0}, false) }
	}
	twice := func(build func(x graph.Value) graph.Value) func(x graph.Value) graph.Value {
		return func(x graph.Value) graph.Value { return graph.Grad(ops.Sum(build(x)), x)[0] }
	}
	for _, c := range []struct {
		name  string
		build func(x graph.Value) graph.Value
		at    []float64
		want  []float64
	}{
		{"relu", ops.ReLU, []float64{0, math.Copysign(0, -1), math.NaN()}, []float64{0, 0, 1}},
		{"abs", ops.Abs, []float64{0}, []float64{0}},
		{"leaky_relu", func(x graph.Value) graph.Value { return ops.LeakyReLU(x, 0.2) }, []float64{0}, []float64{0.2}},
		{"prelu", func(x graph.Value) graph.Value { return ops.PReLU(x, x.Func().Scalar(graph.F64, 0.2)) }, []float64{0}, []float64{0.2}},
		{"elu", func(x graph.Value) graph.Value { return ops.ELU(x, 0.7) }, []float64{0, 1e4}, []float64{0.7, 1}},
		{"celu", func(x graph.Value) graph.Value { return ops.CELU(x, 0.7) }, []float64{0, 1e4}, []float64{1, 1}},
		{"selu", ops.SELU, []float64{0}, []float64{1.7580993408473766}},
		{"threshold", func(x graph.Value) graph.Value { return ops.Threshold(x, 0.5, 9) }, []float64{0.5}, []float64{0}},
		{"hardtanh", func(x graph.Value) graph.Value { return ops.Hardtanh(x, -1, 1) }, []float64{-1, 1, 0}, []float64{0, 0, 1}},
		{"relu6", ops.ReLU6, []float64{0, 6, 3}, []float64{0, 0, 1}},
		{"hardsigmoid", ops.Hardsigmoid, []float64{-3, 3}, []float64{0, 0}},
		{"hardswish", ops.Hardswish, []float64{-3, 3, 4, -4}, []float64{0, 1, 1, 0}},
		{"clamp", func(x graph.Value) graph.Value { return ops.Clamp(x, 0, 1) }, []float64{0, 1, 0.5, 2}, []float64{0, 0, 1, 0}},
		{"clamp below", func(x graph.Value) graph.Value { return ops.Clamp(x, 0.0, nil) }, []float64{0, -1, 9}, []float64{0, 0, 1}},
		{"clamp by values", func(x graph.Value) graph.Value {
			low := ops.StopGradient(ops.Mul(x, 0.0))
			return ops.Clamp(x, low, ops.Add(low, 1.0))
		}, []float64{0, 1, 0.5, 2}, []float64{0.5, 0.5, 1, 0}},
		{"clamp to one value", func(x graph.Value) graph.Value {
			one := ops.StopGradient(ops.Add(ops.Mul(x, 0.0), 1.0))
			return ops.Clamp(x, one, one)
		}, []float64{0, 1, 2}, []float64{0, 1, 0}},
		{"clamp to a number", func(x graph.Value) graph.Value { return ops.Clamp(x, 1.0, 1.0) }, []float64{0, 1, 2}, []float64{0, 0, 0}},
		{"hardswish twice, by the cotangent", func(x graph.Value) graph.Value {
			at := x.Func().Const(tensor([]float64{inf, -inf, 0, 3}, 4))
			return graph.Grad(ops.Sum(ops.Mul(x, ops.Hardswish(at))), at)[0]
		}, []float64{2, 2, 2, 2}, []float64{1, 0, 0.5, 1}},
		{"elu twice", twice(func(x graph.Value) graph.Value { return ops.ELU(x, 0.7) }), []float64{0, math.Copysign(0, -1), 1, -1, -inf}, []float64{0, 0, 0, 0.2575156088200096, 0}},
		{"selu twice", twice(ops.SELU), []float64{0, math.Copysign(0, -1), 1, -1}, []float64{0, 0, 0, 0.646768603034814}},
		{"celu twice", twice(func(x graph.Value) graph.Value { return ops.CELU(x, 1.5) }), []float64{0, math.Copysign(0, -1), 1, -1.5}, []float64{0, 0, 0, 0.24525296078096154}},
		{"softplus at its threshold", func(x graph.Value) graph.Value { return ops.Softplus(x, 2, 1) }, []float64{0.5, 0.25, 1, nan}, []float64{0.7310585786300049, 0.6224593312018546, 1, nan}},
		{"softplus twice", twice(func(x graph.Value) graph.Value { return ops.Softplus(x, 2, 1) }), []float64{0.5, 0.25, 1}, []float64{0, 0.470007424403189, 0}},
		{"logaddexp", func(x graph.Value) graph.Value { return ops.LogAddExp(x, 1.0) }, []float64{inf, -inf, 1}, []float64{1, 0, 0.5}},
		{"logaddexp of nothing", func(x graph.Value) graph.Value { return ops.LogAddExp(x, -inf) }, []float64{inf, -inf, 1}, []float64{1, 0, 1}},
		{"logaddexp of large ones", func(x graph.Value) graph.Value { return ops.LogAddExp(1e15, x) }, []float64{1e15 + 1}, []float64{0.7310585786300049}},
		{"logcumsumexp before inf", func(x graph.Value) graph.Value {
			return ops.LogCumSumExp(ops.Concat(0, x, x.Func().Const(tensor([]float64{inf}, 1)), x), 0)
		}, []float64{1, 1}, []float64{1.5, 0.5}},
		{"maximum", func(x graph.Value) graph.Value { return ops.Maximum(x, 1.0) }, []float64{1, 2, 0}, []float64{0.5, 1, 0}},
		{"amax", func(x graph.Value) graph.Value { return ops.ReduceMax(x, nil, false) }, []float64{2, 1, 2}, []float64{0.5, 0, 0.5}},
		{"pow", func(x graph.Value) graph.Value { return ops.Pow(x, 2.0) }, []float64{0, -3}, []float64{0, -6}},
		{"pow 0", func(x graph.Value) graph.Value { return ops.Pow(x, 0.0) }, []float64{0, 5}, []float64{0, 0}},
		{"norm", func(x graph.Value) graph.Value { return ops.Norm(x, 2, nil, false) }, []float64{0, 0}, []float64{0, 0}},
		{"std", func(x graph.Value) graph.Value { return ops.Std(x, nil, 1, false) }, []float64{2, 2}, []float64{0, 0}},
		{"logsumexp", func(x graph.Value) graph.Value { return ops.LogSumExp(x, nil, false) }, []float64{math.Inf(-1), math.Inf(-1)}, []float64{0, 0}},
		{"logsumexp of large numbers", func(x graph.Value) graph.Value { return ops.LogSumExp(x, nil, false) }, []float64{1e10, 1e10, 1e10 - 1}, []float64{
			0.4223187982515182, 0.4223187982515182, 0.15536240349696362,
		}},
		{"logsumexp of larger ones", func(x graph.Value) graph.Value { return ops.LogSumExp(x, nil, false) }, []float64{1e50, 1e50}, []float64{0.5, 0.5}},
		{"logsumexp twice", func(x graph.Value) graph.Value {
			return ops.Square(graph.Grad(ops.LogSumExp(x, nil, false), x)[0])
		}, []float64{1e50, 1e50}, []float64{0, 0}},
		{"logsumexp of inf", func(x graph.Value) graph.Value { return ops.LogSumExp(x, nil, false) }, []float64{inf, 1, -inf}, []float64{nan, 0, 0}},
		{"logaddexp", func(x graph.Value) graph.Value { return ops.LogAddExp(x, 1.0) }, []float64{math.Inf(1), math.Inf(-1), 1}, []float64{1, 0, 0.5}},
		{"logaddexp of inf", func(x graph.Value) graph.Value { return ops.LogAddExp(math.Inf(1), x) }, []float64{1, math.Inf(-1)}, []float64{0, 0}},
		{"logaddexp of large numbers", func(x graph.Value) graph.Value { return ops.LogAddExp(x, 1e17) }, []float64{1e17}, []float64{0.5}},
		{"logcumsumexp", func(x graph.Value) graph.Value { return ops.LogCumSumExp(x, 0) }, []float64{1, 2, math.Inf(1), 0}, []float64{
			1 + 1/(1+math.E), math.E / (1 + math.E),
		}},
		{"softplus", func(x graph.Value) graph.Value { return ops.Softplus(x, 1, 20) }, []float64{0, 1e4, -1e4}, []float64{0.5, 1, 0}},
		{"clamp from below, without an upper bound", func(x graph.Value) graph.Value { return ops.Clamp(x, -1.0, nil) }, []float64{-1, inf, -inf, 0}, []float64{0, 1, 0, 1}},
		{"clamp from above, without a lower bound", func(x graph.Value) graph.Value { return ops.Clamp(x, nil, 1.0) }, []float64{1, inf, -inf, 0}, []float64{0, 0, 1, 1}},
		{"elu beyond", func(x graph.Value) graph.Value { return ops.ELU(x, 0.7) }, []float64{nan, inf, -inf}, []float64{1, 1, 0}},
		{"selu beyond", ops.SELU, []float64{nan, inf, -inf}, []float64{1.0507009873554805, 1.0507009873554805, 0}},
		{"celu beyond", func(x graph.Value) graph.Value { return ops.CELU(x, 1.5) }, []float64{nan, inf, -inf}, []float64{1, 1, 0}},
		{"hardtanh beyond", func(x graph.Value) graph.Value { return ops.Hardtanh(x, -1, 1) }, []float64{nan, inf}, []float64{1, 0}},
		{"amax of NaN", func(x graph.Value) graph.Value { return ops.ReduceMax(x, nil, false) }, []float64{1, nan, 2}, []float64{nan, nan, nan}},
		{"amin of NaN", func(x graph.Value) graph.Value { return ops.ReduceMin(x, nil, false) }, []float64{1, nan, 2}, []float64{nan, nan, nan}},
		{"pow 0 beyond", func(x graph.Value) graph.Value { return ops.Pow(x, 0.0) }, []float64{nan, inf, 1e-310}, []float64{0, 0, 0}},
		{"pow to a value of 0", func(x graph.Value) graph.Value { return ops.Pow(x, ops.StopGradient(ops.ZerosLike(x))) }, []float64{nan, inf, 1e-310}, []float64{0, 0, 0}},
		{"div by a small number", func(x graph.Value) graph.Value { return ops.Div(0.0, x) }, []float64{1e-310, 2}, []float64{0, 0}},
		{"atan2 by a", func(x graph.Value) graph.Value { return ops.Atan2(x, 2.0) }, []float64{1, 0, inf}, []float64{0.4, 0.5, 0}},
		{"atan2 by b", func(x graph.Value) graph.Value { return ops.Atan2(1.0, x) }, []float64{2, inf}, []float64{-0.2, 0}},
		{"atan2 at the origin, by a", func(x graph.Value) graph.Value { return ops.Atan2(x, 0.0) }, []float64{0, math.Copysign(0, -1)}, []float64{0, 0}},
		{"atan2 at the origin, by b", func(x graph.Value) graph.Value { return ops.Atan2(0.0, x) }, []float64{0}, []float64{0}},
		{"atan2 of a small point", func(x graph.Value) graph.Value { return ops.Mul(ops.Atan2(x, 1e-200), 1e-200) }, []float64{1e-200, 0, 3e-200}, []float64{0.5, 1, 0.1}},
		{"atan2 of a large point", func(x graph.Value) graph.Value { return ops.Mul(ops.Atan2(x, 1e200), 1e200) }, []float64{1e200, 0, 3e200}, []float64{0.5, 1, 0.1}},
		{"atan2 on an axis next to the origin, by a", func(x graph.Value) graph.Value { return ops.Atan2(x, 0.0) }, []float64{1e-310, 5e-324}, []float64{0, 0}},
		{"atan2 on an axis next to the origin, by b", func(x graph.Value) graph.Value { return ops.Atan2(0.0, x) }, []float64{1e-310, -5e-324}, []float64{0, 0}},
		{"norm of small numbers", norm(2), []float64{0, 1e-310}, []float64{0, 0}}, // their squares are 0, and so is the norm
		{"norm 0.5", norm(0.5), []float64{1, -2, 0}, []float64{2.414213562373095, -1.7071067811865472, 0}},
		{"norm 1.5", norm(1.5), []float64{1, -2, 0}, []float64{0.6392340078652324, -0.9040134034531215, 0}},
		{"norm 3", norm(3), []float64{1, -2, 0}, []float64{0.2311204247835449, -0.9244816991341795, 0}},
		{"norm inf", norm(inf), []float64{1, -2, 0}, []float64{0, -1, 0}},
		{"norm -inf", norm(-inf), []float64{3, -3, 4}, []float64{0.5, -0.5, 0}},
		{"norm -1", norm(-1), []float64{3, -3}, []float64{0.25, -0.25}},
		{"norm -1 with a 0", norm(-1), []float64{1, -2, 0}, []float64{0, 0, 0}},
		{"norm 0.5 of zeros", norm(0.5), []float64{0, 0}, []float64{0, 0}},
		{"norm 1.5 of zeros", norm(1.5), []float64{0, 0}, []float64{0, 0}},
		{"norm 3 of zeros", norm(3), []float64{0, 0}, []float64{0, 0}},
		{"norm inf of zeros", norm(inf), []float64{0, 0}, []float64{0, 0}},
		{"norm -inf of zeros", norm(-inf), []float64{0, 0}, []float64{0, 0}},
		{"norm -1 of zeros", norm(-1), []float64{0, 0}, []float64{0, 0}},
	} {
		got := gradientOf(t, c.build, f64s(t, c.at, len(c.at)), len(c.at))
		for i, want := range c.want {
			if !(math.Abs(got[i]-want) <= 1e-15*max(1, math.Abs(want))) && !(math.IsNaN(got[i]) && math.IsNaN(want)) {
				t.Errorf("%s: the gradient at %v is %v, want %v", c.name, c.at[i], got[i], want)
			}
		}
	}
}

// TestNorm holds norms against those that NumPy 2.4 gives: numpy.linalg.norm(x, p). It has none of no elements for a negative p, where the
// norm is the limit, infinity.
func TestNorm(t *testing.T) {
	inf := math.Inf(1)
	x := f64s(t, []float64{1, -2, 0, 4, 3, -3, 3, 3}, 2, 4)
	for p, want := range map[float64][]float64{
		0: {3, 4}, 0.5: {19.48528137423857, 48}, 1: {7, 12}, 2: {4.58257569495584, 6}, 3: {4.179339196381232, 4.762203155904598}, inf: {4, 3}, -inf: {0, 3},
		-1: {0, 0.75},
	} {
		of := func(x *value.Tensor, want ...float64) {
			m := graph.NewModule("m")
			f := m.Func("f")
			f.Return("y", ops.Norm(f.Input("x", graph.F64, 2, x.Shape()[1]), p, []int{1}, false))
			outs, err := (&graph.Interpreter{}).Run(f, []value.Value{x})
			if err != nil {
				t.Fatal(err)
			}
			if err := value.AllClose(outs[0].(*value.Tensor), f64s(t, want, 2), 1e-14, 0); err != nil {
				t.Errorf("p %v of %v: %v", p, x, err)
			}
		}
		of(x, want...)
		nothing := 0.0
		if p < 0 {
			nothing = inf
		}
		of(f64s(t, nil, 2, 0), nothing, nothing)
	}
}

func TestCustomGrad(t *testing.T) {
	triple := func(_ *graph.Func, x []graph.Value) []graph.Value { return []graph.Value{ops.Mul(x[0], 3.0)} }
	flipped := func(x graph.Value) graph.Value {
		return ops.CustomGrad(triple, func(_ *graph.Func, _, _, dy []graph.Value) []graph.Value {
			return []graph.Value{ops.Neg(dy[0])}
		}, x)[0]
	}
	if got := gradientOf(t, flipped, f64s(t, []float64{1, 2}, 2), "N"); got[0] != -1 || got[1] != -1 {
		t.Errorf("the gradient is %v, want that of the backward function, -1", got)
	}

	m := graph.NewModule("m")
	f := m.Func("f")
	y := ops.CustomGrad(triple, func(_ *graph.Func, _, _, dy []graph.Value) []graph.Value {
		return []graph.Value{ops.Sum(dy[0])}
	}, f.Input("x", graph.F64, "N"))
	f.Return("y", y[0])
	if err := m.Err(); err == nil || !strings.Contains(err.Error(), "gradient 0 is f64[], the input is f64[N]") {
		t.Errorf("a gradient of a wrong type is reported as %v", err)
	}
}
