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
	transposeF32(k, (*float32)(unsafe.Pointer(src)), lds, 8, (*float32)(unsafe.Pointer(dst)), ldd)
}

// transpose64 writes 4 rows of k elements, a multiple of 4, as columns.
func transpose64(k int, src *uint64, lds int, dst *uint64, ldd int) {
	transposeF64(k, (*float64)(unsafe.Pointer(src)), lds, 4, (*float64)(unsafe.Pointer(dst)), ldd)
}
