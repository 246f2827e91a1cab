package ops

import (
	"math"

	"github.com/graphrun/graphrun/graph"
)

var axisAttr = graph.AttrSpec{Name: "axis", Kind: graph.IntAttr, Default: int64(-1), Doc: "the axis over which to " +
	"normalize; a negative one counts from the end"}

// softmaxTol is the tolerance of both ops: of x-max, from -64 to where e^(x-max) is 0 in f32, half a unit in the last place is 64 of the exponential.
var softmaxTol = graph.Tol{ULP: 96, Why: "the rounding of x-max is magnified by |x-max| in the exponential"}

// expLane stores e^(x-max) of a lane in y, and returns the maximum and the sum of what it stored.
func expLane(x, y []float64, at, stride, n int) (top, sum float64) {
	top = math.Inf(-1)
	for i := range n {
		top = max(top, x[at+i*stride])
	}
	for i := range n {
		e := math.Exp(x[at+i*stride] - top)
		y[at+i*stride] = e
		sum += e
	}
	return top, sum
}

var _ = graph.MustRegister(&graph.Op{
	Name: "softmax",
	Doc: "e^x divided by its sum along an axis (torch.softmax). The maximum is taken out first, so that " +
		"nothing overflows. " +
		"A lane of nothing but -inf gives NaN.",
	ONNX:    "Softmax 1 11 13",
	Kind:    graph.ReductionOp,
	Args:    []graph.Arg{{Name: "x", Types: graph.Floats, Doc: "the logits"}},
	Attrs:   []graph.AttrSpec{axisAttr},
	Results: out,
	Infer:   inferAlongAxis,
	Grad: func(g *graph.GradCtx) []Value {
		y := g.Out[0]
		w := Mul(g.Dy(0), y)
		return []Value{Sub(w, Mul(y, ReduceSum(w, []int{g.Int("axis")}, true)))}
	},
	Ref: func(c *graph.RefCtx) {
		x, y := c.In[0].F, c.Out[0].F
		eachLane(c.In[0].Shape, c.Int("axis"), func(at, stride, n int) {
			_, sum := expLane(x, y, at, stride, n)
			for i := range n {
				y[at+i*stride] /= sum
			}
		})
	},
	InPlace: []int{0},
	Tol:     softmaxTol,
	FLOPs:   normalizing,
})

// Softmax returns e^x divided by its sum along axis, of x's shape.
func Softmax(x Value, axis int) Value {
	return emit1("softmax", []Value{toFloat(x)}, attr("axis", normAxis(axis, x)))
}

var _ = graph.MustRegister(&graph.Op{
	Name: "log_softmax",
	Doc: "The logarithm of softmax along an axis (torch.log_softmax), which neither overflows nor loses small " +
		"probabilities: x - max - log(sum(e^(x-max))).",
	ONNX:    "LogSoftmax 1 11 13",
	Kind:    graph.ReductionOp,
	Args:    []graph.Arg{{Name: "x", Types: graph.Floats, Doc: "the logits"}},
	Attrs:   []graph.AttrSpec{axisAttr},
	Results: out,
	Infer:   inferAlongAxis,
	Grad: func(g *graph.GradCtx) []Value {
		dy := g.Dy(0)
		return []Value{Sub(dy, Mul(Exp(g.Out[0]), ReduceSum(dy, []int{g.Int("axis")}, true)))}
	},
	Ref: func(c *graph.RefCtx) {
		x, y := c.In[0].F, c.Out[0].F
		eachLane(c.In[0].Shape, c.Int("axis"), func(at, stride, n int) {
			top, sum := expLane(x, y, at, stride, n)
			log := math.Log(sum)
			for i := range n {
				y[at+i*stride] = x[at+i*stride] - top - log
			}
		})
	},
	InPlace: []int{0},
	Tol:     graph.Tol{ULP: 4, Scale: 1},
	FLOPs:   normalizing,
})

// LogSoftmax returns the logarithm of Softmax(x, axis), of x's shape.
func LogSoftmax(x Value, axis int) Value {
	return emit1("log_softmax", []Value{toFloat(x)}, attr("axis", normAxis(axis, x)))
}
