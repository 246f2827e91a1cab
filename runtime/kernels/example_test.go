package kernels_test

import (
	"fmt"

	"github.com/graphrun/graphrun/graph"
	"github.com/graphrun/graphrun/runtime/kernels"
)

// The dtype of the first operand and the attributes decide; nil stands for the op's reference.
func ExampleLookup() {
	for _, dt := range []string{"f32", "i64", "f16"} {
		x, err := graph.ParseType(dt + "[N,8]")
		if err != nil {
			fmt.Println(err)
			return
		}
		for _, op := range []string{"cumsum", "softmax"} {
			k := kernels.Lookup(op, []graph.Type{x}, graph.Attrs{{Name: "axis", Value: int64(1)}})
			fmt.Println(op, x, k != nil)
		}
	}
	// Output:
	// cumsum f32[N,8] true
	// softmax f32[N,8] true
	// cumsum i64[N,8] true
	// softmax i64[N,8] false
	// cumsum f16[N,8] false
	// softmax f16[N,8] false
}
