//go:build linux

package main

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/graphrun/graphrun/models/train"
)

const (
	// hostileLimit is GOMEMLIMIT of the commands, in MiB, and hostilePeak what one may take at its peak: the limit is one of Go's heap, and the
	// program itself, stacks and what the collector has not yet got round to come on top.
	hostileLimit, hostilePeak = 256, 512
	// hostileTime is how long a command may take on a busy machine before it counts as one that does not end.
	hostileTime = 2 * time.Minute
)

// oneFunc is the text of a module of one function @f of an input %x of f32[2].
func oneFunc(body string) string {
	return "graphrun 2\nmodule @m\nfunc @f(%x: f32[2]) {\n" + body + "}\n"
}

// repeated joins what each gives for the numbers below n.
func repeated(n int, each func(i int) string) string {
	var b strings.Builder
	for i := range n {
		b.WriteString(each(i))
	}
	return b.String()
}

// hostileTexts are small modules that ask for much, and large ones.
func hostileTexts() map[string]string {
	calls := func(depth int) string {
		return "graphrun 2\nmodule @m\nfunc @g0(%x: f32[2]) {\n  %y = exp %x\n  return y: %y\n}\n" + repeated(depth, func(i int) string {
			name := fmt.Sprintf("g%d", i+1)
			if i == depth-1 {
				name = "f"
			}
			return fmt.Sprintf("func @%s(%%x: f32[2]) {\n  %%a = call %%x {func=@g%d, results=1}\n  %%b = call %%a {func=@g%d, results=1}\n  return y: %%b\n}\n", name, i, i)
		})
	}
	sized := func(text string) string {
		return oneFunc("  %s = reduce_sum %x {axes=[0]}\n" + text + "  return y: %y\n")
	}
	list := func(n int) string { return strings.TrimSuffix(strings.Repeat("1,", n), ",") }
	names := strings.Repeat("n", 1<<22)
	return map[string]string{
		"calls-29": calls(29),
		"calls-14": calls(14),
		"itself":   oneFunc("  %y = call %x {func=@f, results=1}\n  return y: %y\n"),
		"cycle":    "graphrun 2\nmodule @m\nfunc @f(%x: f32[2]) {\n  %y = call %x {func=@g, results=1}\n  return y: %y\n}\nfunc @g(%x: f32[2]) {\n  %y = call %x {func=@f, results=1}\n  return y: %y\n}\n",
		"results":  oneFunc("  %y = call %x {func=@g, results=1000000000000}\n  return y: %y\n"),
		"split":    oneFunc("  %y = split %x {axis=0, sizes=[" + list(1<<20) + "]}\n  return y: %y\n"),
		"gradients": oneFunc("  %y0 = exp %x\n  %z0 = mul %y0, %x\n" + repeated(24, func(i int) string {
			return fmt.Sprintf("  %%s%d = reduce_sum %%z%d {axes=[0]}\n  %%g%d = grad %%s%d, %%x\n  %%z%d = mul %%g%d, %%z%d\n", i, i, i, i, i+1, i, i)
		}) + "  return y: %z24\n"),
		"concats":     oneFunc("  %c0 = constant {value=f32[2] [1,2]}\n" + repeated(50, func(i int) string { return fmt.Sprintf("  %%c%d = concat %%c%d, %%c%d {axis=0}\n", i+1, i, i) }) + "  %s = reduce_sum %c50 {axes=[0]}\n  %y = add %x, %s\n  return y: %y\n"),
		"expand":      sized("  %y = expand %s {shape=[1000000,1000000,1000000]}\n"),
		"expand-max":  sized("  %y = expand %s {shape=[9223372036854775807,9223372036854775807]}\n"),
		"expand-some": sized("  %y = expand %s {shape=[40000000]}\n"),
		"fused":       sized("  %e = expand %s {shape=[1000000,1000000,1000000]}\n  %c = exp %e\n  %y = reduce_sum %c {axes=[1]}\n"),
		"empty":       sized("  %e = expand %s {shape=[1000000000000,0]}\n  %y = cumsum %e {axis=0}\n"),
		"empty-fold":  oneFunc("  %c = constant {value=f32[1,0] []}\n  %e = expand %c {shape=[1000000000000,0]}\n  %t = cumsum %e {axis=0, exclusive=false, reverse=false}\n  %q, %i = sort %e {axis=0, descending=false}\n  %r = reduce_sum %t {axes=[0,1]}\n  %y = add %x, %r\n  return y: %y, q: %q\n"),
		"iota":        oneFunc("  %i = iota {axis=0, dtype=i64, shape=[1000000000000]}\n  %y = reduce_sum %i {axes=[0]}\n  return y: %y\n"),
		"pad":         oneFunc("  %z = constant {value=f32[] [0]}\n  %y = pad %x, %z {high=[1000000000000], low=[0]}\n  return y: %y\n"),
		"pad-fold":    oneFunc("  %c = constant {value=f32[2] [1,2]}\n  %z = constant {value=f32[] [0]}\n  %p = pad %c, %z {high=[1000000000000], low=[0]}\n  %s = reduce_sum %p {axes=[0]}\n  %y = add %x, %s\n  return y: %y\n"),
		"matmul":      sized("  %a = expand %s {shape=[3000000,4]}\n  %b = expand %s {shape=[4,3000000]}\n  %y = matmul %a, %b\n"),
		"conv":        sized("  %a = expand %s {shape=[1,1,3000]}\n  %w = expand %s {shape=[1,1,3]}\n  %y = conv %a, %w {dilations=[1000000000000], groups=1, pads=[2000000000000,2000000000000], strides=[1]}\n"),
		"random":      oneFunc("  %k = constant {value=u64[2] [1,2]}\n  %y = random_uniform %k {dtype=f32, high=1, low=0, shape=[100000000000], stream=0}\n  return y: %y\n"),
		"claimed":     oneFunc("  %y = constant {value=f32[1000000000000] [1,2]}\n  return y: %y\n"),
		"literal":     oneFunc("  %y = constant {value=f64[4000000] [" + list(4000000) + "]}\n  return y: %y\n"),
		"brackets":    oneFunc("  %y = constant {value=f64[1] " + strings.Repeat("[", 1<<22) + "}\n  return y: %y\n"),
		"dims":        oneFunc("  %y = expand %x {shape=[" + strings.Repeat("(", 1<<20) + "2" + strings.Repeat(")", 1<<20) + "]}\n  return y: %y\n"),
		"rank":        oneFunc("  %y = reshape %x {shape=[2" + strings.Repeat(",1", 1<<20) + "]}\n  return y: %y\n"),
		"polynomial":  "graphrun 2\nmodule @m\nfunc @f(%x: f32[2], %a: f32[A,B,C,D,E,F,G,H,I,J]) {\n  %s = reduce_sum %x {axes=[0]}\n  %y = expand %s {shape=[" + strings.TrimSuffix(strings.Repeat("(A+B+C+D+E+F+G+H+I+J)*", 24), "*") + "]}\n  return y: %y\n}\n",
		"name":        oneFunc("  %" + names + " = exp %x\n  return y: %" + names + "\n"),
		"string":      oneFunc("  %y = exp %x loc(\"" + names + ".go\":1, \"" + names + "\")\n  return y: %y\n"),
		"functions": "graphrun 2\nmodule @m\n" + repeated(30000, func(i int) string {
			return fmt.Sprintf("func @g%d(%%x: f32[2]) {\n  %%y = exp %%x\n  return y: %%y\n}\n", i)
		}) + "func @f(%x: f32[2]) {\n  return y: %x\n}\n",
		"nodes": oneFunc("  %y0 = exp %x\n" + repeated(200000, func(i int) string { return fmt.Sprintf("  %%y%d = exp %%y%d\n", i+1, i) }) + "  return y: %y200000\n"),
		"variables": "graphrun 2\nmodule @m\n" + repeated(40, func(i int) string {
			return fmt.Sprintf("var @w%d: f32[10000000] = init(%%key: u64[2]) {\n  %%z = constant {value=f32[] [0]}\n  %%e = expand %%z {shape=[10000000]}\n  return value: %%e\n}\n", i)
		}) + "func @f(%x: f32[2]) {\n  return y: %x\n}\n",
		"regions":      oneFunc("  %y = custom_grad %x " + strings.Repeat("region(%x: f32[2]) {\n  %y = custom_grad %x ", 100000)),
		"line":         "graphrun 2\nmodule @m\n" + strings.Repeat("x", 40<<20),
		"zeros":        strings.Repeat("\x00", 40<<20),
		"half a quote": "graphrun 2\nmodule @m\nmeta \"doc\" = \"" + strings.Repeat(`\x1b`, 1<<20),
	}
}

// hostileWeights are files beside the text of a model with a variable.
func hostileWeights() map[string][]byte {
	with := func(length uint64, header string) []byte {
		return append(binary.LittleEndian.AppendUint64(nil, length), header...)
	}
	whole := func(header string) []byte { return with(uint64(len(header)), header) }
	return map[string][]byte{
		"length-max":  with(1<<64-1, "{"),
		"length-100m": with(100_000_000, "{"),
		"header-90m":  whole("{" + strings.Repeat(" ", 90_000_000) + "}"),
		"claims":      whole(`{"w":{"dtype":"F32","shape":[1000000000000],"data_offsets":[0,4000000000000]}}`),
		"overflow":    whole(`{"w":{"dtype":"F32","shape":[9223372036854775807,9223372036854775807],"data_offsets":[0,4]}}`),
		"nested":      whole(strings.Repeat("{\"a\":", 1<<20)),
		"shape":       whole(`{"w":{"dtype":"F32","shape":[` + strings.Repeat("1,", 1<<20) + `1],"data_offsets":[0,4]}}`),
		"many":        whole("{" + strings.TrimSuffix(repeated(50000, func(i int) string { return fmt.Sprintf(`"w%d":{"dtype":"F32","shape":[0],"data_offsets":[0,0]},`, i) }), ",") + "}"),
		"empty":       nil,
	}
}

// hostileCorpus writes the files that are wanted, and returns the models by name.
func hostileCorpus(t *testing.T, wanted func(name string) bool) map[string]string {
	dir, models := t.TempDir(), map[string]string{}
	defer maps.DeleteFunc(models, func(name, _ string) bool { return !wanted(name) })
	write := func(file string, data []byte) string {
		if err := os.MkdirAll(filepath.Dir(file), 0o777); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, data, 0o666); err != nil {
			t.Fatal(err)
		}
		return file
	}
	for name, text := range hostileTexts() {
		if !wanted(name) {
			continue
		}
		models[name] = write(filepath.Join(dir, "text", name+".graph"), []byte(text))
	}
	escapes, err := os.ReadFile(filepath.Join("..", "..", "testdata", "hostile", "escapes.graph"))
	if err != nil {
		t.Fatal(err)
	}
	models["escapes"] = write(filepath.Join(dir, "text", "escapes.graph"), escapes)
	good := "graphrun 2\nmodule @m\nvar @w: f32[2] = init(%key: u64[2]) {\n  %c = constant {value=f32[2] [1,2]}\n  return value: %c\n}\n" +
		"func @f(%x: f32[2]) {\n  %w = read {var=@w}\n  %y = add %x, %w\n  return y: %y\n}\n"
	for name, data := range hostileWeights() {
		if !wanted("weights " + name) {
			continue
		}
		models["weights "+name] = filepath.Join(dir, "weights", name)
		write(filepath.Join(models["weights "+name], "model.graph"), []byte(good))
		write(filepath.Join(models["weights "+name], "model.safetensors"), data)
	}
	sparse := filepath.Join(dir, "weights", "sparse")
	write(filepath.Join(sparse, "model.graph"), []byte(good))
	header := `{"w":{"dtype":"F32","shape":[250000000000],"data_offsets":[0,1000000000000]}}`
	file := write(filepath.Join(sparse, "model.safetensors"), append(binary.LittleEndian.AppendUint64(nil, uint64(len(header))), header...))
	if err := os.Truncate(file, int64(8+len(header))+1e12); err == nil { // where the file system has such files
		models["weights sparse"] = sparse
	}
	for name, file := range map[string]string{"endless text": "model.graph", "endless weights": "model.safetensors"} {
		models[name] = filepath.Join(dir, name)
		write(filepath.Join(models[name], "model.graph"), []byte(good))
		write(filepath.Join(models[name], "model.safetensors"), nil)
		at := filepath.Join(models[name], file)
		if err := os.Remove(at); err != nil {
			t.Fatal(err)
		}
		if err := os.Symlink("/dev/zero", at); err != nil {
			t.Fatal(err)
		}
	}
	models["endless"] = filepath.Join(dir, "endless.graph")
	if err := os.Symlink("/dev/zero", models["endless"]); err != nil {
		t.Fatal(err)
	}
	models["directory"] = filepath.Join(dir, "directory.graph")
	if err := os.Mkdir(models["directory"], 0o777); err != nil {
		t.Fatal(err)
	}
	return models
}

// fewHostile are the files that are read wherever tests run: one of each kind of what they ask for.
var fewHostile = []string{
	"calls-29", "concats", "empty-fold", "expand", "gradients", "variables", "endless", "escapes", "weights claims", "weights many", "weights nested",
}

// TestHostileFiles runs commands that read a model on files made to exhaust memory or time, with little memory: each ends, with one of the
// exit codes that there are, without a fault of its own, and within its memory. With GRAPHRUN_HOSTILE set, which takes minutes, these are all
// commands and files, else the commands that do most with a few of the files.
func TestHostileFiles(t *testing.T) {
	all := os.Getenv("GRAPHRUN_HOSTILE") != ""
	if !all && testing.Short() {
		t.Skip("dozens of processes are not run with -short")
	}
	t.Parallel()
	bin, out := buildCommand(t), t.TempDir()
	models := hostileCorpus(t, func(name string) bool { return all || slices.Contains(fewHostile, name) })
	for _, name := range slices.Sorted(maps.Keys(models)) {
		model := models[name]
		runs := [][]string{
			{"inspect", model, "--nodes", "--func", "f"},
			{"passes", model, "--check"},
			{"run", model, "--func", "f", "--input", "x=[1,2]", "--check", "--json"},
			{"convert", model, "-o", filepath.Join(out, name+"-saved")},
		}
		if all {
			resumed := filepath.Join(out, name)
			last := filepath.Join(resumed, train.CheckpointDir)
			if err := os.MkdirAll(last, 0o777); err != nil {
				t.Fatal(err)
			}
			text, weights := model, filepath.Join(model, "model.safetensors")
			if info, err := os.Stat(model); err == nil && info.IsDir() {
				text = filepath.Join(model, "model.graph")
			}
			_ = os.Symlink(text, filepath.Join(last, train.CheckpointGraph))
			_ = os.Symlink(weights, filepath.Join(last, train.CheckpointLast))
			runs = append(runs, [][]string{
				{"inspect", model},
				{"passes", model},
				{"passes", model, "--dump", "all"},
				{"bisect", model},
				{"run", model, "--func", "f", "--input", "x=[1,2]"},
				{"dot", model, "--func", "f", "-o", filepath.Join(out, name+".dot")},
				{"diff", model, model},
				{"diff", "softmax", model},
				{"train", model, "--out", filepath.Join(out, name+"-trained")},
				{"train", "--resume", "--out", resumed},
			}...)
		}
		for i, args := range runs {
			t.Run(fmt.Sprintf("%s/%d-%s", name, i, args[0]), func(t *testing.T) {
				t.Parallel()
				hostile(t, bin, name, args)
			})
		}
	}
}

// TestHostileArrays is the same for arrays that are given as inputs.
func TestHostileArrays(t *testing.T) {
	if testing.Short() {
		t.Skip("-short: no processes are run")
	}
	t.Parallel()
	bin, dir := buildCommand(t), t.TempDir()
	write := func(name string, data string) string {
		file := filepath.Join(dir, name)
		if err := os.WriteFile(file, []byte(data), 0o666); err != nil {
			t.Fatal(err)
		}
		return file
	}
	array := func(dtype, shape string, size int) string {
		header := "{'descr': '" + dtype + "', 'fortran_order': False, 'shape': " + shape + "}"
		return "\x93NUMPY\x01\x00" + string(binary.LittleEndian.AppendUint16(nil, uint16(len(header)))) + header + strings.Repeat("\x00", size)
	}
	plain := "func @f(%x: f32[N,C]) {\n  %s = reduce_sum %x {axes=[1]}\n  return s: %s\n}\n"
	models := []string{
		write("plain.graph", "graphrun 2\nmodule @m\n"+plain),
		write("prepared.graph", "graphrun 2\nmodule @m\nmeta \"preprocess.x\" = \"numbers mean=0.5 std=2\"\n"+plain),
	}
	for name, data := range map[string]string{
		"columns": array("<f8", "(0,1099511627776)", 0),
		"rows":    array("<f8", "(1099511627776,0)", 0),
		"bytes":   array("|u1", "(1,40000000)", 40_000_000),
		"halves":  array("<f2", "(1,40000000)", 80_000_000),
		"rank":    array("|u1", "("+strings.Repeat("1,", 30000)+")", 1),
	} {
		file := write(name+".npy", data)
		for _, model := range models {
			hostile(t, bin, name+" of "+filepath.Base(model), []string{"run", model, "--func", "f", "--json", "--input", "x=" + file})
		}
	}
}

// hostile runs a command.
func hostile(t *testing.T, bin, name string, args []string) {
	ctx, cancel := context.WithTimeout(t.Context(), hostileTime)
	defer cancel()
	cmd := exec.CommandContext(ctx, bin, args...)
	cmd.Env = append(os.Environ(), fmt.Sprintf("GOMEMLIMIT=%dMiB", hostileLimit))
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	err := cmd.Run()
	said := stderr.String()
	if len(said) > 400 {
		said = said[:400] + "..."
	}
	what := name + ": " + args[0] + " " + strings.Join(args[2:], " ")
	if ctx.Err() != nil {
		t.Errorf("%s does not end", what)
		return
	}
	if code := cmd.ProcessState.ExitCode(); !slices.Contains([]int{0, exitFailed, exitUsage}, code) {
		t.Errorf("%s: %v: %s", what, err, said)
	}
	if strings.Contains(said, "BUG") || stderr.Len() > 1<<20 {
		t.Errorf("%s says %d bytes: %s", what, stderr.Len(), said)
	}
	if usage, ok := cmd.ProcessState.SysUsage().(*syscall.Rusage); ok && usage.Maxrss>>10 > hostilePeak {
		t.Errorf("%s takes %d MiB of memory, want at most %d: %s", what, usage.Maxrss>>10, hostilePeak, said)
	}
}
