//go:build !amd64 || noasm

package avx

import "github.com/graphrun/graphrun/runtime/kernels/backend"

// Levels returns none: this build has no such instructions.
func Levels() []backend.Level { return nil }
