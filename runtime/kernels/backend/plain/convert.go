package plain

import (
	"unsafe"

	"github.com/graphrun/graphrun/runtime/kernels/backend"
)

// logicVec works on eight bytes at a time.
func logicVec(op backend.LogicOp) backend.Vec {
	const ones = 0x0101010101010101
	return func(n int, y, a, b, _ *byte) {
		if op == backend.Not {
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

func logic(op backend.LogicOp, a, b, ones uint64) uint64 {
	switch op {
	case backend.And:
		return a & b
	case backend.Or:
		return a | b
	case backend.Xor:
		return a ^ b
	}
	return a ^ ones
}

func wordOf(b [8]byte) uint64 { return *(*uint64)(unsafe.Pointer(&b)) }

func bytesOf(w uint64) [8]byte { return *(*[8]byte)(unsafe.Pointer(&w)) }

// fillCasts fills in the conversions, which are those of value.Convert.
func fillCasts(v *backend.Vecs) {
	put(&v.F32.To.F64, 6, castTo[float32, float64])
	put(&v.F32.To.I32, 6, floatToInt[float32, int32])
	put(&v.F32.To.I64, 6, floatToInt[float32, int64])
	put(&v.F64.To.F32, 6, castTo[float64, float32])
	put(&v.F64.To.I32, 6, floatToInt[float64, int32])
	put(&v.F64.To.I64, 6, floatToInt[float64, int64])
	put(&v.I32.To.F32, 6, intToFloat32[int32])
	put(&v.I32.To.F64, 6, castTo[int32, float64])
	put(&v.I32.To.I64, 6, castTo[int32, int64])
	put(&v.I64.To.F32, 6, intToFloat32[int64])
	put(&v.I64.To.F64, 6, castTo[int64, float64])
	put(&v.I64.To.I32, 6, castTo[int64, int32])
}

func floatToInt[F backend.Float, I int32 | int64](n int, y, a, _, _ *byte) {
	ys := elems[I](y, n)
	for i, v := range elems[F](a, n) {
		ys[i] = I(truncate(float64(v)))
	}
}

// intToFloat32 rounds to float64 first.
func intToFloat32[I int32 | int64](n int, y, a, _, _ *byte) {
	ys := elems[float32](y, n)
	for i, v := range elems[I](a, n) {
		ys[i] = float32(float64(v))
	}
}

func castTo[From, To backend.Number](n int, y, a, _, _ *byte) {
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
