package compile

import (
	"math"
	"slices"

	"github.com/graphrun/graphrun/graph"
	"github.com/graphrun/graphrun/ops"
)

// maskGradients moves the masks of gradients over what they are multiplied by: where(c, dy, 0) * d becomes where(c, dy*d, 0), and so for
// quotients. A branch that where does not select has the gradient 0, and keeps it however far the chain rule goes: its derivative may
// be infinite or NaN, and 0 times that would be NaN. So where(c, sqrt(x), x) is differentiated as the branch of an if. Only nodes that
// autodiff has made are looked at: what the user multiplies stays as it is.
func maskGradients(c *Context, f *graph.Func, derived map[*graph.Node]bool) {
	if !slices.ContainsFunc(f.Nodes(), func(n *graph.Node) bool { return derived[n] && n.Op().Name == "where" }) {
		return
	}
	rewriteFunc(f, func(n *graph.Node) (values []graph.Value) {
		op := n.Op().Name
		if op != "mul" && op != "div" || !derived[n] {
			return nil
		}
		for i, dy := range n.Operands() {
			d := n.Operands()[1-i]
			if x, ok := scalarConstant(d); i == 1 && op == "div" || ok && !math.IsInf(x, 0) && (op == "mul" || x != 0) {
				continue
			}
			f.Module().AtNode(n, func() {
				if y, ok := chain(op, dy, d); ok {
					values = is(n, y)
				}
			})
			if values != nil {
				c.Count("masked_gradient")
				return values
			}
		}
		return nil
	})
}

// chain returns dy times d, or divided by it, below the masks of dy, and whether there are any.
func chain(op string, dy, d graph.Value) (graph.Value, bool) {
	var way []*graph.Node // from dy up to the mask: what leaves zeros where they are, or moves them only
	v := dy
	for {
		k := passes(v)
		if k < 0 {
			break
		}
		way = append(way, v.Node())
		v = v.Node().Operands()[k]
	}
	if !v.Is("where") {
		return dy, false
	}
	in := v.Node().Operands()
	zero := 2
	if isConst(in[1], 0) {
		zero = 1
	} else if !isConst(in[2], 0) {
		return dy, false
	}
	cond, kept := in[0], in[3-zero]
	if len(way) > 0 && (!sameShape(cond, v) || !sameShape(kept, v)) {
		return dy, false
	}
	for i := len(way) - 1; i >= 0; i-- {
		at := way[i]
		args := slices.Clone(at.Operands())
		args[passes(at.Result(0))] = kept
		kept = graph.Apply(at.Op(), args, at.Attrs())[0]
		if at.Op().Kind == graph.ViewOp || at.Op().Name == "expand" {
			cond = graph.Apply(at.Op(), []graph.Value{cond}, at.Attrs())[0]
		}
	}
	y, ok := chain(op, kept, d)
	switch {
	case ok:
	case op == "mul":
		y = ops.Mul(kept, d)
	default:
		y = ops.Div(kept, d)
	}
	if zero == 1 {
		return ops.Where(cond, 0.0, y), true
	}
	return ops.Where(cond, y, 0.0), true
}

// passes returns the operand of v's node whose zeros are zeros of v, in other places perhaps, whatever the other operands: -1 if there is
// none that a mask may be moved over.
func passes(v graph.Value) int {
	switch {
	case v.Is("expand"), v.Is("reshape"), v.Is("transpose"), v.Is("neg"):
		return 0
	case v.Is("mul"), v.Is("div"):
		in := v.Node().Operands()
		for i, d := range in {
			x, ok := scalarConstant(d)
			if ok && !math.IsInf(x, 0) && sameShape(v, in[1-i]) && (v.Is("mul") || i == 1 && x != 0) {
				return 1 - i
			}
		}
	}
	return -1
}

func sameShape(a, b graph.Value) bool {
	x, ok := a.Type().(graph.TensorType)
	y, is := b.Type().(graph.TensorType)
	return ok && is && graph.EqualTypes(graph.TensorType{DType: y.DType, Shape: x.Shape}, y)
}
