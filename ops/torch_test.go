package ops_test

import (
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
