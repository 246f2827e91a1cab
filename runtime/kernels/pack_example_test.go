package kernels_test

import (
	"context"
	"fmt"

	"github.com/graphrun/graphrun/compile"
	"github.com/graphrun/graphrun/compile/optest"
	"github.com/graphrun/graphrun/graph"
	"github.com/graphrun/graphrun/graph/value"
	"github.com/graphrun/graphrun/runtime"
	"github.com/graphrun/graphrun/runtime/kernels"
)

// polynomial computes w[0] + w[1]*x + w[2]*x*x ...
var polynomial = graph.MustRegister(&graph.Op{
	Name: "example_polynomial",
	Doc:  "The polynomial of x with the coefficients w, that of x^0 first.",
	Args: []graph.Arg{
		{Name: "x", Types: graph.DTypes(graph.F64), Doc: "any shape"},
		{Name: "w", Types: graph.DTypes(graph.F64), Doc: "f64[K]"},
	},
	Results: []string{"y"},
	NoGrad:  "it is an example of a kernel",
	Infer: func(c *graph.InferCtx) []graph.Type {
		if w := c.Tensor(1); w.Rank() != 1 {
			c.Failf("want a vector of coefficients, have %s", w)
		}
		return []graph.Type{c.Tensor(0)}
	},
	Ref: func(c *graph.RefCtx) {
		for i, x := range c.In[0].F {
			power := 1.0
			for _, w := range c.In[1].F {
				c.Out[0].F[i] += w * power
				power *= x
			}
		}
	},
	Tol:    graph.Tol{Terms: func(in []graph.TensorType, _ graph.Attrs) int { k, _ := in[1].Shape[0].Int(); return int(k) }},
	Sample: "f64[2,3], f64[5]",
})

// falling is the key of a layout: the coefficients with that of the highest power first. Its type is nobody else's.
type falling struct{}

func fall(t *value.Tensor) any {
	rising, _ := value.Data[float64](t)
	w := make([]float64, len(rising))
	for i, x := range rising {
		w[len(w)-1-i] = x
	}
	return w
}

// An op has a kernel by Horner's rule, which reads the coefficients from the last to the first. They are brought into that order once
// for all calls where they are a constant of the program, else in each call.
func ExampleLayout() {
	err := kernels.Register(&kernels.Kernel{
		Op: "example_polynomial", DTypes: graph.DTypes(graph.F64),
		Pack: func(s *kernels.Spec, operand int) *kernels.Layout {
			if operand != 1 {
				return nil
			}
			return &kernels.Layout{Key: falling{}, Pack: fall}
		},
		Bind: func(s *kernels.Spec) (kernels.Func, error) {
			var packed *kernels.Packed
			if s.Packed != nil {
				packed = s.Packed[1]
			}
			k, _ := s.InTypes[1].Shape[0].Int()
			scratch := make([]float64, k)
			return func(c *kernels.Call) error {
				x, _ := value.Data[float64](c.In[0])
				y, _ := value.Data[float64](c.Out[0])
				w := scratch
				if packed != nil {
					w = packed.Data.([]float64) // not before a call: a variable is packed again when it has changed
				} else {
					rising, _ := value.Data[float64](c.In[1])
					for i, x := range rising {
						w[len(w)-1-i] = x
					}
				}
				for i, x := range x {
					y[i] = 0
					for _, w := range w {
						y[i] = y[i]*x + w
					}
				}
				return nil
			}, nil
		},
	})
	fmt.Println(err, optest.Check(polynomial)) // on packed coefficients and on plain ones

	m := graph.NewModule("m")
	f := m.Func("f")
	coefficients, _ := value.FromSlice([]float64{1, 0, 2}, 3)
	y := graph.Apply(polynomial, []graph.Value{f.Input("x", graph.F64, "N"), f.Const(coefficients)}, nil)[0]
	f.Return("y", y)
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
	x, _ := value.FromSlice([]float64{-1, 0, 3}, 3)
	out, err := sess.Run(context.Background(), "f", map[string]value.Value{"x": x})
	fmt.Println(out["y"], prog.Packs.Len(), err)
	// Output:
	// <nil> <nil>
	// f64[3] [3 1 19] 1 <nil>
}
