package optim

import (
	"errors"
	"fmt"
	"slices"

	"github.com/graphrun/graphrun/graph"
)

// Replace derives a new step of training from the loss that a function of m returns, a float of rank 0: it takes out
// the updates of the optimizer that is there with its state, and lets opt minimize the loss instead. It needs the graph
// alone, so that a model loaded from text can go on with another optimizer:
//
//	err := optim.Replace(a.Module, "train", "loss", optim.SGD(0.01, optim.Momentum(0.9)))
//
// Weights that the function updated before are those that opt trains; where it updated none, all that the loss depends
// on. Updates of variables that are neither trainable nor an optimizer's state stay: running statistics, counters of
// random draws. opt starts anew, also where it is of the kind that was there.
//
// It is an error if there is no such function or result, if opt is faulty, if something else needs the state that would
// go, such as another function that reads the learning rate, or if the function updates weights that the loss does not
// depend on: those of another loss, which nothing would train any more. m is unchanged then.
//
// Stored values of what went are not for the new optimizer, which may have variables of the same names: start a session
// from those that artifact.Artifact.StateDict returns.
func Replace(m *graph.Module, fn, result string, opt *Optimizer) error {
	if m == nil || opt == nil {
		return errors.New("optim: want a module and an optimizer, have nil")
	}
	err := m.Err()
	if opt == nil || opt.own == nil {
		err = errors.New("the optimizer is missing: make one by SGD, Adam, New or another of this package")
	}
	if err == nil {
		err = replace(m.Clone(), fn, result, opt) // a rehearsal
	}
	if err == nil {
		err = replace(m, fn, result, opt)
	}
	if err != nil {
		return fmt.Errorf("replace the optimizer of @%s: %w", fn, err)
	}
	return nil
}

func replace(m *graph.Module, fn, result string, opt *Optimizer) error {
	f := m.LookupFunc(fn)
	if f == nil {
		var names []string
		for _, f := range m.Funcs() {
			names = append(names, f.Name())
		}
		return fmt.Errorf("there is no such function: want one of %q", names)
	}
	at := slices.IndexFunc(f.Results(), func(r graph.Result) bool { return r.Name == result })
	if at < 0 {
		var names []string
		for _, r := range f.Results() {
			names = append(names, r.Name)
		}
		return fmt.Errorf("there is no result %q: want one of %q", result, names)
	}
	loss := f.Results()[at].Value
	state := stateOf(f)
	var updated []*graph.Variable
	for _, u := range f.Updates() {
		updated = append(updated, u.Var)
	}
	f.DropUpdates(func(u graph.Update) bool { return u.Var.Trainable() || u.Var.IsOptimizerState() })
	for _, v := range state {
		if err := m.RemoveVariable(v); err != nil {
			return fmt.Errorf("@%s is the optimizer's and would go: %w", v.Name(), err)
		}
	}
	all := weights(loss)
	for _, v := range updated {
		if v.Trainable() && !slices.Contains(all, v) {
			return fmt.Errorf("it updates @%s, which %q does not depend on: another loss trains it, and would do so no longer", v.Name(), result)
		}
	}
	vars := slices.DeleteFunc(slices.Clone(all), func(v *graph.Variable) bool { return !slices.Contains(updated, v) })
	if len(vars) == 0 {
		vars = all
	}
	opt.own.Forget(m)
	opt.Minimize(loss, vars...)
	return m.Err()
}

// stateOf returns the variables that are an optimizer's state and that f reads or updates.
func stateOf(f *graph.Func) []*graph.Variable {
	m := f.Module()
	in := map[*graph.Variable]bool{}
	for _, u := range f.Updates() {
		in[u.Var] = true
	}
	for _, n := range f.Nodes() {
		if n.Op().Name == "read" {
			in[m.LookupVariable(string(n.Attrs().Symbol("var")))] = true
		}
	}
	return slices.DeleteFunc(slices.Clone(m.Variables()), func(v *graph.Variable) bool { return !in[v] || !v.IsOptimizerState() })
}
