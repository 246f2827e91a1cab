package ops

import (
	"slices"

	"github.com/graphrun/graphrun/graph"
	"github.com/graphrun/graphrun/graph/dim"
	"github.com/graphrun/graphrun/graph/value"
)

// poolAttrs declares the windows of pooling ops.
var poolAttrs = []graph.AttrSpec{
	{Name: "kernel", Kind: graph.IntsAttr, Show: graph.ShowSizes, Doc: "the size of a window, one number per spatial axis"},
	{Name: "strides", Kind: graph.IntsAttr, Show: graph.ShowSteps, Doc: "the distance of neighbouring windows, one per spatial axis"},
	{Name: "pads", Kind: graph.IntsAttr, Show: graph.ShowPads, Doc: "the padding before each spatial axis, then that after each (ONNX's order)"},
	{Name: "ceil_mode", Kind: graph.BoolAttr, Default: false, Doc: "whether a last window may reach beyond the padded end, if it starts before that of the input"},
}

var dilationsAttr = graph.AttrSpec{Name: "dilations", Kind: graph.IntsAttr, Show: graph.ShowSteps, Doc: "the distance of neighbouring cells of a window, one per spatial axis"}

// poolDilation returns the dilation of spatial axis i, 1 for ops without.
func poolDilation(a graph.Attrs, i int) int {
	if d := a.Ints("dilations"); i < len(d) {
		return d[i]
	}
	return 1
}

// pooledShape checks the windows on x[N,C,...] and returns the shape of their results.
func pooledShape(c *graph.InferCtx, x graph.TensorType) []graph.Dim {
	n := spatialAxes(c, x)
	names := []string{"kernel", "strides", "pads"}
	if c.Op.Attr("dilations") != nil {
		names = append(names, "dilations")
	}
	checkWindows(c, n, names...)
	shape := slices.Clone(x.Shape)
	kernel, strides, pads, ceil := c.Ints("kernel"), c.Ints("strides"), c.Ints("pads"), c.Bool("ceil_mode")
	for i, size := range x.Shape[2:] {
		d := poolDilation(c.Attrs, i)
		if reach := d * (kernel[i] - 1); pads[i] > reach || pads[n+i] > reach {
			c.Failf("pads %v of spatial axis %d exceed the window: kernel %v: x is %s", pads, i, kernel, x)
		}
		shape[2+i] = windowCount(size, dim.Const(int64(kernel[i])), strides[i], pads[i], pads[n+i], d, ceil)
		if c.Exceeds(dim.Const(1), shape[2+i]) {
			c.Failf("the window does not fit into spatial axis %d of size %s with pads %v: kernel %v: x is %s", i, size, pads, kernel, x)
		}
		// A window that starts in the padding misses the input if this is shorter than the dilation.
		m, known := size.Int()
		if pads[i] > 0 && !known {
			c.Exceeds(dim.Const(int64(d)), size)
		}
		count, _ := shape[2+i].Int()
		for k := 0; known && m < int64(d) && k < int(count) && k*strides[i] < pads[i]; k++ {
			if first := ((k*strides[i]-pads[i])%d + d) % d; int64(first) >= m {
				c.Failf("a window of spatial axis %d has nothing but padding: kernel %v, dilation %d, pads %v: x is %s", i, kernel, d, pads, x)
			}
		}
	}
	return shape
}

// spatialAxes checks that x is [N,C,...] and returns the number of its spatial axes.
func spatialAxes(c *graph.InferCtx, x graph.TensorType) int {
	if x.Rank() < 3 || x.Rank() > 5 {
		c.Failf("want a rank from 3 to 5: batch, channels and up to 3 spatial axes: %s is %s", c.Op.Args[0].Name, x)
	}
	return x.Rank() - 2
}

// poolWindow is one window along one axis: cells from, from+step ... below to. Covered is how much of the padded axis it
// covers.
type poolWindow struct{ from, to, step, covered int }

// poolWindows returns the count windows along an axis of size n.
func poolWindows(n, count, kernel, stride, before, after, dilation int) []poolWindow {
	windows := make([]poolWindow, count)
	for k := range windows {
		start := k*stride - before
		end := start + (kernel-1)*dilation + 1
		w := poolWindow{from: start, to: min(end, n), step: dilation, covered: min(end, n+after) - start}
		if start < 0 {
			w.from += (-start + dilation - 1) / dilation * dilation
		}
		windows[k] = w
	}
	return windows
}

// allWindows returns the windows of each spatial axis, of an input with the given sizes and as many windows as pooled has.
func allWindows(a graph.Attrs, sizes, pooled []int) [][]poolWindow {
	kernel, strides, pads := a.Ints("kernel"), a.Ints("strides"), a.Ints("pads")
	axes := make([][]poolWindow, len(sizes))
	for i, n := range sizes {
		axes[i] = poolWindows(n, pooled[i], kernel[i], strides[i], pads[i], pads[len(sizes)+i], poolDilation(a, i))
	}
	return axes
}

// eachPooled visits the results of a plane in row-major order with the offsets of their cells in row-major order, and the
// product of what their windows cover.
func eachPooled(axes [][]poolWindow, sizes []int, visit func(i int, cells []int, covered int)) {
	shape, sets := make([]int, len(axes)), make([][]int, len(axes))
	for a, windows := range axes {
		shape[a] = len(windows)
		sets[a] = make([]int, len(axes))
		sets[a][a] = 1
	}
	forEach(shape, sets, func(i int, at []int) {
		cells, covered := []int{0}, 1
		for a, k := range at {
			w := axes[a][k]
			var next []int
			for _, c := range cells {
				for p := w.from; p < w.to; p += w.step {
					next = append(next, c*sizes[a]+p)
				}
			}
			cells, covered = next, covered*w.covered
		}
		visit(i, cells, covered)
	})
}

// PoolParams are the parameters of pooling. Kernel, Strides and Dilations have one number per spatial axis, or one for all
// of them; no Strides stand for Kernel, and no Dilations for 1. Pads has the padding before each spatial axis and then
// that after each (ONNX's order), or one number per axis for both sides, or one for everything, or none, which stands for
// 0. With CeilMode a last window may reach beyond the padded end, if it starts before the end of the input.
type PoolParams struct {
	Kernel, Strides, Pads, Dilations []int
	CeilMode                         bool
	// ExcludePad and Divisor are for averages: to divide by the number of cells inside the input instead of the size of the
	// window cut at the padded end (count_include_pad false), or by a number of one's own.
	ExcludePad bool
	Divisor    int
}

// attrs spells the parameters that all pooling has out for n spatial axes.
func (p PoolParams) attrs(n int) []graph.Attr {
	strides := p.Strides
	if len(strides) == 0 {
		strides = p.Kernel
	}
	return []graph.Attr{
		attr("kernel", perAxis(p.Kernel, n, 0)), attr("strides", perAxis(strides, n, 0)), attr("pads", padsPerAxis(p.Pads, n)),
		attr("ceil_mode", p.CeilMode),
	}
}

var _ = graph.MustRegister(&graph.Op{
	Name: "max_pool",
	Doc: "The maximum of each window of x[N,C,...], over 1 to 3 spatial axes, and its flat position in the plane of its channel as i64, " +
		"padding not counted (torch.nn.MaxPool1d, 2d, 3d with return_indices). Padding never wins; of equal cells the first " +
		"in row-major order does, and the first NaN before everything.",
	ONNX:    "MaxPool 1 8 10 11 12 22",
	Kind:    graph.PoolingOp,
	Args:    []graph.Arg{{Name: "x", Types: graph.Numeric, Doc: "the input, [N,C,...]"}},
	Attrs:   specsWith(poolAttrs, dilationsAttr),
	Results: []string{"values", "indices"},
	Infer: func(c *graph.InferCtx) []graph.Type {
		x := c.Tensor(0)
		shape := pooledShape(c, x)
		return tensors(graph.TensorType{DType: x.DType, Shape: shape}, graph.TensorType{DType: graph.I64, Shape: shape})
	},
	Grad: func(g *graph.GradCtx) []Value {
		if !g.HasDy(0) {
			return []Value{{}}
		}
		return []Value{fit(maxPoolGrad(g.Dy(0), g.Out[1], g.In[0].Shape()[2:]), g.In[0].Shape())}
	},
	Ref: func(c *graph.RefCtx) {
		x, y, indices := c.In[0], c.Out[0], c.Out[1]
		sizes, pooled := x.Shape[2:], y.Shape[2:]
		plane, results := product(sizes), product(pooled)
		eachPooled(allWindows(c.Attrs, sizes, pooled), sizes, func(i int, cells []int, _ int) {
			for ch := range x.Shape[0] * x.Shape[1] {
				best := cells[0]
				for _, k := range cells[1:] {
					if order(x, ch*plane+k, ch*plane+best) > 0 {
						best = k
					}
				}
				copyElement(y, ch*results+i, x, ch*plane+best)
				indices.I[ch*results+i] = int64(best)
			}
		})
	},
	FLOPs: pooling(nthOut(0)),
})

// MaxPool returns the maximum of each window of x[N,C,...], over 1 to 3 spatial axes, and its flat position in the plane of
// its channel as i64, padding not counted (torch.nn.MaxPool1d, 2d, 3d with return_indices). Padding never wins; of equal
// cells the first in row-major order does, and NaN before everything. Windows that do not fit are reported.
func MaxPool(x Value, p PoolParams) (values, indices Value) {
	n := x.Rank() - 2
	return pair(emit("max_pool", []Value{x}, append(p.attrs(n), attr("dilations", perAxis(p.Dilations, n, 1)))...))
}

var _ = graph.MustRegister(&graph.Op{
	Name: "max_pool_grad",
	Doc: "The adjoint of max_pool: zeros of the given spatial sizes with each element of dy added at its flat position in the plane of its " +
		"channel (torch.nn.MaxUnpool1d, 2d, 3d, for positions that differ). A position out of range fails.",
	ONNX: "MaxUnpool 9 11 22",
	Kind: graph.PoolingOp,
	Args: []graph.Arg{
		{Name: "dy", Types: graph.Numeric, Doc: "the gradient by the maxima, [N,C,...]"},
		{Name: "indices", Types: graph.DTypes(graph.I64), Doc: "the position of each maximum, of dy's shape"},
	},
	Attrs:   []graph.AttrSpec{{Name: "size", Kind: graph.DimsAttr, Show: graph.ShowNever, Doc: "the spatial sizes of the result"}},
	Results: out,
	Body: func(b *graph.BodyCtx) []Value {
		dy, indices, size := b.In[0], b.In[1], b.Dims("size")
		if dy.Rank() < 3 || indices.Rank() != dy.Rank() || len(size) != dy.Rank()-2 {
			return []Value{report("max_pool_grad", b.In, "want batch, channels and as many spatial axes as sizes: dy is %s, indices is %s, the size is %v",
				dy.Type(), indices.Type(), size)}
		}
		lead := dy.Shape()[:2]
		zeros := fullDims(b.Func, dy.DType(), zeroOr(dy.DType(), 0), append(slices.Clone(lead), dim.Product(size...)))
		flat := ScatterAdd(zeros, 2, Flatten(indices, 2, -1), Flatten(dy, 2, -1))
		return []Value{reshapeDims(flat, append(slices.Clone(lead), size...))}
	},
	Props: graph.Props{Whole: true},
	Tol: graph.Tol{InOrder: true, Terms: func(in []graph.TensorType, _ graph.Attrs) int {
		return 1 + elements(graph.TensorType{Shape: in[0].Shape[2:]})
	}},
	FLOPs: perOperand(0, 1, "one for each element of dy"),
})

func maxPoolGrad(dy, indices Value, size []graph.Dim) Value {
	return emit1("max_pool_grad", []Value{dy, indices}, attr("size", size))
}

// MaxUnpool puts each element of x[N,C,...] at its flat position in the plane of its channel, in zeros of the given spatial
// sizes (torch.nn.MaxUnpool1d, 2d, 3d with output_size): the partial inverse of MaxPool. Elements of one position add up;
// one out of range fails when it is run. Sizes are ints, dim expressions as strings, and graph.Dims.
func MaxUnpool(x, indices Value, size ...any) Value {
	shape, err := graph.Shape(size...)
	if err != nil {
		return report("max_pool_grad", []Value{x, indices}, "size: %v", err)
	}
	return maxPoolGrad(x, indices, shape)
}

var avgAttrs = specsWith(poolAttrs,
	graph.AttrSpec{Name: "count_include_pad", Kind: graph.BoolAttr, Default: true, Doc: "whether to divide by the size of the window cut at the padded end, not by the number of its cells inside x"},
	graph.AttrSpec{Name: "divisor", Kind: graph.IntAttr, Default: int64(0), Doc: "what to divide by instead; 0 for the number of cells"})

// eachMean visits the results of avg_pool in one plane with their cells and the number by which to divide.
func eachMean(a graph.Attrs, sizes, pooled []int, visit func(i int, cells []int, n float64)) {
	eachPooled(allWindows(a, sizes, pooled), sizes, func(i int, cells []int, covered int) {
		n := len(cells)
		if a.Bool("count_include_pad") {
			n = covered
		}
		if d := a.Int("divisor"); d != 0 {
			n = d
		}
		visit(i, cells, float64(n))
	})
}

// meanInto computes the means y[N,C,...] of x[N,C,...]; spreadMean is its adjoint, from y to x.
func meanInto(y, x *value.Exact, each func(visit func(i int, cells []int, n float64))) {
	plane, results := product(x.Shape[2:]), product(y.Shape[2:])
	each(func(i int, cells []int, n float64) {
		for ch := range x.Shape[0] * x.Shape[1] {
			sum := 0.0
			for _, k := range cells {
				sum += x.F[ch*plane+k]
			}
			y.F[ch*results+i] = sum / n
		}
	})
}

func spreadMean(x, y *value.Exact, each func(visit func(i int, cells []int, n float64))) {
	plane, results := product(x.Shape[2:]), product(y.Shape[2:])
	each(func(i int, cells []int, n float64) {
		for ch := range x.Shape[0] * x.Shape[1] {
			for _, k := range cells {
				x.F[ch*plane+k] += y.F[ch*results+i] / n
			}
		}
	})
}

// windowTerms bounds the number of terms of an average, and of its adjoint, by the size of a window.
func windowTerms(_ []graph.TensorType, a graph.Attrs) int { return product(a.Ints("kernel")) + 1 }

var _ = graph.MustRegister(&graph.Op{
	Name: "avg_pool",
	Doc: "The mean of each window of x[N,C,...], over 1 to 3 spatial axes; padding is zero (torch.nn.AvgPool1d, 2d, 3d). It " +
		"divides by the size of the window cut at the padded end, or by the number of its cells inside x, or by a given number.",
	ONNX:    "AveragePool 1 7 10 11 19 22",
	Kind:    graph.PoolingOp,
	Args:    []graph.Arg{{Name: "x", Types: graph.Floats, Doc: "the input, [N,C,...]"}},
	Attrs:   avgAttrs,
	Results: out,
	Infer: func(c *graph.InferCtx) []graph.Type {
		return tensors(graph.TensorType{DType: c.Tensor(0).DType, Shape: pooledShape(c, c.Tensor(0))})
	},
	Grad: func(g *graph.GradCtx) []Value {
		return []Value{fit(emit1("avg_pool_grad", []Value{g.Dy(0)}, with(averaged(g.Attrs), attr("size", g.In[0].Shape()[2:]))...), g.In[0].Shape())}
	},
	Ref: func(c *graph.RefCtx) {
		x, y := c.In[0], c.Out[0]
		meanInto(y, x, func(visit func(int, []int, float64)) { eachMean(c.Attrs, x.Shape[2:], y.Shape[2:], visit) })
	},
	Tol:   graph.Tol{Terms: windowTerms},
	FLOPs: pooling(nthOut(0)),
})

// averaged picks the attributes of avg_pool.
func averaged(a graph.Attrs) []graph.Attr {
	list := make([]graph.Attr, len(avgAttrs))
	for i, spec := range avgAttrs {
		list[i] = attr(spec.Name, a.Get(spec.Name))
	}
	return list
}

var _ = graph.MustRegister(&graph.Op{
	Name:    "avg_pool_grad",
	Doc:     "The adjoint of avg_pool: each element of dy, divided as there, is added to the cells of its window.",
	Kind:    graph.PoolingOp,
	Args:    []graph.Arg{{Name: "dy", Types: graph.Floats, Doc: "the gradient by the means, [N,C,...]"}},
	Attrs:   specsWith(avgAttrs, graph.AttrSpec{Name: "size", Kind: graph.DimsAttr, Show: graph.ShowNever, Doc: "the spatial sizes of the result"}),
	Results: out,
	Infer: func(c *graph.InferCtx) []graph.Type {
		dy := c.Tensor(0)
		x := unpooled(c, dy)
		mustHaveShape(c, dy, pooledShape(c, x), "the gradient")
		return tensors(x)
	},
	Grad: func(g *graph.GradCtx) []Value {
		return []Value{fit(emit1("avg_pool", []Value{g.Dy(0)}, averaged(g.Attrs)...), g.In[0].Shape())}
	},
	Ref: func(c *graph.RefCtx) {
		x, y := c.Out[0], c.In[0]
		spreadMean(x, y, func(visit func(int, []int, float64)) { eachMean(c.Attrs, x.Shape[2:], y.Shape[2:], visit) })
	},
	Tol:   graph.Tol{Terms: windowTerms},
	FLOPs: pooling(nthIn(0)),
})

// unpooled returns the type [N,C,size...] for dy[N,C,...].
func unpooled(c *graph.InferCtx, dy graph.TensorType) graph.TensorType {
	size := c.Dims("size")
	if n := spatialAxes(c, dy); len(size) != n {
		c.Failf("want a size for each of %d spatial axes, have %v: dy is %s", n, size, dy)
	}
	return graph.TensorType{DType: dy.DType, Shape: slices.Concat(dy.Shape[:2], size)}
}

// AvgPool returns the mean of each window of x[N,C,...], over 1 to 3 spatial axes; padding is zero (torch.nn.AvgPool1d, 2d,
// 3d). Windows that do not fit are reported.
func AvgPool(x Value, p PoolParams) Value {
	n := x.Rank() - 2
	for _, d := range p.Dilations {
		if d != 1 {
			return report("avg_pool", []Value{x}, "averages have no dilations, have %v", p.Dilations)
		}
	}
	return emit1("avg_pool", []Value{x}, append(p.attrs(n), attr("count_include_pad", !p.ExcludePad), attr("divisor", p.Divisor))...)
}

// eachCell visits the results of adaptive_avg_pool in one plane: result i of m along an axis of size n is the mean of
// positions floor(i*n/m) to ceil((i+1)*n/m).
func eachCell(sizes, pooled []int, visit func(i int, cells []int, n float64)) {
	axes := make([][]poolWindow, len(sizes))
	for a, n := range sizes {
		for i := range pooled[a] {
			m := pooled[a]
			axes[a] = append(axes[a], poolWindow{from: i * n / m, to: ((i+1)*n + m - 1) / m, step: 1})
		}
	}
	eachPooled(axes, sizes, func(i int, cells []int, _ int) { visit(i, cells, float64(len(cells))) })
}

// adaptiveTerms bounds the number of terms of a mean, and the overlap of cells.
func adaptiveTerms(from, to []graph.Dim) int {
	terms := 1
	for i := range from {
		n, _ := from[i].Int()
		m, _ := to[i].Int()
		terms *= int(max(n/max(m, 1), m/max(n, 1))) + 2
	}
	return terms
}

// checkAdaptive refuses empty axes.
func checkAdaptive(c *graph.InferCtx, x, y graph.TensorType) {
	for i, n := range x.Shape[2:] {
		if !isZero(y.Shape[2+i]) && c.Exceeds(dim.Const(1), n) {
			c.Failf("there is nothing to average along spatial axis %d: x is %s", i, x)
		}
	}
}

var _ = graph.MustRegister(&graph.Op{
	Name: "adaptive_avg_pool",
	Doc: "Means of x[N,C,...] over 1 to 3 spatial axes, as many as the given sizes: number i of m along an axis of size n is the mean of " +
		"positions floor(i*n/m) to ceil((i+1)*n/m) (torch.nn.AdaptiveAvgPool1d, 2d, 3d).",
	Kind:    graph.PoolingOp,
	Args:    []graph.Arg{{Name: "x", Types: graph.Floats, Doc: "the input, [N,C,...]"}},
	Attrs:   []graph.AttrSpec{{Name: "size", Kind: graph.DimsAttr, Show: graph.ShowNever, Doc: "the spatial sizes of the result"}},
	Results: out,
	Infer: func(c *graph.InferCtx) []graph.Type {
		x := c.Tensor(0)
		y := unpooled(c, x)
		checkAdaptive(c, x, y)
		return tensors(y)
	},
	Grad: func(g *graph.GradCtx) []Value {
		return []Value{emit1("adaptive_avg_pool_grad", []Value{g.Dy(0)}, attr("size", g.In[0].Shape()[2:]))}
	},
	Ref: func(c *graph.RefCtx) {
		x, y := c.In[0], c.Out[0]
		meanInto(y, x, func(visit func(int, []int, float64)) { eachCell(x.Shape[2:], y.Shape[2:], visit) })
	},
	Tol:   graph.Tol{Terms: func(in []graph.TensorType, a graph.Attrs) int { return adaptiveTerms(in[0].Shape[2:], a.Dims("size")) }},
	FLOPs: perElement,
})

var _ = graph.MustRegister(&graph.Op{
	Name:    "adaptive_avg_pool_grad",
	Doc:     "The adjoint of adaptive_avg_pool: each element of dy, divided by the number of its cells, is added to them.",
	Kind:    graph.PoolingOp,
	Args:    []graph.Arg{{Name: "dy", Types: graph.Floats, Doc: "the gradient by the means, [N,C,...]"}},
	Attrs:   []graph.AttrSpec{{Name: "size", Kind: graph.DimsAttr, Show: graph.ShowNever, Doc: "the spatial sizes of the result"}},
	Results: out,
	Infer: func(c *graph.InferCtx) []graph.Type {
		dy := c.Tensor(0)
		x := unpooled(c, dy)
		checkAdaptive(c, x, dy)
		return tensors(x)
	},
	Grad: func(g *graph.GradCtx) []Value {
		return []Value{emit1("adaptive_avg_pool", []Value{g.Dy(0)}, attr("size", g.In[0].Shape()[2:]))}
	},
	Ref: func(c *graph.RefCtx) {
		x, y := c.Out[0], c.In[0]
		spreadMean(x, y, func(visit func(int, []int, float64)) { eachCell(x.Shape[2:], y.Shape[2:], visit) })
	},
	Tol: graph.Tol{Terms: func(in []graph.TensorType, a graph.Attrs) int { return adaptiveTerms(in[0].Shape[2:], a.Dims("size")) }},
	FLOPs: graph.Cost{Doc: "one for each element of the result", Count: func(_, out []graph.TensorType, _ graph.Attrs) graph.Dim {
		return out[0].NumElements()
	}},
})

// AdaptiveAvgPool returns means of x[N,C,...], as many along each spatial axis as size says (torch.nn.AdaptiveAvgPool1d, 2d,
// 3d): number i of m along an axis of size n is the mean of positions floor(i*n/m) to ceil((i+1)*n/m). Sizes are ints, dim
// expressions as strings, graph.Dims, or nil for the size of x.
func AdaptiveAvgPool(x Value, size ...any) Value {
	if !x.OK() {
		return emit1("adaptive_avg_pool", []Value{x})
	}
	filled := slices.Clone(size)
	for i, s := range size {
		if s == nil && 2+i < x.Rank() {
			filled[i] = x.Shape()[2+i]
		}
	}
	shape, err := graph.Shape(filled...)
	if err != nil {
		return report("adaptive_avg_pool", []Value{x}, "size: %v", err)
	}
	return emit1("adaptive_avg_pool", []Value{x}, attr("size", shape))
}
