package compile

import (
	"errors"
	"slices"

	"github.com/graphrun/graphrun/graph"
	"github.com/graphrun/graphrun/graph/errfmt"
)

// signatures are what those who run a module rely on, and no pass changes: its variables and functions, and what goes into and comes out of the
// functions. That the initializers of variables give what they should is a rule of the verifier.
type signatures struct {
	vars  []*graph.Variable
	funcs []*graph.Func
	of    []signature // by function
	now   []port      // scratch of check
}

type signature struct {
	ports   []port
	version int64 // of the function, when it was checked
}

// port is an input, a result or an update.
type port struct {
	kind, name string
	t          graph.Type
}

func (p port) String() string {
	if p.kind == "" {
		return "nothing"
	}
	return p.kind + p.name + ": " + p.t.String()
}

// portsOf appends the ports of a function.
func portsOf(ports []port, f *graph.Func) []port {
	add := func(kind, name string, v graph.Value) { ports = append(ports, port{kind, name, v.Type()}) }
	for _, v := range f.Params() {
		add("input ", v.Node().ResultName(0), v)
	}
	for _, r := range f.Results() {
		add("result ", r.Name, r.Value)
	}
	for _, u := range f.Updates() {
		add("update @", u.Var.Name(), u.Value)
	}
	return ports
}

func signaturesOf(m *graph.Module) *signatures {
	s := &signatures{vars: slices.Clone(m.Variables()), funcs: slices.Clone(m.Funcs()), of: make([]signature, len(m.Funcs()))}
	for i, f := range s.funcs {
		s.of[i] = signature{portsOf(make([]port, 0, len(f.Params())+len(f.Results())+len(f.Updates())), f), f.Version()}
	}
	return s
}

// check says what is not as it was, nil if all is. It looks at functions that have changed since it was called last.
func (s *signatures) check(m *graph.Module) error {
	if !slices.Equal(m.Variables(), s.vars) || !slices.Equal(m.Funcs(), s.funcs) {
		return errors.New("the module has other variables or functions than before")
	}
	for i, f := range s.funcs {
		of := &s.of[i]
		if f.Version() == of.version {
			continue
		}
		of.version = f.Version()
		ports := portsOf(s.now[:0], f)
		s.now = ports
		for k := range max(len(ports), len(of.ports)) {
			var is, was port
			if k < len(ports) {
				is = ports[k]
			}
			if k < len(of.ports) {
				was = of.ports[k]
			}
			if is.kind != was.kind || is.name != was.name || !graph.EqualTypes(is.t, was.t) {
				return errfmt.Errorf("@%s has %v in the place of %v", f.Name(), is, was)
			}
		}
	}
	return nil
}
