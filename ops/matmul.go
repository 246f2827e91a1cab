package ops

import (
	"fmt"
	"slices"
	"strings"

	"github.com/graphrun/graphrun/graph"
	"github.com/graphrun/graphrun/graph/dim"
	"github.com/graphrun/graphrun/graph/errfmt"
	"github.com/graphrun/graphrun/graph/value"
)

var _ = graph.MustRegister(&graph.Op{
	Name: "matmul",
	Doc: "The product of matrices a[M,K] and b[K,N], or of stacks of them whose leading axes broadcast (numpy.matmul, " +
		"torch.matmul of ranks from 2). Integers wrap.",
	ONNX: "MatMul 1 9 13",
	Kind: graph.ProductOp,
	Args: []graph.Arg{
		{Name: "a", Types: graph.Numeric, Doc: "a matrix or a stack of matrices"},
		{Name: "b", Types: graph.Numeric, Doc: "a matrix or a stack of matrices, of a's dtype"},
	},
	Attrs: []graph.AttrSpec{
		{Name: "transpose_a", Kind: graph.BoolAttr, Default: false, Doc: "whether a is [K,M]"},
		{Name: "transpose_b", Kind: graph.BoolAttr, Default: false, Doc: "whether b is [N,K]"},
	},
	Results: out,
	Infer: func(c *graph.InferCtx) []graph.Type {
		c.SameDType()
		a, b := c.Tensor(0), c.Tensor(1)
		if a.Rank() < 2 || b.Rank() < 2 {
			c.Failf("want matrices or stacks of matrices: a is %s, b is %s", a, b)
		}
		m, ka := matrixDims(a.Shape, c.Bool("transpose_a"))
		kb, n := matrixDims(b.Shape, c.Bool("transpose_b"))
		if !ka.Equal(kb) || ka.Overflow() {
			transposed := ""
			for i, flag := range []string{"transpose_a", "transpose_b"} {
				if c.Bool(flag) {
					transposed += fmt.Sprintf(" (%c transposed)", 'a'+rune(i))
				}
			}
			c.MustEqual(ka, kb, "inner dimensions differ: a is %s, b is %s%s", a, b, transposed)
		}
		batch, err := BroadcastShapes(a.Shape[:a.Rank()-2], b.Shape[:b.Rank()-2])
		if err != nil {
			c.Failf("the leading axes do not broadcast: a is %s, b is %s", a, b)
		}
		return tensors(graph.TensorType{DType: a.DType, Shape: append(batch, m, n)})
	},
	Grad: func(g *graph.GradCtx) []Value {
		a, b, dy, ta, tb := g.In[0], g.In[1], g.Dy(0), g.Bool("transpose_a"), g.Bool("transpose_b")
		var da, db Value
		if ta {
			da = matMul(b, dy, tb, true)
		} else {
			da = matMul(dy, b, false, !tb)
		}
		if tb {
			db = matMul(dy, a, true, ta)
		} else {
			db = matMul(a, dy, !ta, false)
		}
		return []Value{SumTo(da, a.Shape()), SumTo(db, b.Shape())}
	},
	Ref: func(c *graph.RefCtx) {
		a, b, y := c.In[0], c.In[1], c.Out[0]
		rank := len(y.Shape)
		m, n, k := y.Shape[rank-2], y.Shape[rank-1], a.Shape[len(a.Shape)-1]
		aRow, aCol, bRow, bCol := k, 1, n, 1
		if c.Bool("transpose_a") {
			k = a.Shape[len(a.Shape)-2]
			aRow, aCol = 1, m
		}
		if c.Bool("transpose_b") {
			bRow, bCol = 1, k
		}
		// The strides of the leading axes count matrices.
		lead := func(x *value.Exact) []int {
			return broadcastStrides(x.Shape[:len(x.Shape)-2], y.Shape[:rank-2])
		}
		forEach(y.Shape[:rank-2], [][]int{lead(a), lead(b)}, func(i int, at []int) {
			for r := range m {
				for s := range n {
					p, q := at[0]*m*k+r*aRow, at[1]*k*n+s*bCol
					dotInto(y, i*m*n+r*n+s, a, p, aCol, b, q, bRow, k)
				}
			}
		})
	},
	FLOPs: graph.Cost{Doc: "2*M*N*K for each pair of matrices", Count: func(in, out []graph.TensorType, a graph.Attrs) graph.Dim {
		_, k := matrixDims(in[0].Shape, a.Bool("transpose_a"))
		return dim.Product(dim.Const(2), k, out[0].NumElements())
	}},
	Tol: graph.Tol{Terms: func(in []graph.TensorType, a graph.Attrs) int {
		_, k := matrixDims(in[0].Shape, a.Bool("transpose_a"))
		n, _ := k.Int()
		return int(n)
	}},
})

// matrixDims returns the last two dims of a shape, exchanged if transposed.
func matrixDims(shape []graph.Dim, transposed bool) (rows, cols graph.Dim) {
	rows, cols = shape[len(shape)-2], shape[len(shape)-1]
	if transposed {
		return cols, rows
	}
	return rows, cols
}

// dotInto sets y[i] to the sum over n of a[p + j*as] * b[q + j*bs].
func dotInto(y *value.Exact, i int, a *value.Exact, p, as int, b *value.Exact, q, bs, n int) {
	switch y.DType.Domain() {
	case value.Floats:
		for j := range n {
			y.F[i] += a.F[p+j*as] * b.F[q+j*bs]
		}
	case value.Ints:
		for j := range n {
			y.I[i] += a.I[p+j*as] * b.I[q+j*bs]
		}
	case value.Uints:
		for j := range n {
			y.U[i] += a.U[p+j*as] * b.U[q+j*bs]
		}
	}
}

// matMul multiplies operands of ranks from 2 and one dtype. A stack times a matrix becomes one product of two matrices,
// so that the gradient by the matrix is one product too, not a stack of products to be summed.
func matMul(a, b Value, transposeA, transposeB bool) Value {
	flags := []graph.Attr{attr("transpose_a", transposeA), attr("transpose_b", transposeB)}
	if !a.OK() || !b.OK() || transposeA || a.Rank() <= 2 || b.Rank() != 2 {
		return emit1("matmul", []Value{a, b}, flags...)
	}
	lead := a.Rank() - 1
	k, n := matrixDims(b.Shape(), transposeB)
	if dim.ProvablyDifferent(a.Shape()[lead], k) { // refused with the types that the user knows
		return emit1("matmul", []Value{a, b}, flags...)
	}
	y := emit1("matmul", []Value{Flatten(a, 0, -2), b}, flags...)
	return reshapeDims(y, append(slices.Clone(a.Shape()[:lead]), n))
}

// MatMul returns the matrix product of a and b (torch.matmul). From rank 2 on, the last two axes are matrices and the
// others broadcast; an operand of rank 1 is a row before, or a column after, the other operand, and its axis does not
// appear in the result. Dtypes are promoted as PyTorch's arithmetic does it. Inner dimensions that are known to differ
// are reported.
func MatMul(a, b Operand) Value {
	in, ok := operands("matmul", a, b)
	if !ok {
		return in[0]
	}
	x, y := in[0], in[1]
	if !x.OK() || !y.OK() {
		return emit1("matmul", in)
	}
	if x.Rank() == 0 || y.Rank() == 0 {
		return report("matmul", in, "want at least one axis: a is %s, b is %s", x.Type(), y.Type())
	}
	inner := y.Rank() - 2
	if dim.ProvablyDifferent(x.Shape()[x.Rank()-1], y.Shape()[max(inner, 0)]) {
		return report("matmul", in, "inner dimensions differ: a is %s, b is %s", x.Type(), y.Type())
	}
	rowA, colB := x.Rank() == 1, y.Rank() == 1
	if rowA {
		x = Unsqueeze(x, 0)
	}
	if colB {
		y = Unsqueeze(y, 1)
	}
	z := matMul(x, y, false, false)
	switch {
	case !z.OK():
		return z
	case rowA && colB:
		return reshapeDims(z, nil)
	case rowA:
		return Squeeze(z, -2)
	case colB:
		return Squeeze(z, -1)
	}
	return z
}

// Dot returns the inner product of two vectors, of rank 0 (torch.dot).
func Dot(a, b Value) Value {
	if a.OK() && b.OK() && (a.Rank() != 1 || b.Rank() != 1) {
		return report("dot", []Value{a, b}, "want vectors: a is %s, b is %s", a.Type(), b.Type())
	}
	return MatMul(a, b)
}

// Outer returns the products a[i]*b[j] of two vectors, of shape [len(a), len(b)] (torch.outer).
func Outer(a, b Value) Value {
	if a.OK() && b.OK() && (a.Rank() != 1 || b.Rank() != 1) {
		return report("outer", []Value{a, b}, "want vectors: a is %s, b is %s", a.Type(), b.Type())
	}
	return Mul(Unsqueeze(a, 1), Unsqueeze(b, 0))
}

// Einsum contracts operands as the equation says (torch.einsum): one letter per axis, operands separated by commas, and
// after "->" the letters of the result; letters that are not there are summed over. Without "->" the result has the
// letters that occur once, in alphabetical order. A letter that an operand has twice takes its diagonal; "..." stands
// for leading axes, which broadcast. Several operands are contracted from left to right, each pair by one matmul.
// Dtypes are promoted.
func Einsum(equation string, xs ...Value) Value {
	for _, x := range xs {
		if x.Valid() && !x.OK() {
			return x
		}
	}
	fail := func(format string, args ...any) Value {
		return report("einsum", xs, "%q: %s", equation, fmt.Sprintf(format, args...))
	}
	list := make([]Operand, len(xs))
	for i, x := range xs {
		if list[i] = x; !x.Valid() {
			return fail("operand %d is missing (a zero graph.Value)", i)
		}
	}
	in, ok := operands("einsum", list...)
	if !ok {
		if len(in) == 0 {
			return Value{}
		}
		return in[0]
	}
	terms, result, err := parseEinsum(equation, in)
	if err != nil {
		return fail("%v", err)
	}
	sizes := map[rune]graph.Dim{}
	for i, t := range terms {
		for axis, r := range t.letters {
			d, seen := sizes[r]
			switch size := t.v.Shape()[axis]; {
			case !seen, isLeading(r) && isOne(d):
				sizes[r] = size
			case isLeading(r) && isOne(size):
			case dim.ProvablyDifferent(d, size):
				return fail("%s is %s in operand %d, which is %s, and %s before", letterName(r), size, i, in[i].Type(), d)
			}
		}
		terms[i] = t.diagonal()
	}
	for _, r := range result {
		if _, ok := sizes[r]; !ok {
			return fail("%s of the result is in no operand", letterName(r))
		}
	}
	for len(terms) > 1 {
		needed := slices.Clone(result)
		for _, t := range terms[2:] {
			needed = append(needed, t.letters...)
		}
		terms = append([]einsumTerm{contract(terms[0], terms[1], needed)}, terms[2:]...)
	}
	last := terms[0].sumExcept(result)
	return last.ordered(result)
}

// einsumTerm is a value with one letter per axis.
type einsumTerm struct {
	v       Value
	letters []rune
}

// The axes that "..." stands for have letters of their own, counted from the last.
const leadingAxis = rune(0x100000)

func isLeading(r rune) bool { return r >= leadingAxis }

func letterName(r rune) string {
	if isLeading(r) {
		return "an axis of ..."
	}
	return string(r)
}

func parseEinsum(equation string, in []Value) (terms []einsumTerm, result []rune, err error) {
	left, right, explicit := strings.Cut(strings.ReplaceAll(equation, " ", ""), "->")
	parts := strings.Split(left, ",")
	if len(parts) != len(in) {
		return nil, nil, errfmt.Errorf("it takes %d operands, have %d", len(parts), len(in))
	}
	most := 0
	uses := map[rune]int{}
	for i, p := range parts {
		letters, err := einsumLetters(p, in[i].Rank())
		if err != nil {
			return nil, nil, errfmt.Errorf("operand %d, which is %s: %w", i, in[i].Type(), err)
		}
		n := 0
		for _, r := range letters {
			if isLeading(r) {
				n++
			}
			uses[r]++
		}
		most = max(most, n)
		terms = append(terms, einsumTerm{in[i], letters})
	}
	if explicit {
		plain := strings.Replace(right, "...", "", 1)
		rank := len(plain)
		if plain != right {
			rank += most
		}
		if result, err = einsumLetters(right, rank); err != nil {
			return nil, nil, errfmt.Errorf("the result: %w", err)
		}
		for i, r := range result {
			if slices.Contains(result[:i], r) {
				return nil, nil, errfmt.Errorf("the result has %s twice", letterName(r))
			}
		}
		return terms, result, nil
	}
	for i := most; i > 0; i-- {
		result = append(result, leadingAxis+rune(i))
	}
	for r := 'A'; r <= 'z'; r++ {
		if uses[r] == 1 {
			result = append(result, r)
		}
	}
	return terms, result, nil
}

// einsumLetters gives the axes of a tensor of the rank the letters of one part of an equation.
func einsumLetters(part string, rank int) ([]rune, error) {
	before, after, dots := strings.Cut(part, "...")
	for _, r := range before + after {
		if (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') {
			return nil, errfmt.Errorf("want letters, have %q", part)
		}
	}
	lead := rank - len(before) - len(after)
	if lead < 0 || lead > 0 && !dots {
		return nil, errfmt.Errorf("%q has %d letters for %d axes", part, len(before)+len(after), rank)
	}
	letters := []rune(before)
	for i := lead; i > 0; i-- {
		letters = append(letters, leadingAxis+rune(i))
	}
	return append(letters, []rune(after)...), nil
}

// diagonal takes the diagonal of letters that occur twice.
func (t einsumTerm) diagonal() einsumTerm {
	for i := 0; i < len(t.letters); i++ {
		k := slices.Index(t.letters[:i], t.letters[i])
		if k < 0 {
			continue
		}
		f, shape := t.v.Func(), make([]graph.Dim, len(t.letters))
		for a := range shape {
			shape[a] = dim.Const(1)
		}
		shape[i], shape[k] = t.v.Shape()[i], t.v.Shape()[k]
		on := Equal(iotaDims(f, graph.I64, i, shape), iotaDims(f, graph.I64, k, shape))
		t.v = ReduceSum(Where(on, t.v, ZerosLike(t.v)), []int{i}, false)
		t.letters = slices.Delete(slices.Clone(t.letters), i, i+1)
		i--
	}
	return t
}

// sumExcept sums over the letters that are not needed.
func (t einsumTerm) sumExcept(needed []rune) einsumTerm {
	var axes []int
	var rest []rune
	for i, r := range t.letters {
		if slices.Contains(needed, r) {
			rest = append(rest, r)
		} else {
			axes = append(axes, i)
		}
	}
	if len(axes) == 0 {
		return t
	}
	return einsumTerm{ReduceSum(t.v, axes, false), rest}
}

// ordered transposes to the order of letters, which are those of t.
func (t einsumTerm) ordered(letters []rune) Value {
	if slices.Equal(t.letters, letters) {
		return t.v
	}
	perm := make([]int, len(letters))
	for i, r := range letters {
		perm[i] = slices.Index(t.letters, r)
	}
	return Transpose(t.v, perm...)
}

// contract multiplies two terms and sums over the letters that are not needed afterwards, by one matmul of stacks:
// letters of both that are needed count the matrices, needed letters of one are its rows or columns, and the others of
// both are the inner dimension.
func contract(a, b einsumTerm, needed []rune) einsumTerm {
	a, b = a.sumExcept(append(slices.Clone(b.letters), needed...)), b.sumExcept(append(slices.Clone(a.letters), needed...))
	var batch, inner, rows, cols []rune
	for _, r := range a.letters {
		switch in := slices.Contains(b.letters, r); {
		case in && (slices.Contains(needed, r) || isLeading(r)):
			batch = append(batch, r)
		case in:
			inner = append(inner, r)
		default:
			rows = append(rows, r)
		}
	}
	for _, r := range b.letters {
		if !slices.Contains(a.letters, r) {
			cols = append(cols, r)
		}
	}
	n := len(batch)
	x, y := a.ordered(slices.Concat(batch, rows, inner)), b.ordered(slices.Concat(batch, inner, cols))
	xs, ys := x.Shape(), y.Shape()
	rowDims, innerDims, colDims := xs[n:n+len(rows)], xs[n+len(rows):], ys[n+len(inner):]
	m, k, p := dim.Product(rowDims...), dim.Product(innerDims...), dim.Product(colDims...)
	x = fit(x, append(slices.Clone(xs[:n]), m, k))
	y = fit(y, append(slices.Clone(ys[:n]), k, p))
	z := matMul(x, y, false, false)
	if !z.OK() {
		return einsumTerm{z, slices.Concat(batch, rows, cols)}
	}
	z = fit(z, slices.Concat(z.Shape()[:n], rowDims, colDims))
	return einsumTerm{z, slices.Concat(batch, rows, cols)}
}
