package driver_test

import (
	"fmt"

	"github.com/graphrun/graphrun/runtime/kernels/backend"
	"github.com/graphrun/graphrun/runtime/kernels/driver"
	"github.com/graphrun/graphrun/runtime/kernels/level"
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
	g := backend.Matrices[float32, float32, float32]{Shape: backend.Shape{M: 2, N: 2, K: 3, Lda: 3, Ldb: 2, Ldc: 2}}
	p := driver.NewProduct(level.Table().Products.F32, g, nil, nil, nil)
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
