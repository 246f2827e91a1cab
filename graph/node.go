package graph

import (
	"slices"

	"github.com/graphrun/graphrun/graph/value"
)

// Node is one application of an op: operands, attributes, regions, and one type per result.
// Passes change nodes; everyone else treats them as read-only.
type Node struct {
	op      *Op
	in      []Value
	attrs   Attrs
	regions []*Func
	types   []Type
	first   result    // of the results, one per type
	more    *[]result // those after the first, if there are any
	names   []string  // the user's names of results; "" or missing where there is none
	fn      *Func
	pos     Pos
	scope   string
	instead []Value // what replaces the results
	at      int     // see Index
	// What VerifyChanges relies on.
	sound bool // the verifier's local rules hold
	plain bool // those of sizes do too, and no size depends on data

	open bool // the type rule may refuse the node when sizes are known: see demand
}

// Op returns the node's op.
func (n *Node) Op() *Op { return n.op }

// IsFused reports whether the node stands for several that one kernel computes: those of its region.
func (n *Node) IsFused() bool { return n.op.Props.Fused }

// Func returns the function that holds the node.
func (n *Node) Func() *Func { return n.fn }

// Index returns the place of a node among its function's nodes, and -1-i for that of parameter i. It changes when passes
// take and put back the function's nodes; that of a node that stands in no function has no meaning.
func (n *Node) Index() int { return n.at }

// Pos returns the user's call that made the node. Gradients and rewritten nodes keep the position of
// the node they come from.
func (n *Node) Pos() Pos { return n.pos }

// Scope returns the path of the layer that made the node, such as "features.0"; "" outside layers.
func (n *Node) Scope() string { return n.scope }

// Attrs returns the attributes; they must not be modified.
func (n *Node) Attrs() Attrs { return n.attrs }

// Operands returns the operands; the slice must not be modified.
func (n *Node) Operands() []Value { return n.in }

// Regions returns the closed functions that the node carries.
func (n *Node) Regions() []*Func { return n.regions }

// NumResults returns the number of results.
func (n *Node) NumResults() int { return len(n.types) }

// Result returns result i. It is called in a hundred places: inlined, it takes 5 kB of a service.
//
//go:noinline
func (n *Node) Result(i int) Value {
	if i == 0 {
		return Value{&n.first}
	}
	return Value{&(*n.more)[i-1]}
}

// Results returns all results. Inlined, it takes 1.4 kB of a service.
//
//go:noinline
func (n *Node) Results() []Value {
	out := make([]Value, len(n.types))
	for i := range out {
		out[i] = n.Result(i)
	}
	return out
}

// setTypes gives a new node its results, one per type. Inlined, it takes 2.4 kB of a service.
//
//go:noinline
func (n *Node) setTypes(types []Type) {
	n.types = types
	n.first = result{n, 0}
	if len(types) > 1 {
		more := make([]result, len(types)-1)
		for i := range more {
			more[i] = result{n, i + 1}
		}
		n.more = &more
	}
}

// Types returns the result types; the slice must not be modified.
func (n *Node) Types() []Type { return n.types }

// OperandTypes returns the types of the operands.
func (n *Node) OperandTypes() []Type {
	types := make([]Type, len(n.in))
	for i, v := range n.in {
		types[i] = v.Type()
	}
	return types
}

// typesOf returns the types of parameters. Inlined, it takes 1 kB of a service.
//
//go:noinline
func typesOf(params []*Node) []Type {
	types := make([]Type, len(params))
	for i, p := range params {
		types[i] = p.types[0]
	}
	return types
}

// ResultName returns the user's name of result i, "" if it has none.
func (n *Node) ResultName(i int) string {
	if i < len(n.names) {
		return n.names[i]
	}
	return ""
}

// SetOperand replaces operand i. It is for passes.
func (n *Node) SetOperand(i int, v Value) {
	if old := n.in[i]; old != v {
		if n.sound && !EqualTypes(old.Type(), v.Type()) {
			n.sound, n.plain = false, false
		}
		n.in[i] = v
		n.fn.touch()
	}
}

// Replace lets values stand for the results of n: from now on Current returns them, and the user's names move along to those that have
// none. They must be values of the results' types, by which what uses them has been typed: of others the error, a *Diagnostic, says what
// differs, and what stands for the results is refused silently where it is used. It is for passes, which do not put the node back.
func (n *Node) Replace(values []Value) error {
	same := len(values) == len(n.types)
	for i := 0; same && i < len(values); i++ {
		same = EqualTypes(n.types[i], values[i].Type())
	}
	if !same {
		n.instead = slices.Repeat([]Value{Poison(n.fn)}, len(n.types))
		return &Diagnostic{Pos: n.pos, Op: n.op.Name, Msg: "want " + typeList(n.Results()) + " for its results, have " + typeList(values)}
	}
	n.instead = values
	n.fn.rename(n, values)
	return nil
}

// Current follows the replacements that Replace has made, to the value that stands for v now.
func (v Value) Current() Value {
	for v.r != nil && v.r.node.instead != nil {
		v = v.r.node.instead[v.r.index]
	}
	return v
}

func (n *Node) setName(i int, name string) {
	for len(n.names) <= i {
		n.names = append(n.names, "")
	}
	n.names[i] = name
}

// Value is one result of a node: the handle with which models are declared. The zero Value is no value;
// every function that builds nodes accepts it and reports it with the caller's position.
type Value struct {
	r *result // a pointer alone, so that a Value becomes an Operand or an entry of a map without being copied to the heap
}

// result is one result of a node.
type result struct {
	node  *Node
	index int
}

// Valid reports whether v is a value at all; the value of a refused node is.
func (v Value) Valid() bool { return v.r != nil }

// OK reports whether v is a value whose node was accepted.
func (v Value) OK() bool { return v.r != nil && !IsInvalid(v.Type()) }

// Node returns the node that computes v, nil for the zero Value.
func (v Value) Node() *Node {
	if v.r == nil {
		return nil
	}
	return v.r.node
}

// Index returns which result of its node v is.
func (v Value) Index() int {
	if v.r == nil {
		return 0
	}
	return v.r.index
}

// Func returns the function that holds v, nil for the zero Value.
func (v Value) Func() *Func {
	if v.r == nil {
		return nil
	}
	return v.r.node.fn
}

// Type returns the type of v. The zero Value and values of refused nodes have an invalid type.
// Not inlined: 8.3 kB of the service.
//
//go:noinline
func (v Value) Type() Type {
	if v.r == nil || v.r.index >= len(v.r.node.types) {
		return invalidType{}
	}
	return v.r.node.types[v.r.index]
}

// TensorType returns the type of v if it is a tensor.
// Not inlined: 1.0 kB of the service.
//
//go:noinline
func (v Value) TensorType() (TensorType, bool) {
	t, ok := v.Type().(TensorType)
	return t, ok
}

// DType returns the dtype of a tensor value, value.Invalid for others. Inlined, it takes 0.6 kB of a service.
//
//go:noinline
func (v Value) DType() DType {
	t, _ := v.TensorType()
	return t.DType
}

// Shape returns the dims of a tensor value, nil for others; the slice must not be modified.
// Not inlined: 2.4 kB of the service.
//
//go:noinline
func (v Value) Shape() []Dim {
	t, _ := v.TensorType()
	return t.Shape
}

// Rank returns the number of axes of a tensor value, 0 for others.
// Not inlined: 0.8 kB of the service.
//
//go:noinline
func (v Value) Rank() int { return len(v.Shape()) }

// Named gives v a name, which text, messages, DOT and `--fetch` use, and returns v. Names are unique
// within a function.
func (v Value) Named(name string) Value {
	if v.r == nil {
		return v
	}
	f := v.r.node.fn
	if !isIdent(name) {
		f.module.Report(Pos{}, "name", "%q is not a name: want letters, digits, '_' and '.', not starting with a digit", name)
		return v
	}
	f.claimName(name, v)
	return v
}

// OpName returns the name of the op that computes v.
func (v Value) OpName() string {
	if v.r == nil {
		return ""
	}
	return v.r.node.op.Name
}

// Constant returns the tensor of a constant node.
func (v Value) Constant() (t *value.Tensor, ok bool) {
	if v.r == nil || v.r.node.op != constantOp {
		return nil, false
	}
	return v.r.node.attrs.Tensor("value"), true
}

// Is reports whether v is a result of the named op.
func (v Value) Is(op string) bool { return v.r != nil && v.r.node.op.Name == op }

func (f *Func) claimName(name string, v Value) {
	if f.names == nil {
		f.names = map[string]Value{}
	}
	if old, taken := f.names[name]; taken && old != v {
		f.module.Report(Pos{}, "name", "%%%s is already the name of a value of @%s (declared at %s)", name, f.name, old.Node().pos)
		return
	}
	if old := v.Node().ResultName(v.Index()); old != "" {
		delete(f.names, old)
	}
	f.names[name] = v
	v.Node().setName(v.Index(), name)
	f.touch()
}

// isIdent accepts the names of values, functions and variables: letters, digits, '_' and '.'; not
// starting with a digit for values, so that %0 stays free for values without a name.
func isIdent(s string) bool {
	return isSymbol(s) && !(s[0] >= '0' && s[0] <= '9')
}

// isSymbol accepts what may follow an @: as isIdent, but "0.weight" is fine.
// Not inlined: 1.0 kB of the service.
//
//go:noinline
func isSymbol(s string) bool {
	if s == "" || len(s) > 256 || s[0] == '.' {
		return false
	}
	for i := range len(s) {
		if c := s[i]; !(c == '_' || c == '.' || c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z') {
			return false
		}
	}
	return true
}
