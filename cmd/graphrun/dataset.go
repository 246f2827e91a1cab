package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"

	"github.com/spf13/cobra"

	"github.com/graphrun/graphrun/graph"
	"github.com/graphrun/graphrun/models/data"
	"github.com/graphrun/graphrun/models/data/digits"
	"github.com/graphrun/graphrun/runtime/value"
)

// builtinDigits is what --data takes for the digits that graphrun draws itself.
const builtinDigits = "digits"

const dataHelp = `directory with the four MNIST files (train-images-idx3-ubyte, ..., plain or .gz), or "digits" for the built-in ones`

// dataOptions are the flags of the commands that read data sets.
type dataOptions struct {
	name  string // what --data names, "" if the command has none by itself and none was given
	limit int
}

// flags adds the flags to a command; name is what --data is unless it is given.
func (o *dataOptions) flags(cmd *cobra.Command, name string) {
	f := cmd.Flags()
	f.StringVar(&o.name, "data", name, dataHelp)
	f.IntVar(&o.limit, "limit", 0, "use the first `N` training and test examples only (default all)")
}

// datasets is what --data names: examples to train on and others to test on.
type datasets struct {
	Train, Test data.Dataset
	Classes     []string // empty if the targets are no classes
	Name        string
}

// loadData reads the data sets of a name, each cut to o.limit examples if that is positive.
func loadData(name string, o dataOptions) (*datasets, error) {
	if o.limit < 0 {
		return nil, usagef("--limit %d: want a number of examples, or 0 for all", o.limit)
	}
	ds, err := openData(name)
	if err != nil {
		return nil, err
	}
	ds.Name = name
	if l, ok := ds.Train.(data.Labelled); ok {
		ds.Classes = l.Classes()
	}
	if o.limit > 0 {
		if ds.Train, err = data.First(ds.Train, o.limit); err != nil {
			return nil, err
		}
		if ds.Test, err = data.First(ds.Test, o.limit); err != nil {
			return nil, err
		}
	}
	return ds, nil
}

func openData(name string) (*datasets, error) {
	if name == builtinDigits {
		train, test, err := digits.Load()
		return &datasets{Train: train, Test: test}, err
	}
	if err := mustBeDir(name, "--data"); err != nil {
		return nil, err
	}
	train, test, err := data.LoadMNIST(os.DirFS(name))
	if err != nil {
		return nil, fmt.Errorf("--data %s: %w", name, err)
	}
	return &datasets{Train: train, Test: test}, nil
}

// fits holds the examples of the data sets against the inputs that a function of a model takes them by.
func (ds *datasets) fits(model string, f *graph.Func, input, target string) error {
	x, y, err := ds.Train.Item(0)
	if err != nil {
		return fmt.Errorf("--data %s: %w", ds.Name, err)
	}
	for _, in := range []struct {
		name    string
		example *value.Tensor
	}{{input, x}, {target, y}} {
		p, ok := f.Lookup(in.name)
		if !ok {
			return fmt.Errorf("%s of %s has no input %q to take the data by", f.Name(), model, in.name)
		}
		batch, err := in.example.Reshape(append([]int{1}, in.example.Shape()...)...)
		if err != nil {
			return err
		}
		if graph.Unify(p.Type(), graph.TypeOf(batch), map[string]graph.Dim{}) != nil {
			return fmt.Errorf("--data %s: its examples are %s: %s takes %s of type %s, N of them at a time",
				ds.Name, graph.TypeOf(in.example), model, in.name, p.Type())
		}
	}
	return nil
}

// mustBeDir says what is wrong with a path that is no directory.
func mustBeDir(path, what string) error {
	switch info, err := os.Stat(path); {
	case errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("%s %s: there is no such directory", what, path)
	case err != nil:
		return fmt.Errorf("%s: %w", what, err)
	case !info.IsDir():
		return fmt.Errorf("%s %s: want a directory, this is a file", what, path)
	}
	return nil
}
