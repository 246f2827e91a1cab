package artifact_test

import (
	"maps"
	"os"
	"strings"
	"testing"

	"github.com/graphrun/graphrun/graph"
	"github.com/graphrun/graphrun/graph/artifact"
	"github.com/graphrun/graphrun/graph/value"
	"github.com/graphrun/graphrun/models/nn"
)

// TestTorchFiles loads what PyTorch 2.15 and safetensors 0.8 have written of one net, fc1 of 3 inputs and 2 outputs and fc2 of 2 and 2: its state_dict
// as f32, bf16 and f16, under DataParallel, under torch.compile, and under both with fc1 compiled by itself. Parameter i holds
// (arange - 1.5) * (0.25 + i), which all these dtypes can.
func TestTorchFiles(t *testing.T) {
	m := graph.NewModule("m")
	f := m.Func("predict")
	net := nn.Sequential(nn.Named("fc1", nn.Linear(3, 2)), nn.ReLU(), nn.Named("fc2", nn.Linear(2, 2)))
	f.Return("y", net.Apply(f.Input("x", graph.F32, "N", 3)))
	want := map[string]*value.Tensor{}
	for i, name := range []string{"fc1.weight", "fc1.bias", "fc2.weight", "fc2.bias"} {
		x := zeros(graph.F32, m.LookupVariable(name).Shape()...)
		for k := range x.Len() {
			elements[float32](x)[k] = (float32(k) - 1.5) * (0.25 + float32(i))
		}
		want[name] = x
	}
	for _, name := range []string{"f32", "bf16", "f16", "module", "orig_mod", "inner"} {
		have, err := artifact.LoadWeights(os.DirFS("testdata/torch"), name+".safetensors", m)
		if err != nil || !maps.EqualFunc(want, have, (*value.Tensor).Equal) {
			t.Errorf("%s: have %v, %v", name, have, err)
		}
	}

	wrapped := maps.Clone(want)
	wrapped["module.fc1.bias"] = want["fc1.bias"]
	if _, err := artifact.MatchWeights(m, wrapped); err == nil || !strings.Contains(err.Error(), "there are two values for @fc1.bias") {
		t.Errorf("two of one: %v", err)
	}
	narrow := maps.Clone(want)
	narrow["fc1.bias"] = zeros(graph.F64, 2)
	if _, err := artifact.MatchWeights(m, narrow); err == nil || !strings.Contains(err.Error(), "@fc1.bias: want f32[2], have f64[2]") {
		t.Errorf("f64 for f32: %v", err)
	}
	narrow["fc1.bias"] = zeros(graph.F16, 3)
	if _, err := artifact.MatchWeights(m, narrow); err == nil || !strings.Contains(err.Error(), "@fc1.bias: want f32[2], have f16[3]") {
		t.Errorf("another shape: %v", err)
	}

	// A layer that is called module keeps its name.
	own := graph.NewModule("m")
	f = own.Func("predict")
	f.Return("y", nn.Named("module", nn.Linear(1, 1)).Apply(f.Input("x", graph.F32, "N", 1)))
	values := map[string]*value.Tensor{"module.weight": zeros(graph.F32, 1, 1), "module.bias": zeros(graph.F32, 1)}
	if have, err := artifact.MatchWeights(own, values); err != nil || len(have) != 2 {
		t.Errorf("have %v, %v", have, err)
	}
}
