package value

import (
	"fmt"
	"math"
	"runtime"
	"strconv"
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

// TestTextRoundsOnce reads the exact decimals of all middles between two neighbours, and what lies beside them by less than a float64 tells
// apart, as text of constants and by Convert.
func TestTextRoundsOnce(t *testing.T) {
	for _, dt := range []DType{F4E2M1, F8E4M3FN, F8E4M3FNUZ, F8E5M2, F8E5M2FNUZ, F8E8M0, F16, BF16} {
		for code := range uint64(1)<<(dt.Bits()-1) - 1 {
			if dt.Bits() == 16 && code%61 > 0 && code > 3 {
				continue
			}
			low, high := DecodeFloat(dt, code), DecodeFloat(dt, code+1)
			if high != high || math.IsInf(high, 0) {
				continue
			}
			even := low
			if code%2 != 0 || dt == F8E8M0 { // whose ties go up
				even = high
			}
			middle := strconv.FormatFloat((low+high)/2, 'f', 200, 64)
			exact := strings.TrimRight(middle, "0")
			last := len(exact) - 1 // not 0, so one less is below
			if exact[last] == '.' {
				exact += "0"
			}
			below := strconv.FormatFloat((low+high)/2, 'f', 0, 64) // an integer, if it ends so
			if n := strings.TrimRight(middle, "0"); n[len(n)-1] == '.' {
				k, _ := strconv.ParseInt(below, 10, 64)
				below = strconv.FormatInt(k-1, 10) + "." + strings.Repeat("9", 40)
				if (low+high)/2 > 1<<53 {
					below = ""
				}
			} else {
				below = exact[:last] + string(exact[last]-1) + strings.Repeat("9", 40)
			}
			for s, want := range map[string]float64{exact: even, exact + strings.Repeat("0", 40) + "1": high, below: low} {
				if s == "" {
					continue
				}
				for _, sign := range []float64{1, -1} {
					if sign < 0 {
						if dt == F8E8M0 {
							continue
						}
						s, want = "-"+s, -want
					}
					got, err := ParseElements(dt, nil, "["+s+"]")
					if err != nil {
						t.Fatalf("%s: %s: %v", dt, s, err)
					}
					if x := got.Float64At(0); x != want {
						t.Fatalf("%s: %s is read as %v, want %v", dt, s, x, want)
					}
					text := must[*Exact](t)(Convert(&Exact{DType: String, Shape: []int{}, S: []string{s}}, dt))
					if x := text.F[0]; x != want {
						t.Fatalf("%s: %s is converted to %v, want %v", dt, s, x, want)
					}
				}
			}
		}
	}
	for s, want := range map[string]float64{
		"+1.00048828125": 1, "100048828125" + strings.Repeat("0", 30) + "1e-42": 1.0009765625, "100048828125e-11": 1,
		"0.00000000000000000100048828125000000000000000000000000001e18": 1.0009765625, "1.00048828125E+00": 1,
		"1.00048828124999999999999999999999999999999": 1,
	} {
		got, err := ParseElements(F16, nil, "["+s+"]")
		if err != nil || got.Float64At(0) != want {
			t.Errorf("%s is read as %v, %v, want %v", s, got, err, want)
		}
	}
	// The middle of the largest number of a dtype and what would follow it belongs to the even one of them.
	for dt, limit := range map[DType]string{F16: "65520", F8E4M3FN: "464", F8E5M2: "61440", F4E2M1: "7"} {
		_, err := ParseElements(dt, nil, "["+limit+"."+strings.Repeat("0", 40)+"1]")
		wantErr(t, err, "out of the range")
		k, _ := strconv.Atoi(limit)
		if _, err := ParseElements(dt, nil, fmt.Sprintf("[%d.%s]", k-1, strings.Repeat("9", 40))); err != nil {
			t.Errorf("%s: %v", dt, err)
		}
	}
}
