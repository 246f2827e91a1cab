package parallel

import (
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// counter counts how often each chunk is done, and by whom.
type counter struct {
	done    []atomic.Int32
	inside  [16]atomic.Int32
	overlap atomic.Bool
	panicAt int
}

func (c *counter) Do(worker, chunk int) {
	if c.inside[worker].Add(1) != 1 {
		c.overlap.Store(true)
	}
	if chunk == c.panicAt {
		panic("chunk")
	}
	c.done[chunk].Add(1)
	c.inside[worker].Add(-1)
}

func newCounter(chunks int) *counter {
	return &counter{done: make([]atomic.Int32, chunks), panicAt: -1}
}

func setThreads(t *testing.T, n int) {
	SetThreads(n)
	t.Cleanup(func() { SetThreads(0) })
}

// TestEveryChunkOnce runs jobs of many sizes from several goroutines at once.
func TestEveryChunkOnce(t *testing.T) {
	for _, threads := range []int{1, 2, 3, 8} {
		setThreads(t, threads)
		var wg sync.WaitGroup
		for range 4 {
			wg.Go(func() {
				for _, chunks := range []int{0, 1, 2, 3, 7, 100, 1000} {
					for range 50 {
						c := newCounter(chunks)
						Run(chunks, c)
						for i := range c.done {
							if n := c.done[i].Load(); n != 1 {
								t.Errorf("%d threads, %d chunks: chunk %d is done %d times", threads, chunks, i, n)
								return
							}
						}
						if c.overlap.Load() {
							t.Errorf("%d threads: two calls with one worker number overlap", threads)
							return
						}
					}
				}
			})
		}
		wg.Wait()
	}
}

// TestParked hands over work after the workers have parked.
func TestParked(t *testing.T) {
	setThreads(t, 3)
	for range 5 {
		c := newCounter(64)
		Run(64, c)
		for i := range c.done {
			if c.done[i].Load() != 1 {
				t.Fatalf("chunk %d is done %d times", i, c.done[i].Load())
			}
		}
		time.Sleep(5 * spinTime)
	}
}

func TestPanic(t *testing.T) {
	for _, threads := range []int{1, 2, 8} {
		setThreads(t, threads)
		func() {
			defer func() {
				if p := recover(); p != "chunk" {
					t.Errorf("%d threads: the caller recovers %v, want the chunk's panic", threads, p)
				}
			}()
			c := newCounter(100)
			c.panicAt = 50
			Run(100, c)
		}()
		c := newCounter(10) // the pool works on
		Run(10, c)
		for i := range c.done {
			if c.done[i].Load() != 1 {
				t.Errorf("after a panic chunk %d is done %d times", i, c.done[i].Load())
			}
		}
	}
}

func TestRunDoesNotAllocate(t *testing.T) {
	for _, threads := range []int{1, 2, 4} {
		setThreads(t, threads)
		c := newCounter(32)
		Run(32, c)
		if n := testing.AllocsPerRun(100, func() { Run(32, c) }); n != 0 {
			t.Errorf("%d threads: %v allocations a run", threads, n)
		}
	}
}

func TestThreads(t *testing.T) {
	setThreads(t, 5)
	if Threads() != 5 {
		t.Errorf("%d threads, want 5", Threads())
	}
	SetThreads(0)
	if want := runtime.GOMAXPROCS(0); Threads() != want {
		t.Errorf("%d threads by default, want %d", Threads(), want)
	}
}

// sized keeps scratch by worker; more threads are allowed right after it has made it.
type sized struct{ scratch []atomic.Int64 }

func (s *sized) Workers(n int) {
	s.scratch = make([]atomic.Int64, n)
	SetThreads(n + 5)
}

func (s *sized) Do(worker, _ int) {
	s.scratch[worker].Add(1)
	time.Sleep(10 * time.Microsecond) // so that others join
}

// TestThreadsChange changes the number of threads while a task is started.
func TestThreadsChange(t *testing.T) {
	for _, threads := range []int{1, 2, 3} {
		for range 20 {
			setThreads(t, threads)
			s := new(sized)
			Run(100, s)
			total := int64(0)
			for i := range s.scratch {
				total += s.scratch[i].Load()
			}
			if total != 100 || len(s.scratch) != threads {
				t.Fatalf("%d threads: %d workers do %d chunks, want 100", threads, len(s.scratch), total)
			}
		}
	}
}

type nothing struct{}

func (nothing) Do(_, _ int) {}

func BenchmarkHandOver(b *testing.B) {
	var t Task = nothing{}
	for b.Loop() {
		Run(2, t)
	}
}
