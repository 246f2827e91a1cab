package runtime

import (
	"errors"

	"github.com/graphrun/graphrun/graph"
	"github.com/graphrun/graphrun/graph/dim"
	"github.com/graphrun/graphrun/graph/errfmt"
	"github.com/graphrun/graphrun/runtime/program"
)

// References returns the nodes of a function that no kernel computes when its symbols have the given sizes: their references do,
// right but slowly. Sizes that are missing are taken to be 2. A dynamic function has no kernels chosen in advance: those
// nodes are returned that no kernel could compute whatever the sizes.
func References(prog *program.Program, f *program.Func, sizes map[string]int64) ([]*graph.Node, error) {
	if prog == nil || f == nil {
		return nil, errors.New("want a program and a function of it, have nil")
	}
	in := make([]graph.TensorType, len(f.Inputs))
	for i, p := range f.Inputs {
		t, err := graph.SubstType(p.Type, sizesOf(p.Type, sizes))
		if err != nil {
			return nil, errfmt.Errorf("input %q: %w", p.Name, err)
		}
		in[i], _ = t.(graph.TensorType)
	}
	var nodes []*graph.Node
	if f.Dynamic {
		for i := range f.Instrs {
			if ins := &f.Instrs[i]; ins.Kernel == nil {
				nodes = append(nodes, ins.Node)
			}
		}
		return nodes, nil
	}
	b, err := bind(prog, f, in, nil)
	if err != nil {
		return nil, err
	}
	for i := range f.Instrs {
		ins, st := &f.Instrs[i], b.steps[i]
		if ins.Alias() {
			continue
		}
		if ins.Kernel != nil {
			if _, err := ins.Kernel.Prepare(st); err != nil {
				return nil, at(ins.Node, err)
			}
			if !st.ByReference() {
				continue
			}
		}
		nodes = append(nodes, ins.Node)
	}
	return nodes, nil
}

// sizesOf completes sizes by those of the symbols in t that it lacks.
func sizesOf(t graph.Type, sizes map[string]int64) map[string]graph.Dim {
	env := map[string]graph.Dim{}
	if tt, ok := t.(graph.TensorType); ok {
		for _, d := range tt.Shape {
			for _, s := range d.Symbols() {
				env[s] = dim.Const(2)
			}
		}
	}
	for s, n := range sizes {
		env[s] = dim.Const(n)
	}
	return env
}
