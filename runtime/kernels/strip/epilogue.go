package strip

import (
	"unsafe"

	"github.com/graphrun/graphrun/graph/value"
)

// Epilogue is an expression of the result of a matrix product or a convolution, and of other operands, that takes the place of
// that result part by part. It is a backend.Epilogue between Begin and End.
type Epilogue struct {
	k       *Kernel
	in, out []*value.Tensor
}

// BindEpilogue makes an epilogue of an expression with one result, whose first operand is the result of the producer, of the
// expression's shape and the result's dtype. The axes before the axis are the rows of the matrix that the producer sees, which has
// at least one axis of either kind. It returns nil if an operand is broadcast along some columns only.
func (b *Builder) BindEpilogue(axis int) *Epilogue {
	k := b.bind(axis)
	if k == nil || k.space.size > 0 && k.space.columnDims(b.shape[axis:]) != 1 {
		return nil
	}
	return &Epilogue{k: k, in: make([]*value.Tensor, len(b.operands)), out: make([]*value.Tensor, 1)}
}

// columnDims returns how many dims hold the columns.
func (s *space) columnDims(shape []int) (n int) {
	columns := 1
	for _, d := range shape {
		columns *= d
	}
	for size := 1; size < columns || n == 0; n++ {
		size *= s.dims[len(s.dims)-1-n]
	}
	return n
}

// Begin points the epilogue at the result and at the operands behind the first.
func (e *Epilogue) Begin(result *value.Tensor, operands []*value.Tensor) {
	if e.k.space.size == 0 {
		return
	}
	e.in[0], e.out[0] = result, result
	copy(e.in[1:], operands)
	e.k.begin(e.in, e.out)
}

// Workers makes the memory of n workers: see backend.Epilogue.
func (e *Epilogue) Workers(n int) {
	if e.k.space.size > 0 {
		e.k.Workers(n)
	}
}

// End lets go of what Begin took.
func (e *Epilogue) End() {
	clear(e.in)
	clear(e.out)
	e.k.end()
}

// Apply replaces a part of the result, as backend.Epilogue says.
func (e *Epilogue) Apply(number, r0, r1, c0, c1 int) {
	k := e.k
	w := k.worker(number)
	last := len(k.space.dims) - 1
	if k.cut.at == last {
		for r := r0; r < r1; r++ {
			k.seek(w, r*k.cut.pieces)
			for c := c0; c < c1; c += k.cut.count {
				k.load(w, 1)
				k.part(w, c, min(k.cut.count, c1-c))
			}
		}
		return
	}
	for r := r0; r < r1; {
		k.seek(w, r)
		rows := 1
		if c1-c0 == k.columns {
			rows = min(k.cut.count, k.space.dims[k.cut.at]-w.coord[k.cut.at], r1-r)
		}
		k.load(w, rows)
		if rows > 1 {
			k.execute(w, rows*k.columns)
		} else {
			k.part(w, c0, c1-c0)
		}
		r += rows
	}
}

// part runs the code on n columns of a row.
func (k *Kernel) part(w *worker, column, n int) {
	for i, moves := range k.moves {
		if moves {
			w.ptr[i] = unsafe.Add(w.ptr[i], column*k.sizes[i])
		}
	}
	k.execute(w, n)
}
