package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

// initBytes is how much the init functions of a package that the command links may take from the heap. Bytes are the same at every
// run, as times are not; these are allocated and filled in much less than a millisecond.
const initBytes = 256 << 10

// opsBytes is what package ops may take, which is the command's own: it declares all operations.
const opsBytes = 1 << 20

// TestStartup looks at what every linked package costs before main begins. Times are told and not demanded.
func TestStartup(t *testing.T) {
	program := filepath.Join(t.TempDir(), "graphrun")
	if out, err := exec.Command("go", "build", "-o", program, ".").CombinedOutput(); err != nil {
		t.Fatalf("go build: %v\n%s", err, out)
	}
	cmd := exec.Command(program, "version")
	cmd.Env = append(os.Environ(), "GODEBUG=inittrace=1")
	var trace strings.Builder
	cmd.Stderr = &trace
	if err := cmd.Run(); err != nil {
		t.Fatalf("%v\n%s", err, &trace)
	}
	lines := regexp.MustCompile(`(?m)^init (\S+) @.* ms, (\S+) ms clock, (\d+) bytes, (\d+) allocs$`).FindAllStringSubmatch(trace.String(), -1)
	if len(lines) < 10 {
		t.Fatalf("there is no trace of init functions:\n%s", &trace)
	}
	for _, l := range lines {
		limit := initBytes
		if l[1] == module+"/ops" {
			limit = opsBytes
		}
		if size, _ := strconv.Atoi(l[3]); size > limit {
			t.Errorf("init of %s takes %d bytes in %s allocations, want %d at most", l[1], size, l[4], limit)
		}
		if ms, _ := strconv.ParseFloat(l[2], 64); ms > 1 {
			t.Logf("init of %s took %s ms here", l[1], l[2])
		}
	}
}
