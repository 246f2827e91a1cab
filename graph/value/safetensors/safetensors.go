package safetensors

import (
	"errors"
	"io"
	"io/fs"
	"slices"
	"sort"

	"github.com/graphrun/graphrun/graph/errfmt"
	"github.com/graphrun/graphrun/graph/value"
)

// MaxHeader is the largest header in bytes that Read accepts and Write produces, as in the reference
// implementation.
const MaxHeader = 100_000_000

// metadataKey is the one key of the header that is not a tensor.
const metadataKey = "__metadata__"

// alignment is the multiple to which the header is padded, so that the data of every tensor is aligned
// to its element.
const alignment = 8

// dtypes lists the element types of the format by increasing alignment. The order is the reference
// implementation's: Write sorts by it, so that it gives the same bytes. Rows without a dtype have none here.
var dtypes = []struct {
	name string
	dt   value.DType
}{
	{"BOOL", value.Bool},
	{"F4", value.F4E2M1},
	{"F6_E2M3", value.Invalid},
	{"F6_E3M2", value.Invalid},
	{"U8", value.U8},
	{"I8", value.I8},
	{"F8_E5M2", value.F8E5M2},
	{"F8_E4M3", value.F8E4M3FN},
	{"F8_E8M0", value.F8E8M0},
	{"F8_E4M3FNUZ", value.F8E4M3FNUZ},
	{"F8_E5M2FNUZ", value.F8E5M2FNUZ},
	{"I16", value.I16},
	{"U16", value.U16},
	{"F16", value.F16},
	{"BF16", value.BF16},
	{"I32", value.I32},
	{"U32", value.U32},
	{"F32", value.F32},
	{"C64", value.Invalid},
	{"F64", value.F64},
	{"I64", value.I64},
	{"U64", value.U64},
}

// Named is a tensor with its name in the file.
type Named struct {
	Name   string
	Tensor *value.Tensor
}

// File is the contents of a safetensors file.
type File struct {
	Metadata map[string]string        // nil if the file has none
	Tensors  map[string]*value.Tensor // never nil
	Checked  bool                     // the file has the checksum that WriteChecked gave it, which holds

	names []string
}

// Names returns the names of the tensors in the order of their data; empty tensors come in the order of
// the header. The order is that of the file as read: it does not follow changes of Tensors.
func (f *File) Names() []string { return slices.Clone(f.names) }

// Named returns the tensors in the order of Names.
func (f *File) Named() []Named {
	all := make([]Named, 0, len(f.names))
	for _, name := range f.names {
		if t := f.Tensors[name]; t != nil {
			all = append(all, Named{name, t})
		}
	}
	return all
}

// Open reads a file of fsys.
func Open(fsys fs.FS, name string) (*File, error) {
	if fsys == nil {
		return nil, errors.New("safetensors: want a file system, have nil")
	}
	f, err := fsys.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	size := int64(-1)
	if info.Mode().IsRegular() {
		size = info.Size()
	}
	file, err := Read(f, size)
	if err != nil {
		return nil, errfmt.Errorf("%s: %w", name, err)
	}
	return file, nil
}

// ErrFormat is what errors about an input that breaks the format match.
var ErrFormat = errors.New("invalid safetensors file")

func badf(format string, args ...any) error {
	return errfmt.Errorf("%w: "+format, append([]any{ErrFormat}, args...)...)
}

// Write writes tensors and metadata. The bytes depend only on names, tensors and metadata, not on the
// order of the arguments, and are those of the reference implementation's own serializer: tensors sorted
// by falling alignment of the dtype, then by name; the header padded with spaces to a multiple of 8 bytes.
// Metadata is sorted by key, where the reference has no fixed order; nil metadata is left out, empty
// metadata is written.
//
// Errors, before anything is written: a nil tensor, two of one name, the reserved name "__metadata__",
// names and metadata that are not UTF-8, a dtype that the format does not define (string, i2 ... u4), and
// f4e2m1 tensors with an odd number of elements, for which it has no padding.
func Write(w io.Writer, tensors []Named, metadata map[string]string) error {
	if w == nil {
		return errors.New("safetensors: want a writer, have nil")
	}
	if err := write(w, tensors, metadata, false); err != nil {
		return errfmt.Errorf("safetensors: %w", err)
	}
	return nil
}

// WriteChecked is Write with a checksum, by which Read finds that a file is damaged. It stands first in the metadata, "crc32": 8 hexadecimal
// digits, the CRC-32 (IEEE) of the whole file in which they are zeros.
//
// Other programs that write tensors and copy the metadata write a checksum that is none of theirs. It does not count: only that of a header which
// begins with `{ "__metadata__":{"crc32":"` does, with a space that is valid JSON, and that no serializer writes.
func WriteChecked(w io.Writer, tensors []Named, metadata map[string]string) error {
	if w == nil {
		return errors.New("safetensors: want a writer, have nil")
	}
	if err := write(w, tensors, metadata, true); err != nil {
		return errfmt.Errorf("safetensors: %w", err)
	}
	return nil
}

func write(w io.Writer, tensors []Named, metadata map[string]string, checked bool) error {
	sorted := slices.Clone(tensors)
	rank := make(map[string]int, len(tensors))
	for _, t := range tensors {
		if _, dup := rank[t.Name]; dup {
			return errfmt.Errorf("two tensors are named %q", t.Name)
		}
		i, err := checkNamed(t)
		if err != nil {
			return errfmt.Errorf("tensor %q: %w", t.Name, err)
		}
		rank[t.Name] = i
	}
	sort.SliceStable(sorted, func(i, j int) bool {
		a, b := sorted[i].Name, sorted[j].Name
		return rank[a] > rank[b] || rank[a] == rank[b] && a < b
	})
	header, err := appendHeader(make([]byte, 8), sorted, rank, metadata, checked)
	if err != nil {
		return err
	}
	if checked {
		sum := crc(0, header)
		for _, t := range sorted {
			sum = crc(sum, t.Tensor.Bytes())
		}
		appendDigits(header[:8+len(checkedHeader)], sum)
	}
	if _, err := w.Write(header); err != nil {
		return err
	}
	for _, t := range sorted {
		if _, err := w.Write(t.Tensor.Bytes()); err != nil {
			return err
		}
	}
	return nil
}
