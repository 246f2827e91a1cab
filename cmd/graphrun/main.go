// Command graphrun trains, runs and inspects models: static computation graphs.
//
// Each command stands in a file of its own, which adds itself to the list of commands.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"

	"github.com/spf13/cobra"
)

// The exit codes.
const (
	exitFailed      = 1
	exitUsage       = 2
	exitInterrupted = 130 // what shells give a program that Ctrl-C ended
)

// commands makes the commands; the file of each adds its own.
var commands []func() *cobra.Command

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	context.AfterFunc(ctx, stop) // a second Ctrl-C ends the program at once
	os.Exit(run(ctx, os.Args[1:], os.Stdout, os.Stderr))
}

// run is the program without the process: it runs a command line and returns the exit code. If ctx is done, the
// command was interrupted.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	root := newRoot()
	// What goes wrong before a command's own code starts is the fault of the command line.
	started := false
	root.PersistentPreRun = func(*cobra.Command, []string) { started = true }
	root.SetArgs(args)
	root.SetOut(stdout)
	root.SetErr(stderr)
	cmd, err := root.ExecuteContextC(ctx)
	if err == nil {
		return 0
	}
	code := exitFailed
	var usage *usageError
	switch {
	case errors.As(err, &usage) || !started:
		code = exitUsage
		err = fmt.Errorf("%s\n%s --help says how to use it", oneLine(err), cmd.CommandPath())
	case errors.Is(err, context.Canceled) && ctx.Err() != nil:
		code = exitInterrupted
		err = errors.New("interrupted")
	}
	fmt.Fprintf(stderr, "graphrun: %v\n", err)
	return code
}

// oneLine drops the suggestions that cobra appends to an unknown command.
func oneLine(err error) string {
	text, _, _ := strings.Cut(err.Error(), "\n\n")
	return text
}

func newRoot() *cobra.Command {
	root := &cobra.Command{
		Use:   "graphrun",
		Short: "Train, run and inspect static computation graphs",
		Long: `graphrun trains, runs and inspects models that are static computation graphs.

Exit codes: 0 success, 1 a failed run, 2 a wrong command line, 130 interrupted.`,
		Example: `  graphrun train lenet5                               train LeNet-5 on the built-in digits
  graphrun run lenet5 --input image=lenet5/sample.png  classify a picture
  graphrun dot lenet5 --func predict -o lenet5.dot     draw the graph
  graphrun passes lenet5                               see what each compiler pass does
  graphrun ops softmax                                 read an operation's declaration`,
		SilenceErrors: true,
		SilenceUsage:  true,
		Args:          cobra.NoArgs,
		RunE:          func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	root.CompletionOptions.HiddenDefaultCmd = true
	for _, c := range commands {
		root.AddCommand(c())
	}
	return root
}

// usageError is a fault of the command line that a command itself found.
type usageError struct{ msg string }

func (e *usageError) Error() string { return e.msg }

func usagef(format string, args ...any) error {
	return &usageError{fmt.Sprintf(format, args...)}
}

// exactArg asks for one argument and says which.
func exactArg(what string) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		switch len(args) {
		case 0:
			return usagef("%s: %s is missing", cmd.Name(), what)
		case 1:
			return nil
		}
		return usagef("%s: unexpected argument %q after %s", cmd.Name(), args[1], args[0])
	}
}
