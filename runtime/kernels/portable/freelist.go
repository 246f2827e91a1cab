package portable

import "sync"

// freeList holds the scratch of kernels that are not running. It is shared by all, so that memory grows with what runs at
// the same time and not with what is bound.
type freeList[T Float] struct {
	mu    sync.Mutex
	free  [][]T // by rising length
	count int   // buffers that exist
}

var (
	freeF32 freeList[float32]
	freeF64 freeList[float64]
)

func listOf[T Float]() *freeList[T] {
	if l, ok := any(&freeF32).(*freeList[T]); ok {
		return l
	}
	return any(&freeF64).(*freeList[T])
}

// leastScratch is the least length of a buffer: the allocator puts buffers of that size on pages of their own.
const leastScratch = 1 << 13

// take returns scratch of at least n elements, which holds anything.
func take[T Float](n int) []T {
	l := listOf[T]()
	l.mu.Lock()
	defer l.mu.Unlock()
	for i, b := range l.free {
		if len(b) >= n {
			l.free = append(l.free[:i], l.free[i+1:]...)
			return b
		}
	}
	if last := len(l.free) - 1; last >= 0 { // a larger one takes its place
		l.free[last] = nil
		l.free = l.free[:last]
	} else {
		l.count++
	}
	return make([]T, max(n, leastScratch))
}

// give returns what take gave.
func give[T Float](b []T) {
	l := listOf[T]()
	l.mu.Lock()
	defer l.mu.Unlock()
	at := len(l.free)
	for at > 0 && len(l.free[at-1]) > len(b) {
		at--
	}
	l.free = append(l.free, nil)
	copy(l.free[at+1:], l.free[at:])
	l.free[at] = b
}

// reserve makes room for a run that takes n elements for each worker and shared ones.
func reserve[T Float](n, shared int) {
	bufs := [][]T{take[T](shared)}
	for range Threads() {
		bufs = append(bufs, take[T](n))
	}
	for _, b := range bufs {
		give(b)
	}
}
