package compile

import (
	"slices"
	"sort"

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
	members  []int32 // places of nodes
	shape    []graph.Dim
	args     int   // no less than the number of its operands
	level    int32 // above that of every group and node that it reaches
	pinned   bool  // whether a node outside that has been visited reaches it
	reduce   int32 // the reduction, or none
	producer int32 // the matrix product or convolution, or none
	into     *group
	state    groupState
}

const none = -1

// groupState says how far a group has come.
type groupState uint8

const (
	open   groupState = iota
	apart             // its nodes stay what they are
	fusing            // it becomes a node
	fused
)

// root returns the group that took the members over.
func (g *group) root() *group {
	for g != nil && g.into != nil {
		g = g.into
	}
	return g
}

// fuser groups the nodes of one function. It visits them from the last to the first and decides for each whether it joins a group
// of those that use it. A group must stay convex: no path may leave it and come back. Two things prove that without
// searching for paths. Levels fall along every edge that leaves a group, so that a node reaches only groups below its
// own level. And a group that is not pinned is reached by no node outside that has been visited, so that its level may still rise.
type fuser struct {
	*indexed
	target *Target
	groups []*group // by node
	levels []int32  // by node, of those in no group

	candidates, merge []*group // of join

	first, places []int32 // the places of the operands of node i are places[first[i]:first[i+1]]

	// of countArgs and emit
	members       []*graph.Node
	args, results []graph.Value
}

func fuseFunc(c *Context, f *graph.Func) {
	x := newIndexed(f)
	u := &fuser{indexed: x, target: c.target, groups: make([]*group, len(x.nodes)), levels: make([]int32, len(x.nodes))}
	for i := len(x.nodes) - 1; i >= 0; i-- {
		u.visit(i)
	}
	u.build(c)
}

//go:noinline
func (u *fuser) groupOf(i int32) *group { return u.groups[i].root() }

func (u *fuser) levelOf(i int32) int32 {
	if g := u.groupOf(i); g != nil {
		return g.level
	}
	return u.levels[i]
}

// visit places a node all of whose users have been placed.
func (u *fuser) visit(i int) {
	n := u.nodes[i]
	if n.Op().Name == "constant" || n.Op().Name == "read" {
		return // of no cost: they stand before everything
	}
	level := int32(0)
	for _, user := range u.users(i) {
		level = max(level, u.levelOf(user)+1)
	}
	var g *group
	switch u.target.Role(n) {
	case kernels.End:
		g = &group{shape: n.Operands()[0].Shape(), level: level, reduce: int32(i), producer: none}
	case kernels.Member:
		if g = u.join(i); g == nil {
			g = &group{shape: n.Result(0).Shape(), level: level, reduce: none, producer: none}
		}
	case kernels.Begin:
		g = u.produce(i)
	}
	if g != nil {
		g.members = append(g.members, int32(i))
		if len(g.members) == 1 || g.producer == int32(i) {
			g.args += len(n.Operands())
		}
		u.groups[i] = g
	} else {
		u.levels[i] = level
	}
	for _, user := range u.users(i) {
		if h := u.groupOf(user); h != nil && h != g {
			h.pinned = true
		}
	}
}

// join returns the group, if any, among those of a node's users that the node may be a member of. Several groups of one
// level become one.
func (u *fuser) join(i int) *group {
	shape := u.nodes[i].Result(0).Shape()
	candidates := u.candidates[:0]
	outside := int32(-1) // the highest level of a user that is no candidate
	for _, user := range u.users(i) {
		g := u.groupOf(user)
		if g != nil && user != g.producer && len(g.members) < maxMembers && graph.EqualShapes(g.shape, shape) {
			if !slices.Contains(candidates, g) {
				candidates = append(candidates, g)
			}
			continue
		}
		outside = max(outside, u.levelOf(user))
	}
	u.candidates = candidates
	// An epilogue has one result: what joins it is needed nowhere else.
	if slices.ContainsFunc(candidates, func(g *group) bool { return g.producer != none }) && (outside >= 0 || len(candidates) > 1 || u.kept(i)) {
		candidates = slices.DeleteFunc(candidates, func(g *group) bool {
			if g.producer != none {
				outside = max(outside, g.level)
			}
			return g.producer != none
		})
	}
	// From the highest level down: the first that may stand above all users outside takes the node, others of its level merge into
	// it, and what does not fit is outside.
	if len(candidates) > 16 {
		sort.SliceStable(candidates, func(i, j int) bool { return candidates[i].level > candidates[j].level })
	}
	for i := range candidates { // few, as they mostly are, are put in order faster so, and many are in order
		for k := i; k > 0 && candidates[k-1].level < candidates[k].level; k-- {
			candidates[k-1], candidates[k] = candidates[k], candidates[k-1]
		}
	}
	var to *group
	merge := u.merge[:0]
	level := int32(0)
	for _, g := range candidates {
		switch {
		case to == nil && (g.level > outside || !g.pinned):
			to, level = g, max(g.level, outside+1)
		case to != nil && (g.level == level || !g.pinned) && mergeable(to, merge, g):
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
	u.merge = merge
	if to == nil {
		return nil
	}
	args := to.args + len(u.nodes[i].Operands())
	for _, g := range merge {
		args += g.args
	}
	if args > maxArgs {
		if args = u.countArgs(to, merge, i); args > maxArgs {
			return nil
		}
	}
	to.args = args
	for _, g := range merge {
		to.take(g)
	}
	to.level = level
	return to
}

// mergeable reports whether g may become part of to together with the groups in with.
func mergeable(to *group, with []*group, g *group) bool {
	members := len(to.members) + len(g.members)
	for _, h := range with {
		members += len(h.members)
		if h.reduce != none && g.reduce != none {
			return false
		}
	}
	return to.producer == none && g.producer == none && (to.reduce == none || g.reduce == none) && members < maxMembers
}

// take moves the members of g to its own.
func (to *group) take(g *group) {
	to.members = append(to.members, g.members...)
	to.pinned = to.pinned || g.pinned
	if g.reduce != none {
		to.reduce = g.reduce
	}
	g.into = to
}

// countArgs counts the operands that a group has when a node and the groups in with have joined it.
func (u *fuser) countArgs(to *group, with []*group, i int) int {
	seen := u.args[:0]
	count := func(m int) {
		for _, v := range u.nodes[m].Operands() {
			if j := v.Node().Index(); j >= 0 {
				if g := u.groupOf(int32(j)); j == i || g != nil && (g == to || slices.Contains(with, g)) || isImmediate(v) {
					continue
				}
			}
			if !slices.Contains(seen, v) {
				seen = append(seen, v)
			}
		}
	}
	count(i)
	for _, m := range to.members {
		count(int(m))
	}
	for _, g := range with {
		for _, m := range g.members {
			count(int(m))
		}
	}
	u.args = seen
	return len(seen)
}

// produce returns the group of all users of a matrix product or convolution, if it can be its epilogue.
func (u *fuser) produce(i int) *group {
	users := u.users(i)
	if u.kept(i) || len(users) == 0 {
		return nil
	}
	g := u.groupOf(users[0])
	for _, user := range users {
		if h := u.groupOf(user); h == nil || h != g || user == h.reduce {
			return nil
		}
	}
	out := u.nodes[i].Result(0)
	if g.producer != none || !graph.EqualShapes(g.shape, out.Shape()) {
		return nil
	}
	// One value leaves the epilogue. A reduction leaves the group first; it then reads that value.
	leaves := int32(none)
	for _, m := range g.members {
		if m == g.reduce {
			continue
		}
		if u.kept(int(m)) || slices.ContainsFunc(u.users(int(m)), func(user int32) bool { return user == g.reduce || u.groupOf(user) != g }) {
			if leaves != none {
				return nil
			}
			leaves = m
		}
	}
	// The next value of a variable is written in place, which a product cannot do: it still reads the present one.
	if leaves == none || u.nodes[leaves].Result(0).DType() != out.DType() || u.update[leaves] {
		return nil
	}
	if r := g.reduce; r != none {
		level := int32(0)
		for _, user := range u.users(int(r)) {
			level = max(level, u.levelOf(user)+1)
		}
		if level >= g.level {
			if g.pinned {
				return nil
			}
			g.level = level + 1
		}
		g.members = slices.DeleteFunc(g.members, func(m int32) bool { return m == r })
		g.reduce = none
		u.groups[r] = &group{members: []int32{r}, shape: g.shape, level: level, reduce: r, producer: none, pinned: true}
	}
	g.producer = int32(i)
	return g
}

// noteOperands keeps the places of operands, which change as nodes are put back.
func (u *fuser) noteOperands() {
	total := 0
	for _, n := range u.nodes {
		total += len(n.Operands())
	}
	u.places, u.first = make([]int32, 0, total), make([]int32, 0, len(u.nodes)+1)
	for _, n := range u.nodes {
		u.first = append(u.first, int32(len(u.places)))
		for _, v := range n.Operands() {
			u.places = append(u.places, int32(v.Node().Index()))
		}
	}
	u.first = append(u.first, int32(len(u.places)))
}

// operands returns where the operands of node i stood.
func (u *fuser) operands(i int32) []int32 { return u.places[u.first[i]:u.first[i+1]] }

// build replaces every group of several nodes by a fused node.
func (u *fuser) build(c *Context) {
	if !u.choose(c) {
		return
	}
	u.noteOperands()
	b := &fuseBuilder{fuser: u, w: newRewriter(u.f), done: make([]bool, len(u.nodes))}
	b.w.take()
	for i := range u.nodes {
		b.place(int32(i))
	}
	b.w.finish()
	dropConstants(u.f)
}

// choose says which groups become nodes, in order, so that a limit on rewrites always means the same ones. It reports whether any does.
func (u *fuser) choose(c *Context) (any bool) {
	for i := range u.nodes {
		g := u.groupOf(int32(i))
		if g == nil || g.state != open {
			continue
		}
		g.state = apart
		if len(g.members) > 1 && c.Allow("fuse", u.nodes[i]) {
			g.state, any = fusing, true
			g.sort()
		}
	}
	return any
}

// sort puts the members of a group in order, its producer first.
func (g *group) sort() {
	for k, m := range g.members { // there are few
		for ; k > 0 && g.members[k-1] > m; k-- {
			g.members[k] = g.members[k-1]
		}
		g.members[k] = m
	}
	if k := slices.Index(g.members, g.producer); k > 0 {
		copy(g.members[1:], g.members[:k])
		g.members[0] = g.producer
	}
}

// fuseBuilder puts the nodes of a function back. A node stands as soon as its operands do, a group when all operands of its members
// do: depth first, without recursion.
type fuseBuilder struct {
	*fuser
	w     *rewriter
	done  []bool // by node: whether it stands
	stack []fuseFrame
}

// fuseFrame goes through the operands of a node, or of all members of its group.
type fuseFrame struct {
	node     int32
	g        *group // nil: the node alone
	at, next int    // the member and its operand to look at
}

func (b *fuseBuilder) frame(i int32) fuseFrame {
	if g := b.groupOf(i); g != nil && g.state >= fusing {
		return fuseFrame{node: i, g: g}
	}
	return fuseFrame{node: i}
}

// place puts a node back, and before it all that it needs.
func (b *fuseBuilder) place(i int32) {
	if b.done[i] {
		return
	}
	b.stack = append(b.stack[:0], b.frame(i))
	for len(b.stack) > 0 {
		top := &b.stack[len(b.stack)-1]
		if j, more := b.needs(top); more {
			b.stack = append(b.stack, b.frame(j))
			continue
		}
		node, g := top.node, top.g
		b.stack = b.stack[:len(b.stack)-1]
		switch {
		case b.done[node]:
		case g == nil:
			b.w.rewire(b.nodes[node])
			b.f.Append(b.nodes[node])
			b.done[node] = true
		default:
			b.emit(b.w, g)
			g.state = fused
			for _, m := range g.members {
				b.done[m] = true
			}
		}
	}
}

// needs returns the next operand that does not stand yet.
func (b *fuseBuilder) needs(fr *fuseFrame) (int32, bool) {
	for {
		m := fr.node
		if fr.g != nil {
			if fr.at == len(fr.g.members) {
				return 0, false
			}
			m = fr.g.members[fr.at]
		} else if fr.at > 0 {
			return 0, false
		}
		if fr.next == len(b.operands(m)) {
			fr.at, fr.next = fr.at+1, 0
			continue
		}
		j := b.operands(m)[fr.next]
		fr.next++
		if j >= 0 && !b.done[j] && (fr.g == nil || b.groupOf(j) != fr.g) {
			return j, true
		}
	}
}

// dropConstants removes the constants that have become part of regions.
func dropConstants(f *graph.Func) {
	nodes := f.Nodes()
	used := make([]bool, len(nodes))
	eachUse(f, nodes, func(v graph.Value) {
		if i := v.Node().Index(); i >= 0 {
			used[i] = true
		}
	})
	kept := make([]*graph.Node, 0, len(nodes))
	for i, n := range nodes {
		if used[i] || n.Op().Name != "constant" {
			kept = append(kept, n)
		}
	}
	f.SetNodes(kept)
	f.Forget()
}

// emit puts the fused node of a group into the function.
func (u *fuser) emit(w *rewriter, g *group) {
	nodes, args, results := u.members[:0], u.args[:0], u.results[:0]
	for _, m := range g.members {
		n := u.nodes[m]
		w.rewire(n)
		for k, v := range n.Operands() {
			if j := u.operands(m)[k]; (j < 0 || u.groupOf(j) != g) && !isImmediate(v) && !slices.Contains(args, v) {
				args = append(args, v)
			}
		}
		nodes = append(nodes, n)
		if u.kept(int(m)) || slices.ContainsFunc(u.users(int(m)), func(user int32) bool { return u.groupOf(user) != g }) {
			results = append(results, n.Result(0))
		}
	}
	u.members, u.args, u.results = nodes, args, results
	n := u.f.Outline(graph.LookupOp("fused"), graph.Attrs{{Name: "results", Value: int64(len(results))}}, nodes, args, results)
	outs := n.Results()
	for i, v := range results {
		w.replace(v.Node(), outs[i:i+1:i+1])
	}
}

// isImmediate reports whether a value becomes part of the instructions that use it: a constant of rank 0.
func isImmediate(v graph.Value) bool {
	t, ok := v.Constant()
	return ok && t.Rank() == 0
}
