package zoo_test

import (
	"testing"

	"github.com/graphrun/graphrun/graph"
	"github.com/graphrun/graphrun/graph/dim"
	"github.com/graphrun/graphrun/models/zoo"
)

// TestLeNet5FLOPs holds the counts of LeNet-5's layers against numbers computed by hand.
func TestLeNet5FLOPs(t *testing.T) {
	model, _ := zoo.Lookup("lenet5")
	m := model.Build()
	if err := m.Err(); err != nil {
		t.Fatal(err)
	}
	layers := map[string]graph.Dim{}
	for _, n := range m.LookupFunc("predict").Nodes() {
		layers[n.Scope()] = dim.Sum(layers[n.Scope()], n.FLOPs())
	}
	const pool1, pool2 = 6 * 14 * 14 * 4, 16 * 5 * 5 * 4
	want := map[string]int64{
		"conv1": 28*28*6*25*2 + 28*28*6, // products, then the bias
		"1":     28 * 28 * 6,            // ReLU
		"2":     pool1,
		"conv2": 10*10*16*6*25*2 + 10*10*16,
		"4":     10 * 10 * 16,
		"5":     pool2,
		"fc1":   400*120*2 + 120,
		"8":     120,
		"fc2":   120*84*2 + 84,
		"10":    84,
		"fc3":   84*10*2 + 10,
	}
	total := int64(0)
	for layer, n := range want {
		total += n
		if got := layers[layer].String(); got != dim.Mul(dim.Const(n), dim.Sym("N")).String() {
			t.Errorf("layer %s: %s, want %d*N", layer, got, n)
		}
	}
	if got := m.LookupFunc("predict").FLOPs(); !got.Equal(dim.Mul(dim.Const(total), dim.Sym("N"))) {
		t.Errorf("predict: %s, want %d*N", got, total)
	}
}
