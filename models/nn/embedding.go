package nn

import (
	"github.com/graphrun/graphrun/graph"
	"github.com/graphrun/graphrun/models/initializer"
	"github.com/graphrun/graphrun/ops"
)

// Embedding looks up a vector of size dim for each index of x, i32 or i64 of any shape: the result is float[..., dim]
// (torch.nn.Embedding). Indices are from 0 to count-1; another one fails when the function is run. Variable: weight
// [count, dim] of the dtype dt, from N(0, 1) at first, where the vector of PaddingIndex is zeros. Options: WeightInit,
// PaddingIndex, ScaleGradByFreq.
func Embedding(dt graph.DType, count, dim int, opts ...Option) Layer {
	l := newLayer("embedding")
	o := l.collect(opts, "WeightInit", "PaddingIndex", "ScaleGradByFreq")
	l.wantPositive("vectors", count)
	l.wantPositive("elements of a vector", dim)
	if !dt.IsFloat() {
		l.faultf("want a float dtype, have %v", dt)
	}
	if o.hasPaddingIdx && (o.paddingIdx < -count || o.paddingIdx >= count) {
		l.faultf("want a padding index of the %d vectors, have %d", count, o.paddingIdx)
	}
	pad := o.paddingIdx
	if pad < 0 {
		pad += count
	}
	init := orDefault(o.weightInit, initializer.Normal(0, 1))
	if o.hasPaddingIdx && o.weightInit == nil {
		normal := init
		init = func(f *graph.Func, key Value, dt graph.DType, dims []int) Value {
			rows := ops.Reshape(ops.Arange(f, graph.I64, count), count, 1)
			return ops.Where(ops.Equal(rows, pad), 0.0, normal(f, key, dt, dims))
		}
	}
	l.build = func(c *apply) Value {
		if d := c.x.DType(); d != graph.I64 && d != graph.I32 {
			return c.refuse("want indices of i32 or i64, have %s", c.x.Type())
		}
		_, w := c.variable("weight", dt, []int{count, dim}, init)
		y := ops.Embedding(w, c.x)
		if o.scaleGradByFreq {
			// y + (y - y)/n: the value stays, the gradient is divided by the number of times the index occurs
			narrow := ops.Widen(&y)
			dt := y.DType()
			flat := ops.Flatten(c.x, 0, -1)
			seen := ops.ScatterAdd(ops.Full(c.f, dt, 0, count), 0, flat, ops.Expand(c.f.Scalar(dt, 1), flat.Shape()[0]))
			times := ops.Unsqueeze(ops.Gather(seen, 0, c.x), -1)
			fixed := ops.StopGradient(y)
			y = narrow(ops.Add(fixed, ops.Div(ops.Sub(y, fixed), times)))
		}
		if o.hasPaddingIdx {
			y = ops.Where(ops.Unsqueeze(ops.Equal(c.x, pad), -1), ops.StopGradient(y), y)
		}
		return y
	}
	return l
}
