package simd

import (
	"fmt"
	"os"
	"slices"
	"strings"
)

// EnvLevel is the environment variable that overrides the choice of instruction
// set: avx512, avx2 or generic.
const EnvLevel = "GRAPHRUN_CPU"

// The levels, best first.
const (
	levelAVX512  = "avx512"
	levelAVX2    = "avx2"
	levelGeneric = "generic"
)

// ErrLevel says why the value of EnvLevel could not be obeyed: it is unknown, or
// this processor or build has no such instructions. It is nil otherwise. The
// level is then chosen as if the variable were not set.
var ErrLevel error

var level string

func init() {
	var chosen string
	chosen, ErrLevel = chooseLevel(os.Getenv(EnvLevel), supported())
	setLevel(chosen)
}

// chooseLevel picks the level that env names, the best supported one (the first)
// if it names none. Names are in lower case: strings.ToLower would bring Unicode's
// tables of letters, 12 kB of a service.
func chooseLevel(env string, supported []string) (string, error) {
	env = strings.TrimSpace(env)
	switch {
	case env == "":
		return supported[0], nil
	case slices.Contains(supported, env):
		return env, nil
	case env == levelAVX512 || env == levelAVX2:
		return supported[0], fmt.Errorf("%s=%s: this processor or build has no such instructions: want one of %s", EnvLevel, env, strings.Join(supported, ", "))
	}
	return supported[0], fmt.Errorf("%s=%s: want one of %s", EnvLevel, env, strings.Join(supported, ", "))
}

// Level returns the instruction set in use: avx512, avx2 or generic.
func Level() string { return level }

// Available reports whether the kernels of this package run as SIMD assembly;
// where they do not, they call those of package portable.
func Available() bool { return level != levelGeneric }
