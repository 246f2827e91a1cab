package dense_test

import (
	"fmt"

	"gorgonia.org/tensor"

	"github.com/graphrun/graphrun/runtime/dense"
)

// Both tensors are one memory. What is not laid out row by row is copied instead.
func Example() {
	d := tensor.New(tensor.WithShape(2, 3), tensor.WithBacking([]float32{1, 2, 3, 4, 5, 6}))
	t, err := dense.FromDense(d)
	if err != nil {
		fmt.Println(err)
		return
	}
	d.Set(0, float32(10))
	fmt.Println(t)

	if err := d.T(); err != nil { // a view with other strides
		fmt.Println(err)
		return
	}
	_, err = dense.FromDense(d)
	fmt.Println(err)
	fmt.Println(dense.Copy(d))
	// Output:
	// f32[2,3] [[10 2 3] [4 5 6]]
	// a Dense of f32[3 2] with strides [1 3] is not contiguous in row-major order: use dense.Copy
	// f32[3,2] [[10 4] [2 5] [3 6]] <nil>
}
