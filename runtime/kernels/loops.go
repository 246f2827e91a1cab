package kernels

import (
	"unsafe"

	"github.com/graphrun/graphrun/graph"
	"github.com/graphrun/graphrun/graph/value"
	"github.com/graphrun/graphrun/runtime/kernels/backend"
	"github.com/graphrun/graphrun/runtime/kernels/driver"
	"github.com/graphrun/graphrun/runtime/kernels/level"
)

// A kernel is written once for all dtypes, on storage, and only its innermost loops once for each, behind a switch over dtypes or
// sizes. Closures that were generic would take a hundred times the space: every instance has a name, tables and types of its own in
// the program.

// countables are the dtypes whose elements are Go numbers.
var countables = graph.DTypes(
	graph.F32, graph.F64, graph.I8, graph.I16, graph.I32, graph.I64, graph.U8, graph.U16, graph.U32, graph.U64,
)

// elems returns the elements of a tensor as a type of their size; the table has made sure of the dtype.
func elems[T backend.Number](t *value.Tensor) []T { return cells[T](t.Bytes()) }

// cells is elems for storage.
func cells[T backend.Number](b []byte) []T {
	var v T
	n := len(b) / int(unsafe.Sizeof(v))
	return (*(*[]T)(unsafe.Pointer(&b)))[:n:n] // unsafe.Slice checks what holds of every slice: 9 kB of a service
}

// newCells returns storage for n elements of a size, aligned for each.
func newCells(n, size int) []byte {
	words := make([]uint64, (n*size+7)/8)
	return unsafe.Slice((*byte)(unsafe.Pointer(unsafe.SliceData(words))), n*size)
}

// sizeOf returns how many bytes an element takes.
// Not inlined: 1.8 kB of the service.
//
//go:noinline
func sizeOf(d graph.DType) int { return d.Bits() / 8 }

// word is an element that is moved without being looked at.
type word interface {
	uint8 | uint16 | uint32 | uint64
}

// pick fills y with the elements of x at places*scale, each step further on than the one before.
func pick(size int, y, x []byte, places []int, scale, step int) {
	switch size {
	case 1:
		pickWords[uint8](y, x, places, scale, step)
	case 2:
		pickWords[uint16](y, x, places, scale, step)
	case 4:
		pickWords[uint32](y, x, places, scale, step)
	default:
		pickWords[uint64](y, x, places, scale, step)
	}
}

func pickWords[T word](yb, xb []byte, places []int, scale, step int) {
	y, x := cells[T](yb), cells[T](xb)
	y = y[:len(places)]
	at := 0
	for j, k := range places {
		y[j] = x[k*scale+at]
		at += step
	}
}

// addAt adds the elements of u to those of y at places*scale, each step further on than the one before. Integers wrap alike whatever
// their sign.
func addAt(d graph.DType, y, u []byte, places []int, scale, step int) {
	switch size := sizeOf(d); {
	case d == graph.F32:
		addNumbersAt[float32](y, u, places, scale, step)
	case d == graph.F64:
		addNumbersAt[float64](y, u, places, scale, step)
	case size == 1:
		addNumbersAt[uint8](y, u, places, scale, step)
	case size == 2:
		addNumbersAt[uint16](y, u, places, scale, step)
	case size == 4:
		addNumbersAt[uint32](y, u, places, scale, step)
	default:
		addNumbersAt[uint64](y, u, places, scale, step)
	}
}

func addNumbersAt[T backend.Number](yb, ub []byte, places []int, scale, step int) {
	y, u := cells[T](yb), cells[T](ub)
	u = u[:len(places)]
	at := 0
	for j, k := range places {
		y[k*scale+at] += u[j]
		at += step
	}
}

// addTo adds u to y.
func addTo(d graph.DType, y, u []byte) {
	switch size := sizeOf(d); {
	case d == graph.F32:
		addNumbers[float32](y, u)
	case d == graph.F64:
		addNumbers[float64](y, u)
	case size == 1:
		addNumbers[uint8](y, u)
	case size == 2:
		addNumbers[uint16](y, u)
	case size == 4:
		addNumbers[uint32](y, u)
	default:
		addNumbers[uint64](y, u)
	}
}

func addNumbers[T backend.Number](yb, ub []byte) {
	y, u := cells[T](yb), cells[T](ub)
	u = u[:len(y)]
	for i := range y {
		y[i] += u[i]
	}
}

// fill sets all elements of y, of a size, to the low bits of v.
func fill(size int, y []byte, v uint64) {
	switch size {
	case 1:
		fillWords(y, uint8(v))
	case 2:
		fillWords(cells[uint16](y), uint16(v))
	case 4:
		fillWords(cells[uint32](y), uint32(v))
	default:
		fillWords(cells[uint64](y), v)
	}
}

func fillWords[T word](y []T, v T) {
	for i := range y {
		y[i] = v
	}
}

// choose fills y with elements of a where the truth value in cond holds and of b elsewhere; operands go on by steps.
func choose(size int, y, cond, a, b []byte, sc, sa, sb int) {
	switch size {
	case 1:
		chooseWords[uint8](y, cond, a, b, sc, sa, sb)
	case 2:
		chooseWords[uint16](y, cond, a, b, sc, sa, sb)
	case 4:
		chooseWords[uint32](y, cond, a, b, sc, sa, sb)
	default:
		chooseWords[uint64](y, cond, a, b, sc, sa, sb)
	}
}

func chooseWords[T word](yb, cond, ab, bb []byte, sc, sa, sb int) {
	y, a, b := cells[T](yb), cells[T](ab), cells[T](bb)
	h, i, k := 0, 0, 0
	for j := range y {
		if cond[h] != 0 {
			y[j] = a[i]
		} else {
			y[j] = b[k]
		}
		h += sc
		i += sa
		k += sb
	}
}

// moveUnits is driver.MoveUnits.
func moveUnits(size int, m *driver.Move, y, x []byte, lo, hi int) {
	planes := &level.Table().Planes
	switch size {
	case 1:
		driver.MoveUnits(m, y, x, lo, hi, planes.W8)
	case 2:
		driver.MoveUnits(m, cells[uint16](y), cells[uint16](x), lo, hi, planes.W16)
	case 4:
		driver.MoveUnits(m, cells[uint32](y), cells[uint32](x), lo, hi, planes.W32)
	default:
		driver.MoveUnits(m, cells[uint64](y), cells[uint64](x), lo, hi, planes.W64)
	}
}

// engines returns what computes with floats of a type at the level in use.
//
//go:noinline
func engines[T backend.Float]() *backend.Engines[T] {
	t := level.Table()
	if e, ok := any(&t.F32).(*backend.Engines[T]); ok {
		return e
	}
	return any(&t.F64).(*backend.Engines[T])
}
