package main

import (
	"bytes"
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/graphrun/graphrun/compile"
	"github.com/graphrun/graphrun/graph"
	"github.com/graphrun/graphrun/graph/dot"
	"github.com/graphrun/graphrun/graph/draw"
	"github.com/graphrun/graphrun/graph/value"
	"github.com/graphrun/graphrun/graph/value/atomicfile"
	"github.com/graphrun/graphrun/runtime/program"
)

func init() { commands = append(commands, dotCommand) }

// stages are the stages that have names of their own, in their order: the row of compile.Passes after which each stands.
var stages = []struct{ name, row, doc string }{
	{"declared", "", "the model as declared"},
	{"differentiated", "autodiff", "with gradients as nodes"},
	{"simplified", "dce:2", "rewritten by all rules that hold on every machine"},
	{"fused", "fuse", "with several nodes fused into one loop over memory"},
	{"optimized", "schedule", "after all passes that change the graph, in execution order"},
	{stagePlanned, "plan", "with the number, the slot and the address of each instruction"},
}

const stagePlanned = "planned"

func namedStages() []string {
	var names []string
	for _, s := range stages {
		names = append(names, s.name)
	}
	return names
}

var drawFormats = []string{"dot", "svg", "png"}

// dotOptions are the flags of dot.
type dotOptions struct {
	fn, stage, out, format string
	flat, full             bool
	batch                  int64
}

func dotCommand() *cobra.Command {
	var o dotOptions
	var help strings.Builder
	for _, s := range stages {
		fmt.Fprintf(&help, "  %-15s%s\n", s.name, s.doc)
	}
	cmd := &cobra.Command{
		Use:   "dot MODEL|DIR|FILE.graph",
		Short: "Draw a function of a model: SVG, PNG, or DOT for Graphviz",
		Long: `dot draws a function of a model: a box for each operation, a frame around each layer, and types beside the edges.
Variables and constants appear beside the operations that use them. A training step has three columns: the forward pass, the
gradients (upwards, each layer's beside the layer) and the optimizer, where one box stands for the whole update of a weight.
--full draws a box for every operation.

The extension of the output file, or --format, decides the format: graphrun draws svg and png itself; dot is text for Graphviz.

` + modelHelp + `

--stage chooses the stage of compilation to draw:

` + help.String() + `
or the name of a pass, for the model after it. If a pass runs more than once, simplify is its first run and simplify:2 its second.`,
		Example: `  graphrun dot lenet5 -o lenet5.svg
  graphrun dot lenet5 --func train --stage differentiated -o train.png
  graphrun dot ./lenet5 --stage planned --batch 64 -o memory.svg
  graphrun dot lenet5 --func train --stage autodiff | dot -Tpdf -o train.pdf`,
		Args: exactArg("a model"),
		RunE: func(cmd *cobra.Command, args []string) error {
			var err error
			if o.format, err = drawFormat(o.format, o.out); err != nil {
				return err
			}
			var b bytes.Buffer
			if err := o.draw(&b, args[0]); err != nil {
				return err
			}
			if o.out == "" || o.out == "-" {
				_, err := exactly(cmd.OutOrStdout()).Write(b.Bytes())
				return err
			}
			return atomicfile.Write(o.out, func(w io.Writer) error {
				_, err := w.Write(b.Bytes())
				return err
			})
		},
	}
	cmd.Flags().StringVar(&o.fn, "func", "", "the function to draw (default predict, or the only one)")
	cmd.Flags().StringVar(&o.stage, "stage", stages[0].name, strings.Join(namedStages(), ", ")+`, or a pass such as "simplify:2"`)
	cmd.Flags().StringVarP(&o.out, "output", "o", "", `file to write, "-" for standard output (the default)`)
	cmd.Flags().StringVar(&o.format, "format", "", "dot, svg or png (default the extension of the output file, else dot)")
	cmd.Flags().BoolVar(&o.flat, "flat", false, "without frames around layers and without columns")
	cmd.Flags().BoolVar(&o.full, "full", false, "draw a box for every operation, including those of the optimizer and of running statistics")
	cmd.Flags().Int64Var(&o.batch, "batch", 64, "batch size to show addresses for, at the stage planned")
	return cmd
}

// draw compiles a model up to the stage and draws a function of it.
func (o dotOptions) draw(w io.Writer, model string) error {
	if o.batch < 1 {
		return usagef("dot: --batch %d: want 1 or more", o.batch)
	}
	rows, err := stageRows(o.stage)
	if err != nil {
		return err
	}
	m, err := loadModule(model)
	if err != nil {
		return err
	}
	f, err := chooseFunc(m, o.fn)
	if err != nil {
		return err
	}
	name := f.Name()
	var notes map[*graph.Node][]string
	var memory *draw.Memory
	switch {
	case o.stage == stagePlanned || o.stage == "emit" || o.stage == "prepack" || o.stage == "plan":
		prog, err := compile.Compile(m)
		if err != nil {
			return err
		}
		m = prog.Module
		notes, memory = planNotes(prog.Funcs[name], o.batch)
	case len(rows) > 0:
		if m, err = compile.Optimize(m, compile.Through(rows...)); err != nil {
			return err
		}
	}
	f = m.LookupFunc(name) // of the module after the passes
	title := m.Name() + " @" + name
	if o.format == "dot" {
		return dot.Write(w, f, dot.Options{Title: title + " (" + o.stage + ")", Flat: o.flat, Full: o.full, Notes: notes})
	}
	return draw.Write(w, draw.Format(o.format), f, draw.Options{
		Title: title, Stage: stageLine(o.stage, f), Flat: o.flat, Full: o.full, Notes: notes, Memory: memory,
	})
}

// drawFormat is the format that is asked for, or the one of the output file's extension.
func drawFormat(format, out string) (string, error) {
	if format != "" {
		if !slices.Contains(drawFormats, format) {
			return "", usagef("dot: --format %s: want one of %s", format, strings.Join(drawFormats, ", "))
		}
		return format, nil
	}
	ext := strings.ToLower(strings.TrimPrefix(filepath.Ext(out), "."))
	switch {
	case out == "" || out == "-":
		return "dot", nil
	case ext == "gv":
		return "dot", nil
	case !slices.Contains(drawFormats, ext):
		return "", usagef("dot: -o %s: the extension names no format: want .dot, .svg or .png, or give --format", out)
	}
	return ext, nil
}

// stageRows returns the rows of compile.Passes up to a stage, none for the one before all passes.
func stageRows(stage string) ([]string, error) {
	row := stage
	for _, s := range stages {
		if s.name == stage {
			if row = s.row; row == "" {
				return nil, nil
			}
		}
	}
	name, count, counted := strings.Cut(row, ":")
	nth := 1
	if counted {
		var err error
		if nth, err = strconv.Atoi(count); err != nil || nth < 1 {
			return nil, usagef("dot: --stage %s: want a number from 1 after the colon", stage)
		}
	}
	var rows []string
	seen := 0
	for _, p := range compile.Passes {
		rows = append(rows, p.Name)
		if p.Name == name {
			if seen++; seen == nth {
				return rows, nil
			}
		}
	}
	if seen > 0 {
		return nil, usagef("dot: --stage %s: %s stands in the table of passes %d times", stage, name, seen)
	}
	return nil, usagef("dot: --stage %s: want %s, or a pass: %s", stage, strings.Join(namedStages(), ", "), strings.Join(compile.PassNames(), ", "))
}

// stageLine is what stands below the title.
func stageLine(stage string, f *graph.Func) string {
	line := "stage: " + stage
	for _, s := range stages {
		if s.name == stage {
			line += ", " + s.doc
		}
	}
	n := 0
	for _, x := range f.Nodes() {
		if x.Variable() == nil && !x.IsConstant() {
			n++
		}
	}
	return fmt.Sprintf("%s · %d operations", line, n)
}

// placeText says where a slot lies for one batch size.
func placeText(p *program.Func, slot int, batch int64) string {
	switch s := &p.Slots[slot]; s.Place {
	case program.Arena:
		if p.Plan == nil {
			return "the arena"
		}
		return fmt.Sprintf("%s at %d", value.ByteText(float64(p.Plan.Sizes[slot].At(batch))), p.Plan.Offset(slot, batch))
	case program.Output:
		return "the caller's"
	case program.View:
		return fmt.Sprintf("view of %d", s.Index)
	case program.Reuse:
		return fmt.Sprintf("over %d", s.Index)
	case program.Next:
		return "over the variable"
	case program.Omitted:
		return "left out"
	}
	return "given"
}

// planNotes says of every instruction its number, and of its results the slots and where they lie, for one batch size; and how
// long each piece of the arena is in use.
func planNotes(p *program.Func, batch int64) (map[*graph.Node][]string, *draw.Memory) {
	notes := map[*graph.Node][]string{}
	bytesOf := func(a program.Affine) string { return value.ByteText(float64(a.At(batch))) }
	for i, ins := range p.Instrs {
		head := fmt.Sprintf("#%d", i)
		if ins.Alias() {
			head += ", moves nothing"
		}
		lines := []string{head}
		for _, o := range ins.Out {
			lines = append(lines, fmt.Sprintf("slot %d: %s", o, placeText(p, o, batch)))
		}
		notes[ins.Node] = lines
	}
	if p.Plan == nil {
		return notes, nil
	}
	mem := &draw.Memory{Steps: len(p.Instrs), Arena: p.Plan.Size(batch)}
	mem.Title = fmt.Sprintf("arena: %s", value.ByteText(float64(mem.Arena)))
	if p.Plan.Symbol != "" {
		mem.Title += fmt.Sprintf(" for %s=%d", p.Plan.Symbol, batch)
	}
	mem.Title += fmt.Sprintf(", at least %s is live at once", bytesOf(p.Plan.Bound))
	type life struct{ first, last int }
	lives := map[int]*life{}
	name := map[int]string{}
	touch := func(slot, i int) {
		root := p.Root(slot)
		if p.Slots[root].Place != program.Arena {
			return
		}
		if lives[root] == nil {
			lives[root] = &life{i, i}
		}
		lives[root].last = i
	}
	for i, ins := range p.Instrs {
		for _, s := range slices.Concat(ins.In, ins.Out) {
			touch(s, i)
		}
		for _, s := range ins.Out {
			if name[s] == "" {
				name[s] = ins.Node.Op().Name
			}
		}
	}
	for _, o := range p.Outputs {
		touch(o.Slot, len(p.Instrs)-1)
	}
	for i := range p.Slots {
		if l := lives[i]; l != nil {
			mem.Slots = append(mem.Slots, draw.Slot{
				Label: fmt.Sprintf("slot %d %s", i, name[i]), First: l.first, Last: l.last,
				Offset: p.Plan.Offset(i, batch), Size: p.Plan.Sizes[i].At(batch),
			})
		}
	}
	return notes, mem
}

func funcNames(m *graph.Module) []string {
	var names []string
	for _, f := range m.Funcs() {
		names = append(names, f.Name())
	}
	slices.Sort(names)
	return names
}
