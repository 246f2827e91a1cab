//go:build !amd64 || noasm

package simd

// These are not reached: Available is false.
func rowCall(*rowOperands, int) {}

func transpose32(int, *uint32, int, *uint32, int) {}

func transpose64(int, *uint64, int, *uint64, int) {}
