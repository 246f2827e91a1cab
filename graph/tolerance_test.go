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
		err = graph.CompareNode(n, in, []value.Value{got}, nil)
		if (err == nil) != (c.wrong == "") || err != nil && !strings.Contains(err.Error(), c.wrong) {
			t.Errorf("%s off by %g gives %v, want %q", n.Op().Name, c.by, err, c.wrong)
		}
	}
	n := ops.Log(x).Node()
	in = []value.Value{f32s(t, math.E, -1, 0)}
	if err := graph.CompareNode(n, in, []value.Value{f32s(t, 1, nan32, -inf32)}, nil); err != nil {
		t.Error(err)
	}
	for _, got := range []*value.Tensor{f32s(t, 1, 2, -inf32), f32s(t, 1, nan32, -math.MaxFloat32), f32s(t, 1, nan32, inf32), f32s(t, nan32, nan32, -inf32), f32s(t, 1), nil} {
		if graph.CompareNode(n, in, []value.Value{got}, nil) == nil {
			t.Errorf("%v passes", got)
		}
	}
	if err := graph.CompareNode(n, in, []value.Value{nil}, nil); err != nil {
		t.Errorf("a result that nobody needs: %v", err)
	}
}

// TestCompareNodeOutOfRange holds sums and products of which parts overflow or underflow, in one order and not in another.
func TestCompareNodeOutOfRange(t *testing.T) {
	m := graph.NewModule("m")
	x := m.Func("f").Input("x", graph.F32, 3)
	w := m.LookupFunc("f").Input("w", graph.F32, 1, 1, 2)
	image := m.LookupFunc("f").Input("image", graph.F32, 1, 1, 3)
	sum, product := ops.ReduceSum(x, nil, true).Node(), ops.ReduceProd(x, nil, true).Node()
	conv := ops.Conv(image, w, ops.ConvParams{Pads: []int{1}}).Node()
	shaped := func(v *value.Tensor, shape ...int) *value.Tensor {
		e := v.Exact()
		e.Shape = shape
		return e.Tensor()
	}
	for _, c := range []struct {
		n       *graph.Node
		in      []value.Value
		right   [][]float32
		wrong   [][]float32
		reshape []int
	}{
		{sum, []value.Value{f32s(t, 3e38, 3e38, -3e38)}, [][]float32{{3e38}, {inf32}, {nan32}}, [][]float32{{2.9e38}}, nil},
		{sum, []value.Value{f32s(t, 1e30, 1e30, -1e30)}, [][]float32{{1e30}}, [][]float32{{inf32}, {nan32}}, nil},
		{sum, []value.Value{f32s(t, inf32, 1, 1)}, [][]float32{{inf32}}, [][]float32{{nan32}, {-inf32}, {math.MaxFloat32}}, nil},
		{sum, []value.Value{f32s(t, inf32, 3e38, -3e38)}, [][]float32{{inf32}, {nan32}}, [][]float32{{1}}, nil},
		{product, []value.Value{f32s(t, 1e30, 1e30, 1e-30)}, [][]float32{{1e30}, {inf32}}, [][]float32{{2e30}}, nil},
		{product, []value.Value{f32s(t, 1e-30, 1e-30, 1e30)}, [][]float32{{1e-30}, {0}}, [][]float32{{-1e-30}, {1e-29}, {nan32}}, nil},
		{product, []value.Value{f32s(t, 1e-10, 1e10, 3)}, [][]float32{{3}}, [][]float32{{0}, {inf32}, {3.001}}, nil},
		// padding is zeros, which a kernel may or may not multiply with a weight that is infinite
		{conv, []value.Value{shaped(f32s(t, 1, 2, 3), 1, 1, 3), shaped(f32s(t, inf32, 1), 1, 1, 2)}, [][]float32{{1, inf32, inf32, inf32}, {nan32, inf32, inf32, inf32}}, [][]float32{{1, 5, inf32, inf32}}, []int{1, 1, 4}},
		{conv, []value.Value{shaped(f32s(t, 1, 2, 3), 1, 1, 3), shaped(f32s(t, 2, 1), 1, 1, 2)}, [][]float32{{1, 4, 7, 6}}, [][]float32{{nan32, 4, 7, 6}}, []int{1, 1, 4}},
	} {
		compare := func(ys []float32) error {
			y := f32s(t, ys...)
			if c.reshape != nil {
				y = shaped(y, c.reshape...)
			}
			return graph.CompareNode(c.n, c.in, []value.Value{y}, nil)
		}
		for _, ys := range c.right {
			if err := compare(ys); err != nil {
				t.Errorf("%s of %v is %v: %v", c.n.Op().Name, c.in, ys, err)
			}
		}
		for _, ys := range c.wrong {
			if compare(ys) == nil {
				t.Errorf("%s of %v may be %v", c.n.Op().Name, c.in, ys)
			}
		}
	}
}

// TestCompareNodeRoundings wants the nearest number of a narrow dtype, be it subnormal, and nothing beside it.
func TestCompareNodeRoundings(t *testing.T) {
	for _, d := range []graph.DType{graph.F16, graph.BF16, value.F8E4M3FN, value.F8E5M2, value.F4E2M1} {
		x := graph.NewModule("m").Func("f").Input("x", d, 4)
		n := ops.Exp(x).Node()
		in := value.NewExact(d, []int{4})
		copy(in.F, []float64{0.5, -1, 1.5, -4})
		operands := []value.Value{in.Tensor()}
		want, err := graph.EvalNode(n, operands, nil)
		if err != nil {
			t.Fatal(err)
		}
		if err := graph.CompareNode(n, operands, want, nil); err != nil {
			t.Error(err)
		}
		for i := range 4 {
			for _, by := range []float64{-1, 1} {
				e := want[0].(*value.Tensor).Exact()
				code := value.EncodeFloat(d, e.F[i]) + uint64(int64(by))
				if e.F[i] == 0 && by < 0 {
					continue
				}
				e.F[i] = value.DecodeFloat(d, code)
				if graph.CompareNode(n, operands, []value.Value{e.Tensor()}, nil) == nil {
					t.Errorf("%s: the number beside e^%g passes", d, in.F[i])
				}
			}
		}
	}
}

var inf32, nan32 = float32(math.Inf(1)), float32(math.NaN())

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
