package ops

import (
	"slices"

	"github.com/graphrun/graphrun/graph"
	"github.com/graphrun/graphrun/graph/value"
)

var _ = graph.MarkLibrary()

// Value is the handle of a node's result; see graph.Value.
type Value = graph.Value

// Operand is what arithmetic takes: a Value, or a Go number or bool, which becomes a constant of the
// dtype that PyTorch's promotion gives it. Anything else is reported as a fault of the model.
type Operand = any

// emit appends the named op to the innermost function of its operands.
func emit(name string, in []Value, attrs ...graph.Attr) []Value {
	return graph.Apply(graph.LookupOp(name), in, attrs)
}

// emit1 is emit for an op of one result.
// Not inlined: 3.1 kB of the service.
//
//go:noinline
func emit1(name string, in []Value, attrs ...graph.Attr) Value {
	return emit(name, in, attrs...)[0]
}

// attr pairs a name with an attribute value of its kind.
// Not inlined: 1.7 kB of the service.
//
//go:noinline
func attr(name string, v any) graph.Attr {
	switch x := v.(type) {
	case int:
		v = int64(x)
	case []int:
		ints := make([]int64, len(x))
		for i, n := range x {
			ints[i] = int64(n)
		}
		v = ints
	}
	return graph.Attr{Name: name, Value: v}
}

// with returns attributes and more of them.
func with(attrs []graph.Attr, more ...graph.Attr) []graph.Attr { return slices.Concat(attrs, more) }

// specsWith returns declarations of attributes and more of them.
func specsWith(specs []graph.AttrSpec, more ...graph.AttrSpec) []graph.AttrSpec {
	return slices.Concat(specs, more)
}

// shapeAttr turns user-given dims into an attribute; a fault is reported on f.
func shapeAttr(f *graph.Func, op, name string, dims []any) (graph.Attr, bool) {
	shape, err := graph.Shape(dims...)
	if err != nil {
		if f != nil {
			f.Module().Report(graph.Pos{}, op, "%s: %v", name, err)
		}
		return graph.Attr{}, false
	}
	return graph.Attr{Name: name, Value: shape}, true
}

// report records a fault on the module of the first valid value, and returns no value.
func report(op string, in []Value, format string, args ...any) Value {
	if f := graph.Innermost(in...); f != nil {
		f.Module().Report(graph.Pos{}, op, format, args...)
		return graph.Poison(f)
	}
	return Value{}
}

// refuse records a fault that a composite's body finds on the module, and returns results that are no values.
func refuse(b *graph.BodyCtx, op, format string, args ...any) []Value {
	b.Func.Module().Report(graph.Pos{}, op, format, args...)
	return slices.Repeat([]Value{graph.Poison(b.Func)}, len(graph.LookupOp(op).Results))
}

// operands turns Operands into Values of one dtype by PyTorch's promotion, inserting casts and
// constants. ok is false if there is nothing to emit: no operand is a Value, or one is no operand at
// all, which is reported.
func operands(op string, args ...Operand) (in []Value, ok bool) {
	in = make([]Value, len(args))
	for i, a := range args {
		if v, is := a.(Value); is {
			in[i] = v
		}
	}
	f := graph.Innermost(in...)
	if f == nil {
		return in, false
	}
	dt, err := resultType(args)
	if err != nil {
		report(op, in, "%v", err)
		return []Value{graph.Poison(f)}, false
	}
	for i, a := range args {
		if _, is := a.(Value); is {
			if in[i].OK() && in[i].DType() != dt && dt != value.Invalid {
				in[i] = Cast(in[i], dt)
			}
			continue
		}
		in[i] = f.Scalar(dt, a)
	}
	return in, true
}

// Not inlined: 11.1 kB of the service.
//
//go:noinline
func tensors(ts ...graph.TensorType) []graph.Type {
	out := make([]graph.Type, len(ts))
	for i, t := range ts {
		out[i] = t
	}
	return out
}

// out is the result name of ops with one result.
var out = []string{"out"}
