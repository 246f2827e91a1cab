package kernels

import (
	"math"

	"github.com/graphrun/graphrun/graph"
	"github.com/graphrun/graphrun/runtime/kernels/backend"
)

func init() {
	register(
		&Kernel{Op: "cumsum", DTypes: countables, Bind: func(s *Spec) (Func, error) { return bindCumulate(s, false) }},
		&Kernel{Op: "cumprod", DTypes: countables, Bind: func(s *Spec) (Func, error) { return bindCumulate(s, true) }},
		&Kernel{Op: "logcumsumexp", DTypes: stripFloats, Bind: byFloat(logCumSumExp[float32], logCumSumExp[float64])},
		&Kernel{Op: "recurrence", DTypes: stripFloats, Bind: byFloat(recurrence[float32], recurrence[float64])},
	)
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

// bindCumulate gives sums or products of the elements so far. Integers wrap alike whatever their sign.
func bindCumulate(s *Spec, product bool) (Func, error) {
	d, exclusive, reverse := s.InTypes[0].DType, s.Bool("exclusive"), s.Bool("reverse")
	size := sizeOf(d)
	return lanesAlong(s, func(c *Call, at, step, n int) {
		if reverse {
			at, step = at+(n-1)*step, -step
		}
		x, y := c.In[0].Bytes(), c.Out[0].Bytes()
		switch {
		case d == graph.F32:
			cumulate[float32, float64](x, y, at, step, n, product, exclusive)
		case d == graph.F64:
			cumulate[float64, float64](x, y, at, step, n, product, exclusive)
		case size == 1:
			cumulate[uint8, uint8](x, y, at, step, n, product, exclusive)
		case size == 2:
			cumulate[uint16, uint16](x, y, at, step, n, product, exclusive)
		case size == 4:
			cumulate[uint32, uint32](x, y, at, step, n, product, exclusive)
		default:
			cumulate[uint64, uint64](x, y, at, step, n, product, exclusive)
		}
	}), nil
}

// cumulate keeps the state as an S, of more digits than a T may have: it is rounded only where it is stored.
func cumulate[T, S backend.Number](xb, yb []byte, at, step, n int, product, exclusive bool) {
	x, y := cells[T](xb), cells[T](yb)
	var state S
	if product {
		state = 1
	}
	for range n {
		before := state
		if product {
			state *= S(x[at])
		} else {
			state += S(x[at])
		}
		if exclusive {
			y[at] = T(before)
		} else {
			y[at] = T(state)
		}
		at += step
	}
}

// logCumSumExp gives log(sum(e^x)) of the elements so far as the largest of them and the sum of e^(x-largest).
func logCumSumExp[T backend.Float](s *Spec) (Func, error) {
	return lanesAlong(s, func(c *Call, at, step, n int) {
		x, y := elems[T](c.In[0]), elems[T](c.Out[0])
		largest, sum := math.Inf(-1), 0.0
		for range n {
			switch v := float64(x[at]); {
			case math.IsInf(v, -1): // adds nothing, and has no difference from a largest that is the same
			case v > largest:
				largest, sum = v, sum*math.Exp(largest-v)+1
			case v < largest:
				sum += math.Exp(v - largest)
			case v == largest:
				sum++
			default: // NaN, which stays
				largest += v
			}
			y[at] = T(largest + math.Log(sum))
			at += step
		}
	}), nil
}

// recurrence is h[t] = a[t]*h[t-1] + b[t].
func recurrence[T backend.Float](s *Spec) (Func, error) {
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
