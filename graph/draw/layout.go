package draw

import (
	"cmp"
	"fmt"
	"math"
	"slices"

	"github.com/graphrun/graphrun/graph"
	"github.com/graphrun/graphrun/graph/internal/picture"
)

// Distances, in points.
const (
	titleSize, rowSize, typeSize, labelSize = 11.5, 10.0, 9.0, 11.0

	boxPad      = 8.0  // between a box and its text
	rowHeight   = 13.0 // of a line in a box
	typeStrip   = 14.0 // where the type of a result stands, beside the edge
	portStep    = 13.0 // between edges at one side of a box
	pillGap     = 11.0 // between sources and their box
	itemGap     = 18.0
	chainGap    = 10.0
	clusterPad  = 10.0
	clusterHead = 17.0 // the room for a cluster's label
	bandGap     = 20.0 // the least room for curves
)

// layout places the boxes of a picture in bands: above each other what depends on each other (Sugiyama, Tagawa and
// Toda, "Methods for Visual Understanding of Hierarchical System Structures", 1981). An edge that passes bands is a
// vertical line in them. Clusters are contiguous in every band, and in the same order in all of them.
type layout struct {
	p     *picture.Picture
	ranks int
	boxes []*boxItem
	nets  []*wire
	root  *group

	zoneTop, zoneEnd []float64 // where edges curve: below the band above, for rank r between band r-1 and r
	bandTop, bandEnd []float64
	width, height    float64
	clusterOf        map[*picture.Cluster]*group
	groups           []*group // outer ones first
	notes            func(b *picture.Box) []string
}

// element is what is ordered within a cluster and a band: a box, a wire that passes, or a cluster.
type element struct {
	parent    *group
	first     int // rank
	last      int
	key       float64 // fixed order among the elements of the root
	pos       float64
	id        int
	box       *boxItem
	wire      *wire
	group     *group
	variable  int
	leftBound int // of a group: variables of its edges
	rightEdge int
}

// boxItem is a box with its size, its ports, and its place.
type boxItem struct {
	element
	b           *picture.Box
	title       string
	caption     string
	rows        []string
	pills       []*pill
	w, h        float64 // of the box itself
	textH       float64 // of its text
	left, right float64 // how far it reaches from its middle, with all that belongs to it
	above       float64 // the strip for types above it
	below       float64
	full        float64 // its height with the pills
	top, bottom []*port
	x, y        float64 // the middle and the top of the box itself
}

// pill is a source beside a box.
type pill struct {
	s           *picture.Source
	label, kind string
	w, h        float64
	dy          float64 // from the top of the box
}

// port is where edges meet a box: one of those that enter, or all that carry a result away.
type port struct {
	box   *boxItem
	upper bool
	out   bool
	text  string // the type, beside the edges
	wires []*wire
	dx    float64 // from the middle of the box
	main  bool
}

// wire is an edge on its way.
type wire struct {
	element
	e          *picture.Edge
	from, to   *boxItem // above and below
	start, end *port
	passes     bool // there are bands between
	x          float64
	weight     int
}

// group is a cluster.
type group struct {
	element
	c        *picture.Cluster
	label    string
	elements []*element
	bands    [][]*element // those of each band, from the first of the group on
	headRoom float64
	footRoom float64
	labelW   float64
	depth    int
	x0, x1   float64
	y0, y1   float64
}

// mostPassed bounds how many bands edges pass on their ways: each is a place to be found.
const mostPassed = 400_000

func newLayout(p *picture.Picture, notes func(b *picture.Box) []string) (*layout, error) {
	l := &layout{p: p, notes: notes, clusterOf: map[*picture.Cluster]*group{}}
	l.build()
	l.rank()
	passed := 0
	for _, w := range l.nets {
		passed += w.to.first - w.from.first
	}
	if passed > mostPassed {
		return nil, fmt.Errorf("its %d edges pass %d bands: want at most %d (DOT has no such limit)", len(l.nets), passed, mostPassed)
	}
	l.chains()
	l.ports()
	l.order()
	l.placePorts()
	l.solve()
	l.bands()
	return l, nil
}

// build makes the items of boxes, clusters and edges.
func (l *layout) build() {
	l.root = l.group(l.p.Root, nil)
	for _, b := range l.p.Boxes {
		x := &boxItem{b: b}
		x.element = element{parent: l.clusterOf[b.Cluster], box: x}
		l.boxes = append(l.boxes, x)
		l.measure(x)
	}
	for _, e := range l.p.Edges {
		above, below := e.Ends()
		w := &wire{e: e, from: l.boxes[above.ID], to: l.boxes[below.ID], weight: 1}
		if above.Column == below.Column {
			w.weight = 2
		}
		w.wire = w
		l.nets = append(l.nets, w)
	}
}

func (l *layout) group(c *picture.Cluster, parent *group) *group {
	g := &group{c: c}
	g.element = element{parent: parent, group: g, key: float64(c.Column)}
	if parent != nil {
		g.depth = parent.depth
		if parent.parent != nil || parent.c.Framed {
			g.key = 0
		}
	}
	if c.Framed {
		g.depth++
		g.label = labelStyle.fit(clean(c.Label), 240)
		g.labelW = labelStyle.width(g.label)
	}
	l.clusterOf[c] = g
	l.groups = append(l.groups, g)
	for _, s := range c.Clusters {
		l.group(s, g)
	}
	return g
}

// measure decides how large a box is.
func (l *layout) measure(x *boxItem) {
	const longestRow = 230
	b := x.b
	x.title = titleStyle.fit(clean(b.Title), longestRow)
	text := titleStyle.width(x.title)
	lines := 1.0
	if b.Caption != "" {
		x.caption = rowStyle.fit(clean(b.Caption), longestRow)
		text = max(text, captionStyle.width(x.caption))
	}
	rows := slices.Clone(b.Rows)
	if l.notes != nil {
		rows = append(rows, l.notes(b)...)
	}
	for _, r := range rows {
		r = rowStyle.fit(clean(r), longestRow)
		x.rows = append(x.rows, r)
		text = max(text, rowStyle.width(r))
		lines++
	}
	x.w = max(math.Ceil(text)+2*boxPad, 44)
	x.h = lines*rowHeight + 8
	if x.caption != "" {
		x.h += rowHeight
	}
	dy := 0.0
	widest := 0.0
	for _, s := range b.Sources {
		p := &pill{s: s, label: pillStyle.fit(clean(s.Label), 130), dy: dy, h: 15}
		p.w = pillStyle.width(p.label)
		if s.Shown {
			p.kind = typeStyle.fit(clean(s.Type), 130)
			p.w, p.h = max(p.w, typeStyle.width(p.kind)), 25
		}
		p.w = math.Ceil(p.w) + 12
		dy += p.h + 4
		widest = max(widest, p.w)
		x.pills = append(x.pills, p)
	}
	x.textH = x.h
	x.h = max(x.h, dy-4)
	x.full = x.h
	if len(x.pills) > 0 && dy-4 < x.h { // beside the middle of the box
		shift := (x.h - (dy - 4)) / 2
		for _, p := range x.pills {
			p.dy += shift
		}
	}
	x.left, x.right = x.w/2, x.w/2
	if widest > 0 {
		x.left += widest + pillGap
	}
}

// rank gives every box its band, so that edges are short.
func (l *layout) rank() {
	g := &network{}
	for range l.boxes {
		g.node()
	}
	for _, w := range l.nets {
		g.edge(w.from.b.ID, w.to.b.ID, 1, w.weight)
	}
	l.stack(g)
	ranks := g.solve(len(l.boxes) * 20)
	for i, x := range l.boxes {
		x.first, x.last = ranks[i], ranks[i]
		l.ranks = max(l.ranks, ranks[i]+1)
	}
	for _, g := range l.groups {
		g.first, g.last = math.MaxInt, -1
	}
	for _, x := range l.boxes {
		for g := x.parent; g != nil && (x.first < g.first || x.last > g.last); g = g.parent {
			g.first, g.last = min(g.first, x.first), max(g.last, x.last)
		}
	}
}

// stack has clusters begin below what leads to them and end above what they lead to, in their column, where no circle comes of it:
// so that they stand above each other and not beside what is between them.
func (l *layout) stack(g *network) {
	for _, c := range l.groups {
		if !c.c.Framed {
			continue
		}
		for _, entering := range [2]bool{true, false} {
			border := g.node()
			edges := len(g.edges)
			for _, x := range l.boxes {
				if !within(&x.element, c) {
					continue
				}
				if entering {
					g.edge(border, x.b.ID, 0, 0)
				} else {
					g.edge(x.b.ID, border, 0, 0)
				}
			}
			for _, w := range l.nets {
				if w.from.b.Column != w.to.b.Column {
					continue
				}
				from, to := within(&w.from.element, c), within(&w.to.element, c)
				switch {
				case entering && !from && to:
					g.edge(w.from.b.ID, border, 1, 0)
				case !entering && from && !to:
					g.edge(border, w.to.b.ID, 1, 0)
				}
			}
			if !g.acyclic() {
				g.edges = g.edges[:edges]
			}
		}
	}
}

// chains puts edges that pass bands into the cluster that holds both their ends, and lists what each cluster holds.
func (l *layout) chains() {
	add := func(e *element) {
		e.id = len(e.parent.elements)
		e.parent.elements = append(e.parent.elements, e)
	}
	for _, g := range l.groups {
		if g.parent != nil {
			add(&g.element)
		}
	}
	for _, x := range l.boxes {
		add(&x.element)
	}
	for _, w := range l.nets {
		if w.to.first-w.from.first < 2 {
			continue
		}
		w.passes = true
		w.first, w.last = w.from.first+1, w.to.first-1
		a, b := path(w.from.parent), path(w.to.parent)
		common := 0
		for common < len(a) && common < len(b) && a[common] == b[common] {
			common++
		}
		w.parent = a[common-1]
		if w.from.b.Column == w.to.b.Column { // a cluster that lasts as long as the wire has it inside
			for _, g := range b[common:] {
				if g.first <= w.first {
					w.parent = g
				}
			}
			if w.parent == a[common-1] {
				for _, g := range a[common:] {
					if g.last >= w.last {
						w.parent = g
					}
				}
			}
		}
		if a, b := w.from.b.Column, w.to.b.Column; a != b { // between columns
			w.key = min(float64(a), float64(b)) + 0.5
		} else if w.parent.parent == nil {
			w.key = float64(a)
		}
		add(&w.element)
	}
	for _, g := range l.groups {
		if g.last < 0 {
			continue
		}
		g.bands = make([][]*element, g.last-g.first+1)
		for _, e := range g.elements {
			for r := max(e.first, g.first); r <= min(e.last, g.last); r++ {
				g.bands[r-g.first] = append(g.bands[r-g.first], e)
			}
		}
	}
}

// path is the groups from the root to g.
func path(g *group) []*group {
	var p []*group
	for ; g != nil; g = g.parent {
		p = append(p, g)
	}
	slices.Reverse(p)
	return p
}

// ports lists for every box where edges meet it.
func (l *layout) ports() {
	type result struct {
		box    *boxItem
		value  graph.Value
		kind   string
		upper  bool
		dashed bool
	}
	outs := map[result]*port{}
	find := func(x *boxItem, upper bool, e *picture.Edge) *port {
		key := result{x, e.Value, e.Type, upper, e.Dashed}
		p := outs[key]
		if p == nil {
			text := clean(e.Type)
			if e.Result != "" {
				text = clean(e.Result) + " " + text
			}
			p = &port{box: x, upper: upper, out: true, text: typeStyle.fit(text, 170)}
			outs[key] = p
			l.attach(x, p)
		}
		return p
	}
	for _, w := range l.nets {
		source, target := w.from, w.to
		if w.e.Up {
			source, target = target, source
		}
		out := find(source, w.e.Up, w.e)
		out.wires = append(out.wires, w)
		in := &port{box: target, upper: !w.e.Up, wires: []*wire{w}}
		l.attach(target, in)
		if w.e.Up {
			w.start, w.end = in, out
		} else {
			w.start, w.end = out, in
		}
	}
	for _, x := range l.boxes {
		for _, side := range [2][]*port{x.top, x.bottom} {
			var main *port
			rating := func(p *port) int {
				w := p.wires[0]
				r := -min(w.to.first-w.from.first, 50)
				if w.from.b.Column == w.to.b.Column {
					r += 1000
				}
				return r
			}
			for _, p := range side {
				if !p.out && (main == nil || rating(p) > rating(main)) {
					main = p
				}
			}
			if main != nil {
				main.main = true
			}
		}
		l.offsets(x)
	}
}

func (l *layout) attach(x *boxItem, p *port) {
	if p.upper {
		x.top = append(x.top, p)
		if p.out {
			x.above = typeStrip
		}
	} else {
		x.bottom = append(x.bottom, p)
		if p.out {
			x.below = typeStrip
		}
	}
}

// offsets places the ports of a box in their present order, and widens the box for them. The main edge stays in the middle,
// so that a chain of boxes stands upright.
func (l *layout) offsets(x *boxItem) {
	for i, side := range [2][]*port{x.top, x.bottom} {
		var ins, outs []*port
		for _, p := range side {
			if p.out {
				outs = append(outs, p)
			} else {
				ins = append(ins, p)
			}
		}
		step := portStep
		if len(ins) > 8 {
			step = max(4, 110/float64(len(ins)))
		}
		at := 0.0
		switch {
		case len(outs) == 0:
			mid := slices.IndexFunc(ins, func(p *port) bool { return p.main })
			for k, p := range ins {
				p.dx = float64(k-mid) * step
			}
		case i == 0: // results go up in the middle, and operands come from the left
			for k, p := range ins {
				p.dx = float64(k-len(ins)) * step
			}
		default: // operands come from below in the middle, results leave on the right
			for k, p := range ins {
				p.dx = float64(k-len(ins)+1) * step
			}
			if len(ins) > 0 {
				at = step
			}
		}
		for _, p := range outs {
			p.dx = at
			end := at + 4 + typeStyle.width(p.text)
			x.right = max(x.right, end+2)
			at = end + 10
		}
		for _, p := range side {
			need := 2 * (math.Abs(p.dx) + 7)
			if p.out && p.dx > 40 && len(outs) > 1 {
				continue // widened by the next loop
			}
			if need > x.w {
				x.left += (need - x.w) / 2
				x.w = need
				x.right = max(x.right, x.w/2)
			}
		}
		for _, p := range outs {
			if need := 2 * (p.dx + 7); need > x.w {
				x.left += (need - x.w) / 2
				x.w = need
				x.right = max(x.right, x.w/2)
			}
		}
	}
}

// sweeps is how often the bands are ordered, down and up in turn.
const sweeps = 24

// order decides what stands left of what.
func (l *layout) order() {
	bands := make([][]*element, l.ranks)
	for r := range bands {
		bands[r] = l.sequence(l.root, r, nil)
	}
	for r := range bands {
		at := 0.0
		for _, e := range bands[r] {
			e.pos = at + e.reach(true)
			at += e.reach(true) + e.reach(false) + itemGap
		}
	}
	neighbours := l.neighbours()
	best, bestCost := l.snapshot(), l.cost(bands)
	for s := range sweeps {
		l.keys(neighbours, s)
		for i := range bands {
			r := i
			if s%2 == 1 {
				r = l.ranks - 1 - i
			}
			for _, e := range bands[r] {
				if e.box == nil {
					continue
				}
				sum, n := 0.0, 0.0
				for _, o := range neighbours[e.box.b.ID] {
					upper := o.rank < r
					if s < sweeps-2 && upper != (s%2 == 0) {
						continue
					}
					sum += (o.at.pos + o.dx) * o.weight
					n += o.weight
				}
				if n > 0 {
					e.pos = sum / n
				}
			}
			bands[r] = l.sequence(l.root, r, bands[r][:0])
			spread(bands[r])
		}
		if c := l.cost(bands); c < bestCost {
			best, bestCost = l.snapshot(), c
		}
	}
	l.restore(best)
}

// neighbour is what an edge leads to: the box or the wire next to a box.
type neighbour struct {
	at     *element
	dx     float64
	rank   int
	weight float64
}

func (l *layout) neighbours() [][]neighbour {
	out := make([][]neighbour, len(l.boxes))
	for _, w := range l.nets {
		weight := float64(w.weight)
		upper, lower := &w.from.element, &w.to.element
		upperDX, lowerDX := w.start.dx, w.end.dx
		if w.passes {
			upper, lower, upperDX, lowerDX = &w.element, &w.element, 0, 0
		}
		out[w.from.b.ID] = append(out[w.from.b.ID], neighbour{lower, lowerDX - w.start.dx, w.to.first, weight})
		out[w.to.b.ID] = append(out[w.to.b.ID], neighbour{upper, upperDX - w.end.dx, w.from.first, weight})
	}
	return out
}

// keys computes by what wires and clusters are ordered in this sweep: the same in all bands.
func (l *layout) keys(neighbours [][]neighbour, sweep int) {
	for _, w := range l.nets {
		if w.passes {
			a, b := w.from.pos+w.start.dx, w.to.pos+w.end.dx
			w.pos = (a + b) / 2
			if out := math.Abs(a - b); out > 400 { // near the end that the sweep comes from
				if sweep%2 == 0 {
					w.pos = a
				} else {
					w.pos = b
				}
			}
		}
	}
	var mean func(g *group) (sum, n float64)
	mean = func(g *group) (sum, n float64) {
		for _, e := range g.elements {
			switch {
			case e.box != nil:
				at, k := e.pos, 1.0
				for _, o := range neighbours[e.box.b.ID] {
					if !within(o.at, g) {
						at += (o.at.pos + o.dx) * o.weight
						k += o.weight
					}
				}
				sum += at
				n += k
			case e.group != nil:
				s, k := mean(e.group)
				sum += s
				n += k
			}
		}
		if n > 0 {
			g.pos = sum / n
		}
		return sum, n
	}
	mean(l.root)
}

func within(e *element, g *group) bool {
	for p := e.parent; p != nil; p = p.parent {
		if p == g {
			return true
		}
	}
	return false
}

// sequence appends the boxes and wires of a band in order.
func (l *layout) sequence(g *group, r int, to []*element) []*element {
	for _, e := range l.sorted(g, r) {
		if e.group != nil {
			to = l.sequence(e.group, r, to)
		} else {
			to = append(to, e)
		}
	}
	return to
}

// sorted returns what a cluster holds in a band, in order.
func (l *layout) sorted(g *group, r int) []*element {
	if r < g.first || r > g.last {
		return nil
	}
	at := slices.Clone(g.bands[r-g.first])
	slices.SortFunc(at, func(a, b *element) int {
		return cmp.Or(cmp.Compare(a.key, b.key), cmp.Compare(a.pos, b.pos), a.id-b.id)
	})
	return at
}

// spread gives the boxes of a band places that keep their order and their distances and are as near as possible to those
// they want, in squares; wires stay where they want to be ordered.
func spread(band []*element) {
	type block struct {
		want, weight float64 // of the first element
		first, last  int
	}
	var blocks []block
	offset := make([]float64, len(band))
	for i, e := range band {
		if i > 0 {
			offset[i] = offset[i-1] + band[i-1].reach(false) + gapTo(band[i-1], e) + e.reach(true)
		}
		b := block{e.pos - offset[i], 1, i, i}
		for len(blocks) > 0 && blocks[len(blocks)-1].want > b.want {
			a := blocks[len(blocks)-1]
			blocks = blocks[:len(blocks)-1]
			b = block{(a.want*a.weight + b.want*b.weight) / (a.weight + b.weight), a.weight + b.weight, a.first, b.last}
		}
		blocks = append(blocks, b)
	}
	for _, b := range blocks {
		for i := b.first; i <= b.last; i++ {
			if band[i].box != nil {
				band[i].pos = b.want + offset[i]
			}
		}
	}
}

// cost says how bad an order is: by crossings, and by how far edges go sideways.
func (l *layout) cost(bands [][]*element) float64 {
	far := 0.0
	for _, w := range l.nets {
		a, b := w.from.pos+w.start.dx, w.to.pos+w.end.dx
		mid := (a + b) / 2
		if w.passes {
			mid = w.pos
		}
		far += math.Abs(a-mid) + math.Abs(mid-b)
	}
	return float64(l.crossings(bands)) + far/150
}

// crossings counts the pairs of edges that cross between bands, by their weights.
func (l *layout) crossings(bands [][]*element) int {
	type segment struct{ a, b float64 }
	place := make([]map[*element]float64, l.ranks)
	for r, band := range bands {
		place[r] = map[*element]float64{}
		for i, e := range band {
			place[r][e] = float64(i)
		}
	}
	gaps := make([][]segment, l.ranks)
	for _, w := range l.nets {
		at := &w.from.element
		dx := w.start.dx
		for r := w.from.first; r < w.to.first; r++ {
			next, nextDX := &w.element, 0.0
			if r+1 == w.to.first {
				next, nextDX = &w.to.element, w.end.dx
			}
			gaps[r] = append(gaps[r], segment{place[r][at] + dx/1000, place[r+1][next] + nextDX/1000})
			at, dx = next, 0
		}
	}
	count := 0
	for _, g := range gaps {
		slices.SortFunc(g, func(x, y segment) int { return cmp.Or(cmp.Compare(x.a, y.a), cmp.Compare(x.b, y.b)) })
		ends := make([]float64, len(g))
		for i, s := range g {
			ends[i] = s.b
		}
		count += inversions(ends, make([]float64, len(g)))
	}
	return count
}

// inversions sorts numbers and returns how many pairs of them stood in the wrong order.
func inversions(x, scratch []float64) (count int) {
	if len(x) < 2 {
		return 0
	}
	mid := len(x) / 2
	count = inversions(x[:mid], scratch) + inversions(x[mid:], scratch)
	a, b, sorted := x[:mid], x[mid:], scratch[:0]
	for len(a) > 0 && len(b) > 0 {
		if a[0] <= b[0] {
			sorted, a = append(sorted, a[0]), a[1:]
		} else {
			sorted, b = append(sorted, b[0]), b[1:]
			count += len(a)
		}
	}
	sorted = append(append(sorted, a...), b...)
	copy(x, sorted)
	return count
}

func (l *layout) each(visit func(e *element)) {
	for _, g := range l.groups {
		visit(&g.element)
	}
	for _, x := range l.boxes {
		visit(&x.element)
	}
	for _, w := range l.nets {
		if w.passes {
			visit(&w.element)
		}
	}
}

func (l *layout) snapshot() []float64 {
	var s []float64
	l.each(func(e *element) { s = append(s, e.pos) })
	return s
}

func (l *layout) restore(s []float64) {
	i := 0
	l.each(func(e *element) {
		e.pos = s[i]
		i++
	})
}

// placePorts sorts the ports of a box by where their edges come from.
func (l *layout) placePorts() {
	for _, x := range l.boxes {
		for _, side := range [2][]*port{x.top, x.bottom} {
			slices.SortStableFunc(side, func(p, q *port) int { return cmp.Compare(p.far(), q.far()) })
		}
		x.left, x.right = x.w/2, x.w/2
		widest := 0.0
		for _, p := range x.pills {
			widest = max(widest, p.w)
		}
		if widest > 0 {
			x.left += widest + pillGap
		}
		l.offsets(x)
	}
}

// far is where the edges of a port lead, relative to the box.
func (p *port) far() float64 {
	sum := 0.0
	for _, w := range p.wires {
		switch {
		case w.passes:
			sum += w.pos
		case w.from == p.box:
			sum += w.to.pos
		default:
			sum += w.from.pos
		}
	}
	return sum/float64(len(p.wires)) - p.box.pos
}

// bands gives every band its height.
func (l *layout) bands() {
	up, full, down := make([]float64, l.ranks), make([]float64, l.ranks), make([]float64, l.ranks)
	for _, x := range l.boxes {
		r := x.first
		up[r] = max(up[r], x.above)
		full[r] = max(full[r], max(x.h+x.below, x.full))
	}
	// The rooms for the frames of clusters that begin or end at a band.
	head, foot := make([]float64, l.ranks), make([]float64, l.ranks)
	for _, g := range slices.Backward(l.groups) { // inner ones first
		if g.parent == nil || g.last < 0 {
			continue
		}
		for _, e := range g.elements {
			if s := e.group; s != nil {
				if s.first == g.first {
					g.headRoom = max(g.headRoom, s.headRoom)
				}
				if s.last == g.last {
					g.footRoom = max(g.footRoom, s.footRoom)
				}
			}
		}
		if g.c.Framed {
			g.headRoom += clusterHead + 4
			g.footRoom += clusterPad
		}
		head[g.first] = max(head[g.first], g.headRoom)
		foot[g.last] = max(foot[g.last], g.footRoom)
	}
	// How far edges go sideways between bands.
	far := make([]float64, l.ranks+1)
	for _, w := range l.nets {
		a := w.from.x + w.start.dx
		for r := w.from.first; r < w.to.first; r++ {
			b := w.x
			if r+1 == w.to.first {
				b = w.to.x + w.end.dx
			}
			far[r] = max(far[r], math.Abs(a-b))
			a = b
		}
	}
	l.bandTop, l.bandEnd = make([]float64, l.ranks), make([]float64, l.ranks)
	l.zoneTop, l.zoneEnd = make([]float64, l.ranks+1), make([]float64, l.ranks+1)
	y := 0.0
	if l.headings() {
		y = 26
	}
	for r := range l.ranks {
		y += head[r]
		l.zoneEnd[r] = y - head[r]
		l.bandTop[r] = y
		y += up[r] + full[r] + down[r]
		l.bandEnd[r] = y
		y += foot[r]
		l.zoneTop[r+1] = y
		y += bandGap + min(far[r]*0.07, 40)
	}
	l.zoneEnd[l.ranks] = l.zoneTop[l.ranks]
	l.height = l.zoneTop[l.ranks]
	for _, x := range l.boxes {
		x.y = l.bandTop[x.first] + up[x.first]
	}
	for _, g := range l.groups {
		if g.last >= 0 && g.parent != nil {
			g.y0, g.y1 = l.bandTop[g.first]-g.headRoom, l.bandEnd[g.last]+g.footRoom
		}
	}
}

// headings reports whether there are columns whose names stand above the drawing.
func (l *layout) headings() bool {
	return slices.ContainsFunc(l.groups, func(g *group) bool { return g.isColumn() && g.c.Column != picture.Forward })
}

func (g *group) isColumn() bool {
	return g.parent != nil && g.parent.parent == nil && g.c.Scope == "" && !g.c.Framed
}
