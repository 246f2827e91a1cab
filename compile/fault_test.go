package compile_test

import (
	"context"
	"errors"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/graphrun/graphrun/compile"
	"github.com/graphrun/graphrun/graph"
	"github.com/graphrun/graphrun/graph/value"
	"github.com/graphrun/graphrun/ops"
	"github.com/graphrun/graphrun/runtime"
	"github.com/graphrun/graphrun/runtime/kernels"
	"github.com/graphrun/graphrun/runtime/program"
)

// spoil makes the first result of an instruction wrong: f gets its operands and what it should be. It returns what takes the fault away again.
func spoil(ins *program.Instr, f func(in []*value.Tensor, y *value.Exact)) (restore func()) {
	right := ins.Kernel
	ins.Kernel = &kernels.Kernel{Op: ins.Node.Op().Name, Bind: func(s *kernels.Spec) (kernels.Func, error) {
		run := func(c *kernels.Call) error { // what has no kernel is computed by the reference
			in := make([]value.Value, len(c.In))
			for i, t := range c.In {
				in[i] = t
			}
			outs, err := graph.EvalNode(ins.Node, in, nil)
			for i, v := range outs {
				if c.Out[i] != nil {
					copy(c.Out[i].Bytes(), v.(*value.Tensor).Bytes())
				}
			}
			return err
		}
		if right != nil {
			var err error
			if run, err = right.Bind(s); err != nil {
				return nil, err
			}
		}
		return func(c *kernels.Call) error {
			in := make([]*value.Tensor, len(c.In))
			for i, t := range c.In {
				in[i] = t.Clone()
			}
			if err := run(c); err != nil {
				return err
			}
			y := c.Out[0].Exact()
			f(in, y)
			copy(c.Out[0].Bytes(), y.Tensor().Bytes())
			return nil
		}, nil
	}}
	return func() { ins.Kernel = right }
}

// usual returns the position of the element of median size among those that are finite and not zero.
func usual(xs []float64) int {
	var at []int
	for i, x := range xs {
		if x != 0 && !math.IsNaN(x) && !math.IsInf(x, 0) {
			at = append(at, i)
		}
	}
	if len(at) == 0 {
		return -1
	}
	slices.SortFunc(at, func(i, k int) int {
		if math.Abs(xs[i]) < math.Abs(xs[k]) {
			return -1
		}
		return 1
	})
	return at[len(at)/2]
}

// faults are what kernels of any op may do to their result; they report whether they have changed anything.
var faults = []struct {
	name   string
	halves bool // whether f16 shows it, too
	plant  func(e *value.Exact)
}{
	{"an element off by 1e-3", false, func(e *value.Exact) { at(e, func(x float64) float64 { return x * 1.001 }) }},
	{"an element off by 1 in 80", true, func(e *value.Exact) { at(e, func(x float64) float64 { return x * (1 + 1./80) }) }},
	{"NaN for a number", true, func(e *value.Exact) { at(e, func(float64) float64 { return math.NaN() }) }},
	{"an infinity for a number", true, func(e *value.Exact) { at(e, func(x float64) float64 { return math.Inf(1) }) }},
	{"zero for a number", true, func(e *value.Exact) { at(e, func(float64) float64 { return 0 }) }},
	{"the wrong sign", true, func(e *value.Exact) {
		for i, x := range e.F {
			e.F[i] = -x
		}
	}},
	{"everything off by 3e-4", false, func(e *value.Exact) {
		for i, x := range e.F {
			e.F[i] = x * 1.0003
		}
	}},
	{"the last element is its neighbor", true, func(e *value.Exact) {
		if n := len(e.F); n > 1 {
			e.F[n-1] = e.F[n-2]
		}
	}},
	{"the last quarter is stale", true, func(e *value.Exact) {
		n := len(e.F)
		for i := n - n/4; i < n; i++ {
			e.F[i] = e.F[n-1-i]
		}
	}},
	{"axes are swapped", true, func(e *value.Exact) {
		if rank := len(e.Shape); rank > 1 {
			x, cols := slices.Clone(e.F), e.Shape[rank-1]
			rows := len(x) / max(cols, 1)
			for i := range x {
				e.F[i] = x[i%rows*cols+i/rows]
			}
		}
	}},
}

func at(e *value.Exact, f func(x float64) float64) {
	if i := usual(e.F); i >= 0 {
		e.F[i] = f(e.F[i])
	}
}

// TestPlantedFaultsShow makes every instruction of every family wrong in every way, and wants the check to name the node.
func TestPlantedFaultsShow(t *testing.T) {
	planted := 0
	for i, c := range families {
		if c.long || testing.Short() && i%5 > 0 {
			continue
		}
		for _, d := range []graph.DType{graph.F32, graph.F16} {
			m := c.module(t, d)
			prog, err := compile.Compile(m)
			if err != nil {
				t.Fatal(err)
			}
			feeds := feedsOf(m.Funcs()[0], rand.New(rand.NewPCG(7, 7)), func(r *rand.Rand) float64 { return 0.5 + r.NormFloat64() })
			for i := range prog.Funcs["f"].Instrs {
				ins := &prog.Funcs["f"].Instrs[i]
				if y := ins.Node.Result(0); ins.Alias() || y.DType() != d {
					continue
				}
				for _, fault := range faults {
					if d != graph.F32 && !fault.halves {
						continue
					}
					changed := false
					restore := spoil(ins, func(_ []*value.Tensor, y *value.Exact) {
						before := y.Tensor().Float64s()
						fault.plant(y)
						changed = !slices.EqualFunc(before, y.Tensor().Float64s(), func(x, y float64) bool { return x == y || math.IsNaN(x) && math.IsNaN(y) })
					})
					s, err := runtime.NewSession(prog, runtime.Recheck())
					if err != nil {
						t.Fatal(err)
					}
					_, err = s.Run(context.Background(), "f", feeds)
					if changed {
						planted++
					}
					want := ins.Node.Pos().String() + ": " + ins.Node.Op().Name + ": BUG: the kernel computes something else"
					if changed && (err == nil || !strings.Contains(err.Error(), want)) {
						t.Errorf("%s of %s, %s at %s: %s gives %v", c.name, d, ins.Node.Op().Name, ins.Node.Pos(), fault.name, err)
					}
					restore()
				}
			}
		}
	}
	t.Logf("%d faults", planted)
	if planted < 400 && !testing.Short() {
		t.Errorf("%d faults have been planted: too few to show anything", planted)
	}
}

// formulas are faults of single kernels: what they compute instead of y.
var formulas = []struct {
	name, op, inputs string
	f                func(x []graph.Value) graph.Value
	draw             func(r *rand.Rand) float64
	wrong            func(x [][]float64, y []float64)
}{
	{"a dropped term of a product", "matmul", "T[5,512], T[512,33]", func(x []graph.Value) graph.Value { return ops.MatMul(x[0], x[1]) }, nil, func(x [][]float64, y []float64) {
		y[34] -= x[0][2*512-1] * x[1][511*33+1]
	}},
	{"a sum of one element less", "reduce_sum", "T[8,100]", func(x []graph.Value) graph.Value { return ops.ReduceSum(x[0], []int{1}, false) }, nil, func(x [][]float64, y []float64) {
		y[7] -= x[0][799]
	}},
	{"a mean over one less", "fused", "T[8,100]", func(x []graph.Value) graph.Value { return ops.ReduceMean(ops.Abs(x[0]), []int{1}, false) }, nil, func(_ [][]float64, y []float64) {
		for i := range y {
			y[i] *= 100. / 99
		}
	}},
	{"no shift in the epilogue", "fused", "T[5,512], T[512,33], T[33]", func(x []graph.Value) graph.Value {
		return ops.ReLU(ops.Add(ops.MatMul(x[0], x[1]), x[2]))
	}, nil, func(x [][]float64, y []float64) {
		for i, v := range y {
			if v > 0 {
				y[i] = max(0, v-x[2][i%33])
			}
		}
	}},
	{"no rectifier in the epilogue's last column", "fused", "T[5,512], T[512,33], T[33]", func(x []graph.Value) graph.Value {
		return ops.ReLU(ops.Add(ops.MatMul(x[0], x[1]), x[2]))
	}, nil, func(x [][]float64, y []float64) {
		for i := 32; i < len(y); i += 33 {
			if y[i] == 0 {
				y[i] = -1e-3
			}
		}
	}},
	{"an exponential off by 1e-4", "exp", "T[64]", func(x []graph.Value) graph.Value { return ops.Exp(x[0]) }, nil, func(_ [][]float64, y []float64) {
		for i := range y {
			y[i] *= 1 + 1e-4
		}
	}},
	{"no eps under the root", "layer_norm", "T[16,256]", func(x []graph.Value) graph.Value { return ops.LayerNorm(x[0], 1, 1e-5) }, func(r *rand.Rand) float64 {
		return 0.1 * r.NormFloat64()
	}, func(_ [][]float64, y []float64) {
		for i := range y {
			y[i] *= math.Sqrt((0.01 + 1e-5) / 0.01)
		}
	}},
	{"1e-4 in one element", "layer_norm", "T[16,256], T[256], T[256]", func(x []graph.Value) graph.Value { return ops.LayerNorm(x[0], 1, 1e-5, x[1], x[2]) }, nil, func(_ [][]float64, y []float64) {
		y[77] += 1e-4
	}},
	{"1e-4 in one element", "layer_norm", "T[4,768], T[768], T[768]", func(x []graph.Value) graph.Value { return ops.LayerNorm(x[0], 1, 1e-5, x[1], x[2]) }, nil, func(_ [][]float64, y []float64) {
		y[77] += 1e-4
	}},
	{"a variance by n-1", "standardize", "T[8,1000]", func(x []graph.Value) graph.Value { y, _, _ := ops.Standardize(x[0], []int{1}, 1e-5); return y }, nil, func(_ [][]float64, y []float64) {
		for i := range y {
			y[i] *= math.Sqrt(999. / 1000)
		}
	}},
	{"a class less in the sum", "log_softmax", "T[4,1000]", func(x []graph.Value) graph.Value { return ops.LogSoftmax(x[0], 1) }, nil, func(_ [][]float64, y []float64) {
		for i := range y[:1000] {
			y[i] += 1e-3
		}
	}},
	{"zero for a confident logarithm", "log_softmax", "T[4,10]", func(x []graph.Value) graph.Value { return ops.LogSoftmax(x[0], 1) }, func(r *rand.Rand) float64 { return 5 * r.NormFloat64() }, func(_ [][]float64, y []float64) {
		for i, v := range y {
			if v > -0.01 {
				y[i] = 0
			}
		}
	}},
	{"zero without its sign", "neg", "T[64]", func(x []graph.Value) graph.Value { return ops.Neg(x[0]) }, func(r *rand.Rand) float64 { return float64(r.IntN(3) - 1) }, func(_ [][]float64, y []float64) {
		for i := range y {
			y[i] += 0
		}
	}},
	{"the greatest number for infinity", "exp", "T[64]", func(x []graph.Value) graph.Value { return ops.Exp(x[0]) }, func(r *rand.Rand) float64 { return 100 * r.NormFloat64() }, func(_ [][]float64, y []float64) {
		for i := range y {
			y[i] = min(y[i], math.MaxFloat32)
		}
	}},
	{"infinity for a sum in range", "reduce_sum", "T[8,100]", func(x []graph.Value) graph.Value { return ops.ReduceSum(x[0], []int{1}, false) }, func(r *rand.Rand) float64 {
		return 1e33 * r.NormFloat64()
	}, func(_ [][]float64, y []float64) { y[3] = math.Inf(1) }},
	{"a number for NaN", "reduce_sum", "T[8,100]", func(x []graph.Value) graph.Value { return ops.ReduceSum(x[0], []int{1}, false) }, func(r *rand.Rand) float64 {
		return 1 / float64(r.IntN(3)-1) * float64(r.IntN(2))
	}, func(_ [][]float64, y []float64) {
		for i := range y {
			y[i] = 1
		}
	}},
	{"a subnormal number flushed to zero", "mul", "T[64], T[64]", func(x []graph.Value) graph.Value { return ops.Mul(x[0], x[1]) }, func(r *rand.Rand) float64 {
		return 1e-20 * r.NormFloat64()
	}, func(_ [][]float64, y []float64) {
		for i := range y {
			y[i] = 0
		}
	}},
	{"a gradient of the wrong sign", "conv_weight_grad", "T[2,3,8,8], T[4,3,3,3]", func(x []graph.Value) graph.Value {
		return graph.Grad(ops.ReduceSum(ops.Square(ops.Conv(x[0], x[1], ops.ConvParams{})), nil, false), x[1])[0]
	}, nil, func(_ [][]float64, y []float64) {
		for i := range y {
			y[i] = -y[i]
		}
	}},
	{"a gradient without the part along y", "standardize_grad", "T[8,100], T[8,100]", func(x []graph.Value) graph.Value {
		y, _, _ := ops.Standardize(x[0], []int{1}, 1e-5)
		return graph.Grad(ops.ReduceSum(ops.Mul(y, x[1]), nil, false), x[0])[0]
	}, nil, func(x [][]float64, y []float64) { // operands dy, y, var
		for i := range y {
			y[i] += x[1][i] * 1e-3
		}
	}},
	{"a tap of the padding's corner", "conv", "T[1,64,10,9], T[8,64,3,3]", func(x []graph.Value) graph.Value {
		return ops.Conv(x[0], x[1], ops.ConvParams{Pads: []int{1, 1}})
	}, nil, func(x [][]float64, y []float64) { y[0] += x[0][0] * x[1][0] }},
}

// TestWrongFormulasShow computes one thing for another in one kernel, as a careless author might, and wants the check to name it.
func TestWrongFormulasShow(t *testing.T) {
	for _, c := range formulas {
		t.Run(c.op+" "+c.name, func(t *testing.T) {
			m := (&family{name: c.name, inputs: c.inputs, f: func(x []graph.Value) []graph.Value { return []graph.Value{c.f(x)} }}).module(t, graph.F32)
			prog, err := compile.Compile(m)
			if err != nil {
				t.Fatal(err)
			}
			if c.draw == nil {
				c.draw = distributions[0].draw
			}
			feeds := feedsOf(m.Funcs()[0], rand.New(rand.NewPCG(3, 3)), c.draw)
			i := slices.IndexFunc(prog.Funcs["f"].Instrs, func(ins program.Instr) bool { return ins.Node.Op().Name == c.op })
			if i < 0 {
				t.Fatal("there is no such instruction")
			}
			run := func() error {
				s, err := runtime.NewSession(prog, runtime.Recheck())
				if err == nil {
					_, err = s.Run(context.Background(), "f", feeds)
				}
				return err
			}
			if err := run(); err != nil {
				t.Fatalf("the right kernel: %v", err)
			}
			ins := &prog.Funcs["f"].Instrs[i]
			spoil(ins, func(in []*value.Tensor, y *value.Exact) {
				x := make([][]float64, len(in))
				for i, v := range in {
					x[i] = v.Float64s()
				}
				c.wrong(x, y.F)
			})
			want := ins.Node.Pos().String() + ": " + c.op + ": BUG: the kernel computes something else"
			if err := run(); err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("it gives %v, want %s", err, want)
			}
		})
	}
}

// TestWrongRewritesShow plants a pass that makes one kind of node wrong, in every family, and wants it named with the node.
func TestWrongRewritesShow(t *testing.T) {
	planted := 0
	for _, c := range families {
		if c.long {
			continue
		}
		m := c.module(t, graph.F32)
		feeds := feedsOf(m.Funcs()[0], rand.New(rand.NewPCG(5, 5)), func(r *rand.Rand) float64 { return 0.5 + r.NormFloat64() })
		for _, r := range m.Funcs()[0].Results() {
			n := r.Value.Node()
			for _, by := range []float64{1.001, -1} {
				pass := &compile.Pass{Name: "planted", Doc: "d", After: []string{"autodiff"}, Run: func(ctx *compile.Context, m *graph.Module) error {
					return compile.ApplyRules(ctx, m, []*compile.Rule{{Name: "wrong", Op: n.Op().Name, Law: "y = c*y, which it is not", Apply: func(f *graph.Func, other *graph.Node) []graph.Value {
						if other.Pos() != n.Pos() || other.Scope() != "" || other.Func().Root().Name() != "f" {
							return nil
						}
						var outs []graph.Value
						f.Module().At(n.Pos(), "again", func() {
							outs = f.Emit(other.Op(), other.Operands(), other.Attrs())
							outs[0] = ops.Mul(outs[0], by)
						})
						return outs
					}}})
				}}
				err := compile.Check(m, compile.Inputs{Func: "f", Feeds: feeds}, compile.Insert(pass))
				var found *compile.Miscompile
				if !errors.As(err, &found) || found.Pass != "planted" || found.Rewrite == nil || found.Rewrite.Op != n.Op().Name || found.Rewrite.Pos != n.Pos() {
					t.Errorf("%s: %s at %s times %g gives %v", c.name, n.Op().Name, n.Pos(), by, err)
				}
				planted++
			}
		}
	}
	t.Logf("%d faults", planted)
}
