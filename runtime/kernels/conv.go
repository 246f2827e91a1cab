package kernels

import (
	"slices"

	"github.com/graphrun/graphrun/graph"
	"github.com/graphrun/graphrun/graph/dim"
	"github.com/graphrun/graphrun/graph/value"
	"github.com/graphrun/graphrun/runtime/kernels/backend"
	"github.com/graphrun/graphrun/runtime/kernels/driver"
)

func init() {
	register(
		&Kernel{Op: "conv", DTypes: stripFloats, Match: planes, Pack: packConv, BindEpilogue: bindConv, Rows: 2}, // sample and channel
		&Kernel{Op: "conv_input_grad", DTypes: stripFloats, Match: planes, Bind: byFloat(bindInputGrad[float32], bindInputGrad[float64])},
		&Kernel{Op: "conv_weight_grad", DTypes: stripFloats, Match: planes, Bind: byFloat(bindWeightGrad[float32], bindWeightGrad[float64])},
		&Kernel{
			Op: "max_pool", DTypes: stripFloats, Match: planes, Bind: byFloat(bindMaxPool[float32], bindMaxPool[float64]),
			Optional: []int{1}, // the indices are for its gradient
		},
		&Kernel{Op: "max_pool_grad", DTypes: stripFloats, Match: planes, Bind: byFloat(bindMaxPoolGrad[float32], bindMaxPoolGrad[float64])},
		&Kernel{Op: "avg_pool", DTypes: stripFloats, Match: averages, Bind: byFloat(bindAvgPool[float32], bindAvgPool[float64])},
		&Kernel{Op: "avg_pool_grad", DTypes: stripFloats, Match: averages, Bind: byFloat(bindAvgPoolGrad[float32], bindAvgPoolGrad[float64])},
	)
}

// planes matches one or two spatial axes.
func planes(s *Signature) bool { return s.In[0].Rank == 3 || s.In[0].Rank == 4 }

// averages matches the same and windows that divide by their own number of cells.
func averages(s *Signature) bool { return planes(s) && s.Int("divisor") == 0 }

// nchw returns the shape of a type, where a first spatial axis of size 1 stands for one that is missing.
func nchw(t graph.TensorType) []int {
	n := sizes(t, t.Rank())
	if len(n) == 3 {
		return []int{n[0], n[1], 1, n[2]}
	}
	return n
}

// both returns an attribute that has a number per spatial axis, or the one that stands for the axis that is missing.
func both(s *Spec, name string, missing int) (h, v int) {
	n := s.Ints(name)
	if len(n) == 1 {
		return missing, n[0]
	}
	return n[0], n[1]
}

// sides returns the pads.
func sides(s *Spec) (top, left, bottom, right int) {
	n := s.Ints("pads")
	if len(n) == 2 {
		return 0, n[0], 0, n[1]
	}
	return n[0], n[1], n[2], n[3]
}

// convParams describes a convolution of x [N,C,H,W] with w [O,C/groups,KH,KW], where H and KH may be missing.
func convParams(s *Spec, xt, wt graph.TensorType) driver.Conv2DParams {
	x, w := nchw(xt), nchw(wt)
	p := driver.Conv2DParams{N: x[0], C: x[1], H: x[2], W: x[3], OC: w[0], KH: w[2], KW: w[3], Groups: s.Int("groups")}
	p.StrideH, p.StrideW = both(s, "strides", 1)
	p.DilH, p.DilW = both(s, "dilations", 1)
	p.PadTop, p.PadLeft, p.PadBottom, p.PadRight = sides(s)
	return p
}

func bindConv(s *Spec, epilogue backend.Epilogue) (Func, error) {
	if s.InTypes[0].DType == graph.F64 {
		return conv[float64](s, epilogue)
	}
	return conv[float32](s, epilogue)
}

func conv[T backend.Float](s *Spec, epilogue backend.Epilogue) (Func, error) {
	p := convParams(s, s.InTypes[0], s.InTypes[1])
	packed := s.packed(1)
	p.Packed = packed != nil
	k := driver.NewConv2D(p, engines[T]().Conv)
	k.Stop = s.Stop
	if !k.Fits() {
		return byReference(s)
	}
	return func(c *Call) error {
		if packed != nil {
			k.RunPacked(elems[T](c.Out[0]), elems[T](c.In[0]), packed.Data.(*driver.PackedWeights[T]), epilogue)
		} else {
			k.Run(elems[T](c.Out[0]), elems[T](c.In[0]), elems[T](c.In[1]), epilogue)
		}
		return nil
	}, nil
}

// packConv packs weights. Their layout depends on the spatial sizes.
func packConv(s *Spec, operand int) *Layout {
	spatial := graph.TensorType{DType: s.InTypes[0].DType, Shape: slices.Clone(s.InTypes[0].Shape)}
	spatial.Shape[0] = dim.Const(1) // the batch is no matter
	_, known := spatial.ConstShape()
	_, weights := s.InTypes[1].ConstShape()
	if operand != 1 || !known || !weights {
		return nil
	}
	p := convParams(s, spatial, s.InTypes[1])
	p.Packed = true
	if spatial.DType == graph.F64 {
		return convLayout[float64](p)
	}
	return convLayout[float32](p)
}

func convLayout[T backend.Float](p driver.Conv2DParams) *Layout {
	k := driver.NewConv2D(p, engines[T]().Conv)
	if !k.Fits() {
		return nil
	}
	return &Layout{k.Layout(), func(t *value.Tensor) any { return k.PackWeights(elems[T](t)) }}
}

func bindInputGrad[T backend.Float](s *Spec) (Func, error) {
	p := convParams(s, s.OutTypes[0], s.InTypes[1])
	k := driver.NewConv2DInputGrad(p, engines[T]().Conv)
	k.Stop = s.Stop
	if !k.Fits() {
		return byReference(s)
	}
	return func(c *Call) error {
		k.Run(elems[T](c.Out[0]), elems[T](c.In[0]), elems[T](c.In[1]), nil)
		return nil
	}, nil
}

func bindWeightGrad[T backend.Float](s *Spec) (Func, error) {
	p := convParams(s, s.InTypes[0], s.OutTypes[0])
	k := driver.NewConv2DWeightGrad(p, engines[T]().Conv)
	k.Stop = s.Stop
	if !k.Fits() {
		return byReference(s)
	}
	return func(c *Call) error {
		k.Run(elems[T](c.Out[0]), elems[T](c.In[1]), elems[T](c.In[0]))
		return nil
	}, nil
}

// poolParams describes a pooling of x [N,C,H,W] into y [N,C,OH,OW], where H and OH may be missing.
func poolParams(s *Spec, xt, yt graph.TensorType) driver.Pool2DParams {
	x, y := nchw(xt), nchw(yt)
	p := driver.Pool2DParams{N: x[0], C: x[1], H: x[2], W: x[3], OutH: y[2], OutW: y[3]}
	p.KH, p.KW = both(s, "kernel", 1)
	p.StrideH, p.StrideW = both(s, "strides", 1)
	p.PadTop, p.PadLeft, p.PadBottom, p.PadRight = sides(s)
	if len(s.Ints("dilations")) > 0 {
		p.DilH, p.DilW = both(s, "dilations", 1)
	}
	return p
}

func bindMaxPool[T backend.Float](s *Spec) (Func, error) {
	k := driver.NewMaxPool2D(poolParams(s, s.InTypes[0], s.OutTypes[0]), engines[T]().Pool)
	k.Stop = s.Stop
	return func(c *Call) error {
		var index []int64
		if c.Out[1] != nil {
			index = elems[int64](c.Out[1])
		}
		k.MaxRun(elems[T](c.Out[0]), index, elems[T](c.In[0]))
		return nil
	}, nil
}

// bindMaxPoolGrad scatters dy to the places that max_pool's indices name. The indices may be the user's (MaxUnpool):
// negative ones count from the end of the plane, and one out of range is an error.
func bindMaxPoolGrad[T backend.Float](s *Spec) (Func, error) {
	x, y := nchw(s.OutTypes[0]), nchw(s.InTypes[0])
	k := driver.NewMaxPool2DGrad[T](driver.Pool2DParams{N: x[0], C: x[1], H: x[2], W: x[3], OutH: y[2], OutW: y[3]}, true)
	k.Stop = s.Stop
	return func(c *Call) error {
		return k.MaxGradRun(elems[T](c.Out[0]), elems[T](c.In[0]), elems[int64](c.In[1]))
	}, nil
}

func bindAvgPool[T backend.Float](s *Spec) (Func, error) {
	k := driver.NewAvgPool2D(poolParams(s, s.InTypes[0], s.OutTypes[0]), s.Bool("count_include_pad"), engines[T]().Pool)
	k.Stop = s.Stop
	return func(c *Call) error {
		k.AvgRun(elems[T](c.Out[0]), elems[T](c.In[0]))
		return nil
	}, nil
}

func bindAvgPoolGrad[T backend.Float](s *Spec) (Func, error) {
	k := driver.NewAvgPool2DGrad[T](poolParams(s, s.OutTypes[0], s.InTypes[0]), s.Bool("count_include_pad"))
	k.Stop = s.Stop
	return func(c *Call) error {
		k.AvgRun(elems[T](c.In[0]), elems[T](c.Out[0]))
		return nil
	}, nil
}
