package graph

import (
	"cmp"
	"encoding/base64"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"

	"github.com/graphrun/graphrun/graph/value"
)

// ParseOptions change what Parse needs beside the text.
type ParseOptions struct {
	// External returns a constant that the text stores elsewhere, of the given type; Parse checks the
	// type and the checksum of what comes. Without it such a constant is a fault, and so it is in a
	// program that does not link crypto/sha256.
	External func(name, sha256 string, t TensorType) (*value.Tensor, error)
}

// Parse reads a module from its text form, which Print writes. The error is Diagnostics with every fault
// of the text, by line; a module that comes without error is one that Verify accepts.
//
// The text is not trusted: it cannot make Parse panic, nor allocate out of proportion to its length.
// Operations must be registered: import package ops (or what registers yours) beside this one.
//
// Positions are those of the locs in the text. What has none stands at its line of the text; a parameter
// or a region without one stands where its function or its node does.
//
// A text of format version 1 does not mark the state of optimizers. Parse marks a variable that is not trainable if the next value of
// a trainable one depends on it, or the next value of such state, while no result of any function does: a moment, a step
// counter or a learning rate, whatever its name, and neither running statistics, on which no next weight depends, nor random keys and
// what predictions depend on.
func Parse(filename string, text []byte, opt ParseOptions) (*Module, error) {
	m := NewModule("module")
	p := &parser{
		lexer: lexer{src: string(text), line: 1},
		file:  filename, opt: opt, m: m,
		broken: map[Symbol]bool{},
	}
	if i := strings.IndexByte(p.src, 0); i >= 0 {
		p.line += strings.Count(p.src[:i], "\n")
		p.report("", "a text has no zero bytes")
		return nil, m.diags
	}
	p.try("", p.text)
	if len(m.diags) == 0 {
		m.site = site{}
		if p.version < 2 {
			m.markOptimizerState()
		}
		if err := Verify(m); err != nil {
			return nil, err
		}
	}
	if len(m.diags) > 0 {
		return nil, m.diags
	}
	m.site = site{}
	return m, nil
}

// maxFaults bounds what Parse reports of a text that is not what it seems.
const maxFaults = 1000

type parser struct {
	lexer
	file    string
	opt     ParseOptions
	m       *Module
	version int // of the text's format
	depth   int // of regions
	broken  map[Symbol]bool
	// unclosed is where the text was found to leave functions open, which is reported once.
	unclosed int
	stored   map[string]*value.Tensor // external constants that were checked, by name, checksum and type
}

// block is the function or region that is being read.
type block struct {
	f        *Func
	outer    *block
	values   map[string]Value
	missing  map[string]bool // names that were reported
	lenient  bool            // the signature is faulty: names may be missing without a report
	returned bool
}

func (p *parser) report(op, format string, args ...any) { p.reportAt(p.line, op, format, args...) }

// Not inlined: 0.9 kB of the service.
//
//go:noinline
func (p *parser) reportAt(line int, op, format string, args ...any) {
	if len(p.m.diags) < maxFaults {
		p.m.Report(Pos{File: p.file, Line: line}, op, format, args...)
	}
}

// try runs read; a syntax error is reported and ends the statement.
func (p *parser) try(op string, read func()) bool {
	return p.reported(op, p.attempt(read))
}

func (p *parser) reported(op string, fault *syntaxError) (ok bool) {
	if fault != nil && fault.msg != "" {
		p.reportAt(fault.line, op, "%s", fault.msg)
	}
	return fault == nil
}

// full reports whether there is no point in reading on.
func (p *parser) full() bool {
	if len(p.m.diags) < maxFaults {
		return false
	}
	p.pos = len(p.src)
	p.unclosed = p.pos
	return true
}

// at makes line the position of what is declared next.
// Not inlined: 1.0 kB of the service.
//
//go:noinline
func (p *parser) at(line int) { p.m.site = site{pos: Pos{File: p.file, Line: line}} }

func (p *parser) text() {
	p.blank()
	if !p.acceptWord("graphrun") {
		p.failf("want \"graphrun %d\", the format's name and version, have %s", FormatVersion, p.found())
	}
	v := p.number()
	n, err := strconv.Atoi(v)
	if err != nil || n < 1 {
		p.failf("want a format version from 1 to %d, have %s", FormatVersion, quoteShort(v))
	}
	if n > FormatVersion {
		p.failf("the text has format version %d, this program reads versions up to %d: a newer graphrun is needed", n, FormatVersion)
	}
	p.version = n
	p.endStatement()
	p.blank()
	p.expectWord("module")
	p.m.name = p.symbol("the module's name")
	p.endStatement()
	for !p.full() {
		p.blank()
		if p.pos == len(p.src) {
			return
		}
		switch w := p.peekWord(); w {
		case "meta":
			p.declaration(w, p.meta)
		case "var":
			p.variable()
		case "func":
			p.function()
		default:
			p.report("", "want meta, var or func, have %s", p.found())
			p.skipDeclaration()
		}
	}
}

// declaration reads one that is a single line.
func (p *parser) declaration(op string, read func()) {
	if !p.try(op, read) {
		p.skipDeclaration()
	}
}

// skipDeclaration skips to the next line that starts a declaration.
func (p *parser) skipDeclaration() {
	p.parens, p.attrs = 0, false
	for {
		i := strings.IndexByte(p.src[p.pos:], '\n')
		if i < 0 {
			p.pos = len(p.src)
			return
		}
		p.pos += i + 1
		p.line++
		if p.atDeclaration() {
			return
		}
	}
}

func (p *parser) meta() {
	p.expectWord("meta")
	key := p.quoted()
	p.expect('=')
	val := p.quoted()
	p.endStatement()
	switch _, twice := p.m.meta[key]; {
	case twice:
		p.report("meta", "%s is given twice", quoteShort(key))
	case val == "":
		p.report("meta", "%s has no value", quoteShort(key))
	default:
		p.m.SetMeta(key, val)
	}
}

func (p *parser) variable() {
	before := len(p.m.diags)
	line := p.line
	p.at(line)
	v := &Variable{trainable: true, module: p.m, pos: p.m.site.pos}
	v.init = p.m.detachedFunc("init", v.pos)
	b := &block{f: v.init, values: map[string]Value{}}
	ok := p.try("var", func() {
		p.expectWord("var")
		v.name = p.symbol("the variable's name")
		p.expect(':')
		t := p.typ(0)
		tt, ok := t.(TensorType)
		if _, constant := tt.ConstShape(); ok && constant {
			v.typ = tt
		} else {
			p.report("var", "@%s: want a tensor with constant dims, have %s", v.name, t)
		}
		if p.accept('{') {
			p.variableAttrs(v)
		}
		if loc, ok := p.loc(); ok {
			v.pos, v.init.pos = loc.pos, loc.pos
		}
		p.expect('=')
		p.expectWord("init")
	})
	if ok {
		ok = p.signature(b, "var")
	}
	p.finishSignature(b, v.pos, "")
	if !p.bodyFollows(b, ok, "var") {
		p.skipDeclaration()
	} else if p.body(b) {
		p.declaration("var", p.endStatement)
	}
	if len(p.m.diags) > before {
		p.broken[Symbol(v.name)] = true
		return
	}
	p.at(line)
	if fault := v.checkInit(); fault != "" {
		p.reportAt(line, "var", "@%s: %s", v.name, fault)
	}
	p.m.addVariable(v)
}

// variableAttrs reads what follows the opening brace.
func (p *parser) variableAttrs(v *Variable) {
	given := map[string]bool{}
	for i := 0; i == 0 || p.accept(','); i++ {
		name := p.name("an attribute")
		p.expect('=')
		val := p.bool()
		switch {
		case given[name]:
			p.report("var", "@%s: %s is given twice", v.name, name)
		case name == "trainable":
			v.trainable = val
		case name == "optimizer_state" && p.version < 2:
			p.report("var", "@%s: optimizer_state comes with format version 2, the text has version %d", v.name, p.version)
		case name == "optimizer_state":
			v.optimizer = val
		default:
			p.report("var", "@%s: there is no attribute %s: want optimizer_state or trainable", v.name, quoteShort(name))
		}
		given[name] = true
	}
	p.expect('}')
	if v.optimizer && !given["trainable"] {
		v.trainable = false
	}
	if fault := v.stateFault(); fault != "" {
		p.report("var", "@%s: %s", v.name, fault)
	}
}

func (p *parser) function() {
	before := len(p.m.diags)
	line := p.line
	p.at(line)
	b := &block{values: map[string]Value{}}
	name := ""
	ok := p.try("func", func() {
		p.expectWord("func")
		name = p.symbol("the function's name")
	})
	if ok {
		b.f = p.m.Func(name)
	} else {
		b.f = &Func{name: name, module: p.m}
	}
	b.f.pos = Pos{File: p.file, Line: line}
	if ok {
		ok = p.signature(b, "func")
	}
	p.finishSignature(b, b.f.pos, "")
	if !p.bodyFollows(b, ok, "func") {
		p.broken[Symbol(name)] = true
		p.skipDeclaration()
		return
	}
	if p.body(b) {
		p.declaration("func", p.endStatement)
	}
	if len(p.m.diags) == before && len(b.f.results) == 0 && len(b.f.updates) == 0 {
		p.reportAt(line, "func", "@%s has neither a result nor an update", name)
	}
	if len(p.m.diags) > before {
		p.broken[Symbol(name)] = true
	}
}

// unplaced is the position of what has no loc, until the declaration that it is part of is read.
var unplaced = Pos{File: "unplaced", Line: -1}

// signature reads parameters and the function's position; parameters without one are left unplaced.
// Not inlined: 3.5 kB of the service.
//
//go:noinline
func (p *parser) signature(b *block, op string) bool {
	return p.try(op, func() {
		p.expect('(')
		p.parens++
		for !p.accept(')') {
			if len(b.f.params) > 0 {
				p.expect(',')
			}
			p.space()
			p.at(p.line)
			name := p.ident()
			p.expect(':')
			t := p.typ(0)
			if _, taken := b.values[name]; taken {
				p.report(op, "%%%s is already a parameter", name)
			}
			v := b.f.param("", t)
			b.values[name] = v
			if isIdent(name) && b.f.names[name] == (Value{}) {
				b.f.claimName(name, v)
			}
			v.Node().pos, v.Node().scope = unplaced, ""
			if loc, ok := p.loc(); ok {
				v.Node().pos, v.Node().scope = loc.pos, loc.scope
			}
		}
		p.parens--
		if loc, ok := p.loc(); ok {
			b.f.pos = loc.pos
		}
	})
}

// finishSignature places the function at decl unless it has a place, and its parameters there too.
func (p *parser) finishSignature(b *block, decl Pos, scope string) {
	if b.f.pos == unplaced {
		b.f.pos = decl
	}
	for _, n := range b.f.params {
		if n.pos == unplaced {
			n.pos, n.scope = b.f.pos, scope
		}
	}
}

// bodyFollows reads up to the opening brace of a body, also after a faulty signature, so that the faults
// of the body are found too.
func (p *parser) bodyFollows(b *block, ok bool, op string) bool {
	if ok && p.try(op, func() { p.expect('{') }) {
		return true
	}
	b.lenient = true
	p.parens, p.attrs = 0, false
	end := len(p.src)
	if i := strings.IndexByte(p.src[p.pos:], '\n'); i >= 0 {
		end = p.pos + i
	}
	rest, _, _ := strings.Cut(p.src[p.pos:end], "//")
	p.pos = end
	return strings.HasSuffix(strings.TrimRight(rest, " \t\r"), "{")
}

// body reads statements up to the closing brace and reports whether there is one.
func (p *parser) body(b *block) bool {
	for !p.full() {
		p.blank()
		if p.pos == len(p.src) || p.atDeclaration() {
			if p.unclosed != p.pos {
				p.report("", "the function has no closing '}': %s comes first", p.found())
			}
			p.unclosed = p.pos
			return false
		}
		if p.accept('}') {
			return true
		}
		p.statement(b)
	}
	return false
}

// resultName is a name on the left of a statement.
type resultName struct {
	name string
	line int
}

func (p *parser) statement(b *block) {
	line := p.line
	p.at(line)
	op := ""
	var lhs []resultName
	fault := p.attempt(func() {
		if b.returned {
			p.failf("a statement after return")
		}
		if p.peek() == '%' {
			lhs = append(lhs, resultName{p.ident(), p.line})
			for p.accept(',') {
				lhs = append(lhs, resultName{p.ident(), p.line})
			}
			p.expect('=')
			op = p.name("an operation")
			p.operation(b, op, lhs, line)
			return
		}
		switch op = p.name("a statement"); op {
		case "return":
			b.returned = true
			p.results(b)
		case "update":
			p.update(b)
		default:
			p.operation(b, op, nil, line)
		}
	})
	if !p.reported(op, fault) {
		p.sync()
		p.define(b, lhs, p.standIns(b, nil, len(lhs)))
	}
}

// standIns are values for the results of a faulty statement. With the types that the text gives,
// statements that use them can still be checked; without, those are passed over in silence.
func (p *parser) standIns(b *block, types []Type, n int) []Value {
	if len(types) != n {
		types = slices.Repeat([]Type{invalidType{}}, n)
	}
	stand := &Node{op: paramOp, fn: b.f, pos: Pos{File: p.file, Line: p.line}}
	stand.setTypes(types)
	return stand.Results()
}

// define names values; names that are taken are reported.
func (p *parser) define(b *block, lhs []resultName, vals []Value) {
	for i, r := range lhs {
		if old, taken := b.values[r.name]; taken {
			if old != vals[i] {
				p.reportAt(r.line, "", "%%%s is already the name of a value (declared at %s)", r.name, old.Node().pos)
			}
			continue
		}
		b.values[r.name] = vals[i]
		if isIdent(r.name) {
			if vals[i].Node().op != paramOp {
				b.f.claimName(r.name, vals[i])
			}
		}
	}
}

// operand reads a value.
func (p *parser) operand(b *block) Value {
	name := p.ident()
	if v, ok := b.values[name]; ok {
		return v
	}
	if !b.lenient && !b.missing[name] {
		if b.missing == nil {
			b.missing = map[string]bool{}
		}
		b.missing[name] = true
		hint := ""
		for o := b.outer; o != nil; o = o.outer {
			if _, ok := o.values[name]; ok {
				hint = ": a region is closed, it sees its parameters only"
			}
		}
		p.report("", "%%%s is not defined here%s", name, hint)
	}
	return p.standIns(b, nil, 1)[0]
}

func (p *parser) results(b *block) {
	names := map[string]bool{}
	for i := 0; i == 0 || p.accept(','); i++ {
		name := strconv.Itoa(i)
		if p.peek() != '%' {
			name = p.name("a result")
			p.expect(':')
		}
		v := p.operand(b)
		if names[name] {
			p.report("return", "%q is already a result", name)
		}
		names[name] = true
		if v, ok := b.f.use("return "+name, v); ok {
			b.f.results = append(b.f.results, Result{name, v})
		}
	}
	p.endStatement()
}

func (p *parser) update(b *block) {
	name := p.symbol("a variable")
	p.expect('=')
	v := p.operand(b)
	p.endStatement()
	vr := p.m.LookupVariable(name)
	switch {
	case p.broken[Symbol(name)]:
	case vr == nil:
		p.report("update", "@%s is not a variable of the module", name)
	default:
		b.f.Update(vr, v)
	}
}

func (p *parser) operation(b *block, opName string, lhs []resultName, line int) {
	before := len(p.m.diags)
	opName, version, _ := strings.Cut(opName, ".")
	op := LookupOp(opName)
	switch {
	case op == nil:
		p.report(opName, "there is no such operation%s", suggestOp(opName))
		op = &Op{Name: opName}
	case version == "" && op.Version > 1, version != "" && version != strconv.Itoa(max(op.Version, 1)):
		p.report(opName, "the text means version %s of the operation, this program has version %d", cmp.Or(version, "1"), max(op.Version, 1))
	}
	known := len(p.m.diags) == before
	var in []Value
	var regions []*block
	if p.peek() == '%' {
		in = append(in, p.operand(b))
		for p.accept(',') {
			in = append(in, p.operand(b))
		}
	}
	for p.peekWord() == "region" {
		regions = append(regions, p.region(b, opName))
	}
	var attrs Attrs
	if p.accept('{') {
		attrs = p.attributes(op, known)
	}
	var types []Type
	typeLine := p.line
	if p.accept(':') {
		types = append(types, p.typ(0))
		for p.accept(',') {
			types = append(types, p.typ(0))
		}
	}
	loc, hasLoc := p.loc()
	p.endStatement()

	funcs := make([]*Func, len(regions))
	for i, r := range regions {
		funcs[i] = r.f
	}
	p.at(line)
	var n *Node
	if len(p.m.diags) == before && !p.usesBroken(attrs) {
		n = p.emit(b, op, in, attrs, funcs, len(lhs), line)
	}
	if n == nil {
		p.define(b, lhs, p.standIns(b, types, len(lhs)))
		return
	}
	if hasLoc {
		n.pos, n.scope = loc.pos, loc.scope
	}
	for _, r := range regions {
		p.finishSignature(r, n.pos, n.scope)
	}
	p.define(b, lhs, n.Results())
	if types != nil && len(types) != len(n.types) {
		p.reportAt(typeLine, opName, "want %d types of results, have %d", len(n.types), len(types))
		return
	}
	for i, t := range types {
		if !EqualTypes(t, n.types[i]) {
			p.reportAt(typeLine, opName, "result %%%s: want %s, have %s", lhs[i].name, n.types[i], t)
		}
	}
}

// usesBroken reports whether attributes name a declaration whose faults are reported already.
func (p *parser) usesBroken(attrs Attrs) bool {
	return slices.ContainsFunc(attrs, func(a Attr) bool {
		s, ok := a.Value.(Symbol)
		return ok && p.broken[s]
	})
}

// emit makes the node, or reports why not and returns nil.
func (p *parser) emit(b *block, op *Op, in []Value, attrs Attrs, regions []*Func, results, line int) (n *Node) {
	defer func() { // the rules of ops from outside this module run here
		if r := recover(); r != nil {
			p.reportAt(line, op.Name, "BUG: the declaration panicked: %v\n%s", r, debug.Stack())
			n = nil
		}
	}()
	attrs, err := op.normalizeAttrs(attrs)
	if err != nil {
		p.reportAt(line, op.Name, "%v", err)
		return nil
	}
	if want := op.NumResultsFor(attrs, len(in)); want != results {
		p.reportAt(line, op.Name, "want %d results, have %d", want, results)
		return nil
	}
	if fault := op.regionsFault(attrs, len(in), len(regions)); fault != "" {
		p.reportAt(line, op.Name, "%s", fault)
		return nil
	}
	if op == readOp && b.f.detached {
		p.reportAt(line, op.Name, "@%s: a region or an initializer cannot read variables", attrs.Symbol("var"))
		return nil
	}
	if name := string(attrs.Symbol("func")); op == callOp {
		if callee := p.m.LookupFunc(name); callee == nil || callee == b.f.Root() {
			p.reportAt(line, op.Name, "@%s is not a function that comes before this one", name)
			return nil
		}
	}
	if stream, ok := attrs.Get("stream").(int64); ok {
		if stream >= maxStream {
			p.reportAt(line, op.Name, "attribute \"stream\": want less than 2^62, have %d", stream)
			return nil
		}
		p.m.streams = max(p.m.streams, stream+1)
	}
	before := len(b.f.nodes)
	b.f.Emit(op, in, attrs, regions...)
	if len(b.f.nodes) == before {
		return nil
	}
	n = b.f.nodes[before]
	if op == readOp {
		if b.f.reads == nil {
			b.f.reads = map[string]Value{}
		}
		name := string(attrs.Symbol("var"))
		if _, again := b.f.reads[name]; !again {
			b.f.reads[name] = n.Result(0)
		}
	}
	return n
}

// maxStream leaves NextStream numbers to give.
const maxStream = 1 << 62

func (p *parser) region(outer *block, opName string) *block {
	p.expectWord("region")
	p.depth++
	defer func() { p.depth-- }()
	if p.depth > maxNesting {
		p.failf("regions are nested more than %d deep", maxNesting)
	}
	f := &Func{name: opName + " region", module: p.m, parent: outer.f, detached: true, pos: unplaced}
	b := &block{f: f, outer: outer, values: map[string]Value{}}
	ok := p.signature(b, opName)
	if !p.bodyFollows(b, ok, opName) {
		p.failf("") // reported
	}
	if !p.body(b) {
		p.failf("")
	}
	return b
}

// loc reads a position and a layer, if there is one.
func (p *parser) loc() (s site, ok bool) {
	if !p.acceptWord("loc") {
		return s, false
	}
	p.expect('(')
	if !p.acceptWord("unknown") {
		s.pos.File = p.quoted()
		p.expect(':')
		n := p.number()
		line, err := strconv.ParseInt(n, 10, 32)
		if err != nil || line < 1 {
			p.failf("want a line number, have %s", quoteShort(n))
		}
		s.pos.Line = int(line)
	}
	if p.accept(',') {
		s.scope = p.quoted()
	}
	p.expect(')')
	return s, true
}

// attributes reads what follows the opening brace. A faulty attribute does not hide the faults of the
// others; those of an unknown op are passed over.
func (p *parser) attributes(op *Op, known bool) Attrs {
	var attrs Attrs
	p.attrs = true
	for !p.accept('}') {
		if len(attrs) > 0 {
			p.expect(',')
		}
		name := p.name("an attribute")
		p.expect('=')
		spec := op.Attr(name)
		if spec == nil {
			if known {
				p.report(op.Name, "there is no attribute %q: want %s", name, op.attrNames())
			}
			p.skipAttr()
			attrs = append(attrs, Attr{name, nil})
			continue
		}
		var v any
		start := p.lexer
		fault := p.attempt(func() {
			v = p.attr(spec.Kind)
			if c := p.peek(); c != ',' && c != '}' {
				p.failf("want ',' or '}', have %s", p.found())
			}
		})
		if fault != nil {
			p.reportAt(fault.line, op.Name, "attribute %q (%v): %s", name, spec.Kind, fault.msg)
			p.lexer = start
			p.skipAttr()
		}
		attrs = append(attrs, Attr{name, v})
	}
	p.attrs = false
	return attrs
}

// skipAttr skips to the end of an attribute's value.
func (p *parser) skipAttr() {
	for depth := 0; ; p.pos++ {
		switch c := p.peek(); {
		case c == '\n' && depth > 0 && !p.declarationAt(p.pos+1):
			p.line++
		case c == 0 || c == '\n':
			p.failf("") // why the rest is skipped is reported
		case c == '"':
			p.quotedToken()
			p.pos--
		case c == '[' || c == '(' || c == '<':
			depth++
		case c == ']' || c == ')' || c == '>':
			depth--
		case c == '}' || c == ',' && depth <= 0:
			return
		}
	}
}

// attr reads an attribute's value, as its declaration spells it.
func (p *parser) attr(kind AttrKind) any {
	switch kind {
	case IntAttr:
		return p.int()
	case FloatAttr:
		return p.float()
	case BoolAttr:
		return p.bool()
	case StringAttr:
		return p.quoted()
	case IntsAttr:
		return list(p, p.int)
	case FloatsAttr:
		return list(p, p.float)
	case DTypeAttr:
		return p.dtype()
	case DimsAttr:
		p.expect('[')
		return p.dims()
	case TensorAttr:
		return p.tensor()
	case TypeAttr:
		return p.typ(0)
	case SymbolAttr:
		return Symbol(p.symbol("a variable or a function"))
	}
	p.failf("BUG: attributes of kind %d have no text", kind)
	return nil
}

func list[T any](p *parser, elem func() T) []T {
	p.expect('[')
	out := []T{}
	for !p.accept(']') {
		if len(out) > 0 {
			p.expect(',')
		}
		out = append(out, elem())
	}
	return out
}

func (p *parser) int() int64 {
	s := p.number()
	n, err := strconv.ParseInt(s, 10, 64)
	if err != nil {
		p.failf("want an integer of 64 bits, have %s", quoteShort(s))
	}
	return n
}

func (p *parser) float() float64 {
	s := p.number()
	x, err := parseFloat(s)
	if err != nil {
		p.failf("want a float of 64 bits, have %s", quoteShort(s))
	}
	return x
}

func (p *parser) bool() bool {
	switch {
	case p.acceptWord("true"):
		return true
	case p.acceptWord("false"):
		return false
	}
	p.failf("want true or false, have %s", p.found())
	return false
}

// tensor reads a constant: its type and its elements, one way or another.
func (p *parser) tensor() *value.Tensor {
	t := p.typ(0)
	tt, ok := t.(TensorType)
	shape, constant := tt.ConstShape()
	if !ok || !constant {
		p.failf("want a tensor with constant dims, have %s", t)
	}
	switch p.peekWord() {
	case "base64":
		return p.base64(tt, shape)
	case "external":
		return p.external(tt)
	}
	x, err := value.ParseElements(tt.DType, shape, p.elements())
	if err != nil {
		p.failf("%v", err)
	}
	return x
}

// elements returns the text of a list of elements.
func (p *parser) elements() string {
	if p.peek() != '[' {
		p.failf("want '[', base64 or external, have %s", p.found())
	}
	start, line := p.pos, p.line
	for ; p.pos < len(p.src); p.pos++ {
		switch p.src[p.pos] {
		case '"':
			p.quotedToken()
			p.pos--
		case '\n':
			p.line++
		case ']':
			p.pos++
			return p.src[start:p.pos]
		}
	}
	p.pos, p.line = start, line
	p.failf("the list of elements has no ']'")
	return ""
}

func (p *parser) base64(t TensorType, shape []int) *value.Tensor {
	p.expectWord("base64")
	q := p.quotedToken()
	q = q[1 : len(q)-1]
	size, err := value.SizeBytes(t.DType, shape...)
	if err != nil {
		p.failf("%v", err)
	}
	if have := base64.StdEncoding.DecodedLen(len(q)); have < size || have > size+2 {
		p.failf("%s takes %d bytes, the base64 text has %d", t, size, have)
	}
	data, err := base64.StdEncoding.Strict().DecodeString(q)
	if err != nil {
		p.failf("%v", err)
	}
	x, err := value.FromBytes(t.DType, data, shape...)
	if err != nil {
		p.failf("%v", err)
	}
	return x
}

func (p *parser) external(t TensorType) *value.Tensor {
	p.expectWord("external")
	name := p.quoted()
	p.expectWord("sha256")
	sum := p.quoted()
	if p.opt.External == nil {
		p.failf("%s is stored outside the text, and there is no store to look it up in", quoteShort(name))
	}
	key := name + "\x00" + sum + "\x00" + t.String()
	if x := p.stored[key]; x != nil {
		return x
	}
	x, err := p.opt.External(name, sum, t)
	switch {
	case err != nil:
		p.failf("%s: %v", quoteShort(name), err)
	case x == nil:
		p.failf("%s: there is no such tensor", quoteShort(name))
	case !EqualTypes(TypeOf(x), t):
		p.failf("%s: want %s, have %s", quoteShort(name), t, TypeOf(x))
	}
	have, ok := checksumOf(x)
	if !ok {
		p.failf("%s is stored outside the text, and its checksum needs crypto/sha256, which this program does not link: "+
			"import _ \"crypto/sha256\"", quoteShort(name))
	}
	if have != sum {
		p.failf("%s: the tensor is not the one that the text was written with: want sha256 %s, have %s", quoteShort(name), quoteShort(sum), have)
	}
	if p.stored == nil {
		p.stored = map[string]*value.Tensor{}
	}
	p.stored[key] = x
	return x
}
