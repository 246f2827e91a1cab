package draw

import (
	"bytes"
	"cmp"
	"encoding/xml"
	"errors"
	"image/png"
	"io"
	"slices"
	"strings"
	"testing"

	"github.com/graphrun/graphrun/compile"
	"github.com/graphrun/graphrun/compile/randgraph"
	"github.com/graphrun/graphrun/graph"
	"github.com/graphrun/graphrun/graph/internal/picture"
)

// area is a rectangle that something takes.
type area struct {
	x0, y0, x1, y1 float64
	what           string
}

func (a area) meets(b area) bool {
	const e = 0.01
	return a.x0 < b.x1-e && b.x0 < a.x1-e && a.y0 < b.y1-e && b.y0 < a.y1-e
}

func (a area) holds(b area) bool {
	const e = 0.01
	return a.x0 <= b.x0+e && a.y0 <= b.y0+e && b.x1 <= a.x1+e && b.y1 <= a.y1+e
}

// overlap returns two areas that overlap.
func overlap(areas []area) (a, b area, found bool) {
	areas = slices.Clone(areas)
	slices.SortFunc(areas, func(a, b area) int { return cmp.Compare(a.y0, b.y0) })
	for i, a := range areas {
		for _, b := range areas[i+1:] {
			if b.y0 >= a.y1 {
				break
			}
			if a.meets(b) {
				return a, b, true
			}
		}
	}
	return a, b, false
}

// check lays a function out and holds the drawing against what makes it readable.
func check(t testing.TB, f *graph.Func, o Options) {
	t.Helper()
	p := picture.New(f, o.picture())
	checkNodes(t, f, p, o)
	l, err := newLayout(p, o.notes)
	if err != nil {
		t.Fatal(err)
	}
	s := compose(l, f.Name(), o.Stage, o.Memory)
	checkBoxes(t, l)
	checkTexts(t, s)
	checkClusters(t, l)
	checkEdges(t, l, s)

	twice, err := newLayout(picture.New(f, o.picture()), o.notes)
	if err != nil {
		t.Fatal(err)
	}
	again := compose(twice, f.Name(), o.Stage, o.Memory)
	svg := s.svg()
	if !bytes.Equal(svg, again.svg()) {
		t.Error("a second drawing differs")
	}
	d := xml.NewDecoder(bytes.NewReader(svg))
	for {
		if _, err := d.Token(); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatalf("the SVG is no XML: %v", err)
		}
	}
}

// views are ops that stand beside their users where they only give a constant or a variable another shape.
var views = map[string]bool{"reshape": true, "expand": true, "transpose": true, "cast": true}

// checkNodes wants every node in one box, and every source beside its users.
func checkNodes(t testing.TB, f *graph.Func, p *picture.Picture, o Options) {
	t.Helper()
	seen, beside := map[*graph.Node]int{}, map[*graph.Node]int{}
	inside := map[*graph.Node]*picture.Box{}
	for _, b := range p.Boxes {
		for _, n := range b.Nodes {
			seen[n]++
			inside[n] = b
		}
		for _, s := range b.Sources {
			for _, n := range s.Nodes {
				beside[n]++
			}
		}
		if o.Full && len(b.Nodes) > 1 {
			t.Errorf("%s stands for %d nodes", b.Title, len(b.Nodes))
		}
	}
	for _, v := range f.Params() {
		if seen[v.Node()] != 1 {
			t.Errorf("parameter %s stands in %d boxes", v.Node().ResultName(0), seen[v.Node()])
		}
	}
	for _, n := range f.Nodes() {
		source := n.Op().Name == "constant" || n.Op().Name == "read"
		if views[n.Op().Name] && !o.Full && beside[n] > 0 {
			if seen[n] > 0 {
				t.Errorf("node %d, %s, stands in a box and beside one", n.Index(), n.Op().Name)
			}
			continue
		}
		if !source && seen[n] != 1 || source && seen[n] > 1 {
			t.Errorf("node %d, %s, stands in %d boxes", n.Index(), n.Op().Name, seen[n])
		}
		if source || seen[n] != 1 {
			continue
		}
		to := inside[n]
		for i, v := range n.Operands() {
			from := v.Node()
			name := from.Op().Name
			switch {
			case len(to.Nodes) > 1 || to.Folded:
			case name == "constant" || name == "read" || views[name] && inside[from] == nil:
				if !slices.ContainsFunc(to.Sources, func(s *picture.Source) bool { return slices.Contains(s.Nodes, from) }) {
					t.Errorf("node %d, %s: operand %d, %s, does not stand beside it", n.Index(), n.Op().Name, i, name)
				}
			case !slices.ContainsFunc(p.Edges, func(e *picture.Edge) bool {
				return e.To == to && e.From == inside[from] && (e.Value == v || e.From.Several)
			}):
				t.Errorf("node %d, %s: there is no edge to operand %d", n.Index(), n.Op().Name, i)
			}
		}
	}
	updates := map[string]int{}
	for _, b := range p.Boxes {
		for _, v := range b.Updates {
			updates[v.Name()]++
		}
	}
	for _, u := range f.Updates() {
		if updates[u.Var.Name()] != 1 {
			t.Errorf("the update of @%s stands in %d boxes", u.Var.Name(), updates[u.Var.Name()])
		}
	}
}

// boxAreas are the boxes and the sources beside them.
func boxAreas(l *layout) []area {
	var areas []area
	for _, x := range l.boxes {
		areas = append(areas, area{x.x - x.w/2, x.y, x.x + x.w/2, x.y + x.h, x.title})
		for _, p := range x.pills {
			right := x.x - x.w/2 - pillGap
			areas = append(areas, area{right - p.w, x.y + p.dy, right, x.y + p.dy + p.h, "source of " + x.title})
		}
	}
	return areas
}

func checkBoxes(t testing.TB, l *layout) {
	t.Helper()
	areas := boxAreas(l)
	if a, b, found := overlap(areas); found {
		t.Errorf("%v and %v overlap", a, b)
	}
	for _, a := range areas {
		if a.x0 < 0 || a.x1 > l.width+0.01 || a.y0 < 0 || a.y1 > l.height+0.01 {
			t.Errorf("%v lies outside %v x %v", a, l.width, l.height)
		}
	}
}

func textArea(x *text) area {
	w := x.style.width(x.s)
	if x.up {
		return area{x.x - 0.75*x.style.size, x.y - w, x.x + 0.22*x.style.size, x.y, x.s}
	}
	return area{x.x, x.y - 0.75*x.style.size, x.x + w, x.y + 0.22*x.style.size, x.s}
}

// checkTexts wants no text over another one, and none to leave its box or the picture.
func checkTexts(t testing.TB, s *scene) {
	t.Helper()
	all := area{0, 0, s.width, s.height, "picture"}
	var texts []area
	var frame *rect
	for _, x := range s.shapes {
		switch {
		case x.open || x.end:
			frame = nil
		case x.rect != nil:
			frame = x.rect
		case x.text != nil && x.text.s != "":
			a := textArea(x.text)
			texts = append(texts, a)
			if !all.holds(a) {
				t.Errorf("%v leaves the picture %v", a, all)
			}
			if frame != nil && frame.h > 14 { // of a legend, the text stands beside
				if b := (area{frame.x, frame.y, frame.x + frame.w, frame.y + frame.h, ""}); !b.holds(a) {
					t.Errorf("%v leaves its box %v", a, b)
				}
			}
		}
	}
	if a, b, found := overlap(texts); found {
		t.Errorf("%v and %v overlap", a, b)
	}
}

// checkClusters wants in every frame what belongs to it and nothing else.
func checkClusters(t testing.TB, l *layout) {
	t.Helper()
	frame := func(g *group) area { return area{g.x0, g.y0, g.x1, g.y1, "cluster " + g.label} }
	for _, g := range l.groups {
		if !g.c.Framed {
			continue
		}
		for _, x := range l.boxes {
			a := area{x.x - x.left, x.y - x.above, x.x + x.right, x.y + max(x.h+x.below, x.full), x.title}
			if inside := within(&x.element, g); inside && !frame(g).holds(a) || !inside && frame(g).meets(a) {
				t.Errorf("%v and %v: inside is %t", frame(g), a, inside)
			}
		}
		for _, h := range l.groups {
			if h == g || !h.c.Framed {
				continue
			}
			if inside := within(&h.element, g); inside && !frame(g).holds(frame(h)) || !inside && !within(&g.element, h) && frame(g).meets(frame(h)) {
				t.Errorf("%v and %v: inside is %t", frame(g), frame(h), inside)
			}
		}
	}
}

// checkEdges wants edges to begin and end at their boxes, and to cross no box and no text.
func checkEdges(t testing.TB, l *layout, _ *scene) {
	t.Helper()
	s := &scene{}
	l.draw(s, 0, 0)
	var obstacles []area
	for _, x := range s.shapes {
		if x.text != nil && x.text.s != "" && x.text.style != columnStyle {
			obstacles = append(obstacles, textArea(x.text))
		}
	}
	obstacles = append(obstacles, boxAreas(l)...)
	slices.SortFunc(obstacles, func(a, b area) int { return cmp.Compare(a.y0, b.y0) })
	tallest := 0.0
	for _, a := range obstacles {
		tallest = max(tallest, a.y1-a.y0)
	}
	unit := &canvas{scale: 1}
	for _, w := range l.nets {
		s := &scene{}
		l.wire(s, w, 0, 0)
		pts := s.shapes[1].path.points
		from, to := l.boxes[w.e.From.ID], l.boxes[w.e.To.ID]
		touches := func(p point, x *boxItem) bool {
			return p.x >= x.x-x.w/2 && p.x <= x.x+x.w/2 && (p.y == x.y || p.y == x.y+x.h)
		}
		if !touches(pts[0], from) || !touches(pts[len(pts)-1], to) {
			t.Errorf("an edge from %s to %s ends at %v and %v", from.title, to.title, pts[0], pts[len(pts)-1])
		}
		line := unit.flatten(pts)
		for i := 1; i < len(line); i++ {
			a, b := line[i-1], line[i]
			at := area{min(a.x, b.x), min(a.y, b.y), max(a.x, b.x), max(a.y, b.y), ""}
			k, _ := slices.BinarySearchFunc(obstacles, at.y0-tallest, func(o area, y float64) int { return cmp.Compare(o.y0, y) })
			for _, o := range obstacles[k:] {
				if o.y0 > at.y1 {
					break
				}
				if crosses(a, b, o) {
					t.Errorf("the edge from %s to %s crosses %v", from.title, to.title, o)
				}
			}
		}
	}
}

// crosses reports whether a line passes the inside of an area.
func crosses(a, b point, o area) bool {
	const e = 0.3
	x0, y0, x1, y1 := o.x0+e, o.y0+e, o.x1-e, o.y1-e
	t0, t1 := 0.0, 1.0
	for _, side := range [4][2]float64{{a.x - b.x, a.x - x0}, {b.x - a.x, x1 - a.x}, {a.y - b.y, a.y - y0}, {b.y - a.y, y1 - a.y}} {
		switch d, q := side[0], side[1]; {
		case d == 0 && q < 0:
			return false
		case d < 0:
			t0 = max(t0, q/d)
		case d > 0:
			t1 = min(t1, q/d)
		}
	}
	return t0 < t1
}

func optimized(t testing.TB, m *graph.Module, rows ...string) *graph.Module {
	t.Helper()
	var opts []compile.Option
	if len(rows) > 0 {
		opts = append(opts, compile.Through(rows...))
	}
	o, err := compile.Optimize(m, opts...)
	if err != nil {
		t.Fatal(err)
	}
	return o
}

func TestModels(t *testing.T) {
	models := []struct {
		name  string
		m     *graph.Module
		funcs []string
		large bool
	}{
		{"lenet5", zooModule(t, "lenet5"), []string{"predict", "train", "eval"}, false},
		{"mlp", zooModule(t, "mlp"), []string{"predict", "train"}, false},
		{"resnet18", residual(t, "resnet18", []int{2, 2, 2, 2}, false), []string{"predict", "train"}, true},
		{"resnet50", residual(t, "resnet50", []int{3, 4, 6, 3}, true), []string{"predict", "train"}, true},
		{"transformer", transformer(t), []string{"train"}, false},
		{"rnn", unrolled(t), []string{"train"}, false},
	}
	stages := []struct {
		name string
		make func(m *graph.Module) *graph.Module
	}{
		{"declared", func(m *graph.Module) *graph.Module { return m }},
		{"differentiated", func(m *graph.Module) *graph.Module { return optimized(t, m, "stabilize", "autodiff") }},
		{"simplified", func(m *graph.Module) *graph.Module {
			return optimized(t, m, "autodiff", "simplify", "fold", "cse", "dce")
		}},
		{"optimized", func(m *graph.Module) *graph.Module { return optimized(t, m) }},
	}
	for _, model := range models {
		for _, stage := range stages {
			if model.large && stage.name != "declared" && stage.name != "optimized" {
				continue
			}
			m := stage.make(model.m)
			for _, fn := range model.funcs {
				t.Run(model.name+"/"+stage.name+"/"+fn, func(t *testing.T) {
					check(t, m.LookupFunc(fn), Options{Stage: stage.name})
				})
			}
		}
	}
	t.Run("full", func(t *testing.T) { check(t, optimized(t, models[0].m).LookupFunc("train"), Options{Full: true}) })
	t.Run("flat", func(t *testing.T) { check(t, optimized(t, models[0].m).LookupFunc("train"), Options{Flat: true}) })
	t.Run("full and flat", func(t *testing.T) { check(t, models[1].m.LookupFunc("train"), Options{Full: true, Flat: true}) })
}

func TestRandom(t *testing.T) {
	for seed := range uint64(60) {
		g := randgraph.Seeded(seed, randgraph.Options{Steps: 5 + int(seed)})
		check(t, g.Module.LookupFunc(g.Func), Options{})
		check(t, optimized(t, g.Module).LookupFunc(g.Func), Options{Full: seed%2 == 0, Flat: seed%3 == 0})
		if t.Failed() {
			t.Fatalf("seed %d", seed)
		}
	}
}

func FuzzDraw(f *testing.F) {
	f.Add([]byte("a graph"))
	f.Fuzz(func(t *testing.T, data []byte) {
		g := randgraph.FromBytes(data, randgraph.Options{})
		check(t, g.Module.LookupFunc(g.Func), Options{})
		check(t, optimized(t, g.Module).LookupFunc(g.Func), Options{Full: true})
	})
}

// A drawing shows what it must, by its texts.
func TestContents(t *testing.T) {
	m := zooModule(t, "lenet5")
	texts := func(f *graph.Func, o Options) string {
		s, err := newScene(f, o)
		if err != nil {
			t.Fatal(err)
		}
		var b strings.Builder
		for _, x := range s.shapes {
			if x.text != nil {
				b.WriteString(x.text.s + "\n")
			}
		}
		return b.String()
	}
	train := optimized(t, m).LookupFunc("train")
	note := map[*graph.Node][]string{}
	for _, n := range train.Nodes() {
		note[n] = []string{"noted"}
	}
	for _, c := range []struct {
		name       string
		text       string
		want, miss []string
	}{
		{
			"declared", texts(m.LookupFunc("predict"), Options{Stage: "declared"}),
			[]string{"lenet5 @predict\n", "declared\n", "conv1\n", "kernel 5×5\n", "pads 2\n", "weight\n", "f32[N,6,28,28]\n"},
			[]string{"GRADIENT"},
		},
		{
			"optimized", texts(train, Options{Notes: note}),
			[]string{"conv + epilogue\n", "conv, kernel 5×5, pads 2\n", "relu\n", "adam fc1.weight\n", "GRADIENT\n", "conv2 gradient\n", "noted\n"},
			nil,
		},
		{"full", texts(m.LookupFunc("train"), Options{Full: true}), []string{"update @conv1.weight\n", "sqrt\n"}, []string{"13 ops"}},
	} {
		for _, w := range c.want {
			if !strings.Contains(c.text, w) {
				t.Errorf("%s: %q is missing:\n%s", c.name, w, c.text)
			}
		}
		for _, w := range c.miss {
			if strings.Contains(c.text, w) {
				t.Errorf("%s: there is %q", c.name, w)
			}
		}
	}
}

func TestMemory(t *testing.T) {
	mem := &Memory{
		Title: "arena", Steps: 9, Arena: 4000,
		Slots: []Slot{{"slot 1 <a & b>", 0, 3, 0, 1000}, {"slot 2", 2, 8, 1000, 3000}, {"slot 3", 4, 4, 0, 8}},
	}
	f := zooModule(t, "mlp").LookupFunc("predict")
	check(t, f, Options{Memory: mem})
	check(t, f, Options{Memory: &Memory{}})
	s, err := newScene(f, Options{Memory: mem})
	if err != nil {
		t.Fatal(err)
	}
	if svg := string(s.svg()); !strings.Contains(svg, "slot 1 &lt;a &amp; b&gt;: instructions 0 to 3, bytes 0 to 1000") {
		t.Error("the tip of slot 1 is missing")
	}
}

func TestPNG(t *testing.T) {
	f := zooModule(t, "mlp").LookupFunc("train")
	var a, b bytes.Buffer
	for _, w := range []*bytes.Buffer{&a, &b} {
		if err := Write(w, PNG, f, Options{}); err != nil {
			t.Fatal(err)
		}
	}
	if !bytes.Equal(a.Bytes(), b.Bytes()) {
		t.Error("a second PNG differs")
	}
	img, err := png.Decode(&a)
	if err != nil {
		t.Fatal(err)
	}
	dark := 0
	for y := range img.Bounds().Dy() {
		for x := range img.Bounds().Dx() {
			if r, _, _, _ := img.At(x, y).RGBA(); r < 0x4000 {
				dark++
			}
		}
	}
	if all := img.Bounds().Dx() * img.Bounds().Dy(); dark < all/1000 || dark > all/5 {
		t.Errorf("%d of %d pixels are dark", dark, all)
	}
}

func TestFaults(t *testing.T) {
	f := zooModule(t, "mlp").LookupFunc("predict")
	for _, c := range []struct {
		err  error
		want string
	}{
		{Write(io.Discard, SVG, nil, Options{}), "draw: want a function, have nil"},
		{Write(io.Discard, "gif", f, Options{}), `draw: format "gif": want "svg" or "png"`},
	} {
		if c.err == nil || c.err.Error() != c.want {
			t.Errorf("have %v, want %s", c.err, c.want)
		}
	}
}
