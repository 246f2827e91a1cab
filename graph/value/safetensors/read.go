package safetensors

import (
	"encoding/binary"
	"errors"
	"io"
	"sort"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/graphrun/graphrun/graph/errfmt"
	"github.com/graphrun/graphrun/graph/value"
)

// chunk is how much memory is taken at least before any byte of it has been read.
const chunk = 64 << 10

// headerCost is how many bytes reading a byte of the header takes at most, about.
const headerCost = 32

// entry is what the header says about a tensor.
type entry struct {
	name       string
	dt         value.DType
	shape      []int
	begin, end int
}

// Read reads a file from r. A size of -1 means that the size is unknown: the file must end where r ends,
// and memory is taken in proportion to what has been read. Otherwise r holds at least size bytes, which
// the file fills exactly; the size is trusted for how much memory to take.
//
// Every tensor has its own storage. Input that does not follow the format, ends early or goes on after
// the data matches ErrFormat, and so does a dtype that tensors here do not have; errors of r come wrapped.
func Read(r io.Reader, size int64) (*File, error) {
	if r == nil {
		return nil, errors.New("safetensors: want a reader, have nil")
	}
	in := &input{r: r, sized: size >= 0}
	var prefix [8]byte
	if err := in.readFull(prefix[:]); err != nil {
		return nil, errfmt.Errorf("length of the header: %w", err)
	}
	length := binary.LittleEndian.Uint64(prefix[:])
	switch {
	case length > MaxHeader:
		return nil, badf("the header has %d bytes, the limit is %d", length, MaxHeader)
	case length > uint64(value.Memory()/headerCost):
		return nil, badf("the header has %d bytes, too many for %s of memory", length, value.ByteText(float64(value.Memory())))
	case size >= 0 && length > uint64(max(0, size-8)):
		return nil, badf("the header has %d bytes, the file only %d", length, size)
	}
	header, err := in.read(int(length))
	if err != nil {
		return nil, errfmt.Errorf("header: %w", err)
	}
	f := &File{Tensors: map[string]*value.Tensor{}}
	sum := newSum(prefix[:], header)
	entries, err := f.parseHeader(header)
	if err != nil {
		return nil, err
	}
	total, err := checkOffsets(entries)
	if err != nil {
		return nil, err
	}
	if want := 8 + int64(length) + int64(total); size >= 0 && size != want {
		return nil, badf("the header describes a file of %d bytes, it has %d", want, size)
	}
	for _, e := range entries {
		data, err := in.read(e.end - e.begin)
		if err != nil {
			return nil, errfmt.Errorf("tensor %s: %w", quoteShort(e.name), err)
		}
		t, err := value.FromBytes(e.dt, data, e.shape...)
		if err != nil {
			return nil, badf("tensor %s: %w", quoteShort(e.name), err)
		}
		sum.add(data)
		f.Tensors[e.name] = t
		f.names = append(f.names, e.name)
	}
	if size < 0 {
		switch _, err := io.ReadFull(r, prefix[:1]); {
		case err == nil:
			return nil, badf("there is more after the data of the last tensor")
		case err != io.EOF:
			return nil, err
		}
	}
	if f.Checked = sum.want != ""; f.Checked && !sum.holds() {
		return nil, badf("it is damaged: its contents do not match its checksum, crc32 %s", quoteShort(sum.want))
	}
	return f, nil
}

// input reads without taking much more memory than has been filled.
type input struct {
	r     io.Reader
	sized bool // the size of the file has been compared with what is going to be read
	done  int  // bytes read
}

func (in *input) readFull(b []byte) error {
	n, err := io.ReadFull(in.r, b)
	in.done += n
	if err == io.EOF || err == io.ErrUnexpectedEOF {
		return badf("it ends after %d bytes: %w", in.done, io.ErrUnexpectedEOF)
	}
	return err
}

// read returns the next n bytes in aligned storage of their own.
func (in *input) read(n int) ([]byte, error) {
	var buf []byte
	for have := 0; have < n; {
		size := n
		if !in.sized {
			size = min(n, max(chunk, have+in.done))
		}
		if have, all := value.Memory(), in.done-len(buf)+size; all > have {
			return nil, errfmt.Errorf("it takes more than the %s of memory that there are", value.ByteText(float64(have)))
		}
		t, err := value.New(value.U8, size)
		if err != nil {
			return nil, badf("%w", err)
		}
		have = copy(t.Bytes(), buf)
		buf = t.Bytes()
		if err := in.readFull(buf[have:]); err != nil {
			return nil, err
		}
		have = size
	}
	return buf, nil
}

// checkOffsets sorts entries by their place in the data, checks that they cover it from its beginning
// without gaps and overlaps, and returns its size.
func checkOffsets(entries []*entry) (int, error) {
	sort.SliceStable(entries, func(i, j int) bool {
		a, b := entries[i], entries[j]
		return a.begin < b.begin || a.begin == b.begin && a.end < b.end
	})
	at := 0
	for _, e := range entries {
		if e.begin != at {
			what := "a gap before it"
			if e.begin < at {
				what = "it overlaps the one before it"
			}
			return 0, badf("tensor %s begins at offset %d and not at %d: %s", quoteShort(e.name), e.begin, at, what)
		}
		at = e.end
	}
	return at, nil
}

// parseHeader reads the JSON object.
func (f *File) parseHeader(header []byte) ([]*entry, error) {
	if len(header) == 0 || header[0] != '{' {
		return nil, badf("the header does not begin with '{'")
	}
	if !utf8.Valid(header) {
		return nil, badf("the header is not UTF-8")
	}
	s := &scanner{text: string(header)}
	var entries []*entry
	err := s.object(func(key string) error {
		if key == metadataKey && s.next() == 'n' && strings.HasPrefix(s.text[s.at:], "null") {
			s.at += len("null")
			return nil
		}
		if key == metadataKey {
			f.Metadata = map[string]string{}
			return s.object(func(k string) error {
				v, err := s.str()
				if err != nil {
					return errfmt.Errorf("metadata %s: %w", quoteShort(k), err)
				}
				f.Metadata[k] = v
				return nil
			})
		}
		e, err := s.entry()
		if err != nil {
			return errfmt.Errorf("tensor %s: %w", quoteShort(key), err)
		}
		e.name = key
		entries = append(entries, &e)
		return nil
	})
	if err == nil && s.next() == 0 && s.at == len(s.text) {
		return entries, nil
	}
	if err == nil {
		err = errfmt.Errorf("there is more after the JSON object: %s", s.found())
	}
	return nil, badf("header, before offset %d: %w", s.at, err)
}

func (s *scanner) entry() (entry, error) {
	var e entry
	var dtype string
	var offsets []int
	seen := map[string]bool{}
	err := s.object(func(key string) (err error) {
		seen[key] = true
		switch key {
		case "dtype":
			dtype, err = s.str()
		case "shape":
			e.shape, err = s.sizes()
		case "data_offsets":
			offsets, err = s.sizes()
		default:
			return errfmt.Errorf("the key %s is not one of dtype, shape and data_offsets", quoteShort(key))
		}
		if err != nil {
			return errfmt.Errorf("%s: %w", key, err)
		}
		return nil
	})
	if err != nil {
		return e, err
	}
	for _, key := range []string{"dtype", "shape", "data_offsets"} {
		if !seen[key] {
			return e, errfmt.Errorf("%s is missing", key)
		}
	}
	if e.dt, err = dtypeOf(dtype); err != nil {
		return e, err
	}
	if len(offsets) != 2 || offsets[0] > offsets[1] {
		return e, errors.New("data_offsets are not a begin and an end")
	}
	e.begin, e.end = offsets[0], offsets[1]
	size, err := value.SizeBytes(e.dt, e.shape...)
	if err != nil {
		return e, err
	}
	if err := checkPadding(e.dt, e.shape); err != nil {
		return e, err
	}
	if size != e.end-e.begin {
		return e, errfmt.Errorf("%s%v takes %d bytes, data_offsets span %d", dtype, e.shape, size, e.end-e.begin)
	}
	return e, nil
}

func dtypeOf(name string) (value.DType, error) {
	for _, row := range dtypes {
		if row.name != name {
			continue
		}
		if row.dt == value.Invalid {
			return value.Invalid, errfmt.Errorf("tensors of dtype %s are not supported", name)
		}
		return row.dt, nil
	}
	return value.Invalid, errfmt.Errorf("dtype %s is unknown", quoteShort(name))
}

// checkPadding refuses elements that do not fill whole bytes. The shape has passed value.SizeBytes.
func checkPadding(dt value.DType, shape []int) error {
	bits := dt.Bits() % 8
	for _, d := range shape {
		bits = bits * (d % 8) % 8
	}
	if bits != 0 {
		return errfmt.Errorf("%s elements that do not fill whole bytes: the format has no padding", dt)
	}
	return nil
}

// quoteShort quotes the beginning of text from the file for a message.
func quoteShort(s string) string {
	const limit = 60
	if len(s) > limit {
		return strconv.Quote(s[:limit]) + "..."
	}
	return strconv.Quote(s)
}
