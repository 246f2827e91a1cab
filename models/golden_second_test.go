package models_test

import (
	"fmt"
	"slices"
	"strings"

	"github.com/graphrun/graphrun/graph"
	"github.com/graphrun/graphrun/models/nn"
	"github.com/graphrun/graphrun/ops"
)

// linear is x W' + bias on values.
func linear(x, w, bias graph.Value) graph.Value { return ops.Add(ops.MatMul(x, ops.T(w)), bias) }

// channels shapes a vector so that it broadcasts along the channels of NCHW.
func channels(v graph.Value) graph.Value { return ops.Reshape(v, 1, -1, 1, 1) }

// activations are functions by the names that cases give them, in any case, with PyTorch's defaults.
var activations = map[string]func(x graph.Value) graph.Value{
	"tanh": ops.Tanh, "relu": ops.ReLU, "sigmoid": ops.Sigmoid, "silu": ops.SiLU, "mish": ops.Mish, "selu": ops.SELU, "softsign": ops.Softsign,
	"logsigmoid": ops.LogSigmoid, "hardswish": ops.Hardswish, "hardsigmoid": ops.Hardsigmoid, "relu6": ops.ReLU6, "tanhshrink": ops.Tanhshrink,
	"softplus":   func(x graph.Value) graph.Value { return ops.Softplus(x, 1, 20) },
	"gelu":       func(x graph.Value) graph.Value { return ops.GELU(x, "none") },
	"elu":        func(x graph.Value) graph.Value { return ops.ELU(x, 1) },
	"celu":       func(x graph.Value) graph.Value { return ops.CELU(x, 1) },
	"leakyrelu":  func(x graph.Value) graph.Value { return ops.LeakyReLU(x, 0.01) },
	"hardtanh":   func(x graph.Value) graph.Value { return ops.Hardtanh(x, -1, 1) },
	"hardshrink": func(x graph.Value) graph.Value { return ops.Hardshrink(x, 0.5) },
	"softshrink": func(x graph.Value) graph.Value { return ops.Softshrink(x, 0.5) },
	"identity":   func(x graph.Value) graph.Value { return x },
}

// activation returns the case's activation function.
func (b *build) activation() func(x graph.Value) graph.Value {
	f := activations[strings.ToLower(b.str("activation"))]
	if f == nil {
		b.t.Fatalf("there is no activation %q", b.str("activation"))
	}
	return f
}

// y makes a builder of the one output y.
func y(f func(b *build) graph.Value) builder {
	return func(b *build) values { return values{"y": f(b)} }
}

// pool returns what the poolings share, with PyTorch's defaults.
func (b *build) pool() ops.PoolParams {
	p := ops.PoolParams{Kernel: b.ints("kernel_size"), Strides: b.ints("stride"), Pads: b.ints("padding"), CeilMode: b.flag("ceil_mode", false)}
	if p.Strides == nil {
		p.Strides = p.Kernel
	}
	if len(p.Pads) == len(p.Kernel) {
		p.Pads = slices.Concat(p.Pads, p.Pads)
	}
	return p
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
	"GradGradLinear": y(func(b *build) graph.Value { return linear(b.x("x"), b.x("weight"), b.x("bias")) }),
	"GradGradMatmul": y(func(b *build) graph.Value { return ops.MatMul(b.x("a"), b.x("b")) }),
	"GradGradActivation": func(b *build) values { // any of the layers and functions, with their attributes
		if run := builders[b.str("activation")]; run != nil {
			return run(b)
		}
		return values{"y": b.activation()(b.x("x"))}
	},
	"GradGradSoftmax":    y(func(b *build) graph.Value { return ops.Softmax(b.x("x"), b.int("dim", -1)) }),
	"GradGradLogSoftmax": y(func(b *build) graph.Value { return ops.LogSoftmax(b.x("x"), b.int("dim", -1)) }),
	"GradGradCrossEntropy": y(func(b *build) graph.Value {
		return nn.CrossEntropy(b.x("x"), b.x("target"), append(b.ignore(), nn.LabelSmoothing(b.num("label_smoothing", 0)))...)
	}),
	"GradGradMSE": y(func(b *build) graph.Value { return nn.MSE(b.x("x"), b.x("y"), b.reduction()...) }),
	"GradGradLayerNorm": y(func(b *build) graph.Value {
		axes := max(1, len(b.ints("normalized_shape")))
		return ops.LayerNorm(b.x("x"), axes, b.num("eps", 1e-5), b.x("weight"), b.x("bias"))
	}),
	"GradGradBatchNorm2d": y(func(b *build) graph.Value {
		if !b.flag("training", true) {
			b.t.Fatal("without running statistics only the batch's can be used")
		}
		y, _, _ := ops.Standardize(b.x("x"), []int{0, 2, 3}, b.num("eps", 1e-5))
		return ops.Add(ops.Mul(y, channels(b.x("weight"))), channels(b.x("bias")))
	}),
	"GradGradMaxPool2d": y(func(b *build) graph.Value {
		p := b.pool()
		p.Dilations = b.ints("dilation")
		y, _ := ops.MaxPool(ops.Tanh(b.x("x")), p)
		return y
	}),
	"GradGradAvgPool2d": y(func(b *build) graph.Value {
		x := b.x("x") // the case pools x cubed: of x itself there is no second derivative
		p := b.pool()
		p.ExcludePad, p.Divisor = !b.flag("count_include_pad", true), b.int("divisor_override", 0)
		return ops.AvgPool(ops.Mul(ops.Square(x), x), p)
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
	order, _ := as[[]any](b.attrs, "order")
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
