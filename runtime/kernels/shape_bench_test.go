package kernels_test

import (
	"fmt"
	"testing"

	"github.com/graphrun/graphrun/graph"
	"github.com/graphrun/graphrun/graph/value"
	"github.com/graphrun/graphrun/ops"
)

// BenchmarkBroadcast measures what broadcasting and reductions cost on shapes of small nets.
func BenchmarkBroadcast(b *testing.B) {
	relu := func(_ *graph.Func, x []graph.Value) []graph.Value {
		return []graph.Value{ops.ReLU(ops.Add(x[0], x[1]))}
	}
	sum := func(axes ...int) func(*graph.Func, []graph.Value) []graph.Value {
		return func(_ *graph.Func, x []graph.Value) []graph.Value {
			return []graph.Value{ops.ReduceSum(ops.Mul(x[0], x[1]), axes, false)}
		}
	}
	for _, c := range []struct {
		name  string
		a, b  []int
		build func(*graph.Func, []graph.Value) []graph.Value
	}{
		{"bias", []int{64, 10}, []int{10}, relu},
		{"bias", []int{64, 256}, []int{256}, relu},
		{"column", []int{64, 10}, []int{64, 1}, relu},
		{"channel", []int{64, 6, 28, 28}, []int{6, 1, 1}, relu},
		{"channel", []int{64, 64, 7, 7}, []int{64, 1, 1}, relu},
		{"rows", []int{64, 10}, []int{64, 10}, sum(1)},
		{"columns", []int{64, 10}, []int{64, 10}, sum(0)},
		{"columns", []int{64, 512}, []int{64, 512}, sum(0)},
		{"channels", []int{64, 6, 28, 28}, []int{64, 6, 28, 28}, sum(0, 2, 3)},
		{"all", []int{64, 10}, []int{10}, sum(0, 1)},
		{"scalars", []int{}, []int{}, relu},
	} {
		b.Run(fmt.Sprint(c.name, c.a), func(b *testing.B) {
			var in []*value.Tensor
			var types []graph.TensorType
			for _, shape := range [][]int{c.a, c.b} {
				x, err := value.New(graph.F32, shape...)
				if err != nil {
					b.Fatal(err)
				}
				in = append(in, x)
				types = append(types, graph.TensorType{DType: graph.F32, Shape: graph.Ints(shape...)})
			}
			p := prepare(b, fusedNode(b, types, c.build), in)
			report(b, in[0].Len(), 4*in[0].Len(), func() { p.do(b) })
		})
	}
}
