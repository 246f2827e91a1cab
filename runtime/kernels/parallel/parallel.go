package parallel

import (
	"runtime"
	"sync"
	"sync/atomic"
	"time"
)

// Task is work cut into chunks. A kernel that must not allocate keeps one and calls Run with it again and again.
type Task interface {
	// Do does chunk chunk. Calls with the same worker number never overlap within a Run, so it may choose the worker's
	// scratch: see Sized. What it panics with is raised again in the caller of Run.
	Do(worker, chunk int)
}

// Sized is a Task that keeps scratch by worker. Run tells it how many workers there may be before it hands out chunks: Threads may
// change at any time.
type Sized interface {
	Task
	Workers(n int)
}

// Stop tells tasks that nobody waits for their results any more. Its zero value, as nil, never does.
type Stop struct{ done <-chan struct{} }

// On makes a Stop tell tasks when a channel is closed; nil is never closed. No task that has the Stop runs meanwhile.
func (s *Stop) On(done <-chan struct{}) { s.done = done }

// Done returns the channel, nil if there is none.
func (s *Stop) Done() <-chan struct{} {
	if s == nil {
		return nil
	}
	return s.done
}

// Stopped reports whether tasks need not go on.
func (s *Stop) Stopped() bool {
	select {
	case <-s.Done():
		return true
	default:
		return false
	}
}

// Stoppable is embedded by a Task of which the chunks that have not begun are left out once it is stopped.
type Stoppable struct{ Stop *Stop }

func (s *Stoppable) stop() *Stop { return s.Stop }

func stopOf(t Task) *Stop {
	if s, ok := t.(interface{ stop() *Stop }); ok {
		return s.stop()
	}
	return nil
}

var threads atomic.Int64

// SetThreads sets how many goroutines one Run may use, the caller's included. n < 1 restores the default,
// runtime.GOMAXPROCS(0).
func SetThreads(n int) { threads.Store(int64(max(n, 0))) }

// Threads returns how many goroutines one Run may use, the caller's included.
func Threads() int {
	if n := threads.Load(); n > 0 {
		return int(n)
	}
	return runtime.GOMAXPROCS(0)
}

const (
	// spinTime is how long a worker looks for more work before it parks.
	spinTime = 200 * time.Microsecond
	// spins is how often it looks between letting other goroutines run.
	spins = 256
)

// job is one Run.
type job struct {
	task   Task
	stop   *Stop
	chunks int64
	next   atomic.Int64 // the next chunk to take
	refs   atomic.Int64 // workers to which the job is posted or that work on it
	joined atomic.Int64 // workers that have begun
	once   sync.Once
	failed any // what a chunk panicked with
}

// worker is a goroutine that takes jobs. Its slot holds nil when it is free, a job that is posted to it, or busy.
type worker struct {
	slot   atomic.Pointer[job]
	parked atomic.Bool
	wake   chan struct{}
	_      [40]byte // workers do not share cache lines
}

var busy = new(job)

// pool grows to the largest number of workers asked for; what it holds is never removed.
var pool struct {
	mu      sync.Mutex
	workers atomic.Pointer[[]*worker]
	jobs    []*job // free ones
}

// team returns at least n workers.
func team(n int) []*worker {
	if ws := pool.workers.Load(); ws != nil && len(*ws) >= n {
		return *ws
	}
	pool.mu.Lock()
	defer pool.mu.Unlock()
	var ws []*worker
	if old := pool.workers.Load(); old != nil {
		ws = append(ws, *old...)
	}
	for len(ws) < n {
		w := &worker{wake: make(chan struct{}, 1)}
		ws = append(ws, w)
		go w.loop()
	}
	pool.workers.Store(&ws)
	return ws
}

func newJob(t Task, chunks int) *job {
	pool.mu.Lock()
	var j *job
	if n := len(pool.jobs); n > 0 {
		j = pool.jobs[n-1]
		pool.jobs = pool.jobs[:n-1]
	}
	pool.mu.Unlock()
	if j == nil {
		j = new(job)
	}
	j.task, j.stop, j.chunks = t, stopOf(t), int64(chunks)
	j.next.Store(0)
	j.joined.Store(0)
	return j
}

func (j *job) free() {
	j.task, j.stop = nil, nil
	pool.mu.Lock()
	pool.jobs = append(pool.jobs, j)
	pool.mu.Unlock()
}

// Alone is Run on the caller's goroutine.
func Alone(chunks int, t Task) {
	stop := stopOf(t)
	for c := range chunks {
		if stop.Stopped() {
			return
		}
		t.Do(0, c)
	}
}

// Run calls t.Do for every chunk from 0 up to chunks and returns when all are done. It does not allocate once the
// pool has grown to its size.
func Run(chunks int, t Task) {
	n := min(Threads(), chunks)
	if s, ok := t.(Sized); ok {
		s.Workers(max(n, 1))
	}
	if n <= 1 {
		Alone(chunks, t)
		return
	}
	j := newJob(t, chunks)
	ws := team(n - 1)
	posted := 0
	for _, w := range ws {
		if posted == n-1 {
			break
		}
		j.refs.Add(1)
		if !w.slot.CompareAndSwap(nil, j) {
			j.refs.Add(-1)
			continue
		}
		posted++
		if w.parked.CompareAndSwap(true, false) {
			w.wake <- struct{}{}
		}
	}
	j.work(0)
	for _, w := range ws { // who has not begun need not
		if posted > 0 && w.slot.CompareAndSwap(j, nil) {
			j.refs.Add(-1)
		}
	}
	for i := 1; j.refs.Load() != 0; i++ {
		if i%spins == 0 {
			runtime.Gosched()
		}
	}
	if j.failed != nil { // its sync.Once is used up
		panic(j.failed)
	}
	j.free()
}

// work takes chunks until there are none left.
func (j *job) work(number int) {
	defer j.rescue()
	for {
		c := j.next.Add(1) - 1
		if c >= j.chunks || j.stop.Stopped() {
			return
		}
		j.task.Do(number, int(c))
	}
}

func (j *job) rescue() {
	if p := recover(); p != nil {
		j.next.Store(j.chunks)
		j.once.Do(func() { j.failed = p })
	}
}

func (w *worker) loop() {
	var last time.Time
	for i := 1; ; i++ {
		if j := w.slot.Load(); j != nil {
			if w.slot.CompareAndSwap(j, busy) {
				j.work(int(j.joined.Add(1)))
				w.slot.Store(nil)
				j.refs.Add(-1)
			}
			last = time.Time{}
			continue
		}
		if i%spins != 0 {
			continue
		}
		runtime.Gosched()
		now := time.Now()
		if last.IsZero() {
			last = now
		}
		if now.Sub(last) < spinTime {
			continue
		}
		w.parked.Store(true)
		if w.slot.Load() != nil && w.parked.CompareAndSwap(true, false) {
			continue
		}
		<-w.wake
		last = time.Time{}
	}
}
