package plan

import (
	"cmp"
	"math"
	"slices"
	"sort"
	"sync/atomic"

	"github.com/graphrun/graphrun/graph"
	"github.com/graphrun/graphrun/runtime/program"
)

// buffer is storage: a slot with those that view or reuse it.
type buffer struct {
	slot        int
	first, last int // instructions between which it is live, both included
	size        program.Affine
}

var runs atomic.Int64

// Runs returns how often a plan has been made in this process. A new batch size must not add to it.
func Runs() int64 { return runs.Load() }

// SizeOf returns the size of a tensor type in bytes if it is affine in the symbol, which is "" where all sizes are
// constant, and small enough to be added up.
func SizeOf(t graph.Type, symbol string) (program.Affine, bool) {
	tt, ok := t.(graph.TensorType)
	if !ok || tt.DType == graph.String {
		return program.Affine{}, false
	}
	per, sym, fixed, ok := tt.NumElements().Affine()
	const limit = 1 << 46
	if !ok || sym != "" && sym != symbol || per < 0 || per > limit || fixed > limit || fixed < -limit {
		return program.Affine{}, false
	}
	bits := int64(tt.DType.Bits())
	bytes := func(elems int64) int64 { return (elems*bits + 7) / 8 }
	return program.Affine{Per: bytes(per), Fixed: bytes(max(fixed, 0))}, true
}

// Make plans a function whose sizes are affine in the symbol. types, if not nil, stands for the types of the slots. It returns nil
// if some size is not affine.
func Make(f *program.Func, symbol string, types []graph.Type) *program.Plan {
	runs.Add(1)
	p := &program.Plan{
		Symbol: symbol, Sizes: make([]program.Affine, len(f.Slots)), Offsets: make([]program.Affine, len(f.Slots)),
	}
	for i, s := range f.Slots {
		if s.Place != program.Arena && s.Place != program.Output && s.Place != program.Reuse {
			continue
		}
		t := s.Type
		if types != nil {
			t = types[i]
		}
		size, ok := SizeOf(t, symbol)
		if !ok {
			return nil
		}
		p.Sizes[i] = size
	}
	buffers := lifetimes(f, p.Sizes)
	var fixed, growing []buffer
	for _, b := range buffers {
		if b.size.Per == 0 {
			fixed = append(fixed, b)
		} else {
			growing = append(growing, b)
		}
	}
	constant := func(b *buffer) int64 { return b.size.Fixed }
	at, top := place(fixed, constant, func(b *buffer) int64 { return b.size.Alignment() })
	for i, b := range fixed {
		p.Offsets[b.slot].Fixed = at[i]
	}
	p.Peak.Fixed = top
	p.Bound.Fixed = mostLive(fixed, constant)

	per := func(b *buffer) int64 { return b.size.Per }
	at, p.Peak.Per = place(growing, per, func(*buffer) int64 { return 1 })
	p.Bound.Per = mostLive(growing, per)
	if len(growing) > 0 {
		top = program.RoundUp(top, program.Align)
	}
	for i, pad := range padding(growing, at) {
		b := &growing[i]
		p.Offsets[b.slot] = program.Affine{Per: at[i], Fixed: top + pad}
		p.Peak.Fixed = max(p.Peak.Fixed, top+pad+excess(b, at[i]))
	}
	return p
}

// lifetimes returns the storage that a function needs in its arena.
func lifetimes(f *program.Func, sizes []program.Affine) []buffer {
	index := make([]int, len(f.Slots)) // of a root in buffers, plus 1
	var buffers []buffer
	touch := func(slot, at int) {
		root := f.Root(slot)
		if f.Slots[root].Place != program.Arena || sizes[root] == (program.Affine{}) {
			return
		}
		if index[root] == 0 {
			buffers = append(buffers, buffer{slot: root, first: at, size: sizes[root]})
			index[root] = len(buffers)
		}
		b := &buffers[index[root]-1]
		b.last = max(b.last, at)
	}
	for i := range f.Instrs {
		for _, s := range f.Instrs[i].Out {
			touch(s, i)
		}
		for _, s := range f.Instrs[i].In {
			touch(s, i)
		}
	}
	end := len(f.Instrs)
	for _, o := range f.Outputs {
		touch(o.Slot, end)
	}
	for _, u := range f.Updates {
		if f.Slots[u.Slot].Place != program.Next {
			touch(u.Slot, end)
		}
	}
	return buffers
}

// mostLive returns the largest sum of sizes of buffers that are live at the same time.
func mostLive(buffers []buffer, size func(*buffer) int64) int64 {
	end := 0
	for i := range buffers {
		end = max(end, buffers[i].last+1)
	}
	change := make([]int64, end+1)
	for i := range buffers {
		b := &buffers[i]
		change[b.first] += size(b)
		change[b.last+1] -= size(b)
	}
	live, most := int64(0), int64(0)
	for _, c := range change {
		live += c
		most = max(most, live)
	}
	return most
}

// exhaustive is the number of buffers up to which orders are searched; beyond it one pass in order of time decides.
const exhaustive = 1500

// place returns an offset for each buffer and the end of the highest.
func place(buffers []buffer, size, align func(*buffer) int64) (offsets []int64, top int64) {
	n := len(buffers)
	if n == 0 {
		return nil, 0
	}
	bound := mostLive(buffers, size)
	if n > exhaustive {
		widest := int64(1)
		for i := range buffers {
			widest = max(widest, align(&buffers[i]))
		}
		return sweep(buffers, func(b *buffer) int64 { return program.RoundUp(size(b), widest) })
	}
	sizes, aligns := make([]int64, n), make([]int64, n)
	for i := range buffers {
		sizes[i], aligns[i] = size(&buffers[i]), align(&buffers[i])
	}
	span := func(i int) int64 { return int64(buffers[i].last - buffers[i].first + 1) }
	orders := []func(i, j int) int{
		func(i, j int) int { return cmp.Or(cmp.Compare(sizes[j], sizes[i]), cmp.Compare(span(j), span(i))) },
		func(i, j int) int { return cmp.Or(cmp.Compare(sizes[j]*span(j), sizes[i]*span(i))) },
		func(i, j int) int { return cmp.Or(cmp.Compare(span(j), span(i)), cmp.Compare(sizes[j], sizes[i])) },
		func(i, j int) int { return cmp.Compare(buffers[i].first, buffers[j].first) },
		func(i, j int) int { return cmp.Compare(buffers[j].last, buffers[i].last) },
	}
	var best []int
	try := func(order []int) bool {
		limit := int64(math.MaxInt64)
		if offsets != nil {
			limit = top
		}
		o, t := greedy(buffers, sizes, aligns, order, limit)
		if t >= limit {
			return false
		}
		offsets, top, best = o, t, slices.Clone(order)
		return true
	}
	order := make([]int, n)
	for _, compare := range orders {
		for i := range order {
			order[i] = i
		}
		sort.SliceStable(order, func(i, j int) bool { return compare(order[i], order[j]) < 0 })
		if try(order); top == bound {
			return offsets, top
		}
	}
	// Moves of one buffer to another rank, kept where they help.
	tries := min(300, 4_000_000/(n*n+1)) // as many as take a few milliseconds
	random := uint64(1)
	next := func() int {
		random ^= random << 13
		random ^= random >> 7
		random ^= random << 17
		return int(random % uint64(n))
	}
	for range tries {
		copy(order, best)
		from, to := next(), next()
		moved := order[from]
		order = insert(slices.Delete(order, from, from+1), to, moved)
		if try(order); top == bound {
			break
		}
	}
	return offsets, top
}

// greedy places buffers in the given order, each as low as those placed before allow. It gives up when the top reaches the limit.
func greedy(buffers []buffer, sizes, aligns []int64, order []int, limit int64) (offsets []int64, top int64) {
	type spot struct {
		first, last int
		at, end     int64
	}
	offsets = make([]int64, len(buffers))
	placed := make([]spot, 0, len(buffers)) // by place
	for _, i := range order {
		b := &buffers[i]
		at, size, align := int64(0), sizes[i], aligns[i]
		for j := range placed {
			s := &placed[j]
			if s.last < b.first || s.first > b.last {
				continue
			}
			if at+size <= s.at {
				break
			}
			at = max(at, program.RoundUp(s.end, align))
		}
		offsets[i] = at
		if top = max(top, at+size); top >= limit {
			return offsets, top
		}
		k := sort.Search(len(placed), func(i int) bool { return placed[i].at >= at })
		placed = insert(placed, k, spot{b.first, b.last, at, at + size})
	}
	return offsets, top
}

// insert puts v at place k of list. slices.Insert, which takes any number of elements, would be 12 kB of the service.
func insert[T any](list []T, k int, v T) []T {
	list = append(list, v)
	copy(list[k+1:], list[k:])
	list[k] = v
	return list
}

// sweep places buffers in order of time in the smallest hole that fits.
func sweep(buffers []buffer, size func(*buffer) int64) (offsets []int64, top int64) {
	n := len(buffers)
	offsets = make([]int64, n)
	starts, ends := make([]int, n), make([]int, n)
	for i := range n {
		starts[i], ends[i] = i, i
	}
	sort.SliceStable(starts, func(i, j int) bool { return buffers[starts[i]].first < buffers[starts[j]].first })
	sort.SliceStable(ends, func(i, j int) bool { return buffers[ends[i]].last < buffers[ends[j]].last })
	type hole struct{ at, size int64 }
	var holes []hole // by place, apart from each other
	done := 0
	for _, i := range starts {
		b := &buffers[i]
		for ; done < n && buffers[ends[done]].last < b.first; done++ {
			old := ends[done]
			h := hole{offsets[old], size(&buffers[old])}
			k := sort.Search(len(holes), func(i int) bool { return holes[i].at >= h.at })
			holes = insert(holes, k, h)
			if k+1 < len(holes) && holes[k].at+holes[k].size == holes[k+1].at {
				holes[k].size += holes[k+1].size
				holes = slices.Delete(holes, k+1, k+2)
			}
			if k > 0 && holes[k-1].at+holes[k-1].size == holes[k].at {
				holes[k-1].size += holes[k].size
				holes = slices.Delete(holes, k, k+1)
			}
		}
		want := size(b)
		best := -1
		for k, h := range holes {
			if h.size >= want && (best < 0 || h.size < holes[best].size) {
				best = k
			}
		}
		switch last := len(holes) - 1; {
		case best >= 0:
			offsets[i] = holes[best].at
			holes[best].at += want
			if holes[best].size -= want; holes[best].size == 0 {
				holes = slices.Delete(holes, best, best+1)
			}
		case last >= 0 && holes[last].at+holes[last].size == top: // the last hole grows
			offsets[i] = holes[last].at
			top = offsets[i] + want
			holes = holes[:last]
		default:
			offsets[i] = top
			top += want
		}
	}
	return offsets, top
}

// padding returns how far each buffer of a growing part must move up from its multiple of N: offsets are rounded up to their
// alignment, and sizes have fixed parts.
func padding(buffers []buffer, at []int64) []int64 {
	n := len(buffers)
	pads := make([]int64, n)
	order := make([]int, n)
	for i := range order {
		order[i] = i
	}
	sort.SliceStable(order, func(i, j int) bool { return at[order[i]] < at[order[j]] })
	if n > exhaustive { // more than needed, but in linear time
		level, most := int64(0), int64(0)
		for k, i := range order {
			if k > 0 && at[i] != at[order[k-1]] {
				level = program.RoundUp(most, program.Align)
			}
			pads[i] = level
			most = max(most, level+excess(&buffers[i], at[i]))
		}
		return pads
	}
	for k, i := range order {
		for _, j := range order[:k] {
			if buffers[j].last >= buffers[i].first && buffers[j].first <= buffers[i].last {
				pads[i] = max(pads[i], pads[j]+excess(&buffers[j], at[j]))
			}
		}
		pads[i] = program.RoundUp(pads[i], buffers[i].size.Alignment())
	}
	return pads
}

// excess returns how far the end of a buffer may lie beyond the sum of its multiples of N.
func excess(b *buffer, at int64) int64 {
	e := b.size.Fixed
	if align := b.size.Alignment(); at%align != 0 {
		e += align
	}
	return e
}
