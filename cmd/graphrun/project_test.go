package main

import (
	"bytes"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

const module = "github.com/graphrun/graphrun"

// layers orders the packages: one may import only what its row names, besides packages of its own row's tree. The
// first row whose prefix matches counts.
var layers = []struct {
	prefix string
	may    []string
}{
	{"graph/value", nil},
	{"graph/philox", nil},
	{"runtime/dense", []string{"graph/value"}},
	{"runtime/kernels/parallel", nil},
	{"runtime/kernels/backend", nil},
	{"runtime/kernels/level", []string{"runtime/kernels/backend"}},
	{"runtime/kernels/driver", []string{"runtime/kernels/backend", "runtime/kernels/parallel"}},
	{"runtime/kernels", []string{"graph/value", "graph/philox", "graph"}},
	{"runtime/program", []string{"graph", "graph/value"}},
	{"runtime/plan", []string{"graph", "runtime/program", "graph/value"}},
	{"runtime", []string{"graph", "graph/dim", "runtime/program", "runtime/plan", "runtime/kernels", "graph/value"}},
	{"graph/dim", nil},
	{"graph/dot", []string{"graph", "ops", "graph/value"}},
	{"graph/draw", []string{"graph", "graph/value"}},
	{"graph/artifact", []string{"graph", "ops", "graph/value"}},
	{"graph", []string{"graph/dim", "graph/value"}},
	{"compile/optest", []string{"ops", "graph", "compile", "runtime"}},
	{"ops", []string{"graph", "graph/dim", "graph/value", "graph/philox"}},
	{"compile", []string{"graph", "ops", "runtime/program", "runtime/plan", "runtime/kernels", "graph/value"}},
	{"models/data", []string{"graph/value"}},
	{"models/plot", nil},
	{"models/train", []string{"graph", "ops", "compile", "runtime", "models"}},
	{"models", []string{"graph", "ops", "graph/value", "models"}},
	{"cmd/graphrun", []string{""}},
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

// TestImportDirections holds every package against the table of layers.
func TestImportDirections(t *testing.T) {
	for _, line := range list(t, "-f", `{{.ImportPath}}={{join .Imports ","}}`, module+"/...") {
		path, imports, _ := strings.Cut(line, "=")
		path = strings.TrimPrefix(path, module+"/")
		row := slices.IndexFunc(layers, func(l struct {
			prefix string
			may    []string
		},
		) bool {
			return path == l.prefix || strings.HasPrefix(path, l.prefix+"/")
		})
		if row < 0 {
			t.Errorf("%s is in no layer: add a row", path)
			continue
		}
		for imp := range strings.SplitSeq(imports, ",") {
			imp, ours := strings.CutPrefix(imp, module+"/")
			if !ours {
				continue
			}
			l := layers[row]
			ok := imp == l.prefix || strings.HasPrefix(imp, l.prefix+"/") || slices.ContainsFunc(l.may, func(p string) bool {
				return p == "" || imp == p || strings.HasPrefix(imp, p+"/")
			})
			if !ok {
				t.Errorf("%s imports %s, which is above it or beside it", path, imp)
			}
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
