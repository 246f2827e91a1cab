package draw

import (
	"strings"
	"sync"
	"unicode"

	"codeberg.org/go-fonts/liberation/liberationsansbold"
	"codeberg.org/go-fonts/liberation/liberationsansregular"
	"golang.org/x/image/font"
	"golang.org/x/image/font/opentype"
	"golang.org/x/image/font/sfnt"
	"golang.org/x/image/math/fixed"
)

// fontFamily are fonts of the same widths, so that text is as wide as measured whichever the reader has.
const fontFamily = "Helvetica,Arial,'Liberation Sans',sans-serif"

// style is how a text looks; the zero weight is regular.
type style struct {
	size  float64
	bold  bool
	color string
}

// typeface measures text.
type typeface struct {
	font *opentype.Font
	mu   sync.Mutex
	buf  sfnt.Buffer
	unit float64
	wide map[rune]float64 // advances in units of the size
}

var regular, bold = face(func() []byte { return liberationsansregular.TTF }), face(func() []byte { return liberationsansbold.TTF })

func face(data func() []byte) func() *typeface {
	return sync.OnceValue(func() *typeface {
		f, err := opentype.Parse(data())
		if err != nil {
			panic("draw: the font that is part of the program: " + err.Error())
		}
		return &typeface{font: f, unit: float64(f.UnitsPerEm()), wide: map[rune]float64{}}
	})
}

func (s style) face() *typeface {
	if s.bold {
		return bold()
	}
	return regular()
}

// width is how wide a line is.
func (s style) width(line string) float64 {
	t := s.face()
	t.mu.Lock()
	defer t.mu.Unlock()
	sum := 0.0
	for _, r := range line {
		w, ok := t.wide[r]
		if !ok {
			w = t.advance(r)
			t.wide[r] = w
		}
		sum += w
	}
	return sum * s.size
}

func (t *typeface) advance(r rune) float64 {
	i, err := t.font.GlyphIndex(&t.buf, r)
	if err != nil {
		return 1
	}
	w, err := t.font.GlyphAdvance(&t.buf, i, fixed.I(int(t.unit)), font.HintingNone)
	if err != nil {
		return 1
	}
	if i == 0 { // another font stands in for the glyph
		return max(1, float64(w)/64/t.unit)
	}
	return float64(w) / 64 / t.unit
}

// clean makes a line of any text: what cannot be drawn or written in XML is replaced.
func clean(s string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case unicode.IsSpace(r):
			return ' '
		case !unicode.IsPrint(r):
			return '\uFFFD'
		}
		return r
	}, strings.ToValidUTF8(s, "\uFFFD"))
}

// fit cuts a line so that it is at most as wide as given, with an ellipsis for what is left out.
func (s style) fit(line string, width float64) string {
	if s.width(line) <= width {
		return line
	}
	runes := []rune(line)
	lo, hi := 0, len(runes)
	for lo < hi {
		mid := (lo + hi + 1) / 2
		if s.width(string(runes[:mid])+"…") <= width {
			lo = mid
		} else {
			hi = mid - 1
		}
	}
	return strings.TrimRight(string(runes[:lo]), " ") + "…"
}
