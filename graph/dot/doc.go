// Package dot draws a function as a graph in the DOT language of Graphviz.
//
// An edge is a value: it leads from the node that computes it to one that uses it, and shows the value's type;
// where a node has several operands, the edge's head carries the operand's name. Constants and variables are small nodes beside
// each of their users. The layers that made the nodes are clusters, nested as the layers are. The tooltip of a node is the line of the call
// that declared it, and its layer.
//
// In a training step, the gradients of a layer are a cluster of their own, and an optimizer's step of a weight is one
// node, unless [Options] ask for all.
//
//	f.Return("y", ops.Exp(f.Input("x", graph.F32, "N", 3)))
//	err := dot.Write(os.Stdout, f, dot.Options{})
//
// prints, among the settings of fonts and colours,
//
//	// Node definitions.
//	n0 [
//		label="%x"
//	n1 [
//		label="exp"
//		tooltip="example_test.go:16"
//	n2 [
//		label="return y"
//	// Edge definitions.
//	n0 -> n1 [label="f32[N,3]"];
//	n1 -> n2 [label="f32[N,3]"];
//
// Any function can be drawn: what the user declared, or what compile.Optimize has made of it. Graphviz (dot -Tsvg) lays the
// text out.
package dot
