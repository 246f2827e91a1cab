package kernels

import (
	"errors"
	"math"
	"unsafe"

	"github.com/graphrun/graphrun/graph"
	"github.com/graphrun/graphrun/runtime/kernels/backend"
	"github.com/graphrun/graphrun/runtime/kernels/strip"
)

// Element-wise ops that no strip computes, and those on dtypes that strips do not hold: plain loops.

var (
	allIntegers    = graph.Integers & countables
	narrowIntegers = allIntegers &^ graph.DTypes(graph.I32, graph.I64) // those that strips do not hold
)

func init() {
	for op := range backend.UnaryOps {
		if op.Kinds()&backend.Integers != 0 {
			register(&Kernel{Op: op.String(), DTypes: narrowIntegers, Bind: func(s *Spec) (Func, error) { return bindIntegers1(s, op) }})
		}
	}
	for op := range backend.BinaryOps {
		if op.Kinds()&backend.Integers != 0 {
			register(&Kernel{Op: op.String(), DTypes: narrowIntegers, Bind: func(s *Spec) (Func, error) { return bindIntegers2(s, op) }})
		}
	}
	for _, op := range []backend.BinaryOp{backend.Pow, backend.Div, backend.FloorDiv, backend.Remainder, backend.Mod} { // no primitives
		register(&Kernel{Op: op.String(), DTypes: allIntegers, Bind: func(s *Spec) (Func, error) { return bindIntegers2(s, op) }})
	}
	for op := range backend.CompareOps {
		register(&Kernel{Op: op.String(), DTypes: narrowIntegers, Bind: func(s *Spec) (Func, error) { return bindCompare(s, op) }})
	}
	register(&Kernel{Op: backend.FloorDiv.String(), DTypes: stripFloats, Bind: func(s *Spec) (Func, error) { return bindFloats2(s, floorDiv) }})
	register(&Kernel{Op: backend.Remainder.String(), DTypes: stripFloats, Bind: func(s *Spec) (Func, error) { return bindFloats2(s, remainder) }})
	register(&Kernel{
		Op: "where", DTypes: graph.Bools,
		Match: func(s *Signature) bool { return wide.Has(s.In[1].DType) && !strip.Holds(s.In[1].DType) },
		Bind:  bindWhere,
	})
}

// Integers are computed with in 64 bits: those of other dtypes than u64 as int64, of which the low bits are the result.
type integers interface{ int64 | uint64 }

// asInts returns words as integers.
func asInts(words []uint64) []int64 {
	return unsafe.Slice((*int64)(unsafe.Pointer(unsafe.SliceData(words))), len(words))
}

// integers1 computes y = op(y).
func integers1[T integers](op backend.UnaryOp, y []T) {
	switch op {
	case backend.Neg:
		for i, v := range y {
			y[i] = -v
		}
	case backend.Abs:
		for i, v := range y {
			if v < 0 {
				v = -v
			}
			y[i] = v
		}
	case backend.Sign:
		for i, v := range y {
			switch {
			case v > 0:
				y[i] = 1
			case v < 0:
				y[i] = ^T(0) // -1
			default:
				y[i] = 0
			}
		}
	case backend.Square:
		for i, v := range y {
			y[i] = v * v
		}
	default:
		for i, v := range y {
			y[i] = max(v, 0)
		}
	}
}

// integers2 computes y = y op b; divisors are not zero.
func integers2[T integers](op backend.BinaryOp, y, b []T) {
	b = b[:len(y)]
	for i, v := range y {
		w := b[i]
		switch op {
		case backend.Add:
			v += w
		case backend.Sub:
			v -= w
		case backend.Mul:
			v *= w
		case backend.Max:
			v = max(v, w)
		case backend.Min:
			v = min(v, w)
		case backend.Div:
			v /= w
		case backend.Mod:
			v %= w
		case backend.FloorDiv:
			q := v / w
			if v%w != 0 && (v < 0) != (w < 0) {
				q--
			}
			v = q
		case backend.Remainder:
			v %= w
			if v != 0 && (v < 0) != (w < 0) {
				v += w
			}
		case backend.Pow:
			v = powerOf(v, w)
		}
		y[i] = v
	}
}

// compareKeys computes the truth values y = a op b.
func compareKeys(op backend.CompareOp, y []byte, a, b []uint64) {
	if op >= backend.Greater { // a > b is b < a
		a, b = b, a
		op = op.Mirrored()
	}
	for i := range y {
		switch v, w := a[i], b[i]; op {
		case backend.Equal:
			y[i] = truth(v == w)
		case backend.NotEqual:
			y[i] = truth(v != w)
		case backend.Less:
			y[i] = truth(v < w)
		default:
			y[i] = truth(v <= w)
		}
	}
}

func truth(b bool) uint8 {
	if b {
		return 1
	}
	return 0
}

// powerOf wraps; to a negative power only 1 and -1 are not 0.
func powerOf[T integers](a, b T) T {
	if b < 0 {
		switch {
		case a == 1, a == ^T(0) && b%2 == 0:
			return 1
		case a == ^T(0):
			return a
		}
		return 0
	}
	y := T(1)
	for ; b > 0; b >>= 1 {
		if b&1 == 1 {
			y *= a
		}
		a *= a
	}
	return y
}

// floorDiv corrects the quotient by the exact remainder: the floor of a rounded quotient can be one too large.
func floorDiv(a, b float64) float64 {
	if b == 0 {
		return a / b
	}
	r := math.Mod(a, b)
	q := (a - r) / b
	if r != 0 && (r < 0) != (b < 0) {
		q--
	}
	if q == 0 {
		return math.Copysign(0, a/b)
	}
	return math.RoundToEven(q)
}

func remainder(a, b float64) float64 {
	r := math.Mod(a, b)
	if r != 0 && (r < 0) != (b < 0) {
		r += b
	}
	return r
}

func bindIntegers1(s *Spec, op backend.UnaryOp) (Func, error) {
	d := s.InTypes[0].DType
	size := sizeOf(d)
	return inRanges(count(s.OutTypes[0]), 2, func(c *Call, _, lo, hi int) {
		var words [wordsPart]uint64
		for ; lo < hi; lo += wordsPart {
			v := words[:min(hi-lo, wordsPart)]
			loadWords(v, c.In[0].Bytes()[lo*size:], d, 1)
			if d == graph.U64 {
				integers1(op, v)
			} else {
				integers1(op, asInts(v))
			}
			storeWords(size, c.Out[0].Bytes()[lo*size:], v)
		}
	}), nil
}

func bindIntegers2(s *Spec, op backend.BinaryOp) (Func, error) {
	b, d := newBroadcast(s), s.InTypes[0].DType
	size := sizeOf(d)
	run := b.zip(size, size, func(y, x, z []byte, si, sk int) {
		var left, right [wordsPart]uint64
		for len(y) > 0 {
			n := min(len(y)/size, wordsPart)
			v, w := left[:n], right[:n]
			loadWords(v, x, d, si)
			loadWords(w, z, d, sk)
			if d == graph.U64 {
				integers2(op, v, w)
			} else {
				integers2(op, asInts(v), asInts(w))
			}
			storeWords(size, y, v)
			y = y[n*size:]
			x, z = beyond(x, n*si*size), beyond(z, n*sk*size)
		}
	})
	if divides := op == backend.Div || op == backend.Mod || op == backend.FloorDiv || op == backend.Remainder; divides && count(s.OutTypes[0]) > 0 {
		return dividing(run, size), nil
	}
	return run, nil
}

func bindCompare(s *Spec, op backend.CompareOp) (Func, error) {
	b, d := newBroadcast(s), s.InTypes[0].DType
	size := sizeOf(d)
	return b.zip(size, 1, func(y, x, z []byte, si, sk int) {
		var left, right [wordsPart]uint64
		for len(y) > 0 {
			n := min(len(y), wordsPart)
			loadKeys(left[:n], x, d, si)
			loadKeys(right[:n], z, d, sk)
			compareKeys(op, y[:n], left[:], right[:])
			y = y[n:]
			x, z = beyond(x, n*si*size), beyond(z, n*sk*size)
		}
	}), nil
}

// beyond returns what lies behind n bytes of an operand, nothing if it ends before.
func beyond(x []byte, n int) []byte { return x[min(n, len(x)):] }

// dividing refuses zeros, of a size, in the second operand.
func dividing(run Func, size int) Func {
	return func(c *Call) error {
		b := c.In[1].Bytes()
		for i := 0; i < len(b); i += size {
			zero := true
			for _, v := range b[i : i+size] {
				zero = zero && v == 0
			}
			if zero {
				return errors.New("an integer is divided by zero")
			}
		}
		return run(c)
	}
}

func bindFloats2(s *Spec, f func(a, b float64) float64) (Func, error) {
	b, d := newBroadcast(s), s.InTypes[0].DType
	return b.zip(sizeOf(d), sizeOf(d), func(y, x, z []byte, si, sk int) {
		if d == graph.F32 {
			floats2[float32](f, y, x, z, si, sk)
		} else {
			floats2[float64](f, y, x, z, si, sk)
		}
	}), nil
}

func floats2[T backend.Float](f func(a, b float64) float64, yb, ab, bb []byte, sa, sb int) {
	y, a, b := cells[T](yb), cells[T](ab), cells[T](bb)
	i, k := 0, 0
	for j := range y {
		y[j] = T(f(float64(a[i]), float64(b[k])))
		i += sa
		k += sb
	}
}

// broadcast is how operands are read for a result: axes that all operands go through alike are one.
type broadcast struct {
	dims    []int
	strides [][]int // by operand
	rows, n int     // the last axis is the row
}

func newBroadcast(s *Spec) broadcast {
	out := sizesOf(s.OutTypes[0])
	b := broadcast{strides: make([][]int, len(s.InTypes))}
	own := make([][]int, len(s.InTypes))
	for k, t := range s.InTypes {
		shape := sizesOf(t)
		own[k] = make([]int, len(out))
		for i, stride := range stridesOf(shape) {
			if shape[i] != 1 {
				own[k][len(out)-len(shape)+i] = stride
			}
		}
	}
	for i, d := range out {
		if d == 1 {
			continue
		}
		last := len(b.dims) - 1
		merge := last >= 0
		for k := range own {
			merge = merge && b.strides[k][last] == d*own[k][i]
		}
		if merge {
			b.dims[last] *= d
		} else {
			b.dims = append(b.dims, d)
			last++
		}
		for k := range own {
			b.strides[k] = append(b.strides[k][:last], own[k][i])
		}
	}
	if len(b.dims) == 0 {
		b.dims = []int{1}
		for k := range b.strides {
			b.strides[k] = []int{0}
		}
	}
	last := len(b.dims) - 1
	b.rows, b.n = product(b.dims[:last]), b.dims[last]
	return b
}

// row returns where row r starts in an operand, and the distance of its elements.
func (b *broadcast) row(k, r int) (at, step int) {
	last := len(b.dims) - 1
	for a := last - 1; a >= 0; a-- {
		at += r % b.dims[a] * b.strides[k][a]
		r /= b.dims[a]
	}
	return at, b.strides[k][last]
}

// spans returns the Func that calls do for parts of rows: places from lo to hi of row r.
func (b *broadcast) spans(do func(c *Call, r, lo, hi int)) Func {
	const part = 1 << 12
	if b.n < part {
		return inRanges(b.rows, 4+2*b.n, func(c *Call, _, lo, hi int) {
			for r := lo; r < hi; r++ {
				do(c, r, 0, b.n)
			}
		})
	}
	parts := backend.CeilDiv(b.n, part)
	return inRanges(b.rows*parts, 2*part, func(c *Call, _, lo, hi int) {
		for i := lo; i < hi; i++ {
			at := i % parts * part
			do(c, i/parts, at, min(at+part, b.n))
		}
	})
}

// zip returns the Func that calls loop for parts of rows: of y, and of two operands that go on by steps.
//
//go:noinline
func (b *broadcast) zip(sizeIn, sizeOut int, loop func(y, x, z []byte, si, sk int)) Func {
	return b.spans(func(c *Call, r, lo, hi int) {
		i, si := b.row(0, r)
		k, sk := b.row(1, r)
		x, z := c.In[0].Bytes()[(i+lo*si)*sizeIn:], c.In[1].Bytes()[(k+lo*sk)*sizeIn:]
		loop(c.Out[0].Bytes()[(r*b.n+lo)*sizeOut:(r*b.n+hi)*sizeOut], x, z, si, sk)
	})
}

// bindWhere selects between words.
func bindWhere(s *Spec) (Func, error) {
	b, size := newBroadcast(s), sizeOf(s.OutTypes[0].DType)
	return b.spans(func(c *Call, r, lo, hi int) {
		h, sh := b.row(0, r)
		i, si := b.row(1, r)
		k, sk := b.row(2, r)
		choose(size, c.Out[0].Bytes()[(r*b.n+lo)*size:(r*b.n+hi)*size],
			c.In[0].Bytes()[h+lo*sh:], c.In[1].Bytes()[(i+lo*si)*size:], c.In[2].Bytes()[(k+lo*sk)*size:], sh, si, sk)
	}), nil
}
