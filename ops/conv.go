package ops

import (
	"fmt"
	"slices"

	"github.com/graphrun/graphrun/graph"
	"github.com/graphrun/graphrun/graph/dim"
)

// The convolution y = conv(x, w) is linear in x and in w. Its two adjoints are ops of their own, and the derivatives of all
// three are again among the three. They work for 1, 2 and 3 spatial axes.

// convAttrs declares what the three ops have in common.
var convAttrs = []graph.AttrSpec{
	{Name: "strides", Kind: graph.IntsAttr, Show: graph.ShowSteps, Doc: "the distance of neighbouring windows, one per spatial axis"},
	{Name: "pads", Kind: graph.IntsAttr, Show: graph.ShowPads, Doc: "the zeros before each spatial axis, then those after each (ONNX's order)"},
	{Name: "dilations", Kind: graph.IntsAttr, Show: graph.ShowSteps, Doc: "the distance of neighbouring cells of a window, one per spatial axis"},
	{Name: "groups", Kind: graph.IntAttr, Default: int64(1), Doc: "the number of groups into which the channels fall, each convolved by itself"},
}

// convSize returns the number of windows along spatial axis i.
func convSize(a graph.Attrs, i int, n, kernel graph.Dim) graph.Dim {
	pads, s, d := a.Ints("pads"), a.Ints("strides")[i], a.Ints("dilations")[i]
	return windowCount(n, kernel, s, pads[i], pads[len(pads)/2+i], d, false)
}

// windowCount returns how many windows of a kernel with a stride, padding and dilation an axis of size n has. With ceil,
// a last window may reach beyond the padded end if it starts before that of the input.
func windowCount(n, kernel graph.Dim, stride, before, after, dilation int, ceil bool) graph.Dim {
	one := dim.Const(1)
	padded := dim.Sum(n, dim.Const(int64(before)), dim.Const(int64(after)))
	reach := dim.Mul(dim.Const(int64(dilation)), dim.Sub(kernel, one)) // from the first cell to the last
	room := dim.Sub(dim.Sub(padded, reach), one)
	if ceil {
		most := ceilDivBy(dim.Add(n, dim.Const(int64(before))), stride)
		return dim.Min(dim.Add(ceilDivBy(room, stride), one), most)
	}
	return dim.Add(floorDivBy(room, stride), one)
}

// checkWindows checks attributes with one number per spatial axis, of which there are n, and pads.
func checkWindows(c *graph.InferCtx, n int, names ...string) {
	for _, name := range names {
		list, least := c.Ints(name), 1
		want := n
		if name == "pads" {
			want, least = 2*n, 0
		}
		if len(list) != want {
			c.Failf("want %d %s for %d spatial axes, have %v", want, name, n, list)
		}
		for _, k := range list {
			if k < least || k > 1<<24 {
				c.Failf("%s are from %d to 2^24, have %v", name, least, list)
			}
		}
	}
}

// inferConv checks the attributes, ranks and channels of a convolution, of which two shapes are given and the third is nil:
// x[N,C,...], w[O,C/groups,...] and y[N,O,...]. The text have says what they are.
func inferConv(c *graph.InferCtx, xs, ws, ys []graph.Dim, have string) {
	spatial := max(len(xs), len(ws), len(ys)) - 2
	given := 0
	for _, shape := range [][]graph.Dim{xs, ws, ys} {
		if len(shape) == spatial+2 {
			given++
		}
	}
	if given != 2 || spatial < 1 || spatial > 3 {
		c.Failf("want one rank from 3 to 5: batch, channels and up to 3 spatial axes: %s", have)
	}
	checkWindows(c, spatial, "strides", "pads", "dilations")
	groups := c.Int("groups")
	if groups < 1 {
		c.Failf("groups is %d, want 1 or more", groups)
	}
	divides := func(d graph.Dim, what string) graph.Dim {
		left, _ := dim.Mod(d, dim.Const(int64(groups)))
		c.MustEqual(left, dim.Const(0), "%d groups do not divide the %s channels of %s: %s", groups, d, what, have)
		return floorDivBy(d, groups)
	}
	if xs != nil && ws != nil {
		c.MustEqual(divides(xs[1], "x"), ws[1], "channels differ: x has %s in %d groups, w takes %s: %s", xs[1], groups, ws[1], have)
	}
	if ws != nil {
		divides(ws[0], "w")
	}
	if ys != nil && ws != nil {
		c.MustEqual(ys[1], ws[0], "channels differ: dy has %s, w gives %s: %s", ys[1], ws[0], have)
	}
	if xs != nil && ys != nil {
		divides(xs[1], "x")
		divides(ys[1], "dy")
		c.MustEqual(xs[0], ys[0], "batch sizes differ: %s", have)
	}
}

// checkConvSizes checks the spatial sizes of a convolution; y is nil where it is the result.
func checkConvSizes(c *graph.InferCtx, x, kernel, y []graph.Dim, have string) {
	for i := range x {
		n := convSize(c.Attrs, i, x[i], kernel[i])
		if c.Exceeds(dim.Const(1), kernel[i]) {
			c.Failf("spatial axis %d of the kernel is empty: %s", i, have)
		}
		if c.Exceeds(dim.Const(1), n) {
			c.Failf("the kernel does not fit into spatial axis %d: size %s with pads %v, kernel %s with dilation %d: %s",
				i, x[i], c.Ints("pads"), kernel[i], c.Ints("dilations")[i], have)
		}
		if y != nil {
			c.MustEqual(y[i], n, "spatial axis %d of dy has size %s, there are %s windows: %s", i, y[i], n, have)
		}
	}
}

// eachProduct visits the terms of a convolution: offsets of the elements of x, w and y such that y is the sum of the
// products x*w. Terms of one element of y come in the order of w.
func eachProduct(a graph.Attrs, x, w, y []int, visit func(xi, wi, yi int)) {
	groups, strides, pads, dilations := a.Int("groups"), a.Ints("strides"), a.Ints("pads"), a.Ints("dilations")
	type term struct{ x, w, y int }
	terms := []term{{}} // within a channel
	for i := range strides {
		n, k, m := x[2+i], w[2+i], y[2+i]
		next := make([]term, 0, len(terms)*k*m)
		for _, t := range terms {
			for o := range m {
				for j := range k {
					if p := o*strides[i] - pads[i] + j*dilations[i]; p >= 0 && p < n {
						next = append(next, term{t.x*n + p, t.w*k + j, t.y*m + o})
					}
				}
			}
		}
		terms = next
	}
	xPlane, wPlane, yPlane := product(x[2:]), product(w[2:]), product(y[2:])
	in, outs := w[1], w[0]/groups
	for n := range x[0] {
		for o := range w[0] {
			for c := range in {
				xAt := (n*x[1] + o/outs*in + c) * xPlane
				wAt := (o*in + c) * wPlane
				yAt := (n*y[1] + o) * yPlane
				for _, t := range terms {
					visit(xAt+t.x, wAt+t.w, yAt+t.y)
				}
			}
		}
	}
}

// convolved picks the attributes of convAttrs.
func convolved(a graph.Attrs) []graph.Attr {
	return []graph.Attr{
		attr("strides", a.Get("strides")), attr("pads", a.Get("pads")), attr("dilations", a.Get("dilations")), attr("groups", a.Get("groups")),
	}
}

var _ = graph.MustRegister(&graph.Op{
	Name: "conv",
	Doc: "The cross-correlation of x[N,C,...] with w[O,C/groups,...] over 1 to 3 spatial axes, of shape [N,O,...] (torch.conv1d, " +
		"conv2d and conv3d). Along a spatial axis there are floor((size + pads - dilation*(kernel-1) - 1)/stride) + 1 results.",
	ONNX: "Conv 1 11 22",
	Kind: graph.ProductOp,
	Args: []graph.Arg{
		{Name: "x", Types: graph.Floats, Doc: "the input, [N,C,...]"},
		{Name: "w", Types: graph.Floats, Window: true, Doc: "the kernels, [O,C/groups,...], of x's dtype"},
	},
	Attrs:   convAttrs,
	Results: out,
	Infer: func(c *graph.InferCtx) []graph.Type {
		x, w := c.Tensor(0), c.Tensor(1)
		c.SameDType()
		have := fmt.Sprintf("x is %s, w is %s", x, w)
		inferConv(c, x.Shape, w.Shape, nil, have)
		checkConvSizes(c, x.Shape[2:], w.Shape[2:], nil, have)
		shape := []graph.Dim{x.Shape[0], w.Shape[0]}
		for i, n := range x.Shape[2:] {
			shape = append(shape, convSize(c.Attrs, i, n, w.Shape[2+i]))
		}
		return tensors(graph.TensorType{DType: x.DType, Shape: shape})
	},
	Grad: func(g *graph.GradCtx) []Value {
		x, w, dy := g.In[0], g.In[1], g.Dy(0)
		return []Value{convInputGrad(g.Attrs, dy, w, x.Shape()), convWeightGrad(g.Attrs, x, dy, w.Shape())}
	},
	Ref: func(c *graph.RefCtx) {
		x, w, y := c.In[0], c.In[1], c.Out[0]
		eachProduct(c.Attrs, x.Shape, w.Shape, y.Shape, func(xi, wi, yi int) { y.F[yi] += x.F[xi] * w.F[wi] })
	},
	Tol: graph.Tol{Pads: true, Terms: func(in []graph.TensorType, _ graph.Attrs) int {
		return elements(graph.TensorType{Shape: in[1].Shape[1:]})
	}},
	FLOPs: convolving(nthIn(1), nthOut(0)),
})

var _ = graph.MustRegister(&graph.Op{
	Name: "conv_input_grad",
	Doc: "The adjoint of conv by x: each element of dy times the kernel is added to the window that it comes from (torch.conv_transpose1d, " +
		"2d, 3d).",
	ONNX: "ConvTranspose 1 11 22",
	Kind: graph.ProductOp,
	Args: []graph.Arg{
		{Name: "dy", Types: graph.Floats, Doc: "the gradient by the result, [N,O,...]"},
		{Name: "w", Types: graph.Floats, Doc: "the kernels, [O,C/groups,...], of dy's dtype"},
	},
	Attrs:   specsWith(convAttrs, graph.AttrSpec{Name: "size", Kind: graph.DimsAttr, Show: graph.ShowNever, Doc: "the spatial sizes of x"}),
	Results: out,
	Infer: func(c *graph.InferCtx) []graph.Type {
		dy, w, size := c.Tensor(0), c.Tensor(1), c.Dims("size")
		c.SameDType()
		have := fmt.Sprintf("dy is %s, w is %s, the size is %v", dy, w, size)
		inferConv(c, nil, w.Shape, dy.Shape, have)
		if len(size) != w.Rank()-2 {
			c.Failf("want a size for each of %d spatial axes: %s", w.Rank()-2, have)
		}
		checkConvSizes(c, size, w.Shape[2:], dy.Shape[2:], have)
		channels := dim.Mul(w.Shape[1], dim.Const(int64(c.Int("groups"))))
		return tensors(graph.TensorType{DType: dy.DType, Shape: append([]graph.Dim{dy.Shape[0], channels}, size...)})
	},
	Grad: func(g *graph.GradCtx) []Value {
		dy, w, dx := g.In[0], g.In[1], g.Dy(0)
		return []Value{fit(emit1("conv", []Value{dx, w}, convolved(g.Attrs)...), dy.Shape()), convWeightGrad(g.Attrs, dx, dy, w.Shape())}
	},
	Ref: func(c *graph.RefCtx) {
		y, w, x := c.In[0], c.In[1], c.Out[0]
		eachProduct(c.Attrs, x.Shape, w.Shape, y.Shape, func(xi, wi, yi int) { x.F[xi] += y.F[yi] * w.F[wi] })
	},
	Tol: graph.Tol{Pads: true, InOrder: true, Terms: func(in []graph.TensorType, a graph.Attrs) int {
		w := in[1].Shape
		return elements(in[1]) / max(elements(graph.TensorType{Shape: w[1:2]})*a.Int("groups"), 1)
	}},
	FLOPs: convolving(nthIn(1), nthIn(0)),
})

var _ = graph.MustRegister(&graph.Op{
	Name: "conv_weight_grad",
	Doc:  "The adjoint of conv by w: each element of dy times its window of x, summed over the batch and the windows.",
	Kind: graph.ProductOp,
	Args: []graph.Arg{
		{Name: "x", Types: graph.Floats, Doc: "the input, [N,C,...]"},
		{Name: "dy", Types: graph.Floats, Doc: "the gradient by the result, [N,O,...], of x's dtype"},
	},
	Attrs:   specsWith(convAttrs, graph.AttrSpec{Name: "size", Kind: graph.DimsAttr, Show: graph.ShowNever, Doc: "the spatial sizes of the kernel"}),
	Results: out,
	Infer: func(c *graph.InferCtx) []graph.Type {
		x, dy, size := c.Tensor(0), c.Tensor(1), c.Dims("size")
		c.SameDType()
		have := fmt.Sprintf("x is %s, dy is %s, the kernel's size is %v", x, dy, size)
		inferConv(c, x.Shape, nil, dy.Shape, have)
		if len(size) != x.Rank()-2 {
			c.Failf("want a size for each of %d spatial axes: %s", x.Rank()-2, have)
		}
		checkConvSizes(c, x.Shape[2:], size, dy.Shape[2:], have)
		channels := floorDivBy(x.Shape[1], c.Int("groups"))
		return tensors(graph.TensorType{DType: x.DType, Shape: append([]graph.Dim{dy.Shape[1], channels}, size...)})
	},
	Grad: func(g *graph.GradCtx) []Value {
		x, dy, dw := g.In[0], g.In[1], g.Dy(0)
		return []Value{convInputGrad(g.Attrs, dy, dw, x.Shape()), fit(emit1("conv", []Value{x, dw}, convolved(g.Attrs)...), dy.Shape())}
	},
	Ref: func(c *graph.RefCtx) {
		x, y, w := c.In[0], c.In[1], c.Out[0]
		eachProduct(c.Attrs, x.Shape, w.Shape, y.Shape, func(xi, wi, yi int) { w.F[wi] += x.F[xi] * y.F[yi] })
	},
	Tol: graph.Tol{Pads: true, Terms: func(in []graph.TensorType, _ graph.Attrs) int {
		y := in[1].Shape
		return elements(in[1]) / max(elements(graph.TensorType{Shape: y[1:2]}), 1)
	}},
	FLOPs: convolving(nthOut(0), nthIn(1)),
})

func convInputGrad(a graph.Attrs, dy, w Value, x []graph.Dim) Value {
	return fit(emit1("conv_input_grad", []Value{dy, w}, with(convolved(a), attr("size", x[2:]))...), x)
}

func convWeightGrad(a graph.Attrs, x, dy Value, w []graph.Dim) Value {
	return fit(emit1("conv_weight_grad", []Value{x, dy}, with(convolved(a), attr("size", w[2:]))...), w)
}

// ConvParams are the parameters of convolutions. Strides and Dilations have one number per spatial axis, or one for all
// of them, or none, which stands for 1. Pads has the zeros before each spatial axis and then those after each (ONNX's
// order), or one number per axis for both sides, or one for everything, or none, which stands for 0; see SamePads.
// Groups 0 stands for 1.
type ConvParams struct {
	Strides, Pads, Dilations []int
	Groups                   int
}

// attrs spells the parameters out for n spatial axes.
func (p ConvParams) attrs(n int) []graph.Attr {
	return []graph.Attr{
		attr("strides", perAxis(p.Strides, n, 1)), attr("pads", padsPerAxis(p.Pads, n)),
		attr("dilations", perAxis(p.Dilations, n, 1)), attr("groups", max(p.Groups, 1)),
	}
}

// perAxis repeats a single number, or def for none, n times; other lists are left for the type rule to judge.
func perAxis(list []int, n, def int) []int {
	switch len(list) {
	case 0:
		return slices.Repeat([]int{def}, max(n, 0))
	case 1:
		return slices.Repeat(list, max(n, 0))
	}
	return list
}

// padsPerAxis is perAxis for pads, which come twice.
func padsPerAxis(pads []int, n int) []int {
	pads = perAxis(pads, n, 0)
	if len(pads) == n {
		return slices.Concat(pads, pads)
	}
	return pads
}

// SamePads returns the pads with which a convolution of stride 1 keeps the sizes of its input: dilation*(kernel-1) zeros
// along each axis, the odd one at the end (padding='same' of torch.nn.Conv2d, auto_pad SAME_UPPER of ONNX). The dilations
// may be nil for 1.
func SamePads(kernel, dilations []int) []int {
	before, after := make([]int, len(kernel)), make([]int, len(kernel))
	d := perAxis(dilations, len(kernel), 1)
	for i, k := range kernel {
		if i < len(d) {
			total := d[i] * (k - 1)
			before[i], after[i] = total/2, total-total/2
		}
	}
	return append(before, after...)
}

// Conv returns the cross-correlation of x[N,C,...] with w[O,C/groups,...] over 1 to 3 spatial axes, of shape [N,O,...] (ONNX
// Conv, torch.conv1d, conv2d, conv3d); x and w are of one float dtype. Along each spatial axis the size is
// floor((size + pads - dilation*(kernel-1) - 1)/stride) + 1. Shapes that do not fit are reported.
func Conv(x, w Value, p ConvParams) Value {
	return emit1("conv", []Value{x, w}, p.attrs(x.Rank()-2)...)
}

// ConvTranspose returns the transposed convolution of x[N,C,...] with w[C,O/groups,...], of shape [N,O,...] (ONNX
// ConvTranspose, torch.conv_transpose1d, 2d, 3d): the gradient of Conv by its input. Along each spatial axis the size is
// (size-1)*stride - pads + dilation*(kernel-1) + outputPadding + 1; the output padding, one number per axis, one for all,
// or none for 0, is less than the stride or the dilation.
func ConvTranspose(x, w Value, p ConvParams, outputPadding ...int) Value {
	n := x.Rank() - 2
	attrs := p.attrs(n)
	if !x.OK() || !w.OK() {
		return emit1("conv_input_grad", []Value{x, w}, attrs...)
	}
	fail := func(format string, args ...any) Value {
		return report("conv_transpose", []Value{x, w}, format+": x is %s, w is %s", append(args, x.Type(), w.Type())...)
	}
	strides, pads, dilations := perAxis(p.Strides, n, 1), padsPerAxis(p.Pads, n), perAxis(p.Dilations, n, 1)
	extra := perAxis(outputPadding, n, 0)
	if n < 1 || n > 3 || w.Rank() != n+2 {
		return fail("want one rank from 3 to 5")
	}
	if len(strides) != n || len(pads) != 2*n || len(dilations) != n || len(extra) != n {
		return fail("want %d strides, dilations and output paddings and twice as many pads, have %v, %v, %v and %v", n, strides, dilations, extra, pads)
	}
	size, missing := make([]graph.Dim, n), make([]graph.Dim, n+2)
	for i, d := range x.Shape()[2:] {
		if strides[i] < 1 || extra[i] < 0 || extra[i] >= max(strides[i], dilations[i]) {
			return fail("output padding %d is not less than stride %d or dilation %d", extra[i], strides[i], dilations[i])
		}
		size[i] = dim.Sum(
			dim.Mul(dim.Sub(d, dim.Const(1)), dim.Const(int64(strides[i]))),
			dim.Mul(dim.Sub(w.Shape()[2+i], dim.Const(1)), dim.Const(int64(dilations[i]))),
			dim.Const(int64(extra[i]+1-pads[i]-pads[n+i])))
		missing[2+i] = dim.Const(int64(extra[i] / strides[i]))
	}
	if slices.ContainsFunc(missing, func(d graph.Dim) bool { return !isZero(d) }) {
		// So much output padding makes room for windows that have nothing in x.
		x = padDims(x, 0.0, make([]graph.Dim, n+2), missing)
	}
	return emit1("conv_input_grad", []Value{x, w}, append(attrs, attr("size", size))...)
}
