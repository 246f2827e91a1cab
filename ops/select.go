package ops

import (
	"fmt"
	"slices"

	"github.com/graphrun/graphrun/graph"
	"github.com/graphrun/graphrun/graph/value"
)

var _ = graph.MustRegister(&graph.Op{
	Name: "where",
	Doc: "Selects a where cond is true and b elsewhere, all three broadcast (torch.where; an element-wise if). The operand that is not " +
		"selected has no influence, its NaN included, and gets a zero gradient, though its derivative be infinite or NaN.",
	ONNX: "Where 9 16",
	Args: []graph.Arg{
		{Name: "cond", Types: graph.Bools, Doc: "which to select"},
		{Name: "a", Types: graph.AnyDType, Doc: "the elements where cond is true"},
		{Name: "b", Types: graph.AnyDType, Doc: "the elements where cond is false, of a's dtype"},
	},
	Results: out,
	Infer: func(c *graph.InferCtx) []graph.Type {
		if a, b := c.Tensor(1), c.Tensor(2); a.DType != b.DType {
			c.Failf("dtypes differ: a is %s, b is %s", a, b)
		}
		return tensors(graph.TensorType{DType: c.Tensor(1).DType, Shape: broadcastOperands(c, 0)})
	},
	Grad: func(g *graph.GradCtx) []Value {
		cond, a, b, dy := g.In[0], g.In[1], g.In[2], g.Dy(0)
		return []Value{{}, SumTo(Where(cond, dy, 0.0), a.Shape()), SumTo(Where(cond, 0.0, dy), b.Shape())}
	},
	Ref: func(c *graph.RefCtx) {
		cond, a, b, y := c.In[0], c.In[1], c.In[2], c.Out[0]
		forBroadcast(c, func(i int, at []int) {
			from, k := a, at[1]
			if !cond.B[at[0]] {
				from, k = b, at[2]
			}
			copyElement(y, i, from, k)
		})
	},
	Props:   graph.Props{Elementwise: true},
	InPlace: []int{1, 2},
})

// copyElement sets element i of y to element k of x, which has y's dtype.
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

// Where returns a where cond, a bool tensor, is true and b elsewhere, all broadcast; the dtypes of a and b
// are promoted as PyTorch's are.
func Where(cond Value, a, b Operand) Value {
	in := []Value{cond, {}, {}}
	in[1], _ = a.(Value)
	in[2], _ = b.(Value)
	f := graph.Innermost(in...)
	if f == nil {
		return Value{}
	}
	dt, err := resultType([]Operand{a, b})
	if err != nil {
		return report("where", in, "%v", err)
	}
	for i, x := range []Operand{a, b} {
		switch v, is := x.(Value); {
		case !is:
			in[i+1] = f.Scalar(dt, x)
		case v.OK() && v.DType() != dt:
			in[i+1] = Cast(v, dt)
		}
	}
	return emit1("where", in)
}

var _ = graph.MustRegister(&graph.Op{
	Name:    "stop_gradient",
	Doc:     "Returns x, through which no gradient flows (torch.Tensor.detach).",
	Kind:    graph.ShapeOp,
	Args:    []graph.Arg{{Name: "x", Types: graph.AnyDType, Doc: "the tensor"}},
	Results: out,
	Infer:   inferSame,
	NoGrad:  "stopping the gradient is what it is for",
	Ref:     func(c *graph.RefCtx) { c.Out[0] = c.In[0] },
	Props:   graph.Props{Elementwise: true},
	InPlace: []int{0},
	FLOPs:   uncounted("it is its operand"),
})

// StopGradient returns x as a constant to differentiation.
func StopGradient(x Value) Value { return emit1("stop_gradient", []Value{x}) }

var _ = graph.MustRegister(&graph.Op{
	Name: "custom_grad",
	Doc: "Computes region 0 and is differentiated by region 1. Region 0 takes the inputs and the captured values. Region 1 takes the " +
		"inputs, the results, the gradient of the objective by each result (zeros where there is none) and the captured " +
		"values, and gives " +
		"one gradient per input. Captured values get no gradient.",
	Args: []graph.Arg{{Name: "xs", Types: graph.AnyDType, Variadic: true, Doc: "the inputs, then the captured values"}},
	Attrs: []graph.AttrSpec{
		{Name: "inputs", Kind: graph.IntAttr, Doc: "how many operands are inputs; the others are captured"},
		{Name: "results", Kind: graph.IntAttr, Show: graph.ShowNever, Doc: "the number of results of region 0"},
	},
	NumResults: func(a graph.Attrs, _ int) int { return min(max(a.Int("results"), 0), 1<<16) },
	NumRegions: 2,
	Body: func(b *graph.BodyCtx) []Value {
		fail := func(format string, args ...any) []Value {
			b.Func.Module().Report(graph.Pos{}, "custom_grad", format, args...)
			return nil
		}
		n, k := b.Int("inputs"), b.Int("results")
		if n < 0 || n > len(b.In) {
			return fail("inputs is %d, there are %d operands", n, len(b.In))
		}
		ys := b.Func.Splice(b.Regions[0], b.In)
		if len(ys) != k {
			return fail("results is %d, region 0 has %d", k, len(ys))
		}
		if err := checkBackward(b.Regions[1], b.In[:n], slices.Concat(b.In[:n], ys, ys, b.In[n:])); err != "" {
			return fail("%s", err)
		}
		return ys
	},
	Grad: func(g *graph.GradCtx) []Value {
		n := g.Int("inputs")
		args := slices.Concat(g.In[:n], g.Out)
		for i, y := range g.Out {
			if g.HasDy(i) {
				args = append(args, g.Dy(i))
			} else {
				args = append(args, ZerosLike(y))
			}
		}
		args = append(args, g.In[n:]...)
		dxs := make([]Value, len(g.In))
		copy(dxs, g.Func.Splice(g.Node.Regions()[1], args))
		return dxs
	},
	Build: []func(f *graph.Func, in []Value) []Value{
		func(_ *graph.Func, in []Value) []Value {
			scale := StopGradient(in[2]) // captured
			return CustomGrad(
				func(_ *graph.Func, x []Value) []Value {
					p := Mul(x[0], x[1])
					return []Value{Mul(p, scale), Exp(p)}
				},
				func(_ *graph.Func, x, y, dy []Value) []Value {
					dp := Add(Mul(dy[0], scale), Mul(dy[1], y[1]))
					return []Value{Mul(dp, x[1]), SumTo(Mul(dp, x[0]), x[1].Shape())}
				},
				in[0], in[1])
		},
		func(_ *graph.Func, in []Value) []Value {
			return CustomGrad(
				func(_ *graph.Func, x []Value) []Value { return []Value{Log(Add(Exp(x[0]), 1.0))} },
				func(_ *graph.Func, x, _, dy []Value) []Value { return []Value{Mul(dy[0], Sigmoid(x[0]))} },
				in[0])
		},
	},
})

// checkBackward says what is wrong with the backward region of a custom_grad: its parameters must be of the
// types of args, and it must give one gradient of the type of each input.
func checkBackward(r *graph.Func, inputs, args []Value) string {
	params := r.Params()
	if len(params) != len(args) {
		return fmt.Sprintf("region 1 has %d parameters, want %d: inputs, results, their gradients, "+
			"captured values", len(params), len(args))
	}
	if len(r.Results()) != len(inputs) {
		return fmt.Sprintf("region 1 gives %d gradients for %d inputs", len(r.Results()), len(inputs))
	}
	env := map[string]graph.Dim{}
	for i, p := range params {
		if err := graph.Unify(p.Type(), args[i].Type(), env); err != nil {
			return fmt.Sprintf("parameter %d of region 1: %v", i, err)
		}
	}
	for i, x := range inputs {
		t, err := graph.SubstType(r.Results()[i].Value.Type(), env)
		if err != nil {
			return fmt.Sprintf("gradient %d: %v", i, err)
		}
		if !graph.EqualTypes(t, x.Type()) {
			return fmt.Sprintf("gradient %d is %s, the input is %s", i, t, x.Type())
		}
	}
	return ""
}

// CustomGrad returns the results of forward on xs, differentiated by backward instead of by the rules of the
// ops in forward. Backward takes the inputs, the results and the gradients by the results, and returns one
// gradient per input, of its type; a zero Value stands for no gradient. Both run once, to declare nodes on
// f. Other values of the function that they use are captured and get no gradient.
func CustomGrad(forward func(f *graph.Func, x []Value) []Value, backward func(f *graph.Func, x, y, dy []Value) []Value, xs ...Value) []Value {
	f := graph.Innermost(xs...)
	if f == nil {
		return []Value{{}}
	}
	if forward == nil || backward == nil {
		return []Value{report("custom_grad", xs, "want functions that build the result and its gradient, have nil")}
	}
	types := func(vs []Value) []graph.Type {
		ts := make([]graph.Type, len(vs))
		for i, v := range vs {
			ts[i] = v.Type()
		}
		return ts
	}
	fwd := f.Region("forward", types(xs), forward)
	ys := make([]Value, len(fwd.Results()))
	for i, r := range fwd.Results() {
		ys[i] = r.Value
	}
	n, k := len(xs), len(ys)
	bwd := f.Region("backward", types(slices.Concat(xs, ys, ys)), func(r *graph.Func, in []Value) []Value {
		dxs := backward(r, in[:n:n], in[n:n+k:n+k], in[n+k:])
		for i, dx := range dxs {
			if i < n && !dx.Valid() {
				dxs[i] = ZerosLike(in[i])
			}
		}
		return dxs
	})
	captured := graph.UnifyCaptures(fwd, bwd)
	return f.Emit(graph.LookupOp("custom_grad"), slices.Concat(xs, captured),
		graph.Attrs{attr("inputs", n), attr("results", k)}, fwd, bwd)
}
