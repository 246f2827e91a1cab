package compile

import (
	"errors"
	"slices"

	"github.com/graphrun/graphrun/graph"
	"github.com/graphrun/graphrun/graph/errfmt"
	"github.com/graphrun/graphrun/graph/value"
)

// Rule is a rewrite of one node into values that stand for its results.
type Rule struct {
	// Name is shown by counters, bisection and dumps.
	Name string
	// Law is the identity that the rule applies.
	Law string
	// Breaks says where NaN, infinities, signed zeros or rounding make the two sides differ; "" means that
	// every bit stays.
	Breaks string
	// Op is the op whose nodes the rule looks at.
	Op string
	// Sole, if set, is the op that must compute the node's first operand, which nothing else may use: of two uses, the
	// rewrite would leave one and so compute twice.
	Sole string
	// Apply returns the values that stand for n's results, emitting what they need into f, or nil if the
	// rule does not match. It must not emit before it is sure to match.
	Apply func(f *graph.Func, n *graph.Node) []graph.Value
}

// maxRounds bounds how often a table of rules runs over a function; every rule makes progress, so the bound
// is not reached except through a fault in a rule.
const maxRounds = 32

// ApplyRules rewrites every function of m by the rules until none matches, but no more than 32 times over: it is what a pass of rules runs. Of the
// rules of an op the first that matches is applied. Nodes of f8e8m0, which has neither zero nor sign, obey few laws and stay as they are.
// Rewrites are counted and limited by the rules' names.
func ApplyRules(c *Context, m *graph.Module, rules []*Rule) error {
	return applyRules(c, m, rules, countUses)
}

// useCount counts how often each node of an op is used.
type useCount func(f *graph.Func, nodes []*graph.Node, op string) map[*graph.Node]int

// applyRules is ApplyRules with a way to count for Rule.Sole.
func applyRules(c *Context, m *graph.Module, rules []*Rule, count useCount) error {
	byOp := map[*graph.Op][]*Rule{}
	for _, r := range rules {
		if r == nil || r.Name == "" || r.Apply == nil {
			return errors.New("a rule needs Name, Op and Apply")
		}
		op := graph.LookupOp(r.Op)
		if op == nil {
			return errfmt.Errorf("rule %s is of %q, which is no operation", r.Name, r.Op)
		}
		byOp[op] = append(byOp[op], r)
	}
	return eachFunc(m, func(f *graph.Func) error {
		for range maxRounds {
			if !rewriteOnce(c, f, byOp, count) {
				break
			}
		}
		return nil
	})
}

// rewriteOnce visits the nodes of f in order; the nodes that a rule emits are visited in the next round.
func rewriteOnce(c *Context, f *graph.Func, byOp map[*graph.Op][]*Rule, count useCount) (changed bool) {
	nodes := f.Nodes()
	if !slices.ContainsFunc(nodes, func(n *graph.Node) bool { return byOp[n.Op()] != nil }) {
		return false
	}
	uses := map[string]map[*graph.Node]int{} // by op, counted when they are needed
	sole := func(n *graph.Node, op string) bool {
		x := operand(n, 0, op)
		if x != nil && uses[op] == nil {
			uses[op] = count(f, nodes, op)
		}
		return x != nil && uses[op][x] == 1
	}
	asked := derivedBy(nodes)
	w := newRewriter(f)
	for _, n := range w.take() {
		w.rewire(n)
		var values []graph.Value
		if rules := byOp[n.Op()]; rules != nil && n.Result(0).DType() != value.F8E8M0 && (c.limit < 0 || c.steps < c.limit) {
			f.Module().AtNode(n, func() {
				for _, r := range rules {
					if r.Sole != "" && !sole(n, r.Sole) {
						continue
					}
					before := len(f.Nodes())
					if values = r.Apply(f, n); values != nil && leavesOut(n, values, f.Nodes()[before:], asked) {
						f.Truncate(before)
						values = nil
					}
					if values != nil {
						c.Allow(r.Name, n)
						w.rule = r.Name
						return
					}
				}
			})
		}
		if values == nil {
			f.Append(n)
			continue
		}
		for i := range min(len(values), n.NumResults()) {
			if asked[n.Result(i)] {
				asked[values[i]] = true
			}
		}
		w.replace(n, values)
		changed = true
	}
	w.finish()
	return changed
}

// derivedBy returns the values by which grads among the nodes derive.
func derivedBy(nodes []*graph.Node) map[graph.Value]bool {
	grad := graph.LookupOp("grad")
	asked := map[graph.Value]bool{}
	for _, n := range nodes {
		if n.Op() == grad {
			for _, x := range n.Operands()[1:] {
				asked[x] = true
			}
		}
	}
	return asked
}

// leavesOut reports whether values that stand for n's results, computed by the nodes emitted, bypass one by which a gradient is asked for: the
// derivative of log_softmax(x) by what softmax(x) was is zero. What n is computed from is followed up to what they are computed from.
func leavesOut(n *graph.Node, values []graph.Value, emitted []*graph.Node, asked map[graph.Value]bool) bool {
	if len(asked) == 0 {
		return false
	}
	seen := map[graph.Value]bool{}
	for _, v := range values {
		seen[v] = true
	}
	for _, e := range emitted {
		for _, v := range e.Operands() {
			seen[v] = true
		}
	}
	todo := slices.Clone(n.Operands())
	for len(todo) > 0 {
		v := todo[len(todo)-1]
		todo = todo[:len(todo)-1]
		if seen[v] {
			continue
		}
		if seen[v] = true; asked[v] {
			return true
		}
		todo = append(todo, v.Node().Operands()...)
	}
	return false
}

// countUses counts how often each node of an op is an operand, a result or an update. What a rule has replaced counts too: that is
// one more, until the next round.
func countUses(f *graph.Func, nodes []*graph.Node, op string) map[*graph.Node]int {
	uses := map[*graph.Node]int{}
	eachUse(f, nodes, func(v graph.Value) {
		if v.Is(op) {
			uses[v.Node()]++
		}
	})
	return uses
}

// countNeeded is countUses without the operands of nodes that nothing needs, which rules that have applied before leave behind.
func countNeeded(f *graph.Func, _ []*graph.Node, op string) map[*graph.Node]int {
	uses := map[*graph.Node]int{}
	needed(f, func(v graph.Value) {
		if v.Is(op) {
			uses[v.Node()]++
		}
	})
	return uses
}

// needed returns the nodes on which a result or an update depends, and visits each use of a value by these.
func needed(f *graph.Func, visit func(v graph.Value)) map[*graph.Node]bool {
	seen := map[*graph.Node]bool{}
	var todo []*graph.Node
	use := func(v graph.Value) {
		visit(v)
		if n := v.Node(); !seen[n] {
			seen[n] = true
			todo = append(todo, n)
		}
	}
	eachUse(f, nil, use)
	for len(todo) > 0 {
		n := todo[len(todo)-1]
		todo = todo[:len(todo)-1]
		for _, v := range n.Operands() {
			use(v)
		}
	}
	return seen
}

// operand returns the node of operand i if it is an application of the named op, else nil.
// Not inlined: 3.3 kB of the service.
//
//go:noinline
func operand(n *graph.Node, i int, op string) *graph.Node {
	if v := n.Operands()[i]; v.Is(op) {
		return v.Node()
	}
	return nil
}

// scalarConstant returns the value of a numeric constant all of whose elements are the same number; expand
// and reshape of such a constant count too.
func scalarConstant(v graph.Value) (x float64, ok bool) {
	for v.Is("expand") || v.Is("reshape") {
		v = v.Node().Operands()[0]
	}
	t, ok := v.Constant()
	if !ok || !t.DType().IsNumeric() || t.Len() == 0 || t.Len() > 1<<12 {
		return 0, false
	}
	x = t.Float64At(0)
	for i := range t.Len() {
		if t.Float64At(i) != x { // NaN is no match
			return 0, false
		}
	}
	return x, true
}

// isConst reports whether v is the constant x everywhere. Zeros are told apart by sign only where the rule
// says so: x == 0 matches both.
func isConst(v graph.Value, x float64) bool {
	y, ok := scalarConstant(v)
	return ok && y == x
}

// is wraps the value that stands for a node's only result, if it has the node's type: an identity such as
// x*1 = x holds only where broadcasting leaves the shape of x alone.
func is(n *graph.Node, v graph.Value) []graph.Value {
	if !graph.EqualTypes(n.Types()[0], v.Type()) {
		return nil
	}
	return []graph.Value{v}
}
