package value

import (
	"math"
	"slices"
	"strings"
	"testing"
	"unsafe"

	"github.com/google/go-cmp/cmp"
)

func must[T any](t testing.TB) func(T, error) T {
	return func(x T, err error) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return x
	}
}

func wantErr(t testing.TB, err error, part string) {
	t.Helper()
	if err == nil || !strings.Contains(err.Error(), part) {
		t.Errorf("got error %v, want %q", err, part)
	}
}

func TestNew(t *testing.T) {
	for _, dt := range DTypes() {
		for _, shape := range [][]int{{}, {0}, {1}, {3}, {2, 3}, {7, 1, 3}, {0, 5}, {1, 1, 1, 1, 1, 1, 9}} {
			x := must[*Tensor](t)(New(dt, shape...))
			n := 1
			for _, d := range shape {
				n *= d
			}
			if x.DType() != dt || !slices.Equal(x.Shape(), shape) || x.Len() != n || x.Rank() != len(shape) {
				t.Errorf("New(%s, %v) is %v", dt, shape, x)
			}
			if dt == String {
				if len(x.Strings()) != n || x.Bytes() != nil {
					t.Errorf("%v has %d strings", x, len(x.Strings()))
				}
				continue
			}
			if want := (n*dt.Bits() + 7) / 8; len(x.Bytes()) != want {
				t.Errorf("%v has %d bytes, want %d", x, len(x.Bytes()), want)
			}
			if size, err := SizeBytes(dt, shape...); err != nil || size != len(x.Bytes()) {
				t.Errorf("SizeBytes(%s, %v) is %d, %v", dt, shape, size, err)
			}
		}
	}
	shape := []int{2, 3}
	x := must[*Tensor](t)(New(F32, shape...))
	shape[0] = 9
	if x.Shape()[0] != 2 {
		t.Error("the tensor keeps the caller's shape")
	}
}

func TestAlignment(t *testing.T) {
	for n := range 3000 {
		b := alignedBytes(n)
		if len(b) != n || cap(b) != n || n > 0 && uintptr(unsafe.Pointer(&b[0]))%Alignment != 0 {
			t.Fatalf("%d bytes: length %d, capacity %d, address %p", n, len(b), cap(b), b)
		}
	}
	for n := 1 << 12; n < 1<<24; n = n*5/4 + 1 {
		if b := alignedBytes(n); !aligned(b, Alignment) {
			t.Fatalf("%d bytes are not aligned", n)
		}
	}
}

func TestAllocs(t *testing.T) {
	data := make([]float32, 6)
	x := must[*Tensor](t)(FromSlice(data, 2, 3))
	for name, test := range map[string]struct {
		want float64
		f    func()
	}{
		"New":       {2, func() { sink, _ = New(F32, 2, 3) }},
		"FromSlice": {1, func() { sink, _ = FromSlice(data, 2, 3) }},
		"Reshape":   {1, func() { sink, _ = x.Reshape(3, 2) }},
		"Data":      {0, func() { sinkData, _ = Data[float32](x) }},
		"Equal":     {0, func() { sinkBool = x.Equal(x) }},
	} {
		if got := testing.AllocsPerRun(100, test.f); got > test.want {
			t.Errorf("%s allocates %g times, want %g", name, got, test.want)
		}
	}
}

var (
	sink     *Tensor
	sinkData []float32
	sinkBool bool
)

// TestHostileShapes makes tensors of shapes that files could ask for.
func TestHostileShapes(t *testing.T) {
	const huge = math.MaxInt
	for _, test := range []struct {
		dt    DType
		shape []int
		want  string
	}{
		{F32, []int{-1}, "negative"},
		{F32, []int{2, math.MinInt}, "negative"},
		{F32, []int{0, -1}, "negative"},
		{F32, []int{huge}, "too large"},
		{U8, []int{huge}, "too large"},
		{I2, []int{huge}, "too large"},
		{F64, []int{huge / 8}, "too large"},
		{F64, []int{huge/8 + 1}, "too large"},
		{Bool, []int{huge, huge}, "too large"},
		{Bool, []int{1 << 32, 1 << 32}, "too large"},
		{Bool, []int{0, huge, huge}, "too large"},
		{String, []int{1 << 45}, "too large"},
		{F64, []int{1 << 46}, "too large"},
		{Invalid, []int{1}, "not a dtype"},
		{numDTypes, []int{1}, "not a dtype"},
		{255, nil, "not a dtype"},
		{F32, slices.Repeat([]int{2}, 10000), "too large"},
	} {
		_, err := New(test.dt, test.shape...)
		wantErr(t, err, test.want)
		if err != nil && len(err.Error()) > 200 {
			t.Errorf("a long message: %v", err)
		}
		_, err = FromBytes(test.dt, nil, test.shape...)
		wantErr(t, err, test.want)
		_, err = ParseElements(test.dt, test.shape, "[]")
		wantErr(t, err, test.want)
		_, err = SizeBytes(test.dt, test.shape...)
		wantErr(t, err, test.want)
		_, err = must[*Tensor](t)(New(Bool, 0)).Reshape(test.shape...)
		if err == nil {
			t.Errorf("Reshape to %v: no error", test.shape)
		}
	}
	if x, err := New(F32, slices.Repeat([]int{1}, 100000)...); err != nil || x.Len() != 1 || len(x.String()) > 200 {
		t.Errorf("rank 100000: %v", err)
	}
}

func testElem[T Elem](t *testing.T, dt DType, a, b T) {
	t.Helper()
	if DTypeOf[T]() != dt {
		t.Errorf("DTypeOf[%T] is %s", a, DTypeOf[T]())
	}
	data := []T{a, b, a, b, a, b}
	x := must[*Tensor](t)(FromSlice(data, 3, 2))
	if x.DType() != dt {
		t.Errorf("got dtype %s, want %s", x.DType(), dt)
	}
	data[1] = a
	view := must[[]T](t)(Data[T](x))
	if &view[0] != &data[0] || len(view) != len(data) || view[1] != a {
		t.Errorf("%s: FromSlice and Data do not share memory", dt)
	}
	r := must[*Tensor](t)(x.Reshape(6))
	must[[]T](t)(Data[T](r))[0] = b
	if data[0] != b {
		t.Errorf("%s: Reshape does not share memory", dt)
	}
	c := x.Clone()
	if !c.Equal(x) || !x.Equal(c) {
		t.Errorf("%s: the clone differs", dt)
	}
	must[[]T](t)(Data[T](c))[0] = a
	if data[0] != b || c.Equal(x) {
		t.Errorf("%s: the clone shares memory", dt)
	}
	s := Scalar(a)
	if got, err := Item[T](s); err != nil || got != a || s.Rank() != 0 || s.Len() != 1 {
		t.Errorf("Scalar(%v) is %v, %v", a, s, err)
	}
	if got := must[*Tensor](t)(FromSlice([]T{a})); !got.Equal(s) {
		t.Errorf("FromSlice without a shape is %v", got)
	}
	if e := x.Exact().Tensor(); !e.Equal(x) {
		t.Errorf("by way of Exact: got %v, want %v", e, x)
	}
	if _, err := Data[T](must[*Tensor](t)(New(F8E5M2, 2))); err == nil {
		t.Errorf("Data[%T] of another dtype: no error", a)
	}
	_, err := Item[T](x)
	wantErr(t, err, "not one")
	_, err = FromSlice(data)
	wantErr(t, err, "needs 1 elements, have 6")
	_, err = FromSlice(data, 7)
	wantErr(t, err, "needs 7 elements, have 6")
	_, err = FromSlice(data, 3, -2)
	wantErr(t, err, "negative")
	if e := must[*Tensor](t)(FromSlice([]T(nil), 0)); e.Len() != 0 || len(must[[]T](t)(Data[T](e))) != 0 {
		t.Errorf("empty tensor %v", e)
	}
}

func TestElem(t *testing.T) {
	testElem(t, Bool, true, false)
	testElem[int8](t, I8, -1, 2)
	testElem[int16](t, I16, -1, 2)
	testElem[int32](t, I32, -1, 2)
	testElem[int64](t, I64, math.MinInt64, 2)
	testElem[uint8](t, U8, 255, 2)
	testElem[uint16](t, U16, 65535, 2)
	testElem[uint32](t, U32, math.MaxUint32, 2)
	testElem[uint64](t, U64, math.MaxUint64, 2)
	testElem[Float16](t, F16, 0x3c00, 0x7e01)
	testElem[BFloat16](t, BF16, 0x3f80, 0x7fc1)
	testElem[float32](t, F32, 1.5, math.MaxFloat32)
	testElem(t, F64, 1.5, math.MaxFloat64)
	testElem(t, String, "", "text")
}

func TestFromBytes(t *testing.T) {
	buf := must[*Tensor](t)(New(U8, 64)).Bytes()
	for i := range buf {
		buf[i] = byte(i)
	}
	x := must[*Tensor](t)(FromBytes(U16, buf[:6], 3))
	if x.String() != "u16[3] [256 770 1284]" || &x.Bytes()[0] != &buf[0] {
		t.Errorf("got %v", x)
	}
	for _, dt := range []DType{U16, F16, U32, F32, U64, F64} {
		size := dt.Bits() / 8
		for off := range 8 {
			x := must[*Tensor](t)(FromBytes(dt, buf[off:off+2*size], 2))
			if shared := &x.Bytes()[0] == &buf[off]; shared != (off%size == 0) {
				t.Errorf("%s at offset %d: shared is %v", dt, off, shared)
			}
			if !slices.Equal(x.Bytes(), buf[off:off+2*size]) || !aligned(x.Bytes(), size) {
				t.Errorf("%s at offset %d: got %v", dt, off, x)
			}
		}
	}
	// Padding bits are cleared, in a copy.
	odd := []byte{0x21, 0xf3}
	x = must[*Tensor](t)(FromBytes(I4, odd, 3))
	if x.String() != "i4[3] [1 2 3]" || odd[1] != 0xf3 || x.Bytes()[1] != 3 {
		t.Errorf("got %v, bytes %x, %x", x, x.Bytes(), odd)
	}
	odd[1] = 3
	if y := must[*Tensor](t)(FromBytes(I4, odd, 3)); !y.Equal(x) || &y.Bytes()[0] != &odd[0] {
		t.Errorf("got %v", y)
	}

	_, err := FromBytes(F32, buf[:7], 2)
	wantErr(t, err, "f32[2] takes 8 bytes, have 7")
	_, err = FromBytes(Bool, []byte{0, 1, 2}, 3)
	wantErr(t, err, "element 2")
	_, err = FromBytes(String, nil, 0)
	wantErr(t, err, "string")
	_, err = FromBytes(I2, buf[:1], 5)
	wantErr(t, err, "takes 2 bytes")
}

// TestPacking spells out the bytes of the dtypes below a byte.
func TestPacking(t *testing.T) {
	for _, test := range []struct {
		dt    DType
		text  string
		n     int
		bytes []byte
	}{
		{U2, "[1, 2, 3, 0, 2]", 5, []byte{0b00_11_10_01, 0b10}},
		{I2, "[1, -2, -1, 0, -2]", 5, []byte{0b00_11_10_01, 0b10}},
		{U4, "[1, 15, 8]", 3, []byte{0xf1, 0x08}},
		{I4, "[1, -1, -8]", 3, []byte{0xf1, 0x08}},
		{F4E2M1, "[0.5, -6, -0]", 3, []byte{0xf1, 0x08}},
	} {
		x := must[*Tensor](t)(ParseElements(test.dt, []int{test.n}, test.text))
		if !slices.Equal(x.Bytes(), test.bytes) {
			t.Errorf("%s %s: got bytes %x, want %x", test.dt, test.text, x.Bytes(), test.bytes)
		}
		if got := string(x.AppendText(nil)); got != test.text {
			t.Errorf("%s: got %s, want %s", test.dt, got, test.text)
		}
		x.setCode(0, 0)
		x.setCode(0, 1)
		if !slices.Equal(x.Bytes(), test.bytes) {
			t.Errorf("%s: writing one element gives %x, want %x", test.dt, x.Bytes(), test.bytes)
		}
	}
}

func TestEqual(t *testing.T) {
	f := func(xs ...float32) *Tensor { return must[*Tensor](t)(FromSlice(xs, len(xs))) }
	nan, nan2 := float32(math.NaN()), math.Float32frombits(0x7fc00001)
	for _, test := range []struct {
		a, b *Tensor
		want bool
	}{
		{f(1, 2), f(1, 2), true},
		{f(1, 2), f(1, 3), false},
		{f(nan), f(nan), true},
		{f(nan), f(nan2), false},
		{f(0), f(float32(math.Copysign(0, -1))), false},
		{f(1), Scalar(float32(1)), false},
		{f(), must[*Tensor](t)(New(F32, 0, 2)), false},
		{Scalar(int32(1)), Scalar(uint32(1)), false},
		{Scalar("a"), Scalar("a"), true},
		{Scalar("a"), Scalar("b"), false},
		{nil, nil, true},
		{f(1), nil, false},
		{nil, f(1), false},
	} {
		if got := test.a.Equal(test.b); got != test.want {
			t.Errorf("%v equals %v: got %v", test.a, test.b, got)
		}
	}
}

func TestString(t *testing.T) {
	count := make([]int64, 100)
	for i := range count {
		count[i] = int64(i)
	}
	for _, test := range []struct {
		x    *Tensor
		want string
	}{
		{must[*Tensor](t)(FromSlice([]float32{1, 2.5, -0.1, float32(math.Inf(1)), 0, 6}, 2, 3)), "f32[2,3] [[1 2.5 -0.1] [inf 0 6]]"},
		{Scalar(1e300), "f64[] 1e+300"},
		{Scalar("a\n"), `string[] "a\n"`},
		{must[*Tensor](t)(New(Bool, 2)), "bool[2] [false false]"},
		{must[*Tensor](t)(New(F32, 0, 3)), "f32[0,3] []"},
		{must[*Tensor](t)(New(F32, 1<<40, 0)), "f32[1099511627776,0] []"},
		{must[*Tensor](t)(FromSlice(count[:16], 16)), "i64[16] [0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15]"},
		{must[*Tensor](t)(FromSlice(count, 100)), "i64[100] [0 1 2 3 4 5 6 7 ...]"},
		{must[*Tensor](t)(FromSlice(count, 20, 5)), "i64[20,5] [[0 1 2 3 4] [5 6 7 ...] ...]"},
		{must[*Tensor](t)(FromSlice(count, 25, 4)), "i64[25,4] [[0 1 2 3] [4 5 6 7] ...]"},
		{nil, "tensor <nil>"},
	} {
		if got := test.x.String(); got != test.want {
			t.Errorf("got %s, want %s", got, test.want)
		}
	}
}

func TestReshapeErrors(t *testing.T) {
	x := must[*Tensor](t)(New(F32, 2, 3))
	_, err := x.Reshape(4)
	wantErr(t, err, "cannot reshape f32[2,3], which has 6 elements, to [4], which has 4")
	_, err = x.Reshape(-1)
	wantErr(t, err, "negative")
}

func TestFloat64s(t *testing.T) {
	for _, test := range []struct {
		x    *Tensor
		want []float64
	}{
		{must[*Tensor](t)(FromSlice([]int8{-1, 2}, 2)), []float64{-1, 2}},
		{must[*Tensor](t)(FromSlice([]uint64{1 << 63}, 1)), []float64{1 << 63}},
		{must[*Tensor](t)(FromSlice([]bool{true, false}, 2)), []float64{1, 0}},
		{must[*Tensor](t)(FromSlice([]Float16{0x3c00}, 1)), []float64{1}},
		{must[*Tensor](t)(FromSlice([]float32{-0.5, 3}, 2)), []float64{-0.5, 3}},
		{Scalar(2.5), []float64{2.5}},
		{Scalar("1"), nil},
	} {
		if diff := cmp.Diff(test.want, test.x.Float64s()); diff != "" {
			t.Errorf("%v: %s", test.x, diff)
		}
		for i, want := range test.want {
			if got := test.x.Float64At(i); got != want {
				t.Errorf("element %d of %v: want %v, have %v", i, test.x, want, got)
			}
		}
	}
	x := Scalar(2.5)
	x.Float64s()[0] = 3
	if x.String() != "f64[] 2.5" {
		t.Error("Float64s shares memory")
	}
}

func TestDTypes(t *testing.T) {
	for _, dt := range DTypes() {
		if got, err := ParseDType(dt.String()); got != dt || err != nil {
			t.Errorf("ParseDType(%s) is %s, %v", dt, got, err)
		}
		if !dt.Valid() || dt.Domain() == NoDomain || dt.Bits() == 0 && dt != String {
			t.Errorf("%s is not described", dt)
		}
	}
	for _, name := range []string{"", "invalid", "F32", "float32"} {
		if dt, err := ParseDType(name); err == nil {
			t.Errorf("ParseDType(%q) is %s", name, dt)
		}
	}
}
