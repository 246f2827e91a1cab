package plain

import (
	"cmp"
	"fmt"
	"math"

	"github.com/graphrun/graphrun/graph/real"
	"github.com/graphrun/graphrun/runtime/kernels/backend"
)

// is32 reports whether T is a 32-bit float.
func is32[T backend.Float]() bool {
	one := T(1)
	return one+0x1p-30 == one
}

// Unary computes y[i] = op(x[i]) for every i < len(y). y may be x.
func Unary[T backend.Float](op backend.UnaryOp, y, x []T) {
	x = x[:len(y)]
	switch op {
	case backend.Neg:
		for i, v := range x {
			y[i] = -v
		}
	case backend.Abs:
		for i, v := range x {
			y[i] = T(math.Abs(float64(v)))
		}
	case backend.Sign:
		for i, v := range x {
			switch {
			case v > 0:
				v = 1
			case v < 0:
				v = -1
			}
			y[i] = v
		}
	case backend.Square:
		for i, v := range x {
			y[i] = v * v
		}
	case backend.Sqrt:
		for i, v := range x {
			y[i] = T(math.Sqrt(float64(v)))
		}
	case backend.Rsqrt:
		for i, v := range x {
			y[i] = T(1 / math.Sqrt(float64(v)))
		}
	case backend.Reciprocal:
		for i, v := range x {
			y[i] = 1 / v
		}
	case backend.ReLU:
		relu(y, x)
	case backend.Exp:
		each(y, x, expFunc[T]())
	case backend.Tanh:
		if is32[T]() {
			each(y, x, tanh32)
		} else {
			each(y, x, math.Tanh)
		}
	case backend.Sigmoid:
		if is32[T]() {
			each(y, x, sigmoid32)
		} else {
			each(y, x, sigmoid)
		}
	case backend.Expm1:
		each(y, x, math.Expm1)
	case backend.Log:
		each(y, x, real.Log)
	case backend.Log1p:
		each(y, x, math.Log1p)
	case backend.Sin:
		each(y, x, real.Sin)
	case backend.Cos:
		each(y, x, real.Cos)
	case backend.Tan:
		each(y, x, real.Tan)
	case backend.Asin:
		each(y, x, real.Asin)
	case backend.Acos:
		each(y, x, real.Acos)
	case backend.Atan:
		each(y, x, math.Atan)
	case backend.Sinh:
		each(y, x, real.Sinh)
	case backend.Cosh:
		each(y, x, real.Cosh)
	case backend.Asinh:
		each(y, x, math.Asinh)
	case backend.Acosh:
		each(y, x, math.Acosh)
	case backend.Atanh:
		each(y, x, math.Atanh)
	case backend.Erf:
		each(y, x, math.Erf)
	case backend.Erfc:
		each(y, x, math.Erfc)
	case backend.Floor:
		each(y, x, math.Floor)
	case backend.Ceil:
		each(y, x, math.Ceil)
	case backend.Round:
		each(y, x, math.RoundToEven)
	case backend.Trunc:
		each(y, x, math.Trunc)
	default:
		panic(fmt.Sprintf("plain: unknown unary op %d", op))
	}
}

// relu chooses between the bits of x and 0, for which there is an instruction: random signs would make a branch slow.
func relu[T backend.Float](y, x []T) {
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
func each[T backend.Float](y, x []T, f func(float64) float64) {
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
func expFunc[T backend.Float]() func(float64) float64 {
	if is32[T]() {
		return exp32
	}
	return real.Exp
}

func sigmoid32(x float64) float64 { return 1 / (1 + exp32(-x)) }

func sigmoid(x float64) float64 {
	if x < 0 {
		// 1/(1+exp(-x)) would overflow to 0 under -709, where the result is
		// still representable.
		e := real.Exp(x)
		return e / (1 + e)
	}
	return 1 / (1 + real.Exp(-x))
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

// UnaryInt is Unary for the functions that integers have: they wrap.
func UnaryInt[T ~int32 | ~int64](op backend.UnaryOp, y, x []T) {
	x = x[:len(y)]
	for i, v := range x {
		switch op {
		case backend.Neg:
			v = -v
		case backend.Abs:
			v = max(v, -v)
			if x[i] == -x[i] {
				v = x[i] // 0 and the least integer
			}
		case backend.Sign:
			v = min(max(v, -1), 1)
		case backend.Square:
			v *= v
		case backend.ReLU:
			v = max(v, 0)
		default:
			panic(fmt.Sprintf("plain: unary op %d is not one of integers", op))
		}
		y[i] = v
	}
}

// Binary computes y[i] = op(a[i], b[i]) for every i < len(y). y may be an operand that is a vector.
func Binary[T backend.Number](op backend.BinaryOp, form backend.Form, y, a, b []T) {
	switch form {
	case backend.VV:
		binaryVV(op, y, a[:len(y)], b)
	case backend.VS:
		binaryVS(op, y, a[:len(y)], b[0])
	case backend.SV:
		binarySV(op, y, a[0], b[:len(y)])
	default:
		panic("plain: Binary of two scalars")
	}
}

func binaryVV[T backend.Number](op backend.BinaryOp, y, a, b []T) {
	y, b = y[:len(a)], b[:len(a)]
	switch op {
	case backend.Add:
		for i, v := range a {
			y[i] = v + b[i]
		}
	case backend.Sub:
		for i, v := range a {
			y[i] = v - b[i]
		}
	case backend.Mul:
		for i, v := range a {
			y[i] = v * b[i]
		}
	case backend.Div:
		for i, v := range a {
			y[i] = v / b[i]
		}
	case backend.Max:
		for i, v := range a {
			y[i] = max(v, b[i])
		}
	case backend.Min:
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

func binaryVS[T backend.Number](op backend.BinaryOp, y, a []T, b T) {
	y = y[:len(a)]
	switch op {
	case backend.Add:
		for i, v := range a {
			y[i] = v + b
		}
	case backend.Sub:
		for i, v := range a {
			y[i] = v - b
		}
	case backend.Mul:
		for i, v := range a {
			y[i] = v * b
		}
	case backend.Div:
		for i, v := range a {
			y[i] = v / b
		}
	case backend.Max:
		for i, v := range a {
			y[i] = max(v, b)
		}
	case backend.Min:
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

func binarySV[T backend.Number](op backend.BinaryOp, y []T, a T, b []T) {
	y = y[:len(b)]
	switch op {
	case backend.Add:
		for i, v := range b {
			y[i] = a + v
		}
	case backend.Sub:
		for i, v := range b {
			y[i] = a - v
		}
	case backend.Mul:
		for i, v := range b {
			y[i] = a * v
		}
	case backend.Div:
		for i, v := range b {
			y[i] = a / v
		}
	case backend.Max:
		for i, v := range b {
			y[i] = max(a, v)
		}
	case backend.Min:
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

func binaryFunc(op backend.BinaryOp) func(a, b float64) float64 {
	switch op {
	case backend.Pow:
		return real.Pow
	case backend.Mod:
		return math.Mod
	case backend.Atan2:
		return math.Atan2
	}
	panic(fmt.Sprintf("plain: unknown binary op %d", op))
}

// Compare computes y[i] = a[i] op b[i] for every i < len(y); the form is VV or VS.
func Compare[T cmp.Ordered](op backend.CompareOp, form backend.Form, y []bool, a, b []T) {
	switch form {
	case backend.VV:
		compareVV(op, y, a[:len(y)], b)
	case backend.VS:
		compareVS(op, y, a[:len(y)], b[0])
	default:
		panic("plain: Compare of a scalar")
	}
}

func compareVV[T cmp.Ordered](op backend.CompareOp, y []bool, a, b []T) {
	y, b = y[:len(a)], b[:len(a)]
	switch op {
	case backend.Equal:
		for i, v := range a {
			y[i] = v == b[i]
		}
	case backend.NotEqual:
		for i, v := range a {
			y[i] = v != b[i]
		}
	case backend.Less:
		for i, v := range a {
			y[i] = v < b[i]
		}
	case backend.LessEqual:
		for i, v := range a {
			y[i] = v <= b[i]
		}
	case backend.Greater:
		for i, v := range a {
			y[i] = v > b[i]
		}
	case backend.GreaterEqual:
		for i, v := range a {
			y[i] = v >= b[i]
		}
	default:
		panic(fmt.Sprintf("plain: unknown comparison %d", op))
	}
}

func compareVS[T cmp.Ordered](op backend.CompareOp, y []bool, a []T, b T) {
	y = y[:len(a)]
	switch op {
	case backend.Equal:
		for i, v := range a {
			y[i] = v == b
		}
	case backend.NotEqual:
		for i, v := range a {
			y[i] = v != b
		}
	case backend.Less:
		for i, v := range a {
			y[i] = v < b
		}
	case backend.LessEqual:
		for i, v := range a {
			y[i] = v <= b
		}
	case backend.Greater:
		for i, v := range a {
			y[i] = v > b
		}
	case backend.GreaterEqual:
		for i, v := range a {
			y[i] = v >= b
		}
	default:
		panic(fmt.Sprintf("plain: unknown comparison %d", op))
	}
}

// Select computes y[i] = a[i] where mask[i], else b[i], for every i < len(y). y may be an operand that is a vector.
func Select[T any](form backend.Form, y []T, mask []bool, a, b []T) {
	var stepA, stepB int
	if form == backend.VV || form == backend.VS {
		stepA, a = 1, a[:len(y)]
	}
	if form == backend.VV || form == backend.SV {
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

// Ternary computes y[i] = op(a[i], b[i], c[i]) for every i < len(y), where the form is that of b and c. y may be an operand
// that is a vector.
func Ternary[T backend.Float](op backend.TernaryOp, form backend.Form, y, a, b, c []T) {
	times, with := backend.VV, backend.VV
	if form == backend.SV || form == backend.SS {
		times = backend.VS
	}
	if form == backend.VS || form == backend.SS {
		with = backend.VS
	}
	sum := backend.Add
	if op != backend.MulAdd {
		sum = backend.Sub
	}
	var buf [128]T
	for i := 0; i < len(y); i += len(buf) {
		p := buf[:min(len(buf), len(y)-i)]
		d, k, l := y[i:i+len(p)], i, i
		if times == backend.VS {
			k = 0
		}
		if with == backend.VS {
			l = 0
		}
		Binary(backend.Mul, times, p, a[i:], b[k:])
		switch {
		case op != backend.SubMul:
			Binary(sum, with, d, p, c[l:])
		case with == backend.VS:
			Binary(backend.Sub, backend.SV, d, c, p)
		default:
			Binary(backend.Sub, backend.VV, d, c[l:], p)
		}
	}
}

// Fold reduces at least one element by Sum, MaxOf or MinOf.
func Fold[T backend.Float](op backend.ReduceOp, x []T) T {
	var acc [8]T
	switch op {
	case backend.Sum:
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
	case backend.MaxOf:
		return maxOf(x)
	case backend.MinOf:
		m := x[0]
		for _, v := range x[1:] {
			m = min(m, v)
		}
		return m
	}
	panic(fmt.Sprintf("plain: Fold does not know reduction %d", op))
}
