package portable_test

import (
	"fmt"

	"github.com/graphrun/graphrun/runtime/kernels/portable"
)

// bias adds one number to each column.
type bias struct {
	y  []float32
	ld int
	b  []float32
}

func (e *bias) Workers(int) {}

func (e *bias) Apply(_, r0, r1, c0, c1 int) {
	for i := r0; i < r1; i++ {
		for j := c0; j < c1; j++ {
			e.y[i*e.ld+j] += e.b[j]
		}
	}
}

// A product is bound to sizes once and run on slices; its epilogue gets each part right after it has been computed.
func Example() {
	p := portable.NewProduct(portable.Plain[float32](), portable.Matrices[float32]{M: 2, N: 2, K: 3, Lda: 3, Ldb: 2, Ldc: 2}, nil, nil, nil)
	a := []float32{1, 2, 3, 4, 5, 6} // 2 x 3
	b := []float32{1, 0, 0, 1, 1, 1} // 3 x 2
	c := make([]float32, 4)
	p.Run(a, b, c, nil)
	fmt.Println(c)
	p.Run(a, b, c, &bias{y: c, ld: 2, b: []float32{100, 200}})
	fmt.Println(c)
	// Output:
	// [4 5 10 11]
	// [104 205 110 211]
}

// Rows are ld elements apart: here the columns 1 and 2 of 3.
func ExampleRowSum() {
	x := []float32{9, 1, 2, 9, 3, 4}
	sums := make([]float32, 2)
	portable.RowSum(x[1:], 3, 2, 2, sums)
	fmt.Println(sums)
	// Output:
	// [3 7]
}

// Element-wise functions take operands that are vectors or, by the form, scalars.
func ExampleBinary() {
	y := make([]float64, 3)
	portable.Binary(portable.Max, portable.VS, y, []float64{-1, 2, 5}, []float64{3})
	fmt.Println(y)
	// Output:
	// [3 3 5]
}
