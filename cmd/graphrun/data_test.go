package main

import (
	"fmt"
	"image"
	"image/color"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/rogpeppe/go-internal/testscript"

	"github.com/graphrun/graphrun/graph"
	"github.com/graphrun/graphrun/graph/artifact"
	"github.com/graphrun/graphrun/graph/value"
	"github.com/graphrun/graphrun/graph/value/npy"
	"github.com/graphrun/graphrun/models/data"
	"github.com/graphrun/graphrun/models/data/digits"
)

// mkpictures DIR N writes some of the built-in digits as pictures in a folder for each digit.
func mkpictures(ts *testscript.TestScript, _ bool, args []string) {
	n, err := strconv.Atoi(args[1])
	ts.Check(err)
	set, err := digits.Generate(digits.Options{N: n})
	ts.Check(err)
	for i := range n {
		img, label, err := set.Gray(i)
		ts.Check(err)
		dir := filepath.Join(ts.MkAbs(args[0]), fmt.Sprintf("digit%d", label))
		ts.Check(os.MkdirAll(dir, 0o777))
		text, err := encodePNG(img)
		ts.Check(err)
		ts.Check(os.WriteFile(filepath.Join(dir, fmt.Sprintf("%d.png", i)), text, 0o666))
	}
}

// mkkeras FILE TRAIN TEST writes some of the built-in digits as Keras stores MNIST; without TEST, as x and y.
func mkkeras(ts *testscript.TestScript, _ bool, args []string) {
	arrays := map[string]*value.Tensor{}
	names := [][2]string{{"x_train", "y_train"}, {"x_test", "y_test"}}
	if len(args) == 2 {
		names = [][2]string{{"x", "y"}}
	}
	for i, count := range args[1:] {
		n, err := strconv.Atoi(count)
		ts.Check(err)
		set, err := digits.Generate(digits.Options{N: n, Seed: uint64(i)})
		ts.Check(err)
		arrays[names[i][0]], err = set.Pixels().Reshape(n, 28, 28)
		ts.Check(err)
		arrays[names[i][1]], err = value.CastExactly(set.Labels(), value.U8)
		ts.Check(err)
	}
	f, err := os.Create(ts.MkAbs(args[0]))
	ts.Check(err)
	ts.Check(npy.WriteNPZ(f, arrays))
	ts.Check(f.Close())
}

// sharedData is a condition of scripts: the data sets that tests may use are there, in the folder $DATA.
func sharedData(cond string) (bool, error) {
	if cond != "data" {
		return false, fmt.Errorf("there is no condition %q", cond)
	}
	return os.Getenv("GRAPHRUN_DATA") != "", nil
}

// A picture is fed to the model as the same example is in training, to the bit.
func TestPicturesAreFedAsInTraining(t *testing.T) {
	img := image.NewRGBA(image.Rect(0, 0, 16, 16))
	for i := range 256 {
		img.Set(i%16, i/16, color.RGBA{R: uint8(i), G: uint8(255 - i), B: uint8(i * 7), A: 255})
	}
	labels, err := value.FromSlice([]int64{0}, 1)
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range []artifact.Preprocess{
		{Scale: 1. / 255},
		{Mode: "rgb", Scale: 1. / 255},
		{},
		{Mode: "rgb", Scale: 1},
		{Mode: "rgb", Scale: 1. / 255, Mean: []float64{0.485, 0.456, 0.406}, Std: []float64{0.229, 0.224, 0.225}},
		{Scale: 1. / 127.5, Mean: []float64{1}},
		{Std: []float64{58.4}},
	} {
		got, _, err := pictureTensor(img, p, 3, 16, 16, false)
		if err != nil {
			t.Fatal(err)
		}
		pixels, err := data.Pixels(img, 3, 16, 16)
		if err != nil {
			t.Fatal(err)
		}
		if pixels, err = pixels.Reshape(1, 3, 16, 16); err != nil {
			t.Fatal(err)
		}
		set, err := data.NewImages(pixels, labels, []string{"a"})
		if err != nil {
			t.Fatal(err)
		}
		ds := &datasets{Train: set, Test: set, bytes: true, pictures: true}
		if err := ds.preprocess(artifact.Info{Preprocess: map[string]artifact.Preprocess{"x": p}}, "x"); err != nil {
			t.Fatal(err)
		}
		want, _, err := ds.Test.Item(0)
		if err != nil {
			t.Fatal(err)
		}
		if want, err = want.Reshape(1, 3, 16, 16); err != nil || !got.Equal(want) {
			t.Errorf("%q: the picture and the example differ: %v", p, err)
		}
		// Both are what the definition says.
		x := make([]float32, pixels.Len())
		for i, v := range pixels.Bytes() {
			x[i] = float32(v)
		}
		if err := p.Apply(x, 3); err != nil {
			t.Fatal(err)
		}
		near := cmpopts.EquateApprox(1e-6, 1e-6)
		if have, err := value.Data[float32](got); err != nil || !cmp.Equal(x, have, near) {
			t.Errorf("%q: %v %s", p, err, cmp.Diff(x, have, near))
		}
	}
}

func TestStandardize(t *testing.T) {
	m := graph.NewModule("m")
	f := m.Func(artifact.PredictFunc)
	f.Return("y", f.Input("x", graph.F32, "N", 2))
	x, err := value.FromSlice([]float32{1, 10, 3, 10, 2, 40, 2, 40}, 4, 2)
	if err != nil {
		t.Fatal(err)
	}
	y, err := value.FromSlice([]int64{0, 0, 0, 0}, 4)
	if err != nil {
		t.Fatal(err)
	}
	set, err := data.NewTensorDataset(x, y)
	if err != nil {
		t.Fatal(err)
	}
	ds := &datasets{Train: set, Test: set}
	if err := ds.prepare(m, "x", false, true); err != nil {
		t.Fatal(err)
	}
	const want = "numbers mean=2,25 std=0.7071067811865476,15"
	if got := m.Meta("preprocess.x"); got != want {
		t.Errorf("the model says %q, want %q", got, want)
	}
	got, _, err := ds.Train.Item(0)
	if err != nil || !slices.EqualFunc(got.Float64s(), []float64{-math.Sqrt2, -1}, func(a, b float64) bool { return math.Abs(a-b) < 1e-6 }) {
		t.Error(got, err)
	}
	// What a model says stays.
	ds = &datasets{Train: &data.Subset{}, Test: set}
	if err := ds.prepare(m, "x", false, true); err != nil || m.Meta("preprocess.x") != want {
		t.Error(m.Meta("preprocess.x"), err)
	}
}
