package runtime

import (
	"runtime"
	"slices"

	"github.com/graphrun/graphrun/graph/errfmt"
	"github.com/graphrun/graphrun/graph/value"
	"github.com/graphrun/graphrun/runtime/program"
)

// arena is the memory of one call at a time, and what has been prepared to run in it: frames hold views of the memory. What a call
// is given they hold while it runs.
type arena struct {
	mem     []byte
	frames  map[*binding]*frame
	scratch float64         // bytes that the kernels of all frames keep
	in      []*value.Tensor // the feeds of the present call
	out     []*value.Tensor // by output: where it is computed, if that is not the arena
	wanted  []*value.Tensor // by output: the caller's tensor that takes it, if there is one
}

// maxFrames bounds the bindings for which an arena keeps frames.
const maxFrames = 64

// newArena returns an arena of at least size bytes, which start at a multiple of 64.
func newArena(size int) (*arena, error) {
	a := &arena{frames: map[*binding]*frame{}}
	if size >= mappedSize {
		mem, whole, err := mapMemory(size)
		if err != nil {
			return nil, errfmt.Errorf("out of memory: the call needs %s: %w", value.ByteText(float64(size)), err)
		}
		if mem != nil {
			a.mem = mem
			runtime.AddCleanup(a, unmapMemory, whole) // frames do not refer to their arena
			return a, nil
		}
	}
	t, err := value.New(value.U8, max(size, program.Align))
	if err != nil {
		return nil, errfmt.Errorf("out of memory: %w", err)
	}
	a.mem = t.Bytes()
	return a, nil
}

// mappedSize is the size from which an arena is memory of its own, outside the Go heap.
const mappedSize = 1 << 20

// takeArena returns the largest arena that no call uses, a small new one if there is none.
func (s *Session) takeArena() (*arena, error) {
	s.pool.Lock()
	best := -1
	for i, a := range s.arenas {
		if best < 0 || len(a.mem) > len(s.arenas[best].mem) {
			best = i
		}
	}
	var a *arena
	if best >= 0 {
		last := len(s.arenas) - 1
		a = s.arenas[best]
		s.arenas[best] = s.arenas[last]
		s.arenas[last] = nil
		s.arenas = s.arenas[:last]
	}
	s.pool.Unlock()
	if a != nil {
		return a, nil
	}
	return newArena(0)
}

func (s *Session) putArena(a *arena) {
	clear(a.in)
	clear(a.out)
	clear(a.wanted)
	s.pool.Lock()
	s.arenas = append(s.arenas, a)
	s.pool.Unlock()
}

// sized returns a list of n tensors, none of which is there, in the storage of another if that suffices.
func sized(list []*value.Tensor, n int) []*value.Tensor {
	list = slices.Grow(list[:0], n)[:n]
	clear(list)
	return list
}

// keepFeeds copies the feeds that results are written over before all that reads them has: results and next values that are feeds, in whatever
// shape, and what is computed when the results have been handed over.
func (a *arena) keepFeeds(f *program.Func) {
	isFeed := func(p program.Port) bool { return f.Slots[f.Root(p.Slot)].Place == program.Input }
	if len(f.Updates) == 0 && !slices.ContainsFunc(f.Outputs, isFeed) {
		return
	}
	for i, t := range a.in {
		if slices.ContainsFunc(a.wanted, t.Overlaps) {
			a.in[i] = t.Clone()
		}
	}
}
