// Package npy reads and writes arrays as NumPy does: .npy files, which hold one array, and .npz archives, which hold arrays by
// name (https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html).
//
// What numpy.save and numpy.savez write is read here, and what is written here numpy.load reads:
//
//	err := npy.WriteNPZ(&file, map[string]*value.Tensor{"label": label, "weight": value.Scalar(0.5)})
//	fmt.Println(npy.ReadNPZFrom(bytes.NewReader(file.Bytes()), int64(file.Len())))
//
// prints
//
//	map[label:i64[2] [7 1] weight:f64[] 0.5] <nil>
//
// [ReadFile] and [ReadNPZ] take the path of a file, [Open] and [OpenNPZ] a name in an fs.FS, [Read] a reader.
//
// The dtypes are those that both sides have: bool, i8 to i64, u8 to u64, f16, f32 and f64. Arrays are read in either byte order and
// in C or Fortran order, and written little-endian in C order. The same arrays give the same bytes.
//
// Input need not be trusted. Sizes that a file declares are not believed: memory grows with the bytes that come, and a shape that does not
// agree with them is an error.
package npy
