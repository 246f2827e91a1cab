package strip

import (
	"unsafe"

	"github.com/graphrun/graphrun/graph/value"
	"github.com/graphrun/graphrun/runtime/kernels/backend"
	"github.com/graphrun/graphrun/runtime/kernels/level"
)

// What moves bytes.

func elems[T any](p *byte, n int) []T { return unsafe.Slice((*T)(unsafe.Pointer(p)), n) }

// sizeOf returns the bytes that an element takes, 0 if strips do not hold the dtype.
//
//go:noinline
func sizeOf(dt value.DType) int {
	switch dt {
	case value.Bool:
		return 1
	case value.F32, value.I32:
		return 4
	case value.F64, value.I64:
		return 8
	}
	return 0
}

// copyVec copies elements. Inlined, it takes 0.7 kB of a service.
//
//go:noinline
func copyVec(size int) backend.Vec {
	return func(n int, y, a, _, _ *byte) { copy(unsafe.Slice(y, n*size), unsafe.Slice(a, n*size)) }
}

// splatVec fills y with the scalar a. Inlined, it takes 2.6 kB of a service.
//
//go:noinline
func splatVec(size int) backend.Vec {
	switch size {
	case 1:
		return func(n int, y, a, _, _ *byte) { splat(unsafe.Slice(y, n), *a) }
	case 4:
		return func(n int, y, a, _, _ *byte) { splat(elems[uint32](y, n), elems[uint32](a, 1)[0]) }
	}
	return func(n int, y, a, _, _ *byte) { splat(elems[uint64](y, n), elems[uint64](a, 1)[0]) }
}

func splat[T any](y []T, v T) {
	for i := range y[:min(len(y), 64)] {
		y[i] = v
	}
	for done := 64; done < len(y); done *= 2 {
		copy(y[done:], y[:done])
	}
}

// elementsOf returns the primitives on elements of a dtype.
func elementsOf(dt value.DType) *backend.Elements {
	v := &level.Table().Vecs
	switch dt {
	case value.F32:
		return &v.F32
	case value.F64:
		return &v.F64
	case value.I32:
		return &v.I32
	case value.I64:
		return &v.I64
	}
	return &v.Bool
}

// castTo returns the conversion between two dtypes of numbers.
func castTo(from, to value.DType) backend.Primitive {
	p := &elementsOf(from).To
	switch to {
	case value.F32:
		return p.F32
	case value.F64:
		return p.F64
	case value.I32:
		return p.I32
	}
	return p.I64
}
