package compile_test

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"strconv"
	"strings"
	"testing"

	"github.com/graphrun/graphrun/compile"
	"github.com/graphrun/graphrun/graph"
	"github.com/graphrun/graphrun/graph/value"
	"github.com/graphrun/graphrun/ops"
	"github.com/graphrun/graphrun/runtime"
)

// family is a function of tensors at a width that models have, written for any float dtype.
type family struct {
	name string
	// inputs are types such as "T[16,256], T[256]", where T is the dtype.
	inputs string
	f      func(x []graph.Value) []graph.Value
	long   bool // slow, and of the same ops as others
}

var families = []family{
	{"layer_norm 256", "T[16,256], T[256], T[256]", func(x []graph.Value) []graph.Value {
		return []graph.Value{ops.LayerNorm(x[0], 1, 1e-5, x[1], x[2])}
	}, false},
	{"layer_norm 768", "T[4,768], T[768], T[768]", func(x []graph.Value) []graph.Value {
		return []graph.Value{ops.LayerNorm(x[0], 1, 1e-5, x[1], x[2])}
	}, false},
	{"softmax", "T[4,1000]", func(x []graph.Value) []graph.Value {
		return []graph.Value{ops.Softmax(x[0], 1), ops.LogSoftmax(x[0], 1), ops.LogSumExp(x[0], []int{1}, false)}
	}, false},
	{"log_softmax 10", "T[16,10]", func(x []graph.Value) []graph.Value {
		return []graph.Value{ops.LogSoftmax(x[0], 1), ops.LogSumExp(x[0], []int{1}, false)}
	}, false},
	{"softmax 32000", "T[1,32000]", func(x []graph.Value) []graph.Value {
		return []graph.Value{ops.Softmax(x[0], 1), ops.LogSoftmax(x[0], 1)}
	}, true},
	{"conv", "T[1,64,10,9], T[8,64,3,3], T[8]", func(x []graph.Value) []graph.Value {
		y := ops.Conv(x[0], x[1], ops.ConvParams{Pads: []int{1, 1}})
		return []graph.Value{y, ops.ReLU(ops.Add(y, ops.Reshape(x[2], 8, 1, 1)))}
	}, false},
	{"matmul", "T[5,512], T[512,33], T[33]", func(x []graph.Value) []graph.Value {
		y := ops.MatMul(x[0], x[1])
		return []graph.Value{y, ops.Tanh(ops.Add(y, x[2]))}
	}, false},
	{"sums", "T[3,150,20]", func(x []graph.Value) []graph.Value {
		return []graph.Value{
			ops.ReduceSum(x[0], []int{1}, false), ops.ReduceSum(x[0], []int{2}, false), ops.ReduceMean(x[0], nil, false), ops.ReduceProd(x[0], []int{2}, false),
			ops.ReduceProd(x[0], []int{0}, false), ops.Var(x[0], []int{1}, 1, false), ops.Std(x[0], []int{0, 2}, 0, true), ops.Norm(x[0], 2, []int{1}, false),
			ops.CumSum(x[0], 1), ops.CumProd(x[0], 2), ops.LogCumSumExp(x[0], 1),
		}
	}, false},
	{"standardize", "T[8,100]", func(x []graph.Value) []graph.Value {
		y, m, v := ops.Standardize(x[0], []int{1}, 1e-5)
		z, _, _ := ops.Standardize(x[0], []int{0}, 1e-5)
		return []graph.Value{y, m, v, z}
	}, false},
	{"activations", "T[64]", func(x []graph.Value) []graph.Value {
		y := []graph.Value{ops.GELU(x[0], "none"), ops.GELU(x[0], "tanh"), ops.Mish(x[0]), ops.Softplus(x[0], 1, 20), ops.LogSigmoid(x[0]), ops.SiLU(x[0])}
		y = append(y, ops.Exp(x[0]), ops.Log(x[0]), ops.Sqrt(x[0]), ops.Rsqrt(x[0]), ops.Sin(x[0]), ops.Erf(x[0]), ops.Expm1(x[0]), ops.Log1p(x[0]), ops.Sigmoid(x[0]))
		return append(y, ops.Floor(ops.Div(x[0], 0.3)), ops.Pow(ops.Abs(x[0]), 1.7), ops.Reciprocal(x[0]), ops.Square(x[0]))
	}, false},
	{"pairs", "T[64], T[64]", func(x []graph.Value) []graph.Value {
		return []graph.Value{
			ops.Add(x[0], x[1]), ops.Sub(x[0], x[1]), ops.Mul(x[0], x[1]), ops.Div(x[0], x[1]), ops.Atan2(x[0], x[1]), ops.LogAddExp(x[0], x[1]),
			ops.Maximum(x[0], x[1]), ops.Minimum(x[0], x[1]), ops.Remainder(x[0], x[1]), ops.FloorDiv(x[0], x[1]), ops.Pow(x[0], x[1]), ops.Neg(x[0]),
		}
	}, false},
	{"long sums", "T[2,20000]", func(x []graph.Value) []graph.Value {
		sum := func(x graph.Value, axes ...int) graph.Value { return ops.ReduceSum(x, axes, false) }
		return []graph.Value{sum(x[0], 1), sum(ops.Transpose(x[0], 1, 0), 0), sum(ops.Mul(x[0], 0.3), 1), ops.ReduceMean(x[0], nil, false), ops.CumSum(x[0], 1), ops.ReduceProd(x[0], nil, false)}
	}, true},
	{"long products", "T[2,3000], T[3000,9], T[4,2,34,34], T[30,2,3,3]", func(x []graph.Value) []graph.Value {
		y := ops.Conv(x[2], x[3], ops.ConvParams{})
		return append(graph.Grad(ops.ReduceSum(ops.Mul(y, 0.3), nil, false), x[2], x[3]), ops.MatMul(x[0], x[1]))
	}, true},
}

// distributions are what feeds are drawn from.
var distributions = []struct {
	name string
	draw func(r *rand.Rand) float64
}{
	{"normal", func(r *rand.Rand) float64 { return r.NormFloat64() }},
	{"confident", func(r *rand.Rand) float64 { return 15 * r.NormFloat64() }},
	{"off center", func(r *rand.Rand) float64 { return 1000 + r.NormFloat64() }},
	{"constant", func(*rand.Rand) float64 { return 0.1 }},
	{"huge", func(r *rand.Rand) float64 { return 2e38 * r.NormFloat64() }},
	{"large", func(r *rand.Rand) float64 { return 1e19 * r.NormFloat64() }},
	{"tiny", func(r *rand.Rand) float64 { return 1e-38 * r.NormFloat64() }},
	{"small", func(r *rand.Rand) float64 { return 1e-20 * r.NormFloat64() }},
	{"wide", func(r *rand.Rand) float64 { return r.NormFloat64() * math.Exp(80*(2*r.Float64()-1)) }},
	{"sparse", func(r *rand.Rand) float64 { return float64(r.IntN(5)/4) * r.NormFloat64() }},
	{"special", func(r *rand.Rand) float64 {
		if r.IntN(60) == 0 {
			return []float64{math.Inf(1), math.Inf(-1), math.NaN(), math.Copysign(0, -1)}[r.IntN(4)]
		}
		return r.NormFloat64()
	}},
	{"whole", func(r *rand.Rand) float64 { return float64(r.IntN(9) - 4) }},
}

// module declares a family in a dtype.
func (c *family) module(t testing.TB, d graph.DType) *graph.Module {
	m := graph.NewModule("m")
	f := m.Func("f")
	var in []graph.Value
	for i, text := range strings.Split(c.inputs, ", ") {
		var shape []any
		for _, n := range strings.Split(strings.Trim(strings.TrimPrefix(text, "T"), "[]"), ",") {
			k, err := strconv.Atoi(n)
			if err != nil {
				t.Fatal(err)
			}
			shape = append(shape, k)
		}
		in = append(in, f.Input(fmt.Sprint("x", i), d, shape...))
	}
	for i, y := range c.f(in) {
		f.Return(fmt.Sprint("y", i), y)
	}
	if err := m.Err(); err != nil {
		t.Fatalf("%s of %s: %v", c.name, d, err)
	}
	return m
}

// feeds draws the inputs of a function.
func feedsOf(f *graph.Func, r *rand.Rand, draw func(r *rand.Rand) float64) map[string]value.Value {
	feeds := map[string]value.Value{}
	for _, p := range f.Params() {
		tt, _ := p.Type().(graph.TensorType)
		shape, _ := tt.ConstShape()
		e := value.NewExact(tt.DType, shape)
		for i := range e.F {
			e.F[i] = draw(r)
		}
		feeds[p.Node().ResultName(0)] = e.Tensor()
	}
	return feeds
}

// TestRightProgramsPass holds programs that are right against the references, every instruction and the whole, on inputs of many kinds: none is
// called wrong. GRAPHRUN_ROUNDS makes it draw so many times.
func TestRightProgramsPass(t *testing.T) {
	rounds, _ := strconv.Atoi(os.Getenv("GRAPHRUN_ROUNDS"))
	for _, c := range families {
		for k, d := range []graph.DType{graph.F32, graph.F64, graph.F16, graph.BF16, value.F8E4M3FN, value.F8E5M2, value.F4E2M1} {
			if rounds == 0 && c.long && k > 1 || testing.Short() && (c.long || k > 0) {
				continue
			}
			t.Run(fmt.Sprint(c.name, " ", d), func(t *testing.T) {
				m := c.module(t, d)
				prog, err := compile.Compile(m)
				if err != nil {
					t.Fatal(err)
				}
				s, err := runtime.NewSession(prog, runtime.Recheck())
				if err != nil {
					t.Fatal(err)
				}
				for round := range max(rounds, 1) {
					for i, from := range distributions {
						if rounds == 0 && k > 0 && (i+k)%4 > 0 || testing.Short() && i > 1 {
							continue
						}
						feeds := feedsOf(m.Funcs()[0], rand.New(rand.NewPCG(uint64(round), uint64(i))), from.draw)
						if err := passes(m, s, feeds); err != nil {
							t.Errorf("%s, round %d: %v", from.name, round, err)
						}
					}
				}
			})
		}
	}
}

// passes runs a program and holds every instruction and what comes out against the references.
func passes(m *graph.Module, s *runtime.Session, feeds map[string]value.Value) error {
	got, err := s.Run(context.Background(), "f", feeds)
	if err != nil {
		return err
	}
	want, err := compile.Expect(m, compile.Inputs{Func: "f", Feeds: feeds})
	if err != nil {
		return err
	}
	if err := want.Compare(got, nil); err != nil {
		return fmt.Errorf("the whole: %w", err)
	}
	return nil
}
