package simd

import "github.com/graphrun/graphrun/runtime/kernels/portable"

//go:generate go run -C gen ./conv -out ../conv_amd64.s -stubs ../conv_stubs_amd64.go -pkg simd -tables ../conv_tables_amd64.go

// ConvF32 is a portable.ConvEngines. The engine is nil where there is no assembly.
func ConvF32(n, run int) portable.ConvEngine[float32] {
	if !Available() {
		return nil
	}
	return convF32(n, run)
}

// ConvF64 is ConvF32 for float64.
func ConvF64(n, run int) portable.ConvEngine[float64] {
	if !Available() {
		return nil
	}
	return convF64(n, run)
}
