package main

import (
	"bufio"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// serviceLimit is the size in bytes that a stripped service with LeNet-5 in it may have.
const serviceLimit = 5_000_000

// serviceDeps are the packages that a service may link besides the standard library: the core.
var serviceDeps = []string{
	"graph", "graph/artifact", "graph/dim", "graph/errfmt", "graph/philox", "graph/real", "graph/value", "graph/value/atomicfile", "graph/value/safetensors",
	"ops", "compile", "runtime",
}

// TestService builds the service that embeds a model, looks at its size and at what it links, and runs it. How long it takes to the
// first answer is told and not demanded: other programs that run at the same time make it longer.
func TestService(t *testing.T) {
	dir := filepath.Join("..", "..", "testdata", "service")
	program := filepath.Join(t.TempDir(), "service")
	build := func(out string, env ...string) {
		t.Helper()
		cmd := exec.Command("go", "build", "-ldflags=-s -w", "-o", out, "./"+filepath.ToSlash(dir))
		cmd.Env = append(os.Environ(), env...)
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("go build: %v\n%s", err, out)
		}
	}
	build(program, "CGO_ENABLED=0")
	info, err := os.Stat(program)
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("%d bytes of %d", info.Size(), serviceLimit)
	logWeights(t, dir)
	if info.Size() > serviceLimit {
		t.Errorf("the service has %d bytes, want %d at most", info.Size(), serviceLimit)
	}
	build(program+".wasm", "CGO_ENABLED=0", "GOOS=js", "GOARCH=wasm")

	for _, dep := range list(t, "-deps", "./"+filepath.ToSlash(dir)) {
		name, ours := strings.CutPrefix(dep, module+"/")
		first, _, _ := strings.Cut(dep, "/")
		switch {
		case name == "testdata/service":
		case ours:
			if !slices.Contains(serviceDeps, name) && !strings.HasPrefix(name, "runtime/") {
				t.Errorf("the service links %s, which is not of the core", dep)
			}
		case strings.Contains(first, ".") && dep != "golang.org/x/sys/cpu":
			t.Errorf("the service links %s", dep)
		}
	}

	want := []string{"class 7", "served 2048 requests of 32 goroutines"}
	times := make([]time.Duration, 11)
	for i := range times {
		var lines []string
		lines, times[i] = runService(t, program)
		if !slices.Equal(lines, want) {
			t.Fatalf("have %q, want %q", lines, want)
		}
	}
	slices.Sort(times)
	t.Logf("first answer after %v (median of %d, from the start of the process)", times[len(times)/2], len(times))
}

// runService returns the lines that the program prints, and when the first one came.
func runService(t *testing.T, program string) (lines []string, first time.Duration) {
	t.Helper()
	cmd := exec.Command(program)
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	start := time.Now()
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	for s := bufio.NewScanner(out); s.Scan(); {
		if lines = append(lines, s.Text()); len(lines) == 1 {
			first = time.Since(start)
		}
	}
	if err := cmd.Wait(); err != nil {
		t.Fatal(err)
	}
	return lines, first
}
