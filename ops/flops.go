package ops

import (
	"github.com/graphrun/graphrun/graph"
	"github.com/graphrun/graphrun/graph/dim"
)

// perOperand counts n operations for each element of operand i.
// Not inlined: 2.2 kB of the service.
//
//go:noinline
func perOperand(i, n int, doc string) graph.Cost {
	return graph.Cost{Doc: doc, Count: func(in, _ []graph.TensorType, _ graph.Attrs) graph.Dim {
		return dim.Mul(dim.Const(int64(n)), in[i].NumElements())
	}}
}

// perElement counts one operation for each element of the only operand.
var perElement = perOperand(0, 1, "one for each element of the operand")

// normalizing counts the maximum, difference, exponential, sum and quotient of a lane's elements.
var normalizing = perOperand(0, 5, "5 for each element")

// convolving counts two operations for each product of a weight and an element of its window. The tensor of type w(in, out) is
// the kernels, y(in, out) what the convolution gives.
// Not inlined: 1.6 kB of the service.
//
//go:noinline
func convolving(w, y func(in, out []graph.TensorType) graph.TensorType) graph.Cost {
	return graph.Cost{
		Doc: "2 for each position of a window, element of a kernel and example: 2*N*OH*OW*O*C/groups*KH*KW in two dimensions",
		Count: func(in, out []graph.TensorType, _ graph.Attrs) graph.Dim {
			shape := y(in, out).Shape
			return dim.Product(dim.Const(2), shape[0], dim.Product(shape[2:]...), w(in, out).NumElements())
		},
	}
}

// pooling counts one operation for each cell of each window; y(in, out) has an element for each window.
// Not inlined: 1.5 kB of the service.
//
//go:noinline
func pooling(y func(in, out []graph.TensorType) graph.TensorType) graph.Cost {
	return graph.Cost{
		Doc: "one for each cell of each window",
		Count: func(in, out []graph.TensorType, a graph.Attrs) graph.Dim {
			cells := dim.Const(1)
			for _, k := range a.Ints("kernel") {
				cells = dim.Mul(cells, dim.Const(int64(k)))
			}
			return dim.Mul(cells, y(in, out).NumElements())
		},
	}
}

// nthIn and nthOut pick operand i and result i.
// Not inlined: 1.0 kB of the service.
//
//go:noinline
func nthIn(i int) func(in, out []graph.TensorType) graph.TensorType {
	return func(in, _ []graph.TensorType) graph.TensorType { return in[i] }
}

// Not inlined: 0.7 kB of the service.
//
//go:noinline
func nthOut(i int) func(in, out []graph.TensorType) graph.TensorType {
	return func(_, out []graph.TensorType) graph.TensorType { return out[i] }
}

// uncounted is the cost of an element-wise op that computes nothing.
func uncounted(why string) graph.Cost {
	return graph.Cost{Doc: "none: " + why, Count: func(_, _ []graph.TensorType, _ graph.Attrs) graph.Dim { return dim.Const(0) }}
}
