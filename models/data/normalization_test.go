package data

import (
	"math"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/graphrun/graphrun/runtime/value"
)

func TestStandardization(t *testing.T) {
	zeros := tensor(t, make([]int64, 4), 4)
	set := func(x *value.Tensor) Dataset {
		d, err := NewTensorDataset(x, zeros)
		if err != nil {
			t.Fatal(err)
		}
		return d
	}
	for _, c := range []struct {
		name string
		x    *value.Tensor
		want Normalization
	}{
		{"columns", tensor(t, []float32{1, -5, 1e6, 2, -5, 1e6 + 1, 3, -5, 1e6 + 2, 4, -5, 1e6 + 3}, 4, 3), Normalization{
			[]float32{2.5, -5, 1e6 + 1.5},
			[]float32{float32(math.Sqrt(1.25)), 1, float32(math.Sqrt(1.25))},
		}},
		{"scalars", tensor(t, []float32{0, 4, 0, 4}, 4), Normalization{[]float32{2}, []float32{2}}},
		{"planes", tensor(t, []float32{0, 4, 1, 1, 0, 4, 1, 1, 0, 4, 1, 3, 0, 4, 1, 3}, 4, 2, 1, 2), Normalization{[]float32{2, 1.5}, []float32{2, float32(math.Sqrt(0.75))}}},
	} {
		d := set(c.x)
		got, err := Standardization(d)
		if diff := cmp.Diff(&c.want, got, cmpopts.EquateApprox(1e-6, 0)); err != nil || diff != "" {
			t.Errorf("%s: %v %s", c.name, err, diff)
			continue
		}
		// What it is applied to has a mean of 0 and a deviation of 1.
		l := newLoader(t, d, LoaderOptions{BatchSize: 4, Normalize: got})
		for b, err := range l.Epoch(0) {
			if err != nil {
				t.Fatal(err)
			}
			sum, squares := 0.0, 0.0
			for _, v := range b.X.Float64s() {
				sum += v
				squares += v * v
			}
			want := float64(b.X.Len())
			if c.name == "columns" {
				want -= 4 // the column of which all elements are the same
			}
			if math.Abs(sum) > 1e-5 || math.Abs(squares-want) > 1e-4 {
				t.Errorf("%s: normalized, the sum is %v and that of squares %v, want 0 and %v", c.name, sum, squares, want)
			}
		}
	}
	for _, c := range []struct {
		d    Dataset
		want string
	}{
		{nil, "standardization: there are no examples"},
		{set(tensor(t, make([]int64, 4), 4, 1)), "standardization: example 0 is i64[1]: want f32[C, ...]"},
		{set(tensor(t, []float32{}, 4, 0)), "standardization: example 0 is f32[0]: want f32[C, ...]"},
		{set(tensor(t, []float32{0, 1, 2, float32(math.NaN())}, 4)), "standardization: normalization: mean 0 is NaN: want a finite number"},
		{pairOfShapes{}, "standardization: example 1 is f32[2], the first has 1 channels"},
	} {
		if _, err := Standardization(c.d); err == nil || err.Error() != c.want {
			t.Errorf("%v, want %s", err, c.want)
		}
	}
}

// pairOfShapes has two examples that do not fit together.
type pairOfShapes struct{}

func (pairOfShapes) Len() int { return 2 }

func (pairOfShapes) Item(i int) (x, y *value.Tensor, err error) {
	x, err = value.New(value.F32, i+1)
	return x, value.Scalar(int64(0)), err
}
