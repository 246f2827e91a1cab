package npy

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"slices"
	"strconv"
	"strings"

	"github.com/graphrun/graphrun/graph/value"
)

// types gives the dtype of NumPy's type codes, byte order left out.
var types = map[string]value.DType{
	"b1": value.Bool,
	"i1": value.I8, "i2": value.I16, "i4": value.I32, "i8": value.I64,
	"u1": value.U8, "u2": value.U16, "u4": value.U32, "u8": value.U64,
	"f2": value.F16, "f4": value.F32, "f8": value.F64,
}

const (
	magic     = "\x93NUMPY"
	alignment = 64 // where NumPy lets the elements begin

	// maxHeader bounds the header. NumPy itself refuses more than 10000 bytes unless told otherwise.
	maxHeader = 1 << 16
)

// Read reads an array as numpy.save writes it. The array must fill all of r, which holds size bytes: size is trusted for how much memory
// to take, and a header that does not agree with it is refused before. A size of -1 says that it is not known, and memory
// grows with the bytes that come. An array of more than value.ReadLimit is an error.
func Read(r io.Reader, size int64) (*value.Tensor, error) {
	return read(r, size, value.ReadLimit())
}

// read is Read with the bytes that the array may take.
func read(r io.Reader, size int64, limit int) (*value.Tensor, error) {
	if r == nil {
		return nil, errors.New("npy: the reader is nil")
	}
	h, left, err := readHeader(r, size)
	if err != nil {
		return nil, err
	}
	want, err := value.SizeBytes(h.dtype, h.shape...)
	switch {
	case err != nil:
		return nil, err
	case left >= 0 && left != int64(want):
		return nil, fmt.Errorf("the .npy file has %d bytes of elements: want %d for shape %v of %s", left, want, h.shape, h.descr)
	case want > limit:
		text := func(n int) string { return value.ByteText(float64(n)) }
		return nil, fmt.Errorf("shape %v of %s would take %s: %s of memory are allowed", h.shape, h.descr, text(want), text(limit))
	}
	elems, err := readElements(r, want, left >= 0)
	if err != nil {
		return nil, fmt.Errorf("%w for shape %v of %s", err, h.shape, h.descr)
	}
	width := h.dtype.Bits() / 8
	if h.bigEndian && width > 1 {
		for e := range slices.Chunk(elems, width) {
			slices.Reverse(e)
		}
	}
	if h.fortran && len(h.shape) > 1 {
		if elems, err = rowMajor(elems, h.shape, width); err != nil {
			return nil, err
		}
	}
	return value.FromBytes(h.dtype, elems, h.shape...)
}

// readHeader reads what stands before the elements, and returns how many bytes are left of size, -1 if that is not known.
func readHeader(r io.Reader, size int64) (h header, left int64, err error) {
	// The header's length stands before it: 2 bytes in version 1, 4 bytes later.
	start := make([]byte, 10, 12)
	if n, err := io.ReadFull(r, start); err != nil || string(start[:6]) != magic {
		if err != nil && !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
			return h, 0, err
		}
		if n < len(magic) || string(start[:6]) != magic {
			return h, 0, errors.New("not an .npy file")
		}
		return h, 0, errors.New("the .npy file is truncated: it ends inside its header")
	}
	if start[6] < 1 || start[6] > 3 || start[7] != 0 {
		return h, 0, fmt.Errorf("the .npy file is of version %d.%d: want 1.0, 2.0 or 3.0", start[6], start[7])
	}
	length := int64(binary.LittleEndian.Uint16(start[8:]))
	if start[6] >= 2 {
		start = start[:12]
		if _, err := io.ReadFull(r, start[10:]); err != nil {
			return h, 0, ended(err)
		}
		length = int64(binary.LittleEndian.Uint32(start[8:]))
	}
	switch {
	case size >= 0 && int64(len(start))+length > size:
		return h, 0, errors.New("the .npy file is truncated: it ends inside its header")
	case length > maxHeader:
		return h, 0, fmt.Errorf("the header of the .npy file has %d bytes: want at most %d", length, maxHeader)
	}
	text := make([]byte, length)
	if _, err := io.ReadFull(r, text); err != nil {
		return h, 0, ended(err)
	}
	left = -1
	if size >= 0 {
		left = size - int64(len(start)) - length
	}
	h, err = parseHeader(string(text), start[6])
	return h, left, err
}

// ended explains an error of io.ReadFull within the header.
func ended(err error) error {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return errors.New("the .npy file is truncated: it ends inside its header")
	}
	return err
}

// readElements reads want bytes and the end of the input, into storage aligned for any dtype. Unless they are known to be there, memory is
// taken in proportion to what has come.
func readElements(r io.Reader, want int, sized bool) ([]byte, error) {
	const chunk = 1 << 20
	var elems []byte
	for have := 0; have < want; {
		size := want
		if !sized {
			size = min(want, max(chunk, 4*have))
		}
		grown, err := value.New(value.U8, size)
		if err != nil {
			return nil, err
		}
		copy(grown.Bytes(), elems)
		elems = grown.Bytes()
		n, err := io.ReadFull(r, elems[have:])
		have += n
		switch {
		case errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF):
			return nil, fmt.Errorf("the .npy file has %d bytes of elements: want %d", have, want)
		case err != nil:
			return nil, err
		}
	}
	switch n, err := io.ReadFull(r, make([]byte, 1)); {
	case n > 0:
		return nil, fmt.Errorf("the .npy file has more than %d bytes of elements: want %d", want, want)
	case !errors.Is(err, io.EOF):
		return nil, err // a checksum, for one, is found wrong at the end
	}
	return elems, nil
}

// rowMajor turns elements in Fortran's order, in which the first axis runs fastest, into row-major order.
func rowMajor(elems []byte, shape []int, width int) ([]byte, error) {
	t, err := value.New(value.U8, len(elems))
	if err != nil {
		return nil, err
	}
	out := t.Bytes()
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
	return out, nil
}

// ReadFile reads the array in the .npy file of that path, as Read does.
func ReadFile(path string) (*value.Tensor, error) {
	f, err := os.Open(path)
	return readOpened(f, path, err)
}

// Open reads the array in the .npy file of that name in fsys, as Read does.
func Open(fsys fs.FS, name string) (*value.Tensor, error) {
	if fsys == nil {
		return nil, errors.New("npy: the file system is nil")
	}
	f, err := fsys.Open(name)
	return readOpened(f, name, err)
}

func readOpened(f fs.File, name string, err error) (*value.Tensor, error) {
	if err != nil {
		return nil, missing(name, err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	size := info.Size()
	if !info.Mode().IsRegular() {
		size = -1 // a pipe
	}
	t, err := Read(f, size)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return t, nil
}

// missing says in fewer words that there is no file.
func missing(name string, err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return noFileError(name)
	}
	return err
}

// noFileError is an fs.ErrNotExist that a user can read.
type noFileError string

func (e noFileError) Error() string { return "there is no file " + string(e) }
func (e noFileError) Unwrap() error { return fs.ErrNotExist }

// Write writes an array as numpy.save does. NumPy has no bf16, no floats of 8 bits, nothing narrower than a byte, and no strings of open
// length: tensors of these dtypes are errors.
func Write(w io.Writer, t *value.Tensor) error {
	if w == nil {
		return errors.New("npy: the writer is nil")
	}
	start, err := head(t)
	if err != nil {
		return err
	}
	if _, err := w.Write(start); err != nil {
		return err
	}
	_, err = w.Write(t.Bytes())
	return err
}

// head is what stands before the elements: version 1, padded so that they begin at a multiple of 64 bytes.
func head(t *value.Tensor) ([]byte, error) {
	if t == nil {
		return nil, errors.New("npy: the tensor is nil")
	}
	descr := ""
	for code, dt := range types {
		if dt == t.DType() {
			descr = "<" + code
		}
	}
	switch {
	case descr == "":
		return nil, fmt.Errorf("npy: NumPy has no dtype %s: convert to f32 or another that it has", t.DType())
	case t.DType().Bits() == 8:
		descr = "|" + descr[1:]
	}
	var sizes []string
	for _, d := range t.Shape() {
		sizes = append(sizes, strconv.Itoa(d))
	}
	shape := strings.Join(sizes, ", ")
	if len(sizes) == 1 {
		shape += ","
	}
	b := append([]byte(magic), 1, 0, 0, 0)
	b = fmt.Appendf(b, "{'descr': '%s', 'fortran_order': False, 'shape': (%s), }", descr, shape)
	for len(b)%alignment != alignment-1 {
		b = append(b, ' ')
	}
	b = append(b, '\n')
	length := len(b) - 10
	if length > maxHeader-1 {
		return nil, fmt.Errorf("npy: a tensor of rank %d does not fit the header of an .npy file", t.Rank())
	}
	binary.LittleEndian.PutUint16(b[8:], uint16(length))
	return b, nil
}
