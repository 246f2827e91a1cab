package compile

import (
	"fmt"
	"slices"

	"github.com/graphrun/graphrun/graph"
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
	for hasCall(f) && f.Module().Err() == nil {
		inlineCalls(c, f)
	}
	var fault error
	rewriteFunc(f, func(n *graph.Node) (dxs []graph.Value) {
		if n.Op().Name != "grad" || fault != nil {
			return nil
		}
		c.Count("grad")
		in := n.Operands()
		f.Module().AtNode(n, func() {
			one := f.Scalar(in[0].DType(), 1.0)
			dxs, fault = graph.VJP(f, in[:1], []graph.Value{one}, in[1:])
		})
		return dxs
	})
	return fault
}

func hasCall(f *graph.Func) bool {
	return slices.ContainsFunc(f.Nodes(), func(n *graph.Node) bool { return n.Op().Name == "call" })
}

// inlineCalls replaces the calls in f by the callees' nodes, whose calls stay.
func inlineCalls(c *Context, f *graph.Func) {
	rewriteFunc(f, func(n *graph.Node) (values []graph.Value) {
		switch n.Op().Name {
		case "call":
			c.Count("call")
			return bodyOf(f, n)
		case "read":
			v := f.Module().LookupVariable(string(n.Attrs().Symbol("var")))
			f.Module().AtNode(n, func() { values = []graph.Value{v.Read(f)} })
		}
		return values
	})
}
