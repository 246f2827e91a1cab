package portable

// The GEMM cuts C into tiles of tileM x tileN and the sum over K into blocks of
// tileK. Operands that do not run along K are transposed into scratch, so that
// the micro-kernel is always dot products of rows: two rows of A with four rows
// of transposed B, eight accumulators, which is what sixteen scalar registers
// hold with the six loaded values (measured: 7.5-8 GFLOP/s at float32, against
// 3-4 for 3x4, 2x6 and 4x4, which spill, and 6-7 for a packed 4-wide panel).
//
// Order of summation, the same in every path: within a block of tileK one
// accumulator starts at zero and takes the products in order of k; the sums of
// the blocks are then added in order. It depends on K only.
const (
	tileM = 128
	tileN = 64
	tileK = 256
)

// gemmSmall is the number of rows (columns) up to which transposing an operand
// costs more than walking it along its rows, and gemmShort the K up to which dot
// products do.
const (
	gemmSmall = 2
	gemmShort = 8
)

// GemmScratchLen returns the length of the scratch that Gemm, GemmStrided and
// BatchGemm need for that many workers.
func GemmScratchLen(transA, transB bool, m, n, k, workers int) int {
	return workers * gemmWorkerLen(transA, transB, m, n, k)
}

func gemmWorkerLen(transA, transB bool, m, n, k int) int {
	kc := min(k, tileK)
	l := 0
	if transA {
		l += min(m, tileM) * kc
	}
	if !transB {
		l += min(n, tileN) * kc
	}
	return l
}

// Gemm computes C = op(A)·op(B) for contiguous row-major matrices: C is m x n,
// op(A) is m x k and stored as k x m if transA, op(B) is k x n and stored as
// n x k if transB. With k == 0, C is zero. A row of C has the same bits for any
// m, a column for any n.
func Gemm[T Float](transA, transB bool, m, n, k int, a, b, c, scratch []T) {
	lda, ldb := k, n
	if transA {
		lda = m
	}
	if transB {
		ldb = k
	}
	GemmStrided(transA, transB, m, n, k, a, lda, b, ldb, c, n, false, scratch)
}

// GemmStrided is Gemm on matrices whose rows, as stored, are lda, ldb and ldc
// elements apart. If accumulate, it adds the product to C, block of K by block.
func GemmStrided[T Float](transA, transB bool, m, n, k int, a []T, lda int, b []T, ldb int, c []T, ldc int, accumulate bool, scratch []T) {
	if m <= 0 || n <= 0 {
		return
	}
	needGemm("Gemm", transA, transB, m, n, k, len(a), lda, len(b), ldb, len(c), ldc)
	g := gemm[T]{transA, transB, m, n, k, a, lda, b, ldb, c, ldc, accumulate}
	tiles := g.tiles()
	per := gemmWorkerLen(transA, transB, m, n, k)
	if tiles == 1 || serial(m*n*k/4) {
		if scratch == nil && per > 0 {
			scratch = make([]T, per)
		}
		need("Gemm", "scratch", len(scratch), per)
		for t := range tiles {
			g.tile(t, scratch[:per])
		}
		return
	}
	g.parallel(tiles, scratch)
}

// parallel is a method of a copy, so that only parallel products allocate.
func (g gemm[T]) parallel(tiles int, scratch []T) {
	per := gemmWorkerLen(g.transA, g.transB, g.m, g.n, g.k)
	s, workers := workerScratch("Gemm", scratch, 0, per)
	parallelWorkers(tiles, 1, workers, func(w, lo, hi int) {
		for t := lo; t < hi; t++ {
			g.tile(t, s[w*per:(w+1)*per])
		}
	})
}

// BatchGemm computes a contiguous batch of products C[i] = op(A[i])·op(B[i])
// over the index space of the dims in batch. The matrices of A (of B) are
// contiguous; their element strides along the dims of batch are in strideA
// (strideB), where 0 broadcasts. Scratch is as for one Gemm.
func BatchGemm[T Float](transA, transB bool, batch []int, m, n, k int, a []T, strideA []int, b []T, strideB []int, c, scratch []T) {
	count, lastA, lastB := 1, 0, 0
	for i, d := range batch {
		count *= d
		lastA += (d - 1) * strideA[i]
		lastB += (d - 1) * strideB[i]
	}
	if count <= 0 || m <= 0 || n <= 0 {
		return
	}
	lda, ldb := k, n
	if transA {
		lda = m
	}
	if transB {
		ldb = k
	}
	needGemm("BatchGemm", transA, transB, m, n, k, len(a)-lastA, lda, len(b)-lastB, ldb, len(c)-(count-1)*m*n, n)
	g := gemm[T]{transA, transB, m, n, k, a, lda, b, ldb, c, n, false}
	tiles := g.tiles()
	per := gemmWorkerLen(transA, transB, m, n, k)
	if count*tiles == 1 || serial(count*m*n*k/4) {
		if scratch == nil && per > 0 {
			scratch = make([]T, per)
		}
		need("BatchGemm", "scratch", len(scratch), per)
		for i := range count {
			h := g.at(i, batch, strideA, strideB)
			for t := range tiles {
				h.tile(t, scratch[:per])
			}
		}
		return
	}
	g.batchParallel(count, tiles, batch, strideA, strideB, scratch)
}

func (g gemm[T]) batchParallel(count, tiles int, batch, strideA, strideB []int, scratch []T) {
	m, n, k := g.m, g.n, g.k
	per := gemmWorkerLen(g.transA, g.transB, m, n, k)
	s, workers := workerScratch("BatchGemm", scratch, 0, per)
	grain := max(1, serialWork/(4*max(m*n*k/tiles, 1)))
	parallelWorkers(count*tiles, grain, workers, func(w, lo, hi int) {
		for t := lo; t < hi; t++ {
			h := g.at(t/tiles, batch, strideA, strideB)
			h.tile(t%tiles, s[w*per:(w+1)*per])
		}
	})
}

func needGemm(kernel string, transA, transB bool, m, n, k, a, lda, b, ldb, c, ldc int) {
	need(kernel, "c", c, (m-1)*ldc+n)
	if k <= 0 {
		return
	}
	if transA {
		need(kernel, "a", a, (k-1)*lda+m)
	} else {
		need(kernel, "a", a, (m-1)*lda+k)
	}
	if transB {
		need(kernel, "b", b, (n-1)*ldb+k)
	} else {
		need(kernel, "b", b, (k-1)*ldb+n)
	}
}

// gemm is one product: see GemmStrided for the meaning of its fields.
type gemm[T Float] struct {
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
	return ((g.m + tileM - 1) / tileM) * ((g.n + tileN - 1) / tileN)
}

// at returns product i of a batch.
func (g *gemm[T]) at(i int, batch, strideA, strideB []int) gemm[T] {
	h := *g
	h.c = g.c[i*g.m*g.n:]
	offA, offB := 0, 0
	for d := len(batch) - 1; d >= 0; d-- {
		j := i % batch[d]
		i /= batch[d]
		offA += j * strideA[d]
		offB += j * strideB[d]
	}
	h.a, h.b = g.a[offA:], g.b[offB:]
	return h
}

// tile computes tile t of C.
func (g *gemm[T]) tile(t int, scratch []T) {
	cols := (g.n + tileN - 1) / tileN
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
		if !g.transB && (mb <= gemmSmall || g.k <= gemmShort) {
			ai, astep, arow := i0*g.lda+k0, 1, g.lda
			if g.transA {
				ai, astep, arow = k0*g.lda+i0, g.lda, 1
			}
			for i := range mb {
				axpyTile(nb, kc, g.a[ai+i*arow:], astep, g.b[k0*g.ldb+j0:], g.ldb, c[i*g.ldc:], 1, add)
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
func dotTile[T Float](mb, nb, kc int, a []T, lda int, b []T, ldb int, c []T, ldc int, add bool) {
	j := 0
	for ; j+4 <= nb; j += 4 {
		b0 := b[j*ldb : j*ldb+kc]
		b1 := b[(j+1)*ldb : (j+1)*ldb+kc]
		b2 := b[(j+2)*ldb : (j+2)*ldb+kc]
		b3 := b[(j+3)*ldb : (j+3)*ldb+kc]
		i := 0
		for ; i+2 <= mb; i += 2 {
			c00, c01, c02, c03, c10, c11, c12, c13 := dot2x4(a[i*lda:i*lda+kc], a[(i+1)*lda:(i+1)*lda+kc], b0, b1, b2, b3)
			p := (*[4]T)(c[i*ldc+j:])
			q := (*[4]T)(c[(i+1)*ldc+j:])
			if add {
				p[0] += c00
				p[1] += c01
				p[2] += c02
				p[3] += c03
				q[0] += c10
				q[1] += c11
				q[2] += c12
				q[3] += c13
			} else {
				p[0], p[1], p[2], p[3] = c00, c01, c02, c03
				q[0], q[1], q[2], q[3] = c10, c11, c12, c13
			}
		}
		if i < mb {
			c00, c01, c02, c03 := dot1x4(a[i*lda:i*lda+kc], b0, b1, b2, b3)
			p := (*[4]T)(c[i*ldc+j:])
			if add {
				p[0] += c00
				p[1] += c01
				p[2] += c02
				p[3] += c03
			} else {
				p[0], p[1], p[2], p[3] = c00, c01, c02, c03
			}
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
func mulAdd[T Float](c, x, y T) T {
	if fused {
		return c + x*y
	}
	return c + T(x*y)
}

// dot2x4 returns the dot products of two rows with four, of equal length.
func dot2x4[T Float](a0, a1, b0, b1, b2, b3 []T) (c00, c01, c02, c03, c10, c11, c12, c13 T) {
	a1 = a1[:len(a0)]
	b0 = b0[:len(a0)]
	b1 = b1[:len(a0)]
	b2 = b2[:len(a0)]
	b3 = b3[:len(a0)]
	for p, x0 := range a0 {
		x1 := a1[p]
		y0, y1, y2, y3 := b0[p], b1[p], b2[p], b3[p]
		c00 = mulAdd(c00, x0, y0)
		c01 = mulAdd(c01, x0, y1)
		c02 = mulAdd(c02, x0, y2)
		c03 = mulAdd(c03, x0, y3)
		c10 = mulAdd(c10, x1, y0)
		c11 = mulAdd(c11, x1, y1)
		c12 = mulAdd(c12, x1, y2)
		c13 = mulAdd(c13, x1, y3)
	}
	return
}

// dot1x4 returns the dot products of one row with four, of equal length.
func dot1x4[T Float](a0, b0, b1, b2, b3 []T) (c0, c1, c2, c3 T) {
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
func dot1x1[T Float](a, b []T) (c T) {
	b = b[:len(a)]
	for p, x := range a {
		c = mulAdd(c, x, b[p])
	}
	return
}

// axpyTile computes one row of C, of n <= tileM elements cs apart, as the
// sum over p < kc of x[p*xs] times row p of B (rows ldb apart), in the order of
// dotTile, but walking B along its rows.
func axpyTile[T Float](n, kc int, x []T, xs int, b []T, ldb int, c []T, cs int, add bool) {
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
