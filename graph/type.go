package graph

import (
	"slices"
	"strings"

	"github.com/graphrun/graphrun/graph/dim"
	"github.com/graphrun/graphrun/graph/errfmt"
	"github.com/graphrun/graphrun/graph/value"
)

// DType is the element type of a tensor.
type DType = value.DType

// The dtypes that models use most; the others are constants of graph/value.
const (
	Bool   = value.Bool
	I8     = value.I8
	U8     = value.U8
	I16    = value.I16
	U16    = value.U16
	I32    = value.I32
	U32    = value.U32
	I64    = value.I64
	U64    = value.U64
	F16    = value.F16
	BF16   = value.BF16
	F32    = value.F32
	F64    = value.F64
	String = value.String
)

// Dim is the size of one axis: a canonical expression over symbols such as the batch size N.
type Dim = dim.Dim

// Type is the type of a Value: one of TensorType, SequenceType, OptionalType, MapType and TokenType.
// The sum is closed.
type Type interface {
	// String returns the type as the text form spells it, such as "f32[N,784]".
	String() string
	isType()
}

// TensorType is a tensor of one dtype with a known rank; its dims may be symbolic.
type TensorType struct {
	DType DType
	Shape []Dim
}

// SequenceType is an ordered list of values of one type.
type SequenceType struct{ Elem Type }

// OptionalType is a value that may be absent.
type OptionalType struct{ Elem Type }

// MapType maps keys, which are I64 or String, to values of one type.
type MapType struct {
	Key   DType
	Value Type
}

// TokenType is the type of values that carry order and no data.
type TokenType struct{}

// invalidType is the type of a value whose node was refused; a diagnostic says why.
type invalidType struct{}

func (TensorType) isType()   {}
func (SequenceType) isType() {}
func (OptionalType) isType() {}
func (MapType) isType()      {}
func (TokenType) isType()    {}
func (invalidType) isType()  {}

func (t TensorType) String() string {
	var b strings.Builder
	b.WriteString(t.DType.String())
	b.WriteByte('[')
	for i, d := range t.Shape {
		if i > 0 {
			b.WriteByte(',')
		}
		b.WriteString(d.String())
	}
	b.WriteByte(']')
	return b.String()
}

func (t SequenceType) String() string { return "seq<" + t.Elem.String() + ">" }
func (t OptionalType) String() string { return "optional<" + t.Elem.String() + ">" }
func (t MapType) String() string      { return "map<" + t.Key.String() + "," + t.Value.String() + ">" }
func (TokenType) String() string      { return "token" }
func (invalidType) String() string    { return "invalid" }

// Tensor returns the type of a tensor whose dims are ints, symbol names, or Dims.
func Tensor(dt DType, dims ...any) (TensorType, error) {
	if !dt.Valid() {
		return TensorType{}, errfmt.Errorf("unknown dtype %v", dt)
	}
	shape, err := Shape(dims...)
	return TensorType{DType: dt, Shape: shape}, err
}

// Shape converts ints, dim expressions as strings, and Dims to dims.
func Shape(dims ...any) ([]Dim, error) {
	shape := make([]Dim, len(dims))
	for i, d := range dims {
		switch d := d.(type) {
		case int:
			shape[i] = dim.Const(int64(d))
		case int64:
			shape[i] = dim.Const(d)
		case Dim:
			shape[i] = d
		case string:
			e, err := dim.Parse(d)
			if err != nil {
				return nil, errfmt.Errorf("axis %d: %w", i, err)
			}
			shape[i] = e
		default:
			return nil, errfmt.Errorf("axis %d: a dim is an int, a symbol name or a graph.Dim, have %T", i, d)
		}
		if n, ok := shape[i].Int(); ok && n < 0 {
			return nil, errfmt.Errorf("axis %d: a dim is not negative, have %d", i, n)
		}
	}
	return shape, nil
}

// Ints converts sizes to constant dims.
func Ints[T int | int64](sizes ...T) []Dim {
	dims := make([]Dim, len(sizes))
	for i, s := range sizes {
		dims[i] = dim.Const(int64(s))
	}
	return dims
}

// TypeOf returns the type of a host value; that of nil is invalid.
func TypeOf(v value.Value) Type {
	if value.IsNil(v) {
		return invalidType{}
	}
	switch v := v.(type) {
	case *value.Tensor:
		return TensorType{DType: v.DType(), Shape: Ints(v.Shape()...)}
	case *value.Sequence:
		if len(v.Elems) > 0 {
			return SequenceType{Elem: TypeOf(v.Elems[0])}
		}
		return SequenceType{Elem: invalidType{}}
	case *value.Optional:
		if v.Elem != nil {
			return OptionalType{Elem: TypeOf(v.Elem)}
		}
		return OptionalType{Elem: invalidType{}}
	case *value.Map:
		return mapTypeOf(v)
	case value.Token:
		return TokenType{}
	}
	return invalidType{}
}

// HasUnknown reports whether the size of a value of type t depends on data. Inlined, it takes 1.5 kB of a service.
//
//go:noinline
func HasUnknown(t Type) bool {
	tt, ok := t.(TensorType)
	return ok && slices.ContainsFunc(tt.Shape, hasUnknown)
}

func hasUnknown(d Dim) bool {
	if d.IsConst() {
		return false
	}
	_, _, _, affine := d.Affine()
	return !affine && len(d.Unknowns()) > 0
}

// IsInvalid reports whether t is the type of a refused node.
func IsInvalid(t Type) bool {
	if t == nil {
		return true
	}
	_, bad := t.(invalidType)
	return bad
}

// Rank returns the number of axes.
func (t TensorType) Rank() int { return len(t.Shape) }

// NumElements returns the product of the dims.
func (t TensorType) NumElements() Dim { return dim.Product(t.Shape...) }

// ConstShape returns the sizes if every dim is constant.
func (t TensorType) ConstShape() ([]int, bool) {
	sizes := make([]int, len(t.Shape))
	for i, d := range t.Shape {
		n, ok := d.Int()
		if !ok {
			return nil, false
		}
		sizes[i] = int(n)
	}
	return sizes, true
}

// EqualTypes reports whether two types are the same, dims compared in canonical form.
func EqualTypes(a, b Type) bool {
	switch a := a.(type) {
	case TensorType:
		b, ok := b.(TensorType)
		return ok && a.DType == b.DType && EqualShapes(a.Shape, b.Shape)
	case SequenceType:
		b, ok := b.(SequenceType)
		return ok && EqualTypes(a.Elem, b.Elem)
	case OptionalType:
		b, ok := b.(OptionalType)
		return ok && EqualTypes(a.Elem, b.Elem)
	case MapType:
		b, ok := b.(MapType)
		return ok && a.Key == b.Key && EqualTypes(a.Value, b.Value)
	case TokenType:
		_, ok := b.(TokenType)
		return ok
	}
	return false
}

// EqualShapes reports whether two shapes have equal dims.
func EqualShapes(a, b []Dim) bool {
	if len(a) != len(b) {
		return false
	}
	if len(a) > 0 && &a[0] == &b[0] {
		return true
	}
	for i := range a {
		if !a[i].Equal(b[i]) {
			return false
		}
	}
	return true
}

// SubstType replaces the symbols of t by dims.
func SubstType(t Type, env map[string]Dim) (Type, error) {
	switch t := t.(type) {
	case TensorType:
		shape, err := SubstShape(t.Shape, env)
		return TensorType{DType: t.DType, Shape: shape}, err
	case SequenceType:
		e, err := SubstType(t.Elem, env)
		return SequenceType{Elem: e}, err
	case OptionalType:
		e, err := SubstType(t.Elem, env)
		return OptionalType{Elem: e}, err
	case MapType:
		e, err := SubstType(t.Value, env)
		return MapType{Key: t.Key, Value: e}, err
	}
	return t, nil
}

// SubstShape replaces the symbols of a shape by dims.
func SubstShape(shape []Dim, env map[string]Dim) ([]Dim, error) {
	out := make([]Dim, len(shape))
	for i, d := range shape {
		if d.IsConst() {
			out[i] = d
			continue
		}
		e, err := d.Subst(env)
		if err != nil {
			return nil, err
		}
		out[i] = e
	}
	return out, nil
}

// Unify matches a declared type against the type that came and extends env with what it learns: a dim
// that is affine in one unbound symbol binds it, an unbound unknown dim binds "?" and its id, every other dim must
// then be equal. The error names the axis, what was wanted and what came.
func Unify(want, have Type, env map[string]Dim) error {
	_, err := UnifyAll([]Type{want}, []Type{have}, env)
	return err
}

// UnifyAll is Unify for the types of parameters and what comes for them, where one may bind the symbols that another
// needs: f32[N*M] may stand before f32[N,M]. It returns the index of the type at fault.
func UnifyAll(want, have []Type, env map[string]Dim) (int, error) {
	for i := range want {
		bind(want[i], have[i], env, false)
	}
	for known := -1; known < len(env); { // each round may bind what the next one needs
		known = len(env)
		for i := range want {
			bind(want[i], have[i], env, true)
		}
	}
	for i := range want {
		if err := match(want[i], have[i], env); err != nil {
			return i, err
		}
	}
	return 0, nil
}

// bind extends env with what the dims of a type that came say about those of the declared type: about those of one symbol,
// and, if known is set, about those of which env binds all symbols but one.
func bind(want, have Type, env map[string]Dim, known bool) {
	switch want := want.(type) {
	case TensorType:
		if have, ok := have.(TensorType); ok && len(want.Shape) == len(have.Shape) {
			for i := range want.Shape {
				if !want.Shape[i].IsConst() {
					bindDim(want.Shape[i], have.Shape[i], env, known)
				}
			}
		}
	case SequenceType:
		if have, ok := have.(SequenceType); ok {
			bind(want.Elem, have.Elem, env, known)
		}
	case OptionalType:
		if have, ok := have.(OptionalType); ok {
			bind(want.Elem, have.Elem, env, known)
		}
	case MapType:
		if have, ok := have.(MapType); ok {
			bind(want.Value, have.Value, env, known)
		}
	}
}

// match checks a type that came against the declared one, whose symbols env binds.
func match(want, have Type, env map[string]Dim) error {
	switch want := want.(type) {
	case TensorType:
		have, ok := have.(TensorType)
		if !ok || want.DType != have.DType || len(want.Shape) != len(have.Shape) {
			break
		}
		for i := range want.Shape {
			if err := matchDim(want.Shape[i], have.Shape[i], env); err != nil {
				return errfmt.Errorf("want %s, have %s: axis %d: %w", want, have, i, err)
			}
		}
		return nil
	case SequenceType:
		if have, ok := have.(SequenceType); ok {
			if IsInvalid(have.Elem) { // an empty sequence is of every type
				return nil
			}
			return match(want.Elem, have.Elem, env)
		}
	case OptionalType:
		if have, ok := have.(OptionalType); ok {
			if IsInvalid(have.Elem) {
				return nil
			}
			return match(want.Elem, have.Elem, env)
		}
	case MapType:
		if have, ok := have.(MapType); ok && want.Key == have.Key {
			if IsInvalid(have.Value) {
				return nil
			}
			return match(want.Value, have.Value, env)
		}
	case TokenType:
		if _, ok := have.(TokenType); ok {
			return nil
		}
	}
	return errfmt.Errorf("want %s, have %s", want, have)
}

func bindDim(want, have Dim, env map[string]Dim, known bool) {
	coef, sym, rest, ok := want.Affine()
	if !ok && known && len(want.Unknowns()) == 0 {
		// A known size leaves fewer symbols. Sizes that are symbols themselves do not: they may be called like the others.
		sizes := map[string]Dim{}
		for _, s := range want.Symbols() {
			if d, bound := env[s]; bound && d.IsConst() {
				sizes[s] = d
			}
		}
		if left, err := want.Subst(sizes); err == nil && len(sizes) > 0 {
			coef, sym, rest, ok = left.Affine()
		}
	}
	if ok && sym != "" {
		if _, bound := env[sym]; !bound && coef > 0 {
			left := dim.Sub(have, dim.Const(rest))
			if coef == 1 {
				env[sym] = left
			} else if m, err := dim.Mod(left, dim.Const(coef)); err == nil {
				if n, ok := m.Int(); ok && n == 0 {
					if q, err := dim.FloorDiv(left, dim.Const(coef)); err == nil {
						env[sym] = q
					}
				}
			}
			if s, ok := env[sym]; ok {
				if n, isInt := s.Int(); isInt && n < 0 {
					delete(env, sym)
				}
			}
		}
	}
	if ids := want.Unknowns(); len(ids) == 1 && want.Equal(dim.Unknown(ids[0], want.Upper())) {
		if _, bound := env["?"+ids[0]]; !bound {
			env["?"+ids[0]] = have
		}
	}
}

func matchDim(want, have Dim, env map[string]Dim) error {
	got, err := want.Subst(env)
	if err != nil {
		return err
	}
	if got.Equal(have) {
		return nil
	}
	if !want.Equal(got) {
		return errfmt.Errorf("%s is %s here, not %s", want, got, have)
	}
	for _, s := range want.Symbols() {
		if _, bound := env[s]; !bound && have.IsConst() {
			return errfmt.Errorf("%s cannot be %s, or the size %s does not follow from the types", want, have, s)
		}
	}
	return errfmt.Errorf("%s is not %s", want, have)
}

func mapTypeOf(m *value.Map) Type {
	t := MapType{Key: m.KeyType(), Value: invalidType{}}
	for _, v := range m.All() {
		t.Value = TypeOf(v)
		break
	}
	return t
}

var allDTypes = value.DTypes()
