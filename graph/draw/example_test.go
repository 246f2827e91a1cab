package draw_test

import (
	"bytes"
	"fmt"
	"regexp"

	"github.com/graphrun/graphrun/graph"
	"github.com/graphrun/graphrun/graph/draw"
	"github.com/graphrun/graphrun/ops"
)

// A drawing's text is text, so that it can be searched and selected.
func ExampleWrite() {
	m := graph.NewModule("m")
	f := m.Func("f")
	x := f.Input("x", graph.F32, "N", 3)
	m.At(graph.Pos{}, "fc", func() {
		x = ops.Add(ops.MatMul(x, f.Input("w", graph.F32, 3, 2)), 1)
	})
	f.Return("y", ops.ReLU(x))
	var svg bytes.Buffer
	err := draw.Write(&svg, draw.SVG, f, draw.Options{})
	if err != nil {
		fmt.Println(err)
	}
	for _, text := range regexp.MustCompile(`<text[^>]*>([^<]*)<`).FindAllSubmatch(svg.Bytes(), -1) {
		fmt.Printf("%s\n", text[1])
	}
	// Output:
	// m @f
	// product
	// element-wise
	// constant
	// fc
	// %x
	// f32[N,3]
	// %w
	// f32[3,2]
	// matmul
	// f32[N,2]
	// 1
	// add
	// f32[N,2]
	// relu
	// f32[N,2]
	// return y
}
