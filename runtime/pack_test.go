package runtime_test

import (
	"context"
	"sync"
	"testing"

	"github.com/graphrun/graphrun/graph"
	"github.com/graphrun/graphrun/graph/value"
	"github.com/graphrun/graphrun/ops"
	"github.com/graphrun/graphrun/runtime"
)

// layers is a module whose variables kernels read packed in one function, and another one updates.
func layers() *graph.Module {
	m := graph.NewModule("layers")
	full := func(name string, shape ...int) *graph.Variable {
		return m.Variable(name, graph.F32, shape, func(f *graph.Func, _ graph.Value) graph.Value {
			dims := make([]any, len(shape))
			for i, d := range shape {
				dims[i] = d
			}
			return ops.Full(f, graph.F32, 0.25, dims...)
		})
	}
	w, k := full("w", 128, 64), full("k", 16, 8, 3, 3)
	predict := func(f *graph.Func) graph.Value {
		y := ops.Conv(f.Input("x", graph.F32, "N", 8, 6, 4), k.Read(f), ops.ConvParams{Pads: []int{1, 1, 1, 1}})
		return ops.MatMul(ops.Reshape(y, -1, 128), w.Read(f))
	}
	f := m.Func("predict")
	f.Return("y", predict(f))
	step := m.Func("step")
	step.Return("y", predict(step))
	step.Update(w, ops.Mul(w.Read(step), 2.0))
	step.Update(k, ops.Add(k.Read(step), 1.0))
	return m
}

// TestPackedVariables changes variables in every way between calls that read them packed.
func TestPackedVariables(t *testing.T) {
	p := compiled(t, layers())
	s, ctx := session(t, p), context.Background()
	x := ramp(t, 4, 8, 6, 4)
	feeds := map[string]value.Value{"x": x}
	same := func(what string) {
		t.Helper()
		fresh := session(t, p, runtime.Weights(s.Variables()))
		for range 2 {
			got, err := s.Run(ctx, "predict", feeds)
			if err != nil {
				t.Fatal(err)
			}
			want, err := fresh.Run(ctx, "step", feeds) // which packs nothing
			if err != nil {
				t.Fatal(err)
			}
			if !value.Equal(got["y"], want["y"]) {
				t.Fatalf("%s: a call reads other weights than there are", what)
			}
			fresh = session(t, p, runtime.Weights(s.Variables()))
		}
	}
	step := func() {
		t.Helper()
		if _, err := s.Run(ctx, "step", feeds); err != nil {
			t.Fatal(err)
		}
	}
	same("at first")
	step()
	same("after an update over a snapshot")
	step()
	step()
	same("after updates in place")
	if err := s.SetVariable("w", ramp(t, 128, 64)); err != nil {
		t.Fatal(err)
	}
	same("after SetVariable")
	feeds["x"] = ramp(t, 1, 8, 6, 4)
	same("for another batch")
	step()
	feeds["x"] = x
	same("for a batch seen before the update")
}

// TestPackedVariablesAtOnce lets predictions and updates of one session run at the same time: each prediction reads the weights
// before or after an update.
func TestPackedVariablesAtOnce(t *testing.T) {
	p := compiled(t, layers())
	s, ctx := session(t, p), context.Background()
	feeds := map[string]value.Value{"x": ramp(t, 2, 8, 6, 4)}
	other := session(t, p)
	var want []value.Value
	for range 5 {
		y, err := other.Run(ctx, "step", feeds)
		if err != nil {
			t.Fatal(err)
		}
		want = append(want, y["y"])
	}
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for range 30 {
				y, err := s.Run(ctx, "predict", feeds)
				if err != nil {
					t.Error(err)
					return
				}
				found := false
				for _, w := range want {
					found = found || value.Equal(y["y"], w)
				}
				if !found {
					t.Error("a prediction reads weights that there never were")
					return
				}
			}
		})
	}
	for range 4 {
		if _, err := s.Run(ctx, "step", feeds); err != nil {
			t.Fatal(err)
		}
	}
	wg.Wait()
}
