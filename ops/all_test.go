package ops_test

import (
	"strings"
	"testing"

	"github.com/graphrun/graphrun/graph"
	"github.com/graphrun/graphrun/ops"
	"github.com/graphrun/graphrun/ops/optest"
)

// TestAll is the one test of all ops: see package optest for what it checks.
func TestAll(t *testing.T) {
	for _, op := range graph.Ops() {
		t.Run(op.Name, func(t *testing.T) {
			t.Parallel()
			if err := optest.Check(op); err != nil {
				t.Fatal(err)
			}
		})
	}
}

// TestSignFlip turns the sign of every gradient rule, one operand at a time, and demands that the gradient check
// notices: a check that cannot fail would show nothing.
func TestSignFlip(t *testing.T) {
	for _, op := range graph.Ops() {
		if op.Grad == nil {
			continue
		}
		t.Run(op.Name, func(t *testing.T) {
			t.Parallel()
			flipped, noticed := 0, 0
			for i := range op.Args {
				used := false
				wrong := *op
				wrong.Grad = func(g *graph.GradCtx) []graph.Value {
					dxs := op.Grad(g)
					out := append([]graph.Value(nil), dxs...)
					if i < len(out) && out[i].Valid() {
						out[i], used = ops.Neg(out[i]), true
					}
					return out
				}
				err := optest.Check(&wrong)
				if used {
					flipped++
				}
				if err != nil && strings.Contains(err.Error(), "gradient") {
					noticed++
				} else if used {
					t.Errorf("the sign of the gradient of operand %q can be turned unnoticed (%v)", op.Args[i].Name, err)
				}
			}
			if flipped == 0 || noticed == 0 {
				t.Errorf("no sample reaches the gradient rule")
			}
		})
	}
}
