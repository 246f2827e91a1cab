package main

import (
	"cmp"
	"errors"
	"fmt"
	"image"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/graphrun/graphrun/graph"
	"github.com/graphrun/graphrun/graph/artifact"
	"github.com/graphrun/graphrun/graph/value"
	"github.com/graphrun/graphrun/models/data"
	"github.com/graphrun/graphrun/models/data/digits"
)

// builtinDigits is what --data takes for the digits that graphrun draws itself.
const builtinDigits = "digits"

// fileSets are the data sets whose files, of names of their own, lie in a folder.
var fileSets = []struct {
	globs []string // what names among them look like
	what  string
	first string
	rest  string // the others
	load  func(fsys fs.FS, classes []string) (train, test *data.Images, err error)
}{
	{[]string{`*[.\-]idx[13]-ubyte*`}, "the four MNIST files", "train-images-idx3-ubyte", ", ..., plain or .gz", data.LoadIDX},
	{[]string{"data_batch_*.bin", "train.bin"}, "the binary CIFAR files", "data_batch_1.bin", ", ..., or train.bin and test.bin", data.LoadCIFAR},
}

// dataHelp says what --data takes.
func dataHelp() string {
	text := "`DATA` to read examples from: a table FILE.csv (or .tsv), arrays FILE.npz, a folder with a folder of pictures for each class"
	for _, s := range fileSets {
		text += fmt.Sprintf(", a folder with %s (%s%s)", s.what, s.first, s.rest)
	}
	return text + `, or "digits" for the built-in ones; see graphrun help data`
}

// dataOptions are the flags of the commands that read data sets.
type dataOptions struct {
	name       string // what --data names, "" if the command has none by itself and none was given
	limit      int
	split      float64
	splitSeed  uint64
	label      string
	skip       string
	delimiter  string
	header     string
	regression bool
	classes    string
	imageSize  string
	imageMode  string

	// takes is the shape of one example that a model takes, known are its classes, and logits is how many it tells apart, where these are
	// settled before the data is read: pictures are made to fit, and labels are numbered as the model's.
	takes  []int
	known  []string
	logits int

	set *pflag.FlagSet // where the flags are
}

// flags adds the flags to a command; name is what --data is unless it is given.
func (o *dataOptions) flags(cmd *cobra.Command, name string) {
	f := cmd.Flags()
	o.set = f
	f.StringVar(&o.name, "data", name, dataHelp())
	f.IntVar(&o.limit, "limit", 0, "use only `N` training and test examples (default all)")
	f.Float64Var(&o.split, "test-split", 0.2, "`fraction` of the examples to test on, if the data has no test set; 1 for all of them")
	f.Uint64Var(&o.splitSeed, "split-seed", 0, "seed of the split")
	f.StringVar(&o.label, "label-column", "", "the `column` of a table to predict, by name or by number from 1 (default the last)")
	f.StringVar(&o.skip, "skip-columns", "", "`columns` of a table to ignore, such as id,name")
	f.StringVar(&o.delimiter, "delimiter", "", "`character` between the cells of a table, such as ';' (default a comma, in .tsv a tab)")
	f.StringVar(&o.header, "header", "auto", "whether a table's first row names its columns: auto, yes or no")
	f.BoolVar(&o.regression, "regression", false, "the targets of a table or of arrays are numbers, not classes")
	f.StringVar(&o.classes, "classes", "", "`names` of the classes, such as cat,dog; fixes the class order so that labels match another data set (default from the model or the data)")
	f.StringVar(&o.imageSize, "image-size", "", "resize pictures to `WxH`, width by height (default the model's size, or the pictures' common size)")
	f.StringVar(&o.imageMode, "image-mode", "", "convert pictures to gray or rgb (default as the model takes, or as they are)")
}

// forModel makes the data fit a model that is there already: what a function takes by an input, and the model's classes.
func (o *dataOptions) forModel(f *graph.Func, input string, classes []string) {
	o.takes, o.known, o.logits = nil, classes, logitsOf(f.Module())
	p, ok := f.Lookup(input)
	if !ok {
		return
	}
	t, ok := p.TensorType()
	if !ok || t.Rank() == 0 {
		return
	}
	shape := make([]int, t.Rank()-1)
	for i, d := range t.Shape[1:] {
		n, ok := d.Int()
		if !ok {
			return
		}
		shape[i] = int(n)
	}
	o.takes = shape
}

// sourceFlags are the flags by which a trained model says how its data is read, besides the data's name. Those of tables say nothing about other
// data.
var sourceFlags = []struct {
	name  string
	table bool
}{{"label-column", true}, {"skip-columns", true}, {"delimiter", true}, {"header", true}, {"regression", false}, {"test-split", false}, {"split-seed", false}}

// dataSource is the key under which a trained model names its data.
const dataSource = "data"

// source returns what a model says of the data that it was trained on. Values that are usual are empty, and a model does not tell where on a
// machine its data was.
func (o *dataOptions) source() map[string]string {
	name := o.name
	if filepath.IsAbs(name) {
		name = filepath.Base(name)
	}
	s := map[string]string{dataSource: filepath.ToSlash(filepath.Clean(name))}
	for _, f := range sourceFlags {
		flag := o.set.Lookup(f.name)
		if s[f.name] = flag.Value.String(); s[f.name] == flag.DefValue || f.table && !isTable(o.name) {
			s[f.name] = ""
		}
	}
	return s
}

// trainedOn takes the data that a model was trained on, as it says, if --data names no other.
func (o *dataOptions) trainedOn(info artifact.Info, model string) error {
	name := info.Provenance[dataSource]
	if name == "" || o.set.Changed("data") {
		return o.readAs(info)
	}
	if _, err := os.Stat(filepath.FromSlash(name)); err != nil && name != builtinDigits {
		return usagef("--data is missing: %s was trained on %s, and there is no such file here", model, name)
	}
	o.name = filepath.FromSlash(name)
	return o.readAs(info)
}

// readAs reads the data as that which a model was trained on, where flags do not say how.
func (o *dataOptions) readAs(info artifact.Info) error {
	for _, f := range sourceFlags {
		val := info.Provenance[f.name]
		if val == "" || o.set.Changed(f.name) || f.table && !isTable(o.name) {
			continue
		}
		if err := o.set.Lookup(f.name).Value.Set(val); err != nil {
			return fmt.Errorf("meta \"train.%s\": %w", f.name, err)
		}
	}
	return nil
}

// isTable reports whether data is a table, by its name.
func isTable(name string) bool {
	ext := strings.ToLower(filepath.Ext(name))
	return ext == ".csv" || ext == ".tsv"
}

// dataInputs returns the inputs of a function that take examples and their targets, "" where it has none: by what the model says of them, or else
// by their order.
func dataInputs(info artifact.Info, f *graph.Func) (input, target string) {
	var open []string
	for _, p := range f.Params() {
		name := p.Node().ResultName(0)
		switch role := info.Roles[name]; {
		case role == artifact.InputRole && input == "":
			input = name
		case role == artifact.TargetRole && target == "":
			target = name
		default:
			open = append(open, name)
		}
	}
	for _, name := range []*string{&input, &target} {
		if *name == "" && len(open) > 0 {
			*name, open = open[0], open[1:]
		}
	}
	return input, target
}

// datasets is what --data names: examples to train on and others to test on.
type datasets struct {
	Train, Test data.Dataset // Train is empty where all examples are for testing
	Validation  data.Dataset // nil where the data does not set examples apart for it
	Classes     []string     // empty if the targets are no classes
	Name        string

	bytes    bool         // the examples are bytes, of which 0 to 255 became [0, 1]
	pictures bool         // and pictures
	unnamed  bool         // the data numbers its classes from 0 and has no names for them
	raw      data.Dataset // Test before it was normalized
}

// loadData reads the data sets of a name, each cut to o.limit examples if that is positive.
func loadData(name string, o dataOptions) (*datasets, error) {
	fail := func(err error) (*datasets, error) {
		var usage *usageError
		if errors.As(err, &usage) {
			return nil, err
		}
		return nil, fmt.Errorf("--data %s: %w", name, err)
	}
	switch {
	case o.limit < 0:
		return nil, usagef("--limit %d: want a number of examples, or 0 for all", o.limit)
	case !(o.split > 0 && o.split <= 1):
		return nil, usagef("--test-split %v: want a fraction of the examples above 0, such as 0.2, or 1 for all", o.split)
	}
	ds, err := openData(name, o)
	if err != nil {
		return fail(err)
	}
	if ds.Test == nil {
		if err := ds.divide(o.split, o.splitSeed); err != nil {
			return fail(err)
		}
	}
	ds.Name = name
	for _, d := range ds.sets() {
		if *d, err = limited(*d, o.limit, o.splitSeed); err != nil {
			return fail(err)
		}
	}
	ds.raw = ds.Test
	return ds, nil
}

// numbers reports whether classes have no other names than their numbers.
func numbers(classes []string) bool {
	for i, name := range classes {
		if name != strconv.Itoa(i) {
			return false
		}
	}
	return true
}

// divide cuts what is in ds.Train into examples to train and to test on.
func (ds *datasets) divide(share float64, seed uint64) error {
	if share == 1 {
		ds.Test = ds.Train
		none, err := data.NewSubset(ds.Train, nil)
		ds.Train = none
		return err
	}
	rest, part, err := data.Split(ds.Train, share, seed)
	ds.Train, ds.Test = rest, part
	return err
}

// limited returns n examples of d: the first of images in files, which come in no order; else some of each class.
func limited(d data.Dataset, n int, seed uint64) (data.Dataset, error) {
	if n == 0 || n >= d.Len() {
		return d, nil
	}
	if _, ok := d.(*data.Images); ok {
		return data.First(d, n)
	}
	_, part, err := data.Split(d, float64(n)/float64(d.Len()), seed)
	return part, err
}

// openData reads data and numbers its labels as those of --classes, or else as the model's classes. Test is nil if the data does not say
// what to test on.
func openData(name string, o dataOptions) (*datasets, error) {
	if o.classes != "" {
		return openDataOf(name, o, strings.Split(o.classes, ","))
	}
	ds, err := openDataOf(name, o, nil)
	if err != nil || len(ds.Classes) == 0 {
		return ds, err
	}
	if shape, _, err := ds.example(); err != nil || o.takes != nil && !slices.Equal(shape, o.takes) {
		return ds, nil // which fits tells
	}
	known, err := o.modelClasses(ds.Classes)
	if err != nil || slices.Equal(ds.Classes, known) {
		return ds, err
	}
	return ds, ds.number(known)
}

// openDataOf reads data with the given classes, or those it has.
func openDataOf(name string, o dataOptions, classes []string) (*datasets, error) {
	ds := &datasets{}
	var err error
	info, statErr := os.Stat(name)
	ext := strings.ToLower(filepath.Ext(name))
	table := isTable(name)
	switch {
	case name == builtinDigits && len(classes) > 0 && len(classes) != 10:
		return nil, usagef("--classes %s: want 10 names, one for each digit, have %d", o.classes, len(classes))
	case name == builtinDigits:
		ds.Train, ds.Test, err = digits.LoadFirst(cmp.Or(o.limit, digits.TrainSize))
	case errors.Is(statErr, fs.ErrNotExist):
		return nil, errors.New("there is no such file or directory; \"digits\" is built in")
	case statErr != nil:
		return nil, statErr
	case info.IsDir():
		err = ds.openFolder(os.DirFS(name), o, classes)
	case table:
		var opts data.CSVOptions
		if opts, err = o.csv(ext, classes); err == nil {
			ds.Train, err = data.ReadCSVFile(name, opts)
		}
		if errors.Is(err, data.ErrHeader) {
			err = fmt.Errorf("%w (--header yes or no)", err)
		}
	case ext == ".npz":
		var test data.Labelled
		if ds.Train, test, err = data.ReadNPZFile(name, data.NPZOptions{Classes: classes, Regression: o.regression}); test != nil {
			ds.Test = test
		}
	default:
		return nil, errors.New("want a file .csv, .tsv or .npz, a directory, or digits")
	}
	if err != nil {
		// Readers begin with the path, which the message has already.
		if text, ok := strings.CutPrefix(err.Error(), name+": "); ok {
			err = errors.New(text)
		}
		return nil, err
	}
	_, pictures := ds.Train.(*data.Folder)
	_, images := ds.Train.(*data.Images)
	if err := o.misplaced(table, pictures); err != nil {
		return nil, err
	}
	ds.bytes, ds.pictures = data.FromBytes(ds.Train), pictures || images
	if l, ok := ds.Train.(data.Labelled); ok {
		ds.Classes = l.Classes()
	}
	ds.unnamed = !table && !pictures && numbers(ds.Classes)
	if len(classes) > 0 && len(ds.Classes) == len(classes) {
		ds.Classes = classes
	}
	return ds, nil
}

// misplaced refuses flags that say nothing about data of this kind.
func (o *dataOptions) misplaced(table, pictures bool) error {
	for _, f := range []struct {
		name, value string
		fits        bool
		data        string
	}{
		{"label-column", o.label, table, "a table"},
		{"skip-columns", o.skip, table, "a table"},
		{"delimiter", o.delimiter, table, "a table"},
		{"image-size", o.imageSize, pictures, "pictures in folders"},
		{"image-mode", o.imageMode, pictures, "pictures in folders"},
	} {
		if f.value != "" && !f.fits {
			return usagef("--%s %s: it applies to %s, and --data %s is not that: omit it", f.name, f.value, f.data, o.name)
		}
	}
	return nil
}

// csv is what the flags say about tables.
func (o *dataOptions) csv(ext string, classes []string) (data.CSVOptions, error) {
	opts := data.CSVOptions{Label: o.label, Classes: classes, Regression: o.regression}
	if o.skip != "" {
		opts.Skip = strings.Split(o.skip, ",")
	}
	delimiter := o.delimiter
	if delimiter == "" && ext == ".tsv" || delimiter == `\t` {
		delimiter = "\t"
	}
	if delimiter != "" {
		r, size := utf8.DecodeRuneInString(delimiter)
		if size != len(delimiter) || r == utf8.RuneError {
			return opts, usagef("--delimiter %s: want one character, such as ';'", o.delimiter)
		}
		opts.Comma = r
	}
	var ok bool
	opts.Header, ok = map[string]data.Header{"auto": data.HeaderAuto, "yes": data.HeaderPresent, "no": data.HeaderAbsent}[cmp.Or(o.header, "auto")]
	if !ok {
		return opts, usagef("--header %s: want auto, yes or no", o.header)
	}
	return opts, nil
}

// folder is what the flags and the model say about pictures.
func (o *dataOptions) folder(classes []string) (data.FolderOptions, error) {
	opts := data.FolderOptions{Classes: classes}
	if s := o.takes; len(s) == 3 && (s[0] == 1 || s[0] == 3) {
		opts.Channels, opts.Height, opts.Width = s[0], s[1], s[2]
	}
	if o.imageSize != "" {
		width, height, two := strings.Cut(o.imageSize, "x")
		if !two {
			height = width
		}
		var err1, err2 error
		opts.Width, err1 = strconv.Atoi(width)
		opts.Height, err2 = strconv.Atoi(height)
		if err1 != nil || err2 != nil || opts.Width < 1 || opts.Height < 1 {
			return opts, usagef("--image-size %s: want WIDTHxHEIGHT in pixels, such as 28x28", o.imageSize)
		}
	}
	switch o.imageMode {
	case "":
	case artifact.Gray:
		opts.Channels = 1
	case artifact.RGB:
		opts.Channels = 3
	default:
		return opts, usagef("--image-mode %s: want gray or rgb", o.imageMode)
	}
	return opts, nil
}

// openFolder reads the files of fileSets, or pictures in CLASS/, or in train/CLASS/ and test/CLASS/.
func (ds *datasets) openFolder(fsys fs.FS, o dataOptions, classes []string) error {
	for _, s := range fileSets {
		for _, glob := range s.globs {
			names, err := fs.Glob(fsys, glob)
			if err != nil {
				return err
			}
			if len(names) > 0 {
				ds.Train, ds.Test, err = s.load(fsys, classes)
				return err
			}
		}
	}
	tables, err := tablesIn(fsys)
	if err != nil {
		return err
	}
	if len(tables) > 0 {
		return fmt.Errorf("it is a directory: want one of its files, %s", strings.Join(tables, ", "))
	}
	opts, err := o.folder(classes)
	if err != nil {
		return err
	}
	parts, err := data.FindParts(fsys)
	if err != nil {
		return err
	}
	if parts == (data.Parts{}) {
		ds.Train, err = data.OpenFolder(fsys, opts)
		return pictureHint(err)
	}
	for _, part := range []struct {
		name, what string
		set        *data.Dataset
	}{{parts.Train, "to train on", &ds.Train}, {parts.Validation, "for validation", &ds.Validation}, {parts.Test, "to test on", &ds.Test}} {
		if part.name == "" {
			continue
		}
		dir, err := fs.Sub(fsys, part.name)
		if err != nil {
			return err
		}
		d, err := data.OpenFolder(dir, opts)
		if err != nil {
			return pictureHint(fmt.Errorf("the pictures %s, in %s: %w", part.what, part.name, err))
		}
		// Other pictures are made like those to train on.
		channels, height, width := d.Size()
		opts = data.FolderOptions{Channels: channels, Height: height, Width: width, Classes: d.Classes()}
		*part.set = d
	}
	if ds.Test == nil {
		ds.Test, ds.Validation = ds.Validation, nil
	}
	return nil
}

// tablesIn lists the files in a directory that --data takes.
func tablesIn(fsys fs.FS) (names []string, err error) {
	entries, err := fs.ReadDir(fsys, ".")
	for _, e := range entries {
		if ext := strings.ToLower(filepath.Ext(e.Name())); !e.IsDir() && (ext == ".csv" || ext == ".tsv" || ext == ".npz") {
			names = append(names, e.Name())
		}
	}
	return names, err
}

// pictureHint says which flag helps, and what a directory may hold.
func pictureHint(err error) error {
	switch {
	case errors.Is(err, data.ErrSizes):
		return fmt.Errorf("%w (--image-size WIDTHxHEIGHT)", err)
	case errors.Is(err, data.ErrNoClasses):
		for _, s := range fileSets {
			err = fmt.Errorf("%w; or %s, %s and so on", err, s.what, s.first)
		}
	}
	return err
}

// example returns the shape of one example, and how many classes there are; 0 if the targets are no classes.
func (ds *datasets) example() (shape []int, classes int, err error) {
	x, _, err := ds.any().Item(0)
	if err != nil {
		return nil, 0, fmt.Errorf("--data %s: %w", ds.Name, err)
	}
	return x.Shape(), len(ds.Classes), nil
}

// sets are the sets of examples that there are.
func (ds *datasets) sets() (sets []*data.Dataset) {
	for _, d := range []*data.Dataset{&ds.Train, &ds.Validation, &ds.Test} {
		if *d != nil {
			sets = append(sets, d)
		}
	}
	return sets
}

// any returns the examples to train on, or those to test on if there are no others.
func (ds *datasets) any() data.Dataset {
	if ds.Train.Len() == 0 {
		return ds.Test
	}
	return ds.Train
}

// prepare notes what the examples become by an input, if the model does not say or is declared anew for them, and makes them that.
func (ds *datasets) prepare(m *graph.Module, input string, anew, standardize bool) error {
	info, err := artifact.InfoOf(m)
	if err != nil {
		return err
	}
	p, ok := info.Preprocess[input]
	if anew || !ok {
		if p, ok, err = ds.natural(); err != nil {
			return err
		}
	}
	if standardize && len(p.Mean) == 0 && len(p.Std) == 0 {
		n, err := data.Standardization(ds.Train)
		if err != nil {
			return fmt.Errorf("--data %s: %w", ds.Name, err)
		}
		unit := cmp.Or(p.Scale, 1)
		if ds.bytes || p.Mode != artifact.Numbers && p.Mode != "" {
			unit *= 255
		}
		if math.Abs(unit-1) < 1e-12 { // 1/255 is not exact
			unit = 1
		}
		for i := range n.Mean {
			p.Mean = append(p.Mean, n.Mean[i]*unit)
			p.Std = append(p.Std, n.Std[i]*unit)
		}
		ok = true
	}
	if !ok {
		return nil
	}
	m.SetMeta("preprocess."+input, p.String())
	info.Preprocess[input] = p
	return ds.preprocess(info, input)
}

// natural is the preprocessing of examples of which nobody says another: bytes become numbers from 0 to 1, as pictures of floats are already, and
// other floats stay. There is none for other types.
func (ds *datasets) natural() (p artifact.Preprocess, ok bool, err error) {
	x, _, err := ds.any().Item(0)
	if err != nil {
		return p, false, fmt.Errorf("--data %s: %w", ds.Name, err)
	}
	mode := artifact.Bytes
	if s := x.Shape(); len(s) == 3 && s[0] == 1 {
		mode = artifact.Gray
	} else if len(s) == 3 && s[0] == 3 {
		mode = artifact.RGB
	}
	unit := ds.bytes
	if mode != artifact.Bytes && !ds.bytes {
		if unit, err = ds.fromZeroToOne(); err != nil {
			return p, false, fmt.Errorf("--data %s: %w", ds.Name, err)
		}
	}
	if unit {
		return artifact.Preprocess{Mode: mode, Scale: 1. / 255}, true, nil
	}
	return artifact.Preprocess{Mode: artifact.Numbers, Scale: 1}, x.DType().IsFloat(), nil
}

// fromZeroToOne reports whether the inputs to train on are all from 0 to 1.
func (ds *datasets) fromZeroToOne() (bool, error) {
	for i := range ds.Train.Len() {
		x, _, err := ds.Train.Item(i)
		if err != nil {
			return false, err
		}
		if !x.DType().IsFloat() || slices.ContainsFunc(x.Float64s(), func(v float64) bool { return v < 0 || v > 1 }) {
			return false, nil
		}
	}
	return true, nil
}

// preprocess makes the examples what a model wants by an input, as its meta table says.
func (ds *datasets) preprocess(info artifact.Info, input string) error {
	p, ok := info.Preprocess[input]
	if !ok || ds.bytes && p.Mode != artifact.Numbers && p.Scale == 1./255 && len(p.Mean) == 0 && len(p.Std) == 0 {
		return nil // bytes have been divided by 255
	}
	f := p.Prepare
	if ds.bytes && (p.Mode != "" || ds.pictures) {
		f = func(x *value.Tensor) (*value.Tensor, error) {
			x, err := data.Bytes(x)
			if err != nil {
				return nil, err
			}
			return p.Prepare(x)
		}
	}
	for _, d := range ds.sets() {
		changed, err := data.Map(*d, f)
		if err != nil {
			return fmt.Errorf("--data %s: the model has the preprocessing %q: %w", ds.Name, p, err)
		}
		*d = changed
	}
	return nil
}

// picture returns a test example as a picture, and its class; false if the examples are no pictures or have no classes.
func (ds *datasets) picture(i int) (img image.Image, class int, ok bool) {
	if ds.raw.Len() == 0 || len(ds.Classes) == 0 {
		return nil, 0, false
	}
	x, y, err := ds.raw.Item(i % ds.raw.Len())
	if err != nil {
		return nil, 0, false
	}
	label, err := value.Item[int64](y)
	if err != nil {
		return nil, 0, false
	}
	img, err = data.Picture(x)
	return img, int(label), err == nil
}

// fits holds the examples of the data sets against the inputs that a function of a model takes them by.
func (ds *datasets) fits(model string, f *graph.Func, input, target string) error {
	x, y, err := ds.any().Item(0)
	if err != nil {
		return fmt.Errorf("--data %s: %w", ds.Name, err)
	}
	for _, in := range []struct {
		name    string
		example *value.Tensor
	}{{input, x}, {target, y}} {
		if in.name == "" {
			continue // it learns without targets
		}
		p, ok := f.Lookup(in.name)
		if !ok {
			return fmt.Errorf("%s of %s has no input %q to take the data by", f.Name(), model, in.name)
		}
		batch, err := in.example.Reshape(append([]int{1}, in.example.Shape()...)...)
		if err != nil {
			return err
		}
		if graph.Unify(p.Type(), graph.TypeOf(batch), map[string]graph.Dim{}) != nil {
			return fmt.Errorf("--data %s: its examples are %s: %s takes %s of type %s, N of them at a time",
				ds.Name, graph.TypeOf(in.example), model, in.name, p.Type())
		}
	}
	if n := logitsOf(f.Module()); n > 0 && len(ds.Classes) > n {
		return fmt.Errorf("--data %s: it has %d classes, but %s has %d", ds.Name, len(ds.Classes), model, n)
	}
	return nil
}

// logitsOf returns how many classes a model's logits are for, 0 if it does not say.
func logitsOf(m *graph.Module) int {
	for _, fn := range []string{evalFunc, predictFunc} {
		f := m.LookupFunc(fn)
		if f == nil {
			continue
		}
		for _, r := range f.Results() {
			t, ok := r.Value.TensorType()
			if r.Name != logitsResult || !ok || t.Rank() != 2 {
				continue
			}
			if n, ok := t.Shape[1].Int(); ok {
				return int(n)
			}
		}
	}
	return 0
}

// mustBeDir says what is wrong with a path that is no directory.
func mustBeDir(path, what string) error {
	switch info, err := os.Stat(path); {
	case errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("%s %s: there is no such directory", what, path)
	case err != nil:
		return fmt.Errorf("%s: %w", what, err)
	case !info.IsDir():
		return fmt.Errorf("%s %s: want a directory, this is a file", what, path)
	}
	return nil
}
