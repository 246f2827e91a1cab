package strip

import (
	"unsafe"

	"github.com/graphrun/graphrun/graph/value"
	"github.com/graphrun/graphrun/runtime/kernels/portable"
	"github.com/graphrun/graphrun/runtime/kernels/simd"
)

// The primitives that package simd does not have: what moves bytes, logic and conversions.

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

func copyVec(size int) simd.Vec {
	return func(n int, y, a, _, _ *byte) { copy(unsafe.Slice(y, n*size), unsafe.Slice(a, n*size)) }
}

// splatVec fills y with the scalar a.
func splatVec(size int) simd.Vec {
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

// LogicOp names a function of truth values.
type LogicOp uint8

// The functions of truth values.
const (
	And LogicOp = iota
	Or
	Xor
	Not // of one
)

// logicVec works on eight bytes at a time.
func logicVec(op LogicOp) simd.Vec {
	const ones = 0x0101010101010101
	return func(n int, y, a, b, _ *byte) {
		if op == Not {
			b = a
		}
		ys, as, bs := unsafe.Slice(y, n), unsafe.Slice(a, n), unsafe.Slice(b, n)
		for ; len(ys) >= 8; ys, as, bs = ys[8:], as[8:], bs[8:] {
			v, w := *(*[8]byte)(as), *(*[8]byte)(bs)
			*(*[8]byte)(ys) = bytesOf(logic(op, wordOf(v), wordOf(w), ones))
		}
		for i := range ys {
			ys[i] = byte(logic(op, uint64(as[i]), uint64(bs[i]), 1))
		}
	}
}

func logic(op LogicOp, a, b, ones uint64) uint64 {
	switch op {
	case And:
		return a & b
	case Or:
		return a | b
	case Xor:
		return a ^ b
	}
	return a ^ ones
}

func wordOf(b [8]byte) uint64 { return *(*uint64)(unsafe.Pointer(&b)) }

func bytesOf(w uint64) [8]byte { return *(*[8]byte)(unsafe.Pointer(&w)) }

// castVec returns the conversion between two dtypes of numbers as value.Convert does it, nil if there is none.
func castVec(from, to value.DType) simd.Vec {
	switch from {
	case value.F32:
		return castFloat[float32](to)
	case value.F64:
		return castFloat[float64](to)
	case value.I32:
		return castInt[int32](to)
	case value.I64:
		return castInt[int64](to)
	}
	return nil
}

func castFloat[F portable.Float](to value.DType) simd.Vec {
	switch to {
	case value.F32:
		return castTo[F, float32]
	case value.F64:
		return castTo[F, float64]
	case value.I32:
		return func(n int, y, a, _, _ *byte) {
			ys := elems[int32](y, n)
			for i, v := range elems[F](a, n) {
				ys[i] = int32(truncate(float64(v)))
			}
		}
	case value.I64:
		return func(n int, y, a, _, _ *byte) {
			ys := elems[int64](y, n)
			for i, v := range elems[F](a, n) {
				ys[i] = truncate(float64(v))
			}
		}
	}
	return nil
}

func castInt[I int32 | int64](to value.DType) simd.Vec {
	switch to {
	case value.F32:
		return func(n int, y, a, _, _ *byte) {
			ys := elems[float32](y, n)
			for i, v := range elems[I](a, n) {
				ys[i] = float32(float64(v)) // by way of float64, as value.Convert
			}
		}
	case value.F64:
		return castTo[I, float64]
	case value.I32:
		return castTo[I, int32]
	case value.I64:
		return castTo[I, int64]
	}
	return nil
}

func castTo[From, To portable.Number](n int, y, a, _, _ *byte) {
	ys := elems[To](y, n)
	for i, v := range elems[From](a, n) {
		ys[i] = To(v)
	}
}

// truncate rounds toward zero and stops at the ends of int64; NaN is 0.
func truncate(x float64) int64 {
	switch {
	case x != x:
		return 0
	case x < -0x1p63:
		return -1 << 63
	case x >= 0x1p63:
		return 1<<63 - 1
	}
	return int64(x)
}
