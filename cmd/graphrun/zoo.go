package main

import (
	"maps"
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

// optimizers makes an optimizer of a learning rate, by the name that --optimizer takes.
var optimizers = map[string]func(lr float64) *optim.Optimizer{
	"sgd":      func(lr float64) *optim.Optimizer { return optim.SGD(lr) },
	"momentum": func(lr float64) *optim.Optimizer { return optim.SGD(lr, optim.Momentum(0.9)) },
	"nesterov": func(lr float64) *optim.Optimizer { return optim.SGD(lr, optim.Momentum(0.9), optim.Nesterov()) },
	"adam":     func(lr float64) *optim.Optimizer { return optim.Adam(lr) },
	"adamw":    func(lr float64) *optim.Optimizer { return optim.AdamW(lr) },
	"adamax":   func(lr float64) *optim.Optimizer { return optim.Adamax(lr) },
	"nadam":    func(lr float64) *optim.Optimizer { return optim.NAdam(lr) },
	"radam":    func(lr float64) *optim.Optimizer { return optim.RAdam(lr) },
	"rmsprop":  func(lr float64) *optim.Optimizer { return optim.RMSprop(lr) },
	"adagrad":  func(lr float64) *optim.Optimizer { return optim.Adagrad(lr) },
	"adadelta": func(lr float64) *optim.Optimizer { return optim.Adadelta(lr) },
}

func modelNames() []string { return zoo.Names() }

func optimizerNames() []string { return slices.Sorted(maps.Keys(optimizers)) }

// buildModel declares a model of the zoo.
func buildModel(name, optimizer string, lr float64) (*graph.Module, error) {
	model, ok := zoo.Lookup(name)
	if !ok {
		return nil, usagef("there is no model %q%s", name, didYouMean(name, modelNames()))
	}
	opt, ok := optimizers[optimizer]
	if !ok {
		return nil, usagef("--optimizer %s: want one of %s", optimizer, strings.Join(optimizerNames(), ", "))
	}
	return model.Build(zoo.Optimizer(opt(lr))), nil
}

// modelList says what each model of the zoo is.
func modelList() string {
	var b strings.Builder
	for _, m := range zoo.Models() {
		b.WriteString("  " + m.Name + strings.Repeat(" ", max(1, 10-len(m.Name))) + m.Doc + "\n")
	}
	return strings.TrimSuffix(b.String(), "\n")
}
