package compile

import (
	"slices"

	"github.com/graphrun/graphrun/graph"
	"github.com/graphrun/graphrun/runtime/kernels"
)

var fuse = &Pass{
	Name: "fuse",
	Doc: "Puts element-wise nodes of one shape, with at most one reduction of them, into a node that is computed in one pass over memory; " +
		"element-wise nodes behind a matrix product or a convolution become its epilogue. An optimizer's update of a parameter so is one node.",
	After: []string{"decompose"},
	Run: func(c *Context, m *graph.Module) error {
		for _, f := range m.Funcs() {
			fuseFunc(c, f)
		}
		return nil
	},
}

const (
	// maxMembers and maxArgs bound a group: its values must find room in the first-level cache, strip by strip.
	maxMembers = 64
	maxArgs    = 24
)

// group is a set of nodes that become one. All but a producer and a reduction have results of one shape.
type group struct {
	members  []*graph.Node // later ones first
	shape    []graph.Dim
	level    int  // above that of every group and node that it reaches
	pinned   bool // whether a node outside that has been visited reaches it
	reduce   *graph.Node
	producer *graph.Node
	into     *group // the group that took its members over
}

func (g *group) root() *group {
	for g.into != nil {
		g = g.into
	}
	return g
}

// fuser groups the nodes of one function. It visits them from the last to the first and decides for each whether it joins a group
// of those that use it. A group must stay convex: no path may leave it and come back. Two things prove that without
// searching for paths. Levels fall along every edge that leaves a group, so that a node reaches only groups below its
// own level. And a group that is not pinned is reached by no node outside that has been visited, so that its level may still rise.
type fuser struct {
	f     *graph.Func
	group map[*graph.Node]*group
	level map[*graph.Node]int
	users map[*graph.Node][]*graph.Node
	kept  map[*graph.Node]bool // whose value is a result or an update
	next  map[*graph.Node]bool // whose value is an update
}

func fuseFunc(c *Context, f *graph.Func) {
	nodes := f.Nodes()
	u := &fuser{
		f: f, group: make(map[*graph.Node]*group), level: make(map[*graph.Node]int, len(nodes)),
		users: make(map[*graph.Node][]*graph.Node, len(nodes)), kept: map[*graph.Node]bool{},
		next: map[*graph.Node]bool{},
	}
	for _, n := range nodes {
		for i, v := range n.Operands() {
			if !slices.Contains(n.Operands()[:i], v) {
				u.users[v.Node()] = append(u.users[v.Node()], n)
			}
		}
	}
	for _, r := range f.Results() {
		u.kept[r.Value.Node()] = true
	}
	for _, r := range f.Updates() {
		u.kept[r.Value.Node()] = true
		u.next[r.Value.Node()] = true
	}
	for i := len(nodes) - 1; i >= 0; i-- {
		u.visit(nodes[i])
	}
	u.build(c)
}

func (u *fuser) levelOf(n *graph.Node) int {
	if g := u.group[n]; g != nil {
		return g.root().level
	}
	return u.level[n]
}

// visit places a node all of whose users have been placed.
func (u *fuser) visit(n *graph.Node) {
	if n.Op().Name == "constant" || n.Op().Name == "read" {
		return // of no cost: they stand before everything
	}
	below := -1
	for _, user := range u.users[n] {
		below = max(below, u.levelOf(user))
	}
	switch {
	case isReduction(n):
		g := &group{members: []*graph.Node{n}, shape: n.Operands()[0].Shape(), level: below + 1, reduce: n}
		u.group[n] = g
		u.pin(n, g)
	case isMember(n):
		g := u.join(n, n.Result(0).Shape())
		if g == nil {
			g = &group{shape: n.Result(0).Shape(), level: below + 1}
		}
		g.members = append(g.members, n)
		u.group[n] = g
		u.pin(n, g)
	case isProducer(n) && u.produce(n):
	default:
		u.level[n] = below + 1
		u.pin(n, nil)
	}
}

// pin notes that n, which belongs to own or to no group, reaches the groups of its users.
func (u *fuser) pin(n *graph.Node, own *group) {
	for _, user := range u.users[n] {
		if g := u.group[user]; g != nil && g.root() != own {
			g.root().pinned = true
		}
	}
}

// join returns the group, if any, among those of n's users that n may be a member of. Several groups of one level become one.
func (u *fuser) join(n *graph.Node, shape []graph.Dim) *group {
	var candidates []*group
	outside := -1 // the highest level of a user that is no candidate
	for _, user := range u.users[n] {
		g := u.group[user]
		if g != nil {
			g = g.root()
		}
		if g != nil && graph.EqualShapes(g.shape, shape) && len(g.members) < maxMembers {
			if !slices.Contains(candidates, g) {
				candidates = append(candidates, g)
			}
			continue
		}
		outside = max(outside, u.levelOf(user))
	}
	// From the highest level down: the first that may stand above all users outside takes n, others of its level merge into it,
	// and what does not fit is outside.
	slices.SortStableFunc(candidates, func(a, b *group) int { return b.level - a.level })
	var to *group
	var merge []*group
	level := 0
	for _, g := range candidates {
		switch {
		case to == nil && (g.level > outside || !g.pinned):
			to, level = g, max(g.level, outside+1)
		case to != nil && (g.level == to.level || !g.pinned) && u.mergeable(to, merge, g):
			merge = append(merge, g)
		case to != nil && g.level >= level:
			if to.pinned || slices.ContainsFunc(merge, func(m *group) bool { return m.pinned }) {
				return nil
			}
			level = g.level + 1
		case to == nil:
			outside = max(outside, g.level)
		}
	}
	if to == nil || u.args(to, merge, n) > maxArgs {
		return nil
	}
	for _, g := range merge {
		to.take(g)
	}
	to.level = level
	return to
}

// mergeable reports whether g may become part of to together with the groups in with.
func (u *fuser) mergeable(to *group, with []*group, g *group) bool {
	members := len(to.members) + len(g.members)
	for _, h := range with {
		members += len(h.members)
		if h.reduce != nil && g.reduce != nil {
			return false
		}
	}
	return to.producer == nil && g.producer == nil && (to.reduce == nil || g.reduce == nil) && members < maxMembers
}

// take moves the members of g to its own.
func (to *group) take(g *group) {
	to.members = append(to.members, g.members...)
	to.pinned = to.pinned || g.pinned
	if g.reduce != nil {
		to.reduce = g.reduce
	}
	g.into = to
}

// args counts the operands that a group has when n and the groups in with have joined it.
func (u *fuser) args(to *group, with []*group, n *graph.Node) int {
	members := append(to.members[:len(to.members):len(to.members)], n)
	for _, g := range with {
		members = append(members, g.members...)
	}
	if len(members) <= maxArgs/3 { // no op that may be a member has more than three operands
		return 0
	}
	seen := map[graph.Value]bool{}
	for _, m := range members {
		for _, v := range m.Operands() {
			if !slices.Contains(members, v.Node()) && !isImmediate(v) {
				seen[v] = true
			}
		}
	}
	return len(seen)
}

// produce makes the group of all users of a matrix product or convolution its epilogue, if it can be one.
func (u *fuser) produce(n *graph.Node) bool {
	if u.kept[n] || len(u.users[n]) == 0 {
		return false
	}
	var g *group
	for _, user := range u.users[n] {
		h := u.group[user]
		if h == nil || g != nil && h.root() != g {
			return false
		}
		g = h.root()
	}
	if g.producer != nil || !graph.EqualShapes(g.shape, n.Result(0).Shape()) {
		return false
	}
	if g.reduce != nil && slices.Contains(u.users[n], g.reduce) {
		return false
	}
	// One value leaves the epilogue. A reduction leaves the group first; it then reads that value.
	var leaves *graph.Node
	for _, m := range g.members {
		if m == g.reduce {
			continue
		}
		if u.kept[m] || slices.ContainsFunc(u.users[m], func(user *graph.Node) bool {
			return user == g.reduce || u.group[user] == nil || u.group[user].root() != g
		}) {
			if leaves != nil {
				return false
			}
			leaves = m
		}
	}
	if leaves == nil || leaves.Result(0).DType() != n.Result(0).DType() || u.next[leaves] {
		return false // the next value of a variable is written in place, which a product cannot do: it still reads the present one
	}
	if r := g.reduce; r != nil {
		level := 0
		for _, user := range u.users[r] {
			level = max(level, u.levelOf(user)+1)
		}
		if level >= g.level {
			if g.pinned {
				return false
			}
			g.level = level + 1
		}
		g.members = slices.DeleteFunc(g.members, func(m *graph.Node) bool { return m == r })
		g.reduce = nil
		u.group[r] = &group{members: []*graph.Node{r}, shape: g.shape, level: level, reduce: r, pinned: true}
	}
	g.members = append(g.members, n)
	g.producer = n
	u.group[n] = g
	return true
}

// build replaces every group of several nodes by a fused node.
func (u *fuser) build(c *Context) {
	nodes := u.f.Nodes()
	size := map[*group]int{}
	for _, g := range u.group {
		size[g.root()] = len(g.root().members)
	}
	fused := make(map[*group]bool, len(size))
	for _, n := range nodes { // in order, so that a limit on rewrites always means the same ones
		if g := u.group[n]; g != nil && len(g.root().members) > 1 {
			g = g.root()
			if _, decided := fused[g]; !decided {
				fused[g] = c.allow("fuse")
			}
		}
	}
	w := newRewriter(u.f)
	w.take()
	index := make(map[*graph.Node]int, len(nodes))
	for i, n := range nodes {
		index[n] = i
	}
	done := make(map[*graph.Node]bool, len(nodes))
	// A node stands as soon as its operands do, a group when all operands of its members do: depth first, without recursion.
	type frame struct {
		n    *graph.Node
		g    *group
		deps []*graph.Node
	}
	open := func(n *graph.Node) frame {
		fr := frame{n: n}
		if g := u.group[n]; g != nil && fused[g.root()] {
			fr.g = g.root()
			slices.SortFunc(fr.g.members, func(a, b *graph.Node) int { return index[a] - index[b] })
			for _, m := range fr.g.members {
				for _, v := range m.Operands() {
					if h := u.group[v.Node()]; h == nil || h.root() != fr.g {
						fr.deps = append(fr.deps, v.Node())
					}
				}
			}
			return fr
		}
		for _, v := range n.Operands() {
			fr.deps = append(fr.deps, v.Node())
		}
		return fr
	}
	for _, n := range nodes {
		if done[n] {
			continue
		}
		stack := []frame{open(n)}
	next:
		for len(stack) > 0 {
			top := &stack[len(stack)-1]
			for len(top.deps) > 0 {
				d := top.deps[0]
				top.deps = top.deps[1:]
				if _, inside := index[d]; inside && !done[d] {
					stack = append(stack, open(d))
					continue next
				}
			}
			stack = stack[:len(stack)-1]
			if done[top.n] {
				continue
			}
			if top.g == nil {
				w.rewire(top.n)
				u.f.Append(top.n)
				done[top.n] = true
				continue
			}
			u.emit(w, top.g)
			for _, m := range top.g.members {
				done[m] = true
			}
		}
	}
	w.finish()
	dropConstants(u.f)
}

// dropConstants removes the constants that have become part of regions.
func dropConstants(f *graph.Func) {
	used := map[*graph.Node]bool{}
	for _, n := range f.Nodes() {
		for _, v := range n.Operands() {
			used[v.Node()] = true
		}
	}
	for _, r := range f.Results() {
		used[r.Value.Node()] = true
	}
	for _, u := range f.Updates() {
		used[u.Value.Node()] = true
	}
	f.SetNodes(slices.DeleteFunc(f.Nodes(), func(n *graph.Node) bool { return n.Op().Name == "constant" && !used[n] }))
	f.Forget()
}

// emit puts the fused node of a group into the function.
func (u *fuser) emit(w *rewriter, g *group) {
	inside := make(map[*graph.Node]bool, len(g.members))
	for _, m := range g.members {
		inside[m] = true
	}
	var args, results []graph.Value
	var types []graph.Type
	param := map[graph.Value]int{}
	for _, m := range g.members {
		w.rewire(m)
		for _, v := range m.Operands() {
			if _, known := param[v]; known || inside[v.Node()] || isImmediate(v) {
				continue
			}
			param[v] = len(args)
			args = append(args, v)
			types = append(types, v.Type())
		}
		if u.kept[m] || slices.ContainsFunc(u.users[m], func(user *graph.Node) bool { return !inside[user] }) {
			results = append(results, m.Results()...)
		}
	}
	last := g.members[len(g.members)-1]
	f := u.f
	f.Module().AtNode(last, func() {
		region := f.Region("fused", types, func(r *graph.Func, in []graph.Value) []graph.Value {
			to := make(map[graph.Value]graph.Value, len(g.members))
			constants := map[graph.Value]graph.Value{}
			for _, m := range g.members {
				operands := make([]graph.Value, len(m.Operands()))
				for i, v := range m.Operands() {
					switch {
					case inside[v.Node()]:
						operands[i] = to[v]
					case isImmediate(v):
						if !constants[v].Valid() {
							constants[v] = r.AppendCopy(v.Node(), nil).Result(0)
						}
						operands[i] = constants[v]
					default:
						operands[i] = in[param[v]]
					}
				}
				k := r.AppendCopy(m, operands)
				for i := range m.NumResults() {
					to[m.Result(i)] = k.Result(i)
				}
			}
			outs := make([]graph.Value, len(results))
			for i, v := range results {
				outs[i] = to[v]
			}
			return outs
		})
		outs := f.Emit(graph.LookupOp("fused"), args, graph.Attrs{{Name: "results", Value: int64(len(results))}}, region)
		for i, v := range results {
			w.replace(v.Node(), outs[i:i+1])
		}
	})
}

// isMember reports whether a node may be one of a group's element-wise nodes.
func isMember(n *graph.Node) bool {
	return (n.Op().Props.Elementwise || n.Op().Name == "expand") && n.NumResults() == 1 && kernels.Fusible(n)
}

// isReduction reports whether a node may end a group.
func isReduction(n *graph.Node) bool {
	switch n.Op().Name {
	case "reduce_sum", "reduce_mean", "reduce_max", "reduce_min":
		return kernels.Fusible(n)
	}
	return false
}

// isProducer reports whether element-wise nodes may follow a node as its epilogue.
func isProducer(n *graph.Node) bool { return kernels.Produces(n) }

// isImmediate reports whether a value becomes part of the instructions that use it: a constant of rank 0.
func isImmediate(v graph.Value) bool {
	t, ok := v.Constant()
	return ok && t.Rank() == 0
}

// isMap reports whether a fused node has no producer: it computes its results element by element.
func isMap(n *graph.Node) bool {
	for _, m := range n.Regions()[0].Nodes() {
		if m.Op().Name != "constant" {
			return !isProducer(m)
		}
	}
	return false
}

// mapShape returns the shape over which a fused node that is a map iterates.
func mapShape(n *graph.Node) []graph.Dim {
	for _, m := range n.Regions()[0].Nodes() {
		if m.Op().Name != "constant" {
			return m.Result(0).Shape()
		}
	}
	return nil
}
