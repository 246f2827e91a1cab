package data

import (
	"cmp"
	"errors"
	"fmt"
	"iter"
	"math/bits"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
)

// LoaderOptions says how a Loader cuts a dataset into batches.
type LoaderOptions struct {
	BatchSize int    // examples in a batch, at least 1
	Shuffle   bool   // go through the examples in another random order each epoch
	Seed      uint64 // of the orders
	DropLast  bool   // leave out the last batch of an epoch where it has fewer than BatchSize examples

	// Reuse makes the loader write its batches into the same tensors and the same Index again: a batch is valid until the
	// loop asks for the next one, and an epoch allocates nothing that grows with it.
	Reuse bool

	// Workers is how many goroutines prepare batches ahead of the loop; 0 prepares each when the loop asks for it. The
	// batches are the same, bit for bit, whatever the number. It pays where an example takes work, such as decoding a picture.
	Workers int

	// Prefetch is how many batches are prepared ahead at most; 0 stands for two for each worker.
	Prefetch int

	// Normalize, if set, is applied to X of every batch.
	Normalize *Normalization
}

// Loader goes over a dataset in batches. It may be used concurrently.
type Loader struct {
	data  Dataset
	opts  LoaderOptions
	n     int
	ahead int                     // how many batches are prepared ahead; 0 without workers
	spare atomic.Pointer[buffers] // of the last epoch that ended, with Reuse
}

// buffers is what an epoch writes into.
type buffers struct {
	order []int
	ring  []slot // batch b goes to slot b % len(ring)
	last  Batch  // the last batch of an epoch, if it is smaller than the others
}

// slot holds a batch that is being prepared, is ready or is with the loop.
type slot struct {
	full  Batch
	batch *Batch     // full, last or a new one
	ready chan error // holds one element when the batch has been prepared
}

// NewLoader returns a loader of d's examples.
func NewLoader(d Dataset, opts LoaderOptions) (*Loader, error) {
	if d == nil {
		return nil, errors.New("loader: the dataset is nil")
	}
	n := d.Len()
	if n < 1 {
		return nil, errors.New("loader: the dataset is empty")
	}
	if opts.BatchSize < 1 {
		return nil, fmt.Errorf("loader: batch size is %d: want at least 1", opts.BatchSize)
	}
	if opts.Workers < 0 || opts.Prefetch < 0 {
		return nil, fmt.Errorf("loader: %d workers, %d batches ahead: want 0 or more", opts.Workers, opts.Prefetch)
	}
	if opts.DropLast && opts.BatchSize > n {
		return nil, fmt.Errorf("loader: batch size is %d, the dataset has %d examples: DropLast would leave no batch", opts.BatchSize, n)
	}
	if opts.Normalize != nil {
		norm := Normalization{slices.Clone(opts.Normalize.Mean), slices.Clone(opts.Normalize.Std)}
		opts.Normalize = &norm
		var probe Batch
		if err := fillNormalized(d, &norm, &probe, []int{0}); err != nil {
			return nil, fmt.Errorf("loader: %w", err)
		}
	}
	l := &Loader{data: d, opts: opts, n: n}
	if opts.Workers > 0 {
		l.opts.Workers = min(opts.Workers, l.Len())
		l.ahead = cmp.Or(opts.Prefetch, 2*l.opts.Workers)
		l.ahead = min(l.ahead, l.Len())
	}
	return l, nil
}

// Len returns the number of batches in an epoch.
func (l *Loader) Len() int {
	full := l.n / l.opts.BatchSize
	if l.n%l.opts.BatchSize > 0 && !l.opts.DropLast {
		full++
	}
	return full
}

// Epoch returns the batches of an epoch. With Shuffle their order depends on the seed, the epoch and the size of the
// dataset, on nothing else. An error of the dataset comes with an empty batch and ends the epoch, after the batches before
// it. When the loop ends, early or not, no goroutine of the loader is left.
func (l *Loader) Epoch(epoch int) iter.Seq2[Batch, error] { return l.EpochFrom(epoch, 0) }

// EpochFrom returns the batches of an epoch from a batch on, 0 <= batch <= Len: just those that Epoch returns after the
// first so many, for training that goes on where it stopped.
func (l *Loader) EpochFrom(epoch, batch int) iter.Seq2[Batch, error] {
	return func(yield func(Batch, error) bool) {
		if batch < 0 || batch > l.Len() {
			yield(Batch{}, fmt.Errorf("loader: epoch %d: it cannot begin with batch %d: there are %d", epoch, batch, l.Len()))
			return
		}
		bufs := l.spare.Swap(nil)
		if bufs == nil {
			bufs = l.newBuffers()
		}
		if l.opts.Reuse {
			defer l.spare.Store(bufs)
		}
		for i := range bufs.order {
			bufs.order[i] = i
		}
		if l.opts.Shuffle {
			shuffle(bufs.order, l.opts.Seed, uint64(epoch))
		}
		next := func(b int) error { return l.prepare(bufs, b) }
		if l.opts.Workers > 0 {
			var stop func()
			next, stop = l.prefetch(bufs, batch)
			defer stop()
		}
		for b := batch; b < l.Len(); b++ {
			if err := next(b); err != nil {
				yield(Batch{}, fmt.Errorf("loader: epoch %d, batch %d: %w", epoch, b, err))
				return
			}
			if !yield(*bufs.slot(b).batch, nil) {
				return
			}
		}
	}
}

func (l *Loader) newBuffers() *buffers {
	// One batch is with the loop while others are prepared.
	bufs := &buffers{order: make([]int, l.n), ring: make([]slot, l.ahead+1)}
	for i := range bufs.ring {
		bufs.ring[i].ready = make(chan error, 1)
	}
	return bufs
}

func (bufs *buffers) slot(b int) *slot { return &bufs.ring[b%len(bufs.ring)] }

// prefetch starts workers that prepare the batches from one on. next waits for a batch; it is called for one after the
// other, and the loop is done with the batch before. stop ends the workers and waits for them.
//
// A batch is handed to the workers when its slot is free, and a slot tells the loop when its batch is ready, so who prepares
// it and when makes no difference.
func (l *Loader) prefetch(bufs *buffers, first int) (next func(b int) error, stop func()) {
	todo := make(chan int, len(bufs.ring))
	var workers sync.WaitGroup
	for range l.opts.Workers {
		workers.Go(func() {
			for b := range todo {
				bufs.slot(b).ready <- l.prepare(bufs, b)
			}
		})
	}
	given := first
	give := func(until int) {
		for ; given < min(until, l.Len()); given++ {
			todo <- given
		}
	}
	next = func(b int) error {
		give(b + len(bufs.ring))
		return <-bufs.slot(b).ready
	}
	stop = func() {
		close(todo)
		for range todo { // what no worker has begun
		}
		workers.Wait()
		for i := range bufs.ring {
			select {
			case <-bufs.ring[i].ready:
			default:
			}
		}
	}
	return next, stop
}

// prepare fills the slot of a batch.
func (l *Loader) prepare(bufs *buffers, b int) error {
	lo := b * l.opts.BatchSize
	hi := min(lo+l.opts.BatchSize, l.n)
	s := bufs.slot(b)
	switch {
	case !l.opts.Reuse:
		s.batch = new(Batch)
	case hi-lo == l.opts.BatchSize:
		s.batch = &s.full
	default:
		s.batch = &bufs.last
	}
	s.batch.Index = append(s.batch.Index[:0], bufs.order[lo:hi]...)
	if l.opts.Normalize != nil {
		return fillNormalized(l.data, l.opts.Normalize, s.batch, s.batch.Index)
	}
	return fill(l.data, s.batch, s.batch.Index)
}

// fill sets b to the examples of the given numbers.
func fill(d Dataset, b *Batch, index []int) error {
	if f, ok := d.(Filler); ok {
		return f.Fill(b, index)
	}
	for row, i := range index {
		x, y, err := d.Item(i)
		if err == nil {
			err = stack(&b.X, x, row, len(index))
		}
		if err == nil {
			err = stack(&b.Y, y, row, len(index))
		}
		if err != nil {
			return fmt.Errorf("example %d: %w", i, err)
		}
	}
	return nil
}

// shuffle permutes p at random (Fisher and Yates), by a generator that depends on seed and epoch alone.
func shuffle(p []int, seed, epoch uint64) {
	// The finalizer of SplitMix64 sets the streams of neighbouring epochs apart.
	epoch += 0x9e3779b97f4a7c15
	epoch = (epoch ^ epoch>>30) * 0xbf58476d1ce4e5b9
	epoch = (epoch ^ epoch>>27) * 0x94d049bb133111eb
	rng := rand.NewPCG(seed, epoch^epoch>>31)
	for i := len(p) - 1; i > 0; i-- {
		j := below(rng, uint64(i)+1)
		p[i], p[j] = p[j], p[i]
	}
}

// below returns a uniform number less than n (Lemire, "Fast Random Integer Generation in an Interval", 2019).
func below(rng *rand.PCG, n uint64) uint64 {
	hi, lo := bits.Mul64(rng.Uint64(), n)
	if lo < n {
		for least := -n % n; lo < least; {
			hi, lo = bits.Mul64(rng.Uint64(), n)
		}
	}
	return hi
}
