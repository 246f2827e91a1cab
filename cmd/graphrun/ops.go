package main

import (
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/graphrun/graphrun/graph"
	"github.com/graphrun/graphrun/graph/value"
	"github.com/graphrun/graphrun/runtime/kernels"
)

func init() { commands = append(commands, opsCommand) }

func opsCommand() *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "ops [NAME...]",
		Short: "List the operations, or print their declarations",
		Long: `ops lists all operations of the graph language: the first sentence of their documentation, and how far a kernel's result may
deviate from the reference.

With names, it prints their full declarations: operands, attributes, results, name in ONNX, gradient, tolerance and kernels.`,
		Example: `  graphrun ops
  graphrun ops softmax conv
  graphrun ops --json`,
		ValidArgsFunction: words(opNames),
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 && !asJSON {
				return listOps(cmd.OutOrStdout())
			}
			for _, name := range args {
				if graph.LookupOp(name) == nil {
					return usagef("there is no operation %q%s", name, suggest(name, similarOps(name)))
				}
			}
			if asJSON {
				return opsJSON(cmd.OutOrStdout(), args)
			}
			for i, name := range args {
				if i > 0 {
					fmt.Fprintln(cmd.OutOrStdout())
				}
				if err := printOp(cmd.OutOrStdout(), graph.LookupOp(name)); err != nil {
					return err
				}
			}
			return nil
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print one JSON object with the declarations; of all operations, if none is named")
	return cmd
}

// opsJSON prints the declarations of operations, of all without names, as one object.
func opsJSON(out io.Writer, names []string) error {
	type part struct {
		Name    string `json:"name"`
		Type    string `json:"type"`
		Default string `json:"default,omitempty"`
		Doc     string `json:"doc"`
	}
	type onnx struct {
		Name  string `json:"name"`
		Since []int  `json:"since"`
	}
	type declaration struct {
		Name       string   `json:"name"`
		Version    int      `json:"version"`
		Doc        string   `json:"doc"`
		ONNX       *onnx    `json:"onnx,omitempty"`
		Operands   []part   `json:"operands"`
		Attributes []part   `json:"attributes"`
		Results    string   `json:"results"`
		Regions    int      `json:"regions"` // -1: nodes differ
		Kind       string   `json:"kind"`
		Gradient   string   `json:"gradient"`
		Tolerance  string   `json:"tolerance"`
		FLOPs      string   `json:"flops"`
		Kernels    []string `json:"kernels"`
	}
	if len(names) == 0 {
		names = opNames()
	}
	all := []declaration{}
	for _, name := range names {
		op := graph.LookupOp(name)
		d := declaration{
			Name: name, Version: max(op.Version, 1), Doc: strings.Join(strings.Fields(op.Doc), " "), Operands: []part{}, Attributes: []part{},
			Results: resultsText(op), Regions: op.NumRegions, Kind: kindText(op), Gradient: gradientText(op),
			FLOPs: flopsText(op), Kernels: []string{},
		}
		if op.Regions != nil {
			d.Regions = -1
		}
		if !op.Props.Structural {
			d.Tolerance = toleranceText(op)
		}
		if op.ONNX != "" {
			d.ONNX = &onnx{op.ONNX.Name(), op.ONNX.Since()}
		}
		for _, a := range op.Args {
			d.Operands = append(d.Operands, part{Name: argName(a), Type: a.Types.String(), Doc: a.Doc})
		}
		for _, a := range op.Attrs {
			p := part{Name: a.Name, Type: a.Kind.String(), Doc: a.Doc}
			if a.Default != nil {
				p.Default = attrText(a.Default)
			}
			d.Attributes = append(d.Attributes, p)
		}
		for _, k := range kernels.Rows(name) {
			d.Kernels = append(d.Kernels, kernelText(k))
		}
		all = append(all, d)
	}
	return printJSON(out, map[string]any{"ops": all})
}

func argName(a graph.Arg) string {
	if a.Variadic {
		return a.Name + "..."
	}
	return a.Name
}

func resultsText(op *graph.Op) string {
	results := strings.Join(op.Results, ", ")
	if op.NumResults != nil {
		results = strings.TrimPrefix(results+", as many as operands and attributes say", ", ")
	}
	return results
}

func kindText(op *graph.Op) string {
	switch {
	case op.IsComposite():
		return "composite: its body over other operations gives its types and its meaning; it is decomposed unless a kernel computes it whole"
	case op.Props.Structural:
		return "structural: the compiler and the executor handle it themselves"
	}
	return strings.Join(kinds(op), ", ")
}

func gradientText(op *graph.Op) string {
	switch {
	case op.Grad != nil:
		return "yes, a rule of its own"
	case op.NoGrad != "":
		return "none: " + op.NoGrad
	case op.IsComposite():
		return "yes, through its body"
	}
	return "handled by the compiler"
}

func opNames() []string {
	var names []string
	for _, op := range graph.Ops() {
		names = append(names, op.Name)
	}
	return names
}

func listOps(out io.Writer) error {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "NAME\tTOLERANCE\tMEANING")
	for _, op := range graph.Ops() {
		fmt.Fprintf(w, "%s\t%s\t%s\n", op.Name, tolerance(op), firstSentence(op.Doc))
	}
	return w.Flush()
}

// firstSentence cuts a text at the first full stop that ends a sentence: one outside parentheses.
func firstSentence(doc string) string {
	doc = strings.Join(strings.Fields(doc), " ")
	depth := 0
	for i := range max(len(doc)-1, 0) {
		switch doc[i] {
		case '(':
			depth++
		case ')':
			depth--
		case '.':
			if depth == 0 && doc[i+1] == ' ' && !strings.HasSuffix(doc[:i], ".") { // not an ellipsis
				return doc[:i+1]
			}
		}
	}
	return doc
}

func tolerance(op *graph.Op) string {
	switch {
	case op.Props.Structural:
		return "-"
	case op.Tol.Terms != nil:
		return "sum"
	case op.Tol.ULP == 0 && op.IsComposite():
		return "body"
	case op.Tol.ULP == 0:
		return "exact"
	}
	return strconv.FormatFloat(op.Tol.ULP, 'g', -1, 64) + " ulp"
}

func printOp(out io.Writer, op *graph.Op) error {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintf(w, "%s (version %d)\n\n%s\n", op.Name, max(op.Version, 1), wrap(op.Doc, "  "))

	section := func(name string, n int) {
		if n > 0 {
			fmt.Fprintf(w, "\n%s\n", name)
		}
	}
	section("operands", len(op.Args))
	for _, a := range op.Args {
		fmt.Fprintf(w, "  %s\t%v\t%s\n", argName(a), a.Types, a.Doc)
	}
	section("attributes", len(op.Attrs))
	for _, a := range op.Attrs {
		def := "must be given"
		if a.Default != nil {
			def = "default " + attrText(a.Default)
		}
		fmt.Fprintf(w, "  %s\t%v\t%s\t%s\n", a.Name, a.Kind, def, a.Doc)
	}
	w.Flush()
	fact := func(name, format string, args ...any) {
		fmt.Fprintf(out, "\n%s\n%s\n", name, wrap(fmt.Sprintf(format, args...), "  "))
	}
	fact("results", "%s", resultsText(op))
	switch {
	case op.Regions != nil:
		fact("regions", "as many as attributes and operands say")
	case op.NumRegions > 0:
		fact("regions", "%d", op.NumRegions)
	}
	fact("kind", "%s", kindText(op))
	if op.ONNX != "" {
		fact("ONNX", "%s; versions of the operator set that define it: %s", op.ONNX.Name(), strings.Trim(fmt.Sprint(op.ONNX.Since()), "[]"))
	}
	fact("gradient", "%s", gradientText(op))
	if !op.Props.Structural {
		fact("tolerance", "%s", toleranceText(op))
	}
	fact("FLOPs", "%s", flopsText(op))
	if len(op.InPlace) > 0 {
		names := make([]string, len(op.InPlace))
		for i, k := range op.InPlace {
			names[i] = op.Args[k].Name
		}
		fact("in place", "the first result may take the storage of %s", strings.Join(names, " or "))
	}
	fmt.Fprintf(out, "\nkernels\n")
	rows := kernels.Rows(op.Name)
	for _, k := range rows {
		_, err := fmt.Fprintf(out, "  %s\n", kernelText(k))
		if err != nil {
			return err
		}
	}
	if len(rows) == 0 {
		text := "none: the reference computes it"
		switch {
		case op.IsComposite():
			text = "none: it is decomposed"
		case op.Props.Structural:
			text = "none: it needs none"
		}
		_, err := fmt.Fprintf(out, "  %s\n", text)
		return err
	}
	return nil
}

// flopsText says what the op counts, as graph.Node.FLOPs does.
func flopsText(op *graph.Op) string {
	switch {
	case op.FLOPs.Doc != "":
		return op.FLOPs.Doc
	case op.Props.Elementwise:
		return "one for each element of the result"
	case op.IsComposite():
		return "those of its body"
	case op.NumRegions > 0 || op.Regions != nil:
		return "those of its regions"
	}
	return "none"
}

func kinds(op *graph.Op) []string {
	var k []string
	if op.Props.Elementwise {
		k = append(k, "element-wise")
	}
	if op.Props.Commutative {
		k = append(k, "commutative")
	}
	if op.Props.Random {
		k = append(k, "random: two equal nodes are two draws")
	}
	if len(k) == 0 {
		k = append(k, "core")
	}
	return k
}

func toleranceText(op *graph.Op) string {
	var text string
	switch {
	case op.Tol.Terms != nil:
		text = "K*eps*sum|a||b| from the reference, K being the number of terms of a result's sum, or less where there are many"
		if op.Tol.ULP > 0 {
			text += fmt.Sprintf(", and %g ulp", op.Tol.ULP)
		}
	case op.Tol.ULP == 0 && op.IsComposite():
		text = "that of its body"
	case op.Tol.ULP == 0:
		text = "none: every bit as the reference computes it"
	default:
		text = fmt.Sprintf("%g ulp from the reference", op.Tol.ULP)
		if op.IsComposite() {
			text += ", or that of its body"
		}
	}
	if op.Tol.Why != "" {
		text += "; " + op.Tol.Why
	}
	return text
}

func kernelText(k *kernels.Kernel) string {
	text := k.DTypes.String()
	if k.Match != nil {
		text += ", for some shapes and attributes"
	}
	if k.Alias {
		text += ", moves no data"
	}
	return text
}

// attrText is the text form of an attribute's default.
func attrText(v any) string {
	switch v := v.(type) {
	case string:
		return strconv.Quote(v)
	case graph.Symbol:
		return "@" + string(v)
	case *value.Tensor:
		return v.String()
	case []graph.Dim:
		parts := make([]string, len(v))
		for i, d := range v {
			parts[i] = d.String()
		}
		return "[" + strings.Join(parts, ",") + "]"
	}
	return fmt.Sprint(v)
}

// wrap breaks text into lines of about 100 characters, each after the indent. Paragraphs stay apart.
func wrap(text, indent string) string {
	const width = 100
	var b strings.Builder
	for i, par := range strings.Split(strings.TrimSpace(text), "\n\n") {
		if i > 0 {
			b.WriteString("\n\n")
		}
		b.WriteString(indent)
		col := 0
		for j, word := range strings.Fields(par) {
			switch {
			case j > 0 && col+1+len(word) > width:
				b.WriteString("\n" + indent)
				col = 0
			case j > 0:
				b.WriteByte(' ')
				col++
			}
			b.WriteString(word)
			col += len(word)
		}
	}
	return b.String()
}

// didYouMean lists the names that are nearly like the one that was not found, the nearest first; all of them if they are few.
func didYouMean(name string, all []string) string {
	if near := nearest(name, all); len(near) > 0 || len(all) > few {
		return suggest(name, near)
	}
	if len(all) == 0 {
		return ""
	}
	return ": want one of " + strings.Join(all, ", ")
}

const few = 16 // names in a message

func suggest(name string, near []string) string {
	if len(near) == 0 {
		return ""
	}
	return ": did you mean " + strings.Join(near[:min(len(near), few)], ", ") + "?"
}

// similarOps returns the operations that a name from elsewhere may stand for: those that ONNX or PyTorch call so, in any case and for
// any number of axes, as in Conv2d; else those with nearly such a name.
func similarOps(name string) []string {
	plain := func(s string) string {
		s = strings.ReplaceAll(strings.ToLower(s[strings.LastIndexByte(s, '.')+1:]), "_", "")
		for _, axes := range []string{"1d", "2d", "3d"} {
			s = strings.TrimSuffix(s, axes)
		}
		return s
	}
	want := plain(name)
	var called []string
	for _, op := range graph.Ops() {
		if plain(op.Name) == want {
			return []string{op.Name}
		}
		names := []string{op.ONNX.Name()}
		for i, part := range strings.Split(op.Doc, "(") { // names elsewhere stand in parentheses: (torch.where; an element-wise if)
			if inside, _, ok := strings.Cut(part, ")"); i > 0 && ok {
				names = append(names, strings.FieldsFunc(inside, func(r rune) bool { return strings.ContainsRune(" ,;:", r) })...)
			}
		}
		if slices.ContainsFunc(names, func(n string) bool { return n != "" && plain(n) == want }) {
			called = append(called, op.Name)
		}
	}
	if len(called) > 0 {
		return called
	}
	return nearest(want, opNames())
}

// nearest returns the names that are nearly like the given one, the nearest first.
func nearest(name string, all []string) []string {
	var near []string
	most := min(2, len(name)/2) // letters that may be wrong
	for _, n := range all {
		if strings.Contains(n, name) || len(n) > 2 && strings.Contains(name, n) || distance(name, n) <= most {
			near = append(near, n)
		}
	}
	slices.SortStableFunc(near, func(a, b string) int { return distance(name, a) - distance(name, b) })
	return near
}

// distance is the Levenshtein distance of two names.
func distance(a, b string) int {
	row := make([]int, len(b)+1) // row[j] is the distance of a[:i] and b[:j]
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diag := row[0]
		row[0] = i + 1
		for j := range len(b) {
			change := diag
			if a[i] != b[j] {
				change++
			}
			diag = row[j+1]
			row[j+1] = min(change, row[j]+1, diag+1)
		}
	}
	return row[len(b)]
}
