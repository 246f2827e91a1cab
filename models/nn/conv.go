package nn

import (
	"github.com/graphrun/graphrun/graph"
	"github.com/graphrun/graphrun/models/initializer"
	"github.com/graphrun/graphrun/ops"
)

// Size1, Size2 and Size3 are what kernel sizes are given as: one number for all axes, or one per axis.
type (
	Size1 interface{ int | [1]int }
	Size2 interface{ int | [2]int }
	Size3 interface{ int | [3]int }
)

// sizes spreads a kernel size over the axes.
func sizes(k any, axes int) []int {
	switch k := k.(type) {
	case int:
		out := make([]int, axes)
		for i := range out {
			out[i] = k
		}
		return out
	case [1]int:
		return k[:]
	case [2]int:
		return k[:]
	case [3]int:
		return k[:]
	}
	return nil
}

// Conv1d is the convolution of float[N, in, L] along its last axis (torch.nn.Conv1d); see Conv2d.
func Conv1d[K Size1](in, out int, kernel K, opts ...Option) Layer {
	return conv(newLayer("conv1d"), in, out, sizes(kernel, 1), opts)
}

// Conv2d is the convolution of x, float[N, in, H, W], with a kernel of one size, or of [2]int{high, wide}; the kernel is
// not flipped (torch.nn.Conv2d). One sample may lack the axis N. The result is float[N, out, H', W'] with
// H' = floor((H + pads - dilation*(kernel-1) - 1)/stride) + 1, and W' alike.
//
// Variables: weight [out, in/groups, high, wide] and, unless NoBias is given, bias [out], both initialized from
// U(-1/sqrt(fan), 1/sqrt(fan)) with fan = in/groups*high*wide. Options: Stride, Padding, PaddingSame, PaddingMode,
// Dilation, Groups, NoBias, WeightInit, BiasInit.
func Conv2d[K Size2](in, out int, kernel K, opts ...Option) Layer {
	return conv(newLayer("conv2d"), in, out, sizes(kernel, 2), opts)
}

// Conv3d is the convolution of float[N, in, D, H, W] along its last three axes (torch.nn.Conv3d); see Conv2d.
func Conv3d[K Size3](in, out int, kernel K, opts ...Option) Layer {
	return conv(newLayer("conv3d"), in, out, sizes(kernel, 3), opts)
}

func conv(l *layer, in, out int, kernel []int, opts []Option) Layer {
	o := l.collect(opts, "Stride", "Padding", "PaddingSame", "PaddingMode", "Dilation", "Groups", "NoBias", "WeightInit", "BiasInit")
	axes := len(kernel)
	l.wantConv(in, out, kernel, o)
	p := ops.ConvParams{
		Strides:   l.perAxis("stride", o.stride, axes, 1, 1),
		Dilations: l.perAxis("dilation", o.dilation, axes, 1, 1),
		Pads:      l.pads(o.padding, axes),
		Groups:    o.groups,
	}
	if o.same {
		if o.given["Padding"] {
			l.faultf("PaddingSame and Padding are both given")
		}
		for _, s := range p.Strides {
			if s != 1 {
				l.faultf("PaddingSame wants stride 1, have %v", o.stride)
				break
			}
		}
		p.Pads = ops.SamePads(kernel, p.Dilations)
	}
	modes := map[string]ops.PadMode{"reflect": ops.PadReflect, "replicate": ops.PadEdge, "circular": ops.PadWrap}
	mode, padded := modes[o.paddingMode]
	if !padded && o.paddingMode != "zeros" {
		l.faultf("want a padding mode zeros, reflect, replicate or circular, have %q", o.paddingMode)
	}
	l.build = sampled(axes+2, func(c *apply) Value {
		x, p := c.x, p
		if !c.wantFloat(x) || !c.wantChannels(in, axes+2) || !c.wantRoom(kernel, p.Dilations, p.Pads, nil) {
			return graph.Poison(c.f)
		}
		if padded {
			low := append([]int{0, 0}, p.Pads[:axes]...)
			high := append([]int{0, 0}, p.Pads[axes:]...)
			x = ops.PadWith(mode, x, low, high)
			p.Pads = nil
		}
		fan := in / o.groups * product(kernel)
		w := c.param("weight", append([]int{out, in / o.groups}, kernel...), orDefault(o.weightInit, initializer.Default(fan)))
		return c.withBias(ops.Conv(x, w, p), out, fan, o)
	})
	return l
}

// ConvTranspose1d is the transposed convolution of float[N, in, L] (torch.nn.ConvTranspose1d); see ConvTranspose2d.
func ConvTranspose1d[K Size1](in, out int, kernel K, opts ...Option) Layer {
	return convTranspose(newLayer("conv_transpose1d"), in, out, sizes(kernel, 1), opts)
}

// ConvTranspose2d is the transposed convolution of x, float[N, in, H, W]: each place of x adds its value times the kernel
// to a window of the result (torch.nn.ConvTranspose2d). The result is float[N, out, H', W'] with
// H' = (H-1)*stride - pads + dilation*(kernel-1) + output padding + 1, and W' alike.
//
// Variables: weight [in, out/groups, high, wide] and, unless NoBias is given, bias [out], both initialized from
// U(-1/sqrt(fan), 1/sqrt(fan)) with fan = out/groups*high*wide. Options: Stride, Padding, OutputPadding, Dilation, Groups,
// NoBias, WeightInit, BiasInit.
func ConvTranspose2d[K Size2](in, out int, kernel K, opts ...Option) Layer {
	return convTranspose(newLayer("conv_transpose2d"), in, out, sizes(kernel, 2), opts)
}

// ConvTranspose3d is the transposed convolution of float[N, in, D, H, W] (torch.nn.ConvTranspose3d); see ConvTranspose2d.
func ConvTranspose3d[K Size3](in, out int, kernel K, opts ...Option) Layer {
	return convTranspose(newLayer("conv_transpose3d"), in, out, sizes(kernel, 3), opts)
}

func convTranspose(l *layer, in, out int, kernel []int, opts []Option) Layer {
	o := l.collect(opts, "Stride", "Padding", "OutputPadding", "Dilation", "Groups", "NoBias", "WeightInit", "BiasInit")
	axes := len(kernel)
	l.wantConv(in, out, kernel, o)
	p := ops.ConvParams{
		Strides:   l.perAxis("stride", o.stride, axes, 1, 1),
		Dilations: l.perAxis("dilation", o.dilation, axes, 1, 1),
		Pads:      l.pads(o.padding, axes),
		Groups:    o.groups,
	}
	extra := l.perAxis("output padding", o.outPadding, axes, 0, 0)
	l.build = sampled(axes+2, func(c *apply) Value {
		if !c.wantFloat(c.x) || !c.wantChannels(in, axes+2) {
			return graph.Poison(c.f)
		}
		fan := out / o.groups * product(kernel)
		w := c.param("weight", append([]int{in, out / o.groups}, kernel...), orDefault(o.weightInit, initializer.Default(fan)))
		return c.withBias(ops.ConvTranspose(c.x, w, p, extra...), out, fan, o)
	})
	return l
}

// withBias adds the bias to the channels of y unless the options say otherwise.
func (c *apply) withBias(y Value, out, fan int, o *options) Value {
	if o.noBias {
		return y
	}
	b := c.param("bias", []int{out}, orDefault(o.biasInit, initializer.Default(fan)))
	return ops.Add(y, alongAxis(b, 1, c.x.Rank()))
}

// wantConv checks what convolutions and their transposes share.
func (l *layer) wantConv(in, out int, kernel []int, o *options) {
	l.wantPositive("input channels", in)
	l.wantPositive("output channels", out)
	l.wantKernel(kernel)
	l.wantPositive("groups", o.groups)
	if g := o.groups; g > 0 && (in%g != 0 || out%g != 0) {
		l.faultf("%d groups do not divide %d input and %d output channels", g, in, out)
	}
}

func (l *layer) wantKernel(kernel []int) {
	for _, k := range kernel {
		if k < 1 {
			l.faultf("want a kernel of at least 1 along each axis, have %v", kernel)
			return
		}
	}
}

// wantRoom reports an input that is known to be too small for a single window, which may reach beyond the padded end by less than its
// stride where there are strides.
func (c *apply) wantRoom(kernel, dilations, pads, strides []int) bool {
	for i, k := range kernel {
		reach := k
		if len(dilations) > 0 {
			reach = dilations[i]*(k-1) + 1
		}
		padding, beyond := pads[i]+pads[len(kernel)+i], 0
		if len(strides) > 0 {
			beyond = strides[i] - 1
		}
		if size, ok := c.x.Shape()[2+i].Int(); ok && int(size)+padding+beyond < reach {
			with := ""
			if padding > 0 {
				with = ", padding included"
			}
			c.refuse("the kernel reaches over %d of the %d places of axis %d%s, have %s", reach, int(size)+padding, 2+i, with, c.x.Type())
			return false
		}
	}
	return true
}

func product(xs []int) int {
	n := 1
	for _, x := range xs {
		n *= x
	}
	return n
}
