package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"math"
	"path/filepath"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/graphrun/graphrun/compile"
	"github.com/graphrun/graphrun/graph"
	"github.com/graphrun/graphrun/graph/artifact"
	"github.com/graphrun/graphrun/graph/value"
	"github.com/graphrun/graphrun/graph/value/atomicfile"
	"github.com/graphrun/graphrun/graph/value/npy"
	"github.com/graphrun/graphrun/models/plot"
	"github.com/graphrun/graphrun/runtime"
)

func init() { commands = append(commands, runCommand) }

// What the models' functions are called.
const (
	predictFunc  = artifact.PredictFunc
	imageInput   = "image"
	labelInput   = "label"
	trainFunc    = artifact.TrainFunc
	evalFunc     = artifact.EvalFunc
	logitsResult = "logits"
)

type runOptions struct {
	model     string
	fn        string
	in        inputs
	fetch     []string
	expect    string
	close     closeness
	out       string
	seed      uint64
	data      dataOptions
	batch     int
	topK      int
	confusion string
	json      bool
	exec      execOptions
}

func runCommand() *cobra.Command {
	var o runOptions
	cmd := &cobra.Command{
		Use:   "run DIR|FILE.graph|MODEL",
		Short: "Run a model on a picture, on arrays, or on a test set",
		Long: `run loads a model and runs one of its functions: predict, or the only one, unless --func names another.

--input NAME=WHAT gives an input. WHAT is

  picture.png      a picture (PNG, JPEG or GIF), resized and scaled as the model says
  x.npy, x.npz     an array; its dtype may differ from the input's if every element converts exactly
  [1, 2, 3]        a list; a flat one fills the input in order, a nested one such as [[1, 2], [3, 4]] has its own shape
  0.5              a number, for an input of rank 0

--feeds in.npz takes all inputs by name from one file. Give arrays and lists as the training data has them: they are prepared
as in training. Bytes are scaled (whole numbers up to 255, in an array of integers or in a list with one above 1), and columns are
standardized. With --raw they are fed as they are.

--fetch NODE returns any value that the function computes, whatever the compiler fuses. NODE is a value's name in the model's text
(%5 or 5, or a name that you gave it), or a layer's name, for the layer's output (conv1). inspect --nodes lists all nodes. Gradients
and updated weights of a training function are nodes too.

--expect out.npz compares the results with the arrays of a file, which are named after results or after any node that --fetch takes.
It prints the largest absolute and relative errors. If an element is off by more than --atol + --rtol*|expected|, the command
fails and names the first of these nodes, in the order of declaration, that diverges.

--data evaluates the model on the test examples of a data set: loss, accuracy, top-k accuracy and, for each class, recall and
precision. The results do not depend on --batch.

` + modelHelp,
		Example: `  graphrun run lenet5 --input image=lenet5/sample.png
  graphrun run lenet5 --input image=photo.jpg --invert --json
  graphrun run lenet5 --input image=lenet5/sample.png --fetch conv1 --fetch %5 -o out.npz
  graphrun run lenet5 --input image=lenet5/sample.png --expect out.npz --rtol 1e-4
  graphrun run lenet5 --func eval --input image=lenet5/sample.png --input 'label=[7]'
  graphrun run model.graph --func train --feeds batch.npz --seed 1
  graphrun run lenet5 --data digits --limit 1000 --top-k 3 --confusion confusion.svg`,
		Args: exactArg("the model"),
		RunE: func(cmd *cobra.Command, args []string) error {
			o.model = args[0]
			if err := o.valid(cmd); err != nil {
				return err
			}
			return runRun(cmd.Context(), &o, cmd.OutOrStdout(), cmd.ErrOrStderr())
		},
	}
	f := cmd.Flags()
	f.StringVar(&o.fn, "func", "", "the function to run (default predict, or the only one)")
	f.StringArrayVar(&o.in.inputs, "input", nil, "set an input of the function, `NAME=WHAT`; once per input")
	f.StringVar(&o.in.feeds, "feeds", "", "take inputs by name from `FILE.npz`")
	f.BoolVar(&o.in.raw, "raw", false, "feed arrays and lists as they are, without the model's preprocessing")
	f.BoolVar(&o.in.invert, "invert", false, "swap black and white in pictures: the models of train expect light on dark")
	f.StringArrayVar(&o.fetch, "fetch", nil, "also return `NODE`; may be repeated")
	f.StringVar(&o.expect, "expect", "", "compare the results with those in `FILE.npz`")
	o.close.flags(cmd)
	f.StringVarP(&o.out, "out", "o", "", "write the results to `FILE.npz|FILE.npy`")
	f.Uint64Var(&o.seed, "seed", 0, "seed of weights that are not stored and of random operations")
	o.data.flags(cmd, "")
	f.IntVar(&o.batch, "batch", 100, "with --data, examples per batch")
	f.IntVar(&o.topK, "top-k", 5, "with --data, also count how often the right class is among the `K` most likely")
	f.StringVar(&o.confusion, "confusion", "", "with --data, draw the confusion matrix in `FILE.svg|FILE.png`")
	f.BoolVar(&o.json, "json", false, "print one JSON object")
	o.exec.flags(cmd)
	return cmd
}

// valid checks how the flags go together.
func (o *runOptions) valid(cmd *cobra.Command) error {
	given := func(names ...string) string {
		for _, name := range names {
			if cmd.Flags().Changed(name) {
				return name
			}
		}
		return ""
	}
	if o.data.name != "" {
		if name := given("input", "feeds", "raw", "invert", "func", "fetch", "expect", "out"); name != "" {
			return usagef("--data evaluates the model on a test set: it does not go with --%s", name)
		}
		switch {
		case o.batch < 1:
			return usagef("--batch %d: want at least 1", o.batch)
		case o.topK < 0:
			return usagef("--top-k %d: want a number of classes, or 0 to count none", o.topK)
		case o.confusion != "" && !slices.Contains([]plot.Format{plot.SVG, plot.PNG}, pictureFormat(o.confusion)):
			return usagef("--confusion %s: want a file named .svg or .png", o.confusion)
		}
		return nil
	}
	if name := given("limit", "batch", "top-k", "confusion"); name != "" {
		return usagef("--%s goes with --data", name)
	}
	if o.out != "" && !isArrayFile(o.out) {
		return usagef("--out %s: want a file named .npz or .npy", o.out)
	}
	return o.close.valid(cmd, o.expect)
}

func runRun(ctx context.Context, o *runOptions, stdout, stderr io.Writer) error {
	compileOpts, err := o.exec.apply()
	if err != nil {
		return err
	}
	m, err := openModel(o.model)
	if err != nil {
		return err
	}
	m.tell(stderr)
	if o.data.name != "" {
		return runEval(ctx, o, m, compileOpts, stdout, stderr)
	}
	f, err := m.function(o.fn)
	if err != nil {
		return err
	}
	if len(f.Params()) > 0 && len(o.in.inputs) == 0 && o.in.feeds == "" {
		return usagef("nothing to run on: give --input %s=FILE, --feeds FILE.npz or --data DIR", f.Params()[0].Node().ResultName(0))
	}
	feeds, notices, err := o.in.read(f, m.info)
	if err != nil {
		return err
	}
	var expected map[string]*value.Tensor
	if o.expect != "" {
		if expected, err = npy.ReadNPZ(o.expect); err != nil {
			return fmt.Errorf("--expect: %w", err)
		}
	}
	module, keys, err := fetching(m.module, f.Name(), o.model, o.fetch, expected)
	if err != nil {
		return err
	}
	if o.out != "" && isNPY(o.out) && len(module.LookupFunc(f.Name()).Results()) != 1 {
		return usagef("--out %s: an .npy file holds one array, and there are %d results: write an .npz file", o.out, len(module.LookupFunc(f.Name()).Results()))
	}
	m.module = module
	sess, err := m.session(f.Name(), o, compileOpts, stderr)
	if err != nil {
		return err
	}
	for _, n := range notices {
		fmt.Fprintf(stderr, "graphrun: note: %s\n", n)
	}
	if o.exec.check {
		in := compile.Inputs{Func: f.Name(), Feeds: feeds, Variables: sess.Variables()}
		if err := check(ctx, stderr, module, in, compileOpts); err != nil {
			return err
		}
	}
	out, err := sess.Run(ctx, f.Name(), feeds)
	if err != nil {
		return err
	}
	if o.out != "" {
		if err := writeResults(o.out, out); err != nil {
			return fmt.Errorf("--out: %w", err)
		}
	}
	if expected != nil {
		return printComparison(stdout, o, declaredIn(f), out, expected, keys)
	}
	return printResults(stdout, module.LookupFunc(f.Name()), out, m.info.Classes, o.json)
}

// readsTrainable reports whether a function, or one that it calls, reads a variable that training changes.
func readsTrainable(f *graph.Func) bool {
	return slices.ContainsFunc(f.Nodes(), func(n *graph.Node) bool {
		if callee := n.Callee(); callee != nil {
			return readsTrainable(callee)
		}
		v := n.Variable()
		return v != nil && v.Trainable()
	})
}

// session compiles the model and starts a session to run a function. It says so if the weights that this reads are drawn.
func (m *model) session(fn string, o *runOptions, compileOpts []compile.Option, stderr io.Writer) (*runtime.Session, error) {
	prog, err := compile.Compile(m.module, compileOpts...)
	if err != nil {
		return nil, err
	}
	if m.weights == nil && readsTrainable(m.module.LookupFunc(fn)) {
		fmt.Fprintf(stderr, "graphrun: note: %s is not trained: its weights are drawn from seed %d\n", o.model, o.seed)
	}
	return runtime.NewSession(prog, o.exec.session(runtime.Seed(o.seed), runtime.Weights(m.weights))...)
}

// fetching returns a copy of a module in which a function has results more: the values that names stand for, of --fetch and of a
// file of --expect. keys are the results that the names of the file stand for.
func fetching(m *graph.Module, fn, model string, fetch []string, expected map[string]*value.Tensor) (c *graph.Module, keys map[string]string, err error) {
	keys = map[string]string{}
	if len(fetch)+len(expected) == 0 {
		return m, keys, nil
	}
	c = m.Clone()
	f := c.LookupFunc(fn)
	d := declaredIn(f)
	add := func(name string, v graph.Value) string {
		key := strings.TrimPrefix(name, "%")
		for slices.ContainsFunc(f.Results(), func(r graph.Result) bool { return r.Name == key && r.Value != v }) {
			key = "node." + key
		}
		if !slices.ContainsFunc(f.Results(), func(r graph.Result) bool { return r.Name == key }) {
			f.Return(key, v)
		}
		return key
	}
	for _, name := range fetch {
		v, ok := d.find(name)
		if !ok {
			return nil, nil, usagef("--fetch %s: %s", name, d.unknown(name, model))
		}
		add(name, v)
	}
	for _, name := range slices.Sorted(maps.Keys(expected)) {
		v, ok := d.find(name)
		if !ok {
			return nil, nil, fmt.Errorf("--expect: %s", d.unknown(name, model))
		}
		keys[name] = add(name, v)
	}
	return c, keys, c.Err()
}

func isNPY(file string) bool { return strings.EqualFold(filepath.Ext(file), ".npy") }

// writeResults writes results to an .npz file, or the only one to an .npy file.
func writeResults(file string, out map[string]value.Value) error {
	arrays := map[string]*value.Tensor{}
	var last *value.Tensor
	for name, v := range out {
		t, ok := v.(*value.Tensor)
		if !ok {
			return fmt.Errorf("result %s is a %s: files hold tensors only", name, graph.TypeOf(v))
		}
		arrays[name], last = t, t
	}
	return atomicfile.Write(file, func(w io.Writer) error {
		if isNPY(file) {
			return npy.Write(w, last)
		}
		return npy.WriteNPZ(w, arrays)
	})
}

// comparison is how a result differs from what is expected of it.
type comparison struct {
	Name string `json:"name"`
	Node string `json:"node"` // as in the model's text, with its op, layer and source line
	difference
	value graph.Value
	err   error // the two cannot be compared
}

// printComparison holds results against what is expected of them. It fails if some are off.
func printComparison(w io.Writer, o *runOptions, d *declared, out map[string]value.Value, expected map[string]*value.Tensor, keys map[string]string) error {
	var rows []comparison
	for name, want := range expected {
		c := comparison{Name: name}
		c.value, _ = d.find(name)
		c.Node = d.text(c.value)
		if have, ok := out[keys[name]].(*value.Tensor); ok {
			c.difference, c.err = compareArrays(have, want, o.close)
		} else {
			c.err = errors.New("it is not a tensor")
		}
		rows = append(rows, c)
	}
	slices.SortFunc(rows, func(a, b comparison) int {
		if k := before(a.value, b.value); k != 0 {
			return k
		}
		return strings.Compare(a.Name, b.Name)
	})
	for _, c := range rows {
		if c.err != nil {
			return fmt.Errorf("--expect %s: %s: %w", o.expect, c.Name, c.err)
		}
	}
	first := slices.IndexFunc(rows, func(c comparison) bool { return c.Off > 0 })
	if o.json {
		doc := map[string]any{"function": d.f.Name(), "compare": rows, "ok": first < 0}
		if first >= 0 {
			doc["first"] = rows[first]
		}
		if err := printJSON(w, doc); err != nil {
			return err
		}
	} else {
		t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
		fmt.Fprintln(t, "NAME\tLARGEST ERROR\tRELATIVE\tOFF\tNODE")
		for _, c := range rows {
			fmt.Fprintf(t, "%s\t%.3g\t%.3g\t%d of %d\t%s\n", c.Name, float64(c.MaxAbs), float64(c.MaxRel), c.Off, c.Elements, c.Node)
		}
		if err := t.Flush(); err != nil {
			return err
		}
	}
	if first < 0 {
		return nil
	}
	c := rows[first]
	return fmt.Errorf("results differ from %s: %s: %s (allowed is %g + %g*|want|); the first node that diverges is %s",
		o.expect, c.Name, c.difference, o.close.atol, o.close.rtol, c.Node)
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
	fmt.Fprintf(&b, "\nclass: %s (probability %.5f)\n", artifact.Visible(c.Name), float64(c.Probability))
	return b.String()
}

// classify reads the result "logits", f[N,classes], and returns nothing if there is none.
func classify(out map[string]value.Value, classes []string) []classification {
	t, ok := out[logitsResult].(*value.Tensor)
	if !ok || t.Rank() != 2 || !t.DType().IsFloat() || t.Len() == 0 {
		return nil
	}
	e, err := t.TryExact()
	if err != nil {
		return nil
	}
	var all []classification
	for row := range slices.Chunk(e.F, t.Shape()[1]) {
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

func printResults(w io.Writer, f *graph.Func, out map[string]value.Value, classes []string, asJSON bool) error {
	rows := classify(out, classes)
	if asJSON {
		doc := map[string]any{"function": f.Name()}
		results := map[string]any{}
		for name, v := range out {
			doc, err := jsonValue(v)
			if err != nil {
				return fmt.Errorf("%s: %w", name, err)
			}
			results[name] = doc
		}
		doc["results"] = results
		if rows != nil {
			doc["classes"] = rows
		}
		return printJSON(w, doc)
	}
	for _, o := range f.Results() {
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
func jsonValue(v value.Value) (any, error) {
	t, ok := v.(*value.Tensor)
	if !ok {
		return v.String(), nil
	}
	e, err := t.TryExact()
	if err != nil {
		return nil, err
	}
	doc := map[string]any{"dtype": t.DType().String(), "shape": append([]int{}, t.Shape()...)}
	switch t.DType().Domain() {
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
	return doc, nil
}

// printJSON prints a document on one line.
func printJSON(w io.Writer, doc any) error {
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	return enc.Encode(doc)
}
