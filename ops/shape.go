package ops

import (
	"slices"

	"github.com/graphrun/graphrun/graph"
	"github.com/graphrun/graphrun/graph/dim"
	"github.com/graphrun/graphrun/graph/errfmt"
	"github.com/graphrun/graphrun/graph/value"
)

// tensorArg declares the operand of ops that move elements without looking at them.
var tensorArg = []graph.Arg{{Name: "x", Types: graph.AnyDType, Doc: "the tensor"}}

// fit gives v a shape that is equal to its own at run time, where the two differ as expressions.
func fit(v Value, shape []graph.Dim) Value {
	if graph.EqualShapes(v.Shape(), shape) {
		return v
	}
	return reshapeDims(v, shape)
}

// exceeds reports whether a > b is known.
func exceeds(a, b graph.Dim) bool { return dim.Max(a, dim.Add(b, dim.Const(1))).Equal(a) }

// isZero reports whether d is the constant 0.
func isZero(d graph.Dim) bool { n, ok := d.Int(); return ok && n == 0 }

// ceilDivBy and floorDivBy divide a dim by a positive constant, which has no error.
func ceilDivBy(d graph.Dim, n int) graph.Dim {
	q, _ := dim.CeilDiv(d, dim.Const(int64(n)))
	return q
}

func floorDivBy(d graph.Dim, n int) graph.Dim {
	q, _ := dim.FloorDiv(d, dim.Const(int64(n)))
	return q
}

var _ = graph.MustRegister(&graph.Op{
	Name: "reshape",
	Doc: "The elements of x, in row-major order, in another shape of as many elements (torch.reshape). Numbers of " +
		"elements that may be equal are compared when the sizes are known.",
	ONNX:    "Reshape 1 5 13 14 19 21 23 24 25",
	Kind:    graph.ViewOp,
	Args:    tensorArg,
	Attrs:   []graph.AttrSpec{{Name: "shape", Kind: graph.DimsAttr, Show: graph.ShowNever, Doc: "the shape of the result"}},
	Results: out,
	Infer: func(c *graph.InferCtx) []graph.Type {
		x := c.Tensor(0)
		y := graph.TensorType{DType: x.DType, Shape: c.Dims("shape")}
		have, want := x.NumElements(), y.NumElements()
		c.MustEqual(have, want, "the number of elements changes: x is %s with %s, the result would be %s with %s", x, have, y, want)
		return tensors(y)
	},
	Grad: func(g *graph.GradCtx) []Value { return []Value{reshapeDims(g.Dy(0), g.In[0].Shape())} },
	Ref: func(c *graph.RefCtx) {
		y := *c.In[0]
		y.Shape = c.Out[0].Shape
		c.Out[0] = &y
	},
	InPlace: []int{0},
})

// reshapeDims is Reshape to a shape that is known as dims.
func reshapeDims(x Value, shape []graph.Dim) Value {
	return emit1("reshape", []Value{x}, attr("shape", shape))
}

// Reshape returns the elements of x in row-major order in the given shape (torch.reshape). Dims are ints, dim
// expressions as strings, and graph.Dims; one of them may be -1 and is then inferred. Shapes whose numbers of elements
// are known to differ are reported; others are compared again when the sizes are known.
func Reshape(x Value, dims ...any) Value {
	if !x.OK() {
		return reshapeDims(x, nil)
	}
	shape, at, err := shapeWithHole(dims)
	if err != nil {
		return report("reshape", []Value{x}, "%v", err)
	}
	if at >= 0 {
		have, rest := dim.Product(x.Shape()...), dim.Product(slices.Delete(slices.Clone(shape), at, at+1)...)
		if shape[at], err = dim.FloorDiv(have, rest); err != nil {
			return report("reshape", []Value{x}, "axis %d cannot be inferred: the other sizes hold no elements", at)
		}
		if left, err := dim.Mod(have, rest); err != nil || dim.ProvablyDifferent(left, dim.Const(0)) {
			return report("reshape", []Value{x}, "axis %d cannot be inferred: x is %s with %s elements, which %s does not divide", at, x.Type(), have, rest)
		}
	}
	return reshapeDims(x, shape)
}

// shapeWithHole converts sizes of which one may be -1 to dims, and returns the place of that one, -1 if there is none.
func shapeWithHole(sizes []any) (shape []graph.Dim, at int, err error) {
	at = -1
	filled := slices.Clone(sizes)
	for i, s := range sizes {
		if isHole(s) {
			if at >= 0 {
				return nil, 0, errfmt.Errorf("only one size may be -1, have %v", sizes)
			}
			at, filled[i] = i, 1
		}
	}
	shape, err = graph.Shape(filled...)
	return shape, at, err
}

// isHole reports whether a user's size is -1.
func isHole(size any) bool {
	switch n := size.(type) {
	case int:
		return n == -1
	case int64:
		return n == -1
	}
	return false
}

// Flatten merges the axes from start to end, both included, into one (torch.flatten); negative ones count from the end.
// A tensor of rank 0 becomes one of a single element.
func Flatten(x Value, start, end int) Value {
	if !x.OK() || x.Rank() == 0 {
		return reshapeDims(x, graph.Ints(1))
	}
	shape, s, e := x.Shape(), normAxis(start, x), normAxis(end, x)
	if s < 0 || e >= len(shape) || s > e {
		return report("flatten", []Value{x}, "there are no axes %d to %d to merge: x is %s", start, end, x.Type())
	}
	merged := dim.Product(shape[s : e+1]...)
	return reshapeDims(x, slices.Concat(shape[:s], []graph.Dim{merged}, shape[e+1:]))
}

// Squeeze removes axes of size 1 (torch.squeeze, ONNX Squeeze): those given, which must have that size, or all that are
// known to have it if none is given. Negative axes count from the end.
func Squeeze(x Value, axes ...int) Value {
	if !x.OK() {
		return reshapeDims(x, nil)
	}
	norm, err := normAxes(axes, x.Rank())
	if err != nil {
		return report("squeeze", []Value{x}, "%v: x is %s", err, x.Type())
	}
	var shape []graph.Dim
	for i, d := range x.Shape() {
		switch {
		case slices.Contains(norm, i):
			if dim.ProvablyDifferent(d, dim.Const(1)) {
				return report("squeeze", []Value{x}, "axis %d has size %s, not 1: x is %s", i, d, x.Type())
			}
		case len(axes) > 0 || !isOne(d):
			shape = append(shape, d)
		}
	}
	return reshapeDims(x, shape)
}

// Unsqueeze inserts axes of size 1 (torch.unsqueeze, ONNX Unsqueeze). The axes are those of the result; negative ones
// count from its end.
func Unsqueeze(x Value, axes ...int) Value {
	if !x.OK() {
		return reshapeDims(x, nil)
	}
	rank := x.Rank() + len(axes)
	norm, err := normAxes(axes, rank)
	if err != nil {
		return report("unsqueeze", []Value{x}, "%v: x is %s and gets %d axes", err, x.Type(), len(axes))
	}
	shape, rest := make([]graph.Dim, 0, rank), x.Shape()
	for i := range rank {
		if slices.Contains(norm, i) {
			shape = append(shape, dim.Const(1))
			continue
		}
		shape, rest = append(shape, rest[0]), rest[1:]
	}
	return reshapeDims(x, shape)
}

var _ = graph.MustRegister(&graph.Op{
	Name:    "transpose",
	Doc:     "Reorders the axes: axis i of the result is axis perm[i] of x (torch.permute).",
	ONNX:    "Transpose 1 13 21 23 24 25",
	Kind:    graph.ViewOp,
	Args:    tensorArg,
	Attrs:   []graph.AttrSpec{{Name: "perm", Kind: graph.IntsAttr, Doc: "the axes of x, each once, in the order of the result"}},
	Results: out,
	Infer: func(c *graph.InferCtx) []graph.Type {
		x, perm := c.Tensor(0), c.Ints("perm")
		if !isPermutation(perm, x.Rank()) {
			c.Failf("want each axis from 0 to %d once, have %v: x is %s", x.Rank()-1, perm, x)
		}
		y := graph.TensorType{DType: x.DType, Shape: make([]graph.Dim, len(perm))}
		for i, p := range perm {
			y.Shape[i] = x.Shape[p]
		}
		return tensors(y)
	},
	Grad: func(g *graph.GradCtx) []Value { return []Value{Transpose(g.Dy(0), inversePerm(g.Ints("perm"))...)} },
	Ref: func(c *graph.RefCtx) {
		from, to := strides(c.In[0].Shape), make([]int, len(c.In[0].Shape))
		for i, p := range c.Ints("perm") {
			to[i] = from[p]
		}
		forEach(c.Out[0].Shape, [][]int{to}, func(i int, at []int) { copyElement(c.Out[0], i, c.In[0], at[0]) })
	},
})

func isPermutation(perm []int, rank int) bool {
	norm, err := normAxes(perm, rank)
	return err == nil && len(norm) == rank && !slices.ContainsFunc(perm, func(p int) bool { return p < 0 })
}

func inversePerm(perm []int) []int {
	inv := make([]int, len(perm))
	for i, p := range perm {
		inv[p] = i
	}
	return inv
}

// Transpose reorders the axes of x: axis i of the result is axis perm[i] of x (torch.permute). Negative axes count from
// the end; without perm the order is reversed (numpy.transpose). See SwapAxes for torch.transpose.
func Transpose(x Value, perm ...int) Value {
	full := make([]int, len(perm))
	for i, p := range perm {
		full[i] = normAxis(p, x)
	}
	if len(perm) == 0 {
		for i := x.Rank() - 1; i >= 0; i-- {
			full = append(full, i)
		}
	}
	return emit1("transpose", []Value{x}, attr("perm", full))
}

// SwapAxes exchanges two axes of x (torch.transpose); negative ones count from the end.
func SwapAxes(x Value, a, b int) Value {
	perm := make([]int, x.Rank())
	for i := range perm {
		perm[i] = i
	}
	p, q := normAxis(a, x), normAxis(b, x)
	if x.OK() && (min(p, q) < 0 || max(p, q) >= len(perm)) {
		return report("transpose", []Value{x}, "there are no axes %d and %d to swap: x is %s", a, b, x.Type())
	}
	if x.OK() {
		perm[p], perm[q] = q, p
	}
	return emit1("transpose", []Value{x}, attr("perm", perm))
}

// T transposes a matrix, or each matrix of a stack: it swaps the last two axes (torch.Tensor.mT).
func T(x Value) Value { return SwapAxes(x, -2, -1) }

var _ = graph.MustRegister(&graph.Op{
	Name: "expand",
	Doc: "Repeats x along axes of size 1 and new leading axes up to a shape (ONNX Expand with the whole shape given, torch.expand, " +
		"numpy.broadcast_to).",
	ONNX:    "Expand 8 13",
	Kind:    graph.ViewOp,
	Args:    tensorArg,
	Attrs:   []graph.AttrSpec{{Name: "shape", Kind: graph.DimsAttr, Show: graph.ShowNever, Doc: "the shape of the result"}},
	Results: out,
	Infer: func(c *graph.InferCtx) []graph.Type {
		x, shape := c.Tensor(0), c.Dims("shape")
		y := graph.TensorType{DType: x.DType, Shape: shape}
		if all, err := BroadcastShapes(x.Shape, shape); err != nil || !graph.EqualShapes(all, shape) {
			c.Failf("x does not broadcast to the result: x is %s, the result would be %s", x, y)
		}
		return tensors(y)
	},
	Grad: func(g *graph.GradCtx) []Value { return []Value{SumTo(g.Dy(0), g.In[0].Shape())} },
	Ref: func(c *graph.RefCtx) {
		forBroadcast(c, func(i int, at []int) { copyElement(c.Out[0], i, c.In[0], at[0]) })
	},
})

// expandDims is Expand to a shape that is known as dims; x itself if it has that shape.
func expandDims(x Value, shape []graph.Dim) Value {
	if x.OK() && graph.EqualShapes(x.Shape(), shape) {
		return x
	}
	return emit1("expand", []Value{x}, attr("shape", shape))
}

// Expand repeats x along axes of size 1 and new leading axes up to the given shape (torch.expand). Dims are ints, dim
// expressions as strings, and graph.Dims; -1 keeps the size of an axis that x has.
func Expand(x Value, dims ...any) Value {
	if !x.OK() {
		return expandDims(x, nil)
	}
	filled, lead := slices.Clone(dims), len(dims)-x.Rank()
	for i, d := range dims {
		if isHole(d) && i >= lead && lead >= 0 {
			filled[i] = x.Shape()[i-lead]
		}
	}
	shape, err := graph.Shape(filled...)
	if err != nil {
		return report("expand", []Value{x}, "%v: x is %s", err, x.Type())
	}
	return expandDims(x, shape)
}

// Full returns a tensor on f whose elements all are v, a Go number, bool or string (torch.full). Dims are ints, dim
// expressions as strings, and graph.Dims.
func Full(f *graph.Func, dt graph.DType, v any, dims ...any) Value {
	shape, ok := shapeAttr(f, "full", "shape", dims)
	if !ok {
		return graph.Poison(f)
	}
	return fullDims(f, dt, v, shape.Value.([]graph.Dim))
}

func fullDims(f *graph.Func, dt graph.DType, v any, shape []graph.Dim) Value {
	return expandDims(f.Scalar(dt, v), shape)
}

// ZerosLike returns zeros of the type of x; false for bools and "" for strings.
func ZerosLike(x Value) Value { return fillLike(x, 0) }

// OnesLike returns ones of the type of x; true for bools.
func OnesLike(x Value) Value { return fillLike(x, 1) }

func fillLike(x Value, n int) Value {
	if !x.OK() {
		return x
	}
	return FullLike(x, zeroOr(x.DType(), n))
}

// zeroOr returns n as a Go value that Func.Scalar takes for dt; "" for strings.
func zeroOr(dt graph.DType, n int) any {
	switch dt.Domain() {
	case value.Strings:
		return ""
	case value.Bools:
		return n != 0
	case value.Floats:
		return float64(n)
	}
	return n
}

// FullLike returns a tensor of the type of x whose elements all are v, a Go number, bool or string (torch.full_like).
func FullLike(x Value, v any) Value {
	if !x.OK() {
		return x
	}
	return fullDims(x.Func(), x.DType(), v, x.Shape())
}

var _ = graph.MustRegister(&graph.Op{
	Name: "iota",
	Doc:  "A tensor whose elements are their positions along an axis: 0, 1, 2 ... (torch.arange, XLA's Iota). Integers wrap.",
	Kind: graph.ShapeOp,
	Attrs: []graph.AttrSpec{
		{Name: "shape", Kind: graph.DimsAttr, Show: graph.ShowNever, Doc: "the shape of the result"},
		{Name: "axis", Kind: graph.IntAttr, Default: int64(0), Doc: "the axis along which to count; a negative one counts from the end"},
		{Name: "dtype", Kind: graph.DTypeAttr, Show: graph.ShowNever, Default: graph.I64, Doc: "the dtype of the result, a numeric one"},
	},
	Results: out,
	Infer: func(c *graph.InferCtx) []graph.Type {
		c.Axis("axis", len(c.Dims("shape")))
		if dt := c.DType("dtype"); !dt.IsNumeric() {
			c.Failf("want a numeric dtype, have %v", dt)
		}
		return tensors(graph.TensorType{DType: c.DType("dtype"), Shape: c.Dims("shape")})
	},
	NoGrad: "the result is constant",
	Ref: func(c *graph.RefCtx) {
		y := c.Out[0]
		eachLane(y.Shape, c.Int("axis"), func(at, stride, n int) {
			for k := range n {
				switch y.DType.Domain() {
				case value.Floats:
					y.F[at+k*stride] = float64(k)
				case value.Ints:
					y.I[at+k*stride] = int64(k)
				case value.Uints:
					y.U[at+k*stride] = uint64(k)
				}
			}
		})
	},
})

// Iota returns a tensor on f whose elements are their positions along axis. Dims are ints, dim expressions as strings,
// and graph.Dims.
func Iota(f *graph.Func, dt graph.DType, axis int, dims ...any) Value {
	shape, ok := shapeAttr(f, "iota", "shape", dims)
	if !ok {
		return graph.Poison(f)
	}
	return iotaDims(f, dt, axis, shape.Value.([]graph.Dim))
}

func iotaDims(f *graph.Func, dt graph.DType, axis int, shape []graph.Dim) Value {
	if axis < 0 && axis >= -len(shape) {
		axis += len(shape)
	}
	return f.Emit(graph.LookupOp("iota"), nil, graph.Attrs{attr("shape", shape), attr("axis", axis), attr("dtype", dt)})[0]
}

// Arange returns 0, 1 ... n-1 on f (torch.arange); n is an int, a dim expression as a string, or a graph.Dim. For another
// start or step, multiply and add.
func Arange(f *graph.Func, dt graph.DType, n any) Value { return Iota(f, dt, 0, n) }

// triangle is the part that tril and triu share; keep says whether the element in column-row = d of a matrix stays.
func triangle(name, doc string, onnx graph.ONNX, keep func(d, diagonal int) bool) *graph.Op {
	return &graph.Op{
		Name:    name,
		Doc:     doc,
		ONNX:    onnx,
		Kind:    graph.ShapeOp,
		Args:    []graph.Arg{{Name: "x", Types: graph.Numeric | graph.Bools, Doc: "a matrix, or a stack of matrices"}},
		Attrs:   []graph.AttrSpec{{Name: "diagonal", Kind: graph.IntAttr, Default: int64(0), Doc: "the diagonal: 0 is the main one, positive ones lie above it"}},
		Results: out,
		Infer: func(c *graph.InferCtx) []graph.Type {
			if c.Tensor(0).Rank() < 2 {
				c.Failf("want a matrix or a stack of matrices: x is %s", c.In[0])
			}
			return tensors(c.Tensor(0))
		},
		Grad: func(g *graph.GradCtx) []Value {
			return []Value{emit1(name, []Value{g.Dy(0)}, attr("diagonal", g.Int("diagonal")))}
		},
		Ref: func(c *graph.RefCtx) {
			x, diagonal := c.In[0], c.Int("diagonal")
			rank := len(x.Shape)
			row, col := make([]int, rank), make([]int, rank)
			row[rank-2], col[rank-1] = 1, 1
			forEach(x.Shape, [][]int{row, col}, func(i int, at []int) {
				if keep(at[1]-at[0], diagonal) {
					copyElement(c.Out[0], i, x, i)
				}
			})
		},
		InPlace: []int{0},
	}
}

var _ = graph.MustRegister(triangle("tril",
	"The lower triangle of each matrix: elements above the diagonal become zero (ONNX Trilu with upper 0, torch.tril).",
	"Trilu 14",
	func(d, diagonal int) bool { return d <= diagonal }))

// Tril zeroes the elements of each matrix above the diagonal (torch.tril): 0 is the main one, positive ones lie above it.
func Tril(x Value, diagonal int) Value { return emit1("tril", []Value{x}, attr("diagonal", diagonal)) }

var _ = graph.MustRegister(triangle("triu",
	"The upper triangle of each matrix: elements below the diagonal become zero (ONNX Trilu with upper 1, torch.triu).",
	"Trilu 14",
	func(d, diagonal int) bool { return d >= diagonal }))

// Triu zeroes the elements of each matrix below the diagonal (torch.triu): 0 is the main one, positive ones lie above it.
func Triu(x Value, diagonal int) Value { return emit1("triu", []Value{x}, attr("diagonal", diagonal)) }
