package graph

import (
	"slices"
)

// demand is a node that its type rule may refuse when sizes are known: two sizes may turn out to differ, or one to be too small. It says so as the
// node was declared, whatever has become of the node since.
type demand struct {
	n       *Node // for its op and position
	in      []Type
	attrs   Attrs
	regions []*Func
	callee  *Func
}

// hasShapeOf reports whether the type of an operand has the very dims of t, as element-wise ops leave them.
func (n *Node) hasShapeOf(t Type) bool {
	tt, ok := t.(TensorType)
	if !ok || len(tt.Shape) == 0 {
		return ok
	}
	for _, v := range n.in {
		if x, ok := v.Type().(TensorType); ok && len(x.Shape) == len(tt.Shape) && &x.Shape[0] == &tt.Shape[0] {
			return true
		}
	}
	return false
}

// mayFail reports whether the sizes in the attributes and the results of n may turn out to be none: negative, or quotients by zero.
func (n *Node) mayFail(c *InferCtx) bool {
	for _, a := range n.attrs {
		switch x := a.Value.(type) {
		case []Dim:
			c.open = c.open || slices.ContainsFunc(x, undefined)
		case Type:
			eachDim(x, func(d Dim) { c.open = c.open || undefined(d) })
		}
	}
	for _, t := range n.types {
		if n.hasShapeOf(t) {
			continue // whose node has been asked
		}
		eachDim(t, func(d Dim) {
			if !d.IsConst() && !c.open && (c.Exceeds(Dim{}, d) || undefined(d)) {
				c.open = true
			}
		})
	}
	return c.open
}

func undefined(d Dim) bool { return !d.Defined() }

// KeepDemands notes in the functions of a module what their nodes demand of sizes, so that no rewrite can make a function take sizes that it refuses
// as it was declared: CheckSizes asks for it. The error names a call of a function whose demands the operands break whatever the sizes are.
// The compiler runs it before the first pass.
func (m *Module) KeepDemands() error {
	for _, f := range m.funcs {
		for _, n := range f.nodes {
			if n.demanding() {
				f.demands = append(f.demands, demand{n, n.OperandTypes(), n.attrs, n.cloneRegions(f), n.Callee()})
			}
		}
		if err := f.CheckSizes(nil); err != nil {
			return err
		}
	}
	return nil
}

// demanding reports whether a node, one in its regions or one that it calls is open.
func (n *Node) demanding() bool {
	if callee := n.Callee(); callee != nil && len(callee.demands) > 0 {
		return true
	}
	return n.open || slices.ContainsFunc(n.regions, func(r *Func) bool { return slices.ContainsFunc(r.nodes, (*Node).demanding) })
}

// CheckSizes reports the first node of the function, as it was when its demands were kept, that its op refuses for sizes of its symbols, as a *Diagnostic.
// What depends on sizes that are not given is left open.
func (f *Func) CheckSizes(sizes map[string]Dim) error {
	if len(f.demands) == 0 {
		return nil
	}
	return f.checkSizes(sizes, map[string]bool{})
}

// checkSizes is CheckSizes; checked holds the calls that have been checked, by function and types: a function may be reached on many ways.
func (f *Func) checkSizes(sizes map[string]Dim, checked map[string]bool) error {
	for i := range f.demands {
		d := &f.demands[i]
		if err := d.check(f.module, sizes, checked); err != nil {
			if _, placed := err.(*Diagnostic); !placed {
				err = &Diagnostic{Pos: d.n.pos, Op: d.n.op.Name, Msg: err.Error()}
			}
			return err
		}
	}
	return nil
}

func (d *demand) check(m *Module, sizes map[string]Dim, checked map[string]bool) (err error) {
	in := make([]Type, len(d.in))
	for i, t := range d.in {
		if in[i], err = SubstType(t, sizes); err != nil {
			return err
		}
	}
	if d.callee != nil {
		key := d.callee.name
		for _, t := range in {
			key += " " + t.String()
		}
		if checked[key] {
			return nil
		}
		checked[key] = true
		env := map[string]Dim{}
		if _, err := UnifyAll(typesOf(d.callee.params), in, env); err != nil {
			return err
		}
		return d.callee.checkSizes(env, checked)
	}
	attrs, err := d.attrs.Bind(sizes)
	if err != nil {
		return err
	}
	regions, err := (&Node{regions: d.regions}).BindRegions(sizes)
	if err != nil {
		return err
	}
	_, err = InferTypes(d.n.op, in, attrs, regions, m)
	return err
}
