package compile

import (
	"fmt"
	"strings"
	"testing"

	"github.com/graphrun/graphrun/graph"
	"github.com/graphrun/graphrun/graph/value"
	"github.com/graphrun/graphrun/ops"
)

// TestOrderIsChecked moves rows of the table to places where they must not stand.
func TestOrderIsChecked(t *testing.T) {
	if err := checkOrder(Passes); err != nil {
		t.Fatal(err)
	}
	if err := checkOrder([]*Pass{simplify, autodiff}); err == nil || !strings.Contains(err.Error(), "simplify) must stand after autodiff") {
		t.Errorf("simplify before autodiff gives %v", err)
	}
	if err := checkOrder([]*Pass{{Name: "nameless"}}); err == nil {
		t.Error("a pass without Doc and Run is accepted")
	}
}

// TestBrokenPasses compiles with passes that break the module: each is named with the text.
func TestBrokenPasses(t *testing.T) {
	m := graph.NewModule("m")
	f := m.Func("f")
	f.Return("y", ops.Tanh(ops.Exp(f.Input("x", graph.F32, "N"))))
	for name, p := range map[string]*Pass{
		"order": {Name: "reverser", Doc: "d", Run: func(_ *Context, m *graph.Module) error {
			f := m.LookupFunc("f")
			n := f.Nodes()
			f.SetNodes([]*graph.Node{n[1], n[0]})
			return nil
		}},
		"panic": {Name: "panicker", Doc: "d", Run: func(*Context, *graph.Module) error { panic("oh") }},
		"check": {
			Name: "checker", Doc: "d", Run: func(*Context, *graph.Module) error { return nil },
			Check: func(*Context, *graph.Module) error { return fmt.Errorf("nothing is ever right") },
		},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := Optimize(m, func(c *Context) { c.passes = []*Pass{p} })
			if err == nil || !strings.HasPrefix(err.Error(), "BUG: after "+p.Name) || !strings.Contains(err.Error(), "func @f") {
				t.Errorf("the error is %v", err)
			}
		})
	}
}

// TestAgainstPrintedEquality merges nothing that only prints alike: these are faults that an engine with hashed or
// printed comparison makes.
func TestAgainstPrintedEquality(t *testing.T) {
	m := graph.NewModule("m")
	f := m.Func("f")
	x := f.Input("x", graph.F32, 100, 100)
	big := func(at int) graph.Value {
		e := make([]float32, 100*100)
		e[at] = 1
		return constant(t, f, e, 100, 100)
	}
	f.Return("a", ops.Add(x, big(5000)))
	f.Return("b", ops.Add(x, big(5001)))
	f.Return("c", ops.Softmax(x, 1))
	f.Return("d", ops.LogSoftmax(x, 1))
	f.Return("e", ops.Dropout(x, 0.1))
	f.Return("g", ops.Dropout(x, 0.9))
	f.Return("h", ops.Dropout(x, 0.9))
	o, err := Optimize(m)
	if err != nil {
		t.Fatal(err)
	}
	seen := map[graph.Value]string{}
	for _, r := range o.LookupFunc("f").Results() {
		if other := seen[r.Value]; other != "" {
			t.Errorf("results %s and %s have become one", other, r.Name)
		}
		seen[r.Value] = r.Name
	}
}

func constant(t *testing.T, f *graph.Func, data []float32, shape ...int) graph.Value {
	t.Helper()
	v, err := value.FromSlice(data, shape...)
	if err != nil {
		t.Fatal(err)
	}
	return f.Const(v)
}

// TestFoldIsBounded keeps nodes whose results are many more elements than their operands, and sums of sizes beyond int64.
func TestFoldIsBounded(t *testing.T) {
	m := graph.NewModule("m")
	f := m.Func("f")
	one := constant(t, f, []float32{1})
	for i, n := range []int{65, 1 << 40, 1 << 59} {
		big := ops.Expand(one, n)
		f.Return(fmt.Sprintf("expand%d", i), big)
		for k, part := range ops.Split(big, 0, n-1, 1) {
			f.Return(fmt.Sprintf("split%d_%d", i, k), part)
		}
	}
	f.Return("small", ops.Expand(one, 64))
	o, err := Optimize(m)
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range o.LookupFunc("f").Results() {
		if folded := r.Value.Is("constant"); folded != (r.Name == "small") {
			t.Errorf("%s is computed by %s", r.Name, r.Value.OpName())
		}
	}
}
