package compile

import (
	"slices"

	"github.com/graphrun/graphrun/graph"
	"github.com/graphrun/graphrun/graph/errfmt"
)

var autodiff = &Pass{
	Name: "autodiff",
	Doc: "Replaces every grad by the nodes that compute it, in reverse mode. " +
		"It stands after stabilize, since the gradient of an unstable formula is worse than the formula: " +
		"the gradient of log(softmax(x)) taken naively is NaN where softmax underflows. " +
		"A branch that where does not select has the gradient 0, whatever its derivative.",
	After: []string{"stabilize"},
	Run: func(c *Context, m *graph.Module) error {
		return eachFunc(m, func(f *graph.Func) error {
			derived := map[*graph.Node]bool{}
			if err := expandGrads(c, f, derived); err != nil || len(derived) == 0 {
				return err
			}
			maskGradients(c, f, derived)
			return nil
		})
	},
	Check: func(_ *Context, m *graph.Module) error {
		return eachFunc(m, func(f *graph.Func) error {
			for _, n := range f.Nodes() {
				if n.Op().Name == "grad" {
					return errfmt.Errorf("%s: a grad is left", n.Pos())
				}
			}
			return nil
		})
	},
}

// expandGrads replaces the grads of f in order, so that an inner grad has become ordinary nodes when an
// outer one differentiates them. It notes the nodes that it makes.
func expandGrads(c *Context, f *graph.Func, derived map[*graph.Node]bool) error {
	if !joinReads(f, c.Count) {
		return nil
	}
	var fault error
	rewriteFunc(f, func(n *graph.Node) (dxs []graph.Value) {
		if n.Op().Name != "grad" || fault != nil {
			return nil
		}
		c.Count("grad")
		in, before := n.Operands(), len(f.Nodes())
		f.Module().AtNode(n, func() {
			one := f.Scalar(in[0].DType(), 1.0)
			dxs, fault = graph.VJP(f, in[:1], []graph.Value{one}, in[1:])
		})
		for _, d := range f.Nodes()[before:] {
			derived[d] = true
		}
		return dxs
	})
	return fault
}

// joinReads prepares a function with a grad, and reports whether it is one: calls become the callees' nodes, and each variable is read by
// one node, so that a gradient by a variable reaches all that is computed from it.
func joinReads(f *graph.Func, count func(rule string)) bool {
	if !slices.ContainsFunc(f.Nodes(), func(n *graph.Node) bool { return n.Op().Name == "grad" }) {
		return false
	}
	for f.Module().Err() == nil && slices.ContainsFunc(f.Nodes(), func(n *graph.Node) bool {
		v := n.Variable()
		return n.Op().Name == "call" || v != nil && v.Read(f) != n.Result(0)
	}) {
		inlineCalls(f, count)
	}
	return true
}

// inlineCalls replaces the calls in f by the callees' nodes, whose calls stay.
func inlineCalls(f *graph.Func, count func(rule string)) {
	rewriteFunc(f, func(n *graph.Node) (values []graph.Value) {
		switch n.Op().Name {
		case "call":
			count("call")
			return bodyOf(f, n)
		case "read":
			v := f.Module().LookupVariable(string(n.Attrs().Symbol("var")))
			f.Module().AtNode(n, func() { values = []graph.Value{v.Read(f)} })
		}
		return values
	})
}
