package main

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/graphrun/graphrun/graph"
	"github.com/graphrun/graphrun/graph/value"
)

// closeness is how far elements may be off: |have-want| <= atol + rtol*|want|.
type closeness struct{ rtol, atol float64 }

// flags adds the flags to a command.
func (c *closeness) flags(cmd *cobra.Command) {
	cmd.Flags().Float64Var(&c.rtol, "rtol", 1e-5, "with --expect, the tolerance relative to the expected element")
	cmd.Flags().Float64Var(&c.atol, "atol", 1e-8, "with --expect, the absolute tolerance")
}

// valid checks the flags of a command whose flag --expect is as given.
func (c *closeness) valid(cmd *cobra.Command, expect string) error {
	if expect == "" && (cmd.Flags().Changed("rtol") || cmd.Flags().Changed("atol")) {
		return usagef("--rtol and --atol go with --expect")
	}
	return c.check()
}

// check wants no number to be negative.
func (c *closeness) check() error {
	for name, x := range map[string]float64{"rtol": c.rtol, "atol": c.atol} {
		if !(x >= 0) {
			return usagef("--%s %v: want 0 or more", name, x)
		}
	}
	return nil
}

// difference is how two arrays of one shape differ.
type difference struct {
	MaxAbs   jsonNumber `json:"max_abs_error"`
	MaxRel   jsonNumber `json:"max_rel_error"` // of elements that should not be 0
	Off      int        `json:"off"`           // elements beyond what is allowed
	Elements int        `json:"elements"`
	worst    string     // the element that is farthest beyond
}

// String says how many elements are off and shows the worst.
func (d difference) String() string {
	return fmt.Sprintf("%d of %d elements differ too much; the worst, %s", d.Off, d.Elements, d.worst)
}

// compareArrays holds an array against what it should be. Floats may be of another dtype than what they should be: both are taken
// as f64, NaN equals NaN, and an infinity only itself. Others must be equal. Arrays of other shapes are an error.
func compareArrays(have, want *value.Tensor, c closeness) (difference, error) {
	d := difference{Elements: have.Len()}
	if !slices.Equal(have.Shape(), want.Shape()) {
		return d, fmt.Errorf("wrong shape: want %s, have %s", graph.TypeOf(want), graph.TypeOf(have))
	}
	exact := !have.DType().IsFloat()
	if exact || want.DType() == value.String {
		cast, err := value.CastExactly(want, have.DType())
		if err != nil {
			return d, err
		}
		want = cast
	}
	same := func(int) bool { return false }
	if exact {
		a, err := have.TryExact()
		if err != nil {
			return d, err
		}
		b, err := want.TryExact()
		if err != nil {
			return d, err
		}
		switch have.DType().Domain() {
		case value.Ints:
			same = func(i int) bool { return a.I[i] == b.I[i] }
		case value.Uints:
			same = func(i int) bool { return a.U[i] == b.U[i] }
		case value.Bools:
			same = func(i int) bool { return a.B[i] == b.B[i] }
		default:
			return d, errors.New("strings are not compared")
		}
	}
	farthest := 0.0
	for i := range have.Len() {
		x, y := have.Float64At(i), want.Float64At(i)
		if same(i) || !exact && (x == y || math.IsNaN(x) && math.IsNaN(y)) {
			continue
		}
		diff := math.Abs(x - y)
		excess := diff - (c.atol + c.rtol*math.Abs(y))
		if exact {
			diff = max(diff, 1) // integers that are one number as f64 differ all the same
			excess = diff
		}
		if math.IsNaN(diff) || math.IsInf(diff, 0) {
			diff, excess = math.Inf(1), math.Inf(1)
		}
		d.MaxAbs = max(d.MaxAbs, number(diff))
		if y != 0 {
			if rel := diff / math.Abs(y); math.IsNaN(rel) {
				d.MaxRel = number(math.Inf(1))
			} else {
				d.MaxRel = max(d.MaxRel, number(rel))
			}
		}
		if excess > 0 {
			d.Off++
			if excess > farthest {
				farthest = excess
				d.worst = fmt.Sprintf("%s, is %g, want %g", indexText(have.Shape(), i), x, y)
			}
		}
	}
	return d, nil
}

// indexText is the place of an element of a shape, such as [1,3].
func indexText(shape []int, i int) string {
	parts := make([]string, len(shape))
	for k := len(shape) - 1; k >= 0; k-- {
		parts[k] = fmt.Sprint(i % shape[k])
		i /= shape[k]
	}
	return "[" + strings.Join(parts, ",") + "]"
}
