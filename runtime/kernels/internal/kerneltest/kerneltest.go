// Package kerneltest has what the tests of kernels share.
package kerneltest

import (
	"math"
	"math/rand/v2"
	"testing"
	"unsafe"

	"github.com/graphrun/graphrun/runtime/kernels/backend"
)

// Normals returns n random numbers.
func Normals[T backend.Float](r *rand.Rand, n int) []T {
	x := make([]T, n)
	for i := range x {
		x[i] = T(r.NormFloat64())
	}
	return x
}

// Filled returns n times v.
func Filled[T any](n int, v T) []T {
	x := make([]T, n)
	for i := range x {
		x[i] = v
	}
	return x
}

// Rand returns a source of random numbers.
func Rand(seed uint64) *rand.Rand { return rand.New(rand.NewPCG(seed, 7)) }

// Epsilon is the unit roundoff of T, doubled.
func Epsilon[T backend.Float]() float64 {
	var v T
	if unsafe.Sizeof(v) == 4 {
		return 0x1p-23
	}
	return 0x1p-52
}

// SameBits fails unless results have the same bits, where one NaN is as good as another.
func SameBits[T backend.Float](t *testing.T, what string, got, want []T) {
	t.Helper()
	if len(got) != len(want) {
		t.Fatalf("%s: %d elements, want %d", what, len(got), len(want))
	}
	for i := range got {
		g, w := float64(got[i]), float64(want[i])
		if math.IsNaN(g) && math.IsNaN(w) {
			continue
		}
		if math.Float64bits(g) != math.Float64bits(w) {
			t.Fatalf("%s: element %d is %v, want %v", what, i, g, w)
		}
	}
}

// Near fails unless each result is within its tolerance.
func Near[T backend.Float](t *testing.T, what string, got []T, want, tol []float64) {
	t.Helper()
	if len(got) != len(want) {
		t.Fatalf("%s: %d elements, want %d", what, len(got), len(want))
	}
	for i := range got {
		g := float64(got[i])
		if math.IsNaN(g) && math.IsNaN(want[i]) || g == want[i] {
			continue
		}
		if !(math.Abs(g-want[i]) <= tol[i]) {
			t.Fatalf("%s: element %d is %v, want %v within %v", what, i, g, want[i], tol[i])
		}
	}
}
