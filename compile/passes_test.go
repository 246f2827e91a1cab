package compile

import (
	"io"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/graphrun/graphrun/graph"
	"github.com/graphrun/graphrun/ops"
)

// pipelined declares a module with a variable, a callee and a step, for passes to spoil.
func pipelined() *graph.Module {
	m := graph.NewModule("m")
	w := m.Variable("w", graph.F32, []int{3}, func(f *graph.Func, _ graph.Value) graph.Value {
		return ops.Add(ops.Full(f, graph.F32, 0.5, 3), 0)
	})
	g := m.Func("g")
	g.Return("y", ops.Tanh(g.Input("x", graph.F32, "N", 3)))
	f := m.Func("f")
	x := f.Input("x", graph.F32, "N", 3)
	y := ops.Mul(f.Call(g, x)[0], w.Read(f))
	f.Return("y", y)
	f.Return("z", ops.Sum(y, 1))
	f.Update(w, ops.Sum(y, 0))
	return m
}

// TestReplacementsKeepTypes plants passes that let values of other types stand for results. The pass, the rule, the node and both types are named.
func TestReplacementsKeepTypes(t *testing.T) {
	rule := func(apply func(x graph.Value) []graph.Value) func(c *Context, m *graph.Module) error {
		return func(c *Context, m *graph.Module) error {
			return ApplyRules(c, m, []*Rule{{Name: "shrink", Op: "tanh", Law: "d", Apply: func(_ *graph.Func, n *graph.Node) []graph.Value {
				return apply(n.Operands()[0])
			}}})
		}
	}
	for name, c := range map[string]struct {
		run  func(c *Context, m *graph.Module) error
		want string
	}{
		"shape": {rule(func(x graph.Value) []graph.Value { return []graph.Value{ops.Sum(x, 0)} }), "tanh: rule shrink: want f32[N,3] for its results, have f32[3]"},
		"dtype": {rule(func(x graph.Value) []graph.Value { return []graph.Value{ops.Cast(x, graph.F64)} }), "tanh: rule shrink: want f32[N,3] for its results, have f64[N,3]"},
		"count": {rule(func(x graph.Value) []graph.Value { return []graph.Value{x, x} }), "tanh: rule shrink: want f32[N,3] for its results, have f32[N,3], f32[N,3]"},
		"none":  {rule(func(graph.Value) []graph.Value { return []graph.Value{{}} }), "tanh: rule shrink: want f32[N,3] for its results, have "},
		"without a rule": {func(_ *Context, m *graph.Module) error {
			ReplaceNodes(m, func(f *graph.Func, n *graph.Node) []graph.Value {
				if n.Op().Name != "mul" {
					return nil
				}
				return []graph.Value{f.Scalar(graph.F32, 1.0)}
			})
			return nil
		}, "mul: want f32[N,3] for its results, have f32[]"},
		"no operation": {func(c *Context, m *graph.Module) error {
			return ApplyRules(c, m, []*Rule{{Name: "rotten", Op: "tanhh", Apply: func(*graph.Func, *graph.Node) []graph.Value { return nil }}})
		}, `rule rotten is of "tanhh", which is no operation`},
		"no rule": {func(c *Context, m *graph.Module) error {
			return ApplyRules(c, m, []*Rule{{Name: "rotten", Op: "tanh"}})
		}, "a rule needs Name, Op and Apply"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := Optimize(pipelined(), Insert(&Pass{Name: "planted", Doc: "d", After: []string{"fold"}, Run: c.run}))
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Fatalf("want %q, have %v", c.want, err)
			}
			if !strings.HasPrefix(name, "no ") && (!strings.Contains(err.Error(), "BUG: after planted") || !strings.Contains(err.Error(), "passes_test.go:")) {
				t.Errorf("want the pass and the place, have %v", err)
			}
		})
	}
}

// TestPackageComment wants every pass in what the package says that the rows do.
func TestPackageComment(t *testing.T) {
	text, err := os.ReadFile("doc.go")
	if err != nil {
		t.Fatal(err)
	}
	rows, _, _ := strings.Cut(string(text), "// All but the last three")
	for _, name := range PassNames() {
		if !regexp.MustCompile(`\b` + name + `\b`).MatchString(rows) {
			t.Errorf("doc.go does not say what %s does", name)
		}
	}
}

// TestSignaturesStay plants passes that change what those who run a function rely on.
func TestSignaturesStay(t *testing.T) {
	for name, c := range map[string]struct {
		run  func(m *graph.Module, f *graph.Func)
		want string
	}{
		"type of a result": {func(_ *graph.Module, f *graph.Func) { f.SetResult(1, f.Params()[0]) }, "@f has result z: f32[N,3] in the place of result z: f32[N]"},
		"another result":   {func(_ *graph.Module, f *graph.Func) { f.Return("more", f.Params()[0]) }, "@f has result more: f32[N,3] in the place of update @w: f32[3]"},
		"an input":         {func(_ *graph.Module, f *graph.Func) { f.Input("more", graph.F32) }, "@f has input more: f32[] in the place of result y: f32[N,3]"},
		"name of an input": {func(_ *graph.Module, f *graph.Func) { f.Params()[0].Named("other") }, "@f has input other: f32[N,3] in the place of input x: f32[N,3]"},
		"an update":        {func(_ *graph.Module, f *graph.Func) { f.DropUpdates(func(graph.Update) bool { return true }) }, "@f has nothing in the place of update @w: f32[3]"},
		"a function":       {func(m *graph.Module, f *graph.Func) { _ = m.RemoveFunc(f) }, "the module has other variables or functions than before"},
		"result of a callee": {func(m *graph.Module, _ *graph.Func) {
			g := m.LookupFunc("g")
			g.SetResult(0, ops.Sum(g.Params()[0], 0))
		}, "verifier rule inference"},
		"an initializer": {func(m *graph.Module, _ *graph.Func) {
			f := m.LookupVariable("w").Init()
			f.SetResult(0, f.Params()[0])
		}, "verifier rule initializer"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := Optimize(pipelined(), Insert(&Pass{Name: "planted", Doc: "d", Run: func(_ *Context, m *graph.Module) error {
				c.run(m, m.LookupFunc("f"))
				return nil
			}}))
			if err == nil || !strings.HasPrefix(err.Error(), "BUG: after planted: ") || !strings.Contains(err.Error(), c.want) {
				t.Errorf("want %q, have %v", c.want, err)
			}
		})
	}
}

// TestInsert puts passes into the table, and looks at where they stand.
func TestInsert(t *testing.T) {
	nothing := func(name string, after ...string) *Pass {
		return &Pass{Name: name, Doc: "d", After: after, Run: func(*Context, *graph.Module) error { return nil }}
	}
	a, b, c, d := nothing("a"), nothing("b", "dce"), nothing("c", "dce", "simplify"), nothing("d", "b")
	for _, x := range []struct {
		opts []Option
		want string
	}{
		{nil, "stabilize autodiff stabilize simplify fold cse dce decompose simplify fold cse dce"},
		{[]Option{Insert(a), Insert(b)}, "a stabilize autodiff stabilize simplify fold cse dce b decompose simplify fold cse dce"},
		{[]Option{Insert(b), Insert(c), Insert(d)}, "stabilize autodiff stabilize simplify fold cse dce b c d decompose simplify fold cse dce"},
		{[]Option{Insert(b), Only("cse", "dce")}, "cse dce b cse dce"},
		{[]Option{Through(), Insert(a)}, "a"},
	} {
		var stats []RowStats
		if _, err := Optimize(pipelined(), append([]Option{Portable(), Stats(&stats)}, x.opts...)...); err != nil {
			t.Fatal(err)
		}
		var names []string
		for _, row := range stats {
			names = append(names, row.Pass)
		}
		if have := strings.Join(names, " "); have != x.want {
			t.Errorf("want %s, have %s", x.want, have)
		}
	}
	if slices.ContainsFunc(Passes, func(p *Pass) bool { return len(p.Name) == 1 }) {
		t.Error("the table itself has changed")
	}
	for want, opts := range map[string][]Option{
		"needs Name, Doc and Run":                               {Insert(&Pass{Name: "a", Doc: "d"})},
		`there is a pass "dce" already`:                         {Insert(nothing("dce"))},
		`there is a pass "a" already`:                           {Insert(a), Insert(nothing("a"))},
		`pass "b" must stand after dce, which does not run`:     {Insert(b), Through("cse")},
		`pass "x" must stand after nowhere, which does not run`: {Insert(nothing("x", "nowhere", "dce"))},
		`pass "x" must stand after emit, which does not run`:    {Insert(nothing("x", "emit"))},
		`there is no pass "none"`:                               {Only("none"), Insert(b)},
		`there is no pass "bb"`:                                 {Insert(b), Dump(io.Discard, "b", "dce", "bb")},
		"a target needs Whole and Role":                         {Insert(b), For(&Target{Name: "t"})},
	} {
		if _, err := Optimize(pipelined(), opts...); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("want %q, have %v", want, err)
		}
	}
}

// TestInsertedPassIsLimited counts and limits what an inserted pass does as what others do.
func TestInsertedPassIsLimited(t *testing.T) {
	negate := &Pass{Name: "negate", Doc: "d", Run: func(c *Context, m *graph.Module) error {
		ReplaceNodes(m, func(f *graph.Func, n *graph.Node) []graph.Value {
			if n.Op().Name != "tanh" && n.Op().Name != "add" || !c.Allow("negate", n) {
				return nil
			}
			c.Count("seen")
			return []graph.Value{ops.Neg(ops.Neg(f.Emit(n.Op(), n.Operands(), n.Attrs())[0]))}
		})
		return nil
	}}
	for limit, made := range []int{0, 1, 2, 2} {
		var stats []RowStats
		var log []Rewrite
		o, err := Optimize(pipelined(), Through(), Insert(negate), PassLimit(limit), Stats(&stats), Rewrites(&log))
		if err != nil {
			t.Fatal(err)
		}
		if stats[0].Rewrites["negate"] != made || stats[0].Rewrites["seen"] != made || strings.Count(o.String(), "= neg ") != 2*made {
			t.Errorf("limit %d: want %d rewrites, have %v of\n%s", limit, made, stats[0].Rewrites, o)
		}
		if len(log) != made || made > 1 && (log[1].Pass != "negate" || log[1].Op != "tanh" || log[1].Func != "g") {
			t.Errorf("limit %d: the log is %v", limit, log)
		}
	}
	if err := Check(pipelined(), Inputs{}, Insert(negate)); err != nil {
		t.Error(err)
	}
}
