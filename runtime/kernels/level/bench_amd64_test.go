//go:build amd64 && !noasm

package level

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/graphrun/graphrun/runtime/kernels/backend"
	"github.com/graphrun/graphrun/runtime/kernels/driver"
	"github.com/graphrun/graphrun/runtime/kernels/parallel"
)

// gemmShapes are products of square matrices, those of a training step of an MLP 784-512-256-10 on batches of 64, those of
// single samples, and small ones. Letters say how A and B are stored: t is transposed.
var gemmShapes = []struct {
	m, n, k int
	forms   string
}{
	{512, 512, 512, "nn nt tn"},
	{1024, 1024, 1024, "nn nt tn"},
	{64, 512, 784, "nn nt"},  // y = x·w
	{64, 256, 512, "nn nt"},  //
	{784, 512, 64, "tn"},     // dw = x'·dy
	{512, 784, 64, "tn"},     //
	{512, 256, 64, "tn"},     //
	{64, 512, 256, "nn nt"},  // dx = dy·w'
	{256, 10, 64, "tn"},      //
	{64, 10, 256, "nn nt"},   //
	{64, 84, 120, "nn nt"},   //
	{64, 10, 84, "nn nt"},    //
	{1, 128, 784, "nn nt"},   //
	{1, 512, 784, "nn nt"},   //
	{1, 4096, 4096, "nn nt"}, //
	{4096, 1, 4096, "nn tn"}, //
	{2048, 2048, 2048, "nn"}, //
}

// BenchmarkGemm reports GFLOP/s, and the share of the peak that as many cores as
// there are threads have together. Both are those of the best run, as for the
// peak.
func BenchmarkGemm(b *testing.B) {
	defer setLevel(Name())
	defer parallel.SetThreads(0)
	for _, s := range gemmShapes {
		for _, form := range strings.Fields(s.forms) {
			for _, threads := range []int{1, 2} {
				for _, l := range levels() {
					b.Run(fmt.Sprintf("%dx%dx%d/%s/threads=%d/%s", s.m, s.n, s.k, form, threads, l), func(b *testing.B) {
						setLevel(l)
						parallel.SetThreads(threads)
						benchGemm(b, form == "tn", form == "nt", s.m, s.n, s.k, threads)
					})
				}
			}
		}
	}
}

func benchGemm(b *testing.B, transA, transB bool, m, n, k, threads int) {
	r := newRand(1)
	x, y := newMatrix[float32](r, transA, m, k, 0), newMatrix[float32](r, transB, k, n, 0)
	c := make([]float32, m*n)
	peak := Table().Peak()
	g := backend.Matrices[float32, float32, float32]{Shape: backend.Shape{TransA: transA, TransB: transB, M: m, N: n, K: k, Lda: x.ld, Ldb: y.ld, Ldc: n}}
	p := driver.NewProduct(multiplier[float32](), g, nil, nil, nil)
	run := func() { p.Run(x.x, y.x, c, nil) }
	run()
	ops := 2 * float64(m) * float64(n) * float64(k)
	repeat := int(5e6/ops) + 1
	flops := 0.0
	for b.Loop() {
		start := time.Now()
		for range repeat {
			run()
		}
		flops = max(flops, ops*float64(repeat)/time.Since(start).Seconds()/1e9)
	}
	b.ReportMetric(flops, "GFLOP/s")
	b.ReportMetric(100*flops/peak/float64(threads), "%peak")
	b.ReportMetric(0, "ns/op")
}

// BenchmarkThreads multiplies large matrices on one thread and on two by turns, and reports how much faster two are: the ratio of the
// medians and that of the best runs.
func BenchmarkThreads(b *testing.B) {
	defer parallel.SetThreads(0)
	const n = 2048
	r := newRand(1)
	x, y := newMatrix[float32](r, false, n, n, 0), newMatrix[float32](r, false, n, n, 0)
	c := make([]float32, n*n)
	g := backend.Matrices[float32, float32, float32]{Shape: backend.Shape{M: n, N: n, K: n, Lda: x.ld, Ldb: y.ld, Ldc: n}}
	p := driver.NewProduct(multiplier[float32](), g, nil, nil, nil)
	var times [2][]float64
	for b.Loop() {
		for i := range times {
			parallel.SetThreads(i + 1)
			start := time.Now()
			p.Run(x.x, y.x, c, nil)
			times[i] = append(times[i], time.Since(start).Seconds())
		}
	}
	for _, t := range times {
		slices.Sort(t)
	}
	half := len(times[0]) / 2
	b.ReportMetric(times[0][half]/times[1][half], "median-ratio")
	b.ReportMetric(times[0][0]/times[1][0], "best-ratio")
}
