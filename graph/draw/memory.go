package draw

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/graphrun/graphrun/graph/value"
)

// Memory is how a function uses its arena: what lies where, from which instruction to which.
type Memory struct {
	Title string // such as "arena for N=64"
	Steps int    // the number of instructions
	Arena int64  // in bytes
	Slots []Slot
}

// Slot is a piece of memory and the instructions, counted from 0, from the one that writes it to the last that needs it.
type Slot struct {
	Label       string // such as "slot 4: conv1 relu"
	First, Last int
	Offset      int64 // in bytes
	Size        int64
}

// memoryPlot draws lifetimes over addresses: a rectangle for each slot, instructions to the right, addresses upwards.
type memoryPlot struct {
	m             *Memory
	width, height float64
	gw, gh        float64 // of the plot itself
	left          float64
	title         string
	top           int64
}

var axisStyle = style{9.5, false, mutedColor}

func newMemoryPlot(m *Memory, height float64) *memoryPlot {
	p := &memoryPlot{m: m, gh: min(max(height*0.35, 420), 800), left: 66, top: max(m.Arena, 1)}
	for _, s := range m.Slots {
		p.top = max(p.top, s.Offset+s.Size)
	}
	p.gw = min(max(float64(m.Steps)*14, 420), 1100)
	p.title = labelStyle.fit(clean(m.Title), p.gw)
	p.width = p.left + p.gw + 12
	p.height = 22 + p.gh + 40
	return p
}

// slotColors tell neighbours apart.
var slotColors = []look{
	{"#bfdbfe", "#1d4ed8", inkColor},
	{"#bbf7d0", "#15803d", inkColor},
	{"#fde68a", "#b45309", inkColor},
	{"#ddd6fe", "#6d28d9", inkColor},
	{"#fbcfe8", "#be185d", inkColor},
	{"#99f6e4", "#0f766e", inkColor},
}

func (p *memoryPlot) draw(s *scene, ox, oy float64) {
	s.write(labelStyle, ox+p.left, oy+11, 0, p.title)
	x0, y0 := ox+p.left, oy+22
	x := func(step float64) float64 { return x0 + step*p.gw/float64(max(p.m.Steps, 1)) }
	y := func(at int64) float64 { return y0 + p.gh*(1-float64(at)/float64(p.top)) }
	s.begin(p.m.Title)
	s.rectangle(x0, y0, p.gw, p.gh, 0, "#f8fafc", "#cbd5e1", 1)
	s.close()
	last := ""
	for i := range 5 {
		at := p.top * int64(i) / 4
		if i > 0 && i < 4 {
			s.add(shape{path: &curve{points: straight(point{x0, y(at)}, point{x0 + p.gw, y(at)}), stroke: "#e2e8f0", line: 0.8}})
		}
		if text := value.ByteText(float64(at)); text != last {
			s.write(axisStyle, x0-6, y(at)+3.4, 1, text)
			last = text
		}
	}
	step := 1
	for _, n := range []int{1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000} {
		if step = n; p.gw/float64(max(p.m.Steps, 1))*float64(n) >= 34 {
			break
		}
	}
	for i := 0; i < p.m.Steps; i += step {
		s.write(axisStyle, x(float64(i)+0.5), y0+p.gh+13, 0.5, fmt.Sprint(i))
	}
	s.write(axisStyle, x0+p.gw/2, y0+p.gh+28, 0.5, "instruction")
	slots := slices.Clone(p.m.Slots)
	slices.SortStableFunc(slots, func(a, b Slot) int { return cmp.Or(cmp.Compare(a.First, b.First), cmp.Compare(a.Offset, b.Offset)) })
	for i, slot := range slots {
		c := slotColors[i%len(slotColors)]
		left, right := x(float64(slot.First)), x(float64(slot.Last)+1)
		high, low := y(slot.Offset+slot.Size), y(slot.Offset)
		s.begin(fmt.Sprintf("%s: instructions %d to %d, bytes %d to %d", slot.Label, slot.First, slot.Last, slot.Offset, slot.Offset+slot.Size))
		s.rectangle(left, high, right-left, max(low-high, 0.6), 0, c.fill, c.stroke, 0.7)
		t := axisStyle
		t.color = inkColor
		midX, midY := (left+right)/2, (low+high)/2
		for _, line := range labels(clean(slot.Label)) {
			w := t.width(line) + 6
			if w <= right-left && low-high >= 13 {
				s.write(t, midX, midY+3.3, 0.5, line)
				break
			}
			if w <= low-high && right-left >= 13 {
				s.add(shape{text: &text{x: midX + 3.3, y: midY + t.width(line)/2, s: line, style: t, up: true}})
				break
			}
		}
		s.close()
	}
}

// labels are a label and what is left of it where there is less room: its first two words, "slot 4".
func labels(s string) []string {
	words := strings.Fields(s)
	if len(words) <= 2 {
		return []string{s}
	}
	return []string{s, words[0] + " " + words[1]}
}
