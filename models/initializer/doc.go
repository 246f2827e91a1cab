// Package initializer holds the formulas that give weights their first values. An initializer, a [Func], builds nodes: it
// becomes part of the module, so that a stored module can be initialized anew from a seed.
//
//	m.Variable("weight", graph.F32, []int{10, 784}, initializer.XavierUniform(1).For(graph.F32, 10, 784))
//	_, text, _ := strings.Cut(m.String(), "\n\n") // without its header
//	fmt.Print(text)
//
// prints
//
//	var @weight: f32[10,784] = init(%key: u64[2]) {
//	  %0 = random_uniform %key {dtype=f32, high=0.0869291381699617, low=-0.0869291381699617, shape=[10,784], stream=0} : f32[10,784]
//	  return value: %0
//	}
//
// Formulas and defaults are those of torch.nn.init; [Default] is what PyTorch's layers take. The numbers drawn are not
// PyTorch's: its generator is another. Sizes that a formula cannot use are reported on the module, with the line of the
// variable.
package initializer
