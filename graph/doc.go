// Package graph holds models as static graphs: modules of functions over variables, built in Go or read from text.
//
// A static graph is declared once and run many times. The calls that declare one compute nothing; they append nodes to a
// function, and a [Value] is the handle of what a node will compute:
//
//	m := graph.NewModule("double")
//	f := m.Func("f")
//	x := f.Input("x", graph.F32, "N", 3) // N is a symbol: any size, but one size per call
//	f.Return("y", ops.Mul(x, 2))
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
// dim), so one module serves every batch size.
//
// # Faults
//
// No function that declares something returns an error or panics. What is refused is recorded with the place of the call
// in the user's program, and the value returned silences what depends on it, so that one mistake gives one message.
// [Module.Err] and compile.Compile return all of them. What depends on sizes that are not known yet is decided, with the
// same messages, when the program is bound to sizes.
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
