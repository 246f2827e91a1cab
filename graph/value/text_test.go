package value

import (
	"math"
	"runtime"
	"strings"
	"testing"
)

func TestTextRoundTrip(t *testing.T) {
	for _, dt := range DTypes() {
		x := allCodes(t, dt)
		text := x.AppendText([]byte("prefix "))
		got, err := ParseElements(dt, x.Shape(), strings.TrimPrefix(string(text), "prefix "))
		if err != nil {
			t.Errorf("%s: %v", dt, err)
			continue
		}
		if got.Equal(x) {
			continue
		}
		for i := range x.Len() {
			if dt != String && got.code(i) != x.code(i) {
				t.Errorf("%s: %#x is written %s and read %#x", dt, x.code(i), x.appendElem(nil, i), got.code(i))
				break
			}
		}
	}
}

func TestText(t *testing.T) {
	negZero := math.Copysign(0, -1)
	for _, test := range []struct {
		x    *Tensor
		want string
	}{
		{must[*Tensor](t)(FromSlice([]float32{1, 2.5, float32(math.NaN()), float32(math.Inf(-1)), float32(negZero), 0.1, 1e6, 1e7, 123456789}, 9)), "[1, 2.5, nan, -inf, -0, 0.1, 1000000, 1e+07, 1.2345679e+08]"},
		{must[*Tensor](t)(FromSlice([]float32{math.Float32frombits(0x7fc00001), math.Float32frombits(0xffc00000)}, 2)), "[nan:0x7fc00001, nan:0xffc00000]"},
		{must[*Tensor](t)(FromSlice([]float64{math.NaN(), math.Float64frombits(0x7ff8000000000000), 0.1, 5e-324}, 4)), "[nan, nan:0x7ff8000000000000, 0.1, 5e-324]"},
		{must[*Tensor](t)(FromSlice([]Float16{Float16FromFloat32(0.1), Float16FromFloat32(65504), 1, 0x7e00, 0x7c01}, 5)), "[0.1, 65504, 6e-08, nan, nan:0x7c01]"},
		{must[*Tensor](t)(FromSlice([]BFloat16{BFloat16FromFloat32(0.1), BFloat16FromFloat32(math.MaxFloat32), 0x7f7f}, 3)), "[0.1, inf, 3.39e+38]"},
		{must[*Tensor](t)(FromBytes(F8E4M3FN, []byte{0x7e, 0x7f, 0x80, 0x01}, 4)), "[448, nan, -0, 0.002]"},
		{must[*Tensor](t)(FromBytes(F8E8M0, []byte{0x00, 0x7f, 0xfe, 0xff}, 4)), "[6e-39, 1, 2e+38, nan]"},
		{must[*Tensor](t)(FromSlice([]bool{true, false}, 2)), "[true, false]"},
		{must[*Tensor](t)(FromSlice([]int64{math.MinInt64, math.MaxInt64}, 2)), "[-9223372036854775808, 9223372036854775807]"},
		{must[*Tensor](t)(FromSlice([]uint64{math.MaxUint64}, 1)), "[18446744073709551615]"},
		{must[*Tensor](t)(FromSlice([]string{"a, b]", "\""}, 2)), `["a, b]", "\""]`},
		{Scalar(float32(3)), "[3]"},
		{must[*Tensor](t)(New(F32, 3, 0)), "[]"},
	} {
		if got := string(test.x.AppendText(nil)); got != test.want {
			t.Errorf("got %s, want %s", got, test.want)
		}
	}
}

func TestParseElements(t *testing.T) {
	for _, test := range []struct {
		dt    DType
		shape []int
		text  string
		want  string
	}{
		{F32, []int{2}, " [ 1 ,\n\t2.5\r] ", "f32[2] [1 2.5]"},
		{F32, []int{1}, "[0x1p-2]", "f32[1] [0.25]"},
		{F32, []int{1}, "[16777217]", "f32[1] [1.6777216e+07]"},
		{F16, []int{1}, "[65519]", "f16[1] [65504]"},
		{F32, nil, "[3]", "f32[] 3"},
		{F32, []int{0}, "[ ]", "f32[0] []"},
		{String, []int{2}, `["a" , "]\u00e9"]`, `string[2] ["a" "]é"]`},
		{I4, []int{3}, "[-8, +7, 0]", "i4[3] [-8 7 0]"},
		{F8E8M0, []int{1}, "[1.4]", "f8e8m0[1] [1]"},
		{F8E5M2, []int{2}, "[inf, 60000]", "f8e5m2[2] [inf 57344]"},
		{F4E2M1, []int{1}, "[6.9]", "f4e2m1[1] [6]"},
	} {
		got, err := ParseElements(test.dt, test.shape, test.text)
		if err != nil || got.String() != test.want {
			t.Errorf("%s: got %v, %v, want %s", test.text, got, err, test.want)
		}
	}
	for _, test := range []struct {
		dt    DType
		shape []int
		text  string
		want  string
	}{
		{F32, nil, "", "'['"},
		{F32, nil, "3", "'['"},
		{F32, nil, "[", "shorter"},
		{F32, nil, "[]", "needs 1 elements, have 0"},
		{F32, nil, "[3", "want ',' or ']'"},
		{F32, nil, "[3]]", "after the list"},
		{F32, nil, "[3] x", "after the list"},
		{F32, []int{2}, "[3]", "want ',' or ']'|have 1|shorter"},
		{F32, []int{2}, "[3, ]", "needs 2 elements, have 1"},
		{F32, []int{1}, "[3,]", "have more"},
		{F32, []int{1}, "[3, 4]", "have more"},
		{F32, []int{0}, "[3]", "no elements"},
		{F32, []int{0}, "[", "no elements"},
		{F32, []int{1000}, "[1]", "shorter"},
		{F32, []int{2}, "[1,,]", "element 1 of f32[2]"},
		{F32, []int{2}, "[1 2 ]", "element 0 of f32[2]: \"1 2\" is not a number"},
		{F32, nil, "[NaN]", "not a number"},
		{F32, nil, "[Inf]", "not a number"},
		{F32, nil, "[infinity]", "not a number"},
		{F32, nil, "[nan:0x7f800000]", "no NaN"},
		{F32, nil, "[nan:0x1ffc00000]", "out of the range"},
		{F32, nil, "[nan:0x]", "not a number"},
		{F32, nil, "[1e39]", "out of the range of f32"},
		{F64, nil, "[1e400]", "out of the range of f64"},
		{F16, nil, "[65520]", "out of the range of f16"},
		{BF16, nil, "[3.4e38]", "out of the range of bf16"},
		{F8E4M3FN, nil, "[500]", "out of the range"},
		{F8E4M3FN, nil, "[inf]", "out of the range"},
		{F8E5M2, nil, "[65000]", "out of the range"},
		{F4E2M1, nil, "[7.1]", "out of the range"},
		{F4E2M1, nil, "[nan]", "out of the range"},
		{F8E8M0, nil, "[0]", "out of the range"},
		{F8E8M0, nil, "[-1]", "out of the range"},
		{F8E8M0, nil, "[1e39]", "out of the range"},
		{I8, nil, "[128]", "out of the range of i8"},
		{I8, nil, "[1.5]", "not a number of dtype i8"},
		{U8, nil, "[-1]", "not a number of dtype u8"},
		{I2, nil, "[2]", "out of the range of i2"},
		{Bool, nil, "[1]", "not true or false"},
		{Bool, nil, "[True]", "not true or false"},
		{String, nil, "[a]", "want a quoted string"},
		{String, nil, "[`a`]", "want a quoted string"},
		{String, nil, "['a']", "want a quoted string"},
		{String, nil, `["a]`, "not a quoted string"},
		{String, nil, `["\q"]`, "not a quoted string"},
		{Invalid, nil, "[1]", "not a dtype"},
		{F32, nil, "[" + strings.Repeat("9", 1<<20) + "]", "out of the range"},
	} {
		got, err := ParseElements(test.dt, test.shape, test.text)
		ok := false
		for part := range strings.SplitSeq(test.want, "|") {
			ok = ok || err != nil && strings.Contains(err.Error(), part)
		}
		if !ok {
			t.Errorf("%.40s: got %v, %v, want %q", test.text, got, err, test.want)
		}
		if err != nil && len(err.Error()) > 300 {
			t.Errorf("%.40s: a message of %d bytes", test.text, len(err.Error()))
		}
	}
}

func TestParseMemory(t *testing.T) {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	for _, dt := range DTypes() {
		if _, err := ParseElements(dt, []int{1 << 40}, "[1, 2, 3]"); err == nil {
			t.Errorf("%s: no error", dt)
		}
	}
	runtime.ReadMemStats(&after)
	if took := after.TotalAlloc - before.TotalAlloc; took > 1<<20 {
		t.Errorf("took %d bytes of memory", took)
	}
}

// FuzzParseElements checks that what reads also writes and reads back the same.
func FuzzParseElements(f *testing.F) {
	for _, dt := range DTypes() {
		x := must[*Tensor](f)(New(dt, 2, 3))
		f.Add(uint8(dt), 2, 3, string(x.AppendText(nil)))
	}
	f.Add(uint8(F32), 3, 1, "[nan:0x7fc00001, -inf, -0]")
	f.Add(uint8(F16), 1, 2, "[0.1, 6e-08]")
	f.Add(uint8(String), 1, 2, `["a\xff", "]"]`)
	f.Add(uint8(F64), 1<<40, 1<<40, "[]")
	f.Fuzz(func(t *testing.T, dt uint8, a, b int, text string) {
		x, err := ParseElements(DType(dt), []int{a, b}, text)
		if err != nil {
			return
		}
		again := string(x.AppendText(nil))
		y, err := ParseElements(DType(dt), []int{a, b}, again)
		if err != nil || !y.Equal(x) {
			t.Fatalf("%q is written %q and read %v, %v", text, again, y, err)
		}
	})
}
