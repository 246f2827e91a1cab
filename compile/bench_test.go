package compile_test

import (
	"fmt"
	"testing"

	"github.com/graphrun/graphrun/compile"
	"github.com/graphrun/graphrun/graph"
	"github.com/graphrun/graphrun/ops"
)

// deep declares a graph of about n nodes.
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

// BenchmarkCompile compiles graphs of two sizes: the time per node should not grow.
func BenchmarkCompile(b *testing.B) {
	for _, n := range []int{1000, 12800} {
		m := deep(n)
		b.Run(fmt.Sprintf("nodes=%d", n), func(b *testing.B) {
			for b.Loop() {
				if _, err := compile.Compile(m); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(n), "ns/node")
		})
	}
}

// BenchmarkDeclare builds a graph through the public API.
func BenchmarkDeclare(b *testing.B) {
	for b.Loop() {
		deep(1000)
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/1000, "ns/node")
}
