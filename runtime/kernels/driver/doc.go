// Package driver holds what of numeric kernels runs on every machine: how a matrix product or a convolution is cut into blocks for
// caches and threads, what is packed when, where an epilogue is applied, the plans of pooling, reductions and moves, and scratch.
// The loops inside come from an entry of a backend.Table.
//
//	g := backend.Matrices[float32, float32, float32]{Shape: backend.Shape{M: 2, N: 2, K: 3, Lda: 3, Ldb: 2, Ldc: 2}}
//	p := driver.NewProduct(level.Table().Products.F32, g, nil, nil, nil)
//	a := []float32{1, 2, 3, 4, 5, 6} // 2 x 3
//	b := []float32{1, 0, 0, 1, 1, 1} // 3 x 2
//	c := make([]float32, 4)
//	p.Run(a, b, c, nil)
//	fmt.Println(c)
//	p.Run(a, b, c, &bias{y: c, ld: 2, b: []float32{100, 200}})
//	fmt.Println(c)
//
// prints the product, and the product with an epilogue that adds a number to each column while it is in cache:
//
//	[4 5 10 11]
//	[104 205 110 211]
//
// [Product] multiplies by a backend.Multiplier, [Conv2D] and its gradients by a backend.ConvEngine, [Pool2D] by a backend.PoolEngine;
// a [Move] copies boxes of elements, and [Stages] are the steps of a reduction.
//
// # Determinism
//
// Results are bit-identical for any number of threads: an output element is
// always computed by the same sequence of operations, whatever the split of
// work. Where the rows of an output are samples (a row of a GEMM, a sample of a
// convolution), their bits do not depend on how many other rows there are.
//
// # Contract
//
// Slices may be longer than the shape asks for; a slice that is too short
// panics before any work starts. Outputs must not overlap inputs unless a
// kernel says so. What has a constructor, such as a product or a convolution, is
// prepared once for a shape: plans and scratch are made there, and a run does
// not allocate. Runs of one such object must not overlap.
package driver
