package kernels

import (
	"math"

	"github.com/graphrun/graphrun/graph"
	"github.com/graphrun/graphrun/runtime/kernels/portable"
	"github.com/graphrun/graphrun/runtime/kernels/strip"
)

// Casts from or to a dtype that strips do not hold.

func init() {
	for d, row := range map[graph.DType]func(to graph.DType, how conversion) binder{
		graph.Bool: castFrom[uint8], graph.F32: castFrom[float32], graph.F64: castFrom[float64],
		graph.I8: castFrom[int8], graph.I16: castFrom[int16], graph.I32: castFrom[int32], graph.I64: castFrom[int64],
		graph.U8: castFrom[uint8], graph.U16: castFrom[uint16], graph.U32: castFrom[uint32], graph.U64: castFrom[uint64],
	} {
		register(&Kernel{
			Op: "cast", DTypes: graph.DTypes(d),
			Match: func(_ []graph.TensorType, attrs graph.Attrs) bool {
				to := attrs.DType("to")
				return !(strip.Holds(d) && strip.Holds(to)) && row(to, direct) != nil
			},
			Bind: func(s *Spec) (Func, error) {
				to, how := s.DType("to"), direct
				switch {
				case to == graph.Bool:
					how = nonzero
				case d.IsFloat() && to == graph.U64:
					how = saturatedUnsigned
				case d.IsFloat() && to.IsInteger():
					how = saturated
				case d.IsInteger() && to.IsFloat():
					how = rounded
				}
				return row(to, how)(s)
			},
		})
	}
}

// conversion says how an element becomes one of another dtype; value.Convert has the meaning.
type conversion uint8

const (
	direct            conversion = iota // as Go converts
	rounded                             // by way of float64
	nonzero                             // whether it is not zero
	saturated                           // to the nearest of i64, whose low bits are taken
	saturatedUnsigned                   // to the nearest of i64 and u64
)

// castFrom returns the binder of a conversion, nil if there is none.
func castFrom[X portable.Number](to graph.DType, how conversion) binder {
	switch to {
	case graph.Bool, graph.U8:
		return converting[X, uint8](how)
	case graph.I8:
		return converting[X, int8](how)
	case graph.I16:
		return converting[X, int16](how)
	case graph.I32:
		return converting[X, int32](how)
	case graph.I64:
		return converting[X, int64](how)
	case graph.U16:
		return converting[X, uint16](how)
	case graph.U32:
		return converting[X, uint32](how)
	case graph.U64:
		return converting[X, uint64](how)
	case graph.F32:
		return converting[X, float32](how)
	case graph.F64:
		return converting[X, float64](how)
	}
	return nil
}

func converting[X, Y portable.Number](how conversion) binder {
	switch how {
	case rounded:
		return each(func(x X) Y { return Y(float64(x)) })
	case nonzero:
		return each(func(x X) Y {
			if x != 0 {
				return 1
			}
			return 0
		})
	case saturated:
		return each(func(x X) Y { return Y(integerBits(float64(x), math.MaxInt64)) })
	case saturatedUnsigned:
		return each(func(x X) Y { return Y(integerBits(float64(x), math.MaxUint64)) })
	}
	return each(func(x X) Y { return Y(x) })
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
