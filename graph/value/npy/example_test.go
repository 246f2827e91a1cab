package npy_test

import (
	"bytes"
	"fmt"

	"github.com/graphrun/graphrun/graph/value"
	"github.com/graphrun/graphrun/graph/value/npy"
)

// What is written is what numpy.load reads, and what numpy.save writes is read the same way.
func Example() {
	x, _ := value.FromSlice([]float32{1, 2, 3, 4, 5, 6}, 2, 3)
	var file bytes.Buffer
	if err := npy.Write(&file, x); err != nil {
		fmt.Println(err)
		return
	}
	fmt.Printf("%.59s\n", file.Bytes()[10:])
	fmt.Println(npy.Read(&file, int64(file.Len())))
	// Output:
	// {'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), }
	// f32[2,3] [[1 2 3] [4 5 6]] <nil>
}

// An archive holds arrays by name, such as the feeds of a function.
func ExampleWriteNPZ() {
	label, _ := value.FromSlice([]int64{7, 1}, 2)
	var file bytes.Buffer
	err := npy.WriteNPZ(&file, map[string]*value.Tensor{"label": label, "weight": value.Scalar(0.5)})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(npy.ReadNPZFrom(bytes.NewReader(file.Bytes()), int64(file.Len())))
	// Output:
	// map[label:i64[2] [7 1] weight:f64[] 0.5] <nil>
}
