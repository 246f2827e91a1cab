package ops

import (
	"fmt"

	"github.com/graphrun/graphrun/graph"
	"github.com/graphrun/graphrun/graph/dim"
	"github.com/graphrun/graphrun/graph/value"
)

var _ = graph.MustRegister(&graph.Op{
	Name:    "nonzero",
	Doc:     "The places of the elements that are not zero (torch.nonzero; the transpose of ONNX NonZero): one row of indices per element, in row-major order. How many there are is known only when the node runs, at most the number of elements.",
	ONNX:    "NonZero 9 13",
	Kind:    graph.ShapeOp,
	Args:    []graph.Arg{{Name: "x", Types: graph.Numeric | graph.Bools, Doc: "any shape; NaN is not zero"}},
	Attrs:   []graph.AttrSpec{{Name: "id", Kind: graph.IntAttr, Doc: "the number that names the unknown size nz<id>, one per node of a module"}},
	Results: []string{"indices"},
	Infer: func(c *graph.InferCtx) []graph.Type {
		x := c.Tensor(0)
		if c.Int("id") < 0 {
			c.Failf("id is not negative, have %d", c.Int("id"))
		}
		count := dim.Unknown(fmt.Sprintf("nz%d", c.Int("id")), x.NumElements())
		return tensors(graph.TensorType{DType: graph.I64, Shape: []graph.Dim{count, dim.Const(int64(x.Rank()))}})
	},
	NoGrad: "its results are integers",
	Ref: func(c *graph.RefCtx) {
		x := c.In[0]
		s := strides(x.Shape)
		y := &value.Exact{DType: graph.I64, I: []int64{}}
		count := 0
		for i := range x.Len() {
			if zeroAt(x, i) {
				continue
			}
			count++
			for a, d := range x.Shape {
				y.I = append(y.I, int64(i/s[a]%d))
			}
		}
		y.Shape = []int{count, len(x.Shape)}
		c.Out[0] = y
	},
})

func zeroAt(x *value.Exact, i int) bool {
	switch x.DType.Domain() {
	case value.Floats:
		return x.F[i] == 0
	case value.Ints:
		return x.I[i] == 0
	case value.Uints:
		return x.U[i] == 0
	}
	return !x.B[i]
}

// NonZero returns the places of the elements of x that are not zero, i64[?,rank] in row-major order. The number of rows
// is an unknown dim of its own: only values that come from these indices have it.
func NonZero(x Value) Value {
	f := x.Func()
	if f == nil {
		return x
	}
	return emit1("nonzero", []Value{x}, attr("id", f.Module().NextStream()))
}
