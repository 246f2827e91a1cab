package driver

import (
	"fmt"

	"github.com/graphrun/graphrun/runtime/kernels/backend"
	"github.com/graphrun/graphrun/runtime/kernels/parallel"
)

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
	// Packed says that the weights come packed, by Conv2D.PackWeights.
	Packed bool
}

// OutH returns the height of the output.
func (p *Conv2DParams) OutH() int {
	return outSize(p.H+p.PadTop+p.PadBottom, p.KH, p.StrideH, p.DilH)
}

// OutW returns the width of the output.
func (p *Conv2DParams) OutW() int {
	return outSize(p.W+p.PadLeft+p.PadRight, p.KW, p.StrideW, p.DilW)
}

//go:noinline
func outSize(in, k, stride, dil int) int {
	span := (k-1)*max(dil, 1) + 1
	if in < span {
		return 0
	}
	return (in-span)/max(stride, 1) + 1
}

// normal fills defaults in and checks the rest.
func (p Conv2DParams) normal(kernel string) Conv2DParams {
	p.StrideH, p.StrideW = max(p.StrideH, 1), max(p.StrideW, 1)
	p.DilH, p.DilW = max(p.DilH, 1), max(p.DilW, 1)
	p.Groups = max(p.Groups, 1)
	if p.C%p.Groups != 0 || p.OC%p.Groups != 0 {
		panic(fmt.Sprintf("%s: %d groups do not divide %d and %d channels", kernel, p.Groups, p.C, p.OC))
	}
	if p.PadTop < 0 || p.PadLeft < 0 || p.PadBottom < 0 || p.PadRight < 0 {
		panic(fmt.Sprintf("%s: negative padding", kernel))
	}
	return p
}

func (p *Conv2DParams) check(kernel string, x, y, w int) {
	backend.Need(kernel, "x or dx", x, p.N*p.C*p.H*p.W)
	backend.Need(kernel, "y or dy", y, p.N*p.OC*p.OutH()*p.OutW())
	backend.Need(kernel, "w or dw", w, p.OC*p.C/p.Groups*p.KH*p.KW)
}

// serialWork is the work, in units of about a nanosecond, under which a second goroutine costs more than it brings.
const serialWork = 1 << 15

// few is the number of chunks of work below which they are cut further.
const few = 8

//go:noinline
func roundUp(x, to int) int { return backend.CeilDiv(x, to) * to }

// even cuts n into equal parts of at most most, and returns the size of all but the last.
func even(n, most int) int {
	if n <= 0 {
		return 1
	}
	return backend.CeilDiv(n, backend.CeilDiv(n, max(most, 1)))
}

// convAxis is what a convolution does along one spatial axis: position i sees cells i*step+taps[t] of the image, whose cells
// outside [0, size) are zeros, and its result belongs to place first+i*stride.
type convAxis struct {
	size, n, step int
	taps          []int // rising or falling
	cells         []int // of the kernel, a tap each
	lo, hi        int   // the least and the greatest of taps
	first, stride int
}

// done completes an axis that has its taps.
func (a *convAxis) done() {
	if len(a.taps) > 0 {
		last := a.taps[len(a.taps)-1]
		a.lo, a.hi = min(a.taps[0], last), max(a.taps[0], last)
	}
}

// forwardAxis is the axis of the convolution itself. Inlined, it takes 1.5 kB of a service.
//
//go:noinline
func forwardAxis(size, n, kernel, stride, pad, dil int) convAxis {
	a := convAxis{size: size, n: n, step: stride, stride: 1}
	for k := range kernel {
		a.taps = append(a.taps, k*dil-pad)
		a.cells = append(a.cells, k)
	}
	a.done()
	return a
}

// inputAxes are those of its adjoint by x, which is a convolution of dy (of n cells along the axis) for each remainder that
// a place of dx can have by the stride, with those cells of the kernel that meet such places.
func inputAxes(size, n, kernel, stride, pad, dil int) []convAxis {
	var axes []convAxis
	for r := range min(stride, size) {
		a := convAxis{size: n, n: backend.CeilDiv(size-r, stride), step: 1, first: r, stride: stride}
		for k := range kernel {
			if at := r + pad - k*dil; at%stride == 0 {
				a.taps = append(a.taps, at/stride)
				a.cells = append(a.cells, k)
			}
		}
		a.done()
		axes = append(axes, a)
	}
	return axes
}

// span is the number of image cells from the first to the last that so many positions see.
func (a *convAxis) span(positions int) int { return (positions-1)*a.step + a.hi - a.lo + 1 }

// inside reports whether no position sees anything outside the image.
func (a *convAxis) inside() bool { return a.lo >= 0 && (a.n-1)*a.step+a.hi < a.size }

// valid returns the range of taps of position i that lie in the image.
func (a *convAxis) valid(i int) (lo, hi int) {
	hi = len(a.taps)
	in := func(t int) bool { c := i*a.step + a.taps[t]; return c >= 0 && c < a.size }
	for lo < hi && !in(lo) {
		lo++
	}
	for hi > lo && !in(hi-1) {
		hi--
	}
	return lo, hi
}

// convImage copies the part of an image that a band of positions sees, padded with zeros; an image that needs no padding and
// is small is read where it is.
type convImage struct {
	h, v   convAxis // rows and columns
	direct bool
	hp, wp int // the rows and columns of a copied plane, or those of the image
}

// nearElements is the size up to which an image is read where it is.
const nearElements = 1 << 14

func newConvImage(h, v convAxis, channels, band int) convImage {
	m := convImage{h: h, v: v, hp: h.span(band), wp: v.span(v.n)}
	if h.inside() && v.inside() && channels*h.size*v.size <= nearElements {
		m.direct, m.hp, m.wp = true, h.size, v.size
	}
	return m
}

// offset is where the copy holds what position (i, j) sees through a tap of a channel.
func (m *convImage) offset(c, i, j, row, col int) int {
	at := (c*m.hp+i*m.h.step+row)*m.wp + j*m.v.step + col
	if !m.direct {
		at -= m.h.lo*m.wp + m.v.lo
	}
	return at
}

// room is the size of the copy.
func (m *convImage) room(channels int) int {
	if m.direct {
		return 0
	}
	return roundUp(channels*m.hp*m.wp, 16)
}

// cut returns the part of the image a for positions in rows from i0 on.
func cut[T backend.Float](m *convImage, a []T, channels, i0 int, buf []T) []T {
	if m.direct {
		return a[i0*m.h.step*m.wp : channels*m.hp*m.wp]
	}
	left, from := max(0, -m.v.lo), max(0, m.v.lo)
	cols := max(0, min(m.v.size-from, m.wp-left))
	top := i0*m.h.step + m.h.lo
	r0, r1 := max(0, -top), min(m.hp, m.h.size-top)
	buf = buf[:channels*m.hp*m.wp]
	if cols < m.wp || r0 > 0 || r1 < m.hp {
		clear(buf)
	}
	if r0 >= r1 || cols == 0 {
		return buf
	}
	for c := range channels {
		src := a[(c*m.h.size+top+r0)*m.v.size+from:]
		dst := buf[(c*m.hp+r0)*m.wp+left:]
		if cols == m.v.size && cols == m.wp {
			copy(dst[:(r1-r0)*cols], src)
			continue
		}
		for r := range r1 - r0 {
			copy(dst[r*m.wp:][:cols], src[r*m.v.size:])
		}
	}
	return buf
}

// convPass is a convolution of stride 1 in its result: the whole one, or one remainder of an input gradient.
type convPass struct {
	convImage
	rowsFirst   bool // the taps are in order of kernel row, channel, column, and rows outside the image are left out
	band, bands int  // positions are cut into bands of rows
	at, taps    []int
	k, kb       int // taps, and how many make a block
	weights     int // where the packed weights begin
	chunk       int // the first of its chunks
	blocks      int // of result channels, per group
	runs        []convRun
}

// convRun is a number of rows of positions that see the same rows of taps.
type convRun struct{ i0, i1, t0, t1 int }

// convPlan is what a Conv2D does, whatever its dtype.
type convPlan struct {
	name        string
	p           Conv2DParams
	adjoint     bool
	lanes, maxK int // of the engine
	cg, og      int // channels of the image and of the result, per group
	block       int // result channels of a chunk
	oh, ow      int // of the result
	passes      []convPass
	chunks      int
	weightsLen  int
	workerLen   int
	image       int  // the worker's scratch begins with an image
	weights     int  // where a block of packed weights begins in it,
	order       int  // and where there is room for bringing them into order
	once        bool // each packed weight is used once: a chunk packs its own
}

// Conv2D is a convolution or its adjoint by x, bound to sizes. Runs of one Conv2D must not overlap.
type Conv2D[T backend.Float] struct {
	parallel.Stoppable
	convPlan
	e        backend.ConvEngine[T]
	packing  bool
	epilogue backend.Epilogue
	y, x, w  []T
	packed   []T
}

// PackedWeights are the weights of a Conv2D in the order in which its engine reads them. They do not change, and any number of
// convolutions of one ConvLayout may share them.
type PackedWeights[T backend.Float] struct {
	data []T
}

// ConvLayout tells orders of packed weights apart. It is comparable.
type ConvLayout struct {
	engine       any
	p            Conv2DParams // of the weights: channels, kernel, groups
	rowsFirst    bool
	cells        string // of the kernel that are used
	k, kb, lanes int
}

// Layout returns the order in which the convolution packs its weights.
func (c *Conv2D[T]) Layout() ConvLayout { return c.layoutFor(c.e) }

func (c *convPlan) layoutFor(engine any) ConvLayout {
	l := ConvLayout{engine: engine, p: Conv2DParams{C: c.p.C, OC: c.p.OC, KH: c.p.KH, KW: c.p.KW, Groups: c.p.Groups}, lanes: c.lanes}
	for i := range c.passes {
		s := &c.passes[i]
		l.rowsFirst, l.k, l.kb, l.cells = s.rowsFirst, s.k, s.kb, fmt.Sprint(s.h.cells, s.v.cells)
	}
	return l
}

// PackWeights packs the weights of a convolution whose parameters say Packed.
func (c *Conv2D[T]) PackWeights(w []T) *PackedWeights[T] {
	packed := &PackedWeights[T]{backend.Aligned[T](c.weightsLen)}
	if c.chunks > 0 && c.og > 0 {
		c.w, c.packed = w, packed.data
		c.packAll()
		c.w, c.packed = nil, nil
	}
	return packed
}

// packAll packs all weights.
func (c *Conv2D[T]) packAll() {
	c.packing = true
	run(len(c.passes)*c.p.Groups*backend.CeilDiv(c.og, backend.ConvPanel), c.weightsLen, c)
	c.packing = false
}

// NewConv2D binds the convolution y of x with w.
func NewConv2D[T backend.Float](p Conv2DParams, engines backend.ConvEngines[T]) *Conv2D[T] {
	return newConv2D(convPlan{name: "Conv2D", p: p}, engines)
}

// NewConv2DInputGrad binds the gradient dx of Conv2D's x, from the gradient dy of its output and w.
func NewConv2DInputGrad[T backend.Float](p Conv2DParams, engines backend.ConvEngines[T]) *Conv2D[T] {
	return newConv2D(convPlan{name: "Conv2DInputGrad", p: p, adjoint: true}, engines)
}

func newConv2D[T backend.Float](plan convPlan, engines backend.ConvEngines[T]) *Conv2D[T] {
	c := &Conv2D[T]{convPlan: plan}
	c.e = engines(c.begin())
	c.lanes, c.maxK = c.e.Lanes(), c.e.MaxK()
	c.layOut()
	if c.chunks > 0 && c.Fits() {
		shared := c.weightsLen
		if c.p.Packed {
			shared = 0
		}
		reserve[T](c.workerLen, shared)
	}
	return c
}

// begin sets the sizes of the result, and returns what its engine is chosen by.
func (c *convPlan) begin() (n, run int) {
	c.p = c.p.normal(c.name)
	p := &c.p
	c.cg, c.og, c.oh, c.ow = p.C/p.Groups, p.OC/p.Groups, p.OutH(), p.OutW()
	if c.adjoint {
		c.cg, c.og, c.oh, c.ow = c.og, c.cg, p.H, p.W
		return c.og, p.W / p.StrideW
	}
	if p.StrideW == 1 {
		return c.og, c.ow
	}
	return c.og, 1
}

// layOut adds the passes and cuts them into chunks.
func (c *convPlan) layOut() {
	p := &c.p
	if c.adjoint {
		for _, h := range inputAxes(p.H, p.OutH(), p.KH, p.StrideH, p.PadTop, p.DilH) {
			for _, v := range inputAxes(p.W, p.OutW(), p.KW, p.StrideW, p.PadLeft, p.DilW) {
				c.add(h, v)
			}
		}
	} else if c.oh*c.ow > 0 {
		c.add(forwardAxis(p.H, c.oh, p.KH, p.StrideH, p.PadTop, p.DilH), forwardAxis(p.W, c.ow, p.KW, p.StrideW, p.PadLeft, p.DilW))
	}
	c.cut()
}

// add adds a pass.
func (c *convPlan) add(h, v convAxis) {
	n := roundUp(c.og, c.lanes)
	band := even(h.n, max(1, min(1024, max(128, 1<<14/max(n, 1)))/v.n))
	s := convPass{convImage: newConvImage(h, v, c.cg, band), band: band, bands: backend.CeilDiv(h.n, band)}
	s.k = c.cg * len(h.taps) * len(v.taps)
	if h.size*v.size == 0 {
		s.k = 0
	}
	s.kb = roundUp(even(s.k, c.maxK), 8)
	for i := range band {
		for j := range v.n {
			s.at = append(s.at, s.offset(0, i, j, 0, 0)-s.offset(0, 0, 0, 0, 0))
		}
	}
	seen := 0
	for i := range h.n {
		t0, t1 := h.valid(i)
		seen += t1 - t0
	}
	// Weights in another order take longer to pack, which must be worth it for a single image.
	left := h.n*len(h.taps) - seen
	s.rowsFirst = 20*left > h.n*len(h.taps) && left*v.n > 32*len(h.taps)
	if s.k > 0 {
		s.taps = make([]int, s.k)
		s.eachTap(c.cg, func(p, ch, row, col int) { s.taps[p] = s.offset(ch, 0, 0, h.taps[row], v.taps[col]) })
	}
	for i := 0; i < h.n; i++ {
		r := convRun{i, i + 1, 0, len(h.taps)}
		if s.rowsFirst {
			r.t0, r.t1 = h.valid(i)
		}
		if last := len(s.runs) - 1; i%band > 0 && s.runs[last].t0 == r.t0 && s.runs[last].t1 == r.t1 {
			s.runs[last].i1++
		} else {
			s.runs = append(s.runs, r)
		}
	}
	s.weights = c.weightsLen
	c.weightsLen += c.p.Groups * n * s.k
	c.image = max(c.image, s.room(c.cg))
	positions := band * v.n
	c.workerLen = max(c.workerLen, 2*roundUp(positions*n, 16), min(backend.ConvPanel, c.og)*s.kb)
	c.passes = append(c.passes, s)
}

// eachTap visits the taps in their order.
func (s *convPass) eachTap(channels int, visit func(p, ch, row, col int)) {
	rows, cols := len(s.h.taps), len(s.v.taps)
	p := 0
	if s.rowsFirst {
		for row := range rows {
			for ch := range channels {
				for col := range cols {
					visit(p, ch, row, col)
					p++
				}
			}
		}
		return
	}
	for ch := range channels {
		for row := range rows {
			for col := range cols {
				visit(p, ch, row, col)
				p++
			}
		}
	}
}

// cut cuts the passes into chunks.
func (c *convPlan) cut() {
	c.block = c.og
	n := 0
	for i := range c.passes {
		n += c.p.N * c.p.Groups * c.passes[i].bands
	}
	if n > 0 && n < few && c.og > backend.ConvPanel {
		c.block = roundUp(backend.CeilDiv(c.og, backend.CeilDiv(few, n)), backend.ConvPanel)
	}
	c.once = c.p.N == 1 && !c.p.Packed
	kb := 0
	for i := range c.passes {
		s := &c.passes[i]
		c.once = c.once && s.bands == 1 && !s.rowsFirst
		kb = max(kb, s.kb)
		s.chunk = c.chunks
		s.blocks = backend.CeilDiv(c.og, max(c.block, 1))
		c.chunks += c.p.N * c.p.Groups * s.bands * s.blocks
	}
	c.workerLen += c.image
	if c.once {
		c.weightsLen = 0
		c.weights = roundUp(c.workerLen, 16)
		c.order = c.weights + roundUp(c.block, c.lanes)*kb
		c.workerLen = c.order + c.block*kb
	}
}

// Fits reports whether the padded part of an image that a run copies is in proportion to the image. It is not where a
// dilation is far greater than the image; then there is no Run.
func (c *convPlan) Fits() bool {
	if len(c.passes) == 0 {
		return true
	}
	h, v := &c.passes[0].h, &c.passes[0].v
	return inProportion(c.image, c.cg*h.size*v.size)
}

func inProportion(copied, image int) bool {
	return copied >= 0 && (copied < 1<<24 || copied/256 < image)
}

// Run computes the result: y of x and w, or dx of dy and w. A sample of it has the same bits for any N. Padding is zeros, some
// of which take part: an infinite weight may make them NaN. The epilogue may be nil.
func (c *Conv2D[T]) Run(y, x, w []T, epilogue backend.Epilogue) {
	if !c.begins(len(y), len(x), len(w)) {
		return
	}
	c.w = w
	var packed []T
	if !c.once {
		packed = take[T](c.weightsLen)
		c.packed = packed
		c.packAll()
	}
	c.computeAll(y, x, packed, epilogue)
	if !c.once {
		give(packed)
	}
}

// RunPacked is Run of a convolution whose parameters say Packed, with weights that one of its Layout has packed.
func (c *Conv2D[T]) RunPacked(y, x []T, w *PackedWeights[T], epilogue backend.Epilogue) {
	if len(w.data) != c.weightsLen || c.adjoint {
		panic("conv: the weights are not packed for this convolution")
	}
	if c.begins(len(y), len(x), c.p.OC*(c.p.C/c.p.Groups)*c.p.KH*c.p.KW) {
		c.computeAll(y, x, w.data, epilogue)
	}
}

// begins panics unless there are all elements that a run touches, and reports whether there is anything to compute.
func (c *convPlan) begins(y, x, w int) bool {
	if c.adjoint {
		x, y = y, x
	}
	c.p.check(c.name, x, y, w)
	return c.chunks > 0 && c.og > 0
}

func (c *Conv2D[T]) computeAll(y, x, packed []T, epilogue backend.Epilogue) {
	c.y, c.x, c.packed, c.epilogue = y, x, packed, epilogue
	run(c.chunks, c.work(), c)
	c.y, c.x, c.w, c.packed, c.epilogue = nil, nil, nil, nil, nil
}

// work estimates the time of a run in units of serialWork.
func (c *convPlan) work() int {
	return c.p.N * c.oh * c.ow * c.og * c.p.Groups * (1 + c.passes[0].k/16)
}

// run is parallel.Run, on the caller alone if there is little work.
func run(chunks, work int, t parallel.Task) {
	if work >= serialWork {
		parallel.Run(chunks, t)
		return
	}
	parallel.Alone(chunks, t)
}

// Workers passes on the number of workers: see [parallel.Sized].
func (c *Conv2D[T]) Workers(n int) {
	if c.epilogue != nil {
		c.epilogue.Workers(n)
	}
}

// Do packs a panel of weights or computes a band of positions of one image.
func (c *Conv2D[T]) Do(worker, chunk int) {
	buf := take[T](c.workerLen)
	if c.packing {
		panels := backend.CeilDiv(c.og, backend.ConvPanel)
		c.pack(&c.passes[chunk/panels/c.p.Groups], chunk/panels%c.p.Groups, chunk%panels*backend.ConvPanel, buf)
	} else {
		i := len(c.passes) - 1
		for c.passes[i].chunk > chunk {
			i--
		}
		s := &c.passes[i]
		chunk -= s.chunk
		block := chunk % s.blocks
		chunk /= s.blocks
		c.compute(s, chunk/s.bands, chunk%s.bands, block*c.block, worker, buf)
	}
	give(buf)
}

// pack packs the weights of up to backend.ConvPanel result channels from j0 on of a group.
func (c *Conv2D[T]) pack(s *convPass, group, j0 int, buf []T) {
	all := roundUp(c.og, c.lanes)
	packed := c.packed[s.weights+group*all*s.k:]
	for k0 := 0; k0 < s.k; k0 += s.kb {
		c.packBlock(s, packed[k0*all+j0*min(s.kb, s.k-k0):], group, j0, min(backend.ConvPanel, c.og-j0), k0, buf)
	}
}

// packBlock packs the taps of a block from k0 on for n channels from j0 on.
func (c *Conv2D[T]) packBlock(s *convPass, dst []T, group, j0, n, k0 int, buf []T) {
	kk := c.p.KH * c.p.KW
	kc := min(s.kb, s.k-k0)
	switch {
	case !c.adjoint && !s.rowsFirst:
		c.e.Pack(dst, c.w[(group*c.og+j0)*s.k+k0:], s.k, n, kc, 0, kc)
		return
	case c.adjoint && !s.rowsFirst && len(s.h.taps)*len(s.v.taps) == kk:
		// All taps of a channel of dy lie together.
		for p := k0; p < k0+kc; {
			ch, tap := p/kk, p%kk
			end := min(p+kk-tap, k0+kc)
			c.e.Pack(dst, c.w[((group*c.cg+ch)*c.og+j0)*kk+tap:], kk, n, kc, p-k0, end-k0)
			p = end
		}
		return
	}
	for j := range n {
		row := buf[j*kc : (j+1)*kc]
		if c.adjoint {
			weigh(s, row, k0, c.cg, c.w[(group*c.cg*c.og+j0+j)*kk:], c.og*kk, c.p.KW)
		} else {
			weigh(s, row, k0, c.cg, c.w[(group*c.og+j0+j)*c.cg*kk:], kk, c.p.KW)
		}
	}
	c.e.Pack(dst, buf, kc, n, kc, 0, kc)
}

// weigh writes the weights of taps from k0 on to dst; those of neighbouring channels are ld apart in w, in rows of kw.
func weigh[T backend.Float](s *convPass, dst []T, k0, channels int, w []T, ld, kw int) {
	cells := s.v.cells
	q, col := k0/len(cells), k0%len(cells)
	for len(dst) > 0 {
		ch, row := q/len(s.h.cells), q%len(s.h.cells)
		if s.rowsFirst {
			row, ch = q/channels, q%channels
		}
		src := w[ch*ld+s.h.cells[row]*kw:]
		n := min(len(cells)-col, len(dst))
		for i, k := range cells[col : col+n] {
			dst[i] = src[k]
		}
		dst, col = dst[n:], 0
		q++
	}
}

// compute computes a band of a job, sample*Groups + group, for the result channels of a block from j0 on.
func (c *Conv2D[T]) compute(s *convPass, job, band, j0, worker int, buf []T) {
	n := min(c.block, c.og-j0)
	i0 := band * s.band
	height := min(s.band, s.h.n-i0)
	m := height * s.v.n
	all := roundUp(c.og, c.lanes)
	row := job*c.og + j0
	plane := c.oh * c.ow
	out := c.y[row*plane+i0*c.ow*s.h.stride:]
	dense := s.h.stride == 1 && s.v.stride == 1
	t, ld := buf[c.image:][:m*roundUp(n, c.lanes)], m
	if dense && c.e.InPlace() {
		t, ld = out, plane
	}
	a := c.x[job*c.cg*s.h.size*s.v.size:][:c.cg*s.h.size*s.v.size]
	if s.k > 0 {
		a = cut(&s.convImage, a, c.cg, i0, buf)
	}
	var packed []T
	if !c.once {
		packed = c.packed[s.weights+job%c.p.Groups*all*s.k:]
	}
	per := s.k / max(len(s.h.taps), 1) // taps of a row of the kernel
	for _, r := range s.runs {
		if r.i0 < i0 || r.i0 >= i0+height {
			continue
		}
		lo, hi := 0, s.k
		if s.rowsFirst {
			lo, hi = r.t0*per, r.t1*per
		}
		at := (r.i0 - i0) * s.v.n
		rows := s.at[at : (r.i1-i0)*s.v.n]
		if lo >= hi {
			c.e.Sum(t, ld, at, n, a, rows, 1, nil, packed, 0, 0, false)
		}
		for k0 := lo / s.kb * s.kb; k0 < hi; k0 += s.kb {
			kc := min(s.kb, s.k-k0)
			p0, p1 := max(k0, lo), min(k0+kc, hi)
			run := 1
			if s.v.step == 1 {
				run = s.v.n
			}
			b := buf[c.weights:]
			if c.once {
				c.packBlock(s, b, job%c.p.Groups, j0, n, k0, buf[c.order:])
			} else {
				b = packed[k0*all+j0*kc:]
			}
			c.e.Sum(t, ld, at, n, a, rows, run, s.taps[p0:p1], b, kc, p0-k0, p0 > lo)
		}
	}
	switch {
	case dense && c.e.InPlace():
	case dense:
		c.e.Unload(out, plane, t, m, n)
	default:
		rest := buf[c.image+roundUp(len(t), 16):][:m*n]
		c.e.Unload(rest, m, t, m, n)
		for j := range n {
			for i := range height {
				dst := out[j*plane+(s.h.first+i*s.h.stride)*c.ow+s.v.first:]
				for q, v := range rest[(j*height+i)*s.v.n:][:s.v.n] {
					dst[q*s.v.stride] = v
				}
			}
		}
	}
	if c.epilogue != nil {
		c.epilogue.Apply(worker, row, row+n, i0*c.ow, (i0+height)*c.ow)
	}
}

// Conv2DWeightGrad is the adjoint of a convolution by w, bound to sizes. Runs of one Conv2DWeightGrad must not overlap.
//
// The images are cut into bands, and these, over the whole batch, into a few parts. A part is summed in order, and then the
// parts are; only the parameters decide where the cuts are.
type Conv2DWeightGrad[T backend.Float] struct {
	parallel.Stoppable
	weightPlan
	e         backend.ConvEngine[T]
	reducing  bool
	dw, dy, x []T
	sums      []T
}

// weightPlan is what a Conv2DWeightGrad does, whatever its dtype.
type weightPlan struct {
	p                Conv2DParams
	lanes, maxK      int // of the engine
	image            convImage
	cg, og, taps     int // per group: channels in and out, cg*KH*KW
	band, bands      int
	parts, jobs      int
	channels, blocks int // input channels of a job, and how many such blocks a group has
	outs, outBlocks  int // the same of output channels
	oh, ow           int
	rows, cols       []int
	slot             int // of the sums of a job
	workerLen        int
}

// NewConv2DWeightGrad binds the gradient dw of Conv2D's w, from the gradient dy of its output and x.
func NewConv2DWeightGrad[T backend.Float](p Conv2DParams, engines backend.ConvEngines[T]) *Conv2DWeightGrad[T] {
	p = p.normal("Conv2DWeightGrad")
	e := engines(p.OC/p.Groups, 1)
	c := &Conv2DWeightGrad[T]{weightPlan: weightPlan{p: p, lanes: e.Lanes(), maxK: e.MaxK()}, e: e}
	c.layOut()
	if c.jobs > 0 && c.Fits() {
		reserve[T](c.workerLen, c.slot*c.jobs*c.parts)
	}
	return c
}

func (c *weightPlan) layOut() {
	p, kk := &c.p, c.p.KH*c.p.KW
	c.cg, c.og, c.oh, c.ow = p.C/p.Groups, p.OC/p.Groups, p.OutH(), p.OutW()
	c.taps = c.cg * kk
	if p.N*c.oh*c.ow*c.taps*c.og == 0 {
		return
	}
	h := forwardAxis(p.H, c.oh, p.KH, p.StrideH, p.PadTop, p.DilH)
	v := forwardAxis(p.W, c.ow, p.KW, p.StrideW, p.PadLeft, p.DilW)
	c.outs = even(c.og, 4*backend.ConvPanel)
	if c.outs < c.og {
		c.outs = roundUp(c.outs, backend.ConvPanel)
	}
	c.channels = even(c.cg, max(1, 8*backend.ConvPanel/kk))
	c.outBlocks, c.blocks = backend.CeilDiv(c.og, c.outs), backend.CeilDiv(c.cg, c.channels)
	n, m := roundUp(c.outs, c.lanes), c.channels*kk
	positions := min(max(c.maxK*backend.ConvPanel/n, c.maxK), 1024)
	c.band = even(c.oh, max(1, positions/c.ow))
	c.bands = backend.CeilDiv(c.oh, c.band)
	c.image = newConvImage(h, v, c.channels, c.band)
	for i := range c.band {
		for j := range c.ow {
			c.cols = append(c.cols, c.image.offset(0, i, j, 0, 0)-c.image.offset(0, 0, 0, 0, 0))
		}
	}
	for ch := range c.channels {
		for _, row := range h.taps {
			for _, col := range v.taps {
				c.rows = append(c.rows, c.image.offset(ch, 0, 0, row, col))
			}
		}
	}
	c.jobs = p.Groups * c.blocks * c.outBlocks
	c.slot = roundUp(n*m, 16)
	// Parts cost memory and their sum; jobs are enough for a few workers.
	c.parts = max(1, min(2*few, p.N*c.bands, backend.CeilDiv(2*few, c.jobs), 1<<18/(c.slot*c.jobs)))
	c.workerLen = c.image.room(c.channels) + roundUp(n*len(c.cols), 16) + c.slot
}

// Fits is Conv2D.Fits.
func (c *weightPlan) Fits() bool {
	return c.jobs == 0 || inProportion(c.image.room(c.channels), c.channels*c.p.H*c.p.W)
}

// Run computes dw.
func (c *Conv2DWeightGrad[T]) Run(dw, dy, x []T) {
	c.p.check("Conv2DWeightGrad", len(x), len(dy), len(dw))
	size := c.p.OC * c.taps
	if c.jobs == 0 {
		clear(dw[:size])
		return
	}
	c.dw, c.dy, c.x = dw, dy, x
	c.reducing = false
	if c.parts > 1 {
		c.sums = take[T](c.slot * c.jobs * c.parts)
	}
	run(c.jobs*c.parts, c.p.N*c.oh*c.ow*c.p.OC*(1+c.taps/16), c)
	if c.parts > 1 {
		c.reducing = true
		run(c.jobs, size*c.parts, c)
		give(c.sums)
	}
	c.dw, c.dy, c.x, c.sums = nil, nil, nil, nil
}

// Do computes the sums of one part for one job, or adds the parts of a job up.
func (c *Conv2DWeightGrad[T]) Do(_, chunk int) {
	job, part := chunk%c.jobs, chunk/c.jobs
	o0, rest := job%c.outBlocks*c.outs, job/c.outBlocks
	c0, group := rest%c.blocks*c.channels, rest/c.blocks
	outs, channels := min(c.outs, c.og-o0), min(c.channels, c.cg-c0)
	kk := c.p.KH * c.p.KW
	m := channels * kk
	dw := c.dw[(group*c.og+o0)*c.taps+c0*kk:]
	n := roundUp(outs, c.lanes)
	if c.reducing {
		t := c.sums[job*c.slot:][:n*m]
		for part := 1; part < c.parts; part++ {
			for i, v := range c.sums[(part*c.jobs+job)*c.slot:][:len(t)] {
				t[i] += v
			}
		}
		c.e.Unload(dw, c.taps, t, m, outs)
		return
	}
	buf := take[T](c.workerLen)
	room := c.image.room(c.channels)
	t, packed := buf[room:][:n*m], buf[room+c.slot:]
	if c.parts > 1 {
		t = c.sums[chunk*c.slot:][:n*m]
	}
	units := c.p.N * c.bands
	first := part * units / c.parts
	for u := first; u < (part+1)*units/c.parts; u++ {
		image, i0 := u/c.bands*c.p.Groups+group, u%c.bands*c.band
		k := min(c.band, c.oh-i0) * c.ow
		a := cut(&c.image, c.x[(image*c.cg+c0)*c.p.H*c.p.W:][:channels*c.p.H*c.p.W], channels, i0, buf)
		c.e.Pack(packed, c.dy[(image*c.og+o0)*c.oh*c.ow+i0*c.ow:], c.oh*c.ow, outs, k, 0, k)
		c.e.Sum(t, m, 0, outs, a, c.rows[:m], 1, c.cols[:k], packed, k, 0, u > first)
	}
	if c.parts == 1 {
		c.e.Unload(dw, c.taps, t, m, outs)
	}
	give(buf)
}
