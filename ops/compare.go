package ops

import (
	"cmp"

	"github.com/graphrun/graphrun/graph"
	"github.com/graphrun/graphrun/graph/value"
)

// relation says which outcomes of comparing a with b are true; unordered is one with a NaN.
type relation struct{ less, equal, greater, unordered bool }

func (r relation) ref(c *graph.RefCtx) {
	a, b, y := c.In[0], c.In[1], c.Out[0]
	forBroadcast(c, func(i int, at []int) {
		k, l := at[0], at[1]
		switch a.DType.Domain() {
		case value.Floats:
			y.B[i] = holds(r, a.F[k], b.F[l])
		case value.Ints:
			y.B[i] = holds(r, a.I[k], b.I[l])
		case value.Uints:
			y.B[i] = holds(r, a.U[k], b.U[l])
		case value.Strings:
			y.B[i] = holds(r, a.S[k], b.S[l])
		case value.Bools:
			y.B[i] = a.B[k] == b.B[l] && r.equal || a.B[k] != b.B[l] && r.less // only equal and not_equal take bools
		}
	})
}

func holds[T cmp.Ordered](r relation, a, b T) bool {
	switch {
	case a < b:
		return r.less
	case a > b:
		return r.greater
	case a == b:
		return r.equal
	}
	return r.unordered
}

// comparison is the part that the comparisons share.
func comparison(name, doc string, onnx graph.ONNX, types graph.DTypeSet, r relation) *graph.Op {
	op := &graph.Op{
		Name:    name,
		Doc:     doc,
		ONNX:    onnx,
		Args:    binaryArgs(types),
		Results: out,
		Infer:   inferCompare,
		NoGrad:  "a truth value has no derivative",
		Ref:     r.ref,
		Props:   graph.Props{Elementwise: true, Commutative: r.less == r.greater},
	}
	return op
}

var _ = graph.MustRegister(comparison("equal",
	"Whether a is equal to b, element-wise with broadcasting (torch.eq). NaN is equal to nothing.",
	"Equal 1 7 11 13 19",
	graph.AnyDType, relation{equal: true}))

// Equal returns a == b, broadcast, as bool; dtypes are promoted first.
func Equal(a, b Operand) Value { return binary("equal", a, b) }

var _ = graph.MustRegister(comparison("not_equal",
	"Whether a differs from b, element-wise with broadcasting (torch.ne). NaN differs from everything.",
	"",
	graph.AnyDType, relation{less: true, greater: true, unordered: true}))

// NotEqual returns a != b, broadcast, as bool; dtypes are promoted first.
func NotEqual(a, b Operand) Value { return binary("not_equal", a, b) }

var _ = graph.MustRegister(comparison("less",
	"Whether a is less than b, element-wise with broadcasting (torch.lt). It is false with NaN.",
	"Less 1 7 9 13",
	graph.Numeric, relation{less: true}))

// Less returns a < b, broadcast, as bool; dtypes are promoted first.
func Less(a, b Operand) Value { return binary("less", a, b) }

var _ = graph.MustRegister(comparison("less_equal",
	"Whether a is at most b, element-wise with broadcasting (torch.le). It is false with NaN.",
	"LessOrEqual 12 16",
	graph.Numeric, relation{less: true, equal: true}))

// LessEqual returns a <= b, broadcast, as bool; dtypes are promoted first.
func LessEqual(a, b Operand) Value { return binary("less_equal", a, b) }

var _ = graph.MustRegister(comparison("greater",
	"Whether a is greater than b, element-wise with broadcasting (torch.gt). It is false with NaN.",
	"Greater 1 7 9 13",
	graph.Numeric, relation{greater: true}))

// Greater returns a > b, broadcast, as bool; dtypes are promoted first.
func Greater(a, b Operand) Value { return binary("greater", a, b) }

var _ = graph.MustRegister(comparison("greater_equal",
	"Whether a is at least b, element-wise with broadcasting (torch.ge). It is false with NaN.",
	"GreaterOrEqual 12 16",
	graph.Numeric, relation{greater: true, equal: true}))

// GreaterEqual returns a >= b, broadcast, as bool; dtypes are promoted first.
func GreaterEqual(a, b Operand) Value { return binary("greater_equal", a, b) }

// logic is the part that the binary operations on truth values share.
func logic(name, doc string, onnx graph.ONNX, f func(a, b bool) bool) *graph.Op {
	return &graph.Op{
		Name:    name,
		Doc:     doc,
		ONNX:    onnx,
		Args:    binaryArgs(graph.Bools),
		Results: out,
		Infer:   inferBroadcast,
		NoGrad:  "a truth value has no derivative",
		Ref:     arith{b: f}.ref,
		Props:   graph.Props{Elementwise: true, Commutative: true},
		InPlace: []int{0, 1},
	}
}

var _ = graph.MustRegister(logic("and", "Whether both a and b are true, with broadcasting (torch.logical_and).", "And 1 7",
	func(a, b bool) bool { return a && b }))

// And returns whether a and b are both true, broadcast; numbers count as true unless they are zero.
func And(a, b Operand) Value { return boolBinary("and", a, b) }

var _ = graph.MustRegister(logic("or", "Whether a or b or both are true, with broadcasting (torch.logical_or).", "Or 1 7",
	func(a, b bool) bool { return a || b }))

// Or returns whether a or b or both are true, broadcast; numbers count as true unless they are zero.
func Or(a, b Operand) Value { return boolBinary("or", a, b) }

var _ = graph.MustRegister(logic("xor", "Whether exactly one of a and b is true, with broadcasting (torch.logical_xor).", "Xor 1 7",
	func(a, b bool) bool { return a != b }))

// Xor returns whether exactly one of a and b is true, broadcast; numbers count as true unless they are zero.
func Xor(a, b Operand) Value { return boolBinary("xor", a, b) }

var _ = graph.MustRegister(&graph.Op{
	Name:    "not",
	Doc:     "Whether x is false (torch.logical_not).",
	ONNX:    "Not 1",
	Args:    []graph.Arg{{Name: "x", Types: graph.Bools, Doc: "the truth values"}},
	Results: out,
	Infer:   inferSame,
	NoGrad:  "a truth value has no derivative",
	Ref: func(c *graph.RefCtx) {
		for i, x := range c.In[0].B {
			c.Out[0].B[i] = !x
		}
	},
	Props:   graph.Props{Elementwise: true},
	InPlace: []int{0},
})

// Not returns whether x is false; numbers count as true unless they are zero.
func Not(x Value) Value { return emit1("not", []Value{toBool(x)}) }

func boolBinary(name string, a, b Operand) Value {
	in, ok := operands(name, a, b)
	if !ok {
		return in[0]
	}
	return emit1(name, []Value{toBool(in[0]), toBool(in[1])})
}

func toBool(x Value) Value {
	if x.DType().IsNumeric() {
		return Cast(x, graph.Bool)
	}
	return x
}
