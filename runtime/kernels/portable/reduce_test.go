package portable

import (
	"fmt"
	"math"
	"testing"
)

var reduceCases = []struct {
	shape, axes []int
}{
	{[]int{}, nil},
	{[]int{7}, nil},
	{[]int{1}, []int{0}},
	{[]int{17}, []int{0}},
	{[]int{0, 3}, []int{0}},
	{[]int{3, 0}, []int{0}},
	{[]int{3, 33}, []int{1}},
	{[]int{33, 7}, []int{0}},
	{[]int{33, 1}, []int{0}},
	{[]int{1, 33}, []int{0}},
	{[]int{3, 33, 7}, []int{1}},
	{[]int{3, 7, 17}, []int{0, 2}},
	{[]int{3, 7, 17, 3}, []int{0, 2}},
	{[]int{3, 7, 17, 3}, []int{1, 3}},
	{[]int{5, 6, 7, 8}, []int{0, 2, 3}},
	{[]int{2, 3, 4, 5, 6}, []int{0, 2, 4}},
	{[]int{2, 3, 1, 5}, []int{2}},
	{[]int{100000}, []int{0}},
	{[]int{3, 40000}, []int{1}},
	{[]int{1000, 130}, []int{0}},
	{[]int{3, 1000, 70}, []int{1}},
	{[]int{20, 6, 28, 28}, []int{0, 2, 3}},
}

func testReduce[T Float](t *testing.T) {
	r := newRand(8)
	for _, c := range reduceCases {
		for op := Sum; op <= MinOf; op++ {
			what := fmt.Sprintf("op %d of %v over %v", op, c.shape, c.axes)
			n := sizeOf(c.shape)
			x := randSlice[T](r, n)
			if op == Prod {
				for i := range x {
					x[i] = T(1 + 0.001*r.NormFloat64())
				}
			}
			kept := append([]int(nil), c.shape...)
			for _, a := range c.axes {
				kept[a] = 1
			}
			outN := sizeOf(kept)
			if op >= MaxOf && n > 50 {
				x[n/3] = T(math.NaN())
			}
			got := withThreads(t, what, func() []T {
				y := filled(outN, T(math.NaN()))
				Reduce(op, y, x, c.shape, c.axes, make([]T, ReduceScratchLen(c.shape, c.axes)))
				return y
			})
			want, abs := make([]float64, outN), make([]float64, outN)
			for i := range want {
				want[i] = [...]float64{0, 0, 1, math.Inf(-1), math.Inf(1)}[op]
			}
			for i, v := range x {
				o, v := at(c.shape, kept, i), float64(v)
				switch op {
				case Sum, Mean:
					want[o] += v
					abs[o] += math.Abs(v)
				case Prod:
					want[o] *= v
				case MaxOf:
					want[o] = max(want[o], v)
				case MinOf:
					want[o] = min(want[o], v)
				}
			}
			for i := range want {
				// The error of a tree: far below that of a sequential sum.
				count := float64(max(n, 1)) / float64(max(outN, 1))
				switch op {
				case Sum:
					abs[i] *= 40 * eps[T]()
				case Mean:
					want[i] /= math.Floor(count)
					if n == 0 {
						want[i] = math.NaN()
					}
					abs[i] *= 40 * eps[T]() / count
				case Prod:
					abs[i] = count * eps[T]() * math.Abs(want[i])
				}
			}
			near(t, what, got, want, abs)
		}
	}
}

func TestReduce(t *testing.T) {
	t.Run("f32", testReduce[float32])
	t.Run("f64", testReduce[float64])
}

func TestReduceRowsAlone(t *testing.T) {
	r := newRand(9)
	for _, n := range []int{1, 7, 33, 1000, 20000} {
		x := randSlice[float32](r, 9*n)
		y, one := make([]float32, 9), make([]float32, 1)
		Reduce(Sum, y, x, []int{9, n}, []int{1}, nil)
		for i := range y {
			Reduce(Sum, one, x[i*n:], []int{1, n}, []int{1}, nil)
			sameBits(t, "a row alone", one, y[i:i+1])
		}
	}
}

func TestArg(t *testing.T) {
	nan := math.NaN()
	x := []float64{1, 3, 3, 2, nan, 5, nan, 7, -1, -1, 0, 0}
	y := make([]int64, 3)
	ArgMax(y, x, 3, 4, 1)
	if fmt.Sprint(y) != "[1 0 2]" {
		t.Error("ArgMax", y)
	}
	ArgMin(y, x, 3, 4, 1)
	if fmt.Sprint(y) != "[0 0 0]" {
		t.Error("ArgMin", y)
	}
	y = make([]int64, 4)
	ArgMax(y, x, 1, 3, 4)
	if fmt.Sprint(y) != "[1 1 1 1]" {
		// Columns: (1,nan,-1), (3,5,-1), (3,nan,0), (2,7,0).
		t.Error("ArgMax of columns", y)
	}
}

func testSoftmax[T Float](t *testing.T) {
	r := newRand(10)
	for _, rows := range []int{0, 1, 3, 300} {
		for _, n := range []int{0, 1, 3, 7, 17, 33, 1000} {
			x, dy := randSlice[T](r, rows*n), randSlice[T](r, rows*n)
			for i := range x {
				x[i] *= 30
			}
			run := func(f func(y []T)) []T {
				return withThreads(t, "softmax", func() []T {
					y := filled(rows*n, T(math.NaN()))
					f(y)
					return y
				})
			}
			y := run(func(y []T) { Softmax(y, x, rows, n) })
			ly := run(func(y []T) { LogSoftmax(y, x, rows, n) })
			dx := run(func(dx []T) { SoftmaxGrad(dx, y, dy, rows, n) })
			ldx := run(func(dx []T) { LogSoftmaxGrad(dx, ly, dy, rows, n) })
			for i := range rows {
				row := x[i*n : (i+1)*n]
				m, s, dot, sum := math.Inf(-1), 0.0, 0.0, 0.0
				for _, v := range row {
					m = max(m, float64(v))
				}
				for _, v := range row {
					s += math.Exp(float64(v) - m)
				}
				for j := range row {
					dot += float64(y[i*n+j]) * float64(dy[i*n+j])
					sum += float64(dy[i*n+j])
				}
				for j, v := range row {
					k := i*n + j
					p := math.Exp(float64(v)-m) / s
					e := 100 * eps[T]()
					near(t, "softmax", y[k:k+1], []float64{p}, []float64{e*p + 1e-44})
					near(t, "log-softmax", ly[k:k+1], []float64{float64(v) - m - math.Log(s)}, []float64{e * (1 + math.Abs(float64(v)-m))})
					near(t, "softmax gradient", dx[k:k+1], []float64{float64(y[k]) * (float64(dy[k]) - dot)}, []float64{e})
					near(t, "log-softmax gradient", ldx[k:k+1], []float64{float64(dy[k]) - math.Exp(float64(ly[k]))*sum}, []float64{e * (1 + math.Abs(sum))})
				}
				if n > 0 {
					one := make([]T, n)
					Softmax(one, row, 1, n)
					sameBits(t, "a row alone", one, y[i*n:(i+1)*n])
				}
			}
		}
	}
}

func TestSoftmax(t *testing.T) {
	t.Run("f32", testSoftmax[float32])
	t.Run("f64", testSoftmax[float64])
	inf, nan := math.Inf(1), math.NaN()
	y := make([]float64, 2)
	for _, c := range []struct{ x, want []float64 }{
		{[]float64{0, -inf}, []float64{1, 0}},
		{[]float64{-inf, -inf}, []float64{nan, nan}},
		{[]float64{inf, 0}, []float64{nan, nan}},
		{[]float64{nan, 0}, []float64{nan, nan}},
		{[]float64{1e300, 1e300}, []float64{0.5, 0.5}},
	} {
		Softmax(y, c.x, 1, 2)
		sameBits(t, fmt.Sprint(c.x), y, c.want)
	}
}

func TestTranspose(t *testing.T) {
	perms := func(n int) (all [][]int) {
		var rec func(p []int, used int)
		rec = func(p []int, used int) {
			if len(p) == n {
				all = append(all, append([]int(nil), p...))
				return
			}
			for i := range n {
				if used>>i&1 == 0 {
					rec(append(p, i), used|1<<i)
				}
			}
		}
		rec(nil, 0)
		return all
	}
	for _, shape := range [][]int{{}, {0}, {7}, {3, 0}, {1, 7}, {17, 33}, {70, 41}, {3, 1, 7}, {2, 3, 33, 5}, {2, 1, 3, 2, 3}, {40, 30, 50}} {
		for _, perm := range perms(len(shape)) {
			n := sizeOf(shape)
			x := make([]int32, n)
			for i := range x {
				x[i] = int32(i)
			}
			outShape := make([]int, len(shape))
			for i, a := range perm {
				outShape[i] = shape[a]
			}
			for _, th := range []int{1, 3} {
				SetThreads(th)
				y := filled(n, int32(-1))
				Transpose(y, x, shape, perm)
				for i, got := range y {
					var pos [8]int
					rest := i
					for d := len(outShape) - 1; d >= 0; d-- {
						pos[perm[d]] = rest % outShape[d]
						rest /= outShape[d]
					}
					want := 0
					for a, d := range shape {
						want = want*d + pos[a]
					}
					if got != int32(want) {
						t.Fatalf("%v by %v: element %d is %d, want %d", shape, perm, i, got, want)
					}
				}
			}
			SetThreads(0)
		}
	}
}

func TestParallelPanics(t *testing.T) {
	defer func() {
		if e := recover(); e != "boom" {
			t.Errorf("recovered %v", e)
		}
	}()
	parallelWorkers(100, 1, 4, func(_, lo, _ int) {
		if lo == 57 {
			panic("boom")
		}
	})
}

func BenchmarkReduce(b *testing.B) {
	r := newRand(1)
	for _, c := range []struct{ shape, axes []int }{
		{[]int{64, 120}, []int{0}},
		{[]int{64, 6, 28, 28}, []int{0, 2, 3}},
		{[]int{1 << 20}, []int{0}},
	} {
		x := randSlice[float32](r, sizeOf(c.shape))
		y, s := make([]float32, 1000), make([]float32, ReduceScratchLen(c.shape, c.axes))
		for op, name := range map[ReduceOp]string{Sum: "sum", MaxOf: "max"} {
			b.Run(fmt.Sprintf("%s%v", name, c.shape), func(b *testing.B) {
				SetThreads(1)
				defer SetThreads(0)
				for b.Loop() {
					Reduce(op, y, x, c.shape, c.axes, s)
				}
				b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(len(x)), "ns/elem")
			})
		}
	}
}

func BenchmarkSoftmax(b *testing.B) {
	r := newRand(1)
	x, y := randSlice[float32](r, 64*1000), make([]float32, 64*1000)
	SetThreads(1)
	defer SetThreads(0)
	for b.Loop() {
		Softmax(y, x, 64, 1000)
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(len(x)), "ns/elem")
}

func BenchmarkTranspose(b *testing.B) {
	x, y := make([]float32, 1<<20), make([]float32, 1<<20)
	SetThreads(1)
	defer SetThreads(0)
	b.SetBytes(8 << 20)
	for b.Loop() {
		Transpose(y, x, []int{1024, 1024}, []int{1, 0})
	}
}
