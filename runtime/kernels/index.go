package kernels

import (
	"math"

	"github.com/graphrun/graphrun/graph"
	"github.com/graphrun/graphrun/graph/errfmt"
	"github.com/graphrun/graphrun/graph/value"
	"github.com/graphrun/graphrun/runtime/kernels/backend"
)

func init() {
	register(
		&Kernel{Op: "gather", DTypes: wide, Match: indexed, Bind: bindGather},
		&Kernel{Op: "gather_elements", DTypes: wide, Match: indexed, Bind: bindGatherElements},
		&Kernel{Op: "index_add", DTypes: countables, Match: indexed, InPlace: []int{0}, Bind: bindIndexAdd},
		&Kernel{Op: "scatter_add", DTypes: countables, Match: indexed, InPlace: []int{0}, Bind: bindScatterAdd},
		&Kernel{Op: "pad_mode_grad", DTypes: countables, Bind: bindPadModeGrad},
		&Kernel{Op: "dim_size", DTypes: graph.AnyDType, Bind: bindDimSize},
		&Kernel{Op: "count", DTypes: graph.AnyDType, Bind: bindCount},
		&Kernel{Op: "iota", DTypes: graph.AnyDType, Match: countable, Bind: bindIota},
	)
}

func bindDimSize(s *Spec) (Func, error) {
	shape := sizesOf(s.InTypes[0])
	n := int64(shape[axisOf(s, len(shape))])
	return func(c *Call) error { elems[int64](c.Out[0])[0] = n; return nil }, nil
}

func bindCount(s *Spec) (Func, error) {
	n := int64(1)
	for _, axis := range s.Ints("axes") {
		n *= int64(sizesOf(s.InTypes[0])[axis])
	}
	return func(c *Call) error { elems[int64](c.Out[0])[0] = n; return nil }, nil
}

// indexed matches ops whose second operand holds i32 or i64.
func indexed(s *Signature) bool {
	return s.In[1].DType == graph.I64 || s.In[1].DType == graph.I32
}

// positions reads indices, of a number, as positions from 0 up to n along an axis into its result, which it keeps.
func positions(s *Spec, count, n int) func(t *value.Tensor) ([]int, error) {
	at := scratch[int](s, count)
	axis, least := s.Int("axis"), -n
	if s.Node.Attrs().Get("from_end") == false {
		least = 0
	}
	return func(t *value.Tensor) ([]int, error) {
		if t.DType() == graph.I32 {
			for i, k := range elems[int32](t) {
				at[i] = int(k)
			}
		} else {
			for i, k := range elems[int64](t) {
				at[i] = int(k)
			}
		}
		for i, k := range at {
			if k < least || k >= n {
				return nil, errfmt.Errorf("index %d is out of range for axis %d of size %d", k, axis, n)
			}
			if k < 0 {
				at[i] += n
			}
		}
		return at, nil
	}
}

// count returns the number of elements of a bound type.
func count(t graph.TensorType) int { return product(sizesOf(t)) }

func bindGather(s *Spec) (Func, error) {
	shape, size := sizesOf(s.InTypes[0]), sizeOf(s.InTypes[0].DType)
	axis := axisOf(s, len(shape))
	outer, inner := around(shape, axis)
	n, picks := shape[axis], count(s.InTypes[1])
	read := positions(s, picks, n)
	var at []int
	run := inRanges(outer*picks, 4+inner/4, func(c *Call, _, lo, hi int) {
		x, y := c.In[0].Bytes(), c.Out[0].Bytes()
		for lo < hi {
			o, j := lo/picks, lo%picks
			places, from := at[j:j+min(picks-j, hi-lo)], x[o*n*inner*size:]
			if inner == 1 {
				pick(size, y[lo*size:], from, places, 1, 0)
			} else {
				for i, k := range places {
					copy(y[(lo+i)*inner*size:][:inner*size], from[k*inner*size:])
				}
			}
			lo += len(places)
		}
	})
	return func(c *Call) (err error) {
		if at, err = read(c.In[1]); err != nil {
			return err
		}
		return run(c)
	}, nil
}

// takeOver makes the result a copy of operand 0, unless it has that one's storage. Inlined, it takes 0.6 kB of a service.
//
//go:noinline
func takeOver(c *Call) {
	x, y := c.In[0].Bytes(), c.Out[0].Bytes()
	if len(x) > 0 && &x[0] != &y[0] {
		copy(y, x)
	}
}

// bindIndexAdd adds in the order of the indices. Threads share the elements of a part, not the parts.
func bindIndexAdd(s *Spec) (Func, error) {
	shape, d := sizesOf(s.InTypes[0]), s.InTypes[0].DType
	axis, size := axisOf(s, len(shape)), sizeOf(d)
	outer, inner := around(shape, axis)
	n, picks := shape[axis], count(s.InTypes[1])
	read := positions(s, picks, n)
	const strip = 256
	strips := backend.CeilDiv(inner, strip)
	var at []int
	run := inRanges(outer*strips, picks*min(inner, strip)/2, func(c *Call, _, lo, hi int) {
		u, y := c.In[2].Bytes(), c.Out[0].Bytes()
		for i := lo; i < hi; i++ {
			o, from := i/strips, i%strips*strip
			width := min(strip, inner-from)
			for j, k := range at {
				addTo(d, y[((o*n+k)*inner+from)*size:][:width*size], u[((o*picks+j)*inner+from)*size:])
			}
		}
	})
	return func(c *Call) (err error) {
		if at, err = read(c.In[1]); err != nil {
			return err
		}
		takeOver(c)
		return run(c)
	}, nil
}

// places walks the places of indices, of a shape, within data: the offset of each but for the axis.
type places struct {
	shape, strides []int
	step           int // along the axis
}

func newPlaces(s *Spec) places {
	data, shape := sizesOf(s.InTypes[0]), sizesOf(s.InTypes[1])
	p := places{shape: shape, strides: stridesOf(data)}
	axis := axisOf(s, len(data))
	p.step, p.strides[axis] = p.strides[axis], 0
	return p
}

// row returns the offset of row r along the last axis, and the distance of its places.
func (p places) row(r int) (at, step int) {
	last := len(p.shape) - 1
	for a := last - 1; a >= 0; a-- {
		at += r % p.shape[a] * p.strides[a]
		r /= p.shape[a]
	}
	return at, p.strides[last]
}

func bindGatherElements(s *Spec) (Func, error) {
	p, picks, size := newPlaces(s), count(s.InTypes[1]), sizeOf(s.InTypes[0].DType)
	if picks == 0 {
		return nothing, nil
	}
	data := sizesOf(s.InTypes[0])
	read := positions(s, picks, data[axisOf(s, len(data))])
	n := p.shape[len(p.shape)-1]
	var at []int
	run := inRanges(picks/n, 4+2*n, func(c *Call, _, lo, hi int) {
		x, y := c.In[0].Bytes(), c.Out[0].Bytes()
		for r := lo; r < hi; r++ {
			from, step := p.row(r)
			pick(size, y[r*n*size:], x[from*size:], at[r*n:][:n], p.step, step)
		}
	})
	return func(c *Call) (err error) {
		if at, err = read(c.In[1]); err != nil {
			return err
		}
		return run(c)
	}, nil
}

func bindScatterAdd(s *Spec) (Func, error) {
	p, picks, d := newPlaces(s), count(s.InTypes[1]), s.InTypes[0].DType
	if picks == 0 {
		return func(c *Call) error { takeOver(c); return nil }, nil
	}
	data, size := sizesOf(s.InTypes[0]), sizeOf(d)
	read := positions(s, picks, data[axisOf(s, len(data))])
	n := p.shape[len(p.shape)-1]
	return func(c *Call) error {
		at, err := read(c.In[1])
		if err != nil {
			return err
		}
		takeOver(c)
		u, y := c.In[2].Bytes(), c.Out[0].Bytes()
		for r := range picks / n {
			to, step := p.row(r)
			addAt(d, y[to*size:], u[r*n*size:], at[r*n:][:n], p.step, step)
		}
		return nil
	}, nil
}

func bindPadModeGrad(s *Spec) (Func, error) {
	padded, shape, d := sizesOf(s.InTypes[0]), sizesOf(s.OutTypes[0]), s.InTypes[0].DType
	if len(padded) == 0 {
		return func(c *Call) error { copy(c.Out[0].Bytes(), c.In[0].Bytes()); return nil }, nil
	}
	tables := padTables(s, shape, padded)
	n, size := padded[len(padded)-1], sizeOf(d)
	rows := 0
	if n > 0 {
		rows = count(s.InTypes[0]) / n
	}
	last := tables[len(tables)-1]
	return func(c *Call) error {
		dy, dx := c.In[0].Bytes(), c.Out[0].Bytes()
		clear(dx)
		for r := range rows {
			addAt(d, dx[offsetOf(tables, r)*size:], dy[r*n*size:], last, 1, 0)
		}
		return nil
	}, nil
}

// countable matches ops whose attribute dtype is of Go numbers.
func countable(s *Signature) bool {
	return countables.Has(s.DType("dtype"))
}

// bindIota counts along an axis.
func bindIota(s *Spec) (Func, error) {
	shape, d := sizesOf(s.OutTypes[0]), s.OutTypes[0].DType
	axis, size := axisOf(s, len(shape)), sizeOf(d)
	outer, inner := around(shape, axis)
	n := shape[axis]
	return inRanges(outer*n, inner, func(c *Call, _, lo, hi int) {
		y := c.Out[0].Bytes()
		for i := lo; i < hi; i++ {
			v := uint64(i % n) // integers wrap alike whatever their sign
			switch d {
			case graph.F32:
				v = uint64(math.Float32bits(float32(i % n)))
			case graph.F64:
				v = math.Float64bits(float64(i % n))
			}
			fill(size, y[i*inner*size:][:inner*size], v)
		}
	}), nil
}
