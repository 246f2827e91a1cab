package compile

import "github.com/graphrun/graphrun/graph"

// indexed is a function whose nodes are known by their places, with who uses whom. It holds as long as the nodes stay.
type indexed struct {
	f     *graph.Func
	nodes []*graph.Node
	// users lists by node the nodes that use it, each once, in order: those of node i are list[start[i]:start[i+1]].
	start, list []int32
	result      []bool // whether a result of the node is a result of the function
	update      []bool // whether it is the next value of a variable
}

func newIndexed(f *graph.Func) *indexed {
	nodes := f.Nodes()
	n := len(nodes)
	x := &indexed{f: f, nodes: nodes, start: make([]int32, n+2), result: make([]bool, n), update: make([]bool, n)}
	each := func(visit func(user, used int)) {
		for i, node := range nodes {
			in := node.Operands()
		next:
			for k, v := range in {
				j := v.Node().Index()
				if j < 0 {
					continue
				}
				for _, w := range in[:k] {
					if w.Node() == v.Node() {
						continue next
					}
				}
				visit(i, j)
			}
		}
	}
	total := int32(0)
	each(func(_, used int) { x.start[used+2]++; total++ })
	for i := range n {
		x.start[i+2] += x.start[i+1]
	}
	x.list = make([]int32, total)
	each(func(user, used int) {
		x.list[x.start[used+1]] = int32(user)
		x.start[used+1]++
	})
	x.start = x.start[:n+1]
	for _, r := range f.Results() {
		if i := r.Value.Node().Index(); i >= 0 {
			x.result[i] = true
		}
	}
	for _, u := range f.Updates() {
		if i := u.Value.Node().Index(); i >= 0 {
			x.update[i] = true
		}
	}
	return x
}

// users returns the nodes that use node i.
func (x *indexed) users(i int) []int32 { return x.list[x.start[i]:x.start[i+1]] }

// kept reports whether a result of node i leaves the function.
func (x *indexed) kept(i int) bool { return x.result[i] || x.update[i] }
