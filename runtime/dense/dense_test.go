package dense_test

import (
	"slices"
	"strings"
	"testing"

	"gorgonia.org/tensor"

	"github.com/graphrun/graphrun/graph/value"
	"github.com/graphrun/graphrun/runtime/dense"
)

// testShared checks that both directions share memory, by writing through each side.
func testShared[T value.Elem](t *testing.T, a, b T) {
	t.Helper()
	backing := []T{a, b, a, b, a, b}
	d := tensor.New(tensor.WithShape(2, 3), tensor.WithBacking(backing))
	v, err := dense.FromDense(d)
	if err != nil {
		t.Fatal(err)
	}
	if v.DType() != value.DTypeOf[T]() || !slices.Equal(v.Shape(), []int{2, 3}) {
		t.Fatalf("got %v", v)
	}
	xs, err := value.Data[T](v)
	if err != nil {
		t.Fatal(err)
	}
	xs[5] = a
	if backing[5] != a {
		t.Errorf("%s: a write through the value does not reach the Dense", v.DType())
	}
	if err := d.SetAt(b, 0, 0); err != nil {
		t.Fatal(err)
	}
	if xs[0] != b {
		t.Errorf("%s: a write through the Dense does not reach the value", v.DType())
	}

	back, err := dense.ToDense(v)
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(back.Shape(), tensor.Shape{2, 3}) || back.Dtype() != d.Dtype() {
		t.Fatalf("got %v of shape %v", back.Dtype(), back.Shape())
	}
	if err := back.SetAt(a, 0, 1); err != nil {
		t.Fatal(err)
	}
	xs[2] = b
	if got := back.Data().([]T); xs[1] != a || got[2] != b {
		t.Errorf("%s: ToDense does not share memory", v.DType())
	}

	// A scalar is an element of its own kind in Gorgonia.
	s := value.Scalar(a)
	ds, err := dense.ToDense(s)
	if err != nil {
		t.Fatal(err)
	}
	sx, _ := value.Data[T](s)
	sx[0] = b
	if ds.Data() != any(b) {
		t.Errorf("%s: scalar ToDense does not share memory", v.DType())
	}
	vs, err := dense.FromDense(ds)
	if err != nil {
		t.Fatal(err)
	}
	if x, err := value.Item[T](vs); err != nil || x != b || vs.Rank() != 0 {
		t.Errorf("%s: scalar FromDense: %v, %v", v.DType(), x, err)
	}
}

func TestShared(t *testing.T) {
	testShared(t, true, false)
	testShared[int8](t, -1, 2)
	testShared[int16](t, -1, 2)
	testShared[int32](t, -1, 2)
	testShared[int64](t, -1, 2)
	testShared[uint8](t, 1, 2)
	testShared[uint16](t, 1, 2)
	testShared[uint32](t, 1, 2)
	testShared[uint64](t, 1, 2)
	testShared[float32](t, 1.5, 2)
	testShared(t, 1.5, 2)
	testShared(t, "one", "two")
}

func TestWordSizedIntegers(t *testing.T) {
	v, err := dense.FromDense(tensor.New(tensor.WithShape(2), tensor.WithBacking([]int{-1, 2})))
	if err != nil {
		t.Fatal(err)
	}
	if !v.DType().IsInteger() || !slices.Equal(v.Float64s(), []float64{-1, 2}) {
		t.Errorf("got %v", v)
	}
	v, err = dense.FromDense(tensor.New(tensor.WithShape(2), tensor.WithBacking([]uint{1, 2})))
	if err != nil || !slices.Equal(v.Float64s(), []float64{1, 2}) {
		t.Errorf("got %v, %v", v, err)
	}
}

func matrix() *tensor.Dense {
	return tensor.New(tensor.WithShape(3, 2), tensor.WithBacking([]float32{1, 2, 3, 4, 5, 6}))
}

func slice(t *testing.T, slices ...tensor.Slice) *tensor.Dense {
	t.Helper()
	v, err := matrix().Slice(slices...)
	if err != nil {
		t.Fatal(err)
	}
	return v.(*tensor.Dense)
}

func TestLayouts(t *testing.T) {
	transposed := matrix()
	if err := transposed.T(); err != nil {
		t.Fatal(err)
	}
	cube := tensor.New(tensor.WithShape(2, 3, 4), tensor.WithBacking(tensor.Range(tensor.Int32, 0, 24)))
	if err := cube.T(2, 0, 1); err != nil {
		t.Fatal(err)
	}
	words := tensor.New(tensor.WithShape(2, 2), tensor.WithBacking([]string{"a", "b", "c", "d"}))
	if err := words.T(); err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		name   string
		d      *tensor.Dense
		shares bool
		want   string // "" if the view is refused altogether
	}{
		{"rows", slice(t, tensor.S(1, 3)), true, "f32[2,2] [[3 4] [5 6]]"},
		{"row", slice(t, tensor.S(1)), true, "f32[2] [3 4]"},
		{"element", slice(t, tensor.S(1), tensor.S(1)), true, "f32[] 4"},
		{"column", slice(t, nil, tensor.S(1)), false, "f32[3] [2 4 6]"},
		{"transposed", transposed, false, "f32[2,3] [[1 3 5] [2 4 6]]"},
		{"fortran", tensor.New(tensor.WithShape(3, 2), tensor.AsFortran([]float32{1, 2, 3, 4, 5, 6})), false, "f32[3,2] [[1 2] [3 4] [5 6]]"},
		{"axes moved", cube, false, "i32[4,2,3] [[[0 4 8] [12 16 20]] [[1 5 ...] ...] ...]"},
		{"strings", words, false, `string[2,2] [["a" "c"] ["b" "d"]]`},
		{"unit axes", tensor.New(tensor.WithShape(1, 2, 1), tensor.WithBacking([]float32{1, 2})), true, "f32[1,2,1] [[[1] [2]]]"},
		{"empty", tensor.New(tensor.WithShape(0, 3), tensor.WithBacking([]float32{})), true, "f32[0,3] []"},
		{"stepped", slice(t, tensor.S(0, 3, 2)), false, ""}, // Gorgonia gives it the shape (2)
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			shared, err := dense.FromDense(test.d)
			if test.shares != (err == nil) {
				t.Errorf("FromDense: %v, %v", shared, err)
			}
			if err == nil && shared.String() != test.want {
				t.Errorf("FromDense: got %v, want %s", shared, test.want)
			}
			copied, err := dense.Copy(test.d)
			if test.want == "" {
				if err == nil {
					t.Errorf("Copy: no error, got %v", copied)
				}
				return
			}
			if err != nil || copied.String() != test.want {
				t.Errorf("Copy: got %v, %v, want %s", copied, err, test.want)
			}
		})
	}
}

func TestCopyDoesNotShare(t *testing.T) {
	d := matrix()
	v, err := dense.Copy(d)
	if err != nil {
		t.Fatal(err)
	}
	xs, _ := value.Data[float32](v)
	xs[0] = 100
	if d.Data().([]float32)[0] != 1 {
		t.Error("Copy shares memory")
	}
}

func TestRefused(t *testing.T) {
	masked := matrix()
	if err := masked.MaskedEqual(float32(3)); err != nil {
		t.Fatal(err)
	}
	for name, test := range map[string]struct {
		d    *tensor.Dense
		want string
	}{
		"nil":       {nil, "nil"},
		"complex64": {tensor.New(tensor.WithShape(1), tensor.WithBacking([]complex64{1})), "complex64"},
		"masked":    {masked, "masked"},
	} {
		for _, f := range []func(*tensor.Dense) (*value.Tensor, error){dense.FromDense, dense.Copy} {
			if v, err := f(test.d); err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("%s: got %v, %v", name, v, err)
			}
		}
	}
	if _, err := dense.ToDense(nil); err == nil {
		t.Error("ToDense(nil): no error")
	}
	for _, dt := range value.DTypes() {
		v, err := value.New(dt, 2)
		if err != nil {
			t.Fatal(err)
		}
		_, err = dense.ToDense(v)
		small := dt.Bits() < 8 && dt != value.String || dt.IsFloat() && dt.Bits() < 32
		if small != (err != nil) {
			t.Errorf("ToDense of %s: %v", dt, err)
		}
	}
}

func TestEmpty(t *testing.T) {
	v, err := value.New(value.F64, 0, 3)
	if err != nil {
		t.Fatal(err)
	}
	d, err := dense.ToDense(v)
	if err != nil {
		t.Fatal(err)
	}
	back, err := dense.FromDense(d)
	if err != nil || !back.Equal(v) {
		t.Errorf("got %v, %v", back, err)
	}
}
