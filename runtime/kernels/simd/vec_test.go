package simd

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"
	"unsafe"

	"github.com/graphrun/graphrun/runtime/kernels/portable"
)

// eachLevel runs a test at every level of this processor.
func eachLevel(t *testing.T, f func(t *testing.T)) {
	before := level
	defer setLevel(before)
	for _, l := range supported() {
		setLevel(l)
		t.Run(l, f)
	}
}

// vecLengths are lengths round the vectors, blocks and tails of primitives.
func vecLengths() []int {
	ls := make([]int, 100, 104)
	for i := range ls {
		ls[i] = i + 1
	}
	return append(ls, 255, 256, 1000, 2048)
}

const guardElems = 16

// misaligned returns n elements that start one element behind a multiple of 64 bytes, with guards round them, and a function that
// says whether the guards are whole.
func misaligned[T any](n int, fill func(i int) T) ([]T, func() bool) {
	var zero T
	size := int(unsafe.Sizeof(zero))
	buf := make([]byte, 128+(n+2*guardElems)*size)
	for i := range buf {
		buf[i] = 0xA5
	}
	off := int(-uintptr(unsafe.Pointer(&buf[0]))&63) + guardElems*size + size
	x := unsafe.Slice((*T)(unsafe.Pointer(&buf[off])), n)
	for i := range x {
		x[i] = fill(i)
	}
	return x, func() bool {
		for i, b := range buf {
			if (i < off || i >= off+n*size) && b != 0xA5 {
				return false
			}
		}
		return true
	}
}

func ptr[T any](x []T) *byte { return (*byte)(unsafe.Pointer(unsafe.SliceData(x))) }

var vecSpecials = []float64{
	0, math.Copysign(0, -1), math.NaN(), math.Inf(1), math.Inf(-1), 1, -1, 0.5, -0.5, 1.5, 2.5, -2.5, 1e-40, -1e-40, 0x1p-149, -0x1p-149,
	0x1p-126, 3e38, -3e38, 88, 88.7, 89, -87.4, -103, -104, -110, 0x1p23, 0x1p24 + 2, -0x1p23 - 1, 1e-8, -0.9999999, 0.999, 1.0001, 9.5, 17,
}

func randomFloat[T portable.Float](r *rand.Rand) T {
	if r.IntN(4) == 0 {
		return T(vecSpecials[r.IntN(len(vecSpecials))])
	}
	return T(r.NormFloat64() * 3)
}

// ulps is the distance of got and want in units in the last place of T.
func ulps[T portable.Float](got, want T) float64 {
	g, w := float64(got), float64(want)
	switch {
	case g != g && w != w, g == w && math.Signbit(g) == math.Signbit(w):
		return 0
	case math.IsInf(g, 0) || math.IsInf(w, 0) || g != g || w != w || g == w:
		return math.Inf(1)
	}
	next := math.Nextafter(math.Abs(w), math.Inf(1)) - math.Abs(w)
	if unsafe.Sizeof(got) == 4 {
		next = float64(math.Nextafter32(float32(math.Abs(w)), float32(math.Inf(1)))) - math.Abs(w)
	}
	return math.Abs(g-w) / next
}

// vecCase is a primitive, by what it must agree with, and the number of its operands; scalars says which are scalars.
type vecCase[T portable.Float] struct {
	name    string
	f       Vec
	scalars [3]bool
	args    int
	cond    bool // whether the first operand is truth values
	want    func(y, a, b, c []T, m []bool)
	ulps    float64
}

func floatCases[T portable.Float]() (cases []vecCase[T]) {
	for op := portable.Neg; op <= portable.Trunc; op++ {
		u := 0.0
		if op == portable.Rsqrt {
			u = 1
		}
		if op >= portable.Exp && op != portable.ReLU && op < portable.Floor {
			u = 4
		}
		cases = append(cases, vecCase[T]{
			name: fmt.Sprint("unary ", op), f: UnaryVec[T](op), args: 1, ulps: u,
			want: func(y, a, _, _ []T, _ []bool) { portable.Unary(op, y, a) },
		})
	}
	for op := portable.Add; op <= portable.Min; op++ {
		for form := portable.VV; form <= portable.SV; form++ {
			cases = append(cases, vecCase[T]{
				name: fmt.Sprint("binary ", op, form), f: BinaryVec[T](op, form), args: 2,
				scalars: [3]bool{form == portable.SV, form == portable.VS},
				want:    func(y, a, b, _ []T, _ []bool) { portable.Binary(op, form, y, a, b) },
			})
		}
	}
	for form := portable.VV; form <= portable.SS; form++ {
		scalars := [3]bool{false, form >= portable.SV, form == portable.VS || form == portable.SS}
		for op := portable.MulAdd; op <= portable.SubMul; op++ {
			cases = append(cases, vecCase[T]{
				name: fmt.Sprint("ternary ", op, form), f: TernaryVec[T](op, form), args: 3, scalars: scalars,
				want: func(y, a, b, c []T, _ []bool) { portable.Ternary(op, form, y, a, b, c) },
			})
		}
		cases = append(cases, vecCase[T]{
			name: fmt.Sprint("select ", form), f: choose[T](form), args: 3, scalars: scalars, cond: true,
			want: func(y, _, b, c []T, m []bool) { portable.Select(form, y, m, b, c) },
		})
	}
	return cases
}

func choose[T portable.Float](form portable.Form) Vec {
	var zero T
	if unsafe.Sizeof(zero) == 4 {
		return SelectVec[float32](form)
	}
	return SelectVec[float64](form)
}

func testFloatVecs[T portable.Float](t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for _, c := range floatCases[T]() {
		for _, n := range vecLengths() {
			var in [3][]T
			var guards []func() bool
			for i := range in {
				k := n
				if c.scalars[i] {
					k = 1
				}
				x, whole := misaligned(k, func(int) T { return randomFloat[T](r) })
				in[i], guards = x, append(guards, whole)
			}
			m, whole := misaligned(n, func(int) bool { return r.IntN(2) == 0 })
			guards = append(guards, whole)
			y, whole := misaligned(n, func(int) T { return 77 })
			guards = append(guards, whole)
			want := make([]T, n)
			c.want(want, in[0], in[1], in[2], m)
			a := ptr(in[0])
			if c.cond {
				a = ptr(m)
			}
			c.f(n, ptr(y), a, ptr(in[1]), ptr(in[2]))
			for i := range y {
				if d := ulps(y[i], want[i]); !(d <= c.ulps) {
					t.Fatalf("%s, n %d: element %d of %v %v %v is %v, want %v: %.2g ulp", c.name, n, i,
						in[0][i%len(in[0])], in[1][i%len(in[1])], in[2][i%len(in[2])], y[i], want[i], d)
				}
			}
			for i, whole := range guards {
				if !whole() {
					t.Fatalf("%s, n %d: writes outside, near operand %d", c.name, n, i)
				}
			}
			for i := range c.args { // in place
				if c.scalars[i] || c.cond && i == 0 {
					continue
				}
				x := append([]T(nil), in[i]...)
				args := [3]*byte{a, ptr(in[1]), ptr(in[2])}
				args[i] = ptr(x)
				c.f(n, args[i], args[0], args[1], args[2])
				for k := range x {
					if d := ulps(x[k], y[k]); d != 0 {
						t.Fatalf("%s, n %d: in place of operand %d, element %d is %v, want %v", c.name, n, i, k, x[k], y[k])
					}
				}
			}
		}
	}
}

func testCompareVecs[T float32 | float64](t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	for op := portable.Equal; op <= portable.GreaterEqual; op++ {
		for form := portable.VV; form <= portable.VS; form++ {
			f := CompareVec[T](op, form)
			for _, n := range vecLengths() {
				a, _ := misaligned(n, func(int) T { return randomFloat[T](r) })
				b, _ := misaligned(n, func(i int) T {
					if r.IntN(2) == 0 {
						return a[i]
					}
					return randomFloat[T](r)
				})
				y, whole := misaligned(n, func(int) bool { return true })
				want := make([]bool, n)
				portable.Compare(op, form, want, a, b)
				f(n, ptr(y), ptr(a), ptr(b), nil)
				for i, v := range elems[byte](ptr(y), n) {
					if v > 1 || (v == 1) != want[i] {
						t.Fatalf("comparison %d form %d, n %d: element %d is %d, want %v", op, form, n, i, v, want[i])
					}
				}
				if !whole() {
					t.Fatalf("comparison %d form %d, n %d: writes outside", op, form, n)
				}
			}
		}
	}
}

func testFoldVecs[T portable.Float](t *testing.T) {
	r := rand.New(rand.NewPCG(5, 6))
	for _, op := range []portable.ReduceOp{portable.Sum, portable.MaxOf, portable.MinOf} {
		f := FoldVec[T](op)
		for _, n := range vecLengths() {
			for _, special := range []bool{false, true} {
				sum := 0.0
				a, _ := misaligned(n, func(int) T {
					x := T(r.NormFloat64())
					if special {
						x = randomFloat[T](r)
					}
					sum += math.Abs(float64(x))
					return x
				})
				y, whole := misaligned(1, func(int) T { return 77 })
				f(n, ptr(y), ptr(a), nil, nil)
				want := portable.Fold(op, a)
				d := math.Abs(float64(y[0] - want))
				eps := 0x1p-52
				if unsafe.Sizeof(want) == 4 {
					eps = 0x1p-23
				}
				if ulps(y[0], want) != 0 && (op != portable.Sum || !(d <= 8*eps*sum)) || !whole() {
					t.Fatalf("reduction %d, n %d: %v, want %v", op, n, y[0], want)
				}
			}
		}
	}
}

func TestVecs(t *testing.T) {
	eachLevel(t, func(t *testing.T) {
		t.Run("f32", testFloatVecs[float32])
		t.Run("f64", testFloatVecs[float64])
		t.Run("compare f32", testCompareVecs[float32])
		t.Run("compare f64", testCompareVecs[float64])
		t.Run("fold f32", testFoldVecs[float32])
		t.Run("fold f64", testFoldVecs[float64])
	})
}

// TestFoldOrder says what the tree of a sum is, in which all instruction sets agree.
func TestFoldOrder(t *testing.T) {
	if !Available() {
		t.Skip("plain Go sums in an order of its own")
	}
	r := rand.New(rand.NewPCG(7, 8))
	for _, n := range vecLengths() {
		x := make([]float32, n)
		var acc [32]float32
		for i := range x {
			x[i] = r.Float32() - 0.5
			acc[i%32] += x[i]
		}
		for m := 16; m > 0; m /= 2 {
			for i := range m {
				acc[i] += acc[i+m]
			}
		}
		var y float32
		FoldVec[float32](portable.Sum)(n, (*byte)(unsafe.Pointer(&y)), ptr(x), nil, nil)
		if y != acc[0] {
			t.Fatalf("n %d: %v, want %v", n, y, acc[0])
		}
	}
}

// TestVecAccuracy holds the polynomials against the errors that the documentation of Vec states, over float32 from end to end.
func TestVecAccuracy(t *testing.T) {
	step := uint64(2049)
	if testing.Short() {
		step = 65_537
	}
	sigmoid := func(x float64) float64 {
		if x < 0 {
			return math.Exp(x) / (1 + math.Exp(x))
		}
		return 1 / (1 + math.Exp(-x))
	}
	eachLevel(t, func(t *testing.T) {
		for _, f := range []struct {
			op   portable.UnaryOp
			name string
			want func(float64) float64
			ulps float64
		}{
			{portable.Exp, "exp", math.Exp, 1.02},
			{portable.Expm1, "expm1", math.Expm1, 1.43},
			{portable.Log, "log", math.Log, 0.83},
			{portable.Log1p, "log1p", math.Log1p, 0.85},
			{portable.Tanh, "tanh", math.Tanh, 2.42},
			{portable.Sigmoid, "sigmoid", sigmoid, 2.41},
			{portable.Erf, "erf", math.Erf, 1.13},
		} {
			v := UnaryVec[float32](f.op)
			worst, at := 0.0, float32(0)
			x, y := make([]float32, 1024), make([]float32, 1024)
			for b := uint64(0); b < 1<<32; {
				for i := range x {
					x[i] = math.Float32frombits(uint32(min(b, 1<<32-1)))
					b += step
				}
				v(len(x), ptr(y), ptr(x), nil, nil)
				for i, x := range x {
					want := f.want(float64(x))
					if w := float32(want); y[i] == w && math.Signbit(float64(w)) == math.Signbit(float64(y[i])) || y[i] != y[i] && w != w {
						if w == 0 || w != w || math.IsInf(want, 0) || w != y[i] {
							continue
						}
					}
					w := math.Abs(want)
					e := float64(math.Nextafter32(float32(w), float32(math.Inf(1))) - float32(w))
					if math.IsInf(float64(float32(w)), 0) { // beyond the largest float32
						e = 0x1p104
						if !math.IsInf(float64(y[i]), 0) {
							w = 0x1p128
						} else {
							continue
						}
					}
					d := math.Abs(float64(y[i])-math.Copysign(w, want)) / e
					if math.Signbit(float64(y[i])) != math.Signbit(want) || d != d {
						d = math.Inf(1)
					}
					if d > worst {
						worst, at = d, x
					}
				}
			}
			t.Logf("%s: %.3f ulp at %v", f.name, worst, at)
			if !(worst <= f.ulps) {
				t.Errorf("%s is off by %.3f ulp at %v, by at most %v is promised", f.name, worst, at, f.ulps)
			}
		}
	})
}

func BenchmarkVec(b *testing.B) {
	const n = 1024
	r := rand.New(rand.NewPCG(1, 2))
	var in [4][]float32
	for i := range in {
		in[i] = make([]float32, n)
		for k := range in[i] {
			in[i][k] = float32(r.NormFloat64())
		}
	}
	run := func(name string, f Vec) {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				f(n, ptr(in[0]), ptr(in[1]), ptr(in[2]), ptr(in[3]))
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/n, "ns/elem")
		})
	}
	run("copy", func(_ int, _, _, _, _ *byte) { copy(in[0], in[1]) })
	run("add", BinaryVec[float32](portable.Add, portable.VV))
	run("max", BinaryVec[float32](portable.Max, portable.VV))
	run("div", BinaryVec[float32](portable.Div, portable.VV))
	run("muladd", TernaryVec[float32](portable.MulAdd, portable.VV))
	run("sum", FoldVec[float32](portable.Sum))
	run("less", CompareVec[float32](portable.Less, portable.VV))
	for name, op := range map[string]portable.UnaryOp{
		"sqrt": portable.Sqrt, "exp": portable.Exp, "expm1": portable.Expm1, "log": portable.Log, "log1p": portable.Log1p, "tanh": portable.Tanh,
		"sigmoid": portable.Sigmoid, "erf": portable.Erf,
	} {
		run(name, UnaryVec[float32](op))
	}
}
