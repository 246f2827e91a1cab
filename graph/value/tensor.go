package value

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"math/bits"
	"slices"
	"strconv"
	"strings"
	"unsafe"

	"github.com/graphrun/graphrun/graph/errfmt"
)

// Alignment is the alignment in bytes of storage that this package allocates: one cache line, and the
// widest vector register.
const Alignment = 64

// maxBytes bounds the storage of a tensor, well inside what the Go heap can address, so that a size that
// comes from a file gives an error and not a panic.
const maxBytes = 1 << (30 + 16*(^uint(0)>>63))

// inlineRank is the highest rank whose shape lives in the Tensor itself.
const inlineRank = 5

func init() {
	if binary.NativeEndian.Uint16([]byte{1, 0}) != 1 {
		panic("graph/value: supported targets are little-endian")
	}
}

// Tensor is a contiguous row-major array of elements of one dtype. A tensor of rank 0 has one element.
//
// Numeric elements live in a byte slice, little-endian; elements narrower than a byte are packed as their
// DType says, and the padding bits of the last byte are zero. String elements live in a []string.
//
// Dtype and shape never change. The elements may be written through Bytes, Strings and Data; a tensor is
// safe for concurrent readers as long as nobody does.
type Tensor struct {
	dt     DType
	n      int
	shape  []int
	data   []byte
	strs   []string
	inline [inlineRank]int
}

// Elem lists the Go types of tensor elements. The dtypes without one (the 8-bit floats and everything
// narrower than a byte) are reached through Bytes and Exact.
type Elem interface {
	bool | int8 | int16 | int32 | int64 | uint8 | uint16 | uint32 | uint64 |
		float32 | float64 | Float16 | BFloat16 | string
}

// DTypeOf returns the dtype whose elements are of Go type T.
func DTypeOf[T Elem]() DType {
	var zero T
	switch any(zero).(type) {
	case bool:
		return Bool
	case int8:
		return I8
	case int16:
		return I16
	case int32:
		return I32
	case int64:
		return I64
	case uint8:
		return U8
	case uint16:
		return U16
	case uint32:
		return U32
	case uint64:
		return U64
	case Float16:
		return F16
	case BFloat16:
		return BF16
	case float32:
		return F32
	case float64:
		return F64
	case string:
		return String
	}
	return Invalid
}

// New returns a tensor of zeros (false, "") of the given shape; no shape makes a scalar. An invalid dtype,
// a negative dim, and a size beyond what can be addressed or beyond Memory are errors.
func New(dt DType, shape ...int) (*Tensor, error) {
	n, err := checkShape(dt, shape)
	if err == nil {
		err = checkMemory(dt, shape, n, elemBits(dt))
	}
	if err != nil {
		return nil, err
	}
	return alloc(dt, n, shape), nil
}

// FromSlice returns a tensor that shares the memory of data; no shape makes a scalar. The dims must not
// be negative and their product must be len(data).
func FromSlice[T Elem](data []T, shape ...int) (*Tensor, error) {
	dt := DTypeOf[T]()
	n, err := checkShape(dt, shape)
	if err != nil {
		return nil, err
	}
	if n != len(data) {
		return nil, errfmt.Errorf("%s needs %d elements, have %d", typeString(dt, shape), n, len(data))
	}
	t := header(dt, n, shape)
	if s, ok := any(data).([]string); ok {
		t.strs = s[:n:n]
		return t, nil
	}
	if n > 0 {
		t.data = unsafe.Slice((*byte)(unsafe.Pointer(unsafe.SliceData(data))), n*dt.Bits()/8)
	}
	return t, nil
}

// FromBytes returns a tensor that shares the memory of data, which must be exactly as long as the
// elements take (SizeBytes). Bool bytes other than 0 and 1 are an error, as is dtype String.
//
// Data that is not aligned to its element size, and data whose padding bits are not zero, is copied.
func FromBytes(dt DType, data []byte, shape ...int) (*Tensor, error) {
	n, err := checkShape(dt, shape)
	if err != nil {
		return nil, err
	}
	if dt == String {
		return nil, errors.New("string tensors are not made from bytes: use FromSlice")
	}
	size := byteSize(dt, n)
	if len(data) != size {
		return nil, errfmt.Errorf("%s takes %d bytes, have %d", typeString(dt, shape), size, len(data))
	}
	if dt == Bool {
		for i, b := range data {
			if b > 1 {
				return nil, errfmt.Errorf("%s: element %d is the byte %#02x, not 0 or 1", typeString(dt, shape), i, b)
			}
		}
	}
	padding := byte(0)
	if used := n % 8 * dt.Bits() % 8; used != 0 {
		padding = 0xff << used
	}
	if size > 0 && (!aligned(data, max(1, dt.Bits()/8)) || data[size-1]&padding != 0) {
		t := alloc(dt, n, shape)
		copy(t.data, data)
		t.data[size-1] &^= padding
		return t, nil
	}
	t := header(dt, n, shape)
	t.data = data[:size:size]
	return t, nil
}

// Scalar returns a tensor of rank 0 that holds x.
func Scalar[T Elem](x T) *Tensor {
	t := alloc(DTypeOf[T](), 1, nil)
	elems[T](t)[0] = x
	return t
}

// Data returns the elements as a Go slice that shares the tensor's memory. It is an error if T is not the
// Go type of the tensor's dtype: no conversion takes place.
func Data[T Elem](t *Tensor) ([]T, error) {
	if t == nil {
		return nil, errors.New("want a tensor, have nil")
	}
	if dt := DTypeOf[T](); t.dt != dt {
		var zero T
		return nil, errfmt.Errorf("tensor is %s, not %s (Go type %T)", typeString(t.dt, t.shape), dt, zero)
	}
	return elems[T](t), nil
}

// Item returns the element of a tensor that has exactly one, whatever its rank. T must be the Go type of
// the tensor's dtype.
func Item[T Elem](t *Tensor) (T, error) {
	if t == nil {
		var zero T
		return zero, errors.New("want a tensor, have nil")
	}
	var zero T
	xs, err := Data[T](t)
	if err != nil {
		return zero, err
	}
	if len(xs) != 1 {
		return zero, errfmt.Errorf("%s has %d elements, not one", typeString(t.dt, t.shape), len(xs))
	}
	return xs[0], nil
}

// elems is Data for a caller that knows that T is right.
func elems[T Elem](t *Tensor) []T {
	if s, ok := any(&t.strs).(*[]T); ok {
		return *s
	}
	return unsafe.Slice((*T)(unsafe.Pointer(unsafe.SliceData(t.data))), t.n)
}

// SizeBytes returns how many bytes the elements of a dtype and shape take. An invalid dtype, String,
// negative dims and overflow are errors.
func SizeBytes(dt DType, shape ...int) (int, error) {
	n, err := checkShape(dt, shape)
	if err != nil {
		return 0, err
	}
	if dt == String {
		return 0, errors.New("the elements of a string tensor have no fixed size")
	}
	return byteSize(dt, n), nil
}

// DType returns the element type.
func (t *Tensor) DType() DType { return t.dt }

// Shape returns the dims, empty for a scalar. The slice belongs to the tensor: do not write to it.
func (t *Tensor) Shape() []int { return t.shape }

// Rank returns the number of axes.
func (t *Tensor) Rank() int { return len(t.shape) }

// Len returns the number of elements.
func (t *Tensor) Len() int { return t.n }

// Bytes returns the storage of the elements, nil for dtype String. Writing a Bool element other than 0 and
// 1, or padding bits other than 0, breaks the tensor.
func (t *Tensor) Bytes() []byte { return t.data }

// Strings returns the elements of a String tensor, nil for every other dtype.
func (t *Tensor) Strings() []string { return t.strs }

// Overlaps reports whether two tensors share storage; nil shares none.
func (t *Tensor) Overlaps(u *Tensor) bool {
	if t == nil || u == nil || len(t.data) == 0 || len(u.data) == 0 {
		return false
	}
	a, b := uintptr(unsafe.Pointer(unsafe.SliceData(t.data))), uintptr(unsafe.Pointer(unsafe.SliceData(u.data)))
	return a < b+uintptr(len(u.data)) && b < a+uintptr(len(t.data))
}

// Clone returns a copy that shares nothing with t.
func (t *Tensor) Clone() *Tensor {
	c := alloc(t.dt, t.n, t.shape)
	copy(c.data, t.data)
	copy(c.strs, t.strs)
	return c
}

// Reshape returns a tensor with the same elements in another shape; it shares the memory of t. A shape
// with a negative dim or another number of elements is an error.
func (t *Tensor) Reshape(shape ...int) (*Tensor, error) {
	n, err := checkShape(t.dt, shape)
	if err != nil {
		return nil, err
	}
	if n != t.n {
		return nil, errfmt.Errorf("cannot reshape %s, which has %d elements, to %s, which has %d",
			typeString(t.dt, t.shape), t.n, shapeString(shape), n)
	}
	r := header(t.dt, n, shape)
	r.data, r.strs = t.data, t.strs
	return r, nil
}

// Equal reports whether t and u have the same dtype, shape and bits: a NaN equals the same NaN, and +0
// differs from -0.
func (t *Tensor) Equal(u *Tensor) bool {
	if t == nil || u == nil {
		return t == u
	}
	return t.dt == u.dt && slices.Equal(t.shape, u.shape) && bytes.Equal(t.data, u.data) &&
		slices.Equal(t.strs, u.strs)
}

// Float64s returns a copy of the elements converted to float64, which rounds 64-bit integers beyond 2^53;
// true is 1. It returns nil for a String tensor.
func (t *Tensor) Float64s() []float64 {
	if t.dt == String {
		return nil
	}
	if t.dt.Domain() == Floats && t.n > 0 {
		return t.Exact().F
	}
	out := make([]float64, t.n)
	for i := range out {
		out[i] = t.Float64At(i)
	}
	return out
}

// Float64At is element i of Float64s, of a tensor that is not of strings, without the copy.
func (t *Tensor) Float64At(i int) float64 {
	switch c := t.code(i); t.dt.Domain() {
	case Ints:
		return float64(wrapInt(c, t.dt))
	case Floats:
		return DecodeFloat(t.dt, c)
	default: // an unsigned integer, or 1 for true
		return float64(c)
	}
}

// String returns dtype, shape and the first elements, such as "f32[2,3] [[1 2 3] [4 5 6]]" and
// "i64[100] [0 1 2 3 4 5 6 7 ...]". Tensors of up to 16 elements are shown in full.
func (t *Tensor) String() string {
	if t == nil {
		return "tensor <nil>"
	}
	const full, cut = 16, 8
	b := append([]byte(typeString(t.dt, t.shape)), ' ')
	left := t.n
	if t.n > full {
		left = cut
	}
	shape := t.shape
	if t.n == 0 || len(shape) > full {
		shape = []int{t.n}
	}
	b, _ = t.appendNested(b, shape, 0, left)
	return string(b)
}

// appendNested writes the elements from index at on, nested by shape, and stops after left elements. It
// returns how many it wrote.
func (t *Tensor) appendNested(b []byte, shape []int, at, left int) ([]byte, int) {
	if len(shape) == 0 {
		return t.appendElem(b, at), 1
	}
	b = append(b, '[')
	done := 0
	for i := range shape[0] {
		if i > 0 {
			b = append(b, ' ')
		}
		if done >= left {
			b = append(b, "..."...)
			break
		}
		var k int
		b, k = t.appendNested(b, shape[1:], at+done, left-done)
		done += k
	}
	return append(b, ']'), done
}

// checkShape returns the number of elements. Dims other than 0 must have a product that can be addressed
// even if a dim of 0 makes the tensor empty, so that strides never overflow.
func checkShape(dt DType, shape []int) (int, error) {
	if !dt.Valid() {
		return 0, errfmt.Errorf("%s is not a dtype of tensors", dt)
	}
	n, empty := uint(1), false
	for axis, d := range shape {
		if d < 0 {
			return 0, errfmt.Errorf("%s: dim %d is negative", typeString(dt, shape), axis)
		}
		if d == 0 {
			empty = true
			continue
		}
		hi, lo := bits.Mul(n, uint(d))
		if hi != 0 || lo > maxBytes {
			return 0, errfmt.Errorf("%s is too large", typeString(dt, shape))
		}
		n = lo
	}
	if hi, lo := bits.Mul(n, uint(elemBits(dt))); hi != 0 || lo/8 > maxBytes {
		return 0, errfmt.Errorf("%s is too large", typeString(dt, shape))
	}
	if empty {
		n = 0
	}
	return int(n), nil
}

// elemBits is the storage of an element, without what a string points to.
func elemBits(dt DType) int {
	if dt == String {
		return int(unsafe.Sizeof("")) * 8
	}
	return dt.Bits()
}

// byteSize is the storage of n elements that passed checkShape.
func byteSize(dt DType, n int) int {
	if b := dt.Bits(); b >= 8 {
		return n * (b / 8)
	}
	per := 8 / max(1, dt.Bits())
	return n/per + (n%per+per-1)/per
}

// header returns a tensor without storage. Inlined, it takes 0.8 kB of a service.
//
//go:noinline
func header(dt DType, n int, shape []int) *Tensor {
	t := &Tensor{dt: dt, n: n}
	if len(shape) <= inlineRank {
		t.shape = t.inline[:len(shape):len(shape)]
	} else {
		t.shape = make([]int, len(shape))
	}
	copy(t.shape, shape)
	return t
}

// alloc returns a tensor of zeros; dtype and shape have passed checkShape.
func alloc(dt DType, n int, shape []int) *Tensor {
	t := header(dt, n, shape)
	if dt == String {
		t.strs = make([]string, n)
	} else {
		t.data = alignedBytes(byteSize(dt, n))
	}
	return t
}

// alignedBytes returns n zero bytes that start at a multiple of Alignment.
func alignedBytes(n int) []byte {
	if n == 0 {
		return nil
	}
	// Most size classes that are a multiple of the alignment are aligned to it.
	b := make([]byte, (n+Alignment-1)&^(Alignment-1))
	if !aligned(b, Alignment) {
		b = make([]byte, n+Alignment-1)
		if off := addr(b) % Alignment; off != 0 {
			b = b[Alignment-off:]
		}
	}
	return b[:n:n]
}

func addr(b []byte) uintptr { return uintptr(unsafe.Pointer(unsafe.SliceData(b))) }

func aligned(b []byte, to int) bool { return addr(b)%uintptr(to) == 0 }

func typeString(dt DType, shape []int) string { return dt.String() + shapeString(shape) }

func shapeString(shape []int) string {
	var b strings.Builder
	b.WriteByte('[')
	for i, d := range shape {
		if i > 0 {
			b.WriteByte(',')
		}
		if i == 32 {
			b.WriteString("...")
			break
		}
		b.WriteString(strconv.Itoa(d))
	}
	b.WriteByte(']')
	return b.String()
}

// View returns a tensor over storage whose contents it does not look at: for an executor that writes every element before it reads
// it. data must be as long as the elements take and aligned to their size; there are no views of strings.
func View(dt DType, data []byte, shape ...int) (*Tensor, error) {
	n, err := checkShape(dt, shape)
	if err != nil {
		return nil, err
	}
	if size := byteSize(dt, n); dt == String || len(data) != size || size > 0 && !aligned(data, max(1, dt.Bits()/8)) {
		return nil, errfmt.Errorf("%s: %d bytes at this place are no storage for it", typeString(dt, shape), len(data))
	}
	t := header(dt, n, shape)
	t.data = data
	return t, nil
}

// Rebase makes a tensor that View returned a view of other storage, of the same size and alignment. An executor keeps one view for
// all the tensors that it sees in another shape. nil lets go of the storage until the next one.
func (t *Tensor) Rebase(data []byte) {
	if size := byteSize(t.dt, t.n); len(data) != size && data != nil {
		panic(fmt.Sprintf("value: %s takes %d bytes, have %d", typeString(t.dt, t.shape), size, len(data)))
	}
	t.data = data
}
