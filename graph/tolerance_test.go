package graph_test

import (
	"math"
	"strings"
	"testing"

	"github.com/graphrun/graphrun/graph"
	"github.com/graphrun/graphrun/graph/value"
	"github.com/graphrun/graphrun/ops"
)

func f32s(t *testing.T, xs ...float32) *value.Tensor {
	t.Helper()
	v, err := value.FromSlice(xs, len(xs))
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// TestCompareNode holds results against what ops declare: bits, units in the last place, and sums of magnitudes.
func TestCompareNode(t *testing.T) {
	m := graph.NewModule("m")
	f := m.Func("f")
	x := f.Input("x", graph.F32, 3)
	in := []value.Value{f32s(t, 100, 0.5, -100)}
	for _, c := range []struct {
		node  graph.Value
		by    float32 // what is added to the first element
		wrong string
	}{
		{ops.Neg(x), 0, ""},
		{ops.Neg(x), 1e-5, "1 of 3 elements differ; the worst, [0]"},
		{ops.Sin(x), 1e-7, ""},
		{ops.Sin(x), 1e-6, "ulp"},
		{ops.ReduceSum(x, nil, true), 1e-5, ""}, // the terms are large, though the sum is 0.5
		{ops.ReduceSum(x, nil, true), 1e-3, "of 1 elements differ; the worst, [0], is 0.50099"},
	} {
		n := c.node.Node()
		want, err := graph.EvalNode(n, in, nil)
		if err != nil {
			t.Fatal(err)
		}
		got := want[0].(*value.Tensor).Clone()
		xs, _ := value.Data[float32](got)
		xs[0] += c.by
		err = graph.CompareNode(n, in, []value.Value{got}, want, nil)
		if (err == nil) != (c.wrong == "") || err != nil && !strings.Contains(err.Error(), c.wrong) {
			t.Errorf("%s off by %g gives %v, want %q", n.Op().Name, c.by, err, c.wrong)
		}
	}
	n := ops.Sin(x).Node()
	want := []value.Value{f32s(t, 1, float32(math.NaN()), float32(math.Inf(1)))}
	for _, got := range []*value.Tensor{f32s(t, 1, 2, float32(math.Inf(1))), f32s(t, 1, float32(math.NaN()), 3e38), f32s(t, 1), nil} {
		if graph.CompareNode(n, in, []value.Value{got}, want, nil) == nil {
			t.Errorf("%v passes for %v", got, want[0])
		}
	}
}

// TestOracle looks at how much room results get: little where nothing magnifies roundings, more where something does, hardly any for
// what is counted, and any amount where a jump turns on the last bits.
func TestOracle(t *testing.T) {
	m := graph.NewModule("m")
	f := m.Func("f")
	x, y := f.Input("x", graph.F32, 3), f.Input("y", graph.F32, 3)
	s := ops.Add(x, y)
	f.Return("plain", ops.Mul(s, 0.3))
	f.Return("cancels", ops.Sub(s, ops.Cast(ops.Cast(s, graph.I64), graph.F32)))
	f.Return("jumps", ops.Floor(ops.Mul(ops.Sin(s), 1/math.Sin(2.25))))
	f.Return("counts", ops.ReduceSum(ops.Cast(ops.Greater(x, y), graph.F32), nil, false))
	f.Return("order", ops.Greater(x, y))
	in := []value.Value{f32s(t, 1000, 2, 0.5), f32s(t, 0.37, 0.25, 2)}
	o, err := (&graph.Interpreter{}).Oracle(f, in)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		result, element int
		by              float64
		ok              bool
	}{
		{0, 0, 1e-4, true},
		{0, 0, 1e-1, false},
		{0, 1, 1e-6, true},
		{0, 1, 1e-4, false},
		{1, 0, 1e-4, true}, // 0.37, of a sum with an ulp of 6e-5
		{1, 0, 1e-1, false},
		{2, 1, -1, true}, // sin(2.25)/sin(2.25) is 1, or the number below
		{2, 2, -1, false},
		{2, 0, -1, false},
		{3, 0, 1e-5, false},
		{3, 0, 0, true},
	} {
		e := o.Want[c.result].(*value.Tensor).Exact()
		e.F[c.element] += c.by
		if err := o.Compare(c.result, e.Tensor()); (err == nil) != c.ok {
			t.Errorf("result %d, element %d off by %g gives %v", c.result, c.element, c.by, err)
		}
	}
	order := o.Want[4].(*value.Tensor).Exact()
	order.B[1] = !order.B[1]
	if err := o.Compare(4, order.Tensor()); err == nil || !strings.Contains(err.Error(), "element [1] is false, want true") {
		t.Errorf("a wrong comparison gives %v", err)
	}
	if o.Compare(0, o.Want[4]) == nil || o.Compare(0, nil) == nil {
		t.Error("another type passes")
	}
}
