package compile

import (
	"slices"

	"github.com/graphrun/graphrun/graph"
	"github.com/graphrun/graphrun/graph/errfmt"
)

var decompose = &Pass{
	Name: "decompose",
	Doc: "Replaces composites and calls by their bodies, except composites that the target computes whole: those never have to be found again by pattern. " +
		"What the target computes in f32, but not in f16 or another float for storage, becomes the same op in f32 between casts. " +
		"It stands after autodiff, so that gradient rules of composites apply, and before a second round of simplify, fold, cse and dce over the bodies.",
	Run: func(c *Context, m *graph.Module) error {
		return eachFunc(m, func(f *graph.Func) error { return inlineBodies(c, f) })
	},
	After: []string{"autodiff"},
	Check: func(c *Context, m *graph.Module) error {
		return eachFunc(m, func(f *graph.Func) error {
			for _, n := range f.Nodes() {
				if c.inlined(n) {
					return errfmt.Errorf("%s: %s is left", n.Pos(), n.Op().Name)
				}
			}
			return nil
		})
	},
}

// inlined reports whether a node is replaced by its body.
func (c *Context) inlined(n *graph.Node) bool {
	return n.Op().Name == "call" || n.Op().IsComposite() && !c.target.Whole(n) || c.widened(n)
}

// widened reports whether a node is replaced by one in f32.
func (c *Context) widened(n *graph.Node) bool {
	return c.target.Wide != nil && n.Widens() && c.target.Wide(n)
}

// inlineBodies replaces bodies until none is left; bodies may hold composites and calls themselves.
func inlineBodies(c *Context, f *graph.Func) error {
	for slices.ContainsFunc(f.Nodes(), c.inlined) {
		w := newRewriter(f)
		for _, n := range w.take() {
			w.rewire(n)
			if !c.inlined(n) {
				f.Append(n)
				continue
			}
			c.Count(n.Op().Name)
			outs := w.body(n)
			if len(outs) != n.NumResults() {
				return errfmt.Errorf("BUG: %s: the body of %s gives %d results for %d", n.Pos(), n.Op().Name, len(outs), n.NumResults())
			}
			w.replace(n, outs)
		}
		w.finish()
	}
	return nil
}
