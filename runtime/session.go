package runtime

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"

	"github.com/graphrun/graphrun/graph"
	"github.com/graphrun/graphrun/runtime/kernels"
	"github.com/graphrun/graphrun/runtime/program"
	"github.com/graphrun/graphrun/runtime/value"
)

// Session holds the state of one run of a program: the values of its variables. Many sessions may run one
// program at the same time, and the methods of a session may be called from several goroutines; calls that
// update variables run one after another.
type Session struct {
	prog *program.Program
	seed uint64

	mu    sync.RWMutex
	state map[string]*value.Tensor // the tensors are never written to: an update replaces them

	bindings sync.Map // from function name and input sizes to *binding
}

// Option changes how a session starts.
type Option func(*Session) error

// Seed sets the seed of everything random in the session: initial weights, dropout masks. The default is 0.
func Seed(seed uint64) Option {
	return func(s *Session) error { s.seed = seed; return nil }
}

// Weights gives variables their values; those not given are initialized. The tensors are shared, not copied,
// and must not be modified while the session lives. A name that is not a variable, or a tensor of another type,
// is an error.
func Weights(weights map[string]*value.Tensor) Option {
	return func(s *Session) error {
		for name, t := range weights {
			if err := s.check(name, t); err != nil {
				return err
			}
			s.state[name] = t
		}
		return nil
	}
}

// NewSession starts a session of a program: variables take the given weights or run their initializers.
func NewSession(prog *program.Program, opts ...Option) (*Session, error) {
	if prog == nil {
		return nil, fmt.Errorf("new session: want a program, have nil")
	}
	if _, err := kernels.CPU(); err != nil {
		return nil, fmt.Errorf("new session: %w", err)
	}
	s := &Session{prog: prog, state: map[string]*value.Tensor{}}
	for _, o := range opts {
		if err := o(s); err != nil {
			return nil, fmt.Errorf("new session: %w", err)
		}
	}
	for _, v := range prog.Variables {
		if s.state[v.Name] != nil {
			continue
		}
		key, err := value.FromSlice([]uint64{s.seed, 0}, 2)
		if err != nil {
			return nil, err
		}
		outs, _, err := s.call(context.Background(), v.Init, []value.Value{key})
		if err != nil {
			return nil, fmt.Errorf("new session: variable @%s: %w", v.Name, err)
		}
		s.state[v.Name] = outs[0].(*value.Tensor)
	}
	return s, nil
}

// Program returns the program that the session runs.
func (s *Session) Program() *program.Program { return s.prog }

// Variable returns the present value of a variable, nil if there is none of that name. The tensor must not be
// modified; a later update replaces it.
func (s *Session) Variable(name string) *value.Tensor {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.state[name]
}

// Variables returns the present values of all variables. The tensors must not be modified.
func (s *Session) Variables() map[string]*value.Tensor {
	s.mu.RLock()
	defer s.mu.RUnlock()
	all := make(map[string]*value.Tensor, len(s.state))
	for k, v := range s.state {
		all[k] = v
	}
	return all
}

// SetVariable replaces the value of a variable, which the session then owns: the tensor must not be modified.
func (s *Session) SetVariable(name string, t *value.Tensor) error {
	if err := s.check(name, t); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.state[name] = t
	return nil
}

func (s *Session) check(name string, t *value.Tensor) error {
	i := slices.IndexFunc(s.prog.Variables, func(v program.Variable) bool { return v.Name == name })
	if i < 0 {
		return fmt.Errorf("@%s is not a variable of the program", name)
	}
	if t == nil {
		return fmt.Errorf("variable @%s: want a tensor, have nil", name)
	}
	if have, want := graph.TypeOf(t), s.prog.Variables[i].Type; !graph.EqualTypes(have, want) {
		return fmt.Errorf("variable @%s: want %s, have %s", name, want, have)
	}
	return nil
}

// Run runs a function: feeds by input name in, results by name out. Reads see the variables as they are when
// the call starts; updates are committed together when it has succeeded. If it fails, or ctx is done, which is
// looked at between instructions, the variables keep their values. Results are the caller's own.
func (s *Session) Run(ctx context.Context, fn string, feeds map[string]value.Value) (map[string]value.Value, error) {
	f := s.prog.Funcs[fn]
	if f == nil {
		names := make([]string, 0, len(s.prog.Funcs))
		for name := range s.prog.Funcs {
			names = append(names, name)
		}
		slices.Sort(names)
		return nil, fmt.Errorf("run: there is no function %q: want one of %s", fn, strings.Join(names, ", "))
	}
	in, err := order(f, feeds)
	if err != nil {
		return nil, fmt.Errorf("run %s: %w", fn, err)
	}
	if len(f.Updates) > 0 {
		s.mu.Lock()
		defer s.mu.Unlock()
	} else {
		s.mu.RLock()
		defer s.mu.RUnlock()
	}
	outs, next, err := s.call(ctx, f, in)
	if err != nil {
		return nil, fmt.Errorf("run %s: %w", fn, err)
	}
	for i, u := range f.Updates {
		s.state[u.Var] = next[i].(*value.Tensor)
	}
	results := make(map[string]value.Value, len(outs))
	for i, o := range f.Outputs {
		results[o.Name] = outs[i]
	}
	return results, nil
}

// order sorts feeds into the order of the inputs and names the ones that are missing or unknown.
func order(f *program.Func, feeds map[string]value.Value) ([]value.Value, error) {
	in := make([]value.Value, len(f.Inputs))
	var missing []string
	for i, p := range f.Inputs {
		in[i] = feeds[p.Name]
		if value.IsNil(in[i]) {
			missing = append(missing, fmt.Sprintf("%s (%s)", p.Name, p.Type))
		}
	}
	if len(missing) > 0 {
		return nil, fmt.Errorf("no feed for %s", strings.Join(missing, ", "))
	}
	for name := range feeds {
		if !slices.ContainsFunc(f.Inputs, func(p program.Port) bool { return p.Name == name }) {
			return nil, fmt.Errorf("there is no input %q", name)
		}
	}
	return in, nil
}
