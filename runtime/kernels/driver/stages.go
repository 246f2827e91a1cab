package driver

import "fmt"

// Stage is one of the steps of a reduction: from (Outer, R, Inner) to (Outer, Inner). Columns says that axes lie behind those that it
// reduces, were their size one.
type Stage struct {
	Outer, R, Inner int
	Columns         bool
}

// Stages returns the steps that reduce a contiguous tensor of a shape, of at least one element, over axes: the last group of
// neighbouring axes first. There are none if all axes have size one. The steps do not depend on the sizes of free axes.
func Stages(shape, axes []int, free func(axis int) bool) []Stage {
	p := planReduction(shape, axes, free)
	var stages []Stage
	for {
		st, ok := p.next()
		if !ok {
			return stages
		}
		stages = append(stages, st)
	}
}

// reduction is a shape with axes of size one dropped, but for free ones that are kept, and neighbours of one kind
// merged, so that kept and reduced dims alternate.
type reduction struct {
	rank int
	dims [2 * MaxRank]int
	axis [2 * MaxRank]bool
}

func planReduction(shape, axes []int, free func(axis int) bool) (p reduction) {
	var reduced [64]bool
	if len(shape) > len(reduced) {
		panic("reduce: rank too high")
	}
	for _, a := range axes {
		if a < 0 || a >= len(shape) || reduced[a] {
			panic(fmt.Sprintf("reduce: axes %v of shape %v", axes, shape))
		}
		reduced[a] = true
	}
	for a, d := range shape {
		if d == 1 && (reduced[a] || !free(a)) {
			continue
		}
		if p.rank > 0 && p.axis[p.rank-1] == reduced[a] {
			p.dims[p.rank-1] *= d
			continue
		}
		if p.rank == len(p.dims) {
			panic("reduce: rank too high")
		}
		p.dims[p.rank], p.axis[p.rank] = d, reduced[a]
		p.rank++
	}
	return p
}

// next takes the last reduced dim off and returns its stage.
func (p *reduction) next() (st Stage, ok bool) {
	d := p.rank - 1
	if d >= 0 && !p.axis[d] {
		d--
	}
	if d < 0 {
		return Stage{}, false
	}
	st = Stage{Outer: 1, R: p.dims[d], Inner: 1, Columns: d+1 < p.rank}
	for i := range d {
		st.Outer *= p.dims[i]
	}
	if st.Columns {
		st.Inner = p.dims[d+1]
		// Merge the kept dims around it.
		if d > 0 {
			p.dims[d-1] *= st.Inner
			p.rank = d
		} else {
			p.dims[0], p.axis[0], p.rank = st.Inner, false, 1
		}
	} else {
		p.rank = d
	}
	return st, true
}
