// Package optim holds optimizers. An optimizer is part of the graph: Minimize adds the gradients of a loss, the rule's
// state as variables, and the updates of weights and state to the loss's function, so that one run of the function is one
// training step:
//
//	w := m.Variable("w", graph.F32, nil, initializer.Ones().For(graph.F32))
//	train := m.Func("train")
//	loss := ops.Square(w.Read(train))
//	train.Return("loss", loss)
//	optim.SGD(0.1, optim.Momentum(0.9)).Minimize(loss)
//	fmt.Print(train)
//
// prints
//
//	func @train() {
//	  %0 = read {var=@w} : f32[]
//	  %1 = square %0 : f32[]
//	  %2 = grad %1, %0 : f32[]
//	  %3 = read {var=@w.sgd.momentum_buffer} : f32[]
//	  %4 = constant {value=f32[] [0.9]} : f32[]
//	  %5 = mul %3, %4 : f32[]
//	  %6 = constant {value=f32[] [1]} : f32[]
//	  %7 = mul %2, %6 : f32[]
//	  %8 = add %5, %7 : f32[]
//	  %9 = read {var=@lr} : f64[]
//	  %10 = cast %9 {to=f32} : f32[]
//	  %11 = mul %8, %10 : f32[]
//	  %12 = sub %0, %11 : f32[]
//	  update @w.sgd.momentum_buffer = %8
//	  update @w = %12
//	  return loss: %1
//	}
//
// A stored model can thus be trained further without the program that declared it, and the compiler fuses the update of a weight into one
// instruction.
//
// The rules are PyTorch's, in its order of operations. State has the dtype of its weight and the name that PyTorch's
// optimizers give it, below the weight's: "fc1.weight.adam.exp_avg". For weights in f16, bf16 and smaller floats, state and steps are
// f32, from the gradient on, and the weight is rounded once, when it is stored. What all weights have in common is f64 or i64: the
// learning rate, a variable "lr" that a schedule may set between steps (package schedule), and the number of steps, i64
// "adam.step".
//
// [ClipNorm] and [ClipValue] limit gradients, for any optimizer. [New] finds an optimizer by its name.
//
// # Another optimizer
//
// Variables that belong to an optimizer are marked as its state ({optimizer_state=true} in the text). [Replace] takes
// them out of a function, with all that computes them, and minimizes the same loss with another optimizer. It needs nothing but
// the graph:
//
//	err := optim.Replace(m, "train", "loss", optim.SGD(0.01))
//	fmt.Print(train)
//
// prints
//
//	func @train() {
//	  %0 = read {var=@w} : f32[]
//	  %1 = square %0 : f32[]
//	  %2 = grad %1, %0 : f32[]
//	  %3 = read {var=@lr} : f64[]
//	  %4 = cast %3 {to=f32} : f32[]
//	  %5 = mul %2, %4 : f32[]
//	  %6 = sub %0, %5 : f32[]
//	  update @w = %6
//	  return loss: %1
//	}
package optim
