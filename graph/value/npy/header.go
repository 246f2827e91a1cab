package npy

import (
	"errors"
	"fmt"
	"math/bits"
	"slices"
	"strconv"
	"strings"

	"github.com/graphrun/graphrun/graph/value"
)

// header is what an .npy file says of its elements.
type header struct {
	descr     string // the dtype, in NumPy's words
	dtype     value.DType
	bigEndian bool
	fortran   bool
	shape     []int
}

// names gives NumPy's code of a dtype for its characters and names. They are those of NumPy 2 on a machine of 64 bits.
var names = map[string]string{
	"?": "b1", "b": "i1", "h": "i2", "i": "i4", "l": "i8", "q": "i8", "n": "i8", "p": "i8",
	"B": "u1", "H": "u2", "I": "u4", "L": "u8", "Q": "u8", "N": "u8", "P": "u8", "e": "f2", "f": "f4", "d": "f8",
	"bool": "b1", "bool_": "b1",
	"int8": "i1", "byte": "i1", "int16": "i2", "short": "i2", "int32": "i4", "intc": "i4",
	"int64": "i8", "int": "i8", "int_": "i8", "intp": "i8", "long": "i8", "longlong": "i8",
	"uint8": "u1", "ubyte": "u1", "uint16": "u2", "ushort": "u2", "uint32": "u4", "uintc": "u4",
	"uint64": "u8", "uint": "u8", "uintp": "u8", "ulong": "u8", "ulonglong": "u8",
	"float16": "f2", "half": "f2", "float32": "f4", "single": "f4", "float64": "f8", "float": "f8", "double": "f8",
}

// parseHeader reads the text of a header: a literal of Python, of a dict with three keys. It takes what NumPy takes, in any order and spacing.
func parseHeader(text string, version byte) (h header, err error) {
	p := literal{text: text, longs: version <= 2}
	dict, ok := p.value(0).(map[string]any)
	p.space()
	if p.bad || !ok || p.at < len(text) {
		return h, errors.New("the header of the .npy file is damaged: want {'descr': ..., 'fortran_order': ..., 'shape': ...}")
	}
	for key := range dict {
		if !slices.Contains([]string{"descr", "fortran_order", "shape"}, key) {
			return h, fmt.Errorf("the header of the .npy file has the key %q: want descr, fortran_order and shape", key)
		}
	}
	if h.fortran, ok = dict["fortran_order"].(bool); !ok {
		return h, errors.New("the header of the .npy file is damaged: want True or False for fortran_order")
	}
	sizes, ok := dict["shape"].(tuple)
	if !ok {
		return h, errors.New("the header of the .npy file is damaged: want a tuple for shape")
	}
	for _, s := range sizes {
		n, ok := s.(int64)
		if !ok {
			return h, errors.New("the header of the .npy file is damaged: a size in shape is no whole number, or too large")
		}
		h.shape = append(h.shape, int(n))
		if n < 0 {
			return h, fmt.Errorf("shape %v: a size is negative", h.shape)
		}
	}
	switch d := dict["descr"].(type) {
	case string:
		return h, h.setDescr(d)
	case nil:
		return h, errors.New("the header of the .npy file is damaged: it has no descr")
	}
	return h, errors.New("its elements are records, which tensors have not")
}

// setDescr takes a dtype by its code, with a byte order or without, or by its name.
func (h *header) setDescr(descr string) error {
	h.descr = descr
	code := descr
	if descr != "" && strings.Contains("<>=|", descr[:1]) {
		code = descr[1:]
		h.bigEndian = descr[0] == '>'
	}
	if full, ok := names[code]; ok && (code == descr || len(code) == 1) {
		code = full
	} else if n, err := strconv.ParseUint(code[min(1, len(code)):], 10, 8); err == nil {
		code = code[:1] + strconv.FormatUint(n, 10) // f04 is f4
	}
	var ok bool
	if h.dtype, ok = types[code]; !ok {
		return fmt.Errorf("dtype %q is not supported: want b1, i1 to i8, u1 to u8, f2, f4 or f8", descr)
	}
	return nil
}

// tuple is a tuple or, in the type's other use, a list of Python.
type (
	tuple []any
	list  []any
)

// maxDepth bounds how deep literals lie in each other.
const maxDepth = 32

// literal reads a literal of Python: dicts with strings for keys, tuples, lists, strings, whole numbers, True, False and None.
type literal struct {
	text  string
	at    int
	longs bool // numbers may end in an L, as Python 2 wrote them
	bad   bool
}

// space skips what stands between tokens.
func (p *literal) space() {
	for p.at < len(p.text) {
		switch c := p.text[p.at]; {
		case strings.IndexByte(" \t\r\n\f", c) >= 0:
			p.at++
		case c == '#':
			n := strings.IndexByte(p.text[p.at:], '\n')
			if n < 0 {
				n = len(p.text) - p.at
			}
			p.at += n
		default:
			return
		}
	}
}

// next reports whether a character comes next, and takes it.
func (p *literal) next(c byte) bool {
	p.space()
	if p.at < len(p.text) && p.text[p.at] == c {
		p.at++
		return true
	}
	return false
}

func (p *literal) fail() any {
	p.bad = true
	return nil
}

// value reads any literal.
func (p *literal) value(depth int) any {
	if depth > maxDepth {
		return p.fail()
	}
	switch {
	case p.next('{'):
		return p.dict(depth)
	case p.next('['):
		all, _ := p.elements(']', depth)
		return list(all)
	case p.next('('):
		all, comma := p.elements(')', depth)
		if len(all) == 1 && !comma {
			return all[0] // (3) is 3
		}
		return tuple(all)
	}
	rest := p.text[p.at:]
	for _, word := range []string{"True", "False", "None"} {
		if strings.HasPrefix(rest, word) {
			p.at += len(word)
			if word == "None" {
				return nil
			}
			return word == "True"
		}
	}
	if rest != "" && (strings.IndexByte("+-", rest[0]) >= 0 || isDigit(rest[0])) {
		return p.number()
	}
	return p.string()
}

// elements reads what stands in brackets behind the first one. comma says that the last element had one behind it.
func (p *literal) elements(end byte, depth int) (all []any, comma bool) {
	for !p.bad {
		if p.next(end) {
			return all, comma
		}
		if len(all) > 0 && !comma {
			break
		}
		all = append(all, p.value(depth+1))
		comma = p.next(',')
	}
	p.bad = true
	return nil, false
}

func (p *literal) dict(depth int) any {
	d := map[string]any{}
	for comma := true; !p.bad; {
		if p.next('}') {
			return d
		}
		key, ok := p.value(depth + 1).(string)
		if !ok || !comma || !p.next(':') {
			break
		}
		d[key] = p.value(depth + 1)
		comma = p.next(',')
	}
	return p.fail()
}

func isDigit(c byte) bool { return c >= '0' && c <= '9' }

func (p *literal) number() any {
	start := p.at
	for p.at < len(p.text) && (isDigit(p.text[p.at]) || strings.IndexByte("+-_xXoOabcdefABCDEF", p.text[p.at]) >= 0) {
		p.at++
	}
	word := p.text[start:p.at]
	if p.longs {
		p.next('L')
	}
	if digits := strings.Trim(word, "+-"); len(digits) > 1 && strings.Trim(digits, "0") != "" && digits[0] == '0' && isDigit(digits[1]) {
		return p.fail() // 07 is no number of Python
	}
	n, err := strconv.ParseInt(word, 0, bits.UintSize)
	if err != nil {
		return p.fail()
	}
	return n
}

// string reads a string, or several, which count as one.
func (p *literal) string() any {
	var b strings.Builder
	count := 0
	for ; ; count++ {
		p.space()
		rest := strings.TrimLeft(p.text[p.at:], "uU")
		if len(p.text)-p.at-len(rest) > 1 || rest == "" || rest[0] != '\'' && rest[0] != '"' {
			break
		}
		end := strings.IndexByte(rest[1:], rest[0])
		if end < 0 || strings.ContainsAny(rest[1:1+end], "\\\n") {
			return p.fail()
		}
		b.WriteString(rest[1 : 1+end])
		p.at = len(p.text) - len(rest) + end + 2
	}
	if count == 0 {
		return p.fail()
	}
	return b.String()
}
