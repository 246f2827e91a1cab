package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"

	"github.com/graphrun/graphrun/models/data"
	"github.com/graphrun/graphrun/models/data/digits"
)

// builtinDigits is what --data takes for the digits that graphrun draws itself.
const builtinDigits = "digits"

const dataHelp = `directory with the four MNIST files (train-images-idx3-ubyte, ..., plain or .gz), or "digits" for the built-in ones`

// loadData returns the training and the test set that --data names, each cut to limit examples if that is
// positive.
func loadData(name string, limit int) (train, test *data.Images, err error) {
	if limit < 0 {
		return nil, nil, usagef("--limit %d: want a number of examples, or 0 for all", limit)
	}
	if name == builtinDigits {
		train, test, err = digits.Load()
	} else {
		if err := mustBeDir(name, "--data"); err != nil {
			return nil, nil, err
		}
		train, test, err = data.LoadMNIST(os.DirFS(name))
		if err != nil {
			err = fmt.Errorf("--data %s: %w", name, err)
		}
	}
	if err != nil {
		return nil, nil, err
	}
	if train, err = first(train, limit); err != nil {
		return nil, nil, err
	}
	test, err = first(test, limit)
	return train, test, err
}

func first(d *data.Images, limit int) (*data.Images, error) {
	if limit == 0 || limit >= d.Len() {
		return d, nil
	}
	return d.Slice(0, limit)
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
