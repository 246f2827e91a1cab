package compile

import (
	"slices"

	"github.com/graphrun/graphrun/graph"
	"github.com/graphrun/graphrun/graph/value"
	"github.com/graphrun/graphrun/ops"
)

var simplify = &Pass{
	Name: "simplify",
	Doc:  "Applies algebraic identities, each a named rule with its law, until none matches. It stands after autodiff, which leaves sums with zero, transposes of transposes and reshapes of reshapes.",
	Run: func(c *Context, m *graph.Module) error {
		if err := ApplyRules(c, m, SimplifyRules); err != nil {
			return err
		}
		if !hasConstantProduct(m) {
			return nil
		}
		return applyRules(c, m, ProductRules, countNeeded)
	},
	// stop_gradient is an identity here, and would be none before autodiff.
	After: []string{"autodiff"},
}

// SimplifyRules are the rewrites of the pass simplify.
var SimplifyRules = []*Rule{
	{
		Name: "add_zero", Op: "add", Law: "x + 0 = x", Breaks: "-0 + 0 is +0, the right side keeps -0",
		Apply: func(_ *graph.Func, n *graph.Node) []graph.Value {
			a, b := n.Operands()[0], n.Operands()[1]
			if isConst(b, 0) {
				return is(n, a)
			}
			if isConst(a, 0) {
				return is(n, b)
			}
			return nil
		},
	},
	{
		Name: "sub_zero", Op: "sub", Law: "x - 0 = x", Breaks: "-0 - (-0) is +0, the right side keeps -0",
		Apply: func(_ *graph.Func, n *graph.Node) []graph.Value {
			if isConst(n.Operands()[1], 0) {
				return is(n, n.Operands()[0])
			}
			return nil
		},
	},
	{
		Name: "mul_one", Op: "mul", Law: "x * 1 = x",
		Apply: func(_ *graph.Func, n *graph.Node) []graph.Value {
			a, b := n.Operands()[0], n.Operands()[1]
			if isConst(b, 1) {
				return is(n, a)
			}
			if isConst(a, 1) {
				return is(n, b)
			}
			return nil
		},
	},
	{
		Name: "mul_minus_one", Op: "mul", Law: "x * -1 = -x",
		Apply: func(_ *graph.Func, n *graph.Node) []graph.Value {
			for i := range 2 {
				if x := n.Operands()[1-i]; isConst(n.Operands()[i], -1) && is(n, x) != nil {
					return []graph.Value{ops.Neg(x)}
				}
			}
			return nil
		},
	},
	{
		Name: "div_one", Op: "div", Law: "x / 1 = x",
		Apply: func(_ *graph.Func, n *graph.Node) []graph.Value {
			if isConst(n.Operands()[1], 1) {
				return is(n, n.Operands()[0])
			}
			return nil
		},
	},
	{
		Name: "add_neg", Op: "add", Law: "x + (-y) = x - y",
		Apply: func(_ *graph.Func, n *graph.Node) []graph.Value {
			a, b := n.Operands()[0], n.Operands()[1]
			if y := operand(n, 1, "neg"); y != nil {
				return []graph.Value{ops.Sub(a, y.Operands()[0])}
			}
			if y := operand(n, 0, "neg"); y != nil {
				return []graph.Value{ops.Sub(b, y.Operands()[0])}
			}
			return nil
		},
	},
	{
		Name: "sub_neg", Op: "sub", Law: "x - (-y) = x + y",
		Apply: func(_ *graph.Func, n *graph.Node) []graph.Value {
			if y := operand(n, 1, "neg"); y != nil {
				return []graph.Value{ops.Add(n.Operands()[0], y.Operands()[0])}
			}
			return nil
		},
	},
	involution("neg_neg", "neg", "-(-x) = x"),
	involution("not_not", "not", "not(not(x)) = x"),
	idempotent("relu_relu", "relu", "relu(relu(x)) = relu(x)"),
	idempotent("abs_abs", "abs", "|(|x|)| = |x|"),
	{
		Name: "pow_one", Op: "pow", Law: "x^1 = x",
		Apply: func(_ *graph.Func, n *graph.Node) []graph.Value {
			if isConst(n.Operands()[1], 1) {
				return is(n, n.Operands()[0])
			}
			return nil
		},
	},
	{
		Name: "pow_two", Op: "pow", Law: "x^2 = square(x)",
		Apply: func(_ *graph.Func, n *graph.Node) []graph.Value {
			if x := n.Operands()[0]; isConst(n.Operands()[1], 2) && is(n, x) != nil {
				return []graph.Value{ops.Square(x)}
			}
			return nil
		},
	},
	sameType("cast_same", "cast", "a cast to the dtype of x is x"),
	{
		Name: "cast_back", Op: "cast", Law: "x of fewer than 32 bits, cast to f32 or f64 and back, is x, but where a cast to f8e5m2 turns infinities into numbers",
		Apply: func(_ *graph.Func, n *graph.Node) []graph.Value {
			wide := operand(n, 0, "cast")
			to := n.Result(0).DType()
			if wide == nil || !graph.IsNarrow(to) || to == value.F8E5M2 && n.Attrs().Bool("saturate") || !wide.Result(0).DType().IsFloat() || graph.IsNarrow(wide.Result(0).DType()) {
				return nil
			}
			return is(n, wide.Operands()[0])
		},
	},
	sameType("reshape_same", "reshape", "a reshape to the shape of x is x"),
	sameType("expand_same", "expand", "an expand to the shape of x is x"),
	sameType("stop_gradient", "stop_gradient", "stop_gradient(x) = x once gradients are ordinary nodes"),
	{
		Name: "reshape_reshape", Op: "reshape", Law: "reshape(reshape(x, s), t) = reshape(x, t)",
		Apply: func(f *graph.Func, n *graph.Node) []graph.Value {
			r := operand(n, 0, "reshape")
			if r == nil {
				return nil
			}
			return f.Emit(n.Op(), r.Operands(), n.Attrs())
		},
	},
	{
		Name: "transpose_identity", Op: "transpose", Law: "a transpose that keeps the order of axes is x",
		Apply: func(_ *graph.Func, n *graph.Node) []graph.Value {
			perm := n.Attrs().Ints("perm")
			for i, p := range perm {
				if i != p {
					return nil
				}
			}
			return is(n, n.Operands()[0])
		},
	},
	{
		Name: "transpose_transpose", Op: "transpose", Law: "transpose(transpose(x, p), q) = transpose(x, p.q)",
		Apply: func(_ *graph.Func, n *graph.Node) []graph.Value {
			t := operand(n, 0, "transpose")
			if t == nil {
				return nil
			}
			inner, outer := t.Attrs().Ints("perm"), n.Attrs().Ints("perm")
			perm := make([]int, len(outer))
			for i, p := range outer {
				perm[i] = inner[p]
			}
			return []graph.Value{ops.Transpose(t.Operands()[0], perm...)}
		},
	},
	{
		Name: "matmul_transpose", Op: "matmul", Law: "matmul(transpose(a), b) = matmul(a, b) with transpose_a turned, and so for b",
		Apply: func(f *graph.Func, n *graph.Node) []graph.Value {
			for i, flag := range []string{"transpose_a", "transpose_b"} {
				t := operand(n, i, "transpose")
				if t == nil || !swapsLastTwo(t.Attrs().Ints("perm")) {
					continue
				}
				in := slices.Clone(n.Operands())
				in[i] = t.Operands()[0]
				return f.Emit(n.Op(), in, n.Attrs().With(flag, !n.Attrs().Bool(flag)))
			}
			return nil
		},
	},
	{
		Name: "transpose_matmul", Op: "transpose", Sole: "matmul",
		Law: "transpose(matmul(a, b)) = matmul(b, a) with the flags exchanged and turned: (AB)' = B'A'",
		Apply: func(f *graph.Func, n *graph.Node) []graph.Value {
			if !swapsLastTwo(n.Attrs().Ints("perm")) {
				return nil
			}
			product := operand(n, 0, "matmul")
			in, attrs := product.Operands(), product.Attrs()
			return f.Emit(product.Op(), []graph.Value{in[1], in[0]}, graph.Attrs{
				{Name: "transpose_a", Value: !attrs.Bool("transpose_b")}, {Name: "transpose_b", Value: !attrs.Bool("transpose_a")},
			})
		},
	},
	{
		Name: "where_constant", Op: "where", Law: "where(true, a, b) = a, where(false, a, b) = b",
		Apply: func(_ *graph.Func, n *graph.Node) []graph.Value {
			cond, ok := n.Operands()[0].Constant()
			if !ok || cond.Len() == 0 {
				return nil
			}
			bits := cond.Bytes()
			for _, b := range bits {
				if b != bits[0] {
					return nil
				}
			}
			if bits[0] != 0 {
				return is(n, n.Operands()[1])
			}
			return is(n, n.Operands()[2])
		},
	},
	{
		Name: "concat_one", Op: "concat", Law: "concat(x) = x",
		Apply: func(_ *graph.Func, n *graph.Node) []graph.Value {
			if len(n.Operands()) == 1 {
				return is(n, n.Operands()[0])
			}
			return nil
		},
	},
	{
		Name: "sum_over_nothing", Op: "reduce_sum", Law: "a sum over no axes, or over axes of size 1, is x reshaped", Breaks: "the sum of -0 alone is +0, the right side keeps -0",
		Apply: func(_ *graph.Func, n *graph.Node) []graph.Value {
			x := n.Operands()[0]
			for _, a := range n.Attrs().Ints("axes") {
				if a < 0 {
					a += x.Rank()
				}
				if d, ok := x.Shape()[a].Int(); !ok || d != 1 {
					return nil
				}
			}
			t := n.Types()[0].(graph.TensorType)
			dims := make([]any, len(t.Shape))
			for i, d := range t.Shape {
				dims[i] = d
			}
			return []graph.Value{ops.Reshape(x, dims...)}
		},
	},
}

// involution is the rule op(op(x)) = x.
func involution(name, op, law string) *Rule {
	return &Rule{Name: name, Op: op, Law: law, Apply: func(_ *graph.Func, n *graph.Node) []graph.Value {
		if inner := operand(n, 0, op); inner != nil {
			return inner.Operands()[:1]
		}
		return nil
	}}
}

// idempotent is the rule op(op(x)) = op(x).
func idempotent(name, op, law string) *Rule {
	return &Rule{Name: name, Op: op, Law: law, Apply: func(_ *graph.Func, n *graph.Node) []graph.Value {
		if inner := operand(n, 0, op); inner != nil {
			return inner.Results()
		}
		return nil
	}}
}

// sameType is the rule that an op of one operand whose result has the operand's type is the identity.
func sameType(name, op, law string) *Rule {
	return &Rule{Name: name, Op: op, Law: law, Apply: func(_ *graph.Func, n *graph.Node) []graph.Value {
		return is(n, n.Operands()[0])
	}}
}

// swapsLastTwo reports whether perm exchanges the last two axes and keeps the others.
func swapsLastTwo(perm []int) bool {
	n := len(perm)
	if n < 2 || perm[n-1] != n-2 || perm[n-2] != n-1 {
		return false
	}
	for i := range n - 2 {
		if perm[i] != i {
			return false
		}
	}
	return true
}
