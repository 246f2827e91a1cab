package kernels

import (
	"math"

	"github.com/graphrun/graphrun/graph"
	"github.com/graphrun/graphrun/runtime/kernels/portable"
	"github.com/graphrun/graphrun/runtime/kernels/strip"
	"github.com/graphrun/graphrun/runtime/value"
)

// Casts from or to a dtype that strips do not hold. They go by way of int64 or float64, so that there is a loop per dtype and not
// one per pair of them; value.Convert has the meaning.

func init() {
	register(&Kernel{
		Op: "cast", DTypes: countables | graph.Bools,
		Match: func(in []graph.TensorType, attrs graph.Attrs) bool {
			to := attrs.DType("to")
			return (countables | graph.Bools).Has(to) && !(strip.Holds(in[0].DType) && strip.Holds(to))
		},
		Bind: bindCast,
	})
}

// castPart is how many elements are converted at once.
const castPart = 256

// castBuffer holds elements between two loops: those of floats as float64, others as int64 modulo 2^64.
type castBuffer struct {
	ints   [castPart]int64
	floats [castPart]float64
}

func bindCast(s *Spec) (Func, error) {
	from, to := s.InTypes[0].DType, s.DType("to")
	return inRanges(count(s.OutTypes[0]), 2, func(c *Call, _, lo, hi int) {
		var b castBuffer
		for ; lo < hi; lo += castPart {
			n := min(hi-lo, castPart)
			b.load(c.In[0], from, lo, n)
			b.convert(from, to, n)
			b.store(c.Out[0], to, lo, n)
		}
	}), nil
}

func (b *castBuffer) load(x *value.Tensor, d graph.DType, at, n int) {
	switch d {
	case graph.F32:
		copyAs(b.floats[:n], elems[float32](x)[at:])
	case graph.F64:
		copyAs(b.floats[:n], elems[float64](x)[at:])
	case graph.I8:
		copyAs(b.ints[:n], elems[int8](x)[at:])
	case graph.I16:
		copyAs(b.ints[:n], elems[int16](x)[at:])
	case graph.I32:
		copyAs(b.ints[:n], elems[int32](x)[at:])
	case graph.Bool, graph.U8:
		copyAs(b.ints[:n], elems[uint8](x)[at:])
	case graph.U16:
		copyAs(b.ints[:n], elems[uint16](x)[at:])
	case graph.U32:
		copyAs(b.ints[:n], elems[uint32](x)[at:])
	default:
		copyAs(b.ints[:n], elems[int64](x)[at:])
	}
}

// convert makes of the n elements that have been loaded what is to be stored.
func (b *castBuffer) convert(from, to graph.DType, n int) {
	switch {
	case to == graph.Bool && from.IsFloat():
		for i, x := range b.floats[:n] {
			b.ints[i] = int64(truth(x != 0))
		}
	case to == graph.Bool:
		for i, x := range b.ints[:n] {
			b.ints[i] = int64(truth(x != 0))
		}
	case from.IsFloat():
		largest := uint64(math.MaxInt64)
		if to == graph.U64 {
			largest = math.MaxUint64
		}
		for i, x := range b.floats[:n] {
			b.ints[i] = int64(integerBits(x, largest))
		}
	case to.IsFloat() && from == graph.U64:
		for i, x := range b.ints[:n] {
			b.floats[i] = float64(uint64(x))
		}
	case to.IsFloat():
		for i, x := range b.ints[:n] {
			b.floats[i] = float64(x)
		}
	}
}

func (b *castBuffer) store(y *value.Tensor, d graph.DType, at, n int) {
	switch d.Bits() / 8 {
	case 1:
		copyAs(elems[uint8](y)[at:][:n], b.ints[:])
	case 2:
		copyAs(elems[uint16](y)[at:][:n], b.ints[:])
	case 4:
		if d.IsFloat() {
			copyAs(elems[float32](y)[at:][:n], b.floats[:])
		} else {
			copyAs(elems[uint32](y)[at:][:n], b.ints[:])
		}
	default:
		if d.IsFloat() {
			copyAs(elems[float64](y)[at:][:n], b.floats[:])
		} else {
			copyAs(elems[uint64](y)[at:][:n], b.ints[:])
		}
	}
}

// copyAs fills y with the elements of x as Go converts them.
func copyAs[Y, X portable.Number](y []Y, x []X) {
	x = x[:len(y)]
	for i := range y {
		y[i] = Y(x[i])
	}
}

// integerBits returns the integer next to x toward zero, modulo 2^64, where x lies between the least i64 and a largest value, and NaN is 0.
func integerBits(x float64, largest uint64) uint64 {
	switch {
	case x != x:
		return 0
	case x <= math.MinInt64:
		return 1 << 63
	case x < 1<<63:
		return uint64(int64(x))
	case largest == math.MaxUint64 && x < 1<<64:
		return uint64(x)
	}
	return largest
}
