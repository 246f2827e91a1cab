package portable

import (
	"fmt"
	"math/bits"

	"github.com/graphrun/graphrun/runtime/kernels/parallel"
)

// Matrices is one matrix product on row-major matrices: C = op(A)·op(B), or C += op(A)·op(B) if Accumulate. C is M x N; op(A)
// is M x K, stored as K x M if TransA; op(B) is K x N, stored as N x K if TransB. Rows as stored are Lda, Ldb and Ldc elements
// apart. With K == 0 the product is zero. C does not overlap A or B.
type Matrices[T Float] struct {
	TransA, TransB bool
	M, N, K        int
	A              []T
	Lda            int
	B              []T
	Ldb            int
	C              []T
	Ldc            int
	Accumulate     bool
	// PackedA and PackedB, if set, take the place of A and B: what Multiplier.PackA and PackB made of them.
	PackedA, PackedB *Packed[T]
}

// Packed is an operand of matrix products in the order in which a Multiplier reads it. It does not change, and any number of
// products may share it.
type Packed[T Float] struct {
	// Rows and Cols are the shape of the operand, op applied.
	Rows, Cols int
	Data       []T
	operand    string // a or b
	by         Multiplier[T]
}

// NewPacked is for Multipliers; operand is a or b.
func NewPacked[T Float](by Multiplier[T], operand string, rows, cols int, data []T) *Packed[T] {
	return &Packed[T]{rows, cols, data, operand, by}
}

// Multiplier is one implementation of matrix products.
type Multiplier[T Float] interface {
	// Multiply computes rows i0 to i1 and columns j0 to j1 of C, and reports each element to done once, when it has its
	// final value. The bits of an element depend on its row of op(A), its column of op(B) and K only. K is positive.
	Multiply(g *Matrices[T], scratch []T, done Done, i0, i1, j0, j1 int)
	// Tile returns what the rows and columns of a part of C are best multiples of.
	Tile() (rows, cols int)
	// MinWork returns the number of multiply-adds that are worth handing to another goroutine.
	MinWork() int
	// Scratch returns how many elements of scratch Multiply needs; it starts at a multiple of 64 bytes.
	Scratch() int
	// PackA and PackB return an operand in the order in which Multiply reads it: products with it have the same bits. What is in x
	// is copied.
	PackA(trans bool, m, k int, x []T, ld int) *Packed[T]
	PackB(trans bool, k, n int, x []T, ld int) *Packed[T]
}

// Done hands finished parts of a product to its epilogue.
type Done struct {
	epilogue    Epilogue
	worker, row int
}

// Active reports whether there is an epilogue.
func (d Done) Active() bool { return d.epilogue != nil }

// Block says that rows i0 to i1 and columns j0 to j1 of the product have their final values.
func (d Done) Block(i0, i1, j0, j1 int) {
	if d.epilogue != nil {
		d.epilogue.Apply(d.worker, d.row+i0, d.row+i1, j0, j1)
	}
}

// blockElements is how many elements an epilogue is best called for: enough to make the call cheap, few enough to stay in cache.
const blockElements = 8192

// Columns returns how many columns of a block of that many rows to finish before Block is called, a multiple of width.
func (d Done) Columns(rows, width int) int {
	return max(1, max(blockElements/max(rows, 1), 64)/width) * width
}

// Product is a matrix product of fixed shape, or a batch of them, to be run again and again. Runs of one Product must not overlap.
type Product[T Float] struct {
	by                      Multiplier[T]
	g                       Matrices[T] // of the whole batch; in a chunk, a copy
	batch, strideA, strideB []int
	count                   int // products in the batch
	lastA, lastB            int // where the last ones start
	rows, cols              int // of a part of C, which is a chunk of work ...
	across, parts           int
	group                   int // ... or so many whole products
	threads                 int // that the parts are for
	epilogue                Epilogue
	workers                 []worker[T]
}

// worker is what a worker of a run has for itself: scratch, if it has begun, and the product that it works on.
type worker[T Float] struct {
	scratch []T
	g       Matrices[T]
}

// NewProduct prepares a batch of products of the shape of g, whose slices are left out. The batch is laid out by the dims of
// batch: A and B step by strideA and strideB elements along each, 0 where they broadcast; each C follows the one before,
// M rows of Ldc elements. No dims are one product.
func NewProduct[T Float](by Multiplier[T], g Matrices[T], batch, strideA, strideB []int) *Product[T] {
	g.K = max(g.K, 0)
	p := &Product[T]{by: by, g: g, batch: batch, strideA: strideA, strideB: strideB, count: 1}
	for i, d := range batch {
		p.count *= d
		p.lastA += (d - 1) * strideA[i]
		p.lastB += (d - 1) * strideB[i]
	}
	p.checkPacked("a", g.PackedA, g.M, g.K, p.lastA)
	p.checkPacked("b", g.PackedB, g.K, g.N, p.lastB)
	if p.count > 0 && g.M > 0 && g.N > 0 {
		reserve[T](by.Scratch(), 0)
	}
	return p
}

// checkPacked panics if an operand is packed, and not for this product.
func (p *Product[T]) checkPacked(operand string, x *Packed[T], rows, cols, last int) {
	if x != nil && (x.by != p.by || x.operand != operand || x.Rows != rows || x.Cols != cols || last != 0) {
		panic(fmt.Sprintf("gemm: %s is not packed for this product: it is %s, %d x %d", operand, x.operand, x.Rows, x.Cols))
	}
}

// PackB lets x, which Multiplier.PackB made, take the place of B in the runs that follow.
func (p *Product[T]) PackB(x *Packed[T]) {
	p.checkPacked("b", x, p.g.K, p.g.N, p.lastB)
	p.g.PackedB = x
}

// Run computes the products, and calls the epilogue, if there is one, for all elements of C. The rows of C are numbered through the
// batch.
func (p *Product[T]) Run(a, b, c []T, epilogue Epilogue) {
	g := &p.g
	if p.count <= 0 || g.M <= 0 || g.N <= 0 {
		return
	}
	p.check(len(a), len(b), len(c))
	g.A, g.B, g.C, p.epilogue = a, b, c, epilogue
	if threads := parallel.Threads(); threads != p.threads {
		p.plan(threads)
	}
	chunks := p.parts
	if p.parts == 1 {
		chunks = (p.count + p.group - 1) / p.group
	} else {
		chunks *= p.count
	}
	if chunks == 1 {
		p.Do(0, 0)
	} else {
		parallel.Run(chunks, p)
	}
	for i := range p.workers {
		if s := p.workers[i].scratch; s != nil {
			give(s)
			p.workers[i] = worker[T]{}
		}
	}
	g.A, g.B, g.C, p.epilogue = nil, nil, nil, nil
}

// check panics unless all elements that the products touch exist, and rows of C are apart.
func (p *Product[T]) check(a, b, c int) {
	g := &p.g
	if g.Ldc < g.N && (g.M > 1 || p.count > 1) {
		panic(fmt.Sprintf("gemm: ldc is %d, needs %d", g.Ldc, g.N))
	}
	needMatrix("c", p.count*g.M, g.N, c, g.Ldc)
	if g.K == 0 {
		return
	}
	if g.PackedA == nil {
		if g.TransA {
			needMatrix("a", g.K, g.M, a-p.lastA, g.Lda)
		} else {
			needMatrix("a", g.M, g.K, a-p.lastA, g.Lda)
		}
	}
	if g.PackedB == nil {
		if g.TransB {
			needMatrix("b", g.N, g.K, b-p.lastB, g.Ldb)
		} else {
			needMatrix("b", g.K, g.N, b-p.lastB, g.Ldb)
		}
	}
}

// needMatrix panics if have elements do not hold rows x cols of them whose rows are ld apart; rows and cols are positive.
func needMatrix(name string, rows, cols, have, ld int) {
	if ld < 0 {
		panic(fmt.Sprintf("gemm: ld%s is %d", name, ld))
	}
	over, want := bits.Mul(uint(rows-1), uint(ld))
	want, carry := bits.Add(want, uint(cols), 0)
	if over != 0 || carry != 0 || have < 0 || want > uint(have) {
		panic(fmt.Sprintf("gemm: %s has %d elements, needs %d rows of %d, %d apart", name, have, rows, cols, ld))
	}
}

// plan cuts the work into chunks for so many threads. No bits depend on it.
func (p *Product[T]) plan(threads int) {
	p.threads = threads
	p.Workers(1)
	g := &p.g
	p.rows, p.cols, p.group = g.M, g.N, p.count
	work := float64(g.M) * float64(g.N) * float64(max(g.K, 1))
	least := float64(p.by.MinWork())
	if threads > 1 && work*float64(p.count) >= 2*least {
		chunks := 4 * threads
		p.group = max(1, min(p.count/chunks, int(float64(p.count)*least/work)))
		mr, nr := p.by.Tile()
		for p.group == 1 && p.count*ceilDiv(g.M, p.rows)*ceilDiv(g.N, p.cols) < chunks &&
			float64(p.rows)*float64(p.cols)*float64(max(g.K, 1)) >= 2*least {
			r, c := ceilDiv(ceilDiv(p.rows, 2), mr)*mr, ceilDiv(ceilDiv(p.cols, 2), nr)*nr
			switch {
			case c < p.cols && (p.cols >= p.rows || r >= p.rows):
				p.cols = c
			case r < p.rows:
				p.rows = r
			default:
				chunks = 0
			}
		}
	}
	p.across = ceilDiv(g.N, p.cols)
	p.parts = ceilDiv(g.M, p.rows) * p.across
}

// Workers makes room for n workers: see [parallel.Sized].
func (p *Product[T]) Workers(n int) {
	for len(p.workers) < n {
		p.workers = append(p.workers, worker[T]{})
	}
	if p.epilogue != nil {
		p.epilogue.Workers(n)
	}
}

// Do computes a chunk: see [parallel.Task].
func (p *Product[T]) Do(worker, chunk int) {
	if w := &p.workers[worker]; w.scratch == nil {
		w.scratch = take[T](p.by.Scratch())
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
func (p *Product[T]) multiply(worker, i, i0, i1, j0, j1 int) {
	w := &p.workers[worker]
	w.g = p.g
	g := &w.g
	done := Done{p.epilogue, worker, i * g.M}
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
	offA, offB := 0, 0
	for d := len(p.batch) - 1; d >= 0 && i > 0; d-- {
		j := i % p.batch[d]
		i /= p.batch[d]
		offA += j * p.strideA[d]
		offB += j * p.strideB[d]
	}
	g.A, g.B = g.A[offA:], g.B[offB:]
	p.by.Multiply(g, w.scratch, done, i0, i1, j0, j1)
}
