package draw

import (
	"fmt"
	"io"

	"github.com/graphrun/graphrun/graph"
	"github.com/graphrun/graphrun/graph/internal/picture"
)

// Format is how a drawing is written. Its text is the usual extension of a file, without the dot.
type Format string

// The formats.
const (
	SVG Format = "svg"
	PNG Format = "png"
)

// Options change what Write draws. The zero value draws layers as clusters, and an optimizer's step of a weight as one box.
type Options struct {
	// Title stands above the drawing; "" stands for the names of the module and the function.
	Title string
	// Stage is a line below the title, such as how far the compiler has come.
	Stage string
	// Flat leaves out the clusters and the columns of a training step.
	Flat bool
	// Full draws every node as a box: those of an optimizer too, and what only reshapes a variable.
	Full bool
	// Notes are further lines in the boxes of nodes. A box that stands for several nodes shows none.
	Notes map[*graph.Node][]string
	// Memory is drawn beside the graph.
	Memory *Memory
}

// mostBoxes bounds what is drawn: beyond it nothing can be read.
const mostBoxes = 20000

// Write draws f. The bytes depend on f and the options only. It refuses a nil function, an unknown format, and a function of more than
// 20000 boxes or with very many long edges.
func Write(w io.Writer, format Format, f *graph.Func, o Options) error {
	if f == nil {
		return fmt.Errorf("draw: want a function, have nil")
	}
	if format != SVG && format != PNG {
		return fmt.Errorf("draw: format %q: want %q or %q", format, SVG, PNG)
	}
	s, err := newScene(f, o)
	if err != nil {
		return err
	}
	data := []byte(nil)
	if format == SVG {
		data = s.svg()
	} else if data, err = s.png(); err != nil {
		return fmt.Errorf("draw: %w", err)
	}
	_, err = w.Write(data)
	return err
}

func newScene(f *graph.Func, o Options) (*scene, error) {
	p := picture.New(f, o.picture())
	if len(p.Boxes) > mostBoxes {
		return nil, fmt.Errorf("draw: @%s has %d boxes: want at most %d", f.Name(), len(p.Boxes), mostBoxes)
	}
	title := o.Title
	if title == "" {
		title = f.Module().Name() + " @" + f.Name()
	}
	l, err := newLayout(p, o.notes)
	if err != nil {
		return nil, fmt.Errorf("draw: @%s: %w", f.Name(), err)
	}
	return compose(l, title, o.Stage, o.Memory), nil
}

// picture says what the picture holds: what has a note is a box.
func (o *Options) picture() picture.Options {
	return picture.Options{Flat: o.Flat, Full: o.Full, Keep: func(n *graph.Node) bool { return o.Notes[n] != nil }}
}

// notes are the lines for a box.
func (o *Options) notes(b *picture.Box) []string {
	if len(b.Nodes) != 1 {
		return nil
	}
	return o.Notes[b.Nodes[0]]
}
