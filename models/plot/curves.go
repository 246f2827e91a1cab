package plot

import (
	"fmt"
	"image/color"
	"io"
	"math"
	"slices"
	"strconv"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
)

// Series is a line: Y over X, with X ascending. X is in epochs: what was measured after the third one has X = 3. A point whose Y is
// NaN or infinite is left out, and the line has a gap there.
type Series struct {
	Name string
	X, Y []float64
	// Faint draws a thin light line behind the others, for many noisy points such as the loss of every step. A few outliers may leave
	// the panel.
	Faint bool
}

// Panel is one pair of axes. Panels stand above each other over the same epochs, and series of one name share a colour.
type Panel struct {
	Title  string // such as "loss"
	Series []Series
	// Percent says that Y are fractions, which are shown in percent, such as an accuracy.
	Percent bool
	// Log has a logarithmic scale, unless a series that is not faint has a Y of 0 or less.
	Log bool
}

// CurvesOptions change what Curves draws. The zero value draws the panels only.
type CurvesOptions struct {
	Title string
	// Best is the epoch to mark, the one whose weights are kept; 0 marks none.
	Best float64
}

// The layout of Curves, in points.
const (
	curvesWidth = 640
	panelHeight = 190
	pad         = 16
	headerRoom  = 28 // above a panel's axes
	titleSize   = 14
	headerSize  = 11
	textSize    = 10
)

// Curves draws learning curves. It refuses a series whose X and Y are not as many or whose X do not ascend, and a panel
// without any finite point.
func Curves(w io.Writer, f Format, panels []Panel, o CurvesOptions) error {
	if len(panels) == 0 {
		return fmt.Errorf("plot: curves: no panels: want at least one")
	}
	first, last, steps := math.Inf(1), math.Inf(-1), false
	for _, p := range panels {
		points := 0
		for _, s := range p.Series {
			if len(s.X) != len(s.Y) {
				return fmt.Errorf("plot: curves: %s: %s: %d X and %d Y: want as many", p.Title, s.Name, len(s.X), len(s.Y))
			}
			steps = steps || s.Faint
			for i, x := range s.X {
				if math.IsNaN(x) || math.IsInf(x, 0) || i > 0 && x <= s.X[i-1] {
					return fmt.Errorf("plot: curves: %s: %s: X %v: want finite numbers that ascend", p.Title, s.Name, x)
				}
				if finite(s.Y[i]) {
					points++
					first, last = min(first, x), max(last, x)
				}
			}
		}
		if points == 0 {
			return fmt.Errorf("plot: curves: %s: no finite point: want at least one", p.Title)
		}
	}
	room := 0.02 * (last - first)
	switch {
	case steps && first > 0 && first <= 1: // what was measured within the first epoch begins at its start
		first = 0
		last += 0.02 * last
	case first == last:
		first, last = first-0.5, last+0.5
	default:
		first, last = first-room, last+room
	}
	fine := steps && last-first < 2.5

	colors := seriesColors(panels)
	top := vg.Length(pad)
	if o.Title != "" {
		top += titleSize + 8
	}
	rows := legendRows(panels)
	top += vg.Length(len(rows)) * 16
	height := top + vg.Length(len(panels))*(panelHeight+headerRoom) + pad
	return render(w, f, curvesWidth, height, func(c draw.Canvas) {
		y := height - pad - titleSize
		if o.Title != "" {
			s := bold(titleSize, ink)
			put(c, s, pad, y+3, draw.XLeft, fit(s, clean(o.Title), curvesWidth-2*pad))
			y -= titleSize + 8
		}
		for _, row := range rows {
			drawLegend(c, row, colors, y+3)
			y -= 16
		}
		plots := make([][]*plot.Plot, len(panels))
		for i, p := range panels {
			plots[i] = []*plot.Plot{axes(p, first, last, fine, colors, o, i == len(panels)-1)}
		}
		area := c
		area.Min, area.Max = vg.Point{X: pad, Y: pad}, vg.Point{X: curvesWidth - pad, Y: height - top - headerRoom}
		tiles := draw.Tiles{Rows: len(panels), Cols: 1, PadY: headerRoom}
		for i, tile := range plot.Align(plots, tiles, area) {
			plots[i][0].Draw(tile[0])
			header(c, panels[i], plots[i][0].DataCanvas(tile[0]), plots[i][0], o)
		}
	})
}

func finite(y float64) bool { return !math.IsNaN(y) && !math.IsInf(y, 0) }

// seriesColors gives each name of a series a colour, in the order in which they come.
func seriesColors(panels []Panel) map[string]color.RGBA {
	colors := map[string]color.RGBA{}
	next := 0
	for _, faint := range []bool{false, true} {
		for _, p := range panels {
			for _, s := range p.Series {
				if _, ok := colors[s.Name]; ok || s.Faint != faint {
					continue
				}
				if faint {
					colors[s.Name] = color.RGBA{0xa5, 0xb4, 0xcb, 0xff}
					continue
				}
				colors[s.Name] = cycle[next%len(cycle)]
				next++
			}
		}
	}
	return colors
}

// legendRows breaks the names of all series into rows, each with the place of its sample line.
func legendRows(panels []Panel) (rows [][]legendItem) {
	s := style(textSize, ink)
	x := vg.Length(pad)
	seen := map[string]bool{}
	for _, p := range panels {
		for _, series := range p.Series {
			if seen[series.Name] || series.Name == "" {
				continue
			}
			seen[series.Name] = true
			text := fit(s, clean(series.Name), curvesWidth/2)
			width := 22 + 6 + s.Width(text) + 18
			if len(rows) == 0 || x+width > curvesWidth-pad {
				rows, x = append(rows, nil), pad
			}
			rows[len(rows)-1] = append(rows[len(rows)-1], legendItem{series.Name, text, x, series.Faint})
			x += width
		}
	}
	return rows
}

type legendItem struct {
	name, text string
	x          vg.Length
	faint      bool
}

func drawLegend(c draw.Canvas, row []legendItem, colors map[string]color.RGBA, y vg.Length) {
	s := style(textSize, ink)
	for _, item := range row {
		mid := y + capHeight(s)/2
		width := vg.Length(2)
		if item.faint {
			width = 1
		}
		line(c, width, colors[item.name], nil, vg.Point{X: item.x, Y: mid}, vg.Point{X: item.x + 22, Y: mid})
		put(c, s, item.x+28, y, draw.XLeft, item.text)
	}
}

// header writes above a panel's axes what it shows, and what it shows at the best epoch.
func header(c draw.Canvas, p Panel, data draw.Canvas, axes *plot.Plot, o CurvesOptions) {
	s := bold(headerSize, ink)
	y := data.Max.Y + 13
	title := clean(p.Title)
	if axes.Y.Scale == plot.Normalizer(plot.LogScale{}) {
		title += " (logarithmic scale)"
	}
	title = fit(s, title, curvesWidth/2)
	put(c, s, pad, y, draw.XLeft, title)
	if o.Best == 0 {
		return
	}
	text := "best: epoch " + strconv.FormatFloat(o.Best, 'g', 6, 64)
	for _, series := range p.Series {
		if v, ok := at(series, o.Best); ok && !series.Faint {
			text = fmt.Sprintf("epoch %s: %s %s", strconv.FormatFloat(o.Best, 'g', 6, 64), clean(series.Name), valueText(p, v))
		}
	}
	small := style(textSize, ink)
	text = fit(small, text, curvesWidth/2-2*pad)
	x, _ := axes.Transforms(&data)
	half := small.Width(text) / 2
	middle := min(max(x(o.Best), pad+s.Width(title)+14+half), curvesWidth-pad-half)
	put(c, small, middle, y, draw.XCenter, text)
}

// at returns the value of a series at an epoch.
func at(s Series, x float64) (float64, bool) {
	i, ok := slices.BinarySearch(s.X, x)
	if !ok || !finite(s.Y[i]) {
		return 0, false
	}
	return s.Y[i], true
}

func valueText(p Panel, y float64) string {
	if p.Percent {
		return strconv.FormatFloat(100*y, 'f', 2, 64) + " %"
	}
	return strconv.FormatFloat(y, 'g', 4, 64)
}

// axes makes the plot of a panel.
func axes(p Panel, first, last float64, fine bool, colors map[string]color.RGBA, o CurvesOptions, lowest bool) *plot.Plot {
	out := plot.New()
	out.BackgroundColor = nil
	lo, hi, log := yRange(p)
	out.X.Min, out.X.Max, out.Y.Min, out.Y.Max = first, last, lo, hi
	for _, a := range []*plot.Axis{&out.X, &out.Y} {
		a.LineStyle = draw.LineStyle{Color: edge, Width: 0.75}
		a.Tick.LineStyle = a.LineStyle
		a.Tick.Length = 4
		a.Padding = 4
		label := a.Tick.Label
		a.Tick.Label = style(textSize, ink)
		a.Tick.Label.XAlign, a.Tick.Label.YAlign = label.XAlign, label.YAlign
	}
	out.Y.LineStyle.Width, out.Y.Tick.Length = 0, 0
	marks := func(lo, hi float64) []plot.Tick { return epochTicks(lo, hi, fine) }
	out.X.Tick.Marker = plot.TickerFunc(marks)
	if lowest {
		label := out.X.Label.TextStyle
		out.X.Label.TextStyle = style(textSize, ink)
		out.X.Label.TextStyle.XAlign, out.X.Label.TextStyle.YAlign = label.XAlign, label.YAlign
		out.X.Label.Text = "epoch"
		out.X.Label.Padding = 2
	} else {
		out.X.Tick.Marker = plot.TickerFunc(func(lo, hi float64) []plot.Tick {
			ticks := marks(lo, hi)
			for i := range ticks {
				ticks[i].Label = ""
			}
			return ticks
		})
	}
	out.Y.Tick.Marker = plot.TickerFunc(func(lo, hi float64) []plot.Tick { return niceTicks(lo, hi, p.Percent) })
	if log {
		out.Y.Scale = plot.LogScale{}
		out.Y.Tick.Marker = plot.TickerFunc(logTicks)
	}

	grid := plotter.NewGrid()
	grid.Vertical.Width = 0
	grid.Horizontal = draw.LineStyle{Color: rule, Width: 0.75}
	out.Add(grid)
	for _, faint := range []bool{true, false} {
		for _, s := range p.Series {
			if s.Faint == faint {
				out.Add(&curve{s, colors[s.Name], log})
			}
		}
	}
	if o.Best != 0 {
		out.Add(&bestMark{p, o.Best, colors})
	}
	return out
}

// yRange returns what the vertical axis spans.
func yRange(p Panel) (lo, hi float64, log bool) {
	lo, hi = math.Inf(1), math.Inf(-1)
	log = p.Log
	var faint []float64
	for _, s := range p.Series {
		for _, y := range s.Y {
			switch {
			case !finite(y):
			case s.Faint:
				faint = append(faint, y)
			default:
				lo, hi = min(lo, y), max(hi, y)
				log = log && y > 0
			}
		}
	}
	if len(faint) > 0 {
		slices.Sort(faint)
		low, high := faint[len(faint)/100], faint[len(faint)-1-len(faint)/50]
		if !log || low > 0 {
			lo = min(lo, low)
		}
		hi = max(hi, high)
		log = log && hi > 0 && lo > 0
	}
	if log {
		room := math.Pow(hi/lo, 0.05)
		if hi == lo {
			room = 2
		}
		return lo / room, hi * room, true
	}
	if hi == lo {
		room := max(0.1*math.Abs(hi), 0.01)
		lo, hi = lo-room, hi+room
	} else {
		room := 0.06 * (hi - lo)
		if lo >= 0 && lo < 0.35*hi { // a range that almost reaches zero begins there
			lo = 0
		} else {
			lo -= room
		}
		hi += room
	}
	if p.Percent {
		lo, hi = max(lo, 0), max(min(hi, 1.002), lo+1e-6)
	}
	return lo, hi, false
}

// epochTicks are whole epochs, or quarters of them.
func epochTicks(lo, hi float64, fine bool) (ticks []plot.Tick) {
	step := max(1, niceStep((hi-lo)/12))
	if fine {
		step = 0.25
	}
	for i := int(math.Ceil(lo/step - 1e-9)); float64(i)*step <= hi+1e-9; i++ {
		x := float64(i) * step
		ticks = append(ticks, plot.Tick{Value: x, Label: strconv.FormatFloat(x, 'g', -1, 64)})
	}
	return ticks
}

// niceStep is the least of 1, 2 and 5 times a power of ten that is not less than x.
func niceStep(x float64) float64 {
	p := math.Pow(10, math.Floor(math.Log10(x)))
	for _, f := range []float64{1, 2, 5} {
		if f*p >= x*(1-1e-9) {
			return f * p
		}
	}
	return 10 * p
}

func niceTicks(lo, hi float64, percent bool) (ticks []plot.Tick) {
	unit, suffix := 1.0, ""
	if percent {
		unit, suffix = 100, " %"
	}
	step := niceStep((hi - lo) * unit / 6)
	digits := int(max(0, -math.Floor(math.Log10(step)+1e-9)))
	for i := math.Ceil(lo*unit/step - 1e-9); i*step <= hi*unit*(1+1e-12); i++ {
		label := strconv.FormatFloat(i*step, 'f', digits, 64)
		if step < 1e-4 || step >= 1e6 {
			label = strconv.FormatFloat(i*step, 'g', 4, 64)
		}
		if i == 0 {
			label = "0"
		}
		ticks = append(ticks, plot.Tick{Value: i * step / unit, Label: label + suffix})
	}
	return ticks
}

// logTicks are powers of ten, or 1, 2 and 5 times those where there are few.
func logTicks(lo, hi float64) (ticks []plot.Tick) {
	factors := []float64{1, 2, 5}
	decades := math.Log10(hi / lo)
	every := 1
	if decades > 2.5 {
		factors = factors[:1]
		every = int(math.Ceil(decades / 7))
	}
	for e := int(math.Floor(math.Log10(lo))); e <= int(math.Ceil(math.Log10(hi))); e++ {
		for _, f := range factors {
			v := f * math.Pow(10, float64(e))
			if v >= lo && v <= hi && e%every == 0 {
				ticks = append(ticks, plot.Tick{Value: v, Label: strconv.FormatFloat(v, 'g', 4, 64)})
			}
		}
	}
	if len(ticks) < 2 {
		return []plot.Tick{{Value: lo, Label: strconv.FormatFloat(lo, 'g', 3, 64)}, {Value: hi, Label: strconv.FormatFloat(hi, 'g', 3, 64)}}
	}
	return ticks
}

// curve draws a series: a line, with a dot for each point where there are not many.
type curve struct {
	Series
	color color.RGBA
	log   bool
}

// strokeLength is the number of points that are drawn in one stroke.
const strokeLength = 64

// dotted is the number of points up to which each gets a dot.
const dotted = 40

// Plot implements plot.Plotter.
func (s *curve) Plot(c draw.Canvas, p *plot.Plot) {
	tx, ty := p.Transforms(&c)
	var runs [][]vg.Point
	open := false
	for i, x := range s.X {
		if y := s.Y[i]; !finite(y) || s.log && y <= 0 {
			open = false
			continue
		}
		if !open {
			runs, open = append(runs, nil), true
		}
		runs[len(runs)-1] = append(runs[len(runs)-1], vg.Point{X: tx(x), Y: ty(s.Y[i])})
	}
	look := draw.LineStyle{Color: s.color, Width: 1.75}
	if s.Faint {
		look.Width = 0.75
	}
	for _, run := range runs {
		for _, piece := range c.ClipLinesXY(thin(run)) {
			// In pieces, since drawing a line in pixels takes the square of its length.
			for ; len(piece) > strokeLength; piece = piece[strokeLength-1:] {
				c.StrokeLines(look, piece[:strokeLength])
			}
			c.StrokeLines(look, piece)
		}
		if s.Faint || len(s.X) > dotted && len(run) > 1 {
			continue
		}
		for _, at := range run {
			disc(c, at, 2.5, s.color)
		}
	}
}

// thin keeps of the points of every half point of width the first, the lowest, the highest and the last, so that a
// picture stays small whatever the number of steps.
func thin(run []vg.Point) []vg.Point {
	const width = 0.5
	if len(run) <= 4*curvesWidth {
		return run
	}
	var out []vg.Point
	for i := 0; i < len(run); {
		lo, hi, j := i, i, i
		for ; j < len(run) && run[j].X < run[i].X+width; j++ {
			if run[j].Y < run[lo].Y {
				lo = j
			}
			if run[j].Y > run[hi].Y {
				hi = j
			}
		}
		keep := []int{i, lo, hi, j - 1}
		slices.Sort(keep)
		for _, k := range slices.Compact(keep) {
			out = append(out, run[k])
		}
		i = j
	}
	return out
}

// bestMark draws a dashed line at an epoch and rings round the points there.
type bestMark struct {
	panel  Panel
	x      float64
	colors map[string]color.RGBA
}

// Plot implements plot.Plotter.
func (b *bestMark) Plot(c draw.Canvas, p *plot.Plot) {
	tx, ty := p.Transforms(&c)
	x := tx(b.x)
	line(c, 0.75, muted, []vg.Length{3, 2}, vg.Point{X: x, Y: c.Min.Y}, vg.Point{X: x, Y: c.Max.Y + 9})
	for _, s := range b.panel.Series {
		if y, ok := at(s, b.x); ok && !s.Faint && (y > 0 || p.Y.Scale != plot.Normalizer(plot.LogScale{})) {
			where := vg.Point{X: x, Y: ty(y)}
			disc(c, where, 4.5, b.colors[s.Name])
			disc(c, where, 2.75, color.White)
		}
	}
}

func disc(c draw.Canvas, at vg.Point, r vg.Length, col color.Color) {
	var p vg.Path
	p.Move(vg.Point{X: at.X + r, Y: at.Y})
	p.Arc(at, r, 0, fullTurn)
	p.Close()
	c.SetColor(col)
	c.Fill(p)
}

const (
	fullTurn    = 2 * math.Pi
	quarterTurn = math.Pi / 2
)
