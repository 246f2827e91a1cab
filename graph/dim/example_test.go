package dim_test

import (
	"fmt"

	"github.com/graphrun/graphrun/graph/dim"
)

// Equal sizes have one canonical form, whatever way they were computed.
func Example() {
	n := dim.Sym("N")
	a := dim.Mul(dim.Add(n, dim.Const(1)), dim.Const(4))
	b := dim.Sum(n, n, n, n, dim.Const(4))
	fmt.Println(a, b, a.Equal(b))
	// Output:
	// 4*N+4 4*N+4 true
}

// The number of rows of a convolution's result, for every number of rows H of its input: the kernel has 3, the padding 1
// on each side, and the stride is 2.
func ExampleFloorDiv() {
	h := dim.Sym("H")
	rows, err := dim.FloorDiv(dim.Add(h, dim.Const(1+1-3)), dim.Const(2))
	if err != nil {
		fmt.Println(err)
		return
	}
	rows = dim.Add(rows, dim.Const(1))
	fmt.Println(rows)
	for _, n := range []int64{28, 29} {
		fmt.Println(rows.Eval(map[string]int64{"H": n}))
	}
	// Output:
	// floordiv(H+1, 2)
	// 14 <nil>
	// 15 <nil>
}

// A symbol is at least 1, which decides some comparisons.
func ExampleMax() {
	n := dim.Sym("N")
	fmt.Println(dim.Max(n, dim.Const(1)), dim.Max(n, dim.Const(2)))
	// Output:
	// N max(2, N)
}

// Symbols are replaced all at once.
func ExampleDim_Subst() {
	d, err := dim.Parse("N*M + floordiv(N, 2)")
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(d)
	fmt.Println(d.Subst(map[string]dim.Dim{"N": dim.Mul(dim.Const(2), dim.Sym("M")), "M": dim.Sym("N")}))
	// Output:
	// M*N+floordiv(N, 2)
	// 2*M*N+M <nil>
}

// Arithmetic beyond int64 gives a dim that says so.
func ExampleDim_Overflow() {
	huge := dim.Mul(dim.Const(1<<62), dim.Const(4))
	fmt.Println(huge, huge.Overflow(), dim.Sub(huge, huge))
	// Output:
	// overflow true overflow
}
