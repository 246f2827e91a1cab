package draw

import (
	"fmt"
	"testing"

	"github.com/graphrun/graphrun/graph"
	"github.com/graphrun/graphrun/models/nn"
	"github.com/graphrun/graphrun/models/optim"
	"github.com/graphrun/graphrun/models/zoo"
	"github.com/graphrun/graphrun/ops"
)

// zooModule is a model of the zoo.
func zooModule(t testing.TB, name string) *graph.Module {
	t.Helper()
	model, ok := zoo.Lookup(name)
	if !ok {
		t.Fatalf("there is no model %s", name)
	}
	return good(t, model.Build())
}

func good(t testing.TB, m *graph.Module) *graph.Module {
	t.Helper()
	if err := m.Err(); err != nil {
		t.Fatal(err)
	}
	return m
}

// residual declares a residual network (He, Zhang, Ren and Sun 2015) with the given numbers of blocks.
func residual(t testing.TB, name string, counts []int, bottleneck bool) *graph.Module {
	net := residualNet(counts, bottleneck)
	m := graph.NewModule(name)
	f := m.Func("predict")
	f.Return("logits", net.Apply(f.Input("image", graph.F32, "N", 3, 224, 224)))
	train := m.Func("train")
	loss := nn.CrossEntropy(net.Apply(train.Input("image", graph.F32, "N", 3, 224, 224), nn.Training), train.Input("label", graph.I64, "N"))
	train.Return("loss", loss)
	optim.SGD(0.1, optim.Momentum(0.9)).Minimize(loss)
	return good(t, m)
}

func residualNet(counts []int, bottleneck bool) nn.Layer {
	layers := convNorm(1, 3, 64, 7, 2, true)
	layers = append(layers, nn.MaxPool2d(3, nn.Stride(2), nn.Padding(1)))
	in := 64
	for i, n := range counts {
		mid, out := 64<<i, 64<<i
		if bottleneck {
			out *= 4
		}
		var blocks []nn.Layer
		for j := range n {
			stride := 1
			if j == 0 && i > 0 {
				stride = 2
			}
			blocks = append(blocks, residualBlock(in, mid, out, stride, bottleneck))
			in = out
		}
		layers = append(layers, nn.Named(fmt.Sprintf("layer%d", i+1), nn.Sequential(blocks...)))
	}
	return nn.Sequential(append(layers, nn.GlobalAvgPool(), nn.Flatten(), nn.Named("fc", nn.Linear(in, 1000)))...)
}

func convNorm(i, in, out, kernel, stride int, relu bool) []nn.Layer {
	layers := []nn.Layer{
		nn.Named(fmt.Sprintf("conv%d", i), nn.Conv2d(in, out, kernel, nn.Stride(stride), nn.Padding(kernel/2), nn.NoBias())),
		nn.Named(fmt.Sprintf("bn%d", i), nn.BatchNorm2d(out)),
	}
	if relu {
		layers = append(layers, nn.ReLU())
	}
	return layers
}

func residualBlock(in, mid, out, stride int, bottleneck bool) nn.Layer {
	var body []nn.Layer
	if bottleneck {
		body = append(body, convNorm(1, in, mid, 1, 1, true)...)
		body = append(body, convNorm(2, mid, mid, 3, stride, true)...)
		body = append(body, convNorm(3, mid, out, 1, 1, false)...)
	} else {
		body = append(body, convNorm(1, in, mid, 3, stride, true)...)
		body = append(body, convNorm(2, mid, out, 3, 1, false)...)
	}
	main := nn.Sequential(body...)
	short := nn.Identity()
	if in != out || stride != 1 {
		short = nn.Named("downsample", nn.Sequential(nn.Conv2d(in, out, 1, nn.Stride(stride), nn.NoBias()), nn.BatchNorm2d(out)))
	}
	return nn.Func(func(x nn.Value, mode ...nn.Mode) nn.Value {
		return ops.ReLU(ops.Add(main.Apply(x, mode...), short.Apply(x, mode...)))
	})
}

// transformer declares layers of an encoder (Vaswani and others 2017) and a training step.
func transformer(t testing.TB) *graph.Module {
	m := graph.NewModule("encoder")
	var layers []nn.Layer
	for range 2 {
		attention := nn.MultiheadAttention(32, 4, nn.BatchFirst())
		norm1, norm2 := nn.Named("norm1", nn.LayerNorm([]int{32})), nn.Named("norm2", nn.LayerNorm([]int{32}))
		linear1, linear2 := nn.Named("linear1", nn.Linear(32, 64)), nn.Named("linear2", nn.Linear(64, 32))
		layers = append(layers, nn.Func(func(x nn.Value, mode ...nn.Mode) nn.Value {
			m.At(graph.Pos{}, "self_attn", func() {
				y, _ := attention.Attend(x, x, x)
				x = norm1.Apply(ops.Add(x, y), mode...)
			})
			return norm2.Apply(ops.Add(x, linear2.Apply(ops.ReLU(linear1.Apply(x, mode...)), mode...)), mode...)
		}))
	}
	net := nn.Named("layers", nn.Sequential(layers...))
	f := m.Func("train")
	x, y := f.Input("x", graph.F32, "N", 10, 32), f.Input("y", graph.F32, "N", 10, 32)
	loss := nn.MSE(net.Apply(x, nn.Training), y)
	f.Return("loss", loss)
	optim.AdamW(1e-3).Minimize(loss)
	return good(t, m)
}

// unrolled declares a recurrent cell, five times on the same weights.
func unrolled(t testing.TB) *graph.Module {
	m := graph.NewModule("rnn")
	f := m.Func("train")
	x := f.Input("x", graph.F32, "N", 5, 8)
	h := f.Input("h", graph.F32, "N", 16)
	cell := nn.Named("head", nn.Linear(16, 1))
	in, hidden := nn.Linear(8, 16), nn.Linear(16, 16)
	for i := range 5 {
		m.At(graph.Pos{}, fmt.Sprintf("step%d", i), func() {
			xi := ops.At(x, 1, i)
			h = ops.Tanh(ops.Add(nn.Named("ih", in).Apply(xi), nn.Named("hh", hidden).Apply(h)))
		})
	}
	loss := nn.MSE(cell.Apply(h), f.Input("y", graph.F32, "N", 1))
	f.Return("loss", loss)
	optim.SGD(0.1).Minimize(loss)
	return good(t, m)
}
