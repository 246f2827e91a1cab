package compile

import (
	"github.com/graphrun/graphrun/graph"
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
	// Apply returns the values that stand for n's results, emitting what they need into f, or nil if the
	// rule does not match. It must not emit before it is sure to match.
	Apply func(f *graph.Func, n *graph.Node) []graph.Value
}

// maxRounds bounds how often a table of rules runs over a function; every rule makes progress, so the bound
// is not reached except through a fault in a rule.
const maxRounds = 32

// applyRules rewrites every function of m by the rules until none matches.
func applyRules(c *Context, m *graph.Module, rules []*Rule) error {
	byOp := map[string][]*Rule{}
	for _, r := range rules {
		byOp[r.Op] = append(byOp[r.Op], r)
	}
	return eachFunc(m, func(f *graph.Func) error {
		for range maxRounds {
			if !rewriteOnce(c, f, byOp) {
				break
			}
		}
		return nil
	})
}

// rewriteOnce visits the nodes of f in order; the nodes that a rule emits are visited in the next round.
func rewriteOnce(c *Context, f *graph.Func, byOp map[string][]*Rule) (changed bool) {
	if !matchable(f, byOp) {
		return false
	}
	w := newRewriter(f)
next:
	for _, n := range w.take() {
		w.rewire(n)
		for _, r := range byOp[n.Op().Name] {
			if c.limit >= 0 && c.steps >= c.limit {
				break
			}
			var values []graph.Value
			f.Module().AtNode(n, func() { values = r.Apply(f, n) })
			if values == nil {
				continue
			}
			c.allow(r.Name)
			w.replace(n, values)
			changed = true
			continue next
		}
		f.Append(n)
	}
	w.finish()
	return changed
}

func matchable(f *graph.Func, byOp map[string][]*Rule) bool {
	for _, n := range f.Nodes() {
		if byOp[n.Op().Name] != nil {
			return true
		}
	}
	return false
}

// operand returns the node of operand i if it is an application of the named op, else nil.
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
	xs := t.Float64s()
	for _, y := range xs[1:] {
		if y != xs[0] {
			return 0, false
		}
	}
	return xs[0], xs[0] == xs[0] //nolint:staticcheck // NaN is no match
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
