package vector

import (
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
