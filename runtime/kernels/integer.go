package kernels

import (
	"errors"
	"math"

	"github.com/graphrun/graphrun/graph"
	"github.com/graphrun/graphrun/runtime/kernels/portable"
	"github.com/graphrun/graphrun/runtime/kernels/strip"
)

// Element-wise ops that no strip computes, and those on dtypes that strips do not hold: plain loops.

func init() {
	for op, rows := range map[string]map[graph.DType]binder{
		"add":     narrow2(plus[int8], plus[int16], plus[uint8], plus[uint16], plus[uint32], plus[uint64]),
		"sub":     narrow2(minus[int8], minus[int16], minus[uint8], minus[uint16], minus[uint32], minus[uint64]),
		"mul":     narrow2(times[int8], times[int16], times[uint8], times[uint16], times[uint32], times[uint64]),
		"maximum": narrow2(larger[int8], larger[int16], larger[uint8], larger[uint16], larger[uint32], larger[uint64]),
		"minimum": narrow2(smaller[int8], smaller[int16], smaller[uint8], smaller[uint16], smaller[uint32], smaller[uint64]),

		"pow": integers2(power[int8], power[int16], power[int32], power[int64], power[uint8], power[uint16], power[uint32], power[uint64]),
		"div": dividing(integers2(quotient[int8], quotient[int16], quotient[int32], quotient[int64],
			quotient[uint8], quotient[uint16], quotient[uint32], quotient[uint64])),
		"floor_div": dividing(integers2(floored[int8], floored[int16], floored[int32], floored[int64],
			floored[uint8], floored[uint16], floored[uint32], floored[uint64])),
		"remainder": dividing(integers2(modulo[int8], modulo[int16], modulo[int32], modulo[int64],
			modulo[uint8], modulo[uint16], modulo[uint32], modulo[uint64])),
		"fmod": dividing(integers2(rest[int8], rest[int16], rest[int32], rest[int64], rest[uint8], rest[uint16], rest[uint32], rest[uint64])),

		"equal":         narrow2(eq[int8], eq[int16], eq[uint8], eq[uint16], eq[uint32], eq[uint64]),
		"not_equal":     narrow2(ne[int8], ne[int16], ne[uint8], ne[uint16], ne[uint32], ne[uint64]),
		"less":          narrow2(lt[int8], lt[int16], lt[uint8], lt[uint16], lt[uint32], lt[uint64]),
		"less_equal":    narrow2(le[int8], le[int16], le[uint8], le[uint16], le[uint32], le[uint64]),
		"greater":       narrow2(gt[int8], gt[int16], gt[uint8], gt[uint16], gt[uint32], gt[uint64]),
		"greater_equal": narrow2(ge[int8], ge[int16], ge[uint8], ge[uint16], ge[uint32], ge[uint64]),

		"neg":    narrow1(opposite[int8], opposite[int16], opposite[uint8], opposite[uint16], opposite[uint32], opposite[uint64]),
		"abs":    narrow1(size[int8], size[int16], size[uint8], size[uint16], size[uint32], size[uint64]),
		"sign":   narrow1(signum[int8], signum[int16], signum[uint8], signum[uint16], signum[uint32], signum[uint64]),
		"square": narrow1(squared[int8], squared[int16], squared[uint8], squared[uint16], squared[uint32], squared[uint64]),
		"relu":   narrow1(positive[int8], positive[int16], positive[uint8], positive[uint16], positive[uint32], positive[uint64]),
	} {
		perDType(op, nil, rows)
	}
	for op, f := range map[string]func(a, b float64) float64{"floor_div": floorDiv, "remainder": remainder} {
		perDType(op, nil, map[graph.DType]binder{
			graph.F32: zip(func(a, b float32) float32 { return float32(f(float64(a), float64(b))) }),
			graph.F64: zip(f),
		})
	}
	register(&Kernel{
		Op: "where", DTypes: graph.Bools,
		Match: func(in []graph.TensorType, _ graph.Attrs) bool {
			return wide.Has(in[1].DType) && !strip.Holds(in[1].DType)
		},
		Bind: func(s *Spec) (Func, error) {
			return bySize(s.OutTypes[0].DType, func() (Func, error) { return choose[uint8](s) },
				func() (Func, error) { return choose[uint16](s) },
				func() (Func, error) { return choose[uint32](s) },
				func() (Func, error) { return choose[uint64](s) })
		},
	})
}

// integers are the integers of Go.
type integers interface {
	int8 | int16 | int32 | int64 | uint8 | uint16 | uint32 | uint64
}

func plus[T integers](a, b T) T    { return a + b }
func minus[T integers](a, b T) T   { return a - b }
func times[T integers](a, b T) T   { return a * b }
func larger[T integers](a, b T) T  { return max(a, b) }
func smaller[T integers](a, b T) T { return min(a, b) }
func opposite[T integers](x T) T   { return -x }
func squared[T integers](x T) T    { return x * x }
func positive[T integers](x T) T   { return max(x, 0) }

func size[T integers](x T) T {
	if x < 0 {
		return -x
	}
	return x
}

func signum[T integers](x T) T {
	switch {
	case x > 0:
		return 1
	case x < 0:
		return ^T(0) // -1
	}
	return 0
}

func truth(b bool) uint8 {
	if b {
		return 1
	}
	return 0
}

func eq[T integers](a, b T) uint8 { return truth(a == b) }
func ne[T integers](a, b T) uint8 { return truth(a != b) }
func lt[T integers](a, b T) uint8 { return truth(a < b) }
func le[T integers](a, b T) uint8 { return truth(a <= b) }
func gt[T integers](a, b T) uint8 { return truth(a > b) }
func ge[T integers](a, b T) uint8 { return truth(a >= b) }

// Divisions are by numbers other than zero; see dividing.
func quotient[T integers](a, b T) T { return a / b }
func rest[T integers](a, b T) T     { return a % b }

func floored[T integers](a, b T) T {
	q := a / b
	if a%b != 0 && (a < 0) != (b < 0) {
		q--
	}
	return q
}

func modulo[T integers](a, b T) T {
	r := a % b
	if r != 0 && (r < 0) != (b < 0) {
		r += b
	}
	return r
}

// power wraps; to a negative power only 1 and -1 are not 0.
func power[T integers](a, b T) T {
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

// integers2 returns the binders of a function of the elements of two operands, broadcast, on all integers.
func integers2(i8 func(a, b int8) int8, i16 func(a, b int16) int16, i32 func(a, b int32) int32, i64 func(a, b int64) int64,
	u8 func(a, b uint8) uint8, u16 func(a, b uint16) uint16, u32 func(a, b uint32) uint32, u64 func(a, b uint64) uint64,
) map[graph.DType]binder {
	rows := narrow2(i8, i16, u8, u16, u32, u64)
	rows[graph.I32], rows[graph.I64] = zip(i32), zip(i64)
	return rows
}

// narrow2 is integers2 for those that strips do not hold; the results may be truth values.
func narrow2[A, B, C, D, E, F portable.Number](i8 func(a, b int8) A, i16 func(a, b int16) B,
	u8 func(a, b uint8) C, u16 func(a, b uint16) D, u32 func(a, b uint32) E, u64 func(a, b uint64) F,
) map[graph.DType]binder {
	return map[graph.DType]binder{
		graph.I8: zip(i8), graph.I16: zip(i16), graph.U8: zip(u8), graph.U16: zip(u16), graph.U32: zip(u32), graph.U64: zip(u64),
	}
}

// narrow1 is narrow2 for functions of one operand.
func narrow1(i8 func(int8) int8, i16 func(int16) int16,
	u8 func(uint8) uint8, u16 func(uint16) uint16, u32 func(uint32) uint32, u64 func(uint64) uint64,
) map[graph.DType]binder {
	return map[graph.DType]binder{
		graph.I8: each(i8), graph.I16: each(i16), graph.U8: each(u8), graph.U16: each(u16), graph.U32: each(u32), graph.U64: each(u64),
	}
}

// dividing makes binders refuse zeros in the second operand of a call that has results.
func dividing(rows map[graph.DType]binder) map[graph.DType]binder {
	for d, bind := range rows {
		rows[d] = func(s *Spec) (Func, error) {
			run, err := bind(s)
			if err != nil || count(s.OutTypes[0]) == 0 {
				return run, err
			}
			width := d.Bits() / 8
			return func(c *Call) error {
				b := c.In[1].Bytes()
				for i := 0; i < len(b); i += width {
					zero := true
					for _, v := range b[i : i+width] {
						zero = zero && v == 0
					}
					if zero {
						return errors.New("an integer is divided by zero")
					}
				}
				return run(c)
			}, nil
		}
	}
	return rows
}

// each returns the binder of a function of each element.
func each[X, Y portable.Number](f func(X) Y) binder {
	return func(s *Spec) (Func, error) {
		return inRanges(count(s.OutTypes[0]), 2, func(c *Call, _, lo, hi int) {
			x, y := elems[X](c.In[0])[lo:hi], elems[Y](c.Out[0])[lo:hi]
			for i, v := range x {
				y[i] = f(v)
			}
		}), nil
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
	b := broadcast{strides: make([][]int, len(s.InTypes)), rows: 1, n: 1}
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
	for _, d := range b.dims[:len(b.dims)-1] {
		b.rows *= d
	}
	b.n = b.dims[len(b.dims)-1]
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
	parts := (b.n + part - 1) / part
	return inRanges(b.rows*parts, 2*part, func(c *Call, _, lo, hi int) {
		for i := lo; i < hi; i++ {
			at := i % parts * part
			do(c, i/parts, at, min(at+part, b.n))
		}
	})
}

// zip returns the binder of a function of the elements of two operands, broadcast.
func zip[X, Y portable.Number](f func(a, b X) Y) binder {
	return func(s *Spec) (Func, error) {
		b := newBroadcast(s)
		return b.spans(func(c *Call, r, lo, hi int) {
			x, z, y := elems[X](c.In[0]), elems[X](c.In[1]), elems[Y](c.Out[0])
			i, si := b.row(0, r)
			k, sk := b.row(1, r)
			i, k = i+lo*si, k+lo*sk
			out := y[r*b.n:][lo:hi]
			for j := range out {
				out[j] = f(x[i], z[k])
				i += si
				k += sk
			}
		}), nil
	}
}

// choose selects between words.
func choose[T word](s *Spec) (Func, error) {
	b := newBroadcast(s)
	return b.spans(func(c *Call, r, lo, hi int) {
		cond, x, z, y := elems[uint8](c.In[0]), elems[T](c.In[1]), elems[T](c.In[2]), elems[T](c.Out[0])
		h, sh := b.row(0, r)
		i, si := b.row(1, r)
		k, sk := b.row(2, r)
		h, i, k = h+lo*sh, i+lo*si, k+lo*sk
		out := y[r*b.n:][lo:hi]
		for j := range out {
			if cond[h] != 0 {
				out[j] = x[i]
			} else {
				out[j] = z[k]
			}
			h += sh
			i += si
			k += sk
		}
	}), nil
}
