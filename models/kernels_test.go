package models_test

import (
	"fmt"
	"testing"

	"github.com/graphrun/graphrun/compile"
	"github.com/graphrun/graphrun/graph"
	"github.com/graphrun/graphrun/models/nn"
	"github.com/graphrun/graphrun/models/optim"
	"github.com/graphrun/graphrun/ops"
	"github.com/graphrun/graphrun/runtime"
	"github.com/graphrun/graphrun/runtime/program"
)

// tokens are the indices that an embedding takes.
func tokens(f *graph.Func) graph.Value { return f.Input("x", graph.I64, "N", 7) }

func floatsOf(dims ...any) func(f *graph.Func) graph.Value {
	return func(f *graph.Func) graph.Value { return f.Input("x", graph.F32, dims...) }
}

// layers are nets of layers that are often used, with their inputs.
var layers = []struct {
	name string
	in   func(f *graph.Func) graph.Value
	net  func() nn.Layer
}{
	{"mlp", floatsOf("N", 12), func() nn.Layer {
		return nn.Sequential(nn.Linear(12, 9), nn.GELU(), nn.LayerNorm([]int{9}), nn.Dropout(0.3), nn.Linear(9, 4), nn.LogSoftmax(1))
	}},
	{"batch norm", floatsOf("N", 12), func() nn.Layer { return nn.Sequential(nn.Linear(12, 9), nn.BatchNorm1d(9), nn.ReLU()) }},
	{"cnn", floatsOf("N", 3, 12, 12), func() nn.Layer {
		return nn.Sequential(nn.Conv2d(3, 8, 3, nn.Padding(1)), nn.BatchNorm2d(8), nn.ReLU(), nn.MaxPool2d(2), nn.Dropout2d(0.2),
			nn.Conv2d(8, 8, 3, nn.Groups(4)), nn.GroupNorm(2, 8), nn.SiLU(), nn.InstanceNorm2d(8), nn.AvgPool2d(2), nn.Flatten(), nn.Linear(32, 5))
	}},
	{"padded cnn", floatsOf("N", 3, 12, 12), func() nn.Layer {
		return nn.Sequential(nn.Conv2d(3, 8, 3, nn.Padding(1), nn.PaddingMode("reflect")), nn.ReLU(), nn.GlobalAvgPool())
	}},
	{"rnn", floatsOf(5, "N", 6), func() nn.Layer { return nn.RNN(6, 8) }},
	{"lstm", floatsOf(5, "N", 6), func() nn.Layer { return nn.LSTM(6, 8, nn.Layers(2), nn.Bidirectional()) }},
	{"gru", floatsOf("N", 5, 6), func() nn.Layer { return nn.GRU(6, 8, nn.BatchFirst()) }},
	{"embedding", tokens, func() nn.Layer {
		return nn.Sequential(nn.Embedding(graph.F32, 50, 8, nn.PaddingIndex(0)), nn.LayerNorm([]int{8}), nn.Linear(8, 3))
	}},
	{"attention", floatsOf(7, "N", 8), func() nn.Layer {
		a := nn.MultiheadAttention(8, 2)
		return nn.Func(func(x graph.Value, mode ...nn.Mode) graph.Value {
			y, _ := a.Attend(x, x, x)
			return y
		})
	}},
}

// TestKernelsComputeTheLayers wants a kernel for every instruction of nets of the usual layers: applied, trained with Adam, and
// initialized.
func TestKernelsComputeTheLayers(t *testing.T) {
	for _, l := range layers {
		t.Run(l.name, func(t *testing.T) {
			m, net := graph.NewModule("layers"), l.net()
			predict, train := m.Func("predict"), m.Func("train")
			predict.Return("y", net.Apply(l.in(predict)))
			loss := ops.Mean(ops.Square(net.Apply(l.in(train), nn.Training)))
			train.Return("loss", loss)
			optim.Adam(1e-3).Minimize(loss)
			wantKernels(t, m)
		})
	}
}

func wantKernels(t *testing.T, m *graph.Module) {
	t.Helper()
	prog, err := compile.Compile(m)
	if err != nil {
		t.Fatal(err)
	}
	check := func(name string, f *program.Func) {
		nodes, err := runtime.References(prog, f, map[string]int64{"N": 6})
		if err != nil {
			t.Fatal(err)
		}
		for _, n := range nodes {
			t.Errorf("%s: the reference computes %s", name, fmt.Sprint(n))
		}
	}
	for _, f := range prog.Module.Funcs() {
		check(f.Name(), prog.Funcs[f.Name()])
	}
	for _, v := range prog.Variables {
		check("initializer of @"+v.Name, v.Init)
	}
}
