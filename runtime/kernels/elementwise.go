package kernels

import (
	"github.com/graphrun/graphrun/graph"
	"github.com/graphrun/graphrun/runtime/kernels/backend"
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
		return b.Compare(backend.NotEqual, in[0], in[0])
	}},
	"isinf": {dtypes: stripFloats, emit: func(b *strip.Builder, in []strip.Value, _ graph.Attrs) strip.Value { return b.IsInf(in[0]) }},
	"not": {dtypes: graph.Bools, emit: func(b *strip.Builder, in []strip.Value, _ graph.Attrs) strip.Value {
		return b.Logic(backend.Not, in[0], in[0])
	}},
}

// itself is for ops that give the elements of their operand.
func itself(_ *strip.Builder, in []strip.Value, _ graph.Attrs) strip.Value { return in[0] }

func secondHeld(in []graph.TensorType, _ graph.Attrs) bool { return strip.Holds(in[1].DType) }

func targetHeld(_ []graph.TensorType, attrs graph.Attrs) bool { return strip.Holds(attrs.DType("to")) }

func init() {
	for op := range backend.UnaryOps {
		elementwiseOps[op.String()] = elementwise{dtypes: stripDTypes(op.Kinds()), emit: func(b *strip.Builder, in []strip.Value, _ graph.Attrs) strip.Value {
			return b.Unary(op, in[0])
		}}
	}
	for op := range backend.BinaryOps {
		if op.Kinds() == 0 {
			continue
		}
		elementwiseOps[op.String()] = elementwise{dtypes: stripDTypes(op.Kinds()), emit: func(b *strip.Builder, in []strip.Value, _ graph.Attrs) strip.Value {
			return b.Binary(op, in[0], in[1])
		}}
	}
	for op := range backend.CompareOps {
		elementwiseOps[op.String()] = elementwise{dtypes: stripAny, emit: func(b *strip.Builder, in []strip.Value, _ graph.Attrs) strip.Value {
			return b.Compare(op, in[0], in[1])
		}}
	}
	for op := range backend.Not { // the functions of two truth values
		elementwiseOps[op.String()] = elementwise{dtypes: graph.Bools, emit: func(b *strip.Builder, in []strip.Value, _ graph.Attrs) strip.Value {
			return b.Logic(op, in[0], in[1])
		}}
	}
	for op, e := range elementwiseOps {
		if op == "expand" || op == "stop_gradient" {
			continue // alone they only move elements
		}
		register(&Kernel{Op: op, DTypes: e.dtypes, Match: e.match, Bind: e.bind})
	}
}

// stripDTypes returns the dtypes of some kinds that strips hold.
func stripDTypes(kinds backend.Kinds) graph.DTypeSet {
	if kinds&backend.Integers != 0 {
		return stripNumbers
	}
	return stripFloats
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
