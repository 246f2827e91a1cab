// Package plan lays the values of a function out in memory: offsets such that values that are live at the same time do not
// overlap, in as little space as it finds.
//
//	p := prog.Funcs["f"].Plan
//	fmt.Printf("arena %d*N + %d bytes, at least %d*N + %d\n", p.Peak.Per, p.Peak.Fixed, p.Bound.Per, p.Bound.Fixed)
//	fmt.Println("for N = 8:", p.Size(8), "bytes;", plan.Check(prog.Funcs["f"], p, 8))
//
//	wrong := *p
//	wrong.Offsets = make([]program.Affine, len(p.Offsets)) // all at the same place
//	fmt.Println(plan.Check(prog.Funcs["f"], &wrong, 8))
//
// prints of four layers of 100 features in a row, which take the place of two,
//
//	arena 800*N + 64 bytes, at least 800*N + 0
//	for N = 8: 6464 bytes; <nil>
//	instruction 1 (matmul at example_test.go:20): slot 6 is written over operand 0, slot 5
//
// [Make] plans, [Check] proves a plan by running it symbolically; it shares no code with the planner.
//
// # Method
//
// Sizes are affine in the function's one symbol, mostly the batch size N: a*N + b bytes. Values with a > 0 share one
// part of the arena, in which offsets are multiples of N; values of constant size share another one. A plan made once
// so holds for every N. In each part several greedy orders are tried, the largest first among them (Pisarchyk and Lee,
// "Efficient Memory Management for Deep Neural Net Inference", 2020), and the best is kept; the search ends when it reaches
// the lower bound, the most bytes that are live at once.
//
// # Limits
//
// The two parts do not share memory. A function of several symbols is planned anew for each set of sizes, and one in which
// data decides sizes has no plan.
package plan
