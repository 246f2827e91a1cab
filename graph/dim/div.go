package dim

import (
	"math"
	"slices"
)

// FloorDiv returns a/b rounded toward negative infinity. The error is
// [ErrDivideByZero] if b is the constant 0.
func FloorDiv(a, b Dim) (Dim, error) {
	a, b, d, done, err := normalize(a, b, floorDiv64)
	if done {
		return d, err
	}
	quot := Dim{}
	for {
		r := reduce(a, b, floordiv)
		quot = Add(quot, r.quot)
		p, q := r.p, r.q
		if quot.Overflow() || p.Overflow() || q.Overflow() {
			return overflowDim(), nil
		}
		rng := p.rng().floorDiv(q.rng())
		switch {
		case p.isZero() || below(p, q):
			return quot, nil
		case rng.lo == rng.hi:
			return Add(quot, Const(rng.lo)), nil
		}
		if x, y, ok := unnest(p, q); ok {
			a, b = x, y
			continue
		}
		return Add(quot, call(floordiv, rng, p, q)), nil
	}
}

// CeilDiv returns a/b rounded toward positive infinity. The error is
// [ErrDivideByZero] if b is the constant 0.
func CeilDiv(a, b Dim) (Dim, error) {
	a, b, d, done, err := normalize(a, b, ceilDiv64)
	if done {
		return d, err
	}
	r := reduce(a, b, ceildiv)
	p, q := r.p, r.q
	switch {
	case r.quot.Overflow() || p.Overflow() || q.Overflow():
		return overflowDim(), nil
	case p.isZero():
		return r.quot, nil
	case q.rng().lo >= 1:
		// The floor of (p+q-1)/q, with the quotient of q split out where
		// FloorDiv does so, which is less prone to overflow.
		rest, one := Sub(p, Const(1)), Const(1)
		if len(q.allTerms()) > 1 {
			rest, one = Add(rest, q), Dim{}
		}
		f, err := FloorDiv(rest, q)
		return Sum(r.quot, f, one), err
	}
	return Add(r.quot, call(ceildiv, anything, p, q)), nil
}

// Mod returns a - b*floordiv(a, b). The error is [ErrDivideByZero] if b is the
// constant 0.
func Mod(a, b Dim) (Dim, error) {
	flip := b.leadsNegative()
	a, b, d, done, err := normalize(a, b, func(x, y int64) (int64, bool) { return floorMod64(x, y), true })
	if done {
		return d, err
	}
	r := reduce(a, b, mod)
	p, q := r.p, r.q
	if p.Overflow() || q.Overflow() {
		return overflowDim(), nil
	}
	m := p
	if !p.isZero() && !below(p, q) {
		m = call(mod, p.rng().mod(q.rng()), p, q)
	}
	m = Add(Mul(r.scale, m), r.low)
	if flip {
		m = scale(m, -1)
	}
	return m, nil
}

// normalize prepares the operands of a division. If done, d and err are its
// result, which for constants is that of fold. If not, p and q are operands of
// the same quotient where q does not lead with a negative coefficient.
func normalize(a, b Dim, fold func(a, b int64) (int64, bool)) (p, q, d Dim, done bool, err error) {
	switch {
	case b.n == nil && b.c == 0:
		return a, b, Dim{}, true, ErrDivideByZero
	case a.Overflow() || b.Overflow():
		return a, b, overflowDim(), true, nil
	case a.n == nil && b.n == nil:
		c, ok := fold(a.c, b.c)
		if !ok {
			return a, b, overflowDim(), true, nil
		}
		return a, b, Const(c), true, nil
	case a.isZero():
		return a, b, Dim{}, true, nil
	}
	if b.leadsNegative() {
		a, b = scale(a, -1), scale(b, -1)
		if a.Overflow() || b.Overflow() {
			return a, b, overflowDim(), true, nil
		}
	}
	return a, b, Dim{}, false, nil
}

func (d Dim) isZero() bool { return d.n == nil && d.c == 0 }

// leadsNegative reports whether the first coefficient of d is negative.
func (d Dim) leadsNegative() bool {
	if d.n == nil || d.Overflow() {
		return d.c < 0
	}
	return d.n.terms[0].coef < 0
}

// below reports whether 0 <= p < q is known.
func below(p, q Dim) bool {
	return p.rng().lo >= 0 && diffRange(p, q).hi < 0
}

// A reduction is a division in lower terms. For the operands a and b that were
// reduced:
//
//	floordiv(a, b) = quot + floordiv(p, q)
//	ceildiv(a, b)  = quot + ceildiv(p, q)
//	mod(a, b)      = scale*mod(p, q) + low
type reduction struct {
	quot, p, q, scale, low Dim
}

// reduce returns the division of p by q in lowest terms, for the kind of
// division k. The coefficient that q leads with is positive.
func reduce(p, q Dim, k kind) reduction {
	r := reduction{p: p, q: q, scale: Const(1)}
	for r.cancel(k) || r.split() || k == mod && r.residues() {
		if r.p.isZero() || r.p.Overflow() || r.q.Overflow() {
			break
		}
	}
	return r
}

// cancel divides the operands by their common factors and reports whether there
// were any.
func (r *reduction) cancel(k kind) bool {
	p, q := r.p, r.q
	// If the divisor is positive then a common factor g of all but the
	// constant c of the dividend can go, for the fraction that dividing c by g
	// leaves is too small to matter.
	loose := k != ceildiv && q.rng().lo >= 1
	var g uint64
	if !loose {
		g = gcd(g, p.c)
	}
	for _, t := range p.terms() {
		g = gcd(g, t.coef)
	}
	g = gcd(g, q.c)
	for _, t := range q.terms() {
		g = gcd(g, t.coef)
	}
	changed := false
	if g > 1 && g <= math.MaxInt64 {
		g := int64(g)
		low := floorMod64(p.c, g)
		r.low = Add(r.low, scale(r.scale, low))
		r.scale = scale(r.scale, g)
		p, q = divConst(Dim{c: p.c - low, n: p.n}, g), divConst(q, g)
		changed = true
	}
	if p.n != nil && q.n != nil && p.c == 0 && q.c == 0 {
		m := p.n.terms[0].monomial
		for _, t := range slices.Concat(p.n.terms, q.n.terms) {
			m = gcdMonomials(m, t.monomial)
		}
		if m.degree > 0 {
			r.scale = Mul(r.scale, term{1, m}.dim())
			p, q = divMonomial(p, m), divMonomial(q, m)
			changed = true
		}
	}
	r.p, r.q = p, q
	return changed
}

// split moves what the divisor divides from the dividend to the quotient, and
// reports whether there was anything.
func (r *reduction) split() bool {
	var quot, rest Dim
	if q := r.q.allTerms(); len(q) == 1 {
		quot, rest = divTerm(r.p, q[0])
	} else if d, ok := divExact(r.p, r.q); ok {
		quot = d
	}
	if quot.isZero() {
		return false
	}
	r.quot, r.p = Add(r.quot, quot), rest
	return true
}

// residues replaces the coefficients of the dividend of a mod by their residues
// if the divisor is a constant, and reports whether that changed any.
func (r *reduction) residues() bool {
	if r.q.n != nil {
		return false
	}
	terms := slices.Clone(r.p.terms())
	changed := false
	for i, t := range terms {
		terms[i].coef = floorMod64(t.coef, r.q.c)
		changed = changed || terms[i].coef != t.coef
	}
	if changed {
		r.p = fromTerms(r.p.c, withoutZeros(terms))
	}
	return changed
}

// divTerm returns a quotient and rest with p = quot*q + rest, where the quotient
// has all that q divides without remainder and, if q is a constant, as much of
// the constant of p as leaves a rest from 0 to q-1.
func divTerm(p Dim, q term) (quot, rest Dim) {
	var in, out []term
	for _, t := range p.terms() {
		if t.coef%q.coef == 0 {
			if m, ok := divMonomials(t.monomial, q.monomial); ok {
				in = append(in, term{t.coef / q.coef, m})
				continue
			}
		}
		out = append(out, t)
	}
	var c int64
	low := p.c
	if q.degree == 0 {
		c, _ = floorDiv64(p.c, q.coef)
		low = floorMod64(p.c, q.coef)
	}
	// Only the term q itself has a constant quotient if q is not one.
	if n := len(in); n > 0 && in[n-1].degree == 0 {
		c, in = in[n-1].coef, in[:n-1]
	}
	return fromTerms(c, in), fromTerms(low, out)
}

// divExact returns p/q and whether q divides p without remainder. It gives up on
// quotients of many terms.
func divExact(p, q Dim) (Dim, bool) {
	const maxSteps = 64
	qt := q.allTerms()
	lead := qt[0]
	var quot []Dim
	for range maxSteps {
		if p.isZero() {
			return Sum(quot...), true
		}
		t := p.allTerms()[0]
		m, ok := divMonomials(t.monomial, lead.monomial)
		if !ok || t.coef%lead.coef != 0 {
			return Dim{}, false
		}
		x := term{t.coef / lead.coef, m}.dim()
		quot = append(quot, x)
		if p = Sub(p, Mul(x, q)); p.Overflow() {
			return Dim{}, false
		}
	}
	return Dim{}, false
}

// divConst returns d/g, where g divides all coefficients of d.
func divConst(d Dim, g int64) Dim {
	terms := slices.Clone(d.terms())
	for i := range terms {
		terms[i].coef /= g
	}
	return fromTerms(d.c/g, terms)
}

// divMonomial returns d/m, where m divides all terms of d.
func divMonomial(d Dim, m monomial) Dim {
	terms := slices.Clone(d.terms())
	for i := range terms {
		terms[i].monomial, _ = divMonomials(terms[i].monomial, m)
	}
	n := len(terms) - 1
	if terms[n].degree == 0 {
		return fromTerms(terms[n].coef, terms[:n])
	}
	return fromTerms(0, terms)
}

// unnest rewrites the division of floordiv(x, m) + y by n, for positive
// constants m and n, to that of x + m*y by m*n, and reports whether p and q are
// of this form with a single such floordiv.
func unnest(p, q Dim) (a, b Dim, ok bool) {
	if q.n != nil {
		return a, b, false
	}
	var inner *atom
	for _, t := range p.terms() {
		if f := t.atom(); f != nil && f.kind == floordiv && f.args[1].n == nil {
			if inner != nil {
				return a, b, false
			}
			inner = f
		}
	}
	if inner == nil {
		return a, b, false
	}
	x, m := inner.args[0], inner.args[1]
	var rest []term
	for _, t := range p.terms() {
		if t.atom() != inner {
			rest = append(rest, t)
		}
	}
	a, b = Add(x, Mul(m, fromTerms(p.c, rest))), Mul(m, q)
	return a, b, !a.Overflow() && !b.Overflow()
}

// Min returns the lesser of a and b.
func Min(a, b Dim) Dim {
	if a.n == nil && b.n == nil {
		return Dim{c: min(a.c, b.c)}
	}
	return minMax(minimum, a, b)
}

// Max returns the greater of a and b.
func Max(a, b Dim) Dim {
	if a.n == nil && b.n == nil {
		return Dim{c: max(a.c, b.c)}
	}
	return minMax(maximum, a, b)
}

// minMax returns the least or greatest of args, of which there is at least one.
func minMax(k kind, args ...Dim) Dim {
	var arms []Dim // sorted
	for _, d := range args {
		if d.Overflow() {
			return d
		}
		of := []Dim{d}
		if a := d.atom(); a != nil && a.kind == k {
			of = a.args
		}
		for _, d := range of {
			at := len(arms)
			for at > 0 && arms[at-1].Compare(d) > 0 {
				at--
			}
			if at == 0 || !arms[at-1].Equal(d) {
				arms = append(arms, Dim{})
				copy(arms[at+1:], arms[at:])
				arms[at] = d
			}
		}
	}
	// Constants sort first and only the best of them matters.
	n := 0
	for n < len(arms) && arms[n].n == nil {
		n++
	}
	switch {
	case n > 1 && k == minimum:
		arms = slices.Delete(arms, 1, n)
	case n > 1:
		arms = arms[n-1:]
	}
	if len(arms) > maxArms {
		return overflowDim()
	}
	kept := make([]Dim, 0, len(arms))
	for i, d := range arms {
		if !slices.ContainsFunc(arms[:i], func(e Dim) bool { return dominates(k, e, d) }) &&
			!slices.ContainsFunc(arms[i+1:], func(e Dim) bool { return dominates(k, e, d) && !dominates(k, d, e) }) {
			kept = append(kept, d)
		}
	}
	if len(kept) == 1 {
		return kept[0]
	}
	r := kept[0].rng()
	for _, d := range kept[1:] {
		s := d.rng()
		if k == minimum {
			r = interval{min(r.lo, s.lo), min(r.hi, s.hi)}
		} else {
			r = interval{max(r.lo, s.lo), max(r.hi, s.hi)}
		}
	}
	return call(k, r, kept...)
}

// dominates reports whether d is superfluous as an operand of k next to e.
func dominates(k kind, e, d Dim) bool {
	if k == minimum {
		d, e = e, d
	}
	// d <= e
	if d.n != nil && e.n != nil && d.n.text == e.n.text {
		return d.c <= e.c
	}
	return diffRange(e, d).lo >= 0
}
