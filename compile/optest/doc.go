// Package optest checks an op against its own declaration: inferred types against what its reference computes, first
// and second gradients against finite differences, f16 and bf16 against f64, the text form, and every kernel against the reference, with
// operands as they are and packed as it wants them. The project's test ranges over all registered ops; modules that register ops of their
// own call [Check] on them.
//
// An op brings the inputs that it is checked on, its samples (see graph.Op); nothing else is needed. For an op x*x*x, once
// with the gradient 3*x*x and once with x*x,
//
//	fmt.Println(optest.Check(cube("example_cube", 3)))
//	fmt.Println(optest.Check(cube("example_wrong_cube", 1)))
//
// prints
//
//	<nil>
//	example_wrong_cube: sample 0 (f64[2,3]): gradient: operand 0, element 0: the rule gives 1.373149446, differences give 4.119448338
//
// Differences need samples of f64 that stay clear of kinks, where the gradient jumps: nograd leaves one out and says why
// (see graph.Samples). What no sample shows is not checked: give each attribute, dtype and special value one.
package optest
