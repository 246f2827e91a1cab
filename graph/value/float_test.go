package value

import (
	"math"
	"math/big"
	"math/rand/v2"
	"testing"
)

var floatDTypes = []DType{F4E2M1, F8E4M3FN, F8E4M3FNUZ, F8E5M2, F8E5M2FNUZ, F8E8M0, F16, BF16, F32, F64}

// codes yields every code of a dtype of up to 16 bits, and interesting ones of the wider.
func codes(dt DType) []uint64 {
	var all []uint64
	if dt.Bits() <= 16 {
		for c := range uint64(1) << dt.Bits() {
			all = append(all, c)
		}
		return all
	}
	rng := rand.New(rand.NewPCG(1, uint64(dt)))
	for range 5000 {
		all = append(all, rng.Uint64()&mask(dt))
	}
	for _, x := range []float64{0, 1, math.Inf(1), math.NaN(), 1e7, 123456789, 1e-40, math.Pi, math.MaxFloat32, math.SmallestNonzeroFloat32} {
		c := EncodeFloat(dt, x)
		for d := range uint64(5) {
			all = append(all, (c+d-2)&mask(dt), (c+d-2)&mask(dt)^1<<(dt.Bits()-1))
		}
	}
	return all
}

// TestCodes checks that decoding is exact and encoding its inverse, NaN payloads included.
func TestCodes(t *testing.T) {
	for _, dt := range floatDTypes {
		for _, c := range codes(dt) {
			x := DecodeFloat(dt, c)
			if got := EncodeFloat(dt, x); got != c {
				t.Fatalf("%s: code %#x is %g, which encodes to %#x", dt, c, x, got)
			}
			if r := RoundFloat(dt, x); math.Float64bits(r) != math.Float64bits(x) && x == x {
				t.Fatalf("%s: %g rounds to %g", dt, x, r)
			}
		}
	}
	for c := range 1 << 16 {
		h, b := Float16(c), BFloat16(c)
		if math.Float64bits(widen(h.Float32())) != math.Float64bits(h.Float64()) {
			t.Fatalf("f16 %#x: Float32 is %g, Float64 %g", c, h.Float32(), h.Float64())
		}
		if math.Float64bits(widen(b.Float32())) != math.Float64bits(b.Float64()) {
			t.Fatalf("bf16 %#x: Float32 is %g, Float64 %g", c, b.Float32(), b.Float64())
		}
		if Float16FromFloat32(h.Float32()) != h || BFloat16FromFloat32(b.Float32()) != b {
			t.Fatalf("code %#x does not come back from float32", c)
		}
		if h.IsNaN() != math.IsNaN(h.Float64()) || b.IsNaN() != math.IsNaN(b.Float64()) {
			t.Fatalf("IsNaN of code %#x", c)
		}
	}
}

// TestFormatLimits compares with the tables of the formats' definitions.
func TestFormatLimits(t *testing.T) {
	for _, test := range []struct {
		dt   DType
		code uint64
		want float64
	}{
		{F4E2M1, 0x1, 0.5},
		{F4E2M1, 0x7, 6},
		{F4E2M1, 0xf, -6},
		{F8E4M3FN, 0x01, 0x1p-9},
		{F8E4M3FN, 0x08, 0x1p-6},
		{F8E4M3FN, 0x7e, 448},
		{F8E4M3FN, 0x7f, math.NaN()},
		{F8E4M3FN, 0xff, math.NaN()},
		{F8E4M3FNUZ, 0x01, 0x1p-10},
		{F8E4M3FNUZ, 0x7f, 240},
		{F8E4M3FNUZ, 0x80, math.NaN()},
		{F8E5M2, 0x01, 0x1p-16},
		{F8E5M2, 0x7b, 57344},
		{F8E5M2, 0xfc, math.Inf(-1)},
		{F8E5M2, 0x7d, math.NaN()},
		{F8E5M2FNUZ, 0x01, 0x1p-17},
		{F8E5M2FNUZ, 0x7f, 57344},
		{F8E5M2FNUZ, 0x80, math.NaN()},
		{F8E8M0, 0x00, 0x1p-127},
		{F8E8M0, 0x7f, 1},
		{F8E8M0, 0xfe, 0x1p127},
		{F8E8M0, 0xff, math.NaN()},
		{F16, 0x0001, 0x1p-24},
		{F16, 0x7bff, 65504},
		{F16, 0xfc00, math.Inf(-1)},
		{BF16, 0x0001, 0x1p-133},
		{BF16, 0x7f7f, 0x1.fep127},
		{BF16, 0x7f80, math.Inf(1)},
	} {
		if got := DecodeFloat(test.dt, test.code); got != test.want && got == got {
			t.Errorf("%s %#x: got %g, want %g", test.dt, test.code, got, test.want)
		}
	}
}

// awkward yields floats around the values of a dtype and their midpoints, and random ones.
func awkward(dt DType, seed uint64) []float64 {
	rng := rand.New(rand.NewPCG(seed, uint64(dt)))
	var xs []float64
	add := func(x float64) {
		xs = append(xs, x, -x, math.Nextafter(x, math.Inf(1)), math.Nextafter(x, math.Inf(-1)))
	}
	n := uint64(1) << (dt.Bits() - 1)
	for c := range n {
		if n > 1<<10 && c > 8 && c < n-200 && rng.IntN(20) > 0 {
			continue
		}
		x, y := DecodeFloat(dt, c), DecodeFloat(dt, c+1)
		add(x)
		if !math.IsInf(x, 0) && !math.IsInf(y, 0) && y > x {
			add(x + (y-x)/2)
			for range 4 {
				add(x + (y-x)*rng.Float64())
			}
		}
	}
	for range 20000 {
		xs = append(xs, math.Float64frombits(rng.Uint64()), math.Ldexp(rng.Float64(), rng.IntN(300)-150))
	}
	add(0)
	add(math.MaxFloat64)
	add(math.SmallestNonzeroFloat64)
	add(0x1p-1022)
	return append(xs, math.Inf(1), math.Inf(-1), math.NaN())
}

// bigRound rounds by math/big: a format with man mantissa bits, least normal exponent emin, and overflow
// to infinity from 2^emax on.
func bigRound(x float64, man uint, emin, emax int) float64 {
	if x == 0 || math.IsInf(x, 0) || x != x {
		return x
	}
	prec := int(man) + 1
	if e := math.Ilogb(x); e < emin {
		prec -= emin - e
	}
	var r float64
	switch {
	case prec > 0:
		r, _ = new(big.Float).SetPrec(uint(prec)).SetMode(big.ToNearestEven).SetFloat64(x).Float64()
	case prec == 0 && math.Abs(x) > math.Ldexp(1, emin-int(man)-1): // above half of the least subnormal
		r = math.Copysign(math.Ldexp(1, emin-int(man)), x)
	default:
		r = math.Copysign(0, x)
	}
	if math.Abs(r) >= math.Ldexp(1, emax) {
		return math.Inf(int(math.Copysign(1, x)))
	}
	return r
}

func TestRoundHalfPrecision(t *testing.T) {
	for _, test := range []struct {
		dt         DType
		man        uint
		emin, emax int
	}{{F16, 10, -14, 16}, {BF16, 7, -126, 128}} {
		for _, x := range awkward(test.dt, 7) {
			want := bigRound(x, test.man, test.emin, test.emax)
			if got := RoundFloat(test.dt, x); math.Float64bits(got) != math.Float64bits(want) && want == want {
				t.Fatalf("%s: %v (%x) rounds to %v, want %v", test.dt, x, x, got, want)
			}
			// Through the float32 constructors, which round what is a float32 already.
			f := float32(x)
			want = bigRound(float64(f), test.man, test.emin, test.emax)
			got := Float16FromFloat32(f).Float64()
			if test.dt == BF16 {
				got = BFloat16FromFloat32(f).Float64()
			}
			if math.Float64bits(got) != math.Float64bits(want) && (got == got || want == want) {
				t.Fatalf("%s from float32: %v rounds to %v, want %v", test.dt, f, got, want)
			}
		}
	}
	// 1 + 2^-11 is halfway between two f16; 2^-40 more decides, and is lost in a float32.
	if got := Float16FromFloat64(1 + 0x1p-11 + 0x1p-40); got.Float64() != 1+0x1p-10 {
		t.Errorf("rounds twice: got %v", got.Float64())
	}
	if got := BFloat16FromFloat64(1 + 0x1p-8 + 0x1p-40); got.Float64() != 1+0x1p-7 {
		t.Errorf("rounds twice: got %v", got.Float64())
	}
}

// TestRoundSmall compares with a search of all values of the format for the nearest.
func TestRoundSmall(t *testing.T) {
	for _, dt := range []DType{F4E2M1, F8E4M3FN, F8E4M3FNUZ, F8E5M2, F8E5M2FNUZ} {
		var values []float64 // positive and finite, by code
		for c := range uint64(1) << (dt.Bits() - 1) {
			if x := DecodeFloat(dt, c); x == x && !math.IsInf(x, 0) {
				values = append(values, x)
			}
		}
		for _, x := range awkward(dt, 9) {
			got := RoundFloat(dt, x)
			if x != x {
				if dt == F4E2M1 && (got != 0 || !math.Signbit(got)) || dt != F4E2M1 && got == got {
					t.Errorf("%s: NaN rounds to %v", dt, got)
				}
				continue
			}
			want := nearest(values, math.Abs(x))
			if math.Abs(x) >= 61440 && dt == F8E5M2 { // the middle of its largest number and the next power of two
				want = math.Inf(1)
			}
			if want != 0 || dt != F8E4M3FNUZ && dt != F8E5M2FNUZ {
				want = math.Copysign(want, x)
			}
			if math.Float64bits(got) != math.Float64bits(want) {
				t.Fatalf("%s: %v (%x) rounds to %v, want %v", dt, x, x, got, want)
			}
		}
	}
}

// nearest returns the closest of the ascending values; of two, the one with the even index, which is the
// even code.
func nearest(values []float64, x float64) float64 {
	best := 0
	for i, v := range values {
		if v <= x {
			best = i
		}
	}
	if best+1 == len(values) {
		return values[best]
	}
	lo, hi := x-values[best], values[best+1]-x // exact: the three are close
	if hi < lo || hi == lo && best%2 == 1 {
		best++
	}
	return values[best]
}

func TestRoundE8M0(t *testing.T) {
	inf, nan := math.Inf(1), math.NaN()
	for _, test := range []struct {
		x    float64
		mode CastMode
		want float64
	}{
		{1, CastMode{}, 1},
		{1.4999, CastMode{}, 1},
		{1.5, CastMode{}, 2},
		{0.75, CastMode{}, 1},
		{3, CastMode{}, 4},
		{0, CastMode{}, 0x1p-127},
		{0x1p-149, CastMode{}, 0x1p-127},
		{0x1p-1074, CastMode{}, 0x1p-127},
		{0x1.8p-127, CastMode{}, 0x1p-126},
		{0x1.8p127, CastMode{}, 0x1p127},
		{1e300, CastMode{}, 0x1p127},
		{inf, CastMode{}, 0x1p127},
		{-1, CastMode{}, nan},
		{-inf, CastMode{}, nan},
		{nan, CastMode{}, nan},
		{1, CastMode{E8M0: E8M0Up}, 1},
		{1.0001, CastMode{E8M0: E8M0Up}, 2},
		{1.9999, CastMode{E8M0: E8M0Down}, 1},
		{0x1.1p127, CastMode{E8M0: E8M0Up}, 0x1p127},
		{0x1.1p127, CastMode{E8M0: E8M0Up, NoSaturate: true}, nan},
		{0x1.1p127, CastMode{NoSaturate: true}, 0x1p127},
		{0x1p-127, CastMode{NoSaturate: true}, 0x1p-127},
		{0x1p-128, CastMode{NoSaturate: true}, nan},
		{0, CastMode{NoSaturate: true}, nan},
		{inf, CastMode{NoSaturate: true}, nan},
	} {
		got := DecodeFloat(F8E8M0, encodeMode(F8E8M0, test.x, test.mode))
		if got != test.want && (got == got || test.want == test.want) {
			t.Errorf("%g with %v: got %g, want %g", test.x, test.mode, got, test.want)
		}
	}
}

// TestFloatBelow steps down through numbers and zero.
func TestFloatBelow(t *testing.T) {
	for _, c := range []struct {
		dt      DType
		x, want float64
	}{
		{F16, 1, 1 - 0x1p-11},
		{BF16, 1, 1 - 0x1p-8},
		{F32, 1, 1 - 0x1p-24},
		{F64, 1, 1 - 0x1p-53},
		{F8E4M3FN, 1, 1 - 0x1p-4},
		{F16, 0, -0x1p-24},
		{F32, 0, -0x1p-149},
		{F16, -1, -1 - 0x1p-10},
		{F16, 0.3, 0.2998046875},
		{F32, 2.5, 2.5 - 0x1p-22},
		{BF16, 1.001, 1},
	} {
		if got := FloatBelow(c.dt, c.x); got != c.want {
			t.Errorf("below %v in %s: %v, want %v", c.x, c.dt, got, c.want)
		}
	}
}
