package kernels

import (
	"cmp"
	"math"

	"github.com/graphrun/graphrun/graph"
	"github.com/graphrun/graphrun/graph/value"
	"github.com/graphrun/graphrun/runtime/kernels/backend"
	"github.com/graphrun/graphrun/runtime/kernels/parallel"
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
	kept := n
	if few {
		kept = k
	}
	room := kept + kept/2 // for sorting them
	// One chunk of lanes has one piece of scratch.
	const chunks = 64
	lanes := outer * inner
	per := backend.CeilDiv(lanes, chunks)
	if lanes == 0 || k == 0 {
		return nothing, nil
	}
	dt := s.InTypes[0].DType
	size := dt.Bits() / 8
	work := scratch[item](s, (lanes+per-1)/per*room)
	return inChunks((lanes+per-1)/per, lanes*n*8, func(c *Call, _, chunk int) {
		x, y, places := c.In[0].Bytes(), c.Out[0].Bytes(), elems[int64](c.Out[1])
		var keys [wordsPart]uint64
		for l := chunk * per; l < min((chunk+1)*per, lanes); l++ {
			from, to := l/inner*n*inner+l%inner, l/inner*k*inner+l%inner
			items := work[chunk*room:][:0:kept]
			for lo := 0; lo < n; lo += len(keys) {
				part := keys[:min(n-lo, len(keys))]
				loadKeys(part, x[(from+lo*inner)*size:], dt, inner)
				for i, key := range part {
					if v := (item{key ^ flip, lo + i}); few {
						items = keepFirst(items, v)
					} else {
						items = append(items, v)
					}
				}
			}
			sortItems(items, work[chunk*room+kept:], c.Stop)
			for i, v := range items[:k] {
				copy(y[(to+i*inner)*size:][:size], x[(from+v.at*inner)*size:])
				places[to+i*inner] = int64(v.at)
			}
		}
	}), nil
}

// sortItems sorts items by merging, unless it is stopped; there is room for half of them.
func sortItems(items, room []item, stop *parallel.Stop) {
	if len(items) <= 12 {
		for i, v := range items {
			for ; i > 0 && items[i-1].compare(v) > 0; i-- {
				items[i] = items[i-1]
			}
			items[i] = v
		}
		return
	}
	if len(items) > 1<<14 && stop.Stopped() {
		return
	}
	half := len(items) / 2
	sortItems(items[:half], room, stop)
	sortItems(items[half:], room, stop)
	if items[half-1].compare(items[half]) < 0 {
		return
	}
	left, right := room[:copy(room, items[:half])], items[half:]
	for i := 0; len(left) > 0; i++ {
		if len(right) == 0 || left[0].compare(right[0]) < 0 {
			items[i], left = left[0], left[1:]
		} else {
			items[i], right = right[0], right[1:]
		}
	}
}

// loadKeys fills keys with those of elements that are step apart. A key has the order of its element; NaN is above everything.
func loadKeys(keys []uint64, x []byte, d graph.DType, step int) {
	switch d {
	case graph.F32:
		floatKeys(keys, cells[float32](x), step)
	case graph.F64:
		floatKeys(keys, cells[float64](x), step)
	case graph.I8:
		signedKeys(keys, cells[int8](x), step)
	case graph.I16:
		signedKeys(keys, cells[int16](x), step)
	case graph.I32:
		signedKeys(keys, cells[int32](x), step)
	case graph.I64:
		signedKeys(keys, cells[int64](x), step)
	case graph.U16:
		unsignedKeys(keys, cells[uint16](x), step)
	case graph.U32:
		unsignedKeys(keys, cells[uint32](x), step)
	case graph.U64:
		unsignedKeys(keys, cells[uint64](x), step)
	default:
		unsignedKeys(keys, cells[uint8](x), step)
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

func floatKeys[T backend.Float](keys []uint64, x []T, step int) {
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

// wordsPart is how many elements are brought into 64 bits at once.
const wordsPart = 256

// loadWords fills words with integers that are step apart, modulo 2^64.
func loadWords(words []uint64, x []byte, d graph.DType, step int) {
	loadKeys(words, x, d, step)
	flip(words, d)
}

// flip makes words of keys of integers, and keys of words.
func flip(words []uint64, d graph.DType) {
	if d.Domain() == value.Ints {
		for i := range words {
			words[i] ^= 1 << 63
		}
	}
}

// storeWords fills elements of a size with the low bits of words.
func storeWords(size int, y []byte, words []uint64) {
	switch size {
	case 1:
		copyAs(y[:len(words)], words)
	case 2:
		copyAs(cells[uint16](y)[:len(words)], words)
	case 4:
		copyAs(cells[uint32](y)[:len(words)], words)
	default:
		copy(cells[uint64](y), words)
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
