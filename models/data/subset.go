package data

import (
	"cmp"
	"errors"
	"fmt"
	"math"
	"slices"
	"sync"

	"github.com/graphrun/graphrun/graph/value"
)

// Labelled is a Dataset of which the targets are numbers of classes, i64[], if Classes returns any.
type Labelled interface {
	Dataset

	// Classes returns the name of each class, nothing if the targets are no classes.
	Classes() []string
}

// labeller is a dataset that knows the class of an example without making the example.
type labeller interface {
	label(i int) (class int64, ok bool)
}

// classOf returns the class of an example of a dataset that has classes.
func classOf(d Dataset, i int) (int64, error) {
	if l, ok := d.(labeller); ok {
		if class, ok := l.label(i); ok {
			return class, nil
		}
	}
	_, y, err := d.Item(i)
	if err != nil {
		return 0, fmt.Errorf("example %d: %w", i, err)
	}
	return value.Item[int64](y)
}

// Subset is a Dataset of some examples of another one.
type Subset struct {
	of    Dataset
	index []int
	spare sync.Pool // of *[]int, numbers in the other dataset
}

var _ Filler = (*Subset)(nil)

// NewSubset returns the dataset of those examples of d that have the given numbers, in that order. A number may come more than once.
func NewSubset(d Dataset, index []int) (*Subset, error) {
	if d == nil {
		return nil, errors.New("subset: the dataset is nil")
	}
	if err := checkIndex(index, d.Len()); err != nil {
		return nil, fmt.Errorf("subset: %w", err)
	}
	return &Subset{of: d, index: slices.Clone(index)}, nil
}

// First returns the first n examples of d, all of them if there are no more.
func First(d Dataset, n int) (Dataset, error) {
	if d == nil {
		return nil, errors.New("subset: the dataset is nil")
	}
	if n >= d.Len() {
		return d, nil
	}
	if n < 0 {
		return nil, fmt.Errorf("subset: the first %d examples: want 0 or more", n)
	}
	index := make([]int, n)
	for i := range index {
		index[i] = i
	}
	return NewSubset(d, index)
}

// Len returns the number of examples.
func (s *Subset) Len() int { return len(s.index) }

// Index returns the number in the other dataset of each example.
func (s *Subset) Index() []int { return slices.Clone(s.index) }

// Classes returns the classes of the other dataset, nothing if it has none.
func (s *Subset) Classes() []string {
	if l, ok := s.of.(Labelled); ok {
		return l.Classes()
	}
	return nil
}

func (s *Subset) label(i int) (int64, bool) {
	class, err := classOf(s.of, s.index[i])
	return class, err == nil
}

// Item returns example i.
func (s *Subset) Item(i int) (x, y *value.Tensor, err error) {
	if err := checkIndex([]int{i}, s.Len()); err != nil {
		return nil, nil, err
	}
	return s.of.Item(s.index[i])
}

// Fill implements Filler.
func (s *Subset) Fill(b *Batch, index []int) error {
	return s.there(index, func(index []int) error { return fill(s.of, b, index) })
}

func (s *Subset) fillPrecise(b *Batch, index []int) (ok bool, err error) {
	err = s.there(index, func(index []int) error {
		ok, err = fillPrecise(s.of, b, index)
		return err
	})
	return ok, err
}

// there calls f with the numbers in the other dataset of some examples.
func (s *Subset) there(index []int, f func(index []int) error) error {
	if err := checkIndex(index, s.Len()); err != nil {
		return err
	}
	there, _ := s.spare.Get().(*[]int)
	if there == nil {
		there = new([]int)
	}
	defer s.spare.Put(there)
	*there = (*there)[:0]
	for _, i := range index {
		*there = append(*there, s.index[i])
	}
	return f(*there)
}

// Split divides a dataset at random into one of about a share of its examples, 0 < share < 1, and one of the rest; both keep the order of the
// examples and neither is empty. What goes where depends on the seed, the share and the dataset, on nothing else. Where the dataset has
// classes (Labelled), the share is that of each class, as closely as whole examples allow.
func Split(d Dataset, share float64, seed uint64) (rest, part *Subset, err error) {
	if d == nil {
		return nil, nil, errors.New("split: the dataset is nil")
	}
	n := d.Len()
	switch {
	case !(share > 0 && share < 1):
		return nil, nil, fmt.Errorf("split: the fraction is %v: want a number between 0 and 1", share)
	case n < 2:
		return nil, nil, fmt.Errorf("split: %d examples: want at least 2", n)
	}
	groups := make([][]int, 1)
	if l, ok := d.(Labelled); ok && len(l.Classes()) > 0 {
		groups = make([][]int, len(l.Classes()))
		for i := range n {
			class, err := classOf(d, i)
			if err != nil {
				return nil, nil, fmt.Errorf("split: %w", err)
			}
			if class < 0 || class >= int64(len(groups)) {
				return nil, nil, fmt.Errorf("split: example %d has class %d: there are %d", i, class, len(groups))
			}
			groups[class] = append(groups[class], i)
		}
	} else {
		for i := range n {
			groups[0] = append(groups[0], i)
		}
	}
	var in, out []int
	for g, count := range shares(groups, share, n) {
		shuffle(groups[g], seed, uint64(g))
		in = append(in, groups[g][:count]...)
		out = append(out, groups[g][count:]...)
	}
	slices.Sort(in)
	slices.Sort(out)
	return &Subset{of: d, index: out}, &Subset{of: d, index: in}, nil
}

// shares returns how many of each group's elements make up the share of all n: the whole part for each, and one more for those with the
// largest fractions.
func shares(groups [][]int, share float64, n int) []int {
	total := min(max(int(math.Round(share*float64(n))), 1), n-1)
	counts, order := make([]int, len(groups)), make([]int, len(groups))
	fraction := make([]float64, len(groups))
	for g, members := range groups {
		exact := float64(len(members)) * float64(total) / float64(n)
		counts[g] = int(exact)
		fraction[g] = exact - float64(counts[g])
		order[g] = g
	}
	left := total
	for _, c := range counts {
		left -= c
	}
	slices.SortStableFunc(order, func(a, b int) int { return cmp.Compare(fraction[b], fraction[a]) })
	for _, g := range order {
		if left > 0 && counts[g] < len(groups[g]) {
			counts[g]++
			left--
		}
	}
	return counts
}
