package data

import (
	"errors"
	"fmt"
	"math"
	"slices"

	"github.com/graphrun/graphrun/graph/value"
)

// Normalization shifts and scales inputs: (x - Mean) / Std. Both hold one number for all of x or one for each channel.
type Normalization struct {
	Mean, Std []float64
}

// check looks for numbers that make no sense.
func (n *Normalization) check() error {
	m, s := len(n.Mean), len(n.Std)
	if m == 0 || s == 0 || m != s && m != 1 && s != 1 {
		return fmt.Errorf("normalization: %d means and %d deviations: want one of each, or one for every channel", m, s)
	}
	for i, m := range n.Mean {
		if math.IsNaN(m) || math.IsInf(m, 0) {
			return fmt.Errorf("normalization: mean %d is %v: want a finite number", i, m)
		}
	}
	for i, s := range n.Std {
		if !(s > 0) || math.IsInf(s, 0) {
			return fmt.Errorf("normalization: deviation %d is %v: want a finite number above 0", i, s)
		}
	}
	return nil
}

// Apply normalizes x in place: f32[N,C,...] or f64[N,C,...], of which dimension 1 counts the channels. One mean and one deviation serve x of any
// rank. It computes in f64, and f32 is rounded once.
func (n *Normalization) Apply(x *value.Tensor) error {
	if n == nil {
		return errors.New("normalization: it is nil")
	}
	if err := n.check(); err != nil {
		return err
	}
	switch {
	case x != nil && x.DType() == value.F32:
		return normalize[float32](n, x)
	case x != nil && x.DType() == value.F64:
		return normalize[float64](n, x)
	}
	return errors.New("normalization: want a tensor of dtype f32 or f64")
}

func normalize[T float32 | float64](n *Normalization, x *value.Tensor) error {
	shape := x.Shape()
	data, err := value.Data[T](x)
	if err != nil {
		return err
	}
	channels := max(len(n.Mean), len(n.Std))
	plane := len(data)
	if channels > 1 {
		if len(shape) < 2 || shape[1] != channels {
			return fmt.Errorf("normalization: it has %d channels, the input is %s", channels, typeOf(x))
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
			data[i*plane+k] = T((float64(v) - mean) / std)
		}
	}
	return nil
}

// Standardization returns what gives the inputs of a dataset, f32[C, ...], a mean of 0 and a deviation of 1 in each of their C channels, such as
// the columns of a table. Inputs f32[] count as one channel. What is the same in all examples is shifted to 0 and not scaled.
func Standardization(d Dataset) (*Normalization, error) {
	if d == nil || d.Len() < 1 {
		return nil, errors.New("standardization: there are no examples")
	}
	var mean, squares []float64
	count := 0.0
	var b Batch
	for i := range d.Len() {
		data, shape, err := preciseInput(d, i, &b)
		if err != nil {
			return nil, fmt.Errorf("standardization: example %d: %w", i, err)
		}
		channels := 1
		if len(shape) > 0 {
			channels = shape[0]
		}
		if mean == nil {
			mean, squares = make([]float64, channels), make([]float64, channels)
		}
		if channels != len(mean) {
			return nil, fmt.Errorf("standardization: example %d has %d channels, the first %d", i, channels, len(mean))
		}
		// Welford's update, which does not cancel where the mean is far from 0, for all of a channel at once (Chan, Golub and LeVeque).
		plane := len(data) / channels
		for c := range channels {
			sum := 0.0
			for _, v := range data[c*plane : (c+1)*plane] {
				sum += v
			}
			here, spread := sum/float64(plane), 0.0
			for _, v := range data[c*plane : (c+1)*plane] {
				spread += (v - here) * (v - here)
			}
			delta := here - mean[c]
			mean[c] += delta * float64(plane) / (count + float64(plane))
			squares[c] += spread + delta*delta*count*float64(plane)/(count+float64(plane))
		}
		count += float64(plane)
	}
	n := &Normalization{}
	for c := range mean {
		std := math.Sqrt(squares[c] / count)
		if std == 0 {
			std = 1
		}
		n.Mean, n.Std = append(n.Mean, mean[c]), append(n.Std, std)
	}
	if err := n.check(); err != nil {
		return nil, fmt.Errorf("standardization: %w", err)
	}
	return n, nil
}

// Normalize returns a dataset with the examples of d, their inputs normalized.
func Normalize(d Dataset, n Normalization) (*Normalized, error) {
	if d == nil {
		return nil, errors.New("normalization: the dataset is nil")
	}
	out := &Normalized{of: d, by: Normalization{slices.Clone(n.Mean), slices.Clone(n.Std)}}
	if err := out.by.check(); err != nil {
		return nil, err
	}
	if d.Len() > 0 {
		if err := out.Fill(new(Batch), []int{0}); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// Normalized is a Dataset of the normalized examples of another one.
type Normalized struct {
	of Dataset
	by Normalization
}

var (
	_ Filler   = (*Normalized)(nil)
	_ Labelled = (*Normalized)(nil)
)

// Len returns the number of examples.
func (d *Normalized) Len() int { return d.of.Len() }

// Classes returns the classes of the other dataset, nothing if it has none.
func (d *Normalized) Classes() []string {
	if l, ok := d.of.(Labelled); ok {
		return l.Classes()
	}
	return nil
}

func (d *Normalized) label(i int) (int64, bool) {
	class, err := classOf(d.of, i)
	return class, err == nil
}

// Item returns example i.
func (d *Normalized) Item(i int) (x, y *value.Tensor, err error) { return item(d, i) }

// Fill implements Filler.
func (d *Normalized) Fill(b *Batch, index []int) error {
	if err := checkIndex(index, d.Len()); err != nil {
		return err
	}
	return fillNormalized(d.of, &d.by, b, index)
}

func (d *Normalized) fillPrecise(b *Batch, index []int) (bool, error) {
	ok, err := fillPrecise(d.of, b, index)
	if ok && err == nil {
		err = d.by.Apply(b.X)
	}
	return ok, err
}
