package portable

import "fmt"

// Number is the set of element types of tensors that are computed with in plain Go.
type Number interface {
	Float | ~int8 | ~int16 | ~int32 | ~int64 | ~uint8 | ~uint16 | ~uint32 | ~uint64
}

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
		panic("portable: Reduce: rank too high")
	}
	for _, a := range axes {
		if a < 0 || a >= len(shape) || reduced[a] {
			panic(fmt.Sprintf("portable: Reduce: axes %v of shape %v", axes, shape))
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
			panic("portable: Reduce: rank too high")
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

// maxOf returns the maximum of at least one element, NaN if there is one.
func maxOf[T Number](x []T) T {
	m0, m1, m2, m3 := x[0], x[0], x[0], x[0]
	for len(x) >= 4 {
		m0 = max(m0, x[0])
		m1 = max(m1, x[1])
		m2 = max(m2, x[2])
		m3 = max(m3, x[3])
		x = x[4:]
	}
	for _, v := range x {
		m0 = max(m0, v)
	}
	return max(max(m0, m1), max(m2, m3))
}

// pairwise adds up at least one element: in halves down to 128 elements and there in eight interleaved sums.
func pairwise[T Number](x []T) T {
	if len(x) > 128 {
		h := len(x) / 2 &^ 7
		return pairwise(x[:h]) + pairwise(x[h:])
	}
	var s0, s1, s2, s3, s4, s5, s6, s7 T
	for len(x) >= 8 {
		s0 += x[0]
		s1 += x[1]
		s2 += x[2]
		s3 += x[3]
		s4 += x[4]
		s5 += x[5]
		s6 += x[6]
		s7 += x[7]
		x = x[8:]
	}
	s := ((s0 + s1) + (s2 + s3)) + ((s4 + s5) + (s6 + s7))
	for _, v := range x {
		s += v
	}
	return s
}
