package plain

import (
	"math"
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
	put(&v.I32.To.F32, 6, castTo[int32, float32])
	put(&v.I32.To.F64, 6, castTo[int32, float64])
	put(&v.I32.To.I64, 6, castTo[int32, int64])
	put(&v.I64.To.F32, 6, castTo[int64, float32])
	put(&v.I64.To.F64, 6, castTo[int64, float64])
	put(&v.I64.To.I32, 6, castTo[int64, int32])
	put(&v.F16.ToF32, 6, fromF16)
	put(&v.F16.FromF32, 8, toF16)
	put(&v.BF16.ToF32, 4, fromBF16)
	put(&v.BF16.FromF32, 6, toBF16)
}

// The bits of a float32.
const (
	signF32 = 1 << 31
	infF32  = 0xff << 23
	quiet   = 1 << 22
)

func fromF16(n int, y, a, _, _ *byte) {
	ys := elems[uint32](y, n)
	for i, h := range elems[uint16](a, n) {
		b := uint32(h&0x7fff) << 13 // as the float32 that is 2^112 times less
		if b >= 0x1f<<23 {
			b |= infF32
		} else {
			b = math.Float32bits(math.Float32frombits(b) * 0x1p112)
		}
		ys[i] = b | uint32(h)&0x8000<<16
	}
}

// toF16 rounds to nearest even. A NaN keeps what there is room for.
func toF16(n int, y, a, _, _ *byte) {
	ys := elems[uint16](y, n)
	for i, b := range elems[uint32](a, n) {
		sign := b >> 16 & 0x8000
		switch b &^= signF32; {
		case b > infF32:
			if b>>13&0x3ff == 0 {
				b |= quiet
			}
			b = 0x7c00 | b>>13&0x3ff
		case b >= 0x477ff000: // 65520, half a unit beyond the largest
			b = 0x7c00
		case b < 0x71<<23: // below 2^-14, subnormal: units are those of the float32 next to 0.5
			b = math.Float32bits(math.Float32frombits(b)+0.5) - 0x3f000000
		default:
			b = (b + 0xfff + b>>13&1 - 112<<23) >> 13
		}
		ys[i] = uint16(sign | b)
	}
}

func fromBF16(n int, y, a, _, _ *byte) {
	ys := elems[uint32](y, n)
	for i, h := range elems[uint16](a, n) {
		ys[i] = uint32(h) << 16
	}
}

// toBF16 rounds to nearest even. A NaN keeps what there is room for.
func toBF16(n int, y, a, _, _ *byte) {
	ys := elems[uint16](y, n)
	for i, b := range elems[uint32](a, n) {
		switch {
		case b&^signF32 <= infF32:
			b += 0x7fff + b>>16&1
		case b>>16&0x7f == 0:
			b |= quiet
		}
		ys[i] = uint16(b >> 16)
	}
}

func floatToInt[F backend.Float, I int32 | int64](n int, y, a, _, _ *byte) {
	ys := elems[I](y, n)
	for i, v := range elems[F](a, n) {
		ys[i] = I(truncate(float64(v)))
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
