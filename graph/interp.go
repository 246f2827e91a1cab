package graph

import (
	"errors"
	"maps"
	"runtime/debug"
	"slices"
	"time"

	"github.com/graphrun/graphrun/graph/errfmt"
	"github.com/graphrun/graphrun/graph/value"
)

// Interpreter evaluates functions node by node with each op's Ref: slow, exact, and the oracle of
// everything faster.
type Interpreter struct {
	// Read returns the value of a variable; nil refuses reads.
	Read func(name string) (*value.Tensor, error)
	// Visit, if set, is called with the results of every node.
	Visit func(n *Node, results []value.Value) error
	// Done, if set, ends the evaluation when it is closed, within a node too: with an error.
	Done <-chan struct{}
	// Sizes binds the symbols of the function around, when what is evaluated is a region.
	Sizes map[string]Dim

	move func(n *Node, in, outs []value.Value, env map[string]Dim) ([]value.Value, error) // what an oracle does to results
	held float64                                                                          // bytes that an oracle holds
}

// Run evaluates f on its parameters' values and returns the values of its results, then of its updates.
func (ip *Interpreter) Run(f *Func, in []value.Value) ([]value.Value, error) {
	return (&evaluator{ip: ip}).run(f, in, ip.Sizes)
}

// EvalNode evaluates one node on operand values by its op's Ref. Symbols in its attributes must be
// bound by env.
func EvalNode(n *Node, in []value.Value, env map[string]Dim) ([]value.Value, error) {
	return (&Interpreter{}).Node(n, in, env)
}

// Node is EvalNode with what else the interpreter says.
func (ip *Interpreter) Node(n *Node, in []value.Value, env map[string]Dim) ([]value.Value, error) {
	return (&evaluator{ip: ip}).node(n, in, env)
}

// BindUnknowns extends env with the sizes that were not known before n ran.
func BindUnknowns(n *Node, results []value.Value, env map[string]Dim) error {
	for i, t := range n.types {
		if HasUnknown(t) {
			if err := Unify(t, TypeOf(results[i]), env); err != nil {
				return &Diagnostic{Pos: n.pos, Op: n.op.Name, Msg: err.Error()}
			}
		}
	}
	return nil
}

// Evaluate evaluates an op on operand values without a graph; attrs are completed with defaults.
func Evaluate(op *Op, in []value.Value, attrs Attrs) ([]value.Value, error) {
	attrs, err := op.normalizeAttrs(attrs)
	if err != nil {
		return nil, errfmt.Errorf("%s: %w", op.Name, err)
	}
	return EvalNode(&Node{op: op, attrs: attrs, fn: &Func{module: &Module{}}}, in, nil)
}

type evaluator struct {
	ip    *Interpreter
	depth int
	exact *[]*value.Exact // if set, where references put what they compute, before it is rounded
	live  float64         // bytes of the values that are needed once more
	dead  map[*Func][][]Value
}

// room refuses to hold some bytes more than the values that are live where memory has no room for them beside the session that is held
// against references: where it all takes more than half of it.
func (e *evaluator) room(bytes float64) error {
	all := e.live + e.ip.held + bytes
	if have := float64(value.Memory() / 2); all > 1<<24 && all > have {
		return errfmt.Errorf("out of memory: its reference would hold %s, there are %s for references", value.ByteText(all), value.ByteText(have))
	}
	return nil
}

// exactBytes is what a value takes in the exact domain.
func exactBytes(v value.Value) float64 {
	if t, ok := v.(*value.Tensor); ok {
		return 8 * float64(t.Len())
	}
	return 0
}

// deadAfter returns the values that are needed no more after each node.
func (e *evaluator) deadAfter(f *Func) [][]Value {
	if dead := e.dead[f]; dead != nil {
		return dead
	}
	kept := map[Value]bool{}
	for _, r := range f.results {
		kept[r.Value] = true
	}
	for _, u := range f.updates {
		kept[u.Value] = true
	}
	dead := make([][]Value, len(f.nodes))
	for i, n := range slices.Backward(f.nodes) {
		for _, v := range n.in {
			if !kept[v] {
				kept[v] = true
				dead[i] = append(dead[i], v)
			}
		}
		for k := range n.types {
			if v := n.Result(k); !kept[v] { // nobody needs it
				dead[i] = append(dead[i], v)
			}
		}
	}
	if e.dead == nil {
		e.dead = map[*Func][][]Value{}
	}
	e.dead[f] = dead
	return dead
}

// maxDepth bounds calls within calls and regions within regions.
const maxDepth = 100

// run evaluates f; outer binds the symbols of the function around a region.
func (e *evaluator) run(f *Func, in []value.Value, outer map[string]Dim) ([]value.Value, error) {
	if e.depth++; e.depth > maxDepth {
		return nil, errfmt.Errorf("@%s: calls are nested more than %d deep", f.name, maxDepth)
	}
	defer func(live float64) { e.depth, e.live = e.depth-1, live }(e.live)
	if len(in) != len(f.params) {
		return nil, errfmt.Errorf("@%s takes %d parameters, have %d", f.name, len(f.params), len(in))
	}
	env := maps.Clone(outer)
	if env == nil {
		env = map[string]Dim{}
	}
	vals := make(map[Value]value.Value, len(f.params)+len(f.nodes))
	have := make([]Type, len(in))
	for i, p := range f.params {
		have[i] = TypeOf(in[i])
		vals[p.Result(0)] = in[i]
	}
	if i, err := UnifyAll(typesOf(f.params), have, env); err != nil {
		return nil, errfmt.Errorf("@%s: %s: %w", f.name, describe(f.params[i].Result(0)), err)
	}
	if err := f.CheckSizes(env); err != nil {
		return nil, err
	}
	dead, sizes := e.deadAfter(f), map[Value]float64{} // the latter of the values that are counted
	for k, n := range f.nodes {
		args := make([]value.Value, len(n.in))
		for i, v := range n.in {
			args[i] = vals[v]
		}
		outs, err := e.node(n, args, env)
		if err != nil {
			return nil, err
		}
		if e.ip.move != nil {
			if outs, err = e.ip.move(n, args, outs, env); err != nil {
				return nil, err
			}
		}
		for i, o := range outs {
			v := n.Result(i)
			vals[v] = o
			if n.op != constantOp && n.op != readOp {
				sizes[v] = exactBytes(o)
				e.live += sizes[v]
			}
		}
		if err := BindUnknowns(n, outs, env); err != nil {
			return nil, err
		}
		if e.ip.Visit != nil {
			if err := e.ip.Visit(n, outs); err != nil {
				return nil, err
			}
		}
		for _, v := range dead[k] {
			e.live -= sizes[v]
			delete(vals, v)
		}
	}
	outs := make([]value.Value, 0, len(f.results)+len(f.updates))
	for _, r := range f.results {
		outs = append(outs, vals[r.Value])
	}
	for _, u := range f.updates {
		outs = append(outs, vals[u.Value])
	}
	return outs, nil
}

// node evaluates a node on its operands; what goes wrong gets its place.
func (e *evaluator) node(n *Node, in []value.Value, env map[string]Dim) (outs []value.Value, err error) {
	defer func() {
		switch p := recover().(type) {
		case nil:
		case failure:
			err = errfmt.Errorf("%s", string(p))
		default:
			err = errfmt.Errorf("BUG: the reference of %s panicked: %v\n%s", n.op.Name, p, debug.Stack())
		}
		if _, placed := err.(*Diagnostic); err != nil && !placed {
			err = &Diagnostic{Pos: n.pos, Op: n.op.Name, Msg: err.Error()}
		}
	}()
	if err := e.stopped(); err != nil {
		return nil, err
	}
	switch n.op {
	case constantOp:
		return []value.Value{n.attrs.Tensor("value")}, nil
	case readOp:
		if e.ip.Read == nil {
			return nil, errfmt.Errorf("there are no variables to read @%s from", n.attrs.Symbol("var"))
		}
		t, err := e.ip.Read(string(n.attrs.Symbol("var")))
		return []value.Value{t}, err
	case callOp:
		callee := n.Callee()
		if callee == nil {
			return nil, errfmt.Errorf("@%s is not a function of the module", n.attrs.Symbol("func"))
		}
		return e.run(callee, in, nil)
	case gradOp:
		return nil, errfmt.Errorf("grad has no meaning of its own: run the pass autodiff first")
	}
	types := make([]Type, len(in))
	for i, v := range in {
		types[i] = TypeOf(v)
	}
	attrs, err := n.attrs.Bind(env)
	if err != nil {
		return nil, err
	}
	regions, err := n.BindRegions(env)
	switch {
	case err != nil:
		return nil, err
	case n.op.IsComposite():
		return e.body(n, in, types, attrs, regions, env)
	}
	return e.reference(n, in, types, attrs, regions, env)
}

// body evaluates a composite by its body.
func (e *evaluator) body(n *Node, in []value.Value, types []Type, attrs Attrs, regions []*Func, env map[string]Dim) ([]value.Value, error) {
	body, err := n.op.bodyFunc(types, attrs, regions)
	if err != nil {
		return nil, err
	}
	outs, err := e.run(body, in, env)
	if d, ok := errors.AsType[*Diagnostic](err); ok { // the body has no place in the user's program, the node has
		err = errfmt.Errorf("%s: %s", d.Op, d.Msg)
	}
	return outs, err
}

// errDone is the error of an evaluation that Done has ended.
var errDone = errors.New("nobody waits for the result any more")

// stopped is errDone once Done is closed.
func (e *evaluator) stopped() error {
	select {
	case <-e.ip.Done:
		return errDone
	default:
		return nil
	}
}

// refer calls the Ref of an op: where somebody may lose interest, on a goroutine that is then left to itself. All that it touches is its own.
func (e *evaluator) refer(c *RefCtx) (err error) {
	if e.ip.Done == nil {
		c.Node.op.Ref(c)
		return nil
	}
	if err := e.stopped(); err != nil {
		return err
	}
	// One channel brings the end and, now and then, the time to ask whether to wait on: select would be 12 kB of a service.
	const patience = 5 * time.Millisecond
	type tick struct{}
	ended := make(chan any, 2)
	go func() {
		defer func() { ended <- recover() }()
		c.Node.op.Ref(c)
	}()
	timer := time.AfterFunc(patience, func() { ended <- tick{} })
	defer timer.Stop()
	for {
		switch p := (<-ended).(type) {
		case nil:
			return nil
		case tick:
			if err := e.stopped(); err != nil {
				return err
			}
			timer.Reset(patience)
		default:
			panic(p)
		}
	}
}

// roomFor is room for operands and results of a reference, in the exact domain and as tensors, and for what an oracle keeps of them.
func (e *evaluator) roomFor(in []value.Value, outs []Type) error {
	need, each := 0.0, 16.0
	for _, v := range in {
		need += exactBytes(v)
	}
	if e.ip.move != nil {
		each = 40
	}
	for _, t := range outs {
		if tt, ok := t.(TensorType); ok {
			if shape, ok := tt.ConstShape(); ok {
				n := each
				for _, d := range shape {
					n *= float64(d)
				}
				need += n
			}
		}
	}
	return e.room(need)
}

// reference evaluates a node by its op's Ref.
func (e *evaluator) reference(n *Node, in []value.Value, types []Type, attrs Attrs, regions []*Func, env map[string]Dim) ([]value.Value, error) {
	outTypes, err := InferTypes(n.op, types, attrs, regions, n.fn.module)
	if err != nil {
		return nil, err
	}
	if err := e.roomFor(in, outTypes); err != nil {
		return nil, err
	}
	c := &RefCtx{Attrs: attrs, OutTypes: outTypes, Node: n, eval: e, env: env}
	for i, v := range in {
		t, ok := v.(*value.Tensor)
		if !ok {
			return nil, errfmt.Errorf("operand %d is a %s: its reference takes tensors", i, types[i])
		}
		x, err := t.TryExact()
		if err != nil {
			return nil, err
		}
		c.In = append(c.In, x)
	}
	c.Out = make([]*value.Exact, len(outTypes))
	for i, t := range outTypes {
		if tt, ok := t.(TensorType); ok {
			if shape, ok := tt.ConstShape(); ok {
				if c.Out[i], err = value.TryExact(tt.DType, shape); err != nil {
					return nil, err
				}
			}
		}
	}
	if err := e.refer(c); err != nil {
		return nil, err
	}
	outs := make([]value.Value, len(c.Out))
	for i, x := range c.Out {
		if x == nil {
			return nil, errfmt.Errorf("BUG: the reference of %s leaves result %d unset", n.op.Name, i)
		}
		outs[i] = x.Tensor()
	}
	if e.exact != nil {
		*e.exact = c.Out
	}
	return outs, nil
}
