package compile

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/graphrun/graphrun/graph"
	"github.com/graphrun/graphrun/graph/value"
	"github.com/graphrun/graphrun/ops"
)

// pattern declares what a rule looks for, in tensors of a dtype.
type pattern func(p *patternFunc) graph.Value

// patternFunc is the function that a pattern is declared in.
type patternFunc struct {
	*graph.Func
	dt     graph.DType
	finite bool // the inputs are numbers of moderate size
}

func (p *patternFunc) input(dims ...any) graph.Value {
	return p.Input(fmt.Sprint("x", len(p.Params())), p.dt, dims...)
}

func (p *patternFunc) weights(dims ...int) graph.Value {
	e := value.NewExact(p.dt, dims)
	for i := range e.F {
		e.F[i] = []float64{0.5, -1, 2, 1.5, 0, -0.25}[i%6]
	}
	return p.Const(e.Tensor())
}

// matrix is a product with constant weights, an operand of the rules of products.
func (p *patternFunc) matrix() graph.Value {
	p.finite = true
	return ops.MatMul(p.input(6, 3), p.weights(3, 4))
}

func (p *patternFunc) image() graph.Value {
	p.finite = true
	return ops.Conv(p.input(2, 3, 4, 4), p.weights(4, 3, 2, 2), ops.ConvParams{})
}

// patterns are those of all rules.
var patterns = map[string][]pattern{
	"add_zero": {
		func(p *patternFunc) graph.Value { return ops.Add(p.input(8, 6), p.Scalar(p.dt, 0)) },
		func(p *patternFunc) graph.Value { return ops.Add(p.Scalar(p.dt, 0), p.input(8, 6)) },
	},
	"sub_zero":      {func(p *patternFunc) graph.Value { return ops.Sub(p.input(8, 6), p.Scalar(p.dt, 0)) }},
	"mul_one":       {func(p *patternFunc) graph.Value { return ops.Mul(p.input(8, 6), p.Scalar(p.dt, 1)) }},
	"mul_minus_one": {func(p *patternFunc) graph.Value { return ops.Mul(p.Scalar(p.dt, -1), p.input(8, 6)) }},
	"div_one":       {func(p *patternFunc) graph.Value { return ops.Div(p.input(8, 6), p.Scalar(p.dt, 1)) }},
	"add_neg": {
		func(p *patternFunc) graph.Value { return ops.Add(p.input(8, 6), ops.Neg(p.input(8, 6))) },
		func(p *patternFunc) graph.Value { return ops.Add(ops.Neg(p.input(8, 6)), p.input(8, 6)) },
	},
	"sub_neg":   {func(p *patternFunc) graph.Value { return ops.Sub(p.input(8, 6), ops.Neg(p.input(8, 6))) }},
	"neg_neg":   {func(p *patternFunc) graph.Value { return ops.Neg(ops.Neg(p.input(8, 6))) }},
	"not_not":   {func(p *patternFunc) graph.Value { return ops.Not(ops.Not(p.input(8, 6))) }},
	"relu_relu": {func(p *patternFunc) graph.Value { return ops.ReLU(ops.ReLU(p.input(8, 6))) }},
	"abs_abs":   {func(p *patternFunc) graph.Value { return ops.Abs(ops.Abs(p.input(8, 6))) }},
	"pow_one":   {func(p *patternFunc) graph.Value { return ops.Pow(p.input(8, 6), p.Scalar(p.dt, 1)) }},
	"pow_two":   {func(p *patternFunc) graph.Value { return ops.Pow(p.input(8, 6), p.Scalar(p.dt, 2)) }},
	"cast_same": {func(p *patternFunc) graph.Value {
		return graph.Apply(graph.LookupOp("cast"), []graph.Value{p.input(8, 6)}, graph.Attrs{{Name: "to", Value: p.dt}})[0]
	}},
	"cast_back": {func(p *patternFunc) graph.Value { return ops.Cast(ops.Cast(p.input(8, 6), graph.F32), p.dt) }, func(p *patternFunc) graph.Value { return ops.Cast(ops.Cast(p.input(8, 6), graph.F64), p.dt) }},
	"expand_same": {func(p *patternFunc) graph.Value {
		return graph.Apply(graph.LookupOp("expand"), []graph.Value{p.input(8, 6)}, graph.Attrs{{Name: "shape", Value: graph.Ints(8, 6)}})[0]
	}},
	"reshape_same": {
		func(p *patternFunc) graph.Value { return ops.Reshape(p.input(8, 6), 8, 6) },
		func(p *patternFunc) graph.Value { return ops.Reshape(p.input(0, 6), 0, 6) },
	},
	"reshape_reshape":    {func(p *patternFunc) graph.Value { return ops.Reshape(ops.Reshape(p.input(8, 6), 48), 3, 16) }},
	"stop_gradient":      {func(p *patternFunc) graph.Value { return ops.StopGradient(p.input(8, 6)) }},
	"transpose_identity": {func(p *patternFunc) graph.Value { return ops.Transpose(p.input(8, 6), 0, 1) }},
	"transpose_transpose": {func(p *patternFunc) graph.Value {
		return ops.Transpose(ops.Transpose(p.input(2, 3, 4), 1, 2, 0), 2, 1, 0)
	}},
	"matmul_transpose": {
		func(p *patternFunc) graph.Value { return ops.MatMul(ops.T(p.input(8, 6)), p.input(8, 5)) },
		func(p *patternFunc) graph.Value { return ops.MatMul(p.input(8, 6), ops.T(p.input(5, 6))) },
	},
	"transpose_matmul": {func(p *patternFunc) graph.Value { return ops.T(ops.MatMul(p.input(8, 6), p.input(6, 5))) }},
	"where_constant": {
		func(p *patternFunc) graph.Value {
			return ops.Where(p.Scalar(graph.Bool, true), p.input(8, 6), p.input(6))
		},
		func(p *patternFunc) graph.Value {
			return ops.Where(p.Scalar(graph.Bool, false), p.input(6), p.input(8, 6))
		},
	},
	"concat_one": {func(p *patternFunc) graph.Value { return ops.Concat(0, p.input(8, 6)) }},
	"sum_over_nothing": {
		func(p *patternFunc) graph.Value { return ops.ReduceSum(p.input(8, 1), []int{1}, false) },
		func(p *patternFunc) graph.Value { return ops.ReduceSum(p.input(8, 6), []int{}, false) },
	},

	"softmax": {func(p *patternFunc) graph.Value {
		e := ops.Exp(p.input(8, 4))
		return ops.Div(e, ops.ReduceSum(e, []int{1}, true))
	}},
	"softmax_axes": {func(p *patternFunc) graph.Value { return softmaxOf(p.input(8, 2, 3), 1, 2) }},
	"sigmoid": {
		func(p *patternFunc) graph.Value { return ops.Div(p.Scalar(p.dt, 1), exp1(p, p.input(8, 6))) },
		func(p *patternFunc) graph.Value { return ops.Div(p.Scalar(p.dt, 1), exp1(p, ops.Neg(p.input(8, 6)))) },
		func(p *patternFunc) graph.Value {
			x := p.input(8, 6)
			return ops.Div(ops.Exp(x), exp1(p, x))
		},
	},
	"sigmoid_reciprocal": {func(p *patternFunc) graph.Value { return ops.Reciprocal(exp1(p, p.input(8, 6))) }},
	"log_cosh":           {func(p *patternFunc) graph.Value { return ops.Log(ops.Cosh(p.input(8, 6))) }},
	"log_softmax":        {func(p *patternFunc) graph.Value { return ops.Log(ops.Softmax(p.input(8, 4), 1)) }},
	"log_sigmoid":        {func(p *patternFunc) graph.Value { return ops.Log(ops.Sigmoid(p.input(8, 6))) }},
	"log_one_minus_sigmoid": {func(p *patternFunc) graph.Value {
		return ops.Log(ops.Sub(p.Scalar(p.dt, 1), ops.Sigmoid(p.input(8, 6))))
	}},
	"log1p":    {func(p *patternFunc) graph.Value { return ops.Log(ops.Add(p.Scalar(p.dt, 1), p.input(8, 6))) }},
	"softplus": {func(p *patternFunc) graph.Value { return ops.Log1p(ops.Exp(p.input(8, 6))) }},
	"expm1":    {func(p *patternFunc) graph.Value { return ops.Sub(ops.Exp(p.input(8, 6)), p.Scalar(p.dt, 1)) }},
	"logsumexp": {func(p *patternFunc) graph.Value {
		return ops.Log(ops.ReduceSum(ops.Exp(p.input(8, 4)), []int{1}, false))
	}},

	"scale_add_product": {func(p *patternFunc) graph.Value { return ops.Mul(ops.Add(p.matrix(), p.weights(4)), p.weights(4)) }},
	"scale_sub_product": {func(p *patternFunc) graph.Value { return ops.Mul(ops.Sub(p.matrix(), p.weights(4)), p.weights(4)) }},
	"add_add_product":   {func(p *patternFunc) graph.Value { return ops.Add(ops.Add(p.matrix(), p.weights(4)), p.weights(4)) }},
	"add_sub_product":   {func(p *patternFunc) graph.Value { return ops.Add(ops.Sub(p.matrix(), p.weights(4)), p.weights(4)) }},
	"sub_add_product":   {func(p *patternFunc) graph.Value { return ops.Sub(ops.Add(p.matrix(), p.weights(4)), p.weights(4)) }},
	"sub_sub_product":   {func(p *patternFunc) graph.Value { return ops.Sub(ops.Sub(p.matrix(), p.weights(4)), p.weights(4)) }},
	"scale_matmul":      {func(p *patternFunc) graph.Value { return ops.Mul(p.matrix(), p.weights(4)) }},
	"scale_conv":        {func(p *patternFunc) graph.Value { return ops.Mul(p.image(), p.weights(4, 1, 1)) }},
}

func softmaxOf(x graph.Value, axes ...int) graph.Value {
	e := ops.Exp(x)
	return ops.Div(e, ops.ReduceSum(e, axes, true))
}

func exp1(p *patternFunc, x graph.Value) graph.Value { return ops.Add(p.Scalar(p.dt, 1), ops.Exp(x)) }

// TestLaws applies every rule alone to what it looks for, in every dtype that has it, on zeros of both signs, infinities, NaN, subnormals and the
// largest and least numbers: every bit stays where the rule names nothing that breaks, and elsewhere no result gets worse than it was.
func TestLaws(t *testing.T) {
	for _, rules := range tables {
		for _, r := range rules {
			t.Run(r.Name, func(t *testing.T) {
				if len(patterns[r.Name]) == 0 {
					t.Fatal("it has no pattern here")
				}
				for i, build := range patterns[r.Name] {
					applied := 0
					for _, dt := range value.DTypes() {
						if lawIn(t, r, build, dt) {
							applied++
						}
					}
					if applied == 0 {
						t.Errorf("pattern %d: the rule applies in no dtype", i)
					}
				}
			})
		}
	}
}

// declare declares a pattern in a dtype; it returns nil where there is none.
func declare(build pattern, dt graph.DType) *patternFunc {
	p := &patternFunc{Func: graph.NewModule("m").Func("f"), dt: dt}
	p.Return("y", build(p))
	if p.Module().Err() != nil || p.Results()[0].Value.DType() != dt {
		return nil
	}
	return p
}

// rewritten returns the module after the rule, nil if it does not apply.
func rewritten(t *testing.T, r *Rule, m *graph.Module) *graph.Module {
	t.Helper()
	o := m.Clone()
	c := &Context{limit: -1, counts: map[string]int{}, pass: simplify}
	if err := applyRules(c, o, []*Rule{r}, countNeeded); err != nil {
		t.Fatal(err)
	}
	if err := graph.Verify(o); err != nil {
		t.Fatal(err)
	}
	if c.counts[r.Name] == 0 {
		return nil
	}
	return o
}

func lawIn(t *testing.T, r *Rule, build pattern, dt graph.DType) (applied bool) {
	t.Helper()
	p := declare(build, dt)
	if p == nil {
		return false
	}
	o := rewritten(t, r, p.Module())
	if o == nil {
		return false
	}
	var wide *graph.Func // the right side in f64, which tells which side is nearer
	if dt.IsFloat() && r.Breaks != "" {
		if w := rewritten(t, r, declare(build, graph.F64).Module()); w != nil {
			wide = w.LookupFunc("f")
		}
	}
	rng := rand.New(rand.NewPCG(uint64(dt), 1))
	for range 12 {
		in, in64 := specials(rng, p)
		run := func(f *graph.Func, in []value.Value) *value.Tensor {
			outs, err := (&graph.Interpreter{}).Run(f, in)
			if err != nil {
				t.Fatalf("%v: %v", dt, err)
			}
			return outs[0].(*value.Tensor)
		}
		before, after := run(p.Func, in), run(o.LookupFunc("f"), in)
		var err error
		switch {
		case r.Breaks == "" || !dt.IsFloat():
			err = sameBits(before, after)
		case wide != nil:
			err = noWorse(r, before, after, run(wide, in64), in64)
		}
		if err != nil {
			t.Errorf("%v: %v\n%v", dt, err, in)
			return true
		}
	}
	return true
}

// specials draws inputs, and the same numbers in f64.
func specials(rng *rand.Rand, p *patternFunc) (in, in64 []value.Value) {
	for _, v := range p.Params() {
		shape, _ := v.Type().(graph.TensorType).ConstShape()
		e := value.NewExact(p.dt, shape)
		least := math.SmallestNonzeroFloat64
		if f32 := value.NewExact(p.dt, []int{1}); p.dt.IsFloat() { // the least that rounding leaves
			for x := 1.0; x > 0; x /= 2 {
				f32.F[0] = x
				if y := f32.Tensor().Float64At(0); y != x {
					break
				}
				least = x
			}
		}
		floats := []float64{0, math.Copysign(0, -1), math.Inf(1), math.Inf(-1), math.NaN(), least, -least, 1e300, -1e300, 3e38, -65504, 448, 1, -1, 1.5, -3, 0.001, 20, -30, 90}
		if p.finite {
			floats = []float64{0, 1, -1, 1.5, -3, 0.5, 20}
		}
		for i := range e.F {
			e.F[i] = floats[rng.IntN(len(floats))]
			if rng.IntN(3) == 0 {
				e.F[i] = rng.NormFloat64()
			}
		}
		for i := range e.I {
			e.I[i] = []int64{0, 1, -1, math.MaxInt64, math.MinInt64, 127, -128, 7, 1 << 15, 1 << 31}[rng.IntN(10)]
		}
		for i := range e.U {
			e.U[i] = []uint64{0, 1, math.MaxUint64, 255, 7, 1 << 15, 1 << 31}[rng.IntN(7)]
		}
		for i := range e.B {
			e.B[i] = rng.IntN(2) == 0
		}
		for i := range e.S {
			e.S[i] = []string{"", "a", "\x00"}[rng.IntN(3)]
		}
		t := e.Tensor()
		in = append(in, t)
		if p.dt.IsFloat() {
			e := value.NewExact(graph.F64, shape)
			copy(e.F, t.Float64s())
			in64 = append(in64, e.Tensor())
		}
	}
	return in, in64
}

// sameBits wants the same elements; one NaN is as good as another.
func sameBits(before, after *value.Tensor) error {
	if !before.DType().IsFloat() {
		if !before.Equal(after) {
			return fmt.Errorf("was %v, is %v", before, after)
		}
		return nil
	}
	x, y := before.Float64s(), after.Float64s()
	for i := range x {
		if math.Float64bits(x[i]) != math.Float64bits(y[i]) && !(math.IsNaN(x[i]) && math.IsNaN(y[i])) {
			return fmt.Errorf("element %d was %v, is %v", i, x[i], y[i])
		}
	}
	return nil
}

// noWorse wants no number made NaN, and each element as near to the truth as it was, up to rounding.
func noWorse(r *Rule, before, after, truth *value.Tensor, in []value.Value) error {
	x, y, z := before.Float64s(), after.Float64s(), truth.Float64s()
	if len(x) != len(y) || len(x) != len(z) {
		return fmt.Errorf("was %v, is %v", before, after)
	}
	unit := value.NewExact(before.DType(), []int{1}) // what is known of numbers near 1
	eps := 1.0
	for ; eps > 0x1p-52; eps /= 2 {
		unit.F[0] = 1 + eps/2
		if unit.Tensor().Float64At(0) != 1+eps/2 {
			break
		}
	}
	for i := range x {
		rounded := value.RoundFloat(before.DType(), z[i])
		switch {
		case math.IsNaN(x[i]), x[i] == y[i], y[i] == rounded:
		case math.IsNaN(y[i]):
			if strings.Contains(r.Breaks, "beside +Inf") && besideInf(in[0].(*value.Tensor), i) {
				continue
			}
			return fmt.Errorf("element %d was %v, is NaN: right %v", i, x[i], z[i])
		case math.IsInf(z[i], 0):
			return fmt.Errorf("element %d was %v, is %v: right %v", i, x[i], y[i], z[i])
		case math.Abs(y[i]-z[i]) > 1.01*math.Abs(x[i]-z[i])+4*eps*max(math.Abs(z[i]), 1e-30) && !nearly(r, y[i], x[i], eps):
			return fmt.Errorf("element %d was %v, is %v: right %v", i, x[i], y[i], z[i])
		}
	}
	return nil
}

// nearly is how far rules of products may be off, whose sums round elsewhere.
func nearly(r *Rule, y, x, eps float64) bool {
	return strings.Contains(r.Name, "product") || strings.HasPrefix(r.Name, "scale_") && math.Abs(y-x) <= 64*eps*max(1, math.Abs(x), 100)
}

func besideInf(x *value.Tensor, i int) bool {
	row := x.Len() / x.Shape()[0]
	return slices.Contains(x.Float64s()[i/row*row:(i/row+1)*row], math.Inf(1))
}
