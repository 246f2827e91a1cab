package level

import (
	"fmt"
	"testing"
	"time"

	"github.com/graphrun/graphrun/runtime/kernels/driver"
	"github.com/graphrun/graphrun/runtime/kernels/parallel"
)

// BenchmarkConv reports GFLOP/s and the share of the peak of as many cores as there are threads, both of the best run.
func BenchmarkConv(b *testing.B) {
	defer setLevel(Name())
	defer parallel.SetThreads(0)
	same := func(pad int, p driver.Conv2DParams) driver.Conv2DParams {
		p.PadTop, p.PadLeft, p.PadBottom, p.PadRight = pad, pad, pad, pad
		return p
	}
	for _, s := range []struct {
		name string
		p    driver.Conv2DParams
	}{
		{"lenet1", same(2, driver.Conv2DParams{N: 64, C: 1, H: 28, W: 28, OC: 6, KH: 5, KW: 5})},
		{"lenet2", driver.Conv2DParams{N: 64, C: 6, H: 14, W: 14, OC: 16, KH: 5, KW: 5}},
		{"resnet1", same(3, driver.Conv2DParams{N: 1, C: 3, H: 224, W: 224, OC: 64, KH: 7, KW: 7, StrideH: 2, StrideW: 2})},
		{"resnet3x3", same(1, driver.Conv2DParams{N: 1, C: 64, H: 56, W: 56, OC: 64, KH: 3, KW: 3})},
		{"resnet1x1", driver.Conv2DParams{N: 1, C: 256, H: 56, W: 56, OC: 64, KH: 1, KW: 1}},
		{"resnet7x7", same(1, driver.Conv2DParams{N: 1, C: 512, H: 7, W: 7, OC: 512, KH: 3, KW: 3})},
		{"alexnet1", same(2, driver.Conv2DParams{N: 1, C: 3, H: 224, W: 224, OC: 64, KH: 11, KW: 11, StrideH: 4, StrideW: 4})},
		{"alexnet2", same(2, driver.Conv2DParams{N: 1, C: 64, H: 27, W: 27, OC: 192, KH: 5, KW: 5})},
		{"depthwise", same(1, driver.Conv2DParams{N: 1, C: 64, H: 56, W: 56, OC: 64, KH: 3, KW: 3, Groups: 64})},
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
			for _, l := range levels() {
				setLevel(l)
				forward := driver.NewConv2D(p, engines[float32]().Conv)
				input := driver.NewConv2DInputGrad(p, engines[float32]().Conv)
				weight := driver.NewConv2DWeightGrad(p, engines[float32]().Conv)
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
						setLevel(levels()[0])
						peak := 1e9 * Table().Peak()
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
	defer setLevel(Name())
	defer parallel.SetThreads(0)
	parallel.SetThreads(1)
	p := driver.Pool2DParams{N: 64, C: 6, H: 28, W: 28, KH: 2, KW: 2, StrideH: 2, StrideW: 2, OutH: 14, OutW: 14}
	x := make([]float32, 64*6*28*28)
	r := newRand(1)
	for i := range x {
		x[i] = float32(r.NormFloat64())
	}
	y, index := make([]float32, len(x)/4), make([]int64, len(x)/4)
	for _, l := range levels() {
		setLevel(l)
		most, mean := driver.NewMaxPool2D(p, engines[float32]().Pool), driver.NewAvgPool2D(p, true, engines[float32]().Pool)
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
	defer setLevel(Name())
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
	conv1 := driver.Conv2DParams{N: n, C: 1, H: 28, W: 28, OC: 6, KH: 5, KW: 5, PadTop: 2, PadLeft: 2, PadBottom: 2, PadRight: 2}
	conv2 := driver.Conv2DParams{N: n, C: 6, H: 14, W: 14, OC: 16, KH: 5, KW: 5}
	pool1 := driver.Pool2DParams{N: n, C: 6, H: 28, W: 28, KH: 2, KW: 2, StrideH: 2, StrideW: 2, OutH: 14, OutW: 14}
	pool2 := driver.Pool2DParams{N: n, C: 16, H: 10, W: 10, KH: 2, KW: 2, StrideH: 2, StrideW: 2, OutH: 5, OutW: 5}
	for _, threads := range []int{1, 2} {
		for _, l := range levels() {
			setLevel(l)
			parallel.SetThreads(threads)
			steps := []func(){}
			add := func(f func()) { steps = append(steps, f) }
			c1, c2 := driver.NewConv2D(conv1, engines[float32]().Conv), driver.NewConv2D(conv2, engines[float32]().Conv)
			m1, m2 := driver.NewMaxPool2D(pool1, engines[float32]().Pool), driver.NewMaxPool2D(pool2, engines[float32]().Pool)
			g1, g2 := driver.NewMaxPool2DGrad[float32](pool1, true), driver.NewMaxPool2DGrad[float32](pool2, true)
			dw1, dw2 := driver.NewConv2DWeightGrad(conv1, engines[float32]().Conv), driver.NewConv2DWeightGrad(conv2, engines[float32]().Conv)
			dx2 := driver.NewConv2DInputGrad(conv2, engines[float32]().Conv)
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
