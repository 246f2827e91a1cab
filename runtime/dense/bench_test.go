package dense_test

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"

	"github.com/graphrun/graphrun/compile"
	"github.com/graphrun/graphrun/graph"
	"github.com/graphrun/graphrun/graph/value"
	"github.com/graphrun/graphrun/models/nn"
	"github.com/graphrun/graphrun/models/optim"
	"github.com/graphrun/graphrun/models/zoo"
	"github.com/graphrun/graphrun/runtime"
)

// BenchmarkBesideGorgonia trains the same nets on both engines, step by step by turns, and reports the median time of a
// step of each and their ratio. Time per op is that of both steps together.
func BenchmarkBesideGorgonia(b *testing.B) {
	for _, c := range []struct {
		name   string
		batch  int
		ours   func(b *testing.B, batch int) func()
		theirs func(b *testing.B, batch int) func()
	}{
		{"mlp", 64, ourMLP, theirMLP},
		{"mlp", 256, ourMLP, theirMLP},
		{"lenet5", 64, ourLeNet, theirLeNet},
	} {
		b.Run(fmt.Sprintf("%s/batch=%d", c.name, c.batch), func(b *testing.B) {
			ours, theirs := c.ours(b, c.batch), c.theirs(b, c.batch)
			for range 3 {
				ours()
				theirs()
			}
			var us, them []float64
			for b.Loop() {
				start := time.Now()
				theirs()
				middle := time.Now()
				ours()
				us = append(us, time.Since(middle).Seconds())
				them = append(them, middle.Sub(start).Seconds())
			}
			slices.Sort(us)
			slices.Sort(them)
			a, g := us[len(us)/2], them[len(them)/2]
			b.ReportMetric(a*1e3, "graphrun-ms")
			b.ReportMetric(g*1e3, "gorgonia-ms")
			b.ReportMetric(g/a, "times-as-fast")
		})
	}
}

// ourStep returns one training step of a module with the function train.
func ourStep(b *testing.B, m *graph.Module, batch int) func() {
	b.Helper()
	prog, err := compile.Compile(m)
	if err != nil {
		b.Fatal(err)
	}
	sess, err := runtime.NewSession(prog, runtime.Seed(1))
	if err != nil {
		b.Fatal(err)
	}
	rng := rand.New(rand.NewPCG(1, 2))
	pixels, labels := make([]float32, batch*784), make([]int64, batch)
	for i := range pixels {
		pixels[i] = rng.Float32()
	}
	for i := range labels {
		labels[i] = rng.Int64N(10)
	}
	image, err := value.FromSlice(pixels, batch, 1, 28, 28)
	if err != nil {
		b.Fatal(err)
	}
	label, err := value.FromSlice(labels, batch)
	if err != nil {
		b.Fatal(err)
	}
	feeds := map[string]value.Value{"image": image, "label": label}
	results := map[string]value.Value{"loss": value.Scalar(float32(0))}
	return func() {
		if err := sess.RunInto(context.Background(), "train", feeds, results); err != nil {
			b.Fatal(err)
		}
	}
}

// ourMLP is the perceptron 784-512-256-10 trained by SGD.
func ourMLP(b *testing.B, batch int) func() {
	m := graph.NewModule("mlp")
	net := nn.Sequential(nn.Flatten(), nn.Linear(784, 512), nn.ReLU(), nn.Linear(512, 256), nn.ReLU(), nn.Linear(256, 10))
	f := m.Func("train")
	loss := nn.CrossEntropy(net.Apply(f.Input("image", graph.F32, "N", 1, 28, 28)), f.Input("label", graph.I64, "N"))
	f.Return("loss", loss)
	optim.SGD(0.1).Minimize(loss)
	return ourStep(b, m, batch)
}

func ourLeNet(b *testing.B, batch int) func() {
	m, _ := zoo.Lookup("lenet5")
	return ourStep(b, m.Build(zoo.Optimizer(optim.Adam(1e-3))), batch)
}

// gorgoniaNet builds nets of Gorgonia's nodes; building panics on faults, as its functions do.
type gorgoniaNet struct {
	g       *gorgonia.ExprGraph
	rng     *rand.Rand
	weights gorgonia.Nodes
}

func newGorgoniaNet() *gorgoniaNet {
	return &gorgoniaNet{g: gorgonia.NewGraph(), rng: rand.New(rand.NewPCG(1, 2))}
}

func (n *gorgoniaNet) tensor(name string, scale float64, shape ...int) *gorgonia.Node {
	size := 1
	for _, d := range shape {
		size *= d
	}
	data := make([]float32, size)
	for i := range data {
		data[i] = float32((2*n.rng.Float64() - 1) * scale)
	}
	return gorgonia.NewTensor(n.g, gorgonia.Float32, len(shape), gorgonia.WithName(name), gorgonia.WithShape(shape...),
		gorgonia.WithValue(tensor.New(tensor.WithShape(shape...), tensor.WithBacking(data))))
}

func (n *gorgoniaNet) weight(name string, fanIn int, shape ...int) *gorgonia.Node {
	w := n.tensor(name, math.Sqrt(1/float64(fanIn)), shape...)
	n.weights = append(n.weights, w)
	return w
}

func (n *gorgoniaNet) linear(x *gorgonia.Node, name string, in, out int) *gorgonia.Node {
	x = gorgonia.Must(gorgonia.Mul(x, n.weight(name+".weight", in, in, out)))
	return gorgonia.Must(gorgonia.BroadcastAdd(x, n.weight(name+".bias", in, 1, out), nil, []byte{0}))
}

func (n *gorgoniaNet) conv(x *gorgonia.Node, name string, in, out, pad int) *gorgonia.Node {
	w := n.weight(name+".weight", in*25, out, in, 5, 5)
	x = gorgonia.Must(gorgonia.Conv2d(x, w, tensor.Shape{5, 5}, []int{pad, pad}, []int{1, 1}, []int{1, 1}))
	x = gorgonia.Must(gorgonia.BroadcastAdd(x, n.weight(name+".bias", in*25, 1, out, 1, 1), nil, []byte{0, 2, 3}))
	x = gorgonia.Must(gorgonia.Rectify(x))
	return gorgonia.Must(gorgonia.MaxPool2D(x, tensor.Shape{2, 2}, []int{0, 0}, []int{2, 2}))
}

// step returns one training step with a cross entropy of logits.
func (n *gorgoniaNet) step(b *testing.B, logits *gorgonia.Node, batch int, solver gorgonia.Solver) func() {
	b.Helper()
	hot := make([]float32, batch*10)
	for i := range batch {
		hot[i*10+n.rng.IntN(10)] = 1
	}
	label := gorgonia.NewTensor(n.g, gorgonia.Float32, 2, gorgonia.WithName("label"), gorgonia.WithShape(batch, 10),
		gorgonia.WithValue(tensor.New(tensor.WithShape(batch, 10), tensor.WithBacking(hot))))
	p := gorgonia.Must(gorgonia.HadamardProd(gorgonia.Must(gorgonia.Log(gorgonia.Must(gorgonia.SoftMax(logits)))), label))
	cost := gorgonia.Must(gorgonia.Neg(gorgonia.Must(gorgonia.Mean(gorgonia.Must(gorgonia.Sum(p, 1))))))
	if _, err := gorgonia.Grad(cost, n.weights...); err != nil {
		b.Fatal(err)
	}
	vm := gorgonia.NewTapeMachine(n.g, gorgonia.BindDualValues(n.weights...))
	b.Cleanup(func() { vm.Close() })
	grads := gorgonia.NodesToValueGrads(n.weights)
	return func() {
		if err := vm.RunAll(); err != nil {
			b.Fatal(err)
		}
		if err := solver.Step(grads); err != nil {
			b.Fatal(err)
		}
		vm.Reset()
	}
}

func theirMLP(b *testing.B, batch int) func() {
	n := newGorgoniaNet()
	x := n.tensor("image", 1, batch, 784)
	x = gorgonia.Must(gorgonia.Rectify(n.linear(x, "fc1", 784, 512)))
	x = gorgonia.Must(gorgonia.Rectify(n.linear(x, "fc2", 512, 256)))
	return n.step(b, n.linear(x, "fc3", 256, 10), batch, gorgonia.NewVanillaSolver(gorgonia.WithLearnRate(0.1)))
}

func theirLeNet(b *testing.B, batch int) func() {
	n := newGorgoniaNet()
	x := n.conv(n.tensor("image", 1, batch, 1, 28, 28), "conv1", 1, 6, 2)
	x = gorgonia.Must(gorgonia.Reshape(n.conv(x, "conv2", 6, 16, 0), tensor.Shape{batch, 400}))
	x = gorgonia.Must(gorgonia.Rectify(n.linear(x, "fc1", 400, 120)))
	x = gorgonia.Must(gorgonia.Rectify(n.linear(x, "fc2", 120, 84)))
	return n.step(b, n.linear(x, "fc3", 84, 10), batch, gorgonia.NewAdamSolver(gorgonia.WithLearnRate(1e-3)))
}
