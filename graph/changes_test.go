package graph

import (
	"errors"
	"reflect"
	"slices"
	"strings"
	"testing"
)

// checkedClone returns a module that VerifyChanges has found sound.
func checkedClone(t *testing.T) *Module {
	t.Helper()
	m := mustParse(t, verified).Clone()
	if err := VerifyChanges(m); err != nil {
		t.Fatal(err)
	}
	return m
}

// wantRule fails unless err is faults of one rule.
func wantRule(t *testing.T, err error, rule string) {
	t.Helper()
	var faults Diagnostics
	if !errors.As(err, &faults) {
		t.Fatalf("want faults, have %v", err)
	}
	for _, f := range faults {
		if !strings.HasSuffix(f.Msg, "(verifier rule "+rule+")") {
			t.Errorf("want a fault of rule %s, have %v", rule, f)
		}
	}
}

// TestVerifyChangesRejectsMutations spoils a module that has been checked, behind the back of the methods that passes
// use, and takes back what is noted of functions and nodes.
func TestVerifyChangesRejectsMutations(t *testing.T) {
	for rule, muts := range mutations {
		for name, mutate := range muts {
			t.Run(rule+"/"+name, func(t *testing.T) {
				m := checkedClone(t)
				f := m.funcs[2]
				nodes := slices.Concat(m.vars[0].init.nodes, m.funcs[0].nodes, m.funcs[1].nodes, f.nodes, f.nodes[3].regions[0].nodes)
				for _, touched := range []*Func{m.vars[0].init, m.funcs[0], m.funcs[1], f} {
					touched.touch()
				}
				m.checked = false
				mutate(m, f)
				for _, n := range slices.Concat(nodes, f.nodes) {
					if n != nil {
						n.sound, n.plain = false, false
					}
				}
				wantRule(t, VerifyChanges(m), rule)
			})
		}
	}
}

// outlineResult makes a region of the node of a function that gives its first result.
func outlineResult(f *Func, args func(n *Node) []Value) {
	old := f.results[0].Value.Node()
	for _, n := range f.TakeNodes() {
		if n != old {
			f.Append(n)
		}
	}
	n := f.Outline(testApply, nil, []*Node{old}, args(old), old.Results())
	if err := old.Replace(n.Results()); err != nil {
		panic(err)
	}
	f.SetResult(0, n.Result(0))
	f.Forget()
}

// TestVerifyChangesSeesChanges spoils a module that has been checked through the methods that passes use. What each of them notes
// must let VerifyChanges find the fault.
func TestVerifyChangesSeesChanges(t *testing.T) {
	other := func() *Func {
		f := NewModule("other").Func("f")
		f.Input("x", F32, "N")
		return f
	}
	type change struct {
		rule string
		make func(m *Module, f *Func)
	}
	changes := map[string]change{
		"Append":             {"operand", func(_ *Module, f *Func) { n := f.TakeNodes(); f.Append(n[4]) }},
		"Append twice":       {"function", func(_ *Module, f *Func) { f.Append(f.nodes[0]) }},
		"Append in a region": {"function", func(_ *Module, f *Func) { r := f.nodes[3].regions[0]; r.Append(r.nodes[0]) }},
		"Outline":            {"inference", func(_ *Module, f *Func) { outlineResult(f, func(n *Node) []Value { return n.in }) }},
		"Outline of less":    {"operand", func(_ *Module, f *Func) { outlineResult(f, func(n *Node) []Value { return n.in[:1] }) }},
		"Outline outside": {"operand", func(m *Module, f *Func) {
			outlineResult(f, func(n *Node) []Value { n.in[1] = n.in[0]; return m.funcs[1].Params() })
		}},
		"Outline of other types": {"inference", func(_ *Module, f *Func) {
			outlineResult(f, func(n *Node) []Value {
				n.SetOperand(0, f.nodes[0].Result(1))
				n.SetOperand(1, n.in[0])
				return n.in[:1]
			})
		}},
		"Outline of a read":   {"closed", func(m *Module, _ *Func) { outlineResult(m.funcs[0], func(*Node) []Value { return nil }) }},
		"Emit":                {"op", func(_ *Module, f *Func) { op := *testPair; f.Emit(&op, f.Params()[:1], nil) }},
		"Emit a symbol":       {"symbol", mutations["symbol"]["result"]},
		"Emit in initializer": {"closed", mutations["closed"]["read in initializer"]},
		"Emit in region":      {"closed", mutations["closed"]["read in region"]},
		"Call":                {"call", mutations["call"]["in init"]},
		"Func":                {"result", func(m *Module, _ *Func) { m.Func("empty") }},
		"Input":               {"initializer", mutations["initializer"]["parameter"]},
		"Return":              {"initializer", mutations["initializer"]["results"]},
		"DropUpdates":         {"result", func(m *Module, f *Func) { f.results = nil; f.DropUpdates(func(Update) bool { return true }) }},
		"SetNodes":            {"operand", func(_ *Module, f *Func) { f.SetNodes(f.nodes[1:]) }},
		"SetNodes in order":   {"operand", func(_ *Module, f *Func) { n := slices.Clone(f.nodes); slices.Reverse(n); f.SetNodes(n) }},
		"SetNodes twice":      {"function", func(_ *Module, f *Func) { f.SetNodes(append(slices.Clone(f.nodes), f.nodes[0])) }},
		"SetOperand":          {"inference", func(_ *Module, f *Func) { f.nodes[4].SetOperand(0, f.nodes[0].Result(1)) }},
		"SetOperand later":    {"operand", func(_ *Module, f *Func) { f.nodes[0].SetOperand(0, f.nodes[4].Result(0)) }},
		"SetOperand in region": {"operand", func(_ *Module, f *Func) {
			f.nodes[3].regions[0].nodes[0].SetOperand(0, f.Params()[0])
		}},
		"SetResult":           {"result", func(_ *Module, f *Func) { f.SetResult(0, other().Params()[0]) }},
		"SetResult of callee": {"inference", func(m *Module, f *Func) { h := m.funcs[1]; h.SetResult(0, h.Const(keyTensor())) }},
		"SetResult of region": {"result", func(_ *Module, f *Func) { f.nodes[3].regions[0].SetResult(0, f.Params()[0]) }},
		"SetUpdate":           {"update", func(_ *Module, f *Func) { f.SetUpdate(0, f.Params()[0]) }},
		"Splice":              {"closed", func(m *Module, _ *Func) { m.vars[0].init.Splice(m.funcs[0], nil) }},
		"TakeNodes":           {"result", func(_ *Module, f *Func) { f.TakeNodes() }},
		"TakeNodes, Forget": {"operand", func(_ *Module, f *Func) {
			for _, n := range f.TakeNodes()[1:] {
				f.Append(n)
			}
			f.Forget()
		}},
		"TakeNodes, SetOperand": {"operand", func(_ *Module, f *Func) {
			for _, n := range f.TakeNodes() {
				f.Append(n)
			}
			f.nodes[0].SetOperand(0, f.nodes[4].Result(0))
			f.Forget()
		}},
		"TakeNodes in reverse": {"operand", func(_ *Module, f *Func) {
			n := slices.Clone(f.TakeNodes())
			slices.Reverse(n)
			for _, n := range n {
				f.Append(n)
			}
			f.Forget()
		}},
		"Truncate": {"update", func(_ *Module, f *Func) { f.Truncate(len(f.nodes) - 1) }},
		"Update":   {"call", func(m *Module, _ *Func) { g := m.funcs[0]; g.Update(m.vars[0], g.results[0].Value) }},
	}
	for name, c := range changes {
		t.Run(name, func(t *testing.T) {
			m := checkedClone(t)
			c.make(m, m.funcs[2])
			if len(m.diags) > 0 {
				t.Fatalf("the change is refused before the verifier sees it: %v", m.diags)
			}
			wantRule(t, VerifyChanges(m), c.rule)
			wantRule(t, Verify(m), c.rule)
		})
	}
	harmless := map[string]func(m *Module, f *Func){
		"Named": func(_ *Module, f *Func) { f.nodes[4].Result(0).Named("other") },
		"Replace": func(_ *Module, f *Func) {
			to := f.nodes[2].Result(0)
			if err := f.nodes[4].Replace([]Value{to}); err != nil {
				panic(err)
			}
			for i, n := range f.TakeNodes() {
				if i != 4 {
					f.Append(n)
				}
			}
			f.SetResult(0, f.results[0].Value.Current())
			f.Forget()
		},
		"Outline": func(_ *Module, f *Func) {
			outlineResult(f, func(n *Node) []Value { n.SetOperand(1, n.in[0]); return n.in[:1] })
		},
		"SetMeta":     func(m *Module, _ *Func) { m.SetMeta("k", "v") },
		"DropUpdates": func(_ *Module, f *Func) { f.DropUpdates(func(Update) bool { return true }) },
		"RemoveFunc": func(m *Module, f *Func) {
			if err := m.RemoveFunc(f); err != nil {
				panic(err)
			}
		},
		"Region": func(_ *Module, f *Func) {
			UnifyCaptures(f.Region("r", nil, func(*Func, []Value) []Value { return f.Params() }))
		},
		"BindRegions": func(_ *Module, f *Func) {
			if _, err := f.nodes[3].BindRegions(map[string]Dim{"N": Ints(2)[0]}); err != nil {
				panic(err)
			}
		},
	}
	for name, change := range harmless {
		t.Run(name, func(t *testing.T) {
			m := checkedClone(t)
			change(m, m.funcs[2])
			if err := errors.Join(VerifyChanges(m), Verify(m)); err != nil {
				t.Error(err)
			}
		})
	}
}

// TestPutBackIsNoChange takes nodes and puts them back as they were.
func TestPutBackIsNoChange(t *testing.T) {
	m := checkedClone(t)
	before := m.Version()
	for _, f := range m.funcs {
		for _, n := range f.TakeNodes() {
			for i, v := range n.in {
				n.SetOperand(i, v)
			}
			f.Append(n)
		}
		f.Forget()
		f.SetNodes(slices.Clone(f.nodes))
	}
	if m.Version() != before {
		t.Error("the version is another one")
	}
	m.funcs[1].Const(keyTensor())
	if m.Version() == before {
		t.Error("a new node leaves the version alone")
	}
}

// TestExportedMethods lists the exported methods of what passes change. One that is new here either changes nothing, and belongs into this
// list, or notes what it changes by touch, and belongs into the tests above.
func TestExportedMethods(t *testing.T) {
	known := strings.Fields(`
		Func: Append Call Carries CheckSizes Const DropUpdates Emit FLOPs Forget Input InputOf IsRegion Lookup Module Name Nodes Outline Params Pos Region
			Results Return Root Scalar SetNodes SetResult SetUpdate Splice String Symbols TakeNodes Truncate Update Updates ValueNames Version
		Node: Attrs BindRegions Callee FLOPs Func Index InlineBody IsConstant IsFused IsGrad IsParam NumResults Op OperandTypes Operands Pos Regions
			Replace Result ResultName Results Scope SetOperand String Types Variable Widens
		Variable: Init IsOptimizerState Name Pos Read Shape Trainable Type`)
	at := ""
	methods := map[string][]string{}
	for _, w := range known {
		if name, ok := strings.CutSuffix(w, ":"); ok {
			at = name
			continue
		}
		methods[at] = append(methods[at], w)
	}
	for _, x := range []any{&Func{}, &Node{}, &Variable{}} {
		typ := reflect.TypeOf(x)
		var have []string
		for i := range typ.NumMethod() {
			have = append(have, typ.Method(i).Name)
		}
		if want := methods[typ.Elem().Name()]; !slices.Equal(have, want) {
			t.Errorf("the methods of %v are %v, want %v", typ, have, want)
		}
	}
}
