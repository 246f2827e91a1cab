package ops

import (
	"math"
	"slices"

	"github.com/graphrun/graphrun/graph"
	"github.com/graphrun/graphrun/graph/value"
)

// CumOption changes what CumSum and CumProd accumulate.
type CumOption uint8

// The options of CumSum and CumProd.
const (
	// Exclusive leaves an element out of its own result, so that the first is 0 for sums, 1 for products.
	Exclusive CumOption = iota + 1
	// Reversed accumulates from the last element on.
	Reversed
)

var cumAttrs = []graph.AttrSpec{
	{Name: "axis", Kind: graph.IntAttr, Doc: "the axis along which to accumulate; a negative one counts from the end"},
	{Name: "exclusive", Kind: graph.BoolAttr, Default: false, Doc: "whether an element is left out of its own result"},
	{Name: "reverse", Kind: graph.BoolAttr, Default: false, Doc: "whether to accumulate from the last element on"},
}

func inferAlongAxis(c *graph.InferCtx) []graph.Type {
	c.Axis("axis", c.Tensor(0).Rank())
	return inferSame(c)
}

// accumulate sets each element of the result to op of the elements so far along the axis.
func accumulate(c *graph.RefCtx, op arith, start func(y *value.Exact, i int)) {
	x, y := c.In[0], c.Out[0]
	state := value.NewExact(x.DType, []int{1})
	eachLane(x.Shape, c.Int("axis"), func(at, stride, n int) {
		start(state, 0)
		for k := range n {
			if c.Bool("reverse") {
				k = n - 1 - k
			}
			i := at + k*stride
			if c.Bool("exclusive") {
				copyElement(y, i, state, 0)
			}
			switch x.DType.Domain() {
			case value.Floats:
				state.F[0] = op.f(state.F[0], x.F[i])
			case value.Ints:
				state.I[0] = op.i(state.I[0], x.I[i])
			case value.Uints:
				state.U[0] = op.u(state.U[0], x.U[i])
			}
			if !c.Bool("exclusive") {
				copyElement(y, i, state, 0)
			}
		}
	})
}

func cumulative(name string, x Value, axis int, opts []CumOption) Value {
	return emit1(name, []Value{x}, attr("axis", normAxis(axis, x)),
		attr("exclusive", slices.Contains(opts, Exclusive)), attr("reverse", slices.Contains(opts, Reversed)))
}

var _ = graph.MustRegister(&graph.Op{
	Name:    "cumsum",
	Doc:     "The sums of the elements so far along an axis (torch.cumsum). Integers wrap.",
	ONNX:    "CumSum 11 14",
	Kind:    graph.ReductionOp,
	Args:    []graph.Arg{{Name: "x", Types: graph.Numeric, Doc: "the tensor"}},
	Attrs:   cumAttrs,
	Results: out,
	Infer:   inferAlongAxis,
	Grad: func(g *graph.GradCtx) []Value {
		return []Value{emit1("cumsum", []Value{g.Dy(0)}, g.Attrs.With("reverse", !g.Bool("reverse"))...)}
	},
	Ref:   func(c *graph.RefCtx) { accumulate(c, sums, startAt(0)) },
	Tol:   graph.Tol{Terms: laneTerms, InOrder: true},
	FLOPs: perElement,
})

// laneTerms is the size of the axis.
func laneTerms(in []graph.TensorType, a graph.Attrs) int {
	sizes, _ := in[0].ConstShape()
	axis := a.Int("axis")
	if axis < 0 {
		axis += len(sizes)
	}
	return sizes[axis]
}

// CumSum returns the sums of the elements so far along axis, of x's shape and dtype.
func CumSum(x Value, axis int, opts ...CumOption) Value { return cumulative("cumsum", x, axis, opts) }

var _ = graph.MustRegister(&graph.Op{
	Name: "cumprod",
	Doc: "The products of the elements so far along an axis (torch.cumprod). Integers wrap. The gradient is right where " +
		"elements are zero, too.",
	ONNX:    "CumProd 26",
	Kind:    graph.ReductionOp,
	Args:    []graph.Arg{{Name: "x", Types: graph.Numeric, Doc: "the tensor"}},
	Attrs:   cumAttrs,
	Results: out,
	Infer:   inferAlongAxis,
	Grad: func(g *graph.GradCtx) []Value {
		// Element i takes part in result k >= i as L*x[i+1]*...*x[k], where L is the product before i. The sum of those
		// products, each times its dy, is a recurrence from the end: s[i] = dy[i] + x[i+1]*s[i+1].
		x, axis, reverse := g.In[0], g.Int("axis"), g.Bool("reverse")
		before := []CumOption{Exclusive}
		step := 1
		if reverse {
			before, step = append(before, Reversed), -1
		}
		var sum Value
		if g.Bool("exclusive") {
			sum = Shift(recurrence(x, g.Dy(0), axis, !reverse, false), axis, -step)
		} else {
			sum = recurrence(x, g.Dy(0), axis, !reverse, true)
		}
		return []Value{Mul(CumProd(x, axis, before...), sum)}
	},
	Ref:   func(c *graph.RefCtx) { accumulate(c, products, startAt(1)) },
	Tol:   graph.Tol{Terms: laneTerms, Factors: true, InOrder: true},
	FLOPs: perElement,
})

// CumProd returns the products of the elements so far along axis, of x's shape and dtype.
func CumProd(x Value, axis int, opts ...CumOption) Value { return cumulative("cumprod", x, axis, opts) }

var _ = graph.MustRegister(&graph.Op{
	Name: "logcumsumexp",
	Doc: "The logarithms of the sums of exponentials of the elements so far along an axis, log(cumsum(e^x)) (torch.logcumsumexp), " +
		"which do not overflow. Where all so far are -inf it is -inf, with gradient 0.",
	Kind:    graph.ReductionOp,
	Args:    []graph.Arg{{Name: "x", Types: graph.Floats, Doc: "the tensor"}},
	Attrs:   cumAttrs[:1],
	Results: out,
	Infer:   inferAlongAxis,
	Grad: func(g *graph.GradCtx) []Value {
		// Element i takes part in results k >= i by e^(x[i]-y[k]) = e^(x[i]-y[i]) * e^(y[i]-y[k]). The sum of the second factors, each
		// times its dy, is a recurrence from the end whose factors e^(y[i]-y[i+1]) are 1 at most, since y never falls.
		y, axis := g.Out[0], g.Int("axis")
		y = Where(Equal(y, math.Inf(-1)), 0.0, y) // -inf - -inf would be NaN
		next := Shift(y, axis, -1)
		fall := Where(GreaterEqual(y, next), 0.0, Sub(y, next)) // inf - inf would be NaN, and the last place has none after it
		sum := recurrence(Exp(fall), g.Dy(0), axis, true, false)
		return []Value{Mul(Exp(Sub(g.In[0], y)), sum)}
	},
	Ref: func(c *graph.RefCtx) {
		x, y := c.In[0].F, c.Out[0].F
		eachLane(c.In[0].Shape, c.Int("axis"), func(at, stride, n int) {
			state := math.Inf(-1)
			for i := range n {
				state = logAddExp(state, x[at+i*stride])
				y[at+i*stride] = state
			}
		})
	},
	Tol:   graph.Tol{Terms: laneTerms, InOrder: true},
	FLOPs: perOperand(0, 4, "4 for each element: a difference, an exponential, a logarithm and a sum"),
})

// LogCumSumExp returns the logarithms of the sums of exponentials of the elements so far along axis, of x's shape, without overflow;
// integers are cast to f32.
func LogCumSumExp(x Value, axis int) Value {
	return emit1("logcumsumexp", []Value{toFloat(x)}, attr("axis", normAxis(axis, x)))
}

var _ = graph.MustRegister(&graph.Op{
	Name: "recurrence",
	Doc: "The linear recurrence h[t] = a[t]*h[t-1] + b[t] along an axis, from h = 0 before the first step; with lag, h[t] = " +
		"a[t-1]*h[t-1] + " +
		"b[t]. It is the gradient of cumulative products and a filter of its own.",
	Kind: graph.ControlOp,
	Args: []graph.Arg{
		{Name: "a", Types: graph.Floats, Doc: "the factors"},
		{Name: "b", Types: graph.Floats, Doc: "what is added, of a's type"},
	},
	Attrs: []graph.AttrSpec{
		{Name: "axis", Kind: graph.IntAttr, Doc: "the axis of the steps; a negative one counts from the end"},
		{Name: "reverse", Kind: graph.BoolAttr, Default: false, Doc: "whether the steps run from the last element to the first"},
		{Name: "lag", Kind: graph.BoolAttr, Default: false, Doc: "whether the factor is that of the step before"},
	},
	Results: out,
	Infer: func(c *graph.InferCtx) []graph.Type {
		if a, b := c.Tensor(0), c.Tensor(1); !graph.EqualTypes(a, b) {
			c.Failf("the types differ: a is %s, b is %s", a, b)
		}
		return inferAlongAxis(c)
	},
	Grad: func(g *graph.GradCtx) []Value {
		a, h, axis, reverse, lag := g.In[0], g.Out[0], g.Int("axis"), g.Bool("reverse"), g.Bool("lag")
		step := 1
		if reverse {
			step = -1
		}
		db := recurrence(a, g.Dy(0), axis, !reverse, !lag)
		if lag {
			return []Value{Mul(Shift(db, axis, -step), h), db}
		}
		return []Value{Mul(db, Shift(h, axis, step)), db}
	},
	Ref: func(c *graph.RefCtx) {
		a, b, h := c.In[0].F, c.In[1].F, c.Out[0].F
		eachLane(c.In[0].Shape, c.Int("axis"), func(at, stride, n int) {
			last := 0
			for t := range n {
				k := t
				if c.Bool("reverse") {
					k = n - 1 - t
				}
				i := at + k*stride
				h[i] = b[i]
				if t > 0 {
					factor := a[i]
					if c.Bool("lag") {
						factor = a[last]
					}
					h[i] += factor * h[last]
				}
				last = i
			}
		})
	},
	Tol:   graph.Tol{InOrder: true, Terms: func(in []graph.TensorType, a graph.Attrs) int { return 2 * laneTerms(in, a) }},
	FLOPs: perOperand(0, 2, "2 for each element"),
})

// recurrence returns h[t] = a[t]*h[t-1] + b[t] along axis; with lag the factor is a[t-1].
func recurrence(a, b Value, axis int, reverse, lag bool) Value {
	return emit1("recurrence", []Value{a, b}, attr("axis", axis), attr("reverse", reverse), attr("lag", lag))
}

// LinearRecurrence returns h[t] = a[t]*h[t-1] + b[t] along axis, from h = 0 before the first step; a and b have one
// float type, which the result has too.
func LinearRecurrence(a, b Value, axis int) Value {
	return recurrence(a, b, normAxis(axis, a), false, false)
}

var _ = graph.MustRegister(&graph.Op{
	Name: "shift",
	Doc:  "Moves the elements along an axis by a number of places, toward the end if it is positive; zeros come in.",
	Kind: graph.ShapeOp,
	Args: []graph.Arg{{Name: "x", Types: graph.Numeric | graph.Bools, Doc: "the tensor"}},
	Attrs: []graph.AttrSpec{
		{Name: "axis", Kind: graph.IntAttr, Doc: "the axis; a negative one counts from the end"},
		{Name: "by", Kind: graph.IntAttr, Doc: "the number of places"},
	},
	Results: out,
	Infer:   inferAlongAxis,
	Grad: func(g *graph.GradCtx) []Value {
		return []Value{Shift(g.Dy(0), g.Int("axis"), -g.Int("by"))}
	},
	Ref: func(c *graph.RefCtx) {
		eachLane(c.In[0].Shape, c.Int("axis"), func(at, stride, n int) {
			by := min(max(c.Int("by"), -n), n)
			for k := max(0, by); k < n && k-by < n; k++ {
				copyElement(c.Out[0], at+k*stride, c.In[0], at+(k-by)*stride)
			}
		})
	},
})

// Shift returns x with its elements moved along axis by a number of places, toward the end if it is positive;
// zeros come in.
func Shift(x Value, axis, by int) Value {
	return emit1("shift", []Value{x}, attr("axis", normAxis(axis, x)), attr("by", by))
}
