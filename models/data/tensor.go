package data

import (
	"errors"
	"fmt"
	"slices"

	"github.com/graphrun/graphrun/graph/value"
)

// canBatch reports whether rows of a dtype can be copied byte by byte.
func canBatch(dt value.DType) bool { return dt.Bits() >= 8 }

// reuse leaves a tensor at *t of the given dtype and shape: the one there if it fits, else a new one.
func reuse(t **value.Tensor, dt value.DType, shape ...int) error {
	if *t != nil && (*t).DType() == dt && slices.Equal((*t).Shape(), shape) {
		return nil
	}
	fresh, err := value.New(dt, slices.Clone(shape)...) // the clone keeps shape off the heap where nothing is made
	if err != nil {
		return err
	}
	*t = fresh
	return nil
}

// gather sets *dst to the rows of src with the given numbers, which are in range.
func gather(dst **value.Tensor, src *value.Tensor, index []int) error {
	var dims [8]int
	shape := append(append(dims[:0], len(index)), src.Shape()[1:]...)
	if err := reuse(dst, src.DType(), shape...); err != nil {
		return err
	}
	if len(index) == 0 {
		return nil
	}
	to, from := (*dst).Bytes(), src.Bytes()
	size := len(to) / len(index)
	for row, i := range index {
		copy(to[row*size:(row+1)*size], from[i*size:])
	}
	return nil
}

// stack writes one example to a row of *dst, a batch of n; row 0 settles dtype and shape.
func stack(dst **value.Tensor, example *value.Tensor, row, n int) error {
	if example == nil {
		return errors.New("the dataset returned a nil tensor")
	}
	if !canBatch(example.DType()) {
		return fmt.Errorf("dtype %v cannot be batched", example.DType())
	}
	if row == 0 {
		if err := reuse(dst, example.DType(), append([]int{n}, example.Shape()...)...); err != nil {
			return err
		}
	}
	if t := *dst; t.DType() != example.DType() || !slices.Equal(t.Shape()[1:], example.Shape()) {
		return fmt.Errorf("it is %v%v, the first of the batch %v%v", example.DType(), example.Shape(), t.DType(), t.Shape()[1:])
	}
	size := len(example.Bytes())
	copy((*dst).Bytes()[row*size:(row+1)*size], example.Bytes())
	return nil
}
