package data

import (
	"bufio"
	"compress/gzip"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math"
	"math/bits"
	"unsafe"

	"github.com/graphrun/graphrun/runtime/value"
)

// maxIDXRank is the highest number of dimensions that is read. Files in use have one to four.
const maxIDXRank = 8

// The element types of IDX files.
const (
	idxU8  = 0x08
	idxI8  = 0x09
	idxI16 = 0x0B
	idxI32 = 0x0C
	idxF32 = 0x0D
	idxF64 = 0x0E
)

// ReadIDX reads one tensor in the IDX format that MNIST comes in (Y. LeCun, C. Cortes, C. J. C. Burges, "The MNIST database
// of handwritten digits"): two zero bytes, a byte for the element type, a byte for the rank, the sizes as big-endian 32-bit
// numbers, then the elements, big-endian, row by row. All six element types are read, to u8, i8, i16, i32, f32 or f64; the
// rank is 1 to 8. Gzip compression is recognized by content.
//
// The input need not be trusted. It must hold exactly what its header declares: a missing byte and a byte too many are
// errors. Memory grows with the bytes that really come, never by what the header promises, and no more is unpacked than
// the header declares.
func ReadIDX(r io.Reader) (*value.Tensor, error) {
	t, err := readIDX(r)
	if err != nil {
		return nil, fmt.Errorf("idx: %w", err)
	}
	return t, nil
}

// OpenIDX reads the IDX file of that name, packed with gzip or not, as ReadIDX does.
func OpenIDX(fsys fs.FS, name string) (*value.Tensor, error) {
	f, err := fsys.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	t, err := ReadIDX(f)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return t, nil
}

func readIDX(r io.Reader) (*value.Tensor, error) {
	in := bufio.NewReader(r)
	if start, _ := in.Peek(2); len(start) == 2 && start[0] == 0x1f && start[1] == 0x8b {
		unpacked, err := gzip.NewReader(in)
		if err != nil {
			return nil, fmt.Errorf("gzip: %w", noEOF(err))
		}
		in = bufio.NewReader(unpacked)
	}

	var magic [4]byte
	if n, err := io.ReadFull(in, magic[:]); err != nil {
		return nil, short("the magic number", uint64(len(magic)), uint64(n), err)
	}
	if magic[0] != 0 || magic[1] != 0 {
		return nil, fmt.Errorf("magic number is %#08x: want 0x0000 in its first two bytes", magic)
	}
	rank := int(magic[3])
	if rank < 1 || rank > maxIDXRank {
		return nil, fmt.Errorf("rank is %d: want 1 to %d", rank, maxIDXRank)
	}
	switch magic[2] {
	case idxU8:
		return readElems(in, rank, func(dst []uint8, src []byte) { copy(dst, src) })
	case idxI8:
		return readElems(in, rank, func(dst []int8, src []byte) {
			for i := range dst {
				dst[i] = int8(src[i])
			}
		})
	case idxI16:
		return readElems(in, rank, func(dst []int16, src []byte) {
			for i := range dst {
				dst[i] = int16(binary.BigEndian.Uint16(src[2*i:]))
			}
		})
	case idxI32:
		return readElems(in, rank, func(dst []int32, src []byte) {
			for i := range dst {
				dst[i] = int32(binary.BigEndian.Uint32(src[4*i:]))
			}
		})
	case idxF32:
		return readElems(in, rank, func(dst []float32, src []byte) {
			for i := range dst {
				dst[i] = math.Float32frombits(binary.BigEndian.Uint32(src[4*i:]))
			}
		})
	case idxF64:
		return readElems(in, rank, func(dst []float64, src []byte) {
			for i := range dst {
				dst[i] = math.Float64frombits(binary.BigEndian.Uint64(src[8*i:]))
			}
		})
	}
	return nil, fmt.Errorf("element type is %#02x: want 0x08 (u8), 0x09 (i8), 0x0b (i16), 0x0c (i32), 0x0d (f32) or 0x0e (f64)", magic[2])
}

// element is a Go type for the elements of an IDX file.
type element interface {
	uint8 | int8 | int16 | int32 | float32 | float64
}

// readElems reads sizes, elements and the end of the file. decode turns big-endian bytes into len(dst) elements.
func readElems[T element](in io.Reader, rank int, decode func(dst []T, src []byte)) (*value.Tensor, error) {
	sizes := make([]byte, 4*rank)
	if n, err := io.ReadFull(in, sizes); err != nil {
		return nil, short(fmt.Sprintf("the sizes of %d dimensions", rank), uint64(len(sizes)), uint64(n), err)
	}
	dims := make([]uint32, rank)
	for i := range dims {
		dims[i] = binary.BigEndian.Uint32(sizes[4*i:])
	}
	var zero T
	width := int(unsafe.Sizeof(zero))
	shape, total, err := elemCount(dims, width)
	if err != nil {
		return nil, err
	}

	const chunk = 1 << 16
	var data []T
	buf := make([]byte, min(chunk, total*width))
	for len(data) < total {
		n := min(chunk/width, total-len(data))
		got, err := io.ReadFull(in, buf[:n*width])
		if err != nil {
			return nil, short(fmt.Sprintf("the elements of shape %v", dims), uint64(total*width), uint64(len(data)*width+got), err)
		}
		if len(data)+n > cap(data) { // twice as much as came so far, and not more than declared
			grown := make([]T, len(data), min(total, max(2*cap(data), n)))
			copy(grown, data)
			data = grown
		}
		data = data[:len(data)+n]
		decode(data[len(data)-n:], buf)
	}

	switch n, err := io.ReadFull(in, make([]byte, 1)); {
	case n > 0:
		return nil, fmt.Errorf("trailing bytes: want %d bytes of elements of shape %v and then the end, more came", total*width, dims)
	case errors.Is(err, gzip.ErrHeader):
		return nil, fmt.Errorf("trailing bytes after the gzip stream: want %d bytes of elements of shape %v and then the end", total*width, dims)
	case !errors.Is(err, io.EOF):
		return nil, fmt.Errorf("at the end, after %d bytes of elements: %w", total*width, err)
	}
	return value.FromSlice(data, shape...)
}

// elemCount returns the dimensions as ints and their product; all of it, in bytes of the given element width, fits an int.
// The dimensions other than zero must do so too: [0, 2^32-1, 2^32-1, 2^32-1] is no shape that a program can compute with.
func elemCount(dims []uint32, width int) (shape []int, total int, err error) {
	total = 1
	size := uint64(width)
	for _, d := range dims {
		hi, lo := bits.Mul64(size, uint64(max(d, 1)))
		if hi != 0 || lo > math.MaxInt {
			return nil, 0, fmt.Errorf("shape %v is too large: its size in bytes, at %d an element, overflows", dims, width)
		}
		size = lo
		shape = append(shape, int(d))
		total *= int(d)
	}
	return shape, total, nil
}

// short explains an error of io.ReadFull: what was wanted and what came.
func short(what string, want, got uint64, err error) error {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return fmt.Errorf("truncated: want %d bytes for %s, %d came: %w", want, what, got, io.ErrUnexpectedEOF)
	}
	return fmt.Errorf("after %d of %d bytes for %s: %w", got, want, what, err)
}

// noEOF makes the end of the input, met where more was due, an error that says so.
func noEOF(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}

// WriteIDX writes t, of rank 1 to 8 and dtype u8, i8, i16, i32, f32 or f64, in the format that ReadIDX reads, unpacked.
func WriteIDX(w io.Writer, t *value.Tensor) error {
	var err error
	switch t.DType() {
	case value.U8:
		err = writeElems[uint8](w, t, idxU8)
	case value.I8:
		err = writeElems[int8](w, t, idxI8)
	case value.I16:
		err = writeElems[int16](w, t, idxI16)
	case value.I32:
		err = writeElems[int32](w, t, idxI32)
	case value.F32:
		err = writeElems[float32](w, t, idxF32)
	case value.F64:
		err = writeElems[float64](w, t, idxF64)
	default:
		err = fmt.Errorf("dtype is %v: want u8, i8, i16, i32, f32 or f64", t.DType())
	}
	if err != nil {
		return fmt.Errorf("idx: %w", err)
	}
	return nil
}

func writeElems[T element](w io.Writer, t *value.Tensor, kind byte) error {
	shape := t.Shape()
	if len(shape) < 1 || len(shape) > maxIDXRank {
		return fmt.Errorf("rank is %d: want 1 to %d", len(shape), maxIDXRank)
	}
	head := []byte{0, 0, kind, byte(len(shape))}
	for _, d := range shape {
		if uint64(d) > math.MaxUint32 {
			return fmt.Errorf("shape %v: a dimension does not fit 32 bits", shape)
		}
		head = binary.BigEndian.AppendUint32(head, uint32(d))
	}
	data, err := value.Data[T](t)
	if err != nil {
		return err
	}
	out := bufio.NewWriter(w)
	if _, err := out.Write(head); err != nil {
		return err
	}
	if err := binary.Write(out, binary.BigEndian, data); err != nil {
		return err
	}
	return out.Flush()
}
