package plot

import (
	"fmt"
	"image/color"
	"io"
	"math"
	"strconv"
	"strings"

	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
)

// ConfusionOptions change what Confusion draws.
type ConfusionOptions struct {
	Title string // "" stands for "Confusion matrix"
}

// maxClasses bounds the size of a picture.
const maxClasses = 1000

// Confusion draws a confusion matrix: counts[i][j] is how many examples of class i were taken for class j. A cell's
// colour is its share of its row: right answers in blue, errors in orange on a scale that shows small shares. Beside the
// rows stands the share of the class that was found (recall), below the columns the share of the answers that were right
// (precision).
//
// It refuses counts that are not square, negative ones, and more than 1000 classes. Classes without a name, and all if classes is nil,
// are called by their number.
func Confusion(w io.Writer, f Format, counts [][]int, classes []string, o ConfusionOptions) error {
	n := len(counts)
	switch {
	case n == 0:
		return fmt.Errorf("plot: confusion: no classes: want at least one")
	case n > maxClasses:
		return fmt.Errorf("plot: confusion: %d classes: want at most %d", n, maxClasses)
	case len(classes) > 0 && len(classes) != n:
		return fmt.Errorf("plot: confusion: %d class names for %d classes: want one each", len(classes), n)
	}
	m := &matrix{n: n, counts: counts, rows: make([]int, n), cols: make([]int, n), names: make([]string, n)}
	for i, row := range counts {
		if len(row) != n {
			return fmt.Errorf("plot: confusion: row %d has %d counts: want %d, one per class", i, len(row), n)
		}
		for j, x := range row {
			if x < 0 {
				return fmt.Errorf("plot: confusion: row %d, column %d: %d: want 0 or more", i, j, x)
			}
			m.rows[i] += x
			m.cols[j] += x
			m.most = max(m.most, x)
		}
		m.right += row[i]
		m.total += m.rows[i]
		if m.names[i] = strconv.Itoa(i); len(classes) > 0 && classes[i] != "" {
			m.names[i] = clean(classes[i])
		}
	}
	if m.title = clean(o.Title); m.title == "" {
		m.title = "Confusion matrix"
	}
	m.layout()
	return render(w, f, m.width, m.height, m.draw)
}

type matrix struct {
	n          int
	counts     [][]int
	rows, cols []int
	most       int // the greatest count
	right      int
	total      int
	names      []string
	title      string

	// Lengths in points.
	cell, size         vg.Length // of a cell, and of the text beside the cells
	left, top          vg.Length // of the first cell, top from the top
	names0             vg.Length // the width of what stands left of the cells
	nameRoom           vg.Length // the width of the longest name
	upright            bool      // the names above the columns read upwards
	shares             vg.Length // the width of the column of recalls
	width, height      vg.Length
	subtitle           string
	countSize          vg.Length // of the text in cells, 0 for none
	titleRoom, barRoom vg.Length
}

// longestName bounds the room for names, in points.
const longestName = 170

func (m *matrix) layout() {
	switch {
	case m.n <= 6:
		m.cell, m.size = 60, 11
	case m.n <= 12:
		m.cell, m.size = 44, 10.5
	case m.n <= 30:
		m.cell, m.size = 27, 10
	case m.n <= 120:
		m.cell, m.size = 13, 8
	case m.n <= 300:
		m.cell, m.size = 6, 5
	default:
		m.cell, m.size = 2.5, 0 // names would not be read
	}
	m.subtitle = "no examples"
	if m.total > 0 {
		m.subtitle = fmt.Sprintf("%s of %s right: %s", thousands(m.right), thousands(m.total), percent(m.right, m.total, 2))
	}
	s := style(m.size, ink)
	if m.size > 0 {
		for i, name := range m.names {
			m.names[i] = fit(s, name, longestName)
			m.names0 = max(m.names0, s.Width(m.names[i]))
		}
		m.upright = m.names0 > m.cell-4
		m.nameRoom = m.names0
		m.shares = max(s.Width("100.0 %"), style(m.size, ink).Width("recall")) + 10
		m.names0 = max(m.names0, style(m.size, ink).Width("precision"))
	}
	for size := min(m.cell*0.36, 14); size >= 4; size -= 0.5 {
		if style(size, ink).Width(strconv.Itoa(m.most)) <= m.cell-2 {
			m.countSize = size
			break
		}
	}
	m.titleRoom = pad + titleSize + 8 + textSize + 14
	m.left = pad + 16 + m.names0 + 6
	m.top = m.titleRoom + 16 + 6
	if m.size > 0 {
		if m.upright {
			m.top += m.nameRoom
		} else {
			m.top += m.size
		}
	}
	m.barRoom = 56
	grid := m.cell * vg.Length(m.n)
	below := vg.Length(10)
	if m.size > 0 {
		below = m.size + 12
		if m.precisionUpright() {
			below = s.Width("100.0 %") + 12
		}
	}
	m.width = m.left + grid + max(m.shares, 4) + pad
	m.height = m.top + grid + below + m.barRoom
	need := max(bold(titleSize, ink).Width(m.title), style(textSize, ink).Width(m.subtitle), 330) + 2*pad
	m.width = max(m.width, min(need, 640))
}

func (m *matrix) precisionUpright() bool { return style(m.size, ink).Width("100.0 %") > m.cell-2 }

func (m *matrix) draw(c draw.Canvas) {
	head := bold(titleSize, ink)
	put(c, head, pad, m.height-pad-capHeight(head), draw.XLeft, fit(head, m.title, m.width-2*pad))
	sub := style(textSize, muted)
	put(c, sub, pad, m.height-pad-titleSize-8-capHeight(sub), draw.XLeft, m.subtitle)

	grid := m.cell * vg.Length(m.n)
	topY := m.height - m.top // of the first row's upper edge
	label := style(textSize, muted)
	put(c, label, m.left+grid/2, m.height-m.titleRoom-capHeight(label), draw.XCenter, fit(label, "predicted class", max(grid, 80)))
	putUp(c, label, pad+capHeight(label), topY-grid/2-label.Width("true class")/2, "true class")

	s := style(m.size, ink)
	quiet := style(m.size, muted)
	if m.size > 0 {
		put(c, quiet, m.left+grid+m.shares, topY+6, draw.XRight, "recall")
		put(c, quiet, m.left-6, topY-grid-6-capHeight(quiet), draw.XRight, "precision")
	}
	hair := vg.Length(0.75)
	if m.cell < 8 {
		hair = 0
	}
	for i := range m.n {
		y := topY - m.cell*vg.Length(i+1)
		middle := y + m.cell/2 - capHeight(s)/2
		if m.size > 0 {
			put(c, s, m.left-6, middle, draw.XRight, m.names[i])
			put(c, quiet, m.left+grid+m.shares, middle, draw.XRight, percent(m.counts[i][i], m.rows[i], 1))
			x := m.left + m.cell*vg.Length(i) + m.cell/2
			if m.upright {
				putUp(c, s, x+capHeight(s)/2, topY+6, m.names[i])
			} else {
				put(c, s, x, topY+6, draw.XCenter, m.names[i])
			}
			if text := percent(m.counts[i][i], m.cols[i], 1); m.precisionUpright() {
				putUp(c, quiet, x+capHeight(quiet)/2, topY-grid-6-quiet.Width(text), text)
			} else {
				put(c, quiet, x, topY-grid-6-capHeight(quiet), draw.XCenter, text)
			}
		}
		for j, x := range m.counts[i] {
			at := vg.Point{X: m.left + m.cell*vg.Length(j), Y: y}
			back := m.color(i, j)
			if back != (color.RGBA{0xff, 0xff, 0xff, 0xff}) {
				fill(c, vg.Rectangle{Min: at, Max: vg.Point{X: at.X + m.cell, Y: at.Y + m.cell}}, back)
			}
			if m.countSize == 0 || x == 0 && m.n > 12 {
				continue
			}
			text := style(m.countSize, ink)
			switch {
			case x == 0:
				text.Color = edge
			case dark(back):
				text.Color = color.White
			}
			put(c, text, at.X+m.cell/2, at.Y+m.cell/2-capHeight(text)/2, draw.XCenter, strconv.Itoa(x))
		}
	}
	if hair > 0 {
		for i := range m.n + 1 {
			d := m.cell * vg.Length(i)
			line(c, hair, rule, nil, vg.Point{X: m.left, Y: topY - d}, vg.Point{X: m.left + grid, Y: topY - d})
			line(c, hair, rule, nil, vg.Point{X: m.left + d, Y: topY}, vg.Point{X: m.left + d, Y: topY - grid})
		}
	}
	line(c, 0.75, edge, nil, vg.Point{X: m.left, Y: topY}, vg.Point{X: m.left + grid, Y: topY}, vg.Point{X: m.left + grid, Y: topY - grid},
		vg.Point{X: m.left, Y: topY - grid}, vg.Point{X: m.left, Y: topY})
	m.scales(c)
}

// scales draws what the colours mean.
func (m *matrix) scales(c draw.Canvas) {
	const width, height, steps = 110, 8, 55
	s := style(8.5, muted)
	x := vg.Length(pad)
	for _, k := range []struct {
		title string
		of    func(float64) color.RGBA
	}{{"right, share of the class", rightColor}, {"wrong, share of the class", wrongColor}} {
		put(c, s, x, pad+11+height+5, draw.XLeft, k.title)
		for i := range steps {
			left := x + vg.Length(i)*width/steps
			fill(c, vg.Rectangle{Min: vg.Point{X: left, Y: pad + 11}, Max: vg.Point{X: x + width, Y: pad + 11 + height}}, k.of(float64(i)/(steps-1)))
		}
		for _, p := range []float64{0, 0.5, 1} {
			at := x + vg.Length(p)*width
			line(c, 0.5, edge, nil, vg.Point{X: at, Y: pad + 9}, vg.Point{X: at, Y: pad + 11})
			align := draw.XCenter
			switch p {
			case 0:
				align = draw.XLeft
			case 1:
				align = draw.XRight
			}
			put(c, s, at, pad, align, strconv.Itoa(int(100*p))+" %")
		}
		x += width + 56
	}
}

func (m *matrix) color(i, j int) color.RGBA {
	if m.counts[i][j] == 0 {
		return color.RGBA{0xff, 0xff, 0xff, 0xff}
	}
	share := float64(m.counts[i][j]) / float64(m.rows[i])
	if i == j {
		return rightColor(share)
	}
	return wrongColor(share)
}

func rightColor(share float64) color.RGBA {
	return blend(share, []color.RGBA{{0xff, 0xff, 0xff, 0xff}, {0x93, 0xc5, 0xfd, 0xff}, {0x1e, 0x40, 0xaf, 0xff}})
}

// wrongColor goes with the root of the share, so that one error in a hundred shows.
func wrongColor(share float64) color.RGBA {
	return blend(math.Sqrt(share), []color.RGBA{{0xff, 0xff, 0xff, 0xff}, {0xfd, 0xba, 0x74, 0xff}, {0xc2, 0x41, 0x0c, 0xff}})
}

// blend interpolates between colours at equal distances, for t from 0 to 1.
func blend(t float64, stops []color.RGBA) color.RGBA {
	t *= float64(len(stops) - 1)
	i := min(int(t), len(stops)-2)
	t -= float64(i)
	mix := func(a, b uint8) uint8 { return uint8(math.Round(float64(a)*(1-t) + float64(b)*t)) }
	a, b := stops[i], stops[i+1]
	return color.RGBA{mix(a.R, b.R), mix(a.G, b.G), mix(a.B, b.B), 0xff}
}

// dark reports whether white text is read better on a colour than dark text.
func dark(c color.RGBA) bool {
	return 0.299*float64(c.R)+0.587*float64(c.G)+0.114*float64(c.B) < 140
}

// percent is a share of a whole; a dash if there is nothing to share.
func percent(part, whole, digits int) string {
	if whole == 0 {
		return "–"
	}
	share := 100 * float64(part) / float64(whole)
	if part < whole { // not 100 % before it is
		unit := math.Pow(10, float64(-digits))
		share = min(share, 100-unit)
	}
	return strconv.FormatFloat(share, 'f', digits, 64) + " %"
}

// thousands groups the digits of a number: "10,000".
func thousands(n int) string {
	s := strconv.Itoa(n)
	var b strings.Builder
	for i, r := range s {
		if i > 0 && (len(s)-i)%3 == 0 {
			b.WriteByte(',')
		}
		b.WriteRune(r)
	}
	return b.String()
}
