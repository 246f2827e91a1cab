package nn

import (
	"github.com/graphrun/graphrun/graph"
	"github.com/graphrun/graphrun/models/initializer"
	"github.com/graphrun/graphrun/ops"
)

// LayerNorm standardizes x over its last axes, whose sizes shape gives, then multiplies by a weight and adds a bias of that
// shape (Ba et al. 2016; torch.nn.LayerNorm). The variance is biased, eps stands inside the root. Variables, unless
// Affine(false) is given: weight, ones at first, and, unless NoBias is given, bias, zeros at first. Options: Eps, Affine, NoBias.
func LayerNorm(shape []int, opts ...Option) Layer {
	l := newLayer("layer_norm")
	o := l.collect(opts, "Eps", "Affine", "NoBias")
	shape = l.wantSizes(shape)
	l.wantEps(o)
	l.build = func(c *apply) Value {
		if !c.wantFloat(c.x) || !c.wantLast(shape) {
			return graph.Poison(c.f)
		}
		var affine []Value
		if o.affine {
			affine = append(affine, c.param("weight", shape, initializer.Ones()))
		}
		if o.affine && !o.noBias {
			affine = append(affine, c.param("bias", shape, initializer.Zeros()))
		}
		return ops.LayerNorm(c.x, len(shape), o.eps, affine...)
	}
	return l
}

// RMSNorm divides x by the root of the mean of its squares over its last axes, whose sizes shape gives, then multiplies by a
// weight of that shape (Zhang and Sennrich 2019; torch.nn.RMSNorm). Unlike LayerNorm it takes no mean away and adds no bias.
// What is added to the mean of squares is the machine epsilon unless Eps is given: 2^-23, 2^-52 for f64. Variable, unless
// Affine(false) is given: weight, ones at first. Options: Eps, Affine.
func RMSNorm(shape []int, opts ...Option) Layer {
	l := newLayer("rms_norm")
	o := l.collect(opts, "Eps", "Affine")
	shape = l.wantSizes(shape)
	l.wantEps(o)
	l.build = func(c *apply) Value {
		if !c.wantFloat(c.x) || !c.wantLast(shape) {
			return graph.Poison(c.f)
		}
		x, eps := c.x, o.eps
		if !o.given["Eps"] {
			if eps = 0x1p-23; x.DType() == graph.F64 {
				eps = 0x1p-52
			}
		}
		axes := make([]int, len(shape))
		for i := range axes {
			axes[i] = i - len(shape)
		}
		y := ops.Mul(x, ops.Rsqrt(ops.Add(ops.ReduceMean(ops.Square(x), axes, true), eps)))
		if o.affine {
			y = ops.Mul(y, c.param("weight", shape, initializer.Ones()))
		}
		return y
	}
	return l
}

// wantSizes checks and copies the sizes of the axes that a layer normalizes over.
func (l *layer) wantSizes(shape []int) []int {
	if len(shape) == 0 {
		l.faultf("want the sizes of the axes to normalize over, have none")
	}
	for _, n := range shape {
		l.wantPositive("size", n)
	}
	return append([]int(nil), shape...)
}

// wantLast reports an input whose last axes are not of the given sizes.
func (c *apply) wantLast(shape []int) bool {
	for i, n := range shape {
		if !c.wantDim(c.x, i-len(shape), n, "size") {
			return false
		}
	}
	return true
}

// GroupNorm standardizes groups of adjacent channels of x, float[N, C, ...], each over its channels and all further axes,
// then scales and shifts each channel (Wu and He 2018; torch.nn.GroupNorm). Variables, unless Affine(false) is given:
// weight [C], ones at first, and bias [C], zeros at first. Options: Eps, Affine.
func GroupNorm(groups, channels int, opts ...Option) Layer {
	l := newLayer("group_norm")
	o := l.collect(opts, "Eps", "Affine")
	l.wantPositive("groups", groups)
	l.wantPositive("channels", channels)
	if groups > 0 && channels%groups != 0 {
		l.faultf("%d channels do not divide into %d groups", channels, groups)
	}
	l.wantEps(o)
	l.build = func(c *apply) Value {
		if !c.wantFloat(c.x) || !c.wantChannels(channels, 0) {
			return graph.Poison(c.f)
		}
		dims := make([]any, c.x.Rank())
		for i, d := range c.x.Shape() {
			dims[i] = d
		}
		y, _, _ := ops.Standardize(ops.Reshape(c.x, dims[0], groups, -1), []int{2}, o.eps)
		return c.affine(ops.Reshape(y, dims...), channels, o)
	}
	return l
}

// BatchNorm1d is batch normalization of float[N, C] or float[N, C, L] (torch.nn.BatchNorm1d); see BatchNorm2d.
func BatchNorm1d(channels int, opts ...Option) Layer {
	return batchNorm(newLayer("batch_norm1d"), channels, 3, opts)
}

// BatchNorm2d standardizes each channel of x, float[N, C, H, W], then scales and shifts it (Ioffe and Szegedy 2015;
// torch.nn.BatchNorm2d). While training it takes mean and biased variance over the batch, and the function also updates
// the running statistics: running = (1-momentum)*running + momentum*batch, with the unbiased variance. Otherwise it
// takes the running statistics, or, if RunningStats(false) is given, those of the batch. A batch with one value per channel has no
// statistics: it is an error to take them.
//
// Variables: weight [C], ones at first, and bias [C], zeros at first, unless Affine(false) is given; and, not trained,
// running_mean [C], running_var [C], which are f32 for x of f16 too, and num_batches_tracked i64. Options: Eps, Affine, Momentum, CumulativeMomentum,
// RunningStats.
func BatchNorm2d(channels int, opts ...Option) Layer {
	return batchNorm(newLayer("batch_norm2d"), channels, 4, opts)
}

// BatchNorm3d is batch normalization of float[N, C, D, H, W] (torch.nn.BatchNorm3d); see BatchNorm2d.
func BatchNorm3d(channels int, opts ...Option) Layer {
	return batchNorm(newLayer("batch_norm3d"), channels, 5, opts)
}

func batchNorm(l *layer, channels, rank int, opts []Option) Layer {
	o := l.collect(opts, "Eps", "Affine", "Momentum", "CumulativeMomentum", "RunningStats")
	l.wantStatistics(channels, o)
	l.build = func(c *apply) Value {
		if rank == 3 && c.x.Rank() == 2 { // BatchNorm1d takes both
			if !c.wantFloat(c.x) || !c.wantChannels(channels, 0) {
				return graph.Poison(c.f)
			}
		} else if !c.wantFloat(c.x) || !c.wantChannels(channels, rank) {
			return graph.Poison(c.f)
		}
		axes := []int{0}
		for axis := 2; axis < c.x.Rank(); axis++ {
			axes = append(axes, axis)
		}
		return c.normalize(channels, axes, o)
	}
	return l
}

// InstanceNorm1d is instance normalization of float[N, C, L] (torch.nn.InstanceNorm1d); see InstanceNorm2d.
func InstanceNorm1d(channels int, opts ...Option) Layer {
	return instanceNorm(newLayer("instance_norm1d"), channels, 3, opts)
}

// InstanceNorm2d standardizes each channel of each sample of x, float[N, C, H, W] (Ulyanov et al. 2016;
// torch.nn.InstanceNorm2d), where one sample may lack the axis N, always by its own mean and biased variance, unless RunningStats(true) is given: then running
// statistics, averages over the batch, are updated while training and used otherwise. Taking the statistics of one value is an error.
//
// Variables: weight [C] and bias [C] if Affine(true) is given; running_mean, running_var and num_batches_tracked if
// RunningStats(true) is. Options: Eps, Affine, Momentum, CumulativeMomentum, RunningStats.
func InstanceNorm2d(channels int, opts ...Option) Layer {
	return instanceNorm(newLayer("instance_norm2d"), channels, 4, opts)
}

// InstanceNorm3d is instance normalization of float[N, C, D, H, W] (torch.nn.InstanceNorm3d); see InstanceNorm2d.
func InstanceNorm3d(channels int, opts ...Option) Layer {
	return instanceNorm(newLayer("instance_norm3d"), channels, 5, opts)
}

func instanceNorm(l *layer, channels, rank int, opts []Option) Layer {
	o := l.collect(append([]Option{Affine(false), RunningStats(false)}, opts...),
		"Eps", "Affine", "Momentum", "CumulativeMomentum", "RunningStats")
	l.wantStatistics(channels, o)
	l.build = sampled(rank, func(c *apply) Value {
		if !c.wantFloat(c.x) || !c.wantChannels(channels, rank) {
			return graph.Poison(c.f)
		}
		var axes []int
		for axis := 2; axis < rank; axis++ {
			axes = append(axes, axis)
		}
		return c.normalize(channels, axes, o)
	})
	return l
}

// normalize standardizes over axes, by the batch's or the running statistics, and scales and shifts the channels.
func (c *apply) normalize(channels int, axes []int, o *options) Value {
	x, rank := c.x, c.x.Rank()
	if !o.runningStats {
		c.wantTwo(axes)
		y, _, _ := ops.Standardize(x, axes, o.eps)
		return c.affine(y, channels, o)
	}
	mean, meanVal := c.variable("running_mean", x.DType(), []int{channels}, initializer.Zeros(), graph.NotTrainable())
	variance, varianceVal := c.variable("running_var", x.DType(), []int{channels}, initializer.Ones(), graph.NotTrainable())
	tracked, _ := c.variable("num_batches_tracked", graph.I64, nil, initializer.Zeros(), graph.NotTrainable())
	if mean == nil || variance == nil || tracked == nil {
		return graph.Poison(c.f)
	}
	if !c.training {
		scale := ops.Rsqrt(ops.Add(varianceVal, o.eps))
		y := ops.Mul(ops.Sub(x, alongAxis(meanVal, 1, rank)), alongAxis(scale, 1, rank))
		return c.affine(c.evaluated(y), channels, o)
	}
	y, m, v := ops.Standardize(x, axes, o.eps)
	n := ops.Cast(ops.Count(x, axes, 2, c.kind+" needs more than one value per channel while training, for the variance"), graph.F64)
	v = ops.Mul(v, ops.Cast(ops.Div(n, ops.Sub(n, 1.0)), x.DType()))
	step := ops.Add(c.pending(tracked), 1)
	c.update(tracked, step)
	share := c.f.Scalar(x.DType(), o.momentum)
	if o.cumulative {
		share = ops.Reciprocal(ops.Cast(step, x.DType()))
	}
	for _, s := range []struct {
		v     *graph.Variable
		batch Value
	}{{mean, m}, {variance, v}} {
		batch := s.batch
		if axes[0] != 0 { // instances: average over the batch
			batch = ops.ReduceMean(batch, []int{0}, true)
		}
		batch = ops.Reshape(batch, channels)
		c.update(s.v, ops.Add(ops.Mul(c.pending(s.v), ops.Sub(1.0, share)), ops.Mul(batch, share)))
	}
	return c.affine(y, channels, o)
}

// wantTwo refuses sizes of axes with which a channel has but one value, whose distance from itself is always 0. What is known to suffice
// needs no node.
func (c *apply) wantTwo(axes []int) {
	for _, axis := range axes {
		if n, known := c.x.Shape()[axis].Int(); known && n > 1 {
			return
		}
	}
	ops.Count(c.x, axes, 2, c.kind+" needs more than one value per channel, or running statistics")
}

// affine scales and shifts the channels of y if the options say so.
func (c *apply) affine(y Value, channels int, o *options) Value {
	if !o.affine {
		return y
	}
	w, b := c.param("weight", []int{channels}, initializer.Ones()), c.param("bias", []int{channels}, initializer.Zeros())
	return ops.Add(ops.Mul(y, alongAxis(w, 1, y.Rank())), alongAxis(b, 1, y.Rank()))
}

// pending returns what a variable will be after the layer's earlier applications in the function.
func (c *apply) pending(v *graph.Variable) Value {
	for _, u := range c.f.Root().Updates() {
		if u.Var == v {
			return u.Value
		}
	}
	return v.Read(c.f)
}

// update declares the next value of a variable, after those of earlier applications in the function.
func (c *apply) update(v *graph.Variable, next Value) {
	for i, u := range c.f.Updates() {
		if u.Var == v {
			if next.OK() {
				c.f.SetUpdate(i, next)
			}
			return
		}
	}
	c.f.Update(v, next)
}

// wantEps records a fault unless eps is a number from 0 on.
func (l *layer) wantEps(o *options) {
	if l.wantFinite("eps", o.eps); o.eps < 0 {
		l.faultf("want eps of at least 0, have %v", o.eps)
	}
}

// wantStatistics checks what batch and instance normalization share.
func (l *layer) wantStatistics(channels int, o *options) {
	l.wantPositive("channels", channels)
	l.wantEps(o)
	if !(o.momentum >= 0 && o.momentum <= 1) {
		l.faultf("want a momentum between 0 and 1, have %v", o.momentum)
	}
}

// wantChannels reports an input that has not the rank, any from 2 on if it is 0, or not the channels on axis 1.
func (c *apply) wantChannels(channels, rank int) bool {
	if rank != 0 && c.x.Rank() != rank || c.x.Rank() < 2 {
		if rank == 0 {
			c.refuse("want at least two axes, have %s", c.x.Type())
		} else {
			c.refuse("want %d axes, have %s", rank, c.x.Type())
		}
		return false
	}
	return c.wantDim(c.x, 1, channels, "channels")
}
