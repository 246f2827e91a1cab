// Package real has the functions of real numbers that the references of ops and the kernels in plain Go share where those of package
// math are far off for some arguments: within 4 units in the last place for all float64, but for sines of arguments
// beyond a million.
//
//	fmt.Println(real.Log(5e-324), real.Exp(709.75), real.Cosh(710))
//	fmt.Println(real.Acos(1-0x1p-53), real.Sin(355))
//	fmt.Printf("%.12g\n", real.Pow(1+0x1p-30, 0x1p36))
//
// prints
//
//	-744.4400719213812 1.7398368732641607e+308 1.1169973830808557e+308
//	1.4901161193847656e-08 -3.014435335948845e-05
//	6.23514889499e+27
//
// Values that mpmath computed, in the tests of package ops, say that it holds.
package real
