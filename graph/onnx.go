package graph

import (
	"strconv"
	"strings"
)

// ONNX is the operator of the ONNX standard, in its domain ai.onnx, that an op corresponds to, and the versions of the operator set that
// changed its definition, the first one included: "MatMul 1 9 13". It is "" for an op that has no counterpart. Several ops may have one
// operator, which an attribute tells apart. It is one text since every program pays for what declarations build.
type ONNX string

// Name returns the operator's name, "" if there is none.
func (o ONNX) Name() string {
	name, _, _ := strings.Cut(string(o), " ")
	return name
}

// Since returns the versions of the operator set that changed the operator's definition, ascending.
func (o ONNX) Since() []int {
	var versions []int
	for i, word := range strings.Fields(string(o)) {
		if v, err := strconv.Atoi(word); err == nil && i > 0 {
			versions = append(versions, v)
		}
	}
	return versions
}
