package compile_test

import (
	"slices"
	"testing"

	"github.com/graphrun/graphrun/compile"
	"github.com/graphrun/graphrun/graph"
	"github.com/graphrun/graphrun/ops"
	"github.com/graphrun/graphrun/runtime/kernels"
)

// halve is a composite of this test, for which only this build has a kernel.
var halve = graph.MustRegister(&graph.Op{
	Name:    "test_halve",
	Doc:     "x/2.",
	Args:    []graph.Arg{{Name: "x", Types: graph.Floats}},
	Results: []string{"out"},
	Body:    func(b *graph.BodyCtx) []graph.Value { return []graph.Value{ops.Mul(b.In[0], 0.5)} },
	Sample:  "f64[3]",
})

func init() {
	if err := kernels.Register(&kernels.Kernel{Op: halve.Name, DTypes: graph.Floats, Bind: func(*kernels.Spec) (kernels.Func, error) {
		return func(*kernels.Call) error { return nil }, nil
	}}); err != nil {
		panic(err)
	}
}

// TestTargets wants the portable form of a module to depend on what ops declare, and a program on the kernels of the build.
func TestTargets(t *testing.T) {
	m := graph.NewModule("m")
	f := m.Func("f")
	x := f.Input("x", graph.F32, "N", 4)
	f.Return("half", f.Emit(halve, []graph.Value{x}, nil)[0])
	f.Return("lse", ops.LogSumExp(x, []int{1}, false))
	for _, c := range []struct {
		opts []compile.Option
		want []string
	}{
		{[]compile.Option{compile.Portable()}, []string{"constant", "logsumexp", "mul"}},
		{nil, []string{"logsumexp", "test_halve"}},
		{[]compile.Option{compile.For(&compile.Target{
			Name: "nothing", Whole: func(*graph.Node) bool { return false }, Role: func(*graph.Node) kernels.Role { return kernels.Apart },
		})}, []string{"constant", "mul", "reduce_max", "exp", "log"}},
	} {
		o, err := compile.Optimize(m, c.opts...)
		if err != nil {
			t.Fatal(err)
		}
		var have []string
		for _, n := range o.LookupFunc("f").Nodes() {
			have = append(have, n.Op().Name)
		}
		for _, op := range c.want {
			if !slices.Contains(have, op) {
				t.Errorf("there is no %s among %v", op, have)
			}
		}
		if slices.Contains(have, halve.Name) != slices.Contains(c.want, halve.Name) {
			t.Errorf("want %v, have %v", c.want, have)
		}
	}
}

// TestWholeComposites holds what composites say of themselves against the kernels that come with graphrun.
func TestWholeComposites(t *testing.T) {
	for _, op := range graph.Ops() {
		if op != halve && op.IsComposite() && op.Props.Whole != (len(kernels.Rows(op.Name)) > 0) {
			t.Errorf("%s: Whole is %v, and there are %d kernels", op.Name, op.Props.Whole, len(kernels.Rows(op.Name)))
		}
	}
}
