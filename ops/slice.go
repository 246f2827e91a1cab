package ops

import (
	"slices"

	"github.com/graphrun/graphrun/graph"
	"github.com/graphrun/graphrun/graph/dim"
	"github.com/graphrun/graphrun/graph/errfmt"
	"github.com/graphrun/graphrun/graph/value"
)

// sliceAttrs declares where slice reads and slice_grad writes.
var sliceAttrs = []graph.AttrSpec{
	{Name: "starts", Kind: graph.DimsAttr, Doc: "the first position of each axis"},
	{Name: "limits", Kind: graph.DimsAttr, Doc: "the position of each axis at or before which it ends; -1 is before the first, for a negative step"},
	{Name: "steps", Kind: graph.IntsAttr, Doc: "the distance of each axis's positions; not 0, and negative to go backward"},
}

// slicedShape checks the attributes against the shape that is sliced, that of x, and returns the result's.
func slicedShape(c *graph.InferCtx, x graph.TensorType) []graph.Dim {
	starts, limits, steps := c.Dims("starts"), c.Dims("limits"), c.Ints("steps")
	if len(starts) != x.Rank() || len(limits) != x.Rank() || len(steps) != x.Rank() {
		c.Failf("want a start, a limit and a step for each of %d axes, have %d, %d and %d: x is %s", x.Rank(), len(starts), len(limits), len(steps), x)
	}
	shape := make([]graph.Dim, x.Rank())
	for i, n := range x.Shape {
		start, limit, step := starts[i], limits[i], steps[i]
		// Positions are from low to high, both included; an empty slice may lie at either end.
		low, high := start, limit
		switch {
		case step == 0:
			c.Failf("the step of axis %d is 0", i)
		case step < 0:
			low, high = dim.Add(limit, dim.Const(1)), dim.Add(start, dim.Const(1))
		}
		if c.Exceeds(dim.Const(0), low) || c.Exceeds(low, high) || c.Exceeds(high, n) {
			c.Failf("axis %d has no positions from %s to %s with step %d: x is %s", i, start, limit, step, x)
		}
		const far = 1 << 60 // beyond all sizes
		shape[i] = ceilDivBy(dim.Sub(high, low), min(max(step, -max(step, -far)), far))
	}
	return shape
}

// eachSliced visits the elements of a slice of shape from in row-major order, with their offsets there.
func eachSliced(a graph.Attrs, shape, from []int, visit func(i, k int)) {
	own, steps, base := strides(from), a.Ints("steps"), 0
	set := make([]int, len(from))
	for i, start := range a.Sizes("starts") {
		base += start * own[i]
		set[i] = steps[i] * own[i]
	}
	forEach(shape, [][]int{set}, func(i int, at []int) { visit(i, base+at[0]) })
}

var _ = graph.MustRegister(&graph.Op{
	Name: "slice",
	Doc: "The elements at start, start+step ... of each axis, up to but not including the limit (Python's slices with " +
		"positions counted from the first and clamped).",
	ONNX:    "Slice 1 10 11 13",
	Kind:    graph.ShapeOp,
	Args:    tensorArg,
	Attrs:   sliceAttrs,
	Results: out,
	Infer: func(c *graph.InferCtx) []graph.Type {
		x := c.Tensor(0)
		return tensors(graph.TensorType{DType: x.DType, Shape: slicedShape(c, x)})
	},
	Grad: func(g *graph.GradCtx) []Value {
		return []Value{emit1("slice_grad", []Value{g.Dy(0)}, with(sliced(g.Attrs), attr("shape", g.In[0].Shape()))...)}
	},
	Ref: func(c *graph.RefCtx) {
		eachSliced(c.Attrs, c.Out[0].Shape, c.In[0].Shape, func(i, k int) { copyElement(c.Out[0], i, c.In[0], k) })
	},
})

var _ = graph.MustRegister(&graph.Op{
	Name:    "slice_grad",
	Doc:     "The adjoint of slice: a tensor of the given shape that is dy where slice reads and zero elsewhere.",
	Kind:    graph.ShapeOp,
	Args:    []graph.Arg{{Name: "dy", Types: graph.Numeric | graph.Bools, Doc: "a tensor of the shape of the slice"}},
	Attrs:   specsWith(sliceAttrs, graph.AttrSpec{Name: "shape", Kind: graph.DimsAttr, Show: graph.ShowNever, Doc: "the shape of the result"}),
	Results: out,
	Infer: func(c *graph.InferCtx) []graph.Type {
		dy := c.Tensor(0)
		x := graph.TensorType{DType: dy.DType, Shape: c.Dims("shape")}
		mustHaveShape(c, dy, slicedShape(c, x), "the slice")
		return tensors(x)
	},
	Grad: func(g *graph.GradCtx) []Value {
		return []Value{fit(emit1("slice", []Value{g.Dy(0)}, sliced(g.Attrs)...), g.In[0].Shape())}
	},
	Ref: func(c *graph.RefCtx) {
		eachSliced(c.Attrs, c.In[0].Shape, c.Out[0].Shape, func(i, k int) { copyElement(c.Out[0], k, c.In[0], i) })
	},
})

// sliced picks the attributes of sliceAttrs.
func sliced(a graph.Attrs) []graph.Attr {
	return []graph.Attr{attr("starts", a.Get("starts")), attr("limits", a.Get("limits")), attr("steps", a.Get("steps"))}
}

// mustHaveShape fails unless the operand can have the shape, which is called what in the message.
func mustHaveShape(c *graph.InferCtx, have graph.TensorType, shape []graph.Dim, what string) {
	want := graph.TensorType{DType: have.DType, Shape: shape}
	if have.Rank() != len(shape) {
		c.Failf("%s is %s, have %s", what, want, have)
	}
	for i, d := range shape {
		c.MustEqual(have.Shape[i], d, "%s is %s, have %s", what, want, have)
	}
}

// Slice returns the part x[start:end:step] of x along axis, as Python slices do: start and end are ints, dim expressions
// as strings, graph.Dims, or nil for the ends; negative ints count from the end, and both are clamped to the axis. The
// step is an int or nil for 1; a negative one goes backward. Positions given as dims are counted from the first.
func Slice(x Value, axis int, start, end, step any) Value {
	fail := func(format string, args ...any) Value { return report("slice", []Value{x}, format, args...) }
	if !x.OK() {
		return emit1("slice", []Value{x})
	}
	a := normAxis(axis, x)
	if a < 0 || a >= x.Rank() {
		return fail("axis %d is out of range: x is %s", axis, x.Type())
	}
	by := 1
	switch s := step.(type) {
	case nil:
	case int:
		by = s
	default:
		return fail("a step is an int, have %T", step)
	}
	if by == 0 {
		return fail("the step is 0")
	}
	// A slice backward starts at the last position and ends before the first.
	n := x.Shape()[a]
	low, high := dim.Const(0), n
	from, to := low, high
	if by < 0 {
		low, high = dim.Const(-1), dim.Sub(n, dim.Const(1))
		from, to = high, low
	}
	var err error
	if from, err = position(start, n, from, low, high); err != nil {
		return fail("start: %v", err)
	}
	if to, err = position(end, n, to, low, high); err != nil {
		return fail("end: %v", err)
	}
	if by > 0 {
		to = dim.Max(from, to)
	} else {
		to = dim.Min(from, to)
	}
	starts, limits, steps := wholeSlice(x)
	starts[a], limits[a], steps[a] = from, to, by
	return emit1("slice", []Value{x}, attr("starts", starts), attr("limits", limits), attr("steps", steps))
}

// position resolves a user's end of a slice of an axis of size n: def if it is nil, otherwise clamped to low and high.
func position(p any, n, def, low, high graph.Dim) (graph.Dim, error) {
	d := def
	switch p := p.(type) {
	case nil:
		return def, nil
	case int:
		if d = dim.Const(int64(p)); p < 0 {
			d = dim.Add(n, d)
		}
	case int64:
		if d = dim.Const(p); p < 0 {
			d = dim.Add(n, d)
		}
	default:
		shape, err := graph.Shape(p)
		if err != nil {
			return d, errfmt.Errorf("want an int, a dim or nil, have %v", p)
		}
		d = shape[0]
	}
	return dim.Min(dim.Max(d, low), high), nil
}

// wholeSlice returns the attributes of the slice that is all of x.
func wholeSlice(x Value) (starts, limits []graph.Dim, steps []int) {
	starts, limits, steps = make([]graph.Dim, x.Rank()), slices.Clone(x.Shape()), make([]int, x.Rank())
	for i := range steps {
		steps[i] = 1
	}
	return starts, limits, steps
}

// piece returns length positions of x along axis from start on.
func piece(x Value, axis int, start, length graph.Dim) Value {
	starts, limits, steps := wholeSlice(x)
	starts[axis], limits[axis] = start, dim.Add(start, length)
	return emit1("slice", []Value{x}, attr("starts", starts), attr("limits", limits), attr("steps", steps))
}

// At returns the part of x at one position of an axis, without that axis (torch.select). A negative index counts from the
// end; one out of range is reported.
func At(x Value, axis, index int) Value {
	if !x.OK() {
		return emit1("slice", []Value{x})
	}
	a := normAxis(axis, x)
	if a < 0 || a >= x.Rank() {
		return report("slice", []Value{x}, "axis %d is out of range: x is %s", axis, x.Type())
	}
	n, at := x.Shape()[a], dim.Const(int64(index))
	if index < 0 {
		at = dim.Add(n, at)
	}
	if exceeds(dim.Const(0), at) || exceeds(dim.Add(at, dim.Const(1)), n) {
		return report("slice", []Value{x}, "index %d is out of range for axis %d of size %s", index, axis, n)
	}
	return reshapeDims(piece(x, a, at, dim.Const(1)), reducedShape(x.Shape(), []int{a}, false))
}

// Flip reverses the order of the elements along axes (torch.flip); negative axes count from the end.
func Flip(x Value, axes ...int) Value {
	if !x.OK() {
		return emit1("slice", []Value{x})
	}
	norm, err := normAxes(axes, x.Rank())
	if err != nil {
		return report("flip", []Value{x}, "%v: x is %s", err, x.Type())
	}
	starts, limits, steps := wholeSlice(x)
	for _, a := range norm {
		starts[a], limits[a], steps[a] = dim.Sub(limits[a], dim.Const(1)), dim.Const(-1), -1
	}
	return emit1("slice", []Value{x}, attr("starts", starts), attr("limits", limits), attr("steps", steps))
}

// padAttrs declares how far padding goes.
var padAttrs = []graph.AttrSpec{
	{Name: "low", Kind: graph.DimsAttr, Doc: "the number of elements added before the first of each axis; a negative one takes elements away"},
	{Name: "high", Kind: graph.DimsAttr, Doc: "the number of elements added after the last of each axis; a negative one takes elements away"},
}

// paddedShape checks the attributes against the type of x and returns the padded shape.
func paddedShape(c *graph.InferCtx, x graph.TensorType) []graph.Dim {
	low, high := c.Dims("low"), c.Dims("high")
	if len(low) != x.Rank() || len(high) != x.Rank() {
		c.Failf("want low and high for each of %d axes, have %d and %d: x is %s", x.Rank(), len(low), len(high), x)
	}
	shape := make([]graph.Dim, x.Rank())
	for i, n := range x.Shape {
		for _, d := range []graph.Dim{low[i], high[i]} {
			if k, ok := d.Int(); ok && (k > 1<<60 || k < -1<<60) {
				c.Failf("axis %d: low %s or high %s is beyond all sizes: x is %s", i, low[i], high[i], x)
			}
		}
		shape[i] = dim.Sum(low[i], n, high[i])
		if c.Exceeds(dim.Const(0), shape[i]) {
			c.Failf("axis %d has not as many elements as low %s and high %s take away: x is %s", i, low[i], high[i], x)
		}
	}
	return shape
}

var _ = graph.MustRegister(&graph.Op{
	Name: "pad",
	Doc: "Adds elements of a given value around x, or takes elements away where the number is negative (" +
		"torch.nn.functional.pad in constant mode).",
	ONNX: "Pad 1 2 11 13 18 19 21 23 24 25",
	Kind: graph.ShapeOp,
	Args: []graph.Arg{
		{Name: "x", Types: graph.AnyDType, Doc: "the tensor"},
		{Name: "value", Types: graph.AnyDType, Doc: "the value of the elements added, a scalar of x's dtype"},
	},
	Attrs:   padAttrs,
	Results: out,
	Infer: func(c *graph.InferCtx) []graph.Type {
		x := c.Tensor(0)
		if c.SameDType(); c.Tensor(1).Rank() != 0 {
			c.Failf("want a scalar: value is %s", c.Tensor(1))
		}
		return tensors(graph.TensorType{DType: x.DType, Shape: paddedShape(c, x)})
	},
	Grad: func(g *graph.GradCtx) []Value {
		dy, low, high := g.Dy(0), g.Dims("low"), g.Dims("high")
		dx := []Value{fit(padDims(dy, 0.0, negated(low), negated(high)), g.In[0].Shape()), {}}
		if g.Wants(1) {
			inside := fullDims(g.Func, graph.Bool, true, g.In[0].Shape())
			dx[1] = ReduceSum(Where(padDims(inside, false, low, high), 0.0, dy), nil, false)
		}
		return dx
	},
	Ref: func(c *graph.RefCtx) {
		x, y, low := c.In[0], c.Out[0], c.Sizes("low")
		own, inside := strides(x.Shape), make([][]int, len(x.Shape))
		for a, n := range y.Shape {
			inside[a] = make([]int, n)
			for j := range inside[a] {
				inside[a][j] = -1
				if k := j - low[a]; k >= 0 && k < x.Shape[a] {
					inside[a][j] = k * own[a]
				}
			}
		}
		eachMapped(y.Shape, inside, func(i, k int) {
			if k < 0 {
				copyElement(y, i, c.In[1], 0)
			} else {
				copyElement(y, i, x, k)
			}
		})
	},
})

// eachMapped visits the places of a shape in row-major order with the sum of what maps gives for each axis's position, and
// with a negative number where one of those is negative.
func eachMapped(shape []int, maps [][]int, visit func(i, k int)) {
	sets := make([][]int, len(shape))
	for a := range sets {
		sets[a] = make([]int, len(shape))
		sets[a][a] = 1
	}
	forEach(shape, sets, func(i int, at []int) {
		k := 0
		for a, p := range at {
			if maps[a][p] < 0 {
				k = -1
				break
			}
			k += maps[a][p]
		}
		visit(i, k)
	})
}

func negated(ds []graph.Dim) []graph.Dim {
	neg := make([]graph.Dim, len(ds))
	for i, d := range ds {
		neg[i] = dim.Sub(dim.Const(0), d)
	}
	return neg
}

// padDims pads with a constant, a Go number, bool or string.
func padDims(x Value, v any, low, high []graph.Dim) Value {
	if !x.OK() {
		return x
	}
	return emit1("pad", []Value{x, x.Func().Scalar(x.DType(), v)}, attr("low", low), attr("high", high))
}

// PadMode says what padding consists of.
type PadMode string

// The modes of Pad other than constant values.
const (
	PadReflect PadMode = "reflect" // mirrored at the first and the last element: c b [a b c] b a
	PadEdge    PadMode = "edge"    // copies of the first and the last element: a a [a b c] c c (torch's replicate)
	PadWrap    PadMode = "wrap"    // from the other end: b c [a b c] a b (torch's circular)
)

// source returns which of n elements stands at position i of the padded axis, which may be negative.
func (m PadMode) source(i, n int) int {
	switch m {
	case PadWrap:
		return ((i % n) + n) % n
	case PadReflect:
		if n == 1 {
			return 0
		}
		period := 2 * (n - 1)
		i = ((i % period) + period) % period
		return min(i, period-i)
	}
	return max(0, min(i, n-1))
}

// modeAttrs declares padding in a mode.
var modeAttrs = specsWith([]graph.AttrSpec{
	{Name: "mode", Kind: graph.StringAttr, Doc: `"reflect" mirrors at the first and the last element, "edge" repeats these, "wrap" goes on at the other end`},
}, padAttrs...)

// paddedInMode is paddedShape for modes, which need an element to copy.
func paddedInMode(c *graph.InferCtx, x graph.TensorType) []graph.Dim {
	switch mode := PadMode(c.Str("mode")); mode {
	case PadReflect, PadEdge, PadWrap:
	default:
		c.Failf("want mode %q, %q or %q, have %q", PadReflect, PadEdge, PadWrap, mode)
	}
	shape := paddedShape(c, x)
	for i, n := range x.Shape {
		if !isZero(shape[i]) && c.Exceeds(dim.Const(1), n) {
			c.Failf("axis %d has no element to pad with: x is %s", i, x)
		}
	}
	return shape
}

// eachPadded visits the places of the padded tensor with the offset of the element of x that stands there.
func eachPadded(a graph.Attrs, x, padded []int, visit func(i, k int)) {
	mode, low, own := PadMode(a.Str("mode")), a.Sizes("low"), strides(x)
	maps := make([][]int, len(x))
	for axis, n := range padded {
		maps[axis] = make([]int, n)
		for j := range n {
			maps[axis][j] = mode.source(j-low[axis], x[axis]) * own[axis]
		}
	}
	eachMapped(padded, maps, visit)
}

var _ = graph.MustRegister(&graph.Op{
	Name: "pad_mode",
	Doc: "Adds elements of x itself around it, or takes elements away where the number is negative (ONNX Pad with modes reflect, edge and " +
		"wrap; torch's reflect, replicate and circular). Padding may be longer than x, as NumPy has it.",
	ONNX:    "Pad 1 2 11 13 18 19 21 23 24 25",
	Kind:    graph.ShapeOp,
	Args:    tensorArg,
	Attrs:   modeAttrs,
	Results: out,
	Infer: func(c *graph.InferCtx) []graph.Type {
		x := c.Tensor(0)
		return tensors(graph.TensorType{DType: x.DType, Shape: paddedInMode(c, x)})
	},
	Grad: func(g *graph.GradCtx) []Value {
		return []Value{emit1("pad_mode_grad", []Value{g.Dy(0)}, with(padding(g.Attrs), attr("shape", g.In[0].Shape()))...)}
	},
	Ref: func(c *graph.RefCtx) {
		eachPadded(c.Attrs, c.In[0].Shape, c.Out[0].Shape, func(i, k int) { copyElement(c.Out[0], i, c.In[0], k) })
	},
})

var _ = graph.MustRegister(&graph.Op{
	Name:    "pad_mode_grad",
	Doc:     "The adjoint of pad_mode: each element of dy is added to the element of the result that pad_mode has copied there.",
	Kind:    graph.ShapeOp,
	Args:    []graph.Arg{{Name: "dy", Types: graph.Numeric, Doc: "a tensor of the padded shape"}},
	Attrs:   specsWith(modeAttrs, graph.AttrSpec{Name: "shape", Kind: graph.DimsAttr, Show: graph.ShowNever, Doc: "the shape of the result"}),
	Results: out,
	Infer: func(c *graph.InferCtx) []graph.Type {
		dy := c.Tensor(0)
		x := graph.TensorType{DType: dy.DType, Shape: c.Dims("shape")}
		mustHaveShape(c, dy, paddedInMode(c, x), "the padded tensor")
		return tensors(x)
	},
	Grad: func(g *graph.GradCtx) []Value {
		return []Value{fit(emit1("pad_mode", []Value{g.Dy(0)}, padding(g.Attrs)...), g.In[0].Shape())}
	},
	Ref: func(c *graph.RefCtx) {
		eachPadded(c.Attrs, c.Out[0].Shape, c.In[0].Shape, func(i, k int) { addElement(c.Out[0], k, c.In[0], i) })
	},
	Tol: graph.Tol{Terms: func(in []graph.TensorType, a graph.Attrs) int {
		padded, _ := in[0].ConstShape()
		copies := 1 // of one element
		for i, n := range a.Sizes("shape") {
			copies *= padded[i]/max(n, 1) + 2
		}
		return copies
	}},
	FLOPs: perElement,
})

// padding picks the attributes of modeAttrs.
func padding(a graph.Attrs) []graph.Attr {
	return []graph.Attr{attr("mode", a.Get("mode")), attr("low", a.Get("low")), attr("high", a.Get("high"))}
}

// addElement adds element k of x, which has y's dtype, to element i of y.
func addElement(y *value.Exact, i int, x *value.Exact, k int) {
	switch y.DType.Domain() {
	case value.Floats:
		y.F[i] += x.F[k]
	case value.Ints:
		y.I[i] += x.I[k]
	case value.Uints:
		y.U[i] += x.U[k]
	}
}

// Pad adds low[i] elements before and high[i] after axis i of x, all of the value v, a Go number, bool or string (ONNX Pad
// in constant mode); negative numbers take elements away. Sizes are for all axes, in order.
func Pad(x Value, low, high []int, v any) Value {
	return padDims(x, v, graph.Ints(low...), graph.Ints(high...))
}

// PadWith adds low[i] elements before and high[i] after axis i of x, copied from x as the mode says (ONNX Pad); negative
// numbers take elements away. Sizes are for all axes, in order.
func PadWith(mode PadMode, x Value, low, high []int) Value {
	return emit1("pad_mode", []Value{x}, attr("mode", string(mode)), attr("low", graph.Ints(low...)), attr("high", graph.Ints(high...)))
}

var _ = graph.MustRegister(&graph.Op{
	Name:    "concat",
	Doc:     "Joins tensors along an axis; the other axes have equal sizes (torch.cat).",
	ONNX:    "Concat 1 4 11 13",
	Kind:    graph.ShapeOp,
	Args:    []graph.Arg{{Name: "xs", Types: graph.AnyDType, Variadic: true, Doc: "one tensor or more, of one dtype"}},
	Attrs:   []graph.AttrSpec{{Name: "axis", Kind: graph.IntAttr, Doc: "the axis along which to join; a negative one counts from the end"}},
	Results: out,
	Infer: func(c *graph.InferCtx) []graph.Type {
		if len(c.In) == 0 {
			c.Failf("want one operand or more, have none")
		}
		first := c.Tensor(0)
		axis := c.Axis("axis", first.Rank())
		y := graph.TensorType{DType: first.DType, Shape: slices.Clone(first.Shape)}
		for i := 1; i < len(c.In); i++ {
			x := c.Tensor(i)
			if x.DType != first.DType || x.Rank() != first.Rank() {
				c.Failf("want one dtype and rank: operand 0 is %s, operand %d is %s", first, i, x)
			}
			for a, d := range x.Shape {
				if a == axis {
					y.Shape[a] = dim.Add(y.Shape[a], d)
				} else {
					c.MustEqual(y.Shape[a], d, "sizes of axis %d differ: operand 0 is %s, operand %d is %s", a, first, i, x)
				}
			}
		}
		return tensors(y)
	},
	Grad: func(g *graph.GradCtx) []Value {
		axis, at := normAxis(g.Int("axis"), g.Out[0]), dim.Const(0)
		dxs := make([]Value, len(g.In))
		for i, x := range g.In {
			n := x.Shape()[axis]
			dxs[i] = fit(piece(g.Dy(0), axis, at, n), x.Shape())
			at = dim.Add(at, n)
		}
		return dxs
	},
	Ref: func(c *graph.RefCtx) {
		y := c.Out[0]
		place := strides(y.Shape)
		axis := c.Int("axis")
		if axis < 0 {
			axis += len(place)
		}
		at := 0
		for _, x := range c.In {
			forEach(x.Shape, [][]int{place}, func(i int, off []int) { copyElement(y, at+off[0], x, i) })
			at += x.Shape[axis] * place[axis]
		}
	},
})

// Concat joins tensors along axis (torch.cat); a negative axis counts from the end. The other sizes are equal. Dtypes are
// promoted.
func Concat(axis int, xs ...Value) Value {
	if len(xs) == 0 {
		return Value{}
	}
	list := make([]Operand, len(xs))
	for i, x := range xs {
		if list[i] = x; !x.OK() {
			return emit1("concat", xs, attr("axis", axis))
		}
	}
	in, ok := operands("concat", list...)
	if !ok {
		return in[0]
	}
	return emit1("concat", in, attr("axis", normAxis(axis, in[0])))
}

// Stack joins tensors of one shape along a new axis of the result (torch.stack); a negative axis counts from its end.
func Stack(axis int, xs ...Value) Value {
	in := make([]Value, len(xs))
	for i, x := range xs {
		if in[i] = x; x.OK() {
			in[i] = Unsqueeze(x, axis)
		}
	}
	return Concat(axis, in...)
}

var _ = graph.MustRegister(&graph.Op{
	Name: "split",
	Doc:  "Cuts x along an axis into parts of given sizes, which make up the axis (torch.split).",
	ONNX: "Split 1 2 11 13 18",
	Kind: graph.ShapeOp,
	Args: tensorArg,
	Attrs: []graph.AttrSpec{
		{Name: "axis", Kind: graph.IntAttr, Doc: "the axis to cut; a negative one counts from the end"},
		{Name: "sizes", Kind: graph.DimsAttr, Doc: "the sizes of the parts along the axis"},
	},
	NumResults: func(a graph.Attrs, _ int) int { return len(a.Dims("sizes")) },
	Infer: func(c *graph.InferCtx) []graph.Type {
		x, sizes := c.Tensor(0), c.Dims("sizes")
		axis := c.Axis("axis", x.Rank())
		if len(sizes) == 0 {
			c.Failf("want one size or more, have none")
		}
		c.MustEqual(dim.Sum(sizes...), x.Shape[axis], "sizes %v do not make up axis %d: x is %s", sizes, axis, x)
		parts := make([]graph.Type, len(sizes))
		for i, n := range sizes {
			shape := slices.Clone(x.Shape)
			shape[axis] = n
			parts[i] = graph.TensorType{DType: x.DType, Shape: shape}
		}
		return parts
	},
	Grad: func(g *graph.GradCtx) []Value {
		parts := make([]Value, len(g.Out))
		for i, y := range g.Out {
			if parts[i] = ZerosLike(y); g.HasDy(i) {
				parts[i] = g.Dy(i)
			}
		}
		return []Value{fit(Concat(g.Int("axis"), parts...), g.In[0].Shape())}
	},
	Ref: func(c *graph.RefCtx) {
		x := c.In[0]
		place := strides(x.Shape)
		axis := c.Int("axis")
		if axis < 0 {
			axis += len(place)
		}
		at := 0
		for _, y := range c.Out {
			forEach(y.Shape, [][]int{place}, func(i int, off []int) { copyElement(y, i, x, at+off[0]) })
			at += y.Shape[axis] * place[axis]
		}
	},
})

// Split cuts x along axis into parts of the given sizes, which make up the axis (torch.split with a list). Sizes are ints,
// dim expressions as strings, and graph.Dims; one may be -1 and is then inferred.
func Split(x Value, axis int, sizes ...any) []Value {
	bad := func(v Value) []Value { return slices.Repeat([]Value{v}, max(len(sizes), 1)) }
	if !x.OK() {
		return bad(emit1("split", []Value{x}))
	}
	axis = normAxis(axis, x)
	shape, at, err := shapeWithHole(sizes)
	if err != nil {
		return bad(report("split", []Value{x}, "%v", err))
	}
	if at >= 0 && axis >= 0 && axis < x.Rank() {
		shape[at] = dim.Const(0)
		shape[at] = dim.Sub(x.Shape()[axis], dim.Sum(shape...))
	}
	return emit("split", []Value{x}, attr("axis", axis), attr("sizes", shape))
}

// Chunk cuts x along axis into n parts of equal sizes, the last of which is smaller if the axis is not a multiple of n; for
// small axes there are fewer than n parts (torch.chunk).
func Chunk(x Value, n, axis int) []Value {
	bad := func(v Value) []Value { return slices.Repeat([]Value{v}, max(min(n, 1<<16), 1)) }
	a := normAxis(axis, x)
	switch {
	case !x.OK():
		return bad(emit1("split", []Value{x}))
	case n < 1 || n > 1<<16:
		return bad(report("split", []Value{x}, "want one part or more, have %d", n))
	case a < 0 || a >= x.Rank():
		return bad(report("split", []Value{x}, "axis %d is out of range: x is %s", axis, x.Type()))
	}
	left := x.Shape()[a]
	size := ceilDivBy(left, n)
	var sizes []graph.Dim
	for len(sizes) < n-1 && (len(sizes) == 0 || exceeds(left, size) || !left.IsConst()) {
		sizes, left = append(sizes, size), dim.Sub(left, size)
	}
	if len(sizes) == 0 || !isZero(left) {
		sizes = append(sizes, left)
	}
	return emit("split", []Value{x}, attr("axis", a), attr("sizes", sizes))
}
