package randgraph

import (
	"fmt"

	"github.com/graphrun/graphrun/graph"
	"github.com/graphrun/graphrun/graph/value"
	"github.com/graphrun/graphrun/ops"
)

// registered applies any op of the registry to inputs as its samples declare them: an op is here as soon as it is registered. A size of the
// sample may become a symbol, or what is computed from some.
func (g *gen) registered() {
	all := graph.Ops()
	for range 8 { // tries
		op := all[g.intn(len(all))]
		if op.Props.Structural || op.Props.Random || op.Props.Fused {
			continue
		}
		samples, err := ops.SamplesOf(op)
		if err != nil || len(samples) == 0 {
			continue
		}
		s := samples[g.intn(len(samples))]
		if s.Build == nil && g.apply(op, g.another(op, s)) {
			return
		}
	}
}

// sizes are what may stand in the place of a size.
func (g *gen) anySize() graph.Dim {
	size := pick[any](g.source, "N", "N", "M", "N*M", "floordiv(N, 2)", "floordiv(N+1, 2)", "2*N", "N+M", "max(N-2, 0)", 0, 1, 1)
	d, _ := graph.Shape(size)
	return d[0]
}

// another puts another size in the place of one of a sample, wherever that stands, or another dtype in the place of the first operand's, if the op
// takes that.
func (g *gen) another(op *graph.Op, s graph.Sample) graph.Sample {
	var sizes []graph.Dim
	for _, f := range s.In {
		sizes = append(sizes, f.Type.Shape...)
	}
	if len(sizes) == 0 || g.callee || g.chance(20) {
		return s
	}
	old, by := pick(g.source, sizes...), g.anySize()
	put := func(shape []graph.Dim) []graph.Dim {
		out := make([]graph.Dim, len(shape))
		for i, d := range shape {
			if out[i] = d; d.Equal(old) {
				out[i] = by
			}
		}
		return out
	}
	first := s.In[0].Type.DType
	dt := first
	if g.chance(30) {
		dt, by = pick(g.source, value.DTypes()...), old
	}
	r := s
	r.In, r.Attrs = nil, nil
	m := graph.NewModule("try")
	f := m.Func("f")
	var in []graph.Value
	for i, feed := range s.In {
		if feed.Values != "" {
			return s
		}
		if feed.Type.Shape = put(feed.Type.Shape); feed.Type.DType == first {
			feed.Type.DType = dt
		}
		if u := feed.Type.DType.Domain() == value.Uints; u && feed.Lo < 0 {
			feed.Lo = 0
		}
		r.In = append(r.In, feed)
		in = append(in, f.InputOf(fmt.Sprint("x", i), feed.Type))
	}
	for _, a := range s.Attrs {
		if dims, ok := a.Value.([]graph.Dim); ok {
			a.Value = put(dims)
		}
		r.Attrs = append(r.Attrs, a)
	}
	f.Emit(op, in, r.Attrs)
	if m.Err() != nil {
		return s
	}
	return r
}

// apply declares a sample; it reports whether it has.
func (g *gen) apply(op *graph.Op, s graph.Sample) bool {
	for _, f := range s.In {
		if f.Type.DType == graph.String || g.o.F64 && f.Type.DType != graph.F64 || elements(f.Type.Shape) > 4*maxElements || g.callee && f.Values == "" {
			return false
		}
	}
	var in []graph.Value
	for _, f := range s.In {
		if f.Values != "" {
			shape, _ := f.Type.ConstShape()
			t, err := value.ParseElements(f.Type.DType, shape, f.Values)
			if err != nil {
				return false
			}
			in = append(in, g.f.Const(t))
			continue
		}
		x := Input{Name: fmt.Sprintf("x%d", len(g.out.Inputs)), Type: f.Type, Lo: f.Lo, Hi: f.Hi, spread: f.Spread}
		if x.Lo == 0 && x.Hi == 0 {
			if x.Hi = 3; f.Type.DType.IsFloat() {
				x.Lo, x.Hi = -2, 2
			}
		}
		g.out.Inputs = append(g.out.Inputs, x)
		in = append(in, g.f.InputOf(x.Name, x.Type))
	}
	for i, y := range g.f.Emit(op, in, s.Attrs) {
		switch {
		case i > 1 || !y.OK():
		case y.DType() == graph.F32 || y.DType() == graph.F64:
			g.add(val{ops.Tanh(y), -1, 1})
		case len(g.outs) < 3:
			g.outs = append(g.outs, y)
		}
	}
	return true
}
