package graph

import (
	"fmt"
	"maps"
	"math/bits"
	"slices"
	"strings"

	"github.com/graphrun/graphrun/graph/value"
)

// Rule is one of the rules that make a module valid.
type Rule struct {
	Name string
	Doc  string

	module func(*verifier)               // what it asks of the module's tables,
	body   func(*verifier, *body)        // of a function apart from its nodes,
	node   func(*verifier, *body, *Node) // and of a node
	// of says on what the answer of node depends, besides the rules above.
	of scope
}

// scope is what a node's rule looks at.
type scope uint8

const (
	place scope = iota // where the node and its operands stand
	local              // the node itself, the types of its operands, and, where it has regions or is a call, those
	sizes              // the symbols and unknown sizes that the node names, and, where it is a read or a call, that it is
)

// Rules returns the rules of Verify in the order in which it checks them.
func Rules() []Rule { return slices.Clone(rules) }

// rules are ordered: a rule may rely on those above it, so checking ends with the first rule that finds
// faults.
var rules = []Rule{
	{
		Name: "module", Doc: "module, variables and functions have names, and the tables hold each under its own",
		module: (*verifier).module,
	},
	{
		Name: "variable", Doc: "a variable is a tensor with constant dims; the state of an optimizer is not trainable",
		module: (*verifier).variables,
	},
	{
		Name: "function", Doc: "nodes and parameters belong to their function and stand in it once; functions belong to the module",
		body: (*verifier).function, node: (*verifier).member,
	},
	{
		Name: "region", Doc: "a node carries as many regions as its op says; each belongs to the node's function and to no other node",
		node: (*verifier).regions,
	},
	{
		Name: "op", Doc: "ops are the registered ones",
		node: (*verifier).op, of: local,
	},
	{
		Name: "operand", Doc: "operands are results of nodes that stand before in the same function",
		node: (*verifier).operands,
	},
	{
		Name: "result", Doc: "results are named, once each, and are values of the function; a function has a result or an update",
		body: (*verifier).results,
	},
	{
		Name: "update", Doc: "updates map variables of the module, once each, to values of the function of their type",
		body: (*verifier).updates,
	},
	{
		Name: "closed", Doc: "regions and initializers neither read nor update variables",
		body: (*verifier).closed, node: (*verifier).closedNode,
	},
	{
		Name: "call", Doc: "calls name functions that come before and update nothing; initializers call none, regions none that read",
		node: (*verifier).calls, of: sizes,
	},
	{
		Name: "attribute", Doc: "attributes are those that the op declares, all of them, sorted, of the declared kinds",
		node: (*verifier).attributes, of: local,
	},
	{
		Name: "type", Doc: "values have types: no faulty ones, no dims below zero or beyond int64",
		body: (*verifier).paramTypes, node: (*verifier).types, of: local,
	},
	{
		Name: "inference", Doc: "the types of results are those that the op infers from the operands",
		node: (*verifier).inference, of: local,
	},
	{
		Name: "symbol", Doc: "symbols come from the parameters of the function, or of those around a region; unknown sizes from nodes before",
		node: (*verifier).symbols, of: sizes,
	},
	{
		Name: "initializer", Doc: "a variable has an initializer: from one u64[2] key to one value of its type",
		module: (*verifier).initializers,
	},
	{
		Name: "name", Doc: "names of values are words, unique in their function and found by Lookup",
		body: (*verifier).paramNames, node: (*verifier).names,
	},
}

// nodeRules are those of rules that ask something of nodes.
var nodeRules = func() (of []*Rule) {
	for i := range rules {
		if rules[i].node != nil {
			of = append(of, &rules[i])
		}
	}
	return of
}()

// placeRules are those of nodeRules that ask where a node stands.
var placeRules = slices.DeleteFunc(slices.Clone(nodeRules), func(r *Rule) bool { return r.of != place })

// Verify returns the faults of m as Diagnostics: those recorded when it was built, else those of the first
// rule that m breaks. A module built without a recorded fault is valid unless a pass spoiled it or the
// order of its functions is not that of their calls. Verify changes nothing.
func Verify(m *Module) error { return verify(m, false) }

// VerifyChanges is Verify for a module at which passes work. It notes in the module what it has checked, and spares itself the
// functions that have not changed since, and for nodes that have not, the rules that do not depend on their place. In a module that Clone
// returned it checks everything. The compiler runs it after every pass.
func VerifyChanges(m *Module) error { return verify(m, true) }

// verify first walks over the module once, asking all rules of a node before it goes to the next. If one of them objects, it
// asks rule by rule, so that the faults reported are those of the first rule that is broken.
func verify(m *Module, trust bool) error {
	if err := m.Err(); err != nil {
		return err
	}
	w := &verifier{m: m, trust: trust}
	if w.walkModule(); len(w.faults) == 0 {
		return nil
	}
	v := &verifier{m: m}
	v.collect()
	for i := range rules {
		if v.ask(&rules[i]); len(v.faults) > 0 {
			return v.faults
		}
	}
	return w.faults
}

type verifier struct {
	m      *Module
	trust  bool // rely on what is noted in the module, and note more
	rule   *Rule
	bodies []*body // functions after the regions in them, initializers first; a walk does not need them
	faults Diagnostics

	carried map[*Func]bool           // the regions of the nodes checked so far
	order   map[string]int           // of the functions; nil if not yet known
	callees map[string]*summary      // of the functions checked so far
	unknown map[*Func]map[string]int // the index of the first node with the unknown in a result

	infer InferCtx // for all nodes in turn
}

// body is a function, a region or an initializer.
type body struct {
	f       *Func
	outer   *body           // around a region
	carrier *Node           // of a region
	isInit  bool            // an initializer
	at      int             // the place of the node that is being checked
	sum     *summary        // of the function of the module
	index   map[*Node]int   // the place of each node, parameters have -1; nil while nodes know it themselves
	symbols map[string]bool // in the types of the parameters; nil if not yet known
	symbol  string          // the one of symbols that was asked for last
}

// summary is what the callers of a function of the module need to know of it.
type summary struct {
	calls, reads bool            // itself or by calls
	sizes        map[string]bool // that data decides in it and in its callees
	called       map[string]bool // that data decides in its callees
}

// roots calls visit for every initializer and every function of the module, until there is a fault.
func (v *verifier) roots(visit func(f *Func, isInit bool)) {
	for _, vr := range v.m.vars {
		if vr != nil && vr.init != nil && len(v.faults) == 0 {
			visit(vr.init, true)
		}
	}
	v.callees = make(map[string]*summary, len(v.m.funcs))
	for _, f := range v.m.funcs {
		if f != nil && len(v.faults) == 0 {
			visit(f, false)
		}
	}
}

// root returns the body of an initializer or a function of the module.
func (v *verifier) root(f *Func, isInit bool) *body {
	b := &body{f: f, isInit: isInit, sum: &summary{}}
	if !isInit {
		v.callees[f.name] = b.sum
	}
	return b
}

// region returns the body of a region of the node n of b.
func (b *body) region(r *Func, n *Node) *body {
	return &body{f: r, outer: b, carrier: n, sum: b.sum}
}

// collect finds all bodies.
func (v *verifier) collect() {
	seen := map[*Func]bool{}
	var add func(b *body)
	add = func(b *body) {
		if seen[b.f] { // the rule on regions reports it
			return
		}
		seen[b.f] = true
		for _, n := range b.f.nodes {
			if n == nil {
				continue
			}
			for _, r := range n.regions {
				if r != nil {
					add(b.region(r, n))
				}
			}
		}
		v.bodies = append(v.bodies, b)
	}
	v.roots(func(f *Func, isInit bool) { add(v.root(f, isInit)) })
}

// ask checks one rule everywhere.
func (v *verifier) ask(r *Rule) {
	v.rule = r
	if r.module != nil {
		r.module(v)
	}
	for _, b := range v.bodies {
		if r.body != nil {
			r.body(v, b)
		}
		if r.node == nil {
			continue
		}
		for i, n := range b.f.nodes {
			b.at = i
			r.node(v, b, n)
		}
	}
}

// walkModule checks all rules up to the first fault.
func (v *verifier) walkModule() {
	m := v.m
	tables := !v.trust || !m.checked // whether to check them
	first := slices.IndexFunc(rules, func(r Rule) bool { return r.module == nil })
	if tables {
		v.tables(rules[:first])
	}
	v.roots(func(f *Func, isInit bool) {
		if v.trust && f.checked > f.changed && (!f.sum.calls || f.checked > m.changed) {
			if !isInit {
				v.callees[f.name] = &f.sum
			}
			return
		}
		tables = tables || isInit
		b := v.root(f, isInit)
		v.walk(b)
		if v.trust && len(v.faults) == 0 {
			m.clock++
			f.checked, f.sum = m.clock, *b.sum
		}
	})
	if tables && len(v.faults) == 0 {
		v.tables(rules[first:])
	}
	m.checked = m.checked || v.trust && len(v.faults) == 0
}

// tables checks what rules ask of the module's tables.
func (v *verifier) tables(rules []Rule) {
	for i := range rules {
		if v.rule = &rules[i]; v.rule.module != nil && len(v.faults) == 0 {
			v.rule.module(v)
		}
	}
}

// walk checks a body and the regions in it.
func (v *verifier) walk(b *body) {
	if v.trust {
		b.f.taken = nil // so that nodes that come back later count as changes
	}
	for i := range rules {
		if v.rule = &rules[i]; v.rule.body != nil && len(v.faults) == 0 {
			v.rule.body(v, b)
		}
	}
	for i := range b.f.nodes {
		if len(v.faults) > 0 {
			return
		}
		b.at = i
		v.walkNode(b, b.f.nodes[i])
	}
}

func (v *verifier) walkNode(b *body, n *Node) {
	rules := nodeRules
	if v.trust && n != nil && n.sound && n.plain {
		rules = placeRules
	}
	for _, r := range rules {
		if v.trust && (r.of == local && n.sound || r.of == sizes && n.plain) {
			continue
		}
		v.rule = r
		if r.node(v, b, n); len(v.faults) > 0 {
			return
		}
		if r.Name == "region" {
			for _, region := range n.regions {
				if v.walk(b.region(region, n)); len(v.faults) > 0 {
					return
				}
			}
		}
	}
	if v.trust && !n.plain && n.op != callOp && len(n.regions) == 0 {
		n.sound, n.plain = true, n.op != readOp && !n.namesUnknown()
	}
}

// faultf reports a fault of the rule that is being checked.
func (v *verifier) faultf(pos Pos, what, format string, args ...any) {
	msg := fmt.Sprintf(format, args...) + " (verifier rule " + v.rule.Name + ")"
	v.faults = append(v.faults, &Diagnostic{Pos: pos, Op: what, Msg: msg})
}

// Not inlined: 3.7 kB of the service.
//
//go:noinline
func (v *verifier) node(n *Node, format string, args ...any) {
	what := "node"
	if n.op != nil {
		what = n.op.Name
	}
	v.faultf(n.pos, what, format, args...)
}

func (v *verifier) body(b *body, format string, args ...any) {
	v.faultf(b.f.pos, b.what(), format, args...)
}

func (b *body) what() string {
	switch {
	case b.isInit:
		return "init"
	case b.carrier != nil && b.carrier.op != nil:
		return b.carrier.op.Name + " region"
	}
	return "func @" + b.f.name
}

func (v *verifier) module() {
	m := v.m
	if !isSymbol(m.name) {
		v.faultf(Pos{}, "module", "%q is not a name", m.name)
	}
	for _, vr := range m.vars {
		switch {
		case vr == nil:
			v.faultf(Pos{}, "var", "a variable is nil")
		case !isSymbol(vr.name):
			v.faultf(vr.pos, "var", "%q is not a name", vr.name)
		case m.varByName[vr.name] != vr:
			v.faultf(vr.pos, "var", "@%s is not what the module finds under its name", vr.name)
		}
	}
	for _, f := range m.funcs {
		switch {
		case f == nil:
			v.faultf(Pos{}, "func", "a function is nil")
		case !isSymbol(f.name):
			v.faultf(f.pos, "func", "%q is not a name", f.name)
		case m.funcByName[f.name] != f:
			v.faultf(f.pos, "func", "@%s is not what the module finds under its name", f.name)
		}
	}
	if len(m.vars) != len(m.varByName) || len(m.funcs) != len(m.funcByName) {
		v.faultf(Pos{}, "module", "the tables hold %d variables and %d functions, the lists %d and %d", len(m.varByName), len(m.funcByName), len(m.vars), len(m.funcs))
	}
	for k, val := range m.meta {
		if val == "" {
			v.faultf(Pos{}, "meta", "%q has no value", k)
		}
	}
}

func (v *verifier) variables() {
	for _, vr := range v.m.vars {
		_, constant := vr.typ.ConstShape()
		switch {
		case vr.module != v.m:
			v.faultf(vr.pos, "var", "@%s belongs to another module", vr.name)
		case !vr.typ.DType.Valid() || !constant:
			v.faultf(vr.pos, "var", "@%s: want a tensor with constant dims, have %s", vr.name, vr.typ)
		default:
			if fault := typeFault(vr.typ); fault != "" {
				v.faultf(vr.pos, "var", "@%s is %s: %s", vr.name, vr.typ, fault)
			}
			if fault := vr.stateFault(); fault != "" {
				v.faultf(vr.pos, "var", "@%s: %s", vr.name, fault)
			}
		}
	}
}

// stateFault says what is wrong with what the variable is for, "" if nothing is.
func (v *Variable) stateFault() string {
	if v.optimizer && v.trainable {
		return "the state of an optimizer is not trainable"
	}
	return ""
}

func (v *verifier) function(b *body) {
	if b.f.module != v.m {
		v.body(b, "it belongs to another module")
	}
	if b.f.detached != (b.isInit || b.carrier != nil) {
		v.body(b, "regions and initializers are detached, functions are not")
	}
	if b.carrier == nil && b.f.parent != nil {
		v.body(b, "it stands inside @%s and is no region", b.f.parent.name)
	}
	for i, n := range b.f.params {
		switch {
		case n == nil:
			v.body(b, "a parameter is nil")
		case n.fn != b.f:
			v.node(n, "the parameter belongs to another function")
		case n.op != paramOp || len(n.in) > 0 || len(n.attrs) > 0 || len(n.regions) > 0 || len(n.types) != 1:
			v.node(n, "want a parameter: one type, no operands, attributes and regions")
		case n.at != -1-i:
			v.once(b)
		}
	}
}

func (v *verifier) member(b *body, n *Node) {
	switch {
	case n == nil:
		v.body(b, "a node is nil")
	case n.fn != b.f:
		v.node(n, "the node belongs to another function")
	case n.op == nil || n.op == paramOp:
		v.node(n, "want an operation among the nodes")
	case n.at != b.at:
		v.once(b)
	}
}

// once checks that all nodes of b are different, where that does not follow from each knowing its place.
func (v *verifier) once(b *body) {
	if b.index == nil && len(b.places()) != len(b.f.params)+len(b.f.nodes) {
		v.body(b, "a node stands in it twice, or is nil")
	}
}

func (v *verifier) regions(b *body, n *Node) {
	if len(n.regions) != n.op.NumRegions {
		v.node(n, "want %d regions, have %d", n.op.NumRegions, len(n.regions))
	}
	for i, r := range n.regions {
		switch {
		case r == nil:
			v.node(n, "region %d is nil", i)
			continue
		case r.parent != b.f:
			v.node(n, "region %d belongs to another function", i)
		case v.carried[r]:
			v.node(n, "region %d belongs to another node too", i)
		}
		if v.carried == nil {
			v.carried = map[*Func]bool{}
		}
		v.carried[r] = true
	}
}

func (v *verifier) op(_ *body, n *Node) {
	if n.op.registered != n.op {
		v.node(n, "the op is not the registered one")
	}
}

// places returns the places of all nodes.
func (b *body) places() map[*Node]int {
	if b.index == nil {
		b.index = make(map[*Node]int, len(b.f.params)+len(b.f.nodes))
		for _, n := range b.f.params {
			b.index[n] = -1
		}
		for i, n := range b.f.nodes {
			if n != nil {
				b.index[n] = i
			}
		}
	}
	return b.index
}

// place returns the place of a node in b, and whether it has one.
func (b *body) place(n *Node) (at int, ok bool) {
	if b.f.holds(n) {
		return max(n.at, -1), true
	}
	at, ok = b.places()[n]
	return at, ok
}

// valueFault says why x cannot be used at place at of b, "" if it can.
func (b *body) valueFault(x Value, at int) string {
	if x.Node() == nil {
		return "missing"
	}
	i, ok := b.place(x.Node())
	switch {
	case !ok && x.Node().fn == b.f:
		return "a result of a node that is no longer in the function"
	case !ok:
		return "a value of another function"
	case i >= at:
		return "used before it is defined"
	case x.Index() < 0 || x.Index() >= len(x.Node().types):
		return fmt.Sprintf("result %d of %d of %s", x.Index(), len(x.Node().types), x.Node().op.Name)
	}
	return ""
}

func (v *verifier) operands(b *body, n *Node) {
	for i, x := range n.in {
		if fault := b.valueFault(x, b.at); fault != "" {
			v.node(n, "operand %d is %s", i, fault)
		}
	}
}

func (v *verifier) results(b *body) {
	if b.carrier == nil && len(b.f.results) == 0 && len(b.f.updates) == 0 {
		v.body(b, "want a result or an update, have neither")
	}
	var seen map[string]bool
	if len(b.f.results) > 1 {
		seen = make(map[string]bool, len(b.f.results))
	}
	for _, r := range b.f.results {
		switch fault := b.valueFault(r.Value, len(b.f.nodes)); {
		case fault != "":
			v.body(b, "result %q is %s", r.Name, fault)
		case !isSymbol(r.Name):
			v.body(b, "%q is not the name of a result", r.Name)
		case seen[r.Name]:
			v.body(b, "there are two results %q", r.Name)
		}
		if seen != nil {
			seen[r.Name] = true
		}
	}
}

func (v *verifier) updates(b *body) {
	if len(b.f.updates) == 0 {
		return
	}
	seen := make(map[*Variable]bool, len(b.f.updates))
	for _, u := range b.f.updates {
		if u.Var == nil || v.m.varByName[u.Var.name] != u.Var {
			v.body(b, "an update of a variable that is not declared in the module")
			continue
		}
		switch fault := b.valueFault(u.Value, len(b.f.nodes)); {
		case fault != "":
			v.body(b, "the update of @%s is %s", u.Var.name, fault)
		case !EqualTypes(u.Value.Type(), u.Var.typ):
			v.body(b, "update of @%s: want %s, have %s", u.Var.name, u.Var.typ, u.Value.Type())
		case seen[u.Var]:
			v.body(b, "@%s is updated twice", u.Var.name)
		}
		seen[u.Var] = true
	}
}

func (v *verifier) closed(b *body) {
	if b.f.detached && len(b.f.updates) > 0 {
		v.body(b, "it cannot update variables")
	}
}

func (v *verifier) closedNode(b *body, n *Node) {
	if n.op == readOp && b.f.detached {
		v.node(n, "@%s: a region or an initializer cannot read variables", n.attrs.Symbol("var"))
	}
}

// position returns the place of a function in the module, by its name.
func (v *verifier) position(name string) int {
	if v.order == nil {
		v.order = make(map[string]int, len(v.m.funcs))
		for i, f := range v.m.funcs {
			v.order[f.name] = i
		}
	}
	return v.order[name]
}

func (v *verifier) calls(b *body, n *Node) {
	for _, t := range n.types {
		if mayHaveUnknown(t) {
			eachUnknown(t, func(id string) { note(&b.sum.sizes, id) })
		}
	}
	if n.op == readOp {
		b.sum.reads = true
	}
	if n.op != callOp {
		return
	}
	b.sum.calls = true
	root := b.f.Root()
	name := string(n.attrs.Symbol("func"))
	f := v.m.funcByName[name]
	switch {
	case f == nil:
		v.node(n, "@%s is not a function of the module", name)
		return
	case root.detached:
		v.node(n, "@%s: an initializer cannot call functions", name)
		return
	case v.position(name) >= v.position(root.name):
		v.node(n, "@%s does not come before @%s: declare callees first, and no function calls itself", name, root.name)
		return
	case len(f.updates) > 0:
		v.node(n, "@%s updates variables", name)
	case b.f.detached && v.callees[name].reads:
		v.node(n, "@%s reads variables: a region cannot", name)
	}
	callee := v.callees[name]
	b.sum.reads = b.sum.reads || callee.reads
	for _, id := range slices.Sorted(maps.Keys(callee.sizes)) {
		if b.sum.called[id] {
			v.node(n, "@%s has a size that data decides (%s): a function can call it once, since a second call has another size of that name", name, id)
			return
		}
	}
	for id := range callee.sizes {
		note(&b.sum.sizes, id)
		note(&b.sum.called, id)
	}
}

// note adds a name to a set, which may be nil.
func note(set *map[string]bool, name string) {
	if *set == nil {
		*set = map[string]bool{}
	}
	(*set)[name] = true
}

func (v *verifier) attributes(_ *body, n *Node) {
	if len(n.attrs) != len(n.op.Attrs) {
		v.node(n, "want %d attributes (%s), have %d", len(n.op.Attrs), n.op.attrNames(), len(n.attrs))
		return
	}
	for i, a := range n.attrs {
		spec := n.op.Attr(a.Name)
		switch {
		case spec == nil:
			v.node(n, "there is no attribute %q: want %s", a.Name, n.op.attrNames())
		case i > 0 && n.attrs[i-1].Name >= a.Name:
			v.node(n, "attribute %q is given twice or not in order", a.Name)
		case kindOf(a.Value) != spec.Kind:
			v.node(n, "attribute %q: want %v, have %T", a.Name, spec.Kind, a.Value)
		default:
			if fault := attrFault(a.Value); fault != "" {
				v.node(n, "attribute %q: %s", a.Name, fault)
			}
		}
	}
}

// attrFault says why an attribute of the right kind has no meaning, "" if it has one.
func attrFault(x any) string {
	switch x := x.(type) {
	case Type:
		if fault := typeFault(x); fault != "" {
			return typeText(x) + ": " + fault
		}
	case []Dim:
		for i, d := range x {
			if d.Overflow() {
				return fmt.Sprintf("axis %d: the dim is too large", i)
			}
		}
	case DType:
		if !x.Valid() {
			return fmt.Sprintf("%v is not a dtype", x)
		}
	case Symbol:
		if !isSymbol(string(x)) {
			return fmt.Sprintf("%q is not a name", string(x))
		}
	case *value.Tensor:
		if x == nil {
			return "the tensor is nil"
		}
	}
	return ""
}

// maxElements leaves room for sums and differences of sizes.
const maxElements = 1 << 60

// typeFault says what is wrong with a type, "" if it is sound.
func typeFault(t Type) string {
	switch t := t.(type) {
	case TensorType:
		if !t.DType.Valid() {
			return fmt.Sprintf("%v is not a dtype", t.DType)
		}
		count := int64(1) // of the elements along constant axes, up to more than any machine holds
		for i, d := range t.Shape {
			n, constant := d.Int()
			switch {
			case d.Overflow():
				return fmt.Sprintf("axis %d is too large", i)
			case constant && n < 0:
				return fmt.Sprintf("axis %d is negative", i)
			case constant && n > 0:
				hi, lo := bits.Mul64(uint64(count), uint64(n))
				if hi > 0 || lo > maxElements {
					return "the number of elements is too large"
				}
				count = int64(lo)
			}
		}
		return ""
	case SequenceType:
		return typeFault(t.Elem)
	case OptionalType:
		return typeFault(t.Elem)
	case MapType:
		if t.Key != I64 && t.Key != String {
			return fmt.Sprintf("the keys of a map are i64 or string, have %v", t.Key)
		}
		return typeFault(t.Value)
	case TokenType:
		return ""
	}
	return "the type is missing"
}

// typeText is the text of a type that may be faulty, "nothing" where there is none.
func typeText(t Type) string {
	switch t := t.(type) {
	case nil:
		return "nothing"
	case SequenceType:
		return "seq<" + typeText(t.Elem) + ">"
	case OptionalType:
		return "optional<" + typeText(t.Elem) + ">"
	case MapType:
		return "map<" + t.Key.String() + "," + typeText(t.Value) + ">"
	}
	return t.String()
}

func (v *verifier) paramTypes(b *body) {
	for _, n := range b.f.params {
		v.types(b, n)
	}
}

func (v *verifier) types(_ *body, n *Node) {
	for i, t := range n.types {
		if fault := typeFault(t); fault != "" {
			v.node(n, "result %d is %s: %s", i, typeText(t), fault)
		}
	}
}

func (v *verifier) inference(_ *body, n *Node) {
	in := v.infer.In[:0]
	for _, x := range n.in {
		in = append(in, x.Type())
	}
	v.infer = InferCtx{Attrs: n.attrs, In: in, Op: n.op, Regions: n.regions, Module: v.m}
	types, err := n.op.infer(&v.infer)
	switch {
	case err != nil:
		v.node(n, "%v", err)
	case len(types) != len(n.types):
		v.node(n, "want %d results, have %d", len(types), len(n.types))
	default:
		for i, t := range types {
			if !EqualTypes(t, n.types[i]) {
				v.node(n, "result %d: want %s, have %s", i, t, n.types[i])
			}
		}
	}
}

// eachDim calls visit for all dims in a type.
func eachDim(t Type, visit func(Dim)) {
	switch t := t.(type) {
	case TensorType:
		for _, d := range t.Shape {
			visit(d)
		}
	case SequenceType:
		eachDim(t.Elem, visit)
	case OptionalType:
		eachDim(t.Elem, visit)
	case MapType:
		eachDim(t.Value, visit)
	}
}

// mayHaveUnknown reports whether a type names an unknown size, or is none of a tensor.
func mayHaveUnknown(t Type) bool {
	tt, ok := t.(TensorType)
	return !ok || slices.ContainsFunc(tt.Shape, hasUnknown)
}

// eachUnknown calls visit for the unknown sizes in a type.
// Not inlined: 2.3 kB of the service.
//
//go:noinline
func eachUnknown(t Type, visit func(id string)) {
	eachDim(t, func(d Dim) {
		if hasUnknown(d) {
			for _, id := range d.Unknowns() {
				visit(id)
			}
		}
	})
}

// eachUnknown calls visit for the unknown sizes in the types and the attributes of n.
func (n *Node) eachUnknown(visit func(id string)) {
	for _, t := range n.types {
		if mayHaveUnknown(t) {
			eachUnknown(t, visit)
		}
	}
	for _, a := range n.attrs {
		switch x := a.Value.(type) {
		case []Dim:
			eachUnknown(TensorType{Shape: x}, visit)
		case Type:
			eachUnknown(x, visit)
		}
	}
}

// namesUnknown reports whether an unknown size is in the types or the attributes of n.
func (n *Node) namesUnknown() (found bool) {
	n.eachUnknown(func(string) { found = true })
	return found
}

// binds reports whether a symbol is in the type of a parameter of b or of the bodies around it.
func (b *body) binds(symbol string) bool {
	for o := b; o != nil; o = o.outer {
		if o.symbol == symbol {
			return true
		}
	}
	for ; b != nil; b = b.outer {
		if b.symbols == nil {
			b.symbols = map[string]bool{}
			for _, p := range b.f.params {
				eachDim(p.types[0], func(d Dim) {
					for _, s := range d.Symbols() {
						b.symbols[s] = true
					}
				})
			}
		}
		if b.symbols[symbol] {
			b.symbol = symbol
			return true
		}
	}
	return false
}

// firstUnknown returns the index of the first node of f with an unknown size in a result.
func (v *verifier) firstUnknown(f *Func, id string) (at int, ok bool) {
	first := v.unknown[f]
	if first == nil {
		first = map[string]int{}
		note := func(n *Node, at int) {
			for _, t := range n.types {
				eachUnknown(t, func(id string) {
					if _, ok := first[id]; !ok {
						first[id] = at
					}
				})
			}
		}
		for _, n := range f.params {
			note(n, -1)
		}
		for i, n := range f.nodes {
			if n != nil {
				note(n, i)
			}
		}
		if v.unknown == nil {
			v.unknown = map[*Func]map[string]int{}
		}
		v.unknown[f] = first
	}
	at, ok = first[id]
	return at, ok
}

func (v *verifier) symbols(b *body, n *Node) {
	for _, t := range n.types {
		if !v.symbolsOf(b, n, t, false) {
			return
		}
	}
	for _, a := range n.attrs {
		switch x := a.Value.(type) {
		case []Dim:
			for _, d := range x {
				if !v.dim(b, n, d, true) {
					return
				}
			}
		case Type:
			if !v.symbolsOf(b, n, x, true) {
				return
			}
		}
	}
}

// symbolsOf checks the dims in a type of a node: in one that an attribute names, unknown sizes too. It reports whether there is
// no fault.
func (v *verifier) symbolsOf(b *body, n *Node, t Type, named bool) bool {
	if tt, ok := t.(TensorType); ok {
		for _, d := range tt.Shape {
			if !v.dim(b, n, d, named) {
				return false
			}
		}
		return true
	}
	sound := true
	eachDim(t, func(d Dim) { sound = sound && v.dim(b, n, d, named) })
	return sound
}

func (v *verifier) dim(b *body, n *Node, d Dim, named bool) bool {
	if _, symbol, _, ok := d.Affine(); ok && (symbol == "" || b.binds(symbol)) {
		return true
	}
	for _, s := range d.Symbols() {
		if !b.binds(s) {
			v.node(n, "the symbol %s of the dim %s is in no parameter's type", s, d)
			return false
		}
	}
	if !named {
		return true
	}
unknowns:
	for _, id := range d.Unknowns() {
		if at, ok := v.firstUnknown(b.f, id); ok && at < b.at {
			continue
		}
		for f := b.f.parent; f != nil; f = f.parent {
			if _, ok := v.firstUnknown(f, id); ok {
				continue unknowns
			}
		}
		v.node(n, "the unknown size %s of the dim %s comes from no node before", id, d)
		return false
	}
	return true
}

// checkInit says what is wrong with the initializer, "" if it is sound.
func (v *Variable) checkInit() string {
	key := TensorType{DType: U64, Shape: Ints(2)}
	switch f := v.init; {
	case f == nil:
		return "there is no initializer"
	case len(f.params) != 1 || !EqualTypes(f.params[0].types[0], key):
		return fmt.Sprintf("the initializer takes %s, want one %s", typeList(f.Params()), key)
	case len(f.results) != 1 || !EqualTypes(f.results[0].Value.Type(), v.typ):
		var vals []Value
		for _, r := range f.results {
			vals = append(vals, r.Value)
		}
		return fmt.Sprintf("the initializer gives %s, want one %s", typeList(vals), v.typ)
	}
	return ""
}

func typeList(vals []Value) string {
	if len(vals) == 0 {
		return "nothing"
	}
	types := make([]string, len(vals))
	for i, x := range vals {
		types[i] = x.Type().String()
	}
	return strings.Join(types, ", ")
}

func (v *verifier) initializers() {
	for _, vr := range v.m.vars {
		if fault := vr.checkInit(); fault != "" {
			v.faultf(vr.pos, "var", "@%s: %s", vr.name, fault)
		}
	}
}

func (v *verifier) paramNames(b *body) {
	for _, n := range b.f.params {
		v.names(b, n)
		if b.carrier == nil && n.ResultName(0) == "" {
			v.node(n, "a parameter has no name")
		}
	}
}

func (v *verifier) names(b *body, n *Node) {
	if len(n.names) > len(n.types) {
		v.node(n, "%d names for %d results", len(n.names), len(n.types))
		return
	}
	for i, name := range n.names {
		found := b.f.names[name]
		switch {
		case name == "":
		case !isIdent(name):
			v.node(n, "%q is not the name of a value", name)
		case found == n.Result(i):
		case found.Valid() && found.Node().ResultName(found.Index()) == name:
			v.node(n, "%%%s is the name of another value too", name)
		default:
			v.node(n, "%%%s is not what Lookup finds", name)
		}
	}
}
