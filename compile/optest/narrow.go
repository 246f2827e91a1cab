package optest

import (
	"fmt"
	"math"

	"github.com/graphrun/graphrun/graph"
	"github.com/graphrun/graphrun/graph/value"
)

// checkNarrow wants an op on f16 and bf16 to give what it gives on the same numbers in f64, rounded, up to one unit in the last
// place and what f32 loses of the largest operand: it computes in f32 and rounds where it ends. It tries the operands as they are, and floats far from 0 and large.
func (s *sample) checkNarrow(in []value.Value) error {
	if s.Build != nil {
		return nil
	}
	for _, dt := range []graph.DType{graph.F16, graph.BF16} {
		for _, by := range []struct{ factor, shift float64 }{{1, 0}, {1, 50}, {30, 0}} {
			narrow := converted(moved(in, by.factor, by.shift), dt)
			if narrow == nil {
				return nil
			}
			want, err := graph.Evaluate(s.op, converted(narrow, graph.F64), s.Attrs)
			if err != nil {
				continue // refused, as operands out of range are
			}
			got, err := graph.Evaluate(s.op, narrow, s.Attrs)
			if err != nil {
				if _, wide := graph.Evaluate(s.op, converted(narrow, graph.F32), s.Attrs); wide != nil {
					return nil // it takes f64 only
				}
				return fmt.Errorf("in %s: %w", dt, err)
			}
			for k := range want {
				if err := compareNarrow(got[k], want[k], 0x1p-24*largest(narrow)); err != nil {
					return fmt.Errorf("in %s, operands times %v plus %v: result %d: %w", dt, by.factor, by.shift, k, err)
				}
			}
		}
	}
	return nil
}

// moved returns operands whose floats are multiplied and shifted.
func moved(in []value.Value, factor, shift float64) []value.Value {
	out := make([]value.Value, len(in))
	for i, v := range in {
		out[i] = v
		if t, ok := v.(*value.Tensor); ok && t.DType().IsFloat() {
			e := t.Exact()
			for k, x := range e.F {
				e.F[k] = x*factor + shift
			}
			out[i] = e.Tensor()
		}
	}
	return out
}

// largest returns the largest absolute value of finite floats among operands.
func largest(in []value.Value) float64 {
	top := 0.0
	for _, v := range in {
		if t, ok := v.(*value.Tensor); ok && t.DType().IsFloat() {
			for _, x := range t.Float64s() {
				if x = math.Abs(x); x <= math.MaxFloat64 {
					top = max(top, x)
				}
			}
		}
	}
	return top
}

func compareNarrow(got, want value.Value, loss float64) error {
	g, ok := got.(*value.Tensor)
	if !ok || !g.DType().IsFloat() || g.DType().Bits() >= 32 {
		return nil
	}
	xs := g.Float64s()
	for i, exact := range want.(*value.Tensor).Float64s() {
		code := value.EncodeFloat(g.DType(), exact)
		y := value.DecodeFloat(g.DType(), code)
		below, above := value.DecodeFloat(g.DType(), code-1), value.DecodeFloat(g.DType(), code+1)
		if x := xs[i]; x != y && x != below && x != above && !(math.IsNaN(x) && math.IsNaN(y)) && !(math.Abs(x-exact) <= loss) {
			return fmt.Errorf("element %d is %v, want %v", i, x, exact)
		}
	}
	return nil
}
