package data

import (
	"errors"
	"fmt"
	"sync"

	"github.com/graphrun/graphrun/graph/value"
)

// precise is a dataset whose inputs, f32, are rounded from f64. What is computed of inputs before a model sees them, such as Normalize does, is
// computed of the f64: moments of time, in seconds since 1970, are the same number in f32 for two minutes.
type precise interface {
	// fillPrecise is Fill with X f64. It reports false, and has done nothing, where inputs are not rounded.
	fillPrecise(b *Batch, index []int) (bool, error)
}

var (
	_ precise = (*TensorDataset)(nil)
	_ precise = (*Subset)(nil)
	_ precise = (*Normalized)(nil)
	_ precise = (*Relabelled)(nil)
)

func fillPrecise(d Dataset, b *Batch, index []int) (bool, error) {
	if p, ok := d.(precise); ok {
		return p.fillPrecise(b, index)
	}
	return false, nil
}

// spare holds batches with X f64.
var spare sync.Pool

// fillNormalized sets b to the examples of d of the given numbers, normalized.
func fillNormalized(d Dataset, n *Normalization, b *Batch, index []int) error {
	wide, _ := spare.Get().(*Batch)
	if wide == nil {
		wide = new(Batch)
	}
	defer spare.Put(wide)
	wide.Y = b.Y
	ok, err := fillPrecise(d, wide, index)
	b.Y, wide.Y = wide.Y, nil
	switch {
	case err != nil:
		return err
	case ok:
		return errors.Join(n.Apply(wide.X), round(&b.X, wide.X, nil))
	}
	if err := fill(d, b, index); err != nil {
		return err
	}
	return n.Apply(b.X)
}

// round sets *dst to rows of src, f64, as f32; to all of them without an index.
func round(dst **value.Tensor, src *value.Tensor, index []int) error {
	from, err := value.Data[float64](src)
	if err != nil {
		return err
	}
	var dims [8]int
	shape := append(dims[:0], src.Shape()...)
	size := len(from) / max(shape[0], 1)
	if index != nil {
		shape[0] = len(index)
	}
	if err := reuse(dst, value.F32, shape...); err != nil {
		return err
	}
	to, err := value.Data[float32](*dst)
	if err != nil {
		return err
	}
	for row := range shape[0] {
		i := row
		if index != nil {
			i = index[row]
		}
		out := to[row*size : (row+1)*size]
		for k, v := range from[i*size : (i+1)*size] {
			out[k] = float32(v)
		}
	}
	return nil
}

// preciseInput returns the input of an example as f64, as precisely as the dataset has it, and its shape. It may use b and overwrite it later.
func preciseInput(d Dataset, i int, b *Batch) (x []float64, shape []int, err error) {
	ok, err := fillPrecise(d, b, []int{i})
	switch {
	case err != nil:
		return nil, nil, err
	case ok:
		x, err = value.Data[float64](b.X)
		return x, b.X.Shape()[1:], err
	}
	t, _, err := d.Item(i)
	if err != nil {
		return nil, nil, err
	}
	data, err := value.Data[float32](t)
	if err != nil || t.Len() == 0 {
		return nil, nil, fmt.Errorf("it is %s: want f32[C, ...]", typeOf(t))
	}
	x = make([]float64, len(data))
	for k, v := range data {
		x[k] = float64(v)
	}
	return x, t.Shape(), nil
}
