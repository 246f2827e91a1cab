package compile

import "github.com/graphrun/graphrun/graph"

var dce = &Pass{
	Name: "dce",
	Doc:  "Removes nodes on which no result and no update depends. It stands after cse and fold, which leave such nodes behind.",
	Run: func(c *Context, m *graph.Module) error {
		return eachFunc(m, func(f *graph.Func) error { removeDead(c, f); return nil })
	},
	After: []string{"autodiff"},
}

func removeDead(c *Context, f *graph.Func) {
	live := map[*graph.Node]bool{}
	for _, r := range f.Results() {
		live[r.Value.Node()] = true
	}
	for _, u := range f.Updates() {
		live[u.Value.Node()] = true
	}
	nodes := f.Nodes()
	for i := len(nodes) - 1; i >= 0; i-- {
		n := nodes[i]
		if !live[n] && c.allow(n.Op().Name) {
			continue
		}
		live[n] = true
		for _, v := range n.Operands() {
			live[v.Node()] = true
		}
	}
	kept := nodes[:0:0]
	for _, n := range nodes {
		if live[n] {
			kept = append(kept, n)
		}
	}
	f.SetNodes(kept)
	f.Forget()
}
