package main

import (
	"archive/zip"
	"bytes"
	"errors"
	"fmt"
	"image"
	"image/color"
	"image/png"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
	"github.com/sbinet/npyio"
	"golang.org/x/term"

	"github.com/graphrun/graphrun/graph/value"
	"github.com/graphrun/graphrun/graph/value/atomicfile"
	"github.com/graphrun/graphrun/models/data"
	"github.com/graphrun/graphrun/models/data/digits"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"graphrun": checkedMain})
}

// checkedMain is the command that scripts run. It also holds what every failing command must do: its exit code is one of the
// documented ones, and its standard error has exactly one line of an error. One that does not succeeds, which fails the script.
func checkedMain() {
	if term.IsTerminal(int(os.Stderr.Fd())) {
		main()
	}
	var stderr bytes.Buffer
	code := process(io.MultiWriter(os.Stderr, &stderr))
	errs := 0
	for line := range strings.Lines(stderr.String()) {
		if strings.HasPrefix(line, "graphrun: ") && !strings.HasPrefix(line, "graphrun: note: ") && !strings.HasPrefix(line, "graphrun: check: ") {
			errs++
		}
	}
	want := 1
	if code == 0 {
		want = 0
	}
	if errs != want || !slices.Contains([]int{0, exitFailed, exitUsage, exitInterrupted}, code) {
		fmt.Fprintf(os.Stderr, "BAD: exit code %d with %d lines of errors\n", code, errs)
		if code == 0 {
			code = exitFailed
		} else {
			code = 0
		}
	}
	os.Exit(code)
}

func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir:           "../../testdata/scripts",
		UpdateScripts: os.Getenv("UPDATE") != "",
		Cmds: map[string]func(ts *testscript.TestScript, neg bool, args []string){
			"mkmnist": mkmnist, "mkpng": mkpng, "mknpy": mknpy, "mknpz": mknpz, "hugegif": hugegif,
			"exits": exits, "capture": capture, "cpdir": cpdir, "flip": flip,
			"mkpictures": mkpictures, "mkkeras": mkkeras,
		},
		Condition:          sharedData,
		RequireUniqueNames: true,
		Setup: func(env *testscript.Env) error {
			formats, err := filepath.Abs("../../testdata/formats")
			env.Setenv("DATA", os.Getenv("GRAPHRUN_DATA"))
			env.Setenv("FORMATS", formats) // saved models, by the version of the format
			return err
		},
	})
}

// mkmnist DIR TRAIN TEST writes some of the built-in digits in the files of MNIST.
func mkmnist(ts *testscript.TestScript, _ bool, args []string) {
	train, err := strconv.Atoi(args[1])
	ts.Check(err)
	test, err := strconv.Atoi(args[2])
	ts.Check(err)
	ts.Check(writeDigits(ts.MkAbs(args[0]), train, test))
}

// writeDigits writes some of the built-in digits in the files of MNIST.
func writeDigits(dir string, train, test int) error {
	if err := os.MkdirAll(dir, 0o777); err != nil {
		return err
	}
	for i, part := range []struct {
		prefix string
		n      int
	}{{"train", train}, {"t10k", test}} {
		set, err := digits.Generate(digits.Options{N: part.n, Seed: uint64(i)})
		if err != nil {
			return err
		}
		s := set.Pixels().Shape()
		pixels, err := set.Pixels().Reshape(s[0], s[2], s[3])
		if err != nil {
			return err
		}
		labels, err := value.CastExactly(set.Labels(), pixels.DType())
		if err != nil {
			return err
		}
		for name, t := range map[string]*value.Tensor{"images-idx3": pixels, "labels-idx1": labels} {
			err := atomicfile.Write(filepath.Join(dir, part.prefix+"-"+name+"-ubyte"), func(w io.Writer) error { return data.WriteIDX(w, t) })
			if err != nil {
				return err
			}
		}
	}
	return nil
}

// mkpng FILE WIDTH HEIGHT writes a colour picture.
func mkpng(ts *testscript.TestScript, _ bool, args []string) {
	w, err := strconv.Atoi(args[1])
	ts.Check(err)
	h, err := strconv.Atoi(args[2])
	ts.Check(err)
	img := image.NewRGBA(image.Rect(0, 0, w, h))
	for y := range h {
		for x := range w {
			img.Set(x, y, color.RGBA{R: uint8(x), G: uint8(y), B: uint8(x * y), A: 255})
		}
	}
	f, err := os.Create(ts.MkAbs(args[0]))
	ts.Check(err)
	ts.Check(png.Encode(f, img))
	ts.Check(f.Close())
}

// mknpy FILE NUMBER... writes an f8 vector.
func mknpy(ts *testscript.TestScript, _ bool, args []string) {
	var xs []float64
	for _, a := range args[1:] {
		x, err := strconv.ParseFloat(a, 64)
		ts.Check(err)
		xs = append(xs, x)
	}
	f, err := os.Create(ts.MkAbs(args[0]))
	ts.Check(err)
	ts.Check(npyio.Write(f, xs))
	ts.Check(f.Close())
}

// mknpz FILE NAME=NUMBER,... writes f8 vectors by name.
// The list "object" stands for an array of a dtype that tensors have not.
func mknpz(ts *testscript.TestScript, _ bool, args []string) {
	f, err := os.Create(ts.MkAbs(args[0]))
	ts.Check(err)
	z := zip.NewWriter(f)
	for _, a := range args[1:] {
		name, list, _ := strings.Cut(a, "=")
		if list == "object" { // as np.array([None])
			w, err := z.Create(name + ".npy")
			ts.Check(err)
			_, err = io.WriteString(w, "\x93NUMPY\x01\x00\x3a\x00{'descr': '|O', 'fortran_order': False, 'shape': (1,), }   \n\x80\x04")
			ts.Check(err)
			continue
		}
		var xs []float64
		for text := range strings.SplitSeq(list, ",") {
			x, err := strconv.ParseFloat(text, 64)
			ts.Check(err)
			xs = append(xs, x)
		}
		w, err := z.Create(name + ".npy")
		ts.Check(err)
		ts.Check(npyio.Write(w, xs))
	}
	ts.Check(z.Close())
	ts.Check(f.Close())
}

// hugegif FILE writes the header of a picture that is too large to decode.
func hugegif(ts *testscript.TestScript, _ bool, args []string) {
	ts.Check(os.WriteFile(ts.MkAbs(args[0]), []byte("GIF89a\xff\xff\xff\xff\x00\x00\x00"), 0o666))
}

// exits CODE COMMAND... runs a command that must end with an exit code.
func exits(ts *testscript.TestScript, _ bool, args []string) {
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	err = ts.Exec(args[1], args[2:]...)
	have := 0
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		have = exit.ExitCode()
	}
	if have != want {
		ts.Fatalf("exit code %d, want %d", have, want)
	}
}

// capture NAME REGEXP sets a variable to what the first group matches in the last command's standard output.
func capture(ts *testscript.TestScript, _ bool, args []string) {
	m := regexp.MustCompile(args[1]).FindStringSubmatch(ts.ReadFile("stdout"))
	if m == nil {
		ts.Fatalf("no match for %s", args[1])
	}
	ts.Setenv(args[0], m[1])
}

// flip FILE flips a bit of the last byte.
func flip(ts *testscript.TestScript, _ bool, args []string) {
	text := []byte(ts.ReadFile(args[0]))
	text[len(text)-1] ^= 1
	ts.Check(os.WriteFile(ts.MkAbs(args[0]), text, 0o666))
}

// cpdir FROM TO copies a directory.
func cpdir(ts *testscript.TestScript, _ bool, args []string) {
	ts.Check(os.CopyFS(ts.MkAbs(args[1]), os.DirFS(ts.MkAbs(args[0]))))
}
