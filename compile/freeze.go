package compile

import (
	"errors"

	"github.com/graphrun/graphrun/graph"
	"github.com/graphrun/graphrun/graph/errfmt"
	"github.com/graphrun/graphrun/graph/value"
)

// Freeze turns variables with known values into constants: what follows from them is computed once, normalizations become part of the
// weights of the products before them, and kernels read weights in layouts of their own, of which all sessions of the program share one
// copy. A variable that some function updates stays a variable, with this value in a new session. To freeze a module that trains, keep only
// its other functions; see artifact.Keep. The tensors are shared, not copied, and must not be modified. A name that is no variable, or
// a tensor of another type, is an error.
func Freeze(weights map[string]*value.Tensor) Option {
	return func(c *Context) { c.weights = weights }
}

// frozen returns a module as options freeze it, and options that freeze nothing more.
func frozen(m *graph.Module, opts []Option) (*graph.Module, []Option, error) {
	c := &Context{}
	for _, o := range opts {
		o(c)
	}
	if c.weights == nil {
		return m, opts, nil
	}
	m = m.Clone()
	return m, append(opts[:len(opts):len(opts)], Freeze(nil)), FreezeVariables(m, c.weights)
}

// FreezeVariables does to a module what Freeze does before it is compiled. In a function with a grad, calls become what they call: a gradient
// by a frozen variable is what it was by the variable.
func FreezeVariables(m *graph.Module, weights map[string]*value.Tensor) error {
	if m == nil {
		return errors.New("freeze: want a module, have nil")
	}
	for name := range weights {
		if m.LookupVariable(name) == nil {
			return errfmt.Errorf("freeze: @%s is not a variable of the module", name)
		}
	}
	updated := map[*graph.Variable]bool{}
	for _, f := range m.Funcs() {
		joinReads(f, func(string) {}) // while it shows that it is one variable that a function and what it calls read
		for _, u := range f.Updates() {
			updated[u.Var] = true
		}
	}
	for _, v := range append([]*graph.Variable(nil), m.Variables()...) {
		t, known := weights[v.Name()]
		if !known {
			continue
		}
		if updated[v] {
			if have := graph.TypeOf(t); !graph.EqualTypes(have, v.Type()) {
				return errfmt.Errorf("freeze: @%s is %s, the tensor is %s", v.Name(), v.Type(), have)
			}
			continue
		}
		if err := m.FreezeVariable(v, t); err != nil {
			return errfmt.Errorf("freeze: %w", err)
		}
	}
	return nil
}
