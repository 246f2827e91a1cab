package compile

import (
	"errors"

	"github.com/graphrun/graphrun/graph"
)

// ReplaceNodes visits the nodes of all functions of m in order, those of initializers and regions included, and asks for values that stand for
// the results of each; nil keeps the node. The operands of a node follow what has been replaced before. What instead emits into the
// node's function stands before the node and gets its position and layer; it is not visited. Values of other types than those of the results are
// refused, which the compiler reports as a fault of the pass. A pass asks Context.Allow before it returns values, or says what it does by Context.Count.
//
// A pass of rules of single ops is better written as a table for ApplyRules.
func ReplaceNodes(m *graph.Module, instead func(f *graph.Func, n *graph.Node) []graph.Value) {
	_ = eachFunc(m, func(f *graph.Func) error {
		rewriteFunc(f, func(n *graph.Node) (values []graph.Value) {
			m.AtNode(n, func() { values = instead(f, n) })
			return values
		})
		return nil
	})
}

// rewriteFunc is ReplaceNodes for one function, without positions.
func rewriteFunc(f *graph.Func, instead func(n *graph.Node) []graph.Value) {
	w := newRewriter(f)
	for _, n := range w.take() {
		w.rewire(n)
		if values := instead(n); values != nil {
			w.replace(n, values)
		} else {
			f.Append(n)
		}
	}
	w.finish()
}

// rewriter rebuilds one function node by node: a pass takes the nodes, puts each back or replaces its
// results, and operands follow the replacements.
type rewriter struct {
	f        *graph.Func
	rule     string // that replaces, for messages
	replaced bool   // a node; else there is nothing to follow
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

// replace lets values stand for the results of n, which is not put back; the user's names move along. That values are of other types is
// recorded in the module, and the compiler reports it as a fault of the pass.
func (w *rewriter) replace(n *graph.Node, values []graph.Value) {
	w.replaced = true
	err := n.Replace(values)
	if err == nil {
		return
	}
	if d, ok := errors.AsType[*graph.Diagnostic](err); ok {
		if w.rule != "" {
			d.Msg = "rule " + w.rule + ": " + d.Msg
		}
		w.f.Module().Report(d.Pos, d.Op, "%s", d.Msg)
	}
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

// body emits what a node stands for; see bodyOf. The node itself is neither put back nor replaced.
func (w *rewriter) body(n *graph.Node) []graph.Value { return bodyOf(w.f, n) }

// bodyOf emits into f what a composite, a call or a node that widens stands for, positioned as the node is, and returns the values of its results.
func bodyOf(f *graph.Func, n *graph.Node) (outs []graph.Value) {
	f.Module().AtNode(n, func() {
		if n.Callee() == nil {
			outs = n.InlineBody(f)
		} else {
			outs = f.Splice(n.Callee(), n.Operands())
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

// eachFunc visits the regions of every function before the function, initializers included, and those that the visit makes after it.
func eachFunc(m *graph.Module, visit func(f *graph.Func) error) error {
	var walk func(f *graph.Func) error
	walk = func(f *graph.Func) error {
		nodes := f.Nodes()
		if f.Carries() {
			for _, n := range nodes {
				for _, r := range n.Regions() {
					if err := walk(r); err != nil {
						return err
					}
				}
			}
		}
		version := m.Version()
		if err := visit(f); err != nil || !f.Carries() || m.Version() == version {
			return err
		}
		done := map[*graph.Func]bool{}
		for _, n := range nodes {
			for _, r := range n.Regions() {
				done[r] = true
			}
		}
		for _, n := range f.Nodes() {
			for _, r := range n.Regions() {
				if done[r] {
					continue
				}
				if err := walk(r); err != nil {
					return err
				}
			}
		}
		return nil
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
