package dense_test

import (
	"context"
	"math/rand/v2"
	"testing"

	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"

	"github.com/graphrun/graphrun/compile"
	"github.com/graphrun/graphrun/graph"
	"github.com/graphrun/graphrun/graph/value"
	"github.com/graphrun/graphrun/ops"
	"github.com/graphrun/graphrun/runtime"
	"github.com/graphrun/graphrun/runtime/dense"
)

// engine is what the nets below are written against, so that graphrun and Gorgonia run the same ones.
type engine[V any] struct {
	matmul, add, mul, conv func(a, b V) V
	tanh, relu, pool, sum  func(a V) V
	flatten                func(a V, rows, cols int) V
}

func ours() engine[graph.Value] {
	type v = graph.Value
	return engine[v]{
		matmul: func(a, b v) v { return ops.MatMul(a, b) },
		add:    func(a, b v) v { return ops.Add(a, b) },
		mul:    func(a, b v) v { return ops.Mul(a, b) },
		conv:   func(x, w v) v { return ops.Conv(x, w, ops.ConvParams{Pads: []int{1, 1, 1, 1}}) },
		tanh:   ops.Tanh,
		relu:   ops.ReLU,
		pool: func(x v) v {
			y, _ := ops.MaxPool(x, ops.PoolParams{Kernel: []int{2, 2}})
			return y
		},
		sum:     func(x v) v { return ops.ReduceSum(x, nil, false) },
		flatten: func(x v, rows, cols int) v { return ops.Reshape(x, rows, cols) },
	}
}

func theirs() engine[*gorgonia.Node] {
	type v = *gorgonia.Node
	must := func(n v, err error) v {
		if err != nil {
			panic(err)
		}
		return n
	}
	return engine[v]{
		matmul: func(a, b v) v { return must(gorgonia.Mul(a, b)) },
		add:    func(a, b v) v { return must(gorgonia.Add(a, b)) },
		mul:    func(a, b v) v { return must(gorgonia.HadamardProd(a, b)) },
		conv: func(x, w v) v {
			return must(gorgonia.Conv2d(x, w, tensor.Shape{3, 3}, []int{1, 1}, []int{1, 1}, []int{1, 1}))
		},
		tanh:    func(x v) v { return must(gorgonia.Tanh(x)) },
		relu:    func(x v) v { return must(gorgonia.Rectify(x)) },
		pool:    func(x v) v { return must(gorgonia.MaxPool2D(x, tensor.Shape{2, 2}, []int{0, 0}, []int{2, 2})) },
		sum:     func(x v) v { return must(gorgonia.Sum(x)) },
		flatten: func(x v, rows, cols int) v { return must(gorgonia.Reshape(x, tensor.Shape{rows, cols})) },
	}
}

func mlp[V any](e engine[V], in []V) V {
	h := e.tanh(e.matmul(in[0], in[1]))
	y := e.matmul(h, in[2])
	return e.sum(e.mul(y, y))
}

func convNet[V any](e engine[V], in []V) V {
	h := e.pool(e.relu(e.conv(in[0], in[1])))
	y := e.matmul(e.flatten(h, 2, 4*3*2), in[2])
	return e.sum(e.mul(y, y))
}

// TestAgainstGorgonia runs two nets and their gradients on both engines, fed with the same memory.
func TestAgainstGorgonia(t *testing.T) {
	for _, c := range []struct {
		name   string
		ours   func(engine[graph.Value], []graph.Value) graph.Value
		theirs func(engine[*gorgonia.Node], []*gorgonia.Node) *gorgonia.Node
		shapes [][]int
	}{
		{"mlp", mlp[graph.Value], mlp[*gorgonia.Node], [][]int{{4, 3}, {3, 5}, {5, 2}}},
		{"conv", convNet[graph.Value], convNet[*gorgonia.Node], [][]int{{2, 3, 6, 4}, {4, 3, 3, 3}, {24, 5}}},
	} {
		t.Run(c.name, func(t *testing.T) {
			rng := rand.New(rand.NewPCG(1, 2))
			feeds := map[string]value.Value{}
			m := graph.NewModule(c.name)
			f := m.Func("f")
			g := gorgonia.NewGraph()
			var in []graph.Value
			var nodes []*gorgonia.Node
			names := []string{"a", "b", "c"}
			for i, shape := range c.shapes {
				n := 1
				dims := make([]any, len(shape))
				for k, d := range shape {
					n *= d
					dims[k] = d
				}
				data := make([]float64, n)
				for k := range data {
					data[k] = rng.NormFloat64()
				}
				d := tensor.New(tensor.WithShape(shape...), tensor.WithBacking(data))
				v, err := dense.FromDense(d)
				if err != nil {
					t.Fatal(err)
				}
				feeds[names[i]] = v
				in = append(in, f.Input(names[i], graph.F64, dims...))
				nodes = append(nodes, gorgonia.NewTensor(g, gorgonia.Float64, len(shape), gorgonia.WithName(names[i]), gorgonia.WithShape(shape...), gorgonia.WithValue(d)))
			}
			loss := c.ours(ours(), in)
			f.Return("loss", loss)
			for i, dx := range graph.Grad(loss, in...) {
				f.Return("d"+names[i], dx)
			}
			prog, err := compile.Compile(m)
			if err != nil {
				t.Fatal(err)
			}
			sess, err := runtime.NewSession(prog)
			if err != nil {
				t.Fatal(err)
			}
			got, err := sess.Run(context.Background(), "f", feeds)
			if err != nil {
				t.Fatal(err)
			}

			cost := c.theirs(theirs(), nodes)
			if _, err := gorgonia.Grad(cost, nodes...); err != nil {
				t.Fatal(err)
			}
			vm := gorgonia.NewTapeMachine(g, gorgonia.BindDualValues(nodes...))
			defer vm.Close()
			if err := vm.RunAll(); err != nil {
				t.Fatal(err)
			}
			want := value.Scalar(cost.Value().Data().(float64))
			if err := value.AllClose(got["loss"].(*value.Tensor), want, 1e-12, 0); err != nil {
				t.Errorf("loss: %v", err)
			}
			for i, n := range nodes {
				dv, err := n.Grad()
				if err != nil {
					t.Fatal(err)
				}
				want, err := dense.FromDense(dv.(*tensor.Dense))
				if err != nil {
					t.Fatal(err)
				}
				if err := value.AllClose(got["d"+names[i]].(*value.Tensor), want, 1e-10, 1e-12); err != nil {
					t.Errorf("gradient of %s: %v", names[i], err)
				}
			}
		})
	}
}
