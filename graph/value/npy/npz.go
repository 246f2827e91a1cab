package npy

import (
	"archive/zip"
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"slices"
	"strings"

	"github.com/graphrun/graphrun/graph/value"
)

// Archive is an .npz file, whose arrays are read when they are asked for. Those that nobody asks for may be of any dtype, or damaged.
//
// An archive cannot make the reader take memory out of proportion to its size: sizes that it declares are not believed, entries that
// share bytes are refused, and all arrays that are read may take value.ReadLimit together.
type Archive struct {
	entries map[string][]*zip.File // by the name of the array
	left    int                    // bytes that arrays may take
	file    io.Closer              // nil if there is none to close
}

// NewArchive opens an archive of size bytes in r.
func NewArchive(r io.ReaderAt, size int64) (*Archive, error) {
	if r == nil {
		return nil, errors.New("npz: the reader is nil")
	}
	a := &Archive{entries: map[string][]*zip.File{}, left: value.ReadLimit()}
	dir := &directory{ReaderAt: r, left: a.left / 16}
	z, err := zip.NewReader(dir, size)
	if err != nil {
		return nil, fmt.Errorf("not an .npz file: %w", err)
	}
	dir.read = true
	packed := uint64(0)
	for _, f := range z.File {
		if packed += f.CompressedSize64; f.CompressedSize64 > uint64(size) || packed > uint64(size) {
			return nil, fmt.Errorf("the .npz file is damaged: its entries take more than its %d bytes", size)
		}
		name := strings.TrimSuffix(f.Name, ".npy")
		a.entries[name] = append(a.entries[name], f)
	}
	return a, nil
}

// directory is an archive whose list of entries may take so many bytes; they are many times as many in memory.
type directory struct {
	io.ReaderAt
	left int
	read bool
}

func (d *directory) ReadAt(p []byte, off int64) (int, error) {
	if !d.read {
		if d.left -= len(p); d.left < 0 {
			return 0, errors.New("its list of entries does not fit into memory")
		}
	}
	return d.ReaderAt.ReadAt(p, off)
}

// OpenArchive opens the .npz file of that path. What is no regular file, such as a pipe, is held in memory.
func OpenArchive(path string) (*Archive, error) {
	f, err := os.Open(path)
	return openArchive(f, path, err)
}

// OpenArchiveFS is OpenArchive for a file in fsys. One that cannot be read at any offset is held in memory.
func OpenArchiveFS(fsys fs.FS, name string) (*Archive, error) {
	if fsys == nil {
		return nil, errors.New("npz: the file system is nil")
	}
	f, err := fsys.Open(name)
	return openArchive(f, name, err)
}

func openArchive(f fs.File, name string, err error) (*Archive, error) {
	if err != nil {
		return nil, missing(name, err)
	}
	info, err := f.Stat()
	if err != nil {
		f.Close()
		return nil, err
	}
	at, ok := f.(io.ReaderAt)
	size := info.Size()
	if !ok || !info.Mode().IsRegular() {
		limit := value.ReadLimit()
		all, err := io.ReadAll(io.LimitReader(f, int64(limit)/2+1))
		if err == nil && len(all) > limit/2 {
			err = fmt.Errorf("it is not a regular file, and would take more than the %s of memory that are allowed", value.ByteText(float64(limit/2)))
		}
		if err != nil {
			f.Close()
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		at, size = bytes.NewReader(all), int64(len(all))
	}
	a, err := NewArchive(at, size)
	if err != nil {
		f.Close()
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	if a.file = f; !ok || !info.Mode().IsRegular() {
		a.left -= int(size)
	}
	return a, nil
}

// Close closes the file. Arrays that were read stay.
func (a *Archive) Close() error {
	if a.file == nil {
		return nil
	}
	return a.file.Close()
}

// Names returns the names of the arrays, sorted.
func (a *Archive) Names() []string { return slices.Sorted(maps.Keys(a.entries)) }

// Has reports whether there is an array of that name.
func (a *Archive) Has(name string) bool { return len(a.entries[name]) > 0 }

// Read reads the array of that name.
func (a *Archive) Read(name string) (*value.Tensor, error) {
	switch len(a.entries[name]) {
	case 0:
		return nil, fmt.Errorf("the .npz file holds no array %s: it has %s", name, value.Few(a.Names()))
	case 1:
	default:
		return nil, fmt.Errorf("the .npz file holds %s twice", name)
	}
	entry := a.entries[name][0]
	r, err := entry.Open()
	if err != nil {
		return nil, fmt.Errorf("%s: %w", entry.Name, err)
	}
	defer r.Close()
	t, err := read(bufio.NewReader(r), -1, a.left)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", entry.Name, err)
	}
	a.left -= len(t.Bytes())
	return t, nil
}

// all reads all arrays.
func (a *Archive) all() (map[string]*value.Tensor, error) {
	arrays := map[string]*value.Tensor{}
	for _, name := range a.Names() {
		t, err := a.Read(name)
		if err != nil {
			return nil, err
		}
		arrays[name] = t
	}
	return arrays, nil
}

// ReadNPZ reads all arrays of a file as numpy.savez and numpy.savez_compressed write it, by name.
func ReadNPZ(path string) (map[string]*value.Tensor, error) {
	a, err := OpenArchive(path)
	return readAll(a, path, err)
}

// OpenNPZ is ReadNPZ for a file in fsys.
func OpenNPZ(fsys fs.FS, name string) (map[string]*value.Tensor, error) {
	a, err := OpenArchiveFS(fsys, name)
	return readAll(a, name, err)
}

func readAll(a *Archive, name string, err error) (map[string]*value.Tensor, error) {
	if err != nil {
		return nil, err
	}
	defer a.Close()
	arrays, err := a.all()
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return arrays, nil
}

// ReadNPZFrom is ReadNPZ for an archive of size bytes in r.
func ReadNPZFrom(r io.ReaderAt, size int64) (map[string]*value.Tensor, error) {
	a, err := NewArchive(r, size)
	if err != nil {
		return nil, err
	}
	return a.all()
}

// WriteNPZ writes arrays by name as numpy.savez does, uncompressed and in the order of their names; see Write for their dtypes.
func WriteNPZ(w io.Writer, arrays map[string]*value.Tensor) error {
	if w == nil {
		return errors.New("npz: the writer is nil")
	}
	z := zip.NewWriter(w)
	for _, name := range slices.Sorted(maps.Keys(arrays)) {
		if name == "" {
			return errors.New("npz: an array has no name")
		}
		// Without a time the same arrays are the same bytes.
		entry, err := z.CreateHeader(&zip.FileHeader{Name: name + ".npy", Method: zip.Store})
		if err != nil {
			return err
		}
		if err := Write(entry, arrays[name]); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
	}
	return z.Close()
}
