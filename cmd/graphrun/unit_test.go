package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"image"
	"image/color"
	"image/jpeg"
	"image/png"
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
	"github.com/spf13/pflag"
	"golang.org/x/term"

	"github.com/graphrun/graphrun/compile"
	"github.com/graphrun/graphrun/graph"
	"github.com/graphrun/graphrun/graph/artifact"
	"github.com/graphrun/graphrun/graph/value"
	"github.com/graphrun/graphrun/graph/value/atomicfile"
	"github.com/graphrun/graphrun/graph/value/npy"
	"github.com/graphrun/graphrun/models/data"
	"github.com/graphrun/graphrun/ops"
	graphruntime "github.com/graphrun/graphrun/runtime"
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
	root := newRoot(io.Discard)
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
	names := commandNames(newRoot(io.Discard))
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

func TestFlatten(t *testing.T) {
	for text, want := range map[string]struct {
		list  string
		shape []int
		fault string
	}{
		"[]":                   {list: "[]", shape: []int{0}},
		" [ 1 , -2.5e3 ] ":     {list: "[1,-2.5e3]", shape: []int{2}},
		"[[1,2],[3,4],[5,6]]":  {list: "[1,2,3,4,5,6]", shape: []int{3, 2}},
		"[[[1]],[[2]]]":        {list: "[1,2]", shape: []int{2, 1, 1}},
		"[[],[]]":              {list: "[]", shape: []int{2, 0}},
		`["a,]", "b\"[", "["]`: {list: `["a,]","b\"[","["]`, shape: []int{3}},
		"1":                    {fault: "want '[' first"},
		"]":                    {fault: "want '[' first"},
		"[1":                   {fault: "a ']' is missing"},
		"[[1]":                 {fault: "a ']' is missing"},
		"[1]]":                 {fault: "unexpected text after the last bracket"},
		"[1] 2":                {fault: "unexpected text after the last bracket"},
		"[1,]":                 {fault: "an element is missing before the ']'"},
		"[,1]":                 {fault: "an element is missing before the ','"},
		"[1 2]":                {fault: "want ',' or ']' before 2]"},
		"[[1] [2]]":            {fault: "a list stands where an element is expected"},
		"[1,[2]]":              {fault: "a list stands where an element is expected"},
		"[[1],2]":              {fault: "an element stands where a list is expected"},
		"[[],0]":               {fault: "an element stands where a list is expected"},
		"[[1],[2,3]]":          {fault: "its lists differ in length: 1 and 2"},
		"[[[]],[]]":            {fault: "its lists differ in length: 1 and 0"},
	} {
		list, shape, err := flatten(text)
		switch {
		case want.fault != "":
			if err == nil || !strings.Contains(err.Error(), want.fault) {
				t.Errorf("%s: have %s, %v, %v, want %q", text, list, shape, err, want.fault)
			}
		case err != nil || list != want.list || !slices.Equal(shape, want.shape):
			t.Errorf("%s: have %s, %v, %v, want %s, %v", text, list, shape, err, want.list, want.shape)
		}
	}
}

func FuzzFlatten(f *testing.F) {
	for _, s := range []string{"[]", "[[1,2],[3,4]]", `["a\"]`, "[[1],2]", "]", "[[],0]"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		list, shape, err := flatten(text)
		if err != nil {
			return
		}
		// A flat list is its own flat list, of as many elements as the shape says.
		again, flat, err := flatten(list)
		n := 1
		for _, d := range shape {
			n *= d
		}
		if err != nil || again != list || len(flat) != 1 || flat[0] != n {
			t.Errorf("%q gives %q of %v, and that %q of %v, %v", text, list, shape, again, flat, err)
		}
	})
}

// tensorOf returns a tensor of a dtype with a flat list of elements.
func tensorOf(t *testing.T, dt value.DType, list string) *value.Tensor {
	t.Helper()
	x, err := value.ParseElements(dt, []int{strings.Count(list, ",") + 1}, list)
	if err != nil {
		t.Fatal(err)
	}
	return x
}

func TestCompareArrays(t *testing.T) {
	inf := math.Inf(1)
	for _, c := range []struct {
		dt         value.DType
		have, want string
		wantDT     value.DType
		off        int
		abs, rel   float64
	}{
		{value.F32, "[1, 2]", "[1, 2]", value.F32, 0, 0, 0},
		{value.F32, "[1, nan, inf, -0]", "[1, nan, inf, 0]", value.F64, 0, 0, 0},
		{value.F64, "[1, 2.25]", "[1, 2]", value.F64, 1, 0.25, 0.125},
		{value.F64, "[1.0625, 2]", "[1, 2]", value.F64, 0, 0.0625, 0.0625},
		{value.F64, "[0.0625, 0.25]", "[0, 0]", value.I64, 1, 0.25, 0},
		{value.F64, "[nan, 1]", "[1, 1]", value.F64, 1, inf, inf},
		{value.F64, "[1, 1]", "[inf, nan]", value.F64, 2, inf, inf},
		{value.F64, "[-inf, 1]", "[inf, 1]", value.F64, 1, inf, inf},
		{value.I64, "[1, 2]", "[1, 3]", value.F64, 1, 1, 1. / 3},
		{value.I64, "[9007199254740993, 1]", "[9007199254740992, 1]", value.I64, 1, 1, 1. / (1 << 53)},
		{value.U8, "[3, 0]", "[3, 0]", value.I64, 0, 0, 0},
		{value.Bool, "[true, false]", "[true, true]", value.Bool, 1, 1, 1},
	} {
		d, err := compareArrays(tensorOf(t, c.dt, c.have), tensorOf(t, c.wantDT, c.want), closeness{rtol: 0.0625, atol: 0.0625})
		if err != nil || d.Off != c.off || float64(d.MaxAbs) != c.abs || float64(d.MaxRel) != c.rel {
			t.Errorf("%s %s, want %s: %+v, %v; want %d off, %v and %v", c.dt, c.have, c.want, d, err, c.off, c.abs, c.rel)
		}
		if (d.Off > 0) != (d.worst != "") {
			t.Errorf("%s %s: the worst is %q", c.dt, c.have, d.worst)
		}
	}
	for _, c := range []struct {
		have, want *value.Tensor
		fault      string
	}{
		{tensorOf(t, value.F32, "[1]"), tensorOf(t, value.F32, "[1, 2]"), "wrong shape: want f32[2], have f32[1]"},
		{tensorOf(t, value.I64, "[1]"), tensorOf(t, value.F32, "[1.5]"), "not all of them are numbers of i64"},
		{tensorOf(t, value.String, `["a"]`), tensorOf(t, value.String, `["a"]`), "strings are not compared"},
		{tensorOf(t, value.F32, "[1]"), tensorOf(t, value.String, `["a"]`), "string"},
	} {
		if _, err := compareArrays(c.have, c.want, closeness{}); err == nil || !strings.Contains(err.Error(), c.fault) {
			t.Errorf("%s and %s: %v, want %q", c.have, c.want, err, c.fault)
		}
	}
}

// TestPixelsAsInTraining holds a picture's pixels against those of a data set, bit by bit.
func TestPixelsAsInTraining(t *testing.T) {
	img := image.NewGray(image.Rect(0, 0, 256, 1))
	for i := range img.Pix {
		img.Pix[i] = uint8(i)
	}
	have, _, err := pictureTensor(img, artifact.Preprocess{Mode: artifact.Gray, Scale: 1. / 255}, 1, 1, 256, false)
	if err != nil {
		t.Fatal(err)
	}
	bytes, err := value.FromSlice(slices.Clone(img.Pix), 1, 1, 1, 256)
	if err != nil {
		t.Fatal(err)
	}
	labels, err := value.FromSlice([]int64{0}, 1)
	if err != nil {
		t.Fatal(err)
	}
	set, err := data.NewImages(bytes, labels, []string{"any"})
	if err != nil {
		t.Fatal(err)
	}
	want, _, err := set.Item(0)
	if err != nil {
		t.Fatal(err)
	}
	if have, err = have.Reshape(want.Shape()...); err != nil || !have.Equal(want) {
		t.Errorf("a picture gives %v, %v, a data set %v", have, err, want)
	}
}

func TestCountText(t *testing.T) {
	for n, want := range map[int64]string{
		-1: "data decides", 0: "0", 999: "999", 1000: "1.00 k", 9994: "9.99 k", 9995: "10.0 k", 99940: "99.9 k", 99960: "100 k",
		999400: "999 k", 999600: "1.00 M", 2_040_000: "2.04 M", 7_800_000_000: "7.80 G", math.MaxInt64: "9.22 E",
	} {
		if got := countText(n); got != want {
			t.Errorf("%d: %q, want %q", n, got, want)
		}
	}
}

// TestLayerOutputs finds what layers give: not what they read, not what only they need, and of nested layers each its own.
func TestLayerOutputs(t *testing.T) {
	m := graph.NewModule("m")
	v := m.Variable("v", graph.F32, []int{2}, func(f *graph.Func, _ graph.Value) graph.Value {
		return ops.RandomUniform(f, graph.F32, 0, 1, 2)
	})
	f := m.Func("f")
	x := f.Input("x", graph.F32, "N", 2)
	want := map[string]graph.Value{}
	var y graph.Value
	m.At(graph.Pos{}, "block", func() {
		m.At(graph.Pos{}, "norm", func() {
			y = ops.Add(x, v.Read(f))
			want["block.norm"] = y
			f.Update(v, ops.ReduceMean(y, []int{0}, false)) // comes last, but nobody takes it
		})
		y = ops.ReLU(y)
		want["block"] = y
	})
	m.At(graph.Pos{}, "opt", func() { want["opt"] = ops.Neg(ops.Neg(v.Read(f))) })
	f.Return("y", ops.Exp(y))
	if err := m.Err(); err != nil {
		t.Fatal(err)
	}
	d := declaredIn(f)
	if len(d.layers) != len(want) {
		t.Errorf("layers %v, want %d", d.paths, len(want))
	}
	for path, v := range want {
		if d.layers[path] != v {
			t.Errorf("%s gives %s, want %s", path, d.text(d.layers[path]), d.text(v))
		}
	}
}

// TestExamples runs the examples of the commands' help as they are written. Those of train are held against its flags only.
func TestExamples(t *testing.T) {
	dir := t.TempDir()
	t.Chdir(dir)
	m, err := buildModel("lenet5", defaultOptimizer, defaultLR)
	if err != nil {
		t.Fatal(err)
	}
	prog, err := compile.Compile(m)
	if err != nil {
		t.Fatal(err)
	}
	sess, err := graphruntime.NewSession(prog)
	if err != nil {
		t.Fatal(err)
	}
	for _, dir := range []string{"lenet5", "trained"} {
		if err := artifact.Save(dir, m, sess.Variables()); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Link("lenet5/model.safetensors", "pytorch.safetensors"); err != nil {
		t.Fatal(err)
	}
	write := func(name string, write func(w io.Writer) error) {
		t.Helper()
		if err := atomicfile.Write(name, write); err != nil {
			t.Fatal(err)
		}
	}
	img := image.NewGray(image.Rect(0, 0, 28, 28))
	write("lenet5/sample.png", func(w io.Writer) error { return png.Encode(w, img) })
	write("photo.jpg", func(w io.Writer) error { return jpeg.Encode(w, img, nil) })
	write("model.graph", func(w io.Writer) error { return graph.Print(w, m, graph.PrintOptions{}) })
	x, err := value.New(value.F32, 1, 1, 28, 28)
	if err != nil {
		t.Fatal(err)
	}
	out, err := sess.Run(t.Context(), predictFunc, map[string]value.Value{"image": x})
	if err != nil {
		t.Fatal(err)
	}
	for name, arrays := range map[string]map[string]*value.Tensor{
		"batch.npz":    {"image": x, "label": tensorOf(t, value.I64, "[3]")},
		"in.npz":       {"image": x},
		"expected.npz": {"logits": out[logitsResult].(*value.Tensor)},
	} {
		write(name, func(w io.Writer) error { return npy.WriteNPZ(w, arrays) })
	}
	if err := writeDigits("few", 1, 20); err != nil {
		t.Fatal(err)
	}
	lines := map[string]bool{}
	root := newRoot(io.Discard)
	for _, cmd := range append(root.Commands(), root) {
		if cmd.Example == "" {
			t.Errorf("%s has no examples", cmd.CommandPath())
		}
		for line := range strings.Lines(cmd.Example) {
			line, _, _ = strings.Cut(strings.TrimSpace(line), "  ") // what follows explains it
			line, _, _ = strings.Cut(line, " | ")
			args := strings.Fields(strings.ReplaceAll(line, "'", ""))
			if lines[line] || len(args) == 0 || args[0] != "graphrun" {
				continue // such as source <(graphrun ...)
			}
			lines[line] = true
			args = args[1:]
			if args[0] == "train" {
				args = append(args, "--help")
			}
			if i := slices.Index(args, builtinDigits); i >= 0 {
				args[i] = "few" // drawing all takes seconds
			}
			var stdout, stderr bytes.Buffer
			if code := run(t.Context(), args, &stdout, &stderr); code != 0 {
				t.Errorf("%s: exit code %d: %s", line, code, &stderr)
			}
		}
	}
}

// TestEveryFlag holds what every command does with --help, with a flag that there is not, and with each of its flags when the value is
// missing or no such value.
func TestEveryFlag(t *testing.T) {
	runs := func(args ...string) (code int, stdout, stderr string) {
		var out, errs bytes.Buffer
		code = run(t.Context(), args, &out, &errs)
		return code, out.String(), errs.String()
	}
	refused := func(want string, args ...string) {
		t.Helper()
		code, stdout, stderr := runs(args...)
		if code != exitUsage || stdout != "" || !strings.Contains(stderr, want) || strings.Count(stderr, "\n") != 1 {
			t.Errorf("%v: exit code %d, stdout %q, stderr %q; want %d and %q", args, code, stdout, stderr, exitUsage, want)
		}
	}
	root := newRoot(io.Discard)
	for _, cmd := range root.Commands() {
		name := cmd.Name()
		code, stdout, stderr := runs(name, "--help")
		if code != 0 || stderr != "" || !strings.Contains(stdout, "\nUsage:\n  graphrun "+name) || !strings.Contains(stdout, "\nExamples:\n  ") {
			t.Errorf("%s --help: exit code %d, stderr %q, stdout:\n%s", name, code, stderr, stdout)
		}
		if name == "help" || name == "completion" {
			continue
		}
		refused(name+": there is no flag --never", name, "--never")
		cmd.Flags().VisitAll(func(f *pflag.Flag) {
			flag := "--" + f.Name
			if !strings.Contains(stdout, flag+" ") {
				t.Errorf("%s --help does not list %s", name, flag)
			}
			if f.Usage == "" {
				t.Errorf("%s %s has no help", name, flag)
			}
			switch f.Value.Type() {
			case "bool":
				refused(fmt.Sprintf("%s: %s never: want true or false", name, flag), name, flag+"=never")
			case "string", "stringArray", "stringSlice":
				refused(fmt.Sprintf("%s: %s: want ", name, flag), name, flag)
			default:
				refused(fmt.Sprintf("%s: %s: want a ", name, flag), name, flag)
				refused(fmt.Sprintf("%s: %s never: want a ", name, flag), name, flag, "never")
			}
		})
	}
}
