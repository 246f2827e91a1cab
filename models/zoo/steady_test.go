package zoo_test

import (
	"context"
	"fmt"
	goruntime "runtime"
	"sync"
	"testing"
	"time"

	"github.com/graphrun/graphrun/compile"
	"github.com/graphrun/graphrun/graph/value"
	"github.com/graphrun/graphrun/models/zoo"
	"github.com/graphrun/graphrun/runtime"
	"github.com/graphrun/graphrun/runtime/kernels/parallel"
	"github.com/graphrun/graphrun/runtime/plan"
)

// feeds are batches of random images and labels.
func feeds(t testing.TB, batch int, phase int) map[string]value.Value {
	t.Helper()
	pixels := make([]float32, batch*28*28)
	for i := range pixels {
		pixels[i] = float32((i*7+phase*13)%256) / 255
	}
	labels := make([]int64, batch)
	for i := range labels {
		labels[i] = int64((i + phase) % 10)
	}
	image, err := value.FromSlice(pixels, batch, 1, 28, 28)
	if err != nil {
		t.Fatal(err)
	}
	label, err := value.FromSlice(labels, batch)
	if err != nil {
		t.Fatal(err)
	}
	return map[string]value.Value{"image": image, "label": label}
}

func newSession(t testing.TB, model string) *runtime.Session {
	t.Helper()
	m, ok := zoo.Lookup(model)
	if !ok {
		t.Fatalf("there is no model %s", model)
	}
	prog, err := compile.Compile(m.Build())
	if err != nil {
		t.Fatal(err)
	}
	sess, err := runtime.NewSession(prog, runtime.Seed(1))
	if err != nil {
		t.Fatal(err)
	}
	return sess
}

// fillWaiterCaches lets many goroutines wait. For each processor, the Go runtime keeps what a goroutine needs to wait on a
// channel. A worker that parks on one processor and wakes on another moves it there, and until all have enough, the runtime
// allocates more.
func fillWaiterCaches() {
	var wg sync.WaitGroup
	gate := make(chan struct{})
	for range 1024 {
		wg.Go(func() { <-gate })
	}
	time.Sleep(10 * time.Millisecond)
	close(gate)
	wg.Wait()
}

// TestSteadyState runs steps of two batch sizes by turns, with other feeds each time: nothing is allocated.
func TestSteadyState(t *testing.T) {
	steps := 1000
	if testing.Short() {
		steps = 100
	}
	for _, c := range []struct{ model, fn, result string }{
		{"mlp", "train", "loss"}, {"lenet5", "train", "loss"}, {"mlp", "predict", "logits"}, {"mlp", "eval", "correct"},
	} {
		for _, threads := range []int{1, 2} {
			t.Run(fmt.Sprintf("%s/%s/%d", c.model, c.fn, threads), func(t *testing.T) {
				parallel.SetThreads(threads)
				defer parallel.SetThreads(0)
				sess := newSession(t, c.model)
				ctx := context.Background()
				var batches, results []map[string]value.Value
				for i, n := range []int{64, 17, 64, 17} {
					in := feeds(t, n, i)
					if c.fn == "predict" {
						delete(in, "label")
					}
					out, err := sess.Run(ctx, c.fn, in)
					if err != nil {
						t.Fatal(err)
					}
					batches = append(batches, in)
					results = append(results, map[string]value.Value{c.result: out[c.result]})
				}
				i := 0
				step := func() {
					if err := sess.RunInto(ctx, c.fn, batches[i%4], results[i%4]); err != nil {
						t.Fatal(err)
					}
					i++
				}
				for range 8 {
					step()
				}
				if n := testing.AllocsPerRun(40, step); n != 0 {
					t.Errorf("%v allocations a step", n)
				}
				fillWaiterCaches()
				var before, after goruntime.MemStats
				goruntime.ReadMemStats(&before)
				for range steps {
					step()
				}
				goruntime.ReadMemStats(&after)
				// The Go runtime itself allocates a little now and then, whatever the number of steps.
				if n := after.Mallocs - before.Mallocs; n > uint64(steps/20) {
					t.Errorf("%d allocations in %d steps", n, steps)
				}
			})
		}
	}
}

// TestNewBatchSizeRunsNoPlanner meets batch sizes that no call had before.
func TestNewBatchSizeRunsNoPlanner(t *testing.T) {
	for _, model := range zoo.Names() {
		sess := newSession(t, model)
		before := plan.Runs()
		for n := 1; n <= 9; n++ {
			for _, fn := range []string{"train", "eval"} {
				if _, err := sess.Run(context.Background(), fn, feeds(t, n, n)); err != nil {
					t.Fatal(err)
				}
			}
		}
		if after := plan.Runs(); after != before {
			t.Errorf("%s: the planner has run %d times for new batch sizes", model, after-before)
		}
	}
}
