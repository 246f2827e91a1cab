// Package strip computes element-wise expressions, and a reduction of one, in one pass over memory.
//
// A [Builder] takes the expression over one shape, to which the shapes of the operands broadcast. Bind makes a [Kernel]
// of it, which computes it again and again without allocating; BindEpilogue makes an [Epilogue], which does so for the
// parts of a matrix product or a convolution while they are in cache.
//
//	b := strip.New([]int{2, 3})
//	x := b.Operand(value.F32, []int{2, 3})
//	bias := b.Operand(value.F32, []int{3})
//	y := b.Unary(backend.ReLU, b.Binary(backend.Add, x, bias))
//	b.Result(y)
//	b.Reduce(backend.Sum, y, []int{1}, func(axis int) bool { return axis == 0 })
//	k := b.Bind()
//	k.Run([]*value.Tensor{xs, biases}, []*value.Tensor{xs, sums})
//	fmt.Println(xs.Float64s(), sums.Float64s())
//
// is relu(x + bias) in the place of x, and the sum of each row, in one pass. With 1, 2, 3 and -1, -2, -3 in x and
// 10, -5, 1 in bias it prints
//
//	[11 0 4 9 0 0] [15 9]
//
// # Programs
//
// The shape is cut into strips of some hundred elements, few enough for all that a strip takes to stay in the
// first-level cache. The expression becomes a program that is run on every strip: instructions over registers that
// hold a strip each. An instruction is one call of a primitive of package backend, so that its elements share what the call
// costs. Operands and results are operands of instructions themselves, without loads and stores, wherever their
// elements for a strip lie together in memory. One that is the same for a whole strip is a scalar of the instruction,
// and what is left, such as an operand that is broadcast within the strip, is spread out into a register. A product
// that is only added to something is computed together with the sum, rounded as if it were not.
//
// # In place
//
// A result may have the storage of one operand of its shape and its size of elements, which no other result then has;
// apart from this, results overlap neither operands nor each other. There are two programs: the direct one writes a
// result as soon as it is known. Where that would overwrite an operand that is yet to be read, which every run sees
// from the tensors that it is given, the safe one runs, in which all reads of a strip come before all results.
//
// # Determinism
//
// Strips, and the tree in which a reduction combines them, depend on the shape and the expression only: results have
// the same bits for any number of threads, in place or not, and whatever the parts that an epilogue is applied to.
// AVX2 and AVX-512 also add the elements of a strip in the same order; plain Go has another.
package strip
