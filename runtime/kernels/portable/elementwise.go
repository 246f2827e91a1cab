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
	Softplus // log(1+exp(x)), without overflow
	ReLU     // max(x, 0); NaN stays
	Erf
	Floor
	Ceil
	Round // half to even
	Trunc
)

const elemGrain = 1 << 13

// Unary computes y[i] = op(x[i]) for every i < len(x). y may be x.
func Unary[T Float](op UnaryOp, y, x []T) {
	need("Unary", "y", len(y), len(x))
	cost := 1
	if op >= Exp && op != ReLU {
		cost = 16
	}
	if serial(len(x) * cost / 2) {
		unary(op, y, x)
		return
	}
	parallelFor(len(x), elemGrain/cost, func(lo, hi int) { unary(op, y[lo:hi], x[lo:hi]) })
}

// UnaryFunc computes y[i] = f(x[i]) for every i < len(x), on the caller's
// goroutine. y may be x.
func UnaryFunc[X, Y any](y []Y, x []X, f func(X) Y) {
	need("UnaryFunc", "y", len(y), len(x))
	y = y[:len(x)]
	for i, v := range x {
		y[i] = f(v)
	}
}

func unary[T Float](op UnaryOp, y, x []T) {
	y = y[:len(x)]
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
		for i, v := range x {
			y[i] = max(v, 0)
		}
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
	case Softplus:
		each(y, x, softplus)
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

func softplus(x float64) float64 {
	return max(x, 0) + math.Log1p(math.Exp(-math.Abs(x)))
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

// MaxRank is the largest rank of a broadcast after adjacent dims are merged.
const MaxRank = 16

// Broadcast is the plan of an element-wise kernel over up to three operands that
// are broadcast to one shape. Adjacent dims that broadcast alike are merged.
type Broadcast struct {
	rank   int
	size   int
	dims   [MaxRank]int
	stride [3][MaxRank]int // element strides; 0 where an operand is broadcast
	last   [3]int          // highest position read
}

// PlanBroadcast plans operands of the given contiguous shapes, of the rank of
// out and with every dim 1 or that of out. It panics if they are not.
func PlanBroadcast(out []int, operands ...[]int) Broadcast {
	var p Broadcast
	p.size = 1
	for _, d := range out {
		p.size *= d
	}
	if len(operands) > len(p.stride) {
		panic("portable: PlanBroadcast: more than three operands")
	}
	for _, s := range operands {
		if len(s) != len(out) {
			panic(fmt.Sprintf("portable: PlanBroadcast: %v does not broadcast to %v", s, out))
		}
	}
	var broadcast [3]bool // of the dims merged last
	for d, n := range out {
		if n == 1 {
			for _, s := range operands {
				if s[d] != 1 {
					panic(fmt.Sprintf("portable: PlanBroadcast: %v does not broadcast to %v", s, out))
				}
			}
			continue
		}
		var b [3]bool
		for o, s := range operands {
			if s[d] != n && s[d] != 1 {
				panic(fmt.Sprintf("portable: PlanBroadcast: %v does not broadcast to %v", s, out))
			}
			b[o] = s[d] == 1
		}
		if p.rank > 0 && b == broadcast {
			p.dims[p.rank-1] *= n
			continue
		}
		if p.rank == MaxRank {
			panic("portable: PlanBroadcast: rank too high")
		}
		broadcast = b
		p.dims[p.rank] = n
		for o := range operands {
			if !b[o] {
				p.stride[o][p.rank] = 1 // a mark, until the sizes are known
			}
		}
		p.rank++
	}
	if p.rank == 0 {
		p.rank, p.dims[0] = 1, 1
	}
	for o := range operands {
		step := 1
		for d := p.rank - 1; d >= 0; d-- {
			if p.stride[o][d] != 0 {
				p.stride[o][d] = step
				p.last[o] += (p.dims[d] - 1) * step
				step *= p.dims[d]
			}
		}
	}
	return p
}

// Size returns the number of elements of the output.
func (p *Broadcast) Size() int { return p.size }

func (p *Broadcast) check(kernel string, out int, operands ...int) {
	need(kernel, "output", out, p.size)
	for o, n := range operands {
		need(kernel, "operand", n, p.last[o]+1)
	}
}

// runs calls f for the runs along the last dim that make up output elements
// [lo, hi), with the positions of the run's start in the output and operands.
func (p *Broadcast) runs(lo, hi int, f func(n, y, a, b, c int)) {
	last := p.rank - 1
	var at [MaxRank]int
	rest := lo
	for d := last; d >= 0; d-- {
		at[d] = rest % p.dims[d]
		rest /= p.dims[d]
	}
	for y := lo; y < hi; {
		n := min(p.dims[last]-at[last], hi-y)
		var off [3]int
		for d := range p.rank {
			off[0] += at[d] * p.stride[0][d]
			off[1] += at[d] * p.stride[1][d]
			off[2] += at[d] * p.stride[2][d]
		}
		f(n, y, off[0], off[1], off[2])
		y += n
		at[last] = 0
		for d := last - 1; d >= 0; d-- {
			if at[d]++; at[d] < p.dims[d] {
				break
			}
			at[d] = 0
		}
	}
}

// Binary computes y = op(a, b), broadcast as planned. y may be an operand that
// is not broadcast.
func Binary[T Float](op BinaryOp, p Broadcast, y, a, b []T) {
	if p.size == 0 {
		return
	}
	p.check("Binary", len(y), len(a), len(b))
	cost := 1
	if op >= Pow {
		cost = 16
	}
	if serial(p.size * cost) {
		binaryRange(op, &p, 0, p.size, y, a, b)
		return
	}
	binaryParallel(op, p, y, a, b)
}

// The parallel calls take the plan by value, so that only they move it to the
// heap.
func binaryParallel[T Float](op BinaryOp, p Broadcast, y, a, b []T) {
	parallelFor(p.size, elemGrain, func(lo, hi int) { binaryRange(op, &p, lo, hi, y, a, b) })
}

func binaryRange[T Float](op BinaryOp, p *Broadcast, lo, hi int, y, a, b []T) {
	sa, sb := p.stride[0][p.rank-1], p.stride[1][p.rank-1]
	p.runs(lo, hi, func(n, i, j, k, _ int) {
		switch {
		case sa == sb && sa != 0 || n == 1:
			binaryVV(op, y[i:i+n], a[j:j+n], b[k:k+n])
		case sb == 0 && sa == 0:
			// Both broadcast along the run: one value.
			v := y[i : i+n]
			binaryVV(op, v[:1], a[j:j+1], b[k:k+1])
			for l := range v {
				v[l] = v[0]
			}
		case sb == 0:
			binaryVS(op, y[i:i+n], a[j:j+n], b[k])
		default:
			binarySV(op, y[i:i+n], a[j], b[k:k+n])
		}
	})
}

func binaryVV[T Float](op BinaryOp, y, a, b []T) {
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

func binaryVS[T Float](op BinaryOp, y, a []T, b T) {
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

func binarySV[T Float](op BinaryOp, y []T, a T, b []T) {
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

var mirrored = [...]CompareOp{Equal, NotEqual, Greater, GreaterEqual, Less, LessEqual}

// Compare computes y = a op b, broadcast as planned.
func Compare[T cmp.Ordered](op CompareOp, p Broadcast, y []bool, a, b []T) {
	if p.size == 0 {
		return
	}
	p.check("Compare", len(y), len(a), len(b))
	if serial(p.size) {
		compareRange(op, &p, 0, p.size, y, a, b)
		return
	}
	compareParallel(op, p, y, a, b)
}

func compareParallel[T cmp.Ordered](op CompareOp, p Broadcast, y []bool, a, b []T) {
	parallelFor(p.size, elemGrain, func(lo, hi int) { compareRange(op, &p, lo, hi, y, a, b) })
}

func compareRange[T cmp.Ordered](op CompareOp, p *Broadcast, lo, hi int, y []bool, a, b []T) {
	sa, sb := p.stride[0][p.rank-1], p.stride[1][p.rank-1]
	p.runs(lo, hi, func(n, i, j, k, _ int) {
		switch {
		case sa == sb && sa != 0 || n == 1:
			compareVV(op, y[i:i+n], a[j:j+n], b[k:k+n])
		case sa != 0:
			compareVS(op, y[i:i+n], a[j:j+n], b[k])
		case sb != 0:
			compareVS(mirrored[op], y[i:i+n], b[k:k+n], a[j])
		default:
			v := y[i : i+n]
			compareVS(op, v[:1], a[j:j+1], b[k])
			for l := range v {
				v[l] = v[0]
			}
		}
	})
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

// Select computes y = a where mask, else b, broadcast as planned for the
// operands (mask, a, b). y may be an operand that is not broadcast.
func Select[T any](p Broadcast, y []T, mask []bool, a, b []T) {
	if p.size == 0 {
		return
	}
	p.check("Select", len(y), len(mask), len(a), len(b))
	if serial(p.size) {
		selectRange(&p, 0, p.size, y, mask, a, b)
		return
	}
	selectParallel(p, y, mask, a, b)
}

func selectParallel[T any](p Broadcast, y []T, mask []bool, a, b []T) {
	parallelFor(p.size, elemGrain, func(lo, hi int) { selectRange(&p, lo, hi, y, mask, a, b) })
}

func selectRange[T any](p *Broadcast, lo, hi int, y []T, mask []bool, a, b []T) {
	last := p.rank - 1
	sm, sa, sb := p.stride[0][last], p.stride[1][last], p.stride[2][last]
	p.runs(lo, hi, func(n, i, m, j, k int) {
		v := y[i : i+n]
		if sm != 0 && sa != 0 && sb != 0 {
			mask, a, b := mask[m:][:len(v)], a[j:][:len(v)], b[k:][:len(v)]
			for l, c := range mask {
				x := b[l]
				if c {
					x = a[l]
				}
				v[l] = x
			}
			return
		}
		for l := range v {
			x := b[k+l*sb]
			if mask[m+l*sm] {
				x = a[j+l*sa]
			}
			v[l] = x
		}
	})
}

// Expand copies x into y, broadcast as planned for that one operand.
func Expand[T any](p Broadcast, y, x []T) {
	if p.size == 0 {
		return
	}
	p.check("Expand", len(y), len(x))
	if serial(p.size) {
		expandRange(&p, 0, p.size, y, x)
		return
	}
	expandParallel(p, y, x)
}

func expandParallel[T any](p Broadcast, y, x []T) {
	parallelFor(p.size, elemGrain, func(lo, hi int) { expandRange(&p, lo, hi, y, x) })
}

func expandRange[T any](p *Broadcast, lo, hi int, y, x []T) {
	s := p.stride[0][p.rank-1]
	p.runs(lo, hi, func(n, i, j, _, _ int) {
		v := y[i : i+n]
		if s != 0 {
			copy(v, x[j:])
			return
		}
		c := x[j]
		for l := range v {
			v[l] = c
		}
	})
}
