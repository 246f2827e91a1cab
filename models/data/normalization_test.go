package data

import (
	"math"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/graphrun/graphrun/graph/value"
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
			[]float64{2.5, -5, 1e6 + 1.5},
			[]float64{math.Sqrt(1.25), 1, math.Sqrt(1.25)},
		}},
		{"scalars", tensor(t, []float32{0, 4, 0, 4}, 4), Normalization{[]float64{2}, []float64{2}}},
		{"planes", tensor(t, []float32{0, 4, 1, 1, 0, 4, 1, 1, 0, 4, 1, 3, 0, 4, 1, 3}, 4, 2, 1, 2), Normalization{[]float64{2, 1.5}, []float64{2, math.Sqrt(0.75)}}},
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
		{set(tensor(t, make([]int64, 4), 4, 1)), "standardization: example 0: it is i64[1]: want f32[C, ...]"},
		{set(tensor(t, []float32{}, 4, 0)), "standardization: example 0: it is f32[0]: want f32[C, ...]"},
		{set(tensor(t, []float32{0, 1, 2, float32(math.NaN())}, 4)), "standardization: normalization: mean 0 is NaN: want a finite number"},
		{pairOfShapes{}, "standardization: example 1 has 2 channels, the first 1"},
	} {
		if _, err := Standardization(c.d); err == nil || err.Error() != c.want {
			t.Errorf("%v, want %s", err, c.want)
		}
	}
}

// A normalized dataset is what a loader that normalizes makes of the dataset.
func TestNormalize(t *testing.T) {
	abc := []string{"a", "b", "c"}
	d := labelled(t, abc, 0, 1, 2, 0, 1)
	norm := Normalization{[]float64{1}, []float64{2}}
	opts := LoaderOptions{BatchSize: 2, Shuffle: true, Normalize: &norm}
	for _, of := range []Dataset{d, itemsOnly{d}} {
		n, err := Normalize(of, norm)
		if err != nil {
			t.Fatal(err)
		}
		want, err := copies(newLoader(t, of, opts), 3, 0)
		if err != nil {
			t.Fatal(err)
		}
		got, err := copies(newLoader(t, n, LoaderOptions{BatchSize: 2, Shuffle: true, Reuse: true, Workers: 2}), 3, 0)
		if diff := cmp.Diff(want, got, sameTensors); err != nil || diff != "" {
			t.Error(err, diff)
		}
		x, y, err := n.Item(4)
		if err != nil || !x.Equal(value.Scalar(float32(1.5))) || !y.Equal(value.Scalar(int64(1))) {
			t.Error(x, y, err)
		}
		if x, _, err := of.Item(4); err != nil || !x.Equal(value.Scalar(float32(4))) {
			t.Error("the other dataset has changed:", x, err)
		}
		if _, _, err := n.Item(5); err == nil || err.Error() != "dataset: no example 5: there are 5" {
			t.Error(err)
		}
	}
	n, err := Normalize(d, norm)
	if err != nil || !slices.Equal(n.Classes(), abc) {
		t.Error(n, err)
	}
	if _, part, err := Split(n, 0.4, 0); err != nil || part.Len() != 2 {
		t.Error(part, err)
	}
	for _, c := range []struct {
		d    Dataset
		n    Normalization
		want string
	}{
		{nil, norm, "normalization: the dataset is nil"},
		{d, Normalization{}, "normalization: 0 means and 0 deviations: want one of each, or one for every channel"},
		{d, Normalization{[]float64{1, 2}, []float64{1}}, "normalization: it has 2 channels, the input is f32[1]"},
	} {
		if _, err := Normalize(c.d, c.n); err == nil || err.Error() != c.want {
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
