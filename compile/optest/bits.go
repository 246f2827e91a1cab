package optest

import (
	"bytes"
	"context"
	"fmt"
	"hash/fnv"
	"math/rand/v2"
	"slices"

	"github.com/graphrun/graphrun/compile"
	"github.com/graphrun/graphrun/graph"
	"github.com/graphrun/graphrun/graph/value"
	"github.com/graphrun/graphrun/runtime"
	"github.com/graphrun/graphrun/runtime/kernels/parallel"
)

// CheckBits compiles the op with many examples along each axis of its samples, and wants the same bits from 1, 2, 3 and 8 threads and,
// where the reference computes an example alone as among others, from any number of examples. It sets the number of threads.
func CheckBits(op *graph.Op) error {
	samples, err := samplesOf(op)
	if err != nil {
		return err
	}
	tried := map[string]bool{}
	for i, s := range samples {
		for _, b := range s.batches() {
			if what := b.String(); !tried[what] {
				tried[what] = true
				if err := b.check(); err != nil {
					return fmt.Errorf("%s: sample %d, %s: %w", op.Name, i, what, err)
				}
			}
		}
	}
	return nil
}

// batched is a sample with examples along an axis of some operands.
type batched struct {
	*sample
	axes   []int // by operand, -1 if all examples share it
	module *graph.Module
	rng    *rand.Rand
}

const (
	mostExamples = 67
	fewExamples  = 16 // which the reference computes
	example      = "N"
)

func (b *batched) String() string { return fmt.Sprint(b.types(example), b.Attrs) }

// types returns the operands' types with n examples; floats are f32, whose kernels are those of which there is most.
func (b *batched) types(n any) []graph.Type {
	types := make([]graph.Type, len(b.In))
	for i, f := range b.In {
		dims := make([]any, f.Type.Rank())
		for k, d := range f.Type.Shape {
			if dims[k] = d; k == b.axes[i] {
				dims[k] = n
			}
		}
		dt := f.Type.DType
		if dt.IsFloat() {
			dt = graph.F32
		}
		types[i], _ = graph.Tensor(dt, dims...)
	}
	return types
}

// batches returns the ways to put examples along axes that the type rule accepts: of the first operand, of all whose axis has the same
// place from the front or from the end and the same size.
func (s *sample) batches() (all []*batched) {
	if len(s.In) == 0 {
		return nil
	}
	first := s.In[0].Type
	for axis := range first.Rank() {
		for way := range 3 {
			b := &batched{sample: s, axes: make([]int, len(s.In))}
			for i, f := range s.In {
				b.axes[i] = -1
				k := axis
				if way == 2 {
					k += f.Type.Rank() - first.Rank()
				}
				if i == 0 || way > 0 && k >= 0 && k < f.Type.Rank() && f.Type.Shape[k].Equal(first.Shape[axis]) {
					b.axes[i] = k
				}
			}
			var outs []graph.Value
			if b.module, outs = b.declare(b.types(example)); b.module.Err() != nil {
				continue
			}
			if !slices.ContainsFunc(outs, func(v graph.Value) bool { return graph.HasUnknown(v.Type()) }) {
				all = append(all, b)
			}
		}
	}
	return all
}

// draw returns operands of n examples.
func (b *batched) draw(n int) ([]value.Value, error) {
	in := make([]value.Value, len(b.In))
	for i, t := range b.types(n) {
		tt := t.(graph.TensorType)
		shape, _ := tt.ConstShape()
		e := value.NewExact(tt.DType, shape)
		if f := b.In[i]; f.Values == "" {
			f.Spread = f.Spread && e.Len() < 50
			draw(e, f, b.rng)
		} else {
			old, _ := f.Type.ConstShape()
			t, err := value.ParseElements(f.Type.DType, old, f.Values)
			if err != nil {
				return nil, err
			}
			from, err := value.Convert(t.Exact(), tt.DType)
			if err != nil || from.Len() == 0 {
				return nil, err
			}
			for k := range e.Len() {
				copyElement(e, k, from, b.rng.IntN(from.Len()))
			}
		}
		in[i] = e.Tensor()
	}
	return in, nil
}

func copyElement(y *value.Exact, i int, x *value.Exact, k int) {
	switch y.DType.Domain() {
	case value.Floats:
		y.F[i] = x.F[k]
	case value.Ints:
		y.I[i] = x.I[k]
	case value.Uints:
		y.U[i] = x.U[k]
	case value.Bools:
		y.B[i] = x.B[k]
	case value.Strings:
		y.S[i] = x.S[k]
	}
}

// part returns examples from..to of values along axes; those without one stay as they are.
func part(in []value.Value, axes []int, from, to int) []value.Value {
	out := slices.Clone(in)
	for i, v := range in {
		if i >= len(axes) || axes[i] < 0 {
			continue
		}
		x := v.(*value.Tensor).Exact()
		outer, inner, n := 1, 1, x.Shape[axes[i]]
		for k, d := range x.Shape {
			if k < axes[i] {
				outer *= d
			} else if k > axes[i] {
				inner *= d
			}
		}
		shape := slices.Clone(x.Shape)
		shape[axes[i]] = to - from
		y := value.NewExact(x.DType, shape)
		at := 0
		for o := range outer {
			for k := from * inner; k < to*inner; k++ {
				copyElement(y, at, x, o*n*inner+k)
				at++
			}
		}
		out[i] = y.Tensor()
	}
	return out
}

// same returns the first result whose bits differ, -1 if there is none.
func same(a, b []value.Value) int {
	for i := range a {
		x, okX := a[i].(*value.Tensor)
		y, okY := b[i].(*value.Tensor)
		if okX && okY && x.DType() != graph.String && !bytes.Equal(x.Bytes(), y.Bytes()) {
			return i
		}
	}
	return -1
}

// resultAxes returns the axis of examples of each result, and whether each has one.
func (b *batched) resultAxes() (axes []int, each bool) {
	each = true
	for _, r := range b.module.LookupFunc("f").Results() {
		axis := -1
		if t, ok := r.Value.TensorType(); ok {
			axis = slices.IndexFunc(t.Shape, func(d graph.Dim) bool { return d.String() == example })
		}
		axes, each = append(axes, axis), each && axis >= 0
	}
	return axes, each
}

// independent reports whether the reference computes examples alone as among others.
func (b *batched) independent(axes []int) bool {
	in, err := b.draw(fewExamples)
	if err != nil {
		return false
	}
	whole, err := interpret(b.module, in)
	if err != nil {
		return false
	}
	for i := range fewExamples {
		alone, err := interpret(b.module, part(in, b.axes, i, i+1))
		if err != nil || same(alone, part(whole, axes, i, i+1)) >= 0 {
			return false
		}
	}
	return true
}

func (b *batched) check() error {
	h := fnv.New64()
	h.Write([]byte(b.String()))
	b.rng = rand.New(rand.NewPCG(h.Sum64(), 1))
	in, err := b.draw(mostExamples)
	if err != nil {
		return err
	}
	prog, err := compile.Compile(b.module)
	if err != nil {
		return err
	}
	run := func(in []value.Value) ([]value.Value, error) {
		s, err := runtime.NewSession(prog)
		if err != nil {
			return nil, err
		}
		feeds := map[string]value.Value{}
		for i, v := range in {
			feeds[fmt.Sprintf("x%d", i)] = v
		}
		got, err := s.Run(context.Background(), "f", feeds)
		outs := make([]value.Value, len(got))
		for i := range outs {
			outs[i] = got[fmt.Sprintf("y%d", i)]
		}
		return outs, err
	}
	defer parallel.SetThreads(0)
	whole, err := run(in)
	if err != nil {
		return nil // refused: indices out of range and the like
	}
	for _, threads := range []int{1, 2, 3, 8} {
		parallel.SetThreads(threads)
		if got, err := run(in); err != nil {
			return err
		} else if i := same(got, whole); i >= 0 {
			return fmt.Errorf("result %d has other bits with %d threads", i, threads)
		}
	}
	axes, each := b.resultAxes()
	if !each || !b.independent(axes) {
		return nil
	}
	at := 0
	for _, n := range []int{1, 2, 3, 8, 1} {
		got, err := run(part(in, b.axes, at, at+n))
		if err != nil {
			return err
		}
		if i := same(got, part(whole, axes, at, at+n)); i >= 0 {
			return fmt.Errorf("result %d: examples %d to %d have other bits alone than among %d", i, at, at+n-1, mostExamples)
		}
		at += n
	}
	return nil
}
