// Package safetensors reads and writes the safetensors format: named tensors and text metadata in one file, as
// https://huggingface.co/docs/safetensors defines it. [Write] writes such a file, [Read] and [Open] read one into a [File].
//
// A file is the length of the header as a little-endian uint64, the header as a JSON object, and the data. With a tensor
// weight of f32[2,3] and a tensor bias of f32[2],
//
//	err := safetensors.Write(&file, []safetensors.Named{{Name: "weight", Tensor: w}, {Name: "bias", Tensor: b}}, map[string]string{"made_by": "me"})
//	fmt.Printf("%s\n", bytes.TrimSpace(file.Bytes()[8:file.Len()-32]))
//
// prints the header
//
//	{"__metadata__":{"made_by":"me"},"bias":{"dtype":"F32","shape":[2],"data_offsets":[0,8]},"weight":{"dtype":"F32","shape":[2,3],"data_offsets":[8,32]}}
//
// The offsets count from the end of the header; together the tensors cover the data without gaps and overlaps.
//
// Reading takes the input for hostile: it checks everything before it allocates, and takes memory in proportion to the
// bytes that are really there. Tensors are read into memory of their own; files are not mapped. Strings and integers of
// less than 8 bits have no dtype in the format.
package safetensors
