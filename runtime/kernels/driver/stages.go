package driver

import "fmt"

// Stage is one of the steps of a reduction: from (Outer, R, Inner) to (Outer, Inner).
type Stage struct{ Outer, R, Inner int }

// Stages returns the steps that reduce a contiguous tensor of a shape, of at least one element, over axes: the last group of
// neighbouring axes first. There are none if all axes have size one.
func Stages(shape, axes []int) []Stage {
	p := planReduction(shape, axes)
	var stages []Stage
	for {
		outer, r, inner, ok := p.next()
		if !ok {
			return stages
		}
		stages = append(stages, Stage{outer, r, inner})
	}
}

// reduction is a shape with axes of size one dropped and neighbours of one kind
// merged, so that kept and reduced dims alternate.
type reduction struct {
	rank int
	dims [2 * MaxRank]int
	axis [2 * MaxRank]bool
}

func planReduction(shape, axes []int) (p reduction) {
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
		if d == 1 {
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
func (p *reduction) next() (outer, r, inner int, ok bool) {
	d := p.rank - 1
	if d >= 0 && !p.axis[d] {
		d--
	}
	if d < 0 {
		return 0, 0, 0, false
	}
	outer, r, inner = 1, p.dims[d], 1
	for i := range d {
		outer *= p.dims[i]
	}
	if d+1 < p.rank {
		inner = p.dims[d+1]
		// Merge the kept dims around it.
		if d > 0 {
			p.dims[d-1] *= inner
			p.rank = d
		} else {
			p.dims[0], p.axis[0], p.rank = inner, false, 1
		}
	} else {
		p.rank = d
	}
	return outer, r, inner, true
}
