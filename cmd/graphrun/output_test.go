package main

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
	"unicode"
)

// fullDisk takes some bytes and refuses the rest.
type fullDisk struct{ room int }

func (d *fullDisk) Write(p []byte) (int, error) {
	n := min(len(p), d.room)
	if d.room -= n; n < len(p) {
		return n, syscall.ENOSPC
	}
	return n, nil
}

// TestWriteErrors wants exit code 1 and one line of what is wrong from every command whose standard output ends somewhere.
func TestWriteErrors(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "m")
	train := []string{"train", "softmax", "--limit", "20", "--epochs", "1", "--force", "--out", dir}
	if code := run(t.Context(), train, io.Discard, io.Discard); code != 0 {
		t.Fatalf("training: exit code %d", code)
	}
	sample := "image=" + filepath.Join(dir, "sample.png")
	for _, args := range [][]string{
		train, append(train, "--json"),
		{"run", dir, "--input", sample},
		{"run", dir, "--input", sample, "--json"},
		{"passes", dir, "--dump", "all"},
		{"passes", dir},
		{"passes"},
		{"passes", dir, "--json"},
		{"inspect", dir},
		{"inspect", dir, "--json"},
		{"inspect", dir, "--nodes"},
		{"dot", dir},
		{"dot", dir, "--format", "png"},
		{"dot", dir, "--format", "svg"},
		{"diff", dir, "softmax"},
		{"ops"},
		{"ops", "softmax"},
		{"ops", "--json"},
		{"version"},
		{"version", "--json"},
		{"--version"},
		{"completion", "bash"},
		{"completion", "zsh"},
		{"help"},
		{"help", "train"},
		{"help", "data"},
		{"--help"},
		{"train", "--help"},
		{"run", "-h"},
		{"completion", "bash", "--help"},
		{},
	} {
		var whole, stderr bytes.Buffer
		if code := run(t.Context(), args, &whole, &stderr); code != 0 && args[0] != "diff" || whole.Len() == 0 {
			t.Errorf("%v: exit code %d, %d bytes: %s", args, code, whole.Len(), &stderr)
			continue
		}
		for _, room := range []int{0, whole.Len() / 2} {
			stderr.Reset()
			code := run(t.Context(), args, &fullDisk{room}, &stderr)
			if code != exitFailed || !strings.HasSuffix(stderr.String(), "no space left on device\n") || strings.Count(stderr.String(), "\ngraphrun: ") > 1 {
				t.Errorf("%v, with room for %d of %d bytes: exit code %d, stderr %q", args, room, whole.Len(), code, &stderr)
			}
		}
	}
}

// TestNamesAreVisible shows a model whose names hold what steers terminals, breaks lines and closes elements by every command.
func TestNamesAreVisible(t *testing.T) {
	file := filepath.Join("..", "..", "testdata", "hostile", "escapes.graph")
	dir := t.TempDir()
	saved := filepath.Join(dir, "saved")
	for _, args := range [][]string{
		{"convert", file, "-o", saved},
		{"inspect", file},
		{"inspect", file, "--nodes"},
		{"inspect", file, "--json"},
		{"inspect", saved},
		{"inspect", file, "--func", "bad"},
		{"passes", file},
		{"passes", file, "--dump", "all"},
		{"passes", file, "--check"},
		{"passes", file, "--json"},
		{"dot", file},
		{"dot", file, "--format", "svg"},
		{"dot", file, "--flat", "--full"},
		{"dot", file, "--stage", "planned"},
		{"run", file, "--func", "predict", "--input", "x=[[1,2]]"},
		{"run", file, "--func", "predict", "--input", "x=[[1,2]]", "--json"},
		{"run", file, "--func", "bad", "--input", "x=[1,2]"},
		{"run", file, "--func", "bad", "--input", "x=[1,2]", "--check"},
		{"run", file, "--func", "predict", "--input", "x=[[1,2]]", "--fetch", "lay"},
		{"run", file, "--func", "predict", "--input", "x=[[nan,2]]", "--nan-guard"},
		{"convert", file, "-o", saved + ".graph"},
		{"diff", file, "softmax"},
		{"bisect", file},
		{"train", file},
		{"run", file, "--func", "\x1b[31m"},
		{"run", "\x1b[31m\u202e.graph"},
		{"__complete", "run", file, "--fetch", ""},
	} {
		var stdout, stderr bytes.Buffer
		run(t.Context(), args, &stdout, &stderr)
		for name, text := range map[string]string{"stdout": stdout.String(), "stderr": stderr.String()} {
			for line := range strings.Lines(text) {
				line = strings.TrimSuffix(line, "\n")
				if i := strings.IndexFunc(line, func(r rune) bool { return r != '\t' && (unicode.IsControl(r) || unicode.Is(unicode.Bidi_Control, r)) }); i >= 0 {
					t.Errorf("%q: %s has %q", args, name, line)
				}
				if strings.HasPrefix(line, "newline.go") || strings.HasPrefix(line, "three") {
					t.Errorf("%q: a name begins a line of %s: %q", args, name, line)
				}
			}
			if strings.Contains(text, "<script>") && strings.Contains(text, "<svg") {
				t.Errorf("%q: %s has an element of a name", args, name)
			}
		}
	}
}

// TestOutputText writes text in pieces that cut characters.
func TestOutputText(t *testing.T) {
	for text, want := range map[string]string{
		"plain\tä€😀\n":     "plain\tä€😀\n",
		"\x1b[31m\a\r":     `\u001b[31m\u0007\u000d`,
		"\u009b31m\x7f":    `\u009b31m\u007f`,
		"a\u202eb\u2066c":  `a\u202eb\u2066c`,
		"\x9b31m \xe2\x82": `\x9b31m \xe2\x82`,
		"\xff\u20ac":       `\xff€`,
	} {
		for step := 1; step <= len(text); step++ {
			var b bytes.Buffer
			o := &output{to: &b}
			for at := 0; at < len(text); at += step {
				if n, err := o.Write([]byte(text[at:min(at+step, len(text))])); err != nil || n != min(step, len(text)-at) {
					t.Fatal(n, err)
				}
			}
			if err := o.end(); err != nil || b.String() != want {
				t.Errorf("%q in steps of %d: %q, %v", text, step, &b, err)
			}
		}
	}
}

// TestOneSignalEnds sends the first Ctrl-C, or SIGTERM, to commands that read a pipe to which nobody writes, or that compute for minutes: each
// ends, says so, and leaves nothing behind.
func TestOneSignalEnds(t *testing.T) {
	if testing.Short() {
		t.Skip("-short: no process is sent signals")
	}
	t.Parallel()
	bin, dir := buildCommand(t), t.TempDir()
	pipe, table := filepath.Join(dir, "pipe.graph"), filepath.Join(dir, "pipe.csv")
	if err := exec.Command("mkfifo", pipe, table).Run(); err != nil {
		t.Skip("there are no named pipes:", err)
	}
	slow := filepath.Join(dir, "slow.graph")
	text := "graphrun 2\nmodule @m\nfunc @f(%x: f16[2]) {\n  %s = reduce_sum %x {axes=[0], keepdims=false}\n" +
		"  %a = expand %s {shape=[4000,4000]}\n  %y = matmul %a, %a\n  return y: %y\n}\n"
	if err := os.WriteFile(slow, []byte(text), 0o666); err != nil {
		t.Fatal(err)
	}
	out := filepath.Join(dir, "out")
	if err := os.Mkdir(out, 0o777); err != nil {
		t.Fatal(err)
	}
	var wait sync.WaitGroup
	for i, args := range [][]string{
		{"inspect", pipe},
		{"passes", pipe},
		{"convert", pipe, "-o", filepath.Join(out, "c")},
		{"bisect", pipe},
		{"diff", pipe, pipe},
		{"dot", pipe, "-o", filepath.Join(out, "d.svg")},
		{"run", pipe, "--input", "x=[1,2]"},
		{"run", "softmax", "--input", "image=" + pipe},
		{"train", pipe, "--out", filepath.Join(out, "t")},
		{"train", "softmax", "--data", table, "--out", filepath.Join(out, "u")},
		{"passes", slow, "--check"},
		{"run", slow, "--input", "x=[1,2]", "--check"},
	} {
		wait.Go(func() {
			ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
			defer cancel()
			cmd := exec.CommandContext(ctx, bin, args...)
			var stderr bytes.Buffer
			cmd.Stderr = &stderr
			if err := cmd.Start(); err != nil {
				t.Error(err)
				return
			}
			time.Sleep(time.Second) // a signal before the command waits would prove less
			_ = cmd.Process.Signal([]os.Signal{os.Interrupt, syscall.SIGTERM}[i%2])
			err := cmd.Wait()
			var exit *exec.ExitError
			if !errors.As(err, &exit) {
				t.Errorf("%v: %v, stderr %q: the command is not one that waits", args, err, &stderr)
				return
			}
			if exit.ExitCode() != exitInterrupted || stderr.String() != "graphrun: interrupted\n" {
				t.Errorf("%v: %v, stderr %q", args, err, &stderr)
			}
		})
	}
	wait.Wait()
	if left, err := os.ReadDir(out); err != nil || len(left) > 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
}
