package driver

import (
	"sync"
	"unsafe"

	"github.com/graphrun/graphrun/runtime/kernels/backend"
	"github.com/graphrun/graphrun/runtime/kernels/parallel"
)

// scratch is the scratch of kernels that are not running, by rising size. It is shared by all, so that memory grows with what runs at
// the same time and not with what is bound.
var scratch struct {
	mu   sync.Mutex
	free [][]byte
}

// leastScratch is the least size of a buffer: the allocator puts buffers of that size on pages of their own.
const leastScratch = 1 << 15

// take returns scratch of at least n elements, which holds anything and starts at a multiple of 64 bytes.
func take[T backend.Number](n int) []T {
	var zero T
	size := int(unsafe.Sizeof(zero))
	b := takeBytes(n * size)
	return unsafe.Slice((*T)(unsafe.Pointer(unsafe.SliceData(b))), len(b)/size)
}

func takeBytes(n int) []byte {
	s := &scratch
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
	return backend.AlignedBytes((max(n, leastScratch) + 7) &^ 7) // whole elements of any type
}

// give returns what take gave.
func give[T backend.Number](b []T) {
	var zero T
	giveBytes(unsafe.Slice((*byte)(unsafe.Pointer(unsafe.SliceData(b))), cap(b)*int(unsafe.Sizeof(zero))))
}

func giveBytes(b []byte) {
	s := &scratch
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
func reserve[T backend.Number](n, shared int) {
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
