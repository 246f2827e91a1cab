package kernels

import (
	"math"
	"slices"

	"github.com/graphrun/graphrun/graph"
	"github.com/graphrun/graphrun/runtime/kernels/portable"
	"github.com/graphrun/graphrun/runtime/kernels/simd"
)

func init() {
	rowWise("softmax", lastAxis, []int{0}, softmax)
	rowWise("log_softmax", lastAxis, []int{0}, logSoftmax)
	rowWise("layer_norm", nil, []int{0}, layerNorm)
	rowWise("standardize", lanes, nil, standardize)
	rowWise("standardize_grad", lanes, nil, standardizeGrad)
	rowWise("logsumexp", suffix, nil, logSumExp)
}

// rowWise adds the f32 and the f64 row of an op that works on rows.
func rowWise(op string, match func([]graph.TensorType, graph.Attrs) bool, inPlace []int, bind func(*rowKernels, *Spec) (Func, error)) {
	for _, k := range []*rowKernels{rows32, rows64} {
		register(&Kernel{
			Op: op, DTypes: graph.DTypes(k.dtype), Match: match, InPlace: inPlace,
			Bind: func(s *Spec) (Func, error) { return bind(k, s) },
		})
	}
}

// rowKernels are the kernels over rows of package portable for one dtype, on storage. What an op has one scalar per row of is stored
// in the dtype too: load widens such scalars and store rounds them, so that arithmetic with them needs no second instance.
type rowKernels struct {
	dtype    graph.DType
	size     int // bytes of an element
	top      func(x []byte, ld, rows, n int, top []byte)
	exp      func(y, x []byte, ld, rows, n int, top, sum []byte)
	sumExp   func(x []byte, ld, rows, n int, top []byte, sum []float64)
	scale    func(y []byte, ld, rows, n int, scale []byte)
	shift    func(y, x []byte, ld, rows, n int, top, shift []byte)
	sum      func(x []byte, ld, rows, n int, sum []byte)
	sumWide  func(x []byte, ld, rows, n int, sum []float64)
	squares  func(x []byte, ld, rows, n int, mean, sum []byte)
	dot      func(x, y []byte, ld, rows, n int, sum []byte)
	norm     func(y, x []byte, ld, rows, n int, mean, scale []byte)
	affine   func(y, x []byte, ld, rows, n int, mean, scale, weight, bias []byte)
	normGrad func(dx, dy, y []byte, ld, rows, n int, mean, along, scale []byte)
	load     func(y []float64, x []byte)
	store    func(y []byte, x []float64)
}

// rowFuncs are the kernels over rows of package portable; see there.
type rowFuncs[T portable.Float] struct {
	top      func(x []T, ld, rows, n int, top []T)
	exp      func(y, x []T, ld, rows, n int, top, sum []T)
	sumExp   func(x []T, ld, rows, n int, top []T, sum []float64)
	scale    func(y []T, ld, rows, n int, scale []T)
	shift    func(y, x []T, ld, rows, n int, top, shift []T)
	sum      func(x []T, ld, rows, n int, sum []T)
	sumWide  func(x []T, ld, rows, n int, sum []float64)
	squares  func(x []T, ld, rows, n int, mean, sum []T)
	dot      func(x, y []T, ld, rows, n int, sum []T)
	norm     func(y, x []T, ld, rows, n int, mean, scale []T)
	affine   func(y, x []T, ld, rows, n int, mean, scale, weight, bias []T)
	normGrad func(dx, dy, y []T, ld, rows, n int, mean, along, scale []T)
}

var (
	rows32 = onStorage(graph.F32, &rowFuncs[float32]{
		simd.RowTop, simd.RowExp, simd.RowSumExp, simd.RowScale, simd.RowShift, simd.RowSum, simd.RowSumWide, simd.RowSquares,
		simd.RowDot, simd.RowNorm, simd.RowAffine, simd.RowNormGrad,
	})
	rows64 = onStorage(graph.F64, &rowFuncs[float64]{
		portable.RowTop[float64], portable.RowExp[float64], portable.RowSumExp[float64], portable.RowScale[float64],
		portable.RowShift[float64], portable.RowSum[float64], portable.RowSumWide[float64], portable.RowSquares[float64],
		portable.RowDot[float64], portable.RowNorm[float64], portable.RowAffine[float64], portable.RowNormGrad[float64],
	})
)

// onStorage makes kernels take storage.
func onStorage[T portable.Float](dt graph.DType, f *rowFuncs[T]) *rowKernels {
	return &rowKernels{
		dtype: dt,
		size:  sizeOf(dt),
		top:   func(x []byte, ld, rows, n int, top []byte) { f.top(cells[T](x), ld, rows, n, cells[T](top)) },
		exp: func(y, x []byte, ld, rows, n int, top, sum []byte) {
			f.exp(cells[T](y), cells[T](x), ld, rows, n, cells[T](top), cells[T](sum))
		},
		sumExp: func(x []byte, ld, rows, n int, top []byte, sum []float64) {
			f.sumExp(cells[T](x), ld, rows, n, cells[T](top), sum)
		},
		scale: func(y []byte, ld, rows, n int, scale []byte) { f.scale(cells[T](y), ld, rows, n, cells[T](scale)) },
		shift: func(y, x []byte, ld, rows, n int, top, shift []byte) {
			f.shift(cells[T](y), cells[T](x), ld, rows, n, cells[T](top), cells[T](shift))
		},
		sum:     func(x []byte, ld, rows, n int, sum []byte) { f.sum(cells[T](x), ld, rows, n, cells[T](sum)) },
		sumWide: func(x []byte, ld, rows, n int, sum []float64) { f.sumWide(cells[T](x), ld, rows, n, sum) },
		squares: func(x []byte, ld, rows, n int, mean, sum []byte) {
			f.squares(cells[T](x), ld, rows, n, cells[T](mean), cells[T](sum))
		},
		dot: func(x, y []byte, ld, rows, n int, sum []byte) {
			f.dot(cells[T](x), cells[T](y), ld, rows, n, cells[T](sum))
		},
		norm: func(y, x []byte, ld, rows, n int, mean, scale []byte) {
			f.norm(cells[T](y), cells[T](x), ld, rows, n, cells[T](mean), cells[T](scale))
		},
		affine: func(y, x []byte, ld, rows, n int, mean, scale, weight, bias []byte) {
			f.affine(cells[T](y), cells[T](x), ld, rows, n, cells[T](mean), cells[T](scale), cells[T](weight), cells[T](bias))
		},
		normGrad: func(dx, dy, y []byte, ld, rows, n int, mean, along, scale []byte) {
			f.normGrad(cells[T](dx), cells[T](dy), cells[T](y), ld, rows, n, cells[T](mean), cells[T](along), cells[T](scale))
		},
		load: func(y []float64, x []byte) {
			for i, v := range cells[T](x)[:len(y)] {
				y[i] = float64(v)
			}
		},
		store: func(y []byte, x []float64) {
			ys := cells[T](y)[:len(x)]
			for i, v := range x {
				ys[i] = T(v)
			}
		},
	}
}

// cells returns storage for n elements.
func (k *rowKernels) cells(n int) []byte { return newCells(n, k.size) }

// from returns the elements from i on, part those of them that there are count of.
func (k *rowKernels) from(x []byte, i int) []byte { return x[i*k.size:] }

func (k *rowKernels) part(x []byte, i, count int) []byte { return x[i*k.size:][:count*k.size] }

// in and out return the elements from i on of an operand and of a result.
func (k *rowKernels) in(c *Call, operand, i int) []byte { return k.from(c.In[operand].Bytes(), i) }

func (k *rowKernels) out(c *Call, result, i int) []byte { return k.from(c.Out[result].Bytes(), i) }

// fill stores one scalar in the rows that wide has room for.
func (k *rowKernels) fill(y []byte, v float64, wide []float64) {
	for i := range wide {
		wide[i] = v
	}
	k.store(y, wide)
}

// invRoots stores 1/sqrt(variance+eps) of rows; wide is room for them.
func (k *rowKernels) invRoots(y, variance []byte, eps float64, wide []float64) {
	k.load(wide, variance)
	for i, v := range wide {
		wide[i] = 1 / math.Sqrt(v+eps)
	}
	k.store(y, wide)
}

// divide divides scalars of rows; wide is room for them.
func (k *rowKernels) divide(y []byte, by float64, wide []float64) {
	k.load(wide, y)
	for i := range wide {
		wide[i] /= by
	}
	k.store(y, wide)
}

// lastAxis matches ops along the last axis.
func lastAxis(in []graph.TensorType, attrs graph.Attrs) bool {
	axis := attrs.Int("axis")
	return in[0].Rank() > 0 && (axis == in[0].Rank()-1 || axis == -1)
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
func suffix(in []graph.TensorType, attrs graph.Attrs) bool {
	return endReduced(isReduced(in[0].Rank(), attrs))
}

// lanes matches reductions over the last axes and, besides them, over first ones: those of layer and instance normalization, and of
// batch normalization over planes.
func lanes(in []graph.TensorType, attrs graph.Attrs) bool {
	reduced := isReduced(in[0].Rank(), attrs)
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

func newRowBlocks(rows, n int) rowBlocks {
	b := rowBlocks{rows: rows, n: n, block: min(rows, max(1, rowBlock/n))}
	b.chunk = b.block * max(1, rowsChunk/(b.block*n))
	return b
}

func (b rowBlocks) chunks() int { return (b.rows + b.chunk - 1) / b.chunk }

// slots returns how many slots there are.
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
func rowShape(shape []int) (rows, n int) {
	rows, n = 1, shape[len(shape)-1]
	for _, d := range shape[:len(shape)-1] {
		rows *= d
	}
	return rows, n
}

// rounded returns v as the dtype has it, which it stores in cell; wide is room for it.
func (k *rowKernels) rounded(v float64, cell []byte, wide []float64) float64 {
	wide[0] = v
	k.store(cell, wide[:1])
	k.load(wide[:1], cell)
	return wide[0]
}

// tops stores the maxima of a block of rows; part and wide are room for the maximum of a piece.
func (k *rowKernels) tops(b rowBlocks, x []byte, count int, top, part []byte, wide []float64) {
	if b.n <= rowBlock {
		k.top(x, b.n, count, b.n, top)
		return
	}
	most := math.Inf(-1)
	for at := 0; at < b.n; at += rowBlock {
		k.top(k.from(x, at), 0, 1, min(rowBlock, b.n-at), part)
		k.load(wide[:1], part)
		most = max(most, wide[0])
	}
	k.rounded(most, top, wide)
}

// sumExps stores the sums of e^(x-top) of a block of rows; part is room for those of pieces.
func (k *rowKernels) sumExps(b rowBlocks, x []byte, count int, top []byte, sum, part []float64) {
	if b.n <= rowBlock {
		k.sumExp(x, b.n, count, b.n, top, sum)
		return
	}
	sum[0] = 0
	for at := 0; at < b.n; at += rowBlock {
		k.sumExp(k.from(x, at), 0, 1, min(rowBlock, b.n-at), top, part)
		sum[0] += part[0]
	}
}

func softmax(k *rowKernels, s *Spec) (Func, error) {
	rows, n := rowShape(sizesOf(s.InTypes[0]))
	if rows*n == 0 {
		return nothing, nil
	}
	b := newRowBlocks(rows, n)
	tops, sums, parts, wides := k.cells(b.slots()), k.cells(b.slots()), k.cells(b.slots()), make([]float64, b.slots())
	return b.bind(8, func(c *Call, slot, r, count int) {
		x, y := k.in(c, 0, r*n), k.out(c, 0, r*n)
		top, sum, part, wide := k.part(tops, slot, count), k.part(sums, slot, count), k.part(parts, slot, count), wides[slot:][:count]
		k.tops(b, x, count, top, part, wide)
		if n <= rowBlock {
			k.exp(y, x, n, count, n, top, sum)
		} else {
			total := 0.0
			for at := 0; at < n; at += rowBlock {
				k.exp(k.from(y, at), k.from(x, at), 0, 1, min(rowBlock, n-at), top, part)
				k.load(wide, part)
				total = k.rounded(total+wide[0], sum, wide)
			}
		}
		k.load(wide, sum)
		for i, v := range wide {
			wide[i] = 1 / v
		}
		k.store(sum, wide)
		for at := 0; at < n; at += rowBlock {
			k.scale(k.from(y, at), n, count, min(rowBlock, n-at), sum)
		}
	}), nil
}

func logSoftmax(k *rowKernels, s *Spec) (Func, error) {
	rows, n := rowShape(sizesOf(s.InTypes[0]))
	if rows*n == 0 {
		return nothing, nil
	}
	b := newRowBlocks(rows, n)
	tops, shifts := k.cells(b.slots()), k.cells(b.slots())
	sums, parts := make([]float64, b.slots()), make([]float64, b.slots())
	return b.bind(8, func(c *Call, slot, r, count int) {
		x, y := k.in(c, 0, r*n), k.out(c, 0, r*n)
		top, shift, sum := k.part(tops, slot, count), k.part(shifts, slot, count), sums[slot:][:count]
		k.tops(b, x, count, top, shift, sum)
		k.sumExps(b, x, count, top, sum, parts[slot:])
		for i, v := range sum {
			sum[i] = math.Log(v)
		}
		k.store(shift, sum)
		for at := 0; at < n; at += rowBlock {
			k.shift(k.from(y, at), k.from(x, at), n, count, min(rowBlock, n-at), top, shift)
		}
	}), nil
}

// logSumExp is max + log(sum(e^(x-max))) of lanes over the last axes; a lane of nothing but -inf gives -inf.
func logSumExp(k *rowKernels, s *Spec) (Func, error) {
	shape := sizesOf(s.InTypes[0])
	rows, n := 1, 1
	for i, reduced := range isReduced(len(shape), s.Attrs) {
		if reduced {
			n *= shape[i]
		} else {
			rows *= shape[i]
		}
	}
	wides := make([]float64, rows)
	if rows*n == 0 {
		return func(c *Call) error {
			k.fill(c.Out[0].Bytes(), math.Inf(-1), wides)
			return nil
		}, nil
	}
	b := newRowBlocks(rows, n)
	tops, parts := k.cells(b.slots()), k.cells(b.slots())
	sums, sumParts := make([]float64, b.slots()), make([]float64, b.slots())
	return b.bind(8, func(c *Call, slot, r, count int) {
		x, top, wide, sum := k.in(c, 0, r*n), k.part(tops, slot, count), wides[r:][:count], sums[slot:][:count]
		k.tops(b, x, count, top, k.from(parts, slot), wide)
		k.load(wide, top)
		for i, v := range wide {
			if math.IsInf(v, 0) {
				wide[i] = 0 // inf-inf would be NaN
			}
		}
		k.store(top, wide)
		k.sumExps(b, x, count, top, sum, sumParts[slot:])
		for i, v := range sum {
			wide[i] += math.Log(v)
		}
		k.store(k.out(c, 0, r), wide)
	}), nil
}

// moments stores mean and biased variance of a block of rows; part and wide are room.
func (k *rowKernels) moments(b rowBlocks, x []byte, count int, mean, variance, part []byte, wide []float64) {
	if b.n <= rowBlock {
		k.sumWide(x, b.n, count, b.n, wide)
		for i := range wide {
			wide[i] /= float64(b.n)
		}
		k.store(mean, wide)
		k.squares(x, b.n, count, b.n, mean, variance)
		k.divide(variance, float64(b.n), wide)
		return
	}
	t := 0.0
	for at := 0; at < b.n; at += rowBlock {
		k.sumWide(k.from(x, at), 0, 1, min(rowBlock, b.n-at), wide)
		t += wide[0]
	}
	k.fill(mean, t/float64(b.n), wide)
	t = 0
	for at := 0; at < b.n; at += rowBlock {
		k.squares(k.from(x, at), 0, 1, min(rowBlock, b.n-at), mean, part)
		k.load(wide, part)
		t += wide[0]
	}
	k.fill(variance, t/float64(b.n), wide)
}

func layerNorm(k *rowKernels, s *Spec) (Func, error) {
	shape := sizesOf(s.InTypes[0])
	rows, n := 1, 1
	for i, d := range shape {
		if i < len(shape)-s.Int("axes") {
			rows *= d
		} else {
			n *= d
		}
	}
	if rows*n == 0 {
		return nothing, nil
	}
	eps := s.Float("eps")
	b := newRowBlocks(rows, n)
	means, scales, parts, wides := k.cells(b.slots()), k.cells(b.slots()), k.cells(b.slots()), make([]float64, b.slots())
	var zeros []byte
	if len(s.InTypes) == 2 {
		zeros = k.cells(n)
	}
	return b.bind(4, func(c *Call, slot, r, count int) {
		x, y := k.in(c, 0, r*n), k.out(c, 0, r*n)
		mean, scale, wide := k.part(means, slot, count), k.part(scales, slot, count), wides[slot:][:count]
		k.moments(b, x, count, mean, scale, k.from(parts, slot), wide)
		k.invRoots(scale, scale, eps, wide)
		if len(c.In) == 1 {
			for at := 0; at < n; at += rowBlock {
				k.norm(k.from(y, at), k.from(x, at), n, count, min(rowBlock, n-at), mean, scale)
			}
			return
		}
		weight, bias := c.In[1].Bytes(), zeros
		if len(c.In) > 2 {
			bias = c.In[2].Bytes()
		}
		for at := 0; at < n; at += rowBlock {
			k.affine(k.from(y, at), k.from(x, at), n, count, min(rowBlock, n-at), mean, scale, k.from(weight, at), k.from(bias, at))
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
func standardize(k *rowKernels, s *Spec) (Func, error) {
	outer, kept, n := laneShape(s, sizesOf(s.InTypes[0]))
	if outer*n == 0 {
		return nil, nil // statistics of nothing
	}
	if kept == 0 {
		return nothing, nil
	}
	eps := s.Float("eps")
	if outer > 1 {
		return standardizeLanes(k, outer, kept, n, eps), nil
	}
	b := newRowBlocks(kept, n)
	scales, parts, wides := k.cells(b.slots()), k.cells(b.slots()), make([]float64, b.slots())
	return b.bind(4, func(c *Call, slot, r, count int) {
		x, y := k.in(c, 0, r*n), k.out(c, 0, r*n)
		mean, variance, scale, wide := k.out(c, 1, r), k.out(c, 2, r), k.part(scales, slot, count), wides[slot:][:count]
		mean, variance = mean[:len(scale)], variance[:len(scale)]
		k.moments(b, x, count, mean, variance, k.from(parts, slot), wide)
		k.invRoots(scale, variance, eps, wide)
		for at := 0; at < n; at += rowBlock {
			k.norm(k.from(y, at), k.from(x, at), n, count, min(rowBlock, n-at), mean, scale)
		}
	}), nil
}

// lanePart is a part of a lane of [outer, kept, n]: rows of it at once, which are kept*n apart, or a piece of one row.
type lanePart struct {
	at      int // where it starts in the first lane
	o       int // its first row
	rows, n int
}

func laneParts(outer, kept, n int) []lanePart {
	var parts []lanePart
	rows := max(1, rowBlock/n)
	for o := 0; o < outer; o += rows {
		for at := 0; at < n; at += rowBlock {
			parts = append(parts, lanePart{o*kept*n + at, o, min(rows, outer-o), min(rowBlock, n-at)})
		}
	}
	return parts
}

func standardizeLanes(k *rowKernels, outer, kept, n int, eps float64) Func {
	ld := kept * n
	means, scales, parts, wides := k.cells(kept*outer), k.cells(kept*outer), k.cells(kept*outer), make([]float64, kept*outer)
	count, lane := float64(outer)*float64(n), laneParts(outer, kept, n)
	return inRanges(kept, outer*n/2, func(c *Call, _, lo, hi int) {
		x, y := c.In[0].Bytes(), c.Out[0].Bytes()
		for i := lo; i < hi; i++ {
			mean, scale, part, wide := k.part(means, i*outer, outer), k.part(scales, i*outer, outer), k.part(parts, i*outer, outer), wides[i*outer:][:outer]
			t := 0.0
			for _, p := range lane {
				k.sumWide(k.from(x, i*n+p.at), ld, p.rows, p.n, wide[p.o:])
				for _, v := range wide[p.o:][:p.rows] {
					t += v
				}
			}
			k.fill(mean, t/count, wide)
			k.store(k.out(c, 1, i), wide[:1])
			t = 0
			for _, p := range lane {
				k.squares(k.from(x, i*n+p.at), ld, p.rows, p.n, k.from(mean, p.o), k.from(part, p.o))
				k.load(wide[p.o:][:p.rows], k.from(part, p.o))
				for _, v := range wide[p.o:][:p.rows] {
					t += v
				}
			}
			variance := k.out(c, 2, i)
			k.fill(scale, 1/math.Sqrt(k.rounded(t/count, variance, wide)+eps), wide)
			for _, p := range lane {
				k.norm(k.from(y, i*n+p.at), k.from(x, i*n+p.at), ld, p.rows, p.n, k.from(mean, p.o), k.from(scale, p.o))
			}
		}
	})
}

// standardizeGrad is (dy - mean(dy) - y*mean(dy*y)) / sqrt(var+eps), of operands dy, y and var.
func standardizeGrad(k *rowKernels, s *Spec) (Func, error) {
	outer, kept, n := laneShape(s, sizesOf(s.InTypes[0]))
	if outer*kept*n == 0 {
		return nothing, nil
	}
	eps, ld := s.Float("eps"), kept*n
	count := float64(outer) * float64(n)
	if outer == 1 && n <= rowBlock {
		b := newRowBlocks(kept, n)
		means, alongs, scales, wides := k.cells(b.slots()), k.cells(b.slots()), k.cells(b.slots()), make([]float64, b.slots())
		return b.bind(4, func(c *Call, slot, r, count int) {
			dx, dy, y := k.out(c, 0, r*n), k.in(c, 0, r*n), k.in(c, 1, r*n)
			mean, along, scale, wide := k.part(means, slot, count), k.part(alongs, slot, count), k.part(scales, slot, count), wides[slot:][:count]
			k.sum(dy, n, count, n, mean)
			k.dot(dy, y, n, count, n, along)
			k.divide(mean, float64(n), wide)
			k.divide(along, float64(n), wide)
			k.invRoots(scale, k.in(c, 2, r), eps, wide)
			k.normGrad(dx, dy, y, n, count, n, mean, along, scale)
		}), nil
	}
	lane := laneParts(outer, kept, n)
	means, alongs, scales, wides := k.cells(kept*outer), k.cells(kept*outer), k.cells(kept*outer), make([]float64, kept*outer)
	return inRanges(kept, outer*n/2, func(c *Call, _, lo, hi int) {
		dx, dy, y := c.Out[0].Bytes(), c.In[0].Bytes(), c.In[1].Bytes()
		for i := lo; i < hi; i++ {
			mean, along, scale, wide := k.part(means, i*outer, outer), k.part(alongs, i*outer, outer), k.part(scales, i*outer, outer), wides[i*outer:][:outer]
			t, u := 0.0, 0.0
			for _, p := range lane {
				at := i*n + p.at
				k.sum(k.from(dy, at), ld, p.rows, p.n, k.from(mean, p.o))
				k.dot(k.from(dy, at), k.from(y, at), ld, p.rows, p.n, k.from(along, p.o))
				for r := p.o; r < p.o+p.rows; r++ {
					k.load(wide[:1], k.from(mean, r))
					t += wide[0]
					k.load(wide[:1], k.from(along, r))
					u += wide[0]
				}
			}
			k.fill(mean, t/count, wide)
			k.fill(along, u/count, wide)
			k.load(wide[:1], k.in(c, 2, i))
			k.fill(scale, 1/math.Sqrt(wide[0]+eps), wide)
			for _, p := range lane {
				at := i*n + p.at
				k.normGrad(k.from(dx, at), k.from(dy, at), k.from(y, at), ld, p.rows, p.n, k.from(mean, p.o), k.from(along, p.o), k.from(scale, p.o))
			}
		}
	}), nil
}
