// Package errfmt makes errors, for the packages that a service links.
package errfmt

import "fmt"

// Errorf is fmt.Errorf. That is inlined, as a test and two calls, wherever it stands, and there are hundreds of places in the core.
//
//go:noinline
func Errorf(format string, args ...any) error { return fmt.Errorf(format, args...) }
