package kernels

import (
	"github.com/graphrun/graphrun/graph"
	"github.com/graphrun/graphrun/runtime/kernels/backend"
	"github.com/graphrun/graphrun/runtime/kernels/strip"
)

var (
	stripFloats  = graph.DTypes(graph.F32, graph.F64)
	stripNumbers = graph.DTypes(graph.F32, graph.F64, graph.I32, graph.I64)
	stripAny     = graph.DTypes(graph.F32, graph.F64, graph.I32, graph.I64, graph.Bool)
	stored       = graph.DTypes(graph.F16, graph.BF16) // in strips for what only moves them
)

func init() {
	type builder = *strip.Builder
	for op := range backend.UnaryOps {
		register(&Kernel{Op: op.String(), DTypes: stripDTypes(op.Kinds()), Element: func(b builder, in []strip.Value, _ graph.Attrs) strip.Value {
			return b.Unary(op, in[0])
		}})
	}
	for op := range backend.BinaryOps {
		if op.Kinds() == 0 {
			continue
		}
		register(&Kernel{Op: op.String(), DTypes: stripDTypes(op.Kinds()), Element: func(b builder, in []strip.Value, _ graph.Attrs) strip.Value {
			return b.Binary(op, in[0], in[1])
		}})
	}
	for op := range backend.CompareOps {
		register(&Kernel{Op: op.String(), DTypes: stripAny, Element: func(b builder, in []strip.Value, _ graph.Attrs) strip.Value {
			return b.Compare(op, in[0], in[1])
		}})
	}
	for op := range backend.Not { // the functions of two truth values
		register(&Kernel{Op: op.String(), DTypes: graph.Bools, Element: func(b builder, in []strip.Value, _ graph.Attrs) strip.Value {
			return b.Logic(op, in[0], in[1])
		}})
	}
	register(
		&Kernel{Op: "not", DTypes: graph.Bools, Element: func(b builder, in []strip.Value, _ graph.Attrs) strip.Value {
			return b.Logic(backend.Not, in[0], in[0])
		}},
		&Kernel{Op: "isnan", DTypes: stripFloats, Element: func(b builder, in []strip.Value, _ graph.Attrs) strip.Value {
			return b.Compare(backend.NotEqual, in[0], in[0])
		}},
		&Kernel{Op: "isinf", DTypes: stripFloats, Element: func(b builder, in []strip.Value, _ graph.Attrs) strip.Value {
			return b.IsInf(in[0])
		}},
		&Kernel{Op: "logaddexp", DTypes: stripFloats, Element: func(b builder, in []strip.Value, _ graph.Attrs) strip.Value {
			high, low := b.Binary(backend.Max, in[0], in[1]), b.Binary(backend.Min, in[0], in[1])
			more := b.Unary(backend.Log1p, b.Unary(backend.Exp, b.Binary(backend.Sub, low, high)))
			return b.Select(b.IsInf(high), high, b.Binary(backend.Add, high, more)) // inf-inf would be NaN
		}},
		&Kernel{
			Op: "where", DTypes: graph.Bools, Match: func(s *Signature) bool { return strip.Holds(s.In[1].DType) },
			Element: func(b builder, in []strip.Value, _ graph.Attrs) strip.Value { return b.Select(in[0], in[1], in[2]) },
		},
		&Kernel{
			Op: "cast", DTypes: stripAny | stored, Match: func(s *Signature) bool {
				to := s.DType("to")
				return stripAny.Has(to) || stored.Has(to) && (graph.DTypes(graph.F32, graph.Bool)|stored).Has(s.In[0].DType)
			},
			Element: func(b builder, in []strip.Value, attrs graph.Attrs) strip.Value {
				return b.Cast(in[0], attrs.DType("to"))
			},
		},
	)
}

// stripDTypes returns the dtypes of some kinds that strips hold.
func stripDTypes(kinds backend.Kinds) graph.DTypeSet {
	if kinds&backend.Integers != 0 {
		return stripNumbers
	}
	return stripFloats
}

// itself is the Element of ops that give the elements of their operand.
func itself(_ *strip.Builder, in []strip.Value, _ graph.Attrs) strip.Value { return in[0] }

// expression begins one over a shape.
func (s *Spec) expression(shape []int) *strip.Builder {
	b := strip.New(shape)
	b.Take, b.Stop = s.take, s.Stop
	return b
}

// bindElement makes a kernel of strips of one node.
func (k *Kernel) bindElement(s *Spec) (Func, error) {
	shape, _ := s.OutTypes[0].ConstShape()
	b := s.expression(shape)
	in := make([]strip.Value, len(s.InTypes))
	for i, t := range s.InTypes {
		operand, _ := t.ConstShape()
		in[i] = b.Operand(t.DType, operand)
	}
	b.Result(k.Element(b, in, s.Attrs))
	return bound(s, b.Bind())
}
