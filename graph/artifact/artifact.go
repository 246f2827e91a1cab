// Package artifact stores models: a directory with a module as text and its tensors as safetensors.
//
//	model.graph        the module, with positions (see graph.Print)
//	model.safetensors  the variables' values under their names, which are those of a PyTorch state_dict, and
//	                   the constants of more than 64 elements under names that start with "const."
//
// The text holds the checksum of every constant that it leaves out. Variables carry none, so that
// weights may be replaced by others of the same types, for instance from Python.
package artifact

import (
	"bufio"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/graphrun/graphrun/graph"
	"github.com/graphrun/graphrun/runtime/value"
	"github.com/graphrun/graphrun/runtime/value/safetensors"
)

// The files of an artifact.
const (
	GraphFile   = "model.graph"
	WeightsFile = "model.safetensors"
)

// maxGraphFile bounds the text that Load reads. A text with its large constants beside it stays far below.
// Tests lower it.
var maxGraphFile = 256 << 20

// Artifact is a stored model.
type Artifact struct {
	Module *graph.Module
	// Weights are the stored values of variables, by name.
	Weights map[string]*value.Tensor
	// Missing names the variables without a stored value, in declaration order: a session initializes
	// them. None of them is trainable.
	Missing []string
}

// Save writes m and the values of its variables to dir, which it creates if need be. Every trainable
// variable needs a value; others, such as an optimizer's moments, may do without.
//
// Both files are written in full and synced before either takes its name, the weights first, so that a
// crash leaves each file old or new and never a part of one. An old text beside new weights loads if it
// is of the same variables and constants, and is an error otherwise.
func Save(dir string, m *graph.Module, weights map[string]*value.Tensor) error {
	if err := save(dir, m, weights); err != nil {
		return fmt.Errorf("save %s: %w", dir, err)
	}
	return nil
}

func save(dir string, m *graph.Module, weights map[string]*value.Tensor) error {
	if err := graph.Verify(m); err != nil {
		return err
	}
	tensors, err := variables(m, weights)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(dir, 0o777); err != nil {
		return err
	}
	constants := map[string]*value.Tensor{}
	text, err := writeTemp(dir, GraphFile, func(w io.Writer) error {
		return graph.Print(w, m, graph.PrintOptions{Locations: true, External: func(name string, t *value.Tensor) bool {
			if old := constants[name]; storable(t) != nil || old != nil && !old.Equal(t) {
				return false
			}
			constants[name] = t
			return true
		}})
	})
	defer os.Remove(text) // no longer there once it has its name
	if err != nil {
		return err
	}
	for name, t := range constants {
		tensors = append(tensors, safetensors.Named{Name: name, Tensor: t})
	}
	data, err := writeTemp(dir, WeightsFile, func(w io.Writer) error {
		return safetensors.Write(w, tensors, map[string]string{"format": "pt"})
	})
	defer os.Remove(data)
	if err != nil {
		return err
	}
	if err := os.Rename(data, filepath.Join(dir, WeightsFile)); err != nil {
		return err
	}
	if err := os.Rename(text, filepath.Join(dir, GraphFile)); err != nil {
		return err
	}
	if d, err := os.Open(dir); err == nil {
		_ = d.Sync() // makes the names durable, where the system can sync directories
		_ = d.Close()
	}
	return nil
}

// variables checks the weights against the module and lists them.
func variables(m *graph.Module, weights map[string]*value.Tensor) ([]safetensors.Named, error) {
	var faults []error
	var tensors []safetensors.Named
	for _, v := range m.Variables() {
		t, given := weights[v.Name()]
		var fault error
		switch {
		case strings.HasPrefix(v.Name(), graph.ExternalPrefix):
			fault = errReserved
		case !given && v.Trainable():
			fault = fmt.Errorf("the trainable variable has no value, want %s", v.Type())
		case !given:
			continue
		case t == nil:
			fault = fmt.Errorf("the value is nil, want %s", v.Type())
		case !graph.EqualTypes(v.Type(), graph.TypeOf(t)):
			fault = fmt.Errorf("want %s, have %s", v.Type(), graph.TypeOf(t))
		default:
			fault = storable(t)
		}
		if fault != nil {
			faults = append(faults, fmt.Errorf("@%s: %w", v.Name(), fault))
			continue
		}
		tensors = append(tensors, safetensors.Named{Name: v.Name(), Tensor: t})
	}
	for _, name := range sortedKeys(weights) {
		if m.LookupVariable(name) == nil {
			faults = append(faults, fmt.Errorf("@%s: there is a value and no variable of this name", name))
		}
	}
	return tensors, errors.Join(faults...)
}

var errReserved = fmt.Errorf("names that start with %q are those of constants: the variable needs another", graph.ExternalPrefix)

// storable reports why a tensor has no place in a safetensors file, nil if it has one.
func storable(t *value.Tensor) error {
	switch dt := t.DType(); dt {
	case value.String, value.I2, value.U2, value.I4, value.U4:
		return fmt.Errorf("safetensors has no dtype %s", dt)
	case value.F4E2M1:
		if t.Len()%2 != 0 {
			return fmt.Errorf("safetensors stores %s by pairs, have %d elements", dt, t.Len())
		}
	}
	return nil
}

func sortedKeys(m map[string]*value.Tensor) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}

// writeTemp writes a file beside the one called name and returns its path.
func writeTemp(dir, name string, write func(io.Writer) error) (path string, err error) {
	path = filepath.Join(dir, "."+name+"."+rand.Text())
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o666)
	if err != nil {
		return path, err
	}
	w := bufio.NewWriterSize(f, 1<<16)
	err = write(w)
	for _, finish := range []func() error{w.Flush, f.Sync} {
		if err == nil {
			err = finish()
		}
	}
	if closed := f.Close(); err == nil {
		err = closed
	}
	if err != nil {
		err = fmt.Errorf("%s: %w", name, err)
	}
	return path, err
}

// LoadDir reads the artifact in a directory.
func LoadDir(dir string) (*Artifact, error) {
	a, err := load(os.DirFS(dir))
	if err != nil {
		return nil, fmt.Errorf("load %s: %w", dir, err)
	}
	return a, nil
}

// Load reads the artifact at the top of fsys, which may be embedded in the program. The operations that it
// uses must be registered: import package ops.
//
// Files are not trusted. Faults of the text come as graph.Diagnostics; every tensor that is missing, is of
// another type than the text says, or belongs to nothing in it is reported.
func Load(fsys fs.FS) (*Artifact, error) {
	a, err := load(fsys)
	if err != nil {
		return nil, fmt.Errorf("load: %w", err)
	}
	return a, nil
}

func load(fsys fs.FS) (*Artifact, error) {
	text, err := readGraph(fsys)
	if err != nil {
		return nil, err
	}
	file, err := safetensors.Open(fsys, WeightsFile)
	if err != nil {
		return nil, named(WeightsFile, err)
	}
	used := map[string]bool{}
	m, err := graph.Parse(GraphFile, text, graph.ParseOptions{
		External: func(name, _ string, t graph.TensorType) (*value.Tensor, error) {
			if !strings.HasPrefix(name, graph.ExternalPrefix) {
				return nil, fmt.Errorf("the name of a stored constant starts with %q", graph.ExternalPrefix)
			}
			x := file.Tensors[name]
			if x == nil {
				return nil, fmt.Errorf("%s has no such tensor, want %s", WeightsFile, t)
			}
			used[name] = true
			return x, nil
		},
	})
	if err != nil {
		return nil, err
	}
	a := &Artifact{Module: m, Weights: map[string]*value.Tensor{}}
	var faults []error
	for _, v := range m.Variables() {
		t := file.Tensors[v.Name()]
		var fault error
		switch {
		case strings.HasPrefix(v.Name(), graph.ExternalPrefix):
			fault = errReserved
		case t == nil && v.Trainable():
			fault = fmt.Errorf("the trainable variable is missing, want %s", v.Type())
		case t == nil:
			a.Missing = append(a.Missing, v.Name())
			continue
		case !graph.EqualTypes(v.Type(), graph.TypeOf(t)):
			fault = fmt.Errorf("want %s, have %s", v.Type(), graph.TypeOf(t))
		}
		if fault != nil {
			faults = append(faults, fmt.Errorf("%s: @%s: %w", WeightsFile, v.Name(), fault))
		}
		used[v.Name()] = true
		a.Weights[v.Name()] = t
	}
	for _, name := range file.Names() {
		if !used[name] {
			faults = append(faults, fmt.Errorf("%s: %q is neither a variable nor a constant of %s", WeightsFile, name, GraphFile))
		}
	}
	if err := errors.Join(faults...); err != nil {
		return nil, err
	}
	return a, nil
}

func readGraph(fsys fs.FS) ([]byte, error) {
	f, err := fsys.Open(GraphFile)
	if err != nil {
		return nil, named(GraphFile, err)
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, int64(maxGraphFile)+1))
	if err != nil {
		return nil, named(GraphFile, err)
	}
	if len(text) > maxGraphFile {
		return nil, fmt.Errorf("%s is longer than %d bytes", GraphFile, maxGraphFile)
	}
	return text, nil
}

// named makes an error name its file, as those of package fs do already.
func named(file string, err error) error {
	if pe := (*fs.PathError)(nil); errors.As(err, &pe) {
		return err
	}
	return fmt.Errorf("%s: %w", file, err)
}
