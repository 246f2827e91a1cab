package level

import (
	"reflect"
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
func multiplier[T backend.Float]() backend.Multiplier[T, T, T] { return multiplierOf[T](Table()) }

func multiplierOf[T backend.Float](t *backend.Table) backend.Multiplier[T, T, T] {
	p := &t.Products
	if by, ok := p.F32.(backend.Multiplier[T, T, T]); ok {
		return by
	}
	return p.F64.(backend.Multiplier[T, T, T])
}

// own reports whether an entry is not the one of package plain.
func own(entry, plain any) bool {
	if v := reflect.ValueOf(entry); v.Kind() == reflect.Func {
		return v.Pointer() != reflect.ValueOf(plain).Pointer()
	}
	return reflect.TypeOf(entry) != reflect.TypeOf(plain)
}

// ownMultiplier reports whether the level in use multiplies in its own way.
func ownMultiplier[T backend.Float]() bool { return own(multiplier[T](), multiplierOf[T](whole)) }

// TestOneMultiplier holds a level that has one entry of its own to what the tests of all levels ask of it: only that entry keeps the order of
// sums that instruction sets have.
func TestOneMultiplier(t *testing.T) {
	best := inUse.level
	defer setTo(best)
	setTo(backend.Level{Name: "one", Fill: func(t *backend.Table) { t.Products.F32 = fill(best).Products.F32 }})
	both(t, testParts(gemmF32), testParts(gemmF64))
	t.Run("fold", testFoldOrder)
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
