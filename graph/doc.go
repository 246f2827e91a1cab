// Package graph holds models as static graphs: modules of functions over variables, built in Go or read from text.
//
// A static graph is declared once and run many times. The calls that declare one compute nothing; they append nodes to a
// function, and a [Value] is the handle of what a node will compute:
//
//	m := graph.NewModule("m")
//	f := m.Func("f")
//	x := f.Input("x", graph.F64)
//	y := ops.Mul(ops.Square(x), x)
//	dy := graph.Grad(y, x)[0]
//	f.Return("d2y", graph.Grad(dy, x)[0])
//	fmt.Print(f)
//
// prints
//
//	func @f(%x: f64[]) {
//	  %0 = square %x : f64[]
//	  %1 = mul %0, %x : f64[]
//	  %2 = grad %1, %x : f64[]
//	  %3 = grad %2, %x : f64[]
//	  return d2y: %3
//	}
//
// Since the whole computation is known before it runs, it can be checked, differentiated, simplified and printed. Package
// ops has the operations, package compile turns a module into a program, and package runtime runs it.
//
// # What a module consists of
//
// A [Module] has functions ([Func]), such as "train" and "predict", over one table of variables ([Variable]): weights and
// other tensors that outlive a call. A function reads a variable as it was before the call and may map it to its next
// value with [Func.Update]; [Grad] declares gradients, which are values like all others. A node ([Node]) applies an
// operation ([Op]) to values, each of which has a [Type]. The dims of a tensor type are expressions over symbols (package
// dim): N stands for any size, but one size per call, so one module serves every batch size.
//
// # Faults
//
// No function that declares something returns an error or panics. What is refused is recorded with the place of the call
// in the user's program, and the value returned silences what depends on it, so that one mistake gives one message.
// [Module.Err] and compile.Compile return all of them. What depends on sizes that are not known yet is decided, with the
// same messages, when the program is bound to sizes.
//
//	x := f.Input("x", graph.F32, "N", 784)
//	w := f.Input("w", graph.F32, 512, 256)
//	h := ops.ReLU(ops.MatMul(x, w))
//	f.Return("y", ops.Softmax(h, 1))
//	f.Return("z", ops.Transpose(w, 2, 0))
//	fmt.Println(m.Err())
//
// prints
//
//	example_test.go:64: matmul: inner dimensions differ: a is f32[N,784], b is f32[512,256]
//	example_test.go:66: transpose: want each axis from 0 to 1 once, have [2 0]: x is f32[512,256]
//
// # Text
//
// [Print] writes a module as text and [Parse] reads it back; the two are inverse to each other. [Verify] checks what makes
// a module valid, rule by rule. [Interpreter] runs a function by the plain-Go meaning of its operations: slow, and what
// everything faster is held against.
//
// # Operations
//
// An [Op] declares an operation once: its operands, attributes, type rule, gradient, meaning and samples. [Register] adds
// one, also from another module; nothing else has to know of it.
package graph
