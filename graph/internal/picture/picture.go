// Package picture says what a drawing of a function consists of: boxes, the clusters that hold them, and edges. Packages
// dot and draw show it, each in its way, so that both show the same.
//
// A node of the function is a box, or part of one: an optimizer's step of one weight is one box, and so are the running statistics
// of one layer, and so are all steps of a recurrent layer but the first. Constants and reads of variables are sources: they belong to the boxes that use them, each to all of its users.
//
// A training step has three columns: forward, what the results need; gradient, what only next values of variables need;
// and the optimizer, what depends on its state. The layers of each are clusters, so that no cluster surrounds what is between its
// nodes. Edges within the gradient column point up: a layer's gradient stands beside the layer.
package picture

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/graphrun/graphrun/graph"
)

// Options change what a picture holds.
type Options struct {
	Flat bool // no clusters and no columns
	Full bool // every node is a box
	// Keep says which nodes are boxes although they only reshape a constant or a variable; nil keeps none.
	Keep func(n *graph.Node) bool
}

// Picture is what is drawn of a function.
type Picture struct {
	Root  *Cluster
	Boxes []*Box // all of them, in the function's order
	Edges []*Edge
}

// Column is a part of a training step.
type Column uint8

// The columns, from left to right.
const (
	Forward Column = iota
	Gradient
	Optimizer
)

// Cluster is a layer, a region or a column. A column, and the root, has no label and no frame, but for that of the optimizer.
type Cluster struct {
	Label    string
	Scope    string // the layer's path
	Column   Column
	Framed   bool
	Parent   *Cluster
	Clusters []*Cluster
	Boxes    []*Box
}

// Box stands for one node or several.
type Box struct {
	ID      int // its place in Picture.Boxes
	Kind    Kind
	Caption string // the layer that the box is alone in
	Title   string
	Rows    []string // attributes, or what it is made of
	Tip     string   // source line and layer
	Cluster *Cluster
	Column  Column
	Nodes   []*graph.Node // what it stands for, in order; none for results and updates
	Folded  bool          // it stands for all nodes of an optimizer's step, of statistics, of the random state, or of many steps alike
	Several bool          // of many steps alike: edges to and from it stand for several
	Updates []*graph.Variable
	Sources []*Source
}

// Source is a constant or a variable's value beside a box that uses it.
type Source struct {
	Kind  Kind // Variable, Constant, or Input for an operand that is a region's parameter
	Label string
	Type  string // and what gives the source another shape; "" where it stands for several
	Shown bool   // the type stands in the picture
	Tip   string
	Nodes []*graph.Node // what the box uses, and what that is made of
}

// Edge leads from what computes a value to what uses it.
type Edge struct {
	From, To *Box
	Value    graph.Value // the zero Value where the edge stands for several
	Type     string
	Result   string // the result's name, where the node has several
	Operand  string // the operand's name, where the node has several
	Up       bool   // From stands below To
	Dashed   bool   // from a region's result to the node that carries the region
}

// Ends returns the box that stands above the other one, and that other one.
func (e *Edge) Ends() (above, below *Box) {
	if e.Up {
		return e.To, e.From
	}
	return e.From, e.To
}

// New makes the picture of a function.
func New(f *graph.Func, o Options) *Picture {
	p := build(f, o)
	if !o.Full && !p.acyclic() { // folding has closed a circle
		o.Full = true
		p = build(f, o)
	}
	p.tidy()
	return p
}

func build(f *graph.Func, o Options) *Picture {
	b := &builder{
		o: o, p: &Picture{Root: &Cluster{}}, parts: classify(f), at: map[*graph.Node]*Box{}, groups: map[string]*Box{},
		clusters: map[clusterKey]*Cluster{}, arrived: map[arrival]bool{}, joined: map[[2]*Box]bool{},
	}
	if !o.Full && !o.Flat {
		b.repeated = b.repeats(f)
	}
	b.function(f, nil, nil)
	b.edges(f)
	if !o.Full {
		b.oneStep()
	}
	return b.p
}

type builder struct {
	o        Options
	p        *Picture
	parts    *parts
	at       map[*graph.Node]*Box
	groups   map[string]*Box // folded boxes by what they stand for
	repeated map[*graph.Node]*repeat
	clusters map[clusterKey]*Cluster
	ends     []arrival        // at results and updates
	joined   map[[2]*Box]bool // boxes with one edge for all values
	arrived  map[arrival]bool // at boxes that show a value once: sources, and all values where the box is folded
}

// arrival is a value at a box.
type arrival struct {
	value graph.Value
	box   *Box
}

type clusterKey struct {
	parent *Cluster
	name   string
}

// function adds the boxes of a function, or of a region that the node of a box carries.
func (b *builder) function(f *graph.Func, carrier *Box, within *Cluster) {
	column := Forward
	if carrier != nil {
		column = carrier.Column
	}
	home := func(n *graph.Node, c Column) *Cluster {
		if n.IsGrad() && carrier == nil { // it stands in the layer of the optimizer, which it is no part of
			return b.column(c)
		}
		if carrier != nil {
			return b.layer(within, c, strings.TrimPrefix(strings.TrimPrefix(n.Scope(), carrier.Nodes[0].Scope()), "."))
		}
		if w := b.parts.weight[n]; w != nil && c == Optimizer && !b.o.Flat { // all the nodes of a step stand in one layer
			return b.sub(b.column(c), w.Name(), w.Name(), w.Name())
		}
		return b.layer(b.column(c), c, scopeOf(n))
	}
	for _, v := range f.Params() {
		n := v.Node()
		if carrier != nil && !b.used(f, v) {
			continue
		}
		label := n.ResultName(0)
		if label == "" {
			label = fmt.Sprintf("%d", -1-n.Index())
		}
		to := within
		if carrier == nil {
			to = b.column(Forward)
		}
		b.box(&Box{Kind: Input, Title: "%" + label, Tip: tip(n), Nodes: []*graph.Node{n}, Column: column, Cluster: to})
	}
	for _, n := range f.Nodes() {
		if b.beside(n) {
			continue
		}
		c := column
		if carrier == nil {
			c = b.parts.column[n]
			if box := b.fold(n, c); box != nil {
				b.at[n] = box
				box.Nodes = append(box.Nodes, n)
				continue
			}
		}
		box := b.box(&Box{Kind: kindOf(n), Title: title(n), Rows: rows(n), Tip: tip(n), Nodes: []*graph.Node{n}, Column: c, Cluster: home(n, c)})
		if n.IsFused() {
			continue // its rows say what is in the region
		}
		for i, r := range n.Regions() {
			name := n.Op().Name
			if len(n.Regions()) > 1 {
				name = fmt.Sprintf("%s region %d", name, i)
			} else {
				name += " region"
			}
			sub := &Cluster{Label: name, Column: c, Framed: true, Parent: box.Cluster}
			box.Cluster.Clusters = append(box.Cluster.Clusters, sub)
			b.function(r, box, sub)
			for _, res := range r.Results() {
				b.edge(res.Value, box, res.Name, true)
			}
		}
	}
	if carrier != nil {
		b.operands(f)
		return
	}
	for _, r := range f.Results() {
		b.end(r.Value, &Box{Kind: Result, Title: "return " + r.Name, Column: Forward, Cluster: b.column(Forward)})
	}
	for _, u := range f.Updates() {
		b.update(u)
	}
}

// beside reports whether a node stands beside those that use it: a source, or what gives one another shape.
func (b *builder) beside(n *graph.Node) bool {
	if isSource(n) || b.o.Full {
		return isSource(n) && b.parts.users[n] > 0
	}
	return n.Op().Kind == graph.ViewOp && isSource(n.Operands()[0].Node()) && n.ResultName(0) == "" && b.parts.users[n] > 0 && b.parts.column[n] != Optimizer &&
		!b.parts.statistics[n] && (b.o.Keep == nil || !b.o.Keep(n))
}

// used reports whether a region uses a parameter.
func (b *builder) used(f *graph.Func, v graph.Value) bool { return b.parts.users[v.Node()] > 0 }

// column returns the cluster of a column.
func (b *builder) column(c Column) *Cluster {
	if b.o.Flat || !b.parts.several {
		return b.p.Root
	}
	name := [...]string{"forward", "gradient", "optimizer"}[c]
	key := clusterKey{b.p.Root, name}
	if b.clusters[key] == nil {
		s := &Cluster{Column: c, Parent: b.p.Root}
		if c == Optimizer {
			s.Label, s.Framed = b.parts.optimizer, true
		}
		b.clusters[key] = s
		b.p.Root.Clusters = append(b.p.Root.Clusters, s)
		slices.SortStableFunc(b.p.Root.Clusters, func(x, y *Cluster) int { return int(x.Column) - int(y.Column) })
	}
	return b.clusters[key]
}

// layer returns the cluster of a layer's path inside c, c itself for "".
func (b *builder) layer(c *Cluster, column Column, path string) *Cluster {
	if path == "" || b.o.Flat {
		return c
	}
	if column == Optimizer && b.parts.several && c == b.column(Optimizer) {
		if path = strings.TrimPrefix(strings.TrimPrefix(path, b.parts.optimizer), "."); path == "" {
			return c
		}
	}
	scope := ""
	for part := range strings.SplitSeq(path, ".") {
		if scope != "" {
			scope += "."
		}
		scope += part
		key := clusterKey{c, part}
		if b.clusters[key] == nil {
			label := part
			if op := b.parts.only[scope]; op != "" && isNumber(part) && c == b.column(column) {
				label = op + " " + part
			} else if outer, _ := strings.CutSuffix(c.Label, " gradient"); isNumber(part) && c.Scope != "" {
				label = outer + "." + part
			}
			if column == Gradient && !c.Framed {
				label += " gradient"
			}
			b.sub(c, part, label, scope)
		}
		c = b.clusters[key]
	}
	return c
}

// sub returns the cluster of a name inside c.
func (b *builder) sub(c *Cluster, name, label, scope string) *Cluster {
	key := clusterKey{c, name}
	if b.clusters[key] == nil {
		s := &Cluster{Label: label, Scope: scope, Column: c.Column, Framed: true, Parent: c}
		b.clusters[key] = s
		c.Clusters = append(c.Clusters, s)
	}
	return b.clusters[key]
}

func (b *builder) box(x *Box) *Box {
	x.ID = len(b.p.Boxes)
	b.p.Boxes = append(b.p.Boxes, x)
	x.Cluster.Boxes = append(x.Cluster.Boxes, x)
	for _, n := range x.Nodes {
		b.at[n] = x
	}
	return x
}

// fold returns the box of several nodes that n belongs to, nil if it has one of its own.
func (b *builder) fold(n *graph.Node, c Column) *Box {
	if b.o.Full {
		return nil
	}
	switch {
	case c == Optimizer:
		w := b.parts.weight[n]
		if w == nil {
			return b.group("shared", func() *Box {
				return &Box{Kind: Optimize, Title: b.parts.optimizer + " step", Tip: tip(n), Column: c, Cluster: b.column(c)}
			})
		}
		return b.group("weight "+w.Name(), func() *Box {
			return &Box{Kind: Optimize, Title: b.parts.optimizer + " " + w.Name(), Tip: tip(n), Column: c, Cluster: b.column(c)}
		})
	case b.parts.statistics[n] && b.parts.keys[n]:
		return b.group("key", func() *Box {
			return &Box{Kind: Random, Title: "random state", Tip: tip(n), Column: c, Cluster: b.column(c)}
		})
	case b.parts.statistics[n]:
		scope := scopeOf(n)
		return b.group("statistics "+scope, func() *Box {
			return &Box{Kind: Statistics, Title: "running statistics", Tip: tip(n), Column: c, Cluster: b.layer(b.column(c), c, scope)}
		})
	}
	if r := b.repeated[n]; r != nil {
		return b.group(fmt.Sprintf("repeat %p", r.first), func() *Box {
			return &Box{Kind: Control, Title: r.title(), Tip: tip(n), Column: c, Cluster: b.layer(b.column(c), c, scopeOf(n)), Several: true}
		})
	}
	return nil
}

func (b *builder) group(key string, make func() *Box) *Box {
	if b.groups[key] == nil {
		b.groups[key] = b.box(make())
		b.groups[key].Folded = true
	}
	return b.groups[key]
}

// update adds an update of a variable: a box of its own, or a part of the one that computes the next value.
func (b *builder) update(u graph.Update) {
	if x := b.at[u.Value.Node()]; x != nil && x.Folded {
		x.Updates = append(x.Updates, u.Var)
		return
	}
	n := u.Value.Node()
	c := b.parts.column[n]
	home := b.column(c)
	if b.beside(n) {
		c, home = Forward, b.column(Forward)
	} else if x := b.at[n]; x != nil {
		home = x.Cluster
	}
	b.end(u.Value, &Box{Kind: Update, Title: "update @" + u.Var.Name(), Column: c, Cluster: home, Updates: []*graph.Variable{u.Var}})
}

// end adds the box of a result or an update.
func (b *builder) end(v graph.Value, x *Box) { b.ends = append(b.ends, arrival{v, b.box(x)}) }

// edges adds what leads to the boxes of the function: operands, results and updates.
func (b *builder) edges(f *graph.Func) {
	b.operands(f)
	for _, e := range b.ends {
		b.edge(e.value, e.box, "", false)
	}
	for _, x := range b.p.Boxes {
		if x.Folded {
			b.describe(x)
		}
	}
}

// up reports whether an edge leads upwards.
func (b *builder) up(from, to *Box) bool {
	return !b.o.Flat && from.Column == Gradient && to.Column == Gradient
}

func (b *builder) operands(f *graph.Func) {
	for _, n := range f.Nodes() {
		to := b.at[n]
		if to == nil {
			continue
		}
		for i, v := range n.Operands() {
			name := ""
			if len(n.Operands()) > 1 {
				name = operandName(n.Op(), i)
			}
			b.edge(v, to, name, false)
		}
	}
}

// edge adds an edge for a value, a source, or nothing if the box holds the node that computes it.
func (b *builder) edge(v graph.Value, to *Box, operand string, dashed bool) {
	n := v.Node()
	if n == nil {
		return // not of this function: the verifier refuses it
	}
	if b.beside(n) {
		if to.Folded && isSource(n) || b.again(v, to) {
			return
		}
		src := source(n)
		if to.Several && slices.ContainsFunc(to.Sources, func(s *Source) bool { return s.Label == src.Label && s.Type == src.Type }) {
			return
		}
		to.Sources = append(to.Sources, src)
		return
	}
	from := b.at[n]
	if from == nil || from == to {
		return
	}
	if to.Folded {
		if from == b.groups["shared"] {
			return // that each step uses what all share goes without saying
		}
		if b.again(v, to) {
			return
		}
		operand = ""
	}
	if from.Several || to.Several {
		if ends := [2]*Box{from, to}; !b.joined[ends] {
			b.joined[ends] = true
			b.p.Edges = append(b.p.Edges, &Edge{From: from, To: to, Up: b.up(from, to)})
		}
		return
	}
	e := &Edge{
		From: from, To: to, Value: v, Type: v.Type().String(), Operand: operand, Dashed: dashed,
		Up: b.up(from, to),
	}
	if n.NumResults() > 1 {
		e.Result = n.Op().ResultName(v.Index())
	}
	b.p.Edges = append(b.p.Edges, e)
}

// again reports whether the value has arrived at the box before.
func (b *builder) again(v graph.Value, to *Box) bool {
	a := arrival{v, to}
	was := b.arrived[a]
	b.arrived[a] = true
	return was
}

// describe fills the rows of a box of several nodes.
func (b *builder) describe(x *Box) {
	count := 0
	for _, n := range x.Nodes {
		for _, r := range n.Regions() {
			count += len(r.Nodes())
		}
		if !isSource(n) && len(n.Regions()) == 0 {
			count++
		}
	}
	x.Rows = []string{plural(count, "op")}
	var state []string
	weight, _ := strings.CutPrefix(x.Title, b.parts.optimizer+" ")
	for _, u := range x.Updates {
		if name := u.Name(); name != weight {
			name = strings.TrimPrefix(name, weight+".")
			name = strings.TrimPrefix(name, b.parts.optimizer+".")
			if x.Kind == Statistics {
				name = name[strings.LastIndexByte(name, '.')+1:]
			}
			state = append(state, name)
		}
	}
	const shown = 3
	switch {
	case x.Kind == Statistics && len(state) <= shown:
		x.Rows = append(x.Rows, state...)
	case len(state) > shown:
		x.Rows = append(x.Rows, "updates "+strings.Join(state[:shown-1], ", "), fmt.Sprintf("and %d more", len(state)-shown+1))
	case len(state) > 0:
		x.Rows = append(x.Rows, "updates "+strings.Join(state, ", "))
	}
}

// oneStep makes one box of an optimizer's steps that all begin at a node grad: before differentiation they say nothing
// each for itself.
func (b *builder) oneStep() {
	var step []*Box
	steps := map[*Box]bool{}
	for _, x := range b.p.Boxes {
		if x.Kind == Optimize && x.Column == Optimizer {
			step = append(step, x)
			steps[x] = true
		}
	}
	var grads []*Box
	for _, e := range b.p.Edges {
		if !steps[e.To] {
			continue
		}
		if len(e.From.Nodes) != 1 || !e.From.Nodes[0].IsGrad() {
			return
		}
		if !slices.Contains(grads, e.From) {
			grads = append(grads, e.From)
		}
	}
	if len(step) < 2 || len(grads) != 1 {
		return
	}
	all := step[0]
	var rows []string
	count := 0
	weights := 0
	for _, x := range step {
		if x == b.groups["shared"] {
			continue
		}
		weights++
		if count < mostRows {
			rows = append(rows, strings.TrimPrefix(x.Title, b.parts.optimizer+" "))
			count++
		}
	}
	if weights > count {
		rows = append(rows, fmt.Sprintf("and %d more", weights-count))
	}
	all.Title, all.Rows = b.parts.optimizer+" step", rows
	for _, x := range step[1:] {
		all.Nodes = append(all.Nodes, x.Nodes...)
		all.Updates = append(all.Updates, x.Updates...)
		x.Cluster.Boxes = slices.DeleteFunc(x.Cluster.Boxes, func(y *Box) bool { return y == x })
	}
	slices.SortFunc(all.Nodes, func(x, y *graph.Node) int { return x.Index() - y.Index() })
	b.p.Boxes = slices.DeleteFunc(b.p.Boxes, func(x *Box) bool { return x != all && steps[x] })
	for i, x := range b.p.Boxes {
		x.ID = i
	}
	b.p.Edges = slices.DeleteFunc(b.p.Edges, func(e *Edge) bool { return steps[e.From] || steps[e.To] })
	b.p.Edges = append(b.p.Edges, &Edge{From: grads[0], To: all, Type: plural(weights, "gradient")})
}

func plural(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

// acyclic reports whether the boxes can be put in an order in which all edges point down that do not point up.
func (p *Picture) acyclic() bool {
	in := make([]int, len(p.Boxes))
	below := make([][]int, len(p.Boxes))
	for _, e := range p.Edges {
		a, b := e.Ends()
		in[b.ID]++
		below[a.ID] = append(below[a.ID], b.ID)
	}
	var free []int
	for i, n := range in {
		if n == 0 {
			free = append(free, i)
		}
	}
	done := 0
	for len(free) > 0 {
		i := free[len(free)-1]
		free = free[:len(free)-1]
		done++
		for _, j := range below[i] {
			if in[j]--; in[j] == 0 {
				free = append(free, j)
			}
		}
	}
	return done == len(p.Boxes)
}

// mostSources is how many sources a box shows one by one.
const mostSources = 4

// tidy removes clusters that say nothing: one that holds a single box becomes its caption, and one that holds nothing but
// another cluster takes its place with both names.
func (p *Picture) tidy() {
	var tidy func(c *Cluster)
	tidy = func(c *Cluster) {
		var kept []*Cluster
		for _, s := range c.Clusters {
			tidy(s)
			switch {
			case len(s.Clusters) == 0 && len(s.Boxes) == 0:
				continue
			case s.Framed && s.Scope != "" && len(s.Boxes) == 1 && len(s.Clusters) == 0:
				x := s.Boxes[0]
				x.Cluster = c
				c.Boxes = append(c.Boxes, x)
				if !isNumber(s.Scope[strings.LastIndexByte(s.Scope, '.')+1:]) {
					x.Caption = joined(s.Label, x.Caption)
				}
				continue
			case s.Framed && s.Scope != "" && len(s.Boxes) == 0 && len(s.Clusters) == 1 && s.Clusters[0].Scope != "":
				only := s.Clusters[0]
				only.Label, only.Parent = joined(s.Label, only.Label), c
				s = only
			}
			kept = append(kept, s)
		}
		c.Clusters = kept
		slices.SortFunc(c.Boxes, func(x, y *Box) int { return x.ID - y.ID })
	}
	tidy(p.Root)
	for _, x := range p.Boxes {
		if len(x.Sources) > mostSources {
			many := &Source{Kind: x.Sources[0].Kind}
			var names []string
			for _, s := range x.Sources {
				names = append(names, s.Label)
				many.Nodes = append(many.Nodes, s.Nodes...)
				if s.Kind != many.Kind {
					many.Kind = Variable
				}
			}
			many.Label, many.Tip = plural(len(names), Names[many.Kind]), strings.Join(names, ", ")
			x.Sources = []*Source{many}
		}
		prefix := x.Cluster.Scope
		for c := x.Cluster; c != nil && prefix == ""; c = c.Parent {
			prefix = c.Scope
		}
		if x.Kind == Variable {
			x.Title = shortName(x.Title, prefix)
		}
		for _, s := range x.Sources {
			if s.Kind == Variable {
				s.Label = shortName(s.Label, x.scope(), prefix)
			}
		}
	}
}

// scope is the layer of the box.
func (x *Box) scope() string {
	if x.Caption == "" || len(x.Nodes) == 0 {
		return ""
	}
	return scopeOf(x.Nodes[0])
}

// shortName leaves out of a variable's name the layer that the reader sees around it.
func shortName(name string, scopes ...string) string {
	for _, s := range scopes {
		if short, ok := strings.CutPrefix(name, s+"."); ok && s != "" {
			return short
		}
	}
	return name
}

func isNumber(s string) bool {
	return strings.Trim(s, "0123456789.") == "" || strings.Trim(strings.TrimSuffix(s, " gradient"), "0123456789.") == ""
}

// joined names a layer inside another one. The gradient's mark stands last.
func joined(outer, inner string) string {
	if inner == "" {
		return outer
	}
	if o, ok := strings.CutSuffix(outer, " gradient"); ok {
		return o + "." + strings.TrimSuffix(inner, " gradient") + " gradient"
	}
	return outer + "." + inner
}

// parts says of the nodes of a function what part of a training step they are.
type parts struct {
	column     map[*graph.Node]Column
	several    bool   // there is more than the forward column
	optimizer  string // the optimizer's layer
	weight     map[*graph.Node]*graph.Variable
	statistics map[*graph.Node]bool
	keys       map[*graph.Node]bool // what computes the next state of random draws
	users      map[*graph.Node]int
	only       map[string]string // the op of a layer that has one forward node
}

func classify(f *graph.Func) *parts {
	p := &parts{
		column: map[*graph.Node]Column{}, weight: map[*graph.Node]*graph.Variable{}, statistics: map[*graph.Node]bool{}, keys: map[*graph.Node]bool{},
		users: map[*graph.Node]int{},
	}
	p.countUsers(f)
	defer p.oneOps(f)
	if len(f.Updates()) == 0 {
		return p
	}
	forward := map[*graph.Node]bool{}
	for _, r := range f.Results() {
		ancestors(r.Value.Node(), forward)
	}

	// What depends on the optimizer's state, or stands in its layer, and what depends on that.
	scopes := map[string]bool{}
	for _, n := range f.Nodes() {
		if v := n.Variable(); v != nil && v.IsOptimizerState() && n.Scope() != "" {
			scopes[n.Scope()] = true
		}
	}
	isOptimizer := map[*graph.Node]bool{}
	for _, n := range f.Nodes() {
		if isSource(n) {
			v := n.Variable()
			isOptimizer[n] = v != nil && v.IsOptimizerState()
			continue
		}
		if forward[n] {
			continue
		}
		isOptimizer[n] = scopes[n.Scope()] && !n.IsGrad() && p.users[n] > 0 && len(n.Operands()) > 0
		for _, v := range n.Operands() {
			isOptimizer[n] = isOptimizer[n] || isOptimizer[v.Node()]
		}
	}
	if len(scopes) > 0 {
		p.optimizer = slices.Sorted(maps.Keys(scopes))[0]
	} else {
		p.optimizer = "optimizer"
	}

	// What the weights' next values need, and what other variables' next values need only.
	training, needed := map[*graph.Node]bool{}, map[*graph.Node]bool{}
	for _, n := range f.Nodes() {
		if isOptimizer[n] {
			ancestors(n, training)
		}
	}
	drawn := keysOf(f)
	for _, u := range f.Updates() {
		if u.Var.Trainable() {
			ancestors(u.Value.Node(), training)
		}
		if drawn[u.Var] {
			ancestors(u.Value.Node(), p.keys)
		}
		ancestors(u.Value.Node(), needed)
	}
	started := false // the gradient, behind which what nothing needs is a part of it
	for _, n := range f.Nodes() {
		switch {
		case isSource(n) || forward[n]:
		case isOptimizer[n]:
			p.column[n] = Optimizer
			p.several = true
		case training[n], started && !needed[n]:
			p.column[n] = Gradient
			p.several, started = true, true
		case needed[n]:
			p.statistics[n] = true
		}
	}
	p.assignWeights(f)
	return p
}

// keysOf returns the variables that random nodes draw from.
func keysOf(f *graph.Func) map[*graph.Variable]bool {
	drawn := map[*graph.Variable]bool{}
	for _, n := range f.Nodes() {
		for _, v := range n.Operands() {
			if x := v.Node().Variable(); x != nil && n.Op().Props.Random {
				drawn[x] = true
			}
		}
	}
	return drawn
}

// oneOps finds the layers that are one operation, such as an activation that is called by its number.
func (p *parts) oneOps(f *graph.Func) {
	p.only = map[string]string{}
	for _, n := range f.Nodes() {
		if isSource(n) || p.column[n] != Forward || n.Scope() == "" {
			continue
		}
		if _, ok := p.only[n.Scope()]; ok {
			p.only[n.Scope()] = ""
		} else {
			p.only[n.Scope()] = n.Op().Name
		}
	}
}

func (p *parts) countUsers(f *graph.Func) {
	for _, n := range f.Nodes() {
		for _, v := range n.Operands() {
			p.users[v.Node()]++
		}
		for _, r := range n.Regions() {
			p.countUsers(r)
		}
	}
	for _, r := range f.Results() {
		p.users[r.Value.Node()]++
	}
	for _, u := range f.Updates() {
		p.users[u.Value.Node()]++
	}
}

// assignWeights says for the optimizer's nodes which weight they belong to: the one whose next value depends on them, or whose
// state's does. Those of several weights belong to none.
func (p *parts) assignWeights(f *graph.Func) {
	var several graph.Variable
	reach := map[*graph.Node]*graph.Variable{}
	add := func(n *graph.Node, v *graph.Variable) {
		if old := reach[n]; old != nil && old != v {
			v = &several
		}
		reach[n] = v
	}
	propagate := func() {
		for _, n := range slices.Backward(f.Nodes()) {
			if v := reach[n]; v != nil {
				for _, in := range n.Operands() {
					if in.Node().Index() >= 0 && (p.column[in.Node()] == Optimizer || isSource(in.Node())) {
						add(in.Node(), v)
					}
				}
			}
		}
	}
	for _, u := range f.Updates() {
		if u.Var.Trainable() {
			add(u.Value.Node(), u.Var)
		}
	}
	propagate()
	owner := map[*graph.Variable]*graph.Variable{}
	for _, n := range f.Nodes() {
		if v := n.Variable(); v != nil && v.IsOptimizerState() {
			owner[v] = reach[n]
		}
	}
	for _, u := range f.Updates() {
		if w := owner[u.Var]; w != nil {
			add(u.Value.Node(), w)
		}
	}
	propagate()
	for n, v := range reach {
		if v != &several && p.column[n] == Optimizer {
			p.weight[n] = v
		}
	}
}

// ancestors adds n and what it depends on.
func ancestors(n *graph.Node, to map[*graph.Node]bool) {
	stack := []*graph.Node{n}
	for len(stack) > 0 {
		n := stack[len(stack)-1]
		stack = stack[:len(stack)-1]
		if n == nil || to[n] {
			continue
		}
		to[n] = true
		for _, v := range n.Operands() {
			stack = append(stack, v.Node())
		}
	}
}

func isSource(n *graph.Node) bool { return n.IsConstant() || n.Variable() != nil }
