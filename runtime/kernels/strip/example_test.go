package strip_test

import (
	"fmt"

	"github.com/graphrun/graphrun/graph/value"
	"github.com/graphrun/graphrun/runtime/kernels/backend"
	"github.com/graphrun/graphrun/runtime/kernels/strip"
)

// relu(x + bias) and the sum of each of its rows, in one pass. The first result takes the place of x.
func Example() {
	b := strip.New([]int{2, 3})
	x := b.Operand(value.F32, []int{2, 3})
	bias := b.Operand(value.F32, []int{3})
	y := b.Unary(backend.ReLU, b.Binary(backend.Add, x, bias))
	b.Result(y)
	b.Reduce(backend.Sum, y, []int{1}, func(axis int) bool { return axis == 0 })
	k := b.Bind()

	xs, _ := value.FromSlice([]float32{1, 2, 3, -1, -2, -3}, 2, 3)
	biases, _ := value.FromSlice([]float32{10, -5, 1}, 3)
	sums, _ := value.New(value.F32, 2)
	k.Run([]*value.Tensor{xs, biases}, []*value.Tensor{xs, sums})
	fmt.Println(xs.Float64s(), sums.Float64s())
	// Output:
	// [11 0 4 9 0 0] [15 9]
}
