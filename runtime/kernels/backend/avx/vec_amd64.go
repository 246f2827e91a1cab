//go:build amd64 && !noasm

package avx

import "github.com/graphrun/graphrun/runtime/kernels/backend"

// The primitives: AVX2 and AVX-512 give the same bits. Functions of float32 are polynomials, off by at most, over all float32:
//
//	exp 1.02  expm1 1.43  log 0.83  log1p 0.85  tanh 2.42  sigmoid 2.41  erf 1.13 ulp
//
// In plain Go they are rounded from float64.

// vecNumber is the number of a primitive; 0 is none, and a negative one takes the first two operands in each other's place.
type vecNumber int16

// vecTable holds the primitives for one element type as backend.Elements does. As arrays they are data.
type vecTable struct {
	unary   [backend.UnaryOps]vecNumber
	binary  [backend.BinaryOps][backend.SS]vecNumber
	ternary [backend.TernaryOps][backend.Forms]vecNumber
	compare [backend.CompareOps][backend.SV]vecNumber
	choose  [backend.Forms]vecNumber
	reduce  [backend.ReduceOps]vecNumber
	to      [1]vecNumber // the other type of floats
}

// fillVecs puts in the primitives of a table.
func fillVecs(e *backend.Elements, t *vecTable, wide bool) {
	for op, number := range t.unary {
		fillVec(&e.Unary[op], number, wide)
	}
	for op := range t.binary {
		for form, number := range t.binary[op] {
			fillVec(&e.Binary[op][form], number, wide)
		}
	}
	for op := range t.ternary {
		for form, number := range t.ternary[op] {
			fillVec(&e.Ternary[op][form], number, wide)
		}
	}
	for op := range t.compare {
		for form, number := range t.compare[op] {
			fillVec(&e.Compare[op][form], number, wide)
		}
	}
	for form, number := range t.choose {
		fillVec(&e.Select[form], number, wide)
	}
	for op, number := range t.reduce {
		fillVec(&e.Fold[op], number, wide)
	}
	other := &e.To.F64
	if t == &vecF64 {
		other = &e.To.F32
	}
	fillVec(other, t.to[0], wide)
}

// dearest is the cost of the polynomials; it bounds that of all primitives.
const dearest = 10

// fillVec puts in a primitive, if there is one of the number.
//
//go:noinline
func fillVec(p *backend.Primitive, number vecNumber, wide bool) {
	if number == 0 {
		return
	}
	kernel := max(int(number), -int(number))
	if wide {
		kernel += vecWide
	}
	p.Do, p.Cost = func(n int, y, a, b, c *byte) { vecCall(n, y, a, b, c, kernel) }, min(p.Cost, dearest)
	if number < 0 {
		p.Do = func(n int, y, a, b, c *byte) { vecCall(n, y, b, a, c, kernel) }
	}
}
