package graph

import (
	"fmt"
)

func (v *verifier) function(b *body) {
	if b.f.module != v.m {
		v.body(b, "it belongs to another module")
	}
	if b.f.detached != (b.isInit || b.carrier != nil) {
		v.body(b, "regions and initializers are detached, functions are not")
	}
	if b.carrier == nil && b.f.parent != nil {
		v.body(b, "it stands inside @%s and is no region", b.f.parent.name)
	}
	for i, n := range b.f.params {
		switch {
		case n == nil:
			v.body(b, "a parameter is nil")
		case n.fn != b.f:
			v.node(n, "the parameter belongs to another function")
		case n.op != paramOp || len(n.in) > 0 || len(n.attrs) > 0 || len(n.regions) > 0 || len(n.types) != 1:
			v.node(n, "want a parameter: one type, no operands, attributes and regions")
		case n.at != -1-i:
			v.once(b)
		}
	}
}

func (v *verifier) member(b *body, n *Node) {
	switch {
	case n == nil:
		v.body(b, "a node is nil")
	case n.fn != b.f:
		v.node(n, "the node belongs to another function")
	case n.op == nil || n.op == paramOp:
		v.node(n, "want an operation among the nodes")
	case n.at != b.at:
		v.once(b)
	}
}

// once checks that all nodes of b are different, where that does not follow from each knowing its place.
func (v *verifier) once(b *body) {
	if b.index == nil && len(b.places()) != len(b.f.params)+len(b.f.nodes) {
		v.body(b, "a node stands in it twice, or is nil")
	}
}

func (v *verifier) regions(b *body, n *Node) {
	if fault := n.op.regionsFault(n.attrs, len(n.in), len(n.regions)); fault != "" {
		v.node(n, "%s", fault)
	}
	for i, r := range n.regions {
		switch {
		case r == nil:
			v.node(n, "region %d is nil", i)
			continue
		case r.parent != b.f:
			v.node(n, "region %d belongs to another function", i)
		case v.carried[r]:
			v.node(n, "region %d belongs to another node too", i)
		}
		if v.carried == nil {
			v.carried = map[*Func]bool{}
		}
		v.carried[r] = true
	}
}

func (v *verifier) op(_ *body, n *Node) {
	if n.op.registered != n.op {
		v.node(n, "the op is not the registered one")
	}
}

// places returns the places of all nodes.
func (b *body) places() map[*Node]int {
	if b.index == nil {
		b.index = make(map[*Node]int, len(b.f.params)+len(b.f.nodes))
		for _, n := range b.f.params {
			b.index[n] = -1
		}
		for i, n := range b.f.nodes {
			if n != nil {
				b.index[n] = i
			}
		}
	}
	return b.index
}

// place returns the place of a node in b, and whether it has one.
func (b *body) place(n *Node) (at int, ok bool) {
	if b.f.holds(n) {
		return max(n.at, -1), true
	}
	at, ok = b.places()[n]
	return at, ok
}

// valueFault says why x cannot be used at place at of b, "" if it can.
func (b *body) valueFault(x Value, at int) string {
	if x.Node() == nil {
		return "missing"
	}
	i, ok := b.place(x.Node())
	switch {
	case !ok && x.Node().fn == b.f:
		return "a result of a node that is no longer in the function"
	case !ok:
		return "a value of another function"
	case i >= at:
		return "used before it is defined"
	case x.Index() < 0 || x.Index() >= len(x.Node().types):
		return fmt.Sprintf("result %d of %d of %s", x.Index(), len(x.Node().types), x.Node().op.Name)
	}
	return ""
}

func (v *verifier) operands(b *body, n *Node) {
	for i, x := range n.in {
		if fault := b.valueFault(x, b.at); fault != "" {
			v.node(n, "operand %d is %s", i, fault)
		}
	}
}

func (v *verifier) results(b *body) {
	if b.carrier == nil && len(b.f.results) == 0 && len(b.f.updates) == 0 {
		v.body(b, "want a result or an update, have neither")
	}
	var seen map[string]bool
	if len(b.f.results) > 1 {
		seen = make(map[string]bool, len(b.f.results))
	}
	for _, r := range b.f.results {
		switch fault := b.valueFault(r.Value, len(b.f.nodes)); {
		case fault != "":
			v.body(b, "result %q is %s", r.Name, fault)
		case !isSymbol(r.Name):
			v.body(b, "%q is not the name of a result", r.Name)
		case seen[r.Name]:
			v.body(b, "there are two results %q", r.Name)
		}
		if seen != nil {
			seen[r.Name] = true
		}
	}
}

func (v *verifier) updates(b *body) {
	if len(b.f.updates) == 0 {
		return
	}
	seen := make(map[*Variable]bool, len(b.f.updates))
	for _, u := range b.f.updates {
		if u.Var == nil || v.m.varByName[u.Var.name] != u.Var {
			v.body(b, "an update of a variable that is not declared in the module")
			continue
		}
		switch fault := b.valueFault(u.Value, len(b.f.nodes)); {
		case fault != "":
			v.body(b, "the update of @%s is %s", u.Var.name, fault)
		case !EqualTypes(u.Value.Type(), u.Var.typ):
			v.body(b, "update of @%s: want %s, have %s", u.Var.name, u.Var.typ, u.Value.Type())
		case seen[u.Var]:
			v.body(b, "@%s is updated twice", u.Var.name)
		}
		seen[u.Var] = true
	}
}

func (v *verifier) paramNames(b *body) {
	for _, n := range b.f.params {
		v.names(b, n)
		if b.carrier == nil && n.ResultName(0) == "" {
			v.node(n, "a parameter has no name")
		}
	}
}

func (v *verifier) names(b *body, n *Node) {
	if len(n.names) > len(n.types) {
		v.node(n, "%d names for %d results", len(n.names), len(n.types))
		return
	}
	for i, name := range n.names {
		found := b.f.names[name]
		switch {
		case name == "":
		case !isIdent(name):
			v.node(n, "%q is not the name of a value", name)
		case found == n.Result(i):
		case found.Valid() && found.Node().ResultName(found.Index()) == name:
			v.node(n, "%%%s is the name of another value too", name)
		default:
			v.node(n, "%%%s is not what Lookup finds", name)
		}
	}
}
