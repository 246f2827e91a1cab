package optest

import (
	"fmt"
	"slices"

	"github.com/graphrun/graphrun/graph"
	"github.com/graphrun/graphrun/graph/value"
)

// CheckTypes compiles the op's samples in every dtype that the first operand may have, and with each size 0 and 1, and compares
// with the reference. Samples of several ops have no floats of 8 bits and less: rewritten, they round less often.
func CheckTypes(op *graph.Op) error {
	samples, err := samplesOf(op)
	if err != nil {
		return err
	}
	tried := map[string]bool{}
	for i, s := range samples {
		for _, o := range s.others() {
			what := fmt.Sprint(o.describe(), o.Attrs)
			if tried[what] && s.Build == nil {
				continue
			}
			tried[what] = true
			if err := o.compare(); err != nil {
				return fmt.Errorf("%s: sample %d as %s: %w", op.Name, i, what, err)
			}
		}
	}
	return nil
}

// others returns the sample in other dtypes and sizes.
func (s *sample) others() (all []*sample) {
	if len(s.In) == 0 {
		return nil
	}
	change := func(f func(f *graph.Feed)) {
		o := &sample{op: s.op, Sample: s.Sample}
		o.In = slices.Clone(s.In)
		for i := range o.In {
			f(&o.In[i])
		}
		all = append(all, o)
	}
	from := s.In[0].Type.DType
	for _, to := range value.DTypes() {
		if s.op.Args[0].Types.Has(to) && to != from && !(s.Build != nil && to.IsFloat() && to.Bits() < 16) {
			change(func(f *graph.Feed) {
				if f.Type.DType == from {
					f.Type.DType = to
				}
			})
		}
	}
	var sizes []graph.Dim
	for _, f := range s.In {
		for _, d := range f.Type.Shape {
			if n, _ := d.Int(); n > 1 && !slices.ContainsFunc(sizes, d.Equal) {
				sizes = append(sizes, d)
			}
		}
	}
	for _, size := range sizes {
		for n := range 2 {
			change(func(f *graph.Feed) {
				f.Type.Shape = slices.Clone(f.Type.Shape)
				for k, d := range f.Type.Shape {
					if d.Equal(size) {
						f.Type.Shape[k], f.Values = graph.Ints(n)[0], ""
					}
				}
			})
		}
	}
	return all
}

// compare compares the compiled sample with the reference, if the op takes it and the reference gives a result.
func (s *sample) compare() error {
	types := make([]graph.Type, len(s.In))
	for i, f := range s.In {
		types[i] = f.Type
		if dt := f.Type.DType; dt.Domain() == value.Uints && f.Lo < 0 || dt == value.F8E8M0 && (f.Lo < 0 || f.Hi == 0) || dt == graph.Bool {
			s.In[i].Lo, s.In[i].Hi, s.In[i].Values = 0, 3, ""
		}
	}
	m, _ := s.declare(types)
	if m.Err() != nil {
		return nil
	}
	in, err := s.values()
	if err != nil {
		return nil // elements that the dtype does not have
	}
	want, err := interpret(m, in)
	if err != nil {
		return nil
	}
	return s.checkCompiled(m, in, want)
}
