// Package errfmt makes errors, for the packages that a service links:
//
//	fmt.Println(errfmt.Errorf("read %s: %w", "model.graph", fs.ErrNotExist))
//
// prints
//
//	read model.graph: file does not exist
package errfmt

import "fmt"

// Errorf is fmt.Errorf. That is inlined, as a test and two calls, wherever it stands, and there are hundreds of places in the core.
//
//go:noinline
func Errorf(format string, args ...any) error { return fmt.Errorf(format, args...) }
