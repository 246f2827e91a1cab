package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/graphrun/graphrun/graph"
	"github.com/graphrun/graphrun/graph/artifact"
	_ "github.com/graphrun/graphrun/ops"
	"github.com/graphrun/graphrun/runtime/value"
)

const modelHelp = `A model is one of those that train knows, the directory of a saved one, or a file with a model's text. Where a
directory has the name of a known model, write a path with a slash: ./lenet5 or lenet5/.`

// loadModule returns the module that an argument names.
func loadModule(arg string) (*graph.Module, error) {
	if !isPath(arg) && slices.Contains(modelNames(), arg) {
		return buildModel(arg, defaultOptimizer, defaultLR)
	}
	info, err := os.Stat(arg)
	switch {
	case errors.Is(err, fs.ErrNotExist) && isPath(arg):
		return nil, fmt.Errorf("%s: there is no such file or directory", arg)
	case errors.Is(err, fs.ErrNotExist):
		return nil, usagef("there is no model, file or directory %q; the models are %s", arg, strings.Join(modelNames(), ", "))
	case err != nil:
		return nil, err
	case info.IsDir():
		a, err := loadSaved(arg)
		if err != nil {
			return nil, err
		}
		return a.module, nil
	}
	// A text beside its weights may leave constants to them.
	if filepath.Base(arg) == artifact.GraphFile {
		if _, err := os.Stat(filepath.Join(filepath.Dir(arg), artifact.WeightsFile)); err == nil {
			a, err := loadSaved(filepath.Dir(arg))
			if err != nil {
				return nil, err
			}
			return a.module, nil
		}
	}
	text, err := os.ReadFile(arg)
	if err != nil {
		return nil, err
	}
	return graph.Parse(arg, text, graph.ParseOptions{})
}

// loadModel returns the module that an argument names, with its weights if it is a saved model.
func loadModel(arg string) (*graph.Module, map[string]*value.Tensor, error) {
	if info, err := os.Stat(arg); err == nil && info.IsDir() && (isPath(arg) || !slices.Contains(modelNames(), arg)) {
		a, err := loadSaved(arg)
		if err != nil {
			return nil, nil, err
		}
		return a.module, a.weights, nil
	}
	m, err := loadModule(arg)
	return m, nil, err
}

// isPath reports whether an argument can only be meant as a path.
func isPath(arg string) bool {
	return strings.ContainsRune(filepath.ToSlash(arg), '/') || filepath.Ext(arg) == ".graph" || arg == "." || arg == ".."
}

// savedModel is a model that was loaded from a directory.
type savedModel struct {
	module  *graph.Module
	weights map[string]*value.Tensor
	classes []string
}

func loadSaved(dir string) (*savedModel, error) {
	if err := mustBeDir(dir, "the saved model"); err != nil {
		return nil, err
	}
	if _, err := os.Stat(filepath.Join(dir, artifact.GraphFile)); errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%s is no saved model: it has no %s; graphrun train makes one", dir, artifact.GraphFile)
	}
	a, err := artifact.LoadDir(dir)
	if err != nil {
		return nil, err
	}
	return &savedModel{module: a.Module, weights: a.Weights, classes: classesOf(a.Module)}, nil
}

// metaClasses is the key under which a module keeps the names of its classes, one per line.
const metaClasses = "classes"

func setClasses(m *graph.Module, classes []string) {
	m.SetMeta(metaClasses, strings.Join(classes, "\n"))
}

func classesOf(m *graph.Module) []string {
	text := m.Meta(metaClasses)
	if text == "" {
		return nil
	}
	return strings.Split(text, "\n")
}
