package draw

import (
	"bytes"
	"encoding/xml"
	"math"
	"strconv"
)

// svg writes a scene as SVG 1.1. Text is text; where another font than the ones named stands in, it is squeezed to its place.
func (s *scene) svg() []byte {
	b := &svgWriter{}
	b.put(`<svg xmlns="http://www.w3.org/2000/svg" width="`, num(s.width), `" height="`, num(s.height), `" viewBox="0 0 `, num(s.width), ` `, num(s.height),
		`" font-family="`, fontFamily, `">`, "\n", `<rect width="100%" height="100%" fill="#ffffff"/>`, "\n")
	for _, x := range s.shapes {
		switch {
		case x.open:
			b.put("<g>")
			if x.tip != "" {
				b.put("<title>")
				b.escape(x.tip)
				b.put("</title>")
			}
			b.put("\n")
		case x.end:
			b.put("</g>\n")
		case x.rect != nil:
			r := x.rect
			b.put(`<rect x="`, num(r.x), `" y="`, num(r.y), `" width="`, num(r.w), `" height="`, num(r.h), `"`)
			if r.radius > 0 {
				b.put(` rx="`, num(r.radius), `"`)
			}
			fill := r.fill
			if fill == "" {
				fill = "none"
			}
			b.put(` fill="`, fill, `"`)
			if r.stroke != "" {
				b.put(` stroke="`, r.stroke, `" stroke-width="`, num(r.line), `"`)
			}
			if r.dashed {
				b.put(` stroke-dasharray="4 3"`)
			}
			b.put("/>\n")
		case x.text != nil:
			t := x.text
			if t.s == "" {
				continue
			}
			if t.up {
				b.put(`<text transform="translate(`, num(t.x), ` `, num(t.y), `) rotate(-90)"`)
			} else {
				b.put(`<text x="`, num(t.x), `" y="`, num(t.y), `"`)
			}
			b.put(` font-size="`, num(t.style.size), `" fill="`, t.style.color, `"`)
			if t.style.bold {
				b.put(` font-weight="bold"`)
			}
			b.put(` textLength="`, num(t.style.width(t.s)), `" lengthAdjust="spacingAndGlyphs">`)
			b.escape(t.s)
			b.put("</text>\n")
		case x.path != nil:
			p := x.path
			pts := p.points
			var tip []point
			if p.arrow {
				pts, tip = arrow(pts)
			}
			b.put(`<path fill="none" stroke="`, p.stroke, `" stroke-width="`, num(p.line), `"`)
			if p.dashed {
				b.put(` stroke-dasharray="4 3"`)
			}
			b.put(` d="M`, num(pts[0].x), " ", num(pts[0].y))
			for i := 1; i+2 < len(pts); i += 3 {
				if upright(pts[i-1], pts[i], pts[i+1], pts[i+2]) {
					b.put(" V", num(pts[i+2].y))
					continue
				}
				b.put(" C", num(pts[i].x), " ", num(pts[i].y), " ", num(pts[i+1].x), " ", num(pts[i+1].y), " ", num(pts[i+2].x), " ", num(pts[i+2].y))
			}
			b.put("\"/>\n")
			if tip != nil {
				b.put(`<path fill="`, p.stroke, `" d="M`, num(tip[0].x), " ", num(tip[0].y), " L", num(tip[1].x), " ", num(tip[1].y), " L", num(tip[2].x), " ", num(tip[2].y), "Z\"/>\n")
			}
		}
	}
	b.put("</svg>\n")
	return b.Bytes()
}

func upright(p ...point) bool {
	for _, q := range p[1:] {
		if q.x != p[0].x {
			return false
		}
	}
	return true
}

// arrow returns the path shortened by the head of an arrow at its end, and the head's corners.
func arrow(pts []point) (short, tip []point) {
	const length, half = 6.0, 2.6
	n := len(pts)
	end, from := pts[n-1], pts[n-2]
	dx, dy := end.x-from.x, end.y-from.y
	d := math.Hypot(dx, dy)
	if d == 0 {
		return pts, nil
	}
	dx, dy = dx/d, dy/d
	back := point{end.x - dx*length, end.y - dy*length}
	short = append(append([]point(nil), pts[:n-1]...), point{end.x - dx*(length-1), end.y - dy*(length-1)})
	return short, []point{end, {back.x - dy*half, back.y + dx*half}, {back.x + dy*half, back.y - dx*half}}
}

type svgWriter struct{ bytes.Buffer }

func (b *svgWriter) put(parts ...string) {
	for _, p := range parts {
		b.WriteString(p)
	}
}

func (b *svgWriter) escape(s string) {
	_ = xml.EscapeText(&b.Buffer, []byte(s)) // a buffer takes everything
}

// num prints a length with at most one digit.
func num(x float64) string {
	x = math.Round(x*10) / 10
	if x == 0 {
		x = 0 // not -0
	}
	return strconv.FormatFloat(x, 'f', -1, 64)
}
