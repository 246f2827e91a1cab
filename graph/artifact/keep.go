package artifact

import (
	"maps"
	"slices"
	"strings"

	"github.com/graphrun/graphrun/graph"
	"github.com/graphrun/graphrun/graph/errfmt"
)

// Keep returns a smaller model for those who only call some functions, such as a service that predicts: without the
// other functions, unless those that stay call them, and without the variables that none left reads or updates, such as
// an optimizer's state. What the model says of itself stays as far as it still holds. a is unchanged; tensors are
// shared with it.
func Keep(a *Artifact, funcs ...string) (*Artifact, error) {
	if a == nil || a.Module == nil {
		return nil, errNil
	}
	m := a.Module.Clone()
	var names []string
	for _, f := range m.Funcs() {
		names = append(names, f.Name())
	}
	if len(funcs) == 0 {
		return nil, errfmt.Errorf("keep: no functions are given: want some of %q", names)
	}
	for _, name := range funcs {
		if !slices.Contains(names, name) {
			return nil, errfmt.Errorf("keep: there is no function %q: want one of %q", name, names)
		}
	}
	for _, f := range slices.Backward(slices.Clone(m.Funcs())) { // callers stand behind what they call
		if !slices.Contains(funcs, f.Name()) {
			_ = m.RemoveFunc(f) // an error says that it is called
		}
	}
	for _, v := range slices.Clone(m.Variables()) {
		_ = m.RemoveVariable(v) // an error says that it is needed
	}
	keepMeta(m)
	if err := graph.Verify(m); err != nil {
		return nil, errfmt.Errorf("keep: %w", err)
	}
	gone := func(name string) bool { return m.LookupVariable(name) == nil }
	kept := &Artifact{Module: m, Weights: maps.Clone(a.Weights), Missing: slices.DeleteFunc(slices.Clone(a.Missing), gone), Checked: a.Checked}
	for name := range a.Weights {
		if gone(name) {
			delete(kept.Weights, name)
		}
	}
	return kept, nil
}

// keepMeta drops what m says of inputs and of a loss that it no longer has.
func keepMeta(m *graph.Module) {
	inputs := map[string]bool{}
	for _, f := range m.Funcs() {
		for _, name := range inputNames(f) {
			inputs[name] = true
		}
	}
	for _, key := range m.MetaKeys() {
		for _, prefix := range []string{metaRole, metaPreprocess, oldInput} {
			if name, ok := strings.CutPrefix(key, prefix); ok && !inputs[name] {
				m.SetMeta(key, "")
			}
		}
	}
	fn, result, _ := strings.Cut(m.Meta(metaLoss), "/")
	f := m.LookupFunc(fn)
	if f == nil || !slices.ContainsFunc(f.Results(), func(r graph.Result) bool { return r.Name == result }) {
		m.SetMeta(metaLoss, "")
	}
}
