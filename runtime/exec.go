package runtime

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"runtime/debug"
	"slices"
	"strings"

	"github.com/graphrun/graphrun/graph"
	"github.com/graphrun/graphrun/runtime/kernels"
	"github.com/graphrun/graphrun/runtime/program"
	"github.com/graphrun/graphrun/runtime/value"
)

// binding is a function bound to the sizes of its inputs: for every instruction the sizes of its results and the
// kernel that computes it. It is made once per set of sizes.
type binding struct {
	env     map[string]graph.Dim
	steps   []step
	dynamic bool // sizes of some values depend on data, and env grows during a call
}

type step struct {
	kernel *kernels.Kernel // nil: the reference computes it
	run    kernels.Func
	spec   *kernels.Spec
	attrs  graph.Attrs
	shapes [][]int // sizes of the results; unused without kernel
	types  []graph.Type
}

// bind matches the inputs against their declared types and infers every instruction anew with the sizes known, so
// that a constraint that could not be decided when the model was declared fails here, with the user's position.
func (s *Session) bind(f *program.Func, in []value.Value) (*binding, error) {
	var key strings.Builder
	fmt.Fprintf(&key, "%p", f)
	for _, v := range in {
		key.WriteByte(' ')
		key.WriteString(graph.TypeOf(v).String())
	}
	if b, ok := s.bindings.Load(key.String()); ok {
		return b.(*binding), nil
	}
	b := &binding{env: map[string]graph.Dim{}}
	types := make([]graph.Type, f.Slots)
	want, have := make([]graph.Type, len(in)), make([]graph.Type, len(in))
	for i, p := range f.Inputs {
		want[i], have[i] = p.Type, graph.TypeOf(in[i])
		types[p.Slot] = have[i]
	}
	if i, err := graph.UnifyAll(want, have, b.env); err != nil {
		return nil, fmt.Errorf("input %q: %w", f.Inputs[i].Name, err)
	}
	known := true // until a result's size depends on data
	mem := memory{limit: float64(value.Memory()), slots: make([]float64, f.Slots)}
	for _, ins := range f.Instrs {
		n := ins.Node
		st := step{}
		var err error
		if st.attrs, err = n.Attrs().Bind(b.env); err != nil {
			return nil, at(n, err)
		}
		operands := make([]graph.Type, len(ins.In))
		for i, slot := range ins.In {
			operands[i] = types[slot]
		}
		if st.types, err = graph.InferTypes(n.Op(), operands, st.attrs, n.Regions(), s.prog.Module); err != nil {
			return nil, at(n, err)
		}
		for i, slot := range ins.Out {
			types[slot] = st.types[i]
		}
		known = known && constant(st.types)
		b.dynamic = !known
		if known && !n.Op().Props.Structural {
			st.kernel = kernels.Lookup(n.Op().Name, operands, st.attrs)
		}
		if st.kernel != nil && !st.kernel.Alias {
			st.spec = &kernels.Spec{Attrs: st.attrs, Node: n}
			for _, t := range operands {
				st.spec.InTypes = append(st.spec.InTypes, t.(graph.TensorType))
			}
			for _, t := range st.types {
				st.spec.OutTypes = append(st.spec.OutTypes, t.(graph.TensorType))
			}
			if st.run, err = st.kernel.Prepare(st.spec); err != nil {
				return nil, at(n, err)
			}
			if st.run == nil {
				st.kernel = nil
			}
		}
		if st.kernel != nil {
			for _, t := range st.types {
				shape, _ := t.(graph.TensorType).ConstShape()
				st.shapes = append(st.shapes, shape)
			}
		}
		if err := mem.step(ins, st); err != nil {
			return nil, at(n, err)
		}
		b.steps = append(b.steps, st)
	}
	s.bindings.Store(key.String(), b)
	return b, nil
}

// memory follows what a call holds at once, so that one that cannot fit is refused before it starts.
type memory struct {
	limit, live float64
	slots       []float64 // bytes
}

func (m *memory) step(ins program.Instr, st step) error {
	if op := ins.Node.Op(); op.Name != "constant" && op.Name != "read" && (st.kernel == nil || !st.kernel.Alias) {
		for i, t := range st.types {
			m.slots[ins.Out[i]] = bytesOf(t)
			m.live += m.slots[ins.Out[i]]
			if m.live > m.limit {
				return fmt.Errorf("out of memory: the result is %s, and the call would hold %s at this point: there are %s",
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
func bytesOf(t graph.Type) float64 {
	tt, ok := t.(graph.TensorType)
	if !ok {
		return 0
	}
	n := float64(tt.DType.Bits()) / 8
	for _, d := range tt.Shape {
		k, _ := d.Int()
		n *= float64(k)
	}
	return n
}

func constant(types []graph.Type) bool {
	for _, t := range types {
		tt, ok := t.(graph.TensorType)
		if !ok {
			return false
		}
		if _, ok := tt.ConstShape(); !ok {
			return false
		}
	}
	return true
}

// at gives an error the position and the op of a node, unless it has one.
func at(n *graph.Node, err error) error {
	var d *graph.Diagnostic
	if errors.As(err, &d) {
		return err
	}
	return &graph.Diagnostic{Pos: n.Pos(), Op: n.Op().Name, Msg: err.Error()}
}

// slotValue is what a slot holds during a call. buf is the storage if it belongs to the call: feeds, constants and
// variables have none.
type slotValue struct {
	val value.Value
	buf *buffer
}

// buffer is storage that goes back to the call's pool when its last slot is freed.
type buffer struct {
	bytes []byte
	slots int
}

// call runs one function and returns its results, which are the caller's own, and the next values of the variables
// that it updates. The caller holds the lock.
func (s *Session) call(ctx context.Context, f *program.Func, in []value.Value) (outs, next []value.Value, err error) {
	b, err := s.bind(f, in)
	if err != nil {
		return nil, nil, err
	}
	slots := make([]slotValue, f.Slots)
	for i, p := range f.Inputs {
		slots[p.Slot].val = in[i]
	}
	env := b.env
	if b.dynamic {
		env = maps.Clone(env)
	}
	pool := map[int][][]byte{}
	for i := range f.Instrs {
		if err := ctx.Err(); err != nil {
			return nil, nil, err
		}
		ins := &f.Instrs[i]
		if err := s.step(ins, &b.steps[i], env, slots, pool); err != nil {
			return nil, nil, at(ins.Node, err)
		}
		for _, slot := range ins.Free {
			if buf := slots[slot].buf; buf != nil {
				if buf.slots--; buf.slots == 0 && len(buf.bytes) > 0 {
					pool[len(buf.bytes)] = append(pool[len(buf.bytes)], buf.bytes)
				}
			}
			slots[slot] = slotValue{}
		}
	}
	taken := map[*buffer]bool{}
	own := func(slot int) value.Value {
		sv := slots[slot]
		if sv.buf != nil && !taken[sv.buf] {
			taken[sv.buf] = true
			return sv.val
		}
		return value.Clone(sv.val)
	}
	for _, u := range f.Updates {
		if sv := slots[u.Slot]; sv.buf == nil { // a constant, another variable's value or a feed
			next = append(next, value.Clone(sv.val))
			continue
		}
		next = append(next, own(u.Slot))
	}
	for _, o := range f.Outputs {
		outs = append(outs, own(o.Slot))
	}
	return outs, next, nil
}

func (s *Session) step(ins *program.Instr, st *step, env map[string]graph.Dim, slots []slotValue, pool map[int][][]byte) error {
	n := ins.Node
	switch n.Op().Name {
	case "constant":
		slots[ins.Out[0]].val = n.Attrs().Tensor("value")
		return nil
	case "read":
		name := string(n.Attrs().Symbol("var"))
		t := s.state[name]
		if t == nil {
			return fmt.Errorf("variable @%s has no value", name)
		}
		slots[ins.Out[0]].val = t
		return nil
	}
	if st.kernel == nil {
		in := make([]value.Value, len(ins.In))
		for i, slot := range ins.In {
			in[i] = slots[slot].val
		}
		outs, err := graph.EvalNode(n, in, env)
		if err != nil {
			return err
		}
		if err := graph.BindUnknowns(n, outs, env); err != nil {
			return err
		}
		for i, v := range outs {
			slots[ins.Out[i]] = slotValue{val: v}
			t, ok := v.(*value.Tensor)
			if !ok {
				continue
			}
			if k := slices.Index(in, v); k >= 0 { // a composite may return its operand's own storage
				buf := slots[ins.In[k]].buf
				if buf != nil {
					buf.slots++
				}
				slots[ins.Out[i]].buf = buf
			} else if !n.Op().IsComposite() { // which may return a constant's
				slots[ins.Out[i]].buf = &buffer{bytes: t.Bytes(), slots: 1}
			}
		}
		return nil
	}
	c := &kernels.Call{Spec: st.spec}
	for _, slot := range ins.In {
		c.In = append(c.In, slots[slot].val.(*value.Tensor))
	}
	if st.kernel.Alias {
		t, err := c.In[0].Reshape(st.shapes[0]...)
		if err != nil {
			return err
		}
		buf := slots[ins.In[0]].buf
		if buf != nil {
			buf.slots++
		}
		slots[ins.Out[0]] = slotValue{t, buf}
		return nil
	}
	for i, shape := range st.shapes {
		t, buf, err := allocate(st.types[i].(graph.TensorType).DType, shape, pool)
		if err != nil {
			return err
		}
		c.Out = append(c.Out, t)
		slots[ins.Out[i]] = slotValue{t, buf}
	}
	return runKernel(st.kernel, st.run, c)
}

// runKernel turns a panic of a kernel into an error, which then names the node.
func runKernel(k *kernels.Kernel, run kernels.Func, c *kernels.Call) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("BUG: the kernel of %s panicked: %v\n%s", k.Op, p, debug.Stack())
		}
	}()
	return run(c)
}

// allocate takes storage from the pool or makes it.
func allocate(dt graph.DType, shape []int, pool map[int][][]byte) (*value.Tensor, *buffer, error) {
	elems := 1
	for _, d := range shape {
		elems *= d
	}
	size := (elems*dt.Bits() + 7) / 8
	if free := pool[size]; size > 0 && len(free) > 0 {
		t, err := value.FromBytes(dt, free[len(free)-1], shape...)
		if err == nil {
			pool[size] = free[:len(free)-1]
			return t, &buffer{bytes: t.Bytes(), slots: 1}, nil
		}
	}
	t, err := value.New(dt, shape...)
	if err != nil {
		return nil, nil, err
	}
	return t, &buffer{bytes: t.Bytes(), slots: 1}, nil
}
