package main

import (
	"slices"
	"strings"

	"github.com/graphrun/graphrun/graph"
	"github.com/graphrun/graphrun/graph/artifact"
)

// declared is the values of a function under the names by which a command line calls them.
type declared struct {
	f     *graph.Func
	names map[graph.Value]string
	// byName and layers are what the names stand for: that of a value, without the %, and that of a layer, for its output.
	byName map[string]graph.Value
	layers map[string]graph.Value
	paths  []string // of the layers, in the order of the function
}

// declaredIn names the values of a function.
func declaredIn(f *graph.Func) *declared {
	d := &declared{f: f, names: f.ValueNames(), byName: map[string]graph.Value{}, layers: map[string]graph.Value{}}
	for v, name := range d.names {
		d.byName[name] = v
	}
	inside := map[string]map[*graph.Node]bool{} // the nodes of a layer and of the layers in it
	for _, n := range f.Nodes() {
		for path := n.Scope(); path != ""; path = parentLayer(path) {
			if inside[path] == nil {
				inside[path] = map[*graph.Node]bool{}
				d.paths = append(d.paths, path)
			}
			inside[path][n] = true
		}
	}
	// An output is what others take of a layer; what it reads is none.
	take := func(v graph.Value, by *graph.Node) {
		n := v.Node()
		if n.Index() < 0 || n.Variable() != nil || n.IsConstant() {
			return
		}
		for path := n.Scope(); path != ""; path = parentLayer(path) {
			if by != nil && inside[path][by] {
				return // and so do the layers around it
			}
			if old, ok := d.layers[path]; !ok || old.Node().Index() < n.Index() {
				d.layers[path] = v
			}
		}
	}
	for _, n := range f.Nodes() {
		for _, v := range n.Operands() {
			take(v, n)
		}
	}
	for _, r := range f.Results() {
		take(r.Value, nil)
	}
	// A layer that nobody takes anything of, such as an optimizer, has the last of its values.
	for _, path := range d.paths {
		if _, ok := d.layers[path]; ok {
			continue
		}
		for _, n := range f.Nodes() {
			if inside[path][n] && n.NumResults() > 0 {
				d.layers[path] = n.Result(0)
			}
		}
	}
	return d
}

// parentLayer is the layer around another, "" at the top.
func parentLayer(path string) string {
	return path[:max(0, strings.LastIndexByte(path, '.'))]
}

// find returns the value that a name stands for: with a %, that of a value; without it, that of a result, of a value or of a layer.
func (d *declared) find(name string) (graph.Value, bool) {
	bare, valueOnly := strings.CutPrefix(name, "%")
	if !valueOnly {
		for _, r := range d.f.Results() {
			if r.Name == bare {
				return r.Value, true
			}
		}
	}
	v, ok := d.byName[bare]
	if !ok && !valueOnly {
		v, ok = d.layers[bare]
	}
	return v, ok
}

// text is what a value is called, and how it is computed: "%5 = relu (layer 1) at model.go:42".
func (d *declared) text(v graph.Value) string {
	n := v.Node()
	what := n.Op().Name
	if n.Index() < 0 {
		what = "input"
	}
	layer := ""
	if n.Scope() != "" {
		layer = " (layer " + artifact.Visible(n.Scope()) + ")"
	}
	return "%" + d.names[v] + " = " + what + layer + " at " + n.Pos().String()
}

// before orders values as they are declared.
func before(a, b graph.Value) int {
	at := func(v graph.Value) [2]int {
		if i := v.Node().Index(); i >= 0 {
			return [2]int{i, v.Index()}
		}
		return [2]int{-1, -v.Node().Index()}
	}
	x, y := at(a), at(b)
	return slices.Compare(x[:], y[:])
}

// all lists the names that a person would use: of layers, inputs and named values, then the numbers.
func (d *declared) all() []string {
	names := slices.Clone(d.paths)
	var numbers []string
	add := func(n *graph.Node) {
		for _, v := range n.Results() {
			switch name := d.names[v]; {
			case n.ResultName(v.Index()) == "":
				numbers = append(numbers, "%"+name)
			case !slices.Contains(names, name):
				names = append(names, name)
			}
		}
	}
	for _, p := range d.f.Params() {
		add(p.Node())
	}
	for _, n := range d.f.Nodes() {
		add(n)
	}
	return append(names, numbers...)
}

// unknown is the text of an error for a name that stands for nothing.
func (d *declared) unknown(name, model string) string {
	hint := ""
	if near := nearest(strings.TrimPrefix(name, "%"), d.all()); len(near) > 0 {
		hint = ": did you mean " + strings.Join(near[:min(len(near), 8)], ", ") + "?"
	}
	return "@" + d.f.Name() + " has no node or layer " + name + hint + "; graphrun inspect " + model + " --func " + d.f.Name() + " --nodes lists all"
}
