package main

import (
	"context"
	"fmt"
	"io"

	"github.com/graphrun/graphrun/compile"
	"github.com/graphrun/graphrun/graph"
	"github.com/graphrun/graphrun/graph/value"
	"github.com/graphrun/graphrun/models/data"
	"github.com/graphrun/graphrun/runtime"
)

// checkedExamples bounds how many examples of a data set are checked on: references are slow.
const checkedExamples = 4

// check compiles a function with every pass held against the one before, runs it with every instruction held against its
// reference, and holds what comes out against the model as it was declared.
func check(ctx context.Context, out io.Writer, m *graph.Module, in compile.Inputs, opts []compile.Option) error {
	if err := compile.Check(m, in, opts...); err != nil {
		return err
	}
	want, err := compile.Expect(m, in)
	if err != nil {
		return err
	}
	prog, err := compile.Compile(m, opts...)
	if err != nil {
		return err
	}
	if err := meets(ctx, prog, want, runtime.Recheck()); err != nil {
		return err
	}
	_, err = fmt.Fprintf(out, "graphrun: check: @%s: %d passes, %d instructions and the results agree with the references\n",
		in.Func, len(compile.Passes), prog.Funcs[in.Func].Steps())
	return err
}

// examples returns the first examples of a data set as feeds of a function with an input and a target, "" for none.
func examples(set data.Dataset, batch int, input, target string) (map[string]value.Value, error) {
	loader, err := data.NewLoader(set, data.LoaderOptions{BatchSize: min(batch, checkedExamples)})
	if err != nil {
		return nil, err
	}
	for b, err := range loader.Epoch(0) {
		if err != nil {
			return nil, err
		}
		feeds := map[string]value.Value{input: b.X}
		if target != "" {
			feeds[target] = b.Y
		}
		return feeds, nil
	}
	return nil, fmt.Errorf("the data set has no examples")
}
