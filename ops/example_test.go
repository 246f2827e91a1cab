package ops_test

import (
	"fmt"
	"strings"

	"github.com/graphrun/graphrun/graph"
	"github.com/graphrun/graphrun/graph/value"
	"github.com/graphrun/graphrun/ops"
)

// Operations nest without a look at errors. Numbers become constants, and casts show in the graph.
func Example() {
	m := graph.NewModule("m")
	f := m.Func("f")
	pixels := f.Input("pixels", graph.U8, "N", 784)
	f.Return("image", ops.Div(ops.Cast(pixels, graph.F32), 255))
	fmt.Print(f)
	// Output:
	// func @f(%pixels: u8[N,784]) {
	//   %0 = cast %pixels {to=f32} : f32[N,784]
	//   %1 = constant {value=f32[] [255]} : f32[]
	//   %2 = div %0, %1 : f32[N,784]
	//   return image: %2
	// }
}

// Shapes broadcast as NumPy's do. Two symbols do not: models give equal sizes one name.
func ExampleBroadcastShapes() {
	shape := func(dims ...any) []graph.Dim { s, _ := graph.Shape(dims...); return s }
	fmt.Println(ops.BroadcastShapes(shape("N", 1, 5), shape(4, 1)))
	fmt.Println(ops.BroadcastShapes(shape("N"), shape("M")))
	// Output:
	// [N 4 5] <nil>
	// [] sizes N and M of axis 0 (from the last: 0) do not broadcast
}

// Promote gives the dtype to which operands of two dtypes are cast, as PyTorch has it.
func ExamplePromote() {
	for _, pair := range [][2]graph.DType{{graph.I32, graph.F16}, {graph.U8, graph.I8}, {graph.F16, graph.BF16}, {graph.Bool, graph.U8}, {graph.String, graph.F32}} {
		d, err := ops.Promote(pair[0], pair[1])
		if err != nil {
			fmt.Println(err)
			continue
		}
		fmt.Println(pair[0], "with", pair[1], "is", d)
	}
	// Output:
	// i32 with f16 is f16
	// u8 with i8 is i16
	// f16 with bf16 is f32
	// bool with u8 is u8
	// there is no common dtype of string and f32
}

// A letter per axis: those that the result lacks are summed over.
func ExampleEinsum() {
	m := graph.NewModule("m")
	f := m.Func("f")
	q, k := f.Input("q", graph.F32, "B", 8, "T", 64), f.Input("k", graph.F32, "B", 8, "S", 64)
	fmt.Println(ops.Einsum("bhtd,bhsd->bhts", q, k).Type())
	// Output:
	// f32[B,8,T,S]
}

// An operation declares what it means; Evaluate computes it without a graph.
func ExampleTopK() {
	x, _ := value.FromSlice([]float32{3, 1, 4, 1, 5}, 5)
	op := graph.LookupOp("topk")
	doc, _, _ := strings.Cut(op.Doc, " (")
	fmt.Println(doc)
	outs, err := graph.Evaluate(op, []value.Value{x}, graph.Attrs{{Name: "k", Value: int64(2)}, {Name: "axis", Value: int64(0)}})
	fmt.Println(outs, err)
	// Output:
	// The k largest or smallest elements along an axis in order, and their indices as i64
	// [f32[2] [5 4] i64[2] [4 2]] <nil>
}

// The gradient of a rounding is zero; here it passes through, as the user says.
func ExampleCustomGrad() {
	m := graph.NewModule("m")
	f := m.Func("f")
	x := f.Input("x", graph.F32, "N")
	y := ops.CustomGrad(
		func(_ *graph.Func, x []graph.Value) []graph.Value { return []graph.Value{ops.Round(x[0])} },
		func(_ *graph.Func, _, _, dy []graph.Value) []graph.Value { return dy },
		x)[0]
	f.Return("y", y)
	fmt.Print(f)
	// Output:
	// func @f(%x: f32[N]) {
	//   %0 = custom_grad %x region(%0: f32[N]) {
	//     %1 = round %0 : f32[N]
	//     return 0: %1
	//   } region(%0: f32[N], %1: f32[N], %2: f32[N]) {
	//     return 0: %2
	//   } {inputs=1, results=1} : f32[N]
	//   return y: %0
	// }
}
