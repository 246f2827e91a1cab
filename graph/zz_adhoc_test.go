package graph_test

import (
	"testing"

	"github.com/graphrun/graphrun/graph"
	_ "github.com/graphrun/graphrun/ops"
)

func TestAdhoc(t *testing.T) {
	m, err := graph.Parse("mlp.graph", []byte(`graphrun 1
module @m
func @mlp(%x: f32[N,3], %t: f32[N,2], %w1: f32[3,5], %b1: f32[5], %w2: f32[5,2]) {
  %0 = matmul %x, %w1 : f32[N,5]
  %1 = add %0, %b1 : f32[N,5]
  %2 = relu %1 : f32[N,5]
  %3 = matmul %2, %w2 : f32[N,2]
  %4 = sub %3, %t : f32[N,2]
  %5 = square %4 : f32[N,2]
  %6 = mean %5 : f32[]
  %7 = grad %6, %w1 : f32[3,5]
  return %6, %7
}
`), graph.ParseOptions{})
	if err != nil {
		t.Fatal(err)
	}
	t.Log(m)
}
