package compile

import (
	"github.com/graphrun/graphrun/graph"
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
			e, s := n.Operands()[0], operand(n, 1, "reduce_sum")
			if !e.Is("exp") || s == nil || s.Operands()[0] != e || !s.Attrs().Bool("keepdims") {
				return nil
			}
			axes := s.Attrs().Ints("axes")
			if len(axes) != 1 {
				return nil
			}
			return []graph.Value{ops.Softmax(e.Node().Operands()[0], axes[0])}
		},
	},
	{
		Name: "log_softmax", Op: "log",
		Law:    "log(softmax(x)) = log_softmax(x)",
		Breaks: "left side is -inf where softmax underflows",
		Apply: func(_ *graph.Func, n *graph.Node) []graph.Value {
			s := operand(n, 0, "softmax")
			if s == nil {
				return nil
			}
			return []graph.Value{ops.LogSoftmax(s.Operands()[0], s.Attrs().Int("axis"))}
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
