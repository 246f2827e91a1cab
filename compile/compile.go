package compile

import (
	"errors"
	"fmt"
	"io"
	"maps"
	"runtime/debug"
	"slices"
	"time"

	"github.com/graphrun/graphrun/graph"
	"github.com/graphrun/graphrun/graph/errfmt"
	"github.com/graphrun/graphrun/graph/value"
	"github.com/graphrun/graphrun/runtime/kernels"
	"github.com/graphrun/graphrun/runtime/program"
)

// Option changes how a module is compiled.
type Option func(*Context)

// PassLimit stops optional rewrites after n of them, counted over all passes: with it a miscompile is
// bisected to one rewrite. Rewrites that a program needs (autodiff, decompose) are always made.
func PassLimit(n int) Option { return func(c *Context) { c.limit = n } }

// Only runs only the rows of the table with the given names, in the table's order.
func Only(names ...string) Option {
	return func(c *Context) {
		c.passes = nil
		for _, p := range Passes {
			if slices.Contains(names, p.Name) {
				c.passes = append(c.passes, p)
			}
		}
		for _, n := range names {
			if LookupPass(n) == nil {
				c.err = noPass(n)
			}
		}
	}
}

func noPass(name string) error {
	return errfmt.Errorf("there is no pass %q: want one of %v", name, PassNames())
}

// Through runs the given passes in the given order, which the table's After rules need not allow: it is for
// tests that look at one pass alone.
func Through(names ...string) Option {
	return func(c *Context) {
		c.passes = nil
		for _, n := range names {
			p := LookupPass(n)
			if p == nil {
				c.err = noPass(n)
				return
			}
			c.passes = append(c.passes, p)
		}
	}
}

// Portable runs only the rows before fuse, for no particular target: their result means the same on every machine, does not depend on the
// kernels of this build, and holds no fused nodes.
func Portable() Option {
	return func(c *Context) { c.passes, c.target = Passes[:slices.Index(Passes, fuse)], anywhere }
}

// Insert adds a row to the table: as early as the passes that its After names allow, so that the rows behind it clean up after it. It is how
// a pass from another module runs; see ReplaceNodes and ApplyRules. The pass has Doc, Run, and a name of its own.
func Insert(p *Pass) Option {
	return func(c *Context) { c.inserts = append(c.inserts, func() error { return c.insert(p) }) }
}

// insert puts a pass into the pipeline, behind those that have been put to the same place before.
func (c *Context) insert(p *Pass) error {
	if p == nil || p.Name == "" || p.Doc == "" || p.Run == nil || p.Emit != nil {
		return errors.New("an inserted pass needs Name, Doc and Run, and has no Emit")
	}
	if LookupPass(p.Name) != nil || named(c.passes, p.Name) {
		return errfmt.Errorf("there is a pass %q already", p.Name)
	}
	at := 0
	for _, name := range p.After {
		for !named(c.passes[:at], name) {
			if at == len(c.passes) || c.passes[at].Run == nil {
				return errfmt.Errorf("pass %q must stand after %s, which does not run before the program is made", p.Name, name)
			}
			at++
		}
	}
	for at < len(c.passes) && LookupPass(c.passes[at].Name) == nil {
		at++
	}
	c.passes = slices.Concat(c.passes[:at], []*Pass{p}, c.passes[at:])
	return nil
}

// named reports whether a pass of that name is among some.
func named(passes []*Pass, name string) bool {
	return slices.ContainsFunc(passes, func(p *Pass) bool { return p.Name == name })
}

// Dump writes the module's text before and after each of the named passes to w; without names, around
// all passes.
func Dump(w io.Writer, names ...string) Option {
	return func(c *Context) { c.dump, c.dumped = w, names }
}

// Stats fills s with what each row did.
func Stats(s *[]RowStats) Option { return func(c *Context) { c.stats = s } }

// RowStats says what one row of the pass table did.
type RowStats struct {
	Pass     string
	Rewrites map[string]int // by rule
	Nodes    int            // in all functions after the pass; once there are instructions, those that are executed
	Time     time.Duration
}

// Context is what the passes of one compilation share.
type Context struct {
	passes  []*Pass
	target  *Target
	weights map[string]*value.Tensor // to freeze; nil: none
	limit   int                      // optional rewrites allowed; negative: any number
	steps   int
	counts  map[string]int
	dump    io.Writer
	dumped  []string
	stats   *[]RowStats
	err     error // of the options

	inserts []func() error // what Insert asks for, done when the other options have chosen the rows

	pass  *Pass                                // that runs
	log   *[]Rewrite                           // nil: rewrites are only counted
	after func(row int, m *graph.Module) error // called when a row has passed the verifier

	folded  foldBudget                      // what fold has done
	kernels map[*graph.Node]*kernels.Kernel // from select on: of the nodes that have one
	program *program.Program                // from emit on
}

// Allow reports whether one more optional rewrite may be made, and counts it: a pass asks right before it makes one. The node, nil
// where it is no single one, is what a bisection names.
func (c *Context) Allow(rule string, n *graph.Node) bool {
	if c.limit >= 0 && c.steps >= c.limit {
		return false
	}
	c.steps++
	c.counts[rule]++
	if c.log != nil {
		*c.log = append(*c.log, newRewrite(c.steps, c.pass.Name, rule, n))
	}
	return true
}

// Count counts a rewrite that the program needs.
func (c *Context) Count(rule string) { c.counts[rule]++ }

// LookupPass returns the pass of a name, nil if there is none.
func LookupPass(name string) *Pass {
	for _, p := range Passes {
		if p.Name == name {
			return p
		}
	}
	return nil
}

// PassNames returns the names of all passes, each once, in the order of the table.
func PassNames() []string {
	var names []string
	for _, p := range Passes {
		if !slices.Contains(names, p.Name) {
			names = append(names, p.Name)
		}
	}
	return names
}

// Compile checks a module and turns it into a program. The module is not changed. Faults of the model
// come back all at once as graph.Diagnostics.
func Compile(m *graph.Module, opts ...Option) (*program.Program, error) {
	c, o, err := optimize(m, opts)
	if err != nil {
		return nil, err
	}
	if c.kernels == nil { // not by a row of its own
		if err := selectKernels.Run(c, o); err != nil {
			return nil, err
		}
	}
	for _, p := range Passes {
		if p.Emit == nil {
			continue
		}
		start := time.Now()
		c.pass, c.counts = p, map[string]int{}
		if err := guard(p, o, func() error { return p.Emit(c, o) }); err != nil {
			return nil, bug(p, o, err)
		}
		if c.stats != nil {
			steps := 0
			for _, f := range c.program.Funcs {
				steps += f.Steps()
			}
			*c.stats = append(*c.stats, RowStats{p.Name, c.counts, steps, time.Since(start)})
		}
	}
	return c.program, nil
}

// Optimize runs the passes on a copy of the module and returns the copy. The copy takes no sizes that the module refuses, though its
// text may. The verifier runs before the first pass and after every one; what it finds after a pass is a fault of the compiler, and the
// error says so and holds the module's text.
func Optimize(m *graph.Module, opts ...Option) (*graph.Module, error) {
	_, m, err := optimize(m, opts)
	return m, err
}

// newContext is what the options ask for.
func newContext(opts []Option) (*Context, error) {
	c := &Context{passes: Passes, target: CPU, limit: -1}
	for _, o := range opts {
		if o == nil {
			return nil, errors.New("an option is nil")
		}
		o(c)
	}
	for _, insert := range c.inserts {
		if c.err == nil {
			c.err = insert()
		}
	}
	for _, name := range c.dumped {
		if c.err == nil && LookupPass(name) == nil && !named(c.passes, name) {
			c.err = noPass(name)
		}
	}
	if t := c.target; c.err == nil && (t == nil || t.Whole == nil || t.Role == nil) {
		c.err = errors.New("a target needs Whole and Role")
	}
	return c, c.err
}

func optimize(m *graph.Module, opts []Option) (*Context, *graph.Module, error) {
	c, err := newContext(opts)
	if err != nil {
		return nil, nil, err
	}
	if m == nil {
		return nil, nil, errors.New("compile: want a module, have nil")
	}
	if err := m.Err(); err != nil {
		return nil, nil, err
	}
	m = m.Clone()
	if c.weights != nil {
		if err := FreezeVariables(m, c.weights); err != nil {
			return nil, nil, err
		}
	}
	if err := graph.VerifyChanges(m); err != nil {
		return nil, nil, err
	}
	if err := m.KeepDemands(); err != nil {
		return nil, nil, err
	}
	signatures := signaturesOf(m)
	var checks []*Pass
	for row, p := range c.passes {
		if p.Run == nil {
			continue
		}
		start := time.Now()
		c.pass, c.counts = p, map[string]int{}
		c.print(m, p, "before")
		version := m.Version()
		if err := run(c, p, m); err != nil {
			return nil, nil, err
		}
		c.print(m, p, "after")
		if err := graph.VerifyChanges(m); err != nil {
			return nil, nil, bug(p, m, err)
		}
		if m.Version() != version {
			if err := signatures.check(m); err != nil {
				return nil, nil, bug(p, m, err)
			}
		}
		added := p.Check != nil && !slices.Contains(checks, p)
		if added {
			checks = append(checks, p)
		}
		for _, q := range checks {
			if m.Version() == version && !(added && p == q) {
				continue // as when it was checked last
			}
			if err := q.Check(c, m); err != nil {
				return nil, nil, bug(p, m, errfmt.Errorf("the invariant of %s is broken: %w", q.Name, err))
			}
		}
		if c.stats != nil {
			nodes := 0
			for _, f := range m.Funcs() {
				nodes += len(f.Nodes())
			}
			*c.stats = append(*c.stats, RowStats{p.Name, maps.Clone(c.counts), nodes, time.Since(start)})
		}
		if c.after != nil {
			if err := c.after(row, m); err != nil {
				return nil, nil, err
			}
		}
	}
	return c, m, nil
}

// run runs one pass on the module.
func run(c *Context, p *Pass, m *graph.Module) error {
	err := guard(p, m, func() error { return p.Run(c, m) })
	switch {
	case m.IsFull():
		return errfmt.Errorf("after %s: %w", p.Name, m.Err())
	case err == nil && m.Err() != nil:
		return bug(p, m, m.Err())
	}
	return err
}

// guard turns a panic into an error that names the pass and shows the module.
func guard(p *Pass, m *graph.Module, f func() error) (err error) {
	defer func() {
		if r := recover(); r != nil {
			err = bug(p, m, errfmt.Errorf("panic: %v\n%s", r, debug.Stack()))
		}
	}()
	return f()
}

func bug(p *Pass, m *graph.Module, err error) error {
	return errfmt.Errorf("BUG: after %s: %w\n%s", p.Name, err, m)
}

func (c *Context) print(m *graph.Module, p *Pass, when string) {
	if c.dump == nil || len(c.dumped) > 0 && !slices.Contains(c.dumped, p.Name) {
		return
	}
	fmt.Fprintf(c.dump, "// %s %s\n%s\n", when, p.Name, m)
}
