package graph

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/graphrun/graphrun/runtime/value"
)

// Rule is one of the rules that make a module valid.
type Rule struct {
	Name string
	Doc  string

	check func(*verifier)
}

// Rules returns the rules of Verify in the order in which it checks them.
func Rules() []Rule { return slices.Clone(rules) }

// rules are ordered: a rule may rely on those above it, so checking ends with the first rule that finds
// faults.
var rules = []Rule{
	{"module", "module, variables and functions have names, and the tables hold each under its own", (*verifier).module},
	{"variable", "a variable is a tensor with constant dims", (*verifier).variables},
	{"function", "nodes and parameters belong to their function and stand in it once; functions belong to the module", (*verifier).functions},
	{"region", "a node carries as many regions as its op says; each belongs to the node's function and to no other node", (*verifier).regions},
	{"op", "ops are the registered ones", (*verifier).ops},
	{"operand", "operands are results of nodes that stand before in the same function", (*verifier).operands},
	{"result", "results are named, once each, and are values of the function; a function has a result or an update", (*verifier).results},
	{"update", "updates map variables of the module, once each, to values of the function of their type", (*verifier).updates},
	{"closed", "regions and initializers neither read nor update variables", (*verifier).closed},
	{"call", "calls name functions that come before and update nothing; initializers call none, regions none that read", (*verifier).calls},
	{"attribute", "attributes are those that the op declares, all of them, sorted, of the declared kinds", (*verifier).attributes},
	{"type", "values have types: no faulty ones, no dims below zero or beyond int64", (*verifier).types},
	{"inference", "the types of results are those that the op infers from the operands", (*verifier).inference},
	{"symbol", "symbols come from the parameters of the function, or of those around a region; unknown sizes from nodes before", (*verifier).symbols},
	{"initializer", "a variable has an initializer: from one u64[2] key to one value of its type", (*verifier).initializers},
	{"name", "names of values are words, unique in their function and found by Lookup", (*verifier).names},
}

// Verify returns the faults of m as Diagnostics: those recorded when it was built, else those of the first
// rule that m breaks. A module built without a recorded fault is valid unless a pass spoiled it or the
// order of its functions is not that of their calls. The compiler runs it after every pass.
func Verify(m *Module) error {
	if err := m.Err(); err != nil {
		return err
	}
	v := newVerifier(m)
	for i := range rules {
		v.rule = &rules[i]
		if v.rule.check(v); len(v.faults) > 0 {
			return v.faults
		}
	}
	return nil
}

type verifier struct {
	m      *Module
	rule   *Rule
	bodies []*body // functions after the regions in them, initializers first
	seen   map[*Func]bool
	faults Diagnostics
}

// body is a function, a region or an initializer.
type body struct {
	f       *Func
	carrier *Node         // of a region
	isInit  bool          // an initializer
	index   map[*Node]int // the place of each node; parameters have -1
}

func newVerifier(m *Module) *verifier {
	v := &verifier{m: m, seen: map[*Func]bool{}}
	for _, vr := range m.vars {
		if vr != nil && vr.init != nil {
			v.add(&body{f: vr.init, isInit: true})
		}
	}
	for _, f := range m.funcs {
		if f != nil {
			v.add(&body{f: f})
		}
	}
	return v
}

func (v *verifier) add(b *body) {
	if v.seen[b.f] { // the rule on regions reports it
		return
	}
	v.seen[b.f] = true
	b.index = make(map[*Node]int, len(b.f.params)+len(b.f.nodes))
	for _, n := range b.f.params {
		b.index[n] = -1
	}
	for i, n := range b.f.nodes {
		if n == nil {
			continue
		}
		b.index[n] = i
		for _, r := range n.regions {
			if r != nil {
				v.add(&body{f: r, carrier: n})
			}
		}
	}
	v.bodies = append(v.bodies, b)
}

// faultf reports a fault of the rule that is being checked.
func (v *verifier) faultf(pos Pos, what, format string, args ...any) {
	msg := fmt.Sprintf(format, args...) + " (verifier rule " + v.rule.Name + ")"
	v.faults = append(v.faults, &Diagnostic{Pos: pos, Op: what, Msg: msg})
}

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

// each calls check for every node.
func (v *verifier) each(check func(*body, *Node)) {
	for _, b := range v.bodies {
		for _, n := range b.f.nodes {
			check(b, n)
		}
	}
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
		}
	}
}

func (v *verifier) functions() {
	for _, b := range v.bodies {
		if b.f.module != v.m {
			v.body(b, "it belongs to another module")
		}
		if b.f.detached != (b.isInit || b.carrier != nil) {
			v.body(b, "regions and initializers are detached, functions are not")
		}
		if b.carrier == nil && b.f.parent != nil {
			v.body(b, "it stands inside @%s and is no region", b.f.parent.name)
		}
		if len(b.index) != len(b.f.params)+len(b.f.nodes) {
			v.body(b, "a node stands in it twice, or is nil")
		}
		for _, n := range b.f.params {
			switch {
			case n == nil:
				v.body(b, "a parameter is nil")
			case n.fn != b.f:
				v.node(n, "the parameter belongs to another function")
			case n.op != paramOp || len(n.in) > 0 || len(n.attrs) > 0 || len(n.regions) > 0 || len(n.types) != 1:
				v.node(n, "want a parameter: one type, no operands, attributes and regions")
			}
		}
		for _, n := range b.f.nodes {
			switch {
			case n == nil:
				v.body(b, "a node is nil")
			case n.fn != b.f:
				v.node(n, "the node belongs to another function")
			case n.op == nil || n.op == paramOp:
				v.node(n, "want an operation among the nodes")
			}
		}
	}
}

func (v *verifier) regions() {
	seen := map[*Func]bool{}
	v.each(func(b *body, n *Node) {
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
			case seen[r]:
				v.node(n, "region %d belongs to another node too", i)
			}
			seen[r] = true
		}
	})
}

func (v *verifier) ops() {
	v.each(func(_ *body, n *Node) {
		if LookupOp(n.op.Name) != n.op {
			v.node(n, "the op is not the registered one")
		}
	})
}

// valueFault says why x cannot be used at place at of b, "" if it can.
func (b *body) valueFault(x Value, at int) string {
	if x.node == nil {
		return "missing"
	}
	i, ok := b.index[x.node]
	switch {
	case !ok && x.node.fn == b.f:
		return "a result of a node that is no longer in the function"
	case !ok:
		return "a value of another function"
	case i >= at:
		return "used before it is defined"
	case x.index < 0 || x.index >= len(x.node.types):
		return fmt.Sprintf("result %d of %d of %s", x.index, len(x.node.types), x.node.op.Name)
	}
	return ""
}

func (v *verifier) operands() {
	v.each(func(b *body, n *Node) {
		for i, x := range n.in {
			if fault := b.valueFault(x, b.index[n]); fault != "" {
				v.node(n, "operand %d is %s", i, fault)
			}
		}
	})
}

func (v *verifier) results() {
	for _, b := range v.bodies {
		if b.carrier == nil && len(b.f.results) == 0 && len(b.f.updates) == 0 {
			v.body(b, "want a result or an update, have neither")
		}
		seen := map[string]bool{}
		for _, r := range b.f.results {
			switch fault := b.valueFault(r.Value, len(b.f.nodes)); {
			case fault != "":
				v.body(b, "result %q is %s", r.Name, fault)
			case !isSymbol(r.Name):
				v.body(b, "%q is not the name of a result", r.Name)
			case seen[r.Name]:
				v.body(b, "there are two results %q", r.Name)
			}
			seen[r.Name] = true
		}
	}
}

func (v *verifier) updates() {
	for _, b := range v.bodies {
		seen := map[*Variable]bool{}
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
}

func (v *verifier) closed() {
	for _, b := range v.bodies {
		if !b.f.detached {
			continue
		}
		if len(b.f.updates) > 0 {
			v.body(b, "it cannot update variables")
		}
		for _, n := range b.f.nodes {
			if n.op == readOp {
				v.node(n, "@%s: a region or an initializer cannot read variables", n.attrs.Symbol("var"))
			}
		}
	}
}

func (v *verifier) calls() {
	order := make(map[string]int, len(v.m.funcs))
	for i, f := range v.m.funcs {
		order[f.name] = i
	}
	reads := map[string]bool{}             // functions that read, themselves or by calls; callees come first
	sizes := map[string]map[string]bool{}  // by function, what data decides in it and in its callees
	called := map[string]map[string]bool{} // by function, what data decides in its callees
	v.each(func(b *body, n *Node) {
		root := b.f.Root()
		for _, t := range n.types {
			eachDim(t, func(d Dim) {
				for _, id := range d.Unknowns() {
					if sizes[root.name] == nil {
						sizes[root.name] = map[string]bool{}
					}
					sizes[root.name][id] = true
				}
			})
		}
		if n.op == readOp {
			reads[root.name] = true
		}
		if n.op != callOp {
			return
		}
		name := string(n.attrs.Symbol("func"))
		callee := v.m.funcByName[name]
		switch {
		case callee == nil:
			v.node(n, "@%s is not a function of the module", name)
		case root.detached:
			v.node(n, "@%s: an initializer cannot call functions", name)
		case order[name] >= order[root.name]:
			v.node(n, "@%s does not come before @%s: declare callees first, and no function calls itself", name, root.name)
		case len(callee.updates) > 0:
			v.node(n, "@%s updates variables", name)
		case b.f.detached && reads[name]:
			v.node(n, "@%s reads variables: a region cannot", name)
		case reads[name]:
			reads[root.name] = true
		}
		for _, id := range slices.Sorted(maps.Keys(sizes[name])) {
			if called[root.name][id] {
				v.node(n, "@%s has a size that data decides (%s): a function can call it once, since a second call has another size of that name", name, id)
				return
			}
		}
		for id := range sizes[name] {
			for _, set := range []map[string]map[string]bool{sizes, called} {
				if set[root.name] == nil {
					set[root.name] = map[string]bool{}
				}
				set[root.name][id] = true
			}
		}
	})
}

func (v *verifier) attributes() {
	v.each(func(_ *body, n *Node) {
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
	})
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
			case constant && n > 0 && count > maxElements/n:
				return "the number of elements is too large"
			case constant && n > 0:
				count *= n
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

func (v *verifier) types() {
	check := func(n *Node) {
		for i, t := range n.types {
			if fault := typeFault(t); fault != "" {
				v.node(n, "result %d is %s: %s", i, typeText(t), fault)
			}
		}
	}
	for _, b := range v.bodies {
		for _, n := range b.f.params {
			check(n)
		}
	}
	v.each(func(_ *body, n *Node) { check(n) })
}

func (v *verifier) inference() {
	v.each(func(_ *body, n *Node) {
		types, err := InferTypes(n.op, n.OperandTypes(), n.attrs, n.regions, v.m)
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
	})
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

func (v *verifier) symbols() {
	bound := map[*Func]map[string]bool{} // by their parameters
	for _, b := range v.bodies {
		own := map[string]bool{}
		for _, n := range b.f.params {
			eachDim(n.types[0], func(d Dim) {
				for _, s := range d.Symbols() {
					own[s] = true
				}
			})
		}
		bound[b.f] = own
	}
	unknown := map[*Func]map[string]int{} // the index of the first node with the unknown in a result
	for _, b := range v.bodies {
		first := map[string]int{}
		for _, n := range slices.Concat(b.f.params, b.f.nodes) {
			for _, t := range n.types {
				eachDim(t, func(d Dim) {
					for _, id := range d.Unknowns() {
						if _, ok := first[id]; !ok {
							first[id] = b.index[n]
						}
					}
				})
			}
		}
		unknown[b.f] = first
	}
	v.each(func(b *body, n *Node) {
		reported := false
		check := func(d Dim) {
			if d.IsConst() || reported {
				return
			}
		symbols:
			for _, s := range d.Symbols() {
				for f := b.f; f != nil; f = f.parent {
					if bound[f][s] {
						continue symbols
					}
				}
				v.node(n, "the symbol %s of the dim %s is in no parameter's type", s, d)
				reported = true
				return
			}
		}
		for _, t := range n.types {
			eachDim(t, check)
		}
		checkAttr := func(d Dim) {
			check(d)
			if d.IsConst() || reported {
				return
			}
		unknowns:
			for _, id := range d.Unknowns() {
				at, ok := unknown[b.f][id]
				if ok && at < b.index[n] {
					continue
				}
				for f := b.f.parent; f != nil; f = f.parent {
					if _, ok := unknown[f][id]; ok {
						continue unknowns
					}
				}
				v.node(n, "the unknown size %s of the dim %s comes from no node before", id, d)
				reported = true
				return
			}
		}
		for _, a := range n.attrs {
			switch x := a.Value.(type) {
			case []Dim:
				for _, d := range x {
					checkAttr(d)
				}
			case Type:
				eachDim(x, checkAttr)
			}
		}
	})
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

func (v *verifier) names() {
	for _, b := range v.bodies {
		seen := map[string]bool{}
		check := func(n *Node) {
			if len(n.names) > len(n.types) {
				v.node(n, "%d names for %d results", len(n.names), len(n.types))
			}
			for i := range n.types {
				name := n.ResultName(i)
				switch {
				case name == "":
				case !isIdent(name):
					v.node(n, "%q is not the name of a value", name)
				case seen[name]:
					v.node(n, "%%%s is the name of another value too", name)
				case b.f.names[name] != Value{n, i}:
					v.node(n, "%%%s is not what Lookup finds", name)
				}
				seen[name] = true
			}
		}
		for _, n := range b.f.params {
			check(n)
			if b.carrier == nil && n.ResultName(0) == "" {
				v.node(n, "a parameter has no name")
			}
		}
		for _, n := range b.f.nodes {
			check(n)
		}
	}
}
