package main

import (
	"bytes"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/graphrun/graphrun/compile"
	"github.com/graphrun/graphrun/graph"
	"github.com/graphrun/graphrun/graph/dot"
)

func init() { commands = append(commands, dotCommand) }

// The stages that are not called by a pass.
const (
	stageDeclared  = "declared"
	stageOptimized = "optimized"
)

func dotCommand() *cobra.Command {
	var fn, stage, out string
	var flat bool
	cmd := &cobra.Command{
		Use:   "dot MODEL|DIR|FILE.graph",
		Short: "Draw a function of a model for Graphviz",
		Long: `dot writes a function of a model in the DOT language: one cluster per layer, the types on the edges.

` + modelHelp + `

The stage says how far the compiler has come: "declared" is the model as it was written, "optimized" what all passes
make of it, and the name of a pass the model after that pass. A pass that stands in the table more than once is
counted: simplify is its first run, simplify:2 its second.`,
		Example: `  graphrun dot lenet5 --func predict | dot -Tsvg -o lenet5.svg
  graphrun dot lenet5 --func train --stage autodiff -o train.dot
  graphrun dot ./lenet5 --stage optimized`,
		Args: exactArg("a model"),
		RunE: func(cmd *cobra.Command, args []string) error {
			m, err := loadModule(args[0])
			if err != nil {
				return err
			}
			rows, err := stageRows(stage)
			if err != nil {
				return err
			}
			if rows != nil {
				if m, err = compile.Optimize(m, rows...); err != nil {
					return err
				}
			}
			f := m.LookupFunc(fn)
			if f == nil {
				return usagef("dot: --func %s: %s has no such function: want one of %s", fn, args[0], strings.Join(funcNames(m), ", "))
			}
			title := fmt.Sprintf("%s @%s (%s)", m.Name(), fn, stage)
			write := func(w io.Writer) error { return dot.Write(w, f, dot.Options{Title: title, Flat: flat}) }
			if out == "" || out == "-" {
				var b bytes.Buffer
				if err := write(&b); err != nil {
					return err
				}
				_, err := cmd.OutOrStdout().Write(b.Bytes())
				return err
			}
			return writeFile(out, write)
		},
	}
	cmd.Flags().StringVar(&fn, "func", "predict", "the function to draw")
	cmd.Flags().StringVar(&stage, "stage", stageDeclared, `"declared", "optimized" or a pass, such as "autodiff" or "simplify:2"`)
	cmd.Flags().StringVarP(&out, "output", "o", "", "file to write (default standard output)")
	cmd.Flags().BoolVar(&flat, "flat", false, "draw no clusters")
	return cmd
}

// stageRows returns the options that make compile.Optimize stop where a stage says, nil for a stage before all
// passes.
func stageRows(stage string) ([]compile.Option, error) {
	switch stage {
	case stageDeclared:
		return nil, nil
	case stageOptimized:
		return []compile.Option{}, nil
	}
	name, count, counted := strings.Cut(stage, ":")
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
				return []compile.Option{compile.Through(rows...)}, nil
			}
		}
	}
	if seen > 0 {
		return nil, usagef("dot: --stage %s: %s stands in the table of passes %d times", stage, name, seen)
	}
	return nil, usagef("dot: --stage %s: want %s, %s or a pass: %s", stage, stageDeclared, stageOptimized, strings.Join(compile.PassNames(), ", "))
}

func funcNames(m *graph.Module) []string {
	var names []string
	for _, f := range m.Funcs() {
		names = append(names, f.Name())
	}
	slices.Sort(names)
	return names
}
