package portable

import "fmt"

// Float is the set of element types of the numeric kernels.
type Float interface{ ~float32 | ~float64 }

// Units of work, about a nanosecond each, under which a second goroutine costs
// more than it brings.
const serialWork = 1 << 15

// need panics if a slice of length have is shorter than want.
//
//go:noinline
func need(kernel, name string, have, want int) {
	if have < want {
		panic(fmt.Sprintf("portable: %s: %s has %d elements, needs %d", kernel, name, have, want))
	}
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
