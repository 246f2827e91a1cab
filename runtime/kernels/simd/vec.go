package simd

import (
	"unsafe"

	"github.com/graphrun/graphrun/runtime/kernels/portable"
)

//go:generate go run -C gen ./vec -out ../vec_amd64.s -stubs ../vec_stubs_amd64.go -pkg simd -tables ../vec_tables_amd64.go

// Vec computes n > 0 elements, one after the other in memory, of y from those of up to three operands. It reads and
// writes exactly these elements, whatever their alignment. An operand that the form says is a scalar is one element. y may be an
// operand that is a vector, but not overlap one otherwise. A call should be short, some thousand elements: a goroutine
// cannot be preempted in assembly.
//
// AVX2 and AVX-512 give the same bits. Functions of float32 are polynomials there, off by at most, over all float32:
//
//	exp 1.02  expm1 1.43  log 0.83  log1p 0.85  tanh 2.42  sigmoid 2.41  erf 1.13 ulp
//
// In plain Go they are rounded from float64.
type Vec func(n int, y, a, b, c *byte)

// maxOps is more than there are ops of a kind.
const maxOps = 32

// vecNumber is the number of a primitive; 0 is none, and a negative one takes the first two operands in each other's place.
type vecNumber int16

// vecTable holds the primitives for one element type, binary ones by form. As arrays they are data, which no init function makes.
type vecTable struct {
	unary   [maxOps]vecNumber
	binary  [maxOps][3]vecNumber
	ternary [maxOps][4]vecNumber
	compare [maxOps][2]vecNumber
	choose  [4]vecNumber
	reduce  [maxOps]vecNumber
}

var noVecs vecTable

// vecTableOf returns the table for T, an empty one where there is none. It is called rarely, in many places.
//
//go:noinline
func vecTableOf[T any]() *vecTable {
	var t *vecTable
	f32, f64 := vecTables()
	var zero T
	switch any(zero).(type) {
	case float32:
		t = f32
	case float64:
		t = f64
	}
	if t == nil {
		t = &noVecs
	}
	return t
}

func elems[T any](p *byte, n int) []T { return unsafe.Slice((*T)(unsafe.Pointer(p)), n) }

// UnaryVec returns the primitive of y = op(a).
func UnaryVec[T portable.Float](op portable.UnaryOp) Vec {
	if k := vecTableOf[T]().unary[op]; k != 0 {
		return vecOf(k)
	}
	return func(n int, y, a, _, _ *byte) { portable.Unary(op, elems[T](y, n), elems[T](a, n)) }
}

// lens returns how many elements the two operands of a form have.
func lens(form portable.Form, n int) (a, b int) {
	a, b = n, n
	if form == portable.SV || form == portable.SS {
		a = 1
	}
	if form == portable.VS || form == portable.SS {
		b = 1
	}
	return a, b
}

// BinaryVec returns the primitive of y = op(a, b).
func BinaryVec[T portable.Number](op portable.BinaryOp, form portable.Form) Vec {
	if k := vecTableOf[T]().binary[op][form]; k != 0 {
		return vecOf(k)
	}
	return func(n int, y, a, b, _ *byte) {
		la, lb := lens(form, n)
		portable.Binary(op, form, elems[T](y, n), elems[T](a, la), elems[T](b, lb))
	}
}

// TernaryVec returns the primitive of y = op(a, b, c), where the form is that of b and c.
func TernaryVec[T portable.Float](op portable.TernaryOp, form portable.Form) Vec {
	if k := vecTableOf[T]().ternary[op][form]; k != 0 {
		return vecOf(k)
	}
	return func(n int, y, a, b, c *byte) {
		lb, lc := lens(form, n)
		portable.Ternary(op, form, elems[T](y, n), elems[T](a, n), elems[T](b, lb), elems[T](c, lc))
	}
}

// CompareVec returns the primitive of the truth values y = a op b, for the forms VV and VS.
func CompareVec[T float32 | float64 | int32 | int64 | uint8](op portable.CompareOp, form portable.Form) Vec {
	if k := vecTableOf[T]().compare[op][form]; k != 0 {
		return vecOf(k)
	}
	return func(n int, y, a, b, _ *byte) {
		la, lb := lens(form, n)
		portable.Compare(op, form, elems[bool](y, n), elems[T](a, la), elems[T](b, lb))
	}
}

// SelectVec returns the primitive of y = b where the truth value a holds, else c; the form is that of b and c.
func SelectVec[T bool | float32 | float64 | int32 | int64](form portable.Form) Vec {
	var zero T
	t := vecTableOf[T]()
	switch any(zero).(type) { // bits are moved, whatever they mean
	case int32:
		t = vecTableOf[float32]()
	case int64:
		t = vecTableOf[float64]()
	}
	if k := t.choose[form]; k != 0 {
		return vecOf(k)
	}
	return func(n int, y, a, b, c *byte) {
		lb, lc := lens(form, n)
		portable.Select(form, elems[T](y, n), elems[bool](a, n), elems[T](b, lb), elems[T](c, lc))
	}
}

// FoldVec returns the primitive that reduces a to the one element y, by Sum, MaxOf or MinOf. The tree of a sum depends on n
// only.
func FoldVec[T portable.Float](op portable.ReduceOp) Vec {
	if k := vecTableOf[T]().reduce[op]; k != 0 {
		return vecOf(k)
	}
	return func(n int, y, a, _, _ *byte) { elems[T](y, 1)[0] = portable.Fold(op, elems[T](a, n)) }
}
