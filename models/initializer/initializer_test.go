package initializer_test

import (
	"context"
	"math"
	"strings"
	"testing"

	"github.com/graphrun/graphrun/compile"
	"github.com/graphrun/graphrun/graph"
	"github.com/graphrun/graphrun/graph/value"
	"github.com/graphrun/graphrun/models/initializer"
	"github.com/graphrun/graphrun/runtime"
)

// first returns the first value of a variable of the dtype and sizes.
func first(t *testing.T, init initializer.Func, dt graph.DType, dims ...int) *value.Tensor {
	t.Helper()
	m := graph.NewModule("m")
	v := m.Variable("v", dt, dims, init.For(dt, dims...))
	f := m.Func("f")
	f.Return("v", v.Read(f))
	prog, err := compile.Compile(m)
	if err != nil {
		t.Fatal(err)
	}
	sess, err := runtime.NewSession(prog, runtime.Seed(5))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := sess.Run(context.Background(), "f", nil); err != nil {
		t.Fatal(err)
	}
	return sess.Variable("v")
}

// TestSpread draws a convolution's weight [40, 30, 3, 2], with fans 180 and 240, and looks at bounds, mean and standard
// deviation.
func TestSpread(t *testing.T) {
	uniform := func(a float64) (std, bound float64) { return a / math.Sqrt(3), a }
	cases := []struct {
		name       string
		init       initializer.Func
		mean       float64
		std, bound float64 // bound is 0 for normal distributions
	}{
		{name: "uniform", init: initializer.Uniform(1, 3), mean: 2, std: 1 / math.Sqrt(3), bound: 1},
		{name: "normal", init: initializer.Normal(-1, 0.5), mean: -1, std: 0.5},
		{name: "xavier_normal", init: initializer.XavierNormal(2), std: 2 * math.Sqrt(2.0/420)},
		{name: "kaiming_normal", init: initializer.KaimingNormal(initializer.FanOut, 3), std: 3 / math.Sqrt(240)},
		{name: "xavier_uniform", init: initializer.XavierUniform(2)},
		{name: "kaiming_uniform", init: initializer.KaimingUniform(initializer.FanIn, 1)},
		{name: "default", init: initializer.Default(180)},
	}
	cases[4].std, cases[4].bound = uniform(2 * math.Sqrt(6.0/420))
	cases[5].std, cases[5].bound = uniform(math.Sqrt(3.0 / 180))
	cases[6].std, cases[6].bound = uniform(1 / math.Sqrt(180))
	for _, c := range cases {
		xs := first(t, c.init, graph.F64, 40, 30, 3, 2).Float64s()
		sum, squares, far := 0.0, 0.0, 0.0
		for _, x := range xs {
			d := x - c.mean
			sum, squares, far = sum+d, squares+d*d, max(far, math.Abs(d))
		}
		n := float64(len(xs))
		if mean := sum / n; math.Abs(mean) > 5*c.std/math.Sqrt(n) {
			t.Errorf("%s: the mean is off by %v", c.name, mean)
		}
		if std := math.Sqrt(squares / n); math.Abs(std/c.std-1) > 0.05 {
			t.Errorf("%s: the standard deviation is %v, want %v", c.name, std, c.std)
		}
		if c.bound > 0 && (far > c.bound || far < 0.99*c.bound) {
			t.Errorf("%s: the farthest is %v, want just below %v", c.name, far, c.bound)
		}
	}
}

func TestFixed(t *testing.T) {
	given, _ := value.FromSlice([]float32{1, 2, 3}, 3)
	if got := first(t, initializer.FromTensor(given), graph.F32, 3); !got.Equal(given) {
		t.Errorf("FromTensor gives %v", got)
	}
	for _, c := range []struct {
		init initializer.Func
		dt   graph.DType
		want float64
	}{
		{initializer.Zeros(), graph.F16, 0},
		{initializer.Ones(), graph.F64, 1},
		{initializer.Constant(2.75), graph.F32, 2.75},
		{initializer.Constant(2.75), graph.I64, 2},
		{initializer.Default(0), graph.F32, 0},
	} {
		if got := first(t, c.init, c.dt, 2).Float64s(); got[0] != c.want || got[1] != c.want {
			t.Errorf("want %v everywhere, have %v", c.want, got)
		}
	}
	if got := first(t, initializer.XavierUniform(1), graph.F32, 0, 3); got.Len() != 0 {
		t.Errorf("a weight without elements has %d", got.Len())
	}
}

// TestGain holds the gains against torch.nn.init.calculate_gain.
func TestGain(t *testing.T) {
	for name, want := range map[string]float64{"linear": 1, "sigmoid": 1, "tanh": 1.6666666666666667, "relu": 1.4142135623730951, "selu": 0.75} {
		if got := initializer.Gain(name, 0); got != want {
			t.Errorf("%s: %v, want %v", name, got, want)
		}
	}
	if got := initializer.Gain("leaky_relu", 0.2); math.Abs(got-1.3867504905630728) > 1e-15 {
		t.Errorf("leaky_relu: %v", got)
	}
}

// TestFaults gives formulas what they cannot use; the fault stands at the variable's declaration.
func TestFaults(t *testing.T) {
	short, _ := value.FromSlice([]float32{1}, 1)
	for want, init := range map[string]initializer.Func{
		"xavier_uniform: fans need two axes or more, have sizes [3]":  initializer.XavierUniform(1),
		"kaiming_normal: fans need two axes or more, have sizes [3]":  initializer.KaimingNormal(initializer.FanIn, 1),
		"uniform: want finite bounds low <= high, have 2 and 1":       initializer.Uniform(2, 1),
		"normal: want a finite mean and a finite std >= 0, have 0 an": initializer.Normal(0, math.NaN()),
		"from_tensor: want a tensor, have nil":                        initializer.FromTensor(nil),
		"variable: @v: the initializer gives f32[1], want f32[3]":     initializer.FromTensor(short),
	} {
		m := graph.NewModule("m")
		m.Variable("v", graph.F32, []int{3}, init.For(graph.F32, 3))
		if err := m.Err(); err == nil || !strings.HasPrefix(err.Error(), "initializer_test.go:") || !strings.Contains(err.Error(), ": "+want) {
			t.Errorf("got %v, want %q", err, want)
		}
	}
}
