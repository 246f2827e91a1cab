package artifact

import (
	"bytes"
	"errors"
	"io"
	"io/fs"
	"os"
	"strings"

	"github.com/graphrun/graphrun/graph"
	"github.com/graphrun/graphrun/graph/errfmt"
	"github.com/graphrun/graphrun/graph/value"
	"github.com/graphrun/graphrun/graph/value/safetensors"
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
	// them. None of them is trainable, unless Read was given no weights.
	Missing []string
	// Checked reports that the weights have the checksum that Save gave them. Those that another program has written, such as one that
	// replaces them from Python, have none: nobody would find them damaged. A wrong checksum is an error.
	Checked bool
}

// LoadDir reads the artifact in a directory.
func LoadDir(dir string) (*Artifact, error) {
	a, err := load(os.DirFS(dir))
	if err != nil {
		return nil, errfmt.Errorf("load %s: %w", dir, err)
	}
	return a, nil
}

// Exists reports whether there is an artifact in a directory, readable or not.
func Exists(dir string) bool { return exists(dir, GraphFile) || exists(dir, nextGraph) }

var errNil = errors.New("artifact: want a module, a file system, a reader or a writer, have nil")

// Load reads the artifact at the top of fsys, which may be embedded in the program. The operations that it
// uses must be registered: import package ops.
//
// Files are not trusted. Faults of the text come as graph.Diagnostics; every tensor that is missing, is of
// another type than the text says, or belongs to nothing in it is reported.
func Load(fsys fs.FS) (*Artifact, error) {
	if fsys == nil {
		return nil, errNil
	}
	a, err := load(fsys)
	if err != nil {
		return nil, errfmt.Errorf("load: %w", err)
	}
	return a, nil
}

// Read is Load for a text and its weights wherever they come from. Without weights (nil) all variables are in Missing, for a
// session to initialize; the text has its constants in itself then.
func Read(graphText, weights io.Reader) (*Artifact, error) {
	if graphText == nil {
		return nil, errNil
	}
	text, err := ReadText(graphText, GraphFile)
	if err != nil {
		return nil, errfmt.Errorf("read: %w", err)
	}
	var file *safetensors.File
	if weights != nil {
		if file, err = safetensors.Read(weights, -1); err != nil {
			return nil, errfmt.Errorf("read: %s: %w", WeightsFile, err)
		}
	}
	a, err := assemble(text, file)
	if err != nil {
		return nil, errfmt.Errorf("read: %w", err)
	}
	return a, nil
}

// maxAttempts is how often load begins anew because a Save has changed the files meanwhile.
const maxAttempts = 10

// load reads a pair of files that belong together; see Save for how it knows them.
func load(fsys fs.FS) (a *Artifact, err error) {
	for range maxAttempts {
		text, weights, fault := current(fsys)
		if fault != nil {
			return nil, fault
		}
		var file *safetensors.File
		if file, err = openFirst(fsys, weights); err == nil {
			a, err = assemble(text, file)
		}
		if now, _, fault := current(fsys); fault != nil || bytes.Equal(text, now) {
			break
		}
	}
	return a, err
}

// current returns the text and the names of the file that has its weights: of the first one that there is.
func current(fsys fs.FS) (text []byte, weights []string, err error) {
	text, err = readGraph(fsys, nextGraph)
	if err == nil {
		return text, []string{nextWeights, WeightsFile}, nil
	}
	if !errors.Is(err, fs.ErrNotExist) {
		return nil, nil, err
	}
	text, err = readGraph(fsys, GraphFile)
	return text, []string{WeightsFile}, err
}

func readGraph(fsys fs.FS, name string) ([]byte, error) {
	f, err := fsys.Open(name)
	if err != nil {
		return nil, named(name, err)
	}
	defer f.Close()
	return ReadText(f, name)
}

// ReadText reads the text of a module, whose name is for errors. It may come from anywhere: what is longer than memory has room for,
// once it is parsed, is refused before it is read to the end.
func ReadText(r io.Reader, name string) ([]byte, error) {
	if r == nil {
		return nil, errNil
	}
	most := min(maxGraphFile, value.Memory()/16)
	text, err := io.ReadAll(io.LimitReader(r, int64(most)+1))
	if err != nil {
		return nil, named(name, err)
	}
	if len(text) > most {
		return nil, errfmt.Errorf("%s is longer than %d bytes", name, most)
	}
	return text, nil
}

// openFirst reads the first of some files that there is.
func openFirst(fsys fs.FS, names []string) (file *safetensors.File, err error) {
	for _, name := range names {
		if file, err = safetensors.Open(fsys, name); !errors.Is(err, fs.ErrNotExist) {
			break
		}
	}
	return file, err
}

// assemble makes an artifact of a text and its tensors; file may be nil.
func assemble(text []byte, file *safetensors.File) (*Artifact, error) {
	var tensors map[string]*value.Tensor
	if file != nil {
		tensors = file.Tensors
	}
	used := map[string]bool{}
	m, err := graph.Parse(GraphFile, text, graph.ParseOptions{
		External: func(name, _ string, t graph.TensorType) (*value.Tensor, error) {
			if !strings.HasPrefix(name, graph.ExternalPrefix) {
				return nil, errfmt.Errorf("the name of a stored constant starts with %q", graph.ExternalPrefix)
			}
			x := tensors[name]
			if x == nil && file == nil {
				return nil, errfmt.Errorf("it is stored in %s, which is not given", WeightsFile)
			}
			if x == nil {
				return nil, errfmt.Errorf("%s has no such tensor, want %s", WeightsFile, t)
			}
			used[name] = true
			return x, nil
		},
	})
	if err != nil {
		return nil, err
	}
	a := &Artifact{Module: m, Weights: map[string]*value.Tensor{}, Checked: file != nil && file.Checked}
	var faults []error
	for _, v := range m.Variables() {
		t := tensors[v.Name()]
		var fault error
		switch {
		case strings.HasPrefix(v.Name(), graph.ExternalPrefix):
			fault = errReserved
		case t == nil && v.Trainable() && file != nil:
			fault = errfmt.Errorf("the trainable variable is missing, want %s", v.Type())
		case t == nil:
			a.Missing = append(a.Missing, v.Name())
			continue
		case !graph.EqualTypes(v.Type(), graph.TypeOf(t)):
			fault = errfmt.Errorf("want %s, have %s", v.Type(), graph.TypeOf(t))
		}
		if fault != nil {
			faults = append(faults, errfmt.Errorf("%s: @%s: %w", WeightsFile, v.Name(), fault))
		}
		used[v.Name()] = true
		a.Weights[v.Name()] = t
	}
	for _, name := range sortedKeys(tensors) {
		if !used[name] {
			faults = append(faults, errfmt.Errorf("%s: %q is neither a variable nor a constant of %s", WeightsFile, name, GraphFile))
		}
	}
	if err := few(faults); err != nil {
		return nil, err
	}
	return a, nil
}

// named makes an error name its file, as those of package fs do already.
func named(file string, err error) error {
	if _, ok := errors.AsType[*fs.PathError](err); ok {
		return err
	}
	return errfmt.Errorf("%s: %w", file, err)
}
