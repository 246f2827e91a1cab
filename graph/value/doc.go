// Package value holds the host values that go into and come out of a computation: one Go type for each
// type of the IR.
//
//	data := []float32{1, 2, 3, 4, 5, 6}
//	t, err := value.FromSlice(data, 2, 3)
//	data[0] = 10
//	fmt.Println(t, err)
//	_, err = value.FromSlice(data, 4)
//	fmt.Println(err)
//
// prints
//
//	f32[2,3] [[10 2 3] [4 5 6]] <nil>
//	f32[4] needs 4 elements, have 6
//
// since a tensor shares the memory of the slice it is made from, and sizes are checked. [Data] gives the elements back as
// a slice.
//
// A *Tensor is a contiguous row-major array of one DType; *Sequence, *Optional, *Map and Token are the
// other values. An Exact is a tensor spread out in the exact domain of its dtype (float64, wrapping int64
// and uint64, bool, string), in which the reference meaning of ops is computed; Exact.Tensor rounds once,
// to nearest even, on the way back.
//
// Numeric storage is little-endian in memory, so that files, Go slices and kernels share one buffer. The
// supported targets are therefore the little-endian ones; on another the package refuses to start.
//
// The package imports the standard library only.
package value
