package ops

import (
	"cmp"
	"slices"
	"sort"

	"github.com/graphrun/graphrun/graph"
	"github.com/graphrun/graphrun/graph/dim"
	"github.com/graphrun/graphrun/graph/value"
)

// inferRanked is the type rule of ops that give values and their indices along an axis, of which n are kept.
func inferRanked(c *graph.InferCtx, axis int, n graph.Dim) []graph.Type {
	x := c.Tensor(0)
	shape := slices.Clone(x.Shape)
	shape[axis] = n
	return tensors(graph.TensorType{DType: x.DType, Shape: shape}, graph.TensorType{DType: graph.I64, Shape: shape})
}

// gradRanked brings the gradient of values back to the places that they come from.
func gradRanked(g *graph.GradCtx) []Value {
	if !g.HasDy(0) {
		return []Value{{}}
	}
	return []Value{ScatterAdd(ZerosLike(g.In[0]), g.Int("axis"), g.Out[1], g.Dy(0))}
}

// compareElements orders elements i and k of x: NaN is greatest, false less than true, strings go by their bytes.
func compareElements(x *value.Exact, i, k int) int {
	switch x.DType.Domain() {
	case value.Floats:
		return -cmp.Compare(-x.F[i], -x.F[k]) // cmp.Compare has NaN as the least
	case value.Bools:
		return cmp.Compare(bit(x.B[i]), bit(x.B[k]))
	case value.Strings:
		return cmp.Compare(x.S[i], x.S[k])
	}
	return order(x, i, k)
}

func bit(b bool) int {
	if b {
		return 1
	}
	return 0
}

// rank sorts the lanes of operand 0 along the axis, equal elements by their position, and writes the first elements of
// each and their indices, as many as there is room for.
func rank(c *graph.RefCtx, descending bool) {
	x, values, indices := c.In[0], c.Out[0], c.Out[1]
	axis := c.Int("axis")
	if axis < 0 {
		axis += len(x.Shape)
	}
	var starts []int
	eachLane(values.Shape, axis, func(at, _, _ int) { starts = append(starts, at) })
	places := make([]int, x.Shape[axis])
	lane := 0
	eachLane(x.Shape, axis, func(at, stride, _ int) {
		for i := range places {
			places[i] = i
		}
		sort.SliceStable(places, func(i, j int) bool {
			if descending {
				i, j = j, i
			}
			return compareElements(x, at+places[i]*stride, at+places[j]*stride) < 0
		})
		for i := range values.Shape[axis] {
			copyElement(values, starts[lane]+i*stride, x, at+places[i]*stride)
			indices.I[starts[lane]+i*stride] = int64(places[i])
		}
		lane++
	})
}

var _ = graph.MustRegister(&graph.Op{
	Name: "topk",
	Doc: "The k largest or smallest elements along an axis in order, and their indices as i64 (torch.topk). Of equal elements " +
		"the first comes first; NaN is greater than every number.",
	ONNX: "TopK 1 10 11 24",
	Kind: graph.ReductionOp,
	Args: []graph.Arg{{Name: "x", Types: graph.Numeric, Doc: "the tensor"}},
	Attrs: []graph.AttrSpec{
		{Name: "axis", Kind: graph.IntAttr, Default: int64(-1), Doc: "the axis to search along; a negative one counts from the end"},
		{Name: "k", Kind: graph.IntAttr, Doc: "how many elements, at most the size of the axis"},
		{Name: "largest", Kind: graph.BoolAttr, Default: true, Doc: "whether the largest are wanted, in falling order, or the smallest, in rising order"},
	},
	Results: []string{"values", "indices"},
	Infer: func(c *graph.InferCtx) []graph.Type {
		x, k := c.Tensor(0), dim.Const(int64(c.Int("k")))
		axis := c.Axis("axis", x.Rank())
		if c.Int("k") < 0 || c.Exceeds(k, x.Shape[axis]) {
			c.Failf("k is %d, axis %d has size %s: x is %s", c.Int("k"), axis, x.Shape[axis], x)
		}
		return inferRanked(c, axis, k)
	},
	Grad: gradRanked,
	Ref:  func(c *graph.RefCtx) { rank(c, c.Bool("largest")) },
})

// TopK returns the k largest elements of x along axis in falling order, or the k smallest in rising order, and their
// indices as i64 (torch.topk). Of equal elements the first comes first; NaN is greater than every number.
func TopK(x Value, k, axis int, largest bool) (values, indices Value) {
	return pair(emit("topk", []Value{x}, attr("axis", normAxis(axis, x)), attr("k", k), attr("largest", largest)))
}

var _ = graph.MustRegister(&graph.Op{
	Name: "sort",
	Doc: "The elements along an axis in order, and their indices as i64 (torch.sort). Equal elements keep their order; NaN is greater " +
		"than every number.",
	Kind: graph.ReductionOp,
	Args: []graph.Arg{{Name: "x", Types: graph.AnyDType, Doc: "the tensor"}},
	Attrs: []graph.AttrSpec{
		{Name: "axis", Kind: graph.IntAttr, Default: int64(-1), Doc: "the axis to sort along; a negative one counts from the end"},
		{Name: "descending", Kind: graph.BoolAttr, Default: false, Doc: "whether the greatest comes first"},
	},
	Results: []string{"values", "indices"},
	Infer: func(c *graph.InferCtx) []graph.Type {
		x := c.Tensor(0)
		axis := c.Axis("axis", x.Rank())
		return inferRanked(c, axis, x.Shape[axis])
	},
	Grad: gradRanked,
	Ref:  func(c *graph.RefCtx) { rank(c, c.Bool("descending")) },
})

// Sort returns the elements of x along axis in order and their indices as i64 (torch.sort with stable true, torch.argsort).
// Equal elements keep their order; NaN is greater than every number.
func Sort(x Value, axis int, descending bool) (values, indices Value) {
	return pair(emit("sort", []Value{x}, attr("axis", normAxis(axis, x)), attr("descending", descending)))
}

func pair(vs []Value) (a, b Value) { return vs[0], vs[1] }
