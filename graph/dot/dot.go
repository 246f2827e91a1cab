package dot

import (
	"fmt"
	"io"
	"strconv"
	"strings"

	gonum "gonum.org/v1/gonum/graph"
	"gonum.org/v1/gonum/graph/encoding"
	"gonum.org/v1/gonum/graph/encoding/dot"
	"gonum.org/v1/gonum/graph/multi"

	"github.com/graphrun/graphrun/graph"
	"github.com/graphrun/graphrun/runtime/value"
)

// Options change what Write draws. The zero value draws everything.
type Options struct {
	// Title stands above the drawing; "" stands for the names of the module and the function.
	Title string
	// Flat leaves out the clusters.
	Flat bool
}

// Write writes f in the DOT language: parameters, constants in short, variables that are read, operations,
// results and updates. Regions, the functions that a node carries, are clusters of their own, and dashed edges
// lead from what they return to the node. The text depends on f and the options only.
func Write(w io.Writer, f *graph.Func, opt Options) error {
	if f == nil {
		return fmt.Errorf("dot: want a function, have nil")
	}
	title := opt.Title
	if title == "" {
		title = f.Module().Name() + " @" + f.Name()
	}
	d := &drawing{
		opt:  opt,
		top:  newCluster("", title),
		subs: map[subKey]*cluster{},
		at:   map[*graph.Node]*node{},
	}
	d.function(f, d.top, "")
	text, err := dot.MarshalMulti(d.top, quote(title), "", "\t")
	if err != nil {
		return fmt.Errorf("dot: %w", err)
	}
	_, err = w.Write(append(text, '\n'))
	return err
}

type drawing struct {
	opt  Options
	top  *cluster
	subs map[subKey]*cluster
	at   map[*graph.Node]*node
	ids  int64
}

// subKey is a layer or a region inside a cluster.
type subKey struct {
	parent *cluster
	path   string
}

// function draws f, a function or a region, into c. The layers of its nodes are nested in c; those of a region
// are drawn relative to the layer of the node that carries it.
func (d *drawing) function(f *graph.Func, c *cluster, scope string) {
	for i, v := range f.Params() {
		label := v.Node().ResultName(0)
		if label == "" {
			label = strconv.Itoa(i)
		}
		d.at[v.Node()] = d.add(c, "%"+label, v.Node(), attrs{{"shape", "ellipse"}, {"style", "filled"}, {"fillcolor", "#dbeafe"}})
	}
	for _, n := range f.Nodes() {
		d.node(n, d.layer(c, strings.TrimPrefix(strings.TrimPrefix(n.Scope(), scope), ".")))
	}
	for _, r := range f.Results() {
		if f.IsRegion() {
			continue // its node takes them
		}
		out := d.add(c, "return "+r.Name, nil, attrs{{"shape", "ellipse"}, {"style", "filled"}, {"fillcolor", "#dcfce7"}})
		d.edge(r.Value, out, "", nil)
	}
	for _, u := range f.Updates() {
		out := d.add(c, "update @"+u.Var.Name(), nil, attrs{{"shape", "cylinder"}, {"style", "filled"}, {"fillcolor", "#fee2e2"}})
		d.edge(u.Value, out, "", nil)
	}
}

func (d *drawing) node(n *graph.Node, c *cluster) {
	op := n.Op()
	look := attrs{{"shape", "box"}, {"style", "rounded"}}
	label := op.Name
	switch op.Name {
	case "constant":
		label = constant(n.Attrs().Tensor("value"))
		look = attrs{{"shape", "plaintext"}}
	case "read":
		label = "@" + string(n.Attrs().Symbol("var"))
		look = attrs{{"shape", "cylinder"}, {"style", "filled"}, {"fillcolor", "#fef3c7"}}
	default:
		if a := nodeAttrs(n); a != "" {
			label += "\n" + a
		}
	}
	to := d.add(c, label, n, look)
	d.at[n] = to
	for i, v := range n.Operands() {
		name := ""
		if len(n.Operands()) > 1 {
			name = operandName(op, i)
		}
		d.edge(v, to, name, nil)
	}
	for i, r := range n.Regions() {
		sub := d.sub(c, fmt.Sprintf("region %d of %d", i, to.id), op.Name+" region "+strconv.Itoa(i))
		d.function(r, sub, n.Scope())
		for _, res := range r.Results() {
			d.edge(res.Value, to, res.Name, attrs{{"style", "dashed"}})
		}
	}
}

// layer returns the cluster of a layer's path inside c, c itself for "".
func (d *drawing) layer(c *cluster, path string) *cluster {
	if path == "" || d.opt.Flat {
		return c
	}
	full := ""
	for part := range strings.SplitSeq(path, ".") {
		if full != "" {
			full += "."
		}
		full += part
		c = d.sub(c, "layer "+full, full)
	}
	return c
}

func (d *drawing) sub(c *cluster, path, label string) *cluster {
	key := subKey{c, path}
	if s := d.subs[key]; s != nil {
		return s
	}
	s := newCluster("cluster_"+strconv.Itoa(len(d.subs)), label)
	d.subs[key] = s
	c.subs = append(c.subs, s)
	return s
}

// add draws a node into a cluster. The whole graph, which holds the edges, gets a bare reference to it.
func (d *drawing) add(c *cluster, label string, n *graph.Node, look attrs) *node {
	look = append(attrs{{"label", label}}, look...)
	if n != nil && n.Pos().IsKnown() {
		look = append(look, attr{"tooltip", n.Pos().String()})
	}
	full := &node{id: d.ids, look: look}
	d.ids++
	c.AddNode(full)
	if c == d.top {
		return full
	}
	ref := &node{id: full.id}
	d.top.AddNode(ref)
	return ref
}

func (d *drawing) edge(v graph.Value, to *node, operand string, look attrs) {
	from := d.at[v.Node()]
	if from == nil {
		return // not of this function: the verifier refuses it
	}
	look = append(attrs{{"label", v.Type().String()}}, look...)
	if v.Node().NumResults() > 1 {
		look = append(look, attr{"taillabel", v.Node().Op().ResultName(v.Index())})
	}
	if operand != "" {
		look = append(look, attr{"headlabel", operand})
	}
	d.top.SetLine(&line{Line: d.top.NewLine(from, to), look: look})
}

func operandName(op *graph.Op, i int) string {
	a := op.Arg(i)
	switch {
	case a == nil:
		return strconv.Itoa(i)
	case a.Variadic:
		return fmt.Sprintf("%s[%d]", a.Name, i-len(op.Args)+1)
	}
	return a.Name
}

// shownElems is the number of elements up to which a constant is drawn with its elements.
const shownElems = 4

func constant(t *value.Tensor) string {
	const longest = 40
	if t == nil {
		return "?"
	}
	if t.Len() <= shownElems {
		text := string(t.AppendText(nil))
		if t.Rank() == 0 {
			text = strings.TrimSuffix(strings.TrimPrefix(text, "["), "]")
		}
		if len(text) <= longest {
			return text
		}
	}
	return graph.TypeOf(t).String()
}

// nodeAttrs lists the attributes that are not at their defaults.
func nodeAttrs(n *graph.Node) string {
	var parts []string
	for _, a := range n.Attrs() {
		if spec := n.Op().Attr(a.Name); spec != nil && spec.Default != nil && graph.EqualAttrValues(a.Value, spec.Default) {
			continue
		}
		parts = append(parts, a.Name+"="+attrText(a.Value))
	}
	return strings.Join(parts, ", ")
}

func attrText(v any) string {
	switch v := v.(type) {
	case graph.Symbol:
		return "@" + string(v)
	case string:
		return strconv.Quote(v)
	case *value.Tensor:
		return constant(v)
	case []graph.Dim:
		return list(v, graph.Dim.String)
	case []int64:
		return list(v, func(x int64) string { return strconv.FormatInt(x, 10) })
	case []float64:
		return list(v, func(x float64) string { return strconv.FormatFloat(x, 'g', -1, 64) })
	}
	return fmt.Sprint(v)
}

func list[T any](xs []T, text func(T) string) string {
	parts := make([]string, len(xs))
	for i, x := range xs {
		parts[i] = text(x)
	}
	return "[" + strings.Join(parts, ",") + "]"
}

// cluster is a graph with a label: the whole drawing or a part of it.
type cluster struct {
	*multi.DirectedGraph
	id, label string
	subs      []*cluster
}

func newCluster(id, label string) *cluster {
	return &cluster{DirectedGraph: multi.NewDirectedGraph(), id: id, label: label}
}

// DOTID implements dot.Multigraph.
func (c *cluster) DOTID() string { return c.id }

// Structure implements dot.MultiStructurer.
func (c *cluster) Structure() []dot.Multigraph {
	subs := make([]dot.Multigraph, len(c.subs))
	for i, s := range c.subs {
		subs[i] = s
	}
	return subs
}

// DOTAttributers implements dot.Attributers.
func (c *cluster) DOTAttributers() (g, n, e encoding.Attributer) {
	if c.id != "" {
		return attrs{{"label", c.label}, {"color", "#94a3b8"}, {"fontname", font}}, none, none
	}
	text := attrs{{"fontname", font}, {"fontsize", "10"}}
	// Without newrank Graphviz loses edges between the clusters of a training step.
	return attrs{{"label", c.label}, {"labelloc", "t"}, {"newrank", "true"}, {"fontname", font}}, text, text
}

const font = "Helvetica"

var none attrs

// node is a node of a drawing; without attributes it stands for one that is drawn elsewhere.
type node struct {
	id   int64
	look attrs
}

// ID implements gonum's graph.Node.
func (n *node) ID() int64 { return n.id }

// DOTID implements dot.Node.
func (n *node) DOTID() string { return "n" + strconv.FormatInt(n.id, 10) }

// Attributes implements encoding.Attributer.
func (n *node) Attributes() []encoding.Attribute { return n.look.Attributes() }

type line struct {
	gonum.Line
	look attrs
}

// Attributes implements encoding.Attributer.
func (l *line) Attributes() []encoding.Attribute { return l.look.Attributes() }

// attrs are DOT attributes as they read, not yet quoted.
type attrs []attr

type attr struct{ key, value string }

// Attributes implements encoding.Attributer.
func (a attrs) Attributes() []encoding.Attribute {
	out := make([]encoding.Attribute, len(a))
	for i, x := range a {
		out[i] = encoding.Attribute{Key: x.key, Value: quote(x.value)}
	}
	return out
}

// quote makes a DOT string of any text. The encoder leaves alone what is quoted and what looks like HTML, so
// text that only looks like it has to be quoted here.
func quote(s string) string { return strconv.Quote(strings.ToValidUTF8(s, "\uFFFD")) }
