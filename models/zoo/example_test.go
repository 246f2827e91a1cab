package zoo_test

import (
	"context"
	"fmt"

	"github.com/graphrun/graphrun/compile"
	"github.com/graphrun/graphrun/graph/value"
	"github.com/graphrun/graphrun/models/optim"
	"github.com/graphrun/graphrun/models/zoo"
	"github.com/graphrun/graphrun/runtime"
)

// A model of the zoo takes the examples that it is built for, here of four numbers that belong to one of three classes.
func Example() {
	model, ok := zoo.Lookup("softmax")
	if !ok {
		fmt.Println("there is no such model; there are", zoo.Names())
		return
	}
	m := model.Build(zoo.Optimizer(optim.SGD(0.1)), zoo.Input(4), zoo.Classes(3))
	fmt.Print(m.LookupFunc("predict"))
	// Output:
	// func @predict(%image: f32[N,4]) {
	//   %0 = reshape %image {shape=[N,4]} : f32[N,4]
	//   %1 = read {var=@fc.weight} : f32[3,4]
	//   %2 = transpose %1 {perm=[1,0]} : f32[4,3]
	//   %3 = matmul %0, %2 {transpose_a=false, transpose_b=false} : f32[N,3]
	//   %4 = read {var=@fc.bias} : f32[3]
	//   %5 = add %3, %4 : f32[N,3]
	//   return logits: %5
	// }
}

// A few steps on two examples.
func ExampleModel_Build() {
	model, _ := zoo.Lookup("mlp")
	prog, err := compile.Compile(model.Build(zoo.Input(2), zoo.Classes(2)))
	if err != nil {
		fmt.Println(err)
		return
	}
	sess, err := runtime.NewSession(prog, runtime.Seed(1))
	if err != nil {
		fmt.Println(err)
		return
	}
	image, _ := value.FromSlice([]float32{0, 1, 1, 0}, 2, 2)
	label, _ := value.FromSlice([]int64{0, 1}, 2)
	batch := map[string]value.Value{"image": image, "label": label}
	ctx := context.Background()
	for range 50 {
		if _, err := sess.Run(ctx, "train", batch); err != nil {
			fmt.Println(err)
			return
		}
	}
	out, err := sess.Run(ctx, "eval", batch)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println("correct:", out["correct"])
	// Output:
	// correct: i64[] 2
}

// A shape that a model cannot take is a fault of the line that asks for it.
func ExampleInput() {
	model, _ := zoo.Lookup("lenet5")
	_, err := compile.Compile(model.Build(zoo.Input(1, 8, 8)))
	fmt.Println(err)
	// Output:
	// example_test.go:71: lenet5: want images [C,H,W] of at least 12 x 12, have examples of shape [1,8,8]
}
