package data

import (
	"errors"
	"fmt"
	"image"
	"image/color"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/graphrun/graphrun/graph/value"
)

// labelled returns a dataset whose examples are their numbers, of the given classes.
func labelled(t testing.TB, classes []string, labels ...int64) *TensorDataset {
	t.Helper()
	x := make([]float32, len(labels))
	for i := range x {
		x[i] = float32(i)
	}
	d, err := NewClassified(tensor(t, x, len(x)), tensor(t, labels, len(labels)), classes)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func TestSubset(t *testing.T) {
	abc := []string{"a", "b", "c"}
	d := labelled(t, abc, 0, 1, 2, 0, 1)
	for _, of := range []Dataset{d, itemsOnly{d}} {
		s, err := NewSubset(of, []int{4, 0, 4})
		if err != nil {
			t.Fatal(err)
		}
		for range 2 {
			var b Batch
			if err := s.Fill(&b, []int{2, 1}); err != nil || !b.X.Equal(tensor(t, []float32{4, 0}, 2)) || !b.Y.Equal(tensor(t, []int64{1, 0}, 2)) {
				t.Errorf("%T: batch %v, %v, %v", of, b.X, b.Y, err)
			}
		}
		x, y, err := s.Item(0)
		if err != nil || !x.Equal(value.Scalar(float32(4))) || !y.Equal(value.Scalar(int64(1))) {
			t.Errorf("%T: Item(0) is %v, %v, %v", of, x, y, err)
		}
		for _, i := range []int{-1, 3} {
			want := fmt.Sprintf("dataset: no example %d: there are 3", i)
			if _, _, err := s.Item(i); err == nil || err.Error() != want {
				t.Errorf("Item(%d): %v", i, err)
			}
			if err := s.Fill(new(Batch), []int{0, i}); err == nil || err.Error() != want {
				t.Errorf("Fill(%d): %v", i, err)
			}
		}
		inner, err := NewSubset(s, []int{1})
		if err != nil || inner.Len() != 1 {
			t.Fatal(inner, err)
		}
		if x, _, err := inner.Item(0); err != nil || !x.Equal(value.Scalar(float32(0))) {
			t.Errorf("a subset of a subset: %v, %v", x, err)
		}
	}
	s, err := NewSubset(d, []int{1})
	if err != nil || !slices.Equal(s.Classes(), abc) || !slices.Equal(s.Index(), []int{1}) {
		t.Errorf("%v, %v", s, err)
	}
	if s, err := NewSubset(itemsOnly{d}, nil); err != nil || s.Classes() != nil || s.Len() != 0 {
		t.Errorf("%v, %v", s, err)
	}
	for _, c := range []struct {
		d     Dataset
		index []int
		want  string
	}{{nil, nil, "subset: the dataset is nil"}, {d, []int{5}, "subset: dataset: no example 5: there are 5"}} {
		if _, err := NewSubset(c.d, c.index); err == nil || err.Error() != c.want {
			t.Errorf("%v, want %s", err, c.want)
		}
	}
}

func TestFirst(t *testing.T) {
	d := labelled(t, []string{"a"}, 0, 0, 0)
	for n, want := range map[int]int{0: 0, 2: 2, 3: 3, 4: 3} {
		if got, err := First(d, n); err != nil || got.Len() != want {
			t.Errorf("the first %d: %v, %v", n, got, err)
		}
	}
	if _, err := First(d, -1); err == nil {
		t.Error("the first -1: no error")
	}
}

func TestSplit(t *testing.T) {
	// 40, 20 and 10 of three classes, mixed.
	var labels []int64
	for i := range 70 {
		labels = append(labels, []int64{0, 1, 0, 2, 0, 1, 0}[i%7])
	}
	d := labelled(t, []string{"a", "b", "c", "none of this"}, labels...)
	index := func(d Dataset, share float64, seed uint64) (rest, part []int) {
		t.Helper()
		r, p, err := Split(d, share, seed)
		if err != nil {
			t.Fatal(err)
		}
		return r.Index(), p.Index()
	}
	for _, of := range []Dataset{d, struct{ Labelled }{d}} { // the second one does not tell a label without its example
		rest, part := index(of, 0.2, 1)
		all := slices.Sorted(slices.Values(slices.Concat(rest, part)))
		if len(all) != 70 || all[0] != 0 || all[69] != 69 || len(slices.Compact(all)) != 70 {
			t.Fatalf("rest %v, part %v: want each example once", rest, part)
		}
		if !slices.IsSorted(rest) || !slices.IsSorted(part) {
			t.Errorf("rest %v, part %v: want the order of the examples", rest, part)
		}
		counts := [3]int{}
		for _, i := range part {
			counts[labels[i]]++
		}
		if counts != [3]int{8, 4, 2} {
			t.Errorf("the part has %v of the classes, want 8, 4 and 2", counts)
		}
		if r, p := index(of, 0.2, 1); !slices.Equal(r, rest) || !slices.Equal(p, part) {
			t.Error("the same seed gives another split")
		}
		if _, p := index(of, 0.2, 2); slices.Equal(p, part) {
			t.Error("another seed gives the same split")
		}
		// The split is part of the contract: a model is tested on what it was not trained on.
		if diff := cmp.Diff([]int{2, 4, 5, 12, 16, 20, 21, 24, 26, 27, 28, 29, 38, 53}, part); diff != "" {
			t.Errorf("split for seed 1 (-want +got):\n%s", diff)
		}
	}
	// Fractions go to where they are largest, and no part is empty.
	for _, c := range []struct {
		labels []int64
		share  float64
		want   int
	}{
		{[]int64{0, 0, 0, 1, 1, 1, 2, 2, 2}, 0.33, 3},
		{[]int64{0, 1}, 0.01, 1},
		{[]int64{0, 1}, 0.99, 1},
		{[]int64{0, 0, 0, 0, 1}, 0.5, 3},
	} {
		d := labelled(t, []string{"a", "b", "c"}, c.labels...)
		for _, d := range []Dataset{d, itemsOnly{d}} {
			if rest, part := index(d, c.share, 0); len(part) != c.want || len(rest) != len(c.labels)-c.want {
				t.Errorf("%v at %v: %v and %v, want %d", c.labels, c.share, rest, part, c.want)
			}
		}
	}
	broken := errors.New("disk on fire")
	for _, c := range []struct {
		d     Dataset
		share float64
		want  string
	}{
		{nil, 0.5, "split: the dataset is nil"},
		{d, 0, "split: the fraction is 0: want a number between 0 and 1"},
		{d, 1, "split: the fraction is 1"},
		{labelled(t, []string{"a"}, 0), 0.5, "split: 1 examples: want at least 2"},
		{named{faultyAt{d, 3, broken}, []string{"a", "b", "c"}}, 0.5, "split: example 3: disk on fire"},
		{named{itemsOnly{d}, []string{"a", "b"}}, 0.5, "split: example 3 has class 2: there are 2"},
		{named{faultyAt{counting(t, 3), 3, nil}, []string{"a"}}, 0.5, "split: example 1 has class 10: there are 1"},
	} {
		if _, _, err := Split(c.d, c.share, 0); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%v, want %q", err, c.want)
		}
	}
}

// named gives classes to a dataset.
type named struct {
	Dataset
	classes []string
}

func (n named) Classes() []string { return n.classes }

func TestClassified(t *testing.T) {
	x := tensor(t, []float32{1, 2}, 2)
	for _, c := range []struct {
		labels *value.Tensor
		want   string
	}{
		{tensor(t, []int64{0, 2}, 2), "dataset: label 1 is 2: want 0 to 1, the number of a class"},
		{tensor(t, []int64{-1, 0}, 2), "dataset: label 0 is -1"},
		{tensor(t, []int32{0, 0}, 2), "dataset: labels are i32[2]: want i64[N]"},
		{tensor(t, []int64{0}, 1), "x has 2 examples, y has 1"},
	} {
		if _, err := NewClassified(x, c.labels, []string{"a", "b"}); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%v, want %q", err, c.want)
		}
	}
}

func TestPicture(t *testing.T) {
	bytes := make([]uint8, 256)
	for i := range bytes {
		bytes[i] = uint8(i)
	}
	d, err := NewImages(tensor(t, bytes, 1, 1, 16, 16), tensor(t, []int64{0}, 1), []string{"a"})
	if err != nil {
		t.Fatal(err)
	}
	x, _, err := d.Item(0)
	if err != nil {
		t.Fatal(err)
	}
	img, err := Picture(x)
	if grey, ok := img.(*image.Gray); err != nil || !ok || !slices.Equal(grey.Pix, bytes) {
		t.Errorf("bytes do not come back: %v, %v", img, err)
	}
	img, err = Picture(tensor(t, []float32{0, 1, 2, -1, 0.5, 1}, 3, 1, 2))
	if err != nil || img.At(0, 0) != (color.NRGBA{0, 255, 128, 255}) || img.At(1, 0) != (color.NRGBA{255, 0, 255, 255}) {
		t.Errorf("%v, %v", img, err)
	}
	for _, c := range []struct {
		x    *value.Tensor
		want string
	}{
		{nil, "nil is no picture"},
		{tensor(t, []float32{1, 2}, 2), "f32[2] is no picture: want f32[1,H,W] or f32[3,H,W]"},
		{tensor(t, []float32{1, 2}, 2, 1, 1), "f32[2,1,1] is no picture"},
		{tensor(t, []uint8{1}, 1, 1, 1), "u8[1,1,1] is no picture"},
	} {
		if _, err := Picture(c.x); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%v, want %q", err, c.want)
		}
	}
}
