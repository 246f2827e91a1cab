package data

import (
	"bufio"
	"cmp"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"math"
	"os"
	"slices"
	"strconv"
	"strings"

	"github.com/graphrun/graphrun/graph/value"
)

// CSVOptions says what the columns of a CSV file mean. Columns are given by the name that the header has for them or by their number, from 1
// on.
type CSVOptions struct {
	Comma      rune     // what stands between cells; 0 stands for a comma
	Header     Header   // whether the first row holds the names of the columns
	Label      string   // the column of the targets; the last one if empty
	Skip       []string // columns that are not read, such as numbers of the rows
	Classes    []string // the classes in their order, for labels that are numbered as those of another file; others are errors
	Regression bool     // the targets are numbers to predict, not classes
}

// Header says whether the first row of a CSV file holds the names of the columns.
type Header int

// The zero Header looks at the row: it holds names if one of them is the label's, or if none of its cells is a number.
const (
	HeaderAuto Header = iota
	HeaderPresent
	HeaderAbsent
)

// ReadCSV reads a table of numbers with a column of targets (RFC 4180). The examples are its rows, f32[F], with the F other columns in their
// order. Targets are i64[] classes: labels that are all whole numbers are ordered by what they are worth and others by their bytes, and the
// number of a class is its place in that order, or in Classes where these are given. With Regression targets are f32[1].
//
// Space around cells does not count, and neither do empty lines. Every cell must be there, and be a finite number if it is no
// label: an error names the line, the column and the cell. The input need not be trusted; memory grows with the bytes that come.
func ReadCSV(r io.Reader, opts CSVOptions) (*TensorDataset, error) {
	d, err := readCSV(r, opts)
	if err != nil {
		return nil, fmt.Errorf("csv: %w", err)
	}
	return d, nil
}

// OpenCSV reads the CSV file of that name in fsys, as ReadCSV does.
func OpenCSV(fsys fs.FS, name string, opts CSVOptions) (*TensorDataset, error) {
	f, err := fsys.Open(name)
	if err != nil {
		return nil, err
	}
	return readCSVFile(f, name, opts)
}

// ReadCSVFile reads the CSV file of that path, as ReadCSV does.
func ReadCSVFile(path string, opts CSVOptions) (*TensorDataset, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	return readCSVFile(f, path, opts)
}

func readCSVFile(f fs.File, name string, opts CSVOptions) (*TensorDataset, error) {
	defer f.Close()
	d, err := readCSV(f, opts)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return d, nil
}

// table is a CSV file that is being read.
type table struct {
	in    *csv.Reader
	names []string // of the columns; nil without a header
	width int      // columns
	label int      // the column of the targets
	skip  []bool   // by column
}

func readCSV(r io.Reader, opts CSVOptions) (*TensorDataset, error) {
	buffered := bufio.NewReader(r)
	if mark, _ := buffered.Peek(3); string(mark) == "\ufeff" {
		_, _ = buffered.Discard(3)
	}
	t := table{in: csv.NewReader(buffered)}
	t.in.Comma = cmp.Or(opts.Comma, ',')
	t.in.TrimLeadingSpace = opts.Comma != '\t' && opts.Comma != ' '
	t.in.FieldsPerRecord = -1 // the errors here say more
	t.in.ReuseRecord = true

	row, err := t.in.Read()
	if errors.Is(err, io.EOF) {
		return nil, errors.New("it is empty: want rows of numbers and a label")
	}
	if err != nil {
		return nil, err
	}
	first, err := t.begin(row, opts)
	if err != nil {
		return nil, err
	}
	var x []float32
	var targets targets = &numbers{}
	if !opts.Regression {
		targets = &classes{seen: map[string]int{}, want: opts.Classes}
	}
	n := 0
	for ; ; first = false {
		if !first {
			if row, err = t.in.Read(); errors.Is(err, io.EOF) {
				break
			} else if err != nil {
				return nil, err
			}
		}
		if len(row) != t.width {
			line, _ := t.in.FieldPos(0)
			return nil, fmt.Errorf("line %d has %d cells: want %d, as in the first row", line, len(row), t.width)
		}
		for c, cell := range row {
			cell = strings.TrimSpace(cell)
			switch {
			case t.skip[c]:
			case cell == "":
				return nil, t.fault(c, "the cell is empty: every row needs a value here")
			case c == t.label:
				if err := targets.add(cell, func(msg string) error { return t.fault(c, msg) }); err != nil {
					return nil, err
				}
			default:
				v, msg := parseCell(cell)
				if msg != "" {
					return nil, t.fault(c, msg)
				}
				x = append(x, v)
			}
		}
		n++
	}
	if n == 0 {
		return nil, errors.New("it has a header and no rows")
	}
	if t, ok := targets.(*classes); ok && opts.Header == HeaderAuto && n > 1 && t.words == 1 && t.wordFirst && len(t.want) == 0 {
		return nil, errors.New("line 1 may be a header, since its label alone is not a number: say whether it is one")
	}
	inputs, err := value.FromSlice(x, n, len(x)/n)
	if err != nil {
		return nil, err
	}
	return targets.dataset(inputs)
}

// begin looks at the first row and reports whether it is an example.
func (t *table) begin(row []string, opts CSVOptions) (example bool, err error) {
	cells := make([]string, len(row))
	for c := range cells {
		cells[c] = strings.TrimSpace(strings.Clone(row[c]))
	}
	isNumber := func(cell string) bool { _, err := strconv.ParseFloat(cell, 64); return err == nil }
	named := slices.Contains(cells, opts.Label) && opts.Label != "" && !isNumber(opts.Label)
	header := opts.Header == HeaderPresent || opts.Header == HeaderAuto && (named || !slices.ContainsFunc(cells, isNumber))
	if header {
		t.names = cells
	}
	t.width = len(cells)
	t.label = t.width - 1
	if opts.Label != "" {
		if t.label, err = t.column(opts.Label); err != nil {
			return false, err
		}
	}
	t.skip = make([]bool, t.width)
	left := t.width
	for _, name := range opts.Skip {
		c, err := t.column(name)
		if err != nil {
			return false, err
		}
		if c == t.label {
			return false, fmt.Errorf("column %q is the label: it cannot be skipped", name)
		}
		if !t.skip[c] {
			t.skip[c] = true
			left--
		}
	}
	if left < 2 {
		hint := ""
		for _, comma := range []string{";", "\t", "|", ","} {
			if t.width == 1 && strings.Contains(cells[0], comma) {
				hint = fmt.Sprintf("; is the delimiter %q?", comma)
			}
		}
		return false, fmt.Errorf("%d columns are left to read: want a label and at least one number beside it%s", left, hint)
	}
	return !header, nil
}

// column finds a column by its name or its number.
func (t *table) column(name string) (int, error) {
	if c := slices.Index(t.names, name); c >= 0 {
		return c, nil
	}
	if c, err := strconv.Atoi(name); err == nil && c >= 1 && c <= t.width {
		return c - 1, nil
	}
	want := fmt.Sprintf("a number from 1 to %d", t.width)
	if t.names != nil {
		want = fmt.Sprintf("one of %s, or a number from 1 to %d", someOf(t.names), t.width)
	}
	return 0, fmt.Errorf("there is no column %q: want %s", name, want)
}

// someOf lists the first of some names.
func someOf(names []string) string {
	shown := names[:min(len(names), 10)]
	list := strings.Join(shown, ", ")
	if len(shown) < len(names) {
		list += ", ..."
	}
	return list
}

// fault says where the row that was read last is wrong.
func (t *table) fault(column int, msg string) error {
	line, _ := t.in.FieldPos(column)
	name := ""
	if t.names != nil {
		name = fmt.Sprintf(" (%s)", t.names[column])
	}
	return fmt.Errorf("line %d, column %d%s: %s", line, column+1, name, msg)
}

// parseCell reads a finite number, or says what is wrong.
func parseCell(cell string) (x float32, fault string) {
	v, err := strconv.ParseFloat(cell, 32)
	switch {
	case errors.Is(err, strconv.ErrRange):
		return 0, fmt.Sprintf("%s is too large for f32", clipped(cell))
	case err != nil:
		return 0, fmt.Sprintf("%q is not a number", clipped(cell))
	case math.IsNaN(v) || math.IsInf(v, 0):
		return 0, fmt.Sprintf("%q is no finite number", clipped(cell))
	}
	return float32(v), ""
}

// clipped shortens a cell for a message.
func clipped(cell string) string {
	const most = 40
	if len(cell) <= most {
		return cell
	}
	return strings.ToValidUTF8(cell[:most], "") + "..."
}

// targets gathers the cells of the label's column.
type targets interface {
	add(cell string, fault func(msg string) error) error
	dataset(x *value.Tensor) (*TensorDataset, error)
}

// numbers are the targets of regression.
type numbers struct{ y []float32 }

func (t *numbers) add(cell string, fault func(msg string) error) error {
	v, msg := parseCell(cell)
	if msg != "" {
		return fault(msg)
	}
	t.y = append(t.y, v)
	return nil
}

func (t *numbers) dataset(x *value.Tensor) (*TensorDataset, error) {
	y, err := value.FromSlice(t.y, len(t.y), 1)
	if err != nil {
		return nil, err
	}
	return NewTensorDataset(x, y)
}

// classes are targets that name a class, numbered in the order in which they are met.
type classes struct {
	want      []string // the classes, if they are given
	seen      map[string]int
	lab       []int64
	words     int   // rows of which the label is not a number
	wordFirst bool  // the first row is one
	fraction  error // what is wrong with the first number that is not whole
}

func (t *classes) add(cell string, fault func(msg string) error) error {
	i, ok := t.seen[cell]
	if !ok {
		if len(t.want) > 0 && t.given(cell) < 0 {
			return fault(fmt.Sprintf("%q is none of the classes: want %s", clipped(cell), someOf(t.want)))
		}
		i = len(t.seen)
		t.seen[strings.Clone(cell)] = i
	}
	v, isNumber := labelNumber(cell)
	switch {
	case !isNumber:
		t.words++
		t.wordFirst = t.wordFirst || len(t.lab) == 0
	case v != math.Trunc(v) && t.fraction == nil:
		t.fraction = fault(fmt.Sprintf("%s is no class: want names or whole numbers, or take the targets for numbers to predict (regression)", clipped(cell)))
	}
	t.lab = append(t.lab, int64(i))
	return nil
}

// given returns the number of a label among the classes that are given, -1 if it is none of them. Numbers count by what they are worth.
func (t *classes) given(cell string) int {
	if i := slices.Index(t.want, cell); i >= 0 {
		return i
	}
	v, ok := labelNumber(cell)
	return slices.IndexFunc(t.want, func(name string) bool {
		w, isNumber := labelNumber(name)
		return ok && isNumber && v == w
	})
}

// labelNumber returns the number that a label is.
func labelNumber(cell string) (v float64, ok bool) {
	v, err := strconv.ParseFloat(cell, 64)
	return v, err == nil && !math.IsNaN(v) && !math.IsInf(v, 0)
}

func (t *classes) dataset(x *value.Tensor) (*TensorDataset, error) {
	if len(t.want) == 0 && t.words == 0 && t.fraction != nil {
		return nil, t.fraction
	}
	names := slices.Sorted(maps.Keys(t.seen))
	place := make([]int64, len(names)) // by the order in which labels were met
	switch {
	case len(t.want) > 0:
		for _, name := range names {
			place[t.seen[name]] = int64(t.given(name))
		}
		names = t.want
	case t.words > 0:
		for i, name := range names {
			place[t.seen[name]] = int64(i)
		}
	default:
		worth := func(name string) float64 { v, _ := labelNumber(name); return v }
		slices.SortStableFunc(names, func(a, b string) int { return cmp.Compare(worth(a), worth(b)) })
		kept := names[:0]
		for _, name := range names { // 1 and 1.0 are one class
			if len(kept) == 0 || worth(kept[len(kept)-1]) != worth(name) {
				kept = append(kept, name)
			}
			place[t.seen[name]] = int64(len(kept) - 1)
		}
		names = kept
	}
	for i, l := range t.lab {
		t.lab[i] = place[l]
	}
	y, err := value.FromSlice(t.lab, len(t.lab))
	if err != nil {
		return nil, err
	}
	return NewClassified(x, y, names)
}
