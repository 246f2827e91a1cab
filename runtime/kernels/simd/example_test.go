package simd_test

import (
	"fmt"

	"github.com/graphrun/graphrun/runtime/kernels/portable"
	"github.com/graphrun/graphrun/runtime/kernels/simd"
)

// The multiplier is the best that the processor has; it runs the products of package portable.
func Example() {
	p := portable.NewProduct(simd.MultiplierF32(), portable.Matrices[float32]{M: 2, N: 2, K: 3, Lda: 3, Ldb: 2, Ldc: 2}, nil, nil, nil)
	a := []float32{1, 2, 3, 4, 5, 6} // 2 x 3
	b := []float32{1, 0, 0, 1, 1, 1} // 3 x 2
	c := make([]float32, 4)
	p.Run(a, b, c, nil)
	fmt.Println(c)
	// Output:
	// [4 5 10 11]
}

// A row function takes rows that are ld elements apart, here the columns 1 and 2 of 3.
func ExampleRowSum() {
	x := []float32{9, 1, 2, 9, 3, 4}
	sums := make([]float32, 2)
	simd.RowSum(x[1:], 3, 2, 2, sums)
	fmt.Println(sums)
	// Output:
	// [3 7]
}
