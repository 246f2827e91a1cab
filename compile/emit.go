package compile

import (
	"slices"
	"strconv"

	"github.com/graphrun/graphrun/graph"
	"github.com/graphrun/graphrun/runtime/kernels"
	"github.com/graphrun/graphrun/runtime/program"
)

var emit = &Pass{
	Name: "emit",
	Doc: "Flattens every function into instructions over numbered slots, and says which slots share storage: views of the same " +
		"elements, results that may take the place of an operand, next values of variables that are written over the present ones.",
	After: []string{"select"},
	Emit: func(c *Context, m *graph.Module) error {
		p := &program.Program{Module: m, Funcs: map[string]*program.Func{}, Packs: new(kernels.Packs)}
		vars := make(map[string]int, len(m.Variables()))
		for i, v := range m.Variables() {
			vars[v.Name()] = i
			p.Variables = append(p.Variables, program.Variable{
				Name: v.Name(), Type: v.Type(), Trainable: v.Trainable(), Init: c.emitFunc(v.Init(), nil), First: c.weights[v.Name()],
			})
		}
		for _, f := range m.Funcs() {
			p.Funcs[f.Name()] = c.emitFunc(f, vars)
		}
		c.program = p
		return nil
	},
}

// emitter flattens one function.
type emitter struct {
	*Context
	f    *graph.Func
	vars map[string]int // indices of variables
	p    *program.Func
	// slots holds by node the slot of its first result, which those of the others follow; params the same of parameters.
	slots, params []int
	last          []int // by slot: the last instruction that reads it or what shares its storage
}

func (c *Context) emitFunc(f *graph.Func, vars map[string]int) *program.Func {
	e := &emitter{
		Context: c, f: f, vars: vars, p: &program.Func{Name: f.Name()},
		slots: make([]int, len(f.Nodes())), params: make([]int, len(f.Params())),
	}
	e.p.Slots = make([]program.Slot, 0, len(f.Params())+len(f.Nodes()))
	e.p.Instrs = make([]program.Instr, 0, len(f.Nodes()))
	for i, v := range f.Params() {
		name := v.Node().ResultName(0)
		if name == "" {
			name = strconv.Itoa(i)
		}
		e.p.Inputs = append(e.p.Inputs, program.Port{Name: name, Type: v.Type(), Slot: e.slot(v, program.Slot{Place: program.Input, Index: i})})
	}
	compute, commit := c.splitCommit(newIndexed(f))
	for _, n := range compute {
		e.node(n)
	}
	e.p.Commit = len(e.p.Instrs)
	for _, n := range commit {
		e.node(n)
	}
	for _, r := range f.Results() {
		e.p.Outputs = append(e.p.Outputs, program.Port{Name: r.Name, Type: r.Value.Type(), Slot: e.of(r.Value)})
	}
	e.p.Updates = make([]program.Update, 0, len(f.Updates()))
	updated := make(map[int]bool, len(f.Updates()))
	for _, u := range f.Updates() {
		index, slot := vars[u.Var.Name()], e.of(u.Value)
		if s := &e.p.Slots[slot]; s.Place == program.Read && s.Index == index {
			continue // its next value is its present one
		}
		updated[index] = true
		e.p.Updates = append(e.p.Updates, program.Update{Var: index, Slot: slot})
	}
	next := nextOf(f)
	for _, n := range commit {
		for i := range n.NumResults() {
			if name := next[n.Result(i)]; name != "" {
				s := &e.p.Slots[e.of(n.Result(i))]
				s.Place, s.Index = program.Next, vars[name]
			}
		}
	}
	e.share()
	e.deliver()
	for _, u := range e.p.Updates {
		root := &e.p.Slots[e.p.Root(u.Slot)]
		if root.Place == program.Read && updated[root.Index] && !slices.Contains(e.p.Keep, root.Index) {
			e.p.Keep = append(e.p.Keep, root.Index)
		}
	}
	markFree(e.p)
	return e.p
}

// slot gives a value a slot.
func (e *emitter) slot(v graph.Value, s program.Slot) int {
	s.Type = v.Type()
	if _, tensor := s.Type.(graph.TensorType); !tensor || graph.HasUnknown(s.Type) {
		e.p.Dynamic = true
	} else if v.DType() == graph.String {
		e.p.Dynamic = true
	}
	if v.Index() == 0 {
		if i := v.Node().Index(); i >= 0 {
			e.slots[i] = len(e.p.Slots)
		} else {
			e.params[-1-i] = len(e.p.Slots)
		}
	}
	e.p.Slots = append(e.p.Slots, s)
	return len(e.p.Slots) - 1
}

// of returns the slot of a value. Inlined, it takes 0.7 kB of a service.
//
//go:noinline
func (e *emitter) of(v graph.Value) int {
	if i := v.Node().Index(); i >= 0 {
		return e.slots[i] + v.Index()
	}
	return e.params[-1-v.Node().Index()]
}

func (e *emitter) node(n *graph.Node) {
	switch n.Op().Name {
	case "constant":
		e.slot(n.Result(0), program.Slot{Place: program.Constant, Const: n.Attrs().Tensor("value")})
		return
	case "read":
		e.slot(n.Result(0), program.Slot{Place: program.Read, Index: e.vars[string(n.Attrs().Symbol("var"))]})
		return
	}
	slots := make([]int, len(n.Operands())+n.NumResults())
	ins := program.Instr{Node: n, In: slots[:len(n.Operands()):len(n.Operands())], Out: slots[len(n.Operands()):]}
	for i, v := range n.Operands() {
		ins.In[i] = e.of(v)
	}
	for i := range n.NumResults() {
		ins.Out[i] = e.slot(n.Result(i), program.Slot{Place: program.Arena})
	}
	if ins.Kernel = e.kernels[n]; ins.Alias() {
		out := &e.p.Slots[ins.Out[0]]
		out.Place, out.Index = program.View, ins.In[0]
	}
	e.p.Instrs = append(e.p.Instrs, ins)
}

// share lets results take the place of operands that die with the instruction.
func (e *emitter) share() {
	p := e.p
	e.last = make([]int, len(p.Slots))
	for i := range e.last {
		e.last[i] = -1
	}
	touch := func(slot, at int) {
		root := p.Root(slot)
		e.last[root] = max(e.last[root], at)
	}
	for i := range p.Instrs {
		for _, s := range p.Instrs[i].In {
			touch(s, i)
		}
	}
	for _, o := range p.Outputs {
		touch(o.Slot, len(p.Instrs))
	}
	for _, u := range p.Updates {
		touch(u.Slot, len(p.Instrs))
	}
	for i := range p.Instrs {
		ins := &p.Instrs[i]
		if ins.Alias() {
			continue
		}
		for k, out := range ins.Out {
			if e.last[out] < 0 && p.Slots[out].Place == program.Arena && isOptional(ins.Kernel, k) {
				p.Slots[out].Place = program.Omitted
			}
		}
		taken := 0 // operands whose place a result has taken, as bits
		for k, out := range ins.Out {
			s := &p.Slots[out]
			if s.Place != program.Arena {
				continue
			}
			for j, in := range ins.In {
				root := p.Root(in)
				if j >= 64 || taken&(1<<j) != 0 || p.Slots[root].Place != program.Arena || e.last[root] != i || e.twice(ins, j) ||
					!mayReuse(ins.Kernel, ins.Node, k, j) || !sameSize(p.Slots[root].Type, s.Type) {
					continue
				}
				taken |= 1 << j
				s.Place, s.Index = program.Reuse, in
				e.last[root] = max(i, e.last[out])
				break
			}
		}
	}
}

// deliver lets results be computed in the tensors that the caller is given, where that is the storage of nothing else that is needed once
// the caller has seen them.
func (e *emitter) deliver() {
	p := e.p
	if p.Dynamic {
		return
	}
	late := make([]bool, len(p.Slots)) // storage that is needed then
	for i := p.Commit; i < len(p.Instrs); i++ {
		for _, s := range p.Instrs[i].In {
			late[p.Root(s)] = true
		}
	}
	for _, u := range p.Updates {
		late[p.Root(u.Slot)] = true
	}
	for i, o := range p.Outputs {
		root := p.Root(o.Slot)
		if s := &p.Slots[root]; s.Place == program.Arena && !late[root] {
			s.Place, s.Index = program.Output, i
		}
	}
}

// twice reports whether the storage of operand j is that of another operand as well.
func (e *emitter) twice(ins *program.Instr, j int) bool {
	root := e.p.Root(ins.In[j])
	for k, in := range ins.In {
		if k != j && e.p.Root(in) == root {
			return true
		}
	}
	return false
}

func sameSize(a, b graph.Type) bool {
	x, y := a.(graph.TensorType), b.(graph.TensorType)
	return x.DType.Bits() == y.DType.Bits() && x.NumElements().Equal(y.NumElements())
}

// nextOf maps the values that are next values of variables to the variables' names; a value that is so twice maps to "".
func nextOf(f *graph.Func) map[graph.Value]string {
	next := make(map[graph.Value]string, len(f.Updates()))
	for _, u := range f.Updates() {
		if _, twice := next[u.Value]; twice {
			next[u.Value] = ""
			continue
		}
		next[u.Value] = u.Var.Name()
	}
	return next
}

// splitCommit divides the nodes of a function into those that compute and those that commit: element-wise nodes
// all of whose results are next values of variables and nothing else. These can write each variable in place, after
// everything that may fail and in an order in which nobody reads a variable that has been overwritten.
func (c *Context) splitCommit(x *indexed) (compute, commit []*graph.Node) {
	if len(x.f.Updates()) == 0 {
		return x.nodes, nil
	}
	next := nextOf(x.f)
	var order []int
	writer := map[string]int{} // by variable, the node that may write it
	for i, n := range x.nodes {
		if !c.isCommit(x, i, next) {
			continue
		}
		order = append(order, i)
		for k := range n.NumResults() {
			if name := next[n.Result(k)]; name != "" {
				writer[name] = i
			}
		}
	}
	// Readers of a variable come before its writer. What cannot be ordered so computes.
	waits := map[int]int{}
	readers := map[int][]int{} // from a reader to the writers that wait for it
	for _, i := range order {
		for _, v := range x.nodes[i].Operands() {
			if w, written := writer[c.variableOf(v)]; written && w != i {
				waits[w]++
				readers[i] = append(readers[i], w)
			}
		}
	}
	done := make([]bool, len(x.nodes))
	for progress := true; progress; {
		progress = false
		for _, i := range order {
			if done[i] || waits[i] > 0 {
				continue
			}
			done[i], progress = true, true
			commit = append(commit, x.nodes[i])
			for _, w := range readers[i] {
				waits[w]--
			}
		}
	}
	for i, n := range x.nodes {
		if !done[i] {
			compute = append(compute, n)
		}
	}
	return compute, commit
}

// isCommit reports whether a node may write variables in place: it cannot fail, all its results are next values, each of one
// variable, and element by element it reads no more of those variables than it has not written yet.
func (c *Context) isCommit(x *indexed, i int, next map[graph.Value]string) bool {
	n := x.nodes[i]
	if !x.update[i] || x.result[i] || len(x.users(i)) > 0 {
		return false
	}
	k := c.kernels[n]
	if k == nil {
		return false
	}
	over, isMap := kernels.MapShape(n) // what it iterates over
	if !isMap {
		if k.Element == nil || !n.Op().Props.Elementwise {
			return false
		}
		over = n.Result(0).Shape()
	}
	for k := range n.NumResults() {
		v := n.Result(k)
		name, isNext := next[v]
		if isNext && name == "" {
			return false
		}
		if !isNext || graph.EqualShapes(v.Shape(), over) {
			continue
		}
		for _, in := range n.Operands() { // a reduction is written while other parts of the variable are still read
			if c.variableOf(in) == name {
				return false
			}
		}
	}
	return true
}

// variableOf returns the name of the variable whose present value a value is, in whatever shape; "" if it is none.
func (c *Context) variableOf(v graph.Value) string {
	for c.isAlias(v.Node()) {
		v = v.Node().Operands()[0]
	}
	if !v.Is("read") {
		return ""
	}
	return string(v.Node().Attrs().Symbol("var"))
}

// markFree notes after each instruction the slots that are not needed any more.
func markFree(p *program.Func) {
	needed := make([]bool, len(p.Slots))
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
