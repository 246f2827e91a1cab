package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"

	"github.com/spf13/cobra"

	"github.com/graphrun/graphrun/compile"
	"github.com/graphrun/graphrun/graph"
	"github.com/graphrun/graphrun/graph/value"
	"github.com/graphrun/graphrun/graph/value/npy"
	"github.com/graphrun/graphrun/runtime"
	"github.com/graphrun/graphrun/runtime/program"
)

func init() { commands = append(commands, bisectCommand) }

type bisectOptions struct {
	model, fn     string
	feeds, expect string
	close         closeness
	json          bool
}

func bisectCommand() *cobra.Command {
	var o bisectOptions
	cmd := &cobra.Command{
		Use:   "bisect MODEL|DIR|FILE.graph",
		Short: "Find the compiler rewrite that makes a result wrong",
		Long: `bisect compiles and runs a model with limited numbers of optional rewrites and finds the first rewrite that makes the
results wrong. It prints the pass, the rule, and the node with its line.

The expected results come from --expect, or else from evaluating the declared model by the operations' references, up to
rounding. --feeds is an .npz file with the inputs by name; without it, inputs are random.

` + modelHelp,
		Example: `  graphrun bisect lenet5 --func train
  graphrun bisect model.graph --func predict --feeds in.npz --expect expected.npz --rtol 1e-4`,
		Args: exactArg("the model"),
		RunE: func(cmd *cobra.Command, args []string) error {
			o.model = args[0]
			if err := o.close.valid(cmd, o.expect); err != nil {
				return err
			}
			return runBisect(cmd.Context(), o, cmd.OutOrStdout())
		},
	}
	f := cmd.Flags()
	f.StringVar(&o.fn, "func", "", "the function to run (default the only one)")
	f.StringVar(&o.feeds, "feeds", "", "`FILE.npz` with the inputs by name")
	f.StringVar(&o.expect, "expect", "", "`FILE.npz` with the expected results, all or some")
	o.close.flags(cmd)
	f.BoolVar(&o.json, "json", false, "print one JSON object")
	return cmd
}

func runBisect(ctx context.Context, o bisectOptions, out io.Writer) error {
	opened, err := openModel(o.model)
	if err != nil {
		return err
	}
	m, weights := opened.module, opened.weights
	if names := funcNames(m); o.fn == "" && len(names) > 1 {
		return usagef("--func is missing: want one of %s", value.Few(names))
	}
	f, err := opened.function(o.fn)
	if err != nil {
		return err
	}
	o.fn = f.Name()
	in := compile.Inputs{Func: o.fn, Variables: weights}
	if o.feeds != "" {
		feeds, err := npy.ReadNPZ(o.feeds)
		if err != nil {
			return fmt.Errorf("--feeds: %w", err)
		}
		if in.Feeds, err = fitFeeds(f, feeds); err != nil {
			return fmt.Errorf("--feeds %s: %w", o.feeds, err)
		}
	}
	want, err := compile.Expect(m, in)
	if err != nil {
		return err
	}
	right := func(p *program.Program) error { return meets(ctx, p, want) }
	if o.expect != "" {
		expected, err := npy.ReadNPZ(o.expect)
		if err != nil {
			return fmt.Errorf("--expect: %w", err)
		}
		for name := range expected {
			if !slices.ContainsFunc(f.Results(), func(r graph.Result) bool { return r.Name == name }) {
				return fmt.Errorf("--expect %s: %s has no result %q", o.expect, o.fn, name)
			}
		}
		right = func(p *program.Program) error { return meetsArrays(ctx, p, want, expected, o.close) }
	}
	var wrong error // of the last program that was wrong
	r, err := compile.Bisect(m, func(p *program.Program) (bool, error) {
		err := right(p)
		var w *wrongResult
		if errors.As(err, &w) {
			wrong = err
			return true, nil
		}
		return false, err
	})
	switch {
	case errors.Is(err, compile.ErrNoRewrite):
		return fmt.Errorf("%w: %w", err, wrong)
	case err != nil:
		return err
	case o.json:
		return printBisection(out, r, wrong)
	case r == nil:
		_, err = fmt.Fprintln(out, "the results are right with all rewrites")
		return err
	}
	_, err = fmt.Fprintf(out, "results go wrong with %s\n%v\n", r, wrong)
	return err
}

// printBisection prints the rewrite that makes results wrong, null if they are right with all.
func printBisection(out io.Writer, r *compile.Rewrite, wrong error) error {
	doc := map[string]any{"right": r == nil, "rewrite": nil}
	if r != nil {
		doc["rewrite"] = map[string]any{"number": r.Step, "pass": r.Pass, "rule": r.Rule, "op": r.Op, "source": r.Pos.String(), "function": r.Func}
		doc["wrong"] = wrong.Error()
	}
	return printJSON(out, doc)
}

// wrongResult is the error of results that are not what is expected.
type wrongResult struct{ err error }

func (e *wrongResult) Error() string { return e.err.Error() }

// execute runs a program on the feeds and variables of an expectation.
func execute(ctx context.Context, p *program.Program, e *compile.Expectation, opts ...runtime.Option) (*runtime.Session, map[string]value.Value, error) {
	s, err := runtime.NewSession(p, append(opts, runtime.Weights(e.Variables))...)
	if err != nil {
		return nil, nil, err
	}
	results, err := s.Run(ctx, e.Func, e.Feeds)
	return s, results, err
}

// meets runs a program and holds what comes out against what is expected.
func meets(ctx context.Context, p *program.Program, e *compile.Expectation, opts ...runtime.Option) error {
	s, results, err := execute(ctx, p, e, opts...)
	if err != nil {
		return err
	}
	if err := e.Compare(results, s.Variable); err != nil {
		return &wrongResult{err}
	}
	return nil
}

// meetsArrays is meets for results that were given.
func meetsArrays(ctx context.Context, p *program.Program, e *compile.Expectation, want map[string]*value.Tensor, c closeness) error {
	_, results, err := execute(ctx, p, e)
	if err != nil {
		return err
	}
	for _, name := range slices.Sorted(maps.Keys(want)) {
		got, ok := results[name].(*value.Tensor)
		if !ok {
			return fmt.Errorf("result %s is not a tensor", name)
		}
		d, err := compareArrays(got, want[name], c)
		if err != nil {
			return fmt.Errorf("--expect: %s: %w", name, err)
		}
		if d.Off > 0 {
			return &wrongResult{fmt.Errorf("result %s: %s (allowed is %g + %g*|want|)", name, d, c.atol, c.rtol)}
		}
	}
	return nil
}

// fitFeeds brings arrays to the dtypes of a function's inputs.
func fitFeeds(f *graph.Func, arrays map[string]*value.Tensor) (map[string]value.Value, error) {
	feeds := map[string]value.Value{}
	for name, t := range arrays {
		p, ok := f.Lookup(name)
		if !ok || !p.Node().IsParam() {
			return nil, fmt.Errorf("%s has no input %q", f.Name(), name)
		}
		t, err := value.CastExactly(t, p.DType())
		if err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		feeds[name] = t
	}
	return feeds, nil
}
