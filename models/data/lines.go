package data

import (
	"cmp"
	"fmt"
	"io"
	"strconv"
	"strings"

	"github.com/graphrun/graphrun/graph/value"
)

// maxRow bounds a row of a table in bytes.
const maxRow = 16 << 20

// lines is a text whose lines end in LF, whether they came with CR, LF or both. It ends with an error where a row has too many bytes.
type lines struct {
	in          io.Reader
	limit, left int  // bytes of a row, and of the one that is being read
	cr          bool // the last byte was CR
}

func (l *lines) Read(p []byte) (int, error) {
	for {
		if l.left <= 0 {
			return 0, fmt.Errorf("a row has more than %s: is this a table?", value.ByteText(float64(l.limit)))
		}
		n, err := l.in.Read(p[:min(len(p), l.left)])
		l.left -= n
		out := p[:0]
		for _, c := range p[:n] {
			if !l.cr || c != '\n' {
				out = append(out, c)
			}
			if l.cr = c == '\r'; l.cr {
				out[len(out)-1] = '\n'
			}
		}
		if len(out) > 0 || err != nil || len(p) == 0 {
			return len(out), err
		}
	}
}

// floats gathers numbers without moving them, so that they take no more memory than they must.
type floats struct {
	full [][]float64
	last []float64
}

func (f *floats) add(v float64) {
	const most = 1 << 17
	if len(f.last) == cap(f.last) {
		if len(f.last) > 0 {
			f.full = append(f.full, f.last)
		}
		f.last = make([]float64, 0, min(most, max(16, 2*len(f.last))))
	}
	f.last = append(f.last, v)
}

// tensor returns the numbers as f64[n, ...].
func (f *floats) tensor(n int) (*value.Tensor, error) {
	f.full = append(f.full, f.last)
	count := 0
	for _, part := range f.full {
		count += len(part)
	}
	t, err := value.New(value.F64, n, count/n)
	if err != nil {
		return nil, err
	}
	data, err := value.Data[float64](t)
	if err != nil {
		return nil, err
	}
	for i, part := range f.full {
		copy(data, part)
		data = data[len(part):]
		f.full[i] = nil
	}
	return t, nil
}

// decimal is a number as it is written, exactly: 0.digits times 10^exp, with neither leading nor trailing zeros. Zero has no digits.
type decimal struct {
	neg    bool
	digits string
	exp    int
}

// parseDecimal reads a decimal number, such as -12.50 or 1e3. What else strconv takes, hexadecimal numbers, underscores, inf and nan, is none.
func parseDecimal(text string) (d decimal, ok bool) {
	rest := text
	if rest != "" && (rest[0] == '-' || rest[0] == '+') {
		d.neg = rest[0] == '-'
		rest = rest[1:]
	}
	mantissa, exponent := rest, ""
	if i := strings.IndexAny(rest, "eE"); i >= 0 {
		mantissa, exponent = rest[:i], rest[i+1:]
		e, err := strconv.Atoi(exponent)
		if err != nil || e > 1e9 || e < -1e9 {
			return decimal{}, false
		}
		d.exp = e
	}
	whole, fraction, _ := strings.Cut(mantissa, ".")
	if whole+fraction == "" || strings.Trim(whole, "0123456789")+strings.Trim(fraction, "0123456789") != "" {
		return decimal{}, false
	}
	d.exp += len(whole)
	all := whole + fraction
	d.digits = strings.TrimLeft(all, "0")
	d.exp -= len(all) - len(d.digits)
	if d.digits = strings.TrimRight(d.digits, "0"); d.digits == "" {
		return decimal{}, true
	}
	return d, true
}

// SameNumber reports whether two labels are one decimal number, such as 1 and 1.0. They are compared exactly, however many digits they have.
func SameNumber(a, b string) bool {
	x, ok := parseDecimal(a)
	y, also := parseDecimal(b)
	return ok && also && x == y
}

// whole reports whether d is a whole number.
func (d decimal) whole() bool { return d.exp >= len(d.digits) || d.digits == "" }

func (d decimal) compare(other decimal) int {
	sign := func(d decimal) int {
		switch {
		case d.digits == "":
			return 0
		case d.neg:
			return -1
		}
		return 1
	}
	s := sign(d)
	if c := cmp.Compare(s, sign(other)); c != 0 {
		return c
	}
	return s * cmp.Or(cmp.Compare(d.exp, other.exp), strings.Compare(d.digits, other.digits))
}
