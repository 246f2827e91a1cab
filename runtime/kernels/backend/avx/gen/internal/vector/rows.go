package vector

import (
	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// Row returns the address of row i of rows that are a stride apart. bases are those of every fourth row, and three is three times the
// stride, which up to three rows do not need.
func Row(bases []reg.Register, stride, three reg.Register, i int) Mem {
	m := Mem{Base: bases[i/4]}
	switch i % 4 {
	case 1, 2:
		m.Index, m.Scale = stride, uint8(i%4)
	case 3:
		m.Index, m.Scale = three, 1
	}
	return m
}

// RowsOrFirst returns the addresses of a number of rows that are a stride apart, of which those from count on are the first.
func RowsOrFirst(src, stride, count reg.Register, number int) []reg.Register {
	rows := []reg.Register{src}
	next := GP64()
	MOVQ(src, next)
	for i := 1; i < number; i++ {
		r := GP64()
		ADDQ(stride, next)
		MOVQ(next, r)
		CMPQ(count, Imm(uint64(i)))
		CMOVQLE(src, r)
		rows = append(rows, r)
	}
	return rows
}

// Transpose loads the rows of a square block of 32 bytes, of which load reads the second half if high, and returns the registers that then
// hold the columns: r or t.
func (e Elem) Transpose(r, t []reg.VecVirtual, load func(row int, high bool) Mem) []reg.VecVirtual {
	half := len(r) / 2
	for i := range half {
		e.Move(load(i, false), r[i].AsX())
		VINSERTF128(Imm(1), load(i+half, false), r[i], r[i])
		e.Move(load(i, true), r[i+half].AsX())
		VINSERTF128(Imm(1), load(i+half, true), r[i+half], r[i+half])
	}
	if e.Size == 8 {
		for h := 0; h < 4; h += 2 {
			VUNPCKLPD(r[h+1], r[h], t[h])
			VUNPCKHPD(r[h+1], r[h], t[h+1])
		}
		return t
	}
	for h := 0; h < 8; h += 4 {
		VUNPCKLPS(r[h+1], r[h], t[h])
		VUNPCKHPS(r[h+1], r[h], t[h+1])
		VUNPCKLPS(r[h+3], r[h+2], t[h+2])
		VUNPCKHPS(r[h+3], r[h+2], t[h+3])
		VUNPCKLPD(t[h+2], t[h], r[h])
		VUNPCKHPD(t[h+2], t[h], r[h+1])
		VUNPCKLPD(t[h+3], t[h+1], r[h+2])
		VUNPCKHPD(t[h+3], t[h+1], r[h+3])
	}
	return r
}
