package ops_test

import (
	"fmt"
	"testing"

	"github.com/graphrun/graphrun/graph"
	"github.com/graphrun/graphrun/ops"
)

// TestDemands puts a symbol in the place of each size of every op's samples, in all operands and attributes or in one of them: what the type
// rule takes then and refuses at a size, the function's demands must refuse at that size too, or a rewrite that removes the node makes the
// function take it.
func TestDemands(t *testing.T) {
	asked, refused := 0, 0
	for _, op := range graph.Ops() {
		samples, err := ops.SamplesOf(op)
		if err != nil {
			t.Fatal(err)
		}
		for _, s := range samples {
			if s.Build != nil {
				continue
			}
			for size := range int64(8) {
				for only := -1; only < len(s.In)+len(s.Attrs); only++ {
					types, attrs, found := withSymbol(s, size, only)
					if !found {
						continue
					}
					m := graph.NewModule("m")
					f := m.Func("f")
					f.Input("s", graph.F32, "S")
					var in []graph.Value
					for i, typ := range types {
						in = append(in, f.InputOf(fmt.Sprint("x", i), typ))
					}
					f.Emit(op, in, attrs)
					if m.Err() != nil || m.KeepDemands() != nil {
						continue // refused whatever the size is
					}
					for n := 1; n <= 12; n++ {
						env := map[string]graph.Dim{"S": graph.Ints(n)[0]}
						err := inferWith(op, types, attrs, env)
						asked++
						if err == nil {
							continue
						}
						refused++
						if f.CheckSizes(env) == nil {
							t.Errorf("%s %v with S in the place of %d (%d): the type rule refuses S=%d and nothing keeps that in mind: %v", op.Name, types, size, only, n, err)
							break
						}
					}
				}
			}
		}
	}
	t.Logf("%d of %d are refused", refused, asked)
	if refused < 500 {
		t.Errorf("%d of %d are refused: too few to show anything", refused, asked)
	}
}

// withSymbol returns the types and the attributes of a sample with S where a size stands: everywhere, or in one operand or attribute only.
func withSymbol(s graph.Sample, size int64, only int) (types []graph.Type, attrs graph.Attrs, found bool) {
	at := -1
	put := func(shape []graph.Dim) []graph.Dim {
		out := make([]graph.Dim, len(shape))
		for i, d := range shape {
			out[i] = d
			if n, ok := d.Int(); ok && n == size && (only < 0 || only == at) {
				sym, _ := graph.Shape("S")
				out[i], found = sym[0], true
			}
		}
		return out
	}
	for _, feed := range s.In {
		at++
		types = append(types, graph.TensorType{DType: feed.Type.DType, Shape: put(feed.Type.Shape)})
	}
	for _, a := range s.Attrs {
		at++
		if dims, ok := a.Value.([]graph.Dim); ok {
			a.Value = put(dims)
		}
		attrs = append(attrs, a)
	}
	return types, attrs, found
}

// inferWith asks the type rule with sizes known.
func inferWith(op *graph.Op, types []graph.Type, attrs graph.Attrs, env map[string]graph.Dim) error {
	m := graph.NewModule("m")
	f := m.Func("f")
	var in []graph.Value
	for i, t := range types {
		bound, err := graph.SubstType(t, env)
		if err != nil {
			return err
		}
		in = append(in, f.InputOf(fmt.Sprint("x", i), bound))
	}
	bound, err := attrs.Bind(env)
	if err != nil {
		return err
	}
	f.Emit(op, in, bound)
	return m.Err()
}
