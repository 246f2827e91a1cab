package draw

import "math"

// spacing is what decides how far right the boxes, wires and edges of clusters of an ordered layout stand: a network whose nodes are
// their places, with the least distance of each two that are neighbours.
type spacing struct {
	network
	l     *layout
	least map[places]int
	order []places // those of least
}

// places are two nodes, the left one first.
type places struct{ left, right int }

// solve finds the places that make edges upright and clusters narrow, given the order.
func (l *layout) solve() {
	s := &spacing{l: l, least: map[places]int{}}
	s.variables()
	for r := range l.ranks {
		s.separate(l.root, r)
	}
	for _, c := range l.groups {
		if c.c.Framed {
			s.clearLabel(c)
		}
	}
	for _, k := range s.order {
		s.edge(k.left, k.right, s.least[k], 0)
	}
	for _, w := range l.nets {
		s.straighten(w)
	}
	x := s.network.solve(60 * s.n)
	base := x[l.root.leftBound]
	at := func(v int) float64 { return float64(x[v] - base) }
	l.each(func(e *element) {
		switch {
		case e.box != nil:
			e.box.x = at(e.variable)
		case e.wire != nil:
			e.wire.x = at(e.variable)
		default:
			e.group.x0, e.group.x1 = at(e.group.leftBound), at(e.group.rightEdge)
		}
	})
	l.width = l.root.x1
}

// variables makes nodes for the edges of clusters, which want to be near each other, and for boxes and wires.
func (s *spacing) variables() {
	for _, c := range s.l.groups {
		c.leftBound, c.rightEdge = s.node(), s.node()
		width := 0
		if c.c.Framed {
			width = int(math.Ceil(c.labelW + 2*clusterPad))
		}
		s.edge(c.leftBound, c.rightEdge, width, 1)
	}
	s.l.each(func(e *element) {
		if e.group == nil {
			e.variable = s.node()
		}
	})
}

// limit wants right to stand at least d right of left.
func (s *spacing) limit(left, right int, d float64) {
	k, n := places{left, right}, int(math.Ceil(d))
	old, known := s.least[k]
	if !known {
		s.order = append(s.order, k)
	}
	if !known || n > old {
		s.least[k] = n
	}
}

// separate keeps what stands in a rank of a cluster apart, and inside the cluster.
func (s *spacing) separate(c *group, r int) {
	pad := 0.0
	if c.c.Framed {
		pad = clusterPad
	}
	var last *element
	for _, e := range s.l.sorted(c, r) {
		if e.group != nil {
			s.separate(e.group, r)
		}
		left, reach := e.side(true)
		if last == nil {
			s.limit(c.leftBound, left, pad+reach)
		} else {
			right, before := last.side(false)
			s.limit(right, left, before+gapTo(last, e)+reach)
		}
		last = e
	}
	if last != nil {
		right, reach := last.side(false)
		s.limit(right, c.rightEdge, reach+pad)
	}
}

// side returns the node of an element's place, of a cluster that of its edge, and how far the element reaches beyond it.
func (e *element) side(left bool) (at int, reach float64) {
	switch {
	case e.group == nil:
		return e.variable, e.reach(left)
	case left:
		return e.group.leftBound, 0
	}
	return e.group.rightEdge, 0
}

// reach is how far a box or a wire reaches beyond its place.
func (e *element) reach(left bool) float64 {
	switch {
	case e.box == nil:
		return 1
	case left:
		return e.box.left
	}
	return e.box.right
}

// gapTo is the least distance between two neighbours in a band.
func gapTo(a, b *element) float64 {
	if a.wire != nil || b.wire != nil {
		return chainGap
	}
	return itemGap
}

// clearLabel puts all edges that enter a cluster from above right of its label.
func (s *spacing) clearLabel(c *group) {
	for _, e := range s.l.sequence(c, c.first, nil) {
		if e.box == nil {
			s.limit(c.leftBound, e.variable, clusterPad+c.labelW+6)
			return // the others stand right of it
		}
		if len(e.box.top) == 0 {
			continue
		}
		dx := 0.0
		for _, p := range e.box.top {
			dx = min(dx, p.dx)
		}
		s.limit(c.leftBound, e.variable, clusterPad+c.labelW+6-dx)
		return
	}
}

// straighten wants the edges of a net to be upright.
func (s *spacing) straighten(w *wire) {
	upright := func(a int, da float64, b int, db float64, weight int) {
		const far = 1 << 20
		n := s.node()
		s.edge(n, a, far+int(math.Round(-da)), weight)
		s.edge(n, b, far+int(math.Round(-db)), weight)
	}
	weight := w.weight
	if w.start.main || w.end.main {
		weight *= 3
	}
	if w.passes {
		upright(w.from.variable, w.start.dx, w.variable, 0, weight)
		upright(w.variable, 0, w.to.variable, w.end.dx, weight)
	} else {
		upright(w.from.variable, w.start.dx, w.to.variable, w.end.dx, 2*weight)
	}
}
