package compile

import (
	"errors"
	"fmt"

	"github.com/graphrun/graphrun/graph"
	"github.com/graphrun/graphrun/runtime/program"
)

// Rewrite is one optional rewrite that a pass has made: what PassLimit counts.
type Rewrite struct {
	Step int    // from 1: PassLimit(Step) makes it the last one
	Pass string // the pass that made it
	Rule string // as in RowStats.Rewrites
	// The node that was rewritten; all are empty for a rewrite of a whole function.
	Op    string
	Func  string
	Pos   graph.Pos
	Scope string
}

func newRewrite(step int, pass, rule string, n *graph.Node) Rewrite {
	r := Rewrite{Step: step, Pass: pass, Rule: rule}
	if n != nil {
		r.Op, r.Func, r.Pos, r.Scope = n.Op().Name, n.Func().Root().Name(), n.Pos(), n.Scope()
	}
	return r
}

// String names the pass, the rule, and the node with its place.
func (r Rewrite) String() string {
	s := fmt.Sprintf("rewrite %d, by pass %s, rule %s", r.Step, r.Pass, r.Rule)
	if r.Op == "" {
		return s
	}
	s += fmt.Sprintf(", of the %s at %s in @%s", r.Op, r.Pos, r.Func)
	if r.Scope != "" {
		s += ", layer " + r.Scope
	}
	return s
}

// Rewrites appends to log every optional rewrite that is made.
func Rewrites(log *[]Rewrite) Option { return func(c *Context) { c.log = log } }

// ErrNoRewrite is the error of a bisection of results that are wrong without any optional rewrite: the fault is in a pass that a program needs, in
// planning, or in a kernel.
var ErrNoRewrite = errors.New("the results are wrong without any optional rewrite too")

// Bisect finds the first optional rewrite with which results go wrong. It compiles the module under limits on rewrites and
// asks bad about the programs, as often as the logarithm of the number of rewrites says. It returns nil if the whole program is
// not bad, and ErrNoRewrite if even the one without rewrites is.
func Bisect(m *graph.Module, bad func(p *program.Program) (bool, error), opts ...Option) (*Rewrite, error) {
	if m == nil || bad == nil {
		return nil, errors.New("bisect: want a module and a function, have nil")
	}
	var log []Rewrite
	try := func(opts ...Option) (bool, error) {
		p, err := Compile(m, opts...)
		if err != nil {
			return false, err
		}
		return bad(p)
	}
	wrong, err := try(append(opts[:len(opts):len(opts)], Rewrites(&log))...)
	if err != nil || !wrong {
		return nil, err
	}
	at := func(n int) (bool, error) { return try(append(opts[:len(opts):len(opts)], PassLimit(n))...) }
	switch wrong, err := at(0); {
	case err != nil:
		return nil, err
	case wrong:
		return nil, ErrNoRewrite
	}
	n, err := firstBad(0, len(log), at)
	if err != nil {
		return nil, err
	}
	return &log[n-1], nil
}

// firstBad returns a number above good, and up to bad, that is bad while the one before is not.
func firstBad(good, bad int, isBad func(n int) (bool, error)) (int, error) {
	for bad-good > 1 {
		mid := (good + bad) / 2
		wrong, err := isBad(mid)
		if err != nil {
			return 0, err
		}
		if wrong {
			bad = mid
		} else {
			good = mid
		}
	}
	return bad, nil
}
