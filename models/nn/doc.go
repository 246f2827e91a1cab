// Package nn holds layers and losses: functions on graph values that declare the variables they need.
//
// A layer is a value. Its constructor notes the caller's line, and every node the layer makes points there. Apply
// declares the layer's variables when the layer is first used in a module and finds them again afterwards, so that all
// functions of a module that apply a layer share its weights:
//
//	net := nn.Sequential(nn.Linear(2, 8), nn.Tanh(), nn.Linear(8, 1))
//	predict.Return("y", net.Apply(predict.Input("x", graph.F32, "N", 2)))
//	fmt.Print(predict)
//
// prints
//
//	func @predict(%x: f32[N,2]) {
//	  %0 = read {var=@0.weight} : f32[8,2]
//	  %1 = transpose %0 {perm=[1,0]} : f32[2,8]
//	  %2 = matmul %x, %1 {transpose_a=false, transpose_b=false} : f32[N,8]
//	  %3 = read {var=@0.bias} : f32[8]
//	  %4 = add %2, %3 : f32[N,8]
//	  %5 = tanh %4 : f32[N,8]
//	  %6 = read {var=@2.weight} : f32[1,8]
//	  %7 = transpose %6 {perm=[1,0]} : f32[8,1]
//	  %8 = matmul %5, %7 {transpose_a=false, transpose_b=false} : f32[N,1]
//	  %9 = read {var=@2.bias} : f32[1]
//	  %10 = add %8, %9 : f32[N,1]
//	  return y: %10
//	}
//
// Variables have the names that PyTorch's state_dict gives them: the path of the layer and "weight", "bias" and so on,
// in PyTorch's shapes. Their dtype is that of the first input. On f16, bf16 and smaller floats, layers and losses compute
// in f32 and round their results once.
//
// A [Layer] takes one value and a [PairLayer] two; [Recurrent] and [Attention] have methods of their own. [Func] makes a layer
// of any function, and the losses, such as [CrossEntropy] and [MSE], take a layer's result and a target.
//
// Apply declares what a layer computes in evaluation. Layers that behave otherwise in training, such as Dropout and BatchNorm, need
// the mode there: net.Apply(x, nn.Training). An optimizer refuses to train them without it.
//
// Faults, such as a negative size, an option that a layer does not take or an input of the wrong shape, never panic:
// they are recorded on the module with the constructor's line, and graph.Module.Err and compile.Compile return them.
package nn
