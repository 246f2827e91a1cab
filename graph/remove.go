package graph

import (
	"fmt"
	"slices"

	"github.com/graphrun/graphrun/graph/value"
)

// DropUpdates takes back the updates of f that drop reports, and removes the nodes that only they needed, names
// included. Nodes that nothing needed before stay, as does what they need.
func (f *Func) DropUpdates(drop func(Update) bool) {
	roots := make([]Value, 0, len(f.results)+len(f.updates))
	for _, r := range f.results {
		roots = append(roots, r.Value)
	}
	kept := make([]Update, 0, len(f.updates))
	all := slices.Clone(roots)
	for _, u := range f.updates {
		all = append(all, u.Value)
		if !drop(u) {
			kept = append(kept, u)
			roots = append(roots, u.Value)
		}
	}
	if len(kept) == len(f.updates) {
		return
	}
	needed := f.needs(all)
	for i, n := range f.nodes {
		if !needed[i] {
			roots = append(roots, n.Results()...)
		}
	}
	f.updates = kept
	needed = f.needs(roots)
	nodes := make([]*Node, 0, len(f.nodes))
	for i, n := range f.nodes {
		if needed[i] {
			nodes = append(nodes, n)
		}
	}
	f.touch()
	f.taken = nil
	f.SetNodes(nodes)
	f.Forget()
}

// needs reports which nodes of f the values depend on, by operands or by sizes that data decides.
func (f *Func) needs(vals []Value) []bool {
	needed := make([]bool, len(f.nodes))
	source := map[string]int{} // of unknown sizes
	for i, n := range f.nodes {
		for _, t := range n.types {
			eachUnknown(t, func(id string) {
				if _, ok := source[id]; !ok {
					source[id] = i
				}
			})
		}
	}
	mark := func(v Value) {
		if v.Node() != nil && v.Node().at >= 0 && f.holds(v.Node()) {
			needed[v.Node().at] = true
		}
	}
	for _, v := range vals {
		mark(v)
	}
	for i := len(f.nodes) - 1; i >= 0; i-- {
		if n := f.nodes[i]; needed[i] {
			for _, v := range n.in {
				mark(v)
			}
			if len(source) > 0 {
				n.needsUnknown(func(id string) {
					if at, ok := source[id]; ok {
						needed[at] = true
					}
				})
			}
		}
	}
	return needed
}

// needsUnknown calls visit for the unknown sizes that n names, and those that nodes of its regions do.
func (n *Node) needsUnknown(visit func(id string)) {
	n.eachUnknown(visit)
	for _, r := range n.regions {
		for _, inner := range r.nodes {
			inner.needsUnknown(visit)
		}
	}
}

// RemoveVariable takes a variable out of the module. One that a function reads or updates stays, and the error, a
// *Diagnostic, says which and where.
func (m *Module) RemoveVariable(v *Variable) error {
	at := slices.Index(m.vars, v)
	if v == nil || at < 0 {
		return &Diagnostic{Op: "variable", Msg: "the variable is none of the module"}
	}
	for _, f := range m.funcs {
		if x, ok := f.readOf(v.name); ok {
			return &Diagnostic{Pos: x.Node().pos, Op: readOp.Name, Msg: fmt.Sprintf("@%s reads @%s", f.name, v.name)}
		}
		for _, u := range f.updates {
			if u.Var == v {
				return &Diagnostic{Pos: u.Value.Node().pos, Op: "update", Msg: fmt.Sprintf("@%s updates @%s", f.name, v.name)}
			}
		}
	}
	m.vars = slices.Delete(slices.Clone(m.vars), at, at+1)
	delete(m.varByName, v.name)
	v.module = NewModule(m.name) // of its own, so that a use is a fault
	m.changeTables()
	return nil
}

// FreezeVariable takes a variable out of the module whose value stays what it is: its reads become constants, in place. The tensor is shared
// and must not be modified. A gradient by one of them is by that one alone, not by what other reads have become. One that a function updates stays, and the error, a *Diagnostic, says which and where; so does one of another type.
func (m *Module) FreezeVariable(v *Variable, t *value.Tensor) error {
	if v == nil || !slices.Contains(m.vars, v) {
		return &Diagnostic{Op: "variable", Msg: "the variable is none of the module"}
	}
	if t == nil || !EqualTypes(TypeOf(t), v.typ) {
		return &Diagnostic{Pos: v.pos, Op: "variable", Msg: fmt.Sprintf("@%s is %s, the tensor is %s", v.name, v.typ, TypeOf(t))}
	}
	for _, f := range m.funcs {
		for _, u := range f.updates {
			if u.Var == v {
				return &Diagnostic{Pos: u.Value.Node().pos, Op: "update", Msg: fmt.Sprintf("@%s updates @%s", f.name, v.name)}
			}
		}
	}
	for _, f := range m.funcs {
		f.freeze(v.name, t)
	}
	return m.RemoveVariable(v)
}

// freeze makes the reads of a variable constants, those in regions included.
func (f *Func) freeze(name string, t *value.Tensor) {
	for _, n := range f.nodes {
		for _, r := range n.regions {
			r.freeze(name, t)
		}
		if n.op == readOp && string(n.attrs.Symbol("var")) == name {
			n.op, n.attrs = constantOp, Attrs{{Name: "value", Value: t}}
			f.touch()
		}
	}
	f.reads = nil
}

// RemoveFunc takes a function out of the module. One that another function calls stays, and the error, a *Diagnostic,
// says which and where.
func (m *Module) RemoveFunc(f *Func) error {
	at := slices.Index(m.funcs, f)
	if f == nil || at < 0 {
		return &Diagnostic{Op: "func", Msg: "the function is none of the module"}
	}
	for _, g := range m.funcs {
		if n := g.callOf(f.name); n != nil {
			return &Diagnostic{Pos: n.pos, Op: callOp.Name, Msg: fmt.Sprintf("@%s calls @%s", g.name, f.name)}
		}
	}
	m.funcs = slices.Delete(slices.Clone(m.funcs), at, at+1)
	delete(m.funcByName, f.name)
	m.changeTables()
	return nil
}

// callOf returns a node of f, or of a region in it, that calls the function of a name.
func (f *Func) callOf(name string) *Node {
	for _, n := range f.nodes {
		if n.op == callOp && string(n.attrs.Symbol("func")) == name {
			return n
		}
		for _, r := range n.regions {
			if call := r.callOf(name); call != nil {
				return call
			}
		}
	}
	return nil
}

// changeTables notes that the tables of variables and functions are not what was checked.
func (m *Module) changeTables() {
	m.checked = false
	m.clock++
	m.changed = m.clock
}
