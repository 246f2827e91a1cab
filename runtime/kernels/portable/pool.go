package portable

import "math"

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
	need(kernel, "x or dx", x, p.N*p.C*p.H*p.W)
	need(kernel, "y or dy", y, p.N*p.C*p.OutH*p.OutW)
}

// serial reports whether the caller does all planes, and else how many make up
// a piece of work.
func (p Pool2DParams) serial() (grain int, ok bool) {
	work := 2 * max(p.OutH*p.OutW*p.KH*p.KW, p.H*p.W)
	return max(1, serialWork/max(work, 1)/2), serial(p.N * p.C * work)
}

// window returns the taps [lo, hi) of a window starting at start (which may be
// negative) that fall into [0, size).
func window(start, taps, dil, size int) (lo, hi int) {
	if start >= 0 && start+(taps-1)*dil < size {
		return 0, taps
	}
	if start < 0 {
		lo = (-start + dil - 1) / dil
	}
	if start < size {
		hi = min(taps, (size-start+dil-1)/dil)
	}
	return lo, max(lo, hi)
}

// MaxPool2D computes the maximum of each window and, unless index is nil, where
// it is: the flat position in the channel's H*W plane. Padding counts as -Inf;
// of equal cells the first in row-major order wins, and the first NaN over
// everything. A window that is all padding gives -Inf and index -1.
func MaxPool2D[T Float](p Pool2DParams, y []T, index []int64, x []T) {
	p = p.defaults()
	p.check("MaxPool2D", len(x), len(y))
	if index != nil {
		need("MaxPool2D", "index", len(index), p.N*p.C*p.OutH*p.OutW)
	}
	grain, ok := p.serial()
	if ok {
		maxPlanes(p, 0, p.N*p.C, y, index, x)
		return
	}
	parallelFor(p.N*p.C, grain, func(lo, hi int) { maxPlanes(p, lo, hi, y, index, x) })
}

func maxPlanes[T Float](p Pool2DParams, lo, hi int, y []T, index []int64, x []T) {
	out := p.OutH * p.OutW
	for c := lo; c < hi; c++ {
		var idx []int64
		if index != nil {
			idx = index[c*out : (c+1)*out]
		}
		maxPlane(&p, y[c*out:(c+1)*out], idx, x[c*p.H*p.W:(c+1)*p.H*p.W])
	}
}

func maxPlane[T Float](p *Pool2DParams, y []T, index []int64, x []T) {
	i := 0
	for oh := range p.OutH {
		h0 := oh*p.StrideH - p.PadTop
		khLo, khHi := window(h0, p.KH, p.DilH, p.H)
		for ow := range p.OutW {
			w0 := ow*p.StrideW - p.PadLeft
			kwLo, kwHi := window(w0, p.KW, p.DilW, p.W)
			if kwHi-kwLo == 2 && khHi-khLo == 2 && p.KH == 2 && p.KW == 2 {
				o := h0*p.W + w0
				if at := max2x2(x[o:], p.DilW, p.DilH*p.W); at >= 0 {
					y[i] = x[o+at]
					if index != nil {
						index[i] = int64(o + at)
					}
					i++
					continue
				}
			}
			best, at := T(math.Inf(-1)), -1
			for kh := khLo; kh < khHi; kh++ {
				o := (h0+kh*p.DilH)*p.W + w0
				for kw := kwLo; kw < kwHi; kw++ {
					pos := o + kw*p.DilW
					// True for a greater cell and for the first NaN, and false
					// once best is NaN.
					if v := x[pos]; !(v <= best) && best == best || at < 0 {
						best, at = v, pos
					}
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

// max2x2 returns the position of the maximum of x[0], x[w], x[h] and x[h+w]
// without branches on their values, or -1 if one is NaN.
func max2x2[T Float](x []T, w, h int) int {
	a, b, c, d := x[0], x[w], x[h], x[h+w]
	m := max(max(a, b), max(c, d))
	at := -1
	if d == m {
		at = h + w
	}
	if c == m {
		at = h
	}
	if b == m {
		at = w
	}
	if a == m {
		at = 0
	}
	return at
}

// MaxPool2DGrad computes the gradient dx of MaxPool2D's x: each dy is added to
// the cell of its plane that index names; negative indices are skipped.
func MaxPool2DGrad[T Float](p Pool2DParams, dx, dy []T, index []int64) {
	p = p.defaults()
	p.check("MaxPool2DGrad", len(dx), len(dy))
	need("MaxPool2DGrad", "index", len(index), p.N*p.C*p.OutH*p.OutW)
	grain, ok := p.serial()
	if ok {
		maxGradPlanes(p, 0, p.N*p.C, dx, dy, index)
		return
	}
	parallelFor(p.N*p.C, grain, func(lo, hi int) { maxGradPlanes(p, lo, hi, dx, dy, index) })
}

func maxGradPlanes[T Float](p Pool2DParams, lo, hi int, dx, dy []T, index []int64) {
	out := p.OutH * p.OutW
	for c := lo; c < hi; c++ {
		d := dx[c*p.H*p.W : (c+1)*p.H*p.W]
		clear(d)
		idx := index[c*out : (c+1)*out]
		for i, v := range dy[c*out : (c+1)*out] {
			if j := idx[i]; j >= 0 {
				d[j] += v
			}
		}
	}
}

// averageWindow returns the taps of a window along one axis that lie in the
// input, and how many of them divide the sum.
func averageWindow(start, taps, dil, size, padEnd int, countPad bool) (lo, hi, count int) {
	lo, hi = window(start, taps, dil, size)
	if !countPad {
		return lo, hi, hi - lo
	}
	// Windows start within the padding in front, so only the far edge cuts.
	_, count = window(max(start, 0), taps, dil, size+padEnd-min(start, 0))
	return lo, hi, count
}

// AvgPool2D computes the mean of each window. Its divisor counts the cells
// inside the input or, if countPad, inside the padded input (a window may reach
// beyond it when the output size was rounded up). A window without cells of the
// input gives 0.
func AvgPool2D[T Float](p Pool2DParams, countPad bool, y, x []T) {
	p = p.defaults()
	p.check("AvgPool2D", len(x), len(y))
	averageAll(p, countPad, y, x, false)
}

// AvgPool2DGrad computes the gradient dx of AvgPool2D's x from dy.
func AvgPool2DGrad[T Float](p Pool2DParams, countPad bool, dx, dy []T) {
	p = p.defaults()
	p.check("AvgPool2DGrad", len(dx), len(dy))
	averageAll(p, countPad, dy, dx, true)
}

func averageAll[T Float](p Pool2DParams, countPad bool, y, x []T, grad bool) {
	grain, ok := p.serial()
	if ok {
		averagePlanes(p, 0, p.N*p.C, countPad, y, x, grad)
		return
	}
	parallelFor(p.N*p.C, grain, func(lo, hi int) { averagePlanes(p, lo, hi, countPad, y, x, grad) })
}

func averagePlanes[T Float](p Pool2DParams, lo, hi int, countPad bool, y, x []T, grad bool) {
	out := p.OutH * p.OutW
	for c := lo; c < hi; c++ {
		plane := x[c*p.H*p.W : (c+1)*p.H*p.W]
		if grad {
			clear(plane)
		}
		averagePlane(&p, countPad, y[c*out:(c+1)*out], plane, grad)
	}
}

// averagePlane writes the means of x's windows to y or, if grad, spreads y over
// them.
func averagePlane[T Float](p *Pool2DParams, countPad bool, y, x []T, grad bool) {
	i := 0
	for oh := range p.OutH {
		h0 := oh*p.StrideH - p.PadTop
		khLo, khHi, ch := averageWindow(h0, p.KH, p.DilH, p.H, p.PadBottom, countPad)
		for ow := range p.OutW {
			w0 := ow*p.StrideW - p.PadLeft
			kwLo, kwHi, cw := averageWindow(w0, p.KW, p.DilW, p.W, p.PadRight, countPad)
			count := T(ch * cw)
			var sum, share T
			if grad && khHi > khLo && kwHi > kwLo {
				share = y[i] / count
			}
			for kh := khLo; kh < khHi; kh++ {
				o := (h0+kh*p.DilH)*p.W + w0
				for kw := kwLo; kw < kwHi; kw++ {
					if grad {
						x[o+kw*p.DilW] += share
					} else {
						sum += x[o+kw*p.DilW]
					}
				}
			}
			if !grad {
				if khHi > khLo && kwHi > kwLo {
					sum /= count
				}
				y[i] = sum
			}
			i++
		}
	}
}
