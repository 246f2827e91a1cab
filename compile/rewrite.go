package compile

import "github.com/graphrun/graphrun/graph"

// rewriter rebuilds one function node by node: a pass takes the nodes, puts each back or replaces its
// results, and operands follow the replacements.
type rewriter struct {
	f        *graph.Func
	replaced bool // a node; else there is nothing to follow
}

func newRewriter(f *graph.Func) *rewriter { return &rewriter{f: f} }

func (w *rewriter) take() []*graph.Node { return w.f.TakeNodes() }

// rewire makes n's operands follow the replacements made so far.
func (w *rewriter) rewire(n *graph.Node) {
	if !w.replaced {
		return
	}
	for i, v := range n.Operands() {
		if r := v.Current(); r != v {
			n.SetOperand(i, r)
		}
	}
}

// replace lets values stand for the results of n, which is not put back; the user's names move along.
func (w *rewriter) replace(n *graph.Node, values []graph.Value) {
	n.Replace(values)
	w.replaced = true
}

// finish makes results and updates follow the replacements.
func (w *rewriter) finish() {
	if w.replaced {
		for i, r := range w.f.Results() {
			w.f.SetResult(i, r.Value.Current())
		}
		for i, u := range w.f.Updates() {
			w.f.SetUpdate(i, u.Value.Current())
		}
	}
	w.f.Forget()
}

// body emits what a composite or a call stands for, positioned as the node is, and returns the values of its results. The
// node itself is neither put back nor replaced.
func (w *rewriter) body(n *graph.Node) (outs []graph.Value) {
	f := w.f
	f.Module().AtNode(n, func() {
		if n.Op().IsComposite() {
			outs = n.InlineBody(f)
		} else {
			outs = f.Splice(f.Module().LookupFunc(string(n.Attrs().Symbol("func"))), n.Operands())
		}
	})
	return outs
}

// eachUse visits what nodes take as operands and what leaves the function, once for every place.
func eachUse(f *graph.Func, nodes []*graph.Node, visit func(v graph.Value)) {
	for _, n := range nodes {
		for _, v := range n.Operands() {
			visit(v)
		}
	}
	for _, r := range f.Results() {
		visit(r.Value)
	}
	for _, u := range f.Updates() {
		visit(u.Value)
	}
}

// eachFunc visits the regions of every function before the function, initializers included.
func eachFunc(m *graph.Module, visit func(f *graph.Func) error) error {
	var walk func(f *graph.Func) error
	walk = func(f *graph.Func) error {
		if f.Carries() {
			for _, n := range f.Nodes() {
				for _, r := range n.Regions() {
					if err := walk(r); err != nil {
						return err
					}
				}
			}
		}
		return visit(f)
	}
	for _, v := range m.Variables() {
		if v.Init() != nil {
			if err := walk(v.Init()); err != nil {
				return err
			}
		}
	}
	for _, f := range m.Funcs() {
		if err := walk(f); err != nil {
			return err
		}
	}
	return nil
}
