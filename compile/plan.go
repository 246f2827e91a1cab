package compile

import (
	"github.com/graphrun/graphrun/graph"
	"github.com/graphrun/graphrun/graph/errfmt"
	"github.com/graphrun/graphrun/runtime/plan"
	"github.com/graphrun/graphrun/runtime/program"
)

var planMemory = &Pass{
	Name: "plan",
	Doc: "Lays the values of every function out in its arena, for all sizes of its symbol at once, and proves the result by running " +
		"it with an independent checker. Functions of several symbols are planned when their sizes are known.",
	After: []string{"emit"},
	Emit: func(c *Context, m *graph.Module) error {
		for _, f := range m.Funcs() {
			p := c.program.Funcs[f.Name()]
			symbol, one := onlySymbol(f)
			if p.Dynamic || !one {
				continue
			}
			if p.Plan = plan.Make(p, symbol, nil); p.Plan == nil {
				continue
			}
			c.Count("plan")
			if err := checkPlan(p); err != nil {
				return errfmt.Errorf("@%s: %w", f.Name(), err)
			}
		}
		return nil
	},
}

// checkPlan checks a function's plan for small, odd and large sizes of its symbol.
func checkPlan(p *program.Func) error {
	sizes := []int64{1}
	if p.Plan.Symbol != "" {
		sizes = []int64{1, 2, 3, 17, 64, 1 << 20}
	}
	if len(p.Instrs) > 1_000 && len(sizes) > 2 { // what is wrong for other sizes shows in small functions
		sizes = []int64{1, 17}
	}
	for _, n := range sizes {
		if float64(p.Plan.Peak.Per)*float64(n)+float64(p.Plan.Peak.Fixed) > 1<<62 {
			break // no call can ask for so many bytes
		}
		if err := plan.Check(p, p.Plan, n); err != nil {
			return errfmt.Errorf("%s = %d: %w", p.Plan.Symbol, n, err)
		}
	}
	return nil
}

// onlySymbol returns the symbol of a function's parameters, "" if there is none; one is false if there are several.
func onlySymbol(f *graph.Func) (symbol string, one bool) {
	switch symbols := f.Symbols(); len(symbols) {
	case 0:
		return "", true
	case 1:
		return symbols[0], true
	}
	return "", false
}
