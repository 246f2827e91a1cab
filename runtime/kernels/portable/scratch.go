package portable

import (
	"sync"
	"unsafe"

	"github.com/graphrun/graphrun/runtime/kernels/parallel"
)

// scratch is the scratch of kernels that are not running. It is shared by all, so that memory grows with what runs at the same
// time and not with what is bound.
type scratch[T Float] struct {
	mu   sync.Mutex
	free [][]T // by rising length
}

var (
	scratchF32 scratch[float32]
	scratchF64 scratch[float64]
)

func scratchOf[T Float]() *scratch[T] {
	if s, ok := any(&scratchF32).(*scratch[T]); ok {
		return s
	}
	return any(&scratchF64).(*scratch[T])
}

// leastScratch is the least length of a buffer: the allocator puts buffers of that size on pages of their own.
const leastScratch = 1 << 13

// take returns scratch of at least n elements, which holds anything and starts at a multiple of 64 bytes.
func take[T Float](n int) []T {
	s := scratchOf[T]()
	s.mu.Lock()
	defer s.mu.Unlock()
	for i, b := range s.free {
		if len(b) >= n {
			s.free = append(s.free[:i], s.free[i+1:]...)
			return b
		}
	}
	if last := len(s.free) - 1; last >= 0 { // a larger one takes its place
		s.free[last] = nil
		s.free = s.free[:last]
	}
	return Aligned[T](max(n, leastScratch))
}

// give returns what take gave.
func give[T Float](b []T) {
	s := scratchOf[T]()
	s.mu.Lock()
	defer s.mu.Unlock()
	at := len(s.free)
	for at > 0 && len(s.free[at-1]) > len(b) {
		at--
	}
	s.free = append(s.free, nil)
	copy(s.free[at+1:], s.free[at:])
	s.free[at] = b
}

// reserve makes room for a run that takes n elements for each worker and, if it is not 0, shared ones: it then does not
// allocate, unless others run at the same time.
func reserve[T Float](n, shared int) {
	var buffers [][]T
	if shared > 0 {
		buffers = append(buffers, take[T](shared))
	}
	for range parallel.Threads() {
		buffers = append(buffers, take[T](n))
	}
	for _, b := range buffers {
		give(b)
	}
}

// Aligned returns n elements that start at a multiple of 64 bytes.
func Aligned[T Float](n int) []T {
	s := make([]T, n+16)
	at := uintptr(unsafe.Pointer(unsafe.SliceData(s)))
	return s[(-at&63)/unsafe.Sizeof(s[0]):][:n:n]
}
