package atomicfile

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// text writes a text in two parts, the first of which is more than is held back.
func text(s string) func(io.Writer) error {
	return func(w io.Writer) error {
		for _, part := range []string{strings.Repeat(s, 1<<16), s} {
			if _, err := io.WriteString(w, part); err != nil {
				return err
			}
		}
		return nil
	}
}

func names(t *testing.T, dir string) (names []string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names
}

// holds reports which of some texts a file is, whole; 0 if it is not there.
func holds(t *testing.T, path string, texts string) byte {
	t.Helper()
	b, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return 0
	}
	if err != nil {
		t.Fatal(err)
	}
	if len(b) != 1<<16+1 || strings.Trim(string(b), string(b[0])) != "" || !strings.Contains(texts, string(b[0])) {
		t.Fatalf("the file holds %d bytes, %.20q: want one of %q, whole", len(b), b, texts)
	}
	return b[0]
}

// TestWrite looks at the file after every operation: it is the old one or the new one.
func TestWrite(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "f")
	defer func(old func()) { Changed = old }(Changed)
	seen := map[byte]int{}
	for _, s := range []string{"a", "b"} {
		clear(seen)
		Changed = func() { seen[holds(t, path, "ab")]++ }
		if err := Write(path, text(s)); err != nil {
			t.Fatal(err)
		}
		if holds(t, path, s); !cmp.Equal(names(t, dir), []string{"f"}) {
			t.Errorf("there are %q", names(t, dir))
		}
	}
	if d := cmp.Diff(map[byte]int{'a': 3, 'b': 1}, seen); d != "" {
		t.Error(d)
	}
}

func TestWriteFails(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "f")
	if err := Write(path, text("a")); err != nil {
		t.Fatal(err)
	}
	sub := filepath.Join(dir, "sub")
	if err := os.MkdirAll(filepath.Join(sub, "full"), 0o777); err != nil {
		t.Fatal(err)
	}
	short := errors.New("no more ink")
	for _, c := range []struct {
		path string
		err  error
		want string
	}{
		{path, short, "write " + path + ": no more ink"},
		{path, &fs.PathError{Op: "read", Path: "pot", Err: short}, "write " + path + ": read pot: no more ink"},
		{filepath.Join(dir, "none", "f"), nil, filepath.Join(dir, "none", "f") + ": there is no directory " + filepath.Join(dir, "none")},
		{sub, nil, "write " + sub + ": "},
	} {
		err := Write(c.path, func(w io.Writer) error {
			if err := text("b")(w); err != nil {
				return err
			}
			return c.err
		})
		if err == nil || !strings.HasPrefix(err.Error(), c.want) || strings.Contains(err.Error(), ".tmp") {
			t.Errorf("error %v, want %s", err, c.want)
		}
		if c.err == nil == errors.Is(err, short) {
			t.Errorf("error %v is not the one of the function that writes", err)
		}
		if d := cmp.Diff([]string{"f", "sub"}, names(t, dir)); d != "" {
			t.Error(d)
		}
		holds(t, path, "a")
	}
}

// TestDevice writes to what is no file: it must not become one.
func TestDevice(t *testing.T) {
	if err := Write(os.DevNull, text("a")); err != nil {
		t.Fatal(err)
	}
	if info, err := os.Stat(os.DevNull); err != nil || info.Mode().IsRegular() {
		t.Errorf("%s is %v, %v", os.DevNull, info.Mode(), err)
	}
}

// TestClean removes the files of writers that were killed, and no others.
func TestClean(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "f")
	for _, p := range []string{path, filepath.Join(dir, "f.x")} {
		if _, err := Temp(p, text("a")); err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range []string{"f", "f.x.tmp", ".f.tmp", ".f.x"} {
		if err := os.WriteFile(filepath.Join(dir, name), nil, 0o666); err != nil {
			t.Fatal(err)
		}
	}
	Clean(path, filepath.Join(dir, "none", "f"))
	left := names(t, dir)
	left = slices.DeleteFunc(left, func(name string) bool { return strings.HasPrefix(name, ".f.x.") })
	if d := cmp.Diff([]string{".f.tmp", ".f.x", "f", "f.x.tmp"}, left); d != "" || len(names(t, dir)) != 5 {
		t.Errorf("what is left is %q", names(t, dir))
	}
}

// TestNames writes files of every length of name that the file system takes. What is left of two that begin alike is not mixed up.
func TestNames(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{strings.Repeat("n", 200), strings.Repeat("n", 236), strings.Repeat("n", 237), strings.Repeat("n", 255), strings.Repeat("é", 127)} {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, nil, 0o666); err != nil {
			t.Skipf("the file system takes no name of %d bytes: %v", len(name), err)
		}
		if err := Write(path, text("a")); err != nil {
			t.Errorf("%d bytes: %v", len(name), err)
		}
		holds(t, path, "a")
	}
	long := []string{filepath.Join(dir, strings.Repeat("n", 240)+"1"), filepath.Join(dir, strings.Repeat("n", 240)+"2")}
	left, err := Temp(long[0], text("a"))
	if err != nil {
		t.Fatal(err)
	}
	Clean(long[1])
	if _, err := os.Stat(left); err != nil {
		t.Error("the file of another name is gone")
	}
	if Clean(long[0]); cmp.Equal(names(t, dir), nil) {
		t.Error("all files are gone")
	}
	if _, err := os.Stat(left); err == nil {
		t.Error("a file is left")
	}
}

// TestErrorsNameTheFile fails to write in all ways, the error coming through a function that says what it wrote: the hidden name is in none.
func TestErrorsNameTheFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "model")
	f, err := os.Create(path + ".tmp")
	if err != nil {
		t.Fatal(err)
	}
	f.Close() // as a full disk, it fails whoever writes
	err = fill(f, path, func(w io.Writer) error {
		if err := text("b")(w); err != nil {
			return fmt.Errorf("safetensors: %w", err)
		}
		return nil
	}, f.Sync)
	if want := "write " + path + ": safetensors: file already closed"; err == nil || err.Error() != want || !errors.Is(err, os.ErrClosed) {
		t.Errorf("have %v, want %s", err, want)
	}
	if err := Rename(filepath.Join(filepath.Dir(path), ".model.1.tmp"), path); err == nil || strings.Contains(err.Error(), ".1.tmp") {
		t.Errorf("have %v", err)
	}
}
