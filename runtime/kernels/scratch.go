package kernels

import (
	"runtime/debug"
	"unsafe"

	"github.com/graphrun/graphrun/graph/errfmt"
	"github.com/graphrun/graphrun/graph/value"
)

// Room is the memory that is left for the scratch of kernels, in bytes.
type Room struct{ Bytes float64 }

// Prepare is Bind for sizes that come from outside: scratch that the Room of the Spec does not hold is an error, and so is a panic of the kernel.
func (k *Kernel) Prepare(s *Spec) (run Func, err error) {
	defer func() {
		switch p := recover().(type) {
		case nil:
		case tooMuch:
			err = errfmt.Errorf("out of memory: the kernel takes %s beside its operands and results: there are %s",
				value.ByteText(float64(p)), value.ByteText(max(s.Room.Bytes, 0)))
		default:
			err = errfmt.Errorf("BUG: the kernel of %s panicked: %v\n%s", k.Op, p, debug.Stack())
		}
	}()
	return k.Bind(s)
}

// tooMuch is what a preparation panics with that wants so many bytes of scratch.
type tooMuch float64

// take counts scratch before it is made: it ends the preparation where there is no room.
func (s *Spec) take(bytes float64) {
	if s.Room == nil {
		return
	}
	if bytes > s.Room.Bytes {
		panic(tooMuch(bytes))
	}
	s.Room.Bytes -= bytes
}

// scratch returns n elements for calls to work with.
func scratch[T any](s *Spec, n int) []T {
	var v T
	s.take(float64(n) * float64(unsafe.Sizeof(v)))
	return make([]T, n)
}
