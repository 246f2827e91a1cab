package data_test

import (
	"bytes"
	"fmt"
	"image"
	"image/color"
	"image/png"
	"strings"
	"testing/fstest"

	"github.com/graphrun/graphrun/graph/value"
	"github.com/graphrun/graphrun/graph/value/npy"
	"github.com/graphrun/graphrun/models/data"
)

// A table of flowers, in batches of two. The last batch takes what is left.
func Example() {
	flowers := strings.NewReader("length,width,kind\n5.1,3.5,setosa\n7.0,3.2,versicolor\n4.9,3.0,setosa\n")
	set, err := data.ReadCSV(flowers, data.CSVOptions{})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(set.Len(), set.Classes())
	loader, err := data.NewLoader(set, data.LoaderOptions{BatchSize: 2, Shuffle: true, Seed: 2})
	if err != nil {
		fmt.Println(err)
		return
	}
	for batch, err := range loader.Epoch(0) {
		fmt.Println(batch.X, batch.Y, err)
	}
	// Output:
	// 3 [setosa versicolor]
	// f32[2,2] [[4.9 3] [7 3.2]] i64[2] [0 1] <nil>
	// f32[1,2] [[5.1 3.5]] i64[1] [0] <nil>
}

// An error says where the table is wrong.
func ExampleReadCSV() {
	table := "id;rooms;price\n1;3;250.5\n2;?;310\n"
	_, err := data.ReadCSV(strings.NewReader(table), data.CSVOptions{Comma: ';', Skip: []string{"id"}, Regression: true})
	fmt.Println(err)
	set, err := data.ReadCSV(strings.NewReader(strings.ReplaceAll(table, "?", "4")),
		data.CSVOptions{Comma: ';', Skip: []string{"id"}, Regression: true})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(set.Item(1))
	// Output:
	// csv: line 3, column 2 (rooms): "?" is not a number
	// f32[1] [4] f32[1] [310] <nil>
}

// The folders are the classes. Any fs.FS will do: os.DirFS("pets"), or an embed.FS.
func ExampleOpenFolder() {
	picture := func(light uint8) *fstest.MapFile {
		img := image.NewGray(image.Rect(0, 0, 4, 4))
		for i := range img.Pix {
			img.Set(i%4, i/4, color.Gray{Y: light})
		}
		var file bytes.Buffer
		if err := png.Encode(&file, img); err != nil {
			fmt.Println(err)
		}
		return &fstest.MapFile{Data: file.Bytes()}
	}
	pets := fstest.MapFS{"cat/tom.png": picture(51), "dog/rex.png": picture(255), "dog/list.txt": {}}
	set, err := data.OpenFolder(pets, data.FolderOptions{Height: 1, Width: 2})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(set.Classes())
	for i := range set.Len() {
		x, y, err := set.Item(i)
		fmt.Println(set.File(i), x, y, err)
	}
	// Output:
	// [cat dog]
	// cat/tom.png f32[1,1,2] [[[0.2 0.2]]] i64[] 0 <nil>
	// dog/rex.png f32[1,1,2] [[[1 1]]] i64[] 1 <nil>
}

// Two images of 1 x 2 bytes, as numpy.savez stores them.
func ExampleReadNPZ() {
	x, err := value.FromSlice([]uint8{0, 255, 51, 102}, 2, 1, 2)
	if err != nil {
		fmt.Println(err)
		return
	}
	y, err := value.FromSlice([]uint8{1, 0}, 2)
	if err != nil {
		fmt.Println(err)
		return
	}
	var file bytes.Buffer
	if err := npy.WriteNPZ(&file, map[string]*value.Tensor{"x": x, "y": y}); err != nil {
		fmt.Println(err)
		return
	}
	train, test, err := data.ReadNPZ(bytes.NewReader(file.Bytes()), int64(file.Len()), data.NPZOptions{Classes: []string{"no", "yes"}})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(train.Classes(), test)
	fmt.Println(train.Item(0))
	// Output:
	// [no yes] <nil>
	// f32[1,1,2] [[[0 1]]] i64[] 1 <nil>
}

// A quarter of each class is held back. The same seed holds the same examples back.
func ExampleSplit() {
	table := "size,kind\n1,cat\n9,dog\n2,cat\n8,dog\n1,cat\n7,dog\n2,cat\n9,dog\n"
	set, err := data.ReadCSV(strings.NewReader(table), data.CSVOptions{})
	if err != nil {
		fmt.Println(err)
		return
	}
	train, test, err := data.Split(set, 0.25, 7)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(train.Len(), "to train on and", test.Len(), "to test on")
	for i := range test.Len() {
		fmt.Println(test.Item(i))
	}
	// Output:
	// 6 to train on and 2 to test on
	// f32[1] [1] i64[] 0 <nil>
	// f32[1] [7] i64[] 1 <nil>
}

// Each column gets a mean of 0 and a deviation of 1: here the mean is 20 and the deviation 10.
func ExampleStandardization() {
	set, err := data.ReadCSV(strings.NewReader("10,a\n30,b\n"), data.CSVOptions{})
	if err != nil {
		fmt.Println(err)
		return
	}
	by, err := data.Standardization(set)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(by.Mean, by.Std)
	standard, err := data.Normalize(set, *by)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(standard.Item(1))
	// Output:
	// [20] [10]
	// f32[1] [1] i64[] 1 <nil>
}
