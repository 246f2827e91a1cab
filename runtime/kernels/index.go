package kernels

import (
	"fmt"

	"github.com/graphrun/graphrun/graph"
	"github.com/graphrun/graphrun/runtime/kernels/portable"
	"github.com/graphrun/graphrun/runtime/value"
)

func init() {
	register(&Kernel{Op: "gather", DTypes: wide, Match: indexed, Bind: func(s *Spec) (Func, error) {
		return bySize(s.OutTypes[0].DType, func() (Func, error) { return gather[uint8](s), nil },
			func() (Func, error) { return gather[uint16](s), nil },
			func() (Func, error) { return gather[uint32](s), nil },
			func() (Func, error) { return gather[uint64](s), nil })
	}})
	register(&Kernel{Op: "gather_elements", DTypes: wide, Match: indexed, Bind: func(s *Spec) (Func, error) {
		return bySize(s.OutTypes[0].DType, func() (Func, error) { return gatherElements[uint8](s), nil },
			func() (Func, error) { return gatherElements[uint16](s), nil },
			func() (Func, error) { return gatherElements[uint32](s), nil },
			func() (Func, error) { return gatherElements[uint64](s), nil })
	}})
	for op, rows := range map[string]map[graph.DType]binder{
		"index_add": wrapping(indexAdd[float32], indexAdd[float64],
			indexAdd[uint8], indexAdd[uint16], indexAdd[uint32], indexAdd[uint64]),
		"scatter_add": wrapping(scatterAdd[float32], scatterAdd[float64],
			scatterAdd[uint8], scatterAdd[uint16], scatterAdd[uint32], scatterAdd[uint64]),
	} {
		for d, bind := range rows {
			register(&Kernel{Op: op, DTypes: graph.DTypes(d), Match: indexed, InPlace: []int{0}, Bind: bind})
		}
	}
	perDType("pad_mode_grad", nil, wrapping(padModeGrad[float32], padModeGrad[float64],
		padModeGrad[uint8], padModeGrad[uint16], padModeGrad[uint32], padModeGrad[uint64]))
	register(&Kernel{Op: "dim_size", DTypes: graph.AnyDType, Bind: func(s *Spec) (Func, error) {
		shape := sizesOf(s.InTypes[0])
		n := int64(shape[axisOf(s, len(shape))])
		return func(c *Call) error { elems[int64](c.Out[0])[0] = n; return nil }, nil
	}})
	register(&Kernel{Op: "iota", DTypes: graph.AnyDType, Match: countable, Bind: bindIota})
}

// indexed matches ops whose second operand holds i32 or i64.
func indexed(in []graph.TensorType, _ graph.Attrs) bool {
	return in[1].DType == graph.I64 || in[1].DType == graph.I32
}

// positions reads indices, of a number, as positions from 0 up to n along an axis into its result, which it keeps.
func positions(s *Spec, count, n int) func(t *value.Tensor) ([]int, error) {
	at := make([]int, count)
	axis := s.Int("axis")
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
			if k < -n || k >= n {
				return nil, fmt.Errorf("index %d is out of range for axis %d of size %d", k, axis, n)
			}
			if k < 0 {
				at[i] += n
			}
		}
		return at, nil
	}
}

// count returns the number of elements of a bound type.
func count(t graph.TensorType) int {
	n := 1
	for _, d := range sizesOf(t) {
		n *= d
	}
	return n
}

func gather[T word](s *Spec) Func {
	shape := sizesOf(s.InTypes[0])
	axis := axisOf(s, len(shape))
	outer, inner := around(shape, axis)
	n, picks := shape[axis], count(s.InTypes[1])
	read := positions(s, picks, n)
	var at []int
	run := inRanges(outer*picks, 4+inner/4, func(c *Call, _, lo, hi int) {
		x, y := elems[T](c.In[0]), elems[T](c.Out[0])
		o, j := lo/max(picks, 1), lo%max(picks, 1)
		for i := lo; i < hi; i++ {
			from := (o*n + at[j]) * inner
			if inner == 1 {
				y[i] = x[from]
			} else {
				copy(y[i*inner:][:inner], x[from:])
			}
			if j++; j == picks {
				o, j = o+1, 0
			}
		}
	})
	return func(c *Call) (err error) {
		if at, err = read(c.In[1]); err != nil {
			return err
		}
		return run(c)
	}
}

// takeOver makes the result a copy of operand 0, unless it has that one's storage.
func takeOver(c *Call) {
	x, y := c.In[0].Bytes(), c.Out[0].Bytes()
	if len(x) > 0 && &x[0] != &y[0] {
		copy(y, x)
	}
}

// indexAdd adds in the order of the indices. Threads share the elements of a part, not the parts.
func indexAdd[T portable.Number](s *Spec) (Func, error) {
	shape := sizesOf(s.InTypes[0])
	axis := axisOf(s, len(shape))
	outer, inner := around(shape, axis)
	n, picks := shape[axis], count(s.InTypes[1])
	read := positions(s, picks, n)
	const strip = 256
	strips := (inner + strip - 1) / strip
	var at []int
	run := inRanges(outer*strips, picks*min(inner, strip)/2, func(c *Call, _, lo, hi int) {
		u, y := elems[T](c.In[2]), elems[T](c.Out[0])
		for i := lo; i < hi; i++ {
			o, from := i/strips, i%strips*strip
			width := min(strip, inner-from)
			for j, k := range at {
				to := y[(o*n+k)*inner+from:][:width]
				for e, v := range u[(o*picks+j)*inner+from:][:width] {
					to[e] += v
				}
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

func gatherElements[T word](s *Spec) Func {
	p, size := newPlaces(s), count(s.InTypes[1])
	if size == 0 {
		return nothing
	}
	data := sizesOf(s.InTypes[0])
	read := positions(s, size, data[axisOf(s, len(data))])
	n := p.shape[len(p.shape)-1]
	var at []int
	run := inRanges(size/n, 4+2*n, func(c *Call, _, lo, hi int) {
		x, y := elems[T](c.In[0]), elems[T](c.Out[0])
		for r := lo; r < hi; r++ {
			from, step := p.row(r)
			out := y[r*n:][:n]
			for j, k := range at[r*n:][:n] {
				out[j] = x[from+k*p.step]
				from += step
			}
		}
	})
	return func(c *Call) (err error) {
		if at, err = read(c.In[1]); err != nil {
			return err
		}
		return run(c)
	}
}

func scatterAdd[T portable.Number](s *Spec) (Func, error) {
	p, size := newPlaces(s), count(s.InTypes[1])
	if size == 0 {
		return func(c *Call) error { takeOver(c); return nil }, nil
	}
	data := sizesOf(s.InTypes[0])
	read := positions(s, size, data[axisOf(s, len(data))])
	n := p.shape[len(p.shape)-1]
	return func(c *Call) error {
		at, err := read(c.In[1])
		if err != nil {
			return err
		}
		takeOver(c)
		u, y := elems[T](c.In[2]), elems[T](c.Out[0])
		for r := range size / n {
			to, step := p.row(r)
			for j, k := range at[r*n:][:n] {
				y[to+k*p.step] += u[r*n+j]
				to += step
			}
		}
		return nil
	}, nil
}

func padModeGrad[T portable.Number](s *Spec) (Func, error) {
	padded, shape := sizesOf(s.InTypes[0]), sizesOf(s.OutTypes[0])
	if len(padded) == 0 {
		return func(c *Call) error { copy(c.Out[0].Bytes(), c.In[0].Bytes()); return nil }, nil
	}
	tables := padTables(s, shape, padded)
	n := padded[len(padded)-1]
	rows := 0
	if n > 0 {
		rows = count(s.InTypes[0]) / n
	}
	last := tables[len(tables)-1]
	return func(c *Call) error {
		dy, dx := elems[T](c.In[0]), elems[T](c.Out[0])
		clear(dx)
		for r := range rows {
			at := offsetOf(tables, r)
			for j, k := range last {
				dx[at+k] += dy[r*n+j]
			}
		}
		return nil
	}, nil
}

// countables are the dtypes whose elements are Go numbers.
var countables = graph.DTypes(
	graph.F32, graph.F64, graph.I8, graph.I16, graph.I32, graph.I64, graph.U8, graph.U16, graph.U32, graph.U64,
)

func countable(_ []graph.TensorType, attrs graph.Attrs) bool {
	return countables.Has(attrs.DType("dtype"))
}

func bindIota(s *Spec) (Func, error) {
	switch s.OutTypes[0].DType {
	case graph.F32:
		return counting[float32](s), nil
	case graph.F64:
		return counting[float64](s), nil
	}
	// integers wrap alike whatever their sign
	return bySize(s.OutTypes[0].DType, func() (Func, error) { return counting[uint8](s), nil },
		func() (Func, error) { return counting[uint16](s), nil },
		func() (Func, error) { return counting[uint32](s), nil },
		func() (Func, error) { return counting[uint64](s), nil })
}

// counting counts along an axis.
func counting[T portable.Number](s *Spec) Func {
	shape := sizesOf(s.OutTypes[0])
	axis := axisOf(s, len(shape))
	outer, inner := around(shape, axis)
	n := shape[axis]
	return inRanges(outer*n, inner, func(c *Call, _, lo, hi int) {
		y := elems[T](c.Out[0])
		for i := lo; i < hi; i++ {
			v, out := T(i%n), y[i*inner:][:inner]
			for j := range out {
				out[j] = v
			}
		}
	})
}
