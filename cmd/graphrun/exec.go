package main

import (
	goruntime "runtime"

	"github.com/spf13/cobra"

	"github.com/graphrun/graphrun/compile"
	"github.com/graphrun/graphrun/runtime"
)

// execOptions are the flags of the commands that compile and execute.
type execOptions struct {
	cmd       *cobra.Command
	threads   int
	passLimit int
	check     bool
	nanGuard  bool
}

func (o *execOptions) flags(cmd *cobra.Command) {
	o.cmd = cmd
	f := cmd.Flags()
	f.IntVar(&o.threads, "threads", 0, "threads to use (default all processors)")
	f.BoolVar(&o.check, "check", false, "first check every compiler pass and every instruction against the operations' references, on a few examples")
	f.BoolVar(&o.nanGuard, "nan-guard", false, "stop at the first node that produces a NaN and name it and its line (slower)")
	f.IntVar(&o.passLimit, "pass-limit", 0, "stop after this many optional rewrites (default no limit)")
}

// apply sets the number of threads of the process and returns what to compile with.
func (o *execOptions) apply() ([]compile.Option, error) {
	if o.cmd.Flags().Changed("threads") {
		if o.threads < 1 {
			return nil, usagef("--threads %d: want at least 1", o.threads)
		}
		goruntime.GOMAXPROCS(o.threads)
	}
	if o.cmd.Flags().Changed("pass-limit") {
		if o.passLimit < 0 {
			return nil, usagef("--pass-limit %d: want 0 or more", o.passLimit)
		}
		return []compile.Option{compile.PassLimit(o.passLimit)}, nil
	}
	return nil, nil
}

// session returns options for sessions, added to the given ones.
func (o *execOptions) session(opts ...runtime.Option) []runtime.Option {
	if o.nanGuard {
		opts = append(opts, runtime.NaNGuard())
	}
	return opts
}
