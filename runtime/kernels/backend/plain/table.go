package plain

import (
	"unsafe"

	"github.com/graphrun/graphrun/runtime/kernels/backend"
)

// New returns a table of everything, in plain Go.
func New() *backend.Table {
	t := &backend.Table{
		Products: backend.Products{F32: &multiplier[float32]{}, F64: &multiplier[float64]{}},
		F32:      backend.Engines[float32]{Conv: convF32, Pool: &Pool[float32]{}, Rows: rowsF32},
		F64:      backend.Engines[float64]{Conv: convF64, Pool: &Pool[float64]{}, Rows: rowsF64},
		Planes:   backend.Planes{W8: Transpose[uint8], W16: Transpose[uint16], W32: Transpose[uint32], W64: Transpose[uint64]},
		Peak:     Peak,
	}
	v := &t.Vecs
	fillFloats[float32](&v.F32, 1)
	fillFloats[float64](&v.F64, 2)
	fillInts[int32](&v.I32)
	fillInts[int64](&v.I64)
	fillCompare[uint8](&v.Bool)
	fillSelect[uint8](&v.Bool)
	fillSelect[uint32](&v.F32)
	fillSelect[uint64](&v.F64)
	v.I32.Select, v.I64.Select = v.F32.Select, v.F64.Select // bits are moved, whatever they mean
	for op := range backend.LogicOps {
		put(&v.Bool.Logic[op], 1, logicVec(op))
	}
	fillCasts(v)
	return t
}

func convF32(int, int) backend.ConvEngine[float32] { return &conv[float32]{} }
func convF64(int, int) backend.ConvEngine[float64] { return &conv[float64]{} }

// Written out for each type they are data; as one generic function they would be code.
var (
	rowsF32 = backend.Rows[float32]{
		Top: RowTop[float32], Exp: RowExp[float32], SumExp: RowSumExp[float32], Scale: RowScale[float32], Shift: RowShift[float32],
		SumWide: RowSumWide[float32], Squares: RowSquares[float32], Dot: RowDot[float32], Norm: RowNorm[float32],
		Affine: RowAffine[float32], NormGrad: RowNormGrad[float32],
		Reduce: [backend.ReduceOps]func(x []float32, ld, rows, n int, y []float32){
			backend.Sum: RowSum[float32], backend.Prod: RowProd[float32], backend.MaxOf: RowMax[float32], backend.MinOf: RowMin[float32],
		},
		ReduceCols: [backend.ReduceOps]func(x []float32, ld, rows, n int, y []float32){
			backend.Sum: ColSum[float32], backend.Prod: ColProd[float32], backend.MaxOf: ColMax[float32], backend.MinOf: ColMin[float32],
		},
	}
	rowsF64 = backend.Rows[float64]{
		Top: RowTop[float64], Exp: RowExp[float64], SumExp: RowSumExp[float64], Scale: RowScale[float64], Shift: RowShift[float64],
		SumWide: RowSumWide[float64], Squares: RowSquares[float64], Dot: RowDot[float64], Norm: RowNorm[float64],
		Affine: RowAffine[float64], NormGrad: RowNormGrad[float64],
		Reduce: [backend.ReduceOps]func(x []float64, ld, rows, n int, y []float64){
			backend.Sum: RowSum[float64], backend.Prod: RowProd[float64], backend.MaxOf: RowMax[float64], backend.MinOf: RowMin[float64],
		},
		ReduceCols: [backend.ReduceOps]func(x []float64, ld, rows, n int, y []float64){
			backend.Sum: ColSum[float64], backend.Prod: ColProd[float64], backend.MaxOf: ColMax[float64], backend.MinOf: ColMin[float64],
		},
	}
)

// put sets an entry. It is called in many places.
//
//go:noinline
func put(p *backend.Primitive, cost float32, f backend.Vec) { p.Do, p.Cost = f, cost }

func elems[T any](p *byte, n int) []T { return unsafe.Slice((*T)(unsafe.Pointer(p)), n) }

// fillFloats fills in what floats have, whose elements cost a number of those of float32.
func fillFloats[T backend.Float](e *backend.Elements, cost float32) {
	for op := range backend.UnaryOps {
		put(&e.Unary[op], cost*unaryCost(op), func(n int, y, a, _, _ *byte) { Unary(op, elems[T](y, n), elems[T](a, n)) })
	}
	fillBinary[T](e, backend.Floats, func(op backend.BinaryOp) float32 { return cost * binaryCost(op) })
	for op := range backend.TernaryOps {
		for form := range backend.Forms {
			put(&e.Ternary[op][form], 2, func(n int, y, a, b, c *byte) {
				lb, lc := form.Lens(n)
				Ternary(op, form, elems[T](y, n), elems[T](a, n), elems[T](b, lb), elems[T](c, lc))
			})
		}
	}
	fillCompare[T](e)
	for _, op := range []backend.ReduceOp{backend.Sum, backend.MaxOf, backend.MinOf} {
		put(&e.Fold[op], 1, func(n int, y, a, _, _ *byte) { elems[T](y, 1)[0] = Fold(op, elems[T](a, n)) })
	}
}

func fillInts[T int32 | int64](e *backend.Elements) {
	for op := range backend.UnaryOps {
		if op.Kinds()&backend.Integers != 0 {
			put(&e.Unary[op], 6, func(n int, y, a, _, _ *byte) { UnaryInt(op, elems[T](y, n), elems[T](a, n)) })
		}
	}
	fillBinary[T](e, backend.Integers, func(backend.BinaryOp) float32 { return 4 })
	fillCompare[T](e)
}

func fillBinary[T backend.Number](e *backend.Elements, kinds backend.Kinds, cost func(backend.BinaryOp) float32) {
	for op := range backend.BinaryOps {
		if op.Kinds()&kinds == 0 {
			continue
		}
		for form := range backend.SS {
			put(&e.Binary[op][form], cost(op), func(n int, y, a, b, _ *byte) {
				la, lb := form.Lens(n)
				Binary(op, form, elems[T](y, n), elems[T](a, la), elems[T](b, lb))
			})
		}
	}
}

func fillCompare[T backend.Number](e *backend.Elements) {
	for op := range backend.CompareOps {
		for form := range backend.SV {
			put(&e.Compare[op][form], 1, func(n int, y, a, b, _ *byte) {
				la, lb := form.Lens(n)
				Compare(op, form, elems[bool](y, n), elems[T](a, la), elems[T](b, lb))
			})
		}
	}
}

func fillSelect[T uint8 | uint32 | uint64](e *backend.Elements) {
	for form := range backend.Forms {
		put(&e.Select[form], 1, func(n int, y, a, b, c *byte) {
			lb, lc := form.Lens(n)
			Select(form, elems[T](y, n), elems[bool](a, n), elems[T](b, lb), elems[T](c, lc))
		})
	}
}

// unaryCost returns what an element of float32 costs.
func unaryCost(op backend.UnaryOp) float32 {
	switch op {
	case backend.Sqrt, backend.Reciprocal:
		return 3
	case backend.Rsqrt:
		return 5
	case backend.Exp, backend.Expm1, backend.Log, backend.Log1p, backend.Tanh, backend.Sigmoid, backend.Erf:
		return 100
	case backend.Sin, backend.Cos, backend.Tan, backend.Asin, backend.Acos, backend.Atan, backend.Sinh, backend.Cosh,
		backend.Asinh, backend.Acosh, backend.Atanh, backend.Erfc:
		return 150
	}
	return 1
}

func binaryCost(op backend.BinaryOp) float32 {
	switch op {
	case backend.Div:
		return 2
	case backend.Pow, backend.Mod, backend.Atan2:
		return 300
	}
	return 1
}
