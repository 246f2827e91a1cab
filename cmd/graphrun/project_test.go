package main

import (
	"bytes"
	"fmt"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

const module = "github.com/graphrun/graphrun"

// floors orders the packages, the lowest first: a package imports only packages on floors below its own. An entry that ends in /... is a tree: a
// package and all below it that have no entry of their own, which may import each other. Of two entries for a package the longer one counts.
//
// Tests stand above all floors: what they import is not part of a program, and Go itself refuses cycles.
var floors = [][]string{
	// Numbers, files, pools: they know no graphs.
	{"graph/errfmt"},
	{"graph/dim", "graph/value/...", "graph/philox", "graph/real", "runtime/kernels/parallel"},
	{"runtime/kernels/backend", "runtime/dense", "models/data/...", "models/plot", "models/optim/schedule"},
	// What computes with slices: plain Go, instruction sets, the choice among them, and what runs on every machine.
	{"runtime/kernels/backend/plain"},
	{"runtime/kernels/backend/avx"},
	{"runtime/kernels/driver", "runtime/kernels/level"},
	{"runtime/kernels/strip/..."},
	// The language, with reverse mode, and how it is stored and drawn.
	{"graph"},
	{"graph/internal/...", "graph/artifact"},
	{"graph/dot", "graph/draw"},
	// What computes: the operations, and their kernels, which know operations by name; programs, whose instructions name kernels.
	{"ops", "runtime/kernels/..."},
	{"runtime/program"},
	{"runtime/plan"},
	// The compiler and the executor, neither of which needs the other.
	{"compile", "compile/randgraph", "runtime"},
	{"compile/optest"},
	// What users could have written.
	{"models", "models/internal/...", "models/initializer"},
	{"models/nn", "models/optim"},
	{"models/train", "models/zoo"},
	{"cmd/graphrun"},
}

// pkg is a package of the module and what it imports, of the module too, by paths in the module.
type pkg struct {
	path    string
	imports []string
}

// floorOf returns the floor of a package, and the tree that it belongs to, "" if it is in none.
func floorOf(floors [][]string, path string) (floor int, tree string, ok bool) {
	longest := -1
	for i, entries := range floors {
		for _, e := range entries {
			root, isTree := strings.CutSuffix(e, "/...")
			if (path == root || isTree && strings.HasPrefix(path, root+"/")) && len(root) > longest {
				floor, tree, ok, longest = i, "", true, len(root)
				if isTree {
					tree = root
				}
			}
		}
	}
	return floor, tree, ok
}

// importFaults holds packages against the floors.
func importFaults(floors [][]string, pkgs []pkg) (faults []string) {
	for _, p := range pkgs {
		floor, tree, ok := floorOf(floors, p.path)
		if !ok {
			faults = append(faults, p.path+" is on no floor: give it an entry")
			continue
		}
		for _, imp := range p.imports {
			below, of, ok := floorOf(floors, imp)
			if !ok || below < floor || tree != "" && tree == of {
				continue // what is on no floor is reported for itself
			}
			faults = append(faults, fmt.Sprintf("%s imports %s, which stands no lower: floors %d and %d", p.path, imp, floor, below))
		}
	}
	return faults
}

// list returns the lines that go list prints.
func list(t *testing.T, args ...string) []string {
	t.Helper()
	cmd := exec.Command("go", append([]string{"list"}, args...)...)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("go list %v: %v\n%s", args, err, &stderr)
	}
	return strings.Fields(string(out))
}

// packages lists the packages of the module.
func packages(t *testing.T) []pkg {
	t.Helper()
	var pkgs []pkg
	for _, line := range list(t, "-f", `{{.ImportPath}}={{join .Imports ","}}`, module+"/...") {
		path, imports, _ := strings.Cut(line, "=")
		p := pkg{path: strings.TrimPrefix(path, module+"/")}
		for imp := range strings.SplitSeq(imports, ",") {
			if imp, ours := strings.CutPrefix(imp, module+"/"); ours {
				p.imports = append(p.imports, imp)
			}
		}
		pkgs = append(pkgs, p)
	}
	return pkgs
}

// TestImportDirections holds every package against the floors, and every entry against the packages.
func TestImportDirections(t *testing.T) {
	pkgs := packages(t)
	for _, fault := range importFaults(floors, pkgs) {
		t.Error(fault)
	}
	for i, entries := range floors {
		for _, e := range entries {
			if !slices.ContainsFunc(pkgs, func(p pkg) bool {
				_, _, ok := floorOf([][]string{{e}}, p.path)
				at, _, _ := floorOf(floors, p.path)
				return ok && at == i
			}) {
				t.Errorf("floor %d: %s stands for no package", i, e)
			}
		}
	}
}

// TestImportDirectionsFindFaults plants what importFaults must find.
func TestImportDirectionsFindFaults(t *testing.T) {
	pkgs := packages(t)
	for _, c := range []struct {
		plant pkg
		want  string // "": no fault
	}{
		{pkg{"graph/artifact", []string{"ops"}}, "graph/artifact imports ops,"},
		{pkg{"ops", []string{"compile"}}, "ops imports compile,"},
		{pkg{"compile", []string{"runtime"}}, "compile imports runtime,"},
		{pkg{"graph/value", []string{"graph"}}, "graph/value imports graph,"},
		{pkg{"runtime/kernels/strip/more", []string{"runtime/kernels"}}, "runtime/kernels/strip/more imports runtime/kernels,"},
		{pkg{"graph/more", []string{"graph"}}, "graph/more is on no floor"},
		{pkg{"more", nil}, "more is on no floor"},
		{pkg{"graph/value/more", []string{"graph/value/npy"}}, ""},
		{pkg{"cmd/graphrun", []string{"graph/dim", "models/zoo"}}, ""},
	} {
		faults := importFaults(floors, append(pkgs[:len(pkgs):len(pkgs)], c.plant))
		found := slices.ContainsFunc(faults, func(f string) bool { return c.want != "" && strings.HasPrefix(f, c.want) })
		if found != (c.want != "") || len(faults) > 1 {
			t.Errorf("%s importing %v: want %q, have %q", c.plant.path, c.plant.imports, c.want, faults)
		}
	}
}

// TestCoreLinksNothingHeavy keeps the core at the standard library: an inference service that links it stays small.
func TestCoreLinksNothingHeavy(t *testing.T) {
	for _, core := range []string{"graph", "ops", "compile", "runtime", "runtime/kernels", "graph/artifact", "models/nn", "models/optim", "models/zoo"} {
		for _, dep := range list(t, "-deps", module+"/"+core) {
			first, _, _ := strings.Cut(dep, "/")
			if strings.Contains(first, ".") && !strings.HasPrefix(dep, module) && !strings.HasPrefix(dep, "golang.org/x/sys/cpu") {
				t.Errorf("%s links %s", core, dep)
			}
		}
	}
	for _, dep := range list(t, "-deps", module+"/cmd/graphrun") {
		if strings.HasPrefix(dep, "gorgonia.org/") || strings.Contains(dep, "arrow") {
			t.Errorf("the command links %s", dep)
		}
	}
}

// TestOnlyTheEdgesSpeakGorgonia finds imports of Gorgonia outside the packages that adapt to it.
func TestOnlyTheEdgesSpeakGorgonia(t *testing.T) {
	for _, line := range list(t, "-f", `{{.ImportPath}}={{join .Imports ","}}`, module+"/...") {
		path, imports, _ := strings.Cut(line, "=")
		if strings.Contains(imports, "gorgonia.org/") && path != module+"/runtime/dense" {
			t.Errorf("%s imports Gorgonia", path)
		}
	}
}

// TestGoMod keeps `go install module/cmd/graphrun@latest` working: go.mod has no replace, and pins what Gorgonia
// needs to start on a current Go.
func TestGoMod(t *testing.T) {
	root := filepath.Join("..", "..")
	cmd := exec.Command("go", "mod", "edit", "-json")
	cmd.Dir = root
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	text := string(out)
	if strings.Contains(text, `"Replace": [`) {
		t.Error("go.mod has a replace")
	}
	for _, want := range []string{"go4.org/unsafe/assume-no-moving-gc", "gonum.org/v1/gonum"} {
		if !strings.Contains(text, want) {
			t.Errorf("go.mod does not pin %s", want)
		}
	}
}
