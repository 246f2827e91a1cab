// Package randgraph makes random modules for tests of the compiler: what is compiled must give what the references of its
// ops give. A seed, or the bytes of a fuzzer, decide everything.
//
//	g := randgraph.Seeded(66, randgraph.Options{Steps: 5})
//	fmt.Print(g.Module.LookupFunc(g.Func))
//
// prints
//
//	func @f(%x0: f32[N,3], %x1: f32[N,4,5], %x2: i64[17,19]) {
//	  %0 = cumsum %x1 {axis=2, exclusive=false, reverse=false} : f32[N,4,5]
//	  %1 = read {var=@w0} : f32[]
//	  %2 = less %0, %1 : bool[N,4,5]
//	  %3 = mul %1, %1 : f32[]
//	  %4 = expm1 %x1 : f32[N,4,5]
//	  %5 = cast %x2 {to=f64} : f64[17,19]
//	  %6 = constant {value=f32[] [0.5]} : f32[]
//	  %7 = mul %1, %6 : f32[]
//	  update @w0 = %7
//
// and [Graph.Feeds] draws values for its inputs. The example runs the function compiled and by the references, and compares.
//
// Graphs have several results, values that are used more than once, values that nothing uses, expressions that occur
// twice, formulas that rewrites look for, a symbol N for one size, variables that are read and updated, and calls. Values
// stay tame: an interval is known of each, so that nothing overflows, logarithms and roots are taken of positive numbers,
// and denominators are no zeros.
//
// A seed stands for one graph only as long as the generator does not change: keep the text of a graph that found a fault.
package randgraph
