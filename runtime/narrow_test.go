package runtime_test

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/graphrun/graphrun/compile"
	"github.com/graphrun/graphrun/graph"
	"github.com/graphrun/graphrun/graph/value"
	"github.com/graphrun/graphrun/ops"
	"github.com/graphrun/graphrun/runtime"
)

var halves = []graph.DType{graph.F16, graph.BF16}

// rounded returns numbers in a dtype.
func rounded(t *testing.T, dt graph.DType, x []float64, shape ...int) *value.Tensor {
	t.Helper()
	e := value.NewExact(dt, shape)
	copy(e.F, x)
	return e.Tensor()
}

// everyWay runs a function of inputs x0, x1 and so on by the references, compiled without rewrites, and compiled.
func everyWay(t *testing.T, m *graph.Module, in ...value.Value) (names []string, results []*value.Tensor) {
	t.Helper()
	feeds := map[string]value.Value{}
	for i, v := range in {
		feeds[fmt.Sprint("x", i)] = v
	}
	add := func(name string, v value.Value, err error) {
		if err != nil {
			t.Fatalf("%s: %v\n%s", name, err, m)
		}
		names, results = append(names, name), append(results, v.(*value.Tensor))
	}
	if plain, err := compile.Optimize(m, compile.PassLimit(0), compile.Portable()); err != nil {
		t.Fatal(err)
	} else {
		outs, err := (&graph.Interpreter{}).Run(plain.LookupFunc("f"), in)
		add("references", outs[0], err)
	}
	for name, opts := range map[string][]compile.Option{"compiled": nil, "compiled without rewrites": {compile.PassLimit(0)}} {
		p, err := compile.Compile(m, opts...)
		if err != nil {
			t.Fatal(err)
		}
		s, err := runtime.NewSession(p, runtime.Recheck())
		if err != nil {
			t.Fatal(err)
		}
		outs, err := s.Run(context.Background(), "f", feeds)
		add(name, outs["y"], err)
	}
	return names, results
}

// TestHalfPrecision computes what used to overflow or to lose all digits when intermediate values were rounded to 16 bits. The right values
// are those of the formulas in f64 on the same operands, rounded.
func TestHalfPrecision(t *testing.T) {
	cosines, normal, constant := make([]float64, 200), make([]float64, 256), make([]float64, 8)
	rng := rand.New(rand.NewPCG(1, 2))
	for i := range cosines {
		cosines[i] = 30 * math.Cos(float64(i))
	}
	for i := range normal {
		normal[i] = 50 + rng.NormFloat64()
	}
	for i := range constant {
		constant[i] = 3
	}
	rows := func(x ops.Value) ops.Value { return ops.Reshape(x, 4, -1) }
	for _, c := range []struct {
		name string
		x    []float64
		of   func(x ops.Value) ops.Value
	}{
		{"std", cosines, func(x ops.Value) ops.Value { return ops.Std(x, nil, 1, false) }},
		{"var", cosines, func(x ops.Value) ops.Value { return ops.Var(x, nil, 1, false) }},
		{"norm", cosines, func(x ops.Value) ops.Value { return ops.Norm(x, 2, nil, false) }},
		{"norm of power 3", cosines, func(x ops.Value) ops.Value { return ops.Norm(x, 3, nil, false) }},
		{"layer norm of a constant row", constant, func(x ops.Value) ops.Value { return ops.LayerNorm(x, 1, 1e-12) }},
		{"layer norm", normal, func(x ops.Value) ops.Value { return ops.LayerNorm(rows(x), 1, 1e-5) }},
		{"standardize", normal, func(x ops.Value) ops.Value { y, _, _ := ops.Standardize(rows(x), []int{1}, 1e-5); return y }},
		{"gelu", []float64{-3, -2, -1, 0.5, 4}, func(x ops.Value) ops.Value { return ops.GELU(x, "none") }},
		{"softmax", normal, func(x ops.Value) ops.Value { return ops.Softmax(rows(x), 1) }},
		{"log_softmax", cosines, func(x ops.Value) ops.Value { return ops.LogSoftmax(rows(x), 1) }},
		{"logsumexp", cosines, func(x ops.Value) ops.Value { return ops.LogSumExp(rows(x), []int{1}, false) }},
		{"mean", normal, func(x ops.Value) ops.Value { return ops.Mean(x) }},
		{"matmul", normal, func(x ops.Value) ops.Value { return ops.MatMul(rows(x), ops.T(rows(x))) }},
		{"gradient of std", cosines, func(x ops.Value) ops.Value { return graph.Grad(ops.Std(x, nil, 1, false), x)[0] }},
		{"gradient of layer norm", normal, func(x ops.Value) ops.Value {
			return graph.Grad(ops.Sum(ops.Mul(ops.LayerNorm(rows(x), 1, 1e-5), rows(x))), x)[0]
		}},
		{"gradient of tanh", []float64{-5, -3.9, 0.1, 3, 4.5}, func(x ops.Value) ops.Value { return graph.Grad(ops.Sum(ops.Tanh(x)), x)[0] }},
		{"gradient of gelu", []float64{-3, -2, -1, 0.5, 4}, func(x ops.Value) ops.Value { return graph.Grad(ops.Sum(ops.GELU(x, "none")), x)[0] }},
		{"gradient of softmax", normal, func(x ops.Value) ops.Value {
			return graph.Grad(ops.Sum(ops.Mul(ops.Softmax(rows(x), 1), ops.StopGradient(rows(x)))), x)[0]
		}},
	} {
		for _, dt := range halves {
			t.Run(fmt.Sprintf("%s/%s", c.name, dt), func(t *testing.T) {
				declare := func(dt graph.DType) *graph.Module {
					m := graph.NewModule("m")
					f := m.Func("f")
					f.Return("y", c.of(f.Input("x0", dt, len(c.x))))
					return m
				}
				x := rounded(t, dt, c.x, len(c.x))
				_, exact := everyWay(t, declare(graph.F64), rounded(t, graph.F64, x.Float64s(), len(c.x)))
				names, got := everyWay(t, declare(dt), x)
				steps := 1
				if len(c.name) > 8 && c.name[:8] == "gradient" { // of several ops, each of which rounds
					steps = 3
				}
				want := exact[0].Float64s()
				top := 0.0
				for _, y := range want {
					top = max(top, math.Abs(y))
				}
				for k, y := range got {
					for i, v := range y.Float64s() {
						unit := 2 * float64(steps) * math.Abs(value.RoundFloat(dt, 1)-value.DecodeFloat(dt, value.EncodeFloat(dt, 1)-1))
						if d := math.Abs(v - want[i]); !(d <= unit*math.Abs(want[i])+1e-6*top) && v != value.RoundFloat(dt, want[i]) {
							t.Fatalf("%s: element %d is %v, want %v", names[k], i, v, want[i])
						}
					}
				}
			})
		}
	}
}

// TestHalfBits wants all ways to run a program of f16 and bf16 to give the same bits where each op is rounded exactly: an op rounds where it
// ends, whether it is a member of a fused node or not.
func TestHalfBits(t *testing.T) {
	for seed := range uint64(60) {
		rng := rand.New(rand.NewPCG(seed, 5))
		dt := halves[seed%2]
		m := graph.NewModule("m")
		f := m.Func("f")
		shapes := [][]any{{7, 33}, {33}, {7, 1}, {}}
		var values []ops.Value
		var in []value.Value
		for i, s := range shapes {
			values = append(values, f.Input(fmt.Sprint("x", i), dt, s...))
			shape := make([]int, len(s))
			n := 1
			for k, d := range s {
				shape[k] = d.(int)
				n *= shape[k]
			}
			x := make([]float64, n)
			for k := range x {
				x[k] = math.Ldexp(rng.NormFloat64(), rng.IntN(12)-6)
				if rng.IntN(20) == 0 {
					x[k] = []float64{0, math.Copysign(0, -1), math.Inf(1), math.NaN(), 60000, 1e-7}[rng.IntN(6)]
				}
			}
			in = append(in, rounded(t, dt, x, shape...))
		}
		one := func() ops.Value { return values[rng.IntN(len(values))] }
		for range 12 {
			a, b := one(), one()
			values = append(values, []func() ops.Value{
				func() ops.Value { return ops.Add(a, b) },
				func() ops.Value { return ops.Sub(a, b) },
				func() ops.Value { return ops.Mul(a, b) },
				func() ops.Value { return ops.Div(a, b) },
				func() ops.Value { return ops.Maximum(a, b) },
				func() ops.Value { return ops.Where(ops.Less(a, b), a, b) },
				func() ops.Value { return ops.Sqrt(ops.Abs(a)) },
				func() ops.Value { return ops.Square(a) },
				func() ops.Value { return ops.ReLU(a) },
				func() ops.Value { return ops.Floor(a) },
			}[rng.IntN(10)]())
		}
		y := values[0]
		for _, v := range values[4:] {
			y = ops.Add(y, v)
		}
		f.Return("y", y)
		names, got := everyWay(t, m, in...)
		for i := range got {
			if !sameBits(got[i], got[0]) {
				t.Errorf("seed %d: %s gives %v, %s %v\n%s", seed, names[i], got[i], names[0], got[0], m)
			}
		}
	}
}

// sameBits compares bits; one NaN is as good as another.
func sameBits(a, b *value.Tensor) bool {
	xs, ys := a.Float64s(), b.Float64s()
	for i, x := range xs {
		if y := ys[i]; math.Float64bits(x) != math.Float64bits(y) && !(math.IsNaN(x) && math.IsNaN(y)) {
			return false
		}
	}
	return len(xs) == len(ys)
}
