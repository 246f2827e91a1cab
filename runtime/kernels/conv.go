package kernels

import (
	"fmt"
	"slices"

	"github.com/graphrun/graphrun/graph"
	"github.com/graphrun/graphrun/runtime/kernels/portable"
	"github.com/graphrun/graphrun/runtime/kernels/simd"
)

func init() {
	producers["conv"] = func(s *Spec, epilogue portable.Epilogue) (Func, error) {
		if s.InTypes[0].DType == graph.F64 {
			return bindConv(s, epilogue, simd.ConvF64), nil
		}
		return bindConv(s, epilogue, simd.ConvF32), nil
	}
	bindFloats("conv", planes, func(s *Spec) Func { return bindConv(s, nil, simd.ConvF32) }, func(s *Spec) Func { return bindConv(s, nil, simd.ConvF64) })
	bindFloats("conv_input_grad", planes, bindInputGrad(simd.ConvF32), bindInputGrad(simd.ConvF64))
	bindFloats("conv_weight_grad", planes, bindWeightGrad(simd.ConvF32), bindWeightGrad(simd.ConvF64))
	floatsIf("max_pool", planes, maxPool[float32], maxPool[float64])
	floatsIf("max_pool_grad", planes, maxPoolGrad[float32], maxPoolGrad[float64])
	floatsIf("avg_pool", averages, avgPool[float32], avgPool[float64])
	floatsIf("avg_pool_grad", averages, avgPoolGrad[float32], avgPoolGrad[float64])
}

// planes matches two spatial axes.
func planes(in []graph.TensorType, _ graph.Attrs) bool { return in[0].Rank() == 4 }

// averages matches two spatial axes and windows that divide by their own number of cells.
func averages(in []graph.TensorType, attrs graph.Attrs) bool {
	return in[0].Rank() == 4 && attrs.Int("divisor") == 0
}

// bindFloats adds the f32 and the f64 row of an op.
func bindFloats(op string, match func(in []graph.TensorType, attrs graph.Attrs) bool, f32, f64 func(s *Spec) Func) {
	for dt, bind := range map[graph.DType]func(s *Spec) Func{graph.F32: f32, graph.F64: f64} {
		register(&Kernel{Op: op, DTypes: graph.DTypes(dt), Match: match, Bind: func(s *Spec) (Func, error) { return bind(s), nil }})
	}
}

// sizes is the shape of a type whose dims are constant.
func sizes(t graph.TensorType) []int {
	shape, ok := t.ConstShape()
	if !ok {
		panic("kernels: bound to the symbolic type " + t.String())
	}
	return shape
}

// convParams describes a convolution of x [N,C,H,W] with w [O,C/groups,KH,KW].
func convParams(s *Spec, xt, wt graph.TensorType) portable.Conv2DParams {
	x, w := sizes(xt), sizes(wt)
	strides, pads, dilations := s.Ints("strides"), s.Ints("pads"), s.Ints("dilations")
	return portable.Conv2DParams{
		N: x[0], C: x[1], H: x[2], W: x[3],
		OC: w[0], KH: w[2], KW: w[3],
		StrideH: strides[0], StrideW: strides[1],
		PadTop: pads[0], PadLeft: pads[1], PadBottom: pads[2], PadRight: pads[3],
		DilH: dilations[0], DilW: dilations[1],
		Groups: s.Int("groups"),
	}
}

// convEngine is simd.ConvF32 or simd.ConvF64.
type convEngine[T portable.Float] func(n, run int) portable.ConvEngine[T]

func bindConv[T portable.Float](s *Spec, epilogue portable.Epilogue, engine convEngine[T]) Func {
	p := convParams(s, s.InTypes[0], s.InTypes[1])
	run := 1
	if p.StrideW == 1 {
		run = p.OutW()
	}
	k := portable.NewConv2D(p, engine(p.OC/p.Groups, run))
	return func(c *Call) error {
		k.Run(floatData[T](c.Out[0]), floatData[T](c.In[0]), floatData[T](c.In[1]), epilogue)
		return nil
	}
}

func bindInputGrad[T portable.Float](engine convEngine[T]) func(s *Spec) Func {
	return func(s *Spec) Func {
		p := convParams(s, s.OutTypes[0], s.InTypes[1])
		k := portable.NewConv2DInputGrad(p, engine(p.C/p.Groups, p.W/p.StrideW))
		return func(c *Call) error {
			k.Run(floatData[T](c.Out[0]), floatData[T](c.In[0]), floatData[T](c.In[1]), nil)
			return nil
		}
	}
}

func bindWeightGrad[T portable.Float](engine convEngine[T]) func(s *Spec) Func {
	return func(s *Spec) Func {
		p := convParams(s, s.InTypes[0], s.OutTypes[0])
		k := portable.NewConv2DWeightGrad(p, engine(p.OC/p.Groups, 1))
		return func(c *Call) error {
			k.Run(floatData[T](c.Out[0]), floatData[T](c.In[1]), floatData[T](c.In[0]))
			return nil
		}
	}
}

// poolParams describes a pooling of x [N,C,H,W] into y [N,C,OH,OW].
func poolParams(c *Call, x, y []int) portable.Pool2DParams {
	kernel, strides, pads := c.Ints("kernel"), c.Ints("strides"), c.Ints("pads")
	p := portable.Pool2DParams{
		N: x[0], C: x[1], H: x[2], W: x[3],
		KH: kernel[0], KW: kernel[1],
		StrideH: strides[0], StrideW: strides[1],
		PadTop: pads[0], PadLeft: pads[1], PadBottom: pads[2], PadRight: pads[3],
		OutH: y[2], OutW: y[3],
	}
	if d := c.Ints("dilations"); len(d) == 2 {
		p.DilH, p.DilW = d[0], d[1]
	}
	return p
}

func maxPool[T portable.Float](c *Call) error {
	p := poolParams(c, c.In[0].Shape(), c.Out[0].Shape())
	portable.MaxPool2D(p, floatData[T](c.Out[0]), data[int64](c.Out[1]), floatData[T](c.In[0]))
	return nil
}

// maxPoolGrad scatters dy to the places that max_pool's indices name. The indices may be the user's (MaxUnpool): negative ones
// count from the end of the plane, and one out of range is an error.
func maxPoolGrad[T portable.Float](c *Call) error {
	x, y := c.Out[0].Shape(), c.In[0].Shape()
	p := portable.Pool2DParams{N: x[0], C: x[1], H: x[2], W: x[3], KH: 1, KW: 1, OutH: y[2], OutW: y[3]}
	plane := int64(x[2] * x[3])
	indices := data[int64](c.In[1])
	owned := false
	for i, at := range indices {
		if at < -plane || at >= plane {
			return fmt.Errorf("index %d is out of range for a plane of %d cells", at, plane)
		}
		if at < 0 {
			if !owned {
				indices, owned = slices.Clone(indices), true
			}
			indices[i] += plane
		}
	}
	portable.MaxPool2DGrad(p, floatData[T](c.Out[0]), floatData[T](c.In[0]), indices)
	return nil
}

func avgPool[T portable.Float](c *Call) error {
	p := poolParams(c, c.In[0].Shape(), c.Out[0].Shape())
	portable.AvgPool2D(p, c.Bool("count_include_pad"), floatData[T](c.Out[0]), floatData[T](c.In[0]))
	return nil
}

func avgPoolGrad[T portable.Float](c *Call) error {
	p := poolParams(c, c.Out[0].Shape(), c.In[0].Shape())
	portable.AvgPool2DGrad(p, c.Bool("count_include_pad"), floatData[T](c.Out[0]), floatData[T](c.In[0]))
	return nil
}
