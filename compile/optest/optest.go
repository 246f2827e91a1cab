package optest

import (
	"fmt"
	"hash/fnv"
	"math"
	"math/rand/v2"
	"strings"

	"github.com/graphrun/graphrun/compile"
	"github.com/graphrun/graphrun/graph"
	"github.com/graphrun/graphrun/graph/value"
	"github.com/graphrun/graphrun/ops"
)

// Check runs every check on every sample of the op and returns the first fault.
func Check(op *graph.Op) error {
	samples, err := samplesOf(op)
	if err != nil {
		return err
	}
	for i, s := range samples {
		if err := s.check(); err != nil {
			return fmt.Errorf("%s: sample %d %s: %w", op.Name, i, s.describe(), err)
		}
	}
	return nil
}

// CheckGradients runs only the comparison of first and second gradients with finite differences.
func CheckGradients(op *graph.Op) error {
	samples, err := samplesOf(op)
	if err != nil {
		return err
	}
	for i, s := range samples {
		in, err := s.values()
		if err != nil {
			return err
		}
		types := make([]graph.Type, len(in))
		for i, v := range in {
			types[i] = graph.TypeOf(v)
		}
		if err := s.checkGradients(in, types); err != nil {
			return fmt.Errorf("%s: sample %d %s: %w", op.Name, i, s.describe(), err)
		}
	}
	return nil
}

type sample struct {
	op *graph.Op
	graph.Sample
}

func samplesOf(op *graph.Op) ([]*sample, error) {
	read, err := ops.SamplesOf(op)
	if err != nil {
		return nil, err
	}
	all := make([]*sample, len(read))
	for i, s := range read {
		all[i] = &sample{op: op, Sample: s}
	}
	return all, nil
}

func (s *sample) describe() string {
	var b strings.Builder
	b.WriteByte('(')
	for i, f := range s.In {
		if i > 0 {
			b.WriteString(", ")
		}
		b.WriteString(f.Type.String())
	}
	b.WriteByte(')')
	return b.String()
}

func (s *sample) check() error {
	in, err := s.values()
	if err != nil {
		return err
	}
	types := make([]graph.Type, len(in))
	for i, v := range in {
		types[i] = graph.TypeOf(v)
	}
	m, outs := s.declare(types)
	if err := m.Err(); err != nil {
		return err
	}
	if err := graph.Verify(m); err != nil {
		return fmt.Errorf("verifier: %w", err)
	}
	if err := roundTrip(m); err != nil {
		return err
	}
	want, err := interpret(m, in)
	if err != nil {
		return err
	}
	for i, v := range want {
		if err := graph.Unify(declared(outs[i].Type()), graph.TypeOf(v), map[string]graph.Dim{}); err != nil {
			return fmt.Errorf("result %d: the type rule and the reference disagree: %w", i, err)
		}
	}
	if err := s.checkSymbolic(in, types, want); err != nil {
		return err
	}
	if err := s.checkNarrow(in); err != nil {
		return err
	}
	if err := s.checkKernels(in); err != nil {
		return err
	}
	if err := s.checkCompiled(m, in, want); err != nil {
		return err
	}
	return s.checkGradients(in, types)
}

// declared replaces unknown dims by fresh symbols, so that they unify with any size.
func declared(t graph.Type) graph.Type {
	tt, ok := t.(graph.TensorType)
	if !ok {
		return t
	}
	shape := make([]any, len(tt.Shape))
	for i, d := range tt.Shape {
		shape[i] = d
		if len(d.Unknowns()) > 0 {
			shape[i] = fmt.Sprintf("unknown%d", i)
		}
	}
	u, err := graph.Tensor(tt.DType, shape...)
	if err != nil {
		return t
	}
	return u
}

// declare builds a module with one function "f" that applies the op to inputs of the given types.
func (s *sample) declare(types []graph.Type) (*graph.Module, []graph.Value) {
	m := graph.NewModule("sample")
	f := m.Func("f")
	in := make([]graph.Value, len(types))
	for i, t := range types {
		in[i] = f.InputOf(fmt.Sprintf("x%d", i), t)
	}
	outs := s.apply(f, in)
	for i, v := range outs {
		f.Return(fmt.Sprintf("y%d", i), v)
	}
	return m, outs
}

func (s *sample) apply(f *graph.Func, in []graph.Value) []graph.Value {
	if s.Build != nil {
		return s.Build(f, in)
	}
	return f.Emit(s.op, in, s.Attrs)
}

// values draws the sample's operands, the same ones every time.
func (s *sample) values() ([]value.Value, error) {
	h := fnv.New64()
	h.Write([]byte(s.op.Name + s.describe()))
	rng := rand.New(rand.NewPCG(h.Sum64(), 1))
	in := make([]value.Value, len(s.In))
	for i, f := range s.In {
		shape, ok := f.Type.ConstShape()
		if !ok {
			return nil, fmt.Errorf("operand %d: sizes of samples are numbers, have %s", i, f.Type)
		}
		if f.Values != "" {
			t, err := value.ParseElements(f.Type.DType, shape, f.Values)
			if err != nil {
				return nil, fmt.Errorf("operand %d: %w", i, err)
			}
			in[i] = t
			continue
		}
		e := value.NewExact(f.Type.DType, shape)
		draw(e, f, rng)
		in[i] = e.Tensor()
	}
	return in, nil
}

func draw(e *value.Exact, f graph.Feed, rng *rand.Rand) {
	lo, hi := f.Lo, f.Hi
	if lo == 0 && hi == 0 {
		if hi = 3; e.DType.IsFloat() {
			lo, hi = -2, 2
		}
	}
	switch e.DType.Domain() {
	case value.Floats:
		n := len(e.F)
		slots := rng.Perm(n)
		for i := range e.F {
			e.F[i] = lo + (hi-lo)*rng.Float64()
			if f.Spread { // one value per slot of the range, away from the slots' edges
				e.F[i] = lo + (hi-lo)*(float64(slots[i])+0.3+0.4*rng.Float64())/float64(n)
				if d := e.F[i] - math.Round(e.F[i]); math.Abs(d) < 0.02 {
					e.F[i] += math.Copysign(0.02, d)
				}
			}
		}
	case value.Ints:
		for i := range e.I {
			e.I[i] = int64(lo) + rng.Int64N(int64(hi)-int64(lo)+1)
		}
	case value.Uints:
		for i := range e.U {
			e.U[i] = uint64(lo) + rng.Uint64N(uint64(hi)-uint64(lo)+1)
		}
	case value.Bools:
		for i := range e.B {
			e.B[i] = rng.IntN(2) == 1
		}
	case value.Strings:
		for i := range e.S {
			e.S[i] = string(rune('a' + rng.IntN(26)))
		}
	}
}

func interpret(m *graph.Module, in []value.Value) ([]value.Value, error) {
	return (&graph.Interpreter{}).Run(m.LookupFunc("f"), in)
}

func roundTrip(m *graph.Module) error {
	text := m.String()
	again, err := graph.Parse("sample.graph", []byte(text), graph.ParseOptions{})
	if err != nil {
		return fmt.Errorf("its text does not parse: %w\n%s", err, text)
	}
	if got := again.String(); got != text {
		return fmt.Errorf("print, parse, print changes the text:\n%s\nbecomes\n%s", text, got)
	}
	return nil
}

// checkSymbolic replaces each size in turn by a symbol. Where the type rule accepts that, the result must be what it
// is with the size known.
func (s *sample) checkSymbolic(in []value.Value, types []graph.Type, want []value.Value) error {
	sizes := map[int64]bool{}
	for _, t := range types {
		for _, d := range t.(graph.TensorType).Shape {
			if n, ok := d.Int(); ok && n > 1 {
				sizes[n] = true
			}
		}
	}
	for size := range sizes {
		sym := make([]graph.Type, len(types))
		for i, t := range types {
			tt := t.(graph.TensorType)
			dims := make([]any, len(tt.Shape))
			for k, d := range tt.Shape {
				dims[k] = d
				if n, _ := d.Int(); n == size {
					dims[k] = "D"
				}
			}
			sym[i], _ = graph.Tensor(tt.DType, dims...)
		}
		m, _ := s.declare(sym)
		if m.Err() != nil {
			continue // the attributes fix this size
		}
		got, err := interpret(m, in)
		if err != nil {
			return fmt.Errorf("with a symbol for the size %d: %w", size, err)
		}
		env := map[string]graph.Dim{"D": graph.Ints(size)[0]}
		for i, r := range m.LookupFunc("f").Results() {
			t, err := graph.SubstType(r.Value.Type(), env)
			if err == nil {
				err = graph.Unify(declared(t), graph.TypeOf(want[i]), map[string]graph.Dim{})
			}
			if err != nil {
				return fmt.Errorf("result %d with D for the size %d: %w", i, size, err)
			}
			if !value.Equal(got[i], want[i]) {
				return fmt.Errorf("result %d changes when the size %d is a symbol", i, size)
			}
		}
	}
	return nil
}

// checkGradients compares the first and the second gradient with finite differences in f64.
func (s *sample) checkGradients(in []value.Value, types []graph.Type) error {
	if s.NoGrad != "" || s.op.NoGrad != "" {
		return nil
	}
	var float []int
	for i, t := range types {
		if t.(graph.TensorType).DType == graph.F64 {
			float = append(float, i)
		}
	}
	if len(float) == 0 {
		return nil
	}
	loss := func(f *graph.Func, x []graph.Value) graph.Value {
		return s.project(f, s.apply(f, x), 1)
	}
	if err := compareGradient(types, in, float, loss); err != nil {
		return fmt.Errorf("gradient: %w", err)
	}
	second := func(f *graph.Func, x []graph.Value) graph.Value {
		var wrt []graph.Value
		for _, i := range float {
			wrt = append(wrt, x[i])
		}
		return s.project(f, graph.Grad(loss(f, x), wrt...), 2)
	}
	if err := compareGradient(types, in, float, second); err != nil {
		return fmt.Errorf("gradient of the gradient: %w", err)
	}
	return nil
}

// project sums the float values, each element times a fixed random number. It does not sum by the op under test: a
// sign turned twice would go unnoticed.
func (s *sample) project(f *graph.Func, vs []graph.Value, seed uint64) graph.Value {
	rng := rand.New(rand.NewPCG(seed, 7))
	total := f.Scalar(graph.F64, 0.0)
	for _, v := range vs {
		t, ok := v.TensorType()
		if !ok || t.DType != graph.F64 {
			continue
		}
		shape, ok := t.ConstShape()
		if !ok {
			continue
		}
		e := value.NewExact(graph.F64, shape)
		for i := range e.F {
			e.F[i] = 0.5 + rng.Float64()
			if rng.IntN(2) == 0 {
				e.F[i] = -e.F[i]
			}
		}
		if s.op.Name == "reduce_sum" {
			total = ops.Add(total, ops.Reshape(ops.MatMul(ops.Reshape(v, 1, len(e.F)), ops.Reshape(f.Const(e.Tensor()), len(e.F), 1))))
			continue
		}
		total = ops.Add(total, ops.ReduceSum(ops.Mul(v, f.Const(e.Tensor())), nil, false))
	}
	return total
}

// compareGradient differentiates a scalar by the pass autodiff and by central differences of the fourth order.
func compareGradient(types []graph.Type, in []value.Value, wrt []int, scalar func(f *graph.Func, x []graph.Value) graph.Value) error {
	declare := func(withGrad bool) (*graph.Module, error) {
		m := graph.NewModule("gradient")
		f := m.Func("f")
		x := make([]graph.Value, len(types))
		for i, t := range types {
			x[i] = f.InputOf(fmt.Sprintf("x%d", i), t)
		}
		y := scalar(f, x)
		f.Return("y", y)
		if withGrad {
			var xs []graph.Value
			for _, i := range wrt {
				xs = append(xs, x[i])
			}
			for i, dx := range graph.Grad(y, xs...) {
				f.Return(fmt.Sprintf("dx%d", i), dx)
			}
		}
		return compile.Optimize(m, compile.Through("autodiff"))
	}
	plain, err := declare(false)
	if err != nil {
		return err
	}
	withGrad, err := declare(true)
	if err != nil {
		return err
	}
	at := func(x []value.Value) (float64, error) {
		outs, err := interpret(plain, x)
		if err != nil {
			return 0, err
		}
		return outs[0].(*value.Tensor).Float64s()[0], nil
	}
	outs, err := interpret(withGrad, in)
	if err != nil {
		return err
	}
	const h = 1e-3
	for k, i := range wrt {
		got := outs[1+k].(*value.Tensor).Float64s()
		x := in[i].(*value.Tensor)
		for e := range got {
			moved := func(by float64) (float64, error) {
				c := x.Clone()
				data, err := value.Data[float64](c)
				if err != nil {
					return 0, err
				}
				data[e] += by
				point := append([]value.Value(nil), in...)
				point[i] = c
				return at(point)
			}
			var f [4]float64
			for j, by := range []float64{-2 * h, -h, h, 2 * h} {
				if f[j], err = moved(by); err != nil {
					return err
				}
			}
			want := (f[0] - 8*f[1] + 8*f[2] - f[3]) / (12 * h)
			scale := 1 + math.Abs(want)
			for _, y := range f {
				scale = max(scale, math.Abs(y))
			}
			if !(math.Abs(got[e]-want) <= 1e-7*scale) {
				return fmt.Errorf("operand %d, element %d: the rule gives %.10g, differences give %.10g", i, e, got[e], want)
			}
		}
	}
	return nil
}
