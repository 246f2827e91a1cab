package graph

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/graphrun/graphrun/graph/dim"
	"github.com/graphrun/graphrun/graph/errfmt"
	"github.com/graphrun/graphrun/graph/value"
)

// lexer reads the text form from left to right. Newlines end statements, so they are space only inside
// parentheses. A text that is not as expected panics with a syntaxError, which attempt catches.
type lexer struct {
	src    string
	pos    int
	line   int
	parens int  // open parentheses
	attrs  bool // inside the braces of attributes, which do not nest
}

type syntaxError struct {
	line int
	msg  string
}

// attempt runs read and returns the syntax error that stopped it.
func (l *lexer) attempt(read func()) (fault *syntaxError) {
	defer func() {
		switch p := recover().(type) {
		case nil:
		case *syntaxError:
			fault = p
		default:
			panic(p)
		}
	}()
	read()
	return nil
}

// Not inlined: 5.9 kB of the service.
//
//go:noinline
func (l *lexer) failf(format string, args ...any) {
	panic(&syntaxError{l.line, fmt.Sprintf(format, args...)})
}

// space skips blanks and comments, and newlines where they mean nothing.
func (l *lexer) space() {
	for l.pos < len(l.src) {
		switch c := l.src[l.pos]; {
		case c == ' ' || c == '\t' || c == '\r':
		case c == '\n' && l.parens > 0:
			l.line++
		case c == '/' && strings.HasPrefix(l.src[l.pos:], "//"):
			l.comment()
			continue
		default:
			return
		}
		l.pos++
	}
}

func (l *lexer) comment() {
	if n := strings.IndexByte(l.src[l.pos:], '\n'); n >= 0 {
		l.pos += n
		return
	}
	l.pos = len(l.src)
}

// blank skips all that may stand between statements.
func (l *lexer) blank() {
	l.parens++
	l.space()
	l.parens--
}

// peek returns the next character that is not space, 0 at the end of the text.
func (l *lexer) peek() byte {
	l.space()
	if l.pos == len(l.src) {
		return 0
	}
	return l.src[l.pos]
}

// found describes what is next, for messages.
func (l *lexer) found() string {
	switch c := l.peek(); {
	case c == 0:
		return "the end of the text"
	case c == '\n':
		return "the end of the line"
	case isWordByte(c):
		return quoteShort(l.src[l.pos:l.wordEnd()])
	default:
		r, _ := utf8.DecodeRuneInString(l.src[l.pos:])
		return strconv.QuoteRune(r)
	}
}

func (l *lexer) accept(c byte) bool {
	if l.peek() != c {
		return false
	}
	l.pos++
	return true
}

func (l *lexer) expect(c byte) {
	if !l.accept(c) {
		l.failf("want %q, have %s", c, l.found())
	}
}

func isWordByte(c byte) bool {
	return c == '_' || c == '.' || c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z'
}

func (l *lexer) wordEnd() int {
	end := l.pos
	for end < len(l.src) && isWordByte(l.src[end]) {
		end++
	}
	return end
}

// peekWord returns the word that is next, "" if there is none.
func (l *lexer) peekWord() string {
	l.space()
	return l.src[l.pos:l.wordEnd()]
}

func (l *lexer) acceptWord(w string) bool {
	if l.peekWord() != w {
		return false
	}
	l.pos += len(w)
	return true
}

func (l *lexer) expectWord(w string) {
	if !l.acceptWord(w) {
		l.failf("want %q, have %s", w, l.found())
	}
}

// name reads a word that can name what is called what.
func (l *lexer) name(what string) string {
	w := l.peekWord()
	if w == "" {
		l.failf("want %s, have %s", what, l.found())
	}
	if !isSymbol(w) {
		l.failf("%s is not a name", quoteShort(w))
	}
	l.pos += len(w)
	return strings.Clone(w) // a piece of the text would keep all of it alive
}

// symbol reads @name.
func (l *lexer) symbol(what string) string {
	if l.peek() != '@' {
		l.failf("want %s with a leading @, have %s", what, l.found())
	}
	l.pos++
	return l.name(what)
}

// ident reads the name of a value, which is a number where the user gave none.
func (l *lexer) ident() string {
	l.expect('%')
	w := l.name("a value's name")
	if w[0] >= '0' && w[0] <= '9' && strings.Trim(w, "0123456789") != "" {
		l.failf("%%%s is not the name of a value: a name does not start with a digit", w)
	}
	return w
}

// number reads a word with the characters that numbers have besides.
func (l *lexer) number() string {
	l.space()
	start := l.pos
	for l.pos < len(l.src) && (isWordByte(l.src[l.pos]) || strings.IndexByte("+-:", l.src[l.pos]) >= 0) {
		l.pos++
	}
	if l.pos == start {
		l.failf("want a number, have %s", l.found())
	}
	return l.src[start:l.pos]
}

// quoted reads a string in Go's syntax.
func (l *lexer) quoted() string {
	q := l.quotedToken()
	s, err := strconv.Unquote(q)
	if err != nil {
		l.failf("bad string: %v", err)
	}
	return strings.Clone(s)
}

func (l *lexer) quotedToken() string {
	if l.peek() != '"' {
		l.failf("want a string in double quotes, have %s", l.found())
	}
	for i := l.pos + 1; i < len(l.src) && l.src[i] != '\n'; i++ {
		switch l.src[i] {
		case '\\':
			i++
		case '"':
			q := l.src[l.pos : i+1]
			l.pos = i + 1
			return q
		}
	}
	l.failf("the string has no end")
	return ""
}

// endStatement demands that nothing follows on the line.
func (l *lexer) endStatement() {
	if c := l.peek(); c != '\n' && c != 0 && c != '}' {
		l.failf("want the end of the line, have %s", l.found())
	}
}

// sync skips the rest of a faulty statement: up to the end of its last line, including the braces that it
// opens, but never past the start of another declaration.
func (l *lexer) sync() {
	if l.atDeclaration() {
		l.parens, l.attrs = 0, false
		return
	}
	depth := 0
	for l.pos < len(l.src) {
		switch c := l.src[l.pos]; {
		case c == '"':
			if l.attempt(func() { l.quotedToken() }) == nil {
				continue
			}
		case c == '/' && strings.HasPrefix(l.src[l.pos:], "//"):
			l.comment()
			continue
		case c == '{':
			depth++
		case c == '}' && depth == 0 && !l.attrs:
			l.parens = 0
			return
		case c == '}' && depth == 0:
			l.attrs = false
		case c == '}':
			depth--
		case c == '\n':
			if depth == 0 || l.declarationAt(l.pos+1) {
				l.parens, l.attrs = 0, false
				return
			}
			l.line++
		}
		l.pos++
	}
	l.parens, l.attrs = 0, false
}

// declarationAt reports whether a line starts at i with what only stands between functions, or with the
// brace that ends one. Inlined, it takes 0.8 kB of a service.
//
//go:noinline
func (l *lexer) declarationAt(i int) bool {
	rest := l.src[min(i, len(l.src)):]
	for _, w := range []string{"func @", "var @", "meta \"", "}"} {
		if strings.HasPrefix(rest, w) {
			return true
		}
	}
	return false
}

// atDeclaration reports whether a line starts here that cannot be part of a function.
func (l *lexer) atDeclaration() bool {
	return l.pos > 0 && l.pos < len(l.src) && l.src[l.pos-1] == '\n' && l.src[l.pos] != '}' && l.declarationAt(l.pos)
}

// maxNesting bounds types within types and regions within regions, as they recur on the stack.
const maxNesting = 100

// maxRank bounds the dims of a type in a text: operations copy shapes, so a long one would let a short
// text take much memory.
const maxRank = 256

// typ reads a type.
func (l *lexer) typ(depth int) Type {
	if depth > maxNesting {
		l.failf("types are nested more than %d deep", maxNesting)
	}
	w := l.peekWord()
	switch w {
	case "":
		l.failf("want a type, have %s", l.found())
	case "token":
		l.pos += len(w)
		return TokenType{}
	case "seq", "optional":
		l.pos += len(w)
		l.expect('<')
		elem := l.typ(depth + 1)
		l.expect('>')
		if w == "seq" {
			return SequenceType{Elem: elem}
		}
		return OptionalType{Elem: elem}
	case "map":
		l.pos += len(w)
		l.expect('<')
		key := l.dtype()
		if key != I64 && key != String {
			l.failf("the keys of a map are i64 or string, have %s", key)
		}
		l.expect(',')
		elem := l.typ(depth + 1)
		l.expect('>')
		return MapType{Key: key, Value: elem}
	}
	t := TensorType{DType: l.dtype()}
	l.expect('[')
	t.Shape = l.dims()
	for i, d := range t.Shape {
		if n, ok := d.Int(); ok && n < 0 {
			l.failf("axis %d: a dim is not negative, have %d", i, n)
		}
		if d.Overflow() {
			l.failf("axis %d: the dim is too large", i)
		}
	}
	return t
}

func (l *lexer) dtype() DType {
	w := l.peekWord()
	dt, err := value.ParseDType(w)
	if err != nil {
		l.failf("%v", err)
	}
	l.pos += len(w)
	return dt
}

// dims reads dims up to the bracket that ends them.
func (l *lexer) dims() []Dim {
	var dims []Dim
	if l.accept(']') {
		return dims
	}
	start, depth := l.pos, 0
	for ; ; l.pos++ {
		if l.pos == len(l.src) || l.src[l.pos] == '\n' {
			l.failf("the list of dims has no ']'")
		}
		switch c := l.src[l.pos]; {
		case c == '(':
			depth++
		case c == ')':
			depth--
		case c == ']', c == ',' && depth <= 0:
			text := strings.Trim(l.src[start:l.pos], " \t\r")
			d, err := dim.Parse(strings.Clone(text)) // dims keep the names of symbols
			if err != nil {
				l.failf("axis %d: %v", len(dims), err)
			}
			if dims = append(dims, d); len(dims) > maxRank {
				l.failf("more than %d dims", maxRank)
			}
			if c == ']' {
				l.pos++
				return dims
			}
			start = l.pos + 1
		}
	}
}

// ParseType reads a type as Type.String writes it: "f32[N,4*N+1]", "seq<f32[3]>", "optional<token>",
// "map<i64,f32[]>".
func ParseType(s string) (Type, error) {
	l := &lexer{src: s, line: 1}
	var t Type
	fault := l.attempt(func() {
		t = l.typ(0)
		if l.peek() != 0 || l.pos < len(l.src) {
			l.failf("want the end of the type, have %s", l.found())
		}
	})
	if fault != nil {
		return nil, errfmt.Errorf("type %s: %s", quoteShort(s), fault.msg)
	}
	return t, nil
}

// quoteShort quotes the beginning of a text for a message.
func quoteShort(s string) string {
	const limit = 40
	if len(s) > limit {
		return strconv.Quote(s[:limit]) + "..."
	}
	return strconv.Quote(s)
}

// parseFloat is the inverse of formatFloat.
func parseFloat(s string) (float64, error) {
	if hex, ok := strings.CutPrefix(s, "nan:0x"); ok {
		bits, err := strconv.ParseUint(hex, 16, 64)
		x := math.Float64frombits(bits)
		if err == nil && !math.IsNaN(x) {
			err = strconv.ErrSyntax
		}
		return x, err
	}
	return strconv.ParseFloat(s, 64)
}

// suggestOp returns ": did you mean ..." if a registered op has nearly the name.
func suggestOp(name string) string {
	best, least := "", min(2, len(name)/3)+1
	for _, op := range Ops() {
		if d := editDistance(name, op.Name); d < least {
			best, least = op.Name, d
		}
	}
	if best == "" {
		return ""
	}
	return fmt.Sprintf(": did you mean %s?", best)
}

// editDistance counts the insertions, deletions and replacements that make b of a; names that are
// clearly different are not counted out.
func editDistance(a, b string) int {
	if max(len(a)-len(b), len(b)-len(a)) > 2 {
		return 3
	}
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diag := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := diag
			if a[i] != b[j] {
				cost = 1 + min(diag, row[j], row[j+1])
			}
			diag, row[j+1] = row[j+1], cost
		}
	}
	return row[len(b)]
}
