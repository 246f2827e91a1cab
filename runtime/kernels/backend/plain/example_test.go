package plain_test

import (
	"fmt"

	"github.com/graphrun/graphrun/runtime/kernels/backend"
	"github.com/graphrun/graphrun/runtime/kernels/backend/plain"
)

// Rows are ld elements apart: here the columns 1 and 2 of 3. Element-wise functions take operands that are vectors or, by the form,
// scalars.
func Example() {
	t := plain.New()
	sums := make([]float32, 2)
	t.F32.Rows.Reduce[backend.Sum]([]float32{1, 2, 9, 3, 4}, 3, 2, 2, sums)
	fmt.Println(sums)
	y := make([]float64, 3)
	plain.Binary(backend.Max, backend.VS, y, []float64{-1, 2, 5}, []float64{3})
	fmt.Println(y)
	// Output:
	// [3 7]
	// [3 3 5]
}
