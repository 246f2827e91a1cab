package compile_test

import (
	"fmt"
	"slices"

	"github.com/graphrun/graphrun/compile"
	"github.com/graphrun/graphrun/graph"
	"github.com/graphrun/graphrun/ops"
)

// Optimize shows what the passes make of a gradient: ordinary nodes, of which equal ones are one.
func ExampleOptimize() {
	m := graph.NewModule("m")
	f := m.Func("f")
	x := f.Input("x", graph.F32, "N")
	y := ops.Sum(ops.Tanh(x))
	f.Return("y", y)
	f.Return("dx", graph.Grad(y, x)[0])
	o, err := compile.Optimize(m, compile.Portable())
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Print(o.LookupFunc("f"))
	// Output:
	// func @f(%x: f32[N]) {
	//   %0 = tanh %x : f32[N]
	//   %1 = reduce_sum %0 {axes=[0], keepdims=false} : f32[]
	//   %2 = constant {value=f32[] [1]} : f32[]
	//   %3 = square %0 : f32[N]
	//   %4 = sub %2, %3 : f32[N]
	//   return y: %1, dx: %4
	// }
}

// Stats counts what the passes do, rule by rule.
func ExampleStats() {
	m := graph.NewModule("m")
	f := m.Func("f")
	x := f.Input("x", graph.F32, "N", 10)
	f.Return("y", ops.Log(ops.Softmax(ops.Add(ops.Neg(ops.Neg(x)), 0.0), 1)))
	var rows []compile.RowStats
	if _, err := compile.Optimize(m, compile.Stats(&rows)); err != nil {
		fmt.Println(err)
		return
	}
	for _, r := range rows {
		if len(r.Rewrites) > 0 {
			fmt.Println(r.Pass, r.Rewrites)
		}
	}
	// Output:
	// stabilize map[log_softmax:1]
	// simplify map[add_zero:1 neg_neg:1]
	// dce map[constant:1 neg:1 softmax:1]
}

// Compile returns all faults of a model at once.
func ExampleCompile() {
	m := graph.NewModule("m")
	f := m.Func("f")
	x := f.Input("x", graph.F32, "N", 3)
	f.Return("a", ops.Reshape(x, "N", 4))
	f.Return("b", ops.Concat(0, x, ops.Unsqueeze(x, 0)))
	_, err := compile.Compile(m)
	fmt.Println(err)
	// Output:
	// example_test.go:64: reshape: the number of elements changes: x is f32[N,3] with 3*N, the result would be f32[N,4] with 4*N
	// example_test.go:65: concat: want one dtype and rank: operand 0 is f32[N,3], operand 1 is f32[1,N,3]
}

// A rewrite states its law and where floats break it.
func ExampleRule() {
	i := slices.IndexFunc(compile.StabilizeRules, func(r *compile.Rule) bool { return r.Name == "log1p" })
	r := compile.StabilizeRules[i]
	fmt.Printf("%s: %s\nbreaks: %s\n", r.Name, r.Law, r.Breaks)
	// Output:
	// log1p: log(1 + x) = log1p(x)
	// breaks: left side loses the low bits of small x
}
