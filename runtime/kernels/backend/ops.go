package backend

// Kinds is a set of kinds of elements.
type Kinds uint8

// The kinds of elements that primitives compute with.
const (
	Floats   Kinds = 1 << iota // float32 and float64
	Integers                   // int32 and int64, which wrap
)

// op is what there is to say of an element-wise function: the name of the op of a graph that is it, and the kinds of elements that
// it is a primitive for.
type op struct {
	name  string
	kinds Kinds
}

// UnaryOp names an element-wise function of one argument.
type UnaryOp uint8

// The unary functions.
const (
	Neg UnaryOp = iota
	Abs
	Sign // -1, 0 or 1; zeros and NaN stay
	Square
	Sqrt
	Rsqrt
	Reciprocal
	Exp
	Expm1
	Log
	Log1p
	Sin
	Cos
	Tan
	Asin
	Acos
	Atan
	Sinh
	Cosh
	Tanh
	Asinh
	Acosh
	Atanh
	Sigmoid
	ReLU // 0 where x is negative; zeros and NaN stay
	Erf
	Erfc
	Floor
	Ceil
	Round // half to even
	Trunc

	UnaryOps // is how many there are
)

var unaryOps = [UnaryOps]op{
	Neg:        {"neg", Floats | Integers},
	Abs:        {"abs", Floats | Integers},
	Sign:       {"sign", Floats | Integers},
	Square:     {"square", Floats | Integers},
	Sqrt:       {"sqrt", Floats},
	Rsqrt:      {"rsqrt", Floats},
	Reciprocal: {"reciprocal", Floats},
	Exp:        {"exp", Floats},
	Expm1:      {"expm1", Floats},
	Log:        {"log", Floats},
	Log1p:      {"log1p", Floats},
	Sin:        {"sin", Floats},
	Cos:        {"cos", Floats},
	Tan:        {"tan", Floats},
	Asin:       {"asin", Floats},
	Acos:       {"acos", Floats},
	Atan:       {"atan", Floats},
	Sinh:       {"sinh", Floats},
	Cosh:       {"cosh", Floats},
	Tanh:       {"tanh", Floats},
	Asinh:      {"asinh", Floats},
	Acosh:      {"acosh", Floats},
	Atanh:      {"atanh", Floats},
	Sigmoid:    {"sigmoid", Floats},
	ReLU:       {"relu", Floats | Integers},
	Erf:        {"erf", Floats},
	Erfc:       {"erfc", Floats},
	Floor:      {"floor", Floats},
	Ceil:       {"ceil", Floats},
	Round:      {"round", Floats},
	Trunc:      {"trunc", Floats},
}

// String returns the name of the op of a graph that op is.
func (op UnaryOp) String() string { return unaryOps[op].name }

// Kinds returns the kinds of elements that op is a primitive for.
func (op UnaryOp) Kinds() Kinds { return unaryOps[op].kinds }

// BinaryOp names an element-wise function of two arguments.
type BinaryOp uint8

// The binary functions.
const (
	Add BinaryOp = iota
	Sub
	Mul
	Div // of integers it may fail, and is no primitive
	Max // NaN if either argument is; +0 over -0
	Min // NaN if either argument is; -0 under +0
	Pow
	Mod // with the sign of the dividend
	Atan2
	FloorDiv
	Remainder // with the sign of the divisor

	BinaryOps // is how many there are
)

var binaryOps = [BinaryOps]op{
	Add:       {"add", Floats | Integers},
	Sub:       {"sub", Floats | Integers},
	Mul:       {"mul", Floats | Integers},
	Div:       {"div", Floats},
	Max:       {"maximum", Floats | Integers},
	Min:       {"minimum", Floats | Integers},
	Pow:       {"pow", Floats},
	Mod:       {"fmod", Floats},
	Atan2:     {"atan2", Floats},
	FloorDiv:  {"floor_div", 0},
	Remainder: {"remainder", 0},
}

// String returns the name of the op of a graph that op is.
func (op BinaryOp) String() string { return binaryOps[op].name }

// Kinds returns the kinds of elements that op is a primitive for.
func (op BinaryOp) Kinds() Kinds { return binaryOps[op].kinds }

// TernaryOp names an element-wise function of three arguments.
type TernaryOp uint8

// The ternary functions, of floats, round the product before they add it.
const (
	MulAdd TernaryOp = iota // a*b + c
	MulSub                  // a*b - c
	SubMul                  // c - a*b

	TernaryOps // is how many there are
)

// CompareOp names a comparison. NaN is unequal to everything and not ordered.
type CompareOp uint8

// The comparisons.
const (
	Equal CompareOp = iota
	NotEqual
	Less
	LessEqual
	Greater
	GreaterEqual

	CompareOps // is how many there are
)

// String returns the name of the op of a graph that op is.
func (op CompareOp) String() string {
	return [...]string{"equal", "not_equal", "less", "less_equal", "greater", "greater_equal"}[op]
}

// Mirrored returns the comparison with its operands exchanged.
func (op CompareOp) Mirrored() CompareOp {
	return [...]CompareOp{Equal, NotEqual, Greater, GreaterEqual, Less, LessEqual}[op]
}

// LogicOp names a function of truth values.
type LogicOp uint8

// The functions of truth values.
const (
	And LogicOp = iota
	Or
	Xor
	Not // of one, which is both arguments

	LogicOps // is how many there are
)

// String returns the name of the op of a graph that op is.
func (op LogicOp) String() string { return [...]string{"and", "or", "xor", "not"}[op] }

// ReduceOp names a reduction.
type ReduceOp uint8

// The reductions. MaxOf and MinOf give NaN if any element is.
const (
	Sum ReduceOp = iota
	Mean
	Prod
	MaxOf
	MinOf

	ReduceOps // is how many there are
)

// Form says which of an operation's last two operands are vectors (V), one element for each of the result, and which are
// scalars (S), one element for all.
type Form uint8

// The forms.
const (
	VV Form = iota
	VS
	SV
	SS

	Forms // is how many there are
)

// FormOf returns the form of two operands.
func FormOf(scalarA, scalarB bool) Form {
	f := VV
	if scalarA {
		f += SV
	}
	if scalarB {
		f += VS
	}
	return f
}

// Lens returns how many elements the two operands of a form have for a result of n.
func (f Form) Lens(n int) (a, b int) {
	a, b = n, n
	if f == SV || f == SS {
		a = 1
	}
	if f == VS || f == SS {
		b = 1
	}
	return a, b
}
