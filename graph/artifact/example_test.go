package artifact_test

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"

	"github.com/graphrun/graphrun/graph"
	"github.com/graphrun/graphrun/graph/artifact"
	"github.com/graphrun/graphrun/graph/value"
	"github.com/graphrun/graphrun/graph/value/safetensors"
	"github.com/graphrun/graphrun/models/initializer"
	"github.com/graphrun/graphrun/models/optim"
	"github.com/graphrun/graphrun/ops"
)

// A model goes out and comes back: the graph as text, the weights as safetensors.
func Example() {
	m := graph.NewModule("line")
	w := m.Variable("w", graph.F32, []int{2}, initializer.Zeros().For(graph.F32, 2))
	f := m.Func("predict")
	f.Return("y", ops.MatMul(f.Input("x", graph.F32, "N", 2), w.Read(f)))
	trained, err := value.FromSlice([]float32{3, 4}, 2)
	if err != nil {
		fmt.Println(err)
		return
	}
	var text, weights bytes.Buffer
	err = artifact.Write(&text, &weights, m, map[string]*value.Tensor{"w": trained})
	if err != nil {
		fmt.Println(err)
		return
	}
	a, err := artifact.Read(&text, &weights)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(a.Module)
	fmt.Println(a.Weights["w"])
	// Output:
	// graphrun 2
	// module @line
	//
	// var @w: f32[2] = init(%key: u64[2]) {
	//   %0 = constant {value=f32[] [0]} : f32[]
	//   %1 = expand %0 {shape=[2]} : f32[2]
	//   return value: %1
	// }
	//
	// func @predict(%x: f32[N,2]) {
	//   %0 = read {var=@w} : f32[2]
	//   %1 = reshape %0 {shape=[2,1]} : f32[2,1]
	//   %2 = matmul %x, %1 {transpose_a=false, transpose_b=false} : f32[N,1]
	//   %3 = reshape %2 {shape=[N]} : f32[N]
	//   return y: %3
	// }
	//
	// f32[2] [3 4]
}

// line is a model of one weight, with a step of training.
func line() (*graph.Module, map[string]*value.Tensor) {
	m := graph.NewModule("line")
	w := m.Variable("w", graph.F32, nil, initializer.Ones().For(graph.F32))
	predict := m.Func("predict")
	predict.Return("y", ops.Mul(predict.Input("x", graph.F32, "N"), w.Read(predict)))
	train := m.Func("train")
	loss := ops.Mean(ops.Square(ops.Sub(ops.Mul(train.Input("x", graph.F32, "N"), w.Read(train)), train.Input("y", graph.F32, "N"))))
	train.Return("loss", loss)
	optim.SGD(0.1, optim.Momentum(0.9)).Minimize(loss)
	return m, map[string]*value.Tensor{"w": value.Scalar(float32(2))}
}

// What a model says about itself stands at the top of its text.
func ExampleInfo() {
	m := graph.NewModule("animals")
	f := m.Func("predict")
	f.Return("mean", ops.Mean(f.Input("x", graph.F32, "N", 1, 28, 28), 1, 2, 3))
	artifact.Info{
		Classes:    []string{"cat", "dog"},
		Preprocess: map[string]artifact.Preprocess{"x": {Mode: artifact.Gray, Scale: 1. / 255, Mean: []float64{0.5}, Std: []float64{0.5}}},
	}.Set(m)
	fmt.Print(m)
	// Output:
	// graphrun 2
	// module @animals
	// meta "classes" = "cat\ndog"
	// meta "preprocess.x" = "gray scale=1/255 mean=0.5 std=0.5"
	//
	// func @predict(%x: f32[N,1,28,28]) {
	//   %0 = reduce_mean %x {axes=[1,2,3], keepdims=false} : f32[N]
	//   return mean: %0
	// }
}

// A directory holds two files, and nothing else once Save has returned.
func ExampleSave() {
	tmp, err := os.MkdirTemp("", "")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer os.RemoveAll(tmp)
	dir := filepath.Join(tmp, "line")
	m, weights := line()
	if err := artifact.Save(dir, m, weights); err != nil {
		fmt.Println(err)
		return
	}
	files, err := os.ReadDir(dir)
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, f := range files {
		fmt.Println(f.Name())
	}
	a, err := artifact.LoadDir(dir)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(a.Weights["w"], a.Missing)
	// Output:
	// model.graph
	// model.safetensors
	// f32[] 2 [w.sgd.momentum_buffer lr]
}

// A service keeps what it calls.
func ExampleKeep() {
	m, weights := line()
	a, err := artifact.Keep(&artifact.Artifact{Module: m, Weights: weights}, "predict")
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Print(a.Module)
	// Output:
	// graphrun 2
	// module @line
	//
	// var @w: f32[] = init(%key: u64[2]) {
	//   %0 = constant {value=f32[] [1]} : f32[]
	//   return value: %0
	// }
	//
	// func @predict(%x: f32[N]) {
	//   %0 = read {var=@w} : f32[]
	//   %1 = mul %x, %0 : f32[N]
	//   return y: %1
	// }
}

// Weights that do not belong to the model are refused with all their names.
func ExampleReadWeights() {
	m, _ := line()
	var file bytes.Buffer
	err := safetensors.Write(&file, []safetensors.Named{{Name: "weight", Tensor: value.Scalar(float32(2))}}, nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	_, err = artifact.ReadWeights(&file, m)
	fmt.Println(err)
	// Output: weights: there is no value for @w f32[]; the model has no variable for "weight" f32[]
}
