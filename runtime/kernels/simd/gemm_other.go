//go:build !amd64 || noasm

package simd

import "github.com/graphrun/graphrun/runtime/kernels/portable"

func supported() []string { return []string{levelGeneric} }

func setLevel(l string) { level = l }

// MultiplierF32 returns the fastest implementation of matrix products; see [portable.NewProduct].
func MultiplierF32() portable.Multiplier[float32] { return portable.Plain[float32]() }

// MultiplierF64 is MultiplierF32 for float64.
func MultiplierF64() portable.Multiplier[float64] { return portable.Plain[float64]() }

// Peak measures the float32 operations per second of one core in GFLOP/s: multiply-adds in registers, in plain Go, the best of
// several short runs.
func Peak() float64 { return portable.Peak() }
