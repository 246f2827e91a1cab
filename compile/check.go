package compile

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"

	"github.com/graphrun/graphrun/graph"
	"github.com/graphrun/graphrun/graph/dim"
	"github.com/graphrun/graphrun/graph/errfmt"
	"github.com/graphrun/graphrun/graph/value"
)

// Inputs are what a check evaluates a module on.
type Inputs struct {
	// Func is the function to evaluate; "" stands for all functions.
	Func string
	// Feeds are the values of its inputs by name; without them, values are drawn that fit the declared types.
	Feeds map[string]value.Value
	// Variables are the values of variables by name; those not given are initialized from the key of seed 0.
	Variables map[string]*value.Tensor
}

// Miscompile is the fault that Check finds: a pass that changes what a function computes.
type Miscompile struct {
	// Pass is the pass at fault.
	Pass string
	// Rewrite is the rewrite at fault; nil if the pass is wrong without optional rewrites.
	Rewrite *Rewrite
	// Result names what has changed, such as "result loss of @train", and Node computes it.
	Result string
	Op     string
	Pos    graph.Pos
	// Err says how it differs, with the values.
	Err error
}

// Error names the pass, the rewrite, the node and the values.
func (e *Miscompile) Error() string {
	what := fmt.Sprintf("%s: %v", e.Result, e.Err)
	if e.Rewrite != nil {
		return fmt.Sprintf("BUG: pass %s changes what the model computes: %s\nthe fault is %s", e.Pass, what, e.Rewrite)
	}
	return fmt.Sprintf("BUG: pass %s changes what the model computes: %s\nthe fault is in no optional rewrite; the result comes from the %s at %s",
		e.Pass, what, e.Op, e.Pos)
}

// Unwrap returns how the result differs.
func (e *Miscompile) Unwrap() error { return e.Err }

// Check compiles a module as Optimize does and evaluates it by the references of its ops before the first pass and after every one:
// results, updates and initializers must stay what they are, up to rounding (see graph.Oracle). A pass that changes them is
// named by a *Miscompile, with the single rewrite at fault, which is found by bisection.
//
// Two things are not held against the module as it was declared. Gradients are: their rules are tested with the ops. And
// where the pass stabilize makes a number of what was infinite or NaN, that is its purpose.
func Check(m *graph.Module, in Inputs, opts ...Option) error {
	if m == nil {
		return errors.New("check: want a module, have nil")
	}
	if err := graph.Verify(m); err != nil {
		return err
	}
	m, opts, err := frozen(m, opts)
	if err != nil {
		return err
	}
	base, err := withoutGrads(m)
	if err != nil {
		return err
	}
	targets, err := targetsOf(base, in)
	if err != nil {
		return err
	}
	s := &search{m: m, opts: opts, targets: targets}
	wrong, err := s.row()
	if wrong == nil {
		return err
	}
	if wrong.Rewrite, err = s.rewrite(); err != nil {
		return err
	}
	return wrong
}

// search finds the row of the table of passes, and the rewrite in it, from which on a target is computed otherwise.
type search struct {
	m       *graph.Module
	opts    []Option
	targets []*target

	// What row finds.
	wrongRow int
	before   held      // the row before
	log      []Rewrite // up to the wrong row's end
}

// held is what a search knows when a row is as it should be: how many rewrites there have been, and what the targets are held against
// from there on, since a row that makes formulas stable gives new oracles.
type held struct {
	steps   int
	oracles []*graph.Oracle
}

// each compiles the module and calls after behind every row.
func (s *search) each(after func(c *Context, row int, m *graph.Module) error, more ...Option) error {
	opts := append(s.opts[:len(s.opts):len(s.opts)], more...)
	_, _, err := optimize(s.m, append(opts, func(c *Context) {
		c.after = func(row int, m *graph.Module) error { return after(c, row, m) }
	}))
	return err
}

// compare holds the module behind a row against oracles.
func (s *search) compare(c *Context, m *graph.Module, oracles []*graph.Oracle) (*Miscompile, *graph.Module, error) {
	m, err := withoutGrads(m)
	if err != nil {
		return nil, nil, err
	}
	wrong, err := compareTargets(m, s.targets, oracles, c.pass)
	return wrong, m, err
}

// row returns what the first wrong row changes, nil if all rows are right.
func (s *search) row() (wrong *Miscompile, err error) {
	now := held{}
	for _, t := range s.targets {
		now.oracles = append(now.oracles, t.oracle)
	}
	err = s.each(func(c *Context, row int, m *graph.Module) (err error) {
		s.before, s.wrongRow = now, row
		if wrong, m, err = s.compare(c, m, now.oracles); err != nil {
			return err
		}
		if wrong != nil {
			return errStop
		}
		now.steps = c.steps
		if c.pass == stabilize && len(c.counts) > 0 {
			now.oracles, err = oraclesOf(m, s.targets)
		}
		return err
	}, Rewrites(&s.log))
	return wrong, err
}

// rewrite returns the rewrite of the wrong row with which it goes wrong, nil if it does without any.
func (s *search) rewrite() (*Rewrite, error) {
	isWrong := func(limit int) (bool, error) {
		var wrong *Miscompile
		err := s.each(func(c *Context, row int, m *graph.Module) (err error) {
			if row < s.wrongRow {
				return nil
			}
			if wrong, _, err = s.compare(c, m, s.before.oracles); err != nil {
				return err
			}
			return errStop
		}, PassLimit(limit))
		if err != nil && !errors.Is(err, errStop) {
			return false, err
		}
		return wrong != nil, nil
	}
	none, err := isWrong(s.before.steps)
	if err != nil || none || len(s.log) == s.before.steps {
		return nil, err
	}
	n, err := firstBad(s.before.steps, len(s.log), isWrong)
	if err != nil {
		return nil, err
	}
	return &s.log[n-1], nil
}

// errStop ends a pipeline at the row that a check looks at.
var errStop = errors.New("stopped")

// withoutGrads returns the module, or a copy in which every grad has become the nodes that compute it, since a grad has no value of its own.
func withoutGrads(m *graph.Module) (*graph.Module, error) {
	found := false
	_ = eachFunc(m, func(f *graph.Func) error {
		found = found || slices.ContainsFunc(f.Nodes(), func(n *graph.Node) bool { return n.Op().Name == "grad" })
		return nil
	})
	if !found {
		return m, nil
	}
	return Optimize(m, Through(autodiff.Name))
}

// target is a function or an initializer with operands.
type target struct {
	name   string
	find   func(m *graph.Module) *graph.Func
	in     []value.Value
	read   func(name string) (*value.Tensor, error)
	oracle *graph.Oracle // by the module as it was declared
}

func (t *target) interpreter() *graph.Interpreter { return &graph.Interpreter{Read: t.read} }

// targetsOf chooses what is evaluated, and evaluates it.
func targetsOf(m *graph.Module, in Inputs) ([]*target, error) {
	if in.Func == "" && in.Feeds != nil {
		return nil, errors.New("check: feeds are given, but no function that takes them")
	}
	if in.Func != "" && m.LookupFunc(in.Func) == nil {
		return nil, errfmt.Errorf("check: @%s is not a function of the module", in.Func)
	}
	vars := map[string]*value.Tensor{}
	read := func(name string) (*value.Tensor, error) { return vars[name], nil }
	var targets []*target
	// Each variable has its value, how far it may be off, and a copy of either once formulas have been made stable.
	size := 0.0
	for _, v := range m.Variables() {
		shape, _ := v.Type().ConstShape()
		n := 32.0
		for _, d := range shape {
			n *= float64(d)
		}
		size += n
	}
	if have := float64(value.Memory()); size > have {
		return nil, errfmt.Errorf("check: out of memory: the variables and how far each may be off take %s, there are %s",
			value.ByteText(size), value.ByteText(have))
	}
	key, err := value.FromSlice([]uint64{0, 0}, 2)
	if err != nil {
		return nil, err
	}
	for _, v := range m.Variables() {
		name := v.Name()
		t := &target{
			name: "initializer of @" + name, in: []value.Value{key},
			find: func(m *graph.Module) *graph.Func { return m.LookupVariable(name).Init() },
		}
		if t.oracle, err = t.interpreter().Oracle(v.Init(), t.in); err != nil {
			return nil, errfmt.Errorf("check: %s: %w", t.name, err)
		}
		targets = append(targets, t)
		vars[name] = t.oracle.Want[0].(*value.Tensor)
	}
	for name, t := range in.Variables {
		v := m.LookupVariable(name)
		if v == nil || t == nil || !graph.EqualTypes(graph.TypeOf(t), v.Type()) {
			return nil, errfmt.Errorf("check: @%s is no variable of the module, or not of its type", name)
		}
		vars[name] = t
	}
	for _, f := range m.Funcs() {
		name := f.Name()
		if in.Func != "" && name != in.Func {
			continue
		}
		t := &target{name: "@" + name, read: read, find: func(m *graph.Module) *graph.Func { return m.LookupFunc(name) }}
		evaluate := func(feeds map[string]value.Value) error {
			t.in = nil
			for _, p := range f.Params() {
				v, ok := feeds[p.Node().ResultName(0)]
				if !ok {
					return errfmt.Errorf("no feed for %s (%s)", p.Node().ResultName(0), p.Type())
				}
				t.in = append(t.in, v)
			}
			t.oracle, err = t.interpreter().Oracle(f, t.in)
			return err
		}
		if in.Feeds != nil {
			err = evaluate(in.Feeds)
		} else {
			err = onSamples(f, evaluate)
		}
		if err != nil {
			return nil, errfmt.Errorf("check: @%s: %w", name, err)
		}
		targets = append(targets, t)
	}
	return targets, nil
}

func oraclesOf(m *graph.Module, targets []*target) ([]*graph.Oracle, error) {
	var oracles []*graph.Oracle
	for _, t := range targets {
		o, err := t.interpreter().Oracle(t.find(m), t.in)
		if err != nil {
			return nil, errfmt.Errorf("check: %s: %w", t.name, err)
		}
		oracles = append(oracles, o)
	}
	return oracles, nil
}

// compareTargets evaluates a module after a pass and returns the first result that is not what the oracles want.
func compareTargets(m *graph.Module, targets []*target, oracles []*graph.Oracle, p *Pass) (*Miscompile, error) {
	for i, t := range targets {
		f, o := t.find(m), oracles[i]
		if p == stabilize {
			o = o.Unstable()
		}
		if f == nil {
			return &Miscompile{Pass: p.Name, Result: t.name, Err: errors.New("it is gone")}, nil
		}
		got, err := t.interpreter().Run(f, t.in)
		if err != nil {
			return &Miscompile{Pass: p.Name, Result: t.name, Err: errfmt.Errorf("it fails: %w", err)}, nil
		}
		if len(got) != len(o.Want) {
			return &Miscompile{Pass: p.Name, Result: t.name, Err: errfmt.Errorf("it has %d results and updates, not %d", len(got), len(o.Want))}, nil
		}
		for k, v := range got {
			if err := o.Compare(k, v); err != nil {
				var name string
				var n *graph.Node
				if rs := f.Results(); k < len(rs) {
					name, n = "result "+rs[k].Name, rs[k].Value.Node()
				} else {
					u := f.Updates()[k-len(rs)]
					name, n = "update of @"+u.Var.Name(), u.Value.Node()
				}
				return &Miscompile{Pass: p.Name, Result: name + " of " + t.name, Op: n.Op().Name, Pos: n.Pos(), Err: err}, nil
			}
		}
	}
	return nil, nil
}

// onSamples evaluates a function on drawn values, first on small ones: what a function demands of sizes and of indices beyond its types
// is found by trying.
func onSamples(f *graph.Func, evaluate func(feeds map[string]value.Value) error) error {
	var first error
	for _, size := range []int{3, 8, 32} {
		for _, high := range []int{1, 0} {
			feeds, err := SampleFeeds(f, size, high)
			if err == nil {
				if err = evaluate(feeds); err == nil {
					return nil
				}
			}
			if first == nil {
				first = err
			}
		}
	}
	return errfmt.Errorf("it cannot be evaluated on drawn inputs, give some: %w", first)
}

// SampleFeeds draws feeds of the types that a function declares, the same ones every time: floats between -1 and 1, whole numbers between 0
// and high. The symbols stand for different sizes from size up.
func SampleFeeds(f *graph.Func, size, high int) (map[string]value.Value, error) {
	if f == nil {
		return nil, errors.New("want a function, have nil")
	}
	env := map[string]graph.Dim{}
	for i, s := range f.Symbols() {
		env[s] = dim.Const(int64(size + i))
	}
	rng := rand.New(rand.NewPCG(1, uint64(size)))
	feeds := map[string]value.Value{}
	for _, p := range f.Params() {
		name := p.Node().ResultName(0)
		t, err := graph.SubstType(p.Type(), env)
		if err != nil {
			return nil, err
		}
		tt, ok := t.(graph.TensorType)
		shape, known := tt.ConstShape()
		if !ok || !known {
			return nil, errfmt.Errorf("input %s is %s: only tensors of known sizes can be drawn", name, p.Type())
		}
		e, err := value.TryExact(tt.DType, shape)
		if err != nil {
			return nil, err
		}
		for i := range e.F {
			e.F[i] = 2*rng.Float64() - 1
		}
		for i := range e.I {
			e.I[i] = int64(rng.IntN(high + 1))
		}
		for i := range e.U {
			e.U[i] = uint64(rng.IntN(high + 1))
		}
		for i := range e.B {
			e.B[i] = rng.IntN(2) == 1
		}
		for i := range e.S {
			e.S[i] = string(rune('a' + rng.IntN(26)))
		}
		feeds[name] = e.Tensor()
	}
	return feeds, nil
}

// Expectation is what a function gives as it is declared, gradients worked out and nothing rewritten, and what it was given.
type Expectation struct {
	Func      string
	Feeds     map[string]value.Value
	Variables map[string]*value.Tensor

	results, updates []string
	oracle           *graph.Oracle
}

// Expect evaluates the function that the inputs name by the references of its ops.
func Expect(m *graph.Module, in Inputs) (*Expectation, error) {
	if m == nil {
		return nil, errors.New("expect: want a module, have nil")
	}
	if in.Func == "" {
		return nil, errors.New("expect: want the name of a function")
	}
	if err := graph.Verify(m); err != nil {
		return nil, err
	}
	base, err := withoutGrads(m)
	if err != nil {
		return nil, err
	}
	targets, err := targetsOf(base, in)
	if err != nil {
		return nil, err
	}
	t := targets[len(targets)-1]
	e := &Expectation{Func: in.Func, Feeds: map[string]value.Value{}, Variables: map[string]*value.Tensor{}, oracle: t.oracle}
	f := base.LookupFunc(in.Func)
	for i, p := range f.Params() {
		e.Feeds[p.Node().ResultName(0)] = t.in[i]
	}
	for _, v := range base.Variables() {
		if e.Variables[v.Name()], err = t.read(v.Name()); err != nil {
			return nil, err
		}
	}
	for _, r := range f.Results() {
		e.results = append(e.results, r.Name)
	}
	for _, u := range f.Updates() {
		e.updates = append(e.updates, u.Var.Name())
	}
	return e, nil
}

// Compare holds the results of an execution on the expectation's feeds and variables, and the values that variables have afterwards, against
// what is expected, up to rounding (see graph.Oracle).
func (e *Expectation) Compare(results map[string]value.Value, variable func(name string) *value.Tensor) error {
	for i, name := range e.results {
		if err := e.oracle.Compare(i, results[name]); err != nil {
			return errfmt.Errorf("result %s: %w", name, err)
		}
	}
	for i, name := range e.updates {
		if err := e.oracle.Compare(len(e.results)+i, variable(name)); err != nil {
			return errfmt.Errorf("variable @%s: %w", name, err)
		}
	}
	return nil
}
