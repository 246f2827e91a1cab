// Package data reads training data and cuts it into batches: tables, pictures, arrays, MNIST, CIFAR, and a loader that shuffles.
//
// A [Dataset] is a numbered set of examples, each an input and a target. A [Loader] goes over it once per epoch:
//
//	flowers := strings.NewReader("length,width,kind\n5.1,3.5,setosa\n7.0,3.2,versicolor\n4.9,3.0,setosa\n")
//	set, err := data.ReadCSV(flowers, data.CSVOptions{})
//	fmt.Println(set.Len(), set.Classes())
//	loader, err := data.NewLoader(set, data.LoaderOptions{BatchSize: 2, Shuffle: true, Seed: 2})
//	for batch, err := range loader.Epoch(0) {
//		fmt.Println(batch.X, batch.Y, err)
//	}
//
// prints
//
//	3 [setosa versicolor]
//	f32[2,2] [[4.9 3] [7 3.2]] i64[2] [0 1] <nil>
//	f32[1,2] [[5.1 3.5]] i64[1] [0] <nil>
//
// The order of an epoch depends only on the seed and the number of the epoch, so training can be repeated, and resumed in the middle of an epoch
// ([Loader.EpochFrom]). Workers prepare batches ahead; they are the same, bit for bit, however many there are.
//
// # Where data comes from
//
//	tables            ReadCSV, OpenCSV, ReadCSVFile
//	pictures          OpenFolder: a folder for each class, as torchvision's ImageFolder; FindParts for train/ and test/
//	.npz of NumPy     ReadNPZ, OpenNPZ, ReadNPZFile: x_train, y_train, x_test and y_test as in Keras's mnist.npz, or x and y
//	MNIST's files     LoadMNIST, LoadFashionMNIST, LoadIDX; ReadIDX for one file
//	CIFAR's files     LoadCIFAR
//	tensors           NewTensorDataset, NewClassified, NewImages
//
// Functions called Open or Load take an fs.FS, such as an embed.FS, or os.DirFS("mnist") for a directory; the others take a reader or a path. Inputs need not be trusted.
// Package digits, below this one, draws digits and needs no files.
//
// [Split] holds out some examples of each class, [NewSubset] chooses examples, [Normalize] shifts and scales inputs, and [Standardization] says by
// how much. All of these are datasets again.
package data
