package ops

import (
	"fmt"

	"github.com/graphrun/graphrun/graph"
	"github.com/graphrun/graphrun/graph/dim"
	"github.com/graphrun/graphrun/graph/errfmt"
	"github.com/graphrun/graphrun/graph/value"
)

// BroadcastShapes returns the shape to which NumPy's rule broadcasts shapes: aligned at the last axis, a dim of 1
// stretches to the other's. Two dims that are neither equal nor 1 are an error, also when one is a symbol
// that might turn out to be equal: models give equal sizes one name.
func BroadcastShapes(shapes ...[]graph.Dim) ([]graph.Dim, error) {
	rank := 0
	for _, s := range shapes {
		rank = max(rank, len(s))
	}
	result := make([]graph.Dim, rank)
	for i := range result {
		d := dim.Const(1)
		for _, s := range shapes {
			k := i - (rank - len(s))
			if k < 0 || isOne(s[k]) || s[k].Equal(d) {
				continue
			}
			if !isOne(d) {
				return nil, errfmt.Errorf("sizes %s and %s of axis %d (from the last: %d) do not broadcast", d, s[k], i, rank-1-i)
			}
			d = s[k]
		}
		result[i] = d
	}
	return result, nil
}

func isOne(d graph.Dim) bool { n, ok := d.Int(); return ok && n == 1 }

// inferBroadcast is the type rule of element-wise ops: operands of one dtype, broadcast together.
func inferBroadcast(c *graph.InferCtx) []graph.Type {
	if len(c.In) == 2 && graph.EqualTypes(c.In[0], c.In[1]) {
		return []graph.Type{c.In[0]}
	}
	return tensors(graph.TensorType{DType: c.SameDType(), Shape: broadcastOperands(c, 0)})
}

// inferCompare is inferBroadcast with a bool result.
func inferCompare(c *graph.InferCtx) []graph.Type {
	c.SameDType()
	return tensors(graph.TensorType{DType: graph.Bool, Shape: broadcastOperands(c, 0)})
}

// broadcastOperands broadcasts the shapes of all operands from the first given on.
func broadcastOperands(c *graph.InferCtx, from int) []graph.Dim {
	shapes := make([][]graph.Dim, 0, len(c.In))
	for i := from; i < len(c.In); i++ {
		shapes = append(shapes, c.Tensor(i).Shape)
	}
	shape, err := BroadcastShapes(shapes...)
	if err != nil {
		msg := err.Error() + ": "
		for i := from; i < len(c.In); i++ {
			if i > from {
				msg += ", "
			}
			msg += fmt.Sprintf("%s is %s", c.Op.Arg(i).Name, c.In[i])
		}
		c.Failf("%s", msg)
	}
	return shape
}

// SumTo sums v, which has been broadcast from shape, back to shape.
func SumTo(v Value, shape []graph.Dim) Value {
	have := v.Shape()
	if graph.EqualShapes(have, shape) {
		return v
	}
	lead := len(have) - len(shape)
	var axes []int
	for i := range have {
		if i < lead || (isOne(shape[i-lead]) && !isOne(have[i])) {
			axes = append(axes, i)
		}
	}
	if len(axes) > 0 {
		v = ReduceSum(v, axes, false)
	}
	if !graph.EqualShapes(v.Shape(), shape) {
		v = reshapeDims(v, shape)
	}
	return v
}

// strides returns row-major strides of a shape, in elements.
// Not inlined: 1.9 kB of the service.
//
//go:noinline
func strides(shape []int) []int {
	s := make([]int, len(shape))
	n := 1
	for i := len(shape) - 1; i >= 0; i-- {
		s[i] = n
		n *= shape[i]
	}
	return s
}

// broadcastStrides returns the strides with which an operand of a shape is read at the places of a result of
// shape to: 0 along axes that it lacks or has size 1 in.
func broadcastStrides(shape, to []int) []int {
	own := strides(shape)
	s := make([]int, len(to))
	lead := len(to) - len(shape)
	for i := range shape {
		if shape[i] != 1 {
			s[lead+i] = own[i]
		}
	}
	return s
}

// forEach calls visit for every place of a shape in row-major order, with the offset that each set of strides
// gives.
func forEach(shape []int, strideSets [][]int, visit func(i int, at []int)) {
	n := 1
	for _, d := range shape {
		n *= d
	}
	at := make([]int, len(strideSets))
	idx := make([]int, len(shape))
	for i := range n {
		visit(i, at)
		for a := len(shape) - 1; a >= 0; a-- {
			idx[a]++
			for k, s := range strideSets {
				at[k] += s[a]
			}
			if idx[a] < shape[a] {
				break
			}
			for k, s := range strideSets {
				at[k] -= s[a] * shape[a]
			}
			idx[a] = 0
		}
	}
}

// forBroadcast visits the places of result 0 with the offsets of all operands.
func forBroadcast(c *graph.RefCtx, visit func(i int, at []int)) {
	sets := make([][]int, len(c.In))
	for k, x := range c.In {
		sets[k] = broadcastStrides(x.Shape, c.Out[0].Shape)
	}
	forEach(c.Out[0].Shape, sets, visit)
}

// arith holds a binary op's meaning in each numeric domain; a nil one is not defined.
type arith struct {
	f func(a, b float64) float64
	i func(a, b int64) int64
	u func(a, b uint64) uint64
	b func(a, b bool) bool
}

// What element-wise ops, reductions and cumulative ops have in common.
var (
	sums = arith{
		f: func(a, b float64) float64 { return a + b },
		i: func(a, b int64) int64 { return a + b },
		u: func(a, b uint64) uint64 { return a + b },
	}
	products = arith{
		f: func(a, b float64) float64 { return a * b },
		i: func(a, b int64) int64 { return a * b },
		u: func(a, b uint64) uint64 { return a * b },
	}
	maxima = arith{
		f: func(a, b float64) float64 { return max(a, b) },
		i: func(a, b int64) int64 { return max(a, b) },
		u: func(a, b uint64) uint64 { return max(a, b) },
	}
	minima = arith{
		f: func(a, b float64) float64 { return min(a, b) },
		i: func(a, b int64) int64 { return min(a, b) },
		u: func(a, b uint64) uint64 { return min(a, b) },
	}
)

// ref returns the broadcasting reference of a binary op.
func (op arith) ref(c *graph.RefCtx) {
	a, b, y := c.In[0], c.In[1], c.Out[0]
	forBroadcast(c, func(i int, at []int) {
		switch y.DType.Domain() {
		case value.Floats:
			y.F[i] = op.f(a.F[at[0]], b.F[at[1]])
		case value.Ints:
			y.I[i] = op.i(a.I[at[0]], b.I[at[1]])
		case value.Uints:
			y.U[i] = op.u(a.U[at[0]], b.U[at[1]])
		case value.Bools:
			y.B[i] = op.b(a.B[at[0]], b.B[at[1]])
		}
	})
}
