package dim

// inf is the bound of an interval without one. Bounds are kept well inside
// int64 so that sums of two do not wrap.
const inf = 1 << 62

// An interval is the set of integers from lo to hi. There is no lower bound if
// lo is -inf, and no upper bound if hi is inf; lo is never inf and hi never
// -inf.
type interval struct{ lo, hi int64 }

var anything = interval{-inf, inf}

// around returns the interval from lo to hi, weakening bounds that are out of
// range.
func around(lo, hi int64) interval {
	return interval{max(-inf, min(lo, inf-1)), min(inf, max(hi, 1-inf))}
}

func (r interval) add(s interval) interval {
	lo, hi := r.lo+s.lo, r.hi+s.hi
	if r.lo == -inf || s.lo == -inf {
		lo = -inf
	}
	if r.hi == inf || s.hi == inf {
		hi = inf
	}
	return around(lo, hi)
}

func (r interval) neg() interval { return interval{-r.hi, -r.lo} }

func (r interval) mul(s interval) interval {
	a, b := mulBound(r.lo, s.lo), mulBound(r.lo, s.hi)
	c, d := mulBound(r.hi, s.lo), mulBound(r.hi, s.hi)
	return around(min(a, b, c, d), max(a, b, c, d))
}

// mulBound returns a*b clamped to [-inf, inf]. The product of 0 and an infinite
// bound is 0, as the bound stands for arbitrarily large integers.
func mulBound(a, b int64) int64 {
	c, ok := mul64(a, b)
	switch {
	case ok && -inf < c && c < inf:
		return c
	case (a < 0) != (b < 0):
		return -inf
	}
	return inf
}

// floorDiv returns an interval of floordiv(x, y) for x in r and y in s.
func (r interval) floorDiv(s interval) interval {
	if s.lo < 1 {
		return anything
	}
	quo := func(x, y int64) int64 {
		switch {
		case x == -inf || x == inf:
			return x
		case y == inf && x < 0:
			return -1
		case y == inf:
			return 0
		}
		q, _ := floorDiv64(x, y)
		return q
	}
	lo, hi := quo(r.lo, s.lo), quo(r.hi, s.lo)
	if r.lo >= 0 {
		lo = quo(r.lo, s.hi)
	}
	if r.hi < 0 {
		hi = quo(r.hi, s.hi)
	}
	return around(lo, hi)
}

// mod returns an interval of mod(x, y) for x in r and y in s.
func (r interval) mod(s interval) interval {
	if s.lo < 1 {
		return anything
	}
	hi := int64(inf)
	if s.hi != inf {
		hi = s.hi - 1
	}
	if r.lo >= 0 {
		hi = min(hi, r.hi)
	}
	return interval{0, hi}
}

// rng returns an interval that has every value of d.
func (d Dim) rng() interval {
	if d.Overflow() {
		return anything
	}
	r := around(d.c, d.c)
	for _, t := range d.terms() {
		r = r.add(t.rng.mul(around(t.coef, t.coef)))
	}
	return r
}

// diffRange returns an interval that has every value of a-b, neither of which is
// the overflow dim. Atoms that occur in both do not widen it.
func diffRange(a, b Dim) interval {
	r := around(a.c, a.c).add(around(b.c, b.c).neg())
	x, y := a.terms(), b.terms()
	for len(x) > 0 || len(y) > 0 {
		var m monomial
		var p, q int64
		c := 0
		switch {
		case len(x) == 0:
			c = 1
		case len(y) == 0:
			c = -1
		default:
			c = compareMonomials(x[0].monomial, y[0].monomial)
		}
		if c <= 0 {
			m, p, x = x[0].monomial, x[0].coef, x[1:]
		}
		if c >= 0 {
			m, q, y = y[0].monomial, y[0].coef, y[1:]
		}
		k, ok := sub64(p, q)
		if !ok {
			return anything
		}
		r = r.add(m.rng.mul(around(k, k)))
	}
	return r
}

// ProvablyDifferent reports whether a and b are known to differ for all values
// of their symbols and unknowns. It is true if a-b is a non-zero constant, is
// never zero by the bounds on symbols, unknowns and the other atoms taken one
// by one, or is not a multiple of a common divisor of its coefficients. A false
// result means nothing: it is not a claim that a and b can be equal.
func ProvablyDifferent(a, b Dim) bool {
	d := Sub(a, b)
	if d.Overflow() {
		return false
	}
	if d.n == nil {
		return d.c != 0
	}
	if r := d.rng(); r.lo > 0 || r.hi < 0 {
		return true
	}
	var g uint64
	for _, t := range d.n.terms {
		g = gcd(g, t.coef)
	}
	if abs64(d.c)%g != 0 {
		return true
	}
	if !d.hasUnknown() {
		return false
	}
	return d.Upper().rng().hi < 0 || Sub(b, a).Upper().rng().hi < 0
}

// Upper returns a dim that is at least d for all values of the symbols and
// unknowns, by replacing each unknown by its upper bound where d increases with
// it, and by 0 where d decreases with it. A mod of an unknown is replaced by
// its greatest possible value. A term of which neither direction is known, such
// as a product with a factor that may be negative, stays as it is, so the
// result has unknowns if [Dim.Unknowns] says so. Upper of a dim without
// unknowns is the dim itself.
func (d Dim) Upper() Dim { return d.extreme(true) }

// extreme returns a dim that is at least d if up, and at most d otherwise.
func (d Dim) extreme(up bool) Dim {
	if !d.hasUnknown() {
		return d
	}
	sum := make([]Dim, 0, len(d.n.terms)+1)
	sum = append(sum, Dim{c: d.c})
	for _, t := range d.n.terms {
		m, ok := t.monomial.extreme(up == (t.coef > 0))
		if !ok {
			m = term{1, t.monomial}.dim()
		}
		sum = append(sum, scale(m, t.coef))
	}
	return Sum(sum...)
}

// extreme returns a bound of m from above if up, and from below otherwise, and
// whether it found one.
func (m monomial) extreme(up bool) (Dim, bool) {
	if m.degree == 1 {
		return m.factors[0].extreme(up)
	}
	p := Const(1)
	for _, f := range m.factors {
		e, ok := f.extreme(up)
		// Products are monotone in factors that are not negative.
		if !ok || f.rng.lo < 0 || e.rng().lo < 0 {
			return Dim{}, false
		}
		for range f.pow {
			p = Mul(p, e)
		}
	}
	return p, true
}

func (a *atom) extreme(up bool) (Dim, bool) {
	if !a.unk {
		return a.dim(), true
	}
	switch a.kind {
	case unknown:
		if up {
			return a.args[0].Upper(), true
		}
		return Dim{}, true
	case minimum, maximum:
		args := make([]Dim, len(a.args))
		for i, d := range a.args {
			args[i] = d.extreme(up)
		}
		return minMax(a.kind, args...), true
	}
	p, q := a.args[0], a.args[1]
	if q.rng().lo < 1 {
		return Dim{}, false
	}
	if a.kind == mod {
		if up {
			return Sub(q.extreme(true), Const(1)), true
		}
		return Dim{}, true
	}
	if q.hasUnknown() {
		// The quotient decreases with the divisor if the dividend is not
		// negative.
		q = q.extreme(!up)
		if p.rng().lo < 0 || q.rng().lo < 1 {
			return Dim{}, false
		}
	}
	d, err := a.kind.divide(p.extreme(up), q)
	return d, err == nil
}
