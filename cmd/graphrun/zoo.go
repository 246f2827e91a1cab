package main

// TEMPORARY until models/zoo lands.

import (
	"slices"
	"strings"

	"github.com/graphrun/graphrun/graph"
	"github.com/graphrun/graphrun/models/nn"
	"github.com/graphrun/graphrun/ops"
)

const (
	defaultModel     = "lenet5"
	defaultOptimizer = "adam"
	defaultLR        = 1e-3
)

func modelNames() []string     { return []string{"softmax", "mlp", "lenet5"} }
func optimizerNames() []string { return []string{"adam", "sgd"} }

func buildModel(name, optimizer string, lr float64) (*graph.Module, error) {
	if !slices.Contains(modelNames(), name) {
		return nil, usagef("there is no model %q%s", name, didYouMean(name, modelNames()))
	}
	if !slices.Contains(optimizerNames(), optimizer) {
		return nil, usagef("--optimizer %s: want one of %s", optimizer, strings.Join(optimizerNames(), ", "))
	}
	m := graph.NewModule(name)
	net := nn.Sequential(nn.Linear(784, 10))
	if name != "softmax" {
		net = nn.Sequential(nn.Linear(784, 12), nn.Linear(12, 10))
	}
	declare := func(name string) (f *graph.Func, logits, label, loss graph.Value) {
		f = m.Func(name)
		logits = net.Apply(ops.Flatten(f.Input("image", graph.F32, "N", 1, 28, 28), 1, -1))
		if name == "predict" {
			f.Return("logits", logits)
			return f, logits, label, loss
		}
		label = f.Input("label", graph.I64, "N")
		hit := ops.Cast(ops.Equal(ops.Unsqueeze(label, 1), ops.Iota(f, graph.I64, 1, 1, 10)), graph.F32)
		loss = ops.Neg(ops.Mean(ops.Sum(ops.Mul(ops.LogSoftmax(logits, 1), hit), 1)))
		f.Return("loss", loss)
		return f, logits, label, loss
	}
	declare("predict")
	f, _, _, loss := declare("train")
	var xs []graph.Value
	for _, v := range m.Variables() {
		xs = append(xs, v.Read(f))
	}
	for i, g := range graph.Grad(loss, xs...) {
		f.Update(m.Variables()[i], ops.Sub(xs[i], ops.Mul(g, lr)))
	}
	f, logits, label, _ := declare("eval")
	f.Return("correct", ops.Sum(ops.Cast(ops.Equal(ops.ArgMax(logits, 1, false), label), graph.I64)))
	return m, m.Err()
}
