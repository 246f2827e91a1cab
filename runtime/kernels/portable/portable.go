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
// kernel says so. What has a constructor, such as a product or a convolution, is
// prepared once for a shape: plans and scratch are made there, and a run does
// not allocate. Runs of one such object must not overlap.
package portable

import "fmt"

// Float is the set of element types of the numeric kernels.
type Float interface{ ~float32 | ~float64 }

// Units of work, about a nanosecond each, under which a second goroutine costs
// more than it brings.
const serialWork = 1 << 15

// need panics if a slice of length have is shorter than want.
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
