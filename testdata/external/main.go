// Command external is a module of its own: it registers an op that graphrun does not have, declares a model with it, compiles the
// model with a pass of its own (pass.go), trains it and prints the loss before and after.
package main

import (
	"context"
	"fmt"
	"log"

	"github.com/graphrun/graphrun/compile"
	"github.com/graphrun/graphrun/graph"
	"github.com/graphrun/graphrun/graph/value"
	"github.com/graphrun/graphrun/models/nn"
	"github.com/graphrun/graphrun/models/optim"
	"github.com/graphrun/graphrun/ops"
	"github.com/graphrun/graphrun/runtime"
)

// bump is exp(-x*x), declared as any op of graphrun is.
var bump = graph.MustRegister(&graph.Op{
	Name:    "example_bump",
	Doc:     "The Gaussian bump exp(-x*x), element-wise.",
	Args:    []graph.Arg{{Name: "x", Types: graph.Floats, Doc: "any shape"}},
	Results: []string{"out"},
	Body: func(b *graph.BodyCtx) []graph.Value {
		return []graph.Value{ops.Exp(ops.Neg(ops.Square(b.In[0])))}
	},
	Props:  graph.Props{Elementwise: true},
	Sample: "f64[2,3]",
})

// Bump returns exp(-x*x).
func Bump(x graph.Value) graph.Value { return graph.Apply(bump, []graph.Value{x}, nil)[0] }

func main() {
	m := graph.NewModule("xor")
	net := nn.Sequential(nn.Linear(2, 8), nn.Func(func(x graph.Value, _ ...nn.Mode) graph.Value { return Bump(x) }), nn.Linear(8, 1))
	train := m.Func("train")
	x := train.Input("x", graph.F32, "N", 2)
	y := train.Input("y", graph.F32, "N", 1)
	loss := nn.MSE(net.Apply(x), y)
	train.Return("loss", loss)
	optim.Adam(0.05).Minimize(loss)

	prog, err := compile.Compile(m, compile.Insert(reciprocals))
	if err != nil {
		log.Fatal(err)
	}
	sess, err := runtime.NewSession(prog, runtime.Seed(1))
	if err != nil {
		log.Fatal(err)
	}
	xs, _ := value.FromSlice([]float32{0, 0, 0, 1, 1, 0, 1, 1}, 4, 2)
	ys, _ := value.FromSlice([]float32{0, 1, 1, 0}, 4, 1)
	for step := range 301 {
		out, err := sess.Run(context.Background(), "train", map[string]value.Value{"x": xs, "y": ys})
		if err != nil {
			log.Fatal(err)
		}
		if step%300 == 0 {
			fmt.Printf("step %d: loss %.4f\n", step, out["loss"].(*value.Tensor).Float64s()[0])
		}
	}
}
