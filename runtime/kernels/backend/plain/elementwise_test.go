package plain

import (
	"fmt"
	"math"
	"slices"
	"testing"

	"github.com/graphrun/graphrun/graph/real"
	"github.com/graphrun/graphrun/runtime/kernels/backend"
	"github.com/graphrun/graphrun/runtime/kernels/internal/kerneltest"
)

var awkward = []int{0, 1, 3, 7, 17, 33, 70000}

func specials[T backend.Float]() []T {
	x := []T{0, T(math.Copysign(0, -1)), T(math.NaN()), T(math.Inf(1)), T(math.Inf(-1)), 1, -1, 0.5, -0.5, 2.5, -2.5, 1e-30, -1e-30, 1e-8, 0.17, 0.18, -0.175, 20, -20, 87, -87, 88.8, 100, -100, 103.5, -104, 700, -740, 1e30}
	return x
}

var unaryRef = map[backend.UnaryOp]func(float64) float64{
	backend.Neg: func(x float64) float64 { return -x },
	backend.Abs: math.Abs,
	backend.Sign: func(x float64) float64 {
		if x > 0 {
			return 1
		} else if x < 0 {
			return -1
		}
		return x
	},
	backend.Sqrt: math.Sqrt, backend.Rsqrt: func(x float64) float64 { return 1 / math.Sqrt(x) },
	backend.Reciprocal: func(x float64) float64 { return 1 / x },
	backend.Exp:        real.Exp, backend.Expm1: math.Expm1, backend.Log: real.Log, backend.Log1p: math.Log1p,
	backend.Sin: real.Sin, backend.Cos: real.Cos, backend.Tan: real.Tan, backend.Asin: real.Asin, backend.Acos: real.Acos, backend.Atan: math.Atan,
	backend.Sinh: real.Sinh, backend.Cosh: real.Cosh, backend.Tanh: math.Tanh, backend.Asinh: math.Asinh, backend.Acosh: math.Acosh, backend.Atanh: math.Atanh,
	backend.Sigmoid: func(x float64) float64 {
		if x < -700 {
			return real.Exp(x)
		}
		return 1 / (1 + real.Exp(-x))
	},
	backend.ReLU: func(x float64) float64 {
		if x < 0 {
			return 0
		}
		return x
	},
	backend.Erf: math.Erf, backend.Erfc: math.Erfc, backend.Floor: math.Floor, backend.Ceil: math.Ceil, backend.Round: math.RoundToEven, backend.Trunc: math.Trunc,
}

// withinUlp reports whether got is want rounded to T, or next to it.
func withinUlp[T backend.Float](got T, want float64, ulps float64) bool {
	g, w := float64(got), float64(T(want))
	if math.IsNaN(g) || math.IsNaN(w) {
		return math.IsNaN(g) && math.IsNaN(w)
	}
	if g == w {
		return math.Signbit(g) == math.Signbit(w)
	}
	tiny := 0x1p-1074
	if is32[T]() {
		tiny = 0x1p-149
	}
	return math.Abs(g-w) <= ulps*max(math.Abs(w)*kerneltest.Epsilon[T](), tiny)
}

func testUnary[T backend.Float](t *testing.T) {
	r := kerneltest.Rand(5)
	for op := range backend.UnaryOps {
		f := unaryRef[op]
		if op == backend.Square {
			f = func(x float64) float64 { return float64(T(x) * T(x)) }
		}
		if f == nil {
			t.Fatalf("%s: want what it computes in unaryRef", op)
		}
		for _, n := range awkward {
			x := kerneltest.Normals[T](r, n)
			for i := range x {
				x[i] *= T(math.Exp(r.NormFloat64() * 2))
			}
			x = append(x, specials[T]()...)
			y := make([]T, len(x))
			Unary(op, y, x)
			ulps := 1.0
			if op == backend.Sigmoid {
				ulps = 4
			}
			for i, v := range x {
				if !withinUlp(y[i], f(float64(v)), ulps) {
					t.Fatalf("op %d of %v is %v, want %v", op, v, y[i], f(float64(v)))
				}
			}
			Unary(op, x, x)
			kerneltest.SameBits(t, "in place", x, y)
		}
	}
}

func TestUnary(t *testing.T) {
	t.Run("f32", testUnary[float32])
	t.Run("f64", testUnary[float64])
}

// TestExp32Accuracy checks that the float32 functions round a result that is
// exact for their purpose.
func TestExp32Accuracy(t *testing.T) {
	for x := -103.0; x < 89; x += 0.00137 {
		if e := math.Abs(exp32(x)/math.Exp(x) - 1); e > 1e-12 {
			t.Fatalf("exp32(%v) is off by %v", x, e)
		}
		if v := x / 5; v != 0 {
			if e := math.Abs(tanh32(v)/math.Tanh(v) - 1); e > 1e-12 {
				t.Fatalf("tanh32(%v) is off by %v", v, e)
			}
		}
	}
	for x := 1e-40; x < 1; x *= 1.37 {
		if e := math.Abs(tanh32(x)/math.Tanh(x) - 1); e > 1e-12 {
			t.Fatalf("tanh32(%v) is off by %v", x, e)
		}
	}
}

func TestUnaryInt(t *testing.T) {
	x := []int32{0, 5, -5, math.MaxInt32, math.MinInt32}
	for op, want := range map[backend.UnaryOp][]int32{
		backend.Neg:    {0, -5, 5, -math.MaxInt32, math.MinInt32},
		backend.Abs:    {0, 5, 5, math.MaxInt32, math.MinInt32},
		backend.Sign:   {0, 1, -1, 1, -1},
		backend.Square: {0, 25, 25, 1, 0},
		backend.ReLU:   {0, 5, 0, math.MaxInt32, 0},
	} {
		y := make([]int32, len(x))
		UnaryInt(op, y, x)
		if !slices.Equal(y, want) {
			t.Errorf("op %d: %v, want %v", op, y, want)
		}
	}
}

// TestForms holds operations of vectors and scalars against the plain formula.
func TestForms(t *testing.T) {
	r := kerneltest.Rand(6)
	binary := []func(a, b float64) float64{
		backend.Add: func(a, b float64) float64 { return a + b }, backend.Sub: func(a, b float64) float64 { return a - b },
		backend.Mul: func(a, b float64) float64 { return a * b }, backend.Div: func(a, b float64) float64 { return a / b },
		backend.Max: func(a, b float64) float64 { return max(a, b) }, backend.Min: func(a, b float64) float64 { return min(a, b) },
		backend.Pow: real.Pow, backend.Mod: math.Mod, backend.Atan2: math.Atan2,
	}
	for op := range backend.BinaryOps {
		if op.Kinds()&backend.Floats != 0 && (int(op) >= len(binary) || binary[op] == nil) {
			t.Fatalf("%s: want its formula here", op)
		}
	}
	comparisons := []func(a, b float64) bool{
		backend.Equal: func(a, b float64) bool { return a == b }, backend.NotEqual: func(a, b float64) bool { return a != b },
		backend.Less: func(a, b float64) bool { return a < b }, backend.LessEqual: func(a, b float64) bool { return a <= b },
		backend.Greater: func(a, b float64) bool { return a > b }, backend.GreaterEqual: func(a, b float64) bool { return a >= b },
	}
	points := []float64{math.NaN(), math.Inf(1), math.Inf(-1), 0, math.Copysign(0, -1), 1, 2}
	random := func(n int) []float64 {
		x := kerneltest.Normals[float64](r, n)
		for i := range x {
			if r.IntN(3) == 0 {
				x[i] = points[r.IntN(len(points))]
			}
		}
		return x
	}
	for _, n := range []int{1, 2, 7, 33, 1000} {
		a, b, c, y, want := random(n), random(n), random(n), make([]float64, n), make([]float64, n)
		mask, truth := make([]bool, n), make([]bool, n)
		for i := range mask {
			mask[i] = r.IntN(2) == 0
		}
		for form := backend.VV; form <= backend.SS; form++ {
			at := func(x []float64, scalar bool, i int) float64 {
				if scalar {
					return x[0]
				}
				return x[i]
			}
			sa, sb := form == backend.SV || form == backend.SS, form == backend.VS || form == backend.SS
			for op, f := range binary {
				if form == backend.SS {
					break
				}
				for i := range want {
					want[i] = f(at(a, sa, i), at(b, sb, i))
				}
				Binary(backend.BinaryOp(op), form, y, a, b)
				kerneltest.SameBits(t, fmt.Sprint("binary ", op, form), y, want)
			}
			for op, f := range comparisons {
				if sa {
					break
				}
				Compare(backend.CompareOp(op), form, truth, a, b)
				for i, got := range truth {
					if x, z := a[i], at(b, sb, i); got != f(x, z) || got != comparisons[backend.CompareOp(op).Mirrored()](z, x) {
						t.Fatalf("comparison %d of %v and %v is %v", op, x, z, got)
					}
				}
			}
			Select(form, y, mask, a, b)
			for i := range want {
				if want[i] = at(b, sb, i); mask[i] {
					want[i] = at(a, sa, i)
				}
			}
			kerneltest.SameBits(t, fmt.Sprint("select ", form), y, want)
			for op := backend.MulAdd; op <= backend.SubMul; op++ {
				Ternary(op, form, y, c, a, b)
				for i := range want {
					p, x := float64(c[i]*at(a, sa, i)), at(b, sb, i)
					want[i] = []float64{backend.MulAdd: p + x, backend.MulSub: p - x, backend.SubMul: x - p}[op]
				}
				kerneltest.SameBits(t, fmt.Sprint("ternary ", op, form), y, want)
			}
		}
		sum, lowest, highest := 0.0, a[0], a[0]
		for i, x := range a {
			c[i] = math.Abs(b[i])
			if c[i] != c[i] || c[i] > 1e9 {
				c[i] = 1
			}
			sum += c[i]
			lowest, highest = min(lowest, x), max(highest, x)
		}
		kerneltest.SameBits(t, "fold", []float64{Fold(backend.MinOf, a), Fold(backend.MaxOf, a)}, []float64{lowest, highest})
		if got := Fold(backend.Sum, c); math.Abs(got-sum) > 1e-12*sum {
			t.Errorf("the sum of %d elements is %v, want %v", n, got, sum)
		}
	}
	x := []float32{1, 2, 3, 4}
	Binary(backend.Sub, backend.VS, x, x, []float32{1})
	kerneltest.SameBits(t, "in place", x, []float32{0, 1, 2, 3})
}

func TestNoAllocations(t *testing.T) {
	x, y := make([]float32, 4096), make([]float32, 4096)
	for name, f := range map[string]func(){
		"Unary":  func() { Unary(backend.Neg, y, x) },
		"Binary": func() { Binary(backend.Add, backend.VV, y, x, x) },
	} {
		if n := testing.AllocsPerRun(10, f); n != 0 {
			t.Errorf("%s: %v allocations", name, n)
		}
	}
}

func BenchmarkUnary(b *testing.B) {
	r := kerneltest.Rand(1)
	x := kerneltest.Normals[float32](r, 64*6*28*28)
	y := make([]float32, len(x))
	for name, op := range map[string]backend.UnaryOp{"relu": backend.ReLU, "exp": backend.Exp, "tanh": backend.Tanh, "sigmoid": backend.Sigmoid, "log": backend.Log, "erf": backend.Erf} {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				Unary(op, y, x)
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(len(x)), "ns/elem")
		})
	}
}
