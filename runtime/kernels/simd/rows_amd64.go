//go:build amd64 && !noasm

package simd

import "unsafe"

// transpose32 writes 8 rows of k elements, a multiple of 8, as columns.
func transpose32(k int, src *uint32, lds int, dst *uint32, ldd int) {
	transposeCall(k, unsafe.Pointer(src), lds, 8, unsafe.Pointer(dst), ldd, transposeF32)
}

// transpose64 writes 4 rows of k elements, a multiple of 4, as columns.
func transpose64(k int, src *uint64, lds int, dst *uint64, ldd int) {
	transposeCall(k, unsafe.Pointer(src), lds, 4, unsafe.Pointer(dst), ldd, transposeF64)
}
