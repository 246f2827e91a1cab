package ops_test

import (
	"context"
	"math"
	"testing"

	"github.com/graphrun/graphrun/compile"
	"github.com/graphrun/graphrun/graph"
	"github.com/graphrun/graphrun/graph/value"
	"github.com/graphrun/graphrun/ops"
	"github.com/graphrun/graphrun/runtime"
)

// TestSliceByLargestSteps slices by steps beyond every size, forward and backward: the first position alone is left, as in Python.
func TestSliceByLargestSteps(t *testing.T) {
	for _, step := range []int{math.MaxInt, math.MinInt + 1, math.MinInt} {
		m := graph.NewModule("m")
		f := m.Func("f")
		x := f.Input("x", graph.F64, "N", 2)
		f.Return("y", ops.Slice(x, 0, nil, nil, step))
		f.Return("dx", graph.Grad(ops.Sum(ops.Slice(x, 0, nil, nil, step)), x)[0])
		p, err := compile.Compile(m)
		if err != nil {
			t.Fatal(err)
		}
		s, err := runtime.NewSession(p, runtime.Recheck())
		if err != nil {
			t.Fatal(err)
		}
		in, err := value.FromSlice([]float64{1, 2, 3, 4, 5, 6}, 3, 2)
		if err != nil {
			t.Fatal(err)
		}
		outs, err := s.Run(context.Background(), "f", map[string]value.Value{"x": in})
		if err != nil {
			t.Fatal(err)
		}
		want, dwant := []float64{1, 2}, []float64{1, 1, 0, 0, 0, 0}
		if step < 0 {
			want, dwant = []float64{5, 6}, []float64{0, 0, 0, 0, 1, 1}
		}
		y, err := value.FromSlice(want, 1, 2)
		if err != nil {
			t.Fatal(err)
		}
		dx, err := value.FromSlice(dwant, 3, 2)
		if err != nil {
			t.Fatal(err)
		}
		if !outs["y"].(*value.Tensor).Equal(y) || !outs["dx"].(*value.Tensor).Equal(dx) {
			t.Errorf("step %d: %v, gradient %v: want %v, %v", step, outs["y"], outs["dx"], y, dx)
		}
	}
}
