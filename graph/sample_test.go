package graph

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

func TestSamples(t *testing.T) {
	feed := func(dt DType, sizes ...int) Feed { return Feed{Type: TensorType{DType: dt, Shape: Ints(sizes...)}} }
	ranged := func(f Feed, lo, hi float64) Feed { f.Lo, f.Hi = lo, hi; return f }
	apart := func(f Feed) Feed { f.Spread = true; return f }
	of := func(f Feed, values string) Feed { f.Values = values; return f }
	for _, c := range []struct {
		text string
		want []Sample
	}{
		{"f64[2,3]", []Sample{{In: []Feed{feed(F64, 2, 3)}}}},
		{"", nil},
		{"\n\t\tf64[]\n\n\t\tbool[0]\n\t", []Sample{{In: []Feed{feed(F64)}}, {In: []Feed{feed(Bool, 0)}}}},
		{"f64[2] -0.5..3 spread, i64[3] 7..7", []Sample{{In: []Feed{apart(ranged(feed(F64, 2), -0.5, 3)), ranged(feed(I64, 3), 7, 7)}}}},
		{"f32[2] [nan, -0], string[1] [\"],\"]", []Sample{{In: []Feed{of(feed(F32, 2), "[nan, -0]"), of(feed(String, 1), "[\"],\"]")}}}},
		{"bool[2], i8|f16[3], [4]", []Sample{
			{In: []Feed{feed(Bool, 2), feed(I8, 3), feed(I8, 4)}},
			{In: []Feed{feed(Bool, 2), feed(F16, 3), feed(F16, 4)}},
		}},
		{"{int=3}", []Sample{{Attrs: Attrs{{"int", int64(3)}}}}},
		{"f64[2] {dtype=u8, float=2, dims=[1, 2], ints=[]} nograd \"a kink\"", []Sample{{
			In:     []Feed{feed(F64, 2)},
			Attrs:  Attrs{{"dtype", U8}, {"float", 2.0}, {"dims", Ints(1, 2)}, {"ints", []int64{}}},
			NoGrad: "a kink",
		}}},
	} {
		op := *testAttrs
		op.Sample = c.text
		got, err := Samples(&op)
		if err != nil {
			t.Errorf("%q: %v", c.text, err)
		}
		dims := cmp.Comparer(func(a, b Dim) bool { return a.Equal(b) })
		if d := cmp.Diff(c.want, got, dims, cmpopts.EquateEmpty()); d != "" {
			t.Errorf("%q: -want +got\n%s", c.text, d)
		}
	}
}

func TestSamplesRefuses(t *testing.T) {
	for text, want := range map[string]string{
		"f65[2]":                  `op "test_attrs": sample in line 1: unknown dtype "f65"`,
		"[2]":                     `op "test_attrs": sample in line 1: unknown dtype ""`,
		"f64[2]\nf64[2] f64[3]":   `op "test_attrs": sample in line 2: want the end of the line, have "f64"`,
		"f64[2],":                 `op "test_attrs": sample in line 1: unknown dtype ""`,
		"f64[2] 3..1":             `op "test_attrs": sample in line 1: want a range such as 0.5..3, have 3..1`,
		"f64[2] 3":                `op "test_attrs": sample in line 1: want a range such as 0.5..3, have 3`,
		"f64[2] [1":               `op "test_attrs": sample in line 1: the list of elements has no ']'`,
		"f64[2] {nothing=1}":      `op "test_attrs": sample in line 1: there is no attribute "nothing": want int, float, bool, string, ints, floats, dtype, dims, tensor, type, symbol`,
		"f64[2] {int=1.5}":        `op "test_attrs": sample in line 1: want an integer of 64 bits, have "1.5"`,
		"f64[2] nograd kink":      `op "test_attrs": sample in line 1: want a string in double quotes, have "kink"`,
		"f64[2]\n{int=1 float=2}": `op "test_attrs": sample in line 2: want ',', have "float"`,
	} {
		op := *testAttrs
		op.Sample = text
		if _, err := Samples(&op); err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("%q: %v\nwant %s", text, err, want)
		}
	}
	op := *testAttrs
	op.Build = make([]func(*Func, []Value) []Value, 2)
	if _, err := Samples(&op); err == nil {
		t.Error("two functions in Build for one sample are accepted")
	}
}
