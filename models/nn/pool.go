package nn

import (
	"github.com/graphrun/graphrun/graph"
	"github.com/graphrun/graphrun/ops"
)

// MaxPool1d takes the maximum over windows of float[N, C, L] (torch.nn.MaxPool1d); see MaxPool2d.
func MaxPool1d[K Size1](kernel K, opts ...Option) Layer {
	return maxPool(newLayer("max_pool1d"), sizes(kernel, 1), opts)
}

// MaxPool2d takes the maximum over windows of one size, or of [2]int{high, wide}, of float[N, C, H, W]
// (torch.nn.MaxPool2d). Windows are apart by their size unless Stride is given; padded places never win; among equal
// places the first gets the gradient. One sample may lack the axis N. Options: Stride, Padding, Dilation, CeilMode. For the places of the maxima see
// ops.MaxPool.
func MaxPool2d[K Size2](kernel K, opts ...Option) Layer {
	return maxPool(newLayer("max_pool2d"), sizes(kernel, 2), opts)
}

// MaxPool3d takes the maximum over windows of float[N, C, D, H, W] (torch.nn.MaxPool3d); see MaxPool2d.
func MaxPool3d[K Size3](kernel K, opts ...Option) Layer {
	return maxPool(newLayer("max_pool3d"), sizes(kernel, 3), opts)
}

func maxPool(l *layer, kernel []int, opts []Option) Layer {
	o := l.collect(opts, "Stride", "Padding", "Dilation", "CeilMode")
	p := l.pooling(kernel, o)
	p.Dilations = l.perAxis("dilation", o.dilation, len(kernel), 1, 1)
	l.build = sampled(len(kernel)+2, func(c *apply) Value {
		if !c.wantPlanes(len(kernel)) || !c.wantRoom(kernel, p.Dilations, p.Pads, o.beyond(p)) {
			return graph.Poison(c.f)
		}
		y, _ := ops.MaxPool(c.x, p)
		return y
	})
	return l
}

// AvgPool1d takes the mean over windows of float[N, C, L] (torch.nn.AvgPool1d); see AvgPool2d.
func AvgPool1d[K Size1](kernel K, opts ...Option) Layer {
	return avgPool(newLayer("avg_pool1d"), sizes(kernel, 1), opts)
}

// AvgPool2d takes the mean over windows of one size, or of [2]int{high, wide}, of float[N, C, H, W]
// (torch.nn.AvgPool2d). Windows are apart by their size unless Stride is given; padded zeros count unless
// ExcludePadding is given. Options: Stride, Padding, CeilMode, ExcludePadding, Divisor.
func AvgPool2d[K Size2](kernel K, opts ...Option) Layer {
	return avgPool(newLayer("avg_pool2d"), sizes(kernel, 2), opts)
}

// AvgPool3d takes the mean over windows of float[N, C, D, H, W] (torch.nn.AvgPool3d); see AvgPool2d.
func AvgPool3d[K Size3](kernel K, opts ...Option) Layer {
	return avgPool(newLayer("avg_pool3d"), sizes(kernel, 3), opts)
}

func avgPool(l *layer, kernel []int, opts []Option) Layer {
	o := l.collect(opts, "Stride", "Padding", "CeilMode", "ExcludePadding", "Divisor")
	p := l.pooling(kernel, o)
	p.ExcludePad, p.Divisor = o.noPadCount, o.divisor
	if o.given["Divisor"] {
		l.wantPositive("divisor", o.divisor)
	}
	l.build = sampled(len(kernel)+2, func(c *apply) Value {
		if !c.wantFloat(c.x) || !c.wantPlanes(len(kernel)) || !c.wantRoom(kernel, nil, p.Pads, o.beyond(p)) {
			return graph.Poison(c.f)
		}
		return ops.AvgPool(c.x, p)
	})
	return l
}

// pooling checks and collects what all pooling shares.
func (l *layer) pooling(kernel []int, o *options) ops.PoolParams {
	l.wantKernel(kernel)
	p := ops.PoolParams{
		Kernel:   kernel,
		Strides:  kernel,
		Pads:     l.pads(o.padding, len(kernel)),
		CeilMode: o.ceilMode,
	}
	if len(o.stride) > 0 {
		p.Strides = l.perAxis("stride", o.stride, len(kernel), 1, 1)
	}
	for i, k := range kernel {
		if k > 0 && (p.Pads[i] > k/2 || p.Pads[len(kernel)+i] > k/2) {
			l.faultf("want a padding of at most half the kernel, %v, have %v", kernel, o.padding)
			break
		}
	}
	return p
}

// beyond returns the strides of windows that may reach beyond the padded end.
func (o *options) beyond(p ops.PoolParams) []int {
	if !o.ceilMode {
		return nil
	}
	return p.Strides
}

// wantPlanes reports an input that has not a batch, channels and the given number of further axes.
func (c *apply) wantPlanes(axes int) bool {
	if c.x.Rank() != axes+2 {
		c.refuse("want %d axes, have %s", axes+2, c.x.Type())
		return false
	}
	return true
}

// AdaptiveAvgPool2d takes the mean over high x wide windows that cover float[N, C, H, W] whatever its size; the result is
// float[N, C, high, wide] (torch.nn.AdaptiveAvgPool2d). A size of 0 keeps that of the input. Window i of an axis goes from
// floor(i*in/out) to ceil((i+1)*in/out).
func AdaptiveAvgPool2d(high, wide int) Layer {
	l := newLayer("adaptive_avg_pool2d")
	if high < 0 || wide < 0 {
		l.faultf("want sizes of at least 0, have %d and %d", high, wide)
	}
	l.build = sampled(4, func(c *apply) Value {
		if !c.wantFloat(c.x) || !c.wantPlanes(2) {
			return graph.Poison(c.f)
		}
		size := []any{high, wide}
		for i, n := range []int{high, wide} {
			if n == 0 {
				size[i] = c.x.Shape()[2+i]
			}
		}
		return ops.AdaptiveAvgPool(c.x, size...)
	})
	return l
}

// GlobalAvgPool takes the mean over all axes from the third on: float[N, C, ...] becomes float[N, C].
func GlobalAvgPool() Layer {
	return pure(newLayer("global_avg_pool"), func(x Value) Value {
		var axes []int
		for a := 2; a < x.Rank(); a++ {
			axes = append(axes, a)
		}
		if len(axes) == 0 {
			return x
		}
		return ops.ReduceMean(x, axes, false)
	})
}
