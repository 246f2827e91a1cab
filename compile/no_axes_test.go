package compile_test

import (
	"context"
	"slices"
	"testing"

	"github.com/graphrun/graphrun/compile"
	"github.com/graphrun/graphrun/graph"
	"github.com/graphrun/graphrun/graph/value"
	"github.com/graphrun/graphrun/ops"
	"github.com/graphrun/graphrun/runtime"
)

// TestNoAxes reduces over an empty list of axes, on a shape with an axis of size 1: every reduction keeps the shape, whether reduced axes
// stay or not, and rewrites do.
func TestNoAxes(t *testing.T) {
	tried := 0
	for _, op := range graph.Ops() {
		names := func(name string) bool {
			return slices.ContainsFunc(op.Attrs, func(a graph.AttrSpec) bool { return a.Name == name })
		}
		if !names("axes") || !names("keepdims") {
			continue
		}
		tried++
		dt := graph.F64
		if op.Args[0].Types == graph.Bools {
			dt = graph.Bool
		}
		for _, keep := range []bool{false, true} {
			f := graph.NewModule("m").Func("f")
			x := f.Input("x", dt, 1, 3)
			y := graph.Apply(op, []graph.Value{x}, graph.Attrs{{Name: "axes", Value: []int64{}}, {Name: "keepdims", Value: keep}})
			if err := f.Module().Err(); err != nil {
				t.Errorf("%s: %v", op.Name, err)
			} else if got := y[0].Type().(graph.TensorType); len(got.Shape) != 2 {
				t.Errorf("%s over no axes, keepdims %v: %s of %s", op.Name, keep, got, x.Type())
			}
		}
	}
	if tried < 10 {
		t.Errorf("%d reductions were tried", tried)
	}

	m := graph.NewModule("m")
	f := m.Func("f")
	f.Return("y", ops.Log(ops.ReduceSum(ops.Exp(f.Input("x", graph.F64, 1, 3)), []int{}, false)))
	p, err := compile.Compile(m)
	if err != nil {
		t.Fatal(err)
	}
	s, err := runtime.NewSession(p)
	if err != nil {
		t.Fatal(err)
	}
	x, err := value.FromSlice([]float64{1, 2, 1000}, 1, 3)
	if err != nil {
		t.Fatal(err)
	}
	out, err := s.Run(context.Background(), "f", map[string]value.Value{"x": x})
	if err != nil {
		t.Fatal(err)
	}
	if got := out["y"].(*value.Tensor).String(); got != "f64[1,3] [[1 2 1000]]" {
		t.Errorf("log(sum(exp x)) over no axes is %s, want x", got)
	}
}

// TestHalfWeights scales a product of weights in f16, and of f32 beside it: weights of 16 bits take no factor, which would round them again.
func TestHalfWeights(t *testing.T) {
	for _, dt := range []graph.DType{graph.F16, graph.BF16, graph.F32} {
		m := graph.NewModule("m")
		f := m.Func("f")
		w, err := value.FromSlice([]float32{0.1, 0.3, -0.7, 1.1}, 2, 2)
		if err != nil {
			t.Fatal(err)
		}
		y := ops.MatMul(f.Input("x", dt, "N", 2), ops.Cast(f.Const(w), dt))
		f.Return("y", ops.Mul(y, f.Scalar(dt, 0.01587)))
		var stats []compile.RowStats
		if _, err := compile.Compile(m, compile.Stats(&stats)); err != nil {
			t.Fatal(err)
		}
		scaled := 0
		for _, row := range stats {
			scaled += row.Rewrites["scale_matmul"]
		}
		if want := map[bool]int{true: 1}[dt == graph.F32]; scaled != want {
			t.Errorf("%v: %d weights were scaled, want %d", dt, scaled, want)
		}
	}
}
