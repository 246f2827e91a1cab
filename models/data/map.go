package data

import (
	"errors"
	"fmt"
	"math"

	"github.com/graphrun/graphrun/graph/value"
)

// Mapped is a Dataset of the examples of another one, their inputs changed.
type Mapped struct {
	of Dataset
	f  func(x *value.Tensor) (*value.Tensor, error)
}

var (
	_ Filler   = (*Mapped)(nil)
	_ Labelled = (*Mapped)(nil)
)

// Map returns a dataset with the examples of d, whose inputs become what f returns for a batch of them, [N, ...], such as artifact.Preprocess.Prepare.
// f may be called concurrently. Where the inputs of d are rounded from f64, as the columns of a table are, f gets these.
func Map(d Dataset, f func(x *value.Tensor) (*value.Tensor, error)) (*Mapped, error) {
	if d == nil || f == nil {
		return nil, errors.New("map: the dataset or the function is nil")
	}
	m := &Mapped{d, f}
	if d.Len() > 0 {
		if err := m.Fill(new(Batch), []int{0}); err != nil {
			return nil, err
		}
	}
	return m, nil
}

// Len returns the number of examples.
func (d *Mapped) Len() int { return d.of.Len() }

// Classes returns the classes of the other dataset, nothing if it has none.
func (d *Mapped) Classes() []string {
	if l, ok := d.of.(Labelled); ok {
		return l.Classes()
	}
	return nil
}

func (d *Mapped) label(i int) (int64, bool) {
	class, err := classOf(d.of, i)
	return class, err == nil
}

// Item returns example i.
func (d *Mapped) Item(i int) (x, y *value.Tensor, err error) { return item(d, i) }

// Fill implements Filler.
func (d *Mapped) Fill(b *Batch, index []int) error {
	wide, _ := spare.Get().(*Batch)
	if wide == nil {
		wide = new(Batch)
	}
	defer spare.Put(wide)
	wide.Y = b.Y
	ok, err := fillPrecise(d.of, wide, index)
	b.Y, wide.Y = wide.Y, nil
	x := wide.X
	if err == nil && !ok {
		err = fill(d.of, b, index)
		x = b.X
	}
	if err == nil {
		b.X, err = d.f(x)
	}
	if b.X == wide.X { // f has changed it in place
		wide.X = nil
	}
	return err
}

// FromBytes reports whether the inputs of a dataset are bytes divided by 255, as those of pictures and of u8 arrays are.
func FromBytes(d Dataset) bool {
	switch d := d.(type) {
	case *Images, *Folder:
		return true
	case *TensorDataset:
		return d.scaled
	case *Subset:
		return FromBytes(d.of)
	case *Relabelled:
		return FromBytes(d.of)
	}
	return false
}

// Bytes returns the bytes, u8, that inputs are which were divided by 255 (see FromBytes).
func Bytes(x *value.Tensor) (*value.Tensor, error) {
	if x == nil {
		return nil, errors.New("bytes: the tensor is nil")
	}
	from, err := value.Data[float32](x)
	if err != nil {
		return nil, fmt.Errorf("bytes: %w", err)
	}
	t, err := value.New(value.U8, x.Shape()...)
	if err != nil {
		return nil, fmt.Errorf("bytes: %w", err)
	}
	to := t.Bytes()
	for i, v := range from {
		to[i] = uint8(math.Round(float64(min(max(v, 0), 1)) * 255))
	}
	return t, nil
}
