package kernels

import (
	"github.com/graphrun/graphrun/runtime/kernels/portable"
	"github.com/graphrun/graphrun/runtime/kernels/simd"
)

func init() {
	floats("matmul", matmul(simd.GemmF32), matmul(simd.GemmF64))
}

// matmul multiplies matrices in the last two axes; the axes before them broadcast. gemm computes one product.
func matmul[T portable.Float](gemm gemmFunc[T]) func(c *Call) error {
	return func(c *Call) error {
		transA, transB := c.Bool("transpose_a"), c.Bool("transpose_b")
		out := c.Out[0].Shape()
		rank := len(out)
		m, n := out[rank-2], out[rank-1]
		a, b := aligned(c.In[0], rank), aligned(c.In[1], rank)
		k, lda, ldb := a[rank-1], a[rank-1], b[rank-1]
		if transA {
			k = a[rank-2]
		}
		batch := out[:rank-2]
		x, y, z := floatData[T](c.In[0]), floatData[T](c.In[1]), floatData[T](c.Out[0])
		if !simd.Available() {
			portable.BatchGemm(transA, transB, batch, m, n, k, x, batchStrides(a, batch), y, batchStrides(b, batch), z, nil)
			return nil
		}
		offsets(batch, batchStrides(a, batch), batchStrides(b, batch), func(i, atA, atB int) {
			gemm(transA, transB, m, n, k, x[atA:], lda, y[atB:], ldb, z[i*m*n:], n, false)
		})
		return nil
	}
}

type gemmFunc[T portable.Float] func(transA, transB bool, m, n, k int, a []T, lda int, b []T, ldb int, c []T, ldc int, accumulate bool)

// offsets calls visit for each matrix of a batch, in row-major order, with where it starts in both operands.
func offsets(batch, strideA, strideB []int, visit func(i, a, b int)) {
	count := 1
	for _, d := range batch {
		count *= d
	}
	for i := range count {
		a, b, rest := 0, 0, i
		for axis := len(batch) - 1; axis >= 0; axis-- {
			at := rest % batch[axis]
			rest /= batch[axis]
			a += at * strideA[axis]
			b += at * strideB[axis]
		}
		visit(i, a, b)
	}
}

// batchStrides returns the element strides of matrices along the batch axes, 0 where they broadcast.
func batchStrides(shape, batch []int) []int {
	s := make([]int, len(batch))
	n := shape[len(shape)-1] * shape[len(shape)-2]
	for i := len(batch) - 1; i >= 0; i-- {
		if shape[i] != 1 {
			s[i] = n
		}
		n *= shape[i]
	}
	return s
}
