package artifact

import (
	"errors"
	"math"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/graphrun/graphrun/graph"
	"github.com/graphrun/graphrun/graph/errfmt"
	"github.com/graphrun/graphrun/graph/value"
)

// The functions that a model has by convention. A model need not have all of them.
const (
	TrainFunc   = "train"   // returns the loss and updates the weights
	EvalFunc    = "eval"    // returns the loss and what it is measured by, such as the number of correct predictions
	PredictFunc = "predict" // what the model is made for: returns logits or others
)

// What an input takes.
const (
	InputRole  = "input"  // what is looked at: images, texts
	TargetRole = "target" // what should come out: labels, sums
)

// Info is what a model says about itself. It is kept in the module's meta table, so that it travels with the text, and may be
// edited there.
type Info struct {
	// Doc is a sentence on the model and its source. Meta "doc".
	Doc string
	// Classes are the names of the classes, in the order of the logits. Meta "classes", one per line; a name that a line
	// cannot show as it is, such as one with a line break or a control character, is quoted as in Go.
	Classes []string
	// Loss names the result that training minimizes, after its function: "train/loss". Meta "loss".
	Loss string
	// Roles maps names of inputs to InputRole or TargetRole. Meta "role.NAME".
	Roles map[string]string
	// Preprocess maps names of inputs to what is done to examples before they are fed: training, the command and programs in Go
	// all read it here. Meta "preprocess.NAME".
	Preprocess map[string]Preprocess
	// Provenance is how the model came about: the data set ("data") and how its files are read, the learning rate that training started
	// from ("lr"), epochs, the seed. Meta "train.KEY".
	Provenance map[string]string
}

// The keys of the meta table, and the beginnings of those that are followed by a name.
const (
	metaDoc        = "doc"
	metaClasses    = "classes"
	metaLoss       = "loss"
	metaRole       = "role."
	metaPreprocess = "preprocess."
	metaProvenance = "train."
)

// Set replaces what m says about itself. Other entries of its meta table stay.
func (i Info) Set(m *graph.Module) {
	for _, key := range m.MetaKeys() {
		for _, prefix := range []string{metaRole, metaPreprocess, metaProvenance} {
			if strings.HasPrefix(key, prefix) {
				m.SetMeta(key, "")
			}
		}
	}
	m.SetMeta(metaDoc, i.Doc)
	SetClasses(m, i.Classes)
	m.SetMeta(metaLoss, i.Loss)
	for name, role := range i.Roles {
		m.SetMeta(metaRole+name, role)
	}
	for name, p := range i.Preprocess {
		m.SetMeta(metaPreprocess+name, p.String())
	}
	for key, val := range i.Provenance {
		m.SetMeta(metaProvenance+key, val)
	}
}

// InfoOf returns what m says about itself. Where it says nothing, the conventions hold: the loss is the result "loss" of the function
// "train", and of the inputs that "train" and "eval" take, those that "predict" takes too are what is looked at, the others are targets. An
// entry that does not make sense, such as the role of an input that no function has, is an error.
func InfoOf(m *graph.Module) (Info, error) {
	if m == nil {
		return Info{}, errNil
	}
	i := Info{Doc: m.Meta(metaDoc), Loss: m.Meta(metaLoss), Roles: map[string]string{}, Preprocess: map[string]Preprocess{}, Provenance: map[string]string{}}
	if text := m.Meta(metaClasses); text != "" {
		i.Classes = splitClasses(text)
	}
	inputs := map[string]bool{}
	for _, f := range m.Funcs() {
		for _, name := range inputNames(f) {
			inputs[name] = true
		}
	}
	for _, key := range m.MetaKeys() {
		val := m.Meta(key)
		if name, ok := strings.CutPrefix(key, metaRole); ok {
			if val != InputRole && val != TargetRole {
				return i, errfmt.Errorf("meta %q: want %q or %q, have %q", key, InputRole, TargetRole, val)
			}
			if !inputs[name] {
				return i, errfmt.Errorf("meta %q: no function has an input %q", key, name)
			}
			i.Roles[name] = val
		} else if name, ok := strings.CutPrefix(key, metaPreprocess); ok {
			p, err := ParsePreprocess(val)
			if err != nil {
				return i, errfmt.Errorf("meta %q: %w", key, err)
			}
			if !inputs[name] {
				return i, errfmt.Errorf("meta %q: no function has an input %q", key, name)
			}
			i.Preprocess[name] = p
		} else if name, ok := strings.CutPrefix(key, metaProvenance); ok {
			i.Provenance[name] = val
		} else if name, ok := strings.CutPrefix(key, oldInput); ok && inputs[name] && strings.HasPrefix(val, oldGray) && m.Meta(metaPreprocess+name) == "" {
			i.Preprocess[name] = Preprocess{Mode: Gray, Scale: 1. / 255}
		}
	}
	if err := i.loss(m); err != nil {
		return i, err
	}
	i.roles(m)
	return i, nil
}

// SetClasses replaces the names of m's classes, and leaves the rest of what it says about itself.
func SetClasses(m *graph.Module, classes []string) { m.SetMeta(metaClasses, joinClasses(classes)) }

// joinClasses is the text that splitClasses takes apart.
func joinClasses(classes []string) string {
	lines := slices.Clone(classes)
	for i, c := range lines {
		if c == "" || c[0] == '"' || Visible(c) != c {
			lines[i] = strconv.Quote(c)
		}
	}
	return strings.Join(lines, "\n")
}

func splitClasses(text string) []string {
	lines := strings.Split(text, "\n")
	for i, line := range lines {
		if name, err := strconv.Unquote(line); err == nil && line[0] == '"' {
			lines[i] = name
		}
	}
	return lines
}

// Visible returns a name as it can be shown on a line, in a terminal or in a picture: one with line breaks, control characters or others
// that do not print is quoted as in Go.
func Visible(name string) string {
	if utf8.ValidString(name) && strings.IndexFunc(name, func(r rune) bool { return !strconv.IsPrint(r) }) < 0 {
		return name
	}
	return strconv.Quote(name)
}

// Models of format version 1 say in a sentence how pictures are fed.
const (
	oldInput = "input."
	oldGray  = "gray pictures, 0 for black to 1 for white"
)

// loss checks which result is minimized, and finds the usual one where none is given.
func (i *Info) loss(m *graph.Module) error {
	given := i.Loss != ""
	if !given {
		i.Loss = TrainFunc + "/loss"
	}
	name, result := i.LossResult()
	f := m.LookupFunc(name)
	at := -1
	if f != nil {
		at = slices.IndexFunc(f.Results(), func(r graph.Result) bool { return r.Name == result })
	}
	switch {
	case at < 0 && !given:
		i.Loss = ""
	case f == nil || result == "":
		return errfmt.Errorf("meta %q: want FUNCTION/RESULT of a function of the module, have %q", metaLoss, i.Loss)
	case at < 0:
		return errfmt.Errorf("meta %q: @%s has no result %q", metaLoss, name, result)
	default:
		if t, ok := f.Results()[at].Value.TensorType(); !ok || t.Rank() != 0 || !t.DType.IsFloat() {
			return errfmt.Errorf("meta %q: want a scalar loss, %q is %s", metaLoss, i.Loss, f.Results()[at].Value.Type())
		}
	}
	return nil
}

// LossResult returns the function and the result that Loss names; both are empty if it names none.
func (i Info) LossResult() (fn, result string) {
	fn, result, _ = strings.Cut(i.Loss, "/")
	return fn, result
}

// roles gives inputs without a role the usual one.
func (i *Info) roles(m *graph.Module) {
	predict := m.LookupFunc(PredictFunc)
	if predict == nil {
		return
	}
	looked := inputNames(predict)
	train, _ := i.LossResult()
	for _, fn := range []string{PredictFunc, train, TrainFunc, EvalFunc} {
		f := m.LookupFunc(fn)
		if f == nil {
			continue
		}
		for _, name := range inputNames(f) {
			switch {
			case i.Roles[name] != "":
			case slices.Contains(looked, name):
				i.Roles[name] = InputRole
			default:
				i.Roles[name] = TargetRole
			}
		}
	}
}

// InRole returns the inputs of a function that have a role, in the function's order.
func (i Info) InRole(f *graph.Func, role string) []string {
	return slices.DeleteFunc(inputNames(f), func(name string) bool { return i.Roles[name] != role })
}

func inputNames(f *graph.Func) []string {
	params := f.Params()
	names := make([]string, len(params))
	for i, p := range params {
		names[i] = p.Node().ResultName(0)
	}
	return names
}

// The modes of Preprocess.
const (
	Gray    = "gray"    // pictures of one channel, the luma of a colour picture
	RGB     = "rgb"     // pictures of three channels
	Bytes   = "bytes"   // other arrays of bytes, such as rows of u8
	Numbers = "numbers" // numbers as they are, such as the columns of a table
)

var modes = []string{Gray, RGB, Bytes, Numbers}

// Preprocess is what is done to examples before they are fed. Pictures and other bytes, from 0 to 255, become (x*Scale - Mean) / Std, as
// torchvision's ToTensor and Normalize do it with a Scale of 1/255, and so do numbers. Prepare does it to an array.
type Preprocess struct {
	// Mode is Gray, RGB, Bytes, Numbers or, where the model does not say what it takes, empty.
	Mode string
	// Scale is what channels are multiplied by; 0 stands for 1.
	Scale float64
	// Mean and Std hold a number for each channel, or one for all; without them, 0 and 1 are meant.
	Mean, Std []float64
}

// String returns the text that ParsePreprocess reads: "gray scale=1/255 mean=0.1307 std=0.3081". It is empty where nothing is done.
func (p Preprocess) String() string {
	var parts []string
	if p.Mode != "" {
		parts = append(parts, p.Mode)
	}
	if p.Scale != 0 && p.Scale != 1 {
		text := strconv.FormatFloat(p.Scale, 'g', -1, 64)
		if n := math.Round(1 / p.Scale); n > 1 && n < 1<<53 && 1/n == p.Scale {
			text = "1/" + strconv.FormatFloat(n, 'f', -1, 64)
		}
		parts = append(parts, "scale="+text)
	}
	for _, list := range []struct {
		key  string
		vals []float64
	}{{"mean", p.Mean}, {"std", p.Std}} {
		if len(list.vals) == 0 {
			continue
		}
		texts := make([]string, len(list.vals))
		for i, x := range list.vals {
			texts[i] = strconv.FormatFloat(x, 'g', -1, 64)
		}
		parts = append(parts, list.key+"="+strings.Join(texts, ","))
	}
	return strings.Join(parts, " ")
}

// ParsePreprocess reads what String returns. Numbers are finite, and may be quotients of two.
func ParsePreprocess(text string) (Preprocess, error) {
	p := Preprocess{Scale: 1}
	seen := map[string]bool{}
	for i, word := range strings.Fields(text) {
		key, list, assigned := strings.Cut(word, "=")
		if !assigned {
			if i > 0 || !slices.Contains(modes, key) {
				return p, errfmt.Errorf("want one of %q, as in \"gray scale=1/255 mean=0.5 std=0.5\", have %q", modes, word)
			}
			p.Mode = key
			continue
		}
		if seen[key] {
			return p, errfmt.Errorf("%s is given twice", key)
		}
		seen[key] = true
		var vals []float64
		for s := range strings.SplitSeq(list, ",") {
			x, err := parseNumber(s)
			if err != nil {
				return p, errfmt.Errorf("%s: %w", key, err)
			}
			vals = append(vals, x)
		}
		switch key {
		case "scale":
			if len(vals) != 1 || vals[0] == 0 {
				return p, errfmt.Errorf("scale: want one number other than 0, have %q", list)
			}
			p.Scale = vals[0]
		case "mean":
			p.Mean = vals
		case "std":
			if slices.ContainsFunc(vals, func(x float64) bool { return x <= 0 }) {
				return p, errfmt.Errorf("std: want numbers above 0, have %q", list)
			}
			p.Std = vals
		default:
			return p, errfmt.Errorf("want scale, mean or std, have %q", key)
		}
	}
	for key, vals := range map[string][]float64{"mean": p.Mean, "std": p.Std} {
		if channels := p.Channels(); len(vals) > 1 && channels > 0 && len(vals) != channels {
			return p, errfmt.Errorf("%s: want one number, or %d for %s, have %d", key, channels, p.Mode, len(vals))
		}
	}
	return p, nil
}

// parseNumber reads a finite number, or a quotient such as 1/255.
func parseNumber(s string) (float64, error) {
	num, den, quotient := strings.Cut(s, "/")
	x, err := strconv.ParseFloat(num, 64)
	if err == nil && quotient {
		var y float64
		y, err = strconv.ParseFloat(den, 64)
		x /= y
	}
	if err != nil || math.IsInf(x, 0) || math.IsNaN(x) {
		return 0, errfmt.Errorf("want a finite number, have %q", s)
	}
	return x, nil
}

// Channels returns how many channels the mode stands for, 0 if it is not one of pictures.
func (p Preprocess) Channels() int { return map[string]int{Gray: 1, RGB: 3}[p.Mode] }

// Apply turns the channels of one picture, each from 0 to 255, into what is fed, in place. pixels holds one channel after the other.
func (p Preprocess) Apply(pixels []float32, channels int) error {
	if channels < 1 || len(pixels)%channels != 0 {
		return errfmt.Errorf("preprocess: %d pixels do not divide into %d channels", len(pixels), channels)
	}
	mean, std, err := p.perChannel(channels)
	if err != nil {
		return err
	}
	scale, size := p.scale(), len(pixels)/channels
	for i, x := range pixels {
		c := i / size
		pixels[i] = float32((float64(x)*scale - mean[c%len(mean)]) / std[c%len(std)])
	}
	return nil
}

// Prepare returns examples as they are fed, f32, of examples as data has them: x[N, C, ...], whose dimension 1 counts the channels or the columns.
// Integers are bytes, from 0 to 255, or numbers where the mode is Numbers. Floats are what data sets hold: bytes divided by 255
// where the mode is one of bytes, else numbers. What training did to u8 arrays, to tables and to pictures is so done to the same
// arrays when the model is used. Numbers are computed with in f64 and rounded once.
func (p Preprocess) Prepare(x *value.Tensor) (*value.Tensor, error) {
	if x == nil || !x.DType().IsNumeric() {
		return nil, errors.New("preprocess: want an array of numbers")
	}
	shape, channels := x.Shape(), 1
	if len(shape) > 1 {
		channels = shape[1]
	}
	mean, std, err := p.perChannel(channels)
	if err != nil {
		return nil, err
	}
	out, err := value.New(value.F32, shape...)
	if err != nil {
		return nil, err
	}
	fed, err := value.Data[float32](out)
	if err != nil || len(fed) == 0 {
		return out, err
	}
	scale := p.scale()
	if p.Mode != "" && p.Mode != Numbers && x.DType().IsFloat() {
		if scale *= 255; math.Abs(scale-1) < 1e-12 { // 1/255 is not exact
			scale = 1
		}
	}
	size := 1
	for _, n := range shape[min(2, len(shape)):] {
		size *= n
	}
	for i := range fed {
		c := i / size % channels
		fed[i] = float32((x.Float64At(i)*scale - mean[c%len(mean)]) / std[c%len(std)])
	}
	return out, nil
}

func (p Preprocess) scale() float64 {
	if p.Scale == 0 {
		return 1
	}
	return p.Scale
}

// perChannel returns the means and deviations of some channels: one of each, or one for each channel.
func (p Preprocess) perChannel(channels int) (mean, std []float64, err error) {
	mean, std = p.Mean, p.Std
	if len(mean) == 0 {
		mean = []float64{0}
	}
	if len(std) == 0 {
		std = []float64{1}
	}
	for _, vals := range [][]float64{mean, std} {
		if len(vals) > 1 && len(vals) != channels {
			return nil, nil, errfmt.Errorf("preprocess: want one mean and std, or one for each of %d channels, have %d", channels, len(vals))
		}
	}
	return mean, std, nil
}
