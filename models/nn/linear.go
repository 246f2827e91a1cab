package nn

import (
	"github.com/graphrun/graphrun/graph"
	"github.com/graphrun/graphrun/models/initializer"
	"github.com/graphrun/graphrun/ops"
)

// Linear maps the last axis of x, of size in, to size out: y = x W' + b (torch.nn.Linear). x is float[..., in], y
// float[..., out]. Variables: weight [out, in] and, unless NoBias is given, bias [out], both initialized from
// U(-1/sqrt(in), 1/sqrt(in)). Options: NoBias, WeightInit, BiasInit.
func Linear(in, out int, opts ...Option) Layer {
	l := newLayer("linear")
	l.wantPositive("input features", in)
	l.wantPositive("output features", out)
	o := l.collect(opts, "NoBias", "WeightInit", "BiasInit")
	l.build = func(c *apply) Value {
		if !c.wantFloat(c.x) || !c.wantDim(c.x, -1, in, "input features") {
			return graph.Poison(c.f)
		}
		w := c.param("weight", []int{out, in}, orDefault(o.weightInit, initializer.Default(in)))
		y := ops.MatMul(c.x, ops.T(w))
		if !o.noBias {
			y = ops.Add(y, c.param("bias", []int{out}, orDefault(o.biasInit, initializer.Default(in))))
		}
		return y
	}
	return l
}

// PairLayer is a layer of two inputs.
type PairLayer interface {
	// Apply declares the layer's computation on x1 and x2 and returns the result; see Layer.
	Apply(x1, x2 Value, mode ...Mode) Value
}

type pairLayer struct{ *layer }

func (l pairLayer) Apply(x1, x2 Value, mode ...Mode) Value {
	return l.applyTo([]Value{x1, x2}, mode, 1, func(c *apply) []Value { return []Value{l.build(c)} })[0]
}

// Bilinear computes y_o = x1' W_o x2 + b_o for x1 of float[..., in1] and x2 of float[..., in2] with equal leading axes;
// y is float[..., out] (torch.nn.Bilinear). Variables: weight [out, in1, in2] and, unless NoBias is given, bias [out],
// both initialized from U(-1/sqrt(in1), 1/sqrt(in1)). Options: NoBias, WeightInit, BiasInit.
func Bilinear(in1, in2, out int, opts ...Option) PairLayer {
	l := newLayer("bilinear")
	l.wantPositive("first input features", in1)
	l.wantPositive("second input features", in2)
	l.wantPositive("output features", out)
	o := l.collect(opts, "NoBias", "WeightInit", "BiasInit")
	l.build = func(c *apply) Value {
		x1, x2 := c.in[0], c.in[1]
		if !c.wantFloat(x1) || !c.wantDim(x1, -1, in1, "first input features") || !c.wantDim(x2, -1, in2, "second input features") {
			return graph.Poison(c.f)
		}
		w := c.param("weight", []int{out, in1, in2}, orDefault(o.weightInit, initializer.Default(in1)))
		// x1 by all W_o at once, then each with x2
		rows := ops.MatMul(x1, ops.Reshape(ops.Transpose(w, 1, 0, 2), in1, out*in2))
		lead := x1.Rank() - 1
		dims := make([]any, 0, lead+2)
		for _, d := range x1.Shape()[:lead] {
			dims = append(dims, d)
		}
		y := ops.ReduceSum(ops.Mul(ops.Reshape(rows, append(dims, out, in2)...), ops.Unsqueeze(x2, lead)), []int{-1}, false)
		if !o.noBias {
			y = ops.Add(y, c.param("bias", []int{out}, orDefault(o.biasInit, initializer.Default(in1))))
		}
		return y
	}
	return pairLayer{l}
}

// Maxout computes y_o = max over k of (W_ok . x + b_ok): a piecewise linear activation with learnt pieces (Goodfellow et
// al. 2013). x is float[..., in], y float[..., out]. Variables: weight [out, pieces, in] and, unless NoBias is given,
// bias [out, pieces], initialized as those of Linear. Pieces that tie share the gradient. Options: NoBias, WeightInit,
// BiasInit.
func Maxout(in, out, pieces int, opts ...Option) Layer {
	l := newLayer("maxout")
	l.wantPositive("input features", in)
	l.wantPositive("output features", out)
	l.wantPositive("pieces", pieces)
	o := l.collect(opts, "NoBias", "WeightInit", "BiasInit")
	l.build = func(c *apply) Value {
		if !c.wantFloat(c.x) || !c.wantDim(c.x, -1, in, "input features") {
			return graph.Poison(c.f)
		}
		w := c.param("weight", []int{out, pieces, in}, orDefault(o.weightInit, initializer.Default(in)))
		z := ops.MatMul(c.x, ops.T(ops.Reshape(w, out*pieces, in)))
		dims := make([]any, 0, c.x.Rank()+1)
		for _, d := range c.x.Shape()[:c.x.Rank()-1] {
			dims = append(dims, d)
		}
		z = ops.Reshape(z, append(dims, out, pieces)...)
		if !o.noBias {
			z = ops.Add(z, c.param("bias", []int{out, pieces}, orDefault(o.biasInit, initializer.Default(in))))
		}
		return ops.ReduceMax(z, []int{-1}, false)
	}
	return l
}

// MaxoutChannels takes the maximum over groups of adjacent channels: x is float[N, C, ...], y float[N, C/pieces, ...].
// Pieces that tie share the gradient.
func MaxoutChannels(pieces int) Layer {
	l := newLayer("maxout_channels")
	l.wantPositive("pieces", pieces)
	l.build = func(c *apply) Value {
		if c.x.Rank() < 2 {
			return c.refuse("want at least two axes, have %s", c.x.Type())
		}
		channels, ok := c.x.Shape()[1].Int()
		if !ok || channels%int64(pieces) != 0 {
			return c.refuse("the channels of %s do not divide into groups of %d", c.x.Type(), pieces)
		}
		dims := []any{c.x.Shape()[0], channels / int64(pieces), pieces}
		for _, d := range c.x.Shape()[2:] {
			dims = append(dims, d)
		}
		return ops.ReduceMax(ops.Reshape(c.x, dims...), []int{2}, false)
	}
	return l
}

// Flatten merges all axes from the second on: float[N, C, H, W] becomes float[N, C*H*W] (torch.nn.Flatten).
func Flatten() Layer {
	return pure(newLayer("flatten"), func(x Value) Value {
		if x.Rank() < 2 {
			return x
		}
		return ops.Flatten(x, 1, -1)
	})
}

// Identity returns its input (torch.nn.Identity).
func Identity() Layer {
	return pure(newLayer("identity"), func(x Value) Value { return x })
}
