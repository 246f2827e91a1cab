package kernels

import (
	"github.com/graphrun/graphrun/graph"
	"github.com/graphrun/graphrun/graph/value"
	"github.com/graphrun/graphrun/runtime/kernels/backend"
	"github.com/graphrun/graphrun/runtime/kernels/driver"
	"github.com/graphrun/graphrun/runtime/kernels/level"
)

func init() {
	register(&Kernel{Op: "matmul", DTypes: graph.DTypes(graph.F32, graph.F64), Pack: packMatmul, BindEpilogue: bindMatmul})
}

// bindMatmul multiplies matrices in the last two axes; the axes before them broadcast.
func bindMatmul(s *Spec, epilogue backend.Epilogue) (Func, error) {
	if s.InTypes[0].DType == graph.F64 {
		return matmul(s, level.Table().Products.F64, epilogue), nil
	}
	return matmul(s, level.Table().Products.F32, epilogue), nil
}

func matmul[T backend.Float](s *Spec, by backend.Multiplier[T, T, T], epilogue backend.Epilogue) Func {
	shape, batch, strideA, strideB := products(s)
	p := driver.NewProduct(by, backend.Matrices[T, T, T]{Shape: shape}, batch, strideA, strideB)
	p.Stop = s.Stop
	packed := s.packed(1)
	return func(c *Call) error {
		if packed != nil {
			p.PackB(packed.Data.(*backend.Packed[T]))
		}
		p.Run(elems[T](c.In[0]), elems[T](c.In[1]), elems[T](c.Out[0]), epilogue)
		return nil
	}
}

// packed returns an operand in the layout that the kernel asked for, nil if it is not.
func (s *Spec) packed(operand int) *Packed {
	if operand < len(s.Packed) {
		return s.Packed[operand]
	}
	return nil
}

// matmulLayout is the layout of a matrix on the right.
type matmulLayout struct {
	dtype     graph.DType
	transpose bool
}

// packMatmul packs a matrix on the right, if it is large enough for its layout to matter. A single row reads a packed
// one at the speed of the cache, too: it lies there in the order in which it is read.
func packMatmul(s *Spec, operand int) *Layout {
	const worthIt = 1 << 12
	t := s.InTypes[1]
	shape, ok := t.ConstShape()
	if operand != 1 || !ok || len(shape) != 2 || shape[0]*shape[1] < worthIt {
		return nil
	}
	l := matmulLayout{t.DType, s.Bool("transpose_b")}
	if l.dtype == graph.F64 {
		return &Layout{l, func(t *value.Tensor) any { return packB(level.Table().Products.F64, l.transpose, t) }}
	}
	return &Layout{l, func(t *value.Tensor) any { return packB(level.Table().Products.F32, l.transpose, t) }}
}

func packB[T backend.Float](by backend.Multiplier[T, T, T], trans bool, t *value.Tensor) any {
	k, n := t.Shape()[0], t.Shape()[1]
	ld := n
	if trans {
		k, n = n, k
	}
	return by.PackB(trans, k, n, elems[T](t), ld)
}

// products returns the products that a matmul of these types consists of.
func products(s *Spec) (g backend.Shape, batch, strideA, strideB []int) {
	g.TransA, g.TransB = s.Bool("transpose_a"), s.Bool("transpose_b")
	rank := s.OutTypes[0].Rank()
	out, a, b := sizes(s.OutTypes[0], rank), sizes(s.InTypes[0], rank), sizes(s.InTypes[1], rank)
	g.M, g.N, g.K = out[rank-2], out[rank-1], a[rank-1]
	g.Lda, g.Ldb, g.Ldc = a[rank-1], b[rank-1], g.N
	if g.TransA {
		g.K = a[rank-2]
	}
	batch = out[:rank-2]
	strideA, strideB = batchStrides(a, batch), batchStrides(b, batch)
	shared := true // one B
	for _, stride := range strideB {
		shared = shared && stride == 0
	}
	if n := product(batch); shared && !g.TransA && n == product(a[:rank-2]) {
		// The matrices of A lie one above the other, as those of C do.
		g.M *= n
		batch, strideA, strideB = nil, nil, nil
	}
	return g, batch, strideA, strideB
}

// sizes returns the constant dims of a type, behind as many of size 1 as make up the rank.
func sizes(t graph.TensorType, rank int) []int {
	out := make([]int, rank)
	for i := range out {
		out[i] = 1
	}
	for i, d := range t.Shape {
		n, _ := d.Int()
		out[rank-t.Rank()+i] = int(n)
	}
	return out
}

func product(dims []int) int {
	n := 1
	for _, d := range dims {
		n *= d
	}
	return n
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
