package compile_test

import (
	"fmt"
	"testing"

	"github.com/graphrun/graphrun/compile"
	"github.com/graphrun/graphrun/graph"
	"github.com/graphrun/graphrun/ops"
)

// deep declares a chain of about n nodes.
func deep(n int) *graph.Module {
	m := graph.NewModule("deep")
	f := m.Func("f")
	x := f.Input("x", graph.F32, "N", 8)
	w := f.Input("w", graph.F32, 8, 8)
	for range n / 4 {
		x = ops.Tanh(ops.Add(ops.MatMul(x, w), x))
		x = ops.Mul(x, x)
	}
	f.Return("y", x)
	return m
}

// wide declares about n nodes that all take the same operand and end in one sum.
func wide(n int) *graph.Module {
	m := graph.NewModule("wide")
	f := m.Func("f")
	x := f.Input("x", graph.F32, "N", 8)
	sum := x
	for i := range n / 3 {
		sum = ops.Add(sum, ops.Mul(x, float64(i)+0.5))
	}
	f.Return("y", sum)
	return m
}

// calls declares n/8 functions, each of which calls the one before.
func calls(n int) *graph.Module {
	m := graph.NewModule("calls")
	var last *graph.Func
	for i := range n / 8 {
		f := m.Func(fmt.Sprintf("f%d", i))
		x := f.Input("x", graph.F32, "N", 8)
		if last != nil && i%8 != 0 { // inlined, a chain of calls has as many nodes as all its functions together, for each of them
			x = f.Call(last, x)[0]
		}
		f.Return("y", ops.Tanh(ops.Mul(x, x)))
		last = f
	}
	return m
}

// mlp declares a training step by stochastic gradient descent of about n nodes: linear layers with two variables each.
func mlp(n int) *graph.Module {
	m, f, x := trainee("mlp", "N", 8)
	for i := range n / 18 {
		x = ops.ReLU(linear(m, f, x, fmt.Sprintf("fc%d", i), 8, 8))
	}
	minimize(m, f, x)
	return m
}

// lenet declares a training step of about n nodes: blocks of a convolution, a ReLU and a linear layer.
func lenet(n int) *graph.Module {
	m, f, x := trainee("lenet", "N", 64)
	for i := range n / 40 {
		w := weight(m, fmt.Sprintf("conv%d.weight", i), 2, 1, 3, 3).Read(f)
		y := ops.ReLU(ops.Conv(ops.Reshape(x, "N", 1, 8, 8), w, ops.ConvParams{Pads: []int{1, 1, 1, 1}}))
		y, _ = ops.MaxPool(y, ops.PoolParams{Kernel: []int{2, 2}, Strides: []int{2, 2}})
		x = linear(m, f, ops.Reshape(y, "N", 32), fmt.Sprintf("fc%d", i), 32, 64)
	}
	minimize(m, f, x)
	return m
}

func trainee(name string, dims ...any) (*graph.Module, *graph.Func, graph.Value) {
	m := graph.NewModule(name)
	f := m.Func("train")
	return m, f, f.Input("x", graph.F32, dims...)
}

func weight(m *graph.Module, name string, dims ...int) *graph.Variable {
	return m.Variable(name, graph.F32, dims, func(f *graph.Func, _ graph.Value) graph.Value {
		sizes := make([]any, len(dims))
		for i, d := range dims {
			sizes[i] = d
		}
		return ops.RandomUniform(f, graph.F32, -1, 1, sizes...)
	})
}

func linear(m *graph.Module, f *graph.Func, x graph.Value, name string, in, out int) graph.Value {
	w, b := weight(m, name+".weight", out, in), weight(m, name+".bias", out)
	return ops.Add(ops.MatMul(x, ops.Transpose(w.Read(f), 1, 0)), b.Read(f))
}

func minimize(m *graph.Module, f *graph.Func, x graph.Value) {
	loss := ops.Neg(ops.ReduceMean(ops.LogSoftmax(x, 1), nil, false))
	f.Return("loss", loss)
	reads := make([]graph.Value, len(m.Variables()))
	for i, v := range m.Variables() {
		reads[i] = v.Read(f)
	}
	for i, d := range graph.Grad(loss, reads...) {
		f.Update(m.Variables()[i], ops.Sub(reads[i], ops.Mul(d, 0.1)))
	}
}

// models are what is compiled, by about how many nodes they have when calls are inlined and gradients are nodes.
var models = []struct {
	name    string
	declare func(n int) *graph.Module
}{{"chain", deep}, {"wide", wide}, {"calls", calls}, {"mlp", mlp}, {"lenet", lenet}}

// benchmark compiles graphs of three sizes and reports the time per node, which should not grow with the size. Nodes are those left
// by the portable passes.
func benchmark(b *testing.B, run func(m *graph.Module) error) {
	for _, model := range models {
		for _, n := range []int{1000, 12800, 100000} {
			b.Run(fmt.Sprintf("%s/%d", model.name, n), func(b *testing.B) {
				m := model.declare(n)
				o, err := compile.Optimize(m, portable)
				if err != nil {
					b.Fatal(err)
				}
				nodes := 0
				for _, f := range o.Funcs() {
					nodes += len(f.Nodes())
				}
				for b.Loop() {
					if err := run(m); err != nil {
						b.Fatal(err)
					}
				}
				b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(nodes), "ns/node")
				b.ReportMetric(float64(nodes), "nodes")
			})
		}
	}
}

// portable leaves out the passes that are made for a machine.
var portable = func() compile.Option {
	var names []string
	for _, p := range compile.Passes {
		if p.Name == "fuse" {
			break
		}
		names = append(names, p.Name)
	}
	return compile.Through(names...)
}()

func BenchmarkCompile(b *testing.B) {
	benchmark(b, func(m *graph.Module) error { _, err := compile.Compile(m); return err })
}

// BenchmarkOptimize runs the portable passes, with the verifier after each.
func BenchmarkOptimize(b *testing.B) {
	benchmark(b, func(m *graph.Module) error { _, err := compile.Optimize(m, portable); return err })
}

// BenchmarkDeclare builds a graph through the public API.
func BenchmarkDeclare(b *testing.B) {
	for b.Loop() {
		deep(1000)
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/1000, "ns/node")
}
