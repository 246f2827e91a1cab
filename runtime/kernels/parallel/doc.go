// Package parallel is the pool of workers that kernels share their work with.
//
// A kernel is a [Task]: it cuts its work into chunks and calls [Run]; workers and the caller take chunks in turn. Handing
// work over is one atomic word per worker: a worker that has just worked spins for a while before it parks, since waking
// a parked goroutine takes longer than most kernels. A worker that has not begun when the last chunk is taken is not
// waited for. Several callers may run at the same time; each works itself and gets those workers that are free.
//
//	func (s *sum) Do(_, chunk int) {
//		s.parts[chunk] = 0
//		for _, x := range s.x[chunk*1000 : min((chunk+1)*1000, len(s.x))] {
//			s.parts[chunk] += x
//		}
//	}
//
//	for _, n := range []int{1, 4} {
//		parallel.SetThreads(n)
//		parallel.Run(len(s.parts), s)
//		total := float32(0)
//		for _, p := range s.parts {
//			total += p
//		}
//		fmt.Println(parallel.Threads(), "threads:", total)
//	}
//
// prints
//
//	1 threads: 9.787614
//	4 threads: 9.787614
//
// Which worker takes which chunk changes from run to run. A kernel whose chunks do not depend on [Threads], and whose
// results do not depend on who computes a chunk, gives the same bits for any number of threads.
//
// Chunks should take microseconds: less does not pay for the hand-over, and work cannot be taken from a worker that has
// begun it.
package parallel
