package data

import (
	"errors"
	"fmt"
	"iter"
	"math"
	"math/bits"
	"math/rand/v2"
	"slices"
	"sync/atomic"

	"github.com/graphrun/graphrun/runtime/value"
)

// LoaderOptions says how a Loader cuts a dataset into batches.
type LoaderOptions struct {
	BatchSize int    // examples in a batch, at least 1
	Shuffle   bool   // go through the examples in another random order each epoch
	Seed      uint64 // of the orders
	DropLast  bool   // leave out the last batch of an epoch where it has fewer than BatchSize examples

	// Reuse makes the loader write every batch into the same tensors and the same Index: a batch is valid until the loop
	// asks for the next one, and an epoch allocates nothing that grows with it.
	Reuse bool

	// Normalize, if set, is applied to X of every batch.
	Normalize *Normalization
}

// Normalization shifts and scales inputs: (x - Mean) / Std. Both hold one number for all of x or one for each channel.
type Normalization struct {
	Mean, Std []float32
}

// check looks for numbers that make no sense.
func (n *Normalization) check() error {
	m, s := len(n.Mean), len(n.Std)
	if m == 0 || s == 0 || m != s && m != 1 && s != 1 {
		return fmt.Errorf("normalization: %d means and %d deviations: want one of each, or one for every channel", m, s)
	}
	for i, m := range n.Mean {
		if math.IsNaN(float64(m)) || math.IsInf(float64(m), 0) {
			return fmt.Errorf("normalization: mean %d is %v: want a finite number", i, m)
		}
	}
	for i, s := range n.Std {
		if !(s > 0) || math.IsInf(float64(s), 0) {
			return fmt.Errorf("normalization: deviation %d is %v: want a finite number above 0", i, s)
		}
	}
	return nil
}

// Apply normalizes x in place: f32[N,C,...], of which dimension 1 counts the channels. One mean and one deviation serve
// f32 of any rank.
func (n *Normalization) Apply(x *value.Tensor) error {
	if err := n.check(); err != nil {
		return err
	}
	if x == nil || x.DType() != value.F32 {
		return errors.New("normalization: want a tensor of dtype f32")
	}
	shape := x.Shape()
	data, err := value.Data[float32](x)
	if err != nil {
		return err
	}
	channels := max(len(n.Mean), len(n.Std))
	plane := len(data)
	if channels > 1 {
		if len(shape) < 2 || shape[1] != channels {
			return fmt.Errorf("normalization: it has %d channels, the input is f32%v", channels, shape)
		}
		plane = 1
		for _, d := range shape[2:] {
			plane *= d
		}
	}
	if plane == 0 {
		return nil
	}
	for i := 0; i*plane < len(data); i++ {
		mean, std := n.Mean[i%channels%len(n.Mean)], n.Std[i%channels%len(n.Std)]
		for k, v := range data[i*plane : (i+1)*plane] {
			data[i*plane+k] = (v - mean) / std
		}
	}
	return nil
}

// Loader goes over a dataset in batches. It may be used concurrently.
type Loader struct {
	data  Dataset
	opts  LoaderOptions
	n     int
	spare atomic.Pointer[buffers] // of the last epoch that ended, with Reuse
}

// buffers is what an epoch writes into.
type buffers struct {
	order      []int
	full, last Batch // the last batch of an epoch may be smaller
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
	if opts.DropLast && opts.BatchSize > n {
		return nil, fmt.Errorf("loader: batch size is %d, the dataset has %d examples: DropLast would leave no batch", opts.BatchSize, n)
	}
	if opts.Normalize != nil {
		norm := Normalization{slices.Clone(opts.Normalize.Mean), slices.Clone(opts.Normalize.Std)}
		opts.Normalize = &norm
		var probe Batch
		if err := fill(d, &probe, []int{0}); err != nil {
			return nil, fmt.Errorf("loader: %w", err)
		}
		if err := norm.Apply(probe.X); err != nil {
			return nil, fmt.Errorf("loader: %w", err)
		}
	}
	return &Loader{data: d, opts: opts, n: n}, nil
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
// dataset, on nothing else. An error of the dataset comes with an empty batch and ends the epoch.
func (l *Loader) Epoch(epoch int) iter.Seq2[Batch, error] {
	return func(yield func(Batch, error) bool) {
		bufs := l.spare.Swap(nil)
		if bufs == nil {
			bufs = &buffers{order: make([]int, l.n)}
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

		for b := range l.Len() {
			lo := b * l.opts.BatchSize
			hi := min(lo+l.opts.BatchSize, l.n)
			var batch *Batch
			switch {
			case !l.opts.Reuse:
				batch = new(Batch)
			case hi-lo == l.opts.BatchSize:
				batch = &bufs.full
			default:
				batch = &bufs.last
			}
			batch.Index = append(batch.Index[:0], bufs.order[lo:hi]...)
			err := fill(l.data, batch, batch.Index)
			if err == nil && l.opts.Normalize != nil {
				err = l.opts.Normalize.Apply(batch.X)
			}
			if err != nil {
				yield(Batch{}, fmt.Errorf("loader: epoch %d, batch %d: %w", epoch, b, err))
				return
			}
			if !yield(*batch, nil) {
				return
			}
		}
	}
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
