package compile

import (
	"fmt"

	"github.com/graphrun/graphrun/graph"
)

// signature is what those who run a function rely on: no pass changes it.
type signature struct {
	name            string // of the function, or of the variable whose initializer it is
	isInit          bool
	inputs, results []port
	updates         []string // variables
}

// port is an input or a result.
type port struct {
	name string
	t    graph.Type
}

// signaturesOf returns the signatures of the initializers, by variables, and of the functions of m.
func signaturesOf(m *graph.Module) (inits, funcs []signature) {
	for _, v := range m.Variables() {
		inits = append(inits, signatureOf(v.Name(), v.Init(), true))
	}
	for _, f := range m.Funcs() {
		funcs = append(funcs, signatureOf(f.Name(), f, false))
	}
	return inits, funcs
}

func signatureOf(name string, f *graph.Func, isInit bool) signature {
	s := signature{name: name, isInit: isInit}
	for _, v := range f.Params() {
		s.inputs = append(s.inputs, port{v.Node().ResultName(0), v.Type()})
	}
	for _, r := range f.Results() {
		s.results = append(s.results, port{r.Name, r.Value.Type()})
	}
	for _, u := range f.Updates() {
		s.updates = append(s.updates, u.Var.Name())
	}
	return s
}

// signatureFault says which function of m, and how, is not what it was, nil if all are.
func signatureFault(m *graph.Module, inits, funcs []signature) error {
	if len(m.Variables()) != len(inits) || len(m.Funcs()) != len(funcs) {
		return fmt.Errorf("the module has %d variables and %d functions, it had %d and %d", len(m.Variables()), len(m.Funcs()), len(inits), len(funcs))
	}
	for i, v := range m.Variables() {
		if err := inits[i].fault(v.Name(), v.Init()); err != nil {
			return err
		}
	}
	for i, f := range m.Funcs() {
		if err := funcs[i].fault(f.Name(), f); err != nil {
			return err
		}
	}
	return nil
}

func (s *signature) String() string {
	if s.isInit {
		return "the initializer of @" + s.name
	}
	return "@" + s.name
}

// fault says how f, which is found under a name, is not what the signature says.
func (s *signature) fault(name string, f *graph.Func) error {
	if name != s.name {
		return fmt.Errorf("@%s stands where @%s was", name, s.name)
	}
	params, results, updates := f.Params(), f.Results(), f.Updates()
	if len(params) != len(s.inputs) || len(results) != len(s.results) || len(updates) != len(s.updates) {
		return fmt.Errorf("%s has %d inputs, %d results and %d updates, it had %d, %d and %d", s,
			len(params), len(results), len(updates), len(s.inputs), len(s.results), len(s.updates))
	}
	for i, v := range params {
		if err := s.inputs[i].fault(s, "input", v.Node().ResultName(0), v.Type()); err != nil {
			return err
		}
	}
	for i, r := range results {
		if err := s.results[i].fault(s, "result", r.Name, r.Value.Type()); err != nil {
			return err
		}
	}
	for i, u := range updates {
		if u.Var.Name() != s.updates[i] {
			return fmt.Errorf("%s updates @%s where it updated @%s", s, u.Var.Name(), s.updates[i])
		}
	}
	return nil
}

func (p *port) fault(of *signature, what, name string, t graph.Type) error {
	if p.name == name && graph.EqualTypes(p.t, t) {
		return nil
	}
	return fmt.Errorf("%s %s of %s was %s: %s, and is %s: %s", what, p.name, of, p.name, p.t, name, t)
}
