package kernels

import (
	"math"
	"slices"
	"testing"
	"unsafe"

	"github.com/graphrun/graphrun/graph"
	"github.com/graphrun/graphrun/runtime/kernels/backend"
)

func TestArg(t *testing.T) {
	nan, inf := math.NaN(), math.Inf(1)
	floats := []float64{1, 3, 3, 2, nan, 5, nan, 7, -1, -1, 0, math.Copysign(0, -1), inf, nan, -inf, inf}
	ints := []uint64{1, 3, 3, 2, math.MaxUint64, 5, 0, 7, 1 << 63, 1<<63 - 1, 1 << 63, 0, 0, 0, math.MaxUint64, math.MaxUint64}
	for _, c := range []struct {
		name       string
		op         backend.ReduceOp
		d          graph.DType
		rows, cols []int // where extrema lie in rows of 4, and in columns of the first 3 rows
	}{
		{"max", backend.MaxOf, graph.F64, []int{1, 0, 2, 1}, []int{1, 1, 1, 1}},
		{"min", backend.MinOf, graph.F64, []int{0, 0, 0, 1}, []int{1, 2, 1, 2}},
		{"max of u64", backend.MaxOf, graph.U64, []int{1, 0, 0, 2}, []int{1, 2, 2, 1}},
		{"min of u64", backend.MinOf, graph.U64, []int{0, 2, 3, 0}, []int{0, 0, 1, 2}},
		{"max of i64", backend.MaxOf, graph.I64, []int{1, 3, 1, 0}, []int{0, 2, 0, 1}},
		{"min of i64", backend.MinOf, graph.I64, []int{0, 0, 0, 2}, []int{2, 0, 2, 2}},
	} {
		x := unsafe.Slice((*byte)(unsafe.Pointer(&ints[0])), 8*len(ints))
		if c.d == graph.F64 {
			x = unsafe.Slice((*byte)(unsafe.Pointer(&floats[0])), 8*len(floats))
		}
		var rows, cols []int
		for i := range 4 {
			rows = append(rows, argOf(c.op, x[i*4*8:], c.d, 4, 1))
			cols = append(cols, argOf(c.op, x[i*8:], c.d, 3, 4))
		}
		if !slices.Equal(rows, c.rows) || !slices.Equal(cols, c.cols) {
			t.Errorf("%s: rows %v, want %v; columns %v, want %v", c.name, rows, c.rows, cols, c.cols)
		}
	}
}

func TestIntegers(t *testing.T) {
	const n = 3*wordsPart + 17
	x := make([]int16, n)
	sum, prod, least, greatest := int16(0), int16(1), int16(math.MaxInt16), int16(math.MinInt16)
	for i := range x {
		x[i] = int16(i*i*7919) | 1 // of both signs
		sum += x[i]
		prod *= x[i]
		least, greatest = min(least, x[i]), max(greatest, x[i])
	}
	bytes := unsafe.Slice((*byte)(unsafe.Pointer(&x[0])), 2*n)
	for op, want := range map[backend.ReduceOp]int16{backend.Sum: sum, backend.Prod: prod, backend.MinOf: least, backend.MaxOf: greatest} {
		r := reducer{op, graph.I16, 2}
		var row [1]int16
		r.rows(bytes, n, 1, n, unsafe.Slice((*byte)(unsafe.Pointer(&row[0])), 2))
		if row[0] != want {
			t.Errorf("%d: a row gives %d, want %d", op, row[0], want)
		}
		var cols [3]int16
		r.cols(bytes, 3, n/3, 3, unsafe.Slice((*byte)(unsafe.Pointer(&cols[0])), 6))
		for j, have := range cols {
			y := x[j]
			for i := j + 3; i < n/3*3; i += 3 {
				switch op {
				case backend.Sum:
					y += x[i]
				case backend.Prod:
					y *= x[i]
				case backend.MinOf:
					y = min(y, x[i])
				default:
					y = max(y, x[i])
				}
			}
			if have != y {
				t.Errorf("%d: column %d gives %d, want %d", op, j, have, y)
			}
		}
	}
}

func TestSortItems(t *testing.T) {
	for _, n := range []int{0, 1, 2, 12, 13, 100, 1001} {
		items := make([]item, n)
		for i := range items {
			items[i] = item{uint64(i*i*2654435761) % 37, i}
		}
		want := slices.SortedFunc(slices.Values(items), item.compare)
		sortItems(items, make([]item, n/2), nil)
		if !slices.Equal(items, want) {
			t.Errorf("%d items: %v, want %v", n, items, want)
		}
	}
}
