package strip

import (
	"unsafe"

	"github.com/graphrun/graphrun/graph/value"
	"github.com/graphrun/graphrun/runtime/kernels/backend"
	"github.com/graphrun/graphrun/runtime/kernels/level"
)

// What moves bytes.

// sizeOf returns the bytes that an element takes, 0 if strips do not hold the dtype.
//
//go:noinline
func sizeOf(dt value.DType) int {
	switch dt {
	case value.Bool:
		return 1
	case value.F16, value.BF16:
		return 2
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
	return func(n int, y, a, _, _ *byte) { splat(unsafe.Slice(y, n*size), a, size) }
}

// splat fills y with the element x of a size.
func splat(y []byte, x *byte, size int) {
	copy(y, unsafe.Slice(x, size))
	repeat(y, size)
}

// repeat fills y with its first bytes.
func repeat(y []byte, done int) {
	for ; done < len(y); done *= 2 {
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

// castTo returns the conversion between two dtypes of numbers, of which floats for storage have those with f32.
func castTo(from, to value.DType) backend.Primitive {
	v := &level.Table().Vecs
	switch {
	case from == value.F16:
		return v.F16.ToF32
	case from == value.BF16:
		return v.BF16.ToF32
	case to == value.F16:
		return v.F16.FromF32
	case to == value.BF16:
		return v.BF16.FromF32
	}
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
