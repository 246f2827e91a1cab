package portable

import "fmt"

const transposeTile = 32

// Transpose writes to y the contiguous tensor x, of the given shape, with its
// axes permuted: axis i of y is axis perm[i] of x.
func Transpose[T any](y, x []T, shape, perm []int) {
	if len(shape) != len(perm) {
		panic(fmt.Sprintf("portable: Transpose: perm %v for shape %v", perm, shape))
	}
	size := 1
	for _, d := range shape {
		size *= d
	}
	need("Transpose", "x", len(x), size)
	need("Transpose", "y", len(y), size)
	if size == 0 {
		return
	}
	t := planTranspose(shape, perm)
	if t.rank <= 1 {
		copy(y[:size], x)
		return
	}
	blocks := t.blocks()
	grain := max(1, elemGrain/max(size/blocks, 1))
	if serial(size) {
		permute(&t, y, x, 0, blocks)
		return
	}
	transposeParallel(t, y, x, blocks, grain)
}

func transposeParallel[T any](t transposition, y, x []T, blocks, grain int) {
	parallelFor(blocks, grain, func(lo, hi int) { permute(&t, y, x, lo, hi) })
}

// transposition is a permutation with axes of size one dropped and axes that
// stay neighbours merged. dims are in y's order, with strides in y and x. The
// last axis of y is a run; plane, when not the last, is the axis of y that is
// contiguous in x, and the two are walked in square tiles.
type transposition struct {
	rank, plane    int
	dims           [MaxRank]int
	strideY, strdX [MaxRank]int
}

func planTranspose(shape, perm []int) (t transposition) {
	var seen, strides [64]int
	if len(shape) > len(seen) {
		panic("portable: Transpose: rank too high")
	}
	step := 1
	for d := len(shape) - 1; d >= 0; d-- {
		strides[d] = step
		step *= shape[d]
	}
	for _, a := range perm {
		if a < 0 || a >= len(shape) || seen[a] != 0 {
			panic(fmt.Sprintf("portable: Transpose: %v is not a permutation", perm))
		}
		seen[a] = 1
		d, s := shape[a], strides[a]
		if d == 1 {
			continue
		}
		if r := t.rank - 1; r >= 0 && t.strdX[r] == d*s {
			t.dims[r] *= d
			t.strdX[r] = s
			continue
		}
		if t.rank == MaxRank {
			panic("portable: Transpose: rank too high")
		}
		t.dims[t.rank], t.strdX[t.rank] = d, s
		t.rank++
	}
	step = 1
	for d := t.rank - 1; d >= 0; d-- {
		t.strideY[d] = step
		step *= t.dims[d]
		if t.strdX[d] == 1 {
			t.plane = d
		}
	}
	return t
}

// blocks returns the number of units of work: runs, or rows of tiles.
func (t *transposition) blocks() int {
	n := 1
	for d := range t.rank - 1 {
		if d == t.plane {
			n *= (t.dims[d] + transposeTile - 1) / transposeTile
		} else {
			n *= t.dims[d]
		}
	}
	return n
}

// permute moves blocks [lo, hi).
func permute[T any](t *transposition, y, x []T, lo, hi int) {
	last := t.rank - 1
	n := t.dims[last]
	for b := lo; b < hi; b++ {
		rest, oy, ox, rows := b, 0, 0, 1
		for d := last - 1; d >= 0; d-- {
			if d == t.plane {
				tiles := (t.dims[d] + transposeTile - 1) / transposeTile
				i := rest % tiles * transposeTile
				rest /= tiles
				rows = min(transposeTile, t.dims[d]-i)
				oy += i * t.strideY[d]
				ox += i
			} else {
				i := rest % t.dims[d]
				rest /= t.dims[d]
				oy += i * t.strideY[d]
				ox += i * t.strdX[d]
			}
		}
		if t.plane == last {
			copy(y[oy:oy+n], x[ox:])
			continue
		}
		sy, sx := t.strideY[t.plane], t.strdX[last]
		for j0 := 0; j0 < n; j0 += transposeTile {
			m := min(transposeTile, n-j0)
			for i := range rows {
				dst := y[oy+i*sy+j0:][:m]
				o := ox + i + j0*sx
				for j := range dst {
					dst[j] = x[o]
					o += sx
				}
			}
		}
	}
}
