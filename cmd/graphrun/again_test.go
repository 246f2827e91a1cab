package main

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/graphrun/graphrun/models/train"
)

// TestLockedOut starts trainings in a directory in which another one runs: they say who holds it, before they read any data, and change nothing.
func TestLockedOut(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "m")
	args := []string{"train", "softmax", "--limit", "20", "--epochs", "1", "--out", dir}
	var stdout, stderr bytes.Buffer
	if code := run(t.Context(), args, &stdout, &stderr); code != 0 {
		t.Fatal(&stderr)
	}
	before := modelBytes(t, dir)
	lock, err := train.LockDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	want := fmt.Sprintf("graphrun: train: --out %s: another training runs in it: process %d on ", dir, os.Getpid())
	for _, more := range [][]string{{"--force", "--data", "nowhere"}, {"--resume", "--epochs", "2"}} {
		stderr.Reset()
		if code := run(t.Context(), append(args, more...), &stdout, &stderr); code != exitFailed || !strings.HasPrefix(stderr.String(), want) {
			t.Errorf("%v: exit code %d, %s", more, code, &stderr)
		}
	}
	lock.Unlock()
	if !bytes.Equal(before, modelBytes(t, dir)) {
		t.Error("the model has changed")
	}
	if code := run(t.Context(), append(args, "--force"), &stdout, &stderr); code != 0 {
		t.Error(&stderr)
	}
}
