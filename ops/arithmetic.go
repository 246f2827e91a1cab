package ops

import (
	"math"
	"slices"

	"github.com/graphrun/graphrun/graph"
	"github.com/graphrun/graphrun/graph/real"
	"github.com/graphrun/graphrun/graph/value"
)

// binaryArgs declares the two operands of an element-wise op.
// Not inlined: 4.2 kB of the service.
//
//go:noinline
func binaryArgs(types graph.DTypeSet) []graph.Arg {
	return []graph.Arg{
		{Name: "a", Types: types, Doc: "the left operand"},
		{Name: "b", Types: types, Doc: "the right operand, of a's dtype; shapes broadcast"},
	}
}

var _ = graph.MustRegister(&graph.Op{
	Name:    "add",
	Doc:     "The element-wise sum a+b with broadcasting (torch.add). Integers wrap.",
	ONNX:    "Add 1 6 7 13 14",
	Args:    binaryArgs(graph.Numeric),
	Results: out,
	Infer:   inferBroadcast,
	Grad: func(g *graph.GradCtx) []Value {
		return []Value{SumTo(g.Dy(0), g.In[0].Shape()), SumTo(g.Dy(0), g.In[1].Shape())}
	},
	Ref:     sums.ref,
	Props:   graph.Props{Elementwise: true, Commutative: true},
	InPlace: []int{0, 1},
})

// Add returns a+b, broadcast; dtypes are promoted as PyTorch's are.
// Not inlined: 1.3 kB of the service.
//
//go:noinline
func Add(a, b Operand) Value { return binary("add", a, b) }

var _ = graph.MustRegister(&graph.Op{
	Name:    "sub",
	Doc:     "The element-wise difference a-b with broadcasting (torch.sub). Integers wrap.",
	ONNX:    "Sub 1 6 7 13 14",
	Args:    binaryArgs(graph.Numeric),
	Results: out,
	Infer:   inferBroadcast,
	Grad: func(g *graph.GradCtx) []Value {
		return []Value{SumTo(g.Dy(0), g.In[0].Shape()), Neg(SumTo(g.Dy(0), g.In[1].Shape()))}
	},
	Ref: arith{
		f: func(a, b float64) float64 { return a - b },
		i: func(a, b int64) int64 { return a - b },
		u: func(a, b uint64) uint64 { return a - b },
	}.ref,
	Props:   graph.Props{Elementwise: true},
	InPlace: []int{0, 1},
})

// Sub returns a-b, broadcast; dtypes are promoted as PyTorch's are.
// Not inlined: 1.2 kB of the service.
//
//go:noinline
func Sub(a, b Operand) Value { return binary("sub", a, b) }

var _ = graph.MustRegister(&graph.Op{
	Name:    "mul",
	Doc:     "The element-wise product a*b with broadcasting (torch.mul). Integers wrap.",
	ONNX:    "Mul 1 6 7 13 14",
	Args:    binaryArgs(graph.Numeric),
	Results: out,
	Infer:   inferBroadcast,
	Grad: func(g *graph.GradCtx) []Value {
		a, b, dy := g.In[0], g.In[1], g.Dy(0)
		return []Value{SumTo(Mul(dy, b), a.Shape()), SumTo(Mul(dy, a), b.Shape())}
	},
	Ref:     products.ref,
	Props:   graph.Props{Elementwise: true, Commutative: true},
	InPlace: []int{0, 1},
})

// Mul returns a*b, broadcast; dtypes are promoted as PyTorch's are.
// Not inlined: 3.9 kB of the service.
//
//go:noinline
func Mul(a, b Operand) Value { return binary("mul", a, b) }

var _ = graph.MustRegister(&graph.Op{
	Name: "div",
	Doc: "The element-wise quotient a/b with broadcasting (torch.true_divide on floats). Floats follow IEEE 754; " +
		"integers truncate toward zero and wrap, and an integer division by zero fails.",
	ONNX:    "Div 1 6 7 13 14",
	Args:    binaryArgs(graph.Numeric),
	Results: out,
	Infer:   inferBroadcast,
	Grad: func(g *graph.GradCtx) []Value {
		a, b, y, dy := g.In[0], g.In[1], g.Out[0], g.Dy(0)
		return []Value{SumTo(Div(dy, b), a.Shape()), Neg(SumTo(Mul(dy, Div(y, b)), b.Shape()))} // y/b, where dy/b may be infinite
	},
	Ref: refuseZeroDivisor(arith{
		f: func(a, b float64) float64 { return a / b },
		i: func(a, b int64) int64 { return a / b },
		u: func(a, b uint64) uint64 { return a / b },
	}),
	Props:   graph.Props{Elementwise: true},
	InPlace: []int{0, 1},
})

// Div returns a/b, broadcast, as torch.true_divide does: integer and bool operands are cast to f32. See
// TruncDiv and FloorDiv for integer quotients.
// Not inlined: 0.9 kB of the service.
//
//go:noinline
func Div(a, b Operand) Value { return floatBinary("div", a, b) }

// TruncDiv returns a/b rounded toward zero, broadcast, in the promoted dtype of the operands. An integer
// division by zero fails when it is run.
func TruncDiv(a, b Operand) Value {
	y := binary("div", a, b)
	if y.DType().IsFloat() {
		return Trunc(y)
	}
	return y
}

var _ = graph.MustRegister(&graph.Op{
	Name: "floor_div",
	Doc: "The element-wise quotient a/b rounded down, with broadcasting (torch.floor_divide, Python's //). Integers wrap, and an " +
		"integer division by zero fails; floats divided by zero give what a/b gives.",
	Args:    binaryArgs(graph.Numeric),
	Results: out,
	Infer:   inferBroadcast,
	NoGrad:  "the quotient is piecewise constant",
	Ref: refuseZeroDivisor(arith{
		f: floorDiv,
		i: func(a, b int64) int64 {
			q := a / b
			if a%b != 0 && (a < 0) != (b < 0) {
				q--
			}
			return q
		},
		u: func(a, b uint64) uint64 { return a / b },
	}),
	Props:   graph.Props{Elementwise: true},
	InPlace: []int{0, 1},
})

// floorDiv corrects the quotient by the exact remainder: the floor of a rounded quotient can be one too large.
func floorDiv(a, b float64) float64 {
	if b == 0 {
		return a / b
	}
	r := math.Mod(a, b)
	q := (a - r) / b
	if r != 0 && (r < 0) != (b < 0) {
		q--
	}
	if q == 0 {
		return math.Copysign(0, a/b)
	}
	return math.RoundToEven(q)
}

// FloorDiv returns a/b rounded down, broadcast, in the promoted dtype of the operands.
func FloorDiv(a, b Operand) Value { return binary("floor_div", a, b) }

var _ = graph.MustRegister(&graph.Op{
	Name: "remainder",
	Doc: "The element-wise remainder of a/b with the sign of b, with broadcasting (torch.remainder, Python's %, ONNX Mod with " +
		"fmod 0). An integer division by zero fails; a float one gives NaN.",
	ONNX:    "Mod 10 13 28",
	Args:    binaryArgs(graph.Numeric),
	Results: out,
	Infer:   inferBroadcast,
	Grad: func(g *graph.GradCtx) []Value {
		a, b, dy := g.In[0], g.In[1], g.Dy(0)
		return []Value{SumTo(dy, a.Shape()), Neg(SumTo(Mul(dy, FloorDiv(a, b)), b.Shape()))}
	},
	Ref: refuseZeroDivisor(arith{
		f: func(a, b float64) float64 {
			r := math.Mod(a, b)
			if r != 0 && (r < 0) != (b < 0) {
				r += b
			}
			return r
		},
		i: func(a, b int64) int64 {
			r := a % b
			if r != 0 && (r < 0) != (b < 0) {
				r += b
			}
			return r
		},
		u: func(a, b uint64) uint64 { return a % b },
	}),
	Props:   graph.Props{Elementwise: true},
	InPlace: []int{0, 1},
})

// Remainder returns a - b*floor(a/b), broadcast: the remainder with the sign of b.
func Remainder(a, b Operand) Value { return binary("remainder", a, b) }

var _ = graph.MustRegister(&graph.Op{
	Name: "fmod",
	Doc: "The element-wise remainder of a/b with the sign of a, with broadcasting (torch.fmod, C's %, ONNX Mod with fmod 1). " +
		"An integer division by zero fails; a float one gives NaN.",
	ONNX:    "Mod 10 13 28",
	Args:    binaryArgs(graph.Numeric),
	Results: out,
	Infer:   inferBroadcast,
	Grad: func(g *graph.GradCtx) []Value {
		a, b, dy := g.In[0], g.In[1], g.Dy(0)
		return []Value{SumTo(dy, a.Shape()), Neg(SumTo(Mul(dy, Trunc(Div(a, b))), b.Shape()))}
	},
	Ref: refuseZeroDivisor(arith{
		f: math.Mod,
		i: func(a, b int64) int64 { return a % b },
		u: func(a, b uint64) uint64 { return a % b },
	}),
	Props:   graph.Props{Elementwise: true},
	InPlace: []int{0, 1},
})

// Fmod returns a - b*trunc(a/b), broadcast: the remainder with the sign of a.
func Fmod(a, b Operand) Value { return binary("fmod", a, b) }

var _ = graph.MustRegister(&graph.Op{
	Name: "pow",
	Doc: "The element-wise power a^b with broadcasting (torch.pow). 0^0 is 1. Integers wrap; an integer to a negative " +
		"power is truncated: 0 unless the base is 1 or -1.",
	ONNX:    "Pow 1 7 12 13 15",
	Args:    binaryArgs(graph.Numeric),
	Results: out,
	Infer:   inferBroadcast,
	Grad: func(g *graph.GradCtx) []Value {
		a, b, y, dy := g.In[0], g.In[1], g.Out[0], g.Dy(0)
		// Poles that the zero factor or the power itself cancels are taken out: b*a^(b-1) at b = 0 and a^b*log(a) at a = 0 and
		// b >= 0, both with the limit 0.
		exponent, fixed := b.Constant()
		base := a
		if !fixed || slices.Contains(exponent.Exact().F, 0) {
			base = Where(Equal(b, 0.0), 1.0, a)
		}
		dx := []Value{SumTo(Mul(Mul(dy, b), Pow(base, Sub(b, 1.0))), a.Shape()), {}}
		if g.Wants(1) {
			base = Where(And(Equal(a, 0.0), GreaterEqual(b, 0.0)), 1.0, a)
			dx[1] = SumTo(Mul(Mul(dy, y), Log(base)), b.Shape())
		}
		return dx
	},
	Ref:     arith{f: real.Pow, i: powInt, u: powUint}.ref,
	Props:   graph.Props{Elementwise: true},
	InPlace: []int{0, 1},
	Tol:     graph.Tol{ULP: 4},
})

// powInt is exact modulo 2^64 for b >= 0.
func powInt(a, b int64) int64 {
	if b >= 0 {
		return int64(powUint(uint64(a), uint64(b)))
	}
	switch {
	case a == 1, a == -1 && b%2 == 0:
		return 1
	case a == -1:
		return -1
	}
	return 0
}

func powUint(a, b uint64) uint64 {
	y := uint64(1)
	for ; b > 0; b >>= 1 {
		if b&1 == 1 {
			y *= a
		}
		a *= a
	}
	return y
}

// Pow returns a^b, broadcast; dtypes are promoted as PyTorch's are. For a constant exponent it has a
// derivative by a everywhere that a^b has one, at a <= 0 too.
func Pow(a, b Operand) Value { return binary("pow", a, b) }

var _ = graph.MustRegister(&graph.Op{
	Name: "maximum",
	Doc: "The element-wise larger of a and b with broadcasting (torch.maximum). NaN wins, and +0 is larger than -0, so the " +
		"order of the operands never shows. The gradient is shared evenly where they are equal.",
	ONNX:    "Max 1 6 8 12 13",
	Args:    binaryArgs(graph.Numeric),
	Results: out,
	Infer:   inferBroadcast,
	Grad: func(g *graph.GradCtx) []Value {
		a, b, dy := g.In[0], g.In[1], g.Dy(0)
		return []Value{SumTo(unlessBeaten(Less(a, b), a, b, dy), a.Shape()), SumTo(unlessBeaten(Less(b, a), a, b, dy), b.Shape())}
	},
	Ref:     maxima.ref,
	Props:   graph.Props{Elementwise: true, Commutative: true},
	InPlace: []int{0, 1},
})

// Maximum returns the larger of a and b, broadcast; dtypes are promoted as PyTorch's are.
func Maximum(a, b Operand) Value { return binary("maximum", a, b) }

var _ = graph.MustRegister(&graph.Op{
	Name: "minimum",
	Doc: "The element-wise smaller of a and b with broadcasting (torch.minimum). NaN wins, and -0 is smaller than +0, so " +
		"the order of the operands never shows. The gradient is shared evenly where they are equal.",
	ONNX:    "Min 1 6 8 12 13",
	Args:    binaryArgs(graph.Numeric),
	Results: out,
	Infer:   inferBroadcast,
	Grad: func(g *graph.GradCtx) []Value {
		a, b, dy := g.In[0], g.In[1], g.Dy(0)
		return []Value{SumTo(unlessBeaten(Less(b, a), a, b, dy), a.Shape()), SumTo(unlessBeaten(Less(a, b), a, b, dy), b.Shape())}
	},
	Ref:     minima.ref,
	Props:   graph.Props{Elementwise: true, Commutative: true},
	InPlace: []int{0, 1},
})

// unlessBeaten is the gradient for one side of an extremum of a and b: nothing where the other side has
// won, half of dy at ties, and dy elsewhere, NaN included.
func unlessBeaten(beaten, a, b, dy Value) Value {
	return Where(beaten, 0.0, Where(Equal(a, b), Mul(dy, 0.5), dy))
}

// Minimum returns the smaller of a and b, broadcast; dtypes are promoted as PyTorch's are.
func Minimum(a, b Operand) Value { return binary("minimum", a, b) }

var _ = graph.MustRegister(&graph.Op{
	Name: "atan2",
	Doc: "The angle of the point (b, a) from the positive x axis, in (-pi, pi], element-wise with broadcasting " +
		"(torch.atan2, math.Atan2). The gradient is 0 at the origin and at infinity.",
	Args:    binaryArgs(graph.Floats),
	Results: out,
	Infer:   inferBroadcast,
	Grad: func(g *graph.GradCtx) []Value {
		// b/(a*a+b*b) and -a/(a*a+b*b), of a point scaled so that no square leaves the range of numbers
		a, b := g.In[0], g.In[1]
		size := StopGradient(Maximum(Abs(a), Abs(b)))
		none := Or(Equal(size, 0.0), IsInf(size))
		size = Where(none, 1.0, size)
		u, v := Where(none, 0.0, Div(a, size)), Where(none, 1.0, Div(b, size))
		d := Where(none, 0.0, Div(g.Dy(0), Add(Square(u), Square(v)))) // not by size yet, which may make it infinite: u or v may be 0
		return []Value{SumTo(Div(Mul(d, v), size), a.Shape()), Neg(SumTo(Div(Mul(d, u), size), b.Shape()))}
	},
	Ref:     arith{f: math.Atan2}.ref,
	Props:   graph.Props{Elementwise: true},
	InPlace: []int{0, 1},
	Tol:     graph.Tol{ULP: 4},
})

// Atan2 returns the angle of the point (b, a), broadcast; integers are cast to f32.
func Atan2(a, b Operand) Value { return floatBinary("atan2", a, b) }

var _ = graph.MustRegister(&graph.Op{
	Name: "logaddexp",
	Doc: "The logarithm of the sum of two exponentials, log(e^a + e^b), element-wise with broadcasting (torch.logaddexp, " +
		"numpy.logaddexp): the addition of probabilities given by their logarithms. It does not overflow: the larger is taken out " +
		"first. Of two -inf it is -inf, with gradient 0.",
	Args:    binaryArgs(graph.Floats),
	Results: out,
	Infer:   inferBroadcast,
	Grad: func(g *graph.GradCtx) []Value {
		// By a it is e^(a-y), and y - a is rounded by as much as y is: a - b is not, and is finite or infinite where one of them is.
		a, b, dy := g.In[0], g.In[1], g.Dy(0)
		none := Equal(g.Out[0], math.Inf(-1)) // -inf - -inf would be NaN
		share := func(x, other Value) Value {
			return SumTo(Mul(dy, Sigmoid(Where(none, math.Inf(-1), Sub(x, other)))), x.Shape())
		}
		return []Value{share(a, b), share(b, a)}
	},
	Ref:     arith{f: logAddExp}.ref,
	Props:   graph.Props{Elementwise: true, Commutative: true},
	InPlace: []int{0, 1},
	Tol: graph.Tol{
		Terms: func([]graph.TensorType, graph.Attrs) int { return 2 },
		Why:   "the maximum and the logarithm may cancel, so that the error is one of theirs and not of the result",
	},
})

// logAddExp is log(e^a + e^b).
func logAddExp(a, b float64) float64 {
	high := max(a, b)
	if math.IsInf(high, 0) {
		return high
	}
	return high + math.Log1p(real.Exp(min(a, b)-high))
}

// LogAddExp returns log(e^a + e^b), broadcast, without overflow; integers are cast to f32.
func LogAddExp(a, b Operand) Value { return floatBinary("logaddexp", a, b) }

// binary emits an element-wise op of two operands after promotion.
func binary(name string, a, b Operand) Value {
	in, ok := operands(name, a, b)
	if !ok {
		return in[0]
	}
	return emit1(name, in)
}

// floatBinary is binary with integers and bools cast to f32.
func floatBinary(name string, a, b Operand) Value {
	in, ok := operands(name, a, b)
	if !ok {
		return in[0]
	}
	return emit1(name, []Value{toFloat(in[0]), toFloat(in[1])})
}

// toFloat casts integers and bools to f32, as PyTorch does where only floats have a meaning.
func toFloat(x Value) Value {
	switch x.DType().Domain() {
	case value.Ints, value.Uints, value.Bools:
		return Cast(x, graph.F32)
	}
	return x
}

// refuseZeroDivisor is the reference of a division: op's, but integers divided by zero fail.
// Not inlined: 1.8 kB of the service.
//
//go:noinline
func refuseZeroDivisor(op arith) func(c *graph.RefCtx) {
	return func(c *graph.RefCtx) {
		if c.Out[0].Len() > 0 && (slices.Contains(c.In[1].I, 0) || slices.Contains(c.In[1].U, 0)) {
			c.Failf("an integer is divided by zero")
		}
		op.ref(c)
	}
}
