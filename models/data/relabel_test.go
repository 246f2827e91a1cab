package data

import (
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/graphrun/graphrun/graph/value"
)

func elems(t *testing.T, y *value.Tensor) []int64 {
	t.Helper()
	e, err := value.Data[int64](y)
	if err != nil {
		t.Fatal(err)
	}
	return e
}

func TestRelabel(t *testing.T) {
	x, err := value.FromSlice([]float32{0, 1, 2, 3}, 4, 1)
	if err != nil {
		t.Fatal(err)
	}
	y, err := value.FromSlice([]int64{1, 0, 1, 1}, 4)
	if err != nil {
		t.Fatal(err)
	}
	d, err := NewClassified(x, y, []string{"2", "1", "none"})
	if err != nil {
		t.Fatal(err)
	}
	r, err := Relabel(d, []string{"0", "1", "2"}, []int{2, 1, -1})
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff([]string{"0", "1", "2"}, r.Classes()); d != "" {
		t.Error(d)
	}
	var b Batch
	if err := r.Fill(&b, []int{1, 0, 3}); err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff([]int64{2, 1, 1}, elems(t, b.Y)); d != "" {
		t.Error(d)
	}
	if class, err := classOf(r, 1); class != 2 || err != nil {
		t.Errorf("example 1 is of class %d, %v", class, err)
	}
	if d := cmp.Diff([]int64{1, 0, 1, 1}, elems(t, y)); d != "" {
		t.Errorf("the labels of the other dataset have changed: %s", d)
	}
	// The share of a class is that of the new one.
	rest, part, err := Split(r, 0.5, 1)
	if err != nil || rest.Len() != 2 || part.Len() != 2 {
		t.Errorf("%v", err)
	}

	var unknown *UnknownClassError
	if _, err := Relabel(d, []string{"1"}, []int{-1, 0, -1}); !errors.As(err, &unknown) || *unknown != (UnknownClassError{1, 0}) {
		t.Errorf("have %v", err)
	}
	for _, place := range [][]int{{0, 1, 3}, {0}} {
		if _, err := Relabel(d, []string{"0", "1", "2"}, place); err == nil {
			t.Errorf("%v is no error", place)
		}
	}
	if _, err := Relabel(nil, nil, nil); err == nil {
		t.Error("nil is no error")
	}
}
