package backend

import "unsafe"

// Float is the set of element types of convolutions, pooling and softmax.
type Float interface{ ~float32 | ~float64 }

// Number is the set of element types of tensors that are computed with in plain Go.
type Number interface {
	Float | ~int8 | ~int16 | ~int32 | ~int64 | ~uint8 | ~uint16 | ~uint32 | ~uint64
}

// Shape is that of one matrix product on row-major matrices: C = op(A)·op(B), or C += op(A)·op(B) if Accumulate. C is M x N; op(A)
// is M x K, stored as K x M if TransA; op(B) is K x N, stored as N x K if TransB. Rows as stored are Lda, Ldb and Ldc elements
// apart. With K == 0 the product is zero.
type Shape struct {
	TransA, TransB bool
	M, N, K        int
	Lda, Ldb, Ldc  int
	Accumulate     bool
}

// Matrices is one matrix product. C does not overlap A or B.
type Matrices[TA, TB, TC Number] struct {
	Shape
	A []TA
	B []TB
	C []TC
	// PackedA and PackedB, if set, take the place of A and B: what Multiplier.PackA and PackB made of them.
	PackedA *Packed[TA]
	PackedB *Packed[TB]
}

// Packed is an operand of matrix products in the order in which a Multiplier reads it. It does not change, and any number of
// products may share it.
type Packed[T Number] struct {
	// Rows and Cols are the shape of the operand, op applied.
	Rows, Cols int
	Data       []T
	// Operand is a or b.
	Operand string
	// By is the Multiplier that packed it.
	By any
}

// Multiplier is one implementation of matrix products, by the types of A, of B, and of what their products are added up in.
type Multiplier[TA, TB, TC Number] interface {
	// Multiply computes rows i0 to i1 and columns j0 to j1 of C, and reports each element to done once, when it has its
	// final value. The bits of an element depend on its row of op(A), its column of op(B) and K only. K is positive.
	Multiply(g *Matrices[TA, TB, TC], scratch []TC, done Done, i0, i1, j0, j1 int)
	// Tile returns what the rows and columns of a part of C are best multiples of.
	Tile() (rows, cols int)
	// MinWork returns the number of multiply-adds that are worth handing to another goroutine.
	MinWork() int
	// Scratch returns how many elements of scratch Multiply needs; it starts at a multiple of 64 bytes.
	Scratch() int
	// PackA and PackB return an operand in the order in which Multiply reads it: products with it have the same bits. What is in x
	// is copied.
	PackA(trans bool, m, k int, x []TA, ld int) *Packed[TA]
	PackB(trans bool, k, n int, x []TB, ld int) *Packed[TB]
}

// Epilogue is what is done to the result of a matrix product or a convolution part by part, right after a part has been
// computed and while it is in cache: a bias, an activation, a mask.
type Epilogue interface {
	// Apply replaces the elements in rows r0 to r1 and columns c0 to c1 of the result by their final values. The result is
	// seen as a matrix: all axes before the last of a product are its rows; all axes behind the channels of a
	// convolution are its columns. Calls with the same worker number do not overlap.
	Apply(worker, r0, r1, c0, c1 int)
	// Workers says that worker numbers are below n from now on; until then there is one worker.
	Workers(n int)
}

// Done hands finished parts of a product to its epilogue.
type Done struct {
	epilogue    Epilogue
	worker, row int
}

// NewDone returns the Done of a product whose first row is a row of what the epilogue, which may be nil, sees.
func NewDone(epilogue Epilogue, worker, row int) Done { return Done{epilogue, worker, row} }

// Active reports whether there is an epilogue.
func (d Done) Active() bool { return d.epilogue != nil }

// Block says that rows i0 to i1 and columns j0 to j1 of the product have their final values.
func (d Done) Block(i0, i1, j0, j1 int) {
	if d.epilogue != nil {
		d.epilogue.Apply(d.worker, d.row+i0, d.row+i1, j0, j1)
	}
}

// blockElements is how many elements an epilogue is best called for: enough to make the call cheap, few enough to stay in cache.
const blockElements = 8192

// Columns returns how many columns of a block of that many rows to finish before Block is called, a multiple of width.
func (d Done) Columns(rows, width int) int {
	return max(1, max(blockElements/max(rows, 1), 64)/width) * width
}

// lineBytes is the size of a cache line.
const lineBytes = 64

// AlignedBytes returns n bytes that start a cache line, at a multiple of 64. Inlined, it takes 0.8 kB of a service.
//
//go:noinline
func AlignedBytes(n int) []byte {
	b := make([]byte, n+lineBytes)
	at := int(-uintptr(unsafe.Pointer(unsafe.SliceData(b))) & (lineBytes - 1))
	return b[at:][:n:n]
}

// Aligned returns n elements that start a cache line.
func Aligned[T Number](n int) []T {
	var zero T
	return unsafe.Slice((*T)(unsafe.Pointer(unsafe.SliceData(AlignedBytes(n*int(unsafe.Sizeof(zero)))))), n)
}

// CeilDiv returns the quotient of positive numbers, rounded up.
//
//go:noinline
func CeilDiv(x, y int) int { return (x + y - 1) / y }
