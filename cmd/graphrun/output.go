package main

import (
	"fmt"
	"io"
	"strings"
	"unicode"
	"unicode/utf8"
)

// output is standard output or standard error as commands write to it. Text goes through it, in which names from models and data stand: what
// would steer a terminal, or turn the direction of what follows, is written as an escape of Go's and JSON's strings. It remembers
// the first error, so that no caller needs to look at it.
type output struct {
	to   io.Writer
	part []byte // of a character whose rest is still to come
	err  error
}

func (o *output) Write(p []byte) (int, error) {
	n := len(p)
	if len(o.part) > 0 {
		p = append(o.part, p...)
		o.part = nil
	}
	var b strings.Builder
	for len(p) > 0 {
		plain := 0
		for plain < len(p) && (' ' <= p[plain] && p[plain] < 0x7f || p[plain] == '\n' || p[plain] == '\t') {
			plain++
		}
		b.Write(p[:plain])
		if p = p[plain:]; len(p) == 0 {
			break
		}
		r, size := utf8.DecodeRune(p)
		switch {
		case r == utf8.RuneError && size == 1 && !utf8.FullRune(p):
			o.part = append([]byte(nil), p...)
			p = nil
			continue
		case r == utf8.RuneError && size == 1:
			fmt.Fprintf(&b, `\x%02x`, p[0])
		case r != '\n' && r != '\t' && (unicode.IsControl(r) || unicode.Is(unicode.Bidi_Control, r)):
			fmt.Fprintf(&b, `\u%04x`, r)
		default:
			b.Write(p[:size])
		}
		p = p[size:]
	}
	o.write(b.String())
	return n, o.err
}

func (o *output) write(text string) {
	if o.err == nil && text != "" {
		_, o.err = o.to.Write([]byte(text))
	}
}

// end writes what has been held back, and returns the first error.
func (o *output) end() error {
	for _, c := range o.part {
		o.write(fmt.Sprintf(`\x%02x`, c))
	}
	o.part = nil
	return o.err
}

// exact writes to an output as it is: a picture, or a style of one's own.
type exact struct{ *output }

func (e exact) Write(p []byte) (int, error) {
	e.write(string(p))
	return len(p), e.err
}

// exactly returns the writer that takes what is no text of a command.
func exactly(w io.Writer) io.Writer {
	if o, ok := w.(*output); ok {
		return exact{o}
	}
	return w
}

// below returns what an output writes to.
func below(w io.Writer) io.Writer {
	if o, ok := w.(*output); ok {
		return o.to
	}
	return w
}
