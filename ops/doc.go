// Package ops declares the operations of the graph language, and the functions that apply them.
//
//	pixels := f.Input("pixels", graph.U8, "N", 784)
//	f.Return("image", ops.Div(ops.Cast(pixels, graph.F32), 255))
//	fmt.Print(f)
//
// prints
//
//	func @f(%pixels: u8[N,784]) {
//	  %0 = cast %pixels {to=f32} : f32[N,784]
//	  %1 = constant {value=f32[] [255]} : f32[]
//	  %2 = div %0, %1 : f32[N,784]
//	  return image: %2
//	}
//
// A function takes values of a graph and returns new ones; it computes nothing. Arithmetic takes Go numbers too and
// promotes dtypes as PyTorch does, by casts that show in the printed graph; shapes broadcast as NumPy's do, but two
// different symbols never broadcast. A fault is recorded on the module with the place of the call (see package graph),
// so calls nest without a look at errors.
//
// # Floats for storage
//
// f16, bf16 and smaller floats store; they do not compute. An operation on them, a composite or a gradient included, computes in f32 and
// rounds its results once, where it ends. Sums and statistics add up in f32, whose results are what is rounded. Fusion keeps that, so
// bits do not depend on it. No body, gradient rule or kernel has to do anything for it: graph.Node.Widens decides which operations stand
// for themselves in f32 between casts, and the casts are made there. What makes a result of several operations outside of one, as a loss does,
// takes [Widen].
//
// # One declaration per operation
//
// Each operation is a struct literal with its name, its documentation, its operands and attributes, its type rule, its
// gradient, its meaning in plain Go, and samples on which one test checks all of that together: the type rule against the
// meaning, the gradient and its gradient against finite differences, every kernel against the meaning, text there and
// back. Beside it stands the function that applies it. A composite, such as gelu, has a body over other operations, from
// which all but its name follows.
//
// A block refers to other operations through those functions only, and they find their operation by name, so blocks may
// refer to each other and to themselves in any order.
//
// # Where to find what
//
//   - arithmetic.go, compare.go, unary.go, activation.go: element by element
//   - reduce.go, softmax.go, norm.go, loss.go, cumulative.go: along axes
//   - matmul.go, conv.go, pool.go: sums of products, and windows
//   - shape.go, slice.go, index.go, topk.go, nonzero.go: moving elements
//   - select.go: choosing, and gradients by the user's own rule
//   - random.go: drawing; cast.go, promote.go, broadcast.go: the rules that all share
//
// `graphrun ops` lists them all.
package ops
