package data

import (
	"errors"
	"fmt"
	"image"
	"slices"

	"github.com/graphrun/graphrun/graph/value"
)

// Dataset is a set of Len examples. Its methods may be called concurrently.
type Dataset interface {
	Len() int

	// Item returns example i, 0 <= i < Len: the input x and the target y, without a batch dimension. All examples have the
	// same dtypes and shapes. The caller does not change the tensors.
	Item(i int) (x, y *value.Tensor, err error)
}

// Filler is a Dataset that assembles a batch faster than by stacking examples one by one. A Loader uses it where it is
// there.
type Filler interface {
	Dataset

	// Fill sets b.X and b.Y to the examples of the given numbers, stacked along a new first dimension. Tensors in b that
	// have the dtype and shape needed are overwritten, others replaced; they never share memory with the dataset. An
	// example number out of range is an error. Fill does not touch b.Index.
	Fill(b *Batch, index []int) error
}

// Batch is some examples of a Dataset, stacked along the first dimension.
type Batch struct {
	X, Y  *value.Tensor
	Index []int // the number in the dataset of each example
}

// Len returns the number of examples.
func (b Batch) Len() int { return len(b.Index) }

var (
	_ Filler   = (*TensorDataset)(nil)
	_ Filler   = (*Images)(nil)
	_ Labelled = (*TensorDataset)(nil)
	_ Labelled = (*Images)(nil)
	_ Labelled = (*Subset)(nil)
)

// TensorDataset is a Dataset of two tensors in memory: example i is row i of each.
type TensorDataset struct {
	x, y    *value.Tensor
	n       int
	classes []string
	lab     []int64 // the elements of y where there are classes
	scaled  bool    // x is bytes divided by 255
	rounded bool    // x is f64, and the inputs of examples are f32
}

// NewTensorDataset returns the dataset with inputs x[N, ...] and targets y[N, ...], of any dtypes of whole bytes.
// It keeps the tensors, and they must not change while it is used.
func NewTensorDataset(x, y *value.Tensor) (*TensorDataset, error) {
	var n [2]int
	for i, t := range []*value.Tensor{x, y} {
		name := [2]string{"x", "y"}[i]
		if t == nil {
			return nil, fmt.Errorf("dataset: %s is nil", name)
		}
		shape := t.Shape()
		if len(shape) == 0 {
			return nil, fmt.Errorf("dataset: %s is a scalar: want a first dimension that counts the examples", name)
		}
		if !canBatch(t.DType()) {
			return nil, fmt.Errorf("dataset: %s has dtype %v, which cannot be batched", name, t.DType())
		}
		n[i] = shape[0]
	}
	if n[0] != n[1] {
		return nil, fmt.Errorf("dataset: x has %d examples, y has %d", n[0], n[1])
	}
	return &TensorDataset{x: x, y: y, n: n[0]}, nil
}

// NewClassified returns the dataset with inputs x[N, ...] and labels i64[N], each the number of one of the classes. It keeps the tensors, and
// they must not change while it is used.
func NewClassified(x, labels *value.Tensor, classes []string) (*TensorDataset, error) {
	d, err := NewTensorDataset(x, labels)
	if err != nil {
		return nil, err
	}
	if d.lab, err = checkLabels(labels, classes); err != nil {
		return nil, fmt.Errorf("dataset: %w", err)
	}
	d.classes = slices.Clone(classes)
	return d, nil
}

// checkLabels returns the elements of i64[N], each the number of a class.
func checkLabels(labels *value.Tensor, classes []string) ([]int64, error) {
	if labels.DType() != value.I64 || labels.Rank() != 1 {
		return nil, fmt.Errorf("labels are %v%v: want i64[N]", labels.DType(), labels.Shape())
	}
	lab, err := value.Data[int64](labels)
	if err != nil {
		return nil, fmt.Errorf("labels: %w", err)
	}
	for i, l := range lab {
		if l < 0 || l >= int64(len(classes)) {
			return nil, fmt.Errorf("label %d is %d: want 0 to %d, the number of a class", i, l, len(classes)-1)
		}
	}
	return lab, nil
}

// Len returns the number of examples.
func (d *TensorDataset) Len() int { return d.n }

// Classes returns the name of each class, nothing if the targets are no classes.
func (d *TensorDataset) Classes() []string { return slices.Clone(d.classes) }

func (d *TensorDataset) label(i int) (int64, bool) {
	if d.lab == nil {
		return 0, false
	}
	return d.lab[i], true
}

// Item returns a copy of row i of both tensors.
func (d *TensorDataset) Item(i int) (x, y *value.Tensor, err error) { return item(d, i) }

// Fill implements Filler.
func (d *TensorDataset) Fill(b *Batch, index []int) error {
	if err := checkIndex(index, d.n); err != nil {
		return err
	}
	if d.rounded {
		return errors.Join(round(&b.X, d.x, index), gather(&b.Y, d.y, index))
	}
	return errors.Join(gather(&b.X, d.x, index), gather(&b.Y, d.y, index))
}

func (d *TensorDataset) fillPrecise(b *Batch, index []int) (bool, error) {
	if !d.rounded {
		return false, nil
	}
	if err := checkIndex(index, d.n); err != nil {
		return true, err
	}
	return true, errors.Join(gather(&b.X, d.x, index), gather(&b.Y, d.y, index))
}

// Images is a Dataset of labelled images: bytes u8[N,C,H,W], labels i64[N] and the names of the classes. Its examples are
// f32[C,H,W], the bytes divided by 255, so in [0, 1], and i64[] labels.
type Images struct {
	pixels, labels *value.Tensor
	pix            []uint8
	lab            []int64
	classes        []string
}

// NewImages returns the dataset of images u8[N,C,H,W] with labels i64[N], each the number of a class. It keeps the tensors,
// and they must not change while it is used.
func NewImages(pixels, labels *value.Tensor, classes []string) (*Images, error) {
	if pixels == nil || labels == nil {
		return nil, errors.New("images: pixels and labels must not be nil")
	}
	ps, ls := pixels.Shape(), labels.Shape()
	if pixels.DType() != value.U8 || len(ps) != 4 {
		return nil, fmt.Errorf("images: pixels are %v%v: want u8[N,C,H,W]", pixels.DType(), ps)
	}
	if len(ls) == 1 && ps[0] != ls[0] {
		return nil, fmt.Errorf("images: %d images, but %d labels", ps[0], ls[0])
	}
	pix, err := value.Data[uint8](pixels)
	if err != nil {
		return nil, fmt.Errorf("images: pixels: %w", err)
	}
	lab, err := checkLabels(labels, classes)
	if err != nil {
		return nil, fmt.Errorf("images: %w", err)
	}
	return &Images{pixels, labels, pix, lab, slices.Clone(classes)}, nil
}

// Len returns the number of images.
func (d *Images) Len() int { return len(d.lab) }

// Pixels returns the bytes, u8[N,C,H,W]. They are the dataset's own: do not change them.
func (d *Images) Pixels() *value.Tensor { return d.pixels }

// Labels returns the labels, i64[N]. They are the dataset's own: do not change them.
func (d *Images) Labels() *value.Tensor { return d.labels }

// Classes returns the name of each class.
func (d *Images) Classes() []string { return slices.Clone(d.classes) }

func (d *Images) label(i int) (int64, bool) { return d.lab[i], true }

// Item returns image i, f32[C,H,W], and its label, i64[].
func (d *Images) Item(i int) (x, y *value.Tensor, err error) { return item(d, i) }

// Gray returns image i and its label. The images must have one channel.
func (d *Images) Gray(i int) (*image.Gray, int64, error) {
	if err := checkIndex([]int{i}, d.Len()); err != nil {
		return nil, 0, err
	}
	s := d.pixels.Shape()
	if s[1] != 1 {
		return nil, 0, fmt.Errorf("images: a grey image has 1 channel, these have %d", s[1])
	}
	img := image.NewGray(image.Rect(0, 0, s[3], s[2]))
	copy(img.Pix, d.pix[i*len(img.Pix):])
	return img, d.lab[i], nil
}

// Slice returns the images lo, lo+1, ... hi-1 as a dataset.
func (d *Images) Slice(lo, hi int) (*Images, error) {
	if lo < 0 || hi < lo || hi > d.Len() {
		return nil, fmt.Errorf("images: slice [%d:%d] of %d images", lo, hi, d.Len())
	}
	s := d.pixels.Shape()
	size := d.imageSize()
	pixels, err := value.FromSlice(d.pix[lo*size:hi*size:hi*size], hi-lo, s[1], s[2], s[3])
	if err != nil {
		return nil, err
	}
	labels, err := value.FromSlice(d.lab[lo:hi:hi], hi-lo)
	if err != nil {
		return nil, err
	}
	return NewImages(pixels, labels, d.classes)
}

func (d *Images) imageSize() int {
	s := d.pixels.Shape()
	return s[1] * s[2] * s[3]
}

// scaled holds byte/255 for every byte.
var scaled = func() (t [256]float32) {
	for i := range t {
		t[i] = float32(i) / 255
	}
	return t
}()

// Fill implements Filler.
func (d *Images) Fill(b *Batch, index []int) error {
	if err := checkIndex(index, d.Len()); err != nil {
		return err
	}
	s := d.pixels.Shape()
	if err := reuse(&b.X, value.F32, len(index), s[1], s[2], s[3]); err != nil {
		return err
	}
	x, err := value.Data[float32](b.X)
	if err != nil {
		return err
	}
	size := d.imageSize()
	for row, i := range index {
		dst := x[row*size : (row+1)*size]
		for k, v := range d.pix[i*size : (i+1)*size] {
			dst[k] = scaled[v]
		}
	}
	return gather(&b.Y, d.labels, index)
}

// item takes one example out of a batch of one.
func item(d Filler, i int) (x, y *value.Tensor, err error) {
	var b Batch
	if err := d.Fill(&b, []int{i}); err != nil {
		return nil, nil, err
	}
	if x, err = b.X.Reshape(b.X.Shape()[1:]...); err != nil {
		return nil, nil, err
	}
	if y, err = b.Y.Reshape(b.Y.Shape()[1:]...); err != nil {
		return nil, nil, err
	}
	return x, y, nil
}

func checkIndex(index []int, n int) error {
	for _, i := range index {
		if i < 0 || i >= n {
			return fmt.Errorf("dataset: no example %d: there are %d", i, n)
		}
	}
	return nil
}
