package safetensors_test

import (
	"bytes"
	"fmt"

	"github.com/graphrun/graphrun/graph/value"
	"github.com/graphrun/graphrun/graph/value/safetensors"
)

// What is written is what safetensors.torch.load_file reads, and the other way round.
func Example() {
	w, _ := value.FromSlice([]float32{1, 2, 3, 4, 5, 6}, 2, 3)
	b, _ := value.FromSlice([]float32{0.5, -0.5}, 2)
	var file bytes.Buffer
	err := safetensors.Write(&file, []safetensors.Named{{Name: "weight", Tensor: w}, {Name: "bias", Tensor: b}}, map[string]string{"made_by": "me"})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Printf("%s\n", bytes.TrimSpace(file.Bytes()[8:file.Len()-32]))

	f, err := safetensors.Read(&file, int64(file.Len()))
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, t := range f.Named() {
		fmt.Println(t.Name, t.Tensor)
	}
	// Output:
	// {"__metadata__":{"made_by":"me"},"bias":{"dtype":"F32","shape":[2],"data_offsets":[0,8]},"weight":{"dtype":"F32","shape":[2,3],"data_offsets":[8,32]}}
	// bias f32[2] [0.5 -0.5]
	// weight f32[2,3] [[1 2 3] [4 5 6]]
}

// Files are untrusted: the header is held against the bytes that are there before memory is taken.
func ExampleRead() {
	header := `{"w":{"dtype":"F32","shape":[1000000,1000000],"data_offsets":[0,4000000000000]}}`
	file := append([]byte{byte(len(header)), 0, 0, 0, 0, 0, 0, 0}, header...)
	_, err := safetensors.Read(bytes.NewReader(file), int64(len(file)))
	fmt.Println(err)
	// Output:
	// invalid safetensors file: the header describes a file of 4000000000088 bytes, it has 88
}
