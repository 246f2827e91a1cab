package ops

import (
	"github.com/graphrun/graphrun/graph"
	"github.com/graphrun/graphrun/runtime/value"
)

var _ = graph.MustRegister(&graph.Op{
	Name: "cast",
	Doc: "Converts the elements to another dtype (ONNX Cast, torch.Tensor.to). To floats it rounds to nearest even; floats are " +
		"truncated to integers, which wrap; anything but zero is true; strings are parsed and printed. value.Convert has the details.",
	Args:    []graph.Arg{{Name: "x", Types: graph.AnyDType, Doc: "the tensor"}},
	Attrs:   []graph.AttrSpec{{Name: "to", Kind: graph.DTypeAttr, Doc: "the dtype of the result"}},
	Results: out,
	Infer: func(c *graph.InferCtx) []graph.Type {
		return tensors(graph.TensorType{DType: c.DType("to"), Shape: c.Tensor(0).Shape})
	},
	Grad: func(g *graph.GradCtx) []Value {
		if from := g.In[0].DType(); from.IsFloat() && g.DType("to").IsFloat() {
			return []Value{Cast(g.Dy(0), from)}
		}
		return []Value{{}}
	},
	Ref: func(c *graph.RefCtx) {
		y, err := value.Convert(c.In[0], c.DType("to"))
		if err != nil {
			c.Failf("%v", err)
		}
		c.Out[0] = y
	},
	Props:   graph.Props{Elementwise: true},
	InPlace: []int{0},
	FLOPs:   uncounted("it converts"),
	Sample: []graph.Sample{
		castSample("f64[2,3]", "", graph.F64),
		castSample("f64[4]", "[0.5, 0.25, -1.5, 3]", graph.F32),
		castSample("f32[7]", "[1.5, -1.5, 1e30, -0.5, nan, inf, 300]", graph.I32),
		castSample("f32[7]", "[1.5, 65519, 65520, 1e-8, nan, -inf, 300]", graph.F16),
		castSample("f64[5]", "[1.00390625, 1.01171875, 3e38, 1e-41, -0]", graph.BF16),
		castSample("f64[4]", "[300, -300, 2.6, 0.07]", graph.DType(value.F8E4M3FN)),
		castSample("f16[2,3]", "", graph.F32),
		castSample("i64[4]", "[300, -1, 9007199254740993, -129]", graph.I8),
		castSample("i64[2]", "[9007199254740993, -9223372036854775808]", graph.U64),
		castSample("u64[2]", "[18446744073709551615, 1]", graph.F32),
		castSample("i8[2,3]", "", graph.Bool),
		castSample("bool[2,3]", "", graph.F32),
		castSample("f32[3]", "[0, nan, 0.1]", graph.Bool),
		castSample("f32[3]", "[0.1, nan, -0]", graph.String),
		castSample("string[3]", `["1.5", "-inf", "1e3"]`, graph.F32),
	},
})

func castSample(typ, values string, to graph.DType) graph.Sample {
	return graph.Sample{In: []graph.Feed{given(typ, values)}, Attrs: graph.Attrs{attr("to", to)}}
}

// Cast returns x with its elements converted to dt, x itself if it has that dtype.
func Cast(x Value, dt graph.DType) Value {
	if x.OK() && x.DType() == dt {
		return x
	}
	return emit1("cast", []Value{x}, attr("to", dt))
}
