package compile

import (
	"slices"

	"github.com/graphrun/graphrun/graph"
	"github.com/graphrun/graphrun/runtime/kernels"
)

var selectKernels = &Pass{
	Name: "select",
	Doc: "Chooses the kernel of every node, by dtypes, ranks and attributes, so that the choice holds for all sizes. All that follows reads it: " +
		"which results share storage, which are left out, what is packed, what runs. Nodes without a kernel are computed by their ops' references.",
	After: []string{"fuse"},
	Run: func(c *Context, m *graph.Module) error {
		nodes := 0
		for _, v := range m.Variables() {
			nodes += len(v.Init().Nodes())
		}
		for _, f := range m.Funcs() {
			nodes += len(f.Nodes())
		}
		c.kernels = make(map[*graph.Node]*kernels.Kernel, nodes)
		choose := func(f *graph.Func) {
			for _, n := range f.Nodes() {
				if n.Op().Props.Structural {
					continue
				}
				if k := kernels.Select(n); k != nil {
					c.kernels[n] = k
				}
			}
		}
		for _, v := range m.Variables() {
			choose(v.Init())
		}
		for _, f := range m.Funcs() {
			choose(f)
		}
		return nil
	},
}

// mayReuse reports whether result number result of a node may be written over an operand, element by element.
func mayReuse(k *kernels.Kernel, n *graph.Node, result, operand int) bool {
	in, out := n.Operands()[operand], n.Result(result)
	if k == nil || !graph.EqualShapes(in.Shape(), out.Shape()) || in.DType().Bits() != out.DType().Bits() {
		return false
	}
	if over, isMap := kernels.MapShape(n); isMap {
		return graph.EqualShapes(out.Shape(), over)
	}
	return result == 0 && (slices.Contains(k.InPlace, operand) || n.Op().Props.Elementwise && slices.Contains(n.Op().InPlace, operand))
}

// isAlias reports whether a node moves nothing.
func (c *Context) isAlias(n *graph.Node) bool {
	k := c.kernels[n]
	return k != nil && k.Alias
}

// isOptional reports whether a kernel leaves out result number result where nobody needs it.
func isOptional(k *kernels.Kernel, result int) bool {
	return k != nil && slices.Contains(k.Optional, result)
}
