package kernels

import "github.com/graphrun/graphrun/runtime/kernels/parallel"

// serialWork is the work, in about nanoseconds, under which a second thread costs more than it brings.
const serialWork = 1 << 14

// chunked is the work of a bound kernel in chunks.
type chunked struct {
	parallel.Stoppable
	call *Call
	do   func(c *Call, worker, chunk int)
}

func (t *chunked) Do(worker, chunk int) { t.do(t.call, worker, chunk) }

// inChunks returns a Func that does chunks of a call, in any order: on several threads if the work, in about nanoseconds,
// pays for them. Chunks depend on shapes only. Inlined, it takes 2.5 kB of a service.
//
//go:noinline
func inChunks(chunks, work int, do func(c *Call, worker, chunk int)) Func {
	if chunks <= 1 || work < serialWork {
		return func(c *Call) error {
			for i := range chunks {
				if c.Stop.Stopped() {
					break
				}
				do(c, 0, i)
			}
			return nil
		}
	}
	t := &chunked{do: do}
	return func(c *Call) error {
		t.call, t.Stop = c, c.Stop
		parallel.Run(chunks, t)
		t.call, t.Stop = nil, nil
		return nil
	}
}

// inRanges is inChunks for n items of equal work, in nanoseconds, which are done range by range.
func inRanges(n, work int, do func(c *Call, worker, lo, hi int)) Func {
	if n == 0 {
		return func(*Call) error { return nil }
	}
	grain := max(1, serialWork/2/max(work, 1))
	return inChunks((n+grain-1)/grain, n*work, func(c *Call, worker, chunk int) {
		do(c, worker, chunk*grain, min((chunk+1)*grain, n))
	})
}

// inTurn returns a Func that runs one after the other; a nil one is left out. Inlined, it takes 1.9 kB of a service.
//
//go:noinline
func inTurn(list ...Func) Func {
	var steps []Func
	for _, f := range list {
		if f != nil {
			steps = append(steps, f)
		}
	}
	if len(steps) == 1 {
		return steps[0]
	}
	return func(c *Call) error {
		for _, f := range steps {
			if err := f(c); err != nil {
				return err
			}
		}
		return nil
	}
}
