package kernels

import (
	"math"

	"github.com/graphrun/graphrun/graph"
	"github.com/graphrun/graphrun/graph/value"
	"github.com/graphrun/graphrun/runtime/kernels/backend"
)

// Casts from or to an integer that strips do not hold. They go by way of 64 bits, so that there is a loop per dtype and not
// one per pair of them; value.Convert has the meaning.

func init() {
	register(&Kernel{
		Op: "cast", DTypes: countables | graph.Bools,
		Match: func(s *Signature) bool {
			to := s.DType("to")
			return (countables | graph.Bools).Has(to) && !(stripAny.Has(s.In[0].DType) && stripAny.Has(to))
		},
		Bind: bindCast,
	})
}

// castBuffer holds elements between two loops: those of floats as float64, others modulo 2^64.
type castBuffer struct {
	ints   [wordsPart]uint64
	floats [wordsPart]float64
}

func bindCast(s *Spec) (Func, error) {
	from, to := s.InTypes[0].DType, s.DType("to")
	return inRanges(count(s.OutTypes[0]), 2, func(c *Call, _, lo, hi int) {
		var b castBuffer
		for ; lo < hi; lo += wordsPart {
			n := min(hi-lo, wordsPart)
			b.load(c.In[0].Bytes()[lo*sizeOf(from):], from, n)
			b.convert(from, to, n)
			b.store(c.Out[0].Bytes()[lo*sizeOf(to):], to, n)
		}
	}), nil
}

func (b *castBuffer) load(x []byte, d graph.DType, n int) {
	switch d {
	case graph.F32:
		copyAs(b.floats[:n], cells[float32](x))
	case graph.F64:
		copy(b.floats[:n], cells[float64](x))
	default:
		loadWords(b.ints[:n], x, d, 1)
	}
}

// convert makes of the n elements that have been loaded what is to be stored.
func (b *castBuffer) convert(from, to graph.DType, n int) {
	switch {
	case to == graph.Bool && from.IsFloat():
		for i, x := range b.floats[:n] {
			b.ints[i] = uint64(truth(x != 0))
		}
	case to == graph.Bool:
		for i, x := range b.ints[:n] {
			b.ints[i] = uint64(truth(x != 0))
		}
	case from.IsFloat():
		largest := uint64(math.MaxInt64)
		if to == graph.U64 {
			largest = math.MaxUint64
		}
		for i, x := range b.floats[:n] {
			b.ints[i] = integerBits(x, largest)
		}
	case to.IsFloat() && from == graph.U64:
		for i, x := range b.ints[:n] {
			b.floats[i] = value.IntToFloat(to, x)
		}
	case to.IsFloat():
		for i, x := range b.ints[:n] {
			b.floats[i] = value.IntToFloat(to, int64(x))
		}
	}
}

func (b *castBuffer) store(y []byte, d graph.DType, n int) {
	switch d {
	case graph.F32:
		copyAs(cells[float32](y)[:n], b.floats[:])
	case graph.F64:
		copy(cells[float64](y), b.floats[:n])
	default:
		storeWords(sizeOf(d), y, b.ints[:n])
	}
}

// copyAs fills y with the elements of x as Go converts them.
func copyAs[Y, X backend.Number](y []Y, x []X) {
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
