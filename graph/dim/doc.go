// Package dim provides symbolic tensor dimensions in canonical form.
//
// A [Dim] is an integer expression over symbols, such as 4*N+1 or
// floordiv(H+1, 2). Every function returns its result in canonical form, so
// that expressions which are equal by the laws of commutative rings have one
// representation and one text, and comparing dims is comparing texts.
//
//	n := dim.Sym("N")
//	a := dim.Mul(dim.Add(n, dim.Const(1)), dim.Const(4))
//	b := dim.Sum(n, n, n, n, dim.Const(4))
//	fmt.Println(a, b, a.Equal(b))
//
// prints
//
//	4*N+4 4*N+4 true
//
// and the number of rows of a convolution, for all H at once,
//
//	h := dim.Sym("H")
//	rows, err := dim.FloorDiv(dim.Add(h, dim.Const(1+1-3)), dim.Const(2))
//	rows = dim.Add(rows, dim.Const(1))
//	fmt.Println(rows)
//	for _, n := range []int64{28, 29} {
//		fmt.Println(rows.Eval(map[string]int64{"H": n}))
//	}
//
// prints
//
//	floordiv(H+1, 2)
//	14 <nil>
//	15 <nil>
//
// # Values
//
// A symbol stands for a positive integer, at least 1. An unknown stands for a
// non-negative integer which only the run of a graph determines, and which is
// at most the unknown's upper bound. Simplification relies on both: max(N, 1)
// is N. Division rounds toward negative infinity (floordiv) or positive
// infinity (ceildiv), and mod(p, q) is p-q*floordiv(p, q), which has the sign
// of q.
//
// Simplification preserves the value of an expression wherever it has one. It
// may remove a division by zero: floordiv(N*x, x) is N also where x is zero.
//
// # Canonical form
//
// A dim is a constant plus a sum of terms, a term being an integer coefficient
// times a product of atoms. An atom is a symbol, an unknown, or a floordiv,
// ceildiv, mod, min or max that does not simplify further. Terms are ordered
// by falling degree and then by name. A ceiling division by a divisor that is
// known to be positive is written as a floordiv, so that the two ways of
// rounding up compare equal.
//
// # Text
//
// The text of a dim is read by [Parse] and has this grammar, where spaces are
// allowed between tokens:
//
//	expr   = ["-"] term { ("+" | "-") term }
//	term   = factor { "*" factor }
//	factor = integer | symbol | call | "(" expr ")"
//	call   = ("floordiv" | "ceildiv" | "mod") "(" expr "," expr ")"
//	       | ("min" | "max") "(" expr { "," expr } ")"
//	       | "unknown" "(" id "," expr ")"
//
// The single word "overflow" is the text of the overflow dim.
//
// # Overflow
//
// Arithmetic that leaves int64, or whose result would be too large an
// expression for Parse to read back, gives the overflow dim. Any operation on
// the overflow dim gives the overflow dim, and evaluating it is an error. This
// keeps arithmetic free of error results while no wrapped value can pass for a
// size.
package dim
