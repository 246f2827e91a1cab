package draw

import (
	"bytes"
	"image"
	"image/color"
	"image/png"
	"math"
	"slices"
	"strconv"

	"golang.org/x/image/font"
	"golang.org/x/image/font/opentype"
	"golang.org/x/image/math/fixed"
	"golang.org/x/image/vector"

	imagedraw "image/draw"
)

// mostPixels bounds a PNG; a larger drawing has fewer pixels per point.
const mostPixels = 32e6

// png writes a scene with two pixels per point, or fewer if it is large.
func (s *scene) png() ([]byte, error) {
	scale := 2.0
	if n := s.width * s.height * scale * scale; n > mostPixels {
		scale *= math.Sqrt(mostPixels / n)
	}
	c := &canvas{scale: scale, faces: map[style]font.Face{}, colors: map[string]*image.Uniform{}}
	c.img = image.NewRGBA(image.Rect(0, 0, max(1, int(s.width*scale)), max(1, int(s.height*scale))))
	imagedraw.Draw(c.img, c.img.Bounds(), image.White, image.Point{}, imagedraw.Src)
	for _, x := range s.shapes {
		switch {
		case x.rect != nil:
			c.rect(x.rect)
		case x.text != nil:
			if err := c.text(x.text); err != nil {
				return nil, err
			}
		case x.path != nil:
			c.path(x.path)
		}
	}
	var b bytes.Buffer
	enc := png.Encoder{CompressionLevel: png.BestSpeed}
	if err := enc.Encode(&b, c.img); err != nil {
		return nil, err
	}
	return b.Bytes(), nil
}

type canvas struct {
	scale  float64
	img    *image.RGBA
	faces  map[style]font.Face
	colors map[string]*image.Uniform
	raster vector.Rasterizer
}

func (c *canvas) color(s string) *image.Uniform {
	if c.colors[s] == nil {
		n, _ := strconv.ParseUint(s[1:], 16, 32)
		c.colors[s] = image.NewUniform(color.RGBA{uint8(n >> 16), uint8(n >> 8), uint8(n), 0xff})
	}
	return c.colors[s]
}

// fill fills closed polygons given in pixels; where they overlap in opposite directions there is nothing.
func (c *canvas) fill(col string, polygons ...[]point) {
	x0, y0, x1, y1 := math.Inf(1), math.Inf(1), math.Inf(-1), math.Inf(-1)
	for _, poly := range polygons {
		for _, p := range poly {
			x0, y0, x1, y1 = min(x0, p.x), min(y0, p.y), max(x1, p.x), max(y1, p.y)
		}
	}
	r := image.Rect(int(math.Floor(x0)), int(math.Floor(y0)), int(math.Ceil(x1))+1, int(math.Ceil(y1))+1).Intersect(c.img.Bounds())
	if r.Empty() {
		return
	}
	c.raster.Reset(r.Dx(), r.Dy())
	for _, poly := range polygons {
		for i, p := range poly {
			x, y := float32(p.x-float64(r.Min.X)), float32(p.y-float64(r.Min.Y))
			if i == 0 {
				c.raster.MoveTo(x, y)
			} else {
				c.raster.LineTo(x, y)
			}
		}
		c.raster.ClosePath()
	}
	c.raster.Draw(c.img, r, c.color(col), image.Point{})
}

func (c *canvas) rect(r *rect) {
	if r.dashed {
		if r.fill != "" {
			c.fill(r.fill, c.rounded(r, 0, false))
		}
		outline := c.rounded(r, 0, false)
		c.stroke(append(outline, outline[0]), r.line*c.scale, r.stroke, true)
		return
	}
	const large = 1 << 16 // pixels
	if r.w*r.h*c.scale*c.scale < large {
		if r.fill != "" {
			c.fill(r.fill, c.rounded(r, 0, false))
		}
		if r.stroke != "" {
			c.fill(r.stroke, c.rounded(r, r.line/2, false), c.rounded(r, -r.line/2, true))
		}
		return
	}
	// A large one is made of whole pixels, and of its corners, which alone are smoothed.
	snapped := *r
	snap := func(x float64) float64 { return math.Round(x*c.scale) / c.scale }
	snapped.x, snapped.y = snap(r.x), snap(r.y)
	snapped.w, snapped.h = snap(r.x+r.w)-snapped.x, snap(r.y+r.h)-snapped.y
	r = &snapped
	line := max(1, math.Round(r.line*c.scale)) / c.scale
	if r.stroke == "" {
		line = 0
	}
	corner := max(r.radius, line)
	block := func(col string, x0, y0, x1, y1 float64) {
		px := func(v float64) int { return int(math.Round(v * c.scale)) }
		imagedraw.Draw(c.img, image.Rect(px(x0), px(y0), px(x1), px(y1)), c.color(col), image.Point{}, imagedraw.Src)
	}
	corner = snap(corner)
	x0, y0, x1, y1 := r.x, r.y, r.x+r.w, r.y+r.h
	if r.fill != "" {
		block(r.fill, x0+corner, y0, x1-corner, y1)
		block(r.fill, x0, y0+corner, x0+corner, y1-corner)
		block(r.fill, x1-corner, y0+corner, x1, y1-corner)
	}
	if r.stroke != "" {
		block(r.stroke, x0+corner, y0, x1-corner, y0+line)
		block(r.stroke, x0+corner, y1-line, x1-corner, y1)
		block(r.stroke, x0, y0+corner, x0+line, y1-corner)
		block(r.stroke, x1-line, y0+corner, x1, y1-corner)
	}
	for i := range 4 {
		cx, cy := x1-corner, y1-corner
		if i == 1 || i == 2 {
			cx = x0 + corner
		}
		if i >= 2 {
			cy = y0 + corner
		}
		var outer, inner []point
		const steps = 8
		for k := range steps + 1 {
			a := (float64(i) + float64(k)/steps) * math.Pi / 2
			sin, cos := math.Sincos(a)
			outer = append(outer, point{(cx + corner*cos) * c.scale, (cy + corner*sin) * c.scale})
			inner = append(inner, point{(cx + (corner-line)*cos) * c.scale, (cy + (corner-line)*sin) * c.scale})
		}
		if r.fill != "" {
			c.fill(r.fill, append([]point{{cx * c.scale, cy * c.scale}}, outer...))
		}
		if r.stroke != "" {
			slices.Reverse(inner)
			c.fill(r.stroke, append(outer, inner...))
		}
	}
}

// rounded is the outline of a rectangle that is larger by d on all sides, in pixels.
func (c *canvas) rounded(r *rect, d float64, reverse bool) []point {
	x0, y0, x1, y1 := r.x-d, r.y-d, r.x+r.w+d, r.y+r.h+d
	radius := max(0, min(r.radius+d, (x1-x0)/2, (y1-y0)/2))
	var pts []point
	const steps = 8
	for corner := range 4 {
		cx, cy := x1-radius, y1-radius
		if corner == 1 || corner == 2 {
			cx = x0 + radius
		}
		if corner >= 2 {
			cy = y0 + radius
		}
		for i := range steps + 1 {
			a := (float64(corner) + float64(i)/steps) * math.Pi / 2
			pts = append(pts, point{(cx + radius*math.Cos(a)) * c.scale, (cy + radius*math.Sin(a)) * c.scale})
		}
	}
	if reverse {
		slices.Reverse(pts)
	}
	return pts
}

func (c *canvas) path(p *curve) {
	pts := p.points
	var tip []point
	if p.arrow {
		pts, tip = arrow(pts)
	}
	if p.dashed {
		c.stroke(c.flatten(pts), p.line*c.scale, p.stroke, true)
	} else {
		for i := 1; i+2 < len(pts); i += 3 { // each for itself: together they would span a large area
			c.stroke(c.flatten(pts[i-1:i+3]), p.line*c.scale, p.stroke, false)
		}
	}
	if tip != nil {
		for i := range tip {
			tip[i] = point{tip[i].x * c.scale, tip[i].y * c.scale}
		}
		c.fill(p.stroke, tip)
	}
}

// flatten turns curves into a polyline in pixels.
func (c *canvas) flatten(pts []point) []point {
	out := []point{{pts[0].x * c.scale, pts[0].y * c.scale}}
	for i := 1; i+2 < len(pts); i += 3 {
		a, b, d, e := pts[i-1], pts[i], pts[i+1], pts[i+2]
		steps := 16
		if upright(a, b, d, e) {
			steps = 1
		}
		for k := 1; k <= steps; k++ {
			t := float64(k) / float64(steps)
			u := 1 - t
			x := u*u*u*a.x + 3*u*u*t*b.x + 3*u*t*t*d.x + t*t*t*e.x
			y := u*u*u*a.y + 3*u*u*t*b.y + 3*u*t*t*d.y + t*t*t*e.y
			out = append(out, point{x * c.scale, y * c.scale})
		}
	}
	return out
}

// stroke draws a polyline of a width, both in pixels.
func (c *canvas) stroke(pts []point, width float64, col string, dashed bool) {
	if dashed {
		for _, part := range dashes(pts, 4*c.scale, 3*c.scale) {
			c.stroke(part, width, col, false)
		}
		return
	}
	var clean []point
	for i, p := range pts {
		if i == 0 || math.Hypot(p.x-clean[len(clean)-1].x, p.y-clean[len(clean)-1].y) > 1e-6 {
			clean = append(clean, p)
		}
	}
	if len(clean) < 2 {
		return
	}
	if around(clean) > 1<<16 { // filling takes time by the area: two halves have half of it
		mid := len(clean) / 2
		if len(clean) == 2 {
			clean = slices.Insert(clean, 1, point{(clean[0].x + clean[1].x) / 2, (clean[0].y + clean[1].y) / 2})
		}
		c.stroke(clean[:mid+1:mid+1], width, col, false)
		c.stroke(clean[mid:], width, col, false)
		return
	}
	n := len(clean)
	left, right := make([]point, n), make([]point, n)
	normal := func(a, b point) point {
		d := math.Hypot(b.x-a.x, b.y-a.y)
		return point{-(b.y - a.y) / d, (b.x - a.x) / d}
	}
	for i, p := range clean {
		var m point
		switch i {
		case 0:
			m = normal(p, clean[1])
		case n - 1:
			m = normal(clean[n-2], p)
		default:
			a, b := normal(clean[i-1], p), normal(p, clean[i+1])
			m = point{a.x + b.x, a.y + b.y}
			if d := m.x*m.x + m.y*m.y; d > 0.5 {
				m = point{2 * m.x / d, 2 * m.y / d}
			} else {
				m = b
			}
		}
		left[i] = point{p.x + m.x*width/2, p.y + m.y*width/2}
		right[n-1-i] = point{p.x - m.x*width/2, p.y - m.y*width/2}
	}
	c.fill(col, append(left, right...))
}

// around is the area of the rectangle around points.
func around(pts []point) float64 {
	x0, x1, y0, y1 := pts[0].x, pts[0].x, pts[0].y, pts[0].y
	for _, p := range pts {
		x0, x1, y0, y1 = min(x0, p.x), max(x1, p.x), min(y0, p.y), max(y1, p.y)
	}
	return (x1 - x0) * (y1 - y0)
}

// dashes cuts a polyline into pieces.
func dashes(pts []point, on, off float64) [][]point {
	var out [][]point
	part := []point{pts[0]}
	left, drawing := on, true
	for i := 1; i < len(pts); i++ {
		a, b := pts[i-1], pts[i]
		for {
			d := math.Hypot(b.x-a.x, b.y-a.y)
			if d < left {
				left -= d
				part = append(part, b)
				break
			}
			a = point{a.x + (b.x-a.x)*left/d, a.y + (b.y-a.y)*left/d}
			if drawing {
				out = append(out, append(part, a))
				left = off
			} else {
				left = on
			}
			part = []point{a}
			drawing = !drawing
		}
	}
	if drawing {
		out = append(out, part)
	}
	return out
}

func (c *canvas) text(t *text) error {
	s := t.style
	f := c.faces[s]
	if f == nil {
		var err error
		f, err = opentype.NewFace(s.face().font, &opentype.FaceOptions{Size: s.size * c.scale, DPI: 72, Hinting: font.HintingNone})
		if err != nil {
			return err
		}
		c.faces[s] = f
	}
	at := fixed.Point26_6{X: fixed.Int26_6(t.x * c.scale * 64), Y: fixed.Int26_6(t.y * c.scale * 64)}
	d := font.Drawer{Dst: c.img, Src: c.color(s.color), Face: f, Dot: at}
	if !t.up {
		d.DrawString(t.s)
		return nil
	}
	w, h := int(s.width(t.s)*c.scale)+4, int(2*s.size*c.scale)+4
	flat := image.NewRGBA(image.Rect(0, 0, w, h))
	d = font.Drawer{Dst: flat, Src: d.Src, Face: f, Dot: fixed.P(1, h/2)}
	d.DrawString(t.s)
	turned := image.NewRGBA(image.Rect(0, 0, h, w))
	for y := range h {
		for x := range w {
			turned.SetRGBA(y, w-1-x, flat.RGBAAt(x, y))
		}
	}
	r := turned.Bounds().Add(image.Pt(int(t.x*c.scale)-h/2, int(t.y*c.scale)-w+1))
	imagedraw.Draw(c.img, r, turned, image.Point{}, imagedraw.Over)
	return nil
}
