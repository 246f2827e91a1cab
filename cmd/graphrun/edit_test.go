package main

import (
	"bytes"
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strconv"
	"strings"
	"testing"
)

// TestEditedText makes LeNet-5's layer of 84 units one of 90 by search and replace in its text, and trains it in a program that
// links neither the zoo nor the layers and optimizers that it was declared with.
func TestEditedText(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "lenet5.graph")
	var stdout, stderr bytes.Buffer
	if code := run(context.Background(), []string{"convert", "lenet5", "-o", path}, &stdout, &stderr); code != 0 {
		t.Fatalf("convert exits with %d: %s", code, &stderr)
	}
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	word := regexp.MustCompile(`\b84\b`)
	if n := len(word.FindAll(text, -1)); n < 40 {
		t.Fatalf("the text has 84 only %d times", n)
	}
	if err := os.WriteFile(path, word.ReplaceAll(text, []byte("90")), 0o666); err != nil {
		t.Fatal(err)
	}

	const program = module + "/testdata/edit"
	for _, dep := range list(t, "-deps", program) {
		for _, not := range []string{"models/zoo", "models/nn", "models/optim", "models/train", "cmd"} {
			if dep == module+"/"+not {
				t.Errorf("the program links %s", dep)
			}
		}
	}
	exe := filepath.Join(dir, "edit")
	if runtime.GOOS == "windows" {
		exe += ".exe"
	}
	if out, err := exec.Command("go", "build", "-o", exe, program).CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	out, err := exec.Command(exe, path).CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	losses := regexp.MustCompile(`loss ([0-9.]+)`).FindAllStringSubmatch(string(out), -1)
	if len(losses) != 2 || !strings.Contains(string(out), "fc2.weight f32[90 120]") {
		t.Fatalf("want two losses and a layer of 90, have %s", out)
	}
	first, _ := strconv.ParseFloat(losses[0][1], 64)
	last, _ := strconv.ParseFloat(losses[1][1], 64)
	if !(last < 0.8*first) {
		t.Errorf("it does not learn: loss %g, then %g", first, last)
	}
}
