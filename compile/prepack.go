package compile

import (
	"github.com/graphrun/graphrun/graph"
	"github.com/graphrun/graphrun/runtime/kernels"
	"github.com/graphrun/graphrun/runtime/program"
)

var prepack = &Pass{
	Name: "prepack",
	Doc: "Gives constant operands, such as weights that have been made constants, the layout in which their kernels read them, once for all " +
		"sessions. It stands behind emit, since a layout is a matter of the machine: the module keeps the constants as they are.",
	After: []string{"emit"},
	Emit: func(c *Context, m *graph.Module) error {
		for _, f := range m.Funcs() {
			p := c.program.Funcs[f.Name()]
			for i := range p.Instrs {
				packConstants(c, p, &p.Instrs[i])
			}
		}
		return nil
	},
}

func packConstants(c *Context, p *program.Func, ins *program.Instr) {
	if ins.Kernel == nil || ins.Kernel.Pack == nil {
		return
	}
	for k, slot := range ins.In {
		if p.Slots[slot].Place != program.Constant {
			continue
		}
		if packed := kernels.Pack(ins.Kernel, ins.Node, k, p.Slots[slot].Const); packed != nil {
			if ins.Packed == nil {
				ins.Packed = make([]any, len(ins.In))
			}
			ins.Packed[k] = packed
			c.Count(ins.Node.Op().Name)
		}
	}
}
