package vector

import (
	"fmt"
	"math"

	"github.com/mmcloughlin/avo/attr"
	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// Elem is an element type: its methods write the instruction for it.
type Elem struct {
	Name, Go string
	Size     int
}

// The element types.
var (
	Float32 = Elem{"F32", "float32", 4}
	Float64 = Elem{"F64", "float64", 8}
)

// Move copies a vector between registers and memory.
func (e Elem) Move(src, dst Op) {
	if e.Size == 4 {
		VMOVUPS(src, dst)
	} else {
		VMOVUPD(src, dst)
	}
}

// LoadMasked loads the lanes of a mask, a register of masks or a vector of ones by lane, and zeros into the others.
func (e Elem) LoadMasked(m Mem, mask, v Op) {
	wide := mask.(reg.Register).Kind() == reg.KindOpmask
	switch {
	case wide && e.Size == 4:
		VMOVUPS_Z(m, mask, v)
	case wide:
		VMOVUPD_Z(m, mask, v)
	case e.Size == 4:
		VMASKMOVPS(m, mask, v)
	default:
		VMASKMOVPD(m, mask, v)
	}
}

// StoreMasked stores the lanes of a mask.
func (e Elem) StoreMasked(v, mask Op, m Mem) {
	wide := mask.(reg.Register).Kind() == reg.KindOpmask
	switch {
	case wide && e.Size == 4:
		VMOVUPS(v, mask, m)
	case wide:
		VMOVUPD(v, mask, m)
	case e.Size == 4:
		VMASKMOVPS(v, mask, m)
	default:
		VMASKMOVPD(v, mask, m)
	}
}

// Broadcast fills all lanes with one element.
func (e Elem) Broadcast(m Mem, v reg.VecVirtual) {
	if e.Size == 4 {
		VBROADCASTSS(m, v)
	} else {
		VBROADCASTSD(m, v)
	}
}

// FMA adds x*y to acc.
func (e Elem) FMA(x, y, acc Op) {
	if e.Size == 4 {
		VFMADD231PS(x, y, acc)
	} else {
		VFMADD231PD(x, y, acc)
	}
}

// Add adds x to acc.
func (e Elem) Add(x, acc Op) {
	if e.Size == 4 {
		VADDPS(x, acc, acc)
	} else {
		VADDPD(x, acc, acc)
	}
}

// Bytes turns a number of elements into one of bytes.
func (e Elem) Bytes(r reg.Register) {
	if e.Size == 4 {
		SHLQ(Imm(2), r)
	} else {
		SHLQ(Imm(3), r)
	}
}

var constants = map[string]Mem{}

// Bits returns a memory operand that has the bits in every lane of the widest vector.
func (e Elem) Bits(b uint64) Mem {
	name := fmt.Sprintf("lanes%s_%x", e.Name, b)
	m, ok := constants[name]
	if !ok {
		m = GLOBL(name, attr.RODATA|attr.NOPTR)
		for i := range 64 / e.Size {
			if e.Size == 4 {
				DATA(4*i, U32(b))
			} else {
				DATA(8*i, U64(b))
			}
		}
		constants[name] = m
	}
	return m
}

// Const returns a memory operand that is x in every lane.
func (e Elem) Const(x float64) Mem {
	if e.Size == 4 {
		return e.Bits(uint64(math.Float32bits(float32(x))))
	}
	return e.Bits(math.Float64bits(x))
}
