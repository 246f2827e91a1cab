package kernels

import (
	"github.com/graphrun/graphrun/graph"
	"github.com/graphrun/graphrun/runtime/kernels/portable"
)

func init() {
	perDType("cumsum", nil, wrapping(cumulate[float32](0, false), cumulate[float64](0, false),
		cumulate[uint8](0, false), cumulate[uint16](0, false), cumulate[uint32](0, false), cumulate[uint64](0, false)))
	perDType("cumprod", nil, wrapping(cumulate[float32](1, true), cumulate[float64](1, true),
		cumulate[uint8](1, true), cumulate[uint16](1, true), cumulate[uint32](1, true), cumulate[uint64](1, true)))
	perDType("recurrence", nil, map[graph.DType]binder{graph.F32: recurrence[float32], graph.F64: recurrence[float64]})
}

// lanesAlong returns the Func that calls do for each lane along the attribute axis: the offset of its first element, the
// distance of its elements, and their number.
func lanesAlong(s *Spec, do func(c *Call, at, step, n int)) Func {
	shape := sizesOf(s.InTypes[0])
	axis := axisOf(s, len(shape))
	outer, inner := around(shape, axis)
	n := shape[axis]
	return inRanges(outer*inner, 4*n, func(c *Call, _, lo, hi int) {
		for i := lo; i < hi; i++ {
			do(c, i/inner*n*inner+i%inner, inner, n)
		}
	})
}

// cumulate returns the binder of sums or products of the elements so far, which start at a number.
func cumulate[T portable.Number](start T, product bool) binder {
	return func(s *Spec) (Func, error) {
		exclusive, reverse := s.Bool("exclusive"), s.Bool("reverse")
		return lanesAlong(s, func(c *Call, at, step, n int) {
			x, y, state := elems[T](c.In[0]), elems[T](c.Out[0]), start
			if reverse {
				at, step = at+(n-1)*step, -step
			}
			for range n {
				before := state
				if product {
					state *= x[at]
				} else {
					state += x[at]
				}
				if exclusive {
					y[at] = before
				} else {
					y[at] = state
				}
				at += step
			}
		}), nil
	}
}

// recurrence is h[t] = a[t]*h[t-1] + b[t].
func recurrence[T portable.Float](s *Spec) (Func, error) {
	reverse, lag := s.Bool("reverse"), s.Bool("lag")
	return lanesAlong(s, func(c *Call, at, step, n int) {
		a, b, h := elems[T](c.In[0]), elems[T](c.In[1]), elems[T](c.Out[0])
		if reverse {
			at, step = at+(n-1)*step, -step
		}
		var state float64 // rounded only where it is stored
		for t := range n {
			factor := 0.0
			switch {
			case t > 0 && lag:
				factor = float64(a[at-step])
			case t > 0:
				factor = float64(a[at])
			}
			next := float64(b[at])
			if t > 0 {
				next += factor * state
			}
			state = next
			h[at] = T(state)
			at += step
		}
	}), nil
}
