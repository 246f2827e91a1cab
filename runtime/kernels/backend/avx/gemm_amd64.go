//go:build amd64 && !noasm

package avx

import (
	"math"
	"time"
	"unsafe"

	"github.com/graphrun/graphrun/runtime/kernels/backend"
)

// Blocks of the five loops. maxK is part of the meaning of the kernels, as it
// sets the order of summation; the others only set the speed.
const (
	maxK = 384

	// bytesA and bytesB are the sizes of packed blocks of A, a part of the second-level
	// cache, and of B, which lies beyond it if it must: a panel of it (a block of K by two
	// vectors) stays in the first level while it meets a block of A.
	bytesA = 128 << 10
	bytesB = 768 << 10

	// directCols is the number of columns of C up to which A is not packed.
	directCols = 64

	// swapCols is the number of columns of C up to which the product is computed as
	// its transpose: rows of one vector would be nearly empty. swapRows is how much of it
	// is computed at a time.
	swapCols = 2
	swapRows = 512

	// minWork is the number of multiply-adds worth handing to another goroutine.
	minWork = 1 << 18
)

// tiles are kernels for tiles of as many vectors, of 1 to rows rows: that for r rows has the number before+r.
//
// Those of products, which tileCall calls, update a tile of C; cols is the number of columns in its last vector, at least 1. Element
// (i, p) of A is ars*i + aks*p elements from a, row p of B starts bks*p from b, row i of C ldc*i from c. C is set to the product
// of k > 0 columns of A and rows of B, which if add is added to it. Nothing beyond cols is read or written.
type tiles struct{ before, rows uint16 }

// kernel returns the number of the kernel for a number of rows.
func (t tiles) kernel(rows int) int {
	if uint(rows-1) >= uint(t.rows) {
		panic("avx: no such tile")
	}
	return int(t.before) + rows
}

// engine is the kernels of one level for one type.
type engine[T backend.Float] struct {
	// lanes is the number of elements in a vector.
	lanes int
	// tiles holds the micro-kernels by vectors and rows.
	tiles *[maxVectors + 1]tiles
	// copyPanel is the number of the kernel that packs two vectors of a row.
	copyPanel int
	// transpose is the number of the kernel that writes the transpose of src, of up to a block of rows lds apart, to dst, whose
	// rows are ldd apart: the first k columns, rounded down to blocks of side x side, at least one. Rows up to a full block are
	// written whatever they hold.
	transpose int
	side      int
	// directRows is the number of rows of C up to which B is read too rarely to pay
	// for packing it, nearRows the same for a block of B of up to nearBytes, which
	// stays in the second-level cache as it is.
	directRows, nearRows, nearBytes int

	scratch int // elements that Multiply needs
}

// fillProducts puts in the engines of a level.
func fillProducts(p *backend.Products, wide bool) {
	if wide {
		p.F32 = newEngine(&engine[float32]{lanes: 16, tiles: &tilesF32AVX512, transpose: transposeF32, side: 8})
		p.F64 = newEngine(&engine[float64]{lanes: 8, tiles: &tilesF64AVX512, transpose: transposeF64, side: 4})
	} else {
		p.F32 = newEngine(&engine[float32]{lanes: 8, tiles: &tilesF32AVX2, transpose: transposeF32, side: 8})
		p.F64 = newEngine(&engine[float64]{lanes: 4, tiles: &tilesF64AVX2, transpose: transposeF64, side: 4})
	}
}

// newEngine fills in what is common to levels and types. AVX2 packs B earlier: its smaller tiles read B more often,
// and processors that have no more than it have smaller caches.
func newEngine[T backend.Float](e *engine[T]) *engine[T] {
	var zero T
	size := int(unsafe.Sizeof(zero))
	if e.lanes*size == 64 {
		e.copyPanel, e.directRows, e.nearRows, e.nearBytes = copyPanel128, 32, 128, 512<<10
	} else {
		e.copyPanel, e.directRows, e.nearRows, e.nearBytes = copyPanel64, 16, 64, 128<<10
	}
	e.scratch = (bytesA+bytesB)/size + swapCols*swapRows
	return e
}

// peak is what Peak of a table says: independent fused multiply-adds, the best of several runs of some 20 ms, which is long enough that
// no burst counts.
func peak(wide bool) float64 {
	f, lanes := peakAVX2, 8.0
	if wide {
		f, lanes = peakAVX512, 16
	}
	const calls, n = 30, 20_000 // a call of assembly is short
	best := 0.0
	for range 12 {
		start := time.Now()
		for range calls {
			f(n)
		}
		best = max(best, calls*n*peakChains*2*lanes/time.Since(start).Seconds()/1e9)
	}
	return best
}

// peakChains is the number of multiply-adds in the loops that peak runs.
const peakChains = 12

// blockK returns the size of the blocks of K, the last of which may be shorter. It
// depends on K only, and not on the level.
func blockK(k int) int {
	blocks := max(1, (k+maxK-1)/maxK)
	return ((k+blocks-1)/blocks + 7) &^ 7
}

func (e *engine[T]) Tile() (rows, cols int) { return int(e.tiles[2].rows), 2 * e.lanes }
func (e *engine[T]) MinWork() int           { return minWork }
func (e *engine[T]) Scratch() int           { return e.scratch }

// Multiply computes a part of a product: see [backend.Multiplier].
func (e *engine[T]) Multiply(g *backend.Matrices[T, T, T], scratch []T, done backend.Done, i0, i1, j0, j1 int) {
	if g.N <= swapCols && g.M > g.N && g.PackedA == nil && g.PackedB == nil {
		e.swapped(*g, scratch, done, i0, i1)
		return
	}
	e.block(g, scratch, done, i0, i1, j0, j1)
}

// dotRows is the number of rows of C up to which op(B) = transposed rows are read as they are, and minDots the number of columns
// from which on.
const (
	dotRows = 2
	minDots = 8
)

// dotsF32 sets n >= minDots elements of c to the dot products of x with rows of b, ldb apart: see dot32F32. It covers the rows by
// blocks, the last of which overlaps the one before. Rows that fall into the same sets of the first-level cache are taken by fewer.
func dotsF32(k int, x, b []float32, ldb int, c []float32, n int) {
	width, dots := 32, dot32F32
	if n < width || ldb%256 == 0 {
		width, dots = minDots, dot8F32
	}
	for j := 0; j < n; j += width {
		at := min(j, n-width)
		dots(k, &x[0], &b[at*ldb], ldb, &c[at])
	}
}

// rowsF32 computes few rows of C from a B whose columns are rows in memory.
func rowsF32(g *backend.Matrices[float32, float32, float32], scratch []float32, done backend.Done, i0, i1, j0, j1 int) {
	a, ars, aks := g.A, g.Lda, 1
	switch {
	case g.PackedA != nil:
		a, ars = g.PackedA.Data, strideA(g.K)
	case g.TransA:
		ars, aks = 1, g.Lda
	}
	kb := blockK(g.K)
	x, sums := scratch[:kb], scratch[kb:]
	for width := min(j1-j0, len(sums)-minDots); j0 < j1; j0 += width {
		n := min(width, j1-j0)
		if j1-j0-n < minDots {
			n = j1 - j0 // no block of fewer
		}
		width = n
		for i := i0; i < i1; i++ {
			c := g.C[i*g.Ldc+j0:][:n]
			for k0 := 0; k0 < g.K; k0 += kb {
				kc := min(kb, g.K-k0)
				for p := range kc {
					x[p] = a[i*ars+(k0+p)*aks]
				}
				for p := kc; p < kb && p%4 != 0; p++ {
					x[p] = float32(math.Copysign(0, -1))
				}
				dotsF32(kc, x, g.B[j0*g.Ldb+k0:], g.Ldb, sums, n)
				if g.Accumulate || k0 > 0 {
					for j, v := range sums[:n] {
						c[j] += v
					}
				} else {
					copy(c, sums)
				}
			}
		}
		done.Block(i0, i1, j0, j0+n)
	}
}

// swapped computes rows i0 to i1 of a product with few columns as rows of its transpose, in scratch.
func (e *engine[T]) swapped(g backend.Matrices[T, T, T], scratch []T, done backend.Done, i0, i1 int) {
	n, c, ldc := g.N, g.C, g.Ldc
	sums := scratch[:swapCols*swapRows]
	g.TransA, g.TransB, g.A, g.Lda, g.B, g.Ldb = !g.TransB, !g.TransA, g.B, g.Ldb, g.A, g.Lda
	b := g.B
	for ; i0 < i1; i0 += swapRows {
		rows := min(swapRows, i1-i0)
		g.M, g.N, g.C, g.Ldc = n, rows, sums, rows
		if g.TransB {
			g.B = b[i0*g.Ldb:]
		} else {
			g.B = b[i0:]
		}
		if g.Accumulate {
			for i := range rows {
				for j, v := range c[(i0+i)*ldc:][:n] {
					sums[j*rows+i] = v
				}
			}
		}
		e.block(&g, scratch[len(sums):], backend.Done{}, 0, n, 0, rows)
		for i := range rows {
			row := c[(i0+i)*ldc:][:n]
			for j := range row {
				row[j] = sums[j*rows+i]
			}
		}
		done.Block(i0, i0+rows, 0, n)
	}
}

// block computes rows i0 to i1 and columns j0 to j1 of C.
func (e *engine[T]) block(g *backend.Matrices[T, T, T], scratch []T, done backend.Done, i0, i1, j0, j1 int) {
	a, lda, transA := g.A, g.Lda, g.TransA
	packedA, packedB := g.PackedA != nil, g.PackedB != nil
	if packedA {
		a, lda, transA = g.PackedA.Data, strideA(g.K), false
	}
	rows := i1 - i0
	if f32, ok := any(g).(*backend.Matrices[float32, float32, float32]); ok && g.TransB && !packedB && rows <= dotRows && j1-j0 >= minDots {
		rowsF32(f32, any(scratch).([]float32), done, i0, i1, j0, j1)
		return
	}
	kb := blockK(g.K)
	size := int(unsafe.Sizeof(scratch[0]))
	vectors := 2
	switch {
	case packedB:
	case rows == 1:
		vectors = maxVectors
	case rows <= int(e.tiles[4].rows) && !g.TransB:
		vectors = 4
	case j1-j0 <= e.lanes:
		vectors = 1
	}
	width := vectors * e.lanes
	mr := int(e.tiles[vectors].rows)
	directB := packedB || !g.TransB && (rows <= e.directRows || rows <= e.nearRows && min(kb, g.K)*g.Ldb*size <= e.nearBytes)
	directA := packedA || j1-j0 <= directCols
	mb, nb := rows, j1-j0
	if !directA {
		mb = min(mb, bytesA/size/strideA(kb)/mr*mr)
	}
	packA, packB := scratch, scratch[bytesA/size:]
	// A panel of B is packed when the first block of A meets it; if that is the only
	// one, the next panel may take its place.
	once := mb == rows
	if !once && !directB {
		nb = min(nb, len(packB)/kb/width*width)
	}
	for jc := j0; jc < j1; jc += nb {
		nc := min(nb, j1-jc)
		for k0 := 0; k0 < g.K; k0 += kb {
			kc := min(kb, g.K-k0)
			add := g.Accumulate || k0 > 0
			last := k0+kc == g.K && done.Active()
			for ic := i0; ic < i1; ic += mb {
				mc := min(mb, i1-ic)
				ap, ars, aks := a, lda, 1
				ai := ic*lda + k0
				if transA {
					ars, aks = 1, lda
					ai = k0*lda + ic
				}
				if !directA {
					e.packA(a, lda, transA, packA, ic, mc, k0, kc)
					ap, ai, ars, aks = packA, 0, strideA(kc), 1
				}
				parts := backend.CeilDiv(mc, mr)
				finished, wait := 0, done.Columns(mc, width)
				for j := 0; j < nc; j += width {
					cols := min(width, nc-j)
					var bp *T
					bks := width
					switch {
					case packedB:
						bp = &g.PackedB.Data[(jc+j)*g.K+k0*width]
					case directB:
						bp, bks = &g.B[k0*g.Ldb+jc+j], g.Ldb
					case once:
						e.packB(g.B, g.Ldb, g.TransB, packB, width, k0, kc, jc+j, cols)
						bp = &packB[0]
					default:
						if ic == i0 {
							e.packB(g.B, g.Ldb, g.TransB, packB[j*kc:], width, k0, kc, jc+j, cols)
						}
						bp = &packB[j*kc]
					}
					vs := backend.CeilDiv(cols, e.lanes)
					cols -= (vs - 1) * e.lanes
					ci := ic*g.Ldc + jc + j
					for p, lo := 1, 0; p <= parts; p++ {
						hi := p * mc / parts
						c := unsafe.Pointer(&g.C[ci+lo*g.Ldc])
						tileCall(kc, unsafe.Pointer(&ap[ai+lo*ars]), ars, aks, unsafe.Pointer(bp), bks, c, g.Ldc, cols, add, e.tiles[vs].kernel(hi-lo))
						lo = hi
					}
					if at := min(j+width, nc); last && (at-finished >= wait || at == nc) {
						done.Block(ic, ic+mc, jc+finished, jc+at)
						finished = at
					}
				}
			}
		}
	}
}

// strideA returns the distance of packed rows of A of n elements: a block of the
// transposition may write beyond a row, and a distance of an odd number of 64
// bytes (128 for float64) keeps rows out of each other's sets in the cache.
func strideA(n int) int { return backend.CeilDiv(n, 16)*16 | 16 }

// packA copies a block of op(A) to rows that are strideA(kc) apart. What lies
// between the rows holds anything.
func (e *engine[T]) packA(a []T, lda int, trans bool, dst []T, i0, mc, k0, kc int) {
	ld := strideA(kc)
	if trans {
		for p := 0; p < kc; p += e.side {
			e.transposed(a[(k0+p)*lda+i0:], lda, min(e.side, kc-p), mc, dst[p:], ld)
		}
		return
	}
	for i := range mc {
		copy(dst[i*ld:][:kc], a[(i0+i)*lda+k0:])
	}
}

// packB copies a panel of op(B), kc rows of up to width columns. Columns beyond
// those hold anything.
func (e *engine[T]) packB(b []T, ldb int, trans bool, panel []T, width, k0, kc, j0, cols int) {
	panel = panel[:width*kc]
	switch {
	case trans:
		for c := 0; c < cols; c += e.side {
			e.transposed(b[(j0+c)*ldb+k0:], ldb, min(e.side, cols-c), kc, panel[c:], width)
		}
	case cols == 2*e.lanes && cols == width:
		copyPanelCall(kc, unsafe.Pointer(&b[k0*ldb+j0]), ldb*int(unsafe.Sizeof(b[0])), unsafe.Pointer(&panel[0]), e.copyPanel)
	default:
		for p := range kc {
			copy(panel[p*width:][:cols], b[(k0+p)*ldb+j0:])
		}
	}
}

// PackA lays op(A) out in rows as packA does.
func (e *engine[T]) PackA(trans bool, m, k int, x []T, ld int) *backend.Packed[T] {
	data := backend.Aligned[T](m * strideA(k))
	if m > 0 && k > 0 {
		e.packA(x, ld, trans, data, 0, m, 0, k)
	}
	return &backend.Packed[T]{Rows: m, Cols: k, Data: data, Operand: "a", By: e}
}

// PackB lays op(B) out in panels of two vectors as packB does, each over all of K.
func (e *engine[T]) PackB(trans bool, k, n int, x []T, ld int) *backend.Packed[T] {
	width := 2 * e.lanes
	data := backend.Aligned[T](backend.CeilDiv(n, width) * width * k)
	for j := 0; j < n && k > 0; j += width {
		e.packB(x, ld, trans, data[j*k:], width, 0, k, j, min(width, n-j))
	}
	return &backend.Packed[T]{Rows: k, Cols: n, Data: data, Operand: "b", By: e}
}

// transposed writes rows of kc elements, ld apart, as columns of dst.
func (e *engine[T]) transposed(src []T, ld, rows, kc int, dst []T, ldd int) {
	if kc < e.side {
		for r := range rows {
			for p, v := range src[r*ld:][:kc] {
				dst[p*ldd+r] = v
			}
		}
		return
	}
	transposeCall(kc, unsafe.Pointer(&src[0]), ld, rows, unsafe.Pointer(&dst[0]), ldd, e.transpose)
	if kc%e.side != 0 {
		// The last block overlaps the one before.
		last := kc - e.side
		transposeCall(e.side, unsafe.Pointer(&src[last]), ld, rows, unsafe.Pointer(&dst[last*ldd]), ldd, e.transpose)
	}
}
