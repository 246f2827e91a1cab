package nn

import (
	"fmt"

	"github.com/graphrun/graphrun/graph"
	"github.com/graphrun/graphrun/models/initializer"
	"github.com/graphrun/graphrun/ops"
)

// Recurrent is a layer that carries a state along the steps of a sequence.
type Recurrent interface {
	// Apply runs the layer from a state of zeros and returns the outputs of all steps.
	Layer
	// Run runs the layer from a state and returns the outputs of all steps and the last state. The state is h, for LSTM h
	// and c, each of float[layers*directions, N, hidden], layer by layer and forward first; none stands for zeros.
	Run(x Value, state []Value, mode ...Mode) (y Value, last []Value)
}

// Cell is one step of a recurrent layer.
type Cell interface {
	// Apply returns the next state. x is float[N, in]; the state is h, for LSTMCell h and c, each of float[N, hidden];
	// none stands for zeros.
	Apply(x Value, state ...Value) []Value
}

// gating is the kind of a recurrent layer: the number of gates, of parts of the state, and the step itself, from what
// the input and what the state contribute to the gates.
type gating struct {
	gates, parts int
	step         func(x, h Value, state []Value) []Value
}

func plain(nonlinearity string) gating {
	f := ops.Tanh
	if nonlinearity == "relu" {
		f = ops.ReLU
	}
	return gating{1, 1, func(x, h Value, _ []Value) []Value { return []Value{f(ops.Add(x, h))} }}
}

var lstm = gating{4, 2, func(x, h Value, state []Value) []Value {
	g := ops.Chunk(ops.Add(x, h), 4, -1)
	c := ops.Add(ops.Mul(ops.Sigmoid(g[1]), state[1]), ops.Mul(ops.Sigmoid(g[0]), ops.Tanh(g[2])))
	return []Value{ops.Mul(ops.Sigmoid(g[3]), ops.Tanh(c)), c}
}}

var gru = gating{3, 1, func(x, h Value, state []Value) []Value {
	gx, gh := ops.Chunk(x, 3, -1), ops.Chunk(h, 3, -1)
	r, z := ops.Sigmoid(ops.Add(gx[0], gh[0])), ops.Sigmoid(ops.Add(gx[1], gh[1]))
	n := ops.Tanh(ops.Add(gx[2], ops.Mul(r, gh[2])))
	return []Value{ops.Add(ops.Mul(ops.Sub(1.0, z), n), ops.Mul(z, state[0]))}
}}

type recurrent struct {
	*layer
	gating
	in, hidden int
	o          *options
}

// RNN is the recurrent layer h' = tanh(W_ih x + b_ih + W_hh h + b_hh) (Elman 1990; torch.nn.RNN). x is float[T, N, in]
// with a known number of steps T; the outputs are float[T, N, directions*hidden]. One sequence may lack the axis N, and so do its
// states and outputs.
//
// Variables, for each layer k and, with the suffix _reverse, for the way back: weight_ih_l0 [hidden, in], weight_hh_l0
// [hidden, hidden] and, unless NoBias is given, bias_ih_l0 and bias_hh_l0 [hidden], all from
// U(-1/sqrt(hidden), 1/sqrt(hidden)). Options: Layers, Bidirectional, BatchFirst, NoBias, Nonlinearity.
func RNN(in, hidden int, opts ...Option) Recurrent {
	return newRecurrent(newLayer("rnn"), in, hidden, nil, opts, "Nonlinearity")
}

// LSTM is the long short-term memory (Hochreiter and Schmidhuber 1997; torch.nn.LSTM), with gates in the order i, f, g,
// o: c' = f*c + i*g, h' = o*tanh(c'). Variables are as those of RNN with 4*hidden rows. Options: Layers, Bidirectional,
// BatchFirst, NoBias.
func LSTM(in, hidden int, opts ...Option) Recurrent {
	return newRecurrent(newLayer("lstm"), in, hidden, &lstm, opts)
}

// GRU is the gated recurrent unit (Cho et al. 2014; torch.nn.GRU), with gates in the order r, z, n:
// n = tanh(W_in x + b_in + r*(W_hn h + b_hn)), h' = (1-z)*n + z*h. Variables are as those of RNN with 3*hidden rows.
// Options: Layers, Bidirectional, BatchFirst, NoBias.
func GRU(in, hidden int, opts ...Option) Recurrent {
	return newRecurrent(newLayer("gru"), in, hidden, &gru, opts)
}

func newRecurrent(l *layer, in, hidden int, kind *gating, opts []Option, takes ...string) *recurrent {
	o := l.collect(opts, append(takes, "Layers", "Bidirectional", "BatchFirst", "NoBias")...)
	l.wantPositive("layers", o.layers)
	r := &recurrent{layer: l, in: in, hidden: hidden, o: o}
	r.check(kind)
	r.build = func(c *apply) Value {
		if out := r.sequence(c); len(out) > 0 {
			return out[0]
		}
		return graph.Poison(c.f)
	}
	return r
}

// check checks what layers and cells share.
func (r *recurrent) check(kind *gating) {
	r.wantPositive("input features", r.in)
	r.wantPositive("hidden features", r.hidden)
	if kind != nil {
		r.gating = *kind
		return
	}
	if n := r.o.nonlinearity; n != "tanh" && n != "relu" {
		r.faultf("want a nonlinearity tanh or relu, have %q", n)
	}
	r.gating = plain(r.o.nonlinearity)
}

func (r *recurrent) Run(x Value, state []Value, mode ...Mode) (y Value, last []Value) {
	out := r.applyTo(append([]Value{x}, state...), mode, 1+r.parts, r.sequence)
	return out[0], out[1:]
}

// sequence declares all layers over all steps and returns the outputs, then the parts of the last state.
func (r *recurrent) sequence(c *apply) []Value {
	if isSample(c.x, 3) {
		return r.sample(c)
	}
	x, given := c.x, c.in[1:]
	if x.Rank() != 3 {
		c.refuse("want float[T,N,%d], have %s", r.in, x.Type())
		return nil
	}
	if !c.wantFloat(x) || !c.wantDim(x, 2, r.in, "input features") {
		return nil
	}
	if r.o.batchFirst {
		x = ops.Transpose(x, 1, 0, 2)
	}
	steps, ok := x.Shape()[0].Int()
	if !ok || steps < 1 {
		c.refuse("the number of steps must be known when the model is declared, and at least 1: have %s", c.x.Type())
		return nil
	}
	directions := 1
	if r.o.bidirectional {
		directions = 2
	}
	if !r.wantState(c, given, r.o.layers*directions) {
		return nil
	}
	last := make([][]Value, r.parts) // the states behind the last step, of all layers and directions
	for k := range r.o.layers {
		in := r.in
		if k > 0 {
			in = directions * r.hidden
		}
		var ways []Value
		for d := range directions {
			suffix := fmt.Sprintf("_l%d", k)
			if d == 1 {
				suffix += "_reverse"
			}
			w := r.weights(c, in, suffix)
			way, state := r.steps(w, x, r.firstState(c, x, given, k*directions+d), int(steps), d == 1)
			ways = append(ways, way)
			for i := range state {
				last[i] = append(last[i], state[i])
			}
		}
		x = ways[0]
		if directions == 2 {
			x = ops.Concat(2, ways...)
		}
	}
	if r.o.batchFirst {
		x = ops.Transpose(x, 1, 0, 2)
	}
	out := []Value{x}
	for _, part := range last {
		out = append(out, ops.Stack(0, part...))
	}
	return out
}

// sample is sequence for one sequence without the axis N, of states without it: a batch of one.
func (r *recurrent) sample(c *apply) []Value {
	axis := 1
	if r.o.batchFirst {
		axis = 0
	}
	c.x = ops.Unsqueeze(c.x, axis)
	in := []Value{c.x}
	for _, s := range c.in[1:] {
		if s.Rank() != 2 {
			c.refuse("want a state without the axis N, as the sequence is, have %s", s.Type())
			return nil
		}
		in = append(in, ops.Unsqueeze(s, 1))
	}
	c.in = in
	out := r.sequence(c)
	for i := range out {
		if out[i] = ops.Squeeze(out[i], axis); i == 0 {
			axis = 1
		}
	}
	return out
}

// wantState checks the state that is given, if one is: a value per part, for so many layers and directions.
func (r *recurrent) wantState(c *apply, given []Value, count int) bool {
	if len(given) != 0 && len(given) != r.parts {
		c.refuse("want a state of %d values, have %d", r.parts, len(given))
		return false
	}
	for _, s := range given {
		if s.Rank() != 3 {
			c.refuse("want a state of float[%d,N,%d], have %s", count, r.hidden, s.Type())
			return false
		}
		if !c.wantDim(s, 0, count, "layers and directions") || !c.wantDim(s, 2, r.hidden, "hidden features") {
			return false
		}
	}
	return true
}

// firstState is the given state of one layer and direction, the i-th, zeros if none is given.
func (r *recurrent) firstState(c *apply, x Value, given []Value, i int) []Value {
	state := make([]Value, r.parts)
	for part := range state {
		if len(given) > 0 {
			state[part] = ops.At(given[part], 0, i)
		} else {
			state[part] = ops.Full(c.f, x.DType(), 0, x.Shape()[1], r.hidden)
		}
	}
	return state
}

// steps takes all steps of one layer and direction, from the last to the first if reverse, and returns what each gives, in the order of
// x, and the state behind them.
func (r *recurrent) steps(w gateWeights, x Value, state []Value, count int, reverse bool) (out Value, after []Value) {
	gx := w.input(x) // of all steps, in one product
	outs := make([]Value, count)
	for i := range outs {
		t := i
		if reverse {
			t = len(outs) - 1 - i
		}
		state = r.step(ops.At(gx, 0, t), w.state(state[0]), state)
		outs[t] = state[0]
	}
	return ops.Stack(0, outs...), state
}

// gateWeights are the variables of one layer and direction.
type gateWeights struct{ wx, wh, bx, bh Value }

func (r *recurrent) weights(c *apply, in int, suffix string) gateWeights {
	init := initializer.Default(r.hidden)
	rows := r.gates * r.hidden
	w := gateWeights{
		wx: c.param("weight_ih"+suffix, []int{rows, in}, init),
		wh: c.param("weight_hh"+suffix, []int{rows, r.hidden}, init),
	}
	if !r.o.noBias {
		w.bx = c.param("bias_ih"+suffix, []int{rows}, init)
		w.bh = c.param("bias_hh"+suffix, []int{rows}, init)
	}
	return w
}

func (w gateWeights) input(x Value) Value { return project(x, w.wx, w.bx) }

func (w gateWeights) state(h Value) Value { return project(h, w.wh, w.bh) }

// project is x W' + b, where b may be no value.
func project(x, w, b Value) Value {
	y := ops.MatMul(x, ops.T(w))
	if b.Valid() {
		y = ops.Add(y, b)
	}
	return y
}

type cell struct{ *recurrent }

// RNNCell is one step of RNN (torch.nn.RNNCell). Variables: weight_ih, weight_hh and, unless NoBias is given, bias_ih and
// bias_hh. Options: NoBias, Nonlinearity.
func RNNCell(in, hidden int, opts ...Option) Cell {
	return newCell(newLayer("rnn_cell"), in, hidden, nil, opts, "NoBias", "Nonlinearity")
}

// LSTMCell is one step of LSTM (torch.nn.LSTMCell). Variables are named as those of RNNCell. Options: NoBias.
func LSTMCell(in, hidden int, opts ...Option) Cell {
	return newCell(newLayer("lstm_cell"), in, hidden, &lstm, opts, "NoBias")
}

// GRUCell is one step of GRU (torch.nn.GRUCell). Variables are named as those of RNNCell. Options: NoBias.
func GRUCell(in, hidden int, opts ...Option) Cell {
	return newCell(newLayer("gru_cell"), in, hidden, &gru, opts, "NoBias")
}

func newCell(l *layer, in, hidden int, kind *gating, opts []Option, takes ...string) Cell {
	r := &recurrent{layer: l, in: in, hidden: hidden, o: l.collect(opts, takes...)}
	r.check(kind)
	return cell{r}
}

func (r cell) Apply(x Value, state ...Value) []Value {
	return r.applyTo(append([]Value{x}, state...), nil, r.parts, func(c *apply) []Value {
		x, state := c.x, c.in[1:]
		if !c.wantFloat(x) || !c.wantDim(x, -1, r.in, "input features") {
			return nil
		}
		if len(state) != 0 && len(state) != r.parts {
			c.refuse("want a state of %d values, have %d", r.parts, len(state))
			return nil
		}
		now := append([]Value(nil), state...)
		for i := len(now); i < r.parts; i++ {
			dims := make([]any, 0, x.Rank())
			for _, d := range x.Shape()[:x.Rank()-1] {
				dims = append(dims, d)
			}
			now = append(now, ops.Full(c.f, x.DType(), 0, append(dims, r.hidden)...))
		}
		for _, s := range now {
			if !c.wantDim(s, -1, r.hidden, "hidden features") {
				return nil
			}
		}
		w := r.weights(c, r.in, "")
		return r.step(w.input(x), w.state(now[0]), now)
	})
}
