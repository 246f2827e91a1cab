package optim_test

import (
	"context"
	"fmt"

	"github.com/graphrun/graphrun/compile"
	"github.com/graphrun/graphrun/graph"
	"github.com/graphrun/graphrun/models/initializer"
	"github.com/graphrun/graphrun/models/optim"
	"github.com/graphrun/graphrun/ops"
	"github.com/graphrun/graphrun/runtime"
)

// A step of training is nodes like all others.
func Example() {
	m := graph.NewModule("bowl")
	w := m.Variable("w", graph.F32, nil, initializer.Ones().For(graph.F32))
	train := m.Func("train")
	loss := ops.Square(w.Read(train))
	train.Return("loss", loss)
	optim.SGD(0.1, optim.Momentum(0.9)).Minimize(loss)
	fmt.Print(train)
	// Output:
	// func @train() {
	//   %0 = read {var=@w} : f32[]
	//   %1 = square %0 : f32[]
	//   %2 = grad %1, %0 : f32[]
	//   %3 = read {var=@w.sgd.momentum_buffer} : f32[]
	//   %4 = constant {value=f32[] [0.9]} : f32[]
	//   %5 = mul %3, %4 : f32[]
	//   %6 = constant {value=f32[] [1]} : f32[]
	//   %7 = mul %2, %6 : f32[]
	//   %8 = add %5, %7 : f32[]
	//   %9 = read {var=@lr} : f64[]
	//   %10 = cast %9 {to=f32} : f32[]
	//   %11 = mul %8, %10 : f32[]
	//   %12 = sub %0, %11 : f32[]
	//   update @w.sgd.momentum_buffer = %8
	//   update @w = %12
	//   return loss: %1
	// }
}

// Replace goes on with another optimizer; the state of the old one is gone.
func ExampleReplace() {
	m := graph.NewModule("bowl")
	w := m.Variable("w", graph.F32, nil, initializer.Ones().For(graph.F32))
	train := m.Func("train")
	loss := ops.Square(w.Read(train))
	train.Return("loss", loss)
	optim.SGD(0.1, optim.Momentum(0.9)).Minimize(loss)

	err := optim.Replace(m, "train", "loss", optim.SGD(0.01))
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Print(train)
	for _, v := range m.Variables() {
		fmt.Println(v.Name(), v.IsOptimizerState())
	}
	// Output:
	// func @train() {
	//   %0 = read {var=@w} : f32[]
	//   %1 = square %0 : f32[]
	//   %2 = grad %1, %0 : f32[]
	//   %3 = read {var=@lr} : f64[]
	//   %4 = cast %3 {to=f32} : f32[]
	//   %5 = mul %2, %4 : f32[]
	//   %6 = sub %0, %5 : f32[]
	//   update @w = %6
	//   return loss: %1
	// }
	// w false
	// lr true
}

// A gradient of 1000 would take the weight far away.
func ExampleClipNorm() {
	m := graph.NewModule("steep")
	w := m.Variable("w", graph.F64, nil, initializer.Ones().For(graph.F64))
	train := m.Func("train")
	loss := ops.Mul(w.Read(train), 1000)
	train.Return("loss", loss)
	optim.SGD(0.5, optim.ClipNorm(1)).Minimize(loss)

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
	if _, err := sess.Run(context.Background(), "train", nil); err != nil {
		fmt.Println(err)
		return
	}
	fmt.Printf("%.4f\n", sess.Variable("w").Float64s()[0])
	// Output: 0.5000
}
