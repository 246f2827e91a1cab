package graph

import (
	"slices"

	"github.com/graphrun/graphrun/graph/value"
)

// Floats of fewer than 32 bits are for storage: an op on them computes in f32 and rounds its results once, where it ends. References do
// so since they compute in exact domains. Everywhere else such a node stands for the same op on f32 between casts, which this file
// emits: where composites are replaced by bodies, where nodes are differentiated, where kernels are chosen.

// IsNarrow reports whether a dtype is a float for storage: f16, bf16 and what is smaller.
func IsNarrow(dt DType) bool { return dt.IsFloat() && dt.Bits() < 32 }

func isNarrow(t Type) bool {
	tt, ok := t.(TensorType)
	return ok && IsNarrow(tt.DType)
}

// Widens reports whether the node computes with floats for storage, so that it stands for the same op on f32 between casts.
func (n *Node) Widens() bool {
	return slices.ContainsFunc(n.in, func(v Value) bool { return isNarrow(v.Type()) }) && n.op.widens(n.OperandTypes(), n.regions)
}

// widens is Node.Widens for operands of certain types.
func (op *Op) widens(in []Type, regions []*Func) bool {
	if len(regions) > 0 || op.Props.Structural || !slices.ContainsFunc(in, isNarrow) {
		return false
	}
	for i, t := range in {
		if isNarrow(t) && !op.Arg(i).Types.Has(F32) {
			return false
		}
	}
	switch op.Family() {
	case ShapeOp, ViewOp, ControlOp: // what moves elements, and the conversion
		return op.IsComposite()
	}
	return true
}

// Wide returns the type of a tensor of floats for storage in f32, other types as they are.
func Wide(t Type) Type {
	if isNarrow(t) {
		return TensorType{DType: F32, Shape: t.(TensorType).Shape}
	}
	return t
}

// InlineBody emits into f, where the node's operands are, what a node stands for that widens or is a composite, and returns the values of
// its results. The body of a composite may let its nodes carry the regions: it gets copies. It is for passes.
func (n *Node) InlineBody(f *Func) []Value {
	b := &BodyCtx{Attrs: n.attrs, In: n.in, Func: f}
	if n.Widens() {
		return n.op.widened(b, n.types)
	}
	b.Regions = n.cloneRegions(f)
	return n.op.Body(b)
}

// widened emits the op on f32 in place of floats for storage, and its results cast to the given types.
func (op *Op) widened(b *BodyCtx, types []Type) []Value {
	in := make([]Value, len(b.In))
	for i, v := range b.In {
		for k, earlier := range b.In[:i] {
			if earlier == v {
				in[i] = in[k] // so that its gradients are added before they are rounded
			}
		}
		if !in[i].Valid() {
			in[i] = b.Func.castTo(v, Wide(v.Type()))
		}
	}
	outs := b.Func.Emit(op, in, b.Attrs)
	for i, t := range types[:min(len(types), len(outs))] {
		outs[i] = b.Func.castTo(outs[i], t)
	}
	return outs
}

// castTo emits x in the dtype of a type; x itself if it has that one, or none. Without package ops, it is the zero Value.
func (f *Func) castTo(x Value, t Type) Value {
	to, ok := t.(TensorType)
	if !ok || !x.OK() || x.DType() == to.DType {
		return x
	}
	y, _ := f.emitNamed("cast", []Value{x}, Attrs{{"to", to.DType}, {"saturate", to.DType != value.F8E5M2}})
	return y
}

// Round returns x cast to a float dtype as the results of ops are rounded, which value.EncodeFloat does: in f8e5m2, what is out of range is
// infinite then, where a cast by itself makes it the largest number. It is x itself if that has the dtype.
func Round(x Value, to DType) Value {
	return x.Func().castTo(x, TensorType{DType: to})
}
