package graph

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"

	"github.com/graphrun/graphrun/graph/value"
)

// This file is the only one that says how close is close enough. There are two questions. CompareNode answers the one about a
// node: its op declares how far a kernel may be from the reference on the same operands. Oracle answers the one about a whole function,
// where what one node is off by goes through all that follow.

// CompareNode holds results that something other than the reference computed for a node, on operands in, against want, those of
// the reference, within the tolerance that the op declares. env binds the symbols in the node's attributes. The error
// names the result, the element, and how far off it is.
func CompareNode(n *Node, in, got, want []value.Value, env map[string]Dim) error {
	if len(got) != len(want) {
		return fmt.Errorf("there are %d results, want %d", len(got), len(want))
	}
	slack, err := slackOf(n, in, want, env)
	if err != nil {
		return err
	}
	for i, w := range want {
		if err := compareWithin(got[i], w, slack[i]); err != nil {
			return fmt.Errorf("result %d: %w", i, err)
		}
	}
	return nil
}

// slackOf returns how far each element of each result may be from want by the op's declaration; nil for a result that must be
// equal.
func slackOf(n *Node, in, want []value.Value, env map[string]Dim) ([][]float64, error) {
	tol := n.op.Tol
	slack := make([][]float64, len(want))
	var magnitude []value.Value
	terms := 0
	if tol.Terms != nil {
		attrs, err := n.attrs.Bind(env)
		if err != nil {
			return nil, err
		}
		abs, types := make([]value.Value, len(in)), make([]TensorType, len(in))
		for i, v := range in {
			types[i], _ = TypeOf(v).(TensorType)
			abs[i] = absolute(v)
		}
		terms = tol.Terms(types, attrs)
		if magnitude, err = EvalNode(n, abs, env); err != nil {
			return nil, err
		}
	}
	for k, v := range want {
		t, ok := v.(*value.Tensor)
		if !ok || !t.DType().IsFloat() || tol.ULP == 0 && tol.Terms == nil {
			continue
		}
		slack[k] = make([]float64, t.Len())
		var sums []float64
		if magnitude != nil {
			sums = magnitude[k].(*value.Tensor).Float64s()
		}
		for i, x := range t.Float64s() {
			slack[k][i] = tol.ULP * ulp(t.DType(), x)
			if sums != nil {
				slack[k][i] = max(slack[k][i], 2*float64(terms)*epsilon(t.DType())*sums[i])
			}
		}
	}
	return slack, nil
}

// absolute returns the absolute values of a tensor of floats, other values as they are.
func absolute(v value.Value) value.Value {
	t, ok := v.(*value.Tensor)
	if !ok || !t.DType().IsFloat() {
		return v
	}
	e := t.Exact()
	for i, x := range e.F {
		e.F[i] = math.Abs(x)
	}
	return e.Tensor()
}

// compareWithin wants every element of got to be no further from that of want than slack says; without slack, got must be equal. NaN is
// equal to NaN, and a zero to a zero of the other sign.
func compareWithin(got, want value.Value, slack []float64) error {
	g, ok1 := got.(*value.Tensor)
	w, ok2 := want.(*value.Tensor)
	if !ok1 || !ok2 {
		if !value.Equal(got, want) {
			return fmt.Errorf("it is %v, want %v", got, want)
		}
		return nil
	}
	if g == nil || !slices.Equal(g.Shape(), w.Shape()) || g.DType() != w.DType() {
		return fmt.Errorf("it is %s, want %s", TypeOf(got), TypeOf(want))
	}
	if !w.DType().IsFloat() {
		return compareExact(g, w, slack)
	}
	xs, ys := g.Float64s(), w.Float64s()
	m := mismatch{worst: -1, dtype: w.DType()}
	for i, y := range ys {
		x, allowed := xs[i], 0.0
		if slack != nil {
			allowed = slack[i]
		}
		if x == y || math.IsNaN(x) && math.IsNaN(y) || math.IsInf(allowed, 1) {
			continue
		}
		m.add(i, x, y, allowed)
	}
	return m.err(w.Shape())
}

// compareExact compares tensors whose elements are no floats. Where slack is positive, an element may be any.
func compareExact(g, w *value.Tensor, slack []float64) error {
	if slack == nil && g.Equal(w) {
		return nil
	}
	gs, ws := elementTexts(g), elementTexts(w)
	off, first := 0, -1
	for i := range ws {
		if gs[i] != ws[i] && (slack == nil || slack[i] == 0) {
			if off++; first < 0 {
				first = i
			}
		}
	}
	if off == 0 {
		return nil
	}
	return fmt.Errorf("%d of %d elements differ; element %s is %s, want %s", off, len(ws), indexText(w.Shape(), first), gs[first], ws[first])
}

func elementTexts(t *value.Tensor) []string {
	e := t.Exact()
	texts := make([]string, t.Len())
	for i := range texts {
		switch t.DType().Domain() {
		case value.Ints:
			texts[i] = fmt.Sprint(e.I[i])
		case value.Uints:
			texts[i] = fmt.Sprint(e.U[i])
		case value.Bools:
			texts[i] = fmt.Sprint(e.B[i])
		default:
			texts[i] = fmt.Sprintf("%q", e.S[i])
		}
	}
	return texts
}

// mismatch collects elements that are not what they should be.
type mismatch struct {
	dtype          DType
	off, worst     int
	got, want      float64 // of the worst
	excess         float64
	allowed        float64
	maxAbs, maxRel float64
}

func (m *mismatch) add(i int, x, y, allowed float64) {
	diff := math.Abs(x - y)
	if !(diff <= math.MaxFloat64) {
		diff = math.Inf(1)
	}
	m.maxAbs, m.maxRel = max(m.maxAbs, diff), max(m.maxRel, diff/math.Abs(y))
	if diff <= allowed {
		return
	}
	m.off++
	if excess := diff - allowed; m.worst < 0 || excess > m.excess {
		m.worst, m.excess, m.got, m.want, m.allowed = i, excess, x, y, allowed
	}
}

func (m *mismatch) err(shape []int) error {
	if m.worst < 0 {
		return nil
	}
	n := 1
	for _, d := range shape {
		n *= d
	}
	off := math.Abs(m.got-m.want) / ulp(m.dtype, m.want)
	return fmt.Errorf("%d of %d elements differ; the worst, %s, is %.9g, want %.9g: off by %.3g ulp, %.3g allowed; largest absolute error %.3g, relative %.3g",
		m.off, n, indexText(shape, m.worst), m.got, m.want, off, m.allowed/ulp(m.dtype, m.want), m.maxAbs, m.maxRel)
}

// indexText spells the row-major position i as an index, such as "[1,2]".
func indexText(shape []int, i int) string {
	index := make([]string, len(shape))
	for axis := len(shape) - 1; axis >= 0; axis-- {
		index[axis] = fmt.Sprint(i % shape[axis])
		i /= shape[axis]
	}
	return "[" + strings.Join(index, ",") + "]"
}

// epsilon is half the distance of the floats round 1.
func epsilon(d DType) float64 {
	switch d {
	case F32:
		return 0x1p-24
	case F64:
		return 0x1p-53
	case F16:
		return 0x1p-11
	}
	return 0x1p-8
}

// ulp is the distance of the floats round x in the dtype.
func ulp(d DType, x float64) float64 {
	x = math.Abs(x)
	switch d {
	case F32:
		f := float32(x)
		return float64(math.Nextafter32(f, float32(math.Inf(1))) - f)
	case F64:
		return math.Nextafter(x, math.Inf(1)) - x
	}
	return 2 * epsilon(d) * x
}

// Oracle is what a function gives by the references of its ops on certain operands, and how far an execution of it may be from
// that: one that rounds elsewhere, by other kernels, in another order, by rewritten formulas.
//
// How far follows from what the ops declare. Every node may be off by its tolerance (an op of tolerance zero by one unit in the last
// place, for it rounds once and what is rewritten rounds elsewhere), and what that does to the results depends on all the nodes
// behind it, which no formula says but which can be tried: the function is evaluated some more times, with every element of every
// node moved by its tolerance: all up, all down, and up or down at random. The results may be off by a fixed multiple of what that moved them by. So a sum
// that cancels has more room and one that does not has little, and where a comparison or a rounding to integers turns on the last bits, the
// element has no value to be held to. Zeros are not moved, nor are whole numbers that arithmetic gives: what is counted is exact.
type Oracle struct {
	// Want are the values of the results, then of the updates.
	Want []value.Value

	slack [][]float64
}

const (
	// trials is how often an oracle moves the nodes. Of one element, a trial may by chance move hardly anything; that all do is
	// improbable, the more so as elements are also given the median of their tensor.
	trials = 5
	// roomFactor is what the largest move is multiplied with. An execution is off by no more than one of the trials may be, so the
	// factor is there for trials that move little by chance: all would have to stay below a sixteenth of what is usual.
	roomFactor = 16
)

// Oracle evaluates f on its parameters' values as Run does.
func (ip *Interpreter) Oracle(f *Func, in []value.Value) (*Oracle, error) {
	plain := *ip
	plain.move = nil
	want, err := plain.Run(f, in)
	if err != nil {
		return nil, err
	}
	o := &Oracle{Want: want, slack: make([][]float64, len(want))}
	moved := make([][]float64, len(want)) // the largest move of each element
	for i, w := range want {
		if t, ok := w.(*value.Tensor); ok {
			moved[i] = make([]float64, t.Len())
		}
	}
	for trial := range trials {
		shaken := Interpreter{Read: ip.Read, Sizes: ip.Sizes}
		rng := rand.New(rand.NewPCG(uint64(trial), 0x0c1e))
		shaken.move = func(n *Node, in, outs []value.Value, env map[string]Dim) ([]value.Value, error) {
			return moveResults(trial, rng, n, in, outs, env)
		}
		got, err := shaken.Run(f, in)
		if err != nil {
			return nil, fmt.Errorf("with values moved within their tolerance: %w", err)
		}
		for i := range want {
			if moved[i] != nil {
				maxMove(moved[i], got[i].(*value.Tensor), want[i].(*value.Tensor))
			}
		}
	}
	for i, m := range moved {
		if m != nil {
			o.slack[i] = room(m, want[i].(*value.Tensor))
		}
	}
	return o, nil
}

// Compare holds a value against that of result i, or, behind the results, of an update. The error says how far off it is.
func (o *Oracle) Compare(i int, got value.Value) error {
	return compareWithin(got, o.Want[i], o.slack[i])
}

// Unstable gives up elements that are no finite numbers in the oracle: it is for formulas that are replaced because they give NaN
// where they need not.
func (o *Oracle) Unstable() *Oracle {
	u := &Oracle{Want: o.Want, slack: make([][]float64, len(o.slack))}
	for i, s := range o.slack {
		u.slack[i] = slices.Clone(s)
		if t, ok := o.Want[i].(*value.Tensor); ok && t.DType().IsFloat() {
			for k, x := range t.Float64s() {
				if math.IsNaN(x) || math.IsInf(x, 0) {
					u.slack[i][k] = math.Inf(1)
				}
			}
		}
	}
	return u
}

// moveResults moves every element by what it may be off by.
func moveResults(trial int, rng *rand.Rand, n *Node, in, outs []value.Value, env map[string]Dim) ([]value.Value, error) {
	op := n.op
	if op.Props.Structural || op.Tol.ULP == 0 && op.Tol.Terms == nil && !op.Props.Elementwise {
		return outs, nil
	}
	slack, err := slackOf(n, in, outs, env)
	if err != nil {
		return nil, err
	}
	moved := slices.Clone(outs)
	for k, v := range outs {
		t, ok := v.(*value.Tensor)
		if !ok || !t.DType().IsFloat() {
			continue
		}
		e := t.Exact()
		for i, x := range e.F {
			if x == 0 || math.IsInf(x, 0) || op.Tol.ULP == 0 && x == math.Trunc(x) && math.Abs(x) < 1<<20 {
				continue
			}
			by := ulp(t.DType(), x)
			if slack[k] != nil {
				by = max(by, slack[k][i])
			}
			if up := rng.IntN(2) == 0; trial == 1 || trial > 1 && !up {
				by = -by
			}
			e.F[i] = x + by
		}
		moved[k] = e.Tensor()
	}
	return moved, nil
}

// maxMove raises moves to those of a trial; one that changes the kind of an element, or an element that is no float, is infinite.
func maxMove(moves []float64, got, want *value.Tensor) {
	if !slices.Equal(got.Shape(), want.Shape()) { // sizes that turn on the last bits
		for i := range moves {
			moves[i] = math.Inf(1)
		}
		return
	}
	if !want.DType().IsFloat() {
		if got.Equal(want) {
			return
		}
		gs, ws := elementTexts(got), elementTexts(want)
		for i := range ws {
			if gs[i] != ws[i] {
				moves[i] = math.Inf(1)
			}
		}
		return
	}
	ys := want.Float64s()
	for i, x := range got.Float64s() {
		y := ys[i]
		switch {
		case x == y || math.IsNaN(x) && math.IsNaN(y):
		case math.IsNaN(x) || math.IsNaN(y):
			moves[i] = math.Inf(1)
		default:
			moves[i] = max(moves[i], math.Abs(x-y))
		}
	}
}

// room turns moves into how far elements may be off.
func room(moves []float64, want *value.Tensor) []float64 {
	if len(moves) == 0 || !want.DType().IsFloat() {
		return moves
	}
	sorted := slices.Sorted(slices.Values(moves))
	median := sorted[len(sorted)/2]
	if math.IsInf(median, 1) {
		median = 0
	}
	slack := make([]float64, len(moves))
	for i, y := range want.Float64s() {
		if math.IsNaN(y) || math.IsInf(y, 0) {
			slack[i] = moves[i] // 0, or infinite if a trial gave something else
			continue
		}
		slack[i] = roomFactor * (max(moves[i], median) + ulp(want.DType(), y))
	}
	return slack
}
