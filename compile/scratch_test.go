package compile_test

import (
	"testing"

	"github.com/graphrun/graphrun/compile"
	"github.com/graphrun/graphrun/graph"
)

// TestResultsFromScratch holds what passes made of large graphs against a check that relies on nothing they noted on the way.
func TestResultsFromScratch(t *testing.T) {
	for _, model := range models {
		for _, opts := range [][]compile.Option{nil, {compile.Portable()}, {compile.PassLimit(100)}} {
			o, err := compile.Optimize(model.declare(1000), opts...)
			if err == nil {
				err = graph.Verify(o)
			}
			if err != nil {
				t.Errorf("%s: %v", model.name, err)
			}
		}
	}
}
