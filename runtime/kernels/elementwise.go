package kernels

import (
	"github.com/graphrun/graphrun/graph"
	"github.com/graphrun/graphrun/runtime/kernels/portable"
	"github.com/graphrun/graphrun/runtime/kernels/strip"
)

// elementwise is an op that strips compute, on a first operand of some dtypes.
type elementwise struct {
	dtypes graph.DTypeSet
	match  func(in []graph.TensorType, attrs graph.Attrs) bool
	emit   func(b *strip.Builder, in []strip.Value, attrs graph.Attrs) strip.Value
}

var (
	stripFloats  = graph.DTypes(graph.F32, graph.F64)
	stripNumbers = graph.DTypes(graph.F32, graph.F64, graph.I32, graph.I64)
	stripAny     = graph.DTypes(graph.F32, graph.F64, graph.I32, graph.I64, graph.Bool)
)

// elementwiseOps are the ops that may be part of an expression of package strip.
var elementwiseOps = map[string]elementwise{
	"where": {dtypes: graph.Bools, match: secondHeld, emit: func(b *strip.Builder, in []strip.Value, _ graph.Attrs) strip.Value {
		return b.Select(in[0], in[1], in[2])
	}},
	"cast": {dtypes: stripAny, match: targetHeld, emit: func(b *strip.Builder, in []strip.Value, attrs graph.Attrs) strip.Value {
		return b.Cast(in[0], attrs.DType("to"))
	}},
	"expand":        {dtypes: stripAny, emit: itself},
	"stop_gradient": {dtypes: stripAny, emit: itself},
	"isnan": {dtypes: stripFloats, emit: func(b *strip.Builder, in []strip.Value, _ graph.Attrs) strip.Value {
		return b.Compare(portable.NotEqual, in[0], in[0])
	}},
	"isinf": {dtypes: stripFloats, emit: func(b *strip.Builder, in []strip.Value, _ graph.Attrs) strip.Value { return b.IsInf(in[0]) }},
	"not": {dtypes: graph.Bools, emit: func(b *strip.Builder, in []strip.Value, _ graph.Attrs) strip.Value {
		return b.Logic(strip.Not, in[0], in[0])
	}},
}

// itself is for ops that give the elements of their operand.
func itself(_ *strip.Builder, in []strip.Value, _ graph.Attrs) strip.Value { return in[0] }

func secondHeld(in []graph.TensorType, _ graph.Attrs) bool { return strip.Holds(in[1].DType) }

func targetHeld(_ []graph.TensorType, attrs graph.Attrs) bool { return strip.Holds(attrs.DType("to")) }

func init() {
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
		elementwiseOps[op] = elementwise{dtypes: dtypes, emit: func(b *strip.Builder, in []strip.Value, _ graph.Attrs) strip.Value {
			return b.Unary(f, in[0])
		}}
	}
	for op, f := range map[string]portable.BinaryOp{
		"add": portable.Add, "sub": portable.Sub, "mul": portable.Mul, "div": portable.Div,
		"maximum": portable.Max, "minimum": portable.Min, "pow": portable.Pow, "fmod": portable.Mod, "atan2": portable.Atan2,
	} {
		dtypes := stripFloats // an integer division may fail
		if f < portable.Pow && f != portable.Div {
			dtypes = stripNumbers
		}
		elementwiseOps[op] = elementwise{dtypes: dtypes, emit: func(b *strip.Builder, in []strip.Value, _ graph.Attrs) strip.Value {
			return b.Binary(f, in[0], in[1])
		}}
	}
	for op, f := range map[string]portable.CompareOp{
		"equal": portable.Equal, "not_equal": portable.NotEqual, "less": portable.Less,
		"less_equal": portable.LessEqual, "greater": portable.Greater, "greater_equal": portable.GreaterEqual,
	} {
		elementwiseOps[op] = elementwise{dtypes: stripAny, emit: func(b *strip.Builder, in []strip.Value, _ graph.Attrs) strip.Value {
			return b.Compare(f, in[0], in[1])
		}}
	}
	for op, f := range map[string]strip.LogicOp{"and": strip.And, "or": strip.Or, "xor": strip.Xor} {
		elementwiseOps[op] = elementwise{dtypes: graph.Bools, emit: func(b *strip.Builder, in []strip.Value, _ graph.Attrs) strip.Value {
			return b.Logic(f, in[0], in[1])
		}}
	}
	for op, e := range elementwiseOps {
		if op == "expand" || op == "stop_gradient" {
			continue // alone they only move elements
		}
		register(&Kernel{Op: op, DTypes: e.dtypes, Match: e.match, Bind: e.bind})
	}
}

// bind makes a kernel of one node.
func (e elementwise) bind(s *Spec) (Func, error) {
	shape, ok := s.OutTypes[0].ConstShape()
	if !ok {
		return nil, nil
	}
	b := strip.New(shape)
	in := make([]strip.Value, len(s.InTypes))
	for i, t := range s.InTypes {
		operand, ok := t.ConstShape()
		if !ok {
			return nil, nil
		}
		in[i] = b.Operand(t.DType, operand)
	}
	b.Result(e.emit(b, in, s.Attrs))
	return bound(b.Bind()), nil
}

// bound is the Func that runs a kernel; nil stays nil.
func bound(k *strip.Kernel) Func {
	if k == nil {
		return nil
	}
	return func(c *Call) error {
		k.Run(c.In, c.Out)
		return nil
	}
}
