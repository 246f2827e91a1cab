package graph

import (
	"slices"
)

// eachDim calls visit for all dims in a type.
func eachDim(t Type, visit func(Dim)) {
	switch t := t.(type) {
	case TensorType:
		for _, d := range t.Shape {
			visit(d)
		}
	case SequenceType:
		eachDim(t.Elem, visit)
	case OptionalType:
		eachDim(t.Elem, visit)
	case MapType:
		eachDim(t.Value, visit)
	}
}

// mayHaveUnknown reports whether a type names an unknown size, or is none of a tensor.
func mayHaveUnknown(t Type) bool {
	tt, ok := t.(TensorType)
	return !ok || slices.ContainsFunc(tt.Shape, hasUnknown)
}

// eachUnknown calls visit for the unknown sizes in a type.
//
// Not inlined: 2.3 kB of the service.
//
//go:noinline
func eachUnknown(t Type, visit func(id string)) {
	eachDim(t, func(d Dim) {
		if hasUnknown(d) {
			for _, id := range d.Unknowns() {
				visit(id)
			}
		}
	})
}

// eachUnknown calls visit for the unknown sizes in the types and the attributes of n.
func (n *Node) eachUnknown(visit func(id string)) {
	for _, t := range n.types {
		if mayHaveUnknown(t) {
			eachUnknown(t, visit)
		}
	}
	for _, a := range n.attrs {
		switch x := a.Value.(type) {
		case []Dim:
			eachUnknown(TensorType{Shape: x}, visit)
		case Type:
			eachUnknown(x, visit)
		}
	}
}

// namesUnknown reports whether an unknown size is in the types or the attributes of n.
func (n *Node) namesUnknown() (found bool) {
	n.eachUnknown(func(string) { found = true })
	return found
}

// binds reports whether a symbol is in the type of a parameter of b or of the bodies around it.
func (b *body) binds(symbol string) bool {
	for o := b; o != nil; o = o.outer {
		if o.symbol == symbol {
			return true
		}
	}
	for ; b != nil; b = b.outer {
		if b.symbols == nil {
			b.symbols = map[string]bool{}
			for _, p := range b.f.params {
				eachDim(p.types[0], func(d Dim) {
					for _, s := range d.Symbols() {
						b.symbols[s] = true
					}
				})
			}
		}
		if b.symbols[symbol] {
			b.symbol = symbol
			return true
		}
	}
	return false
}

// firstUnknown returns the index of the first node of f with an unknown size in a result.
func (v *verifier) firstUnknown(f *Func, id string) (at int, ok bool) {
	first := v.unknown[f]
	if first == nil {
		first = map[string]int{}
		note := func(n *Node, at int) {
			for _, t := range n.types {
				eachUnknown(t, func(id string) {
					if _, ok := first[id]; !ok {
						first[id] = at
					}
				})
			}
		}
		for _, n := range f.params {
			note(n, -1)
		}
		for i, n := range f.nodes {
			if n != nil {
				note(n, i)
			}
		}
		if v.unknown == nil {
			v.unknown = map[*Func]map[string]int{}
		}
		v.unknown[f] = first
	}
	at, ok = first[id]
	return at, ok
}

func (v *verifier) symbols(b *body, n *Node) {
	for _, t := range n.types {
		if !v.symbolsOf(b, n, t, false) {
			return
		}
	}
	for _, a := range n.attrs {
		switch x := a.Value.(type) {
		case []Dim:
			for _, d := range x {
				if !v.dim(b, n, d, true) {
					return
				}
			}
		case Type:
			if !v.symbolsOf(b, n, x, true) {
				return
			}
		}
	}
}

// symbolsOf checks the dims in a type of a node: in one that an attribute names, unknown sizes too. It reports whether there is
// no fault.
func (v *verifier) symbolsOf(b *body, n *Node, t Type, named bool) bool {
	if tt, ok := t.(TensorType); ok {
		for _, d := range tt.Shape {
			if !v.dim(b, n, d, named) {
				return false
			}
		}
		return true
	}
	sound := true
	eachDim(t, func(d Dim) { sound = sound && v.dim(b, n, d, named) })
	return sound
}

func (v *verifier) dim(b *body, n *Node, d Dim, named bool) bool {
	if _, symbol, _, ok := d.Affine(); ok && (symbol == "" || b.binds(symbol)) {
		return true
	}
	for _, s := range d.Symbols() {
		if !b.binds(s) {
			v.node(n, "the symbol %s of the dim %s is in no parameter's type", s, d)
			return false
		}
	}
	if !named {
		return true
	}
unknowns:
	for _, id := range d.Unknowns() {
		if at, ok := v.firstUnknown(b.f, id); ok && at < b.at {
			continue
		}
		for in := b; in.outer != nil; in = in.outer {
			at, ok := v.firstUnknown(in.outer.f, id)
			if carrier, _ := in.outer.place(in.carrier); ok && at < carrier {
				continue unknowns
			}
		}
		v.node(n, "the unknown size %s of the dim %s comes from no node before", id, d)
		return false
	}
	return true
}
