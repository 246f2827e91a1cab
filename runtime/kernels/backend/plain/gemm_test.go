package plain

import (
	"fmt"
	"testing"

	"github.com/graphrun/graphrun/runtime/kernels/internal/kerneltest"
)

// TestDotTiles holds the tiles of all processors against each other.
func TestDotTiles(t *testing.T) {
	r := kerneltest.Rand(4)
	for mb := range 10 {
		for nb := range 15 {
			for _, kc := range []int{1, 2, 7, 100} {
				a, b, c := kerneltest.Normals[float32](r, mb*kc), kerneltest.Normals[float32](r, nb*kc), kerneltest.Normals[float32](r, mb*nb)
				for _, add := range []bool{false, true} {
					want := append([]float32(nil), c...)
					for i := range want {
						v := dot1x1(a[i/nb*kc:][:kc], b[i%nb*kc:][:kc])
						if add {
							v += want[i]
						}
						want[i] = v
					}
					got := append([]float32(nil), c...)
					dotTile1x6(mb, nb, kc, a, kc, b, kc, got, nb, add)
					kerneltest.SameBits(t, fmt.Sprintf("1x6 of %dx%dx%d", mb, nb, kc), got, want)
					got = append(got[:0], c...)
					dotTile4x4(mb, nb, kc, a, kc, b, kc, got, nb, add)
					kerneltest.SameBits(t, fmt.Sprintf("4x4 of %dx%dx%d", mb, nb, kc), got, want)
				}
			}
		}
	}
}
