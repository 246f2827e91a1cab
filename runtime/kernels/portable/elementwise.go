package portable

import (
	"cmp"
	"fmt"
	"math"
)

// is32 reports whether T is a 32-bit float.
func is32[T Float]() bool {
	one := T(1)
	return one+0x1p-30 == one
}

// UnaryOp names an element-wise function of one argument.
type UnaryOp uint8

// The unary functions. Each rounds a float64 result of package math (of
// relative error 1e-12 or better for Exp, Tanh and Sigmoid of float32), so a
// float32 result is within 1 ulp.
const (
	Copy UnaryOp = iota
	Neg
	Abs
	Sign // -1, 0 or 1; zeros and NaN stay
	Square
	Sqrt
	Rsqrt
	Reciprocal
	Exp
	Expm1
	Log
	Log1p
	Sin
	Cos
	Tan
	Asin
	Acos
	Atan
	Sinh
	Cosh
	Tanh
	Asinh
	Acosh
	Atanh
	Sigmoid
	ReLU // 0 where x is negative; zeros and NaN stay
	Erf
	Erfc
	Floor
	Ceil
	Round // half to even
	Trunc
)

// Unary computes y[i] = op(x[i]) for every i < len(y). y may be x.
func Unary[T Float](op UnaryOp, y, x []T) {
	x = x[:len(y)]
	switch op {
	case Copy:
		copy(y, x)
	case Neg:
		for i, v := range x {
			y[i] = -v
		}
	case Abs:
		for i, v := range x {
			y[i] = T(math.Abs(float64(v)))
		}
	case Sign:
		for i, v := range x {
			switch {
			case v > 0:
				v = 1
			case v < 0:
				v = -1
			}
			y[i] = v
		}
	case Square:
		for i, v := range x {
			y[i] = v * v
		}
	case Sqrt:
		for i, v := range x {
			y[i] = T(math.Sqrt(float64(v)))
		}
	case Rsqrt:
		for i, v := range x {
			y[i] = T(1 / math.Sqrt(float64(v)))
		}
	case Reciprocal:
		for i, v := range x {
			y[i] = 1 / v
		}
	case ReLU:
		relu(y, x)
	case Exp:
		each(y, x, expFunc[T]())
	case Tanh:
		if is32[T]() {
			each(y, x, tanh32)
		} else {
			each(y, x, math.Tanh)
		}
	case Sigmoid:
		if is32[T]() {
			each(y, x, sigmoid32)
		} else {
			each(y, x, sigmoid)
		}
	case Expm1:
		each(y, x, math.Expm1)
	case Log:
		each(y, x, math.Log)
	case Log1p:
		each(y, x, math.Log1p)
	case Sin:
		each(y, x, math.Sin)
	case Cos:
		each(y, x, math.Cos)
	case Tan:
		each(y, x, math.Tan)
	case Asin:
		each(y, x, math.Asin)
	case Acos:
		each(y, x, math.Acos)
	case Atan:
		each(y, x, math.Atan)
	case Sinh:
		each(y, x, math.Sinh)
	case Cosh:
		each(y, x, math.Cosh)
	case Asinh:
		each(y, x, math.Asinh)
	case Acosh:
		each(y, x, math.Acosh)
	case Atanh:
		each(y, x, math.Atanh)
	case Erf:
		each(y, x, math.Erf)
	case Erfc:
		each(y, x, math.Erfc)
	case Floor:
		each(y, x, math.Floor)
	case Ceil:
		each(y, x, math.Ceil)
	case Round:
		each(y, x, math.RoundToEven)
	case Trunc:
		each(y, x, math.Trunc)
	default:
		panic(fmt.Sprintf("portable: unknown unary op %d", op))
	}
}

// relu chooses between the bits of x and 0, for which there is an instruction: random signs would make a branch slow.
func relu[T Float](y, x []T) {
	if is32[T]() {
		for i, v := range x {
			b := math.Float32bits(float32(v))
			if v < 0 {
				b = 0
			}
			y[i] = T(math.Float32frombits(b))
		}
		return
	}
	for i, v := range x {
		b := math.Float64bits(float64(v))
		if v < 0 {
			b = 0
		}
		y[i] = T(math.Float64frombits(b))
	}
}

// each applies f through a strip of float64. Converting and calling in one loop
// takes twice as long: on amd64 a conversion waits for what its destination
// register held, here the result for the element before.
func each[T Float](y, x []T, f func(float64) float64) {
	var buf [64]float64
	for len(x) > 0 {
		strip := buf[:min(len(buf), len(x))]
		for i, v := range x[:len(strip)] {
			strip[i] = float64(v)
		}
		for i, v := range strip {
			strip[i] = f(v)
		}
		d := y[:len(strip)]
		for i, v := range strip {
			d[i] = T(v)
		}
		x, y = x[len(strip):], y[len(strip):]
	}
}

// expFunc returns the exp that each needs for T.
func expFunc[T Float]() func(float64) float64 {
	if is32[T]() {
		return exp32
	}
	return math.Exp
}

func sigmoid32(x float64) float64 { return 1 / (1 + exp32(-x)) }

func sigmoid(x float64) float64 {
	if x < 0 {
		// 1/(1+exp(-x)) would overflow to 0 under -709, where the result is
		// still representable.
		e := math.Exp(x)
		return e / (1 + e)
	}
	return 1 / (1 + math.Exp(-x))
}

// reduceExp returns 2^k and expm1(r) with x = k*log(2) + r, |r| <= log(2)/2, by
// the Taylor series of degree 11, of relative error under 1e-13, for |x| < 700.
// Adding and taking away 1.5*2^52 rounds to an integer and leaves it in the low
// bits: no conversion instruction, which would chain one element to the next.
func reduceExp(x float64) (scale, em1 float64) {
	const (
		ln2Hi = 6.93147180369123816490e-01
		ln2Lo = 1.90821492927058770002e-10
		shift = 3 << 51
	)
	k := float64(x*math.Log2E) + shift
	scale = math.Float64frombits((math.Float64bits(k) + 1023) << 52)
	k -= shift
	r := (x - k*ln2Hi) - k*ln2Lo
	r2 := r * r
	r4 := r2 * r2
	q := (1.0/2 + r*(1.0/6)) + r2*(1.0/24+r*(1.0/120)) +
		r4*((1.0/720+r*(1.0/5040))+r2*(1.0/40320+r*(1.0/362880))+r4*(1.0/3628800+r*(1.0/39916800)))
	return scale, r + r2*q
}

// exp32 is exp for arguments that come from a float32 and results that go to
// one: those past the range of float32 become 0 or +Inf.
func exp32(x float64) float64 {
	if !(x > -110) {
		if x != x {
			return x
		}
		return 0
	}
	if x > 110 {
		return math.Inf(1)
	}
	scale, em1 := reduceExp(x)
	return scale + scale*em1
}

// tanh32 is tanh for arguments that come from a float32.
func tanh32(x float64) float64 {
	if !(x > -20 && x < 20) {
		switch {
		case x > 0:
			return 1
		case x < 0:
			return -1
		}
		return x
	}
	if x == 0 {
		return x
	}
	scale, em1 := reduceExp(2 * x)
	em1 = scale*em1 + (scale - 1) // exact for scale == 1
	return em1 / (em1 + 2)
}

// BinaryOp names an element-wise function of two arguments.
type BinaryOp uint8

// The binary functions.
const (
	Add BinaryOp = iota
	Sub
	Mul
	Div
	Max // NaN if either argument is; +0 over -0
	Min // NaN if either argument is; -0 under +0
	Pow
	Mod // math.Mod: the sign of the dividend
	Atan2
)

// MaxRank is the largest rank of a shape after adjacent dims that are alike are merged.
const MaxRank = 16

// UnaryInt is Unary for the functions that integers have: they wrap.
func UnaryInt[T ~int32 | ~int64](op UnaryOp, y, x []T) {
	x = x[:len(y)]
	for i, v := range x {
		switch op {
		case Neg:
			v = -v
		case Abs:
			v = max(v, -v)
			if x[i] == -x[i] {
				v = x[i] // 0 and the least integer
			}
		case Sign:
			v = min(max(v, -1), 1)
		case Square:
			v *= v
		case ReLU:
			v = max(v, 0)
		default:
			panic(fmt.Sprintf("portable: unary op %d is not one of integers", op))
		}
		y[i] = v
	}
}

// Form says which of an operation's last two operands are vectors (V), one element for each of the result, and which are
// scalars (S), one element for all.
type Form uint8

// The forms.
const (
	VV Form = iota
	VS
	SV
	SS
)

// FormOf returns the form of two operands.
func FormOf(scalarA, scalarB bool) Form {
	f := VV
	if scalarA {
		f += SV
	}
	if scalarB {
		f += VS
	}
	return f
}

// Binary computes y[i] = op(a[i], b[i]) for every i < len(y). y may be an operand that is a vector.
func Binary[T Number](op BinaryOp, form Form, y, a, b []T) {
	switch form {
	case VV:
		binaryVV(op, y, a[:len(y)], b)
	case VS:
		binaryVS(op, y, a[:len(y)], b[0])
	case SV:
		binarySV(op, y, a[0], b[:len(y)])
	default:
		panic("portable: Binary of two scalars")
	}
}

func binaryVV[T Number](op BinaryOp, y, a, b []T) {
	y, b = y[:len(a)], b[:len(a)]
	switch op {
	case Add:
		for i, v := range a {
			y[i] = v + b[i]
		}
	case Sub:
		for i, v := range a {
			y[i] = v - b[i]
		}
	case Mul:
		for i, v := range a {
			y[i] = v * b[i]
		}
	case Div:
		for i, v := range a {
			y[i] = v / b[i]
		}
	case Max:
		for i, v := range a {
			y[i] = max(v, b[i])
		}
	case Min:
		for i, v := range a {
			y[i] = min(v, b[i])
		}
	default:
		f := binaryFunc(op)
		for i, v := range a {
			y[i] = T(f(float64(v), float64(b[i])))
		}
	}
}

func binaryVS[T Number](op BinaryOp, y, a []T, b T) {
	y = y[:len(a)]
	switch op {
	case Add:
		for i, v := range a {
			y[i] = v + b
		}
	case Sub:
		for i, v := range a {
			y[i] = v - b
		}
	case Mul:
		for i, v := range a {
			y[i] = v * b
		}
	case Div:
		for i, v := range a {
			y[i] = v / b
		}
	case Max:
		for i, v := range a {
			y[i] = max(v, b)
		}
	case Min:
		for i, v := range a {
			y[i] = min(v, b)
		}
	default:
		f := binaryFunc(op)
		for i, v := range a {
			y[i] = T(f(float64(v), float64(b)))
		}
	}
}

func binarySV[T Number](op BinaryOp, y []T, a T, b []T) {
	y = y[:len(b)]
	switch op {
	case Add:
		for i, v := range b {
			y[i] = a + v
		}
	case Sub:
		for i, v := range b {
			y[i] = a - v
		}
	case Mul:
		for i, v := range b {
			y[i] = a * v
		}
	case Div:
		for i, v := range b {
			y[i] = a / v
		}
	case Max:
		for i, v := range b {
			y[i] = max(a, v)
		}
	case Min:
		for i, v := range b {
			y[i] = min(a, v)
		}
	default:
		f := binaryFunc(op)
		for i, v := range b {
			y[i] = T(f(float64(a), float64(v)))
		}
	}
}

func binaryFunc(op BinaryOp) func(a, b float64) float64 {
	switch op {
	case Pow:
		return math.Pow
	case Mod:
		return math.Mod
	case Atan2:
		return math.Atan2
	}
	panic(fmt.Sprintf("portable: unknown binary op %d", op))
}

// CompareOp names a comparison. NaN is unequal to everything and not ordered.
type CompareOp uint8

// The comparisons.
const (
	Equal CompareOp = iota
	NotEqual
	Less
	LessEqual
	Greater
	GreaterEqual
)

// Mirrored returns the comparison with its operands exchanged.
func (op CompareOp) Mirrored() CompareOp {
	return [...]CompareOp{Equal, NotEqual, Greater, GreaterEqual, Less, LessEqual}[op]
}

// Compare computes y[i] = a[i] op b[i] for every i < len(y); the form is VV or VS.
func Compare[T cmp.Ordered](op CompareOp, form Form, y []bool, a, b []T) {
	switch form {
	case VV:
		compareVV(op, y, a[:len(y)], b)
	case VS:
		compareVS(op, y, a[:len(y)], b[0])
	default:
		panic("portable: Compare of a scalar")
	}
}

func compareVV[T cmp.Ordered](op CompareOp, y []bool, a, b []T) {
	y, b = y[:len(a)], b[:len(a)]
	switch op {
	case Equal:
		for i, v := range a {
			y[i] = v == b[i]
		}
	case NotEqual:
		for i, v := range a {
			y[i] = v != b[i]
		}
	case Less:
		for i, v := range a {
			y[i] = v < b[i]
		}
	case LessEqual:
		for i, v := range a {
			y[i] = v <= b[i]
		}
	case Greater:
		for i, v := range a {
			y[i] = v > b[i]
		}
	case GreaterEqual:
		for i, v := range a {
			y[i] = v >= b[i]
		}
	default:
		panic(fmt.Sprintf("portable: unknown comparison %d", op))
	}
}

func compareVS[T cmp.Ordered](op CompareOp, y []bool, a []T, b T) {
	y = y[:len(a)]
	switch op {
	case Equal:
		for i, v := range a {
			y[i] = v == b
		}
	case NotEqual:
		for i, v := range a {
			y[i] = v != b
		}
	case Less:
		for i, v := range a {
			y[i] = v < b
		}
	case LessEqual:
		for i, v := range a {
			y[i] = v <= b
		}
	case Greater:
		for i, v := range a {
			y[i] = v > b
		}
	case GreaterEqual:
		for i, v := range a {
			y[i] = v >= b
		}
	default:
		panic(fmt.Sprintf("portable: unknown comparison %d", op))
	}
}

// Select computes y[i] = a[i] where mask[i], else b[i], for every i < len(y). y may be an operand that is a vector.
func Select[T any](form Form, y []T, mask []bool, a, b []T) {
	var stepA, stepB int
	if form == VV || form == VS {
		stepA, a = 1, a[:len(y)]
	}
	if form == VV || form == SV {
		stepB, b = 1, b[:len(y)]
	}
	for i, m := range mask[:len(y)] {
		x := b[i*stepB]
		if m {
			x = a[i*stepA]
		}
		y[i] = x
	}
}

// TernaryOp names an element-wise function of three arguments.
type TernaryOp uint8

// The ternary functions round the product before they add it.
const (
	MulAdd TernaryOp = iota // a*b + c
	MulSub                  // a*b - c
	SubMul                  // c - a*b
)

// Ternary computes y[i] = op(a[i], b[i], c[i]) for every i < len(y), where the form is that of b and c. y may be an operand
// that is a vector.
func Ternary[T Float](op TernaryOp, form Form, y, a, b, c []T) {
	times, with := VV, VV
	if form == SV || form == SS {
		times = VS
	}
	if form == VS || form == SS {
		with = VS
	}
	sum := Add
	if op != MulAdd {
		sum = Sub
	}
	var buf [128]T
	for i := 0; i < len(y); i += len(buf) {
		p := buf[:min(len(buf), len(y)-i)]
		d, k, l := y[i:i+len(p)], i, i
		if times == VS {
			k = 0
		}
		if with == VS {
			l = 0
		}
		Binary(Mul, times, p, a[i:], b[k:])
		switch {
		case op != SubMul:
			Binary(sum, with, d, p, c[l:])
		case with == VS:
			Binary(Sub, SV, d, c, p)
		default:
			Binary(Sub, VV, d, c[l:], p)
		}
	}
}

// ReduceOp names a reduction.
type ReduceOp uint8

// The reductions. MaxOf and MinOf give NaN if any element is.
const (
	Sum ReduceOp = iota
	Mean
	MaxOf
	MinOf
)

// Fold reduces at least one element by Sum, MaxOf or MinOf.
func Fold[T Float](op ReduceOp, x []T) T {
	var acc [8]T
	switch op {
	case Sum:
		for len(x) >= 8 {
			for i, v := range x[:8] {
				acc[i] += v
			}
			x = x[8:]
		}
		for i, v := range x {
			acc[i] += v
		}
		return ((acc[0] + acc[4]) + (acc[2] + acc[6])) + ((acc[1] + acc[5]) + (acc[3] + acc[7]))
	case MaxOf:
		return maxOf(x)
	case MinOf:
		m := x[0]
		for _, v := range x[1:] {
			m = min(m, v)
		}
		return m
	}
	panic(fmt.Sprintf("portable: Fold does not know reduction %d", op))
}
