package plot

import (
	"bytes"
	"encoding/xml"
	"errors"
	"fmt"
	"image"
	"image/color"
	"image/png"
	"io"
	"math"
	"slices"
	"strconv"
	"strings"
	"testing"

	"gonum.org/v1/plot/vg"
)

// doc is what a test reads from an SVG: its size, its text, and the points where paths start, in points from the top left.
type doc struct {
	w, h  float64
	texts []label
	fills []shape
}

type label struct {
	text           string
	x0, y0, x1, y1 float64
}

type shape struct {
	x, y  float64 // where its path starts
	color string
	arc   bool
}

// matrix6 maps (x, y) to (a*x + c*y + e, b*x + d*y + f).
type matrix6 [6]float64

func (m matrix6) mul(n matrix6) matrix6 {
	return matrix6{
		m[0]*n[0] + m[2]*n[1], m[1]*n[0] + m[3]*n[1], m[0]*n[2] + m[2]*n[3], m[1]*n[2] + m[3]*n[3],
		m[0]*n[4] + m[2]*n[5] + m[4], m[1]*n[4] + m[3]*n[5] + m[5],
	}
}

func (m matrix6) at(x, y float64) (float64, float64) {
	return m[0]*x + m[2]*y + m[4], m[1]*x + m[3]*y + m[5]
}

func transform(t *testing.T, s string) matrix6 {
	t.Helper()
	m := matrix6{1, 0, 0, 1, 0, 0}
	for part := range strings.SplitSeq(s, ")") {
		name, args, ok := strings.Cut(strings.TrimSpace(part), "(")
		if !ok {
			continue
		}
		var v []float64
		for a := range strings.FieldsFuncSeq(args, func(r rune) bool { return r == ',' || r == ' ' }) {
			v = append(v, number(t, a))
		}
		switch name {
		case "translate":
			m = m.mul(matrix6{1, 0, 0, 1, v[0], v[1]})
		case "scale":
			m = m.mul(matrix6{v[0], 0, 0, v[1], 0, 0})
		case "rotate":
			sin, cos := math.Sincos(v[0] * math.Pi / 180)
			m = m.mul(matrix6{cos, sin, -sin, cos, 0, 0})
		default:
			t.Fatalf("transform %s", s)
		}
	}
	return m
}

func number(t *testing.T, s string) float64 {
	t.Helper()
	x, err := strconv.ParseFloat(strings.TrimSuffix(strings.TrimSuffix(s, "pt"), "px"), 64)
	if err != nil {
		t.Fatal(err)
	}
	return x
}

func property(look, name string) string {
	for p := range strings.SplitSeq(look, ";") {
		if k, v, _ := strings.Cut(p, ":"); strings.TrimSpace(k) == name {
			return v
		}
	}
	return ""
}

func parseSVG(t *testing.T, svg []byte) *doc {
	t.Helper()
	d := &doc{}
	stack := []matrix6{{1, 0, 0, 1, 0, 0}}
	var open *label
	var at matrix6
	var x, y float64
	var look string
	for dec := xml.NewDecoder(bytes.NewReader(svg)); ; {
		tok, err := dec.Token()
		if errors.Is(err, io.EOF) {
			return d
		}
		if err != nil {
			t.Fatalf("no XML: %v", err)
		}
		switch e := tok.(type) {
		case xml.StartElement:
			attrs := map[string]string{}
			for _, a := range e.Attr {
				attrs[a.Name.Local] = a.Value
			}
			m := stack[len(stack)-1].mul(transform(t, attrs["transform"]))
			stack = append(stack, m)
			switch e.Name.Local {
			case "svg":
				d.w, d.h = number(t, attrs["width"]), number(t, attrs["height"])
			case "text":
				open, at, look = &label{}, m, attrs["style"]
				x, y = number(t, attrs["x"]), number(t, attrs["y"])
			case "path":
				start, _, _ := strings.Cut(strings.TrimPrefix(attrs["d"], "M"), "A")
				start, _, arc := strings.Cut(start, "L")
				sx, sy, _ := strings.Cut(start, ",")
				px, py := m.at(number(t, sx), number(t, sy))
				d.fills = append(d.fills, shape{px, py, property(attrs["style"], "fill"), !arc})
			}
		case xml.CharData:
			if open != nil {
				open.text += string(e)
			}
		case xml.EndElement:
			stack = stack[:len(stack)-1]
			if e.Name.Local == "text" {
				s := style(vg.Length(number(t, property(look, "font-size"))), ink)
				if property(look, "font-weight") == "bold" {
					s = bold(s.Font.Size, ink)
				}
				ax, ay := at.at(x, y)
				bx, by := at.at(x+float64(s.Width(open.text)), y-float64(capHeight(s)))
				open.x0, open.x1 = min(ax, bx), max(ax, bx)
				open.y0, open.y1 = min(ay, by), max(ay, by)
				d.texts = append(d.texts, *open)
				open = nil
			}
		}
	}
}

func (d *doc) find(t *testing.T, text string) label {
	t.Helper()
	i := slices.IndexFunc(d.texts, func(l label) bool { return l.text == text })
	if i < 0 {
		t.Fatalf("there is no text %q among %q", text, d.all())
	}
	return d.texts[i]
}

func (d *doc) all() (out []string) {
	for _, l := range d.texts {
		out = append(out, l.text)
	}
	return out
}

// checkTexts reports texts that leave the picture or cover each other.
func (d *doc) checkTexts(t *testing.T) {
	t.Helper()
	for i, a := range d.texts {
		if a.x0 < 0 || a.y0 < 0 || a.x1 > d.w || a.y1 > d.h {
			t.Errorf("%q at (%.1f, %.1f)-(%.1f, %.1f) leaves the picture of %v x %v", a.text, a.x0, a.y0, a.x1, a.y1, d.w, d.h)
		}
		for _, b := range d.texts[:i] {
			if a.x0 < b.x1 && b.x0 < a.x1 && a.y0 < b.y1 && b.y0 < a.y1 {
				t.Errorf("%q and %q overlap", b.text, a.text)
			}
		}
	}
}

// both draws a picture in both formats, twice each, and reads it.
func both(t *testing.T, draw func(io.Writer, Format) error) (*doc, image.Image) {
	t.Helper()
	var out [2]bytes.Buffer
	for i, f := range []Format{SVG, PNG} {
		var again bytes.Buffer
		if err := errors.Join(draw(&out[i], f), draw(&again, f)); err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(out[i].Bytes(), again.Bytes()) {
			t.Errorf("%s: two pictures of the same numbers differ", f)
		}
	}
	d := parseSVG(t, out[0].Bytes())
	d.checkTexts(t)
	if n := bytes.Count(out[0].Bytes(), []byte("Helvetica,Arial,")); n != len(d.texts) {
		t.Errorf("%d of %d texts name the usual fonts", n, len(d.texts))
	}
	img, err := png.Decode(&out[1])
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		svg float64
		png int
	}{{d.w, img.Bounds().Dx()}, {d.h, img.Bounds().Dy()}} {
		if math.Abs(2*c.svg-float64(c.png)) > 1 {
			t.Errorf("the PNG has %d pixels for %v points", c.png, c.svg)
		}
	}
	return d, img
}

func hex(c color.Color) string {
	r, g, b, _ := c.RGBA()
	return fmt.Sprintf("#%02X%02X%02X", r>>8, g>>8, b>>8)
}

// epochs is 1, 2, ..., n.
func epochs(n int) (x []float64) {
	for i := range n {
		x = append(x, float64(i+1))
	}
	return x
}

func TestCurves(t *testing.T) {
	for _, n := range []int{1, 2, 7, 50, 1000} {
		for _, log := range []bool{false, true} {
			for _, steps := range []int{0, 37} {
				if n > 7 && log != (steps == 0) {
					continue
				}
				t.Run(fmt.Sprintf("%d epochs, log %v, %d steps", n, log, steps), func(t *testing.T) {
					x := epochs(n)
					var loss, val, acc, sx, sy []float64
					for _, e := range x {
						loss, val, acc = append(loss, 1/e), append(val, 0.8/e+0.05*e/float64(n)), append(acc, 1-0.3/e)
						for s := range min(steps*n, 20000) / n {
							sx = append(sx, e-1+float64(s+1)/float64(steps))
							sy = append(sy, 1/e+0.3*math.Sin(float64(s)))
						}
					}
					best := math.Ceil(float64(n) / 2)
					d, img := both(t, func(w io.Writer, f Format) error {
						lossPanel := Panel{Title: "loss", Log: log, Series: []Series{{Name: "training", X: x, Y: loss}, {Name: "validation", X: x, Y: val}}}
						if steps > 0 {
							lossPanel.Series = append(lossPanel.Series, Series{Name: "each step", X: sx, Y: sy, Faint: true})
						}
						return Curves(w, f, []Panel{lossPanel, {Title: "accuracy", Percent: true, Series: []Series{{Name: "validation", X: x, Y: acc}}}},
							CurvesOptions{Title: "<lenet5> & digits", Best: best})
					})
					lossTitle := "loss"
					if log {
						lossTitle = "loss (logarithmic scale)"
					}
					for _, want := range []string{"<lenet5> & digits", "training", "validation", lossTitle, "accuracy", "epoch"} {
						d.find(t, want)
					}
					d.find(t, fmt.Sprintf("epoch %v: validation %s", best, valueText(Panel{Percent: true}, acc[int(best)-1])))
					d.find(t, fmt.Sprintf("epoch %v: validation %s", best, valueText(Panel{}, val[int(best)-1])))
					// The rings mark the best epoch: training and validation loss, validation accuracy.
					var rings []shape
					for i, s := range d.fills {
						if s.arc && s.color == "#FFFFFF" {
							ring := d.fills[i-1]
							rings = append(rings, ring)
							covered := slices.ContainsFunc(d.fills[i+1:], func(o shape) bool { return o.arc && math.Hypot(o.x-s.x, o.y-s.y) < 12 })
							if covered {
								continue
							}
							// The disc below starts at its right end, 4.5 points from its middle.
							if got := hex(img.At(int(2*(ring.x-1)), int(2*ring.y))); got != ring.color {
								t.Errorf("the PNG is %s where the SVG has a ring of %s", got, ring.color)
							}
						}
					}
					if len(rings) != 3 {
						t.Errorf("%d rings, want 3", len(rings))
					}
					if n > 1 && n <= dotted {
						checkDots(t, d, x, loss, log)
					}
				})
			}
		}
	}
}

// checkDots holds the blue dots, of the series "training", against the axes' labels.
func checkDots(t *testing.T, d *doc, x, y []float64, log bool) {
	t.Helper()
	var dots []shape
	for _, s := range d.fills {
		if s.arc && s.color == hex(blue) {
			dots = append(dots, s)
		}
	}
	if len(dots) < len(x) {
		t.Fatalf("%d dots, want %d", len(dots), len(x))
	}
	scale := func(v float64) float64 { return v }
	if log {
		scale = math.Log
	}
	var ticks []label
	var at []float64
	for _, l := range d.texts { // the panel of the loss comes first, and its vertical axis is labelled from below
		if v, err := strconv.ParseFloat(l.text, 64); err == nil && l.y0 < d.h/2 {
			ticks, at = append(ticks, l), append(at, v)
		}
	}
	low, high, lowY, highY := ticks[0], ticks[len(ticks)-1], at[0], at[len(at)-1]
	unit := (high.y1 - low.y1) / (scale(highY) - scale(lowY))
	first, last := d.find(t, "1"), label{}
	for _, l := range d.texts {
		if l.text == fmt.Sprint(len(x)) && l.y0 > d.h/2 {
			last = l
		}
		if l.text == "1" && l.y0 > d.h/2 {
			first = l
		}
	}
	firstY := (low.y0+low.y1)/2 + unit*(scale(y[0])-scale(lowY))
	epoch := ((last.x0 + last.x1) - (first.x0 + first.x1)) / 2 / float64(len(x)-1)
	for i, dot := range dots[:len(x)] {
		wantX := (first.x0+first.x1)/2 + epoch*(x[i]-1) + 2.5
		wantY := (low.y0+low.y1)/2 + unit*(scale(y[i])-scale(lowY))
		// A label's middle is taken from its font, not from its digits.
		if math.Abs(dot.x-wantX) > 0.5 || math.Abs(dot.y-wantY) > 1.5 || math.Abs((dot.y-wantY)-(dots[0].y-firstY)) > 0.2 {
			t.Errorf("the dot of epoch %v, %v lies at (%.2f, %.2f), want (%.2f, %.2f) by the labels", x[i], y[i], dot.x, dot.y, wantX, wantY)
		}
	}
}

// TestCurvesGaps leaves out what is not a number, and draws what is left.
func TestCurvesGaps(t *testing.T) {
	d, _ := both(t, func(w io.Writer, f Format) error {
		return Curves(w, f, []Panel{{Title: "loss", Log: true, Series: []Series{
			{Name: "a name\nof two lines \x00 that is far longer than the picture is wide, so that a part of it has to be left out of the legend", X: epochs(5), Y: []float64{3, math.NaN(), 2, math.Inf(1), 0}},
		}}}, CurvesOptions{Best: 2})
	})
	dots := 0
	for _, s := range d.fills {
		if s.arc {
			dots++
		}
	}
	if dots != 3 {
		t.Errorf("%d dots, want 3", dots)
	}
	d.find(t, "best: epoch 2")
}

func TestThin(t *testing.T) {
	run := make([]vg.Point, 100000)
	for i := range run {
		run[i] = vg.Point{X: vg.Length(i) * 600 / 100000, Y: vg.Length(i % 7)}
	}
	run[41234].Y, run[77777].Y = 100, -100
	out := thin(run)
	if len(out) > 5000 {
		t.Errorf("%d of %d points are kept", len(out), len(run))
	}
	for _, p := range []vg.Point{run[0], run[41234], run[77777], run[len(run)-1]} {
		if !slices.Contains(out, p) {
			t.Errorf("%v is left out", p)
		}
	}
	if !slices.IsSortedFunc(out, func(a, b vg.Point) int { return int(math.Copysign(1, float64(a.X-b.X))) }) {
		t.Error("the points left are out of order")
	}
}

func TestConfusion(t *testing.T) {
	long := "a class whose name, with a <bracket> & more, is longer than any matrix has room for"
	for _, n := range []int{1, 3, 10, 40, 100, 301} {
		for _, named := range []bool{false, true} {
			if n >= 100 && named != (n == 100) {
				continue
			}
			t.Run(fmt.Sprintf("%d classes, named %v", n, named), func(t *testing.T) {
				counts := make([][]int, n)
				var names []string
				for i := range counts {
					counts[i] = make([]int, n)
					counts[i][i] = 90 + i%10
					counts[i][(i+1)%n] += 10 - i%10
					if named {
						names = append(names, fmt.Sprintf("class %d", i))
					}
				}
				counts[n-1] = make([]int, n) // a class without examples
				if named {
					names[0], names[n-1] = long, ""
				}
				d, img := both(t, func(w io.Writer, f Format) error { return Confusion(w, f, counts, names, ConfusionOptions{}) })
				d.find(t, "Confusion matrix")
				d.find(t, "predicted class")
				d.find(t, "true class")
				right, total := 0, 0
				for i, row := range counts {
					for _, x := range row {
						total += x
					}
					right += row[i]
				}
				if total > 0 {
					d.find(t, fmt.Sprintf("%s of %s right: %s", thousands(right), thousands(total), percent(right, total, 2)))
				} else {
					d.find(t, "no examples")
				}
				if n > 100 {
					return // colours only
				}
				d.find(t, "recall")
				d.find(t, "precision")
				if n > 1 {
					d.find(t, "90")
				}
				if named && n == 3 {
					if slices.Contains(d.all(), long) {
						t.Error("a long name is drawn whole")
					}
					d.find(t, "2") // the class without a name
				}
				if n == 10 {
					checkCells(t, d, img, counts)
				}
			})
		}
	}
}

// checkCells holds the numbers in the cells and the colours behind them against the counts.
func checkCells(t *testing.T, d *doc, img image.Image, counts [][]int) {
	t.Helper()
	white := color.RGBA{0xff, 0xff, 0xff, 0xff}
	first, next := d.find(t, "90"), d.find(t, "91")
	pitch := (next.x0 + next.x1 - first.x0 - first.x1) / 2
	if down := (next.y0 + next.y1 - first.y0 - first.y1) / 2; math.Abs(down-pitch) > 0.01 {
		t.Errorf("cells are %v wide and %v high", pitch, down)
	}
	for i, row := range counts {
		for j, x := range row {
			cx, cy := (first.x0+first.x1)/2+pitch*float64(j), (first.y0+first.y1)/2+pitch*float64(i)
			ok := slices.ContainsFunc(d.texts, func(l label) bool {
				return l.text == strconv.Itoa(x) && math.Abs((l.x0+l.x1)/2-cx) < 0.1 && math.Abs((l.y0+l.y1)/2-cy) < 0.1
			})
			if !ok {
				t.Errorf("row %d, column %d: want %d at (%.1f, %.1f)", i, j, x, cx, cy)
			}
			want := white
			switch {
			case x > 0 && i == j:
				want = rightColor(float64(x) / 100)
			case x > 0:
				want = wrongColor(float64(x) / 100)
			}
			// Beside the number, within the cell.
			if got := hex(img.At(int(2*(cx-pitch/2+3)), int(2*(cy-pitch/2+3)))); got != hex(want) {
				t.Errorf("row %d, column %d: the colour is %s, want %s", i, j, got, hex(want))
			}
		}
	}
}

func TestPercent(t *testing.T) {
	for _, c := range []struct {
		part, whole int
		want        string
	}{{0, 0, "–"}, {1, 1, "100.00 %"}, {99999, 100000, "99.99 %"}, {1, 3, "33.33 %"}, {0, 5, "0.00 %"}} {
		if got := percent(c.part, c.whole, 2); got != c.want {
			t.Errorf("%d of %d is %s, want %s", c.part, c.whole, got, c.want)
		}
	}
}

func TestRefused(t *testing.T) {
	ok := []Panel{{Title: "loss", Series: []Series{{Name: "a", X: []float64{1}, Y: []float64{1}}}}}
	panels := func(x, y []float64) []Panel {
		return []Panel{{Title: "loss", Series: []Series{{Name: "a", X: x, Y: y}}}}
	}
	for _, c := range []struct {
		want string
		err  error
	}{
		{`format "pdf"`, Curves(io.Discard, "pdf", ok, CurvesOptions{})},
		{"no panels", Curves(io.Discard, SVG, nil, CurvesOptions{})},
		{"loss: a: 2 X and 1 Y", Curves(io.Discard, SVG, panels([]float64{1, 2}, []float64{1}), CurvesOptions{})},
		{"loss: a: X 1: want finite numbers that ascend", Curves(io.Discard, SVG, panels([]float64{1, 1}, []float64{1, 1}), CurvesOptions{})},
		{"loss: a: X NaN", Curves(io.Discard, SVG, panels([]float64{math.NaN()}, []float64{1}), CurvesOptions{})},
		{"loss: no finite point", Curves(io.Discard, SVG, panels([]float64{1}, []float64{math.Inf(1)}), CurvesOptions{})},
		{"no classes", Confusion(io.Discard, SVG, nil, nil, ConfusionOptions{})},
		{"1 class names for 2 classes", Confusion(io.Discard, SVG, [][]int{{1, 0}, {0, 1}}, []string{"a"}, ConfusionOptions{})},
		{"row 1 has 1 counts: want 2", Confusion(io.Discard, SVG, [][]int{{1, 0}, {0}}, nil, ConfusionOptions{})},
		{"row 0, column 1: -1", Confusion(io.Discard, SVG, [][]int{{1, -1}, {0, 1}}, nil, ConfusionOptions{})},
		{"1001 classes: want at most 1000", Confusion(io.Discard, SVG, make([][]int, 1001), nil, ConfusionOptions{})},
	} {
		if c.err == nil || !strings.Contains(c.err.Error(), c.want) {
			t.Errorf("have %v, want an error with %q", c.err, c.want)
		}
	}
}
