package portable

import (
	"fmt"
	"math"
)

// ReduceOp names a reduction.
type ReduceOp uint8

// The reductions. Over no elements Sum gives 0, Prod 1, Mean NaN, MaxOf -Inf and
// MinOf +Inf. MaxOf and MinOf give NaN if any element is.
const (
	Sum ReduceOp = iota
	Mean
	Prod
	MaxOf
	MinOf
)

// Reductions are done in stages of the form (outer, r, inner) -> (outer, inner),
// the last reduced group of axes first. A sum over r is a fixed tree of r alone:
// chunks of elements are summed, and the sums of chunks added in pairs, so the
// rounding error grows with the logarithm of the number of chunks.
const (
	rowChunk = 1 << 12 // elements of a contiguous row per chunk
	colChunk = 32      // rows per chunk when columns are summed
	colStrip = 64      // columns summed at once
)

// reduction is a shape with axes of size one dropped and neighbours of one kind
// merged, so that kept and reduced dims alternate.
type reduction struct {
	rank  int
	dims  [2 * MaxRank]int
	axis  [2 * MaxRank]bool
	in    int
	out   int
	count int // elements per sum
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
	p.in, p.out, p.count = 1, 1, 1
	for a, d := range shape {
		p.in *= d
		if reduced[a] {
			p.count *= d
		} else {
			p.out *= d
		}
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

// stageLens returns the lengths of a stage's results and of its chunks' sums.
func stageLens(outer, r, inner int) (out, partial int) {
	if inner == 1 && r > rowChunk {
		partial = outer * ((r + rowChunk - 1) / rowChunk)
	}
	return outer * inner, partial
}

// ReduceScratchLen returns the length of Reduce's scratch. It does not depend
// on the number of workers.
func ReduceScratchLen(shape, axes []int) int {
	p := planReduction(shape, axes)
	if p.in == 0 {
		return 0
	}
	return p.scratchLen()
}

func (p reduction) scratchLen() int {
	n := 0
	for {
		outer, r, inner, ok := p.next()
		if !ok {
			return n
		}
		out, partial := stageLens(outer, r, inner)
		n += out + partial // what the last stage gives is not in scratch, but small
	}
}

// Reduce reduces the contiguous tensor x over the given axes. The axes are
// dropped (or kept with size one: the contents of y are the same).
func Reduce[T Float](op ReduceOp, y, x []T, shape, axes []int, scratch []T) {
	p := planReduction(shape, axes)
	need("Reduce", "x", len(x), p.in)
	need("Reduce", "y", len(y), p.out)
	y = y[:p.out]
	if p.in == 0 {
		v := [...]float64{Sum: 0, Mean: math.NaN(), Prod: 1, MaxOf: math.Inf(-1), MinOf: math.Inf(1)}[op]
		for i := range y {
			y[i] = T(v)
		}
		return
	}
	if scratch == nil {
		scratch = make([]T, p.scratchLen())
	}
	need("Reduce", "scratch", len(scratch), p.scratchLen())
	count := T(p.count)
	src := x[:p.in]
	outer, r, inner, ok := p.next()
	if !ok {
		copy(y, src)
	}
	for ok {
		out, partial := stageLens(outer, r, inner)
		var dst []T
		o2, r2, i2, more := p.next()
		if more {
			dst, scratch = scratch[:out], scratch[out:]
		} else {
			dst = y
		}
		if inner == 1 {
			reduceRows(op, dst, src, outer, r, scratch[:partial])
		} else {
			reduceColumns(op, dst, src, outer, r, inner)
		}
		scratch = scratch[partial:]
		src = dst
		outer, r, inner, ok = o2, r2, i2, more
	}
	if op == Mean {
		for i := range y {
			y[i] /= count
		}
	}
}

// reduceRows reduces each of outer contiguous rows of r elements.
func reduceRows[T Float](op ReduceOp, dst, src []T, outer, r int, partial []T) {
	if serial(outer * r) {
		for i := range outer {
			dst[i] = reduceRow(op, src[i*r:(i+1)*r])
		}
		return
	}
	if len(partial) == 0 {
		parallelFor(outer, max(1, elemGrain/r), func(lo, hi int) {
			for i := lo; i < hi; i++ {
				dst[i] = reduceRow(op, src[i*r:(i+1)*r])
			}
		})
		return
	}
	chunks := (r + rowChunk - 1) / rowChunk
	parallelFor(outer*chunks, 2, func(lo, hi int) {
		for c := lo; c < hi; c++ {
			row := src[c/chunks*r:][:r]
			o := c % chunks * rowChunk
			partial[c] = reduceChunk(op, row[o:min(o+rowChunk, r)])
		}
	})
	for i := range outer {
		var t tree[T]
		for _, v := range partial[i*chunks : (i+1)*chunks] {
			t.push(op, v)
		}
		dst[i] = t.total(op)
	}
}

// reduceRow reduces a row of at least one element.
func reduceRow[T Float](op ReduceOp, row []T) T {
	if len(row) <= rowChunk {
		return reduceChunk(op, row)
	}
	var t tree[T]
	for len(row) > 0 {
		n := min(len(row), rowChunk)
		t.push(op, reduceChunk(op, row[:n]))
		row = row[n:]
	}
	return t.total(op)
}

// tree combines a sequence of values in pairs, as a binary counter does.
type tree[T Float] struct {
	n     uint
	level [48]T
}

func (t *tree[T]) push(op ReduceOp, v T) {
	l := 0
	for ; t.n>>l&1 == 1; l++ {
		v = combine(op, t.level[l], v)
	}
	t.level[l] = v
	t.n++
}

func (t *tree[T]) total(op ReduceOp) (v T) {
	first := true
	for l := range t.level {
		if t.n>>l&1 == 0 {
			continue
		}
		if first {
			v, first = t.level[l], false
		} else {
			v = combine(op, t.level[l], v)
		}
	}
	return v
}

func combine[T Float](op ReduceOp, a, b T) T {
	switch op {
	case Sum, Mean:
		return a + b
	case Prod:
		return a * b
	case MaxOf:
		return max(a, b)
	default:
		return min(a, b)
	}
}

// reduceChunk reduces a chunk of at least one element: for a sum in halves down
// to 128 elements and there in eight interleaved sums.
func reduceChunk[T Float](op ReduceOp, x []T) T {
	switch op {
	case Sum, Mean:
		return pairwise(x)
	case Prod:
		p := x[0]
		for _, v := range x[1:] {
			p *= v
		}
		return p
	case MaxOf:
		return maxOf(x)
	default:
		m := x[0]
		for _, v := range x[1:] {
			m = min(m, v)
		}
		return m
	}
}

// maxOf returns the maximum of at least one element, NaN if there is one.
func maxOf[T Float](x []T) T {
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

func pairwise[T Float](x []T) T {
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

// reduceColumns reduces (outer, r, inner) over r.
func reduceColumns[T Float](op ReduceOp, dst, src []T, outer, r, inner int) {
	strips := (inner + colStrip - 1) / colStrip
	if serial(outer * r * inner) {
		for j := range outer * strips {
			reduceStrip(op, dst, src, j, r, inner)
		}
		return
	}
	parallelFor(outer*strips, max(1, elemGrain/(r*min(inner, colStrip))), func(lo, hi int) {
		for j := lo; j < hi; j++ {
			reduceStrip(op, dst, src, j, r, inner)
		}
	})
}

// reduceStrip reduces strip j of the columns.
func reduceStrip[T Float](op ReduceOp, dst, src []T, j, r, inner int) {
	strips := (inner + colStrip - 1) / colStrip
	c0 := j % strips * colStrip
	n := min(colStrip, inner-c0)
	src = src[j/strips*r*inner+c0:]
	dst = dst[j/strips*inner+c0:][:n]
	if r <= colChunk {
		reduceColChunk(op, dst, src, r, inner)
		return
	}
	var level [40][colStrip]T
	var t [colStrip]T
	count := uint(0)
	for i := 0; i < r; i += colChunk {
		reduceColChunk(op, t[:n], src[i*inner:], min(colChunk, r-i), inner)
		l := 0
		for ; count>>l&1 == 1; l++ {
			for k, v := range level[l][:n] {
				t[k] = combine(op, v, t[k])
			}
		}
		level[l] = t
		count++
	}
	first := true
	for l := 0; count>>l != 0; l++ {
		if count>>l&1 == 0 {
			continue
		}
		if first {
			copy(dst, level[l][:n])
			first = false
			continue
		}
		for k, v := range level[l][:n] {
			dst[k] = combine(op, v, dst[k])
		}
	}
}

// reduceColChunk reduces len(dst) columns of r >= 1 rows that are ld apart.
func reduceColChunk[T Float](op ReduceOp, dst, src []T, r, ld int) {
	copy(dst, src)
	i := 1
	switch op {
	case Sum, Mean:
		for ; i+4 <= r; i += 4 {
			a := src[i*ld:][:len(dst)]
			b := src[(i+1)*ld:][:len(dst)]
			c := src[(i+2)*ld:][:len(dst)]
			d := src[(i+3)*ld:][:len(dst)]
			for k, v := range dst {
				dst[k] = v + ((a[k] + b[k]) + (c[k] + d[k]))
			}
		}
		for ; i < r; i++ {
			for k, v := range src[i*ld:][:len(dst)] {
				dst[k] += v
			}
		}
	case MaxOf:
		for ; i < r; i++ {
			for k, v := range src[i*ld:][:len(dst)] {
				dst[k] = max(dst[k], v)
			}
		}
	default:
		for ; i < r; i++ {
			for k, v := range src[i*ld:][:len(dst)] {
				dst[k] = combine(op, dst[k], v)
			}
		}
	}
}

// ArgMax writes to y [outer, inner] the position along r of the maximum of x
// [outer, r, inner], r >= 1. Of equal elements the first wins, and the first NaN
// over everything.
func ArgMax[T Float](y []int64, x []T, outer, r, inner int) {
	argBest(y, x, outer, r, inner, func(v, best T) bool { return v > best })
}

// ArgMin is ArgMax for the minimum.
func ArgMin[T Float](y []int64, x []T, outer, r, inner int) {
	argBest(y, x, outer, r, inner, func(v, best T) bool { return v < best })
}

func argBest[T Float](y []int64, x []T, outer, r, inner int, better func(v, best T) bool) {
	need("ArgMax or ArgMin", "x", len(x), outer*r*inner)
	need("ArgMax or ArgMin", "y", len(y), outer*inner)
	if outer*inner > 0 && r <= 0 {
		panic("portable: ArgMax or ArgMin over no elements")
	}
	for o := range outer {
		for i := range inner {
			at := o*r*inner + i
			best, where := x[at], 0
			for j := 1; j < r && best == best; j++ {
				at += inner
				if v := x[at]; better(v, best) || v != v {
					best, where = v, j
				}
			}
			y[o*inner+i] = int64(where)
		}
	}
}
