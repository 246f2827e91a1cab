package picture

import (
	"strings"

	"github.com/graphrun/graphrun/graph"
)

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

var kinds = map[string]Kind{
	"matmul": Product, "conv": Product, "conv_input_grad": Product, "conv_weight_grad": Product,
	"max_pool": Pooling, "avg_pool": Pooling, "adaptive_avg_pool": Pooling,
	"max_pool_grad": Pooling, "avg_pool_grad": Pooling, "adaptive_avg_pool_grad": Pooling,
	"argmax": Reduction, "argmin": Reduction, "cumprod": Reduction, "cumsum": Reduction, "layer_norm": Reduction, "log_softmax": Reduction,
	"logsumexp": Reduction, "softmax": Reduction, "softmax_cross_entropy": Reduction, "binary_cross_entropy": Reduction,
	"standardize": Reduction, "standardize_grad": Reduction, "std": Reduction, "var": Reduction, "topk": Reduction, "sort": Reduction,
	"concat": Shape, "expand": Shape, "gather": Shape, "gather_elements": Shape, "index_add": Shape, "scatter_add": Shape,
	"pad": Shape, "pad_mode": Shape, "pad_mode_grad": Shape, "reshape": Shape, "slice": Shape, "slice_grad": Shape, "split": Shape,
	"transpose": Shape, "shift": Shape, "tril": Shape, "triu": Shape, "cast": Shape, "dim_size": Shape, "iota": Shape, "nonzero": Shape,
	"stop_gradient": Shape,
	"random_normal": Random, "random_uniform": Random, "dropout": Random,
	"call": Control, "custom_grad": Control, "recurrence": Control, "grad": Control,
	"read": Variable, "constant": Constant,
}

// kindOf is the kind of a node; that of a fused one is its product's, a reduction's, or that of the last node in it.
func kindOf(n *graph.Node) Kind {
	name := n.Op().Name
	if n.IsFused() {
		best := Elementwise
		for _, r := range n.Regions() {
			for _, x := range r.Nodes() {
				switch k := kindOf(x); {
				case k == Product:
					return Product
				case k == Reduction:
					best = Reduction
				}
			}
		}
		return best
	}
	if k, ok := kinds[name]; ok {
		return k
	}
	switch {
	case strings.HasPrefix(name, "reduce_"):
		return Reduction
	case n.Op().Props.Random:
		return Random
	case n.Op().Props.Elementwise:
		return Elementwise
	case n.Op().NumRegions > 0:
		return Control
	}
	return Other
}
