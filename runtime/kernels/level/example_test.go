package level_test

import (
	"fmt"

	"github.com/graphrun/graphrun/runtime/kernels/backend"
	"github.com/graphrun/graphrun/runtime/kernels/driver"
	"github.com/graphrun/graphrun/runtime/kernels/level"
)

// The table has the best that the processor offers, entry by entry.
func Example() {
	t := level.Table()
	g := backend.Matrices[float32, float32, float32]{Shape: backend.Shape{M: 2, N: 2, K: 3, Lda: 3, Ldb: 2, Ldc: 2}}
	p := driver.NewProduct(t.Products.F32, g, nil, nil, nil)
	a := []float32{1, 2, 3, 4, 5, 6} // 2 x 3
	b := []float32{1, 0, 0, 1, 1, 1} // 3 x 2
	c := make([]float32, 4)
	p.Run(a, b, c, nil)
	sums := make([]float32, 2)
	t.F32.Rows.Reduce[backend.Sum](c, 2, 2, 2, sums)
	fmt.Println(c, sums)
	// Output:
	// [4 5 10 11] [9 21]
}
