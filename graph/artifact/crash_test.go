package artifact_test

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/fstest"

	"github.com/graphrun/graphrun/graph"
	"github.com/graphrun/graphrun/graph/artifact"
	"github.com/graphrun/graphrun/graph/value"
	"github.com/graphrun/graphrun/graph/value/atomicfile"
)

// version returns the n-th of a series of models, each of other weights, and by turns of other variables and types.
func version(t *testing.T, n int) (*graph.Module, map[string]*value.Tensor) {
	t.Helper()
	m := graph.NewModule("m")
	m.SetMeta("version", fmt.Sprint(n))
	w := filled(byte(n), graph.F32, 3+n%2)
	variable(m, "w", w)
	weights := map[string]*value.Tensor{"w": w}
	f := m.Func("f")
	f.Return("w", m.LookupVariable("w").Read(f))
	f.Return("c", f.Const(filled(byte(n), graph.I16, 10, 10)))
	if n%3 == 0 {
		weights["more"] = filled(byte(n), graph.F32, 20_000) // several writes
		variable(m, "more", weights["more"])
		f.Return("more", m.LookupVariable("more").Read(f))
	}
	return m, weights
}

// wantVersion fails unless a directory holds one of some versions, whole; it returns which.
func wantVersion(t *testing.T, dir string, ns ...int) int {
	t.Helper()
	a, err := artifact.LoadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, n := range ns {
		if m, weights := version(t, n); m.String() == a.Module.String() {
			for name, w := range weights {
				if !w.Equal(a.Weights[name]) {
					t.Fatalf("@%s of version %d is another's", name, n)
				}
			}
			return n
		}
	}
	t.Fatalf("there is version %s, want one of %v", a.Module.Meta("version"), ns)
	return 0
}

func copyDir(t *testing.T, from, to string) {
	t.Helper()
	if err := os.MkdirAll(to, 0o777); err != nil {
		t.Fatal(err)
	}
	entries, err := os.ReadDir(from)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		data, err := os.ReadFile(filepath.Join(from, e.Name()))
		if err == nil {
			err = os.WriteFile(filepath.Join(to, e.Name()), data, 0o666)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
}

// save writes version n and calls after, with a copy of the directory, after each operation on a file: what a crash
// there leaves.
func save(t *testing.T, dir string, n int, after func(dir string)) {
	t.Helper()
	m, weights := version(t, n)
	defer func(old func()) { atomicfile.Changed = old }(atomicfile.Changed)
	atomicfile.Changed = func() {
		crashed := filepath.Join(t.TempDir(), "crashed")
		copyDir(t, dir, crashed)
		after(crashed)
	}
	if err := artifact.Save(dir, m, weights); err != nil {
		t.Fatal(err)
	}
}

// TestSaveCrashes ends Save after each of its operations on files, over an older model of other variables. Load must
// find the old model or the new one, and in what is left, another Save must do the same, whenever it ends.
func TestSaveCrashes(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "d")
	if artifact.Exists(dir) {
		t.Error("there is a model before the first one is saved")
	}
	readable := 0
	save(t, dir, 1, func(crashed string) { // there is nothing yet, and then version 1
		if artifact.Exists(crashed) {
			readable++
			wantVersion(t, crashed, 1)
		}
	})
	if !artifact.Exists(dir) || readable < 3 {
		t.Errorf("the first model exists after %d operations of saving it, want 3", readable)
	}
	crashes, seconds := 0, 0
	seen := map[int]bool{}
	save(t, dir, 3, func(crashed string) {
		crashes++
		n := wantVersion(t, crashed, 1, 3)
		seen[n] = true
		again := 0
		save(t, crashed, 2, func(crashed string) {
			again++
			seconds++
			wantVersion(t, crashed, n, 2)
		})
		if again < 8 {
			t.Errorf("only %d operations were looked at", again)
		}
		if wantVersion(t, crashed, 2); !tidy(t, crashed) {
			t.Error("Save does not put things in order")
		}
	})
	wantVersion(t, dir, 3)
	if crashes < 8 || seconds < 64 || !seen[1] || !seen[3] {
		t.Errorf("%d operations and %d of second saves were looked at, versions %v: want more", crashes, seconds, seen)
	}
	if !tidy(t, dir) {
		t.Error("Save leaves more than two files")
	}
}

// tidy reports whether the files of a directory are the two.
func tidy(t *testing.T, dir string) bool {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	return len(entries) == 2
}

// TestLoadBesideSave loads all the while other versions are saved.
func TestLoadBesideSave(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "d")
	m, weights := version(t, 0)
	if err := artifact.Save(dir, m, weights); err != nil {
		t.Fatal(err)
	}
	const last = 40
	var all []int
	for n := range last + 1 {
		all = append(all, n)
	}
	done := make(chan struct{})
	var saver sync.WaitGroup
	saver.Go(func() {
		defer close(done)
		for n := range last {
			m, weights := version(t, n+1)
			if err := artifact.Save(dir, m, weights); err != nil {
				t.Error(err)
				return
			}
		}
	})
	for loading := true; loading; {
		wantVersion(t, dir, all...)
		select {
		case <-done:
			loading = false
		default:
		}
	}
	saver.Wait()
	wantVersion(t, dir, last)
}

// TestReadWrite goes through readers and writers instead of files.
func TestReadWrite(t *testing.T) {
	m, weights := model(t)
	var text, data bytes.Buffer
	if err := artifact.Write(&text, &data, m, weights); err != nil {
		t.Fatal(err)
	}
	a, err := artifact.Read(bytes.NewReader(text.Bytes()), bytes.NewReader(data.Bytes()))
	if err != nil {
		t.Fatal(err)
	}
	if a.Module.String() != m.String() || !a.Weights["big"].Equal(weights["big"]) || len(a.Missing) != 1 {
		t.Errorf("another model comes back; %v is missing", a.Missing)
	}
	dir, _, _ := saved(t)
	fsys := files(t, dir)
	if !bytes.Equal(fsys[artifact.GraphFile].Data, text.Bytes()) {
		t.Error("Save writes another text than Write")
	}

	a, err = artifact.Read(strings.NewReader(m.String()), nil)
	if err != nil || len(a.Missing) != len(m.Variables()) || len(a.Weights) > 0 {
		t.Errorf("a text alone: %v, %+v", err, a)
	}
	for want, c := range map[string][2]io.Reader{
		"which is not given":                              {bytes.NewReader(text.Bytes()), nil},
		"read: model.graph:1: want \"graphrun 2\"":        {strings.NewReader("x"), nil},
		"read: model.safetensors: length of the header":   {bytes.NewReader(text.Bytes()), strings.NewReader("")},
		"@fc.bias: the trainable variable is missing":     {strings.NewReader(m.String()), strings.NewReader("\x02\x00\x00\x00\x00\x00\x00\x00{}")},
		"read: model.graph: interrupted":                  {faulty{}, nil},
		"read: model.safetensors: length of the header: ": {bytes.NewReader(text.Bytes()), faulty{}},
	} {
		if _, err := artifact.Read(c[0], c[1]); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("have %v, want %s", err, want)
		}
	}
	fsys[artifact.WeightsFile] = &fstest.MapFile{Data: []byte("cut")}
	if _, err := artifact.Load(fsys); err == nil || strings.Count(err.Error(), artifact.WeightsFile) != 1 {
		t.Errorf("cut weights: have %v, want the name of the file once", err)
	}
	delete(weights, "big")
	if err := artifact.Write(&text, &data, m, weights); err == nil {
		t.Error("a weight without value is written")
	}
}

type faulty struct{}

func (faulty) Read([]byte) (int, error) { return 0, fmt.Errorf("interrupted") }
