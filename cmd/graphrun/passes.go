package main

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/graphrun/graphrun/compile"
)

func init() { commands = append(commands, passesCommand) }

// passesOptions are the flags of passes.
type passesOptions struct {
	dump                   []string
	stats, checked, asJSON bool
	limit                  int
	limited                bool // whether a limit is given
}

func passesCommand() *cobra.Command {
	var o passesOptions
	cmd := &cobra.Command{
		Use:   "passes [MODEL|DIR|FILE.graph]",
		Short: "Show the compiler's passes, or what each one does to a model",
		Long: `passes prints the compiler's table of passes in order.

With a model, it runs them and prints for each pass the number of rewrites by rule, the number of nodes afterwards and the time
taken. --dump prints the model's text before and after the named passes; "all" names every pass. --check evaluates the model on
random inputs by the operations' references, before the first pass and after each one, and names the pass, the rewrite and the
node that change a result. --pass-limit N stops after N optional rewrites; bisect finds the rewrite that makes a result wrong.

` + modelHelp,
		Example: `  graphrun passes
  graphrun passes lenet5
  graphrun passes mlp --dump autodiff
  graphrun passes softmax --check
  graphrun passes mlp --dump all --stats --pass-limit 10
  graphrun passes lenet5 --json`,
		Args: atMostOneArg,
		RunE: func(cmd *cobra.Command, args []string) error {
			out := cmd.OutOrStdout()
			if len(args) > 0 {
				o.limited = cmd.Flags().Changed("pass-limit")
				return o.run(out, args[0])
			}
			for _, name := range []string{"dump", "stats", "check", "pass-limit"} {
				if cmd.Flags().Changed(name) {
					return usagef("--%s: a model is missing", name)
				}
			}
			if o.asJSON {
				return passesJSON(out)
			}
			return printPasses(out)
		},
	}
	cmd.Flags().StringSliceVar(&o.dump, "dump", nil, `print the model's text before and after these passes ("all" for every pass)`)
	cmd.Flags().BoolVar(&o.stats, "stats", false, "print what each pass did (the default without --dump)")
	cmd.Flags().BoolVar(&o.checked, "check", false, "compare what the model computes before and after every pass")
	cmd.Flags().BoolVar(&o.asJSON, "json", false, "print one JSON object")
	cmd.Flags().IntVar(&o.limit, "pass-limit", 0, "stop after this many optional rewrites (default no limit)")
	return cmd
}

// run compiles a model and prints what the passes did to it.
func (o passesOptions) run(out io.Writer, model string) error {
	if o.asJSON && len(o.dump) > 0 {
		return usagef("--dump prints text: it does not go with --json")
	}
	var limits []compile.Option
	if o.limited {
		if o.limit < 0 {
			return usagef("--pass-limit %d: want 0 or more", o.limit)
		}
		limits = append(limits, compile.PassLimit(o.limit))
	}
	var rows []compile.RowStats
	opts := append(slices.Clone(limits), compile.Stats(&rows))
	switch {
	case slices.Contains(o.dump, "all"):
		opts = append(opts, compile.Dump(out))
	case len(o.dump) > 0:
		for _, name := range o.dump {
			if compile.LookupPass(name) == nil {
				return usagef("--dump %s: there is no such pass: want all or some of %s", name, strings.Join(compile.PassNames(), ", "))
			}
		}
		opts = append(opts, compile.Dump(out, o.dump...))
	}
	m, err := openModel(model)
	if err != nil {
		return err
	}
	if o.checked {
		if err := compile.Check(m.module, compile.Inputs{Variables: m.weights}, limits...); err != nil {
			return err
		}
	}
	if _, err := compile.Compile(m.module, opts...); err != nil {
		return err
	}
	switch {
	case o.asJSON:
		return statsJSON(out, m.module.Name(), rows)
	case o.stats || len(o.dump) == 0:
		return printStats(out, rows)
	}
	return nil
}

func printPasses(out io.Writer) error {
	for i, p := range compile.Passes {
		after := ""
		if len(p.After) > 0 {
			after = " (after " + strings.Join(p.After, ", ") + ")"
		}
		doc := wrap(p.Doc, "      ")
		if first := slices.Index(compile.Passes, p); first < i {
			doc = fmt.Sprintf("      As in row %d.", first+1)
		}
		if _, err := fmt.Fprintf(out, "%3d   %s%s\n%s\n", i+1, p.Name, after, doc); err != nil {
			return err
		}
	}
	return nil
}

// passesJSON prints the table of passes as one object.
func passesJSON(out io.Writer) error {
	type row struct {
		Name  string   `json:"name"`
		After []string `json:"after,omitempty"`
		Doc   string   `json:"doc"`
	}
	var rows []row
	for _, p := range compile.Passes {
		rows = append(rows, row{p.Name, p.After, strings.Join(strings.Fields(p.Doc), " ")})
	}
	return printJSON(out, map[string]any{"passes": rows})
}

// statsJSON prints what passes did as one object.
func statsJSON(out io.Writer, model string, rows []compile.RowStats) error {
	type row struct {
		Pass     string         `json:"pass"`
		Nodes    int            `json:"nodes"`
		Seconds  float64        `json:"seconds"`
		Rewrites map[string]int `json:"rewrites"`
	}
	all := []row{}
	for _, r := range rows {
		rewrites := r.Rewrites
		if rewrites == nil {
			rewrites = map[string]int{}
		}
		all = append(all, row{r.Pass, r.Nodes, r.Time.Seconds(), rewrites})
	}
	return printJSON(out, map[string]any{"model": model, "passes": all})
}

func printStats(out io.Writer, rows []compile.RowStats) error {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "PASS\tNODES\tTIME\tREWRITES")
	for _, r := range rows {
		rules := slices.SortedFunc(maps.Keys(r.Rewrites), func(a, b string) int {
			if d := r.Rewrites[b] - r.Rewrites[a]; d != 0 {
				return d
			}
			return strings.Compare(a, b)
		})
		parts := make([]string, len(rules))
		for i, rule := range rules {
			parts[i] = fmt.Sprintf("%s %d", rule, r.Rewrites[rule])
		}
		if len(parts) == 0 {
			parts = []string{"-"}
		}
		fmt.Fprintf(w, "%s\t%d\t%v\t%s\n", r.Pass, r.Nodes, r.Time.Round(time.Microsecond), strings.Join(parts, ", "))
	}
	return w.Flush()
}
