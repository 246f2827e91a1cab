package graph

func (v *verifier) closed(b *body) {
	if b.f.detached && len(b.f.updates) > 0 {
		v.body(b, "it cannot update variables")
	}
}

func (v *verifier) closedNode(b *body, n *Node) {
	if n.op == readOp && b.f.detached {
		v.node(n, "@%s: a region or an initializer cannot read variables", n.attrs.Symbol("var"))
	}
}

// position returns the place of a function in the module, by its name.
func (v *verifier) position(name string) int {
	if v.order == nil {
		v.order = make(map[string]int, len(v.m.funcs))
		for i, f := range v.m.funcs {
			v.order[f.name] = i
		}
	}
	return v.order[name]
}

func (v *verifier) calls(b *body, n *Node) {
	for _, t := range n.types {
		if mayHaveUnknown(t) {
			eachUnknown(t, func(id string) { note(&b.sum.sizes, id) })
		}
	}
	if n.op == readOp {
		b.sum.reads = true
	}
	for _, r := range n.regions {
		b.sum.inner += len(r.nodes)
	}
	if n.op != callOp {
		return
	}
	b.sum.calls = true
	root := b.f.Root()
	name := string(n.attrs.Symbol("func"))
	f := v.m.funcByName[name]
	switch {
	case f == nil:
		v.node(n, "@%s is not a function of the module", name)
		return
	case root.detached:
		v.node(n, "@%s: an initializer cannot call functions", name)
		return
	case v.position(name) >= v.position(root.name):
		v.node(n, "@%s does not come before @%s: declare callees first, and no function calls itself", name, root.name)
		return
	case len(f.updates) > 0:
		v.node(n, "@%s updates variables", name)
	case b.f.detached && v.callees[name].reads:
		v.node(n, "@%s reads variables: a region cannot", name)
	}
	callee := v.callees[name]
	most, before := mostNodes(), b.sum.inner
	b.sum.inner = min(before+len(f.nodes)+callee.inner, most+1)
	if b.sum.inner > most && before <= most && callee.inner <= most { // said once
		v.node(n, "@%s is too large: with what its calls stand for, it has more than %d nodes", root.name, most)
		return
	}
	b.sum.reads = b.sum.reads || callee.reads
	for _, id := range sortedKeys(callee.sizes) {
		if b.sum.called[id] {
			v.node(n, "@%s has a size that data decides (%s): a function can call it once, since a second call has another size of that name", name, id)
			return
		}
	}
	for id := range callee.sizes {
		note(&b.sum.sizes, id)
		note(&b.sum.called, id)
	}
}

// note adds a name to a set, which may be nil.
func note(set *map[string]bool, name string) {
	if *set == nil {
		*set = map[string]bool{}
	}
	(*set)[name] = true
}
