package value

import (
	"encoding/binary"
	"errors"
	"math"
	"slices"
	"strconv"

	"github.com/graphrun/graphrun/graph/errfmt"
)

// Exact is a tensor in the exact domain of its dtype, where the reference meaning of ops is computed:
// float64, int64, uint64, bool or string, as DType.Domain says. Exactly the slice of that domain is used,
// and it holds the elements in row-major order.
//
// Between Tensor.Exact and Exact.Tensor the elements may take any value of the domain; Round brings them
// back to values of the dtype.
type Exact struct {
	DType DType
	Shape []int
	F     []float64 // Floats
	I     []int64   // Ints
	U     []uint64  // Uints
	B     []bool    // Bools
	S     []string  // Strings
}

// NewExact returns zeros of a dtype and shape. It panics where TryExact gives an error, which is for a dtype
// and a shape that come from outside.
func NewExact(dt DType, shape []int) *Exact {
	e, err := TryExact(dt, shape)
	if err != nil {
		panic("value.NewExact: " + err.Error())
	}
	return e
}

// TryExact returns zeros of a dtype and shape, or an error where New gives one. Numbers take 8 bytes each here,
// so memory ends earlier.
func TryExact(dt DType, shape []int) (*Exact, error) {
	n, err := checkShape(dt, shape)
	if err == nil {
		walk := 1 // what walks over the other axes must be able to if one has size 0
		for _, d := range shape {
			walk *= max(d, 1)
		}
		err = checkMemory(dt, shape, walk, max(64, elemBits(dt)))
	}
	if err != nil {
		return nil, err
	}
	e := &Exact{DType: dt, Shape: slices.Clone(shape)}
	switch dt.Domain() {
	case Floats:
		e.F = make([]float64, n)
	case Ints:
		e.I = make([]int64, n)
	case Uints:
		e.U = make([]uint64, n)
	case Bools:
		e.B = make([]bool, n)
	case Strings:
		e.S = make([]string, n)
	}
	return e, nil
}

// Len returns the number of elements.
func (e *Exact) Len() int {
	switch e.DType.Domain() {
	case Floats:
		return len(e.F)
	case Ints:
		return len(e.I)
	case Uints:
		return len(e.U)
	case Bools:
		return len(e.B)
	case Strings:
		return len(e.S)
	}
	return 0
}

// Exact returns the elements of t in their exact domain, copied. Exact then Tensor gives the same bits. It
// panics where TryExact gives an error, which only happens to tensors that take an eighth of the memory.
func (t *Tensor) Exact() *Exact {
	e, err := t.TryExact()
	if err != nil {
		panic("value.Exact: " + err.Error())
	}
	return e
}

// TryExact is Exact with an error for a tensor whose elements do not fit into memory at 8 bytes each.
func (t *Tensor) TryExact() (*Exact, error) {
	e, err := TryExact(t.dt, t.shape)
	if err != nil {
		return nil, err
	}
	switch t.dt.Domain() {
	case Bools:
		copy(e.B, elems[bool](t))
	case Strings:
		copy(e.S, t.strs)
	case Floats:
		switch t.dt {
		case F64:
			copy(e.F, elems[float64](t))
		case F32:
			for i, x := range elems[float32](t) {
				e.F[i] = widen(x)
			}
		default:
			for i := range e.F {
				e.F[i] = DecodeFloat(t.dt, t.code(i))
			}
		}
	case Ints:
		for i := range e.I {
			e.I[i] = wrapInt(t.code(i), t.dt)
		}
	case Uints:
		for i := range e.U {
			e.U[i] = t.code(i)
		}
	}
	return e, nil
}

// Tensor returns a tensor of the elements: floats are rounded to nearest even (EncodeFloat) and integers
// wrap modulo 2^bits. It panics if the slice in use is not as long as the shape says.
func (e *Exact) Tensor() *Tensor {
	n, err := checkShape(e.DType, e.Shape)
	if err == nil && n != e.Len() {
		err = errfmt.Errorf("%s has %d elements, have %d", typeString(e.DType, e.Shape), n, e.Len())
	}
	if err != nil {
		panic("value.Exact: " + err.Error())
	}
	t := alloc(e.DType, n, e.Shape)
	switch e.DType.Domain() {
	case Bools:
		copy(elems[bool](t), e.B)
	case Strings:
		copy(t.strs, e.S)
	case Floats:
		switch e.DType {
		case F64:
			copy(elems[float64](t), e.F)
		case F32:
			out := elems[float32](t)
			for i, x := range e.F {
				out[i] = narrow(x)
			}
		default:
			for i, x := range e.F {
				t.setCode(i, EncodeFloat(e.DType, x))
			}
		}
	case Ints:
		for i, x := range e.I {
			t.setCode(i, uint64(x))
		}
	case Uints:
		for i, x := range e.U {
			t.setCode(i, x)
		}
	}
	return t
}

// Round rounds floats (RoundFloat) and wraps integers in place, to what the dtype can hold.
func (e *Exact) Round() {
	switch e.DType.Domain() {
	case Floats:
		if e.DType == F64 {
			return
		}
		for i, x := range e.F {
			e.F[i] = RoundFloat(e.DType, x)
		}
	case Ints:
		for i, x := range e.I {
			e.I[i] = wrapInt(uint64(x), e.DType)
		}
	case Uints:
		for i, x := range e.U {
			e.U[i] = x & mask(e.DType)
		}
	}
}

// Clone returns a copy that shares nothing with e.
func (e *Exact) Clone() *Exact {
	return &Exact{
		DType: e.DType, Shape: slices.Clone(e.Shape), F: slices.Clone(e.F), I: slices.Clone(e.I),
		U: slices.Clone(e.U), B: slices.Clone(e.B), S: slices.Clone(e.S),
	}
}

// Convert casts e to another dtype; the shape stays, and the result is new and rounded.
//
//   - To floats: rounded once, to nearest even (EncodeFloat). An 8-bit float saturates, infinities too,
//     as ONNX's Cast does by default: in f8e5m2, EncodeFloat does not.
//   - Float to integer: truncated toward zero, then wrapped modulo 2^bits. NaN gives 0; below -2^63 counts
//     as -2^63, and 2^63 and more as 2^63-1, but for u64, which is exact up to 2^64-1 and saturates there.
//   - Integer to integer: wrapped modulo 2^bits.
//   - To bool: x != 0, so NaN gives true. From bool: 0 or 1.
//   - To string: integers in decimal, floats in the shortest form that reads back to the same value of
//     e's dtype, bools "true" and "false".
//   - From string: by strconv after cutting surrounding white space. Text that is not a number or does not
//     fit an integer dtype is an error that names the element; fractions are truncated. Floats out of
//     range overflow as numbers do. Bools are what strconv.ParseBool accepts.
//
// Values must be in the range of e's dtype (Round). An invalid dtype is an error.
func Convert(e *Exact, to DType) (*Exact, error) { return ConvertMode(e, to, CastMode{}) }

// CastExactly returns t in another dtype, and an error if an element would change by that: the conversion there and back gives the same
// bits, and no integer changes its sign on the way. A tensor that has the dtype already is returned itself.
func CastExactly(t *Tensor, to DType) (*Tensor, error) {
	if t == nil {
		return nil, errors.New("want a tensor, have nil")
	}
	if t.dt == to {
		return t, nil
	}
	out, err := New(to, t.shape...)
	if err != nil {
		return nil, err
	}
	const block = 1 << 12 // elements that are exact at a time: all together take up to 16 times as much memory as t
	for lo := 0; lo < t.n; lo += block {
		part := t.part(lo, min(t.n, lo+block))
		from := part.Exact()
		there, err := Convert(from, to)
		if err != nil {
			return nil, err
		}
		back, err := Convert(there, t.dt)
		if err != nil {
			return nil, err
		}
		// Integers of the other signedness keep their bits and would come back, whatever they mean in between.
		negative := func(x int64) bool { return x < 0 }
		wrapped := there.U != nil && slices.ContainsFunc(from.I, negative) || from.U != nil && slices.ContainsFunc(there.I, negative)
		if wrapped || !back.Tensor().Equal(part) {
			return nil, errfmt.Errorf("its elements are %s, and not all of them are numbers of %s: convert them first", t.dt, to)
		}
		cast, dst := there.Tensor(), out.part(lo, lo+part.n)
		copy(dst.data, cast.data)
		copy(dst.strs, cast.strs)
	}
	return out, nil
}

// part is elements lo to hi of t, of which lo begins a byte.
func (t *Tensor) part(lo, hi int) *Tensor {
	p := header(t.dt, hi-lo, []int{hi - lo})
	if t.dt == String {
		p.strs = t.strs[lo:hi]
	} else {
		p.data = t.data[byteSize(t.dt, lo):byteSize(t.dt, hi)]
	}
	return p
}

// CastMode holds what ONNX's Cast lets one choose about conversions to 8-bit floats. The zero CastMode is
// what Convert does.
type CastMode struct {
	// NoSaturate makes numbers and infinities beyond the range of an 8-bit float infinite where the
	// format has infinities, and NaN elsewhere; for F8E8M0 that includes zero and what is below 2^-127.
	NoSaturate bool
	// E8M0 says how to round to F8E8M0.
	E8M0 E8M0Rounding
}

// E8M0Rounding says how a number between two powers of two is rounded to F8E8M0.
type E8M0Rounding uint8

// The roundings.
const (
	E8M0Nearest E8M0Rounding = iota // to the nearest, ties up
	E8M0Up                          // to the larger
	E8M0Down                        // to the smaller
)

// ConvertMode is Convert with a choice of the conversion to 8-bit floats. Elements that stay in their
// dtype are not changed by it.
func ConvertMode(e *Exact, to DType, mode CastMode) (*Exact, error) {
	if !e.DType.Valid() || !to.Valid() {
		return nil, errfmt.Errorf("cannot convert %s to %s: not a dtype of tensors", e.DType, to)
	}
	n := e.Len()
	if m, err := checkShape(to, e.Shape); err != nil {
		return nil, err
	} else if m != n {
		return nil, errfmt.Errorf("%s has %d elements, have %d", typeString(e.DType, e.Shape), m, n)
	}
	if e.DType == to {
		out := e.Clone()
		out.Round()
		return out, nil
	}
	if e.DType == String {
		return convertStrings(e, to, mode)
	}
	out := NewExact(to, e.Shape)
	for i := range n {
		switch to.Domain() {
		case Floats:
			out.F[i] = roundMode(to, e.float64At(i, to), mode)
		case Ints:
			out.I[i] = wrapInt(e.bitsAt(i, to), to)
		case Uints:
			out.U[i] = e.bitsAt(i, to) & mask(to)
		case Bools:
			out.B[i] = e.boolAt(i)
		case Strings:
			out.S[i] = e.stringAt(i)
		}
	}
	return out, nil
}

func convertStrings(e *Exact, to DType, mode CastMode) (*Exact, error) {
	out := NewExact(to, e.Shape)
	for i, s := range e.S {
		s = trimSpace(s)
		var err error
		switch to.Domain() {
		case Floats:
			var x float64
			x, err = parseFloat(to, s)
			if errors.Is(err, strconv.ErrRange) {
				err = nil // x is infinite or zero
			}
			out.F[i] = roundMode(to, x, mode)
		case Ints:
			out.I[i], err = strconv.ParseInt(s, 10, to.Bits())
			if errors.Is(err, strconv.ErrSyntax) {
				var x float64
				if x, err = strconv.ParseFloat(s, 64); err == nil {
					out.I[i] = int64(floatBits(x, to))
					if x = math.Trunc(x); float64(wrapInt(uint64(out.I[i]), to)) != x {
						err = strconv.ErrRange
					}
				}
			}
		case Uints:
			out.U[i], err = strconv.ParseUint(s, 10, to.Bits())
			if errors.Is(err, strconv.ErrSyntax) {
				var x float64
				if x, err = strconv.ParseFloat(s, 64); err == nil {
					out.U[i] = floatBits(x, to)
					if x = math.Trunc(x); float64(out.U[i]&mask(to)) != x {
						err = strconv.ErrRange
					}
				}
			}
		case Bools:
			out.B[i], err = strconv.ParseBool(s)
		}
		if err != nil {
			if ne, ok := errors.AsType[*strconv.NumError](err); ok {
				err = ne.Err
			}
			return nil, errfmt.Errorf("cannot convert string element %d, %s, to %s: %w", i, quoteShort(e.S[i]), to, err)
		}
	}
	return out, nil
}

func roundMode(to DType, x float64, mode CastMode) float64 {
	if to.Bits() > 8 {
		return RoundFloat(to, x)
	}
	return DecodeFloat(to, encodeMode(to, x, mode))
}

// float64At returns element i as a float64 that rounds to another float dtype as the element does.
func (e *Exact) float64At(i int, to DType) float64 {
	switch e.DType.Domain() {
	case Floats:
		return e.F[i]
	case Ints:
		return IntToFloat(to, e.I[i])
	case Uints:
		return IntToFloat(to, e.U[i])
	case Bools:
		if e.B[i] {
			return 1
		}
	}
	return 0
}

// IntToFloat returns x as a float64 that rounds to a float dtype as x does. What a float64 has no room for leaves a 1 in a place
// behind those of narrower dtypes, so that to round once more is to round once.
func IntToFloat[T int64 | uint64](to DType, x T) float64 {
	const behind = 1 << 11 // 64 bits without these fit into the 53 of a float64
	if high := x >> 53; to != F64 && high != 0 && ^high != 0 && x%behind != 0 {
		x = x&^(behind-1) | behind
	}
	return float64(x)
}

// bitsAt returns element i as an integer modulo 2^64.
func (e *Exact) bitsAt(i int, to DType) uint64 {
	switch e.DType.Domain() {
	case Floats:
		return floatBits(e.F[i], to)
	case Ints:
		return uint64(e.I[i])
	case Uints:
		return e.U[i]
	case Bools:
		if e.B[i] {
			return 1
		}
	}
	return 0
}

func floatBits(x float64, to DType) uint64 {
	switch {
	case x != x:
		return 0
	case x <= math.MinInt64:
		return 1 << 63
	case x < 1<<63:
		return uint64(int64(x))
	case to != U64:
		return math.MaxInt64
	case x < 1<<64:
		return uint64(x)
	}
	return math.MaxUint64
}

func (e *Exact) boolAt(i int) bool {
	switch e.DType.Domain() {
	case Floats:
		return e.F[i] != 0
	case Ints:
		return e.I[i] != 0
	case Uints:
		return e.U[i] != 0
	case Bools:
		return e.B[i]
	}
	return false
}

func (e *Exact) stringAt(i int) string {
	switch e.DType.Domain() {
	case Floats:
		if math.IsNaN(e.F[i]) {
			return "nan"
		}
		return string(appendFloat(nil, e.DType, e.F[i]))
	case Ints:
		return strconv.FormatInt(e.I[i], 10)
	case Uints:
		return strconv.FormatUint(e.U[i], 10)
	case Bools:
		return strconv.FormatBool(e.B[i])
	}
	return e.S[i]
}

// mask has the bits of an integer or narrower dtype set.
func mask(dt DType) uint64 { return 1<<dt.Bits() - 1 }

// wrapInt takes the low bits of x as a signed integer of dtype dt.
func wrapInt(x uint64, dt DType) int64 {
	unused := 64 - dt.Bits()
	return int64(x<<unused) >> unused
}

// code returns the bits of element i of a numeric or bool tensor.
func (t *Tensor) code(i int) uint64 {
	switch w := t.dt.Bits(); w {
	case 64:
		return binary.LittleEndian.Uint64(t.data[i*8:])
	case 32:
		return uint64(binary.LittleEndian.Uint32(t.data[i*4:]))
	case 16:
		return uint64(binary.LittleEndian.Uint16(t.data[i*2:]))
	case 8:
		return uint64(t.data[i])
	default:
		per := 8 / w
		return uint64(t.data[i/per]>>(i%per*w)) & mask(t.dt)
	}
}

// setCode stores the low bits of c in element i of a numeric or bool tensor.
func (t *Tensor) setCode(i int, c uint64) {
	switch w := t.dt.Bits(); w {
	case 64:
		binary.LittleEndian.PutUint64(t.data[i*8:], c)
	case 32:
		binary.LittleEndian.PutUint32(t.data[i*4:], uint32(c))
	case 16:
		binary.LittleEndian.PutUint16(t.data[i*2:], uint16(c))
	case 8:
		t.data[i] = byte(c)
	default:
		per := 8 / w
		shift := i % per * w
		m := byte(mask(t.dt))
		t.data[i/per] = t.data[i/per]&^(m<<shift) | byte(c)&m<<shift
	}
}
