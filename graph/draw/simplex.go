package draw

import (
	"cmp"
	"container/heap"
)

// network assigns a whole number to every node so that the differences along edges are at least their lengths and the sum of
// weights times differences is least. It is the network simplex of Gansner, Koutsofios, North and Vo, "A Technique for Drawing Directed
// Graphs" (1993). The edges must not form a circle.
type network struct {
	n     int
	edges []link

	y        []int
	out, in  [][]int // edges by node
	tree     []bool  // by edge
	treeAt   [][]int // tree edges by node
	cut      []int   // by edge
	parent   []int   // tree edge towards the root, by node
	low, lim []int   // numbers of a walk of the tree: a node's subtree has lim from low to its own
	next     int     // where to look for the next edge that leaves the tree
	work     int     // nodes and edges looked at
}

type link struct{ tail, head, length, weight int }

// node adds a node and returns its number.
func (g *network) node() int {
	g.n++
	return g.n - 1
}

func (g *network) edge(tail, head, length, weight int) {
	g.edges = append(g.edges, link{tail, head, length, weight})
}

// mostWork bounds what a network looks at until it returns what it has: the last steps for a large picture change little of it.
const mostWork = 1e8

// solve returns the numbers, the least of which is 0. After the given number of steps, or much work, it returns what it has.
func (g *network) solve(steps int) []int {
	root := g.node()
	for v := range root { // connects what is not connected
		g.edge(root, v, 0, 0)
	}
	g.y = make([]int, g.n)
	g.out, g.in = make([][]int, g.n), make([][]int, g.n)
	for i, e := range g.edges {
		g.out[e.tail] = append(g.out[e.tail], i)
		g.in[e.head] = append(g.in[e.head], i)
	}
	g.first()
	g.feasible(root)
	g.walk(root, -1, 1)
	g.cutValues(root)
	for range steps {
		e := g.leave()
		if e < 0 {
			break
		}
		f := g.enter(e)
		if f < 0 {
			break
		}
		g.exchange(e, f)
		if g.work > mostWork {
			break
		}
	}
	least := g.y[0]
	for _, y := range g.y[:root] {
		least = min(least, y)
	}
	for v := range g.y {
		g.y[v] -= least
	}
	return g.y[:root]
}

// acyclic reports whether the edges form no circle.
func (g *network) acyclic() bool {
	missing := make([]int, g.n)
	out := make([][]int, g.n)
	for i, e := range g.edges {
		missing[e.head]++
		out[e.tail] = append(out[e.tail], i)
	}
	var free []int
	for v, n := range missing {
		if n == 0 {
			free = append(free, v)
		}
	}
	done := 0
	for len(free) > 0 {
		v := free[len(free)-1]
		free = free[:len(free)-1]
		done++
		for _, i := range out[v] {
			h := g.edges[i].head
			if missing[h]--; missing[h] == 0 {
				free = append(free, h)
			}
		}
	}
	return done == g.n
}

// first puts every node as low as the edges allow.
func (g *network) first() {
	missing := make([]int, g.n)
	var free []int
	for v := range g.n {
		if missing[v] = len(g.in[v]); missing[v] == 0 {
			free = append(free, v)
		}
	}
	for len(free) > 0 {
		v := free[len(free)-1]
		free = free[:len(free)-1]
		for _, i := range g.out[v] {
			e := g.edges[i]
			g.y[e.head] = max(g.y[e.head], g.y[v]+e.length)
			if missing[e.head]--; missing[e.head] == 0 {
				free = append(free, e.head)
			}
		}
	}
}

func (g *network) slack(e int) int {
	return g.y[g.edges[e].head] - g.y[g.edges[e].tail] - g.edges[e].length
}

// feasible finds a spanning tree of edges without slack, and moves nodes to make it one.
func (g *network) feasible(root int) {
	g.tree = make([]bool, len(g.edges))
	g.treeAt = make([][]int, g.n)
	inside := make([]bool, g.n)
	members := make([]int, 0, g.n)
	add := func(v int) { // with all that hangs on it without slack
		stack := []int{v}
		inside[v] = true
		for len(stack) > 0 {
			v := stack[len(stack)-1]
			stack = stack[:len(stack)-1]
			members = append(members, v)
			for _, edges := range [2][]int{g.out[v], g.in[v]} {
				for _, i := range edges {
					w := g.edges[i].head + g.edges[i].tail - v
					if !inside[w] && g.slack(i) == 0 {
						inside[w] = true
						g.insert(i)
						stack = append(stack, w)
					}
				}
			}
		}
	}
	// All that is inside moves as one, so that among the edges that leave it the order by slack stays, and so among those that enter it. What
	// has joined before the last move stands at y-moved+shift.
	shift := 0
	moved := make([]int, g.n)
	var leaving, entering slacks
	join := func(v int) {
		known := len(members)
		add(v)
		for _, v := range members[known:] {
			moved[v] = shift
		}
		for _, v := range members[known:] {
			for _, i := range g.out[v] {
				if !inside[g.edges[i].head] {
					heap.Push(&leaving, slackOf{g.slack(i) + shift, i})
				}
			}
			for _, i := range g.in[v] {
				if !inside[g.edges[i].tail] {
					heap.Push(&entering, slackOf{g.slack(i) - shift, i})
				}
			}
		}
	}
	join(root)
	for len(members) < g.n {
		out, in := leaving.least(g, inside), entering.least(g, inside)
		out.slack, in.slack = out.slack-shift, in.slack+shift
		best := out
		if out.edge < 0 || in.edge >= 0 && cmp.Or(cmp.Compare(in.slack, out.slack), in.edge-out.edge) < 0 {
			best = in
		}
		e := g.edges[best.edge]
		outer := e.head
		if shift += best.slack; inside[e.head] {
			shift, outer = shift-2*best.slack, e.tail
		}
		g.insert(best.edge)
		join(outer)
	}
	for v := range moved {
		g.y[v] += shift - moved[v]
	}
}

// slacks is a heap of edges between what is inside and what is not, by their slack and then by their numbers.
type slacks []slackOf

type slackOf struct{ slack, edge int }

func (s slacks) Len() int { return len(s) }
func (s slacks) Less(i, j int) bool {
	return cmp.Or(cmp.Compare(s[i].slack, s[j].slack), s[i].edge-s[j].edge) < 0
}
func (s slacks) Swap(i, j int) { s[i], s[j] = s[j], s[i] }
func (s *slacks) Push(x any)   { *s = append(*s, x.(slackOf)) }
func (s *slacks) Pop() any {
	last := (*s)[len(*s)-1]
	*s = (*s)[:len(*s)-1]
	return last
}

// least returns the first of the heap that still leads out, edge -1 if there is none.
func (s *slacks) least(g *network, inside []bool) slackOf {
	for len(*s) > 0 {
		if e := g.edges[(*s)[0].edge]; inside[e.tail] != inside[e.head] {
			return (*s)[0]
		}
		heap.Pop(s)
	}
	return slackOf{0, -1}
}

func (g *network) insert(e int) {
	g.tree[e] = true
	g.treeAt[g.edges[e].tail] = append(g.treeAt[g.edges[e].tail], e)
	g.treeAt[g.edges[e].head] = append(g.treeAt[g.edges[e].head], e)
}

func (g *network) remove(e int) {
	g.tree[e] = false
	for _, v := range [2]int{g.edges[e].tail, g.edges[e].head} {
		at := g.treeAt[v]
		for i, f := range at {
			if f == e {
				at[i] = at[len(at)-1]
				g.treeAt[v] = at[:len(at)-1]
				break
			}
		}
	}
}

// walk numbers the subtree of v, whose parent edge is given, from low on.
func (g *network) walk(v, parent, low int) {
	if g.low == nil {
		g.low, g.lim, g.parent = make([]int, g.n), make([]int, g.n), make([]int, g.n)
	}
	type visit struct{ v, next int }
	stack := []visit{{v, 0}}
	g.parent[v], g.low[v] = parent, low
	count := low
	for len(stack) > 0 {
		top := &stack[len(stack)-1]
		v := top.v
		g.work++
		if top.next == len(g.treeAt[v]) {
			g.lim[v] = count
			count++
			stack = stack[:len(stack)-1]
			continue
		}
		e := g.treeAt[v][top.next]
		top.next++
		if e == g.parent[v] {
			continue
		}
		w := g.edges[e].head + g.edges[e].tail - v
		g.parent[w], g.low[w] = e, count
		stack = append(stack, visit{w, 0})
	}
}

// cutValues computes the cut value of every tree edge: what moving the parts apart by one costs.
func (g *network) cutValues(root int) {
	g.cut = make([]int, len(g.edges))
	net := make([]int, g.n) // weights that leave a subtree less those that enter it
	for _, e := range g.edges {
		net[e.tail] += e.weight
		net[e.head] -= e.weight
	}
	order := make([]int, g.n+1)
	for v, lim := range g.lim {
		order[lim] = v
	}
	for _, v := range order[1:] {
		if v == root {
			continue
		}
		e := g.parent[v]
		g.cut[e] = net[v]
		if g.edges[e].head == v {
			g.cut[e] = -net[v]
		}
		net[g.edges[e].head+g.edges[e].tail-v] += net[v]
	}
}

// leave returns a tree edge with a negative cut value, -1 if there is none.
func (g *network) leave() int {
	const look = 30
	best, seen := -1, 0
	for range g.edges {
		i := g.next
		g.work++
		if g.next++; g.next == len(g.edges) {
			g.next = 0
		}
		if g.tree[i] && g.cut[i] < 0 {
			if best < 0 || g.cut[i] < g.cut[best] {
				best = i
			}
			if seen++; seen == look {
				break
			}
		}
	}
	return best
}

// enter returns the edge with the least slack that connects the parts of the tree without e, in the other direction than e.
func (g *network) enter(e int) int {
	top, outward := g.edges[e].head, true
	if g.lim[g.edges[e].tail] < g.lim[g.edges[e].head] {
		top, outward = g.edges[e].tail, false
	}
	low, lim := g.low[top], g.lim[top]
	best, least := -1, 0
	stack := []int{top}
	for len(stack) > 0 && (best < 0 || least > 0) {
		v := stack[len(stack)-1]
		stack = stack[:len(stack)-1]
		edges := g.in[v]
		if outward {
			edges = g.out[v]
		}
		g.work += len(edges) + 1
		for _, i := range edges {
			w := g.edges[i].head + g.edges[i].tail - v
			if g.tree[i] || low <= g.lim[w] && g.lim[w] <= lim {
				continue
			}
			if s := g.slack(i); best < 0 || s < least {
				best, least = i, s
			}
		}
		for _, i := range g.treeAt[v] {
			if i != g.parent[v] {
				stack = append(stack, g.edges[i].head+g.edges[i].tail-v)
			}
		}
	}
	return best
}

// exchange puts f into the tree in the place of e.
func (g *network) exchange(e, f int) {
	if delta := g.slack(f); delta > 0 {
		top := g.edges[e].head
		if g.lim[g.edges[e].tail] < g.lim[g.edges[e].head] {
			top, delta = g.edges[e].tail, -delta
		}
		stack := []int{top}
		for len(stack) > 0 {
			v := stack[len(stack)-1]
			stack = stack[:len(stack)-1]
			g.y[v] += delta
			g.work++
			for _, i := range g.treeAt[v] {
				if i != g.parent[v] {
					stack = append(stack, g.edges[i].head+g.edges[i].tail-v)
				}
			}
		}
	}
	c := g.cut[e]
	up := func(v, w int, forward bool) int {
		for g.low[v] > g.lim[w] || g.lim[w] > g.lim[v] {
			i := g.parent[v]
			if (g.edges[i].tail == v) == forward {
				g.cut[i] += c
			} else {
				g.cut[i] -= c
			}
			v = g.edges[i].head + g.edges[i].tail - v
		}
		return v
	}
	tail, head := g.edges[f].tail, g.edges[f].head
	top := up(tail, head, true)
	up(head, tail, false)
	g.cut[f], g.cut[e] = -c, 0
	g.remove(e)
	g.insert(f)
	g.walk(top, g.parent[top], g.low[top])
}
