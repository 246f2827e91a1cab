package draw

import (
	"fmt"
	"math"
	"slices"

	"github.com/graphrun/graphrun/graph/internal/picture"
)

// scene is what is drawn, from back to front, in points with the origin at the top left.
type scene struct {
	width, height float64
	shapes        []shape
}

// shape is one of: a rectangle, a line of text, a path.
type shape struct {
	rect *rect
	text *text
	path *curve
	tip  string // of the shapes up to the one with end set
	open bool
	end  bool
}

type rect struct {
	x, y, w, h, radius float64
	fill, stroke       string // colours as #rrggbb, "" for none
	line               float64
	dashed             bool
}

type text struct {
	x, y  float64 // the left end of the baseline
	s     string
	style style
	up    bool // it reads upwards
}

// curve is a polyline, or, where smooth is set, the points of cubic Bézier curves.
type curve struct {
	points []point
	stroke string
	line   float64
	dashed bool
	arrow  bool // at the last point
}

type point struct{ x, y float64 }

// segment kinds: a curve's points are p0, then for each cubic two control points and an end.

const (
	inkColor   = "#0f172a"
	mutedColor = "#64748b"
	edgeColor  = "#64748b"
	faintColor = "#94a3b8"
)

var (
	titleStyle   = style{titleSize, true, inkColor}
	rowStyle     = style{rowSize, false, "#334155"}
	captionStyle = style{rowSize, true, mutedColor}
	typeStyle    = style{typeSize, false, mutedColor}
	pillStyle    = style{typeSize, true, "#334155"}
	labelStyle   = style{labelSize, true, "#475569"}
	headStyle    = style{17, true, inkColor}
	subStyle     = style{11, false, mutedColor}
)

var (
	columnStyle = style{12, true, faintColor}
	columnNames = [...]string{picture.Forward: "FORWARD", picture.Gradient: "GRADIENT", picture.Optimizer: "OPTIMIZER"}
)

// look is the colours of a kind of box.
type look struct{ fill, stroke, text string }

var looks = map[picture.Kind]look{
	picture.Other:       {"#ffffff", "#64748b", inkColor},
	picture.Input:       {"#1e293b", "#1e293b", "#ffffff"},
	picture.Result:      {"#1e293b", "#1e293b", "#ffffff"},
	picture.Update:      {"#ffffff", "#b91c1c", inkColor},
	picture.Product:     {"#dbeafe", "#1d4ed8", inkColor},
	picture.Elementwise: {"#dcfce7", "#15803d", inkColor},
	picture.Reduction:   {"#fed7aa", "#c2410c", inkColor},
	picture.Pooling:     {"#a5f3fc", "#0e7490", inkColor},
	picture.Shape:       {"#f1f5f9", "#64748b", inkColor},
	picture.Random:      {"#fce7f3", "#be185d", inkColor},
	picture.Control:     {"#ede9fe", "#6d28d9", inkColor},
	picture.Optimize:    {"#fecaca", "#b91c1c", inkColor},
	picture.Statistics:  {"#fae8ff", "#a21caf", inkColor},
	picture.Variable:    {"#fef9c3", "#a16207", inkColor},
	picture.Constant:    {"#ffffff", "#94a3b8", inkColor},
}

func (s *scene) add(x ...shape) { s.shapes = append(s.shapes, x...) }

func (s *scene) rectangle(x, y, w, h, radius float64, fill, stroke string, line float64) {
	s.add(shape{rect: &rect{x: x, y: y, w: w, h: h, radius: radius, fill: fill, stroke: stroke, line: line}})
}

// write adds a line of text: at x its left end, its middle for align 0.5, its right end for 1.
func (s *scene) write(st style, x, y, align float64, line string) {
	s.add(shape{text: &text{x: x - align*st.width(line), y: y, s: line, style: st}})
}

func (s *scene) begin(tip string) { s.add(shape{open: true, tip: clean(tip)}) }
func (s *scene) close()           { s.add(shape{end: true}) }

const margin = 24

// draw puts a layout into a scene at an offset.
func (l *layout) draw(s *scene, ox, oy float64) {
	if l.headings() {
		for _, g := range l.groups {
			if g.isColumn() && g.last >= 0 {
				name := columnNames[g.c.Column]
				s.write(columnStyle, ox+max((g.x0+g.x1)/2, columnStyle.width(name)/2), oy+12, 0.5, name)
			}
		}
	}
	for _, g := range l.groups {
		if !g.c.Framed || g.last < 0 {
			continue
		}
		fill := "#f8fafc"
		switch {
		case g.c.Column == picture.Optimizer:
			fill = "#fffaf5"
		case g.depth%2 == 0:
			fill = "#eef2f7"
		}
		s.begin(g.c.Scope)
		s.rectangle(ox+g.x0, oy+g.y0, g.x1-g.x0, g.y1-g.y0, 8, fill, "#cbd5e1", 1)
		s.write(labelStyle, ox+g.x0+clusterPad, oy+g.y0+14, 0, g.label)
		s.close()
	}
	for _, w := range l.nets {
		l.wire(s, w, ox, oy)
	}
	for _, x := range l.boxes {
		l.box(s, x, ox, oy)
	}
}

// wire draws an edge: upright within bands, curved between them.
func (l *layout) wire(s *scene, w *wire, ox, oy float64) {
	x := ox + w.from.x + w.start.dx
	pts := []point{{x, oy + w.from.y + w.from.h}}
	lineTo := func(x, y float64) {
		p := pts[len(pts)-1]
		if x == p.x && y == p.y {
			return
		}
		pts = append(pts, point{p.x + (x-p.x)/3, p.y + (y-p.y)/3}, point{p.x + (x-p.x)*2/3, p.y + (y-p.y)*2/3}, point{x, y})
	}
	for r := w.from.first; r < w.to.first; r++ {
		next := w.x
		if r+1 == w.to.first {
			next = w.to.x + w.end.dx
		}
		next += ox
		if next != x {
			top, end := oy+l.zoneTop[r+1], oy+l.zoneEnd[r+1]
			lineTo(x, top)
			half := (end - top) * 0.55
			pts = append(pts, point{x, top + half}, point{next, end - half}, point{next, end})
			x = next
		}
	}
	lineTo(x, oy+w.to.y)
	if w.e.Up {
		slices.Reverse(pts)
	}
	color := edgeColor
	if w.from.b.Column != w.to.b.Column {
		color = "#a3b3c9"
	}
	tip := fmt.Sprintf("%s from %s to %s", w.e.Type, w.e.From.Title, w.e.To.Title)
	if w.e.Operand != "" {
		tip += " as " + w.e.Operand
	}
	s.begin(tip)
	s.add(shape{path: &curve{points: pts, stroke: color, line: 1.1, dashed: w.e.Dashed, arrow: true}})
	s.close()
}

func (l *layout) box(s *scene, x *boxItem, ox, oy float64) {
	cx, top := ox+x.x, oy+x.y
	k := looks[x.b.Kind]
	for _, p := range x.pills {
		c := looks[p.s.Kind]
		left, y := cx-x.w/2-pillGap-p.w, top+p.dy
		s.begin(p.s.Type + " " + p.s.Tip)
		s.rectangle(left, y, p.w, p.h, min(p.h/2, 7), c.fill, c.stroke, 0.8)
		base := y + 11
		if p.kind != "" {
			s.write(typeStyle, left+p.w/2, y+21, 0.5, p.kind)
		}
		s.write(pillStyle, left+p.w/2, base, 0.5, p.label)
		mid := y + p.h/2
		end := min(max(mid, top+5), top+x.h-5)
		s.add(shape{path: &curve{points: straight(point{left + p.w, mid}, point{cx - x.w/2, end}), stroke: c.stroke, line: 0.9, arrow: true}})
		s.close()
	}
	s.begin(x.b.Tip)
	radius := 5.0
	if x.b.Kind == picture.Input || x.b.Kind == picture.Result {
		radius = x.h / 2
	}
	s.rectangle(cx-x.w/2, top, x.w, x.h, radius, k.fill, k.stroke, 1.2)
	y := top + (x.h-x.textH)/2 + 4
	if x.caption != "" {
		y += rowHeight
		s.write(captionStyle, cx, y-3, 0.5, x.caption)
	}
	y += rowHeight
	t := titleStyle
	t.color = k.text
	s.write(t, cx, y-2.5, 0.5, x.title)
	for _, r := range x.rows {
		y += rowHeight
		s.write(rowStyle, cx, y-3, 0.5, r)
	}
	s.close()
	for _, side := range [2][]*port{x.top, x.bottom} {
		for _, p := range side {
			if !p.out || p.text == "" {
				continue
			}
			y := top + x.h + 10.5
			if p.upper {
				y = top - 4.5
			}
			s.write(typeStyle, cx+p.dx+4, y, 0, p.text)
		}
	}
}

func straight(a, b point) []point {
	return []point{a, {a.x + (b.x-a.x)/3, a.y + (b.y-a.y)/3}, {a.x + (b.x-a.x)*2/3, a.y + (b.y-a.y)*2/3}, b}
}

// legend names the kinds that occur, in rows of the given width, and returns the height.
func legend(s *scene, kinds []picture.Kind, x, y, width float64) float64 {
	at, top := x, y
	for _, k := range kinds {
		name := picture.Names[k]
		w := 14 + 6 + subStyle.width(name) + 18
		if at > x && at+w > x+width {
			at, top = x, top+18
		}
		if s != nil {
			c := looks[k]
			s.rectangle(at, top+1, 14, 11, 3, c.fill, c.stroke, 1)
			s.write(subStyle, at+20, top+10.5, 0, name)
		}
		at += w
	}
	return top + 18 - y
}

// kindsOf lists the kinds that a legend has to explain.
func kindsOf(p *picture.Picture) []picture.Kind {
	seen := map[picture.Kind]bool{}
	for _, b := range p.Boxes {
		seen[b.Kind] = true
		for _, src := range b.Sources {
			seen[src.Kind] = true
		}
	}
	var kinds []picture.Kind
	for k := range picture.Kind(len(picture.Names)) {
		if seen[k] && k != picture.Input && k != picture.Result && k != picture.Other {
			kinds = append(kinds, k)
		}
	}
	return kinds
}

// compose puts the title, the legend, the drawing and the memory picture into a scene.
func compose(l *layout, title, stage string, mem *Memory) *scene {
	s := &scene{}
	nodes := 0
	for _, b := range l.p.Boxes {
		nodes += len(b.Nodes)
	}
	head := headStyle.fit(clean(title), 900)
	sub := clean(stage)
	kinds := kindsOf(l.p)
	width := l.width
	var m *memoryPlot
	if mem != nil {
		m = newMemoryPlot(mem, l.height)
		width += m.width + 40
	}
	width = max(width, headStyle.width(head), subStyle.width(sub), 300)
	y := float64(margin)
	s.write(headStyle, margin, y+14, 0, head)
	y += 22
	if sub != "" {
		s.write(subStyle, margin, y+10, 0, sub)
		y += 18
	}
	y += 6
	y += legend(s, kinds, margin, y, width) + 8
	l.draw(s, margin+max(0, (width-l.width)/2*boolTo(m == nil)), y)
	bottom := y + l.height
	if m != nil {
		m.draw(s, margin+l.width+40, y)
		bottom = max(bottom, y+m.height)
	}
	s.width, s.height = math.Ceil(width+2*margin), math.Ceil(bottom+margin)
	return s
}

func boolTo(b bool) float64 {
	if b {
		return 1
	}
	return 0
}
