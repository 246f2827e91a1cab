package value

import (
	"math"
	"math/bits"
)

// Float16 is an IEEE 754 binary16 number as its bits.
type Float16 uint16

// BFloat16 is a bfloat16 number as its bits: the upper half of a float32.
type BFloat16 uint16

// Float32 returns x exactly; a NaN keeps its sign and payload.
func (x Float16) Float32() float32 {
	b := uint32(x)
	sign, exp, man := b&0x8000<<16, b>>10&0x1f, b&0x3ff
	switch {
	case exp == 0x1f:
		exp = 0xff
	case exp != 0:
		exp += 127 - 15
	case man != 0: // subnormal in binary16, normal in binary32
		shift := uint32(bits.LeadingZeros32(man)) - 21
		exp, man = 127-15+1-shift, man<<shift&0x3ff
	}
	return math.Float32frombits(sign | exp<<23 | man<<13)
}

// Float64 returns x exactly.
func (x Float16) Float64() float64 { return fmtF16.decode(uint64(x)) }

// IsNaN reports whether x is a NaN.
func (x Float16) IsNaN() bool { return x&0x7fff > 0x7c00 }

// Float32 returns x exactly; a NaN keeps its sign and payload.
func (x BFloat16) Float32() float32 { return math.Float32frombits(uint32(x) << 16) }

// Float64 returns x exactly.
func (x BFloat16) Float64() float64 { return fmtBF16.decode(uint64(x)) }

// IsNaN reports whether x is a NaN.
func (x BFloat16) IsNaN() bool { return x&0x7fff > 0x7f80 }

// Float16FromFloat32 rounds x to the nearest binary16, ties to even. Beyond 65504 by half a unit or more
// it is infinite.
func Float16FromFloat32(x float32) Float16 { return Float16(fmtF16.encode(widen(x), false)) }

// Float16FromFloat64 rounds x once to the nearest binary16, ties to even.
func Float16FromFloat64(x float64) Float16 { return Float16(fmtF16.encode(x, false)) }

// BFloat16FromFloat32 rounds x to the nearest bfloat16, ties to even.
func BFloat16FromFloat32(x float32) BFloat16 {
	b := math.Float32bits(x)
	if b&0x7fffffff > 0x7f800000 { // NaN: keep it one if the payload is all in the lower half
		if b&0x7fffff>>16 == 0 {
			b |= 0x400000
		}
		return BFloat16(b >> 16)
	}
	return BFloat16((b + 0x7fff + b>>16&1) >> 16)
}

// BFloat16FromFloat64 rounds x once to the nearest bfloat16, ties to even.
func BFloat16FromFloat64(x float64) BFloat16 { return BFloat16(fmtBF16.encode(x, false)) }

// floatFormat describes a binary floating-point format of at most 32 bits with a sign bit.
//
// The sources are IEEE 754 (f16), the bfloat16 definition, "FP8 Formats for Deep Learning"
// (arXiv 2209.05433: FN), "8-bit Numerical Formats for Deep Neural Networks" (arXiv 2206.02915: FNUZ) and
// the OCP Microscaling Formats specification (f4e2m1).
type floatFormat struct {
	man      uint   // width of the mantissa field
	bias     int    // exponent bias
	width    uint   // width of the format
	max      uint64 // code of the largest finite number
	inf      uint64 // code of +Inf, 0 if the format has none
	nan      nanKind
	saturate bool // finite numbers that round beyond max become max, not Inf
}

type nanKind uint8

const (
	nanIEEE nanKind = iota // codes above inf
	nanFN                  // all bits after the sign set
	nanUZ                  // the code of -0
	nanNone
)

var (
	fmtF16        = &floatFormat{man: 10, bias: 15, width: 16, max: 0x7bff, inf: 0x7c00}
	fmtBF16       = &floatFormat{man: 7, bias: 127, width: 16, max: 0x7f7f, inf: 0x7f80}
	fmtF8E4M3FN   = &floatFormat{man: 3, bias: 7, width: 8, max: 0x7e, nan: nanFN, saturate: true}
	fmtF8E4M3FNUZ = &floatFormat{man: 3, bias: 8, width: 8, max: 0x7f, nan: nanUZ, saturate: true}
	fmtF8E5M2     = &floatFormat{man: 2, bias: 15, width: 8, max: 0x7b, inf: 0x7c}
	fmtF8E5M2FNUZ = &floatFormat{man: 2, bias: 16, width: 8, max: 0x7f, nan: nanUZ, saturate: true}
	fmtF4E2M1     = &floatFormat{man: 1, bias: 1, width: 4, max: 0x7, nan: nanNone, saturate: true}
)

// smallFormats are the formats that floatFormat covers; f8e8m0 has functions of its own.
var smallFormats = [numDTypes]*floatFormat{
	F16: fmtF16, BF16: fmtBF16, F8E4M3FN: fmtF8E4M3FN, F8E4M3FNUZ: fmtF8E4M3FNUZ,
	F8E5M2: fmtF8E5M2, F8E5M2FNUZ: fmtF8E5M2FNUZ, F4E2M1: fmtF4E2M1,
}

const (
	f64Man  = 52
	f64Bias = 1023
)

// DecodeFloat returns the number that the low Bits() bits of code stand for in a float dtype. It is exact,
// and a NaN keeps its sign and payload as far as the format has them. It returns NaN for other dtypes.
func DecodeFloat(dt DType, code uint64) float64 {
	switch dt {
	case F64:
		return math.Float64frombits(code)
	case F32:
		return widen(math.Float32frombits(uint32(code)))
	case F8E8M0:
		return decodeE8M0(uint8(code))
	}
	if dt < numDTypes && smallFormats[dt] != nil {
		return smallFormats[dt].decode(code)
	}
	return math.NaN()
}

// EncodeFloat rounds x once to a float dtype, to nearest, ties to even, and returns its code in the low
// Bits() bits; 0 for other dtypes. Decoding a code and encoding it again gives the same code.
//
// Beyond the largest finite number, f64, f32, f16, bf16 and f8e5m2 give infinity. The other 8-bit floats and
// f4e2m1, which have none, saturate: they give the largest finite number with the sign of x, for infinite x
// too. A NaN stays one; f4e2m1 has none and gives -0, as ONNX's reference does. FNUZ formats have no negative
// zero.
//
// f8e8m0 holds only the powers of two from 2^-127 to 2^127, without sign: x rounds to the nearest of
// them, ties up, zero to 2^-127 and +Inf to 2^127; negative numbers give NaN.
func EncodeFloat(dt DType, x float64) uint64 {
	switch dt {
	case F64:
		return math.Float64bits(x)
	case F32:
		return uint64(math.Float32bits(narrow(x)))
	case F8E8M0:
		return uint64(encodeE8M0(x, CastMode{}))
	}
	if dt < numDTypes && smallFormats[dt] != nil {
		f := smallFormats[dt]
		return f.encode(x, f.saturate)
	}
	return 0
}

// RoundFloat returns the value of a float dtype that EncodeFloat rounds x to.
func RoundFloat(dt DType, x float64) float64 {
	switch {
	case dt == F64:
		return x
	case dt == F32 && x == x:
		return float64(float32(x))
	}
	return DecodeFloat(dt, EncodeFloat(dt, x))
}

// FloatBelow returns the largest number of a float dtype that is less than x, which is finite.
func FloatBelow(dt DType, x float64) float64 {
	y := RoundFloat(dt, x)
	if y < x {
		return y
	}
	code := EncodeFloat(dt, y)
	switch {
	case y > 0:
		code--
	case y < 0:
		code++
	default:
		code = 1<<(dt.Bits()-1) | 1
	}
	return DecodeFloat(dt, code)
}

// decode returns the value of a code; bits above the format's width are ignored.
func (f *floatFormat) decode(code uint64) float64 {
	signBit := uint64(1) << (f.width - 1)
	sign := code & signBit << (64 - f.width)
	code &= signBit<<1 - 1
	mag := code &^ signBit
	switch f.nan {
	case nanIEEE:
		if mag >= f.inf { // Inf, or NaN with its payload
			return math.Float64frombits(sign | 0x7ff<<f64Man | (mag-f.inf)<<(f64Man-f.man))
		}
	case nanFN:
		if mag == signBit-1 {
			return math.Float64frombits(sign | math.Float64bits(math.NaN()))
		}
	case nanUZ:
		if code == signBit {
			return math.NaN()
		}
	}
	exp, man := int(mag>>f.man), mag&(1<<f.man-1)
	if exp == 0 {
		if man == 0 {
			return math.Float64frombits(sign)
		}
		shift := f.man - uint(bits.Len64(man)) + 1 // makes the leading bit implicit
		exp, man = 1-int(shift), man<<shift&(1<<f.man-1)
	}
	return math.Float64frombits(sign | uint64(exp-f.bias+f64Bias)<<f64Man | man<<(f64Man-f.man))
}

// encode rounds x to the format, ties to even. If saturate is false, overflow gives infinity where the
// format has it and else NaN.
func (f *floatFormat) encode(x float64, saturate bool) uint64 {
	b := math.Float64bits(x)
	signBit := uint64(1) << (f.width - 1)
	sign := uint64(0)
	if b>>63 != 0 {
		sign = signBit
	}
	if e, man := b>>f64Man&0x7ff, b&(1<<f64Man-1); e == 0x7ff {
		switch {
		case man != 0:
			return f.encodeNaN(sign, man)
		case f.inf != 0:
			return sign | f.inf
		}
		return f.overflow(sign, saturate)
	}
	mag := f.magnitude(b)
	if mag > f.max {
		return f.overflow(sign, saturate)
	}
	if mag == 0 && f.nan == nanUZ {
		return 0
	}
	return sign | mag
}

// magnitude rounds the absolute value of the finite float64 with bits b to a code, which is beyond f.max if
// the number is.
func (f *floatFormat) magnitude(b uint64) uint64 {
	e, man := int(b>>f64Man&0x7ff), b&(1<<f64Man-1)
	// A unit of the result is 2^shift units of x: a subnormal result loses more bits. Numbers that are
	// subnormal in float64 lie far below every unit.
	exp := e - f64Bias + f.bias // biased exponent in the format
	shift := uint(f64Man) - f.man
	if exp < 1 {
		shift += uint(1 - exp)
	}
	if e == 0 || shift > f64Man+1 {
		return 0
	}
	man |= 1 << f64Man
	mag := man >> shift
	rest, half := man&(1<<shift-1), uint64(1)<<(shift-1)
	if rest > half || rest == half && mag&1 != 0 {
		mag++ // a carry moves on into the exponent, which is right
	}
	if exp > 1 {
		mag += uint64(exp-1) << f.man // mag holds the implicit bit, which counts one exponent
	}
	return mag
}

func (f *floatFormat) overflow(sign uint64, saturate bool) uint64 {
	if saturate {
		return sign | f.max
	}
	if f.inf != 0 {
		return sign | f.inf
	}
	return f.encodeNaN(sign, 1<<(f64Man-1))
}

// encodeNaN returns the NaN with the leading bits of a float64's payload.
func (f *floatFormat) encodeNaN(sign, payload uint64) uint64 {
	signBit := uint64(1) << (f.width - 1)
	switch f.nan {
	case nanFN:
		return sign | (signBit - 1)
	case nanUZ:
		return signBit
	case nanNone:
		return signBit
	}
	top := payload >> (f64Man - f.man)
	if top == 0 {
		top = 1 << (f.man - 1)
	}
	return sign | f.inf | top
}

func decodeE8M0(code uint8) float64 {
	if code == 0xff {
		return math.NaN()
	}
	return math.Float64frombits((uint64(code) + f64Bias - 127) << f64Man)
}

func encodeE8M0(x float64, mode CastMode) uint8 {
	const nan, lowest, highest = 0xff, 0, 0xfe
	switch {
	case x != x || x < 0:
		return nan
	case x == 0 || x < 0x1p-1022 || math.IsInf(x, 1):
		if mode.NoSaturate {
			return nan
		}
		if x > 1 {
			return highest
		}
		return lowest
	}
	b := math.Float64bits(x)
	switch mode.E8M0 {
	case E8M0Nearest:
		b += 1 << (f64Man - 1) // carries into the exponent from 1.5 on
	case E8M0Up:
		b += 1<<f64Man - 1
	case E8M0Down:
	}
	code := int(b>>f64Man) - f64Bias + 127
	if code < lowest || code > highest {
		if mode.NoSaturate {
			return nan
		}
		code = min(max(code, lowest), highest)
	}
	return uint8(code)
}

// encodeMode is EncodeFloat as a mode of ConvertMode asks for.
func encodeMode(dt DType, x float64, mode CastMode) uint64 {
	switch {
	case dt == F8E8M0:
		return uint64(encodeE8M0(x, mode))
	case dt.Bits() == 8 && smallFormats[dt] != nil:
		if math.IsInf(x, 0) && !mode.NoSaturate {
			x = math.Copysign(math.MaxFloat64, x) // f8e5m2 would keep it
		}
		return smallFormats[dt].encode(x, !mode.NoSaturate)
	}
	return EncodeFloat(dt, x)
}

// widen is float64(x), which would make a signalling NaN quiet.
func widen(x float32) float64 {
	if x == x {
		return float64(x)
	}
	b := uint64(math.Float32bits(x))
	return math.Float64frombits(b>>31<<63 | 0x7ff<<f64Man | b&(1<<23-1)<<(f64Man-23))
}

// narrow is float32(x), except that a NaN keeps its sign and the leading bits of its payload as they are.
func narrow(x float64) float32 {
	if x == x {
		return float32(x)
	}
	b := math.Float64bits(x)
	top := uint32(b & (1<<f64Man - 1) >> (f64Man - 23))
	if top == 0 {
		top = 1 << 22
	}
	return math.Float32frombits(uint32(b>>63)<<31 | 0xff<<23 | top)
}

// canonicalNaN is the code of the NaN that text spells "nan": the quiet NaN that math.NaN encodes to.
func canonicalNaN(dt DType) uint64 { return EncodeFloat(dt, math.NaN()) }
