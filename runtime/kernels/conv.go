package kernels

import (
	"fmt"
	"slices"

	"github.com/graphrun/graphrun/graph"
	"github.com/graphrun/graphrun/runtime/kernels/portable"
)

func init() {
	floatsIf("conv", planes, conv[float32], conv[float64])
	floatsIf("conv_input_grad", planes, convInputGrad[float32], convInputGrad[float64])
	floatsIf("conv_weight_grad", planes, convWeightGrad[float32], convWeightGrad[float64])
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

// convParams describes a convolution of x [N,C,H,W] with w [O,C/groups,KH,KW].
func convParams(c *Call, x, w []int) portable.Conv2DParams {
	strides, pads, dilations := c.Ints("strides"), c.Ints("pads"), c.Ints("dilations")
	return portable.Conv2DParams{
		N: x[0], C: x[1], H: x[2], W: x[3],
		OC: w[0], KH: w[2], KW: w[3],
		StrideH: strides[0], StrideW: strides[1],
		PadTop: pads[0], PadLeft: pads[1], PadBottom: pads[2], PadRight: pads[3],
		DilH: dilations[0], DilW: dilations[1],
		Groups: c.Int("groups"),
	}
}

func conv[T portable.Float](c *Call) error {
	p := convParams(c, c.In[0].Shape(), c.In[1].Shape())
	portable.Conv2D(p, floatData[T](c.Out[0]), floatData[T](c.In[0]), floatData[T](c.In[1]), nil)
	return nil
}

func convInputGrad[T portable.Float](c *Call) error {
	p := convParams(c, c.Out[0].Shape(), c.In[1].Shape())
	portable.Conv2DInputGrad(p, floatData[T](c.Out[0]), floatData[T](c.In[0]), floatData[T](c.In[1]), nil)
	return nil
}

func convWeightGrad[T portable.Float](c *Call) error {
	p := convParams(c, c.In[0].Shape(), c.Out[0].Shape())
	portable.Conv2DWeightGrad(p, floatData[T](c.Out[0]), floatData[T](c.In[1]), floatData[T](c.In[0]), nil)
	return nil
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
