package runtime

import (
	"cmp"
	"context"
	"runtime/debug"
	"slices"

	"github.com/graphrun/graphrun/graph"
	"github.com/graphrun/graphrun/graph/errfmt"
	"github.com/graphrun/graphrun/graph/value"
	"github.com/graphrun/graphrun/runtime/kernels"
	"github.com/graphrun/graphrun/runtime/kernels/parallel"
	"github.com/graphrun/graphrun/runtime/program"
)

// frame is a binding prepared to run in one arena. Everything that a call needs is made here, so that the call itself
// does not allocate.
type frame struct {
	b     *binding
	slots []*value.Tensor
	execs []exec
	// Slots whose storage changes from call to call: feeds by input, variables by index, those in the caller's tensors by output, and
	// what lies in the storage of one of these in another shape or after it.
	feeds, reads, outputs, views []moving
	spare                        []*value.Tensor // by output: what takes its place where the caller brings no tensor
	pc                           int             // the instruction that runs
	scratch                      float64         // bytes that kernels keep
	stop                         parallel.Stop   // ends an instruction of a call that is cancelled
	// next are the tensors that take the next values of variables, by index, while they are written.
	next []*value.Tensor
}

// exec is an instruction that is executed: all but aliases are.
type exec struct {
	ins  *program.Instr
	last bool         // whether it writes variables
	run  kernels.Func // nil: the op's reference computes it
	call kernels.Call
}

// moving is a slot and where its storage comes from.
type moving struct{ slot, from int }

// frame returns the frame of a binding in an arena.
func (a *arena) frame(b *binding, variables int) (*frame, error) {
	if fr := a.frames[b]; fr != nil {
		return fr, nil
	}
	if len(a.frames) >= maxFrames || a.scratch > b.room/8 {
		clear(a.frames)
		a.scratch = 0
	}
	fr, err := newFrame(a, b, variables)
	if err != nil {
		return nil, err
	}
	a.frames[b] = fr
	a.scratch += fr.scratch
	return fr, nil
}

func newFrame(a *arena, b *binding, variables int) (*frame, error) {
	f := b.f
	fr := &frame{
		b: b, slots: make([]*value.Tensor, len(f.Slots)), next: make([]*value.Tensor, variables), spare: make([]*value.Tensor, len(f.Outputs)),
	}
	for i, slot := range f.Slots {
		t := b.types[i]
		shape, _ := t.ConstShape()
		switch slot.Place {
		case program.Input:
			fr.feeds = append(fr.feeds, moving{i, slot.Index})
		case program.Read:
			fr.reads = append(fr.reads, moving{i, slot.Index})
		case program.Output:
			fr.outputs = append(fr.outputs, moving{i, slot.Index})
		case program.Constant:
			fr.slots[i] = slot.Const
		case program.Arena, program.Reuse, program.View:
			root := f.Root(i)
			data, ok := fr.dataOf(root, a)
			if !ok {
				fr.views = append(fr.views, moving{i, root})
				continue
			}
			if slot.Place != program.View {
				size, err := value.SizeBytes(t.DType, shape...)
				if err != nil {
					return nil, err
				}
				data = a.mem[b.at[i]:][:size:size]
			}
			var err error
			if fr.slots[i], err = value.View(t.DType, data, shape...); err != nil {
				return nil, err
			}
		}
	}
	room := kernels.Room{Bytes: b.room}
	for i := range f.Instrs {
		ins, st := &f.Instrs[i], b.steps[i]
		if ins.Alias() {
			continue
		}
		own := *st
		own.Room, own.Stop = &room, &fr.stop
		ex := exec{ins: ins, last: i >= f.Commit, call: kernels.Call{
			Spec: &own, In: make([]*value.Tensor, len(ins.In)), Out: make([]*value.Tensor, len(ins.Out)),
		}}
		if ins.Kernel != nil {
			var err error
			if ex.run, err = ins.Kernel.Prepare(ex.call.Spec); err != nil {
				return nil, at(ins.Node, err)
			}
		}
		fr.execs = append(fr.execs, ex)
	}
	fr.scratch = b.room - room.Bytes
	return fr, nil
}

// dataOf returns the storage of a root if it stays the same from call to call.
func (fr *frame) dataOf(root int, a *arena) (data []byte, ok bool) {
	switch fr.b.f.Slots[root].Place {
	case program.Input, program.Read, program.Output:
		return nil, false
	}
	if t := fr.slots[root]; t != nil {
		return t.Bytes(), true
	}
	return a.mem, true // the root itself
}

// load points slots at the tensors of this call.
func (fr *frame) load(in, out []*value.Tensor, vars []variable) error {
	for _, m := range fr.feeds {
		fr.slots[m.slot] = in[m.from]
	}
	for _, m := range fr.reads {
		fr.slots[m.slot] = vars[m.from].tensor
	}
	for _, m := range fr.outputs {
		if err := fr.rebase(m.slot, out[m.from]); err != nil {
			return err
		}
	}
	for _, m := range fr.views {
		if err := fr.rebase(m.slot, fr.slots[m.from]); err != nil {
			return err
		}
	}
	return nil
}

// rebase makes a slot a view of the storage of a tensor.
func (fr *frame) rebase(slot int, to *value.Tensor) (err error) {
	if t := fr.slots[slot]; t != nil {
		t.Rebase(to.Bytes())
		return nil
	}
	t := fr.b.types[slot]
	shape, _ := t.ConstShape()
	fr.slots[slot], err = value.View(t.DType, to.Bytes(), shape...)
	return err
}

// targets fills a.out with the tensors that results are computed in: new ones, or, if into, those that the caller wants them in unless they
// share storage with feeds or each other.
func (fr *frame) targets(a *arena, into bool) error {
	for _, m := range fr.outputs {
		if into {
			t := a.wanted[m.from]
			others := func(list []*value.Tensor) bool { return slices.ContainsFunc(list, t.Overlaps) }
			if t != nil && !others(a.in) && !others(a.wanted[:m.from]) && !others(a.wanted[m.from+1:]) {
				a.out[m.from] = t
				continue
			}
			a.out[m.from] = fr.spare[m.from]
		}
		if a.out[m.from] != nil {
			continue
		}
		t := fr.b.types[fr.b.f.Outputs[m.from].Slot]
		shape, _ := t.ConstShape()
		made, err := value.New(t.DType, shape...)
		if err != nil {
			return err
		}
		if a.out[m.from] = made; into {
			fr.spare[m.from] = made
		}
	}
	return nil
}

// unload lets go of the tensors of the call: a session holds nothing that a caller has given or got.
func (fr *frame) unload() {
	for i := range fr.execs {
		clear(fr.execs[i].call.In)
		clear(fr.execs[i].call.Out)
	}
	clear(fr.next)
	for _, m := range fr.feeds {
		fr.slots[m.slot] = nil
	}
	for _, m := range fr.reads {
		fr.slots[m.slot] = nil
	}
	for _, list := range [2][]moving{fr.outputs, fr.views} {
		for _, m := range list {
			if t := fr.slots[m.slot]; t != nil {
				t.Rebase(nil)
			}
		}
	}
}

// compute runs the instructions before the commit.
func (fr *frame) compute(ctx context.Context, watch watcher) (err error) {
	defer fr.rescue(&err)
	fr.stop.On(ctx.Done())
	defer fr.stop.On(nil)
	for fr.pc = 0; fr.pc < len(fr.execs); fr.pc++ {
		ex := &fr.execs[fr.pc]
		if ex.last {
			break
		}
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := fr.step(ex, watch); err != nil {
			return cmp.Or(ctx.Err(), at(ex.ins.Node, err))
		}
	}
	return ctx.Err() // once more before anything is committed
}

// commit runs the instructions that write variables, where compute has stopped.
func (fr *frame) commit(watch watcher) (err error) {
	defer fr.rescue(&err)
	for ; fr.pc < len(fr.execs); fr.pc++ {
		ex := &fr.execs[fr.pc]
		if err := fr.step(ex, watch); err != nil {
			return at(ex.ins.Node, err)
		}
	}
	return nil
}

// rescue turns a panic of a kernel into an error that names the node.
func (fr *frame) rescue(err *error) {
	if p := recover(); p != nil {
		n := fr.execs[fr.pc].ins.Node
		*err = at(n, errfmt.Errorf("BUG: the kernel of %s panicked: %v\n%s", n.Op().Name, p, debug.Stack()))
	}
}

func (fr *frame) step(ex *exec, watch watcher) error {
	for i, slot := range ex.ins.In {
		ex.call.In[i] = fr.slots[slot]
	}
	for i, slot := range ex.ins.Out {
		ex.call.Out[i] = fr.slots[slot]
	}
	if watch != nil {
		return fr.observed(ex, watch)
	}
	if ex.run == nil {
		return fr.reference(ex)
	}
	return ex.run(&ex.call)
}

// observed runs an instruction and shows it to the watcher, with the operands as they were before.
func (fr *frame) observed(ex *exec, watch watcher) error {
	in, out := make([]value.Value, len(ex.call.In)), make([]value.Value, len(ex.call.Out))
	for i, t := range ex.call.In {
		in[i] = t.Clone()
	}
	if err := fr.step(ex, nil); err != nil || fr.stop.Stopped() {
		return err // what has been stopped is not what it should be
	}
	for i, t := range ex.call.Out {
		if t != nil {
			out[i] = t.Clone()
		}
	}
	return watch(&observation{ex.ins.Node, in, out, fr.b.env, ex.run != nil && !ex.call.ByReference()})
}

// reference computes an instruction that has no kernel.
func (fr *frame) reference(ex *exec) error {
	in := make([]value.Value, len(ex.call.In))
	for i, t := range ex.call.In {
		in[i] = t
	}
	outs, err := (&graph.Interpreter{Done: fr.stop.Done()}).Node(ex.ins.Node, in, fr.b.env)
	if err != nil {
		return err
	}
	for i, v := range outs {
		if to := ex.call.Out[i]; to != nil {
			copy(to.Bytes(), v.(*value.Tensor).Bytes())
		}
	}
	return nil
}
