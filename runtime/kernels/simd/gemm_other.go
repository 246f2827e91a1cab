//go:build !amd64 || noasm

package simd

import "github.com/graphrun/graphrun/runtime/kernels/portable"

func supported() []string { return []string{levelGeneric} }

func setLevel(l string) { level = l }

type state[T portable.Float] struct{}

var (
	stateF32 state[float32]
	stateF64 state[float64]
)

// gemm is not reached: Available is false.
func (state[T]) gemm(g gemm[T]) {
	portable.GemmStrided(g.transA, g.transB, g.m, g.n, g.k, g.a, g.lda, g.b, g.ldb, g.c, g.ldc, g.accumulate, nil)
}
