package data

import (
	"errors"
	"fmt"
	"math"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/graphrun/graphrun/graph/value"
)

// counting returns the dataset of n examples whose x is [i, i+0.5] and whose y is 10*i.
func counting(t testing.TB, n int) *TensorDataset {
	t.Helper()
	x, y := make([]float32, 2*n), make([]int64, n)
	for i := range n {
		x[2*i], x[2*i+1], y[i] = float32(i), float32(i)+0.5, int64(10*i)
	}
	d, err := NewTensorDataset(tensor(t, x, n, 2), tensor(t, y, n))
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// itemsOnly hides Fill.
type itemsOnly struct{ Dataset }

func newLoader(t testing.TB, d Dataset, opts LoaderOptions) *Loader {
	t.Helper()
	l, err := NewLoader(d, opts)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// order checks the batches of an epoch and returns the numbers of their examples.
func order(t testing.TB, l *Loader, epoch int) [][]int {
	t.Helper()
	var all [][]int
	for b, err := range l.Epoch(epoch) {
		if err != nil {
			t.Fatal(err)
		}
		var x []float32
		var y []int64
		for _, i := range b.Index {
			x = append(x, float32(i), float32(i)+0.5)
			y = append(y, int64(10*i))
		}
		if !b.X.Equal(tensor(t, x, b.Len(), 2)) || !b.Y.Equal(tensor(t, y, b.Len())) {
			t.Fatalf("examples %v are %v, %v", b.Index, b.X, b.Y)
		}
		all = append(all, slices.Clone(b.Index))
	}
	if len(all) != l.Len() {
		t.Errorf("%d batches, Len says %d", len(all), l.Len())
	}
	return all
}

func TestLoaderBatches(t *testing.T) {
	for _, tt := range []struct {
		n    int
		opts LoaderOptions
		want [][]int
	}{
		{5, LoaderOptions{BatchSize: 2}, [][]int{{0, 1}, {2, 3}, {4}}},
		{5, LoaderOptions{BatchSize: 2, DropLast: true}, [][]int{{0, 1}, {2, 3}}},
		{4, LoaderOptions{BatchSize: 2}, [][]int{{0, 1}, {2, 3}}},
		{4, LoaderOptions{BatchSize: 2, DropLast: true}, [][]int{{0, 1}, {2, 3}}},
		{3, LoaderOptions{BatchSize: 3}, [][]int{{0, 1, 2}}},
		{3, LoaderOptions{BatchSize: math.MaxInt}, [][]int{{0, 1, 2}}},
		{1, LoaderOptions{BatchSize: 1}, [][]int{{0}}},
	} {
		for _, reuse := range []bool{false, true} {
			for _, d := range []Dataset{counting(t, tt.n), itemsOnly{counting(t, tt.n)}} {
				tt.opts.Reuse = reuse
				l := newLoader(t, d, tt.opts)
				for epoch := range 2 {
					if diff := cmp.Diff(tt.want, order(t, l, epoch)); diff != "" {
						t.Errorf("%d examples, %+v, %T (-want +got):\n%s", tt.n, tt.opts, d, diff)
					}
				}
			}
		}
	}
}

func TestLoaderShuffle(t *testing.T) {
	const n = 100
	d := counting(t, n)
	epoch := func(seed uint64, e, size int) []int {
		l := newLoader(t, d, LoaderOptions{BatchSize: size, Shuffle: true, Seed: seed, Reuse: true})
		order(t, l, e+1) // what was drawn before does not matter
		return slices.Concat(order(t, l, e)...)
	}
	first := epoch(1, 0, 7)
	sorted := slices.Sorted(slices.Values(first))
	for i, v := range sorted {
		if i != v {
			t.Fatalf("the order is no permutation: %v", first)
		}
	}
	if slices.Equal(first, sorted) {
		t.Error("the order is not shuffled")
	}
	if !slices.Equal(first, epoch(1, 0, 13)) {
		t.Error("the order depends on more than seed and epoch")
	}
	if slices.Equal(first, epoch(2, 0, 7)) || slices.Equal(first, epoch(1, 1, 7)) {
		t.Error("another seed or epoch gives the same order")
	}

	// The order is part of the contract: training can be repeated with a later version.
	got := slices.Concat(order(t, newLoader(t, counting(t, 10), LoaderOptions{BatchSize: 10, Shuffle: true, Seed: 1}), 0)...)
	if diff := cmp.Diff([]int{3, 4, 2, 0, 1, 9, 5, 7, 6, 8}, got); diff != "" {
		t.Errorf("order for seed 1, epoch 0 (-want +got):\n%s", diff)
	}
}

// Every permutation of four is equally likely.
func TestShuffleIsUniform(t *testing.T) {
	const draws = 24_000
	counts := map[[4]int]int{}
	for e := range uint64(draws) {
		p := [4]int{0, 1, 2, 3}
		shuffle(p[:], 9, e)
		counts[p]++
	}
	chi := 0.0
	for _, c := range counts {
		chi += float64((c-draws/24)*(c-draws/24)) / (draws / 24)
	}
	if len(counts) != 24 || chi > 49.7 { // 0.1 % of chi squared with 23 degrees of freedom
		t.Errorf("%d permutations, chi squared %.1f", len(counts), chi)
	}
}

func TestLoaderReuse(t *testing.T) {
	d := counting(t, 10)
	l := newLoader(t, d, LoaderOptions{BatchSize: 4, Reuse: true, Shuffle: true})
	seen := map[*value.Tensor]bool{}
	for e := range 5 {
		for b, err := range l.Epoch(e) {
			if err != nil {
				t.Fatal(err)
			}
			seen[b.X] = true
		}
	}
	if len(seen) != 2 {
		t.Errorf("with Reuse five epochs used %d tensors, want one for full batches and one for the last", len(seen))
	}
	run := func() {
		for _, err := range l.Epoch(3) {
			if err != nil {
				t.Fatal(err)
			}
		}
	}
	if n := testing.AllocsPerRun(20, run); n > 8 {
		t.Errorf("an epoch makes %v allocations", n)
	}

	l = newLoader(t, d, LoaderOptions{BatchSize: 4})
	var kept []Batch
	for b, err := range l.Epoch(0) {
		if err != nil {
			t.Fatal(err)
		}
		kept = append(kept, b)
	}
	if x, _ := value.Data[float32](kept[0].X); x[2] != 1 || kept[0].Index[1] != 1 || kept[0].Len() != 4 {
		t.Errorf("without Reuse the first batch became %v", kept[0])
	}
}

func TestLoaderConcurrent(t *testing.T) {
	l := newLoader(t, counting(t, 50), LoaderOptions{BatchSize: 8, Reuse: true, Shuffle: true})
	var workers sync.WaitGroup
	ahead := newLoader(t, counting(t, 50), LoaderOptions{BatchSize: 8, Reuse: true, Shuffle: true, Workers: 2})
	for e := range 8 {
		workers.Go(func() {
			for range 5 {
				order(t, l, e)
				order(t, ahead, e)
				for range ahead.Epoch(e) {
					break
				}
			}
		})
	}
	workers.Wait()
}

// copies returns the batches of an epoch from one on, copied, and the error that ends it.
func copies(l *Loader, epoch, from int) (all []Batch, err error) {
	for b, err := range l.EpochFrom(epoch, from) {
		if err != nil {
			return all, err
		}
		all = append(all, Batch{b.X.Clone(), b.Y.Clone(), slices.Clone(b.Index)})
	}
	return all, nil
}

var sameTensors = cmp.Comparer(func(a, b *value.Tensor) bool { return a.Equal(b) })

// The batches are the same whoever prepares them, and wherever an epoch begins.
func TestLoaderWorkers(t *testing.T) {
	var wobbly atomic.Uint64
	d := observed{counting(t, 53), func(int) {
		for range wobbly.Add(1) * 7919 % 5 { // batches get ready in another order than they were begun
			runtime.Gosched()
		}
	}}
	base := LoaderOptions{BatchSize: 5, Shuffle: true, Seed: 3, Normalize: &Normalization{[]float64{1}, []float64{2}}}
	const epoch = 2
	want, err := copies(newLoader(t, d, base), epoch, 0)
	if err != nil || len(want) != 11 {
		t.Fatalf("%d batches, %v", len(want), err)
	}
	for _, workers := range []int{0, 1, 2, 3, 16} {
		for _, prefetch := range []int{0, 1, 2, 5, 100} {
			for _, reuse := range []bool{false, true} {
				opts := base
				opts.Workers, opts.Prefetch, opts.Reuse = workers, prefetch, reuse
				l := newLoader(t, d, opts)
				for _, from := range []int{0, 1, 7, 10, 11} {
					got, err := copies(l, epoch, from)
					if diff := cmp.Diff(want[from:], got, sameTensors, cmpopts.EquateEmpty()); err != nil || diff != "" {
						t.Errorf("%d workers, %d ahead, reuse %v, from batch %d: %v, (-want +got):\n%s", workers, prefetch, reuse, from, err, diff)
					}
				}
			}
		}
	}
	for _, from := range []int{-1, 12} {
		if got, err := copies(newLoader(t, d, base), 2, from); got != nil || err == nil ||
			err.Error() != fmt.Sprintf("loader: epoch 2: it cannot begin with batch %d: there are 11", from) {
			t.Errorf("from batch %d: %v, %v", from, got, err)
		}
	}
}

// observed calls a function for each example that is read.
type observed struct {
	Dataset
	see func(i int)
}

func (d observed) Item(i int) (x, y *value.Tensor, err error) {
	d.see(i)
	return d.Dataset.Item(i)
}

// No more is prepared than asked for, and all that was begun has ended when the loop has.
func TestLoaderPrefetchIsBounded(t *testing.T) {
	var read atomic.Int64
	var active atomic.Int64
	d := observed{counting(t, 100), func(int) {
		active.Add(1)
		read.Add(1)
		active.Add(-1)
	}}
	for _, prefetch := range []int{1, 3} {
		read.Store(0)
		l := newLoader(t, d, LoaderOptions{BatchSize: 2, Workers: 2, Prefetch: prefetch, Reuse: true})
		seen := 0
		for _, err := range l.Epoch(0) {
			if err != nil {
				t.Fatal(err)
			}
			seen++
			if have, most := read.Load(), int64(2*(seen+prefetch)); have > most {
				t.Errorf("at batch %d, %d ahead: %d examples were read, want at most %d", seen, prefetch, have, most)
			}
			if seen == 5 {
				break
			}
		}
		after := read.Load()
		for range 100 {
			runtime.Gosched()
		}
		if read.Load() != after || active.Load() != 0 {
			t.Error("examples are read after the loop has ended")
		}
	}
}

// However a loop ends, it leaves no goroutine behind.
func TestLoaderLeavesNoGoroutine(t *testing.T) {
	broken := errors.New("disk on fire")
	good := counting(t, 40)
	bad := faultyAt{good, 13, broken}
	before := runtime.NumGoroutine()
	for _, reuse := range []bool{false, true} {
		for stop := range 12 {
			for _, d := range []Dataset{good, bad} {
				l := newLoader(t, d, LoaderOptions{BatchSize: 4, Workers: 3, Reuse: reuse})
				func() {
					defer func() { _ = recover() }()
					n := 0
					for range l.Epoch(0) {
						if n == stop && stop%2 == 0 {
							break
						}
						if n == stop {
							panic("the loop")
						}
						n++
					}
				}()
			}
		}
	}
	// The workers have returned from their functions; the runtime may still count them for a moment.
	for i := 0; runtime.NumGoroutine() > before && i < 1_000_000; i++ {
		runtime.Gosched()
	}
	if after := runtime.NumGoroutine(); after > before {
		t.Errorf("%d goroutines, %d before", after, before)
	}
}

// faultyAt fails at one example.
type faultyAt struct {
	Dataset
	bad int
	err error
}

func (d faultyAt) Item(i int) (x, y *value.Tensor, err error) {
	if i == d.bad {
		return nil, nil, d.err
	}
	return d.Dataset.Item(i)
}

// An error comes where its batch would, after the batches before it.
func TestLoaderErrorsInOrder(t *testing.T) {
	broken := errors.New("disk on fire")
	d := faultyAt{itemsOnly{counting(t, 40)}, 13, broken}
	want, _ := copies(newLoader(t, counting(t, 40), LoaderOptions{BatchSize: 4}), 0, 0)
	for _, workers := range []int{0, 1, 4} {
		l := newLoader(t, d, LoaderOptions{BatchSize: 4, Workers: workers, Prefetch: 10, Reuse: true})
		for range 3 { // buffers are used again after an error too
			got, err := copies(l, 0, 0)
			if diff := cmp.Diff(want[:3], got, sameTensors); diff != "" || !errors.Is(err, broken) ||
				err.Error() != "loader: epoch 0, batch 3: example 13: disk on fire" {
				t.Errorf("%d workers: %v, (-want +got):\n%s", workers, err, diff)
			}
		}
	}
}

// With Reuse a longer epoch allocates no more, workers or not.
func TestLoaderWorkersAllocate(t *testing.T) {
	allocs := func(n int) float64 {
		l := newLoader(t, counting(t, n), LoaderOptions{BatchSize: 4, Reuse: true, Shuffle: true, Workers: 2})
		return testing.AllocsPerRun(20, func() {
			for _, err := range l.Epoch(3) {
				if err != nil {
					t.Fatal(err)
				}
			}
		})
	}
	if short, long := allocs(100), allocs(1000); long > short+2 {
		t.Errorf("an epoch of 25 batches makes %v allocations, one of 250 makes %v", short, long)
	}
}

func TestLoaderErrors(t *testing.T) {
	two := counting(t, 2)
	nan := math.NaN()
	inf := math.Inf(1)
	ints, err := NewTensorDataset(tensor(t, []int64{1, 2}, 2), tensor(t, []int64{1, 2}, 2))
	if err != nil {
		t.Fatal(err)
	}
	empty, err := NewTensorDataset(tensor(t, []float32{}, 0, 3), tensor(t, []int64{}, 0))
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		d    Dataset
		opts LoaderOptions
		want string
	}{
		{nil, LoaderOptions{BatchSize: 1}, "dataset is nil"},
		{empty, LoaderOptions{BatchSize: 1}, "dataset is empty"},
		{two, LoaderOptions{}, "batch size is 0"},
		{two, LoaderOptions{BatchSize: -1}, "batch size is -1"},
		{two, LoaderOptions{BatchSize: 1, Workers: -1}, "-1 workers, 0 batches ahead: want 0 or more"},
		{two, LoaderOptions{BatchSize: 1, Prefetch: -1}, "0 workers, -1 batches ahead"},
		{two, LoaderOptions{BatchSize: 3, DropLast: true}, "DropLast would leave no batch"},
		{two, LoaderOptions{BatchSize: 1, Normalize: &Normalization{}}, "0 means and 0 deviations"},
		{two, LoaderOptions{BatchSize: 1, Normalize: &Normalization{[]float64{nan}, []float64{1}}}, "mean 0 is NaN"},
		{two, LoaderOptions{BatchSize: 1, Normalize: &Normalization{[]float64{inf}, []float64{1}}}, "mean 0 is +Inf"},
		{two, LoaderOptions{BatchSize: 1, Normalize: &Normalization{[]float64{0}, []float64{0}}}, "deviation 0 is 0"},
		{two, LoaderOptions{BatchSize: 1, Normalize: &Normalization{[]float64{0}, []float64{nan}}}, "deviation 0 is NaN"},
		{two, LoaderOptions{BatchSize: 1, Normalize: &Normalization{[]float64{0}, []float64{1, -1}}}, "deviation 1 is -1"},
		{two, LoaderOptions{BatchSize: 1, Normalize: &Normalization{[]float64{0, 1, 2}, []float64{1}}}, "3 channels, the input is f32[1,2]"},
		{two, LoaderOptions{BatchSize: 1, Normalize: &Normalization{[]float64{0, 1}, []float64{1, 2, 3}}}, "2 means and 3 deviations"},
		{ints, LoaderOptions{BatchSize: 1, Normalize: &Normalization{[]float64{0}, []float64{1}}}, "dtype f32"},
	} {
		if _, err := NewLoader(tt.d, tt.opts); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%+v: error %v, want %q", tt.opts, err, tt.want)
		}
	}
}

// faulty is a dataset whose examples differ.
type faulty func(i int) (x, y *value.Tensor, err error)

func (f faulty) Len() int                                   { return 4 }
func (f faulty) Item(i int) (x, y *value.Tensor, err error) { return f(i) }
func same(x *value.Tensor) (a, b *value.Tensor, err error)  { return x, value.Scalar(int64(1)), nil }

func TestLoaderDatasetErrors(t *testing.T) {
	broken := errors.New("disk on fire")
	row := tensor(t, []float32{1, 2}, 2)
	for _, tt := range []struct {
		bad  func() (x, y *value.Tensor, err error)
		want string
	}{
		{func() (x, y *value.Tensor, err error) { return nil, nil, broken }, "epoch 5, batch 1: example 3: disk on fire"},
		{func() (x, y *value.Tensor, err error) { return nil, nil, nil }, "example 3: the dataset returned a nil tensor"},
		{func() (x, y *value.Tensor, err error) { return same(tensor(t, []float32{1}, 1)) }, "example 3: it is f32[1], the first of the batch f32[2]"},
		{func() (x, y *value.Tensor, err error) { return same(tensor(t, []int32{1, 2}, 2)) }, "example 3: it is i32[2], the first of the batch f32[2]"},
		{func() (x, y *value.Tensor, err error) { return same(tensor(t, []string{"a"}, 1)) }, "dtype string cannot be batched"},
	} {
		l := newLoader(t, faulty(func(i int) (x, y *value.Tensor, err error) {
			if i == 3 {
				return tt.bad()
			}
			return same(row)
		}), LoaderOptions{BatchSize: 2})
		batches, failed := 0, 0
		for b, err := range l.Epoch(5) {
			if err == nil {
				batches++
				continue
			}
			failed++
			if b.X != nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("error %v, want %q", err, tt.want)
			}
		}
		if batches != 1 || failed != 1 {
			t.Errorf("%s: %d batches and %d errors, want 1 and 1", tt.want, batches, failed)
		}
	}
}

func TestNormalization(t *testing.T) {
	for _, tt := range []struct {
		n     Normalization
		shape []int
		want  []float32
	}{
		{Normalization{[]float64{1}, []float64{2}}, []int{1, 2, 2, 1}, []float32{-0.5, 0, 0.5, 1}},
		{Normalization{[]float64{1}, []float64{2}}, []int{4}, []float32{-0.5, 0, 0.5, 1}},
		{Normalization{[]float64{1, 2}, []float64{2}}, []int{1, 2, 2, 1}, []float32{-0.5, 0, 0, 0.5}},
		{Normalization{[]float64{1, 2}, []float64{2, 1}}, []int{2, 2}, []float32{-0.5, -1, 0.5, 1}},
		{Normalization{[]float64{1}, []float64{2, 1}}, []int{2, 2, 1, 1}, []float32{-0.5, 0, 0.5, 2}},
	} {
		x := tensor(t, []float32{0, 1, 2, 3}, tt.shape...)
		if err := tt.n.Apply(x); err != nil {
			t.Errorf("%+v: %v", tt.n, err)
		} else if want := tensor(t, tt.want, tt.shape...); !x.Equal(want) {
			t.Errorf("%+v: got %v, want %v", tt.n, x, want)
		}
	}
	if err := (&Normalization{[]float64{1, 2}, []float64{1}}).Apply(tensor(t, []float32{}, 0, 2, 0)); err != nil {
		t.Error("empty input: ", err)
	}
	if err := (&Normalization{[]float64{1}, []float64{1}}).Apply(nil); err == nil {
		t.Error("nil input: no error")
	}
	// Every batch is normalized once, whether its memory is used again or not.
	for _, reuse := range []bool{false, true} {
		l := newLoader(t, counting(t, 4), LoaderOptions{BatchSize: 2, Reuse: reuse, Normalize: &Normalization{[]float64{1}, []float64{0.5}}})
		for range 2 {
			for b, err := range l.Epoch(0) {
				if err != nil {
					t.Fatal(err)
				}
				x, _ := value.Data[float32](b.X)
				if want := (float32(b.Index[0]) - 1) / 0.5; x[0] != want {
					t.Errorf("got %v, want %v", x[0], want)
				}
			}
		}
	}
}

func TestImages(t *testing.T) {
	pixels := tensor(t, []uint8{0, 51, 102, 255, 1, 2, 3, 4}, 2, 1, 1, 4)
	labels := tensor(t, []int64{1, 0}, 2)
	d, err := NewImages(pixels, labels, []string{"cat", "dog"})
	if err != nil {
		t.Fatal(err)
	}
	var b Batch
	if err := d.Fill(&b, []int{1, 0, 1}); err != nil {
		t.Fatal(err)
	}
	low, high := []float32{1 / 255., 2 / 255., 3 / 255., 4 / 255.}, []float32{0, 0.2, 0.4, 1}
	if want := tensor(t, slices.Concat(low, high, low), 3, 1, 1, 4); !b.X.Equal(want) {
		t.Errorf("X is %v, want %v", b.X, want)
	}
	if want := tensor(t, []int64{0, 1, 0}, 3); !b.Y.Equal(want) {
		t.Errorf("Y is %v, want %v", b.Y, want)
	}
	x, y, err := d.Item(0)
	if err != nil || !x.Equal(tensor(t, high, 1, 1, 4)) || !y.Equal(value.Scalar(int64(1))) {
		t.Errorf("Item(0) is %v, %v, %v", x, y, err)
	}
	img, label, err := d.Gray(1)
	if err != nil || label != 0 || !slices.Equal(img.Pix, []uint8{1, 2, 3, 4}) || img.Bounds().Dx() != 4 {
		t.Errorf("Gray(1) is %v, %v, %v", img, label, err)
	}
	img.Pix[0] = 99
	s, err := d.Slice(1, 2)
	if err != nil || s.Len() != 1 || !s.Pixels().Equal(tensor(t, []uint8{1, 2, 3, 4}, 1, 1, 1, 4)) || s.Classes()[1] != "dog" {
		t.Errorf("Slice(1, 2) is %v, %v", s, err)
	}
	if s, err := d.Slice(1, 1); err != nil || s.Len() != 0 {
		t.Errorf("Slice(1, 1) is %v, %v", s, err)
	}

	for _, i := range []int{-1, 2} {
		if _, _, err := d.Item(i); err == nil || err.Error() != fmt.Sprintf("dataset: no example %d: there are 2", i) {
			t.Errorf("Item(%d): %v", i, err)
		}
		if _, _, err := d.Gray(i); err == nil {
			t.Errorf("Gray(%d): no error", i)
		}
		if _, _, err := counting(t, 2).Item(i); err == nil {
			t.Errorf("TensorDataset.Item(%d): no error", i)
		}
		if _, err := d.Slice(0, i*3); err == nil {
			t.Errorf("Slice(0, %d): no error", i*3)
		}
	}
	colour, err := NewImages(tensor(t, make([]uint8, 12), 1, 3, 2, 2), tensor(t, []int64{0}, 1), []string{"a"})
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := colour.Gray(0); err == nil || !strings.Contains(err.Error(), "these have 3") {
		t.Errorf("Gray of colours: %v", err)
	}

	for _, tt := range []struct {
		pixels, labels *value.Tensor
		classes        []string
		want           string
	}{
		{nil, labels, nil, "must not be nil"},
		{pixels, nil, nil, "must not be nil"},
		{tensor(t, []uint8{1, 2}, 2), labels, nil, "pixels are u8[2]: want u8[N,C,H,W]"},
		{tensor(t, []float32{1}, 1, 1, 1, 1), labels, nil, "pixels are f32[1 1 1 1]"},
		{pixels, tensor(t, []uint8{1, 0}, 2), nil, "labels are u8[2]: want i64[N]"},
		{pixels, tensor(t, []int64{1, 0}, 2, 1), nil, "labels are i64[2 1]"},
		{pixels, tensor(t, []int64{1}, 1), nil, "2 images, but 1 labels"},
		{pixels, labels, []string{"cat"}, "label 0 is 1: want 0 to 0"},
		{pixels, tensor(t, []int64{0, -1}, 2), []string{"cat"}, "label 1 is -1"},
	} {
		if _, err := NewImages(tt.pixels, tt.labels, tt.classes); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("error %v, want %q", err, tt.want)
		}
	}
}

func TestTensorDatasetErrors(t *testing.T) {
	x := tensor(t, []float32{1, 2}, 2)
	for _, tt := range []struct {
		x, y *value.Tensor
		want string
	}{
		{nil, x, "x is nil"},
		{x, nil, "y is nil"},
		{value.Scalar(float32(1)), x, "x is a scalar"},
		{x, tensor(t, []float32{1}, 1), "x has 2 examples, y has 1"},
		{x, tensor(t, []string{"a", "b"}, 2), "y has dtype string"},
	} {
		if _, err := NewTensorDataset(tt.x, tt.y); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("error %v, want %q", err, tt.want)
		}
	}
	d := counting(t, 3)
	got, y, err := d.Item(2)
	if err != nil || !got.Equal(tensor(t, []float32{2, 2.5}, 2)) || !y.Equal(value.Scalar(int64(20))) {
		t.Errorf("Item(2) is %v, %v, %v", got, y, err)
	}
}

func BenchmarkEpoch(b *testing.B) {
	const n = 4096
	d, err := NewImages(tensor(b, make([]uint8, n*784), n, 1, 28, 28), tensor(b, make([]int64, n), n), []string{"0"})
	if err != nil {
		b.Fatal(err)
	}
	l := newLoader(b, d, LoaderOptions{BatchSize: 64, Shuffle: true, Reuse: true})
	b.ReportAllocs()
	for e := range b.N {
		for _, err := range l.Epoch(e) {
			if err != nil {
				b.Fatal(err)
			}
		}
	}
}
