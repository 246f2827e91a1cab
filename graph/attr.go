package graph

import (
	"slices"

	"github.com/graphrun/graphrun/graph/value"
)

// AttrKind is the type of an attribute.
type AttrKind uint8

// The attribute kinds, with the Go type that carries each.
const (
	IntAttr    AttrKind = iota + 1 // int64
	FloatAttr                      // float64
	BoolAttr                       // bool
	StringAttr                     // string
	IntsAttr                       // []int64
	FloatsAttr                     // []float64
	DTypeAttr                      // DType
	DimsAttr                       // []Dim: sizes that may be symbolic
	TensorAttr                     // *value.Tensor
	TypeAttr                       // Type
	SymbolAttr                     // Symbol: a variable or a function of the module
)

var attrKindNames = map[AttrKind]string{
	IntAttr: "int", FloatAttr: "float", BoolAttr: "bool", StringAttr: "string", IntsAttr: "ints",
	FloatsAttr: "floats", DTypeAttr: "dtype", DimsAttr: "dims", TensorAttr: "tensor", TypeAttr: "type",
	SymbolAttr: "symbol",
}

// String returns the kind's name, such as "ints".
func (k AttrKind) String() string { return attrKindNames[k] }

// Symbol names a variable or a function of the module; the text form writes it with a leading @.
type Symbol string

// Attr is one named attribute of a node. Value has the Go type of its kind.
type Attr struct {
	Name  string
	Value any
}

// kindOf returns the kind of an attribute value, and 0 for a Go type that no kind has.
func kindOf(v any) AttrKind {
	switch v.(type) {
	case int64:
		return IntAttr
	case float64:
		return FloatAttr
	case bool:
		return BoolAttr
	case string:
		return StringAttr
	case []int64:
		return IntsAttr
	case []float64:
		return FloatsAttr
	case DType:
		return DTypeAttr
	case []Dim:
		return DimsAttr
	case *value.Tensor:
		return TensorAttr
	case Type:
		return TypeAttr
	case Symbol:
		return SymbolAttr
	}
	return 0
}

// Attrs are a node's attributes, sorted by name; every attribute that the op declares is present.
// The getters return the zero value for a name that is absent or of another kind: Emit and the verifier
// have checked names and kinds before a rule of an op sees them.
type Attrs []Attr

// Get returns the value of an attribute, nil if there is none.
// Not inlined: 24.5 kB of the service.
//
//go:noinline
func (a Attrs) Get(name string) any {
	for i := range a {
		if a[i].Name == name {
			return a[i].Value
		}
	}
	return nil
}

// Int returns an int attribute.
// Not inlined: 4.0 kB of the service.
//
//go:noinline
func (a Attrs) Int(name string) int { v, _ := a.Get(name).(int64); return int(v) }

// Float returns a float attribute.
// Not inlined: 2.5 kB of the service.
//
//go:noinline
func (a Attrs) Float(name string) float64 { v, _ := a.Get(name).(float64); return v }

// Bool returns a bool attribute.
// Not inlined: 2.6 kB of the service.
//
//go:noinline
func (a Attrs) Bool(name string) bool { v, _ := a.Get(name).(bool); return v }

// Str returns a string attribute.
func (a Attrs) Str(name string) string { v, _ := a.Get(name).(string); return v }

// Ints returns an ints attribute as ints.
func (a Attrs) Ints(name string) []int {
	v, _ := a.Get(name).([]int64)
	out := make([]int, len(v))
	for i, x := range v {
		out[i] = int(x)
	}
	return out
}

// Floats returns a floats attribute; it must not be modified.
func (a Attrs) Floats(name string) []float64 { v, _ := a.Get(name).([]float64); return v }

// DType returns a dtype attribute.
// Not inlined: 0.6 kB of the service.
//
//go:noinline
func (a Attrs) DType(name string) DType { v, _ := a.Get(name).(DType); return v }

// Dims returns a dims attribute; it must not be modified.
// Not inlined: 1.2 kB of the service.
//
//go:noinline
func (a Attrs) Dims(name string) []Dim { v, _ := a.Get(name).([]Dim); return v }

// Sizes returns a dims attribute whose dims are constant, as they are whenever a node is evaluated.
func (a Attrs) Sizes(name string) []int {
	dims := a.Dims(name)
	out := make([]int, len(dims))
	for i, d := range dims {
		n, _ := d.Int()
		out[i] = int(n)
	}
	return out
}

// Tensor returns a tensor attribute; it must not be modified.
func (a Attrs) Tensor(name string) *value.Tensor { v, _ := a.Get(name).(*value.Tensor); return v }

// Type returns a type attribute.
func (a Attrs) Type(name string) Type { v, _ := a.Get(name).(Type); return v }

// Symbol returns a symbol attribute.
// Not inlined: 0.9 kB of the service.
//
//go:noinline
func (a Attrs) Symbol(name string) Symbol { v, _ := a.Get(name).(Symbol); return v }

// With returns a copy of the attributes in which one is replaced.
func (a Attrs) With(name string, v any) Attrs {
	out := slices.Clone(a)
	for i := range out {
		if out[i].Name == name {
			out[i].Value = v
			return out
		}
	}
	return sortAttrs(append(out, Attr{name, v}))
}

func sortAttrs(a Attrs) Attrs {
	for i := range a { // they are few
		for k := i; k > 0 && a[k].Name < a[k-1].Name; k-- {
			a[k], a[k-1] = a[k-1], a[k]
		}
	}
	return a
}

// Bind replaces the symbols in dims and types by dims.
func (a Attrs) Bind(env map[string]Dim) (Attrs, error) {
	var out Attrs
	for i, at := range a {
		var v any
		var err error
		switch x := at.Value.(type) {
		case []Dim:
			v, err = SubstShape(x, env)
		case Type:
			v, err = SubstType(x, env)
		default:
			continue
		}
		if err != nil {
			return nil, err
		}
		if out == nil {
			out = slices.Clone(a)
		}
		out[i].Value = v
	}
	if out == nil {
		return a, nil
	}
	return out, nil
}

// EqualAttrs reports whether two attribute lists are the same: floats and tensors by their bits,
// never by what they print.
func EqualAttrs(a, b Attrs) bool {
	return slices.EqualFunc(a, b, func(x, y Attr) bool { return x.Name == y.Name && EqualAttrValues(x.Value, y.Value) })
}

// EqualAttrValues reports whether two attribute values are the same: floats and tensors by their bits.
func EqualAttrValues(a, b any) bool {
	switch a := a.(type) {
	case float64:
		b, ok := b.(float64)
		return ok && sameBits(a, b)
	case []int64:
		b, ok := b.([]int64)
		return ok && slices.Equal(a, b)
	case []float64:
		b, ok := b.([]float64)
		return ok && slices.EqualFunc(a, b, sameBits)
	case []Dim:
		b, ok := b.([]Dim)
		return ok && EqualShapes(a, b)
	case *value.Tensor:
		b, ok := b.(*value.Tensor)
		return ok && (a == b || a.Equal(b))
	case Type:
		b, ok := b.(Type)
		return ok && EqualTypes(a, b)
	default:
		return a == b
	}
}
