package artifact

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/graphrun/graphrun/graph"
	"github.com/graphrun/graphrun/graph/errfmt"
	"github.com/graphrun/graphrun/graph/value"
	"github.com/graphrun/graphrun/graph/value/atomicfile"
	"github.com/graphrun/graphrun/graph/value/safetensors"
)

// What the files of an artifact are called until they take the place of older ones.
const (
	nextGraph   = GraphFile + ".next"
	nextWeights = WeightsFile + ".next"
)

// Save writes m and the values of its variables to dir, which it creates if need be. Every trainable
// variable needs a value; others, such as an optimizer's moments, may do without.
//
// Load finds the old model or the new one, whole, whatever ends Save when: a crash, a kill, a full disk. Both files are
// written and synced under names of their own. Then model.safetensors.next and model.graph.next appear, in this order,
// and with the second of them the new model is the one that Load reads. At last they take the places of the old files,
// the weights first. Where a crash leaves a model.graph.next, Load reads it with the weights that go with it, and the
// next Save puts things in order. A Load that runs beside a Save begins anew if the text has changed meanwhile. Two
// Saves to one directory at the same time are not for this.
func Save(dir string, m *graph.Module, weights map[string]*value.Tensor) error {
	if m == nil {
		return errNil
	}
	if err := save(dir, m, weights); err != nil {
		return errfmt.Errorf("save %s: %w", dir, err)
	}
	return nil
}

func save(dir string, m *graph.Module, weights map[string]*value.Tensor) (err error) {
	s, err := newStore(m, weights)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(dir, 0o777); err != nil {
		return err
	}
	if err := finish(dir); err != nil {
		return err
	}
	in := func(name string) string { return filepath.Join(dir, name) }
	atomicfile.Clean(in(GraphFile), in(WeightsFile))
	text, err := atomicfile.Temp(in(GraphFile), s.writeGraph)
	if err != nil {
		return err
	}
	defer os.Remove(text) // which it is not called once it has its name
	data, err := atomicfile.Temp(in(WeightsFile), s.writeWeights)
	if err != nil {
		return err
	}
	defer os.Remove(data)
	if err := atomicfile.Rename(data, in(nextWeights)); err != nil {
		return err
	}
	if err := atomicfile.Rename(text, in(nextGraph)); err != nil {
		return err
	}
	if err := finish(dir); err != nil {
		// Where the old weights are still in their place, the old model is made the current one again.
		if exists(dir, nextWeights) {
			_ = os.Remove(in(nextGraph))
			_ = os.Remove(in(nextWeights))
		}
		return err
	}
	return nil
}

// finish puts the files of a Save in their places, if it has come so far that they are the current ones.
func finish(dir string) error {
	if !exists(dir, nextGraph) {
		return nil
	}
	if exists(dir, nextWeights) {
		if err := atomicfile.Rename(filepath.Join(dir, nextWeights), filepath.Join(dir, WeightsFile)); err != nil {
			return err
		}
	}
	return atomicfile.Rename(filepath.Join(dir, nextGraph), filepath.Join(dir, GraphFile))
}

func exists(dir, name string) bool {
	_, err := os.Lstat(filepath.Join(dir, name))
	return !errors.Is(err, fs.ErrNotExist)
}

// Write writes the text of m and the values of its variables, as Save does, to wherever they are to go. An error may leave
// both incomplete.
func Write(graphText, weights io.Writer, m *graph.Module, values map[string]*value.Tensor) error {
	if graphText == nil || weights == nil || m == nil {
		return errNil
	}
	s, err := newStore(m, values)
	if err == nil {
		err = s.writeGraph(graphText)
	}
	if err == nil {
		err = s.writeWeights(weights)
	}
	if err != nil {
		return errfmt.Errorf("write: %w", err)
	}
	return nil
}

// store is what is written of a model.
type store struct {
	m         *graph.Module
	variables []safetensors.Named
	constants map[string]*value.Tensor // that the text leaves out
}

func newStore(m *graph.Module, weights map[string]*value.Tensor) (*store, error) {
	if err := graph.Verify(m); err != nil {
		return nil, err
	}
	tensors, err := variables(m, weights)
	if err != nil {
		return nil, err
	}
	return &store{m: m, variables: tensors, constants: map[string]*value.Tensor{}}, nil
}

// writeGraph writes the text, and notes the constants that it leaves to writeWeights.
func (s *store) writeGraph(w io.Writer) error {
	return graph.Print(w, s.m, graph.PrintOptions{Locations: true, External: func(name string, t *value.Tensor) bool {
		if old := s.constants[name]; storable(t) != nil || old != nil && !old.Equal(t) {
			return false
		}
		s.constants[name] = t
		return true
	}})
}

func (s *store) writeWeights(w io.Writer) error {
	tensors := slices.Clone(s.variables)
	for name, t := range s.constants {
		tensors = append(tensors, safetensors.Named{Name: name, Tensor: t})
	}
	return safetensors.WriteChecked(w, tensors, map[string]string{"format": "pt"})
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
			fault = errfmt.Errorf("the trainable variable has no value, want %s", v.Type())
		case !given:
			continue
		case t == nil:
			fault = errfmt.Errorf("the value is nil, want %s", v.Type())
		case !graph.EqualTypes(v.Type(), graph.TypeOf(t)):
			fault = errfmt.Errorf("want %s, have %s", v.Type(), graph.TypeOf(t))
		default:
			fault = storable(t)
		}
		if fault != nil {
			faults = append(faults, errfmt.Errorf("@%s: %w", v.Name(), fault))
			continue
		}
		tensors = append(tensors, safetensors.Named{Name: v.Name(), Tensor: t})
	}
	for _, name := range sortedKeys(weights) {
		if m.LookupVariable(name) == nil {
			faults = append(faults, errfmt.Errorf("@%s: there is a value and no variable of this name", name))
		}
	}
	return tensors, few(faults)
}

var errReserved = errfmt.Errorf("names that start with %q are those of constants: the variable needs another", graph.ExternalPrefix)

// storable reports why a tensor has no place in a safetensors file, nil if it has one.
func storable(t *value.Tensor) error {
	switch dt := t.DType(); dt {
	case value.String, value.I2, value.U2, value.I4, value.U4:
		return errfmt.Errorf("safetensors has no dtype %s", dt)
	case value.F4E2M1:
		if t.Len()%2 != 0 {
			return errfmt.Errorf("safetensors stores %s by pairs, have %d elements", dt, t.Len())
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
