package kernels

import (
	"github.com/graphrun/graphrun/graph"
	"github.com/graphrun/graphrun/runtime/kernels/portable"
	"github.com/graphrun/graphrun/runtime/value"
)

func init() {
	register(&Kernel{Op: "reshape", DTypes: graph.AnyDType, Alias: true})
	floats("transpose", transpose[float32], transpose[float64])
	for op, f := range map[string]portable.ReduceOp{
		"reduce_sum": portable.Sum, "reduce_mean": portable.Mean, "reduce_prod": portable.Prod,
		"reduce_max": portable.MaxOf, "reduce_min": portable.MinOf,
	} {
		floatsIf(op, notEmpty, reduce[float32](f), reduce[float64](f))
	}
	for _, op := range []string{"softmax", "log_softmax"} {
		f32, f64 := portable.Softmax[float32], portable.Softmax[float64]
		if op == "log_softmax" {
			f32, f64 = portable.LogSoftmax[float32], portable.LogSoftmax[float64]
		}
		floatsIf(op, lastAxis, rows(f32), rows(f64))
	}
	floats("argmax", argmax[float32], argmax[float64])
	floats("concat", concat[float32], concat[float64])
}

// notEmpty leaves reductions over no elements to the reference, which knows what they are or refuses them.
func notEmpty(in []graph.TensorType, _ graph.Attrs) bool {
	n, ok := in[0].NumElements().Int()
	return !ok || n > 0
}

// lastAxis matches ops along the last axis.
func lastAxis(in []graph.TensorType, attrs graph.Attrs) bool {
	axis := attrs.Int("axis")
	return in[0].Rank() > 0 && (axis == in[0].Rank()-1 || axis == -1)
}

func transpose[T portable.Float](c *Call) error {
	portable.Transpose(floatData[T](c.Out[0]), floatData[T](c.In[0]), c.In[0].Shape(), c.Ints("perm"))
	return nil
}

func reduce[T portable.Float](op portable.ReduceOp) func(c *Call) error {
	return func(c *Call) error {
		axes := c.Ints("axes")
		for i, a := range axes {
			if a < 0 {
				axes[i] = a + c.In[0].Rank()
			}
		}
		portable.Reduce(op, floatData[T](c.Out[0]), floatData[T](c.In[0]), c.In[0].Shape(), axes, nil)
		return nil
	}
}

// rows runs a kernel over the rows of the last axis.
func rows[T portable.Float](f func(y, x []T, rows, n int)) func(c *Call) error {
	return func(c *Call) error {
		shape := c.In[0].Shape()
		n := shape[len(shape)-1]
		if c.In[0].Len() > 0 {
			f(floatData[T](c.Out[0]), floatData[T](c.In[0]), c.In[0].Len()/n, n)
		}
		return nil
	}
}

// split cuts a shape at an axis into the sizes before it, of it and behind it.
func split(t *value.Tensor, axis int) (outer, n, inner int) {
	shape := t.Shape()
	if axis < 0 {
		axis += len(shape)
	}
	outer, inner = 1, 1
	for _, d := range shape[:axis] {
		outer *= d
	}
	for _, d := range shape[axis+1:] {
		inner *= d
	}
	return outer, shape[axis], inner
}

func argmax[T portable.Float](c *Call) error {
	outer, n, inner := split(c.In[0], c.Int("axis"))
	portable.ArgMax(data[int64](c.Out[0]), floatData[T](c.In[0]), outer, n, inner)
	return nil
}

func concat[T portable.Float](c *Call) error {
	outer, n, inner := split(c.Out[0], c.Int("axis"))
	y := floatData[T](c.Out[0])
	at := 0
	for _, t := range c.In {
		_, k, _ := split(t, c.Int("axis"))
		x := floatData[T](t)
		for o := range outer {
			copy(y[(o*n+at)*inner:], x[o*k*inner:(o+1)*k*inner])
		}
		at += k
	}
	return nil
}
