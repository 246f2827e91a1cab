package strip

import (
	"unsafe"

	"github.com/graphrun/graphrun/graph/value"
	"github.com/graphrun/graphrun/runtime/kernels/backend"
	"github.com/graphrun/graphrun/runtime/kernels/parallel"
)

// Kernel is an expression bound to sizes, with all the memory that computing it takes. Runs of one must not overlap.
type Kernel struct {
	parallel.Stoppable
	space        space
	cut          cut
	sizes        []int // of an element, by operand and result
	operands     int
	direct, safe code
	places       []place
	at           []int // by place: where its register lies in a worker's memory
	spread       []spread
	memory       int // bytes of a worker

	// Positions are the strips: the coordinates of one are its indices of the dims before the cut and of its piece.
	extents []int
	steps   [][]int // by operand and result, by dim: bytes from a strip to the next, once all later coordinates are back at 0
	count   int     // of positions
	fold    *fold

	perChunk, chunks int // positions per chunk
	parallel         bool

	columns int    // of an epilogue, else 0
	moves   []bool // by operand and result: whether it is no scalar for a strip

	code    *code // of this run
	runs    int
	base    []unsafe.Pointer
	workers []*worker
}

// spread is an operand that is spread out into a register.
type spread struct {
	operand int
	dims    []int // from the cut on; the first is the length of the strip there
	strides []int // bytes
}

// worker is the memory of one goroutine.
type worker struct {
	mem    []byte
	code   *code            // that the places are set up for
	ptr    []unsafe.Pointer // by place
	coord  []int
	offset []int // by operand and result: bytes
	filled []fill
	run    int // in which that was filled
	acc    unsafe.Pointer
}

// fill is what a spread operand's register holds: count indices from an offset of the operand.
type fill struct{ offset, count int }

const (
	// chunkCost is about the least work, in elements times additions, that is worth handing out.
	chunkCost = 1 << 17
	lineBytes = 64
)

// Bind makes a kernel of the expression, nil if its shape is beyond what kernels take.
func (b *Builder) Bind() *Kernel { return b.bind(0) }

// bind is Bind for strips that do not cross the axis split, unless they hold whole rows before it.
func (b *Builder) bind(split int) *Kernel {
	shapes := make([][]int, len(b.operands))
	for i, o := range b.operands {
		shapes[i] = o.shape
	}
	var reduced, free []bool
	if b.reduce != nil {
		reduced, free = b.reduce.axes, b.reduce.free
	}
	s, ok := newSpace(b.shape, shapes, reduced, free, split)
	if !ok || len(b.operands) > 60 {
		return nil
	}
	if s.size == 0 {
		return &Kernel{space: s}
	}
	newCut := s.newCut
	if split > 0 {
		newCut = s.rowCut
	}
	// How many registers there are hardly depends on the cut.
	c := newCut(64)
	first := b.lower(s, c, false)
	bytes := 0
	for i, p := range first.places {
		// In front of a reduction an operand counts that varies in batches of more than one.
		varies := i >= len(b.operands) || s.varies(i) != 0 || reduced != nil && len(shapes[i]) == len(b.shape)
		if p.kind == register || p.kind == memory && varies {
			bytes += p.size
		}
	}
	c = newCut(bytes)
	k := &Kernel{space: s, cut: c, operands: len(b.operands)}
	k.Stop = b.Stop
	if split > 0 {
		k.columns = s.dims[len(s.dims)-1]
	}
	safe, direct := b.lower(s, c, false), b.lower(s, c, true)
	k.safe, k.direct = safe.code, direct.code
	k.layOut(b, safe, direct)
	k.positions(b.reduce)
	cost := direct.cost
	for i, p := range direct.places {
		if p.kind == memory && (i >= len(b.operands) || s.varies(i) != 0) {
			cost++
		}
	}
	if b.reduce != nil {
		cost++
		k.fold = newFold(k, b.reduce, b.nodes[b.reduce.of].dt, b.Take)
		clear(k.steps[k.operands+k.fold.result]) // the fold says where it writes; a pointer must not leave the tensor
	}
	tasks, elements := k.count, float64(c.len())
	if k.fold != nil {
		tasks, elements = k.fold.tasks, elements*float64(k.fold.each)
	}
	k.perChunk = max(1, int(chunkCost/(cost*elements)))
	k.chunks = backend.CeilDiv(tasks, k.perChunk)
	k.parallel = k.chunks > 1 && cost*float64(s.size) >= 2*chunkCost
	k.base = make([]unsafe.Pointer, len(k.sizes))
	k.Workers(1)
	return k
}

// layOut gives registers and constants their memory.
func (k *Kernel) layOut(b *Builder, safe, direct *lowering) {
	for _, o := range b.operands {
		k.sizes = append(k.sizes, sizeOf(o.dt))
	}
	for _, v := range b.results {
		k.sizes = append(k.sizes, sizeOf(b.nodes[v].dt))
	}
	spans := k.cut.spans(&k.space)
	line := func(n int) (at int) {
		at = k.memory
		k.memory += (n + lineBytes - 1) &^ (lineBytes - 1)
		return at
	}
	// Both codes share the memory: their places of one number need not be of one kind.
	k.places = direct.places
	for len(k.places) < len(safe.places) {
		k.places = append(k.places, place{})
	}
	k.at = make([]int, len(k.places))
	for i := range k.places {
		size := 0
		for _, l := range []*lowering{safe, direct} {
			if i < len(l.places) && l.places[i].kind != memory {
				size = max(size, k.bytesOf(l.places[i]))
			}
		}
		k.at[i] = -1
		if size > 0 {
			k.at[i] = line(size)
		}
	}
	k.safe.places, k.direct.places = safe.places, direct.places
	k.moves = make([]bool, len(k.sizes))
	for i := range k.sizes {
		k.moves[i] = i >= len(b.operands) || k.space.varies(i)&spans != 0
	}
	for i := range b.operands {
		if !k.moves[i] || k.space.whole(i, spans) {
			continue
		}
		sp := spread{operand: i}
		for d := k.cut.at; d < len(k.space.dims); d++ {
			n := k.space.dims[d]
			if d == k.cut.at {
				n = k.cut.count
			}
			sp.dims = append(sp.dims, n)
			sp.strides = append(sp.strides, k.space.strides[i][d]*k.sizes[i])
		}
		k.at[i] = line(k.cut.len() * k.sizes[i])
		k.spread = append(k.spread, sp)
	}
}

func (k *Kernel) bytesOf(p place) int {
	if p.kind == register {
		return p.size * k.cut.len()
	}
	return p.size
}

// positions numbers the strips.
func (k *Kernel) positions(r *reduction) {
	k.extents = append(k.extents, k.space.dims[:k.cut.at]...)
	pieces, unit := k.cut.pieces, k.cut.count
	if k.columns > 0 && k.cut.at < len(k.space.dims)-1 { // rows are counted one by one
		pieces, unit = k.space.dims[k.cut.at], 1
	}
	k.extents = append(k.extents, pieces)
	k.count = 1
	for _, n := range k.extents {
		k.count *= n
	}
	for i, size := range k.sizes {
		st := make([]int, len(k.extents))
		for d := range st {
			if i < k.operands {
				st[d] = k.space.strides[i][d]
			} else if r == nil || i != k.operands+r.result { // results are whole
				st[d] = 1
				for _, n := range k.space.dims[d+1:] {
					st[d] *= n
				}
			}
			if st[d] *= size; d == k.cut.at {
				st[d] *= unit
			}
		}
		k.steps = append(k.steps, st)
	}
}

// Workers makes the memory of n workers: see parallel.Sized.
func (k *Kernel) Workers(n int) {
	for len(k.workers) < n {
		w := &worker{
			ptr: make([]unsafe.Pointer, len(k.places)), coord: make([]int, len(k.extents)),
			offset: make([]int, len(k.sizes)), filled: make([]fill, len(k.spread)),
		}
		size := k.memory
		if k.fold != nil {
			size += k.fold.memory
		}
		w.mem = backend.AlignedBytes(size)
		if k.fold != nil && k.fold.memory > 0 {
			w.acc = unsafe.Pointer(&w.mem[k.memory])
		}
		k.workers = append(k.workers, w)
	}
}

// prepare points the places of the code that runs at their memory and sets its constants.
func (k *Kernel) prepare(w *worker, c *code) {
	for i, p := range c.places {
		if p.kind == memory {
			continue
		}
		at := unsafe.Pointer(&w.mem[k.at[i]])
		w.ptr[i] = at
		if p.kind == immediate {
			switch p.size {
			case 1:
				*(*uint8)(at) = uint8(p.bits)
			case 2:
				*(*uint16)(at) = uint16(p.bits)
			case 4:
				*(*uint32)(at) = uint32(p.bits)
			default:
				*(*uint64)(at) = p.bits
			}
		}
	}
	w.code = c
}

// Run computes the results of operands. A result may have the storage of one operand of its shape and size of elements.
func (k *Kernel) Run(in, out []*value.Tensor) {
	if k.space.size == 0 {
		return
	}
	k.begin(in, out)
	if k.parallel {
		parallel.Run(k.chunks, k)
	} else {
		parallel.Alone(k.chunks, k)
	}
	if k.fold != nil && !k.Stop.Stopped() {
		k.fold.finish(k)
	}
	k.end()
}

// begin points the kernel at the operands and results of a run.
func (k *Kernel) begin(in, out []*value.Tensor) {
	for i, t := range in {
		k.base[i] = unsafe.Pointer(unsafe.SliceData(t.Bytes()))
	}
	for i, t := range out {
		k.base[k.operands+i] = unsafe.Pointer(unsafe.SliceData(t.Bytes()))
	}
	k.code = &k.direct
	if k.clobbers() {
		k.code = &k.safe
	}
	k.runs++
}

// end makes sure that nothing keeps the storage of the run alive.
func (k *Kernel) end() {
	clear(k.base)
	for _, w := range k.workers {
		clear(w.ptr[:len(k.base)])
	}
}

// clobbers reports whether the direct code would write a result over an operand that it still reads.
func (k *Kernel) clobbers() bool {
	for r, last := range k.direct.writes {
		for i, read := range k.direct.reads {
			if k.base[k.operands+r] == k.base[i] && read > last {
				return true
			}
		}
	}
	return false
}

// worker returns the memory of a worker in this run.
func (k *Kernel) worker(number int) *worker {
	w := k.workers[number]
	if w.code != k.code {
		k.prepare(w, k.code)
	}
	if w.run != k.runs {
		w.run = k.runs
		for i := range w.filled {
			w.filled[i] = fill{offset: -1}
		}
	}
	return w
}

// Do computes a chunk.
func (k *Kernel) Do(number, chunk int) {
	w := k.worker(number)
	lo := chunk * k.perChunk
	if f := k.fold; f != nil && f.way == columns {
		for t := lo; t < min(lo+k.perChunk, f.tasks); t++ {
			f.task(k, w, t)
		}
		return
	}
	k.seek(w, lo)
	for p := lo; p < min(lo+k.perChunk, k.count); p++ {
		n := k.strip(w)
		if k.fold != nil {
			k.fold.take(k, w, p, n)
		}
		k.advance(w)
	}
}

// seek sets the position.
func (k *Kernel) seek(w *worker, position int) {
	for d := len(k.extents) - 1; d >= 0; d-- {
		w.coord[d] = position % k.extents[d]
		position /= k.extents[d]
	}
	k.locate(w)
}

// locate computes the offsets of a position.
func (k *Kernel) locate(w *worker) {
	for i, st := range k.steps {
		off := 0
		for d, c := range w.coord {
			off += c * st[d]
		}
		w.offset[i] = off
	}
}

// advance goes to the next position.
func (k *Kernel) advance(w *worker) {
	for d := len(k.extents) - 1; d >= 0; d-- {
		k.move(w, d, 1)
		if w.coord[d] < k.extents[d] {
			return
		}
		k.move(w, d, -w.coord[d])
	}
}

// move changes one coordinate.
func (k *Kernel) move(w *worker, d, by int) {
	w.coord[d] += by
	for i := range w.offset {
		w.offset[i] += by * k.steps[i][d]
	}
}

// rows returns the number of indices of the cut dim that the strip has.
func (k *Kernel) rows(w *worker) int {
	return min(k.cut.count, k.space.dims[k.cut.at]-w.coord[k.cut.at]*k.cut.count)
}

// strip runs the code for the position.
func (k *Kernel) strip(w *worker) (n int) {
	rows := k.rows(w)
	k.load(w, rows)
	n = rows * k.cut.inner
	k.execute(w, n)
	return n
}

// load points the places of operands and results at the position.
func (k *Kernel) load(w *worker, rows int) {
	for i, base := range k.base {
		w.ptr[i] = unsafe.Add(base, w.offset[i])
	}
	k.spreadOut(w, rows)
}

func (k *Kernel) execute(w *worker, n int) {
	ptr := w.ptr
	for i := range w.code.instrs {
		in := &w.code.instrs[i]
		m := n
		if in.one {
			m = 1
		}
		in.f(m, (*byte)(ptr[in.y]), (*byte)(ptr[in.a]), (*byte)(ptr[in.b]), (*byte)(ptr[in.c]))
	}
}

// spreadOut fills the registers of the operands that are spread out.
func (k *Kernel) spreadOut(w *worker, rows int) {
	for i := range k.spread {
		sp := &k.spread[i]
		at := unsafe.Pointer(&w.mem[k.at[sp.operand]])
		off := w.offset[sp.operand]
		if f := &w.filled[i]; f.offset != off || f.count < rows {
			sp.to(k.sizes[sp.operand], at, w.ptr[sp.operand], 0, rows)
			*f = fill{off, rows}
		}
		w.ptr[sp.operand] = at
	}
}

// to writes n indices of dim d, with all dims behind it, and returns the number of bytes.
func (sp *spread) to(size int, y, x unsafe.Pointer, d, n int) int {
	if d == len(sp.dims)-1 {
		ys := unsafe.Slice((*byte)(y), n*size)
		if sp.strides[d] == 0 {
			splat(ys, (*byte)(x), size)
		} else {
			copy(ys, unsafe.Slice((*byte)(x), n*size))
		}
		return len(ys)
	}
	inner := sp.dims[d+1]
	if sp.strides[d] == 0 {
		m := sp.to(size, y, x, d+1, inner)
		repeat(unsafe.Slice((*byte)(y), n*m), m)
		return n * m
	}
	done := 0
	for i := range n {
		done += sp.to(size, unsafe.Add(y, done), unsafe.Add(x, i*sp.strides[d]), d+1, inner)
	}
	return done
}
