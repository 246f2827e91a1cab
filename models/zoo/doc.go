// Package zoo holds models that are ready to train: each is declared with package nn, as one would do it oneself.
//
//	model, ok := zoo.Lookup("softmax")
//	m := model.Build(zoo.Optimizer(optim.SGD(0.1)), zoo.Input(4), zoo.Classes(3))
//	fmt.Print(m.LookupFunc("predict"))
//
// prints
//
//	func @predict(%image: f32[N,4]) {
//	  %0 = reshape %image {shape=[N,4]} : f32[N,4]
//	  %1 = read {var=@fc.weight} : f32[3,4]
//	  %2 = transpose %1 {perm=[1,0]} : f32[4,3]
//	  %3 = matmul %0, %2 {transpose_a=false, transpose_b=false} : f32[N,3]
//	  %4 = read {var=@fc.bias} : f32[3]
//	  %5 = add %3, %4 : f32[N,3]
//	  return logits: %5
//	}
//
// A module of the zoo has three functions over the same weights. With image of f32[N,1,28,28] and label of i64[N],
// unless [Input], [Classes] and [DType] say otherwise:
//
//	predict(image)       returns logits, f32[N,10]
//	train(image, label)  returns loss, f32[], and logits, and updates the weights
//	eval(image, label)   returns loss, f32[], correct, the i64[] number of right predictions, and logits
//
// It says about itself what those who load it need: the loss, the classes, and how a picture becomes an image (see
// artifact.Info). Its variables have the names that the same layers have in PyTorch.
package zoo
