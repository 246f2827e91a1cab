package data

import (
	"errors"
	"fmt"
	"io/fs"
	"strings"
)

// Parts are the folders of a data set that is divided, by their names, "" where there is none.
type Parts struct{ Train, Validation, Test string }

// partNames are what folders of each part may be called, in any case.
var partNames = map[string]string{
	"train": "train", "training": "train",
	"test": "test", "testing": "test",
	"val": "validation", "valid": "validation", "validation": "validation", "dev": "validation",
}

// FindParts returns the folders in fsys to train on and to test on, such as Training and test, and those for validation: val, valid,
// validation or dev. All are "" where the folders are classes: where none has such a name, or the only one that has such a name holds pictures
// and no folders. Other folders beside parts are left alone. It is an error if two folders are the same part, and if one holds folders of
// classes and its counterpart is missing.
func FindParts(fsys fs.FS) (Parts, error) {
	if fsys == nil {
		return Parts{}, errors.New("folder: the file system is nil")
	}
	folders, _, err := entries(fsys, ".")
	if err != nil {
		return Parts{}, err
	}
	var p Parts
	for _, name := range folders {
		part := map[string]*string{"train": &p.Train, "validation": &p.Validation, "test": &p.Test}[partNames[strings.ToLower(name)]]
		switch {
		case part == nil:
		case *part != "":
			return Parts{}, fmt.Errorf("folder: %s and %s are the same part of a data set: want one of them", *part, name)
		default:
			*part = name
		}
	}
	if p.Train != "" && p.Validation+p.Test != "" {
		return p, nil
	}
	for _, name := range []string{p.Train, p.Test, p.Validation} {
		if name == "" {
			continue
		}
		within, _, err := entries(fsys, name)
		if err != nil {
			return Parts{}, err
		}
		if len(within) > 0 {
			other := "train"
			if name == p.Train {
				other = "test"
			}
			return Parts{}, fmt.Errorf("folder: %s is a part of a data set, and there is no folder %s: want both, or %s by itself", name, other, name)
		}
	}
	return Parts{}, nil
}
