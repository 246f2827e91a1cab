// Package vector writes vector code for AVX2 and AVX-512 from one description: registers as wide as the instruction set has them,
// instructions by element type, constants, the elements that do not fill a register, and the exponential.
package vector

import (
	"fmt"
	"math"

	"github.com/mmcloughlin/avo/attr"
	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// ISA is an instruction set by the width of its registers.
type ISA struct {
	Name  string
	Bytes int
}

// The instruction sets.
var (
	AVX2   = ISA{"AVX2", 32}
	AVX512 = ISA{"AVX512", 64}
)

// Wide reports whether there are mask registers.
func (s ISA) Wide() bool { return s.Bytes == 64 }

// Lanes returns the number of float32 in a register.
func (s ISA) Lanes() int { return s.Bytes / 4 }

// Register returns a new register.
func (s ISA) Register() reg.VecVirtual {
	if s.Wide() {
		return ZMM()
	}
	return YMM()
}

// Zero sets all lanes to zero.
func (s ISA) Zero(v reg.VecVirtual) {
	if s.Wide() {
		VPXORD(v, v, v)
	} else {
		VXORPS(v, v, v)
	}
}

// Or and Xor combine bits.
func (s ISA) Or(a Op, b, to reg.VecVirtual) {
	if s.Wide() {
		VPORD(a, b, to)
	} else {
		VPOR(a, b, to)
	}
}

// Xor is exclusive or.
func (s ISA) Xor(a Op, b, to reg.VecVirtual) {
	if s.Wide() {
		VPXORD(a, b, to)
	} else {
		VPXOR(a, b, to)
	}
}

var labels int

func newLabel(name string) string {
	labels++
	return fmt.Sprintf("%s%d", name, labels)
}

// Tail is the float32 at the end that do not fill a register.
type Tail struct {
	s     ISA
	count reg.GPVirtual
	k     reg.OpmaskVirtual
	mask  reg.VecVirtual
}

var window *Mem

// NewTail prepares for count float32, fewer than fill a register.
func (s ISA) NewTail(count reg.GPVirtual) Tail {
	t := Tail{s: s, count: count}
	if s.Wide() {
		t.k = K()
		bits := GP64()
		MOVQ(I32(-1), bits)
		BZHIQ(count, bits, bits)
		KMOVW(bits.As32(), t.k)
		return t
	}
	if window == nil {
		m := GLOBL("window", attr.RODATA|attr.NOPTR)
		for i := range 16 {
			w := uint32(0)
			if i < 8 {
				w = math.MaxUint32
			}
			DATA(4*i, U32(w))
		}
		window = &m
	}
	t.mask = YMM()
	at, from := GP64(), GP64()
	LEAQ(*window, at)
	MOVQ(U32(8), from)
	SUBQ(count, from)
	VMOVUPS(Mem{Base: at, Index: from, Scale: 4}, t.mask)
	return t
}

// Load reads the tail; the other lanes become zero.
func (t Tail) Load(m Mem, v reg.VecVirtual) {
	if t.s.Wide() {
		VMOVUPS_Z(m, t.k, v)
	} else {
		VMASKMOVPS(m, t.mask, v)
	}
}

// LoadOver reads the tail; the other lanes become those of fill.
func (t Tail) LoadOver(m Mem, fill, v reg.VecVirtual) {
	if t.s.Wide() {
		VMOVAPS(fill, v)
		VMOVUPS(m, t.k, v)
		return
	}
	VMASKMOVPS(m, t.mask, v)
	VBLENDVPS(t.mask, v, fill, v)
}

// Clear zeroes the lanes that are not in the tail.
func (t Tail) Clear(v reg.VecVirtual) {
	if t.s.Wide() {
		VMOVAPS_Z(v, t.k, v)
	} else {
		VANDPS(t.mask, v, v)
	}
}

// Store writes the tail, and with AVX2 destroys v: masked stores are slow on some processors.
func (t Tail) Store(v reg.VecVirtual, m Mem) {
	if t.s.Wide() {
		VMOVUPS(v, t.k, m)
		return
	}
	x, at := v.AsX(), GP64()
	LEAQ(m, at)
	two, one, done := newLabel("two"), newLabel("one"), newLabel("stored")
	TESTB(Imm(4), t.count.As8())
	JZ(LabelRef(two))
	VMOVUPS(x, Mem{Base: at})
	VEXTRACTF128(Imm(1), v, x)
	ADDQ(Imm(16), at)
	Label(two)
	TESTB(Imm(2), t.count.As8())
	JZ(LabelRef(one))
	VMOVLPS(x, Mem{Base: at})
	VMOVHLPS(x, x, x)
	ADDQ(Imm(8), at)
	Label(one)
	TESTB(Imm(1), t.count.As8())
	JZ(LabelRef(done))
	VMOVSS(x, Mem{Base: at})
	Label(done)
}

// Horizontal leaves in lane 0 of the lowest part of v the combination of all lanes, of 8 bytes if double, else of 4, and returns
// that part.
func (s ISA) Horizontal(v reg.VecVirtual, double bool, combine func(a Op, b, to reg.VecVirtual)) reg.VecVirtual {
	if s.Wide() {
		high := YMM()
		VEXTRACTF64X4(Imm(1), v, high)
		low := YMM()
		VMOVAPS(v.AsY(), low)
		combine(high, low, low)
		v = low
	}
	high, low := XMM(), XMM()
	VEXTRACTF128(Imm(1), v, high)
	VMOVAPS(v.AsX(), low)
	combine(high, low, low)
	VMOVHLPS(low, low, high)
	combine(high, low, low)
	if !double {
		VMOVSHDUP(low, high)
		combine(high, low, low)
	}
	return low
}

// ExpPolynomial is p, highest power first, in e^r = 1 + r + r^2*p(r) for |r| <= log(2)/2, as in Cephes' expf (Moshier).
var ExpPolynomial = []float32{
	1.9875691500e-4, 1.3981999507e-3, 8.3334519073e-3, 4.1665795894e-2, 1.6666665459e-1, 5.0000001201e-1,
}

// Exp replaces each lane of x by its exponential, to within one unit in the last place, subnormal results included: x is taken
// apart into n*log(2) + r with |r| <= log(2)/2, e^r is computed by ExpPolynomial, and 2^n is multiplied in two steps.
func (s ISA) Exp(x reg.VecVirtual) {
	n, e, p := s.Register(), s.Register(), s.Register()
	// Beyond these the result is 0 and Inf. The operand that NaN selects is x.
	limit := s.Register()
	VMOVUPS(Float32.Const(-105), limit)
	VMAXPS(x, limit, x)
	VMOVUPS(Float32.Const(89), limit)
	VMINPS(x, limit, x)
	VMULPS(Float32.Const(math.Log2E), x, e)
	VCVTPS2DQ(e, n)
	VCVTDQ2PS(n, e)
	VFNMADD231PS(Float32.Const(0x1.62e43p-1), e, x)
	VFNMADD231PS(Float32.Const(-1.904654323148236017e-09), e, x)
	VMOVUPS(Float32.Const(float64(ExpPolynomial[0])), p)
	for _, c := range ExpPolynomial[1:] {
		VFMADD213PS(Float32.Const(float64(c)), x, p)
	}
	sq := s.Register()
	VMULPS(x, x, sq)
	VFMADD213PS(x, sq, p)
	VADDPS(Float32.Const(1), p, p)
	if s.Wide() {
		VSCALEFPS(e, p, x)
		return
	}
	half := s.Register()
	VPSRAD(Imm(1), n, half)
	VPSUBD(half, n, n)
	for _, k := range []reg.VecVirtual{half, n} {
		VPADDD(Float32.Bits(127), k, k)
		VPSLLD(Imm(23), k, k)
	}
	VMULPS(half, p, p)
	VMULPS(n, p, x)
}
