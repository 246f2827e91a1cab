package main

import (
	"math"

	"github.com/mmcloughlin/avo/attr"
	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"

	"github.com/graphrun/graphrun/runtime/kernels/backend/avx/gen/internal/vector"
)

// elem is an element type with the bits of its infinity and sign.
type elem struct {
	vector.Elem
	inf, signBit uint64
}

var (
	isas = []vector.ISA{vector.AVX2, vector.AVX512}

	f32 = elem{vector.Float32, 0x7f800000, 1 << 31}
	f64 = elem{vector.Float64, 0x7ff << 52, 1 << 63}
)

// The predicates of comparisons.
const (
	cmpEQ    = 0x00
	cmpUnord = 0x03
	cmpNE    = 0x04
	cmpNEO   = 0x0c // false with NaN
	cmpLT    = 0x11
	cmpLE    = 0x12
	cmpNGE   = 0x19 // true with NaN
	cmpGE    = 0x1d
	cmpGT    = 0x1e
)

// unit writes instructions for one instruction set and element type. Its methods return new registers.
type unit struct {
	s vector.ISA
	e elem
}

func (u unit) wide() bool { return u.s.Wide() }

func (u unit) lanes() int { return u.s.Bytes / u.e.Size }

func (u unit) new() reg.VecVirtual { return u.s.Register() }

// op picks the instruction for the element type.
func (u unit) op(ps, pd func(ops ...Op), ops ...Op) reg.VecVirtual {
	y := u.new()
	f := ps
	if u.e.Size == 8 {
		f = pd
	}
	f(append(ops, y)...)
	return y
}

func (u unit) load(m Mem) reg.VecVirtual { return u.op(VMOVUPS, VMOVUPD, m) }

func (u unit) broadcast(m Mem) reg.VecVirtual {
	y := u.new()
	u.e.Broadcast(m, y)
	return y
}

func (u unit) move(x, y reg.VecVirtual) {
	if u.e.Size == 8 {
		VMOVAPD(x, y)
	} else {
		VMOVAPS(x, y)
	}
}

func (u unit) store(x reg.VecVirtual, m Mem) { u.e.Move(x, m) }

func (u unit) zero() reg.VecVirtual {
	y := u.new()
	u.s.Zero(y)
	return y
}

func (u unit) add(a reg.VecVirtual, b Op) reg.VecVirtual { return u.op(VADDPS, VADDPD, b, a) }
func (u unit) sub(a reg.VecVirtual, b Op) reg.VecVirtual { return u.op(VSUBPS, VSUBPD, b, a) }
func (u unit) mul(a reg.VecVirtual, b Op) reg.VecVirtual { return u.op(VMULPS, VMULPD, b, a) }
func (u unit) div(a reg.VecVirtual, b Op) reg.VecVirtual { return u.op(VDIVPS, VDIVPD, b, a) }
func (u unit) and(a Op, b reg.VecVirtual) reg.VecVirtual { return u.op(VANDPS, VANDPD, a, b) }
func (u unit) or(a Op, b reg.VecVirtual) reg.VecVirtual  { return u.op(VORPS, VORPD, a, b) }
func (u unit) xor(a Op, b reg.VecVirtual) reg.VecVirtual { return u.op(VXORPS, VXORPD, a, b) }
func (u unit) sqrt(x Op) reg.VecVirtual                  { return u.op(VSQRTPS, VSQRTPD, x) }

// maxRaw and minRaw return b if either is NaN or both are zero.
func (u unit) maxRaw(a reg.VecVirtual, b Op) reg.VecVirtual { return u.op(VMAXPS, VMAXPD, b, a) }
func (u unit) minRaw(a reg.VecVirtual, b Op) reg.VecVirtual { return u.op(VMINPS, VMINPD, b, a) }

// max takes NaN over numbers and +0 over -0: the two orders of operands differ in these cases only.
func (u unit) max(a, b reg.VecVirtual) reg.VecVirtual {
	return u.orAll(u.cmp(cmpUnord, a, b), u.and(u.maxRaw(a, b), u.maxRaw(b, a)))
}

func (u unit) min(a, b reg.VecVirtual) reg.VecVirtual {
	return u.orAll(u.cmp(cmpUnord, a, b), u.or(u.minRaw(a, b), u.minRaw(b, a)))
}

func (u unit) abs(x reg.VecVirtual) reg.VecVirtual { return u.and(u.bits(u.e.signBit-1), x) }

func (u unit) sign() Mem { return u.bits(u.e.signBit) }

// withSign gives x, whose sign bit is clear, the sign of y.
func (u unit) withSign(x, y reg.VecVirtual) reg.VecVirtual { return u.or(u.and(u.sign(), y), x) }

func (u unit) signum(x reg.VecVirtual) reg.VecVirtual {
	return u.blend(u.cmp(cmpNEO, x, u.zero()), u.withSign(u.load(u.c(1)), x), x)
}

func (u unit) round(mode uint64, x reg.VecVirtual) reg.VecVirtual {
	y := u.new()
	switch {
	case u.wide() && u.e.Size == 4:
		VRNDSCALEPS(Imm(mode), x, y)
	case u.wide():
		VRNDSCALEPD(Imm(mode), x, y)
	case u.e.Size == 4:
		VROUNDPS(Imm(mode), x, y)
	default:
		VROUNDPD(Imm(mode), x, y)
	}
	return y
}

// horner sets y to y*x + c.
func (u unit) horner(y, x reg.VecVirtual, c Op) {
	if u.e.Size == 8 {
		VFMADD213PD(c, x, y)
	} else {
		VFMADD213PS(c, x, y)
	}
}

// mulAdd returns a*b + c, rounded once.
func (u unit) mulAdd(a reg.VecVirtual, b Op, c reg.VecVirtual) reg.VecVirtual {
	y := u.new()
	u.move(c, y)
	u.e.FMA(b, a, y)
	return y
}

// subMul returns c - a*b, rounded once.
func (u unit) subMul(c, a reg.VecVirtual, b Op) reg.VecVirtual {
	y := u.new()
	u.move(c, y)
	if u.e.Size == 8 {
		VFNMADD231PD(b, a, y)
	} else {
		VFNMADD231PS(b, a, y)
	}
	return y
}

// Integer operations on lanes of 32 bits.

func (u unit) int(f func(ops ...Op), ops ...Op) reg.VecVirtual {
	y := u.new()
	f(append(ops, y)...)
	return y
}

// pred is the truth of a condition by lane: all bits of a lane, or a mask register.
type pred struct {
	v reg.VecVirtual
	k reg.OpmaskVirtual
}

// cmp compares a with b.
func (u unit) cmp(predicate uint64, a, b reg.VecVirtual) pred {
	var p pred
	var y Op
	if u.wide() {
		p.k = K()
		y = p.k
	} else {
		p.v = u.new()
		y = p.v
	}
	if u.e.Size == 8 {
		VCMPPD(Imm(predicate), b, a, y)
	} else {
		VCMPPS(Imm(predicate), b, a, y)
	}
	return p
}

// blend returns yes where p holds, else no.
func (u unit) blend(p pred, yes, no reg.VecVirtual) reg.VecVirtual {
	y := u.new()
	switch {
	case u.wide() && u.e.Size == 4:
		VBLENDMPS(yes, no, p.k, y)
	case u.wide():
		VBLENDMPD(yes, no, p.k, y)
	case u.e.Size == 4:
		VBLENDVPS(p.v, yes, no, y)
	default:
		VBLENDVPD(p.v, yes, no, y)
	}
	return y
}

// orAll returns x with all bits set where p holds: a NaN.
func (u unit) orAll(p pred, x reg.VecVirtual) reg.VecVirtual {
	if u.wide() {
		return u.blend(p, u.load(u.bits(math.MaxUint64>>(64-8*u.e.Size))), x)
	}
	return u.or(p.v, x)
}

func (u unit) bits(b uint64) Mem { return u.e.Bits(b) }

func (u unit) c(x float64) Mem { return u.e.Const(x) }

var tables = map[string]Mem{}

// table declares constant bytes.
func table(name string, bytes []byte) Mem {
	m, ok := tables[name]
	if !ok {
		m = GLOBL(name, attr.RODATA|attr.NOPTR)
		for i, b := range bytes {
			DATA(i, U8(b))
		}
		tables[name] = m
	}
	return m
}

// tail is the lanes of the last, partial vector.
type tail struct {
	left reg.Register // how many elements there are
	p    pred
}

func (u unit) tail(left reg.Register) tail {
	t := tail{left: left}
	if u.wide() {
		t.p.k = K()
		bits := GP64()
		MOVQ(I64(-1), bits)
		BZHIQ(left, bits, bits)
		KMOVQ(bits, t.p.k)
		return t
	}
	// As many lanes of ones as there are elements, by where the load starts.
	ones := make([]byte, 64)
	for i := range 32 {
		ones[i] = 0xff
	}
	from := GP64()
	LEAQ(table("vecTail", ones), from)
	back := GP64()
	MOVQ(left, back)
	NEGQ(back)
	t.p.v = u.new()
	u.e.Move(Mem{Base: from, Index: back, Scale: uint8(u.e.Size), Disp: 32}, t.p.v)
	return t
}

// mask returns the condition as an operand.
func (p pred) mask() Op {
	if p.k != nil {
		return p.k
	}
	return p.v
}

// maskLoad loads zeros into lanes that do not exist.
func (u unit) maskLoad(t tail, m Mem) reg.VecVirtual {
	y := u.new()
	u.e.LoadMasked(m, t.p.mask(), y)
	return y
}

func (u unit) maskStore(t tail, x reg.VecVirtual, m Mem) { u.e.StoreMasked(x, t.p.mask(), m) }

// only returns x in the lanes that exist and y in others.
func (u unit) only(t tail, x, y reg.VecVirtual) reg.VecVirtual { return u.blend(t.p, x, y) }

// truth turns bytes 0 and 1 into a condition.
func (u unit) truth(m Mem) pred {
	x := XMM()
	switch {
	case u.lanes() == 16:
		VMOVDQU(m, x)
	case u.lanes() == 8:
		VMOVQ(m, x)
	default:
		VMOVD(m, x)
	}
	return u.truthOf(x)
}

func (u unit) truthOf(x reg.VecVirtual) pred {
	if u.wide() {
		k := K()
		VPTESTMB(x, x, k)
		return pred{k: k}
	}
	y := YMM()
	if u.e.Size == 4 {
		VPMOVZXBD(x, y)
		VPSLLD(Imm(31), y, y)
	} else {
		VPMOVZXBQ(x, y)
		VPSLLQ(Imm(63), y, y)
	}
	return pred{v: y}
}

// tailTruth is truth for the bytes at base of the last, partial vector.
func (u unit) tailTruth(t tail, base reg.Register) pred {
	x := XMM()
	if u.wide() {
		VMOVDQU8_Z(Mem{Base: base}, t.p.k, x)
		return u.truthOf(x)
	}
	bytes, one, at := GP64(), GP64(), GP64()
	XORQ(bytes, bytes)
	MOVQ(t.left, at)
	Label("byte")
	SHLQ(Imm(8), bytes)
	MOVBQZX(Mem{Base: base, Index: at, Scale: 1, Disp: -1}, one)
	ORQ(one, bytes)
	DECQ(at)
	JNZ(LabelRef("byte"))
	VMOVQ(bytes, x)
	return u.truthOf(x)
}

// truths is what storing conditions as bytes needs.
type truths struct {
	ones, order reg.VecVirtual
	bytes       reg.Register
}

func (u unit) newTruths() (o truths) {
	ones := make([]byte, 32)
	for i := range ones {
		ones[i] = 1
	}
	m := table("vecOnes", ones)
	switch {
	case u.wide():
		o.ones = XMM()
		VMOVDQU(m, o.ones)
	default:
		o.bytes = GP64()
		MOVQ(m, o.bytes)
		if u.e.Size == 4 {
			o.ones, o.order = YMM(), YMM()
			VMOVDQU(m, o.ones)
			order := make([]byte, 32)
			for i, from := range []byte{0, 4, 1, 5, 2, 6, 3, 7} {
				order[4*i] = from
			}
			VMOVDQU(table("vecOrder", order), o.order)
		}
	}
	return o
}

// storeTruths stores conditions as bytes 0 and 1.
func (u unit) storeTruths(o truths, p []pred, y reg.Register) {
	switch {
	case u.wide():
		for i := range p {
			x := XMM()
			VMOVDQU8_Z(o.ones, p[i].k, x)
			if u.e.Size == 4 {
				VMOVDQU(x, Mem{Base: y, Disp: 16 * i})
			} else {
				VMOVQ(x, Mem{Base: y, Disp: 8 * i})
			}
		}
	case u.e.Size == 4 && len(p) == 4:
		lo, hi := YMM(), YMM()
		VPACKSSDW(p[1].v, p[0].v, lo)
		VPACKSSDW(p[3].v, p[2].v, hi)
		VPACKSSWB(hi, lo, lo)
		VPAND(o.ones, lo, lo)
		VPERMD(lo, o.order, lo)
		VMOVDQU(lo, Mem{Base: y})
	default:
		for i := range p {
			bytes := u.spread(o, p[i])
			if u.e.Size == 4 {
				MOVQ(bytes, Mem{Base: y, Disp: 8 * i})
			} else {
				MOVL(bytes.(reg.GPVirtual).As32(), Mem{Base: y, Disp: 4 * i})
			}
		}
	}
}

// spread turns a condition of up to 8 lanes into bytes.
func (u unit) spread(o truths, p pred) reg.Register {
	bits := GP64()
	if u.e.Size == 4 {
		VMOVMSKPS(p.v, bits.As32())
	} else {
		VMOVMSKPD(p.v, bits.As32())
	}
	PDEPQ(o.bytes, bits, bits)
	return bits
}

func (u unit) storeTailTruth(o truths, t tail, p pred, y reg.Register) {
	if u.wide() {
		x := XMM()
		VMOVDQU8_Z(o.ones, p.k, x)
		VMOVDQU8(x, t.p.k, Mem{Base: y})
		return
	}
	bytes := u.spread(o, p)
	at := GP64()
	XORQ(at, at)
	Label("byte")
	MOVB(bytes.(reg.GPVirtual).As8(), Mem{Base: y, Index: at, Scale: 1})
	SHRQ(Imm(8), bytes)
	INCQ(at)
	CMPQ(at, t.left)
	JLT(LabelRef("byte"))
}

// fold combines the lanes of acc, the upper half with the lower, and stores the one that is left.
func (u unit) fold(acc reg.VecVirtual, f combine, y reg.Register) {
	if u.wide() {
		low, high := YMM(), YMM()
		VEXTRACTF64X4(Imm(1), acc, high)
		VMOVAPS(acc.AsY(), low)
		u = unit{vector.AVX2, u.e}
		acc = f(u, low, high)
	}
	// Whole vectors of 32 bytes are combined; their upper parts do not matter.
	high := YMM()
	VEXTRACTF128(Imm(1), acc, high.AsX())
	acc = f(u, acc, high)
	high = YMM()
	VPERMILPD(Imm(1), acc, high)
	acc = f(u, acc, high)
	if u.e.Size == 8 {
		VMOVSD(acc.AsX(), Mem{Base: y})
		return
	}
	high = YMM()
	VPERMILPS(Imm(1), acc, high)
	VMOVSS(f(u, acc, high).AsX(), Mem{Base: y})
}
