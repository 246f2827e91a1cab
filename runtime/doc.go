// Package runtime runs compiled programs.
//
// A program is immutable. A [Session] is one run of it: the values of its variables, which start from their initializers
// or from given weights.
//
//	sess, err := runtime.NewSession(prog)
//	for step := range 401 {
//		out, err := sess.Run(ctx, "train", map[string]value.Value{"x": x, "y": y})
//		if step%200 == 0 {
//			fmt.Printf("step %d: loss %.4f\n", step, out["loss"].(*value.Tensor).Float64s()[0])
//		}
//	}
//	out, err := sess.Run(ctx, "predict", map[string]value.Value{"x": ten})
//	fmt.Printf("a = %.3f, b = %.3f, y(10) = %.2f\n", sess.Variable("a").Float64s()[0], sess.Variable("b").Float64s()[0], out["y"].(*value.Tensor).Float64s()[0])
//
// fits a line a*x + b to points of 2*x + 1 (see the example for the model) and prints
//
//	step 0: loss 21.0000
//	step 200: loss 0.0000
//	step 400: loss 0.0000
//	a = 2.000, b = 1.000, y(10) = 21.00
//
// # What a call does
//
// [Session.Run] takes inputs by name and returns results by name. The function sees the variables as they are when the
// call starts. Its updates are committed together when it has succeeded; a call that fails or is cancelled leaves the
// variables as they were. Results belong to the caller, feeds stay the caller's.
//
// All functions of a program see the same variables: what "train" updates, "predict" reads. Many sessions can run one
// program at the same time and share their weights, and one session can be called from several goroutines; calls that
// update variables run one after the other.
//
// # Sizes
//
// The first call with new input sizes binds the function to them: symbols take their values, every type rule runs once
// more, and a constraint that was open when the model was declared fails here, with the line of the user's call. Calls
// with sizes seen before skip that. What cannot fit into memory is refused before anything runs.
//
// # Memory
//
// A session keeps the memory of its calls: one arena for each call that runs at the same time as others, as large as the
// program's plan says for the largest batch so far. [Session.RunInto] writes results to tensors of the caller and, once
// the sizes are known, allocates nothing. Variables are written in place when a call has succeeded; tensors that a caller
// gave or was given are left as they are.
//
// # Randomness
//
// Initializers and random operations draw from a counter, which is a variable like the others, and the session's seed.
// Two sessions with one seed that make the same calls compute the same bits, whatever the number of threads.
//
// Instructions run on the kernels of package kernels. One for which there is none is computed by its operation's
// reference: slower, with the same meaning.
package runtime
