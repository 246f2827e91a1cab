package plain

import (
	"runtime"
	"time"

	"github.com/graphrun/graphrun/runtime/kernels/backend"
)

// The GEMM cuts C into tiles of tileM x tileN and the sum over K into blocks of
// tileK. Where B runs along N, a row of C is a sum of rows of B, four of them at a
// time. Where it runs along K, elements of C are dot products of rows: one row of
// A with six of B, which is what sixteen scalar registers hold, since the compiler
// forms all products of a step before it adds them; four with four where it fuses.
//
// Order of summation, the same in every path: within a block of tileK one
// accumulator starts at zero and takes the products in order of k; the sums of
// the blocks are then added in order. It depends on K only.
const (
	tileM = 128
	tileN = 120
	tileK = 256
)

// gemmSmall is the number of rows (columns) up to which transposing or copying an operand costs more than it brings, and
// gemmNarrow the number of columns under which rows of B are too short to walk along.
const (
	gemmSmall  = 2
	gemmNarrow = 6
)

// minWork is the number of multiply-adds worth handing to another goroutine.
const minWork = 1 << 17

// multiplier is the Multiplier of matrices of one type.
type multiplier[T backend.Float] struct{}

func (*multiplier[T]) Tile() (rows, cols int) { return tileM / 4, tileN }
func (*multiplier[T]) MinWork() int           { return minWork }
func (*multiplier[T]) Scratch() int           { return (tileM + tileN) * tileK }

// Multiply computes a part of a product tile by tile.
func (*multiplier[T]) Multiply(m *backend.Matrices[T, T, T], scratch []T, done backend.Done, i0, i1, j0, j1 int) {
	g := gemm[T]{
		m.TransA, m.TransB, i1 - i0, j1 - j0, m.K,
		m.A, m.Lda, m.B, m.Ldb, m.C[i0*m.Ldc+j0:], m.Ldc, m.Accumulate,
	}
	if m.PackedA != nil {
		g.a, g.lda, g.transA = m.PackedA.Data, m.K, false
	}
	if m.PackedB != nil {
		g.b, g.ldb, g.transB = m.PackedB.Data, m.K, true
	}
	if g.transA {
		g.a = g.a[i0:]
	} else {
		g.a = g.a[i0*g.lda:]
	}
	if g.transB {
		g.b = g.b[j0*g.ldb:]
	} else {
		g.b = g.b[j0:]
	}
	across := backend.CeilDiv(g.n, tileN)
	for t := range g.tiles() {
		g.tile(t, scratch)
		i, j := t/across*tileM, t%across*tileN
		done.Block(i0+i, i0+min(i+tileM, g.m), j0+j, j0+min(j+tileN, g.n))
	}
}

// gemm is one product: see Matrices for the meaning of its fields.
type gemm[T backend.Float] struct {
	transA, transB bool
	m, n, k        int
	a              []T
	lda            int
	b              []T
	ldb            int
	c              []T
	ldc            int
	accumulate     bool
}

func (g *gemm[T]) tiles() int {
	return backend.CeilDiv(g.m, tileM) * backend.CeilDiv(g.n, tileN)
}

// tile computes tile t of C.
func (g *gemm[T]) tile(t int, scratch []T) {
	cols := backend.CeilDiv(g.n, tileN)
	i0, j0 := t/cols*tileM, t%cols*tileN
	mb, nb := min(tileM, g.m-i0), min(tileN, g.n-j0)
	c := g.c[i0*g.ldc+j0:]
	if g.k <= 0 && !g.accumulate {
		for i := range mb {
			clear(c[i*g.ldc : i*g.ldc+nb])
		}
	}
	for k0 := 0; k0 < g.k; k0 += tileK {
		kc := min(tileK, g.k-k0)
		add := g.accumulate || k0 > 0
		if !g.transB && (nb >= gemmNarrow || mb <= gemmSmall) {
			ai, astep, arow := i0*g.lda+k0, 1, g.lda
			if g.transA {
				ai, astep, arow = k0*g.lda+i0, g.lda, 1
			}
			b, ldb := g.b[k0*g.ldb+j0:], g.ldb
			if mb > gemmSmall && ldb > nb {
				for p := range kc {
					copy(scratch[p*nb:][:nb], b[p*ldb:])
				}
				b, ldb = scratch, nb
			}
			for i := range mb {
				axpyTile(nb, kc, g.a[ai+i*arow:], astep, b, ldb, c[i*g.ldc:], 1, add)
			}
			continue
		}
		if g.transA && nb <= gemmSmall {
			bj, bstep, bcol := k0*g.ldb+j0, g.ldb, 1
			if g.transB {
				bj, bstep, bcol = j0*g.ldb+k0, 1, g.ldb
			}
			for j := range nb {
				axpyTile(mb, kc, g.b[bj+j*bcol:], bstep, g.a[k0*g.lda+i0:], g.lda, c[j:], g.ldc, add)
			}
			continue
		}
		var a, b []T
		lda, ldb := g.lda, g.ldb
		free := scratch
		if g.transA {
			transposeInto(free, g.a[k0*g.lda+i0:], g.lda, kc, mb)
			a, lda, free = free, kc, free[mb*kc:]
		} else {
			a = g.a[i0*g.lda+k0:]
		}
		if g.transB {
			b = g.b[j0*g.ldb+k0:]
		} else {
			transposeInto(free, g.b[k0*g.ldb+j0:], g.ldb, kc, nb)
			b, ldb = free, kc
		}
		dotTile(mb, nb, kc, a, lda, b, ldb, c, g.ldc, add)
	}
}

// transposeInto writes the transpose of the rows x cols matrix src, whose rows
// are ld apart, into dst, contiguous.
func transposeInto[T any](dst, src []T, ld, rows, cols int) {
	j := 0
	for ; j+4 <= cols; j += 4 {
		d0 := dst[j*rows : j*rows+rows]
		d1 := dst[(j+1)*rows:][:len(d0)]
		d2 := dst[(j+2)*rows:][:len(d0)]
		d3 := dst[(j+3)*rows:][:len(d0)]
		o := j
		for i := range d0 {
			s := (*[4]T)(src[o:])
			d0[i], d1[i], d2[i], d3[i] = s[0], s[1], s[2], s[3]
			o += ld
		}
	}
	for ; j < cols; j++ {
		d := dst[j*rows : j*rows+rows]
		o := j
		for i := range d {
			d[i] = src[o]
			o += ld
		}
	}
}

// dotTile sets C[i][j] to (or, if add, adds to it) the dot product of row i of
// A and row j of B, of kc elements each, for i < mb and j < nb.
func dotTile[T backend.Float](mb, nb, kc int, a []T, lda int, b []T, ldb int, c []T, ldc int, add bool) {
	if fused {
		dotTile4x4(mb, nb, kc, a, lda, b, ldb, c, ldc, add)
	} else {
		dotTile1x6(mb, nb, kc, a, lda, b, ldb, c, ldc, add)
	}
}

func dotTile1x6[T backend.Float](mb, nb, kc int, a []T, lda int, b []T, ldb int, c []T, ldc int, add bool) {
	j := 0
	for ; j+6 <= nb; j += 6 {
		b0 := b[j*ldb:][:kc]
		b1 := b[(j+1)*ldb:][:kc]
		b2 := b[(j+2)*ldb:][:kc]
		b3 := b[(j+3)*ldb:][:kc]
		b4 := b[(j+4)*ldb:][:kc]
		b5 := b[(j+5)*ldb:][:kc]
		for i := range mb {
			c0, c1, c2, c3, c4, c5 := dot1x6(a[i*lda:][:kc], b0, b1, b2, b3, b4, b5)
			p := (*[6]T)(c[i*ldc+j:])
			if add {
				p[0] += c0
				p[1] += c1
				p[2] += c2
				p[3] += c3
				p[4] += c4
				p[5] += c5
			} else {
				p[0], p[1], p[2], p[3], p[4], p[5] = c0, c1, c2, c3, c4, c5
			}
		}
	}
	dotTileRest(mb, nb-j, kc, a, lda, b[min(j*ldb, len(b)):], ldb, c[min(j, len(c)):], ldc, add)
}

func dotTile4x4[T backend.Float](mb, nb, kc int, a []T, lda int, b []T, ldb int, c []T, ldc int, add bool) {
	j := 0
	for ; j+4 <= nb; j += 4 {
		b0 := b[j*ldb:][:kc]
		b1 := b[(j+1)*ldb:][:kc]
		b2 := b[(j+2)*ldb:][:kc]
		b3 := b[(j+3)*ldb:][:kc]
		i := 0
		for ; i+4 <= mb; i += 4 {
			var t [16]T
			dot4x4(a[i*lda:][:kc], a[(i+1)*lda:][:kc], a[(i+2)*lda:][:kc], a[(i+3)*lda:][:kc], b0, b1, b2, b3, &t)
			for r := range 4 {
				put4(c[(i+r)*ldc+j:], t[4*r], t[4*r+1], t[4*r+2], t[4*r+3], add)
			}
		}
		for ; i < mb; i++ {
			c0, c1, c2, c3 := dot1x4(a[i*lda:][:kc], b0, b1, b2, b3)
			put4(c[i*ldc+j:], c0, c1, c2, c3, add)
		}
	}
	dotTileRest(mb, nb-j, kc, a, lda, b[min(j*ldb, len(b)):], ldb, c[min(j, len(c)):], ldc, add)
}

// put4 sets four elements of C, or adds to them.
func put4[T backend.Float](c []T, c0, c1, c2, c3 T, add bool) {
	p := (*[4]T)(c)
	if add {
		p[0] += c0
		p[1] += c1
		p[2] += c2
		p[3] += c3
	} else {
		p[0], p[1], p[2], p[3] = c0, c1, c2, c3
	}
}

// dotTileRest is dotTile for the few columns that are left over.
func dotTileRest[T backend.Float](mb, nb, kc int, a []T, lda int, b []T, ldb int, c []T, ldc int, add bool) {
	j := 0
	for ; j+4 <= nb; j += 4 {
		b0 := b[j*ldb:][:kc]
		b1 := b[(j+1)*ldb:][:kc]
		b2 := b[(j+2)*ldb:][:kc]
		b3 := b[(j+3)*ldb:][:kc]
		for i := range mb {
			c0, c1, c2, c3 := dot1x4(a[i*lda:][:kc], b0, b1, b2, b3)
			put4(c[i*ldc+j:], c0, c1, c2, c3, add)
		}
	}
	for ; j < nb; j++ {
		b0 := b[j*ldb : j*ldb+kc]
		i := 0
		for ; i+4 <= mb; i += 4 {
			c0, c1, c2, c3 := dot1x4(b0, a[i*lda:i*lda+kc], a[(i+1)*lda:(i+1)*lda+kc], a[(i+2)*lda:(i+2)*lda+kc], a[(i+3)*lda:(i+3)*lda+kc])
			o := i*ldc + j
			if add {
				c[o] += c0
				c[o+ldc] += c1
				c[o+2*ldc] += c2
				c[o+3*ldc] += c3
			} else {
				c[o], c[o+ldc], c[o+2*ldc], c[o+3*ldc] = c0, c1, c2, c3
			}
		}
		for ; i < mb; i++ {
			v := dot1x1(a[i*lda:i*lda+kc], b0)
			if add {
				c[i*ldc+j] += v
			} else {
				c[i*ldc+j] = v
			}
		}
	}
}

// mulAdd returns c + x*y. Every path of the GEMM goes through it, because the
// compiler may fuse the two operations in one place and not in another, and a
// row would then depend on its neighbours. The conversion forbids fusion; where
// the compiler always fuses (see fuse_arm64.go) it is left out, for speed.
func mulAdd[T backend.Float](c, x, y T) T {
	if fused {
		return c + x*y
	}
	return c + T(x*y)
}

// dot1x6 returns the dot products of one row with six, of equal length.
func dot1x6[T backend.Float](a, b0, b1, b2, b3, b4, b5 []T) (c0, c1, c2, c3, c4, c5 T) {
	b0 = b0[:len(a)]
	b1 = b1[:len(a)]
	b2 = b2[:len(a)]
	b3 = b3[:len(a)]
	b4 = b4[:len(a)]
	b5 = b5[:len(a)]
	for p, x := range a {
		c0 = mulAdd(c0, x, b0[p])
		c1 = mulAdd(c1, x, b1[p])
		c2 = mulAdd(c2, x, b2[p])
		c3 = mulAdd(c3, x, b3[p])
		c4 = mulAdd(c4, x, b4[p])
		c5 = mulAdd(c5, x, b5[p])
	}
	return
}

// dot4x4 sets c to the dot products of four rows with four, of equal length: thirty-two registers hold them.
func dot4x4[T backend.Float](a0, a1, a2, a3, b0, b1, b2, b3 []T, c *[16]T) {
	a1 = a1[:len(a0)]
	a2 = a2[:len(a0)]
	a3 = a3[:len(a0)]
	b0 = b0[:len(a0)]
	b1 = b1[:len(a0)]
	b2 = b2[:len(a0)]
	b3 = b3[:len(a0)]
	var c00, c01, c02, c03, c10, c11, c12, c13, c20, c21, c22, c23, c30, c31, c32, c33 T
	for p, x0 := range a0 {
		x1, x2, x3 := a1[p], a2[p], a3[p]
		y0, y1, y2, y3 := b0[p], b1[p], b2[p], b3[p]
		c00 = mulAdd(c00, x0, y0)
		c01 = mulAdd(c01, x0, y1)
		c02 = mulAdd(c02, x0, y2)
		c03 = mulAdd(c03, x0, y3)
		c10 = mulAdd(c10, x1, y0)
		c11 = mulAdd(c11, x1, y1)
		c12 = mulAdd(c12, x1, y2)
		c13 = mulAdd(c13, x1, y3)
		c20 = mulAdd(c20, x2, y0)
		c21 = mulAdd(c21, x2, y1)
		c22 = mulAdd(c22, x2, y2)
		c23 = mulAdd(c23, x2, y3)
		c30 = mulAdd(c30, x3, y0)
		c31 = mulAdd(c31, x3, y1)
		c32 = mulAdd(c32, x3, y2)
		c33 = mulAdd(c33, x3, y3)
	}
	*c = [16]T{c00, c01, c02, c03, c10, c11, c12, c13, c20, c21, c22, c23, c30, c31, c32, c33}
}

// dot1x4 returns the dot products of one row with four, of equal length.
func dot1x4[T backend.Float](a0, b0, b1, b2, b3 []T) (c0, c1, c2, c3 T) {
	b0 = b0[:len(a0)]
	b1 = b1[:len(a0)]
	b2 = b2[:len(a0)]
	b3 = b3[:len(a0)]
	for p, x := range a0 {
		c0 = mulAdd(c0, x, b0[p])
		c1 = mulAdd(c1, x, b1[p])
		c2 = mulAdd(c2, x, b2[p])
		c3 = mulAdd(c3, x, b3[p])
	}
	return
}

// dot1x1 returns the dot product of two rows of equal length.
func dot1x1[T backend.Float](a, b []T) (c T) {
	b = b[:len(a)]
	for p, x := range a {
		c = mulAdd(c, x, b[p])
	}
	return
}

// axpyTile computes one row of C, of n <= tileM elements cs apart, as the
// sum over p < kc of x[p*xs] times row p of B (rows ldb apart), in the order of
// dotTile, but walking B along its rows.
func axpyTile[T backend.Float](n, kc int, x []T, xs int, b []T, ldb int, c []T, cs int, add bool) {
	var buf [tileM]T
	t := buf[:n]
	p := 0
	for ; p+4 <= kc; p += 4 {
		x0, x1, x2, x3 := x[p*xs], x[(p+1)*xs], x[(p+2)*xs], x[(p+3)*xs]
		b0 := b[p*ldb:][:len(t)]
		b1 := b[(p+1)*ldb:][:len(t)]
		b2 := b[(p+2)*ldb:][:len(t)]
		b3 := b[(p+3)*ldb:][:len(t)]
		for j, v := range t {
			v = mulAdd(v, x0, b0[j])
			v = mulAdd(v, x1, b1[j])
			v = mulAdd(v, x2, b2[j])
			v = mulAdd(v, x3, b3[j])
			t[j] = v
		}
	}
	for ; p < kc; p++ {
		x0 := x[p*xs]
		b0 := b[p*ldb:][:len(t)]
		for j := range t {
			t[j] = mulAdd(t[j], x0, b0[j])
		}
	}
	for j, v := range t {
		if add {
			c[j*cs] += v
		} else {
			c[j*cs] = v
		}
	}
}

// Peak measures the float32 operations per second of one core in GFLOP/s: multiplications and additions in registers, in plain Go, the
// best of several runs of less than a millisecond, as others may use the machine.
func Peak() float64 {
	const n = 100_000
	best := 0.0
	for i := range 50 {
		start := time.Now()
		sum := peakLoop(n, float32(i))
		best = max(best, n*16/time.Since(start).Seconds()/1e9)
		runtime.KeepAlive(sum)
	}
	return best
}

// peakLoop runs eight chains of multiply-adds n times.
func peakLoop(n int, x float32) float32 {
	var c0, c1, c2, c3, c4, c5, c6, c7 float32
	for range n {
		c0 = mulAdd(c0, x, c0)
		c1 = mulAdd(c1, x, c1)
		c2 = mulAdd(c2, x, c2)
		c3 = mulAdd(c3, x, c3)
		c4 = mulAdd(c4, x, c4)
		c5 = mulAdd(c5, x, c5)
		c6 = mulAdd(c6, x, c6)
		c7 = mulAdd(c7, x, c7)
	}
	return c0 + c1 + c2 + c3 + c4 + c5 + c6 + c7
}

// PackA lays op(A) out in rows.
func (p *multiplier[T]) PackA(trans bool, m, k int, x []T, ld int) *backend.Packed[T] {
	return &backend.Packed[T]{Rows: m, Cols: k, Data: packRows(!trans, m, k, x, ld), Operand: "a", By: p}
}

// PackB lays op(B) out in columns.
func (p *multiplier[T]) PackB(trans bool, k, n int, x []T, ld int) *backend.Packed[T] {
	return &backend.Packed[T]{Rows: k, Cols: n, Data: packRows(trans, n, k, x, ld), Operand: "b", By: p}
}

// packRows copies a matrix of that many rows, or the transpose of one that is stored by its columns.
func packRows[T backend.Float](byRows bool, rows, cols int, x []T, ld int) []T {
	y := make([]T, rows*cols)
	if byRows {
		for i := range rows {
			copy(y[i*cols:][:cols], x[i*ld:])
		}
	} else {
		transposeInto(y, x, ld, cols, rows)
	}
	return y
}
