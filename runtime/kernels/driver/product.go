package driver

import (
	"fmt"

	"github.com/graphrun/graphrun/runtime/kernels/backend"
	"github.com/graphrun/graphrun/runtime/kernels/parallel"
)

// Product is a matrix product of fixed shape, or a batch of them, to be run again and again. Runs of one Product must not overlap.
type Product[TA, TB, TC backend.Number] struct {
	parallel.Stoppable
	productPlan
	by       backend.Multiplier[TA, TB, TC]
	g        backend.Matrices[TA, TB, TC] // of the whole batch; in a chunk, a copy
	epilogue backend.Epilogue
	workers  []worker[TA, TB, TC]
}

// productPlan is what a Product does, whatever its types.
type productPlan struct {
	shape                   backend.Shape
	batch, strideA, strideB []int
	count                   int // products in the batch
	lastA, lastB            int // where the last ones start
	rows, cols              int // of a part of C, which is a chunk of work ...
	across, parts           int
	group                   int // ... or so many whole products
	threads                 int // that the parts are for
}

// worker is what a worker of a run has for itself: scratch, if it has begun, and the product that it works on.
type worker[TA, TB, TC backend.Number] struct {
	scratch []TC
	g       backend.Matrices[TA, TB, TC]
}

// NewProduct prepares a batch of products of the shape of g, whose slices are left out. The batch is laid out by the dims of
// batch: A and B step by strideA and strideB elements along each, 0 where they broadcast; each C follows the one before,
// M rows of Ldc elements. No dims are one product.
func NewProduct[TA, TB, TC backend.Number](by backend.Multiplier[TA, TB, TC], g backend.Matrices[TA, TB, TC], batch, strideA, strideB []int) *Product[TA, TB, TC] {
	g.K = max(g.K, 0)
	p := &Product[TA, TB, TC]{by: by, g: g, productPlan: newProductPlan(g.Shape, batch, strideA, strideB)}
	if x := g.PackedA; x != nil {
		fits(x.By == by && p.lastA == 0, "a", g.M, g.K, x.Operand, x.Rows, x.Cols)
	}
	if g.PackedB != nil {
		p.PackB(g.PackedB)
	}
	if !p.empty() {
		reserve[TC](by.Scratch(), 0)
	}
	return p
}

// PackB lets x, which the multiplier's PackB made, take the place of B in the runs that follow.
func (p *Product[TA, TB, TC]) PackB(x *backend.Packed[TB]) {
	fits(x.By == p.by && p.lastB == 0, "b", p.g.K, p.g.N, x.Operand, x.Rows, x.Cols)
	p.g.PackedB = x
}

// fits panics unless an operand is packed for its product: by its multiplier, for a batch that shares it, and as what it is.
func fits(its bool, name string, rows, cols int, operand string, r, c int) {
	if !its || operand != name || r != rows || c != cols {
		panic(fmt.Sprintf("gemm: %s is not packed for this product: it is %s, %d x %d", name, operand, r, c))
	}
}

// Run computes the products, and calls the epilogue, if there is one, for all elements of C. The rows of C are numbered through the
// batch.
func (p *Product[TA, TB, TC]) Run(a []TA, b []TB, c []TC, epilogue backend.Epilogue) {
	g := &p.g
	if p.empty() {
		return
	}
	p.check(len(a), len(b), len(c), g.PackedA == nil, g.PackedB == nil)
	g.A, g.B, g.C, p.epilogue = a, b, c, epilogue
	if threads := parallel.Threads(); threads != p.threads {
		mr, nr := p.by.Tile()
		p.plan(threads, p.by.MinWork(), mr, nr)
		p.Workers(1)
	}
	chunks := p.chunks()
	if chunks == 1 {
		parallel.Alone(1, p)
	} else {
		parallel.Run(chunks, p)
	}
	for i := range p.workers {
		if s := p.workers[i].scratch; s != nil {
			give(s)
			p.workers[i] = worker[TA, TB, TC]{}
		}
	}
	g.A, g.B, g.C, p.epilogue = nil, nil, nil, nil
}

// check panics unless all elements that the products touch exist, of A and B where they are read, and rows of C are apart.
func (p *productPlan) check(a, b, c int, readsA, readsB bool) {
	s := &p.shape
	if s.Ldc < s.N && (s.M > 1 || p.count > 1) {
		panic(fmt.Sprintf("gemm: ldc is %d, needs %d", s.Ldc, s.N))
	}
	needOperand("c", false, p.count*s.M, s.N, c, s.Ldc)
	if s.K == 0 {
		return
	}
	if readsA {
		needOperand("a", s.TransA, s.M, s.K, a-p.lastA, s.Lda)
	}
	if readsB {
		needOperand("b", s.TransB, s.K, s.N, b-p.lastB, s.Ldb)
	}
}

// needOperand panics if have elements do not hold rows x cols of them, or the transpose.
func needOperand(name string, trans bool, rows, cols, have, ld int) {
	if trans {
		rows, cols = cols, rows
	}
	backend.NeedMatrix("gemm", name, rows, cols, have, ld)
}

func newProductPlan(shape backend.Shape, batch, strideA, strideB []int) productPlan {
	p := productPlan{shape: shape, batch: batch, strideA: strideA, strideB: strideB, count: 1}
	for i, d := range batch {
		p.count *= d
		p.lastA += (d - 1) * strideA[i]
		p.lastB += (d - 1) * strideB[i]
	}
	return p
}

// empty reports whether there is nothing to compute.
func (p *productPlan) empty() bool { return p.count <= 0 || p.shape.M <= 0 || p.shape.N <= 0 }

// chunks returns how many chunks there are.
func (p *productPlan) chunks() int {
	if p.parts == 1 {
		return backend.CeilDiv(p.count, p.group)
	}
	return p.parts * p.count
}

// longChunk is how many multiply-adds take some tenths of a second: what is stopped ends between chunks.
const longChunk = 1 << 33

// plan cuts the work into chunks for so many threads. least is the number of multiply-adds that are worth handing out, and parts are
// best multiples of mr and nr. No bits depend on it.
func (p *productPlan) plan(threads, least, mr, nr int) {
	p.threads = threads
	m, n := p.shape.M, p.shape.N
	p.rows, p.cols, p.group = m, n, p.count
	depth := float64(max(p.shape.K, 1))
	work := float64(m) * float64(n) * depth
	enough, chunks := 2*float64(least), 0
	if threads > 1 && work*float64(p.count) >= enough {
		chunks = 4 * threads
		p.group = max(1, min(p.count/chunks, int(float64(p.count)*float64(least)/work)))
	}
	if work*float64(p.count) > longChunk {
		p.group = max(1, min(p.group, int(longChunk/work)))
	}
	for p.group == 1 {
		part := float64(p.rows) * float64(p.cols) * depth
		few := p.count*backend.CeilDiv(m, p.rows)*backend.CeilDiv(n, p.cols) < chunks
		if !(few && part >= enough) && part <= longChunk {
			break
		}
		r, c := roundUp(backend.CeilDiv(p.rows, 2), mr), roundUp(backend.CeilDiv(p.cols, 2), nr)
		switch {
		case c < p.cols && (p.cols >= p.rows || r >= p.rows):
			p.cols = c
			continue
		case r < p.rows:
			p.rows = r
			continue
		}
		break
	}
	p.across = backend.CeilDiv(n, p.cols)
	p.parts = backend.CeilDiv(m, p.rows) * p.across
}

// offsets returns where product i of the batch starts in A and B.
func (p *productPlan) offsets(i int) (a, b int) {
	for d := len(p.batch) - 1; d >= 0 && i > 0; d-- {
		j := i % p.batch[d]
		i /= p.batch[d]
		a += j * p.strideA[d]
		b += j * p.strideB[d]
	}
	return a, b
}

// Workers makes room for n workers: see [parallel.Sized].
func (p *Product[TA, TB, TC]) Workers(n int) {
	for len(p.workers) < n {
		p.workers = append(p.workers, worker[TA, TB, TC]{})
	}
	if p.epilogue != nil {
		p.epilogue.Workers(n)
	}
}

// Do computes a chunk: see [parallel.Task].
func (p *Product[TA, TB, TC]) Do(worker, chunk int) {
	if w := &p.workers[worker]; w.scratch == nil {
		w.scratch = take[TC](p.by.Scratch())
	}
	g := &p.g
	if p.parts > 1 {
		part := chunk % p.parts
		i0, j0 := part/p.across*p.rows, part%p.across*p.cols
		p.multiply(worker, chunk/p.parts, i0, min(i0+p.rows, g.M), j0, min(j0+p.cols, g.N))
		return
	}
	for i := chunk * p.group; i < min((chunk+1)*p.group, p.count); i++ {
		p.multiply(worker, i, 0, g.M, 0, g.N)
	}
}

// multiply computes a part of product i of the batch.
func (p *Product[TA, TB, TC]) multiply(worker, i, i0, i1, j0, j1 int) {
	w := &p.workers[worker]
	w.g = p.g
	g := &w.g
	done := backend.NewDone(p.epilogue, worker, i*g.M)
	g.C = g.C[i*g.M*g.Ldc:]
	if g.K == 0 {
		if !g.Accumulate {
			for r := i0; r < i1; r++ {
				clear(g.C[r*g.Ldc:][j0:j1])
			}
		}
		done.Block(i0, i1, j0, j1)
		return
	}
	offA, offB := p.offsets(i)
	g.A, g.B = g.A[offA:], g.B[offB:]
	p.by.Multiply(g, w.scratch, done, i0, i1, j0, j1)
}
