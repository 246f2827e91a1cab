//go:build amd64 && !noasm

package simd

import (
	"sync"
	"sync/atomic"
	"unsafe"

	"golang.org/x/sys/cpu"

	"github.com/graphrun/graphrun/runtime/kernels/portable"
)

// Blocks of the five loops. maxK is part of the meaning of the kernels, as it
// sets the order of summation; the others only set the speed.
//
// A block of B (maxK rows of blockN float32) takes half of a 1 MiB second-level
// cache, one of A (blockM x maxK) a fifth of it; a panel of B (maxK x 2 vectors)
// and a tile's rows of A stay in the first level or stream from the second.
const (
	maxK   = 384
	blockM = 128
	blockN = 384

	// directCols is the number of columns of C up to which A is not packed.
	directCols = 64

	// swapCols is the number of columns of C up to which the product is computed as
	// its transpose: rows of one vector would be nearly empty.
	swapCols = 2

	// serialWork is the number of multiply-adds, times the size of an element, under
	// which a second goroutine costs more than it brings: waking one can take longer
	// than the work.
	serialWork = 1 << 24
	// partWork is about the least that is worth handing out, in multiply-adds.
	partWork = 1 << 18
)

// tileFunc updates a tile of C, of as many rows and vectors as the function is
// for; cols is the number of columns in its last vector, at least 1. Element
// (i, p) of A is ars*i + aks*p elements from a, row p of B starts bks*p from b,
// row i of C ldc*i from c. C is set to the product of k > 0 columns of A and rows
// of B, which if add is added to it. Nothing beyond cols is read or written.
type tileFunc[T portable.Float] func(k int, a *T, ars, aks int, b *T, bks int, c *T, ldc, cols int, add bool)

// transposeFunc writes the transpose of src, of up to a block of rows lds apart, to
// dst, whose rows are ldd apart: the first k columns, rounded down to blocks, at
// least one. Rows up to a full block are written whatever they hold.
type transposeFunc[T portable.Float] func(k int, src *T, lds, rows int, dst *T, ldd int)

// engine is the kernels of one level for one type.
type engine[T portable.Float] struct {
	// lanes is the number of elements in a vector.
	lanes int
	// tiles holds the micro-kernels by vectors and rows.
	tiles [5][]tileFunc[T]
	// copyPanel packs two vectors of a row.
	copyPanel func(k int, src *byte, stride int, dst *byte)
	// transpose works in blocks of side x side.
	transpose transposeFunc[T]
	side      int
	// directRows is the number of rows of C up to which B is read too rarely to pay
	// for packing it, nearRows the same for a block of B of up to nearBytes, which
	// stays in the second-level cache as it is.
	directRows, nearRows, nearBytes int
}

// state is what calls for one type share.
type state[T portable.Float] struct {
	engine  engine[T]
	scratch sync.Pool // *scratch[T]
	jobs    sync.Pool // *job[T]
}

var (
	stateF32 state[float32]
	stateF64 state[float64]
)

// supported returns the levels of this processor, best first.
func supported() []string {
	var s []string
	x := &cpu.X86
	if x.HasAVX2 && x.HasFMA && x.HasBMI2 {
		if x.HasAVX512F && x.HasAVX512DQ && x.HasAVX512VL && x.HasAVX512BW {
			s = append(s, levelAVX512)
		}
		s = append(s, levelAVX2)
	}
	return append(s, levelGeneric)
}

func setLevel(l string) {
	level = l
	switch l {
	case levelAVX512:
		stateF32.engine = avx512(tilesF32AVX512, transposeF32, 8)
		stateF64.engine = avx512(tilesF64AVX512, transposeF64, 4)
	case levelAVX2:
		stateF32.engine = avx2(tilesF32AVX2, transposeF32, 8)
		stateF64.engine = avx2(tilesF64AVX2, transposeF64, 4)
	}
}

func avx512[T portable.Float](tiles [5][]tileFunc[T], transpose transposeFunc[T], side int) engine[T] {
	return engine[T]{
		lanes: 2 * side, tiles: tiles, copyPanel: copyPanel128, transpose: transpose, side: side,
		directRows: 32, nearRows: 128, nearBytes: 512 << 10,
	}
}

// avx2 packs B earlier: its smaller tiles read B more often, and processors that
// have no more than it have smaller caches.
func avx2[T portable.Float](tiles [5][]tileFunc[T], transpose transposeFunc[T], side int) engine[T] {
	return engine[T]{
		lanes: side, tiles: tiles, copyPanel: copyPanel64, transpose: transpose, side: side,
		directRows: 16, nearRows: 64, nearBytes: 128 << 10,
	}
}

// blockK returns the size of the blocks of K, the last of which may be shorter. It
// depends on K only, and not on the level.
func blockK(k int) int {
	blocks := max(1, (k+maxK-1)/maxK)
	return ((k+blocks-1)/blocks + 7) &^ 7
}

func ceil(x, y int) int { return (x + y - 1) / y }

// gemm runs a product, on several goroutines if it is large.
func (s *state[T]) gemm(g gemm[T]) {
	if g.k == 0 {
		if !g.accumulate {
			for i := range g.m {
				clear(g.c[i*g.ldc:][:g.n])
			}
		}
		return
	}
	if g.n <= swapCols && g.m > g.n {
		s.swapped(g)
		return
	}
	threads := portable.Threads()
	if threads == 1 || float64(g.m)*float64(g.n)*float64(g.k)*float64(unsafe.Sizeof(g.a[0])) < serialWork {
		w := s.get()
		s.engine.block(&g, w, 0, g.m, 0, g.n)
		s.scratch.Put(w)
		return
	}
	s.parallel(g, threads)
}

// swapped computes the transpose of a product with few columns in scratch.
func (s *state[T]) swapped(g gemm[T]) {
	m, n := g.m, g.n
	h := gemm[T]{!g.transB, !g.transA, n, m, g.k, g.b, g.ldb, g.a, g.lda, g.c, m, g.accumulate}
	if n == 1 && g.ldc == 1 {
		s.gemm(h)
		return
	}
	w := s.get()
	w.c = grow(w.c, m*n)
	h.c = w.c
	if g.accumulate {
		for i := range m {
			for j, v := range g.c[i*g.ldc:][:n] {
				h.c[j*m+i] = v
			}
		}
	}
	s.gemm(h)
	for i := range m {
		row := g.c[i*g.ldc:][:n]
		for j := range row {
			row[j] = h.c[j*m+i]
		}
	}
	s.scratch.Put(w)
}

// scratch is the memory of one goroutine: packed blocks of A and B, and the
// result of a swapped product.
type scratch[T portable.Float] struct{ a, b, c []T }

func (s *state[T]) get() *scratch[T] {
	if w, ok := s.scratch.Get().(*scratch[T]); ok {
		return w
	}
	return new(scratch[T])
}

// grow returns s with at least n elements, which start at a multiple of 64 bytes.
func grow[T portable.Float](s []T, n int) []T {
	if len(s) >= n {
		return s
	}
	s = make([]T, n+n/4+16)
	at := uintptr(unsafe.Pointer(unsafe.SliceData(s)))
	return s[(-at&63)/unsafe.Sizeof(s[0]):]
}

// job is a product shared by several goroutines, which take its parts in turn.
type job[T portable.Float] struct {
	s          *state[T]
	g          gemm[T]
	rows, cols int // of a part
	across     int // parts in a row
	parts      int
	next       atomic.Int64
	wg         sync.WaitGroup
	// work is the method of the same name, bound once: starting it as a goroutine
	// does not allocate.
	work func()
}

// parallel cuts C into parts, at multiples of the largest tile, and computes them
// on up to threads goroutines.
func (s *state[T]) parallel(g gemm[T], threads int) {
	e := &s.engine
	mr, nr := len(e.tiles[2])-1, 2*e.lanes
	rows, cols := g.m, g.n
	for ceil(g.m, rows)*ceil(g.n, cols) < 4*threads && float64(rows)*float64(cols)*float64(g.k) > 2*partWork {
		r, c := ceil(ceil(rows, 2), mr)*mr, ceil(ceil(cols, 2), nr)*nr
		if c < cols && (cols >= rows || r <= e.directRows) {
			cols = c
		} else if r < rows {
			rows = r
		} else {
			break
		}
	}
	j, ok := s.jobs.Get().(*job[T])
	if !ok {
		j = &job[T]{s: s}
		j.work = func() { defer j.wg.Done(); j.run() }
	}
	j.g, j.rows, j.cols = g, rows, cols
	j.across = ceil(g.n, cols)
	j.parts = ceil(g.m, rows) * j.across
	j.next.Store(0)
	for range min(threads, j.parts) - 1 {
		j.wg.Add(1)
		go j.work()
	}
	j.run()
	j.wg.Wait()
	j.g = gemm[T]{}
	s.jobs.Put(j)
}

func (j *job[T]) run() {
	w := j.s.get()
	for {
		p := int(j.next.Add(1)) - 1
		if p >= j.parts {
			break
		}
		i0, j0 := p/j.across*j.rows, p%j.across*j.cols
		j.s.engine.block(&j.g, w, i0, min(i0+j.rows, j.g.m), j0, min(j0+j.cols, j.g.n))
	}
	j.s.scratch.Put(w)
}

// block computes rows i0 to i1 and columns j0 to j1 of C.
func (e *engine[T]) block(g *gemm[T], w *scratch[T], i0, i1, j0, j1 int) {
	kb := blockK(g.k)
	size := int(unsafe.Sizeof(g.a[0]))
	vectors := 2
	switch {
	case i1-i0 < len(e.tiles[4]) && !g.transB:
		vectors = 4
	case j1-j0 <= e.lanes:
		vectors = 1
	}
	width := vectors * e.lanes
	mr := len(e.tiles[vectors]) - 1
	directB := !g.transB && (i1-i0 <= e.directRows || i1-i0 <= e.nearRows && min(kb, g.k)*g.ldb*size <= e.nearBytes)
	directA := j1-j0 <= directCols
	mb, nb := i1-i0, blockN*4/size
	if !directA {
		mb = min(mb, ceil(blockM, mr)*mr)
	}
	// A panel of B is packed when the first block of A meets it; if that is the only
	// one, the next panel may take its place.
	once := mb == i1-i0
	if once || directB {
		nb = j1 - j0
	}
	switch {
	case once && !directB:
		w.b = grow(w.b, width*kb)
	case !directB:
		w.b = grow(w.b, ceil(min(nb, j1-j0), width)*width*kb)
	}
	if !directA {
		w.a = grow(w.a, mb*strideA(kb))
	}
	for jc := j0; jc < j1; jc += nb {
		nc := min(nb, j1-jc)
		for k0 := 0; k0 < g.k; k0 += kb {
			kc := min(kb, g.k-k0)
			add := g.accumulate || k0 > 0
			for ic := i0; ic < i1; ic += mb {
				mc := min(mb, i1-ic)
				a, ars, aks := g.a, g.lda, 1
				ai := ic*g.lda + k0
				if g.transA {
					ars, aks = 1, g.lda
					ai = k0*g.lda + ic
				}
				if !directA {
					e.packA(g, w.a, ic, mc, k0, kc)
					a, ai, ars, aks = w.a, 0, strideA(kc), 1
				}
				for j := 0; j < nc; j += width {
					cols := min(width, nc-j)
					vs := ceil(cols, e.lanes)
					cols -= (vs - 1) * e.lanes
					b, bks := &w.b, width
					bi := j * kc
					switch {
					case directB:
						b, bks = &g.b, g.ldb
						bi = k0*g.ldb + jc + j
					case once:
						bi = 0
						e.packB(g, w.b, width, k0, kc, jc+j, min(width, nc-j))
					case ic == i0:
						e.packB(g, w.b[bi:], width, k0, kc, jc+j, min(width, nc-j))
					}
					bp := &(*b)[bi]
					ci := ic*g.ldc + jc + j
					parts := ceil(mc, mr)
					for p, lo := 1, 0; p <= parts; p++ {
						hi := p * mc / parts
						e.tiles[vs][hi-lo](kc, &a[ai+lo*ars], ars, aks, bp, bks, &g.c[ci+lo*g.ldc], g.ldc, cols, add)
						lo = hi
					}
				}
			}
		}
	}
}

// strideA returns the distance of packed rows of A of n elements: a block of the
// transposition may write beyond a row, and a distance of an odd number of 64
// bytes (128 for float64) keeps rows out of each other's sets in the cache.
func strideA(n int) int { return ceil(n, 16)*16 | 16 }

// packA copies a block of op(A) to rows that are strideA(kc) apart. What lies
// between the rows holds anything.
func (e *engine[T]) packA(g *gemm[T], dst []T, i0, mc, k0, kc int) {
	ld := strideA(kc)
	if g.transA {
		for p := 0; p < kc; p += e.side {
			e.transposed(g.a[(k0+p)*g.lda+i0:], g.lda, min(e.side, kc-p), mc, dst[p:], ld)
		}
		return
	}
	for i := range mc {
		copy(dst[i*ld:][:kc], g.a[(i0+i)*g.lda+k0:])
	}
}

// packB copies a panel of op(B), kc rows of up to width columns. Columns beyond
// those hold anything.
func (e *engine[T]) packB(g *gemm[T], panel []T, width, k0, kc, j0, cols int) {
	panel = panel[:width*kc]
	switch {
	case g.transB:
		for c := 0; c < cols; c += e.side {
			e.transposed(g.b[(j0+c)*g.ldb+k0:], g.ldb, min(e.side, cols-c), kc, panel[c:], width)
		}
	case cols == 2*e.lanes && cols == width:
		e.copyPanel(kc, (*byte)(unsafe.Pointer(&g.b[k0*g.ldb+j0])), g.ldb*int(unsafe.Sizeof(g.b[0])), (*byte)(unsafe.Pointer(&panel[0])))
	default:
		for p := range kc {
			copy(panel[p*width:][:cols], g.b[(k0+p)*g.ldb+j0:])
		}
	}
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
	e.transpose(kc, &src[0], ld, rows, &dst[0], ldd)
	if kc%e.side != 0 {
		// The last block overlaps the one before.
		last := kc - e.side
		e.transpose(e.side, &src[last], ld, rows, &dst[last*ldd], ldd)
	}
}
