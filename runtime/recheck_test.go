package runtime

import (
	"context"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/graphrun/graphrun/compile"
	"github.com/graphrun/graphrun/graph"
	"github.com/graphrun/graphrun/graph/value"
	"github.com/graphrun/graphrun/ops"
	"github.com/graphrun/graphrun/runtime/kernels"
)

// watched declares a model with a product, a fused node that ends in a sum, rows, and an update, and names some of its values.
func watched() (m *graph.Module, named map[string]graph.Value) {
	m = graph.NewModule("watched")
	w := m.Variable("w", graph.F32, []int{5, 7}, func(f *graph.Func, _ graph.Value) graph.Value {
		return ops.RandomUniform(f, graph.F32, -1, 1, 5, 7)
	})
	f := m.Func("f")
	x := f.Input("x", graph.F32, "N", 5)
	named = map[string]graph.Value{}
	named["matmul"] = ops.MatMul(x, w.Read(f))
	rows := ops.Softmax(named["matmul"], 1)
	named["softmax"] = rows
	shifted := ops.Sub(rows, f.Input("less", graph.F32))
	named["log"] = ops.Log(shifted)
	named["total"] = ops.ReduceSum(ops.Tanh(named["log"]), nil, false)
	f.Return("total", named["total"])
	f.Return("root", ops.Sqrt(ops.Sum(ops.Square(rows))))
	f.Update(w, ops.Mul(w.Read(f), 0.5))
	return m, named
}

func runWatched(s *Session, less float32, xs ...float32) error {
	x, err := value.FromSlice(xs, len(xs)/5, 5)
	if err != nil {
		return err
	}
	_, err = s.Run(context.Background(), "f", map[string]value.Value{"x": x, "less": value.Scalar(less)})
	return err
}

var fed = []float32{1, -1, 0.5, 2, 0, 0.1, 0.2, -0.3, 0.4, 0.7}

// TestRecheckFindsWrongKernels runs a session whose kernels are right, and then makes one after the other wrong in one element.
func TestRecheckFindsWrongKernels(t *testing.T) {
	m, _ := watched()
	prog, err := compile.Compile(m)
	if err != nil {
		t.Fatal(err)
	}
	s, err := NewSession(prog, Recheck())
	if err != nil {
		t.Fatal(err)
	}
	if err := runWatched(s, 0, fed...); err != nil {
		t.Fatalf("kernels that are right: %v", err)
	}
	var fr *frame
	for _, f := range s.arenas[0].frames {
		fr = f
	}
	spoiled := 0
	for i := range fr.execs {
		ex := &fr.execs[i]
		right := ex.run
		if right == nil || ex.call.OutTypes[0].DType != graph.F32 {
			continue
		}
		ex.run = func(c *kernels.Call) error {
			err := right(c)
			xs, _ := value.Data[float32](c.Out[0])
			xs[len(xs)-1] = xs[len(xs)-1]*1.001 + 1e-3
			return err
		}
		before := s.Variable("w")
		err := runWatched(s, 0, fed...)
		n := ex.ins.Node
		for _, want := range []string{n.Pos().String() + ": " + n.Op().Name + ": BUG: the kernel computes something else", "ulp", "allowed"} {
			if err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("a wrong kernel of %s gives %v, want %q", n.Op().Name, err, want)
			}
		}
		if s.Variable("w") != before {
			t.Errorf("a call that fails at %s has changed the variable", n.Op().Name)
		}
		ex.run = right
		spoiled++
	}
	if spoiled < 3 {
		t.Errorf("%d kernels have been spoiled: too few to show anything", spoiled)
	}
	if err := runWatched(s, 0, fed...); err != nil {
		t.Errorf("all kernels right again: %v", err)
	}
}

// TestNaNGuardNamesTheFirstNode feeds what makes one node the first to give NaN, and wants its line.
func TestNaNGuardNamesTheFirstNode(t *testing.T) {
	m, named := watched()
	prog, err := compile.Compile(m)
	if err != nil {
		t.Fatal(err)
	}
	fused := false
	for _, ins := range prog.Funcs["f"].Instrs {
		fused = fused || ins.Node.Op().Name == "fused" && strings.Contains(within(ins.Node), "log at")
	}
	if !fused {
		t.Error("the logarithm has not been fused: the test shows less than it should")
	}
	inf := float32(1e38)
	inf *= 10
	for _, c := range []struct {
		node string
		note string
		x    []float32
	}{
		{"log", "operand 0 lies in [-0.25, ", []float32{9, -9, 9, -9, 9}}, // softmax below 0.25: log of a negative number
		{"matmul", "operand 0 holds infinities", []float32{inf, inf, inf, inf, -inf}},
	} {
		s, err := NewSession(prog, NaNGuard())
		if err != nil {
			t.Fatal(err)
		}
		err = runWatched(s, 0.25, c.x...)
		want := fmt.Sprintf("%s: %s: the result is NaN", named[c.node].Node().Pos(), c.node)
		if err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), c.note) {
			t.Errorf("the NaN of %s gives\n%v, want\n%s ... %s", c.node, err, want, c.note)
		}
	}
	s, err := NewSession(prog, InfGuard())
	if err != nil {
		t.Fatal(err)
	}
	err = runWatched(s, 0, 3e38, 3e38, -3e38, 3e38, 3e38)
	want := fmt.Sprintf("%s: matmul: the result is infinite, first at element ", named["matmul"].Node().Pos())
	if err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("the infinity gives\n%v, want\n%s", err, want)
	}
	if err := runWatched(s, 0, inf, 1, 1, 1, 1); err != nil {
		t.Errorf("an infinity that was fed is no node's fault: %v", err)
	}
	s, err = NewSession(prog, NaNGuard(), Recheck())
	if err != nil {
		t.Fatal(err)
	}
	nan := inf - inf
	if err := runWatched(s, 0, nan, 1, 1, 1, 1); err != nil {
		t.Errorf("NaN that was fed is no node's fault: %v", err)
	}
}

// TestRecheckOfBodiesThatCancel runs a kernel whose reference, the body of a composite, is off by more than the composite declares: where
// the shift takes away what the scale gives, digits that the body has rounded come to the front. A kernel that is wrong is found all the same.
func TestRecheckOfBodiesThatCancel(t *testing.T) {
	m := graph.NewModule("m")
	f := m.Func("f")
	x := f.Input("x", graph.F32, 64, 128)
	f.Return("y", ops.LayerNorm(x, 1, 1e-5, f.Input("scale", graph.F32, 128), f.Input("shift", graph.F32, 128)))
	prog, err := compile.Compile(m)
	if err != nil {
		t.Fatal(err)
	}
	feeds := map[string]value.Value{}
	rng := rand.New(rand.NewPCG(1, 2))
	for name, shape := range map[string][]int{"x": {64, 128}, "scale": {128}, "shift": {128}} {
		e := value.NewExact(graph.F32, shape)
		for i := range e.F {
			e.F[i] = rng.NormFloat64()
		}
		feeds[name] = e.Tensor()
	}
	s, err := NewSession(prog, Recheck())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Run(context.Background(), "f", feeds); err != nil {
		t.Errorf("a kernel that is right: %v", err)
	}
	ins := &prog.Funcs["f"].Instrs[0]
	right := ins.Kernel
	wrong := *right
	wrong.Bind = func(spec *kernels.Spec) (kernels.Func, error) {
		run, err := right.Bind(spec)
		return func(c *kernels.Call) error {
			err := run(c)
			out, _ := value.Data[float32](c.Out[0])
			out[77] += 1e-3
			return err
		}, err
	}
	ins.Kernel = &wrong
	if s, err = NewSession(prog, Recheck()); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Run(context.Background(), "f", feeds); err == nil || !strings.Contains(err.Error(), "layer_norm: BUG: the kernel computes something else") {
		t.Errorf("a kernel that is wrong by 0.001: %v", err)
	}
}
