package artifact_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/graphrun/graphrun/graph"
	"github.com/graphrun/graphrun/graph/artifact"
	"github.com/graphrun/graphrun/graph/value"
	"github.com/graphrun/graphrun/models/nn"
	"github.com/graphrun/graphrun/ops"
)

// classifier has the functions predict, train and eval; a mask is looked at too, and weights of examples are targets.
func classifier(t *testing.T) *graph.Module {
	t.Helper()
	m := graph.NewModule("m")
	net := nn.Linear(4, 3)
	input := func(f *graph.Func) graph.Value {
		return net.Apply(ops.Mul(f.Input("image", graph.F32, "N", 4), f.Input("mask", graph.F32, "N", 4)))
	}
	predict := m.Func("predict")
	predict.Return("logits", input(predict))
	for _, name := range []string{"train", "eval"} {
		f := m.Func(name)
		loss := nn.CrossEntropy(input(f), f.Input("label", graph.I64, "N"))
		f.Return("loss", loss)
		f.Return("weighted", ops.Mul(loss, f.Input("share", graph.F32)))
	}
	if err := graph.Verify(m); err != nil {
		t.Fatal(err)
	}
	return m
}

func TestInfo(t *testing.T) {
	m := classifier(t)
	have, err := artifact.InfoOf(m)
	if err != nil {
		t.Fatal(err)
	}
	want := artifact.Info{
		Loss:       "train/loss",
		Roles:      map[string]string{"image": "input", "mask": "input", "label": "target", "share": "target"},
		Preprocess: map[string]artifact.Preprocess{}, Provenance: map[string]string{},
	}
	if d := cmp.Diff(want, have); d != "" {
		t.Errorf("defaults: -want +have:\n%s", d)
	}
	train := m.LookupFunc("train")
	if d := cmp.Diff([][]string{{"image", "mask"}, {"label", "share"}}, [][]string{have.InRole(train, artifact.InputRole), have.InRole(train, artifact.TargetRole)}); d != "" {
		t.Error(d)
	}

	m.SetMeta("note", "stays")
	m.SetMeta("train.old", "goes")
	want = artifact.Info{
		Doc: "A line.", Classes: []string{"ankle boot", "T-shirt/top"}, Loss: "train/weighted",
		Roles:      map[string]string{"image": "input", "mask": "target", "label": "target", "share": "input"},
		Preprocess: map[string]artifact.Preprocess{"image": {Mode: "rgb", Scale: 1. / 255, Mean: []float64{0.485, 0.456, 0.406}, Std: []float64{0.25}}},
		Provenance: map[string]string{"data": "mnist", "epochs": "3"},
	}
	want.Set(m)
	again, err := graph.Parse("m.graph", []byte(m.String()), graph.ParseOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if have, err = artifact.InfoOf(again); err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(want, have); d != "" {
		t.Errorf("set, printed and parsed: -want +have:\n%s", d)
	}
	if have := again.Meta("preprocess.image"); have != "rgb scale=1/255 mean=0.485,0.456,0.406 std=0.25" {
		t.Errorf("the text is %q", have)
	}
	if again.Meta("note") != "stays" || again.Meta("train.old") != "" {
		t.Errorf("the meta table is %v", again.MetaKeys())
	}
}

// A module that has none of the usual functions says nothing and is no fault.
func TestInfoOfBareModule(t *testing.T) {
	m := graph.NewModule("m")
	f := m.Func("f")
	f.Return("y", f.Input("x", graph.F32))
	have, err := artifact.InfoOf(m)
	if fn, result := have.LossResult(); err != nil || have.Loss != "" || fn != "" || result != "" || len(have.Roles) > 0 {
		t.Errorf("have %+v, %v", have, err)
	}
}

// Models of format version 1 have a sentence for what preprocess says.
func TestInfoOfOldModel(t *testing.T) {
	m := classifier(t)
	m.SetMeta("input.image", "gray pictures, 0 for black to 1 for white, of shape 1x28x28")
	m.SetMeta("input.mask", "where to look")
	have, err := artifact.InfoOf(m)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(map[string]artifact.Preprocess{"image": {Mode: artifact.Gray, Scale: 1. / 255}}, have.Preprocess); d != "" {
		t.Error(d)
	}
}

func TestInfoFaults(t *testing.T) {
	for _, c := range []struct{ key, val, want string }{
		{"loss", "loss", `meta "loss": want FUNCTION/RESULT of a function of the module, have "loss"`},
		{"loss", "fit/loss", `meta "loss": want FUNCTION/RESULT of a function of the module, have "fit/loss"`},
		{"loss", "train/los", `meta "loss": @train has no result "los"`},
		{"loss", "predict/logits", `meta "loss": want a scalar loss, "predict/logits" is f32[N,3]`},
		{"role.image", "label", `meta "role.image": want "input" or "target", have "label"`},
		{"role.picture", "input", `meta "role.picture": no function has an input "picture"`},
		{"preprocess.picture", "gray", `meta "preprocess.picture": no function has an input "picture"`},
		{"preprocess.image", "grey", `meta "preprocess.image": want one of ["gray" "rgb" "bytes" "numbers"], as in "gray scale=1/255 mean=0.5 std=0.5", have "grey"`},
		{"preprocess.image", "scale=2 gray", `have "gray"`},
		{"preprocess.image", "gray scale=0", "scale: want one number other than 0"},
		{"preprocess.image", "gray scale=1,2", "scale: want one number other than 0"},
		{"preprocess.image", "gray scale=1/0", `scale: want a finite number, have "1/0"`},
		{"preprocess.image", "gray mean=", `mean: want a finite number, have ""`},
		{"preprocess.image", "gray mean=nan", `mean: want a finite number, have "nan"`},
		{"preprocess.image", "gray std=0", "std: want numbers above 0"},
		{"preprocess.image", "gray mean=1,2", "mean: want one number, or 1 for gray, have 2"},
		{"preprocess.image", "rgb std=1,2", "std: want one number, or 3 for rgb, have 2"},
		{"preprocess.image", "gray mean=1 mean=1", "mean is given twice"},
		{"preprocess.image", "gray size=28", `want scale, mean or std, have "size"`},
	} {
		m := classifier(t)
		m.SetMeta(c.key, c.val)
		if _, err := artifact.InfoOf(m); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s = %s: want %q, have %v", c.key, c.val, c.want, err)
		}
	}
}

func TestPreprocessApply(t *testing.T) {
	pixels := []float32{0, 51, 255, 102, 0, 255}
	if err := (artifact.Preprocess{Scale: 1. / 255, Mean: []float64{0.5, 0.25, 0}, Std: []float64{0.5}}).Apply(pixels, 3); err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff([]float32{-1, -0.6, 1.5, 0.3, 0, 2}, pixels); d != "" {
		t.Error(d)
	}
	// 1/255 gives what a division of f32 by 255 gives.
	for i := range 256 {
		x := []float32{float32(i)}
		if err := (artifact.Preprocess{Scale: 1. / 255}).Apply(x, 1); err != nil || x[0] != float32(i)/255 {
			t.Errorf("%d becomes %v, %v", i, x[0], err)
		}
	}
	if err := (artifact.Preprocess{}).Apply(pixels, 3); err != nil || pixels[5] != 2 {
		t.Errorf("nothing to do gives %v, %v", pixels, err)
	}
	if err := (artifact.Preprocess{}).Apply(pixels, 4); err == nil {
		t.Error("6 pixels of 4 channels are no error")
	}
	if err := (artifact.Preprocess{Mean: []float64{1, 2}}).Apply(pixels, 3); err == nil {
		t.Error("2 means for 3 channels are no error")
	}
	for _, text := range []string{"", "gray", "scale=0.3", "rgb mean=1,2,3", "bytes scale=1/255", "numbers mean=0.5 std=2"} {
		if p, err := artifact.ParsePreprocess(text); err != nil || p.String() != text {
			t.Errorf("%q reads back as %q, %v", text, p, err)
		}
	}
}

// What arrays claim to be takes no memory beyond what they have.
func TestPrepareArrays(t *testing.T) {
	p := artifact.Preprocess{Mode: artifact.Numbers, Mean: []float64{0.5}, Std: []float64{2}}
	for _, shape := range [][]int{nil, {0}, {3}, {0, 1 << 40}, {1 << 40, 0}, {0, 1 << 30, 28, 28}} {
		x, err := value.New(value.F64, shape...)
		if err != nil {
			t.Fatal(err)
		}
		got, err := p.Prepare(x)
		if err != nil || !slices.Equal(got.Shape(), x.Shape()) || slices.ContainsFunc(got.Float64s(), func(v float64) bool { return v != -0.25 }) {
			t.Errorf("%v: %v, %v", x, got, err)
		}
	}
}

// Names of classes are stored as they are, whatever they hold, and shown on one line without what a terminal obeys.
func TestClassNames(t *testing.T) {
	for _, names := range [][]string{
		{"cat", "dog"}, {"a\nb", "c"}, {"", "x"}, {""}, {`"quoted"`, `"`, `back\slash`}, {"\x1b[31mred", "\r", "\u202edigits"}, {"\xff\xfe", "é", "猫"},
	} {
		m := classifier(t)
		artifact.SetClasses(m, names)
		again, err := graph.Parse("m.graph", []byte(m.String()), graph.ParseOptions{})
		if err != nil {
			t.Fatal(err)
		}
		info, err := artifact.InfoOf(again)
		if err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(names, info.Classes); d != "" {
			t.Errorf("-set +read:\n%s", d)
		}
	}
	m := classifier(t)
	m.SetMeta("classes", "\"a\nb") // no quoted name: a text of before
	if info, err := artifact.InfoOf(m); err != nil || !cmp.Equal(info.Classes, []string{`"a`, "b"}) {
		t.Errorf("have %q, %v", info.Classes, err)
	}
	for name, want := range map[string]string{
		"cat": "cat", "T-shirt/top": "T-shirt/top", "é猫": "é猫", "a\nb": `"a\nb"`, "\x1b[31m": `"\x1b[31m"`, "\u202e": `"\u202e"`, "\xff": `"\xff"`, "\u0085": `"\u0085"`,
	} {
		if have := artifact.Visible(name); have != want {
			t.Errorf("%q: want %s, have %s", name, want, have)
		}
	}
}
