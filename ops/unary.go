package ops

import (
	"math"

	"github.com/graphrun/graphrun/graph"
	"github.com/graphrun/graphrun/graph/real"
	"github.com/graphrun/graphrun/graph/value"
)

// unary is an element-wise op of one operand: its meaning in each numeric domain that it is defined in, and
// its derivative or the reason why there is none.
type unary struct {
	name, doc string
	onnx      graph.ONNX
	f         func(x float64) float64
	i         func(x int64) int64
	u         func(x uint64) uint64
	grad      func(x, y, dy Value) Value
	noGrad    string
	ulp       float64
}

// op completes the declaration.
func (fn *unary) op() *graph.Op {
	types := graph.Floats
	if fn.i != nil {
		types = graph.Numeric
	}
	op := &graph.Op{
		Name:    fn.name,
		Doc:     fn.doc,
		ONNX:    fn.onnx,
		Args:    []graph.Arg{{Name: "x", Types: types, Doc: "the operand"}},
		Results: out,
		Infer:   inferSame,
		NoGrad:  fn.noGrad,
		Ref:     fn.ref,
		Props:   graph.Props{Elementwise: true},
		InPlace: []int{0},
		Tol:     graph.Tol{ULP: fn.ulp},
	}
	if fn.grad != nil {
		op.Grad = func(g *graph.GradCtx) []Value { return []Value{fn.grad(g.In[0], g.Out[0], g.Dy(0))} }
	}
	return op
}

func (fn *unary) ref(c *graph.RefCtx) {
	x, y := c.In[0], c.Out[0]
	switch x.DType.Domain() {
	case value.Floats:
		apply(y.F, x.F, fn.f)
	case value.Ints:
		apply(y.I, x.I, fn.i)
	case value.Uints:
		apply(y.U, x.U, fn.u)
	}
}

func apply[Y, X any](ys []Y, xs []X, f func(X) Y) {
	for i, x := range xs {
		ys[i] = f(x)
	}
}

// inferSame is the type rule of ops whose result has the type of the first operand.
func inferSame(c *graph.InferCtx) []graph.Type { return tensors(c.Tensor(0)) }

// floatUnary emits an element-wise function of floats.
func floatUnary(name string, x Value) Value { return emit1(name, []Value{toFloat(x)}) }

var _ = graph.MustRegister((&unary{
	name: "neg",
	doc:  "The negative of x (torch.neg). Integers wrap.",
	onnx: "Neg 1 6 13",
	f:    func(x float64) float64 { return -x },
	i:    func(x int64) int64 { return -x },
	u:    func(x uint64) uint64 { return -x },
	grad: func(_, _, dy Value) Value { return Neg(dy) },
}).op())

// Neg returns -x.
// Not inlined: 1.2 kB of the service.
//
//go:noinline
func Neg(x Value) Value { return emit1("neg", []Value{x}) }

var _ = graph.MustRegister((&unary{
	name: "abs",
	doc:  "The absolute value of x (torch.abs), with gradient 0 at 0. Integers wrap.",
	onnx: "Abs 1 6 13",
	f:    math.Abs,
	i: func(x int64) int64 {
		if x < 0 {
			return -x
		}
		return x
	},
	u:    func(x uint64) uint64 { return x },
	grad: func(x, _, dy Value) Value { return Mul(dy, Sign(x)) },
}).op())

// Abs returns the absolute value of x.
func Abs(x Value) Value { return emit1("abs", []Value{x}) }

var _ = graph.MustRegister((&unary{
	name: "sign",
	doc:  "The sign of x: -1, 0 or 1 (torch.sign); zeros and NaN stay as they are.",
	onnx: "Sign 9 13",
	f: func(x float64) float64 {
		switch {
		case x > 0:
			return 1
		case x < 0:
			return -1
		}
		return x
	},
	i: func(x int64) int64 {
		switch {
		case x > 0:
			return 1
		case x < 0:
			return -1
		}
		return 0
	},
	u:      func(x uint64) uint64 { return min(x, 1) },
	noGrad: piecewise,
}).op())

// piecewise is why rounding and its kind have no gradient.
const piecewise = "it is piecewise constant: the gradient is zero wherever it exists"

// Sign returns -1, 0 or 1 in the dtype of x.
func Sign(x Value) Value { return emit1("sign", []Value{x}) }

var _ = graph.MustRegister((&unary{
	name: "exp",
	doc:  "e to the power x (torch.exp).",
	onnx: "Exp 1 6 13",
	f:    real.Exp,
	grad: func(_, y, dy Value) Value { return Mul(dy, y) },
	ulp:  4,
}).op())

// Exp returns e^x; integers are cast to f32.
func Exp(x Value) Value { return floatUnary("exp", x) }

var _ = graph.MustRegister((&unary{
	name: "expm1",
	doc:  "e to the power x, minus 1, accurate near 0 (torch.expm1).",
	f:    math.Expm1,
	grad: func(x, _, dy Value) Value { return Mul(dy, Exp(x)) },
	ulp:  4,
}).op())

// Expm1 returns e^x - 1, accurately near 0; integers are cast to f32.
func Expm1(x Value) Value { return floatUnary("expm1", x) }

var _ = graph.MustRegister((&unary{
	name: "log",
	doc:  "The natural logarithm of x (torch.log): -inf at 0, NaN below.",
	onnx: "Log 1 6 13",
	f:    real.Log,
	grad: func(x, _, dy Value) Value { return Div(dy, x) },
	ulp:  4,
}).op())

// Log returns the natural logarithm of x; integers are cast to f32.
func Log(x Value) Value { return floatUnary("log", x) }

var _ = graph.MustRegister((&unary{
	name: "log1p",
	doc:  "The natural logarithm of 1+x, accurate near 0 (torch.log1p).",
	f:    math.Log1p,
	grad: func(x, _, dy Value) Value { return Div(dy, Add(x, 1.0)) },
	ulp:  4,
}).op())

// Log1p returns log(1+x), accurately near 0; integers are cast to f32.
func Log1p(x Value) Value { return floatUnary("log1p", x) }

var _ = graph.MustRegister((&unary{
	name: "sqrt",
	doc:  "The square root of x (torch.sqrt), correctly rounded; NaN below 0.",
	onnx: "Sqrt 1 6 13",
	f:    math.Sqrt,
	grad: func(_, y, dy Value) Value { return Div(Mul(dy, 0.5), y) },
}).op())

// Sqrt returns the square root of x; integers are cast to f32.
func Sqrt(x Value) Value { return floatUnary("sqrt", x) }

var _ = graph.MustRegister((&unary{
	name: "rsqrt",
	doc:  "The reciprocal of the square root of x (torch.rsqrt).",
	f:    func(x float64) float64 { return 1 / math.Sqrt(x) },
	grad: func(_, y, dy Value) Value { return Mul(Mul(dy, -0.5), Mul(Square(y), y)) },
	ulp:  2,
}).op())

// Rsqrt returns 1/sqrt(x); integers are cast to f32.
func Rsqrt(x Value) Value { return floatUnary("rsqrt", x) }

var _ = graph.MustRegister((&unary{
	name: "reciprocal",
	doc:  "1/x (torch.reciprocal), correctly rounded.",
	onnx: "Reciprocal 1 6 13",
	f:    func(x float64) float64 { return 1 / x },
	grad: func(_, y, dy Value) Value { return Neg(Mul(dy, Square(y))) },
}).op())

// Reciprocal returns 1/x; integers are cast to f32.
func Reciprocal(x Value) Value { return floatUnary("reciprocal", x) }

var _ = graph.MustRegister((&unary{
	name: "square",
	doc:  "x*x (torch.square). Integers wrap.",
	f:    func(x float64) float64 { return x * x },
	i:    func(x int64) int64 { return x * x },
	u:    func(x uint64) uint64 { return x * x },
	grad: func(x, _, dy Value) Value { return Mul(dy, Mul(x, 2.0)) },
}).op())

// Square returns x*x.
// Not inlined: 1.5 kB of the service.
//
//go:noinline
func Square(x Value) Value { return emit1("square", []Value{x}) }

var _ = graph.MustRegister((&unary{
	name: "sin",
	doc:  "The sine of x in radians (torch.sin).",
	onnx: "Sin 7 22",
	f:    real.Sin,
	grad: func(x, _, dy Value) Value { return Mul(dy, Cos(x)) },
	ulp:  4,
}).op())

// Sin returns the sine of x; integers are cast to f32.
func Sin(x Value) Value { return floatUnary("sin", x) }

var _ = graph.MustRegister((&unary{
	name: "cos",
	doc:  "The cosine of x in radians (torch.cos).",
	onnx: "Cos 7 22",
	f:    real.Cos,
	grad: func(x, _, dy Value) Value { return Neg(Mul(dy, Sin(x))) },
	ulp:  4,
}).op())

// Cos returns the cosine of x; integers are cast to f32.
func Cos(x Value) Value { return floatUnary("cos", x) }

var _ = graph.MustRegister((&unary{
	name: "tan",
	doc:  "The tangent of x in radians (torch.tan).",
	onnx: "Tan 7 22",
	f:    real.Tan,
	grad: func(_, y, dy Value) Value { return Mul(dy, Add(Square(y), 1.0)) },
	ulp:  4,
}).op())

// Tan returns the tangent of x; integers are cast to f32.
func Tan(x Value) Value { return floatUnary("tan", x) }

var _ = graph.MustRegister((&unary{
	name: "asin",
	doc:  "The arc sine of x in radians (torch.asin); NaN outside [-1, 1].",
	onnx: "Asin 7 22",
	f:    real.Asin,
	grad: func(x, _, dy Value) Value { return Mul(dy, Rsqrt(Sub(1.0, Square(x)))) },
	ulp:  4,
}).op())

// Asin returns the arc sine of x; integers are cast to f32.
func Asin(x Value) Value { return floatUnary("asin", x) }

var _ = graph.MustRegister((&unary{
	name: "acos",
	doc:  "The arc cosine of x in radians (torch.acos); NaN outside [-1, 1].",
	onnx: "Acos 7 22",
	f:    real.Acos,
	grad: func(x, _, dy Value) Value { return Neg(Mul(dy, Rsqrt(Sub(1.0, Square(x))))) },
	ulp:  4,
}).op())

// Acos returns the arc cosine of x; integers are cast to f32.
func Acos(x Value) Value { return floatUnary("acos", x) }

var _ = graph.MustRegister((&unary{
	name: "atan",
	doc:  "The arc tangent of x in radians (torch.atan).",
	onnx: "Atan 7 22",
	f:    math.Atan,
	grad: func(x, _, dy Value) Value { return Div(dy, Add(Square(x), 1.0)) },
	ulp:  4,
}).op())

// Atan returns the arc tangent of x; integers are cast to f32.
func Atan(x Value) Value { return floatUnary("atan", x) }

var _ = graph.MustRegister((&unary{
	name: "sinh",
	doc:  "The hyperbolic sine of x (torch.sinh).",
	onnx: "Sinh 9 22",
	f:    real.Sinh,
	grad: func(x, _, dy Value) Value { return Mul(dy, Cosh(x)) },
	ulp:  4,
}).op())

// Sinh returns the hyperbolic sine of x; integers are cast to f32.
func Sinh(x Value) Value { return floatUnary("sinh", x) }

var _ = graph.MustRegister((&unary{
	name: "cosh",
	doc:  "The hyperbolic cosine of x (torch.cosh).",
	onnx: "Cosh 9 22",
	f:    real.Cosh,
	grad: func(x, _, dy Value) Value { return Mul(dy, Sinh(x)) },
	ulp:  4,
}).op())

// Cosh returns the hyperbolic cosine of x; integers are cast to f32.
func Cosh(x Value) Value { return floatUnary("cosh", x) }

var _ = graph.MustRegister((&unary{
	name: "tanh",
	doc:  "The hyperbolic tangent of x (torch.tanh).",
	onnx: "Tanh 1 6 13",
	f:    math.Tanh,
	grad: func(_, y, dy Value) Value { return Mul(dy, Sub(1.0, Square(y))) },
	ulp:  4,
}).op())

// Tanh returns the hyperbolic tangent of x; integers are cast to f32.
func Tanh(x Value) Value { return floatUnary("tanh", x) }

var _ = graph.MustRegister((&unary{
	name: "asinh",
	doc:  "The inverse hyperbolic sine of x (torch.asinh).",
	onnx: "Asinh 9 22",
	f:    math.Asinh,
	grad: func(x, _, dy Value) Value { return Mul(dy, Rsqrt(Add(Square(x), 1.0))) },
	ulp:  4,
}).op())

// Asinh returns the inverse hyperbolic sine of x; integers are cast to f32.
func Asinh(x Value) Value { return floatUnary("asinh", x) }

var _ = graph.MustRegister((&unary{
	name: "acosh",
	doc:  "The inverse hyperbolic cosine of x (torch.acosh); NaN below 1.",
	onnx: "Acosh 9 22",
	f:    math.Acosh,
	grad: func(x, _, dy Value) Value { return Mul(dy, Rsqrt(Sub(Square(x), 1.0))) },
	ulp:  4,
}).op())

// Acosh returns the inverse hyperbolic cosine of x; integers are cast to f32.
func Acosh(x Value) Value { return floatUnary("acosh", x) }

var _ = graph.MustRegister((&unary{
	name: "atanh",
	doc:  "The inverse hyperbolic tangent of x (torch.atanh); NaN outside [-1, 1].",
	onnx: "Atanh 9 22",
	f:    math.Atanh,
	grad: func(x, _, dy Value) Value { return Div(dy, Sub(1.0, Square(x))) },
	ulp:  4,
}).op())

// Atanh returns the inverse hyperbolic tangent of x; integers are cast to f32.
func Atanh(x Value) Value { return floatUnary("atanh", x) }

var _ = graph.MustRegister((&unary{
	name: "sigmoid",
	doc:  "The logistic function 1/(1+e^-x) (torch.sigmoid); it does not overflow.",
	onnx: "Sigmoid 1 6 13",
	f:    sigmoid,
	grad: func(_, y, dy Value) Value { return Mul(dy, Mul(y, Sub(1.0, y))) },
	ulp:  4,
}).op())

func sigmoid(x float64) float64 {
	if x >= 0 {
		return 1 / (1 + real.Exp(-x))
	}
	e := real.Exp(x)
	return e / (1 + e)
}

// Sigmoid returns 1/(1+e^-x); integers are cast to f32.
func Sigmoid(x Value) Value { return floatUnary("sigmoid", x) }

var _ = graph.MustRegister((&unary{
	name: "erf",
	doc:  "The error function of x (torch.erf).",
	onnx: "Erf 9 13",
	f:    math.Erf,
	grad: func(x, _, dy Value) Value { return Mul(Mul(dy, 2/math.SqrtPi), Exp(Neg(Square(x)))) },
	ulp:  4,
}).op())

// Erf returns the error function of x; integers are cast to f32.
func Erf(x Value) Value { return floatUnary("erf", x) }

var _ = graph.MustRegister((&unary{
	name: "erfc",
	doc:  "The complement 1-erf(x), accurate where erf(x) is near 1 (torch.erfc).",
	f:    math.Erfc,
	grad: func(x, _, dy Value) Value { return Mul(Mul(dy, -2/math.SqrtPi), Exp(Neg(Square(x)))) },
	ulp:  4,
}).op())

// Erfc returns 1 - erf(x); integers are cast to f32.
func Erfc(x Value) Value { return floatUnary("erfc", x) }

var _ = graph.MustRegister((&unary{
	name:   "floor",
	doc:    "The largest integer not above x (torch.floor).",
	onnx:   "Floor 1 6 13",
	f:      math.Floor,
	noGrad: piecewise,
}).op())

// Floor returns x rounded down; integers stay as they are.
func Floor(x Value) Value { return rounding("floor", x) }

var _ = graph.MustRegister((&unary{
	name:   "ceil",
	doc:    "The smallest integer not below x (torch.ceil).",
	onnx:   "Ceil 1 6 13",
	f:      math.Ceil,
	noGrad: piecewise,
}).op())

// Ceil returns x rounded up; integers stay as they are.
func Ceil(x Value) Value { return rounding("ceil", x) }

var _ = graph.MustRegister((&unary{
	name:   "round",
	doc:    "The integer nearest to x, the even one of two (torch.round).",
	onnx:   "Round 11 22",
	f:      math.RoundToEven,
	noGrad: piecewise,
}).op())

// Round returns x rounded to the nearest integer, halves to the even one; integers stay as they are.
func Round(x Value) Value { return rounding("round", x) }

var _ = graph.MustRegister((&unary{
	name:   "trunc",
	doc:    "x rounded toward zero (torch.trunc).",
	f:      math.Trunc,
	noGrad: piecewise,
}).op())

// Trunc returns x rounded toward zero; integers stay as they are.
func Trunc(x Value) Value { return rounding("trunc", x) }

func rounding(name string, x Value) Value {
	if x.DType().IsInteger() {
		return x
	}
	return emit1(name, []Value{x})
}

var _ = graph.MustRegister((&unary{
	name: "relu",
	doc: "x where it is positive and 0 where it is negative; zeros and NaN stay as they are (torch.relu). The " +
		"gradient at 0 is 0.",
	onnx: "Relu 1 6 13 14",
	f: func(x float64) float64 {
		if x < 0 {
			return 0
		}
		return x
	},
	i:    func(x int64) int64 { return max(x, 0) },
	u:    func(x uint64) uint64 { return x },
	grad: func(_, y, dy Value) Value { return Where(LessEqual(y, 0.0), 0.0, dy) },
}).op())

// ReLU returns max(x, 0).
func ReLU(x Value) Value { return emit1("relu", []Value{x}) }

// classifier is the part that the ops from floats to truth values share.
// Not inlined: 1.1 kB of the service.
//
//go:noinline
func classifier(name, doc string, onnx graph.ONNX, f func(x float64) bool) *graph.Op {
	return &graph.Op{
		Name:    name,
		Doc:     doc,
		ONNX:    onnx,
		Args:    []graph.Arg{{Name: "x", Types: graph.Floats, Doc: "the operand"}},
		Results: out,
		Infer: func(c *graph.InferCtx) []graph.Type {
			return tensors(graph.TensorType{DType: graph.Bool, Shape: c.Tensor(0).Shape})
		},
		NoGrad: "a truth value has no derivative",
		Ref:    func(c *graph.RefCtx) { apply(c.Out[0].B, c.In[0].F, f) },
		Props:  graph.Props{Elementwise: true},
	}
}

var _ = graph.MustRegister(classifier("isnan", "Whether x is NaN (torch.isnan).", "IsNaN 9 13 20", math.IsNaN))

// IsNaN returns whether x is NaN, as bool; integers never are.
func IsNaN(x Value) Value { return floatUnary("isnan", x) }

var _ = graph.MustRegister(classifier("isinf", "Whether x is plus or minus infinity (torch.isinf).", "IsInf 10 20",
	func(x float64) bool { return math.IsInf(x, 0) }))

// IsInf returns whether x is plus or minus infinity, as bool; integers never are.
func IsInf(x Value) Value { return floatUnary("isinf", x) }

// IsFinite returns whether x is neither NaN nor infinite, as bool.
func IsFinite(x Value) Value { return Not(Or(IsNaN(x), IsInf(x))) }
