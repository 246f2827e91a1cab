package compile_test

import (
	"context"
	"testing"

	"github.com/graphrun/graphrun/compile"
	"github.com/graphrun/graphrun/graph"
	"github.com/graphrun/graphrun/graph/value"
	"github.com/graphrun/graphrun/ops"
	"github.com/graphrun/graphrun/runtime"
)

// TestPrepack multiplies by a constant and by an input of the same value: packing changes no bit.
func TestPrepack(t *testing.T) {
	const k, n = 90, 70
	weights := make([]float32, k*n)
	for i := range weights {
		weights[i] = float32((i*7919)%1000)/500 - 1
	}
	for _, transposed := range []bool{false, true} {
		shape := []int{k, n}
		if transposed {
			shape = []int{n, k}
		}
		w, err := value.FromSlice(weights, shape...)
		if err != nil {
			t.Fatal(err)
		}
		m := graph.NewModule("m")
		layer := func(f *graph.Func, w graph.Value) {
			if transposed {
				w = ops.T(w)
			}
			f.Return("y", ops.ReLU(ops.Add(ops.MatMul(f.Input("x", graph.F32, "N", k), w), 0.25)))
			f.Return("z", ops.MatMul(f.Input("x3", graph.F32, 2, "N", k), w))
		}
		constant, input := m.Func("constant"), m.Func("input")
		layer(constant, constant.Const(w))
		layer(input, input.Input("w", graph.F32, shape[0], shape[1]))
		prog, err := compile.Compile(m)
		if err != nil {
			t.Fatal(err)
		}
		if n := prog.Packs.Len(); n != 1 {
			t.Errorf("the one matrix of two products is packed %d times", n)
		}
		sess, err := runtime.NewSession(prog)
		if err != nil {
			t.Fatal(err)
		}
		for _, batch := range []int{1, 3, 64} {
			x, _ := value.FromSlice(weights[:batch*k], batch, k)
			x3, _ := value.New(graph.F32, 2, batch, k)
			copy(x3.Bytes(), x.Bytes())
			copy(x3.Bytes()[len(x.Bytes()):], x.Bytes())
			feeds := map[string]value.Value{"x": x, "x3": x3}
			a, err := sess.Run(context.Background(), "constant", feeds)
			if err != nil {
				t.Fatal(err)
			}
			feeds["w"] = w
			b, err := sess.Run(context.Background(), "input", feeds)
			if err != nil {
				t.Fatal(err)
			}
			for name := range a {
				if !value.Equal(a[name], b[name]) {
					t.Errorf("transposed %v, batch %d: %s differs from the product that is not packed", transposed, batch, name)
				}
			}
		}
	}
}
