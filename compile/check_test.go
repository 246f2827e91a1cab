package compile

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/graphrun/graphrun/graph"
	"github.com/graphrun/graphrun/graph/value"
	"github.com/graphrun/graphrun/ops"
	"github.com/graphrun/graphrun/runtime/program"
)

// checked declares a model in which two differences occur and much else is rewritten, and returns the second difference.
func checked() (m *graph.Module, at graph.Value) {
	m = graph.NewModule("checked")
	w := m.Variable("w", graph.F32, []int{3}, func(f *graph.Func, _ graph.Value) graph.Value {
		return ops.Sub(ops.RandomUniform(f, graph.F32, 0, 2, 3), 1)
	})
	f := m.Func("train")
	x, i := f.Input("x", graph.F32, "N", 3), f.Input("label", graph.I64, "N")
	h := ops.Add(ops.Mul(x, 1), 0)
	p := ops.Log(ops.Softmax(ops.Sub(h, w.Read(f)), 1))
	at = ops.Sub(ops.Neg(ops.Neg(p)), ops.Mul(h, 0.5))
	loss := ops.Neg(ops.ReduceMean(ops.Mul(at, ops.OneHot(i, 3, graph.F32)), nil, false))
	f.Return("loss", loss)
	f.Update(w, ops.Sub(w.Read(f), ops.Mul(graph.Grad(loss, w.Read(f))[0], 0.1)))
	return m, at
}

// planted puts a pass with a wrong rule behind the first simplify: x - y = y - x where the position is that of a node.
func planted(at graph.Value) Option {
	wrong := &Pass{Name: "planted", Doc: "d"}
	wrong.Run = func(c *Context, m *graph.Module) error {
		return ApplyRules(c, m, []*Rule{
			{Name: "neg_again", Op: "sub", Law: "x - y = -(y - x)", Apply: func(_ *graph.Func, n *graph.Node) []graph.Value {
				if n.Scope() != "" || n.Pos() == at.Node().Pos() || n.Operands()[0].Is("read") {
					return nil
				}
				in := n.Operands()
				var out []graph.Value
				n.Func().Module().At(n.Pos(), "again", func() { out = []graph.Value{ops.Neg(ops.Sub(in[1], in[0]))} })
				return out
			}},
			{Name: "sub_swap", Op: "sub", Law: "x - y = y - x, which it is not", Apply: func(_ *graph.Func, n *graph.Node) []graph.Value {
				if n.Pos() != at.Node().Pos() || n.Scope() != "" {
					return nil
				}
				in := n.Operands()
				var out []graph.Value
				n.Func().Module().At(n.Pos(), "swapped", func() { out = []graph.Value{ops.Sub(in[1], in[0])} })
				return out
			}},
		})
	}
	row := slices.Index(Passes, simplify) + 1
	return func(c *Context) { c.passes = slices.Insert(slices.Clone(Passes), row, wrong) }
}

// TestCheckNamesTheRewrite plants a wrong rule and wants its pass, its rule, its node with the line, and the values.
func TestCheckNamesTheRewrite(t *testing.T) {
	m, at := checked()
	if err := Check(m, Inputs{}); err != nil {
		t.Fatalf("passes that are right: %v", err)
	}
	opt := planted(at)
	err := Check(m, Inputs{}, opt)
	var found *Miscompile
	if !errors.As(err, &found) || found.Rewrite == nil {
		t.Fatalf("the error is %v", err)
	}
	r := *found.Rewrite
	if r.Pass != "planted" || r.Rule != "sub_swap" || r.Op != "sub" || r.Pos != at.Node().Pos() || r.Func != "train" {
		t.Errorf("the rewrite is %+v, want sub_swap of the sub at %s", r, at.Node().Pos())
	}
	for _, want := range []string{"pass planted", "result loss of @train", "rule sub_swap", "of the sub at " + at.Node().Pos().String(), "want", "absolute error", "relative"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("the error does not say %q:\n%v", want, err)
		}
	}
	// Given inputs are what is evaluated on: where the operands are equal, nothing is wrong.
	x, _ := value.FromSlice([]float32{0, 0, 0}, 1, 3)
	label, _ := value.FromSlice([]int64{2}, 1)
	if err := Check(m, Inputs{Func: "train", Feeds: map[string]value.Value{"x": x, "label": label}}, opt); err == nil {
		t.Error("a wrong rule goes unnoticed on given inputs")
	}
	for _, c := range []struct {
		in   Inputs
		want string
	}{
		{Inputs{Func: "predict"}, "@predict is not a function"},
		{Inputs{Func: "train", Feeds: map[string]value.Value{"x": x}}, "no feed for label"},
		{Inputs{Feeds: map[string]value.Value{"x": x}}, "no function that takes them"},
		{Inputs{Variables: map[string]*value.Tensor{"w": label}}, "@w is no variable of the module, or not of its type"},
	} {
		if err := Check(m, c.in); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%v gives %v, want %q", c.in, err, c.want)
		}
	}
}

// TestCheckNamesThePass plants faults in what is no optional rewrite: in a pass that always runs, and in an initializer.
func TestCheckNamesThePass(t *testing.T) {
	m, _ := checked()
	for name, spoil := range map[string]func(m *graph.Module){
		"result loss of @train": func(m *graph.Module) {
			f := m.LookupFunc("train")
			f.SetResult(0, ops.Mul(f.Results()[0].Value, 1.01))
		},
		"update of @w of @train": func(m *graph.Module) {
			f := m.LookupFunc("train")
			f.SetUpdate(0, m.LookupVariable("w").Read(f))
		},
		"result value of initializer of @w": func(m *graph.Module) {
			f := m.LookupVariable("w").Init()
			f.SetResult(0, ops.Neg(f.Results()[0].Value))
		},
	} {
		p := &Pass{Name: "spoiler", Doc: "d", Run: func(_ *Context, m *graph.Module) error { spoil(m); return nil }}
		err := Check(m, Inputs{}, func(c *Context) { c.passes = append(slices.Clone(Passes[:4]), p) })
		var found *Miscompile
		if !errors.As(err, &found) || found.Rewrite != nil || found.Pass != "spoiler" || found.Result != name {
			t.Errorf("spoiled %s gives %v", name, err)
		}
	}
}

// TestBisect plants a wrong rule and finds it by what programs give.
func TestBisect(t *testing.T) {
	m, at := checked()
	opt := planted(at)
	asked := 0
	swapped := func(p *program.Program) (bool, error) {
		asked++
		for _, n := range p.Module.LookupFunc("train").Nodes() {
			for _, r := range n.Regions() {
				for _, k := range r.Nodes() {
					if strings.Contains(k.Scope(), "swapped") {
						return true, nil
					}
				}
			}
			if strings.Contains(n.Scope(), "swapped") {
				return true, nil
			}
		}
		return false, nil
	}
	var log []Rewrite
	if _, err := Compile(m, opt, Rewrites(&log)); err != nil {
		t.Fatal(err)
	}
	r, err := Bisect(m, swapped, opt)
	if err != nil || r == nil || r.Rule != "sub_swap" || r.Pos != at.Node().Pos() || r.Pass != "planted" || log[r.Step-1] != *r {
		t.Errorf("bisected to %+v, %v", r, err)
	}
	if asked > 12 {
		t.Errorf("%d programs have been asked about for %d rewrites", asked, len(log))
	}
	if r, err := Bisect(m, swapped); r != nil || err != nil {
		t.Errorf("a program that is right gives %v, %v", r, err)
	}
	always := func(*program.Program) (bool, error) { return true, nil }
	if _, err := Bisect(m, always); !errors.Is(err, ErrNoRewrite) {
		t.Errorf("what is always wrong gives %v", err)
	}
	fails := fmt.Errorf("oh")
	if _, err := Bisect(m, func(*program.Program) (bool, error) { return false, fails }); !errors.Is(err, fails) {
		t.Errorf("a failing test gives %v", err)
	}
}

// TestStabilizeMayMakeNumbers checks on inputs where the declared formula is infinite and the stable one is not.
func TestStabilizeMayMakeNumbers(t *testing.T) {
	m := graph.NewModule("m")
	f := m.Func("f")
	f.Return("y", ops.Log(ops.Softmax(f.Input("x", graph.F32, 2), 0)))
	x, _ := value.FromSlice([]float32{-120, 0}, 2)
	in := Inputs{Func: "f", Feeds: map[string]value.Value{"x": x}}
	if err := Check(m, in); err != nil {
		t.Error(err)
	}
	// Only that pass may: the same in another is a fault.
	p := &Pass{Name: "other", Doc: "d", Run: stabilize.Run}
	if err := Check(m, in, func(c *Context) { c.passes = []*Pass{p} }); err == nil || !strings.Contains(err.Error(), "pass other") {
		t.Errorf("another pass that makes numbers of infinities gives %v", err)
	}
}

// TestSoftplusByHand computes log(1+e^x) and its gradient where e^x is infinite: they are x and 1.
func TestSoftplusByHand(t *testing.T) {
	m := graph.NewModule("m")
	f := m.Func("f")
	x := f.Input("x", graph.F32, 3)
	y := ops.Log(ops.Add(ops.Exp(x), 1.0))
	f.Return("y", y)
	f.Return("dx", graph.Grad(ops.Sum(y), x)[0])
	feed, _ := value.FromSlice([]float32{-1000, 0, 1000}, 3)
	m, err := Optimize(m)
	if err != nil {
		t.Fatal(err)
	}
	outs, err := (&graph.Interpreter{}).Run(m.LookupFunc("f"), []value.Value{feed})
	if err != nil {
		t.Fatal(err)
	}
	for i, want := range [][]float32{{0, math.Ln2, 1000}, {0, 0.5, 1}} {
		w, _ := value.FromSlice(want, 3)
		if err := value.AllClose(outs[i].(*value.Tensor), w, 1e-6, 0); err != nil {
			t.Errorf("result %d: %v", i, err)
		}
	}
	if err := Check(m, Inputs{Func: "f", Feeds: map[string]value.Value{"x": feed}}); err != nil {
		t.Error(err)
	}
}
