package runtime

import (
	"errors"
	"slices"
	"sync/atomic"

	"github.com/graphrun/graphrun/graph"
	"github.com/graphrun/graphrun/graph/errfmt"
	"github.com/graphrun/graphrun/graph/value"
	"github.com/graphrun/graphrun/runtime/kernels"
	"github.com/graphrun/graphrun/runtime/plan"
	"github.com/graphrun/graphrun/runtime/program"
)

// binding is a function bound to the sizes of its inputs: the types of all slots, where they lie, and what kernels are
// told. It is made once per set of sizes and does not change.
type binding struct {
	f     *program.Func
	in    []graph.TensorType
	sizes [][]int // of the inputs
	env   map[string]graph.Dim
	types []graph.TensorType // by slot
	steps []*kernels.Spec    // by instruction: the node at these sizes
	packs []variablePack     // of variables, in layouts of kernels
	fresh atomic.Uint64      // the change of variables, see Session.changes, at which the packs were refreshed
	at    []int              // by slot: its offset in the arena, if it has one
	size  int                // of the arena
	free  float64            // bytes that there are for calls
	room  float64            // of these, left for scratch
}

// maxBindings bounds how many sets of sizes of a function a session remembers.
const maxBindings = 64

// binding returns the binding for the sizes of the inputs.
func (s *Session) binding(f *program.Func, in []*value.Tensor) (*binding, error) {
	s.pool.Lock()
	list := s.bindings[f]
	for i, b := range list {
		if b.matches(in) {
			copy(list[1:i+1], list[:i]) // the last one used is looked at first
			list[0] = b
			s.pool.Unlock()
			return b, nil
		}
	}
	s.pool.Unlock()
	types := make([]graph.TensorType, len(in))
	for i, t := range in {
		types[i] = graph.TypeOf(t).(graph.TensorType)
	}
	b, err := bind(s.prog, f, types, &s.packs)
	if err != nil {
		return nil, err
	}
	s.pool.Lock()
	defer s.pool.Unlock()
	list = append([]*binding{b}, s.bindings[f]...)
	s.bindings[f] = list[:min(len(list), maxBindings)]
	return b, nil
}

func (b *binding) matches(in []*value.Tensor) bool {
	for i, t := range in {
		if t.DType() != b.in[i].DType || !slices.Equal(t.Shape(), b.sizes[i]) {
			return false
		}
	}
	return true
}

// bind matches the inputs against their declared types and infers every instruction anew with the sizes known, so
// that a constraint that could not be decided when the model was declared fails here, with the user's position.
//
// Operands that stay the same from call to call are packed where kernels ask for it: constants in the program, and variables that the
// function does not update in packs, which may be nil.
func bind(prog *program.Program, f *program.Func, in []graph.TensorType, packs *kernels.Packs) (*binding, error) {
	b := &binding{f: f, in: in, env: map[string]graph.Dim{}, types: make([]graph.TensorType, len(f.Slots)), free: free(prog)}
	want, have := make([]graph.Type, len(in)), make([]graph.Type, len(in))
	for i, p := range f.Inputs {
		want[i], have[i] = p.Type, in[i]
		sizes, _ := in[i].ConstShape()
		b.sizes = append(b.sizes, sizes)
		if err := value.CheckWalk(in[i].DType, sizes...); err != nil {
			return nil, errfmt.Errorf("input %q: %w", p.Name, err)
		}
	}
	if i, err := graph.UnifyAll(want, have, b.env); err != nil {
		return nil, errfmt.Errorf("input %q: %w", f.Inputs[i].Name, err)
	}
	if err := checkSizes(prog, f, b.env); err != nil {
		return nil, err
	}
	for i, slot := range f.Slots {
		switch slot.Place {
		case program.Input:
			b.types[i] = b.in[slot.Index]
		case program.Constant, program.Read:
			b.types[i] = slot.Type.(graph.TensorType)
		}
	}
	for i := range f.Instrs {
		ins := &f.Instrs[i]
		st, err := b.step(prog, ins)
		if err != nil {
			return nil, at(ins.Node, err)
		}
		b.pack(prog, ins, st, packs)
		b.steps = append(b.steps, st)
	}
	return b, b.layOut()
}

// checkSizes refuses sizes that the function refuses as it was declared.
func checkSizes(prog *program.Program, f *program.Func, env map[string]graph.Dim) error {
	if declared := prog.Module.LookupFunc(f.Name); declared != nil { // and no initializer, whose sizes are all known
		return declared.CheckSizes(env)
	}
	return nil
}

// step infers an instruction.
func (b *binding) step(prog *program.Program, ins *program.Instr) (st *kernels.Spec, err error) {
	n := ins.Node
	st = &kernels.Spec{Node: n, Symbols: b.env}
	if st.Attrs, err = n.Attrs().Bind(b.env); err != nil {
		return st, err
	}
	if st.Regions, err = n.BindRegions(b.env); err != nil {
		return st, err
	}
	operands := make([]graph.Type, len(ins.In))
	for i, slot := range ins.In {
		operands[i] = b.types[slot]
		st.InTypes = append(st.InTypes, b.types[slot])
	}
	types, err := graph.InferTypes(n.Op(), operands, st.Attrs, st.Regions, prog.Module)
	if err != nil {
		return st, err
	}
	for i, slot := range ins.Out {
		t, ok := types[i].(graph.TensorType)
		sizes, known := t.ConstShape()
		if !ok || !known {
			return st, errfmt.Errorf("BUG: the result is %s, whose size does not follow from those of the inputs", types[i])
		}
		if err := value.CheckWalk(t.DType, sizes...); err != nil {
			return st, err
		}
		b.types[slot] = t
		st.OutTypes = append(st.OutTypes, t)
	}
	return st, nil
}

// variablePack is a variable, by its index, in a layout.
type variablePack struct {
	variable int
	*kernels.Packed
}

// pack has the operands of an instruction packed that its kernel wants so.
func (b *binding) pack(prog *program.Program, ins *program.Instr, st *kernels.Spec, packs *kernels.Packs) {
	if ins.Kernel == nil || ins.Kernel.Pack == nil {
		return
	}
	for i, slot := range ins.In {
		s := &b.f.Slots[slot]
		updated := func() bool {
			return slices.ContainsFunc(b.f.Updates, func(u program.Update) bool { return u.Var == s.Index })
		}
		if s.Place != program.Constant && (s.Place != program.Read || packs == nil || updated()) {
			continue
		}
		l := ins.Kernel.Pack(st, i)
		if l == nil {
			continue
		}
		if st.Packed == nil {
			st.Packed = make([]*kernels.Packed, len(ins.In))
		}
		if s.Place == program.Constant {
			st.Packed[i] = prog.Packs.Of(s.Const, l)
			st.Packed[i].Refresh(s.Const, 0, nil)
			continue
		}
		st.Packed[i] = packs.Of(s.Index, l)
		b.packs = append(b.packs, variablePack{s.Index, st.Packed[i]})
	}
}

// refresh packs the variables that have changed since it was called last. The caller holds the session's lock for reading at least.
func (s *Session) refresh(b *binding) {
	if len(b.packs) == 0 || b.fresh.Load() == s.changes {
		return
	}
	for _, p := range b.packs {
		v, among := &s.vars[p.variable], s.prog.Packs
		if !v.shared.Load() {
			among = nil // it is written in place
		}
		p.Refresh(v.tensor, v.version, among)
	}
	b.fresh.Store(s.changes)
}

// layOut finds the place of every slot: the program's plan says so, or one is made for these sizes.
func (b *binding) layOut() error {
	f := b.f
	p, n := f.Plan, int64(0)
	if p == nil {
		types := make([]graph.Type, len(b.types))
		for i, t := range b.types {
			types[i] = t
		}
		if p = plan.Make(f, "", types); p == nil {
			return b.outOfMemory()
		}
		if err := plan.Check(f, p, 0); err != nil {
			return errfmt.Errorf("BUG: the plan of @%s: %w", f.Name, err)
		}
	} else if p.Symbol != "" {
		d, ok := b.env[p.Symbol].Int()
		if !ok {
			return errfmt.Errorf("BUG: the size %s is not known", p.Symbol)
		}
		n = d
	}
	need := float64(p.Peak.Per)*float64(n) + float64(p.Peak.Fixed)
	for _, o := range f.Outputs { // each has storage of its own, copies of one value too
		need += bytesOf(b.types[o.Slot])
	}
	if b.room = b.free - need; b.room < 0 {
		return b.outOfMemory()
	}
	b.size = int(p.Size(n))
	b.at = make([]int, len(f.Slots))
	for i, slot := range f.Slots {
		switch slot.Place {
		case program.Arena:
			if have, want := p.Sizes[i].At(n), int64(bytesOf(b.types[i])); want > have {
				return errfmt.Errorf("BUG: slot %d of @%s takes %d bytes, the plan says %d", i, f.Name, want, have)
			}
			b.at[i] = int(p.Offset(i, n))
		case program.Reuse:
			b.at[i] = b.at[f.Root(i)] // of no meaning in an output
		}
	}
	return nil
}

// outOfMemory is the error of a call that cannot fit; it names the instruction at which that shows.
func (b *binding) outOfMemory() error {
	m := memory{limit: b.free, slots: make([]float64, len(b.f.Slots))}
	for i := range b.f.Instrs {
		ins := &b.f.Instrs[i]
		if err := m.step(ins, b.steps[i].OutTypes, ins.Alias()); err != nil {
			return at(ins.Node, err)
		}
	}
	return errfmt.Errorf("out of memory: the call needs more than the %s there are", value.ByteText(m.limit))
}

// free returns how much memory there is beside the variables.
func free(prog *program.Program) float64 {
	n := float64(value.Memory())
	for _, v := range prog.Variables {
		n -= bytesOf(v.Type)
	}
	return n
}

// memory follows what a call holds at once, so that one that cannot fit is refused before it starts.
type memory struct {
	limit, live float64
	slots       []float64 // bytes
}

func (m *memory) step(ins *program.Instr, types []graph.TensorType, alias bool) error {
	if !alias {
		for i, t := range types {
			m.slots[ins.Out[i]] = bytesOf(t)
			m.live += m.slots[ins.Out[i]]
			if m.live > m.limit {
				return errfmt.Errorf("out of memory: the result is %s, and the call would hold %s at this point: there are %s",
					t, value.ByteText(m.live), value.ByteText(m.limit))
			}
		}
	}
	for _, slot := range ins.Free {
		m.live -= m.slots[slot]
	}
	return nil
}

// bytesOf returns the size of a tensor, 0 if it depends on data.
func bytesOf(t graph.TensorType) float64 {
	n := float64(t.DType.Bits()) / 8
	for _, d := range t.Shape {
		k, _ := d.Int()
		n *= float64(k)
	}
	return n
}

// at gives an error the position and the op of a node, unless it has one.
func at(n *graph.Node, err error) error {
	if _, ok := errors.AsType[*graph.Diagnostic](err); ok {
		return err
	}
	return &graph.Diagnostic{Pos: n.Pos(), Op: n.Op().Name, Msg: err.Error()}
}
