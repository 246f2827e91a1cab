//go:build amd64 && !noasm

package avx

import (
	"unsafe"

	"github.com/graphrun/graphrun/runtime/kernels/backend"
)

// The kernels, by the function that calls them:
//
// gatherCall computes a tile of as many rows and vectors as the kernel is for: row i is the sum over p < k, k > 0, of
// a[rows[i]+cols[p]] times vectors of b, which are one after the other. Rows of c are ldc elements apart. If add, the
// sums are added to c.
//
// lineCall computes a tile of as many rows and vectors as the kernel is for: vectors of row i are the sums over p < k,
// k > 0, of b[i*ldb+p] times vectors from a[cols[p]] on. Vectors follow each other, but for the last one, which begins last
// elements from the first, in a and in the rows of c, which are ldc elements apart.
//
// turnCall transposes square blocks, of a side of 32 bytes. The rows of a block are lds elements apart, of which the first are
// read in place of those from rows on; those of its transpose are ldd apart, and the first cols are written. Blocks are
// steps apart in src and stepd in dst. There is at least one block.

// gatherConv is the engine that has result channels in the lanes. T is m rows of channels rounded up to vectors. B is packed
// by panels of two vectors, the last of which may be one.
type gatherConv[T backend.Float] struct {
	lanes, side int
	tiles       *[3]tiles
	turn        int
}

// lineConv is the engine that has positions in the lanes, for few result channels. T is stored as it is unloaded.
type lineConv[T backend.Float] struct {
	lanes int
	tiles *[5]tiles
}

var (
	gatherConvs = [2]gatherConv[float32]{{8, 8, &gatherF32AVX2, turnF32}, {16, 8, &gatherF32AVX512, turnF32}}
	lineConvs   = [2]lineConv[float32]{{8, &lineF32AVX2}, {16, &lineF32AVX512}}

	gatherConvsF64 = [2]gatherConv[float64]{{4, 4, &gatherF64AVX2, turnF64}, {8, 4, &gatherF64AVX512, turnF64}}
	lineConvsF64   = [2]lineConv[float64]{{4, &lineF64AVX2}, {8, &lineF64AVX512}}
)

func fillConv(t *backend.Table, wide bool) {
	t.F32.Conv = func(n, run int) backend.ConvEngine[float32] {
		return chooseConv(&gatherConvs, &lineConvs, wide, n, run)
	}
	t.F64.Conv = func(n, run int) backend.ConvEngine[float64] {
		return chooseConv(&gatherConvsF64, &lineConvsF64, wide, n, run)
	}
}

// chooseConv chooses the engine that leaves the least lanes empty: the first of each pair is AVX2, the second AVX-512.
func chooseConv[T backend.Float](gathers *[2]gatherConv[T], lines *[2]lineConv[T], wide bool, n, run int) backend.ConvEngine[T] {
	best := 0
	if wide {
		best = 1
	}
	for i := best; i >= 0; i-- {
		if run >= lines[i].lanes && n <= int(lines[i].tiles[2].rows) && n%gathers[0].lanes != 0 {
			return &lines[i]
		}
	}
	if best == 1 && backend.CeilDiv(n, gathers[0].lanes)%2 == 1 && n < 4*gathers[0].lanes {
		best = 0
	}
	return &gathers[best]
}

func (e *gatherConv[T]) Lanes() int { return e.lanes }

// MaxK lets a panel of B stay in the first-level cache together with what a tile sees of the image.
func (e *gatherConv[T]) MaxK() int { return 256 }

func (e *gatherConv[T]) InPlace() bool { return false }

func (e *gatherConv[T]) Pack(dst, b []T, ld, n, k, p0, p1 int) {
	panel := 2 * e.lanes
	count := p1 - p0
	for j0 := 0; j0 < n; j0 += panel {
		width := min(panel, backend.CeilDiv(n-j0, e.lanes)*e.lanes)
		to := dst[j0*k+p0*width:][:width*count]
		for j := 0; j < width; j += e.side {
			// Lanes without a channel hold any.
			rows := max(1, min(e.side, n-j0-j))
			src := b[min(j0+j, n-1)*ld:]
			if count < e.side {
				for r := range rows {
					for p, v := range src[r*ld:][:count] {
						to[p*width+j+r] = v
					}
				}
				continue
			}
			e.transpose(count/e.side, &src[0], ld, e.side, rows, &to[j], width, e.side*width, e.side)
			if last := count - e.side; count%e.side != 0 {
				e.transpose(1, &src[last], ld, 0, rows, &to[last*width+j], width, 0, e.side)
			}
		}
	}
}

func (e *gatherConv[T]) transpose(blocks int, src *T, lds, steps, rows int, dst *T, ldd, stepd, cols int) {
	turnCall(blocks, unsafe.Pointer(src), lds, steps, rows, unsafe.Pointer(dst), ldd, stepd, cols, e.turn)
}

func (e *gatherConv[T]) Sum(t []T, _, at, n int, a []T, rows []int, _ int, cols []int, b []T, k, p0 int, add bool) {
	all := backend.CeilDiv(n, e.lanes) * e.lanes
	if len(cols) == 0 {
		if !add {
			clear(t[at*all:][:len(rows)*all])
		}
		return
	}
	for j := 0; j < all; j += 2 * e.lanes {
		vectors := min(2, (all-j)/e.lanes)
		tiles := e.tiles[vectors]
		bp := &b[j*k+p0*vectors*e.lanes]
		parts := backend.CeilDiv(len(rows), int(tiles.rows))
		for p, lo := 1, 0; p <= parts; p++ {
			hi := p * len(rows) / parts
			c := unsafe.Pointer(&t[(at+lo)*all+j])
			gatherCall(len(cols), unsafe.Pointer(&a[0]), &rows[lo], &cols[0], unsafe.Pointer(bp), c, all, add, tiles.kernel(hi-lo))
			lo = hi
		}
	}
}

func (e *gatherConv[T]) Unload(dst []T, ld int, t []T, m, n int) {
	all := backend.CeilDiv(n, e.lanes) * e.lanes
	if m < e.side {
		for j := range n {
			row := dst[j*ld:][:m]
			for i := range row {
				row[i] = t[i*all+j]
			}
		}
		return
	}
	for j := 0; j < n; j += e.side {
		to := dst[j*ld:]
		e.transpose(m/e.side, &t[j], all, e.side*all, e.side, &to[0], ld, e.side, n-j)
		if last := m - e.side; m%e.side != 0 {
			e.transpose(1, &t[last*all+j], all, 0, e.side, &to[last], ld, 0, n-j)
		}
	}
}

func (e *lineConv[T]) Lanes() int { return 1 }

// MaxK is no bound: vectors overlap, so that sums cannot be added to what is there.
func (e *lineConv[T]) MaxK() int { return 1 << 30 }

func (e *lineConv[T]) InPlace() bool { return true }

func (e *lineConv[T]) Pack(dst, b []T, ld, n, k, p0, p1 int) {
	for j := range n {
		copy(dst[j*k+p0:j*k+p1], b[j*ld:])
	}
}

// Sum covers a run by vectors, the last of which overlaps the one before.
func (e *lineConv[T]) Sum(t []T, ld, at, n int, a []T, rows []int, run int, cols []int, b []T, k, p0 int, _ bool) {
	if len(cols) == 0 {
		for j := range n {
			clear(t[j*ld+at:][:len(rows)])
		}
		return
	}
	for i := 0; i < len(rows); i += run {
		for j := 0; j < n; {
			count := n - j
			if most := int(e.tiles[2].rows); count > most {
				count = backend.CeilDiv(count, backend.CeilDiv(count, most))
			}
			for q := 0; q < run; {
				v, left := 1, backend.CeilDiv(run-q, e.lanes)
				switch {
				case left >= 4 && count <= int(e.tiles[4].rows):
					v = 4
				case left >= 2:
					v = 2
				}
				last := min(q+(v-1)*e.lanes, run-e.lanes)
				from, c := unsafe.Pointer(&a[rows[i]+q]), unsafe.Pointer(&t[j*ld+at+i+q])
				lineCall(len(cols), from, last-q, &cols[0], unsafe.Pointer(&b[j*k+p0]), k, c, ld, e.tiles[v].kernel(count))
				q = last + e.lanes
			}
			j += count
		}
	}
}

func (e *lineConv[T]) Unload(dst []T, ld int, t []T, m, n int) {
	for j := range n {
		copy(dst[j*ld:][:m], t[j*m:])
	}
}
