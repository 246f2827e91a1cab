package data

import (
	"errors"
	"fmt"
	"slices"

	"github.com/graphrun/graphrun/graph/value"
)

// UnknownClassError is the error of Relabel about an example whose class has no place.
type UnknownClassError struct {
	Example, Class int // their numbers
}

func (e *UnknownClassError) Error() string {
	return fmt.Sprintf("relabel: example %d has the class %d, which has no place", e.Example, e.Class)
}

// Relabelled is a Dataset with renumbered labels.
type Relabelled struct {
	of      Dataset
	classes []string
	place   []int
}

var (
	_ Filler   = (*Relabelled)(nil)
	_ Labelled = (*Relabelled)(nil)
	_ precise  = (*Relabelled)(nil)
)

// Relabel returns a dataset with the examples of d, whose label k becomes place[k], the number of one of the classes: so one set is labelled as
// another one, such as that on which a model was trained. A negative place is that of a class which d may have and no example is of; one
// that is is an *UnknownClassError.
func Relabel(d Dataset, classes []string, place []int) (*Relabelled, error) {
	if d == nil {
		return nil, errors.New("relabel: the dataset is nil")
	}
	for k, p := range place {
		if p >= len(classes) {
			return nil, fmt.Errorf("relabel: class %d is to become class %d: there are %d", k, p, len(classes))
		}
	}
	for i := range d.Len() {
		class, err := classOf(d, i)
		switch {
		case err != nil:
			return nil, fmt.Errorf("relabel: %w", err)
		case class < 0 || class >= int64(len(place)):
			return nil, fmt.Errorf("relabel: example %d has the label %d: there are places for %d", i, class, len(place))
		case place[class] < 0:
			return nil, &UnknownClassError{i, int(class)}
		}
	}
	return &Relabelled{d, slices.Clone(classes), slices.Clone(place)}, nil
}

// Len returns the number of examples.
func (d *Relabelled) Len() int { return d.of.Len() }

// Classes returns the name of each class.
func (d *Relabelled) Classes() []string { return slices.Clone(d.classes) }

func (d *Relabelled) label(i int) (int64, bool) {
	class, err := classOf(d.of, i)
	if err != nil || class < 0 || class >= int64(len(d.place)) {
		return 0, false
	}
	return int64(d.place[class]), true
}

// Item returns example i.
func (d *Relabelled) Item(i int) (x, y *value.Tensor, err error) { return item(d, i) }

// Fill implements Filler.
func (d *Relabelled) Fill(b *Batch, index []int) error {
	if err := fill(d.of, b, index); err != nil {
		return err
	}
	return d.number(b, index)
}

func (d *Relabelled) fillPrecise(b *Batch, index []int) (bool, error) {
	ok, err := fillPrecise(d.of, b, index)
	if ok && err == nil {
		err = d.number(b, index)
	}
	return ok, err
}

// number gives the labels of a batch their new numbers.
func (d *Relabelled) number(b *Batch, index []int) error {
	labels, err := value.Data[int64](b.Y)
	if err != nil {
		return fmt.Errorf("relabel: %w", err)
	}
	for i, l := range labels {
		if l < 0 || l >= int64(len(d.place)) || d.place[l] < 0 {
			return fmt.Errorf("relabel: example %d has the label %d, which has no place", index[i], l)
		}
		labels[i] = int64(d.place[l])
	}
	return nil
}
