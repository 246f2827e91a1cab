package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"math"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/graphrun/graphrun/compile"
	"github.com/graphrun/graphrun/graph"
	"github.com/graphrun/graphrun/runtime"
	"github.com/graphrun/graphrun/runtime/program"
	"github.com/graphrun/graphrun/runtime/value"
	"github.com/graphrun/graphrun/runtime/value/npy"
)

func init() { commands = append(commands, bisectCommand) }

type bisectOptions struct {
	model, fn     string
	feeds, expect string
	rtol, atol    float64
}

func bisectCommand() *cobra.Command {
	var o bisectOptions
	cmd := &cobra.Command{
		Use:   "bisect MODEL|DIR|FILE.graph",
		Short: "Find the compiler's rewrite that makes results wrong",
		Long: `bisect compiles a model under limits on the compiler's optional rewrites, runs it, and finds the first rewrite
with which the results go wrong. It prints the pass, the rule and the node with its place.

Right is what --expect holds, or else what the references of the operations give for the model as it was declared, up
to rounding. Feeds are the arrays of an .npz file under the names of the inputs; without --feeds, they are drawn.

` + modelHelp,
		Example: `  graphrun bisect lenet5 --func train
  graphrun bisect model.graph --func predict --feeds in.npz --expect out.npz --rtol 1e-4`,
		Args: exactArg("the model"),
		RunE: func(cmd *cobra.Command, args []string) error {
			o.model = args[0]
			if o.rtol < 0 || o.atol < 0 || math.IsNaN(o.rtol+o.atol) {
				return usagef("bisect: --rtol %v --atol %v: want 0 or more", o.rtol, o.atol)
			}
			if o.expect == "" && (cmd.Flags().Changed("rtol") || cmd.Flags().Changed("atol")) {
				return usagef("bisect: --rtol and --atol go with --expect")
			}
			return runBisect(cmd.Context(), o, cmd.OutOrStdout())
		},
	}
	f := cmd.Flags()
	f.StringVar(&o.fn, "func", "", "the function to run (default the only one)")
	f.StringVar(&o.feeds, "feeds", "", "`FILE.npz` with the inputs by name")
	f.StringVar(&o.expect, "expect", "", "`FILE.npz` with the results that are right, all or some")
	f.Float64Var(&o.rtol, "rtol", 1e-5, "with --expect, how far elements may be off, relative to them")
	f.Float64Var(&o.atol, "atol", 1e-8, "with --expect, how far elements may be off in any case")
	return cmd
}

func runBisect(ctx context.Context, o bisectOptions, out io.Writer) error {
	m, weights, err := loadModel(o.model)
	if err != nil {
		return err
	}
	if o.fn == "" {
		if len(m.Funcs()) != 1 {
			return usagef("bisect: --func is missing: want one of %s", strings.Join(funcNames(m), ", "))
		}
		o.fn = m.Funcs()[0].Name()
	}
	if m.LookupFunc(o.fn) == nil {
		return usagef("bisect: --func %s: the model has no such function: want one of %s", o.fn, strings.Join(funcNames(m), ", "))
	}
	in := compile.Inputs{Func: o.fn, Variables: weights}
	if o.feeds != "" {
		feeds, err := npy.ReadNPZ(o.feeds)
		if err != nil {
			return fmt.Errorf("--feeds: %w", err)
		}
		if in.Feeds, err = fitFeeds(m.LookupFunc(o.fn), feeds); err != nil {
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
			if !slices.ContainsFunc(m.LookupFunc(o.fn).Results(), func(r graph.Result) bool { return r.Name == name }) {
				return fmt.Errorf("--expect %s: %s has no result %q", o.expect, o.fn, name)
			}
		}
		right = func(p *program.Program) error { return meetsArrays(ctx, p, want, expected, o.rtol, o.atol) }
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
	case r == nil:
		_, err = fmt.Fprintln(out, "the results are right with all rewrites")
		return err
	}
	_, err = fmt.Fprintf(out, "results go wrong with %s\n%v\n", r, wrong)
	return err
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
func meetsArrays(ctx context.Context, p *program.Program, e *compile.Expectation, want map[string]*value.Tensor, rtol, atol float64) error {
	_, results, err := execute(ctx, p, e)
	if err != nil {
		return err
	}
	for _, name := range slices.Sorted(maps.Keys(want)) {
		got, ok := results[name].(*value.Tensor)
		if !ok {
			return fmt.Errorf("result %s is no tensor", name)
		}
		w, err := value.CastExactly(want[name], got.DType())
		if err != nil {
			return fmt.Errorf("--expect: %s: %w", name, err)
		}
		if err := value.AllClose(got, w, rtol, atol); err != nil {
			return &wrongResult{fmt.Errorf("result %s: %w", name, err)}
		}
	}
	return nil
}

// fitFeeds brings arrays to the dtypes of a function's inputs.
func fitFeeds(f *graph.Func, arrays map[string]*value.Tensor) (map[string]value.Value, error) {
	feeds := map[string]value.Value{}
	for name, t := range arrays {
		p, ok := f.Lookup(name)
		if !ok || !p.Is("param") {
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
