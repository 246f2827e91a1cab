package kernels

import (
	"math"
	"slices"

	"github.com/graphrun/graphrun/graph"
	"github.com/graphrun/graphrun/runtime/kernels/backend"
	"github.com/graphrun/graphrun/runtime/kernels/level"
)

func init() {
	register(
		&Kernel{Op: "softmax", DTypes: stripFloats, Match: lastAxis, InPlace: []int{0}, Bind: rowWise(softmax[float32], softmax[float64])},
		&Kernel{Op: "log_softmax", DTypes: stripFloats, Match: lastAxis, InPlace: []int{0}, Bind: rowWise(logSoftmax[float32], logSoftmax[float64])},
		&Kernel{Op: "layer_norm", DTypes: stripFloats, InPlace: []int{0}, Bind: rowWise(layerNorm[float32], layerNorm[float64])},
		&Kernel{Op: "standardize", DTypes: stripFloats, Match: lanes, Bind: rowWise(standardize[float32], standardize[float64])},
		&Kernel{Op: "standardize_grad", DTypes: stripFloats, Match: lanes, Bind: rowWise(standardizeGrad[float32], standardizeGrad[float64])},
		&Kernel{Op: "logsumexp", DTypes: stripFloats, Match: suffix, Bind: rowWise(logSumExp[float32], logSumExp[float64])},
	)
}

// rowWise is the Bind of a row for an op that works on rows of f32 or f64. Inlined, it takes 4.6 kB of a service.
//
//go:noinline
func rowWise(f32 func(*backend.Rows[float32], *Spec) (Func, error), f64 func(*backend.Rows[float64], *Spec) (Func, error)) binder {
	return byFloat(
		func(s *Spec) (Func, error) { return f32(&level.Table().F32.Rows, s) },
		func(s *Spec) (Func, error) { return f64(&level.Table().F64.Rows, s) },
	)
}

// lastAxis matches ops along the last axis.
func lastAxis(s *Signature) bool {
	axis, rank := s.Int("axis"), s.In[0].Rank
	return rank > 0 && (axis == rank-1 || axis == -1)
}

// isReduced returns which axes of a rank the attribute axes names.
func isReduced(rank int, attrs graph.Attrs) []bool {
	reduced := make([]bool, rank)
	for _, a := range attrs.Ints("axes") {
		if a < 0 {
			a += rank
		}
		if a >= 0 && a < rank {
			reduced[a] = true
		}
	}
	return reduced
}

// suffix matches reductions over the last axes.
func suffix(s *Signature) bool {
	return endReduced(isReduced(s.In[0].Rank, s.Attrs))
}

// lanes matches reductions over the last axes and, besides them, over first ones: those of layer and instance normalization, and of
// batch normalization over planes.
func lanes(s *Signature) bool {
	reduced := isReduced(s.In[0].Rank, s.Attrs)
	kept := slices.Index(reduced, false)
	return kept < 0 && len(reduced) > 0 || kept >= 0 && endReduced(reduced[kept:])
}

// endReduced reports whether axes are kept and, from some on, reduced.
func endReduced(reduced []bool) bool {
	first := slices.Index(reduced, true)
	return first >= 0 && !slices.Contains(reduced[first:], false)
}

const (
	// rowBlock is the number of elements that go through all kernels of an op before the next ones do: they stay in the
	// first-level cache. Rows that are longer go through them piece by piece.
	rowBlock = 1 << 12
	// rowsChunk is the number of elements of a chunk of work.
	rowsChunk = 1 << 14
)

// rowBlocks cuts rows of n elements into blocks, and blocks into chunks for threads. Every block of a chunk has the same slots for
// one scalar per row.
type rowBlocks struct{ rows, n, block, chunk int }

//go:noinline
func newRowBlocks(rows, n int) rowBlocks {
	b := rowBlocks{rows: rows, n: n, block: min(rows, max(1, rowBlock/n))}
	b.chunk = b.block * max(1, rowsChunk/(b.block*n))
	return b
}

func (b rowBlocks) chunks() int { return backend.CeilDiv(b.rows, b.chunk) }

// slots returns how many slots there are.
//
//go:noinline
func (b rowBlocks) slots() int { return b.chunks() * b.block }

// bind returns the Func that calls do for every block: rows from r on, count of them, with slots from slot on.
func (b rowBlocks) bind(cost int, do func(c *Call, slot, r, count int)) Func {
	return inChunks(b.chunks(), b.rows*b.n*cost/8, func(c *Call, _, chunk int) {
		end := min((chunk+1)*b.chunk, b.rows)
		for r := chunk * b.chunk; r < end; r += b.block {
			do(c, chunk*b.block, r, min(b.block, end-r))
		}
	})
}

func nothing(*Call) error { return nil }

// rowShape returns a shape as rows along its last axis.
//
//go:noinline
func rowShape(shape []int) (rows, n int) {
	last := len(shape) - 1
	return product(shape[:last]), shape[last]
}

// rowTops stores the maxima of a block of rows; part is room for those of pieces.
func rowTops[T backend.Float](f *backend.Rows[T], b rowBlocks, x []T, count int, top, part []T) {
	if b.n <= rowBlock {
		f.Top(x, b.n, count, b.n, top)
		return
	}
	top[0] = T(math.Inf(-1))
	for at := 0; at < b.n; at += rowBlock {
		f.Top(x[at:], 0, 1, min(rowBlock, b.n-at), part)
		top[0] = max(top[0], part[0])
	}
}

// rowSumExps stores the sums of e^(x-top) of a block of rows; part is room for those of pieces.
func rowSumExps[T backend.Float](f *backend.Rows[T], b rowBlocks, x []T, count int, top []T, sum, part []float64) {
	if b.n <= rowBlock {
		f.SumExp(x, b.n, count, b.n, top, sum)
		return
	}
	sum[0] = 0
	for at := 0; at < b.n; at += rowBlock {
		f.SumExp(x[at:], 0, 1, min(rowBlock, b.n-at), top, part)
		sum[0] += part[0]
	}
}

func softmax[T backend.Float](f *backend.Rows[T], s *Spec) (Func, error) {
	rows, n := rowShape(sizesOf(s.InTypes[0]))
	if rows*n == 0 {
		return nothing, nil
	}
	b := newRowBlocks(rows, n)
	tops, sums, parts := make([]T, b.slots()), make([]T, b.slots()), make([]T, b.slots())
	return b.bind(8, func(c *Call, slot, r, count int) {
		x, y := elems[T](c.In[0])[r*n:], elems[T](c.Out[0])[r*n:]
		top, sum, part := tops[slot:][:count], sums[slot:][:count], parts[slot:][:count]
		rowTops(f, b, x, count, top, part)
		if n <= rowBlock {
			f.Exp(y, x, n, count, n, top, sum)
		} else {
			sum[0] = 0
			for at := 0; at < n; at += rowBlock {
				f.Exp(y[at:], x[at:], 0, 1, min(rowBlock, n-at), top, part)
				sum[0] += part[0]
			}
		}
		for i, v := range sum {
			sum[i] = 1 / v
		}
		for at := 0; at < n; at += rowBlock {
			f.Scale(y[at:], n, count, min(rowBlock, n-at), sum)
		}
	}), nil
}

func logSoftmax[T backend.Float](f *backend.Rows[T], s *Spec) (Func, error) {
	rows, n := rowShape(sizesOf(s.InTypes[0]))
	if rows*n == 0 {
		return nothing, nil
	}
	b := newRowBlocks(rows, n)
	tops, shifts := make([]T, b.slots()), make([]T, b.slots())
	sums, parts := make([]float64, b.slots()), make([]float64, b.slots())
	return b.bind(8, func(c *Call, slot, r, count int) {
		x, y := elems[T](c.In[0])[r*n:], elems[T](c.Out[0])[r*n:]
		top, shift, sum := tops[slot:][:count], shifts[slot:][:count], sums[slot:][:count]
		rowTops(f, b, x, count, top, shift)
		rowSumExps(f, b, x, count, top, sum, parts[slot:])
		for i, v := range sum {
			shift[i] = T(math.Log(v))
		}
		for at := 0; at < n; at += rowBlock {
			f.Shift(y[at:], x[at:], n, count, min(rowBlock, n-at), top, shift)
		}
	}), nil
}

// logSumExp is max + log(sum(e^(x-max))) of lanes over the last axes; a lane of nothing but -inf gives -inf.
func logSumExp[T backend.Float](f *backend.Rows[T], s *Spec) (Func, error) {
	rows, n := suffixShape(s)
	if rows*n == 0 {
		return func(c *Call) error {
			y := elems[T](c.Out[0])
			for i := range y {
				y[i] = T(math.Inf(-1))
			}
			return nil
		}, nil
	}
	b := newRowBlocks(rows, n)
	tops, parts := make([]T, b.slots()), make([]T, b.slots())
	sums, sumParts := make([]float64, b.slots()), make([]float64, b.slots())
	return b.bind(8, func(c *Call, slot, r, count int) {
		x, y := elems[T](c.In[0])[r*n:], elems[T](c.Out[0])[r:]
		top, sum := tops[slot:][:count], sums[slot:][:count]
		rowTops(f, b, x, count, top, parts[slot:])
		for i, v := range top {
			if math.IsInf(float64(v), 0) {
				top[i] = 0 // inf-inf would be NaN
			}
		}
		rowSumExps(f, b, x, count, top, sum, sumParts[slot:])
		for i, v := range sum {
			y[i] = T(math.Log(v) + float64(top[i]))
		}
	}), nil
}

// rowMoments stores mean and biased variance of a block of rows; part is room.
func rowMoments[T backend.Float](f *backend.Rows[T], b rowBlocks, x []T, count int, mean, variance, part []T, sum []float64) {
	if b.n <= rowBlock {
		f.SumWide(x, b.n, count, b.n, sum)
		for i, v := range sum[:count] {
			mean[i] = T(v / float64(b.n))
		}
		f.Squares(x, b.n, count, b.n, mean, variance)
		for i, v := range variance[:count] {
			variance[i] = v / T(b.n)
		}
		return
	}
	t := 0.0
	for at := 0; at < b.n; at += rowBlock {
		f.SumWide(x[at:], 0, 1, min(rowBlock, b.n-at), sum)
		t += sum[0]
	}
	mean[0], t = T(t/float64(b.n)), 0
	for at := 0; at < b.n; at += rowBlock {
		f.Squares(x[at:], 0, 1, min(rowBlock, b.n-at), mean, part)
		t += float64(part[0])
	}
	variance[0] = T(t / float64(b.n))
}

func layerNorm[T backend.Float](f *backend.Rows[T], s *Spec) (Func, error) {
	shape := sizesOf(s.InTypes[0])
	kept := len(shape) - s.Int("axes")
	rows, n := product(shape[:kept]), product(shape[kept:])
	if rows*n == 0 {
		return nothing, nil
	}
	eps := s.Float("eps")
	b := newRowBlocks(rows, n)
	means, scales, parts, sums := make([]T, b.slots()), make([]T, b.slots()), make([]T, b.slots()), make([]float64, b.slots())
	var zeros []T
	if len(s.InTypes) == 2 {
		zeros = make([]T, n)
	}
	return b.bind(4, func(c *Call, slot, r, count int) {
		x, y := elems[T](c.In[0])[r*n:], elems[T](c.Out[0])[r*n:]
		mean, scale := means[slot:][:count], scales[slot:][:count]
		rowMoments(f, b, x, count, mean, scale, parts[slot:], sums[slot:])
		for i, v := range scale {
			scale[i] = T(1 / math.Sqrt(float64(v)+eps))
		}
		if len(c.In) == 1 {
			for at := 0; at < n; at += rowBlock {
				f.Norm(y[at:], x[at:], n, count, min(rowBlock, n-at), mean, scale)
			}
			return
		}
		weight, bias := elems[T](c.In[1]), zeros
		if len(c.In) > 2 {
			bias = elems[T](c.In[2])
		}
		for at := 0; at < n; at += rowBlock {
			f.Affine(y[at:], x[at:], n, count, min(rowBlock, n-at), mean, scale, weight[at:], bias[at:])
		}
	}), nil
}

// laneShape returns a shape as [outer, lanes, n] where lanes are kept and the others reduced; see the function lanes.
func laneShape(s *Spec, shape []int) (outer, kept, n int) {
	outer, kept, n = 1, 1, 1
	reduced := isReduced(len(shape), s.Attrs)
	first := slices.Index(reduced, false)
	if first < 0 {
		first = 0
	}
	for i, d := range shape {
		switch {
		case !reduced[i]:
			kept *= d
		case i < first:
			outer *= d
		default:
			n *= d
		}
	}
	return outer, kept, n
}

// standardize works on rows if nothing is reduced but the last axes, else on each lane, whose rows are kept*n apart.
func standardize[T backend.Float](f *backend.Rows[T], s *Spec) (Func, error) {
	outer, kept, n := laneShape(s, sizesOf(s.InTypes[0]))
	if outer*n == 0 {
		return byReference(s) // statistics of nothing
	}
	if kept == 0 {
		return nothing, nil
	}
	eps := s.Float("eps")
	if outer > 1 {
		return standardizeLanes(f, outer, kept, n, eps), nil
	}
	b := newRowBlocks(kept, n)
	scales, parts, sums := make([]T, b.slots()), make([]T, b.slots()), make([]float64, b.slots())
	return b.bind(4, func(c *Call, slot, r, count int) {
		x, y := elems[T](c.In[0])[r*n:], elems[T](c.Out[0])[r*n:]
		mean, variance := elems[T](c.Out[1])[r:][:count], elems[T](c.Out[2])[r:][:count]
		rowMoments(f, b, x, count, mean, variance, parts[slot:], sums[slot:])
		scale := scales[slot:][:count]
		for i, v := range variance {
			scale[i] = T(1 / math.Sqrt(float64(v)+eps))
		}
		for at := 0; at < n; at += rowBlock {
			f.Norm(y[at:], x[at:], n, count, min(rowBlock, n-at), mean, scale)
		}
	}), nil
}

// lane calls do for parts of a lane of [outer, kept, n]: rows of it at once, which are kept*n apart, or pieces of one row. at is
// where the part starts; o and rows tell which rows it is of.
func lane(outer, kept, n, k int, do func(at, o, rows, n int)) {
	rows := max(1, rowBlock/n)
	for o := 0; o < outer; o += rows {
		for at := 0; at < n; at += rowBlock {
			do((o*kept+k)*n+at, o, min(rows, outer-o), min(rowBlock, n-at))
		}
	}
}

func standardizeLanes[T backend.Float](f *backend.Rows[T], outer, kept, n int, eps float64) Func {
	ld := kept * n
	means, scales, parts := make([]T, kept*outer), make([]T, kept*outer), make([]T, kept*outer)
	sums := make([]float64, kept*outer)
	count := float64(outer) * float64(n)
	return inRanges(kept, outer*n/2, func(c *Call, _, lo, hi int) {
		x, y := elems[T](c.In[0]), elems[T](c.Out[0])
		for k := lo; k < hi; k++ {
			mean, scale, part, sum := means[k*outer:][:outer], scales[k*outer:][:outer], parts[k*outer:][:outer], sums[k*outer:][:outer]
			t := 0.0
			lane(outer, kept, n, k, func(at, o, rows, n int) {
				f.SumWide(x[at:], ld, rows, n, sum[o:])
				for _, v := range sum[o:][:rows] {
					t += v
				}
			})
			m := T(t / count)
			for i := range mean {
				mean[i] = m
			}
			t = 0
			lane(outer, kept, n, k, func(at, o, rows, n int) {
				f.Squares(x[at:], ld, rows, n, mean[o:], part[o:])
				for _, v := range part[o:][:rows] {
					t += float64(v)
				}
			})
			variance := T(t / count)
			r := T(1 / math.Sqrt(float64(variance)+eps))
			for i := range scale {
				scale[i] = r
			}
			lane(outer, kept, n, k, func(at, o, rows, n int) {
				f.Norm(y[at:], x[at:], ld, rows, n, mean[o:], scale[o:])
			})
			elems[T](c.Out[1])[k], elems[T](c.Out[2])[k] = m, variance
		}
	})
}

// standardizeGrad is (dy - mean(dy) - y*mean(dy*y)) / sqrt(var+eps), of operands dy, y and var.
func standardizeGrad[T backend.Float](f *backend.Rows[T], s *Spec) (Func, error) {
	outer, kept, n := laneShape(s, sizesOf(s.InTypes[0]))
	if outer*kept*n == 0 {
		return nothing, nil
	}
	eps, ld := s.Float("eps"), kept*n
	count := float64(outer) * float64(n)
	if outer == 1 && n <= rowBlock {
		b := newRowBlocks(kept, n)
		means, alongs, scales := make([]T, b.slots()), make([]T, b.slots()), make([]T, b.slots())
		return b.bind(4, func(c *Call, slot, r, count int) {
			dx, dy, y := elems[T](c.Out[0])[r*n:], elems[T](c.In[0])[r*n:], elems[T](c.In[1])[r*n:]
			mean, along, scale := means[slot:][:count], alongs[slot:][:count], scales[slot:][:count]
			f.Reduce[backend.Sum](dy, n, count, n, mean)
			f.Dot(dy, y, n, count, n, along)
			for i, v := range elems[T](c.In[2])[r:][:count] {
				mean[i] /= T(n)
				along[i] /= T(n)
				scale[i] = T(1 / math.Sqrt(float64(v)+eps))
			}
			f.NormGrad(dx, dy, y, n, count, n, mean, along, scale)
		}), nil
	}
	means, alongs, scales := make([]T, kept*outer), make([]T, kept*outer), make([]T, kept*outer)
	return inRanges(kept, outer*n/2, func(c *Call, _, lo, hi int) {
		dx, dy, y := elems[T](c.Out[0]), elems[T](c.In[0]), elems[T](c.In[1])
		for k := lo; k < hi; k++ {
			mean, along, scale := means[k*outer:][:outer], alongs[k*outer:][:outer], scales[k*outer:][:outer]
			t, u := 0.0, 0.0
			lane(outer, kept, n, k, func(at, o, rows, n int) {
				f.Reduce[backend.Sum](dy[at:], ld, rows, n, mean[o:])
				f.Dot(dy[at:], y[at:], ld, rows, n, along[o:])
				for i, v := range mean[o:][:rows] {
					t += float64(v)
					u += float64(along[o+i])
				}
			})
			r := T(1 / math.Sqrt(float64(elems[T](c.In[2])[k])+eps))
			for i := range mean {
				mean[i], along[i], scale[i] = T(t/count), T(u/count), r
			}
			lane(outer, kept, n, k, func(at, o, rows, n int) {
				f.NormGrad(dx[at:], dy[at:], y[at:], ld, rows, n, mean[o:], along[o:], scale[o:])
			})
		}
	}), nil
}
