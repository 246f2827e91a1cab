package main

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/graphrun/graphrun/graph"
	"github.com/graphrun/graphrun/graph/artifact"
	"github.com/graphrun/graphrun/graph/value"
	"github.com/graphrun/graphrun/models/optim"
)

// optimize gives a model that is to be trained its optimizer: a known model has that of the flags already, a stored one keeps its own unless
// the flags say otherwise, and a text whose step updates nothing gets the usual one. Stored values of what goes are taken out of
// weights. It returns the weights, and what to call the optimizer.
func (o *trainOptions) optimize(m *graph.Module, weights map[string]*value.Tensor) (map[string]*value.Tensor, string, error) {
	known := !isPath(o.model) && slices.Contains(modelNames(), o.model)
	info, err := artifact.InfoOf(m)
	if err != nil {
		return nil, "", err
	}
	fn, _ := info.LossResult()
	f := m.LookupFunc(fn)
	if f == nil {
		return weights, "", nil // the trainer says so
	}
	var opts []optim.Option
	how := ""
	if o.clipValue > 0 {
		opts, how = append(opts, optim.ClipValue(o.clipValue)), how+fmt.Sprintf(" with elements of the gradient up to %g", o.clipValue)
	}
	if o.clipNorm > 0 {
		opts, how = append(opts, optim.ClipNorm(o.clipNorm)), how+fmt.Sprintf(" with a gradient of norm up to %g", o.clipNorm)
	}
	name, lr := orElse(o.optimizer, defaultOptimizer), o.lr
	if lr == 0 {
		lr = defaultLR
	}
	if !known && o.optimizer == "" && len(f.Updates()) > 0 {
		if opts != nil {
			return nil, "", usagef("--clip-norm and --clip-value belong to an optimizer, and %s keeps its own: give --optimizer too", o.model)
		}
		if o.lr > 0 {
			if v := m.LookupVariable("lr"); v == nil {
				return nil, "", usagef("--lr: %s has no variable lr: give it an optimizer with --optimizer", o.model)
			}
			if weights == nil {
				weights = map[string]*value.Tensor{}
			}
			weights["lr"] = value.Scalar(o.lr)
		}
		return weights, "the model's own optimizer", nil
	}
	if known && opts == nil {
		return weights, name, nil
	}
	return weights, name + how, replaceOptimizer(m, weights, name, lr, opts...)
}

// replaceOptimizer derives another step of training from the loss that a model names, and takes stored values of the state that goes out
// of weights.
func replaceOptimizer(m *graph.Module, weights map[string]*value.Tensor, name string, lr float64, opts ...optim.Option) error {
	opt, err := optim.New(name, lr, opts...)
	if err != nil {
		return usagef("--optimizer %s: want one of %s", name, strings.Join(optimizerNames(), ", "))
	}
	info, err := artifact.InfoOf(m)
	if err != nil {
		return err
	}
	if info.Loss == "" {
		return fmt.Errorf(`--optimizer: the model does not say which result is its loss: add a line such as meta "loss" = "%s/loss" to its text, whose functions are %s`,
			trainFunc, value.Few(funcNames(m)))
	}
	before := map[string]*graph.Variable{}
	for _, v := range m.Variables() {
		before[v.Name()] = v
	}
	fn, result := info.LossResult()
	if err := optim.Replace(m, fn, result, opt); err != nil {
		return fmt.Errorf("--optimizer: %w", err)
	}
	maps.DeleteFunc(weights, func(name string, _ *value.Tensor) bool { return m.LookupVariable(name) != before[name] })
	return nil
}
