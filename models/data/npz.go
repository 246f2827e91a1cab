package data

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math"
	"strconv"

	"github.com/graphrun/graphrun/graph/value"
	"github.com/graphrun/graphrun/graph/value/npy"
)

// NPZOptions says what the arrays of an .npz file mean.
type NPZOptions struct {
	// Classes are the names of the classes; without them, they are the numbers from "0" to the largest label.
	Classes []string
	// Regression says that the targets are numbers to predict even if they are integers.
	Regression bool
}

// maxClasses bounds the classes that are numbered after the largest label.
const maxClasses = 100_000

// ReadNPZ reads data sets from an archive of NumPy arrays that takes size bytes in r: x_train, y_train, x_test and y_test, as Keras's mnist.npz
// has them, or x and y, which are all train, and test is nil. Other arrays are left alone.
//
// Inputs x[N, ...] become
//
//	u8[N,H,W]    images, as from NewImages: f32[1,H,W] in [0, 1]
//	u8[N,C,H,W]  images; those of channels last, u8[N,H,W,1] or u8[N,H,W,3], are turned
//	u8[N,F]      f32[F], divided by 255 as well
//	f64          f32, rounded; Standardization and Normalize compute of the f64
//	f16          f32
//	others       what they are
//
// Targets y[N] or y[N,1] of integers are classes, i64[], and those of floats, or with Regression, are f32[1]. Other targets of floats, y[N, ...],
// are f32[...]. The input need not be trusted; see package npy.
func ReadNPZ(r io.ReaderAt, size int64, opts NPZOptions) (train, test Labelled, err error) {
	a, err := npy.NewArchive(r, size)
	return readNPZ("npz", a, err, opts)
}

// OpenNPZ reads the .npz file of that name in fsys, as ReadNPZ does.
func OpenNPZ(fsys fs.FS, name string, opts NPZOptions) (train, test Labelled, err error) {
	a, err := npy.OpenArchiveFS(fsys, name)
	if err != nil {
		return nil, nil, err
	}
	return readNPZ(name, a, nil, opts)
}

// ReadNPZFile reads the .npz file of that path, as ReadNPZ does.
func ReadNPZFile(path string, opts NPZOptions) (train, test Labelled, err error) {
	a, err := npy.OpenArchive(path)
	if err != nil {
		return nil, nil, err
	}
	return readNPZ(path, a, nil, opts)
}

// readNPZ reads the arrays of the data sets, and no others.
func readNPZ(name string, a *npy.Archive, err error, opts NPZOptions) (train, test Labelled, _ error) {
	fail := func(err error) (train, test Labelled, _ error) { return nil, nil, fmt.Errorf("%s: %w", name, err) }
	if err != nil {
		return fail(err)
	}
	defer a.Close()
	sets := [][2]string{{"x_train", "y_train"}, {"x_test", "y_test"}}
	if a.Has("x") || a.Has("y") {
		sets = [][2]string{{"x", "y"}}
	}
	for _, names := range sets {
		for _, name := range names {
			if !a.Has(name) {
				return fail(fmt.Errorf("there is no array %s: want x_train, y_train, x_test and y_test, or x and y, have %s",
					name, value.Few(a.Names())))
			}
		}
	}
	arrays := map[string]*value.Tensor{}
	memory := newAllowance()
	for _, names := range sets {
		for _, name := range names {
			if arrays[name], err = a.Read(name); err != nil {
				return fail(err)
			}
			if err := memory.take(len(arrays[name].Bytes()), name); err != nil {
				return fail(err)
			}
		}
	}
	if train, test, err = fromArrays(arrays, sets, opts, memory); err != nil {
		return fail(err)
	}
	return train, test, nil
}

// fromArrays makes data sets of arrays, given by the names of each two that belong together.
func fromArrays(arrays map[string]*value.Tensor, sets [][2]string, opts NPZOptions, memory *allowance) (train, test Labelled, err error) {
	classes := opts.Classes
	labels := map[string][]int64{}
	most := int64(-1)
	for _, names := range sets {
		y := arrays[names[1]]
		if opts.Regression || !areLabels(y) {
			continue
		}
		if labels[names[1]], err = asLabels(y, memory); err == nil && len(opts.Classes) == 0 {
			var top int64
			top, err = maxLabel(labels[names[1]])
			most = max(most, top)
		}
		if err != nil {
			return nil, nil, fmt.Errorf("%s: %w", names[1], err)
		}
	}
	if len(classes) == 0 {
		classes = numbered(int(most + 1))
	}
	var out [2]Labelled
	for i, names := range sets {
		p := pair{names: names, x: arrays[names[0]], y: arrays[names[1]], labels: labels[names[1]], memory: memory}
		if out[i], err = p.dataset(classes); err != nil {
			return nil, nil, err
		}
	}
	return out[0], out[1], nil
}

// numbered returns the numbers of n classes as their names.
func numbered(n int) []string {
	names := make([]string, n)
	for i := range names {
		names[i] = strconv.Itoa(i)
	}
	return names
}

// areLabels reports whether targets are numbers of classes.
func areLabels(y *value.Tensor) bool {
	s := y.Shape()
	return y.DType().IsInteger() && (len(s) == 1 || len(s) == 2 && s[1] == 1)
}

// maxLabel returns the largest label, -1 if there is none.
func maxLabel(labels []int64) (int64, error) {
	most := int64(-1)
	for i, l := range labels {
		if l < 0 || l >= maxClasses {
			return 0, fmt.Errorf("label %d is %d: want the number of a class, 0 to %d; are the targets numbers to predict (regression)?", i, l, maxClasses-1)
		}
		most = max(most, l)
	}
	return most, nil
}

// pair is two arrays that are a data set, and their names.
type pair struct {
	names  [2]string
	x, y   *value.Tensor
	labels []int64 // what y holds, if those are classes
	memory *allowance
}

func (p pair) dataset(classes []string) (Labelled, error) {
	x, y := p.x, p.y
	if x.Rank() == 0 || y.Rank() == 0 || x.Shape()[0] != y.Shape()[0] {
		return nil, fmt.Errorf("%s is %s and %s %s: want as many rows in both", p.names[0], typeOf(x), p.names[1], typeOf(y))
	}
	if x.Shape()[0] == 0 {
		return nil, fmt.Errorf("%s is %s: there are no examples in it", p.names[0], typeOf(x))
	}
	fail := func(k int, err error) (Labelled, error) { return nil, fmt.Errorf("%s: %w", p.names[k], err) }
	var err error
	if p.labels != nil {
		y, err = value.FromSlice(p.labels, len(p.labels))
	} else {
		y, err = p.targets()
		classes = nil
	}
	if err != nil {
		return fail(1, err)
	}
	if x.DType() == value.U8 && (x.Rank() == 3 || x.Rank() == 4) {
		if x, err = asImages(x, p.memory); err != nil {
			return fail(0, err)
		}
		if classes != nil {
			d, err := NewImages(x, y, classes)
			if err != nil {
				return fail(1, err)
			}
			return d, nil
		}
	}
	bytes := x.DType() == value.U8
	if x, err = asInputs(x, p.memory); err != nil {
		return fail(0, err)
	}
	var d *TensorDataset
	if classes == nil {
		if d, err = NewTensorDataset(x, y); err != nil {
			return fail(0, err)
		}
	} else if d, err = NewClassified(x, y, classes); err != nil {
		return fail(1, err)
	}
	d.scaled, d.rounded = bytes, x.DType() == value.F64
	return d, nil
}

// targets are numbers to predict.
func (p pair) targets() (*value.Tensor, error) {
	y, err := asFloats(p.y, p.memory)
	if err != nil || y.Rank() != 1 {
		return y, err
	}
	return y.Reshape(y.Len(), 1)
}

// asLabels returns the elements of integers as i64.
func asLabels(y *value.Tensor, memory *allowance) ([]int64, error) {
	if err := memory.take(16*y.Len(), "the labels"); err != nil {
		return nil, err
	}
	e, err := y.TryExact()
	if err != nil {
		return nil, err
	}
	if e.I != nil {
		return e.I, nil
	}
	labels := make([]int64, len(e.U))
	for i, v := range e.U {
		if v > math.MaxInt64 {
			return nil, fmt.Errorf("label %d is %d: want the number of a class", i, v)
		}
		labels[i] = int64(v)
	}
	return labels, nil
}

// asFloats returns numbers as f32.
func asFloats(t *value.Tensor, memory *allowance) (*value.Tensor, error) {
	if t.DType() == value.F32 {
		return t, nil
	}
	wide := 8 // on the way, unless it is f64 already
	if t.DType() == value.F64 {
		wide = 0
	}
	if err := memory.take((4+wide)*t.Len(), typeOf(t)+" as f32"); err != nil {
		return nil, err
	}
	switch {
	case t.DType() == value.F64: // the largest arrays, so without another copy
		wide, err := value.Data[float64](t)
		if err != nil {
			return nil, err
		}
		out, err := value.New(value.F32, t.Shape()...)
		if err != nil {
			return nil, err
		}
		data, err := value.Data[float32](out)
		if err != nil {
			return nil, err
		}
		for i, v := range wide {
			data[i] = float32(v)
		}
		return out, nil
	case !t.DType().IsNumeric():
		return nil, fmt.Errorf("%s are no numbers", typeOf(t))
	}
	e, err := t.TryExact()
	if err != nil {
		return nil, err
	}
	if e, err = value.Convert(e, value.F32); err != nil {
		return nil, err
	}
	return e.Tensor(), nil
}

// asInputs returns inputs as what an example holds: bytes scaled to [0, 1], floats as f32, others as they are.
func asInputs(x *value.Tensor, memory *allowance) (*value.Tensor, error) {
	switch dt := x.DType(); {
	case dt == value.U8:
		if err := memory.take(4*x.Len(), typeOf(x)+" as f32"); err != nil {
			return nil, err
		}
		t, err := value.New(value.F32, x.Shape()...)
		if err != nil {
			return nil, err
		}
		data, err := value.Data[float32](t)
		if err != nil {
			return nil, err
		}
		for i, v := range x.Bytes() {
			data[i] = scaled[v]
		}
		return t, nil
	case dt.IsFloat() && dt != value.F64: // f64 is rounded when examples are asked for
		return asFloats(x, memory)
	}
	return x, nil
}

// asImages turns u8[N,H,W], u8[N,C,H,W] and u8[N,H,W,C] into u8[N,C,H,W].
func asImages(x *value.Tensor, memory *allowance) (*value.Tensor, error) {
	s := x.Shape()
	if len(s) == 3 {
		return x.Reshape(s[0], 1, s[1], s[2])
	}
	isChannels := func(n int) bool { return n == 1 || n == 3 }
	if isChannels(s[1]) {
		return x, nil
	}
	if !isChannels(s[3]) {
		return nil, errors.New("images have 1 or 3 channels: want u8[N,H,W], u8[N,C,H,W] or u8[N,H,W,C], have " + typeOf(x))
	}
	if err := memory.take(x.Len(), typeOf(x)+" with its channels first"); err != nil {
		return nil, err
	}
	t, err := value.New(value.U8, s[0], s[3], s[1], s[2])
	if err != nil {
		return nil, err
	}
	channels, plane := s[3], s[1]*s[2]
	from, to := x.Bytes(), t.Bytes()
	for image := 0; image < len(from); image += channels * plane {
		for c := range channels {
			for i := range plane {
				to[image+c*plane+i] = from[image+i*channels+c]
			}
		}
	}
	return t, nil
}
