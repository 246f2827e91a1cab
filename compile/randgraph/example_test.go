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
	g := randgraph.Seeded(66, randgraph.Options{Steps: 5})
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
	// func @f(%x0: f32[N,3], %x1: f32[N,4,5], %x2: i64[17,19]) {
	//   %0 = cumsum %x1 {axis=2, exclusive=false, reverse=false} : f32[N,4,5]
	//   %1 = read {var=@w0} : f32[]
	//   %2 = less %0, %1 : bool[N,4,5]
	//   %3 = mul %1, %1 : f32[]
	//   %4 = expm1 %x1 : f32[N,4,5]
	//   %5 = cast %x2 {to=f64} : f64[17,19]
	//   %6 = constant {value=f32[] [0.5]} : f32[]
	//   %7 = mul %1, %6 : f32[]
	//   update @w0 = %7
	//   return y0: %5, y1: %3, y2: %2, y3: %x1
	// }
	// <nil>
}
