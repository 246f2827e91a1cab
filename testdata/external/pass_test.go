package main

import (
	"context"
	"math"
	"slices"
	"testing"

	"github.com/graphrun/graphrun/compile"
	"github.com/graphrun/graphrun/graph"
	"github.com/graphrun/graphrun/graph/value"
	"github.com/graphrun/graphrun/ops"
	"github.com/graphrun/graphrun/runtime"
)

// TestReciprocals compiles a model with the pass and without: one division becomes a product, and every bit stays.
func TestReciprocals(t *testing.T) {
	m := graph.NewModule("m")
	f := m.Func("f")
	x := f.Input("x", graph.F32, "N")
	f.Return("eighth", ops.Div(x, 8.0))
	f.Return("third", ops.Div(x, 3.0))
	f.Return("tiny", ops.Div(x, 0x1p-140)) // its reciprocal is no f32
	in, err := value.FromSlice([]float32{3, -0.1, 1e-38, 1e38, float32(math.Inf(-1)), float32(math.Copysign(0, -1))}, 6)
	if err != nil {
		t.Fatal(err)
	}
	run := func(opts ...compile.Option) (rewrites int, results map[string]value.Value) {
		t.Helper()
		var stats []compile.RowStats
		prog, err := compile.Compile(m, append(opts, compile.Stats(&stats))...)
		if err != nil {
			t.Fatal(err)
		}
		s, err := runtime.NewSession(prog)
		if err != nil {
			t.Fatal(err)
		}
		if results, err = s.Run(context.Background(), "f", map[string]value.Value{"x": in}); err != nil {
			t.Fatal(err)
		}
		for _, row := range stats {
			rewrites += row.Rewrites["divide_by_power"]
		}
		return rewrites, results
	}
	_, want := run()
	for made, opts := range [][]compile.Option{{compile.Insert(reciprocals), compile.PassLimit(0)}, {compile.Insert(reciprocals)}} {
		n, have := run(opts...)
		if n != made {
			t.Errorf("want %d rewrites, have %d", made, n)
		}
		for name, v := range have {
			if !slices.Equal(v.(*value.Tensor).Bytes(), want[name].(*value.Tensor).Bytes()) {
				t.Errorf("%s is %v, without the pass %v", name, v, want[name])
			}
		}
	}
	if err := compile.Check(m, compile.Inputs{}, compile.Insert(reciprocals)); err != nil {
		t.Error(err)
	}
}
