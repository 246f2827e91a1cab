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

// ReadNPZ reads the arrays of a file as numpy.savez and numpy.savez_compressed write it, by name.
func ReadNPZ(path string) (map[string]*value.Tensor, error) {
	f, err := os.Open(path)
	return readOpenedNPZ(f, path, err)
}

// OpenNPZ is ReadNPZ for a file in fsys. A file that cannot be read at any offset is held in memory.
func OpenNPZ(fsys fs.FS, name string) (map[string]*value.Tensor, error) {
	f, err := fsys.Open(name)
	return readOpenedNPZ(f, name, err)
}

func readOpenedNPZ(f fs.File, name string, err error) (map[string]*value.Tensor, error) {
	if err != nil {
		return nil, missing(name, err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	at, ok := f.(io.ReaderAt)
	size := info.Size()
	if !ok || !info.Mode().IsRegular() {
		all, err := io.ReadAll(f)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		at, size = bytes.NewReader(all), int64(len(all))
	}
	arrays, err := ReadNPZFrom(at, size)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return arrays, nil
}

// ReadNPZFrom is ReadNPZ for an archive of size bytes in r.
//
// An archive cannot make the reader take memory out of proportion to its size: sizes that it declares are not believed, entries that
// share bytes are refused, and so are arrays that do not fit into memory together.
func ReadNPZFrom(r io.ReaderAt, size int64) (map[string]*value.Tensor, error) {
	z, err := zip.NewReader(r, size)
	if err != nil {
		return nil, fmt.Errorf("not an .npz file: %w", err)
	}
	packed := uint64(0)
	for _, f := range z.File {
		if packed += f.CompressedSize64; f.CompressedSize64 > uint64(size) || packed > uint64(size) {
			return nil, fmt.Errorf("the .npz file is damaged: its entries take more than its %d bytes", size)
		}
	}
	arrays := map[string]*value.Tensor{}
	left := int64(value.Memory())
	for _, f := range z.File {
		name := strings.TrimSuffix(f.Name, ".npy")
		if arrays[name] != nil {
			return nil, fmt.Errorf("the .npz file holds %s twice", name)
		}
		t, err := readEntry(f, left)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", f.Name, err)
		}
		left -= int64(len(t.Bytes()))
		arrays[name] = t
	}
	return arrays, nil
}

// readEntry reads an array that may take so many bytes.
func readEntry(f *zip.File, left int64) (*value.Tensor, error) {
	r, err := f.Open()
	if err != nil {
		return nil, err
	}
	defer r.Close()
	limited := &io.LimitedReader{R: r, N: left}
	t, err := Read(bufio.NewReader(limited), -1)
	if err != nil && limited.N <= 0 {
		return nil, fmt.Errorf("the arrays do not fit into %s of memory", value.ByteText(float64(value.Memory())))
	}
	return t, err
}

// WriteNPZ writes arrays by name as numpy.savez does, uncompressed and in the order of their names; see Write for their dtypes.
func WriteNPZ(w io.Writer, arrays map[string]*value.Tensor) error {
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
