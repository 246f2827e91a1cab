package real

import "math"

// Exp returns e^x. That of package math is infinite from 709.44 on where it is assembly for amd64.
func Exp(x float64) float64 {
	if x > 709 {
		return math.Exp(x-1) * math.E // x-1 is exact
	}
	return math.Exp(x)
}

// Log returns the natural logarithm of x. That of package math takes subnormal numbers for about 2^-1023 where it is assembly for amd64.
func Log(x float64) float64 {
	if x < 0x1p-1022 {
		return math.Log(x*0x1p54) - 54*math.Ln2
	}
	return math.Log(x)
}

// Sinh returns the hyperbolic sine of x. That of package math overflows where e^x does.
func Sinh(x float64) float64 {
	if math.Abs(x) > 709 {
		half := math.Exp(math.Abs(x) / 2)
		return math.Copysign(half/2*half, x)
	}
	return math.Sinh(x)
}

// Cosh returns the hyperbolic cosine of x. That of package math overflows where e^x does.
func Cosh(x float64) float64 {
	if math.Abs(x) > 709 {
		return math.Abs(Sinh(x))
	}
	return math.Cosh(x)
}

// Asin returns the arc sine of x. That of package math loses half of the digits next to 1.
func Asin(x float64) float64 { return math.Atan2(x, math.Sqrt((1-x)*(1+x))) }

// Acos returns the arc cosine of x. That of package math loses half of the digits next to 1.
func Acos(x float64) float64 { return 2 * math.Atan2(math.Sqrt(1-x), math.Sqrt(1+x)) }

// Sin returns the sine of x. That of package math loses digits next to multiples of pi.
func Sin(x float64) float64 {
	y := math.Sin(x)
	if math.Abs(y) < closeBy {
		if rest, quarters, ok := nearAxis(x); ok {
			return math.Sin(rest) * float64(1-quarters&2)
		}
	}
	return y
}

// Cos returns the cosine of x. That of package math loses digits next to odd multiples of pi/2.
func Cos(x float64) float64 {
	y := math.Cos(x)
	if math.Abs(y) < closeBy {
		if rest, quarters, ok := nearAxis(x); ok {
			return math.Sin(rest) * float64(quarters&2-1)
		}
	}
	return y
}

// Tan returns the tangent of x. That of package math loses digits next to multiples of pi/2.
func Tan(x float64) float64 {
	y := math.Tan(x)
	if a := math.Abs(y); a < closeBy || a > 1/closeBy {
		if rest, _, ok := nearAxis(x); ok {
			if a < 1 {
				return math.Tan(rest)
			}
			return -1 / math.Tan(rest)
		}
	}
	return y
}

// closeBy is the distance from a multiple of pi/2 from which on package math loses no more than it may.
const closeBy = 0x1p-10

// nearAxis returns how far x lies from the next multiple of pi/2, and which one that is.
func nearAxis(x float64) (rest float64, quarters int, ok bool) {
	const ( // parts of pi/2 of 33 bits, of which multiples are exact, but for the last
		a = 0x1.921fb544p+0
		b = 0x1.0b4611a6p-34
		c = 0x1.3198a2e0p-69
		d = 0x1.b839a252049c1p-104
	)
	n := math.RoundToEven(x * (2 / math.Pi))
	if n == 0 || math.Abs(n) > 1<<19 {
		return 0, 0, false
	}
	high := x - n*a // exact, and so are the products below
	sum := high - n*b
	lost := sum - high
	low := (high - (sum - lost)) - (n*b + lost)
	return sum + (low - n*c - n*d), int(n), true
}

// Pow returns x^y, with the special cases of math.Pow, whose error grows with y: here products carry twice the digits.
func Pow(x, y float64) float64 {
	whole, part := math.Modf(math.Abs(y))
	if x == 0 || x-x != 0 || y-y != 0 || whole >= 1<<63 || x < 0 && part != 0 {
		return math.Pow(x, y)
	}
	if part > 0.5 {
		whole, part = whole+1, part-1
	}
	m, e := math.Frexp(x)
	high, low, exp := 1.0, 0.0, 0 // of the result
	if part != 0 {
		t := float64(e) * part
		k := math.RoundToEven(t)
		high, exp = math.Exp((t-k+math.FMA(float64(e), part, -t))*math.Ln2+part*math.Log(m)), int(k)
	}
	rest := 0.0 // of m
	for n := uint64(whole); n > 0; n >>= 1 {
		if e < -1<<12 || e > 1<<12 { // out of range, as the last factor is
			exp += e
			break
		}
		if n&1 != 0 {
			high, low = product(high, low, m, rest)
			exp += e
		}
		m, rest = product(m, rest, m, rest)
		if e *= 2; math.Abs(m) < 0.5 {
			m, rest, e = 2*m, 2*rest, e-1
		}
	}
	if y < 0 {
		r := 1 / high
		high, low, exp = r, r*(math.FMA(-high, r, 1)-low*r), -exp
	}
	return math.Ldexp(high+low, exp)
}

// product returns the product of two numbers that are sums of two.
func product(a, aLow, b, bLow float64) (high, low float64) {
	p := a * b
	q := math.FMA(a, b, -p) + (a*bLow + aLow*b)
	high = p + q
	return high, q - (high - p)
}
