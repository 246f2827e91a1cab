package main

import (
	"math"

	. "github.com/mmcloughlin/avo/build"
	"github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"

	"github.com/graphrun/graphrun/runtime/kernels/backend/avx/gen/internal/vector"
)

// The functions of float32. The polynomial of log is that of Cephes (Moshier), those of erf are Juffa's.

// reduceExp returns r in [-ln(2)/2, ln(2)/2] and the integer k, as a lane of 32 bits, with x = k*ln(2) + r. The rounding to an
// integer is the addition of 1.5*2^23, which leaves the integer in the low bits.
func (u unit) reduceExp(x reg.VecVirtual) (r, k reg.VecVirtual) {
	const shift = 3 << 22
	t := u.mulAdd(x, u.c(math.Log2E), u.load(u.c(shift)))
	k = u.int(VPSUBD, u.c(shift), t)
	n := u.sub(t, u.c(shift))
	r = u.subMul(x, n, u.c(0.693359375))
	r = u.subMul(r, n, u.c(-2.12194440e-4))
	return r, k
}

// expTail returns exp(r) - 1 for r in [-ln(2)/2, ln(2)/2].
func (u unit) expTail(r reg.VecVirtual) reg.VecVirtual {
	q := u.load(u.c(float64(vector.ExpPolynomial[0])))
	for _, c := range vector.ExpPolynomial[1:] {
		u.horner(q, r, u.c(float64(c)))
	}
	return u.mulAdd(u.mul(r, r), q, r)
}

// power returns 2^(k+bias) for k+bias in [-126, 127].
func (u unit) power(k reg.VecVirtual, bias int) reg.VecVirtual {
	y := u.int(VPADDD, u.bits(uint64(uint32(127+bias))), k)
	VPSLLD(operand.Imm(23), y, y)
	return y
}

// exp scales in two steps, since 2^k need not be a float when the result is one.
func (u unit) exp(x reg.VecVirtual) reg.VecVirtual {
	x = u.minRaw(u.load(u.c(89)), x)
	x = u.maxRaw(u.load(u.c(-105)), x)
	r, k := u.reduceExp(x)
	y := u.add(u.expTail(r), u.c(1))
	half := u.new()
	VPSRAD(operand.Imm(1), k, half)
	rest := u.int(VPSUBD, half, k)
	return u.mul(u.mul(y, u.power(half, 0)), u.power(rest, 0))
}

// halfExpm1 returns (exp(x) - 1) / 2 for x in [-20, 89].
func (u unit) halfExpm1(x reg.VecVirtual) reg.VecVirtual {
	r, k := u.reduceExp(x)
	scale := u.power(k, -1)
	return u.mulAdd(u.expTail(r), scale, u.sub(scale, u.c(0.5)))
}

func (u unit) expm1(x reg.VecVirtual) reg.VecVirtual {
	t := u.minRaw(u.load(u.c(89)), x)
	t = u.maxRaw(u.load(u.c(-20)), t)
	y := u.halfExpm1(t)
	return u.or(u.and(u.sign(), x), u.add(y, y))
}

// tanh is h/(h+1) with h = (exp(2|x|)-1)/2, and the sign of x.
func (u unit) tanh(x reg.VecVirtual) reg.VecVirtual {
	t := u.minRaw(u.load(u.c(10)), u.abs(x))
	h := u.halfExpm1(u.add(t, t))
	return u.withSign(u.div(h, u.add(h, u.c(1))), x)
}

// sigmoid is z/(1+z) for x < 0, else 1/(1+z), with z = exp(-|x|).
func (u unit) sigmoid(x reg.VecVirtual) reg.VecVirtual {
	z := u.exp(u.or(u.sign(), x))
	one := u.load(u.c(1))
	return u.div(u.blend(u.cmp(cmpLT, x, u.zero()), z, one), u.add(z, one))
}

// splitLog returns m in [sqrt(1/2), sqrt(2)) and the float e with x = m * 2^e, for normal x > 0.
func (u unit) splitLog(x reg.VecVirtual) (m, e reg.VecVirtual) {
	const root = 0x3f3504f3 // sqrt(1/2)
	t := u.int(VPSUBD, u.bits(root), x)
	e = u.new()
	VPSRAD(operand.Imm(23), t, e)
	VCVTDQ2PS(e, e)
	m = u.int(VPADDD, u.bits(root), u.and(u.bits(1<<23-1), t))
	return m, e
}

// logSum returns log(1+f) + e*ln(2) + c for 1+f in [sqrt(1/2), sqrt(2)) and small c.
func (u unit) logSum(f, e reg.VecVirtual, c ...reg.VecVirtual) reg.VecVirtual {
	q := u.load(u.c(7.0376836292e-2))
	for _, c := range []float64{
		-1.1514610310e-1, 1.1676998740e-1, -1.2420140846e-1, 1.4249322787e-1, -1.6668057665e-1, 2.0000714765e-1, -2.4999993993e-1,
		3.3333331174e-1,
	} {
		u.horner(q, f, u.c(c))
	}
	f2 := u.mul(f, f)
	y := u.mul(u.mul(f, f2), q)
	y = u.mulAdd(e, u.c(-2.12194440e-4), y)
	for _, c := range c {
		y = u.add(y, c)
	}
	y = u.subMul(y, f2, u.c(0.5))
	y = u.add(f, y)
	return u.mulAdd(e, u.c(0.693359375), y)
}

// log scales denormals up first.
func (u unit) log(x reg.VecVirtual) reg.VecVirtual {
	small := u.cmp(cmpLT, x, u.load(u.bits(1<<23)))
	m, e := u.splitLog(u.blend(small, u.mul(x, u.c(1<<23)), x))
	e = u.blend(small, u.sub(e, u.c(23)), e)
	y := u.logSum(u.sub(m, u.c(1)), e)
	return u.logEdges(x, y)
}

// logEdges gives log(x) its values at 0, below, at infinity and at NaN.
func (u unit) logEdges(x, y reg.VecVirtual) reg.VecVirtual {
	inf := u.load(u.bits(u.e.inf))
	y = u.blend(u.cmp(cmpEQ, x, inf), inf, y)
	y = u.blend(u.cmp(cmpEQ, x, u.zero()), u.load(u.bits(u.e.inf|u.e.signBit)), y)
	return u.orAll(u.cmp(cmpNGE, x, u.zero()), y)
}

// log1p is the logarithm of t = 1+x, corrected by what the rounding of t has lost, which relative to t is small.
func (u unit) log1p(x reg.VecVirtual) reg.VecVirtual {
	one := u.load(u.c(1))
	t := u.add(one, x)
	m, e := u.splitLog(t)
	lost := u.blend(u.cmp(cmpGE, x, one), u.sub(one, u.sub(t, x)), u.sub(x, u.sub(t, one)))
	y := u.logSum(u.sub(m, one), e, u.div(lost, t))
	// Where t is 1, x is all that counts, the sign of zero included.
	return u.logEdges(t, u.blend(u.cmp(cmpEQ, t, one), x, y))
}

func (u unit) erf(x reg.VecVirtual) reg.VecVirtual {
	t := u.minRaw(u.load(u.c(4)), u.abs(x))
	s := u.mul(t, t)
	// 1 - exp(p(t)) for large t
	p := u.load(u.c(-1.72853470e-5))
	u.horner(p, t, u.c(3.83197126e-4))
	q := u.load(u.c(-3.88396438e-3))
	u.horner(q, t, u.c(2.42546219e-2))
	u.horner(p, s, q)
	for _, c := range []float64{-1.06777877e-1, -6.34846687e-1, -1.28717512e-1} {
		u.horner(p, t, u.c(c))
	}
	p = u.sub(u.mul(p, t), t)
	r, k := u.reduceExp(p)
	large := u.subMul(u.load(u.c(1)), u.add(u.expTail(r), u.c(1)), u.power(k, 0))
	// x + x*q(x*x) for small t
	q = u.load(u.c(-5.96761703e-4))
	for _, c := range []float64{4.99119423e-3, -2.67681349e-2, 1.12819925e-1, -3.76125336e-1, 1.28379166e-1} {
		u.horner(q, s, u.c(c))
	}
	small := u.mulAdd(q, t, t)
	return u.withSign(u.blend(u.cmp(cmpGT, t, u.load(u.c(0.927734375))), large, small), x)
}
