package avx_test

import (
	"fmt"
	"slices"

	"github.com/graphrun/graphrun/runtime/kernels/backend/avx"
	"github.com/graphrun/graphrun/runtime/kernels/backend/plain"
)

// The levels that the processor has, the best last, over plain Go.
func Example() {
	t := plain.New()
	for _, l := range slices.Backward(avx.Levels()) {
		l.Fill(t)
	}
	y := make([]float32, 2)
	t.F32.Rows.Norm(y, []float32{3, 5}, 2, 1, 2, []float32{4}, []float32{10})
	fmt.Println(y)
	// Output:
	// [-10 10]
}
