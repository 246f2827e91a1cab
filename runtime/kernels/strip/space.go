package strip

import (
	"github.com/graphrun/graphrun/runtime/kernels/backend"
	"github.com/graphrun/graphrun/runtime/kernels/driver"
)

// space is an iteration space: the shape of a map with axes of size 1 dropped and neighbours merged that are alike for all
// operands and for the reduction.
type space struct {
	dims    []int
	strides [][]int // by operand and dim, in elements; 0 where the operand is broadcast
	reduced []bool  // by dim
	size    int
	last    int // the last dim that is a free axis: strips do not cross it
}

// newSpace lays operands, whose shapes broadcast to shape, over it. split, if not 0, is an axis before
// which none merges; what is behind it is one dim at least. Free axes stay dims of their own, of whatever size: one may be the batch, of
// which no bits depend.
// ok is false if more than driver.MaxRank dims remain.
func newSpace(shape []int, operands [][]int, reduced, free []bool, split int) (s space, ok bool) {
	var over []uint64 // by dim: the operands that have it
	s.size = 1
	cut, columns := true, false
	for d, n := range shape {
		s.size *= n
		apart := free != nil && free[d]
		cut = cut || d == split || apart
		if n == 1 && (split == 0 || d < len(shape)-1 || columns) && !apart {
			continue
		}
		columns = columns || split > 0 && d >= split
		var has uint64
		for i, o := range operands {
			if k := d - (len(shape) - len(o)); n == 1 && !apart || k >= 0 && o[k] != 1 {
				has |= 1 << i
			}
		}
		r := reduced != nil && reduced[d]
		if last := len(s.dims) - 1; !cut && over[last] == has && s.reduced[last] == r {
			s.dims[last] *= n
			continue
		}
		s.dims, s.reduced, over = append(s.dims, n), append(s.reduced, r), append(over, has)
		if cut = apart; apart {
			s.last = len(s.dims) - 1
		}
	}
	if len(s.dims) == 0 {
		s.dims, s.reduced, over = []int{1}, []bool{false}, []uint64{1<<len(operands) - 1} // all are whole
	}
	for i := range operands {
		st := make([]int, len(s.dims))
		step := 1
		for d := len(s.dims) - 1; d >= 0; d-- {
			if over[d]>>i&1 != 0 {
				st[d] = step
				step *= s.dims[d]
			}
		}
		s.strides = append(s.strides, st)
	}
	return s, len(s.dims) <= driver.MaxRank
}

// varies returns the set of dims along which an operand changes.
func (s *space) varies(operand int) (set uint64) {
	for d, st := range s.strides[operand] {
		if st != 0 {
			set |= 1 << d
		}
	}
	return set
}

const (
	minStrip, maxStrip = 256, 2048
	// longRow is the length of the last dim from which a strip lies within it, so that operands that are broadcast along it
	// are scalars. Strips of shorter rows hold several.
	longRow = 128
	// cacheBytes is what the registers and the strips of operands and results may take of the first-level cache.
	cacheBytes = 24 << 10
)

// cut is how a space is cut into strips: a strip is count indices of dim at and all of the dims behind it, or what is left
// of them at the end.
type cut struct {
	at, count int
	inner     int // elements per index of dim at
	pieces    int // strips along dim at
}

func (c cut) len() int { return c.count * c.inner }

// newCut chooses strips for code that holds that many bytes for each element.
func (s *space) newCut(bytes int) (c cut) {
	limit := min(max(cacheBytes/max(bytes, 1), minStrip), maxStrip) &^ 63
	last := len(s.dims) - 1
	c = cut{at: last, inner: 1}
	if s.dims[last] < longRow {
		for c.at > s.last && c.inner*s.dims[c.at] <= limit {
			c.inner *= s.dims[c.at]
			c.at--
		}
	}
	n := s.dims[c.at]
	c.count = min(limit/c.inner, n)
	c.pieces = backend.CeilDiv(n, c.count)
	if even := backend.CeilDiv(n, c.pieces); c.inner == 1 { // strips of about one length
		c.count = min((even+63)&^63, n)
		c.pieces = backend.CeilDiv(n, c.count)
	} else {
		c.count = even
	}
	return c
}

// rowCut is newCut for an epilogue, whose last dim is the columns: a strip is part of a row, or several short rows.
func (s *space) rowCut(bytes int) cut {
	limit := min(max(cacheBytes/max(bytes, 1), minStrip), maxStrip) &^ 63
	last := len(s.dims) - 1
	c := cut{at: last, count: min(limit, s.dims[last]), inner: 1}
	if s.dims[last] < longRow && last > 0 {
		c = cut{at: last - 1, count: min(limit/s.dims[last], s.dims[last-1]), inner: s.dims[last]}
	}
	c.pieces = backend.CeilDiv(s.dims[c.at], c.count)
	return c
}

// spans returns the set of dims along which the elements of a strip lie.
func (c cut) spans(s *space) (set uint64) {
	for d := c.at; d < len(s.dims); d++ {
		if d > c.at || c.count > 1 || len(s.dims) == 1 {
			set |= 1 << d
		}
	}
	return set
}

// whole reports whether an operand's elements for a strip lie one after the other in memory, as the strip's do.
func (s *space) whole(operand int, spans uint64) bool {
	step := 1
	for d := len(s.dims) - 1; spans>>d&1 != 0; d-- {
		if s.strides[operand][d] != step {
			return false
		}
		step *= s.dims[d]
		if d == 0 {
			break
		}
	}
	return true
}
