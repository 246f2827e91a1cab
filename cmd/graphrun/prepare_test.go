package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"image"
	"image/png"
	"io"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/graphrun/graphrun/graph/artifact"
	"github.com/graphrun/graphrun/graph/value"
	"github.com/graphrun/graphrun/graph/value/atomicfile"
	"github.com/graphrun/graphrun/graph/value/npy"
	"github.com/graphrun/graphrun/models/data"
)

// examplesOf are 40 examples of two classes: bytes u8[40,4,4], those of class 1 brighter, and their labels.
func examplesOf(t *testing.T) (pixels []uint8, labels []int64) {
	t.Helper()
	rng := rand.New(rand.NewPCG(1, 2))
	for i := range 40 {
		labels = append(labels, int64(i%2))
		for range 16 {
			pixels = append(pixels, uint8(90+70*(i%2)+rng.IntN(60)))
		}
	}
	return pixels, labels
}

func arrayOf[T value.Elem](t *testing.T, x []T, shape ...int) *value.Tensor {
	t.Helper()
	out, err := value.FromSlice(x, shape...)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// scaledBy returns bytes as floats.
func scaledBy[T float32 | float64](pixels []uint8, factor T) []T {
	x := make([]T, len(pixels))
	for i, b := range pixels {
		x[i] = T(b) * factor
	}
	return x
}

func writeTo(t *testing.T, path string, write func(io.Writer) error) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o777); err != nil {
		t.Fatal(err)
	}
	if err := atomicfile.Write(path, write); err != nil {
		t.Fatal(err)
	}
}

// TestPrepared trains a model on every kind of data and uses it in every way: by run --data, by an array or pictures of the same examples, by an
// .npz file of inputs, and by a program in Go. All feed the same bits.
func TestPrepared(t *testing.T) {
	pixels, labels := examplesOf(t)
	y := arrayOf(t, labels, 40)
	dir := t.TempDir()
	in := func(name string) string { return filepath.Join(dir, name) }
	table := func(name string, at float64) {
		writeTo(t, in(name), func(w io.Writer) error {
			for i, label := range labels {
				for _, b := range pixels[16*i : 16*i+16] {
					fmt.Fprintf(w, "%v,", at+float64(b)*0.7)
				}
				fmt.Fprintf(w, "%d\n", label)
			}
			return nil
		})
	}
	columns := func(at float64) *value.Tensor {
		x := make([]float64, len(pixels))
		for i, b := range pixels {
			x[i] = at + float64(b)*0.7
		}
		return arrayOf(t, x, 40, 16)
	}
	table("table.csv", 0)
	table("times.csv", 1_700_000_000)
	arrays := map[string]*value.Tensor{
		"rows-u1": arrayOf(t, pixels, 40, 16), "pictures-u1": arrayOf(t, pixels, 40, 1, 4, 4),
		"rows-f4": arrayOf(t, scaledBy[float32](pixels, 0.3), 40, 16), "rows-f8": arrayOf(t, scaledBy(pixels, 0.3), 40, 16),
		"pictures-f4": arrayOf(t, scaledBy[float32](pixels, 1./255), 40, 1, 4, 4), "pictures-255": arrayOf(t, scaledBy[float32](pixels, 1), 40, 1, 4, 4),
		"pictures-signed": arrayOf(t, scaledBy[float32](pixels, -1./255), 40, 1, 4, 4),
	}
	for name, x := range arrays {
		writeTo(t, in(name+".npz"), func(w io.Writer) error { return npy.WriteNPZ(w, map[string]*value.Tensor{"x": x, "y": y}) })
	}
	arrays["table"], arrays["times"] = columns(0), columns(1_700_000_000)
	arrays["idx"], arrays["folder"] = arrays["pictures-u1"], nil
	narrow, err := value.CastExactly(y, value.U8)
	if err != nil {
		t.Fatal(err)
	}
	for _, prefix := range []string{"train", "t10k"} {
		writeTo(t, in("idx/"+prefix+"-images-idx3-ubyte"), func(w io.Writer) error { return data.WriteIDX(w, arrayOf(t, pixels, 40, 4, 4)) })
		writeTo(t, in("idx/"+prefix+"-labels-idx1-ubyte"), func(w io.Writer) error { return data.WriteIDX(w, narrow) })
	}
	var pictures []string // in the order of the folder
	for class := range 2 {
		for i := class; i < 40; i += 2 {
			name := in(fmt.Sprintf("folder/%d/%02d.png", class, i))
			writeTo(t, name, func(w io.Writer) error {
				return png.Encode(w, &image.Gray{Pix: pixels[16*i : 16*i+16], Stride: 4, Rect: image.Rect(0, 0, 4, 4)})
			})
			pictures = append(pictures, name)
		}
	}
	for name, x := range arrays {
		source := in(name)
		switch {
		case name == "table" || name == "times":
			source += ".csv"
		case name != "idx" && name != "folder":
			source += ".npz"
		}
		for _, how := range []string{"", "--standardize"} {
			if how == "" && (name == "times" || name == "rows-f8" || name == "pictures-signed") {
				continue // two minutes are one number in f32; and there are enough others
			}
			t.Run(strings.Trim(name+" "+how, " "), func(t *testing.T) {
				model := in("model " + name + how)
				args := []string{"train", "softmax", "--data", source, "--epochs", "40", "--batch", "8", "--lr", "0.05", "--out", model}
				if how != "" {
					args = append(args, how)
				}
				command(t, args...)
				sameEverywhere(t, model, source, x, pictures)
			})
		}
	}
}

func command(t *testing.T, args ...string) string {
	t.Helper()
	var stdout, stderr bytes.Buffer
	if code := run(t.Context(), args, &stdout, &stderr); code != 0 {
		t.Fatalf("%v: exit code %d: %s", args, code, &stderr)
	}
	return stdout.String()
}

// sameEverywhere uses a model on all examples of its data, which come as an array, too, or as pictures.
func sameEverywhere(t *testing.T, dir, source string, x *value.Tensor, pictures []string) {
	t.Helper()
	m, err := openModel(dir)
	if err != nil {
		t.Fatal(err)
	}
	f := m.module.LookupFunc(predictFunc)
	o := dataOptions{split: 1, header: "auto"}
	o.forModel(m.module.LookupFunc(evalFunc), imageInput, m.info.Classes)
	ds, err := loadData(source, o)
	if err != nil {
		t.Fatal(err)
	}
	if err := ds.preprocess(m.info, imageInput); err != nil {
		t.Fatal(err)
	}
	fed := func(i int) *value.Tensor {
		x, _, err := ds.Test.Item(i)
		if err != nil {
			t.Fatal(err)
		}
		return x
	}
	var all []byte
	for i := range ds.Test.Len() {
		all = append(all, fed(i).Bytes()...)
	}
	same := func(how string, in inputs, want []byte) {
		t.Helper()
		feeds, _, err := in.read(f, m.info)
		if err != nil {
			t.Fatal(err)
		}
		if have := feeds[imageInput].(*value.Tensor); !bytes.Equal(have.Bytes(), want) {
			t.Errorf("%s feeds %v, run --data %v", how, have.Float64s()[:4], fed(0).Float64s()[:4])
		}
	}
	var evaluated struct {
		Loss    float64 `json:"test_loss"`
		Correct int     `json:"test_correct"`
	}
	if err := json.Unmarshal([]byte(command(t, "run", dir, "--data", source, "--test-split", "1", "--json")), &evaluated); err != nil {
		t.Fatal(err)
	}
	small := true
	for i := range ds.Test.Len() {
		small = small && math.Abs(fed(i).Float64s()[0]) < 10
	}
	if small && evaluated.Correct < 38 { // softmax does not learn of large numbers
		t.Errorf("%d of 40 are right: the model has learnt nothing", evaluated.Correct)
	}
	if x == nil {
		size := len(all) / len(pictures)
		for i, name := range pictures {
			same(name, inputs{inputs: []string{imageInput + "=" + name}}, all[i*size:(i+1)*size])
		}
		return
	}
	array, archive := filepath.Join(dir, "x.npy"), filepath.Join(dir, "feeds.npz")
	writeTo(t, array, func(w io.Writer) error { return npy.Write(w, x) })
	writeTo(t, archive, func(w io.Writer) error { return npy.WriteNPZ(w, map[string]*value.Tensor{imageInput: x}) })
	same("--input", inputs{inputs: []string{imageInput + "=" + array}}, all)
	same("--feeds", inputs{feeds: archive}, all)
	if have, err := m.info.Preprocess[imageInput].Prepare(x); err != nil || !bytes.Equal(have.Bytes(), all) {
		t.Errorf("Prepare gives another tensor, %v", err)
	}
	var answered struct {
		Classes []struct {
			Class  int
			Logits []float64
		}
	}
	if err := json.Unmarshal([]byte(command(t, "run", dir, "--input", imageInput+"="+array, "--json")), &answered); err != nil {
		t.Fatal(err)
	}
	right, loss := 0, 0.0
	for i, row := range answered.Classes {
		if row.Class == i%2 {
			right++
		}
		loss += math.Log(math.Exp(row.Logits[0])+math.Exp(row.Logits[1])) - row.Logits[i%2]
	}
	if loss /= 40; right != evaluated.Correct || math.Abs(loss-evaluated.Loss) > 1e-5*(1+loss) {
		t.Errorf("--input gets %d right with the loss %v, --data %d and %v", right, loss, evaluated.Correct, evaluated.Loss)
	}
}

// TestRaw feeds what the model's preprocessing would change.
func TestRaw(t *testing.T) {
	m, err := buildModel("softmax", defaultOptimizer, defaultLR)
	if err != nil {
		t.Fatal(err)
	}
	m.SetMeta("preprocess.image", "gray scale=1/255 mean=0.5 std=0.25")
	info, err := artifact.InfoOf(m)
	if err != nil {
		t.Fatal(err)
	}
	pixels := make([]uint8, 784)
	pixels[0], pixels[1] = 255, 51
	file := filepath.Join(t.TempDir(), "x.npy")
	writeTo(t, file, func(w io.Writer) error { return npy.Write(w, arrayOf(t, pixels, 1, 1, 28, 28)) })
	for raw, want := range map[bool][2]float64{false: {2, -1.2}, true: {255, 51}} {
		feeds, _, err := inputs{inputs: []string{"image=" + file}, raw: raw}.read(m.LookupFunc(predictFunc), info)
		if err != nil {
			t.Fatal(err)
		}
		have := feeds["image"].(*value.Tensor).Float64s()
		if math.Abs(have[0]-want[0]) > 1e-6 || math.Abs(have[1]-want[1]) > 1e-6 {
			t.Errorf("raw %v: %v, want %v", raw, have[:2], want)
		}
	}
}
