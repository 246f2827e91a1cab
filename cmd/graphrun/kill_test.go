//go:build unix

package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/graphrun/graphrun/graph/value"
	"github.com/graphrun/graphrun/graph/value/atomicfile"
	"github.com/graphrun/graphrun/graph/value/safetensors"
	"github.com/graphrun/graphrun/models/data"
	"github.com/graphrun/graphrun/models/data/digits"
	"github.com/graphrun/graphrun/models/train"
)

// buildCommand builds the command.
func buildCommand(t *testing.T) string {
	t.Helper()
	bin := filepath.Join(t.TempDir(), "graphrun")
	if out, err := exec.Command("go", "build", "-o", bin, ".").CombinedOutput(); err != nil {
		t.Fatalf("go build: %v\n%s", err, out)
	}
	return bin
}

// smallData writes a few digits in the files of MNIST.
func smallData(t *testing.T, n int) string {
	t.Helper()
	dir := t.TempDir()
	for i, prefix := range []string{"train", "t10k"} {
		set, err := digits.Generate(digits.Options{N: n, Seed: uint64(i)})
		if err != nil {
			t.Fatal(err)
		}
		s := set.Pixels().Shape()
		pixels, err := set.Pixels().Reshape(s[0], s[2], s[3])
		if err != nil {
			t.Fatal(err)
		}
		labels, err := value.CastExactly(set.Labels(), value.U8)
		if err != nil {
			t.Fatal(err)
		}
		for name, x := range map[string]*value.Tensor{"images-idx3": pixels, "labels-idx1": labels} {
			if err := atomicfile.Write(filepath.Join(dir, prefix+"-"+name+"-ubyte"), func(w io.Writer) error { return data.WriteIDX(w, x) }); err != nil {
				t.Fatal(err)
			}
		}
	}
	return dir
}

// TestKill kills a training at random moments, fifty times, and goes on each time. No moment leaves a file that cannot be read, and in the
// end all is as in a training that nobody killed.
func TestKill(t *testing.T) {
	if testing.Short() {
		t.Skip("-short: no process is killed")
	}
	t.Parallel()
	const kills, more = 50, 60
	bin, images := buildCommand(t), smallData(t, 24)
	dir := filepath.Join(t.TempDir(), "killed")
	epochs := more
	rng := rand.New(rand.NewPCG(1, uint64(time.Now().UnixNano())))
	args := func(dir string, resume bool) []string {
		a := []string{"train", "softmax", "--data", images, "--batch", "4", "--out", dir, "--epochs", strconv.Itoa(epochs), "--seed", "7", "--schedule", "step:every=1000000"}
		if resume {
			a = append(a, "--resume", "--checkpoint-every", "1", "--threads", strconv.Itoa(1+rng.IntN(2)), "--workers", strconv.Itoa(rng.IntN(3)))
		}
		return a
	}
	seen, within, last := false, 0, 0
	for k := 0; k < kills; {
		cmd := exec.Command(bin, args(dir, true)...)
		var stderr bytes.Buffer
		cmd.Stderr = &stderr
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		timer := time.AfterFunc(time.Duration(rng.IntN(160_000))*time.Microsecond, func() { _ = cmd.Process.Kill() })
		err := cmd.Wait()
		timer.Stop()
		var exit *exec.ExitError
		switch {
		case err == nil: // it was done before: there shall be more to do
			epochs += more
			continue
		case !errors.As(err, &exit) || exit.Sys().(syscall.WaitStatus).Signal() != syscall.SIGKILL:
			t.Fatalf("kill %d: %v: %s", k, err, &stderr)
		}
		k++
		c, err := train.ReadCheckpoint(dir)
		if errors.Is(err, train.ErrNoCheckpoint) && !seen {
			continue
		}
		if err != nil {
			t.Fatalf("kill %d: %v", k, err)
		}
		seen = true
		if c.Steps < last {
			t.Errorf("kill %d: the checkpoint is at step %d, before it was at %d", k, c.Steps, last)
		}
		last = c.Steps
		if c.Step > 0 {
			within++
		}
		readable(t, dir)
	}
	if within == 0 {
		t.Error("no kill came within an epoch: the test shows less than it should")
	}
	t.Logf("%d kills in %d steps, %d within an epoch", kills, last, within)
	if out, err := exec.Command(bin, args(dir, true)...).CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	for _, sub := range []string{"", train.CheckpointDir} {
		left, err := filepath.Glob(filepath.Join(dir, sub, ".*"))
		if err != nil || left != nil {
			t.Errorf("the killed processes have left %q (%v)", left, err)
		}
	}
	whole := filepath.Join(t.TempDir(), "whole")
	var stdout, stderr bytes.Buffer
	if code := run(t.Context(), args(whole, false), &stdout, &stderr); code != 0 {
		t.Fatalf("exit code %d: %s", code, &stderr)
	}
	a, b := modelBytes(t, whole), modelBytes(t, dir)
	if !bytes.Equal(a, b) {
		t.Error("the weights differ from those of a training that was not killed")
	}
	if d := cmp.Diff(readHistory(t, whole), readHistory(t, dir), cmpopts.IgnoreFields(train.Epoch{}, "Seconds")); d != "" {
		t.Errorf("the histories differ:\n%s", d)
	}
}

func modelBytes(t *testing.T, dir string) []byte {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(dir, "model.safetensors"))
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// readable reads all files that a training leaves before its end.
func readable(t *testing.T, dir string) {
	t.Helper()
	sub := filepath.Join(dir, train.CheckpointDir)
	if _, err := os.Stat(filepath.Join(sub, train.CheckpointBest)); err == nil {
		if _, err := safetensors.Open(os.DirFS(sub), train.CheckpointBest); err != nil {
			t.Error(err)
		}
	}
	if _, err := os.Stat(filepath.Join(dir, train.HistoryJSON)); err == nil {
		readHistory(t, dir)
	}
}

func readHistory(t *testing.T, dir string) train.History {
	t.Helper()
	f, err := os.Open(filepath.Join(dir, train.HistoryJSON))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	h, err := train.ReadHistory(f)
	if err != nil {
		t.Fatal(err)
	}
	return h
}

// TestSignals ends a training by Ctrl-C and by SIGTERM: it saves a checkpoint within the epoch, and what it prints goes on.
func TestSignals(t *testing.T) {
	if testing.Short() {
		t.Skip("-short: no process is sent signals")
	}
	t.Parallel()
	bin, images := buildCommand(t), smallData(t, 24)
	for _, sig := range []os.Signal{os.Interrupt, syscall.SIGTERM} {
		dir := filepath.Join(t.TempDir(), "m")
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		cmd := exec.CommandContext(ctx, bin, "train", "softmax", "--data", images, "--batch", "1", "--epochs", "100000", "--out", dir)
		var stderr bytes.Buffer
		cmd.Stderr = &stderr
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		var lines []string
		for s := bufio.NewScanner(out); s.Scan(); {
			if lines = append(lines, s.Text()); strings.HasPrefix(s.Text(), "epoch 2/") {
				_ = cmd.Process.Signal(sig)
			}
		}
		err = cmd.Wait()
		if cmd.ProcessState.ExitCode() != exitInterrupted || stderr.String() != "graphrun: interrupted\n" {
			t.Errorf("%v: %v, stderr %q", sig, err, &stderr)
		}
		text := strings.Join(lines, "\n")
		if want := "; to resume: graphrun train --resume --out " + dir + "\nsaved " + dir; !strings.Contains(text, want) {
			t.Errorf("%v: stdout has no %q:\n%s", sig, want, text)
		}
		c, err := train.ReadCheckpoint(dir)
		if err != nil {
			t.Fatal(err)
		}
		if want := "saved " + dir + " after " + strconv.Itoa(c.Steps) + " steps"; lines[len(lines)-1] != want || len(c.History) < 2 {
			t.Errorf("%v: the last line is %q, want %q", sig, lines[len(lines)-1], want)
		}
		// What was printed goes on.
		var more bytes.Buffer
		ctx, stop := context.WithCancel(t.Context())
		if code := run(ctx, []string{"train", "--resume", "--out", dir}, &cancelAt{text: "epoch " + strconv.Itoa(len(c.History)+1) + "/", cancel: stop}, &more); code != exitInterrupted {
			t.Errorf("%v: resuming gives exit code %d: %s", sig, code, &more)
		}
		stop()
	}
}
