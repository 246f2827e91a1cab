package philox

import (
	"math"
	"math/bits"
)

// Philox returns the four random words of counter ctr under key.
func Philox(key [2]uint32, ctr [4]uint32) [4]uint32 {
	const (
		m0, m1 = 0xD2511F53, 0xCD9E8D57
		w0, w1 = 0x9E3779B9, 0xBB67AE85 // golden ratio, sqrt(3)-1
	)
	k0, k1 := key[0], key[1]
	c0, c1, c2, c3 := ctr[0], ctr[1], ctr[2], ctr[3]
	for range 10 {
		hi0, lo0 := bits.Mul32(m0, c0)
		hi1, lo1 := bits.Mul32(m1, c2)
		c0, c1, c2, c3 = hi1^c1^k0, lo1, hi0^c3^k1, lo0
		k0 += w0
		k1 += w1
	}
	return [4]uint32{c0, c1, c2, c3}
}

// Uniform01 maps a random word to a multiple of 2^-32 in [0, 1).
func Uniform01(u uint32) float64 { return float64(u) * 0x1p-32 }

// Uniform01Float32 maps the upper 24 bits of a random word to a multiple of
// 2^-24 in [0, 1), exactly.
func Uniform01Float32(u uint32) float32 { return float32(u>>8) * 0x1p-24 }

// Uniform01Float64 maps the upper 53 bits of two random words to a multiple of
// 2^-53 in [0, 1), exactly.
func Uniform01Float64(hi, lo uint32) float64 {
	return float64((uint64(hi)<<32|uint64(lo))>>11) * 0x1p-53
}

// Normals maps two random words to two independent standard normal values, by
// Box and Muller's transform. They lie within 6.77 of 0.
func Normals(u0, u1 uint32) (float64, float64) {
	r := math.Sqrt(-2 * math.Log((float64(u0)+0.5)*0x1p-32))
	s, c := math.Sincos(2 * math.Pi * Uniform01(u1))
	return r * c, r * s
}
