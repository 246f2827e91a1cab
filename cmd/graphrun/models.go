package main

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/graphrun/graphrun/graph"
	"github.com/graphrun/graphrun/graph/artifact"
	"github.com/graphrun/graphrun/graph/value"
	_ "github.com/graphrun/graphrun/ops"
)

const modelHelp = `MODEL is the directory of a saved model, a file with a model's text, or the name of a built-in model. The weights of the latter two
are initialized from a seed, unless model.safetensors lies beside the file model.graph.`

// model is what an argument names.
type model struct {
	module *graph.Module
	// weights are the stored values of variables, nil where none are stored.
	weights map[string]*value.Tensor
	info    artifact.Info
	dir     string // of a saved model
	checked bool   // its weights have a checksum
}

// openModel returns the model that an argument names: a saved one first, if a directory and a model of the zoo have the same name.
func openModel(arg string) (*model, error) {
	if !isPath(arg) && slices.Contains(modelNames(), arg) && !isSaved(arg) {
		m, err := buildModel(arg, defaultOptimizer, defaultLR)
		return modelOf(m, err)
	}
	return openPath(arg)
}

// loadModule returns the module of the model that openModel returns.
func loadModule(arg string) (*graph.Module, error) {
	m, err := openModel(arg)
	if err != nil {
		return nil, err
	}
	return m.module, nil
}

// openPath returns the model in a directory or in a file.
func openPath(arg string) (*model, error) {
	info, err := os.Stat(arg)
	switch {
	case errors.Is(err, fs.ErrNotExist) && isPath(arg):
		return nil, fmt.Errorf("%s: there is no such file or directory", arg)
	case errors.Is(err, fs.ErrNotExist):
		return nil, usagef("there is no model, file or directory %q; the models are %s", arg, strings.Join(modelNames(), ", "))
	case err != nil:
		return nil, err
	case info.IsDir():
		return loadSaved(arg)
	}
	// A text beside its weights may leave constants to them.
	if filepath.Base(arg) == artifact.GraphFile {
		if _, err := os.Stat(filepath.Join(filepath.Dir(arg), artifact.WeightsFile)); err == nil {
			return loadSaved(filepath.Dir(arg))
		}
	}
	file, err := os.Open(arg)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	text, err := artifact.ReadText(file, arg)
	if err != nil {
		return nil, err
	}
	m, err := graph.Parse(arg, text, graph.ParseOptions{})
	return modelOf(m, err)
}

// isPath reports whether an argument can only be meant as a path.
func isPath(arg string) bool {
	return strings.ContainsRune(filepath.ToSlash(arg), '/') || filepath.Ext(arg) == ".graph" || arg == "." || arg == ".."
}

// isSaved reports whether a directory holds a saved model.
func isSaved(dir string) bool { return artifact.Exists(dir) }

// loadSaved loads the model that is saved in a directory.
func loadSaved(dir string) (*model, error) {
	if err := mustBeDir(dir, "the saved model"); err != nil {
		return nil, err
	}
	if !isSaved(dir) {
		return nil, fmt.Errorf("%s is not a saved model: it has no %s; graphrun train creates one", dir, artifact.GraphFile)
	}
	a, err := artifact.LoadDir(dir)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, fmt.Errorf("%s has no %s: put the weights there, or give the text alone: %s", dir, artifact.WeightsFile, filepath.Join(dir, artifact.GraphFile))
	case err != nil:
		return nil, err
	}
	m, err := modelOf(a.Module, nil)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", dir, err)
	}
	m.weights, m.dir, m.checked = a.Weights, dir, a.Checked
	return m, nil
}

// tell says what a person may want to know of the weights.
func (m *model) tell(stderr io.Writer) {
	if m.dir != "" && !m.checked {
		fmt.Fprintf(stderr, "graphrun: note: %s has no checksum: another program wrote these weights, and damage to them cannot be detected\n",
			filepath.Join(m.dir, artifact.WeightsFile))
	}
}

// modelOf is the model of a module without stored weights.
func modelOf(m *graph.Module, err error) (*model, error) {
	if err != nil {
		return nil, err
	}
	if err := m.Err(); err != nil {
		return nil, err
	}
	info, err := artifact.InfoOf(m)
	if err != nil {
		return nil, err
	}
	return &model{module: m, info: info}, nil
}

// function is chooseFunc of the model.
func (m *model) function(flag string) (*graph.Func, error) { return chooseFunc(m.module, flag) }

// chooseFunc returns the function that --func names, by default the only one, or the one that predicts.
func chooseFunc(m *graph.Module, flag string) (*graph.Func, error) {
	if f := m.LookupFunc(flag); f != nil {
		return f, nil
	}
	names := funcNames(m)
	switch {
	case len(names) == 0:
		return nil, errors.New("the model has no function")
	case flag != "":
		return nil, usagef("--func %s: the model has no such function: want one of %s", flag, value.Few(names))
	case len(names) == 1:
		return m.Funcs()[0], nil
	}
	if f := m.LookupFunc(artifact.PredictFunc); f != nil {
		return f, nil
	}
	return nil, usagef("--func is missing: want one of %s", value.Few(names))
}
