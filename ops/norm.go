package ops

import (
	"github.com/graphrun/graphrun/graph"
)

var epsAttr = graph.AttrSpec{Name: "eps", Kind: graph.FloatAttr, Default: 1e-5, Doc: "what is added to the variance before the root is taken"}

var _ = graph.MustRegister(&graph.Op{
	Name: "standardize",
	Doc: "(x-mean)/sqrt(var+eps) over axes, with the mean and the biased variance of x over those axes as further results, which keep the axes " +
		"with size 1. It is the core of layer, group, instance and batch normalization.",
	Kind: graph.ReductionOp,
	Args: []graph.Arg{{Name: "x", Types: graph.Floats, Doc: "the tensor"}},
	Attrs: []graph.AttrSpec{
		{Name: "axes", Kind: graph.IntsAttr, Doc: "the axes over which mean and variance are taken; negative ones count from the end"},
		epsAttr,
	},
	Results: []string{"out", "mean", "var"},
	Body: func(b *graph.BodyCtx) []Value {
		x := b.In[0]
		axes, err := normAxes(b.Ints("axes"), b.Tensor(0).Rank())
		if err != nil {
			return refuse(b, "standardize", "%v: x is %s", err, b.Tensor(0))
		}
		mean := ReduceMean(x, axes, true)
		d := Sub(x, mean)
		variance := ReduceMean(Square(d), axes, true)
		return []Value{Mul(d, Rsqrt(Add(variance, b.Float("eps")))), mean, variance}
	},
	Grad: func(g *graph.GradCtx) []Value {
		x, y, mean, variance := g.In[0], g.Out[0], g.Out[1], g.Out[2]
		axes, _ := normAxes(g.Ints("axes"), x.Rank())
		dx := ZerosLike(x)
		if g.HasDy(0) {
			dx = emit1("standardize_grad", []Value{g.Dy(0), y, variance}, attr("axes", axes), attr("eps", g.Float("eps")))
		}
		n := count(x, axes)
		if g.HasDy(1) {
			dx = Add(dx, Div(g.Dy(1), n))
		}
		if g.HasDy(2) {
			dx = Add(dx, Mul(Sub(x, mean), Div(Mul(g.Dy(2), 2.0), n)))
		}
		return []Value{dx}
	},
	Props: graph.Props{Whole: true},
	Tol:   composed,
})

var _ = graph.MustRegister(&graph.Op{
	Name: "standardize_grad",
	Doc: "The gradient of standardize by x through its first result: (dy - mean(dy) - y*mean(dy*y)) / sqrt(var+eps). The parts of dy along the " +
		"constant and along y vanish, because mean and variance absorb them.",
	Kind: graph.ReductionOp,
	Args: []graph.Arg{
		{Name: "dy", Types: graph.Floats, Doc: "the gradient by y"},
		{Name: "y", Types: graph.Floats, Doc: "what standardize gives, of dy's type"},
		{Name: "var", Types: graph.Floats, Doc: "the variance that standardize gives"},
	},
	Attrs: []graph.AttrSpec{
		{Name: "axes", Kind: graph.IntsAttr, Doc: "the axes over which mean and variance are taken; negative ones count from the end"},
		epsAttr,
	},
	Results: out,
	Body: func(b *graph.BodyCtx) []Value {
		dy, y, variance := b.In[0], b.In[1], b.In[2]
		axes, err := normAxes(b.Ints("axes"), b.Tensor(0).Rank())
		if err != nil {
			return refuse(b, "standardize_grad", "%v: dy is %s", err, b.Tensor(0))
		}
		if !graph.EqualTypes(b.Tensor(0), b.Tensor(1)) {
			return refuse(b, "standardize_grad", "the types differ: dy is %s, y is %s", b.Tensor(0), b.Tensor(1))
		}
		want := graph.TensorType{DType: b.Tensor(0).DType, Shape: reducedShape(b.Tensor(0).Shape, axes, true)}
		if !graph.EqualTypes(b.Tensor(2), want) {
			return refuse(b, "standardize_grad", "want a variance of %s, have %s", want, b.Tensor(2))
		}
		along := Mul(y, ReduceMean(Mul(dy, y), axes, true))
		return []Value{Mul(Sub(Sub(dy, ReduceMean(dy, axes, true)), along), Rsqrt(Add(variance, b.Float("eps"))))}
	},
	Props: graph.Props{Whole: true},
	Tol:   composed,
})

// Standardize returns (x-mean)/sqrt(variance+eps) and the mean and the biased variance of x over axes, which both keep
// those axes with size 1.
func Standardize(x Value, axes []int, eps float64) (y, mean, variance Value) {
	x = toFloat(x)
	norm := make([]int, len(axes))
	for i, a := range axes {
		norm[i] = normAxis(a, x)
	}
	outs := emit("standardize", []Value{x}, attr("axes", norm), attr("eps", eps))
	if len(outs) < 3 {
		return outs[0], outs[0], outs[0]
	}
	return outs[0], outs[1], outs[2]
}

var _ = graph.MustRegister(&graph.Op{
	Name: "layer_norm",
	Doc: "x standardized over its last axes, times weight, plus bias (Ba et al. 2016; torch.nn.LayerNorm): the variance is " +
		"biased, eps stands inside the root.",
	ONNX: "LayerNormalization 17",
	Kind: graph.ReductionOp,
	Args: []graph.Arg{
		{Name: "x", Types: graph.Floats, Doc: "the tensor"},
		{Name: "affine", Types: graph.Floats, Variadic: true, Doc: "none, weight, or weight and bias, each of x's dtype and of the shape of its last axes"},
	},
	Attrs: []graph.AttrSpec{
		{Name: "axes", Kind: graph.IntAttr, Default: int64(1), Doc: "how many of the last axes to normalize over"},
		epsAttr,
	},
	Results: out,
	Body: func(b *graph.BodyCtx) []Value {
		x, k := b.Tensor(0), b.Int("axes")
		if k < 1 || k > x.Rank() {
			return refuse(b, "layer_norm", "want 1 to %d axes, have %d: x is %s", x.Rank(), k, x)
		}
		if len(b.In) > 3 {
			return refuse(b, "layer_norm", "want weight and bias at most, have %d operands after x", len(b.In)-1)
		}
		last := graph.TensorType{DType: x.DType, Shape: x.Shape[x.Rank()-k:]}
		for i, name := range []string{"weight", "bias"}[:len(b.In)-1] {
			if have := b.Tensor(i + 1); !graph.EqualTypes(have, last) {
				return refuse(b, "layer_norm", "%s: want %s for x of %s, have %s", name, last, x, have)
			}
		}
		y, _, _ := Standardize(b.In[0], lastAxes(x.Rank(), k), b.Float("eps"))
		if len(b.In) > 1 {
			y = Mul(y, b.In[1])
		}
		if len(b.In) > 2 {
			y = Add(y, b.In[2])
		}
		return []Value{y}
	},
	Props: graph.Props{Whole: true},
	Tol:   composed,
})

// lastAxes returns the last k axes of a rank.
func lastAxes(rank, k int) []int {
	axes := make([]int, k)
	for i := range axes {
		axes[i] = rank - k + i
	}
	return axes
}

// LayerNorm standardizes x over its last axes and, if affine holds them, multiplies by a weight and adds a bias of the
// shape of those axes.
func LayerNorm(x Value, axes int, eps float64, affine ...Value) Value {
	return emit1("layer_norm", append([]Value{x}, affine...), attr("axes", axes), attr("eps", eps))
}
