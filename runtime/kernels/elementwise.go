package kernels

import (
	"github.com/graphrun/graphrun/graph"
	"github.com/graphrun/graphrun/runtime/kernels/portable"
	"github.com/graphrun/graphrun/runtime/kernels/strip"
)

var (
	stripFloats  = graph.DTypes(graph.F32, graph.F64)
	stripNumbers = graph.DTypes(graph.F32, graph.F64, graph.I32, graph.I64)
	stripAny     = graph.DTypes(graph.F32, graph.F64, graph.I32, graph.I64, graph.Bool)
)

func init() {
	type builder = *strip.Builder
	for op, f := range map[string]portable.UnaryOp{
		"neg": portable.Neg, "abs": portable.Abs, "sign": portable.Sign, "square": portable.Square, "relu": portable.ReLU,
		"sqrt": portable.Sqrt, "rsqrt": portable.Rsqrt, "reciprocal": portable.Reciprocal,
		"exp": portable.Exp, "expm1": portable.Expm1, "log": portable.Log, "log1p": portable.Log1p,
		"sin": portable.Sin, "cos": portable.Cos, "tan": portable.Tan,
		"asin": portable.Asin, "acos": portable.Acos, "atan": portable.Atan,
		"sinh": portable.Sinh, "cosh": portable.Cosh, "tanh": portable.Tanh,
		"asinh": portable.Asinh, "acosh": portable.Acosh, "atanh": portable.Atanh,
		"sigmoid": portable.Sigmoid, "erf": portable.Erf, "erfc": portable.Erfc,
		"floor": portable.Floor, "ceil": portable.Ceil, "round": portable.Round, "trunc": portable.Trunc,
	} {
		dtypes := stripFloats
		if f < portable.Sqrt || f == portable.ReLU {
			dtypes = stripNumbers
		}
		register(&Kernel{Op: op, DTypes: dtypes, Element: func(b builder, in []strip.Value, _ graph.Attrs) strip.Value {
			return b.Unary(f, in[0])
		}})
	}
	for op, f := range map[string]portable.BinaryOp{
		"add": portable.Add, "sub": portable.Sub, "mul": portable.Mul, "div": portable.Div,
		"maximum": portable.Max, "minimum": portable.Min, "pow": portable.Pow, "fmod": portable.Mod, "atan2": portable.Atan2,
	} {
		dtypes := stripFloats // an integer division may fail
		if f < portable.Pow && f != portable.Div {
			dtypes = stripNumbers
		}
		register(&Kernel{Op: op, DTypes: dtypes, Element: func(b builder, in []strip.Value, _ graph.Attrs) strip.Value {
			return b.Binary(f, in[0], in[1])
		}})
	}
	for op, f := range map[string]portable.CompareOp{
		"equal": portable.Equal, "not_equal": portable.NotEqual, "less": portable.Less,
		"less_equal": portable.LessEqual, "greater": portable.Greater, "greater_equal": portable.GreaterEqual,
	} {
		register(&Kernel{Op: op, DTypes: stripAny, Element: func(b builder, in []strip.Value, _ graph.Attrs) strip.Value {
			return b.Compare(f, in[0], in[1])
		}})
	}
	for op, f := range map[string]strip.LogicOp{"and": strip.And, "or": strip.Or, "xor": strip.Xor} {
		register(&Kernel{Op: op, DTypes: graph.Bools, Element: func(b builder, in []strip.Value, _ graph.Attrs) strip.Value {
			return b.Logic(f, in[0], in[1])
		}})
	}
	register(
		&Kernel{Op: "not", DTypes: graph.Bools, Element: func(b builder, in []strip.Value, _ graph.Attrs) strip.Value {
			return b.Logic(strip.Not, in[0], in[0])
		}},
		&Kernel{Op: "isnan", DTypes: stripFloats, Element: func(b builder, in []strip.Value, _ graph.Attrs) strip.Value {
			return b.Compare(portable.NotEqual, in[0], in[0])
		}},
		&Kernel{Op: "isinf", DTypes: stripFloats, Element: func(b builder, in []strip.Value, _ graph.Attrs) strip.Value {
			return b.IsInf(in[0])
		}},
		&Kernel{Op: "logaddexp", DTypes: stripFloats, Element: func(b builder, in []strip.Value, _ graph.Attrs) strip.Value {
			high, low := b.Binary(portable.Max, in[0], in[1]), b.Binary(portable.Min, in[0], in[1])
			more := b.Unary(portable.Log1p, b.Unary(portable.Exp, b.Binary(portable.Sub, low, high)))
			return b.Select(b.IsInf(high), high, b.Binary(portable.Add, high, more)) // inf-inf would be NaN
		}},
		&Kernel{
			Op: "where", DTypes: graph.Bools, Match: func(s *Signature) bool { return strip.Holds(s.In[1].DType) },
			Element: func(b builder, in []strip.Value, _ graph.Attrs) strip.Value { return b.Select(in[0], in[1], in[2]) },
		},
		&Kernel{
			Op: "cast", DTypes: stripAny, Match: func(s *Signature) bool { return strip.Holds(s.DType("to")) },
			Element: func(b builder, in []strip.Value, attrs graph.Attrs) strip.Value {
				return b.Cast(in[0], attrs.DType("to"))
			},
		},
	)
}

// itself is the Element of ops that give the elements of their operand.
func itself(_ *strip.Builder, in []strip.Value, _ graph.Attrs) strip.Value { return in[0] }

// bindElement makes a kernel of strips of one node.
func (k *Kernel) bindElement(s *Spec) (Func, error) {
	shape, _ := s.OutTypes[0].ConstShape()
	b := strip.New(shape)
	in := make([]strip.Value, len(s.InTypes))
	for i, t := range s.InTypes {
		operand, _ := t.ConstShape()
		in[i] = b.Operand(t.DType, operand)
	}
	b.Result(k.Element(b, in, s.Attrs))
	return bound(s, b.Bind())
}
