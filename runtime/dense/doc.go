// Package dense adapts host tensors to and from *tensor.Dense of gorgonia.org/tensor without copying: a Gorgonia program can
// feed its tensors to a session and read results in place.
//
// [FromDense] and [ToDense] give a tensor of one kind with the memory of one of the other; [Copy] takes what is not laid
// out row by row.
//
//	d := tensor.New(tensor.WithShape(2, 3), tensor.WithBacking([]float32{1, 2, 3, 4, 5, 6}))
//	t, err := dense.FromDense(d)
//	d.Set(0, float32(10))
//	fmt.Println(t)
//
//	if err := d.T(); err != nil { // a view with other strides
//	_, err = dense.FromDense(d)
//	fmt.Println(err)
//	fmt.Println(dense.Copy(d))
//
// prints
//
//	f32[2,3] [[10 2 3] [4 5 6]]
//	a Dense of f32[3 2] with strides [1 3] is not contiguous in row-major order: use dense.Copy
//	f32[3,2] [[10 4] [2 5] [3 6]] <nil>
//
// The element types that both sides have are bool, the integers of 8 to 64 bits, float32, float64 and string. Gorgonia's
// int and uint are the integers of the machine's word size here; the way back gives the sized type. Nothing else in
// graphrun imports this package, so only programs that use it link Gorgonia.
package dense
