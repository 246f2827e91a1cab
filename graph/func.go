package graph

import (
	"fmt"
	"maps"
	"slices"
	"strconv"

	"github.com/graphrun/graphrun/graph/errfmt"
	"github.com/graphrun/graphrun/graph/value"
)

// Func is a function of a module, or a region: a closed function that a node carries. It has parameters,
// nodes in an order in which every operand comes before its use, named results, and, if it is a
// function of the module, updates of variables.
type Func struct {
	name     string
	module   *Module
	parent   *Func // the function whose node carries this region
	detached bool  // an initializer or a region: closed, without reads and updates
	assumed  bool  // a region of which sizes have been put into the types without inferring them
	params   []*Node
	nodes    []*Node
	results  []Result
	updates  []Update
	pos      Pos

	carries  bool // a node has, or has had, regions
	names    map[string]Value
	reads    map[string]Value // the first read of each variable; nil if not yet known
	captures []Value          // values of parent that became the last parameters
	captured map[Value]Value  // from captures to parameters
	demands  []demand         // see KeepDemands

	taken []*Node                                  // by TakeNodes, until Forget
	since struct{ before, moduleBefore, at int64 } // changed of the function and of the module before TakeNodes, and of both after

	// What VerifyChanges relies on, in a function that is no region: times by the module's clock.
	changed, checked int64
	sum              summary // as of checked
}

// touch notes that f, and with it the functions that it is nested in, is not what was checked.
// Not inlined: 1.4 kB of the service.
//
//go:noinline
func (f *Func) touch() {
	m := f.module
	m.clock++
	m.changed = m.clock
	f.Root().changed = m.clock
}

// holds reports whether n stands in f, as a node or a parameter.
func (f *Func) holds(n *Node) bool {
	if n.at < 0 {
		i := -1 - n.at
		return i < len(f.params) && f.params[i] == n
	}
	return n.at < len(f.nodes) && f.nodes[n.at] == n
}

// push puts a node after the others.
func (f *Func) push(n *Node) {
	n.at = len(f.nodes)
	f.nodes = append(f.nodes, n)
	f.carries = f.carries || len(n.regions) > 0
	if f.reads != nil {
		f.noteRead(n)
	}
}

// readOf returns the first read of a variable.
func (f *Func) readOf(name string) (Value, bool) {
	if f.reads == nil {
		f.reads = map[string]Value{}
		for _, n := range f.nodes {
			f.noteRead(n)
		}
	}
	v, ok := f.reads[name]
	return v, ok
}

// noteRead notes a node that is the first read of its variable.
func (f *Func) noteRead(n *Node) {
	if n.op != readOp {
		return
	}
	if name := string(n.attrs.Symbol("var")); !f.reads[name].Valid() {
		f.reads[name] = n.Result(0)
	}
}

// Result is a named result of a function.
type Result struct {
	Name  string
	Value Value
}

// Update maps a variable to its next value, which is committed when the call has succeeded.
type Update struct {
	Var   *Variable
	Value Value
}

// Name returns the function's name; regions have one for messages only.
func (f *Func) Name() string { return f.name }

// Module returns the module that f belongs to.
func (f *Func) Module() *Module { return f.module }

// Version returns a number that is another one after any change of f or of what it is nested in or holds.
func (f *Func) Version() int64 { return f.Root().changed }

// Pos returns the place of the declaration.
func (f *Func) Pos() Pos { return f.pos }

// IsRegion reports whether f is closed: a region of a node or a variable's initializer.
func (f *Func) IsRegion() bool { return f.detached }

// Root returns the function of the module that f is nested in, f itself if it is not a region.
func (f *Func) Root() *Func {
	for f.parent != nil {
		f = f.parent
	}
	return f
}

// Params returns the parameters' values.
func (f *Func) Params() []Value {
	out := make([]Value, len(f.params))
	for i, p := range f.params {
		out[i] = p.Result(0)
	}
	return out
}

// Nodes returns the nodes in order; the slice must not be modified.
func (f *Func) Nodes() []*Node { return f.nodes }

// Carries reports whether there may be nodes with regions.
func (f *Func) Carries() bool { return f.carries }

// Results returns the results; the slice must not be modified.
func (f *Func) Results() []Result { return f.results }

// Updates returns the updates; the slice must not be modified.
func (f *Func) Updates() []Update { return f.updates }

// Lookup returns the value with a user's name, a parameter's included.
func (f *Func) Lookup(name string) (Value, bool) {
	v, ok := f.names[name]
	return v, ok
}

// Input declares a tensor parameter. Dims are ints, symbol names such as "N", or Dims; a symbol stands
// for one size in all inputs of a call.
func (f *Func) Input(name string, dt DType, dims ...any) Value {
	t, err := Tensor(dt, dims...)
	if err != nil {
		f.module.Report(Pos{}, "input", "%%%s: %v", name, err)
		return Poison(f)
	}
	return f.InputOf(name, t)
}

// InputOf declares a parameter of any type.
func (f *Func) InputOf(name string, t Type) Value {
	if !isIdent(name) {
		f.module.Report(Pos{}, "input", "%q is not a name: want letters, digits, '_' and '.', not starting with a digit", name)
		return Poison(f)
	}
	if old, taken := f.names[name]; taken {
		f.module.Report(Pos{}, "input", "%%%s is already the name of a value of @%s (declared at %s)", name, f.name, old.Node().pos)
		return Poison(f)
	}
	if fault := typeFault(t); fault != "" {
		f.module.Report(Pos{}, "input", "%%%s is %s: %s", name, typeText(t), fault)
		return Poison(f)
	}
	return f.param(name, t)
}

func (f *Func) param(name string, t Type) Value {
	n := &Node{op: paramOp, fn: f, pos: f.module.here(), scope: f.module.Scope(), at: -1 - len(f.params)}
	n.setTypes([]Type{t})
	f.params = append(f.params, n)
	f.touch()
	v := n.Result(0)
	if isIdent(name) {
		f.claimName(name, v)
	}
	return v
}

// Const declares a constant with the given value, which must not be modified afterwards.
func (f *Func) Const(t *value.Tensor) Value {
	if t == nil {
		f.module.Report(Pos{}, constantOp.Name, "want a tensor, have nil")
		return Value{}
	}
	return f.Emit(constantOp, nil, Attrs{{"value", t}})[0]
}

// Scalar declares a constant of rank 0. Integers and booleans are exact; a float rounds to dt.
func (f *Func) Scalar(dt DType, x any) Value {
	e, err := scalarExact(x)
	if err == nil && !dt.Valid() {
		err = errfmt.Errorf("unknown dtype %v", dt)
	}
	if err == nil && e.DType != dt {
		e, err = value.Convert(e, dt)
	}
	if err != nil {
		f.module.Report(Pos{}, constantOp.Name, "%v", err)
		return Value{}
	}
	return f.Const(e.Tensor())
}

func scalarExact(x any) (*value.Exact, error) {
	e := &value.Exact{Shape: []int{}}
	switch x := x.(type) {
	case bool:
		e.DType, e.B = Bool, []bool{x}
	case int:
		e.DType, e.I = I64, []int64{int64(x)}
	case int64:
		e.DType, e.I = I64, []int64{x}
	case int32:
		e.DType, e.I = I64, []int64{int64(x)}
	case uint64:
		e.DType, e.U = U64, []uint64{x}
	case float32:
		e.DType, e.F = F64, []float64{float64(x)}
	case float64:
		e.DType, e.F = F64, []float64{x}
	case string:
		e.DType, e.S = String, []string{x}
	default:
		return nil, errfmt.Errorf("want a number, a bool or a string, have %T", x)
	}
	return e, nil
}

// Return declares a named result. A function needs at least one result or update.
func (f *Func) Return(name string, v Value) {
	m := f.module
	switch {
	case !isSymbol(name):
		m.Report(Pos{}, "return", "%q is not a name: want letters, digits, '_' and '.'", name)
		return
	case slices.ContainsFunc(f.results, func(r Result) bool { return r.Name == name }):
		m.Report(Pos{}, "return", "%q is already a result of @%s", name, f.name)
		return
	}
	if v, ok := f.use("return "+name, v); ok {
		f.results = append(f.results, Result{name, v})
		f.touch()
	}
}

// Update declares that the variable takes the value v when the call has succeeded.
func (f *Func) Update(vr *Variable, v Value) {
	m := f.module
	if vr == nil {
		m.Report(Pos{}, "update", "want a variable, have nil")
		return
	}
	switch {
	case f.detached:
		m.Report(Pos{}, "update", "@%s: a region cannot update variables", vr.name)
		return
	case vr.module != m:
		m.Report(Pos{}, "update", "@%s belongs to another module", vr.name)
		return
	case slices.ContainsFunc(f.updates, func(u Update) bool { return u.Var == vr }):
		m.Report(Pos{}, "update", "@%s is updated twice in @%s", vr.name, f.name)
		return
	}
	v, ok := f.use("update @"+vr.name, v)
	if !ok {
		return
	}
	if v.OK() && !EqualTypes(v.Type(), vr.typ) {
		m.Report(Pos{}, "update", "@%s: want %s, have %s", vr.name, vr.typ, v.Type())
		return
	}
	f.updates = append(f.updates, Update{vr, v})
	f.touch()
}

// use checks that v can be used in f and captures it if it belongs to an enclosing function.
func (f *Func) use(what string, v Value) (Value, bool) {
	if v.Node() == nil {
		f.module.Report(Pos{}, what, "the value is missing (a zero graph.Value)")
		return v, false
	}
	if v.Node().fn == f {
		return v, true
	}
	for p := f.parent; p != nil; p = p.parent {
		if p == v.Node().fn {
			return f.capture(v), true
		}
	}
	f.module.Report(Pos{}, what, "%s belongs to @%s, not to @%s", describe(v), v.Node().fn.name, f.name)
	return v, false
}

func (f *Func) capture(v Value) Value {
	if v.Node().fn != f.parent {
		v = f.parent.capture(v)
	}
	if p, ok := f.captured[v]; ok {
		return p
	}
	p := f.param("", v.Type())
	if f.captured == nil {
		f.captured = map[Value]Value{}
	}
	f.captured[v] = p
	f.captures = append(f.captures, v)
	return p
}

// Region builds a closed function with parameters of the given types, to be carried by a node of f.
// Values of f that build uses become further parameters; see UnifyCaptures. A nil build is reported.
func (f *Func) Region(name string, params []Type, build func(r *Func, in []Value) []Value) *Func {
	r := &Func{name: name, module: f.module, parent: f, detached: true, pos: f.module.here()}
	in := make([]Value, len(params))
	for i, t := range params {
		in[i] = r.param("", t)
	}
	if build == nil {
		f.module.Report(Pos{}, name, "want a function that builds the region, have nil")
		return r
	}
	for i, v := range build(r, in) {
		if v, ok := r.use(name, v); ok {
			r.results = append(r.results, Result{strconv.Itoa(i), v})
		}
	}
	return r
}

// UnifyCaptures gives all regions the same captured values as their last parameters, in one order, and
// returns those values: the node that carries the regions takes them as its last operands.
func UnifyCaptures(regions ...*Func) []Value {
	var all []Value
	for _, r := range regions {
		for _, v := range r.captures {
			if !slices.Contains(all, v) {
				all = append(all, v)
			}
		}
	}
	for _, r := range regions {
		own := r.params[:len(r.params)-len(r.captures)]
		params := slices.Clone(own)
		for _, v := range all {
			params = append(params, r.capture(v).Node())
		}
		for i, p := range params {
			p.at = -1 - i
		}
		r.params, r.captures = params, all
		r.touch()
	}
	return all
}

func describe(v Value) string {
	if name := v.Node().ResultName(v.Index()); name != "" {
		return fmt.Sprintf("%%%s (%s)", name, v.Type())
	}
	return fmt.Sprintf("the %s of %s", v.Node().op.Name, v.Node().pos)
}

// Emit appends a node to f and returns its results. A node that its op refuses is reported with the
// caller's position, and its results have an invalid type; nodes that use them are refused silently, so
// that one fault gives one message.
func (f *Func) Emit(op *Op, in []Value, attrs Attrs, regions ...*Func) []Value {
	m := f.module
	n := &Node{op: op, fn: f, pos: m.here(), scope: m.Scope(), regions: regions}
	if f.full(n) {
		return n.poison(attrs)
	}
	if len(in) > 0 {
		n.in = make([]Value, len(in))
	}
	for i, v := range in {
		if v.Node() == nil {
			name := strconv.Itoa(i)
			if a := op.Arg(i); a != nil {
				name = a.Name
			}
			m.Report(n.pos, op.Name, "operand %s is missing (a zero graph.Value)", name)
			return n.poison(attrs)
		}
		if IsInvalid(v.Type()) {
			return n.poison(attrs)
		}
		v, ok := f.use(op.Name, v)
		if !ok {
			return n.poison(attrs)
		}
		n.in[i] = v
	}
	for i, r := range regions {
		if r == nil || r.parent != f && !m.body {
			m.Report(n.pos, op.Name, "want region %d made by Region of @%s", i, f.name)
			return n.poison(attrs)
		}
	}
	var types []Type
	var err error
	if n.attrs, err = op.normalizeAttrs(attrs); err == nil {
		c := InferCtx{Attrs: n.attrs, In: n.OperandTypes(), Op: op, Regions: regions, Module: m}
		if types, err = op.infer(&c); err == nil {
			n.types = types
			n.open = n.mayFail(&c)
		}
	}
	if err != nil {
		m.Report(n.pos, op.Name, "%v", err)
		return n.poison(attrs)
	}
	n.setTypes(types)
	for _, r := range regions {
		r.assumed = false
	}
	n.sound = op.registered == op && op != callOp && len(regions) == 0
	f.push(n)
	f.touch()
	return n.Results()
}

func (n *Node) poison(attrs Attrs) []Value {
	count := len(n.op.Results)
	if n.op.NumResults != nil {
		if a, err := n.op.normalizeAttrs(attrs); err == nil {
			count = n.op.NumResults(a, len(n.in))
		}
	}
	n.setTypes(slices.Repeat([]Type{invalidType{}}, min(max(count, 1), 1<<16))) // text may say any number
	return n.Results()
}

// Apply emits a node into the innermost function among those of its operands. It is what the functions
// of package ops are made of. Without operands there is no function to emit into: use Emit.
func Apply(op *Op, in []Value, attrs Attrs, regions ...*Func) []Value {
	f := Innermost(in...)
	if f == nil { // nothing to report on: the fault comes out where the result is used
		return make([]Value, max(len(op.Results), 1))
	}
	return f.Emit(op, in, attrs, regions...)
}

// Innermost returns the most deeply nested function among those of the values, nil if none is valid.
func Innermost(vs ...Value) *Func {
	var f *Func
	depth := -1
	for _, v := range vs {
		if v.Node() == nil {
			continue
		}
		d := 0
		for p := v.Node().fn.parent; p != nil; p = p.parent {
			d++
		}
		if d > depth {
			f, depth = v.Node().fn, d
		}
	}
	return f
}

// TakeNodes removes and returns all nodes, so that a pass can put them back one by one with Append
// between the nodes that it emits. It is for passes.
func (f *Func) TakeNodes() []*Node {
	f.since.before, f.since.moduleBefore = f.Root().changed, f.module.changed
	f.touch()
	f.since.at = f.module.changed
	f.taken = f.nodes
	f.nodes = make([]*Node, 0, len(f.taken))
	f.reads = nil // a read that comes later must not be used before
	return f.taken
}

// Append puts a node back after those already there. It is for passes.
func (f *Func) Append(n *Node) {
	if i := len(f.nodes); i >= len(f.taken) || f.taken[i] != n {
		f.touch()
	}
	f.push(n)
}

// Truncate drops the nodes behind the first n, which have been emitted since TakeNodes and which nothing uses. It is for passes.
func (f *Func) Truncate(n int) {
	f.nodes, f.reads = f.nodes[:n], nil
	f.touch()
}

// Outline appends a node of op that carries one region, and returns it. The region does what the given nodes of f do, which have been
// taken and are not put back: it holds copies of them on parameters that stand for args, with their attributes, types, positions
// and scopes. Their operands are args, results of nodes before, or constants, which are copied too. Of their results the given ones are the
// region's. attrs must be as those of a Node. It is for passes.
func (f *Func) Outline(op *Op, attrs Attrs, nodes []*Node, args, results []Value) *Node {
	var constants []*Node
	operands := 0
	for i, n := range nodes {
		n.at = i // where its copy is found
		operands += len(n.in)
		for _, v := range n.in {
			if v.Node().op == constantOp && !slices.Contains(constants, v.Node()) && !slices.Contains(args, v) {
				constants = append(constants, v.Node())
			}
		}
	}
	last := nodes[len(nodes)-1]
	r := &Func{name: op.Name, module: f.module, parent: f, detached: true, pos: last.pos}
	store := make([]Node, 1+len(args)+len(constants)+len(nodes))
	links := make([]*Node, len(args), len(store)-1+len(constants)+len(nodes))
	values := make([]Value, len(args)+operands)
	take := func(count int) (in []Value) {
		in, values = values[:count:count], values[count:]
		return in
	}
	fresh := func(n Node) *Node {
		k := &store[0]
		*k, store = n, store[1:]
		k.setTypes(n.types)
		return k
	}
	for i, v := range args {
		links[i] = fresh(Node{op: paramOp, types: v.Node().types[v.Index() : v.Index()+1 : v.Index()+1], fn: r, pos: last.pos, scope: last.scope, at: -1 - i})
	}
	r.params = links[:len(args):len(args)]
	r.nodes = links[len(args) : len(args) : len(args)+len(constants)+len(nodes)]
	copies := links[cap(r.nodes)+len(args) : cap(links)] // of constants, then of nodes
	// The types are those of the operands of old, and symbols come from around the region: what has been checked of n holds for its copy.
	copyNode := func(n *Node, in []Value) *Node {
		k := fresh(Node{op: n.op, in: in, attrs: n.attrs, types: n.types, fn: r, pos: n.pos, scope: n.scope, sound: n.sound, plain: n.plain, open: n.open})
		if len(n.regions) > 0 {
			k.regions = n.cloneRegions(r)
		}
		r.push(k)
		return k
	}
	inside := func(v Value) Value {
		n := v.Node()
		if n.at >= 0 && n.at < len(nodes) && nodes[n.at] == n && copies[len(constants)+n.at] != nil {
			return copies[len(constants)+n.at].Result(v.Index())
		}
		if i := slices.Index(args, v); i >= 0 {
			return r.params[i].Result(0)
		}
		i := slices.Index(constants, n)
		if i < 0 {
			return v // for the verifier to find
		}
		if copies[i] == nil {
			copies[i] = copyNode(n, nil)
		}
		return copies[i].Result(0)
	}
	for i, n := range nodes {
		in := take(len(n.in))
		for k, v := range n.in {
			in[k] = inside(v)
		}
		copies[len(constants)+i] = copyNode(n, in)
	}
	types := make([]Type, len(results))
	r.results = make([]Result, len(results))
	for i, v := range results {
		r.results[i] = Result{strconv.Itoa(i), inside(v)}
		types[i] = v.Type()
	}
	in := take(len(args))
	copy(in, args)
	n := fresh(Node{op: op, in: in, attrs: attrs, regions: []*Func{r}, types: types, fn: f, pos: last.pos, scope: last.scope})
	f.push(n)
	f.touch()
	return n
}

// SetNodes replaces all nodes. It is for passes.
func (f *Func) SetNodes(nodes []*Node) {
	if slices.Equal(f.nodes, nodes) {
		return
	}
	f.nodes, f.reads = nodes, nil
	for i, n := range nodes {
		n.at = i
	}
	f.touch()
}

// Forget drops the record of nodes and names that passes have removed. It is for passes.
func (f *Func) Forget() {
	taken := f.taken
	f.taken = nil
	if root := f.Root(); taken != nil && len(taken) == len(f.nodes) && root.changed == f.since.at {
		// All that happened since TakeNodes is that each node was put back where it was.
		root.changed = f.since.before
		if f.module.changed == f.since.at {
			f.module.changed = f.since.moduleBefore
		}
		return
	}
	maps.DeleteFunc(f.names, func(_ string, v Value) bool { return !f.holds(v.Node()) })
}

// SetResult replaces the value of result i. It is for passes.
func (f *Func) SetResult(i int, v Value) {
	if f.results[i].Value != v {
		f.results[i].Value = v
		f.touch()
	}
}

// SetUpdate replaces the value of update i. It is for passes.
func (f *Func) SetUpdate(i int, v Value) {
	if f.updates[i].Value != v {
		f.updates[i].Value = v
		f.touch()
	}
}

// rename moves the user's names from the results of one node to values that replace them, where those
// have no name yet.
func (f *Func) rename(from *Node, to []Value) {
	for i, v := range to {
		name := from.ResultName(i)
		if name == "" || v.Node() == nil || v.Node().fn != f || v.Node().ResultName(v.Index()) != "" || v.Node().op == paramOp {
			continue
		}
		from.setName(i, "")
		v.Node().setName(v.Index(), name)
		f.names[name] = v
	}
}

// cloneRegions copies the regions of n for a node of f.
func (n *Node) cloneRegions(f *Func) []*Func {
	if len(n.regions) == 0 {
		return nil
	}
	copies := make([]*Func, len(n.regions))
	for i, r := range n.regions {
		copies[i] = r.cloneInto(f.module, f)
	}
	return copies
}

// cloneInto copies f into the module c.
func (f *Func) cloneInto(c *Module, parent *Func) *Func {
	g := &Func{name: f.name, module: c, parent: parent, detached: f.detached, pos: f.pos, demands: slices.Clip(f.demands)}
	move := func(v Value) Value { // what no earlier node of f gives stays, for the verifier to find
		switch n := v.Node(); {
		case n == nil || !f.holds(n):
			return v
		case n.at < 0:
			return g.params[-1-n.at].Result(v.Index())
		case g.nodes[n.at] == nil:
			return v
		default:
			return g.nodes[n.at].Result(v.Index())
		}
	}
	operands := 0
	for _, n := range f.nodes {
		operands += len(n.in)
	}
	nodes, values := make([]Node, len(f.params)+len(f.nodes)), make([]Value, operands)
	copyNode := func(n *Node) *Node {
		k := &nodes[0]
		nodes = nodes[1:]
		*k = Node{op: n.op, attrs: n.attrs, names: slices.Clone(n.names), fn: g, pos: n.pos, scope: n.scope, at: n.at, open: n.open}
		k.setTypes(n.types)
		if count := len(n.in); count > 0 {
			k.in, values = values[:count:count], values[count:]
			for i, v := range n.in {
				k.in[i] = move(v)
			}
		}
		if len(n.regions) > 0 {
			k.regions = n.cloneRegions(g)
		}
		return k
	}
	g.params = make([]*Node, len(f.params))
	for i, p := range f.params {
		g.params[i] = copyNode(p)
	}
	g.nodes = make([]*Node, len(f.nodes))
	for i, n := range f.nodes {
		g.nodes[i] = copyNode(n)
		g.carries = g.carries || len(n.regions) > 0
	}
	for _, r := range f.results {
		g.results = append(g.results, Result{r.Name, move(r.Value)})
	}
	for _, u := range f.updates {
		g.updates = append(g.updates, Update{c.varByName[u.Var.name], move(u.Value)})
	}
	g.names = make(map[string]Value, len(f.names))
	for name, v := range f.names {
		if f.holds(v.Node()) {
			g.names[name] = move(v)
		}
	}
	return g
}

// Symbols returns the symbolic dims of the parameters, sorted.
func (f *Func) Symbols() []string {
	set := map[string]bool{}
	for _, p := range f.params {
		if t, ok := p.types[0].(TensorType); ok {
			for _, d := range t.Shape {
				for _, s := range d.Symbols() {
					set[s] = true
				}
			}
		}
	}
	return sortedKeys(set)
}

// Poison returns a value of f that stands for one that was refused: nodes that use it are refused
// silently. Functions that report a fault return it.
func Poison(f *Func) Value {
	n := &Node{op: paramOp, fn: f, pos: f.module.here()}
	n.setTypes([]Type{invalidType{}})
	return n.Result(0)
}
