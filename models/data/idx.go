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
	"os"
	"slices"

	"github.com/graphrun/graphrun/graph/value"
)

// maxIDXRank is the highest number of dimensions that is read. Files in use have one to four.
const maxIDXRank = 8

// idxTypes gives the dtype of each element type of IDX files.
var idxTypes = map[byte]value.DType{
	0x08: value.U8,
	0x09: value.I8,
	0x0B: value.I16,
	0x0C: value.I32,
	0x0D: value.F32,
	0x0E: value.F64,
}

// ReadIDX reads one tensor in the IDX format that MNIST comes in (Y. LeCun, C. Cortes, C. J. C. Burges, "The MNIST database
// of handwritten digits"): two zero bytes, a byte for the element type, a byte for the rank, the sizes as big-endian 32-bit
// numbers, then the elements, big-endian, row by row. All six element types are read, to u8, i8, i16, i32, f32 or f64; the
// rank is 1 to 8. Gzip compression is recognized by content.
//
// The input need not be trusted. It must hold exactly what its header declares: a missing byte and a byte too many are
// errors, as is a wrong gzip checksum. Memory grows with the bytes that really come, never by what the header promises, no more is unpacked than
// the header declares, and a header that declares more than value.ReadLimit is refused.
func ReadIDX(r io.Reader) (*value.Tensor, error) {
	t, err := readIDX(r, newAllowance())
	if err != nil {
		return nil, fmt.Errorf("idx: %w", err)
	}
	return t, nil
}

// OpenIDX reads the IDX file of that name, packed with gzip or not, as ReadIDX does.
func OpenIDX(fsys fs.FS, name string) (*value.Tensor, error) {
	return openIDX(fsys, name, newAllowance())
}

func openIDX(fsys fs.FS, name string, memory *allowance) (*value.Tensor, error) {
	if fsys == nil {
		return nil, errors.New("idx: the file system is nil")
	}
	f, err := fsys.Open(name)
	if err != nil {
		return nil, err
	}
	return readIDXFile(f, name, memory)
}

// ReadIDXFile reads the IDX file of that path, packed with gzip or not, as ReadIDX does.
func ReadIDXFile(path string) (*value.Tensor, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	return readIDXFile(f, path, newAllowance())
}

func readIDXFile(f fs.File, name string, memory *allowance) (*value.Tensor, error) {
	defer f.Close()
	t, err := readIDX(f, memory)
	if err != nil {
		return nil, fmt.Errorf("%s: idx: %w", name, err)
	}
	return t, nil
}

func readIDX(r io.Reader, memory *allowance) (*value.Tensor, error) {
	if r == nil {
		return nil, errors.New("the reader is nil")
	}
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
		return nil, short("the magic number", len(magic), n, err)
	}
	if magic[0] != 0 || magic[1] != 0 {
		return nil, fmt.Errorf("magic number is %#x: want 0x0000 in its first two bytes", magic)
	}
	rank := int(magic[3])
	if rank < 1 || rank > maxIDXRank {
		return nil, fmt.Errorf("rank is %d: want 1 to %d", rank, maxIDXRank)
	}
	dt, ok := idxTypes[magic[2]]
	if !ok {
		return nil, fmt.Errorf("element type is %#02x: want 0x08 (u8), 0x09 (i8), 0x0b (i16), 0x0c (i32), 0x0d (f32) or 0x0e (f64)", magic[2])
	}

	head := make([]byte, 4*rank)
	if n, err := io.ReadFull(in, head); err != nil {
		return nil, short(fmt.Sprintf("the sizes of %d dimensions", rank), len(head), n, err)
	}
	dims := make([]uint32, rank)
	for i := range dims {
		dims[i] = binary.BigEndian.Uint32(head[4*i:])
	}
	width := dt.Bits() / 8
	shape, size, err := idxSize(dims, width)
	if err != nil {
		return nil, err
	}
	if err := memory.take(size, fmt.Sprintf("%v%v", dt, dims)); err != nil {
		return nil, err
	}
	elems, err := readExactly(in, size, fmt.Sprintf("elements of shape %v", dims))
	if err != nil {
		return nil, err
	}
	swap(elems, width)
	return value.FromBytes(dt, elems, shape...)
}

// readExactly reads size bytes and the end of the input. Memory grows with what comes: to twice as much, never beyond size.
func readExactly(in io.Reader, size int, what string) ([]byte, error) {
	const chunk = 1 << 16
	var data []byte
	for len(data) < size {
		if len(data) == cap(data) {
			grown := make([]byte, len(data), min(size, max(2*cap(data), chunk)))
			copy(grown, data)
			data = grown
		}
		n, err := io.ReadFull(in, data[len(data):cap(data)])
		data = data[:len(data)+n]
		if err != nil {
			return nil, short(what, size, len(data), err)
		}
	}
	switch n, err := io.ReadFull(in, make([]byte, 1)); {
	case n > 0:
		return nil, fmt.Errorf("trailing bytes: want %d bytes for %s and then the end, more came", size, what)
	case errors.Is(err, gzip.ErrHeader):
		return nil, fmt.Errorf("trailing bytes after the gzip stream of %d bytes for %s: %w", size, what, err)
	case !errors.Is(err, io.EOF):
		return nil, fmt.Errorf("at the end, after %d bytes for %s: %w", size, what, err)
	}
	return data, nil
}

// swap reverses the bytes of every element.
func swap(data []byte, width int) {
	if width == 1 {
		return
	}
	for e := range slices.Chunk(data, width) {
		slices.Reverse(e)
	}
}

// idxSize returns the dimensions as ints and the size in bytes of that many elements, which fits an int. The dimensions other
// than zero must do so too: [0, 2^32-1, 2^32-1, 2^32-1] is no shape that a program can compute with.
func idxSize(dims []uint32, width int) (shape []int, size int, err error) {
	n, empty := uint64(width), false
	for _, d := range dims {
		hi, lo := bits.Mul64(n, uint64(max(d, 1)))
		if hi != 0 || lo > math.MaxInt {
			return nil, 0, fmt.Errorf("shape %v is too large: its size, at %d bytes an element, overflows", dims, width)
		}
		n = lo
		empty = empty || d == 0
		shape = append(shape, int(d))
	}
	if empty {
		n = 0
	}
	return shape, int(n), nil
}

// short explains an error of io.ReadFull: what was wanted and what came.
func short(what string, want, got int, err error) error {
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
	if w == nil || t == nil {
		return errors.New("idx: the writer or the tensor is nil")
	}
	if err := writeIDX(w, t); err != nil {
		return fmt.Errorf("idx: %w", err)
	}
	return nil
}

func writeIDX(w io.Writer, t *value.Tensor) error {
	var kind byte
	for k, dt := range idxTypes {
		if dt == t.DType() {
			kind = k
		}
	}
	if kind == 0 {
		return fmt.Errorf("dtype is %v: want u8, i8, i16, i32, f32 or f64", t.DType())
	}
	if t.Rank() < 1 || t.Rank() > maxIDXRank {
		return fmt.Errorf("rank is %d: want 1 to %d", t.Rank(), maxIDXRank)
	}
	head := []byte{0, 0, kind, byte(t.Rank())}
	for _, d := range t.Shape() {
		if uint64(d) > math.MaxUint32 {
			return fmt.Errorf("shape %v: a dimension does not fit 32 bits", t.Shape())
		}
		head = binary.BigEndian.AppendUint32(head, uint32(d))
	}
	if _, err := w.Write(head); err != nil {
		return err
	}
	buf := make([]byte, 0, 1<<16)
	for part := range slices.Chunk(t.Bytes(), cap(buf)) {
		buf = append(buf[:0], part...)
		swap(buf, t.DType().Bits()/8)
		if _, err := w.Write(buf); err != nil {
			return err
		}
	}
	return nil
}
