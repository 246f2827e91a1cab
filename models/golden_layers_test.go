package models_test

import (
	"fmt"
	"math"
	"slices"

	"github.com/graphrun/graphrun/graph"
	"github.com/graphrun/graphrun/models/nn"
	"github.com/graphrun/graphrun/ops"
)

// builders maps a case's operation to what declares it.
var builders = map[string]builder{}

func register(table map[string]builder) struct{} {
	for name, b := range table {
		if builders[name] != nil {
			panic("two builders for " + name)
		}
		builders[name] = b
	}
	return struct{}{}
}

// layerOf makes a builder of a layer of one input x and one output y, or of inputs x1, x2, ... that it takes one after the other.
func layerOf(construct func(c *golden) nn.Layer) builder {
	return func(b *build) values {
		var mode []nn.Mode
		if b.flag("training", false) {
			mode = append(mode, nn.Training)
		}
		l := construct(b.golden)
		if b.given("inputs", "x") {
			return values{"y": l.Apply(b.x("x"), mode...)}
		}
		outs := values{}
		for i := 1; b.given("inputs", fmt.Sprint("x", i)); i++ {
			outs[fmt.Sprint("y", i)] = l.Apply(b.x(fmt.Sprint("x", i)), mode...)
		}
		return outs
	}
}

// layer makes a builder of a layer without attributes.
func layer(construct func() nn.Layer) builder {
	return layerOf(func(*golden) nn.Layer { return construct() })
}

var _ = register(map[string]builder{
	"Linear": layerOf(func(c *golden) nn.Layer {
		return nn.Linear(c.int("in_features", 0), c.int("out_features", 0), c.bias()...)
	}),
	"Bilinear": func(b *build) values {
		l := nn.Bilinear(b.int("in1_features", 0), b.int("in2_features", 0), b.int("out_features", 0), b.bias()...)
		return values{"y": l.Apply(b.x("x1"), b.x("x2"))}
	},
	"Conv1d":          layerOf(convolution),
	"Conv2d":          layerOf(convolution),
	"Conv3d":          layerOf(convolution),
	"ConvTranspose1d": layerOf(convolution),
	"ConvTranspose2d": layerOf(convolution),
	"ConvTranspose3d": layerOf(convolution),
	"MaxPool1d":       maxPool,
	"MaxPool2d":       maxPool,
	"MaxPool3d":       maxPool,
	"MaxUnpool1d":     maxUnpool,
	"MaxUnpool2d":     maxUnpool,
	"MaxUnpool3d":     maxUnpool,
	"AvgPool1d":       layerOf(avgPool),
	"AvgPool2d":       layerOf(avgPool),
	"AvgPool3d":       layerOf(avgPool),
	"AdaptiveAvgPool2d": layerOf(func(c *golden) nn.Layer {
		size := c.ints("output_size") // null, which keeps the input's size, reads as 0
		return nn.AdaptiveAvgPool2d(size[0], size[len(size)-1])
	}),

	"ReLU":        layer(nn.ReLU),
	"LeakyReLU":   layerOf(func(c *golden) nn.Layer { return nn.LeakyReLU(c.num("negative_slope", 0.01)) }),
	"ELU":         layerOf(func(c *golden) nn.Layer { return nn.ELU(c.num("alpha", 1)) }),
	"SELU":        layer(nn.SELU),
	"CELU":        layerOf(func(c *golden) nn.Layer { return nn.CELU(c.num("alpha", 1)) }),
	"SiLU":        layer(nn.SiLU),
	"Mish":        layer(nn.Mish),
	"Hardswish":   layer(nn.Hardswish),
	"Hardsigmoid": layer(nn.Hardsigmoid),
	"Sigmoid":     layer(nn.Sigmoid),
	"LogSigmoid":  layer(nn.LogSigmoid),
	"Tanh":        layer(nn.Tanh),
	"Tanhshrink":  layer(nn.Tanhshrink),
	"Hardshrink":  layerOf(func(c *golden) nn.Layer { return nn.Hardshrink(c.num("lambd", 0.5)) }),
	"Softshrink":  layerOf(func(c *golden) nn.Layer { return nn.Softshrink(c.num("lambd", 0.5)) }),
	"Identity":    layer(nn.Identity),
	"ReLU6":       layer(nn.ReLU6),
	"Softsign":    layer(nn.Softsign),
	"Heaviside":   layer(nn.Heaviside),
	"Softplus":    layerOf(func(c *golden) nn.Layer { return nn.Softplus(c.num("beta", 1), c.num("threshold", 20)) }),
	"Threshold":   layerOf(func(c *golden) nn.Layer { return nn.Threshold(c.num("threshold", 0), c.num("value", 0)) }),
	"Hardtanh":    layerOf(func(c *golden) nn.Layer { return nn.Hardtanh(c.num("min_val", -1), c.num("max_val", 1)) }),
	"Softmax":     layerOf(func(c *golden) nn.Layer { return nn.Softmax(c.int("dim", -1)) }),
	"LogSoftmax":  layerOf(func(c *golden) nn.Layer { return nn.LogSoftmax(c.int("dim", -1)) }),
	"PReLU":       layerOf(func(c *golden) nn.Layer { return nn.PReLU(c.int("num_parameters", 1)) }),
	"GELU": layerOf(func(c *golden) nn.Layer {
		if c.str("approximate") == "tanh" {
			return nn.GELUTanh()
		}
		return nn.GELU()
	}),
	"Maxout": layerOf(func(c *golden) nn.Layer {
		return nn.Maxout(c.int("in_features", 0), c.int("out_features", 0), c.int("pieces", 0))
	}),
	"MaxoutChannels": layerOf(func(c *golden) nn.Layer { return nn.MaxoutChannels(c.int("pieces", 0)) }),

	"BatchNorm1d": layerOf(func(c *golden) nn.Layer { return nn.BatchNorm1d(c.int("num_features", 0), c.norm(true)...) }),
	"BatchNorm2d": layerOf(func(c *golden) nn.Layer { return nn.BatchNorm2d(c.int("num_features", 0), c.norm(true)...) }),
	"BatchNorm3d": layerOf(func(c *golden) nn.Layer { return nn.BatchNorm3d(c.int("num_features", 0), c.norm(true)...) }),
	"InstanceNorm1d": layerOf(func(c *golden) nn.Layer {
		return nn.InstanceNorm1d(c.int("num_features", 0), c.norm(false)...)
	}),
	"InstanceNorm2d": layerOf(func(c *golden) nn.Layer {
		return nn.InstanceNorm2d(c.int("num_features", 0), c.norm(false)...)
	}),
	"InstanceNorm3d": layerOf(func(c *golden) nn.Layer {
		return nn.InstanceNorm3d(c.int("num_features", 0), c.norm(false)...)
	}),
	"LayerNorm": layerOf(func(c *golden) nn.Layer {
		opts := append(c.bias(), nn.Eps(c.num("eps", 1e-5)), nn.Affine(c.flag("elementwise_affine", true)))
		return nn.LayerNorm(c.ints("normalized_shape"), opts...)
	}),
	"GroupNorm": layerOf(func(c *golden) nn.Layer {
		return nn.GroupNorm(c.int("num_groups", 0), c.int("num_channels", 0), nn.Eps(c.num("eps", 1e-5)), nn.Affine(c.flag("affine", true)))
	}),

	"Dropout":   dropout(nn.Dropout),
	"Dropout2d": dropout(nn.Dropout2d),
	"Dropout3d": dropout(nn.Dropout3d),
	"Embedding": func(b *build) values {
		var opts []nn.Option
		if b.has("padding_idx") {
			opts = append(opts, nn.PaddingIndex(b.int("padding_idx", 0)))
		}
		if b.flag("scale_grad_by_freq", false) {
			opts = append(opts, nn.ScaleGradByFreq())
		}
		dt := b.roles["params"]["weight"].DType()
		return values{"y": nn.Embedding(dt, b.int("num_embeddings", 0), b.int("embedding_dim", 0), opts...).Apply(b.x("ids"))}
	},
})

func (c *golden) bias() []nn.Option {
	if !c.flag("bias", true) {
		return []nn.Option{nn.NoBias()}
	}
	return nil
}

func (c *golden) norm(track bool) []nn.Option {
	opts := []nn.Option{nn.Eps(c.num("eps", 1e-5)), nn.Affine(c.flag("affine", track)), nn.RunningStats(c.flag("track_running_stats", track))}
	if c.null("momentum") {
		if !track { // torch.nn.InstanceNorm then leaves the running statistics alone
			return append(opts, nn.Momentum(0))
		}
		return append(opts, nn.CumulativeMomentum())
	}
	return append(opts, nn.Momentum(c.num("momentum", 0.1)))
}

func convolution(c *golden) nn.Layer {
	opts := append(c.bias(), nn.Stride(c.ints("stride")...), nn.Dilation(c.ints("dilation")...), nn.Groups(c.int("groups", 1)))
	switch c.any("padding") {
	case "same":
		opts = append(opts, nn.PaddingSame())
	case "valid":
	default:
		opts = append(opts, nn.Padding(c.ints("padding")...))
	}
	if c.has("padding_mode") {
		opts = append(opts, nn.PaddingMode(c.str("padding_mode")))
	}
	if c.has("output_padding") {
		opts = append(opts, nn.OutputPadding(c.ints("output_padding")...))
	}
	in, out, k := c.int("in_channels", 0), c.int("out_channels", 0), c.ints("kernel_size")
	switch c.Op {
	case "Conv1d":
		return nn.Conv1d(in, out, k[0], opts...)
	case "Conv2d":
		return nn.Conv2d(in, out, [2]int(k), opts...)
	case "Conv3d":
		return nn.Conv3d(in, out, [3]int(k), opts...)
	case "ConvTranspose1d":
		return nn.ConvTranspose1d(in, out, k[0], opts...)
	case "ConvTranspose2d":
		return nn.ConvTranspose2d(in, out, [2]int(k), opts...)
	}
	return nn.ConvTranspose3d(in, out, [3]int(k), opts...)
}

// maxPool takes values from the layer and indices from the op beneath it.
func maxPool(b *build) values {
	c, k := b.golden, b.ints("kernel_size")
	opts := []nn.Option{nn.Padding(c.ints("padding")...), nn.Dilation(c.ints("dilation")...)}
	p := ops.PoolParams{Kernel: k, Pads: c.ints("padding"), Dilations: c.ints("dilation"), CeilMode: c.flag("ceil_mode", false)}
	if c.has("stride") {
		opts = append(opts, nn.Stride(c.ints("stride")...))
		p.Strides = c.ints("stride")
	}
	if p.CeilMode {
		opts = append(opts, nn.CeilMode())
	}
	var l nn.Layer
	switch c.Op {
	case "MaxPool1d":
		l = nn.MaxPool1d(k[0], opts...)
	case "MaxPool2d":
		l = nn.MaxPool2d([2]int(k), opts...)
	default:
		l = nn.MaxPool3d([3]int(k), opts...)
	}
	outs := values{"y": l.Apply(b.x("x"))}
	if b.flag("return_indices", false) {
		p.Pads = slices.Concat(p.Pads, p.Pads)
		outs["indices"] = b.sampled(len(k), func(x graph.Value) graph.Value {
			_, indices := ops.MaxPool(x, p)
			return indices
		})
	}
	return outs
}

// sampled gives x to an op that wants a batch, though the case may have one sample only.
func (b *build) sampled(axes int, f func(x graph.Value) graph.Value) graph.Value {
	x := b.x("x")
	if x.Rank() == axes+1 {
		return ops.Squeeze(f(ops.Unsqueeze(x, 0)), 0)
	}
	return f(x)
}

func maxUnpool(b *build) values {
	k, s, p := b.ints("kernel_size"), b.ints("stride"), b.ints("padding")
	shape := b.roles["inputs"]["x"].Shape()
	size := b.ints("output_size")
	if size == nil {
		for i, n := range shape[len(shape)-len(k):] {
			size = append(size, (n-1)*s[i]-2*p[i]+k[i])
		}
	}
	size = size[len(size)-len(k):]
	return values{"y": b.sampled(len(k), func(x graph.Value) graph.Value {
		indices := b.x("indices")
		if indices.Rank() < x.Rank() {
			indices = ops.Unsqueeze(indices, 0)
		}
		return ops.MaxUnpool(x, indices, anys(size)...)
	})}
}

func avgPool(c *golden) nn.Layer {
	k := c.ints("kernel_size")
	opts := []nn.Option{nn.Padding(c.ints("padding")...)}
	if c.has("stride") {
		opts = append(opts, nn.Stride(c.ints("stride")...))
	}
	if c.flag("ceil_mode", false) {
		opts = append(opts, nn.CeilMode())
	}
	if !c.flag("count_include_pad", true) {
		opts = append(opts, nn.ExcludePadding())
	}
	if c.has("divisor_override") {
		opts = append(opts, nn.Divisor(c.int("divisor_override", 1)))
	}
	switch c.Op {
	case "AvgPool1d":
		return nn.AvgPool1d(k[0], opts...)
	case "AvgPool2d":
		return nn.AvgPool2d([2]int(k), opts...)
	}
	return nn.AvgPool3d([3]int(k), opts...)
}

// dropout runs the layer, or, where the case gives the mask that was drawn, what the layer does with a mask.
func dropout(construct func(p float64) nn.Layer) builder {
	return func(b *build) values {
		p := b.num("p", 0.5)
		var mode []nn.Mode
		if b.flag("training", false) {
			mode = append(mode, nn.Training)
		}
		if b.given("const", "mask") {
			scale := 1 / (1 - p)
			if math.IsInf(scale, 0) {
				scale = 0
			}
			return values{"y": ops.Mul(ops.Mul(b.x("x"), b.x("mask")), scale)}
		}
		return values{"y": construct(p).Apply(b.x("x"), mode...)}
	}
}

// reduction returns the options of a loss that all have.
func (b *build) reduction(opts ...nn.LossOption) []nn.LossOption {
	r := map[string]nn.Reduction{"": nn.Mean, "mean": nn.Mean, "sum": nn.Sum, "none": nn.None, "batchmean": nn.BatchMean}[b.str("reduction")]
	opts = append(opts, r)
	if b.given("const", "weight") {
		opts = append(opts, nn.Weight(b.x("weight")))
	}
	if b.has("margin") {
		opts = append(opts, nn.Margin(b.num("margin", 0)))
	}
	if b.has("p") {
		opts = append(opts, nn.Power(b.num("p", 0)))
	}
	if b.has("eps") {
		opts = append(opts, nn.LossEps(b.num("eps", 0)))
	}
	if b.flag("full", false) {
		opts = append(opts, nn.Full())
	}
	if b.flag("swap", false) {
		opts = append(opts, nn.Swap())
	}
	return opts
}

func (b *build) ignore() []nn.LossOption {
	opts := b.reduction()
	if b.has("ignore_index") {
		opts = append(opts, nn.IgnoreIndex(b.int("ignore_index", 0)))
	}
	return opts
}

// pairLoss makes a builder of a loss of input and target.
func pairLoss(loss func(x, target graph.Value, opts ...nn.LossOption) graph.Value, more func(b *build) []nn.LossOption) builder {
	return func(b *build) values {
		opts := b.reduction()
		if more != nil {
			opts = append(opts, more(b)...)
		}
		return values{"loss": loss(b.x("input"), b.x("target"), opts...)}
	}
}

var _ = register(map[string]builder{
	"CrossEntropyLoss": func(b *build) values {
		return values{"loss": nn.CrossEntropy(b.x("input"), b.x("target"), append(b.ignore(), nn.LabelSmoothing(b.num("label_smoothing", 0)))...)}
	},
	"NLLLoss":         func(b *build) values { return values{"loss": nn.NLL(b.x("input"), b.x("target"), b.ignore()...)} },
	"MultiMarginLoss": pairLoss(nn.MultiMargin, nil),
	"MSELoss":         pairLoss(nn.MSE, nil),
	"L1Loss":          pairLoss(nn.L1, nil),
	"SmoothL1Loss":    pairLoss(nn.SmoothL1, func(b *build) []nn.LossOption { return []nn.LossOption{nn.Beta(b.num("beta", 1))} }),
	"HuberLoss":       pairLoss(nn.Huber, func(b *build) []nn.LossOption { return []nn.LossOption{nn.Delta(b.num("delta", 1))} }),
	"KLDivLoss": pairLoss(nn.KLDiv, func(b *build) []nn.LossOption {
		if b.flag("log_target", false) {
			return []nn.LossOption{nn.LogTarget()}
		}
		return nil
	}),
	"BCELoss": pairLoss(nn.BCE, nil),
	"BCEWithLogitsLoss": pairLoss(nn.BCEWithLogits, func(b *build) []nn.LossOption {
		if b.given("const", "pos_weight") {
			return []nn.LossOption{nn.PosWeight(b.x("pos_weight"))}
		}
		return nil
	}),
	"PoissonNLLLoss": pairLoss(nn.PoissonNLL, func(b *build) []nn.LossOption {
		if !b.flag("log_input", true) {
			return []nn.LossOption{nn.PlainInput()}
		}
		return nil
	}),
	"GaussianNLLLoss": func(b *build) values {
		return values{"loss": nn.GaussianNLL(b.x("input"), b.x("target"), b.x("var"), b.reduction()...)}
	},
	"HingeEmbeddingLoss": pairLoss(nn.HingeEmbedding, nil),
	"MarginRankingLoss": func(b *build) values {
		return values{"loss": nn.MarginRanking(b.x("x1"), b.x("x2"), b.x("target"), b.reduction()...)}
	},
	"CosineEmbeddingLoss": func(b *build) values {
		return values{"loss": nn.CosineEmbedding(b.x("x1"), b.x("x2"), b.x("target"), b.reduction()...)}
	},
	"TripletMarginLoss": func(b *build) values {
		return values{"loss": nn.TripletMargin(b.x("anchor"), b.x("positive"), b.x("negative"), b.reduction()...)}
	},
	"SoftMarginLoss":           pairLoss(nn.SoftMargin, nil),
	"MultiLabelSoftMarginLoss": pairLoss(nn.MultiLabelSoftMargin, nil),
})
