package compile

import (
	"slices"

	"github.com/graphrun/graphrun/graph"
	"github.com/graphrun/graphrun/graph/dim"
	"github.com/graphrun/graphrun/ops"
)

var stabilize = &Pass{
	Name: "stabilize",
	Doc: "Replaces formulas that overflow, underflow or cancel by ops that do not. " +
		"It stands before autodiff, so that gradients are those of the stable form, and after it, for formulas that gradients bring.",
	Run: func(c *Context, m *graph.Module) error { return ApplyRules(c, m, StabilizeRules) },
}

// StabilizeRules are the rewrites of the pass stabilize. Each holds for real numbers; what it breaks is
// the rounding that made the left side useless.
var StabilizeRules = []*Rule{
	{
		Name: "softmax", Op: "div",
		Law:    "exp(x) / sum(exp(x)) = softmax(x), summed over one axis",
		Breaks: "left side is NaN where exp overflows, and 0/0 where all terms underflow; beside +Inf it is 0, and all that is in a row with +Inf is NaN on the right",
		Apply: func(_ *graph.Func, n *graph.Node) []graph.Value {
			x, axes := softmaxParts(n)
			if len(axes) != 1 {
				return nil
			}
			return []graph.Value{ops.Softmax(x, axes[0])}
		},
	},
	{
		Name: "softmax_axes", Op: "div",
		Law:    "exp(x) / sum(exp(x)) = softmax(x), summed over several axes, which become one",
		Breaks: "as softmax: left side is NaN where exp overflows, and 0/0 where all terms underflow; beside +Inf it is 0, and all is NaN on the right",
		Apply: func(_ *graph.Func, n *graph.Node) []graph.Value {
			x, axes := softmaxParts(n)
			if len(axes) < 2 {
				return nil
			}
			return []graph.Value{softmaxOver(x, axes)}
		},
	},
	{
		Name: "sigmoid", Op: "div",
		Law:    "1 / (1 + exp(x)) = sigmoid(-x) and exp(x) / (1 + exp(x)) = sigmoid(x)",
		Breaks: "left side is NaN where exp overflows, or its gradient is",
		Apply: func(_ *graph.Func, n *graph.Node) []graph.Value {
			x, ok := onePlusExp(n.Operands()[1])
			if !ok || is(n, x) == nil {
				return nil
			}
			if e := operand(n, 0, "exp"); e != nil && e.Operands()[0] == x {
				return []graph.Value{ops.Sigmoid(x)}
			}
			if isConst(n.Operands()[0], 1) {
				return []graph.Value{sigmoidOfNeg(x)}
			}
			return nil
		},
	},
	{
		Name: "sigmoid_reciprocal", Op: "reciprocal",
		Law:    "1 / (1 + exp(x)) = sigmoid(-x)",
		Breaks: "the gradient of the left side is NaN where exp overflows",
		Apply: func(_ *graph.Func, n *graph.Node) []graph.Value {
			x, ok := onePlusExp(n.Operands()[0])
			if !ok {
				return nil
			}
			return []graph.Value{sigmoidOfNeg(x)}
		},
	},
	{
		Name: "log_cosh", Op: "log",
		Law:    "log(cosh(x)) = |x| + log1p(expm1(-2|x|)/2)",
		Breaks: "left side is inf where cosh overflows, and 0 for small x",
		Apply: func(_ *graph.Func, n *graph.Node) []graph.Value {
			c := operand(n, 0, "cosh")
			if c == nil {
				return nil
			}
			x := c.Operands()[0]
			narrow := ops.Widen(&x)
			a := ops.Abs(x)
			return []graph.Value{narrow(ops.Add(a, ops.Log1p(ops.Mul(ops.Expm1(ops.Mul(a, -2.0)), 0.5))))}
		},
	},
	{
		Name: "log_softmax", Op: "log",
		Law:    "log(softmax(x)) = log_softmax(x), of a softmax that is reshaped or transposed too",
		Breaks: "left side is -inf where softmax underflows",
		Apply: func(_ *graph.Func, n *graph.Node) []graph.Value {
			var moves []*graph.Node
			v := n.Operands()[0]
			for v.Is("reshape") || v.Is("transpose") {
				moves = append(moves, v.Node())
				v = v.Node().Operands()[0]
			}
			if !v.Is("softmax") {
				return nil
			}
			y := ops.LogSoftmax(v.Node().Operands()[0], v.Node().Attrs().Int("axis"))
			for _, m := range slices.Backward(moves) {
				y = graph.Apply(m.Op(), []graph.Value{y}, m.Attrs())[0]
			}
			return []graph.Value{y}
		},
	},
	{
		Name: "log_sigmoid", Op: "log",
		Law:    "log(sigmoid(x)) = log_sigmoid(x)",
		Breaks: "left side is -inf where sigmoid underflows",
		Apply: func(_ *graph.Func, n *graph.Node) []graph.Value {
			s := operand(n, 0, "sigmoid")
			if s == nil {
				return nil
			}
			return []graph.Value{ops.LogSigmoid(s.Operands()[0])}
		},
	},
	{
		Name: "log_one_minus_sigmoid", Op: "log",
		Law:    "log(1 - sigmoid(x)) = log_sigmoid(-x)",
		Breaks: "left side is -inf where sigmoid rounds to 1",
		Apply: func(_ *graph.Func, n *graph.Node) []graph.Value {
			d := operand(n, 0, "sub")
			if d == nil || !isConst(d.Operands()[0], 1) {
				return nil
			}
			s := operand(d, 1, "sigmoid")
			if s == nil || is(d, s.Result(0)) == nil {
				return nil
			}
			return []graph.Value{ops.LogSigmoid(ops.Neg(s.Operands()[0]))}
		},
	},
	{
		Name: "log1p", Op: "log",
		Law:    "log(1 + x) = log1p(x)",
		Breaks: "left side loses the low bits of small x",
		Apply: func(_ *graph.Func, n *graph.Node) []graph.Value {
			a := operand(n, 0, "add")
			if a == nil {
				return nil
			}
			for i := range 2 {
				if x := a.Operands()[1-i]; isConst(a.Operands()[i], 1) && is(a, x) != nil {
					return []graph.Value{ops.Log1p(x)}
				}
			}
			return nil
		},
	},
	{
		Name: "softplus", Op: "log1p",
		Law:    "log(1 + exp(x)) = -log_sigmoid(-x)",
		Breaks: "left side is inf where exp overflows, and 0 where it underflows, where the right one is -0",
		Apply: func(_ *graph.Func, n *graph.Node) []graph.Value {
			e := operand(n, 0, "exp")
			if e == nil {
				return nil
			}
			if z := operand(e, 0, "neg"); z != nil && z.Operands()[0].Is("abs") {
				return nil // exp(-|x|) does not overflow
			}
			return []graph.Value{ops.Neg(ops.LogSigmoid(ops.Neg(e.Operands()[0])))}
		},
	},
	{
		Name: "expm1", Op: "sub",
		Law:    "exp(x) - 1 = expm1(x)",
		Breaks: "left side cancels for small x",
		Apply: func(_ *graph.Func, n *graph.Node) []graph.Value {
			e := operand(n, 0, "exp")
			if e == nil || !isConst(n.Operands()[1], 1) || is(n, e.Result(0)) == nil {
				return nil
			}
			return []graph.Value{ops.Expm1(e.Operands()[0])}
		},
	},
	{
		Name: "logsumexp", Op: "log",
		Law:    "log(sum(exp(x))) = logsumexp(x)",
		Breaks: "left side is inf where exp overflows and -inf where all terms underflow",
		Apply: func(_ *graph.Func, n *graph.Node) []graph.Value {
			s := operand(n, 0, "reduce_sum")
			if s == nil {
				return nil
			}
			e := operand(s, 0, "exp")
			if e == nil {
				return nil
			}
			return []graph.Value{ops.LogSumExp(e.Operands()[0], s.Attrs().Ints("axes"), s.Attrs().Bool("keepdims"))}
		},
	},
}

// softmaxParts returns x and the axes of exp(x) / sum(exp(x)), none if n is something else.
func softmaxParts(n *graph.Node) (x graph.Value, axes []int) {
	e, s := operand(n, 0, "exp"), operand(n, 1, "reduce_sum")
	if e == nil || s == nil || is(n, e.Result(0)) == nil {
		return x, nil
	}
	x = e.Operands()[0]
	axes = s.Attrs().Ints("axes")
	for i, a := range axes {
		if a < 0 {
			axes[i] = a + x.Rank()
		}
	}
	slices.Sort(axes)
	if of := operand(s, 0, "exp"); of == nil || of.Operands()[0] != x || !s.Attrs().Bool("keepdims") && len(axes) < x.Rank() {
		return x, nil
	}
	return x, axes
}

// softmaxOver returns the softmax of x over several axes, sorted, which are made one and taken apart again.
func softmaxOver(x graph.Value, axes []int) graph.Value {
	shape, axis := x.Shape(), axes[0]
	perm, back := make([]int, 0, len(shape)), make([]int, len(shape))
	for a := range shape {
		if a == axis {
			perm = append(perm, axes...)
		} else if !slices.Contains(axes, a) {
			perm = append(perm, a)
		}
	}
	moved := make([]any, len(shape))
	one := dim.Const(1)
	for i, a := range perm {
		moved[i], back[a] = shape[a], i
		if slices.Contains(axes, a) {
			one = dim.Mul(one, shape[a])
		}
	}
	flat := slices.Concat(moved[:axis], []any{one}, moved[axis+len(axes):])
	if slices.IsSorted(perm) {
		return ops.Reshape(ops.Softmax(ops.Reshape(x, flat...), axis), moved...)
	}
	y := ops.Softmax(ops.Reshape(ops.Transpose(x, perm...), flat...), axis)
	return ops.Transpose(ops.Reshape(y, moved...), back...)
}

// onePlusExp returns x if v is 1 + exp(x), in any order, of the type of x.
func onePlusExp(v graph.Value) (x graph.Value, ok bool) {
	if !v.Is("add") {
		return x, false
	}
	a := v.Node()
	for i := range 2 {
		if e := operand(a, i, "exp"); e != nil && isConst(a.Operands()[1-i], 1) && is(a, e.Result(0)) != nil {
			return e.Operands()[0], true
		}
	}
	return x, false
}

// sigmoidOfNeg is sigmoid(-x), where x itself may be the negative of something.
func sigmoidOfNeg(x graph.Value) graph.Value {
	if x.Is("neg") {
		return ops.Sigmoid(x.Node().Operands()[0])
	}
	return ops.Sigmoid(ops.Neg(x))
}
