package picture

import "github.com/graphrun/graphrun/graph"

// Kind is what a box or a source is: its colour.
type Kind uint8

// The kinds.
const (
	Other       Kind = iota
	Input            // a parameter
	Result           // of the function
	Update           // of a variable
	Product          // matrix products and convolutions
	Elementwise      // each element for itself
	Reduction        // sums, norms, softmax
	Pooling
	Shape   // values keep what they are and change places
	Random  // what draws
	Control // what carries regions or calls
	Optimize
	Statistics
	Variable
	Constant
)

// Names are the kinds as a legend shows them; "" for what explains itself.
var Names = [...]string{
	Other: "other", Product: "product", Elementwise: "element-wise", Reduction: "reduction", Pooling: "pooling", Shape: "shape",
	Random: "random", Control: "control", Optimize: "optimizer", Statistics: "statistics", Variable: "variable", Constant: "constant",
	Input: "input", Result: "result", Update: "update",
}

// families are the kinds of boxes that show the kinds of ops.
var families = [...]Kind{
	graph.OtherOp: Other, graph.ProductOp: Product, graph.ElementwiseOp: Elementwise, graph.ReductionOp: Reduction, graph.PoolingOp: Pooling,
	graph.ShapeOp: Shape, graph.ViewOp: Shape, graph.RandomOp: Random, graph.ControlOp: Control,
}

// kindOf is the kind of a node; that of a fused one is its product's, a reduction's, or that of element-wise nodes.
func kindOf(n *graph.Node) Kind {
	switch {
	case n.IsConstant():
		return Constant
	case n.Variable() != nil:
		return Variable
	case !n.IsFused():
		return families[n.Op().Family()]
	}
	best := Elementwise
	for _, r := range n.Regions() {
		for _, x := range r.Nodes() {
			switch kindOf(x) {
			case Product:
				return Product
			case Reduction:
				best = Reduction
			}
		}
	}
	return best
}
