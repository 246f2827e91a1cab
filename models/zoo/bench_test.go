package zoo_test

import (
	"context"
	"fmt"
	"testing"

	"github.com/graphrun/graphrun/graph/value"
	"github.com/graphrun/graphrun/models/zoo"
)

// BenchmarkStep runs the functions of every model on batches of 64.
func BenchmarkStep(b *testing.B) {
	const batch = 64
	for _, m := range zoo.Models() {
		for _, fn := range []string{"train", "predict"} {
			b.Run(fmt.Sprintf("%s/%s", m.Name, fn), func(b *testing.B) {
				sess := newSession(b, m.Name)
				in := feeds(b, batch, 0)
				if fn == "predict" {
					delete(in, "label")
				}
				out, err := sess.Run(context.Background(), fn, in)
				if err != nil {
					b.Fatal(err)
				}
				results := map[string]value.Value{}
				for name, v := range out {
					results[name] = v
				}
				b.ReportAllocs()
				for b.Loop() {
					if err := sess.RunInto(context.Background(), fn, in, results); err != nil {
						b.Fatal(err)
					}
				}
				b.ReportMetric(batch*float64(b.N)/b.Elapsed().Seconds(), "samples/s")
			})
		}
	}
}
