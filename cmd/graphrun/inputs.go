package main

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/graphrun/graphrun/graph"
	"github.com/graphrun/graphrun/graph/artifact"
	"github.com/graphrun/graphrun/graph/dim"
	"github.com/graphrun/graphrun/graph/value"
	"github.com/graphrun/graphrun/graph/value/npy"
	"github.com/graphrun/graphrun/models/data"
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
		return nil, nil, usagef("--func %s: the model has no such function: want one of %s", fn, strings.Join(funcNames(prog.Module), ", "))
	}
	return inputs{inputs: args, invert: invert}.read(f, info)
}

// inputs is what the flags of a command give for the inputs of a function.
type inputs struct {
	inputs []string // NAME=WHAT
	feeds  string   // an .npz file with inputs by name
	invert bool     // pictures
}

// read reads the inputs. Notices say what a person may not expect.
func (in inputs) read(f *graph.Func, info artifact.Info) (feeds map[string]value.Value, notices []string, err error) {
	params := map[string]graph.Value{}
	var names []string
	for _, p := range f.Params() {
		name := p.Node().ResultName(0)
		names = append(names, name)
		params[name] = p
	}
	feeds = map[string]value.Value{}
	from := map[string]string{}                 // the flag that an input came by, for messages
	columns := map[string]*data.Normalization{} // what is done to columns of a table, which are given as the table has them
	for _, arg := range in.inputs {
		name, file, ok := strings.Cut(arg, "=")
		if !ok || name == "" || file == "" {
			example := "image"
			if len(names) > 0 {
				example = names[0]
			}
			return nil, nil, usagef("--input %s: want NAME=WHAT, such as %s=picture.png", arg, example)
		}
		p, ok := params[name]
		if !ok {
			return nil, nil, usagef("--input %s: %s has no such input%s", arg, f.Name(), wantOneOf(names))
		}
		if feeds[name] != nil {
			return nil, nil, usagef("--input %s: %s is given twice", arg, name)
		}
		pre, ok := info.Preprocess[name]
		if !ok {
			pre = artifact.Preprocess{Scale: 1. / 255}
		}
		if ok && pre.Mode == "" && (strings.HasPrefix(file, "[") || isArrayFile(file)) {
			columns[name] = normalization(pre)
		}
		t, notice, err := readInput(name, p.Type(), file, pre, in.invert)
		if err != nil {
			return nil, nil, fmt.Errorf("--input %s: %w", name, err)
		}
		if notice != "" {
			notices = append(notices, notice)
		}
		feeds[name], from[name] = t, "--input "+name
	}
	if in.feeds != "" {
		arrays, err := npy.ReadNPZ(in.feeds)
		if err != nil {
			return nil, nil, fmt.Errorf("--feeds: %w", err)
		}
		var unused []string
		for _, name := range slices.Sorted(maps.Keys(arrays)) {
			p, ok := params[name]
			switch {
			case !ok:
				unused = append(unused, name)
			case feeds[name] == nil:
				t, err := value.CastExactly(arrays[name], p.DType())
				if err != nil {
					return nil, nil, fmt.Errorf("--feeds %s: %s: %w", in.feeds, name, err)
				}
				feeds[name], from[name] = t, fmt.Sprintf("--feeds %s: %s", in.feeds, name)
			}
		}
		if len(unused) > 0 {
			notices = append(notices, fmt.Sprintf("%s: %s does not take %s", in.feeds, f.Name(), strings.Join(unused, ", ")))
		}
	}
	var want, have []graph.Type
	for _, name := range names {
		switch {
		case feeds[name] == nil && in.feeds != "":
			return nil, nil, usagef("--feeds %s: it has no array %s, which %s takes as %s", in.feeds, name, f.Name(), params[name].Type())
		case feeds[name] == nil:
			return nil, nil, usagef("%s needs --input %s=FILE, which is %s", f.Name(), name, params[name].Type())
		}
		want, have = append(want, params[name].Type()), append(have, graph.TypeOf(feeds[name]))
	}
	if i, err := graph.UnifyAll(want, have, map[string]graph.Dim{}); err != nil {
		known := map[string]graph.Dim{} // by the inputs before
		_, _ = graph.UnifyAll(want[:i], have[:i], known)
		return nil, nil, fmt.Errorf("%s: wrong shape: want %s, have %s", from[names[i]], typeWith(want[i], known), have[i])
	}
	for _, name := range names {
		t, ok := feeds[name].(*value.Tensor)
		if n := columns[name]; n != nil && ok {
			if err := n.Apply(t); err != nil {
				return nil, nil, fmt.Errorf("%s: the model has the preprocessing %q: %w", from[name], info.Preprocess[name], err)
			}
		}
	}
	return feeds, notices, nil
}

// wantOneOf ends a message by what could have been written.
func wantOneOf(names []string) string {
	switch len(names) {
	case 0:
		return ": it has none"
	case 1:
		return ": want " + names[0]
	}
	return ": want one of " + strings.Join(names, ", ")
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

// readInput reads one input of a type from a file, from a list in brackets or from a number.
func readInput(name string, want graph.Type, file string, pre artifact.Preprocess, invert bool) (t *value.Tensor, notice string, err error) {
	tt, ok := want.(graph.TensorType)
	if !ok {
		return nil, "", fmt.Errorf("it is a %s: only tensors can be given", want)
	}
	if strings.HasPrefix(file, "[") {
		t, err = parseList(tt, file)
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
		if t, err = value.CastExactly(t, tt.DType); err != nil {
			return nil, "", fmt.Errorf("%s: %w", file, err)
		}
		return t, "", nil
	}
	return readPictureInput(tt, file, pre, invert)
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
	arrays, err := npy.ReadNPZ(file)
	if err != nil {
		return nil, err
	}
	names := slices.Sorted(maps.Keys(arrays))
	if t := arrays[name]; t != nil {
		return t, nil
	}
	if len(names) == 1 {
		return arrays[names[0]], nil
	}
	return nil, fmt.Errorf("%s holds no array %s: it has %s", file, name, strings.Join(names, ", "))
}

// readPictureInput reads a picture for an input f32[N,C,H,W], whose channels and sizes must be known.
func readPictureInput(tt graph.TensorType, file string, pre artifact.Preprocess, invert bool) (t *value.Tensor, notice string, err error) {
	var sizes [3]int
	if tt.DType != graph.F32 || tt.Rank() != 4 {
		return nil, "", fmt.Errorf("it is %s, which a picture cannot fill: want f32[N,C,H,W]; give an array in .npy", tt)
	}
	for i := range sizes {
		n, ok := tt.Shape[i+1].Int()
		if !ok {
			return nil, "", fmt.Errorf("it is %s, which leaves the size of the picture open; give an array in .npy", tt)
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
// there are; of one with lists in it, the shape is that of the brackets.
func parseList(tt graph.TensorType, text string) (*value.Tensor, error) {
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
		return value.ParseElements(tt.DType, shape, list)
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
	return value.ParseElements(tt.DType, shape, list)
}

// flatten takes the inner brackets away from a list of lists, and returns its shape. The shape of a list of elements has rank 1.
func flatten(text string) (list string, shape []int, err error) {
	var b strings.Builder
	var counts []int // of the open lists, what they hold so far
	depth := -1      // of elements
	empty := true    // no element or list since the last bracket or comma
	closed := false
	fault := func(format string, args ...any) (string, []int, error) {
		return "", nil, fmt.Errorf("the list %s: %s", shortText(text), fmt.Sprintf(format, args...))
	}
	for i := 0; i < len(text); i++ {
		c := text[i]
		if closed && c != ' ' {
			return fault("there is more after its last bracket")
		}
		switch c {
		case '[':
			if depth >= 0 && len(counts) >= depth || !empty {
				return fault("a list stands where an element is expected")
			}
			counts = append(counts, 0)
		case ']', ',':
			level := len(counts)
			switch {
			case level == 0:
				return fault("want '[' first")
			case empty && (c == ',' || counts[level-1] > 0):
				return fault("an element is missing before the %q", c)
			case !empty:
				counts[level-1]++
			}
			if empty = c == ','; empty {
				continue
			}
			n := counts[level-1]
			for len(shape) < level {
				shape = append(shape, -1)
			}
			if shape[level-1] >= 0 && shape[level-1] != n {
				return fault("its lists are not equally long: %d and %d", shape[level-1], n)
			}
			shape[level-1] = n
			counts = counts[:level-1]
			closed = level == 1
		case ' ', '\t', '\n', '\r':
		default:
			switch {
			case len(counts) == 0:
				return fault("want '[' first")
			case depth < 0:
				depth = len(counts)
			case depth != len(counts):
				return fault("an element stands where a list is expected")
			}
			if !empty {
				return fault("want ',' or ']' before %s", shortText(text[i:]))
			}
			end := i + 1
			if c == '"' {
				for end < len(text) && text[end] != '"' {
					if text[end] == '\\' {
						end++
					}
					end++
				}
				end = min(end+1, len(text))
			} else if k := strings.IndexAny(text[i:], ",[] \t\r\n"); k >= 0 {
				end = i + k
			} else {
				end = len(text)
			}
			if b.Len() > 0 {
				b.WriteByte(',')
			}
			b.WriteString(text[i:end])
			empty, i = false, end-1
		}
	}
	if !closed {
		return fault("a ']' is missing")
	}
	return "[" + b.String() + "]", shape, nil
}

// shortText is the beginning of a long text.
func shortText(s string) string {
	const most = 40
	if len(s) > most {
		return s[:most] + "..."
	}
	return s
}
