package graph

import "slices"

// The structural ops: what the compiler and the executors handle themselves.

// paramOp is a function's parameter; its nodes stand in Func.params, never among the nodes.
var paramOp = &Op{Name: "param", Doc: "A parameter of a function.", Results: []string{"out"}, Props: Props{Structural: true}}

var constantOp = MustRegister(&Op{
	Name:    "constant",
	Doc:     "A tensor known at compile time.",
	ONNX:    "Constant 1 9 11 12 13 19 21 23 24 25",
	Attrs:   []AttrSpec{{Name: "value", Kind: TensorAttr, Doc: "the tensor"}},
	Results: []string{"out"},
	Infer: func(c *InferCtx) []Type {
		return []Type{TypeOf(c.Attrs.Tensor("value"))}
	},
	Props: Props{Structural: true},
})

var readOp = MustRegister(&Op{
	Name:    "read",
	Doc:     "The value of a variable before the call.",
	Attrs:   []AttrSpec{{Name: "var", Kind: SymbolAttr, Doc: "the variable"}},
	Results: []string{"out"},
	Infer: func(c *InferCtx) []Type {
		name := string(c.Symbol("var"))
		if c.Module == nil {
			c.Failf("there is no module to read @%s from", name)
		}
		v := c.Module.LookupVariable(name)
		if v == nil {
			c.Failf("@%s is not a variable of the module", name)
		}
		return []Type{v.typ}
	},
	Props: Props{Structural: true},
})

var callOp = MustRegister(&Op{
	Name:       "call",
	Kind:       ControlOp,
	Doc:        "Calls a function of the module. The callee may read variables but not update them, and functions do not call themselves.",
	Args:       []Arg{{Name: "args", Types: AnyType, Variadic: true, Doc: "the callee's parameters"}},
	Attrs:      []AttrSpec{{Name: "func", Kind: SymbolAttr, Show: ShowNever, Doc: "the callee"}, {Name: "results", Kind: IntAttr, Doc: "the number of the callee's results"}},
	NumResults: func(a Attrs, _ int) int { return min(max(a.Int("results"), 0), 1<<16) },
	Infer: func(c *InferCtx) []Type {
		name := string(c.Symbol("func"))
		var f *Func
		if c.Module != nil {
			f = c.Module.LookupFunc(name)
		}
		if f == nil {
			c.Failf("@%s is not a function of the module", name)
		}
		if len(f.params) != len(c.In) {
			c.Failf("@%s takes %d operands, have %d", name, len(f.params), len(c.In))
		}
		if len(f.updates) > 0 {
			c.Failf("@%s updates variables: only a function run by the session may", name)
		}
		env := map[string]Dim{}
		if i, err := UnifyAll(typesOf(f.params), c.In, env); err != nil {
			c.Failf("operand %d of @%s: %v", i, name, err)
		}
		for s, d := range env {
			if c.Exceeds(Ints(1)[0], d) {
				c.Failf("@%s has no size %s of %s", name, s, d)
			}
		}
		types := make([]Type, len(f.results))
		for i, r := range f.results {
			t, err := SubstType(r.Value.Type(), env)
			if err != nil {
				c.Failf("result %q of @%s: %v", r.Name, name, err)
			}
			types[i] = t
		}
		if len(types) != c.Int("results") {
			c.Failf("@%s has %d results, not %d", name, len(types), c.Int("results"))
		}
		return types
	},
	FLOPs: Cost{Doc: "those of its callee"},
	Props: Props{Structural: true},
})

var gradOp = MustRegister(&Op{
	Name: "grad",
	Kind: ControlOp,
	Doc:  "The gradients of a scalar with respect to values of the same function; zero for a value that the scalar does not depend on. The pass autodiff replaces it by ordinary nodes.",
	Args: []Arg{
		{Name: "y", Types: Floats, Doc: "the scalar, of rank 0"},
		{Name: "xs", Types: Floats, Variadic: true, Doc: "the values to differentiate with respect to"},
	},
	NumResults: func(_ Attrs, operands int) int { return max(operands-1, 0) },
	Infer: func(c *InferCtx) []Type {
		y := c.Tensor(0)
		if y.Rank() != 0 {
			c.Failf("only a scalar has a gradient: want rank 0, have %s", y)
		}
		types := make([]Type, len(c.In)-1)
		for i := range types {
			types[i] = c.Tensor(i + 1)
		}
		return types
	},
	Props: Props{Structural: true},
})

// IsParam reports whether the node is a function's parameter, which stands in Func.Params and not among the nodes.
func (n *Node) IsParam() bool { return n.op == paramOp }

// IsConstant reports whether the node is a tensor known at compile time.
func (n *Node) IsConstant() bool { return n.op == constantOp }

// IsGrad reports whether the node declares gradients, which the pass autodiff replaces by those that compute them.
func (n *Node) IsGrad() bool { return n.op == gradOp }

// Variable returns the variable that the node reads, nil if it reads none.
func (n *Node) Variable() *Variable {
	if n.op != readOp {
		return nil
	}
	return n.fn.module.LookupVariable(string(n.attrs.Symbol("var")))
}

// Callee returns the function that the node calls, nil if it calls none.
func (n *Node) Callee() *Func {
	if n.op != callOp {
		return nil
	}
	return n.fn.module.LookupFunc(string(n.attrs.Symbol("func")))
}

// Call calls another function of f's module and returns its results.
func (f *Func) Call(callee *Func, args ...Value) []Value {
	if callee == nil {
		f.module.Report(Pos{}, "call", "want a function, have nil")
		return []Value{Poison(f)}
	}
	if callee.module != f.module {
		f.module.Report(Pos{}, "call", "@%s belongs to another module", callee.name)
		return slices.Repeat([]Value{Poison(f)}, max(len(callee.results), 1))
	}
	for _, r := range callee.results {
		if !r.Value.OK() { // the callee's own fault has been reported
			return slices.Repeat([]Value{Poison(f)}, len(callee.results))
		}
	}
	return f.Emit(callOp, args, Attrs{{"func", Symbol(callee.name)}, {"results", int64(len(callee.results))}})
}

// Grad declares the gradients of the scalar y with respect to xs, which may be any values of y's
// function, y's own operands included. Gradients are ordinary values: they can be differentiated again.
func Grad(y Value, xs ...Value) []Value {
	f := Innermost(append([]Value{y}, xs...)...)
	if f == nil {
		return make([]Value, len(xs))
	}
	return f.Emit(gradOp, append([]Value{y}, xs...), nil)
}
