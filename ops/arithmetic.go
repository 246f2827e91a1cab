package ops

import (
	"github.com/graphrun/graphrun/graph"
)

// binaryArgs declares the two operands of an element-wise op.
func binaryArgs(types graph.DTypeSet) []graph.Arg {
	return []graph.Arg{
		{Name: "a", Types: types, Doc: "the left operand"},
		{Name: "b", Types: types, Doc: "the right operand, of a's dtype; shapes broadcast"},
	}
}

// binarySamples covers equal shapes, either side broadcast, rank 0, and every dtype family.
func binarySamples(lo, hi float64, types ...string) []graph.Sample {
	feed := func(t string) graph.Feed { return graph.Feed{Type: t, Lo: lo, Hi: hi, Spread: true} }
	s := []graph.Sample{
		{In: []graph.Feed{feed("f64[2,3]"), feed("f64[2,3]")}},
		{In: []graph.Feed{feed("f64[2,3,5]"), feed("f64[3,1]")}},
		{In: []graph.Feed{feed("f64[4,1]"), feed("f64[2,1,3]")}},
		{In: []graph.Feed{feed("f64[]"), feed("f64[3]")}},
	}
	for _, t := range types {
		s = append(s, graph.Sample{In: []graph.Feed{{Type: t + "[2,3]", Lo: 1, Hi: 3}, {Type: t + "[3]", Lo: 1, Hi: 3}}})
	}
	return s
}

var _ = graph.MustRegister(&graph.Op{
	Name:    "add",
	Doc:     "The element-wise sum a+b with broadcasting (ONNX Add, torch.add). Integers wrap.",
	Args:    binaryArgs(graph.Numeric),
	Results: out,
	Infer:   inferBroadcast,
	Grad: func(g *graph.GradCtx) []Value {
		return []Value{SumTo(g.Dy(0), g.In[0].Shape()), SumTo(g.Dy(0), g.In[1].Shape())}
	},
	Ref: arith{
		f: func(a, b float64) float64 { return a + b },
		i: func(a, b int64) int64 { return a + b },
		u: func(a, b uint64) uint64 { return a + b },
	}.ref,
	Props:   graph.Props{Elementwise: true, Commutative: true},
	InPlace: []int{0, 1},
	Sample:  binarySamples(0, 0, "i8", "u8", "i64", "f16"),
})

// Add returns a+b, broadcast; dtypes are promoted as PyTorch's are.
func Add(a, b Operand) Value { return binary("add", a, b) }

// binary emits an element-wise op of two operands after promotion.
func binary(name string, a, b Operand) Value {
	in, ok := operands(name, a, b)
	if !ok {
		return in[0]
	}
	return emit1(name, in)
}
