package ops

import (
	"github.com/graphrun/graphrun/graph"
	"github.com/graphrun/graphrun/graph/value"
)

var _ = graph.MustRegister(&graph.Op{
	Name: "cast",
	Doc: "Converts the elements to another dtype (torch.Tensor.to). To floats it rounds to nearest even; floats are " +
		"truncated to integers, which wrap; anything but zero is true; strings are parsed and printed. value.ConvertMode has the details.",
	ONNX: "Cast 1 6 9 13 19 21 23 24 25 28",
	Kind: graph.ViewOp,
	Args: []graph.Arg{{Name: "x", Types: graph.AnyDType, Doc: "the tensor"}},
	Attrs: []graph.AttrSpec{
		{Name: "to", Kind: graph.DTypeAttr, Show: graph.ShowNever, Doc: "the dtype of the result"},
		{Name: "saturate", Kind: graph.BoolAttr, Default: true, Quiet: true, Doc: "whether what is beyond the range of an 8-bit float becomes its " +
			"largest number, not infinite or NaN"},
	},
	Results: out,
	Infer: func(c *graph.InferCtx) []graph.Type {
		return tensors(graph.TensorType{DType: c.DType("to"), Shape: c.Tensor(0).Shape})
	},
	Grad: func(g *graph.GradCtx) []Value {
		if from := g.In[0].DType(); from.IsFloat() && g.DType("to").IsFloat() {
			return []Value{graph.Round(g.Dy(0), from)}
		}
		return []Value{{}}
	},
	Ref: func(c *graph.RefCtx) {
		y, err := value.ConvertMode(c.In[0], c.DType("to"), value.CastMode{NoSaturate: !c.Bool("saturate")})
		if err != nil {
			c.Failf("%v", err)
		}
		c.Out[0] = y
	},
	Props:   graph.Props{Elementwise: true},
	InPlace: []int{0},
	FLOPs:   uncounted("it converts"),
})

// Cast returns x with its elements converted to dt, x itself if it has that dtype.
func Cast(x Value, dt graph.DType) Value {
	if x.OK() && x.DType() == dt {
		return x
	}
	return emit1("cast", []Value{x}, attr("to", dt))
}

// Widen casts the given values whose dtypes are floats for storage, such as f16, to f32, so that what several ops compute of them is rounded
// once: narrow casts its result back to their dtype. Where they have several dtypes, or none of them is such a float, the result has the
// dtype that it has, as an op on them has by promotion. Zero values, and nil, are passed over.
func Widen(values ...*Value) (narrow func(Value) Value) {
	common := value.Invalid
	several := false
	for _, v := range values {
		if v == nil || !v.OK() || !v.DType().IsFloat() {
			continue
		}
		several = several || common != value.Invalid && common != v.DType()
		if common = v.DType(); graph.IsNarrow(common) {
			*v = Cast(*v, graph.F32)
		}
	}
	return func(y Value) Value {
		if y.OK() && !several && graph.IsNarrow(common) && y.DType() == graph.F32 {
			return graph.Round(y, common)
		}
		return y
	}
}
