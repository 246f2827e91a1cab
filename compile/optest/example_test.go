package optest_test

import (
	"fmt"

	"github.com/graphrun/graphrun/compile/optest"
	"github.com/graphrun/graphrun/graph"
	"github.com/graphrun/graphrun/ops"
)

// cube declares x*x*x with the gradient factor*x*x.
func cube(name string, factor int) *graph.Op {
	return graph.MustRegister(&graph.Op{
		Name:    name,
		Doc:     "The cube of x, element-wise.",
		Args:    []graph.Arg{{Name: "x", Types: graph.Floats, Doc: "any shape"}},
		Results: []string{"out"},
		Infer:   func(c *graph.InferCtx) []graph.Type { return []graph.Type{c.Tensor(0)} },
		Ref: func(c *graph.RefCtx) {
			for i, x := range c.In[0].F {
				c.Out[0].F[i] = x * x * x
			}
		},
		Grad: func(g *graph.GradCtx) []graph.Value {
			return []graph.Value{ops.Mul(g.Dy(0), ops.Mul(ops.Square(g.In[0]), factor))}
		},
		Props:  graph.Props{Elementwise: true},
		Sample: "f64[2,3]",
	})
}

// The second op's gradient lacks the factor 3.
func ExampleCheck() {
	fmt.Println(optest.Check(cube("example_cube", 3)))
	fmt.Println(optest.Check(cube("example_wrong_cube", 1)))
	// Output:
	// <nil>
	// example_wrong_cube: sample 0 (f64[2,3]): gradient: operand 0, element 0: the rule gives 1.373149446, differences give 4.119448338
}
