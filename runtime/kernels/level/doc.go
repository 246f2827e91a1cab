// Package level chooses the instruction set that kernels use: the best that the processor and the build have, or the one that the
// environment variable GRAPHRUN_CPU names. [Name] says which it is; generic is plain Go.
//
//	t := level.Table()
//	g := backend.Matrices[float32, float32, float32]{Shape: backend.Shape{M: 2, N: 2, K: 3, Lda: 3, Ldb: 2, Ldc: 2}}
//	p := driver.NewProduct(t.Products.F32, g, nil, nil, nil)
//	a := []float32{1, 2, 3, 4, 5, 6} // 2 x 3
//	b := []float32{1, 0, 0, 1, 1, 1} // 3 x 2
//	c := make([]float32, 4)
//	p.Run(a, b, c, nil)
//	sums := make([]float32, 2)
//	t.F32.Rows.Reduce[backend.Sum](c, 2, 2, 2, sums)
//	fmt.Println(c, sums)
//
// prints at every level
//
//	[4 5 10 11] [9 21]
//
// The table of a level is plain Go with what the level has in its place, entry by entry. It is filled when it is first asked for.
package level
