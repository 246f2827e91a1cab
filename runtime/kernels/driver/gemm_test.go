package driver

import (
	"fmt"
	"math"
	"slices"
	"testing"

	"github.com/graphrun/graphrun/runtime/kernels/backend"
	"github.com/graphrun/graphrun/runtime/kernels/backend/plain"
	"github.com/graphrun/graphrun/runtime/kernels/internal/kerneltest"
	"github.com/graphrun/graphrun/runtime/kernels/parallel"
)

// whole is plain Go.
var whole = plain.New()

// engines returns plain Go for floats of a type.
func engines[T backend.Float]() *backend.Engines[T] {
	if e, ok := any(&whole.F32).(*backend.Engines[T]); ok {
		return e
	}
	return any(&whole.F64).(*backend.Engines[T])
}

// product returns the Multiplier in plain Go.
func product[T backend.Float]() backend.Multiplier[T, T, T] {
	if by, ok := whole.Products.F32.(backend.Multiplier[T, T, T]); ok {
		return by
	}
	return whole.Products.F64.(backend.Multiplier[T, T, T])
}

// transposeInto writes the transpose of a rows x cols matrix.
func transposeInto[T any](dst, src []T, ld, rows, cols int) {
	plain.Transpose(dst, rows, src, ld, cols, rows)
}

// prepared returns the product of contiguous matrices.
func prepared[T backend.Float](transA, transB bool, m, n, k int) *Product[T, T, T] {
	g := backend.Matrices[T, T, T]{Shape: backend.Shape{TransA: transA, TransB: transB, M: m, N: n, K: k, Lda: k, Ldb: n, Ldc: n}}
	if transA {
		g.Lda = m
	}
	if transB {
		g.Ldb = k
	}
	return NewProduct(product[T](), g, nil, nil, nil)
}

func multiply[T backend.Float](transA, transB bool, m, n, k int, a, b, c []T) {
	prepared[T](transA, transB, m, n, k).Run(a, b, c, nil)
}

// withThreads runs f under 1, 2, 3 and 8 threads and checks that the results
// have the same bits.
func withThreads[T backend.Float](t *testing.T, what string, f func() []T) []T {
	t.Helper()
	defer parallel.SetThreads(0)
	var want []T
	for _, n := range []int{1, 2, 3, 8} {
		parallel.SetThreads(n)
		got := f()
		if want == nil {
			want = got
		}
		kerneltest.SameBits(t, fmt.Sprintf("%s, %d threads", what, n), got, want)
	}
	return want
}

func naiveGemm[T backend.Float](transA, transB bool, m, n, k int, a, b []T) (c, tol []float64) {
	c, tol = make([]float64, m*n), make([]float64, m*n)
	for i := range m {
		for j := range n {
			var s, abs float64
			for p := range k {
				x, y := i*k+p, p*n+j
				if transA {
					x = p*m + i
				}
				if transB {
					y = j*k + p
				}
				v := float64(a[x]) * float64(b[y])
				s += v
				abs += math.Abs(v)
			}
			c[i*n+j], tol[i*n+j] = s, 2*float64(k)*kerneltest.Epsilon[T]()*abs
		}
	}
	return c, tol
}

func testGemm[T backend.Float](t *testing.T) {
	r := kerneltest.Rand(1)
	sizes := [][3]int{
		{0, 3, 3},
		{3, 0, 3},
		{3, 3, 0},
		{1, 1, 1},
		{1, 1, 600},
		{1, 300, 300},
		{300, 1, 300},
		{2, 70, 33},
		{70, 2, 33},
		{3, 3, 3},
		{7, 7, 7},
		{17, 33, 7},
		{33, 17, 257},
		{3, 65, 513},
		{129, 66, 259},
		{260, 131, 70},
		{5, 4, 1},
		{64, 10, 84},
	}
	for _, s := range sizes {
		m, n, k := s[0], s[1], s[2]
		for v := range 4 {
			ta, tb := v&1 != 0, v&2 != 0
			what := fmt.Sprintf("%dx%dx%d transA=%v transB=%v", m, n, k, ta, tb)
			a, b := kerneltest.Normals[T](r, m*k), kerneltest.Normals[T](r, k*n)
			run := func() []T {
				c := kerneltest.Filled(m*n, T(math.NaN()))
				multiply(ta, tb, m, n, k, a, b, c)
				return c
			}
			got := withThreads(t, what, run)
			want, tol := naiveGemm(ta, tb, m, n, k, a, b)
			kerneltest.Near(t, what, got, want, tol)
			// A row has the same bits alone, a column too.
			if m > 0 && n > 0 && !ta {
				c := make([]T, n)
				i := m - 1
				multiply(ta, tb, 1, n, k, a[i*k:], b, c)
				kerneltest.SameBits(t, what+" last row", c, got[i*n:])
			}
			if m > 0 && n > 0 && tb {
				c := make([]T, m)
				j := n - 1
				multiply(ta, tb, m, 1, k, a, b[j*k:], c)
				for i := range m {
					kerneltest.SameBits(t, what+" last column", c[i:i+1], got[i*n+j:][:1])
				}
			}
			// All four layouts give the same bits.
			at, bt := a, b
			if ta {
				at = make([]T, m*k)
				transposeInto(at, a, m, k, m)
			}
			if tb {
				bt = make([]T, k*n)
				transposeInto(bt, b, k, n, k)
			}
			c := make([]T, m*n)
			multiply(false, false, m, n, k, at, bt, c)
			kerneltest.SameBits(t, what+" layouts", c, got)
		}
	}
}

func TestGemm(t *testing.T) {
	t.Run("f32", testGemm[float32])
	t.Run("f64", testGemm[float64])
}

func TestAccumulate(t *testing.T) {
	r := kerneltest.Rand(2)
	m, n, k := 5, 6, 300
	a, b := kerneltest.Normals[float32](r, m*k), kerneltest.Normals[float32](r, k*n)
	c := kerneltest.Normals[float32](r, m*(n+3))
	was := append([]float32(nil), c...)
	g := backend.Matrices[float32, float32, float32]{Shape: backend.Shape{M: m, N: n, K: k, Lda: k, Ldb: n, Ldc: n + 3, Accumulate: true}}
	NewProduct(product[float32](), g, nil, nil, nil).Run(a, b, c, nil)
	want, tol := naiveGemm(false, false, m, n, k, a, b)
	for i := range m {
		w := want[i*n : (i+1)*n]
		for j := range w {
			w[j] += float64(was[i*(n+3)+j])
			tol[i*n+j] += 1e-6 * math.Abs(w[j])
		}
		kerneltest.Near(t, "accumulate", c[i*(n+3):][:n], w, tol[i*n:(i+1)*n])
		if i < m-1 {
			kerneltest.SameBits(t, "between rows", c[i*(n+3)+n:(i+1)*(n+3)], was[i*(n+3)+n:(i+1)*(n+3)])
		}
	}
}

func TestGemmSpecials(t *testing.T) {
	inf, nan := math.Inf(1), math.NaN()
	for _, m := range []int{1, 2, 3, 5} {
		for _, n := range []int{1, 2, 4, 5} {
			a, b := kerneltest.Filled(m*3, 0.0), kerneltest.Filled(3*n, 0.0)
			b[0], b[n] = inf, 1
			c := make([]float64, m*n)
			multiply(false, false, m, n, 3, a, b, c)
			for i := range m {
				if !math.IsNaN(c[i*n]) {
					t.Errorf("0*Inf gave %v", c[i*n])
				}
			}
			b[0] = nan
			multiply(false, false, m, n, 3, a, b, c)
			if !math.IsNaN(c[0]) {
				t.Errorf("0*NaN gave %v", c[0])
			}
		}
	}
}

func TestBatch(t *testing.T) {
	r := kerneltest.Rand(3)
	const m, n, k = 17, 33, 40
	a, b := kerneltest.Normals[float32](r, 3*m*k), kerneltest.Normals[float32](r, 2*k*n)
	got := withThreads(t, "batch", func() []float32 {
		c := make([]float32, 3*2*m*n)
		g := backend.Matrices[float32, float32, float32]{Shape: backend.Shape{TransB: true, M: m, N: n, K: k, Lda: k, Ldb: k, Ldc: n}}
		NewProduct(product[float32](), g, []int{3, 2}, []int{m * k, 0}, []int{0, k * n}).Run(a, b, c, nil)
		return c
	})
	for i := range 3 {
		for j := range 2 {
			c := make([]float32, m*n)
			multiply(false, true, m, n, k, a[i*m*k:], b[j*k*n:], c)
			kerneltest.SameBits(t, "one of the batch", got[(i*2+j)*m*n:][:m*n], c)
		}
	}
}

func TestNoAllocations(t *testing.T) {
	x, y := make([]float32, 4096), make([]float32, 4096)
	p := prepared[float32](false, false, 16, 16, 16)
	if n := testing.AllocsPerRun(10, func() { p.Run(x, x, y, nil) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func TestGemmPanicsOnShortSlice(t *testing.T) {
	defer func() {
		if recover() == nil {
			t.Error("no panic")
		}
	}()
	multiply(false, false, 2, 2, 2, make([]float32, 3), make([]float32, 4), make([]float32, 4))
}

func benchGemm[T backend.Float](b *testing.B, threads, m, n, k int, ta, tb bool) {
	parallel.SetThreads(threads)
	defer parallel.SetThreads(0)
	r := kerneltest.Rand(1)
	x, y, z := kerneltest.Normals[T](r, m*k), kerneltest.Normals[T](r, k*n), make([]T, m*n)
	p := prepared[T](ta, tb, m, n, k)
	b.ReportAllocs()
	for b.Loop() {
		p.Run(x, y, z, nil)
	}
	b.ReportMetric(float64(b.N)*2*float64(m)*float64(n)*float64(k)/b.Elapsed().Seconds()/1e9, "GFLOP/s")
}

func BenchmarkGemm(b *testing.B) {
	for _, s := range [][3]int{{512, 512, 512}, {64, 120, 400}, {64, 84, 120}, {64, 10, 84}, {64, 512, 784}, {1, 512, 784}} {
		for v := range 4 {
			ta, tb := v&1 != 0, v&2 != 0
			for _, th := range []int{1, 2} {
				b.Run(fmt.Sprintf("f32/%dx%dx%d/ta=%v/tb=%v/threads=%d", s[0], s[1], s[2], ta, tb, th), func(b *testing.B) {
					benchGemm[float32](b, th, s[0], s[1], s[2], ta, tb)
				})
			}
		}
	}
	b.Run("f64/512x512x512/threads=1", func(b *testing.B) { benchGemm[float64](b, 1, 512, 512, 512, false, false) })
}

// small multiplies bytes and adds up in 32 bits.
type small struct{}

func (small) Tile() (rows, cols int) { return 2, 2 }
func (small) MinWork() int           { return 1 }
func (small) Scratch() int           { return 1 }

func (small) Multiply(g *backend.Matrices[uint8, int8, int32], scratch []int32, done backend.Done, i0, i1, j0, j1 int) {
	b, ldb := g.B, g.Ldb
	if g.PackedB != nil {
		b, ldb = g.PackedB.Data, g.N
	}
	for i := i0; i < i1; i++ {
		for j := j0; j < j1; j++ {
			scratch[0] = 0
			for p := range g.K {
				scratch[0] += int32(g.A[i*g.Lda+p]) * int32(b[p*ldb+j])
			}
			g.C[i*g.Ldc+j] = scratch[0]
		}
	}
	done.Block(i0, i1, j0, j1)
}

func (s small) PackA(bool, int, int, []uint8, int) *backend.Packed[uint8] { return nil }

func (s small) PackB(_ bool, k, n int, x []int8, ld int) *backend.Packed[int8] {
	y := make([]int8, k*n)
	for p := range k {
		copy(y[p*n:][:n], x[p*ld:])
	}
	return &backend.Packed[int8]{Rows: k, Cols: n, Data: y, Operand: "b", By: s}
}

// TestTypes multiplies matrices whose types and that of their sums all differ.
func TestTypes(t *testing.T) {
	defer parallel.SetThreads(0)
	r := kerneltest.Rand(5)
	const m, n, k = 37, 21, 300
	a, b, want := make([]uint8, m*k), make([]int8, k*n), make([]int32, m*n)
	for i := range a {
		a[i] = uint8(r.Uint32())
	}
	for i := range b {
		b[i] = int8(r.Uint32())
	}
	for i := range want {
		for p := range k {
			want[i] += int32(a[i/n*k+p]) * int32(b[p*n+i%n])
		}
	}
	g := backend.Matrices[uint8, int8, int32]{Shape: backend.Shape{M: m, N: n, K: k, Lda: k, Ldb: n, Ldc: n}}
	packed := g
	packed.PackedB = small{}.PackB(false, k, n, b, n)
	for _, threads := range []int{1, 3} {
		parallel.SetThreads(threads)
		for _, g := range []backend.Matrices[uint8, int8, int32]{g, packed} {
			c := make([]int32, m*n)
			NewProduct(small{}, g, nil, nil, nil).Run(a, b, c, nil)
			if !slices.Equal(c, want) {
				t.Errorf("packed: %v, on %d threads: the products differ", g.PackedB != nil, threads)
			}
		}
	}
}
