package value

import (
	"errors"
	"fmt"
	"iter"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/graphrun/graphrun/graph/errfmt"
)

// Value is a host value: a *Tensor, *Sequence, *Optional, *Map or Token. The sum is closed.
type Value interface {
	// String returns a short text of the value for messages. Text that reads back is Tensor.AppendText.
	String() string
	isValue()
}

func (*Tensor) isValue()   {}
func (*Sequence) isValue() {}
func (*Optional) isValue() {}
func (*Map) isValue()      {}
func (Token) isValue()     {}

// Sequence is an ordered list of values of one type. Tensors in it share a dtype; their shapes may differ.
type Sequence struct{ Elems []Value }

// NewSequence returns the sequence of elems, which it keeps. Nil elements and elements of different types
// are errors.
func NewSequence(elems ...Value) (*Sequence, error) {
	if err := sameTypes(slices.Values(elems)); err != nil {
		return nil, errfmt.Errorf("sequence: %w", err)
	}
	return &Sequence{Elems: elems}, nil
}

// Len returns the number of elements.
func (s *Sequence) Len() int { return len(s.Elems) }

// String returns, for instance, "sequence[f32[2] [1 2], f32[] 3]".
func (s *Sequence) String() string {
	if s == nil {
		return "sequence <nil>"
	}
	return "sequence" + listString(len(s.Elems), func(i int) string { return valueString(s.Elems[i]) })
}

// Optional is a value that may be absent: Elem is nil then.
type Optional struct{ Elem Value }

// Some returns the optional that holds v; a nil v gives the empty optional.
func Some(v Value) *Optional {
	if IsNil(v) {
		v = nil
	}
	return &Optional{Elem: v}
}

// None returns the empty optional.
func None() *Optional { return &Optional{} }

// Get returns the element and whether there is one.
func (o *Optional) Get() (Value, bool) { return o.Elem, o.Elem != nil }

// String returns "none", or for instance "some(f32[] 3)".
func (o *Optional) String() string {
	if o == nil || o.Elem == nil {
		return "none"
	}
	return "some(" + o.Elem.String() + ")"
}

// Map associates int64 or string keys with values of one type. It does not change after it is made, and
// its order is that of ascending keys.
type Map struct {
	key  DType // I64 or String
	ints []int64
	strs []string
	vals []Value
}

// NewMap returns a map with the entries of m, which it copies. Nil values and values of different types
// are errors.
func NewMap[K int64 | string](m map[K]Value) (*Map, error) {
	keys := slices.Sorted(maps.Keys(m))
	out := &Map{vals: make([]Value, len(keys))}
	for i, k := range keys {
		out.vals[i] = m[k]
	}
	switch keys := any(keys).(type) {
	case []int64:
		out.key, out.ints = I64, keys
	case []string:
		out.key, out.strs = String, keys
	}
	if err := sameTypes(slices.Values(out.vals)); err != nil {
		return nil, errfmt.Errorf("map: %w", err)
	}
	return out, nil
}

// KeyType returns I64 or String; Invalid for the zero Map.
func (m *Map) KeyType() DType { return m.key }

// Len returns the number of entries.
func (m *Map) Len() int { return len(m.vals) }

// GetInt returns the value of an int64 key.
func (m *Map) GetInt(key int64) (Value, bool) {
	if i, ok := slices.BinarySearch(m.ints, key); ok {
		return m.vals[i], true
	}
	return nil, false
}

// GetString returns the value of a string key.
func (m *Map) GetString(key string) (Value, bool) {
	if i, ok := slices.BinarySearch(m.strs, key); ok {
		return m.vals[i], true
	}
	return nil, false
}

// All ranges over the entries by ascending key; a key is an int64 or a string, as KeyType says.
func (m *Map) All() iter.Seq2[any, Value] {
	return func(yield func(any, Value) bool) {
		for i, v := range m.vals {
			var k any
			if m.key == String {
				k = m.strs[i]
			} else {
				k = m.ints[i]
			}
			if !yield(k, v) {
				return
			}
		}
	}
}

// String returns, for instance, "map[1: f32[] 2, 5: f32[] 7]".
func (m *Map) String() string {
	if m == nil {
		return "map <nil>"
	}
	return "map" + listString(len(m.vals), func(i int) string {
		k := ""
		if m.key == String {
			k = strconv.Quote(m.strs[i])
		} else {
			k = strconv.FormatInt(m.ints[i], 10)
		}
		return k + ": " + valueString(m.vals[i])
	})
}

// Token is the value that orders effects; it carries no data.
type Token struct{}

// String returns "token".
func (Token) String() string { return "token" }

// Equal reports whether a and b are the same value: the same type and, for tensors, Tensor.Equal.
func Equal(a, b Value) bool {
	if IsNil(a) || IsNil(b) {
		return IsNil(a) && IsNil(b)
	}
	switch a := a.(type) {
	case *Tensor:
		b, ok := b.(*Tensor)
		return ok && a.Equal(b)
	case *Sequence:
		b, ok := b.(*Sequence)
		return ok && slices.EqualFunc(a.Elems, b.Elems, Equal)
	case *Optional:
		b, ok := b.(*Optional)
		return ok && Equal(a.Elem, b.Elem)
	case *Map:
		b, ok := b.(*Map)
		return ok && a.key == b.key && slices.Equal(a.ints, b.ints) && slices.Equal(a.strs, b.strs) &&
			slices.EqualFunc(a.vals, b.vals, Equal)
	case Token:
		_, ok := b.(Token)
		return ok
	}
	return false
}

// Clone returns a deep copy of v; a nil v gives nil.
func Clone(v Value) Value {
	if IsNil(v) {
		return nil
	}
	switch v := v.(type) {
	case *Tensor:
		return v.Clone()
	case *Sequence:
		return &Sequence{Elems: cloneAll(v.Elems)}
	case *Optional:
		return &Optional{Elem: Clone(v.Elem)}
	case *Map:
		return &Map{key: v.key, ints: slices.Clone(v.ints), strs: slices.Clone(v.strs), vals: cloneAll(v.vals)}
	}
	return v
}

func cloneAll(vs []Value) []Value {
	out := make([]Value, len(vs))
	for i, v := range vs {
		out[i] = Clone(v)
	}
	return out
}

// IsNil reports whether v is nil or holds a nil pointer. Inlined, it takes 0.9 kB of a service.
//
//go:noinline
func IsNil(v Value) bool {
	switch v := v.(type) {
	case nil:
		return true
	case *Tensor:
		return v == nil
	case *Sequence:
		return v == nil
	case *Optional:
		return v == nil
	case *Map:
		return v == nil
	}
	return false
}

var errNilElement = errors.New("an element is nil")

// sameTypes checks that the values could have one static type. An empty sequence, optional or map fits
// any element type.
func sameTypes(vals iter.Seq[Value]) error {
	var first Value
	for v := range vals {
		if IsNil(v) {
			return errNilElement
		}
		if first == nil {
			first = v
			continue
		}
		if !sameType(first, v) {
			return errfmt.Errorf("elements have different types: %s and %s", kindString(first), kindString(v))
		}
		if isEmpty(first) {
			first = v
		}
	}
	return nil
}

func isEmpty(v Value) bool {
	switch v := v.(type) {
	case *Sequence:
		return len(v.Elems) == 0
	case *Optional:
		return v.Elem == nil
	case *Map:
		return len(v.vals) == 0
	}
	return false
}

func sameType(a, b Value) bool {
	switch a := a.(type) {
	case *Tensor:
		b, ok := b.(*Tensor)
		return ok && a.dt == b.dt
	case *Sequence:
		b, ok := b.(*Sequence)
		return ok && (isEmpty(a) || isEmpty(b) || sameType(a.Elems[0], b.Elems[0]))
	case *Optional:
		b, ok := b.(*Optional)
		return ok && (isEmpty(a) || isEmpty(b) || sameType(a.Elem, b.Elem))
	case *Map:
		b, ok := b.(*Map)
		return ok && a.key == b.key && (isEmpty(a) || isEmpty(b) || sameType(a.vals[0], b.vals[0]))
	case Token:
		_, ok := b.(Token)
		return ok
	}
	return false
}

func kindString(v Value) string {
	switch v := v.(type) {
	case *Tensor:
		return v.dt.String() + " tensor"
	case *Sequence:
		if !isEmpty(v) {
			return "sequence of " + kindString(v.Elems[0])
		}
		return "sequence"
	case *Optional:
		if !isEmpty(v) {
			return "optional " + kindString(v.Elem)
		}
		return "optional"
	case *Map:
		if !isEmpty(v) {
			return "map of " + v.key.String() + " to " + kindString(v.vals[0])
		}
		return "map of " + v.key.String()
	case Token:
		return "token"
	}
	return "nil"
}

func valueString(v Value) string {
	if IsNil(v) {
		return "<nil>"
	}
	return v.String()
}

// listString writes up to eight items and the number of the others.
func listString(n int, item func(int) string) string {
	const shown = 8
	parts := make([]string, 0, shown+1)
	for i := range min(n, shown) {
		parts = append(parts, item(i))
	}
	if n > shown {
		parts = append(parts, fmt.Sprintf("... %d more", n-shown))
	}
	return "[" + strings.Join(parts, ", ") + "]"
}
