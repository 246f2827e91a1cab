package graph

import (
	"slices"

	"github.com/graphrun/graphrun/graph/errfmt"
)

// VJP emits into f, after its present nodes, the vector-Jacobian product of ys by xs, and returns it: for each x the sum over all y
// of dy times the derivative of y by x, zeros where no y depends on x. It is reverse mode over the nodes on the paths from
// xs to ys. The values are those of f, xs are floats, and each dy has the type of its y; a zero Value as dy stands for zeros.
//
// What it emits are ordinary nodes, positioned as the nodes they come from, so that products of products can be taken. A
// composite without a gradient rule, and a call, is differentiated by emitting what it stands for once more. A grad has to be
// replaced before. The error names a node on a path that has no gradient; nodes may have been emitted by then.
//
// Sums and zeros are nodes of the ops add and expand, which package ops declares.
func VJP(f *Func, ys, dys, xs []Value) ([]Value, error) {
	if f == nil {
		return nil, errfmt.Errorf("vjp: want a function, have nil")
	}
	if len(ys) != len(dys) {
		return nil, errfmt.Errorf("vjp: want as many cotangents as values, have %d for %d", len(dys), len(ys))
	}
	for _, v := range slices.Concat(ys, dys, xs) {
		if v.Node() != nil && (v.Node().fn != f || !f.holds(v.Node())) {
			return nil, errfmt.Errorf("vjp: %s is not a value of @%s", describe(v), f.name)
		}
	}
	d := &differ{f: f}
	for i, x := range xs {
		if !isFloat(x.Type()) {
			return nil, errfmt.Errorf("vjp: x %d is %s: only floats have gradients", i, x.Type())
		}
		d.at(x).active = true
	}
	nodes := f.nodes[:len(f.nodes):len(f.nodes)]
	d.activate(nodes)
	for i, dy := range dys {
		if !dy.Valid() {
			continue
		}
		if !EqualTypes(dy.Type(), ys[i].Type()) {
			return nil, errfmt.Errorf("vjp: the cotangent of y %d is %s, want %s", i, dy.Type(), ys[i].Type())
		}
		if err := d.add(ys[i], dy); err != nil {
			return nil, err
		}
	}
	if err := d.backward(nodes); err != nil {
		return nil, err
	}
	dxs := make([]Value, len(xs))
	for i, x := range xs {
		if dxs[i] = d.at(x).adjoint; !dxs[i].Valid() {
			var err error
			if dxs[i], err = f.zerosLike(x); err != nil {
				return nil, err
			}
		}
	}
	return dxs, nil
}

// isFloat reports whether a type is that of a tensor of floats: of what has a gradient.
func isFloat(t Type) bool {
	tt, ok := t.(TensorType)
	return ok && tt.DType.IsFloat()
}

// emitNamed emits a node of one of the two ops that reverse mode takes from the registry, as it stands below package ops.
func (f *Func) emitNamed(name string, in []Value, attrs Attrs) (Value, error) {
	op := LookupOp(name)
	if op == nil {
		return Value{}, errfmt.Errorf("vjp: the operation %s is not registered: import package ops", name)
	}
	return f.Emit(op, in, attrs)[0], nil
}

// zerosLike emits zeros of the type of x, a tensor of floats.
func (f *Func) zerosLike(x Value) (Value, error) {
	zero := f.Scalar(x.DType(), 0.0)
	if x.Rank() == 0 {
		return zero, nil
	}
	return f.emitNamed("expand", []Value{zero}, Attrs{{"shape", x.Shape()}})
}

// differ differentiates one function.
type differ struct {
	f      *Func
	nodes  [][]diffState // by node and result; missing where nothing is known
	params []diffState
}

// diffState is what is known of a value.
type diffState struct {
	adjoint Value // the gradient of the objective so far
	active  bool  // it depends on an x
}

// at returns the state of a value of the function, whose nodes stay in their places.
//
//go:noinline
func (d *differ) at(v Value) *diffState {
	i := v.Node().at
	if i < 0 {
		if d.params == nil {
			d.params = make([]diffState, len(d.f.params))
		}
		return &d.params[-1-i]
	}
	if i >= len(d.nodes) {
		d.nodes = append(d.nodes, make([][]diffState, len(d.f.nodes)-len(d.nodes))...)
	}
	if d.nodes[i] == nil {
		d.nodes[i] = make([]diffState, len(v.Node().types))
	}
	return &d.nodes[i][v.Index()]
}

// known returns the state of a value without making room for it.
//
//go:noinline
func (d *differ) known(v Value) diffState {
	if i := v.Node().at; i >= 0 && (i >= len(d.nodes) || d.nodes[i] == nil) {
		return diffState{}
	}
	return *d.at(v)
}

// activate marks the results of nodes that depend on an active value.
func (d *differ) activate(nodes []*Node) {
	for _, n := range nodes {
		for _, v := range n.in {
			if !d.known(v).active {
				continue
			}
			for i, t := range n.types {
				if isFloat(t) {
					d.at(n.Result(i)).active = true
				}
			}
			break
		}
	}
}

// backward walks nodes from last to first and adds each one's contribution to its operands' adjoints.
func (d *differ) backward(nodes []*Node) error {
	for i := len(nodes) - 1; i >= 0; i-- {
		n := nodes[i]
		dy := make([]Value, len(n.types))
		reached := false
		for k := range dy {
			if r := d.known(n.Result(k)); r.active {
				dy[k] = r.adjoint
				reached = reached || dy[k].Valid()
			}
		}
		if !reached {
			continue
		}
		var err error
		d.f.module.AtNode(n, func() { err = d.node(n, dy) })
		if err != nil {
			return err
		}
	}
	return nil
}

func (d *differ) node(n *Node, dy []Value) error {
	op := n.op
	switch {
	case op.Grad != nil && !n.Widens():
		g := newGradCtx(d, n, dy)
		dxs := op.Grad(g)
		if g.err != nil {
			return g.err
		}
		if len(dxs) != len(n.in) {
			return errfmt.Errorf("BUG: %s: the gradient rule of %s gives %d gradients for %d operands", n.pos, op.Name, len(dxs), len(n.in))
		}
		for i, v := range n.in {
			dx := dxs[i]
			if !dx.Valid() || !d.known(v).active {
				continue
			}
			if !EqualTypes(dx.Type(), v.Type()) {
				return errfmt.Errorf("BUG: %s: the gradient rule of %s gives %s for an operand of %s", n.pos, op.Name, dx.Type(), v.Type())
			}
			if err := d.add(v, dx); err != nil {
				return err
			}
		}
		return nil
	case op.NoGrad != "" || len(n.in) == 0:
		return nil
	}
	// No rule of its own, or not for these operands: differentiate what the node stands for. The forward nodes are emitted once more;
	// cse merges them with the original's if that is replaced by them too.
	start := len(d.f.nodes)
	var outs []Value
	switch {
	case op == callOp:
		outs = d.f.Splice(d.f.module.LookupFunc(string(n.attrs.Symbol("func"))), n.in)
	case op.IsComposite() || n.Widens():
		outs = n.InlineBody(d.f)
	default:
		return errfmt.Errorf("%s: %s has no gradient", n.pos, op.Name)
	}
	body := append([]*Node(nil), d.f.nodes[start:]...)
	d.activate(body)
	for i, v := range outs {
		if dy[i].Valid() {
			if err := d.add(v, dy[i]); err != nil {
				return err
			}
		}
	}
	return d.backward(body)
}

// add adds dx to the adjoint of v, if v is one that depends on an x.
func (d *differ) add(v, dx Value) (err error) {
	if !d.known(v).active {
		return nil
	}
	s := d.at(v)
	if s.adjoint.Valid() {
		if dx, err = d.f.emitNamed("add", []Value{s.adjoint, dx}, nil); err != nil {
			return err
		}
	}
	s.adjoint = dx
	return nil
}

// RegionVJP returns a region of g.Func that computes the vector-Jacobian product of a region of the node: from the
// region's parameters and the cotangents of its results ys, which follow them, it computes the cotangents of the parameters xs. Nil stands for
// all results, or parameters, that are floats. The rule emits a node that carries it; that node's own rule may ask for the product again.
//
// What cannot be differentiated, and a region, result or parameter that there is not, is the error of the VJP that the rule runs for.
func (g *GradCtx) RegionVJP(region int, ys, xs []int) *Func {
	if len(g.choose("region", []int{region}, len(g.Node.regions))) == 0 {
		return g.Func.Region("none", nil, func(*Func, []Value) []Value { return nil })
	}
	r := g.Node.regions[region]
	results := make([]Value, len(r.results))
	for i, res := range r.results {
		results[i] = res.Value
	}
	ys = g.choose("result", floatsOf(ys, results), len(results))
	xs = g.choose("parameter", floatsOf(xs, r.Params()), len(r.params))
	types := typesOf(r.params)
	for _, i := range ys {
		types = append(types, results[i].Type())
	}
	return g.Func.Region(r.name, types, func(b *Func, in []Value) []Value {
		args, dys := in[:len(r.params):len(r.params)], in[len(r.params):]
		outs := b.Splice(r, args)
		dxs, err := VJP(b, pick(outs, ys), dys, pick(args, xs))
		if err != nil {
			g.err = err
			return pick(args, xs) // of the right types, so that the rule can go on
		}
		return dxs
	})
}

// choose returns those of the places that are among n; another one is an error.
func (g *GradCtx) choose(what string, places []int, n int) (chosen []int) {
	for _, i := range places {
		if i >= 0 && i < n {
			chosen = append(chosen, i)
		} else {
			g.err = errfmt.Errorf("BUG: %s: the gradient rule of %s asks for %s %d of %d", g.Node.pos, g.Node.op.Name, what, i, n)
		}
	}
	return chosen
}

// floatsOf returns the places among values: the given ones, or, if they are nil, those of floats.
func floatsOf(places []int, values []Value) []int {
	if places != nil {
		return places
	}
	for i, v := range values {
		if isFloat(v.Type()) {
			places = append(places, i)
		}
	}
	return places
}

// pick returns the values at the given places.
func pick(values []Value, places []int) []Value {
	picked := make([]Value, len(places))
	for i, at := range places {
		picked[i] = values[at]
	}
	return picked
}
