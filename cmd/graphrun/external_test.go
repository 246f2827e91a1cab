package main

import (
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

// TestExternalModule builds and runs a module outside this one that registers an op and trains a model with it, and
// looks at what it links.
func TestExternalModule(t *testing.T) {
	dir := filepath.Join("..", "..", "testdata", "external")
	run := func(args ...string) string {
		t.Helper()
		cmd := exec.Command("go", args...)
		cmd.Dir = dir
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Fatalf("go %s: %v\n%s", strings.Join(args, " "), err, out)
		}
		return string(out)
	}
	for dep := range strings.FieldsSeq(run("list", "-deps", ".")) {
		if strings.HasPrefix(dep, "gorgonia.org/") || strings.Contains(dep, "arrow") {
			t.Errorf("it links %s", dep)
		}
	}
	run("test", ".")
	losses := regexp.MustCompile(`loss ([0-9.]+)`).FindAllStringSubmatch(run("run", "."), -1)
	if len(losses) != 2 {
		t.Fatalf("want two losses, have %v", losses)
	}
	first, _ := strconv.ParseFloat(losses[0][1], 64)
	last, _ := strconv.ParseFloat(losses[1][1], 64)
	if !(last < 0.05 && last < first/4) {
		t.Errorf("it does not learn: loss %g, then %g", first, last)
	}
}
