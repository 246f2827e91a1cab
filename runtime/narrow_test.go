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

// TestResultsRoundAlike wants an op on floats for storage, which computes in f32 between casts, to give the bits of its reference, which
// rounds once: on all numbers, and pairs of numbers, of 8 bits and less, and on ends of the range and random numbers of the wider ones, whose
// ops are the exactly rounded ones. Results are infinite or out of range, of f32 too.
func TestResultsRoundAlike(t *testing.T) {
	two := map[string]bool{"add": true, "sub": true, "mul": true, "div": true, "pow": true, "sum of two": true, "product of two": true, "widened": true}
	for _, dt := range []graph.DType{graph.F16, graph.BF16, value.F8E4M3FN, value.F8E4M3FNUZ, value.F8E5M2, value.F8E5M2FNUZ, value.F8E8M0, value.F4E2M1} {
		rng := rand.New(rand.NewPCG(3, 9))
		var numbers []float64
		for code := range uint64(256) {
			if dt.Bits() > 8 {
				code = rng.Uint64()
			}
			numbers = append(numbers, value.DecodeFloat(dt, code))
		}
		copy(numbers[:8], []float64{0, math.Copysign(0, -1), math.Inf(1), math.Inf(-1), math.NaN(), 3e38, 60000, 1e-7})
		var a, b []float64
		for _, y := range numbers {
			for _, x := range numbers {
				a, b = append(a, x), append(b, y)
			}
		}
		checked := map[string]func(x, y ops.Value) ops.Value{
			"add":            func(x, y ops.Value) ops.Value { return ops.Add(x, y) },
			"sub":            func(x, y ops.Value) ops.Value { return ops.Sub(x, y) },
			"mul":            func(x, y ops.Value) ops.Value { return ops.Mul(x, y) },
			"div":            func(x, y ops.Value) ops.Value { return ops.Div(x, y) },
			"max":            func(x, y ops.Value) ops.Value { return ops.Maximum(x, y) },
			"sqrt":           func(x, _ ops.Value) ops.Value { return ops.Sqrt(x) },
			"square":         func(x, _ ops.Value) ops.Value { return ops.Square(x) },
			"reciprocal":     func(x, _ ops.Value) ops.Value { return ops.Reciprocal(x) },
			"min over":       func(x, _ ops.Value) ops.Value { return ops.ReduceMin(ops.Reshape(x, 16, 16), []int{1}, false) },
			"sum of two":     func(x, _ ops.Value) ops.Value { return ops.ReduceSum(ops.Reshape(x, -1, 2), []int{1}, false) },
			"product of two": func(x, _ ops.Value) ops.Value { return ops.ReduceProd(ops.Reshape(x, -1, 2), []int{1}, false) },
			"sort":           func(x, _ ops.Value) ops.Value { y, _ := ops.Sort(ops.Reshape(x, 16, 16), 1, false); return y },
			"widened":        func(x, y ops.Value) ops.Value { narrow := ops.Widen(&x, &y); return narrow(ops.Div(x, y)) },
		}
		if dt.Bits() <= 8 {
			checked["exp"] = func(x, _ ops.Value) ops.Value { return ops.Exp(x) }
			checked["log"] = func(x, _ ops.Value) ops.Value { return ops.Log(x) }
			checked["sinh"] = func(x, _ ops.Value) ops.Value { return ops.Sinh(x) }
			checked["tanh"] = func(x, _ ops.Value) ops.Value { return ops.Tanh(x) }
			checked["softplus"] = func(x, _ ops.Value) ops.Value { return ops.Softplus(x, 1, 20) }
			checked["pow"] = func(x, y ops.Value) ops.Value { return ops.Pow(x, y) }
			checked["floor_div"] = func(x, y ops.Value) ops.Value { return ops.FloorDiv(x, y) }
			checked["logaddexp"] = func(x, y ops.Value) ops.Value { return ops.LogAddExp(x, y) }
			checked["gradient of log"] = func(x, _ ops.Value) ops.Value { return graph.Grad(ops.Sum(ops.Log(x)), x)[0] }
		}
		for name, of := range checked {
			m := graph.NewModule("m")
			f := m.Func("f")
			n := len(numbers)
			if two[name] {
				n = len(a)
			}
			f.Return("y", of(f.Input("x0", dt, n), f.Input("x1", dt, n)))
			names, got := everyWay(t, m, rounded(t, dt, a[:n], n), rounded(t, dt, b[:n], n))
			for i := range got[1:] {
				if x, y := got[0].Float64s(), got[i+1].Float64s(); !sameBits(got[0], got[i+1]) {
					k := 0
					for k < len(x)-1 && (x[k] == y[k] || x[k] != x[k] && y[k] != y[k]) {
						k++
					}
					t.Errorf("%s of %s: element %d (%v, %v) is %v %s, %v by %s", name, dt, k, a[k], b[k], y[k], names[i+1], x[k], names[0])
				}
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
