package ops

import (
	"math"

	"github.com/graphrun/graphrun/graph"
	"github.com/graphrun/graphrun/graph/value"
)

// activation is a composite of one float operand: its body and, where a gradient by hand is better than that of the
// body, its gradient.
type activation struct {
	name, doc string
	onnx      graph.ONNX
	attrs     []graph.AttrSpec
	body      func(b *graph.BodyCtx, x Value) Value
	grad      func(g *graph.GradCtx, x, dy Value) Value
	noGrad    string
}

// op completes the declaration.
func (a *activation) op() *graph.Op {
	op := &graph.Op{
		Name:    a.name,
		Doc:     a.doc,
		ONNX:    a.onnx,
		Args:    []graph.Arg{{Name: "x", Types: graph.Floats, Doc: "the operand"}},
		Attrs:   a.attrs,
		Results: out,
		NoGrad:  a.noGrad,
		Body:    func(b *graph.BodyCtx) []Value { return []Value{a.body(b, b.In[0])} },
		Props:   graph.Props{Elementwise: true},
		InPlace: []int{0},
		Tol:     composed,
	}
	if a.grad != nil {
		op.Grad = func(g *graph.GradCtx) []Value { return []Value{a.grad(g, g.In[0], g.Dy(0))} }
	}
	return op
}

// within says where x is strictly between two numbers.
func within(x Value, low, high float64) Value { return And(Greater(x, low), Less(x, high)) }

var _ = graph.MustRegister((&activation{
	name: "softplus",
	doc: "log(1+e^(beta*x))/beta, and x itself where beta*x is above the threshold (torch.nn.Softplus; ONNX Softplus has beta 1). " +
		"It does not overflow.",
	onnx: "Softplus 1 22",
	attrs: []graph.AttrSpec{
		{Name: "beta", Kind: graph.FloatAttr, Default: 1.0, Doc: "the steepness"},
		{Name: "threshold", Kind: graph.FloatAttr, Default: 20.0, Doc: "where the result becomes x"},
	},
	body: func(b *graph.BodyCtx, x Value) Value {
		z := Mul(x, b.Float("beta"))
		soft := Add(Maximum(z, 0.0), Log1p(Exp(Neg(Abs(z)))))
		return Where(Greater(z, b.Float("threshold")), x, Div(soft, b.Float("beta")))
	},
	grad: func(g *graph.GradCtx, x, dy Value) Value {
		z, threshold := Mul(x, g.Float("beta")), g.Float("threshold")
		// at the threshold the slope is sigmoid's and constant, as it is beyond
		slope := Sigmoid(Where(GreaterEqual(z, threshold), threshold, z))
		return Where(Greater(z, threshold), dy, Mul(dy, slope))
	},
}).op())

// Softplus returns log(1+e^(beta*x))/beta, and x where beta*x > threshold; PyTorch's defaults are 1 and 20.
func Softplus(x Value, beta, threshold float64) Value {
	return emit1("softplus", []Value{toFloat(x)}, attr("beta", beta), attr("threshold", threshold))
}

var _ = graph.MustRegister((&activation{
	name: "log_sigmoid",
	doc:  "The logarithm of sigmoid, -log(1+e^-x) (torch.nn.LogSigmoid); it does not overflow.",
	body: func(_ *graph.BodyCtx, x Value) Value {
		return Sub(Minimum(x, 0.0), Log1p(Exp(Neg(Abs(x)))))
	},
	grad: func(_ *graph.GradCtx, x, dy Value) Value { return Mul(dy, Sigmoid(Neg(x))) },
}).op())

// LogSigmoid returns log(sigmoid(x)).
func LogSigmoid(x Value) Value { return floatUnary("log_sigmoid", x) }

var _ = graph.MustRegister((&activation{
	name: "gelu",
	doc: "x times the standard normal distribution function of x (torch.nn.GELU): x/2*(1+erf(x/sqrt(2))), or " +
		"with approximate " +
		"\"tanh\" x/2*(1+tanh(sqrt(2/pi)*(x+0.044715*x^3))).",
	onnx:  "Gelu 20",
	attrs: []graph.AttrSpec{{Name: "approximate", Kind: graph.StringAttr, Default: "none", Doc: `the formula: "none" or "tanh"`}},
	body: func(b *graph.BodyCtx, x Value) Value {
		var s Value
		switch mode := b.Str("approximate"); mode {
		case "none":
			s = Erf(Mul(x, math.Sqrt2/2))
		case "tanh":
			cube := Mul(Square(x), x)
			s = Tanh(Mul(Add(x, Mul(cube, 0.044715)), math.Sqrt(2/math.Pi)))
		default:
			return refuse(b, "gelu", `approximate is %q: want "none" or "tanh"`, mode)[0]
		}
		return Mul(Mul(x, 0.5), Add(s, 1.0))
	},
}).op())

// GELU returns x times the standard normal distribution function of x; approximate is "none" or "tanh".
func GELU(x Value, approximate string) Value {
	return emit1("gelu", []Value{toFloat(x)}, attr("approximate", approximate))
}

var _ = graph.MustRegister((&activation{
	name: "silu",
	doc:  "x*sigmoid(x) (torch.nn.SiLU; ONNX Swish with alpha 1).",
	onnx: "Swish 24",
	body: func(_ *graph.BodyCtx, x Value) Value { return Mul(x, Sigmoid(x)) },
}).op())

// SiLU returns x*sigmoid(x).
func SiLU(x Value) Value { return floatUnary("silu", x) }

var _ = graph.MustRegister((&activation{
	name: "mish",
	doc:  "x*tanh(softplus(x)) (torch.nn.Mish).",
	onnx: "Mish 18 22",
	body: func(_ *graph.BodyCtx, x Value) Value { return Mul(x, Tanh(Softplus(x, 1, 20))) },
}).op())

// Mish returns x*tanh(softplus(x)).
func Mish(x Value) Value { return floatUnary("mish", x) }

var _ = graph.MustRegister((&activation{
	name: "softsign",
	doc:  "x/(1+|x|) (torch.nn.Softsign).",
	onnx: "Softsign 1 22",
	body: func(_ *graph.BodyCtx, x Value) Value { return Div(x, Add(Abs(x), 1.0)) },
	grad: func(_ *graph.GradCtx, x, dy Value) Value { return Div(dy, Square(Add(Abs(x), 1.0))) },
}).op())

// Softsign returns x/(1+|x|).
func Softsign(x Value) Value { return floatUnary("softsign", x) }

var _ = graph.MustRegister((&activation{
	name:  "leaky_relu",
	doc:   "x where it is positive, slope*x elsewhere (torch.nn.LeakyReLU). The gradient at 0 is the slope.",
	onnx:  "LeakyRelu 1 6 16",
	attrs: []graph.AttrSpec{{Name: "slope", Kind: graph.FloatAttr, Default: 0.01, Doc: "the factor where x is not positive"}},
	body: func(b *graph.BodyCtx, x Value) Value {
		return Where(Greater(x, 0.0), x, Mul(x, b.Float("slope")))
	},
	grad: func(g *graph.GradCtx, x, dy Value) Value {
		return Where(Greater(x, 0.0), dy, Mul(dy, g.Float("slope")))
	},
}).op())

// LeakyReLU returns x where it is positive and slope*x elsewhere; PyTorch's default slope is 0.01.
func LeakyReLU(x Value, slope float64) Value {
	return emit1("leaky_relu", []Value{toFloat(x)}, attr("slope", slope))
}

// exponentialUnit returns high*x where x is positive or NaN and low*(e^(x*rate)-1) elsewhere. The exponential sees only what
// it is selected for, so that it never overflows, in gradients neither.
func exponentialUnit(x Value, high, low, rate float64) Value {
	exponential := LessEqual(x, 0.0)
	negative := Where(exponential, x, 0.0)
	if rate != 1 {
		negative = Mul(negative, rate)
	}
	if high != 1 {
		x = Mul(x, high)
	}
	return Where(exponential, Mul(Expm1(negative), low), x)
}

// exponentialSlope returns the gradient of exponentialUnit: at 0 that of the exponential, which is constant there, so that the second
// derivative is 0 as it is above.
func exponentialSlope(x, dy Value, high, low, rate float64) Value {
	negative := Mul(Where(Less(x, 0.0), x, 0.0), rate)
	return Where(LessEqual(x, 0.0), Mul(dy, Mul(Exp(negative), low*rate)), Mul(dy, high))
}

var alphaAttr = graph.AttrSpec{Name: "alpha", Kind: graph.FloatAttr, Default: 1.0, Doc: "the factor of the exponential part"}

var _ = graph.MustRegister((&activation{
	name:  "elu",
	doc:   "x where it is positive, alpha*(e^x-1) elsewhere (torch.nn.ELU). The gradient at 0 is alpha.",
	onnx:  "Elu 1 6 22",
	attrs: []graph.AttrSpec{alphaAttr},
	body:  func(b *graph.BodyCtx, x Value) Value { return exponentialUnit(x, 1, b.Float("alpha"), 1) },
	grad:  func(g *graph.GradCtx, x, dy Value) Value { return exponentialSlope(x, dy, 1, g.Float("alpha"), 1) },
}).op())

// ELU returns x where it is positive and alpha*(e^x-1) elsewhere; PyTorch's default alpha is 1.
func ELU(x Value, alpha float64) Value {
	return emit1("elu", []Value{toFloat(x)}, attr("alpha", alpha))
}

var _ = graph.MustRegister((&activation{
	name: "selu",
	doc:  "gamma*x where x is positive, gamma*alpha*(e^x-1) elsewhere (torch.nn.SELU). The gradient at 0 is gamma*alpha.",
	onnx: "Selu 1 6 22",
	attrs: []graph.AttrSpec{
		{Name: "alpha", Kind: graph.FloatAttr, Default: 1.6732632423543772848170429916717, Doc: "the factor of the exponential part"},
		{Name: "gamma", Kind: graph.FloatAttr, Default: 1.0507009873554804934193349852946, Doc: "the factor of both parts"},
	},
	body: func(b *graph.BodyCtx, x Value) Value {
		return exponentialUnit(x, b.Float("gamma"), b.Float("gamma")*b.Float("alpha"), 1)
	},
	grad: func(g *graph.GradCtx, x, dy Value) Value {
		return exponentialSlope(x, dy, g.Float("gamma"), g.Float("gamma")*g.Float("alpha"), 1)
	},
}).op())

// SELU returns the scaled ELU with the constants of self-normalizing networks.
func SELU(x Value) Value { return floatUnary("selu", x) }

var _ = graph.MustRegister((&activation{
	name:  "celu",
	doc:   "x where it is positive, alpha*(e^(x/alpha)-1) elsewhere (torch.nn.CELU). The gradient at 0 is 1.",
	onnx:  "Celu 12 28",
	attrs: []graph.AttrSpec{alphaAttr},
	body: func(b *graph.BodyCtx, x Value) Value {
		return exponentialUnit(x, 1, b.Float("alpha"), 1/b.Float("alpha"))
	},
	grad: func(g *graph.GradCtx, x, dy Value) Value {
		return exponentialSlope(x, dy, 1, g.Float("alpha"), 1/g.Float("alpha"))
	},
}).op())

// CELU returns x where it is positive and alpha*(e^(x/alpha)-1) elsewhere; PyTorch's default alpha is 1.
func CELU(x Value, alpha float64) Value {
	return emit1("celu", []Value{toFloat(x)}, attr("alpha", alpha))
}

var _ = graph.MustRegister(&graph.Op{
	Name: "clamp",
	Doc: "x limited to [low, high], all three broadcast (torch.clamp): min(max(x, low), high). NaN stays. The " +
		"gradient passes to x between the bounds; at and beyond one it goes to the bound. At a bound that is not a number " +
		"of the declaration x and the bound share it, as they do in maximum and minimum; where two such bounds meet x has it all.",
	ONNX: "Clip 1 6 11 12 13",
	Args: []graph.Arg{
		{Name: "x", Types: graph.Numeric, Doc: "the operand"},
		{Name: "low", Types: graph.Numeric, Doc: "the lower bound, of x's dtype"},
		{Name: "high", Types: graph.Numeric, Doc: "the upper bound, of x's dtype; it wins over a larger lower bound"},
	},
	Results: out,
	Body:    func(b *graph.BodyCtx) []Value { return []Value{Minimum(Maximum(b.In[0], b.In[1]), b.In[2])} },
	Grad: func(g *graph.GradCtx) []Value {
		x, low, high, dy := g.In[0], g.In[1], g.In[2], g.Dy(0)
		to := func(v, cond Value) Value { return SumTo(Where(cond, dy, 0.0), v.Shape()) }
		above, below := Greater(x, low), Less(x, high)
		if isInfinite(low, -1) {
			above = GreaterEqual(x, low)
		}
		if isInfinite(high, 1) {
			below = LessEqual(x, high)
		}
		dx := to(x, And(above, below))
		dlow := to(low, And(Less(x, low), LessEqual(low, high)))
		dhigh := to(high, Or(Greater(x, high), Greater(low, high)))
		numbers := 0
		tie := func(i int, dbound *Value) {
			bound := g.In[i]
			if _, constant := bound.Constant(); constant && bound.Rank() == 0 && !g.Wants(i) {
				numbers++
				return
			}
			half := Where(And(Equal(x, bound), Less(low, high)), Mul(dy, 0.5), 0.0)
			dx, *dbound = Add(dx, SumTo(half, x.Shape())), Add(*dbound, SumTo(half, bound.Shape()))
		}
		tie(1, &dlow)
		tie(2, &dhigh)
		if numbers < 2 {
			dx = Add(dx, to(x, And(Equal(x, low), Equal(x, high)))) // as in PyTorch, the bounds have none
		}
		return []Value{dx, dlow, dhigh}
	},
	Props:   graph.Props{Elementwise: true},
	InPlace: []int{0},
})

// isInfinite reports whether v is infinity of the sign, as a bound that was not given is.
func isInfinite(v Value, sign int) bool {
	t, constant := v.Constant()
	return constant && t.Len() == 1 && t.DType().IsFloat() && math.IsInf(t.Float64s()[0], sign)
}

// Clamp returns x limited to [low, high], broadcast; a bound that is nil does not limit. At a bound that is a Go
// number x has gradient 0; with a bound that is a Value it shares the gradient evenly (both as in torch.clamp).
func Clamp(x Value, low, high Operand) Value {
	args := []Operand{x}
	for _, bound := range []Operand{low, high} {
		if bound != nil {
			args = append(args, bound)
		}
	}
	in, ok := operands("clamp", args...)
	if !ok {
		return in[0]
	}
	dt := in[0].DType()
	if !dt.IsNumeric() {
		return report("clamp", in, "want numbers, have %s", x.Type())
	}
	bounds := in[1:]
	bound := func(given Operand, limit func(y *value.Exact, i int)) Value {
		if given != nil {
			v := bounds[0]
			bounds = bounds[1:]
			return v
		}
		e := value.NewExact(dt, nil)
		limit(e, 0)
		return graph.Innermost(in...).Const(e.Tensor())
	}
	l := bound(low, lowest)
	return emit1("clamp", []Value{in[0], l, bound(high, highest)})
}

var _ = graph.MustRegister((&activation{
	name: "hardtanh",
	doc:  "x limited to [min, max] (torch.nn.Hardtanh), with gradient 0 at the bounds.",
	attrs: []graph.AttrSpec{
		{Name: "min", Kind: graph.FloatAttr, Default: -1.0, Doc: "the lower bound"},
		{Name: "max", Kind: graph.FloatAttr, Default: 1.0, Doc: "the upper bound"},
	},
	body: func(b *graph.BodyCtx, x Value) Value {
		return Minimum(Maximum(x, b.Float("min")), b.Float("max"))
	},
	grad: func(g *graph.GradCtx, x, dy Value) Value {
		return Where(Or(LessEqual(x, g.Float("min")), GreaterEqual(x, g.Float("max"))), 0.0, dy)
	},
}).op())

// Hardtanh returns x limited to [low, high]; the gradient at the bounds is 0.
func Hardtanh(x Value, low, high float64) Value {
	return emit1("hardtanh", []Value{toFloat(x)}, attr("min", low), attr("max", high))
}

// ReLU6 returns x limited to [0, 6], with gradient 0 at the bounds.
func ReLU6(x Value) Value { return Hardtanh(x, 0, 6) }

var _ = graph.MustRegister((&activation{
	name: "hardsigmoid",
	doc:  "alpha*x+beta limited to [0, 1] (torch.nn.Hardsigmoid has alpha 1/6), with gradient 0 at the bounds.",
	onnx: "HardSigmoid 1 6 22",
	attrs: []graph.AttrSpec{
		{Name: "alpha", Kind: graph.FloatAttr, Default: 1.0 / 6, Doc: "the slope"},
		{Name: "beta", Kind: graph.FloatAttr, Default: 0.5, Doc: "the value at 0"},
	},
	body: func(b *graph.BodyCtx, x Value) Value {
		return Hardtanh(Add(Mul(x, b.Float("alpha")), b.Float("beta")), 0, 1)
	},
	grad: func(g *graph.GradCtx, _, dy Value) Value {
		slope := g.Float("alpha")
		if slope == 1.0/6 {
			slope = float64(float32(slope)) // PyTorch's rule holds 1/6 in f32 for every dtype
		}
		return Where(within(g.Out[0], 0, 1), Mul(dy, slope), 0.0)
	},
}).op())

// Hardsigmoid returns x/6+1/2 limited to [0, 1].
func Hardsigmoid(x Value) Value { return floatUnary("hardsigmoid", x) }

var _ = graph.MustRegister((&activation{
	name: "hardswish",
	doc: "x times x/6+1/2 limited to [0, 1] (torch.nn.Hardswish). The gradient at the bounds -3 and 3 is " +
		"that of the outer parts, 0 and 1.",
	onnx: "HardSwish 14 22",
	body: func(_ *graph.BodyCtx, x Value) Value {
		return Mul(x, Div(Hardtanh(Add(x, 3.0), 0, 6), 6.0))
	},
	grad: func(_ *graph.GradCtx, x, dy Value) Value {
		slope := Where(Less(Abs(x), 3.0), Add(Div(x, 3.0), 0.5), 1.0) // finite, since the second gradient multiplies 0 by it
		return Where(LessEqual(x, -3.0), 0.0, Mul(dy, slope))
	},
}).op())

// Hardswish returns x times Hardsigmoid(x).
func Hardswish(x Value) Value { return floatUnary("hardswish", x) }

var _ = graph.MustRegister((&activation{
	name:  "hardshrink",
	doc:   "x where |x| is above lambda, 0 elsewhere (torch.nn.Hardshrink; ONNX Shrink with bias 0).",
	onnx:  "Shrink 9",
	attrs: []graph.AttrSpec{{Name: "lambda", Kind: graph.FloatAttr, Default: 0.5, Doc: "the bound"}},
	body: func(b *graph.BodyCtx, x Value) Value {
		return Where(LessEqual(Abs(x), b.Float("lambda")), 0.0, x)
	},
}).op())

// Hardshrink returns x where |x| > lambda and 0 elsewhere; PyTorch's default lambda is 0.5.
func Hardshrink(x Value, lambda float64) Value {
	return emit1("hardshrink", []Value{toFloat(x)}, attr("lambda", lambda))
}

var _ = graph.MustRegister((&activation{
	name:  "softshrink",
	doc:   "x moved toward 0 by lambda, and 0 where |x| is at most lambda (torch.nn.Softshrink; ONNX Shrink with bias lambda).",
	onnx:  "Shrink 9",
	attrs: []graph.AttrSpec{{Name: "lambda", Kind: graph.FloatAttr, Default: 0.5, Doc: "the distance"}},
	body: func(b *graph.BodyCtx, x Value) Value {
		l := b.Float("lambda")
		return Where(Greater(x, l), Sub(x, l), Where(Less(x, -l), Add(x, l), Mul(x, 0.0)))
	},
	grad: func(g *graph.GradCtx, x, dy Value) Value {
		return Where(LessEqual(Abs(x), g.Float("lambda")), 0.0, dy)
	},
}).op())

// Softshrink returns x moved toward 0 by lambda, 0 where |x| <= lambda; PyTorch's default lambda is 0.5.
func Softshrink(x Value, lambda float64) Value {
	return emit1("softshrink", []Value{toFloat(x)}, attr("lambda", lambda))
}

// Tanhshrink returns x - tanh(x).
func Tanhshrink(x Value) Value { return Sub(x, Tanh(x)) }

var _ = graph.MustRegister((&activation{
	name:  "threshold",
	doc:   "x where it is above the threshold, value elsewhere (torch.nn.Threshold; ONNX ThresholdedRelu has value 0); NaN stays.",
	onnx:  "ThresholdedRelu 10 22",
	attrs: []graph.AttrSpec{{Name: "threshold", Kind: graph.FloatAttr, Doc: "the bound"}, {Name: "value", Kind: graph.FloatAttr, Doc: "what replaces other elements"}},
	body: func(b *graph.BodyCtx, x Value) Value {
		return Where(LessEqual(x, b.Float("threshold")), b.Float("value"), x)
	},
}).op())

// Threshold returns x where it is above the threshold and val elsewhere.
func Threshold(x Value, threshold, val float64) Value {
	return emit1("threshold", []Value{toFloat(x)}, attr("threshold", threshold), attr("value", val))
}

var _ = graph.MustRegister((&activation{
	name:   "heaviside",
	doc:    "The step function: 0 below 0, the attribute value at 0, 1 above (torch.heaviside); NaN stays.",
	attrs:  []graph.AttrSpec{{Name: "value", Kind: graph.FloatAttr, Default: 1.0, Doc: "the result at 0"}},
	noGrad: piecewise,
	body: func(b *graph.BodyCtx, x Value) Value {
		y := Where(Greater(x, 0.0), 1.0, x)
		return Where(Less(x, 0.0), 0.0, Where(Equal(x, 0.0), b.Float("value"), y))
	},
}).op())

// Heaviside returns 0 where x is below 0, atZero where it is 0, and 1 above.
func Heaviside(x Value, atZero float64) Value {
	return emit1("heaviside", []Value{toFloat(x)}, attr("value", atZero))
}

var _ = graph.MustRegister(&graph.Op{
	Name: "prelu",
	Doc: "x where it is positive, slope*x elsewhere, with slope broadcast to x, whose shape the result has (torch.nn.PReLU). The gradient " +
		"at 0 is the slope.",
	ONNX: "PRelu 1 6 7 9 16",
	Args: []graph.Arg{
		{Name: "x", Types: graph.Floats, Doc: "the operand"},
		{Name: "slope", Types: graph.Floats, Doc: "the factors where x is not positive, of x's dtype"},
	},
	Results: out,
	Body: func(b *graph.BodyCtx) []Value {
		x, slope := b.In[0], b.In[1]
		y := Where(Greater(x, 0.0), x, Mul(x, slope))
		if y.OK() && !graph.EqualShapes(y.Shape(), x.Shape()) {
			return refuse(b, "prelu", "slope does not broadcast to x: x is %s, slope is %s", b.In[0].Type(), b.In[1].Type())
		}
		return []Value{y}
	},
	Props:   graph.Props{Elementwise: true},
	InPlace: []int{0},
	Tol:     composed,
})

// PReLU returns x where it is positive and weight*x elsewhere. As in PyTorch, a weight of rank 1 has one element, or one
// for each channel, which is axis 1 of x; any other weight is broadcast to x.
func PReLU(x, weight Value) Value {
	if weight.Rank() == 1 && x.Rank() == 0 && x.OK() {
		weight = reshapeDims(weight, nil)
	}
	if x.Rank() > 2 && weight.Rank() == 1 && !isOne(weight.Shape()[0]) {
		shape := graph.Ints(make([]int, x.Rank()-1)...)
		for i := range shape {
			shape[i] = graph.Ints(1)[0]
		}
		shape[0] = weight.Shape()[0]
		weight = reshapeDims(weight, shape)
	}
	return emit1("prelu", []Value{x, weight})
}
