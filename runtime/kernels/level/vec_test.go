package level

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"
	"unsafe"

	"github.com/graphrun/graphrun/runtime/kernels/backend"
	"github.com/graphrun/graphrun/runtime/kernels/backend/plain"
)

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

func randomFloat[T backend.Float](r *rand.Rand) T {
	if r.IntN(4) == 0 {
		return T(vecSpecials[r.IntN(len(vecSpecials))])
	}
	return T(r.NormFloat64() * 3)
}

// ulps is the distance of got and want in units in the last place of T.
func ulps[T backend.Float](got, want T) float64 {
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

// vecCase is a primitive with the plain one, and the number of its operands; scalars says which are scalars.
type vecCase struct {
	name      string
	got, want backend.Vec
	scalars   [3]bool
	args      int
	cond      bool // whether the first operand is truth values
	ulps      float64
}

// present returns the primitives that both of some levels have, and fails where one has it and the other does not.
func present(t *testing.T, name string, got, want backend.Primitive) bool {
	t.Helper()
	if (got.Do == nil) != (want.Do == nil) {
		t.Fatalf("%s: the level has it: %v, plain Go: %v", name, got.Do != nil, want.Do != nil)
	}
	return got.Do != nil
}

func unaryCases(t *testing.T, got, want *backend.Elements) (cases []vecCase) {
	for op := range backend.UnaryOps {
		u := 0.0
		switch op {
		case backend.Rsqrt:
			u = 1
		case backend.Exp, backend.Expm1, backend.Log, backend.Log1p, backend.Tanh, backend.Sigmoid, backend.Erf:
			u = 4
		}
		if c := (vecCase{name: op.String(), got: got.Unary[op].Do, want: want.Unary[op].Do, args: 1, ulps: u}); present(t, c.name, got.Unary[op], want.Unary[op]) {
			cases = append(cases, c)
		}
	}
	return cases
}

func binaryCases(t *testing.T, got, want *backend.Elements) (cases []vecCase) {
	for op := range backend.BinaryOps {
		for form := range backend.SS {
			c := vecCase{
				name: fmt.Sprint(op, form), got: got.Binary[op][form].Do, want: want.Binary[op][form].Do, args: 2,
				scalars: [3]bool{form == backend.SV, form == backend.VS},
			}
			if present(t, c.name, got.Binary[op][form], want.Binary[op][form]) {
				cases = append(cases, c)
			}
		}
	}
	return cases
}

func ternaryCases(t *testing.T, got, want *backend.Elements) (cases []vecCase) {
	for op := range backend.TernaryOps {
		for form := range backend.Forms {
			c := vecCase{
				name: fmt.Sprint("ternary ", op, form), got: got.Ternary[op][form].Do, want: want.Ternary[op][form].Do, args: 3,
				scalars: [3]bool{false, form >= backend.SV, form == backend.VS || form == backend.SS},
			}
			if present(t, c.name, got.Ternary[op][form], want.Ternary[op][form]) {
				cases = append(cases, c)
			}
		}
	}
	return cases
}

func selectCases(t *testing.T, got, want *backend.Elements) (cases []vecCase) {
	for form := range backend.Forms {
		c := vecCase{
			name: fmt.Sprint("select ", form), got: got.Select[form].Do, want: want.Select[form].Do, args: 3, cond: true,
			scalars: [3]bool{false, form >= backend.SV, form == backend.VS || form == backend.SS},
		}
		if present(t, c.name, got.Select[form], want.Select[form]) {
			cases = append(cases, c)
		}
	}
	return cases
}

func logicCases(t *testing.T, got, want *backend.Elements) (cases []vecCase) {
	for op := range backend.LogicOps {
		c := vecCase{name: op.String(), got: got.Logic[op].Do, want: want.Logic[op].Do, args: 2}
		if present(t, c.name, got.Logic[op], want.Logic[op]) {
			cases = append(cases, c)
		}
	}
	return cases
}

// apart is the distance of two elements: in units in the last place if they are floats.
func apart[T comparable](got, want T) float64 {
	switch g := any(got).(type) {
	case float32:
		return ulps(g, any(want).(float32))
	case float64:
		return ulps(g, any(want).(float64))
	}
	if got == want {
		return 0
	}
	return math.Inf(1)
}

// testVecs runs primitives on operands of one type, and results of another.
func testVecs[T, R comparable](t *testing.T, cases []vecCase, random func(r *rand.Rand) T) {
	t.Helper()
	if len(cases) == 0 {
		t.Fatal("there are none")
	}
	r := rand.New(rand.NewPCG(1, 2))
	for _, c := range cases {
		for _, n := range vecLengths() {
			var in [3][]T
			var guards []func() bool
			for i := range in {
				k := n
				if c.scalars[i] {
					k = 1
				}
				x, whole := misaligned(k, func(int) T { return random(r) })
				if i == 1 && !c.scalars[0] && !c.scalars[1] { // some are equal, for comparisons
					for j := range x {
						if r.IntN(4) == 0 {
							x[j] = in[0][j]
						}
					}
				}
				in[i], guards = x, append(guards, whole)
			}
			m, whole := misaligned(n, func(int) bool { return r.IntN(2) == 0 })
			guards = append(guards, whole)
			var zero R
			y, whole := misaligned(n, func(int) R { return zero })
			guards = append(guards, whole)
			bytes := unsafe.Slice(ptr(y), n*int(unsafe.Sizeof(zero)))
			for i := range bytes {
				bytes[i] = 0x77
			}
			want := make([]R, n)
			a := ptr(in[0])
			if c.cond {
				a = ptr(m)
			}
			c.want(n, ptr(want), a, ptr(in[1]), ptr(in[2]))
			c.got(n, ptr(y), a, ptr(in[1]), ptr(in[2]))
			for i := range y {
				if d := apart(y[i], want[i]); !(d <= c.ulps) {
					t.Fatalf("%s, n %d: element %d of %v %v %v is %v, want %v: %.2g ulp", c.name, n, i,
						in[0][i%len(in[0])], in[1][i%len(in[1])], in[2][i%len(in[2])], y[i], want[i], d)
				}
			}
			for i, whole := range guards {
				if !whole() {
					t.Fatalf("%s, n %d: writes outside, near operand %d", c.name, n, i)
				}
			}
			result, alike := any(y).([]T)
			for i := range c.args { // in place
				if !alike || c.scalars[i] || c.cond && i == 0 {
					continue
				}
				x := append([]T(nil), in[i]...)
				args := [3]*byte{a, ptr(in[1]), ptr(in[2])}
				args[i] = ptr(x)
				c.got(n, args[i], args[0], args[1], args[2])
				for k := range x {
					if d := apart(x[k], result[k]); d != 0 {
						t.Fatalf("%s, n %d: in place of operand %d, element %d is %v, want %v", c.name, n, i, k, x[k], result[k])
					}
				}
			}
		}
	}
}

// compareCases are comparisons, whose results are bytes 0 and 1.
func compareCases(t *testing.T, got, want *backend.Elements) (cases []vecCase) {
	for op := range backend.CompareOps {
		for form := range backend.SV {
			c := vecCase{name: fmt.Sprint(op, form), got: got.Compare[op][form].Do, want: want.Compare[op][form].Do, args: 2, scalars: [3]bool{false, form == backend.VS}}
			if present(t, c.name, got.Compare[op][form], want.Compare[op][form]) {
				cases = append(cases, c)
			}
		}
	}
	return cases
}

func castCase(t *testing.T, name string, got, want backend.Primitive) []vecCase {
	if !present(t, name, got, want) {
		t.Fatalf("there is no cast %s", name)
	}
	return []vecCase{{name: name, got: got.Do, want: want.Do, args: 1}}
}

func testFolds[T backend.Float](t *testing.T, e *backend.Elements) {
	r := rand.New(rand.NewPCG(5, 6))
	for _, op := range []backend.ReduceOp{backend.Sum, backend.MaxOf, backend.MinOf} {
		f := e.Fold[op].Do
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
				want := plain.Fold(op, a)
				d := math.Abs(float64(y[0] - want))
				eps := 0x1p-52
				if unsafe.Sizeof(want) == 4 {
					eps = 0x1p-23
				}
				if ulps(y[0], want) != 0 && (op != backend.Sum || !(d <= 8*eps*sum)) || !whole() {
					t.Fatalf("reduction %d, n %d: %v, want %v", op, n, y[0], want)
				}
			}
		}
	}
}

// TestFoldOrder says what the tree of a sum is, in which all instruction sets agree.
func TestFoldOrder(t *testing.T) { testFoldOrder(t) }

func testFoldOrder(t *testing.T) {
	fold := Table().Vecs.F32.Fold[backend.Sum].Do
	if !own(fold, whole.Vecs.F32.Fold[backend.Sum].Do) {
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
		fold(n, (*byte)(unsafe.Pointer(&y)), ptr(x), nil, nil)
		if y != acc[0] {
			t.Fatalf("n %d: %v, want %v", n, y, acc[0])
		}
	}
}

// TestVecAccuracy holds the polynomials against the errors that the documentation of package avx states, over float32 from end to end.
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
			op   backend.UnaryOp
			name string
			want func(float64) float64
			ulps float64
		}{
			{backend.Exp, "exp", math.Exp, 1.02},
			{backend.Expm1, "expm1", math.Expm1, 1.43},
			{backend.Log, "log", math.Log, 0.83},
			{backend.Log1p, "log1p", math.Log1p, 0.85},
			{backend.Tanh, "tanh", math.Tanh, 2.42},
			{backend.Sigmoid, "sigmoid", sigmoid, 2.41},
			{backend.Erf, "erf", math.Erf, 1.13},
		} {
			v := Table().Vecs.F32.Unary[f.op].Do
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
	run := func(name string, f backend.Vec) {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				f(n, ptr(in[0]), ptr(in[1]), ptr(in[2]), ptr(in[3]))
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/n, "ns/elem")
		})
	}
	v := &Table().Vecs.F32
	run("copy", func(_ int, _, _, _, _ *byte) { copy(in[0], in[1]) })
	run("add", v.Binary[backend.Add][backend.VV].Do)
	run("max", v.Binary[backend.Max][backend.VV].Do)
	run("div", v.Binary[backend.Div][backend.VV].Do)
	run("muladd", v.Ternary[backend.MulAdd][backend.VV].Do)
	run("sum", v.Fold[backend.Sum].Do)
	run("less", v.Compare[backend.Less][backend.VV].Do)
	for name, op := range map[string]backend.UnaryOp{
		"sqrt": backend.Sqrt, "exp": backend.Exp, "expm1": backend.Expm1, "log": backend.Log, "log1p": backend.Log1p, "tanh": backend.Tanh,
		"sigmoid": backend.Sigmoid, "erf": backend.Erf,
	} {
		run(name, v.Unary[op].Do)
	}
}
