package strip

import (
	"math"
	"unsafe"

	"github.com/graphrun/graphrun/graph/value"
	"github.com/graphrun/graphrun/runtime/kernels/backend"
)

// fold is the reduction that ends an expression. Strips, or groups of strips, give partial results, which are reduced in order
// at the end of the run. All bounds depend on the shape only.
type fold struct {
	op     backend.ReduceOp // Sum, MaxOf or MinOf
	result int
	size   int     // of an element
	count  float64 // by which a sum is divided for the mean, else 0
	way    way

	along         int   // the dim along which columns are added, in positions
	groups, each  int   // of positions along it; each is 1 for other ways
	extents       []int // of tasks
	strides       []int // of the partial results of tasks, in elements
	tasks         int
	inner         int     // elements that one index of the cut dim gives, after the reduction of dims behind it
	places        []int32 // by element behind the cut dim, its place among inner
	memory        int     // bytes of a worker
	dims          []int   // of the partial results
	reduced       []bool
	partial       []byte // nil if the partial results are the results
	sums          []float64
	whole         backend.Vec // reduces a strip to one element
	combine       backend.Vec // combines two strips
	divide, copyN backend.Vec
	divisor       [8]byte
}

// way is how a strip is reduced.
type way uint8

const (
	toOne   way = iota // all of it to one element
	toRows             // the last dims to one element, for each index of the others
	mapped             // by a table
	columns            // added to other strips
)

// maxChain is how many strips are added one after the other.
const maxChain = 64

func newFold(k *Kernel, r *reduction, dt value.DType, take func(bytes float64)) *fold {
	s, c := &k.space, k.cut
	f := &fold{op: r.op, result: r.result, size: sizeOf(dt), each: 1, inner: 1}
	elements := 1
	last, rows := -1, 1 // rows counts the indices of dims behind the cut dim up to those that are reduced, 0 if there are others behind these
	for d, n := range s.dims {
		if s.reduced[d] {
			elements *= n
			last = d
		} else if d > c.at {
			rows *= n
			if last >= c.at {
				rows = 0
			}
		}
	}
	if r.op == backend.Mean {
		f.op, f.count = backend.Sum, float64(elements)
	}
	e := elementsOf(dt)
	f.whole, f.combine, f.divide = e.Fold[f.op].Do, e.Binary[combineOp(f.op)][backend.VV].Do, e.Binary[backend.Div][backend.VS].Do
	if dt == value.F32 {
		*(*float32)(unsafe.Pointer(&f.divisor)) = float32(f.count)
	} else {
		*(*float64)(unsafe.Pointer(&f.divisor)) = f.count
	}
	f.copyN = copyVec(f.size)
	switch {
	case last < c.at || last == c.at && c.at < len(s.dims)-1:
		f.way, f.along = columns, last
	case rows == 0:
		f.way = mapped
	case s.reduced[c.at]:
		f.way = toOne
	default:
		f.way = toRows
	}
	switch f.way {
	case columns:
		f.extents = append(f.extents, k.extents...)
		n := f.extents[f.along]
		f.groups = backend.CeilDiv(n, maxChain)
		f.each = backend.CeilDiv(n, f.groups)
		f.groups = backend.CeilDiv(n, f.each)
		f.extents[f.along] = f.groups
		f.tasks = 1
		for _, n := range f.extents {
			f.tasks *= n
		}
		f.dims = append(f.dims, s.dims...)
		f.dims[f.along] = f.groups
		f.reduced = s.reduced
		f.memory = c.len() * f.size
	default:
		f.tasks = k.count
		f.dims = append(f.dims, s.dims[:c.at+1]...)
		if s.reduced[c.at] {
			f.dims[c.at] = c.pieces
		}
		f.reduced = append(f.reduced, s.reduced[:c.at+1]...)
		switch f.way {
		case mapped:
			f.table(s, c)
		case toRows:
			f.inner = rows
			f.dims, f.reduced = append(f.dims, rows), append(f.reduced, false)
		}
	}
	f.layOut(take)
	return f
}

func combineOp(op backend.ReduceOp) backend.BinaryOp {
	switch op {
	case backend.MaxOf:
		return backend.Max
	case backend.MinOf:
		return backend.Min
	}
	return backend.Add
}

// table maps the elements behind the cut dim to the places of those that are kept.
func (f *fold) table(s *space, c cut) {
	f.places = []int32{0}
	for d := c.at + 1; d < len(s.dims); d++ {
		var next []int32
		for _, p := range f.places {
			for i := range s.dims[d] {
				if s.reduced[d] {
					next = append(next, p)
				} else {
					next = append(next, p*int32(s.dims[d])+int32(i))
				}
			}
		}
		f.places = next
		if !s.reduced[d] {
			f.inner *= s.dims[d]
			f.dims, f.reduced = append(f.dims, s.dims[d]), append(f.reduced, false)
		}
	}
	f.memory = 8 * f.inner
	if !s.reduced[c.at] {
		f.memory *= c.count
	}
}

// layOut decides whether the partial results are the results, and gives them memory if not.
func (f *fold) layOut(take func(bytes float64)) {
	size, results, more := 1, 1, false
	for d := len(f.dims) - 1; d >= 0; d-- {
		size *= f.dims[d]
		if !f.reduced[d] {
			results *= f.dims[d]
		}
		more = more || f.reduced[d] && f.dims[d] > 1
	}
	f.strides = make([]int, len(f.dims))
	step := 1
	for d := len(f.dims) - 1; d >= 0; d-- {
		f.strides[d] = step
		step *= f.dims[d]
	}
	if !more {
		return
	}
	if take != nil {
		take(float64(size)*float64(f.size) + 8*float64(results))
	}
	f.partial = backend.AlignedBytes(size * f.size)
	f.sums = make([]float64, results)
	var dims []int
	var reduced []bool
	for d, n := range f.dims {
		last := len(dims) - 1
		switch {
		case n == 1:
		case last >= 0 && reduced[last] == f.reduced[d]:
			dims[last] *= n
		default:
			dims, reduced = append(dims, n), append(reduced, f.reduced[d])
		}
	}
	f.dims, f.reduced = dims, reduced
}

// to returns where a partial result goes.
func (f *fold) to(k *Kernel, index int) unsafe.Pointer {
	base := k.base[k.operands+f.result]
	if f.partial != nil {
		base = unsafe.Pointer(unsafe.SliceData(f.partial))
	}
	return unsafe.Add(base, index*f.size)
}

// done turns n partial results that are results into means.
func (f *fold) done(y unsafe.Pointer, n int) {
	if f.count > 0 && f.partial == nil {
		f.divide(n, (*byte)(y), (*byte)(y), &f.divisor[0], nil)
	}
}

// take reduces the strip at a position.
func (f *fold) take(k *Kernel, w *worker, position, n int) {
	x := w.ptr[w.code.reduced]
	rows := k.rows(w)
	index := position // of the indices of the cut dim, or of its pieces
	if !k.space.reduced[k.cut.at] {
		index = position/k.cut.pieces*k.space.dims[k.cut.at] + w.coord[k.cut.at]*k.cut.count
	} else {
		rows = 1
	}
	y := f.to(k, index*f.inner)
	switch f.way {
	case toOne:
		f.whole(n, (*byte)(y), (*byte)(x), nil, nil)
	case toRows:
		length := k.cut.inner / f.inner
		for i := range rows * f.inner {
			f.whole(length, (*byte)(unsafe.Add(y, i*f.size)), (*byte)(unsafe.Add(x, i*length*f.size)), nil, nil)
		}
	case mapped:
		sums := unsafe.Slice((*float64)(w.acc), rows*f.inner)
		if f.size == 4 {
			mapTo(f, sums, unsafe.Slice((*float32)(y), len(sums)), unsafe.Slice((*float32)(x), n), n/len(f.places)/rows)
		} else {
			mapTo(f, sums, unsafe.Slice((*float64)(y), len(sums)), unsafe.Slice((*float64)(x), n), n/len(f.places)/rows)
		}
	}
	f.done(y, rows*f.inner)
}

// mapTo reduces x, of per times the elements behind the cut dim for each of the rows of y.
func mapTo[T backend.Float](f *fold, sums []float64, y, x []T, per int) {
	start := identity(f.op)
	for row := 0; row < len(y); row += f.inner {
		s := sums[row:][:f.inner]
		for i := range s {
			s[i] = start
		}
		for range per {
			part := x[:len(f.places)]
			x = x[len(part):]
			switch f.op {
			case backend.Sum:
				for i, p := range f.places {
					s[p] += float64(part[i])
				}
			case backend.MaxOf:
				for i, p := range f.places {
					s[p] = max(s[p], float64(part[i]))
				}
			default:
				for i, p := range f.places {
					s[p] = min(s[p], float64(part[i]))
				}
			}
		}
	}
	for i, v := range sums {
		y[i] = T(v)
	}
}

func identity(op backend.ReduceOp) float64 {
	switch op {
	case backend.MaxOf:
		return math.Inf(-1)
	case backend.MinOf:
		return math.Inf(1)
	}
	return 0
}

// task adds the strips of a group.
func (f *fold) task(k *Kernel, w *worker, t int) {
	index := 0 // of the first partial result
	for d := len(f.extents) - 1; d >= 0; d-- {
		at := t % f.extents[d]
		t /= f.extents[d]
		w.coord[d] = at
		switch {
		case d == f.along:
			w.coord[d] = at * f.each
			index += at * f.strides[d]
		case d == k.cut.at:
			index += at * k.cut.count * f.strides[d]
		default:
			index += at * f.strides[d]
		}
	}
	k.locate(w)
	steps := min(f.each, k.extents[f.along]-w.coord[f.along])
	length := 0
	for i := range steps {
		n := k.strip(w)
		x := w.ptr[w.code.reduced]
		if i == 0 {
			length = n
			f.copyN(n, (*byte)(w.acc), (*byte)(x), nil, nil)
		} else {
			f.combine(n, (*byte)(w.acc), (*byte)(w.acc), (*byte)(x), nil)
		}
		k.move(w, f.along, 1)
	}
	if f.along == k.cut.at { // the rows of the strip, the second half to the first
		inner := k.cut.inner
		for rows := length / inner; rows > 1; {
			half := rows / 2
			f.combine(half*inner, (*byte)(w.acc), (*byte)(w.acc), (*byte)(unsafe.Add(w.acc, (rows-half)*inner*f.size)), nil)
			rows -= half
		}
		length = inner
	}
	y := f.to(k, index)
	f.copyN(length, (*byte)(y), (*byte)(w.acc), nil, nil)
	f.done(y, length)
}

// finish reduces the partial results.
func (f *fold) finish(k *Kernel) {
	if f.partial == nil {
		return
	}
	start := identity(f.op)
	for i := range f.sums {
		f.sums[i] = start
	}
	y := k.base[k.operands+f.result]
	size := len(f.partial) / f.size
	if f.size == 4 {
		finish(f, unsafe.Slice((*float32)(y), len(f.sums)), unsafe.Slice((*float32)(unsafe.Pointer(&f.partial[0])), size))
	} else {
		finish(f, unsafe.Slice((*float64)(y), len(f.sums)), unsafe.Slice((*float64)(unsafe.Pointer(&f.partial[0])), size))
	}
}

func finish[T backend.Float](f *fold, y, x []T) {
	reduceTo(f, f.sums, x, 0)
	for i, v := range f.sums {
		if f.count > 0 {
			v /= f.count
		}
		y[i] = T(v)
	}
}

// reduceTo reduces the partial results x from dim d on to sums.
func reduceTo[T backend.Float](f *fold, sums []float64, x []T, d int) {
	if d == len(f.dims) {
		sums[0] = combine(f.op, sums[0], float64(x[0]))
		return
	}
	if d == len(f.dims)-1 && f.op == backend.Sum { // the common case
		if f.reduced[d] {
			s := sums[0]
			for _, v := range x {
				s += float64(v)
			}
			sums[0] = s
			return
		}
		for i, v := range x {
			sums[i] += float64(v)
		}
		return
	}
	n := len(x) / f.dims[d]
	for i := range f.dims[d] {
		s := sums
		if !f.reduced[d] {
			m := len(sums) / f.dims[d]
			s = sums[i*m:][:m]
		}
		reduceTo(f, s, x[i*n:][:n], d+1)
	}
}

func combine(op backend.ReduceOp, a, b float64) float64 {
	switch op {
	case backend.MaxOf:
		return max(a, b)
	case backend.MinOf:
		return min(a, b)
	}
	return a + b
}
