package graph

import (
	"errors"
	"strings"
	"testing"

	"github.com/graphrun/graphrun/graph/dim"
	"github.com/graphrun/graphrun/graph/value"
)

const verified = `graphrun 2
module @m
var @w: f32[2] = init(%key: u64[2]) {
  %0 = test_random %key {shape=[2], stream=1} : f32[2]
  return value: %0
}
func @reader() {
  %0 = read {var=@w} : f32[2]
  return w: %0
}
func @helper(%x: f32[N]) {
  return x: %x
}
func @f(%x: f32[N], %k: u64[2]) {
  %a, %b = test_pair %x : f32[N], i64[]
  %c = test_random %k {shape=[N], stream=2} : f32[N]
  %d = call %c {func=@helper, results=1} : f32[N]
  %e = test_apply %d region(%p: f32[N]) {
    %q = test_add %p, %p : f32[N]
    return 0: %q
  } : f32[N]
  %g = test_add %a, %e : f32[N]
  %h = call {func=@reader, results=1} : f32[2]
  update @w = %h
  return g: %g
}
`

// mutations are, for every rule, changes of a valid module that the rule must reject.
var mutations = map[string]map[string]func(m *Module, f *Func){
	"module": {
		"name":           func(m *Module, _ *Func) { m.name = "" },
		"variable name":  func(m *Module, _ *Func) { m.vars[0].name = "a b" },
		"nil variable":   func(m *Module, _ *Func) { m.vars = append(m.vars, nil) },
		"variable table": func(m *Module, _ *Func) { m.varByName["x"] = m.vars[0] },
		"function name":  func(_ *Module, f *Func) { f.name = "f/g" },
		"nil function":   func(m *Module, _ *Func) { m.funcs[0] = nil },
		"function table": func(m *Module, f *Func) { m.funcByName["helper"] = f },
		"duplicate":      func(m *Module, f *Func) { m.funcs = append(m.funcs, f) },
		"empty meta":     func(m *Module, _ *Func) { m.meta = map[string]string{"k": ""} },
	},
	"variable": {
		"symbolic": func(m *Module, _ *Func) { m.vars[0].typ.Shape = []Dim{dim.Sym("N")} },
		"negative": func(m *Module, _ *Func) { m.vars[0].typ.Shape = Ints(-2) },
		"no dtype": func(m *Module, _ *Func) { m.vars[0].typ.DType = 0 },
		"foreign":  func(m *Module, _ *Func) { m.vars[0].module = NewModule("other") },
		"state":    func(m *Module, _ *Func) { m.vars[0].optimizer = true },
	},
	"function": {
		"foreign":          func(_ *Module, f *Func) { f.module = NewModule("other") },
		"detached":         func(_ *Module, f *Func) { f.detached = true },
		"attached region":  func(_ *Module, f *Func) { f.nodes[3].regions[0].detached = false },
		"nested":           func(m *Module, f *Func) { f.parent = m.funcs[0] },
		"nil node":         func(_ *Module, f *Func) { f.nodes[2] = nil },
		"two nil nodes":    func(_ *Module, f *Func) { f.nodes[1], f.nodes[2] = nil, nil },
		"nil parameter":    func(_ *Module, f *Func) { f.params[0] = nil },
		"node twice":       func(_ *Module, f *Func) { f.nodes = append(f.nodes, f.nodes[0]) },
		"node elsewhere":   func(m *Module, f *Func) { f.nodes[0].fn = m.funcs[0] },
		"param elsewhere":  func(m *Module, f *Func) { f.params[0].fn = m.funcs[0] },
		"param as node":    func(_ *Module, f *Func) { f.nodes = append(f.nodes, f.params[0]); f.params = f.params[1:] },
		"node as param":    func(_ *Module, f *Func) { f.params[0].op = testPair },
		"param with types": func(_ *Module, f *Func) { f.params[0].types = nil },
		"no op":            func(_ *Module, f *Func) { f.nodes[0].op = nil },
	},
	"region": {
		"missing":  func(_ *Module, f *Func) { f.nodes[3].regions = nil },
		"too many": func(_ *Module, f *Func) { f.nodes[0].regions = f.nodes[3].regions },
		"varying": func(_ *Module, f *Func) {
			f.nodes[3].op, f.nodes[3].attrs = testBranches, Attrs{{"branches", int64(2)}}
		},
		"nil":        func(_ *Module, f *Func) { f.nodes[3].regions[0] = nil },
		"no parent":  func(_ *Module, f *Func) { f.nodes[3].regions[0].parent = nil },
		"recursive":  func(_ *Module, f *Func) { r := f.nodes[3].regions[0]; r.nodes[0].regions = []*Func{r} },
		"shared":     func(_ *Module, f *Func) { f.nodes[4].op = testApply; f.nodes[4].regions = f.nodes[3].regions },
		"a function": func(m *Module, f *Func) { f.nodes[3].regions[0] = m.funcs[0] },
	},
	"op": {
		"copy":         func(_ *Module, f *Func) { op := *testPair; f.nodes[0].op = &op },
		"unregistered": func(_ *Module, f *Func) { f.nodes[0].op = &Op{Name: "test_nothing"} },
	},
	"operand": {
		"missing":      func(_ *Module, f *Func) { f.nodes[0].in[0] = Value{} },
		"later":        func(_ *Module, f *Func) { f.nodes[0], f.nodes[4] = f.nodes[4], f.nodes[0] },
		"itself":       func(_ *Module, f *Func) { f.nodes[4].in[0] = f.nodes[4].Result(0) },
		"removed":      func(_ *Module, f *Func) { f.nodes = f.nodes[1:] },
		"elsewhere":    func(m *Module, f *Func) { f.nodes[0].in[0] = m.funcs[1].Params()[0] },
		"from outside": func(_ *Module, f *Func) { f.nodes[3].regions[0].nodes[0].in[0] = f.Params()[0] },
		"from inside":  func(_ *Module, f *Func) { f.nodes[4].in[0] = f.nodes[3].regions[0].nodes[0].Result(0) },
		"index":        func(_ *Module, f *Func) { f.nodes[4].in[0].r = &result{f.nodes[4].in[0].Node(), 2} },
		"below zero":   func(_ *Module, f *Func) { f.nodes[4].in[0].r = &result{f.nodes[4].in[0].Node(), -1} },
	},
	"result": {
		"none":      func(m *Module, _ *Func) { m.funcs[1].results = nil },
		"missing":   func(_ *Module, f *Func) { f.results[0].Value = Value{} },
		"elsewhere": func(m *Module, f *Func) { f.results[0].Value = m.funcs[1].Params()[0] },
		"index":     func(_ *Module, f *Func) { f.results[0].Value.r = &result{f.results[0].Value.Node(), 1} },
		"no name":   func(_ *Module, f *Func) { f.results[0].Name = "" },
		"twice":     func(_ *Module, f *Func) { f.results = append(f.results, f.results[0]) },
		"of region": func(_ *Module, f *Func) { f.nodes[3].regions[0].results[0].Value = f.Params()[0] },
	},
	"update": {
		"nil":        func(_ *Module, f *Func) { f.updates[0].Var = nil },
		"undeclared": func(_ *Module, f *Func) { v := *f.updates[0].Var; f.updates[0].Var = &v },
		"type":       func(_ *Module, f *Func) { f.updates[0].Value = f.Params()[0] },
		"missing":    func(_ *Module, f *Func) { f.updates[0].Value = Value{} },
		"twice":      func(_ *Module, f *Func) { f.updates = append(f.updates, f.updates[0]) },
	},
	"closed": {
		"update in initializer": func(m *Module, _ *Func) {
			init := m.vars[0].init
			init.updates = []Update{{m.vars[0], init.nodes[0].Result(0)}}
		},
		"read in initializer": func(m *Module, _ *Func) { m.vars[0].Read(m.vars[0].init) },
		"read in region": func(_ *Module, f *Func) {
			f.nodes[3].regions[0].Emit(readOp, nil, Attrs{{"var", Symbol("w")}})
		},
	},
	"call": {
		"nowhere":   func(_ *Module, f *Func) { f.nodes[2].attrs = f.nodes[2].attrs.With("func", Symbol("nowhere")) },
		"itself":    func(_ *Module, f *Func) { f.nodes[2].attrs = f.nodes[2].attrs.With("func", Symbol("f")) },
		"later":     func(m *Module, _ *Func) { m.funcs[1], m.funcs[2] = m.funcs[2], m.funcs[1] },
		"updating":  func(m *Module, _ *Func) { g := m.funcs[0]; g.updates = []Update{{m.vars[0], g.nodes[0].Result(0)}} },
		"in init":   func(m *Module, _ *Func) { m.vars[0].init.Call(m.funcs[1], m.vars[0].init.nodes[0].Result(0)) },
		"in region": func(m *Module, f *Func) { f.nodes[3].regions[0].Call(m.funcs[0]) },
		"in region of a reader's caller": func(m *Module, f *Func) {
			f.updates = nil // f reads: it calls reader
			last := m.Func("last")
			x := last.Input("x", F32, "N")
			r := last.Region("r", []Type{x.Type()}, func(r *Func, in []Value) []Value {
				r.Call(f, in[0], r.Const(keyTensor()))
				return in
			})
			last.Return("y", last.Emit(testApply, []Value{x}, nil, r)[0])
		},
	},
	"attribute": {
		"missing":   func(_ *Module, f *Func) { f.nodes[1].attrs = f.nodes[1].attrs[:1] },
		"unknown":   func(_ *Module, f *Func) { f.nodes[1].attrs = Attrs{{"shape", Ints(2)}, {"strand", int64(1)}} },
		"unsorted":  func(_ *Module, f *Func) { a := f.nodes[1].attrs; f.nodes[1].attrs = Attrs{a[1], a[0]} },
		"kind":      func(_ *Module, f *Func) { f.nodes[1].attrs = f.nodes[1].attrs.With("stream", 1) },
		"overflow":  func(_ *Module, f *Func) { f.nodes[1].attrs = f.nodes[1].attrs.With("shape", []Dim{overflowing()}) },
		"symbol":    func(_ *Module, f *Func) { testAttr(f, "symbol", Symbol("a b")) },
		"dtype":     func(_ *Module, f *Func) { testAttr(f, "dtype", DType(0)) },
		"type":      func(_ *Module, f *Func) { testAttr(f, "type", Type(MapType{Key: F32, Value: TokenType{}})) },
		"no tensor": func(_ *Module, f *Func) { testAttr(f, "tensor", (*value.Tensor)(nil)) },
	},
	"type": {
		"nil":       func(_ *Module, f *Func) { f.nodes[0].types[1] = nil },
		"invalid":   func(_ *Module, f *Func) { f.nodes[0].types[1] = invalidType{} },
		"nested":    func(_ *Module, f *Func) { f.params[0].types[0] = SequenceType{OptionalType{invalidType{}}} },
		"negative":  func(_ *Module, f *Func) { f.params[0].types[0] = TensorType{F32, Ints(-1)} },
		"overflow":  func(_ *Module, f *Func) { f.params[0].types[0] = TensorType{F32, []Dim{overflowing()}} },
		"of region": func(_ *Module, f *Func) { f.nodes[3].regions[0].nodes[0].types[0] = invalidType{} },
	},
	"inference": {
		"other":    func(_ *Module, f *Func) { f.nodes[0].types[0] = TensorType{F32, []Dim{dim.Sym("M")}} },
		"fewer":    func(_ *Module, f *Func) { n := f.nodes[0]; n.types, n.names = n.types[:1], n.names[:1] },
		"refused":  func(_ *Module, f *Func) { f.nodes[4].in[0] = f.nodes[0].Result(1) },
		"operands": func(_ *Module, f *Func) { f.nodes[4].in = f.nodes[4].in[:1] },
		"variable": func(m *Module, f *Func) { m.vars[0].typ.Shape = Ints(3); f.updates = nil },
	},
	"symbol": {
		"result": func(_ *Module, f *Func) {
			f.Emit(testRandom, f.Params()[1:], Attrs{{"shape", []Dim{dim.Sym("M")}}, {"stream", int64(9)}})
		},
		"attribute": func(_ *Module, f *Func) { testAttr(f, "dims", []Dim{dim.Add(dim.Sym("N"), dim.Sym("M"))}) },
		"type attribute": func(_ *Module, f *Func) {
			testAttr(f, "type", Type(OptionalType{TensorType{F32, []Dim{dim.Sym("M")}}}))
		},
	},
	"initializer": {
		"missing":   func(m *Module, _ *Func) { m.vars[0].init = nil },
		"parameter": func(m *Module, _ *Func) { m.vars[0].init.Input("more", F32) },
		"results":   func(m *Module, _ *Func) { f := m.vars[0].init; f.Return("more", f.Params()[0]) },
		"type":      func(m *Module, _ *Func) { f := m.vars[0].init; f.results[0].Value = f.Params()[0] },
	},
	"name": {
		"not a word": func(_ *Module, f *Func) { f.nodes[0].names[0] = "1a" },
		"twice":      func(_ *Module, f *Func) { f.nodes[0].names[1] = "a" },
		"not found":  func(_ *Module, f *Func) { delete(f.names, "a") },
		"too many":   func(_ *Module, f *Func) { f.nodes[0].names = append(f.nodes[0].names, "more") },
		"parameter":  func(_ *Module, f *Func) { f.params[0].names = nil },
	},
}

func keyTensor() *value.Tensor {
	t, err := value.New(U64, 2)
	if err != nil {
		panic(err)
	}
	return t
}

func overflowing() Dim { return dim.Mul(dim.Const(1<<62), dim.Const(1<<62)) }

// testAttr adds a node with an attribute.
func testAttr(f *Func, name string, x any) {
	f.Emit(testAttrs, nil, nil)
	n := f.nodes[len(f.nodes)-1]
	n.attrs = n.attrs.With(name, x)
	if t, ok := x.(Type); ok {
		n.types[0] = t
	}
}

func TestVerifyRejectsMutations(t *testing.T) {
	if err := Verify(mustParse(t, verified)); err != nil {
		t.Fatal(err)
	}
	known := map[string]bool{}
	for _, r := range Rules() {
		known[r.Name] = true
		if r.Doc == "" || len(mutations[r.Name]) == 0 {
			t.Errorf("rule %s has no doc, or no mutation that it rejects", r.Name)
		}
	}
	for rule, muts := range mutations {
		if !known[rule] {
			t.Errorf("there is no rule %s", rule)
		}
		for name, mutate := range muts {
			t.Run(rule+"/"+name, func(t *testing.T) {
				m := mustParse(t, verified)
				mutate(m, m.funcs[2])
				if len(m.diags) > 0 {
					t.Fatalf("the mutation is refused before the verifier sees it: %v", m.diags)
				}
				err := Verify(m)
				var faults Diagnostics
				if !errors.As(err, &faults) {
					t.Fatalf("want faults, have %v", err)
				}
				for _, f := range faults {
					if !strings.HasSuffix(f.Msg, "(verifier rule "+rule+")") {
						t.Errorf("want a fault of rule %s, have %v", rule, f)
					}
				}
			})
		}
	}
}

func TestVerifyReturnsRecordedFaults(t *testing.T) {
	m := NewModule("m")
	m.Func("f").Input("x", F32, -1)
	if err := Verify(m); err == nil || err.Error() != m.Err().Error() {
		t.Errorf("want %v, have %v", m.Err(), err)
	}
}
