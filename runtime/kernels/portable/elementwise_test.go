package portable

import (
	"fmt"
	"math"
	"testing"
)

var awkward = []int{0, 1, 3, 7, 17, 33, 70000}

func specials[T Float]() []T {
	x := []T{0, T(math.Copysign(0, -1)), T(math.NaN()), T(math.Inf(1)), T(math.Inf(-1)), 1, -1, 0.5, -0.5, 2.5, -2.5, 1e-30, -1e-30, 1e-8, 0.17, 0.18, -0.175, 20, -20, 87, -87, 88.8, 100, -100, 103.5, -104, 700, -740, 1e30}
	return x
}

var unaryRef = map[UnaryOp]func(float64) float64{
	Copy: func(x float64) float64 { return x },
	Neg:  func(x float64) float64 { return -x },
	Abs:  math.Abs,
	Sign: func(x float64) float64 {
		if x > 0 {
			return 1
		} else if x < 0 {
			return -1
		}
		return x
	},
	Sqrt: math.Sqrt, Rsqrt: func(x float64) float64 { return 1 / math.Sqrt(x) },
	Reciprocal: func(x float64) float64 { return 1 / x },
	Exp:        math.Exp, Expm1: math.Expm1, Log: math.Log, Log1p: math.Log1p,
	Sin: math.Sin, Cos: math.Cos, Tan: math.Tan, Asin: math.Asin, Acos: math.Acos, Atan: math.Atan,
	Sinh: math.Sinh, Cosh: math.Cosh, Tanh: math.Tanh, Asinh: math.Asinh, Acosh: math.Acosh, Atanh: math.Atanh,
	Sigmoid: func(x float64) float64 {
		if x < -700 {
			return math.Exp(x)
		}
		return 1 / (1 + math.Exp(-x))
	},
	Softplus: func(x float64) float64 {
		if x > 50 {
			return x
		}
		return math.Log1p(math.Exp(x))
	},
	ReLU: func(x float64) float64 { return max(x, 0) },
	Erf:  math.Erf, Floor: math.Floor, Ceil: math.Ceil, Round: math.RoundToEven, Trunc: math.Trunc,
}

// within1ulp reports whether got is want rounded to T, or next to it.
func withinUlp[T Float](got T, want float64, ulps float64) bool {
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
	return math.Abs(g-w) <= ulps*max(math.Abs(w)*eps[T](), tiny)
}

func testUnary[T Float](t *testing.T) {
	r := newRand(5)
	for op := Copy; op <= Trunc; op++ {
		f := unaryRef[op]
		if op == Square {
			f = func(x float64) float64 { return float64(T(x) * T(x)) }
		}
		for _, n := range awkward {
			x := randSlice[T](r, n)
			for i := range x {
				x[i] *= T(math.Exp(r.NormFloat64() * 2))
			}
			x = append(x, specials[T]()...)
			y := withThreads(t, fmt.Sprint(op), func() []T {
				y := make([]T, len(x))
				Unary(op, y, x)
				return y
			})
			ulps := 1.0
			if op == Softplus || op == Sigmoid {
				ulps = 4
			}
			for i, v := range x {
				if !withinUlp(y[i], f(float64(v)), ulps) {
					t.Fatalf("op %d of %v is %v, want %v", op, v, y[i], f(float64(v)))
				}
			}
			Unary(op, x, x)
			sameBits(t, "in place", x, y)
		}
	}
}

func TestUnary(t *testing.T) {
	t.Run("f32", testUnary[float32])
	t.Run("f64", testUnary[float64])
	y := make([]bool, 2)
	UnaryFunc(y, []float64{1, math.NaN()}, math.IsNaN)
	if y[0] || !y[1] {
		t.Error("UnaryFunc", y)
	}
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

var broadcastCases = [][4][]int{ // out, a, b, c
	{{}, {}, {}, {}},
	{{0}, {0}, {1}, {0}},
	{{1}, {1}, {1}, {1}},
	{{7}, {7}, {7}, {1}},
	{{7}, {1}, {7}, {7}},
	{{17}, {17}, {1}, {1}},
	{{17}, {1}, {1}, {1}},
	{{3, 7}, {3, 7}, {1, 7}, {3, 1}},
	{{3, 7}, {3, 1}, {1, 7}, {1, 1}},
	{{3, 7}, {3, 1}, {3, 1}, {3, 1}},
	{{2, 3, 4, 5}, {2, 3, 4, 5}, {1, 3, 1, 1}, {2, 1, 4, 1}},
	{{2, 3, 4, 5}, {1, 3, 4, 1}, {2, 1, 1, 5}, {1, 1, 1, 1}},
	{{2, 1, 4, 5}, {2, 1, 1, 5}, {1, 1, 4, 5}, {2, 1, 4, 5}},
	{{33, 70, 33}, {33, 70, 33}, {1, 70, 1}, {33, 1, 33}},
	{{3, 0, 2}, {3, 0, 2}, {1, 1, 2}, {3, 0, 1}},
}

func sizeOf(shape []int) int {
	n := 1
	for _, d := range shape {
		n *= d
	}
	return n
}

// at returns the position in a broadcast operand of element i of out.
func at(out, shape []int, i int) int {
	pos, step := 0, 1
	for d := len(out) - 1; d >= 0; d-- {
		j := i % out[d]
		i /= out[d]
		if shape[d] != 1 {
			pos += j * step
		}
		step *= shape[d]
	}
	return pos
}

func TestBroadcast(t *testing.T) {
	r := newRand(6)
	nan := math.NaN()
	f := []func(a, b float64) float64{
		Add: func(a, b float64) float64 { return a + b }, Sub: func(a, b float64) float64 { return a - b },
		Mul: func(a, b float64) float64 { return a * b }, Div: func(a, b float64) float64 { return a / b },
		Max: math.Max, Min: math.Min, Pow: math.Pow, Mod: math.Mod, Atan2: math.Atan2,
	}
	cmps := []func(a, b float64) bool{
		Equal: func(a, b float64) bool { return a == b }, NotEqual: func(a, b float64) bool { return a != b },
		Less: func(a, b float64) bool { return a < b }, LessEqual: func(a, b float64) bool { return a <= b },
		Greater: func(a, b float64) bool { return a > b }, GreaterEqual: func(a, b float64) bool { return a >= b },
	}
	for _, c := range broadcastCases {
		out := c[0]
		n := sizeOf(out)
		var in [3][]float64
		for i := range in {
			in[i] = randSlice[float64](r, sizeOf(c[i+1]))
			for j := range in[i] {
				switch r.IntN(12) {
				case 0:
					in[i][j] = nan
				case 1:
					in[i][j] = math.Inf(1)
				case 2:
					in[i][j] = math.Copysign(0, -1)
				case 3, 4:
					in[i][j] = float64(r.IntN(2))
				}
			}
		}
		p := PlanBroadcast(out, c[1], c[2])
		if p.Size() != n {
			t.Fatalf("%v: size %d", c, p.Size())
		}
		for op := range f {
			if n > 10000 && op > int(Pow) {
				continue
			}
			got := withThreads(t, fmt.Sprint(c), func() []float64 {
				y := make([]float64, n)
				Binary(BinaryOp(op), p, y, in[0], in[1])
				return y
			})
			want := make([]float64, n)
			for i := range want {
				want[i] = f[op](in[0][at(out, c[1], i)], in[1][at(out, c[2], i)])
				if (op == int(Max) || op == int(Min)) && (in[0][at(out, c[1], i)] != in[0][at(out, c[1], i)] || in[1][at(out, c[2], i)] != in[1][at(out, c[2], i)]) {
					want[i] = nan // math.Max(+Inf, NaN) is +Inf
				}
			}
			sameBits(t, fmt.Sprintf("op %d %v", op, c), got, want)
		}
		for op := range cmps {
			y := make([]bool, n)
			Compare(CompareOp(op), p, y, in[0], in[1])
			for i := range y {
				if a, b := in[0][at(out, c[1], i)], in[1][at(out, c[2], i)]; y[i] != cmps[op](a, b) {
					t.Fatalf("comparison %d of %v and %v in %v is %v", op, a, b, c, y[i])
				}
			}
		}
		mask := make([]bool, sizeOf(c[1]))
		for i := range mask {
			mask[i] = r.IntN(2) == 0
		}
		q := PlanBroadcast(out, c[1], c[2], c[3])
		y := withThreads(t, fmt.Sprint(c), func() []float64 {
			y := make([]float64, n)
			Select(q, y, mask, in[1], in[2])
			return y
		})
		for i := range y {
			want := in[2][at(out, c[3], i)]
			if mask[at(out, c[1], i)] {
				want = in[1][at(out, c[2], i)]
			}
			sameBits(t, "select", y[i:i+1], []float64{want})
		}
		e := make([]float64, n)
		Expand(PlanBroadcast(out, c[2]), e, in[1])
		for i := range e {
			sameBits(t, "expand", e[i:i+1], in[1][at(out, c[2], i):][:1])
		}
	}
}

func TestBinaryInPlace(t *testing.T) {
	x := []float32{1, 2, 3, 4}
	Binary(Sub, PlanBroadcast([]int{2, 2}, []int{2, 2}, []int{1, 2}), x, x, []float32{1, 1})
	sameBits(t, "in place", x, []float32{0, 1, 2, 3})
}

func TestNoAllocations(t *testing.T) {
	x, y, idx := make([]float32, 4096), make([]float32, 4096), make([]int64, 1024)
	s := make([]float32, 8192)
	p := PlanBroadcast([]int{64, 64}, []int{64, 64}, []int{1, 64})
	pool := Pool2DParams{N: 4, C: 4, H: 16, W: 16, KH: 2, KW: 2, StrideH: 2, StrideW: 2, OutH: 8, OutW: 8}
	maxPool, avgPool := NewMaxPool2D[float32](pool, nil), NewAvgPool2D[float32](pool, true, nil)
	shape, axes, perm := []int{64, 64}, []int{0}, []int{1, 0}
	for name, f := range map[string]func(){
		"Gemm":      func() { Gemm(false, false, 16, 16, 16, x, x, y) },
		"Unary":     func() { Unary(Neg, y, x) },
		"Binary":    func() { Binary(Add, p, y, x, x) },
		"MaxPool2D": func() { maxPool.MaxRun(y, idx, x) },
		"AvgPool2D": func() { avgPool.AvgRun(y, x) },
		"Softmax":   func() { Softmax(y, x, 64, 64) },
		"Reduce":    func() { Reduce(Sum, y, x, shape, axes, s) },
		"Transpose": func() { Transpose(y, x, shape, perm) },
	} {
		if n := testing.AllocsPerRun(10, f); n != 0 {
			t.Errorf("%s: %v allocations", name, n)
		}
	}
}

func BenchmarkUnary(b *testing.B) {
	r := newRand(1)
	x := randSlice[float32](r, 64*6*28*28)
	y := make([]float32, len(x))
	for name, op := range map[string]UnaryOp{"relu": ReLU, "exp": Exp, "tanh": Tanh, "sigmoid": Sigmoid, "log": Log, "erf": Erf} {
		b.Run(name, func(b *testing.B) {
			SetThreads(1)
			defer SetThreads(0)
			for b.Loop() {
				Unary(op, y, x)
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(len(x)), "ns/elem")
		})
	}
}

func BenchmarkBinary(b *testing.B) {
	r := newRand(1)
	x := randSlice[float32](r, 64*6*28*28)
	y := make([]float32, len(x))
	bias := randSlice[float32](r, 6)
	p := PlanBroadcast([]int{64, 6, 28, 28}, []int{64, 6, 28, 28}, []int{1, 6, 1, 1})
	SetThreads(1)
	defer SetThreads(0)
	for b.Loop() {
		Binary(Add, p, y, x, bias)
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(len(x)), "ns/elem")
}
