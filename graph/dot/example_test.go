package dot_test

import (
	"fmt"
	"os"

	"github.com/graphrun/graphrun/graph"
	"github.com/graphrun/graphrun/graph/dot"
	"github.com/graphrun/graphrun/ops"
)

// A function with one operation: the input, the operation and the result are nodes, values are edges.
func ExampleWrite() {
	m := graph.NewModule("m")
	f := m.Func("f")
	f.Return("y", ops.Exp(f.Input("x", graph.F32, "N", 3)))
	err := dot.Write(os.Stdout, f, dot.Options{})
	if err != nil {
		fmt.Println(err)
	}
	// Output:
	// digraph "m @f" {
	// 	graph [
	// 		label="m @f"
	// 		labelloc="t"
	// 		newrank="true"
	// 		fontname="Helvetica"
	// 	];
	// 	node [
	// 		fontname="Helvetica"
	// 		fontsize="10"
	// 	];
	// 	edge [
	// 		fontname="Helvetica"
	// 		fontsize="10"
	// 	];
	//
	// 	// Node definitions.
	// 	n0 [
	// 		label="%x"
	// 		shape="ellipse"
	// 		style="filled"
	// 		fillcolor="#dbeafe"
	// 		tooltip="example_test.go:16"
	// 	];
	// 	n1 [
	// 		label="exp"
	// 		shape="box"
	// 		style="rounded,filled"
	// 		fillcolor="#dcfce7"
	// 		tooltip="example_test.go:16"
	// 	];
	// 	n2 [
	// 		label="return y"
	// 		shape="ellipse"
	// 		style="filled"
	// 		fillcolor="#dcfce7"
	// 	];
	//
	// 	// Edge definitions.
	// 	n0 -> n1 [label="f32[N,3]"];
	// 	n1 -> n2 [label="f32[N,3]"];
	// }
}
