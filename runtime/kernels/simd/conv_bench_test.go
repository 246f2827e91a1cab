package simd

import (
	"fmt"
	"testing"
	"time"

	"github.com/graphrun/graphrun/runtime/kernels/parallel"
	"github.com/graphrun/graphrun/runtime/kernels/portable"
)

// BenchmarkConv reports GFLOP/s and the share of the peak of as many cores as there are threads, both of the best run.
func BenchmarkConv(b *testing.B) {
	defer setLevel(level)
	defer parallel.SetThreads(0)
	same := func(pad int, p portable.Conv2DParams) portable.Conv2DParams {
		p.PadTop, p.PadLeft, p.PadBottom, p.PadRight = pad, pad, pad, pad
		return p
	}
	for _, s := range []struct {
		name string
		p    portable.Conv2DParams
	}{
		{"lenet1", same(2, portable.Conv2DParams{N: 64, C: 1, H: 28, W: 28, OC: 6, KH: 5, KW: 5})},
		{"lenet2", portable.Conv2DParams{N: 64, C: 6, H: 14, W: 14, OC: 16, KH: 5, KW: 5}},
		{"resnet1", same(3, portable.Conv2DParams{N: 1, C: 3, H: 224, W: 224, OC: 64, KH: 7, KW: 7, StrideH: 2, StrideW: 2})},
		{"resnet3x3", same(1, portable.Conv2DParams{N: 1, C: 64, H: 56, W: 56, OC: 64, KH: 3, KW: 3})},
		{"resnet1x1", portable.Conv2DParams{N: 1, C: 256, H: 56, W: 56, OC: 64, KH: 1, KW: 1}},
		{"resnet7x7", same(1, portable.Conv2DParams{N: 1, C: 512, H: 7, W: 7, OC: 512, KH: 3, KW: 3})},
		{"alexnet1", same(2, portable.Conv2DParams{N: 1, C: 3, H: 224, W: 224, OC: 64, KH: 11, KW: 11, StrideH: 4, StrideW: 4})},
		{"alexnet2", same(2, portable.Conv2DParams{N: 1, C: 64, H: 27, W: 27, OC: 192, KH: 5, KW: 5})},
		{"depthwise", same(1, portable.Conv2DParams{N: 1, C: 64, H: 56, W: 56, OC: 64, KH: 3, KW: 3, Groups: 64})},
	} {
		p := s.p
		groups := max(p.Groups, 1)
		r := newRand(1)
		fill := func(n int) []float32 {
			x := make([]float32, n)
			for i := range x {
				x[i] = float32(r.NormFloat64())
			}
			return x
		}
		x, w := fill(p.N*p.C*p.H*p.W), fill(p.OC*p.C/groups*p.KH*p.KW)
		dy := fill(p.N * p.OC * p.OutH() * p.OutW())
		dx, dw, y := make([]float32, len(x)), make([]float32, len(w)), make([]float32, len(dy))
		for _, threads := range []int{1, 2} {
			parallel.SetThreads(threads)
			for _, l := range supported() {
				setLevel(l)
				forward := portable.NewConv2D(p, ConvF32)
				input := portable.NewConv2DInputGrad(p, ConvF32)
				weight := portable.NewConv2DWeightGrad(p, ConvF32)
				for _, k := range []struct {
					name string
					run  func()
				}{
					{"forward", func() { forward.Run(y, x, w, nil) }},
					{"input", func() { input.Run(dx, dy, w, nil) }},
					{"weight", func() { weight.Run(dw, dy, x) }},
				} {
					b.Run(fmt.Sprintf("%s/%s/threads=%d/%s", s.name, k.name, threads, l), func(b *testing.B) {
						parallel.SetThreads(threads)
						setLevel(supported()[0])
						peak := 1e9 * Peak()
						ops := 2 * float64(len(dy)) * float64(len(w)/p.OC)
						least := 1.0
						for b.Loop() {
							start := time.Now()
							k.run()
							least = min(least, time.Since(start).Seconds())
						}
						b.ReportMetric(ops/least/1e9, "GFLOP/s")
						b.ReportMetric(100*ops/least/peak/float64(threads), "%peak")
						b.ReportMetric(least*1e6, "us")
						b.ReportMetric(0, "ns/op")
					})
				}
			}
		}
	}
}

func BenchmarkPool(b *testing.B) {
	defer setLevel(level)
	defer parallel.SetThreads(0)
	parallel.SetThreads(1)
	p := portable.Pool2DParams{N: 64, C: 6, H: 28, W: 28, KH: 2, KW: 2, StrideH: 2, StrideW: 2, OutH: 14, OutW: 14}
	x := make([]float32, 64*6*28*28)
	r := newRand(1)
	for i := range x {
		x[i] = float32(r.NormFloat64())
	}
	y, index := make([]float32, len(x)/4), make([]int64, len(x)/4)
	for _, l := range supported() {
		setLevel(l)
		most, mean := portable.NewMaxPool2D(p, PoolF32()), portable.NewAvgPool2D(p, true, PoolF32())
		b.Run("max/"+l, func(b *testing.B) {
			for b.Loop() {
				most.MaxRun(y, index, x)
			}
		})
		b.Run("mean/"+l, func(b *testing.B) {
			for b.Loop() {
				mean.AvgRun(y, x)
			}
		})
	}
}

// BenchmarkLeNetWindows is what convolution and pooling take of a training step of LeNet-5 with a batch of 64, the best of all
// runs.
func BenchmarkLeNetWindows(b *testing.B) {
	defer setLevel(level)
	defer parallel.SetThreads(0)
	r := newRand(1)
	tensor := func(n int) []float32 {
		x := make([]float32, n)
		for i := range x {
			x[i] = float32(r.NormFloat64())
		}
		return x
	}
	const n = 64
	x, w1, y1 := tensor(n*28*28), tensor(6*25), tensor(n*6*28*28)
	p1, at1, w2 := tensor(n*6*14*14), make([]int64, n*6*14*14), tensor(16*6*25)
	y2, p2, at2 := tensor(n*16*10*10), tensor(n*16*5*5), make([]int64, n*16*5*5)
	conv1 := portable.Conv2DParams{N: n, C: 1, H: 28, W: 28, OC: 6, KH: 5, KW: 5, PadTop: 2, PadLeft: 2, PadBottom: 2, PadRight: 2}
	conv2 := portable.Conv2DParams{N: n, C: 6, H: 14, W: 14, OC: 16, KH: 5, KW: 5}
	pool1 := portable.Pool2DParams{N: n, C: 6, H: 28, W: 28, KH: 2, KW: 2, StrideH: 2, StrideW: 2, OutH: 14, OutW: 14}
	pool2 := portable.Pool2DParams{N: n, C: 16, H: 10, W: 10, KH: 2, KW: 2, StrideH: 2, StrideW: 2, OutH: 5, OutW: 5}
	for _, threads := range []int{1, 2} {
		for _, l := range supported() {
			setLevel(l)
			parallel.SetThreads(threads)
			steps := []func(){}
			add := func(f func()) { steps = append(steps, f) }
			c1, c2 := portable.NewConv2D(conv1, ConvF32), portable.NewConv2D(conv2, ConvF32)
			m1, m2 := portable.NewMaxPool2D(pool1, PoolF32()), portable.NewMaxPool2D(pool2, PoolF32())
			g1, g2 := portable.NewMaxPool2DGrad[float32](pool1, true), portable.NewMaxPool2DGrad[float32](pool2, true)
			dw1, dw2 := portable.NewConv2DWeightGrad(conv1, ConvF32), portable.NewConv2DWeightGrad(conv2, ConvF32)
			dx2 := portable.NewConv2DInputGrad(conv2, ConvF32)
			add(func() { c1.Run(y1, x, w1, nil) })
			add(func() { m1.MaxRun(p1, at1, y1) })
			add(func() { c2.Run(y2, p1, w2, nil) })
			add(func() { m2.MaxRun(p2, at2, y2) })
			add(func() { _ = g2.MaxGradRun(y2, p2, at2) })
			add(func() { dw2.Run(w2, y2, p1) })
			add(func() { dx2.Run(p1, y2, w2, nil) })
			add(func() { _ = g1.MaxGradRun(y1, p1, at1) })
			add(func() { dw1.Run(w1, y1, x) })
			b.Run(fmt.Sprintf("threads=%d/%s", threads, l), func(b *testing.B) {
				setLevel(l)
				parallel.SetThreads(threads)
				least := make([]float64, len(steps))
				for i := range least {
					least[i] = 1
				}
				for b.Loop() {
					for i, f := range steps {
						start := time.Now()
						f()
						least[i] = min(least[i], time.Since(start).Seconds())
					}
				}
				sum := 0.0
				for i, name := range []string{"conv1", "pool1", "conv2", "pool2", "dpool2", "dw2", "dx2", "dpool1", "dw1"} {
					sum += least[i]
					b.ReportMetric(least[i]*1e6, name+"-us")
				}
				b.ReportMetric(sum*1e6, "us")
				b.ReportMetric(0, "ns/op")
			})
		}
	}
}
