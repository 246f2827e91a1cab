package strip

import (
	"math"
	"slices"

	"github.com/graphrun/graphrun/graph/value"
	"github.com/graphrun/graphrun/runtime/kernels/backend"
	"github.com/graphrun/graphrun/runtime/kernels/parallel"
)

// Value is a value of the expression.
type Value int

// kind is what computes a value.
type kind uint8

const (
	operand kind = iota
	constant
	unary
	binary
	ternary
	compare
	choose
	logical
	cast
)

type node struct {
	kind kind
	dt   value.DType
	op   uint8 // of its kind; the index of an operand
	in   [3]Value
	args int
	bits uint64 // of a constant
}

// Builder takes an expression. The methods that add a value to it want operands of the dtypes that the op takes.
type Builder struct {
	// Take, if set, is told of memory that a kernel keeps beside that of its workers, in bytes, before it is made.
	Take func(bytes float64)
	// Stop is that of the kernel: see parallel.Stoppable.
	Stop *parallel.Stop

	shape    []int
	operands []operandType
	nodes    []node
	results  []Value
	reduce   *reduction
}

type operandType struct {
	dt    value.DType
	shape []int
}

// reduction is the reduction that ends an expression.
type reduction struct {
	op     backend.ReduceOp
	of     Value
	axes   []bool // of the shape
	free   []bool // of the shape: those that stay, and may have any size
	result int    // its place among the results
}

// New returns a builder of an expression over a shape.
func New(shape []int) *Builder { return &Builder{shape: shape} }

// Holds reports whether values of a dtype can be part of an expression.
func Holds(dt value.DType) bool { return sizeOf(dt) > 0 }

//go:noinline
func (b *Builder) add(n node, in ...Value) Value {
	n.args = copy(n.in[:], in)
	b.nodes = append(b.nodes, n)
	return Value(len(b.nodes) - 1)
}

// Operand returns the next operand, whose shape broadcasts to that of the expression.
func (b *Builder) Operand(dt value.DType, shape []int) Value {
	b.operands = append(b.operands, operandType{dt, shape})
	return b.add(node{kind: operand, dt: dt, op: uint8(len(b.operands) - 1)})
}

// Const returns a constant: the one element of a tensor.
func (b *Builder) Const(t *value.Tensor) Value {
	n := node{kind: constant, dt: t.DType()}
	for i, c := range t.Bytes() {
		n.bits |= uint64(c) << (8 * i)
	}
	return b.add(n)
}

func (b *Builder) number(dt value.DType, x int) Value {
	n := node{kind: constant, dt: dt}
	switch dt {
	case value.F32:
		n.bits = uint64(math.Float32bits(float32(x)))
	case value.F64:
		n.bits = math.Float64bits(float64(x))
	default:
		n.bits = uint64(x) & (1<<(8*sizeOf(dt)-1)<<1 - 1)
	}
	return b.add(n)
}

// DType returns the dtype of a value.
func (b *Builder) DType(v Value) value.DType { return b.nodes[v].dt }

// Unary returns op(x), for integers where op has them. Inlined, it takes 0.6 kB of a service.
//
//go:noinline
func (b *Builder) Unary(op backend.UnaryOp, x Value) Value {
	return b.add(node{kind: unary, dt: b.DType(x), op: uint8(op)}, x)
}

// Binary returns op(x, y).
func (b *Builder) Binary(op backend.BinaryOp, x, y Value) Value {
	if op == backend.Pow && b.nodes[y].kind == constant {
		if v, ok := b.power(x, b.nodes[y]); ok {
			return v
		}
	}
	return b.add(node{kind: binary, dt: b.DType(x), op: uint8(op)}, x, y)
}

// power returns the powers that products or a quotient compute within the tolerance of pow, for all bases.
func (b *Builder) power(x Value, exponent node) (Value, bool) {
	var e float64
	switch exponent.dt {
	case value.F32:
		e = float64(math.Float32frombits(uint32(exponent.bits)))
	case value.F64:
		e = math.Float64frombits(exponent.bits)
	default:
		return 0, false
	}
	switch e {
	case 1:
		return x, true
	case 2:
		return b.Unary(backend.Square, x), true
	case 3:
		return b.Binary(backend.Mul, b.Unary(backend.Square, x), x), true
	case -1:
		return b.Unary(backend.Reciprocal, x), true
	}
	return 0, false
}

// Compare returns the truth of x op y.
func (b *Builder) Compare(op backend.CompareOp, x, y Value) Value {
	return b.add(node{kind: compare, dt: value.Bool, op: uint8(op)}, x, y)
}

// Select returns x where cond holds, else y.
func (b *Builder) Select(cond, x, y Value) Value {
	if dt := b.DType(x); sizeOf(dt) == 2 {
		return b.Cast(b.Select(cond, b.Cast(x, value.F32), b.Cast(y, value.F32)), dt)
	}
	return b.add(node{kind: choose, dt: b.DType(x)}, cond, x, y)
}

// Logic returns op(x, y) of truth values; Not takes x twice.
func (b *Builder) Logic(op backend.LogicOp, x, y Value) Value {
	return b.add(node{kind: logical, dt: value.Bool, op: uint8(op)}, x, y)
}

// Cast converts x as value.Convert does. To a float for storage it goes by way of f32, which rounds numbers of more bits twice.
func (b *Builder) Cast(x Value, to value.DType) Value {
	switch from := b.DType(x); {
	case from == to:
		return x
	case to != value.F32 && sizeOf(from) == 2: // exactly
		return b.Cast(b.Cast(x, value.F32), to)
	case from != value.F32 && sizeOf(to) == 2:
		return b.Cast(b.Cast(x, value.F32), to)
	case from == value.Bool:
		return b.Select(x, b.number(to, 1), b.number(to, 0))
	case to == value.Bool:
		return b.Compare(backend.NotEqual, x, b.number(from, 0))
	}
	return b.add(node{kind: cast, dt: to}, x)
}

// IsInf returns whether x, a float, is infinite.
func (b *Builder) IsInf(x Value) Value {
	inf := node{kind: constant, dt: b.DType(x), bits: math.Float64bits(math.Inf(1))}
	if inf.dt == value.F32 {
		inf.bits = uint64(math.Float32bits(float32(math.Inf(1))))
	}
	return b.Compare(backend.Equal, b.Unary(backend.Abs, x), b.add(inf))
}

// Result makes a value the next result, a tensor of the shape of the expression.
func (b *Builder) Result(v Value) { b.results = append(b.results, v) }

// Reduce makes the reduction of a float value over some axes the next result: Sum, Mean, MaxOf or MinOf. There may be one. Of other
// axes that are free, and of the first one, no bits of it depend: these may be the batch.
func (b *Builder) Reduce(op backend.ReduceOp, v Value, axes []int, free func(axis int) bool) {
	r := &reduction{op: op, of: v, axes: make([]bool, len(b.shape)), free: make([]bool, len(b.shape)), result: len(b.results)}
	elements := 1
	for a := range b.shape {
		r.free[a] = !slices.Contains(axes, a) && (a == 0 || free(a))
	}
	for _, a := range axes {
		r.axes[a] = true
		elements *= b.shape[a]
	}
	if elements > 1 { // else the value is its own reduction
		b.reduce = r
	}
	b.results = append(b.results, v)
}
