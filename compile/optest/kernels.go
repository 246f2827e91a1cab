package optest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"testing"

	"github.com/graphrun/graphrun/compile"
	"github.com/graphrun/graphrun/graph"
	"github.com/graphrun/graphrun/graph/dim"
	"github.com/graphrun/graphrun/graph/value"
	"github.com/graphrun/graphrun/runtime"
	"github.com/graphrun/graphrun/runtime/kernels"
)

// checkKernels runs every kernel of the op on the sample, in each float dtype that it takes, and on variants with special
// values, and compares with the reference.
func (s *sample) checkKernels(in []value.Value) error {
	if s.Build != nil || len(kernels.Rows(s.op.Name)) == 0 {
		return nil
	}
	for _, v := range s.variants(in) {
		for _, packed := range []bool{false, true} {
			if err := s.checkKernel(v, packed); err != nil {
				return err
			}
		}
	}
	return nil
}

// variants returns the operands in each float dtype that kernels take, and with special values.
func (s *sample) variants(in []value.Value) [][]value.Value {
	variants := [][]value.Value{in}
	for _, to := range []graph.DType{graph.F32, graph.F64} {
		if v := converted(in, to); v != nil {
			variants = append(variants, v)
			if s.op.Props.Elementwise {
				variants = append(variants, special(v))
			}
		}
	}
	return variants
}

// converted turns the float operands to another dtype; nil if there are none.
func converted(in []value.Value, to graph.DType) []value.Value {
	out := make([]value.Value, len(in))
	found := false
	for i, v := range in {
		out[i] = v
		t := v.(*value.Tensor)
		if !t.DType().IsFloat() {
			continue
		}
		if e, err := value.Convert(t.Exact(), to); err == nil {
			out[i], found = e.Tensor(), true
		}
	}
	if !found {
		return nil
	}
	return out
}

// special puts NaN, infinities and both zeros among the elements.
func special(in []value.Value) []value.Value {
	points := []float64{math.NaN(), math.Inf(1), math.Inf(-1), 0, math.Copysign(0, -1), 1e30, -1e-30, 1}
	out := make([]value.Value, len(in))
	for k, v := range in {
		out[k] = v
		t := v.(*value.Tensor)
		if t.DType().IsFloat() {
			e := t.Exact()
			for i := range e.F {
				e.F[i] = points[(i*(k+1)+i/len(points)+k)%len(points)]
			}
			out[k] = e.Tensor()
		}
	}
	return out
}

// bound is a kernel bound to a sample, with the results of the reference.
type bound struct {
	node *graph.Node
	run  kernels.Func
	spec *kernels.Spec
	in   []*value.Tensor
	want []value.Value
	what string // in messages
}

// bind returns the kernel that computes the op on the operands, nil if the reference does or refuses them. With packed, those operands
// are packed that the kernel wants so, as far as they are; nil if it wants none.
func (s *sample) bind(in []value.Value, packed bool) (*bound, error) {
	types := make([]graph.Type, len(in))
	b := &bound{in: make([]*value.Tensor, len(in))}
	for i, v := range in {
		types[i], b.in[i] = graph.TypeOf(v), v.(*value.Tensor)
	}
	m, outs := s.declare(types)
	if m.Err() != nil {
		return nil, nil // not an op on this dtype
	}
	b.node = outs[0].Node()
	k := kernels.Select(b.node)
	err := checkChoice(b.node, k)
	if k == nil || k.Alias || err != nil {
		return nil, err
	}
	if b.want, err = graph.EvalNode(b.node, in, nil); err != nil {
		return nil, nil // refused by the reference: nothing to compare with
	}
	b.spec = &kernels.Spec{Attrs: b.node.Attrs(), Node: b.node, Regions: b.node.Regions()}
	for _, t := range types {
		b.spec.InTypes = append(b.spec.InTypes, t.(graph.TensorType))
	}
	for _, w := range b.want {
		b.spec.OutTypes = append(b.spec.OutTypes, graph.TypeOf(w).(graph.TensorType))
	}
	b.what = fmt.Sprintf("kernel on %v", types)
	if packed {
		which := b.pack(k)
		if len(which) == 0 {
			return nil, nil
		}
		b.what += fmt.Sprintf(", operands %v packed", which)
	}
	if b.run, err = k.Bind(b.spec); err != nil {
		return nil, fmt.Errorf("%s: %w", b.what, err)
	}
	if b.run == nil {
		return nil, fmt.Errorf("%s: it declines sizes", b.what)
	}
	return b, nil
}

// pack packs the operands for which a kernel has a layout and returns which these are: as a program does it, first when only their own
// sizes are known, then when all are. What the kernel is not to read any more gets other elements.
func (b *bound) pack(k *kernels.Kernel) (which []int) {
	if k.Pack == nil {
		return nil
	}
	b.spec.Packed = make([]*kernels.Packed, len(b.in))
	var packs kernels.Packs
	for i, t := range b.in {
		declared := &kernels.Spec{
			Attrs: b.spec.Attrs, Node: b.node, Regions: b.spec.Regions,
			InTypes: unsized(b.spec.InTypes, "in"), OutTypes: unsized(b.spec.OutTypes, "out"),
		}
		declared.InTypes[i] = b.spec.InTypes[i]
		for _, s := range []*kernels.Spec{declared, b.spec} {
			if l := k.Pack(s, i); l != nil {
				b.spec.Packed[i] = packs.Of(i, l)
				b.spec.Packed[i].Refresh(t, 0, nil)
			} else {
				b.spec.Packed[i] = nil
			}
		}
		if b.spec.Packed[i] != nil {
			which = append(which, i)
			b.in[i] = t.Clone()
			for k := range b.in[i].Bytes() { // of floats NaN; no kernel packs bools
				b.in[i].Bytes()[k] = 0xFF // NaN
			}
		}
	}
	return which
}

// unsized puts symbols in place of sizes.
func unsized(types []graph.TensorType, name string) []graph.TensorType {
	out := make([]graph.TensorType, len(types))
	for i, t := range types {
		out[i] = graph.TensorType{DType: t.DType, Shape: make([]graph.Dim, t.Rank())}
		for k := range out[i].Shape {
			out[i].Shape[k] = dim.Sym(fmt.Sprintf("%s%d_%d", name, i, k))
		}
	}
	return out
}

// checkChoice holds the choice of a kernel against the one for other dims of the operands and in the attributes: it must not read any.
func checkChoice(n *graph.Node, k *kernels.Kernel) error {
	other := func(dims []graph.Dim) []graph.Dim {
		out := make([]graph.Dim, len(dims))
		for i := range dims {
			out[i] = dim.Const(int64(7 + i))
		}
		return out
	}
	types := n.OperandTypes()
	for i, t := range types {
		tt := t.(graph.TensorType)
		types[i] = graph.TensorType{DType: tt.DType, Shape: other(tt.Shape)}
	}
	attrs := slices.Clone(n.Attrs())
	for i, a := range attrs {
		if dims, ok := a.Value.([]graph.Dim); ok {
			attrs[i].Value = other(dims)
		}
	}
	if kernels.Lookup(n.Op().Name, types, attrs, n.Regions()...) != k {
		return errors.New("the choice of the kernel depends on sizes")
	}
	return nil
}

// Allocations returns how often a call of each kernel of the op allocates once it is bound, for every sample and float dtype that
// it does: lines of operand types and numbers.
func Allocations(op *graph.Op) ([]string, error) {
	var lines []string
	samples, err := samplesOf(op)
	if err != nil {
		return nil, err
	}
	for _, s := range samples {
		in, err := s.values()
		if err != nil {
			return nil, err
		}
		for _, v := range s.variants(in) {
			for _, packed := range []bool{false, true} {
				b, err := s.bind(v, packed)
				if err != nil {
					return nil, err
				}
				if b == nil {
					continue
				}
				n, err := b.allocations()
				if err != nil {
					return nil, err
				}
				if n > 0 {
					lines = append(lines, fmt.Sprintf("%s: %s: %v allocations a call", op.Name, b.what, n))
				}
			}
		}
	}
	return lines, nil
}

// allocations counts those of a call.
func (b *bound) allocations() (n float64, err error) {
	c := &kernels.Call{Spec: b.spec, In: b.in}
	for _, w := range b.want {
		c.Out = append(c.Out, w.(*value.Tensor).Clone())
	}
	n = testing.AllocsPerRun(3, func() { err = errors.Join(err, b.run(c)) })
	return n, err
}

func (s *sample) checkKernel(in []value.Value, packed bool) error {
	b, err := s.bind(in, packed)
	if b == nil || err != nil {
		return err
	}
	n, tensors, want, run := b.node, b.in, b.want, b.run
	c := &kernels.Call{Spec: b.spec, In: tensors}
	var guards []func() error
	for _, w := range want {
		t, guard, err := guarded(w.(*value.Tensor))
		if err != nil {
			return err
		}
		c.Out = append(c.Out, t)
		guards = append(guards, guard)
	}
	before := make([]*value.Tensor, len(tensors))
	for i, t := range tensors {
		before[i] = t.Clone()
	}
	if err := run(c); err != nil {
		return fmt.Errorf("%s: %w", b.what, err)
	}
	for i, t := range tensors {
		if !t.Equal(before[i]) {
			return fmt.Errorf("%s: operand %d has been written to", b.what, i)
		}
	}
	got := make([]value.Value, len(want))
	for i, t := range c.Out {
		if err := guards[i](); err != nil {
			return fmt.Errorf("%s: result %d: %w", b.what, i, err)
		}
		got[i] = t
	}
	if err := graph.CompareNode(n, in, got, nil); err != nil {
		return fmt.Errorf("%s: %w", b.what, err)
	}
	return nil
}

// guarded returns storage like w's between guard bytes, aligned no better than its elements need, and filled with garbage.
func guarded(w *value.Tensor) (*value.Tensor, func() error, error) {
	const guard = 64
	size := len(w.Bytes())
	elem := max(w.DType().Bits()/8, 1)
	buf := make([]byte, guard+elem+size+guard+64)
	for i := range buf {
		buf[i] = 0xA5
	}
	off := guard + elem
	if w.DType() == graph.Bool { // storage of bools holds 0 and 1 only
		for i := range size {
			buf[off+i] = byte(i & 1)
		}
	}
	t, err := value.FromBytes(w.DType(), buf[off:off+size:off+size], w.Shape()...)
	if err != nil {
		return nil, nil, err
	}
	shared := size == 0 || &t.Bytes()[0] == &buf[off]
	return t, func() error {
		if !shared {
			return fmt.Errorf("BUG: the guarded storage is not shared")
		}
		pattern := bytes.Repeat([]byte{0xA5}, guard)
		if !bytes.Equal(buf[off-guard:off], pattern) || !bytes.Equal(buf[off+size:off+size+guard], pattern) {
			return fmt.Errorf("the kernel writes outside its result")
		}
		return nil
	}, nil
}

// checkCompiled runs the sample through the whole compiler and a session.
func (s *sample) checkCompiled(m *graph.Module, in, want []value.Value) error {
	prog, err := compile.Compile(m)
	if err != nil {
		return fmt.Errorf("compiled: %w", err)
	}
	sess, err := runtime.NewSession(prog)
	if err != nil {
		return fmt.Errorf("compiled: %w", err)
	}
	feeds := map[string]value.Value{}
	for i, v := range in {
		feeds[fmt.Sprintf("x%d", i)] = v
	}
	got, err := sess.Run(context.Background(), "f", feeds)
	if err != nil {
		return fmt.Errorf("compiled: %w", err)
	}
	for i, w := range want {
		g := got[fmt.Sprintf("y%d", i)]
		wt, ok := w.(*value.Tensor)
		if !ok || !wt.DType().IsFloat() {
			if !value.Equal(g, w) {
				return fmt.Errorf("compiled: result %d is %v, want %v", i, g, w)
			}
			continue
		}
		// kernels have been held against their tolerance; this is about the passes
		rtol := 1e-12
		switch wt.DType() {
		case graph.F64:
		case graph.F32:
			rtol = 1e-5
		default:
			rtol = 0.05 // composites round after every op of the body
		}
		if err := value.AllClose(g.(*value.Tensor), wt, rtol, rtol); err != nil {
			return fmt.Errorf("compiled: result %d: %w", i, err)
		}
	}
	return nil
}
