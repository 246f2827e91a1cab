package models_test

import (
	"fmt"

	"github.com/graphrun/graphrun/graph"
	"github.com/graphrun/graphrun/models/nn"
	"github.com/graphrun/graphrun/ops"
)

// linear is x W' + bias on values.
func linear(x, w, bias graph.Value) graph.Value { return ops.Add(ops.MatMul(x, ops.T(w)), bias) }

// channels shapes a vector so that it broadcasts along the channels of NCHW.
func channels(v graph.Value) graph.Value { return ops.Reshape(v, 1, -1, 1, 1) }

var activations = map[string]func(x graph.Value) graph.Value{
	"tanh": ops.Tanh, "relu": ops.ReLU, "sigmoid": ops.Sigmoid, "Exp": ops.Exp, "ReLU": ops.ReLU, "Tanh": ops.Tanh, "Sigmoid": ops.Sigmoid,
	"SiLU": ops.SiLU, "Mish": ops.Mish, "SELU": ops.SELU, "Softsign": ops.Softsign, "LogSigmoid": ops.LogSigmoid, "Hardswish": ops.Hardswish,
	"Softplus":  func(x graph.Value) graph.Value { return ops.Softplus(x, 1, 20) },
	"GELU":      func(x graph.Value) graph.Value { return ops.GELU(x, "none") },
	"ELU":       func(x graph.Value) graph.Value { return ops.ELU(x, 1) },
	"CELU":      func(x graph.Value) graph.Value { return ops.CELU(x, 1) },
	"LeakyReLU": func(x graph.Value) graph.Value { return ops.LeakyReLU(x, 0.01) },
	"Log":       ops.Log, "Sin": ops.Sin, "Cos": ops.Cos, "Sqrt": ops.Sqrt, "Square": ops.Square, "Erf": ops.Erf,
	"Tan": ops.Tan, "Atan": ops.Atan, "Sinh": ops.Sinh, "Cosh": ops.Cosh, "Expm1": ops.Expm1, "Log1p": ops.Log1p, "Reciprocal": ops.Reciprocal,
	"Rsqrt": ops.Rsqrt, "Hardsigmoid": ops.Hardsigmoid, "ReLU6": ops.ReLU6, "Tanhshrink": ops.Tanhshrink,
}

// activation returns the case's activation function.
func (b *build) activation() func(x graph.Value) graph.Value {
	f := activations[b.str("activation")]
	if f == nil {
		b.t.Skipf("there is no activation %q", b.str("activation"))
	}
	return f
}

// y makes a builder of the one output y.
func y(f func(b *build) graph.Value) builder {
	return func(b *build) values { return values{"y": f(b)} }
}

func (b *build) conv() graph.Value {
	p := ops.ConvParams{Strides: b.ints("stride"), Pads: b.ints("padding"), Dilations: b.ints("dilation"), Groups: b.int("groups", 1)}
	return ops.Add(ops.Conv(b.x("x"), b.x("weight"), p), channels(b.x("bias")))
}

var _ = register(map[string]builder{
	"GradGradConv2d":     y(func(b *build) graph.Value { return b.conv() }),
	"GradGradConv2dTanh": y(func(b *build) graph.Value { return ops.Tanh(b.conv()) }),
	"GradGradConvTranspose2d": y(func(b *build) graph.Value {
		p := ops.ConvParams{Strides: b.ints("stride"), Pads: b.ints("padding"), Dilations: b.ints("dilation"), Groups: b.int("groups", 1)}
		return ops.Add(ops.ConvTranspose(b.x("x"), b.x("weight"), p, b.ints("output_padding")...), channels(b.x("bias")))
	}),
	"GradGradLinear":     y(func(b *build) graph.Value { return linear(b.x("x"), b.x("weight"), b.x("bias")) }),
	"GradGradMatmul":     y(func(b *build) graph.Value { return ops.MatMul(b.x("a"), b.x("b")) }),
	"GradGradActivation": y(func(b *build) graph.Value { return b.activation()(b.x("x")) }),
	"GradGradSoftmax":    y(func(b *build) graph.Value { return ops.Softmax(b.x("x"), b.int("dim", -1)) }),
	"GradGradLogSoftmax": y(func(b *build) graph.Value { return ops.LogSoftmax(b.x("x"), b.int("dim", -1)) }),
	"GradGradCrossEntropy": y(func(b *build) graph.Value {
		return nn.CrossEntropy(b.x("x"), b.x("target"), append(b.ignore(), nn.LabelSmoothing(b.num("label_smoothing", 0)))...)
	}),
	"GradGradMSE": y(func(b *build) graph.Value { return nn.MSE(b.x("x"), b.x("y"), b.reduction()...) }),
	"GradGradLayerNorm": y(func(b *build) graph.Value {
		return ops.LayerNorm(b.x("x"), 1, b.num("eps", 1e-5), b.x("weight"), b.x("bias"))
	}),
	"GradGradBatchNorm2d": y(func(b *build) graph.Value {
		y, _, _ := ops.Standardize(b.x("x"), []int{0, 2, 3}, b.num("eps", 1e-5))
		return ops.Add(ops.Mul(y, channels(b.x("weight"))), channels(b.x("bias")))
	}),
	"GradGradMaxPool2d": y(func(b *build) graph.Value {
		y, _ := ops.MaxPool(ops.Tanh(b.x("x")), ops.PoolParams{Kernel: b.ints("kernel_size")})
		return y
	}),
	"GradGradAvgPool2d": y(func(b *build) graph.Value {
		x := b.x("x") // the case pools x cubed: of x itself there is no second derivative
		return ops.AvgPool(ops.Mul(ops.Square(x), x), ops.PoolParams{Kernel: b.ints("kernel_size"), Strides: b.ints("stride"), Pads: b.ints("padding")})
	}),
	"GradGradRNN": y(func(b *build) graph.Value {
		x, h := b.x("x"), b.x("h0")
		var steps []graph.Value
		for t := range b.int("steps", 1) {
			h = ops.Tanh(ops.Add(linear(ops.At(x, 0, t), b.x("W_ih"), b.x("b")), ops.MatMul(h, ops.T(b.x("W_hh")))))
			steps = append(steps, h)
		}
		return ops.Stack(0, steps...)
	}),
	"GradGradLSTMCell": y(func(b *build) graph.Value {
		gates := ops.Add(linear(b.x("x"), b.x("W_ih"), b.x("b")), ops.MatMul(b.x("h"), ops.T(b.x("W_hh"))))
		g := ops.Chunk(gates, 4, 1)
		c := ops.Add(ops.Mul(ops.Sigmoid(g[1]), b.x("c")), ops.Mul(ops.Sigmoid(g[0]), ops.Tanh(g[2])))
		return ops.Mul(ops.Sigmoid(g[3]), ops.Tanh(c))
	}),
	"GradientPenalty": func(b *build) values {
		out := linear(ops.Tanh(linear(b.x("x"), b.x("W0"), b.x("b0"))), b.x("W1"), b.x("b1"))
		gx := graph.Grad(ops.Sum(out), b.x("x"))[0]
		off := ops.Sub(ops.Norm(gx, 2, []int{1}, false), 1.0)
		loss := ops.Add(ops.Mean(out), ops.Mul(ops.Mean(ops.Square(off)), b.num("weight", 1)))
		b.scalarGradients(loss)
		return values{"gx": gx, "loss": loss}
	},
	"HessianMLP": hessian,
})

// scalarGradients compares the case's gradients with those of a scalar, which have no cotangent.
func (b *build) scalarGradients(y graph.Value) {
	names := sortedKeys(b.roles["grads"])
	xs := make([]graph.Value, len(names))
	for i, name := range names {
		xs[i] = b.wrt(name)
	}
	for i, g := range graph.Grad(y, xs...) {
		b.ret("grad_"+names[i], g, b.roles["grads"][names[i]])
	}
}

func hessian(b *build) values {
	h := b.x("x")
	act := b.activation()
	n := len(b.ints("dims")) - 1
	for i := range n {
		h = linear(h, b.x(fmt.Sprint("W", i)), b.x(fmt.Sprint("b", i)))
		if i < n-1 {
			h = act(h)
		}
	}
	var loss graph.Value
	if b.str("loss") == "MSELoss" {
		loss = nn.MSE(h, b.x("target"))
	} else {
		loss = nn.CrossEntropy(h, b.x("target"))
	}
	var params []graph.Value
	order, _ := b.Attrs["order"].([]any)
	for _, name := range order {
		params = append(params, b.x(name.(string)))
	}
	// joined is the gradient of y over all parameters as one vector
	joined := func(y graph.Value) graph.Value {
		var flat []graph.Value
		for _, g := range graph.Grad(y, params...) {
			flat = append(flat, ops.Flatten(g, 0, -1))
		}
		return ops.Concat(0, flat...)
	}
	grad := joined(loss)
	size := b.roles["outputs"]["grad"].Len()
	var rows, products []graph.Value
	for i := range size {
		rows = append(rows, joined(ops.At(grad, 0, i)))
	}
	v := b.x("v")
	for j := range b.roles["const"]["v"].Shape()[1] {
		products = append(products, joined(ops.Dot(grad, ops.At(v, 1, j))))
	}
	return values{"loss": loss, "grad": grad, "hessian": ops.Stack(0, rows...), "hvp": ops.Stack(1, products...)}
}
