package graph

import "github.com/graphrun/graphrun/graph/dim"

// Cost counts the arithmetic of a node. A product that is added to a sum counts as two operations, every other operation on
// numbers as one, whatever its kind; moving elements counts nothing. Padding takes part.
type Cost struct {
	// Doc is the count in words: "2*M*N*K for each pair of matrices".
	Doc string
	// Count returns it for operands and results of the given types, the zero type for one that is no tensor. Sizes may be
	// symbolic. A call has the Doc alone.
	Count func(in, out []TensorType, attrs Attrs) Dim
}

// FLOPs returns how many operations on numbers the node takes, as its op's Cost says, as a formula in the symbols of its types: of
// floating-point numbers mostly, but those of integers count too. Without a Cost, an element-wise op takes one for each element of
// its first result, a composite and a node with regions what these take, a call what its callee takes, and any other op none. A
// grad node takes none: count after the pass autodiff has replaced it. The node's module is one that Verify accepts.
func (n *Node) FLOPs() Dim {
	op := n.op
	switch {
	case op.FLOPs.Count != nil:
		return op.FLOPs.Count(tensorTypes(n.OperandTypes()), tensorTypes(n.types), n.attrs)
	case op.Props.Elementwise:
		return tensorTypes(n.types)[0].NumElements()
	case op == callOp:
		return n.inner(n.Callee())
	case op.IsComposite():
		body, err := op.bodyFunc(n.OperandTypes(), n.attrs, n.regions)
		if err != nil {
			return dim.Const(0)
		}
		return body.FLOPs()
	}
	total := dim.Const(0)
	for _, r := range n.regions {
		total = dim.Sum(total, n.inner(r))
	}
	return total
}

// FLOPs returns the sum of those of the nodes.
func (f *Func) FLOPs() Dim {
	total := dim.Const(0)
	for _, n := range f.nodes {
		total = dim.Sum(total, n.FLOPs())
	}
	return total
}

// inner returns the count of a function that the node calls or carries, in the symbols of the node's operands.
func (n *Node) inner(f *Func) Dim {
	total := f.FLOPs()
	env := map[string]Dim{}
	if len(f.params) == len(n.in) {
		_, _ = UnifyAll(typesOf(f.params), n.OperandTypes(), env)
	}
	if bound, err := total.Subst(env); err == nil {
		return bound
	}
	return total
}

func tensorTypes(types []Type) []TensorType {
	out := make([]TensorType, len(types))
	for i, t := range types {
		out[i], _ = t.(TensorType)
	}
	return out
}
