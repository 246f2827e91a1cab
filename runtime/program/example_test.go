package program_test

import (
	"fmt"

	"github.com/graphrun/graphrun/compile"
	"github.com/graphrun/graphrun/graph"
	"github.com/graphrun/graphrun/ops"
	"github.com/graphrun/graphrun/runtime/program"
)

// A function is a list of instructions over slots: b is fused into the product, and the reshape moves nothing.
func Example() {
	m := graph.NewModule("m")
	f := m.Func("f")
	a, b := f.Input("a", graph.F32, "N", 3), f.Input("b", graph.F32, 4)
	w := f.Input("w", graph.F32, 3, 4)
	h := ops.ReLU(ops.Add(ops.MatMul(a, w), b))
	f.Return("y", ops.MatMul(ops.Reshape(h, "N", 2, 2), f.Input("v", graph.F32, 2, 1)))
	prog, err := compile.Compile(m)
	if err != nil {
		fmt.Println(err)
		return
	}
	p := prog.Funcs["f"]
	for i, s := range p.Slots {
		switch s.Place {
		case program.Arena:
			fmt.Printf("slot %d: %v, %d*N bytes in the arena\n", i, s.Type, p.Plan.Sizes[i].Per)
		case program.Input:
			fmt.Printf("slot %d: %v, the caller's %s\n", i, s.Type, p.Inputs[s.Index].Name)
		case program.Output:
			fmt.Printf("slot %d: %v, %d*N bytes for the caller: %s\n", i, s.Type, p.Plan.Sizes[i].Per, p.Outputs[s.Index].Name)
		case program.View:
			fmt.Printf("slot %d: %v, a view of slot %d\n", i, s.Type, s.Index)
		}
	}
	for _, ins := range p.Instrs {
		fmt.Println(ins.Node.Op().Name, ins.In, "to", ins.Out, "moves:", !ins.Alias())
	}
	// Output:
	// slot 0: f32[N,3], the caller's a
	// slot 1: f32[4], the caller's b
	// slot 2: f32[3,4], the caller's w
	// slot 3: f32[2,1], the caller's v
	// slot 4: f32[N,4], 16*N bytes in the arena
	// slot 5: f32[2*N,2], a view of slot 4
	// slot 6: f32[2*N,1], 8*N bytes for the caller: y
	// slot 7: f32[N,2,1], a view of slot 6
	// fused [0 2 1] to [4] moves: true
	// reshape [4] to [5] moves: false
	// matmul [5 3] to [6] moves: true
	// reshape [6] to [7] moves: false
}
