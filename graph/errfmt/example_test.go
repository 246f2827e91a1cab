package errfmt_test

import (
	"fmt"
	"io/fs"

	"github.com/graphrun/graphrun/graph/errfmt"
)

func Example() {
	fmt.Println(errfmt.Errorf("read %s: %w", "model.graph", fs.ErrNotExist))
	// Output: read model.graph: file does not exist
}
