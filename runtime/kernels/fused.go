package kernels

import (
	"slices"

	"github.com/graphrun/graphrun/graph"
	"github.com/graphrun/graphrun/graph/value"
	"github.com/graphrun/graphrun/runtime/kernels/strip"
)

func init() {
	register(
		&Kernel{Op: "fused", DTypes: graph.AnyDType, Match: isEpilogue, Pack: packFused, Bind: bindEpilogue},
		&Kernel{Op: "fused", DTypes: graph.AnyDType, Match: isMap, Bind: bindMap},
	)
}

// form is what a fused node consists of, by the roles of its nodes.
type form struct {
	begin   *graph.Node   // the producer; nil in a map
	members []*graph.Node // the element-wise nodes, and constants of one element
	end     *graph.Node   // the reduction, or nil
}

// formOf returns the form of a region; ok is false if some node has no place in one.
func formOf(r *graph.Func) (f form, ok bool) {
	f.members = make([]*graph.Node, 0, len(r.Nodes()))
	for _, n := range r.Nodes() {
		if c, constant := n.Result(0).Constant(); constant {
			if c.Len() != 1 || !strip.Holds(c.DType()) {
				return f, false
			}
			f.members = append(f.members, n)
			continue
		}
		switch role := RoleOf(n); {
		case role == Member:
			f.members = append(f.members, n)
		case role == End && f.begin == nil && f.end == nil:
			f.end = n
		case role == Begin && f.begin == nil && f.end == nil && f.first() == nil && n.NumResults() == 1:
			f.begin = n
		default:
			return f, false
		}
	}
	return f, f.begin != nil || f.first() != nil || f.end != nil
}

// formed returns the form of a fused node.
func (s *Signature) formed() (*form, bool) {
	if !s.asked {
		s.form, s.ok = formOf(s.Regions[0])
		s.asked = true
	}
	return &s.form, s.ok
}

// first returns the first element-wise node, nil if there is none.
func (f *form) first() *graph.Node {
	for _, n := range f.members {
		if len(n.Operands()) > 0 {
			return n
		}
	}
	return nil
}

// over returns the value whose shape a map iterates over.
func (f *form) over() graph.Value {
	if n := f.first(); n != nil {
		return n.Result(0)
	}
	return f.end.Operands()[0]
}

// MapShape returns the shape over which a fused node iterates that is a map; ok is false for other nodes.
func MapShape(n *graph.Node) (shape []graph.Dim, ok bool) {
	if !n.IsFused() {
		return nil, false
	}
	var end *graph.Node
	for _, m := range n.Regions()[0].Nodes() {
		switch {
		case len(m.Operands()) == 0:
		case RoleOf(m) == Begin:
			return nil, false
		case RoleOf(m) == End:
			end = m
		default:
			return m.Result(0).Shape(), true
		}
	}
	if end == nil {
		return nil, false
	}
	return end.Operands()[0].Shape(), true
}

// isMap matches fused nodes that strips compute: they hold all operands, and nothing uses the reduction, which is one result.
func isMap(s *Signature) bool {
	f, ok := s.formed()
	ends := 0
	for _, r := range s.Regions[0].Results() {
		if f.end != nil && r.Value.Node() == f.end {
			ends++
		}
	}
	held := !slices.ContainsFunc(s.In, func(o Operand) bool { return !strip.Holds(o.DType) })
	return ok && held && f.begin == nil && (f.end == nil || ends == 1) && !slices.ContainsFunc(f.members, func(n *graph.Node) bool {
		return slices.ContainsFunc(n.Operands(), func(v graph.Value) bool { return v.Node() == f.end })
	})
}

// isEpilogue matches fused nodes of a producer of the operands, and one result that follows from it.
func isEpilogue(s *Signature) bool {
	r := s.Regions[0]
	f, ok := s.formed()
	if !ok || f.begin == nil || f.end != nil || len(r.Results()) != 1 {
		return false
	}
	result := r.Results()[0].Value
	return result.Node() != nil && result.Node().Index() >= 0 && result.DType() == f.begin.Result(0).DType() &&
		!slices.ContainsFunc(f.begin.Operands(), func(v graph.Value) bool { return v.Node().Index() >= 0 })
}

// packFused is the Pack of the producer's kernel.
func packFused(s *Spec, operand int) *Layout {
	r := region{Func: s.Regions[0]}
	r.form, _ = formOf(r.Func)
	sub, from := r.producer(s)
	k := Select(r.begin)
	at := slices.Index(from, operand)
	if at < 0 || k.Pack == nil {
		return nil
	}
	if slices.ContainsFunc(r.members, func(n *graph.Node) bool { return slices.Contains(n.Operands(), r.Params()[operand]) }) {
		return nil // it is read as it is, too
	}
	return k.Pack(sub, at)
}

// region is the region of a fused node with its types at the sizes of a Spec.
type region struct {
	*graph.Func
	form
	at func(graph.Value) graph.Type
}

func bindRegion(s *Spec) (r region, err error) {
	r.Func = s.Regions[0]
	r.form, _ = formOf(r.Func)
	types := make([]graph.Type, len(s.InTypes))
	for i, t := range s.InTypes {
		types[i] = t
	}
	r.at, err = graph.BindRegion(r.Func, types)
	return r, err
}

// tensor returns the dtype and the shape of a value, which is a tensor of a known size.
func (r region) tensor(v graph.Value) (graph.DType, []int) {
	t := r.at(v).(graph.TensorType)
	shape, _ := t.ConstShape()
	return t.DType, shape
}

// bindMap makes the kernel of a fused node that is a map.
func bindMap(s *Spec) (Func, error) {
	r, err := bindRegion(s)
	if err != nil {
		return nil, err
	}
	_, shape := r.tensor(r.over())
	b := s.expression(shape)
	values := map[graph.Value]strip.Value{}
	for _, p := range r.Params() {
		dt, operand := r.tensor(p)
		if !stretches(operand, shape) { // nothing over the shape reads it
			return byReference(s)
		}
		values[p] = b.Operand(dt, operand)
	}
	if !r.lower(b, shape, values) {
		return byReference(s)
	}
	for _, result := range r.Results() {
		v := result.Value
		ends := v.Node() == r.end
		if ends {
			v = r.end.Operands()[0]
		}
		if _, of := r.tensor(v); !slices.Equal(of, shape) || ends && slices.Contains(shape, 0) {
			return byReference(s)
		}
		if !ends {
			b.Result(values[v])
			continue
		}
		axes := slices.Clone(r.end.Attrs().Ints("axes"))
		for i, a := range axes {
			if a < 0 {
				axes[i] += len(shape)
			}
		}
		over, _ := MapShape(s.Node)
		b.Reduce(*Select(r.end).Reduce, values[v], axes, freeAxes(over))
	}
	return bound(s, b.Bind())
}

// stretches reports whether a tensor of some sizes broadcasts to a shape.
func stretches(sizes, shape []int) bool {
	lead := len(shape) - len(sizes)
	for i, n := range sizes {
		if lead < 0 || n != 1 && n != shape[lead+i] {
			return false
		}
	}
	return lead >= 0
}

// lower adds the members over a shape to an expression; values holds those of their operands. It reports whether all have that shape.
func (r region) lower(b *strip.Builder, shape []int, values map[graph.Value]strip.Value) bool {
	for _, n := range r.members {
		if c, ok := n.Result(0).Constant(); ok {
			values[n.Result(0)] = b.Const(c)
			continue
		}
		if _, of := r.tensor(n.Result(0)); !slices.Equal(of, shape) {
			return false
		}
		in := make([]strip.Value, len(n.Operands()))
		for i, v := range n.Operands() {
			in[i] = values[v]
		}
		values[n.Result(0)] = Select(n).Element(b, in, n.Attrs())
	}
	return true
}

// bound is the Func that runs a kernel of strips; nil stands for a shape that is beyond what they take.
func bound(s *Spec, k *strip.Kernel) (Func, error) {
	if k == nil {
		return byReference(s)
	}
	return func(c *Call) error {
		k.Run(c.In, c.Out)
		return nil
	}, nil
}

// bindEpilogue makes the kernel of a producer and what follows it: the producer's own with the rest as its epilogue, or, where the
// shapes do not allow that, one after the other.
func bindEpilogue(s *Spec) (Func, error) {
	r, err := bindRegion(s)
	if err != nil {
		return nil, err
	}
	dt, shape := r.tensor(r.begin.Result(0))
	b := s.expression(shape)
	values := map[graph.Value]strip.Value{r.begin.Result(0): b.Operand(dt, shape)}
	others := r.others(b, values)
	result := r.Results()[0].Value
	if _, of := r.tensor(result); !slices.Equal(of, shape) || !r.lower(b, shape, values) {
		return byReference(s)
	}
	b.Result(values[result])
	sub, from := r.producer(s)
	kernel := Select(r.begin)
	rows := kernel.Rows
	if rows == 0 {
		rows = len(shape) - 1
	}
	epilogue := b.BindEpilogue(rows)
	if epilogue == nil {
		return bindAfter(s, sub, kernel, b, from, others)
	}
	run, err := kernel.BindEpilogue(sub, epilogue)
	if err != nil {
		return nil, err
	}
	if sub.ByReference() {
		return bindAfter(s, sub, kernel, b, from, others)
	}
	call, in := &Call{Spec: sub, In: make([]*value.Tensor, len(from))}, make([]*value.Tensor, len(others))
	return func(c *Call) error {
		c.choose(call.In, from)
		c.choose(in, others)
		call.Out = c.Out
		epilogue.Begin(c.Out[0], in)
		defer epilogue.End()
		defer clear(in)
		defer clear(call.In)
		return run(call)
	}, nil
}

// choose fills in with the operands of a call at some places.
func (c *Call) choose(in []*value.Tensor, from []int) {
	for i, k := range from {
		in[i] = c.In[k]
	}
}

// others adds the operands of the members to an expression, and returns which operands of the node they are.
func (r region) others(b *strip.Builder, values map[graph.Value]strip.Value) (from []int) {
	for _, n := range r.members {
		for _, v := range n.Operands() {
			k := slices.Index(r.Params(), v)
			if _, known := values[v]; k < 0 || known {
				continue
			}
			values[v] = b.Operand(r.tensor(v))
			from = append(from, k)
		}
	}
	return from
}

// producer returns what the kernel of the producer is bound to, and which operands of the node its own are.
func (r region) producer(s *Spec) (sub *Spec, from []int) {
	sub = &Spec{Attrs: r.begin.Attrs(), Node: r.begin, Regions: r.begin.Regions(), OutTypes: s.OutTypes, Room: s.Room, Stop: s.Stop}
	for _, v := range r.begin.Operands() {
		k := slices.Index(r.Params(), v)
		from = append(from, k)
		sub.InTypes = append(sub.InTypes, s.InTypes[k])
		if s.Packed != nil {
			sub.Packed = append(sub.Packed, s.Packed[k])
		}
	}
	return sub, from
}

// bindAfter makes a kernel of a producer and, after it, an expression of its result and of other operands, which takes its place.
func bindAfter(s, sub *Spec, producer *Kernel, b *strip.Builder, from, others []int) (Func, error) {
	after := b.Bind()
	if after == nil {
		return byReference(s)
	}
	run, err := producer.Bind(sub)
	if err != nil {
		return nil, err
	}
	call, all := &Call{Spec: sub, In: make([]*value.Tensor, len(from))}, make([]*value.Tensor, 1+len(others))
	return func(c *Call) error {
		c.choose(call.In, from)
		call.Out = c.Out
		defer clear(call.In)
		if err := run(call); err != nil {
			return err
		}
		defer clear(all)
		all[0] = c.Out[0]
		c.choose(all[1:], others)
		after.Run(all, c.Out)
		return nil
	}, nil
}
