package kernels

import (
	"cmp"
	"slices"

	"github.com/graphrun/graphrun/graph"
	"github.com/graphrun/graphrun/runtime/kernels/portable"
)

func init() {
	for _, op := range []string{"topk", "sort"} {
		option := map[string]string{"topk": "largest", "sort": "descending"}[op]
		perDType(op, nil, map[graph.DType]binder{
			graph.F32: ranked[float32](option), graph.F64: ranked[float64](option),
			graph.I8: ranked[int8](option), graph.I16: ranked[int16](option),
			graph.I32: ranked[int32](option), graph.I64: ranked[int64](option),
			graph.U8: ranked[uint8](option), graph.U16: ranked[uint16](option),
			graph.U32: ranked[uint32](option), graph.U64: ranked[uint64](option),
			graph.Bool: ranked[uint8](option),
		})
	}
}

// ranked returns the binder of the first elements of each lane, in order, and their positions. Of equal elements the first comes
// first; NaN is greater than every number. Where few elements of many are wanted, they are kept in a heap.
func ranked[T portable.Number](option string) binder {
	return func(s *Spec) (Func, error) {
		shape := sizesOf(s.InTypes[0])
		axis := axisOf(s, len(shape))
		outer, inner := around(shape, axis)
		n, k := shape[axis], sizesOf(s.OutTypes[0])[axis]
		falling := s.Bool(option)
		// before is negative if the element a comes before b.
		before := func(a, b item[T]) int {
			x, y := a.v, b.v
			if falling {
				x, y = y, x
			}
			switch {
			case x < y:
				return -1
			case x > y:
				return 1
			case x == y:
				return cmp.Compare(a.at, b.at)
			case x == x: // y is NaN
				return -1
			case y == y:
				return 1
			}
			return cmp.Compare(a.at, b.at)
		}
		few := k <= n/8
		room := n
		if few {
			room = k
		}
		// One chunk of lanes has one piece of scratch.
		const chunks = 64
		lanes := outer * inner
		per := (lanes + chunks - 1) / chunks
		if lanes == 0 || k == 0 {
			return nothing, nil
		}
		scratch := make([]item[T], (lanes+per-1)/per*room)
		return inChunks((lanes+per-1)/per, lanes*n*8, func(c *Call, _, chunk int) {
			x, values, places := elems[T](c.In[0]), elems[T](c.Out[0]), elems[int64](c.Out[1])
			items := scratch[chunk*room:][:room]
			for l := chunk * per; l < min((chunk+1)*per, lanes); l++ {
				from, to := l/inner*n*inner+l%inner, l/inner*k*inner+l%inner
				if few {
					top(items[:0], x[from:], inner, n, k, before)
				} else {
					for i := range items {
						items[i] = item[T]{x[from+i*inner], i}
					}
				}
				slices.SortFunc(items, before)
				for i := range k {
					values[to+i*inner], places[to+i*inner] = items[i].v, int64(items[i].at)
				}
			}
		}), nil
	}
}

// item is an element and its position.
type item[T portable.Number] struct {
	v  T
	at int
}

// top fills heap, which is empty and has room for k, with the first k of n elements that are step apart. The last of those kept is at its root.
func top[T portable.Number](heap []item[T], x []T, step, n, k int, before func(a, b item[T]) int) {
	for i := range n {
		v := item[T]{x[i*step], i}
		if len(heap) < k {
			heap = append(heap, v)
			for c := len(heap) - 1; c > 0; {
				p := (c - 1) / 2
				if before(heap[p], heap[c]) > 0 {
					break
				}
				heap[p], heap[c] = heap[c], heap[p]
				c = p
			}
			continue
		}
		if before(v, heap[0]) > 0 {
			continue
		}
		heap[0] = v
		for p := 0; ; {
			c := 2*p + 1
			if c >= k {
				break
			}
			if c+1 < k && before(heap[c+1], heap[c]) > 0 {
				c++
			}
			if before(heap[p], heap[c]) > 0 {
				break
			}
			heap[p], heap[c] = heap[c], heap[p]
			p = c
		}
	}
}
