package graph_test

import (
	"fmt"

	"github.com/graphrun/graphrun/graph"
	"github.com/graphrun/graphrun/graph/value"
	"github.com/graphrun/graphrun/ops"
)

// Declaring appends nodes; nothing is computed. The text of the module shows every node with its type.
func Example() {
	m := graph.NewModule("line")
	w := m.Variable("w", graph.F32, []int{3}, func(f *graph.Func, key graph.Value) graph.Value {
		return ops.Full(f, graph.F32, 0.5, 3)
	})
	f := m.Func("predict")
	x := f.Input("x", graph.F32, "N", 3)
	f.Return("y", ops.Sum(ops.Mul(x, w.Read(f)), 1))
	fmt.Print(m)
	// Output:
	// graphrun 2
	// module @line
	//
	// var @w: f32[3] = init(%key: u64[2]) {
	//   %0 = constant {value=f32[] [0.5]} : f32[]
	//   %1 = expand %0 {shape=[3]} : f32[3]
	//   return value: %1
	// }
	//
	// func @predict(%x: f32[N,3]) {
	//   %0 = read {var=@w} : f32[3]
	//   %1 = mul %x, %0 : f32[N,3]
	//   %2 = reduce_sum %1 {axes=[1], keepdims=false} : f32[N]
	//   return y: %2
	// }
}

// A gradient is a node until the compiler expands it.
func ExampleGrad() {
	m := graph.NewModule("m")
	f := m.Func("f")
	x := f.Input("x", graph.F64)
	y := ops.Mul(ops.Square(x), x)
	dy := graph.Grad(y, x)[0]
	f.Return("d2y", graph.Grad(dy, x)[0])
	fmt.Print(f)
	// Output:
	// func @f(%x: f64[]) {
	//   %0 = square %x : f64[]
	//   %1 = mul %0, %x : f64[]
	//   %2 = grad %1, %x : f64[]
	//   %3 = grad %2, %x : f64[]
	//   return d2y: %3
	// }
}

// Every fault is kept with the line of its call; what depends on a refused value adds nothing.
func ExampleModule_Err() {
	m := graph.NewModule("faulty")
	f := m.Func("f")
	x := f.Input("x", graph.F32, "N", 784)
	w := f.Input("w", graph.F32, 512, 256)
	h := ops.ReLU(ops.MatMul(x, w))
	f.Return("y", ops.Softmax(h, 1))
	f.Return("z", ops.Transpose(w, 2, 0))
	fmt.Println(m.Err())
	// Output:
	// example_test.go:64: matmul: inner dimensions differ: a is f32[N,784], b is f32[512,256]
	// example_test.go:66: transpose: want each axis from 0 to 1 once, have [2 0]: x is f32[512,256]
}

// Parse reads what Print writes.
func ExampleParse() {
	m, err := graph.Parse("model.graph", []byte(`graphrun 2
module @m
func @f(%x: f32[N]) {
  %y = exp %x
  return %y
}
`), graph.ParseOptions{})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Print(m.LookupFunc("f"))
	_, err = graph.Parse("model.graph", []byte("graphrun 2\nmodule @m\nfunc @f(%x: f32[N]) {\n  %y = exq %x\n  return %y\n}\n"), graph.ParseOptions{})
	fmt.Println(err)
	// Output:
	// func @f(%x: f32[N]) {
	//   %y = exp %x : f32[N]
	//   return 0: %y
	// }
	// model.graph:4: exq: there is no such operation: did you mean exp?
}

// The interpreter computes a function by the meaning of its operations, one node after the other.
func ExampleInterpreter() {
	m := graph.NewModule("m")
	f := m.Func("f")
	f.Return("y", ops.Add(ops.Square(f.Input("x", graph.F32, "N")), 1))
	ip := &graph.Interpreter{Visit: func(n *graph.Node, results []value.Value) error {
		fmt.Printf("%-8s %v\n", n.Op().Name, results[0])
		return nil
	}}
	x, _ := value.FromSlice([]float32{1, 2, 3}, 3)
	out, err := ip.Run(f, []value.Value{x})
	fmt.Println(out, err)
	// Output:
	// square   f32[3] [1 4 9]
	// constant f32[] 1
	// add      f32[3] [2 5 10]
	// [f32[3] [2 5 10]] <nil>
}

// Unify tells what the symbols of a declared type stand for.
func ExampleUnify() {
	want, _ := graph.ParseType("f32[2*N,C]")
	have, _ := graph.ParseType("f32[6,3]")
	env := map[string]graph.Dim{}
	fmt.Println(graph.Unify(want, have, env), env["N"], env["C"])
	odd, _ := graph.ParseType("f32[7,3]")
	fmt.Println(graph.Unify(want, odd, map[string]graph.Dim{}))
	// Output:
	// <nil> 3 3
	// want f32[2*N,C], have f32[7,3]: axis 0: 2*N cannot be 7, or the size N does not follow from the types
}
