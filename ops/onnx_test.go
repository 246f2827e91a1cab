package ops_test

import (
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/graphrun/graphrun/graph"
)

// TestONNX holds the ONNX operators that ops name against the standard's own list of operators and versions.
func TestONNX(t *testing.T) {
	text, err := os.ReadFile("testdata/onnx.txt")
	if err != nil {
		t.Fatal(err)
	}
	known := strings.Split(string(text), "\n")
	for _, op := range graph.Ops() {
		if op.ONNX == "" {
			continue
		}
		if !slices.Contains(known, string(op.ONNX)) {
			t.Errorf("%s: ONNX is %q, which is no line of testdata/onnx.txt", op.Name, op.ONNX)
		}
		if since := op.ONNX.Since(); op.ONNX.Name() == "" || len(since) == 0 || !slices.IsSorted(since) {
			t.Errorf("%s: ONNX %q has the name %q and the versions %v", op.Name, op.ONNX, op.ONNX.Name(), since)
		}
	}
	if op := graph.LookupOp("matmul"); op.ONNX.Name() != "MatMul" || !slices.Equal(op.ONNX.Since(), []int{1, 9, 13}) {
		t.Errorf("matmul is ONNX's %s of versions %v, want MatMul of 1, 9 and 13", op.ONNX.Name(), op.ONNX.Since())
	}
	if op := graph.LookupOp("floor_div"); op.ONNX.Name() != "" || op.ONNX.Since() != nil {
		t.Errorf("floor_div is ONNX's %s of versions %v, want none", op.ONNX.Name(), op.ONNX.Since())
	}
}
