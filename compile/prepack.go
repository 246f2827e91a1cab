package compile

import (
	"github.com/graphrun/graphrun/graph"
	"github.com/graphrun/graphrun/runtime/kernels"
	"github.com/graphrun/graphrun/runtime/program"
)

var prepack = &Pass{
	Name: "prepack",
	Doc: "Gives constant operands, such as weights that have been made constants, the layouts in which their kernels read them, one copy for all " +
		"sessions. It stands behind emit, since a layout is a matter of the machine: the module keeps the constants as they are. A layout that depends " +
		"on sizes is made when a session first knows them.",
	After: []string{"emit"},
	Emit: func(c *Context, m *graph.Module) error {
		for _, f := range m.Funcs() {
			p := c.program.Funcs[f.Name()]
			for i := range p.Instrs {
				c.packConstants(p, &p.Instrs[i])
			}
		}
		return nil
	},
}

func (c *Context) packConstants(p *program.Func, ins *program.Instr) {
	if ins.Kernel == nil || ins.Kernel.Pack == nil {
		return
	}
	var spec *kernels.Spec
	for k, slot := range ins.In {
		s := &p.Slots[slot]
		if s.Place != program.Constant {
			continue
		}
		if spec == nil {
			spec = declaredSpec(p, ins)
		}
		if l := ins.Kernel.Pack(spec, k); l != nil {
			c.program.Packs.Of(s.Const, l).Refresh(s.Const, 0, nil)
			c.Count(ins.Node.Op().Name)
		}
	}
}

// declaredSpec is what is known of an instruction before its sizes are.
func declaredSpec(p *program.Func, ins *program.Instr) *kernels.Spec {
	types := func(slots []int) []graph.TensorType {
		list := make([]graph.TensorType, len(slots))
		for i, slot := range slots {
			list[i], _ = p.Slots[slot].Type.(graph.TensorType)
		}
		return list
	}
	n := ins.Node
	return &kernels.Spec{Attrs: n.Attrs(), Node: n, Regions: n.Regions(), InTypes: types(ins.In), OutTypes: types(ins.Out)}
}
