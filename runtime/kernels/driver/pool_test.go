package driver

import (
	"fmt"
	"math"
	"testing"

	"github.com/graphrun/graphrun/runtime/kernels/internal/kerneltest"
	"github.com/graphrun/graphrun/runtime/kernels/parallel"
)

var poolCases = []Pool2DParams{
	{N: 2, C: 3, H: 8, W: 6, KH: 2, KW: 2, StrideH: 2, StrideW: 2, OutH: 4, OutW: 3},
	{N: 1, C: 2, H: 7, W: 7, KH: 3, KW: 3, StrideH: 2, StrideW: 2, PadTop: 1, PadLeft: 1, PadBottom: 1, PadRight: 1, OutH: 4, OutW: 4},
	{N: 1, C: 2, H: 6, W: 7, KH: 3, KW: 2, StrideH: 2, StrideW: 3, PadTop: 1, PadLeft: 0, PadBottom: 1, PadRight: 1, OutH: 4, OutW: 3},
	{N: 1, C: 1, H: 9, W: 10, KH: 3, KW: 3, DilH: 2, DilW: 3, PadTop: 1, PadLeft: 2, PadBottom: 2, PadRight: 1, OutH: 8, OutW: 7},
	{N: 2, C: 1, H: 5, W: 5, KH: 2, KW: 2, StrideH: 2, StrideW: 2, OutH: 3, OutW: 3}, // rounded up: windows are cut
	{N: 1, C: 1, H: 1, W: 1, KH: 1, KW: 1, OutH: 1, OutW: 1},
	{N: 0, C: 2, H: 4, W: 4, KH: 2, KW: 2, OutH: 3, OutW: 3},
	{N: 1, C: 1, H: 2, W: 2, KH: 2, KW: 2, StrideH: 3, StrideW: 3, PadTop: 3, PadLeft: 3, OutH: 2, OutW: 2}, // a window of padding only
	{N: 33, C: 17, H: 17, W: 17, KH: 3, KW: 3, StrideH: 2, StrideW: 2, OutH: 8, OutW: 8},
}

func TestPool2D(t *testing.T) {
	r := kerneltest.Rand(7)
	for _, p := range poolCases {
		what := fmt.Sprintf("%+v", p)
		q := p.defaults()
		planes, in, out := p.N*p.C, p.H*p.W, p.OutH*p.OutW
		x := make([]float64, planes*in)
		for i := range x {
			x[i] = float64(r.IntN(7) - 3) // many ties
			if r.IntN(20) == 0 {
				x[i] = []float64{math.NaN(), math.Inf(1), math.Inf(-1)}[r.IntN(3)]
			}
		}
		finite, dy := kerneltest.Normals[float64](r, planes*in), kerneltest.Normals[float64](r, planes*out)
		var index []int64
		y := withThreads(t, what, func() []float64 {
			y := make([]float64, planes*out)
			index = make([]int64, planes*out)
			NewMaxPool2D(p, engines[float64]().Pool).MaxRun(y, index, x)
			return y
		})
		y2 := make([]float64, len(y))
		NewMaxPool2D(p, engines[float64]().Pool).MaxRun(y2, nil, x)
		kerneltest.SameBits(t, "without index", y2, y)
		for _, countPad := range []bool{false, true} {
			avg := withThreads(t, what, func() []float64 {
				y := make([]float64, planes*out)
				NewAvgPool2D(p, countPad, engines[float64]().Pool).AvgRun(y, finite)
				return y
			})
			dx := withThreads(t, what, func() []float64 {
				dx := kerneltest.Filled(planes*in, math.NaN())
				NewAvgPool2DGrad[float64](p, countPad).AvgRun(dy, dx)
				return dx
			})
			wantDx := make([]float64, planes*in)
			for o := range y {
				c, oh, ow := o/out, o%out/p.OutW, o%p.OutW
				best, where := math.Inf(-1), -1
				sum, count := 0.0, 0
				var cells []int
				for kh := range q.KH {
					for kw := range q.KW {
						h, w := oh*q.StrideH+kh*q.DilH-q.PadTop, ow*q.StrideW+kw*q.DilW-q.PadLeft
						inside := h >= 0 && h < q.H && w >= 0 && w < q.W
						if inside || countPad && h < q.H+q.PadBottom && w < q.W+q.PadRight {
							count++
						}
						if !inside {
							continue
						}
						pos := h*q.W + w
						v := x[c*in+pos]
						if where < 0 || !math.IsNaN(best) && (v > best || math.IsNaN(v)) {
							best, where = v, pos
						}
						sum += finite[c*in+pos]
						cells = append(cells, c*in+pos)
					}
				}
				if index[o] != int64(where) {
					t.Fatalf("%s: index %d is %d, want %d", what, o, index[o], where)
				}
				kerneltest.SameBits(t, "max "+what, y[o:o+1], []float64{best})
				if len(cells) > 0 {
					sum /= float64(count)
				}
				kerneltest.SameBits(t, "average "+what, avg[o:o+1], []float64{sum})
				for _, i := range cells {
					wantDx[i] += dy[o] / float64(count)
				}
			}
			kerneltest.Near(t, "average gradient "+what, dx, wantDx, kerneltest.Filled(len(dx), 1e-12))
		}
		dx := withThreads(t, what, func() []float64 {
			dx := kerneltest.Filled(planes*in, math.NaN())
			if err := NewMaxPool2DGrad[float64](p, false).MaxGradRun(dx, dy, index); err != nil {
				t.Error(err)
			}
			return dx
		})
		want := make([]float64, planes*in)
		for i, j := range index {
			if j >= 0 {
				want[i/out*in+int(j)] += dy[i]
			}
		}
		kerneltest.SameBits(t, "max gradient "+what, dx, want)
	}
}

func BenchmarkPool(b *testing.B) {
	p := Pool2DParams{N: 64, C: 6, H: 28, W: 28, KH: 2, KW: 2, StrideH: 2, StrideW: 2, OutH: 14, OutW: 14}
	r := kerneltest.Rand(1)
	x := kerneltest.Normals[float32](r, 64*6*28*28)
	y, idx, dx := make([]float32, len(x)/4), make([]int64, len(x)/4), make([]float32, len(x))
	parallel.SetThreads(1)
	defer parallel.SetThreads(0)
	maxPool, avgPool := NewMaxPool2D(p, engines[float32]().Pool), NewAvgPool2D(p, true, engines[float32]().Pool)
	maxGrad, avgGrad := NewMaxPool2DGrad[float32](p, true), NewAvgPool2DGrad[float32](p, true)
	for _, k := range []struct {
		name string
		run  func()
	}{
		{"max", func() { maxPool.MaxRun(y, idx, x) }},
		{"maxgrad", func() { _ = maxGrad.MaxGradRun(dx, y, idx) }},
		{"avg", func() { avgPool.AvgRun(y, x) }},
		{"avggrad", func() { avgGrad.AvgRun(y, dx) }},
	} {
		b.Run(k.name, func(b *testing.B) {
			for b.Loop() {
				k.run()
			}
		})
	}
}
