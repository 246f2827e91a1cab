package runtime

import (
	"fmt"
	"math"
	"strings"

	"github.com/graphrun/graphrun/graph"
	"github.com/graphrun/graphrun/graph/value"
)

// observation is an instruction that has run: its node, the operands as they were before, and the results, nil where nobody
// needs one.
type observation struct {
	node    *graph.Node
	in, out []value.Value
	sizes   map[string]graph.Dim // what symbols stand for
	kernel  bool                 // whether a kernel has run, not the reference
}

// watcher is told of every instruction after it has run; an error ends the call.
type watcher func(o *observation) error

// watching adds a watcher to those of the session.
func watching(w watcher) Option {
	return func(s *Session) error {
		if first := s.watch; first != nil {
			s.watch = func(o *observation) error {
				if err := first(o); err != nil {
					return err
				}
				return w(o)
			}
			return nil
		}
		s.watch = w
		return nil
	}
}

// Recheck makes all calls of the session compute every instruction once more, by the reference of its node on the same operands, and
// hold the results against it within the tolerance that the op declares; for a fused node, and for a composite that is off by more, within
// what those of its nodes, or of its body's, come to. A call ends with the first instruction that is off, and names its node and how far off it is.
func Recheck() Option { return watching(recheck) }

func recheck(o *observation) error {
	err := graph.CompareNode(o.node, o.in, o.out, o.sizes)
	if err == nil {
		return nil
	}
	by := "its reference, run in the arena,"
	if o.kernel {
		by = "the kernel"
	}
	return &graph.Diagnostic{
		Pos: o.node.Pos(), Op: o.node.Op().Name,
		Msg: fmt.Sprintf("BUG: %s computes something else than the reference on the same operands%s: %v", by, within(o.node), err),
	}
}

// within says where a node stands: in which layer, and which nodes it stands for.
func within(n *graph.Node) string {
	s := ""
	if n.Scope() != "" {
		s = " (layer " + n.Scope() + ")"
	}
	if !n.IsFused() {
		return s
	}
	var members []string
	for _, m := range n.Regions()[0].Nodes() {
		if !m.IsConstant() {
			members = append(members, fmt.Sprintf("%s at %s", m.Op().Name, m.Pos()))
		}
	}
	return s + " (it stands for " + strings.Join(members, ", ") + ")"
}

// NaNGuard makes calls of the session end with the first node whose result holds a NaN while its operands hold none, and name it with
// the place where it was declared. In a fused node, that is one of those it stands for.
func NaNGuard() Option {
	return watching(func(o *observation) error { return o.guard("NaN", math.IsNaN) })
}

// InfGuard makes calls of the session end with the first node whose result holds an infinity while its operands hold neither
// infinities nor NaNs, and name it as NaNGuard does.
func InfGuard() Option {
	return watching(func(o *observation) error {
		return o.guard("infinite", func(x float64) bool { return math.IsNaN(x) || math.IsInf(x, 0) })
	})
}

// guard reports the node of an observation whose result holds a bad number while its operands hold none.
func (o *observation) guard(what string, bad func(x float64) bool) error {
	for _, v := range o.in {
		if at, _ := first(v, bad); at >= 0 {
			return nil
		}
	}
	for i, v := range o.out {
		at, of := first(v, bad)
		if at < 0 {
			continue
		}
		n, in := o.node, o.in
		result := i
		if n.IsFused() {
			m := o.culprit(bad)
			switch {
			case m != nil:
				n, in, result, at, of = m.node, m.in, m.result, m.at, m.of
			case infinite(o.out[i]):
				continue
			}
		}
		msg := fmt.Sprintf("the result is %s, first at element %d of %d, and no operand is%s", what, at, of, within(n))
		if n.NumResults() > 1 {
			msg = fmt.Sprintf("result %d is %s, first at element %d of %d, and no operand is%s", result, what, at, of, within(n))
		}
		for k, x := range in {
			if lo, hi, inf := spread(x); inf {
				msg += fmt.Sprintf("; operand %d holds infinities", k)
			} else if lo <= hi {
				msg += fmt.Sprintf("; operand %d lies in [%.4g, %.4g]", k, lo, hi)
			}
		}
		return &graph.Diagnostic{Pos: n.Pos(), Op: n.Op().Name, Msg: msg}
	}
	return nil
}

// infinite reports whether a tensor holds infinities and no NaN.
func infinite(v value.Value) bool {
	nan, _ := first(v, math.IsNaN)
	inf, _ := first(v, func(x float64) bool { return math.IsInf(x, 0) })
	return nan < 0 && inf >= 0
}

// first returns the first element that is bad, -1 if there is none, and how many elements there are.
func first(v value.Value, bad func(x float64) bool) (at, of int) {
	t, ok := v.(*value.Tensor)
	if !ok || t == nil || !t.DType().IsFloat() {
		return -1, 0
	}
	for i := range t.Len() {
		if bad(t.Float64At(i)) {
			return i, t.Len()
		}
	}
	return -1, t.Len()
}

// spread returns the least and the greatest element of a tensor of floats, or that it holds infinities.
func spread(v value.Value) (lo, hi float64, inf bool) {
	t, ok := v.(*value.Tensor)
	if !ok || t == nil || !t.DType().IsFloat() {
		return 1, 0, false
	}
	lo, hi = math.Inf(1), math.Inf(-1)
	for i := range t.Len() {
		x := t.Float64At(i)
		if math.IsInf(x, 0) {
			return 0, 0, true
		}
		lo, hi = min(lo, x), max(hi, x)
	}
	return lo, hi, false
}

// member is a node of a fused one that makes a bad number.
type member struct {
	node           *graph.Node
	in             []value.Value
	result, at, of int
}

// culprit evaluates the nodes that a fused one stands for and returns the first that makes a bad number of operands that hold none;
// nil if by the references none does.
func (o *observation) culprit(bad func(x float64) bool) *member {
	region := o.node.Regions()[0]
	values := map[graph.Value]value.Value{}
	for i, p := range region.Params() {
		values[p] = o.in[i]
	}
	var found *member
	ip := &graph.Interpreter{Sizes: o.sizes, Visit: func(n *graph.Node, results []value.Value) error {
		if n.Func() != region || found != nil {
			return nil
		}
		in := make([]value.Value, len(n.Operands()))
		clean := true
		for i, v := range n.Operands() {
			in[i] = values[v]
			at, _ := first(in[i], bad)
			clean = clean && at < 0
		}
		for i, v := range results {
			values[n.Result(i)] = v
			at, of := first(v, bad)
			if at < 0 || !clean || found != nil || n.IsConstant() && infinite(v) {
				continue // who writes an infinity means it: a mask
			}
			found = &member{n, in, i, at, of}
		}
		return nil
	}}
	if _, err := ip.Run(region, o.in); err != nil {
		return nil
	}
	return found
}
