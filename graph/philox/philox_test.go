package philox

import (
	"math"
	"testing"
)

// The known answers of Random123's kat_vectors for philox4x32, 10 rounds.
func TestKnownAnswers(t *testing.T) {
	const f = 0xffffffff
	for _, c := range []struct {
		key  [2]uint32
		ctr  [4]uint32
		want [4]uint32
	}{
		{want: [4]uint32{0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}},
		{[2]uint32{f, f}, [4]uint32{f, f, f, f}, [4]uint32{0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}},
		{
			[2]uint32{0xa4093822, 0x299f31d0},
			[4]uint32{0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344},
			[4]uint32{0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1},
		},
	} {
		if got := Philox(c.key, c.ctr); got != c.want {
			t.Errorf("Philox(%x, %x) = %x, want %x", c.key, c.ctr, got, c.want)
		}
	}
}

func TestUniformBounds(t *testing.T) {
	const f = math.MaxUint32
	if Uniform01(0) != 0 || Uniform01Float32(0) != 0 || Uniform01Float64(0, 0) != 0 {
		t.Error("0 does not map to 0")
	}
	if v := Uniform01(f); v != 1-0x1p-32 {
		t.Errorf("Uniform01(max) = %v", v)
	}
	if v := Uniform01Float32(f); v != 1-0x1p-24 {
		t.Errorf("Uniform01Float32(max) = %v", v)
	}
	if v := Uniform01Float64(f, f); v != 1-0x1p-53 {
		t.Errorf("Uniform01Float64(max) = %v", v)
	}
}

func TestMoments(t *testing.T) {
	const n = 100000
	var u, uu, z, zz, zzzz, cross float64
	for i := range uint32(n) {
		r := Philox([2]uint32{42, 7}, [4]uint32{i})
		v := Uniform01(r[0])
		u += v
		uu += v * v
		a, b := Normals(r[2], r[3])
		z += a + b
		zz += a*a + b*b
		zzzz += a*a*a*a + b*b*b*b
		cross += a * b
	}
	for _, c := range []struct {
		name           string
		got, want, tol float64
	}{
		{"uniform mean", u / n, 0.5, 0.005},
		{"uniform square", uu / n, 1. / 3, 0.005},
		{"normal mean", z / (2 * n), 0, 0.01},
		{"normal variance", zz / (2 * n), 1, 0.02},
		{"normal fourth moment", zzzz / (2 * n), 3, 0.12},
		{"normal product", cross / n, 0, 0.02},
	} {
		if math.Abs(c.got-c.want) > c.tol {
			t.Errorf("%s is %v, want %v within %v", c.name, c.got, c.want, c.tol)
		}
	}
	for _, w := range []uint32{0, 1, 1 << 31, math.MaxUint32} {
		a, b := Normals(w, w)
		if !(math.Abs(a) < 6.78 && math.Abs(b) < 6.78) {
			t.Errorf("Normals(%d) = %v, %v", w, a, b)
		}
	}
}

func BenchmarkPhilox(b *testing.B) {
	b.SetBytes(16)
	var c [4]uint32
	for b.Loop() {
		c = Philox([2]uint32{1, 2}, c)
	}
}
