package compile

import (
	"strconv"

	"github.com/graphrun/graphrun/graph"
	"github.com/graphrun/graphrun/runtime/program"
)

// emit flattens an optimized module.
func emit(m *graph.Module) (*program.Program, error) {
	p := &program.Program{Module: m, Funcs: map[string]*program.Func{}}
	for _, v := range m.Variables() {
		p.Variables = append(p.Variables, program.Variable{
			Name: v.Name(), Type: v.Type(), Trainable: v.Trainable(), Init: emitFunc(v.Init()),
		})
	}
	for _, f := range m.Funcs() {
		p.Funcs[f.Name()] = emitFunc(f)
	}
	return p, nil
}

func emitFunc(f *graph.Func) *program.Func {
	slots := map[graph.Value]int{}
	slot := func(v graph.Value) int {
		s, ok := slots[v]
		if !ok {
			s = len(slots)
			slots[v] = s
		}
		return s
	}
	p := &program.Func{Name: f.Name()}
	for i, v := range f.Params() {
		name := v.Node().ResultName(0)
		if name == "" {
			name = strconv.Itoa(i)
		}
		p.Inputs = append(p.Inputs, program.Port{Name: name, Type: v.Type(), Slot: slot(v)})
	}
	for _, n := range f.Nodes() {
		in := program.Instr{Node: n}
		for _, v := range n.Operands() {
			in.In = append(in.In, slot(v))
		}
		for _, v := range n.Results() {
			in.Out = append(in.Out, slot(v))
		}
		p.Instrs = append(p.Instrs, in)
	}
	for _, r := range f.Results() {
		p.Outputs = append(p.Outputs, program.Port{Name: r.Name, Type: r.Value.Type(), Slot: slot(r.Value)})
	}
	for _, u := range f.Updates() {
		p.Updates = append(p.Updates, program.Update{Var: u.Var.Name(), Slot: slot(u.Value)})
	}
	p.Slots = len(slots)
	markFree(p)
	return p
}

// markFree notes after each instruction the slots that are not needed any more.
func markFree(p *program.Func) {
	needed := make([]bool, p.Slots)
	for _, o := range p.Outputs {
		needed[o.Slot] = true
	}
	for _, u := range p.Updates {
		needed[u.Slot] = true
	}
	for i := len(p.Instrs) - 1; i >= 0; i-- {
		in := &p.Instrs[i]
		for _, list := range [2][]int{in.Out, in.In} {
			for _, s := range list {
				if !needed[s] {
					needed[s] = true
					in.Free = append(in.Free, s)
				}
			}
		}
	}
}
