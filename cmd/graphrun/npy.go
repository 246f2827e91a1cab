package main

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"github.com/sbinet/npyio"

	"github.com/graphrun/graphrun/runtime/value"
)

// npyTypes gives the dtype of NumPy's type codes, byte order left out.
var npyTypes = map[string]value.DType{
	"b1": value.Bool,
	"i1": value.I8, "i2": value.I16, "i4": value.I32, "i8": value.I64,
	"u1": value.U8, "u2": value.U16, "u4": value.U32, "u8": value.U64,
	"f2": value.F16, "f4": value.F32, "f8": value.F64,
}

// readNPY reads an array as NumPy's save writes it, of any dtype that a tensor can have, in C or Fortran order.
func readNPY(path string) (*value.Tensor, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	t, err := decodeNPY(bufio.NewReader(f), info.Size())
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return t, nil
}

const npyMagic = "\x93NUMPY"

// decodeNPY reads an array from r, of which size bytes can come: it allocates no more than in proportion to them.
func decodeNPY(r *bufio.Reader, size int64) (*value.Tensor, error) {
	// The header's length stands before it; npyio would believe it.
	start, _ := r.Peek(12)
	if len(start) < 12 || string(start[:6]) != npyMagic {
		return nil, errors.New("not an .npy file")
	}
	head := int64(binary.LittleEndian.Uint16(start[8:]))
	if start[6] >= 2 {
		head = int64(binary.LittleEndian.Uint32(start[8:]))
	}
	if head > size {
		return nil, errors.New("the .npy file is truncated: it ends inside its header")
	}
	h, err := npyHeader(r)
	if err != nil {
		return nil, err
	}
	code := strings.TrimLeft(h.Descr.Type, "<>|=")
	dt, ok := npyTypes[code]
	if !ok {
		return nil, fmt.Errorf("its dtype %q is none of tensors: want b1, i1 to i8, u1 to u8, f2, f4 or f8", h.Descr.Type)
	}
	want, err := value.SizeBytes(dt, h.Descr.Shape...)
	if err != nil {
		return nil, err
	}
	elems, err := io.ReadAll(r)
	if err != nil {
		return nil, err
	}
	if len(elems) != want {
		return nil, fmt.Errorf("the .npy file has %d bytes of elements: want %d for shape %v of %s", len(elems), want, h.Descr.Shape, h.Descr.Type)
	}
	width := dt.Bits() / 8
	if strings.HasPrefix(h.Descr.Type, ">") {
		for e := range slices.Chunk(elems, width) {
			slices.Reverse(e)
		}
	}
	if h.Descr.Fortran {
		elems = rowMajor(elems, h.Descr.Shape, width)
	}
	return value.FromBytes(dt, elems, h.Descr.Shape...)
}

// npyHeader reads the header. npyio expects one that NumPy wrote and panics at others.
func npyHeader(r io.Reader) (h npyio.Header, err error) {
	defer func() {
		if recover() != nil {
			err = errors.New("the header of the .npy file is damaged")
		}
	}()
	in, err := npyio.NewReader(r)
	if err != nil {
		return h, fmt.Errorf("the header of the .npy file: %w", err)
	}
	for _, d := range in.Header.Descr.Shape {
		if d < 0 {
			return h, fmt.Errorf("shape %v: a size is negative", in.Header.Descr.Shape)
		}
	}
	return in.Header, nil
}

// rowMajor turns elements in Fortran's order, in which the first axis runs fastest, into row-major order.
func rowMajor(elems []byte, shape []int, width int) []byte {
	out := make([]byte, len(elems))
	index := make([]int, len(shape))
	for dst := 0; dst < len(out); dst += width {
		src := 0
		for axis := len(shape) - 1; axis >= 0; axis-- {
			src = src*shape[axis] + index[axis]
		}
		copy(out[dst:dst+width], elems[src*width:])
		for axis := len(shape) - 1; axis >= 0; axis-- {
			if index[axis]++; index[axis] < shape[axis] {
				break
			}
			index[axis] = 0
		}
	}
	return out
}

// castExactly converts a tensor to a dtype, and refuses if an element would change.
func castExactly(t *value.Tensor, dt value.DType) (*value.Tensor, error) {
	if t.DType() == dt {
		return t, nil
	}
	from := t.Exact()
	there, err := value.Convert(from, dt)
	if err != nil {
		return nil, err
	}
	back, err := value.Convert(there, t.DType())
	if err != nil {
		return nil, err
	}
	// Integers of the other signedness keep their bits and would come back, whatever they mean in between.
	negative := func(x int64) bool { return x < 0 }
	wrapped := there.U != nil && slices.ContainsFunc(from.I, negative) || from.U != nil && slices.ContainsFunc(there.I, negative)
	if wrapped || !back.Tensor().Equal(t) {
		return nil, fmt.Errorf("its elements are %s, and not all of them are numbers of %s: convert them first", t.DType(), dt)
	}
	return there.Tensor(), nil
}
