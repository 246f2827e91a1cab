package zoo_test

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/graphrun/graphrun/compile"
	"github.com/graphrun/graphrun/graph"
	"github.com/graphrun/graphrun/graph/artifact"
	"github.com/graphrun/graphrun/graph/value"
	"github.com/graphrun/graphrun/models/optim"
	"github.com/graphrun/graphrun/models/zoo"
	"github.com/graphrun/graphrun/runtime"
)

// TestInput builds models for other examples and classes, and trains them for some steps.
func TestInput(t *testing.T) {
	for _, c := range []struct {
		model   string
		shape   []int
		classes int
		weight  string // a variable whose type shows that the shape was heeded
		want    string
		mode    string
	}{
		{"softmax", []int{4}, 3, "fc.weight", "f32[3,4]", ""},
		{"mlp", []int{4}, 3, "fc2.weight", "f32[3,128]", ""},
		{"mlp", []int{3, 8, 8}, 2, "fc1.weight", "f32[128,192]", artifact.RGB},
		{"mlp", []int{2, 3, 4, 5}, 7, "fc1.weight", "f32[128,120]", ""},
		{"lenet5", []int{3, 32, 32}, 5, "fc1.weight", "f32[120,576]", artifact.RGB},
		{"lenet5", []int{1, 12, 12}, 2, "fc1.weight", "f32[120,16]", artifact.Gray},
		{"lenet5", []int{2, 13, 30}, 4, "fc1.weight", "f32[120,80]", ""},
	} {
		name := fmt.Sprint(c.model, c.shape)
		model, _ := zoo.Lookup(c.model)
		m := model.Build(zoo.Input(c.shape...), zoo.Classes(c.classes), zoo.Optimizer(optim.SGD(0.01)))
		prog, err := compile.Compile(m)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if have := m.LookupVariable(c.weight).Type().String(); have != c.want {
			t.Errorf("%s: @%s is %s, want %s", name, c.weight, have, c.want)
		}
		info, err := artifact.InfoOf(m)
		if err != nil || len(info.Classes) != c.classes || info.Preprocess["image"].Mode != c.mode {
			t.Errorf("%s: it says %+v, %v", name, info, err)
		}
		sess, err := runtime.NewSession(prog, runtime.Seed(1))
		if err != nil {
			t.Fatal(err)
		}
		const n = 6
		image, err := value.New(graph.F32, append([]int{n}, c.shape...)...)
		if err != nil {
			t.Fatal(err)
		}
		pixels, _ := value.Data[float32](image)
		for i := range pixels {
			pixels[i] = float32(i*7%11) / 11
		}
		labels := make([]int64, n)
		for i := range labels {
			labels[i] = int64(i % c.classes)
		}
		label, _ := value.FromSlice(labels, n)
		var losses []float64
		for range 10 {
			out, err := sess.Run(context.Background(), "train", map[string]value.Value{"image": image, "label": label})
			if err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			losses = append(losses, out["loss"].(*value.Tensor).Float64s()[0])
		}
		if !(losses[9] < losses[0]) {
			t.Errorf("%s: the loss goes %v", name, losses)
		}
	}
}

// TestInputDefault gives the options what a model is built for anyway.
func TestInputDefault(t *testing.T) {
	for _, m := range zoo.Models() {
		if d := cmp.Diff(m.Build().String(), m.Build(zoo.Input(m.Input...), zoo.Classes(m.Classes)).String()); d != "" {
			t.Errorf("%s: %s", m.Name, d)
		}
	}
}

func TestInputFaults(t *testing.T) {
	for want, c := range map[string]struct {
		model string
		opts  []zoo.Option
	}{
		"lenet5: want images [C,H,W] of at least 12 x 12, have examples of shape [4]":       {"lenet5", []zoo.Option{zoo.Input(4)}},
		"lenet5: want images [C,H,W] of at least 12 x 12, have examples of shape [1,11,28]": {"lenet5", []zoo.Option{zoo.Input(1, 11, 28)}},
		"lenet5: want images [C,H,W] of at least 12 x 12, have examples of shape [1,28,8]":  {"lenet5", []zoo.Option{zoo.Input(1, 28, 8)}},
		"mlp: want sizes from 1 to 1073741824, have examples of shape [3,0]":                {"mlp", []zoo.Option{zoo.Input(3, 0)}},
		"mlp: want examples of at most 1073741824 elements, have shape [65536,65536]":       {"mlp", []zoo.Option{zoo.Input(65536, 65536)}},
		"mlp: want examples of at least one axis, have single numbers":                      {"mlp", []zoo.Option{zoo.Input()}},
		"softmax: want from 2 to 1048576 classes, have 1":                                   {"softmax", []zoo.Option{zoo.Classes(1)}},
	} {
		model, _ := zoo.Lookup(c.model)
		_, err := compile.Compile(model.Build(c.opts...))
		if err == nil || !strings.HasPrefix(err.Error(), "input_test.go:") || !strings.HasSuffix(err.Error(), want) {
			t.Errorf("have %v, want %s", err, want)
		}
	}
}
