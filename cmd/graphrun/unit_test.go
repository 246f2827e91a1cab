package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"image"
	"image/color"
	"io"
	"math"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/graphrun/graphrun/graph/artifact"
	"github.com/graphrun/graphrun/runtime/value"
)

// cancelAt cancels a context once a text has been written.
type cancelAt struct {
	bytes.Buffer
	text   string
	cancel func()
}

func (c *cancelAt) Write(p []byte) (int, error) {
	n, err := c.Buffer.Write(p)
	if strings.Contains(c.String(), c.text) {
		c.cancel()
	}
	return n, err
}

func TestInterruptedTrainingIsSaved(t *testing.T) {
	dir := t.TempDir()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	stdout, stderr := &cancelAt{text: "epoch 1/100000:", cancel: cancel}, &bytes.Buffer{}
	args := []string{"train", "softmax", "--limit", "10", "--epochs", "100000", "--out", dir}
	if code := run(ctx, args, stdout, stderr); code != exitInterrupted {
		t.Errorf("exit code %d, want %d; stderr: %s", code, exitInterrupted, stderr)
	}
	if got := stderr.String(); got != "graphrun: interrupted\n" {
		t.Errorf("stderr %q", got)
	}
	if got := stdout.String(); !strings.HasSuffix(got, fmt.Sprintf("saved %s after 1 steps\n", dir)) {
		t.Errorf("stdout:\n%s", got)
	}
	a, err := artifact.LoadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	if got := a.Module.Meta("train.steps"); got != "1" {
		t.Errorf("train.steps is %q, want 1", got)
	}
}

func TestInterruptedBeforeTheFirstStep(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "m")
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	var stdout, stderr bytes.Buffer
	if code := run(ctx, []string{"train", "softmax", "--limit", "10", "--out", dir}, &stdout, &stderr); code != exitInterrupted {
		t.Errorf("exit code %d, want %d; stderr: %s", code, exitInterrupted, &stderr)
	}
	if _, err := os.Stat(filepath.Join(dir, artifact.GraphFile)); err == nil {
		t.Error("a model was saved that is not trained")
	}
}

func TestSIGTERMInterrupts(t *testing.T) {
	ctx := untilSignal()
	self, err := os.FindProcess(os.Getpid())
	if err != nil {
		t.Fatal(err)
	}
	if err := self.Signal(syscall.SIGTERM); err != nil {
		t.Skipf("no SIGTERM on %s: %v", runtime.GOOS, err)
	}
	select {
	case <-ctx.Done():
	case <-t.Context().Done():
		t.Error("SIGTERM does not end the context")
	}
}

func TestErrorText(t *testing.T) {
	root := newRoot()
	cmd, _, err := root.Find([]string{"run"})
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		cmd  *cobra.Command
		err  error
		want string
	}{
		{cmd, errors.New("no such file"), "run: no such file"},
		{cmd, errors.New("run: no such file\n"), "run: no such file"},
		{cmd, errors.Join(errors.New("a.graph:1: one"), errors.New("a.graph:2: two")), "run: a.graph:1: one\n  a.graph:2: two"},
		{root, errors.New("no such command"), "no such command"},
	} {
		if got := errorText(c.cmd, c.err); got != c.want {
			t.Errorf("%q: %q, want %q", c.err, got, c.want)
		}
	}
}

func TestStyled(t *testing.T) {
	tty, err := os.OpenFile("/dev/ptmx", os.O_RDWR, 0)
	if err != nil || !term.IsTerminal(int(tty.Fd())) {
		t.Skipf("no terminal to test on: %v", err)
	}
	defer tty.Close()
	const coloured = "\x1b[1;31mx\x1b[0m"
	for _, c := range []struct {
		out           io.Writer
		term, noColor string
		want          string
	}{
		{tty, "xterm", "", coloured},
		{tty, "xterm", "1", "x"},
		{tty, "dumb", "", "x"},
		{&bytes.Buffer{}, "xterm", "", "x"},
	} {
		t.Setenv("TERM", c.term)
		t.Setenv("NO_COLOR", c.noColor)
		if got := styled(c.out, red, "x"); got != c.want {
			t.Errorf("%T, TERM=%s, NO_COLOR=%s: %q, want %q", c.out, c.term, c.noColor, got, c.want)
		}
	}
}

// TestTopics holds the pages of documentation against what the list of topics needs.
func TestTopics(t *testing.T) {
	names := commandNames(newRoot())
	for _, p := range topics() {
		if !strings.HasPrefix(p.text, "# "+p.title+"\n") || p.title == "" {
			t.Errorf("docs/%s.md does not begin with a line # Title", p.name)
		}
		if slices.Contains(names, p.name) {
			t.Errorf("docs/%s.md: graphrun help %s shows the command of that name: give the page another", p.name, p.name)
		}
	}
	if len(topics()) == 0 {
		t.Error("there are no topics")
	}
}

func TestPictureTensor(t *testing.T) {
	grey := image.NewGray(image.Rect(5, 5, 7, 6)) // not at the origin
	grey.SetGray(5, 5, color.Gray{Y: 51})
	grey.SetGray(6, 5, color.Gray{Y: 255})
	elems := func(img image.Image, channels, h, w int, invert bool) ([]float32, bool) {
		x, resized, err := pictureTensor(img, artifact.Preprocess{Scale: 1. / 255}, channels, h, w, invert)
		if err != nil {
			t.Fatal(err)
		}
		xs, err := value.Data[float32](x)
		if err != nil {
			t.Fatal(err)
		}
		return xs, resized
	}
	if got, resized := elems(grey, 1, 1, 2, false); resized || !slices.Equal(got, []float32{51. / 255, 1}) {
		t.Errorf("grey: %v, resized %v", got, resized)
	}
	if got, _ := elems(grey, 1, 1, 2, true); !slices.Equal(got, []float32{204. / 255, 0}) {
		t.Errorf("inverted: %v", got)
	}
	if got, resized := elems(grey, 1, 3, 3, false); !resized || len(got) != 9 {
		t.Errorf("resized: %v", got)
	}
	red := image.NewRGBA(image.Rect(0, 0, 1, 1))
	red.Set(0, 0, color.RGBA{R: 255, A: 255})
	if got, _ := elems(red, 3, 1, 1, false); !slices.Equal(got, []float32{1, 0, 0}) {
		t.Errorf("colours: %v", got)
	}
	if _, _, err := pictureTensor(red, artifact.Preprocess{}, 2, 1, 1, false); err == nil {
		t.Error("two channels: want an error")
	}
}

func TestASCIIArt(t *testing.T) {
	img := image.NewGray(image.Rect(0, 0, 3, 3))
	for i := range img.Pix {
		img.Pix[i] = 255
	}
	img.Pix[0], img.Pix[3], img.Pix[2], img.Pix[5] = 0, 0, 0, 0
	if d := cmp.Diff(" @\n@@@\n", asciiArt(img)); d != "" {
		t.Error(d)
	}
}

func TestClassify(t *testing.T) {
	nan := float32(math.NaN())
	x, err := value.FromSlice([]float32{1, 3, 2, nan, 0, 1}, 2, 3)
	if err != nil {
		t.Fatal(err)
	}
	rows := classify(map[string]value.Value{logitsResult: x}, []string{"a", "b"})
	if len(rows) != 2 || rows[0].Name != "b" || rows[1].Class != 2 || rows[1].Name != "2" {
		t.Fatalf("%+v", rows)
	}
	if p := float64(rows[0].Probability); math.Abs(p-0.6652) > 1e-4 {
		t.Errorf("probability %v, want 0.6652", p)
	}
	text, err := json.Marshal(rows[1])
	if err != nil || !strings.Contains(string(text), `"logits":["NaN",0,1]`) {
		t.Errorf("%s, %v", text, err)
	}
	if rows := classify(map[string]value.Value{"other": x}, nil); rows != nil {
		t.Errorf("no logits: %v", rows)
	}
}

func TestDidYouMean(t *testing.T) {
	names := []string{"softmax", "mlp", "lenet5"}
	for name, want := range map[string]string{
		"lenet6": ": did you mean lenet5?",
		"lp":     ": did you mean mlp?",
		"resnet": ": want one of softmax, mlp, lenet5",
	} {
		if got := didYouMean(name, names); got != want {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
	if d := distance("kitten", "sitting"); d != 3 {
		t.Errorf("distance %d, want 3", d)
	}
}
