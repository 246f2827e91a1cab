//go:build amd64 && !noasm

package simd

import (
	"fmt"
	"testing"
	"time"

	"github.com/graphrun/graphrun/runtime/kernels/portable"
)

// BenchmarkGemm reports GFLOP/s, and the share of the peak that as many cores as
// there are threads have together. Both are those of the best run, as for the
// peak.
func BenchmarkGemm(b *testing.B) {
	defer setLevel(level)
	defer portable.SetThreads(0)
	for _, s := range [][3]int{
		{512, 512, 512},
		{1024, 1024, 1024},
		{64, 120, 400},
		{64, 84, 120},
		{64, 10, 84},
		{64, 3136, 576},
		{8, 512, 512},
		{1, 512, 512},
		{1, 4096, 4096},
		{512, 1, 512},
	} {
		m, n, k := s[0], s[1], s[2]
		for _, form := range []struct {
			name           string
			transA, transB bool
		}{{"nn", false, false}, {"nt", false, true}, {"tn", true, false}} {
			for _, threads := range []int{1, 2} {
				for _, l := range append(supported(), "portable") {
					if l == levelGeneric || l == "portable" && (threads > 1 || form.name == "tn") {
						continue
					}
					b.Run(fmt.Sprintf("%dx%dx%d/%s/threads=%d/%s", m, n, k, form.name, threads, l), func(b *testing.B) {
						r := newRand(1)
						x, y := newMatrix[float32](r, form.transA, m, k, 0), newMatrix[float32](r, form.transB, k, n, 0)
						c := make([]float32, m*n)
						if l == "portable" {
							setLevel(levelGeneric)
						} else {
							setLevel(l)
						}
						portable.SetThreads(threads)
						peak := Peak()
						run := func() {
							GemmF32(form.transA, form.transB, m, n, k, x.x, x.ld, y.x, y.ld, c, n, false)
						}
						run()
						ops := 2 * float64(m) * float64(n) * float64(k)
						repeat := int(5e6/ops) + 1
						flops := 0.0
						for b.Loop() {
							start := time.Now()
							for range repeat {
								run()
							}
							flops = max(flops, ops*float64(repeat)/time.Since(start).Seconds())
						}
						b.ReportMetric(flops/1e9, "GFLOP/s")
						b.ReportMetric(100*flops/1e9/peak/float64(threads), "%peak")
						b.ReportMetric(0, "ns/op")
					})
				}
			}
		}
	}
}
