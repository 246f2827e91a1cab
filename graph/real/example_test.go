package real_test

import (
	"fmt"

	"github.com/graphrun/graphrun/graph/real"
)

// Where package math loses all or some digits.
func Example() {
	fmt.Println(real.Log(5e-324), real.Exp(709.75), real.Cosh(710))
	fmt.Println(real.Acos(1-0x1p-53), real.Sin(355))
	fmt.Printf("%.12g\n", real.Pow(1+0x1p-30, 0x1p36))
	// Output:
	// -744.4400719213812 1.7398368732641607e+308 1.1169973830808557e+308
	// 1.4901161193847656e-08 -3.014435335948845e-05
	// 6.23514889499e+27
}
