package dense

import (
	"errors"
	"fmt"
	"math/bits"
	"strconv"
	"unsafe"

	"gorgonia.org/tensor"

	"github.com/graphrun/graphrun/graph/value"
)

// FromDense returns a tensor with the elements, dtype and shape of d that shares its memory: a write
// through one is seen through the other.
//
// A Dense that is not contiguous in row-major order (after T, a slice of columns, Fortran order), that is
// masked, or whose memory Go cannot reach, and a dtype that tensors here do not have, is an error; Copy
// takes the first kind. The memory is Gorgonia's to manage: d must not go back to its pool
// (tensor.ReturnTensor) while the result is in use, nor must memory that Go does not own be freed.
func FromDense(d *tensor.Dense) (*value.Tensor, error) {
	src, err := inspect(d)
	if err != nil {
		return nil, err
	}
	if !src.rowMajor {
		return nil, fmt.Errorf("%s with strides %v is not contiguous in row-major order: use dense.Copy", src, d.Strides())
	}
	if src.dt == value.String {
		return value.FromSlice(src.strings(), src.shape...)
	}
	t, err := value.FromBytes(src.dt, src.raw, src.shape...)
	if err == nil && unsafe.SliceData(t.Bytes()) != unsafe.SliceData(src.raw) {
		return nil, fmt.Errorf("%s: the memory is not aligned to its elements: use dense.Copy", src)
	}
	return t, err
}

// Copy returns a tensor with the elements, dtype and shape of d in memory of its own. It takes every
// layout that strides describe. Errors are those of FromDense but for the layout.
func Copy(d *tensor.Dense) (*value.Tensor, error) {
	src, err := inspect(d)
	if err != nil {
		return nil, err
	}
	t, err := value.New(src.dt, src.shape...)
	if err != nil {
		return nil, err
	}
	if src.dt == value.String {
		gather(t.Strings(), src.strings(), 1, src.shape, src.strides)
		return t, nil
	}
	gather(t.Bytes(), src.raw, src.width, src.shape, src.strides)
	// A byte that is no bool could have come along.
	return value.FromBytes(src.dt, t.Bytes(), src.shape...)
}

// ToDense returns a Dense with the elements, dtype and shape of t that shares its memory. The dtypes
// without an element type in Gorgonia are an error: those below a byte, the 8-bit floats, f16 and bf16.
func ToDense(t *value.Tensor) (*tensor.Dense, error) {
	if t == nil {
		return nil, errors.New("the tensor is nil")
	}
	switch t.DType() {
	case value.Bool:
		return wrap[bool](t)
	case value.I8:
		return wrap[int8](t)
	case value.I16:
		return wrap[int16](t)
	case value.I32:
		return wrap[int32](t)
	case value.I64:
		return wrap[int64](t)
	case value.U8:
		return wrap[uint8](t)
	case value.U16:
		return wrap[uint16](t)
	case value.U32:
		return wrap[uint32](t)
	case value.U64:
		return wrap[uint64](t)
	case value.F32:
		return wrap[float32](t)
	case value.F64:
		return wrap[float64](t)
	case value.String:
		return wrap[string](t)
	}
	return nil, fmt.Errorf("gorgonia.org/tensor has no dtype %s", t.DType())
}

func wrap[T value.Elem](t *value.Tensor) (d *tensor.Dense, err error) {
	data, err := value.Data[T](t)
	if err != nil {
		return nil, err
	}
	if data == nil {
		data = []T{}
	}
	defer func() { // Gorgonia's constructors panic
		if r := recover(); r != nil {
			d, err = nil, fmt.Errorf("gorgonia.org/tensor refuses %s%v: %v", t.DType(), t.Shape(), r)
		}
	}()
	return tensor.New(tensor.WithShape(t.Shape()...), tensor.WithBacking(data)), nil
}

// source is what a Dense holds, checked.
type source struct {
	dt       value.DType
	width    int // bytes of an element
	shape    []int
	strides  []int // in elements
	raw      []byte
	rowMajor bool
}

func (s *source) String() string { return fmt.Sprintf("a Dense of %s%v", s.dt, s.shape) }

func (s *source) strings() []string {
	if len(s.raw) == 0 {
		return nil
	}
	return unsafe.Slice((*string)(unsafe.Pointer(unsafe.SliceData(s.raw))), len(s.raw)/s.width)
}

// inspect checks that the strides of d stay within its memory and use all of it; Gorgonia has views for
// which they do not.
func inspect(d *tensor.Dense) (*source, error) {
	if d == nil {
		return nil, errors.New("the Dense is nil")
	}
	dt, err := dtypeOf(d.Dtype())
	if err != nil {
		return nil, err
	}
	s := &source{
		dt: dt, width: int(d.Dtype().Size()), shape: []int(d.Shape()), strides: d.Strides(),
		raw: d.Raw, rowMajor: true,
	}
	if !d.IsNativelyAccessible() {
		return nil, fmt.Errorf("%s: its memory is not accessible from Go", s)
	}
	n, span, ok := 1, 1, true
	for _, size := range s.shape {
		hi, lo := bits.Mul(uint(n), uint(size))
		ok = ok && size >= 0 && hi == 0 && int(lo) >= 0
		n = int(lo)
	}
	if ok && n == 0 {
		s.raw = nil
		return s, nil
	}
	if d.IsMasked() {
		return nil, fmt.Errorf("%s is masked", s)
	}
	ok = ok && len(s.strides) == len(s.shape) && len(s.raw)%s.width == 0
	contiguous := 1
	for axis := len(s.shape) - 1; ok && axis >= 0; axis-- {
		size, stride := s.shape[axis], s.strides[axis]
		if size == 1 {
			continue
		}
		s.rowMajor = s.rowMajor && stride == contiguous
		contiguous *= size
		hi, lo := bits.Mul(uint(size-1), uint(stride))
		ok = stride >= 0 && hi == 0 && lo <= uint(len(s.raw)) // so no sum overflows
		span += int(lo)
	}
	if !ok || span*s.width != len(s.raw) {
		return nil, fmt.Errorf("%s: strides %v do not describe its %d bytes of memory", s, s.strides, len(s.raw))
	}
	return s, nil
}

// gather copies elements of width items from src, laid out by strides, to dst in row-major order.
func gather[T any](dst, src []T, width int, shape, strides []int) {
	if len(dst) == 0 {
		return
	}
	index := make([]int, len(shape))
	at := 0
	for {
		copy(dst[:width], src[at*width:])
		dst = dst[width:]
		axis := len(shape) - 1
		for ; axis >= 0; axis-- {
			index[axis]++
			at += strides[axis]
			if index[axis] < shape[axis] {
				break
			}
			at -= strides[axis] * shape[axis]
			index[axis] = 0
		}
		if axis < 0 {
			return
		}
	}
}

func dtypeOf(dt tensor.Dtype) (value.DType, error) {
	word, uword := value.I64, value.U64
	if strconv.IntSize == 32 {
		word, uword = value.I32, value.U32
	}
	switch dt {
	case tensor.Bool:
		return value.Bool, nil
	case tensor.Int:
		return word, nil
	case tensor.Int8:
		return value.I8, nil
	case tensor.Int16:
		return value.I16, nil
	case tensor.Int32:
		return value.I32, nil
	case tensor.Int64:
		return value.I64, nil
	case tensor.Uint:
		return uword, nil
	case tensor.Uint8:
		return value.U8, nil
	case tensor.Uint16:
		return value.U16, nil
	case tensor.Uint32:
		return value.U32, nil
	case tensor.Uint64:
		return value.U64, nil
	case tensor.Float32:
		return value.F32, nil
	case tensor.Float64:
		return value.F64, nil
	case tensor.String:
		return value.String, nil
	}
	if dt.Type == nil {
		return value.Invalid, errors.New("the Dense has no dtype")
	}
	return value.Invalid, fmt.Errorf("a Dense of %s has no counterpart: want bool, an integer, float32, float64 or string", dt)
}
