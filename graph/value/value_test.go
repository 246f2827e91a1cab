package value

import (
	"slices"
	"testing"
)

func TestSequence(t *testing.T) {
	a, b := Scalar(float32(1)), must[*Tensor](t)(New(F32, 2))
	s := must[*Sequence](t)(NewSequence(a, b))
	if s.Len() != 2 || s.String() != "sequence[f32[] 1, f32[2] [0 0]]" {
		t.Errorf("got %v", s)
	}
	_, err := NewSequence(a, Scalar(1.5))
	wantErr(t, err, "f32 tensor and f64 tensor")
	_, err = NewSequence(a, nil)
	wantErr(t, err, "nil")
	_, err = NewSequence((*Tensor)(nil))
	wantErr(t, err, "nil")
	_, err = NewSequence(s, None())
	wantErr(t, err, "sequence of f32 tensor and optional")

	// An empty element fits any element type, but the others have to agree.
	empty := must[*Sequence](t)(NewSequence())
	must[*Sequence](t)(NewSequence(empty, s, empty))
	ints := must[*Sequence](t)(NewSequence(Scalar(int8(1))))
	_, err = NewSequence(empty, s, ints)
	wantErr(t, err, "sequence of f32 tensor and sequence of i8 tensor")
}

func TestOptional(t *testing.T) {
	a := Scalar(float32(1))
	if v, ok := Some(a).Get(); !ok || v != Value(a) {
		t.Errorf("got %v, %v", v, ok)
	}
	for _, o := range []*Optional{None(), Some(nil), Some((*Tensor)(nil))} {
		if v, ok := o.Get(); ok {
			t.Errorf("got %v", v)
		}
	}
	if Some(a).String() != "some(f32[] 1)" || None().String() != "none" {
		t.Errorf("got %v, %v", Some(a), None())
	}
}

func TestMap(t *testing.T) {
	m := must[*Map](t)(NewMap(map[int64]Value{5: Scalar("b"), -1: Scalar("a")}))
	if m.KeyType() != I64 || m.Len() != 2 || m.String() != `map[-1: string[] "a", 5: string[] "b"]` {
		t.Errorf("got %v", m)
	}
	var keys []any
	for k := range m.All() {
		keys = append(keys, k)
	}
	if !slices.Equal(keys, []any{int64(-1), int64(5)}) {
		t.Errorf("got keys %v", keys)
	}
	if v, ok := m.GetInt(5); !ok || v.String() != `string[] "b"` {
		t.Errorf("got %v, %v", v, ok)
	}
	if v, ok := m.GetInt(4); ok {
		t.Errorf("got %v", v)
	}
	if v, ok := m.GetString("5"); ok {
		t.Errorf("got %v", v)
	}
	s := must[*Map](t)(NewMap(map[string]Value{"b": Token{}, "a": Token{}}))
	if v, ok := s.GetString("a"); !ok || v != (Token{}) || s.KeyType() != String || s.String() != `map["a": token, "b": token]` {
		t.Errorf("got %v", s)
	}
	for k := range s.All() {
		if k != "a" {
			t.Errorf("got key %v first", k)
		}
		break
	}
	_, err := NewMap(map[string]Value{"a": nil})
	wantErr(t, err, "nil")
	_, err = NewMap(map[string]Value{"a": Token{}, "b": None()})
	wantErr(t, err, "token and optional")
	if (&Map{}).KeyType() != Invalid || (&Map{}).Len() != 0 {
		t.Error("the zero Map")
	}
}

func TestEqualAndClone(t *testing.T) {
	x := Scalar(float32(1))
	values := []Value{
		nil,
		x, Scalar(float32(2)), Scalar(1.0),
		must[*Sequence](t)(NewSequence()), must[*Sequence](t)(NewSequence(x)), must[*Sequence](t)(NewSequence(x, x)),
		None(), Some(x), Some(None()),
		must[*Map](t)(NewMap(map[int64]Value{})), must[*Map](t)(NewMap(map[string]Value{})),
		must[*Map](t)(NewMap(map[int64]Value{1: x})), must[*Map](t)(NewMap(map[int64]Value{2: x})),
		must[*Map](t)(NewMap(map[int64]Value{1: Scalar(float32(2))})),
		Token{},
	}
	for i, a := range values {
		for j, b := range values {
			if got := Equal(a, b); got != (i == j) {
				t.Errorf("%v equals %v: got %v", a, b, got)
			}
		}
		if c := Clone(a); !Equal(a, c) {
			t.Errorf("the clone of %v is %v", a, c)
		}
	}
	if !Equal(nil, (*Sequence)(nil)) || Clone((*Map)(nil)) != nil {
		t.Error("a nil pointer is not taken for nil")
	}
	s := must[*Sequence](t)(NewSequence(x.Clone()))
	c := Clone(s).(*Sequence)
	elems[float32](c.Elems[0].(*Tensor))[0] = 7
	if Equal(s, c) {
		t.Error("the clone of a sequence shares memory")
	}
}
