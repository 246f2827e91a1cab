package data

import (
	"fmt"
	"sync"

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
	err := a.fits(float64(n), what)
	if err == nil {
		a.left -= n
	}
	return err
}

// fits refuses what would take n bytes if those are not left.
func (a *allowance) fits(n float64, what string) error {
	if n <= float64(a.left) {
		return nil
	}
	left := ""
	if a.left < a.all {
		left = fmt.Sprintf(", of which %s are left", value.ByteText(float64(a.left)))
	}
	return fmt.Errorf("%s would take %s: %s of memory are allowed%s", what, value.ByteText(n), value.ByteText(float64(a.all)), left)
}

// gate lets in at the same time what takes memory, as long as all of it fits in what an allowance is.
type gate struct {
	mu    sync.Mutex
	room  sync.Cond
	taken float64
}

// decoding is where all pictures of data sets are decoded, by however many goroutines.
var decoding = func() *gate {
	g := &gate{}
	g.room.L = &g.mu
	return g
}()

// enter waits until n bytes, which fit if they are alone, are free. leave gives them back.
func (g *gate) enter(n float64) (leave func()) {
	all := float64(value.ReadLimit())
	g.mu.Lock()
	defer g.mu.Unlock()
	for g.taken > 0 && g.taken+n > all {
		g.room.Wait()
	}
	g.taken += n
	return func() {
		g.mu.Lock()
		defer g.mu.Unlock()
		g.taken -= n
		g.room.Broadcast()
	}
}
