package compile

import (
	"errors"
	"fmt"
	"slices"

	"github.com/graphrun/graphrun/graph"
)

// signatures are what those who run a module rely on, and no pass changes: its variables and functions, and the functions' inputs, results and
// updates. That the initializers of variables give what they should is a rule of the verifier.
type signatures struct {
	vars  []*graph.Variable
	funcs []*graph.Func
	of    []signature // by function
}

type signature struct {
	inputs, results []port
	updates         []string // variables
	version         int64    // of the function, when it was checked
}

// port is an input or a result.
type port struct {
	name string
	t    graph.Type
}

func signaturesOf(m *graph.Module) *signatures {
	s := &signatures{vars: slices.Clone(m.Variables()), funcs: slices.Clone(m.Funcs())}
	for _, f := range s.funcs {
		of := signature{version: f.Version()}
		for _, v := range f.Params() {
			of.inputs = append(of.inputs, port{v.Node().ResultName(0), v.Type()})
		}
		for _, r := range f.Results() {
			of.results = append(of.results, port{r.Name, r.Value.Type()})
		}
		for _, u := range f.Updates() {
			of.updates = append(of.updates, u.Var.Name())
		}
		s.of = append(s.of, of)
	}
	return s
}

// check says what is not as it was, nil if all is. It looks at functions that have changed since it was called last.
func (s *signatures) check(m *graph.Module) error {
	if !slices.Equal(m.Variables(), s.vars) || !slices.Equal(m.Funcs(), s.funcs) {
		return errors.New("the module has other variables or functions than before")
	}
	for i, f := range s.funcs {
		if of := &s.of[i]; f.Version() != of.version {
			of.version = f.Version()
			if err := of.check(f); err != nil {
				return fmt.Errorf("@%s: %w", f.Name(), err)
			}
		}
	}
	return nil
}

func (s *signature) check(f *graph.Func) error {
	params, results, updates := f.Params(), f.Results(), f.Updates()
	if len(params) != len(s.inputs) || len(results) != len(s.results) || len(updates) != len(s.updates) {
		return fmt.Errorf("it has %d inputs, %d results and %d updates, it had %d, %d and %d",
			len(params), len(results), len(updates), len(s.inputs), len(s.results), len(s.updates))
	}
	for i, v := range params {
		if err := s.inputs[i].check("input", v.Node().ResultName(0), v.Type()); err != nil {
			return err
		}
	}
	for i, r := range results {
		if err := s.results[i].check("result", r.Name, r.Value.Type()); err != nil {
			return err
		}
	}
	for i, u := range updates {
		if u.Var.Name() != s.updates[i] {
			return fmt.Errorf("it updates @%s where it updated @%s", u.Var.Name(), s.updates[i])
		}
	}
	return nil
}

func (p *port) check(what, name string, t graph.Type) error {
	if p.name == name && graph.EqualTypes(p.t, t) {
		return nil
	}
	return fmt.Errorf("%s %s was %s, and is %s, %s", what, p.name, p.t, name, t)
}
