// Package draw draws a function as a picture, SVG or PNG, and needs no other program to do so.
//
//	m := graph.NewModule("m")
//	f := m.Func("f")
//	x := f.Input("x", graph.F32, "N", 3)
//	m.At(graph.Pos{}, "fc", func() {
//		x = ops.Add(ops.MatMul(x, f.Input("w", graph.F32, 3, 2)), 1)
//	})
//	f.Return("y", ops.ReLU(x))
//	err := draw.Write(&svg, draw.SVG, f, draw.Options{})
//
// writes a picture whose text is text: the example takes it out again and prints
//
//	m @f
//	product
//	element-wise
//	constant
//	fc
//	%x
//	f32[N,3]
//	%w
//	f32[3,2]
//	matmul
//	f32[N,2]
//	1
//	add
//	f32[N,2]
//	relu
//	f32[N,2]
//	return y
//
// which are the title, the legend of the colours, the frame around the layer fc, and the boxes: below each, where the edge
// begins, the type of its result, and before the box add the constant beside it. Where the pointer rests, an SVG says the line of the call
// that declared a box.
//
// A training step has three columns: forward; gradient, in which edges point up, so that a layer's gradient stands beside the layer;
// and the optimizer, in which one box is the whole step of a weight. [Options] can have every operation drawn, add lines to the boxes, and
// show beside the graph what lies where in the arena ([Memory]).
//
// The layout is made of layers (Sugiyama's method), with the network simplex of Gansner and others for ranks and places. The same
// function gives the same bytes. Package dot writes the same picture as text for Graphviz.
package draw
