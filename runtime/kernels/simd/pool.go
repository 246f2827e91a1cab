package simd

import "github.com/graphrun/graphrun/runtime/kernels/portable"

// PoolF32 returns the engine of pooling, nil where there is no assembly.
func PoolF32() portable.PoolEngine[float32] {
	if !Available() {
		return nil
	}
	return poolF32()
}

// PoolF64 is PoolF32 for float64.
func PoolF64() portable.PoolEngine[float64] {
	if !Available() {
		return nil
	}
	return poolF64()
}
