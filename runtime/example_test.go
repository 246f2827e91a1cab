package runtime_test

import (
	"context"
	"fmt"

	"github.com/graphrun/graphrun/compile"
	"github.com/graphrun/graphrun/graph"
	"github.com/graphrun/graphrun/graph/value"
	"github.com/graphrun/graphrun/ops"
	"github.com/graphrun/graphrun/runtime"
)

// A model is declared, compiled and trained: the loss, its gradient and the step are one graph. The line y = 2*x + 1 is
// found from four points.
func Example() {
	m := graph.NewModule("line")
	zero := func(f *graph.Func, _ graph.Value) graph.Value { return f.Scalar(graph.F32, 0) }
	a, b := m.Variable("a", graph.F32, nil, zero), m.Variable("b", graph.F32, nil, zero)
	line := func(f *graph.Func) graph.Value {
		return ops.Add(ops.Mul(f.Input("x", graph.F32, "N"), a.Read(f)), b.Read(f))
	}

	predict := m.Func("predict")
	predict.Return("y", line(predict))

	train := m.Func("train")
	loss := ops.Mean(ops.Square(ops.Sub(line(train), train.Input("y", graph.F32, "N"))))
	train.Return("loss", loss)
	grads := graph.Grad(loss, a.Read(train), b.Read(train))
	for i, v := range []*graph.Variable{a, b} {
		train.Update(v, ops.Sub(v.Read(train), ops.Mul(grads[i], 0.1)))
	}

	prog, err := compile.Compile(m)
	if err != nil {
		fmt.Println(err)
		return
	}
	sess, err := runtime.NewSession(prog)
	if err != nil {
		fmt.Println(err)
		return
	}
	x, _ := value.FromSlice([]float32{0, 1, 2, 3}, 4)
	y, _ := value.FromSlice([]float32{1, 3, 5, 7}, 4)
	ctx := context.Background()
	for step := range 401 {
		out, err := sess.Run(ctx, "train", map[string]value.Value{"x": x, "y": y})
		if err != nil {
			fmt.Println(err)
			return
		}
		if step%200 == 0 {
			fmt.Printf("step %d: loss %.4f\n", step, out["loss"].(*value.Tensor).Float64s()[0])
		}
	}
	ten, _ := value.FromSlice([]float32{10}, 1) // another batch size
	out, err := sess.Run(ctx, "predict", map[string]value.Value{"x": ten})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Printf("a = %.3f, b = %.3f, y(10) = %.2f\n", sess.Variable("a").Float64s()[0], sess.Variable("b").Float64s()[0], out["y"].(*value.Tensor).Float64s()[0])
	// Output:
	// step 0: loss 21.0000
	// step 200: loss 0.0000
	// step 400: loss 0.0000
	// a = 2.000, b = 1.000, y(10) = 21.00
}

// Updates are committed together when the call has succeeded; results and reads see the values before.
func ExampleSession_Run() {
	m := graph.NewModule("counter")
	n := m.Variable("n", graph.I64, nil, func(f *graph.Func, _ graph.Value) graph.Value { return f.Scalar(graph.I64, 12) })
	f := m.Func("share")
	among := f.Input("among", graph.I64)
	f.Return("each", ops.FloorDiv(n.Read(f), among))
	f.Return("n", n.Read(f))
	f.Update(n, ops.Sub(n.Read(f), 1))
	prog, err := compile.Compile(m)
	if err != nil {
		fmt.Println(err)
		return
	}
	sess, err := runtime.NewSession(prog)
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, among := range []int64{4, 0} {
		out, err := sess.Run(context.Background(), "share", map[string]value.Value{"among": value.Scalar(among)})
		fmt.Println(out["n"], out["each"], err, "then", sess.Variable("n"))
	}
	_, err = sess.Run(context.Background(), "share", nil)
	fmt.Println(err)
	// Output:
	// i64[] 12 i64[] 3 <nil> then i64[] 11
	// <nil> <nil> run share: example_test.go:78: floor_div: an integer is divided by zero then i64[] 11
	// run share: no feed for among (i64[])
}
