package backend_test

import (
	"fmt"

	"github.com/graphrun/graphrun/runtime/kernels/backend"
	"github.com/graphrun/graphrun/runtime/kernels/backend/plain"
)

// A level that has one entry of its own.
func Example() {
	mine := backend.Level{Name: "mine", Fill: func(t *backend.Table) {
		t.F32.Rows.Scale = func(y []float32, ld, rows, n int, scale []float32) {
			fmt.Println("scales", rows, "rows")
		}
	}}
	t := plain.New()
	mine.Fill(t)
	y, sums := []float32{1, 2, 3, 4}, make([]float32, 2)
	t.F32.Rows.Scale(y, 2, 2, 2, sums)
	t.F32.Rows.Reduce[backend.Sum](y, 2, 2, 2, sums)
	fmt.Println(sums)
	// Output:
	// scales 2 rows
	// [3 7]
}
