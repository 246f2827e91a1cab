package level

import (
	"sync"
	"testing"

	"github.com/graphrun/graphrun/runtime/kernels/backend"
	"github.com/graphrun/graphrun/runtime/kernels/backend/plain"
)

// whole is plain Go.
var whole = plain.New()

// levels returns the names of the levels of this processor, the best first.
func levels() (names []string) {
	for _, l := range supported() {
		names = append(names, l.Name)
	}
	return names
}

func setLevel(name string) {
	for _, l := range supported() {
		if l.Name == name && l.Name != Name() {
			setTo(l)
		}
	}
}

func setTo(l backend.Level) {
	inUse.level, inUse.once = l, sync.Once{}
}

// atLevels runs f under every level of this processor; in short runs the generic
// one, which is package plain, only where there is no other.
func atLevels(t *testing.T, f func(t *testing.T)) {
	t.Helper()
	eachLevel(t, func(t *testing.T) {
		if testing.Short() && Name() == Generic && len(levels()) > 1 {
			t.Skip("in short runs")
		}
		f(t)
	})
}

// eachLevel runs f under every level of this processor.
func eachLevel(t *testing.T, f func(t *testing.T)) {
	t.Helper()
	defer setLevel(Name())
	for _, l := range levels() {
		setLevel(l)
		t.Run(l, f)
	}
}

// engines returns what the level in use has for floats of a type.
func engines[T backend.Float]() *backend.Engines[T] { return enginesOf[T](Table()) }

func enginesOf[T backend.Float](t *backend.Table) *backend.Engines[T] {
	if e, ok := any(&t.F32).(*backend.Engines[T]); ok {
		return e
	}
	return any(&t.F64).(*backend.Engines[T])
}

// multiplier returns the multiplier of the level in use for matrices of one type.
func multiplier[T backend.Float]() backend.Multiplier[T, T, T] {
	p := &Table().Products
	if by, ok := p.F32.(backend.Multiplier[T, T, T]); ok {
		return by
	}
	return p.F64.(backend.Multiplier[T, T, T])
}

func TestChoose(t *testing.T) {
	full, none := []string{"avx512", "avx2", "generic"}, []string{"generic"}
	for _, c := range []struct {
		env       string
		supported []string
		want      string
		fails     bool
	}{
		{"", full, "avx512", false},
		{"", none, "generic", false},
		{"avx2", full, "avx2", false},
		{"AVX2 ", full, "avx2", false},
		{"generic", full, "generic", false},
		{"avx512", none, "generic", true},
		{"sse", full, "avx512", true},
	} {
		var offered []backend.Level
		for _, name := range c.supported {
			offered = append(offered, backend.Level{Name: name})
		}
		got, err := choose(c.env, offered)
		if got.Name != c.want || (err != nil) != c.fails {
			t.Errorf("%q of %v: %s, %v", c.env, c.supported, got.Name, err)
		}
	}
}
