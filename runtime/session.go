package runtime

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/graphrun/graphrun/graph"
	"github.com/graphrun/graphrun/graph/errfmt"
	"github.com/graphrun/graphrun/graph/value"
	"github.com/graphrun/graphrun/runtime/kernels"
	"github.com/graphrun/graphrun/runtime/program"
)

// Session holds the state of one run of a program: the values of its variables. Many sessions may run one
// program at the same time, and the methods of a session may be called from several goroutines; calls that
// update variables run one after another.
//
// A session takes the memory that a call needs once and uses it again: after the first calls with each set of input
// sizes, [Session.RunInto] does not allocate.
type Session struct {
	prog  *program.Program
	seed  uint64
	watch watcher

	mu      sync.RWMutex
	vars    []variable // as Program.Variables
	changes uint64     // of variables, from 1 on
	packs   kernels.Packs

	pool     sync.Mutex // guards what calls share
	arenas   []*arena   // those that no call uses
	bindings map[*program.Func][]*binding
}

// variable is the present value of a variable. Calls write it in place, except while it is shared with
// others, who see it as it was when they got it.
type variable struct {
	tensor  *value.Tensor
	shared  *atomic.Bool
	version uint64 // the last of Session.changes that has changed it
}

// Option changes how a session starts.
type Option func(*Session) error

// Seed sets the seed of everything random in the session: initial weights, dropout masks. The default is 0.
func Seed(seed uint64) Option {
	return func(s *Session) error { s.seed = seed; return nil }
}

// Weights gives variables their values; those not given are initialized. The tensors are shared, not copied,
// and must not be modified while the session lives: a call that updates one gives it new storage. A name that is not a
// variable, or a tensor of another type, is an error.
func Weights(weights map[string]*value.Tensor) Option {
	return func(s *Session) error {
		for name, t := range weights {
			i, err := s.check(name, t)
			if err != nil {
				return err
			}
			s.set(i, t, true)
		}
		return nil
	}
}

// Observer is told of every instruction after it has run: the node that it computes, the operands as they were before
// and the results, nil for one that nobody needs and the kernel leaves out. What it is given is its own. An error ends the call.
// It must not call the session that it observes.
type Observer func(n *graph.Node, in, out []value.Value) error

// Observe lets an observer watch all calls of the session, which makes them slower. Several are told in turn.
func Observe(o Observer) Option {
	return watching(func(seen *observation) error { return o(seen.node, seen.in, seen.out) })
}

// set gives a variable another value. Inlined, it takes 0.6 kB of a service.
//
//go:noinline
func (s *Session) set(index int, t *value.Tensor, shared bool) {
	v := &s.vars[index]
	v.tensor = t
	v.shared.Store(shared)
	s.changed(index)
}

// changed notes that a variable has another value.
func (s *Session) changed(index int) {
	s.changes++
	s.vars[index].version = s.changes
}

// NewSession starts a session of a program: variables take the given weights, those that compile.Freeze has left as variables, or
// what their initializers return.
func NewSession(prog *program.Program, opts ...Option) (*Session, error) {
	if prog == nil {
		return nil, errfmt.Errorf("new session: want a program, have nil")
	}
	if _, err := kernels.CPU(); err != nil {
		return nil, errfmt.Errorf("new session: %w", err)
	}
	if n := free(prog); n < 0 {
		have := float64(value.Memory())
		return nil, errfmt.Errorf("new session: out of memory: the variables take %s, there are %s", value.ByteText(have-n), value.ByteText(have))
	}
	s := &Session{prog: prog, vars: make([]variable, len(prog.Variables)), bindings: map[*program.Func][]*binding{}}
	for i := range s.vars {
		s.vars[i].shared = new(atomic.Bool)
	}
	for _, o := range opts {
		if err := o(s); err != nil {
			return nil, errfmt.Errorf("new session: %w", err)
		}
	}
	for i, v := range prog.Variables {
		if s.vars[i].tensor != nil {
			continue
		}
		if v.First != nil {
			s.set(i, v.First, true)
			continue
		}
		key, err := value.FromSlice([]uint64{s.seed, 0}, 2)
		if err != nil {
			return nil, err
		}
		outs, _, err := s.callDynamic(context.Background(), v.Init, []value.Value{key})
		if err != nil {
			return nil, errfmt.Errorf("new session: variable @%s: %w", v.Name, err)
		}
		s.set(i, outs[0].(*value.Tensor), false)
	}
	return s, nil
}

// Program returns the program that the session runs.
func (s *Session) Program() *program.Program { return s.prog }

// Variable returns the present value of a variable, nil if there is none of that name. The tensor must not be
// modified; a later update leaves it as it is and gives the variable new storage.
func (s *Session) Variable(name string) *value.Tensor {
	s.mu.RLock()
	defer s.mu.RUnlock()
	i := s.index(name)
	if i < 0 {
		return nil
	}
	s.vars[i].shared.Store(true)
	return s.vars[i].tensor
}

// Variables returns the present values of all variables; see Variable.
func (s *Session) Variables() map[string]*value.Tensor {
	s.mu.RLock()
	defer s.mu.RUnlock()
	all := make(map[string]*value.Tensor, len(s.vars))
	for i, v := range s.prog.Variables {
		s.vars[i].shared.Store(true)
		all[v.Name] = s.vars[i].tensor
	}
	return all
}

// SetVariable replaces the value of a variable. The tensor is shared, not copied, and must not be modified while the session
// lives: a call that updates the variable gives it new storage.
func (s *Session) SetVariable(name string, t *value.Tensor) error {
	i, err := s.check(name, t)
	if err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.set(i, t, true)
	return nil
}

func (s *Session) index(name string) int {
	return slices.IndexFunc(s.prog.Variables, func(v program.Variable) bool { return v.Name == name })
}

func (s *Session) check(name string, t *value.Tensor) (index int, err error) {
	i := s.index(name)
	if i < 0 {
		return 0, errfmt.Errorf("@%s is not a variable of the program", name)
	}
	if t == nil {
		return 0, errfmt.Errorf("variable @%s: want a tensor, have nil", name)
	}
	if have, want := graph.TypeOf(t), s.prog.Variables[i].Type; !graph.EqualTypes(have, want) {
		return 0, errfmt.Errorf("variable @%s: want %s, have %s", name, want, have)
	}
	return i, nil
}

// Run runs a function: feeds by input name in, results by name out. Reads see the variables as they are when
// the call starts; updates are committed together when it has succeeded. If it fails, or ctx is done, which ends
// a long instruction too, the variables keep their values. Results are the caller's own.
func (s *Session) Run(ctx context.Context, fn string, feeds map[string]value.Value) (map[string]value.Value, error) {
	f, err := s.lookup(fn)
	if err != nil {
		return nil, errfmt.Errorf("run: %w", err)
	}
	results := make(map[string]value.Value, len(f.Outputs))
	if err := s.run(ctx, f, feeds, results, false, nil); err != nil {
		return nil, errfmt.Errorf("run %s: %w", fn, err)
	}
	return results, nil
}

// RunInto is Run for a caller who brings the tensors that take the results: those that results names, which may be fewer than
// there are, of the dtypes and sizes that come. They take part in the computation: while it runs, and if the call fails, they
// hold anything. Those that share storage with feeds or with each other are copied to at its end.
func (s *Session) RunInto(ctx context.Context, fn string, feeds, results map[string]value.Value) error {
	return s.RunChecked(ctx, fn, feeds, results, nil)
}

// RunChecked is RunInto for a caller who looks at the results before the updates are committed: accept, if not nil, is called when
// results hold what the function has computed. If it returns an error, the variables keep their values, and the call fails
// with that error. It must not call the session.
func (s *Session) RunChecked(ctx context.Context, fn string, feeds, results map[string]value.Value, accept func() error) error {
	f, err := s.lookup(fn)
	if err != nil {
		return errfmt.Errorf("run: %w", err)
	}
	for name := range results {
		if !slices.ContainsFunc(f.Outputs, func(p program.Port) bool { return p.Name == name }) {
			return errfmt.Errorf("run %s: there is no result %q", fn, name)
		}
	}
	if err := s.run(ctx, f, feeds, results, true, accept); err != nil {
		return errfmt.Errorf("run %s: %w", fn, err)
	}
	return nil
}

func (s *Session) lookup(fn string) (*program.Func, error) {
	if f := s.prog.Funcs[fn]; f != nil {
		return f, nil
	}
	names := make([]string, 0, len(s.prog.Funcs))
	for name := range s.prog.Funcs {
		names = append(names, name)
	}
	slices.Sort(names)
	return nil, errfmt.Errorf("there is no function %q: want one of %s", fn, value.Few(names))
}

// run runs a function. Results go into the tensors that results holds, if into, and else are put there; accept, if not nil, then
// decides whether the updates are committed.
func (s *Session) run(ctx context.Context, f *program.Func, feeds, results map[string]value.Value, into bool, accept func() error) error {
	if err := checkNames(f, feeds); err != nil {
		return err
	}
	if len(f.Updates) > 0 {
		s.mu.Lock()
		defer s.mu.Unlock()
	} else {
		s.mu.RLock()
		defer s.mu.RUnlock()
	}
	if f.Dynamic || !tensors(f, feeds) {
		return s.runDynamic(ctx, f, feeds, results, into, accept)
	}
	a, err := s.takeArena()
	if err != nil {
		return err
	}
	a.in = a.in[:0]
	for _, p := range f.Inputs {
		a.in = append(a.in, feeds[p.Name].(*value.Tensor))
	}
	b, err := s.binding(f, a.in)
	if err != nil {
		s.putArena(a)
		return err
	}
	if len(a.mem) < b.size { // the smaller one is dropped
		in, out, wanted := a.in, a.out, a.wanted
		if a, err = newArena(b.size); err != nil {
			return err
		}
		a.in, a.out, a.wanted = in, out, wanted
	}
	fr, err := a.frame(b, len(s.vars))
	if err != nil {
		s.putArena(a)
		return err
	}
	a.out, a.wanted = sized(a.out, len(f.Outputs)), sized(a.wanted, len(f.Outputs))
	if into {
		if err := b.wanted(a.wanted, results); err != nil {
			s.putArena(a)
			return err
		}
		a.keepFeeds(f)
	}
	s.refresh(b)
	if err = fr.targets(a, into); err == nil {
		err = fr.load(a.in, a.out, s.vars)
	}
	if err == nil {
		err = fr.compute(ctx, s.watch)
	}
	if err == nil {
		err = s.finish(fr, a, results, into, accept)
	}
	fr.unload()
	s.putArena(a)
	return err
}

// wanted fills to, by output, with the tensors that shall take results, which it holds against the results' types.
func (b *binding) wanted(to []*value.Tensor, results map[string]value.Value) error {
	for k, o := range b.f.Outputs {
		v, wanted := results[o.Name]
		if !wanted {
			continue
		}
		t, ok := v.(*value.Tensor)
		if !ok || t == nil {
			return errfmt.Errorf("result %q: want a tensor to write to, have %T", o.Name, v)
		}
		want := b.types[o.Slot]
		same := t.DType() == want.DType && t.Rank() == len(want.Shape)
		for i, d := range want.Shape {
			n, _ := d.Int()
			same = same && int64(t.Shape()[i]) == n
		}
		if !same {
			return errfmt.Errorf("result %q: it is %s, the tensor to write to is %s", o.Name, want, graph.TypeOf(t))
		}
		to[k] = t
	}
	return nil
}

// finish hands over the results of a frame that has computed in an arena, copies of those that lie elsewhere than in the tensors of the call,
// and commits its updates if accept does. Nothing fails once the first variable has been written.
func (s *Session) finish(fr *frame, a *arena, results map[string]value.Value, into bool, accept func() error) error {
	f := fr.b.f
	for i, o := range f.Outputs {
		to := a.wanted[i]
		switch {
		case into && (to == nil || to == a.out[i]): // nobody wants it, or it is where it shall be
		case into:
			copy(to.Bytes(), fr.slots[o.Slot].Bytes())
		case a.out[i] != nil:
			results[o.Name] = a.out[i]
		default:
			results[o.Name] = fr.slots[o.Slot].Clone()
		}
	}
	if accept != nil {
		if err := accept(); err != nil {
			return err
		}
	}
	for _, u := range f.Updates {
		target := s.vars[u.Var].tensor
		// Where somebody watches, a call can fail while variables are written: it then keeps the present ones.
		if s.vars[u.Var].shared.Load() || slices.Contains(f.Keep, u.Var) || s.watch != nil {
			var err error
			if target, err = value.New(target.DType(), target.Shape()...); err != nil {
				return err
			}
		}
		fr.next[u.Var] = target
		if f.Slots[u.Slot].Place == program.Next {
			fr.slots[u.Slot] = target
		}
	}
	if err := fr.commit(s.watch); err != nil {
		return err
	}
	for _, u := range f.Updates {
		v, target := &s.vars[u.Var], fr.next[u.Var]
		if f.Slots[u.Slot].Place != program.Next {
			copy(target.Bytes(), fr.slots[u.Slot].Bytes())
		}
		if target != v.tensor {
			s.set(u.Var, target, false)
		} else {
			s.changed(u.Var)
		}
		fr.next[u.Var] = nil
	}
	return nil
}

// checkNames names the feeds that are missing or unknown.
func checkNames(f *program.Func, feeds map[string]value.Value) error {
	known := 0
	for _, p := range f.Inputs {
		if !value.IsNil(feeds[p.Name]) {
			known++
		}
	}
	if known == len(f.Inputs) && known == len(feeds) {
		return nil
	}
	var missing []string
	for _, p := range f.Inputs {
		if value.IsNil(feeds[p.Name]) {
			missing = append(missing, fmt.Sprintf("%s (%s)", p.Name, p.Type))
		}
	}
	if len(missing) > 0 {
		return errfmt.Errorf("no feed for %s", value.Few(missing))
	}
	for name := range feeds {
		if !slices.ContainsFunc(f.Inputs, func(p program.Port) bool { return p.Name == name }) {
			return errfmt.Errorf("there is no input %q", name)
		}
	}
	return nil
}

// tensors reports whether all feeds are tensors; the types of others are found faulty where types are matched.
func tensors(f *program.Func, feeds map[string]value.Value) bool {
	for _, p := range f.Inputs {
		if _, ok := feeds[p.Name].(*value.Tensor); !ok {
			return false
		}
	}
	return true
}
