//go:build !amd64 || noasm

package simd

// rowTable holds the kernels of an instruction set: there are none.
type rowTable struct {
	rowTop                 func(x *float32, ld, rows, n int, top *float32)
	rowExp                 func(y, x *float32, ld, rows, n int, top, sum *float32)
	rowSumExp              func(x *float32, ld, rows, n int, top *float32, sum *float64)
	rowSumWide             func(x *float32, ld, rows, n int, sum *float64)
	rowScale               func(y *float32, ld, rows, n int, scale *float32)
	rowShift               func(y, x *float32, ld, rows, n int, top, shift *float32)
	rowSum                 func(x *float32, ld, rows, n int, sum *float32)
	rowSquares             func(x *float32, ld, rows, n int, mean, sum *float32)
	rowDot                 func(x, y *float32, ld, rows, n int, sum *float32)
	rowNorm                func(y, x *float32, ld, rows, n int, mean, scale *float32)
	rowAffine              func(y, x *float32, ld, rows, n int, mean, scale, weight, bias *float32)
	rowNormGrad            func(dx, dy, y *float32, ld, rows, n int, mean, along, scale *float32)
	rowMin                 func(x *float32, ld, rows, n int, least *float32)
	rowMax                 func(x *float32, ld, rows, n int, greatest *float32)
	colSum, colMin, colMax func(x *float32, ld, rows, n int, y *float32)
}

func rowKernels() *rowTable { return nil }

func transpose32(int, *uint32, int, *uint32, int) {}

func transpose64(int, *uint64, int, *uint64, int) {}
