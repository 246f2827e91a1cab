package value

import (
	"cmp"
	"errors"
	"math"
	"strconv"
	"strings"

	"github.com/graphrun/graphrun/graph/errfmt"
)

// AppendText appends the elements of t as text to b: a flat list in row-major order, such as
// "[1, 2.5, nan, -inf]". ParseElements is the inverse, bit by bit.
//
// Integers are decimal, bools true and false, strings quoted as in Go. Integral floats below 1e7 are
// written out, others in the shortest form that reads back to the same element of the dtype; negative zero
// is -0. The quiet NaN that math.NaN rounds to is nan, others give their bits: nan:0x7fc00001.
func (t *Tensor) AppendText(b []byte) []byte {
	b = append(b, '[')
	for i := range t.n {
		if i > 0 {
			b = append(b, ", "...)
		}
		b = t.appendElem(b, i)
	}
	return append(b, ']')
}

func (t *Tensor) appendElem(b []byte, i int) []byte {
	switch t.dt.Domain() {
	case Strings:
		return strconv.AppendQuote(b, t.strs[i])
	case Bools:
		return strconv.AppendBool(b, t.code(i) != 0)
	case Ints:
		return strconv.AppendInt(b, wrapInt(t.code(i), t.dt), 10)
	case Uints:
		return strconv.AppendUint(b, t.code(i), 10)
	}
	c := t.code(i)
	x := DecodeFloat(t.dt, c)
	if x == x {
		return appendFloat(b, t.dt, x)
	}
	b = append(b, "nan"...)
	if c == canonicalNaN(t.dt) {
		return b
	}
	b = append(b, ":0x"...)
	return strconv.AppendUint(b, c, 16)
}

// appendFloat appends a value of a float dtype that is not a NaN.
func appendFloat(b []byte, dt DType, x float64) []byte {
	switch {
	case math.IsInf(x, 1):
		return append(b, "inf"...)
	case math.IsInf(x, -1):
		return append(b, "-inf"...)
	case math.Abs(x) < 1e7 && x == math.Trunc(x):
		return strconv.AppendFloat(b, x, 'f', -1, 64)
	case dt == F64:
		return strconv.AppendFloat(b, x, 'g', -1, 64)
	case dt == F32:
		return strconv.AppendFloat(b, x, 'g', -1, 32)
	}
	n, want := len(b), EncodeFloat(dt, x)
	for digits := 1; digits < 17; digits++ {
		b = strconv.AppendFloat(b[:n], x, 'g', digits, 64)
		if code, err := parseFloatCode(dt, string(b[n:])); err == nil && code == want {
			return b
		}
	}
	return strconv.AppendFloat(b[:n], x, 'g', -1, 64)
}

// ParseElements returns the tensor of a dtype and shape whose elements text lists, as AppendText writes
// them. White space around elements is free. Floats may have any spelling of strconv.ParseFloat but for
// infinities and NaNs, and are rounded to nearest even; a number outside of the range of the dtype is an
// error, as is a list of another length than the shape asks for. Errors name the element.
//
// It allocates no more than in proportion to len(text), whatever the shape.
func ParseElements(dt DType, shape []int, text string) (*Tensor, error) {
	n, err := checkShape(dt, shape)
	if err != nil {
		return nil, err
	}
	rest, ok := strings.CutPrefix(trimSpace(text), "[")
	if !ok {
		return nil, errfmt.Errorf("elements of %s: want a list that begins with '[', have %s", typeString(dt, shape), quoteShort(text))
	}
	if n > len(rest) { // every element takes at least one byte
		return nil, errfmt.Errorf("%s needs %d elements, the list is shorter", typeString(dt, shape), n)
	}
	t := alloc(dt, n, shape)
	rest = trimSpace(rest)
	for i := range n {
		if strings.HasPrefix(rest, "]") {
			return nil, errfmt.Errorf("%s needs %d elements, have %d", typeString(dt, shape), n, i)
		}
		if dt == String {
			rest, err = t.parseString(i, rest)
		} else {
			end := strings.IndexAny(rest, ",]")
			if end < 0 {
				end = len(rest)
			}
			err = t.parseElem(i, trimSpace(rest[:end]))
			rest = rest[end:]
		}
		if err != nil {
			return nil, errfmt.Errorf("element %d of %s: %w", i, typeString(dt, shape), err)
		}
		rest = trimSpace(rest)
		after, comma := strings.CutPrefix(rest, ",")
		switch {
		case i+1 < n && comma:
			rest = trimSpace(after)
		case i+1 == n && comma:
			return nil, errfmt.Errorf("%s needs %d elements, have more", typeString(dt, shape), n)
		case !strings.HasPrefix(rest, "]"):
			return nil, errfmt.Errorf("after element %d of %s: want ',' or ']', have %s", i, typeString(dt, shape), quoteShort(rest))
		}
	}
	rest, ok = strings.CutPrefix(rest, "]")
	switch {
	case !ok && n == 0:
		return nil, errfmt.Errorf("%s has no elements: want \"[]\", have %s", typeString(dt, shape), quoteShort(text))
	case !ok:
		return nil, errfmt.Errorf("elements of %s: the list has no ']'", typeString(dt, shape))
	case trimSpace(rest) != "":
		return nil, errfmt.Errorf("elements of %s: unexpected %s after the list", typeString(dt, shape), quoteShort(rest))
	}
	return t, nil
}

func (t *Tensor) parseString(i int, text string) (rest string, err error) {
	if !strings.HasPrefix(text, `"`) {
		return "", errfmt.Errorf("want a quoted string, have %s", quoteShort(text))
	}
	q, err := strconv.QuotedPrefix(text)
	if err == nil {
		t.strs[i], err = strconv.Unquote(q)
	}
	if err != nil {
		return "", errfmt.Errorf("not a quoted string: %s", quoteShort(text))
	}
	return text[len(q):], nil
}

// parseElem sets an element that is not a string.
func (t *Tensor) parseElem(i int, s string) error {
	code := uint64(0)
	var err error
	switch t.dt.Domain() {
	case Bools:
		switch s {
		case "true":
			code = 1
		case "false":
		default:
			err = errors.New("not true or false")
		}
	case Ints:
		var x int64
		x, err = strconv.ParseInt(s, 10, t.dt.Bits())
		code = uint64(x)
	case Uints:
		code, err = strconv.ParseUint(s, 10, t.dt.Bits())
	case Floats:
		code, err = parseFloatCode(t.dt, s)
	}
	switch {
	case err == nil:
		t.setCode(i, code)
		return nil
	case errors.Is(err, strconv.ErrRange):
		return errfmt.Errorf("%s is out of the range of %s", quoteShort(s), t.dt)
	case errors.Is(err, strconv.ErrSyntax):
		return errfmt.Errorf("%s is not a number of dtype %s", quoteShort(s), t.dt)
	}
	return errfmt.Errorf("%s: %w", quoteShort(s), err)
}

func parseFloatCode(dt DType, s string) (uint64, error) {
	if hex, ok := strings.CutPrefix(s, "nan:0x"); ok {
		code, err := strconv.ParseUint(hex, 16, dt.Bits())
		if err == nil && !math.IsNaN(DecodeFloat(dt, code)) {
			err = errfmt.Errorf("these bits are no NaN of %s", dt)
		}
		return code, err
	}
	switch s {
	case "nan":
		if dt == F4E2M1 {
			return 0, strconv.ErrRange
		}
		return canonicalNaN(dt), nil
	case "inf":
		return checkRange(dt, math.Inf(1))
	case "-inf":
		return checkRange(dt, math.Inf(-1))
	}
	x, err := parseFloat(dt, s)
	if err != nil {
		return 0, err
	}
	if x != x || math.IsInf(x, 0) {
		return 0, strconv.ErrSyntax // another spelling of what the switch has
	}
	return checkRange(dt, x)
}

// checkRange is EncodeFloat for numbers that must not overflow: infinities need a dtype that has them.
func checkRange(dt DType, x float64) (uint64, error) {
	code := EncodeFloat(dt, x)
	inRange := true
	switch dt {
	case F64:
	case F32:
		inRange = math.IsInf(x, 0) || !math.IsInf(float64(float32(x)), 0)
	case F8E8M0: // the nearest power of two is one of the format
		inRange = x >= 0.75*0x1p-127 && x < 1.5*0x1p127
	default:
		f := smallFormats[dt]
		if math.IsInf(x, 0) {
			inRange = f.inf != 0
		} else {
			inRange = f.magnitude(math.Float64bits(x)) <= f.max
		}
	}
	if !inRange {
		return 0, strconv.ErrRange
	}
	return code, nil
}

// parseFloat reads a float64 that rounds to a dtype as the number does that s spells. It is the nearest one, but beside a number in which
// the dtype rounds otherwise below than above, and which s does not spell exactly.
func parseFloat(dt DType, s string) (float64, error) {
	if dt == F32 {
		return strconv.ParseFloat(s, 32)
	}
	x, err := strconv.ParseFloat(s, 64)
	if err != nil || dt == F64 || x == 0 || math.IsNaN(x) || math.IsInf(x, 0) || strings.ContainsAny(s, "xX") {
		return x, err
	}
	above, below := math.Nextafter(x, math.Copysign(math.Inf(1), x)), math.Nextafter(x, 0)
	a, errA := checkRange(dt, above)
	b, errB := checkRange(dt, below)
	if a == b && (errA == nil) == (errB == nil) {
		return x, nil
	}
	const exact = 200 // digits of the middle of two numbers of a dtype, or more
	digits, exp := decimal(s)
	ofX, expX := decimal(strconv.FormatFloat(x, 'e', exact, 64))
	switch order := cmp.Or(cmp.Compare(exp, expX), strings.Compare(digits, ofX)); {
	case order > 0:
		x = above
	case order < 0:
		x = below
	}
	return x, nil
}

// decimal returns the digits of a number from the first to the last that is not 0, and the power of ten by which 0.digits is multiplied.
func decimal(s string) (digits string, exp int) {
	s = strings.TrimLeft(s, "+-")
	if i := strings.IndexAny(s, "eE"); i >= 0 {
		exp, _ = strconv.Atoi(s[i+1:])
		s = s[:i]
	}
	whole, fraction, _ := strings.Cut(s, ".")
	all := whole + fraction
	digits = strings.TrimLeft(all, "0")
	return strings.TrimRight(digits, "0"), exp + len(whole) - (len(all) - len(digits))
}

func trimSpace(s string) string { return strings.Trim(s, " \t\r\n") }

// quoteShort quotes the beginning of text for a message.
func quoteShort(s string) string {
	const limit = 40
	if len(s) > limit {
		return strconv.Quote(s[:limit]) + "..."
	}
	return strconv.Quote(s)
}
