package level

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"
	"unsafe"

	"github.com/graphrun/graphrun/runtime/kernels/backend"
	"github.com/graphrun/graphrun/runtime/kernels/backend/avx"
	"github.com/graphrun/graphrun/runtime/kernels/driver"
	"github.com/graphrun/graphrun/runtime/kernels/parallel"
)

// gemmFunc computes C = op(A)·op(B), or adds it to C, at the level in use; see backend.Matrices.
type gemmFunc[T backend.Float] func(transA, transB bool, m, n, k int, a []T, lda int, b []T, ldb int, c []T, ldc int, accumulate bool)

var gemmF32, gemmF64 = gemmOf(multiplier[float32]), gemmOf(multiplier[float64])

func gemmOf[T backend.Float](by func() backend.Multiplier[T, T, T]) gemmFunc[T] {
	return func(transA, transB bool, m, n, k int, a []T, lda int, b []T, ldb int, c []T, ldc int, accumulate bool) {
		g := backend.Matrices[T, T, T]{Shape: backend.Shape{TransA: transA, TransB: transB, M: m, N: n, K: k, Lda: lda, Ldb: ldb, Ldc: ldc, Accumulate: accumulate}}
		driver.NewProduct(by(), g, nil, nil, nil).Run(a, b, c, nil)
	}
}

// matrixOf is a stored matrix with its distance between rows.
type matrixOf[T backend.Float] struct {
	rows, cols, ld int
	x              []T
}

// guard fills the elements that no kernel may write.
const guard = -12345.5

// newMatrix returns a matrix whose data starts at an odd element, in a slice that
// ends with its last element.
func newMatrix[T backend.Float](r *rand.Rand, trans bool, rows, cols, pad int) matrixOf[T] {
	if trans {
		rows, cols = cols, rows
	}
	ld := cols + pad
	n := 0
	if rows > 0 && cols > 0 {
		n = (rows-1)*ld + cols
	}
	x := make([]T, n+3)[3:]
	for i := range x {
		x[i] = guard
	}
	for i := range rows {
		for j := range cols {
			x[i*ld+j] = T(r.NormFloat64())
		}
	}
	return matrixOf[T]{rows, cols, ld, x}
}

// at returns element (i, j) of op(M).
func (m matrixOf[T]) at(trans bool, i, j int) float64 {
	if trans {
		i, j = j, i
	}
	return float64(m.x[i*m.ld+j])
}

func (m matrixOf[T]) clone() matrixOf[T] {
	m.x = append([]T(nil), m.x...)
	return m
}

func newRand(seed uint64) *rand.Rand { return rand.New(rand.NewPCG(seed, 11)) }

func epsilon[T backend.Float]() float64 {
	var v T
	if unsafe.Sizeof(v) == 4 {
		return 0x1p-23
	}
	return 0x1p-52
}

func both(t *testing.T, f32, f64 func(t *testing.T)) {
	t.Run("f32", f32)
	t.Run("f64", f64)
}

// checkGemm compares a product with sums in float64, and looks for writes outside
// of C.
func checkGemm[T backend.Float](t *testing.T, gemm gemmFunc[T], r *rand.Rand, transA, transB bool, m, n, k, pad int, accumulate bool) {
	t.Helper()
	a, b := newMatrix[T](r, transA, m, k, pad), newMatrix[T](r, transB, k, n, pad)
	c := newMatrix[T](r, false, m, n, pad)
	old := c.clone()
	gemm(transA, transB, m, n, k, a.x, a.ld, b.x, b.ld, c.x, c.ld, accumulate)
	what := fmt.Sprintf("transA=%v transB=%v m=%d n=%d k=%d pad=%d accumulate=%v", transA, transB, m, n, k, pad, accumulate)
	eps := epsilon[T]()
	for i := range m {
		for j := range n {
			var sum, abs float64
			for p := range k {
				v := a.at(transA, i, p) * b.at(transB, p, j)
				sum += v
				abs += math.Abs(v)
			}
			terms := k
			if accumulate {
				sum += old.at(false, i, j)
				abs += math.Abs(old.at(false, i, j))
				terms++
			}
			if got := c.at(false, i, j); !(math.Abs(got-sum) <= 2*float64(terms)*eps*abs) {
				t.Fatalf("%s: C[%d,%d] is %v, want %v", what, i, j, got, sum)
			}
		}
	}
	for i := range c.x {
		if n > 0 && i%c.ld >= n && c.x[i] != guard {
			t.Fatalf("%s: element %d beyond the rows of C is overwritten", what, i)
		}
	}
}

func testSizes[T backend.Float](gemm gemmFunc[T]) func(t *testing.T) {
	return func(t *testing.T) {
		r := newRand(1)
		sizes := []int{0, 1, 2, 3, 5, 6, 7, 8, 9, 15, 16, 17, 31, 33, 64, 65, 100, 129}
		ks := []int{0, 1, 2, 3, 4, 5, 7, 8, 9, 16, 25, 129, 383, 384, 385, 1000}
		for _, m := range sizes {
			for _, n := range sizes {
				for x := range 8 {
					if testing.Short() && r.IntN(16) > 0 {
						continue
					}
					k := ks[r.IntN(len(ks))]
					if testing.Short() || m*n > 1000 {
						k = min(k, 129)
					}
					checkGemm(t, gemm, r, x&1 != 0, x&2 != 0, m, n, k, r.IntN(2)*r.IntN(20), x&4 != 0)
				}
			}
		}
		for _, k := range ks {
			if testing.Short() && k > 385 {
				continue
			}
			for _, s := range [][2]int{{1, 1}, {1, 70}, {70, 1}, {9, 2}, {3, 67}, {7, 33}, {40, 80}, {17, 100}} {
				for x := range 8 {
					checkGemm(t, gemm, r, x&1 != 0, x&2 != 0, s[0], s[1], k, x/4, x&4 != 0)
				}
			}
		}
		// Several blocks in each dimension, on several threads.
		if !testing.Short() {
			for x := range 4 {
				checkGemm(t, gemm, r, x&1 != 0, x&2 != 0, 301, 500, 30, x, x > 1)
				checkGemm(t, gemm, r, x&1 != 0, x&2 != 0, 150, 430, 400, 5, x == 1)
			}
		}
	}
}

// product returns a contiguous C.
func product[T backend.Float](gemm gemmFunc[T], transA, transB bool, m, n, k int, a, b matrixOf[T]) []T {
	c := make([]T, m*n)
	gemm(transA, transB, m, n, k, a.x, a.ld, b.x, b.ld, c, n, false)
	return c
}

func sameBits[T backend.Float](t *testing.T, what string, got, want []T) {
	t.Helper()
	for i := range want {
		if g, w := float64(got[i]), float64(want[i]); math.Float64bits(g) != math.Float64bits(w) {
			t.Fatalf("%s: element %d is %v, want %v", what, i, g, w)
		}
	}
}

func testThreads[T backend.Float](gemm gemmFunc[T]) func(t *testing.T) {
	return func(t *testing.T) {
		defer parallel.SetThreads(0)
		r := newRand(2)
		for _, s := range [][3]int{{200, 300, 100}, {1, 3000, 1500}, {3000, 1, 1500}, {3000, 2, 750}, {17, 900, 400}, {1200, 40, 100}} {
			m, n, k := s[0], s[1], s[2]
			for x := range 4 {
				if testing.Short() && r.IntN(4) > 0 {
					continue
				}
				transA, transB := x&1 != 0, x&2 != 0
				a, b := newMatrix[T](r, transA, m, k, 1), newMatrix[T](r, transB, k, n, 2)
				var want []T
				for _, threads := range []int{1, 2, 3, 8} {
					parallel.SetThreads(threads)
					got := product(gemm, transA, transB, m, n, k, a, b)
					if want == nil {
						want = got
					}
					sameBits(t, fmt.Sprintf("%v transA=%v transB=%v, %d threads", s, transA, transB, threads), got, want)
				}
			}
		}
	}
}

func TestThreads(t *testing.T) {
	atLevels(t, func(t *testing.T) { both(t, testThreads(gemmF32), testThreads(gemmF64)) })
}

// testParts holds any rows and columns of a product, computed alone and from
// operands stored either way, against the bits of the whole.
func testParts[T backend.Float](gemm gemmFunc[T]) func(t *testing.T) {
	return func(t *testing.T) {
		r := newRand(3)
		const m, n = 200, 150
		for _, k := range []int{3, 25, 300, 384, 385, 1000} {
			if testing.Short() && k > 385 {
				continue
			}
			a, b := newMatrix[T](r, false, m, k, 0), newMatrix[T](r, false, k, n, 0)
			whole := product(gemm, false, false, m, n, k, a, b)
			if k == 300 && ownMultiplier[T]() {
				fused(t, a, b, n, k, whole)
			}
			at, bt := newMatrix[T](r, true, m, k, 0), newMatrix[T](r, true, k, n, 0)
			for p := range k {
				for i := range m {
					at.x[p*m+i] = a.x[i*k+p]
				}
				for j := range n {
					bt.x[j*k+p] = b.x[p*n+j]
				}
			}
			for _, rows := range []int{1, 2, 3, 4, 5, 6, 7, 8, 9, 15, 17, 33, 199, m} {
				for _, cols := range []int{1, 2, 3, 7, 8, 9, 16, 17, 33, 65, 149, n} {
					if testing.Short() && r.IntN(4) > 0 {
						continue
					}
					i0, j0 := r.IntN(m-rows+1), r.IntN(n-cols+1)
					for x := range 4 {
						transA, transB := x&1 != 0, x&2 != 0
						pa, pb := a.x[i0*k:], b.x[j0:]
						lda, ldb := k, n
						if transA {
							pa, lda = at.x[i0:], m
						}
						if transB {
							pb, ldb = bt.x[j0*k:], k
						}
						c := make([]T, rows*cols)
						gemm(transA, transB, rows, cols, k, pa, lda, pb, ldb, c, cols, false)
						for i := range rows {
							sameBits(t, fmt.Sprintf("k=%d, %dx%d at %d,%d, transA=%v transB=%v, row %d", k, rows, cols, i0, j0, transA, transB, i),
								c[i*cols:][:cols], whole[(i0+i)*n+j0:][:cols])
						}
						if rows*cols < 10000 {
							// C += from zero adds the same sums to zero.
							clear(c)
							gemm(transA, transB, rows, cols, k, pa, lda, pb, ldb, c, cols, true)
							sameBits(t, "accumulated from zero", c[:cols], whole[i0*n+j0:][:cols])
						}
					}
				}
			}
		}
	}
}

// fused checks an element against the order of summation that the package states.
func fused[T backend.Float](t *testing.T, a, b matrixOf[T], n, k int, c []T) {
	t.Helper()
	if unsafe.Sizeof(a.x[0]) != 8 {
		return
	}
	var sum float64
	for p := range k {
		sum = math.FMA(float64(a.x[p]), float64(b.x[p*n]), sum)
	}
	if float64(c[0]) != sum {
		t.Fatalf("C[0,0] is %v, one chain of FMAs gives %v", c[0], sum)
	}
}

func TestParts(t *testing.T) {
	atLevels(t, func(t *testing.T) {
		if Name() == Generic {
			t.Skip("the order of package plain is tested there")
		}
		both(t, testParts(gemmF32), testParts(gemmF64))
	})
}

func testLevels[T backend.Float](gemm gemmFunc[T]) func(t *testing.T) {
	return func(t *testing.T) {
		r := newRand(4)
		for _, s := range [][3]int{{1, 100, 1000}, {100, 1, 1000}, {13, 45, 385}, {64, 120, 400}, {129, 257, 1000}} {
			m, n, k := s[0], s[1], s[2]
			for x := range 4 {
				a, b := newMatrix[T](r, x&1 != 0, m, k, 3), newMatrix[T](r, x&2 != 0, k, n, 1)
				setLevel(avx.AVX2)
				want := product(gemm, x&1 != 0, x&2 != 0, m, n, k, a, b)
				setLevel(avx.AVX512)
				got := product(gemm, x&1 != 0, x&2 != 0, m, n, k, a, b)
				sameBits(t, fmt.Sprintf("%v: AVX-512 against AVX2", s), got, want)
			}
		}
	}
}

func TestLevelsAgree(t *testing.T) {
	if levels()[0] != avx.AVX512 {
		t.Skip("no AVX-512")
	}
	defer setLevel(Name())
	both(t, testLevels(gemmF32), testLevels(gemmF64))
}

func testSpecials[T backend.Float](gemm gemmFunc[T]) func(t *testing.T) {
	return func(t *testing.T) {
		r := newRand(5)
		inf, nan := T(math.Inf(1)), T(math.NaN())
		for _, s := range [][3]int{{1, 1, 1}, {1, 40, 9}, {40, 1, 9}, {9, 37, 400}, {70, 70, 30}} {
			m, n, k := s[0], s[1], s[2]
			for x := range 4 {
				transA, transB := x&1 != 0, x&2 != 0
				for _, v := range []T{inf, -inf, nan} {
					a, b := newMatrix[T](r, transA, m, k, 2), newMatrix[T](r, transB, k, n, 2)
					i0, p0, j0 := r.IntN(m), r.IntN(k), r.IntN(n)
					// Infinity in B meets a zero in one row of A, which makes NaN.
					ia, ib := i0*a.ld+p0, p0*b.ld+j0
					if transA {
						ia = p0*a.ld + i0
					}
					if transB {
						ib = j0*b.ld + p0
					}
					a.x[ia], b.x[ib] = 0, v
					c := product(gemm, transA, transB, m, n, k, a, b)
					for i := range m {
						for j := range n {
							got := float64(c[i*n+j])
							switch {
							case j != j0:
								if math.IsNaN(got) || math.IsInf(got, 0) {
									t.Fatalf("%v in column %d: C[%d,%d] is %v", v, j0, i, j, got)
								}
							case i == i0 || v != v:
								if !math.IsNaN(got) {
									t.Fatalf("0*%v: C[%d,%d] is %v", v, i, j, got)
								}
							default:
								if want := math.Inf(1) * a.at(transA, i, p0) * float64(v); want > 0 != (got > 0) || !math.IsInf(got, 0) {
									t.Fatalf("%v: C[%d,%d] is %v, want %v", v, i, j, got, want)
								}
							}
						}
					}
					// NaN in C goes away unless it is accumulated onto.
					for i := range c {
						c[i] = nan
					}
					a.x[ia], b.x[ib] = 1, 1
					gemm(transA, transB, m, n, k, a.x, a.ld, b.x, b.ld, c, n, false)
					for i, v := range c {
						if v != v {
							t.Fatalf("C[%d] keeps an old NaN", i)
						}
						c[i] = nan
					}
					gemm(transA, transB, m, n, k, a.x, a.ld, b.x, b.ld, c, n, true)
					for i, v := range c {
						if v == v {
							t.Fatalf("C[%d] lost the NaN it had", i)
						}
					}
				}
			}
		}
	}
}

func TestSpecials(t *testing.T) {
	atLevels(t, func(t *testing.T) { both(t, testSpecials(gemmF32), testSpecials(gemmF64)) })
}

func TestChecks(t *testing.T) {
	const m, n, k = 5, 7, 11
	x := make([]float32, 200)
	for name, f := range map[string]func(){
		"short a":                 func() { gemmF32(false, false, m, n, k, x[:m*k-1], k, x, n, x, n, false) },
		"short transposed a":      func() { gemmF32(true, false, m, n, k, x[:m*k-1], m, x, n, x, n, false) },
		"short b":                 func() { gemmF32(false, false, m, n, k, x, k, x[:k*n-1], n, x, n, false) },
		"short transposed b":      func() { gemmF32(false, true, m, n, k, x, k, x[:k*n-1], k, x, n, false) },
		"short c":                 func() { gemmF32(false, false, m, n, k, x, k, x, n, x[:m*n-1], n, false) },
		"negative lda":            func() { gemmF32(false, false, m, n, k, x, -1, x, n, x, n, false) },
		"overlapping rows of c":   func() { gemmF32(false, false, m, n, k, x, k, x, n, x, n-1, false) },
		"lda out of range":        func() { gemmF32(false, false, m, n, k, x, math.MaxInt/2, x, n, x, n, false) },
		"ldb that wraps to small": func() { gemmF32(false, false, m, n, k, x, k, x, math.MaxInt/5+1, x, n, false) },
	} {
		t.Run(name, func(t *testing.T) {
			defer func() {
				if recover() == nil {
					t.Fatal("does not panic")
				}
			}()
			f()
		})
	}
	// Exactly long enough, and nothing to read when there is nothing to add.
	gemmF32(false, false, m, n, k, x[:m*k], k, x[:k*n], n, x[:m*n], n, false)
	gemmF32(false, false, m, n, 0, nil, 0, nil, 0, x, n, false)
	gemmF32(false, false, 0, n, k, nil, 0, nil, 0, nil, 0, false)
}

func TestNoAllocations(t *testing.T) {
	if Name() == Generic {
		t.Skip("package plain")
	}
	if raceEnabled {
		t.Skip("the race detector drops pooled memory")
	}
	defer parallel.SetThreads(0)
	r := newRand(6)
	for _, threads := range []int{1, 3} {
		parallel.SetThreads(threads)
		for _, s := range [][3]int{{1, 500, 300}, {500, 1, 300}, {10, 10, 10}, {200, 200, 200}} {
			m, n, k := s[0], s[1], s[2]
			a, b := newMatrix[float32](r, false, m, k, 0), newMatrix[float32](r, true, k, n, 0)
			c := make([]float32, m*n)
			g := backend.Matrices[float32, float32, float32]{Shape: backend.Shape{TransB: true, M: m, N: n, K: k, Lda: a.ld, Ldb: b.ld, Ldc: n}}
			p := driver.NewProduct(multiplier[float32](), g, nil, nil, nil)
			run := func() { p.Run(a.x, b.x, c, nil) }
			for range 20 {
				run()
			}
			if allocs := testing.AllocsPerRun(50, run); allocs > 0 {
				t.Errorf("%v on %d threads: %v allocations", s, threads, allocs)
			}
		}
	}
}

func TestConcurrentCalls(t *testing.T) {
	r := newRand(7)
	const m, n, k = 90, 130, 200
	a, b := newMatrix[float32](r, false, m, k, 0), newMatrix[float32](r, true, k, n, 0)
	want := product(gemmF32, false, true, m, n, k, a, b)
	results := make(chan []float32)
	for range 8 {
		go func() { results <- product(gemmF32, false, true, m, n, k, a, b) }()
	}
	for range 8 {
		sameBits(t, "concurrent call", <-results, want)
	}
}
