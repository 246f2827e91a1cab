package digits

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strings"
	"sync"

	"golang.org/x/image/font/gofont/gobold"
	"golang.org/x/image/font/gofont/gobolditalic"
	"golang.org/x/image/font/gofont/goitalic"
	"golang.org/x/image/font/gofont/gomedium"
	"golang.org/x/image/font/gofont/gomediumitalic"
	"golang.org/x/image/font/gofont/gomono"
	"golang.org/x/image/font/gofont/gomonobold"
	"golang.org/x/image/font/gofont/gomonobolditalic"
	"golang.org/x/image/font/gofont/gomonoitalic"
	"golang.org/x/image/font/gofont/goregular"
	"golang.org/x/image/font/opentype"
	"golang.org/x/image/font/sfnt"
	"golang.org/x/image/math/fixed"
)

// Everything below rounds each product before it is added: float64(a*b) + c. The conversion forbids the compiler to fuse
// the two into one instruction, which some machines would do, so every machine draws the same bytes. For the same reason
// no function of package math other than Sqrt and Floor is used; IEEE 754 fixes the results of these two.

const (
	boxSide  = 20.0 // the longer side of an undistorted digit, in pixels
	gridHalf = 16   // the distance grid spans [-gridHalf, gridHalf] pixels around the digit's centre
	gridRes  = 3    // distance grid nodes per pixel
	gridSide = 2*gridHalf*gridRes + 1
)

// fontSource is one of the fonts that can be drawn with. Its outlines are prepared on first use.
type fontSource struct {
	name string
	load func() (*face, error)
}

// face holds the ten digits of a font, and a zero without the slash that the Go fonts put into it.
type face struct {
	digit     [10]glyph
	plainZero glyph
}

// fonts holds the training fonts and then those held out.
var fonts = []fontSource{
	source("gomono", gomono.TTF),
	source("gomonobold", gomonobold.TTF),
	source("gomonoitalic", gomonoitalic.TTF),
	source("gomonobolditalic", gomonobolditalic.TTF),
	source("goregular", goregular.TTF),
	source("gomedium", gomedium.TTF),
	source("gobold", gobold.TTF),
	source("goitalic", goitalic.TTF),
	source("gomediumitalic", gomediumitalic.TTF),
	source("gobolditalic", gobolditalic.TTF),
}

func source(name string, ttf []byte) fontSource {
	return fontSource{name, sync.OnceValues(func() (*face, error) {
		f, err := opentype.Parse(ttf)
		if err != nil {
			return nil, fmt.Errorf("digits: font %s: %w", name, err)
		}
		var drawn face
		for d := range drawn.digit {
			outline, err := outlineOf(f, rune('0'+d))
			if err != nil {
				return nil, fmt.Errorf("digits: font %s: digit %d: %w", name, d, err)
			}
			drawn.digit[d] = newGlyph(outline)
			if d == 0 {
				drawn.plainZero = newGlyph(withoutSlash(outline))
			}
		}
		return &drawn, nil
	})}
}

func faceOf(font string) (*face, error) {
	i := slices.IndexFunc(fonts, func(f fontSource) bool { return f.name == font })
	if i < 0 {
		return nil, fmt.Errorf("digits: unknown font %q: want one of %s", font, strings.Join(Fonts(), ", "))
	}
	return fonts[i].load()
}

type point struct{ x, y float64 }

type segment struct{ a, b point }

// outlineOf returns the closed contours of a rune as straight segments, in font units, y downwards.
func outlineOf(f *opentype.Font, r rune) ([]segment, error) {
	var buf sfnt.Buffer
	index, err := f.GlyphIndex(&buf, r)
	if err != nil {
		return nil, err
	}
	if index == 0 {
		return nil, fmt.Errorf("the font has no glyph for %q", r)
	}
	path, err := f.LoadGlyph(&buf, index, fixed.I(int(f.UnitsPerEm())), nil)
	if err != nil {
		return nil, err
	}
	const steps = 8 // segments for a curve
	var out []segment
	var start, pen point
	lineTo := func(p point) {
		if p != pen {
			out = append(out, segment{pen, p})
		}
		pen = p
	}
	for _, s := range path {
		p := [3]point{toPoint(s.Args[0]), toPoint(s.Args[1]), toPoint(s.Args[2])}
		switch s.Op {
		case sfnt.SegmentOpMoveTo:
			lineTo(start) // closes the contour before
			start, pen = p[0], p[0]
		case sfnt.SegmentOpLineTo:
			lineTo(p[0])
		case sfnt.SegmentOpQuadTo:
			from := pen
			for i := 1; i <= steps; i++ {
				t := float64(i) / steps
				lineTo(lerp(lerp(from, p[0], t), lerp(p[0], p[1], t), t))
			}
		case sfnt.SegmentOpCubeTo:
			from := pen
			for i := 1; i <= steps; i++ {
				t := float64(i) / steps
				a, b, c := lerp(from, p[0], t), lerp(p[0], p[1], t), lerp(p[1], p[2], t)
				lineTo(lerp(lerp(a, b, t), lerp(b, c, t), t))
			}
		}
	}
	lineTo(start)
	if len(out) == 0 {
		return nil, fmt.Errorf("the glyph for %q is empty", r)
	}
	return out, nil
}

func toPoint(p fixed.Point26_6) point { return point{float64(p.X) / 64, float64(p.Y) / 64} }

func lerp(a, b point, t float64) point {
	return point{a.x + float64(t*(b.x-a.x)), a.y + float64(t*(b.y-a.y))}
}

// withoutSlash returns the outline of a slashed zero with the two holes beside the slash merged into one, their convex
// hull.
func withoutSlash(outline []segment) []segment {
	var contours [][]segment
	for i, s := range outline {
		if i == 0 || s.a != outline[i-1].b {
			contours = append(contours, nil)
		}
		last := &contours[len(contours)-1]
		*last = append(*last, s)
	}
	if len(contours) != 3 {
		return outline // it has no slash
	}
	var outer, holes []segment
	var turn float64 // its sign tells how the holes are oriented
	for _, c := range contours {
		area := 0.0
		for _, s := range c {
			area += float64(s.a.x*s.b.y) - float64(s.a.y*s.b.x)
		}
		if height(c) == height(outline) {
			outer = c
			continue
		}
		holes, turn = append(holes, c...), area
	}
	hull := convexHull(holes)
	if turn < 0 {
		slices.Reverse(hull)
	}
	whole := slices.Clone(outer)
	for i, p := range hull {
		whole = append(whole, segment{p, hull[(i+1)%len(hull)]})
	}
	return whole
}

func height(segs []segment) float64 {
	lo, hi := bounds(segs)
	return hi.y - lo.y
}

// bounds returns the corners of the smallest box around the start points of segs.
func bounds(segs []segment) (lo, hi point) {
	lo, hi = segs[0].a, segs[0].a
	for _, s := range segs {
		lo = point{min(lo.x, s.a.x), min(lo.y, s.a.y)}
		hi = point{max(hi.x, s.a.x), max(hi.y, s.a.y)}
	}
	return lo, hi
}

// convexHull returns the corners of the convex hull of the segments' start points in the order of positive area
// (Andrew's monotone chain).
func convexHull(segs []segment) []point {
	points := make([]point, len(segs))
	for i, s := range segs {
		points[i] = s.a
	}
	slices.SortFunc(points, func(p, q point) int { return cmp.Or(cmp.Compare(p.x, q.x), cmp.Compare(p.y, q.y)) })
	var hull []point
	chain := func(p point, from int) {
		for n := len(hull); n >= from+2; n = len(hull) {
			a, b := hull[n-2], hull[n-1]
			if float64((b.x-a.x)*(p.y-a.y)) > float64((b.y-a.y)*(p.x-a.x)) {
				break
			}
			hull = hull[:n-1]
		}
		hull = append(hull, p)
	}
	for _, p := range points {
		chain(p, 0)
	}
	lower := len(hull) - 1
	for _, p := range slices.Backward(points[:len(points)-1]) {
		chain(p, lower)
	}
	return hull[:len(hull)-1]
}

// glyph is a digit's outline as a signed distance field: for every node of a square grid the distance in pixels to the
// outline, positive inside. Any stroke weight and any warp can be read off it.
type glyph struct {
	dist []float64 // gridSide rows of gridSide nodes
	half float64   // half the width of the widest stroke, in pixels
}

// newGlyph scales the outline so that its longer side is boxSide pixels, centres it, and measures distances.
func newGlyph(outline []segment) glyph {
	lo, hi := bounds(outline)
	scale := boxSide / max(hi.x-lo.x, hi.y-lo.y)
	centre := point{float64((lo.x + hi.x) / 2), float64((lo.y + hi.y) / 2)}
	place := func(p point) point {
		return point{float64((p.x - centre.x) * scale), float64((p.y - centre.y) * scale)}
	}
	segs := make([]segment, len(outline))
	for i, s := range outline {
		segs[i] = segment{place(s.a), place(s.b)}
	}
	g := glyph{dist: make([]float64, gridSide*gridSide)}
	for row := range gridSide {
		for col := range gridSide {
			d := signedDistance(segs, point{float64(col)/gridRes - gridHalf, float64(row)/gridRes - gridHalf})
			g.dist[row*gridSide+col] = d
			g.half = max(g.half, d)
		}
	}
	return g
}

// signedDistance returns the distance from p to the nearest segment, positive where the winding number is not zero.
func signedDistance(segs []segment, p point) float64 {
	best := math.MaxFloat64
	winding := 0
	for _, s := range segs {
		ex, ey := s.b.x-s.a.x, s.b.y-s.a.y
		px, py := p.x-s.a.x, p.y-s.a.y
		t := (float64(px*ex) + float64(py*ey)) / (float64(ex*ex) + float64(ey*ey))
		t = min(max(t, 0), 1)
		dx, dy := px-float64(t*ex), py-float64(t*ey)
		best = min(best, float64(dx*dx)+float64(dy*dy))
		side := float64(ex*py) - float64(ey*px)
		switch {
		case s.a.y <= p.y && s.b.y > p.y && side > 0:
			winding++
		case s.a.y > p.y && s.b.y <= p.y && side < 0:
			winding--
		}
	}
	d := math.Sqrt(best)
	if winding == 0 {
		return -d
	}
	return d
}

// at interpolates the signed distance at p, in pixels from the digit's centre; points off the grid lie well outside.
func (g *glyph) at(p point) float64 {
	x := min(max(float64((p.x+gridHalf)*gridRes), 0), gridSide-1)
	y := min(max(float64((p.y+gridHalf)*gridRes), 0), gridSide-1)
	col, row := min(int(x), gridSide-2), min(int(y), gridSide-2)
	fx, fy := x-float64(col), y-float64(row)
	above := g.dist[row*gridSide+col:]
	below := above[gridSide:]
	top := above[0] + float64(fx*(above[1]-above[0]))
	bottom := below[0] + float64(fx*(below[1]-below[0]))
	return top + float64(fy*(bottom-top))
}
