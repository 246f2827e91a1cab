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
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	"golang.org/x/term"

	"github.com/graphrun/graphrun/graph/value/atomicfile"
)

// The exit codes.
const (
	exitFailed      = 1
	exitUsage       = 2
	exitInterrupted = 130 // what shells give a program that Ctrl-C ended
)

// commands makes the commands; the file of each adds its own.
var commands []func() *cobra.Command

func main() { os.Exit(process(os.Stderr)) }

// process runs the command line of the process.
func process(stderr io.Writer) int {
	ctx := untilSignal()
	ended := make(chan int, 1)
	go func() { ended <- run(ctx, os.Args[1:], os.Stdout, stderr) }()
	select {
	case code := <-ended:
		return code
	case <-ctx.Done():
	}
	for {
		select {
		case code := <-ended:
			return code
		case <-time.After(patience):
		}
		// What does not look at the context, such as a layout or a read of a pipe, ends with the process. What is saved is saved whole.
		if saving.Load() == 0 && !atomicfile.Writing() {
			fmt.Fprintln(stderr, "graphrun: interrupted")
			return exitInterrupted
		}
	}
}

// patience is how long a command may take to end by itself once it is interrupted.
const patience = time.Second

// saving counts what must come to its end although the command is interrupted.
var saving atomic.Int32

// untilSignal returns a context that Ctrl-C or SIGTERM ends. A second one ends the program at once.
func untilSignal() context.Context {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop)
	return ctx
}

// run is the program without the process: it runs a command line and returns the exit code. If ctx is done, the
// command was interrupted.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	out, errs := &output{to: stdout}, &output{to: stderr}
	root := newRoot(out)
	// What goes wrong before a command's own code starts is the fault of the command line.
	started := false
	root.PersistentPreRun = func(*cobra.Command, []string) { started = true }
	root.SetArgs(args)
	root.SetErr(errs)
	cmd, err := root.ExecuteContextC(ctx)
	unwritten := out.end()
	if err == nil {
		err = unwritten
	}
	if err == nil {
		return 0
	}
	code := exitFailed
	text := errorText(cmd, err)
	var usage *usageError
	switch {
	case unwritten != nil:
	case errors.As(err, &usage) || !started:
		code = exitUsage
		text = fmt.Sprintf("%s (%s --help shows how)", text, cmd.CommandPath())
	case errors.Is(err, context.Canceled) && ctx.Err() != nil:
		code = exitInterrupted
		text = "interrupted"
	}
	fmt.Fprintf(stderr, "%s ", styled(stderr, red, "graphrun:"))
	fmt.Fprintln(errs, text)
	return code
}

// errorText is an error of a command as it is printed: on one line that begins with the command, except that an error of
// several faults takes an indented line for each but the first.
func errorText(cmd *cobra.Command, err error) string {
	text := strings.TrimSpace(err.Error())
	if path := strings.TrimPrefix(cmd.CommandPath(), cmd.Root().Name()); path != "" {
		if path = path[1:] + ": "; !strings.HasPrefix(text, path) {
			text = path + text
		}
	}
	return strings.ReplaceAll(text, "\n", "\n  ")
}

// newRoot makes the command that writes to out.
func newRoot(out io.Writer) *cobra.Command {
	root := &cobra.Command{
		Use:   "graphrun",
		Short: "Train, run and inspect static computation graphs",
		Long: `graphrun trains, runs and inspects models declared as static computation graphs.

Exit codes: 0 success, 1 a failed run, 2 a wrong command line, 130 interrupted.`,
		Example: `  graphrun train lenet5                                train LeNet-5 on the built-in digits
  graphrun run lenet5 --input image=lenet5/sample.png  classify a picture
  graphrun inspect lenet5                              layers, parameters, FLOPs and memory
  graphrun dot lenet5 -o lenet5.svg                    draw the graph
  graphrun passes lenet5                               see what each compiler pass does
  graphrun ops softmax                                 read an operation's declaration
  graphrun completion bash --help                      complete models, functions and flags with the Tab key`,
		Version:       versionText(),
		SilenceErrors: true,
		SilenceUsage:  true,
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 {
				return nil
			}
			if _, err := readTopic(args[0]); err == nil {
				return usagef("%s is a help topic, not a command: graphrun help %s", args[0], args[0])
			}
			return usagef("there is no command %q%s", args[0], didYouMean(args[0], commandNames(cmd)))
		},
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	root.SetOut(out) // first: commands that print completions take it when they are made
	root.SetVersionTemplate("{{.Version}}\n")
	root.SetFlagErrorFunc(flagError)
	for _, c := range commands {
		root.AddCommand(c())
	}
	addHelp(root)
	addCompletion(root)
	return root
}

// commandNames lists the commands that help shows.
func commandNames(root *cobra.Command) []string {
	var names []string
	for _, c := range root.Commands() {
		if !c.Hidden {
			names = append(names, c.Name())
		}
	}
	return names
}

// flagError says what is wrong with a flag and what to write instead.
func flagError(cmd *cobra.Command, err error) error {
	var unknown *pflag.NotExistError
	var empty *pflag.ValueRequiredError
	var bad *pflag.InvalidValueError
	switch {
	case errors.As(err, &unknown) && unknown.GetSpecifiedShortnames() != "":
		return usagef("there is no flag -%s", unknown.GetSpecifiedShortnames())
	case errors.As(err, &unknown):
		var names []string
		cmd.Flags().VisitAll(func(f *pflag.Flag) {
			if !f.Hidden {
				names = append(names, "--"+f.Name)
			}
		})
		name := "--" + unknown.GetSpecifiedName()
		return usagef("there is no flag %s%s", name, didYouMean(name, names))
	case errors.As(err, &empty):
		return usagef("--%s: want %s after it", empty.GetFlag().Name, flagWants(empty.GetFlag()))
	case errors.As(err, &bad):
		want := flagWants(bad.GetFlag())
		if errors.Is(err, strconv.ErrRange) {
			want += " closer to 0"
		}
		return usagef("--%s %s: want %s", bad.GetFlag().Name, bad.GetValue(), want)
	}
	return usagef("%v", err)
}

// flagWants says what a flag takes.
func flagWants(f *pflag.Flag) string {
	switch f.Value.Type() {
	case "bool":
		return "true or false"
	case "int", "int64":
		return "a whole number"
	case "uint64":
		return "a whole number from 0 on"
	case "float64":
		return "a number"
	case "duration":
		return "a time, such as 90s or 5m"
	}
	if name, _ := pflag.UnquoteUsage(f); strings.ToUpper(name) == name {
		return name
	}
	return "a value"
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
		if len(args) == 0 {
			return usagef("%s is missing", what)
		}
		return atMostOneArg(cmd, args)
	}
}

// atMostOneArg admits one argument or none.
func atMostOneArg(cmd *cobra.Command, args []string) error {
	if len(args) > 1 {
		return usagef("unexpected argument %q after %s", args[1], args[0])
	}
	return nil
}

// noArgs admits no argument.
func noArgs(_ *cobra.Command, args []string) error {
	if len(args) > 0 {
		return usagef("unexpected argument %q", args[0])
	}
	return nil
}

// The styles of text on a terminal, as the parameters of the control sequence SGR.
const (
	red = "1;31"
)

// styled is a text in a style where w is a terminal that shows it and NO_COLOR (no-color.org) does not forbid it, the text alone
// elsewhere.
func styled(w io.Writer, style, text string) string {
	f, ok := w.(*os.File)
	if !ok || os.Getenv("NO_COLOR") != "" || os.Getenv("TERM") == "dumb" || !term.IsTerminal(int(f.Fd())) {
		return text
	}
	return "\x1b[" + style + "m" + text + "\x1b[0m"
}
