package ops_test

import (
	"os"
	"os/exec"
	"slices"
	"testing"

	"github.com/graphrun/graphrun/compile/optest"
	"github.com/graphrun/graphrun/graph"
	"github.com/graphrun/graphrun/ops"
	"github.com/graphrun/graphrun/runtime/kernels/level"
)

// TestAll is the one test of all ops: see package optest for what it checks.
func TestAll(t *testing.T) {
	for _, op := range graph.Ops() {
		t.Run(op.Name, func(t *testing.T) {
			t.Parallel()
			if err := optest.Check(op); err != nil {
				t.Fatal(err)
			}
			if err := optest.CheckTypes(op); err != nil {
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
			right := op.Grad
			defer func() { op.Grad = right }()
			flipped := 0
			for i := range op.Args {
				used := false
				op.Grad = func(g *graph.GradCtx) []graph.Value {
					dxs := slices.Clone(right(g))
					if i < len(dxs) && dxs[i].Valid() {
						dxs[i], used = ops.Neg(dxs[i]), true
					}
					return dxs
				}
				err := optest.CheckGradients(op)
				if used {
					flipped++
					if err == nil {
						t.Errorf("the sign of the gradient of operand %q can be turned unnoticed", op.Args[i].Name)
					}
				}
			}
			if flipped == 0 {
				t.Error("no sample reaches the gradient rule")
			}
		})
	}
}

// TestBits wants the same bits from every op for any number of threads and of examples.
func TestBits(t *testing.T) {
	for _, op := range graph.Ops() {
		if err := optest.CheckBits(op); err != nil {
			t.Error(err)
		}
	}
}

// TestLevels repeats what concerns kernels at the levels of the processor that are not in use.
func TestLevels(t *testing.T) {
	if testing.Short() || os.Getenv(level.Env) != "" {
		t.Skip("the level in use is enough")
	}
	for _, name := range []string{"generic", "avx2"} {
		t.Run(name, func(t *testing.T) {
			cmd := exec.Command(os.Args[0], "-test.run=^(TestAll|TestBits|TestExact)$")
			cmd.Env = append(os.Environ(), level.Env+"="+name)
			if out, err := cmd.CombinedOutput(); err != nil {
				t.Errorf("%v\n%s", err, out)
			}
		})
	}
}
