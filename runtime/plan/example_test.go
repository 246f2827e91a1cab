package plan_test

import (
	"fmt"

	"github.com/graphrun/graphrun/compile"
	"github.com/graphrun/graphrun/graph"
	"github.com/graphrun/graphrun/ops"
	"github.com/graphrun/graphrun/runtime/plan"
	"github.com/graphrun/graphrun/runtime/program"
)

// Four layers take the place of two: what one has read, the next but one writes over. The plan holds for every N, and
// Check refutes one that is wrong.
func Example() {
	m := graph.NewModule("m")
	f := m.Func("f")
	x := f.Input("x", graph.F32, "N", 100)
	for i := range 4 {
		x = ops.MatMul(x, f.Input(fmt.Sprintf("w%d", i), graph.F32, 100, 100))
	}
	f.Return("y", ops.Sum(x))
	prog, err := compile.Compile(m)
	if err != nil {
		fmt.Println(err)
		return
	}
	p := prog.Funcs["f"].Plan
	fmt.Printf("arena %d*N + %d bytes, at least %d*N + %d\n", p.Peak.Per, p.Peak.Fixed, p.Bound.Per, p.Bound.Fixed)
	fmt.Println("for N = 8:", p.Size(8), "bytes;", plan.Check(prog.Funcs["f"], p, 8))

	wrong := *p
	wrong.Offsets = make([]program.Affine, len(p.Offsets)) // all at the same place
	fmt.Println(plan.Check(prog.Funcs["f"], &wrong, 8))
	// Output:
	// arena 800*N + 64 bytes, at least 800*N + 0
	// for N = 8: 6464 bytes; <nil>
	// instruction 1 (matmul at example_test.go:20): slot 6 is written over operand 0, slot 5
}
