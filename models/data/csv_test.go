package data

import (
	"bytes"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
	"testing/iotest"

	"github.com/google/go-cmp/cmp"

	"github.com/graphrun/graphrun/graph/value"
)

// whole returns all examples of a dataset, stacked.
func whole(t testing.TB, d Dataset) (x, y *value.Tensor) {
	t.Helper()
	l := newLoader(t, d, LoaderOptions{BatchSize: d.Len()})
	for b, err := range l.Epoch(0) {
		if err != nil {
			t.Fatal(err)
		}
		return b.X, b.Y
	}
	t.Fatal("no batch")
	return nil, nil
}

func TestReadCSV(t *testing.T) {
	for _, c := range []struct {
		name, text string
		opts       CSVOptions
		x, y       string
		classes    string
	}{
		{"header", "a,b,kind\n1,2.5,cat\n-3,4e1,ant\n5,6,cat\n", CSVOptions{}, "f32[3,2] [[1 2.5] [-3 40] [5 6]]", "i64[3] [1 0 1]", "ant cat"},
		{"no header", "1,2,cat\n3,4,ant\n", CSVOptions{}, "f32[2,2] [[1 2] [3 4]]", "i64[2] [1 0]", "ant cat"},
		{"no line break at the end", "1,2,0\n3,4,1", CSVOptions{}, "f32[2,2] [[1 2] [3 4]]", "i64[2] [0 1]", "0 1"},
		{"label by name", "label,a,b\n7,1,2\n3,3,4\n", CSVOptions{Label: "label"}, "f32[2,2] [[1 2] [3 4]]", "i64[2] [1 0]", "3 7"},
		{"label by number", "7,1,2\n3,3,4\n", CSVOptions{Label: "1"}, "f32[2,2] [[1 2] [3 4]]", "i64[2] [1 0]", "3 7"},
		{"a name before a number", "3,2,1\n7,8,9\n", CSVOptions{Label: "3", Header: HeaderPresent}, "f32[1,2] [[8 9]]", "i64[1] [0]", "7"},
		{"numbers in their order", "0,10\n0,9\n0,-2\n0,10\n", CSVOptions{}, "f32[4,1] [[0] [0] [0] [0]]", "i64[4] [2 1 0 2]", "-2 9 10"},
		{"numbers that are the same", "0,1.0\n0,2\n0,1\n0,2e0\n", CSVOptions{}, "f32[4,1] [[0] [0] [0] [0]]", "i64[4] [0 1 0 1]", "1 2"},
		{"numbers among words", "0,1.5\n0,b\n0,10\n", CSVOptions{}, "f32[3,1] [[0] [0] [0]]", "i64[3] [0 2 1]", "1.5 10 b"},
		{"nan is a word", "0,nan\n0,a\n", CSVOptions{}, "f32[2,1] [[0] [0]]", "i64[2] [1 0]", "a nan"},
		{"semicolons", "a;b;kind\n1;2;x\n", CSVOptions{Comma: ';'}, "f32[1,2] [[1 2]]", "i64[1] [0]", "x"},
		{"tabs", "1\t 2\tx\n", CSVOptions{Comma: '\t'}, "f32[1,2] [[1 2]]", "i64[1] [0]", "x"},
		{"space, empty lines, CRLF, a mark", "\ufeffa, b ,kind\r\n\r\n 1 ,\t2, x y \r\n", CSVOptions{Label: "kind"}, "f32[1,2] [[1 2]]", "i64[1] [0]", "x y"},
		{"quotes", "\"1\", \"2\",\"x, \"\"y\"\"\n z\"\n", CSVOptions{}, "f32[1,2] [[1 2]]", "i64[1] [0]", "x, \"y\"\n z"},
		{"skipped", "id,a,name,kind\nr1,1,Bob,x\nr2,2,Eve,y\n", CSVOptions{Skip: []string{"id", "3", "id"}}, "f32[2,1] [[1] [2]]", "i64[2] [0 1]", "x y"},
		{"skipped cells may be empty", "id,a,kind\n,1,x\n", CSVOptions{Skip: []string{"id"}}, "f32[1,1] [[1]]", "i64[1] [0]", "x"},
		{"given classes", "0,b\n0,d\n", CSVOptions{Classes: []string{"d", "c", "b"}}, "f32[2,1] [[0] [0]]", "i64[2] [2 0]", "d c b"},
		{"given numbers", "0,1.0\n0,2\n0,0.5\n", CSVOptions{Classes: []string{"2", "1", "0.5"}}, "f32[3,1] [[0] [0] [0]]", "i64[3] [1 0 2]", "2 1 0.5"},
		{"regression", "a,price\n1,2.5\n2,1e3\n", CSVOptions{Regression: true}, "f32[2,1] [[1] [2]]", "f32[2,1] [[2.5] [1000]]", ""},
		{"a header of numbers", "1,2,3\n4,5,6\n", CSVOptions{Header: HeaderPresent}, "f32[1,2] [[4 5]]", "i64[1] [0]", "6"},
		{"one example of a word", "1,2,x\n", CSVOptions{}, "f32[1,2] [[1 2]]", "i64[1] [0]", "x"},
		{"a header of numbers and a word", "0,b,label\n1,2,x\n3,4,y\n", CSVOptions{}, "f32[2,2] [[1 2] [3 4]]", "i64[2] [0 1]", "x y"},
		{"a header of years", "city,2019,2020\n7,2,0\n8,4,1\n", CSVOptions{}, "f32[2,2] [[7 2] [8 4]]", "i64[2] [0 1]", "0 1"},
		{"a header told by a column to skip", "id,1,2\n7,2,0\n8,4,1\n", CSVOptions{Skip: []string{"id"}}, "f32[2,1] [[2] [4]]", "i64[2] [0 1]", "0 1"},
		{"a header told by the label to predict", "0,1,price\n7,2,5\n", CSVOptions{Regression: true}, "f32[1,2] [[7 2]]", "f32[1,1] [[5]]", ""},
		{"a column to skip may hold words", "Bob,1,2,x\nEve,3,4,x\n", CSVOptions{Skip: []string{"1"}}, "f32[2,2] [[1 2] [3 4]]", "i64[2] [0 0]", "x"},
		{"a first label that comes once, as others", "0,1,cat\n1,2,dog\n3,4,cow\n3,4,cow\n", CSVOptions{}, "f32[4,2] [[0 1] [1 2] [3 4] [3 4]]", "i64[4] [0 2 1 1]", "cat cow dog"},
		{"a first label that comes again", "0,1,ham\n1,2,spam\n3,4,ham\n", CSVOptions{}, "f32[3,2] [[0 1] [1 2] [3 4]]", "i64[3] [0 1 0]", "ham spam"},
		{"a header of numbers, said to be one", "0,1,label\n1,2,ham\n3,4,spam\n3,4,spam\n3,4,spam\n", CSVOptions{Header: HeaderPresent}, "f32[4,2] [[1 2] [3 4] [3 4] [3 4]]", "i64[4] [0 1 1 1]", "ham spam"},
		// 2^53, 2^53+1 and 2^53+2, which are two numbers in f64.
		{"large labels", "0,9007199254740993\n0,9007199254740992\n0,9007199254740994\n", CSVOptions{}, "f32[3,1] [[0] [0] [0]]", "i64[3] [1 0 2]", "9007199254740992 9007199254740993 9007199254740994"},
		{"labels without end", "0,1e400\n0,-1e-400\n0,9e399\n", CSVOptions{Classes: []string{"1e400", "9e399", "-1e-400"}}, "f32[3,1] [[0] [0] [0]]", "i64[3] [0 2 1]", "1e400 9e399 -1e-400"},
		{"large given numbers", "0,9007199254740993.0\n", CSVOptions{Classes: []string{"9007199254740992", "9007199254740993"}}, "f32[1,1] [[0]]", "i64[1] [1]", "9007199254740992 9007199254740993"},
		{"zeros", "0,-0\n0,0.00\n0,1\n", CSVOptions{}, "f32[3,1] [[0] [0] [0]]", "i64[3] [0 0 1]", "-0 1"},
		{"lines that end in CR", "a,b,kind\r1,2,x\r\r3,4,\"y\rz\"\r", CSVOptions{}, "f32[2,2] [[1 2] [3 4]]", "i64[2] [0 1]", "x y\nz"},
		{"names of an empty column", "a,,kind\n1,2,x\n", CSVOptions{Label: "kind"}, "f32[1,2] [[1 2]]", "i64[1] [0]", "x"},
		{"numbers in quotes, signs, points", "\"+1\",.5,5.,x\n-0,1E2,1e-2,x\n", CSVOptions{}, "f32[2,3] [[1 0.5 5] [-0 100 0.01]]", "i64[2] [0 0]", "x"},
		{"f32 at its ends", "3.4028235e38,1e-46,x\n", CSVOptions{}, "f32[1,2] [[3.4028235e+38 0]]", "i64[1] [0]", "x"},
		{"first label a word, and it is meant", "1,none\n2,3\n", CSVOptions{Header: HeaderAbsent}, "f32[2,1] [[1] [2]]", "i64[2] [1 0]", "3 none"},
	} {
		d, err := ReadCSV(iotest.OneByteReader(strings.NewReader(c.text)), c.opts)
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		x, y := whole(t, d)
		if x.String() != c.x || y.String() != c.y || strings.Join(d.Classes(), " ") != c.classes {
			t.Errorf("%s: %v, %v, %q", c.name, x, y, d.Classes())
		}
	}
}

func TestReadCSVErrors(t *testing.T) {
	for _, c := range []struct {
		name, text string
		opts       CSVOptions
		want       string
	}{
		{"nothing", "", CSVOptions{}, "it is empty: want rows of numbers and a label"},
		{"empty lines", "\n\n", CSVOptions{}, "it is empty: want rows of numbers and a label"},
		{"a mark", "\ufeff", CSVOptions{}, "it is empty: want rows of numbers and a label"},
		{"header alone", "a,b\n", CSVOptions{}, "it has a header and no rows"},
		{"one column", "a\n1\n", CSVOptions{}, "1 columns are left to read: want a label and at least one number beside it"},
		{"another delimiter", "a;b;c\n1;2;3\n", CSVOptions{}, `1 columns are left to read: want a label and at least one number beside it; is the delimiter ";"?`},
		{"all skipped", "a,b,c\n1,2,3\n", CSVOptions{Skip: []string{"a", "b"}}, "1 columns are left to read: want a label and at least one number beside it"},
		{"label skipped", "a,b,c\n1,2,3\n", CSVOptions{Skip: []string{"c"}}, `column "c" is the label: it cannot be skipped`},
		{"no such label", "a,b\n1,2\n", CSVOptions{Label: "c"}, `there is no column "c": want one of a, b, or a number from 1 to 2`},
		{"no such number", "1,2\n", CSVOptions{Label: "0"}, `there is no column "0": want a number from 1 to 2`},
		{"no such column", "a,b\n1,2\n", CSVOptions{Skip: []string{"3"}}, `there is no column "3": want one of a, b, or a number from 1 to 2`},
		{"many columns", "a,b,c,d,e,f,g,h,i,j,k\n", CSVOptions{Label: "x"}, `there is no column "x": want one of a, b, c, d, e, f, g, h, i, j, ..., or a number from 1 to 11`},
		{"short", "a,b,c\n1,2,x\n\n3,x\n", CSVOptions{}, "line 4 has 2 cells: want 3, as in the first row"},
		{"long", "1,2,x\n1,2,x,y\n", CSVOptions{}, "line 2 has 4 cells: want 3, as in the first row"},
		{"missing", "a,b,kind\n1,2,x\n3, ,y\n", CSVOptions{}, "line 3, column 2 (b): the cell is empty: every row needs a value here"},
		{"missing label", "1,2,x\n3,4,\n", CSVOptions{}, "line 2, column 3: the cell is empty: every row needs a value here"},
		{"no number", "a,b,kind\n1,2,x\n3,red,y\n", CSVOptions{}, `line 3, column 2 (b): "red" is not a number`},
		{"no number after a cell of two lines", "1,2,\"x\ny\"\n3,NA,y\n", CSVOptions{}, `line 3, column 2: "NA" is not a number`},
		{"long text", "1,2,x\n" + strings.Repeat("ä", 100) + ",2,x\n", CSVOptions{}, `line 2, column 1: "` + strings.Repeat("ä", 20) + `..." is not a number`},
		{"decimal commas", "1;2;x\n1,5;2;x\n", CSVOptions{Comma: ';'}, `line 2, column 1: "1,5" is not a number`},
		{"NaN", "1,2,x\nNaN,2,x\n", CSVOptions{}, `line 2, column 1: "NaN" is not a finite number`},
		{"infinity", "1,2,x\n1,-inf,x\n", CSVOptions{}, `line 2, column 2: "-inf" is not a finite number`},
		{"too large", "1,2,x\n1,1e39,x\n", CSVOptions{}, "line 2, column 2: 1e39 is too large for f32"},
		{"fractions as classes", "a,price\n1,2\n2,2.5\n", CSVOptions{}, "line 3, column 2 (price): 2.5 is no class: want names or whole numbers, or take the targets for numbers to predict (regression)"},
		{"another class", "a,kind\n1,x\n2,y\n", CSVOptions{Classes: []string{"x", "z"}}, `line 3, column 2 (kind): "y" is none of the classes: want x, z`},
		{"words as numbers", "a,price\n1,dear\n", CSVOptions{Regression: true}, `line 2, column 2 (price): "dear" is not a number`},
		{"a header that may be none", "0,1,label\n1,2,3\n4,5,6\n", CSVOptions{}, "line 1 may be a header, since its label alone is not a number: say whether it is one"},
		{"a header that may be none, among words", "0,1,label\n1,2,ham\n4,5,spam\n4,5,spam\n4,5,ham\n", CSVOptions{}, "line 1 may be a header, since no other row has the label \"label\": say whether it is one"},
		{"a header of numbers behind an index", ",0,1,label\n0,2,3,ham\n1,5,6,ham\n", CSVOptions{}, "line 1, column 1: the cell is empty: every row needs a value here; line 1 may be a header: say whether it is one"},
		{"a header, and classes are given", "0,1,label\n1,2,ham\n", CSVOptions{Classes: []string{"ham"}}, "line 1, column 3: \"label\" is none of the classes: want ham; line 1 may be a header: say whether it is one"},
		{"a typing error in the first row", "1,2O,x\n3,4,y\n", CSVOptions{}, "line 1, column 2: \"2O\" is not a number; line 1 may be a header: say whether it is one"},
		{"a missing value in the first row", "1,NA,x\n3,4,y\n", CSVOptions{}, "line 1, column 2: \"NA\" is not a number; line 1 may be a header: say whether it is one"},
		{"a name twice", "a,a,kind\n1,2,x\n", CSVOptions{Label: "a"}, "columns 1 and 2 are both called \"a\": give a number"},
		{"hexadecimal", "1,2,x\n0x1p4,2,x\n", CSVOptions{}, `line 2, column 1: "0x1p4" is not a number`},
		{"underscores", "1,2,x\n1_000,2,x\n", CSVOptions{}, `line 2, column 1: "1_000" is not a number`},
		{"thousands", "1,2,x\n\"1,000\",2,x\n", CSVOptions{}, `line 2, column 1: "1,000" is not a number`},
		{"far too large", "1,2,x\n1e400,2,x\n", CSVOptions{}, "line 2, column 1: 1e400 is too large for f32"},
		{"a comma at the end", "a,b,kind,\n1,2,x,\n", CSVOptions{}, "the last column has no name, as of lines that end in a delimiter: say which column is the label"},
		{"a comma at the end, and the label is named", "a,b,kind,\n1,2,x,\n", CSVOptions{Label: "kind"}, "line 2, column 4 (): the cell is empty: every row needs a value here"},
		{"UTF-16", "\xff\xfea\x00,\x00", CSVOptions{}, "its text is UTF-16: want UTF-8"},
		{"Latin-1", "1,2,x\n1,2,M\xfcller\n", CSVOptions{}, "line 2, column 3: \"M\\xfcller\" is not UTF-8"},
		{"a bare quote", "1,2,x\n1,2\",x\n", CSVOptions{}, `parse error on line 2, column 4: bare " in non-quoted-field`},
		{"the delimiter is a quote", "1,2\n", CSVOptions{Comma: '"'}, "csv: invalid field or comment delimiter"},
	} {
		d, err := ReadCSV(strings.NewReader(c.text), c.opts)
		if err == nil || err.Error() != "csv: "+c.want || d != nil {
			t.Errorf("%s: %v, %v\nwant csv: %s", c.name, d, err, c.want)
		}
	}
	broken := iotest.ErrReader(fmt.Errorf("the disk is gone"))
	if _, err := ReadCSV(broken, CSVOptions{}); err == nil || err.Error() != "csv: the disk is gone" {
		t.Error(err)
	}
}

func TestCSVFiles(t *testing.T) {
	const text = "1,2,x\n3,4,y\n"
	path := filepath.Join(t.TempDir(), "a.csv")
	if err := os.WriteFile(path, []byte(text), 0o666); err != nil {
		t.Fatal(err)
	}
	fsys := fstest.MapFS{"a.csv": {Data: []byte(text)}, "bad.csv": {Data: []byte("1,2\n3\n")}}
	for _, open := range []func() (*TensorDataset, error){
		func() (*TensorDataset, error) { return OpenCSV(fsys, "a.csv", CSVOptions{}) },
		func() (*TensorDataset, error) { return ReadCSVFile(path, CSVOptions{}) },
	} {
		d, err := open()
		if err != nil || d.Len() != 2 || !slices.Equal(d.Classes(), []string{"x", "y"}) {
			t.Errorf("%v, %v", d, err)
		}
	}
	if _, err := OpenCSV(fsys, "bad.csv", CSVOptions{}); err == nil || err.Error() != "bad.csv: line 2 has 1 cells: want 2, as in the first row" {
		t.Error(err)
	}
	if _, err := OpenCSV(fsys, "none.csv", CSVOptions{}); !os.IsNotExist(err) {
		t.Error(err)
	}
	if _, err := ReadCSVFile(path+"x", CSVOptions{}); !os.IsNotExist(err) {
		t.Error(err)
	}
}

// Columns are not rounded before they are standardized: a quarter of an hour has 900 seconds, of which f32 tells 8 apart at this time.
func TestPreciseColumns(t *testing.T) {
	const start = 1_700_000_000
	text := "time,kind\n"
	for i := range 900 {
		text += fmt.Sprintf("%d,%d\n", start+i, i/450)
	}
	d, err := ReadCSV(strings.NewReader(text), CSVOptions{})
	if err != nil {
		t.Fatal(err)
	}
	wide, narrow := make([]float64, 900), make([]float32, 900)
	for i := range wide {
		wide[i] = float64(start + i)
	}
	in := npz(t, arrays{"x": tensor(t, wide, 900, 1), "y": tensor(t, make([]int64, 900), 900)})
	fromNPZ, _, err := ReadNPZ(bytes.NewReader(in), int64(len(in)), NPZOptions{})
	if err != nil {
		t.Fatal(err)
	}
	for name, d := range map[string]Labelled{"table": d, "array": fromNPZ} {
		norm, err := Standardization(d)
		// The variance of 0 to n-1 is (n*n-1)/12.
		if std := math.Sqrt((900*900 - 1) / 12.0); err != nil || norm.Mean[0] != start+449.5 || math.Abs(norm.Std[0]-std) > 1e-9*std {
			t.Fatalf("%s: %v, %v", name, norm, err)
		}
		for i := range narrow {
			narrow[i] = float32((float64(i) - 449.5) / norm.Std[0])
		}
		all, err := NewSubset(d, slices.Collect(func(yield func(int) bool) {
			for i := 0; i < 900 && yield(i); i++ {
			}
		}))
		if err != nil {
			t.Fatal(err)
		}
		normalized, err := Normalize(all, *norm)
		if err != nil {
			t.Fatal(err)
		}
		named, err := Relabel(d, []string{"early", "late"}, []int{0, 1})
		if err != nil {
			t.Fatal(err)
		}
		relabelled, err := Normalize(named, *norm)
		if err != nil {
			t.Fatal(err)
		}
		twice, err := Normalize(normalized, Normalization{[]float64{0}, []float64{1}})
		if err != nil {
			t.Fatal(err)
		}
		for way, l := range map[string]*Loader{
			"loader":     newLoader(t, all, LoaderOptions{BatchSize: 900, Normalize: norm, Workers: 2}),
			"normalized": newLoader(t, normalized, LoaderOptions{BatchSize: 900, Reuse: true}),
			"relabelled": newLoader(t, relabelled, LoaderOptions{BatchSize: 900}),
			"twice":      newLoader(t, twice, LoaderOptions{BatchSize: 900}),
		} {
			for b, err := range l.Epoch(0) {
				if err != nil || !b.X.Equal(tensor(t, narrow, 900, 1)) {
					t.Errorf("%s, %s: %v, want %v", name, way, b.X, narrow[:3])
				}
			}
		}
		// Examples alone are what a model takes.
		if x, _, err := d.Item(1); err != nil || !x.Equal(tensor(t, []float32{start}, 1)) {
			t.Errorf("%s: %v, %v", name, x, err)
		}
		if again, err := Standardization(normalized); err != nil || math.Abs(again.Mean[0]) > 1e-12 || math.Abs(again.Std[0]-1) > 1e-12 {
			t.Errorf("%s: standardized once more %v, %v", name, again, err)
		}
	}
}

// The means are well known.
func TestIris(t *testing.T) {
	d, err := OpenCSV(folder(t, "iris"), "iris.csv", CSVOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"setosa", "versicolor", "virginica"}, d.Classes()); diff != "" || d.Len() != 150 {
		t.Errorf("%d examples, %s", d.Len(), diff)
	}
	var counts [3]int
	var sums [4]float64
	for i := range d.Len() {
		x, y, err := d.Item(i)
		if err != nil {
			t.Fatal(err)
		}
		class, err := value.Item[int64](y)
		if err != nil {
			t.Fatal(err)
		}
		counts[class]++
		for k, v := range x.Float64s() {
			sums[k] += v
		}
	}
	if counts != [3]int{50, 50, 50} {
		t.Errorf("%v flowers of each class, want 50", counts)
	}
	norm, err := Standardization(d)
	if err != nil {
		t.Fatal(err)
	}
	for k, want := range []float64{5.8433, 3.0573, 3.7580, 1.1993} {
		if got := sums[k] / 150; math.Abs(got-want) > 5e-5 || math.Abs(norm.Mean[k]-want) > 5e-5 {
			t.Errorf("column %d: mean %.4f, of the standardization %.4f, want %.4f", k, got, norm.Mean[k], want)
		}
	}
}

func FuzzReadCSV(f *testing.F) {
	f.Add("a,b,kind\n1,2.5,cat\n-3,4e1,ant\n", byte(','), "", "", false)
	f.Add("\ufeff1;\"2\";3\r\n\r\n4;5;6.0\n", byte(';'), "1", "2", true)
	f.Add("0,1,label\n1,2,3\n", byte(','), "label", "0", false)
	f.Fuzz(func(t *testing.T, text string, comma byte, label, skip string, regression bool) {
		opts := CSVOptions{Comma: rune(comma), Label: label, Regression: regression}
		if skip != "" {
			opts.Skip = []string{skip}
		}
		d, err := ReadCSV(strings.NewReader(text), opts)
		if err != nil {
			return
		}
		x, y := whole(t, d)
		if x.Rank() != 2 || x.Shape()[0] != d.Len() || x.Shape()[1] < 1 || (len(d.Classes()) == 0) != regression {
			t.Fatalf("%v, %v, %q", x, y, d.Classes())
		}
		for _, v := range x.Float64s() {
			if math.IsNaN(v) || math.IsInf(v, 0) {
				t.Fatalf("read %v", v)
			}
		}
		if !regression {
			used := map[int64]bool{}
			labels, err := value.Data[int64](y)
			if err != nil {
				t.Fatal(err)
			}
			for _, l := range labels {
				used[l] = true
			}
			if len(used) != len(d.Classes()) {
				t.Fatalf("%d classes, of which %d have examples", len(d.Classes()), len(used))
			}
		}
	})
}
