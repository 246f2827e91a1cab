package runtime

import (
	"cmp"
	"context"
	"runtime/debug"

	"github.com/graphrun/graphrun/graph"
	"github.com/graphrun/graphrun/graph/errfmt"
	"github.com/graphrun/graphrun/graph/value"
	"github.com/graphrun/graphrun/runtime/kernels"
	"github.com/graphrun/graphrun/runtime/kernels/parallel"
	"github.com/graphrun/graphrun/runtime/program"
)

// runDynamic runs a function without a plan: one whose sizes depend on data, or that has values other than tensors.
func (s *Session) runDynamic(ctx context.Context, f *program.Func, feeds, results map[string]value.Value, into bool, accept func() error) error {
	in := make([]value.Value, len(f.Inputs))
	for i, p := range f.Inputs {
		in[i] = feeds[p.Name]
	}
	outs, next, err := s.callDynamic(ctx, f, in)
	if err != nil {
		return err
	}
	for i, o := range f.Outputs {
		if !into {
			results[o.Name] = outs[i]
			continue
		}
		v, wanted := results[o.Name]
		if !wanted {
			continue
		}
		to, ok := v.(*value.Tensor)
		from, tensor := outs[i].(*value.Tensor)
		if !ok || !tensor || !graph.EqualTypes(graph.TypeOf(to), graph.TypeOf(from)) {
			return errfmt.Errorf("result %q: it is %s, the value to write to is %s", o.Name, graph.TypeOf(outs[i]), graph.TypeOf(v))
		}
		copy(to.Bytes(), from.Bytes())
		copy(to.Strings(), from.Strings())
	}
	if accept != nil {
		if err := accept(); err != nil {
			return err
		}
	}
	for i, u := range f.Updates {
		s.set(u.Var, next[i].(*value.Tensor), false)
	}
	return nil
}

// dynamic is a call of a function without a plan. Its values have storage of their own, which the garbage collector takes
// back when no slot holds it any more.
type dynamic struct {
	s     *Session
	f     *program.Func
	slots []value.Value
	env   map[string]graph.Dim // grows as data decides sizes
	mem   memory
	ctx   context.Context
	stop  parallel.Stop
}

// callDynamic returns the results and the next values of the variables, which are the caller's own. The caller holds the lock.
func (s *Session) callDynamic(ctx context.Context, f *program.Func, in []value.Value) (outs, next []value.Value, err error) {
	d := &dynamic{
		s: s, f: f, ctx: ctx, slots: make([]value.Value, len(f.Slots)), env: map[string]graph.Dim{},
		mem: memory{limit: free(s.prog), slots: make([]float64, len(f.Slots))},
	}
	d.stop.On(ctx.Done())
	want, have := make([]graph.Type, len(in)), make([]graph.Type, len(in))
	for i, p := range f.Inputs {
		want[i], have[i] = p.Type, graph.TypeOf(in[i])
		d.slots[p.Slot] = in[i]
	}
	if i, err := graph.UnifyAll(want, have, d.env); err != nil {
		return nil, nil, errfmt.Errorf("input %q: %w", f.Inputs[i].Name, err)
	}
	if err := checkSizes(s.prog, f, d.env); err != nil {
		return nil, nil, err
	}
	for i, slot := range f.Slots {
		switch slot.Place {
		case program.Constant:
			d.slots[i] = slot.Const
		case program.Read:
			d.slots[i] = s.vars[slot.Index].tensor
		}
	}
	for i := range f.Instrs {
		if err := ctx.Err(); err != nil {
			return nil, nil, err
		}
		ins := &f.Instrs[i]
		if err := d.step(ins); err != nil {
			return nil, nil, cmp.Or(ctx.Err(), at(ins.Node, err))
		}
		for _, slot := range ins.Free {
			d.slots[slot] = nil
		}
	}
	if err := checkSizes(s.prog, f, d.env); err != nil { // those that data has decided, too
		return nil, nil, err
	}
	if err := ctx.Err(); err != nil {
		return nil, nil, err
	}
	for _, u := range f.Updates {
		next = append(next, value.Clone(d.slots[u.Slot]))
	}
	for _, o := range f.Outputs {
		outs = append(outs, value.Clone(d.slots[o.Slot]))
	}
	return outs, next, nil
}

func (d *dynamic) step(ins *program.Instr) error {
	n := ins.Node
	in, types := make([]value.Value, len(ins.In)), make([]graph.Type, len(ins.In))
	for i, slot := range ins.In {
		in[i], types[i] = d.slots[slot], graph.TypeOf(d.slots[slot])
	}
	outs, err := d.kernel(ins, in, types)
	kernel := outs != nil
	if err == nil && !kernel {
		outs, err = (&graph.Interpreter{Done: d.stop.Done()}).Node(n, in, d.env)
	}
	if err = cmp.Or(d.ctx.Err(), err); err != nil {
		return err // what has been stopped is not what it should be
	}
	if err := graph.BindUnknowns(n, outs, d.env); err != nil {
		return err
	}
	for i, slot := range ins.Out {
		d.slots[slot] = outs[i]
	}
	if d.s.watch == nil {
		return nil
	}
	seenIn, seenOut := make([]value.Value, len(in)), make([]value.Value, len(outs))
	for i, v := range in {
		seenIn[i] = value.Clone(v)
	}
	for i, v := range outs {
		seenOut[i] = value.Clone(v)
	}
	return d.s.watch(&observation{n, seenIn, seenOut, d.env, kernel})
}

// kernel computes an instruction by its kernel; it returns nil if there is none for these types.
func (d *dynamic) kernel(ins *program.Instr, in []value.Value, types []graph.Type) (outs []value.Value, err error) {
	n := ins.Node
	attrs, err := n.Attrs().Bind(d.env)
	if err != nil {
		return nil, err
	}
	regions, err := n.BindRegions(d.env)
	if err != nil {
		return nil, err
	}
	results, err := graph.InferTypes(n.Op(), types, attrs, regions, d.s.prog.Module)
	if err != nil {
		return nil, err
	}
	spec := &kernels.Spec{Attrs: attrs, Node: n, Regions: regions, Symbols: d.env}
	var shapes [][]int
	for _, t := range results {
		tt, _ := t.(graph.TensorType)
		shape, known := tt.ConstShape()
		if tt.DType == value.Invalid || !known {
			return nil, nil
		}
		if err := value.CheckWalk(tt.DType, shape...); err != nil {
			return nil, err
		}
		shapes = append(shapes, shape)
		spec.OutTypes = append(spec.OutTypes, tt)
	}
	if err := d.mem.step(ins, spec.OutTypes, ins.Alias()); err != nil {
		return nil, err
	}
	k := ins.Kernel
	if k == nil {
		return nil, nil
	}
	c := &kernels.Call{Spec: spec}
	for i, t := range types {
		c.In = append(c.In, in[i].(*value.Tensor))
		spec.InTypes = append(spec.InTypes, t.(graph.TensorType))
	}
	if k.Alias {
		t, err := c.In[0].Reshape(shapes[0]...)
		return []value.Value{t}, err
	}
	spec.Room, spec.Stop = &kernels.Room{Bytes: d.mem.limit - d.mem.live}, &d.stop
	run, err := k.Prepare(spec)
	if err != nil {
		return nil, err
	}
	for i, t := range spec.OutTypes {
		out, err := value.New(t.DType, shapes[i]...)
		if err != nil {
			return nil, err
		}
		c.Out = append(c.Out, out)
		outs = append(outs, out)
	}
	defer func() {
		if p := recover(); p != nil {
			outs, err = nil, errfmt.Errorf("BUG: the kernel of %s panicked: %v\n%s", k.Op, p, debug.Stack())
		}
	}()
	return outs, run(c)
}
