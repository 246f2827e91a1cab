package kernels

import "github.com/graphrun/graphrun/graph"

// Fusible reports whether a node can be one of several that a fused kernel computes.
func Fusible(n *graph.Node) bool {
	for _, t := range append(n.OperandTypes(), n.Types()...) {
		tt, ok := t.(graph.TensorType)
		if !ok || tt.DType == graph.String || graph.HasUnknown(tt) {
			return false
		}
	}
	return true
}
