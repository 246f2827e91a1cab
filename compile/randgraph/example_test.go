package randgraph_test

import (
	"context"
	"fmt"

	"github.com/graphrun/graphrun/compile"
	"github.com/graphrun/graphrun/compile/randgraph"
	"github.com/graphrun/graphrun/runtime"
)

// A seed is a module. What it computes when compiled is held against what the references of its ops compute.
func Example() {
	g := randgraph.Seeded(66, randgraph.Options{Steps: 5, F64: true})
	fmt.Print(g.Module.LookupFunc(g.Func))
	feeds, err := g.Feeds(2) // N is 2
	if err != nil {
		fmt.Println(err)
		return
	}
	want, err := compile.Expect(g.Module, compile.Inputs{Func: g.Func, Feeds: feeds})
	if err != nil {
		fmt.Println(err)
		return
	}
	prog, err := compile.Compile(g.Module)
	if err != nil {
		fmt.Println(err)
		return
	}
	sess, err := runtime.NewSession(prog)
	if err != nil {
		fmt.Println(err)
		return
	}
	have, err := sess.Run(context.Background(), g.Func, feeds)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(want.Compare(have, sess.Variable))
	// Output:
	// func @f(%x0: f64[4,5,2], %x1: f64[7,3,2,4], %x2: i64[4,2], %x3: i64[1], %x4: f64[N,8]) {
	//   %0 = read {var=@w0} : f64[2,7,3]
	//   %1 = reshape %x3 {shape=[1,1]} : i64[1,1]
	//   %2 = iota {axis=0, dtype=i64, shape=[4]} : i64[4]
	//   %3 = equal %1, %2 : bool[1,4]
	//   %4 = cast %3 {to=f64} : f64[1,4]
	//   %5 = call %x4 {func=@callee, results=1} : f64[N,1]
	//   %6 = tanh %5 : f64[N,1]
	//   %7 = triu %4 {diagonal=1} : f64[1,4]
	//   %8 = sinh %x1 : f64[7,3,2,4]
	//   %9 = cumsum %6 {axis=1, exclusive=false, reverse=false} : f64[N,1]
	//   return y0: %9, y1: %6, y2: %4, y3: %x3, y4: %0, y5: %x2
	// }
	// <nil>
}
