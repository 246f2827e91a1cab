package dim

import (
	"cmp"
	"math"
	"math/bits"
	"slices"
	"sort"
	"strconv"
	"strings"
)

// Add returns a + b.
func Add(a, b Dim) Dim {
	switch {
	case a.Overflow() || b.Overflow():
		return overflowDim()
	case a.n == nil || b.n == nil:
		c, ok := add64(a.c, b.c)
		if !ok {
			return overflowDim()
		}
		if a.n == nil {
			return Dim{c: c, n: b.n}
		}
		return Dim{c: c, n: a.n}
	}
	return Sum(a, b)
}

// Sub returns a - b.
func Sub(a, b Dim) Dim {
	switch {
	case a.Overflow() || b.Overflow():
		return overflowDim()
	case b.n == nil:
		c, ok := sub64(a.c, b.c)
		if !ok {
			return overflowDim()
		}
		return Dim{c: c, n: a.n}
	case a.n != nil && a.n.text == b.n.text:
		c, ok := sub64(a.c, b.c)
		if !ok {
			return overflowDim()
		}
		return Dim{c: c}
	}
	return Add(a, scale(b, -1))
}

// Mul returns a * b.
func Mul(a, b Dim) Dim {
	switch {
	case a.Overflow() || b.Overflow():
		return overflowDim()
	case a.n == nil:
		return scale(b, a.c)
	case b.n == nil:
		return scale(a, b.c)
	}
	at, bt := a.allTerms(), b.allTerms()
	if len(at)*len(bt) > maxProducts {
		return overflowDim()
	}
	var c int64
	terms := make([]term, 0, len(at)*len(bt))
	for _, x := range at {
		for _, y := range bt {
			k, ok := mul64(x.coef, y.coef)
			if !ok {
				return overflowDim()
			}
			if x.degree+y.degree == 0 {
				c = k
				continue
			}
			m := mulMonomials(x.monomial, y.monomial)
			if len(m.text) > maxText {
				return overflowDim()
			}
			terms = append(terms, term{k, m})
		}
	}
	return collect(c, terms)
}

// Sum returns the sum of ds, which is 0 if there are none.
func Sum(ds ...Dim) Dim {
	var c int64
	var n int
	for _, d := range ds {
		if d.Overflow() {
			return d
		}
		var ok bool
		if c, ok = add64(c, d.c); !ok {
			return overflowDim()
		}
		if d.n != nil {
			n += len(d.n.terms)
		}
	}
	if n == 0 {
		return Dim{c: c}
	}
	terms := make([]term, 0, n)
	for _, d := range ds {
		if d.n != nil {
			terms = append(terms, d.n.terms...)
		}
	}
	return collect(c, terms)
}

// Product returns the product of ds, which is 1 if there are none.
func Product(ds ...Dim) Dim {
	p := Const(1)
	for _, d := range ds {
		p = Mul(p, d)
	}
	return p
}

// scale returns k*d.
func scale(d Dim, k int64) Dim {
	switch {
	case d.Overflow():
		return d
	case k == 0:
		return Dim{}
	case k == 1:
		return d
	}
	c, ok := mul64(d.c, k)
	if !ok {
		return overflowDim()
	}
	if d.n == nil {
		return Dim{c: c}
	}
	terms := slices.Clone(d.n.terms)
	for i := range terms {
		if terms[i].coef, ok = mul64(terms[i].coef, k); !ok {
			return overflowDim()
		}
	}
	return fromTerms(c, terms)
}

// withoutZeros drops terms that have come to nothing, in place.
func withoutZeros(terms []term) []term {
	kept := terms[:0]
	for _, t := range terms {
		if t.coef != 0 {
			kept = append(kept, t)
		}
	}
	return kept
}

// collect returns the dim that is c plus terms, which it sorts and merges in
// place.
func collect(c int64, terms []term) Dim {
	n := 0 // of those that are in order and distinct
	for _, t := range terms {
		at := sort.Search(n, func(i int) bool { return compareMonomials(terms[i].monomial, t.monomial) >= 0 })
		if at == n || compareMonomials(terms[at].monomial, t.monomial) != 0 {
			copy(terms[at+1:n+1], terms[at:n])
			terms[at] = t
			n++
			continue
		}
		var ok bool
		if terms[at].coef, ok = add64(terms[at].coef, t.coef); !ok {
			return overflowDim()
		}
	}
	return fromTerms(c, withoutZeros(terms[:n]))
}

// fromTerms returns the dim that is c plus terms, which are sorted and have
// distinct monomials and non-zero coefficients. It keeps terms.
func fromTerms(c int64, terms []term) Dim {
	if len(terms) == 0 {
		return Dim{c: c}
	}
	n := &node{terms: terms}
	size := 0
	for _, t := range terms {
		size += len(t.text) + 1
		for _, f := range t.factors {
			n.depth = max(n.depth, f.depth)
		}
	}
	if size-1 > maxText || n.depth > maxDepth {
		return overflowDim()
	}
	if len(terms) == 1 && terms[0].coef == 1 {
		n.text = terms[0].text
		return Dim{c: c, n: n}
	}
	b := make([]byte, 0, size+8)
	for i, t := range terms {
		if i > 0 && t.coef > 0 {
			b = append(b, '+')
		}
		switch t.coef {
		case 1:
		case -1:
			b = append(b, '-')
		default:
			b = strconv.AppendInt(b, t.coef, 10)
			b = append(b, '*')
		}
		b = append(b, t.text...)
	}
	if len(b) > maxText {
		return overflowDim()
	}
	n.text = string(b)
	return Dim{c: c, n: n}
}

// fromAtom returns the dim that is a, whose depth it sets.
func fromAtom(a *atom) Dim {
	for _, d := range a.args {
		if d.n != nil {
			a.depth = max(a.depth, d.n.depth)
		}
	}
	a.depth++
	if len(a.text) > maxText || a.depth > maxDepth {
		return overflowDim()
	}
	return a.dim()
}

func (a *atom) dim() Dim {
	return fromTerms(0, []term{{1, newMonomial([]factor{{a, 1}})}})
}

// call returns the atom of the given kind on args, as a dim.
func call(k kind, rng interval, args ...Dim) Dim {
	var b strings.Builder
	b.WriteString(kindNames[k])
	unk := false
	for i, d := range args {
		if i == 0 {
			b.WriteByte('(')
		} else {
			b.WriteString(", ")
		}
		b.WriteString(d.String())
		unk = unk || d.hasUnknown()
	}
	b.WriteByte(')')
	return fromAtom(&atom{kind: k, args: args, text: b.String(), rng: rng, unk: unk})
}

// atom returns the atom that d is, or nil if d is not a single one.
func (d Dim) atom() *atom {
	if d.n == nil || d.c != 0 || len(d.n.terms) != 1 {
		return nil
	}
	return d.n.terms[0].atom()
}

// atom returns the atom that t is, or nil if t is not a single one.
func (t term) atom() *atom {
	if t.coef != 1 || t.degree != 1 {
		return nil
	}
	return t.factors[0].atom
}

// hasUnknown reports whether a term depends on data. Inlined, it takes 0.7 kB of a service.
//
//go:noinline
func (d Dim) hasUnknown() bool {
	for _, t := range d.terms() {
		if t.hasUnknown() {
			return true
		}
	}
	return false
}

func (m monomial) hasUnknown() bool {
	for _, f := range m.factors {
		if f.unk {
			return true
		}
	}
	return false
}

// terms returns the terms of d other than its constant.
func (d Dim) terms() []term {
	if d.n == nil {
		return nil
	}
	return d.n.terms
}

// allTerms returns the terms of d with a non-zero constant as the last.
func (d Dim) allTerms() []term {
	terms := d.terms()
	if d.c == 0 {
		return terms
	}
	one := term{d.c, newMonomial(nil)}
	return append(slices.Clip(terms), one)
}

func (t term) dim() Dim {
	if t.degree == 0 {
		return Dim{c: t.coef}
	}
	return fromTerms(0, []term{t})
}

// newMonomial returns the product of factors, which are sorted and distinct.
func newMonomial(factors []factor) monomial {
	m := monomial{factors: factors, rng: interval{1, 1}}
	size := 0
	for _, f := range factors {
		m.degree += f.pow
		size += f.pow * (len(f.text) + 1)
	}
	if m.degree == 1 {
		m.text, m.rng = factors[0].text, factors[0].rng
		return m
	}
	b := make([]byte, 0, size)
	for _, f := range factors {
		for range f.pow {
			if len(b) > 0 {
				b = append(b, '*')
			}
			b = append(b, f.text...)
			m.rng = m.rng.mul(f.rng)
		}
	}
	m.text = string(b)
	return m
}

func mulMonomials(a, b monomial) monomial {
	switch {
	case a.degree == 0:
		return b
	case b.degree == 0:
		return a
	}
	fs := make([]factor, 0, len(a.factors)+len(b.factors))
	x, y := a.factors, b.factors
	for len(x) > 0 && len(y) > 0 {
		switch c := compareAtoms(x[0].atom, y[0].atom); {
		case c < 0:
			fs, x = append(fs, x[0]), x[1:]
		case c > 0:
			fs, y = append(fs, y[0]), y[1:]
		default:
			fs = append(fs, factor{x[0].atom, x[0].pow + y[0].pow})
			x, y = x[1:], y[1:]
		}
	}
	fs = append(append(fs, x...), y...)
	return newMonomial(fs)
}

// divMonomials returns a/b and whether b divides a.
func divMonomials(a, b monomial) (monomial, bool) {
	if b.degree == 0 {
		return a, true
	}
	if b.degree > a.degree {
		return monomial{}, false
	}
	fs := make([]factor, 0, len(a.factors))
	y := b.factors
	for _, f := range a.factors {
		if len(y) > 0 && f.text == y[0].text {
			f.pow -= y[0].pow
			y = y[1:]
		}
		if f.pow < 0 {
			return monomial{}, false
		}
		if f.pow > 0 {
			fs = append(fs, f)
		}
	}
	if len(y) > 0 {
		return monomial{}, false
	}
	return newMonomial(fs), true
}

// gcdMonomials returns the greatest common divisor of a and b.
func gcdMonomials(a, b monomial) monomial {
	var fs []factor
	y := b.factors
	for _, f := range a.factors {
		for len(y) > 0 && compareAtoms(y[0].atom, f.atom) < 0 {
			y = y[1:]
		}
		if len(y) > 0 && y[0].text == f.text {
			fs = append(fs, factor{f.atom, min(f.pow, y[0].pow)})
		}
	}
	return newMonomial(fs)
}

// compareMonomials orders monomials by falling degree and then
// lexicographically. It is a monomial order in the sense of polynomial
// division: it is compatible with multiplication.
func compareMonomials(a, b monomial) int {
	if c := cmp.Compare(b.degree, a.degree); c != 0 {
		return c
	}
	for i := range min(len(a.factors), len(b.factors)) {
		x, y := a.factors[i], b.factors[i]
		if c := compareAtoms(x.atom, y.atom); c != 0 {
			return c
		}
		if c := cmp.Compare(y.pow, x.pow); c != 0 {
			return c
		}
	}
	return 0
}

func compareAtoms(a, b *atom) int {
	if a == b {
		return 0
	}
	if c := cmp.Compare(a.kind, b.kind); c != 0 {
		return c
	}
	return strings.Compare(a.text, b.text)
}

func add64(a, b int64) (int64, bool) {
	c := a + b
	return c, (c > a) == (b > 0)
}

func sub64(a, b int64) (int64, bool) {
	c := a - b
	return c, (c < a) == (b > 0)
}

func mul64(a, b int64) (int64, bool) {
	hi, lo := bits.Mul64(abs64(a), abs64(b))
	if hi != 0 {
		return 0, false
	}
	if (a < 0) != (b < 0) {
		return -int64(lo), lo <= 1<<63
	}
	return int64(lo), lo < 1<<63
}

// abs64 returns the magnitude of a, which for the least int64 is not an int64.
func abs64(a int64) uint64 {
	if a < 0 {
		return -uint64(a)
	}
	return uint64(a)
}

// floorDiv64 returns the quotient of a and non-zero b rounded down, and whether
// it is an int64.
func floorDiv64(a, b int64) (int64, bool) {
	if a == math.MinInt64 && b == -1 {
		return 0, false
	}
	q := a / b
	if a%b != 0 && (a < 0) != (b < 0) {
		q--
	}
	return q, true
}

func floorMod64(a, b int64) int64 {
	r := a % b
	if r != 0 && (r < 0) != (b < 0) {
		r += b
	}
	return r
}

func ceilDiv64(a, b int64) (int64, bool) {
	q, ok := floorDiv64(a, b)
	if a%b != 0 {
		q++
	}
	return q, ok
}

// gcd returns the greatest common divisor of a and the magnitude of b.
func gcd(a uint64, b int64) uint64 {
	x, y := a, abs64(b)
	for y != 0 {
		x, y = y, x%y
	}
	return x
}
