package artifact_test

import (
	"bytes"
	"maps"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"

	"github.com/graphrun/graphrun/graph"
	"github.com/graphrun/graphrun/graph/artifact"
	"github.com/graphrun/graphrun/graph/value"
	"github.com/graphrun/graphrun/graph/value/safetensors"
)

// trainedParts is partsModule with values of all its variables.
func trainedParts(t *testing.T) *artifact.Artifact {
	t.Helper()
	m := partsModule()
	artifact.Info{
		Doc: "parts", Classes: []string{"a", "b", "c"}, Loss: "train/loss",
		Roles:      map[string]string{"features": artifact.InputRole, "label": artifact.TargetRole},
		Provenance: map[string]string{"data": "none"},
	}.Set(m)
	return &artifact.Artifact{Module: m, Weights: session(t, &artifact.Artifact{Module: m}).Variables()}
}

// TestKeep leaves predict alone of a model, which still predicts the same.
func TestKeep(t *testing.T) {
	a := trainedParts(t)
	before := a.Module.String()
	kept, err := artifact.Keep(a, "predict")
	if err != nil {
		t.Fatal(err)
	}
	if a.Module.String() != before || len(a.Weights) != len(a.Module.Variables()) {
		t.Error("the model that is kept from changes")
	}
	var funcs, vars []string
	for _, f := range kept.Module.Funcs() {
		funcs = append(funcs, f.Name())
	}
	for _, v := range kept.Module.Variables() {
		vars = append(vars, v.Name())
	}
	if d := cmp.Diff([]string{"scale", "predict"}, funcs); d != "" {
		t.Error(d)
	}
	slices.Sort(vars)
	want := []string{"norm.bias", "norm.num_batches_tracked", "norm.running_mean", "norm.running_var", "norm.weight", "out.bias", "out.weight"}
	if d := cmp.Diff(want, vars); d != "" {
		t.Error(d)
	}
	if d := cmp.Diff(want, slices.Sorted(maps.Keys(kept.Weights))); d != "" {
		t.Error(d)
	}
	info, err := artifact.InfoOf(kept.Module)
	if err != nil || info.Loss != "" || info.Roles["features"] != artifact.InputRole || info.Roles["label"] != "" || len(info.Classes) != 3 || info.Provenance["data"] != "none" {
		t.Errorf("it says of itself %+v, %v", info, err)
	}
	feeds := randomFeeds(session(t, a), 4)
	y, z := run(t, session(t, a), "predict", feeds)["logits"], run(t, session(t, kept), "predict", feeds)["logits"]
	if !value.Equal(y, z) {
		t.Error("what is kept predicts something else")
	}

	all, err := artifact.Keep(a, "train", "predict")
	if err != nil || all.Module.String() != before {
		t.Errorf("keeping all changes something: %v", err)
	}
	for _, c := range []struct {
		want  string
		funcs []string
	}{
		{`keep: there is no function "serve": want one of ["scale" "predict" "train"]`, []string{"predict", "serve"}},
		{"keep: no functions are given", nil},
	} {
		if _, err := artifact.Keep(a, c.funcs...); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("have %v, want %s", err, c.want)
		}
	}
}

// stateDict writes tensors as safetensors.torch does.
func stateDict(t *testing.T, tensors map[string]*value.Tensor) []byte {
	t.Helper()
	var named []safetensors.Named
	for _, name := range slices.Sorted(maps.Keys(tensors)) {
		named = append(named, safetensors.Named{Name: name, Tensor: tensors[name]})
	}
	var b bytes.Buffer
	if err := safetensors.Write(&b, named, map[string]string{"format": "pt"}); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// TestWeights reads state_dicts into a model.
func TestWeights(t *testing.T) {
	a := trainedParts(t)
	dict := a.StateDict()
	want := []string{"norm.bias", "norm.num_batches_tracked", "norm.running_mean", "norm.running_var", "norm.weight", "out.bias", "out.weight"}
	if d := cmp.Diff(want, slices.Sorted(maps.Keys(dict))); d != "" {
		t.Error(d)
	}
	for name, c := range map[string]struct {
		change func(map[string]*value.Tensor)
		err    string // "" for none
		values int
	}{
		"all":            {func(map[string]*value.Tensor) {}, "", 7},
		"no counter":     {func(m map[string]*value.Tensor) { delete(m, "norm.num_batches_tracked") }, "", 6},
		"other counters": {func(m map[string]*value.Tensor) { m["old.num_batches_tracked"] = zeros(graph.I64) }, "", 7},
		"a constant":     {func(m map[string]*value.Tensor) { m["const.x"] = zeros(graph.I64) }, "", 7},
		"state":          {func(m map[string]*value.Tensor) { m["lr"] = zeros(graph.F64) }, "", 8},
		"missing": {
			func(m map[string]*value.Tensor) { delete(m, "out.bias"); delete(m, "norm.running_var") },
			"there is no value for @norm.running_var f32[8], @out.bias f32[3]", 0,
		},
		"renamed": {
			func(m map[string]*value.Tensor) { m["fc.bias"] = m["out.bias"]; delete(m, "out.bias") },
			`there is no value for @out.bias f32[3]; the model has no variable for "fc.bias" f32[3]`, 0,
		},
		"transposed": {
			func(m map[string]*value.Tensor) { m["out.weight"] = zeros(graph.F32, 8, 3) },
			"@out.weight: want f32[3,8], have f32[8,3]", 0,
		},
		"other dtype": {func(m map[string]*value.Tensor) { m["out.bias"] = zeros(graph.F64, 3) }, "@out.bias: want f32[3], have f64[3]", 0},
		"nothing":     {func(m map[string]*value.Tensor) { clear(m) }, "there is no value for ", 0},
		"many": {
			func(m map[string]*value.Tensor) {
				for _, c := range "abcdefgh" {
					m["layer."+string(c)] = zeros(graph.F32, 2)
				}
			},
			`the model has no variable for "layer.a" f32[2], "layer.b" f32[2], "layer.c" f32[2], "layer.d" f32[2], "layer.e" f32[2], 3 more`, 0,
		},
	} {
		t.Run(name, func(t *testing.T) {
			dict := a.StateDict()
			c.change(dict)
			data := stateDict(t, dict)
			read, err := artifact.ReadWeights(bytes.NewReader(data), a.Module)
			loaded, err2 := artifact.LoadWeights(fstest.MapFS{"w.safetensors": &fstest.MapFile{Data: data}}, "w.safetensors", a.Module)
			if c.err != "" {
				for i, err := range []error{err, err2} {
					where := []string{"weights: ", "w.safetensors: "}[i]
					if err == nil || !strings.HasPrefix(err.Error(), where+c.err) || strings.Contains(err.Error(), "\n") {
						t.Errorf("have %v, want %s%s", err, where, c.err)
					}
				}
				return
			}
			if err != nil || err2 != nil {
				t.Fatal(err, err2)
			}
			if len(read) != c.values || !cmp.Equal(read, loaded, sameTensors) {
				t.Errorf("%d values were read, want %d", len(read), c.values)
			}
			for name, x := range read {
				if !x.Equal(dict[name]) {
					t.Errorf("@%s is another one", name)
				}
			}
		})
	}
	if _, err := artifact.LoadWeights(fstest.MapFS{}, "w.safetensors", a.Module); err == nil || !strings.Contains(err.Error(), "w.safetensors") {
		t.Errorf("have %v for no file", err)
	}
	if _, err := artifact.ReadWeights(strings.NewReader("x"), a.Module); err == nil {
		t.Error("no weights are read")
	}
}
