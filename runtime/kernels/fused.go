package kernels

import (
	"slices"

	"github.com/graphrun/graphrun/graph"
	"github.com/graphrun/graphrun/graph/value"
	"github.com/graphrun/graphrun/runtime/kernels/backend"
	"github.com/graphrun/graphrun/runtime/kernels/strip"
)

func init() {
	register(&Kernel{Op: "fused", DTypes: graph.AnyDType, Bind: bindFused})
}

// Fusible reports whether a node can be one of several that a fused kernel computes: as an element of a map, as the
// reduction that ends it, or as part of an epilogue.
func Fusible(n *graph.Node) bool {
	if len(n.Operands()) == 0 {
		return false
	}
	_, reduces := reductions[n.Op().Name]
	e, elementwise := elementwiseOps[n.Op().Name]
	if !reduces && !elementwise {
		return false
	}
	holds := func(t graph.Type) bool {
		tt, ok := t.(graph.TensorType)
		return ok && strip.Holds(tt.DType) && !graph.HasUnknown(tt)
	}
	for _, v := range n.Operands() {
		if !holds(v.Type()) {
			return false
		}
	}
	if slices.ContainsFunc(n.Types(), func(t graph.Type) bool { return !holds(t) }) {
		return false
	}
	dt := n.Operands()[0].DType()
	if reduces {
		return stripFloats.Has(dt)
	}
	return e.dtypes.Has(dt) && (e.match == nil || e.match(tensorTypes(n), n.Attrs()))
}

// tensorTypes returns the types of a node's operands, which are tensors.
func tensorTypes(n *graph.Node) []graph.TensorType {
	types := make([]graph.TensorType, len(n.Operands()))
	for i, v := range n.Operands() {
		types[i], _ = v.TensorType()
	}
	return types
}

// reductions are the ops that may end an expression of package strip.
var reductions = map[string]backend.ReduceOp{
	"reduce_sum": backend.Sum, "reduce_mean": backend.Mean, "reduce_max": backend.MaxOf, "reduce_min": backend.MinOf,
}

// region is the region of a fused node with its types at the sizes of a Spec.
type region struct {
	*graph.Func
	at func(graph.Value) graph.Type
}

func bindRegion(s *Spec) (r region, err error) {
	regions := s.Regions
	if len(regions) == 0 {
		regions = s.Node.Regions()
	}
	r.Func = regions[0]
	types := make([]graph.Type, len(s.InTypes))
	for i, t := range s.InTypes {
		types[i] = t
	}
	r.at, err = graph.BindRegion(r.Func, types)
	return r, err
}

// tensor returns the dtype and the shape of a value.
func (r region) tensor(v graph.Value) (dt graph.DType, shape []int, ok bool) {
	t, ok := r.at(v).(graph.TensorType)
	if !ok || !strip.Holds(t.DType) {
		return 0, nil, false
	}
	shape, ok = t.ConstShape()
	return t.DType, shape, ok
}

// bindFused makes the kernel of a fused node; the reference computes what it cannot lower.
func bindFused(s *Spec) (Func, error) {
	r, err := bindRegion(s)
	if err != nil {
		return nil, err
	}
	first := slices.IndexFunc(r.Nodes(), func(n *graph.Node) bool { return n.Op().Name != "constant" })
	if first < 0 {
		return nil, nil
	}
	n := r.Nodes()[first]
	if bind := producers[n.Op().Name]; bind != nil {
		return bindEpilogue(s, r, n, bind)
	}
	over := n.Result(0)
	if _, ends := reductions[n.Op().Name]; ends {
		over = n.Operands()[0]
	}
	_, shape, ok := r.tensor(over)
	if !ok {
		return nil, nil
	}
	b := strip.New(shape)
	values := map[graph.Value]strip.Value{}
	for _, p := range r.Params() {
		dt, operand, ok := r.tensor(p)
		if !ok {
			return nil, nil
		}
		values[p] = b.Operand(dt, operand)
	}
	if !r.lower(b, shape, r.Nodes(), values) {
		return nil, nil
	}
	reduced := false
	for _, result := range r.Results() {
		m := result.Value.Node()
		op, ends := reductions[m.Op().Name]
		if !ends {
			v, ok := values[result.Value]
			if _, of, known := r.tensor(result.Value); !ok || !known || !slices.Equal(of, shape) {
				return nil, nil
			}
			b.Result(v)
			continue
		}
		v, ok := values[m.Operands()[0]]
		if _, of, known := r.tensor(m.Operands()[0]); !ok || !known || reduced || !slices.Equal(of, shape) || slices.Contains(shape, 0) {
			return nil, nil
		}
		reduced = true
		axes := m.Attrs().Ints("axes")
		for i, a := range axes {
			if a < 0 {
				axes[i] += len(shape)
			}
		}
		b.Reduce(op, v, axes)
	}
	return bound(b.Bind()), nil
}

// lower adds element-wise nodes over a shape to an expression; values holds those of their operands. It leaves out reductions, and
// reports whether it knows all other nodes.
func (r region) lower(b *strip.Builder, shape []int, nodes []*graph.Node, values map[graph.Value]strip.Value) bool {
	for _, n := range nodes {
		if _, ends := reductions[n.Op().Name]; ends {
			continue
		}
		if n.NumResults() != 1 {
			return false
		}
		if c, ok := n.Result(0).Constant(); ok && n.Op().Name == "constant" {
			if c.Len() != 1 || !strip.Holds(c.DType()) {
				return false
			}
			values[n.Result(0)] = b.Const(c)
			continue
		}
		in := make([]strip.Value, len(n.Operands()))
		types := make([]graph.TensorType, len(in))
		for i, v := range n.Operands() {
			var ok bool
			if in[i], ok = values[v]; !ok {
				return false
			}
			types[i] = r.at(v).(graph.TensorType)
		}
		e, ok := elementwiseOps[n.Op().Name]
		_, of, known := r.tensor(n.Result(0))
		if !ok || !known || !slices.Equal(of, shape) || !e.dtypes.Has(types[0].DType) || e.match != nil && !e.match(types, n.Attrs()) {
			return false
		}
		values[n.Result(0)] = e.emit(b, in, n.Attrs())
	}
	return true
}

// rowAxes returns the number of axes of a producer's result that are the rows of what its epilogue sees.
func rowAxes(op string, rank int) int {
	if op == "conv" {
		return 2 // sample and channel
	}
	return rank - 1
}

// bindEpilogue makes the kernel of a producer and what follows it: the producer's own with the rest as its epilogue, or, if the rest
// is none, one after the other.
func bindEpilogue(s *Spec, r region, producer *graph.Node, bind func(*Spec, backend.Epilogue) (Func, error)) (Func, error) {
	result := r.Results()[0].Value
	dt, shape, ok := r.tensor(producer.Result(0))
	if t, of, known := r.tensor(result); !ok || !known || t != dt || !slices.Equal(of, shape) || len(r.Results()) != 1 || producer.NumResults() != 1 {
		return nil, nil
	}
	sub := &Spec{Attrs: producer.Attrs(), Node: producer, Regions: producer.Regions(), OutTypes: s.OutTypes}
	index := map[graph.Value]int{}
	for i, p := range r.Params() {
		index[p] = i
	}
	from := make([]int, len(producer.Operands())) // by operand of the producer: that of the node
	types := make([]graph.Type, len(from))
	for i, v := range producer.Operands() {
		k, ok := index[v]
		if !ok {
			return nil, nil
		}
		from[i], types[i] = k, s.InTypes[k]
		sub.InTypes = append(sub.InTypes, s.InTypes[k])
		if s.Packed != nil {
			sub.Packed = append(sub.Packed, s.Packed[k])
		}
	}
	if Lookup(producer.Op().Name, types, producer.Attrs()) == nil {
		return nil, nil
	}
	b := strip.New(shape)
	values := map[graph.Value]strip.Value{producer.Result(0): b.Operand(dt, shape)}
	var others []int // by operand of the epilogue behind the first: that of the node
	var rest []*graph.Node
	for _, n := range r.Nodes() {
		if n == producer {
			continue
		}
		rest = append(rest, n)
		for _, v := range n.Operands() {
			k, param := index[v]
			if _, known := values[v]; !param || known {
				continue
			}
			t, of, ok := r.tensor(v)
			if !ok {
				return nil, nil
			}
			values[v] = b.Operand(t, of)
			others = append(others, k)
		}
	}
	if !r.lower(b, shape, rest, values) {
		return nil, nil
	}
	v, ok := values[result]
	if !ok {
		return nil, nil
	}
	b.Result(v)
	call := &Call{Spec: sub, In: make([]*value.Tensor, len(from))}
	in := make([]*value.Tensor, len(others))
	epilogue := b.BindEpilogue(rowAxes(producer.Op().Name, len(shape)))
	var after *strip.Kernel
	var run Func
	var err error
	if epilogue != nil {
		run, err = bind(sub, epilogue)
	} else if after = b.Bind(); after != nil {
		run, err = bind(sub, nil)
	}
	if run == nil || err != nil {
		return nil, err
	}
	all := make([]*value.Tensor, 1+len(others))
	return func(c *Call) error {
		for i, k := range from {
			call.In[i] = c.In[k]
		}
		for i, k := range others {
			in[i] = c.In[k]
		}
		call.Out = c.Out
		if epilogue != nil {
			epilogue.Begin(c.Out[0], in)
			defer epilogue.End()
			return run(call)
		}
		if err := run(call); err != nil {
			return err
		}
		all[0] = c.Out[0]
		copy(all[1:], in)
		after.Run(all, c.Out)
		return nil
	}, nil
}
