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

// isAlias reports whether a node moves nothing.
func (c *Context) isAlias(n *graph.Node) bool {
	k := c.kernels[n]
	return k != nil && k.Alias
}

// isOptional reports whether the kernel of a node leaves out result k where nobody needs it.
func (c *Context) isOptional(n *graph.Node, k int) bool {
	kernel := c.kernels[n]
	return kernel != nil && slices.Contains(kernel.Optional, k)
}
