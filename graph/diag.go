package graph

import (
	"fmt"
	"math"
	"strings"
)

// Diagnostic is one fault of a model: where it was made, the op or the declaration at fault, and what
// was wanted and what came.
type Diagnostic struct {
	Pos Pos
	Op  string
	Msg string
}

// Error returns "file:line: op: message".
func (d *Diagnostic) Error() string {
	msg := d.Msg
	if d.Op != "" {
		msg = d.Op + ": " + msg
	}
	if d.Pos.IsKnown() {
		msg = d.Pos.String() + ": " + msg
	}
	return msg
}

// Diagnostics are all faults found in a module, in the order in which they were made.
type Diagnostics []*Diagnostic

// Error returns one fault per line, the first ones of very many.
func (ds Diagnostics) Error() string {
	const most = 100
	lines := make([]string, min(len(ds), most))
	for i := range lines {
		lines[i] = ds[i].Error()
	}
	if more := len(ds) - most; more > 0 {
		lines = append(lines, fmt.Sprintf("and %d more", more))
	}
	return strings.Join(lines, "\n")
}

// Unwrap gives errors.As and errors.Is access to each fault.
func (ds Diagnostics) Unwrap() []error {
	errs := make([]error, len(ds))
	for i, d := range ds {
		errs[i] = d
	}
	return errs
}

// Report records a fault of the declaration called op; Err and Compile return it. A zero position stands
// for the caller's.
func (m *Module) Report(pos Pos, op, format string, args ...any) {
	if !pos.IsKnown() {
		pos = m.here()
	}
	m.diags = append(m.diags, &Diagnostic{Pos: pos, Op: op, Msg: fmt.Sprintf(format, args...)})
}

// Err returns every fault recorded so far as Diagnostics, or nil. A fault of what several functions apply, such as a layer, is returned once.
func (m *Module) Err() error {
	if len(m.diags) == 0 {
		return nil
	}
	var faults Diagnostics
	seen := map[string]bool{}
	for _, d := range m.diags {
		if text := d.Error(); !seen[text] {
			seen[text] = true
			faults = append(faults, d)
		}
	}
	return faults
}

func sameBits(a, b float64) bool { return math.Float64bits(a) == math.Float64bits(b) }
