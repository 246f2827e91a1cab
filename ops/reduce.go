package ops

import (
	"cmp"
	"math"
	"slices"

	"github.com/graphrun/graphrun/graph"
	"github.com/graphrun/graphrun/graph/dim"
	"github.com/graphrun/graphrun/graph/errfmt"
	"github.com/graphrun/graphrun/graph/value"
)

// normAxes returns axes of a tensor of the rank sorted and counted from the first; negative ones count from the
// end. One out of range or given twice is an error.
func normAxes(axes []int, rank int) ([]int, error) {
	given := make([]bool, rank)
	for _, a := range axes {
		if a < -rank || a >= rank {
			return nil, errfmt.Errorf("axis %d is out of range for rank %d", a, rank)
		}
		if a < 0 {
			a += rank
		}
		if given[a] {
			return nil, errfmt.Errorf("axis %d is given twice", a)
		}
		given[a] = true
	}
	norm := make([]int, 0, len(axes))
	for a := range given {
		if given[a] {
			norm = append(norm, a)
		}
	}
	return norm, nil
}

// reducedAxes returns the attribute axes of a node that has been accepted, counted from the first.
func reducedAxes(a graph.Attrs, rank int) []int {
	axes, _ := normAxes(a.Ints("axes"), rank)
	return axes
}

// reducedShape returns the shape without axes, or with 1 in their place.
func reducedShape(shape []graph.Dim, axes []int, keep bool) []graph.Dim {
	result := make([]graph.Dim, 0, len(shape))
	for i, d := range shape {
		switch {
		case !slices.Contains(axes, i):
			result = append(result, d)
		case keep:
			result = append(result, dim.Const(1))
		}
	}
	return result
}

// inferReduce is the type rule of reductions over the attribute axes.
func inferReduce(c *graph.InferCtx) []graph.Type {
	x := c.Tensor(0)
	axes, err := normAxes(c.Ints("axes"), x.Rank())
	if err != nil {
		c.Failf("%v: x is %s", err, x)
	}
	return tensors(graph.TensorType{DType: x.DType, Shape: reducedShape(x.Shape, axes, c.Bool("keepdims"))})
}

// reduction is the part that the reductions over any axes share: all but the meaning and the gradient.
// Not inlined: 11.0 kB of the service.
//
//go:noinline
func reduction(name, doc string, onnx graph.ONNX, types graph.DTypeSet) *graph.Op {
	return &graph.Op{
		Name:    name,
		Doc:     doc,
		ONNX:    onnx,
		Kind:    graph.ReductionOp,
		Args:    []graph.Arg{{Name: "x", Types: types, Doc: "the tensor"}},
		Attrs:   append([]graph.AttrSpec(nil), reduceAttrs...),
		Results: out,
		Infer:   inferReduce,
		FLOPs:   perElement,
	}
}

var reduceAttrs = []graph.AttrSpec{
	{Name: "axes", Kind: graph.IntsAttr, Doc: "the axes to reduce; negative ones count from the end, and none means that x " +
		"stays as it is"},
	{Name: "keepdims", Kind: graph.BoolAttr, Default: false, Doc: "whether reduced axes stay, with size 1"},
}

// reduce emits a reduction over axes, all if nil.
func reduce(name string, x Value, axes []int, keepDims bool, attrs ...graph.Attr) Value {
	if axes == nil {
		axes = make([]int, x.Rank())
		for i := range axes {
			axes[i] = i
		}
	} else if norm, err := normAxes(axes, x.Rank()); err == nil {
		axes = norm // a faulty one is reported by the type rule
	}
	return emit1(name, []Value{x}, append(attrs, attr("axes", axes), attr("keepdims", keepDims))...)
}

// fold reduces with op, starting from what start puts into the results.
func fold(c *graph.RefCtx, op arith, start func(y *value.Exact, i int)) {
	x, y := c.In[0], c.Out[0]
	for i := range y.Len() {
		start(y, i)
	}
	eachReduced(c, func(i, k int) {
		switch y.DType.Domain() {
		case value.Floats:
			y.F[k] = op.f(y.F[k], x.F[i])
		case value.Ints:
			y.I[k] = op.i(y.I[k], x.I[i])
		case value.Uints:
			y.U[k] = op.u(y.U[k], x.U[i])
		case value.Bools:
			y.B[k] = op.b(y.B[k], x.B[i])
		}
	})
}

// eachReduced visits the elements i of operand 0 in order, with the element k of the result that each goes into.
func eachReduced(c *graph.RefCtx, visit func(i, k int)) {
	shape := c.In[0].Shape
	kept := slices.Clone(shape)
	for _, a := range reducedAxes(c.Attrs, len(shape)) {
		kept[a] = 1
	}
	forEach(shape, [][]int{broadcastStrides(kept, shape)}, func(i int, at []int) { visit(i, at[0]) })
}

// startAt starts a fold at a number.
func startAt(n int) func(y *value.Exact, i int) {
	return func(y *value.Exact, i int) {
		switch y.DType.Domain() {
		case value.Floats:
			y.F[i] = float64(n)
		case value.Ints:
			y.I[i] = int64(n)
		case value.Uints:
			y.U[i] = uint64(n)
		case value.Bools:
			y.B[i] = n != 0
		}
	}
}

// unreduce puts v, which has the shape of the node's result, back among x's axes with size 1 for reduced ones.
func unreduce(g *graph.GradCtx, v Value) Value {
	if g.Bool("keepdims") {
		return v
	}
	shape := g.In[0].Shape()
	return reshapeDims(v, reducedShape(shape, reducedAxes(g.Attrs, len(shape)), true))
}

// spread is unreduce and broadcasts to x's shape.
func spread(g *graph.GradCtx, v Value) Value { return expandDims(unreduce(g, v), g.In[0].Shape()) }

// reducedTerms is the number of elements that go into one result.
func reducedTerms(in []graph.TensorType, a graph.Attrs) int {
	n := 1
	sizes, _ := in[0].ConstShape()
	for _, axis := range reducedAxes(a, len(sizes)) {
		n *= sizes[axis]
	}
	return n
}

// count returns the number of elements of x along axes as an Operand: a Go number if the sizes are constant, else a
// value of x's dtype and rank 0 that is computed when the sizes are known.
func count(x Value, axes []int) Operand {
	known := 1.0
	var unknown Value
	for _, a := range axes {
		if n, ok := x.Shape()[a].Int(); ok {
			known *= float64(n)
			continue
		}
		n := Cast(DimSize(x, a), x.DType())
		if unknown.Valid() {
			n = Mul(unknown, n)
		}
		unknown = n
	}
	switch {
	case !unknown.Valid():
		return known
	case known == 1:
		return unknown
	}
	return Mul(unknown, known)
}

var _ = graph.MustRegister(func() *graph.Op {
	op := reduction("reduce_sum", "The sum over axes (torch.sum). Integers wrap; the "+
		"dtype stays.", "ReduceSum 1 11 13", graph.Numeric)
	op.Grad = func(g *graph.GradCtx) []Value { return []Value{spread(g, g.Dy(0))} }
	op.Ref = func(c *graph.RefCtx) { fold(c, sums, startAt(0)) }
	op.Tol = graph.Tol{Terms: reducedTerms}
	return op
}())

// ReduceSum returns the sum of x over axes, all if nil, in x's dtype; keepDims leaves reduced axes with size 1.
// Not inlined: 0.8 kB of the service.
//
//go:noinline
func ReduceSum(x Value, axes []int, keepDims bool) Value {
	return reduce("reduce_sum", x, axes, keepDims)
}

// Sum returns the sum of x over axes, all if none is given. Bools and integers are summed as i64, as PyTorch does.
func Sum(x Value, axes ...int) Value { return ReduceSum(intsTo64(x), axesOrAll(axes), false) }

// axesOrAll makes no axes mean all.
func axesOrAll(axes []int) []int {
	if len(axes) == 0 {
		return nil
	}
	return axes
}

func intsTo64(x Value) Value {
	if d := x.DType(); d.IsInteger() || d == graph.Bool {
		return Cast(x, graph.I64)
	}
	return x
}

var _ = graph.MustRegister(func() *graph.Op {
	op := reduction("reduce_mean", "The mean over axes (torch.mean); NaN over "+
		"no elements.", "ReduceMean 1 11 13 18", graph.Floats)
	op.Grad = func(g *graph.GradCtx) []Value {
		x := g.In[0]
		return []Value{spread(g, Div(g.Dy(0), count(x, reducedAxes(g.Attrs, x.Rank()))))}
	}
	op.Ref = func(c *graph.RefCtx) {
		y := c.Out[0]
		n := make([]float64, y.Len())
		eachReduced(c, func(i, k int) {
			y.F[k] += c.In[0].F[i]
			n[k]++
		})
		for k := range n {
			y.F[k] /= n[k]
		}
	}
	op.Tol = graph.Tol{Terms: reducedTerms}
	return op
}())

// ReduceMean returns the mean of x over axes, all if nil, in x's float dtype; keepDims leaves reduced axes with size 1.
func ReduceMean(x Value, axes []int, keepDims bool) Value {
	return reduce("reduce_mean", x, axes, keepDims)
}

// Mean returns the mean of x over axes, all if none is given.
func Mean(x Value, axes ...int) Value { return ReduceMean(x, axesOrAll(axes), false) }

// sharedEvenly is the gradient of reduce_max and reduce_min: elements equal to the extremum share it. Where that is NaN, all have NaN.
func sharedEvenly(g *graph.GradCtx) []Value {
	x, y := g.In[0], unreduce(g, g.Out[0])
	won := Equal(x, y)
	winners := ReduceSum(Cast(won, x.DType()), reducedAxes(g.Attrs, x.Rank()), true)
	return []Value{Where(won, Div(unreduce(g, g.Dy(0)), winners), Where(IsNaN(y), y, 0.0))}
}

// lowest sets element i to what every element of its dtype exceeds or equals; highest to the opposite.
func lowest(y *value.Exact, i int) {
	switch y.DType.Domain() {
	case value.Floats:
		y.F[i] = math.Inf(-1)
	case value.Ints:
		y.I[i] = -1 << (y.DType.Bits() - 1)
	case value.Uints:
		y.U[i] = 0
	}
}

func highest(y *value.Exact, i int) {
	switch y.DType.Domain() {
	case value.Floats:
		y.F[i] = math.Inf(1)
	case value.Ints:
		y.I[i] = 1<<(y.DType.Bits()-1) - 1
	case value.Uints:
		y.U[i] = 1<<y.DType.Bits() - 1
	}
}

var _ = graph.MustRegister(func() *graph.Op {
	op := reduction("reduce_max", "The maximum over axes (torch.amax). NaN wins, +0 is above -0; over no "+
		"elements it is -inf, for integers "+
		"the least value. The gradient is shared evenly among ties.", "ReduceMax 1 11 12 13 18 20", graph.Numeric)
	op.Grad = sharedEvenly
	op.Ref = func(c *graph.RefCtx) { fold(c, maxima, lowest) }
	return op
}())

// ReduceMax returns the maximum of x over axes, all if nil, as torch.amax; keepDims leaves reduced axes with size 1.
func ReduceMax(x Value, axes []int, keepDims bool) Value {
	return reduce("reduce_max", x, axes, keepDims)
}

var _ = graph.MustRegister(func() *graph.Op {
	op := reduction("reduce_min", "The minimum over axes (torch.amin). NaN wins, -0 is below +0; over no "+
		"elements it is inf, for integers "+
		"the greatest value. The gradient is shared evenly "+
		"among ties.", "ReduceMin 1 11 12 13 18 20", graph.Numeric)
	op.Grad = sharedEvenly
	op.Ref = func(c *graph.RefCtx) { fold(c, minima, highest) }
	return op
}())

// ReduceMin returns the minimum of x over axes, all if nil, as torch.amin; keepDims leaves reduced axes with size 1.
func ReduceMin(x Value, axes []int, keepDims bool) Value {
	return reduce("reduce_min", x, axes, keepDims)
}

var _ = graph.MustRegister(func() *graph.Op {
	op := reduction("reduce_prod", "The product over axes (torch.prod), 1 over no elements. Integers wrap. "+
		"The gradient is right where elements "+
		"are zero, too.", "ReduceProd 1 11 13 18", graph.Numeric)
	op.Grad = func(g *graph.GradCtx) []Value {
		// The product of the others is that of those before times that of those after, along one axis
		// into which the reduced ones are folded.
		x := g.In[0]
		rank := x.Rank()
		axes := reducedAxes(g.Attrs, rank)
		if len(axes) == 0 {
			return []Value{g.Dy(0)}
		}
		perm := make([]int, 0, rank)
		for a := range rank {
			if !slices.Contains(axes, a) {
				perm = append(perm, a)
			}
		}
		line := reducedShape(x.Shape(), axes, false)
		axis := len(line)
		perm = append(perm, axes...)
		var folded []graph.Dim
		inverse := make([]int, rank)
		for to, from := range perm {
			inverse[from] = to
			if to >= axis {
				folded = append(folded, x.Shape()[from])
			}
		}
		line = append(line, dim.Product(folded...))
		moved := Transpose(x, perm...)
		flat := reshapeDims(moved, line)
		others := Mul(CumProd(flat, axis, Exclusive), CumProd(flat, axis, Exclusive, Reversed))
		others = Transpose(reshapeDims(others, moved.Shape()), inverse...)
		return []Value{Mul(unreduce(g, g.Dy(0)), others)}
	}
	op.Ref = func(c *graph.RefCtx) { fold(c, products, startAt(1)) }
	op.Tol = graph.Tol{Terms: reducedTerms, Factors: true}
	return op
}())

// ReduceProd returns the product of x over axes, all if nil, in x's dtype; keepDims leaves reduced axes with size 1.
func ReduceProd(x Value, axes []int, keepDims bool) Value {
	return reduce("reduce_prod", x, axes, keepDims)
}

// Prod returns the product of x over axes, all if none is given. Bools and integers are multiplied as i64, as PyTorch does.
func Prod(x Value, axes ...int) Value { return ReduceProd(intsTo64(x), axesOrAll(axes), false) }

var _ = graph.MustRegister(func() *graph.Op {
	op := reduction("reduce_any", "Whether any element along axes is true (torch.any); false over "+
		"no elements.", "", graph.Bools)
	op.NoGrad = "a truth value has no derivative"
	op.Ref = func(c *graph.RefCtx) { fold(c, arith{b: func(a, x bool) bool { return a || x }}, startAt(0)) }
	return op
}())

// ReduceAny returns whether any element of x over axes, all if nil, is true; numbers count as true unless they are zero.
func ReduceAny(x Value, axes []int, keepDims bool) Value {
	return reduce("reduce_any", toBool(x), axes, keepDims)
}

var _ = graph.MustRegister(func() *graph.Op {
	op := reduction("reduce_all", "Whether all elements along axes are true (torch.all); true over "+
		"no elements.", "", graph.Bools)
	op.NoGrad = "a truth value has no derivative"
	op.Ref = func(c *graph.RefCtx) { fold(c, arith{b: func(a, x bool) bool { return a && x }}, startAt(1)) }
	return op
}())

// ReduceAll returns whether all elements of x over axes, all if nil, are true; numbers count as true unless they are zero.
func ReduceAll(x Value, axes []int, keepDims bool) Value {
	return reduce("reduce_all", toBool(x), axes, keepDims)
}

// arg is the part that argmax and argmin share; wins says whether x replaces the best so far.
// Not inlined: 2.2 kB of the service.
//
//go:noinline
func arg(name, doc string, onnx graph.ONNX, wins func(order int) bool) *graph.Op {
	return &graph.Op{
		Name: name,
		Doc:  doc,
		ONNX: onnx,
		Kind: graph.ReductionOp,
		Args: []graph.Arg{{Name: "x", Types: graph.Numeric, Doc: "the tensor"}},
		Attrs: []graph.AttrSpec{
			{Name: "axis", Kind: graph.IntAttr, Doc: "the axis to search along; a negative one counts from the end"},
			{Name: "keepdims", Kind: graph.BoolAttr, Default: false, Doc: "whether the axis stays, with size 1"},
		},
		Results: out,
		Infer: func(c *graph.InferCtx) []graph.Type {
			x := c.Tensor(0)
			axis := c.Axis("axis", x.Rank())
			if c.Exceeds(dim.Const(1), x.Shape[axis]) {
				c.Failf("there is nothing to search along axis %d of %s", axis, x)
			}
			return tensors(graph.TensorType{DType: graph.I64, Shape: reducedShape(x.Shape, []int{axis}, c.Bool("keepdims"))})
		},
		NoGrad: "an index has no derivative",
		Ref: func(c *graph.RefCtx) {
			x, k := c.In[0], 0
			eachLane(x.Shape, c.Int("axis"), func(at, stride, n int) {
				best := 0
				for i := 1; i < n; i++ {
					if wins(order(x, at+i*stride, at+best*stride)) {
						best = i
					}
				}
				c.Out[0].I[k] = int64(best)
				k++
			})
		},
		FLOPs: perElement,
	}
}

// nanOrder is the outcome of order where x[i] is NaN and x[k] is not.
const nanOrder = 2

// order compares elements i and k of x: -1, 0 or 1 as x[i] is less, equal or greater, nanOrder if only x[i] is NaN, and 0
// if x[k] is NaN.
func order(x *value.Exact, i, k int) int {
	switch x.DType.Domain() {
	case value.Floats:
		switch a, b := x.F[i], x.F[k]; {
		case math.IsNaN(b) || a == b:
			return 0
		case math.IsNaN(a):
			return nanOrder
		default:
			return cmp.Compare(a, b)
		}
	case value.Ints:
		return cmp.Compare(x.I[i], x.I[k])
	case value.Uints:
		return cmp.Compare(x.U[i], x.U[k])
	}
	return 0
}

// eachLane visits the lanes of a shape along axis in row-major order: the offset of the first element, the distance
// between neighbours, and their number.
func eachLane(shape []int, axis int, visit func(at, stride, n int)) {
	if axis < 0 {
		axis += len(shape)
	}
	outer, n, inner := 1, shape[axis], 1
	for _, d := range shape[:axis] {
		outer *= d
	}
	for _, d := range shape[axis+1:] {
		inner *= d
	}
	for o := range outer {
		for i := range inner {
			visit(o*n*inner+i, inner, n)
		}
	}
}

// normAxis counts a negative axis from the end; one out of range is left for the type rule to refuse.
// Not inlined: 0.7 kB of the service.
//
//go:noinline
func normAxis(axis int, x Value) int {
	if rank := x.Rank(); axis < 0 && axis >= -rank {
		return axis + rank
	}
	return axis
}

var _ = graph.MustRegister(arg("argmax",
	"The index of the maximum along an axis, as i64 (torch.argmax): the first of equal ones; NaN wins.",
	"ArgMax 1 11 12 13",
	func(order int) bool { return order > 0 }))

// ArgMax returns the index of the first maximum of x along axis, as i64; keepDims leaves the axis with size 1.
func ArgMax(x Value, axis int, keepDims bool) Value {
	return emit1("argmax", []Value{x}, attr("axis", normAxis(axis, x)), attr("keepdims", keepDims))
}

var _ = graph.MustRegister(arg("argmin",
	"The index of the minimum along an axis, as i64 (torch.argmin): the first of equal ones; NaN wins.",
	"ArgMin 1 11 12 13",
	func(order int) bool { return order < 0 || order == nanOrder }))

// ArgMin returns the index of the first minimum of x along axis, as i64; keepDims leaves the axis with size 1.
func ArgMin(x Value, axis int, keepDims bool) Value {
	return emit1("argmin", []Value{x}, attr("axis", normAxis(axis, x)), attr("keepdims", keepDims))
}

var _ = graph.MustRegister(&graph.Op{
	Name:    "dim_size",
	Doc:     "The size of an axis of x as an i64 of rank 0 (torch.Tensor.size): a symbolic size as a value.",
	Kind:    graph.ShapeOp,
	Args:    []graph.Arg{{Name: "x", Types: graph.AnyDType, Doc: "the tensor; its elements are not read"}},
	Attrs:   []graph.AttrSpec{{Name: "axis", Kind: graph.IntAttr, Doc: "the axis; a negative one counts from the end"}},
	Results: out,
	Infer: func(c *graph.InferCtx) []graph.Type {
		c.Axis("axis", c.Tensor(0).Rank())
		return tensors(graph.TensorType{DType: graph.I64})
	},
	NoGrad: "the size does not depend on the elements",
	Ref: func(c *graph.RefCtx) {
		shape, axis := c.In[0].Shape, c.Int("axis")
		if axis < 0 {
			axis += len(shape)
		}
		c.Out[0].I[0] = int64(shape[axis])
	},
})

// DimSize returns the size of an axis of x, an i64 of rank 0: a constant if the size is known at declaration.
func DimSize(x Value, axis int) Value {
	axis = normAxis(axis, x)
	if axis >= 0 && axis < x.Rank() {
		if n, ok := x.Shape()[axis].Int(); ok {
			return x.Func().Scalar(graph.I64, n)
		}
	}
	return emit1("dim_size", []Value{x}, attr("axis", axis))
}

var _ = graph.MustRegister(&graph.Op{
	Name: "count",
	Doc: "The number of elements of x along axes as an i64 of rank 0, the product of their sizes. A number below least is refused once the sizes " +
		"are known, for the reason given.",
	Kind: graph.ShapeOp,
	Args: []graph.Arg{{Name: "x", Types: graph.AnyDType, Doc: "the tensor; its elements are not read"}},
	Attrs: []graph.AttrSpec{
		{Name: "axes", Kind: graph.IntsAttr, Doc: "the axes, counted from the first"},
		{Name: "least", Kind: graph.IntAttr, Default: int64(0), Doc: "the least number accepted"},
		{Name: "reason", Kind: graph.StringAttr, Default: "", Doc: "what the message says to a number below it"},
	},
	Results: out,
	Infer: func(c *graph.InferCtx) []graph.Type {
		x := c.Tensor(0)
		axes, err := normAxes(c.Ints("axes"), x.Rank())
		if err != nil || slices.ContainsFunc(c.Ints("axes"), func(a int) bool { return a < 0 }) {
			c.Failf("want axes from 0 to %d, each once, have %v: x is %s", x.Rank()-1, c.Ints("axes"), x)
		}
		n := dim.Const(1)
		for _, a := range axes {
			n = dim.Mul(n, x.Shape[a])
		}
		if least := dim.Const(int64(c.Int("least"))); c.Exceeds(least, n) {
			c.Failf("%s: x is %s", c.Str("reason"), x)
		}
		return tensors(graph.TensorType{DType: graph.I64})
	},
	NoGrad: "the number does not depend on the elements",
	Ref: func(c *graph.RefCtx) {
		c.Out[0].I[0] = 1
		for _, a := range c.Ints("axes") {
			c.Out[0].I[0] *= int64(c.In[0].Shape[a])
		}
	},
})

// Count returns the number of elements of x along axes, an i64 of rank 0: the product of their sizes, a constant if they are known at
// declaration. Where it is less than least, the model is refused for the reason given, as soon as the sizes are known.
func Count(x Value, axes []int, least int, reason string) Value {
	norm, known := make([]int, len(axes)), x.OK()
	n := int64(1)
	for i, a := range axes {
		a = normAxis(a, x)
		norm[i] = a
		if known = known && a >= 0 && a < x.Rank(); known {
			var size int64
			size, known = x.Shape()[a].Int()
			n *= size
		}
	}
	if known && n >= int64(least) {
		return x.Func().Scalar(graph.I64, n)
	}
	return emit1("count", []Value{x}, attr("axes", norm), attr("least", least), attr("reason", reason))
}

// composed is the tolerance of composites.
var composed = graph.Tol{ULP: 64, Why: "the body rounds after each of its steps, a kernel only once"}

// statistic makes a composite of a reduction.
func statistic(name, doc string, onnx graph.ONNX, body func(b *graph.BodyCtx, x Value, axes []int) Value) *graph.Op {
	op := reduction(name, doc, onnx, graph.Floats)
	op.Infer, op.FLOPs = nil, graph.Cost{} // the body has them
	op.Body = func(b *graph.BodyCtx) []Value {
		axes, err := normAxes(b.Ints("axes"), b.Tensor(0).Rank())
		if err != nil {
			return refuse(b, name, "%v: x is %s", err, b.Tensor(0))
		}
		return []Value{body(b, b.In[0], axes)}
	}
	op.Tol = composed
	return op
}

var _ = graph.MustRegister(func() *graph.Op {
	op := statistic("logsumexp", "The logarithm of the sum of exponentials over axes ("+
		"torch.logsumexp), which does not overflow: the maximum is "+
		"taken out first. Over nothing but -inf it is -inf, with "+
		"gradient 0.", "ReduceLogSumExp 1 11 13 18 28", func(b *graph.BodyCtx, x Value, axes []int) Value {
		top := StopGradient(ReduceMax(x, axes, true))
		top = Where(IsInf(top), 0.0, top) // inf-inf would be NaN
		y := Add(Log(ReduceSum(Exp(Sub(x, top)), axes, true)), top)
		if b.Bool("keepdims") || len(axes) == 0 { // no axes are none, and to Squeeze all of size 1
			return y
		}
		return Squeeze(y, axes...)
	})
	op.Props.Whole = true
	op.Grad = func(g *graph.GradCtx) []Value {
		// It is e^(x-y), but y - x is rounded by as much as y is. What its elements sum up to says by which factor.
		y := StopGradient(unreduce(g, g.Out[0]))
		e := Exp(Sub(g.In[0], Where(Equal(y, math.Inf(-1)), 0.0, y)))
		sum := ReduceSum(e, reducedAxes(g.Attrs, g.In[0].Rank()), true)
		return []Value{Mul(Mul(unreduce(g, g.Dy(0)), Where(Greater(sum, 0.0), Reciprocal(sum), 1.0)), e)}
	}
	return op
}())

// LogSumExp returns log(sum(e^x)) over axes, all if nil, without overflow; keepDims leaves reduced axes with size 1.
func LogSumExp(x Value, axes []int, keepDims bool) Value {
	return reduce("logsumexp", toFloat(x), axes, keepDims)
}

// correctionAttr is what var and std subtract from the number of elements.
var correctionAttr = graph.AttrSpec{Name: "correction", Kind: graph.IntAttr, Default: int64(1), Doc: "what is subtracted " +
	"from the number of elements in the divisor: 1 gives the unbiased variance, 0 the biased one"}

// freedom returns max(0, n-correction) for the n elements of x along axes.
func freedom(x Value, axes []int, correction int) Operand {
	switch n := count(x, axes).(type) {
	case float64:
		return max(0, n-float64(correction))
	default:
		return Maximum(Sub(n, float64(correction)), 0.0)
	}
}

// spacious returns x in the dtype in which statistics add up squares: f64 for f32, where they neither overflow nor vanish.
func spacious(x Value) Value {
	if x.DType() == graph.F32 {
		return Cast(x, graph.F64)
	}
	return x
}

// variance returns the variance of x, in the dtype of spacious.
func variance(b *graph.BodyCtx, x Value, axes []int) Value {
	x = spacious(x)
	d := Sub(x, ReduceMean(x, axes, true))
	return Div(ReduceSum(Square(d), axes, b.Bool("keepdims")), freedom(x, axes, b.Int("correction")))
}

var _ = graph.MustRegister(func() *graph.Op {
	op := statistic("var", "The variance over axes: the sum of squared distances from the mean divided by the number of "+
		"elements minus correction (torch.var).", "", func(b *graph.BodyCtx, x Value, axes []int) Value { return Cast(variance(b, x, axes), x.DType()) })
	op.Attrs, op.Props.Whole = append(op.Attrs, correctionAttr), true
	op.Grad = func(g *graph.GradCtx) []Value { // the mean's own part sums to zero and is left out
		x, axes := g.In[0], reducedAxes(g.Attrs, g.In[0].Rank())
		d := Sub(x, ReduceMean(x, axes, true))
		return []Value{Mul(d, Div(Mul(unreduce(g, g.Dy(0)), 2.0), freedom(x, axes, g.Int("correction"))))}
	}
	return op
}())

// Var returns the variance of x over axes, all if nil; correction 1 makes it unbiased (PyTorch's default), 0 biased.
func Var(x Value, axes []int, correction int, keepDims bool) Value {
	return reduce("var", x, axes, keepDims, attr("correction", correction))
}

var _ = graph.MustRegister(func() *graph.Op {
	op := statistic("std", "The standard deviation over axes: the root of var (torch.std), with gradient 0 where it is 0.", "",
		func(b *graph.BodyCtx, x Value, axes []int) Value { return Cast(Sqrt(variance(b, x, axes)), x.DType()) })
	op.Attrs, op.Props.Whole = append(op.Attrs, correctionAttr), true
	op.Grad = func(g *graph.GradCtx) []Value {
		x, axes := g.In[0], reducedAxes(g.Attrs, g.In[0].Rank())
		d := overRoot(g, Sub(x, ReduceMean(x, axes, true)))
		return []Value{Mul(d, Div(unreduce(g, g.Dy(0)), freedom(x, axes, g.Int("correction"))))}
	}
	return op
}())

// overRoot divides v by result 0, a root of a sum of squares of v, before anything else can leave the range of numbers; where the root is
// 0 so is the quotient.
func overRoot(g *graph.GradCtx, v Value) Value {
	y := unreduce(g, g.Out[0])
	flat := Equal(y, 0.0)
	return Where(flat, 0.0, Div(v, Where(flat, 1.0, y)))
}

// Std returns the standard deviation of x over axes, all if nil; correction is as for Var.
func Std(x Value, axes []int, correction int, keepDims bool) Value {
	return reduce("std", x, axes, keepDims, attr("correction", correction))
}

var _ = graph.MustRegister(statistic("reduce_l1", "The sum of absolute values over axes ("+
	"torch.norm with p 1).", "ReduceL1 1 11 13 18",
	func(b *graph.BodyCtx, x Value, axes []int) Value { return ReduceSum(Abs(x), axes, b.Bool("keepdims")) }))

var _ = graph.MustRegister(func() *graph.Op {
	op := statistic("reduce_l2", "The root of the sum of squares over axes (torch.norm with p 2), with "+
		"gradient 0 where it is 0.", "ReduceL2 1 11 13 18",
		func(b *graph.BodyCtx, x Value, axes []int) Value {
			return Cast(Sqrt(ReduceSum(Square(spacious(x)), axes, b.Bool("keepdims"))), x.DType())
		})
	op.Props.Whole = true
	op.Grad = func(g *graph.GradCtx) []Value { return []Value{Mul(overRoot(g, g.In[0]), unreduce(g, g.Dy(0)))} }
	return op
}())

// Norm returns the p-norm of x over axes, all if nil: the number of elements other than 0 for p 0, the sum of absolute values for 1, the
// root of the sum of squares for 2, the largest and the smallest absolute value for plus and minus infinity, and (sum |x|^p)^(1/p) for any
// other p (torch.linalg.vector_norm). An element that is 0 has gradient 0, and all have where the norm is. Of no elements the norm is 0, or
// infinite for a negative p.
func Norm(x Value, p float64, axes []int, keepDims bool) Value {
	x = toFloat(x)
	switch {
	case !x.OK():
	case p == 0:
		return ReduceSum(Cast(NotEqual(x, 0.0), x.DType()), axes, keepDims)
	case p == 1:
		return reduce("reduce_l1", x, axes, keepDims)
	case p == 2:
		return reduce("reduce_l2", x, axes, keepDims)
	case math.IsInf(p, 1):
		return Maximum(ReduceMax(Abs(x), axes, keepDims), 0.0) // of no elements too
	case math.IsInf(p, -1):
		return ReduceMin(Abs(x), axes, keepDims)
	case math.IsNaN(p):
		return report("norm", []Value{x}, "p is NaN")
	}
	narrow := Widen(&x)
	return narrow(powerAway0(ReduceSum(powerAway0(Abs(x), p), axes, keepDims), 1/p))
}

// powerAway0 is a^p for a of at least 0, without gradient at 0.
func powerAway0(a Value, p float64) Value {
	zero := Equal(a, 0.0)
	return Where(zero, math.Pow(0, p), Pow(Where(zero, 1.0, a), p))
}
