package dim

import (
	"cmp"
	"errors"
	"slices"
	"strconv"
	"strings"
)

var (
	// ErrDivideByZero is the error of a division by zero.
	ErrDivideByZero = errors.New("dim: division by zero")

	// ErrOverflow is the error of a value that does not fit in an int64.
	ErrOverflow = errors.New("dim: integer overflow")
)

// A Dim is an immutable symbolic integer in canonical form. The zero Dim is the
// constant 0.
//
// Dims are compared with [Dim.Equal]; the == operator is not defined on them,
// because equal dims need not share memory. [Dim.Key] is a map key.
type Dim struct {
	_ [0]func()
	c int64 // the constant term
	n *node // the other terms; nil for a constant, overflow for the overflow dim
}

// A node holds the terms of a dim other than its constant. Keeping the constant
// out of it lets dims which differ by a constant share a node.
type node struct {
	terms []term // sorted by compareMonomials, with non-zero coefficients
	text  string
	depth int // nesting depth of calls in text
}

// A term is a coefficient times a product of atoms.
type term struct {
	coef int64
	monomial
}

// A monomial is a product of powers of distinct atoms. It is 1 if it has no
// factors.
type monomial struct {
	factors []factor // sorted by compareAtoms
	degree  int      // sum of the powers
	text    string
	rng     interval
}

type factor struct {
	*atom
	pow int
}

type kind uint8

const (
	symbol kind = iota
	unknown
	floordiv
	ceildiv
	mod
	minimum
	maximum
)

var kindNames = [...]string{
	symbol:   "symbol",
	unknown:  "unknown",
	floordiv: "floordiv",
	ceildiv:  "ceildiv",
	mod:      "mod",
	minimum:  "min",
	maximum:  "max",
}

// An atom is an indivisible factor of a term.
type atom struct {
	kind  kind
	bind  string // the key in an environment: name of a symbol, "?" and id of an unknown
	args  []Dim  // the operands, or the upper bound of an unknown
	text  string
	rng   interval
	depth int
	unk   bool // is, or has operands with, an unknown
}

const (
	maxParse = 4096 // longest text Parse reads
	maxDepth = 64   // deepest nesting of calls and parentheses

	// maxText is the longest text of a node. It leaves room in maxParse for
	// a constant.
	maxText = maxParse - len("-9223372036854775808")

	maxArms     = 64   // most operands of min and max
	maxProducts = 4096 // most products of two terms in a multiplication
)

const overflowText = "overflow"

var overflow = &node{text: overflowText}

func overflowDim() Dim { return Dim{n: overflow} }

// Const returns the constant n.
// Not inlined: 0.9 kB of the service.
//
//go:noinline
func Const(n int64) Dim { return Dim{c: n} }

// Sym returns the symbol with the given name. It panics if the name is not one
// that [IsSymbol] accepts.
func Sym(name string) Dim {
	if !IsSymbol(name) {
		panic("dim: invalid symbol name " + strconv.Quote(name))
	}
	if len(name) > maxText {
		return overflowDim()
	}
	// Symbols are the most common dims after constants, so everything one
	// needs is in a single allocation.
	s := &struct {
		node    node
		atom    atom
		terms   [1]term
		factors [1]factor
	}{}
	positive := interval{1, inf}
	s.atom = atom{kind: symbol, bind: name, text: name, rng: positive}
	s.factors[0] = factor{&s.atom, 1}
	s.terms[0] = term{1, monomial{factors: s.factors[:], degree: 1, text: name, rng: positive}}
	s.node = node{terms: s.terms[:], text: name}
	return Dim{n: &s.node}
}

// Unknown returns a dim that only the run of a graph determines and that is
// between 0 and upper. Two unknowns are the same if both id and upper bound
// are. Unknown panics if id is not a non-empty string of ASCII letters, digits
// and underscores.
func Unknown(id string, upper Dim) Dim {
	if !isID(id) {
		panic("dim: invalid unknown id " + strconv.Quote(id))
	}
	if upper.Overflow() {
		return upper
	}
	return fromAtom(&atom{
		kind: unknown,
		bind: "?" + id,
		args: []Dim{upper},
		text: "unknown(" + id + ", " + upper.String() + ")",
		rng:  interval{0, max(0, upper.rng().hi)},
		unk:  true,
	})
}

// IsSymbol reports whether name can name a symbol: an ASCII letter or
// underscore followed by letters, digits, underscores and dots, other than the
// words of the grammar: ceildiv, floordiv, max, min, mod, overflow and unknown.
func IsSymbol(name string) bool {
	if name == "" || !isIdentStart(name[0]) {
		return false
	}
	for i := 1; i < len(name); i++ {
		if !isIdentPart(name[i]) {
			return false
		}
	}
	switch name {
	case "ceildiv", "floordiv", "max", "min", "mod", "unknown", overflowText:
		return false
	}
	return true
}

func isID(id string) bool {
	for i := 0; i < len(id); i++ {
		if !isIdentPart(id[i]) || id[i] == '.' {
			return false
		}
	}
	return id != ""
}

func isIdentStart(c byte) bool {
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || c == '_'
}

func isIdentPart(c byte) bool {
	return isIdentStart(c) || isDigit(c) || c == '.'
}

func isDigit(c byte) bool { return '0' <= c && c <= '9' }

// Int returns the value of d and whether d is a constant. The value is 0 if d
// is not a constant.
// Not inlined: 4.4 kB of the service.
//
//go:noinline
func (d Dim) Int() (int64, bool) {
	if d.n != nil {
		return 0, false
	}
	return d.c, true
}

// IsConst reports whether d is a constant.
func (d Dim) IsConst() bool { return d.n == nil }

// Overflow reports whether d is the overflow dim.
func (d Dim) Overflow() bool { return d.n == overflow }

// Equal reports whether d and e have the same canonical form. Dims that are
// equal have the same value for all values of their symbols and unknowns; dims
// that are not may still do so. The overflow dim equals itself.
// Not inlined: 6.4 kB of the service.
//
//go:noinline
func (d Dim) Equal(e Dim) bool {
	if d.c != e.c {
		return false
	}
	return d.n == e.n || d.n != nil && e.n != nil && d.n.text == e.n.text
}

// Compare returns a negative number, zero or a positive number as d sorts
// before, equal to or after e. Constants sort by value and before other dims.
// The order of other dims has no meaning but is total, and is the same in every
// process. Compare is zero exactly if Equal is true.
func (d Dim) Compare(e Dim) int {
	if d.n != e.n {
		switch {
		case d.n == nil:
			return -1
		case e.n == nil:
			return 1
		}
		if c := strings.Compare(d.n.text, e.n.text); c != 0 {
			return c
		}
	}
	return cmp.Compare(d.c, e.c)
}

// Key returns a string that is the same for two dims exactly if they are equal.
// It is the text that String returns.
func (d Dim) Key() string { return d.String() }

// String returns the canonical text of d, which [Parse] reads back as d.
func (d Dim) String() string {
	switch {
	case d.n == nil:
		return strconv.FormatInt(d.c, 10)
	case d.c == 0:
		return d.n.text
	case d.c > 0:
		return d.n.text + "+" + strconv.FormatInt(d.c, 10)
	}
	return d.n.text + strconv.FormatInt(d.c, 10)
}

// Symbols returns the sorted names of the symbols that [Dim.Eval] needs the
// values of. Those that occur only in the upper bounds of unknowns are not
// among them.
func (d Dim) Symbols() []string { return d.binds(symbol, "") }

// Unknowns returns the sorted ids of the unknowns that [Dim.Eval] needs the
// values of. Those that occur only in the upper bounds of others are not among
// them.
func (d Dim) Unknowns() []string { return d.binds(unknown, "?") }

func (d Dim) binds(k kind, prefix string) []string {
	var names []string
	d.walk(func(a *atom) {
		if a.kind == k {
			names = append(names, strings.TrimPrefix(a.bind, prefix))
		}
	})
	slices.Sort(names)
	return slices.Compact(names)
}

// walk calls f for every atom of d, including those in operands but not those
// in upper bounds.
func (d Dim) walk(f func(*atom)) {
	if d.n == nil {
		return
	}
	for _, t := range d.n.terms {
		for _, x := range t.factors {
			f(x.atom)
			if x.kind != unknown {
				for _, a := range x.args {
					a.walk(f)
				}
			}
		}
	}
}

// Affine returns d as coef*sym + rest, and whether d has that form. A constant
// has it with coef 0 and sym "". Inlined, it takes 1.1 kB of a service.
//
//go:noinline
func (d Dim) Affine() (coef int64, sym string, rest int64, ok bool) {
	if d.n == nil {
		return 0, "", d.c, true
	}
	if len(d.n.terms) != 1 {
		return 0, "", 0, false
	}
	t := d.n.terms[0]
	if t.degree != 1 || t.factors[0].kind != symbol {
		return 0, "", 0, false
	}
	return t.coef, t.factors[0].bind, d.c, true
}
