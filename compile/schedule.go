package compile

import (
	"container/heap"

	"github.com/graphrun/graphrun/graph"
	"github.com/graphrun/graphrun/runtime/plan"
)

var schedule = &Pass{
	Name: "schedule",
	Doc: "Chooses an order of the nodes in which the values that are live at the same time take little memory. It tries the order as it is and " +
		"one that always runs the node that frees most, and keeps the better one. It stands last, since fusion decides what there is to order.",
	After: []string{"decompose"},
	Run: func(c *Context, m *graph.Module) error {
		for _, f := range m.Funcs() {
			scheduleFunc(c, f)
		}
		return nil
	},
}

// nominal is the size that symbols stand for where orders are compared: that of a usual batch.
const nominal = 64

func scheduleFunc(c *Context, f *graph.Func) {
	symbol, one := onlySymbol(f)
	if !one {
		return
	}
	s := newScheduler(f, symbol)
	if s == nil {
		return
	}
	compute, commit := splitCommit(f)
	given := append(compute[:len(compute):len(compute)], commit...)
	before := s.peak(given)
	greedy := s.greedy(commit)
	if s.peak(greedy) < before && c.allow("order") {
		f.SetNodes(greedy)
	}
}

// scheduler knows what each value takes and who needs it.
type scheduler struct {
	nodes []*graph.Node
	index map[*graph.Node]int
	// By storage: the bytes, and the nodes that need it, each once. The storage of a node's result is numbered by the node; a view
	// is of the storage of what it views.
	bytes []int64
	root  []int
	uses  [][]int // by node: the storages that it needs
	users []int   // by storage: how many nodes need it
}

// newScheduler returns nil if some size is not known up to the symbol.
func newScheduler(f *graph.Func, symbol string) *scheduler {
	nodes := f.Nodes()
	n := len(nodes)
	s := &scheduler{
		nodes: nodes, index: make(map[*graph.Node]int, n),
		bytes: make([]int64, n), root: make([]int, n), uses: make([][]int, n), users: make([]int, n),
	}
	used := map[graph.Value]bool{}
	for _, node := range nodes {
		for _, v := range node.Operands() {
			used[v] = true
		}
	}
	for _, r := range f.Results() {
		used[r.Value] = true
	}
	for _, u := range f.Updates() {
		used[u.Value] = true
	}
	for i, node := range nodes {
		s.index[node] = i
		s.root[i] = i
		for _, t := range node.Types() {
			size, ok := plan.SizeOf(t, symbol)
			if !ok {
				return nil
			}
			s.bytes[i] += size.At(nominal)
		}
		if k := kernelOf(node); k != nil {
			for _, r := range k.Optional {
				if size, _ := plan.SizeOf(node.Types()[r], symbol); !used[node.Result(r)] {
					s.bytes[i] -= size.At(nominal)
				}
			}
		}
		switch name := node.Op().Name; {
		case name == "constant" || name == "read":
			s.bytes[i] = 0
		case len(node.Operands()) > 0:
			if k := kernelOf(node); k != nil && k.Alias {
				if from, ok := s.index[node.Operands()[0].Node()]; ok {
					s.root[i], s.bytes[i] = s.root[from], 0
				} else {
					s.bytes[i] = 0
				}
			}
		}
		for _, v := range node.Operands() {
			if j, ok := s.index[v.Node()]; ok {
				s.need(i, s.root[j])
			}
		}
	}
	keep := func(v graph.Value) { // an output lives to the end
		if j, ok := s.index[v.Node()]; ok {
			s.users[s.root[j]] += n + 1
		}
	}
	for _, r := range f.Results() {
		keep(r.Value)
	}
	next := nextOf(f)
	_, commit := splitCommit(f)
	inPlace := map[*graph.Node]bool{}
	for _, c := range commit {
		inPlace[c] = true
	}
	for v := range next {
		if inPlace[v.Node()] {
			s.bytes[s.index[v.Node()]] = 0 // the variables' own storage
		} else {
			keep(v)
		}
	}
	return s
}

// need notes that a node needs a storage.
func (s *scheduler) need(node, storage int) {
	for _, u := range s.uses[node] {
		if u == storage {
			return
		}
	}
	s.uses[node] = append(s.uses[node], storage)
	s.users[storage]++
}

// peak returns the most bytes that are live at once in an order.
func (s *scheduler) peak(order []*graph.Node) int64 {
	left := append([]int(nil), s.users...)
	live, peak := int64(0), int64(0)
	for _, node := range order {
		i := s.index[node]
		live += s.bytes[i]
		peak = max(peak, live)
		if s.root[i] == i && left[i] == 0 {
			live -= s.bytes[i]
		}
		for _, u := range s.uses[i] {
			if left[u]--; left[u] == 0 {
				live -= s.bytes[u]
			}
		}
	}
	return peak
}

// greedy orders the nodes so that always one runs that adds least to what is live, the earliest among equals. The nodes in last
// come last, in their order.
func (s *scheduler) greedy(last []*graph.Node) []*graph.Node {
	n := len(s.nodes)
	left := append([]int(nil), s.users...)
	waits := make([]int, n)
	next := make([][]int, n)
	for i, node := range s.nodes {
		for _, v := range node.Operands() {
			if j, ok := s.index[v.Node()]; ok {
				waits[i]++
				next[j] = append(next[j], i)
			}
		}
	}
	isLast := make([]bool, n)
	for _, node := range last {
		isLast[s.index[node]] = true
	}
	// How much more is live when a node has run.
	cost := func(i int) int64 {
		c := s.bytes[i]
		for _, u := range s.uses[i] {
			if left[u] == 1 {
				c -= s.bytes[u]
			}
		}
		return c
	}
	ready := &readyHeap{}
	queued := make([]int64, n) // the cost with which a node waits in the heap
	push := func(i int) {
		queued[i] = cost(i)
		heap.Push(ready, readyNode{queued[i], i})
	}
	consumers := make([][]int, n) // by storage: the nodes that need it
	for i := range s.uses {
		for _, u := range s.uses[i] {
			consumers[u] = append(consumers[u], i)
		}
	}
	for i := range s.nodes {
		if waits[i] == 0 && !isLast[i] {
			push(i)
		}
	}
	done := make([]bool, n)
	order := make([]*graph.Node, 0, n)
	for ready.Len() > 0 {
		r := heap.Pop(ready).(readyNode)
		if done[r.node] || r.cost != queued[r.node] {
			continue
		}
		done[r.node] = true
		order = append(order, s.nodes[r.node])
		for _, u := range s.uses[r.node] {
			if left[u]--; left[u] == 1 && len(consumers[u]) <= 64 { // whoever is left frees it
				for _, i := range consumers[u] {
					if !done[i] && waits[i] == 0 && !isLast[i] {
						push(i)
					}
				}
			}
		}
		for _, i := range next[r.node] {
			if waits[i]--; waits[i] == 0 && !isLast[i] {
				push(i)
			}
		}
	}
	return append(order, last...)
}

type readyNode struct {
	cost int64
	node int
}

type readyHeap []readyNode

func (h readyHeap) Len() int { return len(h) }
func (h readyHeap) Less(i, j int) bool {
	return h[i].cost < h[j].cost || h[i].cost == h[j].cost && h[i].node < h[j].node
}
func (h readyHeap) Swap(i, j int) { h[i], h[j] = h[j], h[i] }
func (h *readyHeap) Push(x any)   { *h = append(*h, x.(readyNode)) }
func (h *readyHeap) Pop() any {
	old := *h
	x := old[len(old)-1]
	*h = old[:len(old)-1]
	return x
}
