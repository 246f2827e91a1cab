package nn_test

import (
	"context"
	"fmt"

	"github.com/graphrun/graphrun/compile"
	"github.com/graphrun/graphrun/graph"
	"github.com/graphrun/graphrun/graph/value"
	"github.com/graphrun/graphrun/models/nn"
	"github.com/graphrun/graphrun/models/optim"
	"github.com/graphrun/graphrun/runtime"
)

// A network is declared once and applied in every function that needs it; training learns the exclusive or.
func Example() {
	m := graph.NewModule("xor")
	net := nn.Sequential(nn.Linear(2, 8), nn.Tanh(), nn.Linear(8, 2))
	predict := m.Func("predict")
	predict.Return("logits", net.Apply(predict.Input("x", graph.F32, "N", 2)))
	train := m.Func("train")
	loss := nn.CrossEntropy(net.Apply(train.Input("x", graph.F32, "N", 2), nn.Training), train.Input("y", graph.I64, "N"))
	train.Return("loss", loss)
	optim.Adam(0.05).Minimize(loss)

	prog, err := compile.Compile(m)
	if err != nil {
		fmt.Println(err)
		return
	}
	sess, err := runtime.NewSession(prog, runtime.Seed(1))
	if err != nil {
		fmt.Println(err)
		return
	}
	x, _ := value.FromSlice([]float32{0, 0, 0, 1, 1, 0, 1, 1}, 4, 2)
	y, _ := value.FromSlice([]int64{0, 1, 1, 0}, 4)
	ctx := context.Background()
	for range 100 {
		if _, err := sess.Run(ctx, "train", map[string]value.Value{"x": x, "y": y}); err != nil {
			fmt.Println(err)
			return
		}
	}
	out, err := sess.Run(ctx, "predict", map[string]value.Value{"x": x})
	if err != nil {
		fmt.Println(err)
		return
	}
	logits := out["logits"].(*value.Tensor).Float64s()
	for i := range 4 {
		fmt.Println(logits[2*i+1] > logits[2*i])
	}
	// Output:
	// false
	// true
	// true
	// false
}

// Faults come back from Compile, all of them, with the line of the layer's constructor.
func ExampleLayer_faults() {
	m := graph.NewModule("faulty")
	net := nn.Sequential(nn.Linear(4, 3, nn.Stride(2)), nn.Dropout(1.5))
	f := m.Func("f")
	f.Return("y", net.Apply(f.Input("x", graph.F32, "N", 4)))
	_, err := compile.Compile(m)
	fmt.Println(err)
	// Output:
	// example_test.go:64: linear: it does not take the option Stride: want one of NoBias, WeightInit, BiasInit, Name
	// example_test.go:64: dropout: want a probability between 0 and 1, have 1.5
}

// A layer makes nodes and variables: the text shows both, under the names of PyTorch's state_dict.
func ExampleSequential() {
	m := graph.NewModule("m")
	predict := m.Func("predict")
	net := nn.Sequential(nn.Linear(2, 8), nn.Tanh(), nn.Linear(8, 1))
	predict.Return("y", net.Apply(predict.Input("x", graph.F32, "N", 2)))
	fmt.Print(predict)
	// Output:
	// func @predict(%x: f32[N,2]) {
	//   %0 = read {var=@0.weight} : f32[8,2]
	//   %1 = transpose %0 {perm=[1,0]} : f32[2,8]
	//   %2 = matmul %x, %1 {transpose_a=false, transpose_b=false} : f32[N,8]
	//   %3 = read {var=@0.bias} : f32[8]
	//   %4 = add %2, %3 : f32[N,8]
	//   %5 = tanh %4 : f32[N,8]
	//   %6 = read {var=@2.weight} : f32[1,8]
	//   %7 = transpose %6 {perm=[1,0]} : f32[8,1]
	//   %8 = matmul %5, %7 {transpose_a=false, transpose_b=false} : f32[N,1]
	//   %9 = read {var=@2.bias} : f32[1]
	//   %10 = add %8, %9 : f32[N,1]
	//   return y: %10
	// }
}
