package compile

import "github.com/graphrun/graphrun/graph"

var dce = &Pass{
	Name: "dce",
	Doc: "Removes nodes on which no result and no update depends. It stands after cse and fold, which leave such nodes behind. " +
		"What they demand of sizes stays demanded; what their references refuse of values, such as an index out of range, does not.",
	Run: func(c *Context, m *graph.Module) error {
		return eachFunc(m, func(f *graph.Func) error { removeDead(c, f); return nil })
	},
	After: []string{"autodiff"},
}

func removeDead(c *Context, f *graph.Func) {
	nodes := f.Nodes()
	live, dead := make([]bool, len(nodes)), 0
	mark := func(n *graph.Node) {
		if i := n.Index(); i >= 0 { // a parameter lives anyway
			live[i] = true
		}
	}
	for _, r := range f.Results() {
		mark(r.Value.Node())
	}
	for _, u := range f.Updates() {
		mark(u.Value.Node())
	}
	source := unknownSources(nodes)
	for i := len(nodes) - 1; i >= 0; i-- {
		n := nodes[i]
		if !live[i] && c.Allow(n.Op().Name, n) {
			dead++
			continue
		}
		live[i] = true
		for _, v := range n.Operands() {
			mark(v.Node())
		}
		if len(source) > 0 {
			eachUnknown(n, func(id string) {
				if s := source[id]; s != nil {
					mark(s)
				}
			})
		}
	}
	if dead == 0 {
		return
	}
	kept := make([]*graph.Node, 0, len(nodes)-dead)
	for i, n := range nodes {
		if live[i] {
			kept = append(kept, n)
		}
	}
	f.SetNodes(kept)
	f.Forget()
}

// unknownSources maps the sizes that data decides to the nodes that they come from: nodes that name such a size in an
// attribute need its source though they do not take its result.
func unknownSources(nodes []*graph.Node) map[string]*graph.Node {
	var source map[string]*graph.Node
	for _, n := range nodes {
		for _, t := range n.Types() {
			if !graph.HasUnknown(t) {
				continue
			}
			for _, d := range t.(graph.TensorType).Shape {
				for _, id := range d.Unknowns() {
					if source == nil {
						source = map[string]*graph.Node{}
					}
					if source[id] == nil {
						source[id] = n
					}
				}
			}
		}
	}
	return source
}

// eachUnknown visits the sizes that n and the nodes of its regions name in their attributes.
func eachUnknown(n *graph.Node, visit func(id string)) {
	shape := func(dims []graph.Dim) {
		for _, d := range dims {
			for _, id := range d.Unknowns() {
				visit(id)
			}
		}
	}
	for _, a := range n.Attrs() {
		switch x := a.Value.(type) {
		case []graph.Dim:
			shape(x)
		case graph.TensorType:
			shape(x.Shape)
		}
	}
	for _, r := range n.Regions() {
		for _, k := range r.Nodes() {
			eachUnknown(k, visit)
		}
	}
}
