package value_test

import (
	"fmt"

	"github.com/graphrun/graphrun/graph/value"
)

// A tensor made from a slice shares its memory.
func ExampleFromSlice() {
	data := []float32{1, 2, 3, 4, 5, 6}
	t, err := value.FromSlice(data, 2, 3)
	data[0] = 10
	fmt.Println(t, err)
	_, err = value.FromSlice(data, 4)
	fmt.Println(err)
	// Output:
	// f32[2,3] [[10 2 3] [4 5 6]] <nil>
	// f32[4] needs 4 elements, have 6
}

// Data gives the elements as a Go slice, of the dtype's own type only.
func ExampleData() {
	t, err := value.New(value.I64, 3)
	if err != nil {
		fmt.Println(err)
		return
	}
	xs, err := value.Data[int64](t)
	xs[1] = 7
	fmt.Println(t, err)
	_, err = value.Data[float32](t)
	fmt.Println(err)
	// Output:
	// i64[3] [0 7 0] <nil>
	// tensor is i64[3], not f32 (Go type float32)
}

// Convert casts in exact domains: integers wrap, floats round once.
func ExampleConvert() {
	x, _ := value.FromSlice([]float32{1.5, -2.5, 300, 1e10}, 4)
	for _, dt := range []value.DType{value.I8, value.F16, value.BF16, value.F8E4M3FN, value.Bool} {
		e, err := value.Convert(x.Exact(), dt)
		if err != nil {
			fmt.Println(err)
			continue
		}
		fmt.Println(e.Tensor())
	}
	// Output:
	// i8[4] [1 -2 44 0]
	// f16[4] [1.5 -2.5 300 inf]
	// bf16[4] [1.5 -2.5 300 1e+10]
	// f8e4m3fn[4] [1.5 -2.5 288 448]
	// bool[4] [true true true true]
}

// Elements narrower than a byte are packed.
func ExampleTensor_Bytes() {
	x, _ := value.FromSlice([]int64{1, -2, 3}, 3)
	e, _ := value.Convert(x.Exact(), value.I4)
	t := e.Tensor()
	fmt.Printf("%v in %d bytes: % x\n", t, len(t.Bytes()), t.Bytes())
	// Output:
	// i4[3] [1 -2 3] in 2 bytes: e1 03
}

// A size that cannot be is an error, not a panic.
func ExampleNew() {
	for _, shape := range [][]int{{2, 3}, {2, -3}, {1 << 40, 1 << 40}} {
		_, err := value.New(value.F32, shape...)
		fmt.Println(err)
	}
	// Output:
	// <nil>
	// f32[2,-3]: dim 1 is negative
	// f32[1099511627776,1099511627776] is too large
}

// Beside tensors there are sequences, optionals and maps.
func ExampleNewSequence() {
	s, err := value.NewSequence(value.Scalar(int64(1)), value.Scalar(int64(2)))
	fmt.Println(s, err)
	_, err = value.NewSequence(value.Scalar(int64(1)), value.Scalar(float32(2)))
	fmt.Println(err)
	fmt.Println(value.Some(value.Scalar(true)), value.None())
	// Output:
	// sequence[i64[] 1, i64[] 2] <nil>
	// sequence: elements have different types: i64 tensor and f32 tensor
	// some(bool[] true) none
}
