package main

import (
	"bufio"
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

// npy is an array as NumPy's save writes it.
func npy(descr string, fortran bool, shape string, elems string) string {
	order := "False"
	if fortran {
		order = "True"
	}
	head := fmt.Sprintf("{'descr': '%s', 'fortran_order': %s, 'shape': %s, }\n", descr, order, shape)
	return "\x93NUMPY\x01\x00" + string([]byte{byte(len(head)), byte(len(head) >> 8)}) + head + elems
}

func readNPYText(text string) (*value.Tensor, error) {
	return decodeNPY(bufio.NewReader(strings.NewReader(text)), int64(len(text)))
}

func TestReadNPY(t *testing.T) {
	for _, c := range []struct{ name, text, want string }{
		{"scalar", npy("<f4", false, "()", "\x00\x00\xc0\x3f"), "f32[] 1.5"},
		{"big-endian", npy(">i2", false, "(2,)", "\x01\x02\xff\xff"), "i16[2] [258 -1]"},
		{"half", npy("<f2", false, "(1,)", "\x00\x3c"), "f16[1] [1]"},
		{"bool", npy("|b1", false, "(3,)", "\x01\x00\x01"), "bool[3] [true false true]"},
		{"Fortran", npy("|u1", true, "(2, 3)", "\x01\x02\x03\x04\x05\x06"), "u8[2,3] [[1 3 5] [2 4 6]]"},
		{"C", npy("|u1", false, "(2, 3)", "\x01\x02\x03\x04\x05\x06"), "u8[2,3] [[1 2 3] [4 5 6]]"},
		{"empty", npy("<f8", false, "(0, 3)", ""), "f64[0,3] []"},
	} {
		got, err := readNPYText(c.text)
		if err != nil || got.String() != c.want {
			t.Errorf("%s: %v, %v, want %s", c.name, got, err, c.want)
		}
	}
	for _, c := range []struct{ name, text, want string }{
		{"nothing", "", "not an .npy file"},
		{"other", "PK\x03\x04 a zip file", "not an .npy file"},
		{"short", npy("<f4", false, "(2,)", "1234"), "4 bytes of elements: want 8"},
		{"long", npy("<f4", false, "(1,)", "12345"), "5 bytes of elements: want 4"},
		{"complex", npy("<c8", false, "(1,)", "12345678"), `dtype "<c8" is none of tensors`},
		{"negative", npy("<f4", false, "(-1,)", ""), "a size is negative"},
		{"huge", npy("<f4", false, "(4294967296, 4294967296, 4294967296)", ""), "too large"},
		{"header cut off", npy("<f4", false, "(1,)", "")[:40], "ends inside its header"},
		{"header damaged", "\x93NUMPY\x01\x00\x04\x00{'a'", "header"},
		{"header too long", "\x93NUMPY\x02\x00\xff\xff\xff\xff{'descr': ", "ends inside its header"},
	} {
		got, err := readNPYText(c.text)
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, %v, want an error with %q", c.name, got, err, c.want)
		}
	}
}

func FuzzReadNPY(f *testing.F) {
	f.Add([]byte(npy("<f4", false, "(1, 2)", "12345678")))
	f.Add([]byte(npy(">i8", true, "()", "12345678")))
	f.Fuzz(func(t *testing.T, text []byte) {
		x, err := readNPYText(string(text))
		if err == nil && len(x.Bytes()) > len(text) {
			t.Errorf("%d bytes gave a tensor of %d", len(text), len(x.Bytes()))
		}
	})
}

func TestCastExactly(t *testing.T) {
	vec := func(xs ...float64) *value.Tensor {
		x, err := value.FromSlice(xs, len(xs))
		if err != nil {
			t.Fatal(err)
		}
		return x
	}
	for _, c := range []struct {
		in   *value.Tensor
		to   value.DType
		want string // "" for a refusal
	}{
		{vec(1, -2.5), value.F32, "f32[2] [1 -2.5]"},
		{vec(0.1), value.F32, ""},
		{vec(3, 4), value.I64, "i64[2] [3 4]"},
		{vec(-1), value.U8, ""},
		{vec(256), value.U8, ""},
		{vec(math.NaN()), value.I64, ""},
		{vec(math.Inf(1)), value.F32, "f32[1] [inf]"},
		{value.Scalar(int64(-1)), value.U64, ""},
		{value.Scalar(uint64(1 << 63)), value.I64, ""},
		{value.Scalar(int64(1<<53 + 1)), value.F64, ""},
		{value.Scalar(uint8(200)), value.F32, "f32[] 200"},
		{value.Scalar(true), value.I64, "i64[] 1"},
	} {
		got, err := castExactly(c.in, c.to)
		if c.want == "" && err == nil || c.want != "" && (err != nil || got.String() != c.want) {
			t.Errorf("%v to %v: %v, %v, want %q", c.in, c.to, got, err, c.want)
		}
	}
}

func TestPictureTensor(t *testing.T) {
	grey := image.NewGray(image.Rect(5, 5, 7, 6)) // not at the origin
	grey.SetGray(5, 5, color.Gray{Y: 51})
	grey.SetGray(6, 5, color.Gray{Y: 255})
	elems := func(img image.Image, channels, h, w int, invert bool) ([]float32, bool) {
		x, resized, err := pictureTensor(img, channels, h, w, invert)
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
	if _, _, err := pictureTensor(red, 2, 1, 1, false); err == nil {
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
