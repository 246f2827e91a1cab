package compile

import (
	"math"
	"slices"

	"github.com/graphrun/graphrun/graph"
	"github.com/graphrun/graphrun/graph/dim"
	"github.com/graphrun/graphrun/graph/value"
	"github.com/graphrun/graphrun/ops"
)

// ProductRules are rewrites of the pass simplify, behind SimplifyRules: they make what scales and shifts the result of a matrix product or a convolution with constant weights part of these, as a
// frozen batch normalization does: (x·w + b)·s + t = x·(w·s) + (b·s + t). Constants are evaluated as they move, so that the next rule finds them.
var ProductRules = []*Rule{
	scaleShifted("add"),
	scaleShifted("sub"),
	shiftShifted("add", "add", "(y + b) + c = y + (b + c)", func(b, c graph.Value) graph.Value { return ops.Add(b, c) }),
	shiftShifted("add", "sub", "(y - b) + c = y + (c - b)", func(b, c graph.Value) graph.Value { return ops.Sub(c, b) }),
	shiftShifted("sub", "add", "(y + b) - c = y + (b - c)", func(b, c graph.Value) graph.Value { return ops.Sub(b, c) }),
	shiftShifted("sub", "sub", "(y - b) - c = y + (-b - c)", func(b, c graph.Value) graph.Value { return ops.Sub(folded(ops.Neg(b)), c) }),
	scaleProduct("matmul", "matmul(x, w) * s = matmul(x, w*s) for a factor s by columns"),
	scaleProduct("conv", "conv(x, w) * s = conv(x, w*s) for a factor s by channels"),
}

// otherRounding is where rules of products differ.
const otherRounding = "the factors round once more before the sums, and once less behind them; a factor of 0 meets w before x"

// weightsOf returns the weights of a product of constant ones, in floats.
func weightsOf(v graph.Value) (w graph.Value, ok bool) {
	if !v.Is("matmul") && !v.Is("conv") {
		return w, false
	}
	w = v.Node().Operands()[1]
	_, ok = w.Constant()
	return w, ok && w.DType().IsFloat()
}

// hasConstantProduct reports whether there is something for the rules to look at.
func hasConstantProduct(m *graph.Module) (found bool) {
	_ = eachFunc(m, func(f *graph.Func) error {
		found = found || slices.ContainsFunc(f.Nodes(), func(n *graph.Node) bool {
			_, ok := weightsOf(n.Result(0))
			return ok
		})
		return nil
	})
	return found
}

// withConstant returns the operands of n if the second one is constant, and of n's type when it has been broadcast.
func withConstant(n *graph.Node) (x, c graph.Value, ok bool) {
	x, c = n.Operands()[0], n.Operands()[1]
	_, ok = c.Constant()
	return x, c, ok && graph.EqualTypes(x.Type(), n.Types()[0])
}

// scaleShifted is (y + b)·s = y·s + b·s for a product y, where shift is add or sub.
func scaleShifted(shift string) *Rule {
	law := map[string]string{"add": "(y + b) * s = y*s + b*s", "sub": "(y - b) * s = y*s - b*s"}[shift]
	return &Rule{
		Name: "scale_" + shift + "_product", Op: "mul", Sole: shift, Law: law + " for a product y with constant weights", Breaks: otherRounding,
		Apply: func(f *graph.Func, n *graph.Node) []graph.Value {
			shifted, s, ok := withConstant(n)
			if !ok {
				return nil
			}
			y, b, ok := withConstant(shifted.Node())
			if _, product := weightsOf(y); !ok || !product || !allFinite(s) || overflows(s.DType(), greatest(b)*greatest(s)) {
				return nil
			}
			return f.Emit(shifted.Node().Op(), []graph.Value{ops.Mul(y, s), folded(ops.Mul(b, s))}, nil)
		},
	}
}

// shiftShifted is a rule for the sum or difference of a sum or difference of a product y and a constant, and another constant.
func shiftShifted(outer, inner, law string, sum func(b, c graph.Value) graph.Value) *Rule {
	return &Rule{
		Name: outer + "_" + inner + "_product", Op: outer, Sole: inner, Law: law + " for a product y with constant weights", Breaks: otherRounding,
		Apply: func(_ *graph.Func, n *graph.Node) []graph.Value {
			shifted, c, ok := withConstant(n)
			if !ok {
				return nil
			}
			y, b, ok := withConstant(shifted.Node())
			if _, product := weightsOf(y); !ok || !product || overflows(c.DType(), greatest(b)+greatest(c)) {
				return nil
			}
			return is(n, ops.Add(y, folded(sum(b, c))))
		},
	}
}

// scaleProduct is op(x, w)·s = op(x, w·s) for a factor s of the columns or channels of the result.
func scaleProduct(op, law string) *Rule {
	return &Rule{
		Name: "scale_" + op, Op: "mul", Sole: op, Law: law, Breaks: otherRounding,
		Apply: func(f *graph.Func, n *graph.Node) []graph.Value {
			y, s, ok := withConstant(n)
			if !ok {
				return nil
			}
			w, ok := weightsOf(y)
			if !ok {
				return nil
			}
			product := y.Node()
			axis, along := y.Rank()-1, w.Rank()-1 // of the result that the factor may vary along, and of the weights that is the same
			switch {
			case op == "conv":
				axis, along = 1, 0
			case w.Rank() != 2:
				return nil
			case product.Attrs().Bool("transpose_b"):
				along = 0
			}
			if s, ok = factorAlong(s, y.Rank(), axis, w, along); !ok {
				return nil
			}
			return f.Emit(product.Op(), []graph.Value{product.Operands()[0], folded(ops.Mul(w, s))}, product.Attrs())
		},
	}
}

// folded evaluates a node of constants.
func folded(v graph.Value) graph.Value {
	if v.OK() {
		if t := foldNode(v.Node(), func(*graph.Node) bool { return true }); t != nil {
			return v.Func().Const(t[0])
		}
	}
	return v
}

// factorAlong returns a constant factor of a result of some rank, which varies along one axis only, as one of the weights, along one of
// their axes.
func factorAlong(s graph.Value, rank, axis int, w graph.Value, along int) (graph.Value, bool) {
	for i, d := range s.Shape() {
		if n, _ := d.Int(); n != 1 && rank-s.Rank()+i != axis {
			return s, false
		}
	}
	if !scales(w, s, along) {
		return s, false
	}
	shape := make([]any, w.Rank())
	for i := range shape {
		shape[i] = 1
	}
	shape[along] = dim.Product(s.Shape()...)
	return folded(ops.Reshape(s, shape...)), true
}

// scales reports whether weights can be multiplied by factors, one of all or one for each place of an axis, and keep their precision: factors are
// finite, no weight becomes infinite, and those of a place do not all become so small that they lose digits.
func scales(w, s graph.Value, along int) bool {
	if !allFinite(s) {
		return false
	}
	weights, _ := w.Constant()
	factors, _ := s.Constant()
	inner := 1
	for _, n := range weights.Shape()[along+1:] {
		inner *= n
	}
	most := make([]float64, weights.Shape()[along]) // by place
	for i, x := range weights.Float64s() {
		if at := &most[i/inner%len(most)]; !math.IsInf(x, 0) {
			*at = max(*at, math.Abs(x))
		}
	}
	by := factors.Float64s()
	for i, x := range most {
		f := math.Abs(by[min(i, len(by)-1)])
		if overflows(w.DType(), x*f) || x*f < leastNormal(w.DType()) && x != 0 && f != 0 {
			return false
		}
	}
	return true
}

func allFinite(c graph.Value) bool {
	t, _ := c.Constant()
	return !slices.ContainsFunc(t.Float64s(), func(x float64) bool { return math.IsInf(x, 0) || math.IsNaN(x) })
}

// greatest returns the greatest magnitude of the finite elements of a constant.
func greatest(c graph.Value) (x float64) {
	t, _ := c.Constant()
	for _, y := range t.Float64s() {
		if !math.IsInf(y, 0) && !math.IsNaN(y) {
			x = max(x, math.Abs(y))
		}
	}
	return x
}

func overflows(dt graph.DType, x float64) bool { return math.IsInf(value.RoundFloat(dt, x), 0) }

// leastNormal is the least float of a dtype that has all digits.
func leastNormal(dt graph.DType) float64 {
	switch dt {
	case graph.F16:
		return 0x1p-14
	case graph.F64:
		return 0x1p-1022
	}
	return 0x1p-126
}
