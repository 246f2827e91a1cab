package driver

import (
	"fmt"
	"math"
	"testing"

	"github.com/graphrun/graphrun/runtime/kernels/backend"
	"github.com/graphrun/graphrun/runtime/kernels/internal/kerneltest"
	"github.com/graphrun/graphrun/runtime/kernels/parallel"
)

func runConv[T backend.Float](p Conv2DParams, y, x, w []T) {
	NewConv2D(p, engines[T]().Conv).Run(y, x, w, nil)
}

func runConvInputGrad[T backend.Float](p Conv2DParams, dx, dy, w []T) {
	NewConv2DInputGrad(p, engines[T]().Conv).Run(dx, dy, w, nil)
}

func runConvWeightGrad[T backend.Float](p Conv2DParams, dw, dy, x []T) {
	NewConv2DWeightGrad(p, engines[T]().Conv).Run(dw, dy, x)
}

// convSizes is what a convolution's sizes come to.
type convSizes struct {
	Conv2DParams
	cg, ocg, taps, oh, ow, out int
}

func sizesOf(p Conv2DParams) convSizes {
	p = p.normal("test")
	q := convSizes{Conv2DParams: p, cg: p.C / p.Groups, ocg: p.OC / p.Groups, oh: p.OutH(), ow: p.OutW()}
	q.taps, q.out = q.cg*p.KH*p.KW, q.oh*q.ow
	return q
}

// naiveConv visits every multiplication of a convolution by the positions of
// its operands in x, w and y.
func naiveConv(p Conv2DParams, visit func(x, w, y int)) {
	q := sizesOf(p)
	for n := range q.N {
		for oc := range q.OC {
			for oh := range q.oh {
				for ow := range q.ow {
					for c := range q.cg {
						for kh := range q.KH {
							for kw := range q.KW {
								h, v := oh*q.StrideH+kh*q.DilH-q.PadTop, ow*q.StrideW+kw*q.DilW-q.PadLeft
								if h < 0 || h >= q.H || v < 0 || v >= q.W {
									continue
								}
								visit(((n*q.C+oc/q.ocg*q.cg+c)*q.H+h)*q.W+v,
									((oc*q.cg+c)*q.KH+kh)*q.KW+kw, ((n*q.OC+oc)*q.oh+oh)*q.ow+ow)
							}
						}
					}
				}
			}
		}
	}
}

var convCases = []Conv2DParams{
	{N: 5, C: 1, H: 28, W: 28, OC: 6, KH: 5, KW: 5, PadTop: 2, PadLeft: 2, PadBottom: 2, PadRight: 2},
	{N: 9, C: 6, H: 14, W: 14, OC: 16, KH: 5, KW: 5},
	{N: 2, C: 3, H: 7, W: 9, OC: 4, KH: 3, KW: 2, StrideH: 2, StrideW: 3, PadTop: 1, PadLeft: 2, PadRight: 1},
	{N: 3, C: 4, H: 11, W: 10, OC: 6, KH: 3, KW: 3, DilH: 2, DilW: 3, PadTop: 2, PadBottom: 3, PadRight: 1, Groups: 2},
	{N: 2, C: 5, H: 8, W: 8, OC: 5, KH: 3, KW: 3, PadTop: 1, PadLeft: 1, PadBottom: 1, PadRight: 1, Groups: 5},
	{N: 2, C: 4, H: 9, W: 7, OC: 8, KH: 3, KW: 3, StrideH: 2, StrideW: 2, Groups: 4},
	{N: 1, C: 33, H: 17, W: 17, OC: 17, KH: 3, KW: 3, PadTop: 1, PadLeft: 1, PadBottom: 1, PadRight: 1},
	{N: 2, C: 70, H: 7, W: 7, OC: 33, KH: 1, KW: 1},
	{N: 2, C: 7, H: 7, W: 7, OC: 3, KH: 1, KW: 1, StrideH: 2, StrideW: 2},
	{N: 1, C: 2, H: 3, W: 3, OC: 2, KH: 3, KW: 3},
	{N: 1, C: 1, H: 1, W: 1, OC: 1, KH: 1, KW: 1},
	{N: 1, C: 3, H: 12, W: 12, OC: 2, KH: 11, KW: 11, PadTop: 5, PadLeft: 5, PadBottom: 5, PadRight: 5, StrideH: 4, StrideW: 4},
	{N: 0, C: 3, H: 5, W: 5, OC: 2, KH: 3, KW: 3},
	{N: 2, C: 3, H: 2, W: 2, OC: 2, KH: 3, KW: 3},
	{N: 2, C: 0, H: 5, W: 5, OC: 2, KH: 3, KW: 3},
	{N: 33, C: 2, H: 6, W: 6, OC: 3, KH: 2, KW: 2},
}

func testConv[T backend.Float](t *testing.T) {
	r := kerneltest.Rand(4)
	for _, p := range convCases {
		what := fmt.Sprintf("%+v", p)
		q := sizesOf(p)
		nx, nw, ny := p.N*p.C*p.H*p.W, p.OC*q.taps, p.N*p.OC*q.out
		x, w, dy := kerneltest.Normals[T](r, nx), kerneltest.Normals[T](r, nw), kerneltest.Normals[T](r, ny)
		sum := func(n int, visit func(add func(i int, v float64))) (s, tol []float64) {
			s, tol = make([]float64, n), make([]float64, n)
			terms := make([]int, n)
			visit(func(i int, v float64) {
				s[i] += v
				tol[i] += math.Abs(v)
				terms[i]++
			})
			for i := range tol {
				tol[i] *= 2 * float64(terms[i]) * kerneltest.Epsilon[T]()
			}
			return
		}

		y := withThreads(t, what, func() []T {
			y := kerneltest.Filled(ny, T(math.NaN()))
			runConv(p, y, x, w)
			return y
		})
		want, tol := sum(ny, func(add func(int, float64)) {
			naiveConv(p, func(i, j, k int) { add(k, float64(x[i])*float64(w[j])) })
		})
		kerneltest.Near(t, "forward "+what, y, want, tol)

		dx := withThreads(t, what, func() []T {
			dx := kerneltest.Filled(nx, T(math.NaN()))
			runConvInputGrad(p, dx, dy, w)
			return dx
		})
		want, tol = sum(nx, func(add func(int, float64)) {
			naiveConv(p, func(i, j, k int) { add(i, float64(dy[k])*float64(w[j])) })
		})
		kerneltest.Near(t, "input gradient "+what, dx, want, tol)

		dw := withThreads(t, what, func() []T {
			dw := kerneltest.Filled(nw, T(math.NaN()))
			runConvWeightGrad(p, dw, dy, x)
			return dw
		})
		want, tol = sum(nw, func(add func(int, float64)) {
			naiveConv(p, func(i, j, k int) { add(j, float64(dy[k])*float64(x[i])) })
		})
		kerneltest.Near(t, "weight gradient "+what, dw, want, tol)

		if p.N == 0 || ny == 0 {
			continue
		}
		// The last sample alone.
		one := p
		one.N = 1
		y1, dx1 := make([]T, ny/p.N), make([]T, nx/p.N)
		runConv(one, y1, x[nx-nx/p.N:], w)
		kerneltest.SameBits(t, "forward alone "+what, y1, y[ny-ny/p.N:])
		runConvInputGrad(one, dx1, dy[ny-ny/p.N:], w)
		kerneltest.SameBits(t, "input gradient alone "+what, dx1, dx[nx-nx/p.N:])
	}
}

func TestConv2D(t *testing.T) {
	t.Run("f32", testConv[float32])
	t.Run("f64", testConv[float64])
}

func TestConv2DKeepsNaN(t *testing.T) {
	p := Conv2DParams{N: 1, C: 1, H: 3, W: 3, OC: 1, KH: 3, KW: 3, PadTop: 1, PadLeft: 1, PadBottom: 1, PadRight: 1}
	x, w, y := make([]float64, 9), make([]float64, 9), make([]float64, 9)
	x[4] = math.Inf(1)
	runConv(p, y, x, w)
	for i, v := range y {
		if !math.IsNaN(v) {
			t.Errorf("y[%d] = %v, want 0*Inf = NaN", i, v)
		}
	}
}

func BenchmarkConv2D(b *testing.B) {
	layers := []struct {
		name string
		p    Conv2DParams
	}{
		{"lenet1", Conv2DParams{N: 64, C: 1, H: 28, W: 28, OC: 6, KH: 5, KW: 5, PadTop: 2, PadLeft: 2, PadBottom: 2, PadRight: 2}},
		{"lenet2", Conv2DParams{N: 64, C: 6, H: 14, W: 14, OC: 16, KH: 5, KW: 5}},
		{"64ch3x3", Conv2DParams{N: 1, C: 64, H: 56, W: 56, OC: 64, KH: 3, KW: 3, PadTop: 1, PadLeft: 1, PadBottom: 1, PadRight: 1}},
		{"depthwise", Conv2DParams{N: 1, C: 64, H: 56, W: 56, OC: 64, KH: 3, KW: 3, PadTop: 1, PadLeft: 1, PadBottom: 1, PadRight: 1, Groups: 64}},
	}
	r := kerneltest.Rand(1)
	for _, l := range layers {
		p := l.p
		q := sizesOf(p)
		x, w := kerneltest.Normals[float32](r, p.N*p.C*p.H*p.W), kerneltest.Normals[float32](r, p.OC*q.taps)
		y := kerneltest.Normals[float32](r, p.N*p.OC*q.out)
		dx, dw, yy := make([]float32, len(x)), make([]float32, len(w)), make([]float32, len(y))
		for _, th := range []int{1, 2} {
			run := func(name string, f func()) {
				b.Run(fmt.Sprintf("%s/%s/threads=%d", l.name, name, th), func(b *testing.B) {
					parallel.SetThreads(th)
					defer parallel.SetThreads(0)
					b.ReportAllocs()
					for b.Loop() {
						f()
					}
					b.ReportMetric(float64(b.N)*2*float64(len(y)*q.taps)/b.Elapsed().Seconds()/1e9, "GFLOP/s")
				})
			}
			forward, input, weight := NewConv2D(p, engines[float32]().Conv), NewConv2DInputGrad(p, engines[float32]().Conv), NewConv2DWeightGrad(p, engines[float32]().Conv)
			run("forward", func() { forward.Run(yy, x, w, nil) })
			run("input", func() { input.Run(dx, y, w, nil) })
			run("weight", func() { weight.Run(dw, y, x) })
		}
	}
}
