package nn_test

import (
	"math"
	"strconv"
	"testing"

	"github.com/graphrun/graphrun/graph"
	"github.com/graphrun/graphrun/graph/value"
	"github.com/graphrun/graphrun/models/nn"
	"github.com/graphrun/graphrun/ops"
	session "github.com/graphrun/graphrun/runtime"
)

func tensor[T value.Elem](xs []T, shape ...int) *value.Tensor {
	t, err := value.FromSlice(xs, shape...)
	if err != nil {
		panic(err)
	}
	return t
}

// torchCases are layers and losses of an input x, their results y and the gradients of sum(y*y*[1, 2, 3, ...]) by x and by the weights in
// their order, which PyTorch 2.15 computed in f64.
var torchCases = []struct {
	name    string
	x       *value.Tensor
	weights map[string]*value.Tensor
	build   func(x graph.Value) graph.Value
	want    [][]float64
}{
	{
		"RMSNorm", rmsX, rmsWeight(6),
		func(x graph.Value) graph.Value { return nn.RMSNorm([]int{6}).Apply(x) },
		[][]float64{
			{0.161778555381921, -0.48533566614576307, 1.294228443055368, 0.20222319422740126, 2.9120139968745784, -0.14155623595918088, 0.3136250227236475, 0.9408750681709426, -1.881750136341885, 0.0, 0.9408750681709426, 0.5488437897663831},
			{-3.25969301536826, 5.7865616032556035, -8.432447088735852, -0.3735760605739884, 8.079791744213559, -1.0825685673138778, -55726.954025608466, -68175.21990471723, -3966.677411605284, 0.0, 125256.65095066305, 109841.43981696754},
			{2.858787540521281, 20.14151618376456, 73.78786793808978, 0.26172300981461283, 69.51577656390629, 4.268552085045825},
		},
	},
	{
		"RMSNorm, Eps", rmsX, rmsWeight(6),
		func(x graph.Value) graph.Value { return nn.RMSNorm([]int{6}, nn.Eps(1e-5)).Apply(x) },
		[][]float64{
			{0.16177821665362135, -0.48533464996086406, 1.2942257332289708, 0.2022227708170267, 2.912007899765184, -0.1415559395719187, 0.0157913328840939, 0.0473739986522817, -0.09474799730456339, 0.0, 0.0473739986522817, 0.027634832547164326},
			{-3.25966527677689, 5.7865091948122505, -8.432355423589375, -0.37356745197439456, 8.079842440447766, -1.0825675561186665, 34.4645823958919, 178.65029026454056, -537.2909251935773, 0.0, 493.2983798274202, 366.3449631567174},
			{0.11167101897367962, 1.3041434957112534, 10.211710785190464, 0.2617219138362605, 56.56484972627409, 0.14787738492279992},
		},
	},
	{
		"RMSNorm, no weight", rmsX, nil,
		func(x graph.Value) graph.Value { return nn.RMSNorm([]int{6}, nn.Affine(false)).Apply(x) },
		[][]float64{
			{0.323557110763842, -0.647114221527684, 1.294228443055368, 0.161778555381921, 1.9413426645830523, -0.0808892776909605, 0.627250045447295, 1.25450009089459, -1.881750136341885, 0.0, 0.627250045447295, 0.3136250227236475},
			{-1.3229427427401237, 1.8083718540734863, -1.9417164453334497, -0.03333614781499106, 2.1125071204403927, -0.19271033394419484, -14060.735634312914, -12383.76648808048, -5030.9074386973225, 0.0, 17414.673926777774, 12641.763158525231},
		},
	},
	{
		"RMSNorm, two axes", rmsX, rmsWeight(2, 3),
		func(x graph.Value) graph.Value { return nn.RMSNorm([]int{2, 3}).Apply(ops.Reshape(x, 2, 2, 3)) },
		[][]float64{
			{0.161778555381921, -0.48533566614576307, 1.294228443055368, 0.20222319422740126, 2.9120139968745784, -0.14155623595918088, 0.3136250227236475, 0.9408750681709426, -1.881750136341885, 0.0, 0.9408750681709426, 0.5488437897663831},
			{-3.25969301536826, 5.7865616032556035, -8.432447088735852, -0.3735760605739884, 8.079791744213559, -1.0825685673138778, -55726.954025608466, -68175.21990471723, -3966.677411605284, 0.0, 125256.65095066305, 109841.43981696754},
			{2.858787540521281, 20.14151618376456, 73.78786793808978, 0.26172300981461283, 69.51577656390629, 4.268552085045825},
		},
	},
	{
		"MaxPool1d, CeilMode, a window wider than x", planesX, nil,
		func(x graph.Value) graph.Value { return nn.MaxPool1d(4, nn.Stride(3), nn.CeilMode()).Apply(x) },
		[][]float64{{1, 4}, {2, 0, 0, 0, 16, 0}},
	},
	{
		"MaxPool1d, CeilMode, a window that is spread wider than x", planesX, nil,
		func(x graph.Value) graph.Value { return nn.MaxPool1d(2, nn.Dilation(3), nn.CeilMode()).Apply(x) },
		[][]float64{{1, 3}, {2, 0, 0, 12, 0, 0}},
	},
	{
		"MaxPool2d, CeilMode, a window higher than x and its padding", planesX, nil,
		func(x graph.Value) graph.Value {
			pool := nn.MaxPool2d([2]int{3, 2}, nn.Stride(2), nn.Padding(1, 0), nn.Dilation(2, 1), nn.CeilMode())
			return pool.Apply(ops.Reshape(x, 1, 1, 2, 3))
		},
		[][]float64{{4, -1}, {0, 0, 0, 0, 8, -4}},
	},
	{
		"AvgPool1d, CeilMode, a window wider than x", planesX, nil,
		func(x graph.Value) graph.Value { return nn.AvgPool1d(4, nn.Stride(3), nn.CeilMode()).Apply(x) },
		[][]float64{
			{-0.16666666666666666, 2},
			{-0.1111111111111111, -0.1111111111111111, -0.1111111111111111, 2.6666666666666665, 2.6666666666666665, 2.6666666666666665},
		},
	},
	{
		"MultiLabelMargin", labelsX, nil,
		func(x graph.Value) graph.Value { return nn.MultiLabelMargin(x, x.Func().Const(labels)) },
		[][]float64{
			{0.80625},
			{-0.2015625, 0.2015625, 0.2015625, -0.2015625, 0.2015625, -0.2015625, -0.2015625, 0.2015625, 0, 0, 0, 0, 0, 0, 0, 0},
		},
	},
	{
		"MultiLabelMargin, Sum", labelsX, nil,
		func(x graph.Value) graph.Value { return nn.MultiLabelMargin(x, x.Func().Const(labels), nn.Sum) },
		[][]float64{
			{3.225},
			{-3.225, 3.225, 3.225, -3.225, 3.225, -3.225, -3.225, 3.225, 0, 0, 0, 0, 0, 0, 0, 0},
		},
	},
	{
		"MultiLabelMargin, None", labelsX, nil,
		func(x graph.Value) graph.Value {
			return nn.MultiLabelMargin(x, ops.Cast(x.Func().Const(labels), graph.I32), nn.None)
		},
		[][]float64{
			{0.8500000000000001, 2.375, 0, 0},
			{-0.8500000000000001, 0.8500000000000001, 0.8500000000000001, -0.8500000000000001, 4.75, -4.75, -4.75, 4.75, 0, 0, 0, 0, 0, 0, 0, 0},
		},
	},
	{
		"MultiLabelMargin, one sample with a class listed twice", tensor([]float64{0.1, 0.2, 0.4, 0.8}, 4), nil,
		func(x graph.Value) graph.Value {
			return nn.MultiLabelMargin(x, x.Func().Const(tensor([]int64{1, 1, -1, 0}, 4)))
		},
		[][]float64{{1.85}, {1.85, -5.550000000000001, 1.85, 1.85}},
	},
}

var (
	labelsX = tensor([]float64{0.1, 0.2, 0.4, 0.8, 2, -1, 0.5, 0.25, -0.5, 0.3, 1.75, -2, 1, 0.5, 0.25, -1.5}, 4, 4)
	labels  = tensor([]int64{3, 0, -1, 1, 2, 1, -1, 3, -1, 2, 1, 0, 0, 3, 2, 1}, 4, 4) // two classes, two, none and all
)

var planesX = tensor([]float64{1, -2, 0.5, 3, 4, -1}, 1, 2, 3)

var rmsX = tensor([]float64{0.5, -1.0, 2.0, 0.25, 3.0, -0.125, 1e-4, 2e-4, -3e-4, 0.0, 1e-4, 5e-5}, 2, 6)

func rmsWeight(shape ...int) map[string]*value.Tensor {
	return map[string]*value.Tensor{"weight": tensor([]float64{0.5, 0.75, 1, 1.25, 1.5, 1.75}, shape...)}
}

// count is a constant of y's shape with the elements 1, 2, 3 and so on.
func count(y graph.Value) graph.Value {
	t, _ := y.TensorType()
	shape, _ := t.ConstShape()
	e := value.NewExact(graph.F64, shape)
	for i := range e.F {
		e.F[i] = float64(i + 1)
	}
	return y.Func().Const(e.Tensor())
}

// TestTorch holds layers and losses against PyTorch's. Whole families of them are compared by TestGolden of package models.
func TestTorch(t *testing.T) {
	for _, c := range torchCases {
		t.Run(c.name, func(t *testing.T) {
			m := graph.NewModule("m")
			f := m.Func("f")
			x := f.InputOf("x", graph.TypeOf(c.x))
			y := c.build(x)
			f.Return("0", y)
			wrt := []graph.Value{x}
			for _, v := range m.Variables() {
				wrt = append(wrt, v.Read(f))
			}
			for i, dx := range graph.Grad(ops.Sum(ops.Mul(ops.Square(y), count(y))), wrt...) {
				f.Return(strconv.Itoa(i+1), dx)
			}
			_, out := run(t, m, map[string]value.Value{"x": c.x}, session.Weights(c.weights))
			for i, want := range c.want {
				got := out[strconv.Itoa(i)].(*value.Tensor)
				if err := value.AllClose(got, tensor(want, got.Shape()...), 1e-11, 1e-9); err != nil {
					t.Errorf("%s: %v", [...]string{"y", "the gradient by x", "the gradient by a weight"}[i], err)
				}
			}
		})
	}
}

// TestRMSNormInF16 has squares beyond the range of f16 and squares below the epsilon of f32, which PyTorch adds to them: it computes in f32.
func TestRMSNormInF16(t *testing.T) {
	half := func(xs ...float64) *value.Tensor {
		e := value.NewExact(graph.F16, []int{2, 4})
		copy(e.F, xs)
		return e.Tensor()
	}
	m := graph.NewModule("m")
	f := m.Func("f")
	f.Return("y", nn.RMSNorm([]int{4}).Apply(f.Input("x", graph.F16, 2, 4)))
	_, out := run(t, m, map[string]value.Value{"x": half(1e-3, 2e-3, -1e-3, 5e-4, 300, -400, 250, 1)})
	want := half(0.77099609375, 1.5419921875, -0.77099609375, 0.385498046875, 1.0732421875, -1.4306640625, 0.89453125, 0.00357818603515625)
	if !out["y"].(*value.Tensor).Equal(want) {
		t.Errorf("have %v, want %v", out["y"], want)
	}
}

// TestLossKinks holds the gradients of sum(loss) by x, at kinks, bounds and infinity, against those of PyTorch 2.15's autograd in f64, such as
// torch.autograd.grad(F.huber_loss(x, t, reduction='none', delta=0.5).sum(), x) with t of zeros.
func TestLossKinks(t *testing.T) {
	inf := math.Inf(1)
	zeros := ops.ZerosLike
	signs := func(x graph.Value, signs ...float64) graph.Value { return x.Func().Const(tensor(signs, len(signs))) }
	for _, c := range []struct {
		name     string
		loss     func(x graph.Value) graph.Value
		at, want []float64
	}{
		{
			"Huber", func(x graph.Value) graph.Value { return nn.Huber(x, zeros(x), nn.Delta(0.5), nn.None) },
			[]float64{inf, -inf, 1e300, 2, 0.25, 0.5, -0.5, 0},
			[]float64{0.5, -0.5, 0.5, 0.5, 0.25, 0.5, -0.5, 0},
		},
		{
			"Huber, by the target", func(x graph.Value) graph.Value { return nn.Huber(zeros(x), x, nn.Delta(0.5), nn.None) },
			[]float64{inf, -inf, 1e300, 2, 0.25, 0.5, -0.5, 0},
			[]float64{0.5, -0.5, 0.5, 0.5, 0.25, 0.5, -0.5, 0},
		},
		{
			"SmoothL1", func(x graph.Value) graph.Value { return nn.SmoothL1(x, zeros(x), nn.Beta(0.5), nn.None) },
			[]float64{inf, -inf, 1e300, 2, 0.25, 0.5, -0.5, 0},
			[]float64{1, -1, 1, 1, 0.5, 1, -1, 0},
		},
		{
			"HingeEmbedding", func(x graph.Value) graph.Value { return nn.HingeEmbedding(x, signs(x, -1, -1, -1, 1), nn.None) },
			[]float64{1, -inf, 0.5, 2},
			[]float64{0, -1, -1, 1},
		},
		{"MarginRanking", func(x graph.Value) graph.Value {
			return nn.MarginRanking(x, signs(x, 0, 0, 1), signs(x, 1, 1, -1), nn.Margin(1), nn.None)
		}, []float64{1, 0, 2}, []float64{0, -1, 1}},
		{"CosineEmbedding at the margin", func(x graph.Value) graph.Value {
			return nn.CosineEmbedding(x, signs(x, 1, 0), x.Func().Const(tensor([]float64{-1})), nn.Margin(1))
		}, []float64{1, 0}, []float64{0, 0}},
		{"CosineEmbedding of zeros", func(x graph.Value) graph.Value {
			return nn.CosineEmbedding(x, signs(x, 1, 0), x.Func().Const(tensor([]float64{1})))
		}, []float64{0, 0}, []float64{-1000000.0019974014, 0}},
		{"TripletMargin, power 3 of equal points", func(x graph.Value) graph.Value {
			return nn.TripletMargin(x, signs(x, 1, 2), signs(x, 1, 2), nn.Power(3), nn.LossEps(0))
		}, []float64{1, 2}, []float64{0, 0}},
	} {
		m := graph.NewModule("m")
		f := m.Func("f")
		x := f.Input("x", graph.F64, len(c.at))
		f.Return("dx", graph.Grad(ops.Sum(c.loss(x)), x)[0])
		_, out := run(t, m, map[string]value.Value{"x": tensor(c.at, len(c.at))})
		if err := value.AllClose(out["dx"].(*value.Tensor), tensor(c.want, len(c.want)), 1e-15, 0); err != nil {
			t.Errorf("%s: %v", c.name, err)
		}
	}
}

// TestNoKeys lets the first of two queries look at no key. PyTorch 2.15 gives NaN, and with need_weights=False the bias of out_proj, with
// gradient 0 by the query's part of what it may not see.
func TestNoKeys(t *testing.T) {
	weights := map[string]*value.Tensor{
		"in_proj_weight":  tensor([]float64{-1.0, -0.7, -0.4, -0.1, 0.2, 0.5, 0.8, 1.1, 1.4, 1.7, 2.0, 2.3}, 6, 2),
		"in_proj_bias":    tensor([]float64{-0.9, -0.6, -0.3, 0, 0.3, 0.6}, 6),
		"out_proj.weight": tensor([]float64{-0.8, -0.5, -0.2, 0.1}, 2, 2), "out_proj.bias": tensor([]float64{-0.7, -0.4}, 2),
	}
	nan := math.NaN()
	for _, c := range []struct {
		opts  []nn.AttentionOption
		y, dx []float64
	}{
		{nil, []float64{nan, nan, -8.38, -0.7}, nil},
		{[]nn.AttentionOption{nn.NoWeights()}, []float64{-0.7, -0.4, -8.38, -0.7}, []float64{35.6432, 42.2216, 0, 0}},
	} {
		m := graph.NewModule("m")
		f := m.Func("f")
		x := f.Input("x", graph.F64, 2, 1, 2)
		mask := ops.Cast(f.Const(tensor([]float64{1, 1, 0, 1}, 2, 2)), graph.Bool)
		y, w := nn.MultiheadAttention(2, 1).Attend(x, x, x, append(c.opts, nn.AttentionMask(mask))...)
		f.Return("y", y)
		f.Return("dx", graph.Grad(ops.Sum(ops.Square(y)), x)[0])
		if w.Valid() != (c.opts == nil) {
			t.Errorf("%d options: weights are %v", len(c.opts), w.Valid())
		}
		_, out := run(t, m, map[string]value.Value{"x": tensor([]float64{1, 2, 0.5, -1}, 2, 1, 2)}, session.Weights(weights))
		for name, want := range map[string][]float64{"y": c.y, "dx": c.dx} {
			if want == nil {
				continue
			}
			if err := value.AllClose(out[name].(*value.Tensor), tensor(want, 2, 1, 2), 1e-13, 1e-13); err != nil {
				t.Errorf("%d options: %s: %v", len(c.opts), name, err)
			}
		}
	}
}
