package compile

import (
	"github.com/graphrun/graphrun/graph"
	"github.com/graphrun/graphrun/graph/errfmt"
)

// Pass is one row of the pipeline.
type Pass struct {
	// Name is the pass's name in messages, dumps and golden tests.
	Name string
	// Doc says what the pass does and why it stands where it stands.
	Doc string
	// Run changes the module in place.
	Run func(c *Context, m *graph.Module) error
	// Emit, in place of Run, makes or changes the program; such rows stand behind all others and Optimize leaves them out.
	Emit func(c *Context, m *graph.Module) error
	// After names passes of which at least one row must stand earlier; checked at start-up.
	After []string
	// Check is an invariant that holds from the pass's first row to the end of the pipeline; it runs
	// after that row and after every later one.
	Check func(c *Context, m *graph.Module) error
}

// Passes is the pipeline: the only place where an order is written down. A row may stand twice.
var Passes = []*Pass{
	stabilize,
	autodiff,
	stabilize,
	simplify,
	fold,
	cse,
	dce,
	decompose,
	simplify,
	fold,
	cse,
	dce,
	fuse,
	selectKernels,
	schedule,
	emit,
	prepack,
	planMemory,
}

// checkOrder reports a row that stands before one it needs.
func checkOrder(passes []*Pass) error {
	seen := map[string]bool{}
	for i, p := range passes {
		if p.Name == "" || p.Doc == "" || (p.Run == nil) == (p.Emit == nil) {
			return errfmt.Errorf("pass %d (%q) needs Name, Doc, and Run or Emit", i, p.Name)
		}
		if p.Run != nil && i > 0 && passes[i-1].Emit != nil {
			return errfmt.Errorf("pass %d (%s) changes the module after the program has been made", i, p.Name)
		}
		for _, a := range p.After {
			if !seen[a] {
				return errfmt.Errorf("pass %d (%s) must stand after %s", i, p.Name, a)
			}
		}
		seen[p.Name] = true
	}
	return nil
}

func init() {
	if err := checkOrder(Passes); err != nil {
		panic("compile: " + err.Error())
	}
}
