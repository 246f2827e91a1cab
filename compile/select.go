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
		for _, f := range m.Funcs() {
			nodes += len(f.Nodes())
		}
		c.kernels = make(map[*graph.Node]chosen, nodes)
		choose := func(f *graph.Func) {
			for _, n := range f.Nodes() {
				if n.Op().Props.Structural {
					continue
				}
				if k := kernels.Select(n); k != nil {
					over, isMap := kernels.MapShape(n)
					c.kernels[n] = chosen{k, over, isMap}
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

// chosen is the kernel of a node, and the shape that it iterates over if the node is a fused map.
type chosen struct {
	*kernels.Kernel
	over  []graph.Dim
	isMap bool
}

// mayReuse reports whether result number result of a node may be written over an operand, element by element.
func (k *chosen) mayReuse(n *graph.Node, result, operand int) bool {
	in, out := n.Operands()[operand], n.Result(result)
	switch {
	case k.Kernel == nil || !graph.EqualShapes(in.Shape(), out.Shape()) || in.DType().Bits() != out.DType().Bits():
		return false
	case k.isMap:
		return graph.EqualShapes(out.Shape(), k.over)
	}
	return result == 0 && (slices.Contains(k.InPlace, operand) || n.Op().Props.Elementwise && slices.Contains(n.Op().InPlace, operand))
}

// isAlias reports whether a node moves nothing.
func (c *Context) isAlias(n *graph.Node) bool {
	k := c.kernels[n].Kernel
	return k != nil && k.Alias
}

// isOptional reports whether the kernel of a node leaves out result k where nobody needs it.
func (c *Context) isOptional(n *graph.Node, k int) bool {
	kernel := c.kernels[n].Kernel
	return kernel != nil && slices.Contains(kernel.Optional, k)
}
