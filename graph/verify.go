package graph

import (
	"errors"
	"fmt"
	"slices"
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
// faults. What they ask stands by what they look at: verify_module.go has the tables of the module, verify_func.go what stands in a
// function and under which names, verify_calls.go what crosses from one function to another, verify_types.go attributes and types, and
// verify_symbols.go the sizes in them.
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
	if m == nil {
		return errors.New("want a module, have nil")
	}
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
	inner        int             // nodes that its calls stand for, and those in regions
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
	if v.trust && len(v.faults) == 0 {
		m.checked = true
	}
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
		if len(n.regions) > 0 && r.Name == "region" {
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
