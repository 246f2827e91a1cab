package ops

import (
	"slices"

	"github.com/graphrun/graphrun/graph"
	"github.com/graphrun/graphrun/graph/dim"
)

var indicesArg = graph.Arg{Name: "indices", Types: graph.Indices, Doc: "positions along the axis; negative ones count from the end"}

var indexAxis = graph.AttrSpec{Name: "axis", Kind: graph.IntAttr, Doc: "the axis that the indices refer to; a negative one counts from the end"}

// fromEndAttr tells positions, which may count from the end, from classes and the like, which may not.
var fromEndAttr = graph.AttrSpec{Name: "from_end", Kind: graph.BoolAttr, Default: true, Doc: "whether negative indices count from the end; they fail if not"}

// IndexOption changes what Gather and GatherElements take indices for.
type IndexOption uint8

// FromStart makes a negative index one that is out of range: a class or a word has no other name.
const FromStart IndexOption = 1

func fromEnd(opts []IndexOption) graph.Attr { return attr("from_end", len(opts) == 0) }

// checkedIndices returns indices as offsets from 0 to n-1, and refuses one that is out of range.
func checkedIndices(c *graph.RefCtx, indices []int64, n int) []int {
	out := make([]int, len(indices))
	least := -int64(n)
	if c.Get("from_end") == false {
		least = 0
	}
	for i, k := range indices {
		if k < least || k >= int64(n) {
			c.Failf("index %d is out of range for axis %d of size %d", k, c.Int("axis"), n)
		}
		if out[i] = int(k); k < 0 {
			out[i] += n
		}
	}
	return out
}

// product multiplies sizes.
func product(sizes []int) int {
	n := 1
	for _, s := range sizes {
		n *= s
	}
	return n
}

// eachRow visits the rows that indices, of any shape, pick along an axis of data: the offset of a row's first element in
// data and its offset among the rows picked, each of inner elements.
func eachRow(c *graph.RefCtx, data []int, indices []int64, visit func(from, to, inner int)) {
	axis := c.Int("axis")
	if axis < 0 {
		axis += len(data)
	}
	outer, n, inner := product(data[:axis]), data[axis], product(data[axis+1:])
	rows := checkedIndices(c, indices, n)
	for o := range outer {
		for j, k := range rows {
			visit((o*n+k)*inner, (o*len(rows)+j)*inner, inner)
		}
	}
}

// gatheredShape is the shape that indices pick along an axis of data.
func gatheredShape(data, indices []graph.Dim, axis int) []graph.Dim {
	return slices.Concat(data[:axis], indices, data[axis+1:])
}

var _ = graph.MustRegister(&graph.Op{
	Name: "gather",
	Doc: "Picks parts of data along an axis (torch.index_select, torch.embedding for axis 0). The axes of the indices, of " +
		"which there may be any number, take the place of the axis. An index out of range fails.",
	ONNX:    "Gather 1 11 13",
	Kind:    graph.ShapeOp,
	Args:    []graph.Arg{{Name: "data", Types: graph.AnyDType, Doc: "the tensor to pick from"}, indicesArg},
	Attrs:   []graph.AttrSpec{indexAxis, fromEndAttr},
	Results: out,
	Infer: func(c *graph.InferCtx) []graph.Type {
		x, axis := c.Tensor(0), c.Axis("axis", c.Tensor(0).Rank())
		return tensors(graph.TensorType{DType: x.DType, Shape: gatheredShape(x.Shape, c.Tensor(1).Shape, axis)})
	},
	Grad: func(g *graph.GradCtx) []Value {
		return []Value{emit1("index_add", []Value{ZerosLike(g.In[0]), g.In[1], g.Dy(0)}, attr("axis", g.Int("axis"))), {}}
	},
	Ref: func(c *graph.RefCtx) {
		eachRow(c, c.In[0].Shape, c.In[1].I, func(from, to, inner int) {
			for k := range inner {
				copyElement(c.Out[0], to+k, c.In[0], from+k)
			}
		})
	},
})

// Gather picks parts of data along axis: the axes of indices, an i32 or i64 tensor of any rank, take the place of the axis
// (ONNX Gather, torch.index_select). Negative indices count from the end, unless FromStart is given; one out of range fails when it
// is run.
func Gather(data Value, axis int, indices Value, opts ...IndexOption) Value {
	return emit1("gather", []Value{data, indices}, attr("axis", normAxis(axis, data)), fromEnd(opts))
}

// Embedding returns the rows of weight[V,D] at indices of any shape, from 0 to V-1: result indices.shape+[D] (torch.nn.Embedding).
func Embedding(weight, indices Value) Value { return Gather(weight, 0, indices, FromStart) }

var _ = graph.MustRegister(&graph.Op{
	Name: "index_add",
	Doc: "Adds updates to the parts of x that gather picks with the same indices (torch.index_add with indices of any rank). Updates of " +
		"one place add up. An index out of range fails.",
	Kind: graph.ShapeOp,
	Args: []graph.Arg{
		{Name: "x", Types: graph.Numeric, Doc: "the tensor to add to"},
		indicesArg,
		{Name: "updates", Types: graph.Numeric, Doc: "what to add, of the shape that gather gives and x's dtype"},
	},
	Attrs:   []graph.AttrSpec{indexAxis},
	Results: out,
	Infer: func(c *graph.InferCtx) []graph.Type {
		x, indices, updates := c.Tensor(0), c.Tensor(1), c.Tensor(2)
		if x.DType != updates.DType {
			c.Failf("dtypes differ: x is %s, updates is %s", x, updates)
		}
		mustHaveShape(c, updates, gatheredShape(x.Shape, indices.Shape, c.Axis("axis", x.Rank())), "what the indices pick")
		return tensors(x)
	},
	Grad: func(g *graph.GradCtx) []Value {
		return []Value{g.Dy(0), {}, fit(Gather(g.Dy(0), g.Int("axis"), g.In[1]), g.In[2].Shape())}
	},
	Ref: func(c *graph.RefCtx) {
		y := c.In[0]
		eachRow(c, y.Shape, c.In[1].I, func(to, from, inner int) {
			for k := range inner {
				addElement(y, to+k, c.In[2], from+k)
			}
		})
		c.Out[0] = y
	},
	InPlace: []int{0},
	Tol:     graph.Tol{InOrder: true, Terms: func(in []graph.TensorType, _ graph.Attrs) int { return 1 + elements(in[1]) }},
	FLOPs:   perOperand(2, 1, "one for each element of updates"),
})

// elements returns the number of elements of a type with constant dims.
func elements(t graph.TensorType) int {
	n, _ := t.NumElements().Int()
	return int(n)
}

// IndexAdd adds updates to the parts of x that Gather(x, axis, indices) picks (torch.index_add); updates has the shape of
// what is picked and x's dtype. Updates of one place add up; an index out of range fails when it is run.
func IndexAdd(x Value, axis int, indices, updates Value) Value {
	return emit1("index_add", []Value{x, indices, updates}, attr("axis", normAxis(axis, x)))
}

// inferElements checks that indices of x's rank stay within x along the other axes, and returns both types.
func inferElements(c *graph.InferCtx) (x, indices graph.TensorType) {
	x, indices = c.Tensor(0), c.Tensor(1)
	axis := c.Axis("axis", x.Rank())
	if x.Rank() != indices.Rank() {
		c.Failf("want indices of the same rank: %s is %s, indices is %s", c.Op.Args[0].Name, x, indices)
	}
	for i, d := range indices.Shape {
		if i != axis && c.Exceeds(d, x.Shape[i]) {
			c.Failf("indices reach beyond axis %d: %s is %s, indices is %s", i, c.Op.Args[0].Name, x, indices)
		}
	}
	return x, indices
}

// eachElement visits the places of indices in row-major order with the offset in data, of the given shape, of the element
// at that place but for the axis, where the index stands.
func eachElement(c *graph.RefCtx, data []int, visit func(i, k int)) {
	axis, indices := c.Int("axis"), c.In[1]
	if axis < 0 {
		axis += len(data)
	}
	along := checkedIndices(c, indices.I, data[axis])
	set := strides(data)
	step := set[axis]
	set[axis] = 0
	forEach(indices.Shape, [][]int{set}, func(i int, at []int) { visit(i, at[0]+along[i]*step) })
}

var _ = graph.MustRegister(&graph.Op{
	Name: "gather_elements",
	Doc: "Picks single elements: at each place of the indices, the element of data at that place but for the axis, where the index " +
		"stands (torch.gather). An index out of range fails.",
	ONNX:    "GatherElements 11 13",
	Kind:    graph.ShapeOp,
	Args:    []graph.Arg{{Name: "data", Types: graph.AnyDType, Doc: "the tensor to pick from"}, indicesArg},
	Attrs:   []graph.AttrSpec{indexAxis, fromEndAttr},
	Results: out,
	Infer: func(c *graph.InferCtx) []graph.Type {
		x, indices := inferElements(c)
		return tensors(graph.TensorType{DType: x.DType, Shape: indices.Shape})
	},
	Grad: func(g *graph.GradCtx) []Value {
		return []Value{emit1("scatter_add", []Value{ZerosLike(g.In[0]), g.In[1], g.Dy(0)}, attr("axis", g.Int("axis"))), {}}
	},
	Ref: func(c *graph.RefCtx) {
		eachElement(c, c.In[0].Shape, func(i, k int) { copyElement(c.Out[0], i, c.In[0], k) })
	},
})

// GatherElements picks single elements of data: at each place of indices, an i32 or i64 tensor of data's rank, the element
// at that place but for axis, where the index stands (torch.gather). Indices are no larger than data along the other
// axes. Negative ones count from the end, unless FromStart is given; one out of range fails when it is run.
func GatherElements(data Value, axis int, indices Value, opts ...IndexOption) Value {
	return emit1("gather_elements", []Value{data, indices}, attr("axis", normAxis(axis, data)), fromEnd(opts))
}

var _ = graph.MustRegister(&graph.Op{
	Name: "scatter_add",
	Doc: "Adds each element of updates to the element of x that gather_elements picks with the same indices (torch.scatter_add, ONNX " +
		"ScatterElements with reduction add). Updates of one place add up. An index out of range fails.",
	ONNX: "ScatterElements 11 13 16 18",
	Kind: graph.ShapeOp,
	Args: []graph.Arg{
		{Name: "x", Types: graph.Numeric, Doc: "the tensor to add to"},
		indicesArg,
		{Name: "updates", Types: graph.Numeric, Doc: "what to add, of the shape of the indices and x's dtype"},
	},
	Attrs:   []graph.AttrSpec{indexAxis},
	Results: out,
	Infer: func(c *graph.InferCtx) []graph.Type {
		x, indices := inferElements(c)
		updates := c.Tensor(2)
		if x.DType != updates.DType {
			c.Failf("dtypes differ: x is %s, updates is %s", x, updates)
		}
		mustHaveShape(c, updates, indices.Shape, "what the indices pick")
		return tensors(x)
	},
	Grad: func(g *graph.GradCtx) []Value {
		return []Value{g.Dy(0), {}, fit(GatherElements(g.Dy(0), g.Int("axis"), g.In[1]), g.In[2].Shape())}
	},
	Ref: func(c *graph.RefCtx) {
		y := c.In[0]
		eachElement(c, y.Shape, func(i, k int) { addElement(y, k, c.In[2], i) })
		c.Out[0] = y
	},
	InPlace: []int{0},
	Tol:     graph.Tol{InOrder: true, Terms: func(in []graph.TensorType, _ graph.Attrs) int { return 1 + elements(in[1]) }},
	FLOPs:   perOperand(2, 1, "one for each element of updates"),
})

// ScatterAdd adds each element of updates to the element of x that GatherElements(x, axis, indices) picks
// (torch.scatter_add); updates has the shape of indices and x's dtype. Updates of one place add up; an index out of
// range fails when it is run.
func ScatterAdd(x Value, axis int, indices, updates Value) Value {
	return emit1("scatter_add", []Value{x, indices, updates}, attr("axis", normAxis(axis, x)))
}

// OneHot returns a tensor of dtype dt with a new last axis of the given size, which is 1 where the position equals the
// index and 0 elsewhere (torch.nn.functional.one_hot); an index outside of the axis gives zeros. The number of classes is
// an int, a dim expression as a string, or a graph.Dim.
func OneHot(indices Value, classes any, dt graph.DType) Value {
	if !indices.OK() {
		return Cast(indices, dt)
	}
	if !indices.DType().IsInteger() {
		return report("one_hot", []Value{indices}, "want integers: indices is %s", indices.Type())
	}
	n, err := graph.Shape(classes)
	if err != nil {
		return report("one_hot", []Value{indices}, "classes: %v", err)
	}
	return Cast(Equal(Unsqueeze(indices, -1), iotaDims(indices.Func(), indices.DType(), 0, n)), dt)
}

// Diagonal returns the diagonal of each matrix of x, from the last two axes: element [i, i+offset] at i (torch.diagonal with
// dim1 -2 and dim2 -1).
func Diagonal(x Value, offset int) Value {
	if !x.OK() {
		return emit1("gather_elements", []Value{x, x})
	}
	if x.Rank() < 2 {
		return report("diagonal", []Value{x}, "want a matrix or a stack of matrices: x is %s", x.Type())
	}
	rank := x.Rank()
	rows, cols := dim.Const(int64(max(-offset, 0))), dim.Const(int64(max(offset, 0)))
	n := dim.Max(dim.Min(dim.Sub(x.Shape()[rank-2], rows), dim.Sub(x.Shape()[rank-1], cols)), dim.Const(0))
	if !isZero(n) {
		x = piece(piece(x, rank-2, rows, n), rank-1, cols, n)
	}
	at := x.Shape()[:rank-2]
	index := expandDims(iotaDims(x.Func(), graph.I64, rank-2, append(onesDims(rank-2), n, dim.Const(1))), append(slices.Clone(at), n, dim.Const(1)))
	return reshapeDims(GatherElements(x, rank-1, index), append(slices.Clone(at), n))
}

func onesDims(n int) []graph.Dim { return slices.Repeat([]graph.Dim{dim.Const(1)}, n) }
