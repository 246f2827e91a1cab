package graph

import (
	"fmt"
	"math/bits"

	"github.com/graphrun/graphrun/graph/value"
)

func (v *verifier) attributes(_ *body, n *Node) {
	if len(n.attrs) != len(n.op.Attrs) {
		v.node(n, "want %d attributes (%s), have %d", len(n.op.Attrs), n.op.attrNames(), len(n.attrs))
		return
	}
	for i, a := range n.attrs {
		spec := n.op.Attr(a.Name)
		switch {
		case spec == nil:
			v.node(n, "there is no attribute %q: want %s", a.Name, n.op.attrNames())
		case i > 0 && n.attrs[i-1].Name >= a.Name:
			v.node(n, "attribute %q is given twice or not in order", a.Name)
		case kindOf(a.Value) != spec.Kind:
			v.node(n, "attribute %q: want %v, have %T", a.Name, spec.Kind, a.Value)
		default:
			if fault := attrFault(a.Value); fault != "" {
				v.node(n, "attribute %q: %s", a.Name, fault)
			}
		}
	}
}

// attrFault says why an attribute of the right kind has no meaning, "" if it has one.
func attrFault(x any) string {
	switch x := x.(type) {
	case Type:
		if fault := typeFault(x); fault != "" {
			return typeText(x) + ": " + fault
		}
	case []Dim:
		for i, d := range x {
			if d.Overflow() {
				return fmt.Sprintf("axis %d: the dim is too large", i)
			}
		}
	case DType:
		if !x.Valid() {
			return fmt.Sprintf("%v is not a dtype", x)
		}
	case Symbol:
		if !isSymbol(string(x)) {
			return fmt.Sprintf("%q is not a name", string(x))
		}
	case *value.Tensor:
		if x == nil {
			return "the tensor is nil"
		}
	}
	return ""
}

// maxElements leaves room for sums and differences of sizes.
const maxElements = 1 << 60

// typeFault says what is wrong with a type, "" if it is sound.
func typeFault(t Type) string {
	switch t := t.(type) {
	case TensorType:
		if !t.DType.Valid() {
			return fmt.Sprintf("%v is not a dtype", t.DType)
		}
		count := int64(1) // of the elements along constant axes, up to more than any machine holds
		for i, d := range t.Shape {
			n, constant := d.Int()
			switch {
			case d.Overflow():
				return fmt.Sprintf("axis %d is too large", i)
			case constant && n < 0:
				return fmt.Sprintf("axis %d is negative", i)
			case constant && n > 0:
				hi, lo := bits.Mul64(uint64(count), uint64(n))
				if hi > 0 || lo > maxElements {
					return "the number of elements is too large"
				}
				count = int64(lo)
			}
		}
		return ""
	case SequenceType:
		return typeFault(t.Elem)
	case OptionalType:
		return typeFault(t.Elem)
	case MapType:
		if t.Key != I64 && t.Key != String {
			return fmt.Sprintf("the keys of a map are i64 or string, have %v", t.Key)
		}
		return typeFault(t.Value)
	case TokenType:
		return ""
	}
	return "the type is missing"
}

// typeText is the text of a type that may be faulty, "nothing" where there is none.
func typeText(t Type) string {
	switch t := t.(type) {
	case nil:
		return "nothing"
	case SequenceType:
		return "seq<" + typeText(t.Elem) + ">"
	case OptionalType:
		return "optional<" + typeText(t.Elem) + ">"
	case MapType:
		return "map<" + t.Key.String() + "," + typeText(t.Value) + ">"
	}
	return t.String()
}

func (v *verifier) paramTypes(b *body) {
	for _, n := range b.f.params {
		v.types(b, n)
	}
}

func (v *verifier) types(_ *body, n *Node) {
	for i, t := range n.types {
		if fault := typeFault(t); fault != "" {
			v.node(n, "result %d is %s: %s", i, typeText(t), fault)
		}
	}
}

func (v *verifier) inference(_ *body, n *Node) {
	in := v.infer.In[:0]
	for _, x := range n.in {
		in = append(in, x.Type())
	}
	v.infer = InferCtx{Attrs: n.attrs, In: in, Op: n.op, Regions: n.regions, Module: v.m}
	types, err := n.op.infer(&v.infer)
	switch {
	case err != nil:
		v.node(n, "%v", err)
	case len(types) != len(n.types):
		v.node(n, "want %d results, have %d", len(types), len(n.types))
	default:
		for i, t := range types {
			if !EqualTypes(t, n.types[i]) {
				v.node(n, "result %d: want %s, have %s", i, t, n.types[i])
			}
		}
	}
}
