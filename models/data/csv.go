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
	"unicode"
	"unicode/utf8"

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

// The zero Header decides by the row. It holds names
//
//   - if one of them is the label's, or that of a column to skip;
//   - if none of its cells is a number;
//   - if it is no example, since a cell that must be a number is a word: it begins with a letter, and is none that stands for a missing
//     value, such as NA.
//
// Numbers may be names too, so it is an error that says so, ErrHeader, where all of the row fits an example but its label: because it is
// a word and all others are numbers, or because no other row has it though others come again and again.
const (
	HeaderAuto Header = iota
	HeaderPresent
	HeaderAbsent
)

// ErrHeader is in the errors of ReadCSV where the first row may be a header or an example, and HeaderAuto was given.
var ErrHeader = errors.New("say whether it is one")

// ReadCSV reads a table of numbers with a column of targets (RFC 4180). The examples are its rows, f32[F], with the F other columns in their
// order. Targets are i64[] classes: labels that are all whole numbers are ordered by what they are worth and others by their bytes, and the
// number of a class is its place in that order, or in Classes where these are given. With Regression targets are f32[1].
//
// Numbers are decimal. They are kept as f64, of which Standardization and Normalize compute, and f32 in examples. Labels are compared exactly,
// however many digits they have. Space around cells does not count, and neither do empty lines. Lines may end in CR, LF or both. Every cell
// must be there, and be a finite number in f32 if it is no label: an error names the line, the column and the cell.
//
// The input need not be trusted: memory grows with the bytes that come, to at most value.ReadLimit, and rows of more than 16 MiB are errors.
func ReadCSV(r io.Reader, opts CSVOptions) (*TensorDataset, error) {
	if r == nil {
		return nil, errors.New("csv: the reader is nil")
	}
	d, err := readCSV(r, opts)
	if err != nil {
		return nil, fmt.Errorf("csv: %w", err)
	}
	return d, nil
}

// OpenCSV reads the CSV file of that name in fsys, as ReadCSV does.
func OpenCSV(fsys fs.FS, name string, opts CSVOptions) (*TensorDataset, error) {
	if fsys == nil {
		return nil, errors.New("csv: the file system is nil")
	}
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
	lines  *lines
	in     *csv.Reader
	memory *allowance
	names  []string // of the columns; nil without a header
	width  int      // columns
	label  int      // the column of the targets
	skip   []bool   // by column
}

func readCSV(r io.Reader, opts CSVOptions) (*TensorDataset, error) {
	t, err := newTable(r, opts)
	if err != nil {
		return nil, err
	}
	row, err := t.read()
	if errors.Is(err, io.EOF) {
		return nil, errors.New("it is empty: want rows of numbers and a label")
	}
	if err != nil {
		return nil, err
	}
	example, err := t.begin(row, opts)
	if err != nil {
		return nil, err
	}
	var targets targets = &numbers{}
	if !opts.Regression {
		targets = &classes{seen: map[string]int{}, want: opts.Classes, memory: t.memory}
	}
	var x floats
	n := 0
	if example {
		if err := t.add(row, &x, targets); err != nil {
			if opts.Header == HeaderAuto {
				err = fmt.Errorf("%w; line 1 may be a header: %w", err, ErrHeader)
			}
			return nil, err
		}
		n++
	}
	for {
		row, err := t.read()
		if errors.Is(err, io.EOF) {
			break
		}
		if err == nil {
			err = t.add(row, &x, targets)
		}
		if err != nil {
			return nil, err
		}
		n++
	}
	if n == 0 {
		return nil, errors.New("it has a header and no rows")
	}
	if c, ok := targets.(*classes); ok && example && opts.Header == HeaderAuto {
		if why := c.oddFirst(); why != "" {
			return nil, fmt.Errorf("line 1 may be a header, since %s: %w", why, ErrHeader)
		}
	}
	inputs, err := x.tensor(n)
	if err != nil {
		return nil, err
	}
	d, err := targets.dataset(inputs)
	if err != nil {
		return nil, err
	}
	d.rounded = true
	return d, nil
}

// newTable looks at the first bytes.
func newTable(r io.Reader, opts CSVOptions) (*table, error) {
	buffered := bufio.NewReader(r)
	if mark, _ := buffered.Peek(3); string(mark) == "\ufeff" {
		_, _ = buffered.Discard(3)
	} else if len(mark) > 1 && (string(mark[:2]) == "\xff\xfe" || string(mark[:2]) == "\xfe\xff") {
		return nil, errors.New("its text is UTF-16: want UTF-8")
	}
	t := &table{memory: newAllowance(), lines: &lines{in: buffered}}
	t.lines.limit = min(maxRow, t.memory.all/128) // a cell of one byte takes 40 in memory
	t.in = csv.NewReader(t.lines)
	t.in.Comma = cmp.Or(opts.Comma, ',')
	t.in.TrimLeadingSpace = opts.Comma != '\t' && opts.Comma != ' '
	t.in.FieldsPerRecord = -1 // the errors here say more
	t.in.ReuseRecord = true
	return t, nil
}

// read reads a row.
func (t *table) read() ([]string, error) {
	t.lines.left = t.lines.limit
	return t.in.Read()
}

// add takes a row as an example.
func (t *table) add(row []string, x *floats, targets targets) error {
	if len(row) != t.width {
		line, _ := t.in.FieldPos(0)
		return fmt.Errorf("line %d has %d cells: want %d, as in the first row", line, len(row), t.width)
	}
	if err := t.memory.take(8*t.width+8, "its rows"); err != nil {
		line, _ := t.in.FieldPos(0)
		return fmt.Errorf("line %d: %w", line, err)
	}
	for c, cell := range row {
		cell = strings.TrimSpace(cell)
		switch {
		case t.skip[c]:
		case cell == "":
			return t.fault(c, "the cell is empty: every row needs a value here")
		case c == t.label:
			if err := targets.add(cell, func(msg string) error { return t.fault(c, msg) }); err != nil {
				return err
			}
		default:
			v, msg := parseCell(cell)
			if msg != "" {
				return t.fault(c, msg)
			}
			x.add(v)
		}
	}
	return nil
}

// begin looks at the first row and reports whether it is an example.
func (t *table) begin(row []string, opts CSVOptions) (example bool, err error) {
	cells := make([]string, len(row))
	for c := range cells {
		cells[c] = strings.TrimSpace(strings.Clone(row[c]))
	}
	t.width = len(cells)
	header := opts.Header == HeaderPresent || opts.Header == HeaderAuto && isHeader(cells, opts)
	if header {
		t.names = cells
	}
	t.label = t.width - 1
	if header && opts.Label == "" && cells[t.label] == "" {
		return false, errors.New("the last column has no name, as of lines that end in a delimiter: say which column is the label")
	}
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

// isHeader is the rule of HeaderAuto for a first row.
func isHeader(cells []string, opts CSVOptions) bool {
	number := func(cell string) bool { _, ok := parseDecimal(cell); return ok }
	// free are the columns whose cells need not be numbers.
	free := make([]bool, len(cells)+1)
	byName := false
	mark := func(name string) {
		if c, err := strconv.Atoi(name); err == nil {
			free[min(max(c, 1), len(cells)+1)-1] = true
		} else {
			byName = byName || name != "" && slices.Contains(cells, name)
		}
	}
	if opts.Label == "" {
		free[len(cells)-1] = !opts.Regression
	} else if mark(opts.Label); opts.Regression {
		free = make([]bool, len(cells)+1)
	}
	for _, name := range opts.Skip {
		mark(name)
	}
	if byName || !slices.ContainsFunc(cells, func(cell string) bool { return number(cell) || isMissing(cell) }) {
		return true
	}
	for c, cell := range cells {
		first, _ := utf8.DecodeRuneInString(cell)
		if !free[c] && (unicode.IsLetter(first) || first == '_') && !isMissing(cell) {
			return true
		}
	}
	return false
}

// isMissing reports whether a cell is one of the words that programs write for a value that is missing or no number.
func isMissing(cell string) bool {
	switch strings.ToLower(strings.TrimLeft(cell, "+-")) {
	case "na", "n/a", "nan", "null", "none", "inf", "infinity":
		return true
	}
	return false
}

// column finds a column by its name or its number.
func (t *table) column(name string) (int, error) {
	if c := slices.Index(t.names, name); c >= 0 {
		if again := slices.Index(t.names[c+1:], name); again >= 0 {
			return 0, fmt.Errorf("columns %d and %d are both called %q: give a number", c+1, c+again+2, name)
		}
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

// parseCell reads a number that is finite in f32, or says what is wrong.
func parseCell(cell string) (x float64, fault string) {
	x, err := strconv.ParseFloat(cell, 64)
	odd := strings.Trim(cell, "0123456789.+-eE") != "" || strings.Contains(cell, "_") // what else strconv takes
	switch {
	case err == nil && (math.IsNaN(x) || math.IsInf(x, 0)):
		return 0, fmt.Sprintf("%q is not a finite number", clipped(cell))
	case odd || err != nil && !errors.Is(err, strconv.ErrRange):
		return 0, fmt.Sprintf("%q is not a number", clipped(cell))
	case err != nil || math.IsInf(float64(float32(x)), 0):
		return 0, fmt.Sprintf("%s is too large for f32", clipped(cell))
	}
	return x, ""
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
	if _, msg := parseCell(cell); msg != "" {
		return fault(msg)
	}
	y, _ := strconv.ParseFloat(cell, 32)
	t.y = append(t.y, float32(y))
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
	want     []string // the classes, if they are given
	memory   *allowance
	seen     map[string]int
	lab      []int64
	isWord   []bool // by number: the label is not a number
	words    int    // rows of such labels
	fraction error  // what is wrong with the first number that is not whole
}

func (t *classes) add(cell string, fault func(msg string) error) error {
	i, ok := t.seen[cell]
	if !ok {
		switch {
		case !utf8.ValidString(cell):
			return fault(fmt.Sprintf("%q is not UTF-8", clipped(cell)))
		case len(t.want) > 0 && t.given(cell) < 0:
			return fault(fmt.Sprintf("%q is none of the classes: want %s", clipped(cell), someOf(t.want)))
		}
		const entry = 128 // bytes of a map, and of what is made of it
		if err := t.memory.take(len(cell)+entry, "its classes"); err != nil {
			return fault(err.Error())
		}
		i = len(t.seen)
		t.seen[strings.Clone(cell)] = i
		v, isNumber := parseDecimal(cell)
		if t.isWord = append(t.isWord, !isNumber); isNumber && !v.whole() && t.fraction == nil {
			t.fraction = fault(fmt.Sprintf("%s is no class: want names or whole numbers, or take the targets for numbers to predict (regression)", clipped(cell)))
		}
	}
	if t.isWord[i] {
		t.words++
	}
	t.lab = append(t.lab, int64(i))
	return nil
}

// oddFirst says why the label of the first row may be the name of its column, "" if it hardly is.
func (t *classes) oddFirst() string {
	var name string
	for cell, i := range t.seen {
		if i == 0 {
			name = cell
		}
	}
	others := len(t.lab) - 1
	switch {
	case !t.isWord[0] || len(t.want) > 0 || others == 0 || slices.Contains(t.lab[1:], 0):
		return ""
	case t.words == 1:
		return "its label alone is not a number"
	case 2*(len(t.seen)-1) <= others:
		return fmt.Sprintf("no other row has the label %q", clipped(name))
	}
	return ""
}

// given returns the number of a label among the classes that are given, -1 if it is none of them. Numbers count by what they are worth.
func (t *classes) given(cell string) int {
	if i := slices.Index(t.want, cell); i >= 0 {
		return i
	}
	return slices.IndexFunc(t.want, func(name string) bool { return SameNumber(cell, name) })
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
		worth := func(name string) decimal { v, _ := parseDecimal(name); return v }
		slices.SortStableFunc(names, func(a, b string) int { return worth(a).compare(worth(b)) })
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
