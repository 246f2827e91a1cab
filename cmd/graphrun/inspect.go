package main

import (
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/graphrun/graphrun/compile"
	"github.com/graphrun/graphrun/graph"
	"github.com/graphrun/graphrun/graph/artifact"
	"github.com/graphrun/graphrun/graph/dim"
	"github.com/graphrun/graphrun/graph/value"
	"github.com/graphrun/graphrun/runtime"
	"github.com/graphrun/graphrun/runtime/plan"
	"github.com/graphrun/graphrun/runtime/program"
)

func init() { commands = append(commands, inspectCommand) }

type inspectOptions struct {
	fn               string
	batch            int64
	variables, nodes bool
	json             bool
}

func inspectCommand() *cobra.Command {
	var o inspectOptions
	cmd := &cobra.Command{
		Use:   "inspect DIR|FILE.graph|MODEL",
		Short: "Show a model's layers, parameters, FLOPs, memory and source lines",
		Long: `inspect shows what a model is made of and what it compiles to:

- the layers of a function (predict, or the only one, unless --func names another): operations, output shape, parameters and FLOPs,
  where a multiply-add counts as two. FLOPs of a training function include its gradients and the optimizer;
- for every function, the number of instructions, how many of them have no kernel, the bytes that they read and write, and the
  memory plan: the size of the arena as a formula in the batch size, the lower bound of any plan, and the gap between the two;
- totals of the variables, and what the model says about itself: classes, inputs, preprocessing, how it was trained.

--batch evaluates the formulas. --nodes instead lists the values that a function declares, by the names that run --fetch takes;
--variables lists the variables.

` + modelHelp,
		Example: `  graphrun inspect lenet5
  graphrun inspect lenet5 --func train --batch 1
  graphrun inspect lenet5 --nodes
  graphrun inspect lenet5 --variables --json`,
		Args: exactArg("the model"),
		RunE: func(cmd *cobra.Command, args []string) error {
			if o.batch < 1 {
				return usagef("--batch %d: want 1 or more", o.batch)
			}
			m, err := openModel(args[0])
			if err != nil {
				return err
			}
			return runInspect(cmd.OutOrStdout(), m, o)
		},
	}
	f := cmd.Flags()
	f.StringVar(&o.fn, "func", "", "the function whose layers or nodes are shown (default predict, or the only one)")
	f.Int64Var(&o.batch, "batch", 64, "batch size to evaluate the formulas for")
	f.BoolVar(&o.variables, "variables", false, "list the variables only: type, kind, bytes, source line")
	f.BoolVar(&o.nodes, "nodes", false, "list the declared nodes only: the name that run --fetch takes, type, layer, source line")
	f.BoolVar(&o.json, "json", false, "print one JSON object")
	return cmd
}

func runInspect(out io.Writer, m *model, o inspectOptions) error {
	f, err := m.function(o.fn)
	if err != nil {
		return err
	}
	r := report{Model: m.module.Name()}
	switch {
	case o.variables || o.nodes:
		if o.variables {
			r.Variables = variablesOf(m.module)
		}
		if o.nodes {
			r.Function, r.Nodes = f.Name(), nodesOf(f)
		}
	default:
		if err := r.fill(m, f, o.batch); err != nil {
			return err
		}
	}
	if o.json {
		return printJSON(out, r)
	}
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	r.print(w)
	return w.Flush()
}

// report is what inspect shows. Parts that were not asked for are missing.
type report struct {
	Model     string           `json:"model"`
	Doc       string           `json:"doc,omitempty"`
	Files     map[string]int64 `json:"files,omitempty"`    // their sizes in bytes
	Checked   *bool            `json:"checksum,omitempty"` // whether the weights have one, which holds then
	Function  string           `json:"function,omitempty"`
	Batch     int64            `json:"batch,omitempty"`
	Layers    []layerRow       `json:"layers,omitempty"`
	Total     *layerRow        `json:"total,omitempty"` // of the function
	Sums      *variableSums    `json:"sums,omitempty"`  // of the variables
	Functions []funcRow        `json:"functions,omitempty"`
	Slow      []string         `json:"references,omitempty"` // nodes that no kernel computes
	Info      *infoRow         `json:"info,omitempty"`
	Variables []variableRow    `json:"variables,omitempty"`
	Nodes     []nodeRow        `json:"nodes,omitempty"`

	path, signature string
}

// layerRow is a layer, or the sum of all.
type layerRow struct {
	Layer      string   `json:"layer"` // "" for nodes outside of layers
	Ops        []string `json:"ops,omitempty"`
	Output     string   `json:"output,omitempty"`
	Parameters int64    `json:"parameters"`
	Buffers    int64    `json:"buffers"`
	// FLOPs as a formula in the function's sizes, for one example, and for the batch; -1 where data decides.
	Formula    string `json:"flops_formula"`
	PerExample int64  `json:"flops_per_example"`
	FLOPs      int64  `json:"flops"`
	Source     string `json:"source,omitempty"`

	flops graph.Dim
}

type variableSums struct {
	Parameters     int64 `json:"parameters"` // elements
	ParameterBytes int64 `json:"parameter_bytes"`
	Buffers        int64 `json:"buffers"`
	BufferBytes    int64 `json:"buffer_bytes"`
	State          int64 `json:"optimizer_state"`
	StateBytes     int64 `json:"optimizer_state_bytes"`
	Variables      int   `json:"variables"`
	Constants      int64 `json:"constants"` // elements of those that are no scalars: a frozen model's weights
	ConstantBytes  int64 `json:"constant_bytes"`
}

type variableRow struct {
	Name   string `json:"name"`
	Type   string `json:"type"`
	Shape  []int  `json:"shape"`
	DType  string `json:"dtype"`
	Kind   string `json:"kind"`
	Bytes  int64  `json:"bytes"`
	Source string `json:"source"`
}

type nodeRow struct {
	Name   string `json:"name"`
	Op     string `json:"op"`
	Type   string `json:"type"`
	Layer  string `json:"layer"`
	Source string `json:"source"`
	// OutputOf are the layers whose output it is: they are names of it, too.
	OutputOf []string `json:"output_of,omitempty"`
}

type funcRow struct {
	Name         string   `json:"name"`
	Inputs       []string `json:"inputs"`
	Outputs      []string `json:"outputs"`
	Instructions int      `json:"instructions"`
	References   int      `json:"references"`
	// How the memory is planned: "static", "at run time", or "data decides". Only a static plan has the numbers below.
	Plan  string  `json:"plan"`
	Moved *affine `json:"moved,omitempty"`
	Arena *affine `json:"arena,omitempty"`
	Bound *affine `json:"bound,omitempty"`
	Gap   float64 `json:"gap"` // a fraction of the bound

	memory string
}

// affine is a number of bytes: per unit of the size, fixed, and for the batch.
type affine struct {
	Symbol string `json:"symbol,omitempty"`
	Per    int64  `json:"per"`
	Fixed  int64  `json:"fixed"`
	Bytes  int64  `json:"bytes"`
}

type infoRow struct {
	Classes    []string          `json:"classes,omitempty"`
	Loss       string            `json:"loss,omitempty"`
	Roles      map[string]string `json:"roles,omitempty"`
	Preprocess map[string]string `json:"preprocess,omitempty"`
	Provenance map[string]string `json:"provenance,omitempty"`
}

// fill makes the report that is shown without --nodes and --variables.
func (r *report) fill(m *model, f *graph.Func, batch int64) error {
	r.Doc, r.Function, r.Batch, r.signature = m.info.Doc, f.Name(), batch, signature(f)
	if m.dir != "" {
		r.path, r.Files, r.Checked = m.dir, map[string]int64{}, &m.checked
		for _, name := range []string{artifact.GraphFile, artifact.WeightsFile} {
			if s, err := os.Stat(filepath.Join(m.dir, name)); err == nil {
				r.Files[name] = s.Size()
			}
		}
	}
	var err error
	if r.Layers, r.Total, err = layersOf(m.module, f, batch); err != nil {
		return err
	}
	r.Sums = sumsOf(variablesOf(m.module), m.module)
	prog, err := compile.Compile(m.module)
	if err != nil {
		return err
	}
	if err := r.functions(prog, batch); err != nil {
		return err
	}
	r.Info = &infoRow{Classes: m.info.Classes, Loss: m.info.Loss, Roles: m.info.Roles, Preprocess: map[string]string{}, Provenance: m.info.Provenance}
	for name, p := range m.info.Preprocess {
		r.Info.Preprocess[name] = p.String()
	}
	return nil
}

func signature(f *graph.Func) string {
	var in, out []string
	for _, p := range f.Params() {
		in = append(in, fmt.Sprintf("%s: %s", p.Node().ResultName(0), p.Type()))
	}
	for _, r := range f.Results() {
		out = append(out, fmt.Sprintf("%s: %s", r.Name, r.Value.Type()))
	}
	return fmt.Sprintf("@%s(%s) -> (%s)", f.Name(), strings.Join(in, ", "), strings.Join(out, ", "))
}

// layersOf returns the layers of a function in the order of the declaration, and their sum.
func layersOf(m *graph.Module, f *graph.Func, batch int64) (rows []layerRow, total *layerRow, err error) {
	counted, err := differentiated(m, f)
	if err != nil {
		return nil, nil, err
	}
	at := map[string]int{}
	row := func(n *graph.Node) *layerRow {
		i, ok := at[n.Scope()]
		if !ok {
			i = len(rows)
			at[n.Scope()] = i
			rows = append(rows, layerRow{Layer: n.Scope(), Source: sourceText(n.Pos()), flops: dim.Const(0)})
		}
		return &rows[i]
	}
	total = &layerRow{flops: dim.Const(0)}
	d := declaredIn(f)
	for _, n := range f.Nodes() {
		r := row(n)
		switch name, v := n.Op().Name, n.Variable(); {
		case v != nil:
			size, _ := v.Type().NumElements().Int()
			switch {
			case v.Trainable():
				r.Parameters += size
				total.Parameters += size
			case !v.IsOptimizerState():
				r.Buffers += size
				total.Buffers += size
			}
		case !n.IsConstant() && !slices.Contains(r.Ops, name):
			r.Ops = append(r.Ops, name)
		}
		if n.Scope() == "" && n.NumResults() > 0 {
			r.Output = n.Types()[0].String()
		}
	}
	for path, i := range at {
		if v, ok := d.layers[path]; ok {
			rows[i].Output, rows[i].Source = v.Type().String(), sourceText(v.Node().Pos())
		}
	}
	for _, n := range counted.Nodes() {
		r, flops := row(n), n.FLOPs()
		r.flops, total.flops = dim.Sum(r.flops, flops), dim.Sum(total.flops, flops)
	}
	symbol := batchSymbol(f)
	for i := range rows {
		rows[i].count(symbol, batch)
	}
	total.count(symbol, batch)
	return rows, total, nil
}

// differentiated returns a function after gradients have been taken and what is not needed is gone, and the function itself if it takes
// none.
func differentiated(m *graph.Module, f *graph.Func) (*graph.Func, error) {
	if !slices.ContainsFunc(f.Nodes(), (*graph.Node).IsGrad) {
		return f, nil
	}
	names := compile.PassNames()
	o, err := compile.Optimize(m, compile.Through(names[:slices.Index(names, "dce")+1]...))
	if err != nil {
		return nil, err
	}
	return o.LookupFunc(f.Name()), nil
}

// batchSymbol is the size that counts the examples: the first symbol of the first input.
func batchSymbol(f *graph.Func) string {
	for _, p := range f.Params() {
		for _, d := range p.Shape() {
			if s := d.Symbols(); len(s) > 0 {
				return s[0]
			}
		}
	}
	return ""
}

// count evaluates the formula: for one example, other sizes being as the batch, and for the batch.
func (r *layerRow) count(symbol string, batch int64) {
	r.Formula = r.flops.String()
	at := func(examples int64) int64 {
		env := map[string]graph.Dim{}
		for _, s := range r.flops.Symbols() {
			env[s] = dim.Const(batch)
		}
		env[symbol] = dim.Const(examples)
		d, err := r.flops.Subst(env)
		if n, ok := d.Int(); ok && err == nil {
			return n
		}
		return -1
	}
	r.PerExample, r.FLOPs = at(1), at(batch)
}

func variablesOf(m *graph.Module) []variableRow {
	rows := []variableRow{}
	for _, v := range m.Variables() {
		kind := "buffer"
		switch {
		case v.Trainable():
			kind = "parameter"
		case v.IsOptimizerState():
			kind = "optimizer state"
		}
		size, _ := value.SizeBytes(v.Type().DType, v.Shape()...)
		rows = append(rows, variableRow{v.Name(), v.Type().String(), append([]int{}, v.Shape()...), v.Type().DType.String(), kind, int64(size), sourceText(v.Pos())})
	}
	return rows
}

func sumsOf(rows []variableRow, m *graph.Module) *variableSums {
	s := &variableSums{Variables: len(rows)}
	for i, v := range m.Variables() {
		n, _ := v.Type().NumElements().Int()
		switch {
		case v.Trainable():
			s.Parameters += n
			s.ParameterBytes += rows[i].Bytes
		case v.IsOptimizerState():
			s.State += n
			s.StateBytes += rows[i].Bytes
		default:
			s.Buffers += n
			s.BufferBytes += rows[i].Bytes
		}
	}
	seen := map[*value.Tensor]bool{}
	var add func(f *graph.Func)
	add = func(f *graph.Func) {
		for _, n := range f.Nodes() {
			if n.IsConstant() {
				t, _ := n.Result(0).Constant()
				if len(t.Shape()) > 0 && !seen[t] {
					seen[t] = true
					s.Constants += int64(t.Len())
					s.ConstantBytes += int64(len(t.Bytes()))
				}
			}
			for _, r := range n.Regions() {
				add(r)
			}
		}
	}
	for _, f := range m.Funcs() {
		add(f)
	}
	return s
}

// nodesOf lists the values that a function declares, its inputs first.
func nodesOf(f *graph.Func) []nodeRow {
	d := declaredIn(f)
	outputOf := map[graph.Value][]string{}
	for _, path := range d.paths {
		outputOf[d.layers[path]] = append(outputOf[d.layers[path]], path)
	}
	rows := []nodeRow{}
	add := func(op string, n *graph.Node) {
		for _, v := range n.Results() {
			name := d.names[v]
			if n.ResultName(v.Index()) == "" {
				name = "%" + name
			}
			rows = append(rows, nodeRow{name, op, v.Type().String(), n.Scope(), sourceText(n.Pos()), outputOf[v]})
		}
	}
	for _, p := range f.Params() {
		add("input", p.Node())
	}
	for _, n := range f.Nodes() {
		add(n.Op().Name, n)
	}
	return rows
}

func sourceText(p graph.Pos) string {
	if !p.IsKnown() {
		return "-"
	}
	return p.String()
}

// functions adds what the functions compile to.
func (r *report) functions(prog *program.Program, batch int64) error {
	for _, f := range prog.Module.Funcs() {
		p := prog.Funcs[f.Name()]
		sizes := map[string]int64{}
		for _, s := range f.Symbols() {
			sizes[s] = batch
		}
		nodes, err := runtime.References(prog, p, sizes)
		if err != nil {
			return err
		}
		for _, n := range nodes {
			r.Slow = append(r.Slow, nodeLine(n))
		}
		row := funcRow{Name: f.Name(), Inputs: []string{}, Outputs: []string{}, Instructions: p.Steps(), References: len(nodes)}
		for _, port := range p.Inputs {
			row.Inputs = append(row.Inputs, fmt.Sprintf("%s: %s", port.Name, port.Type))
		}
		for _, port := range p.Outputs {
			row.Outputs = append(row.Outputs, fmt.Sprintf("%s: %s", port.Name, port.Type))
		}
		row.plan(p, batch)
		r.Functions = append(r.Functions, row)
	}
	for _, v := range prog.Variables {
		nodes, err := runtime.References(prog, v.Init, nil)
		if err != nil {
			return err
		}
		for _, n := range nodes {
			r.Slow = append(r.Slow, nodeLine(n)+" (initializer of @"+v.Name+")")
		}
	}
	return nil
}

func nodeLine(n *graph.Node) string {
	return fmt.Sprintf("%s: %s : %s", n.Pos(), n.Op().Name, n.Types()[0])
}

// plan notes how the memory of a function is planned.
func (r *funcRow) plan(p *program.Func, batch int64) {
	switch {
	case p.Dynamic:
		r.Plan, r.memory = "data decides", "data decides\tdata decides\t-\t-"
		return
	case p.Plan == nil:
		r.Plan, r.memory = "at run time", "planned at run time\tplanned at run time\t-\t-"
		return
	}
	r.Plan = "static"
	symbol := p.Plan.Symbol
	bytes := func(a program.Affine) *affine { return &affine{symbol, a.Per, a.Fixed, a.At(batch)} }
	moved, _ := plan.Traffic(p, symbol)
	r.Moved, r.Arena, r.Bound = bytes(moved), bytes(p.Plan.Peak), bytes(p.Plan.Bound)
	gap := "0 %"
	if b := r.Bound.Bytes; b > 0 {
		r.Gap = float64(p.Plan.Size(batch))/float64(b) - 1
		gap = fmt.Sprintf("%.1f %%", 100*r.Gap)
	}
	r.memory = strings.Join([]string{r.Moved.text(), r.Arena.text(), r.Bound.text(), gap}, "\t")
}

// text is the number as a formula and for the batch.
func (a *affine) text() string {
	size := value.ByteText(float64(a.Bytes))
	if a.Symbol == "" || a.Per == 0 {
		return size
	}
	return fmt.Sprintf("%d*%s + %d (%s)", a.Per, a.Symbol, a.Fixed, size)
}

// print writes the report as text, with tabs between columns.
func (r *report) print(w *tabwriter.Writer) {
	section := func(format string, args ...any) {
		w.Flush()
		fmt.Fprintf(w, format, args...)
	}
	if r.Sums != nil {
		doc := ""
		if r.Doc != "" {
			doc = ": " + artifact.Visible(r.Doc)
		}
		section("@%s%s\n", r.Model, doc)
		if r.path != "" {
			var sizes []string
			for _, name := range slices.Sorted(maps.Keys(r.Files)) {
				sizes = append(sizes, fmt.Sprintf("%s %s", name, value.ByteText(float64(r.Files[name]))))
			}
			if !*r.Checked {
				sizes = append(sizes, "without a checksum")
			}
			section("saved in %s: %s\n", r.path, strings.Join(sizes, ", "))
		}
		section("\n%s\n\n", r.signature)
		r.printLayers(w)
		section("\n%s\n\n", r.Sums)
		fmt.Fprintln(w, "FUNCTION\tINSTRUCTIONS\tNO KERNEL\tMOVED\tARENA\tBOUND\tGAP")
		for _, f := range r.Functions {
			fmt.Fprintf(w, "%s\t%d\t%d\t%s\n", f.Name, f.Instructions, f.References, f.memory)
		}
		if len(r.Slow) > 0 {
			section("\nComputed by their references:\n  %s\n", strings.Join(r.Slow, "\n  "))
		}
		w.Flush()
		r.Info.print(w)
	}
	if r.Variables != nil {
		fmt.Fprintln(w, "VARIABLE\tTYPE\tKIND\tBYTES\tSOURCE")
		for _, v := range r.Variables {
			fmt.Fprintf(w, "%s\t%s\t%s\t%d\t%s\n", v.Name, v.Type, v.Kind, v.Bytes, v.Source)
		}
	}
	if r.Nodes != nil {
		if r.Variables != nil {
			section("\n")
		}
		fmt.Fprintln(w, "NODE\tOP\tTYPE\tLAYER\tOUTPUT OF\tSOURCE")
		for _, n := range r.Nodes {
			fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\n", n.Name, n.Op, n.Type, orDash(n.Layer), orDash(strings.Join(n.OutputOf, ", ")), n.Source)
		}
	}
}

func (r *report) printLayers(w io.Writer) {
	buffers := r.Total.Buffers > 0
	columns := []string{"LAYER", "OPS", "OUTPUT", "PARAMETERS"}
	if buffers {
		columns = append(columns, "BUFFERS")
	}
	columns = append(columns, "FLOPS, 1 EXAMPLE", fmt.Sprintf("FLOPS, BATCH OF %d", r.Batch), "SOURCE")
	fmt.Fprintln(w, strings.Join(columns, "\t"))
	line := func(l *layerRow, name, source string) {
		const most = 4
		ops := strings.Join(l.Ops[:min(len(l.Ops), most)], ", ")
		if more := len(l.Ops) - most; more > 0 {
			ops += fmt.Sprintf(", %d more", more)
		}
		cells := []string{name, orDash(ops), orDash(l.Output), strconv.FormatInt(l.Parameters, 10)}
		if buffers {
			cells = append(cells, strconv.FormatInt(l.Buffers, 10))
		}
		fmt.Fprintln(w, strings.Join(append(cells, countText(l.PerExample), countText(l.FLOPs), source), "\t"))
	}
	for i := range r.Layers {
		line(&r.Layers[i], orDash(r.Layers[i].Layer), r.Layers[i].Source)
	}
	line(r.Total, "total", "")
}

func orDash(s string) string {
	if s == "" {
		return "-"
	}
	return artifact.Visible(s)
}

// countText is a number with three digits and a unit: 423 k, 1.23 M.
func countText(n int64) string {
	if n < 0 {
		return "data decides"
	}
	x := float64(n)
	for _, unit := range []string{"", " k", " M", " G", " T", " P"} {
		switch {
		case unit == "" && x < 1000:
			return strconv.FormatInt(n, 10)
		case x < 9.995:
			return fmt.Sprintf("%.2f%s", x, unit)
		case x < 99.95:
			return fmt.Sprintf("%.1f%s", x, unit)
		case x < 999.5:
			return fmt.Sprintf("%.0f%s", x, unit)
		}
		x /= 1000
	}
	return fmt.Sprintf("%.3g E", x)
}

// String says in one line what the variables and constants sum up to.
func (s *variableSums) String() string {
	text := fmt.Sprintf("%d variables: %d parameters (%s)", s.Variables, s.Parameters, value.ByteText(float64(s.ParameterBytes)))
	if s.Buffers > 0 {
		text += fmt.Sprintf("; buffers: %d (%s)", s.Buffers, value.ByteText(float64(s.BufferBytes)))
	}
	if s.State > 0 {
		text += fmt.Sprintf("; optimizer state: %d (%s)", s.State, value.ByteText(float64(s.StateBytes)))
	}
	return text + s.constants()
}

// constants says how much the constants are, if there are any to speak of.
func (s *variableSums) constants() string {
	if s.Constants == 0 {
		return ""
	}
	return fmt.Sprintf("; constants: %d (%s)", s.Constants, value.ByteText(float64(s.ConstantBytes)))
}

// visible returns names as they can be shown.
func visible(names []string) []string {
	shown := make([]string, len(names))
	for i, name := range names {
		shown[i] = artifact.Visible(name)
	}
	return shown
}

func (i *infoRow) print(w io.Writer) {
	first := true
	line := func(key, text string) {
		if first {
			fmt.Fprintln(w)
		}
		first = false
		fmt.Fprintf(w, "%s\t%s\n", key, text)
	}
	table := func(key string, m map[string]string) {
		for _, name := range slices.Sorted(maps.Keys(m)) {
			line(key+" "+artifact.Visible(name), artifact.Visible(m[name]))
		}
	}
	if len(i.Classes) > 0 {
		const most = 10
		text := strings.Join(visible(i.Classes[:min(len(i.Classes), most)]), ", ")
		if more := len(i.Classes) - most; more > 0 {
			text += fmt.Sprintf(", %d more", more)
		}
		line("classes", text)
	}
	if i.Loss != "" {
		line("loss", i.Loss)
	}
	table("role", i.Roles)
	table("preprocess", i.Preprocess)
	table("train", i.Provenance)
}
