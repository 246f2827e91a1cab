package data

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"testing"
	"testing/fstest"
	"testing/iotest"
)

// cifarImage is one image as its files hold it: the bytes of its classes, then each channel filled with a value of its own but for the
// last pixel of blue.
func cifarImage(classes []byte, red, green, blue, last byte) []byte {
	b := bytes.Clone(classes)
	for _, c := range []byte{red, green, blue} {
		b = append(b, bytes.Repeat([]byte{c}, 32*32)...)
	}
	b[len(b)-1] = last
	return b
}

// cifar10 is a set of six images, one in each file.
func cifar10() fstest.MapFS {
	fsys := fstest.MapFS{"batches.meta.txt": {Data: []byte("airplane\n")}}
	for i, name := range cifarSets[0].files {
		fsys[name] = &fstest.MapFile{Data: cifarImage([]byte{byte(9 - i)}, byte(10*i), 100, 200, 255)}
	}
	return fsys
}

func cifar100() fstest.MapFS {
	two := append(cifarImage([]byte{19, 99}, 1, 2, 3, 4), cifarImage([]byte{0, 41}, 5, 6, 7, 8)...)
	return fstest.MapFS{"train.bin": {Data: two}, "test.bin": {Data: cifarImage([]byte{3, 0}, 9, 9, 9, 9)}}
}

func TestLoadCIFAR(t *testing.T) {
	train, test, err := LoadCIFAR(cifar10(), nil)
	if err != nil {
		t.Fatal(err)
	}
	if got := fmt.Sprint(train.Pixels().Shape(), test.Pixels().Shape(), train.lab, test.lab); got != "[5 3 32 32] [1 3 32 32] [9 8 7 6 5] [4]" {
		t.Error(got)
	}
	if c := train.Classes(); len(c) != 10 || c[0] != "airplane" || c[9] != "truck" {
		t.Errorf("classes are %q", c)
	}
	x, _, err := train.Item(3)
	if err != nil {
		t.Fatal(err)
	}
	p := x.Float64s()
	for i, want := range map[int]float64{0: 30, 1023: 30, 1024: 100, 2047: 100, 2048: 200, 3070: 200, 3071: 255} {
		if got := p[i] * 255; got < want-1e-4 || got > want+1e-4 {
			t.Errorf("pixel %d is %v/255, want %v/255", i, got, want)
		}
	}

	train, test, err = LoadCIFAR(cifar100(), nil)
	if err != nil {
		t.Fatal(err)
	}
	if got := fmt.Sprint(train.Pixels().Shape(), test.Pixels().Shape(), train.lab, test.lab); got != "[2 3 32 32] [1 3 32 32] [99 41] [0]" {
		t.Error(got)
	}
	if c := train.Classes(); len(c) != 100 || c[0] != "apple" || c[41] != "lawn_mower" || c[99] != "worm" {
		t.Errorf("classes are %q", c)
	}

	names := strings.Fields("a b c d e f g h i j")
	if train, _, err = LoadCIFAR(cifar10(), names); err != nil || fmt.Sprint(train.Classes()) != fmt.Sprint(names) {
		t.Errorf("given classes become %v, %v", train, err)
	}
}

func TestLoadCIFARErrors(t *testing.T) {
	whole := cifarImage([]byte{1}, 1, 2, 3, 4)
	for want, change := range map[string]func(fsys fstest.MapFS){
		"cifar: missing data_batch_2.bin, test_batch.bin: file does not exist": func(fsys fstest.MapFS) {
			delete(fsys, "data_batch_2.bin")
			delete(fsys, "test_batch.bin")
		},
		"cifar: missing test.bin: file does not exist": func(fsys fstest.MapFS) {
			clear(fsys)
			fsys["train.bin"] = &fstest.MapFile{Data: whole}
		},
		"cifar: missing data_batch_1.bin, data_batch_2.bin, data_batch_3.bin, data_batch_4.bin, data_batch_5.bin, test_batch.bin": func(fsys fstest.MapFS) { clear(fsys) },
		"data_batch_3.bin: truncated: want 3073 bytes for image 1, 3072 came": func(fsys fstest.MapFS) {
			fsys["data_batch_3.bin"].Data = append(bytes.Clone(whole), whole[1:]...)
		},
		"test_batch.bin: truncated: want 3073 bytes for image 0, 0 came":                 func(fsys fstest.MapFS) { fsys["test_batch.bin"].Data = nil },
		"data_batch_1.bin: truncated: want 3073 bytes for image 1, 1 came":               func(fsys fstest.MapFS) { fsys["data_batch_1.bin"].Data = append(bytes.Clone(whole), 7) },
		"data_batch_5.bin: image 0 has the label 10: want 0 to 9, the number of a class": func(fsys fstest.MapFS) { fsys["data_batch_5.bin"].Data[0] = 10 },
		"test_batch.bin: it holds more than 60000 images, which are as many as are read": func(fsys fstest.MapFS) {
			fsys["test_batch.bin"].Data = make([]byte, (maxCIFAR+1)*len(whole))
		},
	} {
		if testing.Short() && strings.Contains(want, "more than") {
			continue // it takes 200 MB
		}
		fsys := cifar10()
		change(fsys)
		_, _, err := LoadCIFAR(fsys, nil)
		if err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("have %v, want %s", err, want)
		}
		if strings.Contains(want, "missing") && !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%v is no fs.ErrNotExist", err)
		}
	}
	if _, _, err := LoadCIFAR(cifar10(), []string{"a", "b"}); err == nil || !strings.Contains(err.Error(), "label 9: want 0 to 1") {
		t.Errorf("two classes give %v", err)
	}
	if _, _, err := LoadCIFAR(slowest{cifar10()}, nil); err != nil {
		t.Errorf("files that come byte by byte give %v", err)
	}
}

// slowest gives one byte at a time.
type slowest struct{ fs.FS }

func (s slowest) Open(name string) (fs.File, error) {
	f, err := s.FS.Open(name)
	return byteFile{f}, err
}

type byteFile struct{ fs.File }

func (f byteFile) Read(p []byte) (int, error) { return iotest.OneByteReader(f.File).Read(p) }

// FuzzLoadCIFAR reads anything as the files of CIFAR: they are refused, or every image has a class.
func FuzzLoadCIFAR(f *testing.F) {
	f.Add(cifarImage([]byte{1}, 1, 2, 3, 4), true)
	f.Add(cifarImage([]byte{1, 99}, 1, 2, 3, 4), false)
	f.Add([]byte{}, true)
	f.Fuzz(func(t *testing.T, b []byte, ten bool) {
		fsys := cifar100()
		name := "train.bin"
		if ten {
			fsys, name = cifar10(), "data_batch_2.bin"
		}
		fsys[name].Data = b
		train, _, err := LoadCIFAR(fsys, nil)
		if err != nil {
			return
		}
		if len(b) == 0 || train.Len() == 0 || len(train.pix) != train.Len()*cifarPixels {
			t.Errorf("%d bytes give %d images and %d pixels", len(b), train.Len(), len(train.pix))
		}
		for _, l := range train.lab {
			if int(l) >= len(train.classes) {
				t.Errorf("a label is %d of %d", l, len(train.classes))
			}
		}
	})
}
