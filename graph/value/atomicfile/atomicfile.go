// Package atomicfile writes files whole: whatever happens meanwhile, a crash, a kill, a full disk, under a file's name stands the old file
// or the new one, never a part. A file is written under a name of its own beside the one it shall have, synced, and renamed.
//
//	path := filepath.Join(dir, "epochs.txt")
//	err = atomicfile.Write(path, func(w io.Writer) error {
//		_, err := io.WriteString(w, "epoch 1\n")
//		return err
//	})
//	failed := atomicfile.Write(path, func(w io.Writer) error {
//		io.WriteString(w, "epo")
//		return errors.New("interrupted")
//	})
//	text, err := os.ReadFile(path)
//	fmt.Printf("%s%v\n", text, failed != nil)
//
// prints
//
//	epoch 1
//	true
//
// Where several files belong together, [Temp] and [Rename] are the two halves of [Write]: all are written before the first takes its name.
// [Clean] removes what processes that were killed have left.
package atomicfile

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
)

// Changed is called after every operation on a file. Tests set it to look at what a crash would leave.
var Changed = func() {}

// Write writes a file. If it returns an error, what was there under that name is there still. Errors name the file. What is there and is no
// file, such as a pipe or /dev/null, is written to as it is.
func Write(path string, write func(io.Writer) error) error {
	if write == nil {
		return errors.New("want a function that writes, have nil")
	}
	if info, err := os.Stat(path); err == nil && !info.Mode().IsRegular() && !info.IsDir() {
		f, err := os.OpenFile(path, os.O_WRONLY, 0)
		if err != nil {
			return err
		}
		return fill(f, path, write, func() error { return nil })
	}
	writing.Add(1)
	defer writing.Add(-1)
	tmp, err := Temp(path, write)
	if err != nil {
		return err
	}
	if err := Rename(tmp, path); err != nil {
		os.Remove(tmp)
		return err
	}
	return nil
}

var writing atomic.Int32

// Writing reports whether some file is being written that a process which ended now would leave under its other name.
func Writing() bool { return writing.Load() > 0 }

// Temp writes a file that is to be called path later, by Rename, and returns the name that it has until then: a hidden one in the same
// directory, which no other call takes. If it returns an error, there is no such file.
func Temp(path string, write func(io.Writer) error) (tmp string, err error) {
	if write == nil {
		return "", errors.New("want a function that writes, have nil")
	}
	writing.Add(1)
	defer writing.Add(-1)
	tmp = prefix(path) + strconv.FormatUint(rand.Uint64(), 36) + suffix
	f, err := os.OpenFile(tmp, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o666)
	if errors.Is(err, fs.ErrNotExist) {
		return "", noDirError(path)
	}
	if err != nil {
		return "", named(path, tmp, err)
	}
	Changed()
	if err := fill(f, path, write, f.Sync); err != nil {
		os.Remove(tmp)
		return "", err
	}
	return tmp, nil
}

// fill writes a file that is open, and closes it.
func fill(f *os.File, path string, write func(io.Writer) error, sync func() error) error {
	w := bufio.NewWriterSize(noted{f}, 1<<16)
	err := write(w)
	for _, finish := range []func() error{w.Flush, sync} {
		if err == nil {
			err = finish()
		}
	}
	if closed := f.Close(); err == nil {
		err = closed
	}
	if err != nil {
		return named(path, f.Name(), err)
	}
	return nil
}

// named makes an error name the file, and not the name that it has for a while.
func named(path, tmp string, err error) error {
	switch e := err.(type) {
	case *fs.PathError:
		if e.Path == tmp {
			err = e.Err
		}
	case *os.LinkError:
		err = e.Err
	}
	return &fs.PathError{Op: "write", Path: path, Err: err}
}

// noDirError is an fs.ErrNotExist that a user can read. It holds the name of the file.
type noDirError string

func (e noDirError) Error() string {
	return fmt.Sprintf("%s: there is no directory %s", string(e), filepath.Dir(string(e)))
}

func (e noDirError) Unwrap() error { return fs.ErrNotExist }

// Rename gives a file another name in its directory, in place of the file that has it. The name is durable, where the system can sync
// directories, before Rename returns.
func Rename(from, to string) error {
	if err := os.Rename(from, to); err != nil {
		return named(to, from, err)
	}
	Changed()
	if d, err := os.Open(filepath.Dir(to)); err == nil {
		_ = d.Sync()
		_ = d.Close()
	}
	return nil
}

// Clean removes what processes that were killed while they wrote files of the given names have left of them. None may be
// writing them: it would find its file gone.
func Clean(paths ...string) {
	for _, path := range paths {
		entries, err := os.ReadDir(filepath.Dir(path))
		if err != nil {
			continue // there is nothing to remove
		}
		for _, e := range entries {
			tmp := filepath.Join(filepath.Dir(path), e.Name())
			number, ours := strings.CutPrefix(tmp, prefix(path))
			number, whole := strings.CutSuffix(number, suffix)
			if _, err := strconv.ParseUint(number, 36, 64); ours && whole && err == nil {
				os.Remove(tmp)
			}
		}
	}
}

// The name of a file that is being written is that of the file with a dot before it, and a number and suffix behind.
const suffix = ".tmp"

func prefix(path string) string {
	name := filepath.Base(path)
	if len(name) > longestName {
		h := uint32(2166136261) // FNV-1a
		for _, c := range []byte(name) {
			h = (h ^ uint32(c)) * 16777619
		}
		name = strings.ToValidUTF8(name[:longestName], "") + "~" + strconv.FormatUint(uint64(h), 36)
	}
	return filepath.Join(filepath.Dir(path), "."+name+".")
}

// longestName is how much of a file's name stands in that until then: file systems take names of 255 bytes.
const longestName = 200

// noted calls Changed after every write. Its errors do not name the file, whose name is another one then.
type noted struct{ f *os.File }

func (n noted) Write(b []byte) (int, error) {
	defer Changed()
	k, err := n.f.Write(b)
	if e, ok := err.(*fs.PathError); ok {
		err = e.Err
	}
	return k, err
}
