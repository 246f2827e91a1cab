package ops_test

import (
	"math"
	"testing"

	"github.com/graphrun/graphrun/graph"
	"github.com/graphrun/graphrun/graph/value"
	"github.com/graphrun/graphrun/ops"
)

// torchCases are results y and the gradients of sum(y*y) by the operands, which PyTorch 2.15 computed in f64.
var torchCases = []struct {
	name  string
	in    []*value.Tensor
	build func(x values) graph.Value
	want  [][]float64
}{
	{
		"logaddexp",
		[]*value.Tensor{tensor([]float64{0.5, -1.25, 3.0, -30.0, 700.0, -0.6931471805599453}, 2, 3), tensor([]float64{1.5, -2.0, -0.75}, 3)},
		func(x values) graph.Value { return ops.LogAddExp(x[0], x[1]) },
		[][]float64{
			{1.8132616875182228, -0.8631289938851001, 3.023245464372425, 1.5000000000000209, 700.0, -0.028022433737036834},
			{0.9753223511138136, -1.172437654574896, 5.907558470017465, 6.263903734937757e-14, 1400.0, -0.028818796428203015},
			{5.651201023922612, -0.5538203331953042, 0.11170638768151409},
		},
	},
	{
		"logcumsumexp, axis 0",
		[]*value.Tensor{tensor([]float64{0.5, -1.25, 3.0, 2.0, -30.0, 700.0, -0.75, 699.0}, 2, 4)},
		func(x values) graph.Value { return ops.LogCumSumExp(x[0], 0) },
		[][]float64{
			{0.5, -1.25, 3.0, 2.0, 0.5000000000000567, 700.0, 3.023245464372425, 699.0},
			{2.000000000000057, -2.5, 11.907558470017465, 4.0, 5.675685232633045e-14, 1400.0000000000282, 0.13893245872738474, 1398.0000000000398},
		},
	},
	{
		"logcumsumexp, last axis",
		[]*value.Tensor{tensor([]float64{0.5, -1.25, 3.0, 2.0, -30.0, 700.0, -0.75, 699.0}, 2, 4)},
		func(x values) graph.Value { return ops.LogCumSumExp(x[0], -1) },
		[][]float64{
			{0.5, 0.6602241504380872, 3.0919857805919686, 3.3813286012269783, -30.0, 700.0, 700.0, 700.3132616875182},
			{2.9670772206699083, 0.3418267657073513, 10.259092465148392, 1.6990806129884202, -59.99999999999982, 3823.940035370409, 1.1289213284211872e-301, 376.6864880050246},
		},
	},
	{
		"logcumsumexp, far apart",
		[]*value.Tensor{tensor([]float64{-700, -1, -745, 1, 1000}, 5)},
		func(x values) graph.Value { return ops.LogCumSumExp(x[0], 0) },
		[][]float64{
			{-700.0, -1.0, -1.0, 1.1269280110429725, 1000.0},
			{-1400.0000000000282, -3.73133377635021, -1.5e-323, 1.985189798436154, 2000.00000000006},
		},
	},
}

func tensor(xs []float64, shape ...int) *value.Tensor {
	t, err := value.FromSlice(xs, shape...)
	if err != nil {
		panic(err)
	}
	return t
}

// TestTorch holds ops and their gradients against PyTorch's. Whole families of them are compared by TestGolden of package models.
func TestTorch(t *testing.T) {
	for _, c := range torchCases {
		t.Run(c.name, func(t *testing.T) {
			in, types := make([]value.Value, len(c.in)), make([]graph.Type, len(c.in))
			for i, x := range c.in {
				in[i], types[i] = x, graph.TypeOf(x)
			}
			for i, got := range evaluateWithGradients(t, types, in, c.build) {
				got := got.(*value.Tensor)
				if err := value.AllClose(got, tensor(c.want[i], got.Shape()...), 1e-12, 1e-13); err != nil {
					t.Errorf("%s: %v", [...]string{"y", "the gradient by operand 0", "the gradient by operand 1"}[i], err)
				}
			}
		})
	}
}

// TestLogCumSumExpOfNothing differentiates where all elements so far are -inf: e^y is 0 there, and so is the gradient, which in PyTorch is NaN.
func TestLogCumSumExpOfNothing(t *testing.T) {
	inf := math.Inf(-1)
	x := tensor([]float64{inf, inf, 1, inf, 2}, 5)
	outs := evaluateWithGradients(t, []graph.Type{graph.TypeOf(x)}, []value.Value{x}, func(x values) graph.Value {
		return ops.Exp(ops.LogCumSumExp(x[0], 0))
	})
	e, e2 := math.E, math.E*math.E
	want := []float64{0, 0, 2*e*e + 2*e*e + 2*e*(e+e2), 0, 2 * e2 * (e + e2)}
	if err := value.AllClose(outs[1].(*value.Tensor), tensor(want, 5), 1e-12, 0); err != nil {
		t.Error(err)
	}
}
