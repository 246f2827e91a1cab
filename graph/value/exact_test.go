package value

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

// allCodes returns a tensor with every code of a dtype, or many of them.
func allCodes(t testing.TB, dt DType) *Tensor {
	t.Helper()
	switch {
	case dt == String:
		return must[*Tensor](t)(FromSlice([]string{"", "a", "\x00\xff\"\\\n", "é\u2028😀", "], [", "nan"}, 6))
	case dt == Bool:
		return must[*Tensor](t)(FromSlice([]bool{true, false}, 2))
	}
	cs := codes(dt)
	x := must[*Tensor](t)(New(dt, len(cs)))
	for i, c := range cs {
		x.setCode(i, c)
	}
	return x
}

func TestExactKeepsBits(t *testing.T) {
	for _, dt := range DTypes() {
		x := allCodes(t, dt)
		e := x.Exact()
		if e.Len() != x.Len() || e.DType != dt || !slices.Equal(e.Shape, x.Shape()) {
			t.Fatalf("%s: got %v", dt, e)
		}
		if got := e.Tensor(); !got.Equal(x) {
			t.Errorf("%s: got %v, want %v", dt, got, x)
		}
		c := e.Clone()
		c.Round()
		if got := c.Tensor(); !got.Equal(x) {
			t.Errorf("%s: rounding changes what is round", dt)
		}
		same := must[*Exact](t)(Convert(e, dt))
		if got := same.Tensor(); !got.Equal(x) {
			t.Errorf("%s: converting to itself changes it", dt)
		}
	}
}

func TestWrap(t *testing.T) {
	for _, test := range []struct {
		dt   DType
		x    int64
		want int64
	}{
		{I2, 1, 1},
		{I2, 2, -2},
		{I2, -3, 1},
		{I4, 8, -8},
		{I4, -9, 7},
		{I8, 128, -128},
		{I8, 255, -1},
		{I16, 1 << 15, -1 << 15},
		{I32, 1 << 31, -1 << 31},
		{I32, 1<<40 + 5, 5},
		{I64, math.MinInt64, math.MinInt64},
		{U2, 5, 1},
		{U4, -1, 15},
		{U8, 256, 0},
		{U8, -1, 255},
		{U16, 1<<16 + 1, 1},
		{U32, -1, math.MaxUint32},
	} {
		e := NewExact(test.dt, nil)
		if test.dt.Domain() == Ints {
			e.I[0] = test.x
		} else {
			e.U[0] = uint64(test.x)
		}
		direct := e.Tensor()
		e.Round()
		if got := int64(e.bitsAt(0, test.dt)); got != test.want {
			t.Errorf("%s: %d wraps to %d, want %d", test.dt, test.x, got, test.want)
		}
		if !direct.Equal(e.Tensor()) {
			t.Errorf("%s: %d: Tensor wraps otherwise than Round", test.dt, test.x)
		}
	}
}

func TestRoundFloats(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 4))
	for _, dt := range floatDTypes {
		e := NewExact(dt, []int{1000})
		for i := range e.F {
			e.F[i] = rng.NormFloat64() * 100
		}
		direct := e.Tensor()
		e.Round()
		if !direct.Equal(e.Tensor()) {
			t.Errorf("%s: Tensor rounds otherwise than Round", dt)
		}
	}
}

func TestConvert(t *testing.T) {
	inf, nan := math.Inf(1), math.NaN()
	floats := func(dt DType, xs ...float64) *Exact { return &Exact{DType: dt, Shape: []int{len(xs)}, F: xs} }
	ints := func(dt DType, xs ...int64) *Exact { return &Exact{DType: dt, Shape: []int{len(xs)}, I: xs} }
	uints := func(dt DType, xs ...uint64) *Exact { return &Exact{DType: dt, Shape: []int{len(xs)}, U: xs} }
	bools := func(xs ...bool) *Exact { return &Exact{DType: Bool, Shape: []int{len(xs)}, B: xs} }
	text := func(xs ...string) *Exact { return &Exact{DType: String, Shape: []int{len(xs)}, S: xs} }
	for _, test := range []struct{ from, want *Exact }{
		{floats(F64, 1.9, -1.9, 127, 128, 300, -129, nan, inf, -inf), ints(I8, 1, -1, 127, -128, 44, 127, 0, -1, 0)},
		{floats(F64, -9, 8, 15), ints(I4, 7, -8, -1)},
		{floats(F64, 1.9, -1, 256, nan, inf), uints(U8, 1, 255, 0, 0, 255)},
		{floats(F64, 1e18, -1e30, 1e30), ints(I64, 1e18, math.MinInt64, math.MaxInt64)},
		{floats(F64, 1<<63, 0x1.fffffffffffffp63, -1, 1e30), uints(U64, 1<<63, 1<<64-1<<11, math.MaxUint64, math.MaxUint64)},
		{floats(F32, 0, math.Copysign(0, -1), 0.5, nan), bools(false, false, true, true)},
		{ints(I32, 0, -1), bools(false, true)},
		{uints(U4, 0, 15), bools(false, true)},
		{bools(true, false), floats(F16, 1, 0)},
		{bools(true, false), ints(I2, 1, 0)},
		{bools(true, false), uints(U64, 1, 0)},
		{ints(I64, -1, 1<<40+3), uints(U16, 65535, 3)},
		{uints(U64, math.MaxUint64, 200), ints(I8, -1, -56)},
		{ints(I64, 1<<53+1, -70000), floats(F64, 1<<53, -70000)},
		{ints(I64, 70000, -70000), floats(F16, inf, -inf)},
		{floats(F64, 1+0x1p-11+0x1p-40, 65520, nan), floats(F16, 1+0x1p-10, inf, nan)},
		{floats(F64, 1e300, 0.1), floats(F32, inf, float64(float32(0.1)))},
		// ONNX's table for the 8-bit floats.
		{floats(F32, 0, 1e6, -1e6, inf, -inf, nan, 0.4789), floats(F8E4M3FN, 0, 448, -448, 448, -448, nan, 0.46875)},
		{floats(F32, 0, 1e6, -1e6, inf, -inf, nan, 0.4789), floats(F8E4M3FNUZ, 0, 240, -240, 240, -240, nan, 0.46875)},
		{floats(F32, 0, 1e6, -1e6, inf, -inf, nan, 0.4789), floats(F8E5M2, 0, 57344, -57344, 57344, -57344, nan, 0.5)},
		{floats(F32, 0, 1e6, -1e6, inf, -inf, nan, 0.4789), floats(F8E5M2FNUZ, 0, 57344, -57344, 57344, -57344, nan, 0.5)},
		{floats(F32, 0.48, 0.25, 1.05, -3.5, -8, 9, inf, -inf, nan), floats(F4E2M1, 0.5, 0, 1, -4, -6, 6, 6, -6, 0)},
		{floats(F8E5M2, inf), floats(F8E5M2, inf)},
		{ints(I64, -5, math.MinInt64), text("-5", "-9223372036854775808")},
		{uints(U64, math.MaxUint64), text("18446744073709551615")},
		{bools(true, false), text("true", "false")},
		{floats(F32, float64(float32(0.1)), 1, nan, inf, 1e30), text("0.1", "1", "nan", "inf", "1e+30")},
		{floats(F16, 0.0999755859375), text("0.1")},
		{text(" 1.5 ", "-INF", "+inf", "NaN", "1e400", "0x1p-2"), floats(F64, 1.5, -inf, inf, nan, inf, 0.25)},
		{text("0.1", "1e39"), floats(F32, float64(float32(0.1)), inf)},
		{text("-128", "100.9", "1e2", "-0.5"), ints(I8, -128, 100, 100, 0)},
		{text("255", "3.99"), uints(U8, 255, 3)},
		{text("9223372036854775807"), ints(I64, math.MaxInt64)},
		{text("true", "0"), bools(true, false)},
		{text("a", ""), text("a", "")},
	} {
		got, err := Convert(test.from, test.want.DType)
		if err != nil {
			t.Errorf("%v to %s: %v", test.from, test.want.DType, err)
			continue
		}
		if diff := cmp.Diff(test.want, got, cmpopts.EquateNaNs()); diff != "" {
			t.Errorf("%v to %s:\n%s", test.from, test.want.DType, diff)
		}
	}
	for _, test := range []struct {
		from *Exact
		to   DType
		want string
	}{
		{text("1", "Hello World!"), F32, `element 1, "Hello World!", to f32: invalid syntax`},
		{text("128"), I8, "out of range"},
		{text("128.5"), I8, "out of range"},
		{text("nan"), I8, "out of range"},
		{text("-1"), U8, "out of range"},
		{text("256"), U8, "out of range"},
		{text("1e20"), U64, "out of range"},
		{text("x"), U8, "invalid syntax"},
		{text("2"), Bool, "invalid syntax"},
		{text("2"), Invalid, "not a dtype"},
		{&Exact{}, F32, "not a dtype"},
		{&Exact{DType: F32, Shape: []int{3}, F: []float64{1}}, I8, "has 3 elements, have 1"},
	} {
		_, err := Convert(test.from, test.to)
		wantErr(t, err, test.want)
	}
}

// TestConvertNoSaturate compares with ONNX's table for saturate = 0.
func TestConvertNoSaturate(t *testing.T) {
	inf, nan := math.Inf(1), math.NaN()
	from := &Exact{DType: F32, Shape: []int{6}, F: []float64{1, 1e6, -1e6, inf, -inf, nan}}
	for dt, want := range map[DType][]float64{
		F8E4M3FN:   {1, nan, nan, nan, nan, nan},
		F8E4M3FNUZ: {1, nan, nan, nan, nan, nan},
		F8E5M2:     {1, inf, -inf, inf, -inf, nan},
		F8E5M2FNUZ: {1, nan, nan, nan, nan, nan},
		F16:        {1, inf, -inf, inf, -inf, nan},
	} {
		got := must[*Exact](t)(ConvertMode(from, dt, CastMode{NoSaturate: true}))
		if diff := cmp.Diff(want, got.F, cmpopts.EquateNaNs()); diff != "" {
			t.Errorf("%s: %s", dt, diff)
		}
	}
	got := must[*Exact](t)(ConvertMode(from, F8E4M3FN, CastMode{NoSaturate: true})).Tensor()
	if want := "f8e4m3fn[6] [1 nan nan:0xff nan nan:0xff nan]"; got.String() != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

func TestExactPanics(t *testing.T) {
	for name, f := range map[string]func(){
		"negative dim":   func() { NewExact(F32, []int{-1}) },
		"invalid dtype":  func() { NewExact(Invalid, nil) },
		"wrong length":   func() { (&Exact{DType: F32, Shape: []int{2}, F: []float64{1}}).Tensor() },
		"the wrong kind": func() { (&Exact{DType: F32, Shape: []int{2}, I: []int64{1, 2}}).Tensor() },
	} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("%s: no panic", name)
				}
			}()
			f()
		}()
	}
}

func TestCastExactly(t *testing.T) {
	vec := func(xs ...float64) *Tensor {
		x, err := FromSlice(xs, len(xs))
		if err != nil {
			t.Fatal(err)
		}
		return x
	}
	for _, c := range []struct {
		in   *Tensor
		to   DType
		want string // "" for a refusal
	}{
		{vec(1, -2.5), F32, "f32[2] [1 -2.5]"},
		{vec(0.1), F32, ""},
		{vec(3, 4), I64, "i64[2] [3 4]"},
		{vec(-1), U8, ""},
		{vec(256), U8, ""},
		{vec(math.NaN()), I64, ""},
		{vec(math.Inf(1)), F32, "f32[1] [inf]"},
		{Scalar(int64(-1)), U64, ""},
		{Scalar(uint64(1 << 63)), I64, ""},
		{Scalar(int64(1<<53 + 1)), F64, ""},
		{Scalar(uint8(200)), F32, "f32[] 200"},
		{Scalar(true), I64, "i64[] 1"},
	} {
		got, err := CastExactly(c.in, c.to)
		if c.want == "" && err == nil || c.want != "" && (err != nil || got.String() != c.want) {
			t.Errorf("%v to %v: %v, %v, want %q", c.in, c.to, got, err, c.want)
		}
	}
	// Elements are converted some at a time.
	codes := make([]float64, 10_001)
	for i := range codes {
		codes[i] = float64(i % 5)
	}
	for _, dt := range []DType{F64, F4E2M1, F16, I64, U8} {
		narrow, err := Convert(vec(codes...).Exact(), dt)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := CastExactly(narrow.Tensor(), F64); err != nil || !slices.Equal(got.Float64s(), narrow.Tensor().Float64s()) {
			t.Errorf("10001 of %v: %v, %v", dt, got, err)
		}
	}
	codes[10_000] = 0.1
	if got, err := CastExactly(vec(codes...), F32); err == nil {
		t.Errorf("the last of 10001 elements is no f32: %v", got)
	}
	none, err := New(F64, 1<<40, 0)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := CastExactly(none, F32); err != nil || got.Len() != 0 {
		t.Errorf("none: %v, %v", got, err)
	}
}
