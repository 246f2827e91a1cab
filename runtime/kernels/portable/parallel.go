// Package portable holds numeric kernels in plain Go, on contiguous row-major
// slices, generic over float32 and float64. They are the reference for the SIMD
// kernels and what runs on processors without them.
//
// # Determinism
//
// Results are bit-identical for any number of threads: an output element is
// always computed by the same sequence of operations, whatever the split of
// work. Where the rows of an output are samples (a row of a GEMM, a sample of a
// convolution, a row of a softmax), their bits do not depend on how many other
// rows there are. NaN and Inf propagate as in IEEE 754: zero multiplicands are
// never skipped. (The sign and payload of a NaN are not specified.) Bits may
// differ between architectures: on some the Go compiler fuses x*y+z.
//
// # Contract
//
// Slices may be longer than the shape asks for; a slice that is too short
// panics before any work starts. Outputs must not overlap inputs unless a
// kernel says so. A kernel that needs scratch takes it as its last argument:
// its length comes from the function named ...ScratchLen, which takes the
// number of workers that may run at once; with less scratch than Threads()
// workers need, fewer workers run. A nil scratch is allocated by the call.
package portable

import (
	"fmt"
	"sync"
	"sync/atomic"

	"github.com/graphrun/graphrun/runtime/kernels/parallel"
)

// Float is the set of element types of the numeric kernels.
type Float interface{ ~float32 | ~float64 }

// SetThreads and Threads are those of package parallel.
func SetThreads(n int) { parallel.SetThreads(n) }

// Threads returns how many goroutines a kernel may use at once.
func Threads() int { return parallel.Threads() }

// Units of work, about a nanosecond each, under which a second goroutine costs
// more than it brings.
const serialWork = 1 << 15

// serial reports whether a kernel of that much work runs on the caller alone.
func serial(work int) bool { return work < serialWork || Threads() == 1 }

// parallelFor calls fn on [0, n) cut into ranges of grain (the last may be
// shorter), on up to Threads() goroutines.
func parallelFor(n, grain int, fn func(lo, hi int)) {
	parallelWorkers(n, grain, Threads(), func(_, lo, hi int) { fn(lo, hi) })
}

// parallelWorkers is parallelFor with at most workers goroutines, which also
// tells fn the number of the worker that calls it, below workers. Calls with
// the same worker number never overlap. A panic in fn is raised again in the
// caller after all workers have stopped.
func parallelWorkers(n, grain, workers int, fn func(worker, lo, hi int)) {
	if n <= 0 {
		return
	}
	grain = max(grain, 1)
	chunks := (n + grain - 1) / grain
	workers = min(workers, chunks)
	if workers <= 1 {
		for lo := 0; lo < n; lo += grain {
			fn(0, lo, min(lo+grain, n))
		}
		return
	}
	var (
		next   atomic.Int64
		wg     sync.WaitGroup
		once   sync.Once
		failed any
	)
	run := func(worker int) {
		defer func() {
			if e := recover(); e != nil {
				next.Store(int64(chunks))
				once.Do(func() { failed = e })
			}
		}()
		for {
			c := int(next.Add(1)) - 1
			if c >= chunks {
				return
			}
			fn(worker, c*grain, min(c*grain+grain, n))
		}
	}
	for w := 1; w < workers; w++ {
		wg.Go(func() { run(w) })
	}
	run(0)
	wg.Wait()
	if failed != nil {
		panic(failed)
	}
}

// need panics if a slice of length have is shorter than want.
func need(kernel, name string, have, want int) {
	if have < want {
		panic(fmt.Sprintf("portable: %s: %s has %d elements, needs %d", kernel, name, have, want))
	}
}

// workerScratch returns scratch with room for at least one worker, and for how
// many workers (at most Threads()) it has room, if each needs per elements
// after fixed shared ones.
func workerScratch[T any](kernel string, scratch []T, fixed, per int) ([]T, int) {
	if scratch == nil {
		n := Threads()
		return make([]T, fixed+per*n), n
	}
	need(kernel, "scratch", len(scratch), fixed+per)
	if per == 0 {
		return scratch, Threads()
	}
	return scratch, min(Threads(), (len(scratch)-fixed)/per)
}

// Epilogue is what is done to the result of a matrix product or a convolution part by part, right after a part has been
// computed and while it is in cache: a bias, an activation, a mask.
type Epilogue interface {
	// Apply replaces the elements in rows r0 to r1 and columns c0 to c1 of the result by their final values. The result is
	// seen as a matrix: all axes before the last of a product are its rows; all axes behind the channels of a
	// convolution are its columns. Calls with the same worker number do not overlap.
	Apply(worker, r0, r1, c0, c1 int)
	// Workers says that worker numbers are below n from now on; until then there is one worker.
	Workers(n int)
}
