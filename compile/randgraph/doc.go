// Package randgraph makes random modules for tests of the compiler: what is compiled must give what the references of its
// ops give. A seed, or the bytes of a fuzzer, decide everything.
//
//	g := randgraph.Seeded(66, randgraph.Options{Steps: 5, F64: true})
//	fmt.Print(g.Module.LookupFunc(g.Func))
//
// prints
//
//	func @f(%x0: f64[4,5,2], %x1: f64[7,3,2,4], %x2: i64[4,2], %x3: i64[1], %x4: f64[N,8]) {
//	  %0 = read {var=@w0} : f64[2,7,3]
//	  %1 = reshape %x3 {shape=[1,1]} : i64[1,1]
//	  %2 = iota {axis=0, dtype=i64, shape=[4]} : i64[4]
//	  %3 = equal %1, %2 : bool[1,4]
//	  %4 = cast %3 {to=f64} : f64[1,4]
//	  %5 = call %x4 {func=@callee, results=1} : f64[N,1]
//	  %6 = tanh %5 : f64[N,1]
//	  %7 = triu %4 {diagonal=1} : f64[1,4]
//	  %8 = sinh %x1 : f64[7,3,2,4]
//	  %9 = cumsum %6 {axis=1, exclusive=false, reverse=false} : f64[N,1]
//	  return y0: %9, y1: %6, y2: %4, y3: %x3, y4: %0, y5: %x2
//	}
//
// and [Graph.Feeds] draws values for its inputs. The example runs the function compiled and by the references, and compares.
//
// Graphs have several results, values that are used more than once, values that nothing uses, expressions that occur
// twice, formulas that rewrites look for, variables that are read and updated, calls, and every registered op as its samples declare it, in other
// dtypes too. Sizes are numbers, 0 and 1 among them, the symbols N and M, and what is computed from these, so that a graph may refuse some. Values
// stay tame: an interval is known of each, so that nothing overflows, logarithms and roots are taken of positive numbers,
// and denominators are no zeros.
//
// A seed stands for one graph only as long as the generator does not change: keep the text of a graph that found a fault.
package randgraph
