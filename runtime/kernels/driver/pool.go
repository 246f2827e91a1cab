package driver

import (
	"math"
	"sync/atomic"

	"github.com/graphrun/graphrun/graph/errfmt"
	"github.com/graphrun/graphrun/runtime/kernels/backend"
	"github.com/graphrun/graphrun/runtime/kernels/parallel"
)

// Pool2DParams describes a 2-D pooling of x [N, C, H, W] into
// y [N, C, OutH, OutW]. The caller gives OutH and OutW (rounded down or up), so
// the padding below and on the right is only that which the windows reach.
// PadBottom and PadRight bound the cells that count in an average. Zero strides
// and dilations mean 1.
type Pool2DParams struct {
	N, C, H, W                           int
	KH, KW                               int
	StrideH, StrideW                     int
	PadTop, PadLeft, PadBottom, PadRight int
	DilH, DilW                           int
	OutH, OutW                           int
}

func (p Pool2DParams) defaults() Pool2DParams {
	p.StrideH, p.StrideW = max(p.StrideH, 1), max(p.StrideW, 1)
	p.DilH, p.DilW = max(p.DilH, 1), max(p.DilW, 1)
	return p
}

func (p Pool2DParams) check(kernel string, x, y int) {
	backend.Need(kernel, "x or dx", x, p.N*p.C*p.H*p.W)
	backend.Need(kernel, "y or dy", y, p.N*p.C*p.OutH*p.OutW)
}

// quads reports whether the windows are 2x2 cells next to each other, all inside x.
//
//go:noinline
func (p Pool2DParams) quads() bool {
	return p.KH == 2 && p.KW == 2 && p.StrideH == 2 && p.StrideW == 2 && p.DilH == 1 && p.DilW == 1 &&
		p.PadTop == 0 && p.PadLeft == 0 && 2*p.OutH <= p.H && 2*p.OutW <= p.W && p.W < 1<<30
}

// poolSpan is a window along one axis: taps lo to hi, of which the first would be at start, lie in the input, and count
// of them divide an average.
type poolSpan struct{ start, lo, hi, count int }

func poolSpans(n, kernel, stride, pad, dil, size, padEnd int, countPad bool) []poolSpan {
	spans := make([]poolSpan, n)
	for i := range spans {
		s := poolSpan{start: i*stride - pad}
		s.lo, s.hi = window(s.start, kernel, dil, size)
		s.count = s.hi - s.lo
		if countPad {
			// Windows start within the padding in front, so only the far edge cuts.
			_, s.count = window(max(s.start, 0), kernel, dil, size+padEnd-min(s.start, 0))
		}
		spans[i] = s
	}
	return spans
}

// window returns the taps [lo, hi) of a window starting at start (which may be
// negative) that fall into [0, size).
func window(start, taps, dil, size int) (lo, hi int) {
	if start >= 0 && start+(taps-1)*dil < size {
		return 0, taps
	}
	if start < 0 {
		lo = backend.CeilDiv(-start, dil)
	}
	if start < size {
		hi = min(taps, (size-start+dil-1)/dil)
	}
	return lo, max(lo, hi)
}

// Pool2D is a pooling or an adjoint of one, bound to sizes. Runs of one Pool2D must not overlap.
type Pool2D[T backend.Float] struct {
	parallel.Stoppable
	poolPlan
	e       backend.PoolEngine[T]
	plane   func(c *Pool2D[T], y, x []T, index []int64)
	fromEnd bool
	outside atomic.Bool // an index was out of range
	y, x    []T
	at      []int64
}

// poolPlan is what a Pool2D does, whatever its dtype.
type poolPlan struct {
	name       string
	p          Pool2DParams
	rows, cols []poolSpan
	grain      int // planes of a chunk
}

func newPool2D[T backend.Float](name string, p Pool2DParams, e backend.PoolEngine[T], countPad bool) *Pool2D[T] {
	return &Pool2D[T]{poolPlan: planPool(name, p.defaults(), countPad), e: e}
}

func planPool(name string, p Pool2DParams, countPad bool) poolPlan {
	c := poolPlan{name: name, p: p}
	c.rows = poolSpans(p.OutH, p.KH, p.StrideH, p.PadTop, p.DilH, p.H, p.PadBottom, countPad)
	c.cols = poolSpans(p.OutW, p.KW, p.StrideW, p.PadLeft, p.DilW, p.W, p.PadRight, countPad)
	c.grain = max(1, serialWork/2/max(c.work(), 1))
	return c
}

// work estimates the time that a plane takes.
func (c *poolPlan) work() int {
	if c.p.quads() {
		return c.p.H * c.p.W / 2
	}
	return 2 * max(c.p.OutH*c.p.OutW*c.p.KH*c.p.KW, c.p.H*c.p.W)
}

// NewMaxPool2D binds the maximum of each window and where it is, for MaxRun.
func NewMaxPool2D[T backend.Float](p Pool2DParams, e backend.PoolEngine[T]) *Pool2D[T] {
	c := newPool2D("MaxPool2D", p, e, false)
	c.plane = maxPlane[T]
	if c.p.quads() {
		c.plane = maxQuads[T]
	}
	return c
}

// MaxRun computes the maximum of each window and, unless index is nil, where
// it is: the flat position in the channel's H*W plane. Padding counts as -Inf;
// of equal cells the first in row-major order wins, and the first NaN over
// everything. A window that is all padding gives -Inf and index -1.
func (c *Pool2D[T]) MaxRun(y []T, index []int64, x []T) {
	if index != nil {
		backend.Need(c.name, "index", len(index), c.p.N*c.p.C*c.p.OutH*c.p.OutW)
	}
	c.run(y, x, index)
}

// NewMaxPool2DGrad binds the gradient of MaxPool2D's x, for MaxGradRun. Negative indices count from the end of the plane if
// fromEnd is set, and are skipped otherwise.
func NewMaxPool2DGrad[T backend.Float](p Pool2DParams, fromEnd bool) *Pool2D[T] {
	p.KH, p.KW = 1, 1
	c := newPool2D[T]("MaxPool2DGrad", p, nil, false)
	c.fromEnd = fromEnd
	c.plane = maxPlaneGrad[T]
	return c
}

// MaxGradRun adds each dy to the cell of its plane of dx that index names; the other cells are zeros. An index that
// names none is an error.
func (c *Pool2D[T]) MaxGradRun(dx, dy []T, index []int64) error {
	n := c.p.N * c.p.C * c.p.OutH * c.p.OutW
	backend.Need(c.name, "index", len(index), n)
	c.run(dy, dx, index)
	if !c.outside.Swap(false) {
		return nil
	}
	plane := int64(c.p.H * c.p.W)
	for _, at := range index[:n] {
		if at < -plane || at >= plane {
			return errfmt.Errorf("index %d is out of range for a plane of %d cells", at, plane)
		}
	}
	return nil
}

// NewAvgPool2D binds the mean of each window, for AvgRun. Its divisor counts the cells
// inside the input or, if countPad, inside the padded input (a window may reach
// beyond it when the output size was rounded up). A window without cells of the
// input gives 0.
func NewAvgPool2D[T backend.Float](p Pool2DParams, countPad bool, e backend.PoolEngine[T]) *Pool2D[T] {
	c := newPool2D("AvgPool2D", p, e, countPad)
	c.plane = meanPlane[T]
	if c.p.quads() {
		c.plane = meanQuads[T]
	}
	return c
}

// NewAvgPool2DGrad binds the gradient of AvgPool2D's x, for AvgRun of dy and dx.
func NewAvgPool2DGrad[T backend.Float](p Pool2DParams, countPad bool) *Pool2D[T] {
	c := newPool2D[T]("AvgPool2DGrad", p, nil, countPad)
	c.plane = meanPlaneGrad[T]
	if c.p.quads() {
		c.plane = meanQuadsGrad[T]
	}
	return c
}

// AvgRun computes the means y of x, or the gradient x from y.
func (c *Pool2D[T]) AvgRun(y, x []T) { c.run(y, x, nil) }

func (c *Pool2D[T]) run(y, x []T, index []int64) {
	c.p.check(c.name, len(x), len(y))
	c.y, c.x, c.at = y, x, index
	planes := c.p.N * c.p.C
	run(backend.CeilDiv(planes, c.grain), planes*c.work(), c)
	c.y, c.x, c.at = nil, nil, nil
}

// Do computes some planes.
func (c *Pool2D[T]) Do(_, chunk int) {
	in, out := c.p.H*c.p.W, c.p.OutH*c.p.OutW
	for i := chunk * c.grain; i < min((chunk+1)*c.grain, c.p.N*c.p.C); i++ {
		var index []int64
		if c.at != nil {
			index = c.at[i*out : (i+1)*out]
		}
		c.plane(c, c.y[i*out:(i+1)*out], c.x[i*in:(i+1)*in], index)
	}
}

func maxPlane[T backend.Float](c *Pool2D[T], y, x []T, index []int64) {
	p := &c.p
	i := 0
	for _, h := range c.rows {
		for _, v := range c.cols {
			best, at := T(math.Inf(-1)), -1
			for kh := h.lo; kh < h.hi; kh++ {
				pos := (h.start+kh*p.DilH)*p.W + v.start + v.lo*p.DilW
				for range v.hi - v.lo {
					// True for a greater cell and for the first NaN, and false
					// once best is NaN.
					if v := x[pos]; !(v <= best) && best == best || at < 0 {
						best, at = v, pos
					}
					pos += p.DilW
				}
			}
			y[i] = best
			if index != nil {
				index[i] = int64(at)
			}
			i++
		}
	}
}

func maxQuads[T backend.Float](c *Pool2D[T], y, x []T, index []int64) {
	if len(y) > 0 {
		c.e.Max(y, index, x, c.p.OutW, c.p.W)
	}
}

func meanQuads[T backend.Float](c *Pool2D[T], y, x []T, _ []int64) {
	if len(y) > 0 {
		c.e.Mean(y, x, c.p.OutW, c.p.W)
	}
}

func maxPlaneGrad[T backend.Float](c *Pool2D[T], dy, dx []T, index []int64) {
	clear(dx)
	index = index[:len(dy)]
	for i, v := range dy {
		at := index[i]
		if at < 0 {
			if !c.fromEnd {
				continue
			}
			at += int64(len(dx))
		}
		if uint64(at) >= uint64(len(dx)) {
			c.outside.Store(true)
			continue
		}
		dx[at] += v
	}
}

// meanPlane writes the means of x's windows to y.
func meanPlane[T backend.Float](c *Pool2D[T], y, x []T, _ []int64) {
	p := &c.p
	i := 0
	for _, h := range c.rows {
		for _, v := range c.cols {
			var sum T
			for kh := h.lo; kh < h.hi; kh++ {
				pos := (h.start+kh*p.DilH)*p.W + v.start + v.lo*p.DilW
				for range v.hi - v.lo {
					sum += x[pos]
					pos += p.DilW
				}
			}
			if h.hi > h.lo && v.hi > v.lo {
				sum /= T(h.count * v.count)
			}
			y[i] = sum
			i++
		}
	}
}

// meanPlaneGrad spreads dy over the windows of dx.
func meanPlaneGrad[T backend.Float](c *Pool2D[T], dy, dx []T, _ []int64) {
	p := &c.p
	clear(dx)
	i := 0
	for _, h := range c.rows {
		for _, v := range c.cols {
			if h.hi > h.lo && v.hi > v.lo {
				share := dy[i] / T(h.count*v.count)
				for kh := h.lo; kh < h.hi; kh++ {
					pos := (h.start+kh*p.DilH)*p.W + v.start + v.lo*p.DilW
					for range v.hi - v.lo {
						dx[pos] += share
						pos += p.DilW
					}
				}
			}
			i++
		}
	}
}

func meanQuadsGrad[T backend.Float](c *Pool2D[T], dy, dx []T, _ []int64) {
	n, w := c.p.OutW, c.p.W
	if 2*n < w || 2*c.p.OutH < c.p.H {
		clear(dx)
	}
	for i := 0; i < len(dy); i += n {
		at := i / n * 2 * w
		r0, r1 := dx[at:at+2*n], dx[at+w:][:2*n]
		for j, v := range dy[i : i+n] {
			share := v*0.25 + 0 // a sum, which is never -0
			a, b := (*[2]T)(r0[2*j:]), (*[2]T)(r1[2*j:])
			a[0], a[1] = share, share
			b[0], b[1] = share, share
		}
	}
}
