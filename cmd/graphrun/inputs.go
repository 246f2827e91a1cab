package main

import (
	"errors"
	"fmt"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/graphrun/graphrun/graph"
	"github.com/graphrun/graphrun/graph/artifact"
	"github.com/graphrun/graphrun/graph/dim"
	"github.com/graphrun/graphrun/graph/value"
	"github.com/graphrun/graphrun/graph/value/npy"
	"github.com/graphrun/graphrun/runtime/program"
)

// readInputs reads what flags NAME=WHAT give for the inputs of a function. Notices say what was done to fit a picture to its
// input.
func readInputs(prog *program.Program, fn string, args []string, invert bool) (feeds map[string]value.Value, notices []string, err error) {
	info, err := artifact.InfoOf(prog.Module)
	if err != nil {
		return nil, nil, err
	}
	f := prog.Module.LookupFunc(fn)
	if f == nil {
		return nil, nil, usagef("--func %s: the model has no such function: want one of %s", fn, value.Few(funcNames(prog.Module)))
	}
	return inputs{inputs: args, invert: invert}.read(f, info)
}

// inputs is what the flags of a command give for the inputs of a function.
type inputs struct {
	inputs []string // NAME=WHAT
	feeds  string   // an .npz file with inputs by name
	invert bool     // pictures
	raw    bool     // arrays are fed as they are
}

// read reads the inputs. Notices say what a person may not expect.
func (in inputs) read(f *graph.Func, info artifact.Info) (feeds map[string]value.Value, notices []string, err error) {
	r := &inputReader{
		f: f, info: info, params: map[string]graph.Value{}, feeds: map[string]value.Value{}, from: map[string]string{},
		raw: in.raw, prepared: map[string]artifact.Preprocess{},
	}
	for _, p := range f.Params() {
		name := p.Node().ResultName(0)
		r.names = append(r.names, name)
		r.params[name] = p
	}
	for _, arg := range in.inputs {
		if err := r.argument(arg, in.invert); err != nil {
			return nil, nil, err
		}
	}
	if in.feeds != "" {
		if err := r.arrays(in.feeds); err != nil {
			return nil, nil, err
		}
	}
	if err := r.check(in.feeds); err != nil {
		return nil, nil, err
	}
	if err := r.prepare(); err != nil {
		return nil, nil, err
	}
	return r.feeds, r.notices, nil
}

// inputReader is where the inputs of a function come together.
type inputReader struct {
	f        *graph.Func
	info     artifact.Info
	names    []string // of the parameters
	params   map[string]graph.Value
	feeds    map[string]value.Value
	from     map[string]string              // the flag that an input came by, for messages
	raw      bool                           // arrays are what the function takes
	prepared map[string]artifact.Preprocess // what is done to arrays and lists, which are given as data has them
	notices  []string
}

// argument reads one NAME=WHAT.
func (r *inputReader) argument(arg string, invert bool) error {
	name, file, ok := strings.Cut(arg, "=")
	if !ok || name == "" || file == "" {
		example := "image"
		if len(r.names) > 0 {
			example = r.names[0]
		}
		return usagef("--input %s: want NAME=WHAT, such as %s=picture.png", arg, example)
	}
	p, ok := r.params[name]
	if !ok {
		return usagef("--input %s: %s has no such input%s", arg, r.f.Name(), wantOneOf(r.names))
	}
	if r.feeds[name] != nil {
		return usagef("--input %s: %s is given twice", arg, name)
	}
	pre, ok := r.info.Preprocess[name]
	if !ok {
		pre = artifact.Preprocess{Scale: 1. / 255}
	}
	dt := p.DType()
	if ok && !r.raw && (strings.HasPrefix(file, "[") || isArrayFile(file)) {
		r.prepared[name] = pre
		dt = value.Invalid // what the array has: it is rounded when it has been prepared, as in training
	}
	t, notice, err := readInput(name, p.Type(), dt, file, pre, invert)
	if err != nil {
		return fmt.Errorf("--input %s: %w", name, err)
	}
	if notice != "" {
		r.notices = append(r.notices, notice)
	}
	r.feeds[name], r.from[name] = t, "--input "+name
	return nil
}

// arrays reads what an .npz file has for inputs that are not given otherwise.
func (r *inputReader) arrays(file string) error {
	arrays, err := npy.OpenArchive(file)
	if err != nil {
		return fmt.Errorf("--feeds: %w", err)
	}
	defer arrays.Close()
	var unused []string
	for _, name := range arrays.Names() {
		p, ok := r.params[name]
		switch {
		case !ok:
			unused = append(unused, name)
		case r.feeds[name] == nil:
			t, err := arrays.Read(name)
			if err != nil {
				return fmt.Errorf("--feeds %s: %w", file, err)
			}
			if pre, ok := r.info.Preprocess[name]; ok && !r.raw {
				r.prepared[name] = pre
			} else if t, err = value.CastExactly(t, p.DType()); err != nil {
				return fmt.Errorf("--feeds %s: %s: %w", file, name, err)
			}
			r.feeds[name], r.from[name] = t, fmt.Sprintf("--feeds %s: %s", file, name)
		}
	}
	if len(unused) > 0 {
		r.notices = append(r.notices, fmt.Sprintf("%s: %s does not take %s", file, r.f.Name(), strings.Join(unused, ", ")))
	}
	return nil
}

// check finds inputs that are missing, also in an .npz file where one is given, and shapes that the function does not take.
func (r *inputReader) check(file string) error {
	var want, have []graph.Type
	for _, name := range r.names {
		typ := r.params[name].Type()
		switch {
		case r.feeds[name] == nil && file != "":
			return usagef("--feeds %s: it has no array %s, which %s takes as %s", file, name, r.f.Name(), typ)
		case r.feeds[name] == nil:
			return usagef("%s needs --input %s=FILE, which is %s", r.f.Name(), name, typ)
		}
		is := graph.TypeOf(r.feeds[name])
		if _, open := r.prepared[name]; open && r.params[name].DType().IsFloat() {
			tt := is.(graph.TensorType)
			tt.DType = r.params[name].DType()
			is = tt
		}
		want, have = append(want, typ), append(have, is)
	}
	i, err := graph.UnifyAll(want, have, map[string]graph.Dim{})
	if err == nil {
		return nil
	}
	known := map[string]graph.Dim{} // by the inputs before
	_, _ = graph.UnifyAll(want[:i], have[:i], known)
	return fmt.Errorf("%s: wrong shape: want %s, have %s", r.from[r.names[i]], typeWith(want[i], known), have[i])
}

// prepare makes arrays what the model takes, as training did it.
func (r *inputReader) prepare() error {
	for _, name := range r.names {
		pre, ok := r.prepared[name]
		if !ok {
			continue
		}
		t, err := pre.Prepare(r.feeds[name].(*value.Tensor))
		if err == nil {
			t, err = rounded(t, r.params[name].DType())
		}
		if err != nil {
			return fmt.Errorf("%s: the model has the preprocessing %q: %w", r.from[name], pre, err)
		}
		r.feeds[name] = t
	}
	return nil
}

// rounded is a tensor in another dtype.
func rounded(t *value.Tensor, dt graph.DType) (*value.Tensor, error) {
	e, err := t.TryExact()
	if err == nil {
		e, err = value.Convert(e, dt)
	}
	if err != nil {
		return nil, err
	}
	return e.Tensor(), nil
}

// wantOneOf ends a message by what could have been written.
func wantOneOf(names []string) string {
	switch len(names) {
	case 0:
		return ": it has none"
	case 1:
		return ": want " + names[0]
	}
	return ": want one of " + value.Few(names)
}

// typeWith is a type with the sizes that are known.
func typeWith(t graph.Type, env map[string]graph.Dim) string {
	tt, ok := t.(graph.TensorType)
	bound, err := graph.SubstType(t, env)
	if err != nil || !ok || graph.EqualTypes(bound, t) {
		return t.String()
	}
	var known []string
	for _, d := range tt.Shape {
		for _, s := range d.Symbols() {
			if n, ok := env[s]; ok {
				known = append(known, fmt.Sprintf("%s is %s by another input", s, n))
			}
		}
	}
	slices.Sort(known)
	return fmt.Sprintf("%s (%s)", bound, strings.Join(slices.Compact(known), ", "))
}

// readInput reads one input of a type from a file, from a list in brackets or from a number. Elements of lists and arrays are read as dt, or if
// that is Invalid as what they are.
func readInput(name string, want graph.Type, dt graph.DType, file string, pre artifact.Preprocess, invert bool) (t *value.Tensor, notice string, err error) {
	tt, ok := want.(graph.TensorType)
	if !ok {
		return nil, "", fmt.Errorf("it is a %s: only tensors can be given", want)
	}
	if strings.HasPrefix(file, "[") {
		if dt == value.Invalid {
			t, err = parseList(tt, value.F64, file)
			if err == nil && areBytes(t.Float64s()) {
				t, err = value.CastExactly(t, value.U8)
			}
			return t, "", err
		}
		t, err = parseList(tt, dt, file)
		return t, "", err
	}
	_, statErr := os.Stat(file)
	if tt.Rank() == 0 && statErr != nil && !isArrayFile(file) {
		if t, err = value.ParseElements(tt.DType, nil, "["+file+"]"); err != nil {
			return nil, "", fmt.Errorf("it is %s: there is no file %s, and %w", tt, file, err)
		}
		return t, "", nil
	}
	if errors.Is(statErr, fs.ErrNotExist) {
		hint := ""
		if _, err := value.ParseElements(tt.DType, []int{1}, "["+file+"]"); err == nil {
			hint = fmt.Sprintf("; a list of numbers is written [%s]", file)
		}
		return nil, "", fmt.Errorf("there is no file %s%s", file, hint)
	}
	if isArrayFile(file) {
		t, err = readArray(name, file)
		if err != nil {
			return nil, "", err
		}
		if dt == value.Invalid {
			return t, "", nil
		}
		if t, err = value.CastExactly(t, dt); err != nil {
			return nil, "", fmt.Errorf("%s: %w", file, err)
		}
		return t, "", nil
	}
	return readPictureInput(tt, file, pre, invert)
}

// areBytes reports whether the numbers of a list are bytes: whole, from 0 to 255, and one of them above 1.
func areBytes(list []float64) bool {
	above := false
	for _, v := range list {
		if v != math.Trunc(v) || v < 0 || v > 255 {
			return false
		}
		above = above || v > 1
	}
	return above
}

// isArrayFile reports whether a file is one of NumPy's, by its name.
func isArrayFile(file string) bool {
	ext := filepath.Ext(file)
	return strings.EqualFold(ext, ".npy") || strings.EqualFold(ext, ".npz")
}

// readArray reads the array in an .npy file, or the one of a name, or the only one, in an .npz file.
func readArray(name, file string) (*value.Tensor, error) {
	if strings.EqualFold(filepath.Ext(file), ".npy") {
		return npy.ReadFile(file)
	}
	arrays, err := npy.OpenArchive(file)
	if err != nil {
		return nil, err
	}
	defer arrays.Close()
	names := arrays.Names()
	if len(names) == 1 {
		name = names[0]
	}
	if arrays.Has(name) {
		t, err := arrays.Read(name)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", file, err)
		}
		return t, nil
	}
	return nil, fmt.Errorf("%s holds no array %s: it has %s", file, name, value.Few(names))
}

// readPictureInput reads a picture for an input f32[N,C,H,W], whose channels and sizes must be known.
func readPictureInput(tt graph.TensorType, file string, pre artifact.Preprocess, invert bool) (t *value.Tensor, notice string, err error) {
	var sizes [3]int
	if tt.DType != graph.F32 || tt.Rank() != 4 {
		return nil, "", fmt.Errorf("it is %s, which cannot hold a picture: want f32[N,C,H,W]; give an array in .npy", tt)
	}
	for i := range sizes {
		n, ok := tt.Shape[i+1].Int()
		if !ok {
			return nil, "", fmt.Errorf("it is %s, which does not fix the size of the picture; give an array in .npy", tt)
		}
		sizes[i] = int(n)
	}
	img, err := readPicture(file)
	if err != nil {
		return nil, "", err
	}
	t, resized, err := pictureTensor(img, pre, sizes[0], sizes[1], sizes[2], invert)
	if err != nil {
		return nil, "", fmt.Errorf("%s: %w", file, err)
	}
	if resized {
		notice = fmt.Sprintf("%s was resized from %d x %d to %d x %d pixels", file, img.Bounds().Dx(), img.Bounds().Dy(), sizes[2], sizes[1])
	}
	return t, notice, nil
}

// parseList reads a list of elements. A flat one fills the type in row-major order, an axis whose size is open taking as many as
// there are; of one with lists in it, the shape is that of the brackets. Elements are read as dt.
func parseList(tt graph.TensorType, dt graph.DType, text string) (*value.Tensor, error) {
	list, shape, err := flatten(text)
	if err != nil {
		return nil, err
	}
	if len(shape) > 1 {
		dims := make([]graph.Dim, len(shape))
		for i, n := range shape {
			dims[i] = dim.Const(int64(n))
		}
		have := graph.TensorType{DType: tt.DType, Shape: dims}
		if graph.Unify(tt, have, map[string]graph.Dim{}) != nil {
			return nil, fmt.Errorf("wrong shape: want %s, have %s", tt, have)
		}
		return value.ParseElements(dt, shape, list)
	}
	count, open, known := shape[0], -1, 1
	shape = make([]int, tt.Rank())
	for i, d := range tt.Shape {
		n, ok := d.Int()
		switch {
		case ok:
			shape[i] = int(n)
			known *= int(n)
		case open >= 0:
			return nil, fmt.Errorf("it is %s, with more than one open size; write lists in the list, such as [[1, 2], [3, 4]]", tt)
		default:
			open = i
		}
	}
	if open >= 0 {
		if known == 0 || count%known != 0 {
			return nil, fmt.Errorf("%d elements do not make up %s", count, tt)
		}
		shape[open] = count / known
	}
	return value.ParseElements(dt, shape, list)
}

// flatten takes the inner brackets away from a list of lists, and returns its shape. The shape of a list of elements has rank 1.
func flatten(text string) (list string, shape []int, err error) {
	l := &nested{depth: -1, empty: true}
	for i := 0; i < len(text); i++ {
		c := text[i]
		if l.closed && c != ' ' {
			err = errors.New("unexpected text after the last bracket")
		} else {
			switch c {
			case '[':
				err = l.open()
			case ',', ']':
				err = l.end(c)
			case ' ', '\t', '\n', '\r':
			default:
				word := element(text[i:])
				err = l.element(word, text[i:])
				i += len(word) - 1
			}
		}
		if err != nil {
			break
		}
	}
	if err == nil && !l.closed {
		err = errors.New("a ']' is missing")
	}
	if err != nil {
		return "", nil, fmt.Errorf("the list %s: %w", shortText(text), err)
	}
	return "[" + strings.Join(l.elements, ",") + "]", l.shape, nil
}

// nested is what has been read of a list of lists.
type nested struct {
	elements []string
	shape    []int // -1 for axes of which no list has been read to its end
	counts   []int // of the open lists, what they hold so far
	depth    int   // of elements, -1 before the first
	empty    bool  // no element or list since the last bracket or comma
	closed   bool
}

// open begins a list.
func (l *nested) open() error {
	if l.depth >= 0 && len(l.counts) >= l.depth || !l.empty {
		return errors.New("a list stands where an element is expected")
	}
	l.counts = append(l.counts, 0)
	return nil
}

// end ends an element or a list by a comma, or the list that is open by a bracket.
func (l *nested) end(c byte) error {
	level := len(l.counts)
	switch {
	case level == 0:
		return errors.New("want '[' first")
	case l.empty && (c == ',' || l.counts[level-1] > 0):
		return fmt.Errorf("an element is missing before the %q", c)
	case !l.empty:
		l.counts[level-1]++
	}
	if l.empty = c == ','; l.empty {
		return nil
	}
	n := l.counts[level-1]
	for len(l.shape) < level {
		l.shape = append(l.shape, -1)
	}
	if have := l.shape[level-1]; have >= 0 && have != n {
		return fmt.Errorf("its lists differ in length: %d and %d", have, n)
	}
	l.shape[level-1] = n
	l.counts = l.counts[:level-1]
	l.closed = level == 1
	return nil
}

// element adds an element, with which the rest of the text begins.
func (l *nested) element(word, rest string) error {
	switch {
	case len(l.counts) == 0:
		return errors.New("want '[' first")
	case l.depth < 0 && len(l.shape) <= len(l.counts):
		l.depth = len(l.counts)
	case l.depth != len(l.counts): // or an empty list stands where the element does
		return errors.New("an element stands where a list is expected")
	}
	if !l.empty {
		return fmt.Errorf("want ',' or ']' before %s", shortText(rest))
	}
	l.elements = append(l.elements, word)
	l.empty = false
	return nil
}

// element returns the element with which a text begins: a string in quotes, or what stands before a comma, a bracket or a space.
func element(text string) string {
	if text[0] != '"' {
		if k := strings.IndexAny(text, ",[] \t\r\n"); k >= 0 {
			return text[:k]
		}
		return text
	}
	end := 1
	for end < len(text) && text[end] != '"' {
		if text[end] == '\\' {
			end++
		}
		end++
	}
	return text[:min(end+1, len(text))]
}

// shortText is the beginning of a long text.
func shortText(s string) string {
	const most = 40
	if len(s) > most {
		return s[:most] + "..."
	}
	return s
}
