package graph

import (
	"errors"
	"fmt"
	"runtime/debug"
	"slices"

	"github.com/graphrun/graphrun/graph/dim"
	"github.com/graphrun/graphrun/graph/errfmt"
	"github.com/graphrun/graphrun/graph/value"
)

// InferCtx is what an op's Infer sees.
type InferCtx struct {
	Attrs
	In      []Type
	Op      *Op
	Regions []*Func
	Module  *Module // nil when a node is bound to sizes outside a module

	open bool // a size that is not known yet decides whether the node is refused
}

// failure carries the message of Failf up to the caller of a rule.
type failure string

// Failf refuses the node. The message says what was wanted and what came: "inner dimensions differ: x is
// f32[N,784], w is f32[512,256]". It does not return.
// Not inlined: 1.7 kB of the service.
//
//go:noinline
func (c *InferCtx) Failf(format string, args ...any) {
	panic(failure(fmt.Sprintf(format, args...)))
}

// Tensor returns the type of operand i, which the op's Args have made sure is a tensor.
func (c *InferCtx) Tensor(i int) TensorType {
	t, ok := c.In[i].(TensorType)
	if !ok {
		c.Failf("%s: want a tensor, have %s", c.Op.Arg(i).Name, c.In[i])
	}
	return t
}

// SameDType fails unless all tensor operands have one dtype, and returns it.
func (c *InferCtx) SameDType() DType {
	first := c.Tensor(0)
	for i := 1; i < len(c.In); i++ {
		if t := c.Tensor(i); t.DType != first.DType {
			c.Failf("dtypes differ: %s is %s, %s is %s", c.Op.Arg(0).Name, first, c.Op.Arg(i).Name, t)
		}
	}
	return first.DType
}

// Axis returns the attribute as an axis of a tensor of the rank; negative values count from the end.
func (c *InferCtx) Axis(attr string, rank int) int {
	axis := c.Int(attr)
	if axis < -rank || axis >= rank {
		c.Failf("%s %d is out of range for rank %d", attr, axis, rank)
	}
	if axis < 0 {
		axis += rank
	}
	return axis
}

// MustEqual fails if two dims are known to differ, or one is beyond int64; dims that may still be equal are checked again when
// their sizes are known.
func (c *InferCtx) MustEqual(a, b Dim, format string, args ...any) {
	if a.Equal(b) && !a.Overflow() {
		return
	}
	if a.Overflow() || b.Overflow() || dim.ProvablyDifferent(a, b) || (a.IsConst() && b.IsConst()) {
		c.Failf(format, args...)
	}
	c.open = true
}

// Exceeds reports whether a > b is known, for a type rule that refuses the node then: unless a <= b is known, the question is asked again when
// the sizes are.
func (c *InferCtx) Exceeds(a, b Dim) bool {
	if a.IsConst() && b.IsConst() {
		return a.Compare(b) > 0
	}
	if dim.Max(a, dim.Add(b, dim.Const(1))).Equal(a) {
		return true
	}
	c.open = c.open || !dim.Max(a, b).Equal(b)
	return false
}

// infer runs the op's type rule and turns a failure into an error.
func (op *Op) infer(c *InferCtx) (types []Type, err error) {
	defer func() {
		switch p := recover().(type) {
		case nil:
		case failure:
			err = errfmt.Errorf("%s", string(p))
		default:
			err = errfmt.Errorf("BUG: the type rule of %s panicked: %v\n%s", op.Name, p, debug.Stack())
		}
	}()
	if err := op.checkOperands(c.In); err != nil {
		return nil, err
	}
	if fault := op.regionsFault(c.Attrs, len(c.In), len(c.Regions)); fault != "" {
		return nil, errors.New(fault)
	}
	for _, r := range c.Regions {
		c.open = c.open || slices.ContainsFunc(r.nodes, func(n *Node) bool { return n.open })
	}
	if op.IsComposite() {
		types, err = op.inferBody(c)
	} else {
		types = op.Infer(c)
	}
	if err != nil {
		return nil, err
	}
	if want := op.NumResultsFor(c.Attrs, len(c.In)); len(types) != want {
		return nil, errfmt.Errorf("BUG: the type rule of %s gives %d results, not %d", op.Name, len(types), want)
	}
	for _, t := range types {
		if fault := typeFault(t); fault != "" {
			return nil, errfmt.Errorf("the result would be %s: %s", typeText(t), fault)
		}
	}
	return types, nil
}

// InferTypes returns the result types of an op on operands of the given types; attrs must be normalized,
// as those of a Node are.
func InferTypes(op *Op, in []Type, attrs Attrs, regions []*Func, m *Module) ([]Type, error) {
	types, err := op.infer(&InferCtx{Attrs: attrs, In: in, Op: op, Regions: regions, Module: m})
	for i, t := range types {
		if fault := typeFault(t); fault != "" && err == nil {
			err = errfmt.Errorf("result %d is %s: %s", i, typeText(t), fault)
		}
	}
	return types, err
}

func (op *Op) inferBody(c *InferCtx) ([]Type, error) {
	body, err := op.newBody(c.In, c.Attrs, c.Regions, op.Body)
	if err != nil {
		return nil, err
	}
	c.open = c.open || slices.ContainsFunc(body.nodes, func(n *Node) bool { return n.open })
	types := make([]Type, len(body.results))
	for i, r := range body.results {
		types[i] = r.Value.Type()
	}
	return types, nil
}

// BodyCtx is what a composite's Body sees.
type BodyCtx struct {
	Attrs
	In []Value
	// Func receives the body's nodes; ops without operands, such as constants, are declared on it.
	Func *Func
	// Regions are the closed functions that the node carries; see Func.Splice.
	Regions []*Func
}

// Tensor returns the type of operand i.
// Not inlined: 1.7 kB of the service.
//
//go:noinline
func (b *BodyCtx) Tensor(i int) TensorType {
	t, _ := b.In[i].Type().(TensorType)
	return t
}

// bodyFunc builds what a composite stands for as a function of its own, for evaluation.
func (op *Op) bodyFunc(in []Type, attrs Attrs, regions []*Func) (*Func, error) {
	if !op.widens(in, regions) {
		return op.newBody(in, attrs, regions, op.Body)
	}
	types, err := op.inferBody(&InferCtx{Attrs: attrs, In: in})
	if err != nil {
		return nil, err
	}
	return op.newBody(in, attrs, nil, func(b *BodyCtx) []Value { return op.widened(b, types) })
}

// newBody makes a function of operands of the given types of what emit emits.
func (op *Op) newBody(in []Type, attrs Attrs, regions []*Func, emit func(b *BodyCtx) []Value) (*Func, error) {
	m := NewModule("body")
	m.body = true
	m.site = site{pos: Pos{File: op.Name, Line: 1}}
	f := m.Func(op.Name)
	if len(regions) > 0 {
		m.funcByName = regions[0].module.funcByName // which they may call
	}
	args := make([]Value, len(in))
	for i, t := range in {
		args[i] = f.param(op.Arg(i).Name+fmt.Sprint(i), t)
	}
	outs := emit(&BodyCtx{Attrs: attrs, In: args, Func: f, Regions: regions})
	for i, v := range outs {
		f.Return(op.ResultName(i), v)
	}
	if len(m.diags) > 0 {
		d := m.diags[0]
		return nil, errfmt.Errorf("%s: %s", d.Op, d.Msg)
	}
	return f, nil
}

// BodyOf returns the body of a composite node on operand values as a function of its own. Symbols in the node's attributes must be bound
// by env.
func BodyOf(n *Node, in []value.Value, env map[string]Dim) (*Func, error) {
	attrs, err := n.attrs.Bind(env)
	if err != nil {
		return nil, err
	}
	regions, err := n.BindRegions(env)
	if err != nil {
		return nil, err
	}
	types := make([]Type, len(in))
	for i, v := range in {
		types[i] = TypeOf(v)
	}
	return n.op.bodyFunc(types, attrs, regions)
}

// Splice emits a copy of the nodes of g into f, with args for g's parameters, and returns the values of g's
// results. Symbols of g's parameter types become the dims of the arguments.
func (f *Func) Splice(g *Func, args []Value) []Value {
	env := map[string]Dim{}
	to := make(map[Value]Value, len(g.nodes)+len(g.params))
	if len(args) < len(g.params) {
		f.module.Report(Pos{}, g.name, "want %d operands, have %d", len(g.params), len(args))
		return nil
	}
	have := make([]Type, len(g.params))
	for i, p := range g.params {
		have[i] = args[i].Type()
		to[p.Result(0)] = args[i]
	}
	if i, err := UnifyAll(typesOf(g.params), have, env); err != nil && args[i].OK() {
		f.module.Report(Pos{}, g.name, "operand %d: %v", i, err)
		return nil
	}
	for _, n := range g.nodes {
		in := make([]Value, len(n.in))
		for i, v := range n.in {
			in[i] = to[v]
		}
		attrs, err := n.attrs.Bind(env)
		if err != nil {
			f.module.Report(n.pos, n.op.Name, "%v", err)
			return nil
		}
		regions := n.cloneRegions(f)
		for _, r := range regions {
			if err := r.substitute(env); err != nil {
				f.module.Report(n.pos, n.op.Name, "%v", err)
				return nil
			}
		}
		var outs []Value
		if n.op == readOp {
			outs = []Value{f.module.varByName[string(attrs.Symbol("var"))].Read(f)}
		} else {
			f.module.AtNode(n, func() { outs = f.Emit(n.op, in, attrs, regions...) })
		}
		for i, v := range outs {
			to[n.Result(i)] = v
		}
	}
	outs := make([]Value, len(g.results))
	for i, r := range g.results {
		outs[i] = to[r.Value]
	}
	return outs
}

// BindRegions returns the node's regions with the symbols of env replaced by its sizes: what the node carries once the sizes of a
// call are known.
func (n *Node) BindRegions(env map[string]Dim) ([]*Func, error) {
	if len(n.regions) == 0 || len(env) == 0 {
		return n.regions, nil
	}
	bound := make([]*Func, len(n.regions))
	for i, r := range n.regions {
		bound[i] = r.cloneInto(r.module, r.parent)
		if err := bound[i].substitute(env); err != nil {
			return nil, err
		}
	}
	return bound, nil
}

// substitute replaces symbols in the types and attributes of a region and of those within. They have just been cloned, so that
// no check of them has been noted.
func (f *Func) substitute(env map[string]Dim) error {
	f.assumed = true
	for _, n := range slices.Concat(f.params, f.nodes) {
		attrs, err := n.attrs.Bind(env)
		if err != nil {
			return err
		}
		n.attrs, n.types = attrs, slices.Clone(n.types)
		for i, t := range n.types {
			if n.types[i], err = SubstType(t, env); err != nil {
				return err
			}
		}
		for _, r := range n.regions {
			if err := r.substitute(env); err != nil {
				return err
			}
		}
	}
	return nil
}

// InferRegion returns the types of a region's results when its parameters take operands of the given types. Where those
// say more than the parameters' own types, all nodes of the region are inferred anew, so that a constraint that could not
// be decided when the region was built fails here.
func InferRegion(r *Func, in []Type) ([]Type, error) {
	if len(in) != len(r.params) {
		return nil, errfmt.Errorf("the region takes %d operands, have %d", len(r.params), len(in))
	}
	types := make([]Type, len(r.results))
	same := true
	for i, p := range r.params {
		same = same && EqualTypes(p.types[0], in[i])
	}
	if same && !r.assumed {
		for i, res := range r.results {
			types[i] = res.Value.Type()
		}
		return types, nil
	}
	at, err := BindRegion(r, in)
	if err != nil {
		return nil, err
	}
	for i, res := range r.results {
		types[i] = at(res.Value)
	}
	return types, nil
}

// BindRegion infers the nodes of a region on operands of the given types, and returns the type that each value of the
// region has then.
func BindRegion(r *Func, in []Type) (at func(Value) Type, err error) {
	env := map[string]Dim{}
	if i, err := UnifyAll(typesOf(r.params), in, env); err != nil {
		return nil, errfmt.Errorf("operand %d: %w", i, err)
	}
	types := make(map[*Node][]Type, len(r.params)+len(r.nodes))
	at = func(v Value) Type { return types[v.Node()][v.Index()] }
	for i, p := range r.params {
		types[p] = in[i : i+1]
	}
	for _, n := range r.nodes {
		attrs, err := n.attrs.Bind(env)
		if err != nil {
			return nil, &Diagnostic{Pos: n.pos, Op: n.op.Name, Msg: err.Error()}
		}
		operands := make([]Type, len(n.in))
		for i, v := range n.in {
			operands[i] = at(v)
		}
		regions, err := n.BindRegions(env)
		if err != nil {
			return nil, &Diagnostic{Pos: n.pos, Op: n.op.Name, Msg: err.Error()}
		}
		if types[n], err = InferTypes(n.op, operands, attrs, regions, r.module); err != nil {
			return nil, &Diagnostic{Pos: n.pos, Op: n.op.Name, Msg: err.Error()}
		}
	}
	return at, nil
}

// GradCtx is what an op's Grad sees: the node's operands, results and attributes, and the gradient of
// the objective with respect to each result.
type GradCtx struct {
	Attrs
	In   []Value
	Out  []Value
	Node *Node
	// Func receives the gradient's nodes.
	Func *Func

	dy  []Value
	d   *differ
	err error // of RegionVJP
}

// newGradCtx makes a context of the function that receives the nodes; dy holds one gradient per result, the zero Value where it is
// zero.
func newGradCtx(d *differ, n *Node, dy []Value) *GradCtx {
	outs := make([]Value, n.NumResults())
	for i := range outs {
		outs[i] = n.Result(i)
	}
	return &GradCtx{Attrs: n.attrs, In: n.in, Out: outs, Node: n, Func: d.f, dy: dy, d: d}
}

// Dy returns the gradient with respect to result i; HasDy reports whether it is other than zero, and
// only then may Dy be called.
// Not inlined: 3.5 kB of the service.
//
//go:noinline
func (g *GradCtx) Dy(i int) Value { return g.dy[i] }

// HasDy reports whether result i contributes to the objective.
func (g *GradCtx) HasDy(i int) bool { return g.dy[i].Valid() }

// Wants reports whether a gradient by operand i is asked for; one that is not may be the zero Value. A constant has one too where it is
// what a function is derived by.
func (g *GradCtx) Wants(i int) bool { return g.d.known(g.In[i]).active }

// RefCtx is what an op's Ref sees: operands in exact domains and results to be filled in. Results whose
// sizes are known are allocated; Ref sets the others.
type RefCtx struct {
	Attrs
	In  []*value.Exact
	Out []*value.Exact
	// OutTypes are the inferred result types; their dims are constant unless they depend on data.
	OutTypes []Type
	Node     *Node

	eval *evaluator
	env  map[string]Dim
}

// Failf refuses the operands' values, such as an index out of range. It does not return.
func (c *RefCtx) Failf(format string, args ...any) { panic(failure(fmt.Sprintf(format, args...))) }

// Region evaluates region i of the node.
func (c *RefCtx) Region(i int, in []*value.Exact) []*value.Exact {
	vals := make([]value.Value, len(in))
	for i, x := range in {
		vals[i] = x.Tensor()
	}
	outs, err := c.eval.run(c.Node.regions[i], vals, c.env)
	if err != nil {
		c.Failf("%v", err)
	}
	ex := make([]*value.Exact, len(outs))
	for i, o := range outs {
		t, ok := o.(*value.Tensor)
		if !ok {
			c.Failf("a region result is a %s, not a tensor", TypeOf(o))
		}
		ex[i] = t.Exact()
	}
	return ex
}
