package optim_test

import (
	"context"
	"math"
	"testing"

	"github.com/graphrun/graphrun/compile"
	"github.com/graphrun/graphrun/graph"
	"github.com/graphrun/graphrun/graph/value"
	"github.com/graphrun/graphrun/models/initializer"
	"github.com/graphrun/graphrun/models/optim"
	"github.com/graphrun/graphrun/ops"
	"github.com/graphrun/graphrun/runtime"
)

// along returns a session whose step has the input g as the gradient of w, n weights that are first 1 everywhere.
func along(t *testing.T, dt graph.DType, n int, opt *optim.Optimizer) *runtime.Session {
	t.Helper()
	m := graph.NewModule("o")
	w := m.Variable("w", dt, []int{n}, initializer.Ones().For(dt, n))
	f := m.Func("train")
	loss := ops.Sum(ops.Mul(f.Input("g", dt, n), w.Read(f)))
	f.Return("loss", loss)
	opt.Minimize(loss)
	p, err := compile.Compile(m)
	if err != nil {
		t.Fatal(err)
	}
	s, err := runtime.NewSession(p)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func step(t *testing.T, s *runtime.Session, g *value.Tensor) []float64 {
	t.Helper()
	if _, err := s.Run(context.Background(), "train", map[string]value.Value{"g": g}); err != nil {
		t.Fatal(err)
	}
	return s.Variable("w").Float64s()
}

func floats(dt graph.DType, x []float64) *value.Tensor {
	e := value.NewExact(dt, []int{len(x)})
	copy(e.F, x)
	return e.Tensor()
}

// TestHalf takes steps of weights in f16 and bf16, and the same in f32 with the weight rounded by hand after each: they have the same bits, for
// gradients of 0 and for some whose squares f16 does not have.
func TestHalf(t *testing.T) {
	grads := []float64{0, 1e-3, 1, -300, 6e-5, 0.1, -2}
	for _, name := range optim.Names() {
		for _, dt := range []graph.DType{graph.F16, graph.BF16} {
			for _, opts := range [][]optim.Option{nil, {optim.WeightDecay(0.01), optim.ClipNorm(5), optim.ClipValue(200)}} {
				opt := func() *optim.Optimizer {
					o, err := optim.New(name, 0.03, opts...)
					if err != nil {
						t.Fatal(err)
					}
					return o
				}
				half, wide := along(t, dt, len(grads), opt()), along(t, graph.F32, len(grads), opt())
				for v, x := range half.Variables() {
					if x.DType() == dt && v != "w" {
						t.Fatalf("%s: @%s is %s, want f32", name, v, x.DType())
					}
				}
				for i := range 12 {
					g := make([]float64, len(grads))
					for k, x := range grads {
						g[k] = x * math.Cos(float64(i*k))
					}
					narrow := floats(dt, g)
					got := step(t, half, narrow)
					want := floats(dt, step(t, wide, floats(graph.F32, narrow.Float64s()))).Float64s()
					if err := wide.SetVariable("w", floats(graph.F32, want)); err != nil {
						t.Fatal(err)
					}
					for k, x := range want {
						if got[k] != x || math.IsInf(x, 0) {
							t.Fatalf("%s, %s, options %v, step %d: weight %d is %v, want %v", name, dt, opts, i, k, got[k], x)
						}
					}
				}
			}
		}
	}
}

// TestCentered lets the gradient stay the same until its variance is less than what rounding loses of it, and be so large that squares are
// infinite: the weights stay finite. The values are those of PyTorch 2.15.
func TestCentered(t *testing.T) {
	s := along(t, graph.F32, 6, optim.RMSprop(1e-3, optim.Centered()))
	if err := s.SetVariable("w", floats(graph.F32, make([]float64, 6))); err != nil {
		t.Fatal(err)
	}
	g := floats(graph.F32, []float64{0.1, 0.7, 5, 0.3, 2, 1e-3})
	torch := map[int][]float64{
		500:  {-2.4509856700897217, -2.4507627487182617, -2.450888156890869, -2.4508919715881348, -2.4509694576263428, -2.4507038593292236},
		1000: {-30.561349868774414, -30.16395378112793, -30.347858428955078, -30.313434600830078, -30.49243927001953, -30.277952194213867},
	}
	for i := range 4000 {
		got := step(t, s, g)
		for k, w := range got {
			if math.IsNaN(w) || math.IsInf(w, 0) {
				t.Fatalf("step %d: weight %d is %v", i, k, w)
			}
			if want := torch[i]; want != nil && math.Abs(w/want[k]-1) > 0.02 {
				t.Errorf("step %d: weight %d is %v, want %v", i, k, w, want[k])
			}
		}
	}
	for large, want := range map[float64][]float64{1e20: {0.9899496436119080, 0.9827892184257507, 0.9768986105918884}, 1e22: {1, 1, 1}, 3e38: {1, 1, 1}} {
		s := along(t, graph.F32, 1, optim.RMSprop(1e-3, optim.Centered()))
		for i, want := range want {
			if w := step(t, s, floats(graph.F32, []float64{large}))[0]; !(math.Abs(w-want) <= 1e-6) {
				t.Errorf("step %d by a gradient of %v leaves the weight at %v, want %v", i, large, w, want)
			}
		}
	}
}
