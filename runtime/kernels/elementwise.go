package kernels

import (
	"github.com/graphrun/graphrun/graph"
	"github.com/graphrun/graphrun/runtime/kernels/portable"
	"github.com/graphrun/graphrun/runtime/value"
)

// data returns a tensor's elements; the table has made sure of the dtype.
func data[T value.Elem](t *value.Tensor) []T {
	d, err := value.Data[T](t)
	if err != nil {
		panic("kernels: " + err.Error())
	}
	return d
}

// floats adds the f32 and the f64 row of an op.
func floats(op string, f32, f64 func(c *Call) error) {
	floatsIf(op, nil, f32, f64)
}

// floatsIf is floats for a kernel that does not take every shape.
func floatsIf(op string, match func(in []graph.TensorType, attrs graph.Attrs) bool, f32, f64 func(c *Call) error) {
	register(&Kernel{Op: op, DTypes: graph.DTypes(graph.F32), Match: match, Run: f32})
	register(&Kernel{Op: op, DTypes: graph.DTypes(graph.F64), Match: match, Run: f64})
}

func init() {
	for op, f := range map[string]portable.UnaryOp{
		"neg": portable.Neg, "abs": portable.Abs, "sign": portable.Sign, "square": portable.Square,
		"sqrt": portable.Sqrt, "rsqrt": portable.Rsqrt, "reciprocal": portable.Reciprocal,
		"exp": portable.Exp, "expm1": portable.Expm1, "log": portable.Log, "log1p": portable.Log1p,
		"sin": portable.Sin, "cos": portable.Cos, "tan": portable.Tan,
		"asin": portable.Asin, "acos": portable.Acos, "atan": portable.Atan,
		"sinh": portable.Sinh, "cosh": portable.Cosh, "tanh": portable.Tanh,
		"sigmoid": portable.Sigmoid, "relu": portable.ReLU, "erf": portable.Erf,
		"floor": portable.Floor, "ceil": portable.Ceil, "round": portable.Round, "trunc": portable.Trunc,
	} {
		floats(op, unary[float32](f), unary[float64](f))
	}
	for op, f := range map[string]portable.BinaryOp{
		"add": portable.Add, "sub": portable.Sub, "mul": portable.Mul, "div": portable.Div,
		"maximum": portable.Max, "minimum": portable.Min, "pow": portable.Pow, "atan2": portable.Atan2,
	} {
		floats(op, binary[float32](f), binary[float64](f))
	}
	for op, f := range map[string]portable.CompareOp{
		"equal": portable.Equal, "not_equal": portable.NotEqual, "less": portable.Less,
		"less_equal": portable.LessEqual, "greater": portable.Greater, "greater_equal": portable.GreaterEqual,
	} {
		floats(op, compare[float32](f), compare[float64](f))
		register(&Kernel{Op: op, DTypes: graph.DTypes(graph.I64), Run: compare[int64](f)})
	}
	// where's first operand is the mask; the dtype of its second decides
	register(&Kernel{Op: "where", DTypes: graph.Bools, Match: secondIs(graph.F32), Run: where[float32]})
	register(&Kernel{Op: "where", DTypes: graph.Bools, Match: secondIs(graph.F64), Run: where[float64]})
	floatsIf("cast", castTo(graph.F64, graph.F32), cast[float32, float64], cast[float64, float32])
	register(&Kernel{Op: "cast", DTypes: graph.Bools, Match: castTo(graph.F32), Run: castBool[float32]})
	register(&Kernel{Op: "cast", DTypes: graph.Bools, Match: castTo(graph.F64), Run: castBool[float64]})
}

func secondIs(d graph.DType) func([]graph.TensorType, graph.Attrs) bool {
	return func(in []graph.TensorType, _ graph.Attrs) bool { return in[1].DType == d }
}

// castTo matches casts to one of the dtypes that change the dtype.
func castTo(to ...graph.DType) func([]graph.TensorType, graph.Attrs) bool {
	return func(in []graph.TensorType, attrs graph.Attrs) bool {
		for _, d := range to {
			if attrs.DType("to") == d && in[0].DType != d {
				return true
			}
		}
		return false
	}
}

func unary[T portable.Float](op portable.UnaryOp) func(c *Call) error {
	return func(c *Call) error {
		portable.Unary(op, floatData[T](c.Out[0]), floatData[T](c.In[0]))
		return nil
	}
}

// floatData is data for the float constraint of package portable.
func floatData[T portable.Float](t *value.Tensor) []T {
	var zero T
	switch any(zero).(type) {
	case float32:
		return any(data[float32](t)).([]T)
	default:
		return any(data[float64](t)).([]T)
	}
}

// aligned returns the shape with leading axes of size 1 up to the rank.
func aligned(t *value.Tensor, rank int) []int {
	shape := t.Shape()
	if len(shape) == rank {
		return shape
	}
	out := make([]int, rank)
	lead := rank - len(shape)
	for i := range lead {
		out[i] = 1
	}
	copy(out[lead:], shape)
	return out
}

// plan broadcasts the operands of a call to its result.
func plan(c *Call) portable.Broadcast {
	out := c.Out[0].Shape()
	shapes := make([][]int, len(c.In))
	for i, t := range c.In {
		shapes[i] = aligned(t, len(out))
	}
	return portable.PlanBroadcast(out, shapes...)
}

func binary[T portable.Float](op portable.BinaryOp) func(c *Call) error {
	return func(c *Call) error {
		portable.Binary(op, plan(c), floatData[T](c.Out[0]), floatData[T](c.In[0]), floatData[T](c.In[1]))
		return nil
	}
}

func compare[T interface{ float32 | float64 | int64 }](op portable.CompareOp) func(c *Call) error {
	return func(c *Call) error {
		portable.Compare(op, plan(c), data[bool](c.Out[0]), data[T](c.In[0]), data[T](c.In[1]))
		return nil
	}
}

func where[T interface{ float32 | float64 }](c *Call) error {
	portable.Select(plan(c), data[T](c.Out[0]), data[bool](c.In[0]), data[T](c.In[1]), data[T](c.In[2]))
	return nil
}

func cast[From, To interface{ float32 | float64 }](c *Call) error {
	y := data[To](c.Out[0])
	for i, x := range data[From](c.In[0]) {
		y[i] = To(x)
	}
	return nil
}

func castBool[To interface{ float32 | float64 }](c *Call) error {
	y := data[To](c.Out[0])
	for i, x := range data[bool](c.In[0]) {
		y[i] = 0
		if x {
			y[i] = 1
		}
	}
	return nil
}
