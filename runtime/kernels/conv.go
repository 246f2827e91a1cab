package kernels

import (
	"github.com/graphrun/graphrun/graph"
	"github.com/graphrun/graphrun/runtime/kernels/backend"
	"github.com/graphrun/graphrun/runtime/kernels/driver"
)

func init() {
	producers["conv"] = func(s *Spec, epilogue backend.Epilogue) (Func, error) {
		if s.InTypes[0].DType == graph.F64 {
			return bindConv[float64](s, epilogue), nil
		}
		return bindConv[float32](s, epilogue), nil
	}
	bindFloats("conv", planes, func(s *Spec) Func { return bindConv[float32](s, nil) }, func(s *Spec) Func { return bindConv[float64](s, nil) })
	bindFloats("conv_input_grad", planes, bindInputGrad[float32], bindInputGrad[float64])
	bindFloats("conv_weight_grad", planes, bindWeightGrad[float32], bindWeightGrad[float64])
	bindFloats("max_pool", planes, bindMaxPool[float32], bindMaxPool[float64])
	bindFloats("max_pool_grad", planes, bindMaxPoolGrad[float32], bindMaxPoolGrad[float64])
	bindFloats("avg_pool", averages, bindAvgPool[float32], bindAvgPool[float64])
	bindFloats("avg_pool_grad", averages, bindAvgPoolGrad[float32], bindAvgPoolGrad[float64])
}

// planes matches one or two spatial axes.
func planes(in []graph.TensorType, _ graph.Attrs) bool { return in[0].Rank() == 3 || in[0].Rank() == 4 }

// averages matches the same and windows that divide by their own number of cells.
func averages(in []graph.TensorType, attrs graph.Attrs) bool {
	return planes(in, attrs) && attrs.Int("divisor") == 0
}

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

// bindFloats adds the f32 and the f64 row of an op; a nil Func leaves the node to the reference.
func bindFloats(op string, match func(in []graph.TensorType, attrs graph.Attrs) bool, f32, f64 func(s *Spec) Func) {
	for dt, bind := range map[graph.DType]func(s *Spec) Func{graph.F32: f32, graph.F64: f64} {
		k := &Kernel{Op: op, DTypes: graph.DTypes(dt), Match: match, Bind: func(s *Spec) (Func, error) { return bind(s), nil }}
		if op == "max_pool" { // the indices are for its gradient
			k.Optional = []int{1}
		}
		register(k)
	}
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

func bindConv[T backend.Float](s *Spec, epilogue backend.Epilogue) Func {
	p := convParams(s, s.InTypes[0], s.InTypes[1])
	k := driver.NewConv2D(p, engines[T]().Conv)
	if !k.Fits() {
		return nil
	}
	return func(c *Call) error {
		k.Run(elems[T](c.Out[0]), elems[T](c.In[0]), elems[T](c.In[1]), epilogue)
		return nil
	}
}

func bindInputGrad[T backend.Float](s *Spec) Func {
	p := convParams(s, s.OutTypes[0], s.InTypes[1])
	k := driver.NewConv2DInputGrad(p, engines[T]().Conv)
	if !k.Fits() {
		return nil
	}
	return func(c *Call) error {
		k.Run(elems[T](c.Out[0]), elems[T](c.In[0]), elems[T](c.In[1]), nil)
		return nil
	}
}

func bindWeightGrad[T backend.Float](s *Spec) Func {
	p := convParams(s, s.InTypes[0], s.OutTypes[0])
	k := driver.NewConv2DWeightGrad(p, engines[T]().Conv)
	if !k.Fits() {
		return nil
	}
	return func(c *Call) error {
		k.Run(elems[T](c.Out[0]), elems[T](c.In[1]), elems[T](c.In[0]))
		return nil
	}
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

func bindMaxPool[T backend.Float](s *Spec) Func {
	k := driver.NewMaxPool2D(poolParams(s, s.InTypes[0], s.OutTypes[0]), engines[T]().Pool)
	return func(c *Call) error {
		var index []int64
		if c.Out[1] != nil {
			index = elems[int64](c.Out[1])
		}
		k.MaxRun(elems[T](c.Out[0]), index, elems[T](c.In[0]))
		return nil
	}
}

// bindMaxPoolGrad scatters dy to the places that max_pool's indices name. The indices may be the user's (MaxUnpool):
// negative ones count from the end of the plane, and one out of range is an error.
func bindMaxPoolGrad[T backend.Float](s *Spec) Func {
	x, y := nchw(s.OutTypes[0]), nchw(s.InTypes[0])
	k := driver.NewMaxPool2DGrad[T](driver.Pool2DParams{N: x[0], C: x[1], H: x[2], W: x[3], OutH: y[2], OutW: y[3]}, true)
	return func(c *Call) error {
		return k.MaxGradRun(elems[T](c.Out[0]), elems[T](c.In[0]), elems[int64](c.In[1]))
	}
}

func bindAvgPool[T backend.Float](s *Spec) Func {
	k := driver.NewAvgPool2D(poolParams(s, s.InTypes[0], s.OutTypes[0]), s.Bool("count_include_pad"), engines[T]().Pool)
	return func(c *Call) error {
		k.AvgRun(elems[T](c.Out[0]), elems[T](c.In[0]))
		return nil
	}
}

func bindAvgPoolGrad[T backend.Float](s *Spec) Func {
	k := driver.NewAvgPool2DGrad[T](poolParams(s, s.OutTypes[0], s.InTypes[0]), s.Bool("count_include_pad"))
	return func(c *Call) error {
		k.AvgRun(elems[T](c.In[0]), elems[T](c.Out[0]))
		return nil
	}
}
