package ops_test

import (
	"testing"

	"github.com/graphrun/graphrun/compile/optest"
	"github.com/graphrun/graphrun/graph"
	"github.com/graphrun/graphrun/runtime/kernels/parallel"
)

// TestKernelsDoNotAllocate binds every kernel to the samples of its op and calls it again and again.
func TestKernelsDoNotAllocate(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector allocates")
	}
	parallel.SetThreads(2)
	defer parallel.SetThreads(0)
	for _, op := range graph.Ops() {
		lines, err := optest.Allocations(op)
		if err != nil {
			t.Errorf("%s: %v", op.Name, err)
		}
		for _, line := range lines {
			t.Error(line)
		}
	}
}
