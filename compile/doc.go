// Package compile turns a module into a program that package runtime executes.
//
//	prog, err := compile.Compile(m)
//
// [Compile] checks the module, runs a table of passes over a copy of it, and flattens each function into a list of
// instructions. An error of the model is graph.Diagnostics: all its faults, each with the line of the call that made it.
// An error that starts with BUG is a fault of a pass; it names the pass and shows the module.
//
// # Passes
//
// [Passes] is the table, and the only place where the order is written down. A row has a name, a function that changes the
// module, the rows that must stand before it, and what holds from there on. The verifier runs after every row. The rows do
// this:
//
//   - stabilize replaces formulas that overflow or cancel, before and after gradients are taken of them;
//   - autodiff replaces each grad by the nodes that compute it, walking from the scalar back to what it is derived by;
//   - simplify applies algebraic identities, fold evaluates what is constant, cse merges equal nodes, and dce drops nodes
//     that nothing needs;
//   - decompose replaces calls and the operations that no kernel computes whole by their bodies, and operations on f16 by
//     those on f32;
//   - fuse puts element-wise nodes, a reduction of them, and what follows a matrix product or a convolution into single
//     nodes, select chooses the kernel of each node, and schedule an order of small memory;
//   - emit flattens the functions, prepack lays out constants for their kernels, and plan finds a place in memory for
//     every value and proves that it is free.
//
// All but the last three rewrite the graph, not instructions: what they make is printed, verified and interpreted like
// what the user declared, and every node keeps the place of the user's call. A fused node holds its nodes in a region.
//
//	y := ops.Sum(ops.Tanh(x))
//	f.Return("y", y)
//	f.Return("dx", graph.Grad(y, x)[0])
//	o, err := compile.Optimize(m, compile.Portable())
//	fmt.Print(o.LookupFunc("f"))
//
// prints what autodiff, simplify, cse and dce have left of a function with a gradient: tanh is computed once, and the
// gradient of the sum, ones, is gone.
//
//	func @f(%x: f32[N]) {
//	  %0 = tanh %x : f32[N]
//	  %1 = reduce_sum %0 {axes=[0], keepdims=false} : f32[]
//	  %2 = constant {value=f32[] [1]} : f32[]
//	  %3 = square %0 : f32[N]
//	  %4 = sub %2, %3 : f32[N]
//	  return y: %1, dx: %4
//	}
//
// A program for use has its weights frozen: [Freeze] makes constants of variables that no function updates, so that fold computes what
// follows from them, simplify makes normalizations part of the weights before them, and prepack lays them out.
//
// # Other passes
//
// A pass from another module runs as a row of the table too: [Insert] puts it behind the rows that it names. [ApplyRules] runs a table of
// rules, [ReplaceNodes] any other rewriting, and [Context] counts and limits what a pass does. A pass that lets values of other types stand for
// results, or changes what a function takes and gives, is named by the error.
//
// # Looking inside
//
// [Optimize] returns the module after the passes, [Portable] stops before fusion. [Dump] writes its text around each of
// them, [Stats] counts the rewrites by rule, and [PassLimit] stops after a number of them, which finds the one that
// breaks a program by bisection. [Only] and [Through] run some of the passes. StabilizeRules, SimplifyRules and ProductRules hold the
// rewrites, each with its law and where NaN, infinities and rounding break it.
package compile
