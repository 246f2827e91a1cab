package simd

import "github.com/graphrun/graphrun/runtime/kernels/portable"

//go:generate go run -C gen ./conv -out ../conv_amd64.s -stubs ../conv_stubs_amd64.go -pkg simd -tables ../conv_tables_amd64.go

// ConvF32 chooses the engine for a convolution or its adjoint by x of n result channels in each group, whose positions lie
// next to each other in the image in runs of that length (1 if there are gaps between them). For the adjoint by w the run
// is 1. It is nil where there is no assembly.
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
