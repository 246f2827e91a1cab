package graph

import (
	"fmt"
	"math"
	"math/bits"
	"slices"
	"strings"

	"github.com/graphrun/graphrun/graph/errfmt"
	"github.com/graphrun/graphrun/graph/value"
)

// This file is the only one that says how close is close enough. There are two questions. CompareNode answers the one about a
// node: its op declares how far a kernel may be from the reference on the same operands. Oracle answers the one about a whole function,
// where what one node is off by goes through all that follow; a composite and a fused node are functions too, of their own nodes.

// CompareNode holds results that something other than the reference computed for a node on operands in against those of the reference.
// A result that is nil is one that nobody needs. env binds the symbols in the node's attributes. The error names the result, the element, and
// how far off it is.
func CompareNode(n *Node, in, got []value.Value, env map[string]Dim) error {
	if n.op.Props.Fused {
		return compareFunc(n.regions[0], in, got, env)
	}
	want, exact, err := evalExact(n, in, env)
	if err != nil {
		return errfmt.Errorf("the reference fails: %w", err)
	}
	if len(got) != len(want) {
		return errfmt.Errorf("there are %d results, want %d", len(got), len(want))
	}
	margins, err := marginsOf(n, in, exact, env)
	if err != nil {
		return err
	}
	for i, w := range want {
		if got[i] == nil {
			continue
		}
		m := compareWithin(got[i], w, margins[i])
		if m != nil && n.op.IsComposite() { // what it declares is for bodies that lose nothing
			body, err := BodyOf(n, in, env)
			if err != nil {
				return err
			}
			return compareFunc(body, in, got, env)
		}
		if m != nil {
			return errfmt.Errorf("result %d: %w", i, m)
		}
	}
	return nil
}

// compareFunc is CompareNode for a node that stands for a function.
func compareFunc(f *Func, in, got []value.Value, env map[string]Dim) error {
	oracle, err := (&Interpreter{Sizes: env}).Oracle(f, in)
	if err != nil {
		return errfmt.Errorf("the reference fails: %w", err)
	}
	if len(got) != len(oracle.Want) {
		return errfmt.Errorf("there are %d results, want %d", len(got), len(oracle.Want))
	}
	for i, v := range got {
		if v == nil {
			continue
		}
		if err := oracle.Compare(i, v); err != nil {
			return errfmt.Errorf("result %d: %w", i, err)
		}
	}
	return nil
}

// margin is how far the elements of a result may be from what they should be. A nil one wants the same bits.
type margin struct {
	exact []float64 // what they should be before they are rounded to the dtype; nil if that is not known
	slack []float64
	// loose are the elements of which something on the way may be out of the dtype's range, in this or in another order: they may be
	// infinite or NaN. nil means none.
	loose []bool
}

// marginsOf returns the margins of each result by the op's declaration, given what the reference computes before it rounds.
func marginsOf(n *Node, in []value.Value, exact []*value.Exact, env map[string]Dim) ([]*margin, error) {
	tol := n.op.Tol
	margins := make([]*margin, len(exact))
	if tol.ULP == 0 && tol.Terms == nil || len(in) == 0 {
		return margins, nil
	}
	var sums *magnitudes
	if tol.Terms != nil {
		var err error
		if sums, err = magnitudesOf(n, in, env); err != nil {
			return nil, err
		}
	}
	for k, e := range exact {
		if e == nil || e.F == nil {
			continue
		}
		m := &margin{exact: e.F, slack: make([]float64, len(e.F))}
		margins[k] = m
		wide := accumulated(e.DType)
		for i, x := range e.F {
			m.slack[i] = max(tol.ULP*ulp(wide, x), tol.Scale*ulp(wide, 1)) + ulp(e.DType, x)/2
		}
		if t, ok := in[0].(*value.Tensor); ok && wide == F64 && !n.op.Props.Elementwise { // the reference, too, adds up in f64
			for i, x := range e.F {
				if !math.IsInf(x, 0) {
					m.slack[i] += math.Ldexp(float64(t.Len())*max(math.Abs(x), tol.Scale), -53)
				}
			}
		}
		if sums != nil {
			sums.widen(m, k, wide)
		}
	}
	return margins, nil
}

// accumulated is the dtype that sums of a dtype are added up in.
func accumulated(d DType) DType {
	if IsNarrow(d) {
		return F32
	}
	return d
}

// magnitudes are what an op with terms gives for the absolute values of its operands, those that are finite.
type magnitudes struct {
	tol       *Tol
	terms     int
	of        []*value.Exact
	high, low []*value.Exact // of products, how large and how small one may be of some of the factors
	pads      bool           // whether there is an infinity or NaN that a zero of the padding may meet
}

func magnitudesOf(n *Node, in []value.Value, env map[string]Dim) (*magnitudes, error) {
	attrs, err := n.attrs.Bind(env)
	if err != nil {
		return nil, err
	}
	types := make([]TensorType, len(in))
	for i, v := range in {
		types[i], _ = TypeOf(v).(TensorType)
	}
	s := &magnitudes{tol: &n.op.Tol, terms: n.op.Tol.Terms(types, attrs)}
	of := func(none float64, f func(x float64) float64) (exact []*value.Exact) {
		abs := make([]value.Value, len(in))
		for i, v := range in {
			abs[i] = mapFloats(v, func(x float64) float64 {
				if math.IsInf(x, 0) || math.IsNaN(x) {
					return none
				}
				return f(math.Abs(x))
			})
		}
		if err == nil {
			_, exact, err = evalExact(n, abs, env)
		}
		return exact
	}
	if s.tol.Factors {
		s.high = of(1, func(x float64) float64 { return max(x, 1) })
		s.low = of(1, func(x float64) float64 { return min(x, 1) })
	}
	s.of = of(0, func(x float64) float64 { return x })
	s.pads = s.tol.Pads && !finite(in[1])
	return s, err
}

// widen adds what the sums of result k may be off by.
func (s *magnitudes) widen(m *margin, k int, wide DType) {
	roundings := float64(s.terms + 1)
	if !s.tol.InOrder && wide != F64 { // in which the reference itself adds up in order
		roundings = min(roundings, blocked*math.Sqrt(roundings))
	}
	f := formatOf(wide)
	m.loose = make([]bool, len(m.slack))
	for i, sum := range s.of[k].F {
		if sum > 0 {
			m.slack[i] += roundings*math.Ldexp(sum, -f.bits-1) + float64(s.terms)*ulp(wide, 0)
		}
		m.loose[i] = s.pads || sum*float64(s.terms) >= f.max()
		if s.tol.Factors {
			m.loose[i] = s.high[k].F[i] >= f.max()
			if s.low[k].F[i] < math.Ldexp(1, f.exp) { // a part of the product has lost its bits, or is 0
				m.slack[i] += math.Abs(m.exact[i]) + ulp(wide, 0)
				m.loose[i] = m.loose[i] || math.IsInf(m.exact[i], 0)
			}
		}
	}
}

// blocked times the root of the number of roundings is how many add up at most where terms are not added in order. Kernels add up blocks of
// some hundreds, and then those; of more than that, roundings cancel each other.
const blocked = 8

// mapFloats applies f to the elements of a tensor of floats; other values stay.
func mapFloats(v value.Value, f func(x float64) float64) value.Value {
	t, ok := v.(*value.Tensor)
	if !ok || !t.DType().IsFloat() {
		return v
	}
	e := t.Exact()
	for i, x := range e.F {
		e.F[i] = f(x)
	}
	return e.Tensor()
}

// finite reports whether a tensor holds no infinities and no NaN.
func finite(v value.Value) bool {
	t, ok := v.(*value.Tensor)
	return !ok || !t.DType().IsFloat() || !slices.ContainsFunc(t.Float64s(), func(x float64) bool { return math.IsInf(x, 0) || math.IsNaN(x) })
}

// evalExact is EvalNode, with what the reference computes before it rounds.
func evalExact(n *Node, in []value.Value, env map[string]Dim) (outs []value.Value, exact []*value.Exact, err error) {
	outs, err = (&evaluator{ip: &Interpreter{}, exact: &exact}).node(n, in, env)
	if n.op.IsComposite() {
		exact = exacts(outs)
	}
	return outs, exact, err
}

// exacts returns tensors in the exact domain, nil for other values.
func exacts(vs []value.Value) []*value.Exact {
	es := make([]*value.Exact, len(vs))
	for i, v := range vs {
		if t, ok := v.(*value.Tensor); ok {
			es[i] = t.Exact()
		}
	}
	return es
}

// compareWithin wants every element of got to be within the margin of that of want. NaN is equal to NaN; zeros of different signs are equal where
// there is a margin.
func compareWithin(got, want value.Value, m *margin) error {
	g, ok1 := got.(*value.Tensor)
	w, ok2 := want.(*value.Tensor)
	if !ok1 || !ok2 {
		if !value.Equal(got, want) {
			return errfmt.Errorf("it is %v, want %v", got, want)
		}
		return nil
	}
	if g == nil || !slices.Equal(g.Shape(), w.Shape()) || g.DType() != w.DType() {
		return errfmt.Errorf("it is %s, want %s", TypeOf(got), TypeOf(want))
	}
	if !w.DType().IsFloat() {
		return compareExact(g, w, m)
	}
	xs, ys := g.Float64s(), w.Float64s()
	d := mismatch{worst: -1, dtype: w.DType()}
	for i, y := range ys {
		x := xs[i]
		switch {
		case math.IsNaN(x) && math.IsNaN(y):
		case x == y:
			if m == nil && x == 0 && math.Signbit(x) != math.Signbit(y) {
				d.add(i, x, y, 0)
			}
		case m == nil:
			d.add(i, x, y, 0)
		case !m.admits(d.dtype, i, x, y):
			d.add(i, x, y, m.slack[i])
		}
	}
	return d.err(w.Shape())
}

// admits reports whether element i may be x where the reference rounds to y, which is another number.
func (m *margin) admits(d DType, i int, x, y float64) bool {
	slack, loose := m.slack[i], m.loose != nil && m.loose[i]
	if m.exact != nil {
		y = m.exact[i]
	}
	switch {
	case math.IsInf(slack, 1):
		return true
	case math.IsNaN(x):
		return loose
	case math.IsInf(x, 0):
		return loose || slack > 0 && value.RoundFloat(d, y+math.Copysign(slack, x)) == x
	case math.IsNaN(y) || math.IsInf(y, 0):
		return loose && d == F64 // what it is computed in has overflowed, too
	}
	return math.Abs(x-y) <= slack
}

// compareExact compares tensors whose elements are no floats. Where there is slack, an element may be any.
func compareExact(g, w *value.Tensor, m *margin) error {
	if g.Equal(w) {
		return nil
	}
	gs, ws := elementTexts(g), elementTexts(w)
	off, first := 0, -1
	for i := range ws {
		if gs[i] != ws[i] && (m == nil || m.slack[i] == 0) {
			if off++; first < 0 {
				first = i
			}
		}
	}
	if off == 0 {
		return nil
	}
	return errfmt.Errorf("%d of %d elements differ; element %s is %s, want %s", off, len(ws), indexText(w.Shape(), first), gs[first], ws[first])
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
	return errfmt.Errorf("%d of %d elements differ; the worst, %s, is %.9g, want %.9g: off by %.3g ulp, %.3g allowed; largest absolute error %.3g, relative %.3g",
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

// format is how precise a float dtype is, and the exponent of its least normal number.
type format struct{ bits, exp int }

var formats = [...]format{
	value.F4E2M1: {1, 0}, value.F8E4M3FN: {3, -6}, value.F8E4M3FNUZ: {3, -7}, value.F8E5M2: {2, -14}, value.F8E5M2FNUZ: {2, -15},
	value.F8E8M0: {0, -127}, F16: {10, -14}, BF16: {7, -126}, F32: {23, -126}, F64: {52, -1022},
}

func formatOf(d DType) format { return formats[d] }

// max is the greatest number of the dtypes that sums are added up in.
func (f format) max() float64 {
	return math.Ldexp(2-math.Ldexp(1, -f.bits), 1-f.exp)
}

// ulp is the distance of the numbers of the dtype round x, which may be subnormal.
func ulp(d DType, x float64) float64 {
	f := formats[d]
	if x == 0 || math.IsNaN(x) || math.IsInf(x, 0) {
		if x != 0 {
			return 0
		}
		return math.Ldexp(1, f.exp-f.bits)
	}
	_, exp := math.Frexp(x)
	return math.Ldexp(1, max(exp-1, f.exp)-f.bits)
}

// Oracle is what a function gives by the references of its ops on certain operands, and how far an execution of it may be from
// that: one that rounds elsewhere, by other kernels, in another order, by rewritten formulas.
//
// How far follows from what the ops declare. Every node may be off by its tolerance (an op of tolerance zero by one unit in the last
// place, for it rounds once and what is rewritten rounds elsewhere), and what that does to the results depends on all the nodes
// behind it, which no formula says but which can be tried: the function is evaluated some more times with every element of every node
// moved (see shake). The results may be off by a fixed multiple of what that moved them by. So a sum that cancels has more room and one
// that does not has little, and where a comparison or a rounding to integers turns on the last bits, or what is on the way may overflow,
// the element has no value to be held to. Zeros are not moved, nor are whole numbers that arithmetic gives: what is counted is exact.
type Oracle struct {
	// Want are the values of the results, then of the updates.
	Want []value.Value

	margins []*margin
}

// roomFactor is what the largest move of the trials is multiplied with. An execution is off by no more than one of the trials may be, so the
// factor is there for elements that all of them move little by chance, and for a move being a part of the tolerance. Dtypes below f32 are computed
// in f32: most of their numbers are the same whatever the order, and half of the factor will do.
const roomFactor = 8

func roomOf(d DType) float64 {
	if IsNarrow(d) {
		return roomFactor / 2
	}
	return roomFactor
}

// Oracle evaluates f on its parameters' values as Run does.
func (ip *Interpreter) Oracle(f *Func, in []value.Value) (*Oracle, error) {
	shaken := Interpreter{Read: ip.Read, Sizes: ip.Sizes}
	var sh shake
	shaken.move = func(n *Node, in, outs []value.Value, env map[string]Dim) ([]value.Value, error) {
		before := len(sh.steps)
		moved, err := sh.measure(n, in, outs, env)
		for _, step := range sh.steps[before:] {
			for _, m := range step {
				if m != nil {
					shaken.held += 24 * float64(len(m.slack))
				}
			}
		}
		return moved, err
	}
	want, err := shaken.Run(f, in)
	if err != nil {
		return nil, err
	}
	o := &Oracle{Want: want, margins: make([]*margin, len(want))}
	moved := make([][]float64, len(want)) // the largest move of each element
	for i, w := range want {
		if t, ok := w.(*value.Tensor); ok {
			moved[i] = make([]float64, t.Len())
		}
	}
	shaken.move = sh.move
	for sh.trial = range trials {
		sh.at = 0
		got, err := shaken.Run(f, in)
		if err != nil {
			return nil, errfmt.Errorf("with values moved within their tolerance: %w", err)
		}
		for i := range want {
			if moved[i] != nil {
				maxMove(moved[i], got[i].(*value.Tensor), want[i].(*value.Tensor))
			}
		}
	}
	for i, m := range moved {
		if m != nil {
			o.margins[i] = &margin{slack: room(m, want[i].(*value.Tensor))}
		}
	}
	return o, nil
}

// Compare holds a value against that of result i, or, behind the results, of an update. The error says how far off it is.
func (o *Oracle) Compare(i int, got value.Value) error {
	return compareWithin(got, o.Want[i], o.margins[i])
}

// Unstable gives up elements that are no finite numbers in the oracle: it is for formulas that are replaced because they give NaN
// where they need not.
func (o *Oracle) Unstable() *Oracle {
	u := &Oracle{Want: o.Want, margins: slices.Clone(o.margins)}
	for i, m := range o.margins {
		if t, ok := o.Want[i].(*value.Tensor); ok && t.DType().IsFloat() {
			u.margins[i] = &margin{slack: slices.Clone(m.slack)}
			for k, x := range t.Float64s() {
				if math.IsNaN(x) || math.IsInf(x, 0) {
					u.margins[i].slack[k] = math.Inf(1)
				}
			}
		}
	}
	return u
}

// shake moves the results of nodes by what they may be off by.
//
// In the first trial, all elements are moved up, and what may overflow on the way is NaN. In the others, an element is moved up half of the
// times and down the other half, so that whatever turns on its last bits turns; when, and how far, is a function of its node and its value:
// equal numbers are rounded equally, and others independently of each other.
type shake struct {
	steps []step // what nodes may be off by, in the order in which they are evaluated
	trial int
	at    int
}

// step is how far the elements of a node's results are moved; nil where one is not.
type step []*margin

const trials = 9 // a first one, and as many as balanced has bits

// balanced are the numbers of eight bits of which four are set.
var balanced = func() (bytes [70]byte) {
	n := 0
	for b := range 256 {
		if bits.OnesCount8(uint8(b)) == 4 {
			bytes[n] = byte(b)
			n++
		}
	}
	return bytes
}()

// measure notes how far the results of a node will be moved.
func (s *shake) measure(n *Node, in, outs []value.Value, env map[string]Dim) ([]value.Value, error) {
	op := n.op
	if op.Props.Structural || op.IsComposite() || op.Tol.ULP == 0 && op.Tol.Terms == nil && !op.Props.Elementwise {
		s.steps = append(s.steps, nil)
		return outs, nil
	}
	counts := op.Tol.ULP == 0
	if op.Tol.Terms != nil {
		counts = !slices.ContainsFunc(in, func(v value.Value) bool { return !whole(v) })
	}
	exact := exacts(outs)
	margins, err := marginsOf(n, in, exact, env)
	if err != nil {
		return nil, err
	}
	for k, e := range exact {
		if e == nil || e.F == nil {
			continue
		}
		m := margins[k]
		if m == nil {
			m = &margin{exact: e.F, slack: make([]float64, len(e.F))}
			margins[k] = m
		}
		for i, x := range e.F {
			switch slack := m.slack[i] / (2 * roomFactor); {
			case counts && isWhole(x):
				m.slack[i] = 0
			case x != 0:
				m.slack[i] = max(slack, ulp(e.DType, x))
			case op.Tol.Terms == nil:
				m.slack[i] = 0
			default:
				m.slack[i] = slack
			}
		}
	}
	s.steps = append(s.steps, margins)
	return outs, nil
}

// move moves the results of a node.
func (s *shake) move(_ *Node, _, outs []value.Value, _ map[string]Dim) ([]value.Value, error) {
	s.at++
	if s.at > len(s.steps) || s.steps[s.at-1] == nil {
		return outs, nil // the former if sizes turn on the last bits
	}
	moved := slices.Clone(outs)
	for k, m := range s.steps[s.at-1] {
		t, ok := outs[k].(*value.Tensor)
		if m == nil || !ok || t.Len() != len(m.slack) {
			continue
		}
		e := t.Exact()
		for i, x := range e.F {
			by := m.slack[i]
			switch {
			case s.trial == 0 && (m.loose != nil && m.loose[i] || math.IsInf(by, 1)):
				e.F[i] = math.NaN()
			case by == 0 || math.IsInf(x, 0):
			case s.trial > 0:
				e.F[i] = x + by*s.times(e.DType, m, i)
			default:
				e.F[i] = x + 2*by
			}
		}
		moved[k] = e.Tensor()
	}
	return moved, nil
}

// times returns in which direction and how many times its slack an element is moved.
func (s *shake) times(d DType, m *margin, i int) float64 {
	x := 1.0
	if m.exact != nil {
		x = m.exact[i]
	}
	h := (math.Float64bits(x) ^ uint64(s.at)*0x9e3779b97f4a7c15) * 0xbf58476d1ce4e5b9
	h = (h ^ h>>29) * 0x94d049bb133111eb
	h ^= h >> 32
	times := 1.0
	if !IsNarrow(d) {
		times += float64((h >> (8 + 3*s.trial)) % 8 % 3)
	}
	if balanced[h%70]>>(s.trial-1)&1 == 0 {
		return -times
	}
	return times
}

// whole reports whether all elements of a value are whole numbers of which many can be added up without rounding.
func whole(v value.Value) bool {
	t, ok := v.(*value.Tensor)
	return !ok || !t.DType().IsFloat() || !slices.ContainsFunc(t.Float64s(), func(x float64) bool { return !isWhole(x) })
}

func isWhole(x float64) bool { return x == math.Trunc(x) && math.Abs(x) < 1<<20 }

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

// room turns moves into how far elements may be off. One that no trial has moved by much is given what is usual in its tensor, by the element or by
// the size of the element, whichever is less.
func room(moves []float64, want *value.Tensor) []float64 {
	if len(moves) == 0 || !want.DType().IsFloat() {
		return moves
	}
	ys := want.Float64s()
	relative := make([]float64, 0, len(moves))
	for i, y := range ys {
		if y != 0 && !math.IsNaN(y) && !math.IsInf(y, 0) {
			relative = append(relative, moves[i]/math.Abs(y))
		}
	}
	usual, usualRelative := median(moves), median(relative)
	slack := make([]float64, len(moves))
	for i, y := range ys {
		if math.IsNaN(y) || math.IsInf(y, 0) {
			slack[i] = moves[i] // 0, or infinite if a trial gave something else
			continue
		}
		slack[i] = roomOf(want.DType()) * (max(moves[i], min(usual, usualRelative*math.Abs(y))) + ulp(want.DType(), y))
	}
	return slack
}

// median returns the median of those that are finite, 0 of none.
func median(xs []float64) float64 {
	sorted := slices.Sorted(slices.Values(xs))
	n, _ := slices.BinarySearch(sorted, math.Inf(1))
	if n == 0 {
		return 0
	}
	return sorted[n/2]
}
