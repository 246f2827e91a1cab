package dot

import (
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"

	gonum "gonum.org/v1/gonum/graph"
	"gonum.org/v1/gonum/graph/encoding"
	"gonum.org/v1/gonum/graph/encoding/dot"
	"gonum.org/v1/gonum/graph/multi"

	"github.com/graphrun/graphrun/graph"
	"github.com/graphrun/graphrun/graph/internal/picture"
)

// Options change what Write draws. The zero value draws layers as clusters, and an optimizer's step of a weight as one node.
type Options struct {
	// Title stands above the drawing; "" stands for the names of the module and the function.
	Title string
	// Flat leaves out the clusters.
	Flat bool
	// Full draws every node: those of an optimizer too, and what only reshapes a variable.
	Full bool
	// Notes are further lines in the labels of nodes. One that stands for several nodes shows none.
	Notes map[*graph.Node][]string
}

// Write writes f in the DOT language: parameters, operations, results and updates, each with its constants and variables. Regions, the functions
// that a node carries, are clusters of their own, and dashed edges lead from what they return to the node. The text
// depends on f and the options only.
func Write(w io.Writer, f *graph.Func, opt Options) error {
	if f == nil {
		return fmt.Errorf("dot: want a function, have nil")
	}
	title := opt.Title
	if title == "" {
		title = f.Module().Name() + " @" + f.Name()
	}
	p := picture.New(f, picture.Options{Flat: opt.Flat, Full: opt.Full, Keep: func(n *graph.Node) bool { return opt.Notes[n] != nil }})
	d := &drawing{opt: opt, top: newCluster("", title), next: int64(len(p.Boxes))}
	d.cluster(p.Root, d.top)
	for _, e := range p.Edges {
		d.edge(e)
	}
	text, err := dot.MarshalMulti(d.top, quote(title), "", "\t")
	if err != nil {
		return fmt.Errorf("dot: %w", err)
	}
	_, err = w.Write(append(text, '\n'))
	return err
}

type drawing struct {
	opt      Options
	top      *cluster
	clusters int
	next     int64 // the number of the next source
}

func (d *drawing) cluster(from *picture.Cluster, to *cluster) {
	for _, s := range from.Clusters {
		c := to
		if s.Framed {
			c = newCluster("cluster_"+strconv.Itoa(d.clusters), s.Label)
			d.clusters++
			to.subs = append(to.subs, c)
		}
		d.cluster(s, c)
	}
	for _, b := range from.Boxes {
		d.box(b, to)
	}
}

// looks are the shapes and colours of the kinds of nodes.
var looks = map[picture.Kind]attrs{
	picture.Other:       box("#ffffff"),
	picture.Input:       {{"shape", "ellipse"}, {"style", "filled"}, {"fillcolor", "#dbeafe"}},
	picture.Result:      {{"shape", "ellipse"}, {"style", "filled"}, {"fillcolor", "#dcfce7"}},
	picture.Update:      {{"shape", "cylinder"}, {"style", "filled"}, {"fillcolor", "#fee2e2"}},
	picture.Product:     box("#dbeafe"),
	picture.Elementwise: box("#dcfce7"),
	picture.Reduction:   box("#fed7aa"),
	picture.Pooling:     box("#a5f3fc"),
	picture.Shape:       box("#f1f5f9"),
	picture.Random:      box("#fce7f3"),
	picture.Control:     box("#ede9fe"),
	picture.Optimize:    box("#fecaca"),
	picture.Statistics:  box("#fae8ff"),
	picture.Variable:    {{"shape", "cylinder"}, {"style", "filled"}, {"fillcolor", "#fef9c3"}, {"fontsize", "8"}},
	picture.Constant:    {{"shape", "plaintext"}, {"fontsize", "8"}},
}

func box(color string) attrs {
	return attrs{{"shape", "box"}, {"style", "rounded,filled"}, {"fillcolor", color}}
}

func (d *drawing) box(b *picture.Box, c *cluster) {
	lines := slices.Concat([]string{b.Title}, b.Rows)
	if b.Caption != "" {
		lines = slices.Insert(lines, 0, b.Caption)
	}
	if len(b.Nodes) == 1 {
		lines = append(lines, d.opt.Notes[b.Nodes[0]]...)
	}
	to := d.add(c, int64(b.ID), strings.Join(lines, "\n"), b.Tip, looks[b.Kind])
	for _, s := range b.Sources {
		label := s.Label
		if s.Shown {
			label += "\n" + s.Type
			if s.Kind == picture.Variable {
				label = "@" + label
			}
		}
		from := d.add(c, d.next, label, s.Tip, looks[s.Kind])
		d.next++
		d.top.SetLine(&line{Line: d.top.NewLine(from, to), look: attrs{{"arrowsize", "0.5"}}})
	}
}

// add draws a node into a cluster. The whole graph, which holds the edges, gets a bare reference to it.
func (d *drawing) add(c *cluster, id int64, label, tip string, look attrs) *node {
	look = append(attrs{{"label", label}}, look...)
	if tip != "" {
		look = append(look, attr{"tooltip", tip})
	}
	full := &node{id: id, look: look}
	c.AddNode(full)
	if c == d.top {
		return full
	}
	ref := &node{id: id}
	d.top.AddNode(ref)
	return ref
}

// edge draws an edge. One that points up is declared from its lower end, so that Graphviz ranks its ends so.
func (d *drawing) edge(e *picture.Edge) {
	above, below := e.Ends()
	head, tail := "headlabel", "taillabel"
	look := attrs{{"label", e.Type}}
	if e.Up {
		head, tail = tail, head
		look = append(look, attr{"dir", "back"})
	}
	if e.Dashed {
		look = append(look, attr{"style", "dashed"})
	}
	if e.Result != "" {
		look = append(look, attr{tail, e.Result})
	}
	if e.Operand != "" {
		look = append(look, attr{head, e.Operand})
	}
	from, to := d.top.Node(int64(above.ID)), d.top.Node(int64(below.ID))
	d.top.SetLine(&line{Line: d.top.NewLine(from, to), look: look})
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
