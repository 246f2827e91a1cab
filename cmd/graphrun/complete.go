package main

import (
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/graphrun/graphrun/compile"
	"github.com/graphrun/graphrun/graph"
)

// completion proposes what may stand in one place of a command line, given the command and the arguments before it.
type completion = cobra.CompletionFunc

// flagCompletions says what the flags of all commands take. A flag that is not here takes no file; one whose help names a FILE or a
// directory is completed by the shell.
var flagCompletions = map[string]completion{
	"func":      ofModel(func(m *graph.Module) []string { return funcNames(m) }),
	"fetch":     completeNodes,
	"optimizer": words(optimizerNames),
	"stage":     words(stageNames),
	"format":    words(func() []string { return drawFormats }),
	"dump":      words(func() []string { return append([]string{"all"}, compile.PassNames()...) }),
	"data": func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
		return []string{builtinDigits}, cobra.ShellCompDirectiveDefault
	},
	"input": func(cmd *cobra.Command, args []string, toComplete string) ([]string, cobra.ShellCompDirective) {
		if strings.Contains(toComplete, "=") {
			return nil, cobra.ShellCompDirectiveDefault
		}
		names, _ := ofModel(inputNames)(cmd, args, toComplete)
		return names, cobra.ShellCompDirectiveNoSpace
	},
}

// completeNodes proposes the layers and nodes of the function that a command runs.
func completeNodes(cmd *cobra.Command, args []string, toComplete string) ([]string, cobra.ShellCompDirective) {
	fn := ""
	if f := cmd.Flag("func"); f != nil {
		fn = f.Value.String()
	}
	return ofModel(func(m *graph.Module) []string {
		f, err := (&model{module: m}).function(fn)
		if err != nil {
			return nil
		}
		return declaredIn(f).all()
	})(cmd, args, toComplete)
}

// words proposes names that do not depend on the command line.
func words(names func() []string) completion {
	return func(_ *cobra.Command, _ []string, toComplete string) ([]string, cobra.ShellCompDirective) {
		return begin(names(), toComplete), cobra.ShellCompDirectiveNoFileComp
	}
}

// ofModel proposes names that the model has which the first argument names.
func ofModel(names func(m *graph.Module) []string) completion {
	return func(_ *cobra.Command, args []string, toComplete string) ([]string, cobra.ShellCompDirective) {
		model := defaultModel
		if len(args) > 0 {
			model = args[0]
		}
		m, err := openModel(model)
		if err != nil {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		return begin(names(m.module), toComplete), cobra.ShellCompDirectiveNoFileComp
	}
}

// begin returns the names that begin with a prefix.
func begin(names []string, prefix string) []string {
	var some []string
	for _, n := range names {
		if strings.HasPrefix(n, prefix) {
			some = append(some, n)
		}
	}
	return some
}

// inputNames lists the inputs of all functions, as --input begins with them.
func inputNames(m *graph.Module) []string {
	var names []string
	for _, f := range m.Funcs() {
		for _, p := range f.Params() {
			if name := p.Node().ResultName(0) + "="; !slices.Contains(names, name) {
				names = append(names, name)
			}
		}
	}
	return names
}

// stageNames lists what --stage takes.
func stageNames() []string {
	return append(namedStages(), compile.PassNames()...)
}

// modelArgs proposes the models of the zoo, and files, for the first argument.
func modelArgs(_ *cobra.Command, args []string, toComplete string) ([]string, cobra.ShellCompDirective) {
	if len(args) > 0 {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	return begin(modelNames(), toComplete), cobra.ShellCompDirectiveDefault
}

// addCompletion gives every command the completion of its arguments and flags, and the root the command that prints the script
// for a shell.
func addCompletion(root *cobra.Command) {
	for _, cmd := range root.Commands() {
		if cmd.ValidArgsFunction == nil {
			switch {
			case strings.Contains(cmd.Use, "MODEL"):
				cmd.ValidArgsFunction = modelArgs
			case !strings.Contains(cmd.Use, "DIR") && !strings.Contains(cmd.Use, "FILE"):
				cmd.ValidArgsFunction = cobra.NoFileCompletions
			}
		}
		cmd.Flags().VisitAll(func(f *pflag.Flag) {
			if _, has := cmd.GetFlagCompletionFunc(f.Name); has {
				return
			}
			propose := flagCompletions[f.Name]
			if name, _ := pflag.UnquoteUsage(f); propose == nil && !strings.Contains(name, "FILE") && !strings.EqualFold(name, "directory") && name != "DIR" {
				propose = words(func() []string { return nil })
			}
			if propose != nil {
				_ = cmd.RegisterFlagCompletionFunc(f.Name, propose)
			}
		})
	}
	root.InitDefaultCompletionCmd()
	i := slices.IndexFunc(root.Commands(), func(c *cobra.Command) bool { return c.Name() == "completion" })
	cmd := root.Commands()[i]
	cmd.Use = "completion bash|zsh|fish|powershell"
	cmd.Short = "Print a shell completion script"
	cmd.Long = `completion prints a script for a shell. With it, the Tab key completes commands, flags, models, functions, inputs, nodes, stages,
optimizers and operations. The help of each shell's command says how to load the script.`
	cmd.Example = `  source <(graphrun completion bash)
  graphrun completion zsh --help`
	cmd.ValidArgsFunction = nil
	shells := []string{"bash", "zsh", "fish", "powershell"}
	cmd.Args = func(_ *cobra.Command, args []string) error {
		if len(args) == 0 {
			return usagef("a shell is missing: want one of %s", strings.Join(shells, ", "))
		}
		return usagef("there is no shell %q: want one of %s", args[0], strings.Join(shells, ", "))
	}
	cmd.RunE = func(*cobra.Command, []string) error { return nil } // its Args refuse whatever is no shell
	for _, c := range cmd.Commands() {
		c.Short = "Print the script for " + c.Name()
		c.Args = noArgs
	}
}
