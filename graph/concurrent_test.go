package graph_test

import (
	"context"
	"os"
	"strings"
	"sync"
	"testing"

	"github.com/graphrun/graphrun/compile"
	"github.com/graphrun/graphrun/graph"
	"github.com/graphrun/graphrun/graph/artifact"
	"github.com/graphrun/graphrun/graph/value"
	"github.com/graphrun/graphrun/ops"
	"github.com/graphrun/graphrun/runtime"
)

// TestReadersOfOneModule verifies, saves, checks, compiles and interprets one module at the same time: none of these changes it, which the race detector
// holds them to.
func TestReadersOfOneModule(t *testing.T) {
	m := graph.NewModule("m")
	f := m.Func("f")
	x := f.Input("x", graph.F32, "N", 2)
	y := ops.CustomGrad(
		func(_ *graph.Func, x []graph.Value) []graph.Value {
			return []graph.Value{ops.Reshape(ops.Exp(x[0]), "2*N")}
		},
		func(_ *graph.Func, x, _, dy []graph.Value) []graph.Value {
			return []graph.Value{ops.Reshape(dy[0], "N", 2)}
		},
		x)
	f.Return("y", y[0])
	f.Return("dx", graph.Grad(ops.Sum(y[0]), x)[0])
	in, err := value.FromSlice([]float32{1, 2, 3, 4}, 2, 2)
	if err != nil {
		t.Fatal(err)
	}
	feeds := map[string]value.Value{"x": in}
	p, err := compile.Compile(m)
	if err != nil {
		t.Fatal(err)
	}
	s, err := runtime.NewSession(p)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	readers := []func() error{
		func() error { return graph.Verify(m) },
		func() error { return graph.Verify(p.Module) },
		func() error { return compile.Check(m, compile.Inputs{Func: "f", Feeds: feeds}) },
		func() error { _, err := compile.Expect(m, compile.Inputs{Func: "f", Feeds: feeds}); return err },
		func() error { _, err := compile.Compile(m); return err },
		func() error { _, err := compile.Optimize(p.Module); return err },
		func() error { _, err := s.Run(context.Background(), "f", feeds); return err },
		func() error { return save(dir, m) },
	}
	var wg sync.WaitGroup
	for _, read := range readers {
		for range 2 {
			wg.Go(func() {
				for range 5 {
					if err := read(); err != nil {
						t.Error(err)
					}
				}
			})
		}
	}
	wg.Wait()
}

// save writes the module to a directory of its own.
func save(dir string, m *graph.Module) error {
	own, err := os.MkdirTemp(dir, "")
	if err != nil {
		return err
	}
	return artifact.Save(own+"/m", m, nil)
}

// TestRegionOfItself emits nodes that carry the function that holds them, or one around it: a fault where it is declared, and no endless descent of
// whatever walks over regions.
func TestRegionOfItself(t *testing.T) {
	attrs := graph.Attrs{{Name: "results", Value: int64(1)}}
	fused := graph.LookupOp("fused")
	for name, build := range map[string]func(f *graph.Func, x graph.Value){
		"itself": func(f *graph.Func, x graph.Value) { f.Return("y", f.Emit(fused, []graph.Value{x}, attrs, f)[0]) },
		"nil":    func(f *graph.Func, x graph.Value) { f.Return("y", f.Emit(fused, []graph.Value{x}, attrs, nil)[0]) },
		"another function": func(f *graph.Func, x graph.Value) {
			g := f.Module().Func("g")
			g.Return("y", ops.Exp(g.Input("x", graph.F32, 2)))
			f.Return("y", f.Emit(fused, []graph.Value{x}, attrs, g)[0])
		},
		"each other": func(f *graph.Func, x graph.Value) {
			same := func(_ *graph.Func, in []graph.Value) []graph.Value { return in }
			a := f.Region("a", []graph.Type{x.Type()}, same)
			b := f.Region("b", []graph.Type{x.Type()}, same)
			a.Emit(fused, a.Params(), attrs, b)
			b.Emit(fused, b.Params(), attrs, a)
			f.Return("y", f.Emit(fused, []graph.Value{x}, attrs, a)[0])
		},
	} {
		m := graph.NewModule("m")
		f := m.Func("f")
		build(f, f.Input("x", graph.F32, 2))
		_, err := compile.Compile(m)
		if err == nil || !strings.Contains(err.Error(), "concurrent_test.go:") || !strings.Contains(err.Error(), "want region 0 made by Region of") {
			t.Errorf("%s: %v", name, err)
		}
		f.FLOPs()
		_ = m.String()
	}
}
