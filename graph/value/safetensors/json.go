package safetensors

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"unicode/utf16"
	"unicode/utf8"

	"github.com/graphrun/graphrun/graph/errfmt"
)

// scanner reads the JSON of a header: of objects whose keys differ, strings and arrays of sizes, which is all that the format has.
// encoding/json takes the last of equal keys, and makes programs that read weights 340 kB larger.
type scanner struct {
	text string // valid UTF-8
	at   int
}

var errIncomplete = errors.New("the JSON text is not complete")

// next skips white space and returns the byte behind it, 0 at the end.
func (s *scanner) next() byte {
	for ; s.at < len(s.text); s.at++ {
		if c := s.text[s.at]; c != ' ' && c != '\t' && c != '\n' && c != '\r' {
			return c
		}
	}
	return 0
}

// want takes one of some bytes.
func (s *scanner) want(what string) (byte, error) {
	c := s.next()
	switch {
	case s.at == len(s.text):
		return 0, errIncomplete
	case strings.IndexByte(what, c) >= 0:
		s.at++
		return c, nil
	case what == `"`:
		return 0, errfmt.Errorf("want a string, have %s", s.found())
	}
	return 0, errfmt.Errorf("want '%s', have %s", strings.Join(strings.Split(what, ""), "' or '"), s.found())
}

// found describes what comes next.
func (s *scanner) found() string {
	rest := s.text[s.at:]
	switch c := rest[0]; {
	case c == '"':
		if text, err := (&scanner{text: rest}).str(); err == nil {
			return "the string " + quoteShort(text)
		}
	case strings.IndexByte("{}[],:", c) >= 0:
		return "'" + string(c) + "'"
	case c == '-' || '0' <= c && c <= '9' || 'a' <= c && c <= 'z':
		end := strings.IndexAny(rest, "{}[],: \t\r\n\"")
		if end < 0 {
			end = len(rest)
		}
		return quoteShort(rest[:end])
	}
	r, _ := utf8.DecodeRuneInString(rest)
	return fmt.Sprintf("an invalid character, %q", r)
}

// object calls field for every key; field reads the value.
func (s *scanner) object(field func(key string) error) error {
	seen := map[string]bool{}
	return s.list('{', '}', func() error {
		key, err := s.str()
		if err != nil {
			return err
		}
		if seen[key] {
			return errfmt.Errorf("the key %s occurs twice", quoteShort(key))
		}
		seen[key] = true
		if _, err := s.want(":"); err != nil {
			return err
		}
		return field(key)
	})
}

// sizes reads an array of integers that are not negative.
func (s *scanner) sizes() ([]int, error) {
	var out []int
	err := s.list('[', ']', func() error {
		if c := s.next(); c != '-' && (c < '0' || '9' < c) {
			if s.at == len(s.text) {
				return errIncomplete
			}
			return errfmt.Errorf("want a number, have %s", s.found())
		}
		start := s.at
		for s.at < len(s.text) && strings.IndexByte("+-.0123456789Ee", s.text[s.at]) >= 0 {
			s.at++
		}
		num := s.text[start:s.at]
		n, err := strconv.ParseUint(num, 10, strconv.IntSize-1)
		if err != nil || num[0] == '0' && num != "0" {
			return errfmt.Errorf("%s is not an integer from 0 to 2^%d-1", quoteShort(num), strconv.IntSize-1)
		}
		out = append(out, int(n))
		return nil
	})
	return out, err
}

// list reads elements between brackets.
func (s *scanner) list(open, end byte, element func() error) error {
	if _, err := s.want(string(open)); err != nil {
		return err
	}
	if s.next() == end {
		s.at++
		return nil
	}
	for {
		if err := element(); err != nil {
			return err
		}
		c, err := s.want("," + string(end))
		if err != nil || c == end {
			return err
		}
	}
}

// str reads a string. A surrogate without its other half becomes U+FFFD, as in encoding/json.
func (s *scanner) str() (string, error) {
	if _, err := s.want(`"`); err != nil {
		return "", err
	}
	start := s.at
	var out []byte // what stands before start, unless that is the whole string
	for ; s.at < len(s.text); s.at++ {
		switch c := s.text[s.at]; {
		case c == '"':
			text := s.text[start:s.at]
			s.at++
			if out != nil {
				return string(append(out, text...)), nil
			}
			return strings.Clone(text), nil
		case c == '\\':
			out = append(out, s.text[start:s.at]...)
			r, err := s.escape()
			if err != nil {
				return "", err
			}
			if utf16.IsSurrogate(r) {
				after := s.at
				low := rune(utf8.RuneError)
				if strings.HasPrefix(s.text[s.at:], `\u`) {
					if low, err = s.escape(); err != nil {
						return "", err
					}
				}
				if r = utf16.DecodeRune(r, low); r == utf8.RuneError {
					s.at = after // the second one is a character of its own
				}
			}
			out = utf8.AppendRune(out, r)
			start = s.at
			s.at--
		case c < ' ':
			return "", errfmt.Errorf("an invalid character, %q, in a string", c)
		}
	}
	return "", errIncomplete
}

// escape reads an escape sequence.
func (s *scanner) escape() (rune, error) {
	rest := s.text[s.at:]
	if len(rest) < 2 {
		return 0, errIncomplete
	}
	if i := strings.IndexByte(`"\/bfnrt`, rest[1]); i >= 0 {
		s.at += 2
		return rune("\"\\/\b\f\n\r\t"[i]), nil
	}
	if rest[1] == 'u' && len(rest) >= 6 {
		if n, err := strconv.ParseUint(rest[2:6], 16, 16); err == nil {
			s.at += 6
			return rune(n), nil
		}
	}
	return 0, errfmt.Errorf("the escape sequence %s is unknown", quoteShort(rest[:min(len(rest), 6)]))
}
