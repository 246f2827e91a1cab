// Package plot draws what a training did: learning curves and a confusion matrix, as SVG or PNG.
//
//	err := plot.Curves(&svg, plot.SVG, []plot.Panel{
//		{Title: "loss", Series: []plot.Series{
//			{Name: "training", X: epochs, Y: []float64{0.61, 0.22, 0.12, 0.08}},
//			{Name: "validation", X: epochs, Y: []float64{0.35, 0.21, 0.17, 0.19}},
//		}},
//		{Title: "accuracy", Percent: true, Series: []plot.Series{
//			{Name: "validation", X: epochs, Y: []float64{0.903, 0.941, 0.958, 0.955}},
//		}},
//	}, plot.CurvesOptions{Title: "lenet5", Best: 3})
//	fmt.Println(err, strings.Contains(svg.String(), "epoch 3: validation 95.80 %"))
//
// draws two panels above each other, in which epoch 3 is marked with its value, and prints
//
//	<nil> true
//
// [Curves] draws what was measured over the epochs, [Confusion] which classes were taken for which.
//
// The functions take plain numbers and know nothing of models. The same numbers give the same bytes. A PNG has two pixels per point
// of the SVG of the same picture. The text of an SVG is text, measured in Liberation Sans, which is as wide as Helvetica and Arial.
package plot

import (
	"bytes"
	"fmt"
	"image/color"
	"image/png"
	"io"
	"strings"
	"unicode"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/font"
	"gonum.org/v1/plot/text"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
	"gonum.org/v1/plot/vg/vgimg"
	"gonum.org/v1/plot/vg/vgsvg"

	xfont "golang.org/x/image/font"
)

// Format is how a picture is written. Its text is the usual extension of a file, without the dot.
type Format string

// The formats.
const (
	SVG Format = "svg"
	PNG Format = "png"
)

// pixelsPerInch gives two pixels per point.
const pixelsPerInch = 144

// render draws a picture of w x h points with its origin at the bottom left and writes it.
func render(out io.Writer, f Format, w, h vg.Length, paint func(c draw.Canvas)) error {
	switch f {
	case SVG:
		c := vgsvg.New(w, h)
		fill(draw.New(c), vg.Rectangle{Max: vg.Point{X: w, Y: h}}, color.White)
		paint(draw.New(c))
		var b bytes.Buffer
		if _, err := c.WriteTo(&b); err != nil {
			return err
		}
		// Text is escaped, so that only the styles written by the canvas match.
		doc := bytes.ReplaceAll(b.Bytes(), []byte(`style="font-family:Liberation Sans;font-variant:normal;`),
			[]byte(`style="font-family:Helvetica,Arial,'Liberation Sans',sans-serif;`))
		_, err := out.Write(doc)
		return err
	case PNG:
		c := vgimg.NewWith(vgimg.UseWH(w, h), vgimg.UseDPI(pixelsPerInch))
		paint(draw.New(c))
		return png.Encode(out, c.Image())
	}
	return fmt.Errorf("plot: format %q: want %q or %q", f, SVG, PNG)
}

// The colours: dark enough on white, and told apart without red and green.
var (
	ink    = color.RGBA{0x1f, 0x29, 0x37, 0xff} // text
	muted  = color.RGBA{0x6b, 0x72, 0x80, 0xff} // text beside the matter
	rule   = color.RGBA{0xe5, 0xe7, 0xeb, 0xff} // grids
	edge   = color.RGBA{0x9c, 0xa3, 0xaf, 0xff} // axes
	blue   = color.RGBA{0x1d, 0x4e, 0xd8, 0xff}
	orange = color.RGBA{0xd9, 0x5f, 0x02, 0xff}
	cycle  = []color.RGBA{blue, orange, {0x0f, 0x76, 0x6e, 0xff}, {0xa2, 0x1c, 0xaf, 0xff}, {0x4d, 0x7c, 0x0f, 0xff}, {0x6b, 0x72, 0x80, 0xff}}
)

// style is text of a size in points, aligned by its left end and its baseline.
func style(size vg.Length, c color.Color) text.Style {
	return text.Style{
		Color: c, Font: font.From(font.Font{Typeface: "Liberation", Variant: "Sans"}, size), Handler: plot.DefaultTextHandler,
		XAlign: draw.XLeft, YAlign: draw.YBottom,
	}
}

func bold(size vg.Length, c color.Color) text.Style {
	s := style(size, c)
	s.Font.Weight = xfont.WeightBold
	return s
}

// put writes a line of text, its baseline at y and at x its left end, its middle or its right end.
func put(c draw.Canvas, s text.Style, x, y vg.Length, align text.XAlignment, line string) {
	x += s.Width(line) * vg.Length(align)
	c.SetColor(s.Color)
	c.FillString(s.Handler.Cache().Lookup(s.Font, s.Font.Size), vg.Point{X: x, Y: y}, line)
}

// putUp writes a line of text that reads upwards, its baseline at x, from y on.
func putUp(c draw.Canvas, s text.Style, x, y vg.Length, line string) {
	c.Push()
	c.Translate(vg.Point{X: x, Y: y})
	c.Rotate(quarterTurn)
	put(c, s, 0, 0, draw.XLeft, line)
	c.Pop()
}

// capHeight is how high capitals and digits are above the baseline.
func capHeight(s text.Style) vg.Length { return 0.72 * s.Font.Size }

// clean makes a line of text of any string: what cannot be drawn or written in XML is replaced.
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
func fit(s text.Style, line string, width vg.Length) string {
	if s.Width(line) <= width {
		return line
	}
	runes := []rune(line)
	lo, hi := 0, len(runes)
	for lo < hi {
		mid := (lo + hi + 1) / 2
		if s.Width(string(runes[:mid])+"…") <= width {
			lo = mid
		} else {
			hi = mid - 1
		}
	}
	return strings.TrimRight(string(runes[:lo]), " ") + "…"
}

func fill(c draw.Canvas, r vg.Rectangle, col color.Color) {
	c.SetColor(col)
	c.Fill(r.Path())
}

func line(c draw.Canvas, width vg.Length, col color.Color, dashes []vg.Length, pts ...vg.Point) {
	c.StrokeLines(draw.LineStyle{Color: col, Width: width, Dashes: dashes}, pts)
}
