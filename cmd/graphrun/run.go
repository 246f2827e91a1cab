package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/graphrun/graphrun/compile"
	"github.com/graphrun/graphrun/graph"
	"github.com/graphrun/graphrun/models/train"
	"github.com/graphrun/graphrun/runtime"
	"github.com/graphrun/graphrun/runtime/program"
	"github.com/graphrun/graphrun/runtime/value"
	"github.com/graphrun/graphrun/runtime/value/npy"
)

func init() { commands = append(commands, runCommand) }

// What the models' functions are called.
const (
	predictFunc  = "predict"
	imageInput   = "image"
	labelInput   = "label"
	trainFunc    = "train"
	evalFunc     = "eval"
	logitsResult = "logits"
)

type runOptions struct {
	dir    string
	fn     string
	inputs []string
	invert bool
	data   dataOptions
	batch  int
	json   bool
	exec   execOptions
}

func runCommand() *cobra.Command {
	var o runOptions
	cmd := &cobra.Command{
		Use:   "run DIR --input NAME=FILE | --data DIR",
		Short: "Run a saved model on a picture, on arrays, or on a test set",
		Long: `run loads a model that train saved and runs one of its functions.

An input is a picture (PNG, JPEG or GIF; made grey, resized to the size the model takes, and scaled to [0,1]), an
array (.npy; its dtype may differ from the model's if every element can be converted exactly), or a list of numbers
in brackets. With --data the model is evaluated on the test images of a data set; the accuracy does not depend on
--batch.`,
		Example: `  graphrun run lenet5 --input image=lenet5/sample.png
  graphrun run lenet5 --input image=photo.jpg --invert --json
  graphrun run lenet5 --func eval --input image=x.npy --input label=[7]
  graphrun run lenet5 --data mnist/ --batch 100`,
		Args: exactArg("the directory of a saved model"),
		RunE: func(cmd *cobra.Command, args []string) error {
			o.dir = args[0]
			switch {
			case o.data.name == "" && len(o.inputs) == 0:
				return usagef("run: nothing to run on: give --input NAME=FILE or --data DIR")
			case o.data.name != "" && (len(o.inputs) > 0 || cmd.Flags().Changed("func")):
				return usagef("run: --data evaluates the model, and goes with neither --input nor --func")
			case o.batch < 1:
				return usagef("run: --batch %d: want at least 1", o.batch)
			}
			return runRun(cmd.Context(), o, cmd.OutOrStdout(), cmd.ErrOrStderr())
		},
	}
	f := cmd.Flags()
	f.StringVar(&o.fn, "func", predictFunc, "the function to run")
	f.StringArrayVar(&o.inputs, "input", nil, "`NAME=FILE`: what an input of the function takes; once per input")
	f.BoolVar(&o.invert, "invert", false, "swap black and white in pictures: the models expect light on dark")
	o.data.flags(cmd, "")
	f.IntVar(&o.batch, "batch", 100, "with --data, examples at a time")
	f.BoolVar(&o.json, "json", false, "print JSON")
	o.exec.flags(cmd)
	return cmd
}

func runRun(ctx context.Context, o runOptions, stdout, stderr io.Writer) error {
	compileOpts, err := o.exec.apply()
	if err != nil {
		return err
	}
	saved, err := loadSaved(o.dir)
	if err != nil {
		return err
	}
	prog, err := compile.Compile(saved.module, compileOpts...)
	if err != nil {
		return err
	}
	sess, err := runtime.NewSession(prog, o.exec.session(runtime.Weights(saved.weights))...)
	if err != nil {
		return err
	}
	checked := func(fn string, feeds map[string]value.Value) error {
		if !o.exec.check {
			return nil
		}
		return check(ctx, stderr, saved.module, compile.Inputs{Func: fn, Feeds: feeds, Variables: saved.weights}, compileOpts)
	}
	if o.data.name != "" {
		return runEval(ctx, o, sess, checked, stdout)
	}
	feeds, notices, err := readInputs(prog, o.fn, o.inputs, o.invert)
	if err != nil {
		return err
	}
	for _, n := range notices {
		fmt.Fprintf(stderr, "graphrun: note: %s\n", n)
	}
	if err := checked(o.fn, feeds); err != nil {
		return err
	}
	out, err := sess.Run(ctx, o.fn, feeds)
	if err != nil {
		return err
	}
	return printResults(stdout, prog.Funcs[o.fn], out, saved.classes, o.json)
}

func runEval(ctx context.Context, o runOptions, sess *runtime.Session, checked func(fn string, feeds map[string]value.Value) error, stdout io.Writer) error {
	ds, err := loadData(o.data.name, o.data)
	if err != nil {
		return err
	}
	testSet := ds.Test
	feeds, err := firstExamples(testSet, o.batch)
	if err != nil {
		return err
	}
	if err := checked(evalFunc, feeds); err != nil {
		return err
	}
	start := time.Now()
	score, err := train.Evaluate(ctx, sess, testSet, o.batch)
	if err != nil {
		return err
	}
	speed := float64(score.Samples) / max(time.Since(start).Seconds(), 1e-9)
	if o.json {
		return printJSON(stdout, map[string]any{
			"test_accuracy": score.Accuracy(), "test_correct": score.Correct, "test_samples": score.Samples,
			"test_loss": number(score.Loss), "samples_per_second": number(speed),
		})
	}
	_, err = fmt.Fprintf(stdout, "test accuracy %s, test loss %.4f, %.0f samples/s\n", accuracyText(score.Correct, score.Samples), score.Loss, speed)
	return err
}

// readInputs reads what the flags name=file give for the inputs of a function. Notices say what was done to fit a
// picture to its input.
func readInputs(prog *program.Program, fn string, args []string, invert bool) (feeds map[string]value.Value, notices []string, err error) {
	f := prog.Funcs[fn]
	if f == nil {
		return nil, nil, usagef("run: --func %s: the model has no such function: want one of %s", fn, strings.Join(slices.Sorted(maps.Keys(prog.Funcs)), ", "))
	}
	var names []string
	for _, p := range f.Inputs {
		names = append(names, p.Name)
	}
	feeds = map[string]value.Value{}
	env := map[string]graph.Dim{}
	for _, arg := range args {
		name, file, ok := strings.Cut(arg, "=")
		if !ok || name == "" || file == "" {
			return nil, nil, usagef("run: --input %s: want NAME=FILE, such as %s=picture.png", arg, imageInput)
		}
		i := slices.Index(names, name)
		if i < 0 {
			return nil, nil, usagef("run: --input %s: %s has no such input: want %s", arg, fn, strings.Join(names, ", "))
		}
		if feeds[name] != nil {
			return nil, nil, usagef("run: --input %s: %s is given twice", arg, name)
		}
		t, notice, err := readInput(f.Inputs[i].Type, file, invert)
		if err == nil {
			if graph.Unify(f.Inputs[i].Type, graph.TypeOf(t), env) != nil {
				err = fmt.Errorf("wrong shape: want %s, have %s", f.Inputs[i].Type, graph.TypeOf(t))
			}
		}
		if err != nil {
			return nil, nil, fmt.Errorf("--input %s: %w", name, err)
		}
		if notice != "" {
			notices = append(notices, notice)
		}
		feeds[name] = t
	}
	for _, p := range f.Inputs {
		if feeds[p.Name] == nil {
			return nil, nil, usagef("run: %s needs --input %s=FILE, which is %s", fn, p.Name, p.Type)
		}
	}
	return feeds, notices, nil
}

// readInput reads one input of a type from a file, or from a list in brackets.
func readInput(want graph.Type, file string, invert bool) (t *value.Tensor, notice string, err error) {
	tt, ok := want.(graph.TensorType)
	if !ok {
		return nil, "", fmt.Errorf("it is a %s: only tensors can be given", want)
	}
	if strings.HasPrefix(file, "[") {
		t, err = parseList(tt, file)
		return t, "", err
	}
	if _, err := os.Stat(file); errors.Is(err, fs.ErrNotExist) {
		return nil, "", fmt.Errorf("there is no file %s", file)
	}
	if strings.EqualFold(filepath.Ext(file), ".npy") {
		if t, err = npy.ReadFile(file); err != nil {
			return nil, "", err
		}
		if t, err = value.CastExactly(t, tt.DType); err != nil {
			return nil, "", fmt.Errorf("%s: %w", file, err)
		}
		return t, "", nil
	}
	// A picture: channels and sizes must be known, and are all that it can fill.
	var sizes [3]int
	if tt.DType != graph.F32 || tt.Rank() != 4 {
		return nil, "", fmt.Errorf("it is %s, which a picture cannot fill: want f32[N,C,H,W]; give an array in .npy", tt)
	}
	for i := range sizes {
		n, ok := tt.Shape[i+1].Int()
		if !ok {
			return nil, "", fmt.Errorf("it is %s, which leaves the size of the picture open; give an array in .npy", tt)
		}
		sizes[i] = int(n)
	}
	img, err := readPicture(file)
	if err != nil {
		return nil, "", err
	}
	t, resized, err := pictureTensor(img, sizes[0], sizes[1], sizes[2], invert)
	if err != nil {
		return nil, "", fmt.Errorf("%s: %w", file, err)
	}
	if resized {
		notice = fmt.Sprintf("%s was resized from %d x %d to %d x %d pixels", file, img.Bounds().Dx(), img.Bounds().Dy(), sizes[2], sizes[1])
	}
	return t, notice, nil
}

// parseList reads a flat list of elements; an axis whose size is open takes as many as there are.
func parseList(tt graph.TensorType, text string) (*value.Tensor, error) {
	count := strings.Count(text, ",") + 1
	if strings.TrimSpace(strings.Trim(text, "[]")) == "" {
		count = 0
	}
	shape := make([]int, tt.Rank())
	open, known := -1, 1
	for i, d := range tt.Shape {
		n, ok := d.Int()
		switch {
		case ok:
			shape[i] = int(n)
			known *= int(n)
		case open >= 0:
			return nil, fmt.Errorf("it is %s, with more than one open size; give an array in .npy", tt)
		default:
			open = i
		}
	}
	if open >= 0 {
		if known == 0 || count%known != 0 {
			return nil, fmt.Errorf("%d elements do not make up %s", count, tt)
		}
		shape[open] = count / known
	}
	return value.ParseElements(tt.DType, shape, text)
}

// classification is what logits say about one example.
type classification struct {
	Class       int          `json:"class"`
	Name        string       `json:"name"`
	Probability jsonNumber   `json:"probability"`
	Logits      []jsonNumber `json:"logits"`
}

func (c classification) text() string {
	var b strings.Builder
	b.WriteString("logits:")
	for _, x := range c.Logits {
		fmt.Fprintf(&b, " %.3f", float64(x))
	}
	fmt.Fprintf(&b, "\nclass: %s (probability %.5f)\n", c.Name, float64(c.Probability))
	return b.String()
}

// classify reads the result "logits", f[N,classes], and returns nothing if there is none.
func classify(out map[string]value.Value, classes []string) []classification {
	t, ok := out[logitsResult].(*value.Tensor)
	if !ok || t.Rank() != 2 || !t.DType().IsFloat() || t.Shape()[1] == 0 {
		return nil
	}
	var all []classification
	for row := range slices.Chunk(t.Float64s(), t.Shape()[1]) {
		best, sum := 0, 0.0
		for i, x := range row {
			if x > row[best] || math.IsNaN(row[best]) {
				best = i
			}
		}
		for _, x := range row {
			sum += math.Exp(x - row[best])
		}
		c := classification{Class: best, Name: className(classes, best), Probability: number(1 / sum)}
		for _, x := range row {
			c.Logits = append(c.Logits, number(x))
		}
		all = append(all, c)
	}
	return all
}

func className(classes []string, i int) string {
	if i < len(classes) {
		return classes[i]
	}
	return fmt.Sprint(i)
}

func printResults(w io.Writer, f *program.Func, out map[string]value.Value, classes []string, asJSON bool) error {
	rows := classify(out, classes)
	if asJSON {
		doc := map[string]any{"function": f.Name}
		results := map[string]any{}
		for name, v := range out {
			results[name] = jsonValue(v)
		}
		doc["results"] = results
		if rows != nil {
			doc["classes"] = rows
		}
		return printJSON(w, doc)
	}
	for _, o := range f.Outputs {
		if o.Name == logitsResult && rows != nil {
			for i, c := range rows {
				if len(rows) > 1 {
					fmt.Fprintf(w, "example %d\n", i)
				}
				fmt.Fprint(w, c.text())
			}
			continue
		}
		if _, err := fmt.Fprintf(w, "%s: %s\n", o.Name, out[o.Name]); err != nil {
			return err
		}
	}
	return nil
}

// jsonNumber is a float that JSON can hold even if it is not finite: as a string then.
type jsonNumber float64

func number(x float64) jsonNumber { return jsonNumber(x) }

// MarshalJSON implements json.Marshaler.
func (x jsonNumber) MarshalJSON() ([]byte, error) {
	f := float64(x)
	if math.IsNaN(f) || math.IsInf(f, 0) {
		return json.Marshal(fmt.Sprint(f))
	}
	return json.Marshal(f)
}

// jsonValue is a result as JSON: a tensor's dtype, shape and flat elements, exact; others as text.
func jsonValue(v value.Value) any {
	t, ok := v.(*value.Tensor)
	if !ok {
		return v.String()
	}
	doc := map[string]any{"dtype": t.DType().String(), "shape": append([]int{}, t.Shape()...)}
	switch e := t.Exact(); t.DType().Domain() {
	case value.Floats:
		elems := make([]jsonNumber, len(e.F))
		for i, x := range e.F {
			elems[i] = number(x)
		}
		doc["elements"] = elems
	case value.Ints:
		doc["elements"] = e.I
	case value.Uints:
		doc["elements"] = e.U
	case value.Bools:
		doc["elements"] = e.B
	default:
		doc["elements"] = e.S
	}
	return doc
}

func printJSON(w io.Writer, doc any) error {
	enc := json.NewEncoder(w)
	enc.SetIndent("", "  ")
	return enc.Encode(doc)
}
