package kernels

import (
	"cmp"
	"math"
	"slices"

	"github.com/graphrun/graphrun/graph"
	"github.com/graphrun/graphrun/runtime/kernels/portable"
	"github.com/graphrun/graphrun/runtime/value"
)

func init() {
	for op, option := range map[string]string{"topk": "largest", "sort": "descending"} {
		register(&Kernel{Op: op, DTypes: countables | graph.Bools, Bind: func(s *Spec) (Func, error) { return bindRanked(s, option) }})
	}
}

// item is an element as a key, whose order is that of the elements, and its position.
type item struct {
	key uint64
	at  int
}

func (v item) compare(w item) int {
	if v.key != w.key {
		return cmp.Compare(v.key, w.key)
	}
	return cmp.Compare(v.at, w.at)
}

// bindRanked gives the first elements of each lane, in order, and their positions. Of equal elements the first comes
// first; NaN is greater than every number. Where few elements of many are wanted, they are kept in a heap.
func bindRanked(s *Spec, option string) (Func, error) {
	shape := sizesOf(s.InTypes[0])
	axis := axisOf(s, len(shape))
	outer, inner := around(shape, axis)
	n, k := shape[axis], sizesOf(s.OutTypes[0])[axis]
	var flip uint64 // of all bits turns the order round
	if s.Bool(option) {
		flip = math.MaxUint64
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
	dt := s.InTypes[0].DType
	size := dt.Bits() / 8
	scratch := make([]item, (lanes+per-1)/per*room)
	return inChunks((lanes+per-1)/per, lanes*n*8, func(c *Call, _, chunk int) {
		x, y, places := c.In[0].Bytes(), c.Out[0].Bytes(), elems[int64](c.Out[1])
		var keys [256]uint64
		for l := chunk * per; l < min((chunk+1)*per, lanes); l++ {
			from, to := l/inner*n*inner+l%inner, l/inner*k*inner+l%inner
			items := scratch[chunk*room:][:0:room]
			for lo := 0; lo < n; lo += len(keys) {
				part := keys[:min(n-lo, len(keys))]
				loadKeys(part, c.In[0], dt, from+lo*inner, inner)
				for i, key := range part {
					if v := (item{key ^ flip, lo + i}); few {
						items = keepFirst(items, v)
					} else {
						items = append(items, v)
					}
				}
			}
			slices.SortFunc(items, item.compare)
			for i, v := range items[:k] {
				copy(y[(to+i*inner)*size:][:size], x[(from+v.at*inner)*size:])
				places[to+i*inner] = int64(v.at)
			}
		}
	}), nil
}

// loadKeys fills keys with those of elements that are step apart.
func loadKeys(keys []uint64, x *value.Tensor, d graph.DType, at, step int) {
	switch d {
	case graph.F32:
		floatKeys(keys, elems[float32](x)[at:], step)
	case graph.F64:
		floatKeys(keys, elems[float64](x)[at:], step)
	case graph.I8:
		signedKeys(keys, elems[int8](x)[at:], step)
	case graph.I16:
		signedKeys(keys, elems[int16](x)[at:], step)
	case graph.I32:
		signedKeys(keys, elems[int32](x)[at:], step)
	case graph.I64:
		signedKeys(keys, elems[int64](x)[at:], step)
	case graph.U16:
		unsignedKeys(keys, elems[uint16](x)[at:], step)
	case graph.U32:
		unsignedKeys(keys, elems[uint32](x)[at:], step)
	case graph.U64:
		unsignedKeys(keys, elems[uint64](x)[at:], step)
	default:
		unsignedKeys(keys, elems[uint8](x)[at:], step)
	}
}

func unsignedKeys[T word](keys []uint64, x []T, step int) {
	for i := range keys {
		keys[i] = uint64(x[i*step])
	}
}

func signedKeys[T int8 | int16 | int32 | int64](keys []uint64, x []T, step int) {
	for i := range keys {
		keys[i] = uint64(x[i*step]) ^ 1<<63
	}
}

func floatKeys[T portable.Float](keys []uint64, x []T, step int) {
	for i := range keys {
		switch v := float64(x[i*step]); {
		case v > 0:
			keys[i] = math.Float64bits(v) ^ 1<<63
		case v < 0:
			keys[i] = ^math.Float64bits(v)
		case v == 0: // of either sign
			keys[i] = 1 << 63
		default:
			keys[i] = math.MaxUint64
		}
	}
}

// keepFirst adds an item to a heap that keeps the first ones, as many as it has room for. The last of those kept is at its root.
func keepFirst(heap []item, v item) []item {
	if len(heap) < cap(heap) {
		heap = append(heap, v)
		for c := len(heap) - 1; c > 0; {
			p := (c - 1) / 2
			if heap[p].compare(heap[c]) > 0 {
				break
			}
			heap[p], heap[c] = heap[c], heap[p]
			c = p
		}
		return heap
	}
	if v.compare(heap[0]) > 0 {
		return heap
	}
	heap[0] = v
	for p := 0; ; {
		c := 2*p + 1
		if c >= len(heap) {
			return heap
		}
		if c+1 < len(heap) && heap[c+1].compare(heap[c]) > 0 {
			c++
		}
		if heap[p].compare(heap[c]) > 0 {
			return heap
		}
		heap[p], heap[c] = heap[c], heap[p]
		p = c
	}
}
