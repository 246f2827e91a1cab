// Package artifact stores models. An artifact is a module as text and its tensors as safetensors; an editor opens the text, Python the tensors. In a directory they are two files:
//
//	model.graph        the module, with positions (see graph.Print)
//	model.safetensors  the variables' values under their names, which are those of a PyTorch state_dict, and
//	                   the constants of more than 64 elements under names that start with "const."
//
// The text holds the checksum of every constant that it leaves out, and model.safetensors one of itself, so that a damaged file is
// refused. Weights may be replaced by others of the same types, for instance from Python: a file that another program has
// written has no checksum, even if it copies the metadata (see safetensors.WriteChecked), and [Artifact.Checked] says so.
//
// [Save] writes a directory and [LoadDir] reads it; [Load] reads any fs.FS, such as files that are embedded in the
// program, and [Write] and [Read] go through any writers and readers:
//
//	m := graph.NewModule("line")
//	w := m.Variable("w", graph.F32, []int{2}, initializer.Zeros().For(graph.F32, 2))
//	f := m.Func("predict")
//	f.Return("y", ops.MatMul(f.Input("x", graph.F32, "N", 2), w.Read(f)))
//	trained, err := value.FromSlice([]float32{3, 4}, 2)
//	var text, weights bytes.Buffer
//	err = artifact.Write(&text, &weights, m, map[string]*value.Tensor{"w": trained})
//	a, err := artifact.Read(&text, &weights)
//	fmt.Println(a.Module)
//	fmt.Println(a.Weights["w"])
//
// prints
//
//	graphrun 2
//	module @line
//
//	var @w: f32[2] = init(%key: u64[2]) {
//	  %0 = constant {value=f32[] [0]} : f32[]
//	  %1 = expand %0 {shape=[2]} : f32[2]
//	  return value: %1
//	}
//
//	func @predict(%x: f32[N,2]) {
//	  %0 = read {var=@w} : f32[2]
//	  %1 = reshape %0 {shape=[2,1]} : f32[2,1]
//	  %2 = matmul %x, %1 {transpose_a=false, transpose_b=false} : f32[N,1]
//	  %3 = reshape %2 {shape=[N]} : f32[N]
//	  return y: %3
//	}
//
//	f32[2] [3 4]
//
// Files are not trusted: whatever they hold, loading returns an error that says what was wanted and what was found, and allocates nothing for sizes that a file merely claims. Saving never leaves a directory that cannot be loaded; see [Save].
//
// # What a model says about itself
//
// A module keeps facts that travel with its text: the names of its classes, which result is its loss, what is done to a
// picture before it is fed. [Info] holds them; [InfoOf] reads them and fills in the conventions where a model
// says nothing.
//
//	artifact.Info{
//		Classes:    []string{"cat", "dog"},
//		Preprocess: map[string]artifact.Preprocess{"x": {Mode: artifact.Gray, Scale: 1. / 255, Mean: []float64{0.5}, Std: []float64{0.5}}},
//	}.Set(m)
//	fmt.Print(m)
//
// prints
//
//	meta "classes" = "cat\ndog"
//	meta "preprocess.x" = "gray scale=1/255 mean=0.5 std=0.5"
//
// # Parts of a model
//
// [Keep] leaves what a service needs: functions by name, and the variables that they read. [LoadWeights] and
// [ReadWeights] take weights from a file that PyTorch has written, held against the model's names and shapes;
// [Artifact.StateDict] is what to write for it.
package artifact
