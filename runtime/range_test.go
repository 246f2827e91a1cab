package runtime_test

import (
	"context"
	"math"
	"testing"

	"github.com/graphrun/graphrun/graph"
	"github.com/graphrun/graphrun/graph/value"
	"github.com/graphrun/graphrun/ops"
)

// compute runs a function of one operand and returns its result.
func compute(t *testing.T, x *value.Tensor, build func(x graph.Value) graph.Value) []float64 {
	t.Helper()
	m := graph.NewModule("m")
	f := m.Func("f")
	f.Return("y", build(f.InputOf("x", graph.TypeOf(x))))
	got, err := session(t, compiled(t, m)).Run(context.Background(), "f", map[string]value.Value{"x": x})
	if err != nil {
		t.Fatal(err)
	}
	return got["y"].(*value.Tensor).Float64s()
}

// TestStatisticsOutOfRange computes statistics of f32 whose squares no f32 can hold, or that lie close together far from zero, along
// every axis and fused with what comes before. The values are those of f64, rounded.
func TestStatisticsOutOfRange(t *testing.T) {
	far := make([]float64, 5000)
	for i := range far {
		far[i] = 1e4 + float64(i%2)/1024
	}
	for _, c := range []struct {
		name           string
		x              []float64
		scale          float64
		std, vari, two float64
	}{
		// torch.std, var and norm of the first three give the same
		{"ordinary", []float64{1, -2, 3, 0.5}, 1, 2.056493779875511, 4.229166666666667, 3.774917217635375},
		{"huge", []float64{1, -2, 3, 0.5}, 1e25, 2.0564939e25, math.Inf(1), 3.774917217635375e25},
		{"tiny", []float64{1, -2, 3, 0.5}, 1e-25, 2.0564938e-25, 0, 3.774917217635375e-25},
		{"zeros", []float64{0, 0, 0}, 1, 0, 0, 0},
		{"constant", []float64{3, 3, 3}, 1, 0, 0, 5.196152422706632},
		{"one", []float64{3}, 1, math.NaN(), math.NaN(), 3},
		{"far and close", far, 1, 0.0004883300854504396, 2.384662723560337e-07, 707106.8157132467},
		{"infinity", []float64{1, math.Inf(1), 2}, 1, math.NaN(), math.NaN(), math.Inf(1)},
		{"NaN", []float64{1, math.NaN(), 2}, 1, math.NaN(), math.NaN(), math.NaN()},
	} {
		t.Run(c.name, func(t *testing.T) {
			n := len(c.x)
			rows := make([]float32, 2*n) // and zeros
			for i, v := range c.x {
				rows[i] = float32(v * c.scale)
			}
			inRows, err := value.FromSlice(rows, 2, n)
			if err != nil {
				t.Fatal(err)
			}
			columns := compute(t, inRows, func(x graph.Value) graph.Value { return ops.Transpose(x, 1, 0) })
			inColumns := &value.Exact{DType: graph.F32, Shape: []int{n, 2}, F: columns}
			for what, x := range map[string]*value.Tensor{"rows": inRows, "columns": inColumns.Tensor()} {
				axis := 1
				if what == "columns" {
					axis = 0
				}
				for _, s := range []struct {
					name string
					want float64
					f    func(x graph.Value) graph.Value
				}{
					{"std", c.std, func(x graph.Value) graph.Value { return ops.Std(x, []int{axis}, 1, false) }},
					{"var", c.vari, func(x graph.Value) graph.Value { return ops.Var(x, []int{axis}, 1, false) }},
					{"norm", c.two, func(x graph.Value) graph.Value { return ops.Norm(x, 2, []int{axis}, false) }},
					{"norm of a negative", c.two, func(x graph.Value) graph.Value { return ops.Norm(ops.Neg(x), 2, []int{axis}, true) }},
					{"norm of all", c.two, func(x graph.Value) graph.Value { return ops.Norm(x, 2, nil, false) }},
				} {
					got := compute(t, x, s.f)[0]
					if !(math.Abs(got-s.want) <= 8*0x1p-24*math.Abs(s.want) || got == s.want || got != got && s.want != s.want) {
						t.Errorf("%s along %s: have %v, want %v", s.name, what, got, s.want)
					}
				}
			}
		})
	}
}

// TestLongSums adds up a million f32: what is kept so far has the digits of f64, and a sum is a tree. The exact sums are
// compensated ones of f64.
func TestLongSums(t *testing.T) {
	const n = 1_000_000
	xs := make([]float32, n)
	for i := range xs {
		xs[i] = float32(math.Sin(float64(i)) + 0.1)
	}
	x, err := value.FromSlice(xs, n)
	if err != nil {
		t.Fatal(err)
	}
	exact := exactSums(xs)
	for _, c := range []struct {
		name string
		ulp  float64
		f    func(x graph.Value) graph.Value
	}{
		{"cumsum", 0.51, func(x graph.Value) graph.Value { return ops.CumSum(x, 0) }},
		{"sum", 8, func(x graph.Value) graph.Value { return ops.Sum(x) }},
		{"mean", 8, func(x graph.Value) graph.Value { return ops.Mul(ops.Mean(x), float64(n)) }},
		{"fused", 8, func(x graph.Value) graph.Value { return ops.Neg(ops.Sum(ops.Neg(x))) }},
		{"columns", 8, func(x graph.Value) graph.Value { return ops.Sum(ops.Reshape(x, n/2, 2), 0) }},
	} {
		got := compute(t, x, c.f)
		if c.name == "columns" {
			got = []float64{got[0] + got[1]}
		}
		for k, y := range got {
			want := exact[n-len(got)+k]
			ulp := float64(math.Nextafter32(float32(math.Abs(want)), math.MaxFloat32)) - float64(float32(math.Abs(want)))
			if math.Abs(y-want) > c.ulp*ulp {
				t.Fatalf("%s: element %d is %v, want %v: off by %.1f ulp", c.name, k, y, want, math.Abs(y-want)/ulp)
			}
		}
	}
}

// exactSums returns the sums of the elements so far: what a sum loses is added up beside it (Neumaier).
func exactSums(xs []float32) []float64 {
	sums := make([]float64, len(xs))
	high, low := 0.0, 0.0
	for i, x := range xs {
		s := high + float64(x)
		back := s - high
		low += (high - (s - back)) + (float64(x) - back)
		high, sums[i] = s, s+low
	}
	return sums
}
