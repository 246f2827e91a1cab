package initializer_test

import (
	"fmt"
	"strings"

	"github.com/graphrun/graphrun/graph"
	"github.com/graphrun/graphrun/models/initializer"
)

// An initializer is stored with the variable, as the nodes that compute its first value from a random key.
func Example() {
	m := graph.NewModule("m")
	m.Variable("weight", graph.F32, []int{10, 784}, initializer.XavierUniform(1).For(graph.F32, 10, 784))
	_, text, _ := strings.Cut(m.String(), "\n\n") // without its header
	fmt.Print(text)
	// Output:
	// var @weight: f32[10,784] = init(%key: u64[2]) {
	//   %0 = random_uniform %key {dtype=f32, high=0.0869291381699617, low=-0.0869291381699617, shape=[10,784], stream=0} : f32[10,784]
	//   return value: %0
	// }
}

// The gain keeps the variance of a layer's results what it was before the activation.
func ExampleGain() {
	for _, f := range []string{"linear", "tanh", "relu"} {
		fmt.Printf("%s %.4f\n", f, initializer.Gain(f, 0))
	}
	// Output:
	// linear 1.0000
	// tanh 1.6667
	// relu 1.4142
}
