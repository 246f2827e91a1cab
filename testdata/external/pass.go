package main

import (
	"math"

	"github.com/graphrun/graphrun/compile"
	"github.com/graphrun/graphrun/graph"
	"github.com/graphrun/graphrun/ops"
)

// reciprocals is a pass that graphrun does not have. compile.Insert puts it into the pipeline.
var reciprocals = &compile.Pass{
	Name:  "example_reciprocals",
	Doc:   "Multiplies where a division is by a power of two. It stands after autodiff, whose rules divide too.",
	After: []string{"autodiff"},
	Run: func(c *compile.Context, m *graph.Module) error {
		return compile.ApplyRules(c, m, []*compile.Rule{divideByPower})
	},
}

var divideByPower = &compile.Rule{
	Name: "divide_by_power", Op: "div",
	Law: "x / c = x * (1/c), to the bit where c and 1/c are powers of two: both sides are the same number, rounded once",
	Apply: func(f *graph.Func, n *graph.Node) []graph.Value {
		x := n.Operands()[0]
		c, ok := n.Operands()[1].Constant()
		if dt := x.DType(); !ok || len(c.Shape()) > 0 || dt != graph.F32 && dt != graph.F64 {
			return nil
		}
		by := c.Float64s()[0]
		if fraction, exp := math.Frexp(by); math.Abs(fraction) != 0.5 || exp < -125 || exp > 125 {
			return nil
		}
		return []graph.Value{ops.Mul(x, f.Scalar(x.DType(), 1/by))}
	},
}
