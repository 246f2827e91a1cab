package backend

import (
	"fmt"
	"math/bits"
)

// Need panics if an operand of a kernel has fewer elements than it needs.
//
//go:noinline
func Need(kernel, name string, have, want int) {
	if have < want {
		panic(fmt.Sprintf("%s: %s has %d elements, needs %d", kernel, name, have, want))
	}
}

// NeedMatrix panics if have elements do not hold rows x cols of them whose rows are ld apart; rows and cols are positive.
//
//go:noinline
func NeedMatrix(kernel, name string, rows, cols, have, ld int) {
	over, want := bits.Mul(uint(rows-1), uint(ld))
	want, carry := bits.Add(want, uint(cols), 0)
	if ld < 0 || over != 0 || carry != 0 || have < 0 || want > uint(have) {
		panic(fmt.Sprintf("%s: %s has %d elements, needs %d rows of %d, %d apart", kernel, name, have, rows, cols, ld))
	}
}
