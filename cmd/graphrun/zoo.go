package main

import (
	"slices"
	"strings"

	"github.com/graphrun/graphrun/graph"
	"github.com/graphrun/graphrun/models/optim"
	"github.com/graphrun/graphrun/models/zoo"
)

// What a model is trained with unless the command line says otherwise.
const (
	defaultModel     = "lenet5"
	defaultOptimizer = "adam"
	defaultLR        = 1e-3
)

func modelNames() []string { return zoo.Names() }

func optimizerNames() []string { return slices.Sorted(slices.Values(optim.Names())) }

// buildModel declares a model of the zoo. Further options say what it is fed and how many classes it tells apart.
func buildModel(name, optimizer string, lr float64, opts ...zoo.Option) (*graph.Module, error) {
	model, ok := zoo.Lookup(name)
	if !ok {
		return nil, usagef("there is no model %q%s", name, didYouMean(name, modelNames()))
	}
	opt, err := optim.New(optimizer, lr)
	if err != nil {
		return nil, usagef("--optimizer %s: want one of %s", optimizer, strings.Join(optimizerNames(), ", "))
	}
	m := model.Build(append([]zoo.Option{zoo.Optimizer(opt)}, opts...)...)
	return m, m.Err()
}

// modelList says what each model of the zoo is.
func modelList() string {
	var b strings.Builder
	for _, m := range zoo.Models() {
		b.WriteString("  " + m.Name + strings.Repeat(" ", max(1, 10-len(m.Name))) + m.Doc + "\n")
	}
	return strings.TrimSuffix(b.String(), "\n")
}
