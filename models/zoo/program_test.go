package zoo_test

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"text/tabwriter"

	"github.com/google/go-cmp/cmp"

	"github.com/graphrun/graphrun/compile"
	"github.com/graphrun/graphrun/graph"
	"github.com/graphrun/graphrun/models/zoo"
	"github.com/graphrun/graphrun/runtime"
	"github.com/graphrun/graphrun/runtime/plan"
	"github.com/graphrun/graphrun/runtime/program"
)

var update = flag.Bool("update", false, "rewrite golden files")

func compiled(t *testing.T, m *zoo.Model, opts ...compile.Option) *program.Program {
	t.Helper()
	prog, err := compile.Compile(m.Build(), opts...)
	if err != nil {
		t.Fatal(err)
	}
	if err := graph.Verify(prog.Module); err != nil {
		t.Fatalf("from scratch: %v", err)
	}
	return prog
}

// TestPrograms pins what the models compile to: the number of instructions and the bytes that they move, before and after fusion,
// and the memory plan.
func TestPrograms(t *testing.T) {
	var b strings.Builder
	w := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "function\tinstructions\tmoved\tfused\tmoved\tarena\tbound")
	affine := func(a program.Affine) string { return fmt.Sprintf("%d*N+%d", a.Per, a.Fixed) }
	for _, m := range zoo.Models() {
		plain, fused := compiled(t, m, compile.Portable()), compiled(t, m)
		for _, f := range fused.Module.Funcs() {
			before, after := plain.Funcs[f.Name()], fused.Funcs[f.Name()]
			moved, ok := plan.Traffic(before, "N")
			less, ok2 := plan.Traffic(after, "N")
			if !ok || !ok2 {
				t.Fatalf("%s: @%s moves bytes that are not affine in N", m.Name, f.Name())
			}
			if after.Steps() > before.Steps() || less.At(64) > moved.At(64) {
				t.Errorf("%s: fusion makes @%s longer", m.Name, f.Name())
			}
			p := after.Plan
			fmt.Fprintf(w, "%s.%s\t%d\t%s\t%d\t%s\t%s\t%s\n", m.Name, f.Name(), before.Steps(), affine(moved),
				after.Steps(), affine(less), affine(p.Peak), affine(p.Bound))
		}
	}
	w.Flush()
	golden := filepath.Join("testdata", "programs.txt")
	if *update {
		if err := os.MkdirAll("testdata", 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(golden, []byte(b.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(string(want), b.String()); d != "" {
		t.Errorf("the programs differ from %s (-update rewrites it):\n%s", golden, d)
	}
}

// TestPlansReachTheirBounds wants calls to take no more than 3 % above the least that they must take, results included, from small
// batches on.
func TestPlansReachTheirBounds(t *testing.T) {
	for _, m := range zoo.Models() {
		prog := compiled(t, m)
		for _, f := range prog.Module.Funcs() {
			f := prog.Funcs[f.Name()]
			p := f.Plan
			for _, n := range []int64{32, 64, 256} {
				results := int64(0)
				for i, s := range f.Slots {
					if s.Place == program.Output {
						results += p.Sizes[i].At(n)
					}
				}
				if size, bound := p.Size(n)+results, p.Bound.At(n)+results; float64(size) > 1.03*float64(bound) {
					t.Errorf("%s.%s: for N = %d the plan takes %d bytes, the bound is %d", m.Name, f.Name, n, size, bound)
				}
			}
		}
	}
}

// TestKernelsComputeTheZoo wants a kernel for every instruction of every model, initializers included.
func TestKernelsComputeTheZoo(t *testing.T) {
	for _, m := range zoo.Models() {
		prog := compiled(t, m)
		check := func(name string, f *program.Func) {
			for _, n := range []int64{1, 64} {
				nodes, err := runtime.References(prog, f, map[string]int64{"N": n})
				if err != nil {
					t.Fatal(err)
				}
				for _, node := range nodes {
					t.Errorf("%s: %s: the reference computes %s : %s (%s)", m.Name, name, node.Op().Name, node.Types()[0], node.Pos())
				}
			}
		}
		for _, f := range prog.Module.Funcs() {
			check(f.Name(), prog.Funcs[f.Name()])
		}
		for _, v := range prog.Variables {
			check("initializer of @"+v.Name, v.Init)
		}
	}
}

// TestFusedSteps counts the instructions that must be one: a layer with its activation, the update of a parameter.
func TestFusedSteps(t *testing.T) {
	mlp, _ := zoo.Lookup("mlp")
	prog := compiled(t, mlp)
	if n := prog.Funcs["predict"].Steps(); n != 2 {
		t.Errorf("the two layers of the MLP are %d instructions, want 2", n)
	}
	for _, m := range zoo.Models() {
		prog := compiled(t, m)
		weights := 0
		for _, v := range prog.Variables {
			if v.Trainable {
				weights++
			}
		}
		f := prog.Funcs["train"]
		if n := len(f.Instrs) - f.Commit; n != weights {
			t.Errorf("%s: %d instructions update %d weights, want one for each", m.Name, n, weights)
		}
	}
}
