package data

import (
	"fmt"

	"github.com/graphrun/graphrun/graph/value"
)

// allowance counts what a reader holds in memory, before it is taken. Sizes that a file declares, and those that a small file unpacks to, are
// refused by it.
type allowance struct{ all, left int }

// newAllowance returns what one call of a reader may hold.
func newAllowance() *allowance {
	n := value.ReadLimit()
	return &allowance{n, n}
}

// take counts n bytes for something.
func (a *allowance) take(n int, what string) error {
	if n > a.left {
		return a.refuse(float64(n), what)
	}
	a.left -= n
	return nil
}

// refuse is the error of what would take n bytes.
func (a *allowance) refuse(n float64, what string) error {
	left := ""
	if a.left < a.all {
		left = fmt.Sprintf(", of which %s are left", value.ByteText(float64(a.left)))
	}
	return fmt.Errorf("%s would take %s: %s of memory are allowed%s", what, value.ByteText(n), value.ByteText(float64(a.all)), left)
}
