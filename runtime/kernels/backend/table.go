package backend

// Table is all that kernels compute with, entry by entry. Package plain fills it whole; what a level has of its own takes the place
// of an entry, and no entry asks for another.
type Table struct {
	Products Products
	F32      Engines[float32]
	F64      Engines[float64]
	Vecs     Vecs
	Planes   Planes
	// Peak measures the float32 operations per second of one core in GFLOP/s: multiply-adds in registers, the best of several short
	// runs, since others may use the machine.
	Peak func() float64
}

// Level is an instruction set, or plain Go.
type Level struct {
	Name string
	// Fill puts what the level has into a table that is whole already.
	Fill func(*Table)
}

// Products are the matrix products by the types of A, of B and of what their products are added up in.
type Products struct {
	F32 Multiplier[float32, float32, float32]
	F64 Multiplier[float64, float64, float64]
}

// Engines are what computes with floats of one type.
type Engines[T Float] struct {
	Conv ConvEngines[T]
	Pool PoolEngine[T]
	Rows Rows[T]
}

// A ConvEngine computes the sums of a convolution. All three kernels are products of a matrix B with one that is gathered
// from an image by two tables, so that patches are never copied out:
//
//	t(i, j) = sum over p of a[rows[i]+cols[p]] * b(j, p)
//
// Forward and in the input's gradient, i is a position, p a tap and B the weights; in the weights' gradient i is a tap, p a
// position and B the gradient of the output. A sum is taken in order of p, and does not depend on the other i and j.
type ConvEngine[T Float] interface {
	// Lanes is the number that j is rounded up to a multiple of. It divides ConvPanel.
	Lanes() int
	// Pack brings columns p0 to p1 of B, n rows that are ld elements apart and begin with these columns, into the engine's
	// layout of a B of k columns: Lanes-rounded n times k elements, rows from j on, a multiple of ConvPanel, from j*k on.
	Pack(dst, b []T, ld, n, k, p0, p1 int)
	// Sum computes t(i, j) for i from at to at+len(rows) and j < n, from columns p0 to p0+len(cols) of a packed B of k
	// columns. If add, it adds to what T holds. Every run of rows is consecutive numbers.
	Sum(t []T, ld, at, n int, a []T, rows []int, run int, cols []int, b []T, k, p0 int, add bool)
	// MaxK is the greatest number of columns of B that one call of Sum should have; it is not asked to add if all fit.
	MaxK() int
	// InPlace reports whether T is n rows that are ld elements apart. Otherwise it is in a layout of the engine's own, of m
	// times Lanes-rounded n elements, and ld does not matter.
	InPlace() bool
	// Unload stores a T of m x n, with an ld of m, as n rows of m elements that are ld apart.
	Unload(dst []T, ld int, t []T, m, n int)
}

// ConvPanel is the number of rows of B by which the work of a convolution is cut.
const ConvPanel = 32

// ConvEngines chooses the engine for n result channels in each group, whose positions lie next to each other in the image
// in runs of at least that many (1 if there are gaps between them).
type ConvEngines[T Float] func(n, run int) ConvEngine[T]

// A PoolEngine computes windows of 2x2 cells with a stride of 2: rows of n of them, all inside a plane whose rows are w long.
type PoolEngine[T Float] interface {
	// Max stores the maxima and, unless index is nil, where in the plane they are: of equal cells the first, and the first NaN.
	Max(y []T, index []int64, x []T, n, w int)
	// Mean stores the means.
	Mean(y, x []T, n, w int)
}

// Rows are functions over the rows of matrices of n columns whose rows are ld elements apart. What there is one of per row is in slices
// that are as long as the matrix has rows. A row's results do not depend on the other rows.
type Rows[T Float] struct {
	// Top stores the maximum of each row, -Inf for no elements; NaN counts as nothing or wins.
	Top func(x []T, ld, rows, n int, top []T)
	// Exp stores e^(x-top) in y, which may be x, and the sum of each row.
	Exp func(y, x []T, ld, rows, n int, top, sum []T)
	// SumExp stores the sum of e^(x-top) of each row, added up in double precision.
	SumExp func(x []T, ld, rows, n int, top []T, sum []float64)
	// Scale multiplies each row by its scale.
	Scale func(y []T, ld, rows, n int, scale []T)
	// Shift stores x-top-shift in y, which may be x.
	Shift func(y, x []T, ld, rows, n int, top, shift []T)
	// SumWide stores the sum of each row, added up in double precision.
	SumWide func(x []T, ld, rows, n int, sum []float64)
	// Squares stores the sum of (x-mean)^2 of each row.
	Squares func(x []T, ld, rows, n int, mean, sum []T)
	// Dot stores the sum of x*y of each row.
	Dot func(x, y []T, ld, rows, n int, sum []T)
	// Norm stores (x-mean)*scale in y, which may be x.
	Norm func(y, x []T, ld, rows, n int, mean, scale []T)
	// Affine stores (x-mean)*scale*weight + bias in y, which may be x; weight and bias have one element per column.
	Affine func(y, x []T, ld, rows, n int, mean, scale, weight, bias []T)
	// NormGrad stores (dy - mean - y*along)*scale in dx, which may be dy or y.
	NormGrad func(dx, dy, y []T, ld, rows, n int, mean, along, scale []T)
	// Reduce reduces each row, and ReduceCols each column of at least one row, in the order of the rows. NaN wins in an extremum, and
	// +0 is above -0. There is no Mean, and of the others Sum alone reduces no elements.
	Reduce, ReduceCols [ReduceOps]func(x []T, ld, rows, n int, y []T)
}

// Vec computes n > 0 elements, one after the other in memory, of y from those of up to three operands. It reads and
// writes exactly these elements, whatever their alignment. An operand that the form says is a scalar is one element. y may be an
// operand that is a vector, but not overlap one otherwise. A call should be short, some thousand elements: a goroutine
// cannot be preempted in assembly.
type Vec func(n int, y, a, b, c *byte)

// Primitive is a Vec with its cost for an element, in units of an addition of float32.
type Primitive struct {
	Do   Vec
	Cost float32
}

// Vecs are the primitives by the type of their operands. Those of bool are of bytes that are 0 and 1.
type Vecs struct {
	F32, F64, I32, I64, Bool Elements
	F16, BF16                Storage
}

// Storage is what there is for floats that are stored, and computed with as float32.
type Storage struct{ ToF32, FromF32 Primitive }

// Elements are the primitives on elements of one type. There is none where an op does not have the kind of elements.
type Elements struct {
	// Unary is y = op(a).
	Unary [UnaryOps]Primitive
	// Binary is y = op(a, b), by form; there is none of two scalars.
	Binary [BinaryOps][SS]Primitive
	// Ternary is y = op(a, b, c) of floats, by the form of b and c.
	Ternary [TernaryOps][Forms]Primitive
	// Compare is the truth values y = a op b, for the forms VV and VS.
	Compare [CompareOps][SV]Primitive
	// Select is y = b where the truth value a holds, else c, by the form of b and c.
	Select [Forms]Primitive
	// Logic is y = op(a, b) of truth values.
	Logic [LogicOps]Primitive
	// Fold reduces a, of floats, to the one element y, by Sum, MaxOf or MinOf. The tree of a sum depends on n only.
	Fold [ReduceOps]Primitive
	// To converts a to the type, of which there is another primitive for each other type of numbers.
	To struct{ F32, F64, I32, I64 Primitive }
}

// Planes are the transpositions by the size of an element in bits.
type Planes struct {
	W8  Transpose[uint8]
	W16 Transpose[uint16]
	W32 Transpose[uint32]
	W64 Transpose[uint64]
}

// Transpose writes the rows x cols elements of x, whose columns are ldx apart and whose rows are neighbours, to y, whose rows
// are ldy apart: y[r*ldy+c] = x[c*ldx+r].
type Transpose[T any] func(y []T, ldy int, x []T, ldx, rows, cols int)
