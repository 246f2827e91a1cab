package main

import (
	"fmt"
	"io"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/graphrun/graphrun/compile"
	"github.com/graphrun/graphrun/graph"
	"github.com/graphrun/graphrun/runtime"
	"github.com/graphrun/graphrun/runtime/plan"
	"github.com/graphrun/graphrun/runtime/program"
	"github.com/graphrun/graphrun/runtime/value"
)

func init() { commands = append(commands, inspectCommand) }

func inspectCommand() *cobra.Command {
	var batch int64
	cmd := &cobra.Command{
		Use:   "inspect MODEL|DIR|FILE.graph",
		Short: "Show what a model compiles to: instructions, memory, and what runs without a kernel",
		Long: `inspect compiles a model and prints its variables and, for every function, the number of instructions, the bytes
that they read and write, and the memory plan: the size of the arena as a formula in the batch size, the least that any
plan must take, and the gap between the two. The formulas are evaluated for --batch.

Nodes that no kernel computes are listed with their source lines: their references run, which is right but slow.

` + modelHelp,
		Example: `  graphrun inspect lenet5
  graphrun inspect lenet5/ --batch 1`,
		Args: exactArg("the model"),
		RunE: func(cmd *cobra.Command, args []string) error {
			if batch < 1 {
				return usagef("inspect: --batch %d: want 1 or more", batch)
			}
			m, err := loadModule(args[0])
			if err != nil {
				return err
			}
			prog, err := compile.Compile(m)
			if err != nil {
				return err
			}
			return inspect(cmd.OutOrStdout(), prog, batch)
		},
	}
	cmd.Flags().Int64Var(&batch, "batch", 64, "the size for which formulas are evaluated")
	return cmd
}

func inspect(out io.Writer, prog *program.Program, batch int64) error {
	trainable, other := 0.0, 0.0
	count := 0
	for _, v := range prog.Variables {
		n, _ := v.Type.NumElements().Int()
		if v.Trainable {
			count++
			trainable += float64(n)
		} else {
			other += float64(n) * float64(v.Type.DType.Bits()) / 8
		}
	}
	fmt.Fprintf(out, "@%s: %.0f parameters in %d variables, %s in %d others\n\n",
		prog.Module.Name(), trainable, count, value.ByteText(other), len(prog.Variables)-count)

	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "FUNCTION\tINSTRUCTIONS\tNO KERNEL\tMOVED\tARENA\tBOUND\tGAP")
	var slow []string
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
			slow = append(slow, nodeLine(n))
		}
		fmt.Fprintf(w, "%s\t%d\t%d\t%s\n", f.Name(), p.Steps(), len(nodes), memoryText(p, batch))
	}
	for _, v := range prog.Variables {
		nodes, err := runtime.References(prog, v.Init, nil)
		if err != nil {
			return err
		}
		for _, n := range nodes {
			slow = append(slow, nodeLine(n)+" (initializer of @"+v.Name+")")
		}
	}
	if err := w.Flush(); err != nil {
		return err
	}
	if len(slow) > 0 {
		fmt.Fprintf(out, "\nComputed by their references:\n  %s\n", strings.Join(slow, "\n  "))
	}
	return nil
}

func nodeLine(n *graph.Node) string {
	return fmt.Sprintf("%s: %s : %s", n.Pos(), n.Op().Name, n.Types()[0])
}

// memoryText is the columns on memory: bytes moved, arena, bound and gap.
func memoryText(p *program.Func, batch int64) string {
	switch {
	case p.Dynamic:
		return "data decides\tdata decides\t-\t-"
	case p.Plan == nil:
		return "planned at run time\tplanned at run time\t-\t-"
	}
	moved, _ := plan.Traffic(p, p.Plan.Symbol)
	peak, bound := p.Plan.Peak, p.Plan.Bound
	gap := "0 %"
	if b := bound.At(batch); b > 0 {
		gap = fmt.Sprintf("%.1f %%", 100*(float64(p.Plan.Size(batch))/float64(b)-1))
	}
	return strings.Join([]string{affineText(moved, p.Plan.Symbol, batch), affineText(peak, p.Plan.Symbol, batch), affineText(bound, p.Plan.Symbol, batch), gap}, "\t")
}

// affineText is a number of bytes as a formula and for one size.
func affineText(a program.Affine, symbol string, n int64) string {
	size := value.ByteText(float64(a.At(n)))
	if symbol == "" || a.Per == 0 {
		return size
	}
	return fmt.Sprintf("%d*%s + %d (%s)", a.Per, symbol, a.Fixed, size)
}
