//go:build amd64 && !noasm

package simd

import "unsafe"

// rowKernels returns the kernels of the level in use, nil if it has none.
func rowKernels() *rowTable {
	switch level {
	case levelAVX512:
		return &rowsAVX512
	case levelAVX2:
		return &rowsAVX2
	}
	return nil
}

// transpose32 writes 8 rows of k elements, a multiple of 8, as columns.
func transpose32(k int, src *uint32, lds int, dst *uint32, ldd int) {
	transposeCall(k, unsafe.Pointer(src), lds, 8, unsafe.Pointer(dst), ldd, transposeF32)
}

// transpose64 writes 4 rows of k elements, a multiple of 4, as columns.
func transpose64(k int, src *uint64, lds int, dst *uint64, ldd int) {
	transposeCall(k, unsafe.Pointer(src), lds, 4, unsafe.Pointer(dst), ldd, transposeF64)
}
