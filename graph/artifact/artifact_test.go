package artifact_test

import (
	"bytes"
	"errors"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"

	"github.com/graphrun/graphrun/graph"
	"github.com/graphrun/graphrun/graph/artifact"
	"github.com/graphrun/graphrun/graph/value"
	"github.com/graphrun/graphrun/graph/value/safetensors"
)

func zeros(dt graph.DType, shape ...int) *value.Tensor {
	t, err := value.New(dt, shape...)
	if err != nil {
		panic(err)
	}
	return t
}

func filled(fill byte, dt graph.DType, shape ...int) *value.Tensor {
	t := zeros(dt, shape...)
	for i := range t.Bytes() {
		t.Bytes()[i] = fill + byte(i)
	}
	return t
}

func variable(m *graph.Module, name string, t *value.Tensor, opts ...graph.VariableOption) *graph.Variable {
	return m.Variable(name, t.DType(), t.Shape(), func(f *graph.Func, _ graph.Value) graph.Value {
		return f.Const(zeros(t.DType(), t.Shape()...))
	}, opts...)
}

// model has two weights, a moment, and constants short and long, the long ones of dtypes that safetensors
// has and has not.
func model(t *testing.T) (*graph.Module, map[string]*value.Tensor) {
	t.Helper()
	m := graph.NewModule("m")
	m.SetMeta("classes", "a,b")
	weights := map[string]*value.Tensor{"fc.weight": filled(1, graph.F32, 3, 5), "fc.bias": filled(2, graph.F32, 5), "big": filled(3, graph.F32, 100)}
	for _, name := range slices.Sorted(maps.Keys(weights)) {
		variable(m, name, weights[name])
	}
	variable(m, "moment", filled(4, graph.F32, 3, 5), graph.NotTrainable())
	f := m.Func("f")
	long := filled(5, graph.I16, 10, 10)
	f.Return("w", m.LookupVariable("fc.weight").Read(f))
	f.Return("short", f.Const(filled(6, graph.I8, 3)))
	f.Return("long", f.Const(long))
	f.Return("again", f.Const(long.Clone()))
	flat, err := long.Reshape(100)
	if err != nil {
		t.Fatal(err)
	}
	f.Return("flat", f.Const(flat))
	f.Return("nibbles", f.Const(filled(7, value.I4, 100)))
	f.Return("pairs", f.Const(zeros(value.F4E2M1, 101)))
	names := make([]string, 70)
	names[3] = "three"
	text, err := value.FromSlice(names, 70)
	if err != nil {
		t.Fatal(err)
	}
	f.Return("names", f.Const(text))
	if err := m.Err(); err != nil {
		t.Fatal(err)
	}
	return m, weights
}

func saved(t *testing.T) (dir string, m *graph.Module, weights map[string]*value.Tensor) {
	t.Helper()
	m, weights = model(t)
	dir = filepath.Join(t.TempDir(), "new", "model")
	if err := artifact.Save(dir, m, weights); err != nil {
		t.Fatal(err)
	}
	return dir, m, weights
}

// files reads an artifact into a file system that a test can change.
func files(t *testing.T, dir string) fstest.MapFS {
	t.Helper()
	fsys := fstest.MapFS{}
	for _, name := range []string{artifact.GraphFile, artifact.WeightsFile} {
		data, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		fsys[name] = &fstest.MapFile{Data: data}
	}
	return fsys
}

var sameTensors = cmp.Comparer(func(a, b *value.Tensor) bool { return a.Equal(b) })

func TestRoundTrip(t *testing.T) {
	dir, m, weights := saved(t)
	again := func(a *artifact.Artifact, err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(m.String(), a.Module.String()); d != "" {
			t.Errorf("-saved +loaded:\n%s", d)
		}
		if d := cmp.Diff(weights, a.Weights, sameTensors); d != "" {
			t.Errorf("-saved +loaded:\n%s", d)
		}
		if d := cmp.Diff([]string{"moment"}, a.Missing); d != "" {
			t.Error(d)
		}
		if pos := a.Module.Funcs()[0].Nodes()[0].Pos().String(); !strings.HasPrefix(pos, "artifact_test.go:") {
			t.Errorf("positions are lost: %s", pos)
		}
	}
	again(artifact.LoadDir(dir))
	again(artifact.Load(files(t, dir)))

	entries, err := os.ReadDir(dir)
	if err != nil || len(entries) != 2 {
		t.Errorf("want the two files alone, have %v, %v", entries, err)
	}
	file, err := safetensors.Open(os.DirFS(dir), artifact.WeightsFile)
	if err != nil {
		t.Fatal(err)
	}
	constants := slices.DeleteFunc(file.Names(), func(name string) bool { return weights[name] != nil })
	if len(constants) != 3 { // one tensor in two shapes, and zeros of an initializer
		t.Errorf("want 3 constants beside the text, have %v", constants)
	}

	// Saving what was loaded changes no byte.
	a, err := artifact.LoadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	before := files(t, dir)
	if err := artifact.Save(dir, a.Module, a.Weights); err != nil {
		t.Fatal(err)
	}
	for name, f := range files(t, dir) {
		if !bytes.Equal(f.Data, before[name].Data) {
			t.Errorf("%s changes when it is saved again", name)
		}
	}
	weights["moment"] = filled(9, graph.F32, 3, 5)
	if err := artifact.Save(dir, m, weights); err != nil {
		t.Fatal(err)
	}
	if a, err = artifact.LoadDir(dir); err != nil || len(a.Missing) > 0 || !a.Weights["moment"].Equal(weights["moment"]) {
		t.Errorf("a value of a variable that is not trained is lost: %v", err)
	}
}

func TestSaveFaults(t *testing.T) {
	for name, c := range map[string]struct {
		spoil func(*graph.Module, map[string]*value.Tensor)
		want  []string
	}{
		"missing": {
			func(_ *graph.Module, w map[string]*value.Tensor) { delete(w, "fc.bias") },
			[]string{"@fc.bias: the trainable variable has no value, want f32[5]"},
		},
		"shape and name": {func(_ *graph.Module, w map[string]*value.Tensor) {
			w["fc.bias"] = zeros(graph.F32, 6)
			w["fc.bais"] = zeros(graph.F32, 5)
		}, []string{"@fc.bias: want f32[5], have f32[6]", "@fc.bais: there is a value and no variable of this name"}},
		"dtype":  {func(_ *graph.Module, w map[string]*value.Tensor) { w["fc.bias"] = zeros(graph.F64, 5) }, []string{"@fc.bias: want f32[5], have f64[5]"}},
		"nil":    {func(_ *graph.Module, w map[string]*value.Tensor) { w["moment"] = nil }, []string{"@moment: the value is nil, want f32[3,5]"}},
		"faulty": {func(m *graph.Module, _ map[string]*value.Tensor) { m.Func("empty") }, []string{"func @empty: want a result or an update"}},
		"reserved": {func(m *graph.Module, w map[string]*value.Tensor) {
			w["const.x"] = zeros(graph.F32)
			variable(m, "const.x", w["const.x"])
		}, []string{`@const.x: names that start with "const." are those of constants`}},
		"no place": {func(m *graph.Module, w map[string]*value.Tensor) {
			w["q"] = zeros(value.I4, 4)
			variable(m, "q", w["q"])
		}, []string{"@q: safetensors has no dtype i4"}},
	} {
		t.Run(name, func(t *testing.T) {
			m, weights := model(t)
			c.spoil(m, weights)
			dir := filepath.Join(t.TempDir(), "d")
			err := artifact.Save(dir, m, weights)
			if err == nil {
				t.Fatal("no error")
			}
			for _, want := range c.want {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("want %q in %v", want, err)
				}
			}
			if _, err := os.Stat(dir); err == nil {
				t.Error("a refused model leaves files")
			}
		})
	}
}

func TestSaveKeepsOldFilesOnError(t *testing.T) {
	dir, m, weights := saved(t)
	before := files(t, dir)
	if err := os.Remove(filepath.Join(dir, artifact.WeightsFile)); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(filepath.Join(dir, artifact.WeightsFile), 0o777); err != nil { // cannot be renamed over
		t.Fatal(err)
	}
	m.SetMeta("new", "yes")
	if err := artifact.Save(dir, m, weights); err == nil {
		t.Fatal("no error")
	}
	text, err := os.ReadFile(filepath.Join(dir, artifact.GraphFile))
	if err != nil || !bytes.Equal(text, before[artifact.GraphFile].Data) {
		t.Errorf("the old text is gone: %v", err)
	}
	if entries, err := os.ReadDir(dir); err != nil || len(entries) != 2 {
		t.Errorf("temporary files are left: %v, %v", entries, err)
	}
}

// rewrite changes the tensors of a stored file.
func rewrite(t *testing.T, fsys fstest.MapFS, change func(map[string]*value.Tensor)) {
	t.Helper()
	file, err := safetensors.Open(fsys, artifact.WeightsFile)
	if err != nil {
		t.Fatal(err)
	}
	change(file.Tensors)
	var tensors []safetensors.Named
	for name, x := range file.Tensors {
		tensors = append(tensors, safetensors.Named{Name: name, Tensor: x})
	}
	var b bytes.Buffer
	if err := safetensors.Write(&b, tensors, nil); err != nil {
		t.Fatal(err)
	}
	fsys[artifact.WeightsFile] = &fstest.MapFile{Data: b.Bytes()}
}

// TestChecksum damages weights and replaces them: damage is an error that names the file, replacement is told.
func TestChecksum(t *testing.T) {
	dir, _, weights := saved(t)
	whole := files(t, dir)
	a, err := artifact.Load(whole)
	if err != nil || !a.Checked {
		t.Fatalf("checked: %v, %v", a.Checked, err)
	}
	data := whole[artifact.WeightsFile].Data
	for i := len(data) - 1; i > len(data)-600; i-- { // the tensors
		damaged := maps.Clone(whole)
		damaged[artifact.WeightsFile] = &fstest.MapFile{Data: bytes.Clone(data)}
		damaged[artifact.WeightsFile].Data[i] ^= 0x10
		if _, err := artifact.Load(damaged); err == nil || !strings.Contains(err.Error(), "model.safetensors: invalid safetensors file: it is damaged") {
			t.Fatalf("byte %d: %v", i, err)
		}
	}
	file, err := safetensors.Open(whole, artifact.WeightsFile)
	if err != nil {
		t.Fatal(err)
	}
	for name, metadata := range map[string]map[string]string{"none": nil, "its own": {"format": "pt"}, "copied": file.Metadata} {
		file.Tensors["fc.bias"] = filled(77, graph.F32, 5)
		var b bytes.Buffer
		if err := safetensors.Write(&b, file.Named(), metadata); err != nil { // the bytes of the reference implementation
			t.Fatal(err)
		}
		replaced := maps.Clone(whole)
		replaced[artifact.WeightsFile] = &fstest.MapFile{Data: b.Bytes()}
		a, err := artifact.Load(replaced)
		if err != nil || a.Checked || !a.Weights["fc.bias"].Equal(file.Tensors["fc.bias"]) || !a.Weights["big"].Equal(weights["big"]) {
			t.Errorf("metadata %s: %+v, %v", name, a, err)
		}
	}
	if kept, err := artifact.Keep(a, "f"); err != nil || !kept.Checked {
		t.Errorf("a part of a model: %v", err)
	}
}

func constantNames(tensors map[string]*value.Tensor) []string {
	return slices.DeleteFunc(slices.Sorted(maps.Keys(tensors)), func(name string) bool { return !strings.HasPrefix(name, graph.ExternalPrefix) })
}

func TestLoadFaults(t *testing.T) {
	replace := func(from, to string) func(*testing.T, fstest.MapFS) {
		return func(t *testing.T, fsys fstest.MapFS) {
			text := string(fsys[artifact.GraphFile].Data)
			if !strings.Contains(text, from) {
				t.Fatalf("%q is not in\n%s", from, text)
			}
			fsys[artifact.GraphFile] = &fstest.MapFile{Data: []byte(strings.Replace(text, from, to, 1))}
		}
	}
	tensors := func(change func(map[string]*value.Tensor)) func(*testing.T, fstest.MapFS) {
		return func(t *testing.T, fsys fstest.MapFS) { rewrite(t, fsys, change) }
	}
	for name, c := range map[string]struct {
		spoil func(*testing.T, fstest.MapFS)
		want  []string
	}{
		"no text":                   {func(_ *testing.T, fsys fstest.MapFS) { delete(fsys, artifact.GraphFile) }, []string{"model.graph: file does not exist"}},
		"no weights":                {func(_ *testing.T, fsys fstest.MapFS) { delete(fsys, artifact.WeightsFile) }, []string{"model.safetensors: file does not exist"}},
		"no text in the text":       {func(_ *testing.T, fsys fstest.MapFS) { fsys[artifact.GraphFile] = &fstest.MapFile{} }, []string{"model.graph:1: want \"graphrun 2\""}},
		"no tensors in the weights": {func(_ *testing.T, fsys fstest.MapFS) { fsys[artifact.WeightsFile] = &fstest.MapFile{} }, []string{"model.safetensors: "}},
		"weight": {
			tensors(func(m map[string]*value.Tensor) { delete(m, "fc.bias"); m["fc.weight"] = zeros(graph.F32, 5, 3) }),
			[]string{"model.safetensors: @fc.bias: the trainable variable is missing, want f32[5]", "model.safetensors: @fc.weight: want f32[3,5], have f32[5,3]"},
		},
		"dtype":            {tensors(func(m map[string]*value.Tensor) { m["fc.bias"] = zeros(graph.F16, 5) }), []string{"@fc.bias: want f32[5], have f16[5]"}},
		"extra":            {tensors(func(m map[string]*value.Tensor) { m["more"] = zeros(graph.F16, 5) }), []string{`model.safetensors: "more" is neither a variable nor a constant of model.graph`}},
		"constant":         {tensors(func(m map[string]*value.Tensor) { delete(m, constantNames(m)[0]) }), []string{"model.safetensors has no such tensor, want f32[100]"}},
		"constant's bytes": {tensors(func(m map[string]*value.Tensor) { m[constantNames(m)[0]].Bytes()[7]++ }), []string{"want sha256"}},
		"constant's type":  {tensors(func(m map[string]*value.Tensor) { m[constantNames(m)[0]] = zeros(graph.F32, 100, 1) }), []string{"want f32[100], have f32[100,1]"}},
		"constant's name":  {replace(`external "const.`, `external "fc.weight`), []string{`starts with "const."`}},
		"variable's name":  {replace(`var @big`, `var @const.big`), []string{`@const.big: names that start with "const."`}},
		"text":             {replace(`return w:`, `return w$:`), []string{"model.graph:", "want ':', have '$'"}},
	} {
		t.Run(name, func(t *testing.T) {
			dir, _, _ := saved(t)
			fsys := files(t, dir)
			c.spoil(t, fsys)
			_, err := artifact.Load(fsys)
			if err == nil {
				t.Fatal("no error")
			}
			for _, want := range c.want {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("want %q in %v", want, err)
				}
			}
		})
	}
	_, err := artifact.LoadDir(filepath.Join(t.TempDir(), "nowhere"))
	if !errors.Is(err, fs.ErrNotExist) || !strings.Contains(err.Error(), "nowhere") {
		t.Errorf("want an error that names the directory, have %v", err)
	}
}

// A file that ends early is an error, wherever it ends.
func TestLoadTruncated(t *testing.T) {
	dir, _, _ := saved(t)
	whole := files(t, dir)
	for name, f := range whole {
		for i := range f.Data {
			fsys := maps.Clone(whole)
			fsys[name] = &fstest.MapFile{Data: f.Data[:i]}
			if _, err := artifact.Load(fsys); err == nil && strings.TrimRight(string(f.Data), "\n") != string(f.Data[:i]) {
				t.Fatalf("%s is accepted when it ends at byte %d of %d", name, i, len(f.Data))
			}
		}
	}
}

func TestLoadBoundsText(t *testing.T) {
	defer artifact.SetMaxGraphFile(1000)()
	dir, _, _ := saved(t)
	if _, err := artifact.LoadDir(dir); err == nil || !strings.Contains(err.Error(), "model.graph is longer than 1000 bytes") {
		t.Errorf("have %v", err)
	}
}

// FuzzLoad checks that no files make Load panic, and that what it accepts can be saved and loaded again.
func FuzzLoad(f *testing.F) {
	m := graph.NewModule("m")
	w := zeros(graph.F32, 2)
	variable(m, "w", w)
	g := m.Func("f")
	g.Return("w", m.LookupVariable("w").Read(g))
	g.Return("c", g.Const(filled(1, graph.U8, 65)))
	dir := f.TempDir()
	if err := artifact.Save(dir, m, map[string]*value.Tensor{"w": w}); err != nil {
		f.Fatal(err)
	}
	text, err := os.ReadFile(filepath.Join(dir, artifact.GraphFile))
	if err != nil {
		f.Fatal(err)
	}
	data, err := os.ReadFile(filepath.Join(dir, artifact.WeightsFile))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(text, data)
	f.Fuzz(func(t *testing.T, text, data []byte) {
		fsys := fstest.MapFS{artifact.GraphFile: &fstest.MapFile{Data: text}, artifact.WeightsFile: &fstest.MapFile{Data: data}}
		a, err := artifact.Load(fsys)
		if err != nil {
			return
		}
		var graphText, weights bytes.Buffer // files would be synced, which takes most of the time
		if err := artifact.Write(&graphText, &weights, a.Module, a.Weights); err != nil {
			t.Fatal(err)
		}
		b, err := artifact.Read(&graphText, &weights)
		if err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(a.Module.String(), b.Module.String()); d != "" {
			t.Errorf("-loaded +loaded again:\n%s", d)
		}
		if d := cmp.Diff(a.Weights, b.Weights, sameTensors); d != "" {
			t.Errorf("-loaded +loaded again:\n%s", d)
		}
	})
}
