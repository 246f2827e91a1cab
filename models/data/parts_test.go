package data

import (
	"testing"
	"testing/fstest"
)

func TestFindParts(t *testing.T) {
	for _, c := range []struct {
		name  string
		files []string
		want  Parts
		err   string
	}{
		{"classes", []string{"cat/1.png", "dog/1.png"}, Parts{}, ""},
		{"nothing", nil, Parts{}, ""},
		{"two", []string{"train/cat/1.png", "test/cat/1.png"}, Parts{Train: "train", Test: "test"}, ""},
		{"three, in other cases", []string{"Training/cat/1.png", "TESTING/cat/1.png", "Val/cat/1.png"}, Parts{"Training", "Val", "TESTING"}, ""},
		{"validation", []string{"Train/cat/1.png", "validation/cat/1.png"}, Parts{Train: "Train", Validation: "validation"}, ""},
		{"valid, and others", []string{"train/cat/1.png", "valid/cat/1.png", "extra/1.png"}, Parts{Train: "train", Validation: "valid"}, ""},
		{"dev", []string{"train/cat/1.png", "dev/cat/1.png"}, Parts{Train: "train", Validation: "dev"}, ""},
		{"vehicles", []string{"bus/1.png", "train/1.png"}, Parts{}, ""},
		{"grades", []string{"valid/1.png", "invalid/1.png"}, Parts{}, ""},
		{"twice", []string{"train/cat/1.png", "Training/cat/1.png", "test/cat/1.png"}, Parts{}, "folder: Training and train are the same part of a data set: want one of them"},
		{"alone", []string{"train/cat/1.png"}, Parts{}, "folder: train is a part of a data set, and there is no folder test: want both, or train by itself"},
		{"no counterpart", []string{"Val/cat/1.png", "test/cat/1.png"}, Parts{}, "folder: test is a part of a data set, and there is no folder train: want both, or test by itself"},
	} {
		fsys := fstest.MapFS{}
		for _, f := range c.files {
			fsys[f] = &fstest.MapFile{}
		}
		got, err := FindParts(fsys)
		text := ""
		if err != nil {
			text = err.Error()
		}
		if got != c.want || text != c.err {
			t.Errorf("%s: %v, %s\nwant %v, %s", c.name, got, text, c.want, c.err)
		}
	}
}
