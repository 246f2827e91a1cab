//go:build !amd64 || noasm

package simd

import "github.com/graphrun/graphrun/runtime/kernels/portable"

// These are not reached: Available is false.
func convF32(_, _ int) portable.ConvEngine[float32] { return nil }
func convF64(_, _ int) portable.ConvEngine[float64] { return nil }

func poolF32() portable.PoolEngine[float32] { return nil }
func poolF64() portable.PoolEngine[float64] { return nil }
