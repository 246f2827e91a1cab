package parallel_test

import (
	"fmt"

	"github.com/graphrun/graphrun/runtime/kernels/parallel"
)

// sum adds up a slice: a partial sum for each chunk of 1000 elements, whoever computes it, then the partial sums in order.
type sum struct {
	x     []float32
	parts []float32
}

func (s *sum) Do(_, chunk int) {
	s.parts[chunk] = 0
	for _, x := range s.x[chunk*1000 : min((chunk+1)*1000, len(s.x))] {
		s.parts[chunk] += x
	}
}

// The chunks do not depend on the number of threads, and so neither do the bits of the sum.
func Example() {
	s := &sum{x: make([]float32, 10_000), parts: make([]float32, 10)}
	for i := range s.x {
		s.x[i] = 1 / float32(i+1)
	}
	defer parallel.SetThreads(0)
	for _, n := range []int{1, 4} {
		parallel.SetThreads(n)
		parallel.Run(len(s.parts), s)
		total := float32(0)
		for _, p := range s.parts {
			total += p
		}
		fmt.Println(parallel.Threads(), "threads:", total)
	}
	// Output:
	// 1 threads: 9.787614
	// 4 threads: 9.787614
}
