package compile

import (
	"math"
	"slices"

	"github.com/graphrun/graphrun/graph"
	"github.com/graphrun/graphrun/graph/dim"
	"github.com/graphrun/graphrun/graph/value"
	"github.com/graphrun/graphrun/ops"
)

// ProductRules are rewrites of the pass simplify, behind SimplifyRules: they make what scales and shifts the result of a matrix product or
// a convolution with constant weights part of these, as a frozen batch normalization does: (x·w + b)·s + t = x·(w·s) + (b·s + t).
// Constants are evaluated as they move, so that the next rule finds them. What weights of their dtype cannot hold stays as it is.
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
const otherRounding = "the factors round once more before the sums, and once less behind them; what overflows on the way differs"

// The products whose weights the rules look for, in every node of every module.
var matmul, conv = graph.LookupOp("matmul"), graph.LookupOp("conv")

// weightsOf returns the weights of a product of constant ones, in floats.
func weightsOf(v graph.Value) (w graph.Value, ok bool) {
	if op := v.Node().Op(); op != matmul && op != conv {
		return w, false
	}
	w = v.Node().Operands()[1]
	_, ok = w.Constant()
	// Weights of fewer bits would be rounded once more, and to few digits.
	return w, ok && w.DType().IsFloat() && w.DType().Bits() >= 32
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

// scaleShifted is (y + b)·s = y·s + b·s for a product y that takes s, where shift is add or sub.
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
			if !ok || !joins(b, s, func(b, s float64) float64 { return b * s }) {
				return nil
			}
			if _, ok := takes(y, s); !ok {
				return nil
			}
			return f.Emit(shifted.Node().Op(), []graph.Value{ops.Mul(y, s), folded(ops.Mul(b, s))}, nil)
		},
	}
}

// shiftShifted is a rule for the sum or difference of a sum or difference of a product y and a constant, and another constant.
// Inlined, it takes 0.8 kB of a service.
//
//go:noinline
func shiftShifted(outer, inner, law string, sum func(b, c graph.Value) graph.Value) *Rule {
	return &Rule{
		Name: outer + "_" + inner + "_product", Op: outer, Sole: inner, Law: law + " for a product y with constant weights", Breaks: otherRounding,
		Apply: func(_ *graph.Func, n *graph.Node) []graph.Value {
			shifted, c, ok := withConstant(n)
			if !ok {
				return nil
			}
			y, b, ok := withConstant(shifted.Node())
			if _, product := weightsOf(y); !ok || !product || !joins(b, c, func(b, c float64) float64 { return b + c }) {
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
			along, ok := takes(y, s)
			if !ok {
				return nil
			}
			product := y.Node()
			x, w := product.Operands()[0], product.Operands()[1]
			shape := make([]any, w.Rank())
			for i := range shape {
				shape[i] = 1
			}
			shape[along] = dim.Product(s.Shape()...)
			return f.Emit(product.Op(), []graph.Value{x, folded(ops.Mul(w, folded(ops.Reshape(s, shape...))))}, product.Attrs())
		},
	}
}

// takes reports whether y is a product whose weights can take a constant factor s of y, and along which of their axes s varies, if it does.
func takes(y, s graph.Value) (along int, ok bool) {
	w, ok := weightsOf(y)
	if !ok {
		return 0, false
	}
	axis := y.Rank() - 1 // of y, along which s may vary
	along = w.Rank() - 1
	switch {
	case y.Is("conv"):
		axis, along = 1, 0
	case w.Rank() != 2:
		return 0, false
	case y.Node().Attrs().Bool("transpose_b"):
		along = 0
	}
	for i, d := range s.Shape() {
		if n, _ := d.Int(); n != 1 && y.Rank()-s.Rank()+i != axis {
			return 0, false
		}
	}
	return along, keeps(w, s, along)
}

// leastNormal are the numbers below which floats lose digits.
var leastNormal = map[graph.DType]float64{graph.F16: 0x1p-14, graph.BF16: 0x1p-126, graph.F32: 0x1p-126, graph.F64: 0x1p-1022}

// keeps reports whether weights can be multiplied by factors, one or one for each place along an axis, with rounding alone: none
// overflows, and the largest ones of a place do not lose digits that they have.
func keeps(w, s graph.Value, along int) bool {
	least, ok := leastNormal[w.DType()]
	shape, _ := w.Type().(graph.TensorType).ConstShape()
	weights, _ := w.Constant()
	factors, _ := s.Constant()
	stride := 1
	for _, d := range shape[along+1:] {
		stride *= d
	}
	largest := make([]float64, shape[along])
	for i, x := range weights.Float64s() {
		at := &largest[i/stride%shape[along]]
		*at = max(*at, math.Abs(x))
	}
	f := factors.Float64s()
	for i := 0; ok && i < len(largest) && len(f) > 0; i++ {
		m := largest[i]
		p := math.Abs(value.RoundFloat(w.DType(), m*f[i%len(f)]))
		ok = p <= math.MaxFloat64 && (p >= least || m < least || f[i%len(f)] == 0)
	}
	return ok
}

// joins reports whether op of two constants is one that fold evaluates, and stays finite.
func joins(b, c graph.Value, op func(b, c float64) float64) bool {
	size := 1
	for i := range max(b.Rank(), c.Rank()) {
		n := 1
		for _, v := range []graph.Value{b, c} {
			if i < v.Rank() {
				d, _ := v.Shape()[v.Rank()-1-i].Int()
				if d != 1 {
					n = int(d)
				}
			}
		}
		size *= n
	}
	bt, _ := b.Constant()
	ct, _ := c.Constant()
	largest := func(t *value.Tensor) (m float64) {
		for _, x := range t.Float64s() {
			m = max(m, math.Abs(x))
		}
		return m
	}
	return size <= max(bt.Len()+ct.Len(), smallConstant) && math.Abs(value.RoundFloat(b.DType(), op(largest(bt), largest(ct)))) <= math.MaxFloat64
}

// folded evaluates a node of constants.
func folded(v graph.Value) graph.Value {
	if v.OK() {
		if t := foldNode(v.Node(), func(*graph.Node) bool { return true }, &foldBudget{}, nil); t != nil {
			return v.Func().Const(t[0])
		}
	}
	return v
}
