package driver

import (
	"github.com/graphrun/graphrun/graph/errfmt"
	"github.com/graphrun/graphrun/runtime/kernels/backend"
)

// MaxRank is the largest rank of a shape after adjacent dims that are alike are merged.
const MaxRank = 16

// Move is a plan to copy a box of elements between two tensors: place i of the box is element toAt + sum(i[d]*to[d]) of the
// destination and fromAt + sum(i[d]*from[d]) of the source. Transposing, slicing, joining, padding and repeating all are
// moves. It is made once for a shape and does not depend on the element type.
//
// The box is cut into units of at most tile places along each axis. Within a unit the last two axes in the order of walking are
// copied by one of four loops: runs that are contiguous on both sides, runs of one element, planes in which the source runs along
// the other axis, and single elements.
type Move struct {
	rank, plane          int // plane is the axis that a unit walks besides the last
	dims, to, from, tile [MaxRank]int
	toAt, fromAt         int
	units, size          int
	kind                 moveKind
}

type moveKind uint8

const (
	moveRuns moveKind = iota
	moveRepeat
	movePlane
	moveSingle
)

const (
	planeTile = 64      // places of a unit along both axes of a plane
	runTile   = 1 << 14 // places of a unit along a run
	unitSize  = 1 << 12 // places of a unit of shorter runs
)

// PlanMove plans the copy of a box of sizes dims. Strides of to are not 0 along axes longer than one place; those of from may be.
// It fails if the rank is too high after axes have been merged.
func PlanMove(dims, to, from []int, toAt, fromAt int) (*Move, error) {
	m := &Move{toAt: toAt, fromAt: fromAt, size: 1}
	for d, n := range dims {
		m.size *= n
		if n == 1 {
			continue
		}
		if r := m.rank - 1; r >= 0 && m.to[r] == n*to[d] && m.from[r] == n*from[d] {
			m.dims[r] *= n
			m.to[r], m.from[r] = to[d], from[d]
			continue
		}
		if m.rank == MaxRank {
			return nil, errfmt.Errorf("more than %d axes that do not merge", MaxRank)
		}
		m.dims[m.rank], m.to[m.rank], m.from[m.rank] = n, to[d], from[d]
		m.rank++
	}
	if m.size == 0 {
		return m, nil
	}
	for m.rank < 2 { // a unit walks two axes
		copy(m.dims[1:], m.dims[:m.rank])
		copy(m.to[1:], m.to[:m.rank])
		copy(m.from[1:], m.from[:m.rank])
		m.dims[0], m.to[0], m.from[0] = 1, 1, 1
		m.rank++
	}
	last := m.rank - 1
	m.plane = last - 1
	switch {
	case m.to[last] == 1 && m.from[last] == 1:
		m.kind = moveRuns
	case m.to[last] == 1 && m.from[last] == 0:
		m.kind = moveRepeat
	default:
		m.kind = moveSingle
		for d := range last {
			if m.to[last] == 1 && m.from[d] == 1 && m.dims[d] > 1 {
				m.kind, m.plane = movePlane, d
			}
		}
	}
	for d := range m.rank {
		m.tile[d] = 1
	}
	if m.kind == movePlane {
		m.tile[m.plane], m.tile[last] = planeTile, planeTile
	} else {
		m.tile[last] = runTile
		m.tile[m.plane] = max(1, unitSize/min(m.dims[last], runTile))
	}
	m.units = 1
	for d := range m.rank {
		m.units *= backend.CeilDiv(m.dims[d], m.tile[d])
	}
	return m, nil
}

// Size returns the number of places of the box.
func (m *Move) Size() int { return m.size }

// Units returns the number of units, which may be done in any order.
func (m *Move) Units() int { return m.units }

// MoveUnits copies units lo to hi of a plan. Planes are done by transpose.
func MoveUnits[T any](m *Move, y, x []T, lo, hi int, transpose backend.Transpose[T]) {
	rowTo, rowFrom := m.to[m.plane], m.from[m.plane]
	colTo, colFrom := m.to[m.last()], m.from[m.last()]
	m.walk(lo, hi, func(to, from, rows, cols int) {
		switch m.kind {
		case moveRuns:
			for range rows {
				copy(y[to:to+cols], x[from:from+cols])
				to += rowTo
				from += rowFrom
			}
		case moveRepeat:
			for range rows {
				v, run := x[from], y[to:to+cols]
				for j := range run {
					run[j] = v
				}
				to += rowTo
				from += rowFrom
			}
		case movePlane:
			transpose(y[to:], rowTo, x[from:], colFrom, rows, cols)
		default:
			for range rows {
				i, k := to, from
				for range cols {
					y[i] = x[k]
					i += colTo
					k += colFrom
				}
				to += rowTo
				from += rowFrom
			}
		}
	})
}

func (m *Move) last() int { return max(m.rank-1, 0) }

// walk calls do for units lo to hi: where they begin on both sides, and how many places they have along the plane and last axes.
func (m *Move) walk(lo, hi int, do func(to, from, rows, cols int)) {
	if lo >= hi {
		return
	}
	last := m.last()
	var at [MaxRank]int // first place of the unit
	rest := lo
	for d := last; d >= 0; d-- {
		tiles := backend.CeilDiv(m.dims[d], m.tile[d])
		at[d] = rest % tiles * m.tile[d]
		rest /= tiles
	}
	for range hi - lo {
		to, from := m.toAt, m.fromAt
		for d := range m.rank {
			to += at[d] * m.to[d]
			from += at[d] * m.from[d]
		}
		rows := min(m.tile[m.plane], m.dims[m.plane]-at[m.plane])
		cols := min(m.tile[last], m.dims[last]-at[last])
		do(to, from, rows, cols)
		for d := last; d >= 0; d-- {
			if at[d] += m.tile[d]; at[d] < m.dims[d] {
				break
			}
			at[d] = 0
		}
	}
}
