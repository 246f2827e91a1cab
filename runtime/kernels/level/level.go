package level

import (
	"os"
	"slices"
	"strings"
	"sync"

	"github.com/graphrun/graphrun/graph/errfmt"
	"github.com/graphrun/graphrun/runtime/kernels/backend"
	"github.com/graphrun/graphrun/runtime/kernels/backend/avx"
	"github.com/graphrun/graphrun/runtime/kernels/backend/plain"
)

// Env is the environment variable that overrides the choice of instruction
// set: avx512, avx2 or generic.
const Env = "GRAPHRUN_CPU"

// Generic is the name of plain Go.
const Generic = "generic"

// sets are the instruction sets, the best first: the names of their levels, and what the processor and the build have of them.
var sets = []struct {
	names  []string
	levels func() []backend.Level
}{
	{[]string{avx.AVX512, avx.AVX2}, avx.Levels},
}

// supported returns the levels of this processor and build, the best first.
func supported() (levels []backend.Level) {
	for _, s := range sets {
		levels = append(levels, s.levels()...)
	}
	return append(levels, backend.Level{Name: Generic, Fill: func(*backend.Table) {}})
}

// known reports whether some processor has a level of that name.
func known(name string) bool {
	for _, s := range sets {
		if slices.Contains(s.names, name) {
			return true
		}
	}
	return false
}

// Err says why the value of Env could not be obeyed: it is unknown, or
// this processor or build has no such instructions. It is nil otherwise. The
// level is then chosen as if the variable were not set.
var Err error

// inUse is the level in use with its table, which is filled when it is first asked for.
var inUse struct {
	level backend.Level
	once  sync.Once
	table *backend.Table
}

func init() {
	inUse.level, Err = choose(os.Getenv(Env), supported())
}

// fill returns the table of a level: what it has, and the rest in plain Go.
func fill(l backend.Level) *backend.Table {
	t := plain.New()
	l.Fill(t)
	return t
}

// choose picks the level that env names, the best supported one (the first)
// if it names none.
func choose(env string, supported []backend.Level) (backend.Level, error) {
	env = lower(strings.TrimSpace(env))
	if env == "" {
		return supported[0], nil
	}
	var names []string
	for _, l := range supported {
		if l.Name == env {
			return l, nil
		}
		names = append(names, l.Name)
	}
	want := "want one of " + strings.Join(names, ", ")
	if known(env) {
		want = "this processor or build has no such instructions: " + want
	}
	return supported[0], errfmt.Errorf("%s=%s: %s", Env, env, want)
}

// lower is strings.ToLower for ASCII, which names of levels are, without the tables for other letters.
func lower(s string) string {
	b := []byte(s)
	for i, c := range b {
		if 'A' <= c && c <= 'Z' {
			b[i] = c - 'A' + 'a'
		}
	}
	return string(b)
}

// Name returns the name of the level in use: avx512, avx2 or generic.
func Name() string { return inUse.level.Name }

// Table returns what the level in use computes with.
func Table() *backend.Table {
	inUse.once.Do(func() { inUse.table = fill(inUse.level) })
	return inUse.table
}
