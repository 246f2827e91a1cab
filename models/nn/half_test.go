package nn_test

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/graphrun/graphrun/compile"
	"github.com/graphrun/graphrun/graph"
	"github.com/graphrun/graphrun/graph/value"
	"github.com/graphrun/graphrun/models/nn"
	"github.com/graphrun/graphrun/ops"
	"github.com/graphrun/graphrun/runtime"
)

// rounding is something that several ops declare, on inputs of floats whose shapes it names.
type rounding struct {
	name   string
	shapes [][]int
	of     func(in []graph.Value) graph.Value
}

func roundings() (all []rounding) {
	layer := func(name string, l func() nn.Layer, shape ...int) {
		for _, mode := range []nn.Mode{nn.Eval, nn.Training} {
			all = append(all, rounding{fmt.Sprint(name, mode), [][]int{shape}, func(in []graph.Value) graph.Value { return l().Apply(in[0], mode) }})
		}
	}
	layer("linear", func() nn.Layer { return nn.Linear(64, 7) }, 5, 64)
	layer("maxout", func() nn.Layer { return nn.Maxout(64, 3, 4) }, 5, 64)
	layer("conv2d", func() nn.Layer { return nn.Conv2d(3, 5, 3) }, 2, 3, 6, 6)
	layer("conv_transpose1d", func() nn.Layer { return nn.ConvTranspose1d(3, 5, 3) }, 2, 3, 6)
	layer("layer_norm", func() nn.Layer { return nn.LayerNorm([]int{64}) }, 5, 64)
	layer("rms_norm", func() nn.Layer { return nn.RMSNorm([]int{64}) }, 5, 64)
	layer("group_norm", func() nn.Layer { return nn.GroupNorm(2, 6) }, 3, 6, 11)
	layer("batch_norm1d", func() nn.Layer { return nn.BatchNorm1d(6) }, 300, 6)
	layer("batch_norm2d", func() nn.Layer { return nn.BatchNorm2d(3) }, 4, 3, 5, 7)
	layer("instance_norm1d", func() nn.Layer { return nn.InstanceNorm1d(3, nn.RunningStats(true)) }, 4, 3, 50)
	layer("softmax", func() nn.Layer { return nn.Softmax(1) }, 4, 50)
	layer("log_softmax", func() nn.Layer { return nn.LogSoftmax(1) }, 4, 50)
	layer("gelu", nn.GELU, 4, 50)
	layer("mish", nn.Mish, 4, 50)
	layer("prelu", func() nn.Layer { return nn.PReLU(1) }, 4, 50)
	layer("avg_pool2d", func() nn.Layer { return nn.AvgPool2d(3) }, 2, 3, 6, 6)
	layer("global_avg_pool", func() nn.Layer { return nn.GlobalAvgPool() }, 2, 3, 60, 60)
	layer("lstm", func() nn.Layer { return nn.LSTM(5, 7) }, 6, 3, 5)
	layer("gru", func() nn.Layer { return nn.GRU(5, 7) }, 6, 3, 5)
	layer("rnn", func() nn.Layer { return nn.RNN(5, 7) }, 6, 3, 5)
	all = append(all, rounding{"attention", [][]int{{6, 2, 8}, {5, 2, 8}, {5, 2, 8}}, func(in []graph.Value) graph.Value {
		y, _ := nn.MultiheadAttention(8, 2).Attend(in[0], in[1], in[2])
		return y
	}}, rounding{"bilinear", [][]int{{4, 30}, {4, 20}}, func(in []graph.Value) graph.Value { return nn.Bilinear(30, 20, 3).Apply(in[0], in[1]) }})

	two := [][]int{{9, 40}, {9, 40}}
	classes := func(in []graph.Value) graph.Value {
		return ops.ArgMax(in[1], 1, false)
	}
	for _, r := range []nn.Reduction{nn.Mean, nn.Sum, nn.None} {
		loss := func(name string, shapes [][]int, of func(in []graph.Value) graph.Value) {
			all = append(all, rounding{fmt.Sprint(name, r), shapes, of})
		}
		loss("cross_entropy", two, func(in []graph.Value) graph.Value { return nn.CrossEntropy(in[0], classes(in), r) })
		loss("smoothed", two, func(in []graph.Value) graph.Value {
			return nn.CrossEntropy(in[0], classes(in), r, nn.LabelSmoothing(0.1))
		})
		loss("nll", two, func(in []graph.Value) graph.Value { return nn.NLL(in[0], classes(in), r) })
		loss("mse", two, func(in []graph.Value) graph.Value { return nn.MSE(in[0], in[1], r) })
		loss("l1", two, func(in []graph.Value) graph.Value { return nn.L1(in[0], in[1], r) })
		loss("smooth_l1", two, func(in []graph.Value) graph.Value { return nn.SmoothL1(in[0], in[1], r) })
		loss("huber", two, func(in []graph.Value) graph.Value { return nn.Huber(in[0], in[1], r) })
		loss("bce_with_logits", two, func(in []graph.Value) graph.Value { return nn.BCEWithLogits(in[0], in[1], r) })
		loss("gaussian_nll", append(two, []int{9, 40}), func(in []graph.Value) graph.Value {
			return nn.GaussianNLL(in[0], in[1], ops.Abs(in[2]), r, nn.Full())
		})
		loss("margin_ranking", append(two, []int{9, 40}), func(in []graph.Value) graph.Value { return nn.MarginRanking(in[0], in[1], ops.Sign(in[2]), r) })
		loss("hinge_embedding", two, func(in []graph.Value) graph.Value { return nn.HingeEmbedding(in[0], ops.Sign(in[1]), r) })
		loss("soft_margin", two, func(in []graph.Value) graph.Value { return nn.SoftMargin(in[0], ops.Sign(in[1]), r) })
		loss("triplet_margin", append(two, []int{9, 40}), func(in []graph.Value) graph.Value { return nn.TripletMargin(in[0], in[1], in[2], r) })
		loss("triplet_margin of power 3", append(two, []int{9, 40}), func(in []graph.Value) graph.Value {
			return nn.TripletMargin(in[0], in[1], in[2], r, nn.Power(3))
		})
		loss("cosine_embedding", append(two, []int{9}), func(in []graph.Value) graph.Value { return nn.CosineEmbedding(in[0], in[1], ops.Sign(in[2]), r) })
		loss("multi_margin", two, func(in []graph.Value) graph.Value { return nn.MultiMargin(in[0], classes(in), r) })
		loss("multi_label_soft_margin", two, func(in []graph.Value) graph.Value { return nn.MultiLabelSoftMargin(in[0], in[1], r) })
		loss("poisson_nll", two, func(in []graph.Value) graph.Value { return nn.PoissonNLL(in[0], in[1], r) })
		loss("kl_div", two, func(in []graph.Value) graph.Value { return nn.KLDiv(in[0], in[1], r, nn.LogTarget()) })
	}
	return all
}

// TestHalf runs layers and losses on f16 and bf16, and in f64 on the same numbers with the same weights. They round once: they are off by one
// unit in the last place at most, and by what f32 loses of the largest value on the way.
func TestHalf(t *testing.T) {
	for _, c := range roundings() {
		for _, dt := range []graph.DType{graph.F16, graph.BF16} {
			for _, by := range []struct{ factor, shift float64 }{{1, 0}, {1, 50}, {30, 0}} {
				t.Run(fmt.Sprintf("%s/%s/%v", c.name, dt, by), func(t *testing.T) { c.check(t, dt, by.factor, by.shift) })
			}
		}
	}
}

func (c *rounding) check(t *testing.T, dt graph.DType, factor, shift float64) {
	rng := rand.New(rand.NewPCG(3, uint64(len(c.name))))
	half, exact := c.session(t, dt), c.session(t, graph.F64)
	for name, v := range half.Variables() {
		if exact.Variable(name).DType() != v.DType() {
			v = converted(v, graph.F64)
		}
		if err := exact.SetVariable(name, v); err != nil {
			t.Fatal(err)
		}
	}
	narrow, wide := map[string]value.Value{}, map[string]value.Value{}
	for i, s := range c.shapes {
		e := value.NewExact(dt, s)
		for k := range e.F {
			e.F[k] = rng.NormFloat64()*factor + shift
		}
		name := fmt.Sprint("x", i)
		x := e.Tensor()
		narrow[name], wide[name] = x, converted(x, graph.F64)
	}
	got, want := halfStep(t, half, narrow), halfStep(t, exact, wide)
	compareHalf(t, "the result", got, want.Float64s(), factor+shift)
	for name, v := range half.Variables() {
		if v.DType() == graph.F32 {
			for i, x := range exact.Variable(name).Float64s() {
				if d := math.Abs(v.Float64s()[i] - x); !(d <= 1e-4*math.Abs(x)+1e-6) {
					t.Errorf("@%s is %v, want %v", name, v.Float64s()[i], x)
				}
			}
		} else if v.DType() == dt {
			compareHalf(t, "@"+name, v, exact.Variable(name).Float64s(), 1)
		}
	}
}

func (c *rounding) session(t *testing.T, dt graph.DType) *runtime.Session {
	t.Helper()
	m := graph.NewModule("m")
	f := m.Func("f")
	in := make([]graph.Value, len(c.shapes))
	for i, s := range c.shapes {
		dims := make([]any, len(s))
		for k, n := range s {
			dims[k] = n
		}
		in[i] = f.Input(fmt.Sprint("x", i), dt, dims...)
	}
	y := c.of(in)
	f.Return("y", y)
	p, err := compile.Compile(m)
	if err != nil {
		t.Fatal(err)
	}
	if y.DType() != dt {
		t.Fatalf("the result is %s", y.Type())
	}
	s, err := runtime.NewSession(p, runtime.Seed(1))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func halfStep(t *testing.T, s *runtime.Session, feeds map[string]value.Value) *value.Tensor {
	t.Helper()
	outs, err := s.Run(context.Background(), "f", feeds)
	if err != nil {
		t.Fatal(err)
	}
	return outs["y"].(*value.Tensor)
}

func converted(x *value.Tensor, to graph.DType) *value.Tensor {
	e, err := value.Convert(x.Exact(), to)
	if err != nil {
		panic(err)
	}
	return e.Tensor()
}

func compareHalf(t *testing.T, what string, got *value.Tensor, want []float64, scale float64) {
	t.Helper()
	top := scale
	for _, y := range want {
		top = max(top, math.Abs(y))
	}
	for i, x := range got.Float64s() {
		code := value.EncodeFloat(got.DType(), want[i])
		y, below, above := value.DecodeFloat(got.DType(), code), value.DecodeFloat(got.DType(), code-1), value.DecodeFloat(got.DType(), code+1)
		if x != y && x != below && x != above && !(math.IsNaN(x) && math.IsNaN(y)) && !(math.Abs(x-want[i]) <= 4e-7*top*scale) {
			t.Fatalf("%s: element %d is %v, want %v", what, i, x, want[i])
		}
	}
}
