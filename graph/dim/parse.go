package dim

import (
	"errors"
	"strconv"
	"strings"

	"github.com/graphrun/graphrun/graph/errfmt"
)

// Parse returns the dim with the text s, in the grammar of the package
// documentation. The text need not be canonical, and Parse(d.String()) is d for
// all dims.
//
// The input is not trusted: a text longer than 4096 bytes, calls and parentheses
// nested deeper than 64, arithmetic that overflows other than by the text
// "overflow", and division by zero are errors.
func Parse(s string) (Dim, error) {
	if len(s) > maxParse {
		return Dim{}, errfmt.Errorf("dim: text of %d bytes is longer than %d", len(s), maxParse)
	}
	if strings.Trim(s, " ") == overflowText {
		return overflowDim(), nil
	}
	p := parser{s: s}
	d, err := p.expr(0)
	if err == nil {
		if p.skip(); p.i < len(s) {
			err = p.unexpected("end of text")
		}
	}
	if err != nil {
		return Dim{}, errfmt.Errorf("dim: offset %d of %q: %w", p.i, brief(s), err)
	}
	return d, nil
}

type parser struct {
	s string
	i int
}

var errTooDeep = errors.New("nested too deeply")

func (p *parser) skip() {
	for p.i < len(p.s) && p.s[p.i] == ' ' {
		p.i++
	}
}

// accept skips spaces and then c if it is next, and reports whether it was.
func (p *parser) accept(c byte) bool {
	p.skip()
	if p.i < len(p.s) && p.s[p.i] == c {
		p.i++
		return true
	}
	return false
}

func (p *parser) expect(c byte) error {
	if !p.accept(c) {
		return p.unexpected(strconv.QuoteRune(rune(c)))
	}
	return nil
}

func (p *parser) unexpected(want string) error {
	if p.i == len(p.s) {
		return errfmt.Errorf("unexpected end of text, want %s", want)
	}
	return errfmt.Errorf("unexpected %q, want %s", p.s[p.i], want)
}

// word returns the longest run of identifier characters that is next.
func (p *parser) word() string {
	p.skip()
	start := p.i
	for p.i < len(p.s) && isIdentPart(p.s[p.i]) {
		p.i++
	}
	return p.s[start:p.i]
}

// expr parses an expr inside of depth calls and parentheses.
func (p *parser) expr(depth int) (Dim, error) {
	if depth > maxDepth {
		return Dim{}, errTooDeep
	}
	var sum []Dim
	neg := p.accept('-')
	for {
		d, err := p.term(neg, depth)
		if err != nil {
			return Dim{}, err
		}
		sum = append(sum, d)
		if neg = p.accept('-'); !neg && !p.accept('+') {
			return checked(Sum(sum...), nil)
		}
	}
}

// term parses a term, which is to be negated if neg.
func (p *parser) term(neg bool, depth int) (Dim, error) {
	var prod Dim
	for first := true; ; first = false {
		d, err := p.factor(neg && first, depth)
		if err != nil {
			return Dim{}, err
		}
		if first {
			prod = d
		} else if prod, err = checked(Mul(prod, d), nil); err != nil {
			return Dim{}, err
		}
		if !p.accept('*') {
			return prod, nil
		}
	}
}

// factor parses a factor, which is to be negated if neg. An integer is negated
// before it is checked to be an int64.
func (p *parser) factor(neg bool, depth int) (Dim, error) {
	p.skip()
	if p.i == len(p.s) {
		return Dim{}, p.unexpected("an expression")
	}
	var d Dim
	var err error
	switch c := p.s[p.i]; {
	case isDigit(c):
		return p.integer(neg)
	case isIdentStart(c):
		d, err = p.name(depth)
	case c == '(':
		p.i++
		if d, err = p.expr(depth + 1); err == nil {
			err = p.expect(')')
		}
	default:
		err = p.unexpected("an expression")
	}
	if neg && err == nil {
		return checked(scale(d, -1), nil)
	}
	return d, err
}

func (p *parser) integer(neg bool) (Dim, error) {
	start := p.i
	w := p.word()
	if neg {
		w = "-" + w
	}
	n, err := strconv.ParseInt(w, 10, 64)
	if err != nil {
		p.i = start
		return Dim{}, errfmt.Errorf("bad integer: %w", errors.Unwrap(err))
	}
	return Const(n), nil
}

// name parses a symbol or a call.
func (p *parser) name(depth int) (Dim, error) {
	start := p.i
	w := p.word()
	var k kind
	switch w {
	case "floordiv":
		k = floordiv
	case "ceildiv":
		k = ceildiv
	case "mod":
		k = mod
	case "min":
		k = minimum
	case "max":
		k = maximum
	case "unknown":
		k = unknown
	case overflowText:
		p.i = start
		return Dim{}, errors.New("overflow in an expression")
	default:
		return Sym(w), nil
	}
	if err := p.expect('('); err != nil {
		return Dim{}, err
	}
	id := ""
	if k == unknown {
		if id = p.word(); !isID(id) {
			return Dim{}, errors.New("bad or missing id of an unknown")
		}
		if err := p.expect(','); err != nil {
			return Dim{}, err
		}
	}
	var args []Dim
	for {
		d, err := p.expr(depth + 1)
		if err != nil {
			return Dim{}, err
		}
		args = append(args, d)
		if !p.accept(',') {
			break
		}
	}
	if err := p.expect(')'); err != nil {
		return Dim{}, err
	}
	switch {
	case k == minimum || k == maximum:
		return checked(minMax(k, args...), nil)
	case k == unknown && len(args) == 1:
		return checked(Unknown(id, args[0]), nil)
	case k != unknown && len(args) == 2:
		return checked(k.divide(args[0], args[1]))
	}
	p.i = start
	return Dim{}, errfmt.Errorf("wrong number of operands of %s", w)
}

// checked turns the overflow dim into an error. Inlined, it takes 0.5 kB of a service.
//
//go:noinline
func checked(d Dim, err error) (Dim, error) {
	if err == nil && d.Overflow() {
		err = errors.New("overflow or too large an expression")
	}
	return d, err
}
