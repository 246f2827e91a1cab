package nn

import (
	"fmt"
	"slices"
	"strconv"

	"github.com/graphrun/graphrun/graph"
	"github.com/graphrun/graphrun/models/initializer"
	"github.com/graphrun/graphrun/models/internal/own"
	"github.com/graphrun/graphrun/ops"
)

var _ = graph.MarkLibrary()

// Value is the handle of a node's result; see graph.Value.
type Value = graph.Value

// Layer is what a network is made of. A layer may be applied any number of times, in any function of any module;
// within a module it has one set of variables.
type Layer interface {
	// Apply declares the layer's computation on x, for use unless the mode says Training, and returns the result.
	Apply(x Value, mode ...Mode) Value
}

// Mode says what a layer is applied for. Without one that is Eval, which an optimizer takes for an oversight where its loss depends on a
// layer that would do otherwise while training: it reports it. To freeze statistics and dropout while other weights are trained, ask for Eval.
type Mode int

// The modes.
const (
	Eval     Mode = iota // using the model: dropout passes everything, normalization uses running statistics
	Training             // training it: dropout drops, normalization uses and updates the batch's statistics
)

func training(mode []Mode) bool { return slices.Contains(mode, Training) }

// Func makes a layer without variables of its own from a function, such as a residual block. The function may apply other layers, which
// it gives names (see [Named]) where there are several; the mode is passed on to it.
func Func(apply func(x Value, mode ...Mode) Value) Layer { return funcLayer(apply) }

type funcLayer func(x Value, mode ...Mode) Value

func (f funcLayer) Apply(x Value, mode ...Mode) Value { return f(x, mode...) }

// Sequential applies layers one after the other (torch.nn.Sequential). The variables of layer i are named below "i.",
// those of a layer that has a name ([Named], [Name]) below that.
func Sequential(layers ...Layer) Layer { return &sequential{layers: layers, pos: graph.Caller()} }

type sequential struct {
	layers []Layer
	pos    graph.Pos
	own    own.Set
}

func (s *sequential) Apply(x Value, mode ...Mode) Value {
	f := x.Func()
	if f == nil {
		return x
	}
	m := f.Module()
	for i, l := range s.layers {
		if l == nil {
			if s.own.First(m, strconv.Itoa(i)) {
				m.Report(s.pos, "sequential", "layer %d is nil", i)
			}
			return graph.Poison(f)
		}
		if n, ok := l.(interface{ hasName() bool }); ok && n.hasName() {
			x = l.Apply(x, mode...)
			continue
		}
		m.At(graph.Pos{}, strconv.Itoa(i), func() { x = l.Apply(x, mode...) })
	}
	return x
}

// Named applies a layer with its variables named below name, instead of below its place in a Sequential:
// Named("conv1", Conv2d(1, 6, 5)) has "conv1.weight" and "conv1.bias". The option [Name] does the same for a layer of this package; use
// it for recurrent layers and attention, which can do more than Apply.
func Named(name string, l Layer) Layer { return &named{name: name, layer: l, pos: graph.Caller()} }

type named struct {
	name  string
	layer Layer
	pos   graph.Pos
	own   own.Set
}

func (n *named) hasName() bool { return true }

func (n *named) Apply(x Value, mode ...Mode) Value {
	f := x.Func()
	if f == nil {
		return x
	}
	m := f.Module()
	if n.layer == nil {
		if n.own.First(m, "") {
			m.Report(n.pos, "named", "the layer %q is nil", n.name)
		}
		return graph.Poison(f)
	}
	y := x
	m.At(graph.Pos{}, n.name, func() { y = n.layer.Apply(x, mode...) })
	return y
}

// layer is what the layers of this package have in common: their constructor's place, its faults, and the record of
// which variables are theirs.
type layer struct {
	kind   string // the name in messages
	name   string // of the option Name, "" without
	pos    graph.Pos
	faults []string
	build  func(c *apply) Value
	single bool // it is one op, which rounds once as it is
	own    own.Set
}

// newLayer starts a layer; it must be called by the exported constructor, whose caller it notes.
func newLayer(kind string) *layer { return &layer{kind: kind, pos: graph.Caller()} }

func (l *layer) hasName() bool { return l.name != "" }

// faultf records a fault of the constructor's arguments.
func (l *layer) faultf(format string, args ...any) {
	l.faults = append(l.faults, fmt.Sprintf(format, args...))
}

// wantPositive records a fault unless n is at least 1.
func (l *layer) wantPositive(what string, n int) {
	if n < 1 {
		l.faultf("want %s of at least 1, have %d", what, n)
	}
}

// Apply implements Layer.
func (l *layer) Apply(x Value, mode ...Mode) Value {
	return l.applyTo([]Value{x}, mode, 1, func(c *apply) []Value { return []Value{l.build(c)} })[0]
}

// applyTo has build declare n results on the inputs, at the constructor's place. Faults of the constructor are reported
// once per module.
func (l *layer) applyTo(in []Value, mode []Mode, n int, build func(c *apply) []Value) []Value {
	out := make([]Value, n)
	f := graph.Innermost(in...)
	if f == nil {
		return out
	}
	m := f.Module()
	for i := range out {
		out[i] = graph.Poison(f)
	}
	m.At(l.pos, l.name, func() {
		if len(l.faults) > 0 {
			if l.own.First(m, "") {
				for _, fault := range l.faults {
					m.Report(l.pos, l.kind, "%s", fault)
				}
			}
			return
		}
		for i, x := range in {
			if !x.Valid() {
				m.Report(l.pos, l.kind, "input %d is missing (a zero graph.Value)", i)
				return
			}
			if !x.OK() {
				return
			}
		}
		c := &apply{layer: l, f: f, m: m, in: slices.Clone(in), dtype: in[0].DType(), training: training(mode), implied: len(mode) == 0}
		c.given = in
		for i := range in {
			c.used = append(c.used, &c.in[i])
		}
		narrow := func(y Value) Value { return y }
		if !l.single {
			narrow = ops.Widen(c.used...)
		}
		c.x = c.in[0]
		if y := build(c); len(y) == n {
			for i := range y {
				out[i] = narrow(y[i])
			}
		}
	})
	return out
}

// apply is one application of a layer.
type apply struct {
	*layer
	f        *graph.Func
	m        *graph.Module
	x        Value // the first input
	in       []Value
	dtype    graph.DType // of the first input as it was given: that of weights
	training bool
	implied  bool // nobody gave a mode
	inputs
}

// inputs are what a layer or a loss was given, and what it computes with: the same, or the same in f32 where that was a float for storage such
// as f16, so that what several ops compute is rounded once.
type inputs struct {
	given []Value
	used  []*Value
}

// asGiven puts the types of what was given in place of those of what is used, among the arguments of a message.
func (in *inputs) asGiven(args []any) []any {
	for k, arg := range args {
		for i, v := range in.used {
			if t, ok := arg.(graph.Type); ok && v.Valid() && graph.EqualTypes(t, v.Type()) {
				args[k] = in.given[i].Type()
				break
			}
		}
	}
	return args
}

// evaluated returns y, which a layer gives for evaluation only, and notes it if nobody asked for evaluation.
func (c *apply) evaluated(y Value) Value {
	if c.implied && y.OK() {
		own.NoteEval(c.kind, y)
	}
	return y
}

// refuse reports what is wrong with the input and returns a value that silences what depends on it.
func (c *apply) refuse(format string, args ...any) Value {
	c.m.Report(c.pos, c.kind, format, c.asGiven(args)...)
	return graph.Poison(c.f)
}

// sampled makes what declares a layer on a batch, of the rank, take one sample too, which lacks the first axis: it is a batch of
// one.
func sampled(rank int, build func(c *apply) Value) func(c *apply) Value {
	return func(c *apply) Value {
		if !isSample(c.x, rank) {
			return build(c)
		}
		c.x = ops.Unsqueeze(c.x, 0)
		return ops.Squeeze(build(c), 0)
	}
}

// isSample reports whether x lacks the batch axis of an input of the rank. A tensor whose first size is not known is a batch that
// lacks something else.
func isSample(x Value, rank int) bool {
	if x.Rank() != rank-1 || rank < 2 {
		return false
	}
	_, known := x.Shape()[0].Int()
	return known
}

// wantDim reports an input whose axis is known not to have the size n.
func (c *apply) wantDim(x Value, axis, n int, what string) bool {
	if x.Rank() == 0 || axis >= x.Rank() || -axis > x.Rank() {
		c.refuse("want %s of %d on axis %d, have %s", what, n, axis, x.Type())
		return false
	}
	if axis < 0 {
		axis += x.Rank()
	}
	if have, ok := x.Shape()[axis].Int(); ok && int(have) != n {
		c.refuse("want %s of %d on axis %d, have %s", what, n, axis, x.Type())
		return false
	}
	return true
}

// wantFloat reports an input that is not of a float dtype, which weights take from it.
func (c *apply) wantFloat(x Value) bool {
	if !x.DType().IsFloat() {
		c.refuse("want a float input, have %s", x.Type())
		return false
	}
	return true
}

// variable returns the layer's variable of a local name such as "weight", declaring it on first use below the scope in
// force, and its value. That another layer has taken the name is reported once for all variables of the layer.
func (c *apply) variable(local string, dt graph.DType, dims []int, init initializer.Func, opts ...graph.VariableOption) (*graph.Variable, Value) {
	var taken *graph.Variable
	v := c.own.Variable(c.m, local, func() string {
		if s := c.m.Scope(); s != "" {
			return s + "." + local
		}
		return local
	}, func(name string) *graph.Variable {
		if taken = c.m.LookupVariable(name); taken != nil {
			return nil
		}
		return c.m.Variable(name, dt, dims, init.For(dt, dims...), opts...)
	})
	if taken != nil && c.own.First(c.m, "") {
		c.m.Report(c.pos, c.kind, "@%s is already a variable of the module (declared at %s): name the layer, by nn.Named or the option nn.Name",
			taken.Name(), taken.Pos())
	}
	if v == nil { // its declaration was refused, and reported
		return nil, graph.Poison(c.f)
	}
	return v, v.Read(c.f)
}

// param is variable for a weight: it returns the value only, in f32 if the weight is a float for storage.
func (c *apply) param(local string, dims []int, init initializer.Func) Value {
	_, x := c.variable(local, c.dtype, dims, init)
	ops.Widen(&x)
	return x
}

// pure makes a layer without variables from a function of one value.
func pure(l *layer, f func(x Value) Value) Layer {
	l.single = true
	l.build = func(c *apply) Value { return f(c.x) }
	return l
}

// alongAxis shapes a vector so that it broadcasts along one axis of a tensor of the rank.
func alongAxis(v Value, axis, rank int) Value {
	if rank-axis <= 1 || v.Rank() != 1 {
		return v
	}
	dims := []any{v.Shape()[0]}
	for range rank - axis - 1 {
		dims = append(dims, 1)
	}
	return ops.Reshape(v, dims...)
}
