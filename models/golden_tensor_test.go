package models_test

import (
	"slices"

	"github.com/graphrun/graphrun/graph"
	"github.com/graphrun/graphrun/ops"
)

var dtypes = map[string]graph.DType{
	"float16": graph.F16, "float32": graph.F32, "float64": graph.F64, "uint8": graph.U8, "int8": graph.I8,
	"int16": graph.I16, "int32": graph.I32, "int64": graph.I64, "bool": graph.Bool, "bfloat16": graph.BF16,
}

func unary(f func(x graph.Value) graph.Value) builder {
	return func(b *build) values { return values{"y": f(b.x("x"))} }
}

func binary(f func(x, y ops.Operand) graph.Value) builder {
	return func(b *build) values { return values{"y": f(b.x("a"), b.x("b"))} }
}

// reduced makes a builder of a reduction over the attribute dim.
func reduced(f func(x graph.Value, axes []int, keep bool) graph.Value) builder {
	return func(b *build) values { return values{"y": f(b.x("x"), b.ints("dim"), b.flag("keepdim", false))} }
}

// extremum is torch.max or torch.min over one axis: the first of equal elements and its index.
func extremum(arg func(x graph.Value, axis int, keep bool) graph.Value) builder {
	return func(b *build) values {
		x, axis, keep := b.x("x"), b.int("dim", 0), b.flag("keepdim", false)
		index := arg(x, axis, true)
		y := ops.GatherElements(x, axis, index)
		if !keep {
			index, y = ops.Squeeze(index, axis), ops.Squeeze(y, axis)
		}
		return values{"y": y, "index": index}
	}
}

// cumulative makes a builder of a running sum or product, which keeps all axes whatever the case says.
func cumulative(f func(x graph.Value, axis int, opts ...ops.CumOption) graph.Value) builder {
	return func(b *build) values {
		b.flag("keepdim", false)
		return values{"y": f(b.x("x"), b.int("dim", 0))}
	}
}

// argument is torch.argmax or torch.argmin over one axis, or over all elements as a vector.
func argument(arg func(x graph.Value, axis int, keep bool) graph.Value) builder {
	return func(b *build) values {
		x, keep := b.x("x"), b.flag("keepdim", false)
		if b.has("dim") {
			return values{"y": arg(x, b.int("dim", 0), keep)}
		}
		y := arg(ops.Flatten(x, 0, -1), 0, false)
		if keep {
			y = ops.Reshape(y, anys(slices.Repeat([]int{1}, x.Rank()))...)
		}
		return values{"y": y}
	}
}

func anys(list []int) []any {
	out := make([]any, len(list))
	for i, n := range list {
		out[i] = n
	}
	return out
}

var _ = register(map[string]builder{
	"Add":        binary(ops.Add),
	"Sub":        binary(ops.Sub),
	"Mul":        binary(ops.Mul),
	"Div":        binary(ops.Div),
	"Pow":        binary(ops.Pow),
	"Maximum":    binary(ops.Maximum),
	"Minimum":    binary(ops.Minimum),
	"Atan2":      binary(ops.Atan2),
	"MatMul":     binary(ops.MatMul),
	"Exp":        unary(ops.Exp),
	"Expm1":      unary(ops.Expm1),
	"Log":        unary(ops.Log),
	"Log1p":      unary(ops.Log1p),
	"Sqrt":       unary(ops.Sqrt),
	"Rsqrt":      unary(ops.Rsqrt),
	"Reciprocal": unary(ops.Reciprocal),
	"Square":     unary(ops.Square),
	"Abs":        unary(ops.Abs),
	"Neg":        unary(ops.Neg),
	"Sign":       unary(ops.Sign),
	"Floor":      unary(ops.Floor),
	"Ceil":       unary(ops.Ceil),
	"Round":      unary(ops.Round),
	"Trunc":      unary(ops.Trunc),
	"Sin":        unary(ops.Sin),
	"Cos":        unary(ops.Cos),
	"Tan":        unary(ops.Tan),
	"Asin":       unary(ops.Asin),
	"Acos":       unary(ops.Acos),
	"Atan":       unary(ops.Atan),
	"Sinh":       unary(ops.Sinh),
	"Cosh":       unary(ops.Cosh),
	"Asinh":      unary(ops.Asinh),
	"Acosh":      unary(ops.Acosh),
	"Atanh":      unary(ops.Atanh),
	"Erf":        unary(ops.Erf),
	"Erfc":       unary(ops.Erfc),

	"Sum":  reduced(ops.ReduceSum),
	"Mean": reduced(ops.ReduceMean),
	"Prod": reduced(ops.ReduceProd),
	"AMax": reduced(ops.ReduceMax),
	"AMin": reduced(ops.ReduceMin),
	"Var":  reduced(func(x graph.Value, axes []int, keep bool) graph.Value { return ops.Var(x, axes, 1, keep) }),
	"VarBiased": reduced(func(x graph.Value, axes []int, keep bool) graph.Value {
		return ops.Var(x, axes, 0, keep)
	}),
	"Std":       reduced(func(x graph.Value, axes []int, keep bool) graph.Value { return ops.Std(x, axes, 1, keep) }),
	"LogSumExp": reduced(ops.LogSumExp),
	"Norm1":     reduced(func(x graph.Value, axes []int, keep bool) graph.Value { return ops.Norm(x, 1, axes, keep) }),
	"Norm2":     reduced(func(x graph.Value, axes []int, keep bool) graph.Value { return ops.Norm(x, 2, axes, keep) }),
	"Max":       extremum(ops.ArgMax),
	"Min":       extremum(ops.ArgMin),
	"ArgMax":    argument(ops.ArgMax),
	"ArgMin":    argument(ops.ArgMin),
	"CumSum":    cumulative(ops.CumSum),
	"CumProd":   cumulative(ops.CumProd),
	"Sort": func(b *build) values {
		y, index := ops.Sort(b.x("x"), b.int("dim", -1), b.flag("descending", false))
		return values{"y": y, "index": index}
	},
	"TopK": func(b *build) values {
		b.flag("sorted", true) // it always is
		y, index := ops.TopK(b.x("x"), b.int("k", 1), b.int("dim", -1), b.flag("largest", true))
		return values{"y": y, "index": index}
	},
	"Clamp": func(b *build) values { return values{"y": ops.Clamp(b.x("x"), b.any("min"), b.any("max"))} },
	"Where": func(b *build) values {
		return values{"y": ops.Where(ops.Cast(b.x("c"), graph.Bool), b.x("a"), b.x("b"))}
	},

	"Reshape": func(b *build) values { return values{"y": ops.Reshape(b.x("x"), anys(b.ints("shape"))...)} },
	"Permute": func(b *build) values { return values{"y": ops.Transpose(b.x("x"), b.ints("dims")...)} },
	"Expand":  func(b *build) values { return values{"y": ops.Expand(b.x("x"), anys(b.ints("shape"))...)} },
	"Flip":    func(b *build) values { return values{"y": ops.Flip(b.x("x"), b.ints("dims")...)} },
	"Slice": func(b *build) values {
		return values{"y": ops.Slice(b.x("x"), b.int("dim", 0), b.int("start", 0), b.int("end", 0), b.int("step", 1))}
	},
	"Cat":   func(b *build) values { return values{"y": ops.Concat(b.int("dim", 0), b.list()...)} },
	"Stack": func(b *build) values { return values{"y": ops.Stack(b.int("dim", 0), b.list()...)} },
	"Pad": func(b *build) values {
		x := b.x("x")
		low, high := make([]int, x.Rank()), make([]int, x.Rank())
		for i, n := range b.ints("pad") { // pairs, from the last axis on
			if axis := x.Rank() - 1 - i/2; i%2 == 0 {
				low[axis] = n
			} else {
				high[axis] = n
			}
		}
		return values{"y": ops.Pad(x, low, high, b.num("value", 0))}
	},
	"IndexSelect": func(b *build) values { return values{"y": ops.Gather(b.x("x"), b.int("dim", 0), b.x("index"))} },
	"Gather":      func(b *build) values { return values{"y": ops.GatherElements(b.x("x"), b.int("dim", 0), b.x("index"))} },
	"ScatterAdd": func(b *build) values {
		return values{"y": ops.ScatterAdd(b.x("x"), b.int("dim", 0), b.x("index"), b.x("src"))}
	},
	"Tril": func(b *build) values { return values{"y": ops.Tril(b.x("x"), b.int("diagonal", 0))} },
	"Triu": func(b *build) values { return values{"y": ops.Triu(b.x("x"), b.int("diagonal", 0))} },
	"OneHot": func(b *build) values {
		return values{"y": ops.OneHot(b.x("ids"), b.int("num_classes", 0), b.roles["outputs"]["y"].DType())}
	},
	"Einsum": func(b *build) values { return values{"y": ops.Einsum(b.str("equation"), b.list()...)} },

	"Cast": func(b *build) values {
		outs := values{}
		for name, want := range b.roles["outputs"] {
			x := b.x("x")
			if from := dtypes[b.str("from")]; from != x.DType() {
				b.t.Errorf("the case is a cast from %v, x is %v", from, x.DType())
			}
			if name == "uint8" && x.DType().IsFloat() {
				x = ops.Abs(x) // PyTorch leaves negative floats undefined there: the case has the cast of |x|
			}
			outs[name] = ops.Cast(x, want.DType())
		}
		return outs
	},
	"Promotion":         promotion,
	"IntegerArithmetic": integerArithmetic,
})

// list returns all inputs in the order of their names.
func (b *build) list() []graph.Value {
	var xs []graph.Value
	for _, name := range sortedKeys(b.roles["inputs"]) {
		xs = append(xs, b.x(name))
	}
	return xs
}

// promotion checks the table of common dtypes by what multiplying such tensors gives, and for bools by the function; and that of
// quotients, which are floats.
func promotion(b *build) values {
	table, _ := as[map[string]any](b.attrs, "table")
	if len(table) == 0 {
		b.t.Fatal("the case has no table")
	}
	product := func(row, column string) graph.DType {
		m := graph.NewModule("promotion")
		f := m.Func("f")
		y := ops.Mul(f.Input("a", dtypes[row], 2), f.Input("b", dtypes[column], 2))
		if err := m.Err(); err != nil {
			b.t.Errorf("%s times %s: %v", row, column, err)
		}
		return y.DType()
	}
	eachPair(table, func(row, column, want string) {
		got, err := ops.Promote(dtypes[row], dtypes[column])
		if err != nil || got != dtypes[want] {
			b.t.Errorf("%s with %s: got %v (%v), want %v", row, column, got, err, want)
		}
		if want != "bool" && product(row, column) != dtypes[want] {
			b.t.Errorf("%s times %s: want %v", row, column, want)
		}
	})
	quotient := func(row, column, want string) {
		m := graph.NewModule("promotion")
		f := m.Func("f")
		y := ops.Div(f.Input("a", dtypes[row], 2), f.Input("b", dtypes[column], 2))
		if err := m.Err(); err != nil || y.DType() != dtypes[want] {
			b.t.Errorf("%s by %s: got %v (%v), want %v", row, column, y.DType(), err, want)
		}
	}
	switch q := b.any("true_division").(type) {
	case string: // of integers, and of bools
		for _, row := range []string{"uint8", "int8", "int16", "int32", "int64", "bool"} {
			for _, column := range []string{"uint8", "int64", "bool"} {
				quotient(row, column, q)
			}
		}
	case map[string]any: // by both dtypes, or of a dtype by itself
		for _, row := range sortedKeys(q) {
			if want, ok := q[row].(string); ok {
				quotient(row, row, want)
			} else {
				eachPair(map[string]any{row: q[row]}, quotient)
			}
		}
	case nil:
	default:
		b.t.Errorf("the attribute true_division is %v", q)
	}
	return nil
}

// eachPair visits the entries of a table by two dtypes.
func eachPair(table map[string]any, visit func(row, column, entry string)) {
	for _, row := range sortedKeys(table) {
		columns, _ := table[row].(map[string]any)
		for _, column := range sortedKeys(columns) {
			entry, _ := columns[column].(string)
			visit(row, column, entry)
		}
	}
}

func integerArithmetic(b *build) values {
	a, c, q := b.x("a"), b.x("b"), b.x("q")
	return values{
		"add": ops.Add(a, c), "sub": ops.Sub(a, c), "mul": ops.Mul(a, c), "neg": ops.Neg(a),
		"floor_div": ops.FloorDiv(a, q), "trunc_div": ops.TruncDiv(a, q), "remainder": ops.Remainder(a, q), "fmod": ops.Fmod(a, q),
		"max": ops.Maximum(a, c), "less": ops.Less(a, c), "sum": ops.Sum(a),
	}
}
