package compile

import (
	"slices"

	"github.com/graphrun/graphrun/graph"
	"github.com/graphrun/graphrun/runtime/plan"
)

var schedule = &Pass{
	Name: "schedule",
	Doc: "Chooses an order of the nodes in which the values that are live at the same time take little memory. It tries the order as it is and " +
		"one that always runs the node that frees most, and keeps the better one. It stands last, since fusion decides what there is to order.",
	After: []string{"select"},
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
	s := newScheduler(c, newIndexed(f), symbol)
	if s == nil {
		return
	}
	given := make([]int32, 0, len(s.nodes))
	for i, last := range s.last {
		if !last {
			given = append(given, int32(i))
		}
	}
	given = append(given, s.commit...)
	greedy := s.greedy()
	if s.peak(greedy) < s.peak(given) && c.Allow("order", nil) {
		nodes := make([]*graph.Node, len(greedy))
		for k, i := range greedy {
			nodes[k] = s.nodes[i]
		}
		f.SetNodes(nodes)
	}
}

// scheduler knows what each value takes and who needs it. Storage is numbered by the node whose results lie in it; a view's is that of
// what it views.
type scheduler struct {
	*indexed
	bytes  []int64   // by storage
	root   []int32   // by node: its storage
	uses   [][]int32 // by node: the storages that it needs, each once
	needed []int32   // by storage: how many nodes need it; more than there are if it lives to the end
	last   []bool    // by node: whether it commits
	commit []int32   // those that do, in order
}

// newScheduler returns nil if some size is not known up to the symbol.
func newScheduler(c *Context, x *indexed, symbol string) *scheduler {
	n := len(x.nodes)
	s := &scheduler{
		indexed: x, bytes: make([]int64, n), root: make([]int32, n), uses: make([][]int32, n), needed: make([]int32, n), last: make([]bool, n),
	}
	_, commit := c.splitCommit(x)
	for _, node := range commit {
		s.last[node.Index()] = true
		s.commit = append(s.commit, int32(node.Index()))
	}
	storage := make([]int32, 0, 2*n)
	for i, node := range x.nodes {
		s.root[i] = int32(i)
		name := node.Op().Name
		if name == "constant" || name == "read" {
			continue
		}
		alias := c.isAlias(node)
		for k, t := range node.Types() {
			size, ok := plan.SizeOf(t, symbol)
			if !ok {
				return nil
			}
			if alias || s.last[i] || k > 0 && len(x.users(i)) == 0 && isOptional(c.kernels[node], k) {
				continue // no storage, or a variable's
			}
			s.bytes[i] += size.At(nominal)
		}
		from := len(storage)
		for _, v := range node.Operands() {
			j := v.Node().Index()
			if j < 0 {
				continue
			}
			if r := s.root[j]; !slices.Contains(storage[from:], r) {
				storage = append(storage, r)
				s.needed[r]++
			}
		}
		s.uses[i] = storage[from:len(storage):len(storage)]
		if j := node.Operands(); alias && j[0].Node().Index() >= 0 {
			s.root[i] = s.root[j[0].Node().Index()]
		}
	}
	for i := range x.nodes {
		if x.kept(i) && !s.last[i] {
			s.needed[s.root[i]] += int32(n) + 1
		}
	}
	return s
}

// peak returns the most bytes that are live at once in an order.
func (s *scheduler) peak(order []int32) int64 {
	left := slices.Clone(s.needed)
	live, peak := int64(0), int64(0)
	for _, i := range order {
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

// greedy orders the nodes so that always one runs that adds least to what is live, the earliest among equals. Those that commit
// come last.
func (s *scheduler) greedy() []int32 {
	n := len(s.nodes)
	left := slices.Clone(s.needed)
	waits := make([]int32, n) // how many of its operands' nodes have not run
	for i := range s.nodes {
		for _, user := range s.users(i) {
			waits[user]++
		}
	}
	// How much more is live when a node has run.
	cost := func(i int32) int64 {
		c := s.bytes[i]
		for _, u := range s.uses[i] {
			if left[u] == 1 {
				c -= s.bytes[u]
			}
		}
		return c
	}
	ready := make(readyHeap, 0, n)
	queued := make([]int64, n) // the cost with which a node waits in the heap
	push := func(i int32) {
		queued[i] = cost(i)
		ready.push(readyNode{queued[i], i})
	}
	for i := range s.nodes {
		if waits[i] == 0 && !s.last[i] {
			push(int32(i))
		}
	}
	done := make([]bool, n)
	order := make([]int32, 0, n)
	for len(ready) > 0 {
		r := ready.pop()
		if done[r.node] || r.cost != queued[r.node] {
			continue
		}
		done[r.node] = true
		order = append(order, r.node)
		for _, u := range s.uses[r.node] {
			left[u]--
			if users := s.users(int(u)); left[u] == 1 && len(users) <= 64 { // whoever is left frees it
				for _, i := range users {
					if !done[i] && waits[i] == 0 && !s.last[i] {
						push(i)
					}
				}
			}
		}
		for _, i := range s.users(int(r.node)) {
			if waits[i]--; waits[i] == 0 && !s.last[i] {
				push(i)
			}
		}
	}
	return append(order, s.commit...)
}

type readyNode struct {
	cost int64
	node int32
}

func (a readyNode) less(b readyNode) bool {
	return a.cost < b.cost || a.cost == b.cost && a.node < b.node
}

// readyHeap is a binary heap, the least first.
type readyHeap []readyNode

func (h *readyHeap) push(x readyNode) {
	*h = append(*h, x)
	a := *h
	for i := len(a) - 1; i > 0; {
		parent := (i - 1) / 2
		if !a[i].less(a[parent]) {
			break
		}
		a[i], a[parent] = a[parent], a[i]
		i = parent
	}
}

func (h *readyHeap) pop() readyNode {
	a := *h
	top := a[0]
	last := len(a) - 1
	a[0] = a[last]
	a = a[:last]
	*h = a
	for i := 0; ; {
		child := 2*i + 1
		if child >= last {
			break
		}
		if child+1 < last && a[child+1].less(a[child]) {
			child++
		}
		if !a[child].less(a[i]) {
			break
		}
		a[i], a[child] = a[child], a[i]
		i = child
	}
	return top
}
