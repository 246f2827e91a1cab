package value

import (
	"math"
	"math/big"
	"testing"
)

// edgesOf returns elements of a dtype at which conversions may go wrong: ends of ranges, places in the middle between neighbours of
// narrower dtypes and one bit beside them, and all codes of the small dtypes.
func edgesOf(dt DType) *Exact {
	e := &Exact{DType: dt}
	var codes []uint64
	if dt.Bits() <= 8 {
		for c := range uint64(1) << dt.Bits() {
			codes = append(codes, c)
		}
	}
	var floats []float64
	for _, man := range []uint{1, 2, 3, 7, 10, 23} { // of the narrower floats
		for _, exp := range []int{-149, -140, -126, -25, -24, -14, -9, -1, 0, 1, 5, 8, 15, 24, 53, 62, 63, 127} {
			one, half := math.Ldexp(1, exp), math.Ldexp(1, exp-int(man)-1)
			for _, x := range []float64{one + half, one + 3*half, 2*one - half, half, one} {
				floats = append(floats, x, math.Nextafter(x, 0), math.Nextafter(x, math.Inf(1)), -x)
			}
		}
		for bit := int(man) + 1; bit < 64; bit++ { // 1.0...01 in the middle, and a bit behind that a float64 may not hold
			x := uint64(1)<<bit + 1<<(bit-int(man)-1)
			codes = append(codes, x, x+1, x-1, x+1<<(bit-int(man)), -x, -x-1, -x+1)
		}
	}
	floats = append(floats, 0, math.Copysign(0, -1), math.NaN(), math.Inf(1), math.Inf(-1), math.MaxFloat64, 5e-324, 0.5, 1.5, -0.5,
		65504, 65519.99, 65520, 448, 464, 465, 57344, 61440, 240, 248, math.MaxFloat32, 0x1.ffffffp127, 1<<63, 1<<64, -1<<63, -1<<63-2048,
		1<<64-2048, 127.5, 128, 255.9, 256, -128.9, -129)
	codes = append(codes, 0, 1, 127, 128, 255, 256, 1<<15-1, 1<<15, 1<<31-1, 1<<31, 1<<53+1, 1<<62+1<<38+1, 1<<63-1, 1<<63, 1<<64-1)
	switch dt.Domain() {
	case Floats:
		e.F = floats
		if dt.Bits() <= 8 {
			e.F = nil
			for _, c := range codes {
				e.F = append(e.F, DecodeFloat(dt, c&mask(dt)))
			}
		}
	case Ints:
		for _, c := range codes {
			e.I = append(e.I, int64(c))
		}
	case Uints:
		e.U = codes
	case Bools:
		e.B = []bool{false, true}
	}
	e.Shape = []int{e.Len()}
	e.Round()
	return e
}

// exactly returns element i as an exact number, nil for NaN.
func exactly(e *Exact, i int) *big.Float {
	x := new(big.Float).SetPrec(2000)
	switch e.DType.Domain() {
	case Floats:
		if math.IsNaN(e.F[i]) {
			return nil
		}
		return x.SetFloat64(e.F[i])
	case Ints:
		return x.SetInt64(e.I[i])
	case Uints:
		return x.SetUint64(e.U[i])
	}
	if e.B[i] {
		return x.SetInt64(1)
	}
	return x
}

// nearestCode rounds x to a float of at most 16 bits by a search among them, and what would come after the greatest.
func nearestCode(dt DType, x *big.Float) float64 {
	f := smallFormats[dt]
	sign := 1.0
	if x.Signbit() {
		sign = -1
	}
	abs := new(big.Float).Abs(x)
	if x.IsInf() {
		if dt.Bits() > 8 {
			return sign * math.Inf(1)
		}
		return sign * f.decode(f.max)
	}
	lo, hi := uint64(0), f.max+1 // lo is at most x, hi beyond it
	at := func(c uint64) *big.Float {
		if c <= f.max {
			return new(big.Float).SetPrec(2000).SetFloat64(f.decode(c))
		}
		end := new(big.Float).SetPrec(2000).SetFloat64(f.decode(f.max))
		step := new(big.Float).Sub(end, new(big.Float).SetPrec(2000).SetFloat64(f.decode(f.max-1)))
		return end.Add(end, step)
	}
	for hi-lo > 1 {
		if mid := (lo + hi) / 2; at(mid).Cmp(abs) <= 0 {
			lo = mid
		} else {
			hi = mid
		}
	}
	below, above := new(big.Float).Sub(abs, at(lo)), new(big.Float).Sub(at(hi), abs)
	code := lo
	if c := below.Cmp(above); c > 0 || c == 0 && hi&1 == 0 {
		code = hi
	}
	switch {
	case code <= f.max:
	case dt.Bits() > 8:
		return sign * math.Inf(1)
	default:
		code = f.max
	}
	y := f.decode(code)
	if f.nan == nanUZ && y == 0 {
		return 0
	}
	return math.Copysign(y, sign)
}

// wantFloat rounds an exact number to a float dtype as Convert says.
func wantFloat(dt DType, x *big.Float) float64 {
	switch {
	case dt == F8E8M0:
		switch {
		case x == nil || x.Sign() < 0:
			return math.NaN()
		case x.IsInf():
			return 0x1p127
		}
		y := 0x1p-127
		for y < 0x1p127 && new(big.Float).SetFloat64(1.5*y).Cmp(x) <= 0 {
			y *= 2
		}
		return y
	case x == nil && dt == F4E2M1:
		return math.Copysign(0, -1)
	case x == nil:
		return math.NaN()
	case dt == F64:
		y, _ := x.Float64()
		return y
	case dt == F32:
		y, _ := x.Float32()
		return float64(y)
	}
	return nearestCode(dt, x)
}

// wantBits returns an exact number as an integer modulo 2^64 as Convert says.
func wantBits(from, to DType, x *big.Float) uint64 {
	if x == nil {
		return 0
	}
	least, most := new(big.Float).SetInt64(math.MinInt64), new(big.Float).SetInt64(math.MaxInt64)
	if to == U64 || !from.IsFloat() {
		most = new(big.Float).SetUint64(math.MaxUint64)
	}
	if x.Cmp(least) < 0 {
		x = least
	}
	if x.Cmp(most) > 0 {
		x = most
	}
	n, _ := x.Int(nil)
	return n.And(n, new(big.Int).SetUint64(math.MaxUint64)).Uint64()
}

// TestConvertExactly converts edges between all dtypes of numbers and holds them against exact arithmetic.
func TestConvertExactly(t *testing.T) {
	for from := range numDTypes {
		if !from.Valid() || from == String {
			continue
		}
		e := edgesOf(from)
		for to := range numDTypes {
			if !to.Valid() || to == String || to == from {
				continue
			}
			got, err := Convert(e, to)
			if err != nil {
				t.Fatal(err)
			}
			for i := range e.Len() {
				x := exactly(e, i)
				ok, want := true, any(nil)
				switch to.Domain() {
				case Floats:
					w, g := wantFloat(to, x), got.F[i]
					ok = g == w && math.Signbit(g) == math.Signbit(w) || g != g && w != w
					want = w
				case Ints:
					w := wrapInt(wantBits(from, to, x), to)
					ok, want = got.I[i] == w, w
				case Uints:
					w := wantBits(from, to, x) & mask(to)
					ok, want = got.U[i] == w, w
				case Bools:
					w := x == nil || x.Sign() != 0
					ok, want = got.B[i] == w, w
				}
				if !ok {
					t.Errorf("%s to %s: element %d, %v, gives %v, want %v", from, to, i, x, got.Tensor().Float64At(i), want)
					break
				}
			}
		}
	}
}
