package graph

import (
	"maps"
	"slices"
)

// FormatVersion is the version of the text form that this package prints. Every version up to it parses:
//
//	1  the first
//	2  variables say whether they are an optimizer's state; see OptimizerState
//
// What a text of version 1 does not say of its variables is worked out from what its functions do with them; see Parse.
const FormatVersion = 2

// Module is a model: named functions over one table of variables. Building it never fails at the call;
// faults are recorded with their positions and Err returns them all. A module is built by one
// goroutine at a time.
type Module struct {
	name       string
	vars       []*Variable
	varByName  map[string]*Variable
	funcs      []*Func
	funcByName map[string]*Func
	meta       map[string]string
	diags      Diagnostics
	site       site
	streams    int64
	full       bool // a function has reached mostNodes

	// What VerifyChanges relies on. The clock goes on whenever a function changes or has been checked.
	clock   int64
	changed int64 // when a function changed last
	checked bool  // the tables, and not changed since
	body    bool  // of a composite for inference: its nodes may carry regions of the node
}

// site overrides the position, if it is known, and the scope that new nodes get.
type site struct {
	pos   Pos
	scope string
}

// NewModule returns an empty module.
func NewModule(name string) *Module {
	m := &Module{name: name}
	if !isSymbol(name) {
		m.Report(Pos{}, "module", "%q is not a name: want letters, digits, '_' and '.'", name)
	}
	return m
}

// Version returns a number that is another one after any change of a function of the module.
func (m *Module) Version() int64 { return m.changed }

// Name returns the module's name.
func (m *Module) Name() string { return m.name }

// Variables returns the variables in declaration order; the slice must not be modified.
func (m *Module) Variables() []*Variable { return m.vars }

// LookupVariable returns the variable of a name, nil if there is none.
func (m *Module) LookupVariable(name string) *Variable { return m.varByName[name] }

// Funcs returns the functions in declaration order; the slice must not be modified.
func (m *Module) Funcs() []*Func { return m.funcs }

// LookupFunc returns the function of a name, nil if there is none.
func (m *Module) LookupFunc(name string) *Func { return m.funcByName[name] }

// Meta returns the value stored under a key, such as "classes"; "" if there is none.
func (m *Module) Meta(key string) string { return m.meta[key] }

// MetaKeys returns the keys stored, sorted.
func (m *Module) MetaKeys() []string { return sortedKeys(m.meta) }

func sortedKeys[V any](m map[string]V) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}

// SetMeta stores a fact about the model that travels with its text: preprocessing, class names,
// provenance. An empty value removes the key.
func (m *Module) SetMeta(key, val string) {
	m.checked = false
	if val == "" {
		delete(m.meta, key)
		return
	}
	if m.meta == nil {
		m.meta = map[string]string{}
	}
	m.meta[key] = val
}

// Func declares a function. A name that is taken or malformed is reported, and the function returned is
// then not part of the module.
func (m *Module) Func(name string) *Func {
	f := &Func{name: name, module: m, pos: m.here()}
	switch {
	case !isSymbol(name):
		m.Report(f.pos, "func", "%q is not a name: want letters, digits, '_' and '.'", name)
	case m.funcByName[name] != nil:
		m.Report(f.pos, "func", "@%s is already a function of the module (declared at %s)", name, m.funcByName[name].pos)
	default:
		m.addFunc(f)
	}
	return f
}

func (m *Module) addFunc(f *Func) {
	if m.funcByName == nil {
		m.funcByName = map[string]*Func{}
	}
	m.funcByName[f.name] = f
	m.funcs = append(m.funcs, f)
	m.checked = false
	f.touch()
}

// Variable is a named tensor that outlives a call: a weight, an optimizer's moment, a running mean, a
// learning rate. Functions read it and may map it to its next value.
type Variable struct {
	name      string
	typ       TensorType
	trainable bool
	optimizer bool // the state of one
	init      *Func
	module    *Module
	pos       Pos
}

// VariableOption changes a variable's declaration.
type VariableOption func(*Variable)

// NotTrainable keeps a variable out of the set that optimizers update.
func NotTrainable() VariableOption { return func(v *Variable) { v.trainable = false } }

// OptimizerState declares a variable that belongs to an optimizer and not to the model: a moment, a step counter, a learning
// rate. It is not trainable. What a model is used for does not depend on it, so that whoever serves the model, or trains it by another
// optimizer, may leave it away.
func OptimizerState() VariableOption {
	return func(v *Variable) { v.trainable, v.optimizer = false, true }
}

// Variable declares a variable of a type with constant dims. The initializer builds a closed function
// that computes the first value from key, a u64[2] random key made from the session's seed (see
// ops.RandomUniform); it is part of the module, so a stored module can be initialized anew.
func (m *Module) Variable(name string, dt DType, dims []int, init func(f *Func, key Value) Value, opts ...VariableOption) *Variable {
	pos := m.here()
	v := &Variable{name: name, typ: TensorType{DType: dt, Shape: Ints(dims...)}, trainable: true, module: m, pos: pos}
	for _, o := range opts {
		o(v)
	}
	if !dt.Valid() {
		m.Report(pos, "variable", "@%s: unknown dtype %v", name, dt)
		return v
	}
	if fault := typeFault(v.typ); fault != "" {
		m.Report(pos, "variable", "@%s is %s: %s", name, v.typ, fault)
		return v
	}
	if init == nil {
		m.Report(pos, "variable", "@%s: want a function that builds the initializer, have nil", name)
		return v
	}
	v.init = m.detachedFunc("init", pos)
	key := v.init.param("key", TensorType{DType: U64, Shape: Ints(2)})
	first := init(v.init, key)
	v.init.results = []Result{{Name: "value", Value: first}}
	v.init.touch()
	if first.OK() && !EqualTypes(first.Type(), v.typ) {
		m.Report(pos, "variable", "@%s: the initializer gives %s, want %s", name, first.Type(), v.typ)
	} else if !first.Valid() {
		m.Report(pos, "variable", "@%s: the initializer gives no value", name)
	}
	m.addVariable(v)
	return v
}

func (m *Module) addVariable(v *Variable) {
	if !isSymbol(v.name) {
		m.Report(v.pos, "variable", "%q is not a name: want letters, digits, '_' and '.'", v.name)
		return
	}
	if old := m.varByName[v.name]; old != nil {
		m.Report(v.pos, "variable", "@%s is already a variable of the module (declared at %s)", v.name, old.pos)
		return
	}
	if m.varByName == nil {
		m.varByName = map[string]*Variable{}
	}
	m.varByName[v.name] = v
	m.vars = append(m.vars, v)
	m.checked = false
}

// Name returns the variable's name, such as "conv1.weight".
func (v *Variable) Name() string { return v.name }

// Type returns the variable's type; its dims are constant.
func (v *Variable) Type() TensorType { return v.typ }

// Shape returns the variable's sizes.
func (v *Variable) Shape() []int { s, _ := v.typ.ConstShape(); return s }

// Trainable reports whether optimizers update the variable.
func (v *Variable) Trainable() bool { return v.trainable }

// IsOptimizerState reports whether the variable belongs to an optimizer; see OptimizerState.
func (v *Variable) IsOptimizerState() bool { return v.optimizer }

// Init returns the function of one parameter, a u64[2] random key, that computes the first value.
func (v *Variable) Init() *Func { return v.init }

// Pos returns the place of the declaration.
func (v *Variable) Pos() Pos { return v.pos }

// Read returns the variable's value as it was before the call, in f; a function has one node per
// variable that it reads.
func (v *Variable) Read(f *Func) Value {
	if f == nil {
		v.module.Report(Pos{}, readOp.Name, "@%s: want a function to read it in, have nil", v.name)
		return Value{}
	}
	root := f.Root()
	if x, ok := root.readOf(v.name); ok {
		return x
	}
	if root.module != v.module {
		root.module.Report(Pos{}, readOp.Name, "@%s belongs to another module", v.name)
		return Poison(root)
	}
	if v.module.varByName[v.name] != v { // its own fault has been reported
		return Poison(root)
	}
	x := root.Emit(readOp, nil, Attrs{{"var", Symbol(v.name)}})[0]
	return x
}

// NextStream returns a number that no other random node of the module has; a random node keeps it for
// life, so that no pass can change what it draws.
func (m *Module) NextStream() int64 {
	m.streams++
	return m.streams - 1
}

// At runs build with every new node positioned at pos and placed below the layer scope; a name is
// appended to the scope already in force. Layers use it so that their nodes point at their constructor.
func (m *Module) At(pos Pos, scope string, build func()) {
	old := m.site
	s := site{pos: pos, scope: scope}
	if !pos.IsKnown() {
		s.pos = old.pos
	}
	if old.scope != "" && scope != "" {
		s.scope = old.scope + "." + scope
	} else if scope == "" {
		s.scope = old.scope
	}
	m.site = s
	defer func() { m.site = old }()
	build()
}

// AtNode runs build with every new node positioned and scoped as n is. Passes use it.
func (m *Module) AtNode(n *Node, build func()) {
	old := m.site
	m.site = site{pos: n.pos, scope: n.scope}
	defer func() { m.site = old }()
	build()
}

// Scope returns the layer path in force, "" outside At.
func (m *Module) Scope() string {
	return m.site.scope
}

func (m *Module) here() Pos {
	if m.site.pos.IsKnown() {
		return m.site.pos
	}
	return Caller()
}

func (m *Module) detachedFunc(name string, pos Pos) *Func {
	return &Func{name: name, module: m, pos: pos, detached: true}
}

// Clone returns a copy of the module that shares only immutable parts: types, attributes, tensors.
func (m *Module) Clone() *Module {
	c := &Module{name: m.name, meta: maps.Clone(m.meta), streams: m.streams, diags: slices.Clone(m.diags)}
	for _, v := range m.vars {
		w := &Variable{name: v.name, typ: v.typ, trainable: v.trainable, optimizer: v.optimizer, module: c, pos: v.pos}
		if v.init != nil {
			w.init = v.init.cloneInto(c, nil)
		}
		c.addVariable(w)
	}
	for _, f := range m.funcs {
		c.addFunc(f.cloneInto(c, nil))
	}
	return c
}
