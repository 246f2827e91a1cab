package draw

import (
	"bytes"
	"fmt"
	"strings"
	"testing"

	"github.com/graphrun/graphrun/graph"
	"github.com/graphrun/graphrun/graph/dot"
	"github.com/graphrun/graphrun/ops"
)

// TestUpdatesAlone draws a function that has updates and no results.
func TestUpdatesAlone(t *testing.T) {
	m := graph.NewModule("m")
	w := m.Variable("w", graph.F32, []int{2}, func(f *graph.Func, _ graph.Value) graph.Value { return ops.Full(f, graph.F32, 1, 2) })
	v := m.Variable("v", graph.F32, []int{2}, func(f *graph.Func, _ graph.Value) graph.Value { return ops.Full(f, graph.F32, 1, 2) }, graph.NotTrainable())
	f := m.Func("step")
	f.Update(w, ops.Exp(w.Read(f)))
	f.Update(v, w.Read(f))
	if err := m.Err(); err != nil {
		t.Fatal(err)
	}
	for _, full := range []bool{false, true} {
		check(t, f, Options{Full: full})
		var b bytes.Buffer
		if err := dot.Write(&b, f, dot.Options{Full: full}); err != nil {
			t.Fatal(err)
		}
		for _, name := range []string{"update @w", "update @v"} {
			if !strings.Contains(b.String(), name) {
				t.Errorf("full=%v: %q is missing:\n%s", full, name, b.String())
			}
		}
	}
}

// TestLargePictures draws functions of many nodes, and wants one whose edges pass very many bands refused before it is laid out: were the work
// to grow by the square of the nodes, as it may in the orders of bands, it would take minutes.
func TestLargePictures(t *testing.T) {
	const nodes = 3000
	shapes := map[string]func(f *graph.Func, x graph.Value){
		"a chain": func(f *graph.Func, x graph.Value) {
			y := x
			for range nodes {
				y = ops.Exp(y)
			}
			f.Return("y", y)
		},
		"many results": func(f *graph.Func, x graph.Value) {
			for i := range nodes / 2 {
				f.Return(fmt.Sprint("y", i), ops.Exp(x))
			}
		},
		"long edges": func(f *graph.Func, x graph.Value) {
			all := []graph.Value{x}
			for i := range nodes {
				all = append(all, ops.Add(all[i], all[i/2]))
			}
			f.Return("y", all[nodes])
		},
	}
	for name, build := range shapes {
		m := graph.NewModule("m")
		f := m.Func("f")
		build(f, f.Input("x", graph.F32, "N"))
		if err := m.Err(); err != nil {
			t.Fatal(err)
		}
		var b bytes.Buffer
		err := Write(&b, SVG, f, Options{Full: true})
		if refused := err != nil && strings.Contains(err.Error(), "draw: @f: its 6001 edges pass"); refused != (name == "long edges") || err != nil && !refused {
			t.Errorf("%s: %v", name, err)
		}
		if err := dot.Write(&b, f, dot.Options{Full: true}); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}
