package compile

import (
	"fmt"
	"slices"

	"github.com/graphrun/graphrun/graph"
	"github.com/graphrun/graphrun/ops"
)

var autodiff = &Pass{
	Name: "autodiff",
	Doc: "Replaces every grad by the nodes that compute it, in reverse mode. " +
		"It stands after stabilize, since the gradient of an unstable formula is worse than the formula: " +
		"the gradient of log(softmax(x)) taken naively is NaN where softmax underflows.",
	After: []string{"stabilize"},
	Run: func(c *Context, m *graph.Module) error {
		return eachFunc(m, func(f *graph.Func) error { return expandGrads(c, f) })
	},
	Check: func(_ *Context, m *graph.Module) error {
		return eachFunc(m, func(f *graph.Func) error {
			for _, n := range f.Nodes() {
				if n.Op().Name == "grad" {
					return fmt.Errorf("%s: a grad is left", n.Pos())
				}
			}
			return nil
		})
	},
}

// expandGrads replaces the grads of f in order, so that an inner grad has become ordinary nodes when an
// outer one differentiates them. In a function with a grad, calls become the callee's nodes and each variable is read
// by one node: a gradient with respect to a variable reaches what a callee computes from it.
func expandGrads(c *Context, f *graph.Func) error {
	if !slices.ContainsFunc(f.Nodes(), func(n *graph.Node) bool { return n.Op().Name == "grad" }) {
		return nil
	}
	for hasCall(f) {
		inlineCalls(c, f)
	}
	w := newRewriter(f)
	for _, n := range w.take() {
		w.rewire(n)
		if n.Op().Name != "grad" {
			f.Append(n)
			continue
		}
		c.count("grad")
		in := n.Operands()
		var dxs []graph.Value
		var err error
		f.Module().AtNode(n, func() { dxs, err = Gradients(f, in[0], in[1:]) })
		if err != nil {
			return err
		}
		w.replace(n, dxs)
	}
	w.finish()
	return nil
}

func hasCall(f *graph.Func) bool {
	return slices.ContainsFunc(f.Nodes(), func(n *graph.Node) bool { return n.Op().Name == "call" })
}

// inlineCalls replaces the calls in f by the callees' nodes, whose calls stay.
func inlineCalls(c *Context, f *graph.Func) {
	w := newRewriter(f)
	for _, n := range w.take() {
		w.rewire(n)
		switch n.Op().Name {
		case "call":
			c.count("call")
			w.replace(n, w.body(n))
		case "read":
			v := f.Module().LookupVariable(string(n.Attrs().Symbol("var")))
			var one graph.Value
			f.Module().AtNode(n, func() { one = v.Read(f) })
			w.replace(n, []graph.Value{one})
		default:
			f.Append(n)
		}
	}
	w.finish()
}

// Gradients emits into f, after its present nodes, the gradients of the scalar y with respect to xs and
// returns them: reverse mode over the nodes on a path from an x to y.
func Gradients(f *graph.Func, y graph.Value, xs []graph.Value) ([]graph.Value, error) {
	d := &differ{f: f}
	for _, x := range xs {
		d.at(x).active = true
	}
	nodes := append([]*graph.Node(nil), f.Nodes()...)
	d.activate(nodes)
	d.at(y).adjoint = f.Scalar(y.DType(), 1.0)
	if err := d.backward(nodes); err != nil {
		return nil, err
	}
	dxs := make([]graph.Value, len(xs))
	for i, x := range xs {
		dxs[i] = d.at(x).adjoint
		if !dxs[i].Valid() {
			dxs[i] = ops.ZerosLike(x)
		}
	}
	return dxs, nil
}

type differ struct {
	f      *graph.Func
	nodes  [][]diffState // by node and result; missing where nothing is known
	params []diffState
}

// diffState is what is known of a value.
type diffState struct {
	adjoint graph.Value // the gradient of the objective so far
	active  bool        // it depends on an x
}

// at returns the state of a value of the function, whose nodes stay in their places.
func (d *differ) at(v graph.Value) *diffState {
	i := v.Node().Index()
	if i < 0 {
		if d.params == nil {
			d.params = make([]diffState, len(d.f.Params()))
		}
		return &d.params[-1-i]
	}
	if i >= len(d.nodes) {
		d.nodes = append(d.nodes, make([][]diffState, len(d.f.Nodes())-len(d.nodes))...)
	}
	if d.nodes[i] == nil {
		d.nodes[i] = make([]diffState, v.Node().NumResults())
	}
	return &d.nodes[i][v.Index()]
}

// known returns the state of a value without making room for it.
func (d *differ) known(v graph.Value) diffState {
	if i := v.Node().Index(); i >= 0 && (i >= len(d.nodes) || d.nodes[i] == nil) {
		return diffState{}
	}
	return *d.at(v)
}

// activate marks the results of nodes that depend on an active value.
func (d *differ) activate(nodes []*graph.Node) {
	for _, n := range nodes {
		for _, v := range n.Operands() {
			if !d.known(v).active {
				continue
			}
			for i, t := range n.Types() {
				if tt, ok := t.(graph.TensorType); ok && tt.DType.IsFloat() {
					d.at(n.Result(i)).active = true
				}
			}
			break
		}
	}
}

// backward walks nodes from last to first and adds each one's contribution to its operands' adjoints.
func (d *differ) backward(nodes []*graph.Node) error {
	for i := len(nodes) - 1; i >= 0; i-- {
		n := nodes[i]
		dy := make([]graph.Value, n.NumResults())
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
		d.f.Module().AtNode(n, func() { err = d.node(n, dy) })
		if err != nil {
			return err
		}
	}
	return nil
}

func (d *differ) node(n *graph.Node, dy []graph.Value) error {
	op := n.Op()
	switch {
	case op.Grad != nil:
		dxs := op.Grad(graph.NewGradCtx(d.f, n, dy))
		if len(dxs) != len(n.Operands()) {
			return fmt.Errorf("BUG: %s: the gradient rule of %s gives %d gradients for %d operands", n.Pos(), op.Name, len(dxs), len(n.Operands()))
		}
		for i, v := range n.Operands() {
			if err := d.add(n, v, dxs[i]); err != nil {
				return err
			}
		}
		return nil
	case op.NoGrad != "" || len(n.Operands()) == 0:
		return nil
	}
	if !op.IsComposite() {
		return fmt.Errorf("%s: %s has no gradient", n.Pos(), op.Name)
	}
	// No rule of its own: differentiate what the op stands for. The forward nodes are emitted once more;
	// cse merges them with the original's if that is decomposed too.
	start := len(d.f.Nodes())
	outs := n.InlineBody(d.f)
	body := append([]*graph.Node(nil), d.f.Nodes()[start:]...)
	d.activate(body)
	for i, v := range outs {
		if dy[i].Valid() {
			if err := d.add(n, v, dy[i]); err != nil {
				return err
			}
		}
	}
	return d.backward(body)
}

// add adds dx to the adjoint of v, if v is one that depends on an x.
func (d *differ) add(n *graph.Node, v, dx graph.Value) error {
	if !dx.Valid() || !d.known(v).active {
		return nil
	}
	if !graph.EqualTypes(dx.Type(), v.Type()) {
		return fmt.Errorf("BUG: %s: the gradient rule of %s gives %s for an operand of %s", n.Pos(), n.Op().Name, dx.Type(), v.Type())
	}
	if have := d.at(v).adjoint; have.Valid() {
		dx = ops.Add(have, dx)
	}
	d.at(v).adjoint = dx
	return nil
}
