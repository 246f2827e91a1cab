package portable

import "fmt"

// Conv2DParams describes a 2-D convolution: a correlation, as in PyTorch and
// ONNX, of x [N, C, H, W] with w [OC, C/Groups, KH, KW], giving
// y [N, OC, OutH, OutW]. Zero strides, dilations and Groups mean 1.
type Conv2DParams struct {
	N, C, H, W                           int
	OC, KH, KW                           int
	StrideH, StrideW                     int
	PadTop, PadLeft, PadBottom, PadRight int
	DilH, DilW                           int
	Groups                               int
}

// OutH returns the height of the output.
func (p Conv2DParams) OutH() int {
	return outSize(p.H+p.PadTop+p.PadBottom, p.KH, p.StrideH, p.DilH)
}

// OutW returns the width of the output.
func (p Conv2DParams) OutW() int {
	return outSize(p.W+p.PadLeft+p.PadRight, p.KW, p.StrideW, p.DilW)
}

func outSize(in, k, stride, dil int) int {
	span := (k-1)*max(dil, 1) + 1
	if in < span {
		return 0
	}
	return (in-span)/max(stride, 1) + 1
}

// convFew is the number of output channels (per group) up to which patches are
// better laid out a tap per row, and few taps walked along those rows.
const convFew = 8

// conv is a Conv2DParams with defaults filled in and derived sizes.
//
// The convolutions are implicit GEMMs, in the dot-product form of dotTile: the
// patches that a block of tileN output pixels sees are copied into rows, from an
// input plane padded with zeros where the convolution pads. The order of
// summation is that of a GEMM whose K runs over (channel, kh, kw).
type conv struct {
	Conv2DParams
	oh, ow, out    int // output plane
	cg, ocg, taps  int // per group: channels in and out, cg*KH*KW
	kk             int // KH*KW
	hp, wp         int // padded input plane
	padded         bool
	pointwise      bool // 1x1, stride 1, no padding: a plain GEMM
	chBlock        int  // channels per task of both gradients
	chBlocks       int
	chunks, chunkN int // weight gradient: partial sums over chunkN samples each
}

func newConv(kernel string, p Conv2DParams) conv {
	p.StrideH, p.StrideW = max(p.StrideH, 1), max(p.StrideW, 1)
	p.DilH, p.DilW = max(p.DilH, 1), max(p.DilW, 1)
	p.Groups = max(p.Groups, 1)
	if p.C%p.Groups != 0 || p.OC%p.Groups != 0 {
		panic(fmt.Sprintf("portable: %s: %d groups do not divide %d and %d channels", kernel, p.Groups, p.C, p.OC))
	}
	if p.PadTop < 0 || p.PadLeft < 0 || p.PadBottom < 0 || p.PadRight < 0 {
		panic(fmt.Sprintf("portable: %s: negative padding", kernel))
	}
	q := conv{Conv2DParams: p, oh: p.OutH(), ow: p.OutW(), cg: p.C / p.Groups, ocg: p.OC / p.Groups, kk: p.KH * p.KW}
	q.out = q.oh * q.ow
	q.taps = q.cg * q.kk
	q.hp, q.wp = p.H+p.PadTop+p.PadBottom, p.W+p.PadLeft+p.PadRight
	q.padded = q.hp != p.H || q.wp != p.W
	q.pointwise = q.kk == 1 && p.StrideH == 1 && p.StrideW == 1 && !q.padded
	// Enough rows per task that copying dy (or a patch) is paid back.
	q.chBlock = max(1, min((64+q.kk-1)/max(q.kk, 1), q.cg))
	q.chBlocks = (q.cg + q.chBlock - 1) / q.chBlock
	q.chunks = 1
	if q.chBlocks*p.Groups < 8 {
		q.chunks = max(1, min(8, p.N/4))
	}
	q.chunkN = (p.N + q.chunks - 1) / q.chunks
	if q.chunkN > 0 {
		q.chunks = (p.N + q.chunkN - 1) / q.chunkN
	}
	return q
}

// planeLen is the room for the padded planes of that many channels.
func (q *conv) planeLen(channels int) int {
	if !q.padded {
		return 0
	}
	return channels * q.hp * q.wp
}

func (q *conv) forwardLen() (plane, pack int) {
	return q.planeLen(q.cg), min(q.out, tileN) * min(q.taps, tileK)
}

func (q *conv) check(kernel string, x, y, w int) {
	need(kernel, "x or dx", x, q.N*q.C*q.H*q.W)
	need(kernel, "y or dy", y, q.N*q.OC*q.out)
	need(kernel, "w or dw", w, q.OC*q.taps)
}

// pad returns the planes of that many channels of x, padded: x itself, or a copy
// in buf.
func pad[T Float](q *conv, x []T, channels int, buf []T) []T {
	if !q.padded {
		return x
	}
	buf = buf[:channels*q.hp*q.wp]
	clear(buf)
	for c := range channels {
		for h := range q.H {
			copy(buf[(c*q.hp+h+q.PadTop)*q.wp+q.PadLeft:], x[(c*q.H+h)*q.W:][:q.W])
		}
	}
	return buf
}

// Conv2DScratchLen returns the length of Conv2D's scratch for that many workers.
func Conv2DScratchLen(p Conv2DParams, workers int) int {
	q := newConv("Conv2D", p)
	plane, pack := q.forwardLen()
	return workers * (plane + pack)
}

// Conv2D computes the convolution y of x with w. A sample of y has the same bits
// for any N. Padding is zeros that take part: with an infinite weight it is NaN.
func Conv2D[T Float](p Conv2DParams, y, x, w, scratch []T) {
	q := newConv("Conv2D", p)
	q.check("Conv2D", len(x), len(y), len(w))
	if q.N*q.OC*q.out == 0 {
		return
	}
	if q.taps == 0 {
		clear(y[:q.N*q.OC*q.out])
		return
	}
	plane, pack := q.forwardLen()
	if serial(q.N * q.OC * q.out * q.taps / 4) {
		if scratch == nil {
			scratch = make([]T, plane+pack)
		}
		need("Conv2D", "scratch", len(scratch), plane+pack)
		for i := range q.N * q.Groups {
			convForward(&q, i, 0, q.out, y, pad(&q, x[i*q.cg*q.H*q.W:], q.cg, scratch), w, scratch[plane:])
		}
		return
	}
	convForwardParallel(q, y, x, w, scratch)
}

func convForwardParallel[T Float](q conv, y, x, w, scratch []T) {
	plane, pack := q.forwardLen()
	per := plane + pack
	jobs := q.N * q.Groups
	if jobs >= 2*Threads() {
		s, workers := workerScratch("Conv2D", scratch, 0, per)
		grain := max(1, serialWork/(4*max(q.ocg*q.out*q.taps, 1)))
		parallelWorkers(jobs, grain, workers, func(wk, lo, hi int) {
			buf := s[wk*per : (wk+1)*per]
			for i := lo; i < hi; i++ {
				convForward(&q, i, 0, q.out, y, pad(&q, x[i*q.cg*q.H*q.W:], q.cg, buf), w, buf[plane:])
			}
		})
		return
	}
	// Few samples: the workers share one, by blocks of its pixels.
	s, workers := workerScratch("Conv2D", scratch, plane, pack)
	for i := range jobs {
		xi := pad(&q, x[i*q.cg*q.H*q.W:], q.cg, s)
		parallelWorkers(q.out, tileN, workers, func(wk, lo, hi int) {
			convForward(&q, i, lo, hi, y, xi, w, s[plane+wk*pack:])
		})
	}
}

// convForward computes output pixels [lo, hi), lo a multiple of tileN, of all
// channels of job i = sample*Groups + group, from its padded planes.
func convForward[T Float](q *conv, i, lo, hi int, y, planes, w, pack []T) {
	y = y[i*q.ocg*q.out:]
	w = w[i%q.Groups*q.ocg*q.taps:]
	for p0 := lo; p0 < hi; p0 += tileN {
		np := min(tileN, hi-p0)
		if q.ocg <= convFew && q.taps <= tileK {
			patches[T]{q, planes, pack}.columns(p0, np, q.cg)
			for oc := range q.ocg {
				axpyTile(np, q.taps, w[oc*q.taps:], 1, pack, np, y[oc*q.out+p0:], 1, false)
			}
			continue
		}
		for k0 := 0; k0 < q.taps; k0 += tileK {
			kc := min(tileK, q.taps-k0)
			if q.pointwise {
				transposeInto(pack, planes[k0*q.out+p0:], q.out, kc, np)
			} else {
				patches[T]{q, planes, pack}.rows(p0, np, k0, kc)
			}
			dotTile(q.ocg, np, kc, w[k0:], q.taps, pack, kc, y[p0:], q.out, k0 > 0)
		}
	}
}

// patches copies what output pixels see into rows of dst.
type patches[T Float] struct {
	*conv
	planes, dst []T
}

// rows writes taps [k0, k0+kc) of np pixels from p0 on, a pixel per row.
func (s patches[T]) rows(p0, np, k0, kc int) {
	c0, r := k0/s.kk, k0%s.kk
	kh0, kw0 := r/s.KW, r%s.KW
	oh, ow := p0/s.ow, p0%s.ow
	for i := range np {
		dst := s.dst[i*kc : (i+1)*kc]
		c, kh, kw := c0, kh0, kw0
		base := oh*s.StrideH*s.wp + ow*s.StrideW
		for len(dst) > 0 {
			run := min(s.KW-kw, len(dst))
			src := s.planes[base+(c*s.hp+kh*s.DilH)*s.wp+kw*s.DilW:]
			switch {
			case s.DilW != 1:
				for j := range run {
					dst[j] = src[j*s.DilW]
				}
			case run == 3:
				*(*[3]T)(dst) = [3]T(src)
			case run == 5:
				*(*[5]T)(dst) = [5]T(src)
			default:
				d, v := dst[:run], src[:run]
				for j := range d {
					d[j] = v[j]
				}
			}
			dst = dst[run:]
			kw = 0
			if kh++; kh == s.KH {
				kh = 0
				c++
			}
		}
		if ow++; ow == s.ow {
			ow = 0
			oh++
		}
	}
}

// columns writes what np pixels from p0 on see through all taps of the planes'
// first channels, a tap per row.
func (s patches[T]) columns(p0, np, channels int) {
	row := 0
	for c := range channels {
		for kh := range s.KH {
			for kw := range s.KW {
				dst := s.dst[row*np : (row+1)*np]
				row++
				oh, ow := p0/s.ow, p0%s.ow
				for len(dst) > 0 {
					run := min(s.ow-ow, len(dst))
					src := s.planes[(c*s.hp+oh*s.StrideH+kh*s.DilH)*s.wp+ow*s.StrideW+kw*s.DilW:]
					if s.StrideW == 1 {
						copy(dst[:run], src)
					} else {
						for j := range run {
							dst[j] = src[j*s.StrideW]
						}
					}
					dst = dst[run:]
					ow = 0
					oh++
				}
			}
		}
	}
}

func (q *conv) inputGradLen() (plane, pack, sums int) {
	block := q.chBlock * q.kk
	return q.planeLen(q.chBlock), min(q.ocg, tileK) * (min(q.out, tileN) + min(block, tileM)), block * min(q.out, tileN)
}

// Conv2DInputGradScratchLen returns the length of Conv2DInputGrad's scratch for
// that many workers.
func Conv2DInputGradScratchLen(p Conv2DParams, workers int) int {
	q := newConv("Conv2DInputGrad", p)
	plane, pack, sums := q.inputGradLen()
	return workers * (plane + pack + sums)
}

// Conv2DInputGrad computes the gradient dx of Conv2D's x from the gradient dy of
// its output. A sample of dx has the same bits for any N.
func Conv2DInputGrad[T Float](p Conv2DParams, dx, dy, w, scratch []T) {
	q := newConv("Conv2DInputGrad", p)
	q.check("Conv2DInputGrad", len(dx), len(dy), len(w))
	if q.N*q.C*q.H*q.W == 0 {
		return
	}
	if q.N*q.OC*q.out*q.kk == 0 {
		clear(dx[:q.N*q.C*q.H*q.W])
		return
	}
	plane, pack, sums := q.inputGradLen()
	per := plane + pack + sums
	jobs := q.N * q.Groups * q.chBlocks
	if serial(q.N * q.OC * q.out * q.taps / 4) {
		if scratch == nil {
			scratch = make([]T, per)
		}
		need("Conv2DInputGrad", "scratch", len(scratch), per)
		for i := range jobs {
			convInputGrad(&q, i, dx, dy, w, scratch)
		}
		return
	}
	convInputGradParallel(q, jobs, per, dx, dy, w, scratch)
}

func convInputGradParallel[T Float](q conv, jobs, per int, dx, dy, w, scratch []T) {
	s, workers := workerScratch("Conv2DInputGrad", scratch, 0, per)
	grain := max(1, serialWork/(4*max(q.ocg*q.out*q.chBlock*q.kk, 1)))
	parallelWorkers(jobs, grain, workers, func(wk, lo, hi int) {
		for i := lo; i < hi; i++ {
			convInputGrad(&q, i, dx, dy, w, s[wk*per:(wk+1)*per])
		}
	})
}

// convInputGrad computes a block of channels of a sample of dx: for a block of
// pixels of dy at a time the product of the transposed weights with dy, added
// onto the padded planes.
func convInputGrad[T Float](q *conv, i int, dx, dy, w, scratch []T) {
	job, c0 := i/q.chBlocks, i%q.chBlocks*q.chBlock // job is sample*Groups + group
	channels := min(q.chBlock, q.cg-c0)
	dst := dx[(job*q.cg+c0)*q.H*q.W:][:channels*q.H*q.W]
	plane, pack, _ := q.inputGradLen()
	planes, free, sums := dst, scratch[plane:plane+pack], scratch[plane+pack:]
	if q.padded {
		planes = scratch[:channels*q.hp*q.wp]
	}
	clear(planes)
	rows := channels * q.kk
	if q.ocg == 1 {
		scatter(q, 0, q.out, channels, planes, dy[job*q.out:], w[job%q.Groups*q.taps+c0*q.kk:])
	}
	for p0 := 0; p0 < q.out && q.ocg > 1; p0 += tileN {
		np := min(tileN, q.out-p0)
		g := gemm[T]{
			transA: true, m: rows, n: np, k: q.ocg,
			a: w[job%q.Groups*q.ocg*q.taps+c0*q.kk:], lda: q.taps,
			b: dy[job*q.ocg*q.out+p0:], ldb: q.out,
			c: sums, ldc: np,
		}
		for t := range g.tiles() {
			g.tile(t, free)
		}
		scatter(q, p0, np, channels, planes, sums, nil)
	}
	if q.padded {
		for c := range channels {
			for h := range q.H {
				copy(dst[(c*q.H+h)*q.W:][:q.W], planes[(c*q.hp+h+q.PadTop)*q.wp+q.PadLeft:])
			}
		}
	}
}

// scatter is the adjoint of patches.columns: it adds rows of np pixels, a tap
// each, onto the planes. With w, one row in sums serves all taps, times w[tap].
func scatter[T Float](q *conv, p0, np, channels int, planes, sums, w []T) {
	row := 0
	for c := range channels {
		for kh := range q.KH {
			for kw := range q.KW {
				src, f := sums, T(1)
				if w == nil {
					src = sums[row*np:]
				} else {
					f = w[row]
				}
				src = src[:np]
				row++
				oh, ow := p0/q.ow, p0%q.ow
				for len(src) > 0 {
					run := min(q.ow-ow, len(src))
					dst := planes[(c*q.hp+oh*q.StrideH+kh*q.DilH)*q.wp+ow*q.StrideW+kw*q.DilW:]
					if q.StrideW == 1 {
						d := dst[:run]
						for j, v := range src[:run] {
							d[j] += f * v
						}
					} else {
						for j, v := range src[:run] {
							dst[j*q.StrideW] += f * v
						}
					}
					src = src[run:]
					ow = 0
					oh++
				}
			}
		}
	}
}

func (q *conv) weightGradLen() (plane, pack, partials int) {
	if q.chunks > 1 {
		partials = q.chunks * q.OC * q.taps
	}
	return q.planeLen(q.chBlock), q.chBlock * q.kk * min(q.out, tileK), partials
}

// Conv2DWeightGradScratchLen returns the length of Conv2DWeightGrad's scratch
// for that many workers.
func Conv2DWeightGradScratchLen(p Conv2DParams, workers int) int {
	q := newConv("Conv2DWeightGrad", p)
	plane, pack, partials := q.weightGradLen()
	return partials + workers*(plane+pack)
}

// Conv2DWeightGrad computes the gradient dw of Conv2D's w from the gradient dy
// of its output. It sums over samples in order, or, when w is small, over up to
// eight chunks of samples whose sums are then added in order; the parameters
// alone decide.
func Conv2DWeightGrad[T Float](p Conv2DParams, dw, dy, x, scratch []T) {
	q := newConv("Conv2DWeightGrad", p)
	q.check("Conv2DWeightGrad", len(x), len(dy), len(dw))
	size := q.OC * q.taps
	if size == 0 {
		return
	}
	if q.N*q.out == 0 {
		clear(dw[:size])
		return
	}
	plane, pack, partials := q.weightGradLen()
	per := plane + pack
	jobs := q.chunks * q.Groups * q.chBlocks
	if scratch == nil {
		scratch = make([]T, partials+per*Threads())
	}
	need("Conv2DWeightGrad", "scratch", len(scratch), partials+per)
	dst := dw[:size]
	if q.chunks > 1 {
		dst = scratch[:partials]
	}
	if serial(q.N * q.OC * q.out * q.taps / 4) {
		for i := range jobs {
			convWeightGrad(&q, i, dst, dy, x, scratch[partials:])
		}
	} else {
		convWeightGradParallel(q, jobs, per, dst, dy, x, scratch[partials:])
	}
	if q.chunks == 1 {
		return
	}
	copy(dw, dst[:size])
	for c := 1; c < q.chunks; c++ {
		part := dst[c*size : (c+1)*size]
		for i, v := range part {
			dw[i] += v
		}
	}
}

func convWeightGradParallel[T Float](q conv, jobs, per int, dst, dy, x, scratch []T) {
	s, workers := workerScratch("Conv2DWeightGrad", scratch, 0, per)
	parallelWorkers(jobs, 1, workers, func(wk, lo, hi int) {
		for i := lo; i < hi; i++ {
			convWeightGrad(&q, i, dst, dy, x, s[wk*per:(wk+1)*per])
		}
	})
}

// convWeightGrad computes one block of channels of one group of dw, summed over
// one chunk of samples, into that chunk's copy of dw in dst.
func convWeightGrad[T Float](q *conv, i int, dst, dy, x, scratch []T) {
	blocks := q.Groups * q.chBlocks
	chunk, group, c0 := i/blocks, i%blocks/q.chBlocks, i%q.chBlocks*q.chBlock
	channels := min(q.chBlock, q.cg-c0)
	plane, _, _ := q.weightGradLen()
	dst = dst[chunk*q.OC*q.taps+group*q.ocg*q.taps+c0*q.kk:]
	for n := chunk * q.chunkN; n < min((chunk+1)*q.chunkN, q.N); n++ {
		planes := pad(q, x[(n*q.C+group*q.cg+c0)*q.H*q.W:], channels, scratch)
		for p0 := 0; p0 < q.out; p0 += tileK {
			np := min(tileK, q.out-p0)
			patches[T]{q, planes, scratch[plane:]}.columns(p0, np, channels)
			dotTile(q.ocg, channels*q.kk, np, dy[(n*q.OC+group*q.ocg)*q.out+p0:], q.out,
				scratch[plane:], np, dst, q.taps, n > chunk*q.chunkN || p0 > 0)
		}
	}
}
