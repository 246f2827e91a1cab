package level

import (
	"fmt"
	"sync/atomic"
	"testing"

	"github.com/graphrun/graphrun/runtime/kernels/backend"
	"github.com/graphrun/graphrun/runtime/kernels/driver"
	"github.com/graphrun/graphrun/runtime/kernels/parallel"
)

// tally is an epilogue that counts how often it sees each element, and takes its negative. inside holds who is at work.
type tally[T backend.Float] struct {
	c       []T
	n       int
	seen    []atomic.Int32
	calls   atomic.Int32
	inside  [16]atomic.Int32
	overlap atomic.Bool
}

func (*tally[T]) Workers(int) {}

func (e *tally[T]) Apply(worker, r0, r1, c0, c1 int) {
	if e.inside[worker].Add(1) != 1 {
		e.overlap.Store(true)
	}
	e.calls.Add(1)
	for r := r0; r < r1; r++ {
		for i := r*e.n + c0; i < r*e.n+c1; i++ {
			e.seen[i].Add(1)
			e.c[i] = -e.c[i]
		}
	}
	e.inside[worker].Add(-1)
}

// run runs a product with an epilogue and checks that it had each element once, after its last addition.
func (e *tally[T]) run(t *testing.T, what string, p *driver.Product[T, T, T], a, b, want []T, n int) {
	t.Helper()
	e.c, e.n, e.seen = make([]T, len(want)), n, make([]atomic.Int32, len(want))
	e.calls.Store(0)
	p.Run(a, b, e.c, e)
	for i := range want {
		if seen := e.seen[i].Load(); seen != 1 {
			t.Fatalf("%s: element %d was given to the epilogue %d times", what, i, seen)
		}
		if e.c[i] != -want[i] {
			t.Fatalf("%s: element %d is %v, want %v", what, i, e.c[i], -want[i])
		}
	}
	if e.overlap.Load() {
		t.Fatalf("%s: calls for one worker overlap", what)
	}
	if calls := int(e.calls.Load()); parallel.Threads() <= 2 && len(want) >= 1<<15 && len(want)/calls < 2048 {
		t.Fatalf("%s: %d calls for %d elements", what, calls, len(want))
	}
}

func testEpilogue[T backend.Float](by func() backend.Multiplier[T, T, T]) func(t *testing.T) {
	return func(t *testing.T) {
		defer parallel.SetThreads(0)
		r := newRand(8)
		var e tally[T]
		for _, s := range [][3]int{
			{1, 1, 1},
			{3, 5, 0},
			{1, 1000, 30},
			{1000, 1, 30},
			{1500, 2, 500},
			{2, 500, 400},
			{5, 3, 1000},
			{17, 40, 90},
			{64, 300, 200},
			{300, 64, 400},
			{70, 1030, 400},
			{300, 700, 800},
			{200, 300, 64},
			{40, 33, 0},
		} {
			m, n, k := s[0], s[1], s[2]
			for x := range 4 {
				if testing.Short() && (m*n*k > 1<<20 && r.IntN(3) > 0 || m*n*k > 1<<25) {
					continue
				}
				transA, transB := x&1 != 0, x&2 != 0
				a, b := newMatrix[T](r, transA, m, k, 0), newMatrix[T](r, transB, k, n, 0)
				g := backend.Matrices[T, T, T]{Shape: backend.Shape{TransA: transA, TransB: transB, M: m, N: n, K: k, Lda: a.ld, Ldb: b.ld, Ldc: n}}
				want := make([]T, m*n)
				plain := driver.NewProduct(by(), g, nil, nil, nil)
				plain.Run(a.x, b.x, want, nil)
				packed := g
				packed.PackedA = by().PackA(transA, m, k, a.x, a.ld)
				packedB := g
				packedB.PackedB = by().PackB(transB, k, n, b.x, b.ld)
				both := packed
				both.PackedB = packedB.PackedB
				for _, threads := range []int{1, 2, 3, 8} {
					parallel.SetThreads(threads)
					what := fmt.Sprintf("%v transA=%v transB=%v threads=%d", s, transA, transB, threads)
					e.run(t, what, plain, a.x, b.x, want, n)
					e.run(t, what+" packed A", driver.NewProduct(by(), packed, nil, nil, nil), nil, b.x, want, n)
					e.run(t, what+" packed B", driver.NewProduct(by(), packedB, nil, nil, nil), a.x, nil, want, n)
					e.run(t, what+" packed both", driver.NewProduct(by(), both, nil, nil, nil), nil, nil, want, n)
				}
			}
		}
	}
}

// TestEpilogueAndPacked holds epilogues and packed operands, on every path, against the plain product.
func TestEpilogueAndPacked(t *testing.T) {
	atLevels(t, func(t *testing.T) { both(t, testEpilogue(multiplier[float32]), testEpilogue(multiplier[float64])) })
}

func testBatches[T backend.Float](by func() backend.Multiplier[T, T, T], gemm gemmFunc[T]) func(t *testing.T) {
	return func(t *testing.T) {
		defer parallel.SetThreads(0)
		r := newRand(9)
		var e tally[T]
		for _, s := range [][3]int{{1, 1, 1}, {3, 5, 7}, {17, 33, 40}, {130, 1, 60}, {90, 150, 70}, {4, 4, 0}} {
			m, n, k := s[0], s[1], s[2]
			for x := range 4 {
				transA, transB := x&1 != 0, x&2 != 0
				// A is [7,1], B is [3]: C is [7,3].
				const outer, inner = 7, 3
				a, b := newMatrix[T](r, false, 1, outer*m*k, 0), newMatrix[T](r, false, 1, inner*k*n, 0)
				g := backend.Matrices[T, T, T]{Shape: backend.Shape{TransA: transA, TransB: transB, M: m, N: n, K: k, Lda: k, Ldb: n, Ldc: n}}
				if transA {
					g.Lda = m
				}
				if transB {
					g.Ldb = k
				}
				want := make([]T, outer*inner*m*n)
				for i := range outer * inner {
					gemm(transA, transB, m, n, k, a.x[i/inner*m*k:], g.Lda, b.x[i%inner*k*n:], g.Ldb, want[i*m*n:], n, false)
				}
				p := driver.NewProduct(by(), g, []int{outer, inner}, []int{m * k, 0}, []int{0, k * n})
				for _, threads := range []int{1, 2, 3, 8} {
					parallel.SetThreads(threads)
					e.run(t, fmt.Sprintf("%v transA=%v transB=%v threads=%d", s, transA, transB, threads), p, a.x, b.x, want, n)
				}
				shared := g
				shared.PackedB = by().PackB(transB, k, n, b.x, g.Ldb)
				for i := range outer {
					gemm(transA, transB, m, n, k, a.x[i*m*k:], g.Lda, b.x, g.Ldb, want[i*m*n:], n, false)
				}
				p = driver.NewProduct(by(), shared, []int{outer}, []int{m * k}, []int{0})
				e.run(t, "packed B shared by a batch", p, a.x, nil, want[:outer*m*n], n)
			}
		}
		driver.NewProduct(by(), backend.Matrices[T, T, T]{Shape: backend.Shape{M: 3, N: 3, K: 3, Lda: 3, Ldb: 3, Ldc: 3}}, []int{0}, []int{9}, []int{9}).Run(nil, nil, nil, nil)
	}
}

func TestBatches(t *testing.T) {
	atLevels(t, func(t *testing.T) {
		both(t, testBatches(multiplier[float32], gemmF32), testBatches(multiplier[float64], gemmF64))
	})
}

// TestRunsDoNotAllocate runs prepared products, with epilogues and packed operands, at every level.
func TestRunsDoNotAllocate(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector allocates")
	}
	atLevels(t, func(t *testing.T) {
		defer parallel.SetThreads(0)
		r := newRand(10)
		var e tally[float32]
		for _, threads := range []int{1, 2} {
			parallel.SetThreads(threads)
			for _, s := range [][3]int{{1, 500, 300}, {500, 1, 300}, {10, 10, 10}, {200, 200, 200}} {
				m, n, k := s[0], s[1], s[2]
				for _, count := range []int{1, 6} {
					for _, pack := range []bool{false, true} {
						a, b := newMatrix[float32](r, true, m, k*count, 0), newMatrix[float32](r, true, k, n, 0)
						g := backend.Matrices[float32, float32, float32]{Shape: backend.Shape{TransA: true, TransB: true, M: m, N: n, K: k, Lda: m, Ldb: k, Ldc: n}}
						if pack {
							g.PackedB = multiplier[float32]().PackB(true, k, n, b.x, b.ld)
						}
						p := driver.NewProduct(multiplier[float32](), g, []int{count}, []int{m * k}, []int{0})
						e.c, e.n, e.seen = make([]float32, count*m*n), n, make([]atomic.Int32, count*m*n)
						run := func() { p.Run(a.x, b.x, e.c, &e) }
						for range 20 {
							run()
						}
						if allocs := testing.AllocsPerRun(20, run); allocs > 0 {
							t.Errorf("%v, %d of them, packed=%v, on %d threads: %v allocations", s, count, pack, threads, allocs)
						}
					}
				}
			}
		}
	})
}

// TestPackedForAnother checks that a packed operand is refused by a product that it does not fit.
func TestPackedForAnother(t *testing.T) {
	x := make([]float32, 100)
	pack := multiplier[float32]().PackB(false, 5, 4, x, 4)
	for name, f := range map[string]func(){
		"shape": func() {
			driver.NewProduct(multiplier[float32](), backend.Matrices[float32, float32, float32]{Shape: backend.Shape{M: 3, N: 5, K: 4, Lda: 4, Ldc: 5}, PackedB: pack}, nil, nil, nil)
		},
		"steps": func() {
			driver.NewProduct(multiplier[float32](), backend.Matrices[float32, float32, float32]{Shape: backend.Shape{M: 3, N: 4, K: 5, Lda: 5, Ldc: 4}, PackedB: pack}, []int{2}, []int{15}, []int{20})
		},
		"operand": func() {
			driver.NewProduct(multiplier[float32](), backend.Matrices[float32, float32, float32]{Shape: backend.Shape{M: 5, N: 4, K: 4, Ldb: 4, Ldc: 4}, PackedA: pack}, nil, nil, nil)
		},
	} {
		t.Run(name, func(t *testing.T) {
			defer func() {
				if recover() == nil {
					t.Error("does not panic")
				}
			}()
			f()
		})
	}
}
